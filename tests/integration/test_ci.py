"""What pipelines and clusters load, loaded by the programs that load it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES, ROOT

# `pytest -m integration`: where a program is absent its tests are skipped with the reason
pytestmark = pytest.mark.integration


def need(*programs: str) -> None:
    """Skip the test where a program is absent."""
    if absent := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(absent)} absent")


def test_the_jenkinsfile_is_groovy(tmp_path: Path) -> None:
    """Groovy compiles it. What Jenkins' own plugin makes of it is not seen here."""
    need("groovyc", "java")
    shutil.copy(EXAMPLES / "jenkins" / "Jenkinsfile", tmp_path / "pipeline.groovy")
    done = subprocess.run(
        ["groovyc", "pipeline.groovy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_action_installs_and_audits(tmp_path: Path) -> None:
    """Both steps of the GitHub action, as a runner runs them: from a checkout of this
    repository.
    """
    need("bash", "git")
    ruamel = pytest.importorskip(
        "ruamel.yaml", reason="check-jsonschema brings it: the extra `test`"
    )
    checkout = tmp_path / "action"
    work = tmp_path / "work"
    temp = tmp_path / "temp"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    for folder in (work, temp):
        folder.mkdir()
    (work / "audit.toml").write_text(
        'schema = 1\n[[model]]\nname = "gpt2"\n', encoding="utf-8"
    )
    action = ruamel.YAML(typ="safe").load((checkout / "action.yml").read_text("utf-8"))
    paths = tmp_path / "path"
    output = tmp_path / "output"
    environment = {
        **os.environ,
        "RUNNER_TEMP": str(temp),
        "GITHUB_PATH": str(paths),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_ACTION_PATH": str(checkout),
        **{name.upper(): entry["default"] for name, entry in action["inputs"].items()},
    }
    for step in action["runs"]["steps"]:
        if paths.exists():
            environment["PATH"] = (
                f"{paths.read_text('utf-8').strip()}:{os.environ['PATH']}"
            )
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            bash, cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert output.read_text("utf-8") == "exit-code=0\n"
    assert (work / "selfhost-junit.xml").exists()


@pytest.mark.parametrize(("model", "code"), [("mistral-7b", 0), ("mistrl-7b", 1)])
def test_pre_commit_runs_the_hook(model: str, code: int, tmp_path: Path) -> None:
    """pre-commit installs this repository and checks a policy with it."""
    need("pre-commit", "git")
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    project = tmp_path / "project"
    project.mkdir()
    policy = project / "audit.toml"
    policy.write_text(f'schema = 1\n[[model]]\nname = "{model}"\n', encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "."], cwd=project, check=True)
    subprocess.run(["git", "add", "audit.toml"], cwd=project, check=True)
    words = [
        "pre-commit",
        "try-repo",
        str(ROOT),
        "selfhost-policy",
        "--files",
        "audit.toml",
    ]
    done = subprocess.run(
        words, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("is not in the catalogue" in done.stdout) == bool(code)


MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_manifests(path: Path, version: str) -> None:
    """Strictly: a key that the API does not have is an error."""
    need("kubernetes-validate")
    words = ["kubernetes-validate", "--strict", "-k", version, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
