"""The screen of `check` for several models: a row for each model, then remedies.

Verdicts on one machine go in, blocks come out. `check_text.py` has the answer for one model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import units
from ..judge.record import Finding, Outcome, Route, Verdict
from .answer_words import (
    answer_cell,
    answer_line,
    causes,
    count_words,
    is_assumption,
    limit_words,
    ordered,
)
from .api_words import API_RISKS, offer_words
from .labels import LABELS
from .layout import (
    AS_TOPIC,
    Blocks,
    Hint,
    Table,
    Topic,
    command,
    commands,
    line,
    section,
    strong,
    texts,
    topics,
)
from .model_figures import figures_of, table_of_paces
from .words import (
    CommandLine,
    pace_title,
    planned_words,
    range_hint,
    shown_setup,
    would_run,
)

_ONE_BY_ONE = (
    "That can be too much: run them one after another. A [[together]] in the policy of"
    " `selfhost audit` judges them together, and counts shared files once."
)


def several_blocks(
    verdicts: Sequence[Verdict],
    command_line: CommandLine,
    *,
    verbose: bool,
) -> Blocks:
    """Yield the number of models that run, a row for each model, the commands of models that run,
    and remedies for the others. Prices have an age only under `verbose`.
    """
    running = [verdict for verdict in verdicts if verdict.can_run]
    others = [verdict for verdict in verdicts if not verdict.can_run]
    yield line(count_words(verdicts, command_line.unjudged))
    yield from texts([planned_words(verdicts[0].machine)], indent=0)
    yield line()
    yield _table(verdicts)
    if len(running) > 1:
        yield from texts(_at_once(running), indent=0)
    yield line()
    yield from note_blocks(verdicts, verbose=verbose)
    yield from texts(_limits(running), indent=0)
    yield line()
    yield from section("Worth knowing", topics(_warnings(running)))
    yield from section("To run them", commands(_to_run(running, verbose=verbose)))
    title = "What to do instead"
    if running:
        title = "The others"
    if not verbose:
        command_line = command_line.replace(today=None)
    yield from section(title, _ways_out(others, command_line))
    yield line()
    if verdicts[0].monthly_cost is not None:
        # they would not fit into the table
        to_check = "selfhost check MODEL"
        rest = ", with the same options."
        yield line(Hint("The cost of a month: ", to_check, rest, shows="check"))
    if verbose:
        yield from _findings(verdicts)
    else:
        yield line(
            Hint("Every finding: ", "-v"), " · ", range_hint(command_line.options)
        )


def _table(verdicts: Sequence[Verdict]) -> Table:
    """A row a model: the answer, its name, the memory and pace, and how it was judged."""
    title = pace_title(verdicts)
    rows = []
    for verdict in verdicts:
        figures = figures_of(verdict, title)
        name = strong(verdict.model.id)
        answer = answer_cell(verdict)
        rows.append(
            (
                answer,
                name,
                figures.memory,
                figures.pace,
                figures.judged_as,
                figures.program,
            )
        )
    return table_of_paces("models", rows, title)


def _at_once(running: Sequence[Verdict]) -> Iterator[str]:
    """Yield the most memory that the running models take together, for each memory that more than
    one of them takes.
    """
    cards = running[0].machine.cards
    memories = {"memory": "RAM"}
    # several GPUs may hold one model each, and a GPU that shares the RAM has no memory of its own
    if len(cards) == 1 and not cards[0].unified:
        memories["accelerator"] = "GPU memory"
    shares = []
    is_too_much = False
    for check, name in memories.items():
        needs = []
        limit_bytes = 0
        for verdict in running:
            finding = verdict.finding(check)
            if finding is not None and finding.amounts is not None:
                needs.append(finding.amounts.needs)
                limit_bytes = max(limit_bytes, finding.amounts.has)
        if len(needs) > 1:
            taken = units.binary(sum(needs))
            shares.append(f"up to {taken} of {units.binary(limit_bytes)} of {name}")
            is_too_much = is_too_much or sum(needs) > limit_bytes
    if shares:
        yield f"Each is judged alone. All at once they take {' and '.join(shares)}."
    else:
        yield "Each is judged alone."
    if is_too_much:
        yield _ONE_BY_ONE


def note_blocks(verdicts: Sequence[Verdict], *, verbose: bool) -> Blocks:
    """Yield the notes on how the names were understood, each once; `verbose` adds the other
    notes, each with its models unless it is about all of them.
    """
    notes: dict[str, None] = {}
    ids: dict[str, list[str]] = {}
    for verdict in verdicts:
        notes |= dict.fromkeys(verdict.understood_as)
        for note in verdict.notes:
            ids.setdefault(note, []).append(verdict.model.id)
    if verbose:
        for note, models in ids.items():
            is_of_all = len(models) == len(verdicts)
            notes[note if is_of_all else f"{', '.join(models)}: {note}"] = None
    return texts(notes, indent=0)


def _limits(running: Sequence[Verdict]) -> Iterator[str]:
    """Yield each limit that must be raised before a model runs as judged."""
    for verdict in running:
        limit = limit_words(verdict)
        if limit:
            yield f"{verdict.model.id}: {limit}"


def _warnings(running: Sequence[Verdict]) -> Iterator[Topic]:
    """Yield the loss of quality and the findings that warn, each with its model."""
    for verdict in running:
        name = verdict.model.id
        if verdict.loss is not None and verdict.loss.warning:
            yield f"quality ({name})", verdict.loss.warning, None
        for finding in ordered(verdict):
            if finding.outcome is Outcome.WARN and not _is_told_elsewhere(
                finding, verdict
            ):
                yield f"{finding.check} ({name})", finding.reason, finding.remedy


def _is_told_elsewhere(finding: Finding, verdict: Verdict) -> bool:
    """Whether another line of the screen tells the finding."""
    if finding.code in LABELS.lists["told-elsewhere"]:
        return True
    if finding.check == "accelerator" and verdict.waits_for_setting:
        return True
    return is_assumption(finding, verdict)


def _to_run(running: Sequence[Verdict], *, verbose: bool) -> list[str]:
    """The lines that install the programs and start the models, each once; `verbose`: all ways."""
    lines: dict[str, None] = {}
    for verdict in running:
        lines |= dict.fromkeys(shown_setup(verdict, verbose=verbose))
        lines |= dict.fromkeys(verdict.commands[:1])
    return list(lines)


def _ways_out(others: Sequence[Verdict], command_line: CommandLine) -> Blocks:
    """Yield for each model why it does not run, what runs instead, an API offer, and the next
    command to type.
    """
    for verdict in others:
        yield line(strong(verdict.model.id), f": {causes(verdict)}", indent=2)
        typed = f"selfhost check {verdict.model.id}{command_line.options}"
        if verdict.alternatives:
            first = verdict.alternatives[0]
            name = first.id
            if first.quantization:
                name += f" in {first.quantization}"
            yield line(f"{would_run(verdict)}: {name}", indent=4)
            typed = first.command
        if verdict.route is Route.API and verdict.api_offers:
            whose, prices = offer_words(verdict.api_offers[0], command_line.today)
            yield line(f"by API: {whose}, {prices}", indent=4)
        yield command(typed, indent=4)


def _findings(verdicts: Sequence[Verdict]) -> Blocks:
    """All findings on each model, in the order of the screen."""
    if any(verdict.route is Route.API for verdict in verdicts):
        yield line(API_RISKS)
    for verdict in verdicts:
        yield line()
        yield answer_line(verdict)
        yield from topics(map(AS_TOPIC, ordered(verdict)))
