"""The contract's rows `context`, `disk` and `speed`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import (
    GB,
    MACHINE,
    SPEC,
    T5,
    WORK,
    Cells,
    arch,
    at,
    cell_tests,
    found,
    needs_of,
    question,
    sizes,
    with_disk,
    work,
)
from selfhost.catalogue.spec import StatedNeeds
from selfhost.core.workload import Workload
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.checks.model import reads_context
from selfhost.judge.checks.speed import speed_check
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.judge.record import Question
from selfhost.machine.record import Machine


def heard(audio_seconds: int, longest_seconds: int | None = None) -> tuple[Question, Machine]:
    """Of a model that hears, by what is stated of recordings beside its memory."""
    spec = SPEC.replace(
        modality="speech",
        architecture=None,
        needs=StatedNeeds(low_bytes=10**9, high_bytes=2 * 10**9, longest_seconds=longest_seconds),
    )
    asked = WORK.replace(context_tokens=None, audio_seconds=audio_seconds)
    return at(question(spec=spec, workload=asked))


CONTEXT_CELLS: Cells = {
    ("pass", "context-trained"): at(),
    ("warn", "context-scaled"): at(
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
            context_asked=True,
        )
    ),
    ("warn", "context-untrained"): at(
        question(row=T5, workload=WORK.replace(context_tokens=65537), context_asked=True)
    ),
    ("unknown", "context-not-known"): at(
        question(spec=SPEC.replace(architecture=arch(context_tokens=None)), context_asked=True)
    ),
    ("warn", "context-unmeasured"): heard(3600),
    ("fail", "context-recording-too-long"): heard(3600, longest_seconds=1800),
    ("fail", "context-too-long"): at(work(context_tokens=65536)),
}


test_context_cell, test_every_context_cell_and_code_is_walked = cell_tests("context", CONTEXT_CELLS)


@pytest.mark.parametrize(
    ("modality", "use", "inputs", "has_context"),
    [
        ("text", "chat", None, True),
        ("vision", "chat", ("text", "image"), True),
        ("embedding", None, None, True),
        ("embedding", "reranking", None, True),
        ("embedding", "image-text-matching", ("image", "text"), False),
        ("embedding", "image-encoder", ("image",), False),
        ("speech", "speech-recognition", ("audio",), False),
        ("speech", "speech-synthesis", ("text", "audio"), False),
        ("speech", "speech-recognition", ("audio", "text"), True),
        ("image", "image-generation", ("text",), False),
        ("video", "video-generation", ("text",), False),
        ("music", "music-generation", ("text",), False),
    ],
)
def test_a_context_is_one_of_what_reads_texts(
    modality: str, use: str | None, inputs: tuple[str, ...] | None, has_context: bool
) -> None:
    """A text beside a recording is a prompt; one that is read aloud, or a caption, is none."""
    uses = None if use is None else (use,)
    spec = SPEC.replace(modality=modality, uses=uses, inputs=inputs)
    assert reads_context(spec) is has_context


DISK_CELLS: Cells = {
    ("pass", "disk-fits"): at(),
    ("pass", "disk-nothing-missing"): at(
        question(local_files=True), with_disk(free_bytes=0, writable=False)
    ),
    ("warn", "disk-tight"): at(machine=with_disk(free_bytes=5 * GB)),
    ("warn", "disk-slow-or-volatile"): at(machine=with_disk(filesystem="tmpfs")),
    ("warn", "disk-assumed"): at(machine=MACHINE.replace(disks=None, assumed=("disks",))),
    ("unknown", "disk-unread"): at(machine=with_disk(free_bytes=None)),
    ("unknown", "disk-size-not-known"): at(question(needs=needs_of(disk=None))),
    ("fail", "disk-too-small"): at(machine=with_disk(free_bytes=4 * GB - 1)),
    ("fail", "disk-not-writable"): at(machine=with_disk(writable=False)),
    ("fail", "disk-file-too-large"): at(
        question(needs=needs_of(disk=2**32)), with_disk(filesystem="vfat")
    ),
}


test_disk_cell, test_every_disk_cell_and_code_is_walked = cell_tests("disk", DISK_CELLS)


@given(need=sizes, more=st.integers(0, 64), free=sizes)
def test_a_larger_download_never_fits_better(need: int, more: int, free: int) -> None:
    """For every disk, more to download is at least as bad."""
    order = list(Outcome)
    machine = with_disk(free_bytes=free * GB)
    small, large = (
        order.index(found("disk", question(needs=needs_of(disk=size * GB)), machine).outcome)
        for size in (need, need + more)
    )
    assert small <= large


@pytest.mark.parametrize(
    ("free_gb", "outcome", "words"),
    [
        (7, Outcome.FAIL, "needs 8.00 to 12.0 GB; .* at least 1.00 GB short"),
        # the middle fits, and so may the rest
        (11, Outcome.WARN, "needs 8.00 to 12.0 GB, and may not fit"),
        (9, Outcome.WARN, "may not fit"),
        (13, Outcome.WARN, "leaves only 1.00 GB"),
        (100, Outcome.PASS, "needs 8.00 to 12.0 GB of the 100 GB"),
    ],
)
def test_a_size_that_is_a_range_fails_by_its_least(
    free_gb: int, outcome: Outcome, words: str
) -> None:
    """What surely does not fit rules a model out; what may not fit is told."""
    needs = needs_of(disk=10 * GB).replace(
        download_bytes=10 * GB, download_range=(8 * GB, 12 * GB), largest_file_bytes=GB
    )
    finding = found("disk", question(needs=needs), with_disk(free_bytes=free_gb * GB))
    assert finding.outcome is outcome
    assert re.search(words, finding.reason)


PASS, WARN, UNKNOWN, FAIL = Outcome.PASS, Outcome.WARN, Outcome.UNKNOWN, Outcome.FAIL
Range = tuple[float, float, float]


def judged(
    pace: Range | None, wanted: float = 2.0, *, stated: bool = False, assumed: bool = False
) -> Finding:
    """The finding of a range, slow end, likely and fast end, held against what is wanted."""
    low, likely, high = pace or (0.0, 0.0, 0.0)
    finding = speed_check(
        question(workload=Workload(min_tokens_per_second=wanted), speed_stated=stated),
        needs_of(),
        Machine(assumed=("cpu_cores_usable",) if assumed else ()),
        Speed(
            decode=None if pace is None else PaceRange(low=low, likely=likely, high=high),
            how="the machine was not read",
        ),
    )
    assert finding is not None
    assert finding.reason.endswith(".")
    return finding


@pytest.mark.parametrize(
    ("pace", "wanted", "stated", "outcome", "code"),
    [
        # likely as wanted and at reading speed, whatever the slow end is
        ((5, 5, 6), 2.0, False, PASS, "speed-comfortable"),
        ((0.1, 5, 9), 2.0, False, PASS, "speed-comfortable"),
        # likely as wanted, below reading speed
        ((3, 4, 9), 2.0, False, WARN, "speed-slow"),
        ((1, 2, 9), 2.0, False, WARN, "speed-slow"),
        # no minimum was stated, and likely < 2 <= high: the default is no wish of the user's
        ((0.5, 1.9, 2), 2.0, False, WARN, "speed-slow"),
        (None, 2.0, False, UNKNOWN, "speed-not-known"),
        ((0.5, 1, 1.9), 2.0, False, FAIL, "speed-too-slow"),
        # who states a minimum is not told yes where it is open
        ((9, 10, 12), 10.0, True, PASS, "speed-comfortable"),
        ((3, 4, 9), 3.0, True, WARN, "speed-slow"),
        ((3, 9, 10), 10.0, True, UNKNOWN, "speed-close"),
        ((0.5, 1.9, 2), 2.0, True, UNKNOWN, "speed-close"),
        (None, 10.0, True, UNKNOWN, "speed-no-basis"),
        ((3, 9, 9.9), 10.0, True, FAIL, "speed-too-slow"),
    ],
)
def test_a_pace_against_a_minimum(
    pace: Range | None, wanted: float, stated: bool, outcome: Outcome, code: str
) -> None:
    """An unknown decides only where a minimum was stated."""
    finding = judged(pace, wanted, stated=stated)
    assert (finding.outcome, finding.code) == (outcome, code)
    assert finding.decides is (outcome is FAIL or (stated and outcome is UNKNOWN))


@pytest.mark.parametrize("pace", [None, (0.01, 0.02, 0.03), (50, 60, 70)])
@pytest.mark.parametrize("assumed", [False, True])
def test_a_minimum_of_zero_always_passes(pace: Range | None, assumed: bool) -> None:
    """`--min-speed 0` accepts any pace, known or not."""
    finding = judged(pace, 0.0, stated=True, assumed=assumed)
    assert (finding.outcome, finding.code) == (PASS, "speed-any")


def test_what_rests_on_the_machines_class_warns() -> None:
    """Planning marks what it assumes and warns of it; a worse cell wins."""
    assert judged((8, 9, 12), assumed=True).code == "speed-assumed"
    assert judged((8, 9, 12), assumed=True).outcome is WARN
    assert judged((1, 3, 12), assumed=True).code == "speed-slow"
    assert judged((1, 1, 1), assumed=True).outcome is FAIL


@given(
    ends=st.lists(st.floats(0.01, 100), min_size=3, max_size=3).map(sorted),
    wanted=st.floats(0, 50),
    stated=st.booleans(),
)
def test_a_faster_machine_is_never_judged_worse(
    ends: list[float], wanted: float, stated: bool
) -> None:
    """The outcome follows the pace: twice as fast is as good or better."""
    low, likely, high = ends
    slow = judged((low, likely, high), wanted, stated=stated)
    fast = judged((2 * low, 2 * likely, 2 * high), wanted, stated=stated)
    assert fast.severity <= slow.severity
