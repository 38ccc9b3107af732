"""How fast the processor of a machine decodes and reads prompts, as `rates.Gpu` has it of a GPU.

The weights, and what the context keeps, come from RAM. Each core waits for the slower one: memory,
or what it unpacks and computes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ...core import units
from ...core.records import Record
from ...machine.record import Machine
from . import ReadContext, Step
from .processor import (
    BANDWIDTH_SHARE,
    Bandwidth,
    bandwidth,
    cores_rate,
    processor_of,
    threads_range,
)
from .ranges import Range, Seconds
from .tables import pace_tables


class Cores(Record):
    """The cores of a machine, and how fast they read its RAM."""

    machine: Machine
    memory: Bandwidth

    def seconds(self, step: Step) -> Seconds:
        """Of one token."""
        token = _token_on_cores(step)
        slow, likely, fast = [end.seconds(token) for end in self._ends()]
        if step.has_experts and not self.memory.measured:
            slow *= pace_tables().processor.experts_slow
        return Seconds(slow, likely, fast)

    def _ends(self) -> list[_WorkingCores]:
        """The cores at the slow end, as they are likely to work, and at the fast end."""
        figures = pace_tables().processor
        processor = processor_of(self.machine)
        ends = []
        for rate, threads, share, unpacked_gb_per_s, thread_seconds in zip(
            self.memory.ends * BANDWIDTH_SHARE,
            threads_range(self.machine),
            processor.shares.cores,
            processor.core.unpacks_gb_per_s,
            figures.thread_seconds,
            strict=True,
        ):
            cores = threads * share
            layer_seconds = figures.layer_core_seconds / cores + figures.meeting_seconds
            working = _WorkingCores(
                read_per_second=rate,
                unpacked_per_second=threads * unpacked_gb_per_s * units.GB,
                cores=cores,
                layer_seconds=layer_seconds + threads * thread_seconds,
            )
            ends.append(working)
        return ends

    def prompt(self, step: Step) -> Range | None:
        """Tokens of a prompt a second: what its weights compute, and attention. None where its
        operations are not known.
        """
        tables = pace_tables()
        operations = self._operations_of_prompt(step)
        if operations <= 0:
            return None
        dense = cores_rate(self.machine) * tables.prompt.reached_on_cores
        rate = dense
        if step.has_experts:
            rate = dense * tables.prompt.experts_on_cores.around()
        attending = step.attended() / (dense * tables.batch.attended_on_processor)
        return 1 / (operations / rate + attending)

    def _operations_of_prompt(self, step: Step) -> float:
        """For a token, as many operations on weights of Q4_K as take as long."""
        tables = pace_tables()
        is_wide = processor_of(self.machine).core.wide
        operations = 0.0
        for name, count in step.parameters_met().items():
            share = tables.prompt_share(name).on(is_wide=is_wide)
            if step.has_experts and name != "MXFP4":
                share *= tables.prompt.experts_on_cores.likely
            operations += 2 * count / share
        return operations


@lru_cache(maxsize=4096)
def cores_of(machine: Machine) -> Cores | None:
    """The cores of a machine; None where nothing tells how fast they read its RAM."""
    memory = bandwidth(machine)
    if memory is None:
        return None
    return Cores(machine=machine, memory=memory)


class _TokenOnCores(NamedTuple):
    """What a token asks of a processor.

    `packed_bytes` are unpacked, `plain_bytes` not. One core computes for `core_seconds` on the
    weights, of which memory waits for `waited_seconds`.
    """

    packed_bytes: int
    plain_bytes: int
    core_seconds: float
    waited_seconds: float
    context: ReadContext
    layers: int


def _token_on_cores(step: Step) -> _TokenOnCores:
    tables = pace_tables()
    core_seconds = 0.0
    for name, size in step.read_bytes.items():
        core_seconds += size / (tables.type_called(name).gb_per_s * 1e9)
    waited_seconds = 0.0
    for name, size in step.packed_bytes.items():
        # what cores unpack while memory waits
        unpack_gb_per_s = tables.type_called(name).unpack_gb_per_s
        if unpack_gb_per_s is not None:
            waited_seconds += size / (unpack_gb_per_s * 1e9)
    packed_bytes = sum(step.packed_bytes.values())
    return _TokenOnCores(
        packed_bytes=packed_bytes,
        plain_bytes=step.weights_bytes - packed_bytes,
        core_seconds=core_seconds,
        waited_seconds=waited_seconds,
        context=step.context(),
        layers=step.layers,
    )


class _WorkingCores(NamedTuple):
    """Cores at one end of their range: bytes that they read and unpack in a second, how many of the
    cores measured they count as, and what a layer takes beside its weights.
    """

    read_per_second: float
    unpacked_per_second: float
    cores: float
    layer_seconds: float

    def seconds(self, token: _TokenOnCores) -> float:
        """Of one token."""
        taken = self._weights_seconds(token) + self._context_seconds(token.context)
        return taken + token.layers * self.layer_seconds

    def _weights_seconds(self, token: _TokenOnCores) -> float:
        unpacking = token.packed_bytes / self.unpacked_per_second
        reading = token.plain_bytes / self.read_per_second
        reading += token.waited_seconds / self.cores
        reading += max(token.packed_bytes / self.read_per_second, unpacking)
        return max(reading, token.core_seconds / self.cores)

    def _context_seconds(self, context: ReadContext) -> float:
        reading = context.cached_bytes / self.read_per_second
        return max(reading, context.core_seconds / self.cores)
