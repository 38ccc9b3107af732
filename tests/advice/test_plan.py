"""The least machine for a model, and the known ones that run it: held against `check`, which the plan must not contradict."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.schemas import validate
from selfhost import Workload, check, plan
from selfhost.advice.plan import Least, Plan, make_plan
from selfhost.catalogue.names import resolve
from selfhost.catalogue.opened import open_catalogue
from selfhost.cli import main as cli
from selfhost.core import units
from selfhost.judge.checks import Outcome
from selfhost.judge.record import Route, Verdict
from selfhost.machine.changes import apply
from selfhost.machine.profiles import all_profiles
from selfhost.machine.record import Accelerator, Machine
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain
from selfhost.reports.plan_text import plan_document

GIB, GB = 2**30, 10**9


@pytest.mark.parametrize("model", ["gpt-oss-120b", "llama-3.3-70b-instruct", "qwen3-14b"])
def test_no_machine_that_a_model_fills_is_the_first_of_its_kind(model: str) -> None:
    """Nobody buys a 64 GB machine for a model of 60 GB: of each kind the smallest is named that leaves other programs room, where there is one."""
    answer = make_plan(open_catalogue().spec(model), Workload(), open_catalogue(), all_profiles())
    lines = plain(plan_document(answer, verbose=False), 100).splitlines()
    every = {candidate.name: candidate for candidate in answer.fitting}
    shown = [
        candidate for name, candidate in every.items() if any(f" {name} " in row for row in lines)
    ]
    assert shown
    for candidate in shown:
        roomy = [other for other in answer.fitting if answer.is_comfortable(other)]
        if any(other.kind == candidate.kind for other in roomy):
            assert not candidate.is_tight, candidate.name
    # -v has them all, and says which are full
    wide = plain(plan_document(answer, verbose=True), 140).splitlines()
    for name, candidate in every.items():
        row = next(row for row in wide if f" {name} " in row)
        assert ("little left" in row) is candidate.is_tight


CASES: dict[str, tuple[str, Workload]] = {
    "faster-whisper": ("whisper-small", Workload(runtime="faster-whisper")),
    "default": ("mistral-7b", Workload()),
    "small": ("gpt2", Workload()),
    "long context": ("llama-3.1-8b", Workload(context_tokens=32_768, parallel=2)),
    "mixture of experts": ("gpt-oss-120b", Workload(min_tokens_per_second=10)),
    "large": ("deepseek-v3", Workload()),
    "speech": ("whisper-small", Workload()),
    "transformers": ("opt-1.3b", Workload()),
    "a runtime for one system": ("mistral-7b", Workload(runtime="mlx")),
    "a runtime for GPUs": ("mistral-7b", Workload(runtime="vllm")),
    "a large one for GPUs": (
        "llama-3.3-70b-instruct",
        Workload(runtime="vllm", quantization="awq"),
    ),
    "a quantization for GPUs": ("qwen3-8b", Workload(runtime="transformers", quantization="fp8")),
    "16 bits in faster-whisper": (
        "whisper-large-v3",
        Workload(runtime="faster-whisper", quantization="float16"),
    ),
    "pictures": ("flux.1-dev", Workload()),
    "pictures in one type": ("flux.1-dev", Workload(runtime="diffusers", quantization="bfloat16")),
    "video": ("wan2.1-t2v-14b", Workload()),
    "fine-tuning": ("gpt2", Workload(task="finetune")),
    "a reserve": ("mistral-7b", Workload(reserve_bytes=4 * GIB)),
    "a pace of each": ("mistral-7b", Workload(parallel=4, min_tokens_per_second=4)),
    "any pace": ("mistral-7b", Workload(min_tokens_per_second=0)),
}


@cache
def plan_of(model: str, workload: Workload) -> Plan:
    catalogue = open_catalogue()
    return make_plan(
        catalogue.spec(resolve(model, catalogue).spec_id), workload, catalogue, all_profiles()
    )


@cache
def least_of(model: str, workload: Workload) -> Least:
    """The least machine alone: that every known one is judged takes most of a plan's time."""
    catalogue = open_catalogue()
    spec = catalogue.spec(resolve(model, catalogue).spec_id)
    least = make_plan(spec, workload, catalogue, ()).least
    assert least is not None
    return least


def judged(model: str, workload: Workload, machine: Machine) -> Verdict:
    """As `check` judges it, from the record as it would be written to a file."""
    return check(
        model, workload, machine=Machine.from_json(json.loads(json.dumps(machine.to_json())))
    )


def outcome(verdict: Verdict, name: str) -> tuple[Outcome, str]:
    finding = verdict.finding(name)
    assert finding is not None
    return finding.outcome, finding.code


@pytest.mark.parametrize("case", CASES)
def test_the_least_machine_runs_it_and_one_byte_less_does_not(case: str) -> None:
    """`check` passes on the plan's machine; with one byte less of memory, or of disk, it is no longer sure."""
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
    # of training the method is stated: without it a smaller machine gets the next of the list
    same = workload.replace(finetune_method=verdict.workload.finetune_method)
    assert (
        judged(
            model, same, least.machine.replace(memory_total_bytes=size, memory_limit_bytes=size)
        ).route
        is not Route.LOCAL
    )
    assert least.disk_bytes is not None
    disks = tuple(
        disk.replace(free_bytes=least.disk_bytes - 1, total_bytes=least.disk_bytes - 1)
        for disk in least.machine.disks or ()
    )
    assert outcome(judged(model, workload, least.machine.replace(disks=disks)), "disk") == (
        Outcome.WARN,
        "disk-tight",
    )


@pytest.mark.parametrize(
    "case", ["a runtime for GPUs", "a quantization for GPUs", "a large one for GPUs"]
)
def test_the_least_gpu_is_what_check_accepts_and_one_byte_less_is_not(case: str) -> None:
    """vLLM takes its least with an option, on one card or in equal parts on several; nobody is told
    a card that `check` refuses, or a larger one than a machine of the list has.
    """
    model, workload = CASES[case]
    least = least_of(model, workload)
    (card,) = least.machine.accelerators or ()
    parts = [(1, least.accelerator.memory_bytes)]
    if least.accelerator.parts is not None:
        parts.append(least.accelerator.parts)
    for number, size in parts:
        for missing in (0, 1):
            cards = (card.replace(memory_total_bytes=size - missing),) * number
            there = least.machine.replace(
                accelerators=cards, memory_total_bytes=2**40, memory_limit_bytes=2**40
            )
            is_local = judged(model, workload, there).route is Route.LOCAL
            assert is_local is not bool(missing), (number, size)


@pytest.mark.parametrize(
    "case",
    ["default", "long context", "mixture of experts", "a pace of each", "large", "transformers"],
)
def test_the_bandwidth_reaches_the_wanted_speed_and_less_does_not(case: str) -> None:
    """With it the slow end is as wanted; a tenth of a gigabyte less is not enough; the smaller figure is enough for the likely pace."""
    model, workload = CASES[case]
    least, wanted = least_of(model, workload), workload.min_tokens_per_second or 2.0
    sure, perhaps = least.bandwidth_bytes_per_second, least.bandwidth_perhaps_bytes_per_second
    assert sure is not None
    assert perhaps is not None

    def decode(rate: int) -> Any:
        speed = judged(
            model, workload, least.machine.replace(memory_bandwidth_bytes_per_second=rate)
        ).speed
        assert speed is not None
        total = speed.parallel_total
        return total.shared_by(4) if case == "a pace of each" and total else speed.decode

    assert decode(sure).low >= wanted
    assert decode(sure - GB // 10).low < wanted
    assert perhaps <= sure
    assert decode(perhaps).likely >= wanted


@pytest.mark.parametrize(
    "case",
    ["default", "small", "long context", "large", "a runtime for GPUs", "a quantization for GPUs", "faster-whisper",
     "16 bits in faster-whisper"],
)  # fmt: skip
def test_the_accelerator_holds_all_of_it_and_a_smaller_one_does_not(case: str) -> None:
    """One with that much memory takes the whole model, beside the RAM that is named; with a byte less it does not."""
    model, workload = CASES[case]
    least = least_of(model, workload)
    ram = least.accelerator.memory_beside_bytes

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
    # one byte less holds it only where the program is started to take less
    fewer = placed(least.accelerator.memory_bytes - 1)
    finding = fewer.finding("accelerator")
    assert finding is not None
    assert fewer.route is not Route.LOCAL or finding.code == "accelerator-lean"


def test_more_asked_never_takes_a_smaller_machine() -> None:
    """Memory grows with the context, the cache and the quantization's size, bandwidth with the speed."""

    def sizes(*workloads: Workload) -> list[int]:
        return [least_of("mistral-7b", workload).memory_bytes for workload in workloads]

    contexts = sizes(*(Workload(context_tokens=tokens) for tokens in (1024, 4096, 8192, 32_768)))
    assert contexts == sorted(set(contexts))
    assert sizes(Workload(parallel=1)) < sizes(Workload(parallel=4))
    quantizations = sizes(
        *(Workload(quantization=name) for name in ("Q4_K_M", "Q5_K_M", "Q8_0", "F16"))
    )
    assert quantizations == sorted(set(quantizations))
    paces = [
        least_of("mistral-7b", Workload(min_tokens_per_second=pace)).bandwidth_bytes_per_second or 0
        for pace in (1, 2, 5, 10)
    ]
    assert paces == sorted(set(paces))
    assert paces[0] > 0


def test_the_reserve_is_the_one_asked_for() -> None:
    """`--reserve` is kept on top of what the model takes."""
    plain_one, reserved = least_of(*CASES["default"]), least_of(*CASES["a reserve"])
    assert reserved.reserve_bytes == 4 * GIB
    assert reserved.memory_bytes - plain_one.memory_bytes == 4 * GIB - plain_one.reserve_bytes


def test_a_speed_that_no_ram_reaches_has_no_bandwidth() -> None:
    """What cannot be had is not given a figure."""
    least = least_of("deepseek-v3", Workload(min_tokens_per_second=500))
    assert (
        least.cpu.cores,
        least.bandwidth_bytes_per_second,
        least.bandwidth_perhaps_bytes_per_second,
    ) == (None, None, None)


@pytest.mark.parametrize(
    "case", ["default", "mixture of experts", "large", "a runtime for one system"]
)
def test_known_machines_fare_as_check_says(case: str) -> None:
    """Every profile's route is that of `check --machine`; those that run it come first, the smaller before the larger."""
    model, workload = CASES[case]
    plan = plan_of(model, workload)
    assert {candidate.profile.name for candidate in plan.machines} == {
        profile.name for profile in all_profiles()
    }
    # every fifteenth of them is asked
    for candidate in plan.machines[::15]:
        route = check(model, workload, machine=candidate.profile.machine).route
        assert candidate.route is route
    fitting = plan.fitting
    assert fitting
    assert plan.machines[: len(fitting)] == fitting
    sizes = [
        (candidate.profile.machine.memory_limit_bytes or 0)
        + sum(
            card.memory_total_bytes or 0
            for card in candidate.profile.machine.accelerators or ()
            if not card.unified
        )
        for candidate in fitting
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("model", "speed", "machine"),
    [("llama-3.1-405b", 30.0, "server-8x-b200"), ("llama-3.3-70b", 60.0, "server-8x-b200")],
)
def test_a_no_holds_for_the_programs_of_several_gpus_too(
    model: str, speed: float, machine: str
) -> None:
    """llama.cpp gives whole layers to each GPU and is too slow; where vLLM, which computes on all at
    once, reaches the speed on a known machine, the answer is not that none does. Each that is named
    runs it by the options that are proposed.
    """
    plan = plan_of(model, Workload(min_tokens_per_second=speed))
    assert plan.exit_code == 0
    assert machine in {candidate.name for candidate in plan.fitting}
    assert any("llama.cpp no known machine" in note for note in plan.notes)
    for candidate in plan.fitting:
        assert check(model, plan.workload, machine=candidate.name).route is Route.LOCAL
        assert candidate.workload.quantization == plan.workload.quantization
    assert f"--runtime {plan.workload.runtime} --quant" in plan.options


def test_what_a_machine_is_judged_with_is_said() -> None:
    """The heading counts 4,096 tokens of examples; where only shorter ones fit, the text says so of the machine, and the record of each."""
    plan = plan_of("llama-3.3-70b", Workload(task="finetune", finetune_method="qlora"))
    text = " ".join(plain(plan_document(plan, verbose=True)).split())
    shorter = [candidate for candidate in plan.fitting if candidate.workload.context_tokens == 2048]
    assert plan.workload.context_tokens == 4096
    assert shorter
    assert text.count("2,048 tokens of context") == len(shorter)
    asked = Workload(task="finetune", finetune_method="qlora")
    here = check(plan.model, asked, machine="mac-studio-m1-ultra-64gb")
    assert here.workload.context_tokens == 2048
    assert "mac-studio-m1-ultra-64gb" in {candidate.name for candidate in shorter}


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
    """Closed weights, a context beyond the model's, a license that forbids it: no size is named, the reason is, and nothing fits."""
    plan = plan_of(model, workload)
    assert plan.least is None
    assert [finding.check for finding in plan.reasons if finding.outcome is Outcome.FAIL] == [
        failed
    ]
    assert (plan.fitting, plan.exit_code) == ((), 1)


def test_a_need_that_is_not_known_is_no_plan(tmp_path: Path) -> None:
    """Without a known need there is no figure, and no machine runs it for sure: 3, never 0."""
    (tmp_path / "mine.toml").write_text(
        'schema = 1\nid = "mine"\nname = "Mine"\nmodality = "text"\n[unknown]\narchitecture = "not published"\n',
        encoding="utf-8",
    )
    catalogue = open_catalogue([tmp_path])
    plan = make_plan(catalogue.spec("mine"), Workload(), catalogue, all_profiles())
    assert (plan.least, plan.exit_code) == (None, 3)
    assert any("memory" in finding.check for finding in plan.reasons)


def test_somebodys_own_needs_are_planned_for(tmp_path: Path) -> None:
    """A spec of a few lines is enough: stated memory and disk, no speed."""
    (tmp_path / "own.toml").write_text(
        'schema = 1\nid = "own"\nname = "Own"\n[needs]\nmemory_bytes = 8_589_934_592\ndisk_bytes = 1_000_000_000\nsource = "x"\n',
        encoding="utf-8",
    )
    catalogue = open_catalogue([tmp_path])
    plan = make_plan(catalogue.spec("own"), Workload(), catalogue, all_profiles())
    assert plan.least is not None
    assert plan.least.memory_bytes - plan.least.reserve_bytes == 8 * GIB
    assert (plan.exit_code, plan.least.cpu.architectures) == (0, ())


# ------------------------------------------------------------------ reports and the command line


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("mistral-7b", "--context", "8k"), 0),
        (("whisper-small",), 0),
        (("mistral-7b", "--runtime", "vllm"), 0),
        (("gpt-4o",), 1),
        (("deepseek-v3", "--min-speed", "500"), 1),
    ],
)
def test_json_keeps_its_schema_and_the_exit_code(
    words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every answer validates; the code in it is the process's; every known machine has its route."""
    exit_code, out, err = run(capsys, "plan", *words, "--format", "json")
    answer = json.loads(out)
    validate(answer, "plan-1")
    assert (exit_code, answer["exit_code"], err) == (code, code, "")
    assert len(answer["machines"]) == len(all_profiles())
    assert (code == 0) == any(machine_row["route"] == "local" for machine_row in answer["machines"])


@pytest.mark.parametrize(("words", "code"), [(("whisper-small",), 0), (("gpt-4o",), 1)])
def test_text_has_the_exit_code_of_the_json(
    words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "plan", *words)[0] == code


def test_the_machine_of_the_plan_is_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The least machine, saved from the JSON, passes `check --machine FILE`; the first known one `check --machine NAME`."""
    answer = json.loads(
        run(capsys, "plan", "mistral-7b", "--context", "16k", "--format", "json")[1]
    )
    file = tmp_path / "least.json"
    file.write_text(json.dumps(answer["least"]["machine"]), encoding="utf-8")
    assert run(capsys, "check", "mistral-7b", "--context", "16k", "--machine", str(file))[0] == 0
    assert (
        run(
            capsys,
            "check",
            "mistral-7b",
            "--context",
            "16k",
            "--machine",
            answer["machines"][0]["name"],
        )[0]
        == 0
    )


def test_what_is_proposed_asks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The command at the end carries what was asked, and answers 0."""
    code, out, _ = run(
        capsys, "plan", "llama3.1:8b", "--context", "8k", "--kv-cache", "q8_0", "--commercial"
    )
    (line,) = [
        line.strip() for line in out.splitlines() if line.strip().startswith("selfhost check")
    ]
    assert code == 0
    assert "--context 8192" in line
    assert "--kv-cache q8_0" in line
    assert run(capsys, *line.split()[1:])[0] == 0


@pytest.mark.parametrize("model", ["llama-3.3-70b", "mistral:7b-instruct-v0.3-q8_0"])
def test_the_proposed_command_gives_the_pace_of_the_table(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a larger machine `check` takes more bits where nothing is stated, and is slower: 13.5 tokens/s of Llama 3.3 70B on an A100, not the 18 of the table."""
    out = run(capsys, "plan", model)[1]
    (line,) = [text.strip() for text in out.splitlines() if text.startswith("  selfhost check")]
    command = line.partition(" --machine")[0].split()[1:]
    for candidate in plan(model).fitting[::20]:
        answer = run(capsys, *command, "--machine", candidate.name, "--format", "json")[1]
        speed = json.loads(answer)["speed"]
        assert candidate.decode_tokens_per_second is not None
        assert speed["decode"]["likely"] == pytest.approx(
            candidate.decode_tokens_per_second.likely, rel=0.01
        ), candidate.name


def test_a_quantization_in_the_name_is_planned_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A tag that names a quantization is understood as `check` understands it."""
    answer = json.loads(run(capsys, "plan", "mistral:7b-instruct-v0.3-q8_0", "--format", "json")[1])
    assert answer["workload"]["quantization"] == "Q8_0"
    assert answer["least"]["memory_bytes"] > least_of("mistral-7b", Workload()).memory_bytes


def test_a_spec_that_says_little_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spec without an architecture is no error: what is not known is said."""
    (tmp_path / "mine.toml").write_text(
        'schema = 1\nid = "mine"\nname = "Mine"\n[unknown]\narchitecture = "secret"\n',
        encoding="utf-8",
    )
    code, out, err = run(capsys, "plan", "mine", "--specs", str(tmp_path))
    assert (code, err) == (3, "")
    assert "Mine" in out


@pytest.mark.parametrize(
    "words",
    [
        ("no-such",),
        ("mistral-7b", "--quant", "Q9"),
        ("mistral-7b", "--context", "0"),
        ("mistral-7b", "--machine", "dgx-spark"),
        (),
    ],
)
def test_bad_input_is_no_answer(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and an empty standard output; a plan is for every machine, so it takes none."""
    code, out, err = run(capsys, "plan", *words)
    assert (code, out) == (2, "")
    assert err


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("case", ["default", "large", "a runtime for GPUs", "speech"])
def test_the_text_fits_the_terminal(case: str, width: int) -> None:
    """No line is wider than the terminal but for commands, which are to be copied; the least RAM stands in it."""
    plan = plan_of(*CASES[case])
    text = plain(plan_document(plan, verbose=True), width)
    assert all(len(line) <= width for line in text.splitlines() if "selfhost check" not in line)
    assert "RAM" in text


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_still_shows_how_fast(width: int) -> None:
    """Kind, place and confidence give way before the pace, which is what tells the machines apart."""
    shown = plain(plan_document(plan_of(*CASES["default"])), width)
    assert "tokens/s" in next(
        line for line in shown.splitlines() if line.strip().startswith("machine ")
    )


def rows_of(shown: str) -> dict[str, str]:
    """The rows of the table of known machines, by their names."""
    table_rows = re.findall(r"^[✓?] +(\S+)( .*)$", shown, re.M)
    return {name: row for name, row in table_rows if name.islower()}


def test_the_text_names_some_of_each_kind_and_says_how_sure_it_is() -> None:
    """Laptops are not buried under CI runners: the first screen has six machines, each of another kind. --verbose has them all, and says
    which figures are not sure."""
    plan = plan_of(*CASES["default"])
    short, full = plain(plan_document(plan)), plain(plan_document(plan, verbose=True))
    rows = rows_of(short)
    shown = [candidate.profile.kind for candidate in plan.fitting if candidate.profile.name in rows]
    assert len(shown) == len(set(shown)) == 6
    assert "laptop" in shown
    assert f"{len(plan.fitting) - 6} more: -v" in short
    assert all(candidate.profile.name in full for candidate in plan.fitting)
    assert " medium" in full


def test_no_machine_below_reading_speed_is_named_where_its_kind_has_a_faster_one() -> None:
    """Nobody buys a desktop for 3 tokens/s of Gemma 3 27B who can have one with a GPU."""
    planned = plan("gemma-3-27b")
    rows = rows_of(plain(plan_document(planned), 200))
    shown = [candidate for candidate in planned.fitting if candidate.name in rows]
    read = {
        candidate.kind
        for candidate in planned.fitting
        if candidate.decode_tokens_per_second is not None
        and candidate.decode_tokens_per_second.low >= 5
    }
    assert {"cloud", "desktop"} <= read
    for candidate in shown:
        assert candidate.decode_tokens_per_second is not None
        assert candidate.decode_tokens_per_second.likely >= 5 or candidate.kind not in read, (
            candidate.name
        )


@pytest.mark.parametrize("model", ["mistral-7b", "qwen3-14b", "gpt2"])
def test_what_the_text_says_is_enough_is(model: str) -> None:
    """The figures as printed, given to `check` with --set, pass; of disks, the one for a large disk where the disk is large."""
    plan = plan_of(model, Workload())
    assert plan.least is not None
    shown = plain(plan_document(plan), 200)
    figures = {
        name: re.search(rf"^  {name} +([\d.,]+ \w+(?:/s)?)", shown, re.M)
        for name in ("RAM", "disk", "bandwidth")
    }
    large = re.search(r"large disks: ([\d.]+ GB)", shown)
    assert large is not None
    told = {name: match[1] for name, match in figures.items() if match is not None}
    assert len(told) == 3
    for disk, size in ((told["disk"], 0), (large[1], 10**12)):
        disks = tuple(disk.replace(total_bytes=size) for disk in plan.least.machine.disks or ())
        settings = [
            f"memory={told['RAM']}",
            f"disk={disk}",
            f"bandwidth={told['bandwidth']}:measured",
        ]
        verdict = check(
            model, Workload(), machine=apply(plan.least.machine.replace(disks=disks), settings)
        )
        outcomes = {finding.check: finding.outcome for finding in verdict.findings}
        assert (outcomes["memory"], outcomes["disk"]) == (Outcome.PASS, Outcome.PASS)
        assert verdict.speed is not None
        assert verdict.speed.decode is not None
        assert verdict.speed.decode.low >= 2


def test_a_gpu_that_shares_the_ram_is_where_it_runs() -> None:
    """On a Mac the RAM holds it and the GPU computes it; on a laptop without one the processor does."""
    shown = plain(plan_document(plan_of("mistral-7b", Workload()), verbose=True), 120)
    rows = rows_of(shown)
    assert " GPU, little left " in rows["macbook-air-m2-8gb"]
    assert " RAM, little left " in rows["laptop-ddr4-8gb"]


def test_a_plan_counts_apart_what_runs_and_what_may() -> None:
    """A profile whose range begins below the wanted speed only may do it; the line to type next names one that does."""
    plan = plan_of("llama-3.1-8b", Workload(min_tokens_per_second=10))
    sure = [
        candidate
        for candidate in plan.fitting
        if candidate.decode_tokens_per_second is not None
        and candidate.decode_tokens_per_second.low >= 10
    ]
    shown = plain(plan_document(plan))
    assert 0 < len(sure) < len(plan.fitting)
    assert (
        f"runs on {len(sure)} of {len(plan.machines)} known machines, and may on {len(plan.fitting) - len(sure)} more"
        in shown
    )
    assert shown.rstrip().endswith(f"--machine {sure[0].profile.name}")
    # the first screen has those that are fast enough for sure before those that may be
    assert set(rows_of(shown)) <= {candidate.profile.name for candidate in sure}
    full = plain(plan_document(plan, verbose=True))
    assert {name for name, _ in re.findall(r"^✓ +(\S+-\S+)( )", full, re.M)} == {
        candidate.profile.name for candidate in sure
    }
    plain_answer = plain(plan_document(plan_of("llama-3.1-8b", Workload(min_tokens_per_second=0))))
    assert ", and may on" not in plain_answer


def test_a_plan_of_slow_work_is_headed_as_check_heads_it() -> None:
    """A video in RAM takes days: where `check` says so the plan does not count it as running like the others."""
    plan = plan_of("wan2.1-t2v-14b", Workload(runtime="diffusers"))
    for candidate in plan.fitting[::12]:
        verdict = check(plan.model, plan.workload, machine=candidate.profile.machine)
        head = plain(check_document([verdict])).splitlines()[0]
        assert ("RUNS SLOWLY" in head or "RUNS, TAKES" in head) is candidate.is_slow, candidate.name
    slow = sum(candidate.is_slow for candidate in plan.fitting)
    shown = plain(plan_document(plan))
    assert 0 < slow < len(plan.fitting)
    assert f"and slowly on {slow} more" in shown
    assert "or slowly in" in shown.splitlines()[0]


def test_what_only_servers_run_comes_with_what_runs_at_home() -> None:
    """Issue 18: in `plan` a smaller model of the same use is proposed, by the rank of `list`; and why that machine is named, which nobody asked about."""
    planned = plan("llama-3.1-405b")
    instead = [note for note in planned.notes if "runs instead" in note]
    assert len(instead) == 2
    for note in instead:
        kind, machine, model = re.findall(
            r"^No known (\w+) runs it(?: for sure)?\. On one of middle size, (\S+), (\S+) runs instead",
            note,
        )[0]
        of_kind = [candidate for candidate in planned.machines if candidate.kind == kind.lower()]
        assert machine in {candidate.name for candidate in of_kind}
        assert not any(candidate.route is Route.LOCAL for candidate in of_kind)
        verdict = check(model, machine=machine)
        assert verdict.route is Route.LOCAL
        assert model == check("llama-3.1-405b", machine=machine).alternatives[0].id
    assert not any("runs instead" in note for note in plan("mistral-7b").notes)


def test_a_macbook_is_a_laptop() -> None:
    """It said that no known laptop runs Llama 70B above a row with a MacBook Pro that does."""
    planned = plan("llama-3.3-70b")
    macbooks = {each.name for each in planned.fitting if each.name.startswith("macbook")}
    assert macbooks
    assert not any("No known laptop" in note for note in planned.notes)


def test_what_one_card_for_desktops_does_not_hold_is_planned_for_several() -> None:
    """Two cards of 24 GB are what self-hosters build for a 70B (Q4_K_M takes 42.5 GB, README of bartowski's repository)."""
    model, workload = "llama-3.3-70b", Workload()
    planned = plan_of(model, workload)
    assert planned.least is not None
    assert planned.least.accelerator.parts is not None
    number, each_bytes = planned.least.accelerator.parts
    assert number == 2
    assert 42.5e9 / 2 < each_bytes <= 24 * units.GIB
    for missing_bytes, place in ((0, "accelerator"), (units.GIB // 8, "split")):
        card = Accelerator(
            vendor="nvidia",
            name="NVIDIA GeForce RTX 3090",
            memory_total_bytes=each_bytes - missing_bytes,
            unified=False,
        )
        there = planned.least.machine.replace(accelerators=(card, card))
        needs = judged(model, workload, there).needs
        assert needs is not None
        assert needs.placement == place
    shown = plain(plan_document(planned))
    assert f"{units.binary_at_least(each_bytes)} on each of 2" in " ".join(shown.split())
    assert "2 x 24.0 GiB" in rows_of(shown)["desktop-2x-rtx3090"]
    assert plan_of("mistral-7b", Workload()).least.accelerator.parts is None  # type: ignore[union-attr]


def test_cards_that_a_plan_names_for_training_hold_it_whoever_trains() -> None:
    """Of a full training the trainer decides whether 16 or 8 bytes a parameter are kept: the likely 16 have to fit."""
    workload = Workload(task="finetune", finetune_method="full")
    planned = plan_of("llama-3.1-8b", workload)
    assert planned.least is not None
    assert planned.least.accelerator.parts is not None
    number, each_bytes = planned.least.accelerator.parts
    assert number * each_bytes > 16 * 8.03e9
    card = Accelerator(vendor="nvidia", name="A card", memory_total_bytes=each_bytes, unified=False)
    there = planned.least.machine.replace(
        accelerators=(card,) * number, memory_total_bytes=2**50, memory_limit_bytes=2**50
    )
    assert judged("llama-3.1-8b", workload, there).can_run


def test_a_plan_says_that_it_knows_no_prices_and_how_to_hold_one_against_an_api() -> None:
    """Who plans a purchase looks for a price first; one without a day and a source would be worse than none."""
    shown = " ".join(plain(plan_document(plan_of("llama-3.3-70b", Workload()))).split())
    assert "No prices of hardware are known here." in shown
    options = re.findall(r"add (--tokens-per-day .*) PRICE to:", shown)[0]
    command = shown.rpartition("selfhost ")[2]
    assert cli.main([*command.split(), *options.split(), "1600", "--dollar-price", "1"]) == 0


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("sdxl", "pace"),
        ("whisper-large-v3", "pace"),
        ("bge-m3", "pace"),
        ("mistral-7b", "tokens/s"),
    ],
)
def test_the_pace_of_other_work_is_told_in_its_own_unit(model: str, title: str) -> None:
    """The column said tokens/s for pictures and had no figure in it; it has the likely figure that `check` tells there."""
    planned = plan(model)
    shown = plain(plan_document(planned))
    header = next(line for line in shown.splitlines() if " machine " in line)
    assert title in header
    name = "aws-g4dn.xlarge"
    speed = check(model, machine=name).speed
    assert speed is not None
    if speed.work is not None:
        likely = units.work_cell(speed.work.likely, speed.unit)
        assert likely in rows_of(plain(plan_document(planned, verbose=True)))[name]


def test_pictures_are_planned_in_the_smallest_type_that_check_takes() -> None:
    """The plan asked for 37.6 GiB of GPU and named an 8 GB laptop that runs it; what is asked for is not changed."""
    smallest = plan("flux.1-dev")
    assert smallest.least is not None
    running = [candidate.profile.machine for candidate in smallest.fitting]
    sizes = [size for each in running if (size := each.memory_total_bytes) is not None]
    assert smallest.least.memory_bytes <= min(sizes)
    assert any(note.startswith("bfloat16 in diffusers") for note in smallest.notes)
    stated = plan("flux.1-dev", Workload(runtime="diffusers", quantization="bfloat16"))
    assert stated.least is not None
    assert stated.least.memory_bytes > smallest.least.memory_bytes
    # types that need a GPU do not hide that the model runs in RAM
    in_ram = plan("sd3.5-large")
    assert in_ram.least is not None
    assert not in_ram.least.accelerator.required
    assert any(note.startswith("nf4 in diffusers takes a GPU of") for note in in_ram.notes)
    assert plan("sdxl", Workload(quantization="float32")).workload.quantization == "float32"


def test_the_disk_holds_the_most_of_a_size_that_is_a_range() -> None:
    """A `UD-` file of Qwen3 8B may be larger than the middle of its range: `check` warns of a disk that the middle just fits, and `plan` told such a one."""
    name, workload = "qwen3-8b", Workload(quantization="UD-Q4_K_XL")
    planned = plan_of(name, workload)
    assert planned.needs is not None
    assert planned.needs.download_range is not None
    assert planned.least is not None
    most = planned.needs.download_range[1]
    assert planned.least.disk_bytes is not None
    assert planned.least.disk_bytes > most > (planned.needs.disk_bytes or 0)
    assert outcome(judged(name, workload, planned.least.machine), "disk")[0] is Outcome.PASS
    assert outcome(judged(name, workload, with_disk(planned, most - 1)), "disk")[0] is Outcome.WARN


def with_disk(planned: Plan, free_bytes: int) -> Machine:
    """The least machine with another disk."""
    assert planned.least is not None
    machine = planned.least.machine
    disks = [disk.replace(free_bytes=free_bytes) for disk in machine.disks or ()]
    return machine.replace(disks=tuple(disks))


@pytest.mark.parametrize("model", ["sdxl", "wan-2.1-1.3b"])
def test_the_machine_that_is_proposed_has_a_pace_where_any_has(model: str) -> None:
    """A machine whose pace nothing tells stood first, and its pace was a dash that nothing explained."""
    planned = plan_of(model, Workload())
    shown = plain(plan_document(planned))
    proposed = shown.rpartition("--machine ")[2].strip()
    candidate = {candidate.name: candidate.speed for candidate in planned.machines}
    assert candidate[proposed] is not None
    assert candidate[proposed].work is not None  # type: ignore[union-attr]
    assert next(iter(rows_of(shown))) == proposed
    shown_names = set(rows_of(shown))
    has_dash = any(
        each.speed is None or each.speed.work is None
        for each in planned.machines
        if each.name in shown_names
    )
    assert ("how fast it is there is not known" in shown) == has_dash


def test_a_wanted_pace_changes_no_memory_of_cards(capsys: pytest.CaptureFixture[str]) -> None:
    """What eight cards must hold is the same at any pace: only the machines that reach it are fewer."""
    lines = [
        next(
            line.split()
            for line in run(capsys, "plan", "deepseek-v3", *words)[1].splitlines()
            if "on each of" in line
        )
        for words in ((), ("--min-speed", "500"))
    ]
    assert lines[0] == lines[1]


def test_a_need_stated_as_one_figure_does_not_say_what_ram_lies_beside_a_gpu() -> None:
    """Inkling's is its publisher's figure of the whole: no RAM beside the GPU would be a false fact."""
    assert least_of("inkling", Workload()).accelerator.memory_beside_bytes is None
    assert least_of("mistral-7b", Workload()).accelerator.memory_beside_bytes is not None
