"""Machines by the names that people type: a known machine, a type that a cloud rents
(`cloud_types.toml`), or a description; what that does not name is assumed, and marked so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from ..core import units
from ..core.tables import TomlRow, sentences, shipped_table
from ..core.units import words_of
from . import cpus, gpus
from .changes import planned
from .profiles import all_profiles, machine_called, unknown_machine
from .record import (
    BANDWIDTH,
    FILLED_ASSUMED,
    RATE_ASSUMED,
    Accelerator,
    FactValues,
    Machine,
)
from .understand import Description, cards_named, read_description
from .words import BREAK, UnknownGpuError, bad_name, joined, tokens

_MOST_LETTERS = 120
_RAM = ("memory_total_bytes", "memory_limit_bytes")
_CORES = ("cpu_cores_usable", "cpu_cores_physical")
_UNNAMED_PROCESSOR = "Intel or AMD processor"
_GUEST_PROCESSOR = "Intel Xeon Processor"
# a guess: DigitalOcean, Linode and Hetzner rent 2 GB with one and 8 GB with four
_USUAL_GIB_OF_A_PROCESSOR = 2
# of 26 profiles whose GPUs hold more than this 24 have as much RAM; most desktops have this
_USUAL_RAM_GIB = 32
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
# memory is sold for overclocking up to a third above the fastest of the table (DDR5-8400 beside
# 6400, DDR4-4800 beside 3600), and runs at no less than half of the slowest
_RATES_BESIDE = (0.5, 1.35)


def named(text: str) -> tuple[Machine, str | None]:
    """The machine that `text` means: a profile by its name, the type that a cloud rents, else a
    machine of the parts that it names; and what else that can mean, or what was assumed. Raises
    `UnknownMachineError` where it names no part or can be several, and `MachineFileError`.
    """
    own = _without_provider(text)
    match = machine_called(text) or machine_called(own) or rented(text)
    if match is None:
        unlisted: str = shipped_table("cloud_types")["unlisted"]
        if len(own) <= _MOST_LETTERS and re.fullmatch(unlisted, own.lower(), re.ASCII):
            raise bad_name("unlisted_gpu", text)
        words = [word.removesuffix("ram") for word in tokens(text) if word != BREAK]
        match = machine_called(" ".join(words)) or _described(read_description(text))
    machine, note = match
    if note is not None:
        total = machine.sources.get("memory_total_bytes", machine.name)
        sources = {**machine.sources, "memory_total_bytes": f"{total} ({note})"}
        machine = machine.replace(sources=sources)
    return machine, note


def rented(text: str) -> tuple[Machine, str] | None:
    """The machine that a cloud's name for a type means, with GPUs that are named behind it,
    `n1-standard-8 + t4`, in place of its own, and a note; None for any other text.
    """
    plain = _without_provider(text)
    if len(plain) > _MOST_LETTERS or not any(map(str.isdecimal, plain)):
        return None
    # a whole computer, of the size of its largest virtual machines: `c7a.metal-48xl`
    words = re.sub(r"(?<=[a-z\d])\.metal-(\d{1,3})xl\b", r".\1xlarge", plain).split()
    for end in range(len(words), 0, -1):
        if size := _rented_size(name := " ".join(words[:end])):
            break
    else:
        return None
    (row, gib, processors), cards = size, None
    beside = " ".join(words)[len(name) :].strip()
    with suppress(UnknownGpuError):
        cards = cards_named(beside.lstrip("+, ").removeprefix("with "))
    left_aside = (
        f" Ignored (not understood): {beside}." if beside and cards is None else ""
    )
    if cards is None and "gpu" in row:
        cards = cards_named(
            f"{row.get('gpus', {}).get(str(processors), 1)}x {row['gpu']}"
        )
    facts: FactValues = {
        "system": "linux",
        "architecture": cpus.class_of(row["cpu"]).get("architecture", "x86_64"),
        "cpu_model": row["cpu"],
        "cpu_cores_usable": float(processors),
        "cpu_cores_physical": max(1, processors // row["threads"]),
        "accelerators": () if cards is None else cards.accelerators,
    }
    source = shipped_table("cloud_types")["sources"][row["source"]]
    assumed = [BANDWIDTH, "cpu_model"] if row.get("any_host") else [BANDWIDTH]
    about = {"name": name, "scope": "vm", "confidence": "medium"}
    machine = _planned(facts, gib, assumed, source, **about)
    memory = units.binary(machine.memory_total_bytes or 0)
    has_cards = f", {cards.label}" if cards else ""
    parts = f"{memory}, {processors} virtual processors of {row['cpu']}{has_cards}"
    return machine, f"{row['provider']} {name}: {parts}.{left_aside}"


def _rented_size(text: str) -> tuple[TomlRow, float, int] | None:
    """The row of a type's name, its GiB and its processors."""
    table, name, count = shipped_table("cloud_types"), text.lower(), 0
    # a type with fewer processors than another has its memory: `Standard_E8-4s_v5`
    if constrained := re.fullmatch(table["constrained"], name, re.ASCII):
        name, count = (
            f"{constrained['before']}{constrained['behind']}",
            int(constrained["count"]),
        )
    for row in table["type"]:
        match = (
            re.fullmatch(row["types"], name, re.ASCII)
            if name[:1] in row["begins"]
            else None
        )
        if match is None:
            continue
        size, groups = match["size"], match.groupdict()
        word = size.lstrip("0123456789")
        processors = int(size.removesuffix(word) or 1) * table["sizes"].get(
            word, 0 if word else 1
        )
        processors = (
            row["processors"].get(size, 0) if "processors" in row else processors
        )
        each_gib = row.get("gib", {}).get(groups.get("kind"), 0)
        gib = float(groups.get("gib") or each_gib * processors)
        if gib and processors > count:
            return row, gib, count or processors
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


def _planned(
    facts: FactValues, gib: float, assumed: Sequence[str], source: str, **own: Any
) -> Machine:
    facts = {**facts, **dict.fromkeys(_RAM, round(gib * units.GIB))}
    facts = {fact: value for fact, value in facts.items() if value is not None}
    guessed = f"{source}: assumed, as most such machines have it"
    sources = {fact: guessed if fact in assumed else source for fact in facts}
    return planned(Machine(**facts, **own, assumed=tuple(assumed), sources=sources))


def _mac_product(row: TomlRow, ram_gib: float | None) -> TomlRow:
    mac, chip = row["mac"], row["name"]
    gib = ram_gib or mac["gib"][0]
    is_smaller = gib in mac.get("smaller_gib", ())
    if gib not in mac["gib"]:
        sizes = ", ".join(f"{size} GB" for size in mac["gib"])
        raise bad_name("mac_size", chip, gib=f"{gib:g}", sizes=sizes)
    return {
        **mac,
        "mac": mac,
        "title": f"a Mac with {chip}",
        "processor": chip,
        "shared": f"{chip} GPU",
        "system": "macos",
        "architecture": "aarch64",
        "cores": mac["smaller_cores"] if is_smaller else mac["cores"],
        "source": "macs",
        "gb_per_s": (row.get("smaller", row) if is_smaller else row)["gb_per_s"],
    }


class _Computer:
    """What a described computer is made of: of the description, else of its product."""

    def __init__(self, about: Description) -> None:
        self.about, self.row, named = about, about.product, about.processor
        row, kind = self.row, {*str(named).split()} - {"2x", "dual"}
        # the product's own where no word or only its kind tells it: `r720 dual xeon`
        is_told = named is not None and not cpus.names_a_kind_alone(kind)
        self.processor = named if is_told else row.get("processor", named)
        self.is_of_product = self.processor == row.get("processor")
        own_cards = (
            [cards_named(row["gpu"])] if "gpu" in row and not about.has_no_card else []
        )
        self.cards = joined([] if about.has_chip else about.cards or own_cards)
        self.is_ram_stated, self.guest_cores, self.has_stated_cores = (
            bool(about.ram_gib),
            0,
            False,
        )
        if about.scope != "host" and not row:
            self._complete_guest()
        elif not any(
            (self.processor, self.cards.label, "shared" in row, about.vram_gib)
        ):
            if about.is_line or row:
                raise bad_name("product", about.text)
            if about.ram_gib is None or any(map(str.isdecimal, "".join(about.left))):
                raise unknown_machine(about.text)
            self.processor = _UNNAMED_PROCESSOR
        name = self.processor or ""
        self.series, self.around = cpus.processor_of(name), cpus.class_of(name)
        self.chip = cpus.chip_of(words_of(name))
        self.accelerators = self._accelerators()

    def _complete_guest(self) -> None:
        about = self.about
        counts = (about.numbers.get(each) for each in ("vcpus", "threads", "cores"))
        stated = next(filter(None, counts), 0)
        if not about.ram_gib and not (self.processor and stated):
            raise bad_name("guest", about.text)
        usual = max(1, round((about.ram_gib or 0) / _USUAL_GIB_OF_A_PROCESSOR))
        self.guest_cores, self.has_stated_cores = stated or usual, bool(stated)
        about.ram_gib = about.ram_gib or self.guest_cores * _USUAL_GIB_OF_A_PROCESSOR
        self.processor = self.processor or _GUEST_PROCESSOR

    def _accelerators(self) -> tuple[Accelerator, ...]:
        inside = self.row.get("shared") or (self.chip and self.chip.gpu)
        if self.cards.accelerators:
            return self.cards.accelerators
        if inside:
            return (
                Accelerator(vendor=gpus.vendor_of(inside), name=inside, unified=True),
            )
        if self.about.vram_gib is None:
            return ()
        maker, memory = (
            self.about.gpu_maker or gpus.UNKNOWN,
            round(self.about.vram_gib * units.GIB),
        )
        name = f"{_MAKERS.get(maker, '')} GPU with {units.binary(memory)}".strip()
        return (
            Accelerator(
                vendor=maker, name=name, memory_total_bytes=memory, unified=False
            ),
        )

    def system(self) -> str:
        about, said = self.about, {*self.about.words}
        if about.system or "system" in self.row or self.guest_cores:
            return about.system or str(self.row.get("system", "linux"))
        if self.series and self.series.kind == "phone":
            return "linux"
        if (about.is_line and about.is_laptop) or said & {
            "laptop",
            "netbook",
            "desktop",
            "pc",
        }:
            return "windows"
        return "linux" if self.row else str(self.around.get("system", "linux"))

    def memory_gib(self) -> float:
        if self.about.ram_gib is not None or self.row:
            return self.about.ram_gib or float(self.row["gib"][0])
        usual = self.around.get("memory_gib", 0)
        if self.cards.label or self.processor is None:
            sizes = [card.memory_total_bytes or 0 for card in self.accelerators]
            return float(max(usual, _USUAL_RAM_GIB, round(sum(sizes) / units.GIB)))
        inside = self.series and (self.series.on_package_gib or self.series.memory_gib)
        return float((self.chip and self.chip.memory_gib) or inside or usual)

    def facts(self) -> FactValues:
        """What is told, and the cores and rate of memory that come with the product or chip."""
        row, series, cores = self.row, self.series, self.guest_cores
        own = row.get("architecture"), series and series.architecture
        facts: FactValues = {
            "system": self.system(),
            "architecture": next(
                filter(None, own), self.around.get("architecture", "x86_64")
            ),
            "accelerators": self.accelerators,
            "cpu_model": self.processor,
        }
        if cores:
            facts |= {"cpu_cores_usable": float(cores), "cpu_cores_physical": cores}
        elif self.is_of_product:
            facts[BANDWIDTH] = round(row.get("gb_per_s", 0) * units.GB) or None
            if "cores" in row:
                physical, listed = (
                    row.get("physical"),
                    cpus.cores_of(self.processor or ""),
                )
                facts |= {
                    "cpu_cores_usable": float(row["cores"]),
                    "cpu_cores_physical": physical,
                }
                if listed and listed.are_known and listed.physical[1] == physical:
                    facts["cpu_cores_performance"] = listed.performance[1]
        elif (
            series and not row and not self.cards.label and series.memory == "soldered"
        ):
            # memory that is sold at one rate alone
            rates = series.bytes_per_second
            facts[BANDWIDTH] = round(rates.usual) if rates.least == rates.most else None
        return facts

    def assumed(self, facts: FactValues) -> list[str]:
        row, about, is_guest = self.row, self.about, self.guest_cores > 0
        is_bare = not row and not is_guest
        is_cards_alone = is_bare and self.processor is None and not self.is_ram_stated
        has_one_size = len(row.get("gib", ())) == 1 and "guest" not in row
        on_package_gib = self.series and self.series.on_package_gib
        is_system_told = about.system or (self.cards.label and not is_cards_alone)
        assumed = {
            BANDWIDTH: not facts.get(BANDWIDTH),
            **dict.fromkeys(
                _RAM, not any((self.is_ram_stated, has_one_size, on_package_gib))
            ),
            "architecture": is_guest or is_cards_alone,
            "accelerators": not any((row, self.accelerators, about.has_no_card)),
            **dict.fromkeys(_CORES, is_guest and not self.has_stated_cores),
            "system": is_bare and not is_system_told,
            "cpu_model": self.processor == _UNNAMED_PROCESSOR,
        }
        return [fact for fact in assumed if assumed[fact]]


def _described(about: Description) -> tuple[Machine, str]:
    if about.has_chip:
        about.product = _mac_product(about.product, about.ram_gib)
    row, quoted = about.product, f'"{about.text}"'
    about.ram_gib = _usable_ram_gib(row, about.ram_gib)
    computer = _Computer(about)
    if known := _profile_with(computer):
        return known
    gib, title, facts = computer.memory_gib(), _title(computer), computer.facts()
    machine = _planned(
        facts,
        gib,
        computer.assumed(facts),
        f"{quoted}: {shipped_table('products')['sources'][row['source']]}"
        if row
        else quoted,
        name=title,
        scope="vm" if row.get("guest") else about.scope,
        confidence="medium" if row else "low",
    )
    ram = _ram_words(gib)
    guessed = ", assumed" if "memory_total_bytes" in machine.assumed else ""
    notes = [
        f"{quoted} is judged as {title.removesuffix(f' with {ram}')}, {ram}{guessed}."
    ]
    notes += _doubts(computer)
    no_gpu: FactValues = {"accelerators": ()} if about.has_no_gpu else {}
    machine = machine.stated(no_gpu | _stated_cores(machine, about), quoted)
    machine, rate_note = _with_ram_rate(machine, about)
    notes += [rate_note] if rate_note else []
    if about.is_wsl:
        # the virtual machine in which Windows runs Linux
        half = (machine.memory_total_bytes or 0) // 2
        machine = machine.stated(
            dict.fromkeys(_RAM, half), "half of the RAM, as WSL has it"
        )
        machine = machine.replace(
            scope="vm", system="linux", assumed=(*machine.assumed, *_RAM)
        )
        notes.extend(sentences("words", "note", {"wsl": True}, half=half))
    if about.left:
        notes.append(f"Ignored (not understood): {', '.join(about.left[:8])}.")
    return machine, " ".join(notes)


def _usable_ram_gib(row: TomlRow, stated_gib: float | None) -> float | None:
    """What of the stated RAM a board's system tells; None of a size that only its disk can have."""
    if not row or not stated_gib:
        return stated_gib
    usable = next(
        (gib for gib in row["gib"] if 0.9 * stated_gib <= gib <= stated_gib), None
    )
    is_of_disk = "gb_per_s" in row and stated_gib > max(row["gib"])
    return usable if usable or is_of_disk else stated_gib


def _profile_with(computer: _Computer) -> tuple[Machine, str] | None:
    """Of GPUs alone the laptop or desktop that has them and the least memory, else the server."""
    about, cards = computer.about, computer.cards
    others = (
        computer.processor,
        computer.row,
        about.system,
        about.is_line,
        about.ram_gib,
    )
    if not cards.label or any(others) or "cores" in about.numbers:
        return None
    wanted = _names_and_sizes(cards.accelerators)
    kinds = ("laptop",) if about.is_laptop else ("desktop", "server")
    for kind in kinds:
        for profile in all_profiles(kind):
            machine = profile.machine
            if wanted == _names_and_sizes(machine.accelerators or ()):
                note = (
                    f'"{about.text}" is a GPU: judged as {machine.name}, which has it.'
                )
                guessed = machine.replace(assumed=(*machine.assumed, *_RAM))
                return guessed, " ".join([note, *cards.notes])
    return None


def _names_and_sizes(cards: Iterable[Accelerator]) -> list[tuple[str, int | None]]:
    """Each GPU's name and bytes of memory, by which two machines have the same GPUs."""
    return [(card.name, card.memory_total_bytes) for card in cards]


def _stated_cores(machine: Machine, about: Description) -> FactValues:
    """The facts of those that are stated, where its processor's name tells none."""
    stated, usable = about.numbers.get("cores", 0), about.numbers.get("threads", 0)
    cores = cpus.cores_of(machine.cpu_model or "")
    if (
        not stated
        or (cores and cores.are_known)
        or about.has_chip
        or machine.scope != "host"
    ):
        return {}
    facts = dict(zip(_CORES, (float(max(usable, stated)), stated), strict=True))
    return {**facts, "cpu_cores_performance": None}


def _title(computer: _Computer) -> str:
    about = computer.about
    title, cards = computer.row.get("title", "a machine"), computer.cards.label
    names = [cards] if cards and about.cards else []
    if cores := computer.guest_cores:
        title = "a container" if about.scope == "container" else "a virtual machine"
        names = [units.plural(cores, "processor"), *names]
    else:
        if not names and about.vram_gib is not None:
            names = [card.name for card in computer.accelerators]
        is_said = computer.row and computer.is_of_product
        if computer.processor not in (None, _UNNAMED_PROCESSOR) and not is_said:
            names = [computer.processor, *names]
        if about.ram_gib is not None and not names and not computer.row:
            return f"a computer with {_ram_words(about.ram_gib)}"
    return f"{title} with {' and '.join(names)}" if names else title


def _doubts(computer: _Computer) -> tuple[str, ...]:
    """What else the description can mean, by its GPUs and by `note` of words.toml."""
    about, row, series = computer.about, computer.row, computer.series
    processor, label = computer.processor, computer.cards.label
    is_usual = processor in (None, _UNNAMED_PROCESSOR, _GUEST_PROCESSOR)
    # of a whole generation no number was named
    is_listed = any((computer.chip, about.has_chip, series and "|" not in series.kind))
    no_gpu = not any((computer.accelerators, about.has_no_card, row, about.vram_gib))
    is_system_stated = any((about.system, about.has_chip, about.scope == "container"))
    other_kind = ""
    if about.processor not in (None, processor):
        other_kind = f"{about.processor} it has is not stated: judged with {processor}"
    own, cores = row.get("cores"), about.numbers.get("cores")
    is_other = about.has_chip and cores not in (None, own)
    values = {
        "cores": f"{own} cores: the stated {cores} are" if is_other else "",
        "gpu": "guest" in row and words_of(label).isdisjoint(about.words) and label,
        "unnamed": is_usual and processor is not None,
        "unsaid": processor is None and not row,
        "series": not any((is_usual, is_listed)) and processor,
        "kind": other_kind,
        "system": "" if is_system_stated else _SYSTEM_NAMES[computer.system()],
        "vram": about.vram_gib is not None,
        "graphics": no_gpu and series and series.graphics,
        "card": about.has_chip and about.cards and about.cards[0].label,
        "sizes": [
            f"{gib:g} GB" for gib in row.get("gib", ())[1:] if about.ram_gib is None
        ],
    }
    return *computer.cards.notes, *sentences("words", "note", values, **values)


def _ram_words(gib: float) -> str:
    """`16 GB of RAM`, as it is sold; `15.5 GiB of RAM`, which a system tells that kept some."""
    return f"{gib:,g} {'GB' if gib == int(gib) else 'GiB'} of RAM"


def _with_ram_rate(machine: Machine, about: Description) -> tuple[Machine, str]:
    """With the bandwidth that a stated kind of RAM, rate or number of modules means; a note."""
    series, kind, stated = gpus.series_in(machine), about.ram_kind or "", about.numbers
    is_known = (
        machine.scope != "host" or machine.memory_bandwidth_bytes_per_second is not None
    )
    if is_known or not (kind or {"mts", "channels", "sticks"} & {*stated}):
        return machine, ""
    name = (kind or "RAM").upper()
    rate = None if series is None else _rate(series, kind, stated.get("mts"))
    if series is None or rate is None:
        return machine, f"Ignored {name}: the processor does not support it."
    used = min(series.channels, stated.get("channels", series.channels))
    if "sticks" in stated and series.bits == 64:
        used = min(
            used, max(1, stated["sticks"] // cpus.count_of(machine.cpu_model or ""))
        )
    bandwidth = used * series.bits // 8 * rate * units.MB
    what = f"{units.plural(used, 'channel')} of {name}-{rate}"
    # the rate of a kind is a guess
    guessed = (
        [BANDWIDTH] if BANDWIDTH in machine.assumed and "mts" not in stated else []
    )
    facts = {
        BANDWIDTH: bandwidth,
        "memory_bandwidth_how": _how_known(about, series, used),
    }
    machine = machine.stated(facts, f"{what}, as its description says")
    machine = machine.replace(assumed=(*guessed, *machine.assumed))
    return machine, f"Its memory: {what}, {units.decimal(bandwidth)}/s at most."


def _how_known(about: Description, series: cpus.Processor, channels: int) -> str | None:
    stated, kind, rates = about.numbers, about.ram_kind or "", series.bytes_per_second
    if "mts" not in stated and not (kind and rates.slowest < rates.fastest):
        return RATE_ASSUMED
    # of two channels one may be empty
    is_filled = (
        channels != 2 or kind.startswith("lp") or {"sticks", "channels"} & {*stated}
    )
    return None if is_filled else FILLED_ASSUMED


def _rate(series: cpus.Processor, kind: str, stated: int | None) -> int | None:
    """The rate that is stated, else that of the kind of RAM; None where it does not fit."""
    slowest, usual, fastest = (
        round(rate * 8 / series.bits / series.channels / units.MB)
        for rate in series.bytes_per_second[::2]
    )
    low, high = shipped_table("cpus")["ram"].get(kind, (slowest, fastest))
    least, most = _RATES_BESIDE
    rate = stated or max(slowest, min(max(low, min(usual, high)), fastest))
    # DDR3 of 1600 MT/s beside 1866, and no DDR5 of 4800 beside DDR4 of 3600 (assumed)
    is_kind = low <= 1.2 * fastest and slowest <= 1.2 * high
    if (
        series.memory == "bus"
        or not is_kind
        or not least * slowest <= rate <= most * fastest
    ):
        return None
    return int(min(rate, fastest) if series.kind == "server" else rate)
