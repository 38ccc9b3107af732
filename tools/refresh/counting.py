"""How many specs there are, by kind and by how many sources their sizes rest on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import MODALITIES, ModelSpec

# tables whose facts decide what a model takes
SIZES = ("architecture", "parameters", "components", "embedding", "needs", "files")
# A source that can be looked up: a repository at a commit, a version of a package, a paper, a page.
_NAMED = re.compile(
    r"[\w.-]+/[\w.-]+@[0-9a-f]{6,}"
    r"|[\w.-]+@[0-9a-f]{6,}"
    r"|\b[a-z][\w-]+ (?:\d+\.\d+\.\d+|\d{8})\b"
    r"|arXiv:\d+\.\d+"
    r"|\b(?:[\w-]+\.)+(?:org|com|ai|dev|io|net|co|de)(?:/[\w.-]+){0,2}"
    r"|listing of [\w.-]+/[\w.-]+"
    r"|tests/truth/[\w.]+"
    r"|code search of 20\d\d-\d\d"
)
# What somebody remembers is no source. A class without weights counts what the spec's own sizes
# give: that is arithmetic.
_REMEMBERED = "general knowledge"
_OWN_ARITHMETIC = "built without weights"
_LIBRARY = re.compile(r"(?:transformers|diffusers) \d")
# one project under the names of its package and of its repository
_ONE_PROJECT = {"inference": "xinference", "aiconfigurator": "aiconfigurator-core"}
HOW = ("two or more sources", "one source", "no source that can be looked up")


def sources_of(spec: ModelSpec, tables: Iterable[str] = SIZES) -> frozenset[str]:
    """The sources that a spec names for these tables, each once; `listing of` a repository counts
    for the sizes of its files.
    """
    wanted = frozenset(tables)
    texts = [text for key, text in spec.sources.items() if key.partition(".")[0] in wanted]
    if spec.needs is not None and "needs" in wanted:
        texts.append(spec.needs.source or "")
    if "files" in wanted:
        texts += [files.source for files in spec.files if files.bytes]
    named = set()
    for text in texts:
        for clause in text.split(";"):
            if _REMEMBERED not in clause:
                named |= {
                    _project(name)
                    for name in _NAMED.findall(clause)
                    if not (_OWN_ARITHMETIC in clause and _LIBRARY.match(name))
                }
    return frozenset(named)


def _project(name: str) -> str:
    """What a source is a version of: another commit or release of it is no second source."""
    project = re.split(r"@| \d", name)[0].lower()
    if "@" in name:
        project = project.rpartition("/")[2]
    return _ONE_PROJECT.get(project, project)


def how_well(spec: ModelSpec) -> str:
    """How many sources the sizes of an open model rest on, in one of the words of `HOW`."""
    count = len(sources_of(spec))
    return HOW[2] if count == 0 else HOW[1] if count == 1 else HOW[0]


def count_text(catalogue: Catalogue) -> str:
    """A table: specs by kind, and by how well their sizes are known."""
    counts: Counter[tuple[str, str]] = Counter()
    closed = 0
    for spec in catalogue.specs():
        if spec.closed:
            closed += 1
        else:
            counts[spec.modality, how_well(spec)] += 1
    width = max(map(len, MODALITIES))
    lines = [f"{'open':{width}}  {'all':>5}  " + "  ".join(HOW)]
    for kind in (*MODALITIES, "all"):
        own = {how: _sum(counts, kind, how) for how in HOW}
        figures = "  ".join(f"{own[how]:>{len(how)},}" for how in HOW)
        lines.append(f"{kind:{width}}  {sum(own.values()):>5,}  {figures}")
    total = sum(counts.values())
    return (
        "\n".join([*lines, f"{total:,} open, {closed:,} closed, {total + closed:,} in all"]) + "\n"
    )


def _sum(counts: Counter[tuple[str, str]], kind: str, how: str) -> int:
    return sum(
        count for (own, word), count in counts.items() if word == how and kind in (own, "all")
    )
