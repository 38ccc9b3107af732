"""The search from typed text to one model, or to the error for a name that no model has.

`resolve` returns a `names.Resolution` or raises an error. The error for an unknown name tells the
first of these that holds: that the name means a tool or some other thing, a model of a kind that is
not judged, a hosted model or a maker; which model's weights the name most likely stands for; that
the name belongs to a line of models. Else the error has the nearest known names, and the size that
follows from the number in the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from math import inf
from os.path import dirname, join

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.links import exists
from ..core.quoting import shell_word
from ..core.records import Record, Stated, shortened
from ..core.tables import expression, unchecked_record
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from .forms import SplitName, splits
from .index import Catalogue
from .makers import maker_called
from .name_table import NAME_TABLE
from .named_files import Resolution, serves
from .names import (
    MAX_NAME_LENGTH,
    SEE_NAMES,
    NameOnly,
    id_of,
    id_with_words,
    is_bare_weights,
    latin_spelling,
    matches,
    read_in_any_way,
    sizes_in,
    unwrap,
)

_Words = list[str]

_SEARCHED = NAME_TABLE.searched
# the most names of one model that are compared with a typed name: a user's spec may have 10,000
_MOST_ALIASES = 50
# shorter names differ by one letter from too many other names
_LEAST_LETTERS_OF_SLIP = 4
# what makes a folder that of a model
_CONFIG = "config.json"


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
    def name(self) -> str:
        """The name without quotes, command and address, and without the tag that every name has."""
        return unwrap(self.typed).removesuffix(":latest")

    @property
    def last_part(self) -> str:
        """The name without its account: `Foo-7B-GGUF:Q4_K_M` of `unsloth/Foo-7B-GGUF:Q4_K_M`."""
        return self.name.rpartition("/")[2]

    @cached_property
    def split(self) -> SplitName:
        """The name with all words for the form of its files removed: its `base` is `Foo-7B`, and
        `with_owner` is `unsloth/Foo-7B`.
        """
        owner = self.name.rpartition("/")[0]
        split = SplitName(owner=owner, base=self.last_part, form=None)
        for shorter in splits(self.name):
            # the last split has all words of the form removed
            split = shorter
        return split

    @cached_property
    def key(self) -> str:
        """The base as `canonical` writes it: `foo-7-b`."""
        return canonical(self.split.base)

    def error(self) -> UnknownModelError:
        """The error that tells most about the name."""
        fault = self._fault()
        if fault is not None:
            return UnknownModelError(fault, remedy=SEE_NAMES)
        latin = latin_spelling(self.name, self.catalogue)
        if latin is not None:
            # a Latin spelling can be compared with known names
            return _UnknownName(typed=latin, catalogue=self.catalogue).error()
        return self._unknown()

    def _fault(self) -> str | None:
        """Why a text cannot be a model's name; None for one that can."""
        count = len(self.typed)
        if count > MAX_NAME_LENGTH:
            return (
                f"{self.quoted} has {count:,} characters, too many for a model's name"
            )
        if not self.typed.strip():
            return "no model was named"
        if not canonical(self.typed):
            return f"{self.quoted} is not a model's name"
        return None

    def _unknown(self) -> UnknownModelError:
        """The error for one name, with the model that it may stand for or the nearest names."""
        # no model, a kind of model that is not judged, and a model behind an API alone
        for table in ("thing", "uncovered", "hosted"):
            error = self._listed_error(table)
            if error is not None:
                return error
        # where a maker and a line of models have one name (Typhoon), the line is meant
        of_line = self._listed_error("line")
        maker = maker_called(self.name, self.catalogue)
        if maker is not None and of_line is None:
            return maker.error()
        hint = (
            self._in_unknown_quantization()
            or self._same_name()
            or self._same_layers()
            or self._made_from()
        )
        if hint is not None:
            options = self._options(hint.spec_id)
            command = f"selfhost check {shell_word(hint.spec_id)}{options}"
            return UnknownModelError(
                f"{self._not_in_catalogue()}: {hint.why}",
                nearest=(hint.spec_id,),
                remedy=f"{self._own_files()}{command}",
            )
        if of_line is not None:
            return of_line
        return UnknownModelError(
            self._not_in_catalogue() + self._size_by_name(),
            nearest=partial(near_names, self.split.base, self.catalogue),
            remedy=f"{self._own_files()}{SEE_NAMES}",
        )

    def _own_files(self) -> str:
        """The lines to type about the user's own files, each with its end; "" where nothing is to
        be said about them.
        """
        return f"{self._own_folder()}{self._own_faults()}"

    def _own_faults(self) -> str:
        """The line that tells every fault of the user's own specs; "" where they have none."""
        files = self._faulty_files()
        if not files:
            return ""
        folders = dict.fromkeys(dirname(file) or "." for file in files)
        paths = " ".join(map(shell_word, folders))
        return f"{fill(NAME_TABLE.see_faults, {'paths': paths})}\n"

    def _own_folder(self) -> str:
        """The line that judges the folder of a model that lies here under the typed name; "" where
        there is none, or where nobody may look.
        """
        if isinstance(self.typed, NameOnly):
            return ""
        if not exists(join(self.typed, _CONFIG)):
            return ""
        path = shell_word(f"./{self.typed}")
        return f"{fill(NAME_TABLE.see_folder, {'path': path})}\n"

    def _not_in_catalogue(self) -> str:
        """The sentence that the name is not known. It also lists the user's faulty files."""
        missing = ""
        # of a name that may be no path, nobody has looked for a file
        if is_bare_weights(self.name) and not isinstance(self.typed, NameOnly):
            missing = "does not exist here and "
        message = f"{self.quoted} {missing}is not in the catalogue"
        if not self.catalogue.own_faults:
            return message
        listed = units.listed(self._faulty_files(), _SEARCHED.most_files)
        return f"{message}; faulty files of yours were ignored: {listed}"

    def _faulty_files(self) -> list[str]:
        """The user's own spec files that have faults, each once."""
        return list(
            dict.fromkeys(problem.file for problem in self.catalogue.own_faults)
        )

    def _size_by_name(self) -> str:
        """The clause on the size of the weights, computed from the number of parameters in the
        name; "" where the name states none, or weights of fewer bits.
        """
        sizes = _billions_in(self.split.base)
        if len(sizes) != 1 or _has_few_bits(self.split.with_owner):
            return ""
        (billions,) = sizes
        parameters = 1e9 * float(billions)
        weights_bytes = round(_SEARCHED.q4_k_m_bytes * parameters)
        size = units.decimal(weights_bytes)
        return (
            f": {billions} billion parameters, as its name says,"
            f" are about {size} of weights in Q4_K_M"
        )

    def _options(self, spec_id: str) -> str:
        """The options of `check` for the form that the name states; "" for no usable form."""
        form = self.split.form
        if form is None or form.quantization is None:
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
        if table == "thing":
            thing = self._thing()
        else:
            thing = self._first_row(table)
        if thing is None:
            return None
        figures = thing.__getstate__()
        figures["typed"] = self.quoted
        row = self.catalogue.section("things", "sentence")[table]
        sentence = unchecked_record(_ThingSentence, row)
        message = fill(sentence.message, figures)
        instead = [id for id in thing.try_instead if id in self.catalogue]
        remedy = SEE_NAMES
        if instead:
            command = f"selfhost check {shell_word(instead[0])}"
            remedy = fill(sentence.before_command, figures) + command
        if table == "thing":
            return NotAModelError(
                message,
                kind=thing.kind,
                nearest=instead,
                remedy=remedy,
            )
        if instead:
            remedy += f"\n{SEE_NAMES}"
        if table != "hosted":
            return UnknownModelError(message, remedy=remedy)
        near = partial(near_names, self.last_part, self.catalogue)
        return UnknownModelError(message, nearest=near, remedy=remedy)

    def _thing(self) -> Thing | None:
        """The tool, service or file that has the name as its title or alias."""
        names = (
            self.last_part,
            self.name,
            self.split.base,
        )
        for name in names:
            thing = thing_called(name, self.catalogue)
            if thing is not None:
                return thing
        return None

    def _first_row(self, table: str) -> Thing | None:
        """The first row of the table of whose names one begins the typed name; None where there is
        none.
        """
        key = canonical(self.last_part)
        if table == "hosted" and (key.endswith("-distill") or sizes_in(key)):
            # models that are only hosted have no fine-tunes and state no sizes
            return None
        for thing in _things_of(self.catalogue, table):
            if thing.begins(key):
                return thing
        return None

    # models whose weights the name may stand for

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
        why = (
            f"its name is that of {spec_id},"
            " but it may hold other weights or another format"
        )
        return _Hint(spec_id=spec_id, why=why)

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
        behind_account = self.split.base.partition("_")[2]
        keys = (
            self.key,
            canonical(behind_account),
            canonical(self.split.with_owner),
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
        if known.slips(self.key) or known.longer_than(self.key):
            # a typing slip or a shortened name explains the name better than a fine-tune does
            return None
        spec_id = self._id_with_more_words()
        if spec_id is not None:
            why = f"of all names, {spec_id} alone has these words"
            return _Hint(spec_id=spec_id, why=why)
        words = self.key.split("-")
        words = words[: _SEARCHED.most_words]
        spec_id = _named_inside(words, self.catalogue)
        if spec_id is not None:
            why = f"if it is made from {spec_id}, as its name says, {self._as_much}"
            return _Hint(spec_id=spec_id, why=why)
        return self._layers_of_line(words)

    def _id_with_more_words(self) -> str | None:
        """The one id that has all words of a name without an account, and is of the size that the
        name states; None where there is none, or the name states no size.
        """
        if self.split.owner or not sizes_in(self.key):
            return None
        spec_id = id_with_words(self.key, self.catalogue)
        if spec_id is None:
            return None
        stated = _billions_in(self.split.base)
        # `qwen3 17b` is not qwen3.5-397b-a17b, whose 17b are the active parameters
        return spec_id if stated.issubset(_billions_in(spec_id)) else None

    def _layers_of_line(self, words: _Words) -> _Hint | None:
        """The hint at the one model whose layers all repositories with these words in their names
        have; None where there are several or none.

        A line of tunes has a word that no id has; words of three letters are in too many names.
        """
        known = _known_names(self.catalogue)
        in_no_id = set(words) - known.words_of_ids
        if not any(len(word) > 3 for word in in_no_id):
            return None
        keys_by_word = _repositories_by_word(self.catalogue)
        having = [keys_by_word.get(word, set()) for word in words]
        keys = set.intersection(*having)
        repositories = _repositories_alike(self.catalogue)
        alike = [repositories[key] for key in sorted(keys)]
        if len({repository.spec_id for repository in alike}) != 1:
            return None
        for repository in alike:
            if repository.is_meant_by(words):
                why = f"{repository.name} has the layers of {repository.spec_id}"
                return _Hint(spec_id=repository.spec_id, why=why)
        return None


def _billions_in(name: str) -> frozenset[str]:
    """The billions of parameters that a name states, without the active ones of `30B-A3B`."""
    return frozenset(re.findall(_SEARCHED.billions, name))


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
        """The expression of all `names` as beginnings, and of all `whole` to the end; no letter may
        follow.
        """
        forms = [f"{_form_of(name)}$" for name in self.whole]
        forms += map(_form_of, self.names)
        any_of_them = "|".join(forms)
        return re.compile(f"(?:{any_of_them})(?![a-z])")


def thing_called(name: str, catalogue: Catalogue) -> Thing | None:
    """The tool, service or file with that title or alias; None for any other name."""
    rows = catalogue.common_tables("things", "thing")
    row = rows.get(canonical(name))
    if row is None:
        return None
    return unchecked_record(Thing, row)


class _ThingSentence(Stated):
    """The sentence about the names in one table of things.toml. `before_command`: the words before
    the command for another model.
    """

    message: str
    before_command: str = ""


def _form_of(name: str) -> str:
    """The regular expression for a name in a row, in which `*` stands for any letters."""
    forms = []
    for part in name.split("*"):
        key = canonical(part)
        forms.append(re.escape(key))
    return ".+".join(forms)


@cache
def _things_of(catalogue: Catalogue, table: str) -> Sequence[Thing]:
    """The rows of a table of things.toml."""
    rows = catalogue.common_tables("things", table)
    return [unchecked_record(Thing, row) for row in rows.values()]


class _Repository(Record):
    """A repository listed in `alike.toml`, and the model whose layers it has."""

    spec_id: str
    name: str

    @property
    def words(self) -> _Words:
        """The words of the name without the account, as `canonical` writes them."""
        last_part = self.name.rpartition("/")[2]
        return canonical(last_part).split("-")

    def is_meant_by(self, typed: _Words) -> bool:
        """Whether a name of these words likely means the repository: it has most of the words that
        the model's id lacks, or half of them with the first. A name with fewer is rather a common
        word than the repository's: a guess.

        `anubis` means Anubis-70B-v1.1, and `minutes` does not mean local-minutes-contextualizer-4b.
        """
        words_of_id = canonical(self.spec_id).split("-")
        own_words = []
        for word in self.words:
            # numbers and single letters are in many names
            if len(word) > 1 and word.isalpha() and word not in words_of_id:
                own_words.append(word)
        if not own_words:
            return False
        count = sum(word in typed for word in own_words)
        if count == len(own_words) / 2:
            return own_words[0] in typed
        return count > len(own_words) / 2


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
        for word in repository.words:
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
    parts = [
        *_runs_of_words(words),
        *_beginnings_with_size(words),
    ]
    for part in parts:
        name = "-".join(part.words)
        # without a size an alias or a whole name may be a family's
        kinds = ["whole", "aliases"] if sizes_in(name) else ["ids"]
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
            before = words[:start]
            run = words[start:end]
            behind = words[end:]
            if not _goes_on_with_a_version(run, behind):
                yield _PartOfName(words=run, around=before + behind)


def _goes_on_with_a_version(words: _Words, next_words: _Words) -> bool:
    """Whether the number that ends these words goes on behind them, so that they name another
    version: `kimi-k-3` of `kimi-k-3-1-pro`. A size is no such number: `phi-4` of `phi-4-14-b`.
    """
    if not next_words or not words[-1].isdigit():
        return False
    next_word, *others = next_words
    if others and others[0] in ("b", "m"):
        # the number of a size
        return False
    return next_word.isdigit() and len(next_word) == 1


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


class _KnownNames:
    """The names of all models and families of a catalogue, prepared for a search. Typed names are
    given as `canonical` writes them.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._keys_of_ids = {id: canonical(id) for id in catalogue.outlines}
        names = list(catalogue.spellings(_MOST_ALIASES))
        names += catalogue.section("families", "family")
        # of names with one key the last counts: the Ollama tag of a model sorts after its id
        self._by_key = {canonical(name): name for name in names}

    @cached_property
    def words_of_ids(self) -> frozenset[str]:
        """All words of the ids."""
        joined = "-".join(self._keys_of_ids.values())
        return frozenset(joined.split("-"))

    @cached_property
    def _keys_by_numbers(self) -> Mapping[tuple[str, ...], Sequence[str]]:
        """The keys by the numbers in them: a policy may have thousands of unknown names, so that
        each is compared with few known ones.
        """
        by_numbers: dict[tuple[str, ...], list[str]] = {}
        for key in self._by_key:
            numbers = _numbers_in(key)
            by_numbers.setdefault(numbers, []).append(key)
        return by_numbers

    def slips(self, typed: str) -> list[str]:
        """The known names that have the same numbers as the typed one, and differ by one letter or
        by two swapped letters: first those of as many words.
        """
        letters = typed.replace("-", "")
        if len(letters) < _LEAST_LETTERS_OF_SLIP:
            return []
        numbers = _numbers_in(typed)
        slips = []
        for key in self._keys_by_numbers.get(numbers, ()):
            known = key.replace("-", "")
            difference = len(known) - len(letters)
            if abs(difference) <= 1 and is_slip(known, letters):
                slips.append(self._by_key[key])
        # a slip seldom joins or parts words: `qwen3-8c` means qwen3-8b before qwen3.8
        hyphens = typed.count("-")

        def place(name: str) -> tuple[bool, str]:
            return canonical(name).count("-") != hyphens, name

        return sorted(slips, key=place)

    def longer_than(self, typed: str) -> list[str]:
        """The ids that begin with the words of the typed name."""
        start = f"{typed}-"
        ids = []
        for id, key in self._keys_of_ids.items():
            if key.startswith(start):
                ids.append(id)
        return ids

    def of_family(self, typed: str) -> list[str]:
        """The ids that begin with the typed name, or belong to a family of that name, the newest
        first.
        """
        outlines = self.catalogue.outlines
        ids = self.longer_than(typed)
        for outline in outlines.values():
            if canonical(outline.family or "") == typed:
                ids.append(outline.id)
        ids.sort(key=lambda id: outlines[id].released or "", reverse=True)
        return ids

    def alike(self, typed: str) -> list[str]:
        """The names that are most similar to a typed one, by difflib's measure. `typed` is the name
        as it was typed.

        First come those that differ in the size alone, the nearest size first, then those with the
        same two letters at the start, then those with the same numbers.
        """
        from difflib import get_close_matches  # 2 ms, only for unknown names

        key = canonical(typed)
        near = get_close_matches(
            key[:MAX_GUESSED_LETTERS],
            list(self._by_key),
            n=4 * _SEARCHED.most_hints,
            cutoff=_SEARCHED.near,
        )
        numbers = _numbers_in(key)
        wanted = _sized(typed)

        def place(known: str) -> tuple[float, bool, bool]:
            name = self._by_key[known]
            return (
                wanted.distance_to(_sized(name)),
                known[:2] != key[:2],
                _numbers_in(known) != numbers,
            )

        near.sort(key=place)
        return [self._by_key[known] for known in near]


_known_names = cache(_KnownNames)


class _SizedName(Record):
    """A name without its size, as `canonical` writes names, and the billions of parameters."""

    line: str
    billions: float

    def distance_to(self, other: _SizedName) -> float:
        """The difference in billions of parameters between two names that differ in their size
        alone; infinity for other names.
        """
        if self.line != other.line:
            return inf
        return abs(self.billions - other.billions)


def _sized(name: str) -> _SizedName:
    """The name and its size; the whole name where it states none."""
    sized = re.fullmatch(_SEARCHED.sized, name)
    if sized is None:
        return _SizedName(line=name, billions=0.0)
    before, billions, behind = sized.groups()
    line = canonical(f"{before}-{behind}")
    return _SizedName(line=line, billions=float(billions))


def _numbers_in(name: str) -> tuple[str, ...]:
    """The whole numbers in a name, in order."""
    return tuple(re.findall(r"\d+", name))


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The known names nearest to a typed one without its account, one for each model: slips, then
    the family's newest models, then similar names.

    The search takes longer than the rest of an answer, so it runs only for an error that is shown.
    """
    known = _known_names(catalogue)
    key = canonical(typed)
    names = [
        *known.slips(key),
        *known.of_family(key),
        *known.alike(typed),
    ]
    name_by_id: dict[str, str] = {}
    for name in names:
        spec_id = id_of(name, catalogue) or name
        name_by_id.setdefault(spec_id, name)
    return tuple(name_by_id.values())[: _SEARCHED.most_hints]
