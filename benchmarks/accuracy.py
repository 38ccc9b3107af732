"""How right the figures are: the tables of docs/accuracy.md, printed or written into the page.

    python benchmarks/accuracy.py                    # every table (20 minutes; the orders take most)
    python benchmarks/accuracy.py memory pace        # the tables of these subjects
    python benchmarks/accuracy.py pace --misses      # and each run outside its range
    python benchmarks/accuracy.py pace --sets        # one line for each file of runs
    python benchmarks/accuracy.py memory --write     # put the tables into docs/accuracy.md

Subjects: memory, pace, clusters (docs/clusters.md), other (work that is no text), reports (of other people), order (which model is
better), sources (of the scores it rests on), peers (other programs, from their kept answers).

Each line of a pace has the number of runs and of devices, the median distance of the likely figure
from what was measured, the share of runs inside the range, the median width of the range (its high
end over its low one), and the median of what was measured over what is likely. A source is in the fit
as a whole or not at all (`runs.SETS`). Nothing here passes or fails: tests/judge/test_pace_truth.py
holds each set to its bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "accuracy.md"
# the pages of subjects that have one of their own
_PAGES = {"clusters": HERE.parent / "docs" / "clusters.md"}
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent / "tests")]

import cluster_scores  # noqa: E402
import orders  # noqa: E402
import other_work  # noqa: E402
import paces  # noqa: E402
import peaks  # noqa: E402
import runs  # noqa: E402
from paces import Scored, Summary  # noqa: E402

# a class of fewer runs has no line on the page
_LEAST_RUNS = 10
# where the table of a subject stands in the page
_BEGIN = "<!-- begin {name}: python benchmarks/accuracy.py {subject} --write -->"
_END = "<!-- end {name} -->"
# the words of a report's figure, by its key
_FIGURES = {
    "download_bytes": "size of a download",
    "prompt": "pace of a prompt",
    "decode": "pace of decoding",
    "parallel_total": "pace of decoding, all users together",
    "work": "pace of other work",
    "placement": "where the model lies, or that it does not fit",
    "runs": "it runs",
    "gpu_bytes": "memory of a GPU",
    "gpu_buffer_bytes": "memory of a GPU",
}
_RECIPES = "it runs in vLLM, by vLLM's own recipes"

Cells = Sequence[str]


def table(head: Cells, lines: Iterable[Cells]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    for cells in (head, ["---"] * len(head), *lines):
        yield f"| {' | '.join(cells)} |"


def percent(share: float) -> str:
    """A share in percent: with a digit behind the point below ten."""
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


# ------------------------------------------------------------------ memory


def memory_table() -> Iterator[str]:
    """A line for each program."""
    by_program: dict[str, list[peaks.Peak]] = defaultdict(list)
    for peak in peaks.peaks():
        by_program[peak.program].append(peak)
    lines: list[Cells] = []
    for program, found in by_program.items():
        errors = [peak.error for peak in found]
        inside = sum(peak.is_inside for peak in found)
        worst = percent(max(errors))
        cells = (program, f"{len(found)}", f"{inside}", percent(median(errors)), worst)
        lines.append(cells)
    return table(("program", "runs", "inside", "off, median", "off, worst"), lines)


def parts_table() -> Iterator[str]:
    """A line for each kind of buffer or file that is counted alone."""
    by_name: dict[str, list[peaks.Part]] = defaultdict(list)
    for part in peaks.parts():
        by_name[part.name].append(part)
    lines: list[Cells] = []
    for name, found in by_name.items():
        exact = sum(part.is_exact for part in found)
        errors = [part.error for part in found]
        middle = percent(median(errors))
        worst = percent(max(errors))
        lines.append((name, f"{len(found)}", f"{exact}", middle, worst))
    head = ("llama.cpp", "cases", "exact to the byte", "off, median", "off, worst")
    return table(head, lines)


def memory_misses() -> Iterator[str]:
    """A line for each run outside its range."""
    for peak in peaks.peaks():
        if not peak.is_inside:
            yield (
                f"  {peak.program}, {peak.label}: {peak.measured_bytes:,.0f} of"
                f" {peak.low_bytes:,.0f} {peak.likely_bytes:,.0f} {peak.high_bytes:,.0f}"
            )


# ------------------------------------------------------------------ pace

_HEAD = ("runs", "devices", "error", "inside", "high to low", "seen to likely")


@cache
def runs_of_set(name: str) -> Sequence[Scored]:
    """The runs of a set with their predictions."""
    return tuple(paces.scored_set(name))


@cache
def runs_in_fit(*, is_fitted: bool) -> Sequence[Scored]:
    """The runs of text that decided a constant, or those that decided none."""
    names = [name for name, kind in runs.SETS.items() if kind.is_fitted is is_fitted]
    return tuple(chain.from_iterable(runs_of_set(name) for name in names))


def cells_of(found: Sequence[Scored]) -> Cells:
    """What a line says of several runs."""
    summary = Summary.of(found)
    return (
        f"{summary.runs}",
        f"{summary.devices}",
        f"{summary.error:.0%}",
        f"{summary.inside:.0%}",
        f"{summary.width:.1f}",
        f"{summary.bias:.2f}",
    )


def pace_table(found: Iterable[Scored], least_runs: int) -> Iterator[str]:
    """A line for each class of so many runs, each kind of work as a whole first."""
    classes = paces.by_class(found)
    # "decode, every class" stands before the classes of its work
    names = sorted(
        classes, key=lambda name: (name.split(",")[0], "every class" not in name, name)
    )
    lines: list[Cells] = []
    for name in names:
        if len(classes[name]) >= least_runs:
            lines.append((name, *cells_of(classes[name])))
    return table(("class", *_HEAD), lines)


def held_out_table() -> Iterator[str]:
    """The runs in no fit."""
    return pace_table(runs_in_fit(is_fitted=False), _LEAST_RUNS)


def fitted_table() -> Iterator[str]:
    """The runs in the fit, by kind of work."""
    by_work = []
    for run in runs_in_fit(is_fitted=True):
        by_work.append(run._replace(class_name=run.class_name.partition(",")[0]))
    lines: list[Cells] = []
    for name, found in sorted(paces.by_class(by_work).items()):
        if "every class" in name:
            lines.append((name, *cells_of(found)))
    return table(("class", *_HEAD), lines)


def blind_table() -> Iterator[str]:
    """The runs that were stored before one was predicted."""
    return pace_table(runs_of_set(runs.BLIND), _LEAST_RUNS)


def sets_table() -> Iterator[str]:
    """A line for each file of runs and its use."""
    lines = [(name, *cells_of(runs_of_set(name))) for name in runs.SETS]
    return table(("set", *_HEAD), lines)


def every_class() -> Iterator[str]:
    """Every class of both tables, however few its runs."""
    for title, is_fitted in (("in no fit", False), ("in the fit", True)):
        yield f"{title}:"
        yield from pace_table(runs_in_fit(is_fitted=is_fitted), 1)
        yield ""


def misses(found: Iterable[Scored]) -> Iterator[str]:
    """A line for each run outside its range, the slowest beside its likely rate first."""
    for run in sorted(found, key=lambda run: run.bias):
        if not run.is_inside:
            yield (
                f"  {run.bias:5.2f} {run.class_name}; {run.device}; {run.label}:"
                f" {run.measured:.1f} of {run.low:.1f} {run.likely:.1f} {run.high:.1f}"
            )


def pace_misses() -> Iterator[str]:
    """The runs in no fit that lie outside."""
    return misses(runs_in_fit(is_fitted=False))


# ------------------------------------------------------------------ other work


def other_runs() -> Iterator[Scored]:
    """The runs that are no text, and those of text that no table by class has."""
    yield from runs_of_set("speed_parallel.json, many requests at once")
    yield from runs_of_set("speed_tensor_parallel.json, the same on several GPUs")
    for kind in other_work.ON_GPUS.values():
        yield from kind()
    yield from other_work.on_processors()


def other_table() -> Iterator[str]:
    """A line for each kind of work."""
    names = {
        "speed_parallel.json, many requests at once": "many requests at once",
        "speed_tensor_parallel.json, the same on several GPUs": "the same on several GPUs",
    }
    lines: list[Cells] = []
    for key, name in names.items():
        lines.append((name, *cells_of(runs_of_set(key))))
    for kind in other_work.ON_GPUS.values():
        by_class: dict[str, list[Scored]] = defaultdict(list)
        for run in kind():
            by_class[run.class_name].append(run)
        for called, found in sorted(by_class.items()):
            lines.append((called, *cells_of(found)))
    on_processors = list(other_work.on_processors())
    lines.append(("speech and pictures on processors", *cells_of(on_processors)))
    return table(("work", *_HEAD), lines)


def other_misses() -> Iterator[str]:
    """The runs of other work that lie outside."""
    return misses(other_runs())


# ------------------------------------------------------------------ reports of other people


@cache
def judged_reports() -> Sequence[tuple[str, str, str]]:
    """What was reported, the judgement of the answer, and the report."""
    from helpers.public_reports import RECIPES, REPORTS, judged, recipe_judged

    found: list[tuple[str, str, str]] = []
    for report in REPORTS:
        found.append((_FIGURES[report["figure"]], judged(report), str(report)))
    for model, precisions, machine in RECIPES:
        answer = recipe_judged(model, precisions, machine)
        found.append((_RECIPES, answer, f"{model} on {machine}"))
    return found


def reports_table() -> Iterator[str]:
    """A line for each kind of figure."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for figure, answer, _ in judged_reports():
        counts[figure][answer] += 1
    lines: list[Cells] = []
    for figure, count in counts.items():
        words = [f"{count[word]}" for word in ("right", "doubtful", "wrong")]
        lines.append((figure, f"{count.total()}", *words))
    head = ("what was reported", "reports", "right", "doubtful", "wrong")
    return table(head, lines)


def reports_misses() -> Iterator[str]:
    """A line for each report that is not right."""
    for _, answer, report in judged_reports():
        if answer != "right":
            yield f"  {answer}: {report}"


# ------------------------------------------------------------------ other programs


def peers_tables() -> Iterator[str]:
    """The tables of benchmarks/peers/score.py."""
    import score

    return score.tables()


def clusters_held_out_table() -> Iterator[str]:
    """The runs of several machines in no fit."""
    return pace_table(cluster_scores.scored(is_fitted=False), 1)


def clusters_fitted_table() -> Iterator[str]:
    """The runs of several machines on which hops and shares were fitted."""
    return pace_table(cluster_scores.scored(is_fitted=True), 1)


def peers_misses() -> Iterator[str]:
    """What selfhost got wrong there."""
    import score

    return score.wrong_answers("selfhost")


# ------------------------------------------------------------------ the command

Lines = Callable[[], Iterator[str]]
# the tables of each subject by their names in the page
SUBJECTS: Mapping[str, Mapping[str, Lines]] = {
    "memory": {"memory": memory_table, "parts": parts_table},
    "pace": {
        "pace in no fit": held_out_table,
        "pace stored before": blind_table,
        "pace in the fit": fitted_table,
    },
    "clusters": {
        "clusters in no fit": clusters_held_out_table,
        "clusters in the fit": clusters_fitted_table,
    },
    "other": {"other work": other_table},
    "reports": {"reports": reports_table},
    "order": {
        "order of all": orders.table_of_all,
        "order on machines": orders.table_on_machines,
    },
    "sources": {"sources of scores": orders.table_of_sources},
    "peers": {"other programs": peers_tables, "wrong answers": peers_misses},
}
# each miss of a subject, where `--misses` asks for them
MISSES: Mapping[str, Lines] = {
    "memory": memory_misses,
    "pace": pace_misses,
    "other": other_misses,
    "reports": reports_misses,
}


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables that the arguments ask for, or write them into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", default=[])
    parser.add_argument("--misses", action="store_true", help="each run outside too")
    parser.add_argument("--sets", action="store_true", help="of the pace: each file")
    parser.add_argument("--write", action="store_true", help="into docs/accuracy.md")
    stated = parser.parse_args(words)
    unknown = set(stated.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no subject {', '.join(unknown)}: {', '.join(SUBJECTS)}")
    for subject in stated.subjects or SUBJECTS:
        if stated.write:
            write(subject)
            continue
        for line in lines_of(subject, with_sets=stated.sets):
            print(line, flush=True)
        if stated.misses and subject in MISSES:
            print(*MISSES[subject](), sep="\n")
    return 0


def lines_of(subject: str, *, with_sets: bool) -> Iterator[str]:
    """The lines of a subject for a person: every class of the pace, or every set."""
    if subject == "pace":
        yield from sets_table() if with_sets else every_class()
        return
    for name, lines in SUBJECTS[subject].items():
        yield f"{name}:"
        yield from lines()
        yield ""


def write(subject: str) -> None:
    """Put the tables of a subject into its page, each between its two marks."""
    path = page_of(subject)
    for name, lines in SUBJECTS[subject].items():
        page = path.read_text(encoding="utf-8")
        text = "\n".join(lines()).strip()
        path.write_text(with_table(page, subject, name, text), encoding="utf-8")


def page_of(subject: str) -> Path:
    """The page that has the tables of a subject."""
    return _PAGES.get(subject, PAGE)


def with_table(page: str, subject: str, name: str, text: str) -> str:
    """The page with that text between the marks of the name. Raises ValueError without marks."""
    begin = _BEGIN.format(name=name, subject=subject)
    end = _END.format(name=name)
    before, mark, rest = page.partition(begin)
    _, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise ValueError(f"the page lacks the marks of {name}: {begin}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


if __name__ == "__main__":
    raise SystemExit(main())
