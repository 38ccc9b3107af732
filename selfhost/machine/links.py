"""The links between machines that serve one model together: `200gbe`, `tb5,tcp`.

What goes in: the words of a user, or the machines. What comes out: a `Link`, with the time of an
exchange between two machines. `specs/common/links.toml` has the figures and their sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from ..core.errors import InputError
from ..core.records import Record, Stated, read_by, shortened
from ..core.tables import shipped_record
from ..core.units import nearest
from .record import Machine

RDMA = "rdma"
TCP = "tcp"
_TRANSPORTS = (RDMA, TCP)
_MICROSECOND = 1e-6
# behind the digits of an Ethernet's rate, in any spelling
_RATE = r"(?<=\d)(?:gigabits?|gbits?|gbps|gbs|gb|g)(?:ethernet|e)?$"


class _LinkRow(Stated):
    """A row of `specs/common/links.toml`, whose header explains each key."""

    title: str
    spellings: tuple[str, ...] = ()
    gigabits_per_second: float
    rdma_microseconds: tuple[float, ...] = ()
    tcp_microseconds: tuple[float, ...]
    usual: str = read_by(choices=_TRANSPORTS)
    usual_of: tuple[str, ...] = ()
    enable: str = ""
    over: str = "ethernet"
    source: str


class _LinkTable(Stated):
    """`specs/common/links.toml`."""

    schema: int
    otherwise: str
    tensor_gigabits_per_second: float
    joined_gigabits_per_second: float
    joined_gpus: int
    link: Mapping[str, _LinkRow]


class Link(Record):
    """The link between machines that serve one model together.

    - `name`: as `--link` takes it. `title`: as a person writes it.
    - `transport`: `rdma` or `tcp`.
    - `gigabits_per_second`: the rate that programs get.
    - `exchange_seconds`: the most, the likely and the least time in which the machines add up the
      activations of one token.
    - `is_assumed`: nobody stated the link: it is the usual one of such machines.
    - `enable`: what to do before the transport works; "" for nothing.
    - `over`: the word for its cables in commands that set the link up.
    """

    name: str
    title: str
    transport: str
    gigabits_per_second: float
    exchange_seconds: tuple[float, float, float]
    is_assumed: bool
    enable: str
    over: str
    source: str

    @property
    def is_rdma(self) -> bool:
        """Whether the machines write into each other's memory, without the system's TCP."""
        return self.transport == RDMA

    @property
    def carries_tensors(self) -> bool:
        """Whether machines that divide each layer are not slowed down by the link."""
        least = _table().tensor_gigabits_per_second
        return self.is_rdma or self.gigabits_per_second >= least

    @property
    def option(self) -> str:
        """The value of `--link` that means this link."""
        return f"{self.name},{self.transport}"


@cache
def _table() -> _LinkTable:
    return shipped_record(_LinkTable, "links")


def link_names() -> tuple[str, ...]:
    """The names of all links, the fastest first."""
    return tuple(_table().link)


def link_called(text: str) -> Link:
    """Return the link that a user names: `200GbE`, `thunderbolt 5`, `tb5,tcp`. Raises `InputError`
    for a name of no link, and for a transport that the link does not have.

    >>> link_called("Thunderbolt 5, TCP").option
    'tb5,tcp'
    """
    typed, _, transport = text.lower().partition(",")
    transport = transport.strip()
    name = _name_of(typed)
    if name is None:
        near = nearest(_key(typed), list(link_names()))
        hint = f"did you mean {near}? " if near else ""
        remedy = f"{hint}Write one of {', '.join(link_names())}"
        raise InputError(f"no link is called {shortened(text)!r}", remedy=remedy)
    row = _table().link[name]
    if transport not in ("", *_TRANSPORTS):
        message = f"{shortened(transport)!r} is no transport of a link"
        raise InputError(message, remedy=f"write {name},rdma or {name},tcp")
    if transport == RDMA and not row.rdma_microseconds:
        message = f"{row.title} has no RDMA that the programs use"
        raise InputError(message, remedy=f"write {name}, or name another link")
    return _link(name, row, transport or row.usual, is_assumed=False)


def usual_link(machines: Sequence[Machine]) -> Link:
    """Return the link by which such machines are usually joined; of unlike machines, or where
    nothing is known, that of the table's `otherwise`.
    """
    table = _table()
    usual = {_usual_name(machine) for machine in machines}
    name = table.otherwise
    if len(usual) == 1:
        name = usual.pop() or name
    row = table.link[name]
    return _link(name, row, row.usual, is_assumed=True)


def are_often_joined(machine: Machine) -> bool:
    """Whether people join such machines to run one model: those with a fast link of their own, and
    hosts of many GPUs.
    """
    table = _table()
    if len(machine.own_memory_cards) >= table.joined_gpus:
        return True
    name = _usual_name(machine)
    if name is None:
        return False
    return table.link[name].gigabits_per_second >= table.joined_gigabits_per_second


def _link(name: str, row: _LinkRow, transport: str, *, is_assumed: bool) -> Link:
    """The link of a row by that transport."""
    is_rdma = transport == RDMA
    exchange = row.rdma_microseconds if is_rdma else row.tcp_microseconds
    slow, likely, fast = (microseconds * _MICROSECOND for microseconds in exchange)
    return Link(
        name=name,
        title=row.title,
        transport=transport,
        gigabits_per_second=row.gigabits_per_second,
        exchange_seconds=(slow, likely, fast),
        is_assumed=is_assumed,
        enable=row.enable if is_rdma else "",
        over=row.over,
        source=row.source,
    )


def _name_of(typed: str) -> str | None:
    """The name of the link in any spelling; None where there is none."""
    key = _key(typed)
    for name, row in _table().link.items():
        if key in (name, *row.spellings) or key == _key(row.title):
            return name
    return None


def _key(typed: str) -> str:
    """A name in one spelling: `200gbe` for `200 Gb/s Ethernet`, `200 Gbit`, `200GbE`."""
    plain = re.sub(r"[\s_/-]+", "", typed.lower())
    return re.sub(_RATE, "gbe", plain)


def _usual_name(machine: Machine) -> str | None:
    """The name of the usual link of a machine; None where no row knows the machine."""
    told = "  ".join(machine.part_names).lower()
    for name, row in _table().link.items():
        for pattern in row.usual_of:
            if re.search(rf"\b(?:{pattern})\b", told):
                return name
    return None
