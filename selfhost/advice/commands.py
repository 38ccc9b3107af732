"""The lines that run or train the model. They are printed, never run, and carry what was judged: a
line that would run something else is left out.
"""

from __future__ import annotations

import os

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.records import Record
from ..core.workload import DEFAULT_LORA_RANK, Workload
from ..judge.files import can_be_made, is_published
from ..machine.record import Machine
from ..needs.records import GATHERED
from .case import Case, Values, device_word, filled, options_needed, values_of
from .shells import in_shell, with_variables


def commands(case: Case) -> tuple[str, ...]:
    """Lines that download and run the model as it was judged; () unless it would run here."""
    question, here = case.question, case.question.here
    if not case.is_run or case.has_code("runtime-other-byte-order"):
        return ()
    if question.local_files:
        return _lines_of_own_files(case)
    if here is not None and here.path is not None and here.by_path and here.missing_bytes == 0:
        return _lines_of_gguf(case, here.path)
    lines = _run_lines(case)
    # alone they are no other way to run it: `by_tag` has them with what installs that program
    if lines and case.runtime.shown_with and question.missing_bytes != 0:
        lines += _second_line(case)
    return lines


def _second_line(case: Case) -> tuple[str, ...]:
    """The line of the program that is shown beside the judged one: only where it says it all."""
    second = case.replace(runtime=case.catalogue.runtime(case.runtime.shown_with), is_second=True)
    if second.may_crash or not _has_build(second.runtime, case.machine):
        return ()
    lines = _run_lines(second)
    return lines if len(lines) == 1 else ()


def _has_build(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Also where the machine's system or processor is not known."""
    unread = machine.system is None or machine.architecture is None
    return unread or f"{machine.system}-{machine.architecture}" in runtime.systems


def by_tag(case: Case) -> tuple[str, ...]:
    """Lines by a tag of the runtime's, which is Ollama, where that loads what was judged; () where
    it has none, fetches or serves no such model, has no build for the machine, or may crash there.
    A tag that was typed may hold files of other runtimes.
    """
    runtime, workload = case.runtime, case.workload
    is_taken = workload.format in runtime.formats or (
        case.tag is not None and workload.runtime in runtime.tags_of
    )
    is_served = case.spec.modality in runtime.modalities and _has_build(runtime, case.machine)
    if not (case.is_run and is_taken and is_served) or case.is_here or case.may_crash:
        return ()
    values = values_of(case)
    is_long = case.spec.modality == "embedding" and values["batch_tokens"] is not None
    if is_long and runtime.embedding_command and not case.is_windows:
        line = filled(runtime.embedding_command, values)
        return (line,) if line else ()
    return _run_lines(case, runtime.command)


# ------------------------------------------------------------------ files that are here


def _lines_of_own_files(case: Case) -> tuple[str, ...]:
    """Of a file or a folder of the user's, which is loaded in the place of a repository."""
    path = case.spec.origin
    if path.lower().endswith(".gguf"):
        return _lines_of_gguf(case, path)
    is_file = path.lower().endswith((".json", ".safetensors"))
    folder = (os.path.dirname(path) or ".") if is_file else path
    template = _command_of_type(case) or _command_of_model(case)
    typed = in_shell(folder, is_windows=case.is_windows)
    # within a program of Python a quoted path would end the text
    is_misread = "'{repository}'" in template and (typed != folder or folder[0] == "~")
    if "{repository}" not in template or is_misread:
        return ()
    return _run_lines(case, template.replace("{repository}", typed))[:1]


def _lines_of_gguf(case: Case, path: str) -> tuple[str, ...]:
    """Of the very file that was judged; () where the runtime takes none."""
    here = case.question.here
    projector = here.projector if here is not None else None
    # names that stand in for a person's or computer's make no path
    words = f"{path}/{projector}".replace("\\", "/").split("/")
    is_masked = here is not None and any(word in ("USER", "HOST", "ID") for word in words)
    if is_masked or not path.lower().endswith(".gguf"):
        return ()
    if "-of-" in path:
        from ..modelfiles.gguf import parts_of

        # llama.cpp finds the other parts of a split file from the first alone
        # (src/llama-model-loader.cpp)
        path = parts_of(path)[0]
    return _run_lines(case, _file_template(case, path, projector))


def _file_template(case: Case, path: str, projector: str | None) -> str:
    """The command that loads one GGUF file; "" where the runtime takes none."""
    line = case.runtime.file_command
    line = line.replace("{file}", in_shell(path, is_windows=case.is_windows))
    if projector:
        typed = in_shell(projector, is_windows=case.is_windows)
        line = line.replace(" -c ", f" --mmproj {typed} -c ", 1)
    return line


def lines_of_made_file(case: Case, file: str, projector: str | None = None) -> tuple[str, ...]:
    """The line that runs a file that was made or got apart; () where its files are here."""
    if case.is_here or not case.is_run:
        return ()
    return _run_lines(case, _file_template(case, file, projector))


# ------------------------------------------------------------------ one line


def _run_lines(case: Case, template: str | None = None) -> tuple[str, ...]:
    """A server to start first, where the program would do something else by itself, then the
    runtime's command, or `template` in its place; () where a line would run something else.
    """
    runtime, values, is_windows = case.runtime, values_of(case), case.is_windows
    needed = options_needed(case, values)
    if case.offload is not None:
        templates = [_offload_template(case, case.offload)]
    else:
        templates = _usual_templates(case, values) if template is None else [template]
    line = next(filter(None, (filled(text, values) for text in templates)), "")
    options = [filled(runtime.options[key], values) for key in needed if key in runtime.options]
    if not line or not all(options) or not all(_can_be_set(runtime, key) for key in needed):
        return ()
    line = " ".join((line, *options, *_options_of_placement(case)))
    settings = [filled(runtime.settings[key], values) for key in needed if key in runtime.settings]
    if not settings:
        return (line,)
    address = (runtime.server_address,) if runtime.server_address else ()
    server = with_variables((*address, *settings), runtime.serve, is_windows=is_windows)
    return server, with_variables(address, line, is_windows=is_windows)


def _can_be_set(runtime: RuntimeSpec, key: str) -> bool:
    """By an option, by a variable, or by the command, which says it anyway."""
    blanks = ["{" + key + "}", *(["{total_context_tokens}"] * (key == "context_tokens"))]
    is_said = any(blank in runtime.command for blank in blanks)
    return is_said or key in runtime.options or key in runtime.settings


def _options_of_placement(case: Case) -> list[str]:
    """What holds a program to what is counted, keeps it running, and has it use the accelerators
    that the model was judged on: several together, or one of those that are there.
    """
    runtime, used, needs, options = case.runtime, case.cards_used, case.judged.needs, []
    if runtime.lean_option and needs is not None and needs.is_lean:
        options.append(runtime.lean_option)
    if runtime.unpacked_option and case.may_crash:
        options.append(runtime.unpacked_option)
    if len(used) > 1 and runtime.tensor_parallel_option:
        options.append(runtime.tensor_parallel_option.replace("{devices}", str(len(used))))
    elif len(used) == 1 and case.leaves_cards and runtime.one_device_option:
        options.append(runtime.one_device_option.replace("{device}", str(used[0])))
    return options


def _offload_template(case: Case, way: str) -> str:
    """The line whose parts move to the GPU that `way`; "" where none is known."""
    rule = case.runtime.rule_of(case.quantization) or case.runtime
    of_family = case.runtime.commands.get(case.spec.family or "", "")
    # a family's own program that takes no device moves the parts by itself
    takes_device = "{device}" in of_family
    return of_family if of_family and not takes_device else rule.offload_commands.get(way, "")


def _usual_templates(case: Case, values: Values) -> list[str]:
    """The runtime's commands for that model, the first of which that can be filled is typed."""
    runtime, own = case.runtime, _command_of_type(case)
    if own and not values["quantized"]:
        return [own, runtime.repository_command]
    line = _command_of_model(case)
    lines = [line, runtime.named_command] if "{tag}" in line else [runtime.named_command, line]
    return [*lines, runtime.repository_command]


def _command_of_type(case: Case) -> str:
    """The command that the quantization has of its own; "" for none."""
    rule = case.runtime.rule_of(case.quantization)
    return rule.command or "" if rule is not None else ""


def _command_of_model(case: Case) -> str:
    """The command for models of that family or use; "" where it would load another type."""
    line = case.runtime.command_of(case.spec.family, case.spec.uses)
    # a line that loads the files as they are is another
    is_cast = need.is_cast(case.spec, case.runtime, case.quantization)
    return "" if is_cast and "{cast}" not in line else line


# ------------------------------------------------------------------ a file that is made


class Recipe(Record):
    """Lines that make `file`, and `projector` beside it for a model that sees (else None)."""

    lines: tuple[str, ...]
    file: str
    projector: str | None


def recipe(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> Recipe | None:
    """The lines that make the file that was judged, after a comment where it may be had; None where
    the runtime has no converter, where the publisher's repository is not known, or where the
    quantization cannot be made so. Of a lone config.json they take the folder that it lies in,
    where the weights are to be put.
    """
    conversion, kind = runtime.conversion, workload.quantization or ""
    if conversion is None or not can_be_made(spec, runtime, workload):
        return None
    # as it is typed in a shell
    folder = in_shell(os.path.dirname(spec.origin) or ".", is_windows=False)
    blanks = {
        "repository": spec.repository or "",
        "model": folder if spec.is_lone_config else spec.id,
        "file": filled(conversion.file, {"model": spec.id, "quantization": kind}),
        "quantization": kind,
        "type": conversion.types.get(kind) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": runtime.blanks.get("remote_code", "") if spec.safety.remote_code else "",
    }
    is_quantized_after = kind not in conversion.types
    sees = spec.modality == "vision" and bool(conversion.projector)
    converted = blanks["source"] if is_quantized_after else blanks["file"]
    programs = (
        # nobody says where the weights of a lone config.json are
        "" if spec.is_lone_config else filled(conversion.download, blanks),
        filled(conversion.convert, {**blanks, "file": converted}),
        filled(conversion.quantize, blanks) if is_quantized_after else "",
        filled(conversion.projector, blanks) if sees else "",
    )
    return Recipe(
        lines=(
            *_where_to_look(spec, workload, conversion.look_first),
            *conversion.tools,
            *filter(None, programs),
        ),
        file=blanks["file"],
        projector=blanks["projector"] if sees else None,
    )


def _where_to_look(spec: ModelSpec, workload: Workload, page: str) -> tuple[str, ...]:
    """Comments: that no published files are known, where they would be, and what to do else."""
    kind = workload.quantization or ""
    if spec.is_lone_config:
        beside = os.path.basename(spec.origin)
        return (f"# put the weights beside {beside}, then make {kind} of them",)
    to_do = f"# or make {kind} files of {spec.name}"
    if is_published(spec, workload):
        return (to_do,)
    lacks = f"# this catalogue knows no published {kind} files of {spec.name}; look first at"
    # `-hf` marks a conversion to transformers, whose name other conversions do not repeat
    name = (spec.repository or "").rpartition("/")[2].removesuffix("-hf")
    return lacks, f"# {filled(page, {'name': name, 'quantization': kind})}", to_do


# ------------------------------------------------------------------ training


def training_lines(case: Case) -> tuple[tuple[str, ...], str]:
    """The line that installs the trainer, and the line that trains; () and "" where it would not
    run here, or where no command is known for the method. Where no command trains such models, the
    first is a comment that says what does.
    """
    runtime, workload, spec = case.runtime, case.workload, case.spec
    method = workload.finetune_method or "lora"
    command = runtime.finetune_commands.get(method, "")
    if not command or not case.judged.fits or spec.repository is None:
        return (), ""
    elsewhere = runtime.finetune_elsewhere.get(spec.modality)
    if elsewhere is not None:
        return (f"# {elsewhere}",), ""
    values = {
        "repository": spec.repository,
        "lora_rank": str(workload.lora_rank or DEFAULT_LORA_RANK),
        "context_tokens": str(workload.context_tokens),
        "parallel": str(workload.parallel),
    }
    packages = runtime.finetune_packages
    names = packages.get(workload.optimizer or "") or packages.get(method)
    install = (f"pip install {names}",) if names else ()
    return install, " ".join((filled(command, values), *_training_options(case, method)))


def _training_options(case: Case, method: str) -> list[str]:
    """What the trainer would not do by itself."""
    workload, texts, number = case.workload, case.runtime.finetune_options, 1
    memory = case.judged.needs.memory if case.judged.needs is not None else None
    keys = [device_word(case) or "", workload.optimizer or ""]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if memory is not None and any(term.name == GATHERED for term in memory.terms):
        # accelerators share weights, gradients and optimizer out
        number = len(case.cards_used) or 1
        keys += ["sharded", f"sharded_{method}"]
    elif case.leaves_cards and len(case.cards_used) == 1:
        # it would start a process on each of several accelerators
        keys.append("replicated")
    return [texts[key].replace("{devices}", str(number)) for key in keys if key in texts]
