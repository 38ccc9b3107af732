"""GPUs: what the name of one tells (`specs/common/gpus.toml`, which explains each key), and which
ones people mean: `RTX 4090`, `2x 3090`, `geforce rtx 4060 ti 16 gb`.

The file is read when a GPU is looked up, once. A machine without one does not pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any

from ..core import units
from ..core.records import Record, shortened
from ..core.spelling import all_near, words_of
from ..core.tables import shipped_table
from . import cpus
from .record import Accelerator, Machine
from .words import COUNT, SIZE, refusal, role, shape, shapes, word_table

_table = partial(shipped_table, "gpus")
# the maker of a GPU whose name tells none
UNKNOWN = "unknown"
MOST_CARDS = 64
_USUAL_SLICES = 7
_MOST_ASKED = 8
# what a virtual machine gets of an NVIDIA card, `GRID T4-8Q`: how fast that is no name tells
_VGPU = re.compile(r"(?:NVIDIA|GRID)[ -].+-\d{1,3}[ABCQ]")
# an instance of MIG; `1c.` of one of several slices is the part of it that one program computes on
_MIG = re.compile(r"(.+?) MIG (?:(\d)c\.)?(\d)g\..*")


class Card(Record):
    """A GPU as it is sold: a row of `gpu`. `words` tell it from others; `named` are all words of
    its driver's name, its maker and what people say beside them; `called` other names as a whole.
    """

    name: str
    words: frozenset[str]
    named: frozenset[str]
    called: tuple[frozenset[str], ...]
    memory_gib: tuple[float, ...] = ()
    usual_gib: float | None = None
    unified: bool = False
    devices: int = 1
    integrated: bool = False

    @property
    def label(self) -> str:
        """The name without the words that people leave unsaid."""
        said = [word for word in self.name.split() if word.lower() not in role("unsaid")]
        return " ".join(said) or self.name

    def label_with(self, memory_gib: float) -> str:
        """The label with a memory; as it is where it names that already."""
        size = f"{memory_gib:g}"
        has_size = re.search(rf"\b{size} ?GB\b", self.label)
        return self.label if has_size else f"{self.label} {size} GB"


class NamedCards(Record):
    """GPUs that somebody named.

    `label` is a short name for all, `2x RTX 3090`; `notes` has a sentence for each name that can
    mean more than one; `source` says where memory and bandwidth are from.
    """

    accelerators: tuple[Accelerator, ...]
    label: str
    notes: tuple[str, ...] = ()
    source: str = ""


def fact_of(name: str, key: str) -> Any:
    """The value of that key in the row with the most words of the name; None where none has it."""
    if _VGPU.fullmatch(name):
        return None
    # words that make another GPU of one: `ti`, `laptop`
    words, telling = words_of(name), frozenset(_table()["variants"])
    has_number = any(any(map(str.isdecimal, word)) for word in words)
    same = word_table()["same"]
    words = frozenset(same.get(word, word) for word in words)
    matching = [
        (len(own), row[key])
        for own, row in _rows(key)
        if own <= words and own & telling == words & telling
        if not (has_number and row.get("numberless"))
    ]
    return max(matching, key=lambda pair: pair[0])[1] if matching else None


@lru_cache(maxsize=16)
def _rows(key: str) -> tuple[tuple[frozenset[str], dict[str, Any]], ...]:
    return tuple((frozenset(row["words"].split()), row) for row in _table()["gpu"] if key in row)


def _has_words(name: str, patterns: Sequence[str]) -> bool:
    return re.search(rf"\b(?:{'|'.join(patterns)})\b", name.lower().replace("-", " ")) is not None


@cache
def cards() -> tuple[Card, ...]:
    """Every GPU of the table."""
    idle, former = role("gpu_idle"), word_table()["former"]
    all_cards = []
    for row in _table()["gpu"]:
        vendor = vendor_of(row["name"])
        named = [row["name"], row["words"], row.get("also", ""), vendor, *former.get(vendor, ())]
        all_cards.append(
            cpus.record_of(
                Card,
                row,
                words=frozenset(row["words"].split()),
                named=words_of(" ".join(named)),
                called=tuple(words_of(name) - idle for name in row.get("called", ())),
                integrated="integrated" in row,
            )
        )
    return tuple(all_cards)


def peak_gb_per_s(name: str, memory_bytes: int | None = None) -> float | None:
    """Peak of a GPU's memory, by its driver's name and, where sold with two, its size."""
    other = _sold_otherwise(name, round((memory_bytes or 0) / units.GIB))
    peak: float | None = other.get("gb_per_s") or fact_of(name, "gb_per_s")
    return peak


def _sold_otherwise(name: str, memory_gib: float) -> Mapping[str, Any]:
    """What the table has of a card with memory of another size than its usual one."""
    others = (other for other in fact_of(name, "other") or () if other["memory_gib"] == memory_gib)
    return next(others, {})


@lru_cache(maxsize=256)
def peaks_with_memory(vendor: str, memory_bytes: int) -> tuple[float, float] | None:
    """The least and the most GB/s of a maker's cards with that much memory."""
    sold_gib = memory_bytes / units.GIB
    peaks = [
        row["gb_per_s"]
        for row in _table()["gpu"]
        if "gb_per_s" in row
        and not row.get("unified")
        and vendor in (UNKNOWN, vendor_of(row["name"]))
        and any(abs(size - sold_gib) < 0.1 * size for size in row.get("memory_gib", ()))
    ]
    return (min(peaks), max(peaks)) if peaks else None


def driver_memory_bytes(name: str, sold_gb: float) -> int:
    """What the driver reports of a card's memory, by its whole name and what it is sold with."""
    for row in _table()["gpu"]:
        for driver in row.get("driver", ()) if row["name"] == name else ():
            if driver["sold_gb"] == sold_gb:
                return int(driver["mib"]) * units.MIB
    return round(sold_gb * units.GIB)


def link_bytes_per_second(name: str) -> float | None:
    """What the link of a GPU to the RAM carries each way at most; None where it is not known."""
    link: str | None = fact_of(_whole_and_share(name)[0], "pcie")
    if link is None:
        return None
    version, _, lanes = link.partition(" x")
    return float(_table()["pcie_lane"][version]) * 1e9 * int(lanes)


@lru_cache(maxsize=256)
def processor_with(graphics: str) -> cpus.Processor | None:
    """What is known of a processor by the name of the GPU in it; None for any other GPU."""
    memory, name = fact_of(graphics, "integrated"), fact_of(graphics, "name")
    if memory is None or fact_of(name, "integrated") is not memory:
        return None
    kind = memory.get("kind", "unnamed")
    return cpus.Processor(
        **cpus.rates_of(memory, memory.get("kinds", ())),
        name=f"those with {name}",
        bits=memory.get("bits", 64),
        memory="either",
        kind=kind,
        share=cpus.share_of(kind),
        vectors=memory.get("vectors", "avx2"),
    )


def series_in(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    inside = (processor_with(card.name) for card in machine.accelerators or () if card.unified)
    return cpus.processor_of(machine.cpu_model or "") or next(filter(None, inside), None)


def computer_of(machine: Machine) -> Mapping[str, Any] | None:
    """The row of `computer` that its cards tell; None where these may be a server's."""
    cards = [card.name for card in machine.accelerators or () if not card.unified]
    names = [fact_of(card, "name") or card for card in cards]
    memory_gib = (machine.memory_total_bytes or 0) / units.GIB
    for row in [*_table()["computer"], _table()["unnamed"]]:
        if "names" in row:
            is_of_so_many = 0 < len(names) <= row["cards"] and memory_gib <= row["memory_gib"]
            is_meant = is_of_so_many and all(_has_words(name, row["names"]) for name in names)
        else:
            is_meant = "cpu_model" in machine.assumed
        if is_meant:
            return {**row, **cpus.rates_of(row)}
    return None


def cores_in(machine: Machine) -> cpus.Cores | None:
    """The cores that its processor tells, else the computer around its cards or its GPU."""
    if machine.cpu_model:
        return cpus.cores_of(machine.cpu_model)
    if not machine.accelerators:
        return None
    if all(card.unified for card in machine.accelerators):
        around_gpu = cpus.class_of(machine.accelerators[0].vendor)
        return cpus.cores_from(around_gpu, 1) if around_gpu else None
    around = computer_of(machine)
    return None if around is None else cpus.cores_from({"cores": around["cores"]}, 2)


@lru_cache(maxsize=256)
def cycles_per_second(name: str) -> float | None:
    """Cycles that all multiprocessors of an NVIDIA GPU have in a second at the boost clock."""
    whole, share = _whole_and_share(name)
    count, ghz = fact_of(whole, "processors"), fact_of(whole, "boost_ghz")
    return None if count is None or ghz is None else count * ghz * 1e9 * share


def _whole_and_share(name: str) -> tuple[str, float]:
    """The GPU that an instance of MIG is a part of, and its share; another itself and 1."""
    match = _MIG.fullmatch(name)
    if match is None:
        return name, 1.0
    slices = fact_of(match[1], "mig_slices") or _USUAL_SLICES
    return match[1], min(1.0, int(match[2] or match[3]) / slices)


def peak_flops(name: str, capability: str | None) -> float | None:
    """Peak of a GPU's 16-bit arithmetic, operations a second, of Apple's with its largest GPU."""
    cycles = cycles_per_second(name)
    # what one multiprocessor of NVIDIA's does in a cycle
    flops_of_processor = (
        row["flops"]
        for row in _table()["matrix"]
        if row["capability"] == capability and _has_words(name, row.get("names", ("",)))
    )
    each: float | None = next(flops_of_processor, None)
    if cycles is not None and each is not None:
        return cycles * each
    whole, share = _whole_and_share(name)
    tflops: float | None = fact_of(whole, "tflops")
    if tflops is None and (chip := cpus.chip_of(words_of(name))) is not None:
        tflops = chip.tflops
    return None if tflops is None else tflops * 1e12 * share


@lru_cache(maxsize=1024)
def capability_by_name(name: str) -> str | None:
    """The compute capability of an NVIDIA GPU by the name it reports; of others None."""
    if _VGPU.fullmatch(name):
        # some of them draw alone
        return None
    rows = (row for row in _table()["generation"] if _has_words(name, row["names"]))
    return next((row["capability"] for row in rows), None)


def capability_of(card: Accelerator) -> str | None:
    """Its compute capability, as it was read, else by its name; None where neither tells."""
    return card.compute_capability or capability_by_name(card.name)


def reaches_capability(capability: str | None, least: str | None) -> bool | None:
    """Whether that compute capability is enough; None where it is not known."""
    if least is None:
        return True
    if capability is None:
        return None
    # others write no numbers
    own, needed = (text.split(".") for text in (capability, least))
    return all(map(str.isdecimal, own)) and [*map(int, own)] >= [*map(int, needed)]


def works_on_few_tokens(name: str, capability: str | None) -> bool:
    """Whether vLLM counts a GPU among the small ones whatever its memory."""
    small = _table()["small"]
    return capability in small["capabilities"] or any(w in name.lower() for w in small["words"])


def has_hbm(name: str) -> bool:
    """Whether an NVIDIA GPU of that name has HBM."""
    called = (each for row in _table()["generation"] for each in row.get("hbm", ()))
    return any(words_of(each) <= words_of(name) for each in called)


def why_unserved(name: str) -> str | None:
    """What an accelerator is that no build judged here computes on, as a clause; else None."""
    clauses = (row["is"] for row in _table()["unserved"] if _has_words(name, row["words"]))
    return next(clauses, None)


@lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """nvidia, amd, intel or qualcomm by the words of a GPU's name; `unknown` where none says."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    makers = (row["id"] for row in _table()["maker"] if not {*words}.isdisjoint(row["words"]))
    return next(makers, UNKNOWN)


def joined(named: Sequence[NamedCards]) -> NamedCards:
    """Several names as one."""
    return NamedCards(
        accelerators=tuple(card for each in named for card in each.accelerators),
        label=" + ".join(each.label for each in named),
        notes=tuple(note for each in named for note in each.notes),
        source="; ".join(each.source for each in named),
    )


def named_card(
    name: Sequence[str], memory_gib: float | None = None, count: int = 1, *, laptop: bool = False
) -> NamedCards:
    """So many of the GPU of that name. Raises `UnknownGpuError` or `PartOfMachineError`."""
    several = matches(tuple(name), laptop=laptop)
    if not several:
        raise unknown_gpu(name)
    if all(card.unified for card in several):
        shared = next((card for card in several if card.integrated), None)
        if shared is None:
            raise refusal("gpu_of_machine", several[0].label)
        inside = Accelerator(vendor=vendor_of(shared.name), name=shared.name, unified=True)
        note = f"{shared.label} has no memory of its own: it reads the RAM of its machine."
        cards = NamedCards(
            accelerators=(inside,),
            label=shared.label,
            notes=() if memory_gib is None else (note,),
            source=f"{shared.label}: part of a processor, so its memory is the RAM",
        )
    else:
        cards = _choose_size(several, " ".join(name), memory_gib)
    label = f"{count}x {cards.label}" if count > 1 else cards.label
    return cards.replace(accelerators=cards.accelerators * count, label=label)


def _choose_size(several: Sequence[Card], typed: str, memory_gib: float | None) -> NamedCards:
    """The usual size of the cards that a name can mean, else the smallest and slowest; a note."""
    if all(f"{memory_gib or 0:g}gb" in card.named - card.words for card in several):
        # the name of a superchip states the processor's memory
        memory_gib = None
    options = sorted(
        (each for card in several for each in _sizes(card, memory_gib)), key=lambda each: each[:3]
    )
    if not options:
        raise not_sold_so(several, memory_gib or 0)
    _, size, peak, card = options[0]
    others = dict.fromkeys(c.label_with(s) for _, s, p, c in options if (s, p) != (size, peak))
    names, sized = " or ".join(f'"{name}"' for name in others), card.label_with(size)
    which = "the usual one" if card.usual_gib else "the smallest"
    note = f'"{typed}" is judged as {sized}, {which}; otherwise name {names}.'
    label = card.label if len(card.memory_gib) == 1 else sized
    key = _sold_otherwise(card.name, size).get("source") or fact_of(card.name, "source")
    source = _table()["sources"].get(key, "nowhere: it is not known")
    accelerator = Accelerator(
        vendor=vendor_of(card.name),
        name=card.name,
        memory_total_bytes=driver_memory_bytes(card.name, size),
        unified=False,
        memory_bandwidth_bytes_per_second=round(peak * units.GB) or None,
    )
    return NamedCards(
        accelerators=(accelerator,) * card.devices,
        label=label,
        notes=(note,) if others else (),
        source=f"{label}: bandwidth from {source}",
    )


def _sizes(card: Card, memory_gib: float | None) -> Iterator[tuple[bool, float, float, Card]]:
    """Of each size that is meant whether it is unusual, GiB and GB/s."""
    for size in card.memory_gib:
        if memory_gib in (None, size, size * card.devices):
            peak = peak_gb_per_s(card.name, round(size * units.GIB)) or 0.0
            yield card.usual_gib not in (None, size), size, peak, card


@lru_cache(maxsize=4096)
def matches(name: tuple[str, ...], *, laptop: bool = False) -> tuple[Card, ...]:
    """The cards of which the words say enough, `h200` is no `h200 nvl`; also by a short form,
    `3070s`, and in a laptop its form.
    """
    if laptop and (several := matches((*name, "laptop"))):
        return several
    plain, same = spelled(" ".join(name)).lower(), word_table()["same"]
    left_out = role("left_out")
    for spelling in (plain, *(find.sub(put, plain) for find, put in shapes("short"))):
        typed = frozenset(same.get(word, word) for word in words_of(spelling)) - role("gpu_idle")
        meant = [
            card
            for card in cards()
            if (typed <= card.named and card.words - left_out - role("forms") <= typed)
            or typed in card.called
        ]
        whole = [card for card in meant if card.words - left_out <= typed]
        most = max((len(card.words - left_out) for card in whole), default=0)
        longest = [card for card in whole if len(card.words - left_out) == most]
        if typed and meant:
            return tuple(longest or meant)
    return ()


def spelled(text: str) -> str:
    """A name with the spaces that drivers write: `RTX4070TiSUPER` becomes `RTX 4070 Ti SUPER`."""
    text = text.strip()
    for find, put in shapes("spelling"):
        text = find.sub(put, text)
    return text


def refuse_parts(text: str) -> None:
    """Raises `UnknownGpuError` for an instance of MIG and for a vGPU."""
    if part := shape("gpu_part").search(text):
        name = f"MIG {part[0]}" if part[1] else part[0]
        raise refusal("gpu_part", part[0], gib=int(part[1] or part[2]), name=shortened(name))


def unknown_gpu(name: Sequence[str]) -> Exception:
    """The error for words that are no GPU's name, with names that are spelled alike."""
    text = " ".join(name)
    of_apple = frozenset(("apple", *name))
    if (chip := cpus.chip_of(of_apple)) and of_apple == words_of(chip.name):
        return refusal("gpu_of_machine", chip.name)
    if clause := why_unserved(text):
        return refusal("unserved_gpu", text, clause=clause)
    sold = [card for card in cards() if not card.unified]
    words = spelled(text).lower().split()
    words = [word for word in words if not (SIZE.fullmatch(word) or COUNT.fullmatch(word))]
    near = list(dict.fromkeys(card.label for card in sold if {*words} <= card.named))
    if not 0 < len(near) <= _MOST_ASKED:
        near = all_near(spelled(text), [card.label for card in sold])
    meant = f"did you mean {', '.join(near)}? Else " if near else ""
    return refusal("gpu", text, near, meant=meant)


def not_sold_so(several: Sequence[Card], memory_gib: float) -> Exception:
    """The error for a size that none of the cards is sold with."""
    card, sizes = several[0], sorted({size for each in several for size in each.memory_gib})
    sold = " or ".join(f"{size:g}" for size in sizes)
    near = [card.label_with(size) for size in card.memory_gib]
    return refusal("gpu_size", card.label, near, gib=memory_gib, sold=sold)
