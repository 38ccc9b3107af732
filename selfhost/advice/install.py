"""Lines to type before a model runs: how its runtime is got, and what the machine wants set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.spec import RuntimeSpec
from ..core.units import counted
from ..judge.checks.runtime import install_line, is_built_from_source
from ..judge.checks.weights import to_pass_gate
from ..judge.pace.speed import uses_shared_gpu
from ..judge.placement.devices import computes_on_shared, is_built_for, reaches
from ..judge.question import is_behind_gate
from ..machine.record import Accelerator, Machine
from .case import Case, names_of_some


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
    others = next(
        (runtime.install_otherwise[key] for key in places if key in runtime.install_otherwise), ()
    )
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
    machine, system = case.machine, case.machine.system or ""
    if not (_uses_accelerator(case) or uses_shared_gpu(machine, case.runtime)):
        return [system]
    by_vulkan = any(
        is_built_for(card, case.runtime.amd_gpus_by_vulkan) is True for card in case.cards
    )
    vendors = {card.vendor for card in case.cards}
    usual = [f"{system}-accelerator", system]
    if by_vulkan or len(vendors) != 1:
        return usual
    vendor = vendors.pop()
    return [f"{system}-{machine.architecture}-{vendor}", f"{system}-{vendor}", *usual]


def _uses_accelerator(case: Case) -> bool:
    """Whether a part of the model lies on an accelerator."""
    return case.placement not in (None, "host")


def _first_for_accelerator(case: Case) -> Iterator[str]:
    """What the accelerator in use wants installed or set before the program."""
    runtime, cards = case.runtime, case.cards
    is_shared = any(card.unified and computes_on_shared(runtime, card) for card in cards)
    if not (_uses_accelerator(case) or runtime.gpu_only or is_shared):
        return
    used = [cards[index] for index in case.cards_used] if cards else []
    for vendor in dict.fromkeys(card.vendor for card in used or cards):
        if vendor in runtime.install_first:
            yield f"# {runtime.install_first[vendor]}"
    yield from _for_old_cards(runtime, used, case.machine)


def _for_old_cards(
    runtime: RuntimeSpec, cards: Sequence[Accelerator], machine: Machine
) -> Iterator[str]:
    """The line that gets a build with kernels for the oldest of the GPUs, and the one by which GPUs
    of AMD's run the kernels of another.
    """
    here = f"{machine.system}-{machine.architecture}"
    for key, line in runtime.install_below.items():
        system, _, least = key.rpartition("-")
        if system in ("", here) and any(reaches(card, least) is False for card in cards):
            yield line
            break
    for version, patterns in runtime.amd_gpus_as.items():
        if machine.system == "linux" and any(is_built_for(card, patterns) for card in cards):
            yield f"export HSA_OVERRIDE_GFX_VERSION={version}"


# ------------------------------------------------------------------ what the machine wants


def shared_memory_lines(case: Case) -> tuple[str, ...]:
    """What lets a GPU that shares the RAM hold all of the model; () where it does."""
    needs, machine = case.judged.needs, case.machine
    if needs is None or not case.has_code("accelerator-partly"):
        return ()
    from ..judge.checks.accelerator_ram import left_by_metal, more_for_shared

    line = more_for_shared(needs, machine)
    if line is None:
        return ()
    if machine.system == "linux":
        why = "once, and restart: by default the GPU may use half of the RAM alone, and"
    else:
        why = "until the next start of the Mac; without it a part may run on the CPU, and"
    left = "" if machine.system == "linux" else left_by_metal(needs, machine)
    return f"# {why} the pace is at its slow end{left}", line


def device_note(case: Case) -> tuple[str, ...]:
    """A comment on which of unlike accelerators is meant, for programs number them each their own
    way, or on how to name those that suffice; () where the line says it.
    """
    runtime, cards, used = case.runtime, case.cards, case.cards_used
    listed = runtime.devices_listed
    if not listed or not case.leaves_cards:
        return ()
    if len(used) > 1 and not names_of_some(case):
        option = runtime.some_devices_option.replace("{devices}", "NAMES")
        return (f"# {len(used)} GPUs suffice; {option} keeps to those you name, from: {listed}",)
    if len({card.name for card in cards}) == 1:
        return ()
    if len(used) == 1:
        return (f"# the number below is that of {cards[used[0]].name} in: {listed}",)
    named = " and ".join(counted([cards[index].name for index in used]))
    return (f"# the devices below are {named} in: {listed}",)


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
