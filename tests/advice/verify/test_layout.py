"""A run that laid its model out otherwise than is predicted is held against a pace for its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfhost.advice.verify.layout import layout_of
from selfhost.advice.verify.process import options_of
from selfhost.advice.verify.run import Run, SeenMemory
from selfhost.api import check
from selfhost.cli.main import main
from selfhost.core.workload import Workload
from selfhost.verdict.record import Verdict

_TABLE = """\
| model                          |       size |     params | backend    | ngl | n_cpu_moe | fa |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------: | -: | --------------: | -------------------: |
| {model} | CUDA | {layers} | {experts} | 1 | tg128 | {pace} ± 0.12 |

build: 0c1e570 (9000)
"""
_MIXTURE = "qwen3moe 30B.A3B Q4_K - Medium |  17.28 GiB |    30.53 B"
_DENSE = "llama 8B Q4_K - Medium |   4.58 GiB |     8.03 B"


def judged(model: str, machine: str, quantization: str = "Q4_K_M") -> Verdict:
    return check(model, Workload(quantization=quantization), machine=machine)


@pytest.mark.parametrize(
    ("experts", "pace", "machine"),
    [
        # an i9-10900F beside an RTX 3060, Qwen3 Coder 30B in Q4_K_M (tests/truth/speed_split_later.json)
        (20, 42.92, "i9-10900f 64gb ddr4-2933 rtx 3060 12gb"),
        (40, 25.6, "i9-10900f 64gb ddr4-2933 rtx 3060 12gb"),
        # a Ryzen 5 7600X beside an RTX 4070 Ti SUPER, which would hold more
        (48, 42.9, "ryzen 5 7600x ddr5 rtx 4070 ti super"),
        (16, 86.8, "ryzen 5 7600x ddr5 rtx 4070 ti super"),
    ],
)
def test_published_runs_with_experts_in_ram_lie_inside(
    experts: int,
    pace: float,
    machine: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "bench.md"
    table = _TABLE.format(model=_MIXTURE, layers=99, experts=experts, pace=pace)
    log.write_text(table, encoding="utf-8")
    arguments = ["verify", str(log), "--model", "qwen3-30b-a3b", "--machine", machine]
    assert main(arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"with the experts of {experts} of 48 layers in RAM, as the run had them" in shown


def test_a_pace_with_layers_in_ram_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """24 of 33 layers on the card is far slower than all of them: 120 tokens/s are all of them."""
    arguments = ["--model", "llama-3.1-8b-instruct", "--machine", "ryzen 9 5950x rtx 4090"]
    codes = []
    for number, pace in enumerate((25.0, 120.0)):
        log = tmp_path / f"{number}.md"
        table = _TABLE.format(model=_DENSE, layers=24, experts=0, pace=pace)
        log.write_text(table, encoding="utf-8")
        codes.append(main(["verify", str(log), *arguments]))
        assert "with 8 of 32 layers in RAM" in " ".join(capsys.readouterr().out.split())
    assert codes == [0, 1]


def test_the_layout_of_a_run() -> None:
    """By what was asked for, else by the buffers of a log; none of a run all on one GPU or none."""
    mixture = judged("qwen3-30b-a3b", "rtx 4090")
    dense = judged("llama-3.1-8b-instruct", "rtx 4090")
    plain = Run(tool="llama-bench", gpu_layers=99)
    assert layout_of(plain, mixture) is None
    # all experts are 95 of a hundred of its parameters
    every = layout_of(plain.replace(experts_in_ram=48), mixture)
    half = layout_of(plain.replace(experts_in_ram=24), mixture)
    assert every is not None
    assert half is not None
    assert every.share == pytest.approx(0.05, abs=0.02)
    assert half.share == pytest.approx((1 + every.share) / 2)
    assert layout_of(plain.replace(experts_in_ram=24), dense) is None
    layers = layout_of(plain.replace(gpu_layers=16), dense)
    assert layers is not None
    assert layers.share == pytest.approx(16 / 33)
    assert layout_of(plain.replace(gpu_layers=16, on_processor=True), dense) is None
    logged = plain.replace(
        gpu_layers=49,
        memory=(
            SeenMemory(term="weights", bytes=6 << 30, where="accelerator:0"),
            SeenMemory(term="weights", bytes=12 << 30),
        ),
    )
    by_buffers = layout_of(logged, mixture)
    assert by_buffers is not None
    assert by_buffers.share == pytest.approx(1 / 3)
    assert by_buffers.experts_apart
    two = judged("qwen3-30b-a3b", "2x rtx 3060 12gb")
    assert layout_of(plain.replace(experts_in_ram=24), two) is None


def test_options_of_a_process_tell_the_experts() -> None:
    words = ["llama-server", "-m", "a.gguf", "--n-cpu-moe", "20", "-ngl", "99"]
    assert options_of(words)["experts"] == "20"
    assert "all_experts" in options_of(["llama-server", "-cmoe", "-m", "a.gguf"])


def test_a_run_of_another_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """8.03 billion parameters are not those of Mistral 7B, whatever the figures happen to be."""
    log = tmp_path / "bench.md"
    table = _TABLE.format(model=_DENSE, layers=99, experts=0, pace=120.0)
    log.write_text(table, encoding="utf-8")
    assert main(["verify", str(log), "--model", "mistral-7b", "--machine", "rtx 4090"]) == 2
    error = capsys.readouterr().err
    assert "8.03 B parameters" in error
    assert "--model NAME" in error


def test_the_headline_says_which_figures_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wide range of prompts does not hide that decoding is as predicted."""
    log = tmp_path / "bench.md"
    table = _TABLE.format(model=_DENSE, layers=99, experts=0, pace=128.0)
    decode = next(line for line in table.splitlines() if "tg128" in line)
    prompt = decode.replace("tg128", "pp512").replace("128.0", "7900.0")
    log.write_text(table.replace(decode, f"{prompt}\n{decode}"), encoding="utf-8")
    arguments = ["--model", "llama-3.1-8b-instruct", "--machine", "rtx 4090"]
    assert main(["verify", str(log), *arguments]) == 0
    first = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert "decoding (128 tokens) is as predicted" in first
