"""A catalogue that `--specs` or SELFHOST_SPECS names in place of the built-in one: its models,
prices, GPUs and machines answer, and what cannot be read is told with file and line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT, SPECS
from selfhost.api import can_run
from selfhost.catalogue.index import open_catalogue
from selfhost.cli.main import main
from selfhost.core.answering import SPECS_FORMAT, format_of
from selfhost.core.catalogues import own_folders
from selfhost.core.errors import SelfhostError, SpecError

MODEL = "mistral-7b-instruct-v0.3"
SPEC = f"models/mistralai/{MODEL}.toml"
FORMAT = "common/format.toml"
GPUS = "common/gpus.toml"
OFFERS = "common/offers.jsonl"
LAB_BOX = "machines/lab-box.toml"
MACHINE = """
title = "Lab box, 1x Example X1"
kind = "server"
system = "linux"
architecture = "x86_64"
memory_gib = 96
cores = 12
confidence = "low"
source = "a test"

[[accelerators]]
vendor = "nvidia"
name = "NVIDIA Example X1"
memory_gib = 20
"""
GPU = """
gpu = [
  { name = "NVIDIA Example X1", words = "example x1", memory_gib = [20], gb_per_s = 777, """
GPU += 'source = "techpowerup" },\n'
OFFER = {
    "provider": "openrouter",
    "provider_model": "newer",
    "input_usd_per_million_tokens": 7.77,
    "output_usd_per_million_tokens": 8.88,
    "source": "genai-prices 0.2.3",
}


def new_catalogue(clone: Path) -> Path:
    """The tables, the runtimes, the models of one publisher, and one machine."""
    folder = clone / "specs"
    for name in ("common", "runtimes", "models/mistralai"):
        shutil.copytree(SPECS / name, folder / name)
    (folder / "machines").mkdir()
    (folder / LAB_BOX).write_text(MACHINE, encoding="utf-8")
    edit(folder / SPEC, 'name = "', 'name = "Newer ')
    edit(folder / GPUS, "\ngpu = [\n", GPU)
    write_offer(folder / OFFERS, OFFER)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not have {old}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def write_offer(path: Path, offer: object) -> None:
    """Keep the header of a price snapshot, and one offer of the model."""
    header = path.read_text(encoding="utf-8").splitlines()[0]
    row = json.dumps({"model": MODEL, "offers": [offer]})
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(place for place, line in enumerate(lines, 1) if text in line)


def run(
    folder: Path, *words: str, in_environment: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, for one process reads one catalogue."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("SELFHOST_SPECS", None)
    if in_environment is not None:
        environment["SELFHOST_SPECS"] = str(in_environment)
    return subprocess.run(
        [sys.executable, "-m", "selfhost", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        cwd=folder,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `specs` has another title, price, GPU and machine than the built-in one."""
    folder = tmp_path_factory.mktemp("clone")
    new_catalogue(folder)
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """As `clone`, of one test, which breaks something in it."""
    new_catalogue(tmp_path)
    return tmp_path


def test_models_prices_gpus_and_machines_of_another_catalogue_answer(
    clone: Path,
) -> None:
    words = ["check", MODEL, "--machine", "lab-box", "--format", "json"]
    done = run(clone, *words, "--specs", "specs")
    assert not done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["catalogue"] == str(clone / "specs")
    assert verdict["model"]["name"].startswith("Newer ")
    # the machine gives its GPU, and the table of GPUs how fast its memory is
    assert "777 GB/s" in verdict["speed"]["how"]
    offer = verdict["api_offers"][0]
    assert offer["input_usd_per_million_tokens"] == 7.77


def test_a_report_names_the_catalogue_that_answered(clone: Path) -> None:
    """Named as the clone or as its `specs`, by the option or the variable."""
    sentence = f"Answered by the catalogue {clone / 'specs'}."
    words = ("check", "mistral-7b", "--machine", "lab-box")
    by_option = run(clone, *words, f"--specs={clone}")
    by_variable = run(clone, *words, in_environment=clone / "specs")
    assert by_option.stdout.endswith(f"{sentence}\n")
    assert by_variable.stdout == by_option.stdout
    gpu = run(clone, "machine", "--gpu", "example x1", "--specs", ".")
    assert "20.0 GiB" in gpu.stdout
    assert sentence in gpu.stdout


def test_own_specs_tell_nothing_of_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["machine", "--profiles", "--specs", str(tmp_path)]) == 2
    assert "holds no catalogue" in capsys.readouterr().err


def test_the_built_in_catalogue_is_named_by_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHOST_SPECS", "")
    assert main(["show", "gpt2", "--specs", str(SPECS), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["catalogue"] is None


def test_own_specs_go_before_those_of_the_catalogue(
    clone: Path, tmp_path: Path
) -> None:
    shutil.copy(clone / "specs" / SPEC, tmp_path)
    edit(tmp_path / f"{MODEL}.toml", 'name = "Newer ', 'name = "My ')
    words = ("show", MODEL, "--format", "json", "--specs", str(tmp_path))
    done = run(clone, *words, "--specs", str(clone))
    assert json.loads(done.stdout)["spec"]["name"].startswith("My ")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        pytest.param(
            GPUS,
            'words = "example x1", memory_gib = [20]',
            'words = "example x1", memory_gib = "20"',
            ("machine", "--gpu", "example x1"),
            id="gpu",
        ),
        pytest.param(
            LAB_BOX,
            "memory_gib = 96",
            'memory_gib = "much"',
            ("check", MODEL, "--machine", "lab-box"),
            id="machine",
        ),
        pytest.param(
            SPEC,
            "layers = 32",
            "layers = true",
            ("check", MODEL, "--machine", "lab-box"),
            id="model",
        ),
        pytest.param(
            OFFERS,
            "7.77",
            '"7.77"',
            ("check", MODEL, "--machine", "lab-box"),
            id="price",
        ),
        pytest.param(
            "common/gguf_types.toml",
            'values = [{ facts = ["more"], type = "Q6_K" }]',
            'values = [{ facts = ["more"] }]',
            ("check", MODEL, "--machine", "lab-box"),
            id="type of a tensor",
        ),
        pytest.param(
            "common/gguf_types.toml",
            'base = "Q5_K"',
            'base = "Q5_KK"',
            ("check", MODEL, "--machine", "lab-box"),
            id="type of most tensors",
        ),
        pytest.param(
            "common/gguf_types.toml",
            'Q5_K = "Q5_1"',
            'Q5_K = "Q5_11"',
            ("check", MODEL, "--machine", "lab-box"),
            id="type of short rows",
        ),
    ],
)
def test_a_broken_row_is_told_with_file_and_line(
    broken: Path, file: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    path = broken / "specs" / file
    edit(path, old, new)
    done = run(broken, *words, in_environment=broken)
    assert f"{path}:{line_of(path, new)}: " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_that_this_program_cannot_use_is_no_bug_of_it(broken: Path) -> None:
    (broken / "specs/common/uses.toml").write_text("schema = 1\n", encoding="utf-8")
    done = run(broken, "check", MODEL, "--machine", "lab-box", "--specs", "specs")
    assert done.returncode == 2
    start = f"error: the catalogue {broken / 'specs'} does not work with this selfhost"
    assert done.stderr.startswith(start)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        pytest.param(f"format = {SPECS_FORMAT + 1}", "update selfhost", id="newer"),
        pytest.param("format = 0", "take a newer clone", id="older"),
        pytest.param("# nothing", "is not stated", id="none"),
        pytest.param("format = 1.5", "is not stated", id="no whole number"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, stated: str, message: str) -> None:
    path = tmp_path / "specs" / FORMAT
    path.parent.mkdir(parents=True)
    (tmp_path / "specs" / "models").mkdir()
    path.write_text(f"{stated}\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        own_folders([str(tmp_path)])
    assert f"{path}: format: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_as_format_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / FORMAT
    path.parent.mkdir()
    (tmp_path / "models").mkdir()
    os.mkfifo(path)
    with pytest.raises(SpecError, match="format: is not stated"):
        own_folders([str(tmp_path)])


def test_no_command_answers_by_another_catalogue_than_was_named(broken: Path) -> None:
    """Not even one that reads no model: without a word the built-in one would answer."""
    (broken / "specs" / FORMAT).write_text("format = 99\n", encoding="utf-8")
    done = run(broken, "machine", "--gpu", "rtx 4090", in_environment=broken)
    assert done.returncode == 2
    assert not done.stdout
    assert "format: is 99, and selfhost" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows separates by a semicolon")
def test_a_path_that_the_variable_cannot_name_is_refused(
    clone: Path, tmp_path: Path
) -> None:
    """A catalogue is handed on by the variable, which would take the path apart."""
    link = tmp_path / "2026-11-28T14:18"
    link.symlink_to(clone)
    done = run(clone, "show", MODEL, "--specs", str(link))
    assert done.returncode == 2
    assert 'has ":", which separates folders in SELFHOST_SPECS' in done.stderr


def test_two_catalogues_are_refused(clone: Path) -> None:
    with pytest.raises(SelfhostError, match="are 2 catalogues, and only one"):
        own_folders([str(clone), str(SPECS)])


def test_a_process_that_has_read_a_catalogue_takes_no_other(clone: Path) -> None:
    """Tables are read once: half an answer of each would be wrong in a way nobody sees."""
    message = "this process has read another catalogue"
    with pytest.raises(SelfhostError, match=message) as caught:
        can_run(MODEL, machine="aws-g5.xlarge", specs=[clone])
    assert "SELFHOST_SPECS" in str(caught.value.remedy)
    assert main(["show", MODEL, "--specs", str(clone)]) == 2
    assert open_catalogue([SPECS]).is_shipped(MODEL)
    assert main(["show", MODEL]) == 0


def test_the_catalogue_has_the_format_that_the_program_reads() -> None:
    assert format_of(str(SPECS)) == SPECS_FORMAT
