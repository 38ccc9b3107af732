"""What was collected and proposed, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from selfhost.core.records import Record

from .collected import Collection
from .comparing import Compared, Difference
from .proposing import Aside, ChangedSpec, NewSpec

_LONGEST = 300


class Outcome(Record):
    """All that one run came to."""

    compared: tuple[Compared, ...]
    new: tuple[NewSpec, ...]
    changes: tuple[ChangedSpec, ...]
    aside: tuple[Aside, ...]
    collection: Collection = Collection(statements=(), refused=())

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those that nobody has settled."""
        return tuple(each for compared in self.compared for each in compared.open)

    @property
    def faulty(self) -> int:
        """How many files are damaged."""
        return sum(refused.faulty for refused in self.collection.refused)


def report(outcome: Outcome) -> str:
    """The text of REPORT.md."""
    confirmed = [one for one in outcome.compared if one.agreeing and not one.open]
    sections = [
        "# Refresh of the catalogue",
        _summary(outcome, len(confirmed)),
        _section("New", _new(outcome.new)),
        _section("Changed", (f"- `changes/{each.id}.diff`" for each in outcome.changes)),
        _table("Disagreements", _pairs(outcome.compared, settled=False)),
        _table("Settled before", _pairs(outcome.compared, settled=True)),
        _section("Confirmed", (_confirmed(one) for one in confirmed)),
        _section("No spec proposed", (_aside(each) for each in outcome.aside)),
        _section(
            "Not readable",
            (f"- {_code(r.file)}: {_plain(r.why)}" for r in outcome.collection.refused if r.faulty),
        ),
        _section(
            "Not used",
            (
                f"- {_code(r.file)}: {_plain(r.why)}"
                for r in outcome.collection.refused
                if not r.faulty
            ),
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(outcome: Outcome, confirmed: int) -> str:
    return (
        f"{len(outcome.collection.statements):,} statements on models;"
        f" {len(outcome.compared):,} of the models are in the catalogue, {confirmed:,} of these"
        f" confirmed. {len(outcome.new):,} new specs, {len(outcome.changes):,} changes,"
        f" {len(outcome.differences):,} disagreements, {outcome.faulty:,} files not readable."
    )


def _section(title: str, lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return f"## {title}\n\n{text}" if text else ""


def _new(specs: Sequence[NewSpec]) -> list[str]:
    """A line for each new spec, and why files leave facts of them out."""
    if not specs:
        return []
    lines = []
    for spec in specs:
        read = ", ".join(_code(statement.file) for statement in spec.statements)
        missing = ", ".join(f"`{key}`" for key, _ in spec.missing)
        lines.append(f"- `new/{spec.id}.toml`, of {read}. To find out by hand: {missing}")
    reasons = sorted({pair for spec in specs for pair in spec.missing})
    lines += ["", "Why the files leave these out:", ""]
    return [*lines, *(f"- `{key}`: {_plain(why)}" for key, why in reasons)]


def _confirmed(compared: Compared) -> str:
    count = len(compared.agreeing)
    files = ", ".join(_code(statement.file) for statement in compared.statements)
    return f"- `{compared.spec.id}`: {count:,} facts, by {files}"


def _aside(aside: Aside) -> str:
    return f"- {_code(aside.name)} ({', '.join(map(_code, aside.files))}): {_plain(aside.why)}"


def _pairs(all_compared: Iterable[Compared], *, settled: bool) -> list[tuple[Compared, Difference]]:
    return [
        (compared, difference)
        for compared in all_compared
        for difference in compared.differences
        if (difference.settled is not None) is settled
    ]


def _table(title: str, pairs: Sequence[tuple[Compared, Difference]]) -> str:
    if not pairs:
        return ""
    lines = [
        f"## {title}",
        "",
        "| spec | fact | ours | theirs | our source | their source | why ours stands |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(_row(*pair) for pair in pairs)])


def _row(compared: Compared, difference: Difference) -> str:
    sources = compared.spec.sources
    # sizes and contexts of tags follow from the architecture
    key = "architecture.context_tokens" if difference.key.startswith("tag.") else difference.key
    own = sources.get(key) or sources.get(key.partition(".")[0]) or "the spec names none"
    cells = (
        _code(compared.spec.id),
        _code(difference.key),
        _value(difference.ours),
        _value(difference.theirs),
        _plain(own),
        _plain(f"{difference.statement.label} ({difference.statement.file})"),
        _plain(difference.settled or ""),
    )
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{_plain(text).replace('`', chr(39))}`"


def _plain(text: str) -> str:
    """Text for one cell: no line breaks, no bars, nothing that is not printable."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.replace("|", "\\|").replace("<", "&lt;")[:_LONGEST]


def _value(value: Any) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _code(value if isinstance(value, str) else json.dumps(value, default=str))
