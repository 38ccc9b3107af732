"""An audit as one page of HTML: a matrix of models by machines that fare alike, and under it the
reasons, folded. Nothing is loaded from anywhere. Where machines fare alike under one model each, a
row tells on how many machines that model has which result.

Layout, style and script are in `audit.html`. What does not fit is counted: a browser is slow beyond
some ten thousand cells.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import __version__
from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row, Use
from ..core import units
from ..core.records import Record
from ..verdict.findings import Finding
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
    warnings,
)
from .page import fill, text

MOST_CELLS = 40_000
MOST_CLASSES = 200
MOST_FOLDED = 1_500
# checks that a cell names
_CHECKS_SHOWN = 2
# groups of machines that a cell names, where it stands for a result
_GROUPS_SHOWN = 4
# what such cells stand for
_RESULTS_SHOWN = (Result.FAIL, Result.UNKNOWN, Result.EXCEPTED)
# with so few cells the figures of what runs are there too
_FEW_CELLS = 300
_MOST_EXCEPTIONS = 1_000


class _Matrix(Record):
    """What the page has room for: classes of machines from left to right, the worst first, and
    entries of the policy from top to bottom. `cells` holds the row of an entry on a class, `places`
    the classes of an entry, `folded` the cells whose reasons the page shows. `shares`: on how many
    machines an entry runs, and is wanted. `is_by_model`: a class is one of machines under one
    entry, so that it is no column.
    """

    groups: tuple[MachineGroup, ...]
    entries: tuple[int, ...]
    cells: dict[tuple[int, int], Row]
    places: dict[int, tuple[int, ...]]
    folded: frozenset[tuple[int, int]]
    shares: dict[int, tuple[int, int]]
    is_by_model: bool


def render(audit: Audit) -> str:
    """The whole page, in ASCII."""
    matrix = _matrix(audit)
    word, sentence = ANSWERS[audit.exit_code]
    blanks = {
        "version": text(__version__),
        "title": text(f"{word}: {sentence}"),
        "state": ("pass", "fail", "fail", "unknown")[audit.exit_code],
        "word": text(word),
        "sentence": text(sentence),
        "facts": "".join(
            f"<div><dt>{name}</dt><dd>{value}</dd></div>\n" for name, value in _facts(audit)
        ),
        "problems": _problems(audit) + _to_do(audit),
        "legend": text(_legend(matrix)),
        "head": _head(matrix),
        "rows": "".join(_line(matrix, entry) for entry in matrix.entries),
        "left": _left_out(audit, matrix),
        "folded": "".join(_folded(matrix, entry) for entry in matrix.entries),
        "exceptions": _exceptions(audit),
        "machines": _machines(matrix),
        "nothing": "" if matrix.entries else "<p>No model was judged.</p>",
    }
    return fill("audit.html", blanks)


def _matrix(audit: Audit) -> _Matrix:
    # a machine is in one class alone, unless classes are made under each model
    is_by_model = sum(group.count for group in audit.groups) > audit.machines
    groups = tuple(sorted(audit.groups, key=_badness)[: None if is_by_model else MOST_CLASSES])
    cells = {
        (row.wanted.index, place): row for place, group in enumerate(groups) for row in group.rows
    }
    shares = _shares(audit)
    ranks: dict[int, tuple[bool, int, float, int]] = {}
    places: dict[int, list[int]] = {}
    for (entry, place), row in cells.items():
        running, machines = shares[entry]
        rank = (row.exit_code == 0, WORST_FIRST.index(row.result), running / machines, entry)
        ranks[entry] = min(rank, ranks.get(entry, rank))
        places.setdefault(entry, []).append(place)
    columns = len(_RESULTS_SHOWN) if is_by_model else len(groups)
    room = MOST_CELLS // max(1, columns)
    entries = tuple(sorted(ranks, key=lambda entry: ranks[entry])[:room])
    is_small = len(entries) * len(groups) <= _FEW_CELLS
    worth = sorted(
        (row.exit_code == 0, WORST_FIRST.index(row.result), key)
        for key, row in cells.items()
        if is_small or row.result is not Result.PASS
    )
    # what is folded stands under its entry
    wanted = set(entries)
    folded = [key for *_, key in worth if key[0] in wanted]
    return _Matrix(
        groups=groups,
        entries=entries,
        cells=cells,
        places={entry: tuple(sorted(of_entry)) for entry, of_entry in places.items()},
        folded=frozenset(folded[:MOST_FOLDED]),
        shares=shares,
        is_by_model=is_by_model,
    )


def _shares(audit: Audit) -> dict[int, tuple[int, int]]:
    """On how many machines an entry runs, and is wanted: of all classes, whatever is shown."""
    shares: dict[int, tuple[int, int]] = {}
    for group in audit.groups:
        for row in group.rows:
            running, machines = shares.get(row.wanted.index, (0, 0))
            runs = group.count if row.result is Result.PASS else 0
            shares[row.wanted.index] = running + runs, machines + group.count
    return shares


def _badness(group: MachineGroup) -> tuple[int, int, int]:
    """The classes in which most is broken first; of equal ones the larger."""
    counted = sum(row.exit_code > 0 for row in group.rows)
    bad = sum(row.result is not Result.PASS for row in group.rows)
    return -counted, -bad, -group.count


def _facts(audit: Audit) -> Iterator[tuple[str, str]]:
    yield "Policy", text(shortened(audit.policy.file, MOST_OF_A_TEXT))
    yield "Day (UTC)", text(audit.today)
    yield "Judged", text(spread(audit))
    yield "Verdicts", text(results(audit))
    yield "Exit code", str(audit.exit_code)
    for remark in remarks(audit):
        yield "Note", text(shortened(remark, MOST_OF_A_TEXT))


def _problems(audit: Audit) -> str:
    if not audit.problems:
        return ""
    entries = "".join(f"<li>{_said(str(problem))}</li>\n" for problem in audit.problems)
    return f'<section class="problems"><h2>Could not be judged</h2><ul>\n{entries}</ul></section>'


def _to_do(audit: Audit) -> str:
    entries = "".join(
        f"<li><b>{_said(head)}</b>: {_said(words)}</li>\n" for head, words in to_do(audit)
    )
    return f"<section><h2>To do first</h2><ul>\n{entries}</ul></section>" if entries else ""


def _left_out(audit: Audit, matrix: _Matrix) -> str:
    """What the page has no room for; empty where all of it is there."""
    models = len({row.wanted.index for group in audit.groups for row in group.rows})
    rest = {
        "class of machines": len(audit.groups) - len(matrix.groups),
        "model": models - len(matrix.entries),
    }
    said = [many(number, what) for what, number in rest.items() if number > 0]
    if said:
        said = [each.replace("class of machiness", "classes of machines") for each in said]
        words = f"Not on this page: {' and '.join(said)}. The JSON report has all of them."
        return f'<p class="note">{text(words)}</p>'
    return ""


# ------------------------------------------------------------------ the matrix


def _legend(matrix: _Matrix) -> str:
    signs = "Signs: \u2713 runs, \u2717 does not run, ? not known, ! excepted."
    if matrix.is_by_model:
        return f"Machines fare too differently for a column each: a row counts them. {signs}"
    columns = many(len(matrix.groups), "column")
    return f"{columns}, each of machines that fare alike, the worst first. {signs}"


def _head(matrix: _Matrix) -> str:
    if not matrix.is_by_model:
        return "".join(map(_heading, matrix.groups))
    return "".join(
        f'<th scope="col">{SIGNS[result]} {RESULT_WORDS[result]}</th>' for result in _RESULTS_SHOWN
    )


def _heading(group: MachineGroup) -> str:
    more = f"<small>and {group.count - 1:,} more</small>" if group.count > 1 else ""
    return f'<th scope="col">{_name_of_head(group.names[0])}{more}</th>'


def _line(matrix: _Matrix, entry: int) -> str:
    rows = [matrix.cells[entry, place] for place in matrix.places[entry]]
    if matrix.is_by_model:
        cells = "".join(_cell_of_result(matrix, entry, result) for result in _RESULTS_SHOWN)
    else:
        cells = "".join(_cell(matrix, entry, place) for place in range(len(matrix.groups)))
    ways = "".join(f"<small>{text(way)}</small>" for way in judged_as(rows))
    running, machines = matrix.shares[entry]
    share = f'<td class="n">{running:,} of {machines:,}</td>'
    head = f'<th scope="row">{_name_of_head(rows[0].wanted.label)}{ways}</th>'
    return f"<tr>{head}{share}{cells}</tr>\n"


def _cell_of_result(matrix: _Matrix, entry: int, result: Result) -> str:
    """The machines on which an entry has a result, by what decides it, the most first."""
    places = [
        place for place in matrix.places[entry] if matrix.cells[entry, place].result is result
    ]
    if not places:
        return '<td class="none">none</td>'
    places.sort(key=lambda place: -matrix.groups[place].count)
    lines = []
    for place in places[:_GROUPS_SHOWN]:
        row = matrix.cells[entry, place]
        machines = many(matrix.groups[place].count, "machine")
        words = text(_with_checks(f"{SIGNS[result]} {machines}", _deciding(row)))
        lines.append(f"<li>{_linked(matrix, entry, place, words)}{_uncounted(row)}</li>")
    if rest := places[_GROUPS_SHOWN:]:
        machines = many(sum(matrix.groups[place].count for place in rest), "more machine")
        lines.append(f"<li>{SIGNS[result]} {machines}</li>")
    return f'<td class="{result}"><ul>{"".join(lines)}</ul></td>'


def _linked(matrix: _Matrix, entry: int, place: int, words: str) -> str:
    """The words, as a link to what is folded."""
    is_folded = (entry, place) in matrix.folded
    return f'<a href="#{_id(entry, place)}">{words}</a>' if is_folded else words


def _uncounted(row: Row) -> str:
    is_quiet = row.exit_code or row.result in _QUIET
    return "" if is_quiet else "<small>not counted</small>"


def _cell(matrix: _Matrix, entry: int, place: int) -> str:
    row = matrix.cells.get((entry, place))
    if row is None:
        return '<td class="none">not wanted</td>'
    words = _linked(matrix, entry, place, f"{SIGNS[row.result]} {_short(row)}")
    return f'<td class="{row.result}">{words}{_uncounted(row)}</td>'


_QUIET = (Result.PASS, Result.EXCEPTED)


def _short(row: Row) -> str:
    """The result in a word, with the checks that made it."""
    match row.result:
        case Result.PASS:
            return "runs"
        case Result.EXCEPTED:
            return "excepted"
        case Result.FAIL:
            return _with_checks("no", row.failed)
    return _with_checks("unknown", row.undecided)


def _deciding(row: Row) -> tuple[str, ...]:
    """The checks that decide a row."""
    if row.result is Result.EXCEPTED:
        return tuple(check for check, _ in row.excepted)
    return row.failed or row.undecided


def _with_checks(word: str, checks: tuple[str, ...]) -> str:
    """`no: memory, disk and 3 more`."""
    if not checks:
        return word
    more = f" and {len(checks) - _CHECKS_SHOWN} more" if len(checks) > _CHECKS_SHOWN else ""
    return f"{word}: {', '.join(checks[:_CHECKS_SHOWN])}{more}"


# ------------------------------------------------------------------ what is folded


def _folded(matrix: _Matrix, entry: int) -> str:
    """The reasons of one entry, a fold for each class; where it runs, one fold for all."""
    places = [place for place in matrix.places[entry] if (entry, place) in matrix.folded]
    if not places:
        return ""
    label = matrix.cells[entry, places[0]].wanted.label
    open_ones = [place for place in places if matrix.cells[entry, place].result is not Result.PASS]
    folds = [
        _fold(
            matrix.cells[entry, place].result,
            f" on {_name(matrix.groups[place].name)}"
            + text(_with_checks("", _deciding(matrix.cells[entry, place]))),
            _part(matrix, entry, place),
        )
        for place in open_ones
    ]
    if running := [place for place in places if place not in open_ones]:
        machines = sum(matrix.groups[place].count for place in running)
        parts = (
            f"<h4>{_name(matrix.groups[place].name)}</h4>{_part(matrix, entry, place)}"
            for place in running
        )
        folds.append(_fold(Result.PASS, f" on {many(machines, 'machine')}", "".join(parts)))
    return f"<h3>{_name(label)}</h3>\n{''.join(folds)}"


def _fold(result: Result, where: str, content: str) -> str:
    head = f"{SIGNS[result]} {RESULT_WORDS[result]}"
    return (
        f'<details class="{result}"><summary><b>{head}</b>{where}</summary>\n'
        f"<div>{content}</div></details>\n"
    )


def _part(matrix: _Matrix, entry: int, place: int) -> str:
    inside = "".join(_inside(matrix.groups[place], matrix.cells[entry, place]))
    return f'<div id="{_id(entry, place)}">{inside}</div>\n'


def _inside(group: MachineGroup, row: Row) -> Iterator[str]:
    if ways := judged_as([row]):
        yield f"<p>Judged as {text(ways[0])}.</p>"
    if group.count > 1:
        which = "one of them" if row.result is Result.PASS else "the one that lacks most"
        yield f"<p>Figures of {_name(row.machine)}, {which}.</p>"
    bars = "".join(_bar(finding) for finding in row.findings if finding.check in _SIZES)
    if bars:
        yield f'<dl class="bars">{bars}</dl>'
    if row.reasons:
        yield "<ul>"
        for reason in row.reasons:
            remedy = f'<p class="todo">To do: {_said(reason.remedy)}</p>' if reason.remedy else ""
            yield f"<li>{_said(str(reason))}\n{remedy}</li>"
        yield "</ul>"
    for check, each in row.excepted:
        yield f"<p>{_said(excepted_words(row, check, each))}</p>"
    if row.result is Result.PASS and (warned := warnings(row)):
        yield f"<p>Warns: {text(warned)}.</p>"


# how sizes of each check print
_SIZES = {"memory": units.binary, "disk": units.decimal}


def _bar(finding: Finding) -> str:
    """What is there against what is needed, to one scale; empty where either is not known."""
    needs, has = finding.needs, finding.has
    if not isinstance(needs, int) or not isinstance(has, int) or finding.unit != "bytes":
        return ""
    size = _SIZES[finding.check]
    missing = f", {size(int(finding.short))} missing" if finding.short else ""
    words = f"needs {size(needs)}, has {size(has)}{missing}"
    scale = max(needs, has, 1)
    used, there = (round(100 * part / scale, 1) for part in (min(needs, has), has))
    lacks = round(100 - there, 1) if needs > has else 0
    return (
        f'<div><dt>{finding.check}</dt><dd><svg viewBox="0 0 100 6" preserveAspectRatio="none"'
        f' aria-hidden="true"><rect class="has" width="{there}" height="6"/>'
        f'<rect class="used" width="{used}" height="6"/>'
        f'<rect class="lacks" x="{there}" width="{lacks}" height="6"/></svg>'
        f"<span>{text(words)}</span></dd></div>"
    )


# ------------------------------------------------------------------ exceptions and machines


def _exceptions(audit: Audit) -> str:
    if not audit.exceptions:
        return "<p>The policy has none.</p>"
    uses = sorted(audit.exceptions, key=lambda use: (use.use is not Use.EXPIRED, use.use))
    rows = "".join(map(_exception, uses[:_MOST_EXCEPTIONS]))
    rest = len(uses) - _MOST_EXCEPTIONS
    more = f'<p class="note">{many(rest, "more exception")}, not listed.</p>' if rest > 0 else ""
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("Exception", "Ends", "State", "Reason", "Owner")
    )
    return (
        '<div class="table" tabindex="0" role="region" aria-label="Exceptions, scrollable"><table'
        f' class="list"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>{more}'
    )


_EXCEPTION_SIGNS = {Use.USED: "!", Use.UNUSED: "?", Use.EXPIRED: "✗"}


def _exception(use: ExemptionUse) -> str:
    each = use.exemption
    state = f"{_EXCEPTION_SIGNS[use.use]} {use.use}"
    return (
        f'<tr><th scope="row">{_name(exception_name(use))}</th><td class="n">{each.expires}</td>'
        f'<td class="{use.use}">{text(state)} <small>{text(exception_fate(use))}</small></td>'
        f"<td>{_said(each.reason)}</td><td>{_name(each.owner)}</td></tr>\n"
    )


def _machines(matrix: _Matrix) -> str:
    """The classes of machines with their first names; empty where they are no columns."""
    if matrix.is_by_model:
        return ""
    heads = [f"{SIGNS[result]} {_COUNTED[result]}" for result in WORST_FIRST]
    head = "".join(f'<th scope="col" class="n">{text(words)}</th>' for words in heads)
    return (
        '<section>\n<h2>Machines</h2>\n<div class="table" tabindex="0" role="region"'
        ' aria-label="Machines, scrollable">\n<table class="list">\n<caption>Classes of machines'
        " that fare alike, and their number of models by result</caption>\n<thead><tr><th"
        f' scope="col">Machines</th><th scope="col" class="n">Number</th>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(map(_class, matrix.groups))}</tbody>\n</table>\n</div>\n</section>"
    )


_COUNTED = {
    Result.FAIL: "do not run",
    Result.UNKNOWN: "not known",
    Result.EXCEPTED: "excepted",
    Result.PASS: "run",
}


def _class(group: MachineGroup) -> str:
    names = ", ".join(_name(name) for name in group.names)
    more = f" and {group.count - len(group.names):,} more" if group.count > len(group.names) else ""
    counts = {result: sum(row.result is result for row in group.rows) for result in WORST_FIRST}
    cells = "".join(f'<td class="n">{count or ""}</td>' for count in counts.values())
    return f'<tr><th scope="row">{names}{more}</th><td class="n">{group.count:,}</td>{cells}</tr>\n'


def _id(entry: int, place: int) -> str:
    return f"m{entry}-c{place}"


def _name(name: str) -> str:
    return f"<bdi>{text(shortened(name, MOST_OF_A_NAME))}</bdi>" if name else ""


def _name_of_head(name: str) -> str:
    """A name, which may break behind its dots; browsers break it behind hyphens by themselves."""
    return _name(name).replace(".", ".<wbr>")


def _said(words: str) -> str:
    return text(shortened(words, MOST_OF_A_TEXT))
