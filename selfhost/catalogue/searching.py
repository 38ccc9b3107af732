"""What a person typed -> one model, or what to say of a name that no model goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from shlex import quote

from ..core import units
from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import shortened
from ..core.tables import TomlRow, shipped_table
from ..core.templates import fill
from ..core.units import MAX_GUESSED_LETTERS, canonical, is_slip
from . import names as naming
from .index import Catalogue
from .spec_values import Form, splits

# a model's id, a clause on why, and what to type
_Hint = tuple[str, str, str]
_SEARCHED: TomlRow = shipped_table("names")["searched"]


def resolve(typed: str, catalogue: Catalogue) -> naming.Resolution:
    """The model that goes by this name. Raises `NotAModelError` for a tool or service,
    `UnknownModelError` for anything else, with the nearest names.
    """
    if len(typed) > naming.MAX_NAME_LENGTH or not canonical(typed):
        why = "is not a model's name"
        if len(typed) > naming.MAX_NAME_LENGTH:
            why = f"has {len(typed):,} characters, too many for a model's name"
        message = (
            f'"{shortened(typed)}" {why}' if typed.strip() else "no model was named"
        )
        raise UnknownModelError(message, remedy=naming.SEE_NAMES)
    resolution = naming.read(typed, catalogue) or naming.read(
        typed, catalogue, otherwise=True
    )
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
        return resolution.replace(
            notes=(f"{name} is read as {reading}.", *resolution.notes)
        )
    raise _unknown_name(typed, name, catalogue)


def _unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    if len(parts := typed.split(",")) > 1 and all(
        naming.id_of(each, catalogue) for each in parts
    ):
        several = f"put a space between the names: {' '.join(map(quote, parts))}"
        return UnknownModelError(
            f'"{shortened(typed)}" is several models', remedy=several
        )
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
    searched = f"{owner}/{base}" if owner else base
    is_explained = bool(
        _meant_names(searched, catalogue) or _longer_names(searched, catalogue)
    )
    likely_bases = _likely_bases(owner, base, catalogue, is_tune=not is_explained)
    hints = (*_same_name(name, catalogue), *likely_bases)
    if hints:
        id, words, remedy = hints[0]
        options = ""
        if form.quantization is not None and naming.serves(
            form, catalogue.spec(id), catalogue
        ):
            options = f" --runtime {form.runtime}" if form.runtime else ""
            options += f" --quant {form.quantization}"
        plain = f"selfhost check {quote(id)}"
        return UnknownModelError(
            f"{message}: {words}",
            nearest=(id,),
            remedy=fill(remedy, {"plain": plain, "check": f"{plain}{options}"}),
        )
    if error := _thing_error(("line",), typed, names, catalogue):
        return error
    sizes = re.findall(_SEARCHED["billions"], base)
    if len(sizes) == 1:
        size = units.decimal(round(_SEARCHED["q4_k_m_bytes"] * 1e9 * float(sizes[0])))
        message += f": {sizes[0]} billion parameters, as its name says, are about {size} of weights"
        message += " in Q4_K_M"
    return UnknownModelError(
        message,
        nearest=partial(near_names, searched, catalogue),
        remedy=naming.SEE_NAMES,
    )


def _thing_error(
    tables: Sequence[str], typed: str, names: Sequence[str], catalogue: Catalogue
) -> UnknownModelError | None:
    """The error for a name of an entry in these tables of `things.toml`; None for any other."""
    things = catalogue.common("things")
    keys = [canonical(name) for name in names]
    for table in tables:
        about = _things_of(catalogue, table).name_of(keys)
        if about is None:
            continue
        facts = things[table][about]
        values = {"typed": f'"{shortened(typed)}"', "name": about, **facts}
        message, before = (fill(part, values) for part in things["sentence"][table])
        ids = [id for id in facts.get("try_instead", ()) if id in catalogue]
        command = f"{before}selfhost check {quote(ids[0])}" if ids else naming.SEE_NAMES
        if table == "thing":
            return NotAModelError(
                message, kind=facts["kind"], nearest=ids, remedy=command
            )
        remedy = f"{command}\n{naming.SEE_NAMES}" if ids else command
        near = partial(near_names, names[0], catalogue) if table == "hosted" else ()
        return UnknownModelError(message, nearest=near, remedy=remedy)
    return None


class _Things:
    """The entries of one table of `things.toml`, ready to be found by a name."""

    def __init__(self, table: str, entries: Mapping[str, TomlRow]) -> None:
        self._is_hosted = table == "hosted"
        # any of the names that a person may have meant is such an entry's
        self._by_alias: dict[str, str] = {}
        # the first of these names is such an entry's
        self._by_whole_name: dict[str, str] = {}
        # expressions of beginnings, by their first letter
        self._beginnings: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        self._places = {about: place for place, about in enumerate(entries)}
        for about, facts in entries.items():
            if table == "thing":
                for name in (about, *facts["aliases"]):
                    self._by_alias.setdefault(canonical(name), about)
                continue
            for name in facts.get("whole", ()):
                self._by_whole_name.setdefault(canonical(name), about)
            for start in facts.get("names", ()):
                parts = [re.escape(canonical(part)) for part in start.split("*")]
                begun = re.compile(rf"{'.+'.join(parts)}(?![a-z])")
                self._beginnings.setdefault(parts[0][:1], []).append((begun, about))

    def name_of(self, keys: Sequence[str]) -> str | None:
        """The first entry that goes by one of these names, as `canonical` writes them."""
        found = [self._by_alias[key] for key in keys if key in self._by_alias]
        key = keys[0]
        # a tune that is named for a hosted model states its size
        is_tune = self._is_hosted and (naming.sizes_in(key) or key.endswith("-distill"))
        if not is_tune:
            if key in self._by_whole_name:
                found.append(self._by_whole_name[key])
            # a beginning that is a wildcard has no first letter
            beginnings = self._beginnings.get(key[:1], []) + self._beginnings.get(
                "", []
            )
            found += [about for begun, about in beginnings if begun.match(key)]
        return min(found, key=self._places.__getitem__, default=None)


@cache
def _things_of(catalogue: Catalogue, table: str) -> _Things:
    return _Things(table, catalogue.common("things").get(table, {}))


def _same_name(name: str, catalogue: Catalogue) -> Iterator[_Hint]:
    """A known model in files whose size is not known, or in an account that may hold others."""
    owner, _, rest = name.rpartition("/")
    typed = re.fullmatch(_SEARCHED["quantized"], rest)
    if typed is not None and (id := naming.id_of(typed[1], catalogue)):
        remedy = f"`selfhost show {quote(id)} -v` lists what there is"
        yield id, f"{typed[2]} is not a known quantization", remedy
    for match, form in islice(naming.matches(name, catalogue), 1):
        if form is not None:
            words = f"its name says that it holds {match.spec_id} in another format"
            words += f" ({form.written}), whose size is not known"
            yield match.spec_id, words, "for the known formats: {plain}"
    for match, _ in islice(naming.matches(rest, catalogue), 1) if owner else ():
        words = (
            f'this repository of "{shortened(owner)}" may hold other '
            f"weights than {match.spec_id}"
        )
        yield match.spec_id, words, "if it holds the same weights: {check}"


class _Alike:
    """The repositories of `alike.toml`, each with the model whose layers it has."""

    def __init__(self, catalogue: Catalogue) -> None:
        # each model with the name of a repository that has its layers
        self._entries: list[tuple[str, str]] = []
        self._place_by_key: dict[str, int] = {}
        self._places_by_word: dict[str, set[int]] = {}
        for id, names in (catalogue.common("alike").get("alike") or {}).items():
            for name in names:
                key = canonical(name.rpartition("/")[2])
                # a word without a number names many repositories: only its account's is meant
                place = len(self._entries)
                self._entries.append((id, name))
                self._place_by_key[
                    key if re.search(r"\d", key) else canonical(name)
                ] = place
                for word in set(key.split("-")):
                    self._places_by_word.setdefault(word, set()).add(place)
        # the name of a line of tunes stands in the names of listed models
        self.words_of_models = {
            word for id in catalogue.outlines for word in canonical(id).split("-")
        }

    def id_of(self, keys: Iterable[str]) -> str | None:
        """The model of the last entry that goes by one of these names."""
        places = [self._place_by_key[key] for key in keys if key in self._place_by_key]
        return self._entries[max(places)][0] if places else None

    def names_by_id(self, words: Iterable[str]) -> dict[str, str]:
        """By model the last repository whose name holds all of these words."""
        places = [self._places_by_word.get(word, set()) for word in set(words)]
        common = set.intersection(*places) if places else set()
        return dict(self._entries[place] for place in sorted(common))


@cache
def _alike_of(catalogue: Catalogue) -> _Alike:
    return _Alike(catalogue)


def _likely_bases(
    owner: str, base: str, catalogue: Catalogue, *, is_tune: bool
) -> Iterator[_Hint]:
    """Models whose layers it may have: that of the list, and of a tune the one in its name."""
    plain = canonical(base).removesuffix("-gguf").removesuffix("-i-1")
    keys = (plain, canonical(base.partition("_")[2]), canonical(f"{owner}/{plain}"))
    alike = _alike_of(catalogue)
    layers_of = alike.id_of(keys)
    if layers_of is not None:
        yield (
            layers_of,
            f"it has the layers of {layers_of}, so it needs as much",
            "{check}",
        )
    if not is_tune:
        return
    parts = plain.split("-")[: _SEARCHED["most_words"]]
    inside = _named_inside(parts, catalogue)
    if inside is not None:
        yield (
            inside,
            f"if it is made from {inside}, as its name says, it needs as much",
            "{check}",
        )
    lines = alike.names_by_id(parts)
    if len(lines) == 1 and any(
        len(word) > 3 for word in set(parts) - alike.words_of_models
    ):
        id, name = lines.popitem()
        yield id, f"{name} has the layers of {id}", "{check}"


def _named_inside(words: list[str], catalogue: Catalogue) -> str | None:
    """The open model whose name stands in that of its tune: `qwen3-abliterated:8b`."""
    count = len(words)
    runs = [
        (start, start + long)
        for long in range(count - 1, 2, -1)
        for start in range(count)
    ]
    names = [
        (words[start:end], words[:start] + words[end:])
        for start, end in runs
        if end <= count
    ]
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


# names of one model among which the one that was meant is looked for: a user's spec may have 10,000
_MOST_ALIASES = 50


class _KnownNames:
    """All names of a catalogue's models and families, ready to be searched for the one meant."""

    def __init__(self, catalogue: Catalogue) -> None:
        families = catalogue.common_tables("families", "family").values()
        names = (*catalogue.spellings(_MOST_ALIASES), *dict(families))
        # of one model its tag of Ollama, which sorts after its id
        self.written = {canonical(name): name for name in names}
        self.ids = {id: canonical(id) for id in catalogue.outlines}
        # without what separates words
        self._letters_by_length: dict[int, list[tuple[str, str]]] = {}
        # by the name without its number of billions: the number, and the name
        self._sizes: dict[str, list[tuple[float, str]]] = {}
        for key, name in self.written.items():
            letters = key.replace("-", "")
            self._letters_by_length.setdefault(len(letters), []).append((letters, name))
            if sized := re.fullmatch(_SEARCHED["sized"], name):
                line = self._sizes.setdefault(canonical(f"{sized[1]}-{sized[3]}"), [])
                line.append((float(sized[2]), name))

    def slips_of(self, letters: str) -> list[str]:
        """The names from which these letters differ in one letter, or in two swapped ones."""
        if len(letters) <= 3:
            return []
        return [
            name
            for length in (len(letters) - 1, len(letters), len(letters) + 1)
            for known, name in self._letters_by_length.get(length, ())
            # one slip leaves the first letter or the last
            if (known[:1] == letters[:1] or known[-1:] == letters[-1:])
            and is_slip(known, letters)
        ]

    def other_sizes(self, typed: str) -> list[str]:
        """Those that differ from it in the number of parameters alone, the nearest first."""
        sized = re.fullmatch(_SEARCHED["sized"], typed)
        if sized is None:
            return []
        line = self._sizes.get(canonical(f"{sized[1]}-{sized[3]}"), [])
        apart = {name: abs(float(sized[2]) - size) for size, name in line}
        return sorted(apart, key=lambda name: (apart[name], name))


@cache
def _known_names(catalogue: Catalogue) -> _KnownNames:
    return _KnownNames(catalogue)


def _meant_names(typed: str, catalogue: Catalogue) -> list[str]:
    """Names from which the typed one differs by a slip with its numbers right, else other sizes."""
    known = _known_names(catalogue)
    name = typed.rpartition("/")[2]
    numbers = re.findall(r"\d+", name)
    slips = known.slips_of(canonical(name).replace("-", ""))
    meant = sorted(slip for slip in slips if re.findall(r"\d+", slip) == numbers)
    return meant or known.other_sizes(typed)


def _longer_names(typed: str, catalogue: Catalogue) -> list[str]:
    """The ids that begin with the words of the typed name."""
    start = f"{canonical(typed.rpartition('/')[2])}-"
    return [
        id for id, key in _known_names(catalogue).ids.items() if key.startswith(start)
    ]


def near_names(typed: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Known names, one a model: slips, else other sizes, the family's newest, the most alike. They
    take longer to find than all else of an answer (6 ms), so only one that is shown is asked for.
    """
    from difflib import get_close_matches

    known, name = _known_names(catalogue), typed.rpartition("/")[2]
    key, numbers = canonical(name), re.findall(r"\d+", name)
    outlines = catalogue.outlines
    family = _longer_names(typed, catalogue)
    family += [
        id for id, outline in outlines.items() if canonical(outline.family or "") == key
    ]
    family.sort(key=lambda id: outlines[id].released or "", reverse=True)
    begin, most = key[:MAX_GUESSED_LETTERS], 4 * _SEARCHED["most_hints"]
    near = get_close_matches(begin, known.written, n=most, cutoff=_SEARCHED["near"])
    near.sort(
        key=lambda like: (like[:2] != key[:2], re.findall(r"\d+", like) != numbers)
    )
    alike = [
        id for like in near if (id := naming.id_of(known.written[like], catalogue))
    ]
    name_by_id: dict[str, str] = {}
    for candidate in (*_meant_names(typed, catalogue), *family, *alike):
        name_by_id.setdefault(
            naming.id_of(candidate, catalogue) or candidate, candidate
        )
    return tuple(name_by_id.values())[: _SEARCHED["most_hints"]]
