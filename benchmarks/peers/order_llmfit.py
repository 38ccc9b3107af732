"""Asks llmfit 1.1.17 in which order it recommends models on a GPU with 24 GB and 64 GB of RAM.

    python benchmarks/peers/order_llmfit.py PATH/llmfit

Given: memory of GPU and RAM, and cores, as its options state them; a profile gives it no GPU where
the computer has none, so it does not know the bandwidth. Of the 10,000 repositories in its catalogue
those count that are selfhost's, each where it first stands. The program needs version 2.39 of the GNU
C library. Prints the line for `orders.jsonl`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from boards.names import Names  # noqa: E402
from selfhost.catalogue.index import Catalogue  # noqa: E402

# the machine of `specs/machines/desktop-rtx3090-24gb.toml`
MACHINE = ("--memory", "24G", "--ram", "64G", "--cpu-cores", "8")
# more rows than its catalogue has
ALL = "100000"


def main() -> None:
    words = ["--json", *MACHINE, "recommend", "--limit", ALL]
    done = subprocess.run(
        [sys.argv[1], *words], capture_output=True, text=True, check=True
    )
    names = Names(Catalogue.open())
    found = []
    for row in json.loads(done.stdout)["models"]:
        model = names.repository(row["name"])
        if model is not None and model not in found:
            found.append(model)
    print(
        json.dumps(
            {
                "program": "llmfit 1.1.17",
                "machine": "desktop-rtx3090-24gb",
                "models": found,
            }
        )
    )


if __name__ == "__main__":
    main()
