"""A pace is held against a minimum as it is printed, and no pace is told of what does not run."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from judge.small import finding_of, speed_of
from selfhost import Machine, Workload, check
from selfhost.core import units
from selfhost.judge.checks import Outcome
from selfhost.judge.record import Verdict
from selfhost.machine.changes import apply
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

VM = Machine.from_file(RECORDS / "vm-24gib.json")
MODELS = (
    "mistral-7b",
    "qwen3-14b",
    "gemma-3-12b-it",
    "phi-4",
    "gpt-oss-20b",
    "qwen3-0.6b",
)


def shown(verdict: Verdict) -> str:
    return " ".join(plain(check_document([verdict])).split())


@pytest.mark.parametrize("wanted", [0.05, 0.5, 1.1, 2, 9.9, 10, 10.5, 11, 1000])
def test_figures_that_print_alike_are_slower_or_not_alike(wanted: float) -> None:
    """A list said `~1.5 tokens/s 1.1-2.0, you need 2` of one type with the route `api` and of
    another with `local`: 1.96 and 2.04 are both told as 2.0.
    """
    answers: dict[str, set[bool]] = {}
    for hundredths in range(1, 3000):
        for figure in (hundredths / 100 - 0.004, hundredths / 100 + 0.004):
            answers.setdefault(units.pace(figure), set()).add(
                units.is_slower(figure, wanted)
            )
    answers.pop("<0.01")
    assert all(len(each) == 1 for each in answers.values())


@pytest.mark.parametrize(
    ("figure", "wanted", "slower"),
    [
        pytest.param(1.96, 2, False, id="told as 2.0"),
        pytest.param(1.94, 2, True, id="told as 1.9"),
        pytest.param(1234.4, 1234, False, id="with a comma"),
        pytest.param(10.6, 10.8, False, id="told as 11"),
        pytest.param(0.001, 0.01, True, id="below what is told"),
    ],
)
def test_a_pace_is_slower_as_it_is_printed(
    figure: float, wanted: float, slower: bool
) -> None:
    """Both figures stand side by side on the screen, so a reader compares what is printed."""
    assert units.is_slower(figure, wanted) is slower


@pytest.mark.parametrize("model", MODELS)
def test_the_route_follows_the_printed_ends(model: str) -> None:
    """With the printed figures as minimum, each model gets what its own line says: at the printed
    likely pace local, between that and the fast end open, above it no.
    """
    pace = speed_of(check(model, machine=VM)).judged
    assert pace is not None
    likely, high = (float(units.pace(end)) for end in (pace.likely, pace.high))
    for wanted, outcomes in (
        (likely, {Outcome.PASS, Outcome.WARN}),
        (high, {Outcome.UNKNOWN} if high > likely else {Outcome.PASS, Outcome.WARN}),
        (high + 0.1, {Outcome.FAIL}),
    ):
        verdict = check(model, Workload(min_tokens_per_second=wanted), machine=VM)
        assert finding_of(verdict, "speed").outcome in outcomes, wanted


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        pytest.param(
            None, "likely below 2 (--min-speed)", id="nobody stated a minimum"
        ),
        pytest.param(5.0, "below the 5 you need", id="stated"),
    ],
)
def test_a_minimum_that_nobody_typed_is_no_need_of_theirs(
    stated: float | None, words: str
) -> None:
    """`you need 2` was told to people who had typed no minimum."""
    verdict = check(
        "llama-3.3-70b",
        Workload(min_tokens_per_second=stated),
        machine="i9-10900X 96GB",
    )
    assert finding_of(verdict, "speed").outcome is not Outcome.PASS
    assert words in shown(verdict)
    assert (f"the {stated:g} you need" if stated else "--min-speed") in finding_of(
        verdict, "speed"
    ).reason


@pytest.mark.parametrize(
    ("model", "asked", "machine"),
    [
        pytest.param("deepseek-r1", {}, "i9-10900X 96GB", id="377 GiB on 96"),
        pytest.param(
            "mistral-7b",
            {"context_tokens": 32768, "parallel": 200},
            "i5-8250U 16GB",
            id="users",
        ),
        pytest.param("flux.1-dev", {}, "Raspberry Pi 5 4GB", id="a picture"),
        pytest.param(
            "mistral-7b", {"runtime": "vllm"}, "i5-8250U 16GB", id="no GPU for vLLM"
        ),
    ],
)
def test_what_does_not_fit_has_no_pace(
    model: str, asked: dict[str, object], machine: str
) -> None:
    """`memory 4.04 TiB … speed ~7.2 tokens/s` was read as what it would run at: a model that memory
    does not hold computes nothing.
    """
    verdict = check(model, Workload(**asked), machine=machine)  # type: ignore[arg-type]
    speed = speed_of(verdict)
    paces = speed.decode, speed.prompt, speed.work, speed.judged, speed.parallel_total
    assert paces == (None,) * 5
    assert "not fit here" in speed.how
    finding = finding_of(verdict, "speed")
    assert (finding.code, finding.decides) == ("speed-not-known", False)
    before_others = shown(verdict).partition("instead")[0]
    assert "tokens/s" not in before_others


def test_a_model_whose_disk_alone_is_too_small_keeps_its_pace() -> None:
    """Space can be made without another machine, and then that is the pace."""
    verdict = check("mistral-7b", machine=apply(VM, ["disk=1GB"]))
    assert verdict.failed == ("disk",)
    assert speed_of(verdict).decode is not None
