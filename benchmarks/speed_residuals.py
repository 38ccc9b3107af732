"""How far predicted speeds are from published ones: error, share inside the range, width.

    python benchmarks/speed_residuals.py             # one line a class of devices
    python benchmarks/speed_residuals.py --devices   # and one a device
    python benchmarks/speed_residuals.py --misses    # and each run outside its range

The runs are those of `tests/truth/speed*.json` and `compute.json`; `tests/truth/README.md` says
what each file holds. `SOURCES` names the files, and the function that asks for each of its runs as
a user would ask. `fitted` runs decided a constant, `kept` ones are in no fit.

A run that at one token a step would read a tenth more than its device's memory gives takes several
tokens a step: its program drafts them, as Ollama from 0.31 on does by itself with some models on
Apple chips (https://ollama.com/blog, 2026-06-29). Such runs stand in a line of their own and not in
that of all, and once more with the gain that `check gemma4:12b-mlx` tells; no other rule leaves a
run out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from card_runs import (
    SEVERAL,
    of_backends,
    of_batches,
    of_drafts,
    of_earlier,
    of_intel,
    of_mlx_prompts,
    of_prompts,
    of_reports,
    of_types,
)
from compute_runs import print_tables
from processor_runs import (
    of_fresh,
    of_processor_prompts,
    of_processor_types,
    of_processors,
)
from program_runs import (
    of_parallel,
    of_programs,
    of_tensor_parallel,
    of_transformers,
    of_vllm,
)
from residuals import HEADING, Run, print_devices, print_line, print_misses
from split_runs import of_split, of_split_by_name, of_split_prompts
from work_runs import of_documents, of_pictures, of_sound, of_training, of_whisper

Runs = Callable[[], Iterator[Run]]


def of_both_uses(
    name: str,
    kept: str,
    runs_of: Callable[[str], Iterator[Run]],
) -> Mapping[str, Runs]:
    """The two sources of a file: its runs in the fit, and its others, which are called `kept`."""
    return {
        f"{name}, fitted": partial(runs_of, "fitted"),
        f"{name}, {kept}": partial(runs_of, "kept"),
    }


def of_program_file(file: str, kept: str) -> Mapping[str, Runs]:
    """The two sources of a file whose runs name their program."""
    return of_both_uses(file, kept, partial(of_programs, file=file))


_KEPT = "kept out of the fit"
_NEW = "in no fit"

# the runs of each source by its name, which `tests/truth/pace_bounds.toml` uses too
SOURCES: Mapping[str, Runs] = {
    "speed_public.json": of_reports,
    "speed.json": of_earlier,
    **of_both_uses("speed_backends.json", _KEPT, of_backends),
    "speed_drafts.json": of_drafts,
    "speed_batches.json, several at once": of_batches,
    "speed_split.json, fitted": partial(of_split, "fitted", "speed_split.json"),
    "speed_split.json, in the fit of the time to cross over alone": partial(
        of_split, "kept", "speed_split.json"
    ),
    "speed_split_later.json, in that fit since": partial(
        of_split, "kept", "speed_split_later.json"
    ),
    "speed_split_later.json, by the machine's name": of_split_by_name,
    "speed_split_later.json, prompts, in the fit since": partial(
        of_split_prompts, "kept", "speed_split_later.json"
    ),
    **of_both_uses(
        "speed_split_newest.json",
        _NEW,
        partial(of_split, file="speed_split_newest.json"),
    ),
    **of_both_uses(
        "speed_split_newest.json, prompts",
        _NEW,
        partial(of_split_prompts, file="speed_split_newest.json"),
    ),
    "speed_parallel.json, many requests at once": of_parallel,
    "speed_tensor_parallel.json, the same on several GPUs": of_tensor_parallel,
    **of_both_uses(
        "speed_split.json, prompts",
        _KEPT,
        partial(of_split_prompts, file="speed_split.json"),
    ),
    **of_both_uses("speed_transformers.json", _KEPT, of_transformers),
    **of_both_uses("speed_vllm.json", _KEPT, of_vllm),
    "speed_pictures.json": of_pictures,
    "speed_sound.json": of_sound,
    **of_both_uses("speed_types.json", _KEPT, of_types),
    **of_both_uses("speed_types.json, processors", _KEPT, of_processor_types),
    **of_both_uses(
        "speed_intel.json", _KEPT, partial(of_intel, file="speed_intel.json")
    ),
    **of_both_uses(
        "speed_intel_later.json", _NEW, partial(of_intel, file="speed_intel_later.json")
    ),
    **of_both_uses("speed_mlx_prompts.json", _KEPT, of_mlx_prompts),
    **of_both_uses("speed_prompts.json", _KEPT, of_prompts),
    **of_both_uses("speed_processors_prompts.json", _NEW, of_processor_prompts),
    **of_program_file("speed_programs.json", _KEPT),
    "speed_blind.json, in no fit": partial(of_programs, "kept", "speed_blind.json"),
    **of_program_file("speed_cores.json", _NEW),
    **of_program_file("speed_gpus.json", _KEPT),
    **of_program_file("speed_laptops.json", _NEW),
    **of_program_file("speed_integrated.json", _NEW),
    **of_program_file("speed_arcs.json", _NEW),
    "speed_november.json, in no fit": partial(
        of_programs, "kept", "speed_november.json"
    ),
    **of_program_file("speed_less_sure.json", _NEW),
    **of_program_file("speed_hosts.json", _NEW),
    **of_program_file("speed_prompts_newest.json", _NEW),
    "speed_fresh.json, in no fit": of_fresh,
    "speed_processors.json, which tell their RAM": partial(
        of_processors, "speed_processors.json"
    ),
    "speed_processors_later.json, in the fit since": partial(
        of_processors, "speed_processors_later.json"
    ),
    "speed_processors_unseen.json, in the fit since": partial(
        of_processors, "speed_processors_unseen.json"
    ),
    "speed_processors_many.json, in the fit since": partial(
        of_processors, "speed_processors_many.json"
    ),
    "speed_processors_newest.json, in no fit": partial(
        of_processors, "speed_processors_newest.json"
    ),
    "speed_training.json": of_training,
    "speed_documents.json": of_documents,
    "speed_whisper.json": of_whisper,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", action="store_true", help="one line a device too")
    parser.add_argument(
        "--misses", action="store_true", help="each run outside its range too"
    )
    options = parser.parse_args()
    for source, runs_of in SOURCES.items():
        runs = list(runs_of())
        print(f"\n{source}: {len(runs)} runs")
        print(HEADING)
        _print_groups(runs, with_devices=options.devices)
        if options.misses:
            print_misses(runs)
    print_tables(with_devices=options.devices)
    return 0


def _print_groups(runs: Sequence[Run], *, with_devices: bool) -> None:
    """Print a line a group, and one of all groups but those that take several tokens a step."""
    for group in sorted({run.group for run in runs}):
        members = [run for run in runs if run.group == group]
        print_line(group, members)
        if with_devices:
            print_devices(members)
    print_line("all", [run for run in runs if not run.group.endswith(SEVERAL)])


if __name__ == "__main__":
    raise SystemExit(main())
