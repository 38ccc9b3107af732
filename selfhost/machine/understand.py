"""What a description of a machine names: products, processors, GPUs, memory, cores and a system.

The text becomes tokens once (`words`). Each step takes the longest runs of tokens that its table
knows; what no step takes is left aside, and told. Nothing is guessed here: `build` fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.spelling import is_slip
from ..core.tables import shipped_table
from . import cpus, macs, profiles
from .card_words import take_cards
from .description import Description
from .gpu_names import matches
from .memory_words import take_memory, take_numbers, take_unnamed_gpu
from .processor_words import take_figures, take_kind, take_lettered_number, take_processor
from .profiles import refusal
from .roles import roles, words
from .words import COUNT, Token, tokens

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MOST_TOKENS = 80
_MOST_LETTERS_OF_A_WORD = 100
_LEAST_LETTERS_OF_A_SLIP = 5
_ZERO_OR_LESS = re.compile(
    r"(?:(?<!\S)[-\u2212]\d+|(?<![\w.,])0+(?:\.0+)?)\s*[gt]i?b(?!\w)", re.IGNORECASE
)
# what lscpu and neofetch print
_OF_A_PROGRAM = re.compile(r"(?:thread|core|socket)\(s\) per|\w@\w[\w.-]*\s+-{4,}", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,2}(?:\.\d+){0,2}|pro|home|lts", re.ASCII)
_WITHOUT_GPU = frozenset(("no", "without", "non", "zero"))
_GPU_INSIDE = frozenset(("integrated", "igpu", "onboard"))
_WORDS_FOR_GPU = frozenset(
    ("gpu", "gpus", "dgpu", "graphics", "vga", "card", "dedicated", "discrete", "external", "video")
)
_MODEL = re.compile(r"[a-z]?\d{1,4}[a-z]{0,2}|\d{1,2}gen|slim|pro|[gx]", re.ASCII)


def understand(text: str) -> Description:
    """Everything that the text names. Raises `UnknownMachineError` where it can be two things,
    or names one that is not known.
    """
    if wrong := _ZERO_OR_LESS.search(text):
        raise refusal("zero", text, size=wrong[0].strip())
    is_long = any(len(word) > _MOST_LETTERS_OF_A_WORD for word in text.split())
    about = Description(text.strip(), [] if is_long else tokens(text))
    if not 0 < len(about.tokens) <= _MOST_TOKENS or _OF_A_PROGRAM.search(text):
        raise refusal("long", text)
    _mend_slips(about.tokens)
    _take_product(about)
    _take_setting(about)
    _take_lines(about)
    _refuse_phones_and_chips(about)
    if not about.product and not about.known:
        macs.take_mac(about)
    take_processor(about)
    take_lettered_number(about)
    take_cards(about)
    take_figures(about)
    take_kind(about)
    take_memory(about)
    take_numbers(about)
    take_unnamed_gpu(about)
    return about


def _mend_slips(all_tokens: Sequence[Token]) -> None:
    """Put names of lines in the place of slips of them: `getforce`, `treadripper`."""
    slips = words()["slips"]
    for token in all_tokens:
        word = token.text
        is_known = word in slips or word in roles().idle or not word.isalpha()
        if len(word) >= _LEAST_LETTERS_OF_A_SLIP and not is_known:
            token.text = next((each for each in slips if is_slip(word, each)), word)


def _take_product(about: Description) -> None:
    """The row of a product, or the profiles of a board, with the most words, which stand in its
    order, with nothing between them but what the row allows and fillers.
    """
    boards: list[dict[str, Any]] = [
        {"words": profiles.base_name(name).replace("-", " "), "profile": name}
        for name in profiles.boards()
    ]
    matching = [
        (places, row)
        for row in (*shipped_table("products")["product"], *boards)
        if (places := _places_of(row, about.tokens))
    ]
    if not matching:
        return
    longest, row = max(matching, key=lambda pair: len(pair[0]))
    names = [row["profile"] for at, row in matching if len(at) == len(longest) and "profile" in row]
    also = row.get("also", "").split()
    if "profile" in row:
        about.known = [profiles.load(name) for name in names]
    else:
        about.product = row
    for at, token in enumerate(about.tokens):
        if at in longest or token.text in also:
            token.by = token.by or "product"


def _places_of(row: Mapping[str, Any], all_tokens: Sequence[Token]) -> list[int]:
    """Where the row's words stand; empty where they do not. Of one with a year in any order."""
    wanted = row["words"].split()
    texts = {token.text: at for at, token in enumerate(all_tokens)}
    if not texts.keys() & {wanted[0], f"{wanted[0]}gen", f"gen{wanted[0]}"}:
        return []
    between = {*row.get("also", "").split(), "pro", "mini", "gen"} | roles().idle
    for first in range(len(all_tokens)):
        places = list[int]()
        for at in range(first, len(all_tokens)):
            word, next_word = all_tokens[at].text, wanted[len(places)]
            # `9` also as `gen 9`
            if word in (next_word, f"{next_word}gen", f"gen{next_word}"):
                places.append(at)
                if len(places) == len(wanted):
                    return places
            elif not places or word not in between:
                break
    has_year = any(re.fullmatch(r"20\d\d", word) for word in wanted)
    return [texts[word] for word in wanted] if has_year and {*wanted} <= texts.keys() else []


def _take_setting(about: Description) -> None:
    """Take the system, a virtual machine or container, the form of a laptop, and `no gpu`."""
    table = words()
    for at, token in enumerate(about.tokens):
        word = about.free(at)
        if word in table["systems"]:
            about.system = table["systems"][word]
            end = at + 1
            while _VERSION.fullmatch(about.free(end)):
                end += 1
            about.take(at, end, "system")
        if word in table["wsl"]:
            about.is_wsl = True
        elif word in table["containers"]:
            about.scope, token.by = "container", "scope"
        elif word in table["guests"]:
            about.scope = "vm" if about.scope == "host" else about.scope
            token.by = "scope"
        elif word in ("laptop", "notebook", "netbook"):
            about.is_laptop = True
        _take_no_gpu(about, at)


def _take_no_gpu(about: Description, at: int) -> None:
    """Take words that say that there is no GPU, or none but the processor's."""
    word, behind = about.free(at), about.words(at + 1, at + 4)
    is_absent = word in _WITHOUT_GPU and not _WORDS_FOR_GPU.isdisjoint(behind)
    if is_absent or word in _GPU_INSIDE or [word, *behind[:1]] == ["cpu", "only"]:
        about.has_no_gpu = True
        end = at + 1
        while end < at + 4 and about.free(end) in _WORDS_FOR_GPU | {"only"}:
            end += 1
        about.take(at, end, "no gpu")


def _take_lines(about: Description) -> None:
    """Take lines of computers with the model behind them, which tells neither processor nor GPU:
    `legion 5`, `thinkpad t14 gen 3`.
    """
    table = words()
    for at in range(len(about.tokens)):
        line = about.free(at)
        if line not in table["laptops"] and line not in table["lines"]:
            continue
        about.is_line = not about.product
        about.is_laptop |= line in table["laptops"]
        end = at + 1
        while end < at + 4 and _is_model(about.free(end), line):
            end += 1
        about.take(at, end, "line")


def _is_model(word: str, line: str) -> bool:
    """Whether a word behind a line's name is that of a model, not of a processor or a GPU."""
    is_other = COUNT.fullmatch(word) or cpus.class_of(word) or cpus.names_of_number(word)
    if is_other or not _MODEL.fullmatch(word):
        return False
    is_figure = len(word) == 4 and word.isdecimal()
    return not is_figure or line in words()["numbered"] or not matches((word,))


def _refuse_phones_and_chips(about: Description) -> None:
    """Raises `UnknownMachineError` for phones and for chips that no program computes on."""
    all_words = {token.text for token in about.tokens if not token.by}
    if not about.is_line and not about.product and all_words & {*words()["phones"]}:
        raise refusal("phone", about.text)
    if chips := all_words & {*words()["chips"]}:
        raise refusal("chip", about.text, chip=min(chips))
