"""The best model of the catalogue that this machine runs as fast as one reads, for your own program.

python examples/pick_model.py [MACHINE.json]
"""

from __future__ import annotations

import sys

from selfhost import Machine, rank


def pick(machine: Machine | None = None) -> str | None:
    """The id of the first model in the order of `selfhost list` that writes at least 5 tokens a
    second with a context of 8,192 tokens; None where no model does.
    """
    # a speed that is stated decides whether a model runs
    ranking = rank(machine=machine, top=1, context_tokens=8192, min_tokens_per_second=5)
    for verdict in ranking.models:
        if verdict.can_run:
            return verdict.model.id
    return None


if __name__ == "__main__":
    found = pick(Machine.from_file(sys.argv[1]) if len(sys.argv) > 1 else None)
    print(found or "no model runs that fast here")
