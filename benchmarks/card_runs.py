"""Runs of llama.cpp and of Ollama on one GPU, beside the ranges predicted for them.

Each function yields the runs of one file of `tests/truth`, asked of `selfhost.check` as a user
would ask it, on a machine of that device.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from program_runs import OLD_VULKAN
from published import (
    CARD,
    PROCESSOR,
    SHARES_RAM,
    Row,
    class_of_gpu,
    device_class,
    document,
    has_experts,
    has_inactive_parameters,
    machine_of,
    machine_of_row,
    model_and_type,
    rows,
    rows_for,
    stated_backend,
    vendor_of_device,
)
from residuals import Answer, Run, ask, report_left_out

import test_speed
from selfhost import Machine, Workload
from selfhost import needs as need
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError
from selfhost.judge.pace import Range, sequences
from selfhost.judge.pace.processor import processor_of
from selfhost.judge.pace.rates import device_bandwidth
from selfhost.machine import gpus
from selfhost.needs import case

# the last words of a group whose runs take several tokens a step
SEVERAL = ", several tokens a step"
# the bytes of a converted model are known to some percent
_BEYOND_DOUBT = 1.1
# as many times as fast as one token a step, where Ollama drafts by itself: slow end, likely, fast end
# (ollama.com/blog, 2026-06-29, and six runs of tests/truth/speed_public.json)
_DRAFTED_BY_OLLAMA = Range(low=1.75, likely=2.2, high=3.2)


def of_reports() -> Iterator[Run]:
    """The public reports of llmfit's users."""
    for row in rows("speed_public.json"):
        machine = machine_of_row(row)
        workload = Workload(quantization=row["quantization"], runtime=row["runtime"])
        try:
            answer = ask(row["spec"], workload, machine=machine)
        except SelfhostError as error:
            report_left_out(row["spec"], row["device"], str(error))
            continue
        if answer.decode is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        group = _class_of_report(row, answer)
        measured = row["tokens_per_second"]
        if not answer.is_split and _reads_too_much(row, answer):
            group += SEVERAL
            if row["model"].endswith("-mlx"):
                maker = vendor_of_device(row["device"])
                drafted = f"{maker}, drafted as told{SEVERAL}"
                pace = answer.decode * _DRAFTED_BY_OLLAMA
                yield Run.of(drafted, row["device"], row["model"], measured, pace)
        yield Run.of(group, row["device"], row["model"], measured, answer.decode)


def _class_of_report(row: Row, answer: Answer) -> str:
    """The class of the device; for a processor only that word, and whether a GPU holds a part."""
    if row["kind"] != PROCESSOR:
        return device_class(row, answer)
    return f"{PROCESSOR}, partly in RAM" if answer.is_split else PROCESSOR


def _reads_too_much(row: Row, answer: Answer) -> bool:
    """Whether the run at one token a step would read more than the device's memory gives."""
    peak = _peak_bytes_per_second(answer.machine)
    if peak is None:
        return False
    read_bytes = need.decode_bytes_by_type(
        open_catalogue().spec(row["spec"]),
        None,
        answer.workload.format or "gguf",
        answer.workload.quantization or "",
    )
    rate = sum(read_bytes.values()) * row["tokens_per_second"]
    return bool(rate > _BEYOND_DOUBT * peak)


def _peak_bytes_per_second(machine: Machine) -> float | None:
    """The bandwidth of the GPU's memory, else of the chip whose RAM the GPU shares. None where it
    is not known.
    """
    card = next(iter(machine.accelerators or ()), None)
    if card is None:
        return None
    peak = device_bandwidth(card)
    chip = processor_of(machine).chip
    if peak is None and card.unified and chip is not None:
        return chip.high
    return peak


def of_earlier() -> Iterator[Run]:
    """The runs that were collected first, with the depth that each states."""
    for row in test_speed.rows("published"):
        if row["kind"] != "decode":
            continue
        machine = test_speed.published(row["machine"])
        cards = machine.accelerators or ()
        has_own_memory = any(not card.unified for card in cards)
        pace = test_speed.predicted(
            machine,
            test_speed.SPEC_OF.get(row["model"], row["model"]),
            row["quantization"],
            context_tokens=4096,
            depth_tokens=row["depth"],
            runtime="llama.cpp",
            offloaded={0: 1.0} if has_own_memory else None,
        ).decode
        if pace is None:
            continue
        measured = row["tokens_per_second"]
        yield Run.of(
            class_of_gpu(machine), row["machine"], row["model"], measured, pace
        )


def of_backends(use: str) -> Iterator[Run]:
    """The runs whose backend and host are stated."""
    file = "speed_backends.json"
    for row in rows_for(use, file):
        machine = _on_stated_system(machine_of_row(row), row, file)
        if row["host"] is not None:
            machine = machine.replace(
                cpu_model=row["host"], architecture=_architecture_of(row["host"])
            )
        workload = Workload(
            quantization=row["quantization"],
            runtime=row["runtime"],
            runtime_options=stated_backend(row["runtime"], row["backend"], machine),
        )
        answer = ask(row["spec"], workload, machine=machine)
        if answer.decode is None or answer.needs is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        yield Run.of(
            _class_of_backend(row, answer),
            row["device"],
            f"{model_and_type(row)} {row['backend']}",
            row["tokens_per_second"],
            answer.decode,
        )


def _class_of_backend(row: Row, answer: Answer) -> str:
    """The maker of the GPU, its generation, and what its host is."""
    group = vendor_of_device(row["device"])
    generation = gpus.facts_of(row["device"]).generation
    if generation is not None:
        group += f", {generation}"
    if row["kind"] == SHARES_RAM:
        group += ", shares the RAM"
    if answer.is_split:
        group += ", partly in RAM"
    elif answer.machine.architecture != "x86_64" and row["kind"] == CARD:
        group += ", beside no x86-64"
    return group


def _on_stated_system(
    machine: Machine,
    row: Row,
    file: str,
) -> Machine:
    """The machine, with Windows where the file lists the source of the run under `windows`."""
    if row["source"] in document(file)["windows"]:
        return machine.replace(system="windows")
    return machine


def _architecture_of(host: str) -> str:
    """The architecture of a processor of speed_backends.json."""
    if "Cortex" in host or "Altra" in host:
        return "aarch64"
    return "riscv64" if "P550" in host else "x86_64"


def of_drafts() -> Iterator[Run]:
    """The runs with the model's own block, which draft as many tokens at once as the source says."""
    for row in rows("speed_drafts.json"):
        workload = Workload(
            quantization=row["quantization"], runtime="llama.cpp", draft="mtp"
        )
        with _drafting(row["drafted"]):
            answer = ask(row["spec"], workload, machine=machine_of_row(row))
        if answer.decode is None or answer.needs is None or answer.is_split:
            report_left_out(row["spec"], row["device"], "no pace, or partly in RAM")
            continue
        yield Run.of(
            f"{vendor_of_device(row['device'])}, own block",
            row["device"],
            f"{model_and_type(row)}, {row['drafted']} at once",
            row["with_draft"],
            answer.decode,
        )


@contextmanager
def _drafting(tokens: int) -> Iterator[None]:
    """Within the `with` block, a draft proposes so many tokens at once, in memory and in pace."""
    with (
        patch.object(case, "DRAFTED_TOKENS", tokens),
        patch.object(sequences, "DRAFTED_TOKENS", tokens),
    ):
        yield


def of_batches() -> Iterator[Run]:
    """The runs of several tokens at once, as that many sequences together."""
    for row in rows("speed_batches.json"):
        workload = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            parallel=row["at_once"],
            context_tokens=512,
        )
        answer = ask(row["spec"], workload, machine=machine_of_row(row))
        if answer.together is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        group = vendor_of_device(row["device"])
        if has_experts(row["spec"]):
            group += ", experts"
        group += ", of 2023" if row["built"] < "2024" else f", {row['use']}"
        yield Run.of(
            group,
            row["device"],
            f"{model_and_type(row)}, {row['at_once']} at once",
            row["tokens_per_second"],
            answer.together,
        )


def of_types(use: str) -> Iterator[Run]:
    """The runs of one model in many quantizations, by how few bits most weights have."""
    for row in rows_for(use, "speed_types.json"):
        workload = Workload(quantization=row["quantization"], runtime="llama.cpp")
        pace = ask(row["spec"], workload, machine=machine_of_row(row)).decode
        assert pace is not None, row
        maker = vendor_of_device(row["device"])
        yield Run.of(
            f"{maker} {row['backend']}, {bits_of(row['quantization'])}",
            row["device"],
            f"{model_and_type(row)}, {row['built']}",
            row["tokens_per_second"],
            pace,
        )


def bits_of(quantization: str) -> str:
    """The class of a quantization by how few bits most of its weights have."""
    main = quantization.removeprefix("UD-")
    if main.startswith(("Q2", "Q3")):
        return "Q2_K, Q3_K"
    if main.startswith(("IQ1", "IQ2", "IQ3")):
        return "IQ1 to IQ3"
    return "more bits"


def of_intel(use: str, file: str) -> Iterator[Run]:
    """Prompts and decoding on Intel's GPUs, by backend and kind of model."""
    for row in rows_for(use, file):
        machine = _on_stated_system(machine_of_row(row), row, file)
        workload = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            context_tokens=2048,
            runtime_options=stated_backend("llama.cpp", row["backend"], machine),
        )
        answer = ask(row["spec"], workload, machine=machine)
        measured_prompt = row["prompt_per_second"]
        yield from _run_on_intel(row, "prompt", measured_prompt, answer.prompt)
        measured_decode = row["tokens_per_second"]
        yield from _run_on_intel(row, "decode", measured_decode, answer.decode)


def _run_on_intel(
    row: Row,
    work: str,
    measured: float | None,
    pace: Range | None,
) -> Iterator[Run]:
    """One run of a row, or none where the source does not tell that rate."""
    if measured is None:
        return
    if pace is None:
        report_left_out(row["spec"], row["device"], f"no pace of {work}")
        return
    kind = "experts" if has_inactive_parameters(row["spec"]) else "dense"
    if work == "prompt" and row["backend"] == "vulkan" and row["built"] < "2026":
        kind += f", {OLD_VULKAN}"
    yield Run.of(
        f"{work} {row['backend']}, {kind}",
        row["device"],
        f"{model_and_type(row)}, {row['built']}",
        measured,
        pace,
    )


def of_mlx_prompts(use: str) -> Iterator[Run]:
    """The prompts that MLX read, by kind of chip and model."""
    for row in rows_for(use, "speed_mlx_prompts.json"):
        workload = Workload(
            quantization=row["quantization"],
            runtime="mlx",
            prompt_tokens=row["prompt_tokens"],
            context_tokens=row["prompt_tokens"] + 512,
        )
        machine = machine_of(row["device"], SHARES_RAM, row["memory_gb"])
        pace = ask(row["spec"], workload, machine=machine).prompt
        assert pace is not None, row
        chip = "M5" if " M5" in row["device"] else "before M5"
        kind = "experts" if has_inactive_parameters(row["spec"]) else "dense"
        yield Run.of(
            f"{chip}, {kind}",
            f"{row['device']} {row['gpu_cores']} cores",
            f"{model_and_type(row)}, {row['prompt_tokens']} tokens",
            row["prompt_per_second"],
            pace,
        )


def of_prompts(use: str) -> Iterator[Run]:
    """The prompts that llama.cpp read, by kind of model and depth."""
    for row in rows_for(use, "speed_prompts.json"):
        # as many tokens as have the same before them on average
        tokens = row["prompt_tokens"] + 2 * row["depth"]
        workload = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            prompt_tokens=tokens,
            context_tokens=tokens + 512,
        )
        pace = ask(row["spec"], workload, machine=row["machine"]).prompt
        if pace is None:
            report_left_out(row["spec"], row["machine"], "no pace of a prompt")
            continue
        group = "experts" if has_experts(row["spec"]) else "dense"
        if row["backend"] == "cpu":
            group = PROCESSOR
        elif row["depth"]:
            group = f"deep, {group}"
        yield Run.of(
            group,
            row["machine"],
            f"{model_and_type(row)} {row['backend']}, {tokens} tokens",
            row["prompt_per_second"],
            pace,
        )
