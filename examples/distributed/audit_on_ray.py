"""Print the route of each model of POLICY on each machine of RECORDS, by Ray's workers."""

import json
import sys
import tomllib

from ray.util.multiprocessing import Pool

from selfhost import Machine, check

with open(sys.argv[1], "rb") as policy:
    MODELS = {entry.pop("name"): entry for entry in tomllib.load(policy)["model"]}


def judge(line: str) -> list[str]:
    """Return a row for each model on the machine of a record."""
    host = Machine.from_json(json.loads(line))
    routes = {name: check(name, machine=host, **MODELS[name]).route for name in MODELS}
    return [f"{host.name} {name} {route}" for name, route in routes.items()]


if __name__ == "__main__":
    with Pool() as pool, open(sys.argv[2], encoding="utf-8") as records:
        for rows in pool.imap(judge, records, chunksize=100):
            print(*rows, sep="\n")
