"""All findings together: the route that follows, what a verdict is, and the exit code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import (
    BIG,
    CLOSED,
    GB,
    GIB,
    GPU,
    MACHINE,
    SLOW,
    SPEC,
    WORK,
    found,
    needs_of,
    question,
    with_disk,
)
from selfhost import api
from selfhost.judge.checks import Finding
from selfhost.judge.judging import judge
from selfhost.judge.record import Route, Verdict, exit_code
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Machine

# ------------------------------------------------------------------ where several cells hold


@pytest.mark.parametrize(
    ("accelerators", "code"),
    [
        ((), "speed-too-slow"),
        (None, "speed-not-known"),
        ("own", "speed-not-known"),
        ("shared", "speed-too-slow"),
    ],
)
def test_too_slow_is_said_only_of_where_it_would_lie(accelerators: object, code: str) -> None:
    """What takes nobody knows how much may fit a GPU that was found, or one that was not read: the pace in RAM decides nothing there."""
    cards = {"own": (Accelerator(vendor="nvidia", name="NVIDIA L4", memory_total_bytes=24 * GIB, unified=False),),
             "shared": (Accelerator(vendor="intel", name="Graphics", unified=True),)}  # fmt: skip
    unsized = needs_of().replace(memory=None)
    machine = MACHINE.replace(
        accelerators=cards.get(accelerators, accelerators)
        if isinstance(accelerators, str)
        else accelerators
    )
    judged = judge(question(needs=unsized, read_bytes={"Q8_0": 900 * GB}), machine)
    codes = {finding.check: finding.code for finding in judged.findings}
    assert (codes["memory"], codes["speed"]) == ("memory-need-not-known", code)
    assert judged.route(offered=True) is (Route.API if code == "speed-too-slow" else Route.UNKNOWN)


# ------------------------------------------------------------------ the route


def test_no_fail_and_no_unknown_but_speed_is_local() -> None:
    """An unknown speed never decides, and no warning does."""
    judged = judge(
        question(read_bytes={}), MACHINE.replace(runtimes=None, memory_available_bytes=None)
    )
    assert judged.route(offered=False) is Route.LOCAL


@pytest.mark.parametrize(
    "machine",
    [
        MACHINE.replace(disks=None),
        MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None),
        MACHINE.replace(instruction_sets=None),
        MACHINE.replace(architecture=None),
    ],
    ids=["disks", "memory", "instruction_sets", "architecture"],
)
def test_a_deciding_fact_that_is_unread_makes_the_route_unknown(machine: Machine) -> None:
    """Each deciding fact removed in turn: the answer is unknown, never local."""
    assert judge(question(), machine).route(offered=True) is Route.UNKNOWN


def test_any_fail_is_api_or_neither() -> None:
    """A fail beats every unknown; whether an API is offered decides between api and neither."""
    judged = judge(BIG, MACHINE.replace(disks=None))
    assert judged.route(offered=True) is Route.API
    assert judged.route(offered=False) is Route.NEITHER


def test_a_closed_model_gets_only_the_findings_that_make_sense() -> None:
    """No memory or disk is judged for weights that nobody can have."""
    judged = judge(question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True)), MACHINE)
    assert [finding.check for finding in judged.findings] == ["weights", "openness"]


# ------------------------------------------------------------------ laws


@given(st.lists(st.sampled_from(list(Route)), max_size=6))
def test_exit_code_order(routes: list[Route]) -> None:
    """1 beats 3 beats 0; nothing judged is 2, never 0."""
    code = exit_code(routes)
    if not routes:
        assert code == 2
    elif Route.API in routes or Route.NEITHER in routes:
        assert code == 1
    else:
        assert code == (3 if Route.UNKNOWN in routes else 0)


def test_exit_code_of_the_rest() -> None:
    """2 beats 1; a bug is 70 and an interrupt 130, whatever was judged."""
    assert exit_code([Route.API], no_answer=True) == 2
    assert exit_code([Route.LOCAL], crashed=True) == 70
    assert exit_code([Route.LOCAL], interrupted=True) == 130


def verdict(route: Route = Route.LOCAL, listed: tuple[Finding, ...] = ()) -> Verdict:
    return Verdict(
        asked="m",
        model=SPEC,
        workload=WORK,
        machine=MACHINE,
        route=route,
        needs=None,
        speed=None,
        findings=listed,
    )


def test_a_verdict_has_no_truth_value() -> None:
    """`if check(...)` is the natural slip with four answers: it raises and names what to ask."""
    with pytest.raises(TypeError, match="can_run"):
        bool(verdict())


def test_can_download_is_null_where_it_is_not_known() -> None:
    """Weights published and disk not fail: true; either unknown: null; either fail: false."""
    weights = found("weights")
    assert verdict(listed=(weights, found("disk"))).can_download is True
    assert (
        verdict(listed=(weights, found("disk", machine=with_disk(free_bytes=None)))).can_download
        is None
    )
    assert (
        verdict(listed=(weights, found("disk", machine=with_disk(writable=False)))).can_download
        is False
    )
    assert (
        verdict(listed=(found("weights", question(spec=CLOSED, needs=None)),)).can_download is False
    )


def test_a_slow_processor_sends_nobody_to_an_api_where_an_accelerator_may_be_fast() -> None:
    """One that holds the model is judged; one that was not read makes it unknown, with the reason; none at all leaves the API."""
    held = SLOW.replace(accelerators=(GPU.replace(name="NVIDIA GeForce RTX 4090"),))
    assert judge(question(), SLOW).route(offered=True) is Route.API
    assert judge(question(), held).route(offered=True) is Route.LOCAL
    for unread in (
        SLOW.replace(accelerators=None),
        SLOW.replace(accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)),
        SLOW.replace(accelerators=(GPU.replace(unified=None),)),
    ):
        judged = judge(question(), unread)
        assert judged.route(offered=True) is Route.UNKNOWN
        assert found("accelerator", machine=unread).code == "accelerator-unread"
        # where the RAM is enough and fast enough, an unread accelerator decides nothing
        assert (
            judge(question(workload=WORK.replace(min_tokens_per_second=0)), unread).route(
                offered=True
            )
            is Route.LOCAL
        )
    # busy now: still no API
    busy = SLOW.replace(accelerators=(GPU.replace(memory_free_bytes=0),))
    assert judge(question(), busy).route(offered=True) is Route.LOCAL


@pytest.mark.parametrize(("gib", "slower"), [(64, True), (96, False)])
def test_what_metal_leaves_over_is_paced_by_the_processor(gib: int, slower: bool) -> None:
    """59.5 GiB on a Mac with 64, of which the GPU may use 42 to 54: at the slow end 8 of 36 layers and more are the processor's."""
    mac = load("macbook-pro-m2-max-64gb").machine
    asked = api.check(
        "gpt-oss-120b",
        machine=mac.replace(memory_total_bytes=gib * GIB, memory_limit_bytes=gib * GIB),
    )
    lifted = mac.accelerators[0].replace(memory_total_bytes=90 * GIB) if mac.accelerators else None
    assert lifted is not None
    whole = api.check("gpt-oss-120b", machine=mac.replace(accelerators=(lifted,)))
    partly = asked.finding("accelerator")
    assert partly is not None
    assert (partly.code == "accelerator-partly") is slower
    assert asked.speed is not None
    assert asked.speed.decode is not None
    assert whole.speed is not None
    assert whole.speed.decode is not None
    ratio = asked.speed.decode.low / whole.speed.decode.low
    assert 0.1 < ratio < 0.9 if slower else ratio == 1
    assert ("processor" in asked.speed.how) is slower
    # the printed setting lets the GPU hold all of it
    assert asked.speed.decode.likely == whole.speed.decode.likely
    assert any("wired_limit_mb" in line for line in asked.setup) is slower


def test_a_processors_pace_is_not_told_of_an_accelerator() -> None:
    """What the RAM's bandwidth gives says nothing of a card: one by a maker of whom no card is known has no pace, and that never decides."""
    slow = question(read_bytes={"Q8_0": 400 * GB})
    assert judge(slow, MACHINE).route(offered=True) is Route.API
    card = GPU.replace(vendor="acme")
    judged = judge(slow, MACHINE.replace(accelerators=(card,)))
    assert judged.needs is not None
    assert judged.needs.placement == "accelerator"
    assert judged.speed is not None
    assert judged.speed.decode is None
    assert judged.route(offered=True) is Route.LOCAL
