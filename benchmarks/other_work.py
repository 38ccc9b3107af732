"""The pace of work that is not counted in generated tokens, beside the measured one: training,
documents, speech, pictures and sound, on GPUs and on processors.

What goes in: the rows of `runs.py`. What comes out: a `Scored` for each run, a rate whose unit is that
of the work. Whole answers are asked of `selfhost.check`. Parts of a run, such as one pass of an encoder
or a training step, are asked of the rule that counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from paces import Scored
from runs import (
    CARD,
    GIB,
    PROCESSOR,
    SHARES_RAM,
    Row,
    in_stated_vm,
    machine_named,
    machine_of,
    recorded_machine,
    report_left_out,
    rows,
    with_cores,
)

from selfhost import Machine, Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.judge.pace import Range
from selfhost.judge.pace.job import Job, job_of
from selfhost.judge.pace.media import (
    Recognizer,
    recognizer_of,
    seconds_of_picture,
    sound_figures,
)
from selfhost.judge.pace.processor import cores_rate, processor_of
from selfhost.judge.pace.ranges import Seconds
from selfhost.judge.pace.work import pace_of_documents, pace_of_training
from selfhost.needs.records import Needs

# a model that any device of these runs holds: its needs say which device computes
_SMALL = "qwen2.5-0.5b-instruct"
# more layers than any model has
_ALL_LAYERS = 10**6
# a run with fewer steps spends much of its time outside of them
_MANY_STEPS = 10
_ON_PROCESSORS = "compute.json"
# since then whisper.cpp has the products that it has now
_CURRENT_ENCODER = "2023"
# more than any of these models takes
_ENOUGH_BYTES = 64 * GIB


def on_processors() -> Iterator[Scored]:
    """The runs of `compute.json` but its prompts, which are text."""
    yield from _encoders()
    yield from _audio()
    yield from _pictures_of_processors()
    yield from _passes()
    yield from _decoder_steps()


# ------------------------------------------------------------------ on GPUs


def training() -> Iterator[Scored]:
    """Tokens trained on in a second."""
    stated = Workload(task="finetune")
    for row in rows("speed_training.json"):
        kind = SHARES_RAM if _is_apple(row) else CARD
        machine = machine_of(row["device"], kind, row["memory_gb"])
        machine = in_stated_vm(machine, row["source"])
        spec = open_catalogue().spec(row["spec"])
        placed = _needs_on(_SMALL, stated, machine)
        job = _job(machine, spec, placed, _trainer(row), "bfloat16")
        workload = stated.replace(
            finetune_method=row["method"],
            checkpointing=row["checkpointing"],
            context_tokens=row["step_tokens"],
        )
        pace = pace_of_training(job, workload).work
        assert pace is not None, row
        yield Scored.of(
            f"training, {_device_class(row)}, {row['program']}, {row['use']}",
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
    return runtime.replace(finetuning=runtime.finetuning.replace(trainer_layers=layers))


def documents() -> Iterator[Scored]:
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
        yield Scored.of(
            f"documents, {kind}, {runtime.id}, {row['use']}",
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


def whisper() -> Iterator[Scored]:
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
        token = job.seconds_of_step(recognizer.token("F16"))
        assert token is not None, row
        yield from _run_of_whisper(row, "a token", row["decode_ms"], token)


def _run_of_whisper(
    row: Row,
    part: str,
    measured_ms: float | None,
    taken: Seconds,
) -> Iterator[Scored]:
    """One run of a row, or none where the source does not tell that time."""
    if measured_ms is not None:
        name = f"Whisper, {part}, {_device_class(row)}, {row['use']}"
        yield Scored.of(name, row["device"], row["spec"], 1e3 / measured_ms, 1 / taken)


def pictures() -> Iterator[Scored]:
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
        spec = catalogue.spec(row["spec"])
        placed = _needs_on(row["spec"], workload, machine)
        job = _job(machine, spec, placed, runtime, quantization)
        assert spec.denoising is not None, row
        denoising = spec.denoising.replace(steps=row["steps"], passes=row["passes"])
        taken = seconds_of_picture(job, denoising)
        yield Scored.of(
            f"pictures, {_class_of_picture(row)}, {row['use']}",
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


def sound() -> Iterator[Scored]:
    """Minutes of sound a second."""
    for row in rows("speed_sound.json"):
        kind = CARD if row["memory_gb"] else PROCESSOR
        if row["cores"]:
            machine = with_cores(machine_named(row["device"]), row["cores"])
        else:
            machine = machine_of(row["device"], kind, row["memory_gb"])
        pace = _rate_of_work(row["spec"], Workload(), machine)
        if pace is None:
            report_left_out(row["spec"], row["device"], "no pace")
            continue
        name = f"voices and recognizers, {kind}, {row['use']}"
        yield Scored.of(name, row["device"], row["spec"], 1 / row["seconds"], pace)


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
    needs = check(model, workload, machine=machine).needs
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


def _rate_of_work(
    model: str,
    workload: Workload,
    machine: Machine,
) -> Range | None:
    """The units of work a second, from the seconds a unit that `check` tells; None where it tells no
    pace.
    """
    speed = check(model, workload, machine=machine).speed
    if speed is None or speed.work is None:
        return None
    work = speed.work
    return 1 / Seconds(slow=work.high, likely=work.likely, fast=work.low)


# the runs of each kind of work, by the file that has them
ON_GPUS: Mapping[str, Callable[[], Iterator[Scored]]] = {
    "speed_training.json": training,
    "speed_documents.json": documents,
    "speed_whisper.json": whisper,
    "speed_pictures.json": pictures,
    "speed_sound.json": sound,
}


# ------------------------------------------------------------------ on processors


def _encoders() -> Iterator[Scored]:
    """Half minutes of audio encoded in a second."""
    catalogue = open_catalogue()
    program = catalogue.runtime("whisper.cpp")
    for row in rows(_ON_PROCESSORS, "encode"):
        machine = recorded_machine(_ON_PROCESSORS, row["machine"], row["threads"])
        architecture = catalogue.spec(row["model"]).architecture
        assert architecture is not None
        assert architecture.audio is not None
        recognizer = Recognizer(
            decoder=architecture, audio=architecture.audio, parameter_bytes=2.0
        )
        taken = recognizer.encoder_seconds(_job_of_cores(machine, program, "F16"))
        name = "whisper.cpp encoder, processors"
        if row["build"] < _CURRENT_ENCODER:
            name += ", of 2022"
        measured = 1 / row["seconds"]
        yield Scored.of(name, row["machine"], row["model"], measured, 1 / taken)


def _audio() -> Iterator[Scored]:
    """Minutes of audio in a second."""
    for row in rows(_ON_PROCESSORS, "audio"):
        pace = _rate_with_ram(row, row["threads"])
        if pace is not None:
            yield Scored.of(
                f"audio, {row['runtime']}, processors",
                row["machine"],
                row["model"],
                1 / row["seconds_per_audio_minute"],
                pace,
            )


def _pictures_of_processors() -> Iterator[Scored]:
    """Pictures in a second, with the steps that the model's card names."""
    for row in rows(_ON_PROCESSORS, "pictures"):
        denoising = open_catalogue().spec(row["model"]).denoising
        assert denoising is not None
        pace = _rate_with_ram(row, None)
        if pace is not None:
            yield Scored.of(
                f"pictures, {row['runtime']}, processors",
                row["machine"],
                row["model"],
                row["steps"] / denoising.steps / row["seconds"],
                pace,
            )


def _rate_with_ram(row: Row, threads: float | None) -> Range | None:
    """The units of work a second on the machine with enough RAM for any model."""
    machine = recorded_machine(_ON_PROCESSORS, row["machine"], threads)
    with_ram = machine.replace(
        memory_total_bytes=_ENOUGH_BYTES, memory_limit_bytes=_ENOUGH_BYTES
    )
    workload = Workload(runtime=row["runtime"], quantization=row["quantization"])
    return _rate_of_work(row["model"], workload, with_ram)


def _passes() -> Iterator[Scored]:
    """Passes a second of parts of models that were measured here."""
    for row in rows(_ON_PROCESSORS, "computed"):
        machine = recorded_machine(_ON_PROCESSORS, row["machine"], row["threads"])
        operations = row["operations_1e9"] * 1e9
        pace = cores_rate(machine) * _share_reached(row, machine) * (1 / operations)
        yield Scored.of(
            f"{row['program']}, {row['kind']}, {row['type']}, processors",
            row["machine"],
            f"{row['part']}, {row['threads']} threads",
            1 / row["seconds"],
            pace,
        )


def _share_reached(row: Row, machine: Machine) -> Range:
    """The share of the cores' peak that the program of a run reaches."""
    if row["program"] == "pytorch":
        return _job_of_cores(machine, None, row["type"]).share("any")
    assert row["program"] == "ctranslate2", row
    figures = sound_figures()
    sound = figures.wide if processor_of(machine).core.wide else figures.narrow
    return sound.bits_8 if row["type"] == "int8" else sound.bits_32


def _decoder_steps() -> Iterator[Scored]:
    """Steps a second of decoders that write one token, of float32, beside the bandwidth that the
    same threads read at.
    """
    for row in rows(_ON_PROCESSORS, "stepped"):
        machine = recorded_machine(
            _ON_PROCESSORS, row["machine"], row["threads"]
        ).replace(
            memory_bandwidth_bytes_per_second=int(row["read_gb_per_s"] * 1e9),
            memory_bandwidth_how="measured",
            sources={"memory_bandwidth_bytes_per_second": "beside it"},
        )
        job = _job_of_cores(machine, None, "float32")
        taken = job.seconds_to_read(row["parameters"])
        assert taken is not None, row
        yield Scored.of(
            "pytorch, a step that writes, processors",
            row["machine"],
            f"{row['model']}, {row['threads']} threads",
            1 / row["seconds"],
            1 / taken,
        )


def _job_of_cores(
    machine: Machine,
    program: RuntimeSpec | None,
    quantization: str,
) -> Job:
    """Work on a processor, of any model."""
    return Job(
        machine=machine,
        spec=ModelSpec(id="any", name="any"),
        placed=Needs(),
        runtime=program,
        quantization=quantization,
        operations_per_second=cores_rate(machine),
        called="",
    )
