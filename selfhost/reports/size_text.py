"""What `size` says to a person: three numbers, what grows and what bounds it, how to start it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..advice.sizes import ContainerSize
from ..core import units
from .layout import (
    BLANK,
    Block,
    Column,
    Document,
    Table,
    command_line,
    figures,
    heading,
    line,
    say,
    strong,
    texts,
)
from .words import format_words

# what the rows of growth are called where that is not their name
_NAMES = {"uncertainty": "uncertain"}
_TO_PASTE = "To paste: --format kubernetes, compose, docker or systemd"
# label, figure, why
_Row = tuple[str, str, str]


def size_document(sizes: Sequence[ContainerSize], *, verbose: bool = False) -> Document:
    """Return one model on a screen, several as a table with their sum.

    `verbose` adds each growth and memory term with its arithmetic.
    """
    if len(sizes) == 1:
        return Document(blocks=tuple(_single(sizes[0], verbose)))
    blocks = list(_several(sizes))
    for size in sizes if verbose else ():
        blocks += [BLANK, *_single(size, verbose)]
    return Document(blocks=tuple(blocks))


def _single(size: ContainerSize, verbose: bool) -> Iterator[Block]:
    request, limit = _up(size.request_bytes), _up(size.limit_bytes)
    yield line(strong(size.model.name), f": request {request}, limit {limit}", hang=2)
    context, parallel = size.workload.context_tokens, size.workload.parallel
    users = "1 user" if parallel == 1 else f"each of {parallel} users"
    length = users if context is None else f"{units.tokens(context)} of context for {users}"
    yield from texts([f"{format_words(size.workload)}, {length}", *size.notes], hang=0)
    yield from (BLANK, figures(_rows(size)))
    if growing := list(_growing(size)):
        yield from (*heading("What can grow, and what bounds it"), figures(growing))
    if verbose:
        from . import json

        kept = json.record(size, "growths needs")
        yield from json.sections(kept, {"growths": "Growth", "needs": "Needs"})
    if size.image is not None and size.program:
        # the command that holds it to these figures
        settings = [f"{name}={value}" for name, value in size.environment.items()]
        command = " ".join([*settings, *map(shlex.quote, size.program)])
        yield from (*heading("Start it with"), command_line(command))
        yield from [command_line(size.fetch)] if size.fetch else ()
    if size.image is not None:
        yield say(_TO_PASTE)


def _up(size: int) -> str:
    return units.binary_at_least(size)


def _rows(size: ContainerSize) -> Iterator[_Row]:
    """The request and its parts, the limit, disk and accelerators."""
    cache = size.page_cache_bytes
    yield "memory", _up(size.unreclaimable_bytes), "cannot be reclaimed"
    if cache:
        why = "mapped weights; without them it stalls or is killed"
        yield "page cache", units.binary(cache), why
    yield "limit", _up(size.limit_bytes), f"the request{' (both)' * bool(cache)}, and what can grow"
    if size.disk_bytes is not None and size.disk_update_bytes is not None:
        twice = units.decimal(size.disk_update_bytes)
        yield "disk", units.decimal(size.disk_bytes), f"{twice} while an update replaces it"
    else:
        yield "disk", "unknown", "the size of the files is not known"
    if held := size.accelerators:
        each = _up(max(card.memory_bytes for card in held))
        count = f"{len(held)} × " if len(held) > 1 else ""
        yield "accelerator", f"{count}{each}", f"of {held[0].name or 'GPU'}"


def _growing(size: ContainerSize) -> Iterator[_Row]:
    """What grows with the option that bounds it, and what one more user takes."""
    for growth in size.growths:
        most = units.binary(growth.bytes) if growth.bytes else "no more"
        bound = growth.bound or growth.why
        if growth.bound and growth.unbound_bytes and growth.unbound_bytes > growth.bytes:
            bound += f"  (without it {units.binary(growth.unbound_bytes)})"
        yield _NAMES.get(growth.name, growth.name.replace("_", " ")), most, bound
    on_cards, in_ram = size.per_user_accelerator_bytes, size.per_user_bytes
    more = f"more: --users {size.workload.parallel + 1}"
    if on_cards:
        also = f", and {units.binary(in_ram)} of RAM" if in_ram else ""
        yield "another user", units.binary(on_cards), f"of GPU memory{also}; {more}"
    elif in_ram:
        yield "another user", units.binary(in_ram), more


def _several(sizes: Sequence[ContainerSize]) -> Iterator[Block]:
    """A row for each container, and their sum."""
    request = _up(sum(size.request_bytes for size in sizes))
    limit = _up(sum(size.limit_bytes for size in sizes))
    total = f"{len(sizes)} containers: request {request}, limit {limit} in all"
    yield from (line(strong(total), ""), BLANK)
    titles = ("model", "request", "of it page cache", "limit", "disk", "GPUs")
    rows = tuple(
        (
            size.model.id,
            _up(size.request_bytes),
            units.binary(size.page_cache_bytes) if size.page_cache_bytes else "none",
            _up(size.limit_bytes),
            "unknown" if size.disk_bytes is None else units.decimal(size.disk_bytes),
            str(len(size.accelerators) or "-"),
        )
        for size in sizes
    )
    columns = tuple(Column(title=title, right=bool(at)) for at, title in enumerate(titles))
    notes = [f"{size.model.name}: {note}" for size in sizes for note in size.notes]
    yield from (Table(columns=columns, rows=rows), BLANK)
    yield from texts([*notes, "Options and figures: -v", _TO_PASTE], indent=0)
