"""The examples run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.paths import EXAMPLES, RECORDS
from selfhost import Machine
from selfhost.cli import main as cli


def run(name: str, source_environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        capture_output=True,
        text=True,
        env=source_environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_pick_model(source_environment: dict[str, str]) -> None:
    """A machine with less memory is never given a larger model."""
    from selfhost import check

    large = run("pick_model.py", source_environment, str(RECORDS / "vm-24gib.json"))
    small = run("pick_model.py", source_environment, str(RECORDS / "container-2gib.json"))
    sizes = [check(name, machine=Machine()).model.parameters.total or 0 for name in (large, small)]
    assert sizes[0] > sizes[1] > 0


@pytest.mark.parametrize(
    ("model", "start"),
    [("gpt-4o", "api: "), ("gpt2", ("local: ", "unknown: ", "api: ", "neither: "))],
)
def test_fall_back_to_api(
    model: str, start: str | tuple[str, ...], source_environment: dict[str, str]
) -> None:
    """Each route has its branch."""
    assert run("fall_back_to_api.py", source_environment, model).startswith(start)


def test_own_spec_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The example spec is valid and is judged by what it states."""
    folder = EXAMPLES / "specs"
    assert cli.main(["spec", "check", *map(str, folder.glob("*.toml"))]) == 0
    assert (
        cli.main(
            [
                "check",
                "my-model",
                "--specs",
                str(folder),
                "--machine",
                str(RECORDS / "vm-24gib.json"),
            ]
        )
        == 0
    )
    assert (
        cli.main(
            [
                "check",
                "my-model",
                "--specs",
                str(folder),
                "--machine",
                str(RECORDS / "container-2gib.json"),
            ]
        )
        == 1
    )
    assert "My fine-tuned 7B" in capsys.readouterr().out


def test_audit_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """The example policy can be held against a recorded machine."""
    code = cli.main(
        [
            "audit",
            str(EXAMPLES / "audit.toml"),
            "--machines",
            str(RECORDS / "vm-24gib.json"),
            "--today",
            "2026-11-20",
        ]
    )
    assert code in (0, 1, 3), capsys.readouterr().err
