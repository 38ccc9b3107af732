"""The names nearest to one that no model goes by: of its family and its kind.

A hint that is not near in meaning is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ..core.errors import UnknownModelError
from ..core.records import pattern
from ..core.spelling import canonical_of_each
from .lookup import sizes_in

# words of a name that say nothing about which model it is
_COMMON_WORDS = frozenset((
    "a", "ai", "alpha", "audio", "b", "base", "beta", "bf", "bit", "chat", "code", "coder", "e",
    "embed", "embedding", "en",
    "exp", "fast", "flash", "fp", "free", "gguf", "h", "heavy", "hf", "high", "image", "instant",
    "instruct", "int", "it", "k",
    "large", "latest", "light", "lite", "long", "low", "m", "max", "medium", "micro", "mini",
    "model", "multilingual", "nano",
    "next", "o", "ocr", "omni", "oss", "plus", "preview", "pro", "q", "r", "reasoner", "reasoning",
    "rerank", "s", "small",
    "super", "t", "text", "the", "thinking", "tiny", "turbo", "ultra", "v", "vision", "vl", "x",
    "xl",
))  # fmt: skip


# words that say what kind of model a name asks for: a name without them is of another kind
_KINDS_OF_MODEL = frozenset((
    "animate", "asr", "audio", "clip", "colbert", "edit", "embed", "embedding", "guard", "image",
    "mt", "music", "ocr", "omni", "rerank", "reranker", "speech", "sql", "translate", "tts",
    "video", "vision", "vl", "voice",
))  # fmt: skip


def says_kind(word: str) -> bool:
    """True for a word that says what kind of model a name asks for: `guard`, `embedding`."""
    return word.lower() in _KINDS_OF_MODEL


# as `canonical` writes what a model makes of what: i2v, ti2v
_FROM_TO = pattern(r"(?:^|-)(t?[ti]-2-[iv])(?=-|$)")


def makes_the_same(typed: str, name: str) -> bool:
    """False where a name says what the model makes of what, and the other does not say the same:
    an I2V starts from a picture. Names as `canonical` writes them.
    """
    stated = set(_FROM_TO.findall(typed))
    return not stated or not stated.isdisjoint(_FROM_TO.findall(name))


def is_common_word(word: str) -> bool:
    """True for a word that many models have in their names, each for one of its kinds: `coder`."""
    return word.lower() in _COMMON_WORDS or says_kind(word)


# of one unknown name
MOST_HINTS = 5


def nearest_names(
    key: str,
    names: Iterable[str],
    accounts: frozenset[str],
    model_of: Callable[[str], str | None],
    most: int = MOST_HINTS,
) -> tuple[str, ...]:
    """Those of `names` that are of the family of `key`, a name as `canonical` writes it, closest
    first; one name a model, which `model_of` tells. `accounts` are first words of repositories.

    Where some differ by slips alone (every number the same, every word alike), or in signs, only
    those: `gtp2` is gpt2 and no other GPT, `llama31` a Llama 3.1. Else, where some have every size
    of it, only those.
    """
    listed = list(names)
    spellings = dict(zip(canonical_of_each(listed), listed, strict=True))
    words = _words(key)
    # an account in front is no part of the name, unless it is a family's too
    if words and words[0] in accounts and words[0] not in spellings:
        words = words[1:] or words
    candidates = [
        spelling
        for spelling in _sharing_a_word(key, spellings)
        if _near_in_meaning(key, words, spelling)
    ]
    candidates = _of_family(words, candidates)
    letters = key.replace("-", "")
    slips = [
        spelling
        for spelling in candidates
        if is_slip_of(key, spelling) or spelling.replace("-", "") == letters
    ]
    sizes = sizes_in(key)
    # who states a size means a model of that size, if the family has one
    of_size = [spelling for spelling in candidates if sizes and sizes <= sizes_in(spelling)]
    closest = _closest_first(key, slips or of_size or candidates)
    return _one_a_model((spellings[spelling] for spelling in closest), model_of, most)


# a number of parameters, as people write it, and the numbers before it
_STATED_SIZE = pattern(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z\d])")
_NUMBER = pattern(r"\d+(?:\.\d+)*")


def nearest_in_size(typed: str, names: Iterable[str]) -> list[str]:
    """Of `names` those of the version and the kind that was typed with a size, those of the same
    words and the nearest in size first: of `qwen3:9999b` other sizes of Qwen3, none of Qwen3.5.
    Empty where none was typed.
    """
    version, size = stated_version_and_size(typed)
    if not size:
        return []
    words = _split(typed)
    kinds = _KINDS_OF_MODEL.intersection(words)
    ranked = []
    for name in dict.fromkeys(names):
        own_version, own_size = stated_version_and_size(name)
        own_words = _split(name)
        if own_size and own_version == version and _KINDS_OF_MODEL.intersection(own_words) == kinds:
            times = max(size / own_size, own_size / size)
            ranked.append((own_words != words, times, len(name), name))
    return [name for *_, name in sorted(ranked)]


def stated_version_and_size(name: str) -> tuple[list[str], float]:
    """The numbers of a name before its size, and the size in billions, 0 where it states none."""
    sizes = list(_STATED_SIZE.finditer(name.lower()))
    if not sizes:
        return [], 0.0
    return _NUMBER.findall(name[: sizes[-1].start()]), float(sizes[-1][1])


def _split(name: str) -> set[str]:
    """The words of a name that are no numbers."""
    from ..core.spelling import canonical

    return {word for word in canonical(name).split("-") if not word.isdigit()}


def _of_family(words: list[str], candidates: list[str]) -> list[str]:
    """Those of the family that the typed `words` begin with, else all."""
    # another family that has the word later in its name is told only where none begins with it
    of_family = [spelling for spelling in candidates if _begins_alike(words, spelling)]
    # who writes a family's name right means no family that is spelled nearly so: solar is no sonar
    by_name = [spelling for spelling in of_family if _words(spelling)[0] == words[0]]
    return by_name or of_family or candidates


def _one_a_model(
    names: Iterable[str], model_of: Callable[[str], str | None], most: int
) -> tuple[str, ...]:
    """The first name of each of the first `most` models."""
    chosen: dict[str, str] = {}
    for name in names:
        try:
            model = model_of(name)
        except UnknownModelError:
            continue
        if model is not None:
            chosen.setdefault(model, name)
        if len(chosen) == most:
            break
    return tuple(chosen.values())


def _sharing_a_word(key: str, spellings: Collection[str]) -> set[str]:
    """Those with a telling word of this name, give or take a slip; of a name without one, those
    that begin or end with all of it.
    """
    if not _words(key) and "-" in key:
        return {spelling for spelling in spellings if _holds_at_end(spelling, key)}
    typed = _words(key)[:8]
    # most names share their words with others, so each word is compared once
    alike = {
        word for word in set(_words("-".join(spellings))) if any(_alike(own, word) for own in typed)
    }
    return {spelling for spelling in spellings if not alike.isdisjoint(spelling.split("-"))}


def _holds_at_end(name: str, key: str) -> bool:
    """Begins or ends with all of it, and has more: `oss-20b` is the end of gpt-oss-20b."""
    return name.startswith(f"{key}-") or name.endswith(f"-{key}")


def _closest_first(key: str, candidates: Iterable[str]) -> list[str]:
    """By the share of letters in common, then by the alphabet."""
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(key[:100])
    ranked = []
    for spelling in candidates:
        matcher.set_seq1(spelling)
        ranked.append((-matcher.ratio(), spelling))
    return [spelling for _, spelling in sorted(ranked)]


def _near_in_meaning(typed: str, words: list[str], name: str) -> bool:
    """Of one kind, and of one family: it begins or ends with what was typed, or the first telling
    word is the same, give or take a slip of one letter, or every one of the typed `words` is in the
    name; or the whole name is a slip.
    """
    if _KINDS_OF_MODEL.intersection(typed.split("-")) - set(name.split("-")):
        return False
    if not makes_the_same(typed, name):
        return False
    if "-" in typed and _holds_at_end(name, typed):
        return True
    others = _words(name)
    if not (words and others):
        return is_slip_of(typed, name)
    return is_family(words[0], others[0]) or set(words) <= set(others) or is_slip_of(typed, name)


def _begins_alike(words: list[str], name: str) -> bool:
    """The first telling word of the name is that of the typed `words`."""
    others = _words(name)
    return bool(words and others) and is_family(words[0], others[0])


def is_family(typed: str, name: str) -> bool:
    """The same word, or a slip of one letter in a word that is long enough to show it."""
    if typed == name:
        return True
    return (
        min(len(typed), len(name)) >= _LONG_ENOUGH
        and _alike(typed, name)
        and _within(typed, name, 1)
    )


# letters of a word of which one may be wrong
_LONG_ENOUGH = 5


def shape_of(name: str) -> tuple[str, ...]:
    """What a slip leaves as it is, of a name as `canonical` writes it: how many words there are,
    each number, and of each other word the first letter.
    """
    return tuple([word if word.isdigit() else word[:1] for word in name.split("-")])


def is_slip_of(typed: str, name: str) -> bool:
    """Number for number the same, and word for word alike."""
    if typed.count("-") != name.count("-"):
        return False
    pairs = zip(typed.split("-"), name.split("-"), strict=True)
    return all(
        own == other or (not (own.isdigit() or other.isdigit()) and _alike(own, other))
        for own, other in pairs
    )


def _alike(typed: str, name: str) -> bool:
    """The same word, or a slip of it: two letters swapped in three, one wrong in four to six, two
    in longer ones, one left out within four, or one doubled; in three, other vowels.

    A slip rarely hits the first letter, and of the last it makes a key beside it: bark is no bard.
    """
    if typed == name:
        return True
    shorter = min(len(typed), len(name))
    if typed[:1] != name[:1]:
        return False
    if shorter == 3 and abs(len(typed) - len(name)) <= 2 and _sounds_alike(typed, name):
        return True
    if _ends_in_another_word(typed, name):
        return False
    if shorter >= 2 and _undoubled(typed) == _undoubled(name):
        return True
    if shorter < 4:
        return shorter == 3 and _alike_in_three(typed, name)
    return _within(typed, name, 1 if shorter < 7 else 2)


def _alike_in_three(typed: str, name: str) -> bool:
    """Two letters swapped; or of four letters one within left out: qwn."""
    if len(typed) == len(name) and typed[1:] == name[:0:-1]:
        return True
    is_within = (len(typed), len(name)) == (3, 4) and typed[-1] == name[-1]
    return is_within and _within(typed, name, 1)


def _ends_in_another_word(typed: str, name: str) -> bool:
    """The last letter of as many is another, and neither a swap nor a key beside it says how."""
    return (
        len(typed) == len(name)
        and typed[-1] != name[-1]
        and typed[-2:] != name[:-3:-1]
        and not _beside(typed[-1], name[-1])
    )


def _within(typed: str, name: str, allowed: int) -> bool:
    """True where at most `allowed` letters were added, left out, mistaken or swapped with the next
    (the distance of Damerau and Levenshtein, in its restricted form).
    """
    if abs(len(typed) - len(name)) > allowed:
        return False
    typed, name = _without_common_ends(typed, name)
    if allowed < 2 and max(len(typed), len(name)) > 1:
        return len(typed) == len(name) == 2 and typed == name[::-1]
    before: list[int] = []
    row = list(range(len(name) + 1))
    for place, letter in enumerate(typed, 1):
        above, before, row = before, row, [place]
        for other, wanted in enumerate(name, 1):
            cost = min(before[other] + 1, row[-1] + 1, before[other - 1] + (letter != wanted))
            is_swap = place > 1 and other > 1 and letter == name[other - 2]
            if is_swap and typed[place - 2] == wanted:
                cost = min(cost, above[other - 2] + 1)
            row.append(cost)
        if min(row) > allowed:
            return False
    return row[-1] <= allowed


def _without_common_ends(typed: str, name: str) -> tuple[str, str]:
    """The two without what both end or begin with, which costs nothing."""
    while typed and name and typed[-1] == name[-1]:
        typed, name = typed[:-1], name[:-1]
    while typed and name and typed[0] == name[0]:
        typed, name = typed[1:], name[1:]
    return typed, name


_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _beside(letter_typed: str, other: str) -> bool:
    """Two letters whose keys touch, on a keyboard that begins with QWERTY; each row is half a
    key to the right of the one above.
    """
    places = [
        (row, keys.index(letter))
        for letter in (letter_typed, other)
        for row, keys in enumerate(_KEYS)
        if letter in keys
    ]
    if len(places) < 2:
        return False
    (upper, first), (lower, second) = sorted(places)
    return first - second in ((1, -1) if upper == lower else (0, 1)) and lower - upper < 2


def _sounds_alike(typed: str, name: str) -> bool:
    """The same consonants, two at least: phy for phi, gma for gemma."""
    return bool(_consonants(typed)) and _consonants(typed) == _consonants(name)


def _consonants(word: str) -> str:
    """The consonants of a word, each of a doubled pair once; empty of a word with one alone."""
    consonants = _undoubled("".join(letter for letter in word if letter not in "aeiouy"))
    return consonants if len(consonants) > 1 else ""


def _undoubled(word: str) -> str:
    return "".join(letter for place, letter in enumerate(word) if letter != word[place - 1 : place])


def _words(key: str) -> list[str]:
    return [word for word in key.split("-") if not word.isdigit() and word not in _COMMON_WORDS]
