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
from collections.abc import Sequence

from ..core.records import Record, shortened
from . import cpus, gpus
from .cards import MOST_CARDS, NamedCards, joined, unknown_gpu
from .gazetteer import Mention, kind_of_processor, names_in, numbers_of_processors
from .graphics import cards_of, chosen_cards
from .memory import StatedMemory, find_memory
from .phrases import Phrase
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
_OF_APPLE = frozenset(("apple", "air"))
# may stand between a GPU's name and a word about its number
_BEFORE_A_CARD = frozenset(("a", "an", "any", "of", "the", "my", "used"))
# words that make another chip of an Apple chip
_OF_CHIPS = frozenset(("pro", "max", "ultra"))
_YEAR = re.compile(r"20\d\d", re.ASCII)
# the words for processors, the most reliable first
_WORDS_OF_CORES = ("vcpus", "threads", "cores")
_MOST_WORDS = 80
_MOST_LETTERS = 200
# a larger number is no count of computers: `32x` ends a processor's name
_MOST_COMPUTERS = 16


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
        return any((self.product, self.chip, self.processor))

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
    mentions = names_in(phrase)
    cards = cards_of(phrase, mentions)
    _refuse_counts(phrase, mentions, cards)
    ignored = vocabulary().gpu_idle | {"and"}
    left = [word for word in phrase.free_words if word not in ignored]
    for word in left:
        if quantity_in(word) is None:
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
        raise bad_name("no_number", text, word=repr(shortened(number[0], 40)))
    part = re.search(shape.gpu_part, text, re.ASCII)
    if part is not None:
        # the first size belongs to an instance, the second to a vGPU
        typed, mig_gib, vgpu_gib = part.group(0, 1, 2)
        name = shortened(f"MIG {typed}" if mig_gib else typed)
        raise bad_name("gpu_part", typed, gib=int(mig_gib or vgpu_gib), name=name)
    if is_of_gpus:
        text = re.sub("[()]", " ", text)
    phrase = Phrase(text, is_of_gpus=is_of_gpus)
    for word in phrase.words:
        # between the digits stood what a spelling leaves out
        if _WITHOUT_END.search(word):
            raise bad_name("no_number", text, word=repr(shortened(word, 40)))
    return phrase


def _described_by(phrase: Phrase) -> Description:
    """The description that a text makes. Raises an error where it contradicts itself.

    The order matters: each step claims words, and `find_processor` takes numbers out of `mentions`.
    """
    product = find_product(phrase)
    setting = find_setting(phrase, is_product=product is not None)
    if product is None:
        mentions = names_in(phrase)
        chip = _mac(phrase, mentions, setting)
    else:
        mentions = names_in(phrase, product.line)
        chip = None
    if chip is not None and setting.scope != "host":
        # no guest of another system has the GPU in the chip
        setting = setting.replace(has_no_gpu=True)
    processor = find_processor(phrase, mentions, has_chip=chip is not None)
    is_laptop = setting.is_laptop or _is_for_laptops(phrase, processor)
    named = cards_of(
        phrase,
        mentions,
        has_processor=processor is not None,
        is_laptop=is_laptop,
        says_laptop=setting.is_laptop,
    )
    cards = chosen_cards(phrase, named, has_no_gpu=setting.has_no_gpu)
    memory = find_memory(phrase, processor, has_chip=chip is not None)
    # read before `_maker` claims the word
    says_gpu = phrase.has_free(_SAYS_GPU)
    description = Description(
        product=product,
        setting=setting,
        chip=chip,
        processor=processor,
        is_laptop=is_laptop,
        cards=cards,
        left_out=[left for left in named if left not in cards],
        memory=memory,
        says_gpu=says_gpu,
        maker=_maker(phrase),
        phrase=phrase,
    )
    _refuse_gaps(description)
    _refuse_changed_cards(phrase, mentions)
    _refuse_counts(phrase, mentions, cards)
    return description


# the machine as a whole


def find_setting(phrase: Phrase, *, is_product: bool) -> Setting:
    """Claim the words for the system, guests, containers, lines of computers, laptops, and the lack
    of a GPU.

    Raises `UnknownMachineError` for phones, for chips that no runtime uses, for clusters, and for
    two systems of one host.
    """
    words = vocabulary()
    lines = words.laptops | words.lines
    telling = lines.union(words.systems, words.containers, words.guests, _NO_CARD)
    places = []
    for at, word in phrase.free.items():
        if word in telling:
            places.append(at)
        # these computers have four-digit models like GPUs: `vostro 3070`
        if word in words.numbered and fits(r"\d{4}", phrase.free_word(at + 1)):
            places.append(at + 1)
    scope = "host"
    if phrase.has_free(words.containers):
        # whatever it runs in
        scope = "container"
    elif phrase.has_free(words.guests):
        scope = "vm"
    is_wsl = any(word.startswith("wsl") for word in phrase.free_words)
    is_line = phrase.has_free(lines) and not is_product
    setting = Setting(
        system="linux" if is_wsl else _system(phrase, scope),
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


def _system(phrase: Phrase, scope: str) -> str | None:
    """The system that the free words name: of a guest the last, as in `proxmox, windows vm`; None
    where they name none.

    Raises `UnknownMachineError` for two systems of one host.
    """
    known = vocabulary().systems
    named = [known[word] for word in phrase.free_words if word in known]
    systems = list(dict.fromkeys(named))
    if len(systems) > 1 and scope == "host":
        raise bad_name("two_systems", phrase.text, systems, first=systems[0])
    return named[-1] if named else None


def _mac(
    phrase: Phrase,
    mentions: Sequence[Mention],
    setting: Setting,
) -> cpus.Chip | None:
    """The Apple chip of the Mac that a text names by its chip, `m2 pro`, or by its name and year,
    `mac mini 2023`; None where the text names no Mac. The words of a Mac's name are claimed.

    Raises `UnknownMachineError` for an unknown Mac, for a name of several, and for Windows on such
    a Mac.
    """
    words = vocabulary()
    named = [mention for mention in mentions if mention.chip is not None]
    is_mac = phrase.has_free(words.macs)
    chip = None
    if named:
        chip = named[0].chip
    elif is_mac:
        chip = _chip_of_mac(phrase)
    if chip is None:
        if is_mac or _names_a_chip_of_apple(phrase):
            raise bad_name("mac", phrase.text)
        return None
    if setting.system == "windows" and setting.scope == "host":
        raise bad_name("mac_windows", phrase.text)
    for mention in named:
        # `m4 ultra`, which nobody sold
        if phrase.free_word(mention.run.end) in _OF_CHIPS:
            raise bad_name("mac", phrase.text)
    for at, word in list(phrase.free.items()):
        if fits(words.shape.mac, word):
            phrase.claim(at)
    return chip


def _names_a_chip_of_apple(phrase: Phrase) -> bool:
    """Whether a word has the shape of a chip, and another says that it is Apple's."""
    shape = vocabulary().shape.chip
    if not phrase.has_free(_OF_APPLE):
        return False
    return any(fits(shape, word) for word in phrase.free_words)


def _chip_of_mac(phrase: Phrase) -> cpus.Chip | None:
    """The chip of the Mac that the free words name, None for an unknown Mac. Raises
    `UnknownMachineError` where such a Mac is sold with several processors.
    """
    chips = _chips_of_macs(phrase)
    near = [chip.words.removeprefix("apple ") for chip in chips]
    # a Mac of that name and year may be sold with a processor of Intel's, too
    intel = find_product(Phrase(f"{phrase.text} intel"))
    if intel is not None and intel.system == "macos":
        near.append("intel")
    if len(near) > 1:
        year = _years_of_macs(phrase)
        raise bad_name("macs", phrase.text, near, count=len(near), year=year)
    return chips[0] if chips else None


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
    sizes = {size.gib for _, size in phrase.quantities() if size.is_size}
    with_ram = [chip for chip, mac in chips.items() if sizes.intersection(mac.gib)]
    return with_ram or list(chips)


def _years_of_macs(phrase: Phrase) -> set[int]:
    """The years that the free words state."""
    return {int(word) for word in phrase.free_words if _YEAR.fullmatch(word)}


# the processor


def find_processor(
    phrase: Phrase,
    mentions: list[Mention],
    *,
    has_chip: bool,
) -> str | None:
    """The name of the processor, `2x epyc 7742` for two; None where the text names none. A number
    that names the processor is taken out of the mentions of GPUs.

    Raises `UnknownMachineError` where the text names two processors, and for a number of several.
    """
    named = [mention for mention in mentions if mention.processor is not None]
    for other in named[1:]:
        is_same = other.run.words[-1] in named[0].run.words
        if len(other.run.words) > 1 and not is_same:
            raise _two_processors(phrase, named[0].run.name, other.run.name)
    if has_chip:
        if named:
            chip = next(mention for mention in mentions if mention.chip is not None)
            raise _two_processors(phrase, named[0].run.name, chip.run.name)
        return None
    found = named[0] if named else _by_number(phrase, mentions)
    if found is None or found.processor is None:
        return None
    phrase.claim(*found.run.places)
    name = found.processor
    if cpus.is_server(name) or cpus.series_called(name) is None:
        count = phrase.claim_count(found.run)
        if count > 1:
            name = f"{count}x {name}"
    return name


def _two_processors(
    phrase: Phrase,
    first: str,
    second: str,
) -> Exception:
    return bad_name("two_processors", phrase.text, first=first, second=second)


def _by_number(phrase: Phrase, mentions: list[Mention]) -> Mention | None:
    """The processor that a bare number names, else the named kind of processor.

    A number that no GPU has is a processor's. Beside a GPU, so is a number that a GPU has, too:
    `5600` of `3060 5600`.
    """
    found = list(numbers_of_processors(phrase, beside_gpu=False))
    has_gpu = any(mention.gpus for mention in mentions)
    if not found:
        found = _numbers_of_either(phrase, mentions)
    if not found:
        found = list(numbers_of_processors(phrase, beside_gpu=has_gpu))
    if len(found) > 1:
        names = [mention.processor or "" for mention in found]
        raise _two_readings(phrase, found[0].run.name, names)
    if found:
        return found[0]
    return kind_of_processor(phrase)


def _numbers_of_either(phrase: Phrase, mentions: list[Mention]) -> list[Mention]:
    """The processor of a number that a GPU has, too, beside another GPU. The number is taken out of
    the mentions, where it stood as a GPU.

    Raises `UnknownMachineError` where the number can be the processor's or the only GPU's.
    """
    for mention in mentions:
        number = mention.run.name
        names = cpus.names_of_number(number, beside_gpu=True)
        if not mention.gpus or not number.isdecimal() or not names:
            continue
        others = [other for other in mentions if other.gpus and other is not mention]
        if not others or len(names) > 1:
            readings = [*names, mention.gpus[0].label.lower()]
            raise _two_readings(phrase, number, readings)
        mentions.remove(mention)
        return [Mention(run=mention.run, processor=names[0])]
    return []


def _two_readings(
    phrase: Phrase,
    word: str,
    readings: Sequence[str],
) -> Exception:
    """The error for a word that can mean several things."""
    typed = phrase.text.lower()
    texts = [f"--machine '{typed.replace(word, one, 1)}'" for one in readings]
    return bad_name("two_readings", phrase.text, readings, word=word, whole=texts)


def _is_for_laptops(phrase: Phrase, processor: str | None) -> bool:
    """Whether only laptops have the processor, as far as the description tells."""
    if processor is None or cpus.is_server(processor):
        return False
    if phrase.says(vocabulary().desktops):
        return False
    shape = vocabulary().shape.mobile
    return any(fits(shape, word) for word in processor.split())


def _maker(phrase: Phrase) -> str | None:
    """Claim the words about a GPU without a name, and return its maker."""
    maker = None
    places = []
    for at, word in phrase.free.items():
        vendor = gpus.vendor_of(word)
        if vendor != gpus.UNKNOWN:
            maker = maker or vendor
        elif word not in vocabulary().gpu_words:
            continue
        places.append(at)
    phrase.claim(*places)
    return maker


# what is refused when all is read


def _refuse_gaps(about: Description) -> None:
    """Refuse a GPU of which nothing is told, an Arm processor without a name, and the GPUs of a
    desktop and of a laptop together.
    """
    words = about.phrase.words
    if len(about.cards) > 1 and "desktop" in words and "laptop" in words:
        raise bad_name("clusters", about.text, word="a desktop and a laptop")
    says_gpu = about.says_gpu or gpus.maker_called(about.maker).only_gpus
    if says_gpu and about.memory.vram_gib is None and not about.are_gpus_known:
        raise bad_name("unnamed_gpu", about.text)
    if "arm" in words and not about.is_processor_told:
        raise bad_name("arm", about.text)


def _refuse_changed_cards(phrase: Phrase, mentions: Sequence[Mention]) -> None:
    """Refuse a word beside a GPU that changes which GPUs there are: `no rtx 3090`, `several 3090`,
    `rtx 4090 ti`, and `amd a10`, which is a processor. The GPU without that word would be that of
    another machine.
    """
    words = vocabulary()
    for mention in mentions:
        if not mention.gpus:
            continue
        card = mention.gpus[0].label
        before = _word_before(phrase, mention)
        if before in words.denied:
            raise bad_name("denied_gpu", phrase.text, card=card)
        if before in words.vague:
            raise bad_name(
                "vague_count", phrase.text, word=before, card=card, most=MOST_CARDS
            )
        if _is_of_another_maker(before, mention):
            raise unknown_gpu([before, *mention.run.words])
        suffix = phrase.free_word(mention.run.end)
        if suffix in words.suffixes:
            raise unknown_gpu([*mention.run.words, suffix])


def _word_before(phrase: Phrase, mention: Mention) -> str:
    """The last word before a name that tells something; empty where none does."""
    words = phrase.run(0, mention.run.start).words
    telling = [word for word in words if word not in _BEFORE_A_CARD]
    return telling[-1] if telling else ""


def _is_of_another_maker(word: str, mention: Mention) -> bool:
    """Whether a word names a maker, and the GPU behind it, named by one word, is another's."""
    if len(mention.run.words) > 1:
        return False
    maker = gpus.vendor_of(word)
    return maker not in (gpus.UNKNOWN, gpus.vendor_of(mention.gpus[0].name))


def _refuse_counts(
    phrase: Phrase,
    mentions: Sequence[Mention],
    cards: Sequence[NamedCards],
) -> None:
    """Refuse zero cards and more than are judged, and a count that counts nothing: `2x dgx spark`,
    `1.5x rtx 4090`. One computer or one GPU in its place would be another machine.
    """
    count = len(joined(cards).accelerators)
    if count > MOST_CARDS:
        raise bad_name("many_gpus", phrase.text, count=count, most=MOST_CARDS)
    if not all(named.accelerators for named in cards):
        raise bad_name("zero_gpus", phrase.text)
    cards_at = {mention.run.start for mention in mentions if mention.gpus}
    for at, word in phrase.free.items():
        if word in vocabulary().idle:
            continue
        typed = quantity_in(word)
        number = typed.number if typed is not None and typed.is_count else None
        if number is not None and cards and number > MOST_CARDS:
            count = int(number)
            raise bad_name("many_gpus", phrase.text, count=count, most=MOST_CARDS)
        if phrase.is_of_gpus:
            # `cards_named` refuses whatever word is left
            continue
        if number is None:
            # `65 rtx 4090`; a year may stand before a name
            is_number = word.isdecimal() and not _YEAR.fullmatch(word)
            is_unclear = at == 0 and 1 in cards_at and is_number
        else:
            # `32x` ends a processor's name, and `x1` that of a laptop
            is_of_computers = 1 < number <= _MOST_COMPUTERS
            is_unclear = bool(cards) or at == 0 or is_of_computers
        if is_unclear:
            raise bad_name("unclear_count", phrase.text, count=word, most=MOST_CARDS)
