"""How fast a model would decode on a processor: weights read per token against memory bandwidth, as a range."""

from __future__ import annotations

from . import units
from .facts import Record
from .machine import Machine

# share of the read bandwidth that reaches the weights, and the fixed cost of one layer: measured with llama.cpp 0c1e570 on
# x86-64 over 32 llama-bench runs, median error 6 %, worst 17 %
BANDWIDTH_SHARE = 0.86
LAYER_SECONDS = 0.0002
# with the bandwidth measured, the pace of those runs lay within these factors of the estimate
MEASURED_LOW, MEASURED_HIGH = 0.8, 1.2

# Bandwidth of a machine that was not measured: a guess with wide ends. High: one core of a current x86-64 server reads 42 GB/s
# (measured, Zen 5, one thread), a twelve-channel DDR5-4800 socket 460 GB/s. Low: a crowded cloud host leaves 2 GB/s to each of
# its cores, a small board 4 GB/s to all of them. Apple silicon: the CPU of an M1 reads 53 GB/s, an M3 Ultra's memory gives 819.
CORE_HIGH_BYTES_PER_SECOND = 50 * units.GB
SOCKET_HIGH_BYTES_PER_SECOND = 460 * units.GB
CORE_LOW_BYTES_PER_SECOND = 2 * units.GB
BOARD_LOW_BYTES_PER_SECOND = 4 * units.GB
APPLE_LOW_BYTES_PER_SECOND, APPLE_HIGH_BYTES_PER_SECOND = 50 * units.GB, 819 * units.GB


class PaceRange(Record):
    """Tokens per second: the slow end, the likely figure, the fast end."""

    low: float
    likely: float
    high: float


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands."""

    decode: PaceRange | None
    prompt: PaceRange | None
    unit: str = "tokens_per_second"
    how: str


def estimate(machine: Machine, decode_bytes: int | None, layers: int | None) -> Speed:
    """Decode pace with an empty context. `decode_bytes` are the weights read for one token; None gives no range."""
    if decode_bytes is None or layers is None:
        return Speed(decode=None, prompt=None, how="the bytes read for each token are not known")
    known = machine.memory_bandwidth_bytes_per_second
    if known is not None:
        likely = _pace(decode_bytes, layers, known)
        how = f"from {units.decimal(known)}/s of memory bandwidth in the machine's record"
        return Speed(decode=PaceRange(low=likely * MEASURED_LOW, likely=likely, high=likely * MEASURED_HIGH), prompt=None, how=how)
    guess = assumed_bandwidth(machine)
    if guess is None:
        return Speed(decode=None, prompt=None, how="neither the memory bandwidth nor the number of cores was read")
    low, high = guess
    span = PaceRange(
        low=_pace(decode_bytes, layers, low) * MEASURED_LOW,
        likely=_pace(decode_bytes, layers, int((low * high) ** 0.5)),
        high=_pace(decode_bytes, layers, high) * MEASURED_HIGH,
    )
    return Speed(
        decode=span, prompt=None, how=f"a guess: {units.decimal(low)}/s to {units.decimal(high)}/s of memory bandwidth, not measured"
    )


def assumed_bandwidth(machine: Machine) -> tuple[int, int] | None:
    """Bytes per second that a machine of this class may have, low and high; None when its cores were not read."""
    if machine.system == "macos" and machine.architecture == "aarch64":
        return APPLE_LOW_BYTES_PER_SECOND, APPLE_HIGH_BYTES_PER_SECOND
    cores = machine.cpu_cores_usable
    if cores is None:
        return None
    high = min(CORE_HIGH_BYTES_PER_SECOND * max(1.0, cores), SOCKET_HIGH_BYTES_PER_SECOND)
    low = max(CORE_LOW_BYTES_PER_SECOND * cores, BOARD_LOW_BYTES_PER_SECOND * min(1.0, cores))
    return int(min(low, high)), int(high)


def _pace(decode_bytes: int, layers: int, bandwidth: int) -> float:
    return 1 / (decode_bytes / (BANDWIDTH_SHARE * bandwidth) + layers * LAYER_SECONDS)
