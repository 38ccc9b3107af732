"""What selfhost reads of this machine's NVIDIA GPUs, held against `nvidia-smi`, each way it can ask. Ends with 1 where they differ.

    python tools/check_gpu.py [--record FILE]

It needs a machine with an NVIDIA driver; elsewhere it says so and ends with 2. `--record` writes what NVML answered, without UUIDs,
as a file that tests can replay: please send it with what this prints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfhost.machine.probes import nvidia
from selfhost.machine.probes.host import Host
from selfhost.machine.probes.system import ask_nvml
from selfhost.machine.reader import read_machine
from selfhost.machine.record import Accelerator

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
    rows: list[dict[str, str]] = []
    for line in done.stdout.splitlines():
        if line.strip():
            cells = [cell.strip() for cell in line.split(",")]
            rows.append(dict(zip(FIELDS, cells, strict=True)))
    return rows


class Answered(Host):
    """This machine, with what one of the two libraries answered and no mask."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        without_mask = dict(os.environ)
        for name in os.environ:
            if name.startswith("CUDA_"):
                del without_mask[name]
        super().__init__(env=without_mask)
        self.answer = answer

    def ask(self, name: str, about: str | None = None) -> Any:
        return self.answer if name == "nvml" else super().ask(name, about)


def differences(
    answer: Mapping[str, Any],
    rows: list[dict[str, str]],
) -> list[str]:
    """What one library said that nvidia-smi says otherwise, as lines."""
    plain: list[Accelerator] = []
    for read in nvidia.read_nvidia(Answered(answer), 0):
        plain += [card for card in read.cards if not card.is_part]
    whole = [row for row in rows if row["mig.mode.current"] != "Enabled"]
    found: list[str] = []
    if len(plain) != len(whole):
        found.append(
            f"{len(plain)} GPUs that are not split, nvidia-smi has {len(whole)}"
        )
    for card, row in zip(plain, whole, strict=False):
        found += differences_of(card, row)
    return found


def differences_of(card: Accelerator, row: Mapping[str, str]) -> Iterator[str]:
    """What was read of one GPU that nvidia-smi says otherwise, as lines."""
    if card.name != row["name"]:
        yield f"{card.name}: nvidia-smi says {row['name']}"
    if card.driver != row["driver_version"]:
        yield f"{card.name}: driver {card.driver}, nvidia-smi says {row['driver_version']}"
    if card.compute_capability != row["compute_cap"]:
        capability = card.compute_capability
        yield (
            f"{card.name}: compute capability {capability},"
            f" nvidia-smi says {row['compute_cap']}"
        )
    # nvidia-smi tells whole MiB
    if not _is_near(card.memory_total_bytes, row["memory.total"], MIB):
        yield (
            f"{card.name}: {card.memory_total_bytes} bytes of memory,"
            f" nvidia-smi says {row['memory.total']} MiB"
        )
    free_mib = row["memory.free"]
    free_bytes = card.memory_free_bytes or 0
    if free_mib.isdecimal() and not _is_near(
        free_bytes, free_mib, FREE_TOLERANCE_BYTES
    ):
        yield f"{card.name}: {free_bytes} bytes free, nvidia-smi says {free_mib} MiB"


def _is_near(
    read_bytes: int | None,
    told_mib: str,
    tolerance_bytes: int,
) -> bool:
    """Whether a size is as near as that to the one that nvidia-smi tells; or neither is known."""
    if read_bytes is None or not told_mib.isdecimal():
        return read_bytes is None and not told_mib.isdecimal()
    return abs(int(told_mib) * MIB - read_bytes) <= tolerance_bytes


def main() -> int:
    """Prints each way of asking with its time and its differences."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--record", metavar="FILE", help="write NVML's answer")
    chosen = parser.parse_args()
    host = Host()
    if not nvidia.read_nvidia(host, 0):
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
