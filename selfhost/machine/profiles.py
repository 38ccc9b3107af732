"""Machines that people ask about without having them: `--machine aws-g5.xlarge`. One TOML file
each, read when it is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from ..core import units
from ..core.errors import MachineFileError, SelfhostError
from ..core.records import Record, Unread
from ..core.stored import Store, shipped_store
from ..core.tables import Document, TomlRow, shipped_table
from ..core.units import all_near, canonical
from . import cpus, gpus
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


class Profile(Record):
    """One machine as sold or rented. `kind` is one of KINDS; how sure its figures are stands in
    `machine.confidence`.
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
        cards = (card.name for card in self.machine.accelerators or ())
        texts = (self.name, self.kind, self.title, self.machine.cpu_model or "", *cards)
        all_texts = "  ".join(map(canonical, texts))
        return all(canonical(word) in all_texts for word in words)


@cache
def _rows() -> TomlRow:
    return rows_in(shipped_store())


def rows_in(store: Store) -> TomlRow:
    """What each profile states, by its name. Raises `MachineFileError` where one is no TOML."""
    folder = os.path.join(store.folder, "machines")

    def parse() -> TomlRow:
        rows: dict[str, TomlRow] = {}
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
    """Names, and names without their first word, as `canonical` writes them -> what they can be."""
    names_of_key: dict[str, list[str]] = {}
    for name in names():
        rest = name.partition("-")[2]
        # `desktop 8gb` describes a computer, not `docker-desktop-8gb`
        if rest.partition("-")[0] not in KINDS:
            names_of_key.setdefault(canonical(rest), []).append(name)
    names_of_key.pop("", None)
    return names_of_key | {canonical(name): [name] for name in names()}


def unknown_machine(typed: str) -> SelfhostError:
    """The error for what is no known machine, with names that are spelled alike or hold it."""
    wanted, names_of_key = canonical(typed), _names_by_spelling()
    if nearest := names_of_key.get(wanted, ()):
        return bad_name("several", typed, nearest, names=", ".join(nearest))
    holding = [key for key in sorted(names_of_key) if wanted in key]
    keys = [*all_near(wanted, list(names_of_key)), *holding] if len(wanted) > 2 else []
    nearest = list(dict.fromkeys(names_of_key[key][-1] for key in keys))[:3]
    meant = f"did you mean {', '.join(nearest)}? Otherwise " if nearest else ""
    return bad_name("machine", typed, nearest, meant=meant)


def machine_called(text: str) -> tuple[Machine, str | None] | None:
    """The known machine of this name in any spelling, without its first word where that leaves no
    doubt, or of a label of hosted runners, `ubuntu-latest`, with a note; None for none or several.
    """
    key = canonical(text)
    if own := _names_by_spelling().get(key):
        return (load(own[0]).machine, None) if len(own) == 1 else None
    typed = {key, key.removeprefix("github-").removeprefix("actions-")}
    for row in shipped_table("runner_labels")["label"]:
        if not typed.isdisjoint(map(canonical, row["labels"])):
            other = f" --machine {row['other']}" if "other" in row else "."
            return load(row["profile"]).machine, f'"{text}": {row["note"]}{other}'
    return None


def all_profiles(first_word: str = "") -> tuple[Profile, ...]:
    """Those whose name begins so, by kind and memory. Raises `MachineFileError`."""
    profiles = [load(name) for name in names() if name.startswith(first_word)]
    profiles.sort(
        key=lambda each: (KINDS.index(each.kind), *size_of(each.machine), each.name)
    )
    return tuple(profiles)


def size_of(machine: Machine) -> tuple[int, float]:
    """What machines are ordered by: the bytes of RAM and of GPUs together, then cores."""
    cards = sum(
        card.memory_total_bytes or 0
        for card in machine.accelerators or ()
        if not card.unified
    )
    return (machine.memory_limit_bytes or 0) + cards, machine.cpu_cores_usable or 0.0


@cache
def load(name: str) -> Profile:
    """The known machine of a shipped file, whose keys `specs/README.md` explains. Raises
    `MachineFileError`, and KeyError for a name that is none.
    """
    row = _rows()[name]
    values = _stated_facts(row)
    origin = f"profile {name}, {row['confidence']} confidence"
    sources = {fact: origin for fact, value in values.items() if value is not None}
    sources["memory_total_bytes"] = f"{origin}: {row['source']}"
    if "bandwidth_basis" in row and BANDWIDTH in sources:
        sources[BANDWIDTH] = f"{origin}: {row['bandwidth_basis']}"
    unread: tuple[Unread, ...] = ()
    if row["kind"] in ("cloud", "board"):
        reason = "whoever orders the machine chooses its disk"
        unread = (
            Unread(fact="disks", reason=reason, remedy="state it by --set disk=…"),
        )
    machine = Machine(
        **values,
        name=name,
        scope="vm" if row["kind"] in _GUESTS else "host",
        confidence=row["confidence"],
        # without a figure the pace rests on what machines of this class have
        assumed=() if BANDWIDTH in sources else (BANDWIDTH,),
        sources=sources,
        unread=unread,
    )
    own = {key: row[key] for key in ("title", "kind", "source")}
    return Profile(name=name, note=row.get("note"), machine=planned(machine), **own)


def _stated_facts(row: TomlRow) -> FactValues:
    total = round(row["memory_gib"] * units.GIB)
    sizes = {key: round(row[key] * units.GB) for key in row if "_gb" in key}
    cards: list[Accelerator] = []
    for each in row.get("accelerators", ()):
        sold = each.get("memory_gib")
        memory = None if sold is None else gpus.driver_memory_bytes(each["name"], sold)
        own = {"memory_total_bytes": memory, "unified": each.get("unified", False)}
        cards += [cpus.record_of(Accelerator, each, **own)] * each.get("count", 1)
    free, whole = sizes.get("disk_free_gb"), sizes.get("disk_gb")
    disk = Disk(purpose="", path="its disk", free_bytes=free, total_bytes=whole)
    disks = tuple(disk.replace(purpose=purpose) for purpose in PURPOSES)
    return {
        "system": row["system"],
        "architecture": row["architecture"],
        "memory_total_bytes": total,
        "memory_limit_bytes": sizes.get("memory_limit_gb", total),
        "cpu_cores_usable": float(row["cores"]),
        "cpu_cores_physical": row.get("physical_cores"),
        "cpu_model": row.get("cpu_model"),
        BANDWIDTH: sizes.get("bandwidth_gb_per_second"),
        "accelerators": tuple(cards),
        "instruction_sets": tuple(row.get("instruction_sets", ())) or None,
        "disks": disks if free is not None or whole is not None else None,
    }
