"""A description of a machine as tokens: sizes, counts, rates and names in one spelling each.

The words and their roles are in `specs/common/words.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache

from ..core.records import Record, literal
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Means = str | Callable[[re.Match[str]], str]

BREAK = "|"
SIZE = re.compile(r"(\d+(?:\.\d+)?)(gb|tb)", re.ASCII)
MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
COUNT = re.compile(r"(\d{1,2})x|x(\d{1,2})", re.ASCII)
# `8cores`, `16threads`, `4vcpus`, `3200mts`, `2channels`, `2sticks`, and the 8 of the 8th generation
NUMBERED = re.compile(r"(\d+)(cores|threads|vcpus|cpus|mts|channels|sticks|gen)", re.ASCII)

_SCRIPTS_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NUMBERS_IN_CHINESE = dict(zip("两兩双雙三四六八", "22223468", strict=True))
# `ddr5-6000` and `ddr4 3200`, but not `ddr4 3090`
_RATE = r"\d\d(?:00|33|66|67)|1\d{4}"
# a rate behind a size, which is no Ryzen's number: `32gb 2666`
_RATE_ALONE = "1333|1600|1866|2133|2400|2666|2933|3200|3733|4266|4800|5200|6000|6400|7200"
_COUNTS = "one|two|three|four|six|eight|twelve|single|dual|quad|hexa|octa"


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else int(words()["counts"][word])


def _sum_of_two(match: re.Match[str]) -> str:
    """Two modules, `16gb+16gb`; of a laptop, `8gb+256gb` are RAM and disk."""
    first, second = int(match[1]), int(match[2])
    if first == second:
        return f" 2x{first}gb "
    if max(first, second) > 2 * min(first, second):
        return f" {first}gb | {second}gb "
    return f" {first + second}gb ram "


def _modules_of_sum(match: re.Match[str]) -> str:
    """`2x16gb` for `32gb (2x16)`; as it is where that is not the sum."""
    total, count, size = (int(number) for number in match.groups())
    return f" {count}x{size}gb " if total == count * size else match[0]


def _size(match: re.Match[str]) -> str:
    return f" {match[1]}{'t' if match[2][0] == 't' else 'g'}b "


# in this order; each makes one spelling of several
_REWRITES: tuple[tuple[str, Means], ...] = (
    (r"\((?:r|tm|c)\)|[®™]", " "),
    (r"[×✕]", "x"),
    (r"w/", " with "),
    (r"['’](?:m|s|ve|re|ll|d)\b", " "),
    (r"[张張块塊卡枚장]\s*", "x "),
    ("([两兩双雙三四六八])(?=x? ?[a-z]{0,3} ?\\d{3})", lambda m: _NUMBERS_IN_CHINESE[m[1]] + "x "),
    # what Windows, lspci and lscpu write
    (r"(?:\b[0-9a-f:]{2,9}\.\d )?(?:vga compatible|3d|display) controller: [^\[|]*\[([^\]]+)\](?: \(rev \w+\))?", r" | \1 | "),
    (r"\((\d+)\) *(?=@)|\([^()]*(?:usable|nutzbar|verwendbar|utilisable)\)|\[(?:discrete|integrated)\]", " | "),
    (r"@? ?\b\d(?:\.\d+)? ?ghz", " "),
    (r"(?<!\w)(?:ram|memory) ?[:=] ?(\d{1,3})(?![\w.]| ?[gmt]i?b| ?gig)", r" | ram \1gb "),
    (r"(?<!\w)(?:(?:system |physical |total |installed )*(?:ram|memory)|memtotal)\s*:\s*", " | ram "),
    (r"(?<!\w)[a-z][a-z ]{1,20}(?:\(s\))?\s*\d?\s*:(?!\w)", " | "),
    (r"(?<![\w.])(1\d)(?:[.,]\d{1,2})?(?:[ -]?inch(?:es)?\b|[\"”″])", r" \1 "),
    # sizes
    (r"(?<![\w.,])(\d{1,4}),(?=0{1,2}\s*[gt](?:i?b|o)\b|\d{1,2}\s+[gt](?:i?b|o)\b)", r"\1."),
    (r"(?<![\w.])(\d{5,9})\s*ki?b\b", lambda m: f"{int(m[1]) // 1024}mb"),
    (r"(?<![\w.,])(\d{1,3})[.,](\d{3})(?=\s*mi?b\b)", r"\1\2"),
    (r"(?<![\w.])(\d{3,6})\s*m(?:i?b|i)\b", lambda m: f" {int(m[1]) / 1024:.3g}gb "),
    (r"(?<![\w.])(\d{1,3})c(\d{1,4})g\b", r" \1vcpus \2gb "),
    (
        r"(?<![\w.])(\d{1,4}(?:\.\d+)?)[ -]?(g(?:i?b|i|o|igs?|igabytes?)s?|t(?:i?b|o|erabytes?))(?![\w.]\w)(?!\w)",
        _size,
    ),
    (r"(?<![\w.])(\d{1,3})(g)\b(?!\.\d)", _size),
    (r"(?<!\w)--memory[ =]|(?<!\S)-m (?=\d)", " "),
    (r"(?<![\w.])(\d{1,3})gb ?/ ?(\d{3,4}gb|[1-8]tb)", r" \1gb | \2 ssd "),
    (r"(?<![\w.])(\d{1,3})/(\d{3}|[1-8]tb)(?: ?gb)?(?![\w/])", r" \1gb | \2gb ssd "),
    (r"(?<![\w.])(\d{1,3})(?:gb)? ?\+(\d{1,3})gb", _sum_of_two),
    (r"(?<=\dgb) \+ (?=\d{1,3}gb)", " plus "),
    (r"(?<=\w)\+(?=\s|$)", " "),
    (r"\bram [\d.]+gb ?/ ?(?=[\d.]+gb)", "ram "),
    (r"(?<![\w.])(\d{1,4})gb ?(?:ram ?)?\(? ?([1-9]|1[026]) ?[x*] ?(\d{1,3}) ?(?:gb)? ?\)?(?![\w.])", _modules_of_sum),
    (
        rf"\b(\d{{1,2}}|{_COUNTS}) (?:sticks?|modules?|dimms?) of (\d+)gb",
        lambda m: f" {_number(m[1])}x{m[2]}gb ",
    ),
    (
        rf"\b(\d{{1,2}}|{_COUNTS})[ -]channels? of (\d+)gb",
        lambda m: f" {m[1]}-channel {_number(m[1])}x{m[2]}gb ",
    ),
    (r"(?<![\w.-])([1-468]|1[0268]|24|32) ?[x*] ?(\d+)gb", r" \1x\2gb "),
    # kinds and rates of RAM
    (r"\bgddr\d\w?", " "),
    (
        rf"\b((?:lp)?ddr\d)(x?)l?(?:-(\d{{4,5}})(?!\w)|[ @]*({_RATE})(?=\D|$)(?!gb|tb))?(?: ?(?:mhz|mt/s|mts))?",
        lambda m: f" {m[1]}{m[2]} " + (f"{m[3] or m[4]}mts " if m[3] or m[4] else ""),
    ),
    (r"(?<![\w.])(\d{4,5}) ?(?:mhz|mt/s|mts)\b", r" \1mts "),
    (rf"(?<=gb) (?=(?:ram |ddr\d )?)({_RATE_ALONE})(?![\w.])", r" \1mts "),
    (rf"\b(\d{{1,2}}|{_COUNTS}|triple)[ -]?(?:channels?|ch)\b", lambda m: f" {3 if m[1] == 'triple' else _number(m[1])}channels "),
    (rf"\b(\d|{_COUNTS})[ -](?:sticks?|dimms?|modules?)\b", lambda m: f" {_number(m[1])}sticks "),
    # cores
    (r"(?<![\w.])(\d{1,3})c ?[/ ]? ?(\d{1,3})t\b", r" \1cores \2threads "),
    (r"--cpus?[ =](\d{1,3})\b", r" \1cpus "),
    (
        r"(?<![\w.])(\d{1,3})[ -]?(?:cores?\b(?! (?:i\d|ultra|2 |m\d))|ocpus?\b)(?:\(s\))?(?:[ -](?:cpu|processor))?",
        r" \1cores ",
    ),
    (rf"\b({_COUNTS})[ -]?cores?\b(?! (?:i\d|ultra|2 ))", lambda m: f" {_number(m[1])}cores "),
    (r"(?<![\w.])(\d{1,3}) ?-?v(?:cpus?|cores?)\b", r" \1vcpus "),
    (r"(?<![\w.])(\d{1,3}) cpus\b", r" \1cpus "),
    (r"(?<![\w.])(\d{1,3})[ -]?threads?\b", r" \1threads "),
    (r"(?<!snapdragon )\b(\d{1,2})(?:st|nd|rd|th|\.)? ?gen(?:eration)?\b|(?<!snapdragon \d )(?<!snapdragon \ds )\bgen(?:eration)?\.? ?(\d{1,2})\b", lambda m: f" {m[1] or m[2]}gen "),
    (r"(?<!snapdragon )(?<![\w-])(?=x (?:elite|plus)\b)", "snapdragon "),
    (r"\b(dual|quad|two|four)[ -]socket\b", lambda m: f" {_number(m[1])}x "),
    # counts: `2 x 3090`, `3090 x 2`, `h100x8`
    (r"(?<![\w.])(\d{1,2})(?:[x*] ?| [x*] )(?=[a-z]{2}|[a-z]?\d{2,4})(?!\d+gb)", r" \1x "),
    (r"(?<=\w) [x*] ?(\d{1,2})\b", r" x\1 "),
    (r"(?<=\d\d\d)x([2-8]|16)\b", r" x\1 "),
    # names of processors
    (r"\bryzen(?=\d)", "ryzen "),
    (r"\br([3579])[ -]?(?=(?:pro )?\d{4})", r"ryzen \1 "),
    (r"^(?=[3579] \d{4}(?:x|x3d|xt|ge?)\b)", "ryzen "),
    (r"(?<!core )\bultra[ -]?(?=[579]\b[ -]?(?:\d{3}\w|$|[^\w]))", "core ultra "),
    (r"\b(i[3579])(?=\d{4})", r"\1 "),
    (r"\bxeon (?:([2-8]) ?x? )?(?=(12|14|16|24|26|46|[248]8)\d\d[lw]? ?(?:v\d\b|(?<=26\d\d)|(?<=16\d\d)))", lambda m: (f" {m[1]}x" if m[1] else "") + f" xeon {'e3' if m[2] == '12' else 'e7' if m[2][1] == '8' else 'e5'} "),
    (r"\b(?:xeon[ -])?(?:([2-8]) ?x? )?(e[357])[- ]?(\d{4}[lw]?) ?(v\d)?\b", lambda m: (f" {m[1]}x" if m[1] else "") + f" xeon {m[2]} {m[3]} {m[4] or ''} "),
    (r"\bxeon (?=([3-8])[1-5]\d\d[a-z]{0,2}\+?(?![\w.]))", lambda m: f"xeon {dict(zip('345678', ('bronze', 'silver', 'gold', 'gold', 'gold', 'platinum'), strict=True))[m[1]]} "),
    (r"(?<!xeon )(?<!pentium )\b(?=(?:gold|silver|platinum|bronze)[ -][3-8][1-5]\d\d\b)", "xeon "),
    (r"(?<![\w-])(?:ryzen )?(?:ai )?([579] )?(hx|max\+?)[ -]?(?=(?:pro )?3\d\d\b)", lambda m: f"ryzen ai {m[1] or ('9 ' if m[2] == 'hx' else '')}{m[2].rstrip('+')} "),
    (r"\bcore ?2 ?(?=duo|quad|extreme)", "core 2 "),
    (r"\b(?:amd )?(a\d{1,2})[ -](?:pro )?(\d{4}[a-z]{0,2})\b", r"amd \1x\2"),
    # products
    (r"\bnuc ?(\d{1,2})\w*?i([357])\w*", r"nuc \1 i\2 "),
    (r"\bbook(?=\d)", "book "),
    (r"(?<!orange )(?<!banana )(?<!rock )\b(?:rasp?berry ?|raspi|r)?pi ?([345])(?:b\+?)?(?!\w)(?: model \w\b)?(?: rev [\d.]+)?", r"raspberry pi \1 "),
    (r"\bmacos(?: [a-z]+)? [\d.]+", " macos "),
)  # fmt: skip


class Token:
    """A word of a description; `by` is the step that took it, empty while nobody has."""

    __slots__ = ("by", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.by = ""

    def __repr__(self) -> str:
        return f"{self.text}<{self.by}>"


class Roles(Record):
    """The sets of words that several steps ask for."""

    idle: frozenset[str]
    gpu_idle: frozenset[str]
    left_out: frozenset[str]
    forms: frozenset[str]
    unsaid: frozenset[str]
    cards: frozenset[str]
    computers: frozenset[str]


def words() -> Mapping[str, Any]:
    """The whole table. Raises `SpecError` where the installation lacks it."""
    return shipped_table("words")


@lru_cache(1)
def roles() -> Roles:
    table = words()
    return Roles(**{role: frozenset(table[role]) for role in Roles._fields})


def tokens(text: str) -> list[Token]:
    """The tokens of a description, in order."""
    lines = f" {BREAK} ".join(unicodedata.normalize("NFKC", text).lower().splitlines())
    plain = " ".join(in_english(lines).split())
    for pattern, means in _rewrites():
        plain, count = pattern.subn(means, plain)
        plain = " ".join(plain.split()) if count else plain
    plain = re.sub(r"[,;:/()+&|\[\]@\n\t\r!?]+", f" {BREAK} ", plain)
    same = words()["same"]
    out = []
    for piece in plain.split():
        if piece == BREAK:
            out.append(BREAK)
            continue
        for word in _pieces(piece):
            out += same.get(word, word).split()
    return [Token(word) for word in out]


def _pieces(piece: str) -> list[str]:
    """The words of what stands between spaces; names of vGPUs and of cloud types stay whole."""
    from .virtual_gpus import is_vgpu

    if is_vgpu(piece) or NUMBERED.fullmatch(piece):
        return [piece]
    return [word for word in re.split(r"[^\w.]+|_", piece.strip(".'\"")) if word.strip(".")]


@lru_cache(1)
def _rewrites() -> tuple[tuple[re.Pattern[str], Means], ...]:
    return tuple((re.compile(pattern), means) for pattern, means in _REWRITES)


def in_english(text: str) -> str:
    """The text, in small letters, with the words that the tables have for those of other
    languages.
    """
    plain = text.replace("\u0307", "")
    if plain.isascii():
        return _spoken_ascii()[1].sub(lambda match: f" {_spoken_ascii()[0][match[0]]} ", plain)
    means, found = _spoken()
    return found.sub(lambda match: f" {means[match[0]]} ", plain)


@lru_cache(1)
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    return _pattern_of({w: row["means"] for row in words()["spoken"] for w in row["words"]})


@lru_cache(1)
def _spoken_ascii() -> tuple[Mapping[str, str], re.Pattern[str]]:
    rows = words()["spoken"]
    return _pattern_of({w: row["means"] for row in rows for w in row["words"] if w.isascii()})


def _pattern_of(means: Mapping[str, str]) -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Words and what finds one, the longest first; behind a figure, too, `16ГБ`."""
    longest = sorted(means, key=len, reverse=True)
    joined = [literal(word) for word in longest if _SCRIPTS_WITHOUT_SPACES.search(word)]
    alone = [literal(word) for word in longest if not _SCRIPTS_WITHOUT_SPACES.search(word)]
    return means, re.compile("|".join([*joined, rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)"]))
