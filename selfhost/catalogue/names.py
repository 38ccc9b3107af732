"""What a person typed -> a model: ids, aliases, repositories of Hugging Face, tags of Ollama,
families, and what is no model.

Nothing is corrected: a name that is not known is an error that lists the nearest ones, for one
digit may be another model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..core.errors import NotAModelError, SelfhostError, SpecError, UnknownModelError
from ..core.records import Record, pattern
from ..core.spelling import canonical
from .index import Catalogue, Outline
from .paths import HOST, is_bare_weights

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .forms import Form
    from .spec import ModelSpec

__all__ = ["CONVERTERS", "Resolution", "canonical", "complete", "resolve"]

# the longest repository id that Hugging Face allows has 96 + 1 + 96 characters; an address of a
# file in it adds a few dozen
MAX_NAME_LENGTH = 400

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
_CONVERTERS = frozenset(name.lower() for name in CONVERTERS)

_IN_REPOSITORY = pattern(
    r"([^/]+/[^/]+)/(?:tree|blob|resolve|raw)/[^/]+(?:/.*?([^/]*))?", re.IGNORECASE
)

# a file as llama.cpp's cache keeps it (common/download.cpp), with the mark of its version beside it
_IN_CACHE = pattern(r"([A-Za-z0-9-]+)_([^/\\]+?-gguf)_([^/\\]+)\.gguf(?:\.etag)?", re.IGNORECASE)

# what Hugging Face allows in the name of a repository; it is printed in lines to type
_REPOSITORY = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")

# what providers of closed models append for one state of a model: gpt-4o-2024-08-06, gpt-4-0613,
# claude-3-opus-20240229, gemini-1.5-pro-002, claude-3-5-sonnet-latest
_MONTH, _DAY = "(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_SNAPSHOT = (
    rf"[-@_ :](?:(?:preview|exp)-)?(?:20\d\d-?{_MONTH}-?{_DAY}|{_MONTH}-?{_DAY}|00[1-9]|latest)$"
)

# of a user's own specs that are wrong
_FILES_NAMED = 5
# what transformers, diffusers, peft and Mistral call their files, whatever the model
_ANY_MODELS_FILE = pattern(
    r"(?:(?:diffusion_)?(?:pytorch_)?model|consolidated|adapter_model)"
    r"(?:[-_.](?:fp16|bf16|\d+(?:-of-\d+)?))*\.(?:gguf|safetensors|bin|pth)",
    re.IGNORECASE,
)
_REMEDY = (
    "a language model by its config.json:      selfhost check ./config.json\n"
    "all names in the catalogue:               selfhost list --all\n"
    "with a spec of your own:                  selfhost check NAME --specs DIR"
)

_WHAT_IS_COVERED = "all names in the catalogue: selfhost list --all"


class Resolution(Record):
    """The spec that a name stands for. `quantization` is set where the name states one, `runtime`
    where only one kind of program loads what it names; `notes` are sentences for the person.
    `repository` is the typed one where its name says that it holds weights in that form.
    """

    spec_id: str
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    runtime: str | None = None
    repository: str | None = None


def resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    """The model that goes by this name.

    Raises `NotAModelError` for a tool or service, `UnknownModelError` for anything else, with the
    nearest names; without `explains` that only says that it is not in the catalogue.
    """
    try:
        resolution = _resolve(typed, catalogue, explains=explains)
    except UnknownModelError:
        if catalogue.refresh():
            return _resolve(typed, catalogue, explains=explains)
        raise
    return _resolve(typed, catalogue) if catalogue.refresh(resolution.spec_id) else resolution


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that goes by this name, None where no single one does; unlike
    `resolve` without looking for the nearest.
    """
    try:
        candidate = (
            _understood(name, catalogue)
            if len(name) <= MAX_NAME_LENGTH and canonical(name)
            else None
        )
    except SelfhostError:
        return None
    return candidate.spec_id if candidate else None


def id_of_whole_name(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model whose id, repository or repository's own name this is; None for a
    family, an alias, and what several have.
    """
    key = canonical(name) if len(name) <= MAX_NAME_LENGTH else ""
    try:
        candidate = (
            _look_up(key, ("ids",), name, catalogue)
            or _look_up(key, ("repositories", "titles"), name, catalogue)
            if key
            else None
        )
    except SelfhostError:
        return None
    return candidate[0] if candidate else None


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start = canonical(prefix)
    if prefix and not start:
        return ()
    plain = prefix.lower()
    return tuple(
        name
        for name in catalogue.spellings()
        if name.lower().startswith(plain) or (start and canonical(name).startswith(start))
    )


def _resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    if len(typed) > MAX_NAME_LENGTH:
        raise UnknownModelError(
            f"{_shown(typed)} has {len(typed):,} characters, too many for a model's name",
            remedy=_REMEDY,
        )
    if not canonical(typed):
        message = (
            f"{_shown(typed)} is not a model's name" if typed.strip() else "no model was named"
        )
        raise UnknownModelError(message, remedy=_REMEDY)
    typed = named_in_command(typed) or typed
    candidate = _understood(typed, catalogue) or _respelled(typed.strip(), catalogue)
    if candidate is not None:
        return candidate
    name = _without_address(_routed(typed.strip(), catalogue))[0].removeprefix("library/")
    resolution = _untuned(name, catalogue) or _begun(name, catalogue)
    if resolution is None:
        # what to say of it takes longer to find than that it is unknown
        if not explains:
            raise UnknownModelError(f"{_shown(typed)} is not in the catalogue", remedy=_REMEDY)
        raise _unknown(typed, name, catalogue)
    return resolution


def _begun(name: str, catalogue: Catalogue) -> Resolution | None:
    """A model whose name somebody left the end off, in the quantization that the name states."""
    base, quantization = _stated(name)
    if "/" in base or ":" in base or _no_model_facts(name, catalogue) is not None:
        return None
    from .beginnings import model_begun

    candidate = model_begun(base, catalogue)
    if candidate is None:
        return None
    return Resolution(spec_id=candidate[0], quantization=quantization, notes=candidate[1])


# how hard a hosted model is asked to think, behind its name: `gpt-oss-120b (high)`
_EFFORT = pattern(
    r"\s*\((?:(?:x?high|medium|low|minimal|max|default)(?: (?:effort|think(?:ing)?|reasoning))?"
    r"|(?:no|non)[ -]think(?:ing)?)\)$"
)
# a month as leaderboards write it: `Command R (08-24)`
_IN_BRACKETS = pattern(r"\s*\((0[1-9]|1[0-2])-(2\d)\)$")
# Amazon Bedrock's id of a model: `us.amazon.nova-pro-v1:0`, `meta.llama3-1-70b-instruct-v1:0`
_BEDROCK = pattern(r"(?:(?:us|eu|apac|jp|au|global)\.)?[a-z0-9]+\.([a-z][^/]+?)(?:-v[1-9])?:\d")


def _respelled(typed: str, catalogue: Catalogue) -> Resolution | None:
    """A name that is known without what stands around it: a gateway's prefix, the effort asked
    for, the `v` of a version.
    """
    name = _IN_BRACKETS.sub(r"-\1-20\2", _EFFORT.sub("", _routed(typed, catalogue)))
    candidate = _understood(name, catalogue) if name != typed else None
    if candidate is None:
        base, quantization = _stated(name)
        versioned = _without_v(catalogue).get(_PLAIN_V.sub("-", canonical(base)))
        if versioned is not None and "/" not in versioned:
            candidate = Resolution(spec_id=versioned, quantization=quantization)
    return candidate


def _routed(typed: str, catalogue: Catalogue) -> str:
    """A name without the prefix by which LiteLLM reaches a provider or a program, as each writes
    the rest; any other name as it is.
    """
    prefix, slash, rest = typed.partition("/")
    own = _BEDROCK.fullmatch(typed)
    if own is not None:
        return own[1]
    if not slash or prefix not in catalogue.common("providers")["prefixes"]["names"]:
        return typed
    if prefix.startswith("ollama"):
        return f"library/{rest}" if "/" not in rest else rest
    if prefix == "fireworks_ai" and "/" in rest:
        # an account's name for it, in which p is the decimal point: llama-v3p1-70b-instruct
        return re.sub(r"(?<=\d)p(?=\d)", ".", rest.rpartition("/")[2])
    own = _BEDROCK.fullmatch(rest)
    return own[1] if own is not None else rest


# `llama-v3.1` and `llama-3.1`, as `canonical` writes them
_PLAIN_V = pattern(r"-v-(?=\d)")


def _without_v(catalogue: Catalogue) -> Mapping[str, str]:
    """By a name without the `v` of its version, as `canonical` writes it: the model's id, or those
    of several with slashes between them.
    """
    names: dict[str, str] | None = catalogue.derived.get("without_v")
    if names is None:
        names = catalogue.derived["without_v"] = {}
        for layer in catalogue.names():
            for kind in ("ids", "repositories", "titles", "aliases"):
                for key, ids in layer[kind].items():
                    plain = _PLAIN_V.sub("-", key)
                    known = names.setdefault(plain, ids)
                    if known != ids:
                        names[plain] = f"{known}/{ids}"
    return names


# the model in a line that runs or downloads one: `ollama run llama3.2`, `vllm serve REPO`,
# `llama-server -hf REPO:QUANT`
_COMMAND = pattern(
    r"(?:(?P<ollama>ollama)\s+(?:run|pull|show)|(?:vllm|transformers)\s+serve"
    r"|(?:hf|huggingface-cli)\s+download"
    r"|llama-(?:server|cli)\s(?:.*\s)?(?:-hf|-hfr|--hf-repo))\s+(?P<name>[^\s-]\S*)(?:\s.*)?"
)


def named_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    words = typed.split()
    # a program, what it is to do, and a name
    match = _COMMAND.fullmatch(" ".join(words)) if len(words) > 2 else None
    if match is None:
        return None
    is_in_library = match["ollama"] and "/" not in match["name"]
    return f"library/{match['name']}" if is_in_library else match["name"]


def _understood(typed: str, catalogue: Catalogue) -> Resolution | None:
    name, quantization = _without_address(typed.strip())
    candidate = _by_tag(name, catalogue) or _find(name, catalogue)
    if candidate is None:
        # what a known name needs not, is read where it is needed: half a millisecond
        from .forms import stated_at_end

        stated = stated_at_end(name)
        candidate = _find(stated[0], catalogue) if stated is not None else None
        if stated is not None and candidate is not None:
            quantization = stated[1]
    if candidate is None:
        candidate = _snapshot(name, catalogue) or _after_maker(name, catalogue)
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
    repository = re.sub(r"(?i)(?<=gguf):.*", "", name)
    is_one = _REPOSITORY.fullmatch(repository) and repository.lower().endswith("gguf")
    return repository if is_one else None


def _in_file(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a published file, whose name repeats that of the original, with its maker's
    account in front where bartowski made it: `nvidia_Nemotron-Mini-4B-Instruct-Q4_K_M.gguf`.
    """
    if not name.lower().endswith(".gguf"):
        return None
    from .forms import splits

    stem = re.sub(r"-\d{5}-of-\d{5}$", "", name.rpartition("/")[2][:-5])
    for base, form in splits(stem):
        account, _, rest = base.partition("_")
        candidate = (
            _converted(base, catalogue)
            or (_converted(rest, catalogue) if account and rest else None)
            or _find(base, catalogue)
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
    rest = name.rpartition("/")[2]
    file = re.fullmatch(_GGML, rest)
    if file is not None:
        candidate = _find(f"whisper-{file[1]}", catalogue)
        runtime, quantization = "whisper.cpp", (file[2] or "f16").upper()
    elif re.fullmatch(_CTRANSLATE2, rest):
        candidate = _find(re.sub(r"(?i)^faster-|-ct2$", "", rest), catalogue)
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
    if form.is_qat and account.lower() in ("", "google") and _is_wide(candidate[0], catalogue):
        from .forms import QAT_AS_PUBLISHED

        return Resolution(
            spec_id=candidate[0],
            quantization="QAT-Q4_0",
            notes=(*candidate[1], QAT_AS_PUBLISHED),
        )
    return Resolution(
        spec_id=candidate[0],
        quantization=form.quantization,
        runtime=form.runtime,
        notes=(*candidate[1], *form.notes),
    )


def _is_wide(spec_id: str, catalogue: Catalogue) -> bool:
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
    split = _split(name, catalogue)
    if split is None or not split[1].is_sized or not _serves(split[1], split[0][0], catalogue):
        return None
    resolution = _in(split[1], split[0], name.rpartition("/")[0], catalogue)
    if resolution.runtime and not quantization and _REPOSITORY.fullmatch(name):
        return resolution.replace(repository=name)
    if resolution.runtime is None:
        resolution = resolution.replace(repository=_gguf_repository(name))
    return resolution.replace(quantization=quantization) if quantization else resolution


def _serves(form: Form, spec_id: str, catalogue: Catalogue) -> bool:
    """Whether the program of that form may be one for the model: vLLM makes no pictures."""
    modality = catalogue.spec(spec_id).modality if form.runtime else ""
    if form.runtime is None or modality not in ("image", "video"):
        return True
    return modality in catalogue.runtime(form.runtime).modalities


def _split(name: str, catalogue: Catalogue) -> tuple[_Found, Form] | None:
    """A known model and what the rest of the name says of its files; None where the name holds no
    known one, or is somebody's own of the same name.
    """
    from .forms import splits

    owner, slash, rest = name.rpartition("/")
    for base, form in splits(rest, owner):
        try:
            if not slash:
                candidate = _find(base, catalogue)
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
        own = _look_up(canonical(whole), ("repositories",), base, catalogue)
        if own is not None:
            return own
    if form.is_container and owner.lower() not in _CONVERTERS:
        return None
    account, _, rest = base.partition("_")
    return _converted(base, catalogue) or (
        _converted(rest, catalogue) if account and rest else None
    )


def _without_address(typed: str) -> tuple[str, str | None]:
    """A web address of a model or of a file in its repository, or the name of such a file in the
    cache of llama.cpp -> the name, and the quantization that the file name states.
    """
    cached = _IN_CACHE.fullmatch(typed) if ".gguf" in typed.lower() else None
    if cached:
        return f"{cached[1]}/{cached[2]}", _quantization_of_file(cached[3])
    match = HOST.fullmatch(typed) if "/" in typed else None
    if match:
        typed = re.split(r"[?#]", match[1], maxsplit=1)[0].rstrip("/")
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
    from .forms import stated_at_end

    stated = stated_at_end(re.sub(r"-\d{5}-of-\d{5}$", "", stem))
    return stated[1] if stated else None


_Found = tuple[str, tuple[str, ...]]


def _find(name: str, catalogue: Catalogue) -> _Found | None:
    """The id of the spec and the notes, or None. Raises `UnknownModelError` where the name fits
    several models.
    """
    key, lower = canonical(name), name.lower()
    # Ollama's word for no word; Mistral's codestral-latest is another model than its
    # codestral:latest
    if lower.endswith(":latest"):
        return _in_ollama(name[:-7], catalogue)
    candidate = _named(key, name, catalogue)
    if candidate is not None or not key:
        return candidate
    if lower.startswith("library/"):
        return _in_ollama(name[8:], catalogue)
    # OpenRouter's for who serves the same model and how
    served = re.search(r":(?:free|nitro|floor|exacto)$", lower)
    if served:
        return _find(name[: served.start()], catalogue)
    owner, slash, rest = name.partition("/")
    if slash and owner.strip().lower() in _CONVERTERS:
        return _converted(rest, catalogue)
    if key.endswith(
        "-gguf"
    ):  # the publisher's own conversion, or a conversion named without its account
        return _converted(name, catalogue)
    if (
        key.endswith("-instruct") and ":" in name
    ):  # Ollama writes instruct where Google writes it: gemma2:9b-instruct-q4_0
        return _look_up(f"{key[:-9]}-it", ("ids",), name, catalogue)
    return None


def _named(key: str, name: str, catalogue: Catalogue) -> _Found | None:
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
    candidate = _look_up(key, ("ids",), name, catalogue)
    family = _family(key, catalogue)
    if candidate is not None:
        # a full name needs no word on how it was taken, only on what else there is
        if family is None or family[0] != candidate[0]:
            return candidate
        is_explained = "note" in _entry(key, catalogue)[1]
        return candidate[0], family[1] if is_explained else family[1][1:]
    return (
        _look_up(key, ("aliases",), name, catalogue, own)
        or family
        or _look_up(key, ("aliases",), name, catalogue, shipped)
        or _look_up(key, ("repositories", "titles"), name, catalogue)
    )


def _converted(name: str, catalogue: Catalogue) -> _Found | None:
    """A conversion repeats the whole name of the original: aliases such as llama-3.2-3b may
    mean another one here (the base model).
    """
    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(name))
    return _look_up(key, ("repositories", "titles", "ids"), name, catalogue)


def _snapshot(name: str, catalogue: Catalogue) -> _Found | None:
    """A closed model by the account of a reseller, or by the name of one of its snapshots: no
    weights, so none can be mistaken.
    """
    match = re.search(_SNAPSHOT, name.lower())
    owner, slash, rest = name.rpartition("/")
    if not (match or slash):
        return None
    try:
        candidate = _find(name[: match.start()] if match else name, catalogue)
        if candidate is None and slash:
            candidate = _find(rest[: match.start() - len(name)] if match else rest, catalogue)
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
    return account.lower() == "models" or _letters(maker) in _makers(spec)


def _after_maker(name: str, catalogue: Catalogue) -> _Found | None:
    """A model with its maker's name in front, as prose has it: Meta Llama 3, Google Gemma 3 4B.
    No account: that is another matter.
    """
    words = canonical(name).split("-") if "/" not in name else []
    for count in (1, 2):
        maker = "".join(words[:count])
        try:
            candidate = _find("-".join(words[count:]), catalogue) if len(maker) > 2 else None
            if candidate is not None and any(
                own.startswith(maker) for own in _makers(catalogue.spec(candidate[0]))
            ):
                return candidate
        except (UnknownModelError, SpecError):
            continue
    return None


def _makers(spec: ModelSpec) -> set[str]:
    return {
        _letters(maker)
        for maker in (spec.developer, spec.availability.provider if spec.availability else None)
        if maker
    }


def _letters(name: str) -> str:
    """As accounts of resellers write a company: x-ai for xAI, mistralai for Mistral AI."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _look_up(
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
                    f"{_shown(name)} may mean {', '.join(ids[:-1])} or {ids[-1]}",
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
        notes.append(_loads_another(name, loaded, catalogue))
    others = [
        other for other in _strings(family.get("others")) if other in catalogue and other != model
    ]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        shown = ", ".join(others[:_NAMED])
        notes.append(f"Its family also has {shown}{more}: selfhost list {name}")
    return model, tuple(notes)


def _loads_another(tag: str, loaded: str, catalogue: Catalogue) -> str:
    caveat = "" if loaded in catalogue else ", which is not in the catalogue"
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
    if _look_up(key, ("ids", "aliases"), name, catalogue, own) is not None:
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
        return _by_tag(name, catalogue) or _find(name, catalogue)
    if loaded not in catalogue:
        others = [
            other
            for other in (model, *_strings(family.get("others")))
            if isinstance(other, str) and other in catalogue
        ]
        raise _not_listed(name, loaded, others)
    return loaded, (f"Ollama's {name} is {loaded}; elsewhere the name means {model}.",)


def _not_listed(name: str, loaded: str, others: list[str]) -> UnknownModelError:
    message = f"Ollama's {_shown(name)} is {loaded}, which is not in the catalogue"
    return UnknownModelError(message, nearest=others[:5], remedy=_REMEDY)


def _refuse_unlisted_tag(name: str, catalogue: Catalogue) -> None:
    """Raises `UnknownModelError` for a tag by which Ollama loads a model without a spec: it is no
    base model of what the name means without the colon.
    """
    facts = catalogue.common_tables("families", "tag").get(canonical(name), ("", {}))[1]
    loaded = facts.get("loads")
    if ":" in name and isinstance(loaded, str) and loaded not in catalogue:
        others = [other for other in _strings(facts.get("others")) if other in catalogue]
        raise _not_listed(name, loaded, others)


def _entry(key: str, catalogue: Catalogue) -> tuple[str, Mapping[str, Any]]:
    """A family's name as its dated entry writes it, and the entry; both empty where there is
    none.
    """
    return catalogue.common_tables("families", "family").get(key, ("", {}))


def _strings(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def _unknown(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by: a thing that is no model, or nothing that is
    known.
    """
    key = canonical(name)
    facts = _no_model_facts(name, catalogue)
    if facts is not None:
        return _no_model(typed, facts, catalogue)
    uncovered = _of_uncovered_kind(typed, name, catalogue)
    if uncovered is not None:
        return uncovered
    hosted = _hosted(typed, name, catalogue)
    if hosted is not None:
        return hosted
    if _ANY_MODELS_FILE.fullmatch(name):
        return UnknownModelError(
            f"{_shown(typed)} is no file here, and most models have one of that name",
            remedy="the model by its repository:              selfhost check OWNER/NAME\n"
            + _REMEDY,
        )
    message = f"{_shown(typed)} is not in the catalogue{_left_aside(catalogue)}"
    if is_bare_weights(name):
        message = f"{_shown(typed)} does not exist here and{message.removeprefix(_shown(typed))}"
    rest = name.rpartition("/")[2]
    if rest.lower().endswith(".gguf"):
        rest = _stated(rest)[0]
        own_name = rest.partition("_")[2]
        rest = own_name if own_name[:1].isalpha() else rest
    # the whole catalogue is compared: only if somebody reads the answer
    return (
        _in_other_format(message, name, catalogue)
        or _in_other_repository(message, name, catalogue)
        or _made_of(message, name, catalogue)
        or _tagged(message, name, catalogue)
        or _of_short_family(message, name, catalogue)
        or _listed_alike(message, name, catalogue)
        or _of_whisper(message, name, catalogue)
        or _of_its_size(message, name, catalogue)
        or UnknownModelError(
            f"{message}{_size_alone(name, catalogue)}",
            nearest=lambda: _nearest(canonical(rest) or key, catalogue),
            remedy=_REMEDY,
        )
    )


def _of_uncovered_kind(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model of a kind that the catalogue does not judge; None for any other name.

    `names` are what the names of such models begin with, `whole` those that begin others' too.
    """
    key = canonical(name.rpartition("/")[2])
    for kind, facts in (catalogue.common("things").get("uncovered") or {}).items():
        is_whole = key in map(canonical, _strings(facts.get("whole")))
        starts = [re.escape(canonical(start)) for start in _strings(facts.get("names"))]
        # a version follows with or without a sign between: yolov8, YOLO11n
        if not is_whole and not re.fullmatch(rf"(?:{'|'.join(starts)})(?:-?\d.*|-.*)?", key):
            continue
        instead = [model for model in _strings(facts.get("try_instead")) if model in catalogue]
        return UnknownModelError(
            f"{_shown(typed)} is a model for {kind}: {facts['answer']}",
            remedy=(
                f"one of that kind: selfhost check {instead[0]}" if instead else _WHAT_IS_COVERED
            ),
        )
    return None


# words for tunes on what a hosted model wrote, such as GPT4-x-Alpaca; others state their size
_OF_TUNES = frozenset(("alpaca", "distill", "distilled", "llama", "qwen", "vicuna"))


def _hosted(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name by which only a hosted API serves a model: one of a line whose weights
    are not published, or whatever is the `latest` of a name; None for any other.
    """
    from .beginnings import newest_begun

    owner, _, rest = name.rpartition("/")
    key = canonical(rest)
    message = f"{_shown(typed)} is not in the catalogue"
    for maker, line in (catalogue.common("things").get("hosted") or {}).items():
        starts = "|".join(
            ".+".join(re.escape(canonical(part)) for part in start.split("*"))
            for start in _strings(line.get("names"))
        )
        match = re.fullmatch(rf"(?:{starts})(?:-(.*))?", key)
        own = set((match[1] or "").split("-")) if match else set()
        is_tune = bool(_SIZE.search(key) or own & _OF_TUNES)
        if match and not is_tune and _letters(maker).startswith(_letters(owner.partition("-")[0])):
            return UnknownModelError(
                f"{message}: by its name it is of a line of {maker} that is offered through an API"
                " alone, without weights",
                nearest=lambda: _nearest(key, catalogue),
                remedy=_WHAT_IS_COVERED,
            )
    newest = newest_begun(rest[: -len("-latest")], catalogue) if key.endswith("-latest") else None
    if newest is None:
        return None
    return UnknownModelError(
        f"{message}: under such names an API serves its newest model; weights have names of their"
        " own",
        nearest=(newest,),
        remedy=f"the newest of that name here: selfhost check {newest}",
    )


def _no_model_facts(name: str, catalogue: Catalogue) -> Mapping[str, Any] | None:
    """What is recorded of a program, a service or another thing that is no model."""
    things = catalogue.common_tables("things", "thing")
    entry = things.get(canonical(name)) or things.get(canonical(name.rpartition("/")[2]))
    return entry[1] if entry is not None else None


def _no_model(typed: str, facts: Mapping[str, Any], catalogue: Catalogue) -> NotAModelError:
    """The error for the name of a program, a device or another thing."""
    kind = str(facts.get("kind") or "thing")
    instead = [model for model in _strings(facts.get("try_instead")) if model in catalogue]
    message = f"{_shown(typed)} is not a model"
    if facts.get("answer"):
        message = f"{_shown(typed)} is not a model but a {kind}: {facts['answer']}"
    return NotAModelError(
        message,
        kind=kind,
        nearest=instead,
        remedy=f"selfhost check {instead[0]}" if instead else _REMEDY,
    )


def _left_aside(catalogue: Catalogue) -> str:
    """A clause on the person's own files that are wrong: the model may be in one of them."""
    wrong = list(catalogue.own_faults_by_file)
    if not wrong:
        return ""
    more = f" and {len(wrong) - _FILES_NAMED:,} more" if len(wrong) > _FILES_NAMED else ""
    return (
        f"; {'files' if len(wrong) > 1 else 'a file'} of yours with faults"
        f" {'were' if len(wrong) > 1 else 'was'} ignored: {', '.join(wrong[:_FILES_NAMED])}{more}"
    )


def _in_other_format(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a repository that by its name holds a model in another format; None where the
    name says none.
    """
    split = _split(name, catalogue)
    if split is None:
        return None
    from ..core.units import decimal
    from .forms import exllama_sizes

    (spec_id, _), form = split
    sizes = " or ".join(
        f"{decimal(size)} at {bits:g} bits a weight"
        for bits, size in exllama_sizes(form.written, catalogue.spec(spec_id))
    )
    told = f"of about {sizes}; its memory" if sizes else "whose size"
    return UnknownModelError(
        f"{message}: its name says that it holds {spec_id} in another format ({form.written}),"
        f" {told} is not known",
        nearest=(spec_id,),
        remedy=f"for the known formats: selfhost check {spec_id}",
    )


def _untuned(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of the same size that was tuned from the base model of this name, whose needs are
    the same; None for any other name.

    Not for files found on a disk: what lies there is the base model.
    """
    rest = name.rpartition("/")[2]
    base, quantization = _stated(rest)
    _refuse_unlisted_tag(base, catalogue)
    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(base))
    owner = name.rpartition("/")[0].lower()
    tuned = _tuned_from(key, owner, catalogue) or _without_base(base, owner, catalogue)
    if tuned is None:
        return None
    note = (
        f"{name} is the base model that {tuned} was tuned from. This answer is for {tuned}, which"
        " needs as much."
    )
    return Resolution(spec_id=tuned, quantization=quantization, notes=(note,))


def _tuned_from(key: str, owner: str, catalogue: Catalogue) -> str | None:
    """The model whose spec says that it was tuned from the repository of this name."""
    tuned = []
    for account, id in _tuned_by_base(catalogue).get(key, ()) if key else ():
        is_account = not owner or owner == account or owner in _CONVERTERS
        if is_account and _sizes(id) >= _sizes(key):
            tuned.append(id)
    return min(tuned, key=lambda id: (not id.startswith(key[:4]), len(id), id), default=None)


def _tuned_by_base(catalogue: Catalogue) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By the name of a base model, as `canonical` writes it: whose it is, and a model tuned from
    it.
    """
    by_base: dict[str, list[tuple[str, str]]] | None = catalogue.derived.get("tuned_by_base")
    if by_base is None:
        by_base = catalogue.derived["tuned_by_base"] = {}
        for outline in catalogue.outlines():
            account, _, repository = (outline.tuned_from or "").lower().partition("/")
            by_base.setdefault(canonical(repository), []).append((account, outline.id))
    return by_base


# how publishers and Ollama mark weights that nobody tuned
_BASE = r"(?i)(?:(?<=:)(?:text|base)|[-_](?:text|base|pt|code))(?:-v\d[\d.]*)?$"


def _without_base(name: str, owner: str, catalogue: Catalogue) -> str | None:
    """The model that a name means without the word for a base model at its end."""
    match = re.search(_BASE, name)
    is_tag = ":" in name
    # a model of Hugging Face whose name ends in "code" is made for code
    if match is None or not (is_tag or (_sizes(name) and "code" not in match[0].lower())):
        return None
    rest = name[: match.start()]
    if rest.endswith(":"):
        rest += "latest"
    elif not is_tag and not owner:
        # the name of a file says whose it is in front
        rest = rest.partition("_")[2] or rest
    try:
        candidate = _find(f"{owner}/{rest}" if owner else rest, catalogue)
    except UnknownModelError:
        return None
    if candidate is None or catalogue.is_closed(candidate[0]):
        return None
    return candidate[0]


def _sizes(name: str) -> set[str]:
    """The numbers of parameters in a name, as `canonical` writes them: 3-b, 1-7-b, 350-m."""
    return set(re.findall(r"(?:\d+-)+[bm](?![a-z])", canonical(name)))


def _stated(name: str) -> tuple[str, str | None]:
    """A name without the quantization at its end, and that quantization."""
    from .forms import published_file, stated_at_end

    return published_file(name) or stated_at_end(name) or (name, None)


def _with_options(name: str) -> tuple[str, str]:
    """A name without the form at its end, and that form as options of the command line."""
    from .forms import Form, published_file, splits

    file = published_file(name)
    forms = [(file[0], Form(written="", quantization=file[1]))] if file else splits(name)
    base, options = name, ""
    for shorter, form in forms:
        if form.quantization is not None:
            runtime = f" --runtime {form.runtime}" if form.runtime else ""
            base, options = shorter, f"{runtime} --quant {form.quantization}"
        elif form.is_container:
            base = shorter
    return base, options


def _in_other_repository(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a repository with the name of a model in an account that may hold other
    weights; None for any other name.
    """
    owner, slash, rest = name.rpartition("/")
    if not slash:
        return None
    try:
        same = _find(rest, catalogue) or _after_maker(rest, catalogue)
    except UnknownModelError:
        return None
    if same is None:
        return None
    return UnknownModelError(
        f"{message}: this repository of {_shown(owner)} may hold other weights than {same[0]}",
        nearest=(same[0],),
        remedy=f"if it holds the same weights: selfhost check {same[0]}",
    )


def _nearest(key: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Names of models of the same family and kind, closest first."""
    from .near_names import nearest_names

    families = [name for name, _ in catalogue.common_tables("families", "family").values()]
    accounts = frozenset(
        name.partition("-")[0] for names in catalogue.names() for name in names["repositories"]
    )

    def model_of(name: str) -> str | None:
        candidate = _named(canonical(name), name, catalogue)
        return candidate[0] if candidate is not None else None

    return nearest_names(key, (*catalogue.spellings(), *families), accounts, model_of)


def _listed_alike(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model whose config.json or file was read: it has the layers of a catalogued
    one.
    """
    base, options = _with_options(name.rpartition("/")[2].removesuffix(":latest"))
    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(base))
    models, shorter = _alike(base[-1:].lower(), catalogue)
    model = models.get(key)
    if model is not None:
        return UnknownModelError(
            f"{message}: it has the layers of {model}, so it needs as much",
            nearest=(model,),
            remedy=f"selfhost check {model}{options}",
        )
    # tunes of one name come in sizes, of which the listed ones are not all
    listed = {model: own for own, model in shorter.get(key, {}).items()}
    if not listed:
        return None
    told = [f"{own} has the layers of {model}" for model, own in listed.items()]
    layers = " and ".join(told[:_NAMED])
    is_single = len(listed) == 1
    return UnknownModelError(
        f"{message} without its size: {layers}; another size needs more or less",
        nearest=tuple(listed),
        remedy=(
            f"if you mean that one: selfhost check {next(iter(listed))}{options}"
            if is_single
            else "type its name with the size"
        ),
    )


# what people leave off at the end of a name: `Midnight-Miqu-70B-v1.5`, `Fimbulvetr-11B-v2`
_VERSION = pattern(r"[-_.]v?\d+(?:\.\d+)*$", re.IGNORECASE)
_SIZE_AT_END = pattern(r"(?<=[a-z]{4})[-_.]\d+(?:\.\d+)?b$", re.IGNORECASE)


_Alike = tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]


def _alike(letter: str, catalogue: Catalogue) -> _Alike:
    """The model whose layers a repository has, by the repository's name as `canonical` writes it,
    with its account and without, whole and without its version; and by a name without its size, or
    one that tunes of different models have, the model of each repository called so. Of the names
    that end in that letter.
    """
    alike: _Alike | None = catalogue.derived.get(f"alike {letter}")
    if alike is not None:
        return alike
    # most names differ in their last letter, and to rewrite all of them takes far longer
    models: dict[str, str] = {}
    unversioned: dict[str, dict[str, str]] = {}
    unsized: dict[str, dict[str, str]] = {}
    for model, repositories in catalogue.common("alike")["alike"].items():
        for repository in repositories:
            own = repository.rpartition("/")[2]
            if own[-1:].lower() == letter:
                models.setdefault(canonical(repository), model)
                models.setdefault(canonical(own), model)
            plain = _VERSION.sub("", own)
            stem = _SIZE_AT_END.sub("", plain)
            if plain != own and plain[-1:].lower() == letter:
                unversioned.setdefault(canonical(plain), {})[own] = model
            if stem != plain and stem[-1:].lower() == letter:
                unsized.setdefault(canonical(stem), {})[own] = model
    for plain, named in unversioned.items():
        if len(set(named.values())) == 1:
            models.setdefault(plain, next(iter(named.values())))
        else:
            unsized.setdefault(plain, {}).update(named)
    catalogue.derived[f"alike {letter}"] = models, unsized
    return models, unsized


# of a name's words: a number of parameters in billions or millions
_SIZE = pattern(r"(?:^|-)\d+-[bm](?:-|$)")


def _made_of(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name that holds that of a catalogued model, size and all, as those of
    fine-tunes do; None for any other name.
    """
    base, options = _with_options(name.rpartition("/")[2])
    words = re.sub(r"-gguf$", "", canonical(base)).split("-")[:40]
    runs = (
        (start, start + count)
        for count in range(len(words) - 1, 1, -1)
        for start in range(len(words) - count + 1)
    )
    for start, end in runs:
        original = _original("-".join(words[start:end]), count=end - start, catalogue=catalogue)
        if original is not None and _is_of_another_kind(original, words, end):
            continue
        beside = "-".join(words[:start]), "-".join(words[end:])
        if original is not None and not _states_another_size(original, beside, catalogue):
            own = [*words[:start], *words[end:]]
            # the type in the name of a part is that of the part
            stated = "" if _PARTS.intersection(own) else options
            return UnknownModelError(
                f"{message}: {_relation(original, own)}",
                nearest=(original,),
                remedy=f"selfhost check {original}{stated}",
            )
    return None


# as `canonical` writes what a model makes of what: i2v, ti2v
_FROM_TO = pattern(r"(?:^|-)(t?[ti]-2-[iv])(?=-|$)")


def _is_of_another_kind(original: str, words: Sequence[str], end: int) -> bool:
    """Whether the words of a name say that it is no tune of this model, whose name ends before
    `end`: a GLM-4.5V sees, and has other layers than the GLM-4.5; an I2V starts from a picture.
    """
    if words[end : end + 1] == ["v"] and words[end - 1].isdecimal():
        return True
    stated = set(_FROM_TO.findall("-".join(words)))
    return bool(stated) and stated.isdisjoint(_FROM_TO.findall(canonical(original)))


def _states_another_size(original: str, beside: Iterable[str], catalogue: Catalogue) -> bool:
    """Whether words beside the name of a model state a number of parameters that is not its own."""
    stated = [size for words in beside for size in _sizes(words)]
    total = next(
        (each.parameters_total for each in catalogue.outlines() if each.id == original), None
    )
    return any(total is None or not _is_about(size, total) for size in stated)


def _is_about(size: str, total: int) -> bool:
    """Whether a size as `_sizes` writes it (`1-7-b`) is a model's number of parameters, rounded."""
    number, unit = size[:-2].replace("-", ".", 1), size[-1]
    exact = total / (10**9 if unit == "b" else 10**6)
    return number.count(".") < 2 and "-" not in number and abs(float(number) - exact) <= exact / 20


# words for files that a program loads beside a model: drafts, adapters, parts
_PARTS = frozenset((
    "adapter", "controlnet", "dflash", "draft", "drafter", "dspark", "eagle", "lora", "loras",
    "mmproj", "projector", "sae", "speculator", "tokenizer", "vae",
))  # fmt: skip
# of `says_kind`, those of models that have an encoder or a decoder of their own beside the layers
_WITH_MORE = frozenset((
    "asr", "audio", "omni", "speech", "tts", "video", "vision", "vl", "voice",
))  # fmt: skip
# and those of plain language models
_LANGUAGE_ALONE = frozenset((
    "embed", "embedding", "guard", "mt", "rerank", "reranker", "sql", "translate",
))  # fmt: skip


def _relation(original: str, own: list[str]) -> str:
    """What a name with that of a known model in it says of the two, by its `own` words beside."""
    part = next((word for word in own if word in _PARTS), None)
    if part is not None:
        return (
            f"by its name it is loaded beside {original} ({part}), and needs memory of its own"
            " beyond what that model needs"
        )
    kind = next((word for word in own if word in _WITH_MORE), None)
    if kind is not None and kind not in canonical(original).split("-"):
        return (
            f"by its name it may be built on {original} with parts for {kind} beside it: then it"
            " needs more than that model does"
        )
    return f"if it is made from {original}, as its name says, it needs as much"


# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
_BILLIONS = pattern(r"(?<![\w.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])", re.IGNORECASE)

# how many words at the end of a family's name a tune may have of its own
_OWN_WORDS = 3


def _tagged(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for somebody's own model in Ollama, whose name adds words to a family's and whose
    tag states the size, or which has no tag: `huihui_ai/qwen3-abliterated:8b`; None for any other.
    """
    from .near_names import says_kind

    owner, _, rest = name.rpartition("/")
    base, options = _with_options(rest)
    family, _, size = base.partition(":")
    words = re.split(r"[-_]", family)
    if not owner or not (_sizes(size) or (not size and "_" in owner)):
        return None
    for count in range(1, min(_OWN_WORDS, len(words) - 1) + 1):
        if any(says_kind(word) for word in words[-count:]):
            return None
        try:
            original = _find(f"{'-'.join(words[:-count])}:{size or 'latest'}", catalogue)
        except UnknownModelError:
            return None
        if original is not None and not catalogue.is_closed(original[0]):
            says = "as its name says" if size else f"as Ollama's {'-'.join(words[:-count])} is"
            return UnknownModelError(
                f"{message}: if it is made from {original[0]}, {says}, it needs as much",
                nearest=(original[0],),
                remedy=f"selfhost check {original[0]}{options}",
            )
    return None


def _of_short_family(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune or merge whose name has its family in short and states the size:
    `L3.3-Nevoria-R1-70b`; None for any other name.
    """
    base, options = _with_options(name.rpartition("/")[2])
    words, sizes = re.split(r"[-_ ]", base.lower()), _BILLIONS.findall(base)
    families: Mapping[str, str] = catalogue.common("families").get("short") or {}
    family = next((families[word] for word in words[:2] if word in families), None)
    if family is None or len(sizes) != 1:
        return None
    try:
        original = _find(f"{family}-{sizes[0]}b", catalogue)
    except UnknownModelError:
        return None
    if original is None or catalogue.is_closed(original[0]):
        return None
    return UnknownModelError(
        f"{message}: if it is made from {original[0]}, as the short name in front says, it needs as"
        " much",
        nearest=original[:1],
        remedy=f"selfhost check {original[0]}{options}",
    )


# a version and a size (Ornstein-3.6-27b), or a size and what is used of it (Darwin-35B-A3B), as
# `canonical` writes them
_SHAPE = r"(?:^|-)((?:\d+-)*\d+-b(?:-a-(?:\d+-)+b)?)(?=-|$)"


def _of_its_size(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name of another family that states the version and the size, or the size
    and the active size, of open models that need alike; None for any other name.
    """
    base, options = _with_options(name.rpartition("/")[2])
    key = canonical(base)
    shapes = re.findall(_SHAPE, key)
    if len(shapes) != 1:
        return None
    # a Llama 4.1 8B that is not there is no Granite 4.1 8B
    is_known = key.partition("-")[0] in _families(catalogue)
    same = () if is_known else _alike_in_size(shapes[0], catalogue)
    if not same:
        return None
    newest = max(same, key=lambda outline: outline.released or "").id
    return UnknownModelError(
        f"{message}: by the size in its name it may be made from"
        f" {' or '.join(outline.id for outline in same)}",
        nearest=(newest,),
        remedy=f"if so, it needs as much: selfhost check {newest}{options}",
    )


def _families(catalogue: Catalogue) -> set[str]:
    """The words that the names of the catalogue's models begin with, versions left off."""
    return {outline.id.partition("-")[0].rstrip(".0123456789") for outline in catalogue.outlines()}


# faster-whisper and openai-whisper call their models so: `tiny.en`, `large-v3`, `distil-small.en`
_OF_WHISPER = pattern(
    r"(?:distil-)?(?:tiny|base|small|medium|large)(?:-v\d(?:\.\d)?)?(?:[.-](?:en|turbo))?|turbo",
    re.IGNORECASE,
)


def _of_whisper(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for what programs call a Whisper where no other model is meant; None for any
    other name.
    """
    if not _OF_WHISPER.fullmatch(name):
        return None
    whisper = _find(f"whisper-{name}", catalogue) or _find(f"whisper-large-v3-{name}", catalogue)
    whisper = whisper or _find(f"{name.replace('distil-', 'distil-whisper-')}", catalogue)
    if whisper is None:
        return None
    return UnknownModelError(
        f"{message}; programs for speech recognition call {whisper[0]} so",
        nearest=(whisper[0],),
        remedy=f"if you mean that: selfhost check {whisper[0]}",
    )


# Gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs).
_Q4_K_M_GB = 0.60, 0.66


# what names of models for pictures and videos state: T2V, I2V-480P
_OF_PICTURES = pattern(r"(?:^|[-_. ])(?:t?[tiv]2[iv]|\d{3,4}p)(?=[-_. ]|$)", re.IGNORECASE)


def _size_alone(name: str, catalogue: Catalogue) -> str:
    """A clause on what the number of parameters in a name means for its weights, for the name of a
    language model whose family nobody knows; empty for any other name.
    """
    from .near_names import is_family, says_kind

    base = _with_options(name.rpartition("/")[2])[0]
    words = canonical(base).split("-")
    stated = _BILLIONS.findall(base)
    is_other = bool(_OF_PICTURES.search(base)) or any(
        (says_kind(word) and word not in _LANGUAGE_ALONE) or word in _PARTS for word in words
    )
    billions = float(stated[0]) if len(stated) == 1 else 0.0
    of_family = any(is_family(words[0], family) for family in _families(catalogue))
    if not billions or is_other or of_family:
        return ""
    low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
    return (
        f": {billions:g} billion parameters, as its name says, are about {low:g} to {high:g} GB of"
        f" weights in Q4_K_M and {2 * billions:g} GB in 16 bits, cache and buffers not counted"
    )


def _alike_in_size(shape: str, catalogue: Catalogue) -> tuple[Outline, ...]:
    """The open models whose ids end in that version and size, if they need alike; a number in
    front of a size with an active size may be the version of another family.
    """
    if shape.count("-") > 2 and (same := _open_models(shape, in_full=True, catalogue=catalogue)):
        return same
    numbers = shape.split("-")
    while "a" in numbers and numbers[1].isdigit():
        del numbers[0]
        if same := _open_models("-".join(numbers), in_full=False, catalogue=catalogue):
            return same
    return ()


def _open_models(end: str, *, in_full: bool, catalogue: Catalogue) -> tuple[Outline, ...]:
    """Those whose ids end so, or with `in_full` are so behind the family's name, where they need
    alike; else none.
    """
    same = tuple(
        outline
        for outline in catalogue.outlines()
        if not outline.closed
        and outline.parameters_total is not None
        and (outline.tuned_from is None or outline.tuned_from not in catalogue)
        and (name := canonical(outline.id)).endswith(f"-{end}")
        and (not in_full or name.partition("-")[2] == end)
    )
    sizes = {(outline.parameters_total, outline.parameters_active) for outline in same}
    return same if len(sizes) == 1 else ()


def _original(run: str, count: int, catalogue: Catalogue) -> str | None:
    """The open model that `count` words of a longer name are the whole name of; without a size only
    an id of three words, for an alias or a shorter id may be the name of a family.
    """
    is_sized = _SIZE.search(run) is not None
    if count < 3:
        return None
    kinds = ("ids", "repositories", "titles", "aliases") if is_sized else ("ids",)
    try:
        original = _look_up(run, kinds, run, catalogue)
    except UnknownModelError:
        return None
    return original[0] if original is not None and not catalogue.is_closed(original[0]) else None


# of the others of a family
_NAMED = 3


def _shown(text: str, most: int = 60) -> str:
    """What was typed, safe to print: in quotes, cut short, control characters escaped."""
    cut = text[:most] + ("…" if len(text) > most else "")
    return (
        '"'
        + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
        + '"'
    )
