"""What the size in a name that no model has tells: its weights, and the models of that size."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.errors import UnknownModelError
from ..core.records import pattern
from ..core.saying import command
from ..core.spelling import canonical
from .index import Catalogue
from .outlines import Outline


def with_options(name: str) -> tuple[str, dict[str, str]]:
    """A name without the form at its end, and that form as what is asked of a model."""
    from .forms import Form, published_file, splits

    file = published_file(name)
    forms = [(file[0], Form(written="", quantization=file[1]))] if file else splits(name)
    base, options = name, dict[str, str]()
    for shorter, form in forms:
        if form.quantization is not None:
            by = {"runtime": form.runtime} if form.runtime else {}
            base, options = shorter, {**by, "quantization": form.quantization}
        elif form.is_container:
            base = shorter
    return base, options


# words for files that a program loads beside a model: drafts, adapters, parts
PARTS = frozenset((
    "adapter", "controlnet", "dflash", "draft", "drafter", "dspark", "eagle", "lora", "loras",
    "mmproj", "projector", "sae", "speculator", "tokenizer", "vae",
))  # fmt: skip


# of `says_kind`, those of models that have an encoder or a decoder of their own beside the layers
WITH_MORE = frozenset((
    "asr", "audio", "omni", "speech", "tts", "video", "vision", "vl", "voice",
))  # fmt: skip


# and those of plain language models
_LANGUAGE_ALONE = frozenset((
    "embed", "embedding", "guard", "mt", "rerank", "reranker", "sql", "translate",
))  # fmt: skip


# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
BILLIONS = pattern(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])", re.IGNORECASE)


_TRILLIONS = pattern(r"(?<![a-z0-9.])(\d{1,2}(?:\.\d{1,2})?)t(?![a-z0-9])", re.IGNORECASE)


# a version and a size (Ornstein-3.6-27b), or a size and what is used of it (Darwin-35B-A3B), as
# `canonical` writes them
_SHAPE = r"(?:^|-)((?:\d+-)*\d+-b(?:-a-(?:\d+-)+b)?)(?=-|$)"


def of_its_size(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name of another family that states the version and the size, or the size
    and the active size, of open models that need alike; None for any other name.
    """
    base, options = with_options(name.rpartition("/")[2])
    key = canonical(base)
    shapes = re.findall(_SHAPE, key)
    if len(shapes) != 1:
        return None
    # a Llama 4.1 8B that is not there is no Granite 4.1 8B
    is_known = key.partition("-")[0] in families_in(catalogue)
    same = () if is_known else _alike_in_size(shapes[0], catalogue)
    if not same:
        return None
    newest = max(same, key=lambda outline: outline.released or "").id
    return UnknownModelError(
        f"{message}: by the size in its name it may be made from"
        f" {' or '.join(outline.id for outline in same)}",
        nearest=(newest,),
        remedy=f"if so, it needs as much: {command('check', newest, **options)}",
    )


def families_in(catalogue: Catalogue) -> set[str]:
    """The words that the names of the catalogue's models begin with, versions left off."""
    families: set[str] | None = catalogue.derived.get("families")
    if families is None:
        ids = [outline.id for outline in catalogue.outlines()]
        families = {id.partition("-")[0].rstrip(".0123456789") for id in ids}
        catalogue.derived["families"] = families
    return families


# Gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs).
_Q4_K_M_GB = 0.60, 0.66


# what names of models for pictures and videos state: T2V, I2V-480P
_OF_PICTURES = pattern(r"(?:^|[-_. ])(?:t?[tiv]2[iv]|\d{3,4}p)(?=[-_. ]|$)", re.IGNORECASE)


def size_alone(name: str, sign: str, catalogue: Catalogue) -> str:
    """A clause on what the number of parameters in a name means for its weights, `sign` in front,
    for the name of a model of language, alone or with eyes or ears; empty for any other name, and
    for a family's name and size alone where it has a model of that size.
    """
    from .near_names import says_kind

    base = with_options(name.rpartition("/")[2])[0]
    words = canonical(base).split("-")
    billions = _stated_billions(base)
    kinds = {word for word in words if says_kind(word)} - _LANGUAGE_ALONE
    is_other = bool(_OF_PICTURES.search(base)) or bool(PARTS.intersection(words))
    if not billions or is_other or kinds - WITH_MORE or "video" in kinds:
        return ""
    # a near name tells more, unless words of its own may make another model of it
    is_plain = not any(word.isalpha() and len(word) > 1 for word in words[1:])
    if is_plain and _family_has_that_size(words[0], BILLIONS.findall(base), catalogue):
        return ""
    low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
    # what sees or hears is not quantized as a whole
    small = "" if kinds else f"{low:,g} to {high:,g} GB of weights in Q4_K_M and "
    return (
        f"{sign}{billions:,g} billion parameters, as its name says, are about {small}"
        f"{2 * billions:,g} GB{' of weights' if kinds else ''} in 16 bits, cache and buffers not"
        " counted"
    )


def _stated_billions(name: str) -> float:
    """The parameters that a name states; 0 where it states no number, or several."""
    stated = [float(size) for size in BILLIONS.findall(name)]
    stated += [float(size) * 1000 for size in _TRILLIONS.findall(name)]
    return stated[0] if len(stated) == 1 else 0.0


def _family_has_that_size(first: str, sizes: Sequence[str], catalogue: Catalogue) -> bool:
    """Whether a model of the family that this first word names has those billions in its id."""
    from .near_names import is_family

    family = tuple(each for each in families_in(catalogue) if is_family(first, each))
    return bool(sizes) and any(
        outline.id.startswith(family) and BILLIONS.findall(outline.id) == sizes
        for outline in catalogue.outlines()
    )


def _alike_in_size(shape: str, catalogue: Catalogue) -> tuple[Outline, ...]:
    """The open models whose ids end in that version and size, if they need alike; a number in
    front of a size with an active size may be the version of another family.
    """
    if shape.count("-") > 2 and (same := _open_models(shape, in_full=True, catalogue=catalogue)):
        return same
    numbers = shape.split("-")
    while "a" in numbers and numbers[1].isdigit():
        del numbers[0]
        if same := _open_models("-".join(numbers), in_full=False, catalogue=catalogue):
            return same
    return ()


def _open_models(end: str, *, in_full: bool, catalogue: Catalogue) -> tuple[Outline, ...]:
    """Those whose ids end so, or with `in_full` are so behind the family's name, where they need
    alike; else none.
    """
    same = tuple(
        outline
        for outline in catalogue.outlines()
        if not outline.closed
        and outline.parameters_total is not None
        and (outline.tuned_from is None or outline.tuned_from not in catalogue)
        and (name := canonical(outline.id)).endswith(f"-{end}")
        and (not in_full or name.partition("-")[2] == end)
    )
    sizes = {(outline.parameters_total, outline.parameters_active) for outline in same}
    return same if len(sizes) == 1 else ()
