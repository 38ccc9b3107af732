"""The model that a name means, with the quantization and the program that the name states.

A name is looked up as it is, then without the words for the form of its files at the end
(`spec_values`); then as a base model, and by its maker. Digits are never corrected, and what
is read as something else is said in a note.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from ..core.errors import SelfhostError, UnknownModelError
from ..core.records import Record
from ..core.tables import TomlRow, expression, sentences, shipped_table
from ..core.templates import fill
from ..core.units import canonical
from .index import Catalogue
from .spec_values import FILE_ENDINGS, PICTURES, TRAINED_FOR, Form, splits

if TYPE_CHECKING:
    from .spec import ModelSpec

# the longest repository id of Hugging Face has 193, an address of a file in it a few dozen more
MAX_NAME_LENGTH = 400
_NAMES = shipped_table("names")
# of other people's models, unchanged under the original's name
CONVERTERS = frozenset(_NAMES["converters"])
SEE_NAMES: str = _NAMES["see_names"]
_MOST_OTHERS = 3
_WEIGHTS_ENDINGS = (".gguf", ".safetensors")
_QUOTES = " \t\n\"'`,;"


class Resolution(Record):
    """The spec that a name stands for, and what the name states of the files. `runtime`: only one
    kind of program loads these; `repository` is the typed one where its name says that it holds
    them; `names_file`: it names one published GGUF file, or is Ollama's tag of one.
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
    return resolution.spec_id if resolution else None


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start = canonical(prefix)
    if prefix and not start:
        return ()
    return tuple(
        name for name in catalogue.spellings() if canonical(name).startswith(start)
    )


def typed_library_tag(typed: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """What was typed, as Ollama's library writes that tag of the model; None for any other name."""
    if ":" not in typed:
        return None
    key = canonical(bare_name(typed))
    tag, facts = catalogue.common_tables("families", "tag").get(key, ("", {}))
    tags = [*spec.aliases, *([tag] if facts.get("loads") == spec.id else [])]
    return next((each for each in tags if ":" in each and canonical(each) == key), None)


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    return set(expression("names", "size").findall(canonical(name)))


def named_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    match = expression("names", "command").fullmatch(" ".join(typed.split()))
    return match["name"].strip(_QUOTES) if match else None


def bare_name(typed: str) -> str:
    """The name in a command line or in quotes; a name of Ollama's library as it stands there."""
    name = typed.strip(_QUOTES)
    line = named_in_command(name) if " " in name else None
    return (line or name).removeprefix("library/")


def unwrap(typed: str) -> str:
    """A name without quotes, command, address, gateway and folder of a cache. One of Ollama's
    library has a tag, a file in a repository is that with its quantization: `OWNER/NAME:Q4_K_M`.
    """
    name = typed.strip(_QUOTES)
    for form, other in _NAMES["rewritten"].items():
        name = re.sub(_NAMES["expressions"].get(form, form), other, name).strip(_QUOTES)
    return name


def latin_spelling(typed: str, catalogue: Catalogue) -> str | None:
    """A name with each family's name in Latin letters: `千问3` is `qwen3`; None for one in ASCII,
    and where letters of another script are left.
    """
    if typed.isascii():
        return None
    from unicodedata import normalize

    text = normalize("NFKC", typed).lower()
    spelled = catalogue.common("families").get("spelled") or {}
    pairs = [(other, latin) for latin, others in spelled.items() for other in others]
    # the longest first: 通义千问 holds 千问
    for other, latin in sorted(pairs, key=lambda pair: (-len(pair[0]), pair)):
        text = text.replace(other, latin)
    return text if text.isascii() else None


def is_path(typed: str) -> bool:
    """True if the string names a file or folder rather than a model. The bare name of a file of
    weights is a model's where no such file lies here.
    """
    has_separator = typed == "." or any(
        sign in typed for sign in ("/", os.sep, os.altsep) if sign
    )
    if has_separator and len(typed) < 10_000 and os.path.exists(typed):
        return True
    if not typed.lower().endswith((*_WEIGHTS_ENDINGS, ".json", ".toml")):
        return False
    if is_bare_weights(typed):
        return os.path.exists(typed)
    return "://" not in typed and not expression("names", "host").match(typed.strip())


def is_bare_weights(name: str) -> bool:
    """True for the name of a file of weights without a folder in front."""
    return name.lower().endswith(_WEIGHTS_ENDINGS) and not any(
        sign in name for sign in "/\\"
    )


def read(
    typed: str, catalogue: Catalogue, *, otherwise: bool = False
) -> Resolution | None:
    """The model of a name, a line, an address, a repository or a file as it is known; `otherwise`:
    as a base model, or by its maker.
    """
    if len(typed) > MAX_NAME_LENGTH or not canonical(typed):
        return None
    # letters and digits, with what joins them, are no line to type, no address and no repository
    is_plain = typed.replace("-", "").replace(".", "").replace("_", "").isalnum()
    is_plain = is_plain and not (otherwise or typed.lower().endswith(FILE_ENDINGS))
    if is_plain and (match := model_named(typed, catalogue)):
        return match
    name = unwrap(typed)
    # a tag of Ollama whose size lacks its unit
    if re.fullmatch(r"[^/:\s]+:\d{1,3}(?:\.\d)?", name) and (
        longer := read(f"{name}b", catalogue)
    ):
        return longer.replace(notes=(f"{name} is read as {name}b.", *longer.notes))
    pairs = matches(name, catalogue, otherwise=otherwise)
    judged = (_with_form(match, form, name, catalogue) for match, form in pairs)
    resolution = next(filter(None, judged), None)
    if resolution is None:
        return None
    # where none of the typed spelling is known, nor is the repository
    repository = None if otherwise else resolution.repository
    is_type = resolution.quantization and not (resolution.runtime or repository)
    is_file = bool(is_type and not re.search(r"[\s@/\\]", bare_name(typed)))
    return resolution.replace(repository=repository, names_file=is_file)


def matches(
    name: str, catalogue: Catalogue, *, otherwise: bool = False
) -> Iterator[tuple[Resolution, Form | None]]:
    """Known models, each with what the rest of the name says of its files."""
    owner, _, rest = (name.removesuffix(":latest") if otherwise else name).rpartition(
        "/"
    )
    is_file = rest.lower().endswith(FILE_ENDINGS)
    whole: list[tuple[str, Form | None]] = [] if is_file else [(rest, None)]
    readings = (_from_base, _by_maker) if otherwise else (_literal,)
    for base, form in chain(whole, splits(rest, owner)):
        for reading in readings:
            match = reading(base, owner, form, catalogue)
            if match is not None and not (
                form and catalogue.outlines[match.spec_id].closed
            ):
                yield match, form


def _with_form(
    match: Resolution, form: Form | None, name: str, catalogue: Catalogue
) -> Resolution | None:
    """The model in the form that its name states; None where no program is judged in that form."""
    held = (
        expression("names", "gguf_repository").fullmatch(name) if "/" in name else None
    )
    repository = held[1] if held else None
    if form is None:
        return match.replace(repository=repository)
    spec = catalogue.spec(match.spec_id)
    if not form.is_sized or not serves(form, spec, catalogue):
        return None
    quantization, said, facts = (
        form.quantization,
        form.notes,
        catalogue.common("quantizations"),
    )
    publisher = facts["publisher"].get(name.partition("/")[0].lower(), {"types": ()})
    if quantization in publisher["types"]:
        quantization = f"{publisher['prefix']}{quantization}"
    if _is_wide_qat(form, spec, name, catalogue):
        quantization, said = f"{TRAINED_FOR}Q4_0", ("qat_as_published",)
        is_file = name.endswith(".gguf")
        repository = f"{spec.repository}-qat-q4_0-gguf" if is_file else repository
    if form.runtime and form.quantization:
        repository = name if expression("names", "repository").fullmatch(name) else None
    figures = {"written": form.written, "quantization": form.quantization}
    return match.replace(
        quantization=quantization,
        runtime=form.runtime,
        notes=(*match.notes, *(fill(facts["form"][key], figures) for key in said)),
        repository=repository,
    )


def serves(form: Form, spec: ModelSpec, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    is_text = form.runtime is None or spec.modality not in PICTURES
    return is_text or spec.modality in catalogue.runtime(form.runtime or "").modalities


def _is_wide_qat(form: Form, spec: ModelSpec, name: str, catalogue: Catalogue) -> bool:
    """Whether it is the maker's, trained for 4 bits, of models whose token table then has 16."""
    account, _, file = name.rpartition("/")
    # Google's own files are called as any converter's but for the case of the type: stduhpf's card
    # of gemma-3-27b-it-qat-q4_0-gguf-small links it, and public programs load those of 1B to 12B
    is_makers = file == f"{(spec.repository or '').rpartition('/')[2]}-q4_0.gguf"
    is_qat = "qat" in form.notes and form.quantization == "Q4_0"
    if spec.architecture is None or not (is_qat or is_makers):
        return False
    row = catalogue.common("architectures")["architecture"].get(
        spec.architecture.row, {}
    )
    is_early = (spec.released or "9") < row.get("wide_qat_table", "")
    return account.lower() in ("", "google") and is_early


def model_named(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title; with
    `:latest` what Ollama loads by it, which may be another than the name means elsewhere.
    """
    plain = re.sub(r"(?i):latest$", "", name)
    key = canonical(plain)
    own = catalogue.id_named(key, "ids", "aliases", is_own=True)
    if own is not None and catalogue.id_named(key, "ids") in (None, own):
        return Resolution(spec_id=own)
    family, facts = catalogue.common_tables("families", "family").get(key, ("", {}))
    match = _family_model(family, facts, key, catalogue)
    if match is None:
        # of an id as it is written nothing else is read
        id = (
            plain if plain in catalogue else catalogue.id_named(key, "aliases", "whole")
        )
        match = Resolution(spec_id=id) if id is not None else None
    loaded = facts.get("ollama") if plain != name and "/" not in plain else None
    if ":" in plain:
        loaded = (
            catalogue.common_tables("families", "tag")
            .get(key, ("", {}))[1]
            .get("loads")
        )
    if loaded is None or loaded not in catalogue or (match and loaded == match.spec_id):
        return match
    note = f"Ollama's {plain} is {loaded}; elsewhere the name means {match and match.spec_id}."
    return Resolution(spec_id=loaded, notes=(note,) if match else ())


def _family_model(
    name: str, family: TomlRow, key: str, catalogue: Catalogue
) -> Resolution | None:
    """The model that the dated entry of a family names, if there is a spec of it."""
    model, loaded = family.get("model"), family.get("ollama")
    if model is None or model not in catalogue:
        return None
    others = [
        id for id in family.get("others") or () if id in catalogue and id != model
    ]
    # a full name needs no word on how it was taken, only on what else there is
    is_short = "note" not in family and key != canonical(model)
    holds = {
        "note": "note" in family,
        "family": is_short,
        "tag": loaded,
        "others": others,
    }
    figures = {
        **dict.fromkeys(("note", "why")),
        **family,
        "family": name,
        "is_missing": loaded is not None and loaded not in catalogue,
        "others": others[:_MOST_OTHERS],
        "more": max(0, len(others) - _MOST_OTHERS),
    }
    return Resolution(
        spec_id=model, notes=sentences("families", "sentence", holds, **figures)
    )


def _literal(
    base: str, owner: str, form: Form | None, catalogue: Catalogue
) -> Resolution | None:
    """The model of this very name, in an account whose files hold it."""
    is_file = form is not None and form.is_file
    # the name of a file is its original's; an alias may mean another model
    match = _original(base, catalogue) if is_file and not owner else None
    match = match or model_named(f"{owner}/{base}" if owner else base, catalogue)
    # a form that others make is evidence enough whose weights these are; of files that hold the
    # weights as they are only an account that publishes no others
    is_evidence = (
        is_file or owner.lower() in CONVERTERS or (form and not form.is_container)
    )
    return (
        _original(base, catalogue) if match is None and owner and is_evidence else match
    )


def _original(name: str, catalogue: Catalogue) -> Resolution | None:
    """By its whole name, which no alias is. Files of bartowski have the account in front, those in
    llama.cpp's cache the repository: `unsloth_Qwen3-8B-GGUF_Qwen3-8B-Q4_K_M.gguf`.
    """
    names = (name, name.partition("_")[2], name.partition("-GGUF_")[2])
    ids = (catalogue.id_named(canonical(each), "whole") for each in names)
    return next((Resolution(spec_id=id) for id in ids if id is not None), None)


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
    """The model of the same size that was tuned from the base model of this repository."""
    if form is not None and form.runtime is not None:
        return None
    key = canonical(base)
    tuned = [
        id
        for account, id in _tuned_by_base(catalogue).get(key, ())
        if owner.lower() in (account, "", *CONVERTERS) and sizes_in(id) >= sizes_in(key)
    ]
    if not tuned:
        return None
    # of the same line before any other
    id = min(tuned, key=lambda id: (not id.startswith(key[:4]), len(id), id))
    name = f"{owner}/{base}" if owner else base
    note = f"{name} is the base model that {id} was tuned from. This answer is for {id}, which"
    return Resolution(spec_id=id, notes=(f"{note} needs as much.",))


def _by_maker(
    base: str, owner: str, _: Form | None, catalogue: Catalogue
) -> Resolution | None:
    """`Meta Llama 3`; of a closed model `openai/gpt-4o-2024-08-06`, of an open one `ibm/…`."""
    plain, words = (
        expression("names", "snapshot").sub("", base),
        canonical(base).split("-"),
    )
    makers = [(owner.rpartition("/")[2], plain)]
    if not owner and plain == base:
        makers = [("".join(words[:count]), "-".join(words[count:])) for count in (1, 2)]
    for maker, rest in makers:
        try:
            match = model_named(rest, catalogue)
        except UnknownModelError:
            continue
        spec = catalogue.spec(match.spec_id) if match else None
        if spec is None or not _is_maker(maker, spec):
            continue
        if spec.closed and plain != base:
            note = f"{base} is a dated snapshot; this answer is for {spec.id}. Its price and end"
            return Resolution(spec_id=spec.id, notes=(f"{note} date may differ.",))
        # an account's repositories are known as they are, so that this is another model; but LM
        # Studio writes the account before names of its own, all in lower case
        is_account = owner.lower() == (spec.repository or "").partition("/")[0].lower()
        if plain == base and (not is_account or f"{owner}{base}".islower()):
            return match
    return None


def _is_maker(name: str, spec: ModelSpec) -> bool:
    """Whether that name may stand before a model: the beginning of its maker's or its account."""
    served = spec.availability and spec.availability.provider
    companies = (spec.developer, served, (spec.repository or "").partition("/")[0])
    # as accounts of resellers write a company: x-ai for xAI, mistralai for Mistral AI
    letters, *own = (
        re.sub(r"[\W_]", "", (each or "").lower()) for each in (name, *companies)
    )
    # Google's API writes models/gemini-1.5-pro
    if spec.closed and letters in ("", "models"):
        return True
    return len(letters) >= 3 and any(each.startswith(letters) for each in own)
