"""What `browse` shows, without drawing: rows of judged models, the answer for one, and what may be
changed by a key.

A `Question` holds the options as they were typed, or changed since, and the machine. `Rows` judges
its models in parts and keeps their verdicts, so that another filter or order judges nothing again.
A `Setting` is what one key changes: its choices are values of the options.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic

from ..advice.listing import Lister, Place, Ranking, count_rows, words_typed
from ..advice.understood import understand
from ..advice.verdicts import check_with
from ..catalogue.index import Catalogue, open_catalogue
from ..catalogue.spec_values import MODALITIES, USES
from ..core import units
from ..core.errors import SelfhostError, WorkloadError, one_line
from ..core.purposes import WORKLOAD_PURPOSES
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import DEFAULT_CONTEXT_TOKENS, Workload, as_typed
from ..judge.record import MEMORY_CHECKS, Verdict
from ..machine.record import Machine
from ..reports.check_text import check_document, otherwise_words
from ..reports.layout import Blocks, error_text
from ..reports.list_text import summary_words
from ..reports.words import Asked, pace_title
from .asked import options_to_repeat, workload_of
from .list import ListOptions, chosen_ids, lister_of, selected, sorted_by

# rows appear so soon, and are drawn anew no more often: an eye sees both as at once
_SECONDS_BEFORE_FIRST = 0.15
_SECONDS_BETWEEN = 0.4
# the contexts that one key steps through, in tokens
CONTEXTS = (4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)
# the types that people download most; --quant takes every type
_USUAL_TYPES = (
    "Q2_K",
    "Q3_K_M",
    "Q4_K_M",
    "Q5_K_M",
    "Q6_K",
    "Q8_0",
    "F16",
    "fp8",
    "awq",
    "4bit",
    "8bit",
)


# ---------------------------------------------------------------- what is asked


class BrowseOptions(ListOptions):
    """The options of `browse`: those of `list` but for its formats and lengths."""

    format = "text"
    top = None
    wide = True
    route = None

    @property
    def shows_only_running(self) -> bool:
        """Whether models that do not run are left out."""
        return not self.all


class Question:
    """What is asked of all models: options, and the machine that they name.

    Two threads read a question, so nothing changes one: `changed` returns another.
    """

    def __init__(self, options: BrowseOptions, machine: Machine) -> None:
        """Raises `WorkloadError` where the options contradict each other."""
        self.options = options
        self.machine = machine
        self.workload: Workload = workload_of(options)

    def changed(
        self, stated: Mapping[str, object], machine: Machine | None = None
    ) -> Question:
        """The question with other values of options, by their attributes. Raises as `Question`."""
        options = copy.copy(self.options)
        for name, value in stated.items():
            setattr(options, name, value)
        return Question(options, machine or self.machine)

    def asks_the_same(self, other: Question) -> bool:
        """Whether the verdicts of one are those of the other: only filters and order differ."""
        return self.workload == other.workload and self.machine is other.machine

    def command(self, id: str) -> str:
        """The line that asks about that model in a shell."""
        carry = options_to_repeat(self.options)
        return f"selfhost check {shell_word(id)}{self.workload.options()}{carry}"

    @property
    def context_tokens(self) -> int:
        """The context that was stated, or else is judged."""
        return self.workload.context_tokens or DEFAULT_CONTEXT_TOKENS

    def with_next_context(self, step: int) -> Question | None:
        """The question with the next larger context of `CONTEXTS` for step 1, the next smaller for
        -1; None where there is none.
        """
        if step > 0:
            larger = [tokens for tokens in CONTEXTS if tokens > self.context_tokens]
            tokens = min(larger, default=None)
        else:
            smaller = [tokens for tokens in CONTEXTS if tokens < self.context_tokens]
            tokens = max(smaller, default=None)
        if tokens is None:
            return None
        is_default = tokens == DEFAULT_CONTEXT_TOKENS and self.workload.purpose is None
        # what is not stated may be less: a model that was trained for less takes less
        return self.changed({"context_tokens": None if is_default else tokens})


class Setting(Record):
    """What a key changes."""

    key: str
    title: str
    # by what the screen calls a choice: the values of options that it states
    choices: Mapping[str, Mapping[str, object]]

    def chosen(self, options: BrowseOptions) -> str:
        """What the screen calls the choice that the options state; the value itself where they
        state one that is no choice.
        """
        for name, stated in self.choices.items():
            if all(
                _value(options, field) == (stated[field] or None) for field in stated
            ):
                return name
        values: list[str] = []
        for field in next(iter(self.choices.values())):
            value = _value(options, field)
            if value is not None:
                values.append(str(value))
        return " ".join(values)


def _value(options: BrowseOptions, field: str) -> object:
    """The value of an option; None of one that was not typed, and of a switch that is off."""
    return vars(options).get(field) or None


def settings(catalogue: Catalogue) -> tuple[Setting, ...]:
    """What can be changed, in the order of the screen."""
    sorts = ("best", "speed", "memory", "released", "download", "parameters", "name")
    kinds: dict[str, Mapping[str, object]] = {"any": {"use": None, "modality": None}}
    for modality in MODALITIES:
        kinds[modality] = {"use": None, "modality": modality}
    for use in USES:
        kinds[f"for {use}"] = {"use": use, "modality": None}
    terms: Mapping[str, Mapping[str, object]] = {
        "any": {"commercial": False, "modify": False, "auditable": False},
        "commercial": {"commercial": True, "modify": False, "auditable": False},
        "commercial, to modify": {
            "commercial": True,
            "modify": True,
            "auditable": False,
        },
        "auditable": {"commercial": False, "modify": False, "auditable": True},
    }
    return (
        Setting(
            key="s", title="sort", choices={name: {"sort": name} for name in sorts}
        ),
        Setting(
            key="f",
            title="show",
            choices={"what runs": {"all": False}, "all": {"all": True}},
        ),
        Setting(key="u", title="use", choices=kinds),
        Setting(
            key="p", title="purpose", choices=_any_or("purpose", WORKLOAD_PURPOSES)
        ),
        Setting(key="t", title="type", choices=_any_or("quantization", _USUAL_TYPES)),
        Setting(key="l", title="license", choices=terms),
        Setting(
            key="r",
            title="runtime",
            choices=_any_or("runtime", catalogue.runtime_ids()),
        ),
    )


def _any_or(field: str, values: Sequence[str]) -> dict[str, Mapping[str, object]]:
    """The choices of one field: "any", which states nothing, and each of the values."""
    choices: dict[str, Mapping[str, object]] = {"any": {field: None}}
    for value in values:
        choices[value] = {field: value}
    return choices


# ---------------------------------------------------------------- what is judged


class Shown(Record):
    """The rows of the table, in their order, and what stands above them."""

    rows: tuple[Verdict, ...]
    # `tokens/s`, or `pace` where each figure says its own unit
    pace_title: str
    summary: str
    # every model that passes the filters is judged
    is_done: bool


class Rows:
    """The models of one question as they are judged. A question that asks the same of them, with
    another filter or order, may be asked by `in_parts` of the same object.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.catalogue: Catalogue = open_catalogue(question.options.specs)
        self._judged: dict[str, Verdict] = {}
        self._refused: dict[str, WorkloadError] = {}
        # of a faulty spec
        self._unreadable: set[str] = set()

    def in_parts(self, question: Question, typed: str) -> Iterator[Shown]:
        """Yield the rows that are judged already, then again and again with those judged since;
        the last time all. `typed` are the words of the filter.
        """
        options = copy.copy(question.options)
        options.words = words_typed(typed.split(), self.catalogue)
        lister = lister_of(options, self.catalogue, question.workload, question.machine)
        order = _Order(options, lister)
        ids = chosen_ids(options, self.catalogue)
        if ids is None:
            ids = list(self.catalogue.ids())
        ruled_out = lister.ruled_out()
        wanted = [id for id in ids if id not in ruled_out]
        left = [id for id in wanted if not self._knows(id)]
        if len(left) < len(wanted):
            yield self._shown(question, order, wanted, len(ids) - len(wanted))
        show_at = monotonic() + _SECONDS_BEFORE_FIRST
        for id, judged in lister.one_by_one(left):
            if isinstance(judged, Verdict):
                self._judged[id] = judged
            elif judged is None:
                self._unreadable.add(id)
            else:
                self._refused[id] = judged
            if monotonic() >= show_at:
                yield self._shown(question, order, wanted, len(ids) - len(wanted))
                show_at = monotonic() + _SECONDS_BETWEEN
        yield self._shown(question, order, wanted, len(ids) - len(wanted))

    def _knows(self, id: str) -> bool:
        """Whether the model is judged already, or known to be none that can be."""
        return id in self._judged or id in self._refused or id in self._unreadable

    def _shown(
        self, question: Question, order: _Order, wanted: Sequence[str], ruled_out: int
    ) -> Shown:
        """What is to show of the models whose ids are wanted."""
        judged: list[Verdict] = []
        done = 0
        for id in wanted:
            done += self._knows(id)
            if id in self._judged:
                judged.append(self._judged[id])
        is_done = done == len(wanted)
        rows = order.rows(judged)
        if not is_done:
            running = sum(row.can_run for row in judged)
            summary = f"Judged {done:,} of {len(wanted):,} models: {running:,} run."
        elif judged or not self._refused:
            summary = _summary(question, judged, ruled_out)
            if not rows and judged:
                summary += " Press f to see all."
        else:
            summary = sentence(self._refused[min(self._refused)])
        title = pace_title(row.speed for row in rows)
        return Shown(
            rows=tuple(rows), pace_title=title, summary=summary, is_done=is_done
        )

    def blocks(self, question: Question, verdict: Verdict) -> Blocks:
        """What `selfhost check` shows of that verdict."""
        asked = Asked(
            carry=options_to_repeat(question.options),
            workload_options=question.workload.options(),
            today=units.utc_today(),
        )
        verbose = question.options.verbose
        return check_document([verdict], asked, verbose=verbose)

    def verdict(self, question: Question, id: str) -> Verdict:
        """The verdict of `selfhost check` on that model. Raises `SelfhostError`."""
        workload, machine = question.workload, question.machine
        meant = understand(self.catalogue, id, workload, machine)
        verdict = check_with(self.catalogue, meant, workload, machine)
        notes = (*question.options.notes, *verdict.first_notes)
        return verdict.replace(first_notes=notes)


def may_fit(row: Verdict) -> bool:
    """Whether the model fails on memory alone, so that it may fit in another type or context."""
    return bool(row.failed) and set(row.failed) <= set(MEMORY_CHECKS)


def condition_words(verdict: Verdict) -> str:
    """What the model fits as, where it does not run as asked: `fits as Q3_K_M`; empty where it does
    not fit at all.
    """
    if not may_fit(verdict):
        return ""
    for other in verdict.alternatives:
        if other.id == verdict.model.id:
            return f"fits as {otherwise_words(other, verdict)}"
    return ""


class _Order:
    """Which of the judged models are shown, and in which order. Places are worked out once."""

    def __init__(self, options: BrowseOptions, lister: Lister) -> None:
        self._options = options
        self._lister = lister
        self._places: dict[str, Place] = {}

    def rows(self, judged: Sequence[Verdict]) -> list[Verdict]:
        """The rows to show."""
        rows: list[Verdict] = []
        for row in selected(judged, self._options):
            if row.can_run or not self._options.shows_only_running:
                rows.append(row)
        rows.sort(key=self._place)
        return sorted_by(rows, self._options.sort, self._lister)

    def _place(self, row: Verdict) -> Place:
        place = self._places.get(row.model.id)
        if place is None:
            place = self._lister.key(row)
            self._places[row.model.id] = place
        return place


def _summary(question: Question, judged: Sequence[Verdict], ruled_out: int) -> str:
    """What `list` says above its table."""
    ranking = Ranking(
        machine=question.machine,
        models=tuple(judged),
        counts=count_rows(judged),
        ruled_out=ruled_out,
    )
    if not judged:
        return "No model matches."
    return summary_words(ranking, question.workload)


def sentence(error: SelfhostError) -> str:
    """What is wrong and what to do, as the command line says it, in one line."""
    return one_line(error_text(as_typed(error)).rstrip("\n"))
