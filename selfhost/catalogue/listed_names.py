"""A name that no model has, held against those that are listed: alike, in part, by words."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

from ..core.errors import UnknownModelError
from ..core.records import pattern
from ..core.saying import command
from ..core.spelling import canonical
from .index import Catalogue
from .lookup import MOST_NAMED, sizes_in
from .stated_sizes import BILLIONS, families_in, with_options

# of a listed repository, or of its account
_canonical_name = lru_cache(maxsize=1 << 15)(canonical)


def is_typed_for_another(name: str, catalogue: Catalogue) -> bool:
    """Whether people type this very name for a model that has the layers of a catalogued one."""
    key = canonical(name)
    return key in _alike(key[:1], name[-1:].lower(), catalogue)[0]


def listed_alike(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model whose config.json or file was read: it has the layers of a catalogued
    one.
    """
    base, options = with_options(name.rpartition("/")[2].removesuffix(":latest"))
    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(base))
    models, shorter = _alike(key[:1], base[-1:].lower(), catalogue)
    model = models.get(key)
    if model is not None:
        return UnknownModelError(
            f"{message}: it has the layers of {model}, so it needs as much",
            nearest=(model,),
            remedy=command("check", model, **options),
        )
    # tunes of one name come in sizes, of which the listed ones are not all
    is_general = _is_slip_of_family(key, catalogue) or _says_family_alone(key, catalogue)
    of_name = {} if is_general else shorter.get(key, {})
    listed = {model: own for own, model in of_name.items()}
    return _of_listed_sizes(message, listed, options)


def _of_listed_sizes(
    message: str, listed: Mapping[str, str], options: Mapping[str, str]
) -> UnknownModelError | None:
    """The error for a name without a size; `listed` is a repository of that name for each model
    whose layers one has, None is returned where it is empty.
    """
    if not listed:
        return None
    same_layers = [f"{own} has the layers of {model}" for model, own in listed.items()]
    layers = " and ".join(same_layers[:MOST_NAMED])
    is_single = len(listed) == 1
    return UnknownModelError(
        f"{message} without its size: {layers}; another size needs more or less",
        nearest=tuple(listed)[:MOST_NAMED],
        remedy=(
            f"if you mean that one: {command('check', next(iter(listed)), **options)}"
            if is_single
            else "type its name with the size"
        ),
    )


class _Listed:
    """Each listed repository with the model whose layers it has, the shortest names of a model
    first.
    """

    def __init__(self, alike: Mapping[str, Sequence[str]]) -> None:
        self._rows = [
            (model, repository)
            for model, repositories in alike.items()
            for repository in sorted(repositories, key=lambda each: (len(each), each))
        ]
        # one text is searched in a hundredth of the time that all names take
        names = [repository.lower() for _, repository in self._rows]
        self._text = "\n".join(names)
        self._ends = list(accumulate(len(name) + 1 for name in names))

    def with_word(self, word: str) -> Iterator[tuple[str, str]]:
        """Those whose name has the word in it, in any case; all for an empty one."""
        place = self._text.find(word) if self._rows else -1
        while place >= 0:
            number = bisect_right(self._ends, place)
            yield self._rows[number]
            place = self._text.find(word, self._ends[number])


def _by_length(catalogue: Catalogue) -> _Listed:
    listed: _Listed | None = catalogue.derived.get("alike by length")
    if listed is None:
        listed = _Listed(catalogue.common("alike")["alike"])
        catalogue.derived["alike by length"] = listed
    return listed


# letters of the shortest word that names a line of tunes: `elyza`
_SHORTEST_OWN_WORD = 4


def listed_in_part(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for the name of a line of tunes without a size, or of the account that makes it,
    which stands in the names of listed repositories: `swallow` of Llama-3.3-Swallow-70B; None for
    any other.
    """
    base, options = with_options(name)
    key = canonical(base)
    if sizes_in(base) or not key or _is_slip_of_family(key, catalogue):
        return None
    if _says_family_alone(key, catalogue):
        return None
    listed, of_account = _of_line_and_account(key, catalogue)
    # the shortest names are those of the line, the longer ones of tunes of it
    ranked = sorted((listed or of_account).items(), key=lambda pair: (len(pair[1]), pair))
    if listed or len(of_account) < 2:
        return _of_listed_sizes(message, dict(ranked), options)
    layers = " and ".join(
        f"{tune} has the layers of {model}" for model, tune in ranked[:MOST_NAMED]
    )
    return UnknownModelError(
        f"{message}: of an account of that name {layers}",
        nearest=tuple(model for model, _ in ranked[:MOST_NAMED]),
        remedy="type the name of one of its models, with the size",
    )


def _of_line_and_account(
    key: str, catalogue: Catalogue
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """By model the name of a repository of that line, and of one of an account of that name."""
    from .near_names import is_common_word

    own = [word for word in key.split("-") if len(word) >= _SHORTEST_OWN_WORD and word.isalpha()]
    families = families_in(catalogue)
    is_line = any(not is_common_word(word) and word not in families for word in own)
    longest = max(own or key.split("-"), key=len)
    listed: dict[str, str] = {}
    of_account: dict[str, str] = {}
    # to rewrite all names takes far longer
    for model, repository in _by_length(catalogue).with_word(longest):
        account, _, rest = repository.rpartition("/")
        # a size or a word for the tune follows common words; the name of a line may end a name, and
        # its words may be joined there: `EstopianMaid`
        run = f"-{_canonical_name(rest)}"
        is_in_run = f"-{key}-" in f"{run}-" or (
            "-" in key and key.replace("-", "") in run.replace("-", "")
        )
        if is_in_run if is_line else "-" in key and run.startswith(f"-{key}-"):
            listed.setdefault(model, rest)
        elif is_line and key == _canonical_name(account):
            of_account.setdefault(model, rest)
    return listed, of_account


def listed_by_words(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune that is typed by its own words and its size, where the repositories that
    have all of them need as much as one model: `mag mell 12b` of MN-12B-Mag-Mell-R1.
    """
    base, options = with_options(name.rpartition("/")[2])
    words = frozenset(re.split(r"[-_ ]+", base.lower()))
    own = {word for word in words if len(word) > 3 and word.isalpha()} - families_in(catalogue)
    if not own or not BILLIONS.search(base):
        return None
    listed: dict[str, str] = {}
    # the shortest names of a model come first
    for model, repository in _by_length(catalogue).with_word(max(own, key=len)):
        if model not in listed:
            own_name = repository.rpartition("/")[2].lower().replace("_", "-")
            if words.issubset(own_name.split("-")):
                listed[model] = repository
    sizes = {
        (outline.parameters_total, outline.parameters_active)
        for outline in catalogue.outlines()
        if outline.id in listed
    }
    if len(sizes) != 1:
        return None
    # of models that need alike, that of the tune with the fewest words more
    model = min(listed, key=lambda id: (len(listed[id]), id))
    return UnknownModelError(
        f"{message}: tunes of that name and size have the layers of {model}, so they need as much",
        nearest=(model,),
        remedy=command("check", model, **options),
    )


# what people leave off at the end of a name: `Midnight-Miqu-70B-v1.5`, `Fimbulvetr-11B-v2`
_VERSION = pattern(r"[-_.]v?\d+(?:\.\d+)*$", re.IGNORECASE)


_SIZE_AT_END = pattern(r"(?<=[a-z]{4})[-_.]\d+(?:\.\d+)?b$", re.IGNORECASE)


_Alike = tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]


def _beginning_with(letter: str, catalogue: Catalogue) -> Sequence[tuple[str, str]]:
    """Of the repositories whose name begins with that letter, with its account or without: the
    model whose layers it has, and the repository.
    """
    rows: list[tuple[str, str]] | None = catalogue.derived.get(f"alike {letter}")
    if rows is None:
        letters = letter, letter.upper()
        rows = catalogue.derived[f"alike {letter}"] = [
            (model, repository)
            for model, repositories in catalogue.common("alike")["alike"].items()
            for repository in repositories
            if letter
            and (
                repository.startswith(letters) or repository.rpartition("/")[2].startswith(letters)
            )
        ]
    return rows


def _alike(first: str, letter: str, catalogue: Catalogue) -> _Alike:
    """The model whose layers a repository has, by the repository's name as `canonical` writes it,
    with its account and without, whole and without its version; and by a name without its size, or
    one that tunes of different models have, the model of each repository called so. Of the names
    that begin with the one letter and end in the other.
    """
    alike: _Alike | None = catalogue.derived.get(f"alike {first}…{letter}")
    if alike is not None:
        return alike
    # most names differ in these letters, and to rewrite all of them takes far longer
    models: dict[str, str] = {}
    unversioned: dict[str, dict[str, str]] = {}
    unsized: dict[str, dict[str, str]] = {}
    for model, repository in _beginning_with(first, catalogue):
        own = repository.rpartition("/")[2]
        if own[-1:].lower() == letter:
            models.setdefault(canonical(repository), model)
            models.setdefault(canonical(own), model)
        plain = _VERSION.sub("", own)
        stem = _SIZE_AT_END.sub("", plain)
        if plain != own and plain[-1:].lower() == letter:
            unversioned.setdefault(canonical(plain), {})[own] = model
        if stem != plain and stem[-1:].lower() == letter:
            unsized.setdefault(canonical(stem), {})[own] = model
    for plain, named in unversioned.items():
        # without a size, another version may be of another one
        if len(set(named.values())) == 1 and sizes_in(plain):
            models.setdefault(plain, next(iter(named.values())))
        else:
            unsized.setdefault(plain, {}).update(named)
    catalogue.derived[f"alike {first}…{letter}"] = models, unsized
    return models, unsized


def _is_slip_of_family(key: str, catalogue: Catalogue) -> bool:
    """Whether a name as `canonical` writes it is a slip of the fingers in a family's name."""
    from .near_names import is_slip_of, shape_of

    by_shape: dict[tuple[str, ...], list[str]] | None = catalogue.derived.get("families by shape")
    if by_shape is None:
        by_shape = catalogue.derived["families by shape"] = {}
        for name, _ in catalogue.common_tables("families", "family").values():
            family = canonical(name)
            by_shape.setdefault(shape_of(family), []).append(family)
    return any(is_slip_of(key, family) for family in by_shape.get(shape_of(key), ()))


def _says_family_alone(key: str, catalogue: Catalogue) -> bool:
    """Whether a name as `canonical` writes it is that of a family with words beside it that many
    models have: a `qwen-coder` is Qwen's own, not somebody's tune.
    """
    from .near_names import is_common_word

    first, *others = [word for word in key.split("-") if not word.isdecimal()] or [key]
    is_family = len(first) > 1 and first in families_in(catalogue)
    return is_family and bool(others) and all(map(is_common_word, others))
