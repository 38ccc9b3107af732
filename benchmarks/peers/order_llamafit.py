"""Asks llamafit 0.1.1 in which order it proposes models on an RTX 3090 with 64 GiB.

    python benchmarks/peers/order_llamafit.py PATH/llamafit

Given: the machine as a profile. Its catalogue has 62 models; those that are selfhost's by name count.
Prints the line for `orders.jsonl`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from ask_llamafit import profile_of  # noqa: E402
from board import Machine  # noqa: E402
from boards.names import Names  # noqa: E402
from selfhost.catalogue.index import Catalogue  # noqa: E402

# the facts of `machines.jsonl`, and of `specs/machines/desktop-rtx3090-24gb.toml`
MACHINE = Machine(
    kind="gpu",
    name="RTX 3090",
    vendor="nvidia",
    memory_gib=24,
    gb_per_s=936,
    tflops=35.6,
    ram_gib=64,
    ram_gb_per_s=89.6,
    cores=8,
    processor="x86_64",
)
# more rows than its catalogue has
ALL = "1000"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "board.json"
        profile.write_text(json.dumps(profile_of(MACHINE)), encoding="utf-8")
        words = [
            "--json",
            "--profile",
            str(profile),
            "recommend",
            "--limit",
            ALL,
            "--min-tps",
            "0",
        ]
        done = subprocess.run(
            [sys.argv[1], *words], capture_output=True, text=True, check=True
        )
    names = Names(Catalogue.open())
    found = []
    for row in json.loads(done.stdout)["rows"]:
        match = names.model(row["model_id"])
        if match is not None and match.model not in found:
            found.append(match.model)
    print(
        json.dumps(
            {
                "program": "llamafit 0.1.1",
                "machine": "desktop-rtx3090-24gb",
                "models": found,
            }
        )
    )


if __name__ == "__main__":
    main()
