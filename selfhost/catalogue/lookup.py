"""A name held against ids, aliases, repositories, tags of Ollama, files and families: as it is,
then without the words for the form of the weights at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.errors import SelfhostError, SpecError, UnknownModelError
from ..core.records import Record, pattern
from ..core.spelling import canonical, canonical_of_each
from .index import Catalogue
from .pasted import bare_name, unrouted, unwrap
from .quantization_names import TRAINED_FOR

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .forms import Form
    from .spec import ModelSpec

# the longest repository id that Hugging Face allows has 96 + 1 + 96 characters; an address of a
# file in it adds a few dozen
MAX_NAME_LENGTH = 400
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
        resolution = resolution or _of_speech(each, catalogue)
        if resolution is not None:
            return as_published(typed, each, resolution, catalogue)
    return None


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that goes by this name, None where no single one does."""
    if len(name) > MAX_NAME_LENGTH or not canonical(name):
        return None
    try:
        resolution = look_up(name, catalogue)
    except SelfhostError:
        return None
    return resolution.spec_id if resolution else None


def id_of_whole_name(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model whose id, repository or repository's own name this is; None for a
    family, an alias, and what several have.
    """
    key = canonical(name) if len(name) <= MAX_NAME_LENGTH else ""
    try:
        return by_key(key, ("ids", "repositories", "titles"), catalogue) if key else None
    except SelfhostError:
        return None


# ---------------------------------------------- as it is, then without the form at its end


def known_form(name: str, catalogue: Catalogue) -> tuple[Match, Form | None] | None:
    """A known model and what the rest of the name says of its files; None where the name holds no
    known one, or may be somebody's own of the same name.
    """
    owner, _, rest = name.rpartition("/")
    is_file = rest.lower().endswith((".gguf", ".llamafile"))
    is_converter = owner.lower() in CONVERTERS
    if not is_file:
        match = match_of(rest, owner, catalogue, is_converted=is_converter)
        if match is not None:
            return match, None
    from .forms import splits

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
    # the name of a file is its original's; an alias may mean another model
    match = converted(base, catalogue) if is_converted and not owner else None
    match = match or named_directly(f"{owner}/{base}" if owner else base, catalogue)
    if match is None and is_converted:
        match = _of_converter(base, owner, catalogue)
    return match or _of_maker(base, owner, catalogue)


def _of_converter(base: str, owner: str, catalogue: Catalogue) -> Match | None:
    match = converted(base, catalogue) if owner else None
    # bartowski's files have the account in front: `nvidia_Nemotron-Mini-4B-Instruct`
    account, line, rest = base.partition("_")
    return match or (converted(rest, catalogue) if account and line else None)


def converted(name: str, catalogue: Catalogue) -> Match | None:
    """The original of a conversion, by its whole name: an alias such as llama-3.2-3b may mean
    another one (the base model).
    """
    key = canonical(name)
    # some publishers write the type of the original, too
    for spelled in (key, f"{key}-bf-16"):
        id = by_key(spelled, ("repositories", "titles", "ids"), catalogue, name)
        if id is not None:
            return id, ()
    return None


def named_directly(name: str, catalogue: Catalogue) -> Match | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title."""
    key = canonical(name)
    if not key:
        return None
    match = _by_any_name(key, name, catalogue)
    facts = catalogue.common_tables("families", "tag").get(key, ("", {}))[1]
    loaded = facts.get("loads") if ":" in name else None
    own_names = [names[kind] for names in catalogue.names()[:-1] for kind in ("ids", "aliases")]
    if (
        not isinstance(loaded, str)
        or loaded not in catalogue
        or any(key in names for names in own_names)
    ):
        return match
    if match is None or match[0] == loaded:
        return loaded, ()
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {match[0]}.",)


def _by_any_name(key: str, name: str, catalogue: Catalogue) -> Match | None:
    family, folders = _family(key, catalogue), catalogue.names()
    id = by_key(key, ("ids",), catalogue, name)
    if id is not None:
        # a full name needs no word on how it was taken, only on what else there is
        if family is None or family[0] != id:
            return id, ()
        is_explained = "note" in family_entry(key, catalogue)[1]
        return id, family[1] if is_explained else family[1][1:]
    id = by_key(key, ("aliases",), catalogue, name, folders[:-1])
    if id is None and family is not None:
        return family
    id = id or by_key(key, ("aliases", "repositories", "titles"), catalogue, name)
    if id is None and ":" in name and key.endswith("-instruct"):
        # Ollama writes instruct where Google writes it: gemma2:9b-instruct-q4_0
        id = by_key(f"{key[: -len('-instruct')]}-it", ("ids",), catalogue, name)
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
    model = family.get("model")
    if not isinstance(model, str) or model not in catalogue:
        return None
    why = str(family.get("why") or "").strip().rstrip(".")
    taken = f"{name} is a family; this answer is for {model}" + (f" ({why})." if why else ".")
    notes = [str(family.get("note") or taken)]
    loaded = family.get("ollama")
    if loaded:
        same_layers = family.get("ollama_needs")
        caveat = "" if loaded in catalogue else ", which is not in the catalogue"
        caveat += f" and needs as much as {same_layers}" if same_layers else ""
        notes.append(f"Ollama's tag {name} loads another model: {loaded}{caveat}.")
    others = [id for id in texts_in(family.get("others")) if id in catalogue and id != model]
    if others:
        notes.append(others_of_family(others, name))
    return model, tuple(notes)


def others_of_family(others: Sequence[str], name: str) -> str:
    """The sentence that names the first of a family's other models, of which there is one."""
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"Its family also has {', '.join(others[:MOST_NAMED])}{more}: selfhost list {name}"


def _in_ollama(name: str, catalogue: Catalogue) -> Match | None:
    """What Ollama's library loads by a name, which may be another model than it means elsewhere."""
    family = family_entry(canonical(name), catalogue)[1]
    loaded, model = family.get("ollama"), family.get("model")
    if not isinstance(loaded, str):
        return named_directly(name, catalogue)
    if loaded not in catalogue:
        others = (family.get("ollama_needs"), model, *texts_in(family.get("others")))
        raise not_listed(name, loaded, others, catalogue)
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {model}.",)


def not_listed(
    name: str, loaded: str, others: Iterable[object], catalogue: Catalogue
) -> UnknownModelError:
    """The error for a name by which Ollama loads a model that has no spec."""
    nearest = [other for other in others if isinstance(other, str) and other in catalogue]
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


def _of_maker(base: str, owner: str, catalogue: Catalogue) -> Match | None:
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
    if match is None or spec is None:
        return None
    if spec.closed:
        return _of_seller(spec, match, base if snapshot else "", owner)
    return match if snapshot is None and _is_in_short(owner, spec) else None


def _is_in_short(owner: str, spec: ModelSpec) -> bool:
    """Whether an account is that of the model's repository in short: `ibm` of ibm-granite."""
    account = _letters_of(owner)
    whole = _letters_of((spec.repository or "").partition("/")[0])
    is_shorter = len(whole) > len(account) >= _SHORTEST_ACCOUNT
    return is_shorter and whole.startswith(account) and "/" not in owner


def _of_seller(spec: ModelSpec, match: Match, snapshot: str, owner: str) -> Match | None:
    """A closed model by the account that sells it; `snapshot` is the name of a dated one."""
    # Google's API writes models/gemini-1.5-pro
    account = owner.rpartition("/")[2].lower()
    is_sold = account in ("", "models") or _letters_of(account) in _makers(spec)
    if not is_sold or spec.availability is None:
        return None
    note = (
        f"{snapshot} is a dated snapshot; this answer is for {spec.id}. Its price and end date may"
        " differ."
    )
    return spec.id, (note,) if snapshot else match[1]


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
    from ..core.units import decimal
    from .forms import fp8_bytes

    size_bytes = fp8_bytes(catalogue.spec(match[0]), form)
    loaded = [
        parts.model
        for id in catalogue.runtime_ids()
        for parts in catalogue.runtime(id).parts
        if _AS_LARGE_AS_FP8 in parts.quantizations
    ]
    if size_bytes is None or match[0] not in loaded:
        return None
    note = (
        f"A file in FP8 has {decimal(size_bytes)}, a byte for each weight, and ComfyUI loads it."
        f" Judged as {_AS_LARGE_AS_FP8}, which takes 6 % more."
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


# files of whisper.cpp (ggml-large-v3-turbo-q5_0.bin), and conversions for CTranslate2
_GGML = pattern(r"(?i)ggml-(.+?)(?:-(q[458]_[01]))?\.bin")
_CTRANSLATE2 = pattern(r"(?i)faster-((?:distil-)?whisper-.+?)(?:-ct2)?")


def _of_speech(name: str, catalogue: Catalogue) -> Resolution | None:
    """A Whisper in the files of another program, as these name it."""
    rest = name.rpartition("/")[2]
    file, folder = _GGML.fullmatch(rest), _CTRANSLATE2.fullmatch(rest)
    if file is None and folder is None:
        return None
    whisper = f"whisper-{file[1]}" if file else str(folder and folder[1])
    match = named_directly(whisper, catalogue)
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
    quantization = _type_of_file(name, resolution, catalogue)
    if quantization is not None:
        resolution = resolution.replace(quantization=quantization, runtime=None)
    elif resolution.quantization is not None and "/" in name:
        named = _type_of_account(name, resolution.quantization, resolution.spec_id, catalogue)
        resolution = resolution.replace(quantization=named)
    is_gguf = resolution.runtime is None and resolution.quantization is not None
    is_one = not any(sign.isspace() or sign in "@/\\" for sign in bare_name(typed))
    return resolution.replace(names_file=is_gguf and resolution.repository is None and is_one)


def _type_of_file(name: str, resolution: Resolution, catalogue: Catalogue) -> str | None:
    """The type of the published GGUF file of that very name; None without one."""
    file = name.rpartition("/")[2]
    if not file.lower().endswith(".gguf"):
        return None
    listings = catalogue.spec(resolution.spec_id).files
    names = (files.names.items() for files in listings if files.format == "gguf")
    return next((each for pairs in names for each, named in pairs if named == file), None)


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


def is_thing(name: str, catalogue: Catalogue) -> bool:
    """Whether a name is that of a program, a service or another thing that is no model."""
    things = catalogue.common_tables("things", "thing")
    return canonical(name) in things or canonical(name.rpartition("/")[2]) in things


def alike_by_name(catalogue: Catalogue) -> Mapping[str, str]:
    """By the name of a repository without its account, as `canonical` writes it: the model whose
    layers it has.
    """
    by_name: dict[str, str] | None = catalogue.derived.get("alike")
    if by_name is None:
        by_name = catalogue.derived["alike"] = {}
        for id, repositories in catalogue.common("alike")["alike"].items():
            names = [repository.rpartition("/")[2] for repository in repositories]
            by_name.update(dict.fromkeys(canonical_of_each(names), id))
    return by_name


def texts_in(value: object) -> list[str]:
    """The texts of a list in a file; none of anything else."""
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def cut_short(text: str, most: int = 60) -> str:
    """What was typed, safe to print: in quotes, cut short, control characters escaped."""
    cut = text[:most] + ("…" if len(text) > most else "")
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
    return f'"{shown}"'
