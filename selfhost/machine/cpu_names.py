"""Machines by the name of their processor, `i5-8250U 16GB`, or of what a cloud rents, `c7i.large`.

A processor's name tells its memory channels, not the machine around it; the rest is assumed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache

from ..core import units
from ..core.records import Record
from ..core.saying import differently, option
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus
from .changes import planned
from .chips import Chip, soldered_chip
from .gpu_names import NamedCards, UnknownGpuError, cards_named
from .gpus import vendor_of
from .profiles import UnknownMachineError
from .record import Accelerator, Machine
from .typed import Typed, memory_gib, ram_words, sizes_alike, typed, without_sizes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_MOST_LETTERS = 120
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
_SAYS_NOTHING = frozenset(("with", "ram", "machine", "server", "and"))
# with letters that no GPU's number has: of a laptop's, `6900hx`, or a desktop's, `5800x3d`
_NUMBER_ALONE = re.compile(
    r"\d{3,5}(?:u|p|v|hs?|hx|hx3d|x3d|x|ge?|t|kf?)", re.IGNORECASE | re.ASCII
)
# a whole computer, of the size of its largest virtual machines: `c7a.metal-48xl`
_METAL = re.compile(r"(?<=[a-z\d])\.metal-(\d{1,3})xl(?![\w-])", re.ASCII | re.IGNORECASE)
_PROCESSORS = re.compile(r"(?<![\w.])(\d{1,3})\s*-?(v?cpus?|v?cores?)(?!\w)", re.ASCII)


class Described(Record):
    """A machine of which only a part was named; `note` says what was assumed."""

    machine: Machine
    title: str
    note: str


def machine_with(text: str, *, class_is_enough: bool = False) -> Described | None:
    """A machine with the processor that the text names, and with the RAM that it states or else
    what most such machines have. None where it names no processor, unless `class_is_enough`: that
    it names a kind of them. Raises `UnknownMachineError` for a number of several processors, and
    for two sizes that may each be that of the RAM.
    """
    stated = typed(text[: 2 * _MOST_LETTERS])
    name = _name_of_processor(stated, text)
    if name is None:
        return None
    around = cpus.class_of(name)
    series = cpus.processor_of(name)
    if around is None or not (series or class_is_enough or _has_number(name, around)):
        return None
    refuse_two_makers(text, name)
    ask_which_is_ram(text, stated)
    on_package_gib = series.on_package_gib if series is not None else None
    stated_gib = memory_gib(stated, is_server=cpus.is_server(name)) or on_package_gib
    chip = soldered_chip(words_of(name))
    gib = stated_gib or _usual_gib(chip, series, around)
    stated_facts = {"accelerators": None, "system": stated.system, "memory_total_bytes": stated_gib}
    assumed = [fact for fact, value in stated_facts.items() if value is None]
    why = "assumed: the processor's name does not tell it"
    sources = {**dict.fromkeys(assumed, why), "cpu_model": f'"{text.strip()}"'}
    sources |= _sources_of_series(series, stated_gib)
    bandwidth = round(series.usual) if series is not None and _has_one_memory(series) else None
    if bandwidth is None:
        assumed.append(_BANDWIDTH)
    machine = Machine(
        name=f"a machine with {name}",
        scope="host",
        system=stated.system or _system_of(series, around),
        architecture=_architecture_of(series, around),
        cpu_model=name,
        memory_total_bytes=round(gib * units.GIB),
        memory_limit_bytes=round(gib * units.GIB),
        memory_most_bytes=around.most_gib * units.GIB if stated_gib is None else None,
        memory_bandwidth_bytes_per_second=bandwidth,
        accelerators=_graphics_of(chip),
        confidence="low",
        assumed=tuple(assumed),
        sources=sources,
    )
    machine = planned(machine)
    unlike = of_cores(machine, stated)
    machine = with_cores(machine, stated)
    note = _note(text, series, chip, machine, is_stated=stated_gib is not None) + unlike
    return Described(machine=machine, title=name, note=note)


def refuse_two_makers(text: str, name: str) -> None:
    """Raises `UnknownMachineError` where a processor's name tells two kinds, and none whole."""
    if cpus.processor_of(name) is None and cpus.is_of_two_makers(name):
        raise UnknownMachineError(
            f"{text.strip()!r} names processors of two makers",
            remedy=f"name one of them whole: {option('machine', 'i5-8250U 16GB')}",
        )


def _architecture_of(series: cpus.Processor | None, around: cpus.ProcessorClass) -> str | None:
    return (series.architecture if series else None) or around.architecture


def _sources_of_series(
    series: cpus.Processor | None, stated_gib: float | None
) -> Iterator[tuple[str, str]]:
    """Fact and source of what a series of processors settles: the RAM on its package, and the one
    kind of memory that it is sold with.
    """
    if series is None:
        return
    if series.on_package_gib is not None and stated_gib == series.on_package_gib:
        yield "memory_total_bytes", f"the package of the {series.name} holds it"
    if _has_one_memory(series):
        yield _BANDWIDTH, f"the series {series.name} is sold with this memory alone"


def ask_which_is_ram(text: str, stated: Typed) -> None:
    """Raises `UnknownMachineError` where two sizes may each be that of the RAM."""
    sizes = sizes_alike(stated)
    if sizes:
        listed = " and ".join(f"{size:g} GB" for size in sizes)
        example = f"i5-8250U {sizes[-1]:g}GB RAM"
        raise UnknownMachineError(
            f"{text.strip()!r} states {listed}: it does not tell which is the RAM",
            remedy=f"leave one out, or say it: {option('machine', example)}",
        )


def _name_of_processor(stated: Typed, text: str) -> str | None:
    """What is typed without sizes and words for a box; None where no name is left."""
    plain = without_sizes(_screens().sub(" ", stated.names))
    words = plain.replace(",", " ").split()
    silent = {*shipped_table("products")["boxes"], *_words_for_no_gpu(words)}
    name = _with_its_maker(" ".join(word for word in words if word.lower() not in silent), text)
    name = _without_what_it_is_in(name)
    if not name or len(name) > _MOST_LETTERS or not name.isprintable():
        return None
    return _of_its_number(name)


def _without_what_it_is_in(name: str) -> str:
    """The kind of processor without words for who made the machine, `dell i5`; a name of which a
    series is listed, and one that tells no kind, as it is.
    """
    around = cpus.class_of(name)
    if around is None or cpus.processor_of(name) is not None:
        return name
    idle = {*shipped_table("products")["idle"]} - {*around.words, *cpus.MAKERS, "processor"}
    return " ".join(word for word in name.split() if word.lower() not in idle)


@lru_cache(1)
def _screens() -> re.Pattern[str]:
    """What finds the size of a laptop's screen, `15,6 Zoll`, `14"`."""
    words = "|".join(shipped_table("products")["inches"])
    return re.compile(
        rf"(?<![\w.])1\d(?:[., ]\d{{1,2}})?(?:[\"”″]|[ -]?(?:{words})(?!\w))", re.IGNORECASE
    )


def _words_for_no_gpu(words: Iterable[str]) -> frozenset[str]:
    """The words that are no part of a processor's name where one of them says that there is no GPU
    but its own, `no gpu`, `integrated graphics`; none elsewhere.
    """
    table = shipped_table("products")
    unnamed = table["unnamed"]
    if {word.lower() for word in words}.isdisjoint(unnamed["none"]):
        return frozenset()
    of_gpus = (*unnamed["none"], *unnamed["gpu"], *unnamed["filler"])
    return frozenset((*of_gpus, *table["plain"]["without"]))


def with_cores(machine: Machine, stated: Typed) -> Machine:
    """The machine with the cores that its description states; as it is where it states none, or
    those that its processor has, or more. Threads that nothing tells are counted as none beside the
    cores.
    """
    is_known = not machine.assumes("cpu_cores_usable")
    if stated.cores is None or (is_known and stated.cores == machine.cpu_cores_physical):
        return machine
    own = _cores_of_its_processor(machine)
    if own is not None and stated.cores >= own.cores // own.processors:
        return machine
    usable = float(max(stated.threads or 0, stated.cores))
    facts: dict[str, Any] = {"cpu_cores_physical": stated.cores, "cpu_cores_usable": usable}
    return machine.replace(
        **facts,
        cpu_cores_performance=None,
        assumed=tuple(fact for fact in machine.assumed if fact not in facts),
        sources={**machine.sources, **dict.fromkeys(facts, "the cores that were typed")},
    )


def of_cores(machine: Machine, stated: Typed) -> str:
    """What to say where a description states other cores than its processor has; else empty."""
    own = _cores_of_its_processor(machine)
    if own is None or stated.cores in (None, own.cores, own.cores // own.processors):
        return ""
    if (stated.cores or 0) > own.cores // own.processors:
        return f" It has {own.cores} cores, not {stated.cores}: judged with the {own.cores}."
    return f" It has {own.cores} cores: the {stated.cores} that were typed are counted."


class _OwnCores(Record):
    """The cores of all processors together, and how many processors these are."""

    cores: int
    processors: int


def _cores_of_its_processor(machine: Machine) -> _OwnCores | None:
    """Those that the model has; None where they are not known, or a guest has a part of them."""
    own = cpus.cores_of(machine.cpu_model) if machine.cpu_model else None
    if own is None or not own.are_known or machine.scope != "host":
        return None
    return _OwnCores(cores=own.physical[1], processors=cpus.count_of(machine.cpu_model or ""))


def _system_of(series: cpus.Processor | None, around: cpus.ProcessorClass) -> str:
    """The system of most machines with one; programs on a phone run in Termux, which is Linux."""
    return "linux" if series is not None and series.kind == "phone" else around.system


def _has_one_memory(series: cpus.Processor) -> bool:
    """Whether the chip comes with one memory, whatever the machine around it."""
    return series.memory == "soldered" and series.least == series.most


def _usual_gib(
    chip: Chip | None, series: cpus.Processor | None, around: cpus.ProcessorClass
) -> float:
    """GiB of RAM of most machines with that processor: by its chip, its series, else its class."""
    of_chip = None if chip is None else chip.memory_gib
    of_series = None if series is None else series.memory_gib
    return of_chip or of_series or around.memory_gib


def _graphics_of(chip: Chip | None) -> tuple[Accelerator, ...]:
    """The GPU in the chip, which shares its memory."""
    if chip is None or chip.gpu is None:
        return ()
    return (Accelerator(vendor=vendor_of(chip.gpu), name=chip.gpu, unified=True),)


def _of_its_number(name: str) -> str:
    """The processor whose bare number stands beside what is unknown, `eqr6 6900hx`, or beside its
    maker, `xps intel 155h`; the name as it is where it tells a class, or no number is that of one
    processor.
    """
    words = name.split()
    makers = [word for word in words if word.lower() in cpus.MAKERS]
    if cpus.class_of(" ".join(word for word in words if word not in makers)) is not None:
        return name
    numbers = [" ".join([*makers, word]) for word in words if _NUMBER_ALONE.fullmatch(word)]
    whole = [each for number in numbers for each in cpus.names_of_number(number)]
    return whole[0] if len(whole) == 1 else name


def _with_its_maker(name: str, text: str) -> str:
    """A bare model number with its maker's words; any other name as it is."""
    whole = cpus.names_of_number(name)
    if len(whole) > 1:
        examples = [option("machine", text.lower().replace(name.lower(), each)) for each in whole]
        raise UnknownMachineError(
            f"{text.strip()!r} can be several processors", remedy=f"name one: {', '.join(examples)}"
        )
    return whole[0] if whole else name


def _has_number(name: str, around: cpus.ProcessorClass) -> bool:
    """Whether it has a number beside the words that tell its class, or as one of them: `i5` alone
    has none, `n305` has.
    """
    words = words_of(name)
    others = any(any(map(str.isdecimal, word)) for word in words - around.words)
    return others or _most_digits(words) > 1


def _most_digits(words: Iterable[str]) -> int:
    return max((sum(map(str.isdecimal, word)) for word in words), default=0)


def names_a_class_alone(text: str) -> bool:
    """Whether the text has a word that tells a processor's class, and nothing that tells which."""
    name = without_sizes(typed(text[: 2 * _MOST_LETTERS]).names)
    is_class = cpus.class_of(name) is not None and cpus.processor_of(name) is None
    return is_class and _most_digits(words_of(name)) < 2


def names_nothing_but_a_class(text: str) -> bool:
    """Whether the text is a kind of processor, `celeron` or `dell i5`, and nothing else; a maker is
    one of a computer that is no server, `amd laptop`.
    """
    name = _name_of_processor(typed(text[: 2 * _MOST_LETTERS]), text)
    if name is None:
        return False
    words = words_of(name)
    forms: Sequence[str] = shipped_table("products")["plain"]["forms"]
    is_of_a_client = not frozenset(forms).isdisjoint(text.lower().split())
    return cpus.names_a_kind_alone(words) or (is_of_a_client and words <= {*cpus.MAKERS})


def _note(
    text: str,
    series: cpus.Processor | None,
    chip: Chip | None,
    machine: Machine,
    *,
    is_stated: bool,
) -> str:
    gib = (machine.memory_total_bytes or 0) / units.GIB
    of_series = _what_its_series_tells(text, series, chip)
    inside, left_aside = _gpu_inside(series, chip)
    ram = ram_words(gib) if is_stated else f"{ram_words(gib)}, assumed,"
    # two Xeon E5 gave such programs no more than one did (`verdict.memory_bandwidth`)
    one_of_them = (
        " Of several processors the memory of one is counted: programs that ignore NUMA nodes get"
        " no more."
    )
    name = text.strip()
    whole = name if is_stated else f"{name} {2 * gib:g}GB"
    is_typed = not machine.assumes("cpu_cores_usable")
    cores = cpus.cores_of(machine.cpu_model or "")
    counted, are_known = "", True
    if is_typed and machine.cpu_cores_physical is not None:
        counted = f" {_counted(machine.cpu_cores_physical, 'core')},"
    elif cores is not None:
        (least, usual, most), are_known = cores.physical, cores.are_known
        counted = (
            f" {_counted(usual, 'core')}{'' if are_known else f' (assumed: {least} to {most})'},"
        )
    return (
        f'"{name}" is judged as a machine with this processor,{counted} {ram} and {inside}.'
        f" {of_series}{one_of_them if cpus.count_of(name) > 1 else ''}{left_aside} State the rest: "
        + differently(
            f"--machine '{whole}' --gpu NAME{'' if are_known else ' --set cores=8'}",
            f'machine="{whole} RTX 4090"',
        )
        + "."
    )


def _gpu_inside(series: cpus.Processor | None, chip: Chip | None) -> tuple[str, str]:
    """What is counted of GPUs, and a sentence on one that could be."""
    if chip is not None and chip.gpu is not None:
        return f"its {chip.gpu}", ""
    if chip is not None or series is None or series.graphics is None:
        return "no GPU", ""
    return "no graphics card", (
        f" The GPU inside it ({series.graphics} at most) reads prompts faster and is left aside:"
        f" {option('gpu', series.graphics)} counts it."
    )


def _what_its_series_tells(text: str, series: cpus.Processor | None, chip: Chip | None) -> str:
    """A sentence on what the speed follows from: the memory of its chip, else of its series, else a
    guess by its class.
    """
    if chip is not None:
        return f"Its memory is that of the {chip.name}."
    if series is not None and series.is_a_generation:
        return (
            f"The name tells only its generation ({series.name}), so that its speed is a wide"
            f" guess: name it whole, as in {option('machine', 'i5-8250U 16GB')}."
        )
    if series is not None:
        what = "front-side bus is that" if series.memory == "bus" else "memory channels are those"
        of_series = f"Its {what} of the {series.name}."
        if series.architecture == "i686":
            of_series += " It runs 32-bit programs alone: no 64-bit system or build starts on it."
        return of_series
    if names_a_class_alone(text):
        return (
            "Only the kind of processor is told, so that its speed is a wide guess: name it whole,"
            f" as in {option('machine', 'i5-8250U 16GB')}."
        )
    return "Its series is not listed, so that its speed is a wide guess by its class."


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


# ------------------------------------------------------------------ what clouds rent


def rented(text: str) -> Described | None:
    """The machine that a cloud's name for a type means, `m6a.xlarge`, `n2-standard-8`,
    `Standard_D4s_v5`, with GPUs that are named behind it, `n1-standard-8 + t4`; None for any other
    text. Raises `SpecError` where the table is missing.
    """
    plain = text.strip()
    if len(plain) > _MOST_LETTERS or not any(map(str.isdecimal, plain)):
        return None
    own = _METAL.sub(r".\1xlarge", _without_provider(plain))
    # a disk and a system beside it tell nothing of the type
    return _rented_as(own) or _rented_as(" ".join(typed(own).names.split())) or stated_guest(plain)


class _Guest(Record):
    """What a text tells of a virtual machine or a container; None for what it does not. `host` is
    the processor that it names, or the kind of them.
    """

    host: str | None
    processors: int | None
    gib: float | None
    is_container: bool
    system: str | None

    @property
    def is_sized(self) -> bool:
        """Without its processors nothing tells how much memory there may be."""
        if 0 in (self.processors, self.gib):
            return False
        return self.gib is not None or (self.host is not None and self.processors is not None)


def stated_guest(text: str) -> Described | None:
    """The virtual machine or container of which a text tells processors and memory, `vps 4 vcpu
    8gb`, and perhaps the host's processor, `epyc 7742 vm 16 cores`, `docker 8gb epyc`; None for any
    other text.
    """
    guest = _guest(text)
    if guest is None or not guest.is_sized:
        return None
    host_cores = _cores_of_host(guest)
    # clouds rent half as many as GiB of memory where nothing else is said
    rented_count = max(1, round((guest.gib or 0) / _USUAL_GIB_OF_A_PROCESSOR))
    usable = host_cores.usable if host_cores else rented_count
    processors = guest.processors or usable
    gib = guest.gib or processors * _USUAL_GIB_OF_A_PROCESSOR
    scope, kind = (
        ("container", "a container") if guest.is_container else ("vm", "a virtual machine")
    )
    memory = round(gib * units.GIB)
    facts: dict[str, Any] = {
        "system": guest.system or "linux",
        "architecture": _architecture_of_host(guest.host),
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "cpu_model": guest.host or shipped_table("cloud_types")["stated"]["cpu"],
        "cpu_cores_usable": float(processors),
        "cpu_cores_physical": host_cores.physical[1] if host_cores else processors,
        "accelerators": (),
    }
    unsaid = () if guest.processors else ("cpu_cores_usable", "cpu_cores_physical")
    not_told = () if guest.gib else ("memory_total_bytes",)
    machine = Machine(
        **facts,
        name=f"{kind} with {_counted(processors, 'processor')}",
        scope=scope,
        confidence="low",
        assumed=("architecture", "accelerators", _BANDWIDTH, *unsaid, *not_told),
        sources=dict.fromkeys(facts, f'"{text}"'),
    )
    note = _note_on_guest(text, guest, machine, gib)
    return Described(machine=planned(machine), title=text, note=note)


def _note_on_guest(text: str, guest: _Guest, machine: Machine, gib: float) -> str:
    """What the guest is judged as, and what of it is assumed."""
    processors_assumed = "" if guest.processors else ", assumed"
    ram_assumed = "" if guest.gib else ", assumed,"
    of_host = "" if guest.host is None else f" of {guest.host}"
    note = (
        f'"{text}" is judged as {machine.name}{of_host}{processors_assumed},'
        f" {ram_words(gib)}{ram_assumed} and no GPU."
    )
    if guest.host is None:
        note += " Its host's processor is not told, so that its speed is a wide guess by its class."
    elif guest.is_container and not guest.processors:
        limited = option("machine", f"{text.strip()} 4 cpus")
        note += f" A container may use every processor of its host: name a limit, as in {limited}."
    return note


def _cores_of_host(guest: _Guest) -> cpus.Cores | None:
    """Those that a container without a stated limit may use: all that its host has. None of any
    other guest.
    """
    if guest.host is None or guest.processors or not guest.is_container:
        return None
    return cpus.cores_of(guest.host)


def _architecture_of_host(host: str | None) -> str:
    series, around = (
        (None, None) if host is None else (cpus.processor_of(host), cpus.class_of(host))
    )
    return (series and series.architecture) or (around.architecture if around else "x86_64")


def _guest(text: str) -> _Guest | None:
    """None where no word says that it is one, or one says something else."""
    table = shipped_table("cloud_types")["stated"]
    stated = typed(text)
    names = without_sizes(stated.names).replace(",", " ").lower()
    names = " ".join(table["shapes"].get(word, word) for word in names.split())
    match = _PROCESSORS.search(names)
    words = _PROCESSORS.sub(" ", names, count=1).split()
    of_guests = {*table["words"], *table["containers"]}
    is_virtual = match is not None and "v" in match[2]
    is_shape = not table["shapes"].keys().isdisjoint(stated.names.lower().split())
    of_host = [word for word in words if word not in {*of_guests, *_SAYS_NOTHING, *table["hosts"]}]
    around_hosts = {*table["guests"], *table["containers"]}
    tells_host = is_virtual or is_shape or not set(words).isdisjoint(around_hosts)
    host = _host_named(of_host) if tells_host else None
    if not (is_virtual or is_shape or not set(words).isdisjoint(of_guests)) or (
        of_host and host is None
    ):
        return None
    return _Guest(
        host=host,
        processors=stated.threads or stated.cores if match is None else int(match[1]),
        gib=memory_gib(stated, is_server=True),
        is_container=not set(words).isdisjoint(table["containers"]),
        system=stated.system,
    )


def _host_named(words: Sequence[str]) -> str | None:
    """The listed processor that the words are the whole name of, or the kind of processor that
    they tell and nothing else; None where they are none.
    """
    name = " ".join(words)
    around = cpus.class_of(name) if words else None
    is_kind_alone = around is not None and around.words.issuperset(words)
    return name if is_kind_alone or (words and cpus.processor_of(name) is not None) else None


def says_guest(text: str) -> bool:
    """Whether a word tells a virtual machine or a container, `vm`, `8 vcpu`, `docker`."""
    table = shipped_table("cloud_types")["stated"]
    words = set(text.lower().replace(",", " ").split())
    counts = (match[2] for match in _PROCESSORS.finditer(text.lower()))
    return any("v" in unit for unit in counts) or not words.isdisjoint(
        (*table["words"], *table["containers"])
    )


def has_an_unlisted_gpu(text: str) -> bool:
    """Whether it is the name of a type that a cloud rents with a GPU, of which no row tells it."""
    name = _without_provider(text.strip()).lower()
    pattern: str = shipped_table("cloud_types")["unlisted"]
    return len(name) <= _MOST_LETTERS and re.fullmatch(pattern, name, re.ASCII) is not None


def is_guest_without_size(text: str) -> bool:
    """Whether it tells a virtual machine and nothing of its size, `ovh vps`, `contabo vps m`."""
    words = text.lower().replace(",", " ").split()
    is_sized = memory_gib(typed(text), is_server=True) or _PROCESSORS.search(text.lower())
    return not is_sized and not set(words).isdisjoint(
        shipped_table("cloud_types")["stated"]["words"]
    )


def _without_provider(text: str) -> str:
    """The text without the words for who rents it out, before it or behind: `google cloud`."""
    providers = shipped_table("cloud_types")["providers"]
    # SageMaker's names have `ml.` before them
    words = text.removeprefix("ml.").split()
    words = list(itertools.dropwhile(lambda word: word.lower() in providers, words))
    while len(words) > 1 and words[-1].lower() in providers:
        words.pop()
    return " ".join(words)


def _rented_as(text: str) -> Described | None:
    """As `rented`, of the name of a type and of GPUs behind it alone."""
    table = shipped_table("cloud_types")
    name, _, beside = text.partition(" ")
    added = _cards_beside(beside) if beside else None
    typed_name = (text if added is None else name).lower()
    whole_name, count = _without_constraint(typed_name)
    for row in table["type"]:
        if whole_name[:1] not in row["begins"]:
            continue
        match = re.fullmatch(row["types"], whole_name, re.ASCII)
        if match is None:
            continue
        processors = _processors(match["size"], row, table["sizes"])
        gib = _gib(match, row, processors)
        if gib is not None and processors > (count or 0):
            cards = added or _cards_of_type(row, processors)
            source = table["sources"][row["source"]]
            return _rented(text, row, gib, count or processors, cards, source)
    return None


def _without_constraint(name: str) -> tuple[str, int | None]:
    """The name of the type whose memory it has, and its processors, where it has fewer of them,
    `Standard_E8-4s_v5`; any other name as it is, and None.
    """
    match = re.fullmatch(shipped_table("cloud_types")["constrained"], name, re.ASCII)
    if match is None:
        return name, None
    return f"{match['before']}{match['behind']}", int(match["count"])


def _cards_beside(text: str) -> NamedCards | None:
    """The GPUs behind the name of a type; None where none are named."""
    name = text.lstrip("+, ").removeprefix("with ")
    try:
        return cards_named(name, listed_only=True, explains=False)
    except UnknownGpuError:
        return None


def _cards_of_type(row: Mapping[str, Any], processors: int) -> NamedCards | None:
    """The GPUs that a type of the series has; None for a series without."""
    if "gpu" not in row:
        return None
    return cards_named(f"{row.get('gpus', {}).get(str(processors), 1)}x {row['gpu']}")


def _gib(match: re.Match[str], row: Mapping[str, Any], processors: int) -> float | None:
    """GiB of a type: those that its name states, or so many for each processor; None for a kind
    that the series does not have.
    """
    named = match.groupdict()
    if "gib" in named:
        return float(named["gib"])
    of_each: float | None = row["gib"].get(named["kind"])
    return None if of_each is None else of_each * processors


def _processors(size: str, row: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """The virtual processors of a size; 0 for a word that is none."""
    if "processors" in row:
        of_size: int = row["processors"].get(size, 0)
        return of_size
    if size.isdecimal():
        return int(size)
    word = size.lstrip("0123456789")
    return sizes.get(word, 0) * int(size[: -len(word)] or 1)


def _rented(
    text: str,
    row: Mapping[str, Any],
    gib: float,
    processors: int,
    cards: NamedCards | None,
    source: str,
) -> Described:
    around = cpus.class_of(row["cpu"])
    memory = round(gib * units.GIB)
    facts: dict[str, Any] = {
        "system": "linux",
        "architecture": "x86_64" if around is None else around.architecture,
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "cpu_model": row["cpu"],
        "cpu_cores_usable": float(processors),
        "cpu_cores_physical": max(1, processors // row["threads"]),
        "accelerators": () if cards is None else cards.accelerators,
    }
    machine = Machine(
        **facts,
        name=text,
        scope="vm",
        confidence="medium",
        assumed=(_BANDWIDTH, "cpu_model") if row.get("any_host") else (_BANDWIDTH,),
        sources=dict.fromkeys(facts, source),
    )
    title = f"{row['provider']} {text}"
    parts = [units.binary(memory), f"{processors} virtual processors of {row['cpu']}"]
    parts += [] if cards is None else [cards.label]
    note = f"{title}: {', '.join(parts)}."
    return Described(machine=planned(machine), title=title, note=note)
