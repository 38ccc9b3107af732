"""One model over several machines, for a person."""

from __future__ import annotations

from ..audit.shares import Share
from ..audit.spread import LeftOut, Spread
from ..core import units
from ..verdict.record import Route
from .layout import BLANK, Block, Column, Document, Paragraph, Span, Table, heading, line, say

# machines that are listed one by one, and of those left out
_SHOWN, _SHOWN_OUT = 32, 5
_HEADS = {
    Route.LOCAL: ("\N{CHECK MARK}", "FITS"),
    Route.UNKNOWN: ("?", "CANNOT TELL"),
    Route.NEITHER: ("\N{BALLOT X}", "DOES NOT FIT"),
}


def document(spread: Spread, *, verbose: bool = False) -> Document:
    """The answer, what each machine would hold, and what the program's makers warn of."""
    blocks: list[Block] = [_headline(spread), say(_workload(spread), indent=2), BLANK]
    blocks.append(say(f"{spread.reason[:1].upper()}{spread.reason[1:]}.", indent=2))
    if spread.remedy is not None:
        blocks.append(say(f"To do: {spread.remedy}", indent=2))
    if spread.shares:
        blocks += [BLANK, _table(spread.shares[:_SHOWN])]
        if len(spread.shares) > _SHOWN:
            more = len(spread.shares) - _SHOWN
            blocks.append(say(f"and {more} more: --format json has them all", indent=2))
        largest = max(spread.shares, key=lambda share: share.devices)
        if largest.devices > 1:
            with_others = f"{largest.devices} GPUs, each with buffers of its own"
            blocks += [BLANK, say(f"{largest.machine} holds it on {with_others}.", indent=2)]
        split = _tensor_split(spread)
        if split:
            blocks += [BLANK, say(split, indent=2)]
    if len(spread.shares) > 1:
        blocks.append(say(f"{spread.engine.how[:1].upper()}{spread.engine.how[1:]}.", indent=2))
    if spread.left_out:
        blocks += heading("Left out")
        blocks += _left_out(spread.left_out)
    blocks += heading(f"About {spread.engine.title}")
    blocks += [say(f"- {warning}", indent=2) for warning in spread.engine.warnings]
    blocks += [say(f"- {note}", indent=2) for note in spread.notes]
    if verbose:
        blocks += heading("Sources")
        blocks += [say(f"- {source}", indent=2) for source in spread.engine.sources]
    return Document(blocks=tuple(blocks))


def _headline(spread: Spread) -> Paragraph:
    sign, word = _HEADS[spread.route]
    name = Span(text=spread.model.name, style="strong")
    if not spread.shares:
        rest = " over 1 machine" if spread.machines == 1 else f" over {spread.machines} machines"
    elif len(spread.shares) == 1:
        rest = " on one machine alone"
    else:
        rest = f" on {len(spread.shares)} of {spread.machines} machines"
    with_what = f" with {spread.engine.title}"
    return line(Span(text=f"{sign} {word}", style=spread.route), "  ", name, rest, with_what)


def _workload(spread: Spread) -> str:
    work = spread.workload
    words = [f"{work.quantization or work.format}"]
    if work.context_tokens:
        words.append(f"{work.context_tokens:,} tokens of context")
    if spread.needs_bytes is not None:
        words.append(f"{units.binary_at_least(spread.needs_bytes)} on one machine")
    return ", ".join(words)


def _table(shares: tuple[Share, ...]) -> Table:
    rows = tuple(tuple(Span(text=cell) for cell in _cells(share)) for share in shares)
    columns = (
        Column(title="machine"),
        Column(title="layers", right=True),
        Column(title="holds", right=True),
        Column(title="has to give", right=True),
    )
    return Table(columns=columns, rows=rows, indent=2)


def _cells(share: Share) -> tuple[str, str, str, str]:
    return (
        share.machine,
        "a slice of each" if share.layers is None else units.count(share.layers),
        units.binary_at_least(share.held_bytes),
        units.binary(share.room_bytes),
    )


def _tensor_split(spread: Spread) -> str:
    """The option that makes just this division, where shares are whole layers."""
    whole = all(share.layers is not None and share.devices == 1 for share in spread.shares)
    if spread.engine.share != "layers" or len(spread.shares) < 2 or not whole:
        return ""
    first, *others = spread.shares
    # the first machine's devices come last, and the output counts as a layer of theirs
    counts = [*(share.layers or 0 for share in others), (first.layers or 0) + 1]
    split = ",".join(str(count) for count in counts)
    return (
        f"Force this division with --tensor-split {split}: {first.machine}, the first, comes last."
    )


def _left_out(machines: tuple[LeftOut, ...]) -> list[Block]:
    blocks: list[Block] = [
        say(f"{each.machine}: {each.reason}", indent=2) for each in machines[:_SHOWN_OUT]
    ]
    if len(machines) > _SHOWN_OUT:
        blocks.append(say(f"and {len(machines) - _SHOWN_OUT} more", indent=2))
    return blocks
