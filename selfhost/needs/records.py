"""What a model takes under a workload: plain records, all sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property

from ..core.records import Record, Unread

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.runtime import RuntimeSpec
    from ..catalogue.spec import ModelSpec
    from ..core.workload import Workload
    from .parts import Companions


class How(StrEnum):
    """How a figure is known, from the surest to a guess."""

    EXACT = "exact"
    COMPUTED = "computed"
    MEASURED = "measured"
    STATED = "stated"
    ASSUMED = "assumed"


def summed(*lines: str) -> str:
    """One line for the sum of several. Remarks stand behind a semicolon, where a calculator stops;
    those of all lines come last.
    """
    sums, remarks = [], []
    for line in lines:
        counted, _, remark = line.partition("; ")
        sums.append(counted)
        remarks += [remark] if remark else []
    return "; ".join([" + ".join(sums), *remarks])


def middle_of(low: int, high: int) -> str:
    """The line of a figure of which only the two ends are known."""
    return f"({low:,} + {high:,}) / 2 bytes"


def taken_off(line: str, size: int, what: str) -> str:
    """The line, less `size` bytes of `what`."""
    counted, mark, remark = line.partition("; ")
    return f"{counted} - {size:,} bytes {what}{mark}{remark}"


def share_of(share: str, line: str) -> str:
    """The line of a share of what another line comes to."""
    counted, mark, remark = line.partition("; ")
    counted = f"({counted})" if " + " in counted or " - " in counted else counted
    return f"{share} × {counted}{mark}{remark}"


class Split(StrEnum):
    """How a term is shared out where accelerators hold the model."""

    HOST = "host only"
    PROGRAM = "host, and each device of a program that runs on devices alone"
    LAYERS = "by layer"
    FIRST = "whole on the first"
    EACH = "whole on each"


SPLITS = {
    "weights": Split.LAYERS,
    "repacked_weights": Split.LAYERS,
    "kv_cache": Split.LAYERS,
    "recurrent_state": Split.LAYERS,
    "embeddings": Split.HOST,
    "runtime": Split.PROGRAM,
    "projector": Split.FIRST,
    "projector_compute": Split.FIRST,
    "mtp_weights": Split.FIRST,
    "mtp_kv_cache": Split.FIRST,
    "mtp_compute": Split.FIRST,
}
"""How a term of that name is shared out unless its account says otherwise; else whole on each."""

ACCELERATOR = "accelerator"
"""The place of a term of which it is not said yet which accelerator holds it."""


class Device(Record):
    """Accelerators that are to hold a model, as far as what it takes depends on them: one of
    `devices` alike that share it out in equal parts (tensor parallelism).

    `is_large`: as `judge.placement.devices.is_large`. `is_lean`: the runtime is started with its
    `lean_option`. The bytes in all, free, and that a program may take; None where not known.
    """

    devices: int = 1
    is_large: bool = False
    is_lean: bool = False
    total_bytes: int | None = None
    free_bytes: int | None = None
    room_bytes: int | None = None


class Term(Record):
    """One part of the memory need where the model lies. `low_bytes` and `high_bytes` enclose it;
    all three are equal where it is exact.

    `name`: weights, repacked_weights, embeddings (in RAM, of weights that a device holds),
    kv_cache, recurrent_state, compute, runtime, projector,
    activations, gradients, optimizer,
    projector_compute; of a draft model the same with `draft_` in front, of a multi-token-prediction
    block with `mtp_`. `where`: host, accelerator:N, or ACCELERATOR. `arithmetic` is one line that a
    person can check with a calculator. `output_bytes` of a term that is shared out by layer go with
    the last layer.
    """

    name: str
    bytes: int
    low_bytes: int
    high_bytes: int
    where: str = "host"
    split: Split = Split.EACH
    output_bytes: int = 0
    how: How
    source: str
    arithmetic: str

    @property
    def is_program(self) -> bool:
        """The program's own, in RAM wherever the rest lies."""
        return self.name in ("runtime", "draft_runtime")

    @property
    def stays_in_ram(self) -> bool:
        """It lies in RAM wherever the rest does."""
        return self.split in (Split.HOST, Split.PROGRAM)

    @property
    def may_be_mapped(self) -> bool:
        """Weights as they lie in the file: a runtime may map them instead of holding them in
        private memory.
        """
        return self.name in (
            "weights",
            "embeddings",
            "draft_weights",
            "draft_embeddings",
            "mtp_weights",
        )

    def resized(self, size: int, arithmetic: str) -> Term:
        """The term with another size; its range is as wide as before."""
        change = size - self.bytes
        return self.replace(
            bytes=size,
            low_bytes=max(0, self.low_bytes + change),
            high_bytes=self.high_bytes + change,
            output_bytes=0,
            arithmetic=arithmetic,
        )


class SizedWeights(Record):
    """What one set of files weighs: `bytes` as downloaded, enclosed by `low_bytes` and
    `high_bytes`.
    """

    bytes: int
    low_bytes: int
    high_bytes: int
    how: How
    source: str
    arithmetic: str


class PlaceNeed(Record):
    """What lies in one place: `where` is "host" or "accelerator:N"."""

    where: str
    total_bytes: int
    low_bytes: int
    high_bytes: int
    evictable_bytes: int


class MemoryNeed(Record):
    """The sum of the terms. `evictable_bytes` may be dropped by the system at no harm and is
    outside the total.
    """

    terms: tuple[Term, ...]
    evictable_bytes: int = 0

    @cached_property
    def total_bytes(self) -> int:
        """Best estimate."""
        return sum(term.bytes for term in self.terms)

    @cached_property
    def low_bytes(self) -> int:
        """The least it can be."""
        return sum(term.low_bytes for term in self.terms)

    @cached_property
    def high_bytes(self) -> int:
        """The most it can be: what a verdict is held against."""
        return sum(term.high_bytes for term in self.terms)

    @property
    def places(self) -> tuple[PlaceNeed, ...]:
        """The sums of each place that holds a term, in the order of the terms."""
        by_place: dict[str, list[Term]] = {}
        for term in self.terms:
            by_place.setdefault(term.where, []).append(term)
        return tuple(
            PlaceNeed(
                where=where,
                total_bytes=sum(term.bytes for term in terms),
                low_bytes=sum(term.low_bytes for term in terms),
                high_bytes=sum(term.high_bytes for term in terms),
                evictable_bytes=self.evictable_bytes if where == "host" else 0,
            )
            for where, terms in (by_place or {"host": []}).items()
        )


class CpuNeed(Record):
    """Architectures the runtime is built for, and by architecture the instruction sets without
    which that build crashes.
    """

    architectures: tuple[str, ...]
    instruction_sets: Mapping[str, tuple[str, ...]]
    recommended: Mapping[str, tuple[str, ...]] = {}


class Offloaded(Record):
    """A model whose parts lie in RAM and come to one accelerator in turn.

    `way`: "model", a component at a time, or "sequential", a layer at a time. `host` are the terms
    in RAM, `device` those on the accelerator at the moment that takes most of it.
    """

    way: str
    host: tuple[Term, ...]
    device: tuple[Term, ...]


class Making(Record):
    """What it takes to make a file that no repository is known to have. `download_bytes` of
    published weights travel; at the most `disk_bytes` are stored, the made file among them.
    `download_range`: the least and the most that travels, where it is a guess, else None.
    """

    download_bytes: int
    disk_bytes: int
    download_range: tuple[int, int] | None = None

    @property
    def disk_ends(self) -> tuple[int, int]:
        """The least and the most of `disk_bytes`; the same twice where the size is no guess."""
        if self.download_range is None:
            return self.disk_bytes, self.disk_bytes
        beside_bytes = self.disk_bytes - self.download_bytes
        return beside_bytes + self.download_range[0], beside_bytes + self.download_range[1]


class Inputs(Record):
    """What a need is counted from: the arguments of `needs_of`, with the device that holds the
    model; None: the RAM.
    """

    spec: ModelSpec
    runtime: RuntimeSpec | None
    workload: Workload
    architectures: Any
    instruction_sets: tuple[str, ...] | None
    companions: Companions | None
    device: Device | None = None


class Needs(Record):
    """What one model takes, itemised. A None has its reason in `unknown`.

    `download_bytes` is what travels, `disk_bytes` what it occupies, `largest_file_bytes` the
    largest single file (file systems have limits), `download_how` how that size is known,
    `download_source` where from. `download_range`: the least and the most of a size that is a
    guess, else None. `tensor_parallel`: over how many devices the runtime can divide
    it, beside one. `offloaded`: the ways to keep it in RAM and compute it on an accelerator, the
    fastest first; `offload` is the `way` of the one that this placement takes, else None.
    `making`: what it takes to make the file, where no repository is known to have it; nothing of
    it is in the other sizes.
    `is_lean`: it counts with the runtime's `lean_option`. `known_terms`: those that are known of a
    memory that is not in all its terms. `inputs`: what it was counted from, for other places
    (`terms_on`); None of a sum, which lies as it is.
    """

    download_bytes: int | None
    disk_bytes: int | None
    largest_file_bytes: int | None = None
    download_how: How | None = None
    download_source: str | None = None
    download_range: tuple[int, int] | None = None
    cpu: CpuNeed
    placement: str = "host"
    memory: MemoryNeed | None
    known_terms: tuple[Term, ...] = ()
    tensor_parallel: tuple[int, ...] = ()
    offloaded: tuple[Offloaded, ...] = ()
    offload: str | None = None
    is_lean: bool = False
    making: Making | None = None
    unknown: tuple[Unread, ...] = ()
    inputs: Inputs | None = None
