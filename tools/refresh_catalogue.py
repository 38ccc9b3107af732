"""Holds the catalogue against files about models, and proposes specs and changes for review.

    python tools/refresh_catalogue.py FOLDER… --to PROPOSALS
    python tools/refresh_catalogue.py --count

FOLDER holds `config.json` files, GGUF files or their first bytes, listings of repositories
(Hugging Face's JSON about a model, or its tree of files), indexes of safetensors files and model
cards; `CONTRIBUTING.md` says how to lay them out. PROPOSALS, a new or empty folder, gets
`REPORT.md`, `new/ID.toml` for each model that the catalogue lacks and `changes/ID.diff` for each
spec that would change. Nothing else is written, nothing is fetched.

Exit codes: 0 nothing to do, 1 there are proposals or disagreements, 2 a file is damaged or the
command is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from refresh.collected import collect
from refresh.comparing import Compared, Known, compare
from refresh.proposing import Aside, NewSpec, changed_spec, new_spec
from refresh.report import Outcome, report
from refresh.statements import Statement
from selfhost.catalogue.index import Catalogue
from selfhost.core.errors import SelfhostError
from selfhost.core.files import write_whole

ROOT = Path(__file__).resolve().parents[1]


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    options = _parser().parse_args(words)
    try:
        if options.count:
            from refresh.counting import count_text

            print(count_text(Catalogue.open(shipped=options.specs)), end="")
            return 0
        if not options.paths or options.to is None:
            print(
                "error: name a folder to read, and one to write to: FOLDER --to PROPOSALS",
                file=sys.stderr,
            )
            return 2
        return _refresh(options)
    except (SelfhostError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Hold the catalogue against files about models; propose specs and changes.",
        epilog="exit codes: 0 nothing to do, 1 proposals or disagreements, 2 a damaged file or bad usage",
    )
    parser.add_argument(
        "paths", nargs="*", metavar="FOLDER", help="files about models, or folders of them"
    )
    parser.add_argument("--to", metavar="DIR", help="a new or empty folder for what is proposed")
    parser.add_argument(
        "--source", metavar="TEXT", help="where the files come from and of which day, for [sources]"
    )
    parser.add_argument(
        "--specs",
        metavar="DIR",
        default=str(ROOT / "specs"),
        help="the catalogue (default: that of this clone)",
    )
    parser.add_argument(
        "--count",
        action="store_true",
        help="print how many specs there are, by kind and by what their sizes rest on",
    )
    return parser


def _refresh(options: argparse.Namespace) -> int:
    target = Path(options.to)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        print(f"error: {target} is there and not empty\n  name a new folder", file=sys.stderr)
        return 2
    catalogue = Catalogue.open(shipped=options.specs)
    collection = collect(options.paths, source=options.source)
    outcome = outcome_of(collection.statements, Known(catalogue))
    outcome = outcome.replace(collection=collection)
    _write(outcome, target)
    print(report(outcome).splitlines()[2])
    print(f"written to {target}{os.sep}: REPORT.md")
    if outcome.faulty or not (collection.statements or collection.refused):
        return 2
    return 1 if outcome.new or outcome.changes or outcome.differences else 0


def outcome_of(statements: tuple[Statement, ...], known: Known) -> Outcome:
    """Everything that follows from the statements."""
    groups: dict[str, list[Statement]] = {}
    for statement in statements:
        spec_id = known.id_of(statement)
        if spec_id is None and statement.tag is not None:
            # most tags are quantizations of others
            continue
        name = spec_id or f"/{(statement.repository or statement.name).lower()}"
        groups.setdefault(name, []).append(statement)
    compared: list[Compared] = []
    proposals: list[NewSpec | Aside] = []
    changes = []
    for name, group in sorted(groups.items()):
        if name.startswith("/"):
            proposals.append(new_spec(group, known))
            continue
        spec = known.catalogue.spec(name)
        one = compare(spec, tuple(group), known.architectures)
        compared.append(one)
        change = changed_spec(one, Path(spec.origin).read_text(encoding="utf-8"))
        if change.diff:
            changes.append(change)
    return Outcome(
        compared=tuple(compared),
        new=tuple(each for each in proposals if isinstance(each, NewSpec)),
        changes=tuple(changes),
        aside=tuple(each for each in proposals if isinstance(each, Aside)),
    )


def _write(outcome: Outcome, target: Path) -> None:
    for folder in ("new", "changes"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    write_whole(
        [
            *((str(target / "new" / f"{each.id}.toml"), each.text) for each in outcome.new),
            *((str(target / "changes" / f"{each.id}.diff"), each.diff) for each in outcome.changes),
            (str(target / "REPORT.md"), report(outcome)),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
