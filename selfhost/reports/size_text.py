"""The screen of `size`: the memory of a container, its growths, and the options that bound them.

Sizes of containers go in, blocks come out. `container_files.py` has the files to paste.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ..advice.sizes import ContainerSize, Growth
from ..core import units
from ..core.quoting import shell_line, shell_word
from .layout import (
    Blocks,
    FigureRow,
    Hint,
    Paragraph,
    Table,
    commands,
    figures,
    known_figure,
    line,
    section,
    strong,
    texts,
)
from .words import format_words

# sizes to reserve are rounded up, so that the printed size is enough
_rounded_up = partial(units.binary, up=True)
# a screen of Python has this line, too: no function takes a format
_TO_PASTE = Hint(
    "To paste: ",
    "selfhost size MODEL --format kubernetes, compose, docker or systemd",
    shows="files",
)


def size_document(
    sizes: Sequence[ContainerSize],
    *,
    verbose: bool = False,
) -> Blocks:
    """Yield one model on a screen, several as a table; `verbose` adds each growth and term."""
    if len(sizes) > 1:
        yield from _several(sizes)
    if len(sizes) == 1 or verbose:
        for size in sizes:
            yield line()
            yield from _single(size, verbose=verbose)


def _several(sizes: Sequence[ContainerSize]) -> Blocks:
    """The sums, a row a container, and the notes on each."""
    request = _rounded_up(sum(size.request_bytes for size in sizes))
    limit = _rounded_up(sum(size.limit_bytes for size in sizes))
    yield line(
        strong(f"{len(sizes)} containers: request {request}, limit {limit} in all")
    )
    rows = []
    notes = []
    for size in sizes:
        cells = (
            size.model.id,
            _rounded_up(size.request_bytes),
            _rounded_up(size.limit_bytes),
            known_figure(size.disk_bytes, units.decimal, "unknown"),
            str(len(size.accelerators) or "-"),
        )
        rows.append(cells)
        notes += [f"{size.model.name}: {note}" for note in size.notes]
    yield line()
    yield Table.of("containers", rows)
    yield line()
    yield from texts([*notes, Hint("Options and figures: ", "-v"), _TO_PASTE], indent=0)


def _single(size: ContainerSize, *, verbose: bool) -> Blocks:
    """Yield the memory of one container, its possible growth, and the command that sets the
    bounds.
    """
    request = _rounded_up(size.request_bytes)
    limit = _rounded_up(size.limit_bytes)
    yield line(strong(size.model.name), f": request {request}, limit {limit}")
    yield _workload_line(size)
    yield from texts(size.notes)
    yield line()
    yield figures(_memory_rows(size))
    if size.growths:
        growing = figures(_growth_row(growth) for growth in size.growths)
        yield from section("What can grow, and what bounds it", [growing])
    if verbose:
        yield from _terms(size)
    if size.image is not None:
        yield from section("Start it with", commands(_start_lines(size)))
        yield line(_TO_PASTE)


def _workload_line(size: ContainerSize) -> Paragraph:
    """`Q4_K_M in llama.cpp, 4,096 tokens of context for each of 4 users`."""
    workload = size.workload
    users = "1 user"
    joint = "for"
    if size.runtime.contexts_of(workload) < workload.parallel:
        users = f"{workload.parallel} users"
        joint = "shared by"
    elif workload.parallel > 1:
        users = f"each of {workload.parallel} users"
    if workload.context_tokens is not None:
        users = f"{units.tokens(workload.context_tokens)} of context {joint} {users}"
    return line(f"{format_words(workload)}, {users}", indent=2)


def _memory_rows(size: ContainerSize) -> Iterator[FigureRow]:
    """Yield rows of label, figure and note for the memory in RAM, the disk, and the GPU memory."""
    own = _rounded_up(size.unreclaimable_bytes)
    yield "memory", own, "of its own, which stays in RAM"
    limit = _rounded_up(size.limit_bytes)
    if size.page_cache_bytes:
        why = "mapped weights, reclaimable: with less, the server becomes very slow or is killed"
        yield "page cache", units.binary(size.page_cache_bytes), why
        yield "limit", limit, "both, and what can grow"
    else:
        yield "limit", limit, "that, and what can grow"
    if size.disk_bytes is None:
        yield "disk", "unknown", "the size of the files is not known"
    else:
        why = f"{units.decimal(2 * size.disk_bytes)} while an update replaces it"
        yield "disk", units.decimal(size.disk_bytes), why
    cards = size.accelerators
    if cards:
        memory = _rounded_up(max(card.memory_bytes for card in cards))
        name = cards[0].name or "GPU"
        if len(cards) > 1:
            memory = f"{len(cards)} × {memory}"
        likely = units.binary(_likely_on_fullest_card(size))
        # `check` shows the likely figure
        yield "accelerator", memory, f"at most, of {name}; likely {likely}"


def _likely_on_fullest_card(size: ContainerSize) -> int:
    """The likely bytes on the accelerator that holds the most."""
    likely_bytes: dict[str, int] = {}
    for term in size.needs.terms:
        if term.where != "host":
            likely_bytes[term.where] = likely_bytes.get(term.where, 0) + term.bytes
    return max(likely_bytes.values(), default=0)


def _growth_row(growth: Growth) -> FigureRow:
    """The row of a growth: its name, its most bytes, and the option that bounds it, else the reason
    for the growth.
    """
    bound = growth.bound or growth.why
    unbound_bytes = growth.unbound_bytes or 0
    if growth.bound and unbound_bytes > growth.bytes:
        bound += f"  (without it {units.binary(unbound_bytes)})"
    most = units.binary(growth.bytes) if growth.bytes else "none"
    return growth.name.replace("_", " "), most, bound


def _terms(size: ContainerSize) -> Blocks:
    """Yield the blocks of `-v`: the reason for each growth, and the terms of the memory."""
    # imported here: the first screen needs neither module
    from . import json
    from .details import sections

    whys = []
    for growth in size.growths:
        whys.append(f"{growth.name.replace('_', ' ')}: {growth.why}")
    yield from section("Why it can grow", texts(whys))
    terms = {"terms": json.record(size.needs.terms)}
    yield from sections(terms, {"terms": "What the memory holds"})


def _start_lines(size: ContainerSize) -> list[str]:
    """The command that starts the server with its bounds, and the line that downloads the model."""
    if not size.program:
        return []
    words = []
    for name, value in size.environment.items():
        words.append(f"{name}={shell_word(value)}")
    words.append(shell_line(size.program))
    lines = [" ".join(words)]
    if size.fetch:
        lines.append(size.fetch)
    return lines
