"""`selfhost spec`: folders of specs, and what a new spec is called."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from helpers.ggufs import make
from helpers.local_models import config
from helpers.paths import EXAMPLES
from helpers.written import run

SPEC = EXAMPLES / "specs" / "my-model.toml"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A config.json in the folder `m`, named from the folder above, which is the current one."""
    folder = tmp_path / "m"
    folder.mkdir()
    config(folder)
    monkeypatch.chdir(tmp_path)
    return "m/config.json"


@pytest.mark.parametrize(
    ("words", "id", "name"),
    [
        pytest.param([], "m", "m", id="by its folder"),
        pytest.param(["--id", "acme-8b"], "acme-8b", "acme-8b", id="--id"),
        pytest.param(["--name", "Acme 8B"], "m", "Acme 8B", id="--name"),
        pytest.param(
            ["--id", "acme", "--name", "Acme 8B"], "acme", "Acme 8B", id="both"
        ),
    ],
)
def test_a_new_spec_is_called_as_asked(
    words: list[str], id: str, name: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A config.json has no name of its own: the id names the model where nothing else does."""
    code, out, _ = run(capsys, "spec", "new", model, *words)
    made = tomllib.loads(out)
    assert (code, made["id"], made["name"]) == (0, id, name)
    code, out, _ = run(capsys, "spec", "new", model, "--json", *words)
    assert (json.loads(out)["spec"]["id"], json.loads(out)["spec"]["name"]) == (
        id,
        name,
    )


def test_a_spec_that_is_written_to_a_file_is_called_as_the_file(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No screen then says "RUNS HERE m"."""
    code, _, told = run(capsys, "spec", "new", model, "--output", "acme-8b.toml")
    made = tomllib.loads(Path("acme-8b.toml").read_text(encoding="utf-8"))
    assert (code, told, made["id"], made["name"]) == (0, "", "acme-8b", "acme-8b")
    assert run(capsys, "spec", "check", "acme-8b.toml")[0] == 0


def test_a_model_with_a_name_of_its_own_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name in the header of a GGUF file, whatever the spec's file is called."""
    file = make(tmp_path, "llama-3.2-1b", **{"general.name": "Llama 3.2 1B"})
    output = tmp_path / "mine.toml"
    assert run(capsys, "spec", "new", str(file), "--output", str(output))[0] == 0
    made = tomllib.loads(output.read_text(encoding="utf-8"))
    assert (made["id"], made["name"]) == ("mine", "Llama 3.2 1B")


def test_an_id_by_its_folder_is_told(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spec on standard output goes to a file of another name, which `spec check` would refuse."""
    _, _, told = run(capsys, "spec", "new", model)
    assert 'its id is "m"' in told
    assert "--id" in told


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        pytest.param("llama3.1-8b", [], id="by its folder"),
        pytest.param("m", ["--id", "llama3.1-8b"], id="--id"),
        pytest.param("m", ["--output", "llama3.1-8b.toml"], id="by the new file"),
    ],
)
def test_the_name_of_another_model_is_no_id(
    folder: str,
    words: list[str],
    model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`spec check` would refuse the file: the name would mean two models."""
    Path(model).parent.rename(folder)
    code, out, told = run(capsys, "spec", "new", folder, *words)
    assert (code, out) == (2, "")
    assert '"llama3.1-8b": that already means llama-3.1-8b-instruct' in told
    assert "--id my-llama3.1-8b" in told
    output = ["--id", "my-llama3.1-8b", "--output", "my-llama3.1-8b.toml"]
    assert run(capsys, "spec", "new", folder, *output)[0] == 0
    assert run(capsys, "spec", "check", "my-llama3.1-8b.toml")[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["new", "m/config.json", "--id", "Acme 8B"], "--id: ", id="no id"),
        pytest.param(["new", "my-model"], "examples/specs/my-model.toml", id="a word"),
        pytest.param(["new", "acme/acme-8b"], "on this disk", id="not here"),
        pytest.param(
            ["new", "acme/acme-8b"],
            "hf download acme/acme-8b config.json --local-dir acme-8b",
            id="a repository",
        ),
        pytest.param(["check", "m", "--id", "x"], "for spec new", id="check --id"),
    ],
)
def test_what_makes_no_sense_is_told(
    words: list[str], told: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to write instead; a word that is no file gets the template to begin with."""
    assert Path(model).is_file()
    code, out, said = run(capsys, "spec", *words)
    assert (code, out) == (2, "")
    assert told in said


def test_every_spec_of_a_folder_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `--specs DIR` takes them: other files are left aside, and faults are told of each."""
    folder = tmp_path / "specs"
    folder.mkdir()
    shutil.copy(SPEC, folder)
    (folder / "README.md").write_text("no spec")
    assert run(capsys, "spec", "check", str(folder))[:2] == (
        0,
        f"{folder}/my-model.toml: ok (My fine-tuned 7B)\n",
    )
    (folder / "wrong.toml").write_text('schema = 1\nid = "wrong"\nname = 5\n')
    code, out, _ = run(capsys, "spec", "check", str(folder), "--json")
    answer = json.loads(out)
    assert (code, answer["good"]) == (1, ["my-model"])
    assert {problem["file"] for problem in answer["problems"]} == {
        f"{folder}/wrong.toml"
    }


def test_a_folder_without_specs_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was checked, which is no success."""
    code, out, _ = run(capsys, "spec", "check", str(tmp_path))
    assert code == 1
    assert "holds no spec" in out


def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nofile: does not exist` looked like an answer about the file. A fault of one line keeps the
    form `file:line:`, which editors and CI read.
    """
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text("schema = 1\nid = 7\n", encoding="utf-8")
    code, out, _ = run(capsys, "spec", "check", "nofile", "bad.toml")
    lines = out.splitlines()
    assert (code, "error: nofile: does not exist" in lines) == (1, True)
    assert any(line.startswith("bad.toml:2: id: ") for line in lines)
    assert not any(line.startswith("error: bad.toml") for line in lines)
