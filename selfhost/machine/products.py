"""Machines by what they are sold or rented as, with a processor or a GPU that is named beside it:
`steam deck`, `kaggle p100`, `legion 5 3060`, `ryzen 5600 rtx 3060 32gb`.

`specs/common/products.toml`; a text without a row needs both a processor and a GPU.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core import units
from ..core.records import Record
from ..core.saying import differently, option
from ..core.spelling import nearest, words_of
from ..core.tables import shipped_table
from . import cpus
from .changes import planned
from .cpu_names import (
    Described,
    ask_which_is_ram,
    has_an_unlisted_gpu,
    is_guest_without_size,
    machine_with,
    names_a_class_alone,
    of_cores,
    refuse_two_makers,
    rented,
    says_guest,
    with_cores,
)
from .gpu_names import NamedCards, UnknownGpuError, cards_named
from .gpus import maker_of, variants, vendor_of
from .profiles import UnknownMachineError
from .ram import are_channels_known, usual_modules, usual_ram, without_kind
from .record import Accelerator, Machine
from .typed import Typed, memory_gib, ram_words, sizes_alike, sizes_gib, typed, with_plain_sizes
from .typed_words import typed_words
from .virtual_gpus import instance_typed, is_vgpu, vgpu_typed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MOST_WORDS = 20
# of a GPU's name
_MOST_WORDS_OF_ONE = 8
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_SAYS_RAM = re.compile(r"\bram\b", re.IGNORECASE)
_TYPED = "the names that were typed"
# of GPUs together: more are in workstations and servers
_MOST_OF_A_DESKTOP_GIB = 48
# of a model, not of a part: `zephyrus g14 2023`
_YEAR = re.compile(r"20(?:0[5-9]|[12]\d)")
# a smaller size behind a card's name is no disk's
_LEAST_DISK_GIB = 100
# a card that somebody changed has twice the memory: RTX 4090 with 48 GB
_TIMES_OF_A_CHANGED_CARD = 2
# `i7 12700k, 2 rtx 3060`
_JOINED = re.compile(r"\s*[,+&]\s*(?=\d{1,2} +[a-z])", re.ASCII)
# a machine with a GPU is another one where it is a laptop
_LAPTOPS = frozenset(("laptop", "notebook"))
# processors for laptops, which small computers have, too: `i7 12700h`, `5800hs`
_NUMBER_OF_A_LAPTOP = re.compile(r"\d{4,5}(?:u|hs?|hx|hk|p)", re.ASCII)
# words with which the GPU beside such a one is that of a desktop
_DESKTOPS = frozenset(("desktop", "tower", "mini", "itx", "sff", "egpu", "oculink", "thunderbolt"))
# what makers of phones call theirs: `xiaomi book pro 16`
_BOOKS = frozenset(("book", *_LAPTOPS))
# `galaxy book4`
_NUMBERED_BOOK = re.compile(r"(?<![a-z])book(?=\d)")
_MODEL_OF_A_LINE = re.compile(r"\d{4}", re.ASCII)
# `rtx3090fe`, a Founders Edition
_FOUNDERS = re.compile(r"(?<=\d{4})(?=fe\b)")


# a processor to name, of each maker
_EXAMPLE_OF_MAKER = {"AMD": "ryzen 7 7840u", "Intel": "i5-1235u"}


class _Named(Record):
    """What a text names: a row, a processor, GPUs, GiB of RAM and a system; None for what it does
    not. `aside`: words that say nothing that is known; `others`: processors with the same number;
    `is_one_size`: the text has one size, and does not say what of.
    """

    row: Mapping[str, Any] | None
    processor: str | None
    cards: NamedCards | None
    gib: float | None
    system: str | None
    aside: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_one_size: bool = False

    @property
    def may_be_changed(self) -> bool:
        """Whether the size may be that of the one card, which is then no longer as it was sold."""
        cards = self.cards.accelerators if self.cards is not None else ()
        if len(cards) != 1 or self.gib is None or self.processor is not None:
            return False
        if not self.is_one_size:
            return False
        sold_gib = round((cards[0].memory_total_bytes or 0) / units.GIB)
        return self.gib == _TIMES_OF_A_CHANGED_CARD * sold_gib


def with_whole_words(text: str) -> str:
    """A machine's name with the words that others use for short ones: `rpi 5`, `mbp m1`. A slip of
    the word that a short one begins with stands for it: `rasberry pi5`.
    """
    same, words = _table()["same"], list[str]()
    for word in text.split():
        whole = same.get(word.lower(), word)
        first = whole.split()[0]
        is_said_before = whole != word and words and nearest(words[-1].lower(), [first]) == first
        words = [*(words[:-1] if is_said_before else words), whole]
    return " ".join(words)


def without_unused(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without the accelerators that no program computes on, and these: `pi 5 hailo-8l`."""
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(_table()['unused'])})(?!\w)", re.IGNORECASE)
    names = tuple(match[0] for match in pattern.finditer(text))
    if not names:
        return text, ()
    plain = re.sub(r"\s+(?:with|and|\+)?\s*$", "", pattern.sub(" ", text))
    return " ".join(plain.strip(" +,").split()), names


def product_named(text: str) -> Described | None:
    """The machine; None where a word of the text says something else, and where no product and no
    GPU is named. Raises `UnknownMachineError` for a product that is sold with several processors,
    where none is named, and where a GPU stands beside what is no processor's name.
    """
    stated = _stated(text)
    words = _words(stated.names)
    if not words or len(words) > _MOST_WORDS:
        return None
    row = _row(words)
    own = row or {}
    words = _with_counts(_without_models(words), own)
    if set(_without(words, own)) & set(_table()["others"]) and _BOOKS.isdisjoint(words):
        raise _no_computer(text)
    _refuse_other_chips(text, words)
    named = _read(text, row, _with_bare_processor(text, _without(words, own)), stated)
    if named is None or (row is None and _is_too_little(named, words)):
        return None
    _refuse_other_maker(text, named)
    refuse_two_makers(text, named.processor or "")
    _ask_of_absent_gpu(text, named)
    described = _described(text.strip(), named)
    machine = with_cores(described.machine, stated)
    note = f"{described.note}{of_cores(described.machine, stated)}"
    return described.replace(machine=machine, note=note)


def _refuse_other_chips(text: str, words: Sequence[str]) -> None:
    """Raises `UnknownMachineError` where the words name an accelerator that no program computes
    on, `inferentia`.
    """
    if chips := {word.partition(".")[0] for word in words} & set(_table()["chips"]):
        raise UnknownMachineError(
            f"{text.strip()!r}: no program that is judged here computes on {min(chips)} chips",
            remedy="name a machine with a GPU or a processor: "
            + differently("--machine g6e.xlarge", 'machine="g6e.xlarge"'),
        )


def _refuse_other_maker(text: str, named: _Named) -> None:
    """Raises `UnknownMachineError` where a word says that the processor is by another maker than
    the one that the product is listed with, `thinkpad t14 gen 3 amd`.
    """
    own = (named.row or {}).get("processor", "")
    if not own or named.processor is not None or named.cards is not None:
        return
    typed_maker, own_maker = (cpus.maker_of(each) for each in (_makers_in(text), own))
    if None not in (typed_maker, own_maker) and typed_maker != own_maker:
        example = _EXAMPLE_OF_MAKER[typed_maker or ""]
        raise UnknownMachineError(
            f"{text.strip()!r}: {(named.row or {})['title']} is listed with {own} alone",
            remedy="name the processor beside it:"
            f" {option('machine', f'{text.strip()} {example}')}",
        )


def _ask_of_absent_gpu(text: str, named: _Named) -> None:
    """Raises `UnknownMachineError` where a product with a card of its own is told without it, `i5
    gaming pc`.
    """
    if named.row is not None and "card" in named.row and named.cards is None:
        raise _ask(text.strip(), named.row)


def _makers_in(text: str) -> str:
    """The words of a text that are a maker's name alone."""
    makers = {maker.lower() for maker in _EXAMPLE_OF_MAKER}
    return " ".join(word for word in text.lower().split() if word in makers)


def _is_too_little(named: _Named, words: Sequence[str]) -> bool:
    """Whether words that name no product tell no machine: no GPU, or one beside words that say
    nothing, or a laptop's alone.
    """
    if named.cards is None:
        return True
    is_bare_laptop = named.gib is None and not _LAPTOPS.isdisjoint(words)
    return named.processor is None and (bool(named.aside) or is_bare_laptop)


def guest_with_cards(text: str) -> Described | None:
    """A virtual machine or a container with GPUs, `vm 8 vcpu 32gb GRID T4-8Q`; None for any other
    text. A size alone is that of the RAM.
    """
    if not says_guest(text):
        return None
    words = _with_counts(_words(text), {})
    sizes = [word for word in words if sizes_gib(word)]
    one_size = sizes if len(sizes) == 1 else []
    names, pieces = _cards_and_rest([word for word in words if word not in one_size], {})
    guest = rented(" ".join((*itertools.chain(*pieces), *one_size))) if names else None
    if guest is None:
        return None
    cards = cards_named(" + ".join(names))
    own = guest.machine
    title = f"{own.name} and {cards.label}"
    machine = own.replace(
        name=title,
        accelerators=cards.accelerators,
        assumed=tuple(fact for fact in own.assumed if fact != "accelerators"),
        sources={**own.sources, "accelerators": cards.source},
    )
    gib = (own.memory_total_bytes or 0) / units.GIB
    judged = f'"{text.strip()}" is judged as {title}, {ram_words(gib)}.'
    note = f"{judged} Its host's processor is not told."
    return Described(machine=machine, title=title, note=" ".join((note, *cards.notes)))


def plain_computer(text: str) -> Described | None:
    """A computer of which the RAM alone is told, `16gb laptop no gpu`; None for any other text."""
    stated, table = typed(text), _table()["plain"]
    words = _words(stated.names)
    gib = memory_gib(stated, is_server=False)
    forms = (*table["forms"], *table["without"])
    if gib is None or (stated.cores is None and set(words).isdisjoint(forms)):
        return None
    if not set(_telling(words)) <= set(forms):
        return None
    has_card = next((row for row in _with_a_card() if {*row["words"].split()} <= {*words}), None)
    if has_card is not None and set(words).isdisjoint(table["without"]):
        raise _ask(text.strip(), has_card)
    described = machine_with(f"{table['processor']} {gib:g}GB", class_is_enough=True)
    if described is None:
        return None
    title = f"a computer with {ram_words(gib)}"
    system = stated.system or described.machine.system
    note = (
        f'"{text.strip()}" is judged as {title} and no GPU. Its processor is not told, so that its'
        f" speed is a wide guess. Name it:"
        f" {option('machine', f'i5-8250U {gib:g}GB')}."
    )
    own = described.machine
    machine = own.replace(
        name=title,
        system=system,
        assumed=(*own.assumed, "cpu_model"),
        sources={**own.sources, "cpu_model": "assumed: the text does not tell it"},
    )
    machine = with_cores(machine, stated)
    return Described(machine=machine, title=title, note=note)


def _stated(text: str) -> Typed:
    """What the text states. A size alone is that of the GPU before it which is sold so, also where
    only a kind of RAM follows, unless a processor is named: `a100 80gb ddr5`.
    """
    plain = without_kind(text)
    words = _words(plain)
    is_of_card = sum(bool(sizes_gib(word)) for word in words) == 1 and any(
        sizes_gib(words[end - 1])
        and not sizes_gib(words[start])
        and _card(words[start:end], {})
        and not any(map(_tells_a_processor, (*words[:start], *words[end:])))
        for start, end in _runs(words)
    )
    return typed(plain if is_of_card and not _SAYS_RAM.search(text) else text)


def _words(text: str) -> list[str]:
    """The words of a text, sizes as `16gb`, names as the tables have them."""
    same = _table()["same"]
    plain = with_plain_sizes(text).lower().replace("×", "x").replace("w/", "with ")
    plain = _FOUNDERS.sub(" ", _NUMBERED_BOOK.sub("book ", _JOINED.sub(" and ", plain)))
    words = [
        word
        for piece in plain.split()
        for word in ([piece] if is_vgpu(piece) else re.sub(r"[^a-z0-9.]+", " ", piece).split())
    ]
    return " ".join(same.get(word, word) for word in words).split()


def _with_counts(words: Sequence[str], row: Mapping[str, Any]) -> list[str]:
    """The words with `2x` for a bare number that tells how many GPUs there are."""
    from .counts import with_counts

    in_laptop = bool(row.get("laptop")) or not _LAPTOPS.isdisjoint(words)
    return with_counts(words, in_laptop=in_laptop, names_a_part=_begins_a_card)


def _begins_a_card(word: str) -> bool:
    """Whether a GPU's name may begin with the word, `rtx`, `h100`."""
    if word in _table()["card"]:
        return True
    # `2 3090`, but not `7 5700`, a Ryzen's
    is_of_processor = word.isdecimal() and cpus.names_of_number(word, beside_gpu=True)
    return not is_of_processor and _is_telling(word) and _card([word], {}) is not None


def _row(words: Sequence[str]) -> Mapping[str, Any] | None:
    """The row that takes the most of these words."""
    rows = [row for row in _table()["product"] if set(row["words"].split()) <= set(words)]
    name = " ".join(words)

    def place(row: Mapping[str, Any]) -> tuple[int, bool]:
        # `nuc 15 ultra 7` is no NUC 7
        return len(_of_row(row) & set(words)), row["words"] in name

    return max(rows, key=place, default=None)


def _without_models(words: Sequence[str]) -> list[str]:
    """The words without the four digits by which a maker numbers the models of a line: a `wyse
    5070` has no RTX 5070.
    """
    lines = _table()["numbered"]
    before = ["", *words]
    return [
        word
        for line, word in zip(before, words, strict=False)
        if line not in lines or not _MODEL_OF_A_LINE.fullmatch(word)
    ]


def _of_row(row: Mapping[str, Any]) -> set[str]:
    """The words that a row's name has, and those that may stand in it."""
    return {*row.get("words", "").split(), *row.get("also", "").split()}


def _without(words: Sequence[str], row: Mapping[str, Any]) -> list[str]:
    own = _of_row(row)
    return [word for word in words if word not in own]


def _read(
    text: str, row: Mapping[str, Any] | None, words: Sequence[str], stated: Typed
) -> _Named | None:
    """What the words beside the row name; None where they name no GPU and say something else.
    Raises `UnknownMachineError` where they name a GPU and something else that has a number.
    """
    of_cards = row or {"laptop": _is_of_a_laptop(words)}
    names, pieces = _cards_and_rest(words, of_cards, has_ram=stated.ram_gib is not None)
    _ask_of_number(text, names, words)
    is_line = _is_line(row)
    others = _beside_its_processor(row, pieces)
    processors, unread = _processors_and_rest(others)
    cards = cards_named(" + ".join(names)) if names else None
    if processors or (row and cards) or is_line:
        _ask_of_strange(text, others, cards, is_line=is_line)
    if len(processors) > 1 or (unread and cards is None and not is_line):
        return None
    processor = processors[0] if processors else None
    left = stated.replace(names=" ".join(itertools.chain(*pieces)))
    is_server = processor is not None and cpus.is_server(processor)
    same_number = (_same_number(telling, processor) for telling, _ in others)
    return _Named(
        row=row,
        processor=processor,
        cards=cards,
        gib=_ram_gib(text, left, names, is_server=is_server),
        system=stated.system,
        aside=tuple(unread),
        others=tuple(itertools.chain.from_iterable(same_number)),
        is_one_size=stated.ram_gib is None and len(sizes_gib(stated.names)) == 1,
    )


def _is_line(row: Mapping[str, Any] | None) -> bool:
    """Whether the row is a line of laptops, of which there are many models."""
    return bool(row and row.get("laptop"))


def _beside_its_processor(
    row: Mapping[str, Any] | None, pieces: Iterable[Sequence[str]]
) -> list[tuple[list[str], str | None]]:
    """As `_others`, without what tells the row's own processor: `rog ally z1 extreme`."""
    of_row = words_of((row or {}).get("processor", ""))
    others = _others(pieces, is_line=_is_line(row))
    return [each for each in others if not of_row or not of_row.issuperset(each[0])]


def _processors_and_rest(
    others: Sequence[tuple[Sequence[str], str | None]],
) -> tuple[list[str], list[str]]:
    """The processors that the words name, and the words that name none."""
    processors = [name for _, name in others if name]
    return processors, [" ".join(telling) for telling, name in others if not name]


def _is_of_a_laptop(words: Sequence[str]) -> bool:
    """Whether a word or the number of its processor tells a laptop of no product that is listed."""
    if not _LAPTOPS.isdisjoint(words):
        return True
    return _DESKTOPS.isdisjoint(words) and any(map(_NUMBER_OF_A_LAPTOP.fullmatch, words))


def _ask_of_strange(
    text: str,
    others: Iterable[tuple[Sequence[str], str | None]],
    cards: NamedCards | None,
    *,
    is_line: bool,
) -> None:
    """Raises `UnknownMachineError` where words have a number and name no processor. Of a line of
    laptops its model has a number, and a GPU that is not listed a word of GPUs before it.
    """
    for telling, _ in others:
        if is_line and not _has_a_card(telling):
            continue
        if strange := _unread(telling):
            raise _not_known(text, strange, cards)


def _others(
    pieces: Iterable[Sequence[str]], *, is_line: bool
) -> list[tuple[list[str], str | None]]:
    """The words between sizes that tell something, and the processor that they name. `is_line`: of
    a line of laptops, where a model may stand before the processor, `e14 ryzen 5 5625u`.
    """
    runs = (
        run
        for piece in pieces
        for is_size, run in itertools.groupby(piece, lambda word: bool(sizes_gib(word)))
        if not is_size
    )
    parts = (part for run in runs for part in (_model_first(run) if is_line else (run,)))
    return [(telling, _processor(telling)) for part in parts if (telling := _telling(part))]


def _model_first(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """The words before the first that tells a processor, and the others; all where none does."""
    words = list(words)
    at = next((at for at, word in enumerate(words) if _tells_a_processor(word)), 0)
    return words[:at], words[at:]


def _tells_a_processor(word: str) -> bool:
    return cpus.class_of(word) is not None or len(cpus.names_of_number(word)) == 1


def _ram_gib(text: str, left: Typed, names: Sequence[str], *, is_server: bool) -> float | None:
    """GiB of RAM by the words beside the names of GPUs. Raises `UnknownMachineError` for a size
    that is of neither.
    """
    gib = memory_gib(left, is_server=is_server)
    if len(names) == 1 and gib is not None and left.ram_gib is None:
        _ask_of_size(text, names[0], gib)
    if len(names) == 1 and gib is not None:
        _ask_of_changed(text, names[0], gib)
    if names and not is_server:
        _ask_of_two_sizes(text, left, names)
    return gib


def _ask_of_two_sizes(text: str, left: Typed, names: Sequence[str]) -> None:
    """Raises `UnknownMachineError` where two sizes may each be that of the RAM, and none is that
    of a GPU, or of several together: `rtx 3090 64gb 32gb`.
    """
    cards = cards_named(" + ".join(names)).accelerators
    own = [round((card.memory_total_bytes or 0) / units.GIB) for card in cards]
    of_cards = {*own, sum(own)}
    if of_cards.isdisjoint(sizes_alike(left)):
        ask_which_is_ram(text, left)


def _ask_of_changed(text: str, card: str, ram_gib: float) -> None:
    """Raises `UnknownMachineError` where a size directly behind the only card is not that of the
    RAM, nor of the card as it is sold, nor of several together: `rtx 2080ti 22gb 64gb ram`.
    """
    words, own = _words(without_kind(text)), card.removesuffix(" laptop").split()
    ends = [
        at + len(own)
        for at in range(len(words) - len(own))
        if words[at : at + len(own)] == own and sizes_gib(words[at + len(own)])
    ]
    if not ends or sizes_gib(card):
        return
    (size,) = sizes_gib(words[ends[0]])
    is_disk = size >= _LEAST_DISK_GIB or words[ends[0] + 1 : ends[0] + 2] in (["ssd"], ["nvme"])
    if size == ram_gib or is_disk:
        return
    named = cards_named(card)
    sold = {round((each.memory_total_bytes or 0) / units.GIB) for each in named.accelerators}
    if size in sold or size == len(named.accelerators) * max(sold):
        return
    label = re.sub(r"^\d+x | \d+ GB$", "", named.label)
    count = f"{len(named.accelerators)}x" if len(named.accelerators) > 1 else ""
    raise UnknownMachineError(
        f"{text.strip()!r}: {label} is not sold with {size:g} GB",
        remedy=differently(
            f"a card that was changed to have them: --set gpu={count}{size:g}GiB:'{label}'"
            f" --machine 'i5-12400 {ram_gib:g}GB'; else ",
            "",
        )
        + f"leave the {size:g} GB out",
    )


def _is_of_ram(gib: float) -> bool:
    """Whether modules of RAM make such a size."""
    return gib % 4 == 0 or gib in (1, 2, 3, 6)


def _ask_of_size(text: str, card: str, gib: float) -> None:
    """Raises `UnknownMachineError` where a size is none of RAM, and none of the card before it:
    `2080ti 22gb` is a card that somebody changed.
    """
    if _is_of_ram(gib):
        return
    try:
        cards_named(f"{card} {gib:g}GB", listed_only=True)
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{text.strip()!r}: {error}",
            remedy=error.remedy,
        ) from error


def _with_bare_processor(text: str, words: Sequence[str]) -> list[str]:
    """The words, with its maker's before a bare number of a processor beside a GPU's name: `5600
    32gb 4060 ti`. Raises `UnknownMachineError` where several processors, or two GPUs, may be meant.
    """
    words = list(words)
    for at, number in enumerate(words):
        processors = cpus.names_of_number(number, beside_gpu=True) if number.isdecimal() else ()
        if not processors or _is_of_words_around(words, at):
            continue
        cards, _ = _cards_and_rest([*words[:at], *words[at + 1 :]], {})
        if not cards:
            continue
        if len(processors) > 1 or (_card([number], {}) and cards[0].isdecimal()):
            meant = [*processors, *([f"rx {number}"] if len(processors) == 1 else [])]
            examples = [option("machine", text.strip().replace(number, name, 1)) for name in meant]
            raise UnknownMachineError(
                f"{text.strip()!r}: {number} can be several processors or a GPU",
                remedy=f"name one: {', '.join(examples)}",
            )
        return [*words[:at], *processors[0].split(), *words[at + 1 :]]
    return words


def _is_of_words_around(words: Sequence[str], at: int) -> bool:
    """Whether the words before a number or behind it say whose it is: `i5 7600`, `5700 xt`."""
    is_variant = not variants().isdisjoint(words[at + 1 : at + 2])
    is_of_maker = at > 0 and maker_of(frozenset(words[at - 1 : at])) is not None
    return is_variant or is_of_maker or any(map(cpus.class_of, words[max(0, at - 3) : at]))


def _same_number(words: Sequence[str], taken: str | None) -> list[str]:
    """Processors of other series with the bare number that was typed."""
    names = cpus.names_of_number(" ".join(words))
    return [name for name in names if name != taken] if taken in names else []


def _ask_of_number(text: str, names: Sequence[str], words: Sequence[str]) -> None:
    """Raises `UnknownMachineError` where a GPU's bare number stands where a processor's would:
    `i7 3070` may be a slip for an i7-3770.
    """
    for name in names:
        kind = _kind_before(name, words) if name.isdecimal() else ""
        if kind:
            label = re.sub(r" \d+ GB$", "", cards_named(name).label)
            whole = text.strip().replace(name, label)
            raise UnknownMachineError(
                f"{text.strip()!r}: there is no {kind} {name}, and {name} can be the GPU {label}",
                remedy=f"name the GPU whole, {option('machine', whole)}, or the processor's number:"
                f" {option('machine', 'i5-12400 16GB')}",
            )


def _kind_before(number: str, words: Sequence[str]) -> str:
    """The processors that a number is said to be one of, `ryzen 7`; empty where none are."""
    at = words.index(number) if number in words else 0
    start = at - 1 - words[at - 1].isdecimal() if at else 0
    kind = words[start:at]
    is_kind = kind and cpus.class_of(kind[0]) is not None and _digits("".join(kind)) < 2
    return " ".join(kind) if is_kind else ""


def _cards_and_rest(
    words: Sequence[str], row: Mapping[str, Any], *, has_ram: bool = False
) -> tuple[list[str], list[Sequence[str]]]:
    """The names of GPUs, as they are typed for --gpu, and the words between them. `has_ram`: the
    RAM is stated apart, so that no size among the words is said to be it.
    """
    for start, end in _runs(words):
        before, run = words[:start], words[start:end]
        if _is_of_processor(before, run) or (not has_ram and _begins_with_ram(before, run)):
            continue
        name = _card(run, row)
        if name is not None:
            names, rest = _cards_and_rest(before, row, has_ram=has_ram)
            others, after = _cards_and_rest(words[end:], row, has_ram=has_ram)
            return [*names, name, *others], [*rest, *after]
    return [], [words]


def _begins_with_ram(before: Sequence[str], run: Sequence[str]) -> bool:
    """Whether a size stands directly behind a processor: `i5-12400 16gb rtx 4060 ti`."""
    sizes = sizes_gib(run[0])
    if not sizes or not before or not _is_of_ram(sizes[0]):
        return False
    own = itertools.takewhile(lambda word: not sizes_gib(word), reversed(before))
    return _processor(_telling([*own][::-1])) is not None


def _runs(words: Sequence[str]) -> list[tuple[int, int]]:
    """Where a GPU's name may stand, the longest first; it has a number, and not one that may be
    that of anything alone: `windows 11` has no Vega 11.
    """
    spans = [
        (start, end)
        for start in range(len(words))
        for end in range(start + 1, min(start + _MOST_WORDS_OF_ONE, len(words)) + 1)
        if any(map(_is_telling, words[start:end]))
        or _has_a_card(words[start:end])
        or _is_a_card_without_number(words[start:end])
    ]
    spans = [span for span in spans if _is_between_cards(words, *span)]
    # behind `quadro` the name has begun
    former = typed_words().of_former_lines
    spans = [(start, end) for start, end in spans if former.isdisjoint(words[:start][-1:])]
    # `7600 rx 7600` is a processor's number and a card
    spans = [(start, end) for start, end in spans if len({*words[start:end]}) == end - start]
    return sorted(spans, key=lambda span: (span[0] - span[1], -span[0]))


def _is_between_cards(words: Sequence[str], start: int, end: int) -> bool:
    """Whether the run takes nothing of a card beside it: `gtx 1080 ti gtx 1070` holds no GTX 1070
    Ti, and its second `gtx` belongs to what follows, as the `radeon` of `rx 6600 radeon vii`.
    """
    begins_behind = start > 0 and words[start] in _table()["behind_number"]
    ends_before = end - start > 1 and words[end - 1] in _table()["unnamed"]["series"]
    of_next = ends_before and not any(map(sizes_gib, words[end : end + 1])) and end < len(words)
    return not (begins_behind or of_next or _has_a_card(words[end - 1 : end + 1]))


def _is_a_card_without_number(words: Sequence[str]) -> bool:
    """Whether it is the whole name of a card that has none: `titan v`, `radeon vii`."""
    if len(words) < 2 or maker_of(frozenset(words[:1])) is None:
        return False
    try:
        cards = cards_named(" ".join(words), listed_only=True, explains=False)
    except UnknownGpuError:
        return False
    return not any(card.unified for card in cards.accelerators)


def _is_bare_count(words: Sequence[str]) -> bool:
    """Whether a short number stands before a name: one that counts has its `x` here."""
    first, *others = words
    return first.isdecimal() and _digits(first) < 3 and bool(others)


def _is_telling(word: str) -> bool:
    digits = _digits(word)
    return digits > 2 or (digits > 0 and not word.isdecimal() and not sizes_gib(word))


def _card(words: Sequence[str], row: Mapping[str, Any]) -> str | None:
    """How GPUs of that name are typed for --gpu: of those that the row is sold with, else of its
    line, else any; in a laptop in their form for laptops.
    """
    if _is_bare_count(words):
        return None
    name = " ".join(words)
    preferred: list[str] = [each for each in row.get("sold", ()) if set(words) <= set(_words(each))]
    if "line" in row:
        preferred.append(f"{row['line']} {name}")
    if row.get("laptop"):
        preferred.append(f"{name} laptop")
        alone = [word for word in words if not sizes_gib(word)]
        if 0 < len(alone) < len(words) and _card(alone, row) == f"{' '.join(alone)} laptop":
            # the size is not that of the card for desktops: `blade 16 rtx 5090 32gb`
            name = preferred.pop()
    for named in (*preferred, name):
        try:
            cards = cards_named(named, listed_only=True, explains=False)
        except UnknownGpuError:
            continue
        # a size behind one that shares the RAM is the RAM's
        if not (any(map(sizes_gib, words)) and all(card.unified for card in cards.accelerators)):
            return named
    return None


def _is_of_processor(before: Sequence[str], run: Sequence[str]) -> bool:
    """Whether a number is that of the processor whose words stand before it: `ryzen 5 7600`."""
    if not run[0].isdecimal() or not before:
        return False
    # an E5-1650 is no GTX 1650
    if cpus.names_of_number(f"{before[-1]} {run[0]}"):
        return True
    if cpus.class_of(" ".join(before)) is None:
        return False
    # behind `ryzen 5 7600` 8gb are no size of an RX 7600
    if sum(not sizes_gib(word) for word in run) > 1:
        # `ryzen 5 rtx 3050` are no five cards
        return cpus.class_of(before[-1]) is not None
    others = _telling(before)
    return (
        cpus.processor_of(" ".join(others)) is None
        and cpus.processor_of(" ".join([*others, run[0]])) is not None
    )


def _unread(words: Sequence[str]) -> str | None:
    """What has a number and is no processor's name, or is that of a GPU that is not listed."""
    is_named = _processor(words) is not None and not _has_a_card(words)
    return None if is_named or not any(map(_digits, words)) else " ".join(words)


def _digits(word: str) -> int:
    return sum(map(str.isdecimal, word))


def _has_a_card(words: Sequence[str]) -> bool:
    """Whether a number follows a word of GPUs' names."""
    names = _table()["card"]
    return any(
        word in names and _digits(following) and not sizes_gib(following)
        for word, following in itertools.pairwise(words)
    )


def names_a_card(text: str) -> bool:
    """Whether a number follows a word of GPUs' names, `arc b60`: it is no processor's."""
    return _has_a_card(_words(typed(text).names))


def _telling(words: Iterable[str]) -> list[str]:
    idle = _table()["idle"]
    return [
        word
        for word in words
        if word not in idle and not sizes_gib(word) and not _YEAR.fullmatch(word)
    ]


def _processor(words: Sequence[str]) -> str | None:
    """The processor that the words name, by its class alone, too; None where they name none."""
    name = " ".join(words)
    branded = cpus.names_of_number(name)
    if branded:
        return branded[0]
    return name if cpus.class_of(name) is not None else None


def _described(text: str, named: _Named) -> Described:
    row = named.row or {}
    processor = _own_or_named(row, named.processor)
    cards = named.cards
    if cards is None and "gpu" in row:
        cards = cards_named(row["gpu"])
    if cards is None and processor is None and "shared" not in row:
        raise _ask(text, row)
    sizes = row["gib"] if row else [_memory_with(processor, cards)]
    disk_gib = named.gib if _is_of_disk(row, named.gib) else None
    if disk_gib is not None:
        named = named.replace(gib=None)
    gib = named.gib or sizes[0]
    machine = _machine(named, processor, cards, gib)
    if named.gib is None:
        machine = machine.replace(memory_most_bytes=_most_bytes(row, processor))
    title = _title(row, processor, cards)
    judged = f'"{text}" is judged as {title}, {ram_words(gib)}'
    of_disk = [] if disk_gib is None else [f"{disk_gib:g} GB are its disk."]
    note = " ".join((f"{judged}{_of_memory(named, gib, sizes)}.", *of_disk, *_doubts(named)))
    return Described(machine=machine.replace(name=title), title=title, note=note)


def _title(row: Mapping[str, Any], processor: str | None, cards: NamedCards | None) -> str:
    """What the machine is called in a sentence: a product's own processor is not told again."""
    title: str = row.get("title", "a machine")
    is_own = processor == row.get("processor")
    parts = [None if row and is_own else processor, cards.label if cards is not None else None]
    named_parts = [part for part in parts if part]
    return f"{title} with {' and '.join(named_parts)}" if named_parts else title


def _own_or_named(row: Mapping[str, Any], named: str | None) -> str | None:
    """The processor that was named; that of the row where words tell only that it is of its kind,
    `r720 dual xeon`, `nuc 11 i7`.
    """
    own: str | None = row.get("processor")
    if named is None or own is None:
        return named or own
    words = frozenset(named.split())
    brand = next((brand for brand in _table()["brands"] if not words.isdisjoint(brand)), ())
    is_its_kind = words <= {*brand} and not words_of(own).isdisjoint(brand)
    return own if is_its_kind else named


def _of_memory(named: _Named, gib: float, sizes: Sequence[float]) -> str:
    """How sure the RAM is, as a sentence goes on, and what else it may be."""
    if named.gib is not None:
        return ""
    others = ", ".join(f"{size:g} GB" for size in sizes if size != gib)
    assumed = "" if _has_one_memory(named.row or {}) else ", assumed"
    return assumed + (f". Otherwise name it: {others}" if others else "")


def _doubts(named: _Named) -> Iterator[str]:
    """Sentences on what the names leave open."""
    if named.others:
        yield f"The number is that of {' and '.join(named.others)}, too."
    if named.processor is None and named.row is None:
        yield "Its processor is assumed."
    yield from _doubts_of_cards(named)
    yield from _doubts_of_variant(named)
    if named.aside:
        yield f"Nothing is known by: {', '.join(named.aside)}."
    if named.system is None and (named.row or {}).get("system") == "windows":
        yield "Windows, as it is sold, is assumed: else add linux."


def _doubts_of_cards(named: _Named) -> Iterator[str]:
    """Whether a size is that of the card, and what the cards' names leave open."""
    if named.may_be_changed:
        label = re.sub(r" \d+ GB$", "", named.cards.label) if named.cards else ""
        yield (
            f"The {named.gib:g} GB are read as RAM."
            + differently(
                f" A card that was changed to have them: --set gpu={named.gib:g}GiB:'{label}'.",
                "",
            )
        )
    elif named.cards is not None:
        yield from named.cards.notes


def _doubts_of_variant(named: _Named) -> Iterator[str]:
    """Which processor of its kind a product has, and whether the GPU is one for laptops."""
    own = (named.row or {}).get("processor")
    if named.processor and own and _own_or_named(named.row or {}, named.processor) == own:
        unlike = [word for word in named.processor.split() if word not in words_of(own)]
        if any(map(_digits, unlike)) and cpus.count_of(named.processor) == 1:
            yield f"Which {named.processor} it has is not told: judged with its usual {own}."
    of_laptop = " laptop" in (named.cards.label.lower() if named.cards else "")
    if of_laptop and named.row is None and _is_of_a_laptop((named.processor or "").split()):
        yield "Its GPU has the form for laptops, as its processor: else add desktop."


def _is_of_disk(row: Mapping[str, Any], gib: float | None) -> bool:
    """Whether a size is that of the disk: of a product whose memory is soldered and of one rate, so
    that it is sold with no such memory: `steam deck 512gb`.
    """
    return gib is not None and "gb_per_s" in row and gib > max(row["gib"])


def _class_of(processor: str | None) -> cpus.ProcessorClass | None:
    return None if processor is None else cpus.class_of(processor)


def _memory_with(processor: str | None, cards: NamedCards | None) -> float:
    """GiB of RAM that most machines with such a processor and such GPUs have."""
    around = _class_of(processor)
    of_processor = 0 if around is None else around.memory_gib
    return float(max(of_processor, 0 if cards is None else cards.usual_ram_gib))


def _has_one_memory(row: Mapping[str, Any]) -> bool:
    """Of a product that is sold with several processors the RAM is a guess, too."""
    return len(row.get("gib", ())) == 1 and not {"processor", "shared"}.isdisjoint(row)


def _most_bytes(row: Mapping[str, Any], processor: str | None) -> int | None:
    """The most RAM that it is sold with, or that a machine with such a processor takes; None is not
    known.
    """
    sizes_gib: Sequence[float] = row.get("gib", ())
    if len(sizes_gib) > 1 or _has_one_memory(row):
        return round(max(sizes_gib) * units.GIB)
    around = _class_of(processor)
    return None if around is None else around.most_gib * units.GIB


def _machine(named: _Named, processor: str | None, cards: NamedCards | None, gib: float) -> Machine:
    row, is_stated = named.row or {}, named.gib is not None
    memory = round(gib * units.GIB)
    system, architecture = "linux", "x86_64"
    if (around := _class_of(processor)) is not None:
        system = system if row else around.system
        architecture = around.architecture
    facts: dict[str, Any] = {
        "system": named.system or row.get("system", system),
        "architecture": row.get("architecture", architecture),
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
        facts.update(_fast_cores(processor, row["physical"]))
    if own and "gb_per_s" in row:
        facts[_BANDWIDTH] = round(row["gb_per_s"] * units.GB)
    source = _table()["sources"][row["source"]] if row else _TYPED
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


def _fast_cores(processor: str | None, physical: int) -> dict[str, int]:
    """`cpu_cores_performance` of a processor with so many cores, where fewer are of the fastest
    kind; empty where its name tells no such count.
    """
    cores = None if processor is None else cpus.cores_of(processor)
    if cores is None or not cores.are_known or cores.physical[1] != physical:
        return {}
    fast = cores.performance[1]
    return {"cpu_cores_performance": fast} if fast < physical else {}


def fact_to_type(machine: Machine) -> tuple[str, str] | None:
    """What beside the names that the machine was made of tells most of its bandwidth, in words and
    as an example; None where the machine was not made of names, or nothing is left to tell.
    """
    source = machine.sources.get("cpu_model", "")
    is_of_product = machine.scope == "host" and source in _table()["sources"].values()
    if machine.cpu_model and (is_of_product or source.startswith('"')):
        return _fact_of_processor(machine, machine.cpu_model)
    if machine.sources.get("accelerators") != _TYPED:
        return None
    if not are_channels_known(machine):
        return None
    return "the rate of its RAM", usual_ram(machine)


def what_to_state(machine: Machine) -> str | None:
    """`state the rate of its RAM (--machine '… ddr5-5200')`: as `fact_to_type`, to do."""
    fact = fact_to_type(machine)
    if fact is None:
        return None
    return f"state {fact[0]} ({option('machine', f'… {fact[1]}')})"


def _fact_of_processor(machine: Machine, processor: str) -> tuple[str, str] | None:
    """As `fact_to_type`, of a machine around a processor that was named."""
    if machine.scope != "host":
        # clouds do not tell which share of the RAM's rate a guest gets
        is_told = machine.architecture != "x86_64" or cpus.processor_of(processor) is not None
        return None if is_told else ("its processor", cpus.example_of(processor))
    series = cpus.processor_of(processor)
    is_kind_alone = names_a_class_alone(processor) or (series and series.is_a_generation)
    if is_kind_alone and machine.architecture == "x86_64":
        return "its processor", cpus.example_of(processor)
    if not _rate_tells(machine, processor):
        return None
    is_open = machine.memory_bandwidth_bytes_per_second is None
    modules = usual_modules(machine) if is_open else ""
    if not modules:
        return "the rate of its RAM", usual_ram(machine)
    return "the modules and the rate of its RAM", f"{modules} {usual_ram(machine, in_modules=True)}"


def _rate_tells(machine: Machine, processor: str) -> bool:
    """Whether the rate of the RAM tells its pace."""
    series = cpus.processor_of(processor)
    if series is None or not are_channels_known(machine):
        return False
    # what is soldered to it in one rate alone is known
    has_one = series.memory == "soldered" and series.least == series.most
    # something else bounds several sockets, and cores without AVX2
    return not (has_one or series.lacks_avx2 or cpus.count_of(processor) > 1)


def _accelerators(row: Mapping[str, Any], cards: NamedCards | None) -> tuple[Accelerator, ...]:
    shared = row.get("shared")
    if cards is not None:
        return cards.accelerators
    if shared is None:
        return ()
    return (Accelerator(vendor=vendor_of(shared), name=shared, unified=True),)


def of_unnamed_gpu(text: str, *, is_processor_named: bool = False) -> UnknownMachineError | None:
    """What to ask where a text tells a GPU and not which, `amd gpu 16gb`; None where it does not.
    With `is_processor_named` words that may be of a processor's own GPU tell none.
    """
    stated, table = typed(text), _table()["unnamed"]
    words = _words(stated.names)
    if not set(words).isdisjoint(table["none"]):
        return None
    said = {*table["gpu"]} if is_processor_named else {*table["gpu"], *table["series"]}
    numbered = {
        word
        for before, number in itertools.pairwise(words)
        if before in table["shared"] and number.isdecimal() and not is_processor_named
        for word in (before, number)
    }
    plain = _table()["plain"]
    silent = {*said, *numbered, *table["filler"], *plain["forms"], *plain["without"]}
    if numbered and _cards_and_rest(words, {})[0]:
        return None
    is_more_told = not is_processor_named and not set(_telling(words)) <= silent
    if is_more_told or (said.isdisjoint(words) and not numbered):
        return None
    what = "a GPU's memory" if "vram" in words else "a GPU"
    return UnknownMachineError(
        f"{text.strip()!r} tells {what}, but not which GPU it is",
        remedy=f"name the GPU beside the RAM: {option('machine', 'i5-12400 32GB RTX 3090')}, or the"
        f" processor where it is part of one: {option('machine', 'i5-8250U 16GB')}",
    )


def lead_to_its_parts(text: str) -> UnknownMachineError | None:
    """What to ask where a listed GPU is named beside words that say nothing, one that is not
    listed, or RAM alone; None where none is.
    """
    stated = typed(text)
    words = _words(stated.names)
    if len(words) > _MOST_WORDS:
        return None
    if instance_typed(text)[0] is not None or vgpu_typed(text) is not None:
        try:
            cards_named(text)
        except UnknownGpuError as error:
            return UnknownMachineError(f"{error}", remedy=error.remedy)
    if has_an_unlisted_gpu(text):
        return UnknownMachineError(
            f"{text.strip()!r} is rented with a GPU, or a part of one, that is not listed",
            remedy=differently(
                "state what it has: --machine 'vm 8 vcpu 32gb' --set gpu=8GiB",
                'name another GPU: machine="8 vCPU 32GB RTX 3060"',
            ),
        )
    if (size := memory_gib(stated, is_server=True)) and not _telling(words):
        return UnknownMachineError(
            f"{text.strip()!r} tells a machine's memory, but not its processor",
            remedy=f"name the processor beside it: {option('machine', f'i5-8250U {size:g}GB')}",
        )
    by_cards = _lead_by_its_cards(text, words)
    if by_cards is None and is_guest_without_size(text):
        return UnknownMachineError(
            f"{text.strip()!r} tells a virtual machine, but not how large it is",
            remedy=f"name its processors and its memory: {option('machine', 'vps 4 vcpu 8gb')}",
        )
    return by_cards


def _lead_by_its_cards(text: str, words: Sequence[str]) -> UnknownMachineError | None:
    """As `lead_to_its_parts`, of a text that tells nothing but GPUs."""
    words = _with_counts(_without_models(words), _row(words) or {})
    names, pieces = _cards_and_rest(words, {})
    unlisted = next((" ".join(piece) for piece in pieces if _has_a_card(piece)), None)
    if not names or unlisted is not None:
        return None if unlisted is None else _not_known(text, unlisted, None)
    # a short number may be that of anything
    is_told = _has_a_card(words) or any(
        _digits(word) > 2 for name in names for word in name.split()
    )
    if not is_told:
        return None
    cards = cards_named(" + ".join(names))
    last = text.split()[-1]
    if len(cards.accelerators) == 1 and re.fullmatch("[2-8]", last):
        example = f"i5-12400 64GB {last}x {cards.label}"
        return UnknownMachineError(
            f"{text.strip()!r} does not tell what the {last} at its end counts",
            remedy=f"write it before the GPU's name: {option('machine', example)}",
        )
    return _of_a_card_alone(text, cards)


def _of_a_card_alone(text: str, cards: NamedCards) -> UnknownMachineError:
    """The error for a GPU beside words that say nothing that is known."""
    label, message = cards.label, f"no machine is called {text.strip()!r}, though"
    if all(card.unified for card in cards.accelerators):
        return UnknownMachineError(
            f"{message} {label} is the GPU of a processor",
            remedy=f"name the processor and the RAM: {option('machine', 'core ultra 7 258v 32GB')}",
        )
    has_form = "laptop" not in label.lower() and _card([label, "laptop"], {}) is not None
    laptop = f" (--gpu '{label} laptop' its form for laptops)" if has_form else ""
    # what such GPUs are sold with
    is_small = cards.usual_ram_gib <= _MOST_OF_A_DESKTOP_GIB
    example = f"{'i5-12400' if is_small else 'epyc 9354'} {label} {2 * cards.usual_ram_gib}GB"
    return UnknownMachineError(
        f"{message} {label} is a GPU",
        remedy=differently(
            f"--gpu '{label}' puts it into this machine{laptop}; with a processor and the RAM it"
            f" is another machine: --machine '{example}'",
            f'name a processor and the RAM with it: machine="{example}"',
        ),
    )


def _not_known(text: str, name: str, cards: NamedCards | None) -> UnknownMachineError:
    """The error for a text of which a part with a number is not known."""
    if _has_a_card(name.split()):
        try:
            cards_named(_from_its_card(name))
        except UnknownGpuError as error:
            return UnknownMachineError(
                f"{text.strip()!r}: {error}",
                remedy=error.remedy,
            )
    beside = "" if cards is None else f" beside {cards.label}"
    return UnknownMachineError(
        f"{text.strip()!r}: nothing is known by {name!r}{beside}",
        remedy=differently(
            "leave it out, or name the GPU apart: --machine 'i5-12400 32GB' --gpu 'RTX 3090'",
            'leave it out, as in machine="i5-12400 32GB RTX 3090"',
        ),
    )


def _from_its_card(name: str) -> str:
    """The words from the first on that is of GPUs' names, `rtx 9999`."""
    words, names = name.split(), _table()["card"]
    return " ".join(itertools.dropwhile(lambda word: word not in names, words))


def _no_computer(text: str) -> UnknownMachineError:
    return UnknownMachineError(
        f"{text.strip()!r} is a phone, a tablet or a console, which is not judged",
        # llama.cpp, docs/android.md
        remedy="apps with llama.cpp run small models on phones: `selfhost show MODEL` tells what"
        " one takes. Name a computer:"
        f" {option('machine', 'i5-8250U 16GB')}, {option('machine', 'macbook air m2')}",
    )


def is_a_line_alone(text: str) -> bool:
    """Whether it is the whole name of a line of laptops: an `msi titan` is no TITAN."""
    words = _words(text)
    row = _row(words)
    return row is not None and bool(row.get("laptop")) and not _telling(_without(words, row))


def _ask(text: str, row: Mapping[str, Any]) -> UnknownMachineError:
    title = row["title"]
    part = "processor" if "beside" in row else "GPU"
    example = row.get("beside", "4060")
    return UnknownMachineError(
        f"{text!r} can be several machines: {title} comes with more than one {part}",
        remedy=f"name the {part} beside it: {option('machine', f'{text} {example}')}",
    )


def _with_a_card() -> list[Mapping[str, Any]]:
    """The products that have a card of their own in any case."""
    return [row for row in _table()["product"] if "card" in row]


def _table() -> Mapping[str, Any]:
    return shipped_table("products")
