"""The models of a policy on recorded machines, judged by Dask's workers: one route a line.

python examples/distributed/audit_on_dask.py POLICY RECORDS
"""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from dask import bag
from dask.distributed import Client, LocalCluster

from selfhost import Machine, check


def judge(line: str, models: dict[str, Any]) -> list[str]:
    """Return a row for each model on the machine of a record."""
    machine = Machine.from_json(json.loads(line))
    rows = []
    for name, settings in models.items():
        verdict = check(name, machine=machine, **settings)
        rows.append(f"{machine.name} {name} {verdict.route}")
    return rows


if __name__ == "__main__":
    policy, records = [Path(word).read_text("utf-8") for word in sys.argv[1:]]
    models = {entry.pop("name"): entry for entry in tomllib.loads(policy)["model"]}
    with Client(LocalCluster(n_workers=2, threads_per_worker=1)):
        lines = bag.from_sequence(records.splitlines(), partition_size=100)
        print(*lines.map(judge, models).flatten().compute(), sep="\n")
