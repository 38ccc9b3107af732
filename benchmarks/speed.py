"""How fast the program is: two checkouts side by side, in turns, as ratios.

    python benchmarks/speed.py BEFORE AFTER          # folders, or git revisions
    python benchmarks/speed.py .                     # one checkout beside a bare interpreter
    python benchmarks/speed.py HEAD . --only list    # the lines with that word
    python benchmarks/speed.py . --imports           # what costs most of a start

Whole processes (start-up, lists, audits of a fleet that is made up) and calls once everything is
loaded (`check`, `can_run`). A ratio below 1 is faster. The checkouts take turns, so that a busy minute
hits both; a line whose two medians differ by less than 10 % says nothing on a busy machine. Nothing
here passes or fails. Each checkout is timed as an installed package is, with its specs as JSON.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import fleets
from checkouts import ROOT, Checkout, opened, packed

# the option by which this script times calls in a process of a checkout
_CALLS = "--calls"
_COMMANDS = (
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
)
_CALLED = ("mistral-7b", "gpt-oss-20b", "qwen3-30b-a3b", "deepseek-v3", "gpt-4o")
_CALLS_A_TURN = 20
# audits take seconds: so many turns
_TURNS_OF_AUDITS = 2
_MOST_IMPORTS = 12


class Line(NamedTuple):
    """What one line of the report times: the words of a process."""

    name: str
    words: Sequence[str]
    turns: int


def main() -> None:
    """Time the checkouts, or the calls of one of them."""
    if sys.argv[1:2] == [_CALLS]:
        time_calls()
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", nargs="+", metavar="CHECKOUT")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--machines", type=int, default=2000, help="of the fleet")
    parser.add_argument("--models", type=int, default=20, help="of its policy")
    parser.add_argument("--imports", action="store_true")
    stated = parser.parse_args()
    if len(stated.checkouts) > 2:
        parser.error("name one checkout or two")
    with ExitStack() as stack:
        checkouts = []
        for name in stated.checkouts:
            checkout = stack.enter_context(opened(name))
            checkouts.append(stack.enter_context(packed(checkout)))
        if stated.imports:
            print_imports(checkouts[-1])
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleet = fleets.write(folder, stated.machines, stated.models)
        lines = [
            line for line in lines_of(fleet, stated.turns) if stated.only in line.name
        ]
        print_times(checkouts, lines, folder)
        if stated.only in "check can_run":
            print_calls(checkouts, stated.turns)


def lines_of(fleet: tuple[Path, Path], turns: int) -> Iterator[Line]:
    """Every process that is timed."""
    yield Line("import selfhost", ("-c", "import selfhost"), turns)
    for words in _COMMANDS:
        program = ("-m", "selfhost", *words.split())
        yield Line(f"selfhost {words}", program, turns)
    policy, records = map(str, fleet)
    audit = ("-m", "selfhost", "audit", policy, "--machines", records, "--yes")
    yield Line("selfhost audit of a fleet", audit, _TURNS_OF_AUDITS)


def print_times(
    checkouts: Sequence[Checkout],
    lines: Sequence[Line],
    folder: Path,
) -> None:
    """A line for each process: milliseconds of each checkout, beside a bare interpreter, and the
    ratio of the second to the first.
    """
    names = " ".join(f"{checkout.name[-12:]:>12}" for checkout in checkouts)
    print(f"{'median of whole processes, in ms':44} {names} {'x bare':>7} {'ratio':>6}")
    bare = median(milliseconds(checkouts[0], ("-c", "pass"), folder) for _ in range(10))
    for line in lines:
        taken: list[list[float]] = [[] for _ in checkouts]
        for checkout in checkouts:
            # the first process compiles its modules
            milliseconds(checkout, line.words, folder)
        for _ in range(line.turns):
            for times, checkout in zip(taken, checkouts, strict=True):
                times.append(milliseconds(checkout, line.words, folder))
        medians = [median(times) for times in taken]
        cells = " ".join(f"{value:12.1f}" for value in medians)
        ratio = "" if len(medians) < 2 else f" {medians[1] / medians[0]:6.2f}"
        print(f"{line.name:44} {cells} {medians[-1] / bare:7.1f}{ratio}", flush=True)


def milliseconds(checkout: Checkout, words: Sequence[str], folder: Path) -> float:
    """Wall time of one whole process with piped output."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        check=False,
        cwd=folder,
        env=checkout.environment(),
    )
    return (time.perf_counter() - begun) * 1e3


# ------------------------------------------------------------------ calls


def print_calls(checkouts: Sequence[Checkout], turns: int) -> None:
    """A line for each function and model: milliseconds of a call once everything is loaded."""
    taken: list[dict[str, list[float]]] = [{} for _ in checkouts]
    for _ in range(turns):
        for times, checkout in zip(taken, checkouts, strict=True):
            done = checkout.python(__file__, _CALLS, cwd=ROOT)
            for line in done.stdout.splitlines():
                name, _, value = line.rpartition("\t")
                times.setdefault(name, []).append(float(value))
    print(f"\n{'median of a call, in ms':44}")
    for name in taken[0]:
        medians = [median(times.get(name, [float("nan")])) for times in taken]
        cells = " ".join(f"{value:12.3f}" for value in medians)
        ratio = "" if len(medians) < 2 else f" {'':7} {medians[1] / medians[0]:6.2f}"
        print(f"{name:44} {cells}{ratio}")


def time_calls() -> None:
    """Write the milliseconds of `check` and `can_run` in this process, a line each."""
    from selfhost import Machine, can_run, check

    machine = Machine.read()
    for function in (check, can_run):
        for name in _CALLED:
            function(name, machine=machine)
            begun = time.perf_counter()
            for _ in range(_CALLS_A_TURN):
                function(name, machine=machine)
            each_ms = (time.perf_counter() - begun) / _CALLS_A_TURN * 1e3
            print(f"{function.__name__}({name!r}, machine=…)\t{each_ms}")


def print_imports(checkout: Checkout) -> None:
    """The modules that cost most of a check's start, each without what it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "selfhost", "check", "mistral-7b"],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout.folder,
        env=checkout.environment(),
    )
    modules: list[tuple[int, str]] = []
    for line in done.stderr.splitlines():
        # import time: own | with imports | name
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            modules.append((int(parts[0]), parts[2].strip()))
    print("heaviest imports of `selfhost check mistral-7b`, own time in ms")
    for microseconds, name in sorted(modules, reverse=True)[:_MOST_IMPORTS]:
        print(f"  {microseconds / 1000:6.2f}  {name}")


if __name__ == "__main__":
    main()
