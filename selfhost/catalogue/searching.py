"""The search from typed text to one model, or to the error for a name that no model has.

`resolve` returns a `names.Resolution` or raises an error. The error for an unknown name tells the
first of these that holds: that the name means a tool, a hosted model, a maker or some other thing;
which model's weights the name most likely stands for; that the name belongs to a line of models.
Else the error has the nearest known names, and the size that follows from the number in the name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, partial

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.quoting import shell_word
from ..core.records import Record, Stated, shortened
from ..core.tables import expression, unchecked_record
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from .forms import Form, SplitName, splits
from .index import Catalogue
from .makers import maker_called
from .name_table import NAME_TABLE
from .names import (
    MAX_NAME_LENGTH,
    SEE_NAMES,
    NameOnly,
    Resolution,
    id_of,
    id_with_words,
    is_bare_weights,
    latin_spelling,
    matches,
    read_in_any_way,
    serves,
    sizes_in,
    unwrap,
)
from .spec_values import MODALITIES, USES
from .uses import kind_meant

_Words = list[str]

_SEARCHED = NAME_TABLE.searched
# the most names of one model that are compared with a typed name: a user's spec may have 10,000
_MOST_ALIASES = 50
# shorter names differ by one letter from too many other names
_LEAST_LETTERS_OF_SLIP = 4


def resolve(typed: str, catalogue: Catalogue) -> Resolution:
    """The resolution of a typed name to a model. Raises `NotAModelError` for a tool or service, and
    `UnknownModelError`, with the nearest names, for any other unknown name.
    """
    resolution = read_in_any_way(typed, catalogue)
    if resolution is not None:
        return resolution
    raise _UnknownName(typed=typed, catalogue=catalogue).error()


class _Hint(Record):
    """A model that an unknown name may stand for."""

    spec_id: str
    # the reason, as a clause
    why: str


class _UnknownName(Record):
    """A typed name that no model has, and its parts."""

    typed: str
    catalogue: Catalogue

    @property
    def quoted(self) -> str:
        """The typed name as messages quote it."""
        return f'"{shortened(self.typed)}"'

    @cached_property
    def unwrapped(self) -> str:
        """The name without quotes, command and address."""
        return unwrap(self.typed)

    @cached_property
    def name(self) -> str:
        """The unwrapped name without the tag that every name has."""
        return self.unwrapped.removesuffix(":latest")

    @property
    def owner(self) -> str:
        """The account: `unsloth` of `unsloth/Foo-7B-GGUF:Q4_K_M`."""
        return self.name.rpartition("/")[0]

    @property
    def last_part(self) -> str:
        """The name without its account: `Foo-7B-GGUF:Q4_K_M`."""
        return self.name.rpartition("/")[2]

    @cached_property
    def split(self) -> SplitName:
        """The name with all words for the form of its files removed: its `base` is `Foo-7B`, and
        `with_owner` is `unsloth/Foo-7B`.
        """
        split = SplitName(owner=self.owner, base=self.last_part, form=None)
        for shorter in splits(self.name):
            # the last split has all words of the form removed
            split = shorter
        return split

    @property
    def base(self) -> str:
        """The last part without the words for the form of the files."""
        return self.split.base

    @property
    def form(self) -> Form:
        """The form of the files that the name states."""
        return self.split.form or Form()

    @cached_property
    def key(self) -> str:
        """The base as `canonical` writes it: `foo-7-b`."""
        return canonical(self.base)

    def error(self) -> UnknownModelError:
        """The error that tells most about the name."""
        error = self._no_name()
        if error is not None:
            return error
        latin = latin_spelling(self.unwrapped, self.catalogue)
        if latin is not None:
            # a Latin spelling can be compared with known names
            return _UnknownName(typed=latin, catalogue=self.catalogue).error()
        return self._unknown()

    def _no_name(self) -> UnknownModelError | None:
        """The error for a text that cannot be a model's name; None for one that can."""
        count = len(self.typed)
        if count > MAX_NAME_LENGTH:
            message = (
                f"{self.quoted} has {count:,} characters, too many for a model's name"
            )
        elif not self.typed.strip():
            message = "no model was named"
        elif not canonical(self.typed):
            message = f"{self.quoted} is not a model's name"
        else:
            return None
        return UnknownModelError(message, remedy=SEE_NAMES)

    def _unknown(self) -> UnknownModelError:
        """The error for one name, with the model that it may stand for or the nearest names."""
        for table in ("thing", "uncovered", "hosted"):
            error = self._listed_error(table)
            if error is not None:
                return error
        wish = self._wish_error()
        if wish is not None:
            return wish
        # where a maker and a line of models have one name (Typhoon), the line is meant
        error = self._listed_error("line")
        maker = maker_called(self.name, self.catalogue)
        if maker is not None and error is None:
            return maker.error()
        hint = self._hint()
        if hint is not None:
            options = self._options(hint.spec_id)
            return UnknownModelError(
                f"{self._not_in_catalogue()}: {hint.why}",
                nearest=(hint.spec_id,),
                remedy=f"selfhost check {shell_word(hint.spec_id)}{options}",
            )
        if error is not None:
            return error
        return UnknownModelError(
            self._not_in_catalogue() + self._size_by_name(),
            nearest=partial(near_names, self.split.with_owner, self.catalogue),
            remedy=SEE_NAMES,
        )

    def _not_in_catalogue(self) -> str:
        """The sentence that the name is not known. It also lists the user's faulty files."""
        missing = ""
        # of a name that may be no path, nobody has looked for a file
        if is_bare_weights(self.name) and not isinstance(self.typed, NameOnly):
            missing = "does not exist here and "
        message = f"{self.quoted} {missing}is not in the catalogue"
        faults = self.catalogue.own_faults
        if not faults:
            return message
        files = list(dict.fromkeys(fault.file for fault in faults))
        listed = ", ".join(files[: _SEARCHED.most_files])
        return f"{message}; faulty files of yours were ignored: {listed}"

    def _size_by_name(self) -> str:
        """The clause on the size of the weights, computed from the number of parameters in the
        name; "" where the name states none, or weights of fewer bits.
        """
        sizes = re.findall(_SEARCHED.billions, self.base)
        if len(sizes) != 1 or _has_few_bits(self.split.with_owner):
            return ""
        billions = sizes[0]
        weights_bytes = round(_SEARCHED.q4_k_m_bytes * 1e9 * float(billions))
        size = units.decimal(weights_bytes)
        parameters = f"{billions} billion parameters, as its name says"
        return f": {parameters}, are about {size} of weights in Q4_K_M"

    def _options(self, spec_id: str) -> str:
        """The options of `check` for the form that the name states; "" for no usable form."""
        form = self.form
        if form.quantization is None:
            return ""
        spec = self.catalogue.spec(spec_id)
        if not serves(form, spec, self.catalogue):
            return ""
        options = f" --quant {form.quantization}"
        if form.runtime is None:
            return options
        return f" --runtime {form.runtime}{options}"

    # names of tools, services and other things that are no models

    def _listed_error(self, table: str) -> UnknownModelError | None:
        """The error for a name listed in a table of `things.toml`; None for any other name."""
        thing = self._thing() if table == "thing" else self._first_row(table)
        if thing is None:
            return None
        catalogue = self.catalogue
        figures = thing.__getstate__()
        figures["typed"] = self.quoted
        row = catalogue.section("things", "sentence")[table]
        sentence = unchecked_record(_ThingSentence, row)
        message = fill(sentence.message, figures)
        instead = []
        for id in thing.try_instead:
            if id in catalogue:
                instead.append(id)
        remedy = SEE_NAMES
        if instead:
            before = fill(sentence.before_command, figures)
            remedy = f"{before}selfhost check {shell_word(instead[0])}"
        if table == "thing":
            return NotAModelError(
                message, kind=thing.kind, nearest=instead, remedy=remedy
            )
        if instead:
            remedy += f"\n{SEE_NAMES}"
        if table != "hosted":
            return UnknownModelError(message, remedy=remedy)
        near = partial(near_names, self.last_part, catalogue)
        return UnknownModelError(message, nearest=near, remedy=remedy)

    def _wish_error(self) -> UnknownModelError | None:
        """The error for words that want a model and name none, such as `best picture model`: the
        list that has such models. None for a name.
        """
        wish = unchecked_record(_Wish, self.catalogue.section("things", "wish"))
        left = [word for word in self.name.lower().split() if word not in wish.words]
        kind = ""
        if len(left) == 1 and kind_meant(left[0]) in (*USES, *MODALITIES):
            kind = f" {left[0]}"
        elif left:
            return None
        message = fill(wish.message, {"typed": self.quoted})
        return UnknownModelError(message, remedy=fill(wish.remedy, {"kind": kind}))

    def _thing(self) -> Thing | None:
        """The tool, service or file that has the name as its title or alias."""
        for name in (self.last_part, self.name, self.base):
            thing = thing_called(name, self.catalogue)
            if thing is not None:
                return thing
        return None

    def _first_row(self, table: str) -> Thing | None:
        """The first row of the table that has a beginning of the typed name; None where there is
        none.
        """
        key = canonical(self.last_part)
        # models that are only hosted have no fine-tunes and state no sizes
        is_another = key.endswith("-distill") or sizes_in(key)
        if is_another and table == "hosted":
            return None
        for thing in _things_of(self.catalogue, table):
            if thing.begins(key):
                return thing
        return None

    # models whose weights the name may stand for

    def _hint(self) -> _Hint | None:
        """The hint at the model that the name most likely stands for; None where there is none."""
        return (
            self._in_unknown_quantization()
            or self._same_name()
            or self._same_layers()
            or self._made_from()
        )

    def _in_unknown_quantization(self) -> _Hint | None:
        """The hint for a known model with an unknown quantization; None for any other name."""
        typed = re.fullmatch(_SEARCHED.quantized, self.last_part)
        if typed is None:
            return None
        name, quantization = typed.groups()
        spec_id = id_of(name, self.catalogue)
        if spec_id is None:
            return None
        return _Hint(spec_id=spec_id, why=f"{quantization} is not a known quantization")

    def _same_name(self) -> _Hint | None:
        """The hint for a known model's name in an account that may hold other weights, or in files
        whose size is not known; None for any other name.
        """
        match = next(matches(self.last_part, self.catalogue), None)
        if match is None:
            return None
        spec_id = match.resolution.spec_id
        named = f"its name is that of {spec_id}"
        return _Hint(
            spec_id=spec_id,
            why=f"{named}, but it may hold other weights or another format",
        )

    @property
    def _as_much(self) -> str:
        """What a model needs that has the layers of another one: the cache follows from the layers,
        the weights do not where the name states fewer bits.
        """
        if _has_few_bits(self.split.with_owner):
            return "its cache needs as much, its weights of fewer bits need less"
        return "it needs as much"

    def _same_layers(self) -> _Hint | None:
        """The hint for a repository that has the layers of a known model, as `alike.toml` lists it;
        None for any other name.
        """
        behind_account = self.base.partition("_")[2]
        keys = (
            self.key,
            canonical(behind_account),
            canonical(f"{self.owner}/{self.key}"),
        )
        repositories = _repositories_alike(self.catalogue)
        for key in keys:
            if key in repositories:
                spec_id = repositories[key].spec_id
                why = f"it has the layers of {spec_id}, so {self._as_much}"
                return _Hint(spec_id=spec_id, why=why)
        return None

    def _made_from(self) -> _Hint | None:
        """The hint for a name that leaves out words of one id (`qwen coder 32b`). Else the hint for
        the name of a tuned model: at the model whose name it contains, or at the model whose layers
        all tunes of that line have. None for any other name.
        """
        known = _known_names(self.catalogue)
        name = _last_part_to_compare(self.split.with_owner)
        if known.meant_by(name) or known.longer_than(name):
            # a typing slip or a shortened name explains the name better than a fine-tune does
            return None
        if not self.owner and sizes_in(self.key):
            spec_id = id_with_words(self.key, self.catalogue)
            if spec_id is not None:
                return _Hint(
                    spec_id=spec_id,
                    why=f"of all names, {spec_id} alone has these words",
                )
        words = self.key.split("-")
        words = words[: _SEARCHED.most_words]
        spec_id = _named_inside(words, self.catalogue)
        if spec_id is not None:
            return _Hint(
                spec_id=spec_id,
                why=f"if it is made from {spec_id}, as its name says, {self._as_much}",
            )
        return self._layers_of_line(words)

    def _layers_of_line(self, words: _Words) -> _Hint | None:
        """The hint at the one model whose layers all repositories with these words in their names
        have; None where there are several or none.

        A line of tunes has a word that no id has; words of three letters are in too many names.
        """
        known = _known_names(self.catalogue)
        if not any(len(word) > 3 for word in set(words) - known.words_of_ids):
            return None
        places = _repositories_by_word(self.catalogue)
        keys = set.intersection(*[places.get(word, set()) for word in words])
        repositories = _repositories_alike(self.catalogue)
        alike = [repositories[key] for key in sorted(keys)]
        if len({repository.spec_id for repository in alike}) != 1:
            return None
        first = alike[0]
        why = f"{first.name} has the layers of {first.spec_id}"
        return _Hint(spec_id=first.spec_id, why=why)


def _has_few_bits(name: str) -> bool:
    """Whether the name states weights that were trained in one or two bits."""
    return expression("names", "few_bits").search(name) is not None


class Thing(Stated):
    """A row of specs/common/things.toml.

    Rows of the table `thing` have `aliases` and a `kind`. Rows of other tables have `names`, which
    are beginnings of names, and `whole`, which are complete names. `answer`, `about` and `writes`
    fill the sentence of the table. `try_instead`: ids of models. `runs_with`: ids of runtimes.
    """

    name: str = ""
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

    def begins(self, key: str) -> bool:
        """Whether a name, written as `canonical` writes names, begins with a name of `names` or
        equals a name of `whole`.
        """
        return self._beginnings.match(key) is not None

    @cached_property
    def _beginnings(self) -> re.Pattern[str]:
        forms = [f"{_form_of(name)}$" for name in self.whole]
        forms += map(_form_of, self.names)
        any_of_them = "|".join(forms)
        return re.compile(f"(?:{any_of_them})(?![a-z])")


def thing_called(name: str, catalogue: Catalogue) -> Thing | None:
    """The tool, service or file with that title or alias; None for any other name."""
    row = catalogue.common_tables("things", "thing").get(canonical(name))
    return None if row is None else unchecked_record(Thing, row)


class _ThingSentence(Stated):
    """The sentence about the names in one table of things.toml. `before_command`: the words before
    the command for another model.
    """

    message: str
    before_command: str = ""


class _Wish(Stated):
    """The table `wish` of things.toml: the words, and what is said where only these are typed."""

    message: str
    remedy: str
    words: tuple[str, ...]


def _form_of(name: str) -> str:
    """The regular expression for a name in a row, in which `*` stands for any letters."""
    parts = [canonical(part) for part in name.split("*")]
    return ".+".join(map(re.escape, parts))


@cache
def _things_of(catalogue: Catalogue, table: str) -> Sequence[Thing]:
    rows = catalogue.common_tables("things", table)
    return [unchecked_record(Thing, row) for row in rows.values()]


class _Repository(Record):
    """A repository listed in `alike.toml`, and the model whose layers it has."""

    spec_id: str
    name: str


@cache
def _repositories_alike(catalogue: Catalogue) -> Mapping[str, _Repository]:
    """The repositories of `alike.toml` by their names as `canonical` writes them. The account
    belongs to a name without a number, which many accounts have.
    """
    repositories = {}
    for spec_id, names in catalogue.section("alike", "alike").items():
        for name in names:
            key = canonical(name.rpartition("/")[2])
            if not _numbers_in(key):
                key = canonical(name)
            repositories[key] = _Repository(spec_id=spec_id, name=name)
    return repositories


@cache
def _repositories_by_word(catalogue: Catalogue) -> Mapping[str, set[str]]:
    """The keys of the repositories by the words in their names without the account."""
    keys_by_word: dict[str, set[str]] = {}
    for key, repository in _repositories_alike(catalogue).items():
        last_part = repository.name.rpartition("/")[2]
        for word in canonical(last_part).split("-"):
            keys_by_word.setdefault(word, set()).add(key)
    return keys_by_word


class _PartOfName(Record):
    """Some words of a name, which may be another model's name, and the other words `around`, which
    must not state another size.
    """

    words: _Words
    around: _Words


def _named_inside(words: _Words, catalogue: Catalogue) -> str | None:
    """The id of the open model whose name is contained in the name of its tune; None where there is
    none.

    The model's words follow one another or, as in `qwen3-abliterated:8b`, have the size apart.
    """
    for part in [*_runs_of_words(words), *_beginnings_with_size(words)]:
        name = "-".join(part.words)
        # an alias or a short id may be a family's name
        kinds = ["ids"]
        if sizes_in(name):
            kinds = ["whole", "aliases"]
        try:
            spec_id = catalogue.id_named(name, *kinds)
        except UnknownModelError:
            continue
        if spec_id is None or catalogue.outlines[spec_id].closed:
            continue
        around = "-".join(part.around)
        if not sizes_in(around):
            return spec_id
    return None


def _runs_of_words(words: _Words) -> Iterator[_PartOfName]:
    """Yield each run of three or more words, the longest first, with all words around it."""
    count = len(words)
    for length in range(count - 1, 2, -1):
        for start in range(count - length + 1):
            end = start + length
            if _goes_on_with_a_version(words[start:end], words[end:]):
                continue
            around = words[:start] + words[end:]
            yield _PartOfName(words=words[start:end], around=around)


def _goes_on_with_a_version(words: _Words, next_words: _Words) -> bool:
    """Whether the number that ends these words goes on behind them, so that they name another
    version: `kimi-k-3` of `kimi-k-3-1-pro`. A size is no such number: `phi-4` of `phi-4-14-b`.
    """
    if not next_words or not words[-1].isdigit():
        return False
    is_size = next_words[1:2] in (["b"], ["m"])
    return next_words[0].isdigit() and len(next_words[0]) == 1 and not is_size


def _beginnings_with_size(words: _Words) -> Iterator[_PartOfName]:
    """Yield each beginning of a name that ends in a size, together with that size, and the words
    between them. `qwen-3-abliterated-8-b` gives `qwen-3-8-b` and `abliterated`.
    """
    if words[-1:] != ["b"]:
        return
    # `8-b` stands in two words
    size = words[-2:]
    for end in range(len(words) - 3, 0, -1):
        between = words[end:-2]
        if between[0].isdigit():
            # the number of a version: `ministral-8-b` is not `ministral-4-8-b`
            continue
        yield _PartOfName(words=words[:end] + size, around=between)


# the nearest known names


class _Size(Record):
    """The number of billions of parameters in a name; `line` is the name without the number, as
    `canonical` writes it.
    """

    line: str
    billions: float


class _ComparedName:
    """A name to compare with others: as it is written, and as `canonical` writes it.

    `searched`: the whole typed name, of which this name is the last part; the size is read from the
    whole.
    """

    def __init__(self, name: str, searched: str | None = None) -> None:
        self.name = name
        self._searched = searched or name
        self.key = canonical(name)
        self.letters = self.key.replace("-", "")

    @cached_property
    def size(self) -> _Size | None:
        """The size in billions that the name states; None where it states none."""
        sized = re.fullmatch(_SEARCHED.sized, self._searched)
        if sized is None:
            return None
        before, billions, behind = sized.groups()
        return _Size(line=canonical(f"{before}-{behind}"), billions=float(billions))

    @cached_property
    def numbers(self) -> list[str]:
        """The numbers in the name, from left to right."""
        return _numbers_in(self.name)

    def is_slip_of(self, known: _ComparedName) -> bool:
        """Whether this name has the same numbers as a known name, and differs from the known name
        by one letter or by two swapped letters.
        """
        if abs(len(known.letters) - len(self.letters)) > 1:
            return False
        return is_slip(known.letters, self.letters) and known.numbers == self.numbers


class _KnownNames:
    """The names of all models and families of a catalogue, prepared for a search."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        names = list(catalogue.spellings(_MOST_ALIASES))
        names += catalogue.section("families", "family")
        # a later name with the same key replaces an earlier one: the Ollama tag of a model sorts
        # after its id
        self._by_key = {}
        for name in map(_ComparedName, names):
            self._by_key[name.key] = name
        self._keys_of_ids = {id: canonical(id) for id in catalogue.outlines}

    @cached_property
    def words_of_ids(self) -> frozenset[str]:
        """All words of the ids."""
        joined = "-".join(self._keys_of_ids.values())
        return frozenset(joined.split("-"))

    # A policy may have thousands of unknown names, so that each is compared with few known ones:
    # with those of the same numbers, and with those that differ in the size alone.

    @cached_property
    def _by_numbers(self) -> Mapping[tuple[str, ...], Sequence[_ComparedName]]:
        """The names by the numbers in them, from left to right."""
        by_numbers: dict[tuple[str, ...], list[_ComparedName]] = {}
        for name in self._by_key.values():
            by_numbers.setdefault(tuple(name.numbers), []).append(name)
        return by_numbers

    @cached_property
    def _by_line(self) -> Mapping[str, Sequence[_ComparedName]]:
        """The names that state a size by what they are without the number."""
        by_line: dict[str, list[_ComparedName]] = {}
        for name in self._by_key.values():
            if name.size is not None:
                by_line.setdefault(name.size.line, []).append(name)
        return by_line

    @cached_property
    def _ids_by_beginning(self) -> Mapping[str, Sequence[str]]:
        """The ids by each beginning of theirs that ends before a word."""
        by_beginning: dict[str, list[str]] = {}
        for id, key in self._keys_of_ids.items():
            for place, letter in enumerate(key):
                if letter == "-":
                    by_beginning.setdefault(key[:place], []).append(id)
        return by_beginning

    def meant_by(self, typed: _ComparedName) -> list[str]:
        """The known names that differ from the typed one by a slip, with the same numbers; if there
        are none, the same name with other sizes.
        """
        slips = []
        if len(typed.letters) >= _LEAST_LETTERS_OF_SLIP:
            alike = self._by_numbers.get(tuple(typed.numbers), ())
            slips = sorted(name.name for name in filter(typed.is_slip_of, alike))
        return slips or self._other_sizes(typed)

    def _other_sizes(self, typed: _ComparedName) -> list[str]:
        """The known names that differ from the typed one only in the number of parameters, the
        nearest number first.
        """
        wanted = typed.size
        if wanted is None:
            return []
        distances = {}
        for known in self._by_line.get(wanted.line, ()):
            if known.size is not None:
                distances[known.name] = abs(known.size.billions - wanted.billions)
        return sorted(distances, key=lambda name: (distances[name], name))

    def longer_than(self, typed: _ComparedName) -> list[str]:
        """The ids that begin with the words of the typed name."""
        return list(self._ids_by_beginning.get(typed.key, ()))

    def of_family(self, typed: _ComparedName) -> list[str]:
        """The ids that begin with the typed name, or belong to a family of that name, the newest
        first.
        """
        outlines = self.catalogue.outlines
        ids = self.longer_than(typed)
        for outline in outlines.values():
            if canonical(outline.family or "") == typed.key:
                ids.append(outline.id)
        ids.sort(key=lambda id: outlines[id].released or "", reverse=True)
        return ids

    def alike(self, typed: _ComparedName) -> list[str]:
        """The ids of the models whose names are most similar to the typed one, by difflib's
        measure.
        """
        from difflib import get_close_matches  # 2 ms, only for unknown names

        key = typed.key[:MAX_GUESSED_LETTERS]
        near = get_close_matches(
            key,
            self._with_letters_of(key),
            n=4 * _SEARCHED.most_hints,
            cutoff=_SEARCHED.near,
        )
        # names with the same first letters first, then names with the same numbers
        near.sort(key=lambda like: _numbers_in(like) != typed.numbers)
        near.sort(key=lambda like: like[:2] != typed.key[:2])
        names = [self._by_key[key].name for key in near]
        ids = [id_of(name, self.catalogue) for name in names]
        return list(filter(None, ids))

    def _with_letters_of(self, typed_key: str) -> list[str]:
        """The keys that share enough letters with a typed one, in any order, to be similar by
        difflib's measure, which is twice the letters in common for each letter of both.
        """
        wanted = Counter(typed_key)
        keys = []
        for key, letters in self._letters_of_keys.items():
            shared = 0
            for letter, number in wanted.items():
                shared += min(number, letters.get(letter, 0))
            if 2 * shared / (len(key) + len(typed_key)) >= _SEARCHED.near:
                keys.append(key)
        return keys

    @cached_property
    def _letters_of_keys(self) -> Mapping[str, Mapping[str, int]]:
        """How often each letter is in each key."""
        return {key: Counter(key) for key in self._by_key}


_known_names = cache(_KnownNames)


def _last_part_to_compare(typed: str) -> _ComparedName:
    """The last part of a typed name, to be compared with known names."""
    _, _, last_part = typed.rpartition("/")
    return _ComparedName(last_part, typed)


def _numbers_in(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The known names nearest to a typed one, one for each model: slips, else other sizes, then the
    family's newest models, then similar names.

    The search takes longer than the rest of an answer (6 ms), so it runs only for an error that is
    shown.
    """
    known = _known_names(catalogue)
    searched = _last_part_to_compare(typed)
    names = known.meant_by(searched)
    names += known.of_family(searched)
    names += known.alike(searched)
    name_by_id: dict[str, str] = {}
    for name in names:
        spec_id = id_of(name, catalogue) or name
        name_by_id.setdefault(spec_id, name)
    return tuple(name_by_id.values())[: _SEARCHED.most_hints]
