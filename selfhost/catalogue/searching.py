"""From what a person typed to one model, or to what to say of a name that no model goes by.

`resolve` returns a `names.Resolution` or raises. The error for an unknown name tells, in this
order: that several models were typed; what a tool, a hosted model or another thing is; the model
whose weights the name most likely stands for; the size that follows from the number in the name;
and always the nearest known names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, partial
from shlex import quote
from typing import NamedTuple

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import Stated, shortened
from ..core.tables import unchecked_record
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from .forms import Form, SplitName, splits
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

_Words = list[str]

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
    resolution = read(typed, catalogue)
    if resolution is None:
        resolution = read(typed, catalogue, indirectly=True)
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
    for part in parts:
        if id_of(part, catalogue) is None:
            return
    message = f'"{shortened(typed)}" is several models'
    spaced = " ".join(map(quote, parts))
    remedy = f"put a space between the names: {spaced}"
    raise UnknownModelError(message, remedy=remedy)


def _with_words_joined(name: str, catalogue: Catalogue) -> str | None:
    """The name with two of its words as one, where that is a single model: `tiny llama`."""
    name_by_id = {}
    for joint in re.finditer(r"(?i)\b[a-z]+([ -])(?=[a-z])", name):
        first = name[: joint.start(1)]
        rest = name[joint.end() :]
        spec_id = id_of(first + rest, catalogue)
        if spec_id is not None:
            name_by_id[spec_id] = first + rest
    if len(name_by_id) != 1:
        return None
    _, joined = name_by_id.popitem()
    return joined


class _Hint(NamedTuple):
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

    def __init__(
        self,
        typed: str,
        name: str,
        catalogue: Catalogue,
    ) -> None:
        self.catalogue = catalogue
        # as a message has it
        self.quoted = f'"{shortened(typed)}"'
        self.name = name.removesuffix(":latest")
        self.owner, _, self.last_part = self.name.rpartition("/")
        split = SplitName(self.owner, self.last_part, None)
        for shorter in splits(self.name):
            # the last is without all words for a form
            split = shorter
        self.base = split.base
        self.form = split.form or Form()
        # the base without what converters write behind it
        key = canonical(self.base).removesuffix("-gguf")
        self.key = key.removesuffix("-i-1")
        # what known names are compared with
        self.searched = split.with_owner

    def error(self) -> UnknownModelError:
        """The error that says most of the name."""
        for table in ("thing", "uncovered", "hosted"):
            error = self._thing_error(table)
            if error is not None:
                return error
        hint = self._hint()
        if hint is not None:
            plain = f"selfhost check {quote(hint.spec_id)}"
            with_options = plain + self._options(hint.spec_id)
            return UnknownModelError(
                f"{self._not_in_catalogue()}: {hint.why}",
                nearest=(hint.spec_id,),
                remedy=fill(hint.remedy, {"plain": plain, "check": with_options}),
            )
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
        if not faults:
            return message
        files = list(dict.fromkeys(fault.file for fault in faults))
        listed = ", ".join(files[: _SEARCHED.most_files])
        return f"{message}; faulty files of yours were ignored: {listed}"

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

    def _options(self, spec_id: str) -> str:
        """The options of `check` for that model in the form that the name states."""
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

    # tools, services and other names that are no model's

    def _thing_error(self, table: str) -> UnknownModelError | None:
        """The error for a name of an entry in a table of `things.toml`; None for any other."""
        thing = self._thing() if table == "thing" else self._line(table)
        if thing is None:
            return None
        catalogue = self.catalogue
        figures = thing.__getstate__()
        figures["typed"] = self.quoted
        sentences = catalogue.rows(_ThingSentence, "things", "sentence")
        sentence = sentences[table]
        message = fill(sentence.message, figures)
        instead = [id for id in thing.try_instead if id in catalogue]
        remedy = SEE_NAMES
        if instead:
            before = fill(sentence.before_command, figures)
            remedy = f"{before}selfhost check {quote(instead[0])}"
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

    def _thing(self) -> _Thing | None:
        """The tool, service or file that has the name as its title or alias."""
        things = self.catalogue.common_tables("things", "thing")
        for name in (self.last_part, self.name, self.base):
            row = things.get(canonical(name))
            if row is not None:
                return unchecked_record(_Thing, row)
        return None

    def _line(self, table: str) -> _Thing | None:
        """The first row of a table of which one name begins as the typed one."""
        key = canonical(self.last_part)
        # a line that is only hosted has no tunes and tells no size
        is_another = key.endswith("-distill") or sizes_in(key)
        if is_another and table == "hosted":
            return None
        for thing in _things_of(self.catalogue, table):
            if thing.begins(key):
                return thing
        return None

    # models whose weights the name may stand for

    def _hint(self) -> _Hint | None:
        """The likeliest model that the name may stand for."""
        return (
            self._in_unknown_quantization()
            or self._in_another_format()
            or self._same_name()
            or self._same_layers()
            or self._made_from()
        )

    def _in_unknown_quantization(self) -> _Hint | None:
        """A known model in a type that nobody knows."""
        typed = re.fullmatch(_SEARCHED.quantized, self.last_part)
        if typed is None:
            return None
        name, quantization = typed.groups()
        spec_id = id_of(name, self.catalogue)
        if spec_id is None:
            return None
        return _Hint(
            spec_id,
            f"{quantization} is not a known quantization",
            f"`selfhost show {quote(spec_id)} -v` lists what there is",
        )

    def _in_another_format(self) -> _Hint | None:
        """A known model in files whose size is not known."""
        match = next(matches(self.name, self.catalogue), None)
        if match is None or match.form is None:
            return None
        spec_id = match.resolution.spec_id
        holds = f"its name says that it holds {spec_id} in another format"
        return _Hint(
            spec_id,
            f"{holds} ({match.form.written}), whose size is not known",
            "for the known formats: {plain}",
        )

    def _same_name(self) -> _Hint | None:
        """A known model in an account that may hold other weights."""
        match = next(matches(self.last_part, self.catalogue), None)
        if match is None or not self.owner:
            return None
        spec_id = match.resolution.spec_id
        repository = f'this repository of "{shortened(self.owner)}"'
        return _Hint(
            spec_id,
            f"{repository} may hold other weights than {spec_id}",
            "if it holds the same weights: {check}",
        )

    def _same_layers(self) -> _Hint | None:
        """The model whose layers the repository has, as `alike.toml` says."""
        behind_account = self.base.partition("_")[2]
        with_owner = f"{self.owner}/{self.key}"
        keys = (self.key, canonical(behind_account), canonical(with_owner))
        for repository in _repositories_alike(self.catalogue):
            if repository.key in keys:
                spec_id = repository.spec_id
                why = f"it has the layers of {spec_id}, so it needs as much"
                return _Hint(spec_id, why)
        return None

    def _made_from(self) -> _Hint | None:
        """The model that is named in the name of its tune, or whose layers the tunes of that line
        have.
        """
        known = _known_names(self.catalogue)
        name = _last_part_of(self.searched)
        if known.meant_by(name) or known.longer_than(name):
            # a slip or a shortened name explains the name better than a tune does
            return None
        words = self.key.split("-")
        words = words[: _SEARCHED.most_words]
        spec_id = _named_inside(words, self.catalogue)
        if spec_id is not None:
            why = f"if it is made from {spec_id}, as its name says, it needs as much"
            return _Hint(spec_id, why)
        # the name of a line of tunes stands in the names of listed models
        lines = set(words) - known.words_of_ids
        longest = max(map(len, lines), default=0)
        if longest <= 3:
            return None
        return self._layers_of_line(words)

    def _layers_of_line(self, words: _Words) -> _Hint | None:
        """The one model whose layers all repositories have that are named with these words."""
        name_by_id: dict[str, str] = {}
        for repository in _repositories_alike(self.catalogue):
            if repository.words.issuperset(words):
                name_by_id.setdefault(repository.spec_id, repository.name)
        if len(name_by_id) != 1:
            return None
        spec_id, name = name_by_id.popitem()
        why = f"{name} has the layers of {spec_id}"
        return _Hint(spec_id, why)


class _Thing(Stated):
    """A row of specs/common/things.toml. One of the table `thing` has `aliases` and a `kind`;
    `names` are beginnings of names, `whole` names as they are. `try_instead`: ids of models.
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
        """Whether a name, as `canonical` writes it, begins with one of `names` or is one of
        `whole`.
        """
        return self._beginnings.match(key) is not None

    @cached_property
    def _beginnings(self) -> re.Pattern[str]:
        forms = [f"{_form_of(name)}$" for name in self.whole]
        forms += map(_form_of, self.names)
        any_of_them = "|".join(forms)
        return re.compile(f"(?:{any_of_them})(?![a-z])")


class _ThingSentence(Stated):
    """What is said of the names in one table of things.toml. `before_command`: what stands in front
    of the command for another model.
    """

    message: str
    before_command: str = ""


def _form_of(name: str) -> str:
    """The expression of a name of a row, in which `*` stands for any letters."""
    parts = [canonical(part) for part in name.split("*")]
    return ".+".join(map(re.escape, parts))


@cache
def _things_of(catalogue: Catalogue, table: str) -> Sequence[_Thing]:
    rows = catalogue.common_tables("things", table)
    return [unchecked_record(_Thing, row) for row in rows.values()]


class _Repository:
    """A repository of `alike.toml`, and the model whose layers it has."""

    def __init__(self, spec_id: str, name: str) -> None:
        self.spec_id = spec_id
        self.name = name
        _, _, last_part = name.rpartition("/")
        self.key = canonical(last_part)
        self.words = frozenset(self.key.split("-"))
        if not _numbers_in(self.key):
            # many accounts have a repository called by words alone: that of this account is meant
            self.key = canonical(name)


@cache
def _repositories_alike(catalogue: Catalogue) -> Sequence[_Repository]:
    """The repositories of `alike.toml`, the last first."""
    alike = catalogue.section("alike", "alike")
    repositories = []
    for spec_id, names in alike.items():
        for name in names:
            repositories.append(_Repository(spec_id, name))
    repositories.reverse()
    return repositories


def _named_inside(words: _Words, catalogue: Catalogue) -> str | None:
    """The open model whose name stands in that of its tune, in words that follow one another or, as
    in `qwen3-abliterated:8b`, with the size apart. The words left out must state no other size.
    """
    for inside, others in _parts_of(words):
        name = "-".join(inside)
        # an alias or a short id may be the name of a family
        kinds = ["ids"]
        if sizes_in(name):
            kinds = ["whole", "aliases"]
        try:
            spec_id = catalogue.id_named(name, *kinds)
        except UnknownModelError:
            continue
        if spec_id is None or catalogue.outlines[spec_id].closed:
            continue
        around = "-".join(others)
        if not sizes_in(around):
            return spec_id
    return None


def _parts_of(words: _Words) -> Iterator[tuple[_Words, _Words]]:
    """The parts of a name that may be another model's name, each with the words that it leaves out.

    First each run of three or more words, the longest first. Then, of a name that ends in a size,
    each beginning together with that size: `qwen-3-abliterated-8-b` gives `qwen-3-8-b`.
    """
    count = len(words)
    for length in range(count - 1, 2, -1):
        for start in range(count - length + 1):
            end = start + length
            yield words[start:end], words[:start] + words[end:]
    if words[-1:] != ["b"]:
        return
    # `8-b`: two words
    size = words[-2:]
    for end in range(count - 3, 0, -1):
        yield words[:end] + size, words[end:-2]


# the nearest known names


class _Size(NamedTuple):
    """The number of billions in a name; `line` is the name without it, as `canonical` writes it."""

    line: str
    billions: float


class _ComparedName:
    """A name that is compared with others: as it is written, and as `canonical` writes it.

    `searched`: the whole of which the name is the last part; its size is that of this whole.
    """

    def __init__(self, name: str, searched: str | None = None) -> None:
        self.name = name
        self.key = canonical(name)
        self.letters = self.key.replace("-", "")
        self._searched = searched or name

    @cached_property
    def numbers(self) -> list[str]:
        """Those in the name, from left to right."""
        return _numbers_in(self.name)

    @cached_property
    def size(self) -> _Size | None:
        """The billions that the name states; None where it states none."""
        sized = re.fullmatch(_SEARCHED.sized, self._searched)
        if sized is None:
            return None
        before, billions, behind = sized.groups()
        return _Size(canonical(f"{before}-{behind}"), float(billions))

    def is_slip_of(self, known: _ComparedName) -> bool:
        """Whether the names have other letters by one, or by two that are swapped, and the same
        numbers.
        """
        typed = self.letters
        letters = known.letters
        if abs(len(letters) - len(typed)) > 1:
            return False
        # one slip leaves the first or the last letter
        is_first_right = letters[:1] == typed[:1]
        is_last_right = letters[-1:] == typed[-1:]
        if not (is_first_right or is_last_right):
            return False
        return is_slip(letters, typed) and known.numbers == self.numbers


class _KnownNames:
    """All names of a catalogue's models and families, ready to be searched for the one meant."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        names = list(catalogue.spellings(_MOST_ALIASES))
        names += catalogue.section("families", "family")
        # of one model its tag of Ollama, which sorts after its id
        self._by_key = {}
        for name in map(_ComparedName, names):
            self._by_key[name.key] = name
        self._keys_of_ids = {id: canonical(id) for id in catalogue.outlines}

    @cached_property
    def words_of_ids(self) -> frozenset[str]:
        """Every word of the ids."""
        joined = "-".join(self._keys_of_ids.values())
        return frozenset(joined.split("-"))

    def meant_by(self, typed: _ComparedName) -> list[str]:
        """Names from which the typed one differs by a slip with its numbers right, else other
        sizes.
        """
        meant = []
        if len(typed.letters) >= _LEAST_LETTERS_OF_SLIP:
            known = filter(typed.is_slip_of, self._by_key.values())
            meant = sorted(name.name for name in known)
        return meant or self._other_sizes(typed)

    def _other_sizes(self, typed: _ComparedName) -> list[str]:
        """Those that differ from it in the number of parameters alone, the nearest first."""
        wanted = typed.size
        if wanted is None:
            return []
        distances = {}
        for known in self._by_key.values():
            size = known.size
            if size is not None and size.line == wanted.line:
                distances[known.name] = abs(size.billions - wanted.billions)
        names = sorted(distances)
        names.sort(key=distances.__getitem__)
        return names

    def longer_than(self, typed: _ComparedName) -> list[str]:
        """The ids that begin with the words of the typed name."""
        longer = []
        for id, key in self._keys_of_ids.items():
            if key.startswith(f"{typed.key}-"):
                longer.append(id)
        return longer

    def of_family(self, typed: _ComparedName) -> list[str]:
        """The ids that begin with the typed name, or are of a family of that name; newest first."""
        outlines = self.catalogue.outlines
        ids = self.longer_than(typed)
        for outline in outlines.values():
            if canonical(outline.family or "") == typed.key:
                ids.append(outline.id)
        ids.sort(key=lambda id: outlines[id].released or "", reverse=True)
        return ids

    def alike(self, typed: _ComparedName) -> list[str]:
        """The models whose names share most letters with the typed one, as difflib counts it."""
        from difflib import get_close_matches  # 2 ms, for unknown names alone

        near = get_close_matches(
            typed.key[:MAX_GUESSED_LETTERS],
            self._by_key,
            n=4 * _SEARCHED.most_hints,
            cutoff=_SEARCHED.near,
        )
        # those with the same numbers first, and before them those that begin the same
        near.sort(key=lambda like: _numbers_in(like) != typed.numbers)
        near.sort(key=lambda like: like[:2] != typed.key[:2])
        names = [self._by_key[key].name for key in near]
        ids = [id_of(name, self.catalogue) for name in names]
        return list(filter(None, ids))


_known_names = cache(_KnownNames)


def _last_part_of(typed: str) -> _ComparedName:
    """The last part of a typed name, which is compared with known names."""
    _, _, last_part = typed.rpartition("/")
    return _ComparedName(last_part, typed)


def _numbers_in(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Known names, one a model: slips, else other sizes, the family's newest, the most alike.

    They take longer to find than all else of an answer (6 ms), so only one that is shown is
    asked for.
    """
    known = _known_names(catalogue)
    searched = _last_part_of(typed)
    names = known.meant_by(searched)
    names += known.of_family(searched)
    names += known.alike(searched)
    name_by_id: dict[str, str] = {}
    for name in names:
        spec_id = id_of(name, catalogue) or name
        name_by_id.setdefault(spec_id, name)
    return tuple(name_by_id.values())[: _SEARCHED.most_hints]
