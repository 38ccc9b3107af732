"""The machine that a description means.

What goes in: a `Description`. What comes out: the machine and a note. Three sources tell the facts
of a machine: first the words of the description, then the things that it names (a product, cards, a
processor), then what most such machines have. Each fact is taken from the first source that tells
it. A fact of the last source is marked as assumed in the machine, and the note names it. The
system of named cards, products and guests is named in the note alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from ..core import units
from ..core.records import Record
from ..core.templates import fill
from ..core.units import words_of
from . import cpus, gpus
from .cards import NamedCards, joined
from .description import Description, cards_named
from .macs import mac_with
from .memory import StatedMemory, may_be_reported_as
from .products import Product
from .profiles import (
    MEMORY_FACTS,
    NotedMachine,
    planned_machine,
    profiles_with_cards,
    unknown_machine,
)
from .ram_rates import with_ram_rate
from .record import BANDWIDTH, Accelerator, FactValues, Machine
from .words import bad_name, has_digit, ignored_note, vocabulary

# stands for a computer that is no listed product
_NO_PRODUCT = Product(title="a machine", gib=(), source="")
# the RAM in GiB among the facts of a source
_RAM = "ram_gib"
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one processor and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
# assumed RAM: of 26 profiles whose GPUs hold more than 32 GiB, 24 have at least as much RAM as GPU
# memory; most desktops have 32 GiB
_USUAL_RAM_GIB = 32
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
# of a computer that many people run under either
_OTHER_SYSTEM = {"linux": "Windows", "windows": "Linux"}
# words for computers that usually run Windows
_PERSONAL_COMPUTERS = frozenset(("laptop", "netbook", "desktop", "pc"))
_MOST_IGNORED = 8


class _Computer(Record):
    """The things that a description names, or that come with what it names.

    `cards` are the cards of the description, else of the product. `processor` is None where the
    description tells GPUs alone. `ram_gib` is the stated RAM, None where none is stated, or where
    the stated size is a disk's (`tells_ram`).
    """

    about: Description
    product: Product
    cards: NamedCards
    processor: str | None
    ram_gib: float | None

    @property
    def is_product(self) -> bool:
        """Whether the computer is a listed product."""
        return self.product is not _NO_PRODUCT

    @property
    def is_unlisted_guest(self) -> bool:
        """Whether it is a virtual machine or a container that is no listed product."""
        return self.about.scope != "host" and not self.is_product

    @property
    def is_bare(self) -> bool:
        """Whether the computer is neither a listed product nor a guest."""
        return not self.is_unlisted_guest and not self.is_product

    @property
    def is_cards_alone(self) -> bool:
        """Whether the description tells nothing but the cards."""
        return self.is_bare and self.processor is None and not self.ram_gib

    @property
    def guest_cores(self) -> int:
        """The processors of a guest: as stated, else as many as its RAM is rented with."""
        usual = round((self.ram_gib or 0) / _USUAL_GIB_OF_A_PROCESSOR)
        return self.about.stated_cores or max(1, usual)

    @property
    def processor_name(self) -> str:
        """The name of the processor; "" where only GPUs are told."""
        return self.processor or ""

    @property
    def tells_ram(self) -> bool:
        """Whether the description states the RAM, also where its size does not count."""
        return self.ram_gib is not None or self.about.memory.ram_gib is not None

    @property
    def has_own_processor(self) -> bool:
        """Whether the processor is the one that the product comes with."""
        return self.processor == self.product.processor

    @cached_property
    def series(self) -> cpus.ProcessorSeries | None:
        """The series of the computer's processor."""
        return cpus.series_called(self.processor_name)

    @cached_property
    def chip(self) -> cpus.Chip | None:
        """The processor's row in chips.toml; None where the processor is no chip with memory beside
        it.
        """
        return cpus.chip_of(words_of(self.processor_name))

    @property
    def cpu_class(self) -> cpus.CpuClass:
        """The class of the computer's processor: the usual equipment of computers with a processor
        of that class.
        """
        return cpus.class_of(self.processor_name)


def described(about: Description) -> NotedMachine:
    """Return the machine of a description, with a note of other meanings and assumptions.

    Raises `UnknownMachineError` where the description names no part, or can mean several machines.
    """
    computer = _computer(about)
    known = _known_machine(computer)
    if known is not None:
        return known
    machine = _planned(computer)
    notes = [_judged_as(computer, machine), *computer.cards.notes]
    notes += _doubts(computer, machine)
    rated = with_ram_rate(machine, about.memory)
    machine = rated.machine
    notes += rated.notes
    if about.setting.is_wsl:
        machine = _in_wsl(machine)
        notes.append(_note("wsl", half=machine.memory_total_bytes))
    notes += _ignored(about, machine)
    return NotedMachine(machine, " ".join(notes))


def _note(key: str, **figures: object) -> str:
    """A sentence of `note` in words.toml, filled with the figures."""
    return fill(vocabulary().note[key], figures)


def _quoted(about: Description) -> str:
    """The description as notes quote it."""
    return f'"{about.text}"'


# the things that are named


def _computer(about: Description) -> _Computer:
    """The things that a description names.

    Raises `UnknownMachineError` where the description names too little.
    """
    product = about.product or _NO_PRODUCT
    if about.scope != "host" and product is _NO_PRODUCT:
        is_cpu_told = about.stated_cores and about.processor
        if not about.memory.ram_gib and not is_cpu_told:
            raise bad_name("guest", about.text)
    if about.chip is not None and about.chip.mac is not None:
        product = mac_with(about.chip, about.chip.mac, about.memory.ram_gib)
    cards = _cards(about, product)
    return _Computer(
        about=about,
        product=product,
        cards=cards,
        processor=_processor(about, product, cards),
        ram_gib=_stated_ram_gib(about.memory, product),
    )


def _cards(about: Description, product: Product) -> NamedCards:
    """The cards that the description names, else the product's. No Mac with an Apple chip has a
    card.
    """
    if about.chip is not None:
        return joined([])
    if about.cards or product.gpu is None or about.setting.has_no_card:
        return joined(about.cards)
    return cards_named(product.gpu)


def _stated_ram_gib(memory: StatedMemory, product: Product) -> float | None:
    """The stated RAM in GiB; None where none is stated, or where the stated size is a disk's.

    Where the product's row has a size that a system reports, 121.7 for a DGX Spark of 128, the size
    of the row counts. A size above those of a product with soldered memory is a disk's.
    """
    stated_gib = memory.ram_gib
    if stated_gib is None:
        # as in `raspberry pi 5 8gb nvme`
        return memory.disk_gib if memory.disk_gib in product.gib else None
    for gib in product.gib:
        if may_be_reported_as(stated_gib, gib):
            return gib
    # a row states the bandwidth of soldered memory alone
    if product.gb_per_s is None or stated_gib <= max(product.gib):
        return stated_gib
    return None


def _processor(
    about: Description,
    product: Product,
    cards: NamedCards,
) -> str | None:
    """The name of the computer's processor: of one that is told by its kind alone, `r720 dual
    xeon`, the product's. None where the description tells GPUs alone.

    Raises `UnknownMachineError` where the description tells too little, or more processors than one
    machine holds.
    """
    named = about.processor
    if named is not None:
        _refuse_processors(about, named)
        words = {*named.split()} - {"2x", "dual"}
        if not cpus.names_a_kind_alone(words):
            return named
    processor = product.processor or named
    if processor:
        return processor
    is_product = product is not _NO_PRODUCT
    if about.scope != "host" and not is_product:
        return _host_of(cards) or _GUEST_PROCESSOR
    # a GPU, or one in the product's processor
    if cards.label or product.shared is not None or about.vram_gib is not None:
        return None
    if about.setting.is_line or is_product:
        raise bad_name("product", about.text)
    if about.memory.ram_gib is None or has_digit(" ".join(about.ignored)):
        raise unknown_machine(about.text)
    return _UNNAMED_PROCESSOR


def _refuse_processors(about: Description, named: str) -> None:
    """Raise `UnknownMachineError` for more processors than the sockets of one machine take."""
    series = cpus.series_called(named)
    count = cpus.processors_named(named)
    if series is None or series.sockets is None or count <= series.sockets:
        return
    written = cpus.written_name(named).removeprefix(f"{count}x ")
    several = series.sockets if series.sockets > 1 else None
    raise bad_name(
        "sockets",
        about.text,
        count=count,
        series=series.name,
        most=series.sockets,
        several=several,
        written=written,
    )


def _host_of(cards: NamedCards) -> str | None:
    """The processor that a card is soldered to; None for cards in slots."""
    for card in cards.accelerators:
        host = gpus.facts_of(card.name).host
        if host is not None:
            return host
    return None


# the facts of each source


def _facts_in_words(computer: _Computer) -> FactValues:
    """The facts that the words of the description tell."""
    about = computer.about
    facts: FactValues = {"system": about.setting.system, _RAM: computer.ram_gib}
    if about.setting.has_no_gpu:
        facts["accelerators"] = ()
    elif about.setting.has_no_card:
        facts["accelerators"] = _gpus(computer)
    listed = cpus.cores_of(computer.processor_name)
    if computer.is_unlisted_guest or computer.product.guest:
        facts |= _cores_of_guest(computer, about.stated_cores)
    elif listed is None or not listed.are_known:
        # a processor whose name tells the cores has no others
        facts |= _cores_of_host(about)
    return facts


def _facts_of_things(computer: _Computer) -> FactValues:
    """The facts that come with the things that the description names."""
    product = computer.product
    cards = computer.cards.label
    facts: FactValues = {"cpu_model": computer.processor}
    if computer.is_product or _gpus(computer):
        facts["accelerators"] = _gpus(computer)
    if len(product.gib) == 1 and not product.guest:
        facts[_RAM] = product.gib[0]
    elif computer.series is not None and computer.series.on_package_gib is not None:
        facts[_RAM] = computer.series.on_package_gib
    if computer.is_product and computer.has_own_processor:
        facts |= _facts_of_product(product)
    elif computer.is_bare and not cards:
        facts[BANDWIDTH] = _soldered_rate(computer.series)
    if computer.is_cards_alone:
        return facts
    if not computer.is_unlisted_guest:
        facts["architecture"] = _architecture(computer)
    if cards or not computer.is_bare:
        # the usual system of such things counts as told by them
        facts["system"] = _usual_system(computer)
    return facts


def _usual(computer: _Computer) -> FactValues:
    """The facts that most such machines have."""
    facts: FactValues = {
        "system": _usual_system(computer),
        "architecture": _architecture(computer),
        "accelerators": (),
        _RAM: _usual_ram_gib(computer),
    }
    if computer.is_unlisted_guest:
        facts |= _cores_of_guest(computer, computer.guest_cores)
    return facts


def _planned(computer: _Computer) -> Machine:
    """The machine of which each fact is taken from the first source that tells it."""
    product = computer.product
    usual = _usual(computer)
    of_things = _without_unknown(_facts_of_things(computer))
    in_words = _without_unknown(_facts_in_words(computer))
    facts = usual | of_things | in_words
    assumed = {BANDWIDTH, *usual} - of_things.keys() - in_words.keys()
    if computer.processor == _UNNAMED_PROCESSOR:
        assumed.add("cpu_model")
    if _RAM in assumed:
        assumed.remove(_RAM)
        assumed.update(MEMORY_FACTS)
    source = _quoted(computer.about)
    if computer.is_product:
        source += f": {product.source_text}"
    ram_gib = facts.pop(_RAM)
    return planned_machine(
        facts,
        memory_gib=ram_gib,
        assumed=sorted(assumed),
        source=source,
        name=_name(computer, in_words, ram_gib),
        scope="vm" if product.guest else computer.about.scope,
        confidence="medium" if computer.is_product else "low",
    )


def _without_unknown(facts: FactValues) -> FactValues:
    """The facts whose value is known."""
    return {fact: value for fact, value in facts.items() if value is not None}


def _gpus(computer: _Computer) -> tuple[Accelerator, ...]:
    """The computer's cards, else the GPU in its processor, else a GPU without a name."""
    if computer.cards.accelerators:
        return computer.cards.accelerators
    product = computer.product
    inside = product.shared
    if product.architecture not in (None, _architecture(computer)):
        # the GPU is part of the product's own processor
        inside = None
    if inside is None and computer.chip is not None:
        inside = computer.chip.gpu
    if inside is None:
        return _unnamed_gpu(computer.about)
    gpu = Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True)
    return (gpu,)


def _unnamed_gpu(about: Description) -> tuple[Accelerator, ...]:
    """A GPU whose memory and perhaps maker are told, and no more. Empty where no memory is told."""
    if about.vram_gib is None:
        return ()
    memory_bytes = round(about.vram_gib * units.GIB)
    maker = gpus.maker_called(about.maker)
    name = f"{maker.written} GPU with {units.binary(memory_bytes)}"
    gpu = Accelerator(
        vendor=maker.id,
        name=name.strip(),
        memory_total_bytes=memory_bytes,
        unified=False,
    )
    return (gpu,)


def _cores_of_guest(computer: _Computer, cores: int) -> FactValues:
    """The facts of so many processors of a guest; {} for 0. They may be threads, two of a core, as
    clouds rent x86-64.
    """
    if not cores:
        return {}
    facts: FactValues = {"cpu_cores_usable": float(cores)}
    product = computer.product
    if product.cores and product.physical:
        # it is rented in several sizes, with as many threads of a core
        facts["cpu_cores_physical"] = max(1, cores * product.physical // product.cores)
        return facts
    are_threads = _architecture(computer) == "x86_64"
    if computer.about.scope == "container" or "cores" in computer.about.memory.numbers:
        are_threads = False
    if not are_threads:
        facts["cpu_cores_physical"] = cores
    return facts


def _cores_of_host(about: Description) -> FactValues:
    """The facts of the cores that the description of a whole computer states; {} where it states
    none.
    """
    numbers = about.memory.numbers
    if "cores" not in numbers or about.chip is not None:
        return {}
    usable = max(numbers["cores"], numbers.get("threads", 0))
    return {
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": numbers["cores"],
    }


def _facts_of_product(product: Product) -> FactValues:
    """The memory bandwidth and the cores of a product with its own processor."""
    facts: FactValues = {}
    if product.gb_per_s is not None:
        facts[BANDWIDTH] = round(product.gb_per_s * units.GB)
    if product.cores is None:
        return facts
    facts["cpu_cores_usable"] = float(product.cores)
    facts["cpu_cores_physical"] = product.physical
    listed = cpus.cores_of(product.processor or "")
    if listed is None:
        return facts
    if listed.are_known and listed.physical.usual == product.physical:
        facts["cpu_cores_performance"] = listed.performance.usual
    return facts


def _soldered_rate(series: cpus.ProcessorSeries | None) -> int | None:
    """The bandwidth in bytes a second of memory that is soldered and sold at one rate alone; else
    None.
    """
    if series is None or series.memory != "soldered" or len(set(series.mts)) > 1:
        return None
    return round(series.bytes_per_second.usual)


def _usual_system(computer: _Computer) -> str:
    """The operating system that most such computers run. Chips of phones are judged as Linux is."""
    about = computer.about
    if computer.product.system is not None:
        return computer.product.system
    if computer.is_unlisted_guest:
        return "linux"
    is_line_of_laptops = about.setting.is_line and about.is_laptop
    if is_line_of_laptops or about.phrase.says(_PERSONAL_COMPUTERS):
        return "windows"
    if computer.is_product:
        return "linux"
    series = computer.series
    if series is not None and series.system is not None:
        return series.system
    return computer.cpu_class.system


def _architecture(computer: _Computer) -> str:
    """The architecture of the computer's processor: as the product's row tells, unless another
    processor is named, else the row of the processor or of the one that a card is soldered to.
    """
    series = computer.series
    stated = computer.product.architecture
    if stated is not None and (series is None or computer.has_own_processor):
        return stated
    if series is None:
        host = _host_of(computer.cards)
        if host is not None:
            return cpus.class_of(host).architecture
    elif series.architecture is not None:
        return series.architecture
    return computer.cpu_class.architecture


def _usual_ram_gib(computer: _Computer) -> float:
    """The usual RAM in GiB of the product, of a guest with so many cores, of the processor, or of a
    computer with such cards.
    """
    if computer.product.gib:
        return computer.product.gib[0]
    if computer.is_unlisted_guest:
        return computer.guest_cores * _USUAL_GIB_OF_A_PROCESSOR
    usual_gib = computer.cpu_class.memory_gib
    if computer.cards.label or computer.processor is None:
        # the computer has at least as much RAM as its cards have memory together
        cards_bytes = 0
        for card in _gpus(computer):
            cards_bytes += card.memory_total_bytes or 0
        return max(usual_gib, _USUAL_RAM_GIB, round(cards_bytes / units.GIB))
    if computer.chip is not None and computer.chip.memory_gib is not None:
        return computer.chip.memory_gib
    if computer.series is None:
        return usual_gib
    return computer.series.memory_gib or usual_gib


# a known machine with the named GPUs


def _known_machine(computer: _Computer) -> NotedMachine | None:
    """The known machine with the named GPUs, where the description names GPUs alone; else None."""
    about = computer.about
    if not computer.cards.label or not computer.is_cards_alone:
        return None
    if about.setting.system or about.setting.is_line:
        return None
    if "cores" in about.memory.numbers:
        return None
    machine = _machine_with(computer.cards.accelerators, is_laptop=about.is_laptop)
    if machine is None:
        return None
    note = f"{_quoted(about)} is a GPU: judged as {machine.name}, which has it."
    notes = [note, *computer.cards.notes]
    notes += _doubts_of_disk(computer)
    notes += _ignored(about, machine)
    # nobody stated the memory of the machine around the GPUs
    assumed = (*machine.assumed, *MEMORY_FACTS)
    return NotedMachine(machine.replace(assumed=assumed), " ".join(notes))


def _name_of_alike(computer: _Computer) -> str | None:
    """The name of the known machine that has the named GPUs and the stated RAM; None where there is
    none. More is known of that machine: the processor and the bandwidth of the RAM.
    """
    about = computer.about
    if not computer.cards.label or about.setting.system:
        return None
    cards = computer.cards.accelerators
    machine = _machine_with(cards, is_laptop=about.is_laptop)
    if machine is None or _gib_of(machine) != computer.ram_gib:
        return None
    return machine.name


def _machine_with(cards: Sequence[Accelerator], *, is_laptop: bool) -> Machine | None:
    """The known laptop with these GPUs, for another computer the desktop, or else the server; of
    several the one with the least memory. None where no known machine of the kind has these GPUs.
    """
    kinds = ("laptop",) if is_laptop else ("desktop", "server")
    names = [card.name for card in cards]
    for kind in kinds:
        for profile in profiles_with_cards(kind, names):
            if _names_and_sizes(profile.machine.cards) == _names_and_sizes(cards):
                return profile.machine
    return None


def _names_and_sizes(cards: Iterable[Accelerator]) -> list[tuple[str, int | None]]:
    """The name and the memory in bytes of each GPU."""
    return [(card.name, card.memory_total_bytes) for card in cards]


def _in_wsl(machine: Machine) -> Machine:
    """The virtual machine in which Windows runs Linux, made of the Windows machine."""
    half_bytes = (machine.memory_total_bytes or 0) // 2
    facts: FactValues = dict.fromkeys(MEMORY_FACTS, half_bytes)
    machine = machine.stated(facts, "half of the RAM, as WSL has it")
    assumed = (*machine.assumed, *MEMORY_FACTS)
    return machine.replace(scope="vm", system="linux", assumed=assumed)


# the note


def _judged_as(computer: _Computer, machine: Machine) -> str:
    """The sentence that says which machine the description is judged as."""
    ram = _ram_words(_gib_of(machine))
    guessed = ""
    if "memory_total_bytes" in machine.assumed:
        guessed = ", assumed"
    title = _title(computer)
    return f"{_quoted(computer.about)} is judged as {title}, {ram}{guessed}."


def _gib_of(machine: Machine) -> float:
    """The RAM in GiB; 0 where it is not known."""
    return (machine.memory_total_bytes or 0) / units.GIB


def _title(computer: _Computer) -> str:
    """The words for the machine in a sentence: `a machine with AMD Ryzen 5 5600X and RTX 3090`."""
    title = computer.product.title
    parts = _named_processor(computer)
    if computer.is_unlisted_guest:
        title = "a virtual machine"
        if computer.about.scope == "container":
            title = "a container"
        parts = [units.plural(computer.guest_cores, "processor")]
    if computer.cards.label:
        parts.append(computer.cards.label)
    elif not computer.is_unlisted_guest and computer.about.vram_gib is not None:
        parts += [card.name for card in _gpus(computer)]
    if parts:
        return f"{title} with {' and '.join(parts)}"
    if computer.is_bare and computer.ram_gib is not None:
        return "a computer"
    return title


def _named_processor(computer: _Computer) -> list[str]:
    """The processor as its maker writes it; [] where none is named beside the product's own."""
    processor = computer.processor
    if processor is None or computer.has_own_processor:
        return []
    if processor in (_UNNAMED_PROCESSOR, _GUEST_PROCESSOR):
        return []
    return [cpus.written_name(processor)]


def _name(computer: _Computer, facts: FactValues, ram_gib: float) -> str:
    """The name of the machine for tables and selectors: `amd-ryzen-5-5600x-rtx-3090-64gb`.

    It is made of the things that the description names, not of its words: the parts, the RAM and
    its kind, and a system that is not the usual one. So the same machine in other words has the
    same name.
    """
    about = computer.about
    parts = []
    if about.scope != "host" and not computer.product.guest:
        parts.append(about.scope)
    if about.setting.is_wsl:
        parts.append("wsl")
    if computer.is_product:
        parts.append(computer.product.words)
    parts += _named_processor(computer)
    if computer.is_unlisted_guest:
        parts.append(f"{computer.guest_cores} cpus")
    elif computer.is_bare and "cpu_cores_usable" in facts:
        parts.append(f"{facts['cpu_cores_usable']:g} cores")
    if computer.cards.label:
        parts.append(computer.cards.label)
    elif about.vram_gib is not None:
        maker = gpus.maker_called(about.maker)
        parts.append(f"{maker.written} {about.vram_gib:g} gb vram")
    if not parts:
        parts.append("computer")
    parts.append(f"{ram_gib:.4g} gb")
    if not computer.is_product and about.memory.ram_kind is not None:
        parts.append(about.memory.ram_kind)
    system = about.setting.system
    if system is not None and system != _usual_system(computer):
        parts.append(system)
    words = re.findall(r"[a-z0-9.]+", " ".join(parts).lower())
    return re.sub(r"(?<=\d)-(gb|cpus)\b", r"\1", "-".join(words))


def _doubts(computer: _Computer, machine: Machine) -> Iterator[str]:
    """Yield the notes on what was assumed, and on what was told and does not count."""
    about = computer.about
    yield from _doubts_of_processor(computer)
    is_system_told = about.setting.system is not None or about.chip is not None
    if not is_system_told and about.scope != "container":
        yield _assumed_system(computer)
    if about.vram_gib is not None and machine.accelerators == _unnamed_gpu(about):
        yield _note("vram")
    elif computer.series is not None and "accelerators" in machine.assumed:
        graphics = computer.series.graphics
        if graphics:
            yield _note("graphics", graphics=graphics)
    others = [f"{gib:g} GB" for gib in computer.product.gib[1:]]
    if others and not computer.tells_ram:
        yield _note("sizes", sizes=others)
    yield from _doubts_of_disk(computer)


def _assumed_system(computer: _Computer) -> str:
    """The note on the system that is assumed, and on the other one that such computers may have."""
    if computer.series is not None and computer.series.phone:
        return _note("phone")
    system = _usual_system(computer)
    other = _OTHER_SYSTEM.get(system)
    if system == "linux" and not computer.is_bare:
        # a board, a console or a rented machine has Linux as a rule
        other = None
    return _note("system", system=_SYSTEM_NAMES[system], other=other)


def _doubts_of_processor(computer: _Computer) -> Iterator[str]:
    """Yield notes on how little the description tells of its processor."""
    processor = computer.processor
    series = computer.series
    if processor in (_UNNAMED_PROCESSOR, _GUEST_PROCESSOR):
        yield _note("unnamed")
    elif processor is None:
        if not computer.is_product:
            yield _note("unsaid")
            known = _name_of_alike(computer)
            if known is not None:
                yield _note("alike", known=known)
    elif computer.chip is None and (series is None or "|" in series.kind):
        # `client|mobile` is the kind of a whole generation: no number of a processor was named
        yield _note("series", series=cpus.written_name(processor))
    named = computer.about.processor
    if named is not None and named != processor:
        written = cpus.written_name(named)
        kind = f"{written} it has is not stated: judged with {processor}"
        yield _note("kind", kind=kind)


def _doubts_of_disk(computer: _Computer) -> Iterator[str]:
    """Yield a note on the only size, which is taken for a disk, where it could be the RAM's."""
    memory = computer.about.memory
    if computer.tells_ram:
        return
    if memory.disk_gib is None or computer.product.gib:
        return
    size = f"{memory.disk_gib:g} GB"
    terabytes = memory.disk_gib * units.GIB / units.TIB
    if terabytes >= 1:
        size = f"{terabytes:g} TB"
    yield _note("disk", size=size, typed=size.replace(" ", ""))


def _ignored(about: Description, machine: Machine) -> Iterator[str]:
    """Yield notes on what the description tells and the machine does not have, and on the words
    that nothing claimed.
    """
    unused = vocabulary().unused
    for word, sentence in unused.items():
        if word in about.ignored:
            yield sentence
    things = list(_unlike(about, machine))
    if things:
        yield ignored_note("does not count here", things)
    words = [word for word in about.ignored if word not in unused]
    bandwidth = about.memory.numbers.get("gbps")
    if bandwidth is not None:
        # it can be that of the RAM, a GPU, a disk or a network
        words.append(f"{bandwidth} GB/s")
    if words:
        yield ignored_note("not understood", words[:_MOST_IGNORED])


def _unlike(about: Description, machine: Machine) -> Iterator[str]:
    """Yield what the description tells and the machine does not have: GPUs beside others, the
    memory of a GPU, cores.
    """
    for named in about.left_out:
        yield named.label
    if about.chip is not None:
        for named in about.cards:
            yield named.label
    vram_gib = about.memory.vram_gib
    if vram_gib is not None and not _has_gpu_memory(machine, vram_gib):
        yield f"{_size_words(vram_gib)} of GPU memory"
    stated = about.memory.numbers.get("cores")
    if stated is None:
        return
    # of one processor, or of all
    processors = cpus.processors_named(machine.cpu_name)
    possible = {stated, stated * processors}
    cores = (machine.cpu_cores_physical, machine.cpu_cores_usable)
    if possible.isdisjoint(cores):
        yield units.plural(stated, "core")


def _has_gpu_memory(machine: Machine, gib: float) -> bool:
    """Whether one of the GPUs has that memory, or all of them together have it."""
    sizes = []
    for card in machine.cards:
        card_bytes = card.memory_total_bytes or 0
        sizes.append(card_bytes / units.GIB)
    sizes.append(sum(sizes))
    return any(may_be_reported_as(gib, size) for size in sizes)


def _ram_words(gib: float) -> str:
    """The words for a size of RAM: `16 GB of RAM`."""
    return f"{_size_words(gib)} of RAM"


def _size_words(gib: float) -> str:
    """The words for a size of RAM: `16 GB`, as it is sold, and `15.5 GiB` where the system kept
    some.
    """
    if gib == int(gib):
        return f"{int(gib):,} GB"
    return f"{gib:,g} GiB"
