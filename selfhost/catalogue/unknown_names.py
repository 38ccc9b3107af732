"""What is told of a name that no model has: what it is, what it is made of, what is near to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.saying import command
from ..core.spelling import canonical, canonical_of_each
from .index import Catalogue
from .listed_names import listed_alike, listed_by_words, listed_in_part
from .lookup import (
    LIST_ALL,
    MOST_NAMED,
    SEE_NAMES,
    after_maker,
    cut_short,
    find_id,
    letters_of,
    look_up,
    name_and_quantization,
    named_directly,
    no_model_facts,
    serves,
    sizes_in,
    split_form,
    texts_in,
)
from .paths import is_bare_weights
from .stated_sizes import BILLIONS, PARTS, WITH_MORE, of_its_size, size_alone, with_options

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# of a user's own specs that are wrong
_FILES_NAMED = 5


# what transformers, diffusers, peft and Mistral call their files, whatever the model
_ANY_MODELS_FILE = pattern(
    r"(?:(?:diffusion_)?(?:pytorch_)?model|consolidated|adapter_model)"
    r"(?:[-_.](?:fp16|bf16|\d+(?:-of-\d+)?))*\.(?:gguf|safetensors|bin|pth)",
    re.IGNORECASE,
)


_WHAT_IS_COVERED = f"all names in the catalogue: {LIST_ALL}"


def unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by: a thing that is no model, or nothing that is
    known.
    """
    key = canonical(name)
    base = with_options(name)[0]
    facts = no_model_facts(name, catalogue) or no_model_facts(base, catalogue)
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
            f"{cut_short(typed)} is no file here, and most models have one of that name",
            remedy=f"the model by its repository:              {command('check', 'OWNER/NAME')}\n"
            + SEE_NAMES,
        )
    message = f"{cut_short(typed)} is not in the catalogue{_left_aside(catalogue)}"
    if is_bare_weights(name):
        message = (
            f"{cut_short(typed)} does not exist here and{message.removeprefix(cut_short(typed))}"
        )
    rest = name.rpartition("/")[2]
    if rest.lower().endswith(".gguf"):
        rest = name_and_quantization(rest)[0]
        own_name = rest.partition("_")[2]
        rest = own_name if own_name[:1].isalpha() else rest
    for explained in _EXPLANATIONS:
        error = explained(message, name, catalogue)
        if error is not None:
            return error
    return UnknownModelError(
        f"{message}{size_alone(name, ': ', catalogue)}",
        # the whole catalogue is compared: only if somebody reads the answer
        nearest=lambda: _nearest(canonical(rest) or key, catalogue, rest),
        remedy=f"{_others_of_its_kind(rest)}{SEE_NAMES}",
    )


# what a word of a name says a model is for: a filter of `list`
_KIND_WORDS = {
    **dict.fromkeys(("asr", "stt", "transcribe"), ("use", "speech-recognition")),
    **dict.fromkeys(("tts", "voice"), ("use", "speech-synthesis")),
    **dict.fromkeys(("rerank", "reranker"), ("use", "reranking")),
    **dict.fromkeys(("embed", "embedding", "embeddings"), ("use", "embedding")),
    **dict.fromkeys(("translate", "translation", "translator", "mt"), ("use", "translation")),
    **dict.fromkeys(("vl", "vision"), ("modality", "vision")),
    **dict.fromkeys(("code", "coder", "coding", "programming"), ("use", "code")),
    **dict.fromkeys(("roleplay", "rp", "nsfw", "storywriting"), ("use", "roleplay")),
    **dict.fromkeys(("medical", "medicine"), ("use", "medical")),
    **dict.fromkeys(("reasoning", "thinking"), ("use", "reasoning")),
    "math": ("use", "math"),
    "guard": ("use", "safety"),
    "image": ("use", "image-generation"),
    "music": ("use", "music-generation"),
    "ocr": ("use", "document-reading"),
    "speech": ("modality", "speech"),
    "video": ("use", "video-generation"),
}


def _others_of_its_kind(name: str) -> str:
    """A line that lists the models of the kind that a word of the name says; empty without one."""
    words = canonical(name).split("-")
    kind = next((_KIND_WORDS[word] for word in words if word in _KIND_WORDS), None)
    if kind is None:
        return ""
    key, word = kind
    return f"{'models of that kind:':<42}{command('list', **{key: word})}\n"


def _of_uncovered_kind(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model of a kind that the catalogue does not judge; None for any other name.

    `names` are what the names of such models begin with, `whole` those that begin others' too.
    """
    key = canonical(name.rpartition("/")[2])
    for kind, facts in (catalogue.common("things").get("uncovered") or {}).items():
        is_whole = key in _canonical(tuple(texts_in(facts.get("whole"))))
        if not is_whole and not _begins_so(key, facts):
            continue
        instead = [model for model in texts_in(facts.get("try_instead")) if model in catalogue]
        return UnknownModelError(
            f"{cut_short(typed)} is a model for {kind}: {facts['answer']}",
            remedy=(
                f"one of that kind: {command('check', instead[0])}" if instead else _WHAT_IS_COVERED
            ),
        )
    return None


def _begins_so(key: str, facts: Mapping[str, Any]) -> bool:
    """Whether a name as `canonical` writes it begins with one of the `names` of an entry."""
    starts = _canonical(tuple(texts_in(facts.get("names"))))
    if not key.startswith(starts):
        return False
    # a version follows with or without a sign between: yolov8, YOLO11n
    rests = (key[len(start) :] for start in starts if key.startswith(start))
    return any(not rest or rest[0] == "-" or rest[0].isdecimal() for rest in rests)


@cache
def _canonical(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(canonical, names))


def _of_a_line(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name that begins as those of a line do whose layers are not known; None for
    any other name.
    """
    key = canonical(name.rpartition("/")[2])
    for facts in (catalogue.common("things").get("line") or {}).values():
        if not _begins_so(key, facts):
            continue
        instead = [model for model in texts_in(facts["try_instead"]) if model in catalogue]
        commands = (
            [f"one that writes {facts['writes']}: {command('check', instead[0])}"]
            if instead
            else []
        )
        size = size_alone(name, "; ", catalogue)
        return UnknownModelError(
            f"{message}: by its name it is one of {facts['about']}{size}",
            remedy="\n".join((*commands, SEE_NAMES)),
        )
    return None


@cache
def _line_pattern(starts: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """What the names of a line begin with, and the pattern of them all; its group is the rest of
    the name.
    """
    parts = [[canonical(part) for part in start.split("*")] for start in starts]
    names = "|".join(".+".join(map(re.escape, each)) for each in parts)
    return tuple(each[0] for each in parts), pattern(rf"(?:{names})(?:-(.*))?")


# words for tunes on what a hosted model wrote, such as GPT4-x-Alpaca; others state their size
_OF_TUNES = frozenset(("alpaca", "distill", "distilled", "llama", "qwen", "vicuna"))


def _hosted(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name by which only a hosted API serves a model: one of a line whose weights
    are not published, or whatever is the `latest` of a name; None for any other.
    """
    from .beginnings import newest_begun

    owner, _, rest = name.rpartition("/")
    key = canonical(rest)
    message = f"{cut_short(typed)} is not in the catalogue"
    for maker, line in (catalogue.common("things").get("hosted") or {}).items():
        begins, of_line = _line_pattern(tuple(texts_in(line.get("names"))))
        # most names begin otherwise, and a pattern takes long to compile
        match = of_line.fullmatch(key) if key.startswith(begins) else None
        own = set((match[1] or "").split("-")) if match else set()
        is_tune = bool(_SIZE.search(key) or own & _OF_TUNES)
        if (
            match
            and not is_tune
            and letters_of(maker).startswith(letters_of(owner.partition("-")[0]))
        ):
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
        remedy=f"the newest of that name here: {command('check', newest)}",
    )


def _no_model(typed: str, facts: Mapping[str, Any], catalogue: Catalogue) -> NotAModelError:
    """The error for the name of a program, a device or another thing."""
    kind = str(facts.get("kind") or "thing")
    instead = [model for model in texts_in(facts.get("try_instead")) if model in catalogue]
    message = f"{cut_short(typed)} is not a model"
    if facts.get("answer"):
        message = f"{cut_short(typed)} is not a model but a {kind}: {facts['answer']}"
    return NotAModelError(
        message,
        kind=kind,
        nearest=instead,
        remedy=command("check", instead[0]) if instead else SEE_NAMES,
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
    split = split_form(name, catalogue)
    if split is None:
        return None
    from ..core.units import decimal
    from .forms import exllama_sizes, fp8_sizes

    (spec_id, _), form = split
    sizes = " or ".join(
        f"{decimal(size)} at {bits:g} bits a weight"
        for bits, size in exllama_sizes(form.written, catalogue.spec(spec_id))
    )
    size = f"of about {sizes}; its memory" if sizes else "whose size"
    in_parts = [decimal(size) for size in fp8_sizes(form.written, catalogue.spec(spec_id))]
    if in_parts:
        size = f"of about {in_parts[0]}, or {in_parts[1]} with all its parts; its memory"
    return UnknownModelError(
        f"{message}: its name says that it holds {spec_id} in another format ({form.written}),"
        f" {size} is not known",
        nearest=(spec_id,),
        remedy=f"for the known formats: {command('check', spec_id)}",
    )


def _for_model(spec_id: str, options: dict[str, str], catalogue: Catalogue) -> dict[str, str]:
    """What `with_options` says is asked; nothing where their program is none for such a model."""
    from .forms import Form

    if "runtime" not in options:
        return options
    form = Form(written="", runtime=options["runtime"])
    return options if serves(form, spec_id, catalogue) else {}


def _in_other_repository(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a repository with the name of a model in an account that may hold other
    weights; None for any other name.
    """
    owner, slash, rest = name.rpartition("/")
    if not slash:
        return None
    try:
        same = find_id(rest, catalogue) or after_maker(rest, catalogue)
    except UnknownModelError:
        return None
    if same is None:
        return None
    if "github.com" in owner.lower():
        return UnknownModelError(
            f"{message}: GitHub keeps the code, not the weights; by that name {same[0]} is meant"
            " here",
            nearest=(same[0],),
            remedy=f"for its weights: {command('check', same[0])}",
        )
    return UnknownModelError(
        f"{message}: this repository of {cut_short(owner)} may hold other weights than {same[0]}",
        nearest=(same[0],),
        remedy=f"if it holds the same weights: {command('check', same[0])}",
    )


def _nearest(key: str, catalogue: Catalogue, typed: str = "") -> tuple[str, ...]:
    """Names of models of the same family and kind, closest first. `typed` is the name as it was
    written, where a size that is stated in it may be one that no model of the family has.
    """
    from .near_names import MOST_HINTS, nearest_in_size, nearest_names

    families = [name for name, _ in catalogue.common_tables("families", "family").values()]
    accounts = frozenset(
        name.partition("-")[0] for names in catalogue.names() for name in names["repositories"]
    )

    def model_of(name: str) -> str | None:
        candidate = named_directly(canonical(name), name, catalogue)
        return candidate[0] if candidate is not None else None

    names = (*catalogue.spellings(), *families)
    of_version = nearest_in_size(typed, names)
    in_size = set(nearest_names(key, of_version, accounts, model_of, most=len(of_version)))
    hints = tuple(name for name in of_version if name in in_size)[:MOST_HINTS]
    hints = hints or nearest_names(key, names, accounts, model_of)
    return hints or _run_together(key, names, model_of)


def _with_revision(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model's name with a revision behind `@`, or with its size there; None for any
    other name.
    """
    from .near_names import stated_version_and_size

    base, at, rest = name.rpartition("@")
    if not (base and rest):
        return None
    has_size = bool(stated_version_and_size(rest)[1])
    whole, how = (f"{base}:{rest}", "with a colon") if has_size else (base, f"without {at}{rest}")
    try:
        same = find_id(whole, catalogue)
    except UnknownModelError:
        same = None
    if same is None:
        return None
    return UnknownModelError(
        f"{message}: no quantization is called {cut_short(rest)}",
        nearest=(same[0],),
        remedy=f"{how}: {command('check', whole)}",
    )


# letters of the shortest name that is looked for with its words run together
_SHORTEST_RUN = 6


def _run_together(
    key: str, names: Iterable[str], model_of: Callable[[str], str | None]
) -> tuple[str, ...]:
    """Names that begin as `key` does but for the separators between words, one a model, the
    shortest first: OuteTTS for `oute tts`.
    """
    run, words = key.replace("-", ""), [word for word in key.split("-") if word.isalpha()]
    if len(run) < _SHORTEST_RUN or len(words) < 2:
        return ()
    listed = list(names)
    keys = canonical_of_each(listed)
    begun = [
        name for name, own in zip(listed, keys, strict=True) if own.replace("-", "").startswith(run)
    ]
    by_model: dict[str | None, str] = {}
    for name in sorted(begun, key=lambda each: (len(each), each)):
        by_model.setdefault(model_of(name), name)
    by_model.pop(None, None)
    return tuple(by_model.values())[:MOST_NAMED]


# of a name's words: a number of parameters in billions or millions
_SIZE = pattern(r"(?:^|-)\d+-[bm](?:-|$)")


def _misspelled(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a slip of a whole name, before a part of it is taken for what it was made from:
    `glm-4.7-flahs`; None for any other name.
    """
    from .near_names import is_slip_of

    key = canonical(with_options(name.rpartition("/")[2])[0])
    # an OpenCUA is no slip of OpenChat
    if any(
        _begins_so(key, facts) for facts in (catalogue.common("things").get("line") or {}).values()
    ):
        return None
    spellings = _spelled_like(key, catalogue)
    if key in spellings or not any(is_slip_of(key, spelling) for spelling in spellings):
        return None
    return UnknownModelError(message, nearest=lambda: _nearest(key, catalogue), remedy=SEE_NAMES)


def _spelled_like(key: str, catalogue: Catalogue) -> Set[str]:
    """The names of the catalogue with as many words as `key` and the same first letter, which a
    slip leaves as they are (`near_names.is_slip_of`): a file may name thousands of unknown models.
    """
    kept: dict[tuple[int, str], set[str]] | None = catalogue.derived.get("spelled alike")
    if kept is None:
        kept = catalogue.derived["spelled alike"] = {}
        for spelling in canonical_of_each(tuple(catalogue.spellings())):
            kept.setdefault((spelling.count("-"), spelling[:1]), set()).add(spelling)
    return kept.get((key.count("-"), key[:1]), frozenset())


def _made_of(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name that holds that of a catalogued model, size and all, as those of
    fine-tunes do; None for any other name.
    """
    base, options = with_options(name.rpartition("/")[2])
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
            stated = {} if PARTS.intersection(own) else _for_model(original, options, catalogue)
            return UnknownModelError(
                f"{message}: {_relation(original, own)}",
                nearest=(original,),
                remedy=command("check", original, **stated),
            )
    return None


def _cut(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name whose words all stand, in their order and with the size, in the ids of a
    few models, which have more: `r1 distill qwen 14b`; None for any other name.
    """
    base, options = with_options(name)
    words = canonical(base).split("-")
    if "/" in base or ":" in base or not sizes_in(base):
        return None
    models = []
    for outline in catalogue.outlines():
        # of most ids a word is in no part, which is told without writing them anew
        if outline.closed or not all([word in outline.id for word in words]):  # noqa: C419
            continue
        rest = iter(canonical(outline.id).split("-"))
        if all(word in rest for word in words):
            models.append(outline.id)
    sizes = sizes_in(base)
    models = [id for id in models if sizes <= sizes_in(id)]
    # the shortest ids have the fewest words beside
    models.sort(key=lambda id: (not canonical(id).endswith(f"-{'-'.join(words)}"), len(id), id))
    if not models or len(models) > MOST_NAMED:
        return None
    return UnknownModelError(
        message, nearest=tuple(models), remedy=command("check", models[0], **options)
    )


def _is_of_another_kind(original: str, words: Sequence[str], end: int) -> bool:
    """Whether the words of a name say that it is no tune of this model, whose name ends before
    `end`: a GLM-4.5V sees, and has other layers than the GLM-4.5; an I2V starts from a picture.
    """
    from .near_names import makes_the_same

    if words[end : end + 1] == ["v"] and words[end - 1].isdecimal():
        return True
    return not makes_the_same("-".join(words), canonical(original))


def _states_another_size(original: str, beside: Iterable[str], catalogue: Catalogue) -> bool:
    """Whether words beside the name of a model state a number of parameters that is not its own."""
    stated = [size for words in beside for size in sizes_in(words)]
    total = next(
        (each.parameters_total for each in catalogue.outlines() if each.id == original), None
    )
    return any(total is None or not _is_about(size, total) for size in stated)


def _is_about(size: str, total: int) -> bool:
    """Whether a size as `sizes_in` writes it (`1-7-b`) is how many parameters it has, rounded."""
    number, unit = size[:-2].replace("-", ".", 1), size[-1]
    exact = total / (10**9 if unit == "b" else 10**6)
    return number.count(".") < 2 and "-" not in number and abs(float(number) - exact) <= exact / 20


# words for weights in fewer bits that stand in front of a name: `svdq-int4-flux.1-dev`
_PACKED = frozenset(("bnb", "nf", "nunchaku", "nvfp", "sdnq", "svdq", "torchao"))


def _relation(original: str, own: list[str]) -> str:
    """What a name with that of a known model in it says of the two, by its `own` words beside."""
    part = next((word for word in own if word in PARTS), None)
    if part is not None:
        return (
            f"by its name it is loaded beside {original} ({part}), and needs memory of its own"
            " beyond what that model needs"
        )
    packed = next((word for word in own if word in _PACKED), None)
    if packed is not None:
        return (
            f"its name says that it holds {original} in another format ({packed}), which takes less"
            " than is said there"
        )
    kind = next((word for word in own if word in WITH_MORE), None)
    if kind is not None and kind not in canonical(original).split("-"):
        return (
            f"by its name it may be built on {original} with parts for {kind} beside it: then it"
            " needs more than that model does"
        )
    return f"if it is made from {original}, as its name says, it needs as much"


# how many words at the end of a family's name a tune may have of its own
_OWN_WORDS = 3


def _tagged(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for somebody's own model in Ollama, whose name adds words to a family's and whose
    tag states the size, or which has no tag: `huihui_ai/qwen3-abliterated:8b`; None for any other.
    """
    from .near_names import says_kind

    owner, _, rest = name.rpartition("/")
    base, options = with_options(rest)
    family, _, size = base.partition(":")
    words = re.split(r"[-_]", family)
    if not owner or not (sizes_in(size) or (not size and "_" in owner)):
        return None
    for count in range(1, min(_OWN_WORDS, len(words) - 1) + 1):
        if any(says_kind(word) for word in words[-count:]):
            return None
        try:
            original = find_id(f"{'-'.join(words[:-count])}:{size or 'latest'}", catalogue)
        except UnknownModelError:
            return None
        if original is not None and not catalogue.is_closed(original[0]):
            says = "as its name says" if size else f"as Ollama's {'-'.join(words[:-count])} is"
            return UnknownModelError(
                f"{message}: if it is made from {original[0]}, {says}, it needs as much",
                nearest=(original[0],),
                remedy=command("check", original[0], **options),
            )
    return None


def _scattered(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune whose own words stand between the name of a catalogued model and its
    size: `huihui qwen3 abliterated 14b`; None for any other name.
    """
    from .near_names import is_common_word

    base, options = with_options(name.rpartition("/")[2])
    words, sizes = re.split(r"[-_ ]", base.lower()), BILLIONS.findall(base)
    places = [place for place, word in enumerate(words) if BILLIONS.fullmatch(word)]
    if len(sizes) != 1 or not places:
        return None
    originals = set()
    for end in range(1, places[0]):
        # a version or a common word may make another model of it: a Qwen3 Coder is no Qwen3
        between = words[end : places[0]]
        if any(not word.isalpha() or is_common_word(word) for word in between):
            continue
        for start in range(end):
            try:
                original = find_id(f"{'-'.join(words[start:end])}-{sizes[0]}b", catalogue)
            except UnknownModelError:
                continue
            if original is not None and not catalogue.is_closed(original[0]):
                originals.add(original[0])
    if len(originals) != 1:
        return None
    original_id = originals.pop()
    return UnknownModelError(
        f"{message}: if it is made from {original_id}, as its name says, it needs as much",
        nearest=(original_id,),
        remedy=command("check", original_id, **options),
    )


def _of_short_family(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune or merge whose name has its family in short and states the size:
    `L3.3-Nevoria-R1-70b`; None for any other name.
    """
    base, options = with_options(name.rpartition("/")[2])
    words, sizes = re.split(r"[-_ ]", base.lower()), BILLIONS.findall(base)
    families: Mapping[str, str] = catalogue.common("families").get("short") or {}
    family = next((families[word] for word in words[:2] if word in families), None)
    if family is None or len(sizes) != 1:
        return None
    try:
        original = find_id(f"{family}-{sizes[0]}b", catalogue)
    except UnknownModelError:
        return None
    if original is None or catalogue.is_closed(original[0]):
        return None
    return UnknownModelError(
        f"{message}: if it is made from {original[0]}, as the short name in front says, it needs as"
        " much",
        nearest=original[:1],
        remedy=command("check", original[0], **options),
    )


# letters in front of the ending that says of which model a tune is: `juggernautXL`
_SHORTEST_STEM = 4


def _of_ending(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune or merge whose name has a word that ends as those of one model's do:
    `juggernautXL_ragnarok.safetensors`; None for any other name, and where it states a size.
    """
    endings: Mapping[str, str] = catalogue.common("families").get("ending") or {}
    base = name.rpartition("/")[2]
    if sizes_in(base):
        return None
    words = [re.sub(r"v?\d+$", "", word) for word in re.split(r"[-_. ]", base.lower())]
    for ending, model in endings.items():
        stems = [word.removesuffix(ending) for word in words if word.endswith(ending)]
        stems = [re.sub(r"v?\d+$", "", stem) for stem in stems]
        if model in catalogue and any(
            stem.isalpha() and len(stem) >= _SHORTEST_STEM for stem in stems
        ):
            return UnknownModelError(
                f"{message}: if it is made from {model}, as “{ending.upper()}” in its name says, it"
                " needs as much",
                nearest=(model,),
                remedy=command("check", model),
            )
    return None


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
    whisper = find_id(f"whisper-{name}", catalogue) or find_id(
        f"whisper-large-v3-{name}", catalogue
    )
    whisper = whisper or find_id(f"{name.replace('distil-', 'distil-whisper-')}", catalogue)
    if whisper is None:
        return None
    return UnknownModelError(
        f"{message}; programs for speech recognition call {whisper[0]} so",
        nearest=(whisper[0],),
        remedy=f"if you mean that: {command('check', whisper[0])}",
    )


def _original(run: str, count: int, catalogue: Catalogue) -> str | None:
    """The open model that `count` words of a longer name are the whole name of; without a size only
    an id of three words, for an alias or a shorter id may be the name of a family.
    """
    is_sized = _SIZE.search(run) is not None
    if count < 3:
        return None
    kinds = ("ids", "repositories", "titles", "aliases") if is_sized else ("ids",)
    try:
        original = look_up(run, kinds, run, catalogue)
    except UnknownModelError:
        return None
    return original[0] if original is not None and not catalogue.is_closed(original[0]) else None


# what a name may be that no model has, the surest first; each gives the error for the message, the
# name and the catalogue, or None for a name that it says nothing of
_EXPLANATIONS: tuple[Callable[[str, str, Catalogue], UnknownModelError | None], ...] = (
    _with_revision,
    _in_other_format,
    _in_other_repository,
    _cut,
    _misspelled,
    _made_of,
    _tagged,
    _scattered,
    _of_short_family,
    listed_alike,
    listed_by_words,
    _of_whisper,
    listed_in_part,
    _of_a_line,
    _of_ending,
    of_its_size,
)
