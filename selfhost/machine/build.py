"""A machine from what a description names; what it does not name is assumed, and marked so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from ..core import units
from ..core.records import Record
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus, gpus, macs
from .changes import planned
from .chips import Chip, soldered_chip
from .cloud import Described, has_an_unlisted_gpu
from .description import Description
from .gpu_names import NamedCards, cards_named, joined, shown
from .profiles import Profile, UnknownMachineError, beginning_with, size_of, unknown
from .ram import StatedRam, with_ram
from .record import Accelerator, Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
_MOST_LEFT = 8
# the words for the processors of a guest, the plainest first
_COUNTS_OF_A_GUEST = ("vcpus", "threads", "cores")
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}


class _Parts(Record):
    """What a machine is made of: of the description, else of the product."""

    row: Mapping[str, Any]
    processor: str | None
    series: cpus.Processor | None
    around: cpus.ProcessorClass | None
    chip: Chip | None
    cards: NamedCards | None

    @property
    def architecture(self) -> str | None:
        of_series = self.series.architecture if self.series else None
        return of_series or (self.around.architecture if self.around else None)

    @property
    def is_of_product(self) -> bool:
        """Whether the processor is the product's."""
        return self.processor == self.row.get("processor")


def described(about: Description) -> Described:
    """The machine that the description means. Raises `UnknownMachineError` where it names no
    processor, no GPU, no product and no memory.
    """
    if about.chip is not None:
        judged = _mac(about, about.chip)
    elif about.known:
        judged = _known(about)
    elif about.scope != "host" and about.product is None:
        judged = _guest(about)
    else:
        judged = _computer(about)
    machine, of_ram = with_ram(
        _with_cores(judged.machine, about),
        StatedRam(
            kind=about.ram_kind,
            mts=about.numbers.get("mts"),
            channels=about.numbers.get("channels"),
            sticks=about.numbers.get("sticks"),
        ),
    )
    notes = [judged.note, *about.notes, *filter(None, [of_ram])]
    if about.is_wsl:
        machine, of_wsl = _in_windows(machine)
        notes.append(of_wsl)
    if about.left:
        notes.append(f"Not understood, so left aside: {', '.join(about.left[:_MOST_LEFT])}.")
    return Described(machine=machine, title=judged.title, note=" ".join(notes))


def _refuse_nothing_named(about: Description) -> None:
    """Raises `UnknownMachineError` where not even the RAM is all that is told."""
    text = shown(about.text)
    is_some_machine = about.is_line or about.product is not None
    if about.ram_gib is not None and not is_some_machine and not about.left_hardware:
        return
    if has_an_unlisted_gpu(about.text):
        raise UnknownMachineError(
            f"{text!r} is rented with a GPU, or a part of one, that is not listed",
            remedy="state what it has: --machine 'vm 8 vcpu 32gb' --set gpu=8GiB",
        )
    if is_some_machine:
        raise UnknownMachineError(
            f"{text!r} can be several machines: such computers come with more than one processor",
            remedy=f"name the processor or the GPU beside it: --machine '{text} i5-1235u'",
        )
    raise unknown(about.text)


def _known(about: Description) -> Described:
    """The profile with as much RAM as is stated, else the smallest with that RAM in its place."""
    by_size = sorted(about.known, key=lambda each: size_of(each.machine))
    profile = by_size[0]
    machine = profile.machine
    if about.ram_gib is not None:
        wanted = about.ram_gib * units.GIB
        fitting = [
            each
            for each in by_size
            if 0.9 * wanted <= (each.machine.memory_total_bytes or 0) <= wanted
        ]
        profile = fitting[0] if fitting else profile
        machine = profile.machine
        if not fitting:
            facts = dict.fromkeys(("memory_total_bytes", "memory_limit_bytes"), round(wanted))
            sources = {**machine.sources, **dict.fromkeys(facts, f'"{about.text}"')}
            machine = machine.replace(**facts, sources=sources)
    elif len(by_size) > 1:
        most = by_size[-1].machine.memory_total_bytes
        assumed = (*machine.assumed, "memory_total_bytes")
        machine = machine.replace(assumed=assumed, memory_most_bytes=most)
    note = f'"{about.text}" is judged as {profile.name}.'
    if about.cards:
        label = joined(about.cards).label
        note += f" {label} is left aside: --gpu '{label}' puts it in."
    if about.scope == "container":
        machine = machine.replace(scope="container", name=f"a container on {machine.name}")
    return Described(machine=machine, title=profile.title, note=note)


# ------------------------------------------------------------------ Macs


def _mac(about: Description, row: Mapping[str, Any]) -> Described:
    memory_gib: float = about.ram_gib or row["gib"][0]
    facts = macs.facts(row, memory_gib)
    if (profile := _mac_profile(about, facts)) is not None:
        note = f'"{about.text}" is judged as {profile.name}.'
        return Described(machine=profile.machine, title=profile.title, note=note)
    title = f"Apple {macs.title(row)}"
    note = f'"{about.text}" is judged as {title} with {memory_gib:g} GB'
    if about.ram_gib is None:
        others = ", ".join(f"{size} GB" for size in row["gib"] if size != memory_gib)
        note += ", the memory of the cheapest, assumed."
        note += f" Otherwise name it: {others}." if others else ""
    else:
        note += "."
    if about.cards:
        note += f" {about.cards[0].label} is left aside: no such computer takes a card."
    machine = Machine(
        **facts,
        name=f"a Mac with {title}, {memory_gib:g} GB",
        scope="host",
        confidence="medium",
        assumed=() if about.ram_gib else ("memory_total_bytes",),
        memory_most_bytes=None if about.ram_gib else max(row["gib"]) * units.GIB,
        sources=dict.fromkeys(facts, "from general knowledge of Macs, not looked up"),
    )
    return Described(machine=planned(machine), title=title, note=note)


def _mac_profile(about: Description, facts: Mapping[str, Any]) -> Profile | None:
    """The one profile with that chip and so much memory, where no product is named."""
    if about.ram_gib is None or about.names_mac:
        return None
    matching = [
        each
        for each in beginning_with("mac")
        if all(
            getattr(each.machine, fact) == facts[fact]
            for fact in ("cpu_model", "memory_total_bytes")
        )
    ]
    return matching[0] if len(matching) == 1 else None


def sizes_of_mac(machine: Machine) -> list[int]:
    """Bytes of RAM that Macs with the chip of that machine are sold with."""
    words = words_of(machine.cpu_model or "")
    return [
        size * units.GIB
        for row in shipped_table("macs")["mac"]
        if words == {"apple", row["chip"], *filter(None, [row["variant"]])}
        for size in row["gib"]
    ]


# ------------------------------------------------------------------ virtual machines


def _guest(about: Description) -> Described:
    """A virtual machine or a container of which its processors and memory are told."""
    parts = _parts(about)
    stated = [about.numbers[name] for name in _COUNTS_OF_A_GUEST if about.numbers.get(name)]
    if about.ram_gib is None and not (parts.processor and stated):
        raise UnknownMachineError(
            f"{shown(about.text)!r} tells a virtual machine, but not how large it is",
            remedy="name its processors and its memory: --machine 'vps 4 vcpu 8gb'",
        )
    usable, physical = (stated[0], stated[0]) if stated else _assumed_processors(about)
    gib = about.ram_gib or usable * _USUAL_GIB_OF_A_PROCESSOR
    accelerators = parts.cards.accelerators if parts.cards else _unnamed_gpu(about)
    facts: dict[str, Any] = {
        "system": about.system or "linux",
        "architecture": parts.architecture or "x86_64",
        "memory_total_bytes": round(gib * units.GIB),
        "memory_limit_bytes": round(gib * units.GIB),
        "cpu_model": parts.processor or _GUEST_PROCESSOR,
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": physical,
        "accelerators": accelerators,
    }
    is_assumed = {
        "architecture": True,
        _BANDWIDTH: True,
        "accelerators": not accelerators,
        "cpu_cores_usable": not stated,
        "cpu_cores_physical": not stated,
        "memory_total_bytes": not about.ram_gib,
    }
    kind = "a container" if about.scope == "container" else "a virtual machine"
    name = f"{kind} with {usable} processor{'s' * (usable > 1)}"
    name += f" and {parts.cards.label}" if parts.cards else ""
    machine = Machine(
        **facts,
        name=name,
        scope=about.scope,
        confidence="low",
        assumed=tuple(fact for fact in is_assumed if is_assumed[fact]),
        sources=dict.fromkeys(facts, f'"{about.text}"'),
    )
    host = parts.processor
    of_host = f"Its processor is {host}." if host else "Its host's processor is not told."
    note = f'"{about.text}" is judged as {name} and {_ram_words(gib)}. {of_host}'
    return Described(machine=planned(machine), title=about.text, note=note)


def _assumed_processors(about: Description) -> tuple[int, int]:
    """Processors and physical cores of a guest of which only its memory is told: a container has
    all of its host.
    """
    if about.scope == "container" and about.processor:
        cores = cpus.cores_of(about.processor)
        if cores is not None:
            return cores.usable, cores.physical[1]
    rented = max(1, round((about.ram_gib or 0) / _USUAL_GIB_OF_A_PROCESSOR))
    return rented, rented


def _in_windows(machine: Machine) -> tuple[Machine, str]:
    """The virtual machine in which Windows runs Linux on that computer, with half of its RAM."""
    half = (machine.memory_total_bytes or 0) // 2
    facts = {"memory_total_bytes": half, "memory_limit_bytes": half}
    inside = machine.replace(
        **facts,
        scope="vm",
        system="linux",
        memory_most_bytes=None,
        assumed=tuple(dict.fromkeys((*machine.assumed, *facts))),
        sources={**machine.sources, **dict.fromkeys(facts, "half of the RAM, the default of WSL")},
    )
    return inside, f"WSL has half of the RAM, {units.binary(half)}, unless .wslconfig says more."


# ------------------------------------------------------------------ computers


def _computer(about: Description) -> Described:
    parts = _parts(about)
    if "gb_per_s" in parts.row and (about.ram_gib or 0) > max(parts.row["gib"]):
        # no other memory is soldered to it: that of a disk
        about.ram_gib = None
    has_gpu = parts.cards is not None or about.vram_gib is not None or "shared" in parts.row
    if parts.processor is None and not has_gpu:
        _refuse_nothing_named(about)
        parts = parts.replace(
            processor=_UNNAMED_PROCESSOR, around=cpus.class_of(_UNNAMED_PROCESSOR)
        )
    if parts.cards is not None and _is_gpu_alone(about, parts):
        profile = _profile_with(parts.cards, laptop=about.is_laptop)
        if profile is not None:
            note = f'"{about.text}" is a GPU: judged as {profile.name}, which has it.'
            note = " ".join([note, *parts.cards.notes])
            return Described(machine=profile.machine, title=profile.title, note=note)
    machine = _machine(about, parts)
    title = machine.name
    gib = (machine.memory_total_bytes or 0) / units.GIB
    ram = _ram_words(gib) + (", assumed" if machine.assumes("memory_total_bytes") else "")
    note = " ".join([f'"{about.text}" is judged as {title}, {ram}.', *_doubts(about, parts)])
    return Described(machine=machine, title=title, note=note)


def _is_gpu_alone(about: Description, parts: _Parts) -> bool:
    """Whether nothing is told of the machine but its GPUs."""
    told: tuple[object, ...] = (parts.processor, parts.row, about.system, about.is_line)
    return about.ram_gib is None and "cores" not in about.numbers and not any(told)


def _parts(about: Description) -> _Parts:
    row = about.product or {}
    processor = about.processor
    own: str | None = row.get("processor")
    if own is not None and (processor is None or _is_kind_of(processor, own)):
        processor = own
    words = words_of(processor or "")
    cards = joined(about.cards) if about.cards else None
    if cards is None and "gpu" in row and not about.has_no_gpu:
        cards = cards_named(row["gpu"])
    return _Parts(
        row=row,
        processor=processor,
        series=cpus.processor_of(processor) if processor else None,
        around=cpus.class_of(processor) if processor else None,
        chip=soldered_chip(words),
        cards=cards,
    )


def _is_kind_of(named: str, own: str) -> bool:
    """Whether words tell only the kind of processor that the product has: `r720 dual xeon`."""
    words = {word for word in named.split() if word not in ("2x", "dual")}
    return cpus.names_a_kind_alone(frozenset(words)) and bool(
        words & words_of(own) or cpus.maker_of(named) == cpus.maker_of(own)
    )


def _memory_gib(about: Description, parts: _Parts) -> float:
    """GiB of RAM: as stated, else what most such machines have."""
    if about.ram_gib is not None:
        return about.ram_gib
    if parts.row:
        return float(parts.row["gib"][0])
    of_class = 0 if parts.around is None else parts.around.memory_gib
    if parts.cards is not None or parts.processor is None:
        usual = 32 if parts.cards is None else parts.cards.usual_ram_gib
        return float(max(of_class, usual, about.vram_gib or 0))
    on_package = parts.series.on_package_gib if parts.series else None
    of_series = parts.series.memory_gib if parts.series else None
    return float(on_package or (parts.chip and parts.chip.memory_gib) or of_series or of_class)


def _most_bytes(about: Description, parts: _Parts) -> int | None:
    """The most RAM that such a machine is sold with, where its RAM is assumed."""
    if about.ram_gib is not None or (parts.series and parts.series.on_package_gib):
        return None
    if parts.row:
        return int(max(parts.row["gib"]) * units.GIB)
    return None if parts.around is None else parts.around.most_gib * units.GIB


def _machine(about: Description, parts: _Parts) -> Machine:
    row = parts.row
    memory = round(_memory_gib(about, parts) * units.GIB)
    facts: dict[str, Any] = {
        "system": about.system or _usual_system(about, parts),
        "architecture": row.get("architecture") or parts.architecture or "x86_64",
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "accelerators": _accelerators(about, parts),
        "cpu_model": parts.processor,
        **_cores_of_product(parts),
        _BANDWIDTH: _soldered_bandwidth(parts),
    }
    facts = {fact: value for fact, value in facts.items() if value is not None}
    quoted = f'"{about.text}"'
    source = f"{quoted}: {shipped_table('products')['sources'][row['source']]}" if row else quoted
    assumed = _assumed(about, parts, facts)
    sources = {
        fact: f"{quoted}: assumed, as most such machines have it" if fact in assumed else source
        for fact in facts
    }
    return planned(
        Machine(
            **facts,
            name=_title(about, parts),
            scope="vm" if row.get("guest") else about.scope,
            confidence="medium" if row else "low",
            assumed=tuple(assumed),
            memory_most_bytes=_most_bytes(about, parts),
            sources=sources,
        )
    )


def _usual_system(about: Description, parts: _Parts) -> str:
    """The system of the product, else the one that most such machines have."""
    if "system" in parts.row:
        return str(parts.row["system"])
    if parts.series is not None and parts.series.kind == "phone":
        return "linux"
    if about.is_line and about.is_laptop:
        return "windows"
    return "linux" if parts.row or parts.around is None else parts.around.system


def _cores_of_product(parts: _Parts) -> dict[str, Any]:
    """The cores that the product's row states for its processor."""
    row = parts.row
    if not parts.is_of_product or "cores" not in row:
        return {}
    facts = {"cpu_cores_usable": float(row["cores"]), "cpu_cores_physical": row["physical"]}
    cores = cpus.cores_of(parts.processor) if parts.processor else None
    if cores and cores.are_known and cores.physical[1] == row["physical"] > cores.performance[1]:
        facts["cpu_cores_performance"] = cores.performance[1]
    return facts


def _soldered_bandwidth(parts: _Parts) -> int | None:
    """Bytes per second of memory that comes in one rate with the product or the chip."""
    if "gb_per_s" in parts.row and parts.is_of_product:
        return int(parts.row["gb_per_s"] * units.GB)
    series = parts.series
    if parts.row or parts.cards or series is None or series.memory != "soldered":
        return None
    return round(series.usual) if series.least == series.most else None


def _assumed(about: Description, parts: _Parts, facts: Mapping[str, Any]) -> list[str]:
    """The facts that no word tells."""
    assumed = []
    if not parts.row:
        is_cards_alone = parts.processor is None and about.ram_gib is None
        if parts.cards is None and about.vram_gib is None and not about.has_no_gpu:
            assumed.append("accelerators")
        if about.system is None and (parts.cards is None or is_cards_alone):
            assumed.append("system")
        if is_cards_alone:
            assumed += ["architecture", "memory_limit_bytes"]
        if parts.processor == _UNNAMED_PROCESSOR:
            assumed.append("cpu_model")
    on_package = parts.series is not None and parts.series.on_package_gib is not None
    if about.ram_gib is None and not on_package:
        assumed.append("memory_total_bytes")
    if _BANDWIDTH not in facts:
        assumed.append(_BANDWIDTH)
    return assumed


def _accelerators(about: Description, parts: _Parts) -> tuple[Accelerator, ...]:
    if parts.cards is not None:
        return parts.cards.accelerators
    if about.has_no_gpu:
        return ()
    inside = parts.row.get("shared") or (parts.chip and parts.chip.gpu)
    if inside:
        return (Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True),)
    return _unnamed_gpu(about)


def _unnamed_gpu(about: Description) -> tuple[Accelerator, ...]:
    """A GPU of which its memory, and perhaps its maker, is all that is told."""
    if about.vram_gib is None:
        return ()
    maker = _MAKERS.get(about.gpu_maker or "", "")
    memory = round(about.vram_gib * units.GIB)
    return (
        Accelerator(
            vendor=about.gpu_maker or gpus.UNKNOWN,
            name=f"{maker} GPU with {units.binary(memory)}".strip(),
            memory_total_bytes=memory,
            unified=False,
        ),
    )


def _profile_with(cards: NamedCards, *, laptop: bool) -> Profile | None:
    """The laptop or desktop that has just these GPUs, the one with the least memory, else the
    server.
    """
    wanted = [(card.name, card.memory_total_bytes) for card in cards.accelerators]
    kinds = (
        [beginning_with("laptop")]
        if laptop
        else [beginning_with("desktop"), beginning_with("server")]
    )
    for profile in itertools.chain(*kinds):
        own = [(card.name, card.memory_total_bytes) for card in profile.machine.accelerators or ()]
        if wanted and own == wanted:
            return profile
    return None


def _with_cores(machine: Machine, about: Description) -> Machine:
    """The machine with the cores that its description states; as it is where it states none, or as
    many as its processor has, or more.
    """
    stated, threads = about.numbers.get("cores"), about.numbers.get("threads", 0)
    vcpus = about.numbers.get("vcpus", stated)
    if vcpus is not None and about.product is not None and machine.scope == "vm":
        return machine.replace(cpu_cores_usable=float(vcpus), cpu_cores_physical=vcpus)
    if stated is None and threads and machine.assumes("cpu_cores_usable"):
        # two of a core, as nearly all have that tell their threads
        stated = max(1, threads // 2)
    if stated is None or about.chip is not None or machine.scope != "host":
        return machine
    processor = machine.cpu_model or ""
    cores = cpus.cores_of(processor)
    if cores and cores.are_known and stated >= cores.physical[1] // cpus.count_of(processor):
        return machine
    facts: dict[str, Any] = {
        "cpu_cores_physical": stated,
        "cpu_cores_usable": float(max(threads, stated)),
    }
    return machine.replace(
        **facts,
        cpu_cores_performance=None,
        assumed=tuple(fact for fact in machine.assumed if fact not in facts),
        sources={**machine.sources, **dict.fromkeys(facts, f'"{about.text}"')},
    )


# ------------------------------------------------------------------ words


def _title(about: Description, parts: _Parts) -> str:
    """What the machine is called in a sentence."""
    title: str = parts.row.get("title", "a machine")
    names: list[str] = []
    is_said = parts.row and parts.is_of_product
    if parts.processor and not is_said and parts.processor != _UNNAMED_PROCESSOR:
        names.append(parts.processor)
    if parts.cards is None:
        names += [card.name for card in _unnamed_gpu(about)]
    elif about.cards or not parts.row:
        names.append(parts.cards.label)
    return f"{title} with {' and '.join(names)}" if names else title


def _doubts(about: Description, parts: _Parts) -> list[str]:
    """Sentences on what the names leave open."""
    doubts = [*(parts.cards.notes if parts.cards else ()), *_doubts_of_processor(about, parts)]
    has_no_card = parts.cards is None and not about.has_no_gpu and about.vram_gib is None
    graphics = parts.series.graphics if parts.series else None
    if has_no_card and graphics and not (parts.row or parts.chip):
        doubts.append(f"The GPU inside it is left aside: --gpu '{graphics}' counts it.")
    sizes = parts.row.get("gib", ())
    if about.ram_gib is None and len(sizes) > 1:
        doubts.append(f"Otherwise name it: {', '.join(f'{size:g} GB' for size in sizes[1:])}.")
    if cpus.count_of(parts.processor or "") > 1:
        doubts.append("Of several processors the memory of one is counted.")
    return doubts


def _doubts_of_processor(about: Description, parts: _Parts) -> Iterator[str]:
    processor = parts.processor
    if processor == _UNNAMED_PROCESSOR:
        yield "Its processor is not told, so that its speed is a wide guess."
    elif processor is None and not parts.row:
        yield "Its processor is assumed."
    elif processor and parts.series is None and parts.chip is None:
        yield f"No series of processors is listed for {processor}: a wide guess."
    elif parts.series is not None and parts.series.is_a_generation:
        yield f"The name tells only the generation of {processor}: a wide guess."
    if about.vram_gib is not None:
        yield "Which GPU it is is not told, so that its speed is a wide guess."
    if about.processor and processor != about.processor:
        yield f"Which {about.processor} it has is not told: judged with {processor}."


def _ram_words(gib: float) -> str:
    """`16 GB of RAM`, as it is sold; `15.5 GiB of RAM`, which a system tells that kept some."""
    return f"{gib:,g} {'GB' if gib == int(gib) else 'GiB'} of RAM"
