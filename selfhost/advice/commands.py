"""The lines that run, make or train a model: a runtime's templates, filled with what was judged.

They are printed, never run, and carry what was judged: a line that would run something else is left
out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import BLANKS, RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import TRAINED_FOR
from ..core.errors import WorkloadError
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.templates import fill
from ..core.workload import DEFAULT_LORA_RANK, Workload
from ..judge.devices import (
    LEFT_PERCENT,
    computes_on_shared,
    lent_to_gpu,
    runs_on,
)
from ..judge.files import can_be_made, is_published, listing_of
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.question import ask
from ..judge.record import MEMORY_CHECKS, Judged, Question
from ..machine.record import Machine
from ..needs.case import MICRO_BATCH_TOKENS

Values = Mapping[str, str | None]
# the share of the need from which on a line bounds what a server comes to keep
_WORTH_BOUNDING = 0.1
# formats that somebody else than the publisher of the weights makes
CONVERTED = ("gguf", "ggml", "mlx", "ctranslate2")
# options that a program may go without
_IF_IT_CAN = ("embedding", "reranking", "checkpoints", "lean", "sampled", "unpacked",
              "tensor_parallel", "one_device")  # fmt: skip
_PLAIN_ON_WINDOWS = r"[\w:./\\+=~-]+"


class Launch(Record):
    """What was judged on a machine, and the runtime whose lines are typed.

    `tag` is what Ollama calls the model in the judged quantization, where that was typed.
    `cards_used` are the accelerators with memory of their own that hold a part of the model, by
    number; `leaves_cards`: they hold all of it, and the machine has more of them.
    """

    judged: Judged
    spec: ModelSpec
    workload: Workload
    catalogue: Catalogue
    machine: Machine
    runtime: RuntimeSpec
    tag: str | None
    cards_used: tuple[int, ...]
    leaves_cards: bool


def _shell_path(path: str, machine: Machine) -> str:
    """A path as the machine's shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path[len(home) :]
    if machine.system != "windows":
        return home + shell_word(rest)
    # PowerShell: between single quotes nothing counts but a doubled one
    is_plain = re.fullmatch(_PLAIN_ON_WINDOWS, rest)
    return path if is_plain else home + "'" + rest.replace("'", "''") + "'"


def _with_variables(settings: Sequence[str], command: str, machine: Machine) -> str:
    if machine.system != "windows":
        return " ".join((*settings, command))
    pairs = [setting.partition("=") for text in settings for setting in text.split()]
    return " ".join((*(f"$env:{name}='{value}';" for name, _, value in pairs), command))


# a line is filled in steps: a path first, what was judged later
_fill = partial(fill, keep_unknown=True)


def _waiting(judged: Judged) -> int:
    """Users who wait for their turn while the others are served."""
    return 0 if judged.speed is None else judged.speed.waiting or 0


def _values_of(launch: Launch) -> dict[str, str | None]:
    spec, workload, runtime, judged = (
        launch.spec,
        launch.workload,
        launch.runtime,
        launch.judged,
    )
    ways = (
        spec.needs.ways if spec.needs is not None and judged.offload is not None else ()
    )
    wanted = workload.quantization, judged.offload
    way = next((way for way in ways if (way.quantization, way.offload) == wanted), None)
    terms, layers = (
        getattr(judged.needs, "terms", ()),
        getattr(spec.architecture, "layers", 0),
    )
    cache = {term.where: term.bytes for term in terms if term.name == "kv_cache"}
    size = sum(cache.values())
    context = workload.context_tokens or 0
    by_blank: dict[str, object] = {
        **_values_of_files(launch),
        **_values_of_model(launch),
        **{name: getattr(way, name, None) for name in ("height", "width", "frames")},
        "context_tokens": workload.context_tokens,
        "total_context_tokens": context * workload.parallel,
        # those who wait for their turn are not computed at once
        "parallel": workload.parallel - _waiting(judged),
        "device": _device_word(launch),
        "kv_cache_type": workload.kv_cache_type,
        "memory_share": "memory_share" in runtime.command_lines.options
        and _memory_share(launch),
        "devices": len(launch.cards_used),
        "card": "".join(map(str, launch.cards_used[:1])),
        # as much of the cache is there as of the layers
        "gpu_layers": layers * (size - cache.get("host", 0)) // max(1, size),
    }
    values = {key: str(value) if value else None for key, value in by_blank.items()}
    # of two devices llama-cpp-python takes a number of layers, `{gpu_layers}`
    values["device"] = _fill(values["device"] or "", values) or None
    # elsewhere than in a stated way a result is decoded in tiles, as pipelines are counted
    is_wanted = {
        "remote_code": spec.safety.remote_code,
        "cast": need.is_cast(spec, runtime, workload.quantization),
        "tiled": way is None or way.is_tiled,
        "chunked": getattr(way, "is_chunked", False),
        "variant": spec.repository
        in runtime.command_lines.variants.get(workload.quantization or "", ()),
        "guidance": spec.family in runtime.command_lines.guided_families,
    }
    words = {
        name: _fill(runtime.command_lines.blanks.get(name, ""), values)
        if is_wanted.get(name, True)
        else ""
        for name in BLANKS
    }
    both = values | words
    # what a pipeline is given has places of these words, too
    both["input"] = _fill(both["input"] or "", both) or None
    return both


def _values_of_model(launch: Launch) -> dict[str, object]:
    spec, runtime, inside = (
        launch.spec,
        launch.judged.question.runtime,
        launch.spec.architecture,
    )
    # an input of its own, or that of models with the same first input, or of its modality
    keys = (
        spec.id,
        f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else "",
        spec.modality,
    )
    # how to switch another scaling than YaRN on differs from model to model
    original = getattr(inside, "yarn_original_tokens", None)
    scaled = getattr(inside, "scaled_context_tokens", None) if original else None
    kept, components, inputs = None, None, launch.runtime.command_lines.inputs
    if runtime is not None and "checkpoints" in runtime.command_lines.options:
        # how many copies of a conversation the need counts, where the server keeps many more
        kept = (
            runtime.memory.context_checkpoints
            if bytes_worth_bounding(launch.judged, runtime)
            else None
        )
    batch_tokens = _batch_tokens(launch)
    if spec.components:
        from ..needs.pictures import quantized_components

        names = ", ".join(f"'{name}'" for name in quantized_components(spec.components))
        components = f"[{names}]" if names else None
    return {
        "components": components,
        "count": getattr(spec.denoising, "steps", None),
        "frames_per_second": spec.frames_per_second,
        "yarn_factor": f"{scaled / original:g}" if scaled else None,
        "yarn_original_tokens": scaled and original,
        "input": next((inputs[key] for key in keys if key in inputs), ""),
        "context_checkpoints": kept,
        "batch_tokens": batch_tokens,
    }


def _batch_tokens(launch: Launch) -> int:
    """Tokens of a batch that the command has to state; 0 where the usual ones or the program's own
    do: one that has to hold a whole text, or that reads prompts faster.
    """
    case = launch.judged.question.case
    if case is not None and case.format == "gguf" and case.row.encoder:
        return case.room.batch if case.room.batch > MICRO_BATCH_TOKENS else 0
    if launch.judged.needs is None or not launch.runtime.batches.beside_ram:
        return 0
    return launch.judged.needs.batch_tokens or 0


def _values_of_files(launch: Launch) -> dict[str, object]:
    """`quantized` is the repository of a conversion that the runtime has a rule for."""
    spec, kind = launch.spec, launch.workload.quantization or ""
    rule = launch.runtime.rule_of(kind)
    quantized, named, file_name = _conversion(launch)
    is_converted = launch.workload.format in CONVERTED or not getattr(
        rule, "at_load", True
    )
    parts = launch.runtime.parts.get(spec.id)
    stated_type = getattr(spec.needs, "dtype", None) or ""
    return {
        "repository": quantized or (None if is_converted else spec.repository),
        "quantized": rule and quantized,
        "quantization": (named or kind or stated_type).removeprefix(TRAINED_FOR),
        "file_name": quantized and file_name,
        "parts": parts and parts.words(kind),
        "tag": _tag(launch),
        "draft": launch.judged.question.companions and _draft(launch.judged.question),
    }


def _conversion(launch: Launch) -> tuple[str | None, str | None, str | None]:
    """The repository of quantized files; the publisher's word for the type; the file's name."""
    here, kind = launch.judged.question.here, launch.workload.quantization or ""
    repository = (
        here.repository
        if here is not None and launch.workload.format == "gguf"
        else None
    )
    files = listing_of(launch.spec, launch.workload)
    if files is None or repository not in (None, files.repository):
        return repository, None, None
    is_same = need.canonical_quantization
    named = next((name for name in files.quantizations if is_same(name) == kind), None)
    return files.repository, named, files.names.get(named or kind)


def _draft(question: Question) -> str | None:
    companions, published = question.companions, question.spec.draft
    if companions is not None and companions.own_block and published is not None:
        is_gguf = question.workload.format == "gguf"
        return published.gguf_repository if is_gguf else published.repository
    if companions is None or companions.draft is None or companions.draft_is_here:
        return None
    if question.workload.format != "gguf":
        return companions.draft.repository
    files = need.published(companions.draft, "gguf", companions.draft_quantization)
    repository = files[1].repository if files is not None else None
    return f"{repository}:{companions.draft_quantization}" if repository else None


def _tag(launch: Launch) -> str | None:
    spec, workload, here = launch.spec, launch.workload, launch.judged.question.here
    if workload.format == "ggml":
        size, type = spec.id.removeprefix("whisper-"), workload.quantization or ""
        return size if type == "F16" else f"{size}-{type.lower()}"
    if launch.tag is not None:
        return launch.tag
    tag = spec.library_tag
    default = need.default_format_and_quantization(spec, launch.runtime)[1]
    if (
        tag is not None
        and launch.runtime.library_tags.quantizations.get(tag, default)
        == workload.quantization
    ):
        return tag
    return (
        here.tag if here is not None and launch.runtime.id == workload.runtime else None
    )


def bytes_worth_bounding(judged: Judged, runtime: RuntimeSpec) -> int:
    """What a server comes to keep of long conversations beside the need; 0 where that is little."""
    question = judged.question
    if judged.memory is None:
        return 0
    more = need.more_in_conversation(question.spec, runtime, question.workload)
    return more if more >= _WORTH_BOUNDING * judged.memory.high_bytes else 0


def _device_word(launch: Launch) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices, cards = (
        launch.runtime.command_lines.devices,
        launch.machine.accelerators or (),
    )
    if launch.judged.placement not in (None, "host"):
        vendors = {cards[number].vendor for number in launch.cards_used if cards}
        several = "split" if launch.judged.placement == "split" else "several"
        is_one = several != "split" and len(launch.cards_used) == len(vendors) == 1
        return devices.get(vendors.pop() if is_one else several)
    # a GPU that shares the RAM is used where the program can, whatever the placement is called
    keys = ["host"]
    for gpu in reversed(cards):
        computes = computes_on_shared if gpu.vendor == "amd" else runs_on
        if gpu.unified and computes(launch.runtime, gpu):
            # PyTorch calls all of NVIDIA's alike, in a Jetson or a DGX Spark as on a card
            alike = ["nvidia"] if gpu.vendor == "nvidia" else []
            keys = [f"{gpu.vendor}-unified", *alike, *keys]
    return next((devices[key] for key in keys if key in devices), None)


def _options_needed(launch: Launch, values: Values) -> list[str]:
    spec, workload, runtime = launch.spec, launch.workload, launch.runtime
    drafts_itself, needs = workload.draft == need.OWN_BLOCK, launch.judged.needs
    is_lean = needs is not None and needs.is_lean
    is_published = drafts_itself and spec.draft is not None
    loads_by_option = is_published and "mtp_file" in runtime.command_lines.options
    told = "sequences_sampled" in runtime.settings_of(workload.runtime_options)
    # a server of text has to be told that it embeds or ranks
    use = "reranking" if spec.uses and spec.uses[0] == "reranking" else "embedding"
    needed = {
        use: spec.modality == "embedding",
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "lean": is_lean,
        "sampled": is_lean and not told,
        "parallel": workload.parallel > 1
        and not (told or (is_lean and "sampled" in runtime.command_lines.options)),
        "memory_share": values["memory_share"],
        "whole_batch": values["batch_tokens"],
        "mtp": drafts_itself and not loads_by_option,
        "mtp_file": loads_by_option,
        # llama.cpp finds the draft that lies beside the model's file (common/arg.cpp)
        "draft": (workload.draft is not None and not drafts_itself)
        or (
            is_published
            and not loads_by_option
            and values["repository"] != values["draft"]
        ),
        "context_tokens": runtime.memory.default_context_tokens
        and _must_state_context(launch),
        "checkpoints": values["context_checkpoints"],
        "yarn": launch.judged.has("context-scaled"),
        # the judged program computes on a GPU that shares the RAM, and this one does not
        "shared_gpu": "shared_gpu" in runtime.command_lines.settings
        and shared_gpu_of(launch.machine, launch.judged.question.runtime, is_used=True)
        and not shared_gpu_of(launch.machine, runtime, is_used=True),
        "unpacked": launch.judged.placement != "accelerator"
        and runtime.crashing_sets(launch.machine.instruction_sets),
        "tensor_parallel": len(launch.cards_used) > 1,
        "one_device": len(launch.cards_used) == 1 and launch.leaves_cards,
    }
    return [key for key, is_needed in needed.items() if is_needed]


def _memory_share(launch: Launch) -> float | None:
    """Of a GPU that shares the RAM: what the system leaves it, or what the model needs if more."""
    total, free = (
        launch.machine.memory_total_bytes,
        launch.machine.memory_available_bytes,
    )
    memory = launch.judged.memory
    is_shared = shared_gpu_of(launch.machine, launch.runtime, is_used=True) is not None
    is_stated = launch.runtime.settings_of(launch.workload.runtime_options).get(
        "memory_share"
    )
    if not is_shared or not total or memory is None or is_stated:
        return None
    left = LEFT_PERCENT if free is None else int(free / total * 100)
    return max(left, min(99, ceil(memory.total_bytes / total * 100))) / 100


def _must_state_context(launch: Launch) -> bool:
    """Whether the program would take another context than was judged. It cuts its own to what the
    model was trained for (llm/server.go of Ollama), and takes more by itself on large GPUs.
    """
    usual, tokens = (
        launch.runtime.memory.default_context_tokens,
        launch.workload.context_tokens,
    )
    least = launch.runtime.memory.longer_context_gpu_bytes
    if usual is None or tokens is None:
        return False
    trained = launch.judged.question.trained_tokens if tokens <= usual else None
    if tokens == trained or tokens != usual or least is None:
        return tokens not in (trained, usual)
    cards = launch.machine.accelerators or ()
    lent = lent_to_gpu(launch.machine) if cards else None
    shared = launch.machine.memory_total_bytes if lent is None else lent.most_bytes
    sizes = [
        card.memory_total_bytes or (shared if card.unified else None) for card in cards
    ]
    return None in sizes or sum(filter(None, sizes)) >= least


def _run_lines(
    launch: Launch,
    template: str | None = None,
    paths: Mapping[str, str] = {},
    *,
    with_server: bool = False,
) -> tuple[str, ...]:
    """The line that runs the model; a line that starts a server before it, where the program has
    settings only there. One for the usual context alone is left out, unless `with_server`: a
    beginner types `ollama run TAG`. `paths` stand in places of the template: a path may hold
    braces itself, so that it is never part of a template.
    """
    runtime, values, machine = launch.runtime, _values_of(launch), launch.machine
    needed = _options_needed(launch, values)
    set_by_server = [key for key in needed if key in runtime.command_lines.settings]
    is_usual = (
        set_by_server == ["context_tokens"] and not launch.judged.question.context_asked
    )
    if is_usual and not with_server:
        needed.remove("context_tokens")
    if launch.judged.offload is not None or template is None:
        lines = [_fill(text, values) for text in _templates(launch, values)]
        line = next(filter(None, lines), "")
    else:
        line = _fill(template, {**values, **paths})
    # those of the program that were asked for; "" for one that it has not
    options = [
        _fill(getattr(runtime.named_options.get(name), "line", ""), {"value": value})
        for name, value in launch.workload.runtime_options.items()
    ]
    options += [
        _fill(runtime.command_lines.options[key], values)
        for key in needed
        if key in runtime.command_lines.options
    ]
    # by an option, by a variable, or by the command, which says it anyway
    command = runtime.command_lines.default.replace(
        "{total_context_tokens}", "{context_tokens}"
    )
    stated = (
        *runtime.command_lines.options,
        *runtime.command_lines.settings,
        *_IF_IT_CAN,
    )
    unset = [key for key in needed if key not in stated and f"{{{key}}}" not in command]
    if unset or not line or not all(options):
        return ()
    line = " ".join((line, *options))
    settings = [
        _fill(runtime.command_lines.settings[key], values)
        for key in needed
        if key in runtime.command_lines.settings
    ]
    if not settings:
        return (line,)
    address = (
        (runtime.command_lines.settings["address"],)
        if "address" in runtime.command_lines.settings
        else ()
    )
    server = _with_variables(
        (*address, *settings), runtime.command_lines.serve, machine
    )
    return server, _with_variables(address, line, machine)


def _templates(launch: Launch, values: Values) -> list[str]:
    """The first that can be filled is typed."""
    runtime, family, way = launch.runtime, launch.spec.family, launch.judged.offload
    rule, other_lines = (
        runtime.rule_of(launch.workload.quantization),
        runtime.command_lines.by_use,
    )
    if way is not None:
        family_command = other_lines.get(family or "", "")
        is_by_itself = family_command and "{device}" not in family_command
        if is_by_itself:
            return [family_command]
        if rule is not None:
            return [rule.offload_commands.get(way, "")]
        return [runtime.command_lines.offload.get(way, "")]
    if rule is not None and rule.command and not values["quantized"]:
        return [rule.command, other_lines.get("repository", "")]
    line = runtime.command_of(launch.spec.family, launch.spec.uses)
    if "{cast}" not in line and need.is_cast(
        launch.spec, runtime, launch.workload.quantization
    ):
        # it would load the files as they are
        line = ""
    named = other_lines.get("named", "")
    lines = [line, named] if "{tag}" in line else [named, line]
    return [*lines, other_lines.get("repository", "")]


def commands(launch: Launch) -> tuple[str, ...]:
    """Lines that download and run the model as it was judged; () where it is to be trained."""
    question, here = launch.judged.question, launch.judged.question.here
    if launch.workload.task == "finetune":
        return ()
    if question.local_files:
        return _lines_of_own_files(launch)
    if (
        here is not None
        and here.path is not None
        and here.by_path
        and here.missing_bytes == 0
    ):
        return _lines_of_gguf(launch, here.path)
    lines = _run_lines(launch)
    # alone they are no other way to run it: `lines_by_tag` has them with what installs that program
    if (
        lines
        and launch.runtime.command_lines.shown_with
        and question.missing_bytes != 0
    ):
        other = launch.catalogue.runtime(launch.runtime.command_lines.shown_with)
        beside = lines_by_tag(launch.replace(runtime=other), with_server=True)
        # only where one line says it all
        lines += beside if len(beside) == 1 else ()
    return lines


def server_lines(launch: Launch) -> tuple[str, ...]:
    """The lines that start a server with the judged context and then run the model by its tag; ()
    where one line does the same.
    """
    plain = lines_by_tag(launch)
    whole = lines_by_tag(launch, with_server=True)
    return whole if len(plain) == 1 < len(whole) else ()


def lines_by_tag(launch: Launch, *, with_server: bool = False) -> tuple[str, ...]:
    """Lines by a tag of the runtime's, which is Ollama, where that loads what was judged; () where
    it has none, fetches or serves no such model, has no build for the machine, or may crash there.
    A tag that was typed may hold files of other runtimes.
    """
    runtime, machine = launch.runtime, launch.machine
    is_open = None in (machine.system, machine.architecture)
    has_build = is_open or machine.platform in runtime.platforms.systems
    is_served = launch.spec.modality in runtime.modalities and has_build
    # the processor computes a part of it at least
    may_crash = launch.judged.placement != "accelerator" and runtime.crashing_sets(
        machine.instruction_sets
    )
    is_here = (
        launch.judged.question.local_files or launch.judged.question.missing_bytes == 0
    )
    if may_crash or is_here or not (is_served and _takes(launch)):
        return ()
    if launch.spec.modality == "embedding" and machine.system != "windows":
        values = _values_of(launch)
        if (
            values["batch_tokens"] is not None
            and "long_embedding" in runtime.command_lines.by_use
        ):
            line = _fill(runtime.command_lines.by_use["long_embedding"], values)
            return (line,) if line else ()
    return _run_lines(launch, runtime.command_lines.default, with_server=with_server)


def _takes(launch: Launch) -> bool:
    """Whether what was judged would run with the program whose lines are typed, too."""
    runtime, workload = launch.runtime, launch.workload
    is_tagged = (
        launch.tag is not None and workload.runtime in runtime.library_tags.shared_with
    )
    if runtime.id == workload.runtime or not (
        is_tagged or workload.format in runtime.formats
    ):
        return workload.format in runtime.formats
    own = {"runtime": runtime.id, "quantization": workload.quantization}
    stated = launch.judged.question.stated.replace(format=None, **own)
    try:
        other = ask(launch.spec, stated, launch.catalogue, launch.machine)
    except WorkloadError:
        return is_tagged
    judged, needs = launch.judged.question.needs, other.needs
    if judged and needs and judged.memory and needs.memory:
        # what it takes beside what was judged, where each place that was judged has room for that
        more = max(0, needs.memory.high_bytes - judged.memory.high_bytes)
        held = filter(None, map(launch.judged.finding, MEMORY_CHECKS))
        sizes = [(each.needs, each.has) for each in held if each.unit == "bytes"]
        if all(float(takes or 0) + more <= float(has or 0) for takes, has in sizes):
            return True
    return judge(other, launch.machine).fits


def _lines_of_own_files(launch: Launch) -> tuple[str, ...]:
    path, type = launch.spec.origin, launch.workload.quantization
    if path.lower().endswith(".gguf"):
        return _lines_of_gguf(launch, path)
    is_file = path.lower().endswith((".json", ".safetensors"))
    folder = (os.path.dirname(path) or ".") if is_file else path
    rule, spec, runtime = launch.runtime.rule_of(type), launch.spec, launch.runtime
    usual = runtime.command_of(spec.family, spec.uses)
    usual *= "{cast}" in usual or not need.is_cast(spec, runtime, type)
    template = (rule.command if rule is not None else "") or usual
    typed = _shell_path(folder, launch.machine)
    # within a program of Python a quoted path would end the text
    is_misread = "'{repository}'" in template and (typed != folder or folder[0] == "~")
    if "{repository}" not in template or is_misread:
        return ()
    return _run_lines(launch, template, {"repository": typed})[:1]


def _lines_of_gguf(launch: Launch, path: str) -> tuple[str, ...]:
    """Of the very file that was judged; () where the runtime takes none."""
    here = launch.judged.question.here
    projector = here.projector if here is not None else None
    # names that stand in for a person's or computer's make no path
    words = path.replace("\\", "/").split("/") if here is not None else ()
    if {"USER", "HOST", "ID"} & {*words} or not path.lower().endswith(".gguf"):
        return ()
    if "-of-" in path:
        from ..core.files import numbered_files

        # llama.cpp finds the other parts of a split file from the first alone, in its file
        # src/llama-model-loader.cpp
        path = numbered_files(path)[0]
    return lines_of_file(launch, path, projector)


def lines_of_file(launch: Launch, path: str, projector: str | None) -> tuple[str, ...]:
    """The line that loads one GGUF file; () where the runtime takes none."""
    template = launch.runtime.command_lines.by_use.get("file", "")
    paths = {"file": _shell_path(path, launch.machine)}
    settings = launch.runtime.settings_of(launch.workload.runtime_options)
    if projector and settings.get("projector") != "none":
        template = template.replace(" -c ", " --mmproj {projector_file} -c ", 1)
        paths["projector_file"] = _shell_path(projector, launch.machine)
    return _run_lines(launch, template, paths)


def recipe(launch: Launch) -> tuple[tuple[str, ...], str, str | None] | None:
    """The lines that make the file that was judged, after a comment where it may be had, the file,
    and the projector beside it for a model that sees; None where the runtime has no converter,
    where the publisher's repository is not known, or where the quantization cannot be made so. Of
    a lone config.json they take the folder that it lies in, where the weights are to be put.
    """
    spec, runtime, workload = launch.spec, launch.runtime, launch.workload
    conversion, kind = runtime.conversion, workload.quantization or ""
    if conversion is None or not can_be_made(spec, runtime, workload):
        return None
    repository, comments = (
        spec.repository or "",
        [f"# or make {kind} files of {spec.name}"],
    )
    model, download = spec.id, conversion.download
    if spec.lone_config:
        # the folder as it is typed in a shell; nobody says where its weights are
        folder, beside = os.path.split(spec.lone_config)
        model, download = shell_word(folder or "."), ""
        comments = [
            f"# put the weights beside {beside}, then make {kind} files from them"
        ]
    elif not is_published(spec, workload):
        # `-hf` marks a conversion to transformers, whose name other conversions do not repeat
        name = repository.rpartition("/")[2].removesuffix("-hf")
        lacks = f"# this catalogue knows no published {kind} files of {spec.name}; look first at"
        page = _fill(conversion.look_first, {"name": name, "quantization": kind})
        comments = [lacks, f"# {page}", *comments]
    blanks = {
        "repository": repository,
        "model": model,
        "file": _fill(conversion.file, {"model": spec.id, "quantization": kind}),
        "quantization": kind,
        "type": conversion.types.get(kind) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": runtime.command_lines.blanks.get("remote_code", "")
        if spec.safety.remote_code
        else "",
    }
    is_quantized_after = kind not in conversion.types
    is_left_out = (
        runtime.settings_of(workload.runtime_options).get("projector") == "none"
    )
    projector = (
        conversion.projector if spec.modality == "vision" and not is_left_out else ""
    )
    converted = blanks["source"] if is_quantized_after else blanks["file"]
    programs = (
        _fill(download, blanks),
        _fill(conversion.convert, {**blanks, "file": converted}),
        _fill(conversion.quantize, blanks) if is_quantized_after else "",
        _fill(projector, blanks),
    )
    lines = (*comments, *conversion.tools, *filter(None, programs))
    return lines, blanks["file"], blanks["projector"] if projector else None


def training_lines(launch: Launch) -> tuple[tuple[str, ...], str]:
    """The line that installs the trainer, and the line that trains; () and "" where it would not
    run here, or where no command is known for the method. Where no command trains such models, the
    first is a comment that says what does.
    """
    runtime, workload, spec = launch.runtime, launch.workload, launch.spec
    method = workload.finetune_method or "lora"
    command = runtime.finetuning.commands.get(method, "")
    if not command or spec.repository is None:
        return (), ""
    elsewhere = runtime.finetuning.elsewhere.get(spec.modality)
    if elsewhere is not None:
        return (f"# {elsewhere}",), ""
    values = {
        "repository": spec.repository,
        "lora_rank": str(workload.lora_rank or DEFAULT_LORA_RANK),
        "context_tokens": str(workload.context_tokens),
        "parallel": str(workload.parallel),
    }
    packages, texts = runtime.finetuning.packages, runtime.finetuning.options
    names = packages.get(workload.optimizer or "") or packages.get(method)
    install = (f"pip install {names}",) if names else ()
    keys = [_device_word(launch) or "", workload.optimizer or ""]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if launch.leaves_cards and len(launch.cards_used) == 1:
        # without the option it would start a process on each of several accelerators
        keys.append("replicated")
    options = [_fill(texts[key], {"devices": 1}) for key in keys if key in texts]
    return install, " ".join((_fill(command, values), *options))
