"""What `size` says to a person: three numbers, what grows and what bounds it, how to start it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..advice.sizes import ContainerSize, Growth
from ..core import units
from .layout import BLANK, Block, Column, Document, Span, Table, command_line, heading, line, say
from .words import format_words

# what the rows of growth are called
_NAMES = {
    "prompt_cache": "prompt cache",
    "checkpoints": "checkpoints",
    "freed_buffers": "freed buffers",
    "pictures": "large pictures",
    "shared_memory": "shared memory",
    "uncertainty": "uncertain",
    "page_tables": "page tables",
}
# more than a program takes by itself; an embedding server holds outputs of each token
_MUCH_BYTES = units.GIB
_CACHE_COUNTS = "Keep the page cache within the limit: without it a server stalls or is killed."


def size_document(sizes: Sequence[ContainerSize], *, verbose: bool = False) -> Document:
    """One model on a screen; several as a table with their sum. `verbose` adds each growth and
    memory term with its arithmetic.
    """
    blocks: list[Block] = []
    if len(sizes) == 1:
        _single(blocks, sizes[0], verbose=verbose)
    else:
        _several(blocks, sizes)
        for size in sizes if verbose else ():
            blocks.append(BLANK)
            _single(blocks, size, verbose=True)
    return Document(blocks=tuple(blocks))


def _single(blocks: list[Block], size: ContainerSize, *, verbose: bool) -> None:
    name = Span(text=size.model.name, style="strong")
    request, limit = _up(size.request_bytes), _up(size.limit_bytes)
    blocks.append(line(name, f": request {request}, limit {limit}", hang=2))
    blocks.append(say(_asked(size), indent=2))
    blocks += [say(note, indent=2) for note in size.notes]
    rows = [
        ("memory", _up(size.unreclaimable_bytes), f"cannot be reclaimed{_largest(size)}"),
        ("page cache", _cache_words(size), _about_cache(size)),
        ("limit", _up(size.limit_bytes), _about_limit(size)),
        *_disk_rows(size),
        *_accelerator_rows(size),
    ]
    blocks += [BLANK, _table(rows)]
    growing = list(_growing(size))
    if growing:
        blocks += heading("What can grow, and what bounds it")
        blocks.append(_table(growing))
    if verbose:
        _arithmetic(blocks, size)
    _to_start(blocks, size)
    if size.image is not None:
        blocks.append(say("To paste: --format kubernetes, compose, docker or systemd"))


def _up(size: int) -> str:
    return units.binary_at_least(size)


def _asked(size: ContainerSize) -> str:
    workload = size.workload
    context = workload.context_tokens
    users = "1 user" if workload.parallel == 1 else f"each of {workload.parallel} users"
    length = f"{units.tokens(context)} of context for {users}" if context is not None else users
    return f"{format_words(workload)}, {length}"


def _largest(size: ContainerSize) -> str:
    """The largest part of the request; empty where it is the program itself."""
    memory, service = size.needs.memory, size.runtime.service
    is_mapped = service is not None and service.maps_files
    terms = [
        term
        for term in (() if memory is None else memory.terms)
        if term.where == "host" and not (is_mapped and term.may_be_mapped)
    ]
    largest = max(terms, key=lambda term: term.bytes, default=None)
    libraries = size.accelerator_host_bytes
    if libraries and (largest is None or largest.bytes <= libraries):
        return f": {units.binary(libraries)} GPU libraries"
    if largest is not None and largest.is_program and largest.bytes > _MUCH_BYTES:
        of_tokens = "; a shorter --context takes less" if size.model.modality == "embedding" else ""
        return f": {units.binary(largest.bytes)} of the program itself{of_tokens}"
    if largest is None or largest.is_program:
        return ""
    name = largest.name.replace("_", " ").replace("kv", "KV")
    return f": {units.binary(largest.bytes)} {name}"


def _cache_words(size: ContainerSize) -> str:
    return units.binary(size.page_cache_bytes) if size.page_cache_bytes else "none"


def _about_cache(size: ContainerSize) -> str:
    if not size.page_cache_bytes:
        return "no weights are mapped"
    return "mapped weights; without them it stalls or is killed"


def _about_limit(size: ContainerSize) -> str:
    both = " (both)" if size.page_cache_bytes else ""
    return f"the request{both}, and all that can grow"


def _disk_rows(size: ContainerSize) -> Iterator[tuple[str, str, str]]:
    if size.disk_bytes is not None and size.disk_update_bytes is not None:
        twice = units.decimal(size.disk_update_bytes)
        yield "disk", units.decimal(size.disk_bytes), f"{twice} while an update replaces it"
    else:
        yield "disk", "unknown", "the size of the files is not known"


def _accelerator_rows(size: ContainerSize) -> Iterator[tuple[str, str, str]]:
    held = size.accelerators
    if not held:
        return
    each = _up(max(card.memory_bytes for card in held))
    kind = held[0].name or "GPU"
    yield "accelerator", f"{len(held)} × {each}" if len(held) > 1 else each, f"of {kind}"


def _growing(size: ContainerSize) -> Iterator[tuple[str, str, str]]:
    for growth in size.growths:
        most = units.binary(growth.bytes) if growth.bytes else "no more"
        yield _NAMES[growth.name], most, _bound(growth)
    yield from _another_user(size)


def _another_user(size: ContainerSize) -> Iterator[tuple[str, str, str]]:
    """What one more takes, told apart by where it lies."""
    on_cards, in_ram = size.per_user_accelerator_bytes, size.per_user_bytes
    if not on_cards + in_ram:
        return
    more = f"more: --users {size.workload.parallel + 1}"
    if not on_cards:
        yield "another user", units.binary(in_ram), more
        return
    beside = f", and {units.binary(in_ram)} of RAM" if in_ram else ""
    yield "another user", units.binary(on_cards), f"of GPU memory{beside}; {more}"


def _bound(growth: Growth) -> str:
    """The option, and what comes without it; why it grows where nothing bounds it."""
    if not growth.bound:
        return growth.why
    if growth.unbound_bytes is None or growth.unbound_bytes <= growth.bytes:
        return growth.bound
    return f"{growth.bound}  (without it {units.binary(growth.unbound_bytes)})"


def _table(rows: Sequence[tuple[str, str, str]]) -> Table:
    cells = tuple(
        (Span(text=label), Span(text=figure, style="strong"), Span(text=why))
        for label, figure, why in rows
    )
    columns = (Column(), Column(), Column(wrap=True, joins=True))
    return Table(columns=columns, rows=cells)


def _to_start(blocks: list[Block], size: ContainerSize) -> None:
    """The command that holds it to these figures."""
    if size.image is None or not size.program:
        return
    blocks += heading("Start it with")
    settings = [f"{name}={value}" for name, value in size.environment.items()]
    blocks.append(command_line(" ".join([*settings, *map(shlex.quote, size.program)])))
    if size.fetch:
        blocks.append(command_line(size.fetch))


def _several(blocks: list[Block], sizes: Sequence[ContainerSize]) -> None:
    """A row for each container, and their sum."""
    request = sum(size.request_bytes for size in sizes)
    most = sum(size.limit_bytes for size in sizes)
    total = f"{len(sizes)} containers: request {_up(request)}, limit {_up(most)} in all"
    blocks += [line(Span(text=total, style="strong")), BLANK]
    titles = ("model", "request", "of it page cache", "limit", "disk", "GPUs")
    rows = [_row(size) for size in sizes]
    columns = tuple(Column(title=title, right=bool(at)) for at, title in enumerate(titles))
    cells = tuple(tuple(Span(text=text) for text in row) for row in rows)
    blocks.append(Table(columns=columns, rows=cells))
    notes = [f"{size.model.name}: {note}" for size in sizes for note in size.notes]
    blocks += [BLANK, *(say(note, hang=2) for note in notes)]
    if any(size.page_cache_bytes for size in sizes):
        blocks.append(say(_CACHE_COUNTS))
    to_paste = "; to paste: --format kubernetes, compose, docker …"
    is_served = all(size.image is not None for size in sizes)
    blocks.append(say(f"Options and figures: -v{to_paste if is_served else ''}"))


def _row(size: ContainerSize) -> tuple[str, ...]:
    return (
        size.model.id,
        _up(size.request_bytes),
        _cache_words(size),
        _up(size.limit_bytes),
        "unknown" if size.disk_bytes is None else units.decimal(size.disk_bytes),
        str(len(size.accelerators) or "-"),
    )


def _arithmetic(blocks: list[Block], size: ContainerSize) -> None:
    """Every growth and every memory term, with its arithmetic."""
    blocks += heading("Figures")
    for growth in size.growths:
        text = f"{growth.name.replace('_', ' ')}: {units.binary(growth.bytes)}, {growth.why}"
        blocks += [say(text, indent=2), say(growth.arithmetic, indent=4)]
    if size.accelerator_host_bytes:
        libraries = units.binary(size.accelerator_host_bytes)
        blocks.append(say(f"GPU libraries: {libraries}, stated once, host", indent=2))
    for term in size.needs.memory.terms if size.needs.memory is not None else ():
        name = term.name.replace("_", " ")
        text = f"{name}: {units.binary(term.bytes)}, {term.how}, {term.where}"
        blocks += [say(text, indent=2), say(term.arithmetic, indent=4)]
