"""An audit as Markdown, for the summary of a CI step and the description of a merge request.

Names and reasons of inputs are text: no character of them is markup, for Markdown or for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..audit.record import Audit, MachineGroup, Result, Row
from .audit_to_do import to_do
from .audit_words import (
    ANSWERS,
    MOST_OF_A_NAME,
    MOST_OF_A_TEXT,
    RESULT_WORDS,
    SIGNS,
    WORST_FIRST,
    excepted_words,
    exception_fate,
    exception_name,
    judged_as,
    many,
    remarks,
    results,
    shortened,
    spread,
    why,
)

# GitHub refuses a whole summary above 1 MiB (docs.github.com, "Workflow commands", "Adding a job
# summary"); what follows the tables needs a little
MOST_BYTES = (1 << 20) - 4096
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|!~&@$^\"']|:(?=/)|(?<=[wW]{3})\.|(?<=^)[-=]")


def render(audit: Audit) -> str:
    """Fewer than 1 MiB of UTF-8; rows that do not fit are counted."""
    parts = (
        _head(audit),
        _problems(audit),
        _models(audit),
        _to_do(audit),
        _reasons(audit),
        _exceptions(audit),
    )
    lines: list[str] = []
    left = MOST_BYTES
    for part in parts:
        rest = 0
        for line in part:
            size = len(line.encode("utf-8", "replace")) + 1
            if rest or size > left:
                rest += line.startswith("| ")
                continue
            left -= size
            lines.append(line)
        if rest:
            lines += ["", f"{many(rest, 'more row')}, not listed: see the other reports."]
    return "".join(f"{line}\n" for line in lines)


def _head(audit: Audit) -> Iterator[str]:
    word, sentence = ANSWERS[audit.exit_code]
    yield f"## {word}: {sentence}"
    yield ""
    place = f"{_text(audit.policy.file)} on {audit.today} (UTC): {spread(audit)}"
    yield f"{place}; {results(audit)}; exit code {audit.exit_code}."
    said = remarks(audit)
    if said:
        yield ""
        yield from (f"- {_text(remark)}" for remark in said)


def _problems(audit: Audit) -> Iterator[str]:
    if audit.problems:
        yield from ("", "### Could not be judged", "")
        for problem in audit.problems:
            yield f"- {_text(str(problem))}"


def _to_do(audit: Audit) -> Iterator[str]:
    tasks = to_do(audit)
    if tasks:
        yield from ("", "### To do first", "")
        yield from (f"- {_text(head)}: {_text(words)}" for head, words in tasks)


def _models(audit: Audit) -> Iterator[str]:
    """A row for each model of the policy: on how many machines it has which result."""
    counts: dict[int, dict[Result, int]] = {}
    labels: dict[int, str] = {}
    rows: dict[int, list[Row]] = {}
    for group in audit.groups:
        for row in group.rows:
            rows.setdefault(row.wanted.index, []).append(row)
            of_model = counts.setdefault(row.wanted.index, dict.fromkeys(WORST_FIRST, 0))
            of_model[row.result] += group.count
            labels[row.wanted.index] = row.wanted.label
    if not counts:
        return
    yield from ("", "### Models, by number of machines", "")
    yield (
        "| Model | Judged as | "
        + " | ".join(f"{SIGNS[each]} {RESULT_WORDS[each]}" for each in WORST_FIRST)
        + " |"
    )
    yield "| --- | --- |" + " ---: |" * len(WORST_FIRST)
    for index in sorted(counts, key=lambda each: (_rank(counts[each]), each)):
        cells = (f"{counts[index][each]:,}" if counts[index][each] else "" for each in WORST_FIRST)
        ways = _joined(map(_text, judged_as(rows[index])))
        yield f"| {_name(labels[index])} | {ways} | {' | '.join(cells)} |"


def _rank(counts: dict[Result, int]) -> int:
    """0 for a model that fails anywhere, the last for one that runs everywhere."""
    return next(place for place, result in enumerate(WORST_FIRST) if counts[result])


def _reasons(audit: Audit) -> Iterator[str]:
    """A row for each model and class of machines that it does not simply run on, what counts
    first.
    """
    pairs = [
        (group, row)
        for group in audit.groups
        for row in group.rows
        if row.result is not Result.PASS
    ]
    pairs.sort(key=lambda pair: (pair[1].exit_code == 0, WORST_FIRST.index(pair[1].result)))
    if pairs:
        yield from ("", "### Reasons and what to do", "")
        yield "| | Model | Machines | Why | To do |"
        yield "| --- | --- | --- | --- | --- |"
    for group, row in pairs:
        yield _reason(group, row)


def _reason(group: MachineGroup, row: Row) -> str:
    of = f"{_name(row.machine)}: " if group.count > 1 and row.reasons else ""
    reasons = [_text(str(each)) for each in row.reasons] or [_text(why(row))]
    if row.exit_code == 0 and row.result is not Result.EXCEPTED:
        reasons.append("not counted")
    reasons += [_text(excepted_words(row, check, each)) for check, each in row.excepted]
    remedies = dict.fromkeys(_text(each.remedy) for each in row.reasons if each.remedy)
    cells = (
        f"{SIGNS[row.result]} {RESULT_WORDS[row.result]}",
        _name(row.wanted.label),
        _name(group.name),
        of + _joined(reasons),
        _joined(remedies),
    )
    return f"| {' | '.join(cells)} |"


def _exceptions(audit: Audit) -> Iterator[str]:
    if audit.exceptions:
        yield from ("", "### Exceptions", "")
        yield "| | Exception | Ends | Reason | Owner | |"
        yield "| --- | --- | --- | --- | --- | --- |"
    for use in audit.exceptions:
        each = use.exemption
        name, fate = _name(exception_name(use)), _text(exception_fate(use))
        cells = (use.use, name, each.expires, _text(each.reason), _name(each.owner), fate)
        yield f"| {' | '.join(cells)} |"


def _joined(parts: Iterable[str]) -> str:
    return "<br>".join(part for part in parts if part)


def _name(text: str) -> str:
    """As code: GitHub looks there for no user, issue or commit."""
    return f"<code>{_escaped(text, MOST_OF_A_NAME)}</code>"


def _text(text: str) -> str:
    return _escaped(text, MOST_OF_A_TEXT)


def _escaped(text: str, most: int) -> str:
    """Character references for all that could be markup: they are text wherever they stand."""
    shown = shortened(text, most)
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", shown)
