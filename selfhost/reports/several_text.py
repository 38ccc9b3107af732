"""What `check` says of several models: a row each, then what to type for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.beside import sums
from ..core import units
from ..judge.record import Outcome, Route, Verdict
from .cost_text import months_table
from .layout import BLANK, Block, Cell, Column, Table, command_line, heading, line, say, strong
from .offer_text import api_blocks
from .prices import offer_words
from .words import (
    PACES,
    answer_cell,
    answer_line,
    causes,
    count_words,
    is_here,
    memory_of,
    on_machine,
    ordered,
    pace_of,
    pace_title,
    planned_words,
    reason_blocks,
    stands_above,
)

# what the command says, or what no single command mends
_SAID_ELSEWHERE = ("runtime-not-installed", "speed-slow", "speed-assumed")
_TOO_MUCH = (
    "That may be more than is there: run them one after another. A [[together]] in the policy of"
    " `selfhost audit` judges them at once."
)
_MEMORY_NAMES = {"memory": "RAM", "accelerator": "GPU memory"}


def several_blocks(
    verdicts: Sequence[Verdict], verbose: bool, carry: str, options: str, today: str | None
) -> Iterator[Block]:
    """A count, a row a model, the commands of those that run, and the way out of the others.

    `carry` goes behind proposed commands, `options` behind those without a workload of their own.
    """
    yield say(count_words(verdicts), hang=2)
    if planned := planned_words(verdicts[0].machine):
        yield say(planned)
    yield BLANK
    yield _overview(verdicts)
    yield from _side_by_side(verdicts)
    yield BLANK
    shown = ("understood_as", "notes") if verbose else ("understood_as",)
    notes = [note for each in verdicts for field in shown for note in getattr(each, field)]
    yield from (say(note, hang=2) for note in dict.fromkeys(notes))
    local = [verdict for verdict in verdicts if verdict.can_run]
    yield from _warnings(local)
    yield from _to_run([verdict for verdict in local if verdict.commands])
    others = [verdict for verdict in verdicts if not verdict.can_run]
    yield from heading("The others" if local else "What to do instead") if others else ()
    for verdict in others:
        yield from _ways_out(verdict, carry, options, today if verbose else None)
    yield from (*months_table(verdicts), BLANK)
    if verbose:
        yield from _findings(verdicts)
    else:
        yield say("Every finding: -v · one model in full: selfhost check MODEL")


def _findings(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """What an API means, then the answer for each and each finding with its reason."""
    modalities = [verdict.model.modality for verdict in verdicts if verdict.route is Route.API]
    if modalities:
        yield from api_blocks(modalities)
    for verdict in verdicts:
        yield from (BLANK, answer_line(verdict, verdict.machine))
        for finding in ordered(verdict):
            yield from reason_blocks(finding.check, finding.reason, finding.remedy)


def _overview(verdicts: Sequence[Verdict]) -> Table:
    """A row a model; why it does not run stands further down."""
    pace = pace_title(verdict.speed for verdict in verdicts)
    columns = (
        Column(),
        Column(title="model", cut=24),
        Column(title="memory", right=True, drop=2),
        Column(title=pace, wrap=pace == PACES, drop=1),
        Column(title="judged as", drop=3),
    )
    here = is_here(verdicts[0].machine)
    rows: list[tuple[Cell, ...]] = []
    for verdict in verdicts:
        context = verdict.workload.context_tokens
        judged = (verdict.workload.quantization, None if context is None else f"{context:,}")
        rows.append(
            (
                answer_cell(verdict, here=here),
                strong(verdict.model.id),
                memory_of(verdict),
                pace_of(verdict.speed, title=pace),
                " ".join(filter(None, judged)),
            )
        )
    return Table(columns=columns, rows=tuple(rows), indent=0)


def _side_by_side(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """Say that each was judged alone, and what those that run take side by side."""
    if sum(verdict.can_run for verdict in verdicts) < 2:
        return
    each_sum = list(sums(verdicts))
    shares = [
        f"{units.binary(each.total_bytes)} of {units.binary(each.limit_bytes)} of"
        f" {_MEMORY_NAMES[each.check]}"
        for each in each_sum
    ]
    together = f" Side by side they take up to {' and '.join(shares)}." if shares else ""
    yield say(f"Each is judged alone.{together}", hang=2)
    if not all(each.fits for each in each_sum):
        yield say(_TOO_MUCH, hang=2)


def _warnings(local: Sequence[Verdict]) -> Iterator[Block]:
    """Each warning about what runs once, with the models it is about unless it is about all."""
    models: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local:
        for finding in ordered(verdict):
            is_said = finding.code in _SAID_ELSEWHERE or stands_above(finding, verdict)
            if finding.outcome is Outcome.WARN and not is_said:
                warning = (finding.check, finding.reason, finding.remedy)
                models.setdefault(warning, []).append(verdict.model.id)
    if models:
        yield from heading("Worth knowing")
    for (check, reason, remedy), ids in models.items():
        topic = check if len(ids) == len(local) else f"{check} ({', '.join(ids)})"
        yield from reason_blocks(topic, reason, remedy)


def _to_run(local: Sequence[Verdict]) -> Iterator[Block]:
    """The first command of each model below what it wants first, each line once."""
    if local:
        are_several = len({verdict.commands[0] for verdict in local}) > 1
        yield from heading("To run them" if are_several else "To run it")
    lines = [line for verdict in local for line in (*verdict.setup, verdict.commands[0])]
    yield from map(command_line, dict.fromkeys(lines))


def _ways_out(verdict: Verdict, carry: str, options: str, today: str | None) -> Iterator[Block]:
    """Why it does not run, the first model that does with its command, and the cheapest offer."""
    yield line(strong(verdict.model.id), f": {causes(verdict)}", indent=2, hang=2)
    if verdict.alternatives:
        first = verdict.alternatives[0]
        is_same = first.id == verdict.model.id and first.quantization
        model = f"{first.id} in {first.quantization}" if is_same else first.id
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        where = on_machine(verdict.machine, short=True)
        yield say(f"{runs} {where}: {model}", indent=4, hang=2)
        yield command_line(first.command + carry, indent=4)
    if verdict.route is Route.API and verdict.api_offers:
        whose, prices = offer_words(verdict.api_offers[0], today)
        yield say(f"by API: {whose}, {prices}", indent=4, hang=2)
    if not verdict.alternatives:
        yield command_line(f"selfhost check {verdict.model.id}{options}", indent=4)
