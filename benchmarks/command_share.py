"""How many of the models that run get a command, by class and machine.

    python benchmarks/command_share.py [MACHINE ...]

Of each machine: the models that run, and the shares whose first command is "listed" (a sourced
listing shows its repository and file), "unlisted" (the file is not verified, or you make it) and
missing. `--missing` names the last.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.machines import USUAL
from selfhost.advice.steps import steps
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.workload import Workload
from selfhost.machine.profiles import load
from selfhost.verdict.judging import judge
from selfhost.verdict.question import ask


def main(arguments: list[str]) -> None:
    """Print one line a machine."""
    names = [name for name in arguments if not name.startswith("--")] or USUAL
    catalogue = open_catalogue()
    for name in names:
        machine = load(name).machine
        classes: Counter[str] = Counter()
        missing = []
        for spec_id in catalogue.ids():
            question = ask(catalogue.spec(spec_id), Workload(), catalogue, machine)
            judged = judge(question, machine)
            if not judged.fits:
                continue
            commands_class = steps(question, judged, catalogue, machine).commands_class or "none"
            classes[commands_class] += 1
            if commands_class == "none":
                missing.append(spec_id)
        total = sum(classes.values())
        shares = ", ".join(
            f"{classes[each]} {each} ({classes[each] / total:.0%})"
            for each in ("listed", "unlisted", "none")
        )
        print(f"{name}: {total} run; {shares}")
        if missing and "--missing" in arguments:
            print("  " + " ".join(missing))


if __name__ == "__main__":
    main(sys.argv[1:])
