"""The contents of `browse`, without drawing: rows of judged models, the answer for one model, and
the settings that keys change.

A `BrowseQuestion` holds the options as typed, or as changed since, and the machine. `Rows` judges
its models one by one and keeps the verdicts, so that another filter or order judges nothing again.
A `KeySetting` is the setting that one key changes: its choices are values of the options.
"""

from __future__ import annotations

import copy
from collections.abc import (
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from time import monotonic

from ..advice.filters import words_in_names, words_typed
from ..advice.listing import Answer, ListPlace, Ranking, count_rows
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
from ..reports.list_text import summary_line
from ..reports.words import CommandLine, pace_title
from .asked import options_to_repeat, workload_of
from .list import ListOptions, chosen_ids, lister_of, sorted_by
from .options import options_of

# seconds until rows appear, and between redraws: both look immediate
_SECONDS_BEFORE_FIRST = 0.15
_SECONDS_BETWEEN = 0.4
# values of options by attribute
OptionValues = Mapping[str, object]
# the option values of each choice, by the label of the choice on the screen
Choices = Mapping[str, OptionValues]
# the contexts in tokens that one key steps through
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
    """The options of `browse`: those of `list`, without its formats and lengths."""

    format = "text"
    top = None
    from_ = None
    wide = True
    route = None

    @property
    def shows_only_running(self) -> bool:
        """Whether models that do not run are left out."""
        return not self.all


class BrowseQuestion:
    """The question that `browse` asks about all models: options, and the machine that they name.

    Two threads read a question, so nothing changes one: `changed` returns another.
    """

    def __init__(self, options: BrowseOptions, machine: Machine) -> None:
        """Make the question. Raises `WorkloadError` where the options contradict each other."""
        self.options = options
        self.machine = machine
        self.workload: Workload = workload_of(options)

    def changed(
        self,
        values: OptionValues,
        machine: Machine | None = None,
    ) -> BrowseQuestion:
        """Return the question with other values of options. Raises the errors of
        `BrowseQuestion`.
        """
        options = copy.copy(self.options)
        for name, value in values.items():
            setattr(options, name, value)
        return BrowseQuestion(options, machine or self.machine)

    def asks_the_same(self, other: BrowseQuestion) -> bool:
        """Whether both questions have the same verdicts: only filters and order differ."""
        return self.workload == other.workload and self.machine is other.machine

    def command(self, id: str) -> str:
        """Return the shell command that asks about that model."""
        return f"selfhost check {shell_word(id)}{self.options_to_type}"

    @property
    def options_to_type(self) -> str:
        """The options behind the model in that line, a space before each option."""
        return self.workload.options() + options_to_repeat(self.options)

    @property
    def context_tokens(self) -> int:
        """The stated context length in tokens, else the default."""
        return self.workload.context_tokens or DEFAULT_CONTEXT_TOKENS

    def with_next_context(self, step: int) -> BrowseQuestion | None:
        """Return the question with the next larger context of `CONTEXTS` for step 1, or the next
        smaller for -1; None where there is none.
        """
        now = self.context_tokens
        for tokens in CONTEXTS[::step]:
            if step * tokens > step * now:
                return self._with_context(tokens)
        return None

    def _with_context(self, tokens: int) -> BrowseQuestion:
        """The question with that context."""
        if tokens == DEFAULT_CONTEXT_TOKENS and self.workload.purpose is None:
            # without a stated context, a model trained for fewer tokens takes fewer
            return self.changed({"context_tokens": None})
        return self.changed({"context_tokens": tokens})


class KeySetting(Record):
    """The setting that a key of the screen changes."""

    key: str
    title: str
    choices: Choices

    def chosen(self, options: BrowseOptions) -> str:
        """Return the label of the choice that the options state; the values themselves where they
        are none of the choices.
        """
        # all choices of a setting state the same attributes
        names = next(iter(self.choices.values()))
        stated = vars(options)
        values = _in_force(map(stated.get, names))
        for label, choice in self.choices.items():
            if values == _in_force(choice.values()):
                return label
        return " ".join(map(str, filter(None, values)))


def _in_force(values: Iterable[object]) -> list[object]:
    """The values, None for a switch that is off: it is as good as no value."""
    return [value or None for value in values]


def settings(catalogue: Catalogue) -> tuple[KeySetting, ...]:
    """Return the settings that keys can change, in the order of the screen."""
    shown = {"what runs": {"all": False}, "all": {"all": True}}
    purposes = _any_or("purpose", WORKLOAD_PURPOSES)
    types = _any_or("quantization", _USUAL_TYPES)
    runtimes = _any_or("runtime", catalogue.runtime_ids())
    return (
        KeySetting(key="s", title="sort", choices=_sorts()),
        KeySetting(key="f", title="show", choices=shown),
        KeySetting(key="u", title="use", choices=_uses()),
        KeySetting(key="p", title="purpose", choices=purposes),
        KeySetting(key="t", title="type", choices=types),
        KeySetting(key="l", title="license", choices=_terms()),
        KeySetting(key="r", title="runtime", choices=runtimes),
    )


def _sorts() -> Choices:
    """The choices of `--sort`."""
    choices = {}
    for option in options_of("browse"):
        if option.flag == "--sort":
            for name in option.choices:
                choices[name] = {"sort": name}
    return choices


def _any_or(field: str, values: Sequence[str]) -> Choices:
    """The choices of one field: "any", which states nothing, and each of the values."""
    choices: dict[str, OptionValues] = {"any": {field: None}}
    for value in values:
        choices[value] = {field: value}
    return choices


def _uses() -> Choices:
    """The choices of the kind of model and of its use."""
    choices: dict[str, OptionValues] = {"any": {"use": None, "modality": None}}
    for modality in MODALITIES:
        choices[modality] = {"use": None, "modality": modality}
    for use in USES:
        choices[f"for {use}"] = {"use": use, "modality": None}
    return choices


def _terms() -> Choices:
    """The choices of license terms: uses that the license must allow, and a model that can be
    audited.
    """
    free: OptionValues = {"commercial": False, "modify": False, "auditable": False}
    return {
        "any": free,
        "commercial": {**free, "commercial": True},
        "commercial, to modify": {**free, "commercial": True, "modify": True},
        "auditable": {**free, "auditable": True},
    }


# ---------------------------------------------------------------- what is judged


class ShownRows(Record):
    """The rows of the table in their order, with the title of the pace column and the summary
    above.
    """

    rows: tuple[Verdict, ...]
    # `tokens/s`, or `pace` where the figures have different units
    pace_title: str
    summary: str


class Rows:
    """The models of one question while they are judged.

    `as_judged` of the same object also takes a question with another filter or order, which asks
    the same about the models.
    """

    def __init__(self, question: BrowseQuestion) -> None:
        self.question = question
        self.catalogue: Catalogue = open_catalogue(question.options.specs)
        # verdicts by id; None: the spec of the model is faulty
        self._judged: dict[str, Answer] = {}

    def as_judged(self, question: BrowseQuestion, typed: str) -> Iterator[ShownRows]:
        """Yield the rows that are judged already, then again and again with the rows judged since.
        The last time yields all rows.

        `typed` are the words of the filter.
        """
        judged = self._judged
        view = _View(question, typed, self.catalogue, judged)
        left = [id for id in view.ids if id not in judged]
        if len(left) < len(view.ids):
            yield view.shown(judged)
        show_at = monotonic() + _SECONDS_BEFORE_FIRST
        for id, answer in view.lister.one_by_one(left):
            judged[id] = answer
            if monotonic() >= show_at:
                yield view.shown(judged)
                show_at = monotonic() + _SECONDS_BETWEEN
        yield view.shown(judged)

    def blocks(self, question: BrowseQuestion, verdict: Verdict) -> Blocks:
        """Return the blocks of text that `selfhost check` shows for that verdict."""
        asked = CommandLine(options=question.options_to_type, today=units.utc_today())
        verbose = question.options.verbose
        return check_document([verdict], asked, verbose=verbose)

    def verdict(self, question: BrowseQuestion, id: str) -> Verdict:
        """Return the verdict of `selfhost check` on that model. Raises `SelfhostError`."""
        workload = question.workload
        machine = question.machine
        carry = options_to_repeat(question.options)
        verdict = check_with(self.catalogue, id, workload, machine, carry=carry)
        notes = (*question.options.notes, *verdict.first_notes)
        return verdict.replace(first_notes=notes)


class _View:
    """The models that a question shows: those that pass its filters, in its order."""

    def __init__(
        self,
        question: BrowseQuestion,
        typed: str,
        catalogue: Catalogue,
        judged: MutableMapping[str, Answer],
    ) -> None:
        options = copy.copy(question.options)
        options.words = words_typed(typed.split(), catalogue)
        self.lister = lister_of(
            options, catalogue, question.workload, question.machine, judged
        )
        # counted as in `list`: of all models, whatever the other filters leave
        self._ruled_out = len(self.lister.ruled_out)
        self._question = question
        self._options = options
        self._catalogue = catalogue
        self.ids = self._ids_of(options.words)
        # the places in the list by id: computing one takes longer than sorting all
        self._places: dict[str, ListPlace] = {}

    def shown(self, judged: Mapping[str, Answer]) -> ShownRows:
        """Return the rows of the models that are judged by now, and the summary above them."""
        answers = [judged[id] for id in self.ids if id in judged]
        verdicts = [answer for answer in answers if isinstance(answer, Verdict)]
        rows = self._rows(verdicts)
        if len(answers) < len(self.ids):
            summary = self._progress(verdicts, len(answers))
        elif verdicts:
            summary = self._summary(verdicts)
            if not rows:
                summary += " Press f to see all."
        else:
            summary = self._why_no_verdict(answers)
        return ShownRows(rows=tuple(rows), pace_title=pace_title(rows), summary=summary)

    def _rows(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The rows to show, in their order."""
        options = self._options
        rows = list(filter(options.takes, verdicts))
        if options.shows_only_running:
            rows = [row for row in rows if row.can_run]
        rows.sort(key=self._place)
        rows = self.lister.with_room_first(rows)
        return sorted_by(rows, options.sort, self.lister)

    def _place(self, row: Verdict) -> ListPlace:
        """The place of a row in the list."""
        place = self._places.get(row.model.id)
        if place is None:
            place = self.lister.key(row)
            self._places[row.model.id] = place
        return place

    def _progress(self, verdicts: Sequence[Verdict], judged: int) -> str:
        """The sentence on how many models are judged. Some of them have no verdict."""
        running = sum(row.can_run for row in verdicts)
        models = len(self.ids)
        return f"Judged {judged:,} of {models:,} models: {running:,} run."

    def _summary(self, verdicts: Sequence[Verdict]) -> str:
        """The summary that `list` shows above its table."""
        ranking = Ranking(
            machine=self._question.machine,
            models=tuple(verdicts),
            counts=count_rows(verdicts),
            ruled_out=self._ruled_out,
        )
        return "".join(summary_line(ranking, self._question.workload).parts)

    def _why_no_verdict(self, answers: Sequence[Answer]) -> str:
        """The sentence in place of a summary where no model has a verdict: the first error, if any,
        else the words of a filter that match models.
        """
        for answer in answers:
            if isinstance(answer, WorkloadError):
                return sentence(answer)
        near = []
        for name in words_in_names(self._options.words, self._catalogue):
            # the other filters may leave no model of that name
            if self._ids_of([name]):
                near.append(name)
        if not near:
            return "No model matches."
        return f"No model matches. Did you mean {' or '.join(near)}?"

    def _ids_of(self, words: Sequence[str]) -> list[str]:
        """The ids of the models that those words of a filter leave, besides the other filters."""
        options = copy.copy(self._options)
        options.words = words
        ids = chosen_ids(options, self._catalogue, self._question.workload)
        ruled_out = self.lister.ruled_out
        return [id for id in ids if id not in ruled_out]


def may_fit(row: Verdict) -> bool:
    """Whether the model fails on memory alone, so that it may fit in another type or context."""
    if not row.failed:
        return False
    return set(row.failed).issubset(MEMORY_CHECKS)


def condition_words(verdict: Verdict) -> str:
    """Return words for the form in which a model fits that does not run as asked: `fits as Q3_K_M`.
    Empty where the model does not fit at all.
    """
    if not may_fit(verdict):
        return ""
    for other in verdict.of_same_model:
        return f"fits as {otherwise_words(other, verdict)}"
    return ""


def sentence(error: SelfhostError) -> str:
    """Return the message of an error with its remedy, as the command line shows them, in one
    line.
    """
    return one_line(error_text(as_typed(error)).rstrip("\n"))
