"""One model over several machines, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from ..audit.spread import Spread
from ..core import units
from ..judge.record import Route
from .layout import BLANK, Block, Column, Document, Span, Table, line, say, section, strong, texts

# machines that are listed one by one, and of those left out
_SHOWN, _SHOWN_OUT = 32, 5
_HEADS = {
    Route.LOCAL: "✓ FITS",
    Route.UNKNOWN: "? CANNOT TELL",
    Route.NEITHER: "✗ DOES NOT FIT",
}


def document(spread: Spread, *, verbose: bool = False) -> Document:
    """Return the answer, what each machine would hold, and what the program's makers warn of."""
    engine = spread.engine
    left_out = [f"{each.machine}: {each.reason}" for each in spread.left_out[:_SHOWN_OUT]]
    if len(spread.left_out) > _SHOWN_OUT:
        left_out.append(f"and {len(spread.left_out) - _SHOWN_OUT} more")
    blocks = (
        *_head(spread),
        *(_shares(spread) if spread.shares else ()),
        *texts([_sentence(engine.how)] if len(spread.shares) > 1 else ()),
        *section("Left out", left_out),
        *section(f"About {engine.title}", [f"- {x}" for x in (*engine.warnings, *spread.notes)]),
        *section("Sources", [f"- {source}" for source in engine.sources] if verbose else ()),
    )
    return Document(blocks=blocks)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _head(spread: Spread) -> Iterator[Block]:
    """Whether it fits, what was judged, and why."""
    number, work = len(spread.shares), spread.workload
    rest = f" on {number} of {spread.machines} machines"
    if number == 1:
        rest = " on one machine alone"
    elif not number:
        rest = f" over {spread.machines} machine{'' if spread.machines == 1 else 's'}"
    sign = Span(text=_HEADS[spread.route], style=spread.route)
    yield line(sign, "  ", strong(spread.model.name), rest, f" with {spread.engine.title}")
    words = [f"{work.quantization or work.format}"]
    if work.context_tokens:
        words.append(f"{units.tokens(work.context_tokens)} of context")
    if spread.needs_bytes is not None:
        words.append(f"{units.binary_at_least(spread.needs_bytes)} on one machine")
    to_do = f"To do: {spread.remedy}" if spread.remedy is not None else ""
    yield from (say(", ".join(words), indent=2), BLANK)
    yield from texts([_sentence(spread.reason), to_do], hang=0)


def _shares(spread: Spread) -> Iterator[Block]:
    """What each machine holds, and the option that makes just this division."""
    titles = ("machine", "layers", "holds", "has to give")
    rows = tuple(
        (
            share.machine,
            "a slice of each" if share.layers is None else units.count(share.layers),
            units.binary_at_least(share.held_bytes),
            units.binary(share.room_bytes),
        )
        for share in spread.shares[:_SHOWN]
    )
    columns = tuple(Column(title=title, right=bool(at)) for at, title in enumerate(titles))
    yield from (BLANK, Table(columns=columns, rows=rows))
    more = len(spread.shares) - _SHOWN
    yield from texts([f"and {more} more: --format json has them all" if more > 0 else ""])
    largest = max(spread.shares, key=lambda share: share.devices)
    if largest.devices > 1:
        with_others = f"{largest.devices} GPUs, each with buffers of its own"
        yield from (BLANK, say(f"{largest.machine} holds it on {with_others}.", indent=2))
    are_whole = all(share.layers is not None and share.devices == 1 for share in spread.shares)
    if spread.engine.share == "layers" and len(spread.shares) > 1 and are_whole:
        first, *others = spread.shares
        # the first machine's devices come last, and the output counts as a layer of theirs
        counts = [*(share.layers or 0 for share in others), (first.layers or 0) + 1]
        split = f"--tensor-split {','.join(map(str, counts))}"
        words = f"Force this division with {split}: {first.machine}, the first, comes last."
        yield from (BLANK, say(words, indent=2))
