"""From what a person typed to one model, or to what to say of a name that no model goes by.

`resolve` returns a `names.Resolution` or raises. The error for an unknown name tells, in this
order: that several models were typed; what a tool, a hosted model or another thing is; the model
whose weights the name most likely stands for; the size that follows from the number in the name;
and always the nearest known names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from shlex import quote

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import Record, Stated, shortened
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from .forms import Form, splits
from .index import Catalogue
from .name_table import NAME_TABLE
from .names import (
    MAX_NAME_LENGTH,
    SEE_NAMES,
    Match,
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
        _refuse_several(typed, catalogue)
        raise _UnknownName(typed, name, catalogue).error()
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


def _refuse_several(typed: str, catalogue: Catalogue) -> None:
    """Raise `UnknownModelError` for names of models with commas between them."""
    parts = typed.split(",")
    if len(parts) == 1:
        return
    for part in parts:
        if id_of(part, catalogue) is None:
            return
    message = f'"{shortened(typed)}" is several models'
    spaced = " ".join(map(quote, parts))
    remedy = f"put a space between the names: {spaced}"
    raise UnknownModelError(message, remedy=remedy)


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
    _, joined = name_by_id.popitem()
    return joined


class _Hint(Record):
    """A model that an unknown name may stand for."""

    spec_id: str
    # why, as a clause
    why: str
    # what to type, with the places {check} and {plain}
    remedy: str = "{check}"


class _UnknownName:
    """A name that no model goes by, in parts. `name`: what was typed, unwrapped; `base`: its last
    part without the words for the form of the files, which `form` tells.
    """

    def __init__(self, typed: str, name: str, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        # as a message has it
        self.quoted = f'"{shortened(typed)}"'
        self.name = name.removesuffix(":latest")
        self.owner, _, self.last_part = self.name.rpartition("/")
        self.base = self.last_part
        self.form = Form()
        for split in splits(self.last_part, self.owner):
            self.base = split.base
            self.form = split.form or self.form
        # the base without what converters write behind it
        key = canonical(self.base)
        self.key = key.removesuffix("-gguf").removesuffix("-i-1")
        # what known names are compared with
        self.searched = self.base
        if self.owner:
            self.searched = f"{self.owner}/{self.base}"

    def error(self) -> UnknownModelError:
        """The error that says most of the name."""
        for table in ("thing", "uncovered", "hosted"):
            error = self._thing_error(table)
            if error is not None:
                return error
        for hint in self._hints():
            # the first is the likeliest
            return self._hinted_error(hint)
        error = self._thing_error("line")
        if error is not None:
            return error
        return UnknownModelError(
            self._not_in_catalogue() + self._size_by_name(),
            nearest=partial(near_names, self.searched, self.catalogue),
            remedy=SEE_NAMES,
        )

    def _not_in_catalogue(self) -> str:
        """The sentence that the name is not known, with the faulty files of the user's own."""
        missing = ""
        if is_bare_weights(self.name):
            missing = "does not exist here and "
        message = f"{self.quoted} {missing}is not in the catalogue"
        faults = self.catalogue.own_faults
        faulty = list(dict.fromkeys(problem.file for problem in faults))
        if not faulty:
            return message
        files = ", ".join(faulty[: _SEARCHED.most_files])
        return f"{message}; faulty files of yours were ignored: {files}"

    def _size_by_name(self) -> str:
        """The clause on the size of a model whose name states its parameters; "" for another."""
        sizes = re.findall(_SEARCHED.billions, self.base)
        if len(sizes) != 1:
            return ""
        billions = sizes[0]
        weights_bytes = round(_SEARCHED.q4_k_m_bytes * 1e9 * float(billions))
        size = units.decimal(weights_bytes)
        parameters = f"{billions} billion parameters, as its name says"
        return f": {parameters}, are about {size} of weights in Q4_K_M"

    def _hinted_error(self, hint: _Hint) -> UnknownModelError:
        """The error that names the model for which the typed name most likely stands."""
        plain = f"selfhost check {quote(hint.spec_id)}"
        commands = {"plain": plain, "check": plain + self._options(hint.spec_id)}
        return UnknownModelError(
            f"{self._not_in_catalogue()}: {hint.why}",
            nearest=(hint.spec_id,),
            remedy=fill(hint.remedy, commands),
        )

    def _options(self, spec_id: str) -> str:
        """The options of `check` for that model in the form that the name states."""
        form = self.form
        if form.quantization is None:
            return ""
        if not serves(form, self.catalogue.spec(spec_id), self.catalogue):
            return ""
        options = f" --quant {form.quantization}"
        if form.runtime is None:
            return options
        return f" --runtime {form.runtime}{options}"

    # tools, services and other names that are no model's

    def _thing_error(self, table: str) -> UnknownModelError | None:
        """The error for a name of an entry in a table of `things.toml`; None for any other."""
        catalogue = self.catalogue
        things = _things_of(catalogue, table)
        names = (self.last_part, self.name, self.base)
        name = things.name_of([canonical(name) for name in names])
        if name is None:
            return None
        thing = things.by_name[name]
        figures = {**thing.__getstate__(), "typed": self.quoted, "name": name}
        sentence = catalogue.rows(_ThingSentence, "things", "sentence")[table]
        message = fill(sentence.message, figures)
        instead = [id for id in thing.try_instead if id in catalogue]
        remedy = SEE_NAMES
        if instead:
            command = f"selfhost check {quote(instead[0])}"
            remedy = fill(sentence.before_command, figures) + command
        if table == "thing":
            kind = thing.kind
            return NotAModelError(message, kind=kind, nearest=instead, remedy=remedy)
        if instead:
            remedy += f"\n{SEE_NAMES}"
        if table != "hosted":
            return UnknownModelError(message, remedy=remedy)
        near = partial(near_names, self.last_part, catalogue)
        return UnknownModelError(message, nearest=near, remedy=remedy)

    # models whose weights the name may stand for

    def _hints(self) -> Iterator[_Hint]:
        """The models that the name may stand for, the likeliest first."""
        yield from self._in_unknown_form()
        yield from self._same_name()
        yield from self._same_layers()
        known = _known_names(self.catalogue)
        name = _SearchedName(self.searched)
        if known.meant_by(name) or known.longer_than(name):
            # a slip or a shortened name explains the name better than a tune does
            return
        words = self.key.split("-")[: _SEARCHED.most_words]
        inside = _named_inside(words, self.catalogue)
        if inside is not None:
            why = f"if it is made from {inside}, as its name says, it needs as much"
            yield _Hint(spec_id=inside, why=why)
        yield from _alike_of(self.catalogue).same_line(words)

    def _in_unknown_form(self) -> Iterator[_Hint]:
        """A known model in files whose size is not known."""
        typed = re.fullmatch(_SEARCHED.quantized, self.last_part)
        if typed is not None:
            name, quantization = typed.groups()
            spec_id = id_of(name, self.catalogue)
            if spec_id is not None:
                why = f"{quantization} is not a known quantization"
                remedy = f"`selfhost show {quote(spec_id)} -v` lists what there is"
                yield _Hint(spec_id=spec_id, why=why, remedy=remedy)
        match = self._first_match(self.name)
        if match is not None and match.form is not None:
            spec_id = match.resolution.spec_id
            holds = f"its name says that it holds {spec_id} in another format"
            why = f"{holds} ({match.form.written}), whose size is not known"
            remedy = "for the known formats: {plain}"
            yield _Hint(spec_id=spec_id, why=why, remedy=remedy)

    def _first_match(self, name: str) -> Match | None:
        return next(matches(name, self.catalogue), None)

    def _same_name(self) -> Iterator[_Hint]:
        """A known model in an account that may hold other weights."""
        if not self.owner:
            return
        match = self._first_match(self.last_part)
        if match is not None:
            spec_id = match.resolution.spec_id
            repository = f'this repository of "{shortened(self.owner)}"'
            why = f"{repository} may hold other weights than {spec_id}"
            remedy = "if it holds the same weights: {check}"
            yield _Hint(spec_id=spec_id, why=why, remedy=remedy)

    def _same_layers(self) -> Iterator[_Hint]:
        """The model whose layers the repository has, as `alike.toml` says."""
        behind_account = self.base.partition("_")[2]
        with_owner = f"{self.owner}/{self.key}"
        keys = (self.key, canonical(behind_account), canonical(with_owner))
        spec_id = _alike_of(self.catalogue).id_of(keys)
        if spec_id is not None:
            why = f"it has the layers of {spec_id}, so it needs as much"
            yield _Hint(spec_id=spec_id, why=why)


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


class _ThingSentence(Stated):
    """What is said of the names in one table of things.toml. `before_command`: what stands in front
    of the command for another model.
    """

    message: str
    before_command: str = ""


class _Beginning(Record):
    """What the names of an entry begin with, and the name of that entry."""

    pattern: re.Pattern[str]
    entry: str


class _Things:
    """The entries of one table of `things.toml`, ready to be found by a name.

    An entry of `thing` has its title and its `aliases` as names; one of another table has names
    that are compared as a `whole`, and `names` with which the names of models begin.
    """

    def __init__(self, table: str, things: Mapping[str, _Thing]) -> None:
        self._is_hosted = table == "hosted"
        self.by_name = things
        # the entries of `thing`
        self._by_alias: dict[str, str] = {}
        # those of the other tables; the beginnings by their first letter
        self._by_whole_name: dict[str, str] = {}
        self._beginnings: dict[str, list[_Beginning]] = {}
        for name, thing in things.items():
            if table == "thing":
                for alias in (name, *thing.aliases):
                    self._by_alias.setdefault(canonical(alias), name)
            for whole_name in thing.whole:
                self._by_whole_name.setdefault(canonical(whole_name), name)
            for start in thing.names:
                self._add_beginning(start, name)

    def _add_beginning(self, start: str, entry: str) -> None:
        """Let names that begin so be those of an entry; `*` stands for any letters."""
        parts = [re.escape(canonical(part)) for part in start.split("*")]
        letters = ".+".join(parts)
        pattern = re.compile(rf"{letters}(?![a-z])")
        first_letter = parts[0][:1]
        begun = self._beginnings.setdefault(first_letter, [])
        begun.append(_Beginning(pattern=pattern, entry=entry))

    def name_of(self, keys: Sequence[str]) -> str | None:
        """The entry that stands first in the table, of those that a name means; None for none.

        `keys` are the ways to read what was typed, as `canonical` writes them. Any of them may be
        an alias; whole names and beginnings are compared with the first alone.
        """
        found: set[str | None] = set(map(self._by_alias.get, keys))
        if not self._is_tune(keys[0]):
            found.update(self._named_whole_or_begun(keys[0]))
        for name in self.by_name:
            if name in found:
                return name
        return None

    def _is_tune(self, key: str) -> bool:
        """Whether the name is that of a tune of a hosted model: it states a size, or ends so."""
        if not self._is_hosted:
            return False
        return key.endswith("-distill") or bool(sizes_in(key))

    def _named_whole_or_begun(self, key: str) -> Iterator[str]:
        entry = self._by_whole_name.get(key)
        if entry is not None:
            yield entry
        # a beginning that is a wildcard has no first letter
        for first_letter in (key[:1], ""):
            for beginning in self._beginnings.get(first_letter, ()):
                if beginning.pattern.match(key):
                    yield beginning.entry


@cache
def _things_of(catalogue: Catalogue, table: str) -> _Things:
    return _Things(table, catalogue.rows(_Thing, "things", table))


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
        self._words_of_models: set[str] = set()
        for spec_id in catalogue.outlines:
            self._words_of_models.update(canonical(spec_id).split("-"))

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

    def same_line(self, words: Sequence[str]) -> Iterator[_Hint]:
        """The model whose layers all repositories have that are named with these words."""
        lines = [word for word in words if word not in self._words_of_models]
        if max(map(len, lines), default=0) <= 3:
            return
        repositories = self._names_by_id(words)
        if len(repositories) == 1:
            spec_id, repository = repositories.popitem()
            why = f"{repository} has the layers of {spec_id}"
            yield _Hint(spec_id=spec_id, why=why)

    def _names_by_id(self, words: Sequence[str]) -> dict[str, str]:
        """By model the last repository whose name holds all of these words."""
        places = self._places_with(words[0])
        for word in words:
            places &= self._places_with(word)
        names: dict[str, str] = {}
        for place in sorted(places):
            repository = self._entries[place]
            names[repository.spec_id] = repository.name
        return names

    def _places_with(self, word: str) -> frozenset[int]:
        """The places of the entries whose names hold a word."""
        return frozenset(self._places_by_word.get(word, ()))


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


class _Size(Record):
    """The number of billions in a name; `line` is the name without it, as `canonical` writes it."""

    line: str
    billions: float

    @classmethod
    def in_name(cls, name: str) -> _Size | None:
        """That of a name; None where it has none."""
        sized = re.fullmatch(_SEARCHED.sized, name)
        if sized is None:
            return None
        before, billions, behind = sized.groups()
        line = canonical(f"{before}-{behind}")
        return cls(line=line, billions=float(billions))


class _SearchedName:
    """A name with which known ones are compared: its last part, that as `canonical` writes it, its
    letters and its numbers, and the size of the whole.
    """

    def __init__(self, typed: str) -> None:
        self.name = typed.rpartition("/")[2]
        self.key = canonical(self.name)
        self.letters = self.key.replace("-", "")
        self.numbers = _numbers_in(self.name)
        self.size = _Size.in_name(typed)

    def is_slip_of(self, letters: str) -> bool:
        """Whether the name has other letters by one, or by two that are swapped."""
        # one slip leaves the first or the last letter
        first = self.letters[:1]
        last = self.letters[-1:]
        if first != letters[:1] and last != letters[-1:]:
            return False
        return is_slip(letters, self.letters)


class _KnownNames:
    """All names of a catalogue's models and families, ready to be searched for the one meant."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        families = dict(catalogue.common_tables("families", "family").values())
        names = (*catalogue.spellings(_MOST_ALIASES), *families)
        # of one model its tag of Ollama, which sorts after its id
        self.written = {canonical(name): name for name in names}
        # the letters of each name, by their number
        self._by_length: dict[int, list[tuple[str, str]]] = {}
        # by the name without its number of billions: by the name the number
        self._sizes: dict[str, dict[str, float]] = {}
        for key, name in self.written.items():
            letters = key.replace("-", "")
            alike = self._by_length.setdefault(len(letters), [])
            alike.append((letters, name))
            size = _Size.in_name(name)
            if size is not None:
                line = self._sizes.setdefault(size.line, {})
                line[name] = size.billions

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        """Each id as `canonical` writes it."""
        return {id: canonical(id) for id in self.catalogue.outlines}

    def meant_by(self, typed: _SearchedName) -> list[str]:
        """Names from which the typed one differs by a slip with its numbers right, else other
        sizes.
        """
        slips = self._slips_of(typed)
        meant = [name for name in slips if _numbers_in(name) == typed.numbers]
        return sorted(meant) or self._other_sizes(typed)

    def _slips_of(self, typed: _SearchedName) -> Iterator[str]:
        """The names from which the typed one differs in one letter, or in two swapped ones."""
        count = len(typed.letters)
        if count < _LEAST_LETTERS_OF_SLIP:
            return
        for length in (count - 1, count, count + 1):
            for letters, name in self._by_length.get(length, ()):
                if typed.is_slip_of(letters):
                    yield name

    def _other_sizes(self, typed: _SearchedName) -> list[str]:
        """Those that differ from it in the number of parameters alone, the nearest first."""
        size = typed.size
        if size is None:
            return []
        billions_by_name = self._sizes.get(size.line, {})

        def distance(name: str) -> float:
            return abs(size.billions - billions_by_name[name])

        return sorted(sorted(billions_by_name), key=distance)

    def longer_than(self, typed: _SearchedName) -> list[str]:
        """The ids that begin with the words of the typed name."""
        start = f"{typed.key}-"
        return [id for id, key in self._keys.items() if key.startswith(start)]

    def of_family(self, typed: _SearchedName) -> list[str]:
        """The ids that begin with the typed name, or are of a family of that name; newest first."""
        outlines = self.catalogue.outlines
        ids = self.longer_than(typed)
        for id, outline in outlines.items():
            if canonical(outline.family or "") == typed.key:
                ids.append(id)

        def day(id: str) -> str:
            return outlines[id].released or ""

        return sorted(ids, key=day, reverse=True)

    def alike(self, typed: _SearchedName) -> list[str]:
        """The models whose names share most letters with the typed one, as difflib counts it."""
        from difflib import get_close_matches  # 2 ms, for unknown names alone

        near = get_close_matches(
            typed.key[:MAX_GUESSED_LETTERS],
            self.written,
            n=4 * _SEARCHED.most_hints,
            cutoff=_SEARCHED.near,
        )
        # those with the same numbers first, and before them those that begin the same
        near.sort(key=lambda like: _numbers_in(like) != typed.numbers)
        near.sort(key=lambda like: like[:2] != typed.key[:2])
        ids = [id_of(self.written[like], self.catalogue) for like in near]
        return list(filter(None, ids))


@cache
def _known_names(catalogue: Catalogue) -> _KnownNames:
    return _KnownNames(catalogue)


def _numbers_in(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Known names, one a model: slips, else other sizes, the family's newest, the most alike.

    They take longer to find than all else of an answer (6 ms), so only one that is shown is
    asked for.
    """
    known = _known_names(catalogue)
    searched = _SearchedName(typed)
    names = known.meant_by(searched)
    names += known.of_family(searched)
    names += known.alike(searched)
    name_by_id: dict[str, str] = {}
    for name in names:
        spec_id = id_of(name, catalogue) or name
        name_by_id.setdefault(spec_id, name)
    return tuple(name_by_id.values())[: _SEARCHED.most_hints]
