"""What to type before the model runs and to run it: installation, login, commands, with notes on
each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from ..judge.checks.accelerator import more_for_shared
from ..judge.checks.model import gate_remedy
from ..judge.checks.runtime import install_lines, runtime_check
from ..judge.pace.engine import uses_shared_gpu
from ..judge.placement.devices import computes_on_shared, is_built_for, reaches
from ..judge.record import Judged, Question
from ..machine.record import Accelerator, Machine
from .commands import Launch, commands, lines_by_tag, lines_of_file, recipe, training_lines

# the repository and the file come from a sourced listing, or the file is here
_LISTED = "listed"
# nobody has seen the file: its publisher usually has it, or you make it
_UNLISTED = "unlisted"


class Steps(Record):
    """`setup` are lines to type first, () where nothing is missing; `commands` those that download
    and run the model, () where none is known; `commands_class` is "listed" or "unlisted", of the
    first of them, None where there is none. A line that begins with `#` is a comment. `runtime`:
    whose program the commands start, None where that is the judged one.
    """

    setup: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    runtime: RuntimeSpec | None = None
    commands_class: str | None = None


def steps(
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
    by_tag_first: bool = False,
) -> Steps:
    """All lines for a model that runs, as the machine's shell takes them, none where it does not or
    no command is known. `tag` is what Ollama calls the model, where that was typed; with
    `by_tag_first` the lines are Ollama's, where its library has what was judged.
    """
    if judged.question.runtime is None:
        return Steps()
    launch = Launch(judged, catalogue, machine, judged.question.runtime, tag)
    lines, own = commands(launch), judged.question.workload
    first = (*_install(launch, lines), *_shared_memory_lines(launch), *_login_lines(launch))
    answer = Steps()
    if own.task == "finetune":
        trainer, line = training_lines(launch)
        answer = Steps(setup=trainer)
        if line:
            answer = Steps(setup=(*first, *trainer), commands=(line,), commands_class=_LISTED)
    elif launch.is_run:
        other = launch.with_runtime("ollama") if by_tag_first or not lines else None
        tagged = lines_by_tag(other) if other is not None else ()
        if other is not None and tagged:
            answer = _steps_by_tag(other, tagged)
        elif lines:
            answer = _steps_of_published(launch, first, lines)
        else:
            answer = _steps_of_files(launch, first)
    if machine.system != "windows":
        return answer
    return answer.replace(
        setup=tuple(map(_powershell_line, answer.setup)),
        commands=tuple(map(_powershell_line, answer.commands)),
    )


def _powershell_line(line: str) -> str:
    """As Windows' own PowerShell 5.1 takes it: without `&&` (about_Pipeline_Chain_Operators), and
    with `curl` for Invoke-WebRequest (about_Aliases).
    """
    if line.startswith("#"):
        return line
    # a comment would take the brackets behind it
    code, mark, comment = line.partition("  # ")
    programs = [
        f"curl.exe {program[5:]}" if program.startswith("curl ") else program
        for program in code.split(" && ")
    ]
    chained = "; if ($?) { ".join(programs) + " }" * (len(programs) - 1)
    return f"{chained}{mark}{comment}"


def _steps_of_published(launch: Launch, first: tuple[str, ...], lines: tuple[str, ...]) -> Steps:
    question, quantization = launch.question, launch.workload.quantization
    here = question.here
    files = launch.spec.files_of(launch.workload.format, quantization)
    is_known = question.local_files or (here is not None and (here.by_path or here.repository))
    is_listed = is_known or files is None or files.listed or files.named
    setup = [*first, *_server_address(launch.runtime)]
    if not is_listed:
        setup.append("# not verified: that the repository holds this file")
    parts = None if question.local_files else need.parts_of(launch.spec, launch.runtime)
    for part in parts.files if parts is not None else ():
        name = part.file_in(quantization or "")
        setup.append(f"hf download {part.repository} {name} --local-dir models")
    kind = _LISTED if is_listed else _UNLISTED
    return Steps(setup=tuple(setup), commands=lines, commands_class=kind)


def _steps_by_tag(launch: Launch, lines: tuple[str, ...]) -> Steps:
    runtime = launch.runtime
    question = Question(spec=launch.spec, workload=launch.workload, runtime=runtime)
    code = runtime_check(question, launch.machine).code
    server = ("# the service has settings of its own; this server has the judged ones",)
    return Steps(
        setup=(
            f"# {runtime.name} has this model in {launch.workload.quantization}",
            *_runtime_lines(runtime, code, launch.machine, [launch.machine.system or "linux"]),
            *_shared_memory_lines(launch),
            *(server if len(lines) > 1 else ()),
        ),
        commands=lines,
        runtime=runtime,
        commands_class=_LISTED if "aliases" in launch.spec.sources else _UNLISTED,
    )


def _steps_of_files(launch: Launch, first: tuple[str, ...]) -> Steps:
    """Of the published file whose name was typed, else of one made of the published weights."""
    spec, quantization = launch.spec, launch.workload.quantization or ""
    named = spec.files_of(launch.workload.format, quantization)
    is_named = named is not None and named.named
    file = named.names.get(quantization) if named is not None and is_named else None
    file_lines = None if is_named else recipe(launch)
    if file is not None:
        page = f"; Hugging Face lists who publishes it: {spec.conversions_page}"
        file_lines = (f"# download {file}{page if spec.conversions_page else ''}",), file, None
    if file_lines is None or launch.question.is_here:
        return Steps()
    setup, path, projector = file_lines
    lines = lines_of_file(launch, path, projector)
    setup = (*first, *setup, *_server_address(launch.runtime))
    return Steps(setup=setup, commands=lines, commands_class=_UNLISTED) if lines else Steps()


def _install(launch: Launch, run_lines: Sequence[str]) -> tuple[str, ...]:
    runtime, machine = launch.runtime, launch.machine
    judged = launch.judged.finding("runtime")
    rule = runtime.rule_of(launch.workload.quantization)
    beside = (f"pip install {rule.needs}",) if rule is not None and rule.needs else ()
    lines = _runtime_lines(runtime, judged.code if judged else "", machine, _places(launch))
    said, family = "\n".join(run_lines), launch.spec.family
    beyond = [names for key, names in runtime.packages.items() if key == family or key in said]
    packages = " ".join(dict.fromkeys(" ".join(beyond if run_lines else ()).split()))
    if packages and lines and lines[-1].startswith("pip install "):
        # in one line, or pip would first get a torch that a package of the second takes back
        lines = (*lines[:-1], f"{lines[-1]} {packages}")
    elif packages:
        lines = (*lines, f"pip install {packages}")
    return (*_first_for_accelerator(launch), *lines, *beside) if lines else beside


def _runtime_lines(
    runtime: RuntimeSpec, code: str, machine: Machine, places: Sequence[str]
) -> tuple[str, ...]:
    """How to get the runtime, by the finding's `code`; on an unknown system as on Linux."""
    if code not in ("runtime-not-installed", "runtime-not-searched"):
        return ()
    if machine.platform in runtime.builds_from_source:
        return (f"# build {runtime.name} from source: {runtime.source_build}",)
    lines = install_lines(runtime, places)
    if not lines and runtime.builds:
        lines = (f"# download {runtime.name}: {runtime.builds}",)
    if lines and runtime.install_needs:
        lines = (f"# first: {runtime.install_needs}", *lines)
    if lines and machine.system is None and "any" not in runtime.install:
        lines = ("# on Linux", *lines)
    if lines and code == "runtime-not-searched":
        lines = (f"# unless {runtime.name} is installed", *lines)
    return lines


def _places(launch: Launch) -> list[str]:
    """Keys of a runtime's `install`, closest first: `linux-nvidia`, `linux-accelerator`, …"""
    machine, system = launch.machine, launch.machine.system or "linux"
    if launch.judged.placement in (None, "host") and not uses_shared_gpu(machine, launch.runtime):
        return [system]
    vendors = {card.vendor for card in machine.accelerators or ()}
    if len(vendors) != 1:
        return [f"{system}-accelerator", system]
    vendor = vendors.pop()
    own = [f"{system}-{machine.architecture}-{vendor}", f"{system}-{vendor}"]
    return [*own, f"{system}-accelerator", system]


def _first_for_accelerator(launch: Launch) -> list[str]:
    runtime, cards, machine = launch.runtime, launch.machine.accelerators or (), launch.machine
    is_shared = any(card.unified and computes_on_shared(runtime, card) for card in cards)
    if launch.judged.placement in (None, "host") and not runtime.gpu_only and not is_shared:
        return []
    used = [cards[index] for index in launch.cards_used if cards]
    lines = [runtime.install_first[key] for key in _keys_of_first(launch, used or cards)][:1]
    for version, patterns in runtime.amd_gpus_as.items():
        if machine.system == "linux" and any(is_built_for(card, patterns) for card in used):
            lines.append(f"export HSA_OVERRIDE_GFX_VERSION={version}")
    return lines


def _keys_of_first(launch: Launch, cards: Sequence[Accelerator]) -> Iterator[str]:
    """A vendor, or `below-7.5` with or without the system before it."""
    here = f"{launch.machine.platform}-"
    for key in launch.runtime.install_first:
        place, below, least = key.partition("below-")
        is_old = below and place in ("", here)
        if any(reaches(card, least) is False if is_old else card.vendor == key for card in cards):
            yield key


def _server_address(runtime: RuntimeSpec) -> tuple[str, ...]:
    if runtime.service is None or not runtime.serves_api:
        return ()
    address = f"http://127.0.0.1:{runtime.service.port}"
    return (f"# answers at {address}, the OpenAI API under {runtime.serves_api}",)


def _shared_memory_lines(launch: Launch) -> tuple[str, ...]:
    needs, machine = launch.judged.needs, launch.machine
    if needs is None or not launch.judged.has("accelerator-partly"):
        return ()
    line = more_for_shared(needs, machine)
    if line is None:
        return ()
    why = "once, and restart: by default the GPU may use half of the RAM alone, and"
    if machine.system != "linux":
        why = "until the Mac restarts: without it the model may fail to load, or"
    return f"# {why} the pace is at its slow end", line


def _login_lines(launch: Launch) -> tuple[str, ...]:
    # a warning of what loading them may run stands before the one of the gate
    is_kept = launch.question.is_here or launch.question.kept_by is not None
    is_hidden = launch.judged.has("weights-unsafe") and launch.spec.gated and not is_kept
    if not launch.judged.has("weights-gated") and not is_hidden:
        return ()
    lines = [f"# {gate_remedy(launch.spec).partition(', then')[0]}", "hf auth login"]
    variable = launch.runtime.token_variable
    if variable and launch.machine.system == "windows":
        lines.append(f"$env:{variable} = Get-Content $HOME/.cache/huggingface/token")
    elif variable:
        lines.append(f'export {variable}="$(cat ~/.cache/huggingface/token)"')
    return tuple(lines)
