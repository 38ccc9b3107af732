"""The lines to type next. They are printed, never run, and carry what was judged: a line that
would run something else is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import TRAINED_FOR
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.errors import WorkloadError
from ..core.records import Record, pattern, remembered
from ..core.workload import Workload
from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine
from ..verdict.devices import computes_on_shared, runs_on
from ..verdict.judging import judge
from ..verdict.question import architectures, ask
from ..verdict.record import Judged, Question
from ..verdict.speed import uses_shared_gpu

# of the need, from which share on what a server comes to keep is held down by the line
WORTH_BOUNDING = 0.1


def has_other_byte_order(judged: Judged) -> bool:
    """Whether the runtime loads no file there that was not converted to the other byte order."""
    return any(finding.code == "runtime-other-byte-order" for finding in judged.findings)


def commands(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
) -> tuple[str, ...]:
    """Lines that download and run the model as it was judged; empty unless it would run here.

    `tag` is what Ollama calls the model, where that was typed.
    """
    runtime = question.runtime
    if not judged.fits or runtime is None or question.workload.task != "generate":
        return ()
    # the published file would not load as it is
    if has_other_byte_order(judged):
        return ()
    circumstances = _circumstances(question, runtime, judged, machine, catalogue)
    on_devices = _devices_option(runtime, judged, machine)
    if question.local_files:
        return _of_own_files(question, runtime, circumstances, on_devices)
    whole_file = _whole_file(question)
    if whole_file is not None:
        scaled = circumstances.scaled
        return () if scaled else _of_a_file(question, runtime, whole_file, circumstances)
    if circumstances.scaled and not _yarn(question.spec):
        # how else to switch a scaling on differs from model to model: the publisher says it
        return ()
    lines = [line + on_devices for line in _lines(runtime, question, circumstances, tag=tag)]
    # alone they are no other way to run it: `by_tag` has them with what installs that program
    if lines and runtime.shown_with and question.missing_bytes != 0:
        other = catalogue.runtime(runtime.shown_with)
        lines += _line_of_another(other, question, circumstances, machine, tag)
    return tuple(lines)


def _whole_file(question: Question) -> str | None:
    """The path of the model's file where all of it is here, and the runtime takes a path."""
    here = question.here
    return here.path if here is not None and here.by_path and here.missing_bytes == 0 else None


def _of_own_files(
    question: Question, runtime: RuntimeSpec, circumstances: Circumstances, on_devices: str
) -> tuple[str, ...]:
    """Of a file or a folder of the user's."""
    path = question.spec.origin
    if path.lower().endswith(".gguf"):
        return _of_a_file(question, runtime, path, circumstances)
    lines = _of_a_folder(question, runtime, path, circumstances)
    return (lines[0] + on_devices,) if lines else ()


def _line_of_another(
    runtime: RuntimeSpec,
    question: Question,
    circumstances: Circumstances,
    machine: Machine,
    tag: str | None,
) -> Sequence[str]:
    """The line of a program that is shown beside the one that was judged: only where one line says
    it all.
    """
    if not _has_build(runtime, machine):
        return ()
    # with the context that it takes by itself the line would not say it all
    takes_longer = _own_context(runtime, machine) is not None
    as_asked = circumstances.replace(takes_longer=takes_longer)
    lines = _lines(runtime, question, as_asked, tag=tag)
    return lines if len(lines) == 1 else ()


class ByTag(Record):
    """How Ollama has a model: `tag` loads it in `quantization`; `lines` download and run what was
    judged, () where the tag loads something else, which fits too.
    """

    tag: str
    quantization: str
    lines: tuple[str, ...]


def by_tag(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    typed: str | None = None,
) -> ByTag | None:
    """The model as Ollama's own tag has it, or the `typed` one, which loads what was judged; None
    where it has no tag, and where Ollama serves no such models, has no build for the machine or
    cannot do what is asked, or what it loads would not fit.
    """
    spec, workload, runtime = question.spec, question.workload, catalogue.runtime("ollama")
    tag = typed or _tag(spec, workload)
    if tag is None or not judged.fits or not _is_served(question, runtime, machine):
        return None
    default = need.default_format_and_quantization(spec, runtime)[1]
    loads = workload.quantization if typed else runtime.tags.get(tag, default)
    quantization = loads or default
    if quantization != workload.quantization:
        loaded = workload.replace(runtime=runtime.id, quantization=quantization)
        try:
            fits = judge(ask(spec, loaded, catalogue, machine), machine).fits
        except WorkloadError:
            # what is asked beside the quantization is nothing that it takes
            return None
        return ByTag(tag=tag, quantization=quantization, lines=()) if fits else None
    circumstances = _circumstances(question, runtime, judged, machine, catalogue)
    lines = _lines(runtime, question, circumstances, line=runtime.command.replace("{tag}", tag))
    return ByTag(tag=tag, quantization=quantization, lines=lines) if lines else None


def _is_served(question: Question, runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the runtime would fetch and serve what is asked, and it is not here already."""
    workload = question.workload
    if workload.format not in runtime.formats or workload.task != "generate":
        return False
    if question.spec.modality not in runtime.modalities or not _has_build(runtime, machine):
        return False
    return not question.local_files and question.missing_bytes != 0


def lines_of_made_file(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    file: str,
    projector: str | None,
) -> tuple[str, ...]:
    """The line that runs a file which was made as `conversion` says; empty unless the model would
    run here, and where its files are here.
    """
    runtime = question.runtime
    if not judged.fits or runtime is None or question.workload.task != "generate":
        return ()
    circumstances = _circumstances(question, runtime, judged, machine, catalogue)
    is_here = question.local_files or question.missing_bytes == 0
    if is_here or (circumstances.scaled and not _yarn(question.spec)):
        return ()
    return lines_of_a_file(question, runtime, file, projector, circumstances)


class Circumstances(Record):
    """What a line depends on beside the question. `takes_longer`: the program takes a longer
    context by itself, with which it would not run alike; `whole`: the context is all that the model
    was trained for, to which the program cuts a longer one; `scaled`: the context is longer than
    the trained one; `batch_tokens`: those that an encoder reads at once; `checkpoints`: to how many
    copies of a conversation the server is held, None where it is not; `bounds` and `environment`:
    options and environment variables that hold a server to what is counted; `device`: the runtime's
    word for where the model is placed; `offload`: the way by which its parts come to an accelerator
    in turn, None where they do not; `leaves_shared_gpu`: a GPU that shares the RAM computes in what
    is judged, and this program leaves it unused unless told; `is_windows`: environment variables
    are set as PowerShell does.
    """

    takes_longer: bool = False
    whole: bool = False
    scaled: bool = False
    batch_tokens: int | None = None
    checkpoints: int | None = None
    bounds: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    device: str | None = None
    offload: str | None = None
    leaves_shared_gpu: bool = False
    is_windows: bool = False


def _circumstances(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    machine: Machine,
    catalogue: Catalogue,
) -> Circumstances:
    longer = longer_context(runtime, question, judged, catalogue, machine)
    return Circumstances(
        takes_longer=longer is None and _own_context(runtime, machine) is not None,
        whole=_is_whole(question, runtime),
        scaled=any(finding.code == "context-scaled" for finding in judged.findings),
        batch_tokens=need.batch_tokens(question.spec, question.workload, architectures(catalogue)),
        checkpoints=_checkpoints(question, judged, catalogue),
        bounds=(*_cache_bound(question, runtime, judged), *_lean(runtime, judged)),
        environment=_buffers_bound(question, runtime, judged, machine, catalogue),
        device=device_of(runtime, judged, machine),
        offload=judged.needs.offload if judged.needs is not None else None,
        leaves_shared_gpu=_leaves_shared_gpu(question, runtime, machine),
        is_windows=machine.system == "windows",
    )


def _is_whole(question: Question, runtime: RuntimeSpec) -> bool:
    """Whether a runtime with a context of its own comes to the judged one by itself: it cuts its
    own to what the model was trained for ("requested context size too large for model",
    llm/server.go of Ollama; published logs show num_ctx=49152 cut to n_ctx_train=40960).
    """
    usual, architecture = runtime.default_context_tokens, question.spec.architecture
    tokens = question.workload.context_tokens
    if usual is None or architecture is None or tokens is None or tokens > usual:
        return False
    return tokens == need.trained_tokens(architecture, question.rewriting)


class LongerContext(Record):
    """The context that a program takes by itself, and what the model takes in memory with it."""

    tokens: int
    memory_bytes: int


def _own_context(runtime: RuntimeSpec, machine: Machine) -> int | None:
    """Tokens that the program makes room for by itself on that machine where they are more than its
    usual ones; the most where the memory of a GPU is not known.
    """
    sizes = [_most_bytes(device, machine) for device in machine.accelerators or ()]
    gpu_bytes = inf if None in sizes else sum(size or 0 for size in sizes)
    fitting = (own.tokens for own in runtime.own_contexts if gpu_bytes >= own.gpu_bytes)
    return next(fitting, None)


def _most_bytes(device: Accelerator, machine: Machine) -> int | None:
    """What the GPU has at most, also of one that shares the RAM; None where not known."""
    ram_bytes = machine.memory_total_bytes
    if device.memory_total_bytes is not None or not device.unified or ram_bytes is None:
        return device.memory_total_bytes
    share = metal_share(ram_bytes)[1] if device.vendor == "apple" else 1
    return int(ram_bytes * share)


@remembered(most=4)
def longer_context(
    runtime: RuntimeSpec,
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> LongerContext | None:
    """The context that the program takes by itself, where the model runs with it as it was judged:
    all of it lies where it lay. None elsewhere, and where a context was asked for.

    It takes no more than the model was trained for (`_is_whole`).
    """
    own_tokens = _own_context(runtime, machine)
    workload, architecture = question.workload, question.spec.architecture
    is_usual = workload.context_tokens == runtime.default_context_tokens
    if own_tokens is None or architecture is None or question.context_asked or not is_usual:
        return None
    if _tag(question.spec, workload) is None or workload.format not in runtime.formats:
        return None
    tokens = min(own_tokens, need.trained_tokens(architecture, question.rewriting) or own_tokens)
    longer = workload.replace(runtime=runtime.id, context_tokens=tokens)
    try:
        judged_longer = judge(ask(question.spec, longer, catalogue, machine), machine)
    except WorkloadError:
        return None
    memory = judged_longer.needs.memory if judged_longer.needs is not None else None
    if not judged_longer.fits or memory is None or _held(judged_longer) != _held(judged):
        return None
    return LongerContext(tokens=tokens, memory_bytes=memory.high_bytes)


def _held(judged: Judged) -> tuple[str | None, set[str]]:
    """Where the model lies, and what was found of the memory that holds it."""
    placement = judged.needs.placement if judged.needs is not None else None
    held = {each.code for each in judged.findings if each.check in ("memory", "accelerator")}
    return placement, held


def _checkpoints(question: Question, judged: Judged, catalogue: Catalogue) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None or "checkpoints" not in runtime.options:
        return None
    more_bytes = need.more_in_conversation(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    is_worth_it = more_bytes and more_bytes >= WORTH_BOUNDING * memory.high_bytes
    return runtime.context_checkpoints if is_worth_it else None


def _lean(runtime: RuntimeSpec, judged: Judged) -> tuple[str, ...]:
    """The option that has the program take less, where the model was judged with it."""
    is_lean = judged.needs is not None and judged.needs.is_lean and runtime.lean_option
    return (runtime.lean_option,) if is_lean else ()


def _cache_bound(question: Question, runtime: RuntimeSpec, judged: Judged) -> tuple[str, ...]:
    """The option without which a server keeps texts that idle users had embedded, as `size` prints
    it; () where it keeps none.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    service = runtime.service
    if service is None or memory is None or not _embeds(runtime, question.spec):
        return ()
    kept = any(term.name in ("kv_cache", "recurrent_state") for term in memory.terms)
    option = service.bounds.get("prompt_cache", "").replace("{mib}", "0")
    return (option,) if option and kept and question.workload.parallel > 1 else ()


def _buffers_bound(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    machine: Machine,
    catalogue: Catalogue,
) -> tuple[str, ...]:
    """What keeps glibc from holding buffers of shorter texts that were freed, as `size` prints it;
    () where they are few, and on systems with another allocator.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    bound = runtime.service.bounds.get("freed_buffers") if runtime.service is not None else None
    if memory is None or not bound or machine.system not in (None, "linux"):
        return ()
    if not _embeds(runtime, question.spec):
        return ()
    freed_bytes = need.freed_outputs(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    is_worth_it = freed_bytes >= WORTH_BOUNDING * memory.high_bytes
    return (bound,) if is_worth_it else ()


def _runs_on_shared(runtime: RuntimeSpec, gpu: Accelerator) -> bool:
    """Whether the runtime uses that GPU, which shares the RAM."""
    return computes_on_shared(runtime, gpu) if gpu.vendor == "amd" else runs_on(runtime, gpu)


def _keys_of_shared(runtime: RuntimeSpec, machine: Machine) -> Iterator[str]:
    """Keys of `devices` that may name a GPU that shares the RAM, the best first: PyTorch calls all
    of NVIDIA's alike, in a Jetson or a DGX Spark as on a card.
    """
    for gpu in machine.accelerators or ():
        if gpu.unified and _runs_on_shared(runtime, gpu):
            yield f"{gpu.vendor}-unified"
            if gpu.vendor == "nvidia":
                yield gpu.vendor


def device_of(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices = runtime.devices
    placement = judged.needs.placement if judged.needs is not None else None
    if placement in (None, "host"):
        # a GPU that shares the RAM is used where the program can, whatever the placement is called
        shared = _keys_of_shared(runtime, machine)
        return next((devices[key] for key in shared if key in devices), devices.get("host"))
    memory = judged.needs.memory if judged.needs is not None else None
    places = {term.where for term in memory.terms} if memory is not None else set()
    if placement == "split" or len(places - {"host"}) > 1:
        return devices.get("several")
    vendors = {device.vendor for device in machine.accelerators or ()}
    return devices.get(vendors.pop()) if len(vendors) == 1 else devices.get("several")


def _devices_option(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str:
    """What has the program use the accelerators that the model was judged on: several together, or
    some of those that are there; empty where it does by itself, or their names are not known.
    """
    used = devices_used(judged)
    if len(used) > 1 and runtime.tensor_parallel_option:
        return f" {runtime.tensor_parallel_option.replace('{devices}', str(len(used)))}"
    if len(used) == 1 and is_one_of_several(judged, machine) and runtime.one_device_option:
        return f" {runtime.one_device_option.replace('{device}', str(used[0]))}"
    names = names_of_some(runtime, judged, machine)
    return f" {runtime.some_devices_option.replace('{devices}', ','.join(names))}" if names else ""


def names_of_some(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """What the program calls the accelerators that hold the model, where they are several and the
    machine has more; () elsewhere, or where its build is not known.
    """
    cards = machine.accelerators or ()
    if not is_some_of_several(judged, machine):
        return ()
    names = []
    for index in devices_used(judged):
        vendor = cards[index].vendor
        name = runtime.device_names.get(f"{machine.system}-{machine.architecture}-{vendor}")
        if name is None or cards[index].is_part:
            return ()
        number = sum(card.vendor == vendor for card in cards[:index])
        names.append(name.replace("{number}", str(number)))
    return tuple(names)


def devices_used(judged: Judged) -> list[int]:
    """The accelerators with memory of their own that hold a part of the model, by number."""
    memory = judged.needs.memory if judged.needs else None
    places = {term.where for term in memory.terms if term.where != "host"} if memory else set()
    return sorted(int(place.partition(":")[2]) for place in places)


def is_one_of_several(judged: Judged, machine: Machine) -> bool:
    """One accelerator holds all of the model, and the machine has more of them."""
    placement = judged.needs.placement if judged.needs is not None else None
    is_whole = placement == "accelerator" and len(devices_used(judged)) == 1
    return is_whole and len(machine.accelerators or ()) > 1


def is_some_of_several(judged: Judged, machine: Machine) -> bool:
    """Several accelerators hold all of the model, and the machine has more of them."""
    placement = judged.needs.placement if judged.needs is not None else None
    some = 1 < len(devices_used(judged)) < len(machine.accelerators or ())
    return placement == "accelerator" and some


def _has_build(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Also where the machine's system or processor is not known."""
    unread = machine.system is None or machine.architecture is None
    return unread or f"{machine.system}-{machine.architecture}" in runtime.systems


def about_files(question: Question, *, fits: bool) -> tuple[str, ...]:
    """Sentences on the files: that they are quantized while loading, or that no publisher's of
    that quantization are known.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    format, quantization = workload.format or "", workload.quantization or ""
    if runtime is None or question.local_files or not quantization or workload.task != "generate":
        return ()
    rule, notes = runtime.rule_of(quantization), []
    if need.takes_text_alone(spec, runtime):
        notes.append(f"{runtime.name} runs the text part of {spec.name} alone: it takes no images.")
    if need.loads_sixteen_bits(spec, runtime, format, quantization):
        notes.append(
            f"{runtime.name} downloads the published weights"
            f" ({_published_words(spec)}) and makes {quantization} of them while loading."
        )
    elif (
        fits
        and (format in ("gguf", "mlx") or rule is not None)
        and not _known_files(spec, format, quantization)
    ):
        notes.append(_on_a_computed_size(spec, runtime, quantization))
    if rule is not None and rule.needs:
        notes.append(f"{runtime.name} needs for it: pip install {rule.needs}.")
    return tuple(notes)


def _published_words(spec: ModelSpec) -> str:
    architecture = spec.architecture
    is_wide = architecture is not None and architecture.dtype == "float32"
    return "32 bits" if is_wide else "16 bits"


def _on_a_computed_size(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> str:
    """Why no listing has the size, and where files may be found."""
    parts = need.parts_of(spec, runtime)
    if parts is not None and quantization in parts.quantizations:
        return "The size is computed: the catalogue names the files, not their sizes."
    where = f": {spec.conversions_page}" if spec.conversions_page else ""
    return (
        f"The size is computed: this catalogue knows of no {quantization} file of {spec.name}."
        f" Hugging Face lists the conversions{where}"
    )


def _known_files(spec: ModelSpec, format: str, quantization: str) -> bool:
    files = spec.files_of(format, quantization)
    return need.published(spec, format, quantization) is not None or (
        files is not None and files.listed
    )


def _of_a_file(
    question: Question, runtime: RuntimeSpec, path: str, circumstances: Circumstances
) -> tuple[str, ...]:
    """The line that loads the very file that was judged; () with a runtime that takes none."""
    projector = question.here.projector if question.here is not None else None
    if not path.lower().endswith(".gguf"):
        return ()
    if question.here is not None and _is_masked(f"{path}/{projector}"):
        return ()
    if "-of-" in path:
        from ..modelfiles.gguf import parts_of

        # llama.cpp finds the other parts of a split file from the first alone
        # (src/llama-model-loader.cpp)
        path = parts_of(path)[0]
    return lines_of_a_file(question, runtime, path, projector, circumstances)


def _of_a_folder(
    question: Question, runtime: RuntimeSpec, path: str, circumstances: Circumstances
) -> tuple[str, ...]:
    """The line that loads a folder of your own as it would a repository; () where it cannot be
    said, or where the path would have to be quoted within a program.
    """
    folder = path
    if path.lower().endswith((".json", ".safetensors")):
        from os.path import dirname

        folder = dirname(path) or "."
    template = _untagged(runtime, question, "", {})
    typed = _in_shell(folder, circumstances)
    is_in_quotes = "'{repository}'" in template
    if "{repository}" not in template or (is_in_quotes and (typed != folder or folder[0] == "~")):
        return ()
    return _lines(runtime, question, circumstances, line=template.replace("{repository}", typed))


def lines_of_a_file(
    question: Question,
    runtime: RuntimeSpec,
    path: str,
    projector: str | None,
    circumstances: Circumstances,
) -> tuple[str, ...]:
    """The line that loads one GGUF file, with what is asked; () where it cannot be said."""
    if not runtime.file_command:
        return ()
    line = runtime.file_command.replace("{file}", _in_shell(path, circumstances))
    if projector:
        line = line.replace(" -c ", f" --mmproj {_in_shell(projector, circumstances)} -c ", 1)
    return _lines(runtime, question, circumstances, line=line)


def _is_masked(path: str) -> bool:
    """Whether a part of a record's path stands in for a person's or computer's name, so that it is
    no path.
    """
    return any(part in ("USER", "HOST", "ID") for part in path.replace("\\", "/").split("/"))


def _in_shell(path: str, circumstances: Circumstances) -> str:
    """A path as the system's shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path[len(home) :]
    if circumstances.is_windows:
        # PowerShell: between single quotes nothing counts but a doubled one
        return (
            path
            if _PLAIN_ON_WINDOWS.fullmatch(rest)
            else home + "'" + rest.replace("'", "''") + "'"
        )
    from shlex import quote

    return home + quote(rest)


_PLAIN_ON_WINDOWS = pattern(r"[\w:./\\+=~-]+")


def _lines(
    runtime: RuntimeSpec,
    question: Question,
    circumstances: Circumstances,
    *,
    tag: str | None = None,
    line: str | None = None,
) -> tuple[str, ...]:
    """A server to start first, where the workload departs from its defaults, then the runtime's
    command, or `line` where that is given.
    """
    departs = [
        *_embeds(runtime, question.spec),
        *_departures(runtime, question.workload, circumstances),
    ]
    if not all(_can_be_set(runtime, key) for key in departs):
        return ()
    values = _values(question, runtime, circumstances)
    if circumstances.offload is not None:
        line = _offload_line(runtime, question, circumstances.offload)
        run_line = _filled(line, values)
    else:
        run_line = _filled(line, values) if line else _run_line(runtime, question, tag, values)
    if not run_line:
        return ()
    extra = [_filled(runtime.options[key], values) for key in departs if key in runtime.options]
    if not all(extra):
        return ()
    settings = [
        _filled(runtime.settings[key], values) for key in departs if key in runtime.settings
    ]
    last = " ".join((run_line, *extra, *circumstances.bounds))
    if not settings:
        return (_with_environment([*circumstances.environment], last, circumstances),)
    address = [runtime.server_address] if runtime.server_address else []
    return (
        _with_environment([*address, *settings], runtime.serve, circumstances),
        _with_environment(address, last, circumstances),
    )


def _can_be_set(runtime: RuntimeSpec, key: str) -> bool:
    return key in runtime.options or key in runtime.settings or _carried(runtime, key)


def _offload_line(runtime: RuntimeSpec, question: Question, way: str) -> str:
    """The line whose parts move to the GPU that `way`; "" where none is known."""
    rule = runtime.rule_of(question.workload.quantization) or runtime
    own = runtime.commands.get(question.spec.family or "", "")
    # a family's own program that is told no device moves the parts by itself
    return own if own and "{device}" not in own else rule.offload_commands.get(way, "")


def _with_environment(settings: list[str], command: str, circumstances: Circumstances) -> str:
    """The command with environment variables, as the system's shell takes them."""
    if not circumstances.is_windows:
        return " ".join((*settings, command))
    pairs = [setting.partition("=") for text in settings for setting in text.split()]
    return " ".join((*(f"$env:{name}='{value}';" for name, _, value in pairs), command))


def _run_line(
    runtime: RuntimeSpec, question: Question, tag: str | None, values: Mapping[str, str]
) -> str:
    """The runtime's command for that model, without options; empty where none is known."""
    workload = question.workload
    is_tagged = "{tag}" in runtime.command and workload.format == "gguf"
    if is_tagged and not _loaded_by_tag(question.spec, runtime, workload):
        # a bare tag loads its own quantization, whatever was asked
        if tag is None and question.here is not None and runtime.id == workload.runtime:
            tag = question.here.tag
        line = runtime.command.replace("{tag}", tag) if tag else ""
    else:
        named = runtime.named_command if "file_name" in values and not is_tagged else ""
        line = _filled(_untagged(runtime, question, named, values), values)
    if not line and "file_name" in values and is_tagged:
        line = _filled(runtime.named_command, values)
    return line or _filled(runtime.repository_command, values)


def _untagged(
    runtime: RuntimeSpec, question: Question, named: str, values: Mapping[str, str]
) -> str:
    """The command that a quantization has of its own, else the one by file name, else the usual."""
    rule = runtime.rule_of(question.workload.quantization)
    if rule is not None and rule.command and not values.get("quantized"):
        return rule.command
    line = named or runtime.command_of(question.spec.family, question.spec.uses)
    is_cast = need.is_cast(question.spec, runtime, question.workload.quantization or "")
    # a line that loads the files as they are is another
    return line if "{cast}" in line or not is_cast else ""


def _yarn(spec: ModelSpec) -> dict[str, str]:
    """What switches YaRN on; {} where the publisher documents none."""
    architecture = spec.architecture
    if (
        architecture is None
        or not architecture.yarn_original_tokens
        or not architecture.scaled_context_tokens
    ):
        return {}
    factor = f"{architecture.scaled_context_tokens / architecture.yarn_original_tokens:g}"
    return {"yarn_factor": factor, "yarn_original_tokens": str(architecture.yarn_original_tokens)}


def _embeds(runtime: RuntimeSpec, spec: ModelSpec) -> tuple[str, ...]:
    """A runtime that serves text unless told is told, and whether it shall embed or rank."""
    key = "reranking" if spec.uses and spec.uses[0] == "reranking" else "embedding"
    return (key,) if spec.modality == "embedding" and key in runtime.options else ()


def _departures(
    runtime: RuntimeSpec, workload: Workload, circumstances: Circumstances
) -> list[str]:
    """What the workload asks that the runtime would not do by itself."""
    usual = runtime.default_context_tokens
    has_other_context = workload.context_tokens not in (None, usual)
    drafts_itself = workload.draft is not None and workload.draft == need.OWN_BLOCK
    departures = {
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "parallel": workload.parallel > 1,
        "whole_batch": circumstances.batch_tokens,
        "mtp": drafts_itself,
        "draft": workload.draft is not None and not drafts_itself,
        "adapter": workload.adapter,
        "context_tokens": usual is not None
        and not circumstances.whole
        and (
            has_other_context
            or (circumstances.takes_longer and workload.context_tokens is not None)
        ),
        "checkpoints": circumstances.checkpoints is not None and "checkpoints" in runtime.options,
        "yarn": circumstances.scaled,
        "shared_gpu": circumstances.leaves_shared_gpu and "shared_gpu" in runtime.settings,
    }
    return [name for name, departs in departures.items() if departs]


def _leaves_shared_gpu(question: Question, runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether a GPU that shares the RAM computes in the judged program and not in this one."""
    judged_with = question.runtime
    if judged_with is None or judged_with.id == runtime.id:
        return False
    return uses_shared_gpu(machine, judged_with) and not uses_shared_gpu(machine, runtime)


def _carried(runtime: RuntimeSpec, key: str) -> bool:
    """The runtime's command says it anyway."""
    return "{" + key + "}" in runtime.command or (
        key == "context_tokens" and "{total_context_tokens}" in runtime.command
    )


def _loaded_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    default = need.default_format_and_quantization(spec, runtime)[1]
    return workload.quantization == runtime.tags.get(_tag(spec, workload) or "", default)


def _values(
    question: Question, runtime: RuntimeSpec, circumstances: Circumstances
) -> Mapping[str, str]:
    """What fills the blanks of a command, by their names; one that is not known is left out."""
    spec, workload = question.spec, question.workload
    values = {
        **_file_values(question, runtime),
        "input": _input(runtime, spec),
        "tag": _tag(spec, workload),
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": circumstances.batch_tokens,
        "context_checkpoints": circumstances.checkpoints,
        "device": circumstances.device,
        "components": _quantized_components(spec),
        "parts": _parts(question, runtime),
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(question),
        **_adapter_values(question, circumstances),
    }
    filled = {key: str(value) for key, value in values.items() if value}
    return (
        filled
        | _yarn(spec)
        | {
            "variant": _variant(runtime, spec, workload.quantization or ""),
            "steps": _steps(runtime, spec),
            "guidance": runtime.guidance_options.get(spec.family or "", ""),
            "cast": _cast(question, runtime),
            "rate": _rate(runtime, spec),
            **_as_stated(question, runtime, circumstances),
            "remote_code": runtime.remote_code_option if spec.safety.remote_code else "",
        }
    )


def _input(runtime: RuntimeSpec, spec: ModelSpec) -> str | None:
    """What the model is asked: a line of its own, or that of models whose first input is such a
    one, or of any of its modality.
    """
    first = f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else ""
    keys = (spec.id, first, spec.modality)
    return next((runtime.inputs[key] for key in keys if key in runtime.inputs), None)


def _file_values(question: Question, runtime: RuntimeSpec) -> Mapping[str, str | None]:
    """The blanks that tell which files are downloaded: where they lie, and their own names."""
    spec, workload = question.spec, question.workload
    format, quantization = workload.format or "", workload.quantization or ""
    quantized, named, file_name = _known_best(spec, format, quantization)
    here = question.here
    if here is not None and here.repository not in (None, quantized) and format == "gguf":
        # another conversion than the one known best is here already
        quantized, named, file_name = here.repository, None, None
    rule = runtime.rule_of(quantization)
    elsewhere = format in ("gguf", "ggml", "mlx", "ctranslate2") or (
        rule is not None and not rule.at_load
    )
    return {
        "repository": quantized or (None if elsewhere else spec.repository),
        "quantized": quantized if rule is not None else None,
        "quantization": (named or workload.quantization or _stated_type(spec) or "").removeprefix(
            TRAINED_FOR
        ),
        "file_name": file_name if quantized else None,
    }


def _known_best(
    spec: ModelSpec, format: str, quantization: str
) -> tuple[str | None, str | None, str | None]:
    """Where the files that somebody quantized lie, elsewhere than the published ones; a publisher's
    own name of the quantization, which is the tag that downloads it; and the file's name.
    """
    published = need.published(spec, format, quantization)
    files = spec.files_of(format, quantization) or (published[1] if published else None)
    if files is None:
        return None, None, None
    named = next(
        (name for name in files.quantizations if need.canonical_quantization(name) == quantization),
        None,
    )
    return files.repository, named, files.names.get(named or quantization)


def _stated_type(spec: ModelSpec) -> str | None:
    """The type that stated needs are of; None where they name none."""
    return spec.needs.dtype if spec.needs is not None else None


def _adapter_values(question: Question, circumstances: Circumstances) -> dict[str, str | None]:
    """The adapter's file and its folder as a shell takes them, and the rank to reserve room for;
    nothing where it is not here.
    """
    path, companions = question.workload.adapter, question.companions
    if path is None or companions is None or not companions.adapter_is_here:
        return {}
    # peft writes a folder, of which the file may be named
    folder = os.path.dirname(path) or "." if path.endswith(".safetensors") else path
    rank = need.reserved_rank(companions.adapter_rank)
    return {
        "adapter": _in_shell(path, circumstances),
        "adapter_folder": _in_shell(folder, circumstances),
        "adapter_rank": str(rank) if rank is not None else None,
    }


def _as_stated(
    question: Question, runtime: RuntimeSpec, circumstances: Circumstances
) -> dict[str, str]:
    """What makes the result that the figures of an offloaded way are of. Elsewhere a result is
    decoded in tiles, as the needs of a pipeline are counted.
    """
    stated, kind = question.spec.needs, question.workload.quantization
    ways = stated.ways if stated is not None and circumstances.offload is not None else ()
    way = next(
        (
            each
            for each in ways
            if (each.quantization, each.offload) == (kind, circumstances.offload)
        ),
        None,
    )
    if way is None:
        return {"tiled": runtime.tiled_option, "chunked": "", "result": ""}
    result_options = runtime.result_option if way.frames and way.height and way.width else ""
    for name in ("height", "width", "frames"):
        result_options = result_options.replace("{" + name + "}", str(getattr(way, name)))
    return {
        "tiled": runtime.tiled_option if way.is_tiled else "",
        "chunked": runtime.chunked_option if way.is_chunked else "",
        "result": result_options,
    }


def _rate(runtime: RuntimeSpec, spec: ModelSpec) -> str:
    """The pictures a second of a clip; empty where the spec states none."""
    rate = spec.frames_per_second
    return runtime.rate_option.replace("{frames}", str(rate)) if rate is not None else ""


def _cast(question: Question, runtime: RuntimeSpec) -> str:
    """What makes the program load the files in another type than they are in; empty elsewhere."""
    kind = question.workload.quantization or ""
    if not need.is_cast(question.spec, runtime, kind):
        return ""
    return runtime.cast_option.replace("{quantization}", kind)


def _steps(runtime: RuntimeSpec, spec: ModelSpec) -> str:
    """The steps that the time of a picture stands for; empty where the spec states none."""
    if spec.denoising is None:
        return ""
    return runtime.steps_option.replace("{count}", str(spec.denoising.steps))


def _parts(question: Question, runtime: RuntimeSpec) -> str | None:
    """The options that take each file of the model, where `downloads` put it; None where no files
    of it are known.
    """
    parts = need.parts_of(question.spec, runtime)
    if parts is None:
        return None
    kind = question.workload.quantization or ""
    files = [f"{each.option} models/{each.named(kind)}" for each in parts.files]
    return " ".join((*files, parts.options))


def downloads(question: Question) -> tuple[str, ...]:
    """A line for each file of a model that a program loads from several, and how else they are
    used; () for any other.
    """
    runtime = question.runtime
    parts = None if runtime is None else need.parts_of(question.spec, runtime)
    if runtime is None or parts is None or question.local_files:
        return ()
    kind = question.workload.quantization or ""
    lines = [
        f"hf download {each.repository} {each.named(kind)} --local-dir models"
        for each in parts.files
    ]
    return (*lines, f"# {runtime.parts_elsewhere}") if runtime.parts_elsewhere else tuple(lines)


def to_see(question: Question) -> tuple[str, ...]:
    """Comments on the program that takes images, of a model that sees in a runtime that runs its
    text alone; without its line where the files are to be made. () for any other.
    """
    runtime = question.runtime
    if (
        runtime is None
        or not runtime.seeing_program
        or question.local_files
        or not need.takes_text_alone(question.spec, runtime)
    ):
        return ()
    line = _filled(
        runtime.seeing_command,
        {key: value for key, value in _file_values(question, runtime).items() if value},
    )
    why = f"{runtime.name} takes no images; {runtime.seeing_program} does, in more memory"
    return f"# {why}: {runtime.seeing_install}", *([f"# {line}"] if line else [])


def _quantized_components(spec: ModelSpec) -> str | None:
    """The list of components that a program is told to quantize, in Python; None where it quantizes
    none.
    """
    if not spec.components:
        return None
    from ..needs.diffusers import quantized_components

    names = ", ".join(f"'{name}'" for name in quantized_components(spec.components))
    return f"[{names}]" if names else None


def _variant(runtime: RuntimeSpec, spec: ModelSpec, quantization: str) -> str:
    """What makes the runtime fetch the files of that quantization; empty where the repository has
    none of their own, or they are what it fetches anyway.
    """
    has_variant = spec.repository in runtime.variants.get(quantization, ())
    return runtime.variant_options.get(quantization, "") if has_variant else ""


def _draft(question: Question) -> str | None:
    """The repository that the draft is downloaded from, with the quantization where it is a
    GGUF one; None for a file.
    """
    companions = question.companions
    if companions is None or companions.draft is None or companions.draft_is_here:
        return None
    if question.workload.format != "gguf":
        return companions.draft.repository
    published_files = need.published(companions.draft, "gguf", companions.draft_quantization)
    return (
        f"{published_files[1].repository}:{companions.draft_quantization}"
        if published_files is not None and published_files[1].repository
        else None
    )


def _filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its blanks filled; empty where one is not known."""
    line = template
    for key, value in values.items():
        line = line.replace("{" + key + "}", value)
    blanks = (
        "input",
        "repository",
        "tag",
        "quantization",
        "context_tokens",
        "total_context_tokens",
        "parallel",
        "batch_tokens",
        "kv_cache_type",
        "context_checkpoints",
        "device",
        "file_name",
        "parts",
        "draft",
        "adapter",
        "adapter_folder",
        "adapter_rank",
    )
    return "" if any("{" + key + "}" in line for key in blanks) else line


def _tag(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file
    names.
    """
    if workload.format == "ggml":
        size = spec.id.removeprefix("whisper-")
        return (
            size
            if workload.quantization == "F16"
            else f"{size}-{(workload.quantization or '').lower()}"
        )
    return next((alias for alias in spec.aliases if ":" in alias), None)
