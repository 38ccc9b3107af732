"""Runs whose source names the program, several requests at once, and several GPUs, beside the
ranges predicted for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

from published import (
    CARD,
    Row,
    has_experts,
    in_stated_vm,
    machine_of,
    model_and_type,
    rows,
    rows_for,
    stated_backend,
)
from residuals import Run, ask, judged_for, machine_named, report_left_out

from selfhost import Workload
from selfhost.core.errors import SelfhostError
from selfhost.judge.pace import Range
from selfhost.judge.pace.decoding import predict
from selfhost.judge.pace.layout import laid_out
from selfhost.machine import gpus
from selfhost.needs.records import Needs

# the ends of groups of runs of outdated builds: of vLLM whose steps waited for its scheduler (0.6
# answers 1.8 to 2.7 times as much as 0.5.3: blog.vllm.ai, 2024-09-05), and of llama.cpp whose Vulkan
# read prompts on Intel's GPUs without their matrix units or in small tiles (ggml-org/llama.cpp#14001
# of 2025-06, #18178 of 2026-01)
OLD_VLLM = "before 0.5"
OLD_VULKAN = "before 2026"
_VLLM_OF_EARLY_2024 = "0.4."
# llama.cpp's own size of a micro-batch
_MICRO_BATCH = 512
# runs of fewer requests are a group of their own
_MANY_REQUESTS = 16


class Prediction(NamedTuple):
    """The predicted pace of a run, in tokens a second, and the needs of the run; None where these
    are not known.
    """

    pace: Range | None
    needs: Needs | None

    @property
    def is_split(self) -> bool:
        """Whether a part of the model lies in RAM beside a GPU."""
        return self.needs is not None and self.needs.placement == "split"


def of_programs(use: str, file: str) -> Iterator[Run]:
    """The runs of a file of a named program: prompts, decoding by depth, and several sequences
    together.
    """
    for row in rows_for(use, file):
        prediction = _prediction_of(row)
        if prediction.pace is None:
            report_left_out(row["spec"], row["machine"], "no pace")
            continue
        group = f"{row['work']}, {row['program']}"
        if prediction.is_split:
            group += ", partly in RAM"
        model = f"{model_and_type(row)}, {row['tokens']} behind {row['depth']}"
        yield Run.of(group, row["machine"], model, row["per_second"], prediction.pace)


def _prediction_of(row: Row) -> Prediction:
    """The prediction for a run of a file whose rows name the program."""
    workload = Workload(
        quantization=row["quantization"],
        runtime=row["program"],
        runtime_options=_stated_options(row),
    )
    match row["work"]:
        case "prompt":
            # as many tokens as have the same before them on average
            tokens = row["tokens"] + 2 * row["depth"]
            workload = workload.replace(
                prompt_tokens=tokens, context_tokens=tokens + 512
            )
            machine = in_stated_vm(machine_named(row["machine"]), row["source"])
            answer = ask(row["spec"], workload, machine=machine)
            return Prediction(answer.prompt, answer.needs)
        case "together":
            workload = workload.replace(parallel=row["tokens"], context_tokens=1024)
            answer = ask(row["spec"], workload, machine=row["machine"])
            return Prediction(answer.together, answer.needs)
    return _decoding_at_depth(row, workload)


def _stated_options(row: Row) -> dict[str, str]:
    """The options of the program that a row states: a backend and a micro-batch."""
    source = f"{row['source']} {row.get('note')}"
    options = stated_backend(row["program"], source, machine_named(row["machine"]))
    micro_batch = row["micro_batch"]
    if micro_batch is not None and micro_batch != _MICRO_BATCH:
        options["ub"] = str(micro_batch)
    return options


def _decoding_at_depth(row: Row, workload: Workload) -> Prediction:
    """The pace of one sequence halfway through its answer, behind the tokens of the row's depth."""
    machine = machine_named(row["machine"])
    judged = judged_for(row["spec"], workload, machine)
    step = judged.question.step
    if step is None or judged.needs is None:
        return Prediction(None, judged.needs)
    layout = laid_out(judged.question, judged.needs, machine)
    depth_tokens = row["depth"] + row["tokens"] // 2
    pace = predict(step.replace(depth_tokens=depth_tokens), layout).decode
    return Prediction(pace, judged.needs)


def of_parallel() -> Iterator[Run]:
    """The answer tokens of many requests at once, by program and number of requests."""
    for row in rows("speed_parallel.json"):
        workload = _requests(row, row["program"])
        try:
            answer = ask(row["spec"], workload, machine=row["device"])
        except SelfhostError as error:
            report_left_out(row["spec"], row["device"], str(error))
            continue
        if answer.together is None:
            report_left_out(row["spec"], row["device"], "no total")
            continue
        group = _program_and_kind(row, row["tool"])
        is_many = row["sequences"] >= _MANY_REQUESTS
        group += ", 16 and more" if is_many else ", fewer than 16"
        yield _run_together(row, group, answer.together)


def of_tensor_parallel() -> Iterator[Run]:
    """Many requests at once on several GPUs, where the judged layout has as many GPUs as the source
    states.
    """
    for row in rows("speed_tensor_parallel.json"):
        program = row["program"]
        if program == "tensorrt-llm":
            # unknown here: it divides each layer as vLLM does
            program = "vllm"
        answer = ask(row["spec"], _requests(row, program), machine=row["device"])
        if answer.together is None or answer.needs is None:
            report_left_out(row["spec"], row["device"], "no total")
            continue
        gpu_count = _stated_gpus(row["device"])
        if len(_gpus_used(answer.needs)) != gpu_count:
            continue
        group = _program_and_kind(row, row["program"])
        if gpu_count == 1:
            group += ", one GPU"
        yield _run_together(row, group, answer.together)


def _requests(row: Row, program: str) -> Workload:
    """The workload of the row's number of requests at once, with the tokens of the source."""
    request_tokens = (row["prompt_tokens"] or 0) + (row["generated_tokens"] or 0)
    return Workload(
        quantization=row["quantization"],
        runtime=program,
        parallel=row["sequences"],
        context_tokens=max(512, request_tokens + 1),
        prompt_tokens=row["prompt_tokens"],
    )


def _program_and_kind(row: Row, program: str) -> str:
    """The program of a run, and whether the model is a mixture."""
    return f"{program}, experts" if has_experts(row["spec"]) else program


def _run_together(
    row: Row,
    group: str,
    total: Range,
) -> Run:
    """The measured rate of all requests beside the predicted one."""
    model = f"{model_and_type(row)}, {row['sequences']} at once"
    return Run.of(group, row["device"], model, row["tokens_per_second"], total)


def _stated_gpus(device: str) -> int:
    """The number of GPUs in a name such as `8x H100`."""
    number = device.split()[0].removesuffix("x")
    return int(number) if number.isdecimal() else 1


def _gpus_used(needs: Needs) -> list[str]:
    """The GPUs that hold any memory of the model."""
    if needs.memory is None:
        return []
    return [place.where for place in needs.memory.places if place.where != "host"]


def gpu_shares(needs: Needs | None) -> list[float]:
    """The share of the weights that lies on each GPU."""
    held_bytes = Counter[str]()
    for term in needs.terms if needs is not None else ():
        if term.name in ("weights", "repacked_weights"):
            held_bytes[term.where] += term.bytes
    shares: list[float] = []
    for place, size_bytes in held_bytes.items():
        if place != "host" and size_bytes:
            shares.append(size_bytes / held_bytes.total())
    return shares


def of_transformers(use: str) -> Iterator[Run]:
    """The runs of Transformers, by quantization."""
    for row in rows_for(use, "speed_transformers.json"):
        pace = _pace_on_cards(row, "transformers")
        if pace is not None:
            model = model_and_type(row)
            measured = row["tokens_per_second"]
            yield Run.of(row["quantization"], row["device"], model, measured, pace)


def of_vllm(use: str) -> Iterator[Run]:
    """The runs of vLLM, by kind of memory, number of GPUs and age of the build."""
    for row in rows_for(use, "speed_vllm.json"):
        pace = _pace_on_cards(row, "vllm")
        if pace is None:
            continue
        group = "HBM" if gpus.has_hbm(row["device"]) else "other memory"
        if row["gpus"] > 1:
            group += ", each layer divided"
        if row["version"].startswith(_VLLM_OF_EARLY_2024):
            group += f", {OLD_VLLM}"
        model = f"{model_and_type(row)}, vLLM {row['version']}"
        yield Run.of(group, row["device"], model, row["tokens_per_second"], pace)


def _pace_on_cards(row: Row, runtime: str) -> Range | None:
    """The pace of one answer on as many GPUs as the source used. None where another number is
    judged.
    """
    machine = machine_of(row["device"], CARD, row["memory_gb"])
    machine = in_stated_vm(machine, row["source"])
    (card,) = machine.accelerators or ()
    cards = tuple(repeat(card, row["gpus"]))
    workload = Workload(
        quantization=row["quantization"], runtime=runtime, context_tokens=2048
    )
    answer = ask(row["spec"], workload, machine=machine.replace(accelerators=cards))
    if answer.decode is None or len(gpu_shares(answer.needs)) != row["gpus"]:
        report_left_out(model_and_type(row), row["device"], "no pace on all its GPUs")
        return None
    return answer.decode
