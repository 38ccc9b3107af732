"""What to say of a name that no model goes by: what it is instead, what it is made from, or which
names are near.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import quote

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import MAX_GUESSED_LETTERS, canonical, canonical_of_each
from .forms import Form, splits
from .index import Catalogue
from .lookup import (
    MOST_NAMED,
    SEE_NAMES,
    by_key,
    cut_short,
    known_form,
    named_directly,
    serves,
    sizes_in,
)
from .paths import is_bare_weights

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# words for files that a program loads beside a model, whose needs are not those of the model
_PARTS = frozenset((
    "adapter", "controlnet", "dflash", "draft", "drafter", "eagle", "lora", "loras", "mmproj",
    "projector", "sae", "speculator", "tokenizer", "vae",
))  # fmt: skip
# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
_BILLIONS = pattern(r"(?i)(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])")
# gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs)
_Q4_K_M_GB = 0.60, 0.66
# near names share this much of their letters, as difflib counts it
_NEAR = 0.72
# and a name with a slip in it that much
_SLIP = 0.9
_MOST_HINTS = 5
# words of a name that are tried for that of a model
_MOST_WORDS = 40
# of a user's own specs that are wrong
_FILES_NAMED = 5
# words for tunes on what a hosted model wrote, such as GPT4-x-Alpaca
_OF_TUNES = frozenset(("alpaca", "distill", "distilled", "llama", "qwen", "vicuna"))
_IF_MADE_FROM = ": if it is made from {id}, as its name says, it needs as much"
_LOADED_BESIDE = (
    ": by its name it is loaded beside {id} ({part}), and needs memory of its own beyond what that"
    " model needs"
)
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


class _Name:
    """One name that no model goes by, without and with what its end says of the files."""

    def __init__(self, typed: str, name: str, catalogue: Catalogue) -> None:
        self.typed, self.catalogue = typed, catalogue
        self.name = name.removesuffix(":latest")
        self.owner, _, self.rest = self.name.rpartition("/")
        self.base, self.form = self.rest, Form(written="")
        for base, form in splits(self.rest, self.owner):
            if form.quantization is not None or form.is_container or not form.is_sized:
                self.base, self.form = base, form
        self.key = canonical(self.base)
        missing = "does not exist here and " if is_bare_weights(name) else ""
        faulty = _faulty_files(list(catalogue.own_faults_by_file))
        self.message = f"{cut_short(typed)} {missing}is not in the catalogue{faulty}"

    def led_to(self, id: str, words: str, remedy: str = "{check}") -> UnknownModelError:
        """The error that names the model to ask for, in the form that the name states."""
        options = ""
        if self.form.quantization is not None and serves(self.form, id, self.catalogue):
            options = f" --runtime {self.form.runtime}" if self.form.runtime else ""
            options += f" --quant {self.form.quantization}"
        plain = f"selfhost check {quote(id)}"
        remedy = remedy.format(plain=plain, check=f"{plain}{options}")
        return UnknownModelError(f"{self.message}{words}", nearest=(id,), remedy=remedy)


def unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by."""
    about = _Name(typed, name, catalogue)
    return (
        _thing(about)
        or _begins_as("uncovered", about)
        or _begins_as("hosted", about)
        or _in_other_form(about)
        or _alike(about)
        or _made_of(about)
        or _of_family_and_size(about)
        or _line_of_tunes(about)
        or _begins_as("line", about)
        or UnknownModelError(
            f"{about.message}{_size(about)}",
            nearest=_nearest(about.key, catalogue),
            remedy=SEE_NAMES,
        )
    )


# ------------------------------------------------------------- what it is, by things.toml


def _instead(facts: Mapping[str, Any], catalogue: Catalogue, before: str = "") -> str:
    """The line that asks for the first known model of those named in place of a thing."""
    ids = [id for id in facts.get("try_instead") or () if id in catalogue]
    return f"{before}selfhost check {quote(ids[0])}" if ids else ""


def _thing(about: _Name) -> UnknownModelError | None:
    things = about.catalogue.common_tables("things", "thing")
    keys = [canonical(name) for name in (about.name, about.rest, about.base)]
    facts = next((things[key][1] for key in keys if key in things), None)
    if facts is None:
        return None
    return NotAModelError(
        f"{cut_short(about.typed)} is not a model but a {facts['kind']}: {facts['answer']}",
        kind=facts["kind"],
        nearest=[id for id in facts.get("try_instead") or () if id in about.catalogue],
        remedy=_instead(facts, about.catalogue) or SEE_NAMES,
    )


def _begins_as(table: str, about: _Name) -> UnknownModelError | None:
    """A name that begins as those of an entry of `things.toml`: a kind that the catalogue does not
    judge, a line that an API alone serves, a line whose layers are not known.
    """
    key = canonical(about.rest)
    # a tune that is named for a hosted model states its size
    if table == "hosted" and (sizes_in(key) or _OF_TUNES & set(key.split("-"))):
        return None
    message, before = _SENTENCES[table]
    for name, facts in (about.catalogue.common("things").get(table) or {}).items():
        is_whole = key in map(canonical, facts.get("whole") or ())
        if not is_whole and not any(_begins(key, start) for start in facts.get("names") or ()):
            continue
        values = {"typed": cut_short(about.typed), "name": name, **facts}
        instead = _instead(facts, about.catalogue, before.format_map(values))
        return UnknownModelError(
            message.format_map(values),
            nearest=_nearest(about.key, about.catalogue) if table == "hosted" else (),
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


# --------------------------------------------------------------- of which model it may be


def _in_other_form(about: _Name) -> UnknownModelError | None:
    """A known model in files whose size is not known, or in an account that may hold others."""
    named = known_form(about.name, about.catalogue)
    if named is not None and named[1] is not None:
        id, form = named[0][0], named[1]
        words = (
            f": its name says that it holds {id} in another format ({form.written}), whose size is"
            " not known"
        )
        return about.led_to(id, words, "for the known formats: {plain}")
    named = known_form(about.rest, about.catalogue) if about.owner else None
    if named is None:
        return None
    id = named[0][0]
    words = f": this repository of {cut_short(about.owner)} may hold other weights than {id}"
    if "github.com" in about.owner.lower():
        words = f": GitHub keeps the code, not the weights; by that name {id} is meant here"
    return about.led_to(id, words, "if it holds the same weights: {check}")


def _listed(catalogue: Catalogue) -> Mapping[str, str]:
    """By the name of a repository without its account, as `canonical` writes it: the model whose
    layers it has, as its config.json or file says.
    """
    by_name: dict[str, str] = {}
    for id, repositories in (catalogue.common("alike").get("alike") or {}).items():
        names = canonical_of_each(repository.rpartition("/")[2] for repository in repositories)
        by_name.update(dict.fromkeys(names, id))
    return by_name


def _alike(about: _Name) -> UnknownModelError | None:
    key = about.key.removesuffix("-gguf").removesuffix("-i-1")
    listed = _listed(about.catalogue)
    id = listed.get(key) or listed.get(canonical(about.base.partition("_")[2]))
    if id is None:
        return None
    return about.led_to(id, f": it has the layers of {id}, so it needs as much")


def _line_of_tunes(about: _Name) -> UnknownModelError | None:
    """The name of a line of tunes, which stands in the names of listed models."""
    words = set(about.key.split("-"))
    ids = canonical_of_each(outline.id for outline in about.catalogue.outlines())
    own_words = words.difference("-".join(ids).split("-"))
    if not any(len(word) > 3 for word in own_words) or _near(about.key, about.catalogue, _SLIP):
        return None
    listed = _listed(about.catalogue)
    models = sorted({id for name, id in listed.items() if words <= set(name.split("-"))})
    if len(models) == 1:
        return about.led_to(models[0], f": a tune of that name has the layers of {models[0]}")
    named = models[:MOST_NAMED]
    if not named:
        return None
    return UnknownModelError(
        f"{about.message}: tunes of that name have the layers of {', '.join(named)}",
        nearest=named,
        remedy="type the name of one of them, with its size",
    )


def _made_of(about: _Name) -> UnknownModelError | None:
    """A name that holds that of a catalogued model, size and all, as those of tunes do."""
    words = about.key.removesuffix("-gguf").split("-")[:_MOST_WORDS]
    runs = [
        (start, start + count)
        for count in range(len(words) - 1, 2, -1)
        for start in range(len(words) - count + 1)
    ]
    for start, end in runs:
        id = _open("-".join(words[start:end]), about.catalogue)
        if id is None or sizes_in("-".join(words[:start])) or sizes_in("-".join(words[end:])):
            continue
        part = next((word for word in words if word in _PARTS), None)
        if part is None:
            return about.led_to(id, _IF_MADE_FROM.format(id=id))
        return about.led_to(id, _LOADED_BESIDE.format(id=id, part=part), "{plain}")
    return None


def _open(key: str, catalogue: Catalogue) -> str | None:
    # an alias or a short id may be the name of a family
    kinds = ("ids", "repositories", "titles", "aliases") if sizes_in(key) else ("ids",)
    try:
        id = by_key(key, kinds, catalogue)
    except UnknownModelError:
        return None
    return None if id is None or catalogue.is_closed(id) else id


def _of_family_and_size(about: _Name) -> UnknownModelError | None:
    """A tune whose words stand between the name of a family, or its short name, and the size:
    `huihui_ai/qwen3-abliterated:8b`, `L3.3-Nevoria-R1-70b`.
    """
    sizes = _BILLIONS.findall(about.base)
    if len(sizes) != 1:
        return None
    words = re.split(r"[-_: ]", about.base.lower())
    short: Mapping[str, str] = about.catalogue.common("families").get("short") or {}
    families = [short[word] for word in words[:2] if word in short]
    place = next((at for at, word in enumerate(words) if _BILLIONS.fullmatch(word)), 0)
    for end in range(place - 1, 0, -1):
        if all(word.isalpha() for word in words[end:place]):
            families += ["-".join(words[start:end]) for start in range(end)]
    for name in (f"{family}{sign}{sizes[0]}b" for family in families for sign in ":-"):
        id = _id_of(name, about.catalogue)
        if id is not None and not about.catalogue.is_closed(id):
            return about.led_to(id, _IF_MADE_FROM.format(id=id))
    return None


# ---------------------------------------------------------------------------- near names


def _near(key: str, catalogue: Catalogue, likeness: float) -> list[str]:
    """The ids, aliases and families that share so much of their letters with a name, as `canonical`
    writes them.
    """
    from difflib import get_close_matches

    families = catalogue.common_tables("families", "family").values()
    keys = canonical_of_each([*catalogue.spellings(), *(name for name, _ in families)])
    most = 4 * _MOST_HINTS if len(key) <= MAX_GUESSED_LETTERS else 0
    return get_close_matches(key, dict.fromkeys(keys), n=most, cutoff=likeness) if most else []


def _nearest(key: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The models of a family of that name, the newest first, and those of the names that are most
    like it, those with its numbers first.
    """
    from difflib import get_close_matches

    first, numbers = key.partition("-")[0], re.findall(r"\d+", key)
    near = _near(key, catalogue, _NEAR)
    near = [name for name in near if get_close_matches(first, [name.partition("-")[0]])]
    near.sort(key=lambda name: re.findall(r"\d+", name) != numbers)
    family = [each for each in catalogue.outlines() if canonical(each.family or "") == key]
    family.sort(key=lambda each: each.released or "", reverse=True)
    members = [each.id for each in family]
    ids = dict.fromkeys([*members, *(_id_of(name, catalogue) for name in near)])
    return tuple(id for id in ids if id is not None)[:_MOST_HINTS]


def _id_of(name: str, catalogue: Catalogue) -> str | None:
    try:
        match = named_directly(name, catalogue)
    except UnknownModelError:
        return None
    return match[0] if match else None


# ------------------------------------------------------------------------- more to say of it


def _size(about: _Name) -> str:
    """A clause on what the number of parameters in a name means for its weights."""
    sizes = _BILLIONS.findall(about.base)
    if len(sizes) != 1 or _PARTS & set(about.key.split("-")):
        return ""
    billions = float(sizes[0])
    low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
    return (
        f": {billions:,g} billion parameters, as its name says, are about {low:,g} to {high:,g}"
        f" GB of weights in Q4_K_M and {2 * billions:,g} GB in 16 bits, cache and buffers not"
        " counted"
    )


def _faulty_files(wrong: Sequence[str]) -> str:
    """A clause on the person's own files that are wrong: the model may be in one of them."""
    if not wrong:
        return ""
    more = f" and {len(wrong) - _FILES_NAMED:,} more" if len(wrong) > _FILES_NAMED else ""
    files = "files of yours with faults were" if wrong[1:] else "a file of yours with faults was"
    return f"; {files} ignored: {', '.join(wrong[:_FILES_NAMED])}{more}"
