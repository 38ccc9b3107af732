"""What if: `--set`, what is assumed of a planned machine, and what the verdict makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.paths import RECORDS
from helpers.written import run
from selfhost import Workload, check
from selfhost.judge.checks import Finding, Outcome
from selfhost.machine.changes import SettingError, apply, planned, value_of
from selfhost.machine.description import cards_named
from selfhost.machine.named import named
from selfhost.machine.record import (
    MAX_CORES,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    MEASURED,
    MIN_CORES,
    PURPOSES,
    Accelerator,
    Disk,
    Machine,
)
from selfhost.machine.words import UnknownGpuError, UnknownMachineError

GIB = 2**30
GB = 10**9
HERE = Machine.from_file(RECORDS / "vm-24gib.json")
BARE = Machine.from_file(RECORDS / "memory-only.json")
# as `file` prints: the model is small, so that what is judged is the machine
MODEL = "gpt2"


def finding(
    name: str, machine: Machine, workload: Workload | None = None, model: str = MODEL
) -> Finding:
    found = check(model, workload, machine=machine).finding(name)
    assert found is not None
    return found


# Apple: "external GPUs" need an Intel processor (support.apple.com/102103)
ON_APPLE: tuple[tuple[str, list[str], list[str], str | None], ...] = (
    ("M2 16GB", [], ["2x RTX 5090"], "--machine '2x RTX 5090'"),
    ("M2 16GB", ["gpu=24GiB"], [], "takes cards"),
    ("M2 16GB", ["gpu=none"], [], None),
    ("M2 16GB", ["system=linux"], [], None),
    ("github-macos-15-intel", [], ["RX 6900 XT"], None),
)


@pytest.mark.parametrize(("name", "settings_given", "gpus", "remedy"), ON_APPLE)
def test_a_chip_of_apples_takes_no_card(
    name: str, settings_given: list[str], gpus: list[str], remedy: str | None
) -> None:
    """What no computer can have is refused with what to type; what a record states is not."""
    machine = named(name)[0]
    if remedy is None:
        apply(machine, settings_given, [*map(cards_named, gpus)])
        return
    with pytest.raises(SettingError) as caught:
        apply(machine, settings_given, [*map(cards_named, gpus)])
    assert remedy in str(caught.value.problems[0].remedy)
    stated = machine.replace(
        accelerators=(Accelerator(vendor="nvidia", name="RTX 4090"),)
    )
    apply(stated, ["memory=8GiB"])


def test_a_named_gpu_takes_the_place_of_the_machines_own() -> None:
    """All else but the disk is the machine's; the record says whose word the figures are."""
    machine = apply(HERE, [], [cards_named("RTX 4090")])
    (card,) = machine.accelerators or ()
    assert (card.name, card.memory_total_bytes) == (
        "NVIDIA GeForce RTX 4090",
        24564 * 2**20,
    )
    assert card.memory_bandwidth_bytes_per_second == 1008 * GB
    assert machine.planning
    assert machine.name == f"{HERE.name} with RTX 4090"
    assert '--gpu "RTX 4090"' in machine.sources["accelerators"]
    for fact in ("memory_limit_bytes", "cpu_cores_usable", "cpu_model", "system"):
        assert getattr(machine, fact) == getattr(HERE, fact)
    assert Machine.from_json(machine.to_json()).accelerators == machine.accelerators
    assert finding("accelerator", machine).code == "accelerator-fits"


def test_no_gpu_may_be_named() -> None:
    machine = apply(HERE, [], [cards_named("RTX 4090")])
    assert apply(machine, [], [cards_named("none")]).accelerators == ()


@pytest.mark.parametrize(
    ("settings_given", "names", "message"),
    [
        (["gpu=24GiB", "gpu=None"], [], "set several times"),
        (["gpu=24GiB"], ["RTX 4090"], "both say which GPUs"),
        ([], ["none", "RTX 4090"], "none means no GPU"),
        ([], ["40x L4", "40x L4"], "80 GPUs"),
    ],
)
def test_named_gpus_that_make_no_sense(
    settings_given: list[str], names: list[str], message: str
) -> None:
    """All faults at once, each with what to type."""
    with pytest.raises(SettingError, match=message) as caught:
        apply(HERE, [*settings_given, "cores=many"], [*map(cards_named, names)])
    problems = [str(problem) for problem in caught.value.problems if problem.remedy]
    assert [problem.startswith(("--gpu", "--set")) for problem in problems] == [
        True,
        True,
    ]


WITH_AVX2 = ("avx2", "fma", "sse", "sse2", "avx", "sse4_2", "sse4_1", "ssse3", "pni")


@pytest.mark.parametrize(
    ("setting", "fact", "value"),
    [
        ("memory=16GiB", "memory_total_bytes", 16 * GIB),
        ("memory=16GiB", "memory_limit_bytes", 16 * GIB),
        ("memory=16 GB", "memory_total_bytes", 16 * GB),
        ("memory=16 GB", "memory_available_bytes", None),
        ("cores=8", "cpu_cores_usable", 8.0),
        ("cores=0.5", "cpu_cores_usable", 0.5),
        ("bandwidth=80GB/s", "memory_bandwidth_bytes_per_second", 80 * GB),
        ("bandwidth=50 GiBps", "memory_bandwidth_bytes_per_second", 50 * GIB),
        ("gpu=none", "accelerators", ()),
        ("architecture=arm64", "architecture", "aarch64"),
        ("system=Darwin", "system", "macos"),
        ("instruction_sets=AVX2,fma", "instruction_sets", WITH_AVX2),
        ("instruction-sets=none", "instruction_sets", ("sse", "sse2")),
    ],
)
def test_a_setting_sets_its_facts(setting: str, fact: str, value: Any) -> None:
    """Each key says what the machine would have, in the units people write; the fact's source is
    the setting.
    """
    machine = apply(HERE, [setting])
    assert getattr(machine, fact) == value
    assert value is None or "--set" in machine.sources[fact]
    assert machine.planning
    assert setting in machine.name
    for other in ("disks", "runtimes", "swap_free_bytes"):
        assert getattr(machine, other) == getattr(HERE, other)
    assert apply(HERE, []) is HERE


def test_disk_is_the_free_space_of_every_place() -> None:
    """Places that were read get it, and every kind of store has a place then, whether it was read
    or not.
    """
    assert {disk.free_bytes for disk in apply(HERE, ["disk=3GB"]).disks or ()} == {
        3 * GB
    }
    made = apply(BARE, ["disk=500GB"])
    assert {disk.purpose for disk in made.disks or ()} == set(PURPOSES)
    assert finding("disk", made).code == "disk-fits"
    disk = Disk(
        purpose="llama.cpp", path="~", free_bytes=GB, total_bytes=2 * GB, writable=True
    )
    small = HERE.replace(disks=(disk,))
    grown = apply(small, ["disk=500GB"]).disk_for("llama.cpp")
    assert grown is not None
    assert (grown.free_bytes, grown.total_bytes) == (500 * GB, 500 * GB)


@pytest.mark.parametrize("size", ["0", "0GB", "0.0 GiB"])
def test_a_disk_may_be_full(size: str) -> None:
    full = apply(HERE, [f"disk={size}"])
    assert {disk.free_bytes for disk in full.disks or ()} == {0}


def test_the_disk_of_this_computer_decides_nothing_of_one_with_other_gpus() -> None:
    small = apply(HERE, ["disk=3GB"])
    found = finding(
        "disk", apply(small, [], [cards_named("8x H200")]), model="kimi-k2-instruct"
    )
    assert found.outcome is Outcome.WARN
    kept = apply(small, ["disk=3GB"], [cards_named("8x H200")])
    assert finding("disk", kept, model="kimi-k2-instruct").outcome is Outcome.FAIL


FAULTS = {
    "memry=16GiB": "memory=16GiB",
    "vram=16GiB": "gpu=16GiB",
    "memory=16": "unit",
    "memory=0GiB": "nothing",
    "memory=3 bananas": "bananas",
    "memory=9999999TiB": "no machine",
    "cores=many": "cores=8",
    "cores=٣": "the digits 0 to 9",
    "bandwidth=fast": "80GB/s",
    "bandwidth=80Gb/s": "80GB/s",
    "bandwidth=80Gbps": "bits",
    "memory=16,5GiB": "16.5GiB",
    "gpu=big": "gpu=24GiB",
    "gpu=24GiB:\x1b[31m": "plain text",
    "gpu=24GiB,24GiB": "gpu=2x24GiB",
    "gpu=999x24GiB": "gpu=2x24GiB",
    "bandwidth=80GB/s:peak": "80GB/s:measured",
    "architecture=arm65": "aarch64",
    "system=linx": "linux",
    "instruction_sets=avx 2": "avx2,fma",
    "=": "memory",
    "": "memory=16GiB",
    "\x1b[31mx=1": "memory",
}


@pytest.mark.parametrize("setting", FAULTS, ids=case_id)
def test_a_fault_says_what_to_write(setting: str) -> None:
    """A setting that makes no sense is an error with what to write instead, and nothing in it moves
    a terminal.
    """
    with pytest.raises(SettingError) as caught:
        apply(HERE, [setting])
    assert FAULTS[setting] in str(caught.value)
    assert "\x1b" not in str(caught.value)


keys = st.sampled_from(["memory", "cores", "disk", "gpu", "system"])


@given(
    st.lists(
        st.text(max_size=30) | st.tuples(keys, st.text()).map("=".join), max_size=3
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)
def test_any_text_is_a_setting_or_a_fault(words: list[str]) -> None:
    """No text makes another error, and what is accepted is a record that can be written and
    read.
    """
    try:
        machine = apply(HERE, words)
    except SettingError:
        return
    assert Machine.from_json(machine.to_json()) == machine


def test_what_a_planned_machine_does_not_state_is_assumed() -> None:
    """Disk, cores and instruction sets: marked, warned of with the word, never unknown and never
    passed over.
    """
    machine = apply(BARE, ["memory=16GiB", "architecture=x86_64", "system=linux"])
    assert set(machine.assumed) == {"disks", "instruction_sets", "cpu_cores_usable"}
    verdict = check(MODEL, machine=machine)
    codes = {one.check: (one.outcome, one.code) for one in verdict.findings}
    assert codes["disk"] == (Outcome.WARN, "disk-assumed")
    assert codes["cpu"] == (Outcome.WARN, "cpu-assumed")
    assert codes["speed"][0] is Outcome.WARN
    for name in ("disk", "cpu", "speed"):
        assert "assumed" in finding(name, machine).reason.lower()
    assert verdict.can_run
    assert not check(MODEL, machine=BARE).can_run


def test_a_folder_of_records_is_judged_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check --machine DIR` answers for each; commands that answer for one machine say so; a folder
    with one record is that record.
    """
    for name in ("vm-24gib.json", "container-2gib.json"):
        shutil.copy(RECORDS / name, tmp_path)
    words = ("check", "mistral-7b", "--machine", str(tmp_path), "--format", "json")
    code, out, _ = run(capsys, *words)
    answers = {
        one["machine"]["name"]: one["can_run"] for one in json.loads(out)["verdicts"]
    }
    assert (code, answers) == (1, {"container-2gib": False, "vm-24gib": True})
    code, out, err = run(capsys, "list", "--machine", str(tmp_path))
    assert (code, out, "2 machines" in err) == (2, "", True)
    (tmp_path / "container-2gib.json").unlink()
    assert run(capsys, "show", "mistral-7b", "--machine", str(tmp_path))[0] == 0
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    code, out, err = run(capsys, "check", "mistral-7b", "--machine", str(tmp_path))
    assert (code, out, "broken.json" in err) == (2, "", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "1000x24GiB",
            "names 1,000 GPUs, and selfhost judges at most 64",
            id="1000x24GiB",
        ),
        pytest.param(
            "100x24GiB",
            "names 100 GPUs, and selfhost judges at most 64",
            id="100x24GiB",
        ),
        pytest.param(
            "65x24GiB:A:9GB/s",
            "names 65 GPUs, and selfhost judges at most 64",
            id="65 named",
        ),
        pytest.param(
            "1000x RTX 4090",
            "names 1,000 GPUs, and selfhost judges at most 64",
            id="by name",
        ),
        pytest.param(
            "100000 x h100",
            "names 100,000 GPUs, and selfhost judges at most 64",
            id="apart",
        ),
        pytest.param(
            "RTX 4090 x1000",
            "names 1,000 GPUs, and selfhost judges at most 64",
            id="behind",
        ),
        pytest.param("0x24GiB", "names 0 GPUs", id="none of a size"),
        pytest.param("0x RTX 4090", "names 0 GPUs", id="none by name"),
    ],
)
def test_a_number_of_gpus_that_is_not_judged_is_told(text: str, reason: str) -> None:
    """Neither "is not a size" nor "no GPU is called": the number is the reason."""
    with pytest.raises(SettingError) as caught:
        apply(BARE, [f"gpu={text}"])
    assert reason in caught.value.problems[0].message
    if "GiB" not in text:
        with pytest.raises(UnknownGpuError, match=reason):
            cards_named(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("999x RTX 4090", "999", id="three digits"),
        pytest.param("10000x RTX 4090, 64GB RAM", "10,000", id="five digits"),
        pytest.param("RTX 4090 x100000", "100,000", id="behind the name"),
        pytest.param("123456789012x RTX 4090", "123,456,789,012", id="twelve digits"),
        pytest.param("1000x RTX 4090", "1,000", id="four digits"),
        pytest.param("RTX 4090 x1000, 64GB RAM", "1,000", id="before a part"),
        pytest.param("1000 x H100", "1,000", id="apart"),
        pytest.param("RTX 4090 x 1000", "1,000", id="behind and apart"),
        pytest.param("RTX 4090 times 1000", "1,000", id="in words"),
        pytest.param("1000*H100", "1,000", id="star"),
        pytest.param("RTX 4090 + 9999x RTX 3090", "9,999", id="of the second name"),
    ],
)
def test_a_machine_with_too_many_gpus_is_not_judged_by_one(
    text: str, count: str
) -> None:
    with pytest.raises(UnknownMachineError, match=f"names {count} GPUs"):
        named(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("1.5x RTX 4090", "1.5x", id="fraction"),
        pytest.param("65 RTX 4090", "65", id="no x"),
        pytest.param("1000x DGX Spark", "1000x", id="computers"),
        pytest.param("20x i5-8250U 16GB", "20x", id="processors"),
        pytest.param("100x 24GB VRAM, 32GB RAM", "100x", id="GPUs without a name"),
    ],
)
def test_a_count_that_is_not_understood_does_not_become_one(
    text: str, count: str
) -> None:
    with pytest.raises(UnknownMachineError, match=f"reads {count} neither as a number"):
        named(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("3\u0307" * 400 + "gb", id="RAM"),
        pytest.param("3\u0307" * 400 + "gb/s RTX 4090", id="bandwidth"),
        pytest.param("2x" + "3\u0307" * 400 + "gb", id="modules"),
        pytest.param("i5-8250U 16GB " + "3\u0307" * 400 + "threads", id="threads"),
        pytest.param("RTX 4090 " + "3\u0307" * 20 + "x", id="count"),
    ],
)
def test_a_number_without_end_is_refused_however_it_is_spelled(text: str) -> None:
    """A dot above each digit, which is left out, made the number one that no float holds."""
    with pytest.raises(UnknownMachineError, match="is not a number that selfhost"):
        named(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x570 board RTX 3090 32GB", id="chipset"),
        pytest.param("ryzen 5800x x399 RTX 3090 32GB", id="chipset behind"),
        pytest.param("RTX 3090 5800 x 32GB", id="processor apart"),
        pytest.param("2022 RTX 3060 laptop 16GB", id="year"),
    ],
)
def test_a_number_that_counts_no_gpus_is_no_count(text: str) -> None:
    """`x570` was read as 570 GPUs."""
    assert len(named(text).machine.accelerators or ()) == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("64x24GiB", 64, id="64x24GiB"),
        pytest.param("3090x2", 2, id="3090x2"),
        pytest.param("2x 3090", 2, id="2x 3090"),
    ],
)
def test_a_number_of_gpus_is_read(text: str, count: int) -> None:
    """A number that belongs to the name counts nothing."""
    assert len(apply(BARE, [f"gpu={text}"]).accelerators or ()) == count


@pytest.mark.parametrize(
    ("key", "most"),
    [
        pytest.param("memory", MAX_MEMORY_BYTES, id="memory"),
        pytest.param("disk", MAX_DISK_BYTES, id="disk"),
    ],
)
def test_a_size_may_be_as_large_as_a_record_may_state(key: str, most: int) -> None:
    """A record of the machine takes sizes up to that one, and no larger one."""
    assert value_of(key, f"{most}B") == most
    with pytest.raises(SettingError, match="no machine has that much"):
        value_of(key, f"{most + 1}B")
    assert value_of(key, "1B") == 1


@pytest.mark.parametrize("cores", [MIN_CORES, MAX_CORES])
def test_cores_may_be_as_few_and_as_many_as_a_record_may_state(cores: float) -> None:
    machine = apply(BARE, [f"cores={cores}"])
    assert machine.cpu_cores_usable == cores
    assert Machine.from_json(machine.to_json()).cpu_cores_usable == cores


@pytest.mark.parametrize("cores", ["0.0001", "0", "99999999"])
def test_cores_beyond_those_are_refused(cores: str) -> None:
    with pytest.raises(SettingError, match="it must be from"):
        apply(BARE, [f"cores={cores}"])


@pytest.mark.parametrize(
    ("text", "how", "source"),
    [
        pytest.param("80GB/s", None, "--set bandwidth=80GB/s", id="peak"),
        pytest.param(
            "80GB/s:Measured",
            MEASURED,
            "measured, by --set bandwidth=80GB/s:Measured",
            id="measured",
        ),
    ],
)
def test_a_measured_bandwidth_is_told_from_a_peak(
    text: str, how: str | None, source: str
) -> None:
    machine = apply(BARE, [f"bandwidth={text}"])
    assert machine.memory_bandwidth_bytes_per_second == 80 * GB
    assert machine.memory_bandwidth_how == how
    assert machine.sources["memory_bandwidth_bytes_per_second"] == source


@pytest.mark.parametrize(
    ("text", "name", "rate"),
    [
        pytest.param("24GiB", "GPU with 24.0 GiB", None, id="size"),
        pytest.param("24GiB:Mine", "Mine", None, id="name"),
        pytest.param("24GiB:900GB/s", "GPU with 24.0 GiB", 900 * GB, id="rate"),
        pytest.param("24GiB:Mine:900GB/s", "Mine", 900 * GB, id="name and rate"),
        pytest.param("1x24GiB:Mine:900GB/s", "Mine", 900 * GB, id="one of them"),
    ],
)
def test_a_gpu_of_a_size_has_the_name_and_the_rate_that_were_stated(
    text: str, name: str, rate: int | None
) -> None:
    (card,) = apply(BARE, [f"gpu={text}"]).cards
    assert (card.name, card.memory_bandwidth_bytes_per_second) == (name, rate)
    assert (card.memory_total_bytes, card.unified) == (24 * GIB, False)


def test_a_further_setting_adds_a_gpu_and_sets_nothing_else_twice() -> None:
    """The record says both settings that the cards are from."""
    machine = apply(BARE, ["gpu=24GiB", "gpu=2x16GiB"])
    sizes = [card.memory_total_bytes for card in machine.cards]
    assert sizes == [24 * GIB, 16 * GIB, 16 * GIB]
    assert machine.sources["accelerators"] == "--set gpu=24GiB, gpu=2x16GiB"


@pytest.mark.parametrize(
    "settings_given",
    [
        pytest.param(["memory=8GiB", "memory=16GiB"], id="memory"),
        pytest.param(["cores=8", "cores=8"], id="alike"),
        pytest.param(["instruction_sets=avx2", "instruction-sets=fma"], id="sets"),
        pytest.param(["gpu=none", "gpu=24GiB"], id="a GPU beside none"),
        pytest.param(["gpu=24GiB", "gpu=none"], id="none beside a GPU"),
    ],
)
def test_what_is_set_twice_is_refused(settings_given: list[str]) -> None:
    with pytest.raises(SettingError, match="is set several times"):
        apply(BARE, settings_given)


def test_as_many_gpus_as_are_judged_may_be_named_together() -> None:
    machine = apply(BARE, [], [cards_named("32x L4"), cards_named("32x L4")])
    assert len(machine.cards) == 64


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        pytest.param("ram=16", "did you mean memory=16GB?", id="a bare size"),
        pytest.param("ram=16GiB", "did you mean memory=16GiB?", id="a size"),
        pytest.param("vram=16", "did you mean gpu=16GB?", id="a bare size of a GPU"),
        pytest.param("threads=16", "did you mean cores=16?", id="a count"),
        pytest.param("threads", "write for example cores=8", id="no value"),
        pytest.param("qqqqqqq=1", "one of architecture, memory, cores,", id="no key"),
        pytest.param("memory=", "has no value", id="nothing"),
        pytest.param("system=qqqqqqq", "write one of linux, macos, windows", id="word"),
        pytest.param("system=windos", "did you mean windows?", id="a slip"),
        pytest.param("gpu=RTX 409O", "RTX 409", id="a slip of a GPU"),
    ],
)
def test_a_slip_is_answered_with_what_was_likely_meant(setting: str, told: str) -> None:
    """A bare number of a size is in gigabytes, as memory is sold; one of cores counts."""
    with pytest.raises(SettingError) as caught:
        apply(BARE, [setting])
    assert told in str(caught.value)


READ = BARE.replace(
    architecture="x86_64",
    cpu_model="AMD Ryzen 5 7600",
    cpu_cores_usable=6.0,
    cpu_cores_physical=6,
    instruction_sets=("avx2",),
    memory_bandwidth_bytes_per_second=60 * GB,
    memory_bandwidth_how=MEASURED,
)


@pytest.mark.parametrize(
    ("setting", "lost"),
    [
        pytest.param("architecture=amd64", {}, id="its own architecture"),
        pytest.param(
            "architecture=arm64",
            {"cpu_model": None, "memory_bandwidth_bytes_per_second": None},
            id="another architecture",
        ),
        pytest.param("cores=6", {"cpu_cores_physical": None}, id="its own cores"),
        pytest.param(
            "cores=4",
            {"cpu_cores_physical": None, "memory_bandwidth_bytes_per_second": None},
            id="other cores",
        ),
        pytest.param("memory=64GiB", {}, id="memory"),
    ],
)
def test_what_was_read_of_another_machine_no_longer_holds(
    setting: str, lost: dict[str, None]
) -> None:
    """Other cores read memory at another pace than was measured; another architecture is another
    processor. What the machine has anyway changes nothing.
    """
    machine = apply(READ, [setting])
    for fact in (
        "cpu_model",
        "cpu_cores_physical",
        "memory_bandwidth_bytes_per_second",
    ):
        assert getattr(machine, fact) == lost.get(fact, getattr(READ, fact)), fact


def test_other_cores_leave_a_peak_of_the_memory_as_it_was() -> None:
    """The peak is that of the modules, whatever reads them."""
    stated = READ.replace(memory_bandwidth_how=None)
    machine = apply(stated, ["cores=4"])
    assert machine.memory_bandwidth_bytes_per_second == 60 * GB


@pytest.mark.parametrize(
    ("total_gb", "grown_gb"),
    [
        pytest.param(1000, 1000, id="a larger disk"),
        pytest.param(100, 500, id="a smaller disk"),
        pytest.param(None, None, id="not known"),
    ],
)
def test_a_disk_is_no_smaller_than_what_is_free_of_it(
    total_gb: int | None, grown_gb: int | None
) -> None:
    total_bytes = None if total_gb is None else total_gb * GB
    disk = Disk(purpose="ollama", path="/models", total_bytes=total_bytes)
    found = apply(BARE.replace(disks=(disk,)), ["disk=500GB"]).disk_for("ollama")
    assert found is not None
    assert found.path == "/models"
    assert found.writable is True
    assert found.total_bytes == (None if grown_gb is None else grown_gb * GB)


@pytest.mark.parametrize(
    ("sizes", "cores"),
    [
        # AWS m7i and GitHub's runners have a core for each 4 GiB
        pytest.param({"memory_limit_bytes": 16 * GIB}, 4, id="16 GiB"),
        pytest.param({"memory_total_bytes": 16 * GIB}, 4, id="total alone"),
        pytest.param({"memory_limit_bytes": 2 * GIB}, 1, id="at least one"),
        pytest.param({"memory_limit_bytes": 2048 * GIB}, 64, id="at most 64"),
        pytest.param(
            {"memory_limit_bytes": 8 * GIB, "memory_total_bytes": 64 * GIB},
            2,
            id="a part of the memory",
        ),
        pytest.param({}, None, id="no memory"),
    ],
)
def test_cores_that_nobody_states_are_assumed_of_the_memory(
    sizes: dict[str, Any], cores: int | None
) -> None:
    machine = planned(Machine(scope="vm", **sizes))
    assert machine.cpu_cores_usable == cores
    assert ("cpu_cores_usable" in machine.assumed) is (cores is not None)
    if cores is not None:
        assert "one for each 4.00 GiB" in machine.sources["cpu_cores_usable"]


@pytest.mark.parametrize(
    ("scope", "model", "physical", "performance"),
    [
        # Intel's product page: 6 cores for performance and 8 efficient ones
        pytest.param(
            "host", "13th Gen Intel(R) Core(TM) i5-13600K", 14, 6, id="two kinds"
        ),
        # AMD's product page: 6 cores
        pytest.param(
            "host", "AMD Ryzen 5 7600 6-Core Processor", 6, None, id="one kind"
        ),
        # a guest has a part of them
        pytest.param("vm", "AMD Ryzen 5 7600 6-Core Processor", None, None, id="guest"),
    ],
)
def test_a_host_has_the_cores_that_its_maker_lists(
    scope: str, model: str, physical: int | None, performance: int | None
) -> None:
    bare = Machine(scope=scope, cpu_model=model, memory_total_bytes=128 * GIB)
    machine = planned(bare)
    assert machine.cpu_cores_physical == physical
    assert machine.cpu_cores_performance == performance
    # what the maker lists is known; a guest's are counted by its 128 GiB
    assert ("cpu_cores_usable" in machine.assumed) is (physical is None)
    if physical is None:
        assert machine.cpu_cores_usable == 32
    # what was counted on the machine stays
    counted = planned(bare.replace(cpu_cores_usable=3.0))
    assert counted.cpu_cores_usable == 3
    assert "cpu_cores_usable" not in counted.assumed


def test_each_fact_of_a_disk_that_is_not_stated_is_assumed() -> None:
    full = Disk(purpose="ollama", path="/", free_bytes=0)
    unread = Disk(purpose="llama.cpp", path="/")
    machine = planned(BARE.replace(disks=(full, unread)))
    disks = {fact for fact in machine.assumed if fact.startswith("disks")}
    assert disks == {
        "disks.llama.cpp.free_bytes",
        "disks.huggingface",
        "disks.whisper.cpp",
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("hp zgx nano 4tb", id="GB10"),
        pytest.param("dgx spark 4tb ssd", id="DGX Spark"),
        pytest.param("rtx spark 64gb", id="N1X"),
    ],
)
def test_a_processor_beside_a_gpu_has_the_sets_of_its_cores(text: str) -> None:
    """A Cortex-X925 is an Armv9.2 core (Arm): it has SVE2, and asimddp, which Armv8.4 demands. Such
    machines were told that they may have no asimddp.
    """
    machine = planned(named(text).machine)
    assert {"asimddp", "i8mm", "sve2"} <= set(machine.instruction_sets or ())
    assert "instruction_sets" in machine.assumed


def test_instruction_sets_that_were_read_are_not_assumed() -> None:
    """A processor with AVX2 has SSE2 (Intel's manual), whatever a record lists."""
    machine = planned(READ)
    assert "instruction_sets" not in machine.assumed
    assert {"avx2", "sse2"} <= set(machine.instruction_sets or ())
    guessed = planned(READ.replace(instruction_sets=None))
    assert "instruction_sets" in guessed.assumed
    assert guessed.sources["instruction_sets"].startswith("assumed: ")


def typed_on(**facts: Any) -> Machine:
    """This machine, without a GPU, with these facts."""
    return HERE.replace(is_this_one=True, accelerators=(), **facts)


def test_where_a_question_is_typed_paces_no_layers_beside_a_gpu_that_is_not_there() -> (
    None
):
    """With an RTX 4070 Ti 12 GB, 12.7 tokens/s were seen with a part in RAM
    (AlexsJones/llmfit#983); two cores of a virtual machine that has no GPU told 1.4 to 4.6.
    """
    workload = Workload(runtime="ollama", quantization="IQ3_XXS", context_tokens=65_536)
    ranges = []
    for cores in (2, 64):
        here = typed_on(cpu_cores_physical=cores, cpu_cores_usable=float(cores))
        machine = apply(here, (), [cards_named("RTX 4070 Ti")])
        verdict = check("qwen3.8-27b", workload, machine=machine)
        assert verdict.placement == "split"
        assert verdict.speed is not None
        assert verdict.speed.decode is not None
        ranges.append(verdict.speed.decode)
    slow, fast = ranges
    assert slow == fast
    assert slow.low < 12.7 < slow.high


@pytest.mark.parametrize(
    ("gpu", "here"),
    [
        pytest.param("none", typed_on(), id="no GPU is asked for"),
        pytest.param(
            "RTX 4070 Ti",
            typed_on().replace(accelerators=cards_named("RTX 3060").accelerators),
            id="another one is there",
        ),
    ],
)
def test_the_processor_of_the_computer_with_the_gpus_stays(
    gpu: str, here: Machine
) -> None:
    changed = apply(here, (), [cards_named(gpu)])
    assert changed.cpu_model == here.cpu_model
    assert changed.cpu_cores_usable == here.cpu_cores_usable
