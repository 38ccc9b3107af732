"""Runs of llama.cpp with a part of the model in RAM beside a GPU, beside the ranges predicted for
them.

The source of a run tells which part: so many layers on the GPU (`ngl`), or the experts of so many
layers in RAM (`cpu_moe`). Each run is laid out so; `of_split_by_name` alone asks what a user would
type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from program_runs import gpu_shares
from published import (
    CARD,
    GIB,
    Row,
    machine_of,
    model_and_type,
    rows,
    rows_for,
)
from residuals import Run, ask, report_left_out

from selfhost import Machine, Workload
from selfhost import needs as need
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SelfhostError
from selfhost.core.records import Unread
from selfhost.judge.pace import Speed, expert_parameters
from selfhost.judge.pace.decoding import predict
from selfhost.judge.pace.layout import LaidOut
from selfhost.judge.step import step_of
from selfhost.machine.gpus import every_card
from selfhost.needs.tensors import row_of

_RAM_FIELDS = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")
# tokens of a batch where the source states none: llama.cpp's own micro-batch
_BATCH_TOKENS = 512
# llama-bench decodes 128 tokens, so that half of them lie before the middle one
_HALF_DECODED_TOKENS = 64
# `cpu_moe` of a run that let llama.cpp choose the layers whose experts lie in RAM
_CHOSEN_BY_PROGRAM = "fit"


class SplitRun(NamedTuple):
    """A run whose source tells the layout, and the pace predicted for that layout."""

    row: Row
    speed: Speed

    @property
    def has_experts_apart(self) -> bool:
        """Whether experts lie in RAM, rather than whole layers."""
        return self.row["cpu_moe"] is not None


def of_split(use: str, file: str) -> Iterator[Run]:
    """The runs that decode with a part in RAM."""
    for run in _split_runs(use, "decode_per_second", file):
        row = run.row
        if run.speed.decode is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        group = "layers in RAM"
        part = row["ngl"]
        if run.has_experts_apart:
            group = "experts in RAM"
            part = row["cpu_moe"]
        if row["ram_gb_per_s"] is not None:
            group += " of a known peak"
        model = f"{model_and_type(row)}, {part}"
        measured = row["decode_per_second"]
        yield Run.of(group, row["device"], model, measured, run.speed.decode)


def of_split_prompts(use: str, file: str) -> Iterator[Run]:
    """The runs that read a prompt with a part in RAM, in batches of the source's size."""
    for run in _split_runs(use, "prompt_per_second", file):
        row = run.row
        if run.speed.prompt is None:
            report_left_out(row["spec"], row["device"], "no pace of a prompt")
            continue
        part = "experts" if run.has_experts_apart else "layers"
        numbers = f"{row['cpu_moe'] or row['ngl']}, {row['ubatch']}"
        yield Run.of(
            f"prompt, {part} in RAM",
            f"{row['device']} {row['backend']}",
            f"{model_and_type(row)}, {numbers}",
            row["prompt_per_second"],
            run.speed.prompt,
        )


def of_split_by_name() -> Iterator[Run]:
    """The runs by what a user would type, laid out as this program would: only of machines that do
    not hold all of the model on the card.
    """
    for row in rows("speed_split_later.json"):
        if row["decode_per_second"] is None or _is_of_processor(row):
            continue
        workload = Workload(quantization=row["quantization"], runtime="llama.cpp")
        try:
            answer = ask(row["spec"], workload, machine=row["machine"])
        except SelfhostError as error:
            report_left_out(row["spec"], row["machine"], str(error))
            continue
        if answer.decode is None or not answer.is_split:
            continue
        yield Run.of(
            "experts in RAM, by name",
            row["machine"],
            f"{model_and_type(row)}, {row['cpu_moe']}",
            row["decode_per_second"],
            answer.decode,
        )


def _is_of_processor(row: Row) -> bool:
    """Whether nothing lies on the card, so that the run is a processor's."""
    return 0 in (row["cpu_moe"], row["ngl"])


def _split_runs(
    use: str,
    column: str,
    file: str,
) -> Iterator[SplitRun]:
    """The runs that have a value in that column, each with the pace of the layout that its source
    states.
    """
    runtime = open_catalogue().runtime("llama.cpp")
    for row in rows_for(use, file):
        if row[column] is None or _is_of_processor(row):
            continue
        spec = open_catalogue().spec(row["spec"])
        # llama-bench starts at that depth
        depth_tokens = (row["depth"] or 0) + _HALF_DECODED_TOKENS
        workload = Workload(format="gguf", quantization=row["quantization"])
        step = step_of(spec, runtime, workload)
        assert step is not None, row
        share = _share_on_card(row, spec)
        batch = int(
            min(row["ubatch"] or _BATCH_TOKENS, row["prompt_tokens"] or _BATCH_TOKENS)
        )
        layout = LaidOut(
            machine=_machine_of(row),
            runtime=runtime,
            context_tokens=depth_tokens,
            offloaded={0: share},
            in_ram_bytes=int(_weights_bytes(row, spec) * (1 - share)),
            experts_apart=row["cpu_moe"] is not None,
            tokens_per_crossing=batch,
            micro_batch=batch,
        )
        speed = predict(step.replace(depth_tokens=depth_tokens), layout)
        yield SplitRun(row=row, speed=speed)


def _machine_of(row: Row) -> Machine:
    """The machine of a run, with the bandwidth of its RAM where the source tells it."""
    device = _name_of_driver(row["device"])
    machine = machine_of(device, CARD, row["memory_gb"])
    # the RAM of the host is told in words, so that a laptop may have one module
    machine = machine.replace(
        cpu_model=row["host"] or "unknown", memory_total_bytes=None
    )
    if row["ram_gb_per_s"] is None:
        return machine
    rate = int(row["ram_gb_per_s"] * 1e9)
    return machine.replace(memory_bandwidth_bytes_per_second=rate)


def _name_of_driver(device: str) -> str:
    """The name of a GPU as its driver has it: a source leaves its first words out."""
    for card in every_card():
        if card.name.endswith(f" {device}"):
            return card.name
    return device


def _weights_bytes(row: Row, spec: ModelSpec) -> int:
    """The size of the file; 0 where it is not known."""
    files = need.weights_files(spec, "gguf", row["quantization"])
    return 0 if isinstance(files, Unread) else files.bytes


def _share_on_card(row: Row, spec: ModelSpec) -> float:
    """The share of all weights that the card holds."""
    architecture = spec.architecture
    assert architecture is not None
    if row["cpu_moe"] is None:
        # the output counts as one more layer
        return float(row["ngl"] / (architecture.layers + 1))
    if row["cpu_moe"] == _CHOSEN_BY_PROGRAM:
        return _share_as_planned(row)
    return 1 - _share_of_experts(row["cpu_moe"], spec, architecture)


def _share_as_planned(row: Row) -> float:
    """The share that this program would put on the card."""
    machine = machine_of(row["device"], CARD, row["memory_gb"])
    with_ram = machine.replace(**dict.fromkeys(_RAM_FIELDS, 128 * GIB))
    workload = Workload(quantization=row["quantization"], runtime="llama.cpp")
    return sum(gpu_shares(ask(row["spec"], workload, machine=with_ram).needs))


def _share_of_experts(
    layers_in_ram: int,
    spec: ModelSpec,
    architecture: Architecture,
) -> float:
    """The share of all weights in the experts of the first so many layers."""
    described = row_of(architecture)
    assert described.name
    matrices = 2 if described.gate == "none" else 3
    experts = expert_parameters(architecture, matrices)
    assert experts.layers
    assert spec.parameters.total
    in_ram = 0
    for group in architecture.feed_forward:
        if group.experts:
            in_ram += sum(number < layers_in_ram for number in group.layers)
    of_all = min(1.0, experts.all / spec.parameters.total)
    return float(of_all * min(1.0, in_ram / experts.layers))
