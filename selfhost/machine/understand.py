"""What a description of a machine names: a product, a processor, GPUs, memory, cores, a system.

What goes in: a text. What comes out: a `Description`, complete when it is made. The text becomes
words once (`phrases.Phrase`). A matcher for each kind of thing finds it among the words that are
free, and returns it with the places of its words: the longest name counts. `_found` calls them, the
surest names first; `_combine` refuses contradictions, and keeps the words that nobody understood.
Nothing is guessed here: `described` fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..core.records import Record, shortened
from . import cpus, gpus
from .cards import MOST_CARDS, NamedCards, joined, unknown_gpu
from .graphics import choose_cards, find_cards
from .phrases import Phrase
from .processors import FoundProcessor, find_kind, find_number, find_processor
from .products import Product, find_product
from .words import (
    BREAK,
    COUNT,
    NUMBERED,
    SIZE,
    UnknownGpuError,
    UnknownMachineError,
    bad_name,
    vocabulary,
)

_MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
_KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d[xl]?", re.ASCII)
# a number of GPUs that `words.COUNT` does not read, `100x`, `x 100`; of GPUs alone also `1000x`
_LARGE_COUNT = re.compile(r"\b(?:x ?(\d{3})|(\d{3}) ?x)\b", re.ASCII)
_ANY_COUNT = re.compile(r"\b(?:x ?(\d{3})|x(\d{3,9})|(\d{3,9}) ?x)\b", re.ASCII)
_NO_GPU = frozenset(("nogpu", "nocard"))
_LAPTOPS = frozenset(("laptop", "netbook"))
_MOST_WORDS = 80
_MOST_LETTERS = 200
# of sizes that no word tells apart one from here on is a disk's, where the processor is of a class
# that takes at most so much RAM
_LEAST_DISK_GIB = 240
_MOST_GIB_OF_CLIENTS = 256


class Setting(NamedTuple):
    """What words say of a machine as a whole; `places` are those of the words.

    `is_line`: a line of computers with several processors. `has_no_card`: there is no GPU beside
    the processor, `has_no_gpu`: none at all.
    """

    system: str | None = None
    scope: str = "host"
    is_wsl: bool = False
    is_laptop: bool = False
    is_line: bool = False
    has_no_card: bool = False
    has_no_gpu: bool = False
    places: Sequence[int] = ()


class FoundMac(Record):
    """A Mac by its chip."""

    chip: cpus.Chip
    places: Sequence[int]


class FoundMemory(Record):
    """The memory that is told, in GiB; None where none is.

    `numbers`: cores, threads, vcpus, mts, channels, sticks and gen, by these words.
    """

    ram_gib: float | None
    vram_gib: float | None
    ram_kind: str | None
    numbers: Mapping[str, int]
    places: Sequence[int]


class FoundMaker(Record):
    """What is said of a GPU that has no name: its maker, and perhaps that it is one."""

    name: str | None
    says_gpu: bool
    places: Sequence[int]


class _Facts(Record):
    """What the matchers find; `rest` has the words that none of them claims."""

    product: Product | None
    setting: Setting
    chip: cpus.Chip | None
    processor: FoundProcessor | None
    cards: Sequence[NamedCards]
    memory: FoundMemory
    maker: FoundMaker
    rest: Phrase


class Description(Record):
    """What a text tells of a machine; None and empty for what it does not.

    `product`: of products.toml; `chip`: one of Apple's, which no other processor or GPU stands
    beside. `vram_gib`: of a GPU of which no more is stated, but perhaps `gpu_maker`. `numbers`: as
    in `FoundMemory`. `ignored`: words that mean nothing here and are no fillers.
    """

    text: str
    words: Sequence[str]
    setting: Setting
    scope: str
    product: Product | None
    chip: cpus.Chip | None
    processor: str | None
    is_laptop: bool
    cards: Sequence[NamedCards]
    vram_gib: float | None
    gpu_maker: str | None
    ram_gib: float | None
    ram_kind: str | None
    numbers: Mapping[str, int]
    ignored: Sequence[str]


def read_description(text: str) -> Description:
    """Raises `UnknownMachineError` where the text names two things, or one that is not known."""
    shape = vocabulary().shape
    if zero := re.search(shape.zero, text.lower(), re.ASCII):
        raise bad_name("zero", text, size=repr(zero[0].strip()))
    try:
        phrase = _phrase_of(text.strip())
        if not 0 < len(phrase.words) <= _MOST_WORDS:
            raise bad_name("long", text)
        return _combine(_found(phrase))
    except UnknownGpuError as error:
        message = f"{shortened(text)!r}: {error}"
        raise UnknownMachineError(
            message, nearest=error.nearest, remedy=error.remedy
        ) from None


def cards_named(text: str) -> NamedCards:
    """The GPUs that `text` names and nothing else, as in `read_description`; `none` is no GPU.

    A count stands before a name or after it: `2x RTX 3090`, `RTX 3090 x2`. Of several cards that a
    name can mean the smallest and slowest is taken, of sizes the usual. Raises `UnknownGpuError`.
    """
    if text.strip().lower() in ("none", "no gpu"):
        return NamedCards(accelerators=(), label="no GPU", source="--gpu none")
    plain = re.sub("[()]", " ", text[:_MOST_LETTERS])
    phrase = _phrase_of(plain, is_of_gpus=True)
    found = find_cards(phrase)
    phrase = phrase.without(found.places)
    _refuse_many(found.cards, phrase)
    idle = vocabulary().gpu_idle | {BREAK, "and"}
    rest = [word for word in phrase.free.values() if word not in idle]
    names = [part.split() for part in " ".join(phrase.words).split(BREAK)]
    for word in rest:
        if not SIZE.fullmatch(word) and not COUNT.fullmatch(word):
            raise unknown_gpu(next(name for name in names if word in name))
    if rest or not found.cards or len(text) > _MOST_LETTERS:
        raise bad_name("no_gpu_name", text)
    together = joined(found.cards)
    origin = f'--gpu "{text.strip()}"; memory from {gpus.source_called("memory")}'
    return together.replace(source=f"{origin}; {together.source}")


def _phrase_of(text: str, *, is_of_gpus: bool = False) -> Phrase:
    """The words of a text. Raises `UnknownGpuError` for an instance of MIG and for a vGPU."""
    part = re.search(vocabulary().shape.gpu_part, text, re.ASCII)
    if part is not None:
        name = f"MIG {part[0]}" if part[1] else part[0]
        gib = int(part[1] or part[2])
        raise bad_name("gpu_part", part[0], gib=gib, name=shortened(name))
    return Phrase.of(text, is_of_gpus=is_of_gpus)


class _Found(Protocol):
    """What a matcher found, with the places of its words."""

    @property
    def places(self) -> Collection[int]: ...


def _after(phrase: Phrase, found: _Found | None) -> Phrase:
    """The phrase without the words of what was found; None: nothing was."""
    return phrase if found is None else phrase.without(found.places)


def _found(phrase: Phrase) -> _Facts:
    """What each matcher finds, from the surest kind of name to the vaguest."""
    product = find_product(phrase.words, phrase.text)
    phrase = _after(phrase, product)
    setting = find_setting(phrase, is_product=product is not None)
    phrase = _after(phrase, setting)
    mac = find_mac(phrase) if product is None else None
    phrase = _after(phrase, mac)
    if mac is not None:
        # no guest of another system has its GPU
        no_gpu = setting.has_no_gpu or setting.scope != "host"
        setting = setting._replace(has_no_card=no_gpu, has_no_gpu=no_gpu)
    processor = find_processor(phrase)
    if processor is None and mac is None:
        processor = find_number(phrase, beside_gpu=False)
    phrase = _after(phrase, processor)
    found_cards = find_cards(
        phrase,
        line="" if product is None else product.product.line,
        has_processor=processor is not None,
        has_chip=mac is not None,
        is_laptop=_is_laptop(setting, processor),
    )
    phrase = _after(phrase, found_cards)
    cards = choose_cards(phrase, found_cards.cards, has_no_gpu=setting.has_no_gpu)
    if processor is None and mac is None:
        # what may be a number of either is a processor's behind a GPU
        processor = find_number(phrase, beside_gpu=bool(cards)) or find_kind(phrase)
        phrase = _after(phrase, processor)
    name = None if processor is None else processor.name
    memory = find_memory(phrase, name, has_chip=mac is not None)
    phrase = _after(phrase, memory)
    maker = find_maker(phrase)
    return _Facts(
        product=None if product is None else product.product,
        setting=setting,
        chip=None if mac is None else mac.chip,
        processor=processor,
        cards=cards,
        memory=memory,
        maker=maker,
        rest=_after(phrase, maker),
    )


def _combine(facts: _Facts) -> Description:
    """The facts as one description. Raises `UnknownMachineError` and `UnknownGpuError` where they
    contradict each other, or a word counts or means what was not found.
    """
    setting = facts.setting
    rest = facts.rest
    vram_gib = facts.memory.vram_gib
    if _has_known_gpus(facts):
        vram_gib = None
    elif vram_gib is None and (facts.maker.says_gpu or facts.maker.name == "nvidia"):
        raise bad_name("unnamed_gpu", rest.text)
    _refuse_many(facts.cards, rest)
    _refuse_unclear(facts)
    scope = setting.scope
    if "vcpus" in facts.memory.numbers and scope == "host":
        scope = "vm"
    return Description(
        text=rest.text,
        words=rest.words,
        setting=setting,
        scope=scope,
        product=facts.product,
        chip=facts.chip,
        processor=None if facts.processor is None else facts.processor.name,
        is_laptop=_is_laptop(setting, facts.processor),
        cards=facts.cards,
        vram_gib=vram_gib,
        gpu_maker=facts.maker.name,
        ram_gib=facts.memory.ram_gib,
        ram_kind=facts.memory.ram_kind,
        numbers=facts.memory.numbers,
        ignored=_ignored(rest),
    )


def _has_known_gpus(facts: _Facts) -> bool:
    """Whether all GPUs are named, or come with the product or the chip, or there are none."""
    if facts.cards or facts.setting.has_no_card or facts.chip is not None:
        return True
    return facts.product is not None and facts.product.shared is not None


def _is_laptop(setting: Setting, processor: FoundProcessor | None) -> bool:
    """Whether a word says so, or only laptops have the processor."""
    return setting.is_laptop or (processor is not None and processor.is_laptop)


def _ignored(phrase: Phrase) -> list[str]:
    """The words that are left and are no fillers."""
    words = vocabulary()
    idle = words.idle | words.gpu_idle | words.computers | {*cpus.MAKERS, BREAK}
    ignored: list[str] = []
    for word in phrase.free.values():
        if word not in idle and not re.fullmatch(words.shape.nothing, word, re.ASCII):
            ignored.append(word)
    return ignored


def _refuse_unclear(facts: _Facts) -> None:
    """Refuse an Arm processor without a name, and a count that is of nothing."""
    rest = facts.rest
    parts = (facts.product, facts.chip, facts.processor)
    has_processor = any(part is not None for part in parts)
    if "arm" in rest.words and not has_processor:
        raise bad_name("arm", rest.text)
    if not has_processor and not facts.cards:
        return
    for word in rest.free.values():
        count = COUNT.fullmatch(word)
        # `2x dgx spark`; `32x` ends a processor's name
        if count is not None and 1 < int(count[1] or count[2]) <= 16:
            raise bad_name("count", rest.text, count=word)


def _refuse_many(cards: Sequence[NamedCards], phrase: Phrase) -> None:
    """Refuse a number of cards that is not judged, typed as `1000x` or as the sum of several."""
    if not cards:
        return
    # in a description four digits are a processor's: `5800 x`
    shape = _ANY_COUNT if phrase.is_of_gpus else _LARGE_COUNT
    typed = shape.search(" ".join(phrase.free.values()))
    if typed is not None:
        count = int(next(filter(None, typed.groups())))
    else:
        count = len(joined(cards).accelerators)
    if count > MOST_CARDS:
        raise bad_name("many_gpus", phrase.text, count=f"{count:,}", most=MOST_CARDS)
    if not all(named.accelerators for named in cards):
        raise bad_name("zero_gpus", phrase.text)


def find_setting(phrase: Phrase, *, is_product: bool) -> Setting:
    """The system, guests, containers, lines of computers, `laptop`, and that there is no GPU.

    Raises `UnknownMachineError` for phones, for chips that no runtime uses, and for clusters.
    """
    words = vocabulary()
    lines = words.laptops | words.lines
    telling = lines.union(words.systems, words.containers, words.guests, _NO_GPU)
    places: list[int] = []
    for at, word in phrase.free.items():
        if word in telling:
            places.append(at)
        # models of these have four digits, as GPUs have: `vostro 3070`
        number = phrase.free_word(at + 1)
        if word in words.numbered & lines and re.fullmatch(r"\d{4}", number):
            places.append(at + 1)
    said = frozenset(phrase.free.values())
    is_line = not said.isdisjoint(lines) and not is_product
    _refuse_unjudged(phrase.without(places), is_computer=is_line or is_product)
    systems = [word for word in phrase.free.values() if word in words.systems]
    return Setting(
        system=words.systems[systems[-1]] if systems else None,
        scope=_scope_of(said),
        is_wsl=any(word.startswith("wsl") for word in systems),
        is_laptop=not said.isdisjoint(words.laptops | _LAPTOPS),
        is_line=is_line,
        has_no_card=not said.isdisjoint(_NO_GPU),
        has_no_gpu="nogpu" in said,
        places=places,
    )


def _scope_of(said: frozenset[str]) -> str:
    """What the words say that the machine is; a container is one, whatever it runs in."""
    words = vocabulary()
    if not said.isdisjoint(words.containers):
        return "container"
    return "host" if said.isdisjoint(words.guests) else "vm"


def _refuse_unjudged(phrase: Phrase, *, is_computer: bool) -> None:
    """Refuse accelerators and phones that no runtime serves, and several machines at once."""
    words = vocabulary()
    refused: dict[str, str] = {}
    for word in phrase.free.values():
        if word in words.phones:
            refused["phones"] = word
        elif word in words.chips:
            refused["chips"] = word
        elif word in words.clusters:
            refused["clusters"] = word
    if is_computer:
        # `galaxy book` is no phone
        refused.pop("phones", None)
    for kind in sorted(refused):
        raise bad_name(kind, phrase.text, word=refused[kind])


def find_mac(phrase: Phrase) -> FoundMac | None:
    """A Mac by its chip or its name, `m2 pro`, `mac mini`; None where the words name none. Raises
    `UnknownMachineError` for a Mac that is not known, and for a name of several.
    """
    words = vocabulary()
    chip_places = _chip_places(phrase)
    said = frozenset(phrase.free.values())
    is_mac = not words.macs.isdisjoint(said)
    if chip_places:
        found = _chips_called([phrase.free[at] for at in chip_places])
    elif is_mac:
        found = _chips_of_macs(said)
    else:
        return None
    if len(found) > 1:
        near = [chip.words.removeprefix("apple ") for chip in found]
        names = ", ".join(near)
        raise bad_name("macs", phrase.text, near, count=len(near), names=names)
    if found:
        shape = words.shape.mac
        places = list(chip_places)
        for at, word in phrase.free.items():
            if re.fullmatch(shape, word, re.ASCII):
                places.append(at)
        return FoundMac(chip=found[0], places=places)
    if is_mac or not said.isdisjoint(("apple", "air")):
        raise bad_name("mac", phrase.text)
    return None


def _chips_called(words: Sequence[str]) -> list[cpus.Chip]:
    """The chips of Macs with that name, without `apple`."""
    name = " ".join(("apple", *words))
    return [chip for chip in cpus.mac_chips() if chip.words == name]


def _chips_of_macs(said: frozenset[str]) -> list[cpus.Chip]:
    """The chips of the Macs that are sold under a name which these words hold."""
    chips: list[cpus.Chip] = []
    for chip, mac in cpus.mac_chips().items():
        if any(said.issuperset(name.split()) for name in mac.sold_as):
            chips.append(chip)
    return chips


def _chip_places(phrase: Phrase) -> Sequence[int]:
    """The places of the first chip of Apple's, `m2` and perhaps `pro` behind it."""
    words = vocabulary()
    for at, word in phrase.free.items():
        is_chip = re.fullmatch(words.shape.chip, word, re.ASCII)
        if is_chip and phrase.word(at - 1) not in words.not_apple:
            if phrase.free.get(at + 1) in ("pro", "max", "ultra"):
                return (at, at + 1)
            return (at,)
    return ()


class _Sizes(NamedTuple):
    """Sizes in GiB by what they are of; `plain` where no word tells."""

    ram: list[float]
    vram: list[float]
    disk: list[float]
    plain: list[float]

    def add(self, size: re.Match[str], *, is_server: bool) -> None:
        """Add the size that was read; of clients `1tb` is a disk's."""
        kind = size[3]
        gib = float(size[1])
        if size[2] == "tb":
            gib *= 1024
            if not kind and not is_server:
                kind = "disk"
        sizes = {"ram": self.ram, "vram": self.vram, "disk": self.disk}
        sizes.get(kind, self.plain).append(gib)


def find_memory(
    phrase: Phrase, processor: str | None, *, has_chip: bool
) -> FoundMemory:
    """The RAM: what is said to be it, else the one size that no disk has; also cores and rates.

    Raises `UnknownMachineError` where it can be either of two sizes.
    """
    sizes = _Sizes([], [], [], [])
    numbers: dict[str, int] = {}
    places: list[int] = []
    ram_kind: str | None = None
    is_server = cpus.is_server(processor or "")
    for at, word in phrase.free.items():
        if _KIND_OF_RAM.fullmatch(word):
            ram_kind = word
        elif modules := _MODULES.fullmatch(word):
            sticks = int(modules[1])
            numbers["sticks"] = sticks
            sizes.ram.append(float(sticks * int(modules[2])))
        elif size := SIZE.fullmatch(word):
            sizes.add(size, is_server=is_server)
        elif number := NUMBERED.fullmatch(word):
            name = "cores" if number[2] == "cpus" else number[2]
            numbers[name] = int(number[1])
        elif word not in vocabulary().of_sizes:
            continue
        places.append(at)
    has_sticks = "sticks" in numbers
    ram_gib = _ram_of(
        phrase, sizes, processor, has_chip=has_chip, has_sticks=has_sticks
    )
    return FoundMemory(
        ram_gib=ram_gib,
        vram_gib=max(sizes.vram, default=None),
        ram_kind=ram_kind,
        numbers=numbers,
        places=places,
    )


def _ram_of(
    phrase: Phrase,
    sizes: _Sizes,
    processor: str | None,
    *,
    has_chip: bool,
    has_sticks: bool,
) -> float | None:
    """The size of the RAM; None where none is told. Of sizes that no word tells apart, as in
    `ryzen 5600x 16gb 512gb`, one too large for the RAM beside such a processor is a disk's.
    """
    no_disks = set(sizes.plain)
    most_gib = cpus.class_of(processor or "").most_gib or 0
    if most_gib <= _MOST_GIB_OF_CLIENTS:
        no_disks = {gib for gib in no_disks if gib < _LEAST_DISK_GIB}
    if not sizes.ram:
        if len(no_disks) > 1 and not has_chip:
            raise _two_sizes(phrase, no_disks)
        return min(sizes.plain, default=None)
    ram_gib = max(sizes.ram)
    # `2x 16gb v100 64gb`: it does not tell whether these are modules
    is_unclear = has_sticks or "or" in phrase.words
    if is_unclear and no_disks and ram_gib not in no_disks:
        raise _two_sizes(phrase, no_disks.union(sizes.ram))
    return ram_gib


def _two_sizes(phrase: Phrase, sizes: set[float]) -> Exception:
    listed = sorted(sizes)
    texts = " and ".join(f"{size:g} GB" for size in listed)
    return bad_name("two_sizes", phrase.text, sizes=texts, largest=f"{listed[-1]:g}")


def find_maker(phrase: Phrase) -> FoundMaker:
    """What is said of a GPU of which its memory and perhaps its maker are told: `amd gpu 16gb`."""
    maker: str | None = None
    says_gpu = False
    places: list[int] = []
    for at, word in phrase.free.items():
        vendor = gpus.vendor_of(word)
        if vendor != gpus.UNKNOWN:
            maker = maker or vendor
        elif word not in vocabulary().gpu_words:
            continue
        if word in ("gpu", "vram", "dgpu"):
            says_gpu = True
        places.append(at)
    return FoundMaker(name=maker, says_gpu=says_gpu, places=places)
