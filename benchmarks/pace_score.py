"""How near the predicted pace of text is to the measured one, by class of device, for runs in no
fit and for runs in the fit.

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
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from card_runs import SEVERAL
from program_runs import OLD_VLLM, OLD_VULKAN, of_programs
from published import has_experts, vendor_of_device
from residuals import HEADING, Run, machine_named, print_line, print_misses
from speed_residuals import SOURCES

from selfhost.core.errors import SelfhostError
from selfhost.machine import gpus
from selfhost.machine.record import Accelerator

DECODE = "decode"
PROMPT = "prompt"
TOGETHER = "together"
# makers and programs by their ids
MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel"}
PROGRAMS = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "transformers": "Transformers",
    "mlx": "MLX",
    "ollama": "Ollama",
}


class RunSet(NamedTuple):
    """A set of runs: its key in `speed_residuals.SOURCES`, the work of the runs, and their program.

    Where `work` is empty, the first word of a run's group says what the run does.
    """

    source: str
    work: str
    program: str = "llama.cpp"


FITTED = (
    RunSet("speed_public.json", DECODE),
    RunSet("speed.json", DECODE),
    RunSet("speed_backends.json, fitted", DECODE),
    RunSet("speed_types.json, fitted", DECODE),
    RunSet("speed_processors.json, which tell their RAM", DECODE),
    RunSet("speed_processors_later.json, in the fit since", DECODE),
    RunSet("speed_processors_unseen.json, in the fit since", DECODE),
    RunSet("speed_processors_many.json, in the fit since", DECODE),
    RunSet("speed_split.json, fitted", DECODE),
    RunSet("speed_split_later.json, in that fit since", DECODE),
    RunSet("speed_split_newest.json, fitted", DECODE),
    RunSet("speed_split.json, prompts, fitted", PROMPT),
    RunSet("speed_split_later.json, prompts, in the fit since", PROMPT),
    RunSet("speed_split_newest.json, prompts, fitted", PROMPT),
    RunSet("speed_processors_prompts.json, fitted", ""),
    RunSet("speed_intel.json, fitted", PROMPT),
    RunSet("speed_intel_later.json, fitted", ""),
    RunSet("speed_mlx_prompts.json, fitted", PROMPT, "MLX"),
    RunSet("speed_prompts.json, fitted", PROMPT),
    RunSet("speed_vllm.json, fitted", DECODE, "vLLM"),
    RunSet("speed_transformers.json, fitted", DECODE, "Transformers"),
    RunSet("speed_batches.json, several at once", TOGETHER),
)
HELD_OUT = (
    RunSet("speed_backends.json, kept out of the fit", DECODE),
    RunSet("speed_types.json, kept out of the fit", DECODE),
    RunSet("speed_fresh.json, in no fit", DECODE),
    RunSet("speed_processors_newest.json, in no fit", DECODE),
    RunSet("speed_split_newest.json, in no fit", DECODE),
    RunSet("speed_split.json, prompts, kept out of the fit", PROMPT),
    RunSet("speed_split_newest.json, prompts, in no fit", PROMPT),
    RunSet("speed_processors_prompts.json, in no fit", ""),
    RunSet("speed_intel.json, kept out of the fit", ""),
    RunSet("speed_intel_later.json, in no fit", ""),
    RunSet("speed_mlx_prompts.json, kept out of the fit", PROMPT, "MLX"),
    RunSet("speed_prompts.json, kept out of the fit", PROMPT),
    RunSet("speed_vllm.json, kept out of the fit", DECODE, "vLLM"),
    RunSet("speed_transformers.json, kept out of the fit", DECODE, "Transformers"),
)

# files whose rows name the program and the work, of both uses
BY_PROGRAM = (
    "speed_programs.json",
    "speed_cores.json",
    "speed_gpus.json",
    "speed_laptops.json",
    "speed_integrated.json",
    "speed_arcs.json",
    "speed_november.json",
    "speed_less_sure.json",
    "speed_hosts.json",
    "speed_prompts_newest.json",
)
BLIND = "speed_blind.json"


class ScoredRun(NamedTuple):
    """A run, what it does, and by which program."""

    run: Run
    work: str
    program: str

    @property
    def class_name(self) -> str:
        """The class that is summed up: `prompt, NVIDIA` for llama.cpp, `prompt, NVIDIA, vLLM` for
        another program. Runs of an outdated build are a class of their own.
        """
        parts = [self.work, _hardware_class(self.run)]
        if self.program != "llama.cpp":
            parts.append(self.program)
        model = self.run.model.split()[0].rstrip(",")
        if self.work != DECODE and has_experts(model):
            parts.append("experts")
        for old_build in (OLD_VLLM, OLD_VULKAN):
            if self.run.group.endswith(old_build):
                parts.append(old_build)
        return ", ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--misses", action="store_true", help="each run outside its range too"
    )
    parser.add_argument("--only", default="", help="lines with this word alone")
    options = parser.parse_args()
    blind = list(_runs_of_file("kept", BLIND))
    tables = {
        "in no fit": [*_scored_runs("kept", HELD_OUT), *blind],
        "of these, stored before one was predicted": blind,
        "in the fit": list(_scored_runs("fitted", FITTED)),
    }
    for title, runs in tables.items():
        print(f"\n{title}")
        print(HEADING)
        classes = _by_class(runs)
        for name in sorted(classes):
            if options.only in name:
                print_line(name, classes[name])
                if options.misses:
                    print_misses(classes[name])
    return 0


def _by_class(scored: Iterable[ScoredRun]) -> Mapping[str, list[Run]]:
    """The runs of each class, and of each kind of work over all classes."""
    classes = defaultdict[str, list[Run]](list)
    for scored_run in scored:
        run = scored_run.run
        classes[scored_run.class_name].append(run)
        classes[f"{scored_run.work}, every class"].append(run)
    return classes


def _scored_runs(use: str, sets: tuple[RunSet, ...]) -> Iterator[ScoredRun]:
    """The runs of these sets, and of the files whose rows name the program."""
    for source, work, program in sets:
        for run in SOURCES[source]():
            if not run.group.endswith(SEVERAL):
                yield ScoredRun(run, work or run.group.split()[0], program)
    for file in BY_PROGRAM:
        yield from _runs_of_file(use, file)


def _runs_of_file(use: str, file: str) -> Iterator[ScoredRun]:
    """The runs of a file whose rows name the program."""
    for run in of_programs(use, file):
        work, program, *_ = run.group.split(", ")
        yield ScoredRun(run, work, PROGRAMS.get(program, program))


def _hardware_class(run: Run) -> str:
    """The hardware that computes: `card and RAM`, `processors`, or the maker of the GPU."""
    if "in RAM" in run.group:
        return "card and RAM"
    if "processor" in run.group:
        return "processors"
    device = _device_of(run.device)
    if device is None:
        return "processors"
    name = MAKERS.get(device.vendor, device.vendor)
    if device.vendor == "nvidia" and gpus.has_hbm(device.name):
        name += " with HBM"
    if device.unified and device.vendor != "apple":
        name += ", shares the RAM"
    return name


@cache
def _device_of(name: str) -> Accelerator | None:
    """The GPU of a run; None for a machine without a GPU. The name is a machine's or a GPU's."""
    vendor = vendor_of_device(name)
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
