"""What a description of a machine names: products, processors, GPUs, memory, cores and a system.

The text becomes tokens once (`words`). Each step takes the longest runs of tokens that its table
knows; what no step takes is left aside, and told. Nothing is guessed here: `build` fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.spelling import is_slip
from ..core.tables import shipped_table
from . import cpus, gpus, macs, profiles
from .chips import soldered_chip
from .gpu_names import NamedCards, UnknownGpuError, choices, matches, named_card, shown, spelled
from .profiles import NotOneMachineError, Profile, UnknownMachineError
from .virtual_gpus import instance_typed, is_vgpu, vgpu_typed
from .words import BREAK, COUNT, MODULES, NUMBERED, SIZE, Token, roles, tokens, words

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_GIB_OF_TB = 1024.0
# of sizes that nothing tells apart such a one is a disk's
_LEAST_DISK_GIB = 240.0
_MOST_TOKENS = 80
_MOST_LETTERS_OF_A_WORD = 100
_LONGEST_NAME = 7
_LEAST_LETTERS_OF_A_SLIP = 5
_ZERO_OR_LESS = re.compile(r"(?:(?<!\S)[-\u2212]\d+|(?<![\w.,])0+(?:\.0+)?)\s*[gt]i?b(?!\w)", re.I)
# a year, and a number that nobody counts with
_SAYS_NOTHING = re.compile(r"20[012]\d|\d{1,2}", re.ASCII)
_MOBILE_NUMBER = re.compile(r"\d{4,5}(?:u|hs?|hx|hk|p)|\d{3}[hv]", re.ASCII)
_DESKTOPS = frozenset(("desktop", "tower", "itx", "sff", "egpu", "oculink", "thunderbolt"))
_WITHOUT_GPU = frozenset(("no", "without", "non", "zero"))
_ANY_GPU = frozenset(("gpu", "gpus", "dgpu", "graphics", "vga", "videocard"))
_APPLE_CHIP = re.compile(r"m[1-9]", re.ASCII)
# words of a GPU's name that may be without a number: `arc graphics`, `titan v`, `iris xe`
_NUMBERLESS = frozenset(("arc", "iris", "uhd", "titan", "vii"))
_INSIDE = frozenset(("iris", "uhd", "hd", "xe", "graphics"))
# `core i7`, `ryzen 7`: digits behind a kind of processor that tell its class
_CLASS_NUMBERS = frozenset("3579")


class Description:
    """What a text tells of a machine; None and empty for what it does not."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.tokens = tokens(text)
        self.system: str | None = None
        self.scope = "host"
        self.is_wsl = False
        self.is_laptop = False
        self.is_line = False
        self.has_no_gpu = False
        self.chip: Mapping[str, Any] | None = None
        # whether a product of Apple's is named beside its chip
        self.names_mac = False
        self.product: Mapping[str, Any] | None = None
        self.processor: str | None = None
        self.cards: list[NamedCards] = []
        self.places: list[int] = []
        self.known: list[Profile] = []
        # of a GPU of which nothing else is told
        self.vram_gib: float | None = None
        self.gpu_maker: str | None = None
        self.ram_gib: float | None = None
        self.ram_kind: str | None = None
        self.mts: int | None = None
        self.channels: int | None = None
        self.sticks: int | None = None
        self.cores: int | None = None
        self.threads: int | None = None
        self.vcpus: int | None = None
        self.notes: list[str] = []

    @property
    def left(self) -> list[str]:
        """What nothing is known by and what is no filler."""
        idle = roles().idle | roles().gpu_idle | roles().computers | {*cpus.MAKERS, BREAK}
        return [
            token.text
            for token in self.tokens
            if not token.by and token.text not in idle and not _SAYS_NOTHING.fullmatch(token.text)
        ]

    @property
    def left_hardware(self) -> list[str]:
        """Of these the ones that look like parts: they have a number."""
        return [word for word in self.left if any(map(str.isdecimal, word))]

    def words_of(self, start: int, end: int) -> list[str]:
        return [token.text for token in self.tokens[start:end]]

    def take(self, start: int, end: int, by: str) -> None:
        for token in self.tokens[start:end]:
            token.by = token.by or by

    def free_runs(self, longest: int = _LONGEST_NAME) -> Iterator[tuple[int, int]]:
        """Runs of tokens that no step has taken, the longest first."""
        free = [not token.by and token.text != BREAK for token in self.tokens]
        for length in range(min(longest, len(free)), 0, -1):
            for start in range(len(free) - length + 1):
                if all(free[start : start + length]):
                    yield start, start + length


def understand(text: str) -> Description:
    """Everything that the text names. Raises `UnknownMachineError` where it can be two things,
    or names one that is not known.
    """
    _refuse_what_is_no_description(text)
    about = Description(_without_unused(text))
    about.text = text.strip()
    if not 0 < len(about.tokens) <= _MOST_TOKENS:
        raise _too_long(text)
    _mend_slips(about)
    for step in (
        _take_product,
        _take_setting,
        _take_lines,
        _take_chip,
        _take_processor,
        _take_lettered_processor,
        _take_cards,
        _take_bare_processor,
        _take_kind_of_processor,
        _take_memory,
        _take_numbers,
        _take_unnamed_gpu,
    ):
        step(about)
    if unused := _unused(text):
        about.notes.append(f"No program that is judged here computes on {unused}: left aside.")
    return about


def _too_long(text: str) -> UnknownMachineError:
    return UnknownMachineError(
        f"{shown(text)!r} is no short description of a machine",
        remedy="name its processor, RAM and GPU (--machine 'i5-8250U 16GB', --machine 'macbook air"
        " m2 16gb'), or run `selfhost machine --format json` there and give that file",
    )


def _refuse_what_is_no_description(text: str) -> None:
    if any(len(word) > _MOST_LETTERS_OF_A_WORD for word in text.split()):
        raise _too_long(text)
    if re.search(r"(?:thread|core|socket)\(s\) per|\w@\w[\w.-]*\s+-{4,}", text, re.I):
        raise _too_long(text)
    if wrong := _ZERO_OR_LESS.search(text):
        raise UnknownMachineError(
            f"{shown(text)!r}: {wrong[0].strip()!r} is no size of a memory",
            remedy="state more than zero: --machine 'i5-8250U 16GB'",
        )


def _unused(text: str) -> str:
    pattern = rf"(?<!\w)(?:{'|'.join(words()['unused'])})(?!\w)"
    return " and ".join(match[0] for match in re.finditer(pattern, text, re.I))


def _without_unused(text: str) -> str:
    """The text without the accelerators that no program computes on, `pi 5 hailo-8l`."""
    return re.sub(rf"(?<!\w)(?:{'|'.join(words()['unused'])})(?!\w)", " ", text, flags=re.I)


def _mend_slips(about: Description) -> None:
    """Put names of lines in the place of slips of them: `getforce`, `treadripper`."""
    known = [*words()["slips"]]
    for token in about.tokens:
        word = token.text
        is_known = word in known or word in roles().idle or not word.isalpha()
        if len(word) >= _LEAST_LETTERS_OF_A_SLIP and not is_known:
            token.text = next((each for each in known if is_slip(word, each)), word)


# ------------------------------------------------------------------ what it is in


def _take_setting(about: Description) -> None:
    """The system, a virtual machine or container, the form of a laptop, and `no gpu`."""
    table = words()
    shapes = shipped_table("cloud_types")["stated"]["shapes"]
    for at, token in enumerate(about.tokens):
        word = "" if token.by else token.text
        if word in table["systems"]:
            about.system, token.by = table["systems"][word], "system"
            _take_version(about, at + 1)
        if word in shapes:
            about.scope, about.processor, token.by = "vm", shapes[word], "scope"
        if word in table["wsl"]:
            about.is_wsl, token.by = True, "scope"
        elif word in table["containers"]:
            about.scope, token.by = "container", "scope"
        elif word in table["guests"]:
            about.scope = "vm" if about.scope == "host" else about.scope
            token.by = "scope"
        elif word in ("laptop", "notebook", "netbook"):
            about.is_laptop = True
        elif word in ("integrated", "igpu", "onboard") or about.words_of(at, at + 2) == [
            "cpu",
            "only",
        ]:
            about.has_no_gpu = True
            _take_words_for_gpu(about, at)
        elif word in _WITHOUT_GPU:
            behind = about.words_of(at + 1, at + 4)
            if any(each in _ANY_GPU or each == "card" for each in behind):
                about.has_no_gpu = True
                _take_words_for_gpu(about, at)


def _take_version(about: Description, at: int) -> None:
    """The version behind a system, `windows 11 pro`, `ubuntu 22.04 lts`."""
    while at < len(about.tokens):
        token = about.tokens[at]
        if not (
            re.fullmatch(r"\d{1,2}(?:\.\d+){0,2}", token.text)
            or token.text in ("pro", "home", "lts")
        ):
            return
        token.by = "system"
        at += 1


def _take_words_for_gpu(about: Description, start: int) -> None:
    """The words that say that there is no GPU, or none but the processor's."""
    silent = {
        *_ANY_GPU,
        *_WITHOUT_GPU,
        "card",
        "dedicated",
        "discrete",
        "external",
        "video",
        "only",
    }
    for at in range(start, min(start + 4, len(about.tokens))):
        if at > start and about.tokens[at].text not in silent:
            return
        about.tokens[at].by = "no gpu"


def _take_product(about: Description) -> None:
    """The product of the row with the most words, which stand in its order, with nothing between
    them but what the row allows and fillers.
    """
    _take_known(about)
    best: tuple[int, list[int], Mapping[str, Any]] | None = None
    for row in shipped_table("products")["product"]:
        places = _places_of(row, about.tokens)
        if places and (best is None or len(places) > best[0]):
            best = len(places), places, row
    if best is None or about.known:
        return
    _, places, row = best
    also = {*row.get("also", "").split()}
    about.product = row
    about.is_laptop |= bool(row.get("laptop"))
    for at, token in enumerate(about.tokens):
        if at in places or (token.text in also and not token.by):
            token.by = "product"


def _take_known(about: Description) -> None:
    """A board or small computer that is a profile, with other words around its name."""
    best: list[int] = []
    for profile in profiles.boards():
        words_of_name = profiles.base_name(profile.name).split("-")
        places = _places_of({"words": " ".join(words_of_name)}, about.tokens)
        if len(places) > len(best):
            best, about.known = places, []
        if places and len(places) == len(best):
            about.known.append(profile)
    for at in best:
        about.tokens[at].by = "product"


def _places_of(row: Mapping[str, Any], all_tokens: Sequence[Token]) -> list[int]:
    """Where the row's words stand; empty where they do not."""
    wanted, also = row["words"].split(), {*row.get("also", "").split(), "pro", "mini", "gen"}
    free = [at for at, token in enumerate(all_tokens) if not token.by]
    for first in free:
        places, at = list[int](), first
        for word in wanted:
            while at < len(all_tokens) and places and not _is_word(all_tokens[at], word):
                if all_tokens[at].text not in also and all_tokens[at].text not in roles().idle:
                    break
                at += 1
            if at >= len(all_tokens) or all_tokens[at].by or not _is_word(all_tokens[at], word):
                break
            places.append(at)
            at += 1
        if len(places) == len(wanted):
            return places
    texts = {token.text: at for at, token in enumerate(all_tokens) if not token.by}
    has_year = any(re.fullmatch(r"20\d\d", word) for word in wanted)
    return [texts[word] for word in wanted] if has_year and {*wanted} <= texts.keys() else []


def _is_word(token: Token, word: str) -> bool:
    """`9` also as `gen 9`."""
    return token.text == word or token.text in (f"{word}gen", f"gen{word}")


def _take_lines(about: Description) -> None:
    """Lines of computers with the model behind them, which tells neither processor nor GPU:
    `legion 5`, `thinkpad t14 gen 3`. Raises `UnknownMachineError` for phones and for chips that
    no program computes on.
    """
    table = words()
    all_words = {token.text for token in about.tokens if not token.by}
    laptops, lines, numbered = ({*table[role]} for role in ("laptops", "lines", "numbered"))
    for at, token in enumerate(about.tokens):
        if token.by or token.text not in laptops | lines:
            continue
        about.is_line = about.product is None
        about.is_laptop |= token.text in laptops
        token.by = "line"
        for behind in about.tokens[at + 1 : at + 4]:
            if behind.by or not re.fullmatch(
                r"[a-z]?\d{1,4}[a-z]{0,2}|\d{1,2}gen|slim|pro|[gx]", behind.text
            ):
                break
            is_figure = len(behind.text) == 4 and behind.text.isdecimal()
            is_card = is_figure and token.text not in numbered and matches((behind.text,))
            if cpus.class_of(behind.text) or cpus.names_of_number(behind.text) or is_card:
                break
            behind.by = "line"
    if not about.is_line and all_words & {*table["phones"]} and about.product is None:
        raise UnknownMachineError(
            f"{shown(about.text)!r} is a phone, a tablet or a console, which is not judged",
            remedy="apps with llama.cpp run small models on phones: `selfhost show MODEL` tells"
            " what one takes. Name a computer: --machine 'i5-8250U 16GB'",
        )
    if chips := all_words & {*table["chips"]}:
        raise UnknownMachineError(
            f"{shown(about.text)!r}: no program that is judged here computes on {min(chips)}",
            remedy="name a machine with a GPU or a processor: --machine g6e.xlarge",
        )


def _take_chip(about: Description) -> None:
    """An Apple chip, and the words of a Mac around it. Raises `UnknownMachineError` where several
    Macs can be meant.
    """
    if about.product is not None or about.known:
        return
    if not any(SIZE.fullmatch(token.text) for token in about.tokens[:-1]):
        _read_bare_size_of_mac(about.tokens)
    mac = macs.read([token.text if not token.by else "" for token in about.tokens], about.text)
    if mac is None:
        return
    about.chip, about.names_mac = mac.row, mac.names_product
    for at in mac.places:
        about.tokens[at].by = "mac"


def _read_bare_size_of_mac(all_tokens: Sequence[Token]) -> None:
    """Add GB to a number at the end, behind a chip: `m4 max 128`."""
    words_before = [token.text for token in all_tokens[:-1]]
    last = all_tokens[-1]
    is_behind_chip = any(_APPLE_CHIP.fullmatch(word) for word in words_before[-2:])
    if is_behind_chip and re.fullmatch(r"8|[1-9]\d{1,2}", last.text) and not last.by:
        last.text += "gb"


# ------------------------------------------------------------------ processors


def _series(name: Sequence[str]) -> str | None:
    if (chip := soldered_chip(frozenset(name))) is not None:
        return chip.name
    series = cpus.processor_of(" ".join(name))
    return None if series is None or series.is_a_generation else series.name


def _may_be_of_a_processor(word: str) -> bool:
    count = COUNT.fullmatch(word)
    if (
        SIZE.fullmatch(word)
        or (count and count[1])
        or MODULES.fullmatch(word)
        or NUMBERED.fullmatch(word)
    ):
        return False
    return word not in roles().cards | _INSIDE


def _take_processor(about: Description) -> None:
    """A processor by words that tell its kind and a number of a listed series: `ryzen 5 5600x`."""
    if about.processor is not None:
        return
    for start, end in about.free_runs():
        name = about.words_of(start, end)
        if not all(map(_may_be_of_a_processor, name)) or cpus.class_of(name[0]) is None:
            continue
        series = _series(name)
        if series is None or not _last_word_tells(name, series):
            continue
        if not any(map(str.isdecimal, name[-1])) and len(name) < 2:
            continue
        _put_processor(about, start, end, " ".join(name))
        _refuse_a_second(about)
        return


def _last_word_tells(name: Sequence[str], series: str) -> bool:
    """Whether without its last word the name is that of another series, or of other cores."""
    if len(name) < 2 or _series(name[:-1]) != series:
        return True
    if matches((name[-1],)):
        return False
    return cpus.cores_of(" ".join(name)) != cpus.cores_of(" ".join(name[:-1]))


def _put_processor(about: Description, start: int, end: int, name: str) -> None:
    behind = about.words_of(end, end + 1)
    is_model = (
        behind and re.fullmatch(r"[a-z]+\d{3,}[a-z\d]*", behind[0]) and not matches((behind[0],))
    )
    if (
        is_model
        and not about.tokens[end].by
        and _series([*name.split(), *behind]) == _series(name.split())
    ):
        name, end = f"{name} {behind[0]}", end + 1
    about.take(start, end, "processor")
    series = cpus.processor_of(name)
    may_be_several = series is None or series.kind == "server"
    count = _count_beside(about, start, end) if may_be_several else 1
    about.processor = f"{count}x {name}" if count > 1 else name
    if any(map(_MOBILE_NUMBER.fullmatch, name.split())):
        about.is_laptop |= _DESKTOPS.isdisjoint(token.text for token in about.tokens)


def _refuse_a_second(about: Description) -> None:
    """Raises `NotOneMachineError` where two processors are named."""
    for start, end in about.free_runs(4):
        name = about.words_of(start, end)
        if not all(map(_may_be_of_a_processor, name)) or cpus.class_of(name[0]) is None:
            continue
        series = _series(name)
        if series is None or (len(name) > 1 and _series(name[:-1]) == series) or len(name) < 2:
            continue
        first = cpus.processor_of(about.processor or "")
        if first is not None and (series != first.name or name[-1] not in (about.processor or "")):
            raise NotOneMachineError(
                f"{shown(about.text)!r} names two processors: {about.processor} and"
                f" {' '.join(name)}",
                remedy=f"name one of them: --machine '{about.processor}'",
            )
        about.take(start, end, "processor")


def _take_lettered_processor(about: Description) -> None:
    """A processor by a number that no GPU has: `5800x3d`, `fx 6300`, `intel 12400`."""
    _take_number(about, beside_gpu=False)


def _take_bare_processor(about: Description) -> None:
    """A processor by figures alone, beside a GPU: `5600 32gb 4060 ti`."""
    if about.cards:
        _take_number(about, beside_gpu=True)


def _take_number(about: Description, *, beside_gpu: bool) -> None:
    """Raises `NotOneMachineError` where the number can be that of several processors."""
    if about.processor is not None or about.chip is not None:
        return
    for start, end in about.free_runs(3):
        name = about.words_of(start, end)
        if not all(map(_may_be_of_a_processor, name)) or name[-1] in roles().idle:
            continue
        if start and about.tokens[start - 1].text in roles().cards:
            continue
        if not beside_gpu and matches(tuple(name)):
            continue
        found = cpus.names_of_number(" ".join(name), beside_gpu=beside_gpu)
        if len(found) > 1:
            raise _several(about, " ".join(name), found)
        if found:
            _put_processor(about, start, end, found[0])
            return


def _several(about: Description, word: str, readings: Sequence[str]) -> NotOneMachineError:
    text = about.text.lower()
    whole = [f"--machine '{text.replace(word, each, 1)}'" for each in readings]
    return NotOneMachineError(
        f"{shown(about.text)!r}: {word} can be {' or '.join(readings)}",
        nearest=list(readings),
        remedy=f"name one: {', '.join(whole)}",
    )


def _take_kind_of_processor(about: Description) -> None:
    """A kind of processor, `ryzen 7`, `xeon`, `i5 8th gen`, with a number that no series has."""
    if about.processor is not None or about.chip is not None:
        return
    for start, end in about.free_runs(4):
        name = about.words_of(start, end)
        behind = about.words_of(end, end + 1)
        is_numbered = (
            bool(behind)
            and not about.tokens[end].by
            and bool(re.fullmatch(r"[a-z]+\d+\w*|\d{3,5}[a-z]+", behind[0]))
        )
        is_of_maker = len(name) == 1 and name[0] in cpus.MAKERS and is_numbered
        if not _is_kind(name) and not (is_of_maker and not matches((behind[0],))):
            continue
        numbers = list[str]()
        while end < len(about.tokens) and not about.tokens[end].by:
            word = about.tokens[end].text
            is_model = any(map(str.isdecimal, word)) and _may_be_of_a_processor(word)
            if not is_model or (word.isdecimal() and len(word) < 3 and word not in _CLASS_NUMBERS):
                break
            numbers.append(word)
            end += 1
        generation = _take_generation(about, start, end)
        _put_processor(about, start, end, " ".join([*name, *numbers, *generation]))
        return


def _is_kind(name: Sequence[str]) -> bool:
    """Whether words tell a kind of processor and nothing else; a maker alone is none, and a bare
    number.
    """
    if not all(map(_may_be_of_a_processor, name)) or name[0] in ("pro", "ai", "core2"):
        return False
    telling = [word for word in name if word not in cpus.MAKERS and word not in _CLASS_NUMBERS]
    if not telling or telling == ["core"] or name[0].isdecimal():
        return False
    return cpus.names_a_kind_alone(frozenset(telling)) and cpus.class_of(name[0]) is not None


def _take_generation(about: Description, start: int, end: int) -> list[str]:
    """`8th gen`, which stands around a kind of processor."""
    for at in (*range(end, min(end + 2, len(about.tokens))), *range(max(0, start - 3), start)):
        match = NUMBERED.fullmatch(about.tokens[at].text)
        if match and match[2] == "gen" and about.tokens[at].by in ("", "line"):
            about.tokens[at].by = "processor"
            ending = {1: "st", 2: "nd", 3: "rd"}.get(int(match[1]), "th")
            return [f"{match[1]}{ending}", "gen"]
    return []


# ------------------------------------------------------------------ GPUs


def _take_cards(about: Description) -> None:
    """Every GPU with its count and its size. Raises `UnknownMachineError` where a name is not
    listed, or a size is none that it is sold with.
    """
    while True:
        best = next((run for run in about.free_runs() if _is_card(about, *run)), None)
        if best is None:
            break
        _take_card(about, *best)
    _refuse_unlisted(about)
    discrete = [each for each in about.cards if not all(c.unified for c in each.accelerators)]
    # a card computes faster than what is in the processor beside it
    about.cards = discrete or about.cards
    if len(about.cards) > 1 and any(token.text == "or" for token in about.tokens):
        names = [each.label for each in about.cards]
        raise NotOneMachineError(
            f"{shown(about.text)!r} names {' or '.join(names)}",
            nearest=names,
            remedy=f"name one: --machine '{names[0]}'",
        )


def _is_card(about: Description, start: int, end: int) -> bool:
    """Whether the run is a GPU's name, begins and ends with a word of it."""
    name = about.words_of(start, end)
    idle = roles().idle | roles().gpu_idle | roles().left_out
    is_inside = name[-1] == "graphics" and len(name) == 2 and name[0] in _NUMBERLESS
    if is_inside or name == ["iris", "xe"]:
        return bool(matches(tuple(name)))
    if (
        name[-1] in roles().gpu_idle | (roles().idle - roles().forms)
        or name[0] in roles().gpu_idle
        or name[0] in roles().idle
    ):
        return False
    if any(map(SIZE.fullmatch, (name[0], name[-1]))) or any(map(COUNT.fullmatch, name)):
        return False
    if (
        name[0].isdecimal()
        and len(name[0]) < 3
        or (len(name) > 1 and name[-1] in roles().cards and name != ["titan", "rtx"])
    ):
        return False
    telling = [word for word in name if word not in idle]
    has_number = any(any(map(str.isdecimal, word)) and not SIZE.fullmatch(word) for word in telling)
    is_numberless = len(name) > 1 and not _NUMBERLESS.isdisjoint(name)
    if not (has_number or is_numberless or name == ["titan", "rtx"]) or _is_other(
        about, start, end
    ):
        return False
    if is_vgpu(name[-1]):
        return len(name) == 1 or set(name[:-1]) <= {"nvidia", "grid", "tesla"}
    names, sizes = _name_and_sizes(name)
    if is_instance := instance_typed(name[-1])[0] is not None:
        names = names[:-1]
    cards = matches(tuple(names), laptop=about.is_laptop) if names else ()
    if not cards or len(sizes) > 1:
        return False
    size = sizes[0] if sizes else None
    return (
        size is None
        or is_instance
        or any(size in card.memory_gib or f"{size:g}gb" in card.named for card in cards)
    )


def _name_and_sizes(run: Sequence[str]) -> tuple[list[str], list[float]]:
    """The words of a GPU's name without fillers, and the sizes between them."""
    idle = roles().idle - roles().forms
    names = [
        word for word in run if not SIZE.fullmatch(word) and word not in idle and word != "mig"
    ]
    return names, [float(size[1]) for word in run if (size := SIZE.fullmatch(word))]


def _is_other(about: Description, start: int, end: int) -> bool:
    """Whether figures alone are a year, or a processor's number."""
    name = about.words_of(start, end)
    if len(name) > 1 or not name[0].isdecimal():
        return False
    word, behind = name[0], about.words_of(end, end + 1)
    if 2005 <= int(word) <= 2035 or len(word) < 3:
        return True
    before = about.words_of(start - 1, start) if start else []
    if behind and behind[0] in gpus.variants() and not about.tokens[end].by:
        return False
    if about.processor is not None or about.chip is not None or not matches((word,)):
        return not matches((word,))
    if start and not about.tokens[start - 1].by and cpus.class_of(before[0] if before else ""):
        _refuse_number_behind_kind(about, start, word)
        return True
    processors = cpus.names_of_number(word, beside_gpu=True)
    if processors and (len(processors) > 1 or not _has_whole_card(about, start)):
        raise _several(about, word, [*processors, f"rx {word}"])
    return bool(processors)


def _refuse_number_behind_kind(about: Description, start: int, word: str) -> None:
    """Raises `NotOneMachineError` for a GPU's number where a processor's would stand: `i7 3070`."""
    kind = about.words_of(max(0, start - 2), start)
    names = (" ".join([*each, word]) for each in (kind, kind[-1:]))
    if all(cpus.processor_of(name) is None and not cpus.names_of_number(name) for name in names):
        raise _several(about, word, [f"rtx {word}"])


def _has_whole_card(about: Description, place: int) -> bool:
    """Whether a GPU is named by more than a number beside it."""
    return bool(about.cards) or any(
        token.text in roles().cards
        or token.text in gpus.variants()
        or re.fullmatch(r"\d{4}(?:ti|xtx?|s)", token.text)
        for at, token in enumerate(about.tokens)
        if at != place and not token.by
    )


def _take_card(about: Description, start: int, end: int) -> None:
    name = about.words_of(start, end)
    names, sizes = _name_and_sizes(name)
    line = (about.product or {}).get("line", "").split()
    names = [*line, *names] if line and matches((*line, *names)) else names
    cards = matches(tuple(names), laptop=about.is_laptop)
    about.take(start, end, "gpu")
    _refuse_slip(about, names, end)
    while end < len(about.tokens) and about.tokens[end].text in roles().gpu_idle - {
        "memory",
        "vram",
        "with",
    }:
        about.take(end, end + 1, "gpu")
        end += 1
    size: float | None = sizes[0] if sizes else None
    if size is not None and cards and not any(size in card.memory_gib for card in cards):
        size = None
    count = 0
    is_inside = bool(cards) and all(card.unified and not card.integrated for card in cards)
    if is_inside and (about.processor is not None or about.product is not None):
        # the chip that was named has it
        return
    if cards and all(card.unified for card in cards):
        _put_cards(about, start, _named(about, names, None, 1))
        return
    if virtual_or_part(names):
        _put_cards(about, start, _named(about, names, size, _count_beside(about, start, end)))
        return
    if (
        start
        and (modules := MODULES.fullmatch(about.tokens[start - 1].text))
        and not about.tokens[start - 1].by
    ):
        if any(float(modules[2]) in card.memory_gib for card in cards) and _other_size(
            about, start
        ):
            about.take(start - 1, start, "gpu")
            count, size = int(modules[1]), float(modules[2])
    if size is None:
        size = _size_beside(about, start, end, cards)
    count = count or _count_beside(about, start, end)
    _put_cards(about, start, _named(about, names, size, count))


def _refuse_slip(about: Description, names: Sequence[str], end: int) -> None:
    """Raises `UnknownMachineError` for a variant that is a slip of one: `rx 7900 xtz`."""
    behind = about.words_of(end, end + 1)
    is_open = bool(behind) and not about.tokens[end].by and behind[0] not in roles().idle
    if (
        is_open
        and behind[0].isalpha()
        and any(is_slip(behind[0], each) for each in gpus.variants())
    ):
        if behind[0] not in gpus.variants() | {*words()["ram"]}:
            _named(about, [*names, behind[0]], None, 1)


def virtual_or_part(names: Sequence[str]) -> bool:
    """Whether it is a vGPU or an instance of MIG, whose name states its size."""
    text = " ".join(names)
    return instance_typed(text)[0] is not None or vgpu_typed(text) is not None


def _put_cards(about: Description, place: int, cards: NamedCards) -> None:
    """Keep the GPUs in the order of the text; one in a processor once, however often it is told."""
    is_again = any(
        all(card.unified for card in cards.accelerators) and cards.label == each.label
        for each in about.cards
    )
    if not is_again:
        about.places.append(place)
        about.places.sort()
        about.cards.insert(about.places.index(place), cards)


def _named(about: Description, names: Sequence[str], size: float | None, count: int) -> NamedCards:
    try:
        return named_card(names, size, count, laptop=about.is_laptop)
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{shown(about.text)!r}: {error}", nearest=error.nearest, remedy=error.remedy
        ) from None


def _size_beside(
    about: Description, start: int, end: int, cards: Sequence[gpus.Card]
) -> float | None:
    """The size of the card that stands behind its name, or before it where another is the RAM's.
    Raises `UnknownMachineError` for one that it is not sold with and that no RAM has.
    """
    at = end
    while at < len(about.tokens) and about.tokens[at].text in (BREAK, "vram", "with", "memory"):
        at += 1
    sold = {size for card in cards for size in card.memory_gib}
    if (size := _free_size(about, at)) is not None:
        if all(f"{size:g}gb" in card.named - card.words for card in cards):
            about.take(at, at + 1, "gpu")
            return None
        behind = about.words_of(at + 1, at + 3)
        is_vram = "vram" in about.words_of(end, at) or behind[:1] == ["vram"]
        is_ram = (
            behind[:1]
            and _is_ram(behind[0])
            and not (len(behind) > 1 and SIZE.fullmatch(behind[1]))
        )
        if is_vram or (size in sold and not is_ram):
            about.take(end, at + 1, "gpu")
            about.take(at + 1, at + 2, "gpu") if behind[:1] == ["vram"] else None
            return size
        total = size / max(1, _peek_count(about, start, end))
        if total in sold and total != size and _other_size(about, at):
            about.take(end, at + 1, "gpu")
            return total
        if not is_ram and BREAK not in about.words_of(end, at) and size % 4 and size > 6:
            _named(about, [card.label for card in cards[:1]][0].lower().split(), size, 1)
        if not is_ram and not about.words_of(end, at) and size == 2 * max(sold):
            about.notes.append(
                f"The {size:g} GB are read as RAM: {cards[0].label} has {max(sold):g}."
            )
        return None
    before = _free_size(about, start - 1)
    words_before = about.words_of(max(0, start - 3), start - 1)
    is_ram = (
        words_before[-1:]
        and _is_ram(words_before[-1])
        and not any(map(SIZE.fullmatch, words_before))
    )
    is_alone = about.processor is None or bool(before and before % 4 and before > 6)
    if before in sold and not is_ram and (is_alone or _other_size(about, start - 1)):
        about.take(start - 1, start, "gpu")
        return before
    return None


def _peek_count(about: Description, start: int, end: int) -> int:
    """As `_count_beside`, without taking it."""
    before = [(token, token.by) for token in about.tokens]
    count = _count_beside(about, start, end)
    for token, by in before:
        token.by = by
    return count


def _other_size(about: Description, place: int) -> bool:
    return any(at != place and _free_size(about, at) for at in range(len(about.tokens)))


def _free_size(about: Description, at: int) -> float | None:
    if not 0 <= at < len(about.tokens) or about.tokens[at].by:
        return None
    match = SIZE.fullmatch(about.tokens[at].text)
    return float(match[1]) if match and match[2] == "gb" else None


def _count_beside(about: Description, start: int, end: int) -> int:
    """How many of what stands from `start` to `end`: `2x`, `dual`, `x2`, and a bare number that is
    none of the name before it.
    """
    counts = words()["counts"]
    while start > 1 and about.tokens[start - 1].text in roles().gpu_idle - {"with"}:
        start -= 1
    for at in (start - 1, end, end + 1):
        if not 0 <= at < len(about.tokens) or about.tokens[at].by:
            continue
        word = about.tokens[at].text
        match = COUNT.fullmatch(word)
        if match and (at <= end or match[2] or at == len(about.tokens) - 1):
            about.tokens[at].by = "count"
            return int(match[1] or match[2])
        if at == start - 1 and (word in counts or _is_bare_count(about, at)):
            about.tokens[at].by = "count"
            return counts.get(word) or int(word)
        if match is None and at == end and not SIZE.fullmatch(word):
            break
    return 1


def _is_bare_count(about: Description, at: int) -> bool:
    """Whether a number counts what follows: behind a model of a laptop it is of its name."""
    word = about.tokens[at].text
    if not word.isdecimal() or not 1 < int(word) <= 12:
        return False
    before = about.tokens[at - 1] if at else None
    if before is None or before.text == BREAK or SIZE.fullmatch(before.text):
        return True
    if (
        MODULES.fullmatch(before.text)
        or before.text in ("with", "and", "has")
        or before.by == "processor"
    ):
        return True
    if about.is_laptop:
        return False
    if not before.by and cpus.class_of(before.text):
        return word not in _CLASS_NUMBERS or before.text in ("i3", "i5", "i7", "i9")
    return bool(before.by) or before.text in roles().idle | roles().computers


def _refuse_unlisted(about: Description) -> None:
    """Raises `UnknownMachineError` for words of GPUs' names with a number that is not listed."""
    for at, token in enumerate(about.tokens[:-1]):
        behind = about.tokens[at + 1]
        is_number = bool(
            re.fullmatch(r"[a-z]{0,2}\d{2,4}[a-z]{0,3}", behind.text)
        ) and not SIZE.fullmatch(behind.text)
        plain = spelled(token.text).split()
        if token.by or behind.by or plain[0] not in roles().cards or not is_number:
            continue
        _named(about, about.words_of(at, at + 2), None, 1)


# ------------------------------------------------------------------ memory and cores


def _is_ram(word: str) -> bool:
    return word in words()["ram"] or bool(re.fullmatch(r"(?:lp)?ddr\d(?:x|l)?", word))


def _take_memory(about: Description) -> None:
    """The RAM: what is said to be it, else the one size that no disk has. Raises
    `NotOneMachineError` where two sizes may each be it.
    """
    stated, plain = list[float](), list[float]()
    disks = {*words()["disk"]}
    _add_joined_sizes(about)
    for at, token in enumerate(about.tokens):
        if token.by:
            continue
        if re.fullmatch(r"(?:lp)?ddr\d(?:x|l)?", token.text):
            about.ram_kind, token.by = token.text, "ram"
        elif modules := MODULES.fullmatch(token.text):
            token.by, about.sticks = "ram", int(modules[1])
            stated.append(float(int(modules[1]) * int(modules[2])))
        elif size := SIZE.fullmatch(token.text):
            gib = float(size[1]) * (_GIB_OF_TB if size[2] == "tb" else 1)
            kind = _kind_of_size(about, at, disks)
            if kind == "vram":
                about.vram_gib = gib
            elif kind == "ram" or (kind == "plain" and about.ram_kind and not plain):
                (stated if kind == "ram" else plain).append(gib)
            elif kind == "plain":
                plain.append(gib)
            token.by = kind
    for token in about.tokens:
        if not token.by and (_is_ram(token.text) or token.text in disks):
            token.by = "ram"
    small = sorted({size for size in plain if size < _LEAST_DISK_GIB})
    if stated:
        about.ram_gib = (
            max(stated) if about.sticks is None else stated[-1] if len(stated) == 1 else max(stated)
        )
    elif about.chip is not None and plain:
        about.ram_gib = min(plain)
    elif len(small) > 1:
        listed = " and ".join(f"{size:g} GB" for size in small)
        raise NotOneMachineError(
            f"{shown(about.text)!r} states {listed}: it does not tell which is the RAM",
            remedy=f"leave one out, or say it: --machine 'i5-8250U {small[-1]:g}GB RAM'",
        )
    elif plain:
        about.ram_gib = small[0] if small else min(plain)


def _add_joined_sizes(about: Description) -> None:
    """Make one size of two modules, `16gb + 8gb`."""
    for at in range(len(about.tokens) - 2):
        first, second = _free_size(about, at), _free_size(about, at + 2)
        if first and second and about.tokens[at + 1].text == "plus":
            is_alike = max(first, second) <= 2 * min(first, second)
            about.tokens[at].text = f"{first + second if is_alike else first:g}gb"
            about.sticks = 2 if first == second else None
            about.take(at + 1, at + 3, "ram")


def _kind_of_size(about: Description, at: int, disks: Iterable[str]) -> str:
    """ram, vram, disk or plain, by the words beside a size."""
    around = [
        token.text if not token.by or token.by in ("ram", "vram", "plain", "disk") else ""
        for token in about.tokens
    ]
    behind = [
        each for each in around[at + 1 : at + 5] if each not in ("of", "system", "dual", "fast")
    ]
    before = [each for each in around[max(0, at - 2) : at] if each not in ("of", "with")]
    behind = behind[: behind.index(BREAK)] if BREAK in behind else behind
    tb = about.tokens[at].text.endswith("tb")
    first = behind[0] if behind else ""
    if (
        first == "vram"
        or before[-1:] == ["vram"]
        or (first in ("gpu", "graphics", "card") and before[-1:] != ["ram"])
    ):
        return "vram"
    if _is_ram(first) or (NUMBERED.fullmatch(first) and first.endswith("mts")):
        return "ram"
    if first in disks or before[-1:] and before[-1] in disks:
        gib = float(about.tokens[at].text[:-2])
        return "disk" if tb or gib >= 64 or first in disks else "plain"
    if before[-1:] and _is_ram(before[-1]) and not tb:
        return "ram"
    if (
        len(behind) > 1
        and not SIZE.fullmatch(first)
        and _is_ram(behind[1])
        and first in roles().idle
    ):
        return "ram"
    series = cpus.processor_of(about.processor or "")
    return "disk" if tb and not (series is not None and series.kind == "server") else "plain"


def _take_numbers(about: Description) -> None:
    """Cores, threads, channels and the rate of the RAM."""
    for token in about.tokens:
        match = NUMBERED.fullmatch(token.text)
        if token.by or match is None:
            continue
        number, unit = int(match[1]), match[2]
        token.by = unit
        if unit == "mts":
            about.mts = number
        elif unit == "channels":
            about.channels = number
        elif unit == "sticks":
            about.sticks = number
        elif unit == "threads":
            about.threads = number
        elif unit in ("cores", "cpus"):
            about.cores = number
        elif unit == "vcpus":
            about.vcpus = number
            about.scope = "vm" if about.scope == "host" else about.scope


def _take_unnamed_gpu(about: Description) -> None:
    """A GPU of which its memory and perhaps its maker are told, `8gb vram`, `amd gpu 16gb`."""
    says_gpu = False
    for token in about.tokens:
        if not token.by and token.text in ("gpu", "vram", "dgpu", "gpus", *_ANY_GPU):
            says_gpu |= token.text in ("gpu", "vram", "dgpu")
            token.by = "gpu"
        elif (
            not token.by
            and (maker := gpus.maker_of(frozenset((token.text,))))
            and token.text.isalpha()
        ):
            about.gpu_maker = about.gpu_maker or maker
            token.by = "gpu" if token.text != "intel" else ""
    if about.cards or about.has_no_gpu:
        about.vram_gib = None
    elif says_gpu and about.vram_gib is None and about.ram_gib is not None:
        is_alone = about.processor is None and about.product is None and about.chip is None
        if is_alone and not any(_is_ram(token.text) for token in about.tokens):
            about.vram_gib, about.ram_gib = about.ram_gib, None


def telling_choices(cards: Sequence[gpus.Card], memory_gib: float | None) -> list[str]:
    """Names of the cards with their sizes."""
    return [option.label_with_memory for option in choices(cards, memory_gib)]
