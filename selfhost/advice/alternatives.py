"""Alternatives to a model that does not run as asked, or slowly, or only in part on accelerators.

`AlternativeSearch` takes a judgement on a machine, and how it was asked. Its `alternatives` are the
same model with one wish given up (`_WISHES`), then other models; each is judged as `check` judges
it. `smaller` is a smaller type that lies in a better place, and of a model that runs is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property

from ..core import units
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks import phrase
from ..judge.checks.accelerator import PLACING_SETTINGS, placing_options
from ..judge.checks.speed import is_slow, lacks_pace
from ..judge.quality import quality_of
from ..judge.rating import (
    gains_no_step,
    is_rough,
    is_way_out,
    lies_better,
    serves,
)
from ..judge.reasons import METHODS
from ..judge.record import Alternative, Judged
from ..judge.table import USUAL, FileRow, program_row
from ..judge.ways import types_to_have
from .asking import Asking
from .ranking import reservations

_MOST_OF_SAME_MODEL = 3
_MOST_OTHER_MODELS = 3
# beside alternatives of the same model
_MOST_OTHERS_BESIDE = 2
_SHORTEST_CONTEXT_TOKENS = 1024


class AlternativeSearch(Asking):
    """The search for alternatives to a judged question."""

    def alternatives(self) -> tuple[Alternative, ...]:
        """The alternatives with the route `local`, at most five: first the same model with one wish
        given up, then other models, the best first; last those that are too slow. Of a model that
        runs, the smaller type that lies in a better place and is faster by a step; without one, of
        a model that runs slowly, models that are clearly faster.

        Every alternative meets all other conditions that the user stated.
        """
        if not self.judged.fits:
            same_model = self.of_same_model()
            most = _MOST_OTHERS_BESIDE if same_model else _MOST_OTHER_MODELS
            found = [*same_model, *self._other_models(most)]
            return tuple(sorted(found, key=serves, reverse=True))
        if self.smaller is not None:
            return (self._alternative_in_type(self.smaller),)
        if not is_slow(self.judged):
            return ()
        return tuple(self._other_models(_MOST_OTHER_MODELS))

    def _alternative_in_type(self, smaller: Judged) -> Alternative:
        """The smaller type that a GPU holds whole."""
        why = f"fits the GPU whole; {_loss_of(smaller)}"
        file = smaller.question.type_row
        if file is not None and not file.is_ready:
            why += "; no published file of it is known"
        return self._of_this(smaller, why)

    def _other_models(self, most: int) -> list[Alternative]:
        """The first `most` other models, the best first."""
        # imported here: most checked models run, and no other model is proposed
        from .proposals import Proposals

        proposals = Proposals(
            judged=self.judged,
            typed_name=self.understood.typed_name,
            catalogue=self.catalogue,
            machine=self.machine,
        )
        found = []
        for row in proposals.best(most):
            why = proposals.why(row)
            found.append(self._alternative(row, why))
        return found

    def of_same_model(self) -> tuple[Alternative, ...]:
        """The alternatives that are the same model, with one wish given up."""
        return self._with_wish_given_up

    @cached_property
    def _with_wish_given_up(self) -> tuple[Alternative, ...]:
        """The first three alternatives that differ in what runs. Two wishes may lead to the same
        files and program: another program may take the smaller type by itself.
        """
        found: dict[Workload, Alternative] = {}
        for wish in _WISHES:
            if len(found) == _MOST_OF_SAME_MODEL:
                break
            stated = wish.given_up(self)
            if stated is None:
                continue
            if stated == self.judged.question.stated:
                continue
            judged = self.by_id(stated)
            if judged is None or not is_way_out(judged, self.judged):
                continue
            if judged.workload not in found:
                why = phrase(f"instead/{wish.name}", **self._figures(judged))
                found[judged.workload] = self._of_this(judged, why)
        return tuple(found.values())

    def _figures(self, other: Judged) -> dict[str, object]:
        """What the sentences on a wish that was given up name."""
        workload = other.workload
        runtime = other.question.runtime
        before = self.judged.question.asked.runtime_options
        after = other.question.asked.runtime_options
        return {
            "options": sorted(before.keys() - after.keys()),
            "method": METHODS.get(workload.finetune_method or ""),
            "loss": _loss_of(other),
            "cache": workload.kv_cache_type,
            "program": workload.runtime if runtime is None else runtime.name,
            "users": units.plural(workload.parallel, "user"),
        }

    def _of_this(self, judged: Judged, why: str) -> Alternative:
        """The alternative of the same model, with what may keep it from running well."""
        parts = [why, *reservations(judged)]
        return self._alternative(judged, ", ".join(parts))

    def _alternative(self, judged: Judged, why: str) -> Alternative:
        """The alternative that a judgement makes, with the command that asks for the same again."""
        spec = judged.model
        typed = spec.id
        if spec.id not in self.catalogue and spec.origin:
            # the catalogue has none of that id, so its file is named
            typed = spec.origin
        if lacks_pace(judged):
            why = f"{why}, speed not known"
        return Alternative.conclude(
            judged,
            self.machine,
            asked=spec.id,
            offered=False,
            why=why,
            command=self.command(typed, judged.question.stated),
        )

    # ------------------------------------------------------------------ a smaller type

    @cached_property
    def smaller(self) -> Judged | None:
        """The smaller type of least loss that lies in a better place: on accelerators as a whole,
        where it is a step faster too, or anywhere where the judged type does not run. None for
        none, and where the user stated where the layers lie.

        Types of four bits or more come first; of these and of the others those that nobody has to
        make.
        """
        if self.judged.fits and not self._may_lie_better:
            return None
        rows = self._smaller_types()
        in_files = [row for row in rows if not row.is_made_at_load]
        smallest = min(in_files, key=lambda row: row.least_bytes, default=None)
        if smallest is None or self._judged_if_better_placed(smallest) is None:
            # where the smallest file lies no better, none does. What a program quantizes at load
            # may leave parts of a model in 16 bits
            rows = [row for row in rows if row.is_made_at_load]
        for row in sorted(rows, key=_is_less_wanted):
            other = self._judged_if_better_placed(row)
            if other is None:
                continue
            if self.judged.fits and gains_no_step(other, self.judged):
                # what lies whole on a small GPU may be no faster than what is shared with the RAM
                continue
            return other
        return None

    @property
    def _may_lie_better(self) -> bool:
        """Whether files of other types can be had and run here, not all of them on accelerators."""
        question = self.judged.question
        if self.judged.is_on_accelerators:
            return False
        if not self.machine.own_memory_cards:
            return False
        if question.loads_named_files:
            return False
        if placing_options(question):
            return False
        return question.step is not None

    def _smaller_types(self) -> list[FileRow]:
        """The types that the user can get, that lose more than the judged type and are worth
        having, the best first.
        """
        question = self.judged.question
        if question.runtime is None:
            return []
        types = program_row(question.spec, question.runtime).types
        judged_type = question.workload.quantization
        if judged_type not in types:
            return []
        below = types[types.index(judged_type) + 1 :]
        rows = []
        for row in types_to_have(question):
            is_worth_it = quality_of(row.quantization, question.spec).worth_having
            if is_worth_it and row.quantization in below:
                rows.append(row)
        return rows

    def _judged_if_better_placed(self, row: FileRow) -> Judged | None:
        """What `check` answers in that type, if the model lies in a better place then."""
        stated = self.judged.question.stated.replace(
            runtime=row.runtime.id, quantization=row.quantization
        )
        other = self.by_id(stated)
        if other is None or not lies_better(other, self.judged):
            return None
        return other


def _is_less_wanted(row: FileRow) -> tuple[bool, bool]:
    """What orders types of one model, beside their loss: bits enough, then files that are there."""
    return is_rough(row.quantization or "", row.spec), not row.is_ready


def _loss_of(judged: Judged) -> str:
    """The loss in quality of a judged type, in words."""
    return quality_of(judged.quantization, judged.model).text


# ------------------------------------------------------------------ the wishes


class Wish(Record):
    """A wish that may be given up. `name` is the key of the sentence on what is given up
    (`instead/…` of `common/findings.toml`); `given_up` returns the stated workload without the
    wish, or None where nobody has the wish.
    """

    name: str
    given_up: Callable[[AlternativeSearch], Workload | None]


def _without(*fields: str) -> Callable[[AlternativeSearch], Workload | None]:
    """The function that gives up what those fields of the workload state."""

    def given_up(search: AlternativeSearch) -> Workload:
        stated = search.judged.question.stated
        return stated.replace(**dict.fromkeys(fields))

    return given_up


def _placed_by_program(search: AlternativeSearch) -> Workload | None:
    """The same files without the options that place layers, so that the program places as many on
    the accelerators as fit.
    """
    question = search.judged.question
    without = _without_options(search, PLACING_SETTINGS)
    if without is None:
        return None
    return without.replace(quantization=question.workload.quantization)


def _divided_by_program(search: AlternativeSearch) -> Workload | None:
    """The same program without the options that divide layers over a number of accelerators."""
    return _without_options(search, {"parts_of_layers"})


def _without_options(
    search: AlternativeSearch,
    settings: Collection[str],
) -> Workload | None:
    """The stated workload in the same program without the options that change these settings; None
    where nobody stated one.
    """
    question = search.judged.question
    names = placing_options(question, settings)
    if not names:
        return None
    options = dict(question.stated.runtime_options)
    for name in names:
        options.pop(name, None)
    return question.stated.replace(
        runtime=question.workload.runtime, runtime_options=options
    )


def _in_smaller_type(search: AlternativeSearch) -> Workload | None:
    """The same program in the smaller type of least loss that runs."""
    if search.smaller is None:
        return None
    return search.smaller.question.stated


def _in_other_program(search: AlternativeSearch) -> Workload | None:
    """Another program, in a type of its own.

    Where the user stated a program, or an option that asks for one, that wish is given up, and any
    program may be taken. Elsewhere the other usual program of such models is taken; None for none.
    """
    question = search.judged.question
    stated = question.stated.replace(runtime=None, format=None, quantization=None)
    if question.stated.runtime is not None or question.runtime_follows:
        return stated
    for name in USUAL.by_modality[question.spec.modality]:
        if name != question.workload.runtime:
            return stated.replace(runtime=name)
    return None


def _for_fewer_users(search: AlternativeSearch) -> Workload | None:
    """The most users for whom the model runs, of fewer than were asked for."""
    most = search.reach.most_users or 0
    stated = search.judged.question.stated
    if not 0 < most < stated.parallel:
        return None
    return stated.replace(parallel=most)


def _with_shorter_context(search: AlternativeSearch) -> Workload | None:
    """The longest context with which the model runs, if that still holds the prompt."""
    taken = search.judged.workload
    shortest = max(_SHORTEST_CONTEXT_TOKENS, taken.prompt_tokens or 0)
    longest = search.reach.longest_context or 0
    if not shortest <= longest < (taken.context_tokens or 0):
        return None
    return search.judged.question.stated.replace(context_tokens=longest)


# the nearest to the question first
_WISHES = (
    Wish(name="placing", given_up=_placed_by_program),
    Wish(name="parts", given_up=_divided_by_program),
    Wish(name="draft", given_up=_without("draft")),
    Wish(name="method", given_up=_without("finetune_method")),
    Wish(name="type", given_up=_in_smaller_type),
    Wish(name="cache", given_up=_without("kv_cache_type")),
    Wish(name="program", given_up=_in_other_program),
    Wish(name="users", given_up=_for_fewer_users),
    Wish(name="context", given_up=_with_shorter_context),
)
