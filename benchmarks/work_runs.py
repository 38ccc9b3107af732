"""Runs of work that is not counted in generated tokens, on GPUs, beside the ranges that are predicted for them: training, documents, speech.

The runs are those of tests/truth/speed_training.json, tests/truth/speed_documents.json and tests/truth/speed_whisper.json. `speed_residuals.py` prints them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from residuals import Run, ask

from selfhost import Machine, Workload
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.pace.job import job_of
from selfhost.judge.pace.media import recognizer_of
from selfhost.judge.pace.work import pace_of_documents, pace_of_training

TRUTH = Path(__file__).parents[1] / "tests" / "truth"
TRAINING = TRUTH / "speed_training.json"
WHISPER = TRUTH / "speed_whisper.json"
DOCUMENTS = TRUTH / "speed_documents.json"
# small enough for any device of these runs, so that its answer says what computes there
_SMALL = "qwen2.5-0.5b-instruct"

MachineOf = Callable[[str, str, float | None], Machine]


def rows(path: Path, part: str = "") -> Iterator[dict[str, Any]]:
    """Each row of a file, or of a part of it, by its columns."""
    document = json.loads(path.read_text(encoding="utf-8"))
    columns, lines = document["columns"], document["rows"]
    if part:
        columns, lines = document[f"{part}_columns"], document[part]
    for values in lines:
        yield dict(zip(columns, values, strict=True))


def with_cores(machine: Machine, cores: int) -> Machine:
    """That machine with so many cores at work."""
    return machine.replace(cpu_cores_physical=cores, cpu_cores_usable=float(cores))


def device_class(device: str) -> str:
    """`GeForce`, `Apple`, or another card."""
    if device.startswith("Apple"):
        return "Apple"
    return "GeForce" if "GeForce" in device else "other cards"


def of_training(machine_of: MachineOf) -> Iterator[Run]:
    """Tokens trained on in a second."""
    shelf = open_catalogue()
    asked = Workload(task="finetune")
    for row in rows(TRAINING):
        spec = shelf.spec(row["spec"])
        is_apple = row["device"].startswith("Apple")
        machine = machine_of(
            row["device"], "shared" if is_apple else "card", row["memory_gb"]
        )
        runtime = shelf.runtime("mlx" if row["program"] == "mlx" else "transformers")
        if row["program"] == "mlx":
            trained_layers = row["layers"] or 10**6
            finetuning = runtime.finetuning.replace(trainer_layers=trained_layers)
            runtime = runtime.replace(finetuning=finetuning)
        placed = ask(_SMALL, asked, machine=machine).needs
        assert placed is not None
        job = job_of(machine, spec, placed, runtime, "bfloat16")
        assert job is not None
        done = asked.replace(
            finetune_method=row["method"],
            checkpointing=row["checkpointing"],
            context_tokens=row["step_tokens"],
        )
        pace = pace_of_training(job, done).work
        assert pace is not None
        yield Run.of(
            f"{row['use']}, {device_class(row['device'])}, {row['program']}",
            row["device"],
            f"{row['spec']}, {row['method']}, {row['step_tokens']} tokens",
            row["tokens_per_second"],
            pace,
        )


def of_documents(machine_of: MachineOf) -> Iterator[Run]:
    """Tokens turned into vectors in a second."""
    shelf = open_catalogue()
    for row in rows(DOCUMENTS):
        machine = machine_of(
            row["device"], "card" if row["memory_gb"] else "processor", row["memory_gb"]
        )
        if row["cores"]:
            machine = with_cores(machine, row["cores"]).replace(
                architecture="aarch64" if "Kunpeng" in row["device"] else "x86_64",
                instruction_sets=("asimd", "asimddp", "i8mm")
                if "Kunpeng" in row["device"]
                else ("avx2", "avx512f"),
            )
        spec, runtime = shelf.spec(row["spec"]), shelf.runtime(row["runtime"])
        assert spec.architecture is not None
        asked = Workload(runtime=runtime.id, quantization=row["quantization"])
        placed = ask(row["spec"], asked, machine=machine).needs
        assert placed is not None
        job = job_of(machine, spec, placed, runtime, row["quantization"])
        assert job is not None
        pace = pace_of_documents(job, row["document_tokens"]).prompt
        assert pace is not None
        yield Run(
            f"{row['use']}, {'card' if row['memory_gb'] else 'processor'}, {runtime.id}", row["device"],
            f"{row['spec']}, {row['document_tokens']} tokens",
            row["tokens_per_second"], *pace,
        )  # fmt: skip


def of_whisper(machine_of: MachineOf) -> Iterator[Run]:
    """Half minutes encoded, and tokens of one text written, in a second."""
    shelf = open_catalogue()
    runtime = shelf.runtime("whisper.cpp")
    for row in rows(WHISPER):
        is_shared = row["device"].startswith("Apple") or "GB10" in row["device"]
        machine = machine_of(
            row["device"], "shared" if is_shared else "card", row["memory_gb"]
        )
        spec = shelf.spec(row["spec"])
        placed = ask(row["spec"], Workload(runtime=runtime.id), machine=machine).needs
        assert placed is not None
        job = job_of(machine, spec, placed, runtime, "F16")
        recognizer = recognizer_of(spec, placed)
        assert job is not None
        assert recognizer is not None
        encoded = recognizer.encoder_seconds(job)
        token = job.token_seconds(recognizer.token("F16"))
        assert token is not None
        kind = device_class(row["device"])
        for what, seen_ms, taken in (
            ("encoder", row["encode_ms"], encoded),
            ("a token", row["decode_ms"], token),
        ):
            if seen_ms is not None:
                yield Run(
                    f"{row['use']}, {what}, {kind}", row["device"], row["spec"],
                    1e3 / seen_ms, *(1 / taken),
                )  # fmt: skip
