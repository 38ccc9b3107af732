"""Changes to a machine that no computer can have: a card or another system on an Apple chip."""

from __future__ import annotations

from ..core.errors import Problem
from ..core.saying import option
from ..core.spelling import words_of
from .chips import apple_chip_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .record import Accelerator, Machine

_LEAVE_OUT = "leave it out"


def impossible(machine: Machine, keys: Collection[str], named_gpus: Sequence[str]) -> list[Problem]:
    """What no computer has of a machine that the settings of `keys` and `named_gpus` changed.

    Only what was set is refused: nobody asked about what the record itself states.
    """
    if not _has_apples_chip(machine):
        return []
    problems = []
    if named_gpus or "gpu" in keys:
        problems += _of_cards(machine, named_gpus)
    if "system" in keys:
        problems += _of_system(machine)
    if "architecture" in keys and machine.architecture != "aarch64":
        message = f"is {machine.architecture}, and {_chip(machine)} is an Arm processor (aarch64)"
        remedy = f"{_LEAVE_OUT}, or name a computer with one: {option('machine', 'i7-9750H 16GB')}"
        problems.append(Problem(file="--set", key="architecture", message=message, remedy=remedy))
    return problems


def _of_cards(machine: Machine, named_gpus: Sequence[str]) -> list[Problem]:
    """A GPU of another maker beside the chip."""
    foreign = [card for card in machine.accelerators or () if not _is_apples(card)]
    if not foreign:
        return []
    message = f"{_chip(machine)} has a GPU of its own and takes no {foreign[0].name} beside it"
    if named_gpus:
        remedy = f"name a computer with it: {option('machine', named_gpus[0])}"
        return [Problem(file="--gpu", message=message, remedy=remedy)]
    computer = option("machine", "Ryzen 5 7600 32GB")
    remedy = f"{_LEAVE_OUT}, or name a computer that takes cards: {computer}"
    return [Problem(file="--set", key="gpu", message=message, remedy=remedy)]


def _of_system(machine: Machine) -> list[Problem]:
    """A virtual machine on a Mac may have any system, so only a host is refused one."""
    chip = apple_chip_of(words_of(machine.cpu_model or ""))
    takes_linux = chip is None or chip.linux
    is_taken = machine.system == "macos" or (machine.system == "linux" and takes_linux)
    if is_taken or machine.scope != "host":
        return []
    if takes_linux:
        remedy = f"{_LEAVE_OUT}, for macOS, or write system=linux"
    else:
        remedy = f"{_LEAVE_OUT}: it is judged with macOS"
    title = {"windows": "Windows", "linux": "Linux"}[machine.system or ""]
    message = f"{title} does not start on {_chip(machine)}"
    return [Problem(file="--set", key="system", message=message, remedy=remedy)]


def _has_apples_chip(machine: Machine) -> bool:
    """Whether its processor or GPU is Apple's. A Mac with a processor of Intel's has neither."""
    if any(_is_apples(card) and card.unified for card in machine.accelerators or ()):
        return True
    if machine.system == "macos" and machine.architecture == "aarch64":
        return True
    return "apple" in words_of(machine.cpu_model or "")


def _is_apples(card: Accelerator) -> bool:
    return card.vendor.lower() == "apple"


def _chip(machine: Machine) -> str:
    """What its chip is called in a sentence."""
    name = machine.cpu_model or ""
    return f"an {name}" if name.lower().startswith("apple") else "an Apple chip"
