"""What readers of other systems share: numbers as those systems write them, and the record that
they fill.

A reader states a fact with its source, or that the system lacks it, with a reason and how to get
it. Texts of the system reach the record through `plain` alone, labels through `labels` alone, and
names through `machine_name` alone: addresses and serial numbers get no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...core import units
from ...machine.changes import with_implied
from ...machine.record import (
    FACTS,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    SCHEMA,
    UNPRINTABLE,
    normal_architecture,
    normal_system,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

MAX_LABELS = 32
MAX_LABEL = 200
MAX_NAME = 253
RECORD_IT = "record the machine itself: `selfhost machine --format json`"

# what tells who or where a machine is, and is never copied out: addresses of networks and mail,
# and the numbers by which makers and systems tell one machine from another
_PRIVATE = re.compile(
    r"(?<![\d.])\d{1,3}(?:[.-]\d{1,3}){3}(?![\d.])"
    r"|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}"
    r"|(?<![0-9a-z])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![0-9a-z])"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|[0-9a-f]{32,}"
    r"|@"
    r"|://",
    re.IGNORECASE,
)


# a name that is nothing but an address, perhaps with a port
_ADDRESS = re.compile(
    r"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})\]?(?::\d{1,5})?",
    re.IGNORECASE | re.ASCII,
)


class Facts:
    """The record of one machine while a system's answer is read."""

    __slots__ = ("_lacks", "sources", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self._lacks: dict[str, tuple[str, str | None]] = {}

    def put(self, fact: str, value: Any, source: str) -> None:
        """The fact has this value; None, which the answer does not hold, changes nothing."""
        if value is not None:
            self.values[fact] = value
            self.sources[fact] = source

    def note(self, fact: str, source: str) -> None:
        """Where a part of a fact is from: `accelerators.memory_total_bytes`."""
        self.sources[fact] = source

    def lacks(
        self, facts: str | Iterable[str], reason: str, remedy: str | None = RECORD_IT
    ) -> None:
        """Why these facts are not known, where they are not, and how to get them."""
        for fact in (facts,) if isinstance(facts, str) else facts:
            self._lacks.setdefault(fact, (reason, remedy))

    def put_platform(self, system: Any, architecture: Any, source: str) -> None:
        """System and architecture, by any of their names."""
        if name := plain(system):
            self.put("system", normal_system(name), source)
        if name := plain(architecture):
            self.put("architecture", normal_architecture(name), source)

    def put_instruction_sets(self, names: Iterable[str], source: str) -> None:
        """Those that were named, by Linux kernel names, and those that they bring."""
        sets = with_implied(tuple(names), self.values.get("architecture"))
        self.put("instruction_sets", sorted(sets), source)

    def put_size(
        self, fact: str, stated: Any, source: str, unit: int = 1, *, least: int = 1
    ) -> int | None:
        """A size of memory, stated in so many bytes, and the bytes. What is stated and is no size
        leaves the fact unread for that reason: no other statement takes its place.
        """
        size = whole(stated, unit, least=least, most=MAX_MEMORY_BYTES)
        if size is None and stated is not None:
            self.lacks(fact, _no_size(source, stated), _CORRECT)
        self.put(fact, size, source)
        return size

    def put_memory(self, stated: Any, source: str, unit: int = 1) -> None:
        """The machine's memory, which is also its limit where a system of hosts states none."""
        total = self.put_size("memory_total_bytes", stated, source, unit)
        if total is None and stated is not None:
            self.lacks("memory_limit_bytes", _no_size(source, stated), _CORRECT)
        self.put("memory_limit_bytes", total, f"{source}: no lower limit is stated")

    def put_budget(self, total: int, stated: Any, source: str, unit: int = 1) -> None:
        """The limit: the memory less what is kept from jobs; None is nothing."""
        kept = 0 if stated is None else whole(stated, unit)
        if kept is None:
            self.lacks("memory_limit_bytes", _no_size(source, stated), _CORRECT)
        else:
            self.put("memory_limit_bytes", max(total - kept, 0), source)

    def put_cores(self, stated: Any, source: str) -> None:
        """Cores, perhaps a fraction, as the first of several statements has them."""
        fact = "cpu_cores_usable"
        if stated is None or fact in self.values or fact in self._lacks:
            return
        usable = cores(stated)
        if usable is None:
            reason = f"{_key(source)} is {_cited(stated)}, which is no number of cores"
            self.lacks(fact, reason, _CORRECT)
        self.put(fact, usable, source)

    def put_available(self, stated: Any, source: str) -> None:
        """What is available now, at most what there is: systems round down to MiB."""
        available = whole(stated)
        if available is None and stated is not None:
            self.lacks("memory_available_bytes", _no_size(source, stated), _CORRECT)
        limits = [self.values.get("memory_limit_bytes"), self.values.get("memory_total_bytes")]
        limit = min((size for size in limits if size is not None), default=None)
        if available is not None and limit is not None:
            available = min(available, limit)
        self.put("memory_available_bytes", available, source)

    def share(self, shared: dict[object, Any]) -> None:
        """Keep what machines have in common once, in `shared`: of a fleet that is most of it."""
        self.sources = _known(shared, ("sources", *self.sources.items()), self.sources)
        self._lacks = _known(shared, ("lacks", *self._lacks.items()), self._lacks)
        for fact in ("instruction_sets", "accelerators"):
            value = self.values.get(fact)
            if value:
                self.values[fact] = _known(shared, (fact, repr(value)), value)

    def unshare(self) -> None:
        """Have everything for itself again, to change it."""
        self.sources, self._lacks = dict(self.sources), dict(self._lacks)

    def record(self, name: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
        """The `selfhost.machine/1` object."""
        unread = [
            {"fact": fact, "reason": reason, "remedy": remedy}
            for fact, (reason, remedy) in self._lacks.items()
            if self.values.get(fact) is None
        ]
        unread += [
            {"fact": fact, "reason": "the answer does not hold it", "remedy": RECORD_IT}
            for fact in FACTS
            if self.values.get(fact) is None and fact not in self._lacks
        ]
        return {
            "schema": SCHEMA,
            "name": name,
            "labels": dict(labels),
            **self.values,
            "sources": self.sources,
            "unread": unread,
        }


_CORRECT = "correct the value where it is from, or record the machine itself"


def _cited(stated: Any) -> str:
    """A value as messages show it: a text in quotes, a number as it is."""
    if isinstance(stated, str):
        text = plain(stated, 40)
        return f'"{text}"' if text and not is_private(text) else "another text"
    if isinstance(stated, int | float | bool):
        return repr(stated)[:40]
    return "no number"


def _no_size(source: str, stated: Any) -> str:
    return f"{_key(source)} is {_cited(stated)}, which is no size of memory"


def _key(source: str) -> str:
    """Where a value stands, without what it means."""
    return source.partition(":")[0]


class Hosts:
    """Names of hosts on which nodes are: their own, or a number where only an address is known.

    An address tells hosts of one name apart, and is not kept.
    """

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._taken: set[str] = set()

    def name(self, address: Any, name: Any = None) -> str | None:
        """The host's; None where nothing tells which it is."""
        key = plain(address, MAX_NAME) or plain(name, MAX_NAME)
        if key is None:
            return None
        if key not in self._of:
            own = machine_name(name) or (machine_name(address) if name is None else None)
            number = len(self._of) + 1
            chosen = own or f"host-{number}"
            self._of[key] = chosen if chosen not in self._taken else f"{chosen}#{number}"
            self._taken.add(self._of[key])
        return self._of[key]


# beyond this many no machine has much in common with another
_MAX_KNOWN = 10_000


def _known(shared: dict[object, Any], key: object, value: Any) -> Any:
    if key not in shared and len(shared) < _MAX_KNOWN:
        shared[key] = value
    return shared.get(key, value)


def plain(value: Any, length: int = MAX_LABEL) -> str | None:
    """A text of an answer, cut, with nothing that controls a terminal; None for what is none."""
    if not isinstance(value, str):
        return None
    text = UNPRINTABLE.sub("?", value[: 4 * length]).strip()
    return text[:length] or None


def is_private(text: str) -> bool:
    """Whether it holds an address of a network or of mail, or the serial number of something."""
    return _PRIVATE.search(text) is not None


def is_address(name: str) -> bool:
    """Whether a name is nothing but an address of a network."""
    return _ADDRESS.fullmatch(name) is not None


def machine_name(*candidates: Any) -> str | None:
    """The first that names a machine; None where none does, for an address alone is no name.

    A name that a cloud makes of an address (`ip-10-0-1-23.ec2.internal`) is how people know it.
    """
    for candidate in candidates:
        name = plain(candidate, MAX_NAME)
        if name and not is_address(name) and "@" not in name and "://" not in name:
            return name
    return None


def labels(prefix: str, pairs: Mapping[str, Any]) -> dict[str, str]:
    """Labels as `prefix.key`, at most MAX_LABELS of MAX_LABEL characters; none that is private."""
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        if isinstance(value, list | tuple):
            value = ",".join(text for entry in value[:MAX_LABELS] if (text := plain(entry)))
        name, text = plain(key), plain(value)
        if len(kept) < MAX_LABELS and name and text and not is_private(f"{name} {text}"):
            kept[f"{prefix}.{name}"] = text
    return kept


# free labels by which people make classes of machines; others may hold anything, also what is
# nobody's business
_CLASS_KEYS = frozenset((
    "az", "class", "cluster", "datacenter", "dc", "env", "environment", "group", "instance_type",
    "job", "location", "partition", "pool", "rack", "region", "role", "service", "site", "stage",
    "team", "tier", "type", "zone",
))  # fmt: skip


def of_classes(pairs: Any) -> dict[str, Any]:
    """Of free labels those that make classes of machines."""
    if not isinstance(pairs, Mapping):
        return {}
    return {key: value for key, value in pairs.items() if key in _CLASS_KEYS}


def entry(value: Any, *keys: str) -> Any:
    """What lies below these keys; None where one of them is not there."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def whole(value: Any, unit: int = 1, *, least: int = 0, most: int = MAX_DISK_BYTES) -> int | None:
    """A whole number of units, as a number or as text; None for what is none, or beyond reason."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, float):
        if not abs(value) <= most:
            return None
        value = int(value * unit)
    elif isinstance(value, int):
        value = value * unit if abs(value) <= most else None
    else:
        return None
    return value if value is not None and least <= value <= most else None


def memory(value: Any, unit: int = 1) -> int | None:
    """A size of memory in bytes, of so many units; None for none, for zero and beyond reason."""
    return whole(value, unit, least=1, most=MAX_MEMORY_BYTES)


def count(value: Any) -> int | None:
    """How many of something there are: from 1 to a million."""
    return whole(value, least=1, most=1_000_000)


def cores(value: Any) -> float | None:
    """A number of cores, perhaps a fraction."""
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0.001 <= value <= 1_000_000 else None


_DECIMAL = re.compile(r"[+-]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def _number(text: str) -> int | float | None:
    """`25276510208`, `2.5e+10`; None for any other text, NaN among them."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


_QUANTITY = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]{0,2})", re.ASCII)
_FACTORS = {
    "": 1, "m": 0.001, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": units.KIB, "Mi": units.MIB, "Gi": units.GIB, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip


def quantity(value: Any) -> int | float | None:
    """A Kubernetes quantity: `129520107Ki`, `63920m`, `76224326324`; None for what is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    match = _QUANTITY.fullmatch(value.strip()[:64]) if isinstance(value, str) else None
    number = None if match is None else _number(match[1])
    if match is None or number is None or match[2] not in _FACTORS:
        return None
    return number * _FACTORS[match[2]]


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)", re.ASCII)


def moment(value: Any) -> str | None:
    """A time with its zone, as records have it; None for any other text, and for no real time."""
    from datetime import datetime

    match = _MOMENT.fullmatch(value.strip()[:64]) if isinstance(value, str) else None
    if match is None:
        return None
    zone = match[2] if match[2] == "Z" or ":" in match[2] else f"{match[2][:3]}:{match[2][3:]}"
    text = f"{match[1]}{zone}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


# ------------------------------------------------------------------ disks

# where runtimes store models where nobody says otherwise, as `machine/probes` has it
_STORES = {
    "huggingface": "~/.cache/huggingface/hub",
    "llama.cpp": "~/.cache/huggingface/hub",
    "ollama": "~/.ollama/models",
    "whisper.cpp": ".",
}


class Volume:
    """One mounted file system: what is free on it and its size in bytes, None where not stated."""

    __slots__ = ("filesystem", "free_bytes", "mount", "total_bytes")

    def __init__(
        self, mount: str, free_bytes: int | None, total_bytes: int | None, filesystem: str | None
    ) -> None:
        self.mount, self.free_bytes, self.total_bytes = mount, free_bytes, total_bytes
        self.filesystem = filesystem


def volume_of(volumes: Iterable[Volume], folder: str) -> Volume | None:
    """The one with the longest mount point above the folder."""
    above = [
        volume
        for volume in volumes
        if f"{folder.rstrip('/')}/".startswith(f"{volume.mount.rstrip('/')}/")
    ]
    return max(above, key=lambda volume: len(volume.mount), default=None)


def put_disks(
    facts: Facts,
    volume: Volume | None,
    source: str,
    writable_remedy: str,
    folder: str | None = None,
) -> None:
    """The places where runtimes store models, all on that volume; None: the fact stays unread.

    `folder` is one where all of them would store models, None for their own in the home folder.
    """
    if volume is None or (volume.free_bytes is None and volume.total_bytes is None):
        return
    free = volume.free_bytes
    total = volume.total_bytes
    facts.put(
        "disks",
        [
            {
                "purpose": purpose,
                "path": folder or path,
                "free_bytes": free,
                "total_bytes": None if total is None else max(total, free or 0),
                "filesystem": volume.filesystem,
                "writable": None,
            }
            for purpose, path in _STORES.items()
        ],
        source,
    )
    facts.lacks(
        [f"disks.{purpose}.writable" for purpose in _STORES],
        "the system does not say which account would store the model",
        writable_remedy,
    )


# kinds of volumes that hold no home folder
_NO_STORE = frozenset((
    "proc", "sysfs", "devpts", "cgroup", "cgroup2", "overlayfs-lower", "squashfs", "iso9660",
    "efivarfs", "autofs",
))  # fmt: skip


def usable_volume(
    mount: Any, free: Any, total: Any, filesystem: Any, unit: int = 1
) -> Volume | None:
    """A volume of an answer; None for one that cannot hold files or is not described."""
    place, kind = plain(mount, 1000), plain(filesystem, 60)
    if place is None or not place.startswith("/") or kind in _NO_STORE:
        return None
    return Volume(place, whole(free, unit), whole(total, unit), kind)


# a home folder where nobody says which: it lies on /home where that is a volume, else on /
SOME_HOME = "/home/user"
