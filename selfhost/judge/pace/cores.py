"""How fast the processor of a machine decodes and reads prompts: the counterpart of `rates.Gpu`.

The weights and the cached context come from RAM. Each core waits for the slower of memory and its
own work: unpacking and computing.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from ...core import units
from ...core.records import Record
from ...machine.record import Machine
from .decode_step import ReadContext, Step
from .processor import cores_rate_with_small, processor_of, threads_range
from .ranges import Range, Seconds
from .reading import BANDWIDTH_SHARE, Bandwidth, bandwidth
from .tables import pace_tables

_GB = units.GB
_GIGA = 1e9
# the places of the slow end, the likely figure and the fast end in a range, in seconds and in an
# amount
_ENDS = (0, 1, 2)


# ------------------------------------------------------------------ a token


def _computing_seconds(step: Step) -> float:
    """The time in which one core computes with the weights, if memory never lets the core wait."""
    tables = pace_tables()
    seconds = 0.0
    for name, size in step.read_bytes.items():
        seconds += size / (tables.type_called(name).gb_per_s * _GB)
    return seconds


def _unpacking_seconds(step: Step) -> float:
    """The time in which one core unpacks weights while memory waits for the core."""
    tables = pace_tables()
    seconds = 0.0
    for name, size in step.packed_bytes_by_type.items():
        unpack_gb_per_s = tables.type_called(name).unpack_gb_per_s
        if unpack_gb_per_s is not None:
            seconds += size / (unpack_gb_per_s * _GB)
    return seconds


class _WorkingCores(Record):
    """The cores of a machine, at the slow end, the likely figure or the fast end.

    - `read_per_second`: the bytes that all cores read of the RAM.
    - `unpacked_per_second`: the packed bytes that all cores process at most (infinite where no such
      limit was seen).
    - `cores`: the number of cores of the measured processor that compute as fast.
    - `layer_seconds`: the time that a layer takes beside its weights. `experts_layer`: as many
      times as long a layer with experts takes, `streams_layer`: one with several residual streams.
    """

    read_per_second: float
    unpacked_per_second: float
    cores: float
    layer_seconds: float
    experts_layer: float
    streams_layer: float

    def seconds(self, step: Step) -> float:
        """The seconds of one token: its weights, the context and the layers, one after the
        other.
        """
        taken = self._weights_seconds(step) + self._context_seconds(step.context)
        launching = step.layers * self.layer_seconds
        if step.has_experts:
            launching *= self.experts_layer
        if step.has_streams:
            # several residual streams take more operations
            launching *= self.streams_layer
        return taken + launching

    def _weights_seconds(self, step: Step) -> float:
        """The seconds for the weights of a token: the longer of reading them from memory and of
        computing with them.
        """
        plain_bytes = step.weights_bytes - step.packed_bytes
        reading = plain_bytes / self.read_per_second
        reading += _unpacking_seconds(step) / self.cores
        slower = min(self.read_per_second, self.unpacked_per_second)
        reading += step.packed_bytes / slower
        return max(reading, _computing_seconds(step) / self.cores)

    def _context_seconds(self, context: ReadContext) -> float:
        reading = context.cached_bytes / self.read_per_second
        return max(reading, context.core_seconds / self.cores)


# ------------------------------------------------------------------ the cores of a machine


class Cores(Record):
    """The cores of a machine, and the bandwidth at which they read its RAM."""

    machine: Machine
    memory: Bandwidth

    def seconds(self, step: Step) -> Seconds:
        """The seconds of one token."""
        ends = [cores.seconds(step) for cores in self._working]
        return Seconds(*ends)

    @cached_property
    def _working(self) -> tuple[_WorkingCores, ...]:
        """The working cores at the slow end, at the likely figure and at the fast end."""
        return tuple(map(self._working_at, _ENDS))

    def _working_at(self, end: int) -> _WorkingCores:
        """The working cores at one of `_ENDS`."""
        figures = pace_tables().processor
        processor = processor_of(self.machine)
        threads = threads_range(self.machine)[end]
        share = processor.shares.cores[end]
        cores = threads * share
        read_per_second = self.memory.ends[end] * BANDWIDTH_SHARE
        unpacked_gb_per_s = threads * processor.core.unpacks_gb_per_s[end]
        layer_seconds = figures.layer_core_seconds / cores
        layer_seconds += figures.meeting_seconds
        layer_seconds += threads * figures.thread_seconds[end]
        return _WorkingCores(
            read_per_second=read_per_second,
            unpacked_per_second=unpacked_gb_per_s * _GB,
            cores=cores,
            layer_seconds=layer_seconds,
            experts_layer=figures.experts_layer[end],
            streams_layer=pace_tables().general.streams_layer[end],
        )

    def prompt(self, step: Step) -> Range | None:
        """The tokens of a prompt that the cores read in a second, with the weights computed and
        attention.

        None where the operations are not known.
        """
        operations = self._operations_of_prompt(step)
        if operations <= 0:
            return None
        tables = pace_tables()
        dense = cores_rate_with_small(self.machine) * tables.prompt.reached_on_cores
        rate = dense
        if step.has_experts:
            # the likely figure is already in the operations: this range only widens the ends
            rate = dense * tables.prompt.experts_on_cores.around()
        attending = step.attended() / self._attention_rate(dense)
        return 1 / (operations / rate + attending)

    def _attention_rate(self, dense: Range) -> Range:
        """The operations per second of attention to a prompt, where those of dense matrices are
        `dense`.
        """
        core = processor_of(self.machine).core
        if core.attended_per_cycle is None:
            return dense * pace_tables().batch.attended_on_processor
        cycles = threads_range(self.machine) * Range(*core.ghz) * _GIGA
        return cycles * Range(*core.attended_per_cycle)

    def _operations_of_prompt(self, step: Step) -> float:
        """The number of operations on dense Q4_K weights that take as long as one token of a
        prompt.
        """
        tables = pace_tables()
        operations = 0.0
        for name, count in step.parameters_met().items():
            share = self._prompt_share(name)
            if step.has_experts and not tables.type_called(name).experts_only:
                # the share was measured on dense models
                share *= tables.prompt.experts_on_cores.likely
            operations += 2 * count / share
        return operations

    def _prompt_share(self, type_name: str) -> float:
        """The rate at which the cores compute a prompt with weights of a stored type, as a share of
        the rate with Q4_K.
        """
        tables = pace_tables()
        processor = processor_of(self.machine)
        on_arm = tables.type_called(type_name).prompt_on_arm
        if on_arm is not None and processor.has_dot_product_of_arm:
            return on_arm
        return tables.prompt_share(type_name).on(is_wide=processor.core.wide)


@lru_cache(maxsize=4096)
def cores_of(machine: Machine) -> Cores | None:
    """Return the cores of a machine; None where nothing tells how fast they read its RAM."""
    memory = bandwidth(machine)
    if memory is None:
        return None
    return Cores(machine=machine, memory=memory)
