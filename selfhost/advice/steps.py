"""What to type before the model runs and to run it: installation, login, commands, with notes on
each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.spec import RuntimeSpec
from ..core.records import Record
from ..core.workload import DEFAULT_LORA_RANK
from ..judge.checks.model import to_pass_gate
from ..judge.checks.runtime import install_line, is_built_from_source, runtime_check
from ..judge.files import typed_file
from ..judge.pace.speed import uses_shared_gpu
from ..judge.placement.devices import computes_on_shared, is_built_for, reaches
from ..judge.question import is_behind_gate
from ..judge.record import Judged, Question
from ..machine.record import Accelerator, Machine
from ..needs.records import GATHERED
from .blanks import filled, in_powershell
from .case import Case, device_word
from .commands import (
    by_tag,
    commands,
    downloads,
    has_other_byte_order,
    lines_of_made_file,
    recipe,
)


def install_lines(case: Case, run_lines: Sequence[str]) -> tuple[str, ...]:
    """How to get the runtime and what `run_lines` want beside it; of the runtime nothing where it
    is installed.
    """
    runtime, machine = case.runtime, case.machine
    code = next((each.code for each in case.judged.findings if each.check == "runtime"), "")
    rule = runtime.rule_of(case.quantization)
    beside = (f"pip install {rule.needs}",) if rule is not None and rule.needs else ()
    lines = runtime_lines(runtime, code, machine)
    packages = " ".join(runtime.packages_of(case.spec.family, run_lines))
    if packages and lines and lines[-1].startswith("pip install "):
        # in one line, or pip would first get a torch that a package of the second takes back
        lines = (*lines[:-1], f"{lines[-1]} {packages}")
    elif packages:
        lines = (*lines, f"pip install {packages}")
    if not lines:
        return beside
    return (*_first_for_accelerator(case), *_with_other_installs(case, lines), *beside)


def runtime_lines(runtime: RuntimeSpec, code: str, machine: Machine) -> tuple[str, ...]:
    """How to get the runtime, of which the finding's `code` says whether it is installed; () where
    it is.
    """
    if code not in ("runtime-not-installed", "runtime-not-searched"):
        return ()
    if is_built_from_source(machine, runtime):
        return (f"# build {runtime.name} from source: {runtime.source_build}",)
    first = [f"# first: {runtime.install_needs}"] if runtime.install_needs else []
    if code == "runtime-not-searched":
        first.insert(0, f"# unless {runtime.name} is installed")
    line = install_line(runtime, machine.system)
    if not line:
        return (*first, f"# download {runtime.name}: {runtime.builds}") if runtime.builds else ()
    if machine.system is not None or "any" in runtime.install:
        return (*first, line)
    systems: dict[str, list[str]] = {}
    for system, text in runtime.install.items():
        systems.setdefault(text, []).append(system)
    for text, names in systems.items():
        first += [f"# on {' or '.join(names)}", text]
    return tuple(first)


def _with_other_installs(case: Case, lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines with comments on how else the runtime is had: in their place where they get a
    slower build, before them where they want what not everyone has.
    """
    runtime, places = case.runtime, _places(case)
    ways = runtime.install_otherwise
    others = next((ways[key] for key in places if key in ways), ())
    if not others or is_built_from_source(case.machine, runtime):
        return lines
    comments = [f"# {line}" for line in others]
    if any(key in runtime.install_not_for for key in places):
        return (*lines[:-1], *comments)
    wanted = next((runtime.install_with[key] for key in places if key in runtime.install_with), "")
    if not wanted:
        return (*lines, *comments)
    # a comment behind a command is none to every shell, zsh for one
    return (*lines[:-1], *comments, f"# or {wanted}:", lines[-1])


def _places(case: Case) -> list[str]:
    """What a runtime's ways to be installed are kept by, closest first: `linux-aarch64-nvidia`,
    `linux-nvidia` and `linux-accelerator` where the model is on one or one that shares the RAM
    computes it, `linux`.
    """
    machine, system, runtime = case.machine, case.machine.system or "", case.runtime
    if case.placement in (None, "host") and not uses_shared_gpu(machine, runtime):
        return [system]
    by_vulkan = any(is_built_for(card, runtime.amd_gpus_by_vulkan) is True for card in case.cards)
    vendors = {card.vendor for card in case.cards}
    usual = [f"{system}-accelerator", system]
    if by_vulkan or len(vendors) != 1:
        return usual
    vendor = vendors.pop()
    return [f"{system}-{machine.architecture}-{vendor}", f"{system}-{vendor}", *usual]


def _first_for_accelerator(case: Case) -> Iterator[str]:
    """What the accelerator in use wants installed or set before the program."""
    runtime, cards = case.runtime, case.cards
    is_shared = any(card.unified and computes_on_shared(runtime, card) for card in cards)
    if case.placement in (None, "host") and not runtime.gpu_only and not is_shared:
        return
    used = [cards[index] for index in case.cards_used] if cards else []
    for vendor in dict.fromkeys(card.vendor for card in used or cards):
        if vendor in runtime.install_first:
            yield f"# {runtime.install_first[vendor]}"
    yield from _for_old_cards(runtime, used, case.machine)


def _for_old_cards(
    runtime: RuntimeSpec, used: Sequence[Accelerator], machine: Machine
) -> Iterator[str]:
    """The line that gets a build with kernels for the oldest of the GPUs, and the one by which GPUs
    of AMD's run the kernels of another.
    """
    here = f"{machine.system}-{machine.architecture}"
    for key, line in runtime.install_below.items():
        system, _, least = key.rpartition("-")
        if system in ("", here) and any(reaches(card, least) is False for card in used):
            yield line
            break
    for version, patterns in runtime.amd_gpus_as.items():
        if machine.system == "linux" and any(is_built_for(card, patterns) for card in used):
            yield f"export HSA_OVERRIDE_GFX_VERSION={version}"


# ------------------------------------------------------------------ what the machine wants


def shared_memory_lines(case: Case) -> tuple[str, ...]:
    """What lets a GPU that shares the RAM hold all of the model; () where it does."""
    needs, machine = case.judged.needs, case.machine
    if needs is None or not case.has_code("accelerator-partly"):
        return ()
    from ..judge.checks.accelerator import left_by_metal, more_for_shared

    line = more_for_shared(needs, machine)
    if line is None:
        return ()
    if machine.system == "linux":
        why, left = "once, and restart: by default the GPU may use half of the RAM alone, and", ""
    else:
        why = "until the next start of the Mac; without it a part may run on the CPU, and"
        left = left_by_metal(needs, machine)
    return f"# {why} the pace is at its slow end{left}", line


def device_note(case: Case) -> tuple[str, ...]:
    """A comment on which of several accelerators is meant, for programs number them each their own
    way; () where the line says it.
    """
    runtime, cards, used = case.runtime, case.cards, case.cards_used
    listed = runtime.devices_listed
    if not listed or not case.leaves_cards or len(used) > 1:
        return ()
    if len({card.name for card in cards}) == 1:
        return ()
    return (f"# the number below is that of {cards[used[0]].name} in: {listed}",)


def login_lines(case: Case) -> tuple[str, ...]:
    """The form and the login before a gated download; () where the files are not gated."""
    # a warning of what loading them may run stands before the one of the gate
    is_hidden = case.has_code("weights-unsafe") and is_behind_gate(case.question)
    if not case.has_code("weights-gated") and not is_hidden:
        return ()
    lines = [f"# {to_pass_gate(case.spec).partition(', then')[0]}", "hf auth login"]
    variable = case.runtime.token_variable
    if variable and case.is_windows:
        lines.append(f"$env:{variable} = Get-Content $HOME/.cache/huggingface/token")
    elif variable:
        lines.append(f'export {variable}="$(cat ~/.cache/huggingface/token)"')
    return tuple(lines)


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
        trainer, line = training_lines(case)
        if not line:
            return Steps(setup=trainer)
        return Steps(setup=(*first, *trainer), commands=(line,), commands_class=LISTED)
    if has_other_byte_order(case):
        return Steps()
    tagged = by_tag(case) if by_tag_first or not lines else ()
    if tagged:
        return _steps_by_tag(case, tagged)
    return _steps_of_published(case, first, lines) if lines else _steps_of_files(case, first)


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
            *_server_address(case.runtime),
            *(() if is_listed else (_UNVERIFIED,)),
            *downloads(question),
        ),
        commands=lines,
        commands_class=LISTED if is_listed else UNLISTED,
    )


def _steps_by_tag(case: Case, lines: tuple[str, ...]) -> Steps:
    """The lines of Ollama, which has the file that the judged runtime would have to be made."""
    other = case.replace(runtime=case.catalogue.runtime("ollama"))
    runtime = other.runtime
    finding = runtime_check(case.machine, runtime, loads=None)
    server = ("# the service has settings of its own; this server has the judged ones",)
    return Steps(
        setup=(
            f"# {runtime.name} has this model in {case.quantization}",
            *runtime_lines(runtime, finding.code, case.machine),
            *shared_memory_lines(case),
            *(server if len(lines) > 1 else ()),
        ),
        commands=lines,
        runtime=runtime,
        commands_class=LISTED if "aliases" in case.spec.sources else UNLISTED,
    )


def _steps_of_files(case: Case, first: tuple[str, ...]) -> Steps:
    """Of a model without a command of its own: those of the published file whose name was typed,
    wherever it lies, else those that make a file of the published weights.
    """
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
        conversion = recipe(spec, runtime, workload)
        if conversion is None:
            return Steps()
        lines = lines_of_made_file(case, conversion.file, conversion.projector)
        setup = (*first, *conversion.lines, *address)
    return Steps(setup=setup, commands=lines, commands_class=UNLISTED) if lines else Steps()


# ------------------------------------------------------------------ comments


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
    keys = [device_word(case) or "", workload.optimizer or ""]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if case.memory is not None and any(term.name == GATHERED for term in case.memory.terms):
        # accelerators share weights, gradients and optimizer out
        number = len(case.cards_used) or 1
        keys += ["sharded", f"sharded_{method}"]
    elif case.leaves_cards and len(case.cards_used) == 1:
        # it would start a process on each of several accelerators
        keys.append("replicated")
    return [texts[key].replace("{devices}", str(number)) for key in keys if key in texts]
