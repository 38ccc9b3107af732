"""What a model can need at least and reach at most on a machine, from its outline alone.

`listing` orders models by these bounds and judges only those that may be among the rows it shows.
The bounds are arithmetic on published figures, not fits: a test holds every shipped model to them.
"""

from __future__ import annotations

from math import inf

from ..catalogue.outlines import Outline
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_MIN_TOKENS_PER_SECOND, Workload
from ..judge.checks.memory import given_bytes
from ..judge.pace.graphics import gpu_of
from ..judge.pace.memory_bandwidth import BANDWIDTH_SHARE, bandwidth
from ..judge.pace.speed import shared_gpu_of
from ..machine.record import Machine
from ..needs.quantization import BLOCKS

# The smallest type that a program takes unasked is MXFP4, 4.25 bits a parameter, or bitsandbytes'
# NF4, 4 bits before its scales. Ternary weights are smaller, but their tables of words are not. For
# pictures each type down to Q2_K is tried
LEAST_DEFAULT_BITS = 4.0
LEAST_PICTURE_BITS = 8 * BLOCKS["Q2_K"][1] / BLOCKS["Q2_K"][0]
# Of the active parameters a token reads at least so many: of a small model nearly half are the
# table of words, of which a token looks up one row, and of one that sees some more are the encoder
# of pictures, which decoding leaves alone
LEAST_SHARE_READ = 0.4
# For the line that counts models, what most take: bytes of a parameter in Q4_K_M and in 16 bits,
# and what a program and its usual context take beside the weights (guesses: 0.5 to 1, 1 to 2 GiB)
_TEXT_BYTES, _OTHER_BYTES = 0.6, 2.0
_BESIDE_TEXT_BYTES, _BESIDE_OTHERS_BYTES = 0.6 * units.GIB, 1.2 * units.GIB

_OF_TEXT, _OF_PICTURES = ("text", "vision"), ("image", "video")


class BestCase(Record):
    """The most that a machine gives a model: `room_bytes` of memory, `disk_bytes`, and
    `bytes_per_second` read while it answers, infinite where that is not known. `bits_stated` is the
    least that a parameter takes where a type was asked for.
    """

    room_bytes: float
    disk_bytes: float
    bytes_per_second: float
    bits_stated: float | None
    wanted_tokens_per_second: float

    def has_room(self, outline: Outline) -> bool:
        """Whether all memory together may hold the model."""
        parameters = outline.parameters_total or 0
        return parameters * self._least_bits(outline.modality) / 8 <= self.room_bytes

    def _least_bits(self, modality: str) -> float:
        """What a parameter takes at least."""
        if self.bits_stated is not None:
            return self.bits_stated
        return LEAST_PICTURE_BITS if modality in _OF_PICTURES else LEAST_DEFAULT_BITS

    def has_likely_room(self, outline: Outline) -> bool:
        """Whether memory and disk likely hold the model: an estimate, and no bound."""
        parameters, is_text = outline.parameters_total or 0, outline.modality in _OF_TEXT
        size = parameters * (_TEXT_BYTES if is_text else _OTHER_BYTES)
        beside = _BESIDE_TEXT_BYTES if is_text else _BESIDE_OTHERS_BYTES
        return size + beside <= self.room_bytes and size <= self.disk_bytes

    def tokens_per_second(self, outline: Outline) -> float:
        """The most that it may give, of one sequence; infinite where that is not known."""
        parameters = outline.parameters_active or outline.parameters_total
        if parameters is None or outline.modality not in _OF_TEXT:
            return inf
        read_bytes = parameters * LEAST_SHARE_READ * self._least_bits(outline.modality) / 8
        return self.bytes_per_second / read_bytes if read_bytes > 0 else inf

    def is_slow(self, outline: Outline) -> bool:
        """Whether text surely comes more slowly than was wanted."""
        return self.tokens_per_second(outline) < self.wanted_tokens_per_second

    def without(self) -> BestCase:
        """The same without bounds on memory and pace."""
        return self.replace(room_bytes=inf, bytes_per_second=inf)


def best_case(machine: Machine, workload: Workload) -> BestCase:
    """The bounds for that machine, from the tables that the judge uses."""
    smallest = min(8 * size / count for count, size in BLOCKS.values())
    # training has another pace, and a draft multiplies the pace of what reads the weights
    is_bounded = workload.task == "generate" and workload.draft is None
    rates = _read_rates(machine)
    wanted = workload.min_tokens_per_second
    return BestCase(
        room_bytes=_room_bytes(machine, workload),
        disk_bytes=_disk_bytes(machine),
        bytes_per_second=max(rates, default=inf) if is_bounded else inf,
        bits_stated=None if workload.quantization is None else smallest,
        wanted_tokens_per_second=DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted,
    )


def _room_bytes(machine: Machine, workload: Workload) -> float:
    """All memory that models may use, of the RAM and of cards with memory of their own."""
    given, limit = given_bytes(machine, workload), machine.memory_limit_bytes
    # files that lie in memory count as free where they are the model's own
    in_files = limit if machine.models_present else None
    sizes = [None if given is None else max(given, in_files or 0)]
    cards = [card for card in machine.accelerators or () if card.unified is not True]
    sizes += [card.memory_total_bytes for card in cards]
    return sum(inf if size is None else size for size in sizes)


def _disk_bytes(machine: Machine) -> float:
    """What the roomiest disk has free."""
    sizes = [disk.free_bytes for disk in machine.disks or ()]
    return max((inf if size is None else size for size in sizes), default=inf)


def _read_rates(machine: Machine) -> list[float]:
    """Bytes per second that weights are read at, at most: by the processor, by a GPU that shares
    the RAM, by all other GPUs together; infinite where that is not known.
    """
    memory, shared = bandwidth(machine), shared_gpu_of(machine)
    rates = [inf if memory is None else BANDWIDTH_SHARE * memory.high]
    if shared is not None:
        rates.append(max(shared.peak.likely, shared.peak.fast))
    cards = [gpu_of(card) for card in machine.accelerators or () if card.unified is not True]
    rates.append(sum(inf if gpu is None else gpu.peak.fast for gpu in cards))
    return rates
