"""What selfhost reads of this machine's NVIDIA GPUs, held against `nvidia-smi`, each way it can ask. Ends with 1 where they differ.

    python benchmarks/check_gpu.py [--record FILE]

It needs a machine with an NVIDIA driver; elsewhere it says so and ends with 2. `--record` writes what NVML answered, without UUIDs,
as a file that tests can replay: please send it with what this prints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfhost.machine.probes import nvidia
from selfhost.machine.probes.host import Host
from selfhost.machine.probes.system import ask_nvml
from selfhost.machine.reader import read_machine

MIB = 2**20
FIELDS = (
    "name",
    "driver_version",
    "memory.total",
    "memory.free",
    "compute_cap",
    "clocks.max.memory",
    "mig.mode.current",
)
# free memory moves while others use the card
FREE_TOLERANCE_BYTES = 64 * MIB


def by_nvidia_smi() -> list[dict[str, str]]:
    """One mapping of FIELDS for each GPU, in the driver's order; the masks of CUDA do not change it."""
    words = [
        "nvidia-smi",
        f"--query-gpu={','.join(FIELDS)}",
        "--format=csv,noheader,nounits",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    rows = [
        [cell.strip() for cell in line.split(",")]
        for line in done.stdout.splitlines()
        if line.strip()
    ]
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


class Answered(Host):
    """This machine, with what one of the two libraries answered and no mask."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith("CUDA_")
            }
        )
        self.answer = answer

    def ask(self, name: str, about: str | None = None) -> Any:
        return self.answer if name == "nvml" else super().ask(name, about)


def differences(answer: Mapping[str, Any], rows: list[dict[str, str]]) -> list[str]:
    """What one library said that nvidia-smi says otherwise, as lines."""
    cards = [
        card for read in nvidia.read_nvidia(Answered(answer), 0) for card in read.cards
    ]
    whole = [row for row in rows if row["mig.mode.current"] != "Enabled"]
    found = []
    plain = [card for card in cards if not card.is_part]
    if len(plain) != len(whole):
        found.append(
            f"{len(plain)} GPUs that are not split, nvidia-smi has {len(whole)}"
        )
    for card, row in zip(plain, whole, strict=False):
        for label, ours, theirs in (
            ("name", card.name, row["name"]),
            ("driver", card.driver, row["driver_version"]),
            ("compute capability", card.compute_capability, row["compute_cap"]),
        ):
            if ours != theirs:
                found.append(f"{card.name}: {label} {ours}, nvidia-smi says {theirs}")
        total, free = (
            int(row[key]) * MIB if row[key].isdecimal() else None
            for key in ("memory.total", "memory.free")
        )
        if (total is None) != (card.memory_total_bytes is None) or abs(
            (total or 0) - (card.memory_total_bytes or 0)
        ) > MIB:
            found.append(
                f"{card.name}: {card.memory_total_bytes} bytes of memory, nvidia-smi says {row['memory.total']} MiB"
            )
        if (
            free is not None
            and abs(free - (card.memory_free_bytes or 0)) > FREE_TOLERANCE_BYTES
        ):
            found.append(
                f"{card.name}: {card.memory_free_bytes} bytes free, nvidia-smi says {row['memory.free']} MiB"
            )
    return found


def main() -> int:
    """Prints each way of asking with its time and its differences."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--record", metavar="FILE", help="write NVML's answer")
    chosen = parser.parse_args()
    host = Host()
    if nvidia.read_nvidia(host, 0) is None:
        print("no NVIDIA driver is here: nothing to compare")
        return 2
    try:
        rows = by_nvidia_smi()
    except (OSError, subprocess.SubprocessError) as error:
        print(
            f"nvidia-smi does not answer ({error}); selfhost says: {nvidia.read_nvidia(host, 0)}"
        )
        return 2
    start = time.perf_counter()
    kept = ask_nvml()
    taken = time.perf_counter() - start
    found = differences(kept, rows)
    print(f"the driver's library: {taken:.2f} s, {len(found)} differences")
    for line in found:
        print(f"  {line}")
    wrong = len(found)
    for card in read_machine(host).accelerators or ():
        print(f"  {card}")
    if chosen.record:
        Path(chosen.record).write_text(
            json.dumps(kept, indent=1) + "\n", encoding="utf-8"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
