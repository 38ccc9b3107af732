"""Which model a name means, and what the name states of its files: the readings of a name, from
the surest on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..core.errors import UnknownModelError
from ..core.records import Record, pattern
from ..core.spelling import canonical
from .forms import Form, splits
from .index import Catalogue
from .pasted import LIBRARY, bare_name, unrouted, unwrap
from .quantization_names import TRAINED_FOR

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .index import Outline
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
# the model of a part of a name: what stands before its form, the account, the form
_Reading = Callable[[str, str, Form | None, Catalogue], Match | None]


def read(typed: str, readings: Sequence[_Reading], catalogue: Catalogue) -> Resolution | None:
    """The model of a name by these readings, with what the name states of its files. Raises
    `UnknownModelError` where the name fits several models.
    """
    name = unwrap(typed)
    for each in dict.fromkeys((name, unrouted(name, catalogue))):
        # what is known of Ollama's library is known as it is
        plain = each if _as_it_is in readings else each.removeprefix(LIBRARY)
        for match, form in matches(plain, readings, catalogue):
            resolution = _in_form(match, form, each, catalogue)
            if resolution is not None:
                if _as_it_is not in readings:
                    # none of the typed spelling is known
                    resolution = resolution.replace(repository=None)
                return _as_published(typed, each, resolution, catalogue)
        resolution = _whisper(each, catalogue)
        if resolution is not None:
            return resolution
    return None


def matches(
    name: str, readings: Sequence[_Reading], catalogue: Catalogue
) -> Iterator[tuple[Match, Form | None]]:
    """Known models, each with what the rest of the name says of its files."""
    owner, _, rest = name.rpartition("/")
    for base, form in ((rest, None), *splits(rest, "" if owner == "library" else owner)):
        for reading in readings:
            match = reading(base, owner, form, catalogue)
            if match is not None and not (form and catalogue.is_closed(match[0])):
                yield match, form


def library_tag(typed: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """What was typed, as Ollama's library writes that tag of the model; None for any other name."""
    if ":" not in typed:
        return None
    tags = [alias for alias in spec.aliases if ":" in alias]
    for spelling, facts in catalogue.common_tables("families", "tag").values():
        if facts.get("loads") == spec.id:
            tags.append(spelling)
    name = _letters(bare_name(typed))
    return next((tag for tag in tags if _letters(tag) == name), None)


def cut_short(text: str, most: int = 60) -> str:
    """What was typed, safe to print: in quotes, cut short, control characters escaped."""
    cut = text[:most] + ("…" if len(text) > most else "")
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
    return f'"{shown}"'


# ------------------------------------------------------------------------- one name, one model


def named(name: str, catalogue: Catalogue) -> Match | None:
    """The model of an id, an alias, a family, a tag of Ollama, a repository or a title. Raises
    `UnknownModelError` where several have the name.
    """
    key = canonical(name)
    own = by_key(key, ("ids", "aliases"), catalogue, name, catalogue.names()[:-1])
    id = by_key(key, ("ids",), catalogue, name)
    if own is not None and id in (None, own):
        return own, ()
    match = _in_family(key, catalogue)
    if id is not None and (match is None or match[0] != id):
        match = id, ()
    if match is None:
        id = by_key(key, ("aliases", "repositories", "titles"), catalogue, name)
        match = None if id is None else (id, ())
    return _as_tag(name, key, match, catalogue) if ":" in name else match


def _as_tag(name: str, key: str, match: Match | None, catalogue: Catalogue) -> Match | None:
    """What Ollama loads by a tag, which may be another model than its name means elsewhere."""
    loaded = catalogue.common_tables("families", "tag").get(key, ("", {}))[1].get("loads")
    if loaded is not None and loaded in catalogue:
        if match is None or match[0] == loaded:
            return loaded, ()
        return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {match[0]}.",)
    if match is None and key.endswith("-instruct"):
        # Ollama writes instruct where Google writes it: gemma2:9b-instruct-q4_0
        id = by_key(f"{key.removesuffix('-instruct')}-it", ("ids",), catalogue, name)
        match = None if id is None else (id, ())
    return match


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


def _original(name: str, catalogue: Catalogue) -> Match | None:
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


def _in_family(key: str, catalogue: Catalogue) -> Match | None:
    """A bare family name: the model that its dated entry names, if there is a spec of it."""
    name, family = catalogue.common_tables("families", "family").get(key, ("", {}))
    model, loaded = family.get("model"), family.get("ollama")
    if model is None or model not in catalogue:
        return None
    notes = []
    if "note" in family:
        notes = [family["note"]]
    elif key != canonical(model):
        # a full name needs no word on how it was taken, only on what else there is
        why = f" ({family['why'].rstrip('.')})" if "why" in family else ""
        notes = [f"{name} is a family; this answer is for {model}{why}."]
    if loaded:
        caveat = "" if loaded in catalogue else ", which is not in the catalogue"
        if "ollama_needs" in family:
            caveat += f" and needs as much as {family['ollama_needs']}"
        notes.append(f"Ollama's tag {name} loads another model: {loaded}{caveat}.")
    others = [id for id in family.get("others") or () if id in catalogue and id != model]
    if others:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        shown = ", ".join(others[:MOST_NAMED])
        notes.append(f"Its family also has {shown}{more}: selfhost list {name}")
    return model, tuple(notes)


def _in_ollama(name: str, catalogue: Catalogue) -> Match | None:
    """What Ollama's library loads by a name, which may be another model than it means elsewhere."""
    families = catalogue.common_tables("families", "family")
    family = families.get(canonical(name), ("", {}))[1]
    loaded, model = family.get("ollama"), family.get("model")
    if loaded is None:
        return named(name, catalogue)
    if loaded not in catalogue:
        others = (family.get("ollama_needs"), model, *(family.get("others") or ()))
        raise _not_listed(name, loaded, others, catalogue)
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {model}.",)


def _not_listed(
    name: str, loaded: str, others: Iterable[str | None], catalogue: Catalogue
) -> UnknownModelError:
    """The error for a name by which Ollama loads a model that has no spec."""
    nearest = [other for other in others if other is not None and other in catalogue]
    message = f"Ollama's {cut_short(name)} is {loaded}, which is not in the catalogue"
    return UnknownModelError(message, nearest=nearest[:5], remedy=SEE_NAMES)


# ------------------------------------------------------------- the readings of a part of a name


def known_form(name: str, catalogue: Catalogue) -> tuple[Match, Form | None] | None:
    """A known model and what the rest of the name says of its files; None where the name holds no
    known one, or may be somebody's own of the same name.
    """
    return next(matches(name, AS_IT_IS, catalogue), None)


def _as_it_is(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    is_latest = base.lower().endswith(":latest")
    base = base[: -len(":latest")] if is_latest else base
    if owner == "library" or (is_latest and not owner):
        return _in_ollama(base, catalogue)
    if form is None and base.lower().endswith((".gguf", ".llamafile")):
        return None
    return _in_account(base, owner, form, catalogue)


def _in_account(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    is_file, match = form is not None and form.is_file, None
    if is_file and not owner:
        # the name of a file is its original's; an alias may mean another model
        match = _original(base, catalogue)
    match = match or named(f"{owner}/{base}" if owner else base, catalogue)
    # a form that others make is evidence enough; of files that hold the weights as they are only an
    # account that publishes no others
    is_made = bool(owner and form and not form.is_container)
    if match is not None or not (is_file or is_made or owner.lower() in CONVERTERS):
        return match
    # bartowski's files have the account in front: `nvidia_Nemotron-Mini-4B-Instruct`
    return _original(base, catalogue) or _original(base.partition("_")[2], catalogue)


# what providers of closed models append for one state of a model: gpt-4o-2024-08-06, gpt-4-0613,
# claude-3-opus-20240229, gemini-1.5-pro-002, claude-3-5-sonnet-latest
_MONTH_AND_DAY = r"(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"
_SNAPSHOT = pattern(
    rf"(?i)[-@_ :](?:(?:preview|exp)-)?(?:20\d\d-?{_MONTH_AND_DAY}|{_MONTH_AND_DAY}"
    r"|00[1-9]|latest)$"
)


def _by_maker(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    """A model by its maker's name in front (`Meta Llama 3`), a closed one by a reseller's account
    or a snapshot (`openai/gpt-4o-2024-08-06`), an open one by its account in short (`ibm/…`).
    """
    plain, words = _SNAPSHOT.sub("", base), canonical(base).split("-")
    makers = [(owner.rpartition("/")[2], plain)]
    if not owner and plain == base:
        makers = [("".join(words[:count]), "-".join(words[count:])) for count in (1, 2)]
    for maker, rest in makers:
        match = _unambiguous(rest, catalogue)
        if match is None:
            continue
        spec = catalogue.spec(match[0])
        if not _is_maker(_alnum(maker), owner, spec):
            continue
        if plain == base:
            return match if maker else None
        if spec.closed:
            note = f"{base} is a dated snapshot; this answer is for {spec.id}. Its price and end"
            return spec.id, (f"{note} date may differ.",)
    return None


def _is_maker(letters: str, owner: str, spec: ModelSpec) -> bool:
    """Whether that name may stand before a model. Under its whole account an open one has the names
    of its repositories alone.
    """
    provider = spec.availability.provider if spec.availability else None
    companies = [_alnum(name) for name in (spec.developer, provider) if name]
    if owner and not spec.closed:
        account = _alnum((spec.repository or "").partition("/")[0])
        companies = [account] if account != letters else []
    # Google's API writes models/gemini-1.5-pro
    if spec.closed and letters in ("", "models", *companies):
        return True
    return len(letters) >= 3 and any(each.startswith(letters) for each in companies)


def _unambiguous(name: str, catalogue: Catalogue) -> Match | None:
    try:
        return named(name, catalogue)
    except UnknownModelError:
        return None


def _alnum(name: str) -> str:
    """As accounts of resellers write a company: x-ai for xAI, mistralai for Mistral AI."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


# ------------------------------------------------------------------- what the name states

# what Hugging Face allows in the name of a repository; it is printed in lines to type
_REPOSITORY = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_GGUF_REPOSITORY = pattern(rf"(?i)({_REPOSITORY.pattern}gguf)(?<!\.gguf)(?::.*)?")
# files of whisper.cpp (ggml-large-v3-turbo-q5_0.bin), and conversions for CTranslate2
_GGML = pattern(r"(?i)ggml-(.+?)(?:-(q[458]_[01]))?\.bin")
_CTRANSLATE2 = pattern(r"(?i)faster-((?:distil-)?whisper-.+?)(?:-ct2)?")


def _in_form(match: Match, form: Form | None, name: str, catalogue: Catalogue) -> Resolution | None:
    """The model in the form that its name states; None where no program is judged in that form."""
    (spec_id, notes), held = match, _GGUF_REPOSITORY.fullmatch(name)
    repository = held[1] if held else None
    if form is None:
        return Resolution(spec_id=spec_id, notes=notes, repository=repository)
    sentences = catalogue.common("quantizations")["form"]
    if not form.is_sized or not serves(form, spec_id, catalogue):
        return None
    quantization, said = form.quantization, form.notes
    if _is_wide_qat(form, spec_id, name, catalogue):
        quantization, said = f"{TRAINED_FOR}Q4_0", ("qat_as_published",)
        if name.endswith(".gguf"):
            repository = f"{catalogue.spec(spec_id).repository}-qat-q4_0-gguf"
    if form.runtime:
        repository = name if _REPOSITORY.fullmatch(name) else None
    return Resolution(
        spec_id=spec_id,
        quantization=quantization,
        runtime=form.runtime,
        notes=(*notes, *(sentences[key].format(form=form) for key in said)),
        repository=repository,
    )


def serves(form: Form, spec_id: str, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    modality = catalogue.spec(spec_id).modality if form.runtime else ""
    if form.runtime is None or modality not in ("image", "video"):
        return True
    return modality in catalogue.runtime(form.runtime).modalities


def _is_wide_qat(form: Form, spec_id: str, name: str, catalogue: Catalogue) -> bool:
    """Whether a name is one of the maker's weights that were trained for 4 bits, of an architecture
    of which these are published with the token table in 16.
    """
    publisher, _, file = name.rpartition("/")
    spec = catalogue.spec(spec_id)
    if publisher.lower() not in ("", "google", "library") or spec.architecture is None:
        return False
    # Google's own files are called as any converter's but for the case of the type: stduhpf's card
    # of gemma-3-27b-it-qat-q4_0-gguf-small links it, and public programs load those of 1B to 12B
    is_makers = file == f"{(spec.repository or '').rpartition('/')[2]}-q4_0.gguf"
    row = catalogue.common("architectures")["architecture"].get(spec.architecture.row)
    return (form.is_qat or is_makers) and bool(row and row.get("wide_qat_table"))


def _whisper(name: str, catalogue: Catalogue) -> Resolution | None:
    """A Whisper in the files of another program, as these name it."""
    rest = name.rpartition("/")[2]
    file, folder = _GGML.fullmatch(rest), _CTRANSLATE2.fullmatch(rest)
    whisper = folder[1] if folder else None
    whisper = f"whisper-{file[1]}" if file else whisper
    match = named(whisper, catalogue) if whisper else None
    if match is None:
        return None
    return Resolution(
        spec_id=match[0],
        # CTranslate2 computes in what the machine is fast at, whatever the file holds
        quantization=(file[2] or "f16").upper() if file else None,
        runtime="whisper.cpp" if file else "faster-whisper",
        notes=match[1],
    )


def _as_published(
    typed: str, name: str, resolution: Resolution, catalogue: Catalogue
) -> Resolution:
    """In the type of the published file of that very name, or in the one that the account of the
    repository means.
    """
    quantization = resolution.quantization
    if name.lower().endswith(".gguf"):
        # Microsoft's `Phi-3-mini-4k-instruct-q4.gguf` holds Q4_K_M
        files, file = catalogue.spec(resolution.spec_id).files, name.rpartition("/")[2]
        names = [pair for each in files if each.format == "gguf" for pair in each.names.items()]
        exact = next((type for type, each in names if each == file), None)
        if exact is not None:
            resolution = resolution.replace(quantization=exact, runtime=None)
    elif quantization is not None and "/" in name:
        meant = _type_of_account(name, quantization, resolution.spec_id, catalogue)
        resolution = resolution.replace(quantization=meant)
    if resolution.runtime or resolution.quantization is None or resolution.repository is not None:
        return resolution
    is_single = not any(sign.isspace() or sign in "@/\\" for sign in bare_name(typed))
    return resolution.replace(names_file=is_single)


def _type_of_account(name: str, quantization: str, spec_id: str, catalogue: Catalogue) -> str:
    """The type that the account of a repository means: Unsloth's `Q4_K_XL` is `UD-Q4_K_XL`."""
    publishers = catalogue.common("quantizations")["publisher"]
    publisher = publishers.get(name.partition("/")[0].lower())
    if publisher is None:
        return quantization
    prefixed, repository = f"{publisher['prefix']}{quantization}", name.partition(":")[0].lower()
    is_alone = any(
        prefixed in each.quantizations and quantization not in each.quantizations
        for each in catalogue.spec(spec_id).files
        if each.listed and (each.repository or "").lower() == repository
    )
    return prefixed if is_alone or quantization in publisher["types"] else quantization


# ----------------------------------------------------- names that nobody has in that spelling

# what says nothing in a name as `canonical` writes it: the `v` of `llama-v3.1`, and signs but
# between numbers, where 1-3 and 13 differ
_SIGNS = pattern(r"-v-(?=\d)|(?<!\d)-|-(?!\d)")
# sizes in a name as `canonical` writes it
_SIZE = pattern(r"(?:\d+-)+[bm](?![a-z])")
# how publishers mark a model that follows instructions, and one that nobody tuned
_TUNED = pattern(r"(?i)[-_ ](?:instruct|chat|it)$")
_BASE = pattern(r"(?i)(?:(?<=:)(?:text|base)|[-_](?:text|base|pt|code))(?:-v\d[\d.]*)?$")
# what people leave off: a version, a date, a size, and the words for a model that was tuned
_LEFT_OFF = pattern(
    r"(?!-point)(?:-(?:\d+|point|[abemvx]|instruct|chat|it|thinking|preview|base|hf|alpha|beta))*"
)
# `granite-4.0-h-tiny` is typed `granite 4 h tiny`
_POINT_ZERO = pattern(r"(?<=\d)\.0(?![\w.])")
# `sd` begins one id and means many models
_SHORTEST_BEGINNING = 4


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    return set(_SIZE.findall(canonical(name)))


def _letters(name: str) -> str:
    """A name without the signs between its words."""
    return _SIGNS.sub("", canonical(name))


def _joined(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    """The model of a name that is known with its words joined otherwise, or without the `v` of a
    version: `gptoss:20b`. None where several are.
    """
    by_letters: dict[str, set[str]] | None = catalogue.derived.get("by letters")
    if by_letters is None:
        by_letters = catalogue.derived["by letters"] = {}
        for spelling in _all_spellings(catalogue):
            by_letters.setdefault(_letters(spelling), set()).add(spelling)
    is_converter = owner.lower() in CONVERTERS
    find = _original if is_converter else named
    spelled = by_letters.get(_letters(base if is_converter else f"{owner}/{base}"), ())
    by_id = {match[0]: match for each in spelled if (match := find(each, catalogue)) is not None}
    return by_id.popitem()[1] if len(by_id) == 1 else None


def _all_spellings(catalogue: Catalogue) -> Iterator[str]:
    for names in catalogue.names():
        for keys in names.values():
            yield from keys
    for table in ("family", "tag"):
        yield from (name for name, _ in catalogue.common_tables("families", table).values())


def _from_base(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    """The model of the same size that was tuned from the base model of this name, whose needs are
    the same; None for any other name.
    """
    if form is not None and form.runtime is not None:
        return None
    key, tags = canonical(base), catalogue.common_tables("families", "tag")
    if ":" in base and key in tags and tags[key][1].get("loads") not in (None, *catalogue.ids()):
        tag = tags[key][1]
        raise _not_listed(base, tag["loads"], tag.get("others") or (), catalogue)
    id = _tuned_from(key, owner, catalogue) or _without_base(base, owner, catalogue)
    if id is None:
        return None
    name = f"{owner}/{base}" if owner else base
    note = f"{name} is the base model that {id} was tuned from. This answer is for {id}, which"
    return id, (f"{note} needs as much.",)


def _tuned_from(key: str, owner: str, catalogue: Catalogue) -> str | None:
    """A model of that size whose training began with the base model of that name."""
    tuned = []
    for outline in catalogue.outlines():
        account, _, repository = (outline.tuned_from or "").lower().partition("/")
        is_base = repository and canonical(repository) == key
        if is_base and owner.lower() in (account, "", *CONVERTERS):
            tuned.append(outline.id)
    tuned = [id for id in tuned if sizes_in(id) >= sizes_in(key)]
    # of the same line before any other
    return min(tuned, key=lambda id: (not id.startswith(key[:4]), len(id), id), default=None)


def _without_base(name: str, owner: str, catalogue: Catalogue) -> str | None:
    """The model that a name means without the word for a base model at its end."""
    word, is_tag = _BASE.search(name), ":" in name
    # a model of Hugging Face whose name ends in "code" is made for code
    if word is None or not (is_tag or (sizes_in(name) and "code" not in word[0].lower())):
        return None
    rest = name[: word.start()]
    if rest.endswith(":"):
        rest += "latest"
    elif not is_tag and not owner:
        # the name of a file says whose it is in front
        rest = rest.partition("_")[2] or rest
    try:
        match = _as_it_is(rest, owner, None, catalogue)
    except UnknownModelError:
        return None
    return None if match is None or catalogue.is_closed(match[0]) else match[0]


def _tuned(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    """The model that follows instructions and whose name has no word for it: `qwen3-8b-instruct`
    is Qwen3 8B.
    """
    rest = _TUNED.sub("", base)
    # a family without a size has several that do
    if owner or rest == base or not sizes_in(rest):
        return None
    match = named(rest, catalogue) or _joined(rest, "", None, catalogue)
    outline = catalogue.outline(match[0]) if match else None
    if match is None or outline is None or "chat" not in (outline.uses or ()):
        return None
    return match[0], (f"{base} is read as {match[0]}, which follows instructions.", *match[1])


def _begun(base: str, owner: str, form: Form | None, catalogue: Catalogue) -> Match | None:
    """A model whose name somebody left the end off, or named by its family: the newest of one
    size.
    """
    key = _with_points(base)
    is_thing = key in catalogue.common_tables("things", "thing")
    if owner or ":" in base or len(key) < _SHORTEST_BEGINNING or is_thing:
        return None
    begun = []
    for outline in catalogue.outlines():
        own = _with_points(outline.id)
        if own in (key, f"{key}-b" if key[-1].isdecimal() else key):
            return outline.id, ()
        if own.startswith(f"{key}-") and _LEFT_OFF.fullmatch(own[len(key) :]):
            begun.append(outline)
    if not begun:
        begun = [each for each in catalogue.outlines() if canonical(each.family or "") == key]
    return _newest(base, begun)


def _with_points(name: str) -> str:
    """A name as `canonical` writes it, but 4.1 is no longer name for 4, and 4.0 is 4."""
    return canonical(_POINT_ZERO.sub("", name).replace(".", " point "))


def _newest(base: str, begun: Sequence[Outline]) -> Match | None:
    """The newest of the models that a name begins, where all are of one size."""
    sizes = {(each.parameters_total, each.parameters_active) for each in begun}
    if len(sizes) != 1 or (len(begun) > 1 and (None, None) in sizes) or begun[0].closed:
        return None
    newest = max(begun, key=lambda each: (each.released or "", -len(each.id), each.id))
    others = ", ".join(sorted(each.id for each in begun if each is not newest))
    why = f"the newest of one size; also {others}" if others else "the only one here"
    return newest.id, (f"{base} begins a longer name; this answer is for {newest.id} ({why}).",)


AS_IT_IS: Sequence[_Reading] = (_as_it_is,)
OTHERWISE: Sequence[_Reading] = (_joined, _from_base, _by_maker, _tuned, _begun)
