"""Where each of several models lies on one machine, and what the machine is held against."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from judge.small import CLOSED, GB, GIB, GPU_ONLY, MACHINE, WORK, needs_of, question
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.record import Judged, Question
from selfhost.judge.side_by_side import judge_side_by_side
from selfhost.machine.record import Accelerator
from selfhost.needs.records import unread

ROOMY = MACHINE.replace(
    memory_total_bytes=128 * GIB,
    memory_limit_bytes=128 * GIB,
    memory_available_bytes=120 * GIB,
)


def card(gib: int) -> Accelerator:
    """A card with memory of its own, all of which is free."""
    return Accelerator(
        vendor="nvidia",
        name=f"{gib} GiB",
        memory_total_bytes=gib * GIB,
        memory_free_bytes=gib * GIB,
        unified=False,
    )


def model(gib: int, name: str = "m", **changes: object) -> Question:
    """A model of exactly that size, with files of its own."""
    needs = needs_of(low=gib * GIB, high=gib * GIB, disk=gib * GB)
    asked = question(needs=needs, **changes)
    return asked.replace(spec=asked.spec.replace(id=name))


def judged(
    sizes: Sequence[int], cards: Sequence[int], *, ram_gib: int = 128, **changes: object
) -> Judged:
    """Models of these sizes, in that order, on a machine with these cards; all of it is free."""
    machine = MACHINE.replace(
        memory_total_bytes=ram_gib * GIB,
        memory_limit_bytes=ram_gib * GIB,
        memory_available_bytes=ram_gib * GIB,
        accelerators=tuple(card(size) for size in cards),
    )
    models = []
    names = []
    for number, size in enumerate(sizes):
        name = f"m{number}"
        names.append(name)
        models.append(model(size, name, **changes))
    return judge_side_by_side(models, names, machine)


def found(answer: Judged, check: str) -> Finding:
    """The one finding of this check."""
    (finding,) = [finding for finding in answer.findings if finding.check == check]
    return finding


A = "accelerator:0"
B = "accelerator:1"
RAM = "host"


# what llama.cpp may take of a card is all but 1 GiB (its fitter's margin)
@pytest.mark.parametrize(
    ("sizes", "cards", "expected"),
    [
        # the one with the most room left takes the next
        pytest.param([10, 10], [24], [A, A], id="two on one card"),
        pytest.param([10, 10], [24, 16], [A, B], id="one on each card"),
        pytest.param([10, 12, 3], [24, 16], [A, B, A], id="a third on the first card"),
        pytest.param([5, 8, 5], [12, 24], [B, B, A], id="two on the larger card"),
        # what no card holds any more is split, layers that fit no card stay in RAM
        pytest.param([20, 10], [24], [A, A, RAM], id="the second is split"),
        pytest.param([23, 10], [24], [A, RAM], id="the second in RAM"),
        pytest.param([4, 4], [], [RAM, RAM], id="no card"),
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
    [
        pytest.param([10, 21], True, id="the largest last"),
        pytest.param([21, 10], True, id="the largest first"),
        pytest.param([12, 21], False, id="too large together"),
        # the second has 10.08 and 11.04 GiB left: half of it on each card
        pytest.param([12, 12], True, id="the second split"),
    ],
)
def test_where_the_order_given_does_not_fit_the_largest_goes_first(
    sizes: list[int], fits: bool
) -> None:
    """A runtime that needs a GPU, on cards of 24 and 12 GiB: 92 % of each are 22.08 and 11.04
    GiB.
    """
    answer = judged(sizes, [24, 12], runtime=GPU_ONLY)
    assert answer.fits is fits
    expected = Outcome.PASS if fits else Outcome.FAIL
    assert found(answer, "accelerator").outcome is expected


def test_ram_and_cards_are_summed_apart() -> None:
    """23 GiB fill the card; 10 and 6 fill the 16 GiB of RAM that are free, 10 and 7 are too
    much.
    """
    assert judged([23, 10, 6], [24], ram_gib=16).fits
    memory = found(judged([23, 10, 7], [24], ram_gib=16), "memory")
    assert memory.outcome is Outcome.FAIL
    assert memory.needs == 17 * GIB


def test_a_need_that_is_not_known_is_not_known_of_the_sum() -> None:
    """The reason names the model; nothing is taken for zero."""
    unread_memory = unread("nobody knows", None, "memory")
    unknown = needs_of().replace(unknown=(unread_memory,))
    models = [model(4, "a"), question(needs=unknown)]
    memory = found(judge_side_by_side(models, ["a", "b"], ROOMY), "memory")
    assert memory.outcome is Outcome.UNKNOWN
    assert memory.code == "memory-need-not-known"


def test_a_closed_model_fails_the_whole_without_a_sum() -> None:
    """There is nothing to add to."""
    closed = Question(spec=CLOSED, workload=WORK)
    answer = judge_side_by_side([question(), closed], ["a", "closed"], ROOMY)
    assert answer.failed
    assert answer.needs is None
    assert found(answer, "weights").reason.startswith("closed: ")
