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


def test_three_numbers_and_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """Request, limit and page cache, each growth with its option, and what it grows to without."""
    _, out, _ = run(capsys, "mistral-7b")
    for words in ("request", "limit", "page cache", "--cache-ram 512", "without it 8.00 GiB"):
        assert words in out


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
    assert "container of your own" in err
    assert "--runtime" in err


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
