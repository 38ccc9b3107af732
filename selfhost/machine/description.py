"""The things that a description of a machine tells: a product, a processor, GPUs, memory, cores, a
system.

What goes in: a text. What comes out: a complete `Description`. The text is split into words once
(`phrases.Phrase`), and each thing claims the words that tell it. The names come first, then the
sizes and counts that stand beside them. A fact that the text tells twice, with two values, is
refused, as is a number that stands beside nothing it can count. Nothing is guessed here:
`described` fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.records import Record, shortened
from . import cpus, gpus
from .cards import (
    MOST_CARDS,
    NamedCards,
    joined,
    not_sold_so,
    sizes_of,
    unknown_gpu,
)
from .gazetteer import NamedGpu, names_in
from .graphics import cards_of, chosen_cards
from .macs import find_chip
from .memory import StatedMemory, find_memory
from .phrases import Phrase
from .processors import find_processor, is_for_laptops
from .products import Product, find_product
from .quantities import quantity_in
from .words import (
    BREAK,
    UnknownGpuError,
    UnknownMachineError,
    bad_name,
    fits,
    vocabulary,
)

# with a unit behind it: a bare number may be that of a series
_WITHOUT_END = re.compile(r"\d{13,}[a-z]")
_NO_CARD = frozenset(("nogpu", "nocard"))
_LAPTOPS = frozenset(("laptop", "netbook"))
_SAYS_GPU = frozenset(("gpu", "vram", "dgpu"))
# may stand between a GPU's name and a word about its number
_BEFORE_A_CARD = frozenset(("a", "an", "any", "of", "the", "my", "used"))
_YEAR = re.compile(r"20\d\d", re.ASCII)
# the words for processors, the most reliable first
_WORDS_OF_CORES = ("vcpus", "threads", "cores")
_MOST_WORDS = 80
_MOST_LETTERS = 200
# a larger number is no count of computers: `32x` ends a processor's name
_MOST_COMPUTERS = 16
# a size behind the name of a GPU that is at most this share of the memory of the GPU is not taken
# for the RAM of its computer (assumed: such computers are rare)
_LITTLE_RAM_SHARE = 0.5


class Setting(Record):
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


class Description(Record):
    """The parts of a machine that a text names. A part that the text does not name is None or
    empty.

    `product` is a row of products.toml. `chip` is an Apple chip, which no other processor or GPU
    stands beside. `left_out` has the GPU in the processor where the text names `cards` beside it.
    `says_gpu`: a word says that there is a GPU, and `maker` is that of a GPU without a name.
    `phrase` has all words of the text; those that tell nothing are free.
    """

    product: Product | None
    setting: Setting
    chip: cpus.Chip | None
    processor: str | None
    is_laptop: bool
    cards: Sequence[NamedCards]
    left_out: Sequence[NamedCards]
    memory: StatedMemory
    says_gpu: bool
    maker: str | None
    phrase: Phrase

    @property
    def text(self) -> str:
        """The whole text as it was typed."""
        return self.phrase.text

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
    def stated_cores(self) -> int:
        """The number of processors, by the surest word that states it; 0 where none does."""
        for word in _WORDS_OF_CORES:
            if word in self.memory.numbers:
                return self.memory.numbers[word]
        return 0

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
        named = (self.product, self.chip, self.processor)
        return any(part is not None for part in named)

    @property
    def are_gpus_known(self) -> bool:
        """Whether all GPUs are named, or come with the product or the chip, or there are none."""
        if self.cards or self.setting.has_no_card or self.chip is not None:
            return True
        return self.product is not None and self.product.shared is not None

    @property
    def ignored(self) -> Sequence[str]:
        """The words that mean nothing here and are no fillers."""
        words = vocabulary()
        fillers = words.idle.union(words.gpu_idle, words.computers, cpus.MAKERS)
        ignored = []
        for word in self.phrase.free_words:
            if word in fillers or fits(words.shape.nothing, word):
                continue
            ignored.append(word)
        return ignored


def read_description(text: str) -> Description:
    """Read the description in a text. Raises `UnknownMachineError` where the text names two things,
    or a thing that is not known.
    """
    zero = re.search(vocabulary().shape.zero, text.lower(), re.ASCII)
    if zero is not None:
        raise bad_name("zero", text, size=repr(zero[0].strip()))
    try:
        phrase = _phrase_of(text.strip())
        if not 0 < len(phrase.words) <= _MOST_WORDS:
            raise bad_name("long", text)
        return _described_by(phrase)
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{shortened(text)!r}: {error}", nearest=error.nearest, remedy=error.remedy
        ) from None


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
    phrase = _phrase_of(text, is_of_gpus=True)
    gpus_named = names_in(phrase).gpus
    cards = cards_of(phrase, gpus_named)
    _refuse_counts(phrase, gpus_named, cards)
    ignored = vocabulary().gpu_idle | {"and"}
    left = [word for word in phrase.free_words if word not in ignored]
    if not all(map(quantity_in, left)):
        raise unknown_gpu([word for word in phrase.words if word != BREAK])
    if left or not cards:
        raise bad_name("no_gpu_name", text)
    together = joined(cards)
    memory_source = gpus.source_called("memory")
    origin = f'--gpu "{typed}"; memory from {memory_source}'
    return together.replace(source=f"{origin}; {together.source}")


def _phrase_of(text: str, *, is_of_gpus: bool = False) -> Phrase:
    """The words of a text. Raises `UnknownGpuError` for a number that cannot be read, and for a
    part of a GPU: an instance of MIG, a vGPU.

    A number is without end, below zero, or in other digits than 0 to 9. To leave it out would judge
    another machine.
    """
    shape = vocabulary().shape
    number = re.search(shape.no_number, text.lower())
    if number is not None:
        raise _no_number(text, number[0])
    part = re.search(shape.gpu_part, text, re.ASCII)
    if part is not None:
        # the first size belongs to an instance of MIG, the second to a vGPU
        typed, mig_gib, vgpu_gib = part.group(0, 1, 2)
        gib = int(mig_gib or vgpu_gib)
        name = f"MIG {typed}" if mig_gib else typed
        raise bad_name("gpu_part", typed, gib=gib, name=shortened(name))
    if is_of_gpus:
        text = re.sub("[()]", " ", text)
    phrase = Phrase(text, is_of_gpus=is_of_gpus)
    for word in phrase.words:
        # between the digits stood what a spelling leaves out
        if _WITHOUT_END.search(word):
            raise _no_number(text, word)
    return phrase


def _no_number(text: str, word: str) -> Exception:
    """The error for a number in a text that cannot be read."""
    typed = shortened(word, 40)
    return bad_name("no_number", text, word=repr(typed))


def _described_by(phrase: Phrase) -> Description:
    """The description that a text makes. Raises an error where it contradicts itself.

    The order matters, for each step claims words.
    """
    product = find_product(phrase)
    setting = find_setting(phrase, is_product=product is not None)
    line = "" if product is None else product.line
    names = names_in(phrase, line)
    chip = None
    if product is None:
        chip = find_chip(phrase, names)
    if chip is not None:
        setting = _with_chip(phrase, setting)
    processor = find_processor(phrase, names, chip)
    is_laptop = setting.is_laptop
    gpus_named = names.gpus
    if processor is not None:
        is_laptop = is_laptop or is_for_laptops(phrase, processor.name)
        # a number that a GPU has, too, is the processor's alone
        gpus_named = [gpu for gpu in names.gpus if gpu.run != processor.run]
    all_cards = cards_of(
        phrase,
        gpus_named,
        has_processor=processor is not None,
        is_laptop=is_laptop,
        says_laptop=setting.is_laptop,
    )
    cards = chosen_cards(phrase, all_cards, has_no_gpu=setting.has_no_gpu)
    processor_name = None if processor is None else processor.name
    memory = find_memory(phrase, processor_name)
    # read before `_maker` claims the word
    says_gpu = phrase.has_free(_SAYS_GPU)
    description = Description(
        product=product,
        setting=setting,
        chip=chip,
        processor=processor_name,
        is_laptop=is_laptop,
        cards=cards,
        left_out=[left for left in all_cards if left not in cards],
        memory=memory,
        says_gpu=says_gpu,
        maker=_maker(phrase),
        phrase=phrase,
    )
    _refuse_gaps(description)
    _refuse_changed_gpus(phrase, gpus_named)
    _refuse_counts(phrase, gpus_named, cards)
    _refuse_little_ram(description, gpus_named)
    return description


# the machine as a whole


def find_setting(phrase: Phrase, *, is_product: bool) -> Setting:
    """Claim the words for the system, guests, containers, lines of computers and the lack of a GPU.
    The word `laptop` tells, too, and stays free.

    Raises `UnknownMachineError` for phones, for chips that no runtime uses, for clusters, and for
    two systems of one host.
    """
    words = vocabulary()
    lines = words.laptops | words.lines
    telling = lines.union(
        words.systems,
        words.containers,
        words.guests,
        _NO_CARD,
    )
    places = []
    for at, word in phrase.free.items():
        if word in telling:
            places.append(at)
        next_word = phrase.free_word(at + 1)
        # these computers have four-digit models like GPUs: `vostro 3070`
        if word in words.numbered and fits(r"\d{4}", next_word):
            places.append(at + 1)
    scope = "host"
    if phrase.has_free(words.containers):
        # whatever it runs in
        scope = "container"
    elif phrase.has_free(words.guests):
        scope = "vm"
    system = _system(phrase, scope)
    is_wsl = any(word.startswith("wsl") for word in phrase.free_words)
    if is_wsl:
        system = "linux"
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
    refused = {"chips": words.chips, "clusters": words.clusters}
    # `galaxy book` is no phone
    if not is_line and not is_product:
        refused["phones"] = words.phones
    for kind, names in refused.items():
        for word in phrase.free_words:
            if word in names:
                raise bad_name(kind, phrase.text, word=word)
    return setting


def _with_chip(phrase: Phrase, setting: Setting) -> Setting:
    """The setting of a Mac with an Apple chip: no guest of another system has the GPU in the chip.

    Raises `UnknownMachineError` for Windows on such a Mac.
    """
    if setting.scope != "host":
        return setting.replace(has_no_gpu=True)
    if setting.system == "windows":
        raise phrase.error("mac_windows")
    return setting


def _system(phrase: Phrase, scope: str) -> str | None:
    """The system that the free words name: of a guest the last, as in `proxmox, windows vm`; None
    where they name none.

    Raises `UnknownMachineError` for two systems of one host.
    """
    known = vocabulary().systems
    named = [known[word] for word in phrase.free_words if word in known]
    if not named:
        return None
    systems = list(dict.fromkeys(named))
    if len(systems) > 1 and scope == "host":
        raise phrase.error("two_systems", systems, first=systems[0])
    return named[-1]


def _maker(phrase: Phrase) -> str | None:
    """Claim the words about a GPU without a name, and return its maker: the first that is named, or
    None.
    """
    makers = []
    for at, word in list(phrase.free.items()):
        vendor = gpus.vendor_of(word)
        if vendor != gpus.UNKNOWN:
            makers.append(vendor)
            phrase.claim(at)
        elif word in vocabulary().gpu_words:
            phrase.claim(at)
    return makers[0] if makers else None


# what is refused when all is read


def _refuse_gaps(about: Description) -> None:
    """Refuse a GPU of which nothing is told, an Arm processor without a name, and the GPUs of a
    desktop and of a laptop together.
    """
    words = about.phrase.words
    is_desktop_and_laptop = "desktop" in words and "laptop" in words
    if is_desktop_and_laptop and len(about.cards) > 1:
        raise bad_name("clusters", about.text, word="a desktop and a laptop")
    maker = gpus.maker_called(about.maker)
    says_gpu = about.says_gpu or maker.only_gpus
    is_told = about.are_gpus_known or about.memory.vram_gib is not None
    if says_gpu and not is_told:
        raise bad_name("unnamed_gpu", about.text)
    if "arm" in words and not about.is_processor_told:
        raise bad_name("arm", about.text)


def _refuse_changed_gpus(phrase: Phrase, gpus_named: Sequence[NamedGpu]) -> None:
    """Refuse a word beside a GPU that changes which GPUs there are: `no rtx 3090`, `several 3090`,
    `rtx 4090 ti`, and `amd a10`, which is a processor. The GPU without that word would be that of
    another machine.
    """
    words = vocabulary()
    for gpu in gpus_named:
        name = gpu.run.words
        card = gpu.rows[0].label
        before = _word_before(phrase, gpu)
        if before in words.denied:
            raise phrase.error("denied_gpu", card=card)
        if before in words.vague:
            raise phrase.error("vague_count", word=before, card=card, most=MOST_CARDS)
        if len(name) == 1 and _is_another_maker(before, gpu):
            raise unknown_gpu([before, *name])
        suffix = phrase.free_word(gpu.run.end)
        if suffix in words.suffixes:
            raise unknown_gpu([*name, suffix])


def _refuse_little_ram(about: Description, gpus_named: Sequence[NamedGpu]) -> None:
    """Refuse a plain size behind a GPU that is not sold with it, where a computer of so little RAM
    would be rare: `h100 40gb`. The size is most likely that of a GPU which does not exist.
    """
    ram_gib = about.memory.ram_gib
    if about.is_processor_told:
        return
    if about.memory.ram_kind is not None:
        return
    for gpu in gpus_named:
        run = about.phrase.with_fillers(gpu.run)
        beside_gib = _plain_gib(about.phrase.word(run.end))
        if beside_gib is None:
            continue
        if beside_gib != ram_gib:
            # the size is that of the GPU
            continue
        # a GPU inside a processor is sold with no size
        least_gib = min(sizes_of(gpu.rows), default=0.0)
        if beside_gib <= _LITTLE_RAM_SHARE * least_gib:
            raise not_sold_so(gpu.rows, beside_gib, may_be_ram=True)


def _plain_gib(word: str) -> float | None:
    """The GiB of a size that no word calls RAM, GPU memory or a disk; None for any other word."""
    size = quantity_in(word)
    if size is None:
        return None
    if not size.is_size:
        return None
    return None if size.of else size.gib


def _word_before(phrase: Phrase, gpu: NamedGpu) -> str:
    """The last word before the name of a GPU that tells something; empty where none does."""
    for word in reversed(phrase.words[: gpu.run.start]):
        if word not in _BEFORE_A_CARD:
            return word
    return ""


def _is_another_maker(word: str, gpu: NamedGpu) -> bool:
    """Whether a word names a maker, and not that of the GPU."""
    maker = gpus.vendor_of(word)
    own_maker = gpus.vendor_of(gpu.rows[0].name)
    return maker not in (gpus.UNKNOWN, own_maker)


def _refuse_counts(
    phrase: Phrase,
    gpus_named: Sequence[NamedGpu],
    cards: Sequence[NamedCards],
) -> None:
    """Refuse zero cards and more than are judged, and a count that counts nothing: `2x dgx spark`,
    `1.5x rtx 4090`, `65 rtx 4090`. One computer or one GPU in its place would be another machine.
    """
    if not all(named.accelerators for named in cards):
        raise phrase.error("zero_gpus")
    counts = _counts_of_nothing(phrase)
    _refuse_too_many(phrase, cards, counts)
    if phrase.is_of_gpus:
        # `cards_named` refuses whatever word is left
        return
    unclear = []
    for at, number in counts.items():
        # of a text without cards `32x` may end a processor's name, and `x1` that of a laptop
        if cards or at == 0 or 1 < number <= _MOST_COMPUTERS:
            unclear.append(phrase.word(at))
    if _begins_with_a_number(phrase, gpus_named):
        unclear.append(phrase.word(0))
    if unclear:
        raise phrase.error("unclear_count", count=unclear[0], most=MOST_CARDS)


def _refuse_too_many(
    phrase: Phrase,
    cards: Sequence[NamedCards],
    counts: Mapping[int, float],
) -> None:
    """Refuse more cards than are judged: of those named, or by one of the counts of nothing."""
    numbers = [len(joined(cards).accelerators)]
    if cards:
        # a count above the limit is not claimed
        numbers += map(int, counts.values())
    if max(numbers) > MOST_CARDS:
        raise phrase.error("many_gpus", count=max(numbers), most=MOST_CARDS)


def _counts_of_nothing(phrase: Phrase) -> Mapping[int, float]:
    """The counts that no thing has claimed, by their places; `1x` means nothing."""
    counts = {}
    for at, quantity in phrase.quantities():
        if quantity.is_count and phrase.word(at) not in vocabulary().idle:
            counts[at] = quantity.number
    return counts


def _begins_with_a_number(phrase: Phrase, gpus_named: Sequence[NamedGpu]) -> bool:
    """Whether the text is a number before the name of a GPU, `65 rtx 4090`. A year may stand
    there.
    """
    first = phrase.free_word(0)
    if not first.isdecimal() or _YEAR.fullmatch(first):
        return False
    return any(gpu.run.start == 1 for gpu in gpus_named)
