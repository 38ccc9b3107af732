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

BARE = "python -c pass"
COMMANDS: dict[str, Sequence[str]] = {
    BARE: ["-c", "pass"],
    "import selfhost": ["-c", "import selfhost"],
}
for _line in (
    "--version",
    "check mistral-7b",
    "check gpt-4o",
    "check deepseek-v3",
    "check mistral-7b --format json",
    "machine",
    "list",
    # without measuring the memory
    "check mistral-7b --no-measure",
    "list --no-measure",
    # what suits a GPU is asked of the models shown
    "list --machine desktop-rtx4060-8gb",
    "list --format json",
    "list --format html",
    # what each model takes is computed anew
    "list --context 8192",
):
    COMMANDS[f"selfhost {_line}"] = ["-m", "selfhost", *_line.split()]


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
    base = statistics.median(taken[BARE])
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
        each_ms = (time.perf_counter() - start) / runs * 1e3
        print(f"can_run({name!r}, machine=…): {each_ms:.3f} ms")


def heaviest(most: int = 12) -> None:
    """The modules that cost most of a check's start-up, each without what it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "selfhost", "check", "mistral-7b"],
        capture_output=True,
        text=True,
        check=False,
    )
    modules: list[tuple[int, str]] = []
    for line in done.stderr.splitlines():
        # import time: own | with imports | name
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            modules.append((int(parts[0]), parts[2].strip()))
    print("\nheaviest imports of `selfhost check mistral-7b`, own time in ms")
    for microseconds, name in sorted(modules, reverse=True)[:most]:
        print(f"  {microseconds / 1000:6.2f}  {name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    wanted = parser.parse_args().runs
    processes(wanted)
    library(wanted * 10)
    heaviest()
