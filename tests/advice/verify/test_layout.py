"""A run that laid its model out otherwise than is predicted is held against a pace for its layout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from selfhost.advice.verify.comparison import seen_in_places
from selfhost.advice.verify.layout import Layout, layout_of
from selfhost.advice.verify.process import options_of
from selfhost.advice.verify.run import Run, SeenMemory
from selfhost.api import check
from selfhost.catalogue.opened import open_catalogue
from selfhost.cli.main import main
from selfhost.core.units import MIB
from selfhost.core.workload import Workload
from selfhost.judge.placement.experts import layers_with_experts, share_beside_experts
from selfhost.judge.question import architectures
from selfhost.judge.record import Verdict
from selfhost.needs.tensors import row_of

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
    likely = float(re.search(r"decoding \(128 tokens\) \S+ tokens/s (\S+) ", shown)[1])  # type: ignore[index]
    assert likely == pytest.approx(pace, rel=0.28)


@pytest.mark.parametrize(("deviation", "is_compared"), [("0.12", True), ("20.0", False)])
def test_a_run_whose_repetitions_lie_far_apart_is_not_compared(
    deviation: str, is_compared: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """32 ± 20 tokens/s is any pace."""
    log = tmp_path / "bench.md"
    table = _TABLE.format(model=_DENSE, layers=99, experts=0, pace=32.0)
    log.write_text(table.replace("± 0.12", f"± {deviation}"), encoding="utf-8")
    arguments = ["verify", str(log), "--model", "llama3.1:8b", "--machine", "rtx 3060 12gb"]
    main(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    assert ("62 % of their average" in shown) != is_compared
    assert ("NOTHING TO COMPARE" in shown) != is_compared


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


def laid_out(run: Run, verdict: Verdict) -> Layout | None:
    rows = architectures(open_catalogue())
    return layout_of(run, verdict, rows, seen_in_places(run, verdict))


def share_of(run: Run, verdict: Verdict) -> float | None:
    layout = laid_out(run, verdict)
    return None if layout is None else layout.share


PLAIN = Run(tool="llama-bench", gpu_layers=99)


def test_the_layout_that_was_asked_for() -> None:
    """None of a run all on one GPU or none."""
    mixture, dense = (
        judged("qwen3-30b-a3b", "rtx 4090"),
        judged("llama-3.1-8b-instruct", "rtx 4090"),
    )
    assert laid_out(PLAIN, mixture) is None
    # all experts are 95 of a hundred of its parameters
    every = share_of(PLAIN.replace(all_experts_in_ram=True), mixture)
    assert every is not None
    assert every == pytest.approx(0.05, abs=0.02)
    assert share_of(PLAIN.replace(experts_in_ram=48), mixture) == every
    half = share_of(PLAIN.replace(experts_in_ram=24), mixture)
    assert half == pytest.approx((1 + every) / 2)
    assert laid_out(PLAIN.replace(experts_in_ram=24), dense) is None
    assert share_of(PLAIN.replace(gpu_layers=16), dense) == pytest.approx(16 / 33)
    assert laid_out(PLAIN.replace(gpu_layers=16, on_processor=True), dense) is None
    # its first layer is dense, and its 26 others have experts
    beginning = judged("deepseek-v2-lite-chat", "rtx 4090")
    assert laid_out(PLAIN.replace(experts_in_ram=1), beginning) is None
    second = laid_out(PLAIN.replace(experts_in_ram=2), beginning)
    assert second is not None
    assert "the experts of 1 of 27 layers" in second.words


@pytest.mark.parametrize("machine", ["2x rtx 3060 12gb", "mac studio m2 max 64gb"])
@pytest.mark.parametrize("changes", [{"experts_in_ram": 24}, {"gpu_layers": 20}])
def test_a_layout_without_a_pace_is_said(machine: str, changes: dict[str, int]) -> None:
    """Of several GPUs nothing tells the shares; one that shares the RAM is predicted to compute all."""
    layout = laid_out(PLAIN.replace(**changes), judged("qwen3-30b-a3b", machine))
    assert layout is not None
    assert layout.share is None
    assert layout.note is None
    assert "in RAM" in layout.reason


def test_every_mixture_has_a_share() -> None:
    """Also where a token uses every expert, and where attention has experts too."""
    catalogue = open_catalogue()
    rows, shares = architectures(catalogue), {}
    for outline in catalogue.outlines():
        spec = catalogue.spec(outline.id)
        row = row_of(spec.architecture, rows) if spec.architecture is not None else None
        layers = layers_with_experts(spec.architecture)
        if row is not None and layers and outline.modality == "text":
            shares[outline.id] = share_beside_experts(spec, row.expert_matrices, len(layers))
    assert len(shares) > 50
    assert "flexolmo-7x7b-1t" in shares
    assert all(share is not None and 0 <= share < 0.9 for share in shares.values())


def logged(on_card_mib: float, on_host_mib: float, layers: int) -> Run:
    return PLAIN.replace(
        gpu_layers=layers,
        memory=(
            SeenMemory(term="weights", bytes=int(on_card_mib * MIB), where="accelerator:0"),
            SeenMemory(term="weights", bytes=int(on_host_mib * MIB)),
        ),
    )


@pytest.mark.parametrize(
    ("model", "quantization", "layers", "on_card", "on_host"),
    [
        # llama.cpp leaves the table of words in RAM, beside a card that holds a tied one too: by arithmetic
        # 262,208 x 2,560 in Q6_K, 262,144 x 1,152 and 151,936 x 896 in Q8_0, and about the whole file in MiB
        ("gemma-3-4b-it", "Q4_K_M", 35, 2368, 525),
        ("gemma-3-1b-it", "Q4_K_M", 27, 762, 306),
        ("qwen2.5-0.5b-instruct", "Q4_K_M", 25, 373, 138),
    ],
)
def test_a_table_of_words_is_no_layer_in_ram(
    model: str, quantization: str, layers: int, on_card: float, on_host: float
) -> None:
    verdict = judged(model, "rtx 4090", quantization)
    assert laid_out(logged(on_card, on_host, layers), verdict) is None


def test_the_layout_that_a_log_shows() -> None:
    mixture = judged("qwen3-30b-a3b", "rtx 4090")
    # of 17.1 GiB
    layout = laid_out(logged(6 * 1024, 11.2 * 1024, 49), mixture)
    assert layout is not None
    assert layout.share == pytest.approx(6 / 17.1, abs=0.02)
    assert layout.experts_apart
    assert "of its experts" in layout.words


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


def test_what_the_pace_rests_on_names_the_batch_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`for each 512 tokens` stood beside a pace that no such batch reaches."""
    table = _TABLE.format(
        model="gpt-oss 120B MXFP4 MoE |  59.02 GiB |   116.83 B", layers=99, experts=28, pace=33.0
    )
    table = table.replace("| fa |", "| n_ubatch | fa |").replace("| -: |", "| -: | -: |")
    log = tmp_path / "bench.md"
    log.write_text(table.replace("| 28 | 1 |", "| 28 | 2048 | 1 |"), encoding="utf-8")
    main(
        ["verify", str(log), "--model", "gpt-oss-120b", "--machine", "ryzen 9 7950x 128gb rtx 4090"]
    )
    told = " ".join(capsys.readouterr().out.split())
    assert "for each 2,048 tokens of a prompt" in told
    assert "for each 512 tokens" not in told


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
    assert "DECODING AS PREDICTED" in first


@pytest.mark.parametrize(
    ("backend", "machine", "named"),
    [
        ("Metal,BLAS", "rtx 4090", "m4 max 64gb"),
        ("Metal,BLAS", "ryzen 7 5800x 32gb", "m4 max 64gb"),
        ("CUDA", "m4 max 64gb", "RTX 4090"),
        ("CUDA", "rx 7900 xtx", "RTX 4090"),
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
