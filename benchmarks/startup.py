"""Start-up and library speed, as ratios against a bare interpreter in the same run. Nothing here passes or fails.

    python benchmarks/startup.py [--runs 40]

Run it with the interpreter of an environment that has selfhost installed from a wheel: an editable install pays for its finder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

COMMANDS: dict[str, Sequence[str]] = {
    "python -c pass": ("-c", "pass"),
    "import selfhost": ("-c", "import selfhost"),
    "selfhost --version": ("-m", "selfhost", "--version"),
    "selfhost check mistral-7b": ("-m", "selfhost", "check", "mistral-7b"),
    "selfhost check gpt-4o": ("-m", "selfhost", "check", "gpt-4o"),
    "selfhost check deepseek-v3": ("-m", "selfhost", "check", "deepseek-v3"),
    "selfhost check mistral-7b --format json": (
        "-m",
        "selfhost",
        "check",
        "mistral-7b",
        "--format",
        "json",
    ),
    "selfhost machine": ("-m", "selfhost", "machine"),
    "selfhost list": ("-m", "selfhost", "list"),
    # without measuring the memory
    "selfhost check mistral-7b --no-measure": (
        "-m",
        "selfhost",
        "check",
        "mistral-7b",
        "--no-measure",
    ),
    "selfhost list --no-measure": ("-m", "selfhost", "list", "--no-measure"),
    # what suits a GPU is asked of the models shown
    "selfhost list --machine desktop-rtx4060-8gb": (
        "-m",
        "selfhost",
        "list",
        "--machine",
        "desktop-rtx4060-8gb",
    ),
    "selfhost list --format json": ("-m", "selfhost", "list", "--format", "json"),
    "selfhost list --format html": ("-m", "selfhost", "list", "--format", "html"),
    # what each model takes is computed anew
    "selfhost list --context 8192": ("-m", "selfhost", "list", "--context", "8192"),
}


def milliseconds(arguments: Sequence[str]) -> float:
    """Wall time of one whole process with piped output."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        cwd=os.path.expanduser("~"),
    )
    return (time.perf_counter() - start) * 1e3


def processes(runs: int) -> None:
    """The commands take turns, so that a busy minute hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            taken[name].append(milliseconds(arguments))
    base = statistics.median(taken["python -c pass"])
    print(f"{'command':<42} {'median ms':>10} {'best ms':>9} {'x bare':>7}")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:<42} {middle:>10.1f} {min(times):>9.1f} {middle / base:>7.2f}")


def library(runs: int) -> None:
    """`can_run` with a machine given, once everything is loaded."""
    from selfhost import Machine, can_run

    machine = Machine.read()
    print()
    for name in ("mistral-7b", "gpt-oss-20b", "qwen3-30b-a3b", "deepseek-v3", "gpt-4o"):
        can_run(name, machine=machine)
        start = time.perf_counter()
        for _ in range(runs):
            can_run(name, machine=machine)
        print(
            f"can_run({name!r}, machine=…): {(time.perf_counter() - start) / runs * 1e3:.3f} ms"
        )


def heaviest(most: int = 12) -> None:
    """The modules that cost most of a check's start-up, each without what it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "selfhost", "check", "mistral-7b"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = []
    for line in done.stderr.splitlines():
        own, _, name = (
            (part.strip() for part in line.removeprefix("import time:").split("|"))
            if line.count("|") == 2
            else ("", "", "")
        )
        if own.isdigit():
            rows.append((int(own), name))
    print("\nheaviest imports of `selfhost check mistral-7b`, own time in ms")
    for own_time, name in sorted(rows, reverse=True)[:most]:
        print(f"  {own_time / 1000:6.2f}  {name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    wanted = parser.parse_args().runs
    processes(wanted)
    library(wanted * 10)
    heaviest()
