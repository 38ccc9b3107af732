"""The model that a name means, with the quantization and the program that the name states.

What goes in: a name as a person typed or pasted it, and the catalogue. What comes out: a
`Resolution`, or None for a name that no model goes by (`searching.py` says what to tell then).

A name is looked up as it is, then without the words for the form of its files at the end
(`spec_values.splits`). If both fail, the name is tried as that of a base model from which a known
model was tuned, and as one with its maker in front. Digits are never corrected. A note says what
was read as something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from ..core.errors import SelfhostError, UnknownModelError
from ..core.records import Record
from ..core.tables import TomlRow, expression, sentences
from ..core.templates import fill
from ..core.units import canonical
from .forms import FILE_ENDINGS, Form, splits
from .index import Catalogue
from .name_table import NAME_TABLE, Searched
from .spec_values import PICTURES, TRAINED_FOR

if TYPE_CHECKING:
    from .spec import ModelSpec

# the longest repository id of Hugging Face has 193, an address of a file in it a few dozen more
MAX_NAME_LENGTH = 400
_MOST_OTHERS = 3
_WEIGHTS_ENDINGS = (".gguf", ".safetensors")
_FILE_ENDINGS = (*_WEIGHTS_ENDINGS, ".json", ".toml")
# the tag that Ollama takes where none is typed
_LATEST = ":latest"
# longer ones are no path of any system
_LONGEST_PATH = 10_000
_QUOTES = " \t\n\"'`,;"
# takes a name without its form, its account, the form and the catalogue, and returns the model
_Reading = Callable[[str, str, Form | None, Catalogue], "Resolution | None"]


# accounts of other people's models, unchanged under the original's name
CONVERTERS = frozenset(NAME_TABLE.converters)
SEE_NAMES = NAME_TABLE.see_names


def searched() -> Searched:
    """How a search and an unknown name are read."""
    return NAME_TABLE.searched


class Resolution(Record):
    """The spec that a name stands for, and what the name states of the files.

    `runtime`: only one kind of program loads these files. `repository` is the typed one where its
    name says that it holds the files. `names_file`: the name is that of one published GGUF file,
    or Ollama's tag of one.
    """

    spec_id: str
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    runtime: str | None = None
    repository: str | None = None
    names_file: bool = False


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that goes by this name, None where no single one does."""
    try:
        resolution = read(name, catalogue)
    except SelfhostError:
        return None
    if resolution is None:
        return None
    return resolution.spec_id


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start = canonical(prefix)
    if prefix and not start:
        return ()
    names = catalogue.spellings()
    return tuple(name for name in names if canonical(name).startswith(start))


def typed_library_tag(typed: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """The typed tag of a model as Ollama's library writes it; None for any other name."""
    if ":" not in typed:
        return None
    key = canonical(bare_name(typed))
    for alias in spec.aliases:
        if ":" in alias and canonical(alias) == key:
            return alias
    tag, facts = catalogue.common_tables("families", "tag").get(key, ("", {}))
    if ":" in tag and facts["loads"] == spec.id and canonical(tag) == key:
        return tag
    return None


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    return set(expression("names", "size").findall(canonical(name)))


# a name without what stands around it where people paste it


def named_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    match = expression("names", "command").fullmatch(" ".join(typed.split()))
    if match is None:
        return None
    name: str = match["name"]
    return name.strip(_QUOTES)


def bare_name(typed: str) -> str:
    """The name in a command line or in quotes; a name of Ollama's library as it stands there."""
    name = typed.strip(_QUOTES)
    if " " in name:
        name = named_in_command(name) or name
    return name.removeprefix("library/")


def unwrap(typed: str) -> str:
    """A name without quotes, command, address, gateway and folder of a cache.

    A name of Ollama's library gets a tag. A file in a repository becomes that repository with the
    quantization of the file: `OWNER/NAME:Q4_K_M`.
    """
    name = typed.strip(_QUOTES)
    for form, replacement in NAME_TABLE.rewritten.items():
        pattern = NAME_TABLE.expressions.get(form, form)
        name = re.sub(pattern, replacement, name).strip(_QUOTES)
    return name


def latin_spelling(typed: str, catalogue: Catalogue) -> str | None:
    """A name with each family's name in Latin letters: `千问3` is `qwen3`.

    None for a name in ASCII, and where letters of another script are left.
    """
    if typed.isascii():
        return None
    from unicodedata import normalize  # few names need it

    families = catalogue.common("families")
    spelled: Mapping[str, Sequence[str]] = families.get("spelled", {})
    latin_of: dict[str, str] = {}
    for latin, spellings in spelled.items():
        latin_of |= dict.fromkeys(spellings, latin)
    text = normalize("NFKC", typed).lower()
    # the longest first: 通义千问 holds 千问
    for spelling in sorted(latin_of, key=lambda spelling: (-len(spelling), spelling)):
        text = text.replace(spelling, latin_of[spelling])
    return text if text.isascii() else None


def is_path(typed: str) -> bool:
    """True if the string names a file or folder rather than a model.

    The bare name of a file of weights is a model's where no such file lies here.
    """
    may_be_there = _has_separator(typed) and len(typed) < _LONGEST_PATH
    if may_be_there and os.path.exists(typed):
        return True
    if not typed.lower().endswith(_FILE_ENDINGS):
        return False
    if is_bare_weights(typed):
        return os.path.exists(typed)
    if "://" in typed:
        return False
    return expression("names", "host").match(typed.strip()) is None


def _has_separator(typed: str) -> bool:
    separators = ("/", os.sep, os.altsep or "/")
    return typed == "." or any(separator in typed for separator in separators)


def is_bare_weights(name: str) -> bool:
    """True for the name of a file of weights without a folder in front."""
    if "/" in name or "\\" in name:
        return False
    return name.lower().endswith(_WEIGHTS_ENDINGS)


# from a name to a model


def read(
    typed: str, catalogue: Catalogue, *, indirectly: bool = False
) -> Resolution | None:
    """The model of a name, a line, an address, a repository or a file; None for no known one.

    `indirectly`: not the name itself is looked up. It is taken for that of a base model from which
    the model was tuned, then for one with its maker in front.
    """
    if len(typed) > MAX_NAME_LENGTH or not canonical(typed):
        return None
    if not indirectly and _is_plain(typed):
        match = model_named(typed, catalogue)
        if match is not None:
            return match
    name = unwrap(typed)
    # a tag of Ollama whose size lacks its unit
    if re.fullmatch(r"[^/:\s]+:\d{1,3}(?:\.\d)?", name):
        longer = read(f"{name}b", catalogue)
        if longer is not None:
            note = f"{name} is read as {name}b."
            return longer.replace(notes=(note, *longer.notes))
    for match, form in matches(name, catalogue, indirectly=indirectly):
        resolution = _with_form(match, form, name, catalogue)
        if resolution is not None:
            return _as_typed(resolution, typed, indirectly=indirectly)
    return None


def _is_plain(typed: str) -> bool:
    """Whether a name has only letters, digits and what joins them, and no ending of a file: such a
    name is no line to type, no address and no repository.
    """
    letters = typed.replace("-", "").replace(".", "").replace("_", "")
    return letters.isalnum() and not typed.lower().endswith(FILE_ENDINGS)


def _as_typed(resolution: Resolution, typed: str, *, indirectly: bool) -> Resolution:
    """A resolution without a repository of which nothing is known, and with `names_file`: a single
    word that states a quantization, and is neither a program's form nor a repository.
    """
    if indirectly:
        # the typed spelling is not known, so neither is the repository
        resolution = resolution.replace(repository=None)
    if resolution.quantization is None or resolution.runtime or resolution.repository:
        return resolution
    is_one_word = re.search(r"[\s@/\\]", bare_name(typed)) is None
    return resolution.replace(names_file=is_one_word)


def matches(
    name: str, catalogue: Catalogue, *, indirectly: bool = False
) -> Iterator[tuple[Resolution, Form | None]]:
    """Known models, each with what the rest of the name says of its files (None: there is no rest).
    The whole name comes first, then the name without one word of its end, two, and so on.
    """
    readings: tuple[_Reading, ...] = (_literal,)
    if indirectly:
        name = name.removesuffix(_LATEST)
        readings = (_from_base, _by_maker)
    owner, _, rest = name.rpartition("/")
    whole_name: list[tuple[str, Form | None]] = [(rest, None)]
    if rest.lower().endswith(FILE_ENDINGS):
        whole_name = []
    for base, form in chain(whole_name, splits(rest, owner)):
        for reading in readings:
            match = reading(base, owner, form, catalogue)
            if match is None:
                continue
            # a closed model has no files
            if form is None or not catalogue.outlines[match.spec_id].closed:
                yield match, form


def _with_form(
    match: Resolution, form: Form | None, name: str, catalogue: Catalogue
) -> Resolution | None:
    """The model in the form that its name states; None where no program is judged in that form."""
    repository = _gguf_repository(name)
    if form is None:
        return match.replace(repository=repository)
    spec = catalogue.spec(match.spec_id)
    if not form.is_sized or not serves(form, spec, catalogue):
        return None
    quantization = _published_type(form.quantization, name, catalogue)
    said = form.notes
    if _is_wide_qat(form, spec, name, catalogue):
        quantization = f"{TRAINED_FOR}Q4_0"
        said = ("qat_as_published",)
        if name.endswith(".gguf"):
            repository = f"{spec.repository}-qat-q4_0-gguf"
    if form.runtime and form.quantization:
        is_repository = expression("names", "repository").fullmatch(name)
        repository = name if is_repository else None
    sentences_of_forms = catalogue.common("quantizations")["form"]
    figures = {"written": form.written, "quantization": form.quantization}
    notes = [fill(sentences_of_forms[key], figures) for key in said]
    return match.replace(
        quantization=quantization,
        runtime=form.runtime,
        notes=(*match.notes, *notes),
        repository=repository,
    )


def _gguf_repository(name: str) -> str | None:
    """The repository of GGUF files that a name is, or names a file of; None for another."""
    if "/" not in name:
        return None
    match = expression("names", "gguf_repository").fullmatch(name)
    return None if match is None else match[1]


def _published_type(
    quantization: str | None, name: str, catalogue: Catalogue
) -> str | None:
    """The quantization with what a publisher's own is called by."""
    publishers: TomlRow = catalogue.common("quantizations")["publisher"]
    account = name.partition("/")[0].lower()
    publisher = publishers.get(account)
    if publisher is None or quantization not in publisher["types"]:
        return quantization
    return f"{publisher['prefix']}{quantization}"


def serves(form: Form, spec: ModelSpec, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    if form.runtime is None or spec.modality not in PICTURES:
        return True
    return spec.modality in catalogue.runtime(form.runtime).modalities


def _is_wide_qat(form: Form, spec: ModelSpec, name: str, catalogue: Catalogue) -> bool:
    """Whether the files are Google's own of a model that was trained for 4 bits, of those whose
    table of tokens has 16 bits all the same.
    """
    account, _, file = name.rpartition("/")
    if spec.architecture is None or account.lower() not in ("", "google"):
        return False
    # Google's own files are called as any converter's but for the case of the type: stduhpf's card
    # of gemma-3-27b-it-qat-q4_0-gguf-small links it, and public programs load those of 1B to 12B
    is_makers = file == f"{_last_part(spec.repository)}-q4_0.gguf"
    is_qat = "qat" in form.notes and form.quantization == "Q4_0"
    if not is_qat and not is_makers:
        return False
    rows: TomlRow = catalogue.common("architectures")["architecture"]
    row: TomlRow = rows.get(spec.architecture.row, {})
    wide_until: str = row.get("wide_qat_table", "")
    return (spec.released or "9") < wide_until


def _account(repository: str | None) -> str:
    """Whose a repository is; empty for None."""
    return (repository or "").partition("/")[0]


def _last_part(repository: str | None) -> str:
    """The name of a repository without its account; empty for None."""
    return (repository or "").rpartition("/")[2]


def model_named(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title.

    With `:latest` it is the model that Ollama loads by that name, which may be another than the
    name means elsewhere.
    """
    plain = name
    if name.lower().endswith(_LATEST):
        plain = name[: -len(_LATEST)]
    key = canonical(plain)
    users_id = catalogue.id_named(key, "ids", "aliases", is_own=True)
    if users_id is not None and catalogue.id_named(key, "ids") in (None, users_id):
        return Resolution(spec_id=users_id)
    family, facts = catalogue.common_tables("families", "family").get(key, ("", {}))
    match = _family_model(family, facts, key, catalogue)
    if match is None:
        # of an id as it is written nothing else is read
        if plain in catalogue:
            match = Resolution(spec_id=plain)
        else:
            match = _named(key, catalogue, "aliases", "whole")
    loaded: str | None = None
    if ":" in plain:
        _, tag = catalogue.common_tables("families", "tag").get(key, ("", {}))
        loaded = tag.get("loads")
    elif plain != name and "/" not in plain:
        loaded = facts.get("ollama")
    if loaded is None or loaded not in catalogue:
        return match
    return _loaded_by_ollama(loaded, plain, match)


def _loaded_by_ollama(loaded: str, name: str, match: Resolution | None) -> Resolution:
    """The model that Ollama loads by a name; a note where the name means another elsewhere."""
    if match is None:
        return Resolution(spec_id=loaded)
    if loaded == match.spec_id:
        return match
    note = f"Ollama's {name} is {loaded}; elsewhere the name means {match.spec_id}."
    return Resolution(spec_id=loaded, notes=(note,))


def _named(key: str, catalogue: Catalogue, *kinds: str) -> Resolution | None:
    """The one model that has this name, as `canonical` writes it, as one of these kinds."""
    spec_id = catalogue.id_named(key, *kinds)
    if spec_id is None:
        return None
    return Resolution(spec_id=spec_id)


def loaded_by_family(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that Ollama loads by the name of a family; None where no entry says."""
    families = catalogue.common_tables("families", "family")
    _, facts = families.get(canonical(name), ("", {}))
    id: str | None = facts.get("ollama")
    return id


def _family_model(
    name: str, family: TomlRow, key: str, catalogue: Catalogue
) -> Resolution | None:
    """The model that the dated entry of a family names, if there is a spec of it."""
    model = family.get("model")
    if model is None or model not in catalogue:
        return None
    others = []
    for spec_id in family.get("others", ()):
        if spec_id in catalogue and spec_id != model:
            others.append(spec_id)
    loaded = family.get("ollama")
    has_note = "note" in family
    holds = {
        "note": has_note,
        # a full name needs no word on how it was taken, only on what else there is
        "family": not has_note and key != canonical(model),
        "tag": loaded,
        "others": others,
    }
    figures = {
        "note": None,
        "why": None,
        **family,
        "family": name,
        "is_missing": loaded is not None and loaded not in catalogue,
        "others": others[:_MOST_OTHERS],
        "more": max(0, len(others) - _MOST_OTHERS),
    }
    notes = sentences("families", "sentence", holds, **figures)
    return Resolution(spec_id=model, notes=notes)


# the three ways to read what stands before the form


def _literal(
    base: str, owner: str, form: Form | None, catalogue: Catalogue
) -> Resolution | None:
    """The model of this very name, in an account whose files hold it."""
    if not owner:
        match = None
        if form is not None and form.is_file:
            # the name of a file is its original's; an alias may mean another model
            match = _original(base, catalogue)
        return match or model_named(base, catalogue)
    match = model_named(f"{owner}/{base}", catalogue)
    if match is None and _holds_original(owner, form):
        match = _original(base, catalogue)
    return match


def _holds_original(owner: str, form: Form | None) -> bool:
    """Whether files of an account hold the weights of the model that they are named for.

    They do where the account publishes other people's models alone (CONVERTERS), and where the name
    is a file's or states a form that others make of a model, as `-AWQ`. A name that states no form,
    or a container alone (`-GGUF`), is no evidence.
    """
    if owner.lower() in CONVERTERS:
        return True
    return form is not None and (form.is_file or not form.is_container)


def _original(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model by its whole name, which no alias is.

    Files of bartowski have the account in front, those in llama.cpp's cache the repository:
    `unsloth_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf`.
    """
    for part in (name, name.partition("_")[2], name.partition("-GGUF_")[2]):
        match = _named(canonical(part), catalogue, "whole")
        if match is not None:
            return match
    return None


@cache
def _tuned_by_base(catalogue: Catalogue) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By a base model's repository, without its account and as `canonical` writes it: the account,
    and the model that was tuned from it.
    """
    tuned: dict[str, list[tuple[str, str]]] = {}
    for outline in catalogue.outlines.values():
        account, _, repository = (outline.tuned_from or "").lower().partition("/")
        if repository:
            tuned.setdefault(canonical(repository), []).append((account, outline.id))
    return tuned


def _from_base(
    base: str, owner: str, form: Form | None, catalogue: Catalogue
) -> Resolution | None:
    """The model that was tuned from the base model of this repository, and has its size; of several
    the one whose name is nearest.
    """
    if form is not None and form.runtime is not None:
        return None
    key = canonical(base)
    tuned = []
    for account, spec_id in _tuned_by_base(catalogue).get(key, ()):
        is_account = owner.lower() in (account, "", *CONVERTERS)
        # it states the sizes of the typed name, or that states none
        if is_account and sizes_in(spec_id) >= sizes_in(key):
            tuned.append(spec_id)
    if not tuned:
        return None
    # of the same line before any other
    nearest = min(tuned, key=lambda id: (not id.startswith(key[:4]), len(id), id))
    name = f"{owner}/{base}" if owner else base
    note = (
        f"{name} is the base model that {nearest} was tuned from. "
        f"This answer is for {nearest}, which needs as much."
    )
    return Resolution(spec_id=nearest, notes=(note,))


def _by_maker(
    base: str, owner: str, _: Form | None, catalogue: Catalogue
) -> Resolution | None:
    """The model of a name with its maker in front, as `Meta Llama 3`.

    `openai/gpt-4o-2024-08-06` is a closed model's dated snapshot.
    """
    plain = expression("names", "snapshot").sub("", base)
    is_snapshot = plain != base
    for maker, rest in _makers(base, owner, plain):
        try:
            match = model_named(rest, catalogue)
        except UnknownModelError:
            continue
        if match is None:
            continue
        spec = catalogue.spec(match.spec_id)
        if not _is_maker(maker, spec):
            continue
        if is_snapshot and spec.closed:
            note = (
                f"{base} is a dated snapshot; this answer is for {spec.id}. "
                "Its price and end date may differ."
            )
            return Resolution(spec_id=spec.id, notes=(note,))
        # an account's repositories are known as they are, so that this is another model; but LM
        # Studio writes the account before names of its own, all in lower case
        is_account = owner.lower() == _account(spec.repository).lower()
        if not is_snapshot and (not is_account or f"{owner}{base}".islower()):
            return match
    return None


def _makers(base: str, owner: str, plain: str) -> list[tuple[str, str]]:
    """Each way to part a name: the name of a maker, and what stands behind it."""
    if owner or plain != base:
        return [(owner.rpartition("/")[2], plain)]
    words = canonical(base).split("-")
    return [(words[0], "-".join(words[1:])), ("".join(words[:2]), "-".join(words[2:]))]


def _is_maker(name: str, spec: ModelSpec) -> bool:
    """Whether that name may stand before a model: the beginning of its maker's or its account."""
    letters = _letters_of(name)
    # Google's API writes models/gemini-1.5-pro
    if spec.closed and letters in ("", "models"):
        return True
    if len(letters) < 3:
        return False
    companies = [spec.developer, _account(spec.repository)]
    if spec.availability is not None:
        companies.append(spec.availability.provider)
    return any(_letters_of(company).startswith(letters) for company in companies)


def _letters_of(company: str | None) -> str:
    """A company as accounts of resellers write it: xai for x-ai, mistralai for Mistral AI."""
    return re.sub(r"[\W_]", "", (company or "").lower())
