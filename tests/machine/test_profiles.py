"""Machines by name: what the profiles say, how they are found, and how sure they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.cases import case_id
from helpers.written import run, validate
from selfhost import check
from selfhost.judge.checks import Outcome
from selfhost.machine.gpus import gb_per_s_of
from selfhost.machine.named import named
from selfhost.machine.profiles import Profile, all_profiles, load, machine_called, names
from selfhost.machine.record import Machine

GIB = 2**30
GB = 10**9
ALL = all_profiles()


# GiB, cores, architecture and bytes a second of the memory as the provider's or maker's own page
# states them; None: not stated there
STATED: dict[str, tuple[int, int | None, str, int | None]] = {
    # docs.github.com, GitHub-hosted runners: 4 CPU, 16 GB, 14 GB of SSD; larger runners: 64 cores,
    # 208 GB for Arm and 256 GB for x64
    "github-ubuntu-24.04": (16, 4, "x86_64", None),
    "github-macos-15": (7, 3, "aarch64", None),
    "github-linux-64-core-arm": (208, 64, "aarch64", None),
    "github-linux-64-core": (256, None, "x86_64", None),
    "github-macos-15-xlarge": (14, 5, "aarch64", None),
    # aws.amazon.com, EC2 instance types
    "aws-m7i.large": (8, 2, "x86_64", None),
    "aws-m7g.xlarge": (16, 4, "aarch64", None),
    # docs.gitlab.com, GPU-enabled hosted runners: 4 vCPUs, 15 GB
    "gitlab-saas-linux-medium-amd64-gpu-standard": (15, 4, "x86_64", None),
    # apple.com, MacBook Pro: 546 GB/s
    "macbook-pro-m4-max-48gb": (48, None, "aarch64", 546 * GB),
}


@pytest.mark.parametrize("name", STATED)
def test_a_profile_says_what_its_source_says(name: str) -> None:
    """Sizes, cores and speeds are those of the source, GB and GiB as it means them."""
    machine = load(name).machine
    gib, cores, architecture, rate = STATED[name]
    assert (machine.memory_total_bytes, machine.architecture) == (
        gib * GIB,
        architecture,
    )
    assert cores in (None, machine.cpu_cores_usable)
    assert rate in (None, machine.memory_bandwidth_bytes_per_second)


@pytest.mark.parametrize(
    ("name", "mib"),
    # as nvidia-smi prints them: recordings, and modal-labs/modal-client#2797
    [
        ("aws-g4dn.xlarge", 15360),
        ("azure-NC4as_T4_v3", 15360),
        ("aws-g5.xlarge", 23028),
        ("aws-g6.xlarge", 23034),
        ("gcp-g2-standard-4", 23034),
        ("aws-g6e.xlarge", 46068),
        ("gcp-a2-highgpu-1g", 40960),
        ("server-8x-h200", 143771),
        ("desktop-rtx4080s-16gb", 16376),
    ],
)
def test_a_card_has_what_its_driver_tells(name: str, mib: int) -> None:
    """Cards are sold by the GB and half of them keep a part for themselves: 24 GB of an L4 are 22.5
    GiB.
    """
    cards = load(name).machine.accelerators
    assert cards is not None
    assert cards[0].memory_total_bytes == mib * 2**20


@pytest.mark.parametrize("profile", ALL, ids=lambda profile: profile.name)
def test_every_profile(profile: Profile) -> None:
    """Each is planning, has a source and a confidence, and says of every fact where it is from or
    why it is not there.
    """
    machine = profile.machine
    assert (machine.planning, bool(profile.source), machine.name) == (
        True,
        True,
        profile.name,
    )
    assert machine.confidence in ("high", "medium", "low")
    assert machine.memory_limit_bytes is not None
    for fact in (
        "memory_total_bytes",
        "memory_limit_bytes",
        "cpu_cores_usable",
        "architecture",
        "system",
    ):
        assert profile.name in machine.sources[fact]
    validate(machine.to_json(), "machine-1")
    assert Machine.from_json(machine.to_json()) == machine
    for card in machine.accelerators or ():
        # a card whose memory's speed nobody knows could not be judged for speed
        assert card.unified or gb_per_s_of(card.name) is not None, card.name


@pytest.mark.parametrize("profile", ALL[::3], ids=lambda profile: profile.name)
def test_what_a_profile_does_not_state_is_never_unknown(profile: Profile) -> None:
    """Of every third disk, processor and speed are judged, with a warning where they rest on what
    is assumed.
    """
    verdict = check("gpt2", machine=profile.machine)
    outcomes = {finding.check: finding.outcome for finding in verdict.findings}
    checks = ("disk", "cpu", "speed", "memory")
    assert Outcome.UNKNOWN not in [outcomes[name] for name in checks]
    assert verdict.can_run
    for fact, name in (("disks", "disk"), ("instruction_sets", "cpu")):
        # what the processor may lack slows nothing that lies on a GPU
        is_beside = (
            name == "cpu" and verdict.needs and verdict.needs.placement == "accelerator"
        )
        if fact in profile.machine.assumed and not is_beside:
            assert outcomes[name] is Outcome.WARN
    is_on_host = verdict.needs is not None and verdict.needs.placement == "host"
    if is_on_host and "memory_bandwidth_bytes_per_second" in profile.machine.assumed:
        assert outcomes["speed"] is Outcome.WARN


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ubuntu 24.04", "github-ubuntu-24.04"),
        ("G5.XLARGE", "aws-g5.xlarge"),
        ("g2-standard-4", "gcp-g2-standard-4"),
        ("nc4as_t4_v3", "azure-NC4as_T4_v3"),
        ("MacBook-Pro-M4-Max-48GB", "macbook-pro-m4-max-48gb"),
        ("ubuntu-latest", "github-ubuntu-24.04"),
        ("macos-latest", "github-macos-15"),
        ("macos-15", "github-macos-15"),
        ("macos-14 GitHub runner", "github-macos-15"),
        ("linux_16_core_arm", "github-linux-16-core-arm"),
        (
            "saas-linux-medium-amd64-gpu-standard",
            "gitlab-saas-linux-medium-amd64-gpu-standard",
        ),
    ],
    ids=case_id,
)
def test_names(typed: str, name: str) -> None:
    """Any case, any separator, and without the provider's name."""
    assert [machine.name for machine, _ in filter(None, [machine_called(typed)])] == [
        name
    ]


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "x",
        "\x1b[31m",
        "🙂",
        "a" * 100_000,
        "../machines/dgx-spark",
        "dgx-spark.toml",
    ],
)
def test_what_is_no_name(typed: str) -> None:
    """Nothing outside the list is found or read."""
    assert machine_called(typed) is None


def test_an_unknown_machine_names_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the nearest profiles and what else to state; exit 2, also as JSON."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "check", "gpt2", "--machine", "g5.xlarg")
    assert (code, out, "selfhost machine --profiles" in err) == (2, "", True)
    code, out, err = run(
        capsys, "check", "gpt2", "--machine", "g5.xlarg", "--format", "json"
    )
    problem = json.loads(err)
    validate(problem, "error-1")
    assert (code, out) == (2, "")
    assert "aws-g5.xlarge" in problem["nearest"]


def test_a_file_that_is_called_as_a_profile_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bare name is a profile first; with a separator, or where no profile has the name, it is the
    file.
    """
    record = json.dumps(
        {"schema": "selfhost.machine/1", "name": "mine", "memory_limit_bytes": 1}
    )
    monkeypatch.chdir(tmp_path)
    for name in ("dgx-spark", "own"):
        (tmp_path / name).write_text(record, encoding="utf-8")

    def judged(word: str) -> str:
        out = run(capsys, "check", "gpt2", "--machine", word, "--format", "json")[1]
        return str(json.loads(out)["machine"]["name"])

    assert judged("dgx-spark") == "dgx-spark"
    assert judged("./dgx-spark") == "mine"
    assert judged("own") == "mine"


def test_a_described_machine_can_be_put_among_records(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`machine --machine` prints a record that says what its words say, and what of it is
    assumed.
    """
    words = "ryzen 7 5800x 32gb rtx 3060"
    code, out, err = run(
        capsys, "machine", "--machine", words, "--name", "w1", "--format", "json"
    )
    assert (code, words in err) == (0, True)
    record = tmp_path / "w1.json"
    record.write_text(out)
    machine = Machine.from_file(record)
    assert machine == named(words)[0].replace(name="w1")
    assert (machine.planning, machine.is_this_one) == (True, False)
    code, out, _ = run(capsys, "machine", "--machine", words, "--set", "memory=64GiB")
    assert (code, "64.0 GiB" in out, "Assumed" in out) == (0, True, True)
    code, out, err = run(capsys, "machine", "--machine", words, "--root", str(tmp_path))
    assert (code, out, "leave --root out" in err) == (2, "", True)


def test_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, as text and as JSON with source, confidence and what to do where it is not
    high.
    """
    code, out, err = run(capsys, "machine", "--profiles")
    assert (code, err) == (0, "")
    assert all(name in out for name in names())
    code, out, err = run(capsys, "machine", "--profiles", "--format", "json")
    listed = json.loads(out)
    validate(listed, "profiles-1")
    assert (code, err) == (0, "")
    assert {one["name"] for one in listed["profiles"]} == set(names())
    assert run(capsys, "machine", "--profiles", "--name", "x")[0] == 2
