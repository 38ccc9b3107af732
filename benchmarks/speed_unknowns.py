"""Which unknowns make a predicted pace as wide as it is.

    python benchmarks/speed_unknowns.py                      # the cases of issue 20
    python benchmarks/speed_unknowns.py MODEL MACHINE ...    # others, as typed to `check`

One line a case: the range, its width (high/low), and for each unknown the width that is left where
only its likely figure counts. An unknown that leaves the width as it is has no part in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from selfhost import Machine, Workload, check
from selfhost.machine.named import machine_named
from selfhost.verdict import (
    experts,
    gpu_speed,
    graphics,
    memory_bandwidth,
    on_devices,
    pacing,
    processor,
    speed,
    told_bandwidth,
)

CASES = [
    ("qwen3-30b-a3b", "rtx 3060 12gb 32gb ram"),
    ("qwen3-30b-a3b", "ryzen 5600 rtx 3060 12gb 32gb"),
    ("gemma-2-27b-it", "rx 7800 xt 32gb"),
    ("gpt-oss-120b", "ryzen ai max+ 395 128gb"),
    ("llama-3.3-70b-instruct", "ryzen ai max+ 395 128gb"),
    ("llama-3.1-8b-instruct", "core ultra 7 258v 32gb"),
    ("llama-3.1-8b-instruct", "ryzen 7840hs 32gb"),
    ("llama-3.1-8b-instruct", "xeon gold 6248 128gb"),
    ("llama-3.1-8b-instruct", "c7i.4xlarge"),
    ("llama-3.1-8b-instruct", "rtx 4090"),
]

_ALL = ("apple", "nvidia", "amd", "intel")


def _set(owner: Any, name: str, value: Any) -> Any:
    return mock.patch.object(owner, name, value)


def _likely_bandwidth(machine: Machine) -> told_bandwidth.Bandwidth | None:
    memory = memory_bandwidth.bandwidth(machine)
    if memory is None:
        return None
    return memory.replace(
        low=memory.likely, high=memory.likely, kept_bytes=(memory.kept_bytes[0],) * 2
    )


def _likely_cores(machine: Machine) -> processor.ProcessorKind:
    kind = processor.kind_of(machine)
    return kind.replace(cores=(kind.cores[1],) * 3)


def _of_gpus(change: Callable[[graphics.Gpu], graphics.Gpu]) -> list[Any]:
    """Every GPU with that change, whichever function makes it."""
    make = graphics.gpu_with

    def changed(*arguments: Any) -> graphics.Gpu:
        return change(make(*arguments))

    return [_set(graphics, "gpu_with", changed)]


def _unknowns() -> dict[str, list[Any]]:
    """By name what takes its likely figure for certain."""
    return {
        "RAM bandwidth": [
            _set(module, "bandwidth", _likely_bandwidth) for module in (speed, gpu_speed)
        ],
        "cores": [_set(speed, "kind_of", _likely_cores)],
        "GPU peak": _of_gpus(lambda gpu: gpu.replace(peak=graphics.Peak.exactly(gpu.peak.likely))),
        "GPU share, launches": _of_gpus(
            lambda gpu: gpu.replace(pace=gpu.pace.replace(slow=1.0, fast=1.0))
        ),
        "transfers": [_set(experts, "CROSSING_SECONDS", (experts.CROSSING_SECONDS[1],) * 3)],
        "card filled": [_set(on_devices, "share_if_filled", lambda *_: 0.0)],
        "GPU or cores": [_set(pacing, "shared_builds", lambda _: speed.SharedBuilds(makers=_ALL))],
    }


@contextmanager
def _certain(patches: list[Any]) -> Iterator[None]:
    for patch in patches:
        patch.start()
    graphics.gpu_of.cache_clear()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
        graphics.gpu_of.cache_clear()


def _range(model: str, machine: Machine) -> tuple[float, float, float] | None:
    verdict = check(model, Workload(), machine=machine)
    pace = verdict.speed.decode if verdict.speed is not None else None
    return None if pace is None else (pace.low, pace.likely, pace.high)


def main() -> int:
    words = sys.argv[1:]
    cases = list(zip(words[::2], words[1::2], strict=True)) or CASES
    names = list(_unknowns())
    print(f"{'':54} {'tokens/s':>16} {'width':>6} | left without: {', '.join(names)}")
    for model, text in cases:
        machine = machine_named(text)
        whole = _range(model, machine)
        if whole is None:
            print(f"{model} on {text}: no pace")
            continue
        left = []
        for patches in _unknowns().values():
            with _certain(patches):
                ends = _range(model, machine)
            left.append("-" if ends is None else f"{ends[2] / ends[0]:.2f}")
        figures = f"{whole[0]:.3g} {whole[1]:.3g} {whole[2]:.3g}"
        print(
            f"{model + ' on ' + text:54} {figures:>16} {whole[2] / whole[0]:6.2f} | {' '.join(left)}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
