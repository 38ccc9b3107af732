"""Known machines that people ask about without having them: `--machine aws-g5.xlarge`. Each is one
TOML file, which is read when the machine is named.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ..core import units
from ..core.errors import MachineFileError, SelfhostError
from ..core.records import Record, Stated, Unread
from ..core.stored import Store, answering_store
from ..core.tables import Document, TomlRow, shipped_record
from ..core.units import all_near, canonical
from . import gpus
from .changes import planned
from .record import BANDWIDTH, PURPOSES, Accelerator, Disk, FactValues, Machine
from .words import bad_name

KINDS = (
    "laptop",
    "desktop",
    "mini-pc",
    "mac",
    "board",
    "ci",
    "cloud",
    "server",
    "virtual",
)
_GUESTS = ("ci", "cloud", "virtual")
_WITHOUT_DISKS = ("cloud", "board")
# what people write around the label of a hosted runner: "macos-15 GitHub runner"
_AROUND_LABELS = ("github", "actions", "hosted", "runner")
_DISKS_TO_CHOOSE = Unread(
    fact="disks",
    reason="whoever orders the machine chooses its disk",
    remedy="state it by --set disk=… (in a policy: by the facts of a class)",
)
MEMORY_FACTS = ("memory_total_bytes", "memory_limit_bytes")


class Profile(Record):
    """A machine as it is sold or rented. `kind` is one of KINDS; `machine.confidence` says how sure
    the figures are.
    """

    name: str
    title: str
    kind: str
    source: str
    note: str | None
    machine: Machine

    @property
    def short(self) -> str:
        """The name without its first word, the provider's or the kind's."""
        return self.name.partition("-")[2]

    def holds(self, words: Iterable[str]) -> bool:
        """Whether its name, kind, title, processor or GPUs hold every word."""
        texts = [self.name, self.kind, self.title, *self.machine.part_names]
        all_texts = "  ".join(map(canonical, texts))
        keys = map(canonical, words)
        return all(key in all_texts for key in keys)


class NotedMachine(NamedTuple):
    """The machine that a text means, and the note for the user about it; None where the text means
    one machine, of which nothing was assumed.
    """

    machine: Machine
    note: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """The note alone; () where there is none."""
        if self.note is None:
            return ()
        return (self.note,)


class RunnerLabel(Stated):
    """The other names of a profile's machine. `note` is shown with the answer, and ends with the
    profile `other` where there is one.
    """

    profile: str
    labels: tuple[str, ...]
    note: str
    source: str
    other: str | None = None

    def note_about(self, typed: str) -> str:
        """The note for a user who typed one of the labels."""
        note = f'"{typed}": {self.note}'
        if self.other is None:
            return f"{note}."
        return f"{note} --machine {self.other}"


class RunnerLabels(Stated):
    """`specs/common/runner_labels.toml`."""

    schema: int
    label: tuple[RunnerLabel, ...]


class CardRow(Stated):
    """A GPU of a known machine, or `count` of them."""

    vendor: str
    name: str
    memory_gib: float | None = None
    unified: bool = False
    count: int = 1


class MachineRow(Stated):
    """The keys of a known machine's file: `specs/README.md` explains each key."""

    title: str
    kind: str
    system: str
    architecture: str
    memory_gib: float
    cores: int
    confidence: str
    source: str
    memory_limit_gb: float | None = None
    physical_cores: int | None = None
    cpu_model: str | None = None
    instruction_sets: tuple[str, ...] = ()
    bandwidth_gb_per_second: float | None = None
    bandwidth_basis: str | None = None
    accelerators: tuple[CardRow, ...] = ()
    disk_gb: float | None = None
    disk_free_gb: float | None = None
    note: str | None = None

    def facts(self) -> FactValues:
        """The facts of the machine."""
        total_bytes = round(self.memory_gib * units.GIB)
        cards = []
        for card in self.accelerators:
            memory_bytes = None
            if card.memory_gib is not None:
                memory_bytes = gpus.driver_memory_bytes(card.name, card.memory_gib)
            accelerator = Accelerator(
                vendor=card.vendor,
                name=card.name,
                memory_total_bytes=memory_bytes,
                unified=card.unified,
            )
            cards += [accelerator] * card.count
        return {
            "system": self.system,
            "architecture": self.architecture,
            "memory_total_bytes": total_bytes,
            "memory_limit_bytes": _bytes_of(self.memory_limit_gb) or total_bytes,
            "cpu_cores_usable": float(self.cores),
            "cpu_cores_physical": self.physical_cores,
            "cpu_model": self.cpu_model,
            BANDWIDTH: _bytes_of(self.bandwidth_gb_per_second),
            "accelerators": tuple(cards),
            "instruction_sets": self.instruction_sets or None,
            "disks": self._disks(),
        }

    def _disks(self) -> tuple[Disk, ...] | None:
        """The disk of the row as the place for each purpose; None where the row states no disk."""
        if self.disk_free_gb is None and self.disk_gb is None:
            return None
        disk = Disk(
            purpose="",
            path="its disk",
            free_bytes=_bytes_of(self.disk_free_gb),
            total_bytes=_bytes_of(self.disk_gb),
        )
        disks = [disk.replace(purpose=purpose) for purpose in PURPOSES]
        return tuple(disks)


def _bytes_of(gb: float | None) -> int | None:
    """The bytes of `gb` GB; None for None."""
    if gb is None:
        return None
    return round(gb * units.GB)


@cache
def _rows() -> Mapping[str, MachineRow]:
    """The file of each known machine, by the machine's name. Raises `MachineFileError` for a faulty
    file of another catalogue.
    """
    store = answering_store()
    rows = {}
    for name, values in rows_in(store).items():
        file = os.path.join(store.folder, "machines", f"{name}.toml")
        document = Document(file, values, is_trusted=store.is_trusted)
        rows[name] = document.root.as_record(MachineRow)
        if not document.ok:
            raise MachineFileError(document.problems)
    return rows


def rows_in(store: Store) -> TomlRow:
    """Return the values of each profile in a store, by the profile's name. Raises
    `MachineFileError` where a file is no TOML.
    """
    folder = os.path.join(store.folder, "machines")

    def parse() -> TomlRow:
        rows = {}
        for file in sorted(os.listdir(folder)):
            if file.startswith(".") or not file.endswith(".toml"):
                continue
            document = Document.read(os.path.join(folder, file))
            if not document.ok:
                raise MachineFileError(document.problems)
            rows[file.removesuffix(".toml")] = document.values
        return rows

    rows: TomlRow = store.value("machines", parse)
    return rows


def names() -> tuple[str, ...]:
    """Every profile's name, sorted. No file is read."""
    return tuple(sorted(_rows()))


@cache
def _names_by_spelling() -> Mapping[str, Sequence[str]]:
    """The names of profiles that a typed name can mean, by the name as `canonical` writes it, with
    and without its first word. That of a laptop is not left out: its GPU is another one than the
    card of that name.
    """
    names_of_key: dict[str, list[str]] = {}
    for name in names():
        first, _, rest = name.partition("-")
        kind = rest.partition("-")[0]
        # `desktop 8gb` describes a computer, and does not mean `docker-desktop-8gb`
        if rest and kind not in KINDS and first != "laptop":
            several = names_of_key.setdefault(canonical(rest), [])
            several.append(name)
    for name in names():
        names_of_key[canonical(name)] = [name]
    return names_of_key


# words of people who mean the computer before them
_OWN = frozenset(("here", "local", "localhost", "mine", "my", "our", "this"))


def unknown_machine(typed: str) -> SelfhostError:
    """Return the error for a name of no known machine. It lists names that are spelled alike or
    hold the typed name.
    """
    wanted = canonical(typed)
    names_of_key = _names_by_spelling()
    several = names_of_key.get(wanted, ())
    if several:
        return bad_name("several", typed, several)
    keys = []
    if len(wanted) > 2:
        keys += all_near(wanted, list(names_of_key))
        keys += [key for key in sorted(names_of_key) if wanted in key]
    near = dict.fromkeys(names_of_key[key][-1] for key in keys)
    is_own = not _OWN.isdisjoint(wanted.split("-"))
    return bad_name("machine", typed, list(near)[:3], own=is_own)


def machine_called(text: str) -> NotedMachine | None:
    """Return the known machine that `text` names, with a note; None where it names none or several.

    The name may have any spelling, and may lack its first word where that leaves no doubt. It may
    also be a label of hosted runners, `ubuntu-latest`.
    """
    key = canonical(text)
    words = [word for word in key.split("-") if word not in _AROUND_LABELS]
    label = "-".join(words)
    by_spelling = _names_by_spelling()
    found = by_spelling.get(key)
    if found is None:
        found = by_spelling.get(label, ())
    if len(found) > 1:
        return None
    if found:
        return NotedMachine(load(found[0]).machine, None)
    for row in shipped_record(RunnerLabels, "runner_labels").label:
        labels = set(map(canonical, row.labels))
        if key in labels or label in labels:
            return NotedMachine(load(row.profile).machine, row.note_about(text))
    return None


def all_profiles() -> tuple[Profile, ...]:
    """Every known machine, by kind and memory. Raises `MachineFileError`."""
    return _ordered(names())


def profiles_with_cards(first_word: str, cards: Collection[str]) -> tuple[Profile, ...]:
    """Return the profiles whose names begin with `first_word` and whose GPUs have exactly these
    names, by kind and memory. Raises `MachineFileError`.

    Only these profiles are made, because making all of them takes a sixth of a check.
    """
    wanted = set(cards)
    found = []
    for name, row in _rows().items():
        names_of_cards = {card.name for card in row.accelerators}
        if name.startswith(first_word) and names_of_cards == wanted:
            found.append(name)
    return _ordered(found)


def _ordered(profile_names: Iterable[str]) -> tuple[Profile, ...]:
    """The profiles of these names, by kind and memory."""
    profiles = map(load, profile_names)
    return tuple(sorted(profiles, key=_place_in_lists))


def _place_in_lists(profile: Profile) -> tuple[int, float, float, str]:
    """The sort key of a profile: its kind, its size and its name."""
    kind = KINDS.index(profile.kind)
    return kind, *size_order(profile.machine), profile.name


def size_order(machine: Machine) -> tuple[int, float]:
    """Return the sort key of a machine's size: the bytes of RAM and GPU memory together, then the
    cores.
    """
    total = machine.memory_limit_bytes or 0
    for card in machine.own_memory_cards:
        total += card.memory_total_bytes or 0
    return total, machine.cpu_cores_usable or 0.0


@cache
def load(name: str) -> Profile:
    """Return the known machine of a shipped file. Raises `MachineFileError`, and `KeyError` for a
    name of no file.
    """
    row = _rows()[name]
    facts = row.facts()
    origin = f"profile {name}, {row.confidence} confidence"
    sources = {}
    for fact, value in facts.items():
        if value is not None:
            sources[fact] = origin
    sources["memory_total_bytes"] = f"{origin}: {row.source}"
    if row.bandwidth_basis is not None:
        sources[BANDWIDTH] = f"{origin}: {row.bandwidth_basis}"
    machine = Machine(
        **facts,
        name=name,
        scope="vm" if row.kind in _GUESTS else "host",
        confidence=row.confidence,
        # without a stated bandwidth, the pace rests on machines of this class
        assumed=() if BANDWIDTH in sources else (BANDWIDTH,),
        sources=sources,
        unread=(_DISKS_TO_CHOOSE,) if row.kind in _WITHOUT_DISKS else (),
    )
    return Profile(
        name=name,
        title=row.title,
        kind=row.kind,
        source=row.source,
        note=row.note,
        machine=planned(machine),
    )


def planned_machine(
    facts: FactValues,
    *,
    memory_gib: float,
    assumed: Sequence[str],
    source: str,
    name: str,
    scope: str,
    confidence: str,
) -> Machine:
    """Return a machine for planning, with facts from one source. The facts in `assumed` are marked
    so in their sources.
    """
    memory_bytes = round(memory_gib * units.GIB)
    facts = facts | dict.fromkeys(MEMORY_FACTS, memory_bytes)
    sources = {}
    for fact, value in facts.items():
        if value is None:
            continue
        sources[fact] = source
        if fact in assumed:
            sources[fact] += ": assumed, as most such machines have it"
    machine = Machine(
        **facts,
        name=name,
        scope=scope,
        confidence=confidence,
        assumed=tuple(assumed),
        sources=sources,
    )
    return planned(machine)
