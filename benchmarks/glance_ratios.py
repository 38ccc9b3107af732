"""How far a glance at the memory bandwidth is from the careful measurement, and both from a C probe. Nothing here passes or fails.

    gcc -O3 -march=native -o membw PROBE.c
    python benchmarks/glance_ratios.py --runs 20 --probe './membw 2 0.2 1024'

`--probe` is a command that prints GB/s as the last number of a line, such as one that sums memory in C; without it the two are
compared alone. Each run takes one after the other, with the load beside them. On a busy machine `chrt -f 1` before the command
gives the threads the processors, for as long as it runs.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
from statistics import median, quantiles
from time import perf_counter

from selfhost import Machine
from selfhost.core.records import Unread
from selfhost.machine.probes import bandwidth, glance


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--probe", default="", help="a command that prints GB/s")
    options = parser.parse_args()
    machine = Machine.read()
    of_measured: list[float] = []
    of_probe: list[float] = []
    waits: list[float] = []
    print(f"{'load':>5} {'glance':>7} {'ms':>4} {'measured':>9} {'probe':>6}  how")
    for _ in range(options.runs):
        load = os.getloadavg()[0]
        began = perf_counter()
        glanced = glance.glance(machine)
        waits.append(1000 * (perf_counter() - began))
        careful = bandwidth.measure(machine)
        probe = _probed(options.probe)
        seen = None if isinstance(glanced, Unread) else glanced.bytes_per_second / 1e9
        full = None if isinstance(careful, Unread) else careful.bytes_per_second / 1e9
        how = (
            glanced.reason if isinstance(glanced, Unread) else glanced.source.rpartition(", ")[2],
            careful.reason if isinstance(careful, Unread) else careful.confidence,
        )
        print(
            f"{load:5.1f} {_figure(seen):>7} {waits[-1]:4.0f} {_figure(full):>9}"
            f" {_figure(probe):>6}  {'; '.join(how)}",
            flush=True,
        )
        if seen is not None and full is not None:
            of_measured.append(seen / full)
        if full is not None and probe is not None:
            of_probe.append(full / probe)
    print(f"glance: {median(waits):.0f} ms, at most {max(waits):.0f}")
    _told("glance / measured", of_measured)
    _told("measured / probe", of_probe)


def _probed(command: str) -> float | None:
    if not command:
        return None
    printed = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    return float(re.findall(r"[0-9.]+", printed.stdout)[-1])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _told(name: str, ratios: list[float]) -> None:
    if len(ratios) < 2:
        print(f"{name}: {len(ratios)} pairs")
        return
    tenths = quantiles(ratios, n=10)
    print(
        f"{name}: {len(ratios)} pairs, median {median(ratios):.2f}, nine in ten from"
        f" {tenths[0]:.2f} to {tenths[-1]:.2f}"
    )


if __name__ == "__main__":
    main()
