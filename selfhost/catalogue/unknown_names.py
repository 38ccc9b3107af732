"""What to say of a name that no model goes by: what it is instead, what it is made from, or which
names are near.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from shlex import quote

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import MAX_GUESSED_LETTERS, canonical
from .forms import Form, splits
from .index import Catalogue
from .lookup import SEE_NAMES, by_key, cut_short, known_form, named, serves, sizes_in
from .pasted import is_bare_weights

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
_BILLIONS = pattern(r"(?i)(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])")
# gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs)
_Q4_K_M_GB = 0.60, 0.66
# near names share this much of their letters, as difflib counts it
_NEAR = 0.72
_MOST_HINTS = 5
# words of a name that are tried for that of a model
_MOST_WORDS = 40
# of a user's own specs that are wrong
_FILES_NAMED = 5
# of each table of `things.toml` the message, and what is in front of the command for another model
_SENTENCES = {
    "uncovered": ("{typed} is a model for {name}: {answer}", "one of that kind: "),
    "hosted": (
        "{typed} is not in the catalogue: by its name it is of a line of {name} that is offered"
        " through an API alone, without weights",
        "",
    ),
    "line": (
        "{typed} is not in the catalogue: by its name it is one of {about}",
        "one that writes {writes}: ",
    ),
}


def unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by: what is known of it, the surest first."""
    name = name.removesuffix(":latest")
    owner, _, rest = name.rpartition("/")
    base, form = rest, Form(written="")
    for before, each in splits(rest, owner):
        if each.quantization is not None or each.is_container or not each.is_sized:
            base, form = before, each
    error = _thing(typed, (name, rest, base), catalogue)
    error = error or _begins_as(("uncovered", "hosted"), typed, rest, catalogue)
    if error is not None:
        return error
    missing = "does not exist here and " if is_bare_weights(name) else ""
    faulty = _faulty_files(list({problem.file: None for problem in catalogue.own_faults}))
    message = f"{cut_short(typed)} {missing}is not in the catalogue{faulty}"
    for id, words, remedy in chain(_same_name(name, catalogue), _made_from(base, catalogue)):
        options = ""
        if form.quantization is not None and serves(form, id, catalogue):
            options = f" --runtime {form.runtime}" if form.runtime else ""
            options += f" --quant {form.quantization}"
        plain = f"selfhost check {quote(id)}"
        remedy = remedy.format(plain=plain, check=f"{plain}{options}")
        return UnknownModelError(f"{message}: {words.format(id=id)}", nearest=(id,), remedy=remedy)
    return _begins_as(("line",), typed, rest, catalogue) or UnknownModelError(
        f"{message}{_size(base)}", nearest=_nearest(canonical(base), catalogue), remedy=SEE_NAMES
    )


def _instead(facts: Mapping[str, Any], catalogue: Catalogue, before: str = "") -> str:
    """The line that asks for the first known model of those named in place of a thing."""
    ids = [id for id in facts.get("try_instead") or () if id in catalogue]
    return f"{before}selfhost check {quote(ids[0])}" if ids else ""


def _thing(typed: str, names: tuple[str, ...], catalogue: Catalogue) -> UnknownModelError | None:
    things = catalogue.common_tables("things", "thing")
    facts = next((things[key][1] for key in map(canonical, names) if key in things), None)
    if facts is None:
        return None
    return NotAModelError(
        f"{cut_short(typed)} is not a model but a {facts['kind']}: {facts['answer']}",
        kind=facts["kind"],
        nearest=[id for id in facts.get("try_instead") or () if id in catalogue],
        remedy=_instead(facts, catalogue) or SEE_NAMES,
    )


def _begins_as(
    tables: tuple[str, ...], typed: str, name: str, catalogue: Catalogue
) -> UnknownModelError | None:
    """A name that begins as those of an entry of `things.toml`: a kind that the catalogue does not
    judge, a line that an API alone serves, a line whose layers are not known.
    """
    key = canonical(name)
    for table in tables:
        # a tune that is named for a hosted model states its size
        is_tune = table == "hosted" and (sizes_in(key) or key.endswith("-distill"))
        entries = {} if is_tune else catalogue.common("things").get(table) or {}
        for about, facts in entries.items():
            is_whole = key in map(canonical, facts.get("whole") or ())
            if not is_whole and not any(_begins(key, start) for start in facts.get("names") or ()):
                continue
            message, before = _SENTENCES[table]
            values = {"typed": cut_short(typed), "name": about, **facts}
            instead = _instead(facts, catalogue, before.format_map(values))
            return UnknownModelError(
                message.format_map(values),
                nearest=_nearest(key, catalogue) if table == "hosted" else (),
                remedy=f"{instead}\n{SEE_NAMES}" if instead else SEE_NAMES,
            )
    return None


def _begins(key: str, start: str) -> bool:
    """Whether a name as `canonical` writes it begins so, `*` for any part; a version follows with
    or without a sign between: yolov8, YOLO11n.
    """
    parts = [re.escape(canonical(part)) for part in start.split("*")]
    is_near = key.startswith(parts[0][:1])
    return is_near and re.match(rf"{'.+'.join(parts)}(?![a-z])", key) is not None


def _same_name(name: str, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """A known model in files whose size is not known, or in an account that may hold others."""
    owner, _, rest = name.rpartition("/")
    match = known_form(name, catalogue)
    if match is not None and match[1] is not None:
        words = f"its name says that it holds {{id}} in another format ({match[1].written}), whose"
        yield match[0][0], f"{words} size is not known", "for the known formats: {plain}"
    match = known_form(rest, catalogue) if owner else None
    if match is not None:
        words = f"this repository of {cut_short(owner)} may hold other weights than {{id}}"
        yield match[0][0], words, "if it holds the same weights: {check}"


def _made_from(base: str, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Models whose layers it may have, each with a clause on why and what to type."""
    key = canonical(base)
    lines = (catalogue.common("alike").get("alike") or {}).items()
    listed = {
        name: id
        for id, repositories in lines
        for name in (canonical(each.rpartition("/")[2]) for each in repositories)
    }
    plain = key.removesuffix("-gguf").removesuffix("-i-1")
    layers_of = listed.get(plain) or listed.get(canonical(base.partition("_")[2]))
    if layers_of is not None:
        yield layers_of, "it has the layers of {id}, so it needs as much", "{check}"
    parts = plain.split("-")[:_MOST_WORDS]
    inside = _named_inside(parts, catalogue)
    if inside is not None:
        yield inside, "if it is made from {id}, as its name says, it needs as much", "{check}"
    # the name of a line of tunes stands in the names of listed models
    alike = {id for each, id in listed.items() if set(parts) <= set(each.split("-"))}
    own_words = [canonical(outline.id) for outline in catalogue.outlines()]
    special = set(parts).difference("-".join(own_words).split("-"))
    if len(alike) == 1 and any(len(word) > 3 for word in special):
        yield alike.pop(), "a tune of that name has the layers of {id}", "{check}"


def _named_inside(words: list[str], catalogue: Catalogue) -> str | None:
    """The open model whose name, size and all, stands in that of its tune, or around its words:
    `qwen3-abliterated:8b`.
    """
    count = len(words)
    runs = [(start, start + long) for long in range(count - 1, 2, -1) for start in range(count)]
    names = [(words[start:end], words[:start] + words[end:]) for start, end in runs if end <= count]
    if words[-1:] == ["b"]:
        names += [(words[:end] + words[-2:], []) for end in range(count - 3, 0, -1)]
    for inside, others in names:
        name, has_size = "-".join(inside), sizes_in("-".join(inside))
        # an alias or a short id may be the name of a family
        kinds = ("ids", "repositories", "titles", "aliases") if has_size else ("ids",)
        try:
            id = by_key(name, kinds, catalogue)
        except UnknownModelError:
            continue
        if id is not None and not catalogue.is_closed(id) and not sizes_in("-".join(others)):
            return id
    return None


def _nearest(key: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The models of a family of that name, the newest first, and those of the names that are most
    like it, those with its numbers first.
    """
    from difflib import get_close_matches

    family = [each for each in catalogue.outlines() if canonical(each.family or "") == key]
    family.sort(key=lambda each: each.released or "", reverse=True)
    families = catalogue.common_tables("families", "family").values()
    names = (*catalogue.spellings(), *(name for name, _ in families))
    keys = [canonical(name) for name in names]
    most = 4 * _MOST_HINTS if len(key) <= MAX_GUESSED_LETTERS else 1
    near = get_close_matches(key[:MAX_GUESSED_LETTERS], set(keys), n=most, cutoff=_NEAR)
    numbers = re.findall(r"\d+", key)
    near.sort(key=lambda name: (name[:2] != key[:2], re.findall(r"\d+", name) != numbers))
    ids = [each.id for each in family]
    for name in near:
        try:
            match = named(name, catalogue)
        except UnknownModelError:
            continue
        ids += [match[0]] if match else []
    return tuple(dict.fromkeys(ids))[:_MOST_HINTS]


def _size(base: str) -> str:
    """A clause on what the number of parameters in a name means for its weights."""
    sizes = _BILLIONS.findall(base)
    if len(sizes) != 1:
        return ""
    billions = float(sizes[0])
    low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
    return (
        f": {billions:,g} billion parameters, as its name says, are about {low:,g} to {high:,g}"
        f" GB of weights in Q4_K_M and {2 * billions:,g} GB in 16 bits, cache and buffers not"
        " counted"
    )


def _faulty_files(wrong: list[str]) -> str:
    """A clause on the person's own files that are wrong: the model may be in one of them."""
    if not wrong:
        return ""
    more = f" and {len(wrong) - _FILES_NAMED:,} more" if len(wrong) > _FILES_NAMED else ""
    files = "files of yours with faults were" if wrong[1:] else "a file of yours with faults was"
    return f"; {files} ignored: {', '.join(wrong[:_FILES_NAMED])}{more}"
