"""What to type, in order: the lines that come first, then those that run the model as judged."""

from __future__ import annotations

from ..catalogue.index import Catalogue
from ..catalogue.spec import RuntimeSpec
from ..core import units
from ..core.records import Record
from ..judge.checks.runtime import runtime_check
from ..judge.making import typed_file
from ..judge.record import Judged, Question
from ..machine.record import Machine
from .blanks import in_powershell
from .case import Case, longer_context
from .commands import (
    ByTag,
    by_tag,
    commands,
    downloads,
    has_other_byte_order,
    lines_of_made_file,
    to_see,
)
from .install import device_note, install_lines, login_lines, runtime_lines, shared_memory_lines

# the repository and the file come from a sourced listing, or the file is here
LISTED = "listed"
# nobody has seen the file: its publisher usually has it, or you make it
UNLISTED = "unlisted"
_UNVERIFIED = "# not verified: that the repository holds this file"


class Steps(Record):
    """`setup` are lines to type first, () where nothing is missing; `commands` those that download
    and run the model, () where none is known; `commands_class` is LISTED or UNLISTED, of the first
    of them, None where there is none. A line that begins with `#` is a comment. `runtime`: whose
    program the commands start, None where that is the judged one.
    """

    setup: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    runtime: RuntimeSpec | None = None
    commands_class: str | None = None


def steps(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
    by_tag_first: bool = False,
) -> Steps:
    """All lines for a model that runs, as the machine's shell takes them; no line at all where it
    would not run here, or where no command is known. `tag` is what Ollama calls the model in the
    judged quantization, where that was typed; with `by_tag_first` the lines are Ollama's, where its
    library has what was judged.
    """
    if question.runtime is None:
        return Steps()
    case = Case(
        question=question,
        judged=judged,
        catalogue=catalogue,
        machine=machine,
        runtime=question.runtime,
        tag=tag,
    )
    lines = _steps(case, by_tag_first=by_tag_first)
    if case.runtime.launched:
        lines = lines.replace(commands=_as_launched(case, lines.commands))
    if not case.is_windows:
        return lines
    return lines.replace(
        setup=tuple(map(in_powershell, lines.setup)),
        commands=tuple(map(in_powershell, lines.commands)),
    )


def _as_launched(case: Case, lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines with the launcher that is here where the program itself is not: llama.cpp's
    installer puts `llama` alone into place, and in a home folder it may lie beside PATH.
    """
    runtime = case.runtime
    present = next((each for each in case.machine.runtimes or () if each.id == runtime.id), None)
    path = (present.path or "").replace("\\", "/") if present is not None else ""
    launcher = runtime.launched.get(path.rpartition("/")[2].removesuffix(".exe"))
    if launcher is None:
        return lines
    if path.startswith("~/") and not case.is_windows:
        launcher = f"{path} {launcher.partition(' ')[2]}"
    program = runtime.present[0]
    return tuple(
        " ".join(launcher if word == program else word for word in line.split(" "))
        for line in lines
    )


def _steps(case: Case, *, by_tag_first: bool) -> Steps:
    """As `steps`, in the words of POSIX shells."""
    lines = commands(case)
    first = (
        *install_lines(case, lines),
        *_notes_on_program(case),
        *shared_memory_lines(case),
        *device_note(case),
        *login_lines(case),
    )
    if case.workload.task == "finetune":
        from .training import training_lines

        trainer, line = training_lines(case)
        if not line:
            return Steps(setup=trainer)
        return Steps(setup=(*first, *trainer), commands=(line,), commands_class=LISTED)
    if has_other_byte_order(case):
        return Steps()
    tagged = by_tag(case) if by_tag_first or not lines else None
    if tagged is not None and tagged.lines:
        return _steps_by_tag(case, tagged)
    return (
        _steps_of_published(case, first, lines) if lines else _steps_of_files(case, first, tagged)
    )


def _steps_of_published(case: Case, first: tuple[str, ...], lines: tuple[str, ...]) -> Steps:
    """Those that download the published files, or load the files that are here."""
    question, workload = case.question, case.workload
    here = question.here
    files = case.spec.files_of(workload.format or "", case.quantization)
    is_known = question.local_files or (here is not None and (here.by_path or here.repository))
    is_listed = is_known or files is None or files.listed or files.named
    return Steps(
        setup=(
            *first,
            *to_see(question),
            *_server_address(case.runtime),
            *_longer_context_note(case, lines),
            *(() if is_listed else (_UNVERIFIED,)),
            *downloads(question),
        ),
        commands=lines,
        commands_class=LISTED if is_listed else UNLISTED,
    )


def _steps_by_tag(case: Case, tagged: ByTag) -> Steps:
    """The lines of Ollama, which has the file that the judged runtime would have to be made."""
    other = case.replace(runtime=case.catalogue.runtime("ollama"))
    runtime, lines = other.runtime, tagged.lines
    finding = runtime_check(case.machine, runtime, loads=None)
    server = ("# the service has settings of its own; this server has the judged ones",)
    return Steps(
        setup=(
            f"# {runtime.name} has this model in {tagged.quantization}",
            *runtime_lines(runtime, finding.code, case.machine),
            *shared_memory_lines(case),
            *(server if len(lines) > 1 else ()),
            *_longer_context_note(other, lines),
        ),
        commands=lines,
        runtime=runtime,
        commands_class=LISTED if "aliases" in case.spec.sources else UNLISTED,
    )


def _steps_of_files(case: Case, first: tuple[str, ...], tagged: ByTag | None) -> Steps:
    """Of a model without a command of its own: those of the published file whose name was typed,
    wherever it lies, else those that make a file of the published weights. `tagged` is how Ollama
    has the model otherwise.
    """
    from .conversion import recipe

    spec, runtime, workload = case.spec, case.runtime, case.workload
    address = _server_address(runtime)
    named = typed_file(spec, workload.format or "", case.quantization)
    if named is not None:
        # none of a tag, which only Ollama downloads, and of a name without the ending of a file
        file = named.names.get(case.quantization)
        lines = lines_of_made_file(case, file, None) if file is not None else ()
        page = f"; Hugging Face lists who publishes it: {spec.conversions_page}"
        where = f"# download {file}{page if spec.conversions_page else ''}"
        setup: tuple[str, ...] = (*first, where, *address)
    else:
        making = case.judged.needs.making if case.judged.needs is not None else None
        conversion = recipe(spec, runtime, workload, making)
        if conversion is None:
            return Steps()
        lines = lines_of_made_file(case, conversion.file, conversion.projector)
        without: tuple[str, ...] = ()
        if tagged is not None:
            # the tag loads something else than was judged
            kind, tag = tagged.quantization, tagged.tag
            without = (f"# without converting, in {kind} by Ollama: ollama run {tag}",)
        setup = (*without, *first, *to_see(case.question), *conversion.lines, *address)
    return Steps(setup=setup, commands=lines, commands_class=UNLISTED) if lines else Steps()


# ------------------------------------------------------------------ comments


def _longer_context_note(case: Case, lines: tuple[str, ...]) -> tuple[str, ...]:
    """A comment on the memory that the program takes where it is left the context that it takes by
    itself; () where a server of its own has the judged one.
    """
    longer = longer_context(case) if len(lines) == 1 else None
    if longer is None:
        return ()
    tokens, memory_bytes = longer
    return (
        f"# {case.runtime.name} makes room for {units.tokens(tokens)} of context here:"
        f" {units.binary(memory_bytes)} in all",
    )


def _notes_on_program(case: Case) -> tuple[str, ...]:
    """Comments on another program that the users of such a model run, and on who places a mixture
    that an accelerator does not hold: no option does.
    """
    architecture, runtime = case.spec.architecture, case.runtime
    if architecture is None or case.workload.task != "generate":
        return ()
    has_experts = any(group.experts for group in architecture.feed_forward)
    is_split = case.placement == "split" and has_experts
    notes = (runtime.other_programs.get(architecture.row), is_split and runtime.split_mixture)
    return tuple(f"# {note}" for note in notes if note)


def _server_address(runtime: RuntimeSpec) -> tuple[str, ...]:
    """A comment on where the server that the line starts is found; () where it starts none."""
    if runtime.service is None or not runtime.serves_api:
        return ()
    address = f"http://127.0.0.1:{runtime.service.port}"
    return (f"# answers at {address}, the OpenAI API under {runtime.serves_api}",)
