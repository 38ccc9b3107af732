"""The audits of examples/distributed, run for real on a cluster of this machine: they give the rows
of `selfhost audit`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES
from selfhost.machine import profiles

pytestmark = pytest.mark.integration

FOLDER = EXAMPLES / "distributed"
POLICY = FOLDER / "audit.toml"
GIB = 2**30
MACHINES = 240


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Known machines again and again, each with other memory free."""
    names = profiles.names()
    lines: list[str] = []
    for number in range(MACHINES):
        record = profiles.load(names[number % len(names)]).machine.to_json()
        record["name"] = f"m-{number}"
        record["planning"] = False
        limit = record["memory_limit_bytes"] or 32 * GIB
        record["memory_available_bytes"] = limit * (1 + number % 9) // 10
        lines.append(json.dumps(record))
    path = tmp_path / "fleet.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rows_of_audit(records: Path, environment: dict[str, str]) -> list[str]:
    """What `selfhost audit` says: machine, model and route of each row."""
    words = ["audit", str(POLICY), "--machines", str(records), "--format", "jsonl"]
    done = subprocess.run(
        [sys.executable, "-m", "selfhost", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    # the policy is broken on some of the machines
    assert done.returncode == 1, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return [f"{row['machine']} {row['asked']} {row['route']}" for row in rows]


@pytest.mark.parametrize(
    ("script", "library"),
    [
        pytest.param("audit_on_dask.py", "distributed", id="Dask"),
        pytest.param("audit_on_ray.py", "ray", id="Ray"),
    ],
)
def test_an_engine_gives_the_rows_of_an_audit(
    script: str, library: str, records: Path, source_environment: dict[str, str]
) -> None:
    if find_spec(library) is None:
        pytest.skip(f"the library {library} is absent")
    # Ray writes into the home folder, and reports its use where nobody says no
    environment = {
        **source_environment,
        "HOME": str(records.parent),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), str(POLICY), str(records)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if "node timed out during startup" in done.stderr:
        pytest.skip("Ray gives itself 30 seconds to start, and this machine is busy")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert len(rows) == MACHINES * 3
    assert rows == rows_of_audit(records, source_environment)
