"""The least machine for a model, and the known ones that run it: held against `check`, which the
plan must not contradict.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.machines import VM
from selfhost import Workload, check, plan
from selfhost.advice.listing import Lister
from selfhost.advice.plan import LeastMachine, Plan, _platform_for, plan_with
from selfhost.api import size
from selfhost.catalogue.index import open_catalogue
from selfhost.cli import main as cli
from selfhost.cli.asked import workload_of
from selfhost.cli.plan import PlanOptions
from selfhost.judge.checks import Outcome
from selfhost.judge.record import Route, Verdict
from selfhost.machine.changes import apply
from selfhost.machine.profiles import Profile, all_profiles
from selfhost.machine.record import Accelerator, Machine
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain
from selfhost.reports.list_text import list_document
from selfhost.reports.plan_text import plan_document

GIB = 2**30
MIB = 2**20
GB = 10**9


CASES: dict[str, tuple[str, Workload]] = {
    "faster-whisper": ("whisper-small", Workload(runtime="faster-whisper")),
    "default": ("mistral-7b", Workload()),
    "a tag": ("llama3.1:8b", Workload()),
    "a large download": ("llama-3.3-70b", Workload()),
    "a file to make": ("afm-4.5b", Workload(quantization="IQ4_XS")),
    "files of unknown precision": ("sd-turbo", Workload()),
    "long context": ("llama-3.1-8b", Workload(context_tokens=32_768, parallel=2)),
    "mixture of experts": ("gpt-oss-120b", Workload(min_tokens_per_second=10)),
    "large": ("deepseek-v3", Workload()),
    "transformers": ("opt-1.3b", Workload()),
    "a runtime for one system": ("mistral-7b", Workload(runtime="mlx")),
    "a runtime for GPUs": ("mistral-7b", Workload(runtime="vllm")),
    "a quantization for GPUs": (
        "qwen3-8b",
        Workload(runtime="transformers", quantization="fp8"),
    ),
    "16 bits in faster-whisper": (
        "whisper-large-v3",
        Workload(runtime="faster-whisper", quantization="float16"),
    ),
    "pictures": ("flux.1-dev", Workload()),
    "video": ("wan2.1-t2v-14b", Workload()),
    "fine-tuning": ("gpt2", Workload(task="finetune")),
    "a pace of each": ("mistral-7b", Workload(parallel=4, min_tokens_per_second=4)),
}


@cache
def plan_of(model: str, workload: Workload) -> Plan:
    return plan_with(open_catalogue(), model, workload)


@cache
def plan_of_no_machine(model: str, workload: Workload) -> Plan:
    """The plan without known machines: to judge every one takes most of a plan's time."""
    return plan_with(open_catalogue(), model, workload, ())


def least_of(model: str, workload: Workload) -> LeastMachine:
    """The least machine alone."""
    least = plan_of_no_machine(model, workload).least
    assert least is not None
    return least


def judged(model: str, workload: Workload, machine: Machine) -> Verdict:
    """As `check` judges it, from the record as it would be written to a file."""
    record = Machine.from_json(json.loads(json.dumps(machine.to_json())))
    return check(model, workload, machine=record)


def outcome(verdict: Verdict, name: str) -> tuple[Outcome, str]:
    finding = verdict.finding(name)
    assert finding is not None
    return finding.outcome, finding.code


@pytest.mark.parametrize("case", CASES)
def test_the_least_machine_runs_it_and_one_byte_less_does_not(case: str) -> None:
    """`check` passes on the plan's machine; with one byte less of memory, or of disk, it is no
    longer sure.
    """
    model, workload = CASES[case]
    least = least_of(model, workload)
    verdict = judged(model, workload, least.machine)
    assert verdict.route is Route.LOCAL
    # what just holds it leaves little beside it
    assert outcome(verdict, "memory") in (
        (Outcome.PASS, "memory-fits"),
        (Outcome.PASS, "memory-tight"),
    )
    assert outcome(verdict, "disk") == (Outcome.PASS, "disk-fits")
    size = least.memory_bytes - 1
    # stated, for without them a smaller machine gets the next method, a smaller cache, or a file to
    # be made
    same = workload.replace(
        finetune_method=verdict.workload.finetune_method,
        quantization=verdict.workload.quantization,
        kv_cache_type=verdict.workload.kv_cache_type,
    )
    smaller = least.machine.replace(memory_total_bytes=size, memory_limit_bytes=size)
    assert judged(model, same, smaller).route is not Route.LOCAL
    assert least.disk_bytes is not None
    disks = tuple(
        disk.replace(free_bytes=least.disk_bytes - 1, total_bytes=least.disk_bytes - 1)
        for disk in least.machine.disks or ()
    )
    assert outcome(
        judged(model, workload, least.machine.replace(disks=disks)), "disk"
    ) == (
        Outcome.WARN,
        "disk-tight",
    )


@pytest.mark.parametrize("case", ["default", "mixture of experts", "a pace of each"])
def test_the_bandwidth_reaches_the_wanted_speed_and_less_does_not(case: str) -> None:
    """With it the slow end is as wanted; a tenth of a gigabyte less is not enough."""
    model, workload = CASES[case]
    least = least_of(model, workload)
    wanted = workload.min_tokens_per_second or 2.0
    sure = least.bandwidth_bytes_per_second
    assert sure is not None

    def decode(rate: int) -> Any:
        speed = judged(
            model,
            workload,
            least.machine.replace(memory_bandwidth_bytes_per_second=rate),
        ).speed
        assert speed is not None
        return speed.judged

    assert decode(sure).low >= wanted
    assert decode(sure - GB // 10).low < wanted


@pytest.mark.parametrize(
    "case",
    [
        "default",
        "large",
        "a runtime for GPUs",
        "a quantization for GPUs",
        "16 bits in faster-whisper",
    ],
)
def test_the_accelerator_holds_all_of_it_and_a_smaller_one_does_not(case: str) -> None:
    """One with that much memory takes the whole model, beside the RAM that is named; with a byte
    less it does not.
    """
    model, workload = CASES[case]
    least = least_of(model, workload)
    ram = least.accelerator.memory_beside_bytes
    # stated, for without them a smaller machine gets the next of the list, or a smaller cache
    taken = judged(model, workload, least.machine).workload
    workload = workload.replace(
        quantization=taken.quantization, kv_cache_type=taken.kv_cache_type
    )

    def placed(size: int) -> Verdict:
        card = Accelerator(
            vendor="nvidia", name="NVIDIA H200", memory_total_bytes=size, unified=False
        )
        return judged(
            model,
            workload,
            least.machine.replace(
                memory_total_bytes=ram, memory_limit_bytes=ram, accelerators=(card,)
            ),
        )

    whole = placed(least.accelerator.memory_bytes)
    assert whole.route is Route.LOCAL
    assert whole.needs is not None
    assert whole.needs.placement == "accelerator"
    # one byte less surely holds it only where the program is started to take less
    fewer = placed(least.accelerator.memory_bytes - 1)
    finding = fewer.finding("accelerator")
    assert finding is not None
    less_sure = ("accelerator-lean", "accelerator-tight", "accelerator-partly")
    assert fewer.route is not Route.LOCAL or finding.code in less_sure


@pytest.mark.parametrize(
    ("model", "workload", "failed"),
    [
        ("gpt-4o", Workload(), "weights"),
        ("gpt2", Workload(context_tokens=100_000), "context"),
        ("mistral-7b", Workload(license="MIT"), "license"),
        ("opt-1.3b", Workload(runtime="llama.cpp"), "runtime"),
    ],
)
def test_what_no_machine_mends_has_no_least_machine(
    model: str, workload: Workload, failed: str
) -> None:
    """Closed weights, a context beyond the model's, a license that forbids it: no size is named,
    the reason is, and nothing fits.
    """
    plan = plan_of(model, workload)
    assert plan.least is None
    assert [
        finding.check for finding in plan.reasons if finding.outcome is Outcome.FAIL
    ] == [failed]
    assert (plan.fitting, plan.exit_code) == ((), 1)


@pytest.mark.parametrize("model", ["mistral-7b", "llama3.1:8b"])
def test_known_machines_fare_as_check_says(model: str) -> None:
    """Every profile's route is that of `check --machine`, in the type that a tag fixes too; those
    that run it come first.
    """
    plan = plan_of(model, Workload())
    assert len(plan.machines) == len(all_profiles())
    for candidate in plan.machines[::30]:
        verdict = check(model, machine=candidate.machine)
        assert (candidate.route, candidate.workload) == (
            verdict.route,
            verdict.workload,
        )
    assert plan.machines[: len(plan.fitting)] == plan.fitting != ()
    assert not any(each.is_tight and each.is_comfortable for each in plan.machines)


def test_a_need_that_is_not_known_is_no_plan(tmp_path: Path) -> None:
    """Without a known need there is no figure, and no machine runs it for sure: 3, never 0."""
    (tmp_path / "mine.toml").write_text(
        (
            'schema = 1\nid = "mine"\nname = "Mine"\nmodality = '
            '"text"\n[unknown]\narchitecture = "not published"\n'
        ),
        encoding="utf-8",
    )
    plan = plan_with(open_catalogue([tmp_path]), "mine", Workload())
    assert (plan.least, plan.exit_code) == (None, 3)
    assert any("memory" in finding.check for finding in plan.reasons)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("model", "tight", "note"),
    [
        # 61.4 GiB for 60.6
        ("gpt-oss-120b", "jetson-agx-orin-64gb", "little left"),
        # macOS lets a GPU use 10.7 of 16 GiB
        ("gpt-oss-20b", "macbook-air-m2-16gb", "limit to raise"),
    ],
)
def test_what_just_fits_is_no_first_proposal(
    model: str, tight: str, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that holds it to the last gigabyte, or once a limit is raised, comes after others
    and is marked.
    """
    _, out, _ = run(capsys, "plan", model, "-v")
    (row,) = (line for line in out.splitlines() if f" {tight} " in line)
    assert row.startswith("!")
    assert note in row
    _, out, _ = run(capsys, "plan", model)
    signs = [line[0] for line in out.splitlines() if line[:3] in ("✓  ", "!  ")]
    assert signs == sorted(signs, reverse=True)
    assert signs[0] == "✓"
    # a machine of the table is the one to ask about
    table, _, proposed = out.partition("--machine ")
    assert f" {proposed.split()[0]} " in table
    assert f"--machine {tight}" not in out


def test_a_limit_to_raise_is_told_first() -> None:
    """A Mac Studio of 64 GB lets its GPU use 48 GiB, and gpt-oss-120b takes 59.4."""
    verdict = check("gpt-oss-120b", machine="mac studio m2 ultra 64gb")
    first, second, *_ = plain(check_document([verdict])).splitlines()
    assert "RUNS ONCE A LIMIT IS RAISED" in first
    assert "iogpu.wired_limit_mb" in second
    listing = Lister(open_catalogue(), Workload(), verdict.machine).all(
        ["gpt-oss-120b"]
    )
    rows = plain(list_document(listing)).splitlines()
    assert any(row.startswith("!  gpt-oss-120b") for row in rows)
    assert "once its limit is raised" in (listing.models[0].why or "")


@pytest.mark.parametrize(
    ("cores", "rate", "row"),
    [
        pytest.param(
            1, 10**10, "bandwidth 10.0 GB/s of RAM, as a program measures it,"
            " and 1 core, for 10 tokens/s without a GPU",
            id="one-core",
        ),
        pytest.param(
            None, None, "bandwidth not known how fast RAM must be for 10 tokens/s without a GPU",
            id="not-known",
        ),
    ],
)  # fmt: skip
def test_the_row_of_the_bandwidth_is_a_sentence(
    cores: float | None, rate: int | None, row: str
) -> None:
    """`1 cores`, and `not known of RAM`."""
    answer = plan_of_no_machine("phi-4", Workload(min_tokens_per_second=10))
    assert answer.least is not None
    least = answer.least.replace(
        bandwidth_bytes_per_second=rate, cpu=answer.least.cpu.replace(cores=cores)
    )
    shown = plain(plan_document(answer.replace(least=least)))
    assert row in " ".join(shown.split())


@pytest.mark.parametrize(
    ("model", "context_tokens"),
    [
        pytest.param("qwen3-32b", 32_768, id="a long context"),
        pytest.param("qwen3-8b", None, id="the usual context"),
    ],
)
def test_the_row_of_the_bandwidth_keeps_its_word_when_typed(
    model: str, context_tokens: int | None
) -> None:
    """`plan` named 74.3 GB/s for 2 tokens/s; stated so, `check` said 1.8, for it reads a peak."""
    answer = plan_of_no_machine(model, Workload(context_tokens=context_tokens))
    assert answer.least is not None
    assert answer.least.cpu.cores is not None
    shown = plain(plan_document(answer, verbose=True))
    (fact,) = re.findall(r"bandwidth=[^)]+", shown)
    memory_mib = answer.least.memory_bytes // MIB + 1
    facts = [
        f"memory={memory_mib}MiB",
        f"cores={answer.least.cpu.cores:g}",
        fact,
        "gpu=none",
    ]
    verdict = check(model, answer.workload, machine=apply(VM, facts))
    assert verdict.route is Route.LOCAL
    assert verdict.users_pace is not None
    assert verdict.users_pace.likely >= 2


def test_a_plan_for_a_short_wait_names_the_cores_that_read_the_prompt_in_time() -> None:
    usual = least_of("qwen3-8b", Workload())
    in_a_minute = Workload(prompt_tokens=2000, max_wait_seconds=60)
    waiting = least_of("qwen3-8b", in_a_minute)
    assert not waiting.accelerator.required
    assert usual.cpu.cores is not None
    assert waiting.cpu.cores is not None
    assert waiting.cpu.cores > usual.cpu.cores
    # what it names keeps the wait, at its slow end too
    as_planned = in_a_minute.replace(quantization="IQ4_XS")
    there = check("qwen3-8b", as_planned, machine=waiting.machine)
    assert there.speed is not None
    assert there.speed.first_token_seconds is not None
    assert there.speed.first_token_seconds.high <= 60


def test_a_plan_says_how_fast_the_gpu_reads() -> None:
    asked = Workload(purpose="agent", max_wait_seconds=1)
    shown = plain(plan_document(plan_of_no_machine("qwen3-8b", asked)))
    assert "on one GPU that reads 20,000 tokens within 1 second" in shown


def test_a_known_machine_states_the_memory_of_its_cards_alone() -> None:
    """A card of 24 GB has 24 GiB of its own; a GPU that shares the RAM has none."""
    plan = plan_of(*CASES["default"])
    card_bytes = {known.name: known.accelerator_memory_bytes for known in plan.machines}
    assert card_bytes["desktop-rtx4090-24gb"] == pytest.approx(24 * GIB, rel=0.01)
    assert card_bytes["macbook-air-m2-16gb"] == 0


def test_a_known_machine_is_fast_enough_by_the_slow_end_of_its_pace() -> None:
    """Four users are promised four tokens a second each: not where it may be less."""
    plan = plan_of(*CASES["a pace of each"])
    only_likely = 0
    for known in plan.machines:
        pace = known.users_pace
        if pace is None:
            continue
        if pace.low < 3.9:
            assert not known.is_fast_enough, known.name
            only_likely += pace.likely > 4.1
        elif pace.low > 4.1:
            assert known.is_fast_enough, known.name
    assert only_likely > 0


@pytest.mark.parametrize(
    ("model", "workload"),
    [
        pytest.param("mistral-7b", Workload(min_tokens_per_second=400), id="speed"),
        pytest.param(
            "qwen3-8b",
            Workload(runtime="vllm", min_tokens_per_second=50),
            id="speed-of-a-gpu",
        ),
        pytest.param(
            "qwen3-8b", Workload(prompt_tokens=3000, max_wait_seconds=0.05), id="wait"
        ),
    ],
)
def test_a_pace_is_no_reason_why_no_machine_would_do(
    model: str, workload: Workload
) -> None:
    """The plan's machine has a GPU of no known speed, so its pace and its wait say nothing of the
    GPU that somebody buys.
    """
    plan = plan_with(open_catalogue(), model, workload, ())
    assert plan.least is not None
    assert plan.reasons == ()


@pytest.mark.parametrize(
    ("workload", "least_slow_ends", "least_slower_than_wanted"),
    [
        pytest.param(Workload(parallel=8, min_tokens_per_second=1), 1, 0, id="likely"),
        pytest.param(Workload(parallel=4, min_tokens_per_second=4), 1, 1, id="wanted"),
    ],
)
def test_a_comfortable_machine_likely_gives_each_user_text_as_fast_as_one_reads(
    workload: Workload, least_slow_ends: int, least_slower_than_wanted: int
) -> None:
    """Nobody reads the text of the others, nor buys a machine by the slow end of its pace; but the
    slow end has to reach the pace that was asked for. One reads about 5 tokens a second.
    """
    slow_ends = 0
    slower_than_wanted = 0
    for known in plan_of("mistral-7b", workload).fitting:
        pace = known.users_pace
        assert pace is not None
        if 4.9 < pace.likely < 5.1:
            # as it is printed, so that either is right
            continue
        reads_along = pace.likely > 5
        if known.is_comfortable:
            assert reads_along, known.name
            assert known.is_fast_enough, known.name
            slow_ends += pace.low < 4.9
        elif known.is_fast_enough and not known.is_tight:
            assert not reads_along, known.name
        elif reads_along and not known.is_tight:
            slower_than_wanted += 1
    assert slow_ends >= least_slow_ends
    assert slower_than_wanted >= least_slower_than_wanted


def test_a_machine_that_draws_for_minutes_is_not_fast_enough() -> None:
    """A picture has no pace of text: what counts is whether it takes minutes."""
    slow = [known for known in plan_of(*CASES["pictures"]).fitting if known.is_slow]
    assert slow
    for known in slow:
        assert not known.is_fast_enough, known.name
        assert not known.is_comfortable, known.name


def test_a_file_to_make_takes_the_published_weights_beside_it() -> None:
    """afm-4.5b has 4.6 billion parameters: 9.2 GB in 16 bits, of which llama.cpp's converter first
    makes a file of 16 bits, another 9.2 GB, and then one of about 2.5 GB.
    """
    plan = plan_with(open_catalogue(), *CASES["a file to make"], ())
    assert plan.least is not None
    assert plan.least.disk_bytes is not None
    assert plan.least.disk_bytes == pytest.approx((9.2 + 9.2 + 2.5) * GB, rel=0.05)
    assert any("IQ4_XS" in note and "original weights" in note for note in plan.notes)


def test_where_no_machine_is_sure_and_one_may_do_it_the_answer_is_open() -> None:
    """Of 400 tokens a second some known GPUs may be capable; all others are certainly not."""
    workload = Workload(min_tokens_per_second=400, private=True)
    machines = profiles_of("desktop-rtx4090-24gb", *OF_EACH_SIZE)
    plan = plan_with(open_catalogue(), "mistral-7b", workload, machines)
    routes = {known.route for known in plan.machines}
    assert routes == {Route.UNKNOWN, Route.NEITHER}
    assert not any(known.is_fast_enough for known in plan.machines)
    assert plan.exit_code == 3


def profiles_of(*names: str) -> list[Profile]:
    return [profile for profile in all_profiles() if profile.name in names]


def test_a_gpu_that_shares_the_ram_computes_what_lies_there() -> None:
    """A Mac's GPU does (Metal); a rented computer without a GPU has none, and a card that holds all
    of a model leaves the GPU beside it nothing to do.
    """
    rented = "aws-m7i.large"
    strix = "strix-halo-64gb"
    profiles = profiles_of("macbook-air-m2-16gb", rented, strix, "desktop-rtx4090-24gb")
    (shared,) = profiles_of(strix)
    card = Accelerator(
        vendor="nvidia",
        name="NVIDIA GeForce RTX 4090",
        memory_total_bytes=24 * GIB,
        unified=False,
    )
    machine = shared.machine.replace(accelerators=(*shared.machine.cards, card))
    with_card = shared.replace(name="with-card", machine=machine)
    plan = plan_with(open_catalogue(), "mistral-7b", Workload(), [*profiles, with_card])
    found = {
        known.name: (known.placement, known.by_shared_gpu) for known in plan.machines
    }
    assert found == {
        "macbook-air-m2-16gb": ("host", True),
        rented: ("host", False),
        strix: ("host", True),
        "desktop-rtx4090-24gb": ("accelerator", False),
        "with-card": ("accelerator", False),
    }


def test_the_codes_of_a_known_machine_are_those_that_do_not_pass() -> None:
    names = ("aws-m7i.large", "desktop-rtx4090-24gb", "macbook-air-m2-16gb")
    plan = plan_with(open_catalogue(), "gpt-oss-20b", Workload(), profiles_of(*names))
    for known in plan.machines:
        verdict = check("gpt-oss-20b", machine=known.machine)
        codes = [
            finding.code
            for finding in verdict.findings
            if finding.outcome is not Outcome.PASS
        ]
        assert list(known.codes) == codes


def test_machines_that_do_it_come_from_the_smallest() -> None:
    names = ("desktop-rtx4090-24gb", "macbook-air-m2-16gb", "mac-studio-m3-ultra-512gb")
    plan = plan_with(open_catalogue(), "mistral-7b", Workload(), profiles_of(*names))
    assert [known.name for known in plan.machines] == [
        "macbook-air-m2-16gb",
        "desktop-rtx4090-24gb",
        "mac-studio-m3-ultra-512gb",
    ]
    assert plan_with(open_catalogue(), "mistral-7b", Workload(), []).machines == ()


@pytest.mark.parametrize(
    "model",
    [pytest.param("bge-m3", id="vectors"), pytest.param("whisper-small", id="speech")],
)
def test_what_has_no_pace_of_text_is_as_fast_as_one_reads(model: str) -> None:
    """Vectors and transcripts of a small model are there in seconds: nobody reads along."""
    plan = plan_with(
        open_catalogue(), model, Workload(), profiles_of("desktop-rtx4090-24gb")
    )
    (known,) = plan.machines
    assert not known.is_slow
    assert known.is_fast_enough
    assert known.is_comfortable


@pytest.mark.parametrize(
    ("runtime", "vendors", "required", "runs_in_ram"),
    [
        pytest.param(None, [], False, True, id="a processor will do"),
        pytest.param("mlx", ["apple"], False, True, id="the GPU of a Mac"),
        pytest.param("vllm", ["nvidia"], True, False, id="a card"),
    ],
)
def test_the_least_machine_has_the_gpu_that_the_program_needs(
    runtime: str | None, vendors: list[str], *, required: bool, runs_in_ram: bool
) -> None:
    """MLX runs on Apple's chips, vLLM on cards; a Mac has no memory but its RAM."""
    least = least_of("qwen3-8b", Workload(runtime=runtime))
    assert [card.vendor for card in least.machine.cards] == vendors
    assert (least.machine.platform == "macos-aarch64") is (runtime == "mlx")
    assert least.accelerator.required is required
    # 8.2 billion parameters in 4 bits or more
    assert (least.memory_bytes > 4 * GB) is (runs_in_ram or runtime == "vllm")
    assert (least.cpu.cores is not None) is runs_in_ram
    beside = least.accelerator.memory_beside_bytes
    assert beside is not None
    if runs_in_ram:
        # the card holds the model
        assert beside < least.memory_bytes
    else:
        assert beside == least.memory_bytes


def test_the_ram_beside_a_card_is_for_the_driver_that_takes_most() -> None:
    """A plan names no maker, so its RAM has to do for a card of any: with it each one runs."""
    least = least_of("mistral-7b", Workload())
    beside = least.accelerator.memory_beside_bytes
    for vendor, name in (("nvidia", "NVIDIA H200"), ("amd", "AMD Radeon RX 7900 XTX")):
        card = Accelerator(
            vendor=vendor, name=name, memory_total_bytes=48 * GIB, unified=False
        )
        machine = least.machine.replace(
            memory_total_bytes=beside, memory_limit_bytes=beside, accelerators=(card,)
        )
        verdict = judged("mistral-7b", Workload(), machine)
        assert outcome(verdict, "memory")[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("runtime", "most_gib", "has_least"),
    [
        # the files of four bits are 6.1 GB (Qwen/Qwen3-8B-AWQ), all on a card
        pytest.param("vllm", 5, False, id="card alone"),
        # in 4 bits some 5 GB in RAM
        pytest.param("llama.cpp", 4, False, id="RAM"),
        pytest.param("llama.cpp", 10, True, id="enough"),
    ],
)
def test_a_model_larger_than_any_machine_has_no_least_machine(
    runtime: str, most_gib: int, monkeypatch: pytest.MonkeyPatch, *, has_least: bool
) -> None:
    """A record states no more memory than the most, on a card as in RAM."""
    monkeypatch.setattr("selfhost.advice.plan.MAX_MEMORY_BYTES", most_gib * GIB)
    plan = plan_with(open_catalogue(), "qwen3-8b", Workload(runtime=runtime), ())
    assert (plan.least is not None) is has_least


@pytest.mark.parametrize(
    ("workload", "has_cores", "has_bandwidth"),
    [
        pytest.param(Workload(min_tokens_per_second=0), False, False, id="any pace"),
        pytest.param(
            Workload(min_tokens_per_second=0, prompt_tokens=2000, max_wait_seconds=60),
            True,
            True,
            id="a wait alone",
        ),
        pytest.param(Workload(min_tokens_per_second=5), True, True, id="a pace"),
        # the fastest processors read some 600 GB/s, a hundred of 4 GB a second
        pytest.param(Workload(min_tokens_per_second=400), False, False, id="no RAM"),
    ],
)
def test_cores_and_bandwidth_are_named_where_a_pace_is_wanted_that_they_give(
    workload: Workload, *, has_cores: bool, has_bandwidth: bool
) -> None:
    least = least_of("qwen3-8b", workload)
    assert (least.cpu.cores is not None) is has_cores
    assert (least.bandwidth_bytes_per_second is not None) is has_bandwidth
    assert not least.is_slow


def test_fewer_cores_than_are_named_do_not_reach_the_pace() -> None:
    """With memory of any speed they compute at most twice what is wanted."""
    wanted = 5.0
    least = least_of("qwen3-8b", Workload(min_tokens_per_second=wanted))
    cores = least.cpu.cores
    assert cores is not None
    fast = least.machine.replace(memory_bandwidth_bytes_per_second=10**15)
    paces: list[float] = []
    for count in (cores, cores / 2):
        machine = fast.replace(cpu_cores_usable=count)
        asked = Workload(min_tokens_per_second=wanted)
        speed = judged("qwen3-8b", asked, machine).speed
        assert speed is not None
        assert speed.judged is not None
        paces.append(speed.judged.low)
    assert paces[0] >= 2 * wanted > paces[1]


def test_no_gpu_is_asked_for_where_a_mac_is_too_slow_for_the_prompt() -> None:
    """MLX runs on Macs alone, which take no card; a PC for the same wait takes one."""
    wait = Workload(prompt_tokens=3000, max_wait_seconds=0.05)
    mac = least_of("qwen3-8b", wait.replace(runtime="mlx"))
    assert not mac.accelerator.required
    assert mac.machine.platform == "macos-aarch64"
    assert least_of("qwen3-8b", wait).accelerator.required


def test_a_picture_takes_minutes_on_a_processor() -> None:
    """FLUX.1 dev draws in 28 to 50 steps of 12 billion parameters (its model card)."""
    assert least_of(*CASES["pictures"]).is_slow
    assert not least_of("bge-m3", Workload()).is_slow


@pytest.mark.parametrize(
    ("allowed", "platform"),
    [
        pytest.param((), "linux-x86_64", id="all"),
        pytest.param(("aarch64",), "linux-aarch64", id="one"),
        pytest.param(("aarch64", "x86_64"), "linux-x86_64", id="the first"),
        pytest.param(("s390x",), "linux-x86_64", id="none of them"),
    ],
)
def test_the_first_platform_that_the_model_allows_is_taken(
    allowed: tuple[str, ...], platform: str
) -> None:
    platforms = ("linux-x86_64", "linux-aarch64", "macos-aarch64")
    assert _platform_for(platforms, allowed) == platform


def test_the_least_machine_has_the_instruction_sets_that_are_needed_and_recommended() -> (
    None
):
    least = least_of("mistral-7b", Workload())
    sets = set(least.machine.instruction_sets or ())
    assert least.cpu.instruction_sets
    assert least.cpu.recommended_instruction_sets
    assert set(least.cpu.instruction_sets) <= sets
    assert set(least.cpu.recommended_instruction_sets) <= sets
    assert "x86_64" in least.cpu.architectures


def test_the_time_of_the_download_is_that_of_its_bytes() -> None:
    """4.4 GB at 10 MB a second take 440 seconds (bartowski's Q4_K_M of 4,372,812,000 bytes)."""
    asked = Workload(quantization="Q4_K_M", download_bytes_per_second=10**7)
    plan = plan_with(open_catalogue(), "mistral-7b", asked, ())
    assert plan.download_seconds == pytest.approx(437, rel=0.01)
    closed = plan_with(open_catalogue(), "gpt-4o", asked, ())
    assert closed.download_seconds is None


def test_where_tensors_are_split_ram_alone_is_no_machine() -> None:
    """src/llama.cpp: "LLAMA_SPLIT_MODE_TENSOR needs >= 1 devices", and nothing is loaded."""
    answer = plan("llama-3.3-70b", runtime_options={"sm": "tensor"})
    assert answer.least is not None
    assert answer.least.accelerator.required
    assert answer.fitting
    for known in answer.fitting:
        assert known.accelerator_memory_bytes or known.by_shared_gpu, known.name


AGENT = Workload(context_tokens=65_536, prompt_tokens=20_000, max_wait_seconds=120.0)


@pytest.mark.parametrize(
    ("model", "workload", "machine", "words"),
    [
        pytest.param(
            "gpt-oss-20b", AGENT, "desktop-rtx5060-8gb",
            "; some known machines do with less",
            id="the-rest-in-ram",
        ),
        pytest.param(
            "gpt-oss-120b", Workload(), "gcp-g2-standard-12",
            "; some known machines do with less",
            id="neither-holds-it-alone",
        ),
        pytest.param(
            "gpt-oss-120b", Workload(), "desktop-2x-rtx3090", "", id="ram-holds-it-alone"
        ),
        pytest.param(
            "llama-3.1-8b",
            Workload(
                runtime="vllm", parallel=32, quantization="bfloat16", kv_cache_type="f16"
            ),
            "desktop-rtx4090-24gb",
            " for all 32 at once",
            id="users-wait",
        ),
        pytest.param(
            "llama-3.1-8b",
            Workload(runtime="vllm", quantization="bfloat16"),
            "aws-g4dn.12xlarge",
            "; some known machines do with less",
            id="several-gpus",
        ),
        pytest.param(
            "llama-3.1-8b",
            Workload(runtime="vllm", quantization="bfloat16"),
            "desktop-rtx4090-24gb",
            "",
            id="one-gpu-that-holds-it",
        ),
    ],
)  # fmt: skip
def test_the_need_does_not_contradict_a_machine_that_runs_it_with_less(
    model: str,
    workload: Workload,
    machine: str,
    words: str,
) -> None:
    """A machine of the table may have less GPU memory than one GPU takes for all of the model."""
    plan = plan_with(open_catalogue(), model, workload, profiles_of(machine))
    assert [known.name for known in plan.fitting] == [machine]
    headline = plain(plan_document(plan)).splitlines()[0]
    _, _, after = headline.rpartition("a GPU with ")
    assert re.sub(r"^[\d.]+ GiB", "", after, count=1) == words


def test_the_least_machine_without_a_device_has_no_gpu() -> None:
    workload = Workload(runtime="llama.cpp", runtime_options={"dev": "none"})
    assert not least_of("qwen3-8b", workload).accelerator.required


@pytest.mark.parametrize("device", ["SYCL0", "Vulkan0", "CUDA0"])
def test_a_device_that_an_option_names_is_a_gpu(device: str) -> None:
    """The least machine ran in RAM, and below it stood that it lacks the device."""
    workload = Workload(runtime="llama.cpp", runtime_options={"dev": device})
    answer = plan_of_no_machine("qwen3-8b", workload)
    assert answer.least is not None
    assert answer.least.accelerator.required
    assert not [found for found in answer.reasons if found.check == "accelerator"]


WISHES = [
    pytest.param("mistral-7b", id="usual"),
    pytest.param("mistral-7b --min-speed 30", id="faster-than-ram"),
    pytest.param("gpt-oss-20b --for agent", id="a-wait"),
    pytest.param("k-exaone-236b-a23b --quant awq --users 16", id="users-in-a-type"),
    pytest.param("qwen3-8b --quant fp8 --users 200", id="users-of-a-server"),
    pytest.param("qwen3-8b --runtime vllm", id="a-program-for-gpus"),
    pytest.param("qwen3-8b --runtime vllm --min-speed 50", id="a-pace-on-gpus"),
    pytest.param("qwen3-8b --prompt 3000 --max-wait 0.05s", id="a-short-wait"),
    pytest.param("qwen3-8b --runtime mlx", id="a-mac"),
    pytest.param("gpt-oss-120b --min-speed 10", id="a-pace-in-ram"),
    pytest.param("llama-3.3-70b --min-speed 20", id="large-and-fast"),
    pytest.param("gemma-3-27b --users 20 --min-speed 10", id="users-with-a-pace"),
    pytest.param("afm-4.5b --quant IQ4_XS", id="a-file-to-make"),
    pytest.param("phi-4 --prompt 2000 --max-wait 60s", id="a-prompt-in-ram"),
    pytest.param("flux.1-dev", id="pictures"),
    pytest.param("gpt2 --task finetune", id="training"),
]


# some machines with GPUs of each size: to judge all that are known takes most of a plan's time
OF_EACH_SIZE = (
    "aws-g4dn.xlarge",
    "desktop-rtx5070ti-16gb",
    "aws-g5.xlarge",
    "aws-p5.4xlarge",
    "aws-g5.12xlarge",
    "gcp-a3-highgpu-8g",
)


@pytest.mark.parametrize("wish", WISHES)
def test_check_runs_the_model_on_the_machine_that_plan_prints(
    wish: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 190 plans 12 named a machine on which `check` said that its speed is not known. The
    machine is given as the record of the JSON, and typed by the rows of the text.
    """
    options = PlanOptions.read("plan", wish.split())
    planned = plan_with(
        open_catalogue(),
        " ".join(options.model),
        workload_of(options),
        profiles_of(*OF_EACH_SIZE),
    )
    record = tmp_path / "least.json"
    record.write_text(json.dumps(planned.to_json()["least"]["machine"]))
    code, out, _ = run(
        capsys, "check", *wish.split(), "--machine", str(record), "--json"
    )
    assert (code, json.loads(out)["route"]) == (0, "local")
    typed = typed_as_printed(plain(plan_document(planned, verbose=True)))
    # no words describe a Mac with as little memory as the least one for MLX
    if typed is not None:
        code, out, _ = run(capsys, "check", *wish.split(), *typed)
        assert code == 0, out


def typed_as_printed(text: str) -> list[str] | None:
    """The options that state RAM, GPU, disk, bandwidth and cores as the text of a plan prints them;
    a machine of the table by name. None for a Mac that no words describe.
    """
    head, _, _ = text.partition("   machine ")
    named = re.search(r"that of (\S+) does", head)
    if named:
        return ["--machine", named[1]]
    rows = dict(
        re.findall(r"^  (RAM|GPU memory|disk) +([\d.]+ \w+)", head, re.MULTILINE)
    )
    rows = {name: size.replace(" ", "") for name, size in rows.items()}
    words = [f"{rows['RAM']} RAM", *re.findall(r"\d+ cores?", head), "no GPU"]
    typed = ["--machine", ", ".join(words), "--set", f"disk={rows['disk']}"]
    for fact in re.findall(r"bandwidth=[^)]+", head):
        typed += ["--set", fact]
    if "GPU memory" in rows:
        typed += ["--set", f"gpu={rows['GPU memory']}:NVIDIA H200"]
    elif "which a GPU shares" in head:
        return None
    return typed


@pytest.mark.parametrize(
    ("users", "type", "program"),
    [
        pytest.param(200, "fp8", "vllm", id="fp8"),
        pytest.param(8, "awq", "vllm", id="awq"),
        pytest.param(1, "awq", "transformers", id="one-user"),
        pytest.param(8, "Q4_K_M", "llama.cpp", id="gguf"),
    ],
)
def test_many_users_are_planned_in_the_program_that_serves_them(
    users: int, type: str, program: str
) -> None:
    """Transformers was named, which computes all users together and queues nobody."""
    workload = Workload(parallel=users, quantization=type)
    found = plan_of_no_machine("llama-3.1-8b", workload)
    assert (found.workload.runtime, found.workload.quantization) == (program, type)
    sized = size("llama-3.1-8b", workload)
    assert sized.runtime.id == program


@pytest.mark.parametrize(
    ("model", "workload"),
    [
        pytest.param(
            "llama-3.3-70b",
            Workload(runtime="vllm", parallel=50, min_tokens_per_second=10),
            id="a server was named",
        ),
        pytest.param(
            "mistral-7b",
            Workload(parallel=100, context_tokens=8192, min_tokens_per_second=10),
            id="the smallest way is too slow",
        ),
    ],
)
def test_the_head_speaks_of_the_way_of_the_machine_that_it_names(
    model: str, workload: Workload
) -> None:
    """The head told 218 GiB in bfloat16, "that of aws-g7e.2xlarge does, with nvfp4", which has 95.6
    GiB, and beside it why bfloat16 does not run there.
    """
    plan = plan_with(open_catalogue(), model, workload)
    assert plan.least is not None
    assert not [found for found in plan.reasons if found.outcome is Outcome.FAIL]
    [named] = [row for row in plan.machines if row.machine == plan.least.machine]
    assert named.workload.quantization == plan.workload.quantization
    assert named.workload.runtime == plan.workload.runtime
    pace = named.users_pace
    assert pace is not None
    assert workload.min_tokens_per_second is not None
    assert pace.likely >= workload.min_tokens_per_second


def test_the_least_machine_of_a_server_runs_its_smallest_type() -> None:
    """The head named bfloat16 for a GPU of 48.5 GiB, above rows in fp8 and awq."""
    workload = Workload(runtime="vllm", parallel=50)
    plan = plan_with(open_catalogue(), "qwen3-8b", workload)
    assert plan.least is not None
    stated = workload.replace(quantization="bfloat16")
    in_bfloat16 = plan_with(open_catalogue(), "qwen3-8b", stated)
    assert in_bfloat16.least is not None
    least_bytes = plan.least.accelerator.memory_bytes
    assert least_bytes < in_bfloat16.least.accelerator.memory_bytes


def test_the_first_screen_shows_no_pace_below_the_wanted_one() -> None:
    """A row of 0.5 tokens/s stood below "at least 2 tokens/s each"; all rows are under -v."""
    plan = plan_with(open_catalogue(), "llama-3.3-70b", Workload(parallel=50))
    slow = [known for known in plan.fitting if known.is_slow]
    assert slow
    first = plain(plan_document(plan)).partition("Two of a machine")[0]
    assert not any(f" {known.name} " in first for known in slow)
    every = plain(plan_document(plan, verbose=True))
    assert all(known.name in every for known in slow)
