"""How far predicted speeds are from published ones: error, share inside the range, width.

    python benchmarks/speed_residuals.py             # one line a class of devices
    python benchmarks/speed_residuals.py --devices   # and one a device
    python benchmarks/speed_residuals.py --misses    # and each run outside its range

The runs are those of tests/truth/speed_public.json, tests/truth/speed.json and
tests/truth/speed_backends.json, which decode, tests/truth/speed_drafts.json, which draft,
tests/truth/speed_batches.json, which compute several tokens at once, tests/truth/speed_split.json, which
decode with a part in RAM, laid out as the source tells, tests/truth/speed_split_later.json and speed_split_newest.json, of more of
them, collected after that, tests/truth/speed_parallel.json, of many requests at once, tests/truth/speed_tensor_parallel.json, of
the same on several GPUs, tests/truth/speed_transformers.json,
which Transformers decodes, tests/truth/speed_vllm.json, which vLLM does, tests/truth/speed_pictures.json,
which make a picture, tests/truth/speed_sound.json, which make or hear a minute of sound,
tests/truth/speed_types.json, which decode a model in many quantizations,
tests/truth/speed_gpus.json, of GPUs whose runs were told least well, tests/truth/speed_laptops.json, of
laptops most of all, tests/truth/speed_integrated.json, of Intel's GPUs before Arc, tests/truth/speed_arcs.json, of its cards by backend,
tests/truth/speed_fresh.json,
which no constant was fitted on, tests/truth/speed_processors.json, of
processors whose sources tell the memory, and tests/truth/speed_processors_later.json,
speed_processors_unseen.json and speed_processors_many.json, of more of them, each collected after
the rule was written, held against it once, and in the fit since, speed_processors_newest.json, the
same and in no fit, tests/truth/speed_processors_prompts.json, of prompts on processors,
tests/truth/speed_training.json, which train, tests/truth/speed_documents.json, which read documents, tests/truth/speed_whisper.json, which write down speech on a GPU, and those of `compute_runs`, which are bound by compute. Each is asked of
`selfhost.check` as a user would ask it, on a machine of that device;
the fresh ones and those processors by the name that a user would type.

A run that at one token a step would read a tenth more than its device's memory gives takes several tokens a
step: its program drafts them, as Ollama from 0.31 on does by itself with some models on Apple chips
(https://ollama.com/blog, 2026-06-29). Such runs stand in a line of their own and not in that of all,
and once more with the gain that `check gemma4:12b-mlx` tells; no other rule leaves a run out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from compute_runs import print_tables
from residuals import Asked, Run, ask, judged_named, machine_named, print_line
from work_runs import of_documents, of_training, of_whisper, rows, with_cores

import test_speed as earlier
from selfhost import Machine, Workload
from selfhost import needs as need
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SelfhostError
from selfhost.core.records import FrozenDict, Unread
from selfhost.judge.pace import (
    SHORT_CHAT_TOKENS,
    Range,
    Speed,
    Step,
    expert_parameters,
    sequences,
)
from selfhost.judge.pace.cores import cores_of
from selfhost.judge.pace.decoding import predict
from selfhost.judge.pace.job import job_of
from selfhost.judge.pace.layout import LaidOut, laid_out
from selfhost.judge.pace.media import seconds_of_picture
from selfhost.judge.pace.processor import processor_of
from selfhost.judge.pace.ranges import Seconds
from selfhost.judge.pace.rates import device_bandwidth
from selfhost.judge.step import step_of
from selfhost.machine import gpus
from selfhost.machine.gpus import every_card, vendor_of
from selfhost.machine.named import named
from selfhost.machine.record import Accelerator
from selfhost.needs import case
from selfhost.needs.records import Needs
from selfhost.needs.tensors import row_of

TRUTH = Path(__file__).parents[1] / "tests" / "truth"
PUBLIC = TRUTH / "speed_public.json"
BACKENDS = TRUTH / "speed_backends.json"
DRAFTS = TRUTH / "speed_drafts.json"
BATCHES = TRUTH / "speed_batches.json"
SPLIT = TRUTH / "speed_split.json"
SPLIT_LATER = TRUTH / "speed_split_later.json"
SPLIT_NEWEST = TRUTH / "speed_split_newest.json"
PARALLEL = TRUTH / "speed_parallel.json"
TENSOR_PARALLEL = TRUTH / "speed_tensor_parallel.json"
TRANSFORMERS = TRUTH / "speed_transformers.json"
VLLM = TRUTH / "speed_vllm.json"
PICTURES = TRUTH / "speed_pictures.json"
SOUND = TRUTH / "speed_sound.json"
TYPES = TRUTH / "speed_types.json"
INTEL = TRUTH / "speed_intel.json"
INTEL_LATER = TRUTH / "speed_intel_later.json"
MLX_PROMPTS = TRUTH / "speed_mlx_prompts.json"
PROMPTS = TRUTH / "speed_prompts.json"
PROCESSOR_PROMPTS = TRUTH / "speed_processors_prompts.json"
PROGRAMS = TRUTH / "speed_programs.json"
BLIND = TRUTH / "speed_blind.json"
ON_CORES = TRUTH / "speed_cores.json"
GPUS = TRUTH / "speed_gpus.json"
LAPTOPS = TRUTH / "speed_laptops.json"
INTEGRATED = TRUTH / "speed_integrated.json"
ARCS = TRUTH / "speed_arcs.json"
FRESH = TRUTH / "speed_fresh.json"
PROCESSORS = TRUTH / "speed_processors.json"
LATER = TRUTH / "speed_processors_later.json"
UNSEEN = TRUTH / "speed_processors_unseen.json"
MANY = TRUTH / "speed_processors_many.json"
NEWEST = TRUTH / "speed_processors_newest.json"
GIB = 1 << 30
_RAM_FIELDS = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")
SEVERAL = ", several tokens a step"
# runs of vLLM whose steps waited for its scheduler: 0.6 answers 1.8 to 2.7 times as much as 0.5.3
# (blog.vllm.ai, 2024-09-05)
OLD_BUILD = "before 0.5"
# a conversion's weights are known to some percent
_BEYOND_DOUBT = 1.1

# as many times as fast as one token a step, where Ollama drafts by itself: slow end, likely, fast end
# (ollama.com/blog, 2026-06-29, and six runs of tests/truth/speed_public.json)
_DRAFTED_BY_OLLAMA = (1.75, 2.2, 3.2)


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
        print(f"{'':47} runs devices  error  inside  high/low  seen/likely")
        _table(runs, with_devices=options.devices)
        if options.misses:
            for run in sorted(runs, key=lambda run: run.seen / run.likely):
                if not run.is_inside:
                    print(
                        f"  {run.seen / run.likely:5.2f} {run.device[:28]:28} {run.model[:44]:44}"
                        f" {run.seen:7.1f} of {run.low:.1f} {run.likely:.1f} {run.high:.1f}"
                    )
    print_tables(with_devices=options.devices)
    return 0


def _table(runs: list[Run], *, with_devices: bool) -> None:
    for group in sorted({run.group for run in runs}):
        members = [run for run in runs if run.group == group]
        print_line(group, members)
        for device in sorted({run.device for run in members}) if with_devices else ():
            print_line("  " + device, [run for run in members if run.device == device])
    print_line("all", [run for run in runs if not run.group.endswith(SEVERAL)])


def of_reports() -> Iterator[Run]:
    """The public reports, asked of `check`."""
    document = json.loads(PUBLIC.read_text(encoding="utf-8"))
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        machine = machine_of(row["device"], row.get("kind", "card"), row["memory_gb"])
        try:
            verdict = ask(
                row["spec"],
                Workload(quantization=row["quantization"], runtime=row["runtime"]),
                machine=machine,
            )
        except SelfhostError as error:
            print(f"  left out: {row['model']}: {error}", file=sys.stderr)
            continue
        pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None:
            print(
                f"  without a pace: {row['model']} on {row['device']}", file=sys.stderr
            )
            continue
        group = (
            row["kind"]
            if row["kind"] == "processor"
            else vendor_of_device(row["device"])
        )
        if row["kind"] == "unified":
            group += ", shares the RAM"
        if verdict.needs is not None and verdict.needs.placement == "split":
            group += ", partly in RAM"
        elif _reads_too_much(row["spec"], verdict, machine, row["tokens_per_second"]):
            group += SEVERAL
        yield Run(
            group, row["device"], row["model"],
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip
        if group.endswith(SEVERAL) and row["model"].endswith("-mlx"):
            told = pace * Range(*_DRAFTED_BY_OLLAMA)
            yield Run(
                f"{vendor_of_device(row['device'])}, drafted as told{SEVERAL}", row["device"],
                row["model"], row["tokens_per_second"], *told,
            )  # fmt: skip


def _reads_too_much(
    spec_id: str,
    verdict: Asked,
    machine: Machine,
    tokens_per_second: float,
) -> bool:
    """At one token a step it would read more than the device's memory gives."""
    card = next(iter(machine.accelerators or ()), None)
    peak = None if card is None else device_bandwidth(card)
    chip = processor_of(machine).chip
    if peak is None and card is not None and card.unified and chip is not None:
        peak = chip.high
    shelf, work = Catalogue.open(), verdict.workload
    read = need.decode_bytes_by_type(
        shelf.spec(spec_id),
        None,
        work.format or "gguf",
        work.quantization or "",
    )
    return (
        peak is not None
        and sum(read.values()) * tokens_per_second > _BEYOND_DOUBT * peak
    )


def of_earlier() -> Iterator[Run]:
    """The runs that were collected before, with the depth that each states."""
    for row in earlier.rows("published"):
        if row["kind"] != "decode":
            continue
        spec_id = earlier.SPEC_OF.get(row["model"], row["model"])
        machine = earlier.published(row["machine"])
        shares = (
            {0: 1.0}
            if any(not card.unified for card in machine.accelerators or ())
            else None
        )
        pace = earlier.predicted(
            machine,
            spec_id,
            row["quantization"],
            context_tokens=4096,
            depth_tokens=row["depth"],
            runtime="llama.cpp",
            offloaded=shares,
        ).decode
        if pace is None:
            continue
        card = next(iter(machine.accelerators or ()), None)
        group = "processor" if card is None else card.vendor
        if card is not None and card.unified:
            group += ", shares the RAM"
        yield Run(
            group, row["machine"], row["model"],
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


def of_backends(use: str) -> Iterator[Run]:
    """The runs whose backend and host are stated, of that use or of all."""
    document = json.loads(BACKENDS.read_text(encoding="utf-8"))
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        if row["use"] != use:
            continue
        machine = machine_of(row["device"], row.get("kind", "card"), row["memory_gb"])
        if row["source"] in document["windows"]:
            machine = machine.replace(system="windows")
        if row["host"] is not None:
            machine = machine.replace(
                cpu_model=row["host"], architecture=_architecture_of(row["host"])
            )
        verdict = ask(
            row["spec"],
            Workload(
                quantization=row["quantization"],
                runtime=row["runtime"],
                runtime_options=_device_told(row["runtime"], row["backend"], machine),
            ),
            machine=machine,
        )
        pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None or verdict.needs is None:
            print(
                f"  without a pace: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        group = vendor_of_device(row["device"])
        generation = gpus.facts_of(row["device"]).generation
        group += "" if generation is None else f", {generation}"
        if row["kind"] == "unified":
            group += ", shares the RAM"
        if verdict.needs.placement == "split":
            group += ", partly in RAM"
        elif machine.architecture != "x86_64" and row["kind"] == "card":
            group += ", beside no x86-64"
        yield Run(
            group, row["device"],
            f"{row['spec']} {row['quantization']} {row['backend']}",
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


def of_drafts() -> Iterator[Run]:
    """The runs with the model's own block, as many tokens at once as the source used."""
    document = json.loads(DRAFTS.read_text(encoding="utf-8"))
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        with _drafting(row["drafted"]):
            verdict = ask(
                row["spec"],
                Workload(
                    quantization=row["quantization"], runtime="llama.cpp", draft="mtp"
                ),
                machine=machine_of(
                    row["device"], row.get("kind", "card"), row["memory_gb"]
                ),
            )
            pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None or verdict.needs is None or verdict.needs.placement == "split":
            print(f"  left out: {row['spec']} on {row['device']}", file=sys.stderr)
            continue
        yield Run(
            f"{vendor_of_device(row['device'])}, own block", row["device"],
            f"{row['spec']} {row['quantization']}, {row['drafted']} at once",
            row["with_draft"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


@contextmanager
def _drafting(tokens: int) -> Iterator[None]:
    """While the block runs, a draft proposes so many tokens at once, in memory and in pace."""
    with (
        patch.object(case, "DRAFTED_TOKENS", tokens),
        patch.object(sequences, "DRAFTED_TOKENS", tokens),
    ):
        yield


def of_batches() -> Iterator[Run]:
    """The runs of several tokens at once, as that many sequences together."""
    for row in rows(BATCHES):
        verdict = ask(
            row["spec"],
            Workload(
                quantization=row["quantization"],
                runtime="llama.cpp",
                parallel=row["at_once"],
                context_tokens=512,
            ),
            machine=machine_of(
                row["device"], row.get("kind", "card"), row["memory_gb"]
            ),
        )
        total = verdict.speed.parallel_total if verdict.speed is not None else None
        if total is None:
            print(
                f"  without a pace: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        when = "of 2023" if row["built"] < "2024" else row["use"]
        experts = ", experts" if has_experts(row["spec"]) else ""
        yield Run.of(
            f"{vendor_of_device(row['device'])}{experts}, {when}",
            row["device"],
            f"{row['spec']} {row['quantization']}, {row['at_once']} at once",
            row["tokens_per_second"],
            total,
        )


def of_parallel() -> Iterator[Run]:
    """The answer tokens of many requests at once, by the device's name, program and number."""
    for row in rows(PARALLEL):
        each = (row["prompt_tokens"] or 0) + (row["generated_tokens"] or 0)
        asked = Workload(
            quantization=row["quantization"],
            runtime=row["program"],
            parallel=row["sequences"],
            context_tokens=max(512, each + 1),
            prompt_tokens=row["prompt_tokens"],
        )
        try:
            verdict = ask(row["spec"], asked, machine=row["device"])
        except SelfhostError as error:
            print(
                f"  not asked: {row['spec']} on {row['device']}: {error}",
                file=sys.stderr,
            )
            continue
        total = verdict.speed.parallel_total if verdict.speed is not None else None
        if total is None:
            print(
                f"  without a total: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        many = "fewer than 16" if row["sequences"] < 16 else "16 and more"
        yield Run.of(
            f"{row['tool']}{', experts' if has_experts(row['spec']) else ''}, {many}",
            row["device"],
            f"{row['spec']} {row['quantization']}, {row['sequences']} at once",
            row["tokens_per_second"],
            total,
        )


def of_tensor_parallel() -> Iterator[Run]:
    """The same on several GPUs, where as many are judged as the source tells."""
    for row in rows(TENSOR_PARALLEL):
        each = (row["prompt_tokens"] or 0) + (row["generated_tokens"] or 0)
        program = "vllm" if row["program"] == "tensorrt-llm" else row["program"]
        asked = Workload(
            quantization=row["quantization"],
            runtime=program,
            parallel=row["sequences"],
            context_tokens=max(512, each + 1),
            prompt_tokens=row["prompt_tokens"],
        )
        verdict = ask(row["spec"], asked, machine=row["device"])
        total = verdict.speed.parallel_total if verdict.speed is not None else None
        if total is None or verdict.needs is None or verdict.needs.memory is None:
            print(
                f"  without a total: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        number = row["device"].split()[0].removesuffix("x")
        gpus_told = int(number) if number.isdecimal() else 1
        gpus_used = [
            place for place in verdict.needs.memory.places if place.where != "host"
        ]
        if len(gpus_used) != gpus_told:
            continue
        yield Run.of(
            f"{row['program']}{', experts' if has_experts(row['spec']) else ''}"
            f"{', one GPU' if gpus_told == 1 else ''}",
            row["device"],
            f"{row['spec']} {row['quantization']}, {row['sequences']} at once",
            row["tokens_per_second"],
            total,
        )


def of_split_later() -> Iterator[Run]:
    """As `of_split`, of the runs that were collected after its rule."""
    return of_split("kept", SPLIT_LATER)


def of_split_by_name() -> Iterator[Run]:
    """The same by what a user would type, laid out as this program would: only of machines that do
    not hold all of it on the card.
    """
    for row in rows(SPLIT_LATER):
        if row["decode_per_second"] is None or row["cpu_moe"] == 0 or row["ngl"] == 0:
            continue
        asked = Workload(quantization=row["quantization"], runtime="llama.cpp")
        try:
            verdict = ask(row["spec"], asked, machine=row["machine"])
        except SelfhostError as error:
            print(
                f"  not asked: {row['spec']} on {row['machine']}: {error}",
                file=sys.stderr,
            )
            continue
        pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None or verdict.needs is None or verdict.needs.placement != "split":
            continue
        told = f"{row['spec']} {row['quantization']}, {row['cpu_moe']}"
        yield Run.of(
            "experts in RAM, by name",
            row["machine"],
            told,
            row["decode_per_second"],
            pace,
        )


def of_split(use: str, path: Path = SPLIT) -> Iterator[Run]:
    """The runs of that use that decode with a part in RAM, each laid out as its source tells."""
    for row, _, pace in _split_paces(use, "decode_per_second", path):
        apart = row["cpu_moe"] is not None
        part = "experts" if apart else "layers"
        if pace.decode is None:
            print(
                f"  without a pace: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        yield Run(
            f"{part} in RAM{'' if row['ram_gb_per_s'] is None else ' of a known peak'}",
            row["device"],
            f"{row['spec']} {row['quantization']}, {row['cpu_moe'] if apart else row['ngl']}",
            row["decode_per_second"], pace.decode.low, pace.decode.likely, pace.decode.high,
        )  # fmt: skip


def of_split_prompts(use: str, path: Path = SPLIT) -> Iterator[Run]:
    """The runs of that use that read a prompt with a part in RAM, in batches of their size."""
    for row, _, pace in _split_paces(use, "prompt_per_second", path):
        prompt = pace.prompt
        if prompt is None:
            print(
                f"  without a prompt: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        # a longer prompt attends to what stands before, which the rule counts apart
        yield Run(
            "prompt, experts in RAM" if row["cpu_moe"] is not None else "prompt, layers in RAM",
            f"{row['device']} {row['backend']}",
            f"{row['spec']} {row['quantization']}, {row['cpu_moe'] or row['ngl']}, {row['ubatch']}",
            row["prompt_per_second"], prompt.low, prompt.likely, prompt.high,
        )  # fmt: skip


def _name_of_driver(device: str) -> str:
    """As the table of GPUs has it, for a source leaves its first words out."""
    names = (card.name for card in every_card())
    return next((name for name in names if name.endswith(f" {device}")), device)


def _split_paces(
    use: str,
    measured: str,
    path: Path = SPLIT,
) -> Iterator[tuple[Mapping[str, Any], dict[str, int], Speed]]:
    """The rows of that use which tell `measured`, what a token reads, and the pace as the source
    lays the model out.
    """
    document, shelf = json.loads(path.read_text(encoding="utf-8")), Catalogue.open()
    runtime = shelf.runtime("llama.cpp")
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        # nothing on the card is a processor's
        if (
            row["use"] != use
            or row[measured] is None
            or row["cpu_moe"] == 0
            or row["ngl"] == 0
        ):
            continue
        peak, host = row["ram_gb_per_s"], row["host"]
        name = _name_of_driver(row["device"])
        machine = machine_of(name, "card", row["memory_gb"]).replace(
            cpu_model=host or "unknown",
            memory_bandwidth_bytes_per_second=None if peak is None else int(peak * 1e9),
        )
        spec = shelf.spec(row["spec"])
        assert spec.architecture is not None
        described = row_of(spec.architecture)
        assert described.name
        share = _share_on_card(row, spec, 2 if described.gate == "none" else 3)
        files = need.weights_files(spec, "gguf", row["quantization"])
        size = 0 if isinstance(files, Unread) else files.bytes
        batch = int(min(row["ubatch"] or 512, row["prompt_tokens"] or 512))
        # llama-bench starts at that depth and decodes some 128 tokens
        depth_tokens = (row["depth"] or 0) + 64
        way = LaidOut(
            machine=machine,
            runtime=runtime,
            context_tokens=depth_tokens,
            offloaded={0: share},
            in_ram_bytes=int(size * (1 - share)),
            experts_apart=row["cpu_moe"] is not None,
            tokens_per_crossing=batch,
            micro_batch=batch,
        )
        asked = Workload(format="gguf", quantization=row["quantization"])
        step = step_of(spec, runtime, asked)
        assert step is not None
        pace = predict(step.replace(depth_tokens=depth_tokens), way)
        yield row, dict(step.read_bytes), pace


def _gpu_shares(needs: Needs | None) -> list[float]:
    """Of the weights, what lies on each accelerator."""
    held = Counter[str]()
    for term in needs.terms if needs is not None else ():
        if term.name in ("weights", "repacked_weights"):
            held[term.where] += term.bytes
    return [
        size / held.total() for place, size in held.items() if place != "host" and size
    ]


def _share_on_card(
    row: Mapping[str, Any],
    spec: ModelSpec,
    matrices: int,
) -> float:
    """What the card holds of all weights where the source tells the layers, else as is planned."""
    architecture = spec.architecture
    assert architecture is not None
    if row["cpu_moe"] is None:
        # the output is one more
        return float(row["ngl"] / (architecture.layers + 1))
    if row["cpu_moe"] == "fit":
        machine = machine_of(row["device"], "card", row["memory_gb"])
        asked = Workload(quantization=row["quantization"], runtime="llama.cpp")
        ram = dict.fromkeys(_RAM_FIELDS, 128 * GIB)
        verdict = ask(row["spec"], asked, machine=machine.replace(**ram))
        return sum(_gpu_shares(verdict.needs))
    groups = [group for group in architecture.feed_forward if group.experts]
    in_ram = sum(number < row["cpu_moe"] for group in groups for number in group.layers)
    experts = expert_parameters(architecture, matrices)
    assert experts.layers
    assert spec.parameters.total
    return float(
        1
        - min(1.0, experts.all / spec.parameters.total)
        * min(1.0, in_ram / experts.layers)
    )


def has_experts(spec_id: str) -> bool:
    """Whether it is a mixture."""
    architecture = Catalogue.open().spec(spec_id).architecture
    return architecture is not None and any(
        group.experts for group in architecture.feed_forward
    )


def of_transformers(use: str) -> Iterator[Run]:
    """The runs of Transformers, of that use."""
    for row, pace in _on_cards(TRANSFORMERS, "transformers", use):
        yield Run(
            row["quantization"], row["device"], f"{row['spec']} {row['quantization']}",
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


# before its steps were prepared beside the GPU's (vllm 0.6.0, 2024-09: "multi-step scheduling")
_VLLM_OF_EARLY_2024 = "0.4."


def of_vllm(use: str) -> Iterator[Run]:
    """The runs of vLLM, of that use."""
    for row, pace in _on_cards(VLLM, "vllm", use):
        kind = "HBM" if gpus.has_hbm(row["device"]) else "other memory"
        if row["gpus"] > 1:
            kind += ", each layer divided"
        if row["version"].startswith(_VLLM_OF_EARLY_2024):
            kind += f", {OLD_BUILD}"
        yield Run(
            kind, row["device"], f"{row['spec']} {row['quantization']}, vLLM {row['version']}",
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


def _on_cards(
    path: Path,
    runtime: str,
    use: str,
) -> Iterator[tuple[dict[str, Any], Range]]:
    """The rows of that use with what is predicted, on as many GPUs as the source used."""
    document = json.loads(path.read_text(encoding="utf-8"))
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        if row["use"] != use:
            continue
        machine = machine_of(row["device"], "card", row["memory_gb"])
        card = machine.accelerators or ()
        verdict = ask(
            row["spec"],
            Workload(
                quantization=row["quantization"], runtime=runtime, context_tokens=2048
            ),
            machine=machine.replace(accelerators=row["gpus"] * card),
        )
        pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None or len(_gpu_shares(verdict.needs)) != row["gpus"]:
            print(f"  left out: {row['spec']} {row['quantization']}", file=sys.stderr)
            continue
        yield row, pace


def of_pictures() -> Iterator[Run]:
    """Pictures a second, with the steps and passes of the source."""
    document, shelf = json.loads(PICTURES.read_text(encoding="utf-8")), Catalogue.open()
    runtime = shelf.runtime("diffusers")
    on_macs = [
        dict(zip(document["macs_columns"], row, strict=True))
        for row in document["macs"]
    ]
    on_cards = [
        dict(zip(document["columns"], row, strict=True)) for row in document["rows"]
    ]
    for row in (*on_cards, *on_macs):
        is_mac = row["device"].startswith("Apple")
        quantization = "bfloat16" if row["spec"].startswith("flux") else "float16"
        machine = machine_of(
            row["device"], "shared" if is_mac else "card", row["memory_gb"]
        )
        asked = Workload(quantization=quantization, runtime=runtime.id)
        placed, denoising = (
            ask(row["spec"], asked, machine=machine).needs,
            shelf.spec(row["spec"]).denoising,
        )
        assert placed is not None
        assert denoising is not None
        made = denoising.replace(steps=row["steps"], passes=row["passes"])
        job = job_of(machine, shelf.spec(row["spec"]), placed, runtime, quantization)
        assert job is not None
        taken = seconds_of_picture(job, made)
        if is_mac:
            group = "Macs"
        elif row["steps"] < 10:
            group = "few steps"
        else:
            group = "many steps"
        yield Run(
            f"{row['use']}, {group}",
            row["device"], f"{row['spec']}, {row['steps']} steps",
            1 / row["seconds"], *(1 / taken),
        )  # fmt: skip


def of_sound() -> Iterator[Run]:
    """Minutes of sound a second."""
    for row in rows(SOUND):
        card = row["memory_gb"]
        machine = (
            with_cores(named(row["device"])[0], row["cores"])
            if row["cores"]
            else machine_of(row["device"], "card" if card else "processor", card)
        )
        speed = ask(row["spec"], machine=machine).speed
        if speed is None or speed.work is None:
            print(
                f"  without a pace: {row['spec']} on {row['device']}", file=sys.stderr
            )
            continue
        group = f"{'card' if card else 'processor'}, {row['use']}"
        taken = Seconds(speed.work.high, speed.work.likely, speed.work.low)
        yield Run(group, row["device"], row["spec"], 1 / row["seconds"], *(1 / taken))


def of_processor_types(use: str) -> Iterator[Run]:
    """As `of_types`, on so many threads of a processor."""
    document, shelf = json.loads(TYPES.read_text(encoding="utf-8")), Catalogue.open()
    runtime = shelf.runtime("llama.cpp")
    for values in document["processors"]:
        row = dict(zip(document["processors_columns"], values, strict=True))
        if row["use"] != use:
            continue
        spec, threads = shelf.spec(row["spec"]), row["threads"]
        machine = machine_of(row["device"], "processor", 64).replace(
            cpu_cores_physical=threads, cpu_cores_usable=float(threads)
        )
        weights = need.decode_bytes_by_type(spec, runtime, "gguf", row["quantization"])
        step = Step(architecture=spec.architecture, read_bytes=FrozenDict(weights))
        cores = cores_of(machine)
        assert cores is not None
        if row["kind"] == "prompt":
            pace = cores.prompt(step)
            assert pace is not None
            low, likely, high = pace.low, pace.likely, pace.high
        else:
            low, likely, high = 1 / cores.seconds(step).ordered()
        yield Run(
            f"{row['kind']}, {_bits_of(row['quantization'])}", f"{row['device']}, {threads} threads",
            f"{row['spec']} {row['quantization']}, {row['built']}",
            row["tokens_per_second"], low, likely, high,
        )  # fmt: skip


def _bits_of(quantization: str) -> str:
    main = quantization.removeprefix("UD-")
    if main.startswith(("Q2", "Q3")):
        return "Q2_K, Q3_K"
    return "IQ1 to IQ3" if main.startswith(("IQ1", "IQ2", "IQ3")) else "more bits"


def of_types(use: str) -> Iterator[Run]:
    """The runs of one model in many quantizations, of that use, by how few bits most weights have."""
    document = json.loads(TYPES.read_text(encoding="utf-8"))
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        if row["use"] != use:
            continue
        verdict = ask(
            row["spec"],
            Workload(quantization=row["quantization"], runtime="llama.cpp"),
            machine=machine_of(
                row["device"], row.get("kind", "card"), row["memory_gb"]
            ),
        )
        pace = verdict.speed.decode if verdict.speed is not None else None
        assert pace is not None
        yield Run(
            f"{vendor_of_device(row['device'])} {row['backend']}, {_bits_of(row['quantization'])}",
            row["device"],
            f"{row['spec']} {row['quantization']}, {row['built']}",
            row["tokens_per_second"], pace.low, pace.likely, pace.high,
        )  # fmt: skip


def of_intel(use: str, path: Path = INTEL) -> Iterator[Run]:
    """Prompts and decoding on Intel's GPUs, of that use, by backend and kind of model."""
    document, shelf = json.loads(path.read_text(encoding="utf-8")), Catalogue.open()
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        if row["use"] != use:
            continue
        machine = machine_of(row["device"], row.get("kind", "card"), row["memory_gb"])
        if row["source"] in document["windows"]:
            machine = machine.replace(system="windows")
        speed = ask(
            row["spec"],
            Workload(
                quantization=row["quantization"],
                runtime="llama.cpp",
                context_tokens=2048,
                runtime_options=_device_told("llama.cpp", row["backend"], machine),
            ),
            machine=machine,
        ).speed
        assert speed is not None
        counts = shelf.spec(row["spec"]).parameters
        kind = "experts" if counts.active != counts.total else "dense"
        model = f"{row['spec']} {row['quantization']}, {row['built']}"
        for work, seen, pace in (
            ("prompt", row["prompt_per_second"], speed.prompt),
            ("decode", row["tokens_per_second"], speed.decode),
        ):
            if seen is None:
                continue
            if pace is None:
                told = f"{row['spec']} on {row['device']}"
                print(f"  without a pace of {work}: {told}", file=sys.stderr)
                continue
            yield Run(
                    f"{work} {row['backend']}, {kind}", row["device"], model,
                    seen, pace.low, pace.likely, pace.high,
                )  # fmt: skip


def _device_told(
    program: str,
    told: str,
    machine: Machine,
) -> dict[str, str]:
    """The option of llama.cpp for one card of Intel's, where the source tells the backend."""
    cards = machine.accelerators or ()
    if program != "llama.cpp" or len(cards) != 1 or cards[0].vendor != "intel":
        return {}
    for backend in ("SYCL", "Vulkan"):
        if backend.lower() in told.lower():
            return {"dev": f"{backend}0"}
    return {}


def of_mlx_prompts(use: str) -> Iterator[Run]:
    """The prompts that MLX read, of that use, by kind of chip and model."""
    document, shelf = (
        json.loads(MLX_PROMPTS.read_text(encoding="utf-8")),
        Catalogue.open(),
    )
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        if row["use"] != use:
            continue
        verdict = ask(
            row["spec"],
            Workload(
                quantization=row["quantization"],
                runtime="mlx",
                prompt_tokens=row["prompt_tokens"],
                context_tokens=row["prompt_tokens"] + 512,
            ),
            machine=machine_of(row["device"], "shared", row["memory_gb"]),
        )
        prompt = verdict.speed.prompt if verdict.speed is not None else None
        assert prompt is not None, row
        chip = "M5" if " M5" in row["device"] else "before M5"
        counts = shelf.spec(row["spec"]).parameters
        kind = "experts" if counts.active != counts.total else "dense"
        yield Run(
            f"{chip}, {kind}", f"{row['device']} {row['gpu_cores']} cores",
            f"{row['spec']} {row['quantization']}, {row['prompt_tokens']} tokens",
            row["prompt_per_second"], prompt.low, prompt.likely, prompt.high,
        )  # fmt: skip


def of_prompts(use: str) -> Iterator[Run]:
    """The prompts of that use that llama.cpp read, by kind of model and depth."""
    for row in rows(PROMPTS):
        if row["use"] != use:
            continue
        # as many tokens as have the same before them on average
        tokens = row["prompt_tokens"] + 2 * row["depth"]
        asked = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            prompt_tokens=tokens,
            context_tokens=tokens + 512,
        )
        speed = ask(row["spec"], asked, machine=row["machine"]).speed
        if speed is None or speed.prompt is None:
            print(
                f"  without a prompt: {row['spec']} on {row['machine']}",
                file=sys.stderr,
            )
            continue
        where = "experts" if has_experts(row["spec"]) else "dense"
        if row["backend"] == "cpu":
            where = "processor"
        elif row["depth"]:
            where = f"deep, {where}"
        told = f"{row['spec']} {row['quantization']} {row['backend']}, {tokens} tokens"
        yield Run.of(
            where, row["machine"], told, row["prompt_per_second"], speed.prompt
        )


def of_processor_prompts(use: str) -> Iterator[Run]:
    """The prompts of that use that processors alone read, and decoding beside them."""
    for row in rows(PROCESSOR_PROMPTS):
        if row["use"] != use:
            continue
        asked = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            prompt_tokens=row["prompt_tokens"],
            context_tokens=2048,
        )
        machine = machine_named(row["machine"])
        if machine.cpu_cores_physical is None:
            # of a guest told by its processors, the run tells how many threads it took
            machine = machine.replace(cpu_cores_physical=row["threads"])
        speed = ask(row["spec"], asked, machine=machine).speed
        if speed is None or speed.prompt is None or speed.decode is None:
            told = f"{row['spec']} on {row['machine']}"
            print(f"  without a pace: {told}", file=sys.stderr)
            continue
        model = f"{row['spec']} {row['quantization']}, {row['built']}"
        device = row["processor"]
        seen = row["prompt_per_second"]
        yield Run.of("prompt processor", device, model, seen, speed.prompt)
        seen = row["tokens_per_second"]
        if seen is not None:
            yield Run.of("decode processor", device, model, seen, speed.decode)


def of_programs(use: str, path: Path = PROGRAMS) -> Iterator[Run]:
    """The runs of that use of a named program with a micro-batch: prompts, decoding by depth, and
    several sequences together.
    """
    for row in rows(path):
        if row["use"] != use:
            continue
        answer = _told_of_program(row)
        if answer.pace is None:
            print(
                f"  without a pace: {row['spec']} on {row['machine']}", file=sys.stderr
            )
            continue
        told = f"{row['spec']} {row['quantization']}, {row['tokens']} behind {row['depth']}"
        group = f"{row['work']}, {row['program']}"
        if answer.needs is not None and answer.needs.placement == "split":
            group += ", partly in RAM"
        yield Run.of(group, row["machine"], told, row["per_second"], answer.pace)


class Told(NamedTuple):
    """What is told of a run of a program: its pace, and what the run needs."""

    pace: Range | None
    needs: Needs | None


def _told_of_program(row: Mapping[str, Any]) -> Told:
    """What is told of such a run."""
    told = f"{row['source']} {row.get('note')}"
    options = _device_told(row["program"], told, machine_named(row["machine"]))
    if row["micro_batch"] is not None and row["micro_batch"] != 512:
        options["ub"] = str(row["micro_batch"])
    asked = Workload(
        quantization=row["quantization"],
        runtime=row["program"],
        runtime_options=options,
    )
    if row["work"] == "prompt":
        # as many tokens as have the same before them on average
        tokens = row["tokens"] + 2 * row["depth"]
        asked = asked.replace(prompt_tokens=tokens, context_tokens=tokens + 512)
        answer = ask(row["spec"], asked, machine=row["machine"])
        pace = None if answer.speed is None else answer.speed.prompt
        return Told(pace, answer.needs)
    if row["work"] == "together":
        asked = asked.replace(parallel=row["tokens"], context_tokens=1024)
        answer = ask(row["spec"], asked, machine=row["machine"])
        pace = None if answer.speed is None else answer.speed.parallel_total
        return Told(pace, answer.needs)
    depth = row["depth"] + row["tokens"] // 2
    judged = judged_named(row["spec"], asked, row["machine"])
    step = judged.question.step
    if step is None or judged.needs is None:
        return Told(None, judged.needs)
    way = laid_out(judged.question, judged.needs, machine_named(row["machine"]))
    pace = predict(step.replace(depth_tokens=depth), way).decode
    return Told(pace, judged.needs)


def of_fresh() -> Iterator[Run]:
    """The runs that are in no fit, on machines by the names that a user would type."""
    for row, verdict, pace in _by_name(FRESH):
        card = next(iter(verdict.machine.accelerators or ()), None)
        group = "processor" if card is None else card.vendor
        if card is not None and card.unified:
            group += ", shares the RAM"
        if verdict.needs is not None and verdict.needs.placement == "split":
            group += ", partly in RAM"
        yield _named_run(row, group, row["machine"], pace)


def of_processors(path: Path) -> Iterator[Run]:
    """The runs of a file on processors whose sources tell the memory, by class."""
    for row, _, pace in _by_name(path):
        yield _named_run(row, f"processor, {row['class']}", row["processor"], pace)


def _named_run(
    row: dict[str, Any],
    group: str,
    device: str,
    pace: Range,
) -> Run:
    told = f"{row['spec']} {row['quantization']} {row['runtime']}"
    return Run.of(group, device, told, row["tokens_per_second"], pace)


def _by_name(path: Path) -> Iterator[tuple[dict[str, Any], Asked, Range]]:
    """The rows with what `check` tells of the machine by its name: of a chat, or as deep in the
    context as the run was.
    """
    for row in rows(path):
        workload = Workload(quantization=row["quantization"], runtime=row["runtime"])
        verdict = ask(row["spec"], workload, machine=row["machine"])
        pace = verdict.speed.decode if verdict.speed is not None else None
        if pace is None or verdict.needs is None:
            print(
                f"  without a pace: {row['spec']} on {row['machine']}", file=sys.stderr
            )
            continue
        if (row.get("depth") or 0) > SHORT_CHAT_TOKENS:
            deep = workload.replace(context_tokens=row["depth"])
            full = ask(row["spec"], deep, machine=row["machine"]).speed
            if full is not None and full.decode and full.full_context_tokens_per_second:
                left = min(
                    1.0, full.full_context_tokens_per_second / full.decode.likely
                )
                pace = Range(
                    low=pace.low * left,
                    likely=pace.likely * left,
                    high=pace.high * left,
                )
        yield row, verdict, pace


def _architecture_of(host: str) -> str:
    """Of a processor of speed_backends.json."""
    if "Cortex" in host or "Altra" in host:
        return "aarch64"
    return "riscv64" if "P550" in host else "x86_64"


def vendor_of_device(name: str) -> str:
    """Its maker, in small letters."""
    return "apple" if name.startswith("Apple") else vendor_of(name)


def machine_of(
    device: str,
    kind: str,
    memory_gb: float | None,
) -> Machine:
    """A computer with that device and nothing measured: 64 GiB of RAM beside a card."""
    vendor = vendor_of_device(device)
    is_card = kind == "card"
    size_gb = memory_gb or 32
    size = int(size_gb * GIB)
    ram = 64 * GIB if is_card or not memory_gb else size
    apple = vendor == "apple"
    cards: tuple[Accelerator, ...] = ()
    if kind != "processor":
        cards = (
            Accelerator(
                vendor=vendor,
                name=device,
                unified=not is_card,
                memory_total_bytes=size if is_card else None,
            ),
        )
    return Machine(
        system="macos" if apple else "linux",
        architecture="aarch64" if apple or "GB10" in device else "x86_64",
        scope="host",
        cpu_model=device if kind != "card" else "unknown",
        cpu_cores_physical=8,
        cpu_cores_usable=8.0,
        instruction_sets=None
        if apple or "GB10" in device
        else ("avx2", "avx512f", "avx512_bf16"),
        memory_total_bytes=ram,
        memory_limit_bytes=ram,
        memory_available_bytes=int(ram * 0.9),
        accelerators=cards,
    )


# what each file of published runs is asked by
SOURCES: Mapping[str, Callable[[], Iterator[Run]]] = {
    "speed_public.json": of_reports,
    "speed.json": of_earlier,
    "speed_backends.json, fitted": partial(of_backends, "fitted"),
    "speed_backends.json, kept out of the fit": partial(of_backends, "kept"),
    "speed_drafts.json": of_drafts,
    "speed_batches.json, several at once": of_batches,
    "speed_split.json, fitted": partial(of_split, "fitted"),
    "speed_split.json, in the fit of the time to cross over alone": partial(
        of_split, "kept"
    ),
    "speed_split_later.json, in that fit since": of_split_later,
    "speed_split_later.json, by the machine's name": of_split_by_name,
    "speed_split_newest.json, fitted": partial(of_split, "fitted", SPLIT_NEWEST),
    "speed_split_newest.json, in no fit": partial(of_split, "kept", SPLIT_NEWEST),
    "speed_split_newest.json, prompts, fitted": partial(
        of_split_prompts, "fitted", SPLIT_NEWEST
    ),
    "speed_split_newest.json, prompts, in no fit": partial(
        of_split_prompts, "kept", SPLIT_NEWEST
    ),
    "speed_parallel.json, many requests at once": of_parallel,
    "speed_tensor_parallel.json, the same on several GPUs": of_tensor_parallel,
    "speed_split.json, prompts, fitted": partial(of_split_prompts, "fitted"),
    "speed_split.json, prompts, kept out of the fit": partial(of_split_prompts, "kept"),
    "speed_transformers.json, fitted": partial(of_transformers, "fitted"),
    "speed_transformers.json, kept out of the fit": partial(of_transformers, "kept"),
    "speed_vllm.json, fitted": partial(of_vllm, "fitted"),
    "speed_vllm.json, kept out of the fit": partial(of_vllm, "kept"),
    "speed_pictures.json": of_pictures,
    "speed_sound.json": of_sound,
    "speed_types.json, fitted": partial(of_types, "fitted"),
    "speed_types.json, kept out of the fit": partial(of_types, "kept"),
    "speed_types.json, processors, fitted": partial(of_processor_types, "fitted"),
    "speed_types.json, processors, kept out of the fit": partial(
        of_processor_types, "kept"
    ),
    "speed_intel.json, fitted": partial(of_intel, "fitted"),
    "speed_intel.json, kept out of the fit": partial(of_intel, "kept"),
    "speed_intel_later.json, fitted": partial(of_intel, "fitted", INTEL_LATER),
    "speed_intel_later.json, in no fit": partial(of_intel, "kept", INTEL_LATER),
    "speed_mlx_prompts.json, fitted": partial(of_mlx_prompts, "fitted"),
    "speed_mlx_prompts.json, kept out of the fit": partial(of_mlx_prompts, "kept"),
    "speed_prompts.json, fitted": partial(of_prompts, "fitted"),
    "speed_prompts.json, kept out of the fit": partial(of_prompts, "kept"),
    "speed_processors_prompts.json, fitted": partial(of_processor_prompts, "fitted"),
    "speed_processors_prompts.json, in no fit": partial(of_processor_prompts, "kept"),
    "speed_programs.json, fitted": partial(of_programs, "fitted"),
    "speed_programs.json, kept out of the fit": partial(of_programs, "kept"),
    "speed_blind.json, in no fit": partial(of_programs, "kept", BLIND),
    "speed_cores.json, fitted": partial(of_programs, "fitted", ON_CORES),
    "speed_cores.json, in no fit": partial(of_programs, "kept", ON_CORES),
    "speed_gpus.json, fitted": partial(of_programs, "fitted", GPUS),
    "speed_gpus.json, kept out of the fit": partial(of_programs, "kept", GPUS),
    "speed_laptops.json, fitted": partial(of_programs, "fitted", LAPTOPS),
    "speed_laptops.json, in no fit": partial(of_programs, "kept", LAPTOPS),
    "speed_integrated.json, fitted": partial(of_programs, "fitted", INTEGRATED),
    "speed_integrated.json, in no fit": partial(of_programs, "kept", INTEGRATED),
    "speed_arcs.json, fitted": partial(of_programs, "fitted", ARCS),
    "speed_arcs.json, in no fit": partial(of_programs, "kept", ARCS),
    "speed_fresh.json, in no fit": of_fresh,
    "speed_processors.json, which tell their RAM": partial(of_processors, PROCESSORS),
    "speed_processors_later.json, in the fit since": partial(of_processors, LATER),
    "speed_processors_unseen.json, in the fit since": partial(of_processors, UNSEEN),
    "speed_processors_many.json, in the fit since": partial(of_processors, MANY),
    "speed_processors_newest.json, in no fit": partial(of_processors, NEWEST),
    "speed_training.json": partial(of_training, machine_of),
    "speed_documents.json": partial(of_documents, machine_of),
    "speed_whisper.json": partial(of_whisper, machine_of),
}


if __name__ == "__main__":
    raise SystemExit(main())
