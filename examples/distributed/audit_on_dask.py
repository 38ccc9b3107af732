"""Print the route of each model of POLICY on each machine of RECORDS, by Dask's workers."""

import json
import sys
import tomllib

from dask import bag
from dask.distributed import Client

from selfhost import Machine, check

with open(sys.argv[1], "rb") as policy:
    MODELS = {entry.pop("name"): entry for entry in tomllib.load(policy)["model"]}


def judge(line: str) -> list[str]:
    """Return a row for each model on the machine of a record."""
    host = Machine.from_json(json.loads(line))
    routes = {name: check(name, machine=host, **MODELS[name]).route for name in MODELS}
    return [f"{host.name} {name} {route}" for name, route in routes.items()]


if __name__ == "__main__":
    with Client():
        records = bag.read_text(sys.argv[2], blocksize=100_000)
        print(*records.map(judge).flatten().compute(), sep="\n")
