"""The contract's rows `context`, `disk`, `speed` and `memory`: a situation for each cell and each
of its reason codes.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.paths import RECORDS
from judge.small import (
    BIG,
    GB,
    GIB,
    MACHINE,
    SPEC,
    WORK,
    Situation,
    arch,
    assert_complete,
    assert_found,
    check_of,
    finding_of,
    found,
    needs_of,
    question,
    sizes,
    term,
    with_disk,
    work,
)
from selfhost import Workload, check
from selfhost.catalogue.architecture import Attention, FeedForward
from selfhost.catalogue.spec import StatedNeeds
from selfhost.core import units
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.checks.space import (
    bytes_to_store,
    what_is_smaller,
)
from selfhost.judge.checks.speed import speed_check
from selfhost.judge.pace import Range, Speed
from selfhost.judge.record import Question
from selfhost.machine.changes import apply
from selfhost.machine.named import named
from selfhost.machine.record import Machine
from selfhost.needs.records import How, as_size, stated_range, unread
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain


def heard(audio_seconds: int, longest_seconds: int | None = None) -> Question:
    """Of a model that hears, by what is stated of recordings beside its memory."""
    spec = SPEC.replace(
        modality="speech",
        architecture=None,
        needs=StatedNeeds(
            low_bytes=10**9, high_bytes=2 * 10**9, longest_seconds=longest_seconds
        ),
    )
    asked = WORK.replace(context_tokens=None, audio_seconds=audio_seconds)
    return question(spec=spec, workload=asked)


T5 = arch(
    row="t5",
    attention=(
        Attention(layers=(0,), heads=8, kv_heads=8, key_length=64, value_length=64),
    ),
    feed_forward=(FeedForward(layers=(0,), length=2048),),
)

CONTEXT = [
    Situation("pass", "context-trained"),
    Situation(
        "warn",
        "context-scaled",
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
        ),
    ),
    Situation(
        "warn",
        "context-untrained",
        question(
            spec=SPEC.replace(architecture=T5),
            workload=WORK.replace(context_tokens=65537),
        ),
    ),
    Situation(
        "unknown",
        "context-not-known",
        question(
            spec=SPEC.replace(architecture=arch(context_tokens=None)),
            stated=Workload(context_tokens=32768),
        ),
    ),
    Situation("warn", "context-unmeasured", heard(3600)),
    Situation("fail", "context-recording-too-long", heard(3600, longest_seconds=1800)),
    Situation("fail", "context-too-long", work(context_tokens=65536)),
]


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
    assert spec.reads_context is has_context


DISK = [
    Situation("pass", "disk-fits"),
    Situation(
        "pass",
        "disk-nothing-missing",
        question(loads_named_files=True),
        with_disk(free_bytes=0, writable=False),
    ),
    Situation("warn", "disk-tight", machine=with_disk(free_bytes=5 * GB)),
    Situation("warn", "disk-slow-or-volatile", machine=with_disk(filesystem="tmpfs")),
    Situation(
        "warn", "disk-assumed", machine=MACHINE.replace(disks=None, assumed=("disks",))
    ),
    Situation("unknown", "disk-unread", machine=with_disk(free_bytes=None)),
    Situation("unknown", "disk-size-not-known", question(needs=needs_of(disk=None))),
    Situation("fail", "disk-too-small", machine=with_disk(free_bytes=4 * GB - 1)),
    Situation("fail", "disk-not-writable", machine=with_disk(writable=False)),
    Situation(
        "fail",
        "disk-file-too-large",
        question(needs=needs_of(disk=2**32)),
        with_disk(filesystem="vfat"),
    ),
]


@given(need=sizes, more=st.integers(0, 64), free=sizes)
def test_a_larger_download_never_fits_better(need: int, more: int, free: int) -> None:
    """For every disk, more to download is at least as bad."""
    machine = with_disk(free_bytes=free * GB)
    less = question(needs=needs_of(disk=need * GB))
    larger = question(needs=needs_of(disk=(need + more) * GB))
    small = found("disk", less, machine).severity
    large = found("disk", larger, machine).severity
    assert small <= large


@pytest.mark.parametrize(
    ("free_gb", "outcome", "words"),
    [
        (7, Outcome.FAIL, "needs 8.00 to 12.0 GB; .* up to 5.00 GB short"),
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
    files = stated_range("files", 8 * GB, 12 * GB, "test").replace(how=How.ASSUMED)
    needs = needs_of().replace(files=files, largest_file_bytes=GB)
    finding = found("disk", question(needs=needs), with_disk(free_bytes=free_gb * GB))
    assert finding.outcome is outcome
    assert re.search(words, finding.reason)


UNSIZED = needs_of().replace(unknown=(unread("nobody knows", None, "memory"),))
PASS = Outcome.PASS
WARN = Outcome.WARN
UNKNOWN = Outcome.UNKNOWN
FAIL = Outcome.FAIL
Ends = tuple[float, float, float]


def judged(
    pace: Ends | None,
    wanted: float = 2.0,
    *,
    stated: bool = False,
    assumed: bool = False,
) -> Finding:
    """The finding of a range, slow end, likely and fast end, held against what is wanted."""
    low, likely, high = pace or (0.0, 0.0, 0.0)
    finding = speed_check(
        question(
            workload=Workload(min_tokens_per_second=wanted),
            stated=Workload(min_tokens_per_second=wanted if stated else None),
        ),
        needs_of(),
        Machine(assumed=("cpu_cores_usable",) if assumed else ()),
        Speed(
            decode=None if pace is None else Range(low=low, likely=likely, high=high),
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
    pace: Ends | None, wanted: float, stated: bool, outcome: Outcome, code: str
) -> None:
    """An unknown decides only where a minimum was stated."""
    finding = judged(pace, wanted, stated=stated)
    assert (finding.outcome, finding.code) == (outcome, code)
    assert finding.decides is (outcome is FAIL or (stated and outcome is UNKNOWN))


@pytest.mark.parametrize("pace", [None, (0.01, 0.02, 0.03), (50, 60, 70)])
@pytest.mark.parametrize("assumed", [False, True])
def test_a_minimum_of_zero_always_passes(pace: Ends | None, assumed: bool) -> None:
    """`--min-speed 0` accepts any pace, known or not."""
    finding = judged(pace, 0.0, stated=True, assumed=assumed)
    assert (finding.outcome, finding.code) == (PASS, "speed-any")


def test_what_takes_more_later_warns() -> None:
    """A pace below the minimum once the context is full; a copy while a file is made."""
    full = Speed(
        decode=Range(low=6, likely=7, high=8), full_context_tokens_per_second=1, how=""
    )
    long = work(context_tokens=32_768, min_tokens_per_second=2.0)
    slow = speed_check(long, needs_of(), MACHINE, full)
    assert slow is not None
    assert (slow.outcome, slow.code) == (WARN, "speed-when-full")
    assert "once all 32,768 tokens" in slow.reason
    for how, offered in (("measured-briefly", True), ("measured", False)):
        read = MACHINE.replace(
            memory_bandwidth_bytes_per_second=10**10, memory_bandwidth_how=how
        )
        slower = speed_check(
            long,
            needs_of(),
            read,
            full.replace(decode=Range(low=1, likely=1.5, high=3)),
        )
        assert slower is not None
        assert ("--measure" in (slower.remedy or "")) is offered
    making = found(
        "disk", question(made_of_bytes=(99 * GB,)), with_disk(free_bytes=50 * GB)
    )
    assert (making.outcome, making.code) == (WARN, "disk-tight")
    assert "while" in making.reason


def test_what_rests_on_the_machines_class_warns() -> None:
    """Planning marks what it assumes and warns of it; a worse cell wins."""
    assert judged((8, 9, 12), assumed=True).code == "speed-assumed"
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


MEMORY = [
    Situation("pass", "memory-fits"),
    Situation(
        "pass",
        "memory-tight",
        question(needs=needs_of(14 * GIB, 14 * GIB)),
        MACHINE.replace(scope="host", planning=True),
    ),
    Situation(
        "warn",
        "memory-not-now",
        machine=MACHINE.replace(memory_available_bytes=2 * GIB),
    ),
    Situation("unknown", "memory-close", question(needs=needs_of(14 * GIB, 16 * GIB))),
    Situation(
        "unknown",
        "memory-unread",
        machine=MACHINE.replace(memory_limit_bytes=None, memory_available_bytes=None),
    ),
    Situation(
        "unknown",
        "memory-assumed",
        BIG,
        MACHINE.replace(planning=True, assumed=("memory_total_bytes",)),
    ),
    Situation("unknown", "memory-need-not-known", question(needs=UNSIZED)),
    Situation("fail", "memory-too-small", BIG),
]


@pytest.mark.parametrize("situation", [*CONTEXT, *DISK, *MEMORY], ids=case_id)
def test_a_situation_gets_the_finding_of_the_contract(situation: Situation) -> None:
    """Its outcome and its code, and something to do about it where it warns or fails."""
    assert_found(situation)


@pytest.mark.parametrize("situations", [CONTEXT, DISK, MEMORY], ids=check_of)
def test_every_code_of_a_check_is_reached(situations: list[Situation]) -> None:
    """The list of reason codes is closed: a situation reaches each of them, and each outcome."""
    assert_complete(situations)


@pytest.mark.parametrize(
    ("model", "machine", "code", "outcome"),
    [
        ("qwen3-30b-a3b", "Ryzen 9 9950X", "memory-assumed", "unknown"),
        # sold with 8 and with 16 GB
        ("llama-3.1-8b", "macbook air m1", "memory-assumed", "unknown"),
        ("llama-3.3-70b", "macbook air m1", "memory-too-small", "fail"),
        # a desktop takes 256 GB
        ("deepseek-r1", "Ryzen 9 9950X", "memory-too-small", "fail"),
        ("qwen3-30b-a3b", "Ryzen 9 9950X 16GB", "memory-too-small", "fail"),
        ("phi-4", "macbook-air-m1-8gb", "memory-too-small", "fail"),
    ],
)
def test_ram_that_a_name_does_not_tell_rules_nothing_out_that_more_would_hold(
    model: str, machine: str, code: str, outcome: str
) -> None:
    """ "What is not known stays unknown": 16 GB that were assumed are no answer to a model of 18
    GiB, unless no such machine is sold with enough. What to state is said.
    """
    finding = finding_of(
        check(model, Workload(quantization="Q4_K_M"), machine=machine), "memory"
    )
    assert (finding.code, finding.outcome) == (code, outcome)
    if code == "memory-assumed":
        assert finding.remedy is not None
        enough_gb = re.search(r"--set memory=(\d+)GiB", finding.remedy or "")
        assert enough_gb is not None
        enough = apply(named(machine)[0], [f"memory={enough_gb[1]}GiB"])
        stated = check(model, Workload(quantization="Q4_K_M"), machine=enough)
        assert stated.finding("memory").outcome is Outcome.PASS  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("address_space", "code", "needs", "told"),
    [
        # 4 to 5 GiB resident, of which 2 are mapped and 1 is a copy whose 3 GiB of originals stay
        # mapped
        (int(8.25 * GIB), "memory-fits", 5, ""),
        (8 * GIB, "memory-close", 8, "too close to call"),
        (6 * GIB, "memory-too-small", 8, "`ulimit -v` leaves 6.00 GiB"),
    ],
)
def test_a_limit_of_the_shell_counts_otherwise_than_memory(
    address_space: int, code: str, needs: int, told: str
) -> None:
    """setrlimit(2): RLIMIT_AS counts every mapping, so originals beside their copies too.

    It counts each thread's stack of 8 MiB whole (pthread_create(3)): two a core, and 16. To close
    programs is no remedy.
    """
    terms = (
        term(2 * GIB, 2 * GIB),
        term(GIB, GIB, "repacked_weights"),
        term(GIB, 2 * GIB, "kv_cache"),
    )
    asked = question(needs=needs_of().replace(terms=terms, evictable_bytes=3 * GIB))
    machine = MACHINE.replace(cpu_cores_usable=4, address_space_bytes=address_space)
    finding = found("memory", asked, machine)
    assert (finding.code, finding.needs) == (
        code,
        needs * GIB + (24 * 8 * 2**20 if told else 0),
    )
    assert told in finding.reason
    assert ("unlimited" in (finding.remedy or "")) is bool(told)
    # where memory itself is too small that is told
    lifted = {"memory_limit_bytes": "3 GiB; `ulimit -v unlimited` lifts it"}
    small = machine.replace(
        memory_limit_bytes=3 * GIB, memory_available_bytes=GIB, sources=lifted
    )
    assert (found("memory", asked, small).remedy or "").startswith(
        "run `ulimit -v unlimited`, or"
    )
    # a machine with other memory is not this shell
    assert (
        found("memory", asked, apply(machine, ["memory=16GiB"])).code == "memory-fits"
    )


def test_files_in_ram_stay_beside_what_is_made_of_them() -> None:
    """On a disk the originals of repacked weights may leave the page cache; where the store is RAM
    they cannot, so the least is more.
    """
    twice = question(needs=needs_of().replace(evictable_bytes=3 * GIB))
    sizes = {"memory_limit_bytes": 7 * GIB, "memory_available_bytes": 6 * GIB}
    ram = with_disk(filesystem="tmpfs").replace(**sizes)
    assert found("memory", twice, with_disk().replace(**sizes)).code == "memory-fits"
    finding = found("memory", twice, ram)
    assert finding.code == "memory-too-small"
    assert (
        "(including 4.00 GB of files, which would be stored in RAM)" in finding.reason
    )
    # those that no copy is made of are mapped where they lie
    assert found("memory", question(), ram).code == "memory-close"


def test_planning_ignores_what_is_free_now_and_the_strict_basis_counts_nothing_else() -> (
    None
):
    """--memory total passes where default warns; --memory available fails where default warns."""
    busy = MACHINE.replace(memory_available_bytes=2 * GIB)
    assert found("memory", work(memory_basis="total"), busy).outcome is Outcome.PASS
    assert found("memory", machine=busy).outcome is Outcome.WARN
    assert found("memory", work(memory_basis="available"), busy).outcome is Outcome.FAIL


@given(
    need=sizes,
    spread=st.integers(0, 8),
    limit=sizes,
    free=sizes,
    more=st.integers(0, 64),
)
def test_more_memory_never_makes_the_answer_worse(
    need: int, spread: int, limit: int, free: int, more: int
) -> None:
    """For every need, a machine with more memory gets an outcome at least as good."""

    def severity(extra: int) -> int:
        machine = MACHINE.replace(
            memory_total_bytes=(limit + extra) * GIB,
            memory_limit_bytes=(limit + extra) * GIB,
            memory_available_bytes=min(free + extra, limit + extra) * GIB,
        )
        asked = question(needs=needs_of(need * GIB, (need + spread) * GIB))
        return found("memory", asked, machine).severity

    assert severity(more) <= severity(0)


def test_inside_a_limit_little_is_kept_for_the_system() -> None:
    """A container of 2 GiB on a host of 24 gives nearly all of it; a whole machine keeps what its
    system needs.
    """
    inside = MACHINE.replace(
        scope="container",
        memory_total_bytes=24 * GIB,
        memory_limit_bytes=2 * GIB,
        memory_available_bytes=1 * GIB,
    )
    assert found("memory", machine=inside).reserve_bytes == 64 * 2**20
    whole = inside.replace(memory_limit_bytes=24 * GIB)
    assert found("memory", machine=whole).reserve_bytes == 1 * GIB


@pytest.mark.parametrize(
    ("quantization", "is_here"), [("Q4_K_M", True), ("Q4_K_S", False)]
)
def test_a_file_in_another_type_is_not_the_file(
    quantization: str, is_here: bool
) -> None:
    """Mistral 7B in Q4_K_M lies there; in Q4_K_S it is 5 % smaller, as another conversion may
    be.
    """
    machine = Machine.from_file(RECORDS / "vm-24gib-models.json")
    verdict = check("mistral-7b", machine=machine, quantization=quantization)
    assert (verdict.here is not None) is is_here


@pytest.mark.parametrize(("quantization", "is_made"), [("Q4_0", False), ("Q5_0", True)])
def test_what_ollamas_library_has_is_not_made(quantization: str, is_made: bool) -> None:
    """`aya:8b` is in Q4_0, and no repository of GGUF files is known."""
    asked = Workload(runtime="llama.cpp", quantization=quantization)
    verdict = check("aya-23-8b", asked, machine="laptop-ddr4-16gb")
    assert (verdict.question.making_bytes > 0) is is_made


def test_the_download_of_a_made_file_is_that_of_its_lines() -> None:
    """The lines of a Q5_0 that nobody publishes download the 16 bits of all weights first."""
    asked = Workload(
        runtime="llama.cpp", quantization="Q5_0", download_bytes_per_second=10**7
    )
    verdict = check("aya-23-8b", asked, machine="laptop-ddr4-16gb")
    published = check("aya-23-8b", quantization="bfloat16", runtime="transformers")
    fetched = published.download_bytes
    assert fetched is not None
    assert verdict.download_seconds == pytest.approx(fetched / 10**7, rel=0.01)
    words = " ".join(plain(check_document([verdict])).split())
    assert f"{units.decimal(fetched)} to download in about" in words
    assert "to make 5.6" in words


@pytest.mark.parametrize(
    ("room_gib", "words"),
    [
        pytest.param(12, "a shorter context", id="the weights fit"),
        pytest.param(None, "a shorter context", id="room not known"),
        pytest.param(8, "even without any context", id="not even the weights"),
    ],
)
def test_a_shorter_context_is_advised_where_it_helps(
    room_gib: int | None, words: str
) -> None:
    """Of 10 GiB of weights and 4 GiB of cache the context changes the cache alone."""
    terms = (
        term(10 * GIB, 10 * GIB),
        term(4 * GIB, 4 * GIB, name="kv_cache"),
    )
    room_bytes = None if room_gib is None else room_gib * GIB
    assert words in what_is_smaller(terms, room_bytes)


def test_a_training_writes_its_checkpoints_beside_the_files_that_are_missing() -> None:
    """1 GB of the files is missing, and 3 GB of checkpoints are written."""
    needs = needs_of(disk=4 * GB).replace(written_bytes=3 * GB)
    assert bytes_to_store(needs, None) == as_size(7 * GB)
    assert bytes_to_store(needs, 1 * GB) == as_size(4 * GB)
    assert bytes_to_store(needs, 0) == as_size(3 * GB)
