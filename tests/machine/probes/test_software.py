"""Runtimes are found by their files and never run."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

from helpers.paths import SPECS
from helpers.recordings import MEMINFO
from selfhost.machine.probes import models, read_machine, stores
from selfhost.machine.probes.host import RecordedHost


def test_runtimes_are_found_and_not_run(build: Callable[..., RecordedHost]) -> None:
    """Commands in PATH and in the usual folders; a file that may not be executed is none, and Homebrew's folder names the version."""
    host = build(
        {"/opt/tools/llama-server": "#!/bin/false\n", "/usr/bin/ollama": "", "/opt/tools/vllm": ""},
        {"HOME": "/home/ada", "PATH": "/opt/tools:relative:"},
    )
    for name in ("opt/tools/llama-server", "usr/bin/ollama"):
        (Path(host.folder) / name).chmod(0o755)
    found = {runtime.id: runtime for runtime in read_machine(host).runtimes or ()}
    assert {name: runtime.path for name, runtime in found.items()} == {
        "llama.cpp": "/opt/tools/llama-server",
        "ollama": "/usr/bin/ollama",
    }


def test_other_environments_are_looked_into(build: Callable[..., RecordedHost]) -> None:
    """The active one, those of pipx and uv; the command of one has the version that lies beside it."""
    host = build(
        {
            "/home/ada/work/lib/python3.12/site-packages/transformers-4.49.0.dist-info/METADATA": "",
            "/home/ada/.local/share/uv/tools/mlx-lm/lib/python3.13/site-packages/mlx_lm-0.24.0.dist-info/METADATA": "",
            "/home/ada/.local/share/pipx/venvs/vllm/lib/python3.12/site-packages/vllm-0.9.2+cpu.dist-info/METADATA": "",
            "/opt/ml/bin/vllm": "",
            "/opt/ml/lib/python3.11/site-packages/vllm-0.8.5.dist-info/METADATA": "",
            "/home/ada/.lmstudio/bin/lms": "",
        },
        {"HOME": "/home/ada", "VIRTUAL_ENV": "/home/ada/work", "PATH": "/opt/ml/bin"},
    )
    (Path(host.folder) / "opt/ml/bin/vllm").chmod(0o755)
    found = {runtime.id: runtime for runtime in read_machine(host).runtimes or ()}
    assert {name: runtime.version for name, runtime in found.items()} == {
        "transformers": "4.49.0", "mlx": "0.24.0", "vllm": "0.8.5", "lm-studio": None
    }  # fmt: skip
    assert (
        found["transformers"].path
        == "~/work/lib/python3.12/site-packages/transformers-4.49.0.dist-info"
    )


def test_runtimes_that_nobody_looked_for_are_unread(build: Callable[..., RecordedHost]) -> None:
    """Like models: none of a tree without any folder of programs or packages, and () only where one was searched."""
    machine = read_machine(build({"/proc/meminfo": MEMINFO}))
    assert machine.runtimes is None
    assert (
        machine.why_unread("runtimes").reason
        == "the recorded tree has none of the folders where runtimes are installed"
    )
    assert read_machine(build({"/usr/bin/ls": "\n"})).runtimes == ()
    assert read_machine(build({}, python_path=[])).runtimes == ()


RUNTIMES = [
    tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted((SPECS / "runtimes").glob("*.toml"))
]


def test_what_is_looked_for_is_what_the_runtime_files_state() -> None:
    """Commands, Python packages and places: all that specs/runtimes names, and nothing else."""
    assert RUNTIMES
    assert {
        name: spec["id"] for spec in RUNTIMES for name in spec.get("present", ())
    } == models.COMMANDS
    assert {
        name: spec["id"] for spec in RUNTIMES for name in spec.get("distributions", ())
    } == models.DISTRIBUTIONS
    assert {spec["store"] for spec in RUNTIMES} == set(stores.PLACES)
