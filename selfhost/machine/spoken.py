"""Descriptions of machines with words of other languages: `ноутбук 16 ГБ ОЗУ`, `显卡 RTX 4060`.

`spoken` in `specs/common/products.toml`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..core.records import literal, pattern
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

# scripts that write words without spaces: kana, Chinese signs, Hangul
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# octets, as French counts them: `16 Go`, `1 To`
_OCTETS = pattern(r"(?i)(?<![\w.])(\d+(?:[.,]\d+)?)\s*([gt])o(?!\w)")
# `2张 3090`, `4块 P40`, `8卡 H100`, `2枚`, `2장`
_PIECES = pattern(r"(\d)\s*[张張块塊卡枚장]\s*")
# `双3090`, `四卡 4090`; `双路` are processors
_COUNTED = pattern(r"([两兩双雙三四六八])\s*[张張块塊卡]?\s*(?=[a-zA-Z]{0,3}\s*\d{3})")
_NUMBERS = dict(zip("两兩双雙三四六八", "22223468", strict=True))
# `8. Generation`
_NTH = pattern(r"(?i)\b(\d{1,2})\. ?generation\b")
# what shops set for a hyphen and a space
_SIGNS = {0x2010: "-", 0x2011: "-", 0x2013: "-", 0xA0: " ", 0x202F: " "}


def in_english(text: str) -> str:
    """The text with the words that the tables of machines have; any other word as it is."""
    plain = _OCTETS.sub(r"\1\2b", text.translate(_SIGNS))
    plain = _COUNTED.sub(lambda match: f" {_NUMBERS[match[1]]}x ", plain)
    plain = _NTH.sub(r"\1th gen", _PIECES.sub(r"\1x ", plain))
    means, words = _spoken()
    plain = words.sub(lambda match: f" {means[_folded(match[0])]} ", plain)
    short, between = _between()
    return between.sub(lambda match: short[match[0].lower()], plain).strip()


def _folded(word: str) -> str:
    """In small letters, without the dots that tell Turkish letters apart: their capitals differ."""
    return word.lower().replace("\u0131", "i").replace("\u0307", "")


@lru_cache(1)
def _between() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """What each short word means, and what finds one between two others: `12gb e 32gb`."""
    table = shipped_table("products")["between"]
    means = {word: meaning for meaning, words in table.items() for word in words}
    alone = "|".join(map(literal, means))
    behind = r"(?=\s+\w)(?!\s+(?:[3579](?!\w)|\d{3}))"
    return means, re.compile(rf"(?<=\w\s)(?:{alone}){behind}", re.IGNORECASE)


@lru_cache(1)
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """What each word means, and what finds one: behind a figure, too, `16ГБ`."""
    means = {
        _folded(word): row["means"]
        for row in shipped_table("products")["spoken"]
        for word in row["words"]
    }
    longest_first = sorted(means, key=len, reverse=True)
    alone = "|".join(literal(word) for word in longest_first if not _WITHOUT_SPACES.search(word))
    joined = "|".join(literal(word) for word in longest_first if _WITHOUT_SPACES.search(word))
    # IGNORECASE takes the letters that differ by a dot alone for one another
    return means, re.compile(rf"{joined}|(?<![^\W\d])(?:{alone})(?!\w)", re.IGNORECASE)
