"""The physics of every pace: what is read over the rate that it is read at, what is computed over
the rate that it is computed at, and a fixed time for each step and layer.

The rates are what a device can give at most times what runs were seen to reach of that, rows of
`specs/common/pace.toml`.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from ...core.records import Record
from ...core.spelling import words_of
from ...core.tables import shipped_table
from ...machine import gpus
from ...machine.chips import apple_chip_of
from ...machine.record import Accelerator
from ..ranges import Range, added, product

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOTHING: Range = (0.0, 0.0, 0.0)
SAME: Range = (1.0, 1.0, 1.0)
_WITHOUT_BOUND: Range = (inf, inf, inf)


class Work(Record):
    """What one step of any work takes: bytes read of weights that are stored as they are computed
    with, of those that are unpacked first, among them in one to three bits, of which the number of
    weights counts, and of the context; operations; layers that are launched one after the other
    (slow end, likely, fast end).

    `core_seconds`: what getting through the weights, unpacking them, and attending to the context
    take of one core of the processor that was measured on.
    """

    plain_bytes: float = 0.0
    packed_bytes: float = 0.0
    few_bytes: float = 0.0
    few_weights: float = 0.0
    cache_bytes: float = 0.0
    core_seconds: float = 0.0
    unpacking_core_seconds: float = 0.0
    attending_core_seconds: float = 0.0
    operations: float = 0.0
    layers: Range = NOTHING


class Engine(Record):
    """What computes, by what it does in a second, each slow end, likely, fast end.

    `bandwidth`: bytes of weights and context; `unpacks`: of packed weights at most, `few_unpacks`:
    weights of few bits; `cores`: as many of the processor that was measured on, which take
    `attending` times as long to attend; `throughput`: operations; `step_seconds` and
    `layer_seconds` pass beside that, or meanwhile where `overlaps`. `most_bandwidth`: no weights
    are read faster. `how` is a clause: what it is and what its figures rest on.
    """

    how: str
    bandwidth: Range = _WITHOUT_BOUND
    unpacks: Range = _WITHOUT_BOUND
    few_unpacks: Range = _WITHOUT_BOUND
    cores: Range = _WITHOUT_BOUND
    attending: Range = SAME
    throughput: Range = _WITHOUT_BOUND
    step_seconds: Range = NOTHING
    layer_seconds: Range = NOTHING
    most_bandwidth: float = inf
    overlaps: bool = False

    def widened(self, slow: float, fast: float) -> Engine:
        """The same with ends that are as many times as slow and as fast."""

        def rates(each: Range) -> Range:
            return each[0] * slow, each[1], each[2] * fast

        def times(each: Range) -> Range:
            return each[0] / slow, each[1], each[2] / fast

        return self.replace(
            bandwidth=rates(self.bandwidth),
            unpacks=rates(self.unpacks),
            few_unpacks=rates(self.few_unpacks),
            cores=rates(self.cores),
            throughput=rates(self.throughput),
            step_seconds=times(self.step_seconds),
            layer_seconds=times(self.layer_seconds),
        )


def seconds(work: Work, engine: Engine, share: float = 1.0) -> Range:
    """What that engine takes for such a share of every layer of the work: slow end, likely, fast
    end.
    """
    launched = engine.step_seconds
    if work.layers[1] and engine.layer_seconds[1]:
        launched = added(launched, product(work.layers, engine.layer_seconds))
    slow, likely, fast = (_seconds_at(end, work, engine, share, launched[end]) for end in range(3))
    return slow, likely, fast


def _seconds_at(end: int, work: Work, engine: Engine, share: float, launched: float) -> float:
    bandwidth, cores = engine.bandwidth[end], engine.cores[end]
    read = work.plain_bytes / bandwidth
    read += (work.packed_bytes - work.few_bytes) / min(bandwidth, engine.unpacks[end])
    read += max(work.few_bytes / bandwidth, work.few_weights / engine.few_unpacks[end])
    # memory waits for what the cores unpack
    read += work.unpacking_core_seconds / cores
    # each waits for the slower one: memory, or the cores that get through what it gives
    read = max(read, work.core_seconds / cores)
    by_cores = engine.attending[end] * work.attending_core_seconds / cores
    attended = max(work.cache_bytes / bandwidth, by_cores)
    computed = share * (read + attended + work.operations / engine.throughput[end])
    taken = max(computed, launched) if engine.overlaps else computed + launched
    weights = work.plain_bytes + work.packed_bytes
    return max(taken, share * weights / engine.most_bandwidth)


def constant(name: str) -> Any:
    """A figure, or a table, of `specs/common/pace.toml`."""
    return shipped_table("pace")[name]


def ends_of(table: str, name: str) -> Range:
    """Three figures of `specs/common/pace.toml`."""
    slow, likely, fast = constant(table)[name]
    return slow, likely, fast


# what a row may ask of a device beside its name and what it computes
_FACTS = ("vendor", "unified", "hbm", "generation", "neural", "host", "program", "work")


@lru_cache(maxsize=4096)
def efficiency(
    table: str, device: Accelerator, program: str = "", host: str | None = None, work: str = ""
) -> Mapping[str, Any]:
    """The first row of a table of `specs/common/pace.toml` that fits a device: what its kind was
    seen to reach. `LookupError` where the table has no row for all others.
    """
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    chip = apple_chip_of(words_of(device.name))
    facts = (
        device.vendor.lower(),
        bool(device.unified),
        gpus.has_hbm(device.name),
        gpus.generation_of(device.name),
        chip is not None and chip.neural,
        host,
        program,
        work,
    )
    for row in constant(table):
        is_of_kind = all(
            value == row[key] or (isinstance(row[key], list) and value in row[key])
            for key, value in zip(_FACTS, facts, strict=True)
            if key in row
        )
        least, most_flops = row.get("least_capability"), row.get("most_flops")
        if not is_of_kind or not gpus.reaches_capability(capability, least):
            continue
        if most_flops is None or _computes_at_most(device.name, capability, most_flops):
            fitting: Mapping[str, Any] = row
            return fitting
    raise LookupError(f"{table} has no row for all other GPUs")


def _computes_at_most(name: str, capability: str | None, flops: float) -> bool:
    """Whether one multiprocessor of NVIDIA's does so much in a cycle, or less."""
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    return peak is not None and cycles is not None and peak <= 1.01 * flops * cycles


def share_of_peak(
    work: str, device: Accelerator, program: str = "", *, has_experts: bool = False
) -> Range:
    """Of a GPU's peak of arithmetic, what work of that kind reaches: slow end, likely, fast end."""
    row = efficiency("share", device, program, work=work)
    low, likely, high = row["share"]
    if not has_experts:
        return low, likely, high
    stated = row.get("experts")
    if stated is None:
        stated = [a * b for a, b in zip(row["share"], constant("experts_of_dense"), strict=True)]
    low, likely, high = stated
    return low, likely, high


def basis_of(row: Mapping[str, Any]) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if not devices:
        return "a guess: no published run on such GPUs was fitted"
    return f"fitted on published runs of {'one GPU' if devices == 1 else f'{devices} GPUs'}"


def basis_of_share(work: str, device: Accelerator) -> str:
    """What the share of a GPU's peak rests on, as a clause."""
    row = efficiency("share", device, work=work)
    low, _, high = row["share"]
    return f"such work is counted at {100 * low:g} to {100 * high:g} % of its peak, {basis_of(row)}"
