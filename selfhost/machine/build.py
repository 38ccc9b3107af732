"""A machine from what a description names; what it does not name is assumed, and marked so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core import units
from ..core.records import Record
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus, gpus
from .changes import planned
from .chips import Chip, apple_chip, soldered_chip
from .gpu_names import NamedCards, cards_named, joined
from .profiles import (
    NamedProfile,
    Profile,
    beginning_with,
    described_as,
    refusal,
    size_of,
    unknown,
)
from .ram import with_ram
from .record import Accelerator, Machine
from .understand import Description, mac_title

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
_USUAL_RAM_GIB = 32
_MOST_LEFT = 8
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
    def is_of_product(self) -> bool:
        """Whether the processor is the product's."""
        return self.processor == self.row.get("processor")


def described(about: Description) -> NamedProfile:
    """The machine that the description means. Raises `UnknownMachineError` where it names no
    processor, no GPU, no product and no memory.
    """
    if about.chip is not None:
        machine, note = _mac(about, about.chip)
    elif about.known:
        machine, note = _known(about)
    elif about.scope != "host" and not about.product:
        machine, note = _guest(about)
    else:
        machine, note = _computer(about)
    machine = _with_cores(machine, about)
    machine, of_ram = with_ram(machine, about.ram_kind, about.numbers)
    notes = [note, *about.notes, *filter(None, (of_ram,))]
    if about.is_wsl:
        machine, of_wsl = _in_windows(machine)
        notes.append(of_wsl)
    if about.left:
        notes.append(f"Not understood, so left aside: {', '.join(about.left[:_MOST_LEFT])}.")
    return described_as(machine, machine.name, " ".join(notes))


# ------------------------------------------------------------------ known machines


def _known(about: Description) -> tuple[Machine, str]:
    """The profile with as much RAM as is stated, else the smallest with that RAM in its place."""
    by_size = sorted(about.known, key=lambda each: size_of(each.machine))
    wanted = round((about.ram_gib or 0) * units.GIB)
    sizes = [each.machine.memory_total_bytes or 0 for each in by_size]
    at = next((at for at, size in enumerate(sizes) if 0.9 * wanted <= size <= wanted), None)
    profile = by_size[at or 0]
    machine = profile.machine
    if wanted and at is None:
        facts = dict.fromkeys(("memory_total_bytes", "memory_limit_bytes"), wanted)
        sources = {**machine.sources, **dict.fromkeys(facts, f'"{about.text}"')}
        machine = machine.replace(**facts, sources=sources)
    elif not wanted and len(by_size) > 1:
        assumed = (*machine.assumed, "memory_total_bytes")
        machine = machine.replace(assumed=assumed, memory_most_bytes=sizes[-1])
    note = f'"{about.text}" is judged as {profile.name}.'
    if about.cards:
        label = joined(about.cards).label
        note += f" {label} is left aside: --gpu '{label}' puts it in."
    if about.scope == "container":
        machine = machine.replace(scope="container", name=f"a container on {machine.name}")
    return machine, note


def _mac(about: Description, row: Mapping[str, Any]) -> tuple[Machine, str]:
    memory_gib: float = about.ram_gib or row["gib"][0]
    facts = _facts_of_mac(row, memory_gib)
    title = f"Apple {mac_title(row)}"
    note = f'"{about.text}" is judged as {title} with {memory_gib:g} GB'
    others = ", ".join(f"{size} GB" for size in row["gib"] if size != memory_gib)
    is_assumed = about.ram_gib is None
    note += ", the memory of the cheapest, assumed." if is_assumed else "."
    note += f" Otherwise name it: {others}." if is_assumed and others else ""
    if about.cards:
        note += f" {about.cards[0].label} is left aside: no such computer takes a card."
    machine = Machine(
        **facts,
        name=f"a Mac with {title}, {memory_gib:g} GB",
        scope="host",
        confidence="medium",
        assumed=("memory_total_bytes",) if is_assumed else (),
        memory_most_bytes=max(row["gib"]) * units.GIB if is_assumed else None,
        sources=dict.fromkeys(facts, "from general knowledge of Macs, not looked up"),
    )
    return planned(machine), note


def _facts_of_mac(row: Mapping[str, Any], memory_gib: float) -> dict[str, Any]:
    """What a Mac with that chip and so much memory is. Raises `NotOneMachineError` for a size that
    it was not sold with.
    """
    if memory_gib not in row["gib"]:
        rows = shipped_table("macs")["mac"]
        with_size = [row for row in rows if memory_gib in row["gib"]]
        others = [mac_title(each) for each in with_size if each["chip"] == row["chip"]]
        of_others = f"; one with {memory_gib:g} GB has an {' or '.join(others)}" if others else ""
        sold = ", ".join(f"{size} GB" for size in row["gib"])
        name = mac_title(row)
        raise refusal("mac_size", name, chip=name, gib=memory_gib, sizes=sold, others=of_others)
    name, is_smaller = f"Apple {mac_title(row)}", memory_gib in row.get("smaller", ())
    memory = round(memory_gib * units.GIB)
    out: dict[str, Any] = {
        "system": "macos",
        "architecture": "aarch64",
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "cpu_model": name,
        "cpu_cores_usable": float(row["smaller_cores"] if is_smaller else row["cores"]),
        "accelerators": (Accelerator(vendor="apple", name=f"{name} GPU", unified=True),),
    }
    chip = apple_chip(row["chip"], row["variant"])
    if chip is not None:
        gb_per_s = chip.smaller[1] if is_smaller and chip.smaller else chip.gb_per_s
        out["memory_bandwidth_bytes_per_second"] = round(gb_per_s * units.GB)
    return out


# ------------------------------------------------------------------ virtual machines


def _guest(about: Description) -> tuple[Machine, str]:
    """A virtual machine or a container of which its processors and memory are told."""
    parts = _parts(about)
    counts = (about.numbers.get(name) for name in ("vcpus", "threads", "cores"))
    stated = next(filter(None, counts), 0)
    if about.ram_gib is None and not (parts.processor and stated):
        raise refusal("guest", about.text)
    usable = stated or max(1, round((about.ram_gib or 0) / _USUAL_GIB_OF_A_PROCESSOR))
    gib = about.ram_gib or usable * _USUAL_GIB_OF_A_PROCESSOR
    cards = _accelerators(about, parts)
    facts: dict[str, Any] = {
        "system": about.system or "linux",
        "architecture": _architecture(parts),
        "memory_total_bytes": round(gib * units.GIB),
        "memory_limit_bytes": round(gib * units.GIB),
        "cpu_model": parts.processor or _GUEST_PROCESSOR,
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": usable,
        "accelerators": cards,
    }
    assumed = ["architecture", _BANDWIDTH, *(["accelerators"] if not cards else [])]
    assumed += [] if stated else ["cpu_cores_usable", "cpu_cores_physical"]
    assumed += [] if about.ram_gib else ["memory_total_bytes"]
    kind = "a container" if about.scope == "container" else "a virtual machine"
    beside = [f"{usable} processor{'s' * (usable > 1)}", *(each.label for each in about.cards)]
    name = f"{kind} with {' and '.join(beside)}"
    machine = Machine(
        **facts,
        name=name,
        scope=about.scope,
        confidence="low",
        assumed=tuple(assumed),
        sources=dict.fromkeys(facts, f'"{about.text}"'),
    )
    host = f"Its processor is {facts['cpu_model']}."
    return planned(machine), f'"{about.text}" is judged as {name} and {_ram_words(gib)}. {host}'


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


def _computer(about: Description) -> tuple[Machine, str]:
    parts = _parts(about)
    if "gb_per_s" in parts.row and (about.ram_gib or 0) > max(parts.row["gib"]):
        # no other memory is soldered to it: that of a disk
        about.ram_gib = None
    has_gpu = parts.cards is not None or about.vram_gib is not None or "shared" in parts.row
    if parts.processor is None and not has_gpu:
        _refuse_nothing_named(about)
        around = cpus.class_of(_UNNAMED_PROCESSOR)
        parts = parts.replace(processor=_UNNAMED_PROCESSOR, around=around)
    stated = (parts.processor, parts.row, about.system, about.is_line, about.ram_gib)
    if parts.cards is not None and not any(stated) and "cores" not in about.numbers:
        profile = _profile_with(parts.cards, laptop=about.is_laptop)
        if profile is not None:
            note = f'"{about.text}" is a GPU: judged as {profile.name}, which has it.'
            return profile.machine, " ".join([note, *parts.cards.notes])
    machine = _machine(about, parts)
    ram = _ram_words((machine.memory_total_bytes or 0) / units.GIB)
    ram += ", assumed" if machine.assumes("memory_total_bytes") else ""
    doubts = " ".join(["", *_doubts(about, parts)])
    return machine, f'"{about.text}" is judged as {machine.name}, {ram}.{doubts}'


def _refuse_nothing_named(about: Description) -> None:
    """Raises `UnknownMachineError` where not even the RAM is all that is told."""
    is_some_machine = about.is_line or bool(about.product)
    looks_like_hardware = any(any(map(str.isdecimal, word)) for word in about.left)
    if about.ram_gib is not None and not is_some_machine and not looks_like_hardware:
        return
    raise refusal("product", about.text) if is_some_machine else unknown(about.text)


def _profile_with(cards: NamedCards, *, laptop: bool) -> Profile | None:
    """The laptop or desktop that has just these GPUs, the one with the least memory, else the
    server.
    """
    wanted = [(card.name, card.memory_total_bytes) for card in cards.accelerators]
    kinds = ("laptop",) if laptop else ("desktop", "server")
    for profile in (each for kind in kinds for each in beginning_with(kind)):
        own = [(card.name, card.memory_total_bytes) for card in profile.machine.accelerators or ()]
        if wanted and own == wanted:
            return profile
    return None


def _parts(about: Description) -> _Parts:
    row, processor = about.product, about.processor
    own: str = row.get("processor", "")
    if own and (processor is None or _is_kind_of(processor, own)):
        processor = own
    cards = joined(about.cards) if about.cards else None
    if cards is None and "gpu" in row and not about.has_no_gpu:
        cards = cards_named(row["gpu"])
    return _Parts(
        row=row,
        processor=processor,
        series=cpus.processor_of(processor) if processor else None,
        around=cpus.class_of(processor) if processor else None,
        chip=soldered_chip(words_of(processor or "")),
        cards=cards,
    )


def _is_kind_of(named: str, own: str) -> bool:
    """Whether words tell only the kind of processor that the product has: `r720 dual xeon`."""
    words = {word for word in named.split() if word not in ("2x", "dual")}
    is_alike = bool(words & words_of(own)) or cpus.maker_of(named) == cpus.maker_of(own)
    return is_alike and cpus.names_a_kind_alone(words)


def _architecture(parts: _Parts) -> str:
    stated = (parts.row.get("architecture"), parts.series and parts.series.architecture)
    return next(filter(None, stated), parts.around.architecture if parts.around else "x86_64")


def _machine(about: Description, parts: _Parts) -> Machine:
    row = parts.row
    memory = round(_memory_gib(about, parts) * units.GIB)
    facts: dict[str, Any] = {
        "system": about.system or _usual_system(about, parts),
        "architecture": _architecture(parts),
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "accelerators": _accelerators(about, parts),
    }
    facts |= _facts_of_processor(parts)
    quoted = f'"{about.text}"'
    source = f"{quoted}: {shipped_table('products')['sources'][row['source']]}" if row else quoted
    assumed = _assumed(about, parts, facts)
    guessed = f"{quoted}: assumed, as most such machines have it"
    return planned(
        Machine(
            **facts,
            name=_title(about, parts),
            scope="vm" if row.get("guest") else about.scope,
            confidence="medium" if row else "low",
            assumed=tuple(assumed),
            memory_most_bytes=_most_bytes(about, parts),
            sources={fact: guessed if fact in assumed else source for fact in facts},
        )
    )


def _facts_of_processor(parts: _Parts) -> dict[str, Any]:
    """Its name, the cores that the product's row states, and the rate of memory that comes in one
    with the product or the chip.
    """
    row, series = parts.row, parts.series
    facts: dict[str, Any] = {"cpu_model": parts.processor} if parts.processor else {}
    if parts.is_of_product and "cores" in row:
        cores = cpus.cores_of(parts.processor or "")
        facts |= {"cpu_cores_usable": float(row["cores"]), "cpu_cores_physical": row["physical"]}
        if cores and cores.are_known and cores.physical[1] == row["physical"]:
            facts["cpu_cores_performance"] = cores.performance[1]
    if parts.is_of_product and "gb_per_s" in row:
        facts[_BANDWIDTH] = int(row["gb_per_s"] * units.GB)
    elif series is not None and series.has_one_rate and not row and not parts.cards:
        facts[_BANDWIDTH] = round(series.usual)
    return facts


def _memory_gib(about: Description, parts: _Parts) -> float:
    """GiB of RAM: as stated, else what most such machines have."""
    if about.ram_gib is not None or parts.row:
        return about.ram_gib or float(parts.row["gib"][0])
    of_class = parts.around.memory_gib if parts.around else 0
    if parts.cards is not None or parts.processor is None:
        usual = parts.cards.usual_ram_gib if parts.cards else _USUAL_RAM_GIB
        return float(max(of_class, usual, about.vram_gib or 0))
    series, chip = parts.series, parts.chip
    of_series = series and (series.on_package_gib or series.memory_gib)
    return float((chip and chip.memory_gib) or of_series or of_class)


def _most_bytes(about: Description, parts: _Parts) -> int | None:
    """The most RAM that such a machine is sold with, where its RAM is assumed."""
    if about.ram_gib is not None or (parts.series and parts.series.on_package_gib):
        return None
    if parts.row:
        return int(max(parts.row["gib"]) * units.GIB)
    return None if parts.around is None else parts.around.most_gib * units.GIB


def _usual_system(about: Description, parts: _Parts) -> str:
    """The system of the product, else the one that most such machines have."""
    is_phone = parts.series is not None and parts.series.kind == "phone"
    if "system" in parts.row or is_phone:
        return str(parts.row.get("system", "linux"))
    words = {token.text for token in about.tokens}
    is_a_line_of_laptops = about.is_line and about.is_laptop
    if is_a_line_of_laptops or words & {"laptop", "netbook", "notebook", "desktop", "pc"}:
        return "windows"
    return "linux" if parts.row or parts.around is None else parts.around.system


def _assumed(about: Description, parts: _Parts, facts: Mapping[str, Any]) -> list[str]:
    """The facts that no word tells."""
    assumed = []
    has_no_word = about.ram_gib is None
    if not parts.row:
        is_cards_alone = parts.processor is None and has_no_word
        has_gpu = parts.cards or about.vram_gib or about.has_no_gpu
        assumed += [] if has_gpu else ["accelerators"]
        if about.system is None and (parts.cards is None or is_cards_alone):
            assumed.append("system")
        assumed += ["architecture", "memory_limit_bytes"] if is_cards_alone else []
        assumed += ["cpu_model"] if parts.processor == _UNNAMED_PROCESSOR else []
    on_package = parts.series is not None and parts.series.on_package_gib is not None
    assumed += ["memory_total_bytes"] if has_no_word and not on_package else []
    return assumed if _BANDWIDTH in facts else [*assumed, _BANDWIDTH]


def _accelerators(about: Description, parts: _Parts) -> tuple[Accelerator, ...]:
    """The GPUs that are named, else the one inside, else one of which its memory, and perhaps its
    maker, is all that is told.
    """
    inside = parts.row.get("shared") or (parts.chip and parts.chip.gpu)
    if parts.cards is not None:
        return parts.cards.accelerators
    if inside and not about.has_no_gpu:
        return (Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True),)
    if about.vram_gib is None:
        return ()
    maker, memory = about.gpu_maker or gpus.UNKNOWN, round(about.vram_gib * units.GIB)
    name = f"{_MAKERS.get(maker, '')} GPU with {units.binary(memory)}".strip()
    return (Accelerator(vendor=maker, name=name, memory_total_bytes=memory, unified=False),)


def _with_cores(machine: Machine, about: Description) -> Machine:
    """The machine with the cores that its description states; as it is where it states none, or as
    many as its processor has, or more.
    """
    stated, threads = about.numbers.get("cores", 0), about.numbers.get("threads", 0)
    if machine.assumes("cpu_cores_usable"):
        # two threads of a core, as nearly all have that tell their threads
        stated = stated or threads // 2
    processor = machine.cpu_model or ""
    cores = cpus.cores_of(processor)
    is_known = cores and cores.are_known and stated >= cores.physical[1] // cpus.count_of(processor)
    if not stated or about.chip is not None or machine.scope != "host" or is_known:
        return machine
    usable = float(max(threads, stated))
    facts: dict[str, Any] = {"cpu_cores_physical": stated, "cpu_cores_usable": usable}
    return machine.replace(
        **facts,
        cpu_cores_performance=None,
        assumed=tuple(fact for fact in machine.assumed if fact not in facts),
        sources={**machine.sources, **dict.fromkeys(facts, f'"{about.text}"')},
    )


# ------------------------------------------------------------------ words


def _title(about: Description, parts: _Parts) -> str:
    """What the machine is called in a sentence."""
    is_said = parts.row and parts.is_of_product
    names = [parts.processor or ""] * (not is_said and parts.processor != _UNNAMED_PROCESSOR)
    if parts.cards is not None:
        names += [parts.cards.label] if about.cards or not parts.row else []
    elif about.vram_gib is not None:
        names += [card.name for card in _accelerators(about, parts)]
    title, what = parts.row.get("title", "a machine"), " and ".join(filter(None, names))
    if not what and not parts.row and about.ram_gib is not None:
        return f"a computer with {about.ram_gib:g} GB of RAM"
    return f"{title} with {what}" if what else title


def _doubts(about: Description, parts: _Parts) -> Iterator[str]:
    """Sentences on what the names leave open."""
    series, sizes = parts.series, parts.row.get("gib", ())
    yield from parts.cards.notes if parts.cards else ()
    yield from _doubts_of_processor(about, parts)
    if about.system is None and _usual_system(about, parts) == "windows":
        yield "Windows is assumed."
    if about.vram_gib is not None:
        yield "Which GPU it is is not told, so that its speed is a wide guess."
    elif series and series.graphics and not (parts.cards or about.has_no_gpu or parts.row):
        yield f"The GPU inside it is left aside: --gpu '{series.graphics}' counts it."
    if about.ram_gib is None and len(sizes) > 1:
        yield f"Otherwise name it: {', '.join(f'{size:g} GB' for size in sizes[1:])}."


def _doubts_of_processor(about: Description, parts: _Parts) -> Iterator[str]:
    processor, series = parts.processor, parts.series
    if processor == _UNNAMED_PROCESSOR:
        yield "Its processor is not told, so that its speed is a wide guess."
    elif processor is None:
        yield from ["Its processor is assumed."] * (not parts.row)
    elif parts.chip is None and (series is None or series.is_a_generation):
        yield f"The name tells no series of processors, {processor}: a wide guess."
    if about.processor and processor != about.processor:
        yield f"Which {about.processor} it has is not told: judged with {processor}."
    if cpus.count_of(processor or "") > 1:
        yield "Of several processors the memory of one is counted."


def _ram_words(gib: float) -> str:
    """`16 GB of RAM`, as it is sold; `15.5 GiB of RAM`, which a system tells that kept some."""
    return f"{gib:,g} {'GB' if gib == int(gib) else 'GiB'} of RAM"
