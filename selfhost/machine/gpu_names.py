"""GPUs by the names that people type: `RTX 4090`, `2x 3090`, `geforce rtx 4060 ti 16 gb`."""

from __future__ import annotations

import re
from functools import lru_cache

from ..core import units
from ..core.errors import SelfhostError
from ..core.records import Record
from ..core.saying import differently, option
from ..core.spelling import is_slip, words_of
from . import cpus, gpus, virtual_gpus
from .chips import apple_chips
from .record import Accelerator
from .typed_words import typed_words

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# as of a profile
MOST_CARDS = 64
_MOST_LETTERS = 200
_USUAL_RAM_GIB = 32
_SUGGESTED = 3


class UnknownGpuError(SelfhostError, LookupError):
    """No GPU that is sold as a card answers to the name. `nearest` are names that do."""


class PartOfMachineError(UnknownGpuError):
    """The name is that of a GPU whose memory is its machine's RAM, so that it comes with one."""


class TooManyGpusError(UnknownGpuError):
    """More cards than are judged."""


class NamedCards(Record):
    """GPUs that somebody named.

    `label` is a short name for all, `2x RTX 3090`; `notes` has a sentence for each name that can
    mean more than one; `source` says where memory and bandwidth are from.
    """

    accelerators: tuple[Accelerator, ...]
    label: str
    notes: tuple[str, ...]
    source: str

    @property
    def usual_ram_gib(self) -> int:
        """What a machine with them has at least: of the 26 profiles whose GPUs hold more than
        `_USUAL_RAM_GIB` 24 have as much RAM, and of the desktops most have that.
        """
        sizes = (card.memory_total_bytes or 0 for card in self.accelerators)
        return max(_USUAL_RAM_GIB, round(sum(sizes) / units.GIB))


class _Typed(Record):
    """One name as it was typed: how many of it, its words, and the memory if it was stated. Of a
    part of a card `instance` or `vgpu`; the words are then the card's.
    """

    text: str
    count: int
    words: frozenset[str]
    memory_gib: float | None
    instance: virtual_gpus.Instance | None = None
    vgpu: virtual_gpus.TypedVgpu | None = None


class _Choice(Record):
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
        if len(self.card.memory_gib) == 1:
            return self.card.label
        return f"{self.card.label} {self.memory_gib:g} GB"


class _Part(Record):
    """An instance of MIG on a card: which share it has of the memory and of the channels to it."""

    choice: _Choice
    share: float

    @property
    def gb_per_s(self) -> float:
        return self.choice.gb_per_s * self.share


def cards_named(text: str, *, listed_only: bool = False, explains: bool = True) -> NamedCards:
    """The GPUs that `text` names, several kinds separated by `+` or a comma; `none` is no GPU.

    A count stands before a name or after it: `2x RTX 3090`, `RTX 3090 x2`. Where a name can mean
    several cards, the one with the least memory is taken, and of those the slowest; of a card's
    sizes the usual one where the table has it, else the least. A GPU of a processor has no memory
    of its own: the machine's RAM is its memory. A name that is not listed, but tells its maker and
    states its memory, is a card of its class, unless `listed_only`. Raises `UnknownGpuError`, and
    `PartOfMachineError` for one that comes with its machine; without `explains` no names near one
    that is not known, which take long to find.
    """
    if text.strip().lower() == "none":
        return NamedCards(accelerators=(), label="no GPU", notes=(), source=option("gpu", "none"))
    meant = _told_once([(typed, _meant(typed, listed_only, explains)) for typed in _parts(text)])
    accelerators = [card for typed, each in meant for card in each.accelerators * typed.count]
    if len(accelerators) > MOST_CARDS:
        raise TooManyGpusError(
            f"{shown(text)!r} are {len(accelerators)} GPUs, and at most {MOST_CARDS} are judged",
            remedy="write for example 8x H100",
        )
    labels = [
        f"{typed.count}x {each.label}" if typed.count > 1 else each.label for typed, each in meant
    ]
    typed_as = differently(f'--gpu "{text.strip()}"', f'machine="{text.strip()}"')
    origin = [typed_as, f"memory from {gpus.source_of('memory')}"]
    return NamedCards(
        accelerators=tuple(accelerators),
        label=" + ".join(labels),
        notes=tuple(note for _, each in meant for note in each.notes),
        source="; ".join([*origin, *(each.source for _, each in meant)]),
    )


def _told_once(meant: Sequence[tuple[_Typed, NamedCards]]) -> list[tuple[_Typed, NamedCards]]:
    """Each of them, but a GPU in a processor no second time: programs name it with the processor
    and as a GPU.
    """
    kept: dict[object, tuple[_Typed, NamedCards]] = {}
    for place, (typed, named) in enumerate(meant):
        is_inside = all(card.unified for card in named.accelerators)
        kept.setdefault(named.accelerators if is_inside else place, (typed, named))
    return list(kept.values())


def _meant(typed: _Typed, listed_only: bool, explains: bool) -> NamedCards:
    """One GPU of that name; a card with several has them all."""
    if typed.vgpu is not None:
        return _vgpu(typed, typed.vgpu)
    matches = _matches(typed)
    if typed.instance is not None:
        return _instance(typed, typed.instance, matches, explains)
    if not matches and not listed_only:
        by_class = _of_class(typed)
        if by_class is not None:
            return by_class
    shared = next((card for card in matches if card.integrated), None)
    if shared is not None and all(card.unified for card in matches):
        return _in_processor(typed, shared)
    if not matches:
        raise _unknown(typed, explains)
    choices = _choices(typed, matches)
    choice = choices[0]
    return NamedCards(
        accelerators=(_accelerator(choice),) * choice.card.devices,
        label=choice.label,
        notes=tuple(_notes(typed, choices)),
        source=f"{choice.label}: bandwidth from {_bandwidth_source(choice)}",
    )


def _vgpu(typed: _Typed, vgpu: virtual_gpus.TypedVgpu) -> NamedCards:
    """What a virtual machine has of a card. Raises `UnknownGpuError` for a profile that is not
    listed.
    """
    virtual = virtual_gpus.virtual_gpu(vgpu.name)
    row = virtual_gpus.card_of_board(vgpu.board)
    if virtual is None or row is None:
        why = "of a board that is not listed" if row is None else f"of a card with {row[1]} GB"
        raise UnknownGpuError(
            f"{shown(typed.text)!r} would be a vGPU {why}",
            remedy=differently(
                f"state its memory: --set gpu=8GiB:'{shown(vgpu.board)}'",
                'name the whole card: machine="RTX 4090"',
            ),
        )
    memory = round(virtual.share * row[1] * units.GIB)
    peak = gpus.peak_gb_per_s(vgpu.name, memory)
    card = Accelerator(
        vendor=gpus.vendor_of(virtual.card),
        name=vgpu.name,
        memory_total_bytes=memory,
        unified=False,
        memory_bandwidth_bytes_per_second=round(peak * units.GB) if peak else None,
    )
    label = vgpu.name.removeprefix("NVIDIA ")
    source = f"{label}: a vGPU of {virtual.card}, {gpus.source_of('vgpu')}"
    return NamedCards(accelerators=(card,), label=label, notes=(), source=source)


def _instance(
    typed: _Typed, instance: virtual_gpus.Instance, matches: list[gpus.Card], explains: bool
) -> NamedCards:
    """An instance of MIG. Raises `UnknownGpuError` where no card of that name has such a one."""
    if not matches:
        raise _unknown(typed, explains)
    wholes = [choice for choice in _choices(typed, matches) if choice.card.mig_slices]
    if not wholes:
        label = matches[0].label
        raise UnknownGpuError(
            f"{shown(typed.text)!r}: MIG does not divide the {label}",
            remedy=f"name the whole card, {option('gpu', label)}, or one that it divides:"
            f" {option('gpu', 'A100 40GB MIG 3g.20gb')}",
        )
    parts = [
        _Part(choice=choice, share=share)
        for choice in wholes
        if (share := virtual_gpus.part_of_memory(instance, choice.card, _whole_gib(choice)))
    ]
    if not parts:
        names = virtual_gpus.instances_of(wholes[0].card, _whole_gib(wholes[0]))
        label = _telling(wholes[0])
        raise UnknownGpuError(
            f"{shown(typed.text)!r}: {label} has no instance {instance.name},"
            f" but {', '.join(names)}",
            remedy=option("gpu", f"{label} MIG {_nearest_instance(instance, names)}"),
        )
    parts.sort(key=lambda part: part.gb_per_s)
    taken = parts[0]
    card = _accelerator(taken.choice)
    name = f"{card.name} MIG {instance.name}"
    others = [part for part in parts if part.gb_per_s != taken.gb_per_s]
    notes: tuple[str, ...] = ()
    if others:
        labels = " or ".join(dict.fromkeys(f'"{_telling(part.choice)}"' for part in others))
        notes = (
            f'"{typed.text}" can be of several GPUs. Judged as one of {_telling(taken.choice)},'
            f" the slowest; otherwise name {labels}.",
        )
    part_of_it = card.replace(
        name=name,
        memory_total_bytes=virtual_gpus.memory_bytes(taken.share, _whole_gib(taken.choice)),
        memory_bandwidth_bytes_per_second=round(taken.gb_per_s * units.GB) or None,
    )
    label = f"{_telling(taken.choice)} MIG {instance.name}"
    source = f"{label}: its part by {gpus.source_of('mig')}"
    return NamedCards(accelerators=(part_of_it,), label=label, notes=notes, source=source)


def _nearest_instance(instance: virtual_gpus.Instance, names: Sequence[str]) -> str:
    """The one with as many slices, else the first."""
    return next((name for name in names if name.startswith(f"{instance.slices}g.")), names[0])


def _whole_gib(choice: _Choice) -> float:
    """GiB of the whole card, as its driver tells them: names of its instances follow from them."""
    return (_accelerator(choice).memory_total_bytes or 0) / units.GIB


def _of_which_card(typed_text: str, instance: virtual_gpus.Instance) -> UnknownGpuError:
    """The error for an instance of MIG without its card."""
    choices = (
        _Choice(card=card, memory_gib=size)
        for card in gpus.cards()
        if card.mig_slices
        for size in card.memory_gib
    )
    parts = [
        (share, f"{_telling(choice)} MIG {instance.name}")
        for choice in choices
        if (share := virtual_gpus.part_of_memory(instance, choice.card, _whole_gib(choice)))
    ]
    # an instance of few slices is most often the smallest part of a card
    labels = [label for _, label in sorted(parts, key=lambda part: part[0])]
    near = tuple(dict.fromkeys(labels))[:_SUGGESTED]
    examples = near or ("A100 40GB MIG 3g.20gb",)
    return UnknownGpuError(
        f"{shown(typed_text)!r} is an instance of MIG, but not of which GPU",
        nearest=near,
        remedy=f"name the GPU before it: {', '.join(option('gpu', each) for each in examples)}",
    )


def _in_processor(typed: _Typed, card: gpus.Card) -> NamedCards:
    """A GPU that reads the RAM of whatever machine it is in."""
    notes = []
    if typed.memory_gib is not None:
        notes.append(f"{card.label} has no memory of its own: it reads the RAM of its machine.")
    return NamedCards(
        accelerators=(Accelerator(vendor=gpus.vendor_of(card.name), name=card.name, unified=True),),
        label=card.label,
        notes=tuple(notes),
        source=f"{card.label}: part of a processor, so its memory is the RAM",
    )


def spelled(text: str) -> str:
    """A name with the spaces that drivers write: `RTX4070TiSUPER` becomes `RTX 4070 Ti SUPER`."""
    return _BEFORE_WORD.sub(r" \g<0>", _AFTER_WORD.sub(r"\g<0> ", text.strip()))


def written_out(text: str) -> str:
    """A name without its short forms: `2070S` is a SUPER, `4070TiS` a Ti SUPER."""
    return _SUPER.sub(r"\1 \2 super", text)


# names as people type them -> words as drivers write them: RTX4090, RTX 4070TiSUPER
_AFTER_WORD = re.compile(
    r"(?:nvidia|geforce|tesla|quadro|titan|radeon|instinct|rtx|gtx|rx)(?=[a-z]?\d|[rg]tx)",
    re.IGNORECASE,
)
_BEFORE_WORD = re.compile(
    r"(?<=\d)(?:ti(?=super|\b)|(?:super|xtx|xt|gre)\b)|(?<=\dti)super\b", re.IGNORECASE
)
_SUPER = re.compile(r"(?<!\d)(\d{4}) ?(ti)?s\b", re.IGNORECASE)
# two 3090s
_PLURAL = re.compile(r"(?<=\d)s\b", re.IGNORECASE)
_LETTER = re.compile(r"(?<!\d)(\d{4})([md])\b", re.IGNORECASE)
_SIZE = re.compile(r"(?<![\w.])(\d{1,3})\s*(?:gib|gb|g)\b", re.IGNORECASE | re.ASCII)
# a comma or a plus that does not stand before a size alone: `RTX 3060, 12 GB` is one name
# nor before what an instance of MIG has beside, `1g.10gb+me`
_BETWEEN = re.compile(
    r"[+,](?!\s*\d{1,3}\s*(?:gib|gb|g)\s*(?:[+,]|$))(?!(?:me|gfx)\b)", re.IGNORECASE
)
_COUNTS = (
    re.compile(r"(?P<count>\d{1,3})\s*[x×*]\s*(?P<name>.+)", re.IGNORECASE | re.ASCII),
    re.compile(r"(?P<name>.+)\s[x×*]\s?(?P<count>\d{1,3})", re.IGNORECASE | re.ASCII),
    # `h100x8`, but no `mi300x`
    re.compile(r"(?P<name>.*(?<!\d)\d{2,4})[x×](?P<count>[2-8]|16)", re.IGNORECASE | re.ASCII),
    re.compile(r"(?P<count>\d{1,2})\s+(?P<name>(?!gi?b?\b)[a-z].+)", re.IGNORECASE | re.ASCII),
)


def _parts(text: str) -> Iterator[_Typed]:
    """Each name of a list of them. Raises `UnknownGpuError` for what is none."""
    if len(text) > _MOST_LETTERS:
        raise _no_name(text)
    if "[" in text or "/" in text:
        from .pasted import cards_as_typed, each_of_a_chip

        cards = each_of_a_chip(text, is_listed)
        if len(cards) > 1:
            raise UnknownGpuError(
                several_of_a_chip(text, cards),
                nearest=cards,
                remedy=f"name yours: {option('gpu', *cards)}",
            )
        text = cards[0] if cards else cards_as_typed(text)
    for part in _BETWEEN.split(text.replace("_", " ")):
        part = _counted(part)
        whole_name, count = _name_and_count(part)
        instance, name = virtual_gpus.instance_typed(whole_name)
        vgpu = virtual_gpus.vgpu_typed(name) if instance is None else None
        sizes = {float(size) for size in _SIZE.findall(name)}
        words = _words(_SIZE.sub(" ", name))
        if instance is not None and not words:
            raise _of_which_card(part.strip(), instance)
        if len(sizes) > 1 or not words or count < 1:
            raise _no_name(part.strip())
        yield _Typed(
            text=part.strip(),
            count=count,
            words=words,
            memory_gib=max(sizes, default=None),
            instance=instance,
            vgpu=vgpu,
        )


def several_of_a_chip(text: str, cards: Sequence[str]) -> str:
    """What to say of a line of lspci that names the chip of several cards."""
    return f"{shown(text)!r} tells a chip that {len(cards)} cards have, and not which of them it is"


def is_listed(name: str) -> bool:
    """Whether it is one card's name."""
    try:
        return len(cards_named(name, listed_only=True).accelerators) == 1
    except UnknownGpuError:
        return False


def _name_and_count(part: str) -> tuple[str, int]:
    counted = next((match for way in _COUNTS if (match := way.fullmatch(part.strip()))), None)
    return (counted["name"], int(counted["count"])) if counted else (part, 1)


def _counted(part: str) -> str:
    """The same with a figure for a word that counts: `dual 3090` are two."""
    first, _, name = part.strip().partition(" ")
    count = typed_words().counts.get(first.lower())
    return part if count is None or not name else f"{count}x {name}"


_EXAMPLES = "write for example " + differently(
    '--gpu "RTX 4090" or --gpu "2x RTX 3090"; or --set gpu=24GiB:900GB/s',
    'machine="RTX 4090" or machine="2x RTX 3090"',
)


def _words(name: str) -> frozenset[str]:
    """The words of a typed name as the table has them."""
    typed = typed_words()
    words = (typed.same.get(word, word) for word in words_of(spelled(name)))
    return frozenset(words) - typed.idle


def _choices(typed: _Typed, matches: list[gpus.Card]) -> list[_Choice]:
    """Each size of the cards that the name can mean, the one to judge first. Never empty: raises
    `UnknownGpuError`.
    """
    if all(card.unified for card in matches):
        raise _part_of_machine(matches[0].label)
    stated = typed.memory_gib
    if stated is not None and all(f"{stated:g}gb" in card.named - card.words for card in matches):
        # of a superchip the name states the processor's memory
        stated = None
    choices = [
        _Choice(card=card, memory_gib=size)
        for card in matches
        for size in card.memory_gib
        if stated in (None, size, size * card.devices)
    ]
    if not choices:
        raise _not_sold_so(typed, matches)

    def place(choice: _Choice) -> tuple[bool, float, float]:
        is_rare = choice.card.usual_gib not in (None, choice.memory_gib)
        return is_rare, choice.memory_gib, choice.gb_per_s

    return sorted(choices, key=place)


def _matches(typed: _Typed) -> list[gpus.Card]:
    """The cards that the words mean: as they were typed, else with short forms written out."""
    plain = " ".join(sorted(typed.words))
    ways = [plain, written_out(plain), _LETTER.sub(r"\1 \2", plain), _LETTER.sub(_laptop, plain)]
    if typed.count > 1:
        ways.append(_PLURAL.sub("", plain))
    for way in dict.fromkeys(ways):
        words = frozenset(way.split())
        matches = _meant_by(words)
        if matches:
            return _exact(words, typed.memory_gib, matches)
    return _namesakes(typed.words)


def _namesakes(words: frozenset[str]) -> list[gpus.Card]:
    """The cards of whose names a line and a number were typed, but not what tells them apart:
    `rtx 6000` is the name of three generations.
    """
    numbers = {word for word in words if any(map(str.isdecimal, word))}
    if not numbers or words.isdisjoint(typed_words().left_out):
        return []
    cards = [card for card in gpus.cards() if numbers <= card.words and words <= card.named]
    # `quadro` was typed for a card of that name, not for one that came after it
    former = words & typed_words().of_former_lines
    cards = [card for card in cards if former <= words_of(card.name)]
    # of one alone it may be another card that is not listed
    return cards if len(cards) > 1 else []


def _laptop(match: re.Match[str]) -> str:
    return f"{match[1]} laptop" if match[2].lower() == "m" else match[0]


def _meant_by(words: frozenset[str]) -> list[gpus.Card]:
    """The cards of which the words say enough, and nothing that it is not; in the table's order."""
    cards, typed, (named, called) = gpus.cards(), typed_words(), _places_by_word()
    of_words = [named.get(word, frozenset()) for word in words]
    places = frozenset.intersection(*of_words) if of_words else range(len(cards))
    unsaid = typed.left_out | typed.forms
    enough = [place for place in places if cards[place].words - unsaid <= words]
    return [cards[place] for place in sorted({*enough, *called.get(words, ())})]


@lru_cache(1)
def _places_by_word() -> tuple[
    Mapping[str, frozenset[int]], Mapping[frozenset[str], Sequence[int]]
]:
    """The places in the table of the cards that a word may name, and that several are called as a
    whole: to hold each card against each name takes most of the time of reading one.
    """
    named: dict[str, set[int]] = {}
    called: dict[frozenset[str], list[int]] = {}
    for place, card in enumerate(gpus.cards()):
        for word in card.named:
            named.setdefault(word, set()).add(place)
        for words in card.called:
            called.setdefault(words, []).append(place)
    return {word: frozenset(places) for word, places in named.items()}, called


def _exact(
    words: frozenset[str], memory_gib: float | None, matches: list[gpus.Card]
) -> list[gpus.Card]:
    """The cards of which every word was typed, where there are any: `h200` is no `h200 nvl`."""
    if memory_gib is not None:
        words |= {f"{memory_gib:g}gb"}
    left_out = typed_words().left_out
    whole = [card for card in matches if card.words - left_out <= words]
    most = max((len(card.words - left_out) for card in whole), default=0)
    return [card for card in whole if len(card.words - left_out) == most] or matches


# ------------------------------------------------------------------ by class


# a new card brings a new word or none, `RX 7900 XTZ`: what has more describes something else
_MOST_NEW_WORDS = 1
# the largest listed has 288: more is that of several, `dgx a100 640gb`
_MOST_GIB_OF_A_CARD = 576
# behind other words: `supermicro 4x a100` is no name
_COUNT = re.compile(r"\d{1,2}x")


def _of_class(typed: _Typed) -> NamedCards | None:
    """A card that is not listed, with the memory that its name states; None where the name does not
    tell its maker, has no number, or has words that no GPU's name has. Raises `UnknownGpuError`
    where it states no memory: a guess of both would answer for a card that nobody has.

    Without a bandwidth of its own it has the range of its maker's cards with as much memory.
    """
    maker, inside = gpus.maker_of(typed.words), _inside(typed.words)
    if maker is None or not _may_name_a_card(typed.words, inside):
        return None
    sizes_gib = {gib for card in inside for gib in card.memory_gib}
    if (typed.memory_gib or 0) > _MOST_GIB_OF_A_CARD:
        return None
    if inside and typed.memory_gib is not None and typed.memory_gib not in sizes_gib:
        raise _not_sold_so(typed, inside)
    near = _nearest(typed)
    if typed.memory_gib is None:
        raise _without_memory(typed, near)
    strange = _unknown_words(typed.words)
    alike = _matches(typed.replace(words=typed.words - strange)) if strange else []
    if any(typed.memory_gib in card.memory_gib for card in alike):
        raise _with_strange_words(typed, strange, near)
    name = " ".join(spelled(_SIZE.sub(" ", _name_and_count(typed.text)[0])).split())
    note = f'No GPU called "{shown(name)}" is listed: its speed is a wide guess by its class.'
    if near:
        note += f" Or did you mean {' or '.join(near)}?"
    card = Accelerator(
        vendor=maker,
        name=name,
        memory_total_bytes=round(typed.memory_gib * units.GIB),
        unified=False,
    )
    source = f"{name}: not listed, by its maker's cards with as much memory"
    return NamedCards(accelerators=(card,), label=name, notes=(note,), source=source)


def _may_name_a_card(words: frozenset[str], inside: list[gpus.Card]) -> bool:
    """Whether one card may be called so, and nothing else; `inside`: listed ones in the name."""
    numbers = {word for word in words if any(map(str.isdecimal, word))}
    if not numbers or any(map(_COUNT.fullmatch, numbers)):
        return False
    if _apple_chip(words) or _has_a_processor(words):
        return False
    if inside and not numbers <= {word for card in inside for word in card.words}:
        # a card's name beside another one's, as a processor's
        return False
    return len(_unknown_words(words)) <= _MOST_NEW_WORDS


def _unknown_words(words: frozenset[str]) -> frozenset[str]:
    """Those that no listed name has, and that have no number but a digit alone, `h100-1-80g`."""
    others = words - _words_of_names()
    return frozenset(word for word in others if len(word) == 1 or not any(map(str.isdecimal, word)))


@lru_cache(1)
def _words_of_names() -> frozenset[str]:
    """Every word that a listed name has."""
    typed = typed_words()
    listed = frozenset(word for card in gpus.cards() for word in card.named)
    return listed | typed.left_out | typed.forms


def _has_a_processor(words: frozenset[str]) -> bool:
    """Whether a word is of processors alone: `intel i5` is no GPU, `intel arc` is."""
    others = words - typed_words().left_out
    return cpus.class_of(" ".join(others)) is not None


def _inside(words: frozenset[str]) -> list[gpus.Card]:
    """The cards whose whole names are among the words, unless a word makes another card of them:
    a 5060 SUPER is no 5060.
    """
    left_out = typed_words().left_out
    cards = [
        card for card in gpus.cards() if (card.words - left_out) and card.words - left_out <= words
    ]
    return [
        card
        for card in cards
        if not (words & gpus.variants()) - card.words and any(map(_digits, card.words))
    ]


def _digits(word: str) -> str:
    return "".join(filter(str.isdecimal, word))


# ------------------------------------------------------------------ a listed card


def _accelerator(choice: _Choice) -> Accelerator:
    name, size = choice.card.name, choice.memory_gib
    reported_mib = gpus.driver_memory_mib(name, size)
    memory = round(size * units.GIB) if reported_mib is None else reported_mib * units.MIB
    return Accelerator(
        vendor=gpus.vendor_of(name),
        name=name,
        memory_total_bytes=memory,
        unified=False,
        memory_bandwidth_bytes_per_second=round(choice.gb_per_s * units.GB) or None,
    )


def _bandwidth_source(choice: _Choice) -> str:
    return gpus.bandwidth_source(choice.card.name, choice.memory_gib) or "nowhere: it is not known"


def _notes(typed: _Typed, choices: Sequence[_Choice]) -> Iterator[str]:
    """What else the name can mean, where that would be judged otherwise."""
    taken = choices[0]
    others = [
        choice
        for choice in choices[1:]
        if (choice.memory_gib, choice.gb_per_s) != (taken.memory_gib, taken.gb_per_s)
    ]
    if not others:
        return
    names = " or ".join(f'"{name}"' for name in dict.fromkeys(map(_telling, others)))
    which = "the usual one" if taken.card.usual_gib else "the smallest"
    if len({choice.card.name for choice in choices}) == 1:
        yield f"Judged as {taken.label}, {which}; otherwise name {names}."
    else:
        yield (
            f'"{typed.text}" can be several GPUs. Judged as {_telling(taken)}, {which};'
            f" otherwise name {names}."
        )


def _telling(choice: _Choice) -> str:
    """The short name with the memory, if the name does not have it already."""
    label, size = choice.card.label, f"{choice.memory_gib:g}"
    return label if re.search(rf"\b{size} ?GB\b", label) else f"{label} {size} GB"


# ------------------------------------------------------------------ errors


def shown(text: str, most_letters: int = 60) -> str:
    """What was typed as it is quoted: on one line, and in part where it is long."""
    plain = " ".join(text.split())
    clean = "".join(letter if letter.isprintable() else "?" for letter in plain)
    return clean if len(clean) <= most_letters else f"{clean[: most_letters - 1]}…"


def _unknown(typed: _Typed, explains: bool) -> UnknownGpuError:
    if chip := _apple_chip(typed.words):
        return _part_of_machine(chip)
    if explains and (clause := gpus.why_unserved(typed.text)):
        return UnknownGpuError(
            f"{shown(typed.text)!r} is {clause}",
            remedy=f"name another GPU: {option('gpu', 'RTX 4060 Ti 16GB')}",
        )
    near = _nearest(typed) if explains else ()
    other = differently(
        f"state its memory and bandwidth: --set gpu=24GiB:'{shown(typed.text)}':900GB/s, or"
        " give a name with its maker, such as --gpu 'Radeon RX 7600'",
        'give a name with its maker: machine="Radeon RX 7600"',
    )
    meant = f"did you mean {', '.join(near)}? Else " if near else ""
    return UnknownGpuError(
        f"no GPU is called {shown(typed.text)!r}",
        nearest=near,
        remedy=f"{meant}{other}",
    )


def _no_name(text: str) -> UnknownGpuError:
    return UnknownGpuError(
        f"{shown(text)!r} is not a GPU's name",
        remedy=_EXAMPLES,
    )


def _without_memory(typed: _Typed, near: Sequence[str]) -> UnknownGpuError:
    """What is a slip, or a card that is not listed."""
    meant = f"did you mean {', '.join(near)}? Else state" if near else "state"
    return UnknownGpuError(
        f"no GPU is called {shown(typed.text)!r}",
        nearest=near,
        remedy=f"{meant} its memory, as for 24 GB: {option('gpu', f'{shown(typed.text)} 24GB')}",
    )


def _with_strange_words(
    typed: _Typed, strange: frozenset[str], near: Sequence[str]
) -> UnknownGpuError:
    """A listed card beside a word that says nothing of it: `a100 80gb dgx` is no other card."""
    kept = [word for word in typed.text.split() if words_of(word).isdisjoint(strange)]
    # a slip of a variant, `rx 7900 xtz`, leaves another card
    slips = [card.label for card in gpus.cards() if _is_slip_of(typed, strange, card)]
    meant = f"did you mean {' or '.join(slips)}? Else " if slips else ""
    return UnknownGpuError(
        f"{shown(typed.text)!r}: nothing is known by {' '.join(sorted(strange))!r}",
        nearest=tuple(slips) or near,
        remedy=f"{meant}leave it out: {option('gpu', shown(' '.join(kept)))}",
    )


def _is_slip_of(typed: _Typed, strange: frozenset[str], card: gpus.Card) -> bool:
    """Whether it is the card with all other words and the memory, one of whose variants is spelled
    as a strange word but for a letter.
    """
    others = typed.words - strange
    variants = (words_of(card.label) & gpus.variants()) - others
    return (
        others - typed_words().left_out <= words_of(card.label)
        and typed.memory_gib in card.memory_gib
        and len(variants) == 1
        and any(is_slip(word, variant) for variant in variants for word in strange)
    )


def _part_of_machine(label: str) -> PartOfMachineError:
    return PartOfMachineError(
        f"{label} is not a card: its memory is the RAM of its machine",
        remedy="name the machine: " + differently(f'--machine "{label}"', f'machine="{label}"'),
    )


def _not_sold_so(typed: _Typed, cards: Sequence[gpus.Card]) -> UnknownGpuError:
    sizes = sorted({size for card in cards for size in card.memory_gib})
    label = cards[0].label
    nearest = [_telling(_Choice(card=cards[0], memory_gib=size)) for size in cards[0].memory_gib]
    return UnknownGpuError(
        f"{label} is not sold with {typed.memory_gib:g} GB,"
        f" but with {' or '.join(f'{size:g}' for size in sizes)} GB",
        remedy=differently(
            f"--set gpu={typed.memory_gib:g}GiB:'{label}' states one that was changed",
            f'name one that is sold: machine="{nearest[0]}"',
        ),
        nearest=nearest,
    )


def _apple_chip(words: frozenset[str]) -> str | None:
    """The name of one of Apple's chips, `Apple M4 Max`; None for any other words."""
    for chip, variant in apple_chips():
        if words - {"apple"} == frozenset(f"{chip} {variant}".split()):
            return f"Apple {chip.upper()} {variant.title()}".strip()
    return None


def _nearest(typed: _Typed) -> tuple[str, ...]:
    """Labels of cards that a slip may have meant: those that have all words that were typed, then
    those spelled alike, with a like number and of the same maker.
    """
    from difflib import get_close_matches

    left_out = typed_words().left_out
    telling, maker = typed.words - left_out, gpus.maker_of(typed.words)
    near = [
        card
        for card in gpus.cards()
        if not card.unified
        and _has_like_number(telling, card)
        and maker in (None, gpus.vendor_of(card.name))
    ]
    label_of = {card.label.lower(): card.label for card in near}
    inside = [card.label for card in _inside(typed.words)]
    inside += sorted((card.label for card in near if telling and telling <= card.named), key=len)
    plain = spelled(typed.text).lower()
    alike = get_close_matches(plain, list(label_of), n=_SUGGESTED, cutoff=0.6)
    short = {label.split(" ", 1)[-1]: label for label in label_of}
    alike += [short[key] for key in get_close_matches(plain, list(short), n=1, cutoff=0.6)]
    return tuple(dict.fromkeys([*inside, *(label_of[key] for key in alike)]))[:_SUGGESTED]


def _has_like_number(words: frozenset[str], card: gpus.Card) -> bool:
    """Whether a number of the card has the letters of one that was typed, and its digits but for
    one: 780M is no slip for A770M.
    """
    return any(
        _letters(word) == _letters(other) and _differ_by_one(_digits(word), _digits(other))
        for word in words
        for other in card.words
    )


def _differ_by_one(digits: str, others: str) -> bool:
    """Whether two numbers are the same but for one digit, which is another or is left out."""
    if not digits or not others:
        return False
    if len(digits) == len(others):
        return sum(own != other for own, other in zip(digits, others, strict=True)) < 2
    shorter, longer = sorted((digits, others), key=len)
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))


# a card has the same words whatever is typed
@lru_cache(maxsize=4096)
def _letters(word: str) -> str:
    return "".join(letter for letter in word if not letter.isdecimal())
