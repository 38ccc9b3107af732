"""What `check` says of several models: a row each, then what to type for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..answers.beside import sums
from ..catalogue.offers import provider_name
from ..core import units
from ..verdict.record import Outcome, Route, Verdict
from .cost_text import months_table
from .layout import Block, Column, Span, Table
from .offer_text import api_words
from .prices import price_words
from .words import (
    BLANK,
    PACES,
    answer_cell,
    answer_line,
    causes,
    command_line,
    count_words,
    is_here,
    line,
    memory_of,
    on_machine,
    ordered,
    pace_of,
    pace_title,
    planned_words,
    reason_blocks,
    say,
    section,
    stands_above,
)

# what the command says, or what no single command mends
_SAID_ELSEWHERE = ("runtime-not-installed", "speed-slow", "speed-assumed")


def several_blocks(
    blocks: list[Block],
    verdicts: Sequence[Verdict],
    *,
    verbose: bool,
    carry: str,
    workload_options: str,
    today: str | None,
) -> None:
    """A count, a row a model, the commands of those that run, and the way out of those that do
    not. `verbose` adds every finding; `carry` and `workload_options` are as of `check_document`.
    """
    blocks.append(say(count_words(verdicts), hang=2))
    if planned := planned_words(verdicts[0].machine):
        blocks.append(say(planned))
    blocks += [BLANK, _overview(verdicts)]
    blocks.extend(say(text, hang=2) for text in _beside(verdicts))
    _notes(blocks, verdicts, verbose=verbose)
    _warnings(blocks, verdicts)
    _to_run(blocks, verdicts)
    _instead(blocks, verdicts, carry, workload_options, today if verbose else None)
    months_table(blocks, verdicts)
    if verbose:
        _api_means(blocks, verdicts)
        for verdict in verdicts:
            _findings(blocks, verdict)
    else:
        blocks += [BLANK, say("Every finding: -v · one model in full: selfhost check MODEL")]


def _overview(verdicts: Sequence[Verdict]) -> Table:
    """One row a model; why it does not run stands further down."""
    pace = pace_title(verdict.speed for verdict in verdicts)
    columns = (
        Column(),
        Column(title="model", cut=24),
        Column(title="memory", right=True, drop=2),
        Column(title=pace, wrap=pace == PACES, drop=1),
        Column(title="judged as", drop=3),
    )
    here = is_here(verdicts[0].machine)
    rows = tuple(
        (
            answer_cell(verdict, here=here),
            Span(text=verdict.model.id, style="strong"),
            Span(text=memory_of(verdict)),
            Span(text=pace_of(verdict.speed, title=pace)),
            Span(text=_judged(verdict)),
        )
        for verdict in verdicts
    )
    return Table(columns=columns, rows=rows, indent=0)


_MEMORY_OF = {"memory": "RAM", "accelerator": "GPU memory"}


def _beside(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """That each was judged as if it were alone, and what those that run take side by side."""
    if sum(verdict.can_run for verdict in verdicts) < 2:
        return
    each_sum = list(sums(verdicts))
    shares = [
        f"{units.binary(each.total_bytes)} of {units.binary(each.limit_bytes)} of"
        f" {_MEMORY_OF[each.check]}"
        for each in each_sum
    ]
    together = f" Side by side they take up to {' and '.join(shares)}." if shares else ""
    yield f"Each is judged alone.{together}"
    if not all(each.fits for each in each_sum):
        yield (
            "That may be more than is there: run them one after another. A [[together]] in the"
            " policy of `selfhost audit` judges them at once."
        )


def _judged(verdict: Verdict) -> str:
    """`Q4_K_M 4,096`."""
    context = verdict.workload.context_tokens
    shown = f"{context:,}" if context is not None else ""
    return " ".join(part for part in (verdict.workload.quantization, shown) if part)


def _notes(blocks: list[Block], verdicts: Sequence[Verdict], *, verbose: bool) -> None:
    """How the names were understood, each remark once; `verbose` adds what else is worth knowing
    of each model.
    """
    notes = dict.fromkeys(
        note
        for verdict in verdicts
        for note in (*verdict.understood_as, *(verdict.notes if verbose else ()))
    )
    if notes:
        blocks.append(BLANK)
        blocks.extend(say(note, hang=2) for note in notes)


def _warnings(blocks: list[Block], verdicts: Sequence[Verdict]) -> None:
    """Each warning about what runs once, with the models it is about where it is not about all."""
    local = [verdict for verdict in verdicts if verdict.can_run]
    models: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local:
        for finding in ordered(verdict):
            is_said = finding.code in _SAID_ELSEWHERE or stands_above(finding, verdict)
            if finding.outcome is Outcome.WARN and not is_said:
                warning = (finding.check, finding.reason, finding.remedy)
                models.setdefault(warning, []).append(verdict.model.id)
    if models:
        section(blocks, "Worth knowing")
    for (check, reason, remedy), ids in models.items():
        topic = check if len(ids) == len(local) else f"{check} ({', '.join(ids)})"
        reason_blocks(blocks, topic, reason, remedy)


def _to_run(blocks: list[Block], verdicts: Sequence[Verdict]) -> None:
    """The first command of each model below what it wants first, each line once."""
    local = [verdict for verdict in verdicts if verdict.can_run and verdict.commands]
    if not local:
        return
    section(
        blocks,
        "To run them" if len({verdict.commands[0] for verdict in local}) > 1 else "To run it",
    )
    lines = dict.fromkeys(
        line for verdict in local for line in (*verdict.setup, verdict.commands[0])
    )
    blocks.extend(command_line(line) for line in lines)


def _instead(
    blocks: list[Block],
    verdicts: Sequence[Verdict],
    carry: str,
    workload_options: str,
    today: str | None,
) -> None:
    """Why each of the others does not run, the nearest ways out, and the command for the first of
    them, or one that says more; with `today` the age of each price.
    """
    others = [verdict for verdict in verdicts if not verdict.can_run]
    if not others:
        return
    section(blocks, "The others" if len(others) < len(verdicts) else "What to do instead")
    for verdict in others:
        name = Span(text=verdict.model.id, style="strong")
        blocks.append(line(name, f": {causes(verdict)}", indent=2, hang=2))
        _ways_out(blocks, verdict, carry, workload_options, today)


def _api_means(blocks: list[Block], verdicts: Sequence[Verdict]) -> None:
    """What leaves the machine with an API, and whose outages they are, once for all models."""
    modalities = [verdict.model.modality for verdict in verdicts if verdict.route is Route.API]
    if modalities:
        blocks += [BLANK, *api_words(modalities)]


def _ways_out(
    blocks: list[Block], verdict: Verdict, carry: str, workload_options: str, today: str | None
) -> None:
    """The first model that runs instead and the cheapest offer, with the command for the first;
    without one with the command that says more.
    """
    if verdict.alternatives:
        first = verdict.alternatives[0]
        own = first.id == verdict.model.id and first.quantization
        where = on_machine(verdict.machine, short=True)
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        model = f"{first.id} in {first.quantization}" if own else first.id
        blocks.append(say(f"{runs} {where}: {model}", indent=4, hang=2))
        blocks.append(command_line(first.command + carry, indent=4))
    if verdict.route is Route.API and verdict.api_offers:
        offer = verdict.api_offers[0]
        whose = (
            f"{offer.model} from {provider_name(offer.provider)} stands in"
            if offer.stands_in
            else provider_name(offer.provider)
        )
        prices = price_words(offer, today) or "at a price that is not known here"
        blocks.append(say(f"by API: {whose}, {prices}", indent=4, hang=2))
    if not verdict.alternatives:
        command = f"selfhost check {verdict.model.id}{workload_options}{carry}"
        blocks.append(command_line(command, indent=4))


def _findings(blocks: list[Block], verdict: Verdict) -> None:
    """The answer for one of them, and each finding with its reason."""
    blocks += [BLANK, answer_line(verdict, verdict.machine)]
    for finding in ordered(verdict):
        reason_blocks(blocks, finding.check, finding.reason, finding.remedy)
