"""The rows of `check` that several machines add: the part of each, the link, and what one does
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.runtime_parts import BY_TENSOR
from ..core import units
from ..judge.cluster_choice import Alone, ClusterAnswer
from ..judge.clusters import PartOfMachine, fullest_first
from ..judge.record import Judged, Outcome
from ..machine.links import Link
from .answer_words import failed_words, undecided_words, with_outcome
from .layout import Cells, Span

# the titles of the checks whose rows tell the part of a machine
_MEMORY = {"accelerator": "GPU", "memory": "memory"}


def rows_of_machines(answer: ClusterAnswer) -> Iterator[Cells]:
    """Yield the rows of the other machines, where they differ, then those of the link and of one
    machine alone; of a machine that is taken alone, the row of all together.
    """
    if answer.takes_one:
        yield _together_row(answer)
        return
    if len(answer.together.cluster.kinds) > 1:
        yield from _rows_of_parts(answer.parts)
    number = len(answer.cluster.machines)
    if len(answer.parts) < number:
        used = f"{len(answer.parts)} of {number}"
        yield "machines", used, "more are no better; --split takes all"
    if answer.parts:
        yield "link", answer.together.cluster.link.title, _link_words(answer)
    for one in answer.alone:
        yield _alone_row(one, answer)


def place_note(answer: ClusterAnswer) -> str:
    """The words behind the memory of the fullest machine: `on each`."""
    if len(answer.together.cluster.kinds) == 1:
        return "on each"
    fullest, *_ = fullest_first(answer.parts)
    return f"on {fullest.machine.name}, the fullest"


def _rows_of_parts(parts: Sequence[PartOfMachine]) -> Iterator[Cells]:
    """Yield a row for each machine but the fullest, whose row is above, the fuller ones first."""
    for part in fullest_first(parts)[1:]:
        for check, title in _MEMORY.items():
            found = part.finding(check)
            if found is None or found.amounts is None:
                continue
            needs, has = found.amounts
            amount: str | Span = f"{units.binary(needs)} of {units.binary(has)}"
            if found.outcome is not Outcome.PASS:
                amount = Span(amount, found.outcome)
            yield title, amount, f"at most, on {part.machine.name}"
            break


def _link_words(answer: ClusterAnswer) -> str:
    """How the model is divided, and whether the link is assumed."""
    words = f"{_transport(answer.together.cluster.link)}, {split_words(answer.split)}"
    if answer.together.cluster.link.is_assumed:
        words += "; assumed: --link states another"
    return words


def split_words(split: str | None) -> str:
    """How the machines divide the model, in words."""
    if split == BY_TENSOR:
        return "a part of every layer on each"
    return "whole layers on each"


def _transport(link: Link) -> str:
    return link.transport.upper()


def _alone_row(one: Alone, answer: ClusterAnswer) -> Cells:
    """What one machine does by itself."""
    name = "one alone"
    if len(answer.alone) > 1:
        name = f"{one.machine.name} alone"
    words = f"{name}{_way_words(one.judged)}"
    if one.smaller is not None:
        words += f"; in {one.smaller.quantization} {_pace_words(one.smaller)}"
    return "alone", _pace_words(one.judged), words


def _together_row(answer: ClusterAnswer) -> Cells:
    """What all machines together do, where one is taken."""
    judged = answer.together.judged
    if answer.together.is_refused:
        found = judged.finding("runtime")
        return "together", "not divided", "" if found is None else found.reason
    words = f"{answer.together.cluster.name} together{_way_words(judged)}"
    return "together", _pace_words(judged), words


def _pace_words(judged: Judged) -> str:
    """The pace, or that the model does not run, or that nothing tells whether it does."""
    if not judged.fits:
        return "not known" if _is_untold(judged) else "does not run"
    pace = judged.users_pace
    if pace is None:
        return "runs"
    return f"~{units.speed(pace.likely)}"


def _is_untold(judged: Judged) -> bool:
    """Whether nothing tells if the model runs: facts are missing, and no check fails."""
    return not with_outcome(judged.findings, Outcome.FAIL)


def _way_words(judged: Judged) -> str:
    """`, IQ4_XS in llama.cpp`; the reason of a model that does not run."""
    if not judged.fits:
        if _is_untold(judged):
            deciding = [found for found in judged.findings if found.decides]
            return f", {'; '.join(undecided_words(deciding))}"
        failed = with_outcome(judged.findings, Outcome.FAIL)
        return f", {failed_words(found.code for found in failed)}"
    workload = judged.workload
    return f", {workload.quantization} in {workload.runtime}"
