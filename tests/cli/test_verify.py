"""`selfhost verify` as a whole: exit codes, text, the record, and inputs that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import DATA, RECORDS
from helpers.written import validate
from selfhost.cli.main import main

LOGS = DATA / "logs"
MACHINE = ("--machine", str(RECORDS / "vm-24gib.json"))


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["verify", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


# samples of another model than Qwen2.5 0.5B that tell its parameters
_MODELS = {"llama_log-gpu": "llama-3.1-8b-instruct"}


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_record_of_each_sample(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is valid, its exit code is the process's, and it holds neither a path nor a file's
    name.
    """
    gpu = ("--gpu", "RTX 4090") if "gpu" in path.stem else ()
    model = _MODELS.get(path.stem, "qwen2.5-0.5b-instruct")
    code, out, _ = answered(
        capsys, str(path), *MACHINE, *gpu, "--json", "--model", model
    )
    record = json.loads(out)
    validate(record, "verify-1")
    assert record["exit_code"] == code
    assert record["outcome"] == {0: "inside", 1: "outside", 2: "nothing"}[code]
    assert "/models" not in out
    assert ".gguf" not in out
    assert str(path) not in out


def test_an_own_file_is_told_by_its_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of a spec of your own goes into no record."""
    from selfhost.catalogue.index import Catalogue

    shipped = next(Path(Catalogue.open().folder).rglob("qwen2.5-0.5b-instruct.toml"))
    text = shipped.read_text("utf-8").replace("qwen2.5-0.5b-instruct", "my-secret-tune")
    own = tmp_path / "my-secret-tune.toml"
    own.write_text(text, "utf-8")
    log = str(LOGS / "llama_log-server.txt")
    words = (
        log,
        *MACHINE,
        "--specs",
        str(tmp_path),
        "--model",
        "my-secret-tune",
        "--json",
    )
    _, out, _ = answered(capsys, *words)
    record = json.loads(out)
    assert record["model"]["id"] is None
    assert record["model"]["architecture"] == "qwen2"
    assert "secret" not in out


def test_a_run_that_names_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and the option to add."""
    code, out, err = answered(capsys, str(LOGS / "answers-ollama.txt"), *MACHINE)
    assert (code, out) == (2, "")
    assert "--model" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x7fELF\0\0\0\x01" * 1000, "is not text"),
        (b"\xff\xfe" * 3, "figures"),
        (b"nothing of a run\n" * 1000, "figures"),
        (b"\x1b[31m| model | test | t/s |\x1b[0m\n" * 100, "figures"),
        (b"[" * 1_000_000, ""),
        (b'[{"model_filename": "x", "n_prompt": 1, "n_gen": 0, "avg_ts": 1e999}]', ""),
        (b"load: CPU model buffer size = 99999999999999999999.99 MiB\n", "figures"),
        (b"prompt eval time = 1.00 ms / 5 tok\xc3", "figures"),
    ],
)
def test_what_is_no_log_is_refused(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with a sentence on standard error, nothing on standard output."""
    path = tmp_path / "run.log"
    path.write_bytes(content)
    code, out, err = answered(capsys, str(path), *MACHINE)
    assert (code, out) == (2, "")
    assert said in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    "words",
    [("no-such.log",), (".",), ("4194305",), ("0",), ("9" * 400,), ("1", "2"), ()],
)
def test_bad_usage_is_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file, a folder, no such process, too many words, none."""
    code, out, err = answered(capsys, *words)
    assert (code, out) == (2, "")
    assert err


def test_names_in_a_log_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log may hold anything; what is shown of it is cleaned."""
    text = (LOGS / "llama_log-server.txt").read_text("utf-8")
    path = tmp_path / "run.log"
    path.write_text(text.replace("arch  ", "\x1b]0;x\x07arch  "), "utf-8")
    _, out, err = answered(
        capsys, str(path), *MACHINE, "--model", "qwen2.5-0.5b-instruct"
    )
    assert "\x1b" not in out + err
