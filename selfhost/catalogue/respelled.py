"""Names that are known once they are written otherwise: without what stands around them, with a
point or other joints between their words, and base models by what was tuned from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.errors import UnknownModelError
from ..core.records import pattern
from ..core.spelling import canonical, canonical_of_each
from .index import Catalogue
from .lookup import (
    CONVERTER_ACCOUNTS,
    Resolution,
    find_id,
    name_and_quantization,
    no_model_facts,
    not_listed,
    sizes_in,
    texts_in,
    understood_name,
)

# how publishers mark a model that follows instructions
_TUNED = pattern(r"(?i)[-_ ](?:instruct|chat|it)$")
# two digits that no unit follows, which may be a version whose point was left out: `qwen25-7b`;
# 27b is a size, 8x22b too
_TWO_DIGITS = pattern(r"(?i)(?<![\d.])(\d)(\d)(?![\d.]|[-_ ]?(?:[bmk]|bit)(?![a-z])|x\d)")
# how hard a hosted model is asked to think, behind its name: `gpt-oss-120b (high)`
_EFFORT = pattern(
    r"\s*\((?:(?:x?high|medium|low|minimal|max|default)(?: (?:effort|think(?:ing)?|reasoning))?"
    r"|(?:no|non)[ -]think(?:ing)?)\)$"
)
# a month as leaderboards write it: `Command R (08-24)`
_IN_BRACKETS = pattern(r"\s*\((0[1-9]|1[0-2])-(2\d)\)$")
# a type as lists of files have it: `Qwen3 8B (Q4_K_M)`
_TYPE_IN_BRACKETS = pattern(r"\s*\(((?:UD-)?(?:I?Q|TQ|BF|F|MXFP)\d\w*)\)$")
# Amazon Bedrock's id of a model: `us.amazon.nova-pro-v1:0`, `meta.llama3-1-70b-instruct-v1:0`
_BEDROCK = pattern(r"(?:(?:us|eu|apac|jp|au|global)\.)?[a-z0-9]+\.([a-z][^/]+?)(?:-v[1-9])?:\d")
# pages that list models as `maker/model`
_LISTED_AT = pattern(
    r"(?i)(?:(?:https?://)?(?:www\.)?(?:lmstudio\.ai/models?|openrouter\.ai(?:/models)?)|lmstudio:/)/"
)
# what says nothing in a name as `canonical` writes it: the `v` of `llama-v3.1`, and signs but
# between numbers, where 1-3 and 13 differ
_SIGNS = pattern(r"-v-(?=\d)|(?<!\d)-|-(?!\d)")
# how publishers and Ollama mark weights that nobody tuned
_BASE = pattern(r"(?i)(?:(?<=:)(?:text|base)|[-_](?:text|base|pt|code))(?:-v\d[\d.]*)?$")
# how names of converted files end
_GGUF = pattern(r"(?:-i-1)?-gguf$")
# how Fireworks writes a decimal point: `llama-v3p1-70b-instruct`
_POINT_AS_P = pattern(r"(?<=\d)p(?=\d)")
# no name of a model has more; each is looked up with a point in its place
_MOST_VERSIONS = 4
# the letters of a base model's name that tell a tune of the same line from any other
_LETTERS_OF_LINE = 4


def begun(name: str, catalogue: Catalogue) -> Resolution | None:
    """A model whose name somebody left the end off, in the quantization that the name states; the
    name of a family alone means the newest of it.
    """
    base, quantization = name_and_quantization(name)
    if "/" in base or ":" in base or no_model_facts(name, catalogue) is not None:
        return None
    from .beginnings import model_begun, newest_of_family

    candidate = model_begun(base, catalogue)
    if candidate is None:
        from .listed_names import is_typed_for_another

        candidate = newest_of_family(base, catalogue)
        if candidate is None or is_typed_for_another(base, catalogue):
            return None
    return Resolution(spec_id=candidate[0], quantization=quantization, notes=candidate[1])


def without_tuned(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model that follows instructions and whose name has no word for it: `qwen3-8b-instruct`
    is Qwen3 8B. None for what an account made, which may be any tune.
    """
    stated, quantization = name_and_quantization(name)
    rest = _TUNED.sub("", stated)
    # a family without a size has several that do
    if rest == stated or "/" in name or not sizes_in(rest):
        return None
    candidate = understood_name(rest, catalogue) or _otherwise_joined(rest, catalogue)
    if candidate is None:
        return None
    outline = catalogue.outline(candidate.spec_id)
    if outline is None or "chat" not in (outline.uses or ()):
        return None
    note = f"{name} is read as {candidate.spec_id}, which follows instructions."
    return candidate.replace(
        repository=None,
        quantization=quantization or candidate.quantization,
        notes=(note, *candidate.notes),
    )


def with_point(name: str, catalogue: Catalogue) -> Resolution | None:
    """The only model of a name that has a point between two digits of this one, with a note that
    says so; None for any other name.
    """
    candidates = {}
    for match in list(_TWO_DIGITS.finditer(name))[:_MOST_VERSIONS]:
        pointed = f"{name[: match.start()]}{match[1]}.{match[2]}{name[match.end() :]}"
        candidate = (
            understood_name(pointed, catalogue)
            or _otherwise_joined(pointed, catalogue)
            or begun(pointed, catalogue)
        )
        if candidate is not None:
            note = f"{name} is read as {pointed}."
            candidates[candidate.spec_id] = candidate.replace(
                repository=None, notes=(note, *candidate.notes)
            )
    return candidates.popitem()[1] if len(candidates) == 1 else None


def respelled(typed: str, catalogue: Catalogue) -> Resolution | None:
    """A name that is known without what stands around it: a gateway's prefix, the effort asked
    for, the `v` of a version.
    """
    name = _IN_BRACKETS.sub(r"-\1-20\2", _EFFORT.sub("", routed(typed, catalogue)))
    name = _TYPE_IN_BRACKETS.sub(r" \1", name)
    candidate = understood_name(name, catalogue) if name != typed else None
    return candidate or _otherwise_joined(name, catalogue)


def _otherwise_joined(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of a name that is known with its words joined in another way, or without the `v`
    of a version: `gptoss:20b`, `unsloth/Qwen-2.5VL-7B-GGUF`. None where several models are.

    No repository: none of the typed spelling is known.
    """
    from .forms import splits

    owner, slash, rest = name.rpartition("/")
    is_copied = owner.lower() in (*CONVERTER_ACCOUNTS, "library")
    stated = name_and_quantization(rest)[0]
    bases = dict.fromkeys((rest, stated, *(base for base, _ in splits(rest, owner))))
    for base in bases:
        beside = f"{owner}{slash}" if is_copied else ""
        spellings = _spelled(letters(base if is_copied else f"{owner}/{base}"), catalogue)
        ends = rest[len(base) :] if rest.startswith(base) else ""
        candidates = {}
        for spelling in spellings:
            candidate = understood_name(f"{beside}{spelling}{ends}", catalogue)
            if candidate is not None:
                candidates[candidate.spec_id] = candidate
        if len(candidates) == 1:
            return candidates.popitem()[1].replace(repository=None)
    return None


def routed(typed: str, catalogue: Catalogue) -> str:
    """A name without the prefix by which LiteLLM reaches a provider or a program, as each writes
    the rest, and without the address of a page that lists models so; any other name as it is.
    """
    listed = _LISTED_AT.match(typed)
    if listed is not None:
        return typed[listed.end() :].rstrip("/")
    prefix, slash, rest = typed.partition("/")
    own = _BEDROCK.fullmatch(typed)
    if own is not None:
        return own[1]
    if not slash or prefix not in catalogue.common("providers")["prefixes"]["names"]:
        return typed
    if prefix.startswith("ollama"):
        return f"library/{rest}" if "/" not in rest else rest
    if prefix == "fireworks_ai" and "/" in rest:
        return _POINT_AS_P.sub(".", rest.rpartition("/")[2])
    own = _BEDROCK.fullmatch(rest)
    return own[1] if own is not None else rest


def letters(name: str) -> str:
    """A name without the signs between its words."""
    return _SIGNS.sub("", canonical(name))


def _spelled(joined: str, catalogue: Catalogue) -> set[str]:
    """The known names that `letters` writes so, tags as Ollama writes them."""
    same_but_signs = _by_letters(catalogue).get(joined.replace("-", ""), ())
    return {spelling for key, spelling in same_but_signs if letters(key) == joined}


def _by_letters(catalogue: Catalogue) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By a name as `letters` writes it, without the signs between numbers too: the known names that
    are spelt so, as `canonical` writes them, and their spellings.
    """
    names: dict[str, list[tuple[str, str]]] | None = catalogue.derived.get("by_letters")
    if names is None:
        names = catalogue.derived["by_letters"] = {}
        keys = {
            key: key
            for layer in catalogue.names()
            for kind in ("ids", "repositories", "titles", "aliases")
            for key in layer[kind]
        }
        for table in ("family", "tag"):
            for key, (spelling, _) in catalogue.common_tables("families", table).items():
                keys[key] = spelling
        # all at once, for a pattern takes ten times as long; no name holds the end of a line
        text = "\n".join(keys)
        for digit in "0123456789":
            text = text.replace(f"-v-{digit}", digit)
        for by_letters, named in zip(text.replace("-", "").split("\n"), keys.items(), strict=False):
            names.setdefault(by_letters, []).append(named)
    return names


def _refuse_unlisted_tag(name: str, catalogue: Catalogue) -> None:
    """Raises `UnknownModelError` for a tag by which Ollama loads a model without a spec: it is no
    base model of what the name means without the colon.
    """
    facts = catalogue.common_tables("families", "tag").get(canonical(name), ("", {}))[1]
    loaded = facts.get("loads")
    if ":" in name and isinstance(loaded, str) and loaded not in catalogue:
        others = [other for other in texts_in(facts.get("others")) if other in catalogue]
        raise not_listed(name, loaded, others)


def untuned(name: str, catalogue: Catalogue) -> Resolution | None:
    """The model of the same size that was tuned from the base model of this name, whose needs are
    the same; None for any other name.

    Not for files found on a disk: what lies there is the base model.
    """
    rest = name.rpartition("/")[2]
    base, quantization = name_and_quantization(rest)
    _refuse_unlisted_tag(base, catalogue)
    key = _GGUF.sub("", canonical(base))
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
        is_account = not owner or owner == account or owner in CONVERTER_ACCOUNTS
        if is_account and sizes_in(id) >= sizes_in(key):
            tuned.append(id)
    return min(
        tuned, key=lambda id: (not id.startswith(key[:_LETTERS_OF_LINE]), len(id), id), default=None
    )


def _tuned_by_base(catalogue: Catalogue) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By the name of a base model, as `canonical` writes it: whose it is, and a model tuned from
    it.
    """
    by_base: dict[str, list[tuple[str, str]]] | None = catalogue.derived.get("tuned_by_base")
    if by_base is None:
        by_base = catalogue.derived["tuned_by_base"] = {}
        tunes = [
            (*outline.tuned_from.lower().partition("/"), outline.id)
            for outline in catalogue.outlines()
            if outline.tuned_from is not None
        ]
        keys = canonical_of_each(repository for _, _, repository, _ in tunes)
        for key, (account, _, _, id) in zip(keys, tunes, strict=True):
            by_base.setdefault(key, []).append((account, id))
    return by_base


def _without_base(name: str, owner: str, catalogue: Catalogue) -> str | None:
    """The model that a name means without the word for a base model at its end."""
    match = _BASE.search(name)
    is_tag = ":" in name
    # a model of Hugging Face whose name ends in "code" is made for code
    if match is None or not (is_tag or (sizes_in(name) and "code" not in match[0].lower())):
        return None
    rest = name[: match.start()]
    if rest.endswith(":"):
        rest += "latest"
    elif not is_tag and not owner:
        # the name of a file says whose it is in front
        rest = rest.partition("_")[2] or rest
    try:
        candidate = find_id(f"{owner}/{rest}" if owner else rest, catalogue)
    except UnknownModelError:
        return None
    if candidate is None or catalogue.is_closed(candidate[0]):
        return None
    return candidate[0]
