"""`check MODEL --machines FILE --spread ENGINE`: real models over recorded machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.paths import SCHEMAS
from helpers.schemas import validate
from selfhost import Machine, Workload
from selfhost.audit.spread import engine_named, spread
from selfhost.catalogue.opened import open_catalogue
from selfhost.cli import main as cli
from selfhost.judge.record import Route
from selfhost.machine.record import Accelerator, Disk

GIB = 2**30
SCHEMA = json.loads((SCHEMAS / "spread-1.json").read_text(encoding="utf-8"))
CATALOGUE = open_catalogue()
EIGHT_K = Workload(context_tokens=8192)


# facts beside memory that could rule a machine out
READ: dict[str, Any] = {
    "architecture": "x86_64",
    "instruction_sets": (
        "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "popcnt", "sse", "sse2", "sse3", "pni", "cx16",
        "sse4_1", "sse4_2", "ssse3", "avx512f",
    ),
    "disks": tuple(
        Disk(purpose=purpose, path="models", free_bytes=10**12, total_bytes=10**12)
        for purpose in ("huggingface", "llama.cpp")
    ),
}  # fmt: skip


def machine(name: str, free_gib: float | None, **facts: Any) -> Machine:
    free = None if free_gib is None else int(free_gib * GIB)
    memory = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")
    return Machine(
        name=name,
        system="linux",
        **{**dict.fromkeys(memory, free), "accelerators": (), **READ, **facts},
    )


def fleet(*free_gib: float | None) -> list[Machine]:
    return [machine(f"m{number}", free) for number, free in enumerate(free_gib, 1)]


def ask(
    engine: str, machines: list[Machine], model: str = "llama-3.3-70b", asked: Workload = EIGHT_K
) -> Any:
    return spread(CATALOGUE, model, asked, machines, engine_named(engine, CATALOGUE))


@pytest.mark.parametrize(
    ("free", "used"),
    [
        ((64,), 1),
        ((24, 24), 2),
        ((24, 24, 24), 2),
        ((34, 14, 14), 2),
        ((16, 16, 16, 16), 3),
        # 14.2 GiB beside buffers and program hold 26 layers of 0.55 GiB, the first machine 23
        ((14.5, 14.5, 14.5), 0),
        ((8,) * 7, 7),
        ((8,) * 5, 0),
    ],
)
def test_llama_cpp_over_machines(free: tuple[float, ...], used: int) -> None:
    """A 70B model: 80 layers of 0.51 GiB, and on the first 1.4 GiB of table and output matrix."""
    answer = ask("llama.cpp-rpc", fleet(*free))
    assert len(answer.shares) == used, answer.reason
    assert answer.exit_code == (0 if used else 1)
    if used:
        assert sum(share.layers for share in answer.shares) == 80
        layer = (39.6 + 2.5 - 1.35) / 80 * (1 if used == 1 else 1.07)
        for share in answer.shares[1:]:
            held = share.held_bytes / GIB
            assert held == pytest.approx(share.layers * layer + 0.33, rel=0.03)


def test_what_rpc_servers_really_held() -> None:
    """Measured: OLMo 2 1B in Q4_K_M, 4,096 tokens, three rpc-servers of llama.cpp (llama-cpp-python
    0.3.36) with --tensor-split 4,4,9, on one x86-64 machine. Buffers of weights and cache: 164.75 +
    128, the same, and 449.04 + 256 MiB with the output matrix; the table stays on the first.
    """
    asked = Workload(context_tokens=4096, quantization="Q4_K_M")
    mib = 1 / 1024
    first, *others = ask(
        "rpc", fleet(1090 * mib, 470 * mib, 470 * mib), "olmo-2-1b-instruct", asked
    ).shares
    assert [share.layers for share in (first, *others)] == [8, 4, 4]
    measured = (449.04 + 256 + 92.04 + 110.25, 164.75 + 128 + 92.04, 164.75 + 128 + 92.04)
    for share, held_mib in zip((first, *others), measured, strict=True):
        # what is counted beside them is the program: 78 MiB at most
        assert held_mib <= share.held_bytes / 2**20 <= 1.25 * held_mib


def cards(count: int, **facts: Any) -> tuple[Accelerator, ...]:
    size = 81559 * 2**20
    card = Accelerator(
        vendor="nvidia",
        name="NVIDIA H100 80GB HBM3",
        memory_total_bytes=size,
        unified=False,
        **facts,
    )
    return (card,) * count


def test_vllm_over_machines() -> None:
    """141 GB of weights: four H100s of two machines hold them, two of two machines do not leave room, and machines without GPUs take no part."""
    two = [machine(f"m{number}", 512, accelerators=cards(2)) for number in (1, 2)]
    one = [machine(f"m{number}", 512, accelerators=cards(1)) for number in (1, 2)]
    four = ask("vllm", [*two, machine("cpu", 512)])
    assert [(share.layers, share.devices) for share in four.shares] == [(40, 2), (40, 2)]
    assert [each.machine for each in four.left_out] == ["cpu"]
    assert ask("vllm", one).route is Route.NEITHER
    # machines with one and with two GPUs make no even grid
    assert ask("vllm", [two[0], one[0]]).route is Route.NEITHER


def test_a_fact_that_was_not_read_leaves_it_open() -> None:
    """The disk of the first machine, or of each that needs the files, and every processor; where machines that were read do, they are taken."""

    def unread(name: str, fact: str) -> Machine:
        return machine(name, 30, **{fact: None})

    assert ask("rpc", [unread("a", "disks"), unread("b", "disks")]).exit_code == 3
    assert ask("rpc", [unread("a", "disks"), machine("b", 20)]).exit_code == 0
    assert ask("exo", [unread("a", "disks"), machine("b", 20)]).exit_code == 3
    open_answer = ask("rpc", [unread("a", "instruction_sets"), machine("b", 20)])
    assert open_answer.exit_code == 3
    assert "the processor of a was not read" in open_answer.reason
    assert (
        open_answer.remedy == "record the machine again with `selfhost machine --format json` (a)"
    )
    assert ask("rpc", [machine("b", 64)]).remedy is None
    assert ask("rpc", [unread("a", "disks"), machine("b", 24), machine("c", 24)]).exit_code == 0
    # one that holds it alone and was read comes before a larger one that was not
    answer = ask("rpc", [machine("a", 90, disks=None), machine("b", 64), machine("c", 64)])
    assert [share.machine for share in answer.shares] == ["b"]
    # as does one whose disk is large enough
    full = Disk(purpose="llama.cpp", path="models", free_bytes=GIB, total_bytes=2 * GIB)
    answer = ask("rpc", [machine("a", 90, disks=(full,)), machine("b", 64)])
    assert [share.machine for share in answer.shares] == ["b"]
    # and two of which the first was read, where the one alone may lack the disk
    answer = ask("rpc", [machine("a", 90, disks=None), machine("b", 20)])
    assert [share.machine for share in answer.shares] == ["b", "a"]


@settings(max_examples=40)
@given(
    free=st.lists(st.integers(4, 60), min_size=1, max_size=5),
    more=st.integers(1, 80),
    engine=st.sampled_from(["llama.cpp-rpc", "exo"]),
)
def test_one_machine_more_never_hurts(free: list[int], more: int, engine: str) -> None:
    """What fits on machines fits on them and another; each holds no more than it has."""
    before, after = ask(engine, fleet(*free)), ask(engine, fleet(*free, more))
    assert not before.shares or after.shares
    for share in after.shares:
        assert share.held_bytes <= share.room_bytes
    assert len({share.machine for share in after.shares}) == len(after.shares)


def write(folder: Path, machines: list[Machine]) -> str:
    path = folder / "fleet.jsonl"
    path.write_text(
        "".join(json.dumps(each.to_json()) + "\n" for each in machines), encoding="utf-8"
    )
    return str(path)


@pytest.mark.parametrize("engine", ["llama.cpp-rpc", "exo", "vllm"])
def test_json_and_text(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON is valid by its schema with the same keys for every engine; the text has the engine's own warnings, and a machine's name does no harm."""
    machines = [machine("[red]a`|b", 40, accelerators=cards(2)), machine("m2", 40)]
    path = write(tmp_path, machines)
    words = ["check", "llama-3.3-70b", "--context", "8192", "--machines", path, "--spread", engine]
    code = cli.main([*words, "--format", "json"])
    out, err = capsys.readouterr()
    assert err == ""
    answer = json.loads(out)
    validate(answer, "spread-1")
    assert set(answer) == set(SCHEMA["required"])
    assert answer["exit_code"] == code
    assert cli.main(words) == code
    text = capsys.readouterr().out
    assert engine == "vllm" or "[red]a`|b" in text
    assert "not estimated" in " ".join(text.split())
    # why it holds more than on one machine
    on_several = any(share["devices"] > 1 for share in answer["shares"])
    assert ("each with buffers of its own" in " ".join(text.split())) is on_several
    if engine == "llama.cpp-rpc":
        assert "a network that you trust" in " ".join(text.split())


@pytest.mark.parametrize(
    "words",
    [
        ["llama-3.3-70b", "--spread", "exo"],
        ["llama-3.3-70b", "--machines", "F", "--spread", "petals"],
        ["llama-3.3-70b", "--machines", "F", "--spread", "exo", "--runtime", "vllm"],
        ["gpt-4o", "--machines", "F", "--spread", "exo"],
        ["llama-3.3-70b", "--machines", "absent.json", "--spread", "exo"],
    ],
)
def test_bad_usage(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 with a message, and nothing that looks like an answer."""
    path = write(tmp_path, fleet(24, 24))
    assert cli.main(["check", *(path if word == "F" else word for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err
