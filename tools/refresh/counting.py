"""How many specs there are, by kind and by how many sources their sizes rest on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.catalogue.spec_values import MODALITIES

from .statements import in_order

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
_ONE_PROJECT = {
    "inference": "xinference",
    "aiconfigurator": "aiconfigurator-core",
    "ollama-models-nix": "ollama-models-registry",
}
HOW = ("two or more sources", "one, shaped as one with two", "one source", "none to look up")


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
    return frozenset(project for text in texts for project in _named(text))


def _named(text: str) -> frozenset[str]:
    """The projects that a source names; what somebody remembers beside them is none."""
    return frozenset(
        _project(name)
        for clause in text.split(";")
        if _REMEMBERED not in clause
        for name in _NAMED.findall(clause)
        if not (_OWN_ARITHMETIC in clause and _LIBRARY.match(name))
    )


def _project(name: str) -> str:
    """What a source is a version of: another commit or release of it is no second source."""
    project = re.split(r"@| \d", name)[0].lower()
    if "@" in name:
        project = project.rpartition("/")[2]
    return _ONE_PROJECT.get(project, project)


def how_well(specs: Iterable[ModelSpec]) -> Iterator[tuple[ModelSpec, str]]:
    """Open models, each with how many sources its sizes rest on, in one of the words of `HOW`.

    A model with one source may have the layers of another that has two: a tune of it, most often,
    whose published count of parameters then confirms what both share.
    """
    counts = {spec: len(sources_of(spec)) for spec in specs if not spec.closed}
    shapes = {_shape(spec) for spec, count in counts.items() if count > 1} - {None}
    for spec, count in counts.items():
        if count == 1 and _shape(spec) in shapes:
            yield spec, HOW[1]
        else:
            yield spec, HOW[0] if count > 1 else HOW[2] if count else HOW[3]


def _shape(spec: ModelSpec) -> tuple[Any, ...] | None:
    """What the layers of a model are made of; None where its spec does not say."""
    model = spec.architecture
    if model is None or not model.layers or not (model.attention or model.recurrent):
        return None
    model = in_order(model)
    return (
        model.row, model.layers, model.embedding_length, model.attention, model.recurrent,
        model.feed_forward, model.audio,
    )  # fmt: skip


def remembered(specs: Iterable[ModelSpec]) -> Counter[str]:
    """Of open models, how many facts of each table rest on general knowledge alone."""
    counts: Counter[str] = Counter()
    for spec in specs:
        for key, text in spec.sources.items():
            if not spec.closed and _REMEMBERED in text and not _named(text):
                counts[key.partition(".")[0]] += 1
    return counts


def count_text(catalogue: Catalogue) -> str:
    """A table: specs by kind, and by how well their sizes are known; and what is remembered alone."""
    specs = tuple(catalogue.specs())
    counts = Counter((spec.modality, how) for spec, how in how_well(specs))
    width = max(map(len, MODALITIES))
    lines = [f"{'open':{width}}  {'all':>5}  " + "  ".join(HOW)]
    for kind in (*MODALITIES, "all"):
        own = {how: _sum(counts, kind, how) for how in HOW}
        figures = "  ".join(f"{own[how]:>{len(how)},}" for how in HOW)
        lines.append(f"{kind:{width}}  {sum(own.values()):>5,}  {figures}")
    total = sum(counts.values())
    closed = len(specs) - total
    lines.append(f"{total:,} open, {closed:,} closed, {len(specs):,} in all")
    alone = remembered(specs).most_common()
    words = ", ".join(f"{key} {count:,}" for key, count in alone)
    lines.append(f"facts on general knowledge alone: {words or 'none'}")
    return "\n".join(lines) + "\n"


def _sum(counts: Counter[tuple[str, str]], kind: str, how: str) -> int:
    return sum(
        count for (own, word), count in counts.items() if word == how and kind in (own, "all")
    )
