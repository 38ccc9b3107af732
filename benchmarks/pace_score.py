"""How right the pace of text is, by class of device, apart for runs in the fit and in none.

    python benchmarks/pace_score.py             # one line a class
    python benchmarks/pace_score.py --misses    # and each run outside its range

Each line has the number of runs and of sources or devices, the median distance of the likely figure
from what was measured, the share of runs inside the range, the median width of the range (its high
end over its low one), and the median of what was measured over what is likely. The runs are those
of `speed_residuals.py`. Those of `speed_blind.json` count among the runs in no fit, and have a
table of their own too: they were stored before anything was predicted of one. A source is in the
fit as a whole or not at all: `HELD_OUT` names the sets, and `tests/truth/speed_programs.json` says
it of each source. Sets that were compared before a constant was chosen with them in view are in the
fit.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import speed_residuals as paces
from residuals import Run, machine_named, print_line

from selfhost.core.errors import SelfhostError
from selfhost.machine import gpus
from selfhost.machine.record import Accelerator

DECODE, PROMPT, TOGETHER = "decode", "prompt", "together"
# programs by their ids
NAMES = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "transformers": "Transformers",
    "mlx": "MLX",
    "ollama": "Ollama",
}


class Set(NamedTuple):
    """A set of runs: a key of `speed_residuals.SOURCES`, what they do, and by which program."""

    source: str
    work: str
    program: str = "llama.cpp"


FITTED = (
    Set("speed_public.json", DECODE),
    Set("speed.json", DECODE),
    Set("speed_backends.json, fitted", DECODE),
    Set("speed_types.json, fitted", DECODE),
    Set("speed_processors.json, which tell their RAM", DECODE),
    Set("speed_processors_later.json, in the fit since", DECODE),
    Set("speed_processors_unseen.json, in the fit since", DECODE),
    Set("speed_processors_many.json, in the fit since", DECODE),
    Set("speed_split.json, fitted", DECODE),
    Set("speed_split_later.json, in that fit since", DECODE),
    Set("speed_split_newest.json, fitted", DECODE),
    Set("speed_split.json, prompts, fitted", PROMPT),
    Set("speed_split_newest.json, prompts, fitted", PROMPT),
    Set("speed_processors_prompts.json, fitted", ""),
    Set("speed_intel.json, fitted", PROMPT),
    Set("speed_intel_later.json, fitted", ""),
    Set("speed_mlx_prompts.json, fitted", PROMPT, "MLX"),
    Set("speed_prompts.json, fitted", PROMPT),
    Set("speed_vllm.json, fitted", DECODE, "vLLM"),
    Set("speed_transformers.json, fitted", DECODE, "Transformers"),
    Set("speed_batches.json, several at once", TOGETHER),
)
HELD_OUT = (
    Set("speed_backends.json, kept out of the fit", DECODE),
    Set("speed_types.json, kept out of the fit", DECODE),
    Set("speed_fresh.json, in no fit", DECODE),
    Set("speed_processors_newest.json, in no fit", DECODE),
    Set("speed_split_newest.json, in no fit", DECODE),
    Set("speed_split.json, prompts, kept out of the fit", PROMPT),
    Set("speed_split_newest.json, prompts, in no fit", PROMPT),
    Set("speed_processors_prompts.json, in no fit", ""),
    Set("speed_intel.json, kept out of the fit", ""),
    Set("speed_intel_later.json, in no fit", ""),
    Set("speed_mlx_prompts.json, kept out of the fit", PROMPT, "MLX"),
    Set("speed_prompts.json, kept out of the fit", PROMPT),
    Set("speed_vllm.json, kept out of the fit", DECODE, "vLLM"),
    Set("speed_transformers.json, kept out of the fit", DECODE, "Transformers"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--misses", action="store_true", help="each run outside its range too"
    )
    parser.add_argument("--only", default="", help="lines with this word alone")
    options = parser.parse_args()
    blind = [*_of_programs("kept", paces.BLIND)]
    for title, table in (
        ("in no fit", [*_runs("kept", HELD_OUT), *blind]),
        ("of these, stored before one was predicted", blind),
        ("in the fit", _runs("fitted", FITTED)),
    ):
        print(f"\n{title}")
        print(f"{'':47} runs devices  error  inside  high/low  seen/likely")
        classes = defaultdict[str, list[Run]](list)
        for name, run in table:
            classes[name].append(run)
            work = name.partition(",")[0]
            classes[f"{work}, every class"].append(run)
        for name in sorted(classes):
            if options.only in name:
                print_line(name, classes[name])
                if options.misses:
                    _print_misses(classes[name])
    return 0


def _print_misses(runs: list[Run]) -> None:
    for run in sorted(runs, key=lambda run: run.seen / run.likely):
        if not run.is_inside:
            print(
                f"  {run.seen / run.likely:5.2f} {run.device[:28]:28} {run.model[:44]:44}"
                f" {run.seen:7.1f} of {run.low:.1f} {run.likely:.1f} {run.high:.1f}"
            )


def _runs(use: str, sets: tuple[Set, ...]) -> Iterator[tuple[str, Run]]:
    """Each run with the name of its class."""
    for source, work, program in sets:
        for run in paces.SOURCES[source]():
            if not run.group.endswith(paces.SEVERAL):
                yield _class_of(work or run.group.split()[0], program, run), run
    yield from _of_programs(use, paces.PROGRAMS)
    yield from _of_programs(use, paces.ON_CORES)
    yield from _of_programs(use, paces.GPUS)
    yield from _of_programs(use, paces.LAPTOPS)
    yield from _of_programs(use, paces.INTEGRATED)
    yield from _of_programs(use, paces.ARCS)


def _of_programs(use: str, path: Path) -> Iterator[tuple[str, Run]]:
    for run in paces.of_programs(use, path):
        work, program, *_ = run.group.split(", ")
        yield _class_of(work, NAMES.get(program, program), run), run


def _class_of(
    work: str,
    program: str,
    run: Run,
) -> str:
    """`prompt, NVIDIA` of llama.cpp, `prompt, NVIDIA, vLLM` of another; apart what a build ran that
    nobody has any more.
    """
    where = _kind_of(run)
    parts = [work, where]
    if program != "llama.cpp":
        parts.append(program)
    if work != DECODE and paces.has_experts(run.model.split()[0].rstrip(",")):
        parts.append("experts")
    if run.group.endswith(paces.OLD_BUILD):
        parts.append(paces.OLD_BUILD)
    return ", ".join(parts)


def _kind_of(run: Run) -> str:
    if "in RAM" in run.group:
        return "card and RAM"
    if "processor" in run.group:
        return "processors"
    device = _device_of(run.device)
    if device is None:
        return "processors"
    kind = {"nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel"}
    name = kind.get(device.vendor, device.vendor)
    if device.vendor == "nvidia" and gpus.has_hbm(device.name):
        name += " with HBM"
    if device.unified and device.vendor != "apple":
        name += ", shares the RAM"
    return name


@cache
def _device_of(name: str) -> Accelerator | None:
    """The GPU of a run: by the name of a machine that a user would type, else by its driver's."""
    vendor = paces.vendor_of_device(name)
    if vendor == "apple":
        return Accelerator(vendor=vendor, name=name, unified=True)
    try:
        machine = machine_named(name)
    except SelfhostError:
        unified = gpus.facts_of(name).unified is True
        return Accelerator(vendor=vendor, name=name, unified=unified)
    return next(iter(machine.accelerators or ()), None)


if __name__ == "__main__":
    raise SystemExit(main())
