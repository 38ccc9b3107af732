"""What people type about machines: the words of a description in one spelling each, and the GPUs
that they mean, `2x 3090`, `geforce rtx 4060 ti 16 gb`. `specs/common/words.toml` has the roles of
words, and what is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple

from ..core import units
from ..core.errors import SelfhostError
from ..core.records import Record, shortened
from ..core.tables import shipped_table
from ..core.templates import fill
from ..core.units import all_near, words_of
from . import cpus
from .gpus import driver_memory_bytes, fact_of, vendor_of, why_unserved
from .record import Accelerator

BREAK = "|"
MOST_CARDS = 64
_MOST_ASKED = 8
SIZE = re.compile(r"(\d+(?:\.\d+)?)(gb|tb)(ram|vram|disk|)", re.ASCII)
# `2x`, `x2`
COUNT = re.compile(r"(\d{1,2})x|x(\d{1,2})", re.ASCII)
# `8cores`, `16threads`, `4vcpus`, `3200mts`, `2channels`, `2sticks`, and `8gen` of the 8th
NUMBERED = re.compile(
    r"(\d+)(cores|threads|vcpus|cpus|mts|channels|sticks|gen)", re.ASCII
)

word_table = partial(shipped_table, "words")


class UnknownMachineError(SelfhostError, LookupError):
    """No profile answers to the name. `nearest` are names that do, closest first."""


class UnknownGpuError(SelfhostError, LookupError):
    """No GPU that is sold as a card answers to the name. `nearest` are names that do."""


class PartOfMachineError(UnknownGpuError):
    """The name is that of a GPU whose memory is its machine's RAM, so that it comes with one."""


class GpuCountError(UnknownGpuError):
    """The name is that of a GPU, and of so many none is judged."""


_ERRORS = {
    "machine": UnknownMachineError,
    "gpu": UnknownGpuError,
    "part": PartOfMachineError,
    "count": GpuCountError,
}


def bad_name(
    code: str, text: str, nearest: Iterable[str] = (), **values: object
) -> SelfhostError:
    """The error for what was typed, by its code in `refused` of words.toml, with these values."""
    row, plain = word_table()["refused"][code], shortened(text)
    values |= {"text": repr(plain), "plain": plain}
    error = _ERRORS[row.get("error", "machine")]
    remedy = fill(row["remedy"], values)
    return error(fill(row["is"], values), nearest=list(nearest), remedy=remedy)


@cache
def role(name: str) -> frozenset[str]:
    """The words of a role, which is a key of the table: `idle`, `cards`, `macs`."""
    return frozenset(word_table()[name])


@cache
def shape(name: str) -> re.Pattern[str]:
    return re.compile(word_table()["shape"][name], re.ASCII)


_FUNCTIONS: Mapping[str, Callable[[re.Match[str]], str]] = {
    # `2` for `dual` before channels, sticks and cores
    "count": lambda match: str(shipped_table("cpus")["counts"].get(match[1], match[0])),
    "times": lambda match: f" {shipped_table('cpus')['counts'][match[1]]}x ",
    "kib": lambda match: f"{int(match[1]) // 1024}mb",
    "mib": lambda match: f" {int(match[1]) / 1024:.3g}gb ",
    # `2x16gb` for `32gb (2x16)`; as it is where that is not the sum
    "modules": lambda match: (
        f" {match[2]}x{match[3]}gb "
        if int(match[1]) == int(match[2]) * int(match[3])
        else match[0]
    ),
}


def tokens(text: str) -> list[str]:
    """The words of a description in one spelling each, in order, with BREAK between its parts."""
    lines = f" {BREAK} ".join(unicodedata.normalize("NFKC", text).lower().splitlines())
    spoken = _spoken_words()
    plain = spoken.pattern.sub(
        lambda match: f" {spoken.means[match[0]]} ", lines.replace("\u0307", "")
    )
    plain = re.sub(
        r"[,;:/()+&|\[\]@\n\t\r!?]+", f" {BREAK} ", rewritten(plain, "rewrite")
    )
    same, out = word_table()["same"], list[str]()
    for piece in plain.split():
        is_whole = piece == BREAK or NUMBERED.fullmatch(piece)
        for word in (
            [piece] if is_whole else re.split(r"[^\w.]+|_", piece.strip(".'\""))
        ):
            out += same.get(word, word).split() if word.strip(".") else []
    return out


class _SpokenWords(NamedTuple):
    """The words that stand for others: what finds one, and what it means."""

    pattern: re.Pattern[str]
    means: Mapping[str, str]


@cache
def _spoken_words() -> _SpokenWords:
    """The table `spoken`; its pattern takes longer to write than all else of a description."""
    means = dict[str, str]()
    for row in word_table()["spoken"]:
        for word in row["words"]:
            means[word] = row["means"]
    # words of scripts without spaces stand alone wherever they are: `16기가`
    joined_on = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
    inside, alone = list[str](), list[str]()
    for word in sorted(means, key=len, reverse=True):
        kind = inside if joined_on.search(word) else alone
        kind.append(re.escape(word))
    pattern = "|".join([*inside, rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)"])
    return _SpokenWords(pattern=re.compile(pattern), means=means)


def rewritten(text: str, name: str) -> str:
    """The text after each replacement of that table, `rewrite`; by `spelling` with the spaces that
    drivers write: `RTX4070TiSUPER` becomes `RTX 4070 Ti SUPER`.
    """
    for row in word_table()[name]:
        put = row["put"] if "put" in row else _FUNCTIONS[row["by"]]
        text = re.sub(row["find"], put, " ".join(text.split()))
    return text.strip()


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
        said = [
            word for word in self.name.split() if word.lower() not in role("unsaid")
        ]
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


@cache
def every_card() -> tuple[Card, ...]:
    idle, former = role("gpu_idle"), word_table()["former"]
    all_cards = []
    for row in shipped_table("gpus")["gpu"]:
        vendor = vendor_of(row["name"])
        named = [
            row["name"],
            row["words"],
            row.get("also", ""),
            vendor,
            *former.get(vendor, ()),
        ]
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


def joined(named: Sequence[NamedCards]) -> NamedCards:
    return NamedCards(
        accelerators=tuple(card for each in named for card in each.accelerators),
        label=" + ".join(each.label for each in named),
        notes=tuple(note for each in named for note in each.notes),
        source="; ".join(each.source for each in named),
    )


def named_card(
    name: Sequence[str],
    memory_gib: float | None = None,
    count: int = 1,
    *,
    laptop: bool = False,
) -> NamedCards:
    """So many of the GPU of that name. Raises `UnknownGpuError` or `PartOfMachineError`."""
    several = matches(tuple(name), laptop=laptop)
    if not several:
        raise unknown_gpu(name)
    if all(card.unified for card in several):
        shared = next((card for card in several if card.integrated), None)
        if shared is None:
            raise bad_name("gpu_of_machine", several[0].label)
        inside = Accelerator(
            vendor=vendor_of(shared.name), name=shared.name, unified=True
        )
        source = f"{shared.label}: part of a processor, so its memory is the RAM"
        cards = NamedCards(accelerators=(inside,), label=shared.label, source=source)
    else:
        cards = _choose_size(several, " ".join(name), memory_gib)
    label = f"{count}x {cards.label}" if count > 1 else cards.label
    return cards.replace(accelerators=cards.accelerators * count, label=label)


def _choose_size(
    several: Sequence[Card], typed: str, memory_gib: float | None
) -> NamedCards:
    """The usual size of the cards that a name can mean, else the smallest and slowest; a note."""
    options = [
        (
            card.usual_gib not in (None, size),
            size,
            fact_of(card.name, "gb_per_s", size),
            card,
        )
        for card in several
        for size in card.memory_gib
        if memory_gib in (None, size, size * card.devices)
    ]
    if not options:
        raise not_sold_so(several, memory_gib or 0)
    options.sort(key=lambda option: option[:3])
    _, size, peak, card = options[0]
    others = dict.fromkeys(
        c.label_with(s) for _, s, p, c in options if (s, p) != (size, peak)
    )
    names, sized = " or ".join(f'"{name}"' for name in others), card.label_with(size)
    which = "the usual one" if card.usual_gib else "the smallest"
    note = f'"{typed}" is judged as {sized}, {which}; otherwise name {names}.'
    label = card.label if len(card.memory_gib) == 1 else sized
    source = shipped_table("gpus")["sources"][fact_of(card.name, "source", size)]
    accelerator = Accelerator(
        vendor=vendor_of(card.name),
        name=card.name,
        memory_total_bytes=driver_memory_bytes(card.name, size),
        unified=False,
        memory_bandwidth_bytes_per_second=round(peak * units.GB),
    )
    return NamedCards(
        accelerators=(accelerator,) * card.devices,
        label=label,
        notes=(note,) if others else (),
        source=f"{label}: bandwidth from {source}",
    )


@lru_cache(maxsize=4096)
def matches(name: tuple[str, ...], *, laptop: bool = False) -> tuple[Card, ...]:
    """The cards of which the words say enough, `h200` is no `h200 nvl`; also by a short form,
    `3070s`, and in a laptop its form.
    """
    if laptop and (several := matches((*name, "laptop"))):
        return several
    plain, same = rewritten(" ".join(name), "spelling").lower(), word_table()["same"]
    left_out, short = role("left_out"), word_table()["short"]
    for spelling in (plain, *(re.sub(row["find"], row["put"], plain) for row in short)):
        typed = frozenset(same.get(word, word) for word in words_of(spelling)) - role(
            "gpu_idle"
        )
        meant = [
            card
            for card in every_card()
            if (typed <= card.named and card.words - left_out - role("forms") <= typed)
            or typed in card.called
        ]
        whole = [card for card in meant if card.words - left_out <= typed]
        most = max((len(card.words - left_out) for card in whole), default=0)
        longest = [card for card in whole if len(card.words - left_out) == most]
        if typed and meant:
            return tuple(longest or meant)
    return ()


def unknown_gpu(name: Sequence[str]) -> Exception:
    """The error for words that are no GPU's name, with names that are spelled alike."""
    text = " ".join(name)
    of_apple = frozenset(("apple", *name))
    if (chip := cpus.chip_of(of_apple)) and of_apple == words_of(chip.name):
        return bad_name("gpu_of_machine", chip.name)
    if clause := why_unserved(text):
        return bad_name("unserved_gpu", text, clause=clause)
    sold = [card for card in every_card() if not card.unified]
    spelled = rewritten(text, "spelling")
    words = spelled.lower().split()
    words = [
        word for word in words if not (SIZE.fullmatch(word) or COUNT.fullmatch(word))
    ]
    near = [*dict.fromkeys(card.label for card in sold if {*words} <= card.named)]
    if not 0 < len(near) <= _MOST_ASKED:
        near = all_near(spelled, [card.label for card in sold])
    meant = f"did you mean {', '.join(near)}? Otherwise " if near else ""
    return bad_name("gpu", text, near, meant=meant)


def not_sold_so(several: Sequence[Card], memory_gib: float) -> Exception:
    """The error for a size that none of the cards is sold with."""
    card, sizes = (
        several[0],
        sorted({size for each in several for size in each.memory_gib}),
    )
    sold = " or ".join(f"{size:g}" for size in sizes)
    near = [card.label_with(size) for size in card.memory_gib]
    return bad_name("gpu_size", card.label, near, gib=f"{memory_gib:g}", sold=sold)
