"""The model that a name means, with the quantization and the program that the name states.

What goes in: a name as a person typed or pasted it, and the catalogue. What comes out: a
`Resolution`, or None for a name that no model has (`searching.py` then makes the error).

`read` looks a name up as it is, then without the words for the form of its files at the end
(`forms.splits`). `read_in_any_way` then also tries the name of a base model from which a known
model was tuned, a name with the maker in front, a name in another script, a name with a space too
many, or the beginning of an id. Digits are never corrected. A note tells the user which part was
read as something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ..core.errors import SelfhostError, UnknownModelError
from ..core.records import Stated
from ..core.tables import expression, sentences, unchecked_record
from ..core.units import canonical
from .forms import FILE_ENDINGS, SplitName, splits
from .index import Catalogue, Outline
from .name_table import NAME_TABLE
from .named_files import NameMatch, Resolution, last_part_of, with_files
from .spec_values import account_of

if TYPE_CHECKING:
    from .spec import ModelSpec

# the longest repository id of Hugging Face has 193 characters, the address of a file in it a few
# dozen more
MAX_NAME_LENGTH = 400
_MOST_OTHERS = 3
_WEIGHTS_ENDINGS = (".gguf", ".safetensors")
_FILE_ENDINGS = (*_WEIGHTS_ENDINGS, ".json", ".toml")
# the tag that Ollama uses if none is typed
_LATEST = ":latest"
_QUOTES = " \t\n\"'`,;"
# accounts of other people's models, unchanged under the original's name
CONVERTERS = frozenset(NAME_TABLE.converters)
SEE_NAMES = NAME_TABLE.see_names


# a way to read a name without the form of its files; None: no model has the name
_Reading = Callable[[SplitName, Catalogue], Resolution | None]


class Family(Stated):
    """A row of `[family]` in specs/common/families.toml: the meaning of a family's bare name.

    - `name`: empty where no family has the name.
    - `ollama`: the model that Ollama loads by the name, where that is another one.
    - `note`: told in place of the sentence on families.
    """

    name: str = ""
    model: str = ""
    others: tuple[str, ...] = ()
    why: str | None = None
    ollama: str | None = None
    note: str | None = None
    aliases: tuple[str, ...] = ()

    def resolution(self, key: str, catalogue: Catalogue) -> Resolution | None:
        """The resolution to the family's model; None where it has no spec. `key`: the typed name as
        `canonical` writes it.
        """
        if self.model not in catalogue:
            return None
        notes = self._notes(key, catalogue)
        return Resolution(spec_id=self.model, notes=notes)

    def _notes(self, key: str, catalogue: Catalogue) -> tuple[str, ...]:
        """The sentences on the name: that it is a family's, which model Ollama loads by it, and
        which others there are.
        """
        others = []
        for id in self.others:
            if id in catalogue and id != self.model:
                others.append(id)
        loaded = self.ollama or self.model
        is_full_name = key == canonical(self.model)
        holds = {
            "note": self.note,
            # a full name needs no explanation
            "family": self.note is None and not is_full_name,
            "tag": self.ollama,
            "others": others,
        }
        return sentences(
            "families",
            "sentence",
            holds,
            note=self.note,
            family=self.name,
            model=self.model,
            why=self.why,
            ollama=self.ollama,
            is_missing=loaded not in catalogue,
            others=others[:_MOST_OTHERS],
            more=max(0, len(others) - _MOST_OTHERS),
        )


class LibraryTag(Stated):
    """A row of `[tag]` in specs/common/families.toml: a tag by which Ollama loads another model
    than the name means elsewhere.

    `name` is empty where no tag has the name.
    """

    name: str = ""
    loads: str = ""
    others: tuple[str, ...] = ()


def _family(key: str, catalogue: Catalogue) -> Family:
    """The family with that name, as `canonical` writes it."""
    families = catalogue.common_tables("families", "family")
    row = families.get(key, {})
    return unchecked_record(Family, row)


def _library_tag(key: str, catalogue: Catalogue) -> LibraryTag:
    """The tag of Ollama's library with that name, as `canonical` writes it."""
    tags = catalogue.common_tables("families", "tag")
    row = tags.get(key, {})
    return unchecked_record(LibraryTag, row)


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model with this name; None where not exactly one model has it."""
    try:
        resolution = read(name, catalogue)
    except SelfhostError:
        return None
    if resolution is None:
        return None
    return resolution.spec_id


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The ids and aliases that begin with a prefix, ignoring case and separators, for shell
    completion.
    """
    start = canonical(prefix)
    if prefix and not start:
        return ()
    fitting = []
    for name in catalogue.spellings():
        if canonical(name).startswith(start):
            fitting.append(name)
    return tuple(fitting)


def typed_library_tag(
    typed: str,
    spec: ModelSpec,
    catalogue: Catalogue,
) -> str | None:
    """The typed tag of a model as Ollama's library writes it; None for any other name."""
    if ":" not in typed:
        return None
    key = canonical(bare_name(typed))
    names = list(spec.aliases)
    tag = _library_tag(key, catalogue)
    if tag.loads == spec.id:
        names.append(tag.name)
    for name in names:
        if ":" in name and canonical(name) == key:
            return name
    return None


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m. The
    number of a version right before belongs to it: 3-8-b of qwen3-8b.
    """
    pattern = expression("names", "size")
    return set(pattern.findall(canonical(name)))


class NameOnly(str):
    """A name of a model that is never read as a path, whatever lies at such a path here: the name
    comes from somebody who may not look at the files of this machine.
    """


# unwrapping a name from commands, addresses and quotes


def name_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    on_one_line = " ".join(typed.split())
    match = expression("names", "command").fullmatch(on_one_line)
    if match is None:
        return None
    name: str = match["name"]
    return name.strip(_QUOTES)


def bare_name(typed: str) -> str:
    """The name in a command line or in quotes; a name of Ollama's library as it stands there."""
    name = typed.strip(_QUOTES)
    if " " in name:
        name = name_in_command(name) or name
    return name.removeprefix("library/")


# cached: a name is unwrapped once for each way to read it
@lru_cache(maxsize=1024)
def unwrap(typed: str) -> str:
    """A name without quotes, command, address, gateway and folder of a cache.

    A name of Ollama's library gets a tag. A file in a repository becomes that repository with the
    quantization of the file: `OWNER/NAME:Q4_K_M`.
    """
    name = typed.strip(_QUOTES)
    for form, replacement in NAME_TABLE.rewritten.items():
        pattern = NAME_TABLE.expressions.get(form, form)
        name = re.sub(pattern, replacement, name)
        name = name.strip(_QUOTES)
    return name


def latin_spelling(typed: str, catalogue: Catalogue) -> str | None:
    """A name with each family's name in Latin letters: `千问3` is `qwen3`.

    None for a name in ASCII, and where letters of another script are left.
    """
    if typed.isascii():
        return None
    from unicodedata import normalize  # few names need it

    latin_of: dict[str, str] = {}
    for latin, spellings in catalogue.section("families", "spelled").items():
        for spelling in spellings:
            latin_of[spelling] = latin
    text = normalize("NFKC", typed)
    text = text.lower()
    # the longest spelling first: 通义千问 contains 千问
    for spelling in sorted(latin_of, key=len, reverse=True):
        text = text.replace(spelling, latin_of[spelling])
    return text if text.isascii() else None


def is_path(typed: str) -> bool:
    """True if the string names a file or folder rather than a model.

    The bare name of a file of weights is a model's where no such file lies here.
    """
    if isinstance(typed, NameOnly):
        return False
    is_bare = is_bare_weights(typed) or is_file_of_repository(typed)
    has_folder = typed == "." or "/" in typed or os.sep in typed
    if (is_bare or has_folder) and os.path.exists(typed):
        return True
    if is_bare or "://" in typed or not typed.lower().endswith(_FILE_ENDINGS):
        return False
    host = expression("names", "host")
    return host.match(typed.strip()) is None


def is_file_of_repository(name: str) -> bool:
    """True for the name of a GGUF file behind a known account or a repository of such files:
    `unsloth/Foo-7B-Q4_K_M.gguf`, `owner/Foo-7B-GGUF/Foo-7B-Q4_K_M.gguf`, or with a colon in place
    of the last slash.
    """
    account, _, file = name.partition("/")
    if not file.lower().endswith(".gguf"):
        return False
    if account.lower() in CONVERTERS:
        return True
    repository = expression("names", "gguf_repository")
    folder = name.rpartition("/")[0]
    # the repository, which may have the name of the file behind a colon
    return any(map(repository.fullmatch, (folder, name)))


def is_bare_weights(name: str) -> bool:
    """True for the name of a file of weights without a folder in front."""
    if "/" in name or "\\" in name:
        return False
    return name.lower().endswith(_WEIGHTS_ENDINGS)


# reading a name as a model


def read(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a name, a line, an address, a repository or a file, looked up as it stands, then
    without the words for the form of its files.
    """
    if not _may_be_name(typed):
        return None
    is_file = typed.lower().endswith(FILE_ENDINGS)
    # a name of only letters, digits and `-._` is no command line, no address and no repository
    is_plain = re.sub("[-._]", "", typed).isalnum()
    if is_plain and not is_file:
        # most names are plain, and the expressions below take 30 ms to compile
        named = model_named(typed, catalogue)
        if named is not None:
            return named
    name = unwrap(typed)
    # an Ollama tag whose size lacks the unit
    if re.fullmatch(r"[^/:\s]+:\d{1,3}(?:\.\d)?", name):
        longer = read(f"{name}b", catalogue)
        if longer is not None:
            return longer.with_note(f"{name} is read as {name}b.")
    return _found(typed, name, catalogue, (_literal,))


def read_in_any_way(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a name as `read` finds it, else as `_read_indirectly` does; then the model of
    the name in Latin letters.
    """
    if not _may_be_name(typed):
        return None
    resolution = read(typed, catalogue)
    if resolution is None:
        resolution = _read_indirectly(typed, catalogue)
    if resolution is not None:
        return _with_note_on_file(resolution, typed, catalogue)
    name = unwrap(typed)
    spelling = latin_spelling(name, catalogue)
    if spelling is None:
        return None
    resolution = read_in_any_way(spelling, catalogue)
    if resolution is None:
        return None
    return resolution.with_note(f"{name} is read as {spelling}.")


def _with_note_on_file(
    resolution: Resolution,
    typed: str,
    catalogue: Catalogue,
) -> Resolution:
    """The resolution of a repository, with a note where the typed file in it has another model's
    name.
    """
    folder, _, file = typed.replace(":", "/").rpartition("/")
    if not folder or not file.lower().endswith(".gguf"):
        return resolution
    of_file = read(file, catalogue)
    if of_file is None or of_file.spec_id == resolution.spec_id:
        return resolution
    return resolution.with_note(
        f"The file has the name of {of_file.spec_id}, but its repository that of "
        f"{resolution.spec_id}, which this answer is for."
    )


def _may_be_name(typed: str) -> bool:
    """Whether the text is short enough for a name, and has a letter or a digit."""
    return len(typed) <= MAX_NAME_LENGTH and canonical(typed) != ""


def _read_indirectly(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model that was tuned from a base model of this name, that has the name without its maker,
    or that has the name with other signs in it, or longer.
    """
    name = unwrap(typed)
    name = name.removesuffix(_LATEST)
    readings = (
        _from_base,
        _by_maker,
        _by_letters,
        _by_beginning,
    )
    resolution = _found(typed, name, catalogue, readings)
    if resolution is None:
        return None
    # the typed repository is not a repository of the model that was found
    return resolution.replace(repository=None)


def _found(
    typed: str,
    name: str,
    catalogue: Catalogue,
    readings: Sequence[_Reading],
) -> Resolution | None:
    """The first match of the unwrapped name whose form of files is usable, with the facts that the
    name states. `names_file` is set for a single word that states a quantization, but no program
    and no repository.
    """
    for match in matches(name, catalogue, readings):
        resolution = with_files(match, name, catalogue)
        if resolution is None:
            continue
        if resolution.quantization is None:
            return resolution
        if resolution.runtime or resolution.repository:
            return resolution
        separator = re.search(r"[\s@/\\]", bare_name(typed))
        return resolution.replace(names_file=separator is None)
    return None


def _literal(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The model with exactly this name, in an account whose files hold its weights; None where
    there is none.
    """
    if name.owner:
        return _of_account(name, catalogue)
    if name.form is not None and name.form.is_file:
        # a file is named after the original model; an alias may mean another model
        match = _by_whole_name(name.base, catalogue)
        if match is not None:
            return match
    return model_named(name.base, catalogue)


def _of_account(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The model of a repository: the model that is published there, else the original whose weights
    its files hold; None where there is none.
    """
    match = model_named(name.with_owner, catalogue)
    if match is None and _holds_original(name):
        match = _by_whole_name(name.base, catalogue)
    if match is None and name.is_for_one_program:
        # who packs weights may leave out `-it`, so that the name is a family's or an alias
        match = model_named(name.base, catalogue)
    return match


def matches(
    name: str,
    catalogue: Catalogue,
    readings: Sequence[_Reading] = (_literal,),
) -> Iterator[NameMatch]:
    """Yield known models that a name may mean: for the whole name first, then for the name without
    its last word, its last two, and so on.
    """
    for split in splits(name):
        for reading in readings:
            resolution = reading(split, catalogue)
            if resolution is None:
                continue
            outline = catalogue.outlines[resolution.spec_id]
            # a closed model has no files
            if split.form is None or not outline.closed:
                yield NameMatch(resolution=resolution, form=split.form)


# reading a name literally


def model_named(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title.

    With `:latest` it is the model that Ollama loads by that name, which may be another than the
    name means elsewhere.
    """
    plain = name
    if name.lower().endswith(_LATEST):
        plain = name[: -len(_LATEST)]
    key = canonical(plain)
    users_id = _users_id(key, catalogue)
    if users_id is not None:
        return Resolution(spec_id=users_id)
    # families, then ids, then aliases and whole names
    family = _family(key, catalogue)
    match = family.resolution(key, catalogue)
    if match is None and plain in catalogue:
        match = Resolution(spec_id=plain)
    if match is None:
        match = _by_kinds_of_names(key, catalogue, "aliases", "whole")
    # what Ollama loads by the name counts where the name is written as a tag of its library
    loaded = None
    if ":" in plain:
        loaded = _library_tag(key, catalogue).loads
    elif plain != name and "/" not in plain:
        loaded = family.ollama
    if not loaded or loaded not in catalogue:
        return match
    return _loaded_by_ollama(loaded, plain, match)


def _users_id(key: str, catalogue: Catalogue) -> str | None:
    """The id of the user's own model of that name, unless another model has the name as its id."""
    users_id = catalogue.id_named(key, "ids", "aliases", is_own=True)
    if users_id is None:
        return None
    id_of_key = catalogue.id_named(key, "ids")
    if id_of_key in (None, users_id):
        return users_id
    return None


def _loaded_by_ollama(
    loaded: str,
    name: str,
    match: Resolution | None,
) -> Resolution:
    """The model that Ollama loads by a name; a note where the name means another elsewhere."""
    resolution = Resolution(spec_id=loaded)
    if match is None:
        return resolution
    if loaded == match.spec_id:
        return match
    return resolution.with_note(
        f"Ollama's {name} is {loaded}; elsewhere the name means {match.spec_id}."
    )


def _by_kinds_of_names(
    key: str,
    catalogue: Catalogue,
    *kinds: str,
) -> Resolution | None:
    """The one model with this name, as `canonical` writes it, looked up as these kinds of names;
    None where there is none.
    """
    spec_id = catalogue.id_named(key, *kinds)
    if spec_id is None:
        return None
    return Resolution(spec_id=spec_id)


def loaded_by_family(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that Ollama loads by the name of a family; None where no entry says."""
    key = canonical(name)
    return _family(key, catalogue).ollama


# ways to read the part of a name before the form, other than `_literal`


def _holds_original(name: SplitName) -> bool:
    """Whether files of an account hold the weights of the model that they are named after.

    They do where the account publishes only other people's models (CONVERTERS), and where the name
    is a file's or states a form that others make of a model, such as `-AWQ`. A name without a form,
    or with a container alone (`-GGUF`), is no evidence.
    """
    if name.account in CONVERTERS:
        return True
    if name.form is None:
        return False
    return name.form.is_file or not name.form.is_container


def _by_whole_name(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model with this whole name; aliases do not count. None where there is none.

    Files of bartowski begin with the account, and files in llama.cpp's cache with the repository:
    `unsloth_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf`.
    """
    names = (
        name,
        name.partition("_")[2],
        name.partition("-GGUF_")[2],
    )
    for name_of_model in names:
        key = canonical(name_of_model)
        match = _by_kinds_of_names(key, catalogue, "whole")
        if match is not None:
            return match
    return None


@cache
def _tunes_by_base(catalogue: Catalogue) -> Mapping[str, Sequence[Outline]]:
    """The tuned models, grouped by the repository name of the model that each was tuned from. The
    name has no account, and is written as `canonical` writes names.
    """
    tunes: dict[str, list[Outline]] = {}
    for outline in catalogue.outlines.values():
        base = outline.tuned_from or ""
        if "/" in base:
            key = canonical(last_part_of(base))
            tunes.setdefault(key, []).append(outline)
    return tunes


def _from_base(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The model of the same size that was tuned from the base model in this repository. Of several
    the one with the nearest name; None where there is none.
    """
    if name.is_for_one_program:
        return None
    tuned = list(_ids_tuned_from(name, catalogue))
    if not tuned:
        return None
    # models of the same line first
    line = canonical(name.base)[:4]
    same_line = [spec_id for spec_id in tuned if spec_id.startswith(line)]
    candidates = sorted(same_line or tuned)
    nearest = min(candidates, key=len)
    note = (
        f"{name.with_owner} is the base model that {nearest} was tuned from. "
        f"This answer is for {nearest}, which needs as much."
    )
    return Resolution(spec_id=nearest, notes=(note,))


def _ids_tuned_from(name: SplitName, catalogue: Catalogue) -> Iterator[str]:
    """Yield the ids of the models that were tuned from a base model of that name and size."""
    key = canonical(name.base)
    sizes = sizes_in(key)
    for outline in _tunes_by_base(catalogue).get(key, ()):
        account = account_of(outline.tuned_from)
        if name.account not in ("", account.lower(), *CONVERTERS):
            continue
        # every size in the typed name must stand in the id
        if sizes.issubset(sizes_in(outline.id)):
            yield outline.id


def _by_maker(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The model of a name with its maker in front, as `Meta Llama 3`.

    `openai/gpt-4o-2024-08-06` is a closed model's dated snapshot.
    """
    snapshot = expression("names", "snapshot")
    undated = snapshot.sub("", name.base)
    if undated != name.base:
        return _snapshot_of(undated, name, catalogue)
    for maker, rest in _splits_by_maker(name):
        match = _of_maker(maker, rest, catalogue)
        if match is None:
            continue
        repository = catalogue.spec(match.spec_id).repository
        is_of_account = name.account == account_of(repository).lower()
        # the maker's own repositories are known by their whole names, so this one is another model;
        # but LM Studio writes the account before names of its own, all in lower case
        if not is_of_account or name.with_owner.islower():
            return match
    return None


def _snapshot_of(
    undated: str,
    name: SplitName,
    catalogue: Catalogue,
) -> Resolution | None:
    """The closed model whose dated snapshot a name means. `undated`: the name's base without the
    date.
    """
    match = _of_maker(last_part_of(name.owner), undated, catalogue)
    if match is None or not catalogue.outlines[match.spec_id].closed:
        return None
    note = (
        f"{name.base} is a dated snapshot; this answer is for {match.spec_id}. "
        "Its price and end date may differ."
    )
    return Resolution(spec_id=match.spec_id, notes=(note,))


def _splits_by_maker(name: SplitName) -> Iterator[tuple[str, str]]:
    """Yield the ways to split a name into the name of a maker and the rest: behind the account;
    without an account, behind the first word and behind the second.
    """
    if name.owner:
        yield last_part_of(name.owner), name.base
        return
    words = canonical(name.base)
    first, _, rest = words.partition("-")
    yield first, rest
    second, _, rest = rest.partition("-")
    yield first + second, rest


def _of_maker(
    maker: str,
    name: str,
    catalogue: Catalogue,
) -> Resolution | None:
    """The model of that name, if the maker published it; None otherwise."""
    try:
        match = model_named(name, catalogue)
    except UnknownModelError:
        return None
    if match is None:
        return None
    spec = catalogue.spec(match.spec_id)
    return match if _is_maker(maker, spec) else None


def _is_maker(name: str, spec: ModelSpec) -> bool:
    """Whether a name may stand before a model's name: it is the beginning of its maker's or its
    account's name.
    """
    letters = _letters_of(name)
    # Google's API writes models/gemini-1.5-pro
    if spec.closed and letters in ("", "models"):
        return True
    if len(letters) < 3:
        return False
    companies = [spec.developer, account_of(spec.repository)]
    if spec.availability is not None:
        companies.append(spec.availability.provider)
    known = map(_letters_of, companies)
    return any(company.startswith(letters) for company in known)


def _by_letters(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The one model that has a name of the same letters and digits, with other signs or none
    between them: `tiny llama 1.1b` is tinyllama:1.1b, and `qwen25-7b` is qwen2.5-7b.
    """
    # a repository has the name that its owner gave it
    if name.owner or not name.base.isprintable():
        return None
    letters = _letters_of(name.base)
    sizes = _size_words(name.base)
    by_id: dict[str | None, str] = {}
    for spelling in _spellings_by_letters(catalogue).get(letters, ()):
        # `qwen3 17b` is not qwen3-1.7b
        if _size_words(spelling) == sizes:
            by_id.setdefault(id_of(spelling, catalogue), spelling)
    if len(by_id) != 1:
        return None
    (spelling,) = by_id.values()
    return _read_as(spelling, name, catalogue)


# cached: a policy may have thousands of unknown names
@cache
def _spellings_by_letters(catalogue: Catalogue) -> Mapping[str, Sequence[str]]:
    """The names of all models and families by their letters and digits."""
    families = catalogue.common_tables("families", "family")
    by_letters: dict[str, list[str]] = {}
    for spelling in (*catalogue.spellings(), *families):
        letters = _letters_of(spelling)
        by_letters.setdefault(letters, []).append(spelling)
    return by_letters


def _read_as(
    meant: str,
    name: SplitName,
    catalogue: Catalogue,
) -> Resolution | None:
    """The model with the name `meant`, and a note that the typed name is read so."""
    match = model_named(meant, catalogue)
    if match is None:
        return None
    return match.with_note(f"{name.base} is read as {meant}.")


def _size_words(name: str) -> list[str]:
    """The digits right before the unit of each size in a name: 7-b of 1.7b."""
    return re.findall(r"\d+-[bm](?![a-z])", canonical(name))


def id_with_words(key: str, catalogue: Catalogue) -> str | None:
    """The one id that has all words of a name, as `canonical` writes it; None where several have
    them, or none.
    """
    by_word = _ids_by_word(catalogue)
    having = [by_word.get(word, frozenset()) for word in key.split("-")]
    fitting = frozenset.intersection(*having)
    if len(fitting) != 1:
        return None
    (spec_id,) = fitting
    return spec_id


@cache
def _ids_by_word(catalogue: Catalogue) -> Mapping[str, frozenset[str]]:
    """The ids that have each word, as `canonical` writes it."""
    by_word: dict[str, set[str]] = {}
    for spec_id in catalogue.outlines:
        words = canonical(spec_id).split("-")
        for word in words:
            ids = by_word.setdefault(word, set())
            ids.add(spec_id)
    return {word: frozenset(ids) for word, ids in by_word.items()}


def _by_beginning(name: SplitName, catalogue: Catalogue) -> Resolution | None:
    """The model whose id begins with the name, which states the size, if no other id has all words
    of the name: `internlm3 8b` is internlm3-8b-instruct.
    """
    key = canonical(name.base)
    if name.owner or not sizes_in(key):
        return None
    spec_id = id_with_words(key, catalogue)
    if spec_id is None:
        return None
    # the number of a version ends with the name: v4 is not v4.1
    next_word = "[a-z]" if key[-1].isdigit() else ""
    if not re.match(f"{key}-{next_word}", canonical(spec_id)):
        return None
    return _read_as(spec_id, name, catalogue)


def _letters_of(name: str | None) -> str:
    """The letters and digits of a name in a row: xai for x-ai, mistralai for Mistral AI."""
    if name is None:
        return ""
    return re.sub(r"[\W_]", "", name.lower())
