"""Runs of llama.cpp on processors alone, and runs on machines that are known by the name that a
user would type, beside the ranges predicted for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from card_runs import bits_of
from published import (
    PROCESSOR,
    Row,
    class_of_gpu,
    machine_of,
    model_and_type,
    rows,
    rows_for,
    with_cores,
)
from residuals import Answer, Run, ask, machine_named, report_left_out

from selfhost import Workload
from selfhost import needs as need
from selfhost.catalogue.index import open_catalogue
from selfhost.core.records import FrozenDict
from selfhost.judge.pace import SHORT_CHAT_TOKENS, Range, Step
from selfhost.judge.pace.cores import cores_of


class NamedRun(NamedTuple):
    """A run on a machine that is known by name, the answer for it, and the pace at its depth."""

    row: Row
    answer: Answer
    pace: Range

    def as_run(self, group: str, device: str) -> Run:
        """The measured rate beside the predicted one."""
        model = f"{model_and_type(self.row)} {self.row['runtime']}"
        return Run.of(group, device, model, self.row["tokens_per_second"], self.pace)


def of_fresh() -> Iterator[Run]:
    """The runs of `speed_fresh.json`, which are in no fit."""
    for run in _by_name("speed_fresh.json"):
        group = class_of_gpu(run.answer.machine)
        if run.answer.is_split:
            group += ", partly in RAM"
        yield run.as_run(group, run.row["machine"])


def of_processors(file: str) -> Iterator[Run]:
    """The runs of a file on processors whose sources tell the memory, by class."""
    for run in _by_name(file):
        group = f"{PROCESSOR}, {run.row['class']}"
        yield run.as_run(group, run.row["processor"])


def _by_name(file: str) -> Iterator[NamedRun]:
    """The rows with what `check` predicts for the machine of that name: the pace of a chat, or that
    at the depth of the run where it is deeper.
    """
    for row in rows(file):
        workload = Workload(quantization=row["quantization"], runtime=row["runtime"])
        answer = ask(row["spec"], workload, machine=row["machine"])
        if answer.decode is None or answer.needs is None:
            report_left_out(row["spec"], row["machine"], "no pace")
            continue
        pace = answer.decode
        if (row.get("depth") or 0) > SHORT_CHAT_TOKENS:
            pace *= _share_left(row, workload)
        yield NamedRun(row=row, answer=answer, pace=pace)


def _share_left(row: Row, workload: Workload) -> float:
    """The share of the pace that is left as deep in the context as the run was; 1 where the depth
    takes less than a tenth.
    """
    deep = workload.replace(context_tokens=row["depth"])
    speed = ask(row["spec"], deep, machine=row["machine"]).speed
    if speed is None or speed.decode is None:
        return 1.0
    if speed.full_context_tokens_per_second is None:
        return 1.0
    return min(1.0, speed.full_context_tokens_per_second / speed.decode.likely)


def of_processor_types(use: str) -> Iterator[Run]:
    """The runs of one model in many quantizations on so many threads of a processor."""
    catalogue = open_catalogue()
    runtime = catalogue.runtime("llama.cpp")
    for row in rows_for(use, "speed_types.json", "processors"):
        spec = catalogue.spec(row["spec"])
        threads = row["threads"]
        machine = with_cores(machine_of(row["device"], PROCESSOR, 64), threads)
        weights = need.decode_bytes_by_type(spec, runtime, "gguf", row["quantization"])
        step = Step(architecture=spec.architecture, read_bytes=FrozenDict(weights))
        cores = cores_of(machine)
        assert cores is not None, row
        if row["kind"] == "prompt":
            pace = cores.prompt(step)
            assert pace is not None, row
        else:
            pace = 1 / cores.seconds(step)
        yield Run.of(
            f"{row['kind']}, {bits_of(row['quantization'])}",
            f"{row['device']}, {threads} threads",
            f"{model_and_type(row)}, {row['built']}",
            row["tokens_per_second"],
            pace,
        )


def of_processor_prompts(use: str) -> Iterator[Run]:
    """The prompts that processors alone read, and decoding beside them."""
    for row in rows_for(use, "speed_processors_prompts.json"):
        workload = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            prompt_tokens=row["prompt_tokens"],
            context_tokens=2048,
        )
        machine = machine_named(row["machine"])
        if machine.cpu_cores_physical is None:
            # a guest has no count of physical cores: the run states its threads
            machine = machine.replace(cpu_cores_physical=row["threads"])
        answer = ask(row["spec"], workload, machine=machine)
        if answer.prompt is None or answer.decode is None:
            report_left_out(row["spec"], row["machine"], "no pace")
            continue
        device = row["processor"]
        model = f"{model_and_type(row)}, {row['built']}"
        measured = row["prompt_per_second"]
        yield Run.of(f"prompt {PROCESSOR}", device, model, measured, answer.prompt)
        measured = row["tokens_per_second"]
        if measured is not None:
            yield Run.of(f"decode {PROCESSOR}", device, model, measured, answer.decode)
