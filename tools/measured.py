"""Brings the measured scores of models up to date.

    python tools/measured.py COPIES             # reads the sources at the commits of boards.toml
    python tools/measured.py COPIES --newest    # fetches their newest commits first, and states these
    python tools/measured.py --fit              # fits abilities.toml to the scores as they are

COPIES is a folder for clones of the sources, outside the checkout; those that are missing are
cloned. The first two write `specs/common/scores.jsonl`, and all of them `specs/common/abilities.toml`.
Nothing else of `specs/` changes, but for the commits and days that `--newest` states in `boards.toml`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from boards.abilities import write  # noqa: E402

from selfhost.catalogue.index import Catalogue  # noqa: E402

COMMON = HERE.parent / "specs" / "common"


def main() -> None:
    write(COMMON / "abilities.toml", Catalogue.open())


if __name__ == "__main__":
    main()
