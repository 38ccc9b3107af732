"""Forty good specs with three to five slips each: every slip is told in one run, on its line, with what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from helpers.paths import SPECS
from selfhost.catalogue.opened import open_catalogue
from selfhost.modelfiles.speccheck import check_spec_files


def slip_of(word: str) -> str:
    """The word without its third letter."""
    return word[:2] + word[3:]


# A slip: what stands in a good spec, what is written instead, the key of the fault, and what its
# remedy must hold. `{0}` is the first group; a key of None is told on another line.
SLIPS: dict[str, tuple[str, Callable[[re.Match[str]], str], str, str]] = {
    "key": (r"^modality = (.*)$", lambda m: f"modalty = {m[1]}", "modalty", "did you mean modality?"),
    "value": (r'^modality = "text"$', lambda _: 'modality = "txt"', "modality", '"text"'),
    "use": (r'^uses = \["chat"', lambda _: 'uses = ["chta"', "uses[0]", '"chat"'),
    "quoted date": (
        r"^released = (\d{4}-\d\d-\d\d)$", lambda m: f'released = "{m[1]}"', "released",
        "write released = {0}",
    ),
    "number as date": (
        r"^released = (\d{4})-\d\d-\d\d$", lambda m: f"released = {m[1]}", "released", "YYYY-MM-DD",
    ),
    "runtime": (r'^runtimes = \["transformers"', lambda _: 'runtimes = ["transformer"', "runtimes[0]", '"transformers"'),
    "base": (r'^tuned_from = "([a-z0-9.-]{8,})"$', lambda m: f'tuned_from = "{m[1]}x"', "tuned_from", '"{0}"'),
    "family": (r'^family = "(mistral|whisper|granite|falcon|hunyuan|command)"$', lambda m: f'family = "{slip_of(m[1])}"', "family", '"'),
    "row": (r'^gguf = "llama"$', lambda _: 'gguf = "lama"', "architecture.gguf", '"llama"'),
    "class": (r'^transformers = "([a-z0-9_]{5,})"$', lambda m: f'transformers = "{m[1]}x"', "architecture.transformers", '"{0}"'),
    "license": (r'^id = "Apache-2\.0"$', lambda _: 'id = "Apache 2"', "license.id", "Apache-2.0"),
    "answer": (r'^commercial_use = "yes"$', lambda _: 'commercial_use = "yess"', "license.commercial_use", '"yes"'),
    "openness": (r'^training_code = "closed"$', lambda _: 'training_code = "close"', "openness.training_code", '"closed"'),
    "sum": (
        r'^total = (\d{1,3}(?:_\d{3}){3})$(?=[\s\S]*^gguf = "(?:llama|qwen2|qwen3)"$)', lambda m: f"total = {int(m[1]) * 3:_}", "parameters.total",
        "write total = ",
    ),
    "sum of parts": (
        r"^total = (\d{1,3}(?:_\d{3}){3})$(?=[\s\S]*^\[components\]$)", lambda m: f"total = {int(m[1]) * 3:_}",
        "parameters.total", "write total = {0}",
    ),
    "unit": (r"^total = (\d)(_\d{3}){3}$", lambda m: f'total = "{m[1]}B"', "parameters.total", "write {0}_000_000_000"),
    "flag": (r"^tied_embeddings = (true|false)$", lambda m: f'tied_embeddings = "{m[1]}"', "architecture.tied_embeddings", ""),
    "layer key": (r"^embedding_length = (\d+)$", lambda m: f"embeding_length = {m[1]}", "architecture.embeding_length", "embedding_length"),
    "count": (r"^layers = (\d+)$", lambda m: f'layers = "{m[1]}"', "architecture.layers", "write {0}"),
    "type": (r'^dtype = "bfloat16"$', lambda _: 'dtype = "bfloat61"', "dtype", "bfloat16"),
    "quantization": (r"\bQ4_K_M = (\d)", lambda m: f"Q4_KM = {m[1]}", "Q4_KM", "Q4_K_M"),
    "source": (r'^openness = "', lambda _: 'opennes = "', "sources.opennes", '"openness"'),
    "no source": (r'^license = "(.{3,})$', lambda _: "", "sources.license", "say where"),
}  # fmt: skip
# what hides another: a wrong row or list leaves nothing to count, one line takes one slip
NEVER_WITH = {
    "sum": {"row", "class", "unit", "layer key", "count", "type", "flag"},
    "unit": {"sum", "sum of parts"},
    "sum of parts": {"sum"},
    "value": {"key"},
    "key": {"value"},
    "quoted date": {"number as date"},
    "number as date": {"quoted date"},
    "source": set(),
}  # fmt: skip
FILES, AT_LEAST = 40, 3


def slipped(text: str, first: int) -> tuple[str, list[tuple[str, str]]]:
    """The text with up to five slips, of those that suit it the first ones from `first` on; the
    key and the remedy of each.
    """
    names = list(SLIPS)
    chosen: list[str] = []
    expected = []
    for name in names[first:] + names[:first]:
        pattern, write, key, remedy = SLIPS[name]
        match = re.search(pattern, text, re.MULTILINE)
        clash = any(name in NEVER_WITH.get(other, ()) for other in chosen) or any(
            other in NEVER_WITH.get(name, ()) for other in chosen
        )
        if match is None or clash or len(chosen) == 5:
            continue
        text = text[: match.start()] + write(match) + text[match.end() :]
        chosen.append(name)
        expected.append((key, remedy.format(*match.groups())))
    return text, expected


@cache
def written(folder: Path) -> dict[Path, list[tuple[str, str]]]:
    """The corpus: a shipped spec for each slip in turn, and the slips that it got."""
    corpus: dict[Path, list[tuple[str, str]]] = {}
    paths = iter(sorted(SPECS.glob("*.toml"))[::3] * len(SLIPS))
    for place in range(FILES):
        for path in paths:
            text = path.read_text(encoding="utf-8")
            is_suited = re.search([*SLIPS.values()][place % len(SLIPS)][0], text, re.MULTILINE)
            text, expected = slipped(text, place % len(SLIPS)) if is_suited else (text, [])
            if len(expected) >= AT_LEAST and folder / path.name not in corpus:
                (folder / path.name).write_text(text, encoding="utf-8")
                corpus[folder / path.name] = expected
                break
    return corpus


def test_every_slip_is_told_in_one_run(tmp_path: Path) -> None:
    """File, line, key and what to write; a name that anybody may choose is a doubt, not a fault."""
    corpus = written(tmp_path)
    catalogue = open_catalogue()
    # of the catalogue what the files point at, and a sibling of each family
    words = set(re.findall(r'"([^"]+)"', "".join(path.read_text("utf-8") for path in corpus)))
    near = {outline.family: outline.id for outline in catalogue.outlines() if outline.family}
    ids = {id for id in catalogue.ids() if id in words or f"{id}x" in words}
    ids |= {id for family, id in near.items() if slip_of(family) in words}
    told: dict[str, list[tuple[int, str, str]]] = {}
    faults, _, doubts = check_spec_files(
        [str(path) for path in corpus],
        tuple(map(catalogue.spec, sorted(ids))),
        catalogue.common("architectures"),
        catalogue.runtime_ids(),
    )
    for problem in (*faults, *doubts):
        told.setdefault(problem.file, []).append(
            (problem.line or 0, problem.key or "", problem.remedy or "")
        )
    mute = [
        f"{path.name}: {key} ({remedy}): {told.get(str(path))}"
        for path, expected in corpus.items()
        for key, remedy in expected
        if not any(
            line and own.endswith(key) and remedy in said
            for line, own, said in told.get(str(path), ())
        )
    ]
    assert len(corpus) == FILES
    assert not mute, "\n".join(mute)
