"""The lines that run the model. They are printed, never run, and carry what was judged: a line that
would run something else is left out.
"""

from __future__ import annotations

import os

from .. import needs as need
from ..catalogue.runtime import Conversion
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..judge.files import can_be_made, is_published
from ..judge.record import Question
from ..machine.record import Machine
from .blanks import (
    Values,
    bounds,
    filled,
    in_shell,
    options_needed,
    values_of,
    with_variables,
    yarn_values,
)
from .case import Case, devices_option, may_crash, tag_of


def commands(case: Case) -> tuple[str, ...]:
    """Lines that download and run the model as it was judged; () unless it would run here."""
    question, here = case.question, case.question.here
    if not case.is_run or has_other_byte_order(case):
        return ()
    if question.local_files:
        return _lines_of_own_files(case)
    if here is not None and here.path is not None and here.by_path and here.missing_bytes == 0:
        return () if case.is_scaled else _lines_of_gguf(case, here.path)
    if not _is_scaling_known(case):
        return ()
    lines = tuple(line + devices_option(case) for line in run_lines(case))
    # alone they are no other way to run it: `by_tag` has them with what installs that program
    if lines and case.runtime.shown_with and question.missing_bytes != 0:
        lines += _second_line(case)
    return lines


def _second_line(case: Case) -> tuple[str, ...]:
    """The line of the program that is shown beside the judged one: only where it says it all."""
    second = case.replace(runtime=case.catalogue.runtime(case.runtime.shown_with), is_second=True)
    if may_crash(second) or not _has_build(second.runtime, case.machine):
        return ()
    lines = run_lines(second)
    return lines if len(lines) == 1 else ()


def has_other_byte_order(case: Case) -> bool:
    """Whether the runtime loads no file there that was not converted to the other byte order."""
    return case.has_code("runtime-other-byte-order")


def _is_scaling_known(case: Case) -> bool:
    """How to switch a scaling on differs from model to model: the publisher says it."""
    return not case.is_scaled or yarn_values(case.spec)["yarn_factor"] is not None


def _has_build(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Also where the machine's system or processor is not known."""
    unread = machine.system is None or machine.architecture is None
    return unread or f"{machine.system}-{machine.architecture}" in runtime.systems


# ------------------------------------------------------------------ files that are here


def _lines_of_own_files(case: Case) -> tuple[str, ...]:
    """Of a file or a folder of the user's, which is loaded in the place of a repository."""
    path = case.spec.origin
    if path.lower().endswith(".gguf"):
        return _lines_of_gguf(case, path)
    is_file = path.lower().endswith((".json", ".safetensors"))
    folder = (os.path.dirname(path) or ".") if is_file else path
    template, typed = _template(case, {}), in_shell(folder, is_windows=case.is_windows)
    # within a program of Python a quoted path would end the text
    is_misread = "'{repository}'" in template and (typed != folder or folder[0] == "~")
    if "{repository}" not in template or is_misread:
        return ()
    lines = run_lines(case, template.replace("{repository}", typed))
    return (lines[0] + devices_option(case),) if lines else ()


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
    return run_lines(case, _file_template(case, path, projector))


def _file_template(case: Case, path: str, projector: str | None) -> str:
    """The command that loads one GGUF file; "" where the runtime takes none."""
    typed = in_shell(path, is_windows=case.is_windows)
    line = case.runtime.file_command.replace("{file}", typed)
    if projector:
        typed = in_shell(projector, is_windows=case.is_windows)
        line = line.replace(" -c ", f" --mmproj {typed} -c ", 1)
    return line


def lines_of_made_file(case: Case, file: str, projector: str | None) -> tuple[str, ...]:
    """The line that runs a file that was made or got apart; () where its files are here."""
    if case.is_here or not case.is_run or not _is_scaling_known(case):
        return ()
    return run_lines(case, _file_template(case, file, projector))


# ------------------------------------------------------------------ by tag


def by_tag(case: Case) -> tuple[str, ...]:
    """Lines by Ollama's own tag, or the typed one, where that loads what was judged; () where it
    has no tag, serves no such models, has no build for the machine, or may crash there.
    """
    spec, workload = case.spec, case.workload
    tagged = case.replace(runtime=case.catalogue.runtime("ollama"))
    runtime, tag = tagged.runtime, case.tag or tag_of(spec, workload)
    if tag is None or not _is_served(tagged) or may_crash(tagged):
        return ()
    default = need.default_format_and_quantization(spec, runtime)[1]
    loaded = workload.quantization if case.tag else runtime.tags.get(tag, default)
    if loaded != workload.quantization:
        return ()
    return run_lines(tagged, runtime.command.replace("{tag}", tag))


def _is_served(case: Case) -> bool:
    """Whether the runtime would fetch and serve what is asked, and it is not here already. A tag
    that was typed may hold files of other runtimes.
    """
    runtime, workload = case.runtime, case.workload
    is_taken = workload.format in runtime.formats or (
        case.tag is not None and workload.runtime in runtime.tags_of
    )
    is_built = case.spec.modality in runtime.modalities and _has_build(runtime, case.machine)
    return case.is_run and is_taken and is_built and not case.is_here


# ------------------------------------------------------------------ one line


def run_lines(case: Case, template: str | None = None) -> tuple[str, ...]:
    """A server to start first, where the program would do something else by itself, then the
    runtime's command, or `template` in its place; () where a line would run something else.
    """
    runtime, values = case.runtime, values_of(case)
    needed = options_needed(case, values)
    if case.offload is not None:
        line = filled(_offload_template(case, case.offload), values)
    else:
        line = _usual_line(case, values) if template is None else filled(template, values)
    options = [filled(runtime.options[key], values) for key in needed if key in runtime.options]
    if not line or not all(options) or not all(_can_be_set(runtime, key) for key in needed):
        return ()
    line = " ".join((line, *options, *bounds(case)))
    settings = [filled(runtime.settings[key], values) for key in needed if key in runtime.settings]
    is_windows = case.is_windows
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


def _offload_template(case: Case, way: str) -> str:
    """The line whose parts move to the GPU that `way`; "" where none is known."""
    rule = case.runtime.rule_of(case.quantization) or case.runtime
    of_family = case.runtime.commands.get(case.spec.family or "", "")
    # a family's own program that takes no device moves the parts by itself
    takes_device = "{device}" in of_family
    return of_family if of_family and not takes_device else rule.offload_commands.get(way, "")


def _usual_line(case: Case, values: Values) -> str:
    """The runtime's command for that model, without options; "" where none is known."""
    runtime, here, workload = case.runtime, case.question.here, case.workload
    is_tagged = "{tag}" in runtime.command and workload.format == "gguf"
    default = need.default_format_and_quantization(case.spec, runtime)[1]
    loaded = runtime.tags.get(tag_of(case.spec, workload) or "", default)
    if is_tagged and workload.quantization != loaded:
        # a bare tag loads its own quantization, whatever was asked
        tag = case.tag
        if tag is None and here is not None and runtime.id == workload.runtime:
            tag = here.tag
        line = runtime.command.replace("{tag}", tag) if tag else ""
    else:
        line = _template(case, values, by_file_name=not is_tagged)
    line = filled(line, values)
    if not line and values["file_name"] and is_tagged:
        line = filled(runtime.named_command, values)
    return line or filled(runtime.repository_command, values)


def _template(case: Case, values: Values, *, by_file_name: bool = False) -> str:
    """The command that a quantization has of its own, else the one by file name, else the usual."""
    runtime, spec = case.runtime, case.spec
    rule = runtime.rule_of(case.quantization)
    if rule is not None and rule.command and not values.get("quantized"):
        return rule.command
    named = runtime.named_command if by_file_name and values.get("file_name") else ""
    line = named or runtime.command_of(spec.family, spec.uses)
    # a line that loads the files as they are is another
    return line if "{cast}" in line or not need.is_cast(spec, runtime, case.quantization) else ""


# ------------------------------------------------------------------ beside the line


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


# ------------------------------------------------------------------ a file that is made


class Recipe(Record):
    """Lines that make `file`, and `projector` beside it for a model that sees (else None)."""

    lines: tuple[str, ...]
    file: str
    projector: str | None


def recipe(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> Recipe | None:
    """The lines that make the file that was judged, after a comment where it may be had; None where
    the runtime has no converter, where the publisher's repository is not known, or where the
    quantization cannot be made so. Of a lone config.json they take the folder that it lies in,
    where the weights are to be put.
    """
    conversion, quantization = runtime.conversion, workload.quantization or ""
    if conversion is None or not can_be_made(spec, runtime, workload):
        return None
    # as it is typed in a shell
    folder = in_shell(os.path.dirname(spec.origin) or ".", is_windows=False)
    blanks = {
        "repository": spec.repository or "",
        "model": folder if spec.is_lone_config else spec.id,
        "file": filled(conversion.file, {"model": spec.id, "quantization": quantization}),
        "quantization": quantization,
        "type": conversion.types.get(quantization) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": runtime.blanks.get("remote_code", "") if spec.safety.remote_code else "",
    }
    written = blanks if quantization in conversion.types else {**blanks, "file": blanks["source"]}
    # nobody says where the weights of a lone config.json are
    download = "" if spec.is_lone_config else conversion.download
    lines = [
        *_where_to_look(spec, conversion, workload),
        _to_do(spec, quantization),
        *conversion.tools,
        *filter(None, [filled(download, blanks)]),
        filled(conversion.convert, written),
    ]
    if quantization not in conversion.types:
        lines.append(filled(conversion.quantize, blanks))
    sees = spec.modality == "vision" and bool(conversion.projector)
    if sees:
        lines.append(filled(conversion.projector, blanks))
    return Recipe(
        lines=tuple(lines), file=blanks["file"], projector=blanks["projector"] if sees else None
    )


def _where_to_look(spec: ModelSpec, conversion: Conversion, workload: Workload) -> tuple[str, ...]:
    """Comments: that no published files are known, and where they would be."""
    if spec.is_lone_config or is_published(spec, workload):
        return ()
    quantization = workload.quantization or ""
    lacks = f"# this catalogue knows no published {quantization} files of {spec.name}"
    # `-hf` marks a conversion to transformers, whose name other conversions do not repeat
    name = (spec.repository or "").rpartition("/")[2].removesuffix("-hf")
    where = filled(conversion.look_first, {"name": name, "quantization": quantization})
    return f"{lacks}; look first at", f"# {where}"


def _to_do(spec: ModelSpec, quantization: str) -> str:
    if spec.is_lone_config:
        beside = os.path.basename(spec.origin)
        return f"# put the weights beside {beside}, then make {quantization} of them"
    return f"# or make {quantization} files of {spec.name}"
