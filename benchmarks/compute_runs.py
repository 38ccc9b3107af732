"""Runs that are bound by compute on a processor, beside the ranges that are predicted for them: prompts, speech, pictures.

The runs are those of tests/truth/compute.json and the prompts on processors of tests/truth/speed.json. `speed_residuals.py` prints them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from residuals import Run, ask, print_line

import test_speed as earlier
from selfhost import Machine, Workload
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.judge.pace.job import Job
from selfhost.judge.pace.media import Recognizer, sound_figures
from selfhost.judge.pace.processor import cores_rate, processor_of
from selfhost.judge.pace.ranges import Seconds
from selfhost.needs.records import Needs

PUBLIC = Path(__file__).parents[1] / "tests" / "truth" / "compute.json"
# fewer do not tell how far they lie apart
_LEAST_LEFT_OUT = 4
# since then whisper.cpp has the products that it has now
_CURRENT_ENCODER = "2023"
# of speed.json: its build is older than the layout of Q4_K for processors with the dot product
# (ggml-org/llama.cpp#17494); and a run on two threads, which stands in compute.json
_ELSEWHERE = ("radxa-dragon-Q6A", "i3-1315U")


def all_runs() -> list[Run]:
    """Every run, by kind of work."""
    return [
        *_prompts(),
        *_encodes(),
        *_audio(),
        *_pictures(),
        *_computed(),
        *_stepped(),
    ]


def print_tables(*, with_devices: bool) -> None:
    """One line a kind of work and core; then each kind with every device left out in turn.

    Left out: the range is moved by the median of the other devices with such a core, of three or
    more, else of all others; the device counts as inside where half of its runs are.
    """
    runs = all_runs()
    print(
        f"\ncompute.json and prompts of speed.json: {len(runs)} runs bound by compute"
    )
    print(f"{'':47} {'core':8} runs devices  error  inside  high/low  seen/likely")
    for work in dict.fromkeys(run.group for run in runs):
        of_work = [run for run in runs if run.group == work]
        for core in sorted({run.core for run in of_work}):
            of_core = [run for run in of_work if run.core == core]
            print_line(work, of_core, core)
            for device in (
                sorted({run.device for run in of_core}) if with_devices else ()
            ):
                print_line(
                    "  " + device, [run for run in of_core if run.device == device], ""
                )
        print_line(work, of_work, "all")
    print(
        "\neach device left out: the others of its core, else of that work, move the range"
    )
    print(f"{'':34} devices  error  inside  high/low")
    for work in dict.fromkeys(run.group for run in runs):
        _left_out(work, [run for run in runs if run.group == work])


def _left_out(work: str, runs: list[Run]) -> None:
    devices = list(dict.fromkeys(run.device for run in runs))
    if len(devices) < _LEAST_LEFT_OUT:
        print(f"{work[:34]:34} {len(devices):7}  too few to leave one out")
        return
    errors, inside, widths = [], 0, []
    for device in devices:
        own = [run for run in runs if run.device == device]
        others = [run for run in runs if run.device != device]
        alike = [run for run in others if run.core == own[0].core]
        enough = len({run.device for run in alike}) + 1 >= _LEAST_LEFT_OUT
        moved = exp(_middle(alike if enough else others))
        errors.append(median(abs(run.likely * moved / run.seen - 1) for run in own))
        held = sum(run.low * moved <= run.seen <= run.high * moved for run in own)
        inside += 2 * held >= len(own)
        widths.append(median(run.high / run.low for run in own))
    print(
        f"{work[:34]:34} {len(devices):7}  {median(errors):5.0%}"
        f"  {inside / len(devices):6.0%}  {median(widths):8.2f}"
    )


def _middle(runs: list[Run]) -> float:
    """The median of the devices' medians of what was seen beside the likely figure, as logarithm."""
    return median(
        median(log(run.seen / run.likely) for run in runs if run.device == device)
        for device in dict.fromkeys(run.device for run in runs)
    )


def truth() -> Any:
    return json.loads(PUBLIC.read_text(encoding="utf-8"))


def rows(part: str) -> list[dict[str, Any]]:
    document = truth()
    return [
        dict(zip(document[f"{part}_columns"], row, strict=True))
        for row in document[part]
    ]


def machine_of(name: str, threads: float | None = None) -> Machine:
    """The machine of a run, of which so many cores worked."""
    facts = dict(truth()["machines"][name])
    facts["instruction_sets"] = tuple(facts["instruction_sets"])
    if threads is not None:
        facts["cpu_cores_usable"] = float(threads)
        facts["cpu_cores_physical"] = int(threads)
    return Machine(**facts)


def _core_of(machine: Machine) -> str:
    return processor_of(machine).core.name


def _prompts() -> Iterator[Run]:
    asked: list[tuple[str, Machine, str, str, float]] = [
        (
            row["machine"],
            machine_of(row["machine"], row["threads"]),
            row["model"],
            row["quantization"],
            row["tokens_per_second"],
        )
        for row in rows("prompt")
    ]
    asked += [
        (
            row["machine"],
            earlier.published(row["machine"]),
            row["model"],
            row["quantization"],
            row["tokens_per_second"],
        )
        for row in earlier.rows("published")
        if row["kind"] == "prompt"
        and row["runtime"] == "llama.cpp"
        and row["machine"] not in _ELSEWHERE
    ]
    for part, device, sets in (
        ("measured", "zen-5-guest", ("avx2", "avx512_bf16", "avx512f", "avx_vnni")),
        ("measured_zen4", "zen-4-guest", ("avx2", "avx512_bf16", "avx512f")),
    ):
        asked += [
            (
                device,
                earlier.recorded(row["threads"], instruction_sets=sets),
                earlier.SPEC_OF[row["model"]],
                row["quantization"],
                row["tokens_per_second"],
            )
            for row in earlier.rows(part)
            if row.get("kind", "prompt") == "prompt" and row.get("repack", 1)
        ]
    for device, machine, model, quantization, seen in asked:
        if machine.accelerators or (
            machine.cpu_model is not None and "Apple" in machine.cpu_model
        ):
            continue
        pace = earlier.predicted(
            machine,
            earlier.SPEC_OF.get(model, model),
            quantization,
            runtime="llama.cpp",
        ).prompt
        if pace is not None:
            yield Run(
                "prompt", device, f"{model} {quantization}",
                seen, pace.low, pace.likely, pace.high, _core_of(machine),
            )  # fmt: skip


def _job(
    machine: Machine,
    program: RuntimeSpec | None,
    type: str,
) -> Job:
    return Job(
        machine=machine, spec=ModelSpec(id="any", name="any"), placed=Needs(), runtime=program,
        quantization=type, peak_flops=cores_rate(machine), called="",
    )  # fmt: skip


def _encodes() -> Iterator[Run]:
    """Half minutes of audio encoded in a second."""
    shelf = open_catalogue()
    program = shelf.runtime("whisper.cpp")
    for row in rows("encode"):
        machine = machine_of(row["machine"], row["threads"])
        architecture = shelf.spec(row["model"]).architecture
        assert architecture is not None
        assert architecture.audio is not None
        recognizer = Recognizer(
            decoder=architecture, audio=architecture.audio, parameter_bytes=2.0
        )
        rate = 1 / recognizer.encoder_seconds(_job(machine, program, "F16"))
        when = "" if row["build"] >= _CURRENT_ENCODER else " of 2022"
        yield Run(
            f"whisper.cpp encoder{when}", row["machine"], row["model"],
            1 / row["seconds"], rate[0], rate[1], rate[2],
            _core_of(machine),
        )  # fmt: skip


def _computed() -> Iterator[Run]:
    """Passes a second of parts of models that were measured here."""
    for row in rows("computed"):
        machine = machine_of(row["machine"], row["threads"])
        figures = sound_figures()
        sound = figures.wide if processor_of(machine).core.wide else figures.narrow
        by_program = {
            "pytorch": _job(machine, None, row["type"]).share("any"),
            "ctranslate2": sound.bits_8 if row["type"] == "int8" else sound.bits_32,
        }
        rate = (
            cores_rate(machine)
            * by_program[row["program"]]
            * (1 / (row["operations_1e9"] * 1e9))
        )
        yield Run(
            f"{row['program']}, {row['kind']}, {row['type']}", row["machine"],
            f"{row['part']}, {row['threads']} threads", 1 / row["seconds"], rate[0], rate[1], rate[2],
            _core_of(machine),
        )  # fmt: skip


def _stepped() -> Iterator[Run]:
    """Steps a second of decoders that write one token, of float32, beside the bandwidth that the
    same threads read at."""
    for row in rows("stepped"):
        machine = machine_of(row["machine"], row["threads"]).replace(
            memory_bandwidth_bytes_per_second=int(row["read_gb_per_s"] * 1e9),
            memory_bandwidth_how="measured",
            sources={"memory_bandwidth_bytes_per_second": "beside it"},
        )
        step = _job(machine, None, "float32").step_seconds(row["parameters"])
        assert step is not None
        yield Run(
            "pytorch, a step that writes", row["machine"], f"{row['model']}, {row['threads']} threads",
            1 / row["seconds"], *(1 / step), _core_of(machine),
        )  # fmt: skip


def _work(
    machine: Machine,
    model: str,
    workload: Workload,
) -> tuple[float, float, float] | None:
    speed = ask(model, workload, machine=machine).speed
    work = speed.work if speed is not None else None
    return None if work is None else 1 / Seconds(work.high, work.likely, work.low)


def _with_memory(machine: Machine) -> Machine:
    """With 64 GiB, so that it holds whatever is asked."""
    size = 64 << 30
    return machine.replace(memory_total_bytes=size, memory_limit_bytes=size)


def _audio() -> Iterator[Run]:
    """Minutes of audio in a second."""
    for row in rows("audio"):
        machine = _with_memory(machine_of(row["machine"], row["threads"]))
        asked = Workload(runtime=row["runtime"], quantization=row["quantization"])
        rate = _work(machine, row["model"], asked)
        if rate is not None:
            yield Run(
                f"audio, {row['runtime']}", row["machine"], row["model"],
                1 / row["seconds_per_audio_minute"], *rate, _core_of(machine),
            )  # fmt: skip


def _pictures() -> Iterator[Run]:
    """Pictures in a second, with the steps that the model's card names."""
    shelf = open_catalogue()
    for row in rows("pictures"):
        machine = _with_memory(machine_of(row["machine"]))
        denoising = shelf.spec(row["model"]).denoising
        assert denoising is not None
        asked = Workload(runtime=row["runtime"], quantization=row["quantization"])
        rate = _work(machine, row["model"], asked)
        if rate is not None:
            yield Run(
                f"pictures, {row['runtime']}", row["machine"], row["model"],
                row["steps"] / denoising.steps / row["seconds"], *rate, _core_of(machine),
            )  # fmt: skip
