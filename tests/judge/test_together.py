"""Where each of several models lies on one machine, and what the machine is held against."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from judge.small import CLOSED, GB, GIB, GPU_ONLY, MACHINE, WORK, needs_of, question
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.record import Judged, Question
from selfhost.judge.together import judge_together
from selfhost.machine.record import Accelerator
from selfhost.needs.records import unread

ROOMY = MACHINE.replace(
    memory_total_bytes=128 * GIB,
    memory_limit_bytes=128 * GIB,
    memory_available_bytes=120 * GIB,
)


def card(gib: int) -> Accelerator:
    return Accelerator(
        vendor="nvidia", name=f"{gib} GiB", memory_total_bytes=gib * GIB, unified=False
    )


def model(gib: int, name: str = "m", **changes: object) -> Question:
    """A model of exactly that size, with files of its own."""
    asked = question(needs=needs_of(gib * GIB, gib * GIB, disk=gib * GB), **changes)
    return asked.replace(spec=asked.spec.replace(id=name))


def judged(
    sizes: Sequence[int], cards: Sequence[int], *, ram_gib: int = 128, **changes: object
) -> Judged:
    """Models of these sizes, in that order, on a machine with these cards; all of it is free."""
    owned = [card(size).replace(memory_free_bytes=size * GIB) for size in cards]
    machine = MACHINE.replace(
        memory_total_bytes=ram_gib * GIB,
        memory_limit_bytes=ram_gib * GIB,
        memory_available_bytes=ram_gib * GIB,
        accelerators=tuple(owned),
    )
    models = [model(size, f"m{number}", **changes) for number, size in enumerate(sizes)]
    return judge_together(models, [each.spec.id for each in models], machine)


def found(answer: Judged, check: str) -> Finding:
    (finding,) = [finding for finding in answer.findings if finding.check == check]
    return finding


A, B, RAM = "accelerator:0", "accelerator:1", "host"


# what llama.cpp may take of a card is all but 1 GiB (its fitter's margin)
@pytest.mark.parametrize(
    ("sizes", "cards", "expected"),
    [
        # the one with the most room left takes the next
        ([10, 10], [24], [A, A]),
        ([10, 10], [24, 16], [A, B]),
        ([10, 12, 3], [24, 16], [A, B, A]),
        ([5, 8, 5], [12, 24], [B, B, A]),
        # what no card holds any more is split, layers that fit no card stay in RAM
        ([20, 10], [24], [A, A, RAM]),
        ([23, 10], [24], [A, RAM]),
        ([4, 4], [], [RAM, RAM]),
    ],
)
def test_each_takes_the_accelerator_with_most_room(
    sizes: list[int], cards: list[int], expected: list[str]
) -> None:
    """In the order given, on what the earlier ones leave."""
    answer = judged(sizes, cards)
    assert answer.needs is not None
    assert [term.where for term in answer.needs.terms] == expected
    assert answer.fits


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [([10, 21], True), ([21, 10], True), ([12, 21], False), ([12, 12], True)],
)
def test_where_the_order_given_does_not_fit_the_largest_goes_first(
    sizes: list[int], fits: bool
) -> None:
    """A runtime that needs a GPU, on cards of 24 and 12 GiB: 92 % of each are 22.08 and 11.04
    GiB.
    """
    answer = judged(sizes, [24, 12], runtime=GPU_ONLY)
    # of 12 and 12 the second has 10.08 and 11.04 left: half of it on each card
    assert answer.fits is fits
    assert found(answer, "accelerator").outcome is (
        Outcome.PASS if fits else Outcome.FAIL
    )


def test_ram_and_cards_are_summed_apart() -> None:
    """23 GiB fill the card; 10 and 6 fill the 16 GiB of RAM that are free, 10 and 7 are too
    much.
    """
    assert judged([23, 10, 6], [24], ram_gib=16).fits
    answer = judged([23, 10, 7], [24], ram_gib=16)
    assert (found(answer, "memory").outcome, found(answer, "memory").needs) == (
        Outcome.FAIL,
        17 * GIB,
    )


def test_a_need_that_is_not_known_is_not_known_of_the_sum() -> None:
    """The reason names the model; nothing is taken for zero."""
    unknown = needs_of().replace(unknown=(unread("nobody knows", None, "memory"),))
    models = [model(4, "a"), question(needs=unknown)]
    finding = found(judge_together(models, ["a", "b"], ROOMY), "memory")
    assert (finding.outcome, finding.code) == (Outcome.UNKNOWN, "memory-need-not-known")


def test_a_closed_model_fails_the_whole_without_a_sum() -> None:
    """There is nothing to add to."""
    answer = judge_together(
        [question(), Question(spec=CLOSED, workload=WORK)], ["a", "closed"], ROOMY
    )
    assert answer.failed
    assert answer.needs is None
    assert found(answer, "weights").reason.startswith("closed: ")
