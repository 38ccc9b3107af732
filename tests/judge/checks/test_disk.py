"""The contract's row `disk`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import (
    DISK,
    GB,
    MACHINE,
    RUNTIME,
    Cells,
    at,
    cell_tests,
    found,
    needs_of,
    question,
    sizes,
    with_disk,
)
from selfhost.judge.checks import Outcome
from selfhost.machine.changes import apply

CELLS: Cells = {
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


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("disk", CELLS)


def test_a_shell_that_may_not_write_so_large_a_file() -> None:
    """The largest file is held against `ulimit -f`, not the sum of the parts; Ollama's server writes under limits of its own."""
    limited = MACHINE.replace(file_size_limit_bytes=2 * GB)
    finding = found("disk", machine=limited)
    assert (finding.code, finding.outcome) == ("disk-file-too-large", Outcome.FAIL)
    assert "`ulimit -f unlimited`" in (finding.remedy or "")
    assert found("disk", question(needs=needs_of(largest=2 * GB)), limited).code == "disk-fits"
    served = question(runtime=RUNTIME.replace(store="ollama"))
    assert (
        found("disk", served, limited.replace(disks=(DISK.replace(purpose="ollama"),))).code
        == "disk-fits"
    )
    # another disk is another computer's
    assert found("disk", machine=apply(limited, ["disk=500GB"])).code == "disk-fits"


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
