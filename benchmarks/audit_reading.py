"""How long `selfhost audit` takes to read the records of a fleet: by one process, and by as many as
there are processors, in one run, so that the ratio holds on a busy machine too.

The fleet is that of `audit_scale.py`. On a busy machine, where only CPU time can be compared, 10,000
records took 1.6 s of it in one process and 2.9 s in two, each of which reads a record of each kind
in full.

    python benchmarks/audit_reading.py --machines 20000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from audit_scale import fleet

from selfhost.audit.machines import load_machines
from selfhost.audit.processes import usable_processors


def write_fleet(path: Path, count: int) -> None:
    """Write so many records, one a line."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        for record in fleet(count, rng, recorded=False):
            file.write(json.dumps(record) + "\n")


def seconds_to_read(path: Path, processes: int) -> float:
    """How long so many processes take."""
    begun = time.perf_counter()
    read = load_machines(str(path), processes=processes)
    if read.problems:
        sys.exit(str(read.problems[0]))
    return time.perf_counter() - begun


def main() -> None:
    """Make the fleet, and read it twice in each way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--machines", type=int, default=20_000)
    options = parser.parse_args()
    processes = usable_processors()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fleet.jsonl")
        write_fleet(path, options.machines)
        # in turn, and the better of two: others use the machine too
        alone = []
        together = []
        for _ in range(2):
            alone.append(seconds_to_read(path, 1))
            together.append(seconds_to_read(path, processes))
    for count, seconds in ((1, min(alone)), (processes, min(together))):
        each_ms = 1000 * seconds / options.machines
        print(f"{count} processes: {seconds:.1f} s, {each_ms:.2f} ms a record")
    print(
        f"{min(alone) / min(together):.2f} times as fast; load {os.getloadavg()[0]:.1f} on"
        f" {os.cpu_count()} processors"
    )


if __name__ == "__main__":
    main()
