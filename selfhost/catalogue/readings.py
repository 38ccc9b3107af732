"""Names that take more reading than a look-up: words joined otherwise, base models by what was
tuned from them, beginnings of names, families by their newest model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.errors import UnknownModelError
from ..core.records import pattern
from ..core.spelling import canonical
from .index import Catalogue
from .lookup import (
    CONVERTERS,
    Match,
    Resolution,
    as_published,
    in_form,
    match_of,
    named_directly,
    not_listed,
    original,
    sizes_in,
)
from .pasted import LIBRARY, bare_name, unrouted, unwrap

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .outlines import Outline
    from .spec import ModelSpec

# what says nothing in a name as `canonical` writes it: the `v` of `llama-v3.1`, and signs but
# between numbers, where 1-3 and 13 differ
_SIGNS = pattern(r"-v-(?=\d)|(?<!\d)-|-(?!\d)")
# how publishers mark a model that follows instructions, and one that nobody tuned
_TUNED = pattern(r"(?i)[-_ ](?:instruct|chat|it)$")
_BASE = pattern(r"(?i)(?:(?<=:)(?:text|base)|[-_](?:text|base|pt|code))(?:-v\d[\d.]*)?$")
# what people leave off: a version, a date, a size, and the words for a model that was tuned
_LEFT_OFF = pattern(
    r"(?:-(?:v?\d[\d.]*|(?:\d+x|[ae])?\d[\d.]*[bm]|\d+e"
    r"|instruct|chat|it|thinking|preview|base|hf|alpha|beta))*"
)
# `granite-4.0-h-tiny` is typed `granite 4 h tiny`
_POINT_ZERO = pattern(r"(?<=\d)\.0(?![\w.])")
# `sd` begins one id and means many models
_SHORTEST_BEGINNING = 4


def read_otherwise(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a name that nobody has in that spelling, with a note on how it was read; None
    where no single one is meant.
    """
    from .forms import splits

    name = unrouted(unwrap(typed), catalogue).removeprefix(LIBRARY)
    owner, _, rest = name.rpartition("/")
    for base, form in ((rest, None), *splits(rest, owner)):
        match = _joined(base, owner, catalogue)
        if match is None and (form is None or form.runtime is None):
            match = _from_base(base, owner, name, catalogue)
        if match is None and not owner:
            match = _tuned(base, catalogue) or _begun(base, catalogue)
        resolution = None if match is None else in_form(match, form, name, catalogue)
        if resolution is not None:
            # none of the typed spelling is known
            return as_published(typed, name, resolution.replace(repository=None), catalogue)
    return None


def library_tag(typed: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """What was typed, as Ollama's library writes that tag of the model; None for any other name."""
    if ":" not in typed:
        return None
    name = _letters(bare_name(typed))
    tags = [alias for alias in spec.aliases if ":" in alias]
    for spelling, facts in catalogue.common_tables("families", "tag").values():
        if facts.get("loads") == spec.id:
            tags.append(spelling)
    return next((tag for tag in tags if _letters(tag) == name), None)


def _letters(name: str) -> str:
    """A name without the signs between its words."""
    return _SIGNS.sub("", canonical(name))


def _joined(base: str, owner: str, catalogue: Catalogue) -> Match | None:
    """The model of a name that is known with its words joined otherwise, or without the `v` of a
    version: `gptoss:20b`. None where several are.
    """
    by_letters: dict[str, set[str]] | None = catalogue.derived.get("by letters")
    if by_letters is None:
        by_letters = catalogue.derived["by letters"] = {}
        spellings = [key for names in catalogue.names() for keys in names.values() for key in keys]
        for table in ("family", "tag"):
            spellings += [name for name, _ in catalogue.common_tables("families", table).values()]
        for spelling in spellings:
            by_letters.setdefault(_letters(spelling), set()).add(spelling)
    is_converter = owner.lower() in CONVERTERS
    find = original if is_converter else named_directly
    spelled = by_letters.get(_letters(base if is_converter else f"{owner}/{base}"), ())
    matches = [find(spelling, catalogue) for spelling in spelled]
    by_id = {match[0]: match for match in matches if match is not None}
    return by_id.popitem()[1] if len(by_id) == 1 else None


def _from_base(base: str, owner: str, name: str, catalogue: Catalogue) -> Match | None:
    """The model of the same size that was tuned from the base model of this name, whose needs are
    the same; None for any other name.
    """
    key = canonical(base)
    facts = catalogue.common_tables("families", "tag").get(key, ("", {}))[1]
    loaded = facts.get("loads")
    if ":" in base and loaded is not None and loaded not in catalogue:
        raise not_listed(base, loaded, facts.get("others") or (), catalogue)
    tuned = [
        id
        for account, id in _tuned_by_base(catalogue).get(key, ())
        if owner.lower() in ("", account, *CONVERTERS) and sizes_in(id) >= sizes_in(key)
    ]
    # of the same line before any other
    id = min(tuned, key=lambda id: (not id.startswith(key[:4]), len(id), id), default=None)
    id = id or _without_base(base, owner, catalogue)
    if id is None:
        return None
    note = (
        f"{name} is the base model that {id} was tuned from. This answer is for {id}, which needs"
        " as much."
    )
    return id, (note,)


def _tuned_by_base(catalogue: Catalogue) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By the name of a base model: its account and a model tuned from it."""
    by_base: dict[str, list[tuple[str, str]]] | None = catalogue.derived.get("tuned by base")
    if by_base is None:
        by_base = catalogue.derived["tuned by base"] = {}
        for outline in catalogue.outlines():
            account, _, repository = (outline.tuned_from or "").lower().partition("/")
            if repository:
                by_base.setdefault(canonical(repository), []).append((account, outline.id))
    return by_base


def _without_base(name: str, owner: str, catalogue: Catalogue) -> str | None:
    """The model that a name means without the word for a base model at its end."""
    word = _BASE.search(name)
    is_tag = ":" in name
    # a model of Hugging Face whose name ends in "code" is made for code
    if word is None or not (is_tag or (sizes_in(name) and "code" not in word[0].lower())):
        return None
    rest = name[: word.start()]
    if rest.endswith(":"):
        rest += "latest"
    elif not is_tag and not owner:
        # the name of a file says whose it is in front
        rest = rest.partition("_")[2] or rest
    try:
        match = match_of(rest, owner, catalogue, is_converted=owner.lower() in CONVERTERS)
    except UnknownModelError:
        return None
    return None if match is None or catalogue.is_closed(match[0]) else match[0]


def _tuned(name: str, catalogue: Catalogue) -> Match | None:
    """The model that follows instructions and whose name has no word for it: `qwen3-8b-instruct`
    is Qwen3 8B.
    """
    rest = _TUNED.sub("", name)
    # a family without a size has several that do
    if rest == name or not sizes_in(rest):
        return None
    match = named_directly(rest, catalogue) or _joined(rest, "", catalogue)
    outline = catalogue.outline(match[0]) if match else None
    if match is None or outline is None or "chat" not in (outline.uses or ()):
        return None
    return match[0], (f"{name} is read as {match[0]}, which follows instructions.", *match[1])


def _begun(base: str, catalogue: Catalogue) -> Match | None:
    """A model whose name somebody left the end off, or named by its family: the only one, or the
    newest of one size.
    """
    key = canonical(_POINT_ZERO.sub("", base))
    is_thing = key in catalogue.common_tables("things", "thing")
    if ":" in base or len(key) < _SHORTEST_BEGINNING or is_thing:
        return None
    begun = []
    for outline in catalogue.outlines():
        plain = _POINT_ZERO.sub("", outline.id)
        if canonical(plain) in (key, f"{key}-b" if key[-1].isdecimal() else key):
            return outline.id, ()
        if _is_left_off(key, plain):
            begun.append(outline)
    if not begun:
        begun = [each for each in catalogue.outlines() if canonical(each.family or "") == key]
    return _newest(base, begun)


def _newest(base: str, begun: Sequence[Outline]) -> Match | None:
    """The newest of the models that a name begins, where all are of one size."""
    sizes = {(each.parameters_total, each.parameters_active) for each in begun}
    if len(sizes) != 1 or (len(begun) > 1 and (None, None) in sizes) or begun[0].closed:
        return None
    newest = max(begun, key=lambda each: (each.released or "", -len(each.id), each.id))
    others = ", ".join(sorted(each.id for each in begun if each is not newest))
    why = f"the newest of one size; also {others}" if others else "the only one here"
    return newest.id, (f"{base} begins a longer name; this answer is for {newest.id} ({why}).",)


def _is_left_off(key: str, id: str) -> bool:
    """Whether an id has behind `key` only what people leave off."""
    if not canonical(id).startswith(f"{key}-"):
        return False
    ends = [at for at, sign in enumerate(id) if sign == "-" and canonical(id[:at]) == key]
    return bool(ends) and _LEFT_OFF.fullmatch(id[ends[0] :]) is not None
