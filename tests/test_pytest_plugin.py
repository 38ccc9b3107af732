"""The pytest marker: it skips with the reason, runs what runs, and refuses what makes no sense."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.paths import ROOT

# by the name of its entry point, so that it is loaded once whether selfhost is installed or not
PLUGIN = "selfhost.pytest_plugin"
SMALL = """schema = 1
id = "tiny"
name = "Tiny"
[needs]
memory_bytes = {}
disk_bytes = 1000
source = "made up"
"""


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
        env={
            **environment,
            "SELFHOST_SPECS": str(specs),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
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
        '@pytest.mark.requires_model("gpt-6-luna")\ndef test_closed(): raise SystemExit\n\n'
        '@pytest.mark.requires_model("gpt2", context_tokens=100_000)\n'
        "def test_long(): raise SystemExit\n"
    )
    told = run(tmp_path, code, source_environment)
    assert "1 passed, 2 skipped" in told
    assert "has not published the weights" in told
    assert "too long a context" in told


def test_a_skip_names_the_test(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """As `@pytest.mark.skip` does: the file and the line of the test, not of the plugin."""
    code = (
        '@pytest.mark.requires_model("gpt-4o")\ndef test_first(): pass\n\n'
        '@pytest.mark.skip(reason="plain")\ndef test_plain(): pass\n\n'
        '@pytest.mark.requires_model("gpt-4o")\ndef test_last(): pass\n'
    )
    lines = [
        line
        for line in run(tmp_path, code, source_environment).splitlines()
        if "SKIPPED" in line
    ]
    assert [line.split(": ")[0] for line in lines] == [
        "SKIPPED [1] test_it.py:3",
        "SKIPPED [1] test_it.py:6",
        "SKIPPED [1] test_it.py:9",
    ]


def test_every_field_of_a_workload_is_a_keyword(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """Options of a runtime, which are a table, and the model by its keyword too."""
    code = (
        '@pytest.mark.requires_model("gpt2", runtime_options={"ub": "1024"})\n'
        "def test_options(): pass\n\n"
        '@pytest.mark.requires_model("gpt2", uses=None)\ndef test_wrong(): pass\n\n'
        '@pytest.mark.requires_model(model="gpt-4o")\ndef test_by_keyword(): raise SystemExit\n'
    )
    told = run(tmp_path, code, source_environment)
    assert "unhashable" not in told
    assert "1 skipped" in told
    assert "Workload has no uses" in told


def test_a_marker_that_makes_no_sense_fails_the_test(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """A misspelt model or keyword would skip for ever; it is an error that says what to type
    instead.
    """
    code = (
        '@pytest.mark.requires_model("mistrl-7b")\ndef test_name(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", contxt=1)\ndef test_keyword(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", context_tokens=0)\ndef test_value(): pass\n\n'
        '@pytest.mark.requires_model("gpt2", "bge-m3")\ndef test_two(): pass\n\n'
        '@pytest.mark.requires_model("tiny", contxt=1)\ndef test_spec(): pass\n'
    )
    told = run(tmp_path, code, source_environment)
    assert "5 errors" in told
    assert "requires_model: context_tokens: must be at least 1, not 0" in told
    assert told.count("name one model first") >= 1
    assert "Did you mean: mistral" in told
    assert "Workload has no contxt" in told
    assert "Traceback" not in told


# markers of a project that has nothing to do with selfhost: none of them is a call of ours
OWN = (
    '@pytest.mark.requires_model(backend="cuda")\ndef test_keywords(): pass\n\n'
    "@pytest.mark.requires_model\ndef test_bare(): pass\n\n"
    "@pytest.mark.requires_model()\ndef test_empty(): pass\n\n"
    "@pytest.mark.requires_model(5)\ndef test_number(): pass\n\n"
    '@pytest.mark.requires_model("resnet50", backend="cuda")\ndef test_shape(): pass\n'
)
OWN_NAMES = OWN + (
    '\n@pytest.mark.requires_model("resnet50")\ndef test_resnet(): pass\n\n'
    '@pytest.mark.requires_model("gpt-4o")\ndef test_known(): pass\n\n'
    '@pytest.mark.requires_model("gpt2", contxt=1)\ndef test_keyword(): pass\n'
)
CONFTEST = (
    "def pytest_configure(config):\n    config.addinivalue_line('markers', {!r})\n"
)


@pytest.mark.parametrize(
    ("files", "code", "passed"),
    [
        pytest.param({}, OWN, 5, id="another shape"),
        pytest.param(
            {"conftest.py": CONFTEST.format("requires_model(backend): ours")},
            OWN_NAMES,
            8,
            id="registered by the conftest",
        ),
        pytest.param(
            {
                "pytest.ini": "[pytest]\nmarkers =\n    slow: no\n    requires_model: ours\n"
            },
            OWN_NAMES,
            8,
            id="registered in pytest.ini",
        ),
    ],
)
def test_a_marker_of_the_project_itself_is_left_alone(
    files: dict[str, str],
    code: str,
    passed: int,
    tmp_path: Path,
    source_environment: dict[str, str],
) -> None:
    """selfhost-check in the environment changes no test of a project that never heard of it."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    told = run(tmp_path, code, source_environment)
    assert f"{passed} passed" in told
    assert "error" not in told
    assert "skipped" not in told


def test_a_path_names_a_model_as_in_check(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """What `check` takes as a model is judged, and never left aside without a word."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": 32768, "num_hidden_layers": 200,'
        ' "num_attention_heads": 256, "intermediate_size": 131072, "vocab_size": 32000}'
    )
    code = (
        "from pathlib import Path\n\n"
        '@pytest.mark.requires_model(Path("config.json"))\ndef test_vast(): raise SystemExit\n\n'
        '@pytest.mark.requires_model(Path("no.gguf"))\ndef test_missing(): pass\n'
    )
    told = run(tmp_path, code, source_environment)
    assert "1 skipped, 1 error" in told
    assert "no.gguf: does not exist" in told


def test_a_project_may_register_the_marker_of_selfhost(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """So that its tests run without selfhost too: a line that names selfhost means this marker."""
    line = "requires_model(model): skip where the model does not run (selfhost-check)"
    (tmp_path / "conftest.py").write_text(CONFTEST.format(line))
    code = '@pytest.mark.requires_model("gpt-6-luna")\ndef test_closed(): raise SystemExit\n'
    assert "1 skipped" in run(tmp_path, code, source_environment)


def test_the_entry_point_is_the_module_tested_here() -> None:
    """pytest finds the plugin by itself in an environment that has selfhost."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_a_run_without_the_marker_loads_nothing_of_selfhost() -> None:
    """Every pytest run of the environment pays for the import: of selfhost it brings the module
    alone.
    """
    code = "import selfhost.pytest_plugin, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name for name in done.stdout.split() if name.startswith("selfhost")}
    assert loaded == {"selfhost", "selfhost.pytest_plugin"}
