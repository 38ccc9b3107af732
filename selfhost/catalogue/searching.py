"""What a person typed -> one model, or what to say of a name that no model goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from shlex import quote

from ..core import Any, units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import shortened
from ..core.tables import shipped_table
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from . import names as naming
from .index import Catalogue
from .spec_values import Form, splits

# a model's id, a clause on why, and what to type
_Hint = tuple[str, str, str]
_SEARCHED: Mapping[str, Any] = shipped_table("names")["searched"]


def resolve(typed: str, catalogue: Catalogue) -> naming.Resolution:
    """The model that goes by this name. Raises `NotAModelError` for a tool or service,
    `UnknownModelError` for anything else, with the nearest names.
    """
    if len(typed) > naming.MAX_NAME_LENGTH or not canonical(typed):
        why = "is not a model's name"
        if len(typed) > naming.MAX_NAME_LENGTH:
            why = f"has {len(typed):,} characters, too many for a model's name"
        message = f'"{shortened(typed)}" {why}' if typed.strip() else "no model was named"
        raise UnknownModelError(message, remedy=naming.SEE_NAMES)
    resolution = naming.read(typed, catalogue) or naming.read(typed, catalogue, otherwise=True)
    if resolution is not None:
        return resolution
    name = naming.unwrap(typed)
    reading = naming.latin_spelling(name, catalogue)
    if reading is None and "/" not in name:
        # with two of its words as one, where that is a single model: `tiny llama`
        joints = re.finditer(r"(?i)\b[a-z]+([ -])(?=[a-z])", name)
        joined = [name[: joint.start(1)] + name[joint.end() :] for joint in joints]
        by_id = {id: each for each in joined if (id := naming.id_of(each, catalogue))}
        reading = by_id.popitem()[1] if len(by_id) == 1 else None
    if reading is not None:
        resolution = resolve(reading, catalogue)
        return resolution.replace(notes=(f"{name} is read as {reading}.", *resolution.notes))
    raise _unknown_name(typed, name, catalogue)


def _unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    if len(parts := typed.split(",")) > 1 and all(naming.id_of(each, catalogue) for each in parts):
        several = f"put a space between the names: {' '.join(map(quote, parts))}"
        return UnknownModelError(f'"{shortened(typed)}" is several models', remedy=several)
    name = name.removesuffix(":latest")
    owner, _, rest = name.rpartition("/")
    base, form = [(rest, Form()), *splits(rest, owner)][-1]
    names = (rest, name, base)
    if error := _thing_error(("thing", "uncovered", "hosted"), typed, names, catalogue):
        return error
    missing = "does not exist here and " if naming.is_bare_weights(name) else ""
    message = f'"{shortened(typed)}" {missing}is not in the catalogue'
    if faulty := list({problem.file: None for problem in catalogue.own_faults}):
        files = ", ".join(faulty[: _SEARCHED["most_files"]])
        message += f"; faulty files of yours were ignored: {files}"
    near, is_explained = _near_names(f"{owner}/{base}" if owner else base, catalogue)
    likely_bases = _likely_bases(owner, base, catalogue, is_tune=not is_explained)
    for id, words, remedy in (*_same_name(name, catalogue), *likely_bases):
        options = ""
        if form.quantization is not None and naming.serves(form, catalogue.spec(id), catalogue):
            options = f" --runtime {form.runtime}" if form.runtime else ""
            options += f" --quant {form.quantization}"
        plain = f"selfhost check {quote(id)}"
        remedy = remedy.format(plain=plain, check=f"{plain}{options}")
        return UnknownModelError(f"{message}: {words.format(id=id)}", nearest=(id,), remedy=remedy)
    if error := _thing_error(("line",), typed, names, catalogue):
        return error
    sizes = re.findall(_SEARCHED["billions"], base)
    if len(sizes) == 1:
        size = units.decimal(round(_SEARCHED["q4_k_m_bytes"] * 1e9 * float(sizes[0])))
        message += f": {sizes[0]} billion parameters, as its name says, are about {size} of weights"
        message += " in Q4_K_M"
    return UnknownModelError(message, nearest=near, remedy=naming.SEE_NAMES)


def _thing_error(
    tables: Sequence[str], typed: str, names: Sequence[str], catalogue: Catalogue
) -> UnknownModelError | None:
    """The error for a name of an entry in these tables of `things.toml`; None for any other."""
    things, keys = catalogue.common("things"), [canonical(name) for name in names]
    entries = ((table, about) for table in tables for about in things.get(table, {}))
    for table, about in entries:
        facts = things[table][about]
        if not _is_called(keys, table, about, facts):
            continue
        values = {"typed": f'"{shortened(typed)}"', "name": about, **facts}
        message, before = (each.format_map(values) for each in things["sentence"][table])
        ids = [id for id in facts.get("try_instead", ()) if id in catalogue]
        command = f"{before}selfhost check {quote(ids[0])}" if ids else naming.SEE_NAMES
        if table == "thing":
            return NotAModelError(message, kind=facts["kind"], nearest=ids, remedy=command)
        near = _near_names(names[0], catalogue)[0] if table == "hosted" else ()
        remedy = f"{command}\n{naming.SEE_NAMES}" if ids else command
        return UnknownModelError(message, nearest=near, remedy=remedy)
    return None


def _is_called(keys: Sequence[str], table: str, about: str, facts: Mapping[str, Any]) -> bool:
    """Whether one of the names is an entry's, or begins as those of its models do."""
    key = keys[0]
    if table == "thing":
        return not set(keys).isdisjoint(map(canonical, (about, *facts["aliases"])))
    # a tune that is named for a hosted model states its size
    if table == "hosted" and (naming.sizes_in(key) or key.endswith("-distill")):
        return False
    for start in facts.get("names", ()):
        parts = [re.escape(canonical(part)) for part in start.split("*")]
        begun = rf"{'.+'.join(parts)}(?![a-z])"
        if key.startswith(parts[0][:1]) and re.match(begun, key):
            return True
    return key in map(canonical, facts.get("whole", ()))


def _same_name(name: str, catalogue: Catalogue) -> Iterator[_Hint]:
    """A known model in files whose size is not known, or in an account that may hold others."""
    owner, _, rest = name.rpartition("/")
    typed = re.fullmatch(_SEARCHED["quantized"], rest)
    if typed is not None and (id := naming.id_of(typed[1], catalogue)):
        remedy = f"`selfhost show {quote(id)} -v` lists what there is"
        yield id, f"{typed[2]} is not a known quantization", remedy
    for match, form in islice(naming.matches(name, catalogue), 1):
        if form is not None:
            words = f"its name says that it holds {{id}} in another format ({form.written}), whose"
            yield match.spec_id, f"{words} size is not known", "for the known formats: {plain}"
    for match, _ in islice(naming.matches(rest, catalogue), 1) if owner else ():
        words = f'this repository of "{shortened(owner)}" may hold other weights than {{id}}'
        yield match.spec_id, words, "if it holds the same weights: {check}"


def _likely_bases(owner: str, base: str, catalogue: Catalogue, *, is_tune: bool) -> Iterator[_Hint]:
    """Models whose layers it may have: that of the list, and of a tune the one in its name."""
    plain = canonical(base).removesuffix("-gguf").removesuffix("-i-1")
    keys = {plain, canonical(base.partition("_")[2]), canonical(f"{owner}/{plain}")}
    parts, alike = plain.split("-")[: _SEARCHED["most_words"]], dict[str, str]()
    layers_of = None
    for id, names in (catalogue.common("alike").get("alike") or {}).items():
        for name in names:
            key = canonical(name.rpartition("/")[2])
            # a word without a number names many repositories: only its account's is meant
            if (key if re.search(r"\d", key) else canonical(name)) in keys:
                layers_of = id
            elif set(parts) <= set(key.split("-")):
                alike[id] = name
    if layers_of is not None:
        yield layers_of, "it has the layers of {id}, so it needs as much", "{check}"
    if not is_tune:
        return
    inside = _named_inside(parts, catalogue)
    if inside is not None:
        yield inside, "if it is made from {id}, as its name says, it needs as much", "{check}"
    # the name of a line of tunes stands in the names of listed models
    own_words = {word for id in catalogue.outlines for word in canonical(id).split("-")}
    if len(alike) == 1 and any(len(word) > 3 for word in set(parts) - own_words):
        id, name = alike.popitem()
        yield id, f"{name} has the layers of {{id}}", "{check}"


def _named_inside(words: list[str], catalogue: Catalogue) -> str | None:
    """The open model whose name stands in that of its tune: `qwen3-abliterated:8b`."""
    count = len(words)
    runs = [(start, start + long) for long in range(count - 1, 2, -1) for start in range(count)]
    names = [(words[start:end], words[:start] + words[end:]) for start, end in runs if end <= count]
    if words[-1:] == ["b"]:
        names += [(words[:end] + words[-2:], []) for end in range(count - 3, 0, -1)]
    for inside, others in names:
        name = "-".join(inside)
        # an alias or a short id may be the name of a family
        kinds = ("whole", "aliases") if naming.sizes_in(name) else ("ids",)
        try:
            id = catalogue.id_named(name, *kinds)
        except UnknownModelError:
            continue
        is_open = id is not None and not catalogue.outlines[id].closed
        if is_open and not naming.sizes_in("-".join(others)):
            return id
    return None


def _near_names(typed: str, catalogue: Catalogue) -> tuple[tuple[str, ...], bool]:
    """Known names, one a model: slips, else other sizes, the family's newest, the most alike; and
    whether a slip, the size or a missing end explains the name.
    """
    from difflib import get_close_matches

    name = typed.rpartition("/")[2]
    key, numbers = canonical(name), re.findall(r"\d+", name)
    letters = key.replace("-", "")
    families = catalogue.common_tables("families", "family").values()
    # of one model its tag of Ollama, which sorts after its id
    spelled = {canonical(each): each for each in (*catalogue.spellings(), *dict(families))}
    slips = [own for own in spelled if len(letters) > 3 and is_slip(own.replace("-", ""), letters)]
    meant = sorted(name for own in slips if re.findall(r"\d+", name := spelled[own]) == numbers)
    meant = meant or _other_sizes(typed, spelled.values())
    outlines = catalogue.outlines.values()
    begun = [each for each in outlines if canonical(each.id).startswith(f"{key}-")]
    family = begun + [each for each in outlines if canonical(each.family or "") == key]
    family.sort(key=lambda each: each.released or "", reverse=True)
    begin, most = key[:MAX_GUESSED_LETTERS], 4 * _SEARCHED["most_hints"]
    near = get_close_matches(begin, spelled, n=most, cutoff=_SEARCHED["near"])
    near.sort(key=lambda like: (like[:2] != key[:2], re.findall(r"\d+", like) != numbers))
    alike = [id for like in near if (id := naming.id_of(spelled[like], catalogue))]
    by_id: dict[str, str] = {}
    for each in (*meant, *(each.id for each in family), *alike):
        by_id.setdefault(naming.id_of(each, catalogue) or each, each)
    return tuple(by_id.values())[: _SEARCHED["most_hints"]], bool(meant or begun)


def _other_sizes(typed: str, names: Iterable[str]) -> list[str]:
    """Those that differ from it in the number of parameters alone, the nearest first."""
    apart = dict[str, float]()
    if own := re.fullmatch(_SEARCHED["sized"], typed):
        for name in names:
            other = re.fullmatch(_SEARCHED["sized"], name)
            if other and canonical(f"{own[1]}-{own[3]}") == canonical(f"{other[1]}-{other[3]}"):
                apart[name] = abs(float(own[2]) - float(other[2]))
    return sorted(apart, key=lambda name: (apart[name], name))
