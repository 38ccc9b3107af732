"""Runs that are bound by compute on a processor, beside the ranges predicted for them: prompts,
speech, pictures.

The runs are those of `tests/truth/compute.json` and the prompts on processors of
`tests/truth/speed.json`. `speed_residuals.py` prints them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from math import exp, log
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from published import GIB, Row, document, rows, with_cores
from residuals import Run, ask, print_devices, print_line
from work_runs import as_rate

import test_speed
from selfhost import Machine, Workload
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.judge.pace import Range
from selfhost.judge.pace.job import Job
from selfhost.judge.pace.media import Recognizer, sound_figures
from selfhost.judge.pace.processor import cores_rate, processor_of
from selfhost.needs.records import Needs

FILE = "compute.json"
# fewer devices do not tell how far devices lie apart
_LEAST_DEVICES = 4
# since then whisper.cpp has the products that it has now
_CURRENT_ENCODER = "2023"
# of speed.json: its build is older than the layout of Q4_K for processors with the dot product
# (ggml-org/llama.cpp#17494); and a run on two threads, which stands in compute.json
_LEFT_OUT_MACHINES = ("radxa-dragon-Q6A", "i3-1315U")
# more than any of these models takes
_ENOUGH_BYTES = 64 * GIB


def all_runs() -> list[Run]:
    """Every run, by kind of work."""
    kinds: tuple[Callable[[], Iterator[Run]], ...] = (
        _prompts,
        _encoders,
        _audio,
        _pictures,
        _passes,
        _decoder_steps,
    )
    runs: list[Run] = []
    for kind in kinds:
        runs += kind()
    return runs


def print_tables(*, with_devices: bool) -> None:
    """Print one line a kind of work and core; then one a kind of work with each device left out in
    turn.

    The ranges of a device that is left out are multiplied by the median bias of the other devices
    with the same core, if there are three or more, else by that of all other devices. The device
    counts as inside where half of its runs are.
    """
    runs = all_runs()
    by_work: dict[str, list[Run]] = {}
    for run in runs:
        by_work.setdefault(run.group, []).append(run)
    print(
        f"\ncompute.json and prompts of speed.json: {len(runs)} runs bound by compute"
    )
    print(f"{'':47} {'core':8} runs devices  error  inside  high/low  seen/likely")
    for work, of_work in by_work.items():
        for core in sorted({run.core for run in of_work}):
            of_core = [run for run in of_work if run.core == core]
            print_line(work, of_core, core)
            if with_devices:
                print_devices(of_core, core="")
        print_line(work, of_work, "all")
    print(
        "\neach device left out: the others of its core, else of that work, move the range"
    )
    print(f"{'':34} devices  error  inside  high/low")
    for work, of_work in by_work.items():
        _print_left_out(work, of_work)


class LeftOut(NamedTuple):
    """A device whose ranges were multiplied by the median bias of other devices.

    `error` and `width` are the medians of its runs; `is_inside`: at least half of its
    runs are inside.
    """

    error: float
    width: float
    is_inside: bool


def _print_left_out(work: str, runs: Sequence[Run]) -> None:
    """Print the median error, the share inside and the median width with each device left out in
    turn.
    """
    devices = list(dict.fromkeys(run.device for run in runs))
    if len(devices) < _LEAST_DEVICES:
        print(f"{work[:34]:34} {len(devices):7}  too few to leave one out")
        return
    left_out = [_left_out(device, runs) for device in devices]
    error = median(device.error for device in left_out)
    inside = sum(device.is_inside for device in left_out) / len(devices)
    width = median(device.width for device in left_out)
    print(f"{work[:34]:34} {len(devices):7}  {error:5.0%}  {inside:6.0%}  {width:8.2f}")


def _left_out(device: str, runs: Sequence[Run]) -> LeftOut:
    """The device, with its ranges multiplied by the median bias of the others."""
    of_device = [run for run in runs if run.device == device]
    others = [run for run in runs if run.device != device]
    alike = [run for run in others if run.core == of_device[0].core]
    if len({run.device for run in alike}) + 1 >= _LEAST_DEVICES:
        others = alike
    factor = exp(_median_bias(others))
    inside = 0
    for run in of_device:
        inside += run.low * factor <= run.measured <= run.high * factor
    return LeftOut(
        error=median(abs(run.likely * factor / run.measured - 1) for run in of_device),
        width=median(run.width for run in of_device),
        is_inside=2 * inside >= len(of_device),
    )


def _median_bias(runs: Sequence[Run]) -> float:
    """The median of the devices' medians of measured over likely rates, as a logarithm."""
    by_device: dict[str, list[float]] = {}
    for run in runs:
        by_device.setdefault(run.device, []).append(log(run.bias))
    return median(median(biases) for biases in by_device.values())


def recorded_machine(name: str, threads: float | None = None) -> Machine:
    """The machine of that name in compute.json, with as many cores at work as the run had threads;
    None leaves all cores at work.
    """
    facts = dict(document(FILE)["machines"][name])
    facts["instruction_sets"] = tuple(facts["instruction_sets"])
    machine = Machine(**facts)
    if threads is None:
        return machine
    machine = with_cores(machine, int(threads))
    return machine.replace(cpu_cores_usable=float(threads))


def _core_of(machine: Machine) -> str:
    """The kind of processor core, a row of `specs/common/cpus.toml`."""
    return processor_of(machine).core.name


class Prompt(NamedTuple):
    """A prompt that a processor read, and the tokens of it in a second."""

    device: str
    machine: Machine
    model: str
    quantization: str
    tokens_per_second: float


def _prompts() -> Iterator[Run]:
    """Tokens of a prompt that llama.cpp read in a second."""
    for prompt in (*_prompts_of_compute(), *_prompts_published(), *_prompts_measured()):
        if _reads_prompts_on_gpu(prompt.machine):
            continue
        pace = test_speed.predicted(
            prompt.machine,
            test_speed.SPEC_OF.get(prompt.model, prompt.model),
            prompt.quantization,
            runtime="llama.cpp",
        ).prompt
        if pace is not None:
            yield Run.of(
                "prompt",
                prompt.device,
                f"{prompt.model} {prompt.quantization}",
                prompt.tokens_per_second,
                pace,
                _core_of(prompt.machine),
            )


def _reads_prompts_on_gpu(machine: Machine) -> bool:
    """Whether a GPU reads the prompts: one that is listed, or that of an Apple chip."""
    is_apple = machine.cpu_model is not None and "Apple" in machine.cpu_model
    return bool(machine.accelerators) or is_apple


def _prompt(
    row: Row,
    device: str,
    machine: Machine,
) -> Prompt:
    """The prompt of a row, read on that machine."""
    return Prompt(
        device=device,
        machine=machine,
        model=row["model"],
        quantization=row["quantization"],
        tokens_per_second=row["tokens_per_second"],
    )


def _prompts_of_compute() -> Iterator[Prompt]:
    """The prompts of compute.json."""
    for row in rows(FILE, "prompt"):
        yield _prompt(
            row, row["machine"], recorded_machine(row["machine"], row["threads"])
        )


def _prompts_published() -> Iterator[Prompt]:
    """The prompts of speed.json that others published."""
    for row in test_speed.rows("published"):
        if row["kind"] != "prompt" or row["runtime"] != "llama.cpp":
            continue
        if row["machine"] not in _LEFT_OUT_MACHINES:
            yield _prompt(row, row["machine"], test_speed.published(row["machine"]))


def _prompts_measured() -> Iterator[Prompt]:
    """The prompts of speed.json that were measured on two guests, with llama.cpp's own layout of
    weights.
    """
    for part, device, sets in (
        ("measured", "zen-5-guest", ("avx2", "avx512_bf16", "avx512f", "avx_vnni")),
        ("measured_zen4", "zen-4-guest", ("avx2", "avx512_bf16", "avx512f")),
    ):
        for row in test_speed.rows(part):
            if row.get("kind", "prompt") == "prompt" and row.get("repack", 1):
                machine = test_speed.recorded(row["threads"], instruction_sets=sets)
                prompt = _prompt(row, device, machine)
                yield prompt._replace(model=test_speed.SPEC_OF[row["model"]])


def _job(
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
        peak_flops=cores_rate(machine),
        called="",
    )


def _encoders() -> Iterator[Run]:
    """Half minutes of audio encoded in a second."""
    catalogue = open_catalogue()
    program = catalogue.runtime("whisper.cpp")
    for row in rows(FILE, "encode"):
        machine = recorded_machine(row["machine"], row["threads"])
        architecture = catalogue.spec(row["model"]).architecture
        assert architecture is not None
        assert architecture.audio is not None
        recognizer = Recognizer(
            decoder=architecture, audio=architecture.audio, parameter_bytes=2.0
        )
        taken = recognizer.encoder_seconds(_job(machine, program, "F16"))
        group = "whisper.cpp encoder"
        if row["build"] < _CURRENT_ENCODER:
            group += " of 2022"
        yield Run.of(
            group,
            row["machine"],
            row["model"],
            1 / row["seconds"],
            1 / taken,
            _core_of(machine),
        )


def _passes() -> Iterator[Run]:
    """Passes a second of parts of models that were measured here."""
    for row in rows(FILE, "computed"):
        machine = recorded_machine(row["machine"], row["threads"])
        operations = row["operations_1e9"] * 1e9
        pace = cores_rate(machine) * _share_reached(row, machine) * (1 / operations)
        yield Run.of(
            f"{row['program']}, {row['kind']}, {row['type']}",
            row["machine"],
            f"{row['part']}, {row['threads']} threads",
            1 / row["seconds"],
            pace,
            _core_of(machine),
        )


def _share_reached(row: Row, machine: Machine) -> Range:
    """The share of the cores' peak that the program of a run reaches."""
    if row["program"] == "pytorch":
        return _job(machine, None, row["type"]).share("any")
    assert row["program"] == "ctranslate2", row
    figures = sound_figures()
    sound = figures.wide if processor_of(machine).core.wide else figures.narrow
    return sound.bits_8 if row["type"] == "int8" else sound.bits_32


def _decoder_steps() -> Iterator[Run]:
    """Steps a second of decoders that write one token, of float32, beside the bandwidth that the
    same threads read at.
    """
    for row in rows(FILE, "stepped"):
        machine = recorded_machine(row["machine"], row["threads"]).replace(
            memory_bandwidth_bytes_per_second=int(row["read_gb_per_s"] * 1e9),
            memory_bandwidth_how="measured",
            sources={"memory_bandwidth_bytes_per_second": "beside it"},
        )
        taken = _job(machine, None, "float32").step_seconds(row["parameters"])
        assert taken is not None, row
        yield Run.of(
            "pytorch, a step that writes",
            row["machine"],
            f"{row['model']}, {row['threads']} threads",
            1 / row["seconds"],
            1 / taken,
            _core_of(machine),
        )


def _rate_of_work(row: Row, machine: Machine) -> Range | None:
    """The units of work a second on the machine with enough RAM for any model; None where no pace
    is known.
    """
    workload = Workload(runtime=row["runtime"], quantization=row["quantization"])
    with_ram = machine.replace(
        memory_total_bytes=_ENOUGH_BYTES, memory_limit_bytes=_ENOUGH_BYTES
    )
    work = ask(row["model"], workload, machine=with_ram).work
    return None if work is None else as_rate(work)


def _audio() -> Iterator[Run]:
    """Minutes of audio in a second."""
    for row in rows(FILE, "audio"):
        machine = recorded_machine(row["machine"], row["threads"])
        pace = _rate_of_work(row, machine)
        if pace is not None:
            yield Run.of(
                f"audio, {row['runtime']}",
                row["machine"],
                row["model"],
                1 / row["seconds_per_audio_minute"],
                pace,
                _core_of(machine),
            )


def _pictures() -> Iterator[Run]:
    """Pictures in a second, with the steps that the model's card names."""
    catalogue = open_catalogue()
    for row in rows(FILE, "pictures"):
        machine = recorded_machine(row["machine"])
        denoising = catalogue.spec(row["model"]).denoising
        assert denoising is not None
        pace = _rate_of_work(row, machine)
        if pace is not None:
            yield Run.of(
                f"pictures, {row['runtime']}",
                row["machine"],
                row["model"],
                row["steps"] / denoising.steps / row["seconds"],
                pace,
                _core_of(machine),
            )
