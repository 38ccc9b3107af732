"""What `check` says of several models: a row each, then what to type for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ..advice.several import sums
from ..core import units
from ..judge.record import Outcome, Route, Verdict
from .layout import BLANK, Block, command_line, heading, line, lines_to_type, say, strong, texts
from .model_rows import rows_of
from .prices import API_RISKS, offer_words
from .words import (
    answer_cell,
    answer_line,
    causes,
    count_words,
    finding_blocks,
    is_here,
    on_machine,
    ordered,
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
# a table of months side by side would say less than one model's own
_MORE = "Every finding: -v · one model in full: selfhost check MODEL"
COST_ALONE = "The cost of a month: selfhost check MODEL, with the same options."


def several_blocks(
    verdicts: Sequence[Verdict], verbose: bool, carry: str, options: str, today: str | None
) -> Iterator[Block]:
    """A count, a row a model, the commands of those that run, and the way out of the others.

    `carry` goes behind proposed commands, `options` behind those without a workload of their own.
    """
    here = is_here(verdicts[0].machine)
    answers = [answer_cell(verdict, here=here) for verdict in verdicts]
    yield say(count_words(verdicts), hang=2)
    yield from texts([planned_words(verdicts[0].machine)], indent=0)
    yield from (BLANK, rows_of(verdicts, answers, ("memory", "pace", "judged as"), ()))
    local = [verdict for verdict in verdicts if verdict.can_run]
    yield from texts(_side_by_side(verdicts) if len(local) > 1 else (), indent=0)
    yield BLANK
    notes = [(*each.understood_as, *(each.notes if verbose else ())) for each in verdicts]
    yield from texts(dict.fromkeys(chain.from_iterable(notes)), indent=0)
    yield from _warnings(local)
    lines = chain.from_iterable((*each.setup, *each.commands[:1]) for each in local)
    if commands := list(lines_to_type(dict.fromkeys(lines))):
        yield from (*heading("To run them"), *commands)
    if len(local) < len(verdicts):
        yield from heading("The others" if local else "What to do instead")
    for verdict in verdicts:
        if not verdict.can_run:
            yield from _ways_out(verdict, carry, options, today if verbose else None)
    yield BLANK
    yield from texts([COST_ALONE] if verdicts[0].monthly_cost is not None else (), indent=0)
    yield from _findings(verdicts) if verbose else [say(_MORE)]


def _findings(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """Every finding of each model."""
    uses_api = any(verdict.route is Route.API for verdict in verdicts)
    yield from texts([API_RISKS] if uses_api else (), indent=0)
    for verdict in verdicts:
        yield from (BLANK, answer_line(verdict), *finding_blocks(ordered(verdict)))


def _side_by_side(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield that each was judged alone, and what those that run take side by side."""
    names = {"memory": "RAM", "accelerator": "GPU memory"}
    totals = list(sums(verdicts))
    shares = " and ".join(
        f"{units.binary(total)} of {units.binary(limit)} of {names[check]}"
        for check, total, limit in totals
    )
    yield f"Each is judged alone.{f' Side by side they take up to {shares}.' if shares else ''}"
    if any(total > limit for _, total, limit in totals):
        yield _TOO_MUCH


def _warnings(local: Sequence[Verdict]) -> Iterator[Block]:
    """Each warning about what runs once, with the models it is about unless it is about all."""
    models: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local:
        for finding in ordered(verdict):
            is_said = finding.code in _SAID_ELSEWHERE or stands_above(finding, verdict)
            if finding.outcome is Outcome.WARN and not is_said:
                warning = (finding.check, finding.reason, finding.remedy)
                models.setdefault(warning, []).append(verdict.model.id)
    yield from heading("Worth knowing") if models else ()
    for (check, reason, remedy), ids in models.items():
        topic = check if len(ids) == len(local) else f"{check} ({', '.join(ids)})"
        yield from reason_blocks(topic, reason, remedy)


def _ways_out(verdict: Verdict, carry: str, options: str, today: str | None) -> Iterator[Block]:
    """Why it does not run, the first model that does with its command, and the cheapest offer."""
    yield line(strong(verdict.model.id), f": {causes(verdict)}", indent=2, hang=2)
    first = next(iter(verdict.alternatives), None)
    if first is not None:
        is_same = first.id == verdict.model.id and first.quantization
        model = f"{first.id} in {first.quantization}" if is_same else first.id
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        yield say(f"{runs} {on_machine(verdict.machine, short=True)}: {model}", indent=4, hang=2)
        yield command_line(first.command + carry, indent=4)
    if verdict.route is Route.API and verdict.api_offers:
        whose, prices = offer_words(verdict.api_offers[0], today)
        yield say(f"by API: {whose}, {prices}", indent=4, hang=2)
    if first is None:
        yield command_line(f"selfhost check {verdict.model.id}{options}", indent=4)
