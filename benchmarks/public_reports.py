"""How many of the public reports in `tests/truth/public_reports.json` are answered right, wrong or
not for certain.

python benchmarks/public_reports.py             # a line a figure
python benchmarks/public_reports.py --misses    # and one a report that is not right
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.public_reports import RECIPES, REPORTS, judged, recipe_judged


def main() -> None:
    """Print the counts."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    misses: list[str] = []
    for report in REPORTS:
        answer = judged(report)
        counts[report["figure"]][answer] += 1
        if answer != "right":
            misses.append(f"{answer}: {report}")
    for model, precisions, machine in RECIPES:
        answer = recipe_judged(model, precisions, machine)
        counts["runs in vLLM, by its recipes"][answer] += 1
        if answer != "right":
            misses.append(f"{answer}: {model} on {machine}")
    for figure, count in counts.items():
        words = [f"{count[word]} {word}" for word in ("right", "doubtful", "wrong")]
        name = figure.replace("_", " ")
        print(f"{name}: {', '.join(words)} of {count.total()}")
    if "--misses" in sys.argv:
        print("\n".join(misses))


if __name__ == "__main__":
    main()
