"""Runs of work that is not counted in generated tokens, beside the ranges predicted for them:
training, documents, speech, pictures and sound.
"""

from __future__ import annotations

from collections.abc import Iterator

from published import (
    CARD,
    PROCESSOR,
    SHARES_RAM,
    Row,
    in_stated_vm,
    machine_of,
    rows,
    with_cores,
)
from residuals import Run, ask, report_left_out

from selfhost import Machine, Workload
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.judge.pace import Range
from selfhost.judge.pace.job import Job, job_of
from selfhost.judge.pace.media import recognizer_of, seconds_of_picture
from selfhost.judge.pace.ranges import Seconds
from selfhost.judge.pace.work import pace_of_documents, pace_of_training
from selfhost.machine.named import named
from selfhost.needs.records import Needs

# a model that any device of these runs holds: its needs say which device computes
_SMALL = "qwen2.5-0.5b-instruct"
# more layers than any model has
_ALL_LAYERS = 10**6
# a run with fewer steps spends much of its time outside of them
_MANY_STEPS = 10


def as_rate(work: Range) -> Range:
    """The pace in units a second, from one in seconds a unit."""
    return 1 / Seconds(slow=work.high, likely=work.likely, fast=work.low)


def _is_apple(row: Row) -> bool:
    return str(row["device"]).startswith("Apple")


def _device_class(row: Row) -> str:
    """`GeForce`, `Apple`, or another card."""
    if _is_apple(row):
        return "Apple"
    return "GeForce" if "GeForce" in row["device"] else "other cards"


def _needs_on(
    model: str,
    workload: Workload,
    machine: Machine,
) -> Needs:
    """The needs of the model on the devices of that machine."""
    needs = ask(model, workload, machine=machine).needs
    assert needs is not None, model
    return needs


def _job(
    machine: Machine,
    spec: ModelSpec,
    placed: Needs,
    runtime: RuntimeSpec,
    quantization: str,
) -> Job:
    """The work of a model on the machine, with the needs `placed` on its devices."""
    job = job_of(machine, spec, placed, runtime, quantization)
    assert job is not None, spec.id
    return job


def of_training() -> Iterator[Run]:
    """Tokens trained on in a second."""
    catalogue = open_catalogue()
    stated = Workload(task="finetune")
    for row in rows("speed_training.json"):
        kind = SHARES_RAM if _is_apple(row) else CARD
        machine = machine_of(row["device"], kind, row["memory_gb"])
        machine = in_stated_vm(machine, row["source"])
        placed = _needs_on(_SMALL, stated, machine)
        spec = catalogue.spec(row["spec"])
        job = _job(machine, spec, placed, _trainer(row), "bfloat16")
        workload = stated.replace(
            finetune_method=row["method"],
            checkpointing=row["checkpointing"],
            context_tokens=row["step_tokens"],
        )
        pace = pace_of_training(job, workload).work
        assert pace is not None, row
        yield Run.of(
            f"{row['use']}, {_device_class(row)}, {row['program']}",
            row["device"],
            f"{row['spec']}, {row['method']}, {row['step_tokens']} tokens",
            row["tokens_per_second"],
            pace,
        )


def _trainer(row: Row) -> RuntimeSpec:
    """The program that trains, MLX with as many layers as the source trained."""
    if row["program"] != "mlx":
        return open_catalogue().runtime("transformers")
    runtime = open_catalogue().runtime("mlx")
    layers = row["layers"] or _ALL_LAYERS
    finetuning = runtime.finetuning.replace(trainer_layers=layers)
    return runtime.replace(finetuning=finetuning)


def of_documents() -> Iterator[Run]:
    """Tokens turned into vectors in a second."""
    catalogue = open_catalogue()
    for row in rows("speed_documents.json"):
        kind = CARD if row["memory_gb"] else PROCESSOR
        machine = machine_of(row["device"], kind, row["memory_gb"])
        if row["cores"]:
            machine = _with_processor(machine, row)
        runtime = catalogue.runtime(row["runtime"])
        workload = Workload(runtime=runtime.id, quantization=row["quantization"])
        placed = _needs_on(row["spec"], workload, machine)
        spec = catalogue.spec(row["spec"])
        job = _job(machine, spec, placed, runtime, row["quantization"])
        pace = pace_of_documents(job, row["document_tokens"]).prompt
        assert pace is not None, row
        yield Run.of(
            f"{row['use']}, {kind}, {runtime.id}",
            row["device"],
            f"{row['spec']}, {row['document_tokens']} tokens",
            row["tokens_per_second"],
            pace,
        )


def _with_processor(machine: Machine, row: Row) -> Machine:
    """The machine with the cores of the source and their instruction sets."""
    machine = with_cores(machine, row["cores"])
    if "Kunpeng" in row["device"]:
        sets: tuple[str, ...] = ("asimd", "asimddp", "i8mm")
        return machine.replace(architecture="aarch64", instruction_sets=sets)
    sets = ("avx2", "avx512f")
    return machine.replace(architecture="x86_64", instruction_sets=sets)


def of_whisper() -> Iterator[Run]:
    """Half minutes encoded, and tokens of one text written, in a second."""
    catalogue = open_catalogue()
    runtime = catalogue.runtime("whisper.cpp")
    for row in rows("speed_whisper.json"):
        shares_ram = _is_apple(row) or "GB10" in row["device"]
        kind = SHARES_RAM if shares_ram else CARD
        machine = machine_of(row["device"], kind, row["memory_gb"])
        spec = catalogue.spec(row["spec"])
        placed = _needs_on(row["spec"], Workload(runtime=runtime.id), machine)
        job = _job(machine, spec, placed, runtime, "F16")
        recognizer = recognizer_of(spec, placed)
        assert recognizer is not None, row
        encoded = recognizer.encoder_seconds(job)
        yield from _run_of_whisper(row, "encoder", row["encode_ms"], encoded)
        token = job.token_seconds(recognizer.token("F16"))
        assert token is not None, row
        yield from _run_of_whisper(row, "a token", row["decode_ms"], token)


def _run_of_whisper(
    row: Row,
    part: str,
    measured_ms: float | None,
    taken: Seconds,
) -> Iterator[Run]:
    """One run of a row, or none where the source does not tell that time."""
    if measured_ms is not None:
        group = f"{row['use']}, {part}, {_device_class(row)}"
        yield Run.of(group, row["device"], row["spec"], 1e3 / measured_ms, 1 / taken)


def of_pictures() -> Iterator[Run]:
    """Pictures a second, with the steps and passes of the source."""
    catalogue = open_catalogue()
    runtime = catalogue.runtime("diffusers")
    on_cards = rows("speed_pictures.json")
    on_macs = rows("speed_pictures.json", "macs")
    for row in (*on_cards, *on_macs):
        quantization = "bfloat16" if row["spec"].startswith("flux") else "float16"
        kind = SHARES_RAM if _is_apple(row) else CARD
        machine = machine_of(row["device"], kind, row["memory_gb"])
        workload = Workload(quantization=quantization, runtime=runtime.id)
        placed = _needs_on(row["spec"], workload, machine)
        spec = catalogue.spec(row["spec"])
        job = _job(machine, spec, placed, runtime, quantization)
        assert spec.denoising is not None, row
        denoising = spec.denoising.replace(steps=row["steps"], passes=row["passes"])
        taken = seconds_of_picture(job, denoising)
        yield Run.of(
            f"{row['use']}, {_class_of_picture(row)}",
            row["device"],
            f"{row['spec']}, {row['steps']} steps",
            1 / row["seconds"],
            1 / taken,
        )


def _class_of_picture(row: Row) -> str:
    """Macs, or cards by the number of steps."""
    if _is_apple(row):
        return "Macs"
    return "many steps" if row["steps"] >= _MANY_STEPS else "few steps"


def of_sound() -> Iterator[Run]:
    """Minutes of sound a second."""
    for row in rows("speed_sound.json"):
        kind = CARD if row["memory_gb"] else PROCESSOR
        if row["cores"]:
            machine = with_cores(named(row["device"])[0], row["cores"])
        else:
            machine = machine_of(row["device"], kind, row["memory_gb"])
        work = ask(row["spec"], machine=machine).work
        if work is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        group = f"{kind}, {row['use']}"
        measured = 1 / row["seconds"]
        yield Run.of(group, row["device"], row["spec"], measured, as_rate(work))
