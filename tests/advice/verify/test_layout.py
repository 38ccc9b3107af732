"""A run that laid its model out otherwise than is predicted is held against a pace for its layout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from selfhost.cli.main import main

_TABLE = """\
| model                          |       size |     params | backend    | ngl | n_cpu_moe | fa |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------: | -: | --------------: | -------------------: |
| {model} | CUDA | {layers} | {experts} | 1 | tg128 | {pace} ± 0.12 |

build: 0c1e570 (9000)
"""
_MIXTURE = "qwen3moe 30B.A3B Q4_K - Medium |  17.28 GiB |    30.53 B"
_DENSE = "llama 8B Q4_K - Medium |   4.58 GiB |     8.03 B"


@pytest.mark.parametrize(
    ("experts", "pace", "machine"),
    [
        # an i9-10900F beside an RTX 3060, Qwen3 Coder 30B in Q4_K_M (tests/truth/speed_split_later.json)
        (20, 42.92, "i9-10900f 64gb ddr4-2933 rtx 3060 12gb"),
        # a Ryzen 5 7600X beside an RTX 4070 Ti SUPER, which would hold more
        (48, 42.9, "ryzen 5 7600x ddr5 rtx 4070 ti super"),
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
    likely = float(re.search(r"decoding \(128 tokens\) \S+ tokens/s (\S+) ", shown)[1])  # type: ignore[index]
    assert likely == pytest.approx(pace, rel=0.28)


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


def test_weights_cross_for_each_batch_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -ub 2048 a prompt of 2,048 tokens takes all experts of gpt-oss 120B over once instead of four times."""
    mixture = "gpt-oss 120B MXFP4 MoE |  59.02 GiB |   116.83 B"
    likely = {}
    for batch in (512, 2048):
        table = _TABLE.format(model=mixture, layers=99, experts=36, pace=200.0)
        table = table.replace("tg128", "pp2048").replace("| fa |", "| n_ubatch | fa |")
        table = table.replace("| -: |", "| -: | -: |").replace(
            "| 36 | 1 |", f"| 36 | {batch} | 1 |"
        )
        log = tmp_path / f"{batch}.md"
        log.write_text(table, encoding="utf-8")
        arguments = ["--model", "gpt-oss-120b", "--machine", "ryzen 9 7950x 96gb ddr5 rtx 4060 8gb"]
        main(["verify", str(log), *arguments, "--json"])
        (row,) = json.loads(capsys.readouterr().out)["differences"]
        likely[batch] = row["predicted"]["likely"]
    assert 3 < likely[2048] / likely[512] <= 4


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


@pytest.mark.parametrize(
    ("backend", "machine", "named"),
    [
        ("Metal,BLAS", "rtx 4090", "m4 max 64gb"),
        ("CUDA", "m4 max 64gb", "RTX 4090"),
        ("ROCm", "rtx 4090", "RX 7900 XTX"),
    ],
)
def test_a_run_on_another_makers_gpu_is_not_compared(
    backend: str, machine: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of Metal beside an RTX 4090 was 95 % below, and other programs were to blame."""
    log = tmp_path / "bench.md"
    table = _TABLE.format(model=_DENSE, layers=99, experts=0, pace=50.0)
    log.write_text(table.replace("| CUDA ", f"| {backend} "), encoding="utf-8")
    assert main(["verify", str(log), "--model", "llama-3.1-8b", "--machine", machine]) == 2
    error = capsys.readouterr().err
    assert backend.split(",")[0] in error
    assert named in error
