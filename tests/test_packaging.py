"""What travels in the wheel and the sdist, and what an installation of each kind answers; types and
lint, so that one command checks everything, and comes to an end.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import links
import packed_specs
from helpers.paths import ROOT, SPEC_FILES, all_models_but
from helpers.publishing import AUTHORS, URLS, fill_in
from selfhost import __version__

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "build", "dist", "*.egg-info")

# nothing here may reach for a network or be changed by a person's own configuration
ENVIRONMENT = {
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHONPATH", "SELFHOST_"))
    },
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INDEX": "1",
}
# pip and setuptools are compiled once, not by each process that tests start
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)

# to build takes many times as long on a machine that is busy with other work; no test waits for it
PATIENCE_SECONDS = 900

ASK = """
import json, site, sys
site.addsitedir(sys.argv[1])
sys.path.insert(0, sys.argv[1])
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.searching import resolve
catalogue = Catalogue.open()
asked = [catalogue.spec(resolve(name, catalogue).spec_id) for name in sys.argv[2:]]
loaded = "tomllib" in sys.modules
json.dump({
    "folder": catalogue.folder, "tomllib": loaded, "ids": catalogue.ids(),
    "read": [spec.id for spec in catalogue.specs()],
    "asked": [[spec.id, spec.parameters.total] for spec in asked],
}, sys.stdout)
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(target: Path, *words: str) -> None:
    """Into a folder of its own, without what it depends on; nothing is compiled to bytecode, which
    no test here reads.
    """
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile")
    run(*pip, "--target", str(target), *words, cwd=target.parent)


def ask(target: Path, *names: str) -> dict[str, Any]:
    """What the selfhost installed in `target` answers, asked in a process that knows no other site
    folder.
    """
    answer: dict[str, Any] = json.loads(
        run(
            sys.executable,
            "-I",
            "-S",
            "-c",
            ASK,
            str(target),
            *names,
            cwd=target.parent,
        )
    )
    return answer


def source_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path with `/`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


# asked for by name below; of the other models every sixtieth is enough, for no file is packed by
# its name, and what is packed of all of them `test_index.py` holds
ASKED = {"mistral-7b-instruct-v0.3", "opt-125m", "gpt-4o"}
IDS = sorted({*ASKED, *list(SPEC_FILES)[::60]})


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, with a few of the models, so that none leaves its traces in the
    checkout. As for a release, it has an author and an address.
    """
    copy = tmp_path_factory.mktemp("checkout") / "selfhost-check"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    for name in ("selfhost", "tools", "data"):
        shutil.copytree(ROOT / name, copy / name, ignore=IGNORED)
    shutil.copytree(ROOT / "specs", copy / "specs", ignore=all_models_but(IDS))
    fill_in(copy, AUTHORS, URLS)
    return copy


@pytest.fixture(scope="session")
def built(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The wheel and the sdist; the wheel is built from the sdist, as a package index or a
    distributor does.
    """
    return build(checkout, tmp_path_factory.mktemp("dist"))


def build(project: Path, out: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of a project, in the folder `out`."""
    words = ("-m", "build", "--no-isolation", "--outdir", str(out), str(project))
    run(sys.executable, *words, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def newer(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with specs of a later day, and with a model that the other lacks."""
    copy = tmp_path_factory.mktemp("newer") / "selfhost-check"
    shutil.copytree(checkout, copy, ignore=IGNORED)
    assert "gpt2" not in IDS
    spec = SPEC_FILES["gpt2"]
    shutil.copy(spec, copy / "specs" / "models" / spec.parent.name)
    path = copy / "specs" / "common" / "format.toml"
    text = re.sub(r'as_of = "[0-9-]+"', 'as_of = "2099-12-07"', path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    return copy


@pytest.fixture(scope="session")
def specs_alone(
    newer: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The wheel and the sdist of selfhost-check-specs."""
    return build(newer / "data", tmp_path_factory.mktemp("dist-specs"))


@pytest.fixture(scope="session")
def installed(
    built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel, installed without a network. Tests that change it take a copy."""
    target = tmp_path_factory.mktemp("installed") / "site"
    install(target, str(built[0]))
    return target


def test_the_wheel_holds_the_specs_of_the_checkout(
    built: tuple[Path, Path], checkout: Path, tmp_path: Path
) -> None:
    """All tables are in the wheel as a package has them, the pages about them as they are."""
    with zipfile.ZipFile(built[0]) as wheel:
        held = {
            name.removeprefix("selfhost/specs/"): wheel.read(name)
            for name in wheel.namelist()
            if name.startswith("selfhost/specs/")
        }
        others = [
            name for name in wheel.namelist() if not name.startswith("selfhost/specs/")
        ]
    specs = checkout / "specs"
    packed_specs.pack(str(specs), str(tmp_path))
    expected = {name: (tmp_path / name).read_bytes() for name in source_tree(tmp_path)}
    for page in specs.glob("*.md"):
        expected[page.name] = page.read_bytes()
    assert held.keys() == expected.keys()
    assert [name for name, content in held.items() if content != expected[name]] == []
    assert "selfhost/py.typed" in others
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in others)
    assert {
        name.split("/")[0].removesuffix(".dist-info").split("-")[0] for name in others
    } == {
        "selfhost",
        "selfhost_check",
    }


def test_the_wheel_holds_the_whole_package(built: tuple[Path, Path]) -> None:
    """Every module and schema of the package is in the wheel: a subpackage missing from
    pyproject.toml would only fail for users.
    """
    with zipfile.ZipFile(built[0]) as wheel:
        packed = set(wheel.namelist())
    assert {f"selfhost/{name}" for name in source_tree(ROOT / "selfhost")} <= packed


def test_pypi_is_given_a_page_whose_links_work_there(
    built: tuple[Path, Path], checkout: Path
) -> None:
    """The wheel's description is README.md with the links of that version; Markdown, as it says."""
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata = wheel.read(name).decode()
    fields, _, description = metadata.partition("\n\n")
    page = links.pypi_page(f"v{__version__}", checkout)
    assert "](docs/" not in page
    assert description.strip() == page.strip()
    assert "Description-Content-Type: text/markdown" in fields.splitlines()


def test_the_sdist_builds_by_itself(built: tuple[Path, Path], checkout: Path) -> None:
    """The sdist carries the specs, the build's own program and the license, and nothing compiled:
    that is made from the specs.
    """
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"specs/{name}" for name in source_tree(checkout / "specs")} <= names
    assert {"setup.py", "pyproject.toml", "LICENSE", "README.md"} <= names
    stored = {name for name in names if name.startswith("specs/") and ".json" in name}
    assert stored == {"specs/common/offers.jsonl", "specs/common/scores.jsonl"}


def test_the_specs_alone_are_those_of_the_program(
    specs_alone: tuple[Path, Path], newer: Path, tmp_path: Path
) -> None:
    """Packed in the same form, in the wheel and in the sdist, from which the wheel is built. The
    version is their day, as `packaging` writes it; there is no code.
    """
    packed_specs.pack(str(newer / "specs"), str(tmp_path))
    expected = {name: (tmp_path / name).read_bytes() for name in source_tree(tmp_path)}
    with zipfile.ZipFile(specs_alone[0]) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist()}
    package = {
        name.removeprefix("selfhost_check_specs/"): content
        for name, content in held.items()
        if name.startswith("selfhost_check_specs/")
    }
    code = package.pop("__init__.py").decode()
    assert len(ast.parse(code).body) == 1
    assert ast.get_docstring(ast.parse(code))
    assert package.keys() == expected.keys()
    assert [name for name in package if package[name] != expected[name]] == []
    metadata = held["selfhost_check_specs-2099.12.7.dist-info/METADATA"].decode()
    fields = metadata.partition("\n\n")[0].splitlines()
    assert "Version: 2099.12.7" in fields
    assert not any(field.startswith("Requires-Dist") for field in fields)
    with tarfile.open(specs_alone[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"selfhost_check_specs/{name}" for name in expected} <= names
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_newer_specs_beside_an_installed_wheel_answer(
    installed: Path, specs_alone: tuple[Path, Path], tmp_path: Path
) -> None:
    """With a model that the wheel lacks, until they are removed; without parsing TOML."""
    target = tmp_path / "site"
    shutil.copytree(installed, target)
    install(target, str(specs_alone[0]))
    answer = ask(target, "gpt2", "mistral-7b")
    assert Path(answer["folder"]) == target / "selfhost_check_specs"
    assert answer["tomllib"] is False
    assert answer["asked"] == [
        ["gpt2", 124_439_808],
        ["mistral-7b-instruct-v0.3", 7_248_023_552],
    ]
    assert answer["ids"] == sorted({*IDS, "gpt2"})
    assert answer["read"] == answer["ids"]
    shutil.rmtree(target / "selfhost_check_specs")
    assert Path(ask(target)["folder"]) == target / "selfhost" / "specs"


def test_an_installed_wheel_answers_without_parsing_toml(installed: Path) -> None:
    """One model is read from the installed files; the ids are those of the checkout."""
    answer = ask(installed, "mistral-7b")
    assert Path(answer["folder"]) == installed / "selfhost" / "specs"
    assert answer["tomllib"] is False
    # the count that the publisher's safetensors index gives
    assert answer["asked"] == [["mistral-7b-instruct-v0.3", 7_248_023_552]]
    assert answer["ids"] == IDS
    assert answer["read"] == answer["ids"]


@pytest.mark.parametrize(
    "words",
    [["check", "mistral-7b"], ["list"], ["check", "gpt-4o"], ["machine"]],
    ids=" ".join,
)
def test_an_installed_wheel_starts_without_parsers(
    installed: Path, words: list[str]
) -> None:
    """Each takes milliseconds to load, of which a check has some fifty."""
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from selfhost.cli.main import main\n"
        f"main({[*words, '--no-measure'] if words != ['machine'] else words})\n"
        "unwanted = {'tomllib', 'rich'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    said = run(
        sys.executable, "-I", "-S", "-c", code, str(installed), cwd=installed.parent
    )
    assert said.splitlines()[-1] == "[]"


def test_an_installed_wheel_brings_both_commands_and_the_pytest_marker(
    installed: Path,
) -> None:
    """`selfhost-check` starts what `selfhost` starts: `uvx selfhost-check` and a machine where
    another `selfhost` is installed need it.
    """
    (metadata,) = installed.glob("selfhost_check-*.dist-info")
    entries = configparser.ConfigParser(delimiters="=")
    entries.read(metadata / "entry_points.txt", encoding="utf-8")
    scripts = dict(entries["console_scripts"])
    assert scripts == dict.fromkeys(
        ("selfhost", "selfhost-check"), "selfhost.__main__:start"
    )
    assert dict(entries["pytest11"]) == {
        "selfhost.pytest_plugin": "selfhost.pytest_plugin"
    }
    assert (installed / "selfhost" / "pytest_plugin.py").exists()


def test_an_install_from_the_checkout_is_the_same(
    checkout: Path, installed: Path, tmp_path: Path
) -> None:
    """`pip install .` gives the same package as the wheel made from the sdist, even where an
    earlier build left its folder behind.
    """
    copy = tmp_path / "checkout"
    shutil.copytree(checkout, copy, ignore=IGNORED)
    left = copy / "build" / "lib" / "selfhost" / "specs"
    left.mkdir(parents=True)
    (left / "removed-9b.toml").write_text("schema = 1\n")
    target = tmp_path / "site"
    install(target, "--no-build-isolation", str(copy))
    assert source_tree(target / "selfhost") == source_tree(installed / "selfhost")


def test_an_editable_install_reads_the_checkout(checkout: Path, tmp_path: Path) -> None:
    """`pip install -e .` leaves no index and shows an edited spec at once."""
    copy = tmp_path / "checkout"
    shutil.copytree(checkout, copy, ignore=IGNORED)
    target = tmp_path / "site"
    install(target, "--no-build-isolation", "-e", str(copy))
    answer = ask(target, "mistral-7b")
    assert Path(answer["folder"]) == copy / "specs"
    assert answer["asked"] == [["mistral-7b-instruct-v0.3", 7_248_023_552]]
    assert not (copy / "specs" / "index.json").exists()
    assert answer["ids"] == IDS


COMMANDS = {
    "types": ["mypy"],
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_quality(name: str) -> None:
    """The checker finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *COMMANDS[name]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_test_that_never_ends_is_ended(tmp_path: Path) -> None:
    """A loop that gives nobody else a turn would hold a job until its limit, and name no test. The
    other tests still run.
    """
    spins = tmp_path / "test_spins.py"
    spins.write_text(
        "def test_first():\n    pass\n\ndef test_spins():\n    while True:\n        pass\n",
        encoding="utf-8",
    )
    words = ["-c", str(ROOT / "pyproject.toml"), "-p", "conftest", "-n", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-o", "faulthandler_timeout=2", spins],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "in test_spins" in done.stderr
    assert "crashed while running" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
