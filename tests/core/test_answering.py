"""Which catalogue answers where the distribution selfhost-check-specs is installed beside selfhost:
the later one, unless the distribution is refused.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.paths import ROOT, SPECS
from selfhost.core.answering import (
    SPECS_FORMAT,
    SPECS_PACKAGE,
    UPDATE_SPECS,
    day_of,
)

DAY = day_of(str(SPECS)) or ""
LATER = "2099-12-24"
EARLIER = "2020-01-31"
FORMAT_FILE = "common/format.toml"
ASK = "from selfhost.core.answering import other_catalogue; print(other_catalogue())"
REINSTALL = "pip install --force-reinstall selfhost-check-specs, or remove it"


def run(
    installation: Path, site: Path, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with selfhost as a package has it, and with the packages in `site`."""
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = os.pathsep.join([str(installation), str(site)])
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        cwd=site,
        check=False,
    )


@pytest.fixture
def specs(installation: Path, tmp_path: Path) -> Path:
    """The package of the distribution, with the specs of the checkout. Its files are links to those
    of other tests: a test replaces a file, and never writes into one.
    """
    folder = tmp_path / SPECS_PACKAGE
    shutil.copytree(installation / "specs", folder, copy_function=os.link)
    # nobody imports it
    (folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    return folder


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def state(specs: Path, old: str, new: str) -> None:
    """Change what the distribution states of itself, and keep the size of the file."""
    path = specs / FORMAT_FILE
    text = path.read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new, 1)
    lacking = len(text) - len(changed)
    replace(path, f"{changed}{' ' * lacking}".encode())


@pytest.mark.parametrize(
    ("day", "is_used"),
    [
        pytest.param(LATER, True, id="newer"),
        pytest.param(EARLIER, False, id="older"),
        pytest.param(DAY, False, id="equal"),
    ],
)
def test_the_later_catalogue_answers(
    installation: Path, specs: Path, day: str, is_used: bool
) -> None:
    """Without a word where the built-in one is not older: nothing is wrong with either."""
    state(specs, f'"{DAY}"', f'"{day}"')
    done = run(installation, specs.parent, "-c", ASK)
    assert done.stdout == (f"{specs}\n" if is_used else "None\n")
    version = run(installation, specs.parent, "-m", "selfhost", "--version")
    assert f"(catalogue of {day if is_used else DAY})\n" in version.stdout
    assert not version.stderr


def test_what_answered_is_told(installation: Path, specs: Path) -> None:
    """In each report by its day, and in JSON by its folder."""
    state(specs, f'"{DAY}"', f'"{LATER}"')
    words = ("-m", "selfhost", "show", "gpt2", "--machine", "aws-g5.xlarge")
    done = run(installation, specs.parent, *words)
    assert done.stdout.endswith(f"Answered by selfhost-check-specs of {LATER}.\n")
    done = run(installation, specs.parent, *words, "--json")
    assert json.loads(done.stdout)["catalogue"] == str(specs)


def without_catalogue(specs: Path) -> None:
    """Another project's package of the same name."""
    for path in specs.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "__init__.py":
            path.unlink()


@pytest.mark.parametrize(
    ("spoil", "why", "remedy"),
    [
        pytest.param(
            lambda specs: state(specs, "format = 1", f"format = {SPECS_FORMAT + 1}"),
            f"its format is {SPECS_FORMAT + 1}, and selfhost",
            "pip install --upgrade selfhost-check, or remove it",
            id="newer format",
        ),
        pytest.param(
            lambda specs: state(specs, "format = 1", "format = 0"),
            "its format is 0, and selfhost",
            f"{UPDATE_SPECS}, or remove it",
            id="older format",
        ),
        pytest.param(
            without_catalogue, "holds no catalogue of selfhost", REINSTALL, id="foreign"
        ),
        pytest.param(
            lambda specs: (specs / "index.json").unlink(),
            "holds no catalogue of selfhost",
            REINSTALL,
            id="not packed",
        ),
        pytest.param(
            lambda specs: state(specs, LATER, "2099-02-30"),
            "does not state its day",
            REINSTALL,
            id="no such day",
        ),
        pytest.param(
            lambda specs: (specs / "common" / "gpus.json").unlink(),
            "its file common/gpus.json is not what was packed",
            REINSTALL,
            id="a file is missing",
        ),
        pytest.param(
            lambda specs: replace(specs / "models.jsonl", b"{}\n"),
            "its file models.jsonl is not what was packed",
            REINSTALL,
            id="a file is cut short",
        ),
        pytest.param(
            lambda specs: (specs / "files.toml").unlink(),
            "its file files.toml is not what was packed",
            REINSTALL,
            id="the list of files is missing",
        ),
    ],
)
def test_a_wrong_distribution_is_refused_with_the_reason(
    installation: Path,
    specs: Path,
    spoil: Callable[[Path], None],
    why: str,
    remedy: str,
) -> None:
    """And the built-in catalogue answers."""
    state(specs, f'"{DAY}"', f'"{LATER}"')
    spoil(specs)
    done = run(installation, specs.parent, "-m", "selfhost", "--version")
    assert done.returncode == 0
    assert f"(catalogue of {DAY})\n" in done.stdout
    told, to_do = done.stderr.splitlines()
    assert told.startswith(f"note: selfhost-check-specs in {specs} is not used: ")
    assert why in told
    assert told.endswith("The catalogue that came with selfhost answers.")
    assert remedy in to_do


def test_a_refusal_is_told_once_beside_the_answer(
    installation: Path, specs: Path
) -> None:
    without_catalogue(specs)
    words = ("show", "gpt2", "--machine", "aws-g5.xlarge", "--json")
    done = run(installation, specs.parent, "-m", "selfhost", *words)
    assert done.returncode == 0
    assert json.loads(done.stdout)["catalogue"] is None
    assert done.stderr.count("is not used") == 1


def test_damage_that_the_sizes_do_not_show_is_told_when_it_is_read(
    installation: Path, specs: Path
) -> None:
    """With what to install again."""
    state(specs, f'"{DAY}"', f'"{LATER}"')
    path = specs / "models.jsonl"
    replace(path, b"\0" * path.stat().st_size)
    done = run(installation, specs.parent, "-m", "selfhost", "show", "gpt2")
    assert done.returncode == 2
    assert f"{path}: cannot be read" in done.stderr
    assert "install selfhost-check-specs again" in done.stderr


def test_a_folder_that_is_left_over_is_no_distribution(
    installation: Path, specs: Path
) -> None:
    (specs / "__init__.py").unlink()
    without_catalogue(specs)
    done = run(installation, specs.parent, "-m", "selfhost", "--version")
    assert f"(catalogue of {DAY})" in done.stdout
    assert not done.stderr


def test_a_named_catalogue_goes_before_the_distribution(
    installation: Path, specs: Path
) -> None:
    """Named by the option or by the variable, however old it is; nobody is told then of an
    installed one that is refused.
    """
    state(specs, f'"{DAY}"', f'"{LATER}"')
    done = run(installation, specs.parent, "-c", ASK, SELFHOST_SPECS=str(ROOT))
    assert done.stdout == f"{SPECS}\n"
    words = ("-m", "selfhost", "machine", "--gpu", "rtx 4090", "--specs", str(ROOT))
    done = run(installation, specs.parent, *words)
    assert f"Answered by the catalogue {SPECS}.\n" in done.stdout
    without_catalogue(specs)
    done = run(installation, specs.parent, *words)
    assert f"Answered by the catalogue {SPECS}.\n" in done.stdout
    assert not done.stderr
