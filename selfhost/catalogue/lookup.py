"""A name held against ids, aliases, repositories, tags of Ollama, files and families: as it is,
then without the words for the form of the weights at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.errors import SpecError, UnknownModelError
from ..core.records import Record, pattern
from ..core.spelling import canonical
from .index import Catalogue
from .pasted import bare_name, unrouted, unwrap
from .quantization_names import TRAINED_FOR

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .forms import Form
    from .spec import ModelSpec

# Accounts of Hugging Face that publish other people's models unchanged under the original's name,
# mostly as GGUF with "-GGUF" behind it. Anywhere else the same name may be a fine-tune. At least
# two public programs list each as a trusted converter (a code search, 2026-11); NousResearch, which
# also makes models of its own, is here for its copies of Meta's gated repositories.
CONVERTERS = frozenset({
    "bartowski", "unsloth", "lmstudio-community", "thebloke", "ggml-org", "maziyarpanahi",
    "quantfactory", "second-state", "mradermacher", "nousresearch", "city96", "quantstack",
})  # fmt: skip
SEE_NAMES = (
    "a language model by its config.json:      selfhost check ./config.json\n"
    "all names in the catalogue:               selfhost list --all\n"
    "with a spec of your own:                  selfhost check NAME --specs DIR"
)
# sizes in a name as `canonical` writes it
_SIZE = pattern(r"(?:\d+-)+[bm](?![a-z])")
# of the others of a family
MOST_NAMED = 3


class Resolution(Record):
    """The spec that a name stands for. `quantization` is set where the name states one, `runtime`
    where only one kind of program loads what it names; `notes` are sentences for the person.
    `repository` is the typed one where its name says that it holds weights in that form.
    `names_file`: the name is that of one published GGUF file, or Ollama's tag of one.
    """

    spec_id: str
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    runtime: str | None = None
    repository: str | None = None
    names_file: bool = False


# an id of a spec, and sentences on how the name was taken
Match = tuple[str, tuple[str, ...]]


def look_up(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model of this very name, with what the name states of its files; None for a name that
    takes more reading. Raises `UnknownModelError` where the name fits several models.
    """
    name = unwrap(typed)
    for each in dict.fromkeys((name, unrouted(name, catalogue))):
        named = known_form(each, catalogue)
        resolution = None if named is None else in_form(*named, each, catalogue)
        resolution = resolution or _whisper(each, catalogue)
        if resolution is not None:
            return as_published(typed, each, resolution, catalogue)
    return None


# ---------------------------------------------- as it is, then without the form at its end


def known_form(name: str, catalogue: Catalogue) -> tuple[Match, Form | None] | None:
    """A known model and what the rest of the name says of its files; None where the name holds no
    known one, or may be somebody's own of the same name.
    """
    from .forms import splits

    owner, _, rest = name.rpartition("/")
    is_file = rest.lower().endswith((".gguf", ".llamafile"))
    is_converter = owner.lower() in CONVERTERS
    if not is_file:
        match = match_of(rest, owner, catalogue, is_converted=is_converter)
        if match is not None:
            return match, None
    for base, form in splits(rest, "" if owner == "library" else owner):
        # a form that others make is evidence enough; of files that hold the weights as they are
        # only an account that publishes no others
        is_converted = is_converter or is_file or bool(owner and not form.is_container)
        match = match_of(base, owner, catalogue, is_converted=is_converted)
        if match is not None and not catalogue.is_closed(match[0]):
            return match, form
    return None


def match_of(base: str, owner: str, catalogue: Catalogue, *, is_converted: bool) -> Match | None:
    """The model of a name. `is_converted`: weights of that name are those of the original, whatever
    the account.
    """
    is_latest = base.lower().endswith(":latest")
    base = base[: -len(":latest")] if is_latest else base
    if owner == "library" or (is_latest and not owner):
        return _in_ollama(base, catalogue)
    match = None
    if is_converted and not owner:
        # the name of a file is its original's; an alias may mean another model
        match = original(base, catalogue)
    match = match or named_directly(f"{owner}/{base}" if owner else base, catalogue)
    if is_converted:
        match = match or original(base, catalogue)
        # bartowski's files have the account in front: `nvidia_Nemotron-Mini-4B-Instruct`
        match = match or original(base.partition("_")[2], catalogue)
    return match or _by_maker(base, owner, catalogue)


def original(name: str, catalogue: Catalogue) -> Match | None:
    """The model whose whole name this is: an alias such as llama-3.2-3b may mean another one (the
    base model).
    """
    key = canonical(name)
    # some publishers write the type of the original, too
    for spelled in (key, f"{key}-bf-16") if key else ():
        id = by_key(spelled, ("repositories", "titles", "ids"), catalogue, name)
        if id is not None:
            return id, ()
    return None


def named_directly(name: str, catalogue: Catalogue) -> Match | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title."""
    key = canonical(name)
    match = _by_any_name(key, name, catalogue)
    facts = catalogue.common_tables("families", "tag").get(key, ("", {}))[1]
    loaded = facts.get("loads") if ":" in name else None
    if loaded is None or loaded not in catalogue:
        return match
    own = by_key(key, ("ids", "aliases"), catalogue, name, catalogue.names()[:-1])
    if own is not None:
        return match
    if match is None or match[0] == loaded:
        return loaded, ()
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {match[0]}.",)


def _by_any_name(key: str, name: str, catalogue: Catalogue) -> Match | None:
    family = _family(key, catalogue)
    id = by_key(key, ("ids",), catalogue, name)
    if id is not None and family is not None and family[0] == id:
        # a full name needs no word on how it was taken, only on what else there is
        is_explained = "note" in family_entry(key, catalogue)[1]
        return id, family[1] if is_explained else family[1][1:]
    id = id or by_key(key, ("aliases",), catalogue, name, catalogue.names()[:-1])
    if id is None and family is not None:
        return family
    id = id or by_key(key, ("aliases", "repositories", "titles"), catalogue, name)
    if id is None and ":" in name and key.endswith("-instruct"):
        # Ollama writes instruct where Google writes it: gemma2:9b-instruct-q4_0
        id = by_key(f"{key.removesuffix('-instruct')}-it", ("ids",), catalogue, name)
    return None if id is None else (id, ())


def by_key(
    key: str,
    kinds: Iterable[str],
    catalogue: Catalogue,
    name: str = "",
    folders: Sequence[Mapping[str, Mapping[str, str]]] | None = None,
) -> str | None:
    """The id of the model that has this name, as `canonical` writes it, as one of these kinds.
    Raises `UnknownModelError` where several have it.
    """
    for kind in kinds:
        for names in catalogue.names() if folders is None else folders:
            ids = names[kind].get(key, "").split("/")
            if len(ids) > 1:
                raise UnknownModelError(
                    f"{cut_short(name or key)} may mean {', '.join(ids[:-1])} or {ids[-1]}",
                    nearest=ids,
                    remedy="type one of these names in full",
                )
            if ids[0]:
                return ids[0]
    return None


def family_entry(key: str, catalogue: Catalogue) -> tuple[str, Mapping[str, Any]]:
    """A family's name as its dated entry writes it, and the entry; both empty without one."""
    return catalogue.common_tables("families", "family").get(key, ("", {}))


def _family(key: str, catalogue: Catalogue) -> Match | None:
    """A bare family name: the model that its dated entry names, if there is a spec of it."""
    name, family = family_entry(key, catalogue)
    model, loaded = family.get("model"), family.get("ollama")
    if model is None or model not in catalogue:
        return None
    why = (family.get("why") or "").strip().rstrip(".")
    taken = f"{name} is a family; this answer is for {model}" + (f" ({why})." if why else ".")
    notes = [family.get("note") or taken]
    if loaded:
        caveat = "" if loaded in catalogue else ", which is not in the catalogue"
        if "ollama_needs" in family:
            caveat += f" and needs as much as {family['ollama_needs']}"
        notes.append(f"Ollama's tag {name} loads another model: {loaded}{caveat}.")
    others = [id for id in family.get("others") or () if id in catalogue and id != model]
    if others:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        named = ", ".join(others[:MOST_NAMED])
        notes.append(f"Its family also has {named}{more}: selfhost list {name}")
    return model, tuple(notes)


def _in_ollama(name: str, catalogue: Catalogue) -> Match | None:
    """What Ollama's library loads by a name, which may be another model than it means elsewhere."""
    family = family_entry(canonical(name), catalogue)[1]
    loaded, model = family.get("ollama"), family.get("model")
    if loaded is None:
        return named_directly(name, catalogue)
    if loaded not in catalogue:
        others = (family.get("ollama_needs"), model, *(family.get("others") or ()))
        raise not_listed(name, loaded, others, catalogue)
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {model}.",)


def not_listed(
    name: str, loaded: str, others: Iterable[str | None], catalogue: Catalogue
) -> UnknownModelError:
    """The error for a name by which Ollama loads a model that has no spec."""
    nearest = [other for other in others if other is not None and other in catalogue]
    message = f"Ollama's {cut_short(name)} is {loaded}, which is not in the catalogue"
    return UnknownModelError(message, nearest=nearest[:5], remedy=SEE_NAMES)


# what providers of closed models append for one state of a model: gpt-4o-2024-08-06, gpt-4-0613,
# claude-3-opus-20240229, gemini-1.5-pro-002, claude-3-5-sonnet-latest
_MONTH_AND_DAY = r"(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"
_SNAPSHOT = pattern(
    rf"(?i)[-@_ :](?:(?:preview|exp)-)?(?:20\d\d-?{_MONTH_AND_DAY}|{_MONTH_AND_DAY}"
    r"|00[1-9]|latest)$"
)
# letters of a short account: `ibm` for ibm-granite
_SHORTEST_ACCOUNT = 3


def _by_maker(base: str, owner: str, catalogue: Catalogue) -> Match | None:
    """A model by its maker's name in front (`Meta Llama 3`), a closed one by a reseller's account
    or a snapshot (`openai/gpt-4o-2024-08-06`), an open one by its account in short (`ibm/…`).
    """
    snapshot = _SNAPSHOT.search(base)
    plain = base[: snapshot.start()] if snapshot else base
    try:
        if not owner and snapshot is None:
            return _after_maker(base, catalogue)
        match = named_directly(f"{owner}/{plain}" if owner else plain, catalogue)
        match = match or named_directly(plain, catalogue)
        spec = catalogue.spec(match[0]) if match is not None else None
    except (UnknownModelError, SpecError):
        return None
    if match is None or spec is None or not _is_account_of(owner, spec):
        return None
    if snapshot is None:
        return match
    note = (
        f"{base} is a dated snapshot; this answer is for {spec.id}. Its price and end date may"
        " differ."
    )
    return (spec.id, (note,)) if spec.closed else None


def _is_account_of(owner: str, spec: ModelSpec) -> bool:
    """Whether a closed model is sold by that account, or it is that of an open one's repository
    in short.
    """
    if spec.closed:
        # Google's API writes models/gemini-1.5-pro
        account = owner.rpartition("/")[2].lower()
        return account in ("", "models") or _letters_of(account) in _makers(spec)
    account = _letters_of(owner)
    whole = _letters_of((spec.repository or "").partition("/")[0])
    is_shorter = len(whole) > len(account) >= _SHORTEST_ACCOUNT
    return is_shorter and whole.startswith(account) and "/" not in owner


def _after_maker(name: str, catalogue: Catalogue) -> Match | None:
    words = canonical(name).split("-")
    for count in (1, 2):
        maker = "".join(words[:count])
        match = named_directly("-".join(words[count:]), catalogue) if len(maker) > 2 else None
        makers = _makers(catalogue.spec(match[0])) if match else set()
        if any(named.startswith(maker) for named in makers):
            return match
    return None


def _makers(spec: ModelSpec) -> set[str]:
    provider = spec.availability.provider if spec.availability else None
    return {_letters_of(maker) for maker in (spec.developer, provider) if maker}


def _letters_of(name: str) -> str:
    """As accounts of resellers write a company: x-ai for xAI, mistralai for Mistral AI."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


# ------------------------------------------------------------------- what the name states

# what Hugging Face allows in the name of a repository; it is printed in lines to type
_REPOSITORY = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_GGUF_REPOSITORY = pattern(rf"(?i)({_REPOSITORY.pattern}gguf)(?<!\.gguf)(?::.*)?")
# the type of GGUF that is as large as FP8, one byte a weight: Q8_0 has 34 bytes for 32
_AS_LARGE_AS_FP8 = "Q8_0"
_FP8 = pattern(r"(?i)(?:^|[-_.])(?:fp8(?:mixed)?|float8)(?![a-z0-9])")
# files of whisper.cpp (ggml-large-v3-turbo-q5_0.bin), and conversions for CTranslate2
_GGML = pattern(r"(?i)ggml-(.+?)(?:-(q[458]_[01]))?\.bin")
_CTRANSLATE2 = pattern(r"(?i)faster-((?:distil-)?whisper-.+?)(?:-ct2)?")


def in_form(match: Match, form: Form | None, name: str, catalogue: Catalogue) -> Resolution | None:
    """The model in the form that its name states; None where no program is judged in that form."""
    spec_id, notes = match
    held = _GGUF_REPOSITORY.fullmatch(name)
    gguf_repository = held[1] if held else None
    if form is None:
        return Resolution(spec_id=spec_id, notes=notes, repository=gguf_repository)
    if not form.is_sized or not serves(form, spec_id, catalogue):
        return _in_eight_bits(match, form, catalogue)
    quantization, form_notes = form.quantization, form.notes
    if _is_wide_qat(form, spec_id, name, catalogue):
        from .forms import QAT_AS_PUBLISHED

        quantization, form_notes = f"{TRAINED_FOR}Q4_0", (QAT_AS_PUBLISHED,)
        if name.endswith(".gguf"):
            gguf_repository = f"{catalogue.spec(spec_id).repository}-qat-q4_0-gguf"
    repository = name if form.runtime and _REPOSITORY.fullmatch(name) else None
    return Resolution(
        spec_id=spec_id,
        quantization=quantization,
        runtime=form.runtime,
        notes=(*notes, *form_notes),
        repository=repository if form.runtime else gguf_repository,
    )


def serves(form: Form, spec_id: str, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    modality = catalogue.spec(spec_id).modality if form.runtime else ""
    if form.runtime is None or modality not in ("image", "video"):
        return True
    return modality in catalogue.runtime(form.runtime).modalities


def _in_eight_bits(match: Match, form: Form, catalogue: Catalogue) -> Resolution | None:
    """A model of pictures or video in a file of FP8, as ComfyUI loads it, in the type of GGUF that
    is as large; None in any other form, and where no program loads such files of it.
    """
    parts = [each for id in catalogue.runtime_ids() for each in catalogue.runtime(id).parts]
    loaded = {each.model for each in parts if _AS_LARGE_AS_FP8 in each.quantizations}
    if not _FP8.search(form.written) or match[0] not in loaded:
        return None
    note = (
        "A file in FP8 has a byte for each weight, and ComfyUI loads it. Judged as"
        f" {_AS_LARGE_AS_FP8}, which takes 6 % more."
    )
    return Resolution(spec_id=match[0], quantization=_AS_LARGE_AS_FP8, notes=(*match[1], note))


def _is_wide_qat(form: Form, spec_id: str, name: str, catalogue: Catalogue) -> bool:
    """Whether a name is one of the maker's weights that were trained for 4 bits, of an architecture
    of which these are published with the token table in 16.
    """
    publisher, _, file = name.rpartition("/")
    if publisher.lower() not in ("", "google", "library"):
        return False
    spec = catalogue.spec(spec_id)
    # Google's own files are called as any converter's but for the case of the type: stduhpf's card
    # of gemma-3-27b-it-qat-q4_0-gguf-small links it, and public programs load those of 1B to 12B
    is_makers = file == f"{(spec.repository or '').rpartition('/')[2]}-q4_0.gguf"
    rows = catalogue.common("architectures")["architecture"]
    row = rows.get(spec.architecture.row) if spec.architecture else None
    return (form.is_qat or is_makers) and bool(row and row.get("wide_qat_table"))


def _whisper(name: str, catalogue: Catalogue) -> Resolution | None:
    """A Whisper in the files of another program, as these name it."""
    rest = name.rpartition("/")[2]
    file, folder = _GGML.fullmatch(rest), _CTRANSLATE2.fullmatch(rest)
    whisper = f"whisper-{file[1]}" if file else None
    whisper = folder[1] if folder else whisper
    match = named_directly(whisper, catalogue) if whisper else None
    if match is None:
        return None
    return Resolution(
        spec_id=match[0],
        # CTranslate2 computes in what the machine is fast at, whatever the file holds
        quantization=(file[2] or "f16").upper() if file else None,
        runtime="whisper.cpp" if file else "faster-whisper",
        notes=match[1],
    )


def as_published(typed: str, name: str, resolution: Resolution, catalogue: Catalogue) -> Resolution:
    """In the type of the published file of that very name, or in the one that the account of the
    repository means: Microsoft's `Phi-3-mini-4k-instruct-q4.gguf` holds Q4_K_M, Unsloth's
    `Q4_K_XL` is the file `UD-Q4_K_XL`.
    """
    file, exact = name.rpartition("/")[2], None
    if file.lower().endswith(".gguf"):
        files = catalogue.spec(resolution.spec_id).files
        pairs = [pair for each in files if each.format == "gguf" for pair in each.names.items()]
        exact = next((type for type, named in pairs if named == file), None)
    if exact is not None:
        resolution = resolution.replace(quantization=exact, runtime=None)
    elif resolution.quantization is not None and "/" in name:
        named = _type_of_account(name, resolution.quantization, resolution.spec_id, catalogue)
        resolution = resolution.replace(quantization=named)
    is_gguf = resolution.runtime is None and resolution.quantization is not None
    is_one = not any(sign.isspace() or sign in "@/\\" for sign in bare_name(typed))
    return resolution.replace(names_file=is_gguf and resolution.repository is None and is_one)


def _type_of_account(name: str, quantization: str, spec_id: str, catalogue: Catalogue) -> str:
    """The type that the account of a repository means by the one that was typed."""
    naming = catalogue.common("quantizations")["publisher"].get(name.partition("/")[0].lower())
    if naming is None:
        return quantization
    prefixed, repository = f"{naming['prefix']}{quantization}", name.partition(":")[0].lower()
    listings = [
        files.quantizations
        for files in catalogue.spec(spec_id).files
        if files.listed and (files.repository or "").lower() == repository
    ]
    is_alone = any(prefixed in types and quantization not in types for types in listings)
    return prefixed if is_alone or quantization in naming["types"] else quantization


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    return set(_SIZE.findall(canonical(name)))


def cut_short(text: str, most: int = 60) -> str:
    """What was typed, safe to print: in quotes, cut short, control characters escaped."""
    cut = text[:most] + ("…" if len(text) > most else "")
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
    return f'"{shown}"'
