"""GPUs by the names that people type: `RTX 4090`, `2x 3090`, `geforce rtx 4060 ti 16 gb`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ..core import units
from ..core.errors import SelfhostError
from ..core.records import Record
from ..core.spelling import is_slip, words_of
from . import gpus
from .chips import apple_chips
from .record import Accelerator
from .words import BREAK, COUNT, SIZE, board_called, role, tokens, vgpu_typed, virtual_gpu, words

# as of a profile
MOST_CARDS = 64
_MOST_LETTERS = 200
_USUAL_RAM_GIB = 32
_SUGGESTED = 3
# of MIG, `3g.20gb`
_INSTANCE = re.compile(r"(?<![\w.])\dg\.\d{1,3}gb", re.IGNORECASE | re.ASCII)
# names as people type them -> words as drivers write them: RTX4090, RTX 4070TiSUPER
_AFTER_WORD = re.compile(
    r"(?:nvidia|geforce|tesla|quadro|titan|radeon|instinct|rtx|gtx|rx)(?=[a-z]?\d|[rg]tx)",
    re.IGNORECASE,
)
_BEFORE_WORD = re.compile(
    r"(?<=\d)(?:ti(?=super|s?\b)|(?:super|xtx|xt|gre|laptop)\b)|(?<=\dti)super\b", re.IGNORECASE
)
# short forms of names, in small letters, written out: `3070s`, `3070m`, `3090s`
_SHORT_FORMS = (
    (re.compile(r"(?<!\d)(\d{4})( ti)? ?s\b"), r"\1\2 super"),
    (re.compile(r"(?<!\d)(\d{4})m\b"), r"\1 laptop"),
    (re.compile(r"(?<!\d)(\d{4})d\b"), r"\1 d"),
    (re.compile(r"(?<=\d)s\b"), ""),
)


class UnknownGpuError(SelfhostError, LookupError):
    """No GPU that is sold as a card answers to the name. `nearest` are names that do."""


class PartOfMachineError(UnknownGpuError):
    """The name is that of a GPU whose memory is its machine's RAM, so that it comes with one."""


class NamedCards(Record):
    """GPUs that somebody named.

    `label` is a short name for all, `2x RTX 3090`; `notes` has a sentence for each name that can
    mean more than one; `source` says where memory and bandwidth are from.
    """

    accelerators: tuple[Accelerator, ...]
    label: str
    notes: tuple[str, ...] = ()
    source: str = ""

    @property
    def usual_ram_gib(self) -> int:
        """What a machine with them has at least: of the 26 profiles whose GPUs hold more than
        `_USUAL_RAM_GIB` 24 have as much RAM, and of the desktops most have that.
        """
        sizes = (card.memory_total_bytes or 0 for card in self.accelerators)
        return max(_USUAL_RAM_GIB, round(sum(sizes) / units.GIB))


class Choice(Record):
    """A card with one of its sizes."""

    card: gpus.Card
    memory_gib: float

    @property
    def gb_per_s(self) -> float:
        peak = gpus.peak_gb_per_s(self.card.name, round(self.memory_gib * units.GIB))
        return peak or 0.0

    @property
    def label(self) -> str:
        """The card's short name, with its memory where that tells it from others."""
        return self.card.label if len(self.card.memory_gib) == 1 else self.label_with_memory

    @property
    def label_with_memory(self) -> str:
        label, size = self.card.label, f"{self.memory_gib:g}"
        return label if re.search(rf"\b{size} ?GB\b", label) else f"{label} {size} GB"

    @property
    def accelerator(self) -> Accelerator:
        """The card as its driver reports it."""
        name, size = self.card.name, self.memory_gib
        return _accelerator(name, gpus.driver_memory_bytes(name, size), self.gb_per_s)


def _accelerator(name: str, memory_bytes: int, gb_per_s: float | None) -> Accelerator:
    return Accelerator(
        vendor=gpus.vendor_of(name),
        name=name,
        memory_total_bytes=memory_bytes,
        unified=False,
        memory_bandwidth_bytes_per_second=round((gb_per_s or 0) * units.GB) or None,
    )


def cards_named(text: str) -> NamedCards:
    """The GPUs that `text` names, several kinds separated by `+` or a comma; `none` is no GPU.

    A count stands before a name or after it: `2x RTX 3090`, `RTX 3090 x2`. Where a name can mean
    several cards, the one with the least memory is taken, and of those the slowest; of a card's
    sizes the usual one where the table has it, else the least. A GPU of a processor has no memory
    of its own. Raises `UnknownGpuError`.
    """
    if text.strip().lower() in ("none", "no gpu"):
        return NamedCards(accelerators=(), label="no GPU", source="--gpu none")
    refuse_instances(text)
    named = [_part(part, text) for part in _parts(text)] if len(text) <= _MOST_LETTERS else []
    if not named:
        raise _not_a_name(text)
    together = joined(named)
    if len(together.accelerators) > MOST_CARDS:
        raise UnknownGpuError(
            f"{shown(text)!r} are {len(together.accelerators)} GPUs, and at most {MOST_CARDS} are"
            " judged",
            remedy="write for example 8x H100",
        )
    origin = f'--gpu "{text.strip()}"; memory from {gpus.source_of("memory")}'
    return together.replace(source=f"{origin}; {together.source}")


def joined(named: Sequence[NamedCards]) -> NamedCards:
    """Several names as one."""
    return NamedCards(
        accelerators=tuple(card for each in named for card in each.accelerators),
        label=" + ".join(each.label for each in named),
        notes=tuple(note for each in named for note in each.notes),
        source="; ".join(each.source for each in named),
    )


def find_cards(text: str) -> NamedCards | None:
    """As `cards_named`, None where the text names none."""
    try:
        return cards_named(text)
    except UnknownGpuError:
        return None


def _parts(text: str) -> list[list[str]]:
    """The words of each name; a size alone belongs to the name before it, `RTX 3060, 12 GB`."""
    parts: list[list[str]] = []
    part: list[str] = []
    for word in [*(token.text for token in tokens(re.sub("[()]", " ", text))), BREAK]:
        if word != BREAK:
            part.append(word)
        elif parts and part and all(SIZE.fullmatch(each) or each == "me" for each in part):
            parts[-1] += part
            part = []
        else:
            parts += [part] if part else []
            part = []
    return parts


def _part(part: list[str], text: str) -> NamedCards:
    """One name with its size and its count, `2x`, `dual`, `2` before it or `x2` at either end."""
    first, last, counts = part[0], part[-1], words()["counts"]
    count, rest = 1, part
    if match := COUNT.fullmatch(first):
        count, rest = int(match[1] or match[2]), part[1:]
    elif match := COUNT.fullmatch(last):
        count, rest = int(match[1] or match[2]), part[:-1]
    elif len(part) > 1 and (first in counts or (first.isdecimal() and len(first) < 3)):
        count, rest = counts.get(first) or int(first), part[1:]
    sizes = {float(size[1]) for word in rest if (size := SIZE.fullmatch(word))}
    name = [word for word in rest if not SIZE.fullmatch(word)]
    if not name or len(sizes) > 1 or count < 1:
        raise _not_a_name(text)
    return named_card(name, next(iter(sizes), None), count)


def named_card(
    name: Sequence[str], memory_gib: float | None = None, count: int = 1, *, laptop: bool = False
) -> NamedCards:
    """So many of the GPU of that name, in its form for laptops where there is one. Raises
    `UnknownGpuError`.
    """
    vgpu = vgpu_typed(" ".join(name))
    cards = _card(name, memory_gib, laptop=laptop) if vgpu is None else _vgpu(*vgpu)
    label = f"{count}x {cards.label}" if count > 1 else cards.label
    return cards.replace(accelerators=cards.accelerators * count, label=label)


def _card(name: Sequence[str], memory_gib: float | None, *, laptop: bool) -> NamedCards:
    cards = matches(tuple(name), laptop=laptop)
    if not cards:
        raise _unknown(name)
    shared = next((card for card in cards if card.integrated), None)
    if shared is not None and all(card.unified for card in cards):
        note = f"{shared.label} has no memory of its own: it reads the RAM of its machine."
        inside = Accelerator(vendor=gpus.vendor_of(shared.name), name=shared.name, unified=True)
        return NamedCards(
            accelerators=(inside,),
            label=shared.label,
            notes=() if memory_gib is None else (note,),
            source=f"{shared.label}: part of a processor, so its memory is the RAM",
        )
    options = _choices(cards, memory_gib)
    if not options:
        raise not_sold_so(cards, memory_gib or 0)
    choice = options[0]
    row = gpus.other_memory(choice.card.name, choice.memory_gib)
    key = row["source"] if row else gpus.fact_of(choice.card.name, "source")
    source = gpus.source_of(key) if key else None
    return NamedCards(
        accelerators=(choice.accelerator,) * choice.card.devices,
        label=choice.label,
        notes=_notes(" ".join(name), options),
        source=f"{choice.label}: bandwidth from {source or 'nowhere: it is not known'}",
    )


def _choices(cards: Sequence[gpus.Card], memory_gib: float | None) -> list[Choice]:
    """Each size of the cards that the name can mean, the one to judge first; empty where none is
    sold so. Raises `UnknownGpuError` for a chip that is its machine.
    """
    if all(card.unified for card in cards):
        raise _part_of_machine(cards[0].label)
    if all(f"{memory_gib or 0:g}gb" in card.named - card.words for card in cards):
        # the name of a superchip states the processor's memory
        memory_gib = None
    options = [
        Choice(card=card, memory_gib=size)
        for card in cards
        for size in card.memory_gib
        if memory_gib in (None, size, size * card.devices)
    ]

    def rank(each: Choice) -> tuple[bool, float, float]:
        is_unusual = each.card.usual_gib not in (None, each.memory_gib)
        return is_unusual, each.memory_gib, each.gb_per_s

    return sorted(options, key=rank)


def _notes(typed: str, options: Sequence[Choice]) -> tuple[str, ...]:
    """What else the name can mean, where that would be judged otherwise."""
    taken = options[0]
    own = (taken.memory_gib, taken.gb_per_s)
    others = [each for each in options if (each.memory_gib, each.gb_per_s) != own]
    names = " or ".join(f'"{name}"' for name in dict.fromkeys(o.label_with_memory for o in others))
    which = "the usual one" if taken.card.usual_gib else "the smallest"
    note = f'"{typed}" is judged as {taken.label_with_memory}, {which}; otherwise name {names}.'
    return (note,) if others else ()


# ------------------------------------------------------------------ which cards words mean


@lru_cache(maxsize=4096)
def matches(name: tuple[str, ...], *, laptop: bool = False) -> tuple[gpus.Card, ...]:
    """The cards that the words mean: as they were typed, else with short forms written out;
    in a laptop their form for laptops, where there is one.
    """
    if laptop and (cards := matches((*name, "laptop"))):
        return cards
    plain, same = spelled(" ".join(name)).lower(), words()["same"]
    spellings = [plain, *(find.sub(put, plain) for find, put in _SHORT_FORMS)]
    for spelling in dict.fromkeys(spellings):
        typed = frozenset(same.get(word, word) for word in words_of(spelling)) - role("gpu_idle")
        if typed and (with_words := _with_words(typed)):
            return tuple(with_words)
    return tuple(_namesakes(words_of(plain) - role("gpu_idle")))


def _with_words(typed: frozenset[str]) -> list[gpus.Card]:
    """The cards of which the words say enough, and nothing that it is not; of these the ones of
    which every word was typed: `h200` is no `h200 nvl`.
    """
    unsaid = role("left_out") | role("forms")
    matching = [
        card
        for card in gpus.cards()
        if (typed <= card.named and card.words - unsaid <= typed) or typed in card.called
    ]
    telling = {card.name: card.words - role("left_out") for card in matching}
    whole = [card for card in matching if telling[card.name] <= typed]
    most = max((len(telling[card.name]) for card in whole), default=0)
    return [card for card in whole if len(telling[card.name]) == most] or matching


def _namesakes(typed: frozenset[str]) -> list[gpus.Card]:
    """The cards of whose names a line and a number were typed, but not what tells them apart:
    `rtx 6000` is the name of three generations.
    """
    numbers = {word for word in typed if any(map(str.isdecimal, word))}
    if not numbers or typed.isdisjoint(role("left_out")):
        return []
    former = {word for lines in words()["former"].values() for word in lines} & typed
    cards = [
        card
        for card in gpus.cards()
        if numbers <= card.words and typed <= card.named and former <= words_of(card.name)
    ]
    # of one alone it may be another card that is not listed
    return cards if len(cards) > 1 else []


def spelled(text: str) -> str:
    """A name with the spaces that drivers write: `RTX4070TiSUPER` becomes `RTX 4070 Ti SUPER`."""
    return _BEFORE_WORD.sub(r" \g<0>", _AFTER_WORD.sub(r"\g<0> ", text.strip()))


# ------------------------------------------------------------------ parts of a card


def _vgpu(board: str, name: str) -> NamedCards:
    """What a virtual machine has of a card. Raises `UnknownGpuError` for an unlisted profile."""
    virtual, row = virtual_gpu(name), board_called(board)
    if virtual is None or row is None:
        gib = 0 if row is None else row["memory_gib"]
        why = f"of a card with {gib} GB" if gib else "of a board that is not listed"
        raise UnknownGpuError(
            f"{shown(name)!r} would be a vGPU {why}",
            remedy=f"state its memory: --set gpu=8GiB:'{shown(board)}'",
        )
    memory = round(virtual.share * row["memory_gib"] * units.GIB)
    card = _accelerator(name, memory, gpus.peak_gb_per_s(name, memory))
    label = name.removeprefix("NVIDIA ")
    source = f"{label}: a vGPU of {virtual.card}, {gpus.source_of('vgpu')}"
    return NamedCards(accelerators=(card,), label=label, source=source)


# ------------------------------------------------------------------ errors


def shown(text: str, most_letters: int = 60) -> str:
    """What was typed as it is quoted: on one line, and in part where it is long."""
    plain = " ".join(text.split())
    clean = "".join(letter if letter.isprintable() else "?" for letter in plain)
    return clean if len(clean) <= most_letters else f"{clean[: most_letters - 1]}…"


def refuse_instances(text: str) -> None:
    """Raises `UnknownGpuError` for an instance of MIG, which no table here has by its name."""
    if instance := _INSTANCE.search(text):
        size = instance[0].partition(".")[2].lower().removesuffix("gb")
        raise UnknownGpuError(
            f"{shown(text)!r} is a part of a GPU, which is not judged by its name",
            remedy=f"state what it has: --set gpu={size}GiB:'MIG {instance[0]}'",
        )


def _not_a_name(text: str) -> UnknownGpuError:
    return UnknownGpuError(
        f"{shown(text)!r} is not a GPU's name",
        remedy='write for example --gpu "RTX 4090" or --gpu "2x RTX 3090"; or'
        " --set gpu=24GiB:900GB/s",
    )


def _unknown(name: Sequence[str]) -> UnknownGpuError:
    text = " ".join(name)
    for chip, variant in apple_chips():
        if frozenset(name) - {"apple"} == frozenset(f"{chip} {variant}".split()):
            return _part_of_machine(f"Apple {chip.upper()} {variant.title()}".strip())
    if clause := gpus.why_unserved(text):
        return UnknownGpuError(
            f"{shown(text)!r} is {clause}", remedy="name another GPU: --gpu 'RTX 4060 Ti 16GB'"
        )
    near = _nearest(text)
    meant = f"did you mean {', '.join(near)}? Else " if near else ""
    return UnknownGpuError(
        f"no GPU is called {shown(text)!r}",
        nearest=near,
        remedy=f"{meant}state its memory and bandwidth: --set gpu=24GiB:'{shown(text)}':900GB/s",
    )


def _part_of_machine(label: str) -> PartOfMachineError:
    return PartOfMachineError(
        f"{label} is not a card: its memory is the RAM of its machine",
        remedy=f'name the machine: --machine "{label}"',
    )


def not_sold_so(cards: Sequence[gpus.Card], memory_gib: float) -> UnknownGpuError:
    """The error for a size that none of the cards is sold with."""
    sizes = sorted({size for card in cards for size in card.memory_gib})
    label = cards[0].label
    return UnknownGpuError(
        f"{label} is not sold with {memory_gib:g} GB,"
        f" but with {' or '.join(f'{size:g}' for size in sizes)} GB",
        remedy=f"--set gpu={memory_gib:g}GiB:'{label}' states one that was changed",
        nearest=[
            Choice(card=cards[0], memory_gib=size).label_with_memory for size in cards[0].memory_gib
        ],
    )


def _nearest(text: str) -> tuple[str, ...]:
    """Labels of cards that are spelled alike, with a number that differs in one digit at most."""
    from difflib import get_close_matches

    plain = spelled(text).lower()
    numbers = [word for word in words_of(plain) if any(map(str.isdecimal, word))]
    label_of = {
        key: card.label
        for card in gpus.cards()
        if not card.unified
        and any(word == each or is_slip(word, each) for word in numbers for each in card.words)
        for key in (card.label.lower(), card.label.lower().partition(" ")[2])
    }
    near = get_close_matches(plain, list(label_of), n=2 * _SUGGESTED, cutoff=0.6)
    return tuple(dict.fromkeys(label_of[key] for key in near))[:_SUGGESTED]
