"""Brings the measured scores of models up to date.

    python tools/measured.py COPIES             # reads the sources at the commits of boards.toml
    python tools/measured.py COPIES --newest    # takes their newest commits first, and states these
    python tools/measured.py --fit              # fits abilities.toml to the scores as they are

COPIES is a folder for clones of the sources, outside the checkout; those that are missing are
cloned. The first two write `specs/common/scores.jsonl`, and all of them
`specs/common/abilities.toml`. Nothing else of `specs/` changes, but for the commits and days that
`--newest` states in `boards.toml`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from boards import (  # noqa: E402
    abilities,
    read_arena,
    read_euroeval,
    read_reports,
    read_runs,
    read_tables,
    scores,
)
from boards.copies import Copy  # noqa: E402
from boards.names import Names  # noqa: E402
from selfhost.catalogue.index import Catalogue  # noqa: E402
from selfhost.catalogue.scores import boards  # noqa: E402

COMMON = HERE.parent / "specs" / "common"
Reader = Callable[[Copy, Names], Iterator[scores.Found]]
# the reader of each source of boards.toml
READERS: dict[str, Reader] = {
    "euroeval": read_euroeval.read,
    "lmarena-2025": read_arena.read_2025,
    "lmarena": read_arena.read,
    "vectara": read_tables.read_vectara,
    "alpaca-eval": read_tables.read_alpaca,
    "arena-hard": read_tables.read_arena_hard,
    "zeroeval": read_tables.read_zeroeval,
    "aider": read_runs.read_aider,
    "evalplus": read_tables.read_evalplus,
    "openhands": read_runs.read_openhands,
    "llme": read_runs.read_llme,
    "tau2": read_runs.read_tau2,
    "open-asr": read_tables.read_asr,
    "mteb": read_reports.read_mteb,
    "mmmu": read_tables.read_mmmu,
    "llm-stats": read_reports.read_llm_stats,
}


def main() -> None:
    """Read, write and fit, as the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("copies", nargs="?", type=Path)
    parser.add_argument("--newest", action="store_true")
    parser.add_argument("--fit", action="store_true")
    stated = parser.parse_args()
    if stated.copies is None and not stated.fit:
        parser.error("name the folder of copies, or ask for --fit")
    if stated.fit:
        abilities.write(COMMON / "abilities.toml", Catalogue.open())
        return
    names = Names(Catalogue.open())
    found = read_all(stated.copies, names, newest=stated.newest)
    scores.write(COMMON / "scores.jsonl", found)
    # a process keeps the tables that it has read, so another one reads what is written now
    subprocess.run([sys.executable, __file__, "--fit"], check=True)


def read_all(folder: Path, names: Names, *, newest: bool) -> list[scores.Found]:
    """What all sources say of the catalogue's models."""
    found = []
    for name, source in boards().source.items():
        copy = Copy(folder, source)
        if newest:
            copy.update()
            state(name, copy)
        else:
            copy.clone_if_missing()
        rows = list(READERS[name](copy, names))
        print(f"{name}: {len(rows)} scores at {copy.commit[:10]} of {copy.day}")
        found += rows
    return found


def state(name: str, copy: Copy) -> None:
    """State the commit of a source and its day in boards.toml."""
    path = COMMON / "boards.toml"
    text = path.read_text(encoding="utf-8")
    head = f"[source.{name}]\n"
    before, _, rest = text.partition(head)
    table, blank, behind = rest.partition("\n\n")
    table = re.sub("(?m)^commit = .*$", f'commit = "{copy.commit}"', table)
    table = re.sub("(?m)^as_of = .*$", f'as_of = "{copy.day}"', table)
    path.write_text(f"{before}{head}{table}{blank}{behind}", encoding="utf-8")


if __name__ == "__main__":
    main()
