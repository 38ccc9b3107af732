"""The record of one machine while the answer of another system is read.

What goes in: the facts that an answer states, one after the other, each with its source; rows of
`specs/common/systems.toml` say where an answer states each fact, and which facts a system lacks.
What comes out: a `selfhost.machine/1` object, in which each fact has a source, or a reason and a
remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import TypedDict

from ..core.files import Unreadable, value_at
from ..core.records import Record
from ..core.templates import fill
from ..core.units import words_of
from ..machine import gpus, profiles, rented
from ..machine.cards import MOST_CARDS
from ..machine.description import cards_named
from ..machine.instruction_sets import sets_of_series
from ..machine.record import FACTS, PURPOSES, SCHEMA, FactValues, Machine
from ..machine.words import PartOfMachineError, UnknownGpuError
from .answers import UNITS, count_of, plain, table_of, whole_number
from .record_text import Entry

# the text after the name of a machine that its system cannot reach
NOT_JUDGED = " is not judged: "
# an assumed home folder: it lies on /home if /home is a volume, or else on /
SOME_HOME = "/home/user"
_LIMIT = "memory_limit_bytes"
_TOTAL = "memory_total_bytes"
_AVAILABLE = "memory_available_bytes"
# kinds of volumes that hold no home folder
_NO_STORE = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "squashfs", "iso9660", "autofs")
)
_TABLE_OF_GPUS = "specs/common/gpus.toml"
# the reasons for unknown facts of a card
_PARTS_OF_CARDS = {
    _TOTAL: "the system does not state it",
    "memory_free_bytes": "the system does not say how much is free on each card now",
}


class CardDraft(TypedDict):
    """An accelerator, as machine records have it. A value that its system does not state is
    None.
    """

    vendor: str
    name: str
    memory_total_bytes: int | None
    memory_free_bytes: int | None
    unified: bool | None
    driver: str | None


class Volume(Record):
    """A mounted file system, each value as its system writes it. A value that is not stated is
    None.
    """

    mount: object
    free_bytes: object
    total_bytes: object
    filesystem: object


class _Reason(Record):
    """The reason why a fact is not known, and how to get it. The remedy is None where there is no
    way.
    """

    reason: str
    remedy: str | None


class MachineDraft:
    """The record of one machine, filled while a system's answer is read."""

    def __init__(self, system: str) -> None:
        self.table = table_of(system)
        self.values: FactValues = {}
        self.sources: dict[str, str] = {}
        self.assumed: list[str] = []
        self._lacks: dict[str, _Reason] = {}

    def put(
        self,
        fact: str,
        value: object,
        source: str,
    ) -> None:
        """State a fact. A None, for a fact that the answer lacks, changes nothing."""
        if value is not None:
            self.values[fact] = value
            self.sources[fact] = source

    def lacks(
        self,
        facts: str,
        reason: str,
        remedy: str | None = None,
    ) -> None:
        """Say why these facts, separated by blanks, are not known, and how to get them.

        Without a remedy the remedy of the system's table stands; an empty remedy says that there is
        no way. The first reason for a fact stays.
        """
        if remedy is None:
            remedy = self.table.remedy
        for fact in facts.split():
            self._lacks.setdefault(fact, _Reason(reason=reason, remedy=remedy or None))

    def read_rows(self, answer: object) -> None:
        """State the facts of the system's rows. Where several rows have a fact, the first row that
        the answer states counts.
        """
        for row in self.table.rows:
            stated = value_at(answer, *row.path.split("/"))
            if stated is None or row.fact in self.values or row.fact in self._lacks:
                continue
            source = f"{self.table.prefix}{row.path.replace('/', '.')}{row.note}"
            unit = UNITS[row.unit]
            value = unit.read(stated)
            # every machine has some memory
            if row.fact == _TOTAL:
                value = value or None
            if value is None and unit.noun is not None:
                reason = f"{source.partition(':')[0]} is not a {unit.noun}"
                remedy = "correct the value at its source, or record the machine itself"
                self.lacks(row.fact, reason, remedy)
            self.put(row.fact, value, source)

    def put_cloud_type(self, name: object) -> None:
        """State the processor of a type that a cloud rents, where a row has the type."""
        rented_type = plain(name, 60)
        machine = _rented(rented_type or "")
        architecture = self.values.get("architecture")
        if machine is None or machine.architecture != architecture:
            return
        source_of_cpu = machine.sources.get("cpu_model", "a known machine")
        source = f"the type {rented_type}: {source_of_cpu}"
        self.put("scope", machine.scope, source)
        self.put("cpu_model", machine.cpu_model, source)
        self.put("cpu_cores_physical", machine.cpu_cores_physical, source)
        if "cpu_model" in machine.assumed:
            self.assumed.append("cpu_model")

    def put_home(
        self,
        volumes: Iterable[Volume],
        home: str,
        source: str,
    ) -> None:
        """State the places in the home folder where runtimes store models. All are on the volume
        with the longest mount point above the folder.

        `source` is a template with `mount` for the mount point.
        """
        volume = _volume_of(home, volumes)
        if volume is None:
            return
        free_bytes = whole_number(volume.free_bytes)
        total_bytes = whole_number(volume.total_bytes)
        if total_bytes is not None:
            total_bytes = max(total_bytes, free_bytes or 0)
        elif free_bytes is None:
            return
        place = {
            "path": home,
            "free_bytes": free_bytes,
            "total_bytes": total_bytes,
            "filesystem": plain(volume.filesystem, 60),
            "writable": None,
        }
        disks = [{"purpose": purpose, **place} for purpose in PURPOSES]
        mount = _mount_of(volume)
        self.put("disks", disks, fill(source, {"mount": mount}))
        reason = "the system does not say which account would store the model"
        for purpose in PURPOSES:
            self.lacks(f"disks.{purpose}.writable", reason)

    def put_accelerators(
        self,
        cards: Sequence[CardDraft],
        source: str,
        remedy: str,
    ) -> None:
        """State these cards; an empty list states that there are none. `remedy` says how to get
        what is missing of the cards.
        """
        cards = cards[:MOST_CARDS]
        self.put("accelerators", list(cards), source)
        for part, reason in _PARTS_OF_CARDS.items():
            if any(card.get(part) is None for card in cards):
                self.lacks(f"accelerators.{part}", reason, remedy)
        for card in cards:
            if card["unified"] is not None:
                continue
            why_unserved = gpus.why_unserved(card["name"])
            if why_unserved is None:
                no_row = f"no row of {_TABLE_OF_GPUS} has that name"
                reason = f"{no_row}, so it may share the machine's RAM"
                self.lacks("accelerators.unified", reason, remedy)
            else:
                # an empty remedy: no runtime serves such a GPU
                self.lacks("accelerators.unified", f"it is {why_unserved}", "")

    def record(self, name: str | None, kept_labels: Mapping[str, str]) -> FactValues:
        """Return the `selfhost.machine/1` object. Where no limit is stated the memory is its own
        limit, and the instruction sets are those of the processor's series.
        """
        self._assume_instruction_sets()
        self._complete_limit()
        for lack in self.table.lacks:
            self.lacks(lack.facts, lack.reason, lack.remedy)
        # facts for which no reason was given yet
        self.lacks(" ".join(FACTS), self.table.reason)
        unread = []
        for fact, why in self._lacks.items():
            if fact not in self.values:
                unread.append(
                    {"fact": fact, "reason": why.reason, "remedy": why.remedy}
                )
        return {
            "schema": SCHEMA,
            "name": name,
            "labels": dict(kept_labels),
            **self.values,
            "assumed": self.assumed,
            "sources": self.sources,
            "unread": unread,
        }

    def _assume_instruction_sets(self) -> None:
        """State the instruction sets of the processor's series, where the answer states none."""
        if "instruction_sets" in self.values:
            return
        name = self.values.get("cpu_model") or ""
        guess = sets_of_series(name, self.values.get("architecture"))
        if guess is not None:
            self.put("instruction_sets", sorted(guess.sets), f"assumed: {guess.why}")
            self.assumed.append("instruction_sets")

    def _complete_limit(self) -> None:
        """State the size of the memory as its limit, where no limit is stated, and lower the limit
        to the size, and the available memory to the limit. A system that rounds sizes down to MiB
        may state a limit above the size.
        """
        if _TOTAL not in self.values:
            if _TOTAL in self._lacks:
                why = self._lacks[_TOTAL]
                self.lacks(_LIMIT, why.reason, why.remedy)
        elif _LIMIT not in self.values and _LIMIT not in self._lacks:
            source = f"{self.sources[_TOTAL]}: no lower limit is stated"
            self.put(_LIMIT, self.values[_TOTAL], source)
        most = inf
        for fact in (_TOTAL, _LIMIT, _AVAILABLE):
            if fact in self.values:
                most = min(most, self.values[fact])
                self.values[fact] = most


@lru_cache(512)
def _rented(name: str) -> Machine | None:
    """The virtual machine that a cloud rents under that name; None where no row has the name."""
    match = profiles.machine_called(name) or rented.rented(name)
    if match is None:
        return None
    machine = match.machine
    return machine if machine.scope == "vm" else None


def _volume_of(home: str, volumes: Iterable[Volume]) -> Volume | None:
    """The volume that holds a folder: the volume with the longest mount point above the folder.

    The last of several volumes on one mount point counts, because it hides the others.
    """
    best = None
    longest = 0
    for volume in volumes:
        mount = _mount_of(volume)
        if not mount.startswith("/") or plain(volume.filesystem, 60) in _NO_STORE:
            continue
        is_above = f"{home.rstrip('/')}/".startswith(f"{mount.rstrip('/')}/")
        if is_above and len(mount) >= longest:
            best = volume
            longest = len(mount)
    return best


def _mount_of(volume: Volume) -> str:
    """The mount point of a volume; "" where none is stated."""
    return plain(volume.mount, 1000) or ""


# ------------------------------------------------------------------------------------------- cards


def number_of_cards(value: object) -> int:
    """How many cards a machine has: 0 where none is stated."""
    return min(count_of(value) or 0, MOST_CARDS)


def card_of(
    name: str,
    total_bytes: int | None,
    free_bytes: int | None,
    driver: object,
    *,
    is_part: bool,
) -> CardDraft:
    """Return an NVIDIA accelerator by the name that its system gives. `is_part`: the accelerator is
    an instance of MIG.
    """
    spelled = _spelled(plain(name, 120) or "a GPU")
    if free_bytes is not None and total_bytes is not None:
        free_bytes = min(free_bytes, total_bytes)
    return {
        "vendor": "nvidia",
        "name": spelled,
        "memory_total_bytes": total_bytes,
        "memory_free_bytes": free_bytes,
        # only a card with its own memory can be divided
        "unified": False if is_part else _is_unified(spelled),
        "driver": plain(driver, 60),
    }


@lru_cache(512)
def _spelled(name: str) -> str:
    """The name of a GPU, as the table of GPUs spells it. A name without a row, such as the label
    `NVIDIA-A100-SXM4-40GB-MIG-1g.5gb`, gets spaces for its signs.
    """
    text, mark, part = name.partition("-MIG-")
    words = words_of(text)
    for card in gpus.every_card():
        if words_of(card.name) == words:
            text = card.name
            break
    else:
        if " " not in text:
            text = text.replace("_", " ").replace("-", " ")
    return f"{text} MIG {part}" if mark else text


@lru_cache(512)
def _is_unified(name: str) -> bool | None:
    """Whether the GPU of that name shares the machine's RAM; None where it has no row."""
    without_maker = name.partition(" ")[2]
    # drivers omit the maker in names such as `NVIDIA T4`, so the name is also tried without it
    for candidate in (name, without_maker):
        try:
            if cards_named(candidate).accelerators:
                return False
        except PartOfMachineError:
            return True
        except UnknownGpuError:
            continue
    return None


# ------------------------------------------------------------------------------------------ faults


class OutOfService(Unreadable):
    """Raised for a machine that its system calls down. A policy may leave such machines out."""


def broken(system: str, place: str) -> Entry:
    """Return the fault of an item that describes no machine, so that no item is dropped without a
    word.
    """
    table = table_of(system)
    reason = f"does not describe a machine of {table.title}"
    remedy = f"run `{table.command}` again, or remove the entry"
    return Entry(fault=Unreadable(reason, remedy), place=place)
