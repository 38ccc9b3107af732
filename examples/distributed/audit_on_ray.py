"""The models of a policy on recorded machines, judged by Ray's workers: one route a line.

python examples/distributed/audit_on_ray.py POLICY RECORDS
"""

import json
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from ray.util.multiprocessing import Pool

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
    with Pool(2) as pool:
        judge_line = partial(judge, models=models)
        for rows in pool.imap(judge_line, records.splitlines(), chunksize=100):
            print(*rows, sep="\n")
