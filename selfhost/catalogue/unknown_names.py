"""What to say of a name that no model goes by: what it is instead, what it is made from, or which
names are near.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import quote

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import MAX_GUESSED_LETTERS, canonical, canonical_of_each, is_slip
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

# what transformers, diffusers, peft and Mistral call their files, whatever the model
_ANY_MODELS_FILE = pattern(
    r"(?i)(?:(?:diffusion_)?(?:pytorch_)?model|consolidated|adapter_model)"
    r"(?:[-_.](?:fp16|bf16|\d+(?:-of-\d+)?))*\.(?:gguf|safetensors|bin|pth)"
)
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
_MOST_HINTS = 5
# words of a name that are tried for that of a model
_MOST_WORDS = 40
# of a user's own specs that are wrong
_FILES_NAMED = 5
# words for tunes on what a hosted model wrote, such as GPT4-x-Alpaca
_OF_TUNES = frozenset(("alpaca", "distill", "distilled", "llama", "qwen", "vicuna"))
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
    slips = _slips(about.key, catalogue)
    error = (
        _thing(about)
        or _begins_as("uncovered", about)
        or _begins_as("hosted", about)
        or _any_models_file(about)
        or _in_other_form(about)
        or _alike(about)
    )
    if error is None and not slips:
        error = _made_of(about) or _of_family_and_size(about) or _alike_in_part(about)
        error = error or _begins_as("line", about)
    if error is None:
        size = "" if slips else _size(about)
        nearest = _nearest(about.key, catalogue)
        error = UnknownModelError(f"{about.message}{size}", nearest=nearest, remedy=SEE_NAMES)
    return error


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
    for name, facts in about.catalogue.common("things")[table].items():
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


def _any_models_file(about: _Name) -> UnknownModelError | None:
    if not _ANY_MODELS_FILE.fullmatch(about.name):
        return None
    return UnknownModelError(
        f"{cut_short(about.typed)} is no file here, and most models have one of that name",
        remedy=f"the model by its repository: selfhost check OWNER/NAME\n{SEE_NAMES}",
    )


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


def _alike_by_name(catalogue: Catalogue) -> Mapping[str, str]:
    """By the name of a repository without its account, as `canonical` writes it: the model whose
    layers it has, as its config.json or file says.
    """
    by_name: dict[str, str] = {}
    for id, repositories in catalogue.common("alike")["alike"].items():
        names = canonical_of_each(repository.rpartition("/")[2] for repository in repositories)
        by_name.update(dict.fromkeys(names, id))
    return by_name


def _alike(about: _Name) -> UnknownModelError | None:
    key = about.key.removesuffix("-gguf").removesuffix("-i-1")
    by_name = _alike_by_name(about.catalogue)
    id = by_name.get(key) or by_name.get(canonical(about.base.partition("_")[2]))
    if id is None:
        return None
    return about.led_to(id, f": it has the layers of {id}, so it needs as much")


def _alike_in_part(about: _Name) -> UnknownModelError | None:
    """The name of a line of tunes, which stands in the names of listed models."""
    words = set(about.key.split("-"))
    ids = canonical_of_each(outline.id for outline in about.catalogue.outlines())
    if not any(len(word) > 3 for word in words.difference("-".join(ids).split("-"))):
        return None
    listed = _alike_by_name(about.catalogue).items()
    models = sorted({id for name, id in listed if words <= set(name.split("-"))})
    if len(models) == 1:
        return about.led_to(models[0], f": a tune of that name has the layers of {models[0]}")
    if not models:
        return None
    named = models[:MOST_NAMED]
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
            return about.led_to(
                id, f": if it is made from {id}, as its name says, it needs as much"
            )
        words_of_part = (
            f": by its name it is loaded beside {id} ({part}), and needs memory of its own beyond"
            " what that model needs"
        )
        return about.led_to(id, words_of_part, "{plain}")
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
    short: Mapping[str, str] = about.catalogue.common("families")["short"]
    families = [short[word] for word in words[:2] if word in short]
    place = next((at for at, word in enumerate(words) if _BILLIONS.fullmatch(word)), 0)
    for end in range(place - 1, 0, -1):
        if all(word.isalpha() for word in words[end:place]):
            families += ["-".join(words[start:end]) for start in range(end)]
    for name in (f"{family}{sign}{sizes[0]}b" for family in families for sign in ":-"):
        id = _id_of(name, about.catalogue)
        if id is not None and not about.catalogue.is_closed(id):
            return about.led_to(
                id, f": if it is made from {id}, as its name says, it needs as much"
            )
    return None


# ---------------------------------------------------------------------------- near names


def _numbers(key: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", key))


def _keys(catalogue: Catalogue) -> Sequence[str]:
    """The ids, aliases and families, as `canonical` writes them."""
    families = catalogue.common_tables("families", "family").values()
    names = (*catalogue.spellings(), *(name for name, _ in families))
    return list(dict.fromkeys(canonical_of_each(names)))


def _slips(key: str, catalogue: Catalogue) -> list[str]:
    """The names of which this one is a slip, the numbers in it left as they are."""
    slips = [name for name in _keys(catalogue) if is_slip(key, name)]
    return [name for name in slips if _numbers(name) == _numbers(key)]


def _nearest(key: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The models of the names that this one is a slip of; else those with all of its words, then
    those with its numbers, then others that are much like it.
    """
    near = _slips(key, catalogue)
    if not near:
        near = [*_with_its_words(key, catalogue), *_much_alike(key, catalogue)]
    ids = dict.fromkeys(_id_of(name, catalogue) for name in near)
    return tuple(id for id in ids if id is not None)[:_MOST_HINTS]


def _with_its_words(key: str, catalogue: Catalogue) -> list[str]:
    words = key.split("-")
    ids = canonical_of_each(outline.id for outline in catalogue.outlines())
    return [id for id in ids if _in_order(words, id.split("-"))] if len(words) > 2 else []


def _in_order(words: Sequence[str], longer: Sequence[str]) -> bool:
    rest = iter(longer)
    return all(word in rest for word in words)


def _much_alike(key: str, catalogue: Catalogue) -> list[str]:
    from difflib import get_close_matches

    if len(key) > MAX_GUESSED_LETTERS:
        return []
    near = get_close_matches(key, _keys(catalogue), n=4 * _MOST_HINTS, cutoff=_NEAR)
    first = key.partition("-")[0]
    near = [name for name in near if get_close_matches(first, [name.partition("-")[0]])]
    return sorted(near, key=lambda name: _numbers(name) != _numbers(key))


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
