"""Machines that are kept by their kinds, and the search that judges several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from selfhost.audit.kinds import (
    AlikeMachines,
    AlikeSearch,
    DecidingFinding,
    Decision,
    DecisionKey,
    Machines,
    Numbers,
)
from selfhost.machine.record import BANDWIDTH, Accelerator, Disk, Machine

GIB = 2**30
HOME = Disk(purpose="home", path="~", free_bytes=80 * GIB, total_bytes=90 * GIB)
DATA = Disk(purpose="data", path="/data", free_bytes=7 * GIB, total_bytes=8 * GIB)
CARD = Accelerator(
    vendor="nvidia",
    name="NVIDIA GeForce RTX 3090",
    memory_total_bytes=24 * GIB,
    memory_free_bytes=20 * GIB,
)
MACHINE = Machine(
    name="m1",
    labels={"site": "a"},
    read_at="2026-11-20T00:00:01Z",
    memory_total_bytes=64 * GIB,
    memory_limit_bytes=48 * GIB,
    memory_available_bytes=32 * GIB,
    memory_bandwidth_bytes_per_second=40 * 10**9,
    swap_free_bytes=GIB,
    disks=(HOME, DATA),
    accelerators=(CARD, CARD),
)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        pytest.param({"name": "m2"}, 1, id="name"),
        pytest.param({"labels": {"site": "b"}}, 1, id="labels"),
        pytest.param({"read_at": "2026-11-21T00:00:01Z"}, 1, id="time"),
        pytest.param({"memory_available_bytes": 5 * GIB}, 1, id="RAM"),
        pytest.param({"memory_limit_bytes": 8 * GIB}, 1, id="limit"),
        pytest.param({"memory_total_bytes": 72 * GIB}, 1, id="size"),
        pytest.param({BANDWIDTH: 10**9}, 1, id="bandwidth"),
        pytest.param({"swap_free_bytes": 0}, 1, id="no swap free"),
        pytest.param({"disks": (HOME, DATA.replace(free_bytes=0))}, 1, id="full disk"),
        pytest.param({"disks": (HOME, DATA.replace(total_bytes=9 * GIB))}, 1, id="disk"),
        pytest.param({"disks": (HOME,)}, 2, id="one disk less"),
        pytest.param({"disks": (HOME, DATA.replace(path="/b"))}, 2, id="path"),
        pytest.param(
            {"accelerators": (CARD.replace(memory_free_bytes=0), CARD)}, 1, id="GPU"
        ),
        pytest.param(
            {"accelerators": (CARD.replace(memory_free_bytes=None), CARD)},
            2,
            id="GPU unread",
        ),
        pytest.param(
            {"disks": (HOME, DATA.replace(total_bytes=None))}, 2, id="disk unread"
        ),
        pytest.param(
            {"accelerators": (CARD.replace(memory_total_bytes=48 * GIB), CARD)},
            2,
            id="larger GPU",
        ),
        pytest.param({"accelerators": ()}, 2, id="no GPU"),
        pytest.param({"swap_free_bytes": None}, 2, id="unread"),
        pytest.param({"planning": True}, 2, id="planning"),
        pytest.param({"cpu_model": "x"}, 2, id="processor"),
    ],
)  # fmt: skip
def test_a_machine_is_given_back_as_it_was_kept(
    changes: dict[str, Any], kinds: int
) -> None:
    """Machines of one kind share a record, which must cost none of them a fact."""
    other = MACHINE.replace(**changes)
    again = MACHINE.replace(labels={**MACHINE.labels})
    kept = Machines([MACHINE, other, again])
    assert list(kept) == [MACHINE, other, MACHINE]
    assert len(kept.kinds.known) == kinds
    # thousands of machines have the labels of one site, which take room once
    assert kept.kept[0].labels is kept.kept[2].labels


def test_machines_with_other_free_memory_of_a_gpu_are_apart() -> None:
    """Free RAM parts no machines, the memory of each GPU does; the least comes first."""
    used = CARD.replace(memory_free_bytes=GIB)
    first_is_used = MACHINE.replace(accelerators=(used, CARD))
    second_is_used = MACHINE.replace(accelerators=(CARD, used))
    less_ram = MACHINE.replace(memory_available_bytes=GIB)
    kept = Machines([MACHINE, first_is_used, less_ram, second_is_used])
    numbers = {place: machine.numbers for place, machine in enumerate(kept.kept)}
    (kind,) = kept.kinds.known
    assert kind.by_free_memory_of_cards(numbers) == [[1], [3], [0, 2]]


class Needs:
    """What a model needs of each fact: the name of the check, and the least number that passes."""

    def __init__(self, **needs: tuple[str, int]) -> None:
        self._needs = list(needs.values())
        self.lacking: Callable[[list[int]], int] = max
        self.judged: list[Numbers] = []

    def decide(self, numbers: Numbers) -> Decision:
        """The decision on a machine with these numbers, which is noted."""
        self.judged.append(numbers)
        findings = []
        short = [0]
        for number, (check, needed) in zip(numbers, self._needs, strict=True):
            if number < needed:
                findings.append(
                    DecidingFinding(check=check, outcome="fail", code=f"{check}-short")
                )
                short.append(needed - number)
        route = "neither" if findings else "local"
        key = DecisionKey(
            route=route,
            runtime=None,
            format=None,
            quantization=None,
            findings=tuple(findings),
        )
        return Decision(key=key, lacks=self.lacking(short), warned=())

    def alike(
        self, rows: Sequence[Numbers], *, one_by_one: bool = False
    ) -> Mapping[tuple[str, ...], AlikeMachines]:
        """The groups of the machines with these numbers, by the checks that fail."""
        places = list(range(len(rows)))
        boxes = [[place] for place in places] if one_by_one else [places]
        search = AlikeSearch(dict(enumerate(rows)), self.decide)
        found = search.machines_that_fare_alike(boxes)
        return {tuple(sorted(group.key.checks)): group for group in found}


def test_two_judgements_answer_for_all_machines_between() -> None:
    """The example at the head of `selfhost/audit/kinds.py`, which names each judgement."""
    needs = Needs(memory_available_bytes=("memory", 14))
    found = needs.alike([(number,) for number in (8, 10, 12, 15, 16, 24, 31, 32)])
    assert sorted(found[()].places) == [3, 4, 5, 6, 7]
    assert sorted(found["memory",].places) == [0, 1, 2]
    assert sorted(needs.judged) == [(8,), (10,), (12,), (15,), (16,), (32,)]


@pytest.mark.parametrize(
    ("numbers", "fail"),
    [
        pytest.param((8, 8, 8, 8, 20), [0, 1, 2, 3], id="most have the least"),
        pytest.param((20, 8, 20, 20), [1], id="most have the largest"),
        pytest.param((13, 14), [0], id="exactly enough"),
        pytest.param((8, 8, 8), [0, 1, 2], id="equal"),
    ],
)
def test_equal_machines_fare_alike(numbers: tuple[int, ...], fail: list[int]) -> None:
    """14 are needed."""
    needs = Needs(memory_available_bytes=("memory", 14))
    found = needs.alike([(number,) for number in numbers])
    assert sorted(found["memory",].places) == fail
    passing = [place for place in range(len(numbers)) if place not in fail]
    assert sorted(found[()].places if () in found else []) == passing


def test_the_number_in_which_machines_differ_most_halves() -> None:
    """Then the worst and the best of all and of either half are enough, six machines, and the
    one that stands for those that fail; else each machine would be judged.
    """
    needs = Needs(disks=("accelerator", 0), memory_available_bytes=("memory", 8))
    rows = [((number * 7 + 3) % 16 + 100, number) for number in range(16)]
    found = needs.alike(rows)
    assert sorted(found["memory",].places) == [*range(8)]
    assert sorted(found[()].places) == [*range(8, 16)]
    assert len(needs.judged) == 7


@pytest.mark.parametrize("one_by_one", [True, False], ids=["alone", "together"])
@pytest.mark.parametrize(
    ("rows", "hardest", "lacks"),
    [
        pytest.param([(10, 10), (12, 11), (11, 12)], 0, 0, id="none"),
        pytest.param([(4, 9), (9, 6), (5, 5)], 0, 6, id="first"),
        pytest.param([(9, 9), (9, 2), (2, 9)], 1, 8, id="first of two"),
        pytest.param([(5, 9), (2, 9), (2, 9), (5, 9)], 1, 8, id="first of two equal"),
        pytest.param([(5, 9), (8, 8), (9, 9), (9, 1)], 3, 9, id="last"),
    ],
)
def test_the_first_machine_that_lacks_most_stands_for_its_group(
    rows: list[Numbers], hardest: int, lacks: int, one_by_one: bool
) -> None:
    """Ten of either number are needed."""
    needs = Needs(memory_limit_bytes=("memory", 10), disks=("memory", 10))
    groups = list(needs.alike(rows, one_by_one=one_by_one).values())
    (group,) = [group for group in groups if hardest in group.places]
    assert group.hardest == hardest
    assert group.lacks == lacks


def test_of_machines_that_lack_the_same_sum_the_first_stands_for_its_group() -> None:
    """The worst of all numbers lacks more than any of them does."""
    needs = Needs(memory_limit_bytes=("memory", 10), disks=("memory", 10))
    needs.lacking = sum
    group = needs.alike([(9, 9), (4, 9), (9, 4), (8, 9)])["memory",]
    assert group.hardest == 1
    assert group.lacks == 7
