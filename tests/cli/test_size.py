"""`selfhost size`: three numbers on a screen, the same in JSON, and blocks that are whole or not there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from helpers.schemas import validate
from selfhost.cli import main as cli
from selfhost.cli.declared import MORE_FORMATS


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["size", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    "words",
    [
        ["mistral-7b"],
        ["gemma-3-4b-it", "--users", "4"],
        ["llama-3.1-8b", "--runtime", "vllm"],
        ["llama-3.1-8b", "--gpu", "RTX 4090"],
        ["qwen3.5-0.8b"],
        ["llama-3.1-8b", "--runtime", "ollama", "--users", "2"],
        ["mistral-7b", "bge-m3", "llama-3.1-8b"],
    ],
    ids=" ".join,
)
def test_it_fits_a_screen(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 20 lines; none but a command is wider than 80 columns."""
    code, out, _ = run(capsys, *words)
    lines = out.splitlines()
    assert (code, len(lines) <= 20) == (0, True)
    commands = ("llama-server", "ollama", "vllm serve", "OLLAMA_", "MALLOC_")
    assert [
        line for line in lines if len(line) > 80 and not line.strip().startswith(commands)
    ] == []


def test_three_numbers_and_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """Request, limit and page cache, each growth with its option, and what it grows to without."""
    _, out, _ = run(capsys, "mistral-7b")
    for words in ("request", "limit", "page cache", "--cache-ram 512", "without it 8.00 GiB"):
        assert words in out


def test_the_rows_on_the_screen_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """vLLM's memory is assumed within a wide range: what the limit adds for that has a row."""
    _, out, _ = run(capsys, "llama-3.3-70b", "--runtime", "vllm", "--gpu", "4x H100 80GB HBM3")
    rows = re.findall(r"^  ([a-z ]+?) +([\d.]+) (GiB|MiB)  ", out, re.MULTILINE)
    sizes = {name: float(figure) / (1024 if unit == "MiB" else 1) for name, figure, unit in rows}
    parts = ("memory", "shared memory", "uncertain", "page tables")
    assert sum(sizes[part] for part in parts) == pytest.approx(sizes["limit"], abs=0.1)


def test_json_has_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """One object for any number of models, with their sum; a wrong name leaves the others."""
    code, out, err = run(capsys, "mistral-7b", "gemma-3-4b-it", "no-such-model", "--json")
    answer = json.loads(out)
    validate(answer, "size-1")
    assert (code, answer["exit_code"]) == (2, 2)
    assert [entry["asked"] for entry in answer["errors"]] == ["no-such-model"]
    assert json.loads(err)["exit_code"] == 2
    for key in (
        "request_bytes",
        "unreclaimable_bytes",
        "limit_bytes",
        "page_cache_bytes",
        "disk_bytes",
    ):
        assert answer["total"][key] == sum(entry[key] for entry in answer["containers"])
    code, alone, _ = run(capsys, "mistral-7b", "--json")
    assert code == 0
    assert set(json.loads(alone)) == set(answer)


@pytest.mark.parametrize("block", MORE_FORMATS["size"])
def test_a_block_is_written_to_a_file(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone: nothing goes to standard output."""
    path = tmp_path / "block"
    assert run(capsys, "mistral-7b", "--format", block, "--output", str(path)) == (0, "", "")
    assert run(capsys, "mistral-7b", "--format", block)[1] == path.read_text(encoding="utf-8")


def test_a_runtime_without_an_image_has_no_block(capsys: pytest.CaptureFixture[str]) -> None:
    """Its sizes are answered; a block is exit 2, with what to type instead."""
    assert run(capsys, "whisper-small")[0] == 0
    code, out, err = run(capsys, "whisper-small", "--format", "docker")
    assert (code, out) == (2, "")
    # of all runtimes with an image none serves speech (specs/runtimes)
    assert "container of your own" in err
    assert "--runtime" not in err
    err = run(capsys, "bge-m3", "--runtime", "sentence-transformers", "--format", "docker")[2]
    for runtime in re.findall(r"--runtime: (.*)", err)[0].split(", "):
        assert run(capsys, "bge-m3", "--runtime", runtime, "--format", "docker")[0] == 0


def test_a_request_means_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    """What a scheduler reserves: on the screen, in JSON, in its sum, and in every block."""
    (entry,) = (answer := json.loads(run(capsys, "mistral-7b", "--json")[1]))["containers"]
    request = entry["request_bytes"]
    assert request == entry["unreclaimable_bytes"] + entry["page_cache_bytes"]
    assert answer["total"]["request_bytes"] == request
    mebibytes = -(-request // 2**20)
    assert f"request {request / 2**30:.2f} GiB" in run(capsys, "mistral-7b")[1]
    lines = {
        "kubernetes": f'requests: {{"memory": "{mebibytes}Mi"',
        "compose": f'reservations: {{"memory": "{mebibytes}M"',
        "docker": f"--memory-reservation {mebibytes}m",
        "systemd": f"MemoryLow={mebibytes}M",
    }
    for block, text in lines.items():
        assert text in run(capsys, "mistral-7b", "--format", block)[1]


def test_files_that_are_yours_to_get_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The comment above a block says which and where; what is downloaded by itself has none."""
    words = ("--runtime", "vllm", "--gpu", "H100 SXM", "--format", "docker", "--quant", "AWQ")
    out = run(capsys, "gemma-3-27b-it", *words)[1]
    page = "https://huggingface.co/models?other=base_model:quantized:google/gemma-3-27b-it"
    assert any(
        line.startswith("#") and "awq files" in line and page in line for line in out.splitlines()
    )
    assert "awq files" not in run(capsys, "qwen2.5-32b", *words)[1]


def test_no_block_starts_a_server_otherwise_than_it_was_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """How vLLM is told a scaled context differs from model to model: without it the trained one would be served."""
    words = ("qwen2.5-7b", "--runtime", "vllm", "--gpu", "H100 SXM", "--context", "100000")
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "vllm serve" not in out
    code, out, err = run(capsys, *words, "--format", "docker")
    assert (code, out) == (2, "")
    assert "--context" in err


def test_a_remedy_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """Users are --users here; cards that are too small or too few are counted up to what would do."""
    _, _, err = run(capsys, "mistral-7b", "--users", "1000000")
    assert "--parallel 256" in err
    words = ("llama-3.3-70b", "--runtime", "vllm", "--gpu")
    err = run(capsys, *words, "RTX 4090")[2]
    count = int(re.findall(r"(\d+) of these GPUs would hold it", err)[0])
    assert run(capsys, *words, f"{count}x RTX 4090")[0] == 0
    assert run(capsys, *words, "RTX 3090", "--quant", "fp8")[0] == 2
    assert "--quant" not in run(capsys, *words, "RTX 3090", "--quant", "fp8")[2]


def test_the_disk_is_for_the_most_of_a_size_that_is_a_range(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A `UD-` file of Qwen3 8B takes 4.88 to 5.28 GB, as `check` says: the middle is no size of a volume."""
    words = ("qwen3-8b", "--quant", "UD-Q4_K_XL")
    checked = ["check", *words, "--gpu", "RTX 4090", "--format", "json"]
    cli.main(checked)
    ends = json.loads(capsys.readouterr().out)["needs"]["download_range"]
    (sized,) = json.loads(run(capsys, *words, "--format", "json")[1])["containers"]
    assert sized["disk_bytes"] == ends["high_bytes"]
    between = (ends["low_bytes"] + ends["high_bytes"]) // 2
    code, out, _ = run(capsys, *words, "--set", f"disk={between}B")
    assert code == 0
    assert "may take up to" in out
    assert run(capsys, *words, "--set", f"disk={ends['low_bytes'] - 1}B")[0] == 2


@pytest.mark.parametrize(
    ("model", "gpu", "quantization"),
    [("llama-3.1-8b", "RTX 4080", "fp8"), ("llama-3.3-70b", "RTX A6000", "w4a16")],
)
def test_vllm_is_sized_in_the_best_quantization_that_the_cards_hold(
    capsys: pytest.CaptureFixture[str], model: str, gpu: str, quantization: str
) -> None:
    """Its default is the model's own 16 bits; 16 GB of them for a card of 16 is no size that anyone asked for."""
    words = (model, "--runtime", "vllm", "--gpu", gpu)
    code, out, _ = run(capsys, *words, "--format", "json")
    (sized,) = json.loads(out)["containers"]
    assert code == 0
    assert sized["workload"]["quantization"].lower() == quantization.lower()
    assert "rather than bfloat16" in sized["notes"][0]
    # what is asked for is never changed
    assert run(capsys, *words, "--quant", "bfloat16")[0] == 2
    named = run(capsys, *words, "--quant", quantization, "--format", "json")
    (alone,) = json.loads(named[1])["containers"]
    assert alone["limit_bytes"] == sized["limit_bytes"]


def test_the_examples_of_the_help_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As they are printed, but for the file that one writes."""
    examples = re.findall(r"^  selfhost size (.+)$", run(capsys, "--help")[1], re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        words = shlex.split(example.replace("compose.yaml", str(tmp_path / "compose.yaml")))
        assert run(capsys, *words)[0] == 0, example


def test_a_closed_model_is_told_from_a_wrong_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "gpt-4o")
    assert (code, out) == (2, "")
    assert "never published" in err


def test_faults_are_told_under_the_options_of_size(capsys: pytest.CaptureFixture[str]) -> None:
    """`size` has --users, and no --parallel that could be at fault."""
    for words in (("--users", "0"), ("--users", "100000")):
        code, _, err = run(capsys, "mistral-7b", *words)
        assert code == 2
        assert err.startswith("error: --parallel:")


@pytest.mark.parametrize("model", ["opt-30b", "flan-t5-xl", "bge-reranker-v2-m3"])
def test_a_runtime_that_is_offered_has_an_answer(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """OPT was sent to llama.cpp and Ollama, which have no such architecture."""
    words = (model, "--gpu", "A100 80GB", "--format", "kubernetes")
    err = run(capsys, *words)[2]
    named = re.search(r"with --runtime: (.*)", err)
    for runtime in named[1].split(", ") if named else ():
        assert run(capsys, *words[:3], "--runtime", runtime)[0] == 0, runtime
