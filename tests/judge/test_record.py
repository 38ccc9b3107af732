"""All findings together: the reason codes and their words, the route that follows, what a verdict
is, and the exit code.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from judge.small import (
    BIG,
    CLOSED,
    GPU,
    MACHINE,
    SLOW,
    STEP,
    WORK,
    found,
    question,
    route_of,
    with_disk,
    work,
)
from selfhost import api
from selfhost.core.records import Unread
from selfhost.core.tables import shipped_table
from selfhost.core.templates import RANGES, UNITS
from selfhost.judge.checks import (
    Finding,
    Outcome,
    StatedWords,
    finding,
    passing,
    undecided,
)
from selfhost.judge.judging import judge
from selfhost.judge.record import Judged, Question, Route, Verdict, exit_code

TABLE = shipped_table("findings")


@pytest.mark.parametrize(
    ("asked", "machine", "offered", "route"),
    [
        # an unknown speed never decides, and no warning does
        (
            question(step=STEP.replace(read_bytes={})),
            {"runtimes": None, "memory_available_bytes": None},
            *(False, "local"),
        ),
        # each deciding fact removed in turn
        (question(), {"disks": None}, True, "unknown"),
        (
            question(),
            {"memory_limit_bytes": None, "memory_available_bytes": None},
            True,
            "unknown",
        ),
        (question(), {"instruction_sets": None}, True, "unknown"),
        (question(), {"architecture": None}, True, "unknown"),
        # a fail beats every unknown
        (BIG, {"disks": None}, True, "api"),
        (BIG, {"disks": None}, False, "neither"),
    ],
)
def test_the_route_follows_from_the_findings(
    asked: Question, machine: dict[str, None], offered: bool, route: str
) -> None:
    assert route_of(judge(asked, MACHINE.replace(**machine)), offered=offered) == route


def test_a_closed_model_gets_only_the_findings_that_make_sense() -> None:
    """No memory or disk is judged for weights that nobody can have."""
    judged = judge(
        question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True)), MACHINE
    )
    assert [finding.check for finding in judged.findings] == ["weights", "openness"]


@pytest.mark.parametrize(
    ("routes", "code"),
    [
        ([], 2),
        ([Route.LOCAL], 0),
        ([Route.LOCAL, Route.UNKNOWN], 3),
        ([Route.UNKNOWN, Route.NEITHER, Route.LOCAL], 1),
        ([Route.API, Route.UNKNOWN], 1),
    ],
)
def test_exit_code_order(routes: list[Route], code: int) -> None:
    """2 beats 1 beats 3 beats 0; nothing judged is 2; a bug is 70 and an interrupt 130."""
    assert exit_code(routes) == code
    assert exit_code(routes, no_answer=True) == 2


def verdict(*listed: Finding) -> Verdict:
    judged = Judged(question=question(), findings=listed)
    return Verdict.conclude(judged, MACHINE, asked="m", offered=False)


def test_a_verdict_has_no_truth_value() -> None:
    """`if check(...)` is the natural slip with four answers: it raises and names what to ask."""
    with pytest.raises(TypeError, match="can_run"):
        bool(verdict())


def test_can_download_is_null_where_it_is_not_known() -> None:
    """Weights published and disk not fail: true; either unknown: null; either fail: false."""
    weights = found("weights")
    closed = found("weights", question(spec=CLOSED, needs=None))
    unread = found("disk", machine=with_disk(free_bytes=None))
    refused = found("disk", machine=with_disk(writable=False))
    assert verdict(weights, found("disk")).can_download is True
    assert verdict(weights, unread).can_download is None
    assert verdict(weights, refused).can_download is False
    assert verdict(closed).can_download is False


def test_a_slow_processor_sends_nobody_to_an_api_where_an_accelerator_may_be_fast() -> (
    None
):
    """One that holds the model is judged; one that was not read makes it unknown, with the reason;
    none at all leaves the API.
    """
    held = SLOW.replace(accelerators=(GPU.replace(name="NVIDIA GeForce RTX 4090"),))
    assert route_of(judge(question(), SLOW), offered=True) is Route.API
    assert route_of(judge(question(), held), offered=True) is Route.LOCAL
    for unread in (
        SLOW.replace(accelerators=None),
        SLOW.replace(
            accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)
        ),
        SLOW.replace(accelerators=(GPU.replace(unified=None),)),
    ):
        assert route_of(judge(question(), unread), offered=True) is Route.UNKNOWN
        assert found("accelerator", machine=unread).code == "accelerator-unread"
        # where the RAM is enough and fast enough, an unread accelerator decides nothing
        any_speed = work(min_tokens_per_second=0)
        assert route_of(judge(any_speed, unread), offered=True) is Route.LOCAL
    # busy now: still no API
    busy = SLOW.replace(accelerators=(GPU.replace(memory_free_bytes=0),))
    assert route_of(judge(question(), busy), offered=True) is Route.LOCAL


def test_every_code_has_words_and_every_words_a_code() -> None:
    """The table of words is compared with the closed list of codes."""
    assert {key.partition("/")[0] for key in TABLE["findings"]} == TABLE["codes"].keys()


def test_a_finding_is_its_sentences_and_not_what_they_were_made_of() -> None:
    """Figures that no field and no sentence tells make no difference."""
    words = StatedWords(reason="The weights are published.")
    stated = Finding(
        check="weights",
        outcome=Outcome.PASS,
        code="weights-published",
        needs="published",
        words=words,
    )
    filled = finding(passing("weights-published", needs="published"))
    other = finding(passing("weights-published", needs="published", gate_unknown=False))
    assert filled == stated == other
    assert {filled, other} == {stated}
    assert repr(filled) == repr(stated)
    assert "reason='The weights are published.', remedy=None" in repr(filled)
    assert pickle.loads(pickle.dumps(filled)) == stated
    assert filled != stated.in_words("The weights are published.", "publish them")


def test_every_code_is_held_by_a_test_of_the_judge() -> None:
    """A new check, or a new code of one, needs a situation that reaches it."""
    folder = Path(__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    named = set(re.findall(r'"([a-z]+-[a-z-]+)"', "\n".join(texts)))
    assert set(TABLE["codes"]) <= named


def test_every_template_can_be_filled_in() -> None:
    """Parts in brackets are closed and not nested, and every figure is of a known unit."""
    worded = [
        (key, each) for key, row in TABLE["findings"].items() for each in row.values()
    ]
    for key, template in (*worded, *TABLE["phrases"].items()):
        text = template
        while part := re.search(r"\{>(\w+)\}", text):
            text = text.replace(part[0], TABLE["parts"][part[1]])
        plain = re.sub(r"\[\[!?[a-z_]+\?((?:(?!\[\[).)*?)\]\]", r"\1", text)
        assert "[[" not in plain, key
        assert "]]" not in plain, key
        fields = re.findall(r"\{[a-z_]+(?::([a-z]+))?\}", plain)
        assert len(fields) == plain.count("{"), key
        assert set(fields) <= {"", *UNITS, *RANGES}, key
    # what the check knows of a remedy goes before that of the fact
    why = Unread(fact="x", reason="x", remedy="later")
    said = finding(undecided("memory-unread", "now", why=why, remedy="first"))
    assert said.remedy == "first"


def test_the_largest_file_is_one_of_the_files() -> None:
    """A model of 0.1 GB comes in one file, which a FAT volume takes (4 GiB at the most)."""
    needs = api.check("gpt2", machine="desktop-rtx4090-24gb").needs
    assert needs is not None
    assert needs.files is not None
    assert needs.largest_file_bytes == needs.files.bytes
