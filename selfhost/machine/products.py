"""Machines by what they are sold or rented as, with a processor or a GPU that is named beside it:
`steam deck`, `kaggle p100`, `legion 5 3060`, `ryzen 5600 rtx 3060 32gb`.

`specs/common/products.toml`; a text without a row needs both a processor and a GPU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table
from . import cpus
from .changes import planned
from .cpu_names import Described
from .gpu_names import NamedCards, UnknownGpuError, cards_named
from .gpus import vendor_of
from .profiles import UnknownMachineError
from .record import Accelerator, Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MOST_WORDS = 12
_SIZE = re.compile(r"(\d{1,4})g(?:i?b)?", re.ASCII)
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# a model's number without its maker's words, `7840u`
_BRANDS = ("ryzen", "core i5", "core i7")
# of a machine of which nothing tells it
_USUAL_GIB = 32.0


class _Named(Record):
    """What a text names: a row, a processor, GPUs, and GB of RAM; None for what it does not."""

    row: Mapping[str, Any] | None
    processor: str | None
    cards: NamedCards | None
    gib: float | None


def written_out(text: str) -> str:
    """A machine's name with the words that others use for short ones: `rpi 5`, `mbp m1`."""
    same = _table()["same"]
    return " ".join(same.get(word.lower(), word) for word in text.split())


def product_named(text: str) -> Described | None:
    """The machine; None where a word of the text says something else. Raises
    `UnknownMachineError` for a product that is sold with several processors, where none is named.
    """
    words = _words(text)
    if not words or len(words) > _MOST_WORDS:
        return None
    if not set(words).isdisjoint(_table()["others"]):
        raise _no_computer(text)
    row = _row(words)
    rest = _without(words, row) if row else words
    named = _read(row, rest)
    if named is None:
        return None
    if row is None and (named.processor is None or named.cards is None):
        return None
    return _described(text.strip(), named)


def _words(text: str) -> list[str]:
    """The words of a text, sizes as `16gb`, names as the tables have them."""
    plain = re.sub(r"(\d+(?:\.\d+)?)\s*(g|t)i?b\b", r" \1\2b ", text.lower(), flags=re.ASCII)
    same = shipped_table("products")["same"]
    words = re.sub(r"[^a-z0-9.]+", " ", plain).split()
    return " ".join(same.get(word, word) for word in words).split()


def _row(words: Sequence[str]) -> Mapping[str, Any] | None:
    """The row that takes the most of these words."""
    rows = [row for row in _table()["product"] if set(row["words"].split()) <= set(words)]
    return max(rows, key=lambda row: len(_of_row(row) & set(words)), default=None)


def _of_row(row: Mapping[str, Any]) -> set[str]:
    """The words that a row's name has, and those that may stand in it."""
    return {*row["words"].split(), *row.get("also", "").split()}


def _without(words: Sequence[str], row: Mapping[str, Any]) -> list[str]:
    own = _of_row(row)
    return [word for word in words if word not in own]


def _read(row: Mapping[str, Any] | None, words: Sequence[str]) -> _Named | None:
    """The words beside the row, every one of which must say something."""
    for start, end in _runs(words):
        cards = _cards(words[start:end], row or {})
        if cards is None:
            continue
        before, after = _telling(words[:start]), _telling(words[end:])
        rest = _processor_and_size(before or after)
        if rest is not None and not (_others(before) and _others(after)):
            extra = _processor_and_size(after) if before else rest
            gib = rest[1] or (extra[1] if extra else None)
            return _Named(row=row, processor=rest[0], cards=cards, gib=gib)
    rest = _processor_and_size(_telling(words))
    return None if rest is None else _Named(row=row, processor=rest[0], cards=None, gib=rest[1])


def _runs(words: Sequence[str]) -> list[tuple[int, int]]:
    """Where a GPU's name may stand, the longest first; it has a number."""
    spans = [
        (start, end) for start in range(len(words)) for end in range(start + 1, len(words) + 1)
    ]
    return sorted(
        (
            (start, end)
            for start, end in spans
            if any(any(map(str.isdecimal, word)) for word in words[start:end])
            and not all(map(_SIZE.fullmatch, words[start:end]))
        ),
        key=lambda span: (span[0] - span[1], -span[0]),
    )


def _cards(words: Sequence[str], row: Mapping[str, Any]) -> NamedCards | None:
    """The GPUs of that name: of those that the row is sold with, else any; in a laptop in their
    form for laptops.
    """
    name = " ".join(words)
    sold = [each for each in row.get("sold", ()) if set(words) <= set(_words(each))]
    for typed in (*sold, f"{name} laptop", name) if row.get("laptop") else (*sold, name):
        try:
            return cards_named(typed, listed_only=True)
        except UnknownGpuError:
            continue
    return None


def _telling(words: Sequence[str]) -> list[str]:
    idle = _table()["idle"]
    return [word for word in words if word not in idle]


def _others(words: Sequence[str]) -> list[str]:
    return [word for word in words if not _SIZE.fullmatch(word)]


def _processor_and_size(words: Sequence[str]) -> tuple[str | None, float | None] | None:
    """The processor and the RAM; None where a word is left over."""
    sizes = {int(match[1]) for word in words if (match := _SIZE.fullmatch(word))}
    others = _others(words)
    gib = float(max(sizes)) if sizes else None
    if not others:
        return None, gib
    name = " ".join(others)
    if cpus.class_of(name) is not None and cpus.processor_of(name) is not None:
        return name, gib
    branded = [brand for brand in _BRANDS if cpus.processor_of(f"{brand} {name}") is not None]
    is_model = len(others) == 1 and name[:1].isdecimal() and not name.isdecimal()
    return (f"{branded[0]} {name}", gib) if is_model and branded else None


def _described(text: str, named: _Named) -> Described:
    row = named.row or {}
    processor = named.processor or row.get("processor")
    cards = named.cards
    if cards is None and "gpu" in row:
        cards = cards_named(row["gpu"])
    if cards is None and processor is None and "shared" not in row:
        raise _ask(text, row)
    sizes = row.get("gib", [_USUAL_GIB])
    is_stated = named.gib is not None
    gib = named.gib or (sizes[0] if row else _memory_with(processor))
    title = row.get("title") or f"a machine with {processor}"
    machine = _machine(row, processor, cards, gib, is_stated)
    beside = [] if cards is None else [cards.label]
    beside += [] if named.processor is None or not row else [named.processor]
    what = title + (f" with {' and '.join(beside)}" if beside else "")
    others = [f"{size:g} GB" for size in sizes if size != gib]
    more = f" Otherwise name it: {', '.join(others)}." if others and not is_stated else ""
    assumed = "" if is_stated or len(sizes) == 1 else ", assumed"
    note = f'"{text}" is judged as {what}, {gib:g} GB of RAM{assumed}.{more}'
    return Described(machine=machine.replace(name=what), title=what, note=note)


def _memory_with(processor: str | None) -> float:
    around = None if processor is None else cpus.class_of(processor)
    return _USUAL_GIB if around is None else max(_USUAL_GIB, float(around.memory_gib))


def _machine(
    row: Mapping[str, Any],
    processor: str | None,
    cards: NamedCards | None,
    gib: float,
    is_stated: bool,
) -> Machine:
    memory = round(gib * units.GIB)
    around = None if processor is None else cpus.class_of(processor)
    facts: dict[str, Any] = {
        "system": row.get("system", "linux" if row or around is None else around.system),
        "architecture": row.get(
            "architecture", "x86_64" if around is None else around.architecture
        ),
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "accelerators": _accelerators(row, cards),
    }
    own = processor == row.get("processor")
    if processor is not None:
        facts["cpu_model"] = processor
    if own and "cores" in row:
        facts["cpu_cores_usable"] = float(row["cores"])
        facts["cpu_cores_physical"] = row["physical"]
    if own and "gb_per_s" in row:
        facts[_BANDWIDTH] = round(row["gb_per_s"] * units.GB)
    source = _table()["sources"][row["source"]] if row else "the names that were typed"
    assumed = [] if is_stated else ["memory_total_bytes"]
    assumed += [] if _BANDWIDTH in facts else [_BANDWIDTH]
    return planned(
        Machine(
            **facts,
            scope="vm" if row.get("guest") else "host",
            confidence="medium" if row else "low",
            assumed=tuple(assumed),
            sources=dict.fromkeys(facts, source),
        )
    )


def _accelerators(row: Mapping[str, Any], cards: NamedCards | None) -> tuple[Accelerator, ...]:
    shared = row.get("shared")
    if cards is not None:
        return cards.accelerators
    if shared is None:
        return ()
    return (Accelerator(vendor=vendor_of(shared), name=shared, unified=True),)


def lead_to_its_gpu(text: str) -> UnknownMachineError | None:
    """What to ask where a listed GPU is named beside words that say nothing; None where none is."""
    words = _words(text)
    if len(words) > _MOST_WORDS:
        return None
    for start, end in _runs(words):
        cards = _cards(words[start:end], {})
        # a short number may be that of anything
        is_telling = any(sum(map(str.isdecimal, word)) > 2 for word in words[start:end])
        if cards is None or not is_telling or len(words) == end - start:
            continue
        label = cards.label
        return UnknownMachineError(
            f"no machine is called {text.strip()!r}, though {label} is a GPU",
            remedy=(
                f"--machine '{label}' is a machine with it, '{label} laptop' one with its form for"
                " laptops"
            ),
        )
    return None


def _no_computer(text: str) -> UnknownMachineError:
    return UnknownMachineError(
        f"{text.strip()!r} is a phone, a tablet or a console: the programs that are judged here do"
        " not run on it",
        remedy="its processor may be judged as a computer's: --machine 'Snapdragon 8 Gen 3 12GB'",
    )


def _ask(text: str, row: Mapping[str, Any]) -> UnknownMachineError:
    title = row["title"]
    part = "GPU" if row.get("guest") or row.get("laptop") else "processor"
    example = "4060" if part == "GPU" else "i5-1240P"
    return UnknownMachineError(
        f"{text!r} can be several machines: {title} comes with more than one {part}",
        remedy=f"name the {part} beside it: --machine '{text} {example}'",
    )


def _table() -> Mapping[str, Any]:
    return shipped_table("products")
