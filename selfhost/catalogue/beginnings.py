"""Models by the beginning of their ids: what a name means whose end somebody left off, as the size
of the only one, the date of the newest, or the `.0` of a version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.records import pattern
from ..core.spelling import canonical
from .index import Catalogue
from .outlines import Outline

# `granite-4.0-h-tiny` is typed `granite 4 h tiny`
_POINT_ZERO = pattern(r"(?<=\d)\.0(?![\w.])")

# what people leave off: a version, a date, a size, and the words for a model that was tuned; a
# Voyage 4 is not the Voyage 4 nano
_LEFT_OFF = pattern(
    r"v?\d[\d.]*|(?:\d+x|[ae])?\d[\d.]*[bm]|\d+e|instruct|chat|it|thinking|preview|base|hf|alpha|beta"
)

# `sd` begins one id and means many models
_SHORTEST = 4


def model_begun(name: str, catalogue: Catalogue) -> tuple[str, tuple[str, ...]] | None:
    """The model whose id this name is but for `.0`, or begins, and a note where it begins it; None
    where no id begins so, or those that do need unlike each other.
    """
    key = canonical(_POINT_ZERO.sub("", name))
    if len(key) < _SHORTEST:
        return None
    whole, begun = _by_beginning(key[:1], catalogue)
    if key in whole:
        return whole[key].id, ()
    candidates = begun.get(key, ())
    sizes = {(each.parameters_total, each.parameters_active) for each in candidates}
    if len(sizes) != 1 or (len(candidates) > 1 and (None, None) in sizes):
        return None
    newest = max(candidates, key=_age)
    others = ", ".join(sorted(each.id for each in candidates if each is not newest))
    why = f"the newest of one size; also {others}" if others else "the only one in this catalogue"
    return newest.id, (f"{name} begins a longer name; this answer is for {newest.id} ({why}).",)


def newest_begun(name: str, catalogue: Catalogue) -> str | None:
    """The id of the newest open model whose id this name begins, whatever the size; None where no
    id begins so.
    """
    key = canonical(name)
    begun = _by_beginning(key[:1], catalogue)[1].get(key, ())
    candidates = [each for each in begun if not each.closed]
    return max(candidates, key=_age).id if candidates else None


def _age(outline: Outline) -> tuple[str, int, str]:
    """What orders models of one name: the newest last, of one day the shortest id."""
    return outline.released or "", -len(outline.id), outline.id


_Begun = tuple[Mapping[str, Outline], Mapping[str, Sequence[Outline]]]


def _by_beginning(letter: str, catalogue: Catalogue) -> _Begun:
    """Models whose ids begin with that letter by their ids without `.0`, as `canonical` writes
    them, and by what is left of an id without words that people leave off at its end.
    """
    by_beginning: _Begun | None = catalogue.derived.get(f"by_beginning {letter}")
    if by_beginning is not None:
        return by_beginning
    whole: dict[str, Outline] = {}
    begun: dict[str, list[Outline]] = {}
    for outline in catalogue.outlines():
        id = outline.id
        if id[:1].lower() != letter:
            continue
        words = (_POINT_ZERO.sub("", id) if ".0" in id else id).split("-")
        whole[canonical("-".join(words))] = outline
        for count in range(len(words) - 1, 0, -1):
            if not _LEFT_OFF.fullmatch(words[count]):
                break
            begun.setdefault(canonical("-".join(words[:count])), []).append(outline)
    catalogue.derived[f"by_beginning {letter}"] = whole, begun
    return whole, begun
