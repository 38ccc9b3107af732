"""The screen of `verify`: the prediction beside the run, figure by figure.

A `Verification` goes in, blocks come out.
"""

from __future__ import annotations

from ..advice.run_record import Figure
from ..advice.verify import Verification, is_wide
from ..core import units
from .labels import LABELS
from .layout import Blocks, Cells, Span, Table, line, strong, texts
from .words import run_words

# from so many times as much on, a percentage is hard to read
_LEAST_TIMES = 10
_HEADS = {
    "inside": Span("✓ INSIDE THE RANGE", "local"),
    "outside": Span("✗ OUTSIDE", "neither"),
    "nothing": Span("? NOTHING TO COMPARE", "unknown"),
}


def verify_document(comparison: Verification) -> Blocks:
    """Yield the outcome, then predicted, seen and difference of each figure, then reasons."""
    verdict = comparison.verdict
    yield line(
        _HEADS[comparison.outcome],
        "  ",
        strong(verdict.model.name),
        f": {_inside(comparison)}",
    )
    run = comparison.run
    workload = verdict.workload.replace(context_tokens=run.context_tokens)
    asked = run_words(workload, verdict.question.contexts)
    yield line(", ".join([*asked, f"seen in: {run.tool}"]), indent=2)
    yield line()
    yield Table.of("verify", map(_row, comparison.differences))
    yield line()
    yield from texts([*_reasons(comparison), *comparison.notes], indent=0)
    yield line()
    yield line("For a bug report, without names and paths: --format json")


def _inside(comparison: Verification) -> str:
    """How many of the figures that can be compared are inside the range."""
    insides = [figure.inside for figure in comparison.differences]
    compared = len(insides) - insides.count(None)
    if not compared:
        return "no figure of the run can be compared"
    return f"{insides.count(True)} of {compared} figures inside the range"


def _row(figure: Figure) -> Cells:
    """The cells of a figure: its name, what was seen, what was predicted, and the difference."""
    likely, ends = _predicted(figure)
    return (
        _name(figure),
        _seen(figure),
        likely,
        ends,
        _difference(figure),
        _mark(figure),
    )


def _mark(figure: Figure) -> str:
    """Whether the figure lies inside the range, and whether the range is too wide to say much."""
    if is_wide(figure):
        return Span("inside, wide", "unknown")
    if figure.inside is None:
        return Span("not compared", "unknown")
    if figure.inside:
        return Span("inside", "pass")
    return Span("outside", "fail")


def _seen(figure: Figure) -> str:
    """The measured figure with its unit."""
    if figure.unit == "bytes":
        return units.binary(figure.seen)
    return units.speed(figure.seen)


def _predicted(figure: Figure) -> tuple[str, str]:
    """The likely figure and its range; a dash where nothing is predicted."""
    if figure.likely is None or figure.low is None or figure.high is None:
        return "–", ""
    if figure.unit == "bytes":
        ends = units.between(units.binary, figure.low, figure.high)
        return units.binary(figure.likely), ends
    # the measured figure beside it has the unit
    return units.pace(figure.likely), units.pace(figure.low, figure.high)


def _difference(figure: Figure) -> str:
    """`+12%`, from ten times as much on `17 times`; empty where the figure cannot be compared."""
    if figure.inside is None or figure.difference is None:
        return ""
    times = figure.difference + 1
    if times >= _LEAST_TIMES:
        return f"{times:,.0f} times"
    return f"{figure.difference:+.0%}"


def _reasons(comparison: Verification) -> list[str]:
    """Why figures differ or cannot be compared, each reason once behind the figures' names."""
    names: dict[str, dict[str, None]] = {}
    for figure in comparison.differences:
        if figure.why is not None:
            names.setdefault(figure.why, {})[_name(figure)] = None
    reasons = []
    for why, of_reason in names.items():
        listed = "; ".join(of_reason)
        reasons.append(f"{listed}: {why}.")
    return reasons


def _name(figure: Figure) -> str:
    """`decoding (4 at once, GPU, 512 tokens)`."""
    about = []
    if figure.sequences > 1:
        about.append(f"{figure.sequences} at once")
    if figure.where == "accelerators":
        about.append("GPU")
    if figure.tokens is not None:
        about.append(units.tokens(figure.tokens))
    depth = figure.depth_tokens or 0
    if depth > (figure.tokens or 0):
        about.append(f"{units.tokens(depth)} in the context")
    name = figure.term.replace("_", " ")
    name = LABELS.verified.get(figure.term, name)
    if about:
        listed = ", ".join(about)
        name += f" ({listed})"
    return name
