"""The things that a description of a machine names: a product, a processor, GPUs, memory, cores, a
system.

What goes in: a text. What comes out: a complete `Description`. The text is split into words once
(`phrases.Phrase`). For each kind of thing, a matcher finds the longest name among the unclaimed
words, claims these words, and returns the thing. `_described_by` calls the matchers, the most
reliable names first; `_refuse_contradictions` refuses impossible machines. Nothing is
guessed here: `described` fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..core.records import Record, shortened
from . import cpus, gpus
from .cards import MOST_CARDS, NamedCards, joined, unknown_gpu
from .graphics import Around, choose_cards, find_cards
from .phrases import Phrase
from .processors import FoundProcessor, find_kind, find_number, find_processor
from .products import Product, find_product
from .words import (
    BREAK,
    MODULES,
    NUMBERED,
    SIZE,
    UnknownGpuError,
    UnknownMachineError,
    bad_name,
    count_in,
    fits,
    is_size,
    vocabulary,
)

_KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d\w?", re.ASCII)
# a number of GPUs beyond `words.COUNT`: `100x`, `x 100` or `10000x`; in a description of GPUs alone
# also `1000x`. A longer number is no number at all (`no_number` of words.toml).
_LARGE_COUNT = re.compile(
    r"\b(?:x ?(\d{3})|x(\d{5,12})|(\d{3}) ?x|(\d{5,12})x)\b", re.ASCII
)
_ANY_COUNT = re.compile(r"\b(?:x ?(\d{3})|x(\d{3,12})|(\d{3,12}) ?x)\b", re.ASCII)
# what stands where a count does and is none that is read: four digits, or a fraction
_UNCLEAR_COUNT = re.compile(r"x?(?:\d{4}|\d+\.\d+)x?", re.ASCII)
# what counts something where a description begins with it
_FIRST_COUNT = re.compile(r"\d[\d.]*x|\d{2,}", re.ASCII)
# with a unit behind it: a bare number may be that of a series
_WITHOUT_END = re.compile(r"\d{13,}[a-z]")
_NO_CARD = frozenset(("nogpu", "nocard"))
_LAPTOPS = frozenset(("laptop", "netbook"))
_SAYS_GPU = frozenset(("gpu", "vram", "dgpu"))
_OF_APPLE = frozenset(("apple", "air"))
_YEAR = re.compile(r"20\d\d", re.ASCII)
# words that follow `m2`
_FORMS_OF_CHIP = frozenset(("pro", "max", "ultra"))
_MOST_WORDS = 80
_MOST_LETTERS = 200
# a size without a word for its kind is a disk's from the first of these on, in a computer whose
# class of processor takes at most the second of RAM
_LEAST_DISK_GIB = 240
_MOST_GIB_OF_CLIENTS = 256
# a system reports up to a tenth less RAM than is built in: `15.8 GB` of 16
_LEAST_OF_SIZE = 0.9
# a larger number is no count: `32x` ends a processor's name
_MOST_COMPUTERS = 16


class Setting(NamedTuple):
    """The words of a description that are about the machine as a whole.

    `is_line`: the words name a line of computers that is sold with several processors.
    `has_no_card`: there is no GPU beside the processor. `has_no_gpu`: there is no GPU at all.
    """

    system: str | None = None
    scope: str = "host"
    is_wsl: bool = False
    is_laptop: bool = False
    is_line: bool = False
    has_no_card: bool = False
    has_no_gpu: bool = False


class FoundMemory(NamedTuple):
    """The memory that a description tells, in GiB; None where it tells none.

    `disk_gib` is a size that is taken for a disk, and that may be the RAM's: in TB, where no word
    calls it either, or a small one beside a word for a disk.
    `numbers` has the numbers of cores, threads, vcpus, mts, gbps, channels, sticks and gen, by
    these words.
    """

    ram_gib: float | None
    vram_gib: float | None
    disk_gib: float | None
    ram_kind: str | None
    numbers: Mapping[str, int]


class FoundMaker(NamedTuple):
    """The words about a GPU that has no name: its maker, and whether the words say that there is a
    GPU.
    """

    name: str | None
    says_gpu: bool


class Description(Record):
    """The parts of a machine that a text names. A part that the text does not name is None or
    empty.

    `product` is a row of products.toml. `chip` is an Apple chip, which no other processor or GPU
    stands beside. `left_out` has the GPU in the processor where the text names `cards` beside it.
    `rest` has the words that no matcher claims.
    """

    product: Product | None
    setting: Setting
    chip: cpus.Chip | None
    processor: str | None
    is_laptop: bool
    cards: Sequence[NamedCards]
    left_out: Sequence[NamedCards]
    memory: FoundMemory
    maker: FoundMaker
    rest: Phrase

    @property
    def text(self) -> str:
        """The whole text as it was typed."""
        return self.rest.text

    @property
    def scope(self) -> str:
        """The kind of machine: `host`, `vm` or `container`. A text that names virtual processors
        means a virtual machine.
        """
        scope = self.setting.scope
        if scope == "host" and "vcpus" in self.memory.numbers:
            return "vm"
        return scope

    @property
    def vram_gib(self) -> float | None:
        """The memory in GiB of a GPU of which only the memory and perhaps the maker are stated;
        None without such a GPU.
        """
        if self.are_gpus_known:
            return None
        return self.memory.vram_gib

    @property
    def is_processor_told(self) -> bool:
        """Whether the text names a processor, or a product or a Mac that comes with one."""
        return any((self.product, self.chip, self.processor))

    @property
    def are_gpus_known(self) -> bool:
        """Whether all GPUs are named, or come with the product or the chip, or there are none."""
        if self.cards or self.setting.has_no_card:
            return True
        if self.chip is not None:
            return True
        return self.product is not None and self.product.shared is not None

    @property
    def ignored(self) -> Sequence[str]:
        """The words that mean nothing here and are no fillers."""
        words = vocabulary()
        fillers = words.idle.union(words.gpu_idle, words.computers, cpus.MAKERS)
        ignored = []
        for word in self.rest.free_words:
            if word in fillers or fits(words.shape.nothing, word):
                continue
            ignored.append(word)
        return ignored


def read_description(text: str) -> Description:
    """Read the description in a text. Raises `UnknownMachineError` where the text names two things,
    or a thing that is not known.
    """
    shape = vocabulary().shape.zero
    zero = re.search(shape, text.lower(), re.ASCII)
    if zero is not None:
        size = zero[0].strip()
        raise bad_name("zero", text, size=repr(size))
    try:
        _refuse_no_number(text)
        _refuse_part_of_gpu(text)
        phrase = Phrase(text.strip())
        _refuse_long_numbers(phrase)
        if not 0 < len(phrase.words) <= _MOST_WORDS:
            raise bad_name("long", text)
        description = _described_by(phrase)
        _refuse_contradictions(description)
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{shortened(text)!r}: {error}", nearest=error.nearest, remedy=error.remedy
        ) from None
    return description


def cards_named(text: str) -> NamedCards:
    """Return the GPUs that `text` names. The text, read as in `read_description`, must name nothing
    else; `none` means no GPU.

    A count stands before a name or after it: `2x RTX 3090`, `RTX 3090 x2`. Where a name can mean
    several cards, the smallest and slowest is taken; where a card has several sizes, the usual one.
    Raises `UnknownGpuError`.
    """
    typed = text.strip()
    if typed.lower() in ("none", "no gpu"):
        return NamedCards(accelerators=(), label="no GPU", source="--gpu none")
    if len(text) > _MOST_LETTERS:
        raise bad_name("no_gpu_name", text)
    _refuse_no_number(text)
    _refuse_part_of_gpu(text)
    plain = re.sub("[()]", " ", text)
    phrase = Phrase(plain, is_of_gpus=True)
    _refuse_long_numbers(phrase)
    found = find_cards(phrase)
    _refuse_many(found, phrase)
    ignored = vocabulary().gpu_idle | {"and"}
    left = [word for word in phrase.free_words if word not in ignored]
    for word in left:
        if not is_size(word) and count_in(word) is None:
            raise unknown_gpu(_part_with(phrase, word))
    if left or not found:
        raise bad_name("no_gpu_name", text)
    together = joined(found)
    memory_source = gpus.source_called("memory")
    origin = f'--gpu "{typed}"; memory from {memory_source}'
    return together.replace(source=f"{origin}; {together.source}")


def _part_with(phrase: Phrase, word: str) -> Sequence[str]:
    """The words of the first part of a phrase that holds this word."""
    text = " ".join(phrase.words)
    for part in text.split(BREAK):
        words = part.split()
        if word in words:
            return words
    return (word,)


def _refuse_no_number(text: str) -> None:
    """Raise `UnknownGpuError` for a number before a unit that cannot be read: without end, below
    zero, or in other digits than 0 to 9. To leave it out would judge another machine.
    """
    shape = vocabulary().shape.no_number
    found = re.search(shape, text.lower())
    if found is not None:
        raise bad_name("no_number", text, word=repr(shortened(found[0], 40)))


def _refuse_long_numbers(phrase: Phrase) -> None:
    """Raise `UnknownGpuError` for a number without end that is one in the words alone: between its
    digits stood what a spelling leaves out.
    """
    for word in phrase.words:
        if _WITHOUT_END.search(word):
            typed = repr(shortened(word, 40))
            raise bad_name("no_number", phrase.text, word=typed)


def _refuse_part_of_gpu(text: str) -> None:
    """Raise `UnknownGpuError` for an instance of MIG and for a vGPU."""
    shape = vocabulary().shape.gpu_part
    part = re.search(shape, text, re.ASCII)
    if part is None:
        return
    # the first size belongs to an instance, the second to a vGPU
    typed, mig_gib, vgpu_gib = part.group(0, 1, 2)
    name = shortened(typed)
    if mig_gib:
        name = shortened(f"MIG {typed}")
    raise bad_name("gpu_part", typed, gib=int(mig_gib or vgpu_gib), name=name)


def _described_by(phrase: Phrase) -> Description:
    """The description made of what each matcher finds, from the surest kind of name to the vaguest.
    Each claims its words, which no later one sees.
    """
    product = find_product(phrase.words, phrase.text)
    if product is not None:
        phrase.claim(*product.places_in(phrase.words))
    setting = find_setting(phrase, is_product=product is not None)
    chip = None
    if product is None:
        chip = find_mac(phrase)
    if chip is not None and setting.scope != "host":
        # no guest of another system has the GPU in the chip
        setting = setting._replace(has_no_gpu=True)
    processor = find_processor(phrase)
    is_open = chip is None and processor is None
    if is_open:
        processor = find_number(phrase, beside_gpu=False)
    around = Around(
        line="" if product is None else product.line,
        has_processor=processor is not None,
        has_chip=chip is not None,
        is_laptop=_is_laptop(setting, processor),
    )
    named = find_cards(phrase, around)
    cards = choose_cards(phrase, named, has_no_gpu=setting.has_no_gpu)
    if is_open and processor is None:
        # after a GPU, a number that could name either is a processor's
        processor = find_number(phrase, beside_gpu=bool(cards))
        if processor is None:
            processor = find_kind(phrase)
    name = None if processor is None else processor.name
    memory = find_memory(phrase, name, has_chip=chip is not None)
    maker = find_maker(phrase)
    return Description(
        product=product,
        setting=setting,
        chip=chip,
        processor=name,
        is_laptop=_is_laptop(setting, processor),
        cards=cards,
        left_out=[left for left in named if left not in cards],
        memory=memory,
        maker=maker,
        rest=phrase,
    )


def _is_laptop(setting: Setting, processor: FoundProcessor | None) -> bool:
    """Whether a word says that the machine is a laptop, or only laptops have the processor."""
    if processor is not None and processor.is_laptop:
        return True
    return setting.is_laptop


def _refuse_contradictions(about: Description) -> None:
    """Refuse a description with a contradiction or a gap: a GPU of which nothing is told, an Arm
    processor without a name, more cards than are judged, or a count that belongs to nothing.
    """
    rest = about.rest
    if about.chip is not None and about.processor is not None:
        names = {"first": about.processor, "second": about.chip.name}
        raise bad_name("two_processors", rest.text, **names)
    is_unnamed = about.maker.says_gpu and about.memory.vram_gib is None
    if is_unnamed and not about.are_gpus_known:
        raise bad_name("unnamed_gpu", rest.text)
    _refuse_many(about.cards, rest)
    if "arm" in rest.words and not about.is_processor_told:
        raise bad_name("arm", rest.text)
    if about.cards or about.is_processor_told:
        for word in rest.free_words:
            # as in `2x dgx spark`
            if 1 < (count_in(word) or 0) <= _MOST_COMPUTERS:
                raise bad_name("count", rest.text, count=word)
    _refuse_unclear_count(about)


def _refuse_many(cards: Sequence[NamedCards], phrase: Phrase) -> None:
    """Refuse a number of cards above the most that are judged, typed as `1000x` or as the sum of
    several names.
    """
    if not cards:
        return
    count = len(joined(cards).accelerators)
    # in a description four digits belong to a processor: `5800 x`
    shape = _LARGE_COUNT
    if phrase.is_of_gpus:
        shape = _ANY_COUNT
    # `x570` is the chipset of a board
    left = [word for word in phrase.free_words if word not in vocabulary().idle]
    typed = shape.search(" ".join(left))
    if typed is not None:
        count = int(typed[0].strip("x "))
    if count > MOST_CARDS:
        raise bad_name("many_gpus", phrase.text, count=count, most=MOST_CARDS)
    if not all(named.accelerators for named in cards):
        raise bad_name("zero_gpus", phrase.text)


def _refuse_unclear_count(about: Description) -> None:
    """Refuse what stands as a count and is none that is read: `1000x`, `1.5x`, `65 rtx 4090`. One
    GPU or one computer in its place would be another machine.
    """
    phrase = about.rest
    idle = vocabulary().idle
    first = phrase.free_word(0)
    if _FIRST_COUNT.fullmatch(first) and first not in idle:
        is_bare = not first.endswith("x")
        before_card = bool(about.cards) and _is_claimed(phrase, 1)
        if not is_bare or (before_card and not _YEAR.fullmatch(first)):
            raise bad_name("unclear_count", phrase.text, count=first, most=MOST_CARDS)
    if not about.cards:
        return
    for at, word in phrase.free.items():
        if word in idle or not _UNCLEAR_COUNT.fullmatch(word):
            continue
        # `x 1000` behind a card, and `1000 x` before one; `5800 x` is a processor's name
        has_x = "x" in word or phrase.free_word(at - 1) == "x"
        if phrase.free_word(at + 1) == "x" and _is_claimed(phrase, at + 2):
            has_x = True
        if has_x:
            raise bad_name("unclear_count", phrase.text, count=word, most=MOST_CARDS)


def _is_claimed(phrase: Phrase, at: int) -> bool:
    """Whether the word at that place, behind makers and other fillers, is part of a name."""
    fillers = vocabulary().gpu_idle.union(cpus.MAKERS)
    while phrase.free_word(at) in fillers:
        at += 1
    word = phrase.word(at)
    if at in phrase.free or word in ("", BREAK):
        return False
    return not is_size(word)


def find_setting(phrase: Phrase, *, is_product: bool) -> Setting:
    """Claim the words for the system, guests, containers, lines of computers, laptops, and the lack
    of a GPU.

    Raises `UnknownMachineError` for phones, for chips that no runtime uses, and for clusters.
    """
    words = vocabulary()
    lines = words.laptops | words.lines
    telling = lines.union(words.systems, words.containers, words.guests, _NO_CARD)
    system = None
    is_wsl = False
    places = []
    for at, word in phrase.free.items():
        if word in telling:
            places.append(at)
        if word in words.systems:
            system = words.systems[word]
            if word.startswith("wsl"):
                is_wsl = True
        # these computers have four-digit models like GPUs: `vostro 3070`
        number = phrase.free_word(at + 1)
        if word in words.numbered and fits(r"\d{4}", number):
            places.append(at + 1)
    scope = "host"
    if phrase.has_free(words.containers):
        # whatever it runs in
        scope = "container"
    elif phrase.has_free(words.guests):
        scope = "vm"
    is_line = phrase.has_free(lines) and not is_product
    setting = Setting(
        system=system,
        scope=scope,
        is_wsl=is_wsl,
        is_laptop=phrase.has_free(words.laptops | _LAPTOPS),
        is_line=is_line,
        has_no_card=phrase.has_free(_NO_CARD),
        has_no_gpu="nogpu" in phrase.free_words,
    )
    phrase.claim(*places)
    _refuse("chips", words.chips, phrase)
    _refuse("clusters", words.clusters, phrase)
    # `galaxy book` is no phone
    if not is_line and not is_product:
        _refuse("phones", words.phones, phrase)
    return setting


def _refuse(
    kind: str,
    names: frozenset[str],
    phrase: Phrase,
) -> None:
    """Raise `UnknownMachineError` for the last free word that is one of these names."""
    for word in reversed(phrase.free_words):
        if word in names:
            raise bad_name(kind, phrase.text, word=word)


def find_mac(phrase: Phrase) -> cpus.Chip | None:
    """Claim a Mac by its chip or its name, `m2 pro`, `mac mini`, and return its chip; None where
    the words name no Mac.

    Raises `UnknownMachineError` for an unknown Mac, and for a name of several.
    """
    words = vocabulary()
    is_mac = phrase.has_free(words.macs)
    places = _chip_places(phrase)
    if places and not is_mac and _is_slot(phrase, places):
        return None
    if places:
        name = " ".join([phrase.free[at] for at in places])
        chips = [chip for chip in cpus.mac_chips() if chip.words == f"apple {name}"]
    elif is_mac:
        chips = _chips_of_macs(phrase)
    else:
        return None
    near = [chip.words.removeprefix("apple ") for chip in chips]
    if not places and _has_form_of_intel(phrase):
        near.append("intel")
    if len(near) > 1:
        year = _years_of_macs(phrase)
        raise bad_name("macs", phrase.text, near, count=len(near), year=year)
    if not chips:
        if is_mac or phrase.has_free(_OF_APPLE):
            raise bad_name("mac", phrase.text)
        return None
    for at, word in phrase.free.items():
        if fits(words.shape.mac, word):
            places.append(at)
    phrase.claim(*places)
    return chips[0]


def _chip_places(phrase: Phrase) -> list[int]:
    """The places of the first Apple chip: `m2`, and perhaps `pro` behind it."""
    words = vocabulary()
    for at, word in phrase.free.items():
        if not fits(words.shape.chip, word):
            continue
        if phrase.word(at - 1) in words.not_apple:
            continue
        if phrase.free_word(at + 1) in _FORMS_OF_CHIP:
            return [at, at + 1]
        return [at]
    return []


def _is_slot(phrase: Phrase, places: Sequence[int]) -> bool:
    """Whether the words of a chip are the slot of a disk, as in `i7-8700 512gb m2 ssd`: the text
    names another processor or a card, and no word is Apple's.
    """
    chip = [phrase.word(at) for at in places]
    if not vocabulary().slots.issuperset(chip) or phrase.has_free(_OF_APPLE):
        return False
    rest = phrase.copy()
    rest.claim(*places)
    if find_processor(rest) is not None or find_number(rest, beside_gpu=False):
        return True
    return not all(cards.is_unified for cards in find_cards(rest))


def _chips_of_macs(phrase: Phrase) -> list[cpus.Chip]:
    """The chips of the Macs that are sold under a name which the free words hold, in the year and
    with the RAM that the words state. A size with which no such Mac is sold is left aside.
    """
    words = frozenset(phrase.free_words)
    years = _years_of_macs(phrase)
    chips = {}
    for chip, mac in cpus.mac_chips().items():
        for name, sold_in in mac.sold_as.items():
            if not words.issuperset(name.split()):
                continue
            if not years or years.intersection(sold_in):
                chips[chip] = mac
    ram_gib = find_memory(phrase.copy(), None, has_chip=True).ram_gib
    with_ram = [chip for chip, mac in chips.items() if ram_gib in mac.gib]
    return with_ram or list(chips)


def _years_of_macs(phrase: Phrase) -> set[int]:
    """The years that the free words state."""
    return {int(word) for word in phrase.free_words if _YEAR.fullmatch(word)}


def _has_form_of_intel(phrase: Phrase) -> bool:
    """Whether a Mac of that name and year is sold with a processor of Intel's, too."""
    product = find_product([*phrase.words, "intel"], phrase.text)
    return product is not None and product.system == "macos"


class _Sizes(NamedTuple):
    """The sizes in GiB that a text names: of RAM, of a GPU's memory, and plain sizes, beside which
    no word says what they are. `disks` are those that are taken for disks and may be the RAM's:
    plain sizes in TB, and small ones that are called a disk's.
    """

    ram: list[float]
    vram: list[float]
    plain: list[float]
    disks: list[float]

    def add(self, size: re.Match[str], *, is_server: bool) -> None:
        """Add a size of the text. A plain `1tb` is a disk's unless the processor is a server's."""
        number, unit, kind = size.groups()
        gib = float(number)
        if unit == "tb":
            gib *= 1024
        if kind == "ram":
            self.ram.append(gib)
        elif kind == "vram":
            self.vram.append(gib)
        elif not kind and (is_server or unit == "gb"):
            self.plain.append(gib)
        elif not kind or gib < _LEAST_DISK_GIB:
            self.disks.append(gib)

    def plain_but_disks(self, processor: str) -> set[float]:
        """The plain sizes that can be the RAM's: 16 of `ryzen 5600x 16gb 512gb`. A large size can
        be, if the class of the processor takes as much RAM.
        """
        sizes = set(self.plain)
        most_gib = cpus.class_of(processor).most_gib or 0
        if most_gib > _MOST_GIB_OF_CLIENTS:
            return sizes
        return {gib for gib in sizes if gib < _LEAST_DISK_GIB}


def find_memory(
    phrase: Phrase,
    processor: str | None,
    *,
    has_chip: bool,
) -> FoundMemory:
    """Claim the memory, and the numbers of cores and rates. The RAM is the size that is called RAM,
    else the smallest plain size. A plain size below the RAM's stays free: it is of something else.

    Raises `UnknownMachineError` where two sizes can be the RAM's, and for an unknown kind of RAM.
    """
    sizes = _Sizes([], [], [], [])
    numbers = {}
    places = []
    ram_kind = None
    is_server = cpus.is_server(processor or "")
    for at, word in phrase.free.items():
        if _KIND_OF_RAM.fullmatch(word):
            kinds = cpus.ram_rates()
            if word not in kinds:
                raise bad_name("kind_of_ram", phrase.text, kinds, word=word)
            ram_kind = word
        elif modules := MODULES.fullmatch(word):
            sticks = int(modules[1])
            numbers["sticks"] = sticks
            gib = sticks * int(modules[2])
            sizes.ram.append(float(gib))
        elif size := SIZE.fullmatch(word):
            sizes.add(size, is_server=is_server)
        elif number := NUMBERED.fullmatch(word):
            name = "cores" if number[2] == "cpus" else number[2]
            numbers[name] = int(number[1])
        elif word not in vocabulary().of_sizes:
            continue
        places.append(at)
    plain = sizes.plain_but_disks(processor or "")
    if sizes.ram:
        # in `2x 16gb v100 64gb`, 2x may count modules or GPUs
        is_unclear = "sticks" in numbers or "or" in phrase.words
        ram_gib: float | None = max(sizes.ram)
        if min(sizes.ram) < _LEAST_OF_SIZE * max(sizes.ram):
            raise _two_sizes(phrase, set(sizes.ram))
        smaller = {f"{gib:g}gb" for gib in sizes.plain if gib < max(sizes.ram)}
        places = [at for at in places if phrase.word(at) not in smaller]
        if is_unclear and plain and ram_gib not in plain:
            raise _two_sizes(phrase, plain.union(sizes.ram))
    else:
        # disks are larger than the RAM
        ram_gib = min(sizes.plain, default=None)
        if len(plain) > 1 and not has_chip:
            raise _two_sizes(phrase, plain)
    phrase.claim(*places)
    return FoundMemory(
        ram_gib=ram_gib,
        vram_gib=max(sizes.vram, default=None),
        disk_gib=min(sizes.disks, default=None),
        ram_kind=ram_kind,
        numbers=numbers,
    )


def _two_sizes(phrase: Phrase, sizes: set[float]) -> Exception:
    """The error for several sizes, each of which can be the RAM's."""
    listed = [f"{size:g} GB" for size in sorted(sizes)]
    return bad_name("two_sizes", phrase.text, sizes=listed, largest=f"{max(sizes):g}")


def find_maker(phrase: Phrase) -> FoundMaker:
    """Claim the words about a GPU without a name, whose memory and perhaps maker are told: `amd gpu
    16gb`.
    """
    maker = None
    places = []
    for at, word in phrase.free.items():
        vendor = gpus.vendor_of(word)
        if vendor != gpus.UNKNOWN:
            if maker is None:
                maker = vendor
        elif word not in vocabulary().gpu_words:
            continue
        places.append(at)
    says_gpu = gpus.maker_called(maker).only_gpus or phrase.has_free(_SAYS_GPU)
    phrase.claim(*places)
    return FoundMaker(maker, says_gpu)
