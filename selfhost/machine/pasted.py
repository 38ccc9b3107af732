"""What systems and programs print of a machine, as people paste it: `About` of Windows, fastfetch,
lspci, lscpu.

`labels` and `usable` in `specs/common/products.toml`.
"""

from __future__ import annotations

import re

from ..core.caching import lru_cache
from ..core.records import pattern
from ..core.tables import shipped_table

# `16,0 GB`, `31,7 GB` and `1,99 GHz`, where a comma stands before decimals; but `vega 56,8gb`
_DECIMAL_COMMA = pattern(
    r"(?i)(?<![\w.,])(\d{1,4}),(?=0{1,2}\s*[gt](?:i?b|o)\b|\d{1,2}\s+[gt](?:i?b|o)\b|\d{1,2}\s*ghz\b)"
)
# `32.0 GB (31.7 GB usable)`: Windows tells apart what its GPU took
_USABLE = pattern(r"\(\s*\d+(?:[.,]\d+)?\s*[^\W\d]{2}\s+(?P<word>[^\W\d]+)\s*\)")
# `Ryzen 5 5600X (12) @ 4.65 GHz`: threads, no count of what stands behind
_THREADS = pattern(r"\(\s*\d{1,3}\s*\)\s*(?=@)")
# `Memory: 8.00 GiB / 31.27 GiB (26%)`, `Memory: 15931MiB`
_MEMORY = pattern(
    r"(?i)\bmemory:\s*(?:\d+(?:\.\d+)?\s*[gm]i?b\s*/\s*)?(?P<size>\d+(?:\.\d+)?\s*[gm]i?b)\b"
    r"(?:\s*\(\d+%\))?"
)
# lscpu: `CPU(s): 56 Thread(s) per core: 2 Core(s) per socket: 14 Socket(s): 2`
_COUNTS = pattern(
    r"(?i)(?:on-line )?(?:cpu|thread|core|socket|numa node)\(s\)(?: list| per (?:core|socket))?:\s*"
    r"[\d,-]+"
)
_SOCKETS = pattern(r"(?i)\bsocket\(s\):\s*(?P<count>\d+)")
# `NVIDIA Corporation GA102 [GeForce RTX 3090] (rev a1)`: the name of the chip before the card's
_CARD_OF_CHIP = pattern(
    r"(?i)(?:\b[0-9a-f]{2}:[0-9a-f]{2}\.\d\s+)?"
    r"(?:vga compatible controller:\s*|3d controller:\s*)?"
    r"(?:\bnvidia corporation|\badvanced micro devices, inc\. \[amd/ati\]|\[amd/ati\])"
    r"[^\[\]]*\[(?P<card>[^\[\]/]+?)(?P<laptop> (?:max-q / )?mobile(?: / max-q)?)?\]"
    r"(?:\s*\(rev \w+\))?"
)
# `GeForce RTX 3060 [Discrete]`
_KIND_OF_GPU = pattern(r"(?i)\[(?:discrete|integrated)\]")


def as_typed(text: str) -> str:
    """The text as somebody would type it; any other as it is."""
    plain = _DECIMAL_COMMA.sub(r"\1.", cards_as_typed(_processors_as_typed(text)))
    plain = _MEMORY.sub(r"ram: \g<size>", _THREADS.sub("", _without_usable(plain)))
    return _labels().sub(" ", plain).strip()


def _processors_as_typed(text: str) -> str:
    """The text of lscpu with the number of its processors before their name."""
    sockets = _SOCKETS.search(text)
    if sockets is None:
        return text
    words = {number: word for word, number in shipped_table("products")["counts"].items()}
    word = words.get(int(sockets["count"]), "")
    return _labels().sub(f" {word} ", _COUNTS.sub(" ", text), count=1)


def cards_as_typed(text: str) -> str:
    """The text with the names of cards for those of their chips."""
    if "[" not in text:
        return text
    named = _CARD_OF_CHIP.sub(
        lambda match: f"{match['card']}{' laptop' if match['laptop'] else ''}", text
    )
    return _KIND_OF_GPU.sub("", named)


def _without_usable(text: str) -> str:
    """The text without how much of its RAM a system leaves to programs, `(31.7 GB usable)`."""
    words = shipped_table("products")["usable"]
    return _USABLE.sub(lambda size: "" if size["word"].lower() in words else size[0], text)


@lru_cache(1)
def _labels() -> re.Pattern[str]:
    """What finds a word that says which part follows."""
    table = shipped_table("products")["labels"]
    alone, before_colon = ("|".join(table[kind]) for kind in ("alone", "before_colon"))
    return re.compile(rf"(?<!\w)(?:(?:{before_colon})\s*:|(?:{alone})(?!\w))", re.IGNORECASE)
