"""A name held against ids, aliases, repositories of Hugging Face, tags of Ollama,
files and families.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.errors import SpecError, UnknownModelError
from ..core.records import Record, pattern
from ..core.saying import differently
from ..core.spelling import canonical
from .index import Catalogue
from .paths import HOST
from .quantization_names import TRAINED_FOR

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .forms import Form
    from .spec import ModelSpec


# Accounts of Hugging Face that publish other people's models unchanged under the original's name,
# mostly as GGUF with "-GGUF" behind it. Anywhere else the same name may be a fine-tune. At least
# two public programs list each as a trusted converter (a code search, 2026-11); NousResearch, which
# also makes models of its own, is here for its copies of Meta's gated repositories, such as the
# NousResearch/Llama-2-7b-hf that llm-analysis 0.2.2 takes its figures from.
CONVERTERS = (
    "bartowski",
    "unsloth",
    "lmstudio-community",
    "TheBloke",
    "ggml-org",
    "MaziyarPanahi",
    "QuantFactory",
    "second-state",
    "mradermacher",
    "NousResearch",
    "city96",
    "QuantStack",
)


CONVERTER_ACCOUNTS = frozenset(name.lower() for name in CONVERTERS)


_IN_REPOSITORY = pattern(r"(?i)([^/]+/[^/]+)/(?:tree|blob|resolve|raw)/[^/]+(?:/.*?([^/]*))?")


# pages beside the files of a repository, and of a name in Ollama's library
_PAGE = pattern(
    r"(?i)/(?:discussions|commits?|community|summary|files?|feedback|tags|blobs)(?:/.*)?$"
)


# a repository as the cache of Hugging Face keeps it
_CACHED_FOLDER = pattern(r"models--([^/\\]+?)--([^/\\]+)")


# a file as llama.cpp's cache keeps it (common/download.cpp), with the mark of its version beside it
_IN_CACHE = pattern(r"(?i)([A-Za-z0-9-]+)_([^/\\]+?-gguf)_([^/\\]+)\.gguf(?:\.etag)?")


# what Hugging Face allows in the name of a repository; it is printed in lines to type
_REPOSITORY = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")


# what providers of closed models append for one state of a model: gpt-4o-2024-08-06, gpt-4-0613,
# claude-3-opus-20240229, gemini-1.5-pro-002, claude-3-5-sonnet-latest
_MONTH, _DAY = "(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"


_SNAPSHOT = (
    rf"[-@_ :](?:(?:preview|exp)-)?(?:20\d\d-?{_MONTH}-?{_DAY}|{_MONTH}-?{_DAY}|00[1-9]|latest)$"
)


LIST_ALL = differently("selfhost list --all", "rank().models")
_OF_CONFIG = differently("selfhost check ./config.json", 'check(Path("./config.json"))')
_OWN_SPEC = differently("selfhost check NAME --specs DIR", "check(NAME, specs=[DIR])")
SEE_NAMES = (
    f"a language model by its config.json:      {_OF_CONFIG}\n"
    f"all names in the catalogue:               {LIST_ALL}\n"
    f"with a spec of your own:                  {_OWN_SPEC}"
)


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


def understood_name(typed: str, catalogue: Catalogue) -> Resolution | None:
    name, quantization = without_address(typed.strip())
    candidate = _by_tag(name, catalogue) or find_id(name, catalogue)
    if candidate is None:
        # what a known name needs not, is read where it is needed: half a millisecond
        from .forms import stated_at_end

        stated = stated_at_end(name)
        candidate = find_id(stated[0], catalogue) if stated is not None else None
        if stated is not None and candidate is not None:
            quantization = stated[1]
    if candidate is None:
        candidate = (
            _snapshot(name, catalogue)
            or after_maker(name, catalogue)
            or _of_account_in_short(name, catalogue)
        )
    if candidate is not None:
        return Resolution(
            spec_id=candidate[0],
            quantization=quantization,
            notes=candidate[1],
            repository=_gguf_repository(name),
        )
    return (
        _in_file(name, catalogue)
        or _in_form(name, quantization, catalogue)
        or _of_speech(name, catalogue)
    )


def _gguf_repository(name: str) -> str | None:
    """The repository of a name that says that it holds GGUF files; None of any other name."""
    if "gguf" not in name.lower():
        return None
    import re

    repository = re.sub(r"(?i)(?<=gguf):.*", "", name)
    is_one = _REPOSITORY.fullmatch(repository) and repository.lower().endswith("gguf")
    return repository if is_one else None


def _in_file(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a published file, whose name repeats that of the original, with its maker's
    account in front where bartowski made it: `nvidia_Nemotron-Mini-4B-Instruct-Q4_K_M.gguf`.
    """
    if not name.lower().endswith(".gguf"):
        return None
    import re

    from .forms import splits

    stem = re.sub(r"-\d{5}-of-\d{5}$", "", name.rpartition("/")[2][:-5])
    for base, form in splits(stem):
        account, _, rest = base.partition("_")
        candidate = (
            _converted(base, catalogue)
            or (_converted(rest, catalogue) if account and rest else None)
            or find_id(base, catalogue)
        )
        if candidate is not None and form.runtime is None and form.is_sized:
            account = name.rpartition("/")[0]
            return _in(form, candidate, account, catalogue)
    return None


# files of whisper.cpp (ggml-large-v3-turbo-q5_0.bin), and conversions for CTranslate2
_GGML = r"(?i)ggml-(.+?)(?:-(q[458]_[01]))?\.bin"


_CTRANSLATE2 = r"(?i)faster-(?:distil-)?whisper-.+"


def _of_speech(name: str, catalogue: Catalogue) -> Resolution | None:
    """A Whisper in the files of another program, as these name it."""
    import re

    rest = name.rpartition("/")[2]
    file = re.fullmatch(_GGML, rest)
    if file is not None:
        candidate = find_id(f"whisper-{file[1]}", catalogue)
        runtime, quantization = "whisper.cpp", (file[2] or "f16").upper()
    elif re.fullmatch(_CTRANSLATE2, rest):
        candidate = find_id(re.sub(r"(?i)^faster-|-ct2$", "", rest), catalogue)
        # computed in what the machine is fast at, whatever the file holds
        runtime, quantization = "faster-whisper", None
    else:
        return None
    if candidate is None:
        return None
    return Resolution(
        spec_id=candidate[0], quantization=quantization, runtime=runtime, notes=candidate[1]
    )


def _in(form: Form, candidate: _Found, account: str, catalogue: Catalogue) -> Resolution:
    if (
        form.is_qat
        and account.lower() in ("", "google")
        and has_wide_qat_table(candidate[0], catalogue)
    ):
        from .forms import QAT_AS_PUBLISHED

        return Resolution(
            spec_id=candidate[0],
            quantization=f"{TRAINED_FOR}Q4_0",
            notes=(*candidate[1], QAT_AS_PUBLISHED),
        )
    return Resolution(
        spec_id=candidate[0],
        quantization=form.quantization,
        runtime=form.runtime,
        notes=(*candidate[1], *form.notes),
    )


def has_wide_qat_table(spec_id: str, catalogue: Catalogue) -> bool:
    """Whether weights of that architecture that were trained for 4 bits are published with the
    token table in 16.
    """
    spec = catalogue.spec(spec_id)
    row = spec.architecture and catalogue.common("architectures")["architecture"].get(
        spec.architecture.row
    )
    return bool(row and row.get("wide_qat_table"))


def _in_form(name: str, quantization: str | None, catalogue: Catalogue) -> Resolution | None:
    """A model in the form that the end of its name states: `-4bit`, `-AWQ`, `-qat-q4_0-gguf`.
    `quantization` is what a file of that repository states.
    """
    split = split_form(name, catalogue)
    if split is None:
        return None
    if not split[1].is_sized or not serves(split[1], split[0][0], catalogue):
        return _in_eight_bits(split[0], split[1], catalogue)
    resolution = _in(split[1], split[0], name.rpartition("/")[0], catalogue)
    if resolution.runtime and not quantization and _REPOSITORY.fullmatch(name):
        return resolution.replace(repository=name)
    if resolution.runtime is None:
        resolution = resolution.replace(repository=_gguf_repository(name))
    # a file in the repository of weights that were trained for its type
    is_the_same = resolution.quantization == f"{TRAINED_FOR}{quantization}"
    if quantization is None or is_the_same:
        return resolution
    return resolution.replace(quantization=quantization)


def serves(form: Form, spec_id: str, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    modality = catalogue.spec(spec_id).modality if form.runtime else ""
    if form.runtime is None or modality not in ("image", "video"):
        return True
    return modality in catalogue.runtime(form.runtime).modalities


# what stands for a file in FP8, one byte a weight: Q8_0 has 34 bytes for 32
_AS_LARGE_AS_FP8 = "Q8_0"


def _in_eight_bits(candidate: _Found, form: Form, catalogue: Catalogue) -> Resolution | None:
    """A model of pictures or video in a file of FP8, as ComfyUI loads it: judged in the type of
    GGUF that is as large; None in any other form, and where no program loads such files of it.
    """
    from .forms import fp8_sizes, judged_as_fp8

    spec = catalogue.spec(candidate[0])
    sizes = fp8_sizes(form.written, spec)
    programs = (catalogue.runtime(id) for id in catalogue.runtime_ids())
    loads = any(
        _AS_LARGE_AS_FP8 in parts.quantizations
        for program in programs
        for parts in program.parts
        if parts.model == spec.id
    )
    if not sizes or not loads:
        return None
    note = judged_as_fp8(sizes[0], _AS_LARGE_AS_FP8)
    return Resolution(spec_id=spec.id, quantization=_AS_LARGE_AS_FP8, notes=(*candidate[1], note))


def split_form(name: str, catalogue: Catalogue) -> tuple[_Found, Form] | None:
    """A known model and what the rest of the name says of its files; None where the name holds no
    known one, or is somebody's own of the same name.
    """
    from .forms import splits

    owner, slash, rest = name.rpartition("/")
    for base, form in splits(rest, owner):
        try:
            if not slash:
                candidate = find_id(base, catalogue)
            else:
                candidate = _of_original(base, owner, form, catalogue)
        except UnknownModelError:
            return None
        if candidate is not None and not catalogue.is_closed(candidate[0]):
            return candidate, form
    return None


def _of_original(base: str, owner: str, form: Form, catalogue: Catalogue) -> _Found | None:
    """The model that a conversion was made of, by its whole name: an alias may mean another model
    there. A form that others make is evidence enough; of files that hold the weights as they are,
    only an account that publishes no others.
    """
    # some publishers write the type of the original, too
    for whole in (f"{owner}/{base}", f"{owner}/{base}-BF16"):
        own = look_up(canonical(whole), ("repositories",), base, catalogue)
        if own is not None:
            return own
    if form.is_container and owner.lower() not in CONVERTER_ACCOUNTS:
        return None
    account, _, rest = base.partition("_")
    return _converted(base, catalogue) or (
        _converted(rest, catalogue) if account and rest else None
    )


def without_address(typed: str) -> tuple[str, str | None]:
    """A web address of a model or of a file in its repository, or the name of such a file in the
    cache of llama.cpp -> the name, and the quantization that the file name states.
    """
    cached = _IN_CACHE.fullmatch(typed) if ".gguf" in typed.lower() else None
    if cached:
        return f"{cached[1]}/{cached[2]}", _quantization_of_file(cached[3])
    folder = _CACHED_FOLDER.fullmatch(typed) if typed.startswith("models--") else None
    if folder:
        return f"{folder[1]}/{folder[2]}", None
    # a host's name has a point in it
    match = HOST.fullmatch(typed) if "://" in typed or "." in typed.partition("/")[0] else None
    if match:
        typed = _PAGE.sub("", match[1].partition("?")[0].partition("#")[0].rstrip("/"))
        if "ollama" in match[0][: match.start(1)].lower() and "/" not in typed:
            return f"library/{typed}", None
        inside = _IN_REPOSITORY.fullmatch(typed)
        if inside:
            stem = (inside[2] or "").lower().removesuffix(".gguf")
            return inside[1], _quantization_of_file(stem)
    return typed, None


def _quantization_of_file(stem: str) -> str | None:
    """The GGUF type that the name of a file without its ending states, of a part as of the whole;
    None where it states none.
    """
    import re

    from .forms import stated_at_end

    if stem.startswith("mmproj"):
        # of the part with which the model sees
        return None
    stated = stated_at_end(re.sub(r"-\d{5}-of-\d{5}$", "", stem))
    return stated[1] if stated else None


_Found = tuple[str, tuple[str, ...]]
_WAYS_OF_SERVING = ("free", "nitro", "floor", "exacto")


def find_id(name: str, catalogue: Catalogue) -> _Found | None:
    """The id of the spec and the notes, or None. Raises `UnknownModelError` where the name fits
    several models.
    """
    key, lower = canonical(name), name.lower()
    # Ollama's word for no word; Mistral's codestral-latest is another model than its
    # codestral:latest
    if lower.endswith(":latest"):
        return _in_ollama(name[:-7], catalogue)
    candidate = named_directly(key, name, catalogue)
    if candidate is not None or not key:
        return candidate
    if lower.startswith("library/"):
        return _in_ollama(name[8:], catalogue)
    # OpenRouter's for who serves the same model and how
    base, colon, way = lower.rpartition(":")
    if colon and way in _WAYS_OF_SERVING:
        return find_id(name[: len(base)], catalogue)
    owner, slash, rest = name.partition("/")
    if slash and owner.strip().lower() in CONVERTER_ACCOUNTS:
        return _converted(rest, catalogue)
    if key.endswith(
        "-gguf"
    ):  # the publisher's own conversion, or a conversion named without its account
        return _converted(name, catalogue)
    if (
        key.endswith("-instruct") and ":" in name
    ):  # Ollama writes instruct where Google writes it: gemma2:9b-instruct-q4_0
        return look_up(f"{key[:-9]}-it", ("ids",), name, catalogue)
    return None


def named_directly(key: str, name: str, catalogue: Catalogue) -> _Found | None:
    candidate = _meant(key, name, catalogue)
    if candidate is None:
        return None
    tag, facts = catalogue.common_tables("families", "tag").get(key, ("", {}))
    loaded = facts.get("loads")
    if not loaded or loaded == candidate[0]:
        return candidate
    return candidate[0], (*candidate[1], _loads_another(tag, loaded, catalogue))


def _meant(key: str, name: str, catalogue: Catalogue) -> _Found | None:
    own, shipped = catalogue.names()[:-1], catalogue.names()[-1:]
    candidate = look_up(key, ("ids",), name, catalogue)
    family = _family(key, catalogue)
    if candidate is not None:
        # a full name needs no word on how it was taken, only on what else there is
        if family is None or family[0] != candidate[0]:
            return candidate
        is_explained = "note" in _entry(key, catalogue)[1]
        return candidate[0], family[1] if is_explained else family[1][1:]
    return (
        look_up(key, ("aliases",), name, catalogue, own)
        or family
        or look_up(key, ("aliases",), name, catalogue, shipped)
        or look_up(key, ("repositories", "titles"), name, catalogue)
    )


def _converted(name: str, catalogue: Catalogue) -> _Found | None:
    """A conversion repeats the whole name of the original: aliases such as llama-3.2-3b may
    mean another one here (the base model).
    """
    import re

    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(name))
    return look_up(key, ("repositories", "titles", "ids"), name, catalogue)


def _snapshot(name: str, catalogue: Catalogue) -> _Found | None:
    """A closed model by the account of a reseller, or by the name of one of its snapshots: no
    weights, so none can be mistaken.
    """
    import re

    match = re.search(_SNAPSHOT, name.lower())
    owner, slash, rest = name.rpartition("/")
    if not (match or slash):
        return None
    try:
        plain = name[: match.start()] if match else name
        candidate = find_id(plain, catalogue)
        if candidate is None and slash:
            candidate = find_id(plain[len(name) - len(rest) :], catalogue)
        spec = catalogue.spec(candidate[0]) if candidate is not None else None
    except (UnknownModelError, SpecError):
        return None
    if candidate is None or spec is None or not spec.closed or spec.availability is None:
        return None
    if slash and not _sells(owner, spec):
        return None
    if not match:
        return candidate
    spec_id = candidate[0]
    note = (
        f"{name} is a dated snapshot; this answer is for {spec_id}. Its price and end date may"
        " differ."
    )
    return spec_id, (note,)


def _sells(account: str, spec: ModelSpec) -> bool:
    """True for the maker's account, and for Google's API, which writes models/gemini-1.5-pro."""
    maker = account.rpartition("/")[2]
    return account.lower() == "models" or letters_of(maker) in _makers(spec)


def after_maker(name: str, catalogue: Catalogue) -> _Found | None:
    """A model with its maker's name in front, as prose has it: Meta Llama 3, Google Gemma 3 4B.
    No account: that is another matter.
    """
    words = canonical(name).split("-") if "/" not in name else []
    for count in (1, 2):
        maker = "".join(words[:count])
        try:
            candidate = find_id("-".join(words[count:]), catalogue) if len(maker) > 2 else None
            if candidate is not None and any(
                own.startswith(maker) for own in _makers(catalogue.spec(candidate[0]))
            ):
                return candidate
        except (UnknownModelError, SpecError):
            continue
    return None


# of a short account: `ibm` for ibm-granite
_SHORTEST_ACCOUNT = 3


def _of_account_in_short(name: str, catalogue: Catalogue) -> _Found | None:
    """A model by the account of its repository in short, as LM Studio's catalogue writes it:
    `liquid/lfm2-1.2b` is of LiquidAI, `ibm/granite-4-h-tiny` of ibm-granite.
    """
    owner, slash, rest = name.partition("/")
    short = letters_of(owner)
    if not slash or "/" in rest or len(short) < _SHORTEST_ACCOUNT:
        return None
    try:
        candidate = find_id(rest, catalogue)
        spec = catalogue.spec(candidate[0]) if candidate is not None else None
    except (UnknownModelError, SpecError):
        return None
    if candidate is None or spec is None or spec.repository is None:
        return None
    account = spec.repository.partition("/")[0]
    is_longer = len(letters_of(account)) > len(short)
    return candidate if is_longer and letters_of(account).startswith(short) else None


def _makers(spec: ModelSpec) -> set[str]:
    return {
        letters_of(maker)
        for maker in (spec.developer, spec.availability.provider if spec.availability else None)
        if maker
    }


def letters_of(name: str) -> str:
    """As accounts of resellers write a company: x-ai for xAI, mistralai for Mistral AI."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def look_up(
    key: str,
    kinds: Iterable[str],
    name: str,
    catalogue: Catalogue,
    layers: Iterable[Mapping[str, Mapping[str, str]]] | None = None,
) -> _Found | None:
    for kind in kinds:
        for names in catalogue.names() if layers is None else layers:
            value = names[kind].get(key)
            if value is None:
                continue
            ids = value.split("/")
            if len(ids) > 1:
                raise UnknownModelError(
                    f"{cut_short(name)} may mean {', '.join(ids[:-1])} or {ids[-1]}",
                    nearest=ids,
                    remedy="type one of these names in full",
                )
            return ids[0], ()
    return None


def _family(key: str, catalogue: Catalogue) -> _Found | None:
    """A bare family name: the model that its dated entry names, if there is a spec of it."""
    name, family = _entry(key, catalogue)
    model = family.get("model")
    if not isinstance(model, str) or model not in catalogue:
        return None
    why = str(family.get("why") or "").strip().rstrip(".")
    taken = f"{name} is a family; this answer is for {model}" + (f" ({why})." if why else ".")
    notes = [str(family.get("note") or taken)]
    loaded = family.get("ollama")
    if loaded:
        notes.append(_loads_another(name, loaded, catalogue, family.get("ollama_needs")))
    others = [
        other for other in texts_in(family.get("others")) if other in catalogue and other != model
    ]
    if others:
        notes.append(family_has(others, name))
    return model, tuple(notes)


def family_has(others: Sequence[str], name: str) -> str:
    """The sentence that names the first of a family's other models, of which there is one."""
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"Its family also has {', '.join(others[:MOST_NAMED])}{more}: selfhost list {name}"


def _loads_another(
    tag: str, loaded: str, catalogue: Catalogue, same_layers: str | None = None
) -> str:
    """`same_layers` is the model that needs as much as what is loaded, None where none is known."""
    caveat = "" if loaded in catalogue else ", which is not in the catalogue"
    if same_layers is not None:
        caveat += f" and needs as much as {same_layers}"
    return f"Ollama's tag {tag} loads another model: {loaded}{caveat}."


def _by_tag(name: str, catalogue: Catalogue) -> _Found | None:
    """What Ollama loads by a tag that means another model without its colon; None for any other
    name, one of the person's own specs, and where what is loaded is not in the catalogue.
    """
    if ":" not in name:
        return None
    key = canonical(name)
    tag, facts = catalogue.common_tables("families", "tag").get(key, ("", {}))
    loaded = facts.get("loads")
    if not isinstance(loaded, str) or loaded not in catalogue:
        return None
    own = catalogue.names()[:-1]
    if look_up(key, ("ids", "aliases"), name, catalogue, own) is not None:
        return None
    elsewhere = _meant(key, name, catalogue)
    if elsewhere is None or elsewhere[0] == loaded:
        return loaded, ()
    return loaded, (f"Ollama's {tag} is {loaded}; elsewhere the name means {elsewhere[0]}.",)


def _in_ollama(name: str, catalogue: Catalogue) -> _Found | None:
    """A name as only Ollama writes it: what its library loads by it, which may be another model
    than the name means elsewhere.
    """
    family = _entry(canonical(name), catalogue)[1]
    loaded, model = family.get("ollama"), family.get("model")
    if not isinstance(loaded, str):
        return _by_tag(name, catalogue) or find_id(name, catalogue)
    if loaded not in catalogue:
        others = [
            other
            for other in (family.get("ollama_needs"), model, *texts_in(family.get("others")))
            if isinstance(other, str) and other in catalogue
        ]
        raise not_listed(name, loaded, others)
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {model}.",)


def not_listed(name: str, loaded: str, others: list[str]) -> UnknownModelError:
    message = f"Ollama's {cut_short(name)} is {loaded}, which is not in the catalogue"
    return UnknownModelError(message, nearest=others[:5], remedy=SEE_NAMES)


def _entry(key: str, catalogue: Catalogue) -> tuple[str, Mapping[str, Any]]:
    """A family's name as its dated entry writes it, and the entry; both empty where there is
    none.
    """
    return catalogue.common_tables("families", "family").get(key, ("", {}))


def texts_in(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def no_model_facts(name: str, catalogue: Catalogue) -> Mapping[str, Any] | None:
    """What is recorded of a program, a service or another thing that is no model."""
    things = catalogue.common_tables("things", "thing")
    entry = things.get(canonical(name)) or things.get(canonical(name.rpartition("/")[2]))
    return entry[1] if entry is not None else None


def sizes_in(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    import re

    return set(re.findall(r"(?:\d+-)+[bm](?![a-z])", canonical(name)))


def name_and_quantization(name: str) -> tuple[str, str | None]:
    """A name without the quantization at its end, and that quantization."""
    from .forms import published_file, stated_at_end

    return published_file(name) or stated_at_end(name) or (name, None)


# of the others of a family
MOST_NAMED = 3


def cut_short(text: str, most: int = 60) -> str:
    """What was typed, safe to print: in quotes, cut short, control characters escaped."""
    cut = text[:most] + ("…" if len(text) > most else "")
    return (
        '"'
        + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
        + '"'
    )
