"""Several machines that serve one model together: `2x dgx spark`, `A + B`.

What goes in: a text, and a function that reads the name of one machine. What comes out: a
`Cluster`, or None where the text means one machine. Whatever names one machine today still does:
`2x rtx 3090` is one computer with two GPUs, because an RTX 3090 is no computer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from ..core import units
from ..core.errors import SelfhostError
from ..core.records import Record
from .cpus import number_words
from .description import Description, read_description
from .links import Link, are_often_joined, link_called, usual_link
from .profiles import NotedMachine, machine_called
from .record import Machine
from .rented import rented
from .words import UnknownMachineError, vocabulary

# more machines than this are told as no cluster: llama.cpp takes 16 servers (ggml-rpc.h,
# GGML_RPC_MAX_SERVERS)
MOST_MACHINES = 16
# larger numbers are years and the numbers of parts
_MOST_COUNTED = 999
# a number from here on before one computer with a screen is the screen's size in inches: the
# smallest MacBook Air had 11.6 (Apple)
_LEAST_SCREEN = 11
# between the machines of a cluster; and between those that were surely named one by one, which may
# be GPUs, as in `--machine 'RTX 4090' --machine 'RTX 3090'`
JOINER = " + "
SURE_JOINER = " ++ "
# as people join whole machines; between other words, these signs join the parts of one machine
_JOINERS = re.compile(r"\s*\+\s*|\s(?:and|&)\s+", re.IGNORECASE)
# the RAM that systems report of the same modules differs by what firmware and kernel keep (assumed)
_SAME_RAM = 0.98
# how the name of the file of a machine's record ends
_RECORDS = (".json", ".jsonl")
_BEFORE_COUNT = r"(?:an?\s+|the\s+|my\s+)?(?:(?:cluster|pair|set|stack)\s+of\s+)?"
_TIMES = r"(?:\s*[x×*]\s+|\s*[x×*](?=[a-z(])|\s+)"
_UNIT = r"(?:nodes?\s+|machines?\s+|hosts?\s+|computers?\s+)?(?:of\s+)?"
_JOINED = r"(?:linked|joined|connected|wired)(?:\s+together)?"
_BEHIND = rf"(?:,?\s+(?:in\s+a|as\s+a)?\s*(?:cluster|{_JOINED}))?"

ReadMachine = Callable[[str], NotedMachine | None]


class Cluster(Record):
    """Machines that serve one model together, the main one first.

    - `names`: the texts that name them, one for each of `machines`, as a command repeats them.
    - `link`: the link between them.
    """

    machines: tuple[Machine, ...]
    names: tuple[str, ...]
    link: Link

    @property
    def main(self) -> Machine:
        """The machine on which the program is asked."""
        return self.machines[0]

    @property
    def kinds(self) -> tuple[Machine, ...]:
        """The machines whose records differ, the main one first."""
        return tuple(dict.fromkeys(self.machines))

    @property
    def are_equal(self) -> bool:
        """Whether all machines are built alike: system, processor, RAM and GPUs. Their names may
        differ, and what is free on them.
        """
        return _are_built_alike(self.kinds)

    def first(self, number: int) -> Cluster:
        """The cluster of the first so many machines."""
        return self.replace(machines=self.machines[:number], names=self.names[:number])

    @property
    def name(self) -> str:
        """`2 × dgx-spark`, or the names with + between."""
        counted = []
        for machine in self.kinds:
            number = self.machines.count(machine)
            counted.append(f"{number} × {machine.name}" if number > 1 else machine.name)
        return JOINER.join(counted)


def _build_of(machine: Machine) -> tuple[object, ...]:
    """The system, the processor and the GPUs of a machine, without what changes from day to day."""
    cards = []
    for card in machine.cards:
        own_bytes = None if card.unified else card.memory_total_bytes
        cards.append((card.name, own_bytes))
    return (
        machine.system,
        machine.architecture,
        machine.cpu_model,
        machine.cpu_cores_physical,
        tuple(cards),
    )


def _are_built_alike(machines: Sequence[Machine]) -> bool:
    """Whether the machines have the same build and as much RAM."""
    if len(set(map(_build_of, machines))) > 1:
        return False
    return _have_as_much_ram(machines)


def _have_as_much_ram(machines: Sequence[Machine]) -> bool:
    """Whether the machines have as much RAM, or it is not known of all."""
    totals = [machine.memory_total_bytes for machine in machines]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return not known
    return min(known) >= _SAME_RAM * max(known)


class NotedCluster(Record):
    """A cluster, with notes on what else its machines' names can mean."""

    cluster: Cluster
    notes: tuple[str, ...]

    @property
    def main(self) -> Machine:
        """The main machine."""
        return self.cluster.main


class _Counted(Record):
    """A number of machines of one name, and the machine."""

    number: int
    name: str
    noted: NotedMachine


def cluster_of(
    machines: Sequence[Machine],
    link: str | None = None,
    names: Sequence[str] = (),
) -> Cluster:
    """Return the cluster of these machines. `link` is the link as a user names it; None takes the
    usual link of such machines. Raises `InputError` for an unknown link, and
    `UnknownMachineError` for more machines than are judged.
    """
    if not 2 <= len(machines) <= MOST_MACHINES:
        count = units.plural(len(machines), "machine")
        remedy = f"name 2 to {MOST_MACHINES} that serve one model together"
        raise UnknownMachineError(f"a cluster of {count}", remedy=remedy)
    found = usual = usual_link(machines)
    if link is not None:
        found = link_called(link)
    if found.name != usual.name:
        # what to do before is known of the machines that usually have the link
        found = found.replace(enable="")
    own_names = tuple(names) or tuple(machine.name for machine in machines)
    return Cluster(machines=tuple(machines), names=own_names, link=found)


def cluster_named(
    text: str,
    read: ReadMachine,
    link: str | None = None,
) -> NotedCluster | None:
    """Return the machines that the text names together; None where it names one machine.

    `read` takes the name of one machine, or of its record. Raises what `read` raises for a part of
    a text that surely names several.
    """
    if machine_called(text) is not None:
        return None
    if SURE_JOINER in text:
        parts = _parts(text.split(SURE_JOINER), read, is_sure=True)
    else:
        parts = _joined(text, read)
    if parts is None:
        return None
    machines = []
    names = []
    notes: list[str] = []
    for part in parts:
        machines += [part.noted.machine] * part.number
        names += [part.name] * part.number
        notes += part.noted.notes
    cluster = cluster_of(machines, link, names)
    return NotedCluster(cluster=cluster, notes=tuple(notes))


def _joined(text: str, read: ReadMachine) -> list[_Counted] | None:
    """The machines that a text joins by a sign, a word or commas, or counts as a whole, as in `2x
    (ryzen 7950x and rtx 3090, 64gb)`; None where the text names one machine.
    """
    parts = _parts(_JOINERS.split(text), read)
    if parts is None:
        parts = _parts(text.split(","), read)
        # between other words, a comma joins the parts of one machine
        if parts is not None and not _are_repeated_or_counted(parts):
            parts = None
    if parts is None and JOINER not in text:
        whole = _counted(text.strip(), read)
        parts = None if whole is None else [whole]
    return parts


def _are_repeated_or_counted(parts: Sequence[_Counted]) -> bool:
    """Whether all parts of a text have one name, or a number stands beside one."""
    names = {part.name.lower() for part in parts}
    return len(names) == 1 or any(part.number > 1 for part in parts)


def _parts(
    pieces: Sequence[str],
    read: ReadMachine,
    *,
    is_sure: bool = False,
) -> list[_Counted] | None:
    """The machines that several pieces of a text name; None where a piece names no whole machine,
    and for one piece. `is_sure`: each piece was given as a machine.
    """
    if len(pieces) == 1:
        return None
    parts = []
    for piece in pieces:
        name = piece.strip()
        part = _counted(name, read)
        if part is None:
            noted = None
            if is_sure or _tells_machine(name, read):
                noted = read(name)
            if noted is None:
                return None
            part = _Counted(number=1, name=name, noted=noted)
        parts.append(part)
    return parts


@cache
def _plurals() -> re.Pattern[str]:
    """The pattern of several computers by one name: `mac studios`."""
    words = "|".join(sorted(vocabulary().of_computers))
    return re.compile(rf"\b({words})s\b", re.IGNORECASE)


def _counts(text: str) -> list[tuple[int, str]]:
    """Each number before or after a text that may count machines, with the rest of the text."""
    words = number_words()
    longest_first = sorted(words, key=len, reverse=True)
    number = "|".join((r"\d{1,4}", *longest_first))
    found = []
    before = re.fullmatch(
        rf"(?is){_BEFORE_COUNT}({number}){_TIMES}{_UNIT}(.+?){_BEHIND}", text
    )
    if before is not None:
        typed = before[1].lower()
        count = words.get(typed) or int(typed)
        found.append((count, before[2]))
    # `mac studio x2`, `mac studio 2x`
    after = re.fullmatch(
        r"(?is)(?P<rest>.+?)\s+(?:[x×](?P<count>\d{1,4})|(?P<number>\d{1,4})[x×])", text
    )
    if after is not None:
        count = int(after["count"] or after["number"])
        found.append((count, after["rest"]))
    counts = []
    for count, rest in found:
        without_brackets = re.sub(r"^\((.*)\)$", r"\1", rest.strip())
        name = without_brackets.strip()
        if count > 1 and name:
            counts.append((count, name))
    return counts


def _counted(piece: str, read: ReadMachine) -> _Counted | None:
    """The machines of one name that a piece of a text counts; None where it names one machine, or
    none.
    """
    one = _read_or_none(piece, read)
    for count, rest in _counts(piece):
        if one is not None and not _counts_computers(one, count, rest, read):
            continue
        singular = _plurals().sub(r"\1", rest)
        for name in (singular, rest):
            noted = _read_or_none(name, read)
            if noted is not None:
                return _Counted(number=count, name=name, noted=noted)
    return None


def _counts_computers(
    one: NotedMachine,
    count: int,
    rest: str,
    read: ReadMachine,
) -> bool:
    """Whether a number counts computers though the text with it reads as `one` machine: `2 dgx
    spark`. The `rest` has to begin with a computer, and the number to tell nothing of the machine:
    without it the text means a machine of the same build.
    """
    if count > _MOST_COUNTED:
        return False
    first = rest.lower().split()[0]
    singular = _plurals().sub(r"\1", rest)
    is_plural = singular != rest
    may_be_screen = first in vocabulary().with_screens and count >= _LEAST_SCREEN
    if may_be_screen and not is_plural:
        return False
    if not _begins_with_computer(singular, read):
        return False
    alone = _read_or_none(rest, read) or _read_or_none(singular, read)
    if alone is None:
        return False
    return _are_built_alike((alone.machine, one.machine))


def _begins_with_computer(text: str, read: ReadMachine) -> bool:
    """Whether a text begins with the word of a computer, `mac` or `laptop`, or is as a whole the
    name of a known one.
    """
    if machine_called(text) is not None and _tells_machine(text, read):
        return True
    words = vocabulary()
    first = text.lower().split()[0]
    if first in words.of_computers | words.macs | words.laptops | words.lines:
        return True
    try:
        product = read_description(text).product
    except SelfhostError:
        return False
    return product is not None and first in product.name


def _read_or_none(name: str, read: ReadMachine) -> NotedMachine | None:
    """The machine of that name; None where the name is refused."""
    try:
        return read(name)
    except SelfhostError:
        return None


def _is_gpus_alone(about: Description) -> bool:
    """Whether a text names GPUs and no more of a machine."""
    if about.product is not None or about.processor is not None:
        return False
    return bool(about.cards) and about.memory.ram_gib is None


def _tells_machine(piece: str, read: ReadMachine) -> bool:
    """Whether a piece of a text names a whole machine: a known one, a type of a cloud, a record, or
    a description with a product, a chip of Apple's, or a processor and its memory. GPUs alone are
    parts of the machine beside them, unless a host of so many is joined to others.
    """
    if piece.endswith(_RECORDS):
        return _read_or_none(piece, read) is not None
    known = machine_called(piece)
    is_called = known is not None or rented(piece) is not None
    try:
        about = read_description(piece)
    except SelfhostError:
        # a record, which `read` knows by its path
        return is_called or _read_or_none(piece, read) is not None
    if is_called:
        if known is None or not _is_gpus_alone(about):
            return True
        # "RTX 3060 12GB" is also said for a desktop that has one
        machine = known.machine
        return machine.name == piece or are_often_joined(machine)
    if about.product is not None or about.chip is not None:
        return True
    return about.processor is not None and about.memory.ram_gib is not None
