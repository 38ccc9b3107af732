"""From what a person typed to one model, or to what to say of a name that no model goes by.

`resolve` returns a `names.Resolution` or raises. The error for an unknown name tells, in this
order: that several models were typed; what a tool, a hosted model or another thing is; the model
whose weights the name most likely stands for; the size that follows from the number in the name;
and always the nearest known names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from shlex import quote
from typing import NamedTuple

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import Record, Stated, shortened
from ..core.tables import TomlRow, unchecked_record
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from .forms import Form, splits
from .index import Catalogue
from .name_table import NAME_TABLE
from .names import (
    MAX_NAME_LENGTH,
    SEE_NAMES,
    Resolution,
    id_of,
    is_bare_weights,
    latin_spelling,
    matches,
    read,
    serves,
    sizes_in,
    unwrap,
)

_SEARCHED = NAME_TABLE.searched
# names of one model among which the one that was meant is looked for: a user's spec may have 10,000
_MOST_ALIASES = 50
# shorter names differ from too many others in one letter
_LEAST_LETTERS_OF_SLIP = 4


class _Hint(Record):
    """A model that an unknown name may stand for."""

    spec_id: str
    # why, as a clause
    why: str
    # what to type, with the places {check} and {plain}
    remedy: str = "{check}"


def resolve(typed: str, catalogue: Catalogue) -> Resolution:
    """The model that goes by this name. Raises `NotAModelError` for a tool or service,
    `UnknownModelError` for anything else, with the nearest names.
    """
    _refuse_no_name(typed)
    resolution = read(typed, catalogue) or read(typed, catalogue, indirectly=True)
    if resolution is not None:
        return resolution
    name = unwrap(typed)
    reading = latin_spelling(name, catalogue)
    if reading is None and "/" not in name:
        reading = _with_words_joined(name, catalogue)
    if reading is None:
        raise _unknown_name(typed, name, catalogue)
    note = f"{name} is read as {reading}."
    return resolve(reading, catalogue).with_note(note)


def _refuse_no_name(typed: str) -> None:
    """Raise `UnknownModelError` for a string that cannot be a model's name."""
    short = shortened(typed)
    if len(typed) > MAX_NAME_LENGTH:
        count = f"{len(typed):,}"
        message = f'"{short}" has {count} characters, too many for a model\'s name'
    elif not typed.strip():
        message = "no model was named"
    elif not canonical(typed):
        message = f'"{short}" is not a model\'s name'
    else:
        return
    raise UnknownModelError(message, remedy=SEE_NAMES)


def _with_words_joined(name: str, catalogue: Catalogue) -> str | None:
    """The name with two of its words as one, where that is a single model: `tiny llama`."""
    name_by_id: dict[str, str] = {}
    for joint in re.finditer(r"(?i)\b[a-z]+([ -])(?=[a-z])", name):
        joined = name[: joint.start(1)] + name[joint.end() :]
        spec_id = id_of(joined, catalogue)
        if spec_id is not None:
            name_by_id[spec_id] = joined
    if len(name_by_id) != 1:
        return None
    return next(iter(name_by_id.values()))


class _UnknownName(NamedTuple):
    """A name that no model goes by. `whole`: what was typed, unwrapped; `base`: its last part
    without the words for the form of the files, which `form` tells.
    """

    typed: str
    whole: str
    owner: str
    last_part: str
    base: str
    form: Form

    @classmethod
    def of(cls, typed: str, name: str) -> _UnknownName:
        """The parts of a name."""
        whole = name.removesuffix(":latest")
        owner, _, rest = whole.rpartition("/")
        base = rest
        form = Form()
        for split in splits(rest, owner):
            base = split.base
            form = split.form or form
        return cls(typed, whole, owner, rest, base, form)

    @property
    def searched(self) -> str:
        """What known names are compared with."""
        return f"{self.owner}/{self.base}" if self.owner else self.base

    @property
    def quoted(self) -> str:
        """The typed name as a message quotes it."""
        return f'"{shortened(self.typed)}"'

    @property
    def key(self) -> str:
        """The base without what converters write behind it."""
        key = canonical(self.base)
        return key.removesuffix("-gguf").removesuffix("-i-1")


def _unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by. `name`: what was typed, unwrapped."""
    parts = typed.split(",")
    if len(parts) > 1 and all(id_of(part, catalogue) for part in parts):
        message = f'"{shortened(typed)}" is several models'
        spaced = " ".join(map(quote, parts))
        remedy = f"put a space between the names: {spaced}"
        return UnknownModelError(message, remedy=remedy)
    unknown = _UnknownName.of(typed, name)
    for table in ("thing", "uncovered", "hosted"):
        error = _thing_error(table, unknown, catalogue)
        if error is not None:
            return error
    message = _not_in_catalogue(unknown, catalogue)
    hint = next(_hints(unknown, catalogue), None)
    if hint is not None:
        return _hinted_error(message, hint, unknown.form, catalogue)
    error = _thing_error("line", unknown, catalogue)
    if error is not None:
        return error
    return UnknownModelError(
        message + _size_by_name(unknown.base),
        nearest=partial(near_names, unknown.searched, catalogue),
        remedy=SEE_NAMES,
    )


def _not_in_catalogue(unknown: _UnknownName, catalogue: Catalogue) -> str:
    """The sentence that the name is not known, with the faulty files of the user's own."""
    missing = "does not exist here and " if is_bare_weights(unknown.whole) else ""
    message = f"{unknown.quoted} {missing}is not in the catalogue"
    faulty = list(dict.fromkeys(problem.file for problem in catalogue.own_faults))
    if faulty:
        files = ", ".join(faulty[: _SEARCHED.most_files])
        message += f"; faulty files of yours were ignored: {files}"
    return message


def _size_by_name(base: str) -> str:
    """The clause on the size of a model whose name states its parameters; "" for another."""
    sizes = re.findall(_SEARCHED.billions, base)
    if len(sizes) != 1:
        return ""
    billions = sizes[0]
    weights_bytes = round(_SEARCHED.q4_k_m_bytes * 1e9 * float(billions))
    size = units.decimal(weights_bytes)
    parameters = f"{billions} billion parameters, as its name says"
    return f": {parameters}, are about {size} of weights in Q4_K_M"


def _hinted_error(
    message: str, hint: _Hint, form: Form, catalogue: Catalogue
) -> UnknownModelError:
    """The error that names the model for which the typed name most likely stands."""
    plain = f"selfhost check {quote(hint.spec_id)}"
    check = plain
    spec = catalogue.spec(hint.spec_id)
    if form.quantization is not None and serves(form, spec, catalogue):
        if form.runtime is not None:
            check += f" --runtime {form.runtime}"
        check += f" --quant {form.quantization}"
    remedy = fill(hint.remedy, {"plain": plain, "check": check})
    nearest = (hint.spec_id,)
    return UnknownModelError(f"{message}: {hint.why}", nearest=nearest, remedy=remedy)


# tools, services and other names that are no model's


class _Thing(Stated):
    """A row of specs/common/things.toml. One of the table `thing` has `aliases` and a `kind`;
    `names` are beginnings of names, `whole` names as they are. `try_instead`: ids of models.
    """

    aliases: tuple[str, ...] = ()
    kind: str = ""
    names: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    answer: str | None = None
    about: str | None = None
    writes: str | None = None
    try_instead: tuple[str, ...] = ()
    runs_with: tuple[str, ...] = ()
    source: str | None = None


def _thing_error(
    table: str, unknown: _UnknownName, catalogue: Catalogue
) -> UnknownModelError | None:
    """The error for a name of an entry in a table of `things.toml`; None for any other."""
    names = (unknown.last_part, unknown.whole, unknown.base)
    keys = [canonical(name) for name in names]
    things = _things_of(catalogue, table)
    name = things.name_of(keys)
    if name is None:
        return None
    thing = things.by_name[name]
    figures = {
        "typed": unknown.quoted,
        "name": name,
        "kind": thing.kind,
        "answer": thing.answer,
        "about": thing.about,
        "writes": thing.writes,
    }
    sentence, before = catalogue.common("things")["sentence"][table]
    message = fill(sentence, figures)
    instead = [id for id in thing.try_instead if id in catalogue]
    remedy = SEE_NAMES
    if instead:
        remedy = f"{fill(before, figures)}selfhost check {quote(instead[0])}"
    if table == "thing":
        kind = thing.kind
        return NotAModelError(message, kind=kind, nearest=instead, remedy=remedy)
    if instead:
        remedy += f"\n{SEE_NAMES}"
    if table == "hosted":
        near = partial(near_names, unknown.last_part, catalogue)
        return UnknownModelError(message, nearest=near, remedy=remedy)
    return UnknownModelError(message, remedy=remedy)


class _Beginning(Record):
    """What the names of an entry begin with."""

    pattern: re.Pattern[str]
    about: str


class _Things:
    """The entries of one table of `things.toml`, ready to be found by a name.

    An entry of `thing` has its title and its `aliases` as names; one of another table has names
    that are compared as a `whole`, and `names` with which the names of models begin.
    """

    def __init__(self, table: str, rows: Mapping[str, TomlRow]) -> None:
        self._is_hosted = table == "hosted"
        self.by_name: dict[str, _Thing] = {}
        # the entries of `thing`
        self._by_alias: dict[str, str] = {}
        # those of the other tables; the beginnings by their first letter
        self._by_whole_name: dict[str, str] = {}
        self._beginnings: dict[str, list[_Beginning]] = {}
        self._places = {name: place for place, name in enumerate(rows)}
        for name, row in rows.items():
            thing = unchecked_record(_Thing, row)
            self.by_name[name] = thing
            if table == "thing":
                self._add_names(self._by_alias, (name, *thing.aliases), name)
            self._add_names(self._by_whole_name, thing.whole, name)
            for start in thing.names:
                self._add_beginning(start, name)

    @staticmethod
    def _add_names(known: dict[str, str], names: Iterable[str], about: str) -> None:
        """Let these names be those of an entry, unless one before it has them."""
        for name in names:
            known.setdefault(canonical(name), about)

    def _add_beginning(self, start: str, about: str) -> None:
        """Let names that begin so be those of an entry; `*` stands for any letters."""
        parts = [re.escape(canonical(part)) for part in start.split("*")]
        pattern = re.compile(rf"{'.+'.join(parts)}(?![a-z])")
        first_letter = parts[0][:1]
        begun = self._beginnings.setdefault(first_letter, [])
        begun.append(_Beginning(pattern=pattern, about=about))

    def name_of(self, keys: Sequence[str]) -> str | None:
        """The entry that stands first in the table, of those that a name means; None for none.

        `keys` are the ways to read what was typed, as `canonical` writes them. Any of them may be
        an alias; whole names and beginnings are compared with the first alone.
        """
        found = [self._by_alias[key] for key in keys if key in self._by_alias]
        key = keys[0]
        # who tunes a model names it after a hosted one: such a name states a size, or ends so
        is_tune = self._is_hosted and (sizes_in(key) or key.endswith("-distill"))
        if not is_tune:
            found += self._named_whole_or_begun(key)
        return min(found, key=self._places.__getitem__, default=None)

    def _named_whole_or_begun(self, key: str) -> Iterator[str]:
        about = self._by_whole_name.get(key)
        if about is not None:
            yield about
        # a beginning that is a wildcard has no first letter
        for first_letter in (key[:1], ""):
            for beginning in self._beginnings.get(first_letter, ()):
                if beginning.pattern.match(key):
                    yield beginning.about


@cache
def _things_of(catalogue: Catalogue, table: str) -> _Things:
    return _Things(table, catalogue.common("things").get(table, {}))


# models whose weights an unknown name may stand for


def _hints(unknown: _UnknownName, catalogue: Catalogue) -> Iterator[_Hint]:
    """The models that the name may stand for, the likeliest first: the first is told."""
    yield from _in_unknown_form(unknown, catalogue)
    yield from _same_name(unknown, catalogue)
    alike = _alike_of(catalogue)
    behind_account = canonical(unknown.base.partition("_")[2])
    with_owner = canonical(f"{unknown.owner}/{unknown.key}")
    layers_of = alike.id_of((unknown.key, behind_account, with_owner))
    if layers_of is not None:
        why = f"it has the layers of {layers_of}, so it needs as much"
        yield _Hint(spec_id=layers_of, why=why)
    name = unknown.searched
    if _meant_names(name, catalogue) or _longer_names(name, catalogue):
        # a slip or a shortened name explains the name better than a tune does
        return
    words = unknown.key.split("-")[: _SEARCHED.most_words]
    inside = _named_inside(words, catalogue)
    if inside is not None:
        why = f"if it is made from {inside}, as its name says, it needs as much"
        yield _Hint(spec_id=inside, why=why)
    yield from _same_line(words, alike)


def _same_line(words: Sequence[str], alike: _Alike) -> Iterator[_Hint]:
    """The model whose layers all repositories have that are named with these words."""
    own_words = set(words) - alike.words_of_models
    if not any(len(word) > 3 for word in own_words):
        return
    repositories = alike.names_by_id(words)
    if len(repositories) == 1:
        spec_id, repository = repositories.popitem()
        yield _Hint(spec_id=spec_id, why=f"{repository} has the layers of {spec_id}")


def _in_unknown_form(unknown: _UnknownName, catalogue: Catalogue) -> Iterator[_Hint]:
    """A known model in files whose size is not known."""
    typed = re.fullmatch(_SEARCHED.quantized, unknown.last_part)
    if typed is not None:
        spec_id = id_of(typed[1], catalogue)
        if spec_id is not None:
            why = f"{typed[2]} is not a known quantization"
            remedy = f"`selfhost show {quote(spec_id)} -v` lists what there is"
            yield _Hint(spec_id=spec_id, why=why, remedy=remedy)
    match = next(matches(unknown.whole, catalogue), None)
    if match is not None and match.form is not None:
        spec_id = match.resolution.spec_id
        holds = f"its name says that it holds {spec_id} in another format"
        why = f"{holds} ({match.form.written}), whose size is not known"
        remedy = "for the known formats: {plain}"
        yield _Hint(spec_id=spec_id, why=why, remedy=remedy)


def _same_name(unknown: _UnknownName, catalogue: Catalogue) -> Iterator[_Hint]:
    """A known model in an account that may hold other weights."""
    if not unknown.owner:
        return
    owner = shortened(unknown.owner)
    remedy = "if it holds the same weights: {check}"
    match = next(matches(unknown.last_part, catalogue), None)
    if match is not None:
        spec_id = match.resolution.spec_id
        why = f'this repository of "{owner}" may hold other weights than {spec_id}'
        yield _Hint(spec_id=spec_id, why=why, remedy=remedy)


class _Repository(Record):
    """A repository, and the model whose layers it has."""

    spec_id: str
    name: str


class _Alike:
    """The repositories of `alike.toml`, each with the model whose layers it has."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._entries: list[_Repository] = []
        self._place_by_key: dict[str, int] = {}
        self._places_by_word: dict[str, set[int]] = {}
        alike: Mapping[str, Sequence[str]] = catalogue.common("alike").get("alike", {})
        for spec_id, repositories in alike.items():
            for repository in repositories:
                self._add(_Repository(spec_id=spec_id, name=repository))
        # the name of a line of tunes stands in the names of listed models
        self.words_of_models: set[str] = set()
        for spec_id in catalogue.outlines:
            self.words_of_models.update(canonical(spec_id).split("-"))

    def _add(self, repository: _Repository) -> None:
        place = len(self._entries)
        self._entries.append(repository)
        key = canonical(repository.name.rpartition("/")[2])
        for word in set(key.split("-")):
            self._places_by_word.setdefault(word, set()).add(place)
        if not re.search(r"\d", key):
            # many accounts have a repository called by words alone: that of this account is meant
            key = canonical(repository.name)
        self._place_by_key[key] = place

    def id_of(self, keys: Iterable[str]) -> str | None:
        """The model of the last entry that goes by one of these names."""
        places = [self._place_by_key[key] for key in keys if key in self._place_by_key]
        if not places:
            return None
        return self._entries[max(places)].spec_id

    def names_by_id(self, words: Iterable[str]) -> dict[str, str]:
        """By model the last repository whose name holds all of these words."""
        places: list[set[int]] = []
        for word in words:
            places.append(self._places_by_word.get(word, set()))
        if not places:
            return {}
        names: dict[str, str] = {}
        for place in sorted(set.intersection(*places)):
            repository = self._entries[place]
            names[repository.spec_id] = repository.name
        return names


@cache
def _alike_of(catalogue: Catalogue) -> _Alike:
    return _Alike(catalogue)


def _named_inside(words: list[str], catalogue: Catalogue) -> str | None:
    """The open model whose name stands in that of its tune, in words that follow one another or, as
    in `qwen3-abliterated:8b`, with the size apart. The words around it must state no other size.
    """
    for inside, others in _parts_of(words):
        name = "-".join(inside)
        # an alias or a short id may be the name of a family
        kinds = ("whole", "aliases") if sizes_in(name) else ("ids",)
        try:
            spec_id = catalogue.id_named(name, *kinds)
        except UnknownModelError:
            continue
        if spec_id is None or catalogue.outlines[spec_id].closed:
            continue
        if not sizes_in("-".join(others)):
            return spec_id
    return None


def _parts_of(words: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Each run of three or more words, the longest first, with the words around it; then, of a
    name that ends in a size, each beginning with that size.
    """
    count = len(words)
    for length in range(count - 1, 2, -1):
        for start in range(count - length + 1):
            end = start + length
            yield words[start:end], words[:start] + words[end:]
    if words[-1:] == ["b"]:
        for end in range(count - 3, 0, -1):
            yield words[:end] + words[-2:], []


# the nearest known names


class _KnownNames:
    """All names of a catalogue's models and families, ready to be searched for the one meant."""

    def __init__(self, catalogue: Catalogue) -> None:
        families = dict(catalogue.common_tables("families", "family").values())
        names = (*catalogue.spellings(_MOST_ALIASES), *families)
        # of one model its tag of Ollama, which sorts after its id
        self.written = {canonical(name): name for name in names}
        self.ids = {id: canonical(id) for id in catalogue.outlines}
        # by the number of letters: by the name without what separates words the name
        self._by_length: dict[int, list[tuple[str, str]]] = {}
        # by the name without its number of billions: by the name the number
        self._sizes: dict[str, dict[str, float]] = {}
        for key, name in self.written.items():
            letters = key.replace("-", "")
            self._by_length.setdefault(len(letters), []).append((letters, name))
            sized = re.fullmatch(_SEARCHED.sized, name)
            if sized is not None:
                line = self._sizes.setdefault(_without_size(sized), {})
                line[name] = float(sized[2])

    def slips_of(self, letters: str) -> list[str]:
        """The names from which these letters differ in one letter, or in two swapped ones."""
        count = len(letters)
        if count < _LEAST_LETTERS_OF_SLIP:
            return []
        slips: list[str] = []
        for length in (count - 1, count, count + 1):
            for known, name in self._by_length.get(length, ()):
                if _shares_an_end(known, letters) and is_slip(known, letters):
                    slips.append(name)
        return slips

    def other_sizes(self, typed: str) -> list[str]:
        """Those that differ from it in the number of parameters alone, the nearest first."""
        sized = re.fullmatch(_SEARCHED.sized, typed)
        if sized is None:
            return []
        typed_size = float(sized[2])
        distances: dict[str, float] = {}
        for name, size in self._sizes.get(_without_size(sized), {}).items():
            distances[name] = abs(typed_size - size)
        return sorted(distances, key=lambda name: (distances[name], name))


def _shares_an_end(known: str, letters: str) -> bool:
    """Whether the first or the last letter is the same: one slip leaves one of them."""
    return known[:1] == letters[:1] or known[-1:] == letters[-1:]


def _without_size(sized: re.Match[str]) -> str:
    """A name that the expression `sized` matches, without its number of billions."""
    return canonical(f"{sized[1]}-{sized[3]}")


@cache
def _known_names(catalogue: Catalogue) -> _KnownNames:
    return _KnownNames(catalogue)


def _meant_names(typed: str, catalogue: Catalogue) -> list[str]:
    """Names from which the typed one differs by a slip with its numbers right, else other sizes."""
    known = _known_names(catalogue)
    name = typed.rpartition("/")[2]
    numbers = _numbers_in(name)
    slips = known.slips_of(canonical(name).replace("-", ""))
    meant = sorted(slip for slip in slips if _numbers_in(slip) == numbers)
    return meant or known.other_sizes(typed)


def _numbers_in(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _longer_names(typed: str, catalogue: Catalogue) -> list[str]:
    """The ids that begin with the words of the typed name."""
    start = canonical(typed.rpartition("/")[2]) + "-"
    ids = _known_names(catalogue).ids
    return [id for id, key in ids.items() if key.startswith(start)]


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Known names, one a model: slips, else other sizes, the family's newest, the most alike.

    They take longer to find than all else of an answer (6 ms), so only one that is shown is
    asked for.
    """
    names = _meant_names(typed, catalogue)
    names += _family_ids(typed, catalogue)
    names += _alike_ids(typed, catalogue)
    name_by_id: dict[str, str] = {}
    for name in names:
        spec_id = id_of(name, catalogue) or name
        name_by_id.setdefault(spec_id, name)
    return tuple(name_by_id.values())[: _SEARCHED.most_hints]


def _family_ids(typed: str, catalogue: Catalogue) -> list[str]:
    """The ids that begin with the typed name, or are of a family of that name; newest first."""
    key = canonical(typed.rpartition("/")[2])
    outlines = catalogue.outlines
    ids = _longer_names(typed, catalogue)
    for id, outline in outlines.items():
        if canonical(outline.family or "") == key:
            ids.append(id)
    return sorted(ids, key=lambda id: outlines[id].released or "", reverse=True)


def _alike_ids(typed: str, catalogue: Catalogue) -> list[str]:
    """The models whose names share most letters with the typed one, as difflib counts it."""
    from difflib import get_close_matches  # 2 ms, for unknown names alone

    name = typed.rpartition("/")[2]
    key = canonical(name)
    numbers = _numbers_in(name)
    written = _known_names(catalogue).written
    most = 4 * _SEARCHED.most_hints
    beginning = key[:MAX_GUESSED_LETTERS]
    near = get_close_matches(beginning, written, n=most, cutoff=_SEARCHED.near)
    # those with the same numbers first, and before them those that begin the same
    near.sort(key=lambda like: _numbers_in(like) != numbers)
    near.sort(key=lambda like: like[:2] != key[:2])
    ids = [id_of(written[like], catalogue) for like in near]
    return [spec_id for spec_id in ids if spec_id is not None]
