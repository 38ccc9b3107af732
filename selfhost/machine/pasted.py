"""What systems and programs print of a machine, as people paste it: `About` of Windows, fastfetch,
lspci, lscpu.

`labels` and `usable` in `specs/common/products.toml`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import takewhile
from math import ceil, floor, log2

from ..core.records import pattern
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# `16,0 GB`, `31,7 GB` and `1,99 GHz`, where a comma stands before decimals; but `vega 56,8gb`
_DECIMAL_COMMA = pattern(
    r"(?i)(?<![\w.,])(\d{1,4}),(?=0{1,2}\s*[gt](?:i?b|o)\b|\d{1,2}\s+[gt](?:i?b|o)\b|\d{1,2}\s*ghz\b)"
)
# `GPU 1: …`, `Processor\t…`; lspci's lines begin with a number
_LINE = pattern(r"\s*(?P<label>[^\W\d][^:\t]{1,40}?)\s*\d?\s*[:\t]\s*(?P<value>\S.*)")
# the first line of neofetch and the one under it, and what lspci lists beside GPUs
_OF_NO_PART = pattern(
    r"(?i)\s*(?:[^\s@]+@[^\s@]+|\W*|[^\W\d][^:]*:|[0-9a-f:]{5,}\.\d\s+(?!vga|3d|display)\w.*)\s*"
)
_FEWEST_LINES = 2
_LABELS_OF_CARDS = frozenset(("gpu", "gpus", "graphics card"))
# the slot of lspci, and what Intel's processors have there: `[UHD Graphics]`, but `[Arc A770]`
_OF_SLOT = pattern(r"(?i)\s*(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.\d\s")
_OF_PROCESSOR = pattern(r"(?i)\bintel corporation\b(?!.{0,80}\[arc\b)")
# `GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-1f2a…)`
_UUID = pattern(r"(?i)\(uuid:[^)]*\)")
# the clock of a processor: `i7-13700H, 2400 Mhz, 14 Core(s)`, `speed 2200/2200/4208 MHz`
_CLOCK = pattern(
    r"(?i)(?:\b(?:cpu\s+)?(?:max|min)\s+mhz\s*:?\s*[\d.]+"
    r"|\b(?:speed|clock|max|min|avg)\b\s*:?\s*(?:[\d.]{1,9}\s*/\s*){0,9}[\d.]{1,9}\s*mhz\b"
    r"|,?\s*\b\d{3,4}\s*mhz\s*,(?=\s*\d+ core\b))"
)
# `14 Core(s), 20 Logical Processor(s)`
_CORES_OF_WINDOWS = pattern(r"(?i)\b(\d{1,3}) core\(s\),?(?:\s*\d{1,3} logical processor\(s\))?")
# `MacBookPro18,3`, `Mac14,2`
_MODEL_OF_MAC = pattern(r"\b(?P<line>MacBook(?:Pro|Air)?|Macmini|iMac(?:Pro)?|MacPro|Mac)\d+,\d+\b")
# `Raspberry Pi 4 Model B Rev 1.4`, as the board tells it
_MODEL_OF_BOARD = pattern(
    r"(?i)(?P<board>\braspberry pi (?:[a-z ]{1,20})?\d(?!\d))"
    r"\s*(?:model\s+[ab]\b(?:\s*(?:plus\b|\+))?)?\s*(?:rev\s+\d(?:\.\d)?)?"
)
# `my mbp m1`
_OF_THEIRS = pattern(r"(?i)\A\s*(?:my|an?|the|this|our)\s+(?=\S)")
_BOARD = pattern(r"(?i)\braspberry pi\b")
# the words of `MacBookPro`
_IN_WORDS = pattern(r"(?<=[a-z])(?=Pro|Air|mini)")
_OF_APPLE = pattern(r"(?i)\b(?:apple|i?mac|macbook|mac\s?(?:mini|studio|pro)|m[1-9])\b")
# `16,192 MB` of systeminfo, `16.192 MB` of one in German; `16318412 kB` of /proc/meminfo
_THOUSANDS = pattern(r"(?i)(?<![\w.,])(\d{1,3})[.,](\d{3})(?=\s*mi?b\b)")
_IN_KIB = pattern(r"(?i)(?<![\w.,])(\d{6,9})\s*ki?b\b")
# `64-bit operating system, x64-based processor`: none but Windows says so
_OF_WINDOWS = pattern(r"(?i)\bwindows\b|\bx64-based\b|\barm-based\b")
# `32.0 GB (31.7 GB usable)`: Windows tells apart what its GPU took
_USABLE = pattern(r"\(\s*\d+(?:[.,]\d+)?\s*[^\W\d]{2}\s+(?P<word>[^\W\d]+)\s*\)")
# `Ryzen 5 5600X (12) @ 4.65 GHz`: threads, no count of what stands behind
_THREADS = pattern(r"\(\s*\d{1,3}\s*\)\s*(?=@)")
# `Intel(R) Core(TM)`
_MARKS = pattern(r"(?i)\((?:r|tm)\)")
# `Memory: 8.00 GiB / 31.27 GiB (26%)`, `Memory: 15931MiB`
_MEMORY = pattern(
    r"(?i)\b(?:(?:total )?(?:physical )?memory|memtotal):\s*(?:\d+(?:\.\d+)?\s*[gm]i?b\s*/\s*)?"
    r"(?P<size>\d+(?:\.\d+)?\s*[gm]i?b)\b"
    r"(?:\s*\(\d+%\))?"
)
# lscpu: `CPU(s): 56 Thread(s) per core: 2 Core(s) per socket: 14 Socket(s): 2`
_COUNTS = pattern(
    r"(?i)(?:on-line )?(?:cpu|thread|core|socket|numa node)\(s\)(?: list| per (?:core|socket))?:\s*"
    r"[\d,-]+"
)
_SOCKETS = pattern(r"(?i)\bsocket\(s\):\s*(?P<count>\d+)")
# `NVIDIA Corporation GA102 [GeForce RTX 3090] (rev a1)`: the name of the chip before the card's
_BEFORE_CARD = (
    r"(?i)(?:\b(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.\d\s+)?"
    r"(?:(?:vga compatible|3d|display) controller:\s*)?"
    r"(?:\bnvidia corporation|\badvanced micro devices, inc\. \[amd/ati\]|\[amd/ati\])"
    r"[^\[\]]*"
)
_REVISION = r"(?:\s*\(rev \w+\))?"
_CARD_OF_CHIP = pattern(
    rf"{_BEFORE_CARD}\[(?P<card>[^\[\]/]+?)(?P<laptop> (?:max-q / )?mobile(?: / max-q)?)?\]"
    rf"{_REVISION}"
)
# `Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]`: every card that has the chip
_CARDS_OF_CHIP = pattern(rf"{_BEFORE_CARD}\[(?P<cards>[^\[\]]+/[^\[\]]+)\]{_REVISION}")
# the same as neofetch has it: `AMD ATI Radeon RX 6800/6800 XT / 6900 XT`
_NUMBER_OF_CARD = (
    r"(?:(?:radeon|rx|pro|vega)\s+){0,3}\w{0,6}\d\w{0,6}(?:\s+(?:xtx?|gre|oem)\b){0,2}"
)
_CARDS_WITHOUT_CHIP = pattern(
    rf"(?i)(?:\bamd\s+)?(?:\bati\s+)?(?P<cards>\bradeon\s+{_NUMBER_OF_CARD}(?:\s*/\s*{_NUMBER_OF_CARD})+)"
)
# `GeForce RTX 3060 [Discrete]`; `AMD Raphael [Integrated]` is the processor's by the chip's name
_KIND_OF_GPU = pattern(
    r"(?i)(?:\b(?:amd|intel)\s+(?!(?:radeon|iris|arc|u?hd)\b)[\w-]+(?:\s+gt\d)?\s*\[integrated\]"
    r"|\[(?:discrete|integrated)\])"
)


def as_typed(text: str) -> str:
    """The text as somebody would type it; any other as it is."""
    text = _CLOCK.sub(" ", _without_idle_lines(text))
    text = _OF_THEIRS.sub("", _of_one_maker(_CORES_OF_WINDOWS.sub(r"\1 cores", text)))
    plain = _MARKS.sub(" ", _processors_as_typed(_sizes_in_mib(text)))
    plain = _DECIMAL_COMMA.sub(r"\1.", cards_as_typed(plain))
    plain = _MEMORY.sub(r"ram: \g<size>", _THREADS.sub("", _without_usable(plain)))
    return _labels().sub(" ", plain).strip()


def _without_idle_lines(text: str) -> str:
    """The parts of what a program prints line by line, and its system; any other text as it is."""
    lines = text.splitlines()
    if len(lines) < _FEWEST_LINES:
        return text
    parts = dict[str, str]()
    cards = list[str]()
    for line in lines:
        label, part = _part_of_line(line)
        if not part or parts.get(part, label) != label:
            # a chip is its own processor and GPU
            continue
        if label in _LABELS_OF_CARDS:
            cards.append(part)
        else:
            parts[part] = label
    return " ".join(" ".join((*parts, " and ".join(cards))).split()) or text


def _part_of_line(line: str) -> tuple[str, str]:
    """The label of a line, `gpu` of one by lspci, and what it tells of the machine; empty where
    that is nothing.
    """
    labels, labelled = shipped_table("products")["lines"], _LINE.fullmatch(line)
    if labelled is None:
        is_idle = line.strip().lower().startswith(tuple(labels["idle"]))
        of_slot = _OF_SLOT.match(line)
        is_inside = of_slot is not None and _OF_PROCESSOR.search(line)
        if is_idle or is_inside or _OF_NO_PART.fullmatch(line):
            return "", ""
        return ("gpu" if of_slot else ""), line
    label, value = " ".join(labelled["label"].lower().split()), labelled["value"]
    if label in labels["memory"]:
        return label, f"Memory: {value}"
    if label in labels["sockets"]:
        return label, line
    if label in labels["system"]:
        return label, _system_of(value)
    return label, (_UUID.sub("", value) if label in labels["parts"] else "")


def _system_of(value: str) -> str:
    """The word for the system that a line tells; empty where it is one that no machine needs."""
    if _OF_WINDOWS.search(value):
        return "windows"
    systems = shipped_table("products")["systems"]
    return next((word for word in value.lower().split() if word in systems), "")


def _of_one_maker(text: str) -> str:
    """The text of a Mac or a Raspberry Pi without what all of them have, its system and its board,
    and with the memory that it is sold with; any other text as it is.
    """
    board = _MODEL_OF_BOARD.sub(r"\g<board> ", text).rstrip()
    if board != text or _BOARD.search(text):
        return _MEMORY.sub(_as_it_is_sold, board)
    mac = _MODEL_OF_MAC.sub(_line_of_mac, _macos().sub(" ", text))
    return _MEMORY.sub(_as_it_is_sold, mac) if _OF_APPLE.search(mac) else text


def _line_of_mac(model: re.Match[str]) -> str:
    """`MacBook Pro` for `MacBookPro18,3`; nothing for `Mac14,2`, which may be any."""
    return "" if model["line"] == "Mac" else _IN_WORDS.sub(" ", model["line"])


def _as_it_is_sold(memory: re.Match[str]) -> str:
    """` 8GB` for `Memory: 8052MiB`: the system keeps some of what is there."""
    size = memory["size"].lower()
    gib = float(size.rstrip("gmib \t")) / (1024 if "m" in size else 1)
    step = 2 ** max(0, floor(log2(max(gib, 1))) - 2)
    return f" {ceil(gib / step) * step:g}GB"


@lru_cache(1)
def _macos() -> re.Pattern[str]:
    """What finds the system of a Mac with its version, `macOS Sequoia 15.1 24B83 arm64`."""
    versions = "|".join(shipped_table("products")["macos"])
    return re.compile(
        rf"\b(?:mac ?os|os x)\b(?: x\b)?(?:\s+(?:{versions})\b)?(?:\s+\d+(?:\.\d+)*)?"
        r"(?:\s+\(?\d{2}[a-z]\d{2,4}[a-z]?\)?)?(?:\s+(?:arm64|x86_64)\b)?",
        re.IGNORECASE,
    )


def _sizes_in_mib(text: str) -> str:
    """The text with sizes in MB as they are typed."""
    in_mib = _IN_KIB.sub(lambda size: f"{int(size[1]) // 1024} MB", text)
    return _THOUSANDS.sub(r"\1\2", in_mib)


def _processors_as_typed(text: str) -> str:
    """The text of lscpu with the number of its processors before their name."""
    sockets = _SOCKETS.search(text)
    if sockets is None:
        return _COUNTS.sub(" ", text)
    words = {number: word for word, number in shipped_table("products")["counts"].items()}
    word = words.get(int(sockets["count"]), "")
    counted = _COUNTS.sub(" ", text)
    named = _labels().sub(f" {word} ", counted, count=1)
    return named if named != counted else f"{word} {counted}"


def cards_as_typed(text: str) -> str:
    """The text with the names of cards for those of their chips."""
    if "[" not in text:
        return text
    named = _CARD_OF_CHIP.sub(
        lambda match: f"{match['card']}{' laptop' if match['laptop'] else ''}", text
    )
    return _KIND_OF_GPU.sub("", named)


def each_of_a_chip(text: str, is_listed: Callable[[str], bool]) -> list[str]:
    """The text with one card in the place of those that have its chip, once for each that is
    listed; empty where it tells no more than one.
    """
    if "/" not in text:
        return []
    plain = cards_as_typed(text)
    cards = _CARDS_OF_CHIP.search(plain) or _CARDS_WITHOUT_CHIP.search(plain)
    if cards is None:
        return []
    before, behind = cards.string[: cards.start()], cards.string[cards.end() :]
    names = dict.fromkeys(filter(is_listed, _each_written_out(cards["cards"])))
    return [" ".join(f"{before} {name} {behind}".split()) for name in names]


def _each_written_out(cards: str) -> Iterator[str]:
    """The names of `Radeon RX 6800/6800 XT / 6900 XT/PRO W6800`, each with what the first begins
    with.
    """
    first, *others = (card.split() for card in cards.split("/"))
    series = list(takewhile(lambda word: not any(map(str.isdecimal, word)), first))
    yield " ".join(first)
    for words in others:
        is_number = bool(words) and words[0][0].isdecimal()
        begins = series if is_number else series[:1]
        yield " ".join(words if words[:1] == series[:1] else [*begins, *words])


def _without_usable(text: str) -> str:
    """The text without how much of its RAM a system leaves to programs, `(31.7 GB usable)`."""
    words = shipped_table("products")["usable"]
    return _USABLE.sub(lambda size: "" if size["word"].lower() in words else size[0], text)


@lru_cache(1)
def _labels() -> re.Pattern[str]:
    """What finds a word that says which part follows."""
    table = shipped_table("products")["labels"]
    alone, before_colon = ("|".join(table[kind]) for kind in ("alone", "before_colon"))
    return re.compile(rf"(?<!\w)(?:(?:{before_colon})\s*\d?\s*:|(?:{alone})(?!\w))", re.IGNORECASE)
