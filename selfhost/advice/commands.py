"""The lines to type next. They are printed, never run, and carry what was judged: a line that
would run something else is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.judging import judge
from ..verdict.question import ask
from ..verdict.record import Judged, Question
from .circumstances import (
    Circumstances,
    circumstances_of,
    departures,
    may_crash,
    own_context,
    tag_of,
)
from .template_values import file_values, filled, values_of, yarn_values


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
    circumstances = circumstances_of(question, runtime, judged, machine, catalogue)
    on_devices = _devices(runtime, judged, machine)
    if question.local_files:
        return _of_own_files(question, runtime, circumstances, on_devices)
    whole_file = _whole_file(question)
    if whole_file is not None:
        scaled = circumstances.scaled
        return () if scaled else _of_a_file(question, runtime, whole_file, circumstances)
    if circumstances.scaled and not yarn_values(question.spec):
        # how else to switch a scaling on differs from model to model: the publisher says it
        return ()
    lines = [line + on_devices for line in _lines(runtime, question, circumstances, tag=tag)]
    # alone they are no other way to run it: `by_tag` has them with what installs that program
    if lines and runtime.shown_with and question.missing_bytes != 0:
        other = catalogue.runtime(runtime.shown_with)
        if not may_crash(other, judged, machine):
            lines += _line_of_another(other, question, circumstances, machine, tag)
    return tuple(lines)


def _devices(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str:
    """As `devices_option`."""
    if not machine.accelerators:
        return ""
    from .device_options import devices_option

    return devices_option(runtime, judged, machine)


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
    from .file_lines import line_of_a_folder

    template = _untagged(runtime, question, "", {})
    line = line_of_a_folder(template, path, is_windows=circumstances.is_windows)
    lines = _lines(runtime, question, circumstances, line=line) if line else ()
    return (lines[0] + on_devices,) if lines else ()


def _of_a_file(
    question: Question, runtime: RuntimeSpec, path: str, circumstances: Circumstances
) -> tuple[str, ...]:
    """Of the very file that was judged."""
    from .file_lines import line_of_the_file

    line = line_of_the_file(question, runtime, path, is_windows=circumstances.is_windows)
    return _lines(runtime, question, circumstances, line=line) if line else ()


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
    takes_longer = own_context(runtime, machine) is not None
    # what bounds the program that was judged is no option of this one
    as_asked = circumstances.replace(takes_longer=takes_longer, bounds=())
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
    cannot do what is asked or may crash there, or what it loads would not fit.
    """
    spec, workload, runtime = question.spec, question.workload, catalogue.runtime("ollama")
    tag = typed or tag_of(spec, workload)
    holds_files_of = runtime.tags_of if typed else ()
    if tag is None or not judged.fits or not _is_served(question, runtime, machine, holds_files_of):
        return None
    if may_crash(runtime, judged, machine):
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
    circumstances = circumstances_of(question, runtime, judged, machine, catalogue)
    lines = _lines(runtime, question, circumstances, line=runtime.command.replace("{tag}", tag))
    return ByTag(tag=tag, quantization=quantization, lines=lines) if lines else None


def _is_served(
    question: Question, runtime: RuntimeSpec, machine: Machine, others: Sequence[str] = ()
) -> bool:
    """Whether the runtime would fetch and serve what is asked, and it is not here already. It takes
    files of `others` too.
    """
    workload = question.workload
    is_taken = workload.format in runtime.formats or workload.runtime in others
    if not is_taken or workload.task != "generate":
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
    circumstances = circumstances_of(question, runtime, judged, machine, catalogue)
    is_here = question.local_files or question.missing_bytes == 0
    if is_here or (circumstances.scaled and not yarn_values(question.spec)):
        return ()
    from .file_lines import line_of_a_file

    line = line_of_a_file(runtime, file, projector, is_windows=circumstances.is_windows)
    return _lines(runtime, question, circumstances, line=line) if line else ()


def _has_build(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Also where the machine's system or processor is not known."""
    unread = machine.system is None or machine.architecture is None
    return unread or f"{machine.system}-{machine.architecture}" in runtime.systems


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
    departs = departures(runtime, question, circumstances)
    if not all(_can_be_set(runtime, key) for key in departs):
        return ()
    values = values_of(question, runtime, circumstances)
    if circumstances.offload is not None:
        line = _offload_line(runtime, question, circumstances.offload)
        run_line = filled(line, values)
    else:
        run_line = filled(line, values) if line else _run_line(runtime, question, tag, values)
    if not run_line:
        return ()
    extra = [filled(runtime.options[key], values) for key in departs if key in runtime.options]
    if not all(extra):
        return ()
    settings = [filled(runtime.settings[key], values) for key in departs if key in runtime.settings]
    last = " ".join((run_line, *extra, *circumstances.bounds))
    if not settings:
        return (_after(circumstances.environment, last, circumstances),)
    address = [runtime.server_address] if runtime.server_address else []
    return (
        _after([*address, *settings], runtime.serve, circumstances),
        _after(address, last, circumstances),
    )


def _after(settings: Sequence[str], command: str, circumstances: Circumstances) -> str:
    """The command with environment variables; most have none."""
    if not settings:
        return command
    from .shells import with_environment

    return with_environment(settings, command, is_windows=circumstances.is_windows)


def _can_be_set(runtime: RuntimeSpec, key: str) -> bool:
    return key in runtime.options or key in runtime.settings or _carried(runtime, key)


def _offload_line(runtime: RuntimeSpec, question: Question, way: str) -> str:
    """The line whose parts move to the GPU that `way`; "" where none is known."""
    rule = runtime.rule_of(question.workload.quantization) or runtime
    own = runtime.commands.get(question.spec.family or "", "")
    # a family's own program that is told no device moves the parts by itself
    return own if own and "{device}" not in own else rule.offload_commands.get(way, "")


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
        line = filled(_untagged(runtime, question, named, values), values)
    if not line and "file_name" in values and is_tagged:
        line = filled(runtime.named_command, values)
    return line or filled(runtime.repository_command, values)


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


def _carried(runtime: RuntimeSpec, key: str) -> bool:
    """The runtime's command says it anyway."""
    return "{" + key + "}" in runtime.command or (
        key == "context_tokens" and "{total_context_tokens}" in runtime.command
    )


def _loaded_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    default = need.default_format_and_quantization(spec, runtime)[1]
    return workload.quantization == runtime.tags.get(tag_of(spec, workload) or "", default)


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
    line = filled(
        runtime.seeing_command,
        {key: value for key, value in file_values(question, runtime).items() if value},
    )
    why = f"{runtime.name} takes no images; {runtime.seeing_program} does, in more memory"
    return f"# {why}: {runtime.seeing_install}", *([f"# {line}"] if line else [])
