"""The machine that a description means.

What goes in: a `Description`. What comes out: the machine and a note. The parts of a computer come
from several sources: first the description, then its product, then its processor. `_Computer` takes
each part from the first source that has it. A part that no source has is assumed, marked as assumed
in the machine, and named in the note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from ..core import units
from ..core.records import Record
from ..core.templates import fill
from ..core.units import words_of
from . import cpus, gpus
from .cards import NamedCards, joined
from .products import Product, mac_with
from .profiles import (
    MEMORY_FACTS,
    NotedMachine,
    planned_machine,
    profiles_with_cards,
    unknown_machine,
)
from .record import (
    BANDWIDTH,
    FILLED_ASSUMED,
    RATE_ASSUMED,
    Accelerator,
    FactValues,
    Machine,
)
from .understand import Description, cards_named
from .words import bad_name, has_digit, vocabulary

# stands for a computer that is no listed product
_NO_PRODUCT = Product(title="a machine", gib=(), source="")
_CORE_FACTS = ("cpu_cores_usable", "cpu_cores_physical")
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# the words for a guest's processors, the most reliable first
_GUEST_WORDS = ("vcpus", "threads", "cores")
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one processor and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
# assumed RAM: of 26 profiles whose GPUs hold more than 32 GiB, 24 have at least as much RAM as GPU
# memory; most desktops have 32 GiB
_USUAL_RAM_GIB = 32
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
# words for computers that usually run Windows
_PERSONAL_COMPUTERS = frozenset(("laptop", "netbook", "desktop", "pc"))
# memory for overclocking is sold up to a third faster than the fastest in the table (DDR5-8400
# against 6400, DDR4-4800 against 3600), and memory runs at half of the slowest at least
_LEAST_OF_SLOWEST = 0.5
_MOST_OF_FASTEST = 1.35
# the most that the rate of memory and the rate of the processor may differ: DDR3 of 1600 MT/s fits
# a processor for 1866, and DDR5 of 4800 fits no processor for DDR4 of 3600 (assumed)
_LARGEST_GAP = 1.2
_MOST_IGNORED = 8
# what has the channels and rates of RAM: a processor, else the computer around the cards
_RamSlots = cpus.ProcessorSeries | gpus.Computer


class _Guest(NamedTuple):
    """A virtual machine or a container of no listed product."""

    cores: int
    ram_gib: float
    are_cores_stated: bool


class _Computer(Record):
    """A described computer. Each property takes its part from the surest source that tells it."""

    about: Description
    product: Product

    @cached_property
    def cards(self) -> NamedCards:
        """The cards that the description names, else the product's cards. No Mac with an Apple chip
        has a card.
        """
        about = self.about
        gpu = self.product.gpu
        if about.chip is not None:
            return joined([])
        if about.cards:
            return joined(about.cards)
        if gpu is None or about.setting.has_no_card:
            return joined([])
        return joined([cards_named(gpu)])

    @cached_property
    def stated_ram_gib(self) -> float | None:
        """The stated RAM in GiB; None where none is stated.

        A product may report up to a tenth less than the size it is sold with: its own size counts.
        A size above those of a product with soldered memory is that of its RAM and its cards
        together, as makers state them, or the size of a disk.
        """
        product = self.product
        stated_gib = self.about.memory.ram_gib
        if stated_gib is None:
            # as in `raspberry pi 5 8gb nvme`
            disk_gib = self.about.memory.disk_gib
            return disk_gib if disk_gib in product.gib else None
        for gib in product.gib:
            if 0.9 * stated_gib <= gib <= stated_gib:
                return gib
        if product.gb_per_s is None or stated_gib <= max(product.gib):
            return stated_gib
        for gib in product.gib:
            if 0.9 * stated_gib <= gib + self.cards_gib <= stated_gib:
                return gib
        return None

    @property
    def cards_gib(self) -> int:
        """The memory of the computer's cards together in GiB."""
        total_bytes = 0
        for card in self.cards.accelerators or _unnamed_gpu(self.about):
            total_bytes += card.memory_total_bytes or 0
        return round(total_bytes / units.GIB)

    @cached_property
    def guest(self) -> _Guest | None:
        """The cores and the RAM of a virtual machine or a container that is no listed product; None
        for any other computer.

        Raises `UnknownMachineError` where the description tells neither memory nor cores.
        """
        if self.about.scope == "host" or self.is_product:
            return None
        return _guest(self.about)

    @property
    def ram_gib(self) -> float | None:
        """The RAM in GiB that is stated, or that follows from a guest's cores; None where the usual
        size counts.
        """
        if self.guest is not None:
            return self.guest.ram_gib
        return self.stated_ram_gib

    @cached_property
    def processor(self) -> str | None:
        """The name of the computer's processor; None where the description tells GPUs alone.

        Raises `UnknownMachineError` where the description tells too little.
        """
        told = self._told_processor
        if told is not None:
            return told
        if self.guest is not None:
            return self.host or _GUEST_PROCESSOR
        # a GPU, or one in the product's processor
        if self.cards.label or self.product.shared is not None:
            return None
        if self.about.vram_gib is not None:
            return None
        self._refuse_without_parts()
        return _UNNAMED_PROCESSOR

    @property
    def _told_processor(self) -> str | None:
        """The processor that the description names. Where it names only a kind, the product's
        processor: `r720 dual xeon`. None where none is told.
        """
        named = self.about.processor
        if named is not None:
            words = {*named.split()} - {"2x", "dual"}
            if not cpus.names_a_kind_alone(words):
                return named
        return self.product.processor or named

    def _refuse_without_parts(self) -> None:
        """Refuse a description that names neither processor nor GPU, unless its RAM is all it
        tells.
        """
        about = self.about
        if about.setting.is_line or self.is_product:
            raise bad_name("product", about.text)
        if self.ram_gib is None or has_digit(" ".join(about.ignored)):
            raise unknown_machine(about.text)

    @property
    def host(self) -> str | None:
        """The processor that a card of the computer is soldered to; None for cards in slots."""
        for card in self.cards.accelerators:
            host = gpus.facts_of(card.name).host
            if host is not None:
                return host
        return None

    @cached_property
    def series(self) -> cpus.ProcessorSeries | None:
        """The series of the computer's processor."""
        return cpus.series_called(self.processor or "")

    @cached_property
    def chip(self) -> cpus.Chip | None:
        """The processor's row in chips.toml; None where the processor is no chip with memory beside
        it.
        """
        words = words_of(self.processor or "")
        return cpus.chip_of(words)

    @property
    def system(self) -> str:
        """The operating system of the computer. Phones are judged as Linux is."""
        about = self.about
        stated = about.setting.system or self.product.system
        if stated is not None:
            return stated
        if self.guest is not None:
            return "linux"
        if self.series is not None and self.series.kind == "phone":
            return "linux"
        is_of_line = about.setting.is_line and about.is_laptop
        if is_of_line or not _PERSONAL_COMPUTERS.isdisjoint(about.rest.words):
            return "windows"
        if self.is_product:
            return "linux"
        return self.cpu_class.system

    @property
    def architecture(self) -> str:
        """The architecture of the computer: that of its product, else of the processor that its
        card is soldered to, else of its processor's series, else of its processor's class. A
        product that is sold with other processors, too, has that of the processor that is named.
        """
        architecture = self.product.architecture
        if architecture is None and self.host is not None:
            architecture = cpus.class_of(self.host).architecture
        is_other = self.named_processor is not None
        if self.series is not None and (architecture is None or is_other):
            architecture = self.series.architecture
        return architecture or self.cpu_class.architecture

    @property
    def memory_gib(self) -> float:
        """The computer's RAM in GiB: the stated size, else the usual size of the product, the
        processor or a computer with such GPUs.
        """
        if self.ram_gib is not None:
            return self.ram_gib
        if self.product.gib:
            return self.product.gib[0]
        usual_gib = self.cpu_class.memory_gib
        if self.cards.label or self.processor is None:
            # the computer has at least as much RAM as its cards have memory together
            return max(usual_gib, _USUAL_RAM_GIB, self.cards_gib)
        chip = self.chip
        if chip is not None and chip.memory_gib is not None:
            return chip.memory_gib
        series = self.series
        if series is None:
            return usual_gib
        return series.on_package_gib or series.memory_gib or usual_gib

    @property
    def cpu_class(self) -> cpus.CpuClass:
        """The class of the computer's processor: the usual equipment of computers with a processor
        of that class.
        """
        return cpus.class_of(self.processor or "")

    @property
    def is_product(self) -> bool:
        """Whether the computer is a listed product."""
        return self.product is not _NO_PRODUCT

    @property
    def is_bare(self) -> bool:
        """Whether the computer is neither a listed product nor a guest."""
        return self.guest is None and not self.is_product

    @property
    def is_cards_alone(self) -> bool:
        """Whether the description tells nothing but the cards."""
        return self.is_bare and self.processor is None and not self.stated_ram_gib

    @property
    def named_processor(self) -> str | None:
        """The processor where the description names one that the product does not come with; else
        None.
        """
        if self.processor in (self.product.processor, _UNNAMED_PROCESSOR):
            return None
        return self.processor

    @property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """The computer's cards, else the GPU in its processor, else a GPU without a name."""
        if self.cards.accelerators:
            return self.cards.accelerators
        inside = self.product.shared
        if self.product.architecture not in (None, self.architecture):
            # the GPU is part of the product's own processor
            inside = None
        if inside is None and self.chip is not None:
            inside = self.chip.gpu
        if inside is not None:
            gpu = Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True)
            return (gpu,)
        return _unnamed_gpu(self.about)

    @property
    def is_ram_known(self) -> bool:
        """Whether the RAM is stated, or comes in one size with the product or the processor."""
        if self.stated_ram_gib:
            return True
        product = self.product
        if len(product.gib) == 1 and not product.guest:
            return True
        return self.series is not None and self.series.on_package_gib is not None


def _unnamed_gpu(about: Description) -> tuple[Accelerator, ...]:
    """A GPU whose memory and perhaps maker are told, and no more. Empty where no memory is told."""
    if about.vram_gib is None:
        return ()
    memory_bytes = round(about.vram_gib * units.GIB)
    maker = gpus.maker_called(about.maker.name)
    name = f"{maker.written} GPU with {units.binary(memory_bytes)}"
    gpu = Accelerator(
        vendor=maker.id,
        name=name.strip(),
        memory_total_bytes=memory_bytes,
        unified=False,
    )
    return (gpu,)


def described(about: Description) -> NotedMachine:
    """Return the machine of a description, with a note of other meanings and assumptions.

    Raises `UnknownMachineError` where the description names no part, or can mean several machines.
    """
    computer = _Computer(about=about, product=_product_of(about))
    known = _known_machine(computer)
    if known is not None:
        return known
    machine = _planned(computer)
    notes = [_judged_as(computer, machine)]
    notes += computer.cards.notes
    notes += _doubt_notes(computer)
    stated = _stated_cores(machine, about)
    if about.setting.has_no_gpu:
        stated = {"accelerators": (), **stated}
    machine = machine.stated(stated, _quoted(about))
    notes += _doubts_of_cores(machine, about)
    machine, rate_note = _with_ram_rate(machine, about)
    if rate_note is not None:
        notes.append(rate_note)
    if about.setting.is_wsl:
        machine = _in_wsl(machine)
        notes.append(_note("wsl", half=machine.memory_total_bytes))
    notes += _ignored_words(about)
    return NotedMachine(machine, " ".join(notes))


def _ignored_words(about: Description) -> Iterator[str]:
    """Yield notes on the things that change no answer, and one on the words that no matcher
    understood, with a bandwidth, which can be that of the RAM, a GPU, a disk or a network.
    """
    unused = vocabulary().unused
    words = []
    for word in about.ignored:
        if word not in unused:
            words.append(word)
    for word, sentence in unused.items():
        if word in about.ignored:
            yield sentence
    for named in about.left_out:
        yield _note("inside", gpu=named.label)
    bandwidth = about.memory.numbers.get("gbps")
    if bandwidth is not None:
        words.append(f"{bandwidth} GB/s")
    if words:
        ignored = ", ".join(words[:_MOST_IGNORED])
        yield f"Ignored (not understood): {ignored}."


def _quoted(about: Description) -> str:
    return f'"{about.text}"'


def _planned(computer: _Computer) -> Machine:
    """The machine with the parts of the computer, for planning."""
    product = computer.product
    facts = _facts(computer)
    source = _quoted(computer.about)
    scope = computer.about.scope
    confidence = "low"
    if computer.is_product:
        source += f": {product.source_text}"
        confidence = "medium"
    if product.guest:
        scope = "vm"
    return planned_machine(
        facts,
        memory_gib=computer.memory_gib,
        assumed=_assumed(computer, facts),
        source=source,
        name=_title(computer),
        scope=scope,
        confidence=confidence,
    )


def _judged_as(computer: _Computer, machine: Machine) -> str:
    """The sentence that says which machine the description is judged as."""
    ram = _ram_words(computer.memory_gib)
    guessed = ""
    if "memory_total_bytes" in machine.assumed:
        guessed = ", assumed"
    title = machine.name.removesuffix(f" with {ram}")
    return f"{_quoted(computer.about)} is judged as {title}, {ram}{guessed}."


def _product_of(about: Description) -> Product:
    """The product that is named, or the Mac that has the chip; `_NO_PRODUCT` where neither is."""
    chip = about.chip
    if chip is not None and chip.mac is not None:
        return mac_with(chip, chip.mac, about.memory.ram_gib)
    return about.product or _NO_PRODUCT


def _guest(about: Description) -> _Guest:
    """The size of a guest. The memory follows from the cores, or the cores from the memory, where
    one is not told.

    Raises `UnknownMachineError` where neither is told, and where only cores are told and no
    processor.
    """
    ram_gib = about.memory.ram_gib
    cores = _stated_processors(about)
    if cores:
        if not ram_gib:
            if about.processor is None:
                raise bad_name("guest", about.text)
            ram_gib = cores * _USUAL_GIB_OF_A_PROCESSOR
        return _Guest(cores, ram_gib, are_cores_stated=True)
    if not ram_gib:
        raise bad_name("guest", about.text)
    usual_cores = max(1, round(ram_gib / _USUAL_GIB_OF_A_PROCESSOR))
    return _Guest(usual_cores, ram_gib, are_cores_stated=False)


def _stated_processors(about: Description) -> int:
    """The number of a guest's processors, by the surest word that states it; 0 where none does."""
    for word in _GUEST_WORDS:
        number = about.memory.numbers.get(word, 0)
        if number:
            return number
    return 0


def _facts(computer: _Computer) -> FactValues:
    """The facts that the description states, with the cores and the memory bandwidth of the product
    or the chip.
    """
    facts: FactValues = {
        "system": computer.system,
        "architecture": computer.architecture,
        "accelerators": computer.accelerators,
        "cpu_model": computer.processor,
    }
    product = computer.product
    guest = computer.guest
    if guest is not None:
        facts["cpu_cores_usable"] = float(guest.cores)
        if not _rents_threads(computer):
            facts["cpu_cores_physical"] = guest.cores
    elif computer.is_product:
        if computer.processor == product.processor:
            stated = _stated_processors(computer.about)
            facts |= _facts_of_product(product, stated)
    elif not computer.cards.label:
        facts[BANDWIDTH] = _soldered_rate(computer.series)
    return facts


def _rents_threads(computer: _Computer) -> bool:
    """Whether the processors of a guest may be threads, two of a core, as clouds rent x86-64."""
    about = computer.about
    if about.scope == "container" or "cores" in about.memory.numbers:
        return False
    return computer.architecture == "x86_64"


def _facts_of_product(product: Product, stated_cores: int) -> FactValues:
    """The memory bandwidth and the cores of a product with its own processor; 0 stated cores where
    none are stated.
    """
    facts: FactValues = {}
    if product.gb_per_s is not None:
        facts[BANDWIDTH] = round(product.gb_per_s * units.GB)
    if product.cores is None:
        return facts
    facts["cpu_cores_usable"] = float(product.cores)
    facts["cpu_cores_physical"] = product.physical
    if product.guest and product.physical and stated_cores:
        # it is rented in several sizes, with as many threads of a core
        facts["cpu_cores_usable"] = float(stated_cores)
        threads_of_core = product.cores // product.physical
        facts["cpu_cores_physical"] = max(1, stated_cores // threads_of_core)
    listed = cpus.cores_of(product.processor or "")
    if listed is None or not listed.are_known:
        return facts
    if listed.physical.usual == product.physical:
        facts["cpu_cores_performance"] = listed.performance.usual
    return facts


def _soldered_rate(series: cpus.ProcessorSeries | None) -> int | None:
    """The bandwidth in bytes a second of memory that is soldered and sold at one rate alone; else
    None.
    """
    if series is None or series.memory != "soldered":
        return None
    if len(set(series.mts)) > 1:
        return None
    return round(series.bytes_per_second.usual)


def _assumed(computer: _Computer, facts: FactValues) -> list[str]:
    """The names of the facts that no word of the description and no row of a table tells."""
    guest = computer.guest
    assumed = []
    if not facts.get(BANDWIDTH):
        assumed.append(BANDWIDTH)
    if not computer.is_ram_known:
        assumed += MEMORY_FACTS
    if guest is not None or computer.is_cards_alone:
        assumed.append("architecture")
    if _may_have_gpu(computer):
        assumed.append("accelerators")
    if guest is not None and not guest.are_cores_stated:
        assumed += _CORE_FACTS
    # the system is assumed where no word names a system and the description says little else
    is_system_told = computer.about.setting.system or not computer.is_bare
    if not is_system_told and (computer.is_cards_alone or not computer.cards.label):
        assumed.append("system")
    if computer.processor == _UNNAMED_PROCESSOR:
        assumed.append("cpu_model")
    return assumed


def _may_have_gpu(computer: _Computer) -> bool:
    """Whether nothing tells that the computer has a GPU, or that it has none."""
    if computer.accelerators or computer.is_product:
        return False
    return not computer.about.setting.has_no_card


def _known_machine(computer: _Computer) -> NotedMachine | None:
    """The known machine with the named GPUs, where the description names GPUs alone; else None."""
    if not _names_gpus_alone(computer):
        return None
    about = computer.about
    cards = computer.cards.accelerators
    machine = _machine_with(cards, is_laptop=about.is_laptop)
    if machine is None:
        return None
    note = f"{_quoted(about)} is a GPU: judged as {machine.name}, which has it."
    notes = [note, *computer.cards.notes]
    notes += _doubts_of_disk(computer)
    notes += _ignored_words(about)
    # nobody stated the memory of the machine around the GPUs
    assumed = (*machine.assumed, *MEMORY_FACTS)
    return NotedMachine(machine.replace(assumed=assumed), " ".join(notes))


def _machine_with(cards: Sequence[Accelerator], *, is_laptop: bool) -> Machine | None:
    """The known laptop with these GPUs, or else the desktop, or else the server; of several the one
    with the least memory. None where no known machine has these GPUs.
    """
    kinds = ("laptop",) if is_laptop else ("desktop", "server")
    names = [card.name for card in cards]
    for kind in kinds:
        for profile in profiles_with_cards(kind, names):
            if _names_and_sizes(profile.machine.cards) == _names_and_sizes(cards):
                return profile.machine
    return None


def _names_and_sizes(cards: Iterable[Accelerator]) -> list[tuple[str, int | None]]:
    return [(card.name, card.memory_total_bytes) for card in cards]


def _names_gpus_alone(computer: _Computer) -> bool:
    """Whether a description names GPUs, and nothing of the computer around them."""
    if not computer.cards.label or not computer.is_cards_alone:
        return False
    about = computer.about
    if about.setting.system or about.setting.is_line:
        return False
    return "cores" not in about.memory.numbers


def _stated_cores(machine: Machine, about: Description) -> FactValues:
    """The facts of the cores that a description states, where the processor's name does not tell
    the cores.
    """
    numbers = about.memory.numbers
    stated = numbers.get("cores", 0)
    if not stated or about.chip is not None:
        return {}
    if machine.scope != "host":
        return {}
    listed = cpus.cores_of(machine.cpu_model or "")
    if listed is not None and listed.are_known:
        return {}
    usable = max(stated, numbers.get("threads", 0))
    return {
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": stated,
        "cpu_cores_performance": None,
    }


def _doubts_of_cores(machine: Machine, about: Description) -> Iterator[str]:
    """Yield a note on stated cores that the processor does not have, all together or each of
    several.
    """
    stated = about.memory.numbers.get("cores")
    usable = machine.cpu_cores_usable
    if stated is None or usable is None:
        return
    cores = machine.cpu_cores_physical or int(usable)
    processors = cpus.processors_named(machine.cpu_model or "")
    if stated * processors not in (cores, usable) and stated not in (cores, usable):
        yield _note("cores", cores=cores, stated=stated)


def _in_wsl(machine: Machine) -> Machine:
    """The virtual machine in which Windows runs Linux, made of the Windows machine."""
    half_bytes = (machine.memory_total_bytes or 0) // 2
    facts: FactValues = dict.fromkeys(MEMORY_FACTS, half_bytes)
    machine = machine.stated(facts, "half of the RAM, as WSL has it")
    return machine.replace(
        scope="vm", system="linux", assumed=(*machine.assumed, *MEMORY_FACTS)
    )


def _title(computer: _Computer) -> str:
    """The display name of the machine: `a machine with AMD Ryzen 5 5600X and RTX 3090`."""
    about = computer.about
    title = computer.product.title
    names = []
    if computer.guest is not None:
        title = "a virtual machine"
        if about.scope == "container":
            title = "a container"
        names.append(units.plural(computer.guest.cores, "processor"))
    elif computer.named_processor is not None:
        names.append(cpus.written_name(computer.named_processor))
    if about.cards and computer.cards.label:
        names.append(computer.cards.label)
    elif computer.guest is None and about.vram_gib is not None:
        names += [card.name for card in computer.accelerators]
    if names:
        return f"{title} with {' and '.join(names)}"
    if computer.is_bare and computer.ram_gib is not None:
        return f"a computer with {_ram_words(computer.ram_gib)}"
    return title


def _note(key: str, **figures: object) -> str:
    """A sentence of `note` in words.toml, filled with the figures."""
    return fill(vocabulary().note[key], figures)


def _doubt_notes(computer: _Computer) -> Iterator[str]:
    """Yield the notes on other meanings of the description, and on what was assumed."""
    about = computer.about
    yield from _doubts_of_product(computer)
    yield from _doubts_of_processor(computer)
    # told neither by a word nor by the chip
    is_system_open = not about.setting.system and about.chip is None
    if is_system_open and about.scope != "container":
        yield _note("system", system=_SYSTEM_NAMES[computer.system])
    if about.vram_gib is not None and computer.accelerators == _unnamed_gpu(about):
        yield _note("vram")
    elif computer.series is not None and _may_have_gpu(computer):
        graphics = computer.series.graphics
        if graphics:
            yield _note("graphics", graphics=graphics)
    if about.chip is not None and about.cards:
        yield _note("card", card=about.cards[0].label)
    others = [f"{gib:g} GB" for gib in computer.product.gib[1:]]
    if others and about.memory.ram_gib is None and computer.ram_gib is None:
        yield _note("sizes", sizes=others)
    yield from _doubts_of_size(computer)
    yield from _doubts_of_vram(computer)
    yield from _doubts_of_disk(computer)


def _doubts_of_vram(computer: _Computer) -> Iterator[str]:
    """Yield a note on a stated size of GPU memory that is neither the size of a GPU nor the sum of
    all GPUs. Drivers report up to a tenth less than a GPU is sold with.
    """
    stated_gib = computer.about.memory.vram_gib
    if stated_gib is None:
        return
    sizes = [card.memory_total_bytes or 0 for card in computer.accelerators]
    sizes.append(sum(sizes))
    for size in sizes:
        if 0.9 * stated_gib <= size / units.GIB <= stated_gib:
            return
    shares = any(card.unified for card in computer.accelerators)
    yield _note("vram_ignored", size=_size_words(stated_gib), shares=shares)


def _doubts_of_size(computer: _Computer) -> Iterator[str]:
    """Yield a note on more RAM than a machine with such a processor takes, and on a size with which
    no product of that name is known, whose memory is soldered.
    """
    stated_gib = computer.about.memory.ram_gib
    if stated_gib is None:
        return
    product = computer.product
    is_soldered = product.gb_per_s is not None and computer.about.chip is None
    if is_soldered and computer.ram_gib not in (None, *product.gib):
        sizes = [_size_words(gib) for gib in product.gib]
        yield _note("size_of_product", size=_size_words(stated_gib), sizes=sizes)
    if not computer.is_bare:
        return
    most_gib = computer.cpu_class.most_gib
    if computer.series is not None:
        most_gib = computer.series.on_package_gib or most_gib
    if most_gib is not None and stated_gib > most_gib:
        yield _note("most_ram", most=_size_words(most_gib))


def _doubts_of_disk(computer: _Computer) -> Iterator[str]:
    """Yield a note on a size that is taken for a disk, where it could be the RAM's: no other size
    is stated, or the computer is a product that is not sold with as much RAM.
    """
    memory = computer.about.memory
    is_ram_open = computer.ram_gib is None and not computer.product.gib
    if memory.disk_gib is not None and is_ram_open:
        size = _disk_words(memory.disk_gib)
        yield _note("disk", size=size, typed=size.replace(" ", ""))
    if memory.ram_gib is not None and computer.ram_gib is None:
        sizes = [_size_words(gib) for gib in computer.product.gib]
        yield _note("disk_of_product", size=f"{memory.ram_gib:g} GB", sizes=sizes)


def _doubts_of_product(computer: _Computer) -> Iterator[str]:
    """Yield a note on a GPU that nobody named."""
    about = computer.about
    product = computer.product
    cards = computer.cards.label
    if product.guest and cards and words_of(cards).isdisjoint(about.rest.words):
        yield _note("gpu", gpu=cards)


def _doubts_of_processor(computer: _Computer) -> Iterator[str]:
    """Yield notes on how little the description tells of its processor."""
    about = computer.about
    processor = computer.processor
    series = computer.series
    if processor in (_UNNAMED_PROCESSOR, _GUEST_PROCESSOR):
        yield _note("unnamed")
    elif processor is None:
        if not computer.is_product:
            yield _note("unsaid")
    elif computer.chip is None and (series is None or "|" in series.kind):
        # `client|mobile` is the kind of a whole generation: no number of a processor was named
        yield _note("series", series=cpus.written_name(processor))
    named = about.processor
    if named is not None and named != processor:
        kind = cpus.written_name(named)
        yield _note(
            "kind", kind=f"{kind} it has is not stated: judged with {processor}"
        )


def _ram_words(gib: float) -> str:
    """The words for a size of RAM: `16 GB of RAM`."""
    return f"{_size_words(gib)} of RAM"


def _disk_words(gib: float) -> str:
    """The words for a size that is taken for a disk: `512 GB`, `2 TB`."""
    terabytes = gib * units.GIB / units.TIB
    if terabytes < 1:
        return f"{gib:g} GB"
    return f"{terabytes:g} TB"


def _size_words(gib: float) -> str:
    """The words for a size of RAM: `16 GB`, as it is sold, and `15.5 GiB` where the system kept
    some.
    """
    unit = "GB" if gib == int(gib) else "GiB"
    return f"{gib:,g} {unit}"


class _StatedRam(Record):
    """The kind, rate, channels and modules of RAM that a description states.

    A number is None, and the kind is empty, where the description does not state it.
    """

    kind: str
    mts: int | None
    channels: int | None
    sticks: int | None

    @property
    def name(self) -> str:
        """The kind of the RAM, `DDR4`; `RAM` where the kind is not stated."""
        return self.kind.upper() or "RAM"

    @property
    def as_stated(self) -> str:
        """The RAM with its rate, if that is stated."""
        return self.name if self.mts is None else self.at_rate(self.mts)

    def at_rate(self, mts: int) -> str:
        """The RAM with its rate: `DDR4-3200`; `RAM at 3,200 MT/s` where the kind is not stated."""
        if self.kind:
            return f"{self.name}-{mts}"
        return f"{self.name} at {mts:,} MT/s"

    def channels_of(self, slots: _RamSlots, processors: int) -> int:
        """Return the filled channels of one processor in a machine with so many processors."""
        channels = slots.channels
        if self.channels is not None:
            channels = min(channels, self.channels)
        if self.sticks is not None and slots.bits == 64:
            sticks = max(1, self.sticks // processors)
            channels = min(channels, sticks)
        return channels

    def rate_mts(self, slots: _RamSlots) -> int | None:
        """Return the stated rate in MT/s, else the rate of the kind. None where the rate or the
        kind does not fit the processor.

        A processor that is not named has any memory: its kind has the fastest rate, which most
        modules have.
        """
        if slots.memory == "bus":
            return None
        slowest, usual, fastest = slots.mts
        low, high = cpus.ram_rates().get(self.kind, (slowest, fastest))
        if isinstance(slots, gpus.Computer):
            return self.mts or (high if self.kind else usual)
        if low > _LARGEST_GAP * fastest:
            return None
        if slowest > _LARGEST_GAP * high:
            return None
        rate = self.mts
        if not rate:
            rate_of_kind = max(low, min(usual, high))
            rate = max(slowest, min(rate_of_kind, fastest))
        if not _LEAST_OF_SLOWEST * slowest <= rate <= _MOST_OF_FASTEST * fastest:
            return None
        if slots.kind == "server":
            return min(rate, fastest)
        return rate

    def how_known(self, slots: _RamSlots, channels: int) -> str | None:
        """Return how the bandwidth is known: with an assumed rate, or with channels that are
        assumed to be filled. None where the description states all of it.
        """
        rates = slots.bytes_per_second
        takes_kinds = rates.slowest < rates.fastest or isinstance(slots, gpus.Computer)
        has_one_rate = self.kind and takes_kinds
        if self.mts is None and not has_one_rate:
            return RATE_ASSUMED
        # with two channels, one may be empty
        if channels != 2 or self.kind.startswith("lp"):
            return None
        if self.sticks is None and self.channels is None:
            return FILLED_ASSUMED
        return None


def _with_ram_rate(machine: Machine, about: Description) -> NotedMachine:
    """The machine with the bandwidth that a stated kind of RAM, rate or number of modules means,
    and a note on the bandwidth.
    """
    numbers = about.memory.numbers
    ram = _StatedRam(
        kind=about.memory.ram_kind or "",
        mts=numbers.get("mts"),
        channels=numbers.get("channels"),
        sticks=numbers.get("sticks"),
    )
    stated = numbers.keys() & {"mts", "channels", "sticks"}
    if machine.scope != "host" or not (ram.kind or stated):
        return NotedMachine(machine, None)
    if machine.memory_bandwidth_bytes_per_second is not None:
        return NotedMachine(machine, None)
    slots = gpus.series_in(machine) or gpus.computer_of(machine)
    if slots is None:
        note = f"Ignored {ram.name}: the channels of its processor are not known."
        return NotedMachine(machine, note)
    rate = ram.rate_mts(slots)
    if rate is None:
        note = f"Ignored {ram.as_stated}: the processor does not support it."
        return NotedMachine(machine, note)
    processors = cpus.processors_named(machine.cpu_model or "")
    channels = ram.channels_of(slots, processors)
    bandwidth = channels * slots.bits // 8 * rate * units.MB
    memory = f"{units.plural(channels, 'channel')} of {ram.at_rate(rate)}"
    facts: FactValues = {
        BANDWIDTH: bandwidth,
        "memory_bandwidth_how": ram.how_known(slots, channels),
    }
    # the rate of a kind of memory is a guess
    is_guess = BANDWIDTH in machine.assumed and ram.mts is None
    machine = machine.stated(facts, f"{memory}, as its description says")
    if is_guess:
        machine = machine.replace(assumed=(BANDWIDTH, *machine.assumed))
    note = f"Its memory: {memory}, {units.decimal(bandwidth)}/s at most."
    # makers count the channels of soldered memory in other widths
    is_soldered = ram.kind.startswith("lp")
    if not is_soldered and (ram.channels or 0) > slots.channels * processors:
        count = _note("channels", channels=slots.channels, stated=ram.channels)
        note = f"{count} {note}"
    return NotedMachine(machine, note)
