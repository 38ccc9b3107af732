"""The pytest marker: it skips with the reason, runs what runs, and refuses what makes no sense."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from helpers.paths import ROOT

# by the name of its entry point, so that it is loaded once whether selfhost is installed or not
PLUGIN = "selfhost.pytest_plugin"
SMALL = 'schema = 1\nid = "tiny"\nname = "Tiny"\n[needs]\nmemory_bytes = {}\ndisk_bytes = 1000\nsource = "made up"\n'


def run(folder: Path, code: str, environment: dict[str, str]) -> str:
    """What pytest prints of a test module in a process of its own, which reads this machine."""
    specs = folder / "specs"
    specs.mkdir()
    (specs / "tiny.toml").write_text(SMALL.format(1_000_000))
    (specs / "vast.toml").write_text(SMALL.format(10**15).replace("iny", "vast"))
    (folder / "test_it.py").write_text(f"import pytest\n\n{code}")
    words = [sys.executable, "-m", "pytest", "-rs", "--strict-markers", "-p", PLUGIN]
    done = subprocess.run(
        [*words, "-p", "no:cacheprovider", "test_it.py"],
        cwd=folder,
        # other plugins that are installed take longer to load than the tests
        env={**environment, "SELFHOST_SPECS": str(specs), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_test_is_skipped_with_the_reason_of_the_verdict(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """What runs here runs; what does not is skipped, and pytest prints why."""
    code = (
        '@pytest.mark.requires_model("tiny")\ndef test_runs(): pass\n\n'
        '@pytest.mark.requires_model("gpt-4o")\ndef test_closed(): raise SystemExit\n\n'
        '@pytest.mark.requires_model("gpt2", context_tokens=100_000)\ndef test_long(): raise SystemExit\n'
    )
    told = run(tmp_path, code, source_environment)
    assert "1 passed, 2 skipped" in told
    assert "never published the weights" in told
    assert "too long a context" in told


def test_a_marker_that_makes_no_sense_fails_the_test(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """A misspelt model or keyword would skip for ever; it is an error that says what to type instead."""
    code = (
        '@pytest.mark.requires_model("mistrl-7b")\ndef test_name(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", contxt=1)\ndef test_keyword(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", context_tokens=0)\ndef test_value(): pass\n\n'
        "@pytest.mark.requires_model()\ndef test_nothing(): pass\n\n"
        '@pytest.mark.requires_model(model="gpt2")\ndef test_by_keyword(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", "bge-m3")\ndef test_two(): pass\n'
    )
    told = run(tmp_path, code, source_environment)
    assert "6 errors" in told
    assert "requires_model: context_tokens: must be at least 1, not 0" in told
    assert told.count("name one model first") >= 3
    assert "_why_not" not in told
    assert "Did you mean: mistral" in told
    assert "Workload has no contxt" in told
    assert "Traceback" not in told


def test_the_entry_point_is_the_module_tested_here() -> None:
    """pytest finds the plugin by itself in an environment that has selfhost."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_a_run_without_the_marker_loads_nothing_of_selfhost() -> None:
    """Every pytest run of the environment pays for the import: it brings the module and nothing beyond."""
    code = "import selfhost.pytest_plugin, sys; print(*[n for n in sys.modules if n.startswith(('selfhost', 'pytest'))])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"selfhost", "selfhost.pytest_plugin"}
