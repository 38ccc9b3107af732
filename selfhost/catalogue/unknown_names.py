"""What is told of a name that no model has: what it is, what it is made of, what is near to it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import canonical, canonical_of_each
from .index import Catalogue, Outline
from .lookup import (
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


_WHAT_IS_COVERED = "all names in the catalogue: selfhost list --all"


def unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by: a thing that is no model, or nothing that is
    known.
    """
    key = canonical(name)
    base = _with_options(name)[0]
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
            remedy="the model by its repository:              selfhost check OWNER/NAME\n"
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
        f"{message}{_size_alone(name, ': ', catalogue)}",
        # the whole catalogue is compared: only if somebody reads the answer
        nearest=lambda: _nearest(canonical(rest) or key, catalogue),
        remedy=f"{_others_of_its_kind(rest)}{SEE_NAMES}",
    )


# what a word of a name says a model is for: a filter of `list`
_KIND_WORDS = {
    **dict.fromkeys(("asr", "stt", "transcribe"), "--use speech-recognition"),
    **dict.fromkeys(("tts", "voice"), "--use speech-synthesis"),
    **dict.fromkeys(("rerank", "reranker"), "--use reranking"),
    **dict.fromkeys(("embed", "embedding", "embeddings"), "--use embedding"),
    **dict.fromkeys(("translate", "translation", "translator", "mt"), "--use translation"),
    **dict.fromkeys(("vl", "vision"), "--modality vision"),
    **dict.fromkeys(("code", "coder", "coding", "programming"), "--use code"),
    **dict.fromkeys(("roleplay", "rp", "nsfw", "storywriting"), "--use roleplay"),
    **dict.fromkeys(("medical", "medicine"), "--use medical"),
    **dict.fromkeys(("reasoning", "thinking"), "--use reasoning"),
    "math": "--use math",
    "guard": "--use safety",
    "image": "--use image-generation",
    "music": "--use music-generation",
    "ocr": "--use document-reading",
    "speech": "--modality speech",
    "video": "--use video-generation",
}


def _others_of_its_kind(name: str) -> str:
    """A line that lists the models of the kind that a word of the name says; empty without one."""
    words = canonical(name).split("-")
    kind = next((_KIND_WORDS[word] for word in words if word in _KIND_WORDS), None)
    return f"{'models of that kind:':<42}selfhost list {kind}\n" if kind else ""


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
                f"one of that kind: selfhost check {instead[0]}" if instead else _WHAT_IS_COVERED
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


# of a listed repository, or of its account
_canonical_name = lru_cache(maxsize=1 << 15)(canonical)


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
            [f"one that writes {facts['writes']}: selfhost check {instead[0]}"] if instead else []
        )
        size = _size_alone(name, "; ", catalogue)
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
        remedy=f"the newest of that name here: selfhost check {newest}",
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
        remedy=f"selfhost check {instead[0]}" if instead else SEE_NAMES,
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
        remedy=f"for the known formats: selfhost check {spec_id}",
    )


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


def _for_model(spec_id: str, options: str, catalogue: Catalogue) -> str:
    """The options of `_with_options`; none where their program is none for such a model."""
    from .forms import Form

    program = re.search(r"--runtime (\S+)", options)
    if program is None:
        return options
    form = Form(written="", runtime=program[1])
    return options if serves(form, spec_id, catalogue) else ""


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
            remedy=f"for its weights: selfhost check {same[0]}",
        )
    return UnknownModelError(
        f"{message}: this repository of {cut_short(owner)} may hold other weights than {same[0]}",
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
        candidate = named_directly(canonical(name), name, catalogue)
        return candidate[0] if candidate is not None else None

    names = (*catalogue.spellings(), *families)
    return nearest_names(key, names, accounts, model_of) or _run_together(key, names, model_of)


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


def _listed_alike(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a model whose config.json or file was read: it has the layers of a catalogued
    one.
    """
    base, options = _with_options(name.rpartition("/")[2].removesuffix(":latest"))
    key = re.sub(r"(?:-i-1)?-gguf$", "", canonical(base))
    models, shorter = _alike(key[:1], base[-1:].lower(), catalogue)
    model = models.get(key)
    if model is not None:
        return UnknownModelError(
            f"{message}: it has the layers of {model}, so it needs as much",
            nearest=(model,),
            remedy=f"selfhost check {model}{options}",
        )
    # tunes of one name come in sizes, of which the listed ones are not all
    is_general = _is_slip_of_family(key, catalogue) or _says_family_alone(key, catalogue)
    of_name = {} if is_general else shorter.get(key, {})
    listed = {model: own for own, model in of_name.items()}
    return _of_listed_sizes(message, listed, options)


def _of_listed_sizes(
    message: str, listed: Mapping[str, str], options: str
) -> UnknownModelError | None:
    """The error for a name without a size; `listed` is a repository of that name for each model
    whose layers one has, None is returned where it is empty.
    """
    if not listed:
        return None
    same_layers = [f"{own} has the layers of {model}" for model, own in listed.items()]
    layers = " and ".join(same_layers[:MOST_NAMED])
    is_single = len(listed) == 1
    return UnknownModelError(
        f"{message} without its size: {layers}; another size needs more or less",
        nearest=tuple(listed)[:MOST_NAMED],
        remedy=(
            f"if you mean that one: selfhost check {next(iter(listed))}{options}"
            if is_single
            else "type its name with the size"
        ),
    )


class _Listed:
    """Each listed repository with the model whose layers it has, the shortest names of a model
    first.
    """

    def __init__(self, alike: Mapping[str, Sequence[str]]) -> None:
        self._rows = [
            (model, repository)
            for model, repositories in alike.items()
            for repository in sorted(repositories, key=lambda each: (len(each), each))
        ]
        # one text is searched in a hundredth of the time that all names take
        names = [repository.lower() for _, repository in self._rows]
        self._text = "\n".join(names)
        self._ends = list(accumulate(len(name) + 1 for name in names))

    def with_word(self, word: str) -> Iterator[tuple[str, str]]:
        """Those whose name has the word in it, in any case; all for an empty one."""
        place = self._text.find(word) if self._rows else -1
        while place >= 0:
            number = bisect_right(self._ends, place)
            yield self._rows[number]
            place = self._text.find(word, self._ends[number])


def _by_length(catalogue: Catalogue) -> _Listed:
    listed: _Listed | None = catalogue.derived.get("alike by length")
    if listed is None:
        listed = _Listed(catalogue.common("alike")["alike"])
        catalogue.derived["alike by length"] = listed
    return listed


# letters of the shortest word that names a line of tunes: `elyza`
_SHORTEST_OWN_WORD = 4


def _listed_in_part(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for the name of a line of tunes without a size, or of the account that makes it,
    which stands in the names of listed repositories: `swallow` of Llama-3.3-Swallow-70B; None for
    any other.
    """
    from .near_names import is_common_word

    base, options = _with_options(name)
    key = canonical(base)
    if sizes_in(base) or not key or _is_slip_of_family(key, catalogue):
        return None
    if _says_family_alone(key, catalogue):
        return None
    own = [word for word in key.split("-") if len(word) >= _SHORTEST_OWN_WORD and word.isalpha()]
    families = _families(catalogue)
    is_line = any(not is_common_word(word) and word not in families for word in own)
    longest = max(own or key.split("-"), key=len)
    listed: dict[str, str] = {}
    of_account: dict[str, str] = {}
    # to rewrite all names takes far longer
    for model, repository in _by_length(catalogue).with_word(longest):
        account, _, rest = repository.rpartition("/")
        # a size or a word for the tune follows the name of a line
        run = f"-{_canonical_name(rest)}"
        if f"-{key}-" in run if is_line else "-" in key and run.startswith(f"-{key}-"):
            listed.setdefault(model, rest)
        elif is_line and key == _canonical_name(account):
            of_account.setdefault(model, rest)
    # the shortest names are those of the line, the longer ones of tunes of it
    ranked = sorted((listed or of_account).items(), key=lambda pair: (len(pair[1]), pair))
    if listed or len(of_account) < 2:
        return _of_listed_sizes(message, dict(ranked), options)
    layers = " and ".join(
        f"{tune} has the layers of {model}" for model, tune in ranked[:MOST_NAMED]
    )
    return UnknownModelError(
        f"{message}: of an account of that name {layers}",
        nearest=tuple(model for model, _ in ranked[:MOST_NAMED]),
        remedy="type the name of one of its models, with the size",
    )


def _listed_by_words(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune that is typed by its own words and its size, where the repositories that
    have all of them need as much as one model: `mag mell 12b` of MN-12B-Mag-Mell-R1.
    """
    base, options = _with_options(name.rpartition("/")[2])
    words = frozenset(re.split(r"[-_ ]+", base.lower()))
    own = {word for word in words if len(word) > 3 and word.isalpha()} - _families(catalogue)
    if not own or not _BILLIONS.search(base):
        return None
    listed: dict[str, str] = {}
    # the shortest names of a model come first
    for model, repository in _by_length(catalogue).with_word(max(own, key=len)):
        if model not in listed:
            own_name = repository.rpartition("/")[2].lower().replace("_", "-")
            if words.issubset(own_name.split("-")):
                listed[model] = repository
    sizes = {
        (outline.parameters_total, outline.parameters_active)
        for outline in catalogue.outlines()
        if outline.id in listed
    }
    if len(sizes) != 1:
        return None
    # of models that need alike, that of the tune with the fewest words more
    model = min(listed, key=lambda id: (len(listed[id]), id))
    return UnknownModelError(
        f"{message}: tunes of that name and size have the layers of {model}, so they need as much",
        nearest=(model,),
        remedy=f"selfhost check {model}{options}",
    )


# what people leave off at the end of a name: `Midnight-Miqu-70B-v1.5`, `Fimbulvetr-11B-v2`
_VERSION = pattern(r"[-_.]v?\d+(?:\.\d+)*$", re.IGNORECASE)


_SIZE_AT_END = pattern(r"(?<=[a-z]{4})[-_.]\d+(?:\.\d+)?b$", re.IGNORECASE)


_Alike = tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]


def _beginning_with(letter: str, catalogue: Catalogue) -> Sequence[tuple[str, str]]:
    """Of the repositories whose name begins with that letter, with its account or without: the
    model whose layers it has, and the repository.
    """
    rows: list[tuple[str, str]] | None = catalogue.derived.get(f"alike {letter}")
    if rows is None:
        letters = letter, letter.upper()
        rows = catalogue.derived[f"alike {letter}"] = [
            (model, repository)
            for model, repositories in catalogue.common("alike")["alike"].items()
            for repository in repositories
            if letter
            and (
                repository.startswith(letters) or repository.rpartition("/")[2].startswith(letters)
            )
        ]
    return rows


def _alike(first: str, letter: str, catalogue: Catalogue) -> _Alike:
    """The model whose layers a repository has, by the repository's name as `canonical` writes it,
    with its account and without, whole and without its version; and by a name without its size, or
    one that tunes of different models have, the model of each repository called so. Of the names
    that begin with the one letter and end in the other.
    """
    alike: _Alike | None = catalogue.derived.get(f"alike {first}…{letter}")
    if alike is not None:
        return alike
    # most names differ in these letters, and to rewrite all of them takes far longer
    models: dict[str, str] = {}
    unversioned: dict[str, dict[str, str]] = {}
    unsized: dict[str, dict[str, str]] = {}
    for model, repository in _beginning_with(first, catalogue):
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
        # without a size, another version may be of another one
        if len(set(named.values())) == 1 and sizes_in(plain):
            models.setdefault(plain, next(iter(named.values())))
        else:
            unsized.setdefault(plain, {}).update(named)
    catalogue.derived[f"alike {first}…{letter}"] = models, unsized
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
            stated = "" if _PARTS.intersection(own) else _for_model(original, options, catalogue)
            return UnknownModelError(
                f"{message}: {_relation(original, own)}",
                nearest=(original,),
                remedy=f"selfhost check {original}{stated}",
            )
    return None


def _cut(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a name whose words all stand, in their order and with the size, in the ids of a
    few models, which have more: `r1 distill qwen 14b`; None for any other name.
    """
    base, options = _with_options(name)
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
        message, nearest=tuple(models), remedy=f"selfhost check {models[0]}{options}"
    )


def _is_slip_of_family(key: str, catalogue: Catalogue) -> bool:
    """Whether a name as `canonical` writes it is a slip of the fingers in a family's name."""
    from .near_names import is_slip_of, shape_of

    by_shape: dict[tuple[str, ...], list[str]] | None = catalogue.derived.get("families by shape")
    if by_shape is None:
        by_shape = catalogue.derived["families by shape"] = {}
        for name, _ in catalogue.common_tables("families", "family").values():
            family = canonical(name)
            by_shape.setdefault(shape_of(family), []).append(family)
    return any(is_slip_of(key, family) for family in by_shape.get(shape_of(key), ()))


def _says_family_alone(key: str, catalogue: Catalogue) -> bool:
    """Whether a name as `canonical` writes it is that of a family with words beside it that many
    models have: a `qwen-coder` is Qwen's own, not somebody's tune.
    """
    from .near_names import is_common_word

    first, *others = [word for word in key.split("-") if not word.isdecimal()] or [key]
    is_family = len(first) > 1 and first in _families(catalogue)
    return is_family and bool(others) and all(map(is_common_word, others))


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


# words for files that a program loads beside a model: drafts, adapters, parts
_PARTS = frozenset((
    "adapter", "controlnet", "dflash", "draft", "drafter", "dspark", "eagle", "lora", "loras",
    "mmproj", "projector", "sae", "speculator", "tokenizer", "vae",
))  # fmt: skip


# words for weights in fewer bits that stand in front of a name: `svdq-int4-flux.1-dev`
_PACKED = frozenset(("bnb", "nf", "nunchaku", "nvfp", "sdnq", "svdq", "torchao"))


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
    packed = next((word for word in own if word in _PACKED), None)
    if packed is not None:
        return (
            f"its name says that it holds {original} in another format ({packed}), which takes less"
            " than is said there"
        )
    kind = next((word for word in own if word in _WITH_MORE), None)
    if kind is not None and kind not in canonical(original).split("-"):
        return (
            f"by its name it may be built on {original} with parts for {kind} beside it: then it"
            " needs more than that model does"
        )
    return f"if it is made from {original}, as its name says, it needs as much"


# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
_BILLIONS = pattern(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])", re.IGNORECASE)


_TRILLIONS = pattern(r"(?<![a-z0-9.])(\d{1,2}(?:\.\d{1,2})?)t(?![a-z0-9])", re.IGNORECASE)


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
                remedy=f"selfhost check {original[0]}{options}",
            )
    return None


def _scattered(message: str, name: str, catalogue: Catalogue) -> UnknownModelError | None:
    """The error for a tune whose own words stand between the name of a catalogued model and its
    size: `huihui qwen3 abliterated 14b`; None for any other name.
    """
    from .near_names import is_common_word

    base, options = _with_options(name.rpartition("/")[2])
    words, sizes = re.split(r"[-_ ]", base.lower()), _BILLIONS.findall(base)
    places = [place for place, word in enumerate(words) if _BILLIONS.fullmatch(word)]
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
        remedy=f"selfhost check {original_id}{options}",
    )


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
        original = find_id(f"{family}-{sizes[0]}b", catalogue)
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
                remedy=f"selfhost check {model}",
            )
    return None


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
    families: set[str] | None = catalogue.derived.get("families")
    if families is None:
        ids = [outline.id for outline in catalogue.outlines()]
        families = {id.partition("-")[0].rstrip(".0123456789") for id in ids}
        catalogue.derived["families"] = families
    return families


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
        remedy=f"if you mean that: selfhost check {whisper[0]}",
    )


# Gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs).
_Q4_K_M_GB = 0.60, 0.66


# what names of models for pictures and videos state: T2V, I2V-480P
_OF_PICTURES = pattern(r"(?:^|[-_. ])(?:t?[tiv]2[iv]|\d{3,4}p)(?=[-_. ]|$)", re.IGNORECASE)


def _size_alone(name: str, sign: str, catalogue: Catalogue) -> str:
    """A clause on what the number of parameters in a name means for its weights, `sign` in front,
    for the name of a model of language, alone or with eyes or ears; empty for any other name, and
    for a family's name and size alone where it has a model of that size.
    """
    from .near_names import is_family, says_kind

    base = _with_options(name.rpartition("/")[2])[0]
    words = canonical(base).split("-")
    sizes = _BILLIONS.findall(base)
    stated = [float(size) for size in sizes]
    stated += [float(size) * 1000 for size in _TRILLIONS.findall(base)]
    kinds = {word for word in words if says_kind(word)} - _LANGUAGE_ALONE
    is_other = bool(_OF_PICTURES.search(base)) or bool(_PARTS.intersection(words))
    billions = stated[0] if len(stated) == 1 else 0.0
    if not billions or is_other or kinds - _WITH_MORE or "video" in kinds:
        return ""
    # a near name tells more, unless words of its own may make another model of it
    is_plain = not any(word.isalpha() and len(word) > 1 for word in words[1:])
    family = tuple(each for each in _families(catalogue) if is_family(words[0], each))
    if (
        sizes
        and is_plain
        and any(
            outline.id.startswith(family) and _BILLIONS.findall(outline.id) == sizes
            for outline in catalogue.outlines()
        )
    ):
        return ""
    low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
    # what sees or hears is not quantized as a whole
    small = "" if kinds else f"{low:,g} to {high:,g} GB of weights in Q4_K_M and "
    return (
        f"{sign}{billions:,g} billion parameters, as its name says, are about {small}"
        f"{2 * billions:,g} GB{' of weights' if kinds else ''} in 16 bits, cache and buffers not"
        " counted"
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
        original = look_up(run, kinds, run, catalogue)
    except UnknownModelError:
        return None
    return original[0] if original is not None and not catalogue.is_closed(original[0]) else None


# what a name may be that no model has, the surest first; each gives the error for the message, the
# name and the catalogue, or None for a name that it says nothing of
_EXPLANATIONS: tuple[Callable[[str, str, Catalogue], UnknownModelError | None], ...] = (
    _in_other_format,
    _in_other_repository,
    _cut,
    _made_of,
    _tagged,
    _scattered,
    _of_short_family,
    _listed_alike,
    _listed_by_words,
    _of_whisper,
    _listed_in_part,
    _of_a_line,
    _of_ending,
    _of_its_size,
)
