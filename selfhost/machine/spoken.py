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
# `2张 3090`, `4块 P40`
_PIECES = pattern(r"(\d)\s*[张張块塊]\s*")
# `8. Generation`
_NTH = pattern(r"(?i)\b(\d{1,2})\. ?generation\b")
# what shops set for a hyphen and a space
_SIGNS = {0x2010: "-", 0x2011: "-", 0x2013: "-", 0xA0: " ", 0x202F: " "}


def in_english(text: str) -> str:
    """The text with the words that the tables of machines have; any other word as it is."""
    plain = _OCTETS.sub(r"\1\2b", text.translate(_SIGNS))
    plain = _NTH.sub(r"\1th gen", _PIECES.sub(r"\1x ", plain))
    means, words = _spoken()
    return words.sub(lambda match: f" {means[match[0].lower()]} ", plain).strip()


@lru_cache(1)
def _spoken() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """What each word means, and what finds one: behind a figure, too, `16ГБ`."""
    means = {
        word: row["means"] for row in shipped_table("products")["spoken"] for word in row["words"]
    }
    longest_first = sorted(means, key=len, reverse=True)
    alone = "|".join(literal(word) for word in longest_first if not _WITHOUT_SPACES.search(word))
    joined = "|".join(literal(word) for word in longest_first if _WITHOUT_SPACES.search(word))
    return means, re.compile(rf"{joined}|(?<![^\W\d])(?:{alone})(?!\w)", re.IGNORECASE)
