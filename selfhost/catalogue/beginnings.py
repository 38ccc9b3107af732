"""Models by the beginning of their ids: what a name means whose end somebody left off, as the size
of the only one, the date of the newest, the `.0` of a version, or all but the family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from ..core.records import pattern
from ..core.spelling import canonical, canonical_of_each
from .index import Catalogue
from .lookup import family_has
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
    # `qwythos-9` has a size without its unit
    same = whole.get(key) or (whole.get(f"{key}-b") if key[-1:].isdecimal() else None)
    if same is not None:
        return same.id, ()
    candidates = begun.get(key, ())
    sizes = {(each.parameters_total, each.parameters_active) for each in candidates}
    if len(sizes) != 1 or (len(candidates) > 1 and (None, None) in sizes):
        return None
    newest = max(candidates, key=_age)
    others = ", ".join(sorted(each.id for each in candidates if each is not newest))
    why = f"the newest of one size; also {others}" if others else "the only one in this catalogue"
    return newest.id, (f"{name} begins a longer name; this answer is for {newest.id} ({why}).",)


# what a desktop computer holds in 4 bits beside its programs
_LARGEST_ON_DESKTOPS = 15_000_000_000


def newest_of_family(name: str, catalogue: Catalogue) -> tuple[str, tuple[str, ...]] | None:
    """The model that the name of a family alone means, by the `family` of the specs or by how their
    ids begin, and a note; None for any other name and for families of which an API alone serves
    some.

    Of the models that do what most of the family do, that is the newest; of one version, or one
    month, the largest that most desktop computers hold.
    """
    key = canonical(name)
    members = _members(key, catalogue) or _line(key, catalogue)
    if not members or any(each.closed for each in members):
        return None
    # a tune of the family may be called otherwise
    run = key.replace("-", "")
    alike = _of_main_use(members)
    named = [each for each in alike if canonical(each.id).replace("-", "").startswith(run)]
    model, why = _of_newest(named or alike)
    others = [each.id for each in sorted(members, key=_age, reverse=True) if each is not model]
    why = why or f"the {'newest' if others else 'only one'} in this catalogue"
    taken = f"{name} is a family; this answer is for {model.id} ({why})."
    return model.id, (taken, family_has(others, name)) if others else (taken,)


def _of_newest(candidates: Sequence[Outline]) -> tuple[Outline, str]:
    """The newest, and of several that came together the largest that most desktop computers hold,
    with the words for that choice.
    """
    latest = max(candidates, key=_age)
    newest = [each for each in candidates if _came_with(each, latest)]
    if len(newest) == 1:
        return latest, ""
    held = [each for each in newest if (each.parameters_total or 0) <= _LARGEST_ON_DESKTOPS]
    if held:
        return max(held, key=_size), "of the newest the largest that most desktop computers hold"
    return min(newest, key=_size), "of the newest the smallest"


def _members(key: str, catalogue: Catalogue) -> Sequence[Outline]:
    """The models of a family by its name as `canonical` writes it, and of the families within it,
    as Granite 4.0 H; InternVL2.5 is none of InternVL2's.
    """
    family = _families(catalogue).get(key, ())
    if not family:
        return ()
    return tuple({each.id: each for each in (*family, *_longer(key, catalogue))}.values())


def _longer(key: str, catalogue: Catalogue) -> list[Outline]:
    """The models whose ids go on where this name ends, of no finer version."""
    # to rewrite all ids takes longer than the rest
    return [
        each
        for each in catalogue.outlines()
        if each.id[:1] == key[:1]
        and canonical(each.id).startswith(f"{key}-")
        and not _is_finer(each.id, key)
    ]


# two models of one line are two sizes of it where one has this many times the parameters (assumed)
_NEXT_SIZE = 1.1


def _line(key: str, catalogue: Catalogue) -> Sequence[Outline]:
    """Models of one line within a family, as InternVL3, Devstral Small or Granite Speech 3.3: a
    version or a second word says more than the family, and all do the same work.

    Empty where the newest are of one size and differ in what no shorter name can mean: a language,
    a resolution.
    """
    longer = _longer(key, catalogue) if "-" in key else []
    families = {each.family for each in longer}
    works = {each.uses[0] if each.uses else None for each in longer}
    if len(longer) < 2 or len(families) != 1 or len(works) != 1 or None in families | works:
        return ()
    latest = max(longer, key=_age)
    sizes = sorted(each.parameters_total or 0 for each in longer if _came_with(each, latest))
    are_sizes = all(larger > smaller * _NEXT_SIZE for smaller, larger in pairwise(sizes))
    return longer if are_sizes else ()


def _of_main_use(models: Sequence[Outline]) -> Sequence[Outline]:
    """Those that do what most of them do first."""
    uses = [each.uses[0] if each.uses else None for each in models]
    main_use = max(uses, key=uses.count)
    return [each for each, use in zip(models, uses, strict=True) if use == main_use]


def _is_finer(id: str, key: str) -> bool:
    """Whether the version of an id that begins so goes on behind a point, as 2.5 does after 2."""
    rest = id.lower()
    for letter in key.replace("-", ""):
        rest = rest.partition(letter)[2]
    return rest[:1] == "." and rest[1:2].isdecimal()


def _families(catalogue: Catalogue) -> Mapping[str, Sequence[Outline]]:
    """The models of each family, by its name as `canonical` writes it."""
    families: dict[str, list[Outline]] | None = catalogue.derived.get("families of specs")
    if families is None:
        families = catalogue.derived["families of specs"] = {}
        outlines = [each for each in catalogue.outlines() if each.family]
        keys = canonical_of_each(each.family or "" for each in outlines)
        for key, outline in zip(keys, outlines, strict=True):
            families.setdefault(key, []).append(outline)
    return families


# `1.5` of `fara1.5-9b`; 9b is a size
_VERSION = pattern(r"v?\d+(?:\.\d+)*(?![\w.])")


def _came_with(outline: Outline, latest: Outline) -> bool:
    """Whether a model was published in the month of another, or is of its version."""
    months = {(each.released or "")[:7] for each in (outline, latest)}
    versions = [match[0] for each in (outline, latest) if (match := _VERSION.search(each.id))]
    return len(months) == 1 or (len(versions) == 2 and versions[0] == versions[1])


def _size(outline: Outline) -> tuple[int, int, str]:
    """What orders models of one month: by size, of one size the one of the shortest id."""
    return outline.parameters_total or 0, -len(outline.id), outline.id


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
