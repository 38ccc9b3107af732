"""The lines of jq in docs/usage.md make records of inventories that selfhost does not read itself:
the memory that an inventory states is what a model may have.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from helpers.paths import ROOT
from selfhost import Machine, check

# what the commands print, cut down to the fields that the lines of jq read: 64 and 2 GiB
SALT = {
    "large": {"mem_total": 64 * 1024, "cpuarch": "x86_64"},
    "small": {"mem_total": 2 * 1024, "cpuarch": "x86_64"},
}
AWS = {
    "InstanceTypes": [
        {"InstanceType": "large", "MemoryInfo": {"SizeInMiB": 64 * 1024}},
        {"InstanceType": "small", "MemoryInfo": {"SizeInMiB": 2 * 1024}},
    ]
}
SLURM = {
    "nodes": [
        {"name": "large", "real_memory": 64 * 1024, "architecture": "x86_64", "cpus": 16,
         "state": ["IDLE"]},
        {"name": "small", "real_memory": 2 * 1024, "architecture": "x86_64", "cpus": 2,
         "state": ["IDLE"]},
    ]
}  # fmt: skip


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param("salt", SALT, id="salt"),
        pytest.param("aws", AWS, id="aws"),
        pytest.param("scontrol", SLURM, id="scontrol"),
    ],
)
def test_memory_of_another_inventory_is_known(command: str, answer: Any) -> None:
    """Of 64 GiB a model may have all but a small reserve, of 2 GiB no more than these."""
    page = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    line = re.search(rf"(?m)^{command} [^|]*\| jq -c '([^']*)' \| selfhost audit", page)
    assert line is not None
    done = subprocess.run(
        ["jq", "-c", line[1]],
        input=json.dumps(answer),
        capture_output=True,
        text=True,
        check=True,
    )
    has_gib = {}
    for record in done.stdout.splitlines():
        machine = Machine.from_json(json.loads(record))
        finding = check("mistral-7b", quantization="Q4_K_M", machine=machine).finding(
            "memory"
        )
        assert finding is not None
        assert isinstance(finding.has, int)
        has_gib[machine.name] = finding.has / 2**30
    assert 0.9 * 64 < has_gib["large"] <= 64
    assert 0 < has_gib["small"] <= 2
