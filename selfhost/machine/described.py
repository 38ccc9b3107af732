"""The machine that a description means.

What goes in: a `Description`. What comes out: the machine and a note. The facts come from the
description first, then from its product, then from the series of its processor; what none of them
tells is assumed, marked so in the machine, and named in the note.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ..core import units
from ..core.records import Record
from ..core.templates import fill
from ..core.units import words_of
from . import cpus, gpus
from .cards import NamedCards, joined
from .products import Product, mac_with
from .profiles import (
    MEMORY_FACTS,
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
from .words import bad_name, vocabulary

_CORE_FACTS = ("cpu_cores_usable", "cpu_cores_physical")
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
# of 26 profiles whose GPUs hold more than this 24 have as much RAM; most desktops have this
_USUAL_RAM_GIB = 32
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
# words of computers on which Windows is usual
_PERSONAL_COMPUTERS = frozenset(("laptop", "netbook", "desktop", "pc"))
# memory is sold for overclocking up to a third above the fastest of the table (DDR5-8400 beside
# 6400, DDR4-4800 beside 3600), and runs at no less than half of the slowest
_LEAST_OF_SLOWEST = 0.5
_MOST_OF_FASTEST = 1.35
_MOST_IGNORED = 8


class _Guest(Record):
    """A virtual machine or a container of no listed product."""

    cores: int
    ram_gib: float
    are_cores_stated: bool


class _Computer(Record):
    """The parts of a described computer.

    `ram_gib`: what is stated, or follows from a guest's cores; None where the class of the machine
    tells it. `is_ram_stated`: somebody stated it. `guest` is None of a computer that is none, or is
    a listed product.
    """

    about: Description
    product: Product | None
    processor: str | None
    cards: NamedCards
    ram_gib: float | None
    is_ram_stated: bool
    guest: _Guest | None

    @cached_property
    def series(self) -> cpus.Processor | None:
        """The series of its processor."""
        return cpus.processor_of(self.processor or "")

    @cached_property
    def chip(self) -> cpus.Chip | None:
        """Its processor, where that has its memory beside it."""
        return cpus.chip_of(words_of(self.processor or ""))

    @cached_property
    def cpu_class(self) -> cpus.CpuClass:
        """The class of its processor."""
        return cpus.class_of(self.processor or "")

    @property
    def is_bare(self) -> bool:
        """Whether it is neither a listed product nor a guest."""
        return self.product is None and self.guest is None

    @property
    def is_cards_alone(self) -> bool:
        """Whether nothing is told but its cards."""
        has_more = self.processor is not None or self.is_ram_stated
        return self.is_bare and not has_more

    @property
    def has_product_processor(self) -> bool:
        """Whether its processor is the one that its product comes with."""
        return self.product is not None and self.processor == self.product.processor

    @property
    def named_processor(self) -> str | None:
        """Its processor, where that is named and is not the one that its product comes with."""
        if self.has_product_processor or self.processor == _UNNAMED_PROCESSOR:
            return None
        return self.processor

    @cached_property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """Its cards, else the GPU in its processor, else a GPU without a name."""
        if self.cards.accelerators:
            return self.cards.accelerators
        inside = self.product.shared if self.product is not None else None
        if inside is None and self.chip is not None:
            inside = self.chip.gpu
        if inside is not None:
            vendor = gpus.vendor_of(inside)
            return (Accelerator(vendor=vendor, name=inside, unified=True),)
        if self.about.vram_gib is None:
            return ()
        return (_unnamed_gpu(self.about.gpu_maker, self.about.vram_gib),)

    @property
    def system(self) -> str:
        """The system that is stated, else the one that such computers usually have."""
        setting = self.about.setting
        if setting.system:
            return setting.system
        if self.product is not None and self.product.system is not None:
            return self.product.system
        if self.guest is not None:
            return "linux"
        if self.series is not None and self.series.kind == "phone":
            return "linux"
        if setting.is_line and self.about.is_laptop:
            return "windows"
        if not _PERSONAL_COMPUTERS.isdisjoint(self.about.words):
            return "windows"
        return "linux" if self.product is not None else self.cpu_class.system

    @property
    def architecture(self) -> str:
        """That of the product, else of the series or class of its processor."""
        if self.product is not None and self.product.architecture is not None:
            return self.product.architecture
        if self.series is not None and self.series.architecture is not None:
            return self.series.architecture
        return self.cpu_class.architecture

    @property
    def memory_gib(self) -> float:
        """The RAM that is stated, else the usual one."""
        if self.ram_gib is not None:
            return self.ram_gib
        if self.product is not None:
            return float(self.product.gib[0])
        usual = self.cpu_class.memory_gib
        if self.cards.label or self.processor is None:
            # as much as its GPUs have, together
            sizes = [card.memory_total_bytes or 0 for card in self.accelerators]
            of_gpus = round(sum(sizes) / units.GIB)
            return float(max(usual, _USUAL_RAM_GIB, of_gpus))
        if self.chip is not None and self.chip.memory_gib is not None:
            return float(self.chip.memory_gib)
        if self.series is not None:
            usual = self.series.on_package_gib or self.series.memory_gib or usual
        return float(usual)

    @property
    def is_ram_known(self) -> bool:
        """Whether the RAM is stated, or comes in one size with the product or the processor."""
        product = self.product
        if self.is_ram_stated:
            return True
        if product is not None and len(product.gib) == 1 and not product.guest:
            return True
        return self.series is not None and self.series.on_package_gib is not None

    @property
    def is_listed(self) -> bool:
        """Whether the name tells the series; of a generation no number was named."""
        if self.chip is not None or self.about.chip is not None:
            return True
        return self.series is not None and "|" not in self.series.kind


def _unnamed_gpu(maker: str | None, vram_gib: float) -> Accelerator:
    """A GPU of which its memory and perhaps its maker are told."""
    memory_bytes = round(vram_gib * units.GIB)
    vendor = maker or gpus.UNKNOWN
    name = f"{_MAKERS.get(vendor, '')} GPU with {units.binary(memory_bytes)}"
    return Accelerator(
        vendor=vendor,
        name=name.strip(),
        memory_total_bytes=memory_bytes,
        unified=False,
    )


def described(about: Description) -> tuple[Machine, str]:
    """The machine of a description, and what else that can mean or what was assumed. Raises
    `UnknownMachineError` where it names no part, or can be several machines.
    """
    computer = _computer_of(about)
    profile = _profile_with(computer)
    if profile is not None:
        return profile
    machine = _planned(computer)
    notes = [_judged_as(computer, machine)]
    notes += computer.cards.notes
    notes += _doubts(computer)
    stated = _stated_cores(machine, about)
    if about.setting.has_no_gpu:
        stated = {"accelerators": (), **stated}
    machine = machine.stated(stated, _quoted(about))
    machine, rate_note = _with_ram_rate(machine, about)
    if rate_note:
        notes.append(rate_note)
    if about.setting.is_wsl:
        machine, half_bytes = _in_wsl(machine)
        notes.append(_note("wsl", half=half_bytes))
    if about.ignored:
        ignored = ", ".join(about.ignored[:_MOST_IGNORED])
        notes.append(f"Ignored (not understood): {ignored}.")
    return machine, " ".join(notes)


def _quoted(about: Description) -> str:
    return f'"{about.text}"'


def _planned(computer: _Computer) -> Machine:
    """The machine of these parts."""
    product = computer.product
    facts = _facts(computer)
    source = _quoted(computer.about)
    scope = computer.about.scope
    confidence = "low"
    if product is not None:
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
    """The sentence that says what a description means."""
    ram = _ram_words(computer.memory_gib)
    guessed = ", assumed" if "memory_total_bytes" in machine.assumed else ""
    title = machine.name.removesuffix(f" with {ram}")
    return f"{_quoted(computer.about)} is judged as {title}, {ram}{guessed}."


def _computer_of(about: Description) -> _Computer:
    """The parts that are told. Raises `UnknownMachineError` where these are too few."""
    product = about.product
    if about.chip is not None and about.chip.mac is not None:
        product = mac_with(about.chip, about.chip.mac, about.ram_gib)
    ram_gib = _usable_ram_gib(product, about.ram_gib)
    is_ram_stated = bool(ram_gib)
    processor = about.processor
    if product is not None and not _tells_more_than_kind(processor):
        processor = product.processor or processor
    cards = _cards_of(about, product)
    guest = None
    if about.scope != "host" and product is None:
        guest = _guest(about, processor)
        ram_gib = guest.ram_gib
        processor = processor or _GUEST_PROCESSOR
    elif not processor and not _has_gpu(about, product, cards):
        _refuse_without_parts(about, product, ram_gib)
        processor = _UNNAMED_PROCESSOR
    return _Computer(
        about=about,
        product=product,
        processor=processor,
        cards=cards,
        ram_gib=ram_gib,
        is_ram_stated=is_ram_stated,
        guest=guest,
    )


def _has_gpu(about: Description, product: Product | None, cards: NamedCards) -> bool:
    """Whether a GPU is told, or comes with the product's processor."""
    if cards.label or about.vram_gib is not None:
        return True
    return product is not None and product.shared is not None


def _usable_ram_gib(product: Product | None, stated_gib: float | None) -> float | None:
    """What of the stated RAM a board's system tells; None of a size that only its disk can have."""
    if product is None or not stated_gib:
        return stated_gib
    for gib in product.gib:
        if 0.9 * stated_gib <= gib <= stated_gib:
            return gib
    if product.gb_per_s is not None and stated_gib > max(product.gib):
        return None
    return stated_gib


def _tells_more_than_kind(processor: str | None) -> bool:
    """Whether a processor is named by more than its kind, as it is not in `r720 dual xeon`."""
    if processor is None:
        return False
    return not cpus.names_a_kind_alone({*processor.split()} - {"2x", "dual"})


def _cards_of(about: Description, product: Product | None) -> NamedCards:
    """The cards that are named, else those of the product. No Mac with Apple's chip has any."""
    if about.chip is not None:
        return joined([])
    if about.cards:
        return joined(about.cards)
    if product is None or product.gpu is None or about.setting.has_no_card:
        return joined([])
    return joined([cards_named(product.gpu)])


def _guest(about: Description, processor: str | None) -> _Guest:
    """The size of a guest; its memory or its cores follow from the other. Raises
    `UnknownMachineError` where neither is told.
    """
    stated = 0
    # the first of them that is told
    for name in ("vcpus", "threads", "cores"):
        stated = stated or about.numbers.get(name, 0)
    if not about.ram_gib and not (processor and stated):
        raise bad_name("guest", about.text)
    usual = max(1, round((about.ram_gib or 0) / _USUAL_GIB_OF_A_PROCESSOR))
    cores = stated or usual
    ram_gib = about.ram_gib or cores * _USUAL_GIB_OF_A_PROCESSOR
    return _Guest(cores=cores, ram_gib=ram_gib, are_cores_stated=bool(stated))


def _refuse_without_parts(
    about: Description, product: Product | None, ram_gib: float | None
) -> None:
    """Refuse a description that names neither processor nor GPU, unless its RAM is all it tells."""
    if about.setting.is_line or product is not None:
        raise bad_name("product", about.text)
    if ram_gib is None or any(map(str.isdecimal, "".join(about.ignored))):
        raise unknown_machine(about.text)


def _facts(computer: _Computer) -> FactValues:
    """What is told, and the cores and rate of memory that come with the product or chip."""
    facts: FactValues = {
        "system": computer.system,
        "architecture": computer.architecture,
        "accelerators": computer.accelerators,
        "cpu_model": computer.processor,
    }
    product = computer.product
    if computer.guest is not None:
        cores = computer.guest.cores
        facts |= {"cpu_cores_usable": float(cores), "cpu_cores_physical": cores}
    elif product is not None and computer.has_product_processor:
        facts |= _facts_of_product(product)
    elif product is None and not computer.cards.label:
        facts[BANDWIDTH] = _soldered_rate(computer.series)
    return facts


def _facts_of_product(product: Product) -> FactValues:
    """The rate of memory and the cores of a product with its own processor."""
    facts: FactValues = {}
    if product.gb_per_s is not None:
        facts[BANDWIDTH] = round(product.gb_per_s * units.GB)
    if product.cores is not None:
        facts["cpu_cores_usable"] = float(product.cores)
        facts["cpu_cores_physical"] = product.physical
        listed = cpus.cores_of(product.processor or "")
        is_listed = listed is not None and listed.are_known
        if listed is not None and is_listed and listed.physical[1] == product.physical:
            facts["cpu_cores_performance"] = listed.performance[1]
    return facts


def _soldered_rate(series: cpus.Processor | None) -> int | None:
    """Bytes a second of memory that is soldered and sold at one rate alone; else None."""
    if series is None or series.memory != "soldered":
        return None
    rates = series.bytes_per_second
    return round(rates.usual) if rates.least == rates.most else None


def _assumed(computer: _Computer, facts: FactValues) -> list[str]:
    """The names of the facts that no word of the description and no row of a table tells."""
    setting = computer.about.setting
    guest = computer.guest
    assumed: list[str] = []
    if not facts.get(BANDWIDTH):
        assumed.append(BANDWIDTH)
    if not computer.is_ram_known:
        assumed += MEMORY_FACTS
    if guest is not None or computer.is_cards_alone:
        assumed.append("architecture")
    if (
        not computer.accelerators
        and computer.product is None
        and not setting.has_no_card
    ):
        assumed.append("accelerators")
    if guest is not None and not guest.are_cores_stated:
        assumed += _CORE_FACTS
    is_system_open = computer.is_cards_alone or not computer.cards.label
    if computer.is_bare and is_system_open and not setting.system:
        assumed.append("system")
    if computer.processor == _UNNAMED_PROCESSOR:
        assumed.append("cpu_model")
    return assumed


def _profile_with(computer: _Computer) -> tuple[Machine, str] | None:
    """Of GPUs alone the laptop or desktop that has them and the least memory, else the server."""
    if not _names_gpus_alone(computer):
        return None
    about = computer.about
    wanted = _names_and_sizes(computer.cards.accelerators)
    card_names = [name for name, _ in wanted]
    kinds = ("laptop",) if about.is_laptop else ("desktop", "server")
    for kind in kinds:
        for profile in profiles_with_cards(kind, card_names):
            machine = profile.machine
            if wanted != _names_and_sizes(machine.accelerators or ()):
                continue
            note = f"{_quoted(about)} is a GPU: judged as {machine.name}, which has it."
            notes = [note, *computer.cards.notes]
            assumed = (*machine.assumed, *MEMORY_FACTS)
            return machine.replace(assumed=assumed), " ".join(notes)
    return None


def _names_gpus_alone(computer: _Computer) -> bool:
    """Whether a description names GPUs, and nothing of the computer around them."""
    about = computer.about
    if not computer.cards.label or computer.processor or computer.product is not None:
        return False
    if about.setting.system or about.setting.is_line:
        return False
    return not computer.ram_gib and "cores" not in about.numbers


def _names_and_sizes(cards: Iterable[Accelerator]) -> list[tuple[str, int | None]]:
    """Each GPU's name and bytes of memory, by which two machines have the same GPUs."""
    return [(card.name, card.memory_total_bytes) for card in cards]


def _stated_cores(machine: Machine, about: Description) -> FactValues:
    """The facts of cores that are stated, where its processor's name tells none."""
    stated = about.numbers.get("cores", 0)
    if not stated or about.chip is not None or machine.scope != "host":
        return {}
    cores = cpus.cores_of(machine.cpu_model or "")
    if cores is not None and cores.are_known:
        return {}
    usable = max(about.numbers.get("threads", 0), stated)
    return {
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": stated,
        "cpu_cores_performance": None,
    }


def _in_wsl(machine: Machine) -> tuple[Machine, int]:
    """The virtual machine in which Windows runs Linux, and the bytes of RAM that it has."""
    half_bytes = (machine.memory_total_bytes or 0) // 2
    facts: FactValues = dict.fromkeys(MEMORY_FACTS, half_bytes)
    machine = machine.stated(facts, "half of the RAM, as WSL has it")
    assumed = (*machine.assumed, *MEMORY_FACTS)
    return machine.replace(scope="vm", system="linux", assumed=assumed), half_bytes


def _title(computer: _Computer) -> str:
    """What the machine is called: `a machine with ryzen 5 5600x and RTX 3090`."""
    about = computer.about
    title = "a machine" if computer.product is None else computer.product.title
    names: list[str] = []
    if computer.guest is not None:
        title = "a virtual machine"
        if about.scope == "container":
            title = "a container"
        names.append(units.plural(computer.guest.cores, "processor"))
    elif computer.named_processor is not None:
        names.append(computer.named_processor)
    if computer.cards.label and about.cards:
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


def _doubts(computer: _Computer) -> list[str]:
    """What else the description can mean, and what was assumed."""
    about = computer.about
    product = computer.product
    notes: list[str] = []
    if product is not None:
        notes += _doubts_of_product(about, product, computer.cards.label)
    notes += _doubts_of_processor(computer)
    if not about.setting.system and about.chip is None and about.scope != "container":
        notes.append(_note("system", system=_SYSTEM_NAMES[computer.system]))
    if about.vram_gib is not None:
        notes.append(_note("vram"))
    elif product is None and not computer.accelerators:
        series = computer.series
        if series is not None and series.graphics and not about.setting.has_no_card:
            notes.append(_note("graphics", graphics=series.graphics))
    if about.chip is not None and about.cards:
        notes.append(_note("card", card=about.cards[0].label))
    if product is not None and computer.ram_gib is None and len(product.gib) > 1:
        sizes = [f"{gib:g} GB" for gib in product.gib[1:]]
        notes.append(_note("sizes", sizes=sizes))
    return notes


def _doubts_of_product(about: Description, product: Product, cards: str) -> list[str]:
    """Cores that its chip does not have, and a GPU that nobody named; `cards` is the label of its
    cards.
    """
    notes: list[str] = []
    cores = about.numbers.get("cores")
    if about.chip is not None and cores not in (None, product.cores):
        ignored = f"{product.cores} cores: the stated {cores} are"
        notes.append(_note("cores", cores=ignored))
    if product.guest and cards and words_of(cards).isdisjoint(about.words):
        notes.append(_note("gpu", gpu=cards))
    return notes


def _doubts_of_processor(computer: _Computer) -> list[str]:
    """How little the description tells of its processor."""
    about = computer.about
    processor = computer.processor
    notes: list[str] = []
    if processor in (_UNNAMED_PROCESSOR, _GUEST_PROCESSOR):
        notes.append(_note("unnamed"))
    elif processor is None:
        if computer.product is None:
            notes.append(_note("unsaid"))
    elif not computer.is_listed:
        notes.append(_note("series", series=processor))
    if about.processor not in (None, processor):
        unstated = f"{about.processor} it has is not stated: judged with {processor}"
        notes.append(_note("kind", kind=unstated))
    return notes


def _ram_words(gib: float) -> str:
    """`16 GB of RAM`, as it is sold; `15.5 GiB of RAM`, which a system tells that kept some."""
    return f"{gib:,g} {'GB' if gib == int(gib) else 'GiB'} of RAM"


def _with_ram_rate(machine: Machine, about: Description) -> tuple[Machine, str]:
    """With the bandwidth that a stated kind of RAM, rate or number of modules means; a note."""
    if machine.scope != "host" or machine.memory_bandwidth_bytes_per_second is not None:
        return machine, ""
    stated = about.numbers
    if not about.ram_kind and stated.keys().isdisjoint(("mts", "channels", "sticks")):
        return machine, ""
    series = gpus.series_in(machine)
    name = (about.ram_kind or "RAM").upper()
    rate = None
    if series is not None:
        rate = _rate_mts(series, about.ram_kind or "", stated.get("mts"))
    if series is None or rate is None:
        return machine, f"Ignored {name}: the processor does not support it."
    used = min(series.channels, stated.get("channels", series.channels))
    if "sticks" in stated and series.bits == 64:
        processors = cpus.count_of(machine.cpu_model or "")
        used = min(used, max(1, stated["sticks"] // processors))
    bandwidth = used * series.bits // 8 * rate * units.MB
    what = f"{units.plural(used, 'channel')} of {name}-{rate}"
    facts: FactValues = {
        BANDWIDTH: bandwidth,
        "memory_bandwidth_how": _how_known(about, series, used),
    }
    # the rate of a kind is a guess
    is_guess = BANDWIDTH in machine.assumed and "mts" not in stated
    machine = machine.stated(facts, f"{what}, as its description says")
    if is_guess:
        machine = machine.replace(assumed=(BANDWIDTH, *machine.assumed))
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _how_known(about: Description, series: cpus.Processor, channels: int) -> str | None:
    """How the bandwidth is known: with its rate assumed, or its channels taken to be filled; None
    where all of it is stated.
    """
    kind = about.ram_kind or ""
    rates = series.bytes_per_second
    if "mts" not in about.numbers and (not kind or rates.slowest >= rates.fastest):
        return RATE_ASSUMED
    # of two channels one may be empty
    if channels != 2 or kind.startswith("lp"):
        return None
    if "sticks" in about.numbers or "channels" in about.numbers:
        return None
    return FILLED_ASSUMED


def _rate_mts(series: cpus.Processor, kind: str, stated: int | None) -> int | None:
    """The rate in MT/s that is stated, else that of the kind of RAM; None where it does not fit."""
    if series.memory == "bus":
        return None
    per_rate = series.bits * series.channels / 8 * units.MB
    rates = series.bytes_per_second
    slowest = round(rates.least / per_rate)
    usual = round(rates.usual / per_rate)
    fastest = round(rates.most / per_rate)
    low, high = cpus.ram_rates(kind) or (slowest, fastest)
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600 (assumed)
    if low > 1.2 * fastest or slowest > 1.2 * high:
        return None
    rate = stated or max(slowest, min(max(low, min(usual, high)), fastest))
    if not _LEAST_OF_SLOWEST * slowest <= rate <= _MOST_OF_FASTEST * fastest:
        return None
    return int(min(rate, fastest) if series.kind == "server" else rate)
