"""The steps to type: the installation, the login, and the commands that run a model.

`steps` takes a judged question on a machine and returns `Steps`: the lines to type first, and the
lines that download and run the model, as the machine's shell takes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core.templates import fill
from ..judge.checks.accelerator import more_for_shared
from ..judge.checks.model import gate_remedy
from ..judge.checks.runtime import install_lines, runtime_check
from ..judge.devices import has_capability, is_built_for
from ..judge.record import Judged, Question
from ..judge.table import USUAL
from ..machine.record import Accelerator, Machine
from .commands import (
    Steps,
    commands,
    lines_by_tag,
    lines_of_made_file,
    training_lines,
)
from .launch import Launch, Lines

# the repository and the file come from a sourced listing, or the file is here
_LISTED = "listed"
# nobody has seen the file: its publisher usually has it, or you make it
_UNLISTED = "unlisted"
_NUMBERED = (
    "# the GPUs are numbered as they were named; nvidia-smi tells the system's numbers"
)


def steps(
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
    by_tag_first: bool = False,
) -> Steps:
    """All lines for a model that runs; none for a model that does not run, or without a known
    command.

    `tag` is the typed name of the model in Ollama's library. With `by_tag_first` the lines are
    Ollama's, if its library has the judged files.
    """
    runtime = judged.question.runtime
    if judged.has("runtime-other-byte-order"):
        return Steps()
    if runtime is None or not judged.fits:
        return Steps()
    launch = Launch(
        judged=judged, catalogue=catalogue, machine=machine, runtime=runtime, tag=tag
    )
    answer = _steps_of(launch, by_tag_first=by_tag_first)
    if machine.system != "windows":
        return answer
    return answer.replace(
        setup=tuple(map(_powershell_line, answer.setup)),
        commands=tuple(map(_powershell_line, answer.commands)),
    )


def _powershell_line(line: str) -> str:
    """The line as Windows PowerShell 5.1 reads it: without `&&` (about_Pipeline_Chain_Operators),
    and without `curl`, which is Invoke-WebRequest there (about_Aliases).
    """
    # a bracket behind a comment would be a part of the comment
    code, mark, comment = line.partition("  # ")
    programs = code.split(" && ")
    for index, program in enumerate(programs):
        if program.startswith("curl "):
            programs[index] = f"curl.exe {program[5:]}"
    chained = "; if ($?) { ".join(programs) + " }" * (len(programs) - 1)
    return f"{chained}{mark}{comment}"


# ------------------------------------------------------------------ the ways to come to it


def _steps_of(launch: Launch, *, by_tag_first: bool) -> Steps:
    """The steps that train the model, or that run published files, or run the model by an Ollama
    tag, in the wanted order; else those for a file that was named or that the user has to make.
    """
    if launch.workload.task == "finetune":
        training = training_lines(launch)
        if not training.commands:
            # a comment, where no command is known
            return training
        return _after_installation(launch, training, _LISTED)
    found = commands(launch)
    if by_tag_first or not found.commands:
        by_tag = _steps_by_tag(launch)
        if by_tag.commands:
            return by_tag
    if not found.commands:
        return _after_installation(launch, lines_of_made_file(launch), _UNLISTED)
    commands_class = _LISTED
    doubts: Lines = ()
    if not _is_listed(launch):
        commands_class = _UNLISTED
        doubts = ("# not verified: whether the repository holds this file",)
    answer = _after_installation(launch, found, commands_class)
    numbers = _numbers_of_cards(launch, found.commands)
    setup = (*answer.setup, *doubts, *_part_lines(launch), *numbers)
    return answer.replace(setup=setup)


def _after_installation(launch: Launch, found: Steps, commands_class: str) -> Steps:
    """The steps behind those that install the program; none where no commands were found."""
    if not found.commands:
        return Steps()
    setup = (
        *_installation(launch, found.commands),
        *_shared_memory_lines(launch),
        *_login_lines(launch),
        *found.setup,
        *_server_address(launch),
    )
    return found.replace(setup=setup, commands_class=commands_class)


def _numbers_of_cards(launch: Launch, lines: Lines) -> Lines:
    """The comment on numbers of GPUs that nobody read from a system: they follow the order in which
    the GPUs were named, and the system has an order of its own.
    """
    typed = "\n".join(lines)
    is_read = any(card.driver is not None for card in launch.cards)
    for variable in launch.runtime.gpus.numbered_by.values():
        # a shell of Windows sets the variable in another form
        name, _, _ = variable.partition("=")
        if name in typed and not is_read:
            return (_NUMBERED,)
    return ()


def _is_listed(launch: Launch) -> bool:
    """Whether the file is on the machine, a listing shows the file, or the user typed its name."""
    if launch.question.loads_named_files:
        return True
    files = launch.type_row.listing
    if files is None or files.listed:
        return True
    if files.named:
        return True
    here = launch.question.here
    if here is None:
        return False
    return here.by_path or here.repository is not None


def _part_lines(launch: Launch) -> Iterator[str]:
    """Yield the lines that download a model of several files."""
    if launch.question.loads_named_files:
        return
    parts = launch.runtime.parts.get(launch.spec.id)
    if parts is None:
        return
    for part in parts.files:
        values = {"quantization": launch.quantization}
        name = fill(part.file, values, keep_unknown=True)
        yield f"hf download {part.repository} {name} --local-dir models"


def _steps_by_tag(launch: Launch) -> Steps:
    """The steps with an Ollama tag; no lines where Ollama's library is not known to have the judged
    quantization.
    """
    runtime = launch.catalogue.runtime(USUAL.library)
    launch = launch.replace(runtime=runtime)
    found = lines_by_tag(launch)
    if not found.commands:
        return found
    question = Question(spec=launch.spec, workload=launch.workload, runtime=runtime)
    code = runtime_check(question, launch.machine).code
    setup = [
        f"# {runtime.name} has this model in {launch.workload.quantization}",
        *_runtime_lines(runtime, code, launch.machine, ()),
        *_shared_memory_lines(launch),
    ]
    if len(found.commands) > 1:
        setup.append(
            "# the service keeps its own settings, so start a second server with those judged here"
        )
    is_listed = "aliases" in launch.spec.sources
    return found.replace(
        setup=tuple(setup),
        commands_class=_LISTED if is_listed else _UNLISTED,
    )


# ------------------------------------------------------------------ what to do first


def _installation(launch: Launch, run_lines: Lines) -> list[str]:
    """The lines that install the program, and the packages that the lines to run it need."""
    machine = launch.machine
    finding = launch.judged.finding("runtime")
    code = "" if finding is None else finding.code
    makers = {card.vendor for card in launch.computing_cards}
    lines = list(_runtime_lines(launch.runtime, code, machine, makers))
    packages = _packages(launch, run_lines)
    if packages and lines and lines[-1].startswith("pip install "):
        # one line, because pip would else install a torch that the second line replaces
        lines[-1] += f" {packages}"
    elif packages:
        lines.append(f"pip install {packages}")
    if lines:
        lines = [*_first_for_accelerator(launch), *lines]
    installed = " ".join(lines).split()
    needs = "" if launch.rule is None else launch.rule.needs
    missing = [name for name in needs.split() if name not in installed]
    if missing:
        lines.append(f"pip install {' '.join(missing)}")
    return lines


def _packages(launch: Launch, run_lines: Lines) -> str:
    """The further packages that the family of the model, or a word of the lines, needs."""
    typed = "\n".join(run_lines)
    names = []
    for key, packages in launch.runtime.installation.packages.items():
        if key == launch.spec.family or key in typed:
            names += packages.split()
    return " ".join(dict.fromkeys(names))


def _runtime_lines(
    runtime: RuntimeSpec,
    code: str,
    machine: Machine,
    makers: Collection[str],
) -> Lines:
    """The lines that install the runtime for GPUs of these makers, by the code of its finding; for
    an unknown system those for Linux.
    """
    if code not in ("runtime-not-installed", "runtime-not-searched"):
        return ()
    if machine.platform in runtime.platforms.from_source:
        return (
            f"# build {runtime.name} from source: {runtime.platforms.source_build}",
        )
    lines = install_lines(runtime, machine, makers)
    if not lines:
        if not runtime.installation.releases:
            return ()
        lines = (f"# download {runtime.name}: {runtime.installation.releases}",)
    if runtime.installation.needs:
        lines = (f"# first: {runtime.installation.needs}", *lines)
    if machine.system is None and "any" not in runtime.installation.lines:
        lines = ("# on Linux", *lines)
    if code == "runtime-not-searched":
        lines = (f"# unless {runtime.name} is installed", *lines)
    return lines


def _first_for_accelerator(launch: Launch) -> list[str]:
    """The line to type before the installation for such a GPU, and the variable with which the
    program accepts the GPU.
    """
    runtime = launch.runtime
    machine = launch.machine
    cards = launch.computing_cards
    lines = []
    for key, line in runtime.installation.first.items():
        if any(_is_meant(card, key, machine) for card in cards):
            lines.append(line)
            break
    if machine.system != "linux":
        return lines
    for version, patterns in runtime.gpus.amd_as.items():
        if any(is_built_for(card, patterns) for card in cards):
            lines.append(f"export HSA_OVERRIDE_GFX_VERSION={version}")
    return lines


def _is_meant(
    card: Accelerator,
    key: str,
    machine: Machine,
) -> bool:
    """Whether a key of `[installation.first]` means the card: a vendor, or `below-7.5`, a compute
    capability, with or without the system before it.
    """
    platform, _, least = key.partition("below-")
    if platform in ("", f"{machine.platform}-"):
        return has_capability(card, least) is False
    return card.vendor == key


def _server_address(launch: Launch) -> Lines:
    """A comment on where the program answers requests; () where it serves none."""
    service = launch.runtime.service
    path = launch.lines.serves_api
    if service is None or not path:
        return ()
    if launch.workload.task == "finetune":
        return ()
    address = f"http://127.0.0.1:{service.port}"
    return (f"# answers at {address}, the OpenAI API under {path}",)


def _shared_memory_lines(launch: Launch) -> Lines:
    """The lines that raise the limit of a GPU that shares the RAM, if that GPU would otherwise hold
    only a part of the model.
    """
    if not launch.judged.has("accelerator-partly"):
        return ()
    line = more_for_shared(launch.judged.placed, launch.machine)
    if line is None:
        return ()
    why = "once, and restart: by default the GPU may use only half of the RAM, and"
    if launch.machine.system != "linux":
        why = "until the Mac restarts: without it the model may fail to load, or"
    return f"# {why} the pace is at the slow end of its range", line


def _login_lines(launch: Launch) -> list[str]:
    """The login at Hugging Face, where the publisher wants one."""
    if not _needs_login(launch.judged):
        return []
    lines = [f"# {gate_remedy(launch.spec).partition(', then')[0]}", "hf auth login"]
    variable = launch.runtime.installation.token_variable
    if not variable:
        return lines
    if launch.machine.system == "windows":
        lines.append(f"$env:{variable} = Get-Content $HOME/.cache/huggingface/token")
    else:
        lines.append(f'export {variable}="$(cat ~/.cache/huggingface/token)"')
    return lines


def _needs_login(judged: Judged) -> bool:
    """Whether the files have to be downloaded from a publisher who wants a login."""
    if judged.has("weights-gated"):
        return True
    question = judged.question
    # the warning of unsafe files hides the warning of the gate
    hides_gate = judged.has("weights-unsafe") and question.spec.gated
    if not hides_gate or question.missing_bytes == 0:
        return False
    row = question.type_row
    return row is None or row.holder is None
