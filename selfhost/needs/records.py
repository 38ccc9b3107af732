"""The records of a model's needs under a workload, all sizes in bytes, and the notation of their
arithmetic.

`Needs` is the answer of this package. The memory is a sum of `Term`s, each with a least, a likely
and a most size, a source, and one line of arithmetic that a person can check with a calculator.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property, partial
from math import ceil
from operator import add, itemgetter
from typing import NamedTuple, Protocol

from ..core.records import Record, Unread
from ..core.units import plural


class How(StrEnum):
    """How a figure is known, from the surest to a guess."""

    EXACT = "exact"
    COMPUTED = "computed"
    MEASURED = "measured"
    STATED = "stated"
    ASSUMED = "assumed"


class Split(StrEnum):
    """How a term is divided where accelerators hold the model."""

    HOST = "host only"
    PROGRAM = "host, and each device of a program that runs on devices alone"
    LAYERS = "by layer"
    FIRST = "whole on the first"
    EACH = "whole on each"


# the names of terms, and how each term is split over places unless its account says otherwise
SPLITS = {
    **dict.fromkeys(("embeddings", "experts"), Split.HOST),
    "runtime": Split.PROGRAM,
    **dict.fromkeys(
        ("weights", "repacked_weights", "kv_cache", "recurrent_state"), Split.LAYERS
    ),
    **dict.fromkeys(("projector", "projector_compute"), Split.FIRST),
    **dict.fromkeys(("mtp_weights", "mtp_kv_cache", "mtp_compute"), Split.FIRST),
    **dict.fromkeys(
        ("compute", "activations", "gradients", "optimizer", "files"), Split.EACH
    ),
}

# the terms that each user has
CACHES = ("kv_cache", "recurrent_state")

# the terms of programs themselves
PROGRAMS = ("runtime", "draft_runtime")

# the sizes of tensor parallelism that machines have; the attention heads must be divisible by them
# (vllm 0.33.0, vllm/config/model.py)
TENSOR_PARALLEL = (2, 4, 8)

# the place of a term that no particular accelerator was chosen for yet
ACCELERATOR = "accelerator"


class Device(Record):
    """One of `devices` equal devices that hold a model in parts (tensor parallelism).

    - `index`: the number of the device among them, where the parts differ.
    - `is_large`: vLLM works on more tokens at once on this device.
    - `total_bytes`, `free_bytes`, `usable_bytes`: all bytes, the free bytes, and the bytes that a
      runtime may take; None where they are not known.
    - `maker`: the maker of the device in the words of `Accelerator.vendor`; "" where the maker
      makes no difference.
    """

    devices: int = 1
    index: int = 0
    maker: str = ""
    is_large: bool = False
    total_bytes: int | None = None
    free_bytes: int | None = None
    usable_bytes: int | None = None


class Term(Record):
    """A part of the memory need, in the place where the model lies, or the files of the model.

    - `name`: a name of SPLITS; for a draft model with `draft_` in front.
    - `bytes`, `low_bytes`, `high_bytes`: the likely size, the least and the most; all three are
      equal where the size is exact.
    - `where`: host, accelerator:N, or ACCELERATOR.
    - `arithmetic`: one line that a person can check with a calculator.
    - `first_layer`, `stop_layer`: in a term split by layer, the layers before the first, and from
      the second on, have no bytes; None for the end of the model.
    - `output_bytes`: in a term split by layer, the bytes that go with the last layer.
    - `pipeline_bytes`: the extra bytes on each of several devices that hold all layers.
    - `offload_bytes`: the extra bytes on the first device where some layers stay in RAM.
    """

    name: str
    bytes: int
    low_bytes: int
    high_bytes: int
    where: str = "host"
    split: Split = Split.EACH
    pipeline_bytes: int = 0
    offload_bytes: int = 0
    output_bytes: int = 0
    first_layer: int = 0
    stop_layer: int | None = None
    how: How
    source: str
    arithmetic: str

    @property
    def stays_in_ram(self) -> bool:
        """Whether the term lies in RAM wherever the other terms do."""
        return self.split in (Split.HOST, Split.PROGRAM)

    @property
    def part(self) -> str:
        """The part of its own model, whether that is the model or its draft: `kv_cache`."""
        return self.name.removeprefix("draft_").removeprefix("mtp_")

    @property
    def is_of_draft(self) -> bool:
        """Whether the term is a part of the draft."""
        return self.part != self.name

    @property
    def may_be_mapped(self) -> bool:
        """Whether the term is weights that lie in memory as in the file."""
        return self.part in ("weights", "embeddings", "experts")

    @property
    def size(self) -> Size:
        """The least, the likely and the most bytes."""
        return Size(self.low_bytes, self.bytes, self.high_bytes)

    def with_size(self, size: Size, arithmetic: str) -> Term:
        """The term with another size."""
        return self.replace(
            bytes=size.likely,
            low_bytes=size.least,
            high_bytes=size.most,
            arithmetic=arithmetic,
        )

    def resized(self, likely: int, arithmetic: str) -> Term:
        """The term with another size; its range is as wide as before."""
        change = likely - self.bytes
        least = max(0, self.low_bytes + change)
        size = Size(least, likely, self.high_bytes + change)
        return self.with_size(size, arithmetic)

    def widened(self, less_bytes: int, more_bytes: int) -> Term:
        """The term with its least lowered by `less_bytes` and its most raised by `more_bytes`."""
        low = self.low_bytes - less_bytes
        return self.replace(low_bytes=low, high_bytes=self.high_bytes + more_bytes)


# the terms of a whole memory need, or of a part of the need
Terms = tuple[Term, ...]


class Size(NamedTuple):
    """Bytes, at least, likely and at most."""

    least: int
    likely: int
    most: int

    def times(self, number: int) -> Size:
        """The size times a number."""
        return Size(*[size * number for size in self])

    def plus(self, other: Bytes) -> Size:
        """The sum of two sizes, with least, likely and most added in turn."""
        return Size(*map(add, self, as_size(other)))

    def scaled(self, numerator: float, denominator: float = 1) -> Size:
        """The size times a quotient, in whole bytes."""
        return Size(*[int(size * numerator / denominator) for size in self])

    @classmethod
    def of(cls, number: int, bytes_each: Iterable[float]) -> Size:
        """The size of a number of things, each of which takes these three sizes."""
        return cls(*[int(number * size) for size in bytes_each])


NO_BYTES = Size(0, 0, 0)
# a known size, or a range
Bytes = int | Size


def as_size(size: Bytes) -> Size:
    """The size as a range; a known size has three equal ends."""
    return Size(size, size, size) if isinstance(size, int) else size


def rounded_up(number: int, step: int) -> int:
    """The next multiple of a step."""
    return -(-number // step) * step


def middle_of(low: int, high: int) -> Size:
    """The range between two known ends, with the middle as the likely size."""
    return Size(low, (low + high) // 2, high)


class Counted(Protocol):
    """Anything of which the likely bytes are known: a term, the tensors of a file, a state."""

    @property
    def bytes(self) -> int:
        """The likely bytes."""
        raise NotImplementedError


def sum_bytes(parts: Iterable[Counted]) -> int:
    """The likely bytes of all the parts."""
    return sum(part.bytes for part in parts)


def likely_bytes(terms: Iterable[Term], *names: str) -> int:
    """The likely bytes of the terms with these names."""
    return sum(term.bytes for term in terms if term.name in names)


class MemoryNeed(Record):
    """The memory need of several terms: the best estimate, the least, and the most, against which a
    verdict is made. `evictable_bytes` may be dropped by the system without harm and are not in the
    total.
    """

    terms: tuple[Term, ...]
    evictable_bytes: int = 0

    @cached_property
    def total_bytes(self) -> int:
        return sum_bytes(self.terms)

    @cached_property
    def low_bytes(self) -> int:
        return sum(term.low_bytes for term in self.terms)

    @cached_property
    def high_bytes(self) -> int:
        return sum(term.high_bytes for term in self.terms)

    @property
    def size(self) -> Size:
        """The least, the estimate and the most."""
        return Size(self.low_bytes, self.total_bytes, self.high_bytes)

    @property
    def places(self) -> tuple[PlaceNeed, ...]:
        """The sums of each place that holds a term, in the order of the terms."""
        places = []
        for where in dict.fromkeys(term.where for term in self.terms) or ("host",):
            terms = [term for term in self.terms if term.where == where]
            evictable_bytes = self.evictable_bytes if where == "host" else 0
            place = PlaceNeed(
                where=where, terms=tuple(terms), evictable_bytes=evictable_bytes
            )
            places.append(place)
        return tuple(places)


class PlaceNeed(MemoryNeed):
    """The memory need in one place: `where` is "host" or "accelerator:N"."""

    where: str


class KernelNeed(Record):
    """The instruction sets, by architecture, that a runtime's kernels for a quantization use."""

    quantization: str
    instruction_sets: Mapping[str, tuple[str, ...]]
    source: str


class CpuNeed(Record):
    """The CPU that a runtime requires: the architectures it is built for, and for each architecture
    the instruction sets without which the build crashes or has no kernels for the quantization.

    `kernels`: those of the required sets that the quantization alone asks for; None for none.
    """

    architectures: tuple[str, ...] = ()
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended: Mapping[str, tuple[str, ...]] = {}
    kernels: KernelNeed | None = None


class Offloaded(Record):
    """The terms of a model whose parts lie in RAM and come to one accelerator in turn.

    - `way`: "model" for a component at a time, "sequential" for a layer at a time, "partial" for as
      many layers as have room.
    - `host`: the terms in RAM.
    - `device`: the terms on the accelerator at the moment that takes most of it.
    """

    way: str
    host: Terms
    device: Terms


class Needs(Record):
    """The memory, files and CPU that one model needs, itemised. A field that is None has its reason
    in `unknown`.

    - `files`: the download; `missing_bytes` is the part not downloaded yet.
    - `written_bytes`: what the work writes beside the files: the checkpoints of training, or
      weights that are made of the files before they are loaded.
    - `largest_file_bytes`: the largest single file (file systems have limits).
    - `terms`: the memory, or the known part of it.
    - `tensor_parallel`: the numbers of devices, beside one, over which the runtime can divide
      the model.
    - `offloaded`: the ways to keep the model in RAM and compute it on an accelerator, the
      fastest first; `offload` is the `way` that this placement takes.
    - `batch_tokens`: the batch size for prompts, which the program chooses by itself or its
      command states; None: the usual batch size, or the one asked for.
    """

    files: Term | None = None
    missing_bytes: int | None = None
    written_bytes: int | None = 0
    largest_file_bytes: int | None = None
    cpu: CpuNeed = CpuNeed()
    placement: str = "host"
    terms: tuple[Term, ...] = ()
    evictable_bytes: int = 0
    tensor_parallel: tuple[int, ...] = ()
    offloaded: tuple[Offloaded, ...] = ()
    offload: str | None = None
    batch_tokens: int | None = None
    unknown: tuple[Unread, ...] = ()

    def without(self, *reasons: Unread) -> Needs:
        """The needs with more reasons why facts are not known."""
        return self.replace(unknown=(*self.unknown, *reasons))

    @property
    def download_bytes(self) -> int | None:
        """The bytes still to download; None where not known."""
        if self.missing_bytes is not None:
            return self.missing_bytes
        if self.files is None:
            return None
        return self.files.bytes

    @property
    def download_how(self) -> How | None:
        """How the size of the files is known; None where the size is not known."""
        if self.files is None:
            return None
        return self.files.how

    @property
    def download_source(self) -> str | None:
        """The source of the size of the files; None where the size is not known."""
        if self.files is None:
            return None
        return self.files.source

    @property
    def download_range(self) -> tuple[int, int] | None:
        """The least and the most of an assumed download size; None for a size of any other kind."""
        files = self.files
        if files is None or self.missing_bytes is not None:
            return None
        if files.how is not How.ASSUMED:
            return None
        return files.low_bytes, files.high_bytes

    @property
    def disk_bytes(self) -> int | None:
        """The bytes of the files and of what the work writes on disk; None where not known."""
        if self.files is None or self.written_bytes is None:
            return None
        return self.files.bytes + self.written_bytes

    @cached_property
    def memory(self) -> MemoryNeed | None:
        """The memory need; None where a part of the memory is not known."""
        if any(why.fact.startswith("memory") for why in self.unknown):
            return None
        return MemoryNeed(terms=self.terms, evictable_bytes=self.evictable_bytes)

    @property
    def known_terms(self) -> tuple[Term, ...]:
        """The known terms of a memory that is not known in full; () where all of the memory is
        known.
        """
        return self.terms if self.memory is None else ()

    @cached_property
    def on_host(self) -> MemoryNeed:
        """The known terms of the memory that lie in RAM."""
        terms = [term for term in self.terms if term.where == "host"]
        return MemoryNeed(terms=tuple(terms))

    @property
    def is_whole_on_cards(self) -> bool:
        """Whether accelerators hold all weights. A program that needs an accelerator may keep
        experts in RAM beside.
        """
        if self.placement != "accelerator":
            return False
        return not likely_bytes(self.on_host.terms, "experts")

    @cached_property
    def on_cards(self) -> MemoryNeed:
        """The known terms of the memory that lie on accelerators."""
        terms = [term for term in self.terms if term.where != "host"]
        return MemoryNeed(terms=tuple(terms))


def summed(*lines: str) -> str:
    """The line of arithmetic for the sum of several lines. Their remarks, which follow a semicolon,
    come last.
    """
    addends = []
    remarks = []
    for line in lines:
        counted, mark, remark = line.partition("; ")
        addends.append(counted)
        if mark:
            remarks.append(remark)
    total = " + ".join(addends)
    return "; ".join((total, *remarks))


def taken_off(
    line: str,
    size: int,
    what: str,
) -> str:
    """The line, less `size` bytes of `what`."""
    counted, mark, remark = line.partition("; ")
    return f"{counted} - {size:,} bytes {what}{mark}{remark}"


def share_of(share: str, line: str) -> str:
    """The line of arithmetic for a share of another line's result."""
    counted, mark, remark = line.partition("; ")
    if " + " in counted or " - " in counted:
        counted = f"({counted})"
    return f"{share} × {counted}{mark}{remark}"


def share_by_device(
    part: Term,
    devices: int,
    share: float = 1.0,
    most_share: float | None = None,
    communication: Size = NO_BYTES,
) -> Term:
    """The part of a term that each of several devices holds: a share of the term, and the memory
    for communication between the devices.

    `most_share`: the share of the most, where another share applies to it.
    """
    if devices == 1:
        return part
    line = part.arithmetic
    if share != 1:
        line = share_of(f"{share:.12g}", line)
    if communication.likely:
        line = summed(line, f"{communication.likely:,} bytes to talk to the others")
    if most_share is None:
        most_share = share
    size = Size(
        _rounded_up(part.low_bytes * share),
        _rounded_up(part.bytes * share),
        _rounded_up(part.high_bytes * most_share),
    )
    line += f"; on each of {devices} devices"
    return part.with_size(size.plus(communication), line)


def _rounded_up(size: float) -> int:
    """The size in whole bytes, rounded up. A thousandth of a byte, as from an error of floats, adds
    none.
    """
    return ceil(round(size, 3))


def of_sequences(count: int) -> str:
    """The factor of several sequences in a line of arithmetic; "" for one sequence."""
    return f" × {count:,} sequences" if count > 1 else ""


def by_layers(parts: Iterable[tuple[str, int, str]]) -> str:
    """A line of arithmetic that sums over numbers of layers. Addends with equal texts before and
    after their number are merged.
    """
    layers_by_words = Counter[tuple[str, str]]()
    for before, layers, after in parts:
        layers_by_words[before, after] += layers
    addends = []
    for (before, after), layers in layers_by_words.items():
        addends.append(f"{before}{plural(layers, 'layer')}{after}")
    return " + ".join(addends)


def by_type(sizes: Iterable[tuple[str, float]]) -> str:
    """A line of arithmetic that lists bytes by type, the most first: `3,413,114,880 bytes of Q4_K +
    …`.
    """
    bytes_by_type: defaultdict[str, float] = defaultdict(float)
    for type, size in sizes:
        bytes_by_type[type] += size
    most_first = sorted(bytes_by_type.items(), key=itemgetter(1), reverse=True)
    return " + ".join(f"{int(size):,} bytes of {type}" for type, size in most_first)


def term(
    name: str,
    size: Bytes,
    source: str,
    arithmetic: str,
    how: How,
) -> Term:
    """A term of a kind and a size; its least and most are wider where the size is a range."""
    ends = as_size(size)
    return Term(
        name=name,
        split=SPLITS[name],
        bytes=ends.likely,
        low_bytes=min(ends.least, ends.likely),
        high_bytes=max(ends.most, ends.likely),
        how=how,
        source=source,
        arithmetic=arithmetic,
    )


# a term that a rule derives from the model, a term that somebody states, a term that is a guess
computed_term = partial(term, how=How.COMPUTED)
stated_term = partial(term, how=How.STATED)
assumed_term = partial(term, how=How.ASSUMED)


def stated_range(
    name: str,
    low: int,
    high: int,
    source: str,
) -> Term:
    """A term whose least and most somebody states."""
    line = f"({low:,} + {high:,}) / 2 bytes as stated"
    if low == high:
        line = f"{high:,} bytes as stated"
    return stated_term(name, middle_of(low, high), source, line)


def whole_files(
    files: Term,
    source: str = "",
    remark: str = "",
) -> Term:
    """The term of weights that lie in memory as in their files."""
    return files.replace(
        name="weights",
        split=Split.LAYERS,
        source=source or files.source,
        arithmetic=files.arithmetic + remark,
    )


def files_of(
    parts: Terms,
    source: str,
    how: How,
    remark: str = "",
) -> Term:
    """The term of several files together."""
    size = MemoryNeed(terms=parts).size
    line = summed(*[part.arithmetic for part in parts])
    return term("files", size, source, line + remark, how)


def with_files(
    files: Term,
    others: Term,
    what: str,
) -> Term:
    """The files of a model together with the files of a companion, which `what` names."""
    both = files, others
    least_sure = max((part.how for part in both), key=tuple(How).index)
    source = f"{files.source}; {what}: {others.source}"
    return files_of(both, source, least_sure, f"; the last of it is {what}")


def unread(
    reason: str,
    remedy: str | None,
    fact: str = "download_bytes",
) -> Unread:
    """The reason why a fact is not known, and the remedy."""
    return Unread(fact=fact, reason=reason, remedy=remedy)
