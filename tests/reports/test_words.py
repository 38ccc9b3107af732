"""Words that the reports share, each from what it is given."""

from __future__ import annotations

import pytest

from selfhost import Workload, check
from selfhost.judge.checks import WORDS, StatedWords
from selfhost.judge.pace import Range
from selfhost.judge.pace.words import reader_words
from selfhost.judge.record import Finding, Outcome
from selfhost.machine.record import Machine
from selfhost.reports.answer_words import failed_words, undecided_words
from selfhost.reports.api_words import no_api_words, offer_words
from selfhost.reports.details import label_of
from selfhost.reports.labels import LABELS
from selfhost.reports.words import (
    catalogue_words,
    fact_label,
    place_words,
    run_words,
)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        pytest.param(["disk-too-small"], "too little disk space", id="one"),
        pytest.param(
            ["speed-too-slow", "disk-too-small", "memory-too-small"],
            "too little memory and disk space, too slow",
            id="what-is-too-little-is-said-once",
        ),
        pytest.param(
            ["runtime-no-build", "cpu-no-build"],
            "no build for this system",
            id="the-processor-is-a-part-of-the-system",
        ),
        pytest.param([], "", id="nothing"),
    ],
)
def test_what_fails_is_said_shortly(codes: list[str], words: str) -> None:
    """What decides most comes first."""
    assert failed_words(codes) == words


@pytest.mark.parametrize("screen", ["told-above", "told-elsewhere"])
def test_a_finding_that_a_screen_leaves_out_exists(screen: str) -> None:
    """With a slip in the code, its sentence would stand on the screen twice."""
    assert set(LABELS.lists[screen]) <= WORDS.codes.keys()


def test_what_is_open_is_not_all_unknown() -> None:
    """A pace that is known and near the minimum is `likely too slow`."""
    codes = {
        "speed": "speed-close",
        "disk": "disk-not-read",
        "accelerator": "accelerator-unread",
    }
    unworded = StatedWords(reason="")
    findings = [
        Finding(check=check, code=code, outcome=Outcome.UNKNOWN, words=unworded)
        for check, code in codes.items()
    ]
    assert undecided_words(findings) == ["disk, GPU not known", "likely too slow"]
    assert undecided_words(findings[:1]) == ["likely too slow"]


def test_what_is_too_close_to_call_is_named_as_ram_or_gpu_memory() -> None:
    """`memory too close to call` stood where the GPUs had room and the RAM was not sure."""
    unworded = StatedWords(reason="")
    findings = [
        Finding(
            check=check, code=f"{check}-close", outcome=Outcome.UNKNOWN, words=unworded
        )
        for check in ("memory", "accelerator")
    ]
    assert undecided_words(findings) == [
        "RAM too close to call",
        "GPU memory too close to call",
    ]


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        # people read about 4 words a second, which are 5 tokens
        pytest.param(
            Range(9, 12, 15), "about 12 tokens/s, faster than you read", id="fast"
        ),
        pytest.param(
            Range(5, 6, 7), "about 6.0 tokens/s, about as fast as you read", id="even"
        ),
        pytest.param(
            Range(1.5, 2, 3),
            "about 2.0 tokens/s: a 300-word answer takes 3 minutes",
            id="slow",
        ),
        pytest.param(Range(1, 4, 9), "perhaps 4.0 tokens/s, a guess", id="wide"),
    ],
)
def test_a_pace_is_held_against_reading(pace: Range, words: str) -> None:
    """A figure alone tells few people whether it is fast."""
    assert reader_words(pace) == words


@pytest.mark.parametrize(
    ("workload", "parts"),
    [
        pytest.param(
            Workload(
                quantization="Q4_K_M",
                runtime="llama.cpp",
                context_tokens=8192,
                parallel=4,
            ),
            ["Q4_K_M in llama.cpp", "8,192 tokens of context for each of 4 sequences"],
            id="users",
        ),
        pytest.param(
            Workload(runtime="vllm", kv_cache_type="fp8", draft="mtp"),
            ["vllm", "fp8 cache", "drafting by multi-token prediction"],
            id="cache-and-draft",
        ),
        pytest.param(
            Workload(task="finetune", finetune_method="qlora"),
            ["finetune by qlora"],
            id="training",
        ),
        pytest.param(Workload(), [], id="nothing-known"),
    ],
)
def test_how_it_would_run_is_said_in_parts(
    workload: Workload, parts: list[str]
) -> None:
    """What is usual, such as a cache of 16 bits, is left out."""
    assert run_words(workload, workload.parallel) == parts


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        pytest.param(
            Workload(private=True), "nothing may leave the machine", id="private"
        ),
        pytest.param(
            Workload(commercial=True),
            "this catalogue knows no offer that meets your conditions",
            id="conditions",
        ),
        pytest.param(
            Workload(context_tokens=131_072),
            "this catalogue knows no offer that meets your conditions",
            id="long-context",
        ),
        pytest.param(Workload(), "this catalogue knows no offer", id="none-known"),
    ],
)
def test_a_missing_offer_has_its_reason(workload: Workload, words: str) -> None:
    """Whether another condition would find one."""
    assert no_api_words(workload) == words


@pytest.mark.parametrize(
    ("today", "is_told"),
    [
        pytest.param("2027-02-18", False, id="90 days"),
        pytest.param("2027-02-19", True, id="91 days"),
        pytest.param(None, False, id="not known"),
    ],
)
def test_an_old_price_is_to_be_asked_for(today: str | None, is_told: bool) -> None:
    """Prices of hosted models change about every quarter of a year."""
    offer = check("gpt-4o", machine="macbook air m2 16gb").api_offers[0]
    offer = offer.replace(as_of="2026-11-20")
    _, prices = offer_words(offer, today)
    assert ("ask the provider" in prices) is is_told


def test_a_catalogue_is_old_after_90_days() -> None:
    """Before that it has most models that people ask about, and its day alone is told."""
    # 90 days after 2026-11-20, and the day behind
    last, next_day = "2027-02-18", "2027-02-19"
    assert catalogue_words("2026-11-20", last) == "Catalogue of 2026-11-20."
    assert catalogue_words(None, last) == ""
    aged = "The catalogue of 2026-11-20 is older than 90 days"
    assert catalogue_words("2026-11-20", next_day).startswith(aged)


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        pytest.param("memory_total_bytes", "memory total", id="listed"),
        pytest.param("disks.ollama.free_bytes", "disk of ollama", id="disk-field"),
        pytest.param("disks.llama.cpp", "disk of llama.cpp", id="disk-with-a-dot"),
        pytest.param("accelerators.memory_total_bytes", "GPU memory", id="gpu"),
        pytest.param("compute_capability", "compute capability", id="other"),
    ],
)
def test_a_fact_has_a_label(fact: str, words: str) -> None:
    """No name with dots and underscores."""
    assert fact_label(fact) == words


def test_a_planned_machine_is_not_here() -> None:
    """With other memory than it has, the own computer is none that one sits at."""
    own = Machine(name="this machine", is_this_one=True)
    assert place_words(own) == "here"
    assert place_words(own.replace(planning=True)) == "on this machine"


@pytest.mark.parametrize(
    ("key", "label"),
    [
        pytest.param("decode", "writing", id="listed"),
        pytest.param("disk_bytes", "disk", id="without-its-unit"),
        pytest.param("bytes", "bytes", id="a-unit-alone"),
    ],
)
def test_a_key_has_a_label(key: str, label: str) -> None:
    """The value has the unit."""
    assert label_of(key) == label
