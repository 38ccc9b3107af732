"""Machines that people ask about without having them: `--machine aws-g5.xlarge`. One TOML file
each, read when it is named.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache, lru_cache

from ..core import units
from ..core.errors import MachineFileError, SelfhostError
from ..core.records import Record, Unread
from ..core.spelling import canonical
from ..core.tables import STORED, is_stored, read_stored, shipped_folder, table_at
from ..core.tomlfile import Document, Table
from . import gpus
from .changes import ARCHITECTURES, SYSTEMS, planned
from .record import CONFIDENCES, PURPOSES, Accelerator, Disk, Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

KINDS = ("laptop", "desktop", "mini-pc", "mac", "board", "ci", "cloud", "server", "virtual")
_GUESTS = ("ci", "cloud", "virtual")
_CHOSEN = "chosen by whoever orders the machine"
# first words of profiles' names: of guests, who rents them, and what says nothing of the parts
_FORMS = ("desktop", "laptop", "server")
_HOSTS = ("aws", "azure", "gcp", "github", "gitlab", "hetzner", "circleci")
_SIZE = re.compile(r"\d+gb", re.ASCII)
_SUGGESTED = 3
# a shorter piece of a name says little: `i5`, `gb`
_LEAST_TELLING = 3
# of two words, how alike they are that differ by a slip: `macbok` and `macbook` 0.92
_SLIP = 0.75


class UnknownMachineError(SelfhostError, LookupError):
    """No profile answers to the name. `nearest` are names that do, closest first."""


class NotOneMachineError(UnknownMachineError):
    """The name is known, but it is that of several machines, or of none with that memory."""


class Profile(Record):
    """One machine as sold or rented. `kind` is one of KINDS; how sure its figures are stands in
    `machine.confidence`. `is_portable`: it is a laptop, whatever its kind.
    """

    name: str
    title: str
    kind: str
    source: str
    note: str | None
    machine: Machine
    is_portable: bool = False

    @property
    def short(self) -> str:
        """The name without its first word, the provider's or the kind's, by which it is found
        too.
        """
        return self.name.partition("-")[2]

    def holds(self, words: Iterable[str]) -> bool:
        """Whether its name, kind, title, processor or GPUs hold every word."""
        cards = (card.name for card in self.machine.accelerators or ())
        texts = (self.name, self.kind, self.title, self.machine.cpu_model or "", *cards)
        all_texts = "  ".join(map(canonical, texts))
        return all(canonical(word) in all_texts for word in words)


class NamedProfile(Record):
    """A profile, and what else the name can mean; None where it means this one alone."""

    profile: Profile
    note: str | None


def names() -> tuple[str, ...]:
    """Every profile's name, sorted. No file is read."""
    return tuple(sorted(_names().values()))


@lru_cache(1)
def _names() -> dict[str, str]:
    """A name as `catalogue.canonical` writes it -> the name."""
    stored = _stored()
    if stored is None:
        files = (file for file in os.listdir(_folder()) if not file.startswith("."))
        return {canonical(file[:-5]): file[:-5] for file in files if file.endswith(".toml")}
    return {canonical(name): name for name in stored}


@lru_cache(1)
def _stored() -> Mapping[str, Any] | None:
    """What an installed package has of all profiles, by name; None in a checkout."""
    stored: Mapping[str, Any] | None = None
    if is_stored(_folder()):
        stored = read_stored(_folder() + STORED)
    return stored


def _folder() -> str:
    return os.path.join(shipped_folder(), "machines")


class Label(Record):
    """What a pipeline calls a machine: the name of its profile, and what to know beside it."""

    profile: str
    note: str


def label_named(typed: str) -> Label | None:
    """What a label of hosted runners means, such as `ubuntu-latest`, also behind the words for who
    hosts them, `github actions ubuntu-latest`; None where it is none.
    """
    label = _labels().get(canonical(typed))
    if label is None and len(words := typed.split()) > 1:
        behind = _labels().get(canonical(words[-1]))
        is_of_host = behind is not None and behind.profile.startswith(f"{words[0].lower()}-")
        label = behind if is_of_host else None
    return label


def needed_words() -> frozenset[str]:
    """Words of profiles' names without which another machine is meant: `orin`."""
    return _label_table()[1]


def _labels() -> dict[str, Label]:
    """The labels as `canonical` writes them -> what they mean."""
    return _label_table()[0]


@lru_cache(1)
def _label_table() -> tuple[dict[str, Label], frozenset[str]]:
    """`specs/common/runner_labels.toml`: labels, and words that a name must have."""
    document = table_at(os.path.join(shipped_folder(), "common", "runner_labels"))
    root = document.root
    root.integer("schema", required=True, minimum=1, maximum=1)
    needed = frozenset(root.strings("needed"))
    label_of_key: dict[str, Label] = {}
    for row in root.tables("label"):
        profile, note = row.text("profile", required=True), row.text("note", required=True)
        row.text("source", required=True)
        other = row.text("other")
        if other:
            note = f"{note or ''} --machine {other}"
        for typed in row.strings("labels"):
            label_of_key[canonical(typed)] = Label(profile=profile or "", note=note or "")
        row.close()
    root.close()
    if not document.ok:
        raise MachineFileError(document.problems)
    return label_of_key, needed


def find(typed: str) -> str | None:
    """The profile's name that `typed` means: in any spelling, without its first word where that
    leaves no doubt, or as a label of hosted runners. None where it means none or several.
    """
    own = _names().get(canonical(typed))
    if own is not None:
        return own
    ends = _names_of_ends().get(canonical(typed), [])
    if ends:
        return ends[0] if len(ends) == 1 else None
    label = label_named(typed)
    return None if label is None else label.profile


@lru_cache(1)
def _names_of_ends() -> dict[str, list[str]]:
    """A name without its first word as `canonical` writes it -> the names that end so, sorted."""
    names_of_end: dict[str, list[str]] = {}
    for name in names():
        names_of_end.setdefault(canonical(name.partition("-")[2]), []).append(name)
    names_of_end.pop("", None)
    return names_of_end


def unknown(typed: str) -> UnknownMachineError:
    """The error for what `find` has no name for, with names like it, which take long to find."""
    ends = _names_of_ends().get(canonical(typed), [])
    if ends:
        message = f"{typed!r} is the end of several machines' names"
        return _with_others(message, ends)
    return _with_others(f"no machine is called {typed!r}", _nearest(canonical(typed), _names()))


def _with_others(message: str, nearest: list[str]) -> UnknownMachineError:
    meant = f"did you mean {', '.join(nearest)}? Else " if nearest else ""
    return UnknownMachineError(
        message,
        nearest=nearest,
        remedy=(
            f"{meant}name its processor (--machine 'i5-8250U 16GB') or state it (--set memory=16GiB"
            f" --set cores=8 --set bandwidth=40GB/s); {_LISTS_ALL}"
        ),
    )


_LISTS_ALL = "`selfhost machine --profiles` lists all names"


def _nearest(wanted: str, name_of_key: dict[str, str]) -> list[str]:
    if not 2 < len(wanted) < 100:
        return []
    from difflib import get_close_matches

    spelled = {end: ends[-1] for end, ends in _names_of_ends().items()} | name_of_key
    close = get_close_matches(wanted, list(spelled), n=_SUGGESTED, cutoff=0.6)
    inside = [name for key, name in sorted(name_of_key.items()) if wanted in key]
    guesses = dict.fromkeys([*(spelled[key] for key in close), *inside])
    return [name for name in guesses if _shares_a_word(wanted, name)][:_SUGGESTED]


def _shares_a_word(wanted: str, name: str) -> bool:
    """Whether a word or a number of three signs or more stands in the name too, but for a slip:
    letters that happen to be alike make no machine like another. Nor does a provider's name where
    none of the model's number is alike: a CCX23 is no CAX21.
    """
    from difflib import get_close_matches

    pieces = canonical(name).split("-")
    numbers = set(re.findall(r"(?<!\d)\d{2,}(?!\d|-?[gt]b)", wanted))
    if numbers and numbers.isdisjoint(pieces):
        return False
    telling = [piece for piece in wanted.split("-") if len(piece) >= _LEAST_TELLING]
    return any(
        piece in pieces
        or (not piece.isdecimal() and get_close_matches(piece, pieces, n=1, cutoff=_SLIP))
        for piece in telling
    )


def by_words(typed: Sequence[str]) -> list[Profile]:
    """The profiles whose name has all of these words, or all but one of their own: each its size
    or what is left of the name. Of several machines the one whose name lacks the fewest; empty
    where the words name none, or one from which a word tells it apart (`needed_words`).
    """
    wanted = Counter(typed)
    if not any(_tells_machine(word) and len(word) >= _LEAST_TELLING for word in wanted):
        return []
    matching: dict[int, list[str]] = {}
    for name in names():
        pieces = Counter(name.lower().split("-"))
        if name.split("-")[0] in _HOSTS or not wanted <= pieces:
            continue
        lacking = [word for word in (pieces - wanted).elements() if _tells_machine(word)]
        # `m2` is no M2 Max, and `epyc` no certain one
        most_lacking = 0 if name.startswith("mac") else 1
        is_another = not needed_words().isdisjoint(lacking) or not all(map(str.isalpha, lacking))
        if len(lacking) <= most_lacking and not is_another:
            matching.setdefault(len(lacking), []).append(name)
    return [_profile(name) for name in matching[min(matching)]] if matching else []


def _tells_machine(word: str) -> bool:
    """Whether a word of a name is neither a size nor a form."""
    return not _SIZE.fullmatch(word) and word not in _FORMS


def beginning_with(*first_words: str) -> tuple[Profile, ...]:
    """The profiles whose name begins so, from the smallest to the largest memory."""
    profiles = [_profile(name) for name in names() if name.startswith(first_words)]
    return tuple(sorted(profiles, key=lambda each: (*size_of(each.machine), each.name)))


def boards() -> tuple[str, ...]:
    """The names of boards and small computers, which people write beside other words."""
    others = (*_HOSTS, *_FORMS, "mac", "docker", "wsl")
    return tuple(name for name in names() if not name.startswith(others))


def base_name(name: str) -> str:
    """A profile's name without the size of its memory."""
    return "-".join(piece for piece in name.split("-") if not _SIZE.fullmatch(piece))


def load(typed: str) -> Profile:
    """The profile that `typed` means. Raises `UnknownMachineError`, and `MachineFileError` with
    every fault of its file.
    """
    name = find(typed)
    if name is None:
        raise unknown(typed)
    return _profile(name)


def called(text: str) -> NamedProfile | None:
    """The profile of this name, or of this label of hosted runners; None where it is that of none
    or of several.
    """
    name = find(text)
    if name is None:
        return None
    profile = _profile(name)
    typed = canonical(text)
    is_its_name = typed in (canonical(profile.name), canonical(profile.short))
    label = None if is_its_name else label_named(text)
    return NamedProfile(profile=profile, note=None if label is None else f'"{text}": {label.note}')


@cache
def _profile(name: str) -> Profile:
    stored, path = _stored(), os.path.join(_folder(), f"{name}.toml")
    return read_profile(
        Document.read(path) if stored is None else Document(path, stored[name]), name
    )


def all_profiles() -> tuple[Profile, ...]:
    """Every profile, by kind and from the smallest to the largest memory. Raises
    `MachineFileError`.
    """
    return tuple(
        sorted(
            map(_profile, names()),
            key=lambda profile: (
                KINDS.index(profile.kind),
                *size_of(profile.machine),
                profile.name,
            ),
        )
    )


def size_of(machine: Machine) -> tuple[int, float]:
    """What machines are ordered by: the bytes of RAM and of accelerators together, then cores.
    What is unread counts as nothing.
    """
    cards = sum(
        card.memory_total_bytes or 0 for card in machine.accelerators or () if not card.unified
    )
    return (machine.memory_limit_bytes or 0) + cards, machine.cpu_cores_usable or 0.0


_BANDWIDTH = "memory_bandwidth_bytes_per_second"


def read_profile(document: Document, name: str) -> Profile:
    """The profile in one file. Raises `MachineFileError` with every fault.

    Keys: title, kind, portable (true of a laptop of another kind), system, architecture, memory_gib
    (as sold), memory_limit_gb (where a control group is below it), cores (as the system counts
    them), physical_cores, cpu_model, instruction_sets, disk_free_gb (promised free) or disk_gb (the
    whole disk; neither where one chooses it), bandwidth_gb_per_second with bandwidth_basis,
    confidence, source, note, and `[[accelerators]]`: vendor, name as the driver says it, count,
    memory_gib (as sold) or unified = true. Confidence is high where the sizes were read in the
    source, medium where a part is arithmetic or general knowledge, low where nothing was read. What
    is left out is assumed or unread.
    """
    root = document.root
    kind = root.string("kind", required=True, choices=KINDS)
    title, source = root.text("title", required=True), root.text("source", required=True)
    confidence = root.string("confidence", required=True, choices=CONFIDENCES)
    note = root.text("note")
    is_portable = kind == "laptop" or bool(root.boolean("portable"))
    values: dict[str, Any] = {
        "system": root.string("system", required=True, choices=SYSTEMS),
        "architecture": root.string("architecture", required=True, choices=ARCHITECTURES),
        "memory_total_bytes": _bytes(root, "memory_gib", units.GIB, required=True),
        "cpu_cores_usable": root.number("cores", required=True, minimum=1, maximum=100_000),
        "cpu_cores_physical": root.integer("physical_cores", minimum=1, maximum=100_000),
        "cpu_model": root.string("cpu_model"),
        "memory_bandwidth_bytes_per_second": _bytes(root, "bandwidth_gb_per_second", units.GB),
    }
    values["memory_limit_bytes"] = (
        _bytes(root, "memory_limit_gb", units.GB) or values["memory_total_bytes"]
    )
    basis = root.text("bandwidth_basis")
    if "instruction_sets" in root:
        values["instruction_sets"] = root.strings("instruction_sets")
    free, whole = _bytes(root, "disk_free_gb", units.GB), _bytes(root, "disk_gb", units.GB)
    cards: list[Accelerator] = []
    for table in root.tables("accelerators"):
        cards += _cards(table)
    root.close()
    if not document.ok or not (kind and title and source):
        raise MachineFileError(document.problems)
    values["accelerators"] = tuple(cards)
    if free is not None or whole is not None:
        values["disks"] = tuple(
            Disk(purpose=purpose, path="its disk", free_bytes=free, total_bytes=whole)
            for purpose in PURPOSES
        )
    sources = _sources(values, f"profile {name}, {confidence} confidence", source, basis)
    # without a figure the pace rests on what machines of this class have
    assumed = () if _BANDWIDTH in sources else (_BANDWIDTH,)
    machine = Machine(
        **values,
        name=name,
        scope="vm" if kind in _GUESTS else "host",
        confidence=confidence,
        assumed=assumed,
        sources=sources,
        unread=_not_stated(values, kind),
    )
    return Profile(
        name=name,
        title=title,
        kind=kind,
        source=source,
        note=note,
        machine=planned(machine),
        is_portable=is_portable,
    )


def _sources(values: dict[str, Any], origin: str, source: str, basis: str | None) -> dict[str, str]:
    """Where each fact comes from; the total and the bandwidth say more than `origin`."""
    sources = {fact: origin for fact, value in values.items() if value is not None}
    sources["memory_total_bytes"] = f"{origin}: {source}"
    if basis and _BANDWIDTH in sources:
        sources[_BANDWIDTH] = f"{origin}: {basis}"
    return sources


def _not_stated(values: dict[str, Any], kind: str) -> tuple[Unread, ...]:
    """Why facts are None, with what decides them on the real machine."""
    why = "the profile does not state it"
    disk = f"its disk is {_CHOSEN}" if kind in ("cloud", "board") else why
    facts = [
        "memory_available_bytes", "swap_free_bytes", "read_at", "models_present", "runtimes",
        "cpu_model", "cpu_cores_physical",
        "cpu_cores_performance", "memory_bandwidth_bytes_per_second",
        "accelerators.memory_total_bytes",
    ]  # fmt: skip
    facts += [
        f"disks.{purpose}.{part}" for purpose in PURPOSES for part in ("free_bytes", "writable")
    ]
    remedy = "record the machine itself: `selfhost machine --format json`"
    entries = [Unread(fact="disks", reason=disk, remedy=remedy)] if "disks" not in values else []
    return (
        *entries,
        *(
            Unread(fact=fact, reason=why, remedy=remedy)
            for fact in facts
            if values.get(fact) is None
        ),
    )


def _bytes(table: Table, key: str, unit: int, *, required: bool = False) -> int | None:
    size = table.number(key, required=required, minimum=0.001, maximum=10_000_000)
    return None if size is None else round(size * unit)


def _cards(table: Table) -> list[Accelerator]:
    vendor, name = table.string("vendor", required=True), table.string("name", required=True)
    count = table.integer("count", minimum=1, maximum=64) or 1
    unified = table.boolean("unified") or False
    sold = table.number("memory_gib", required=not unified, minimum=0.001, maximum=10_000_000)
    table.close()
    if vendor is None or name is None:
        return []
    memory = None if sold is None else gpus.driver_memory_bytes(name, sold)
    return [
        Accelerator(vendor=vendor, name=name, memory_total_bytes=memory, unified=unified)
    ] * count
