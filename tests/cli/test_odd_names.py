"""Names of files as somebody may choose them: what is printed to be typed names that file, or the
name is refused.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers import ggufs
from helpers.paths import RECORDS
from helpers.written import run

RECORD = str(RECORDS / "vm-24gib.json")
MODEL = sorted(ggufs.measured())[0]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GGUF file whose data are a hole, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return ggufs.make(tmp_path, MODEL)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    "name",
    [
        "a\nb.gguf",
        "\x1b[31mred.gguf",
        "a\u202eb.gguf",
        "it's $(id) `id`.gguf",
        "x ##[e].gguf",
        "{context_tokens}.gguf",
        "{quantization}[[draft?gone]]{{device}}.gguf",
    ],
)
def test_the_command_of_check_names_the_very_file(
    name: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line break is no blank: `./a b.gguf` may be another file."""
    model.rename(name)
    code, out, _ = run(capsys, "check", f"./{name}", "--machine", RECORD)
    assert code in (0, 1, 3)
    assert [sign for sign in out if not sign.isprintable() and sign != "\n"] == []
    (line,) = [
        line.strip() for line in out.splitlines() if line.startswith("  llama-server")
    ]
    script = f'llama-server() {{ printf "%s\\0" "$@"; }}; {line}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert f"./{name}" in done.stdout.decode().split("\0")


UNDECODABLE = "./\udcff.gguf"


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    "words",
    [
        ("check", UNDECODABLE),
        ("show", UNDECODABLE),
        ("size", UNDECODABLE),
        ("spec", "new", UNDECODABLE),
        ("spec", "check", UNDECODABLE),
        ("check", "gpt2", "--machine", UNDECODABLE),
        ("check", "gpt2", "--output", UNDECODABLE),
        ("audit", UNDECODABLE),
        (UNDECODABLE,),
    ],
    ids=lambda words: " ".join(words[:-1]) or "alone",
)
@pytest.mark.usefixtures("model")
def test_a_name_that_is_no_utf8_is_refused(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No report could show it: the file has to be renamed."""
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "is not UTF-8" in err
    assert "rename the file" in err
    assert "\\udcff" not in err


def test_a_file_of_a_folder_is_refused_too(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model.parent / "d"
    folder.mkdir()
    try:
        model.rename(folder / "\udcff.gguf")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    code, out, err = run(capsys, "check", "./d", "--json")
    assert (code, out) == (2, "")
    assert "not UTF-8" in json.loads(err)["problems"][0]["message"]
