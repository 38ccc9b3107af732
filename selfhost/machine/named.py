"""Machines by the names that people type: a known machine, a type that a cloud rents
(`m6a.xlarge`, `specs/common/cloud_types.toml`), or a description; what that does not name is
assumed, and marked so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..core import units
from ..core.spelling import words_of
from ..core.tables import shipped_table
from . import cpus, gpus
from .changes import planned
from .gpus import NamedCards, cards_named, find_cards, joined
from .profiles import (
    Named,
    Profile,
    beginning_with,
    called,
    refusal,
    size_of,
    unknown,
)
from .record import FILLED_ASSUMED, RATE_ASSUMED, Accelerator, Machine
from .understand import Description, understand
from .words import BREAK, tokens, word_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MOST_LETTERS = 120
_MOST_LEFT = 8
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# a whole computer, of the size of its largest virtual machines: `c7a.metal-48xl`
_METAL = re.compile(r"(?<=[a-z\d])\.metal-(\d{1,3})xl(?![\w-])", re.ASCII | re.IGNORECASE)
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
# of the 26 profiles whose GPUs hold more than this 24 have as much RAM, and of the desktops most
# have this
_USUAL_RAM_GIB = 32
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
# memory is sold for overclocking up to a third above the fastest of the table (DDR5-8400 beside
# 6400, DDR4-4800 beside 3600), and runs at no less than half of the slowest
_RATES_BESIDE = (0.5, 1.35)
# the numbers of a description that are the RAM's
_OF_RAM = ("mts", "channels", "sticks")
# of a kind, whose usual rates the table has (assumed)
_NEAR = 1.2


def named(text: str) -> Named:
    """The machine that `text` means: a profile by its name, the type that a cloud rents, else a
    machine of the parts that the text names.

    Raises `UnknownMachineError` where the text names no part, or can be several machines, and
    `MachineFileError` for a profile's faulty file.
    """
    own = _without_provider(text)
    match = called(text) or called(own) or rented(text)
    if match is not None:
        return match
    unlisted: str = shipped_table("cloud_types")["unlisted"]
    if len(own) <= _MOST_LETTERS and re.fullmatch(unlisted, own.lower(), re.ASCII):
        raise refusal("unlisted_gpu", text)
    without_ram = [t.text for t in tokens(text) if t.text not in (*word_table()["ram"], BREAK)]
    return called(" ".join(without_ram)) or _described(understand(text))


# ------------------------------------------------------------------ types that clouds rent


def rented(text: str) -> Named | None:
    """The machine that a cloud's name for a type means, with GPUs that are named behind it,
    `n1-standard-8 + t4`; None for any other text.
    """
    plain = _without_provider(text)
    if len(plain) > _MOST_LETTERS or not any(map(str.isdecimal, plain)):
        return None
    parts = _METAL.sub(r".\1xlarge", plain).split()
    idle = {*word_table()["systems"], *word_table()["idle"], *word_table()["disk"]}
    for end in range(len(parts), 0, -1):
        typed, beside = " ".join(parts[:end]), " ".join(parts[end:])
        described = _rented_type(typed, None)
        if described is None:
            continue
        said = (token.text for token in tokens(beside))
        if all(word in idle or re.fullmatch(r"\d+(?:gb|tb|[.\d]*)", word) for word in said):
            # a disk or a system alone
            return described
        cards = find_cards(beside.lstrip("+, ").removeprefix("with "))
        if cards is not None:
            return _rented_type(typed, cards)
        return described.replace(note=f"{described.note} Left aside: {beside}.")
    return None


def _without_provider(text: str) -> str:
    """The text without the words for who rents it out, before it or behind: `google cloud`."""
    providers = shipped_table("cloud_types")["providers"]
    # SageMaker's names have `ml.` before them
    parts = text.strip().removeprefix("ml.").split()
    while len(parts) > 1 and parts[0].lower() in providers:
        parts.pop(0)
    while len(parts) > 1 and parts[-1].lower() in providers:
        parts.pop()
    return " ".join(parts)


def _rented_type(text: str, added: NamedCards | None) -> Named | None:
    """The machine of a type's name, with those GPUs in place of its own where they are given."""
    table = shipped_table("cloud_types")
    name, count = text.lower(), 0
    # a type with fewer processors than another has its memory: `Standard_E8-4s_v5`
    if constrained := re.fullmatch(table["constrained"], name, re.ASCII):
        name, count = f"{constrained['before']}{constrained['behind']}", int(constrained["count"])
    for row in table["type"]:
        match = re.fullmatch(row["types"], name, re.ASCII) if name[:1] in row["begins"] else None
        if match is None:
            continue
        size, groups = match["size"], match.groupdict()
        word = size.lstrip("0123456789")
        processors = (
            row["processors"].get(size, 0)
            if "processors" in row
            else (int(size.removesuffix(word) or 1) * (table["sizes"].get(word, 0) if word else 1))
        )
        each_gib = row.get("gib", {}).get(groups.get("kind"), 0)
        gib = float(groups.get("gib") or each_gib * processors)
        if gib and processors > count:
            cards = added
            if cards is None and "gpu" in row:
                cards = cards_named(f"{row.get('gpus', {}).get(str(processors), 1)}x {row['gpu']}")
            return _rented(text, row, gib, count or processors, cards)
    return None


def _rented(
    text: str, row: Mapping[str, Any], gib: float, processors: int, cards: NamedCards | None
) -> Named:
    around = cpus.class_of(row["cpu"])
    facts: dict[str, Any] = {
        "system": "linux",
        "architecture": "x86_64" if around is None else around.architecture,
        "cpu_model": row["cpu"],
        "cpu_cores_usable": float(processors),
        "cpu_cores_physical": max(1, processors // row["threads"]),
        "accelerators": () if cards is None else cards.accelerators,
    }
    source = shipped_table("cloud_types")["sources"][row["source"]]
    assumed = [_BANDWIDTH, "cpu_model"] if row.get("any_host") else [_BANDWIDTH]
    own = {"name": text, "scope": "vm", "confidence": "medium"}
    machine = _planned(facts, gib, assumed, source, **own)
    title = f"{row['provider']} {text}"
    parts = [units.binary(machine.memory_total_bytes or 0)]
    parts += [f"{processors} virtual processors of {row['cpu']}"]
    parts += [] if cards is None else [cards.label]
    return Named(machine=machine, note=f"{title}: {', '.join(parts)}.")


def _planned(
    facts: Mapping[str, Any], gib: float, assumed: Sequence[str], source: str, **own: Any
) -> Machine:
    """The machine with these facts, of which some are assumed, and so much RAM."""
    memory = round(gib * units.GIB)
    ram: dict[str, Any] = dict.fromkeys(("memory_total_bytes", "memory_limit_bytes"), memory)
    guessed = f"{source}: assumed, as most such machines have it"
    sources = {fact: guessed if fact in assumed else source for fact in (*facts, *ram)}
    return planned(Machine(**facts, **ram, **own, assumed=tuple(assumed), sources=sources))


# ------------------------------------------------------------------ described machines


def _described(about: Description) -> Named:
    if about.chip is not None:
        machine, note = _mac(about, about.chip)
    elif about.known:
        machine, note = _known(about)
    elif about.scope != "host" and not about.product:
        machine, note = _guest(about)
    else:
        machine, note = _computer(about)
    if about.has_no_gpu:
        assumed = tuple(fact for fact in machine.assumed if fact != "accelerators")
        machine = machine.replace(accelerators=(), assumed=assumed)
    machine = _with_cores(machine, about)
    machine, of_ram = _with_ram(machine, about.ram_kind, about.numbers)
    notes = [note, *filter(None, (of_ram,))]
    if about.is_wsl:
        # Windows runs Linux in a virtual machine with half of its RAM
        half = (machine.memory_total_bytes or 0) // 2
        facts = {"memory_total_bytes": half, "memory_limit_bytes": half}
        why = dict.fromkeys(facts, "half of the RAM, the default of WSL")
        machine = machine.replace(
            **facts,
            scope="vm",
            system="linux",
            memory_most_bytes=None,
            assumed=tuple(dict.fromkeys((*machine.assumed, *facts))),
            sources={**machine.sources, **why},
        )
        half_words = units.binary(half)
        notes.append(f"WSL has half of the RAM, {half_words}, unless .wslconfig says more.")
    if about.left:
        notes.append(f"Not understood, so left aside: {', '.join(about.left[:_MOST_LEFT])}.")
    return Named(machine=machine, note=" ".join(notes))


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


def mac_title(row: Mapping[str, Any]) -> str:
    """A chip as Apple writes it: `M1 Pro`."""
    return f"{row['chip'].upper()} {row['variant'].title()}".strip()


def _mac(about: Description, row: Mapping[str, Any]) -> tuple[Machine, str]:
    """Raises `NotOneMachineError` for a size that such a Mac was not sold with."""
    gib = about.ram_gib or row["gib"][0]
    if gib not in row["gib"]:
        raise _not_sold_with(row, gib)
    title, is_smaller = f"Apple {mac_title(row)}", gib in row.get("smaller", ())
    facts: dict[str, Any] = {
        "system": "macos",
        "architecture": "aarch64",
        "cpu_model": title,
        "cpu_cores_usable": float(row["smaller_cores"] if is_smaller else row["cores"]),
        "accelerators": (Accelerator(vendor="apple", name=f"{title} GPU", unified=True),),
    }
    chip = cpus.apple_chip(row["chip"], row["variant"])
    if chip is not None:
        gb_per_s = chip.smaller[1] if is_smaller and chip.smaller else chip.gb_per_s
        facts[_BANDWIDTH] = round(gb_per_s * units.GB)
    is_assumed = about.ram_gib is None
    machine = _planned(
        facts,
        gib,
        ["memory_total_bytes"] if is_assumed else [],
        "from general knowledge of Macs, not looked up",
        name=f"a Mac with {title}, {gib:g} GB",
        scope="host",
        confidence="medium",
        memory_most_bytes=max(row["gib"]) * units.GIB if is_assumed else None,
    )
    note = f'"{about.text}" is judged as {title} with {gib:g} GB'
    others = [f"{size} GB" for size in row["gib"] if size != gib]
    note += ", the memory of the cheapest, assumed." if is_assumed else "."
    note += f" Otherwise name it: {', '.join(others)}." if is_assumed and others else ""
    if about.cards:
        note += f" {about.cards[0].label} is left aside: no such computer takes a card."
    return machine, note


def _not_sold_with(row: Mapping[str, Any], gib: float) -> Exception:
    chip = mac_title(row)
    with_size = [each for each in shipped_table("macs")["mac"] if gib in each["gib"]]
    others = [mac_title(each) for each in with_size if each["chip"] == row["chip"]]
    of_others = f"; one with {gib:g} GB has an {' or '.join(others)}" if others else ""
    sold = ", ".join(f"{size} GB" for size in row["gib"])
    return refusal("mac_size", chip, chip=chip, gib=gib, sizes=sold, others=of_others)


def _guest(about: Description) -> tuple[Machine, str]:
    parts = _Parts(about)
    counts = (about.numbers.get(name) for name in ("vcpus", "threads", "cores"))
    stated, ram_gib = next(filter(None, counts), 0), about.ram_gib or 0
    if not ram_gib and not (parts.processor and stated):
        raise refusal("guest", about.text)
    usable = stated or max(1, round(ram_gib / _USUAL_GIB_OF_A_PROCESSOR))
    gib = ram_gib or usable * _USUAL_GIB_OF_A_PROCESSOR
    facts: dict[str, Any] = {
        "system": about.system or "linux",
        "architecture": parts.architecture,
        "cpu_model": parts.processor or _GUEST_PROCESSOR,
        "cpu_cores_usable": float(usable),
        "cpu_cores_physical": usable,
        "accelerators": parts.accelerators,
    }
    assumed = ["architecture", _BANDWIDTH, *["accelerators"] * (not parts.accelerators)]
    assumed += ["cpu_cores_usable", "cpu_cores_physical"] * (not stated)
    assumed += ["memory_total_bytes"] * (not ram_gib)
    kind = "a container" if about.scope == "container" else "a virtual machine"
    beside = [f"{usable} processor{'s' * (usable > 1)}", *(each.label for each in about.cards)]
    name = f"{kind} with {' and '.join(beside)}"
    quoted, own = f'"{about.text}"', {"name": name, "scope": about.scope, "confidence": "low"}
    host = f"Its processor is {facts['cpu_model']}."
    host += " Linux is assumed." * (about.system is None and about.scope == "vm")
    note = f"{quoted} is judged as {name} and {_ram_words(gib)}. {host}"
    return _planned(facts, gib, assumed, quoted, **own), note


# ------------------------------------------------------------------ computers


class _Parts:
    """What a computer is made of: of the description, else of its product."""

    def __init__(self, about: Description) -> None:
        row = about.product
        own: str = row.get("processor", "")
        self.row, self.processor = row, about.processor
        if own and (self.processor is None or _is_kind_of(self.processor, own)):
            self.processor = own
        name = self.processor or ""
        self.is_of_product = self.processor == row.get("processor")
        self.series, self.around = cpus.processor_of(name), cpus.class_of(name)
        self.chip = cpus.soldered_chip(words_of(name))
        self.cards = joined(about.cards) if about.cards else None
        if self.cards is None and "gpu" in row and not about.has_no_card:
            self.cards = cards_named(row["gpu"])
        series, around = self.series, self.around
        stated = (row.get("architecture"), series and series.architecture)
        of_class = around.architecture if around else "x86_64"
        self.architecture: str = next(filter(None, stated), of_class)
        self.accelerators = self._accelerators(about)

    def _accelerators(self, about: Description) -> tuple[Accelerator, ...]:
        """The GPUs that are named, else the one inside, else one of which its memory is told."""
        inside = self.row.get("shared") or (self.chip and self.chip.gpu)
        if self.cards is not None:
            return self.cards.accelerators
        if inside:
            return (Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True),)
        if about.vram_gib is None:
            return ()
        maker, memory = about.gpu_maker or gpus.UNKNOWN, round(about.vram_gib * units.GIB)
        name = f"{_MAKERS.get(maker, '')} GPU with {units.binary(memory)}".strip()
        return (Accelerator(vendor=maker, name=name, memory_total_bytes=memory, unified=False),)

    def system(self, about: Description) -> str:
        if "system" in self.row or (self.series and self.series.kind == "phone"):
            return str(self.row.get("system", "linux"))
        said = {token.text for token in about.tokens}
        is_a_line_of_laptops = about.is_line and about.is_laptop
        if is_a_line_of_laptops or said & {"laptop", "netbook", "notebook", "desktop", "pc"}:
            return "windows"
        return "linux" if self.row or self.around is None else self.around.system

    def memory_gib(self, about: Description) -> float:
        if about.ram_gib is not None or self.row:
            return about.ram_gib or float(self.row["gib"][0])
        of_class = self.around.memory_gib if self.around else 0
        if self.cards is not None or self.processor is None:
            sizes = [card.memory_total_bytes or 0 for card in self.accelerators]
            return float(max(of_class, _USUAL_RAM_GIB, round(sum(sizes) / units.GIB)))
        series, chip = self.series, self.chip
        sold = [series.on_package_gib, series.memory_gib] if series else []
        own = [chip.memory_gib, *sold] if chip else sold
        return float(next(filter(None, own), of_class))

    def most_bytes(self, about: Description) -> int | None:
        """The most RAM that it is sold with, where its RAM is assumed."""
        if about.ram_gib is not None or (self.series and self.series.on_package_gib):
            return None
        if self.row:
            return int(max(self.row["gib"]) * units.GIB)
        return None if self.around is None else self.around.most_gib * units.GIB


def _is_kind_of(named: str, own: str) -> bool:
    """Whether words tell only the kind of processor that the product has: `r720 dual xeon`."""
    kind = {word for word in named.split() if word not in ("2x", "dual")}
    is_alike = bool(kind & words_of(own)) or cpus.maker_of(named) == cpus.maker_of(own)
    return is_alike and cpus.names_a_kind_alone(kind)


def _computer(about: Description) -> tuple[Machine, str]:
    parts = _Parts(about)
    if "gb_per_s" in parts.row and (about.ram_gib or 0) > max(parts.row["gib"]):
        # no other memory is soldered to it: that of a disk
        about.ram_gib = None
    has_gpu = parts.cards is not None or about.vram_gib is not None or "shared" in parts.row
    if parts.processor is None and not has_gpu:
        _refuse_nothing_named(about)
        parts.processor, parts.around = _UNNAMED_PROCESSOR, cpus.class_of(_UNNAMED_PROCESSOR)
    stated = (parts.processor, parts.row, about.system, about.is_line, about.ram_gib)
    if parts.cards is not None and not any(stated) and "cores" not in about.numbers:
        profile = _profile_with(parts.cards, laptop=about.is_laptop)
        if profile is not None:
            note = f'"{about.text}" is a GPU: judged as {profile.name}, which has it.'
            return profile.machine, " ".join([note, *parts.cards.notes])
    machine = _machine(about, parts)
    ram = _ram_words((machine.memory_total_bytes or 0) / units.GIB)
    named = str(machine.name).removesuffix(f" with {ram}")
    ram += ", assumed" if machine.assumes("memory_total_bytes") else ""
    doubts = " ".join(["", *_doubts(about, parts)])
    return machine, f'"{about.text}" is judged as {named}, {ram}.{doubts}'


def _refuse_nothing_named(about: Description) -> None:
    """Raises `UnknownMachineError` where not even the RAM is all that is told."""
    if about.is_line or about.product:
        raise refusal("product", about.text)
    if about.ram_gib is None or any(map(str.isdecimal, "".join(about.left))):
        raise unknown(about.text)


def _profile_with(cards: NamedCards, *, laptop: bool) -> Profile | None:
    """The laptop or desktop that has just these GPUs and the least memory, else the server."""
    wanted = [(card.name, card.memory_total_bytes) for card in cards.accelerators]
    kinds = ("laptop",) if laptop else ("desktop", "server")
    for profile in (each for kind in kinds for each in beginning_with(kind)):
        own = [(card.name, card.memory_total_bytes) for card in profile.machine.accelerators or ()]
        if wanted and own == wanted:
            return profile
    return None


def _machine(about: Description, parts: _Parts) -> Machine:
    row, source = parts.row, f'"{about.text}"'
    facts: dict[str, Any] = {
        "system": about.system or parts.system(about),
        "architecture": parts.architecture,
        "accelerators": parts.accelerators,
        **_facts_of_processor(parts),
    }
    assumed = _assumed(about, parts)
    return _planned(
        facts,
        parts.memory_gib(about),
        assumed if _BANDWIDTH in facts else [*assumed, _BANDWIDTH],
        f"{source}: {shipped_table('products')['sources'][row['source']]}" if row else source,
        name=_title(about, parts),
        scope="vm" if row.get("guest") else about.scope,
        confidence="medium" if row else "low",
        memory_most_bytes=parts.most_bytes(about),
    )


def _facts_of_processor(parts: _Parts) -> dict[str, Any]:
    """Its name, stated cores, and the rate of memory that comes with the product or the chip."""
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


def _assumed(about: Description, parts: _Parts) -> list[str]:
    """The facts that no word tells, but the bandwidth."""
    assumed, has_no_word = list[str](), about.ram_gib is None
    if not parts.row:
        is_cards_alone = parts.processor is None and has_no_word
        has_gpu = any((parts.cards, about.vram_gib, about.has_no_card))
        assumed += ["accelerators"] * (not has_gpu)
        if about.system is None and (parts.cards is None or is_cards_alone):
            assumed.append("system")
        assumed += ["architecture", "memory_limit_bytes"] * is_cards_alone
        assumed += ["cpu_model"] * (parts.processor == _UNNAMED_PROCESSOR)
    is_on_package = parts.series is not None and parts.series.on_package_gib is not None
    return assumed + ["memory_total_bytes"] * (has_no_word and not is_on_package)


def _with_cores(machine: Machine, about: Description) -> Machine:
    """The machine with the cores that are stated, if fewer than its processor has."""
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


def _title(about: Description, parts: _Parts) -> str:
    is_said = parts.row and parts.is_of_product
    names = [parts.processor or ""] * (not is_said and parts.processor != _UNNAMED_PROCESSOR)
    if parts.cards is not None:
        names += [parts.cards.label] if about.cards or not parts.row else []
    elif about.vram_gib is not None:
        names += [card.name for card in parts.accelerators]
    title, what = parts.row.get("title", "a machine"), " and ".join(filter(None, names))
    if about.ram_gib is not None and not any((what, parts.row)):
        return f"a computer with {about.ram_gib:g} GB of RAM"
    return f"{title} with {what}" if what else title


def _doubts(about: Description, parts: _Parts) -> Iterator[str]:
    series, sizes = parts.series, parts.row.get("gib", ())
    yield from parts.cards.notes if parts.cards else ()
    yield from _doubts_of_processor(about, parts)
    if about.system is None:
        yield f"{parts.system(about).capitalize()} is assumed."
    if about.vram_gib is not None:
        yield "Which GPU it is is not told, so that its speed is a wide guess."
    elif series and series.graphics and not any((parts.cards, about.has_no_card, parts.row)):
        yield f"The GPU inside it counts with --gpu '{series.graphics}' alone."
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


# ------------------------------------------------------------------ the rate of the RAM


def _with_ram(
    machine: Machine, kind: str | None, stated: Mapping[str, int]
) -> tuple[Machine, str | None]:
    """The machine with the bandwidth that its RAM has as a text states it, `32gb ddr5-6000`, `quad
    channel`, `2x16gb`: its kind and the numbers `mts`, `channels` and `sticks`; and a note on it.
    The same and None where nothing is stated that is not assumed anyway, or its memory is known.
    """
    series, name = _series_of(machine), (kind or "RAM").upper()
    if _has_its_own(machine, series) or not (kind or {*_OF_RAM} & {*stated}):
        return machine, None
    if series is None:
        return machine, f"{name} is left aside: the processor beside it is not told."
    usual, rate = _rates(series, kind, stated.get("mts"))
    if rate is None:
        return machine, f"{name} is left aside: it fits no such processor."
    used = _channels_used(machine, stated, series)
    tells_kind = kind is not None and series.slowest < series.fastest
    is_usual = (used, rate) == (series.channels, usual)
    # of two channels one may be empty
    tells_filled = series.channels == 2 and not {"sticks", "channels"}.isdisjoint(stated)
    if is_usual and not (tells_kind or tells_filled or "mts" in stated):
        return machine, None
    bandwidth = used * series.bits // 8 * rate * units.MB
    what = f"{used} channel{'s' * (used > 1)} of {name}-{rate}"
    machine = machine.with_bandwidth(
        bandwidth,
        f"{what}, as its description says",
        how=_how_known(kind, stated, used),
        assumed=tuple(f for f in machine.assumed if "mts" not in stated or f != _BANDWIDTH),
    )
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _channels_used(machine: Machine, stated: Mapping[str, int], series: cpus.Processor) -> int:
    """Of a processor's channels those that have a module, as far as it is stated."""
    used = min(series.channels, stated.get("channels", series.channels))
    if "sticks" in stated and series.bits == 64:
        return min(used, max(1, stated["sticks"] // cpus.count_of(machine.cpu_model or "")))
    return used


def _how_known(kind: str | None, stated: Mapping[str, int], used_channels: int) -> str | None:
    """What of it is assumed: one of `record.HOWS`."""
    if not kind and "mts" not in stated:
        return RATE_ASSUMED
    tells_filled = "sticks" in stated or "channels" in stated or (kind or "").startswith("lp")
    return FILLED_ASSUMED if used_channels == 2 and not tells_filled else None


def _series_of(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    inside = (gpus.processor_with(card.name) for card in machine.accelerators or () if card.unified)
    return cpus.processor_of(machine.cpu_model or "") or next(filter(None, inside), None)


def _has_its_own(machine: Machine, series: cpus.Processor | None) -> bool:
    """Whether its memory is sold with its chip, behind a front-side bus, known and of no series
    that is listed, or a guest's.
    """
    chip = cpus.soldered_chip(words_of(machine.cpu_model or ""))
    if machine.scope != "host" or chip or (series and series.memory == "bus"):
        return True
    is_soldered = series is None or series.memory == "soldered"
    return machine.memory_bandwidth_bytes_per_second is not None and is_soldered


def _rates(series: cpus.Processor, kind: str | None, stated: int | None) -> tuple[int, int | None]:
    """The usual rate of the processor's memory; and that which is stated, of servers no more than
    the processor takes, else of the kind the one nearest to what is usual: None where it takes no
    such memory.
    """
    slowest, usual, fastest = (
        round(rate * 8 / series.bits / series.channels / units.MB)
        for rate in (series.least, series.usual, series.most)
    )
    rates_of_kind = {row["kind"]: row["mts"] for row in shipped_table("cpus")["ram"]}
    low, high = rates_of_kind.get(kind, (slowest, fastest))
    least, most = _RATES_BESIDE
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600
    if not (low <= _NEAR * fastest and slowest <= _NEAR * high):
        return usual, None
    if stated is None:
        return usual, max(slowest, min(max(low, min(usual, high)), fastest))
    if series.kind == "server":
        return usual, min(stated, fastest)
    return usual, stated if least * slowest <= stated <= most * fastest else None


def what_to_state(machine: Machine) -> str | None:
    """What beside the words that a machine was described with tells most of its bandwidth, as
    something to do; None where it was not described in words, or nothing is left to tell.
    """
    is_described = machine.sources.get("memory_total_bytes", "").startswith('"')
    if machine.scope != "host" or not is_described:
        return None
    series = _series_of(machine)
    if machine.cpu_model and (series is None or series.is_a_generation):
        return "name its processor (--machine '… i7-12700h')"
    is_known = series and (series.vectors in ("none", "sse") or series.has_one_rate)
    if is_known or _has_its_own(machine, series):
        return None
    return "state the bandwidth of its RAM (--set bandwidth=…GB/s)"
