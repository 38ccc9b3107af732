"""The devices that compute work other than text generation, and their rates.

A `Job` is a model on the devices that compute it, with their operations per second. Each pace of
`work` and `media` is a number of operations divided by a share of these rates; the shares stand in
`specs/common/pace.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import Record
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs
from ..devices import computes_on_shared, may_compute_on
from .cores import Cores, cores_of
from .decode_step import MEASURED_PROGRAM, Step
from .figures import ByVectors, Figures
from .processor import cores_rate, processor_of, threads_range
from .ranges import Amount, Range, Seconds
from .rates import (
    Gpu,
    computer_around,
    gpu_of,
    is_timed,
    layer_from_python,
    share_row,
    shared_gpu_of,
)
from .tables import TypeRow, pace_tables

_LEAST_WITH_BFLOAT16 = "8.0"
_BFLOAT16_SETS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))


class WorkFigures(Figures):
    """Factors of work that is not counted in generated tokens."""

    in_pytorch: Range
    in_bfloat16: Mapping[str, Range]
    rows: Range
    blocks: Range
    longer: Mapping[str, Amount]
    step_on_card: Amount
    step_on_cores: Amount


@cache
def work_figures() -> WorkFigures:
    """The factors of other work. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("work", WorkFigures)


class Job(Record):
    """A model that does work other than text, on the devices that compute it, in a runtime and a
    type.

    - `device`: one of the `number` GPUs that compute the model; None where the processor computes
      it.
    - `operations_per_second`: of GPUs the peak of all in 16 bits, of a processor the rate of its
      cores on prompts.
    - `called`: the names of the computing devices.
    """

    machine: Machine
    spec: ModelSpec
    placed: Needs
    runtime: RuntimeSpec | None
    quantization: str = ""
    operations_per_second: Range
    device: Accelerator | None = None
    number: int = 1
    called: str

    @property
    def layers(self) -> int:
        """The number of the model's layers; 0 where they are not known."""
        return 0 if self.spec.architecture is None else self.spec.architecture.layers

    @property
    def multiplies_rows(self) -> bool:
        """Whether the runtime multiplies matrices row by row."""
        return self.runtime is not None and self.runtime.pace.multiplies_rows

    @property
    def is_ggml(self) -> bool:
        """Whether the runtime computes with the code of the runtime that was measured."""
        return self.runtime is not None and self.runtime.library == MEASURED_PROGRAM

    @property
    def trainer_layers(self) -> int | None:
        """The number of layers that the runtime's own trainer trains by default; None for all
        layers, as runtimes in Python train.
        """
        return None if self.runtime is None else self.runtime.finetuning.trainer_layers

    def seconds(self, operations: float, share: Range) -> Seconds:
        """The seconds that `operations` operations take, where the work reaches `share` of
        `operations_per_second`.
        """
        return operations / (self.operations_per_second * share)

    @property
    def launched_layer(self) -> Seconds:
        """The seconds in which Python launches one layer on the device."""
        assert self.device is not None, "only GPUs are launched"
        return layer_from_python(self.device, computer_around(self.machine))

    def seconds_of_step(self, step: Step) -> Seconds | None:
        """The seconds of a step of decoding in llama.cpp on the device; None where no bandwidth is
        known.
        """
        reader: Cores | Gpu | None
        if self.device is None:
            reader = cores_of(self.machine)
        elif self.device.unified:
            reader = shared_gpu_of(self.machine)
        else:
            reader = gpu_of(self.device, computer_around(self.machine))
        if reader is None:
            return None
        return reader.seconds(step).ordered()

    def seconds_to_read(self, parameters: int) -> Seconds | None:
        """The seconds of a step that reads `parameters` parameters, in 16 bits on a GPU and in 32
        bits on a processor; None where no bandwidth is known.
        """
        figures = work_figures()
        if self.device is None:
            read_bytes = {"F32": 4 * parameters}
            longer = figures.step_on_cores
        else:
            read_bytes = {"BF16": 2 * parameters}
            longer = figures.step_on_card
        step = Step(architecture=None, read_bytes=read_bytes)
        token = self.seconds_of_step(step)
        return None if token is None else token * longer

    def share(self, work: str) -> Range:
        """The share of `operations_per_second` that a kind of work reaches.

        On a GPU the share is that of the GPU's row, on a processor that of the runtime and the type
        of the weights.
        """
        if self.device is not None:
            return share_row(self.device, work).share
        figures = work_figures()
        is_wide = processor_of(self.machine).core.wide
        if self.multiplies_rows:
            rows = _figure_of_type(self.quantization, lambda row: row.rows)
            return figures.rows * rows.on(is_wide=is_wide)
        if self.is_ggml:
            prompt = _figure_of_type(self.quantization, lambda row: row.prompt)
            return figures.blocks * prompt.on(is_wide=is_wide)
        return self._share_in_pytorch()

    def _share_in_pytorch(self) -> Range:
        """The share of the processor's rate on prompts that PyTorch reaches in the type."""
        figures = work_figures()
        float32 = processor_of(self.machine).core.float32
        share = figures.in_pytorch * float32
        if self.quantization == "bfloat16":
            sets = self.machine.instruction_sets or ()
            for name, gain in figures.in_bfloat16.items():
                if name in sets:
                    return share * gain
        return share

    def basis(self, work: str) -> str:
        """The clause that says what the share of a GPU's peak rests on; "" on a processor."""
        if self.device is None:
            return ""
        row = share_row(self.device, work)
        ends = f"{100 * row.share.low:g} to {100 * row.share.high:g} %"
        return f"; such work is counted at {ends} of its peak, {row.basis}"

    def is_timed(self, work: str) -> bool:
        """Whether enough runs of that kind of work were found on a GPU like the job's; False for a
        CPU.
        """
        return self.device is not None and is_timed(self.device, work)

    @property
    def device_words(self) -> str:
        """The words for the kind of device that computes the model."""
        return "a CPU" if self.device is None else f"a GPU like {self.device.name}"

    def longer_by_type(self, quantization: str) -> Amount:
        """The factor by which work in the type takes longer than in 16 bits that the hardware
        computes with.
        """
        longer = work_figures().longer
        usual = Amount.of(1)
        if quantization == "bfloat16" and self._lacks_bfloat16():
            return longer["without_bfloat16"]
        if self.device is None:
            return usual
        return longer.get(quantization, usual)

    def _lacks_bfloat16(self) -> bool:
        if self.device is None:
            return _BFLOAT16_SETS.isdisjoint(self.machine.instruction_sets or ())
        capability = gpus.capability_of(self.device)
        return gpus.reaches_capability(capability, _LEAST_WITH_BFLOAT16) is False


def _figure_of_type(
    quantization: str, figure_of: Callable[[TypeRow], ByVectors | None]
) -> ByVectors:
    """The figure of the first type that has one and whose name begins the quantization's name, else
    the figure of F16.
    """
    types = pace_tables().types
    for name, row in types.items():
        figure = figure_of(row)
        if figure is not None and quantization.startswith(name):
            return figure
    usual = figure_of(types["F16"])
    assert usual is not None, "F16 states each figure"
    return usual


def job_of(
    machine: Machine,
    spec: ModelSpec,
    placed: Needs,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Job | None:
    """Return the job of a model in the given layout; None where nothing tells how fast the
    computing device is.
    """
    devices = _devices_of(machine, placed, runtime, quantization)
    if devices:
        computing = _gpus_computing(machine, devices)
    else:
        computing = _cores_computing(machine, runtime)
    if computing is None:
        return None
    return Job(
        machine=machine,
        spec=spec,
        placed=placed,
        runtime=runtime,
        quantization=quantization,
        operations_per_second=computing.operations_per_second,
        device=devices[-1] if devices else None,
        number=max(1, len(devices)),
        called=computing.called,
    )


class _Computing(Record):
    """The computing devices: their operations per second, and their name."""

    operations_per_second: Range
    called: str


def _gpus_computing(
    machine: Machine, devices: Iterable[Accelerator]
) -> _Computing | None:
    names = []
    peaks = []
    for device in devices:
        peak = gpus.peak_flops(device.name, gpus.capability_of(device))
        if peak is None and device.vendor.lower() == "apple":
            # an Apple GPU is known by the chip that contains it
            peak = gpus.peak_flops(machine.cpu_model or "", None)
        if peak is None:
            return None
        names.append(f"{device.name} ({peak / 1e12:.3g} TFLOPS at most)")
        peaks.append(peak)
    called = " and ".join(dict.fromkeys(names))
    return _Computing(operations_per_second=Range.of(sum(peaks)), called=called)


def _cores_computing(
    machine: Machine, runtime: RuntimeSpec | None
) -> _Computing | None:
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    rate = cores_rate(machine, runtime)
    cores = units.cores(threads_range(machine, runtime).likely)
    return _Computing(
        operations_per_second=rate,
        called=f"{cores} of the processor (about {rate.likely / 1e12:.3g} TFLOPS)",
    )


def _devices_of(
    machine: Machine,
    placed: Needs,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> list[Accelerator]:
    """The GPUs on which the model lies, else a GPU that shares the RAM and on which the runtime
    computes in the type.

    Where no runtime is known, the GPU is one on which any runtime computes.
    """
    places = {term.where for term in placed.terms}
    holding = []
    for number, card in enumerate(machine.cards):
        if f"accelerator:{number}" in places:
            holding.append(card)
    if holding or placed.placement != "host" or processor_of(machine).is_guest:
        return holding
    for card in machine.cards:
        if card.unified and _computes_work(card, runtime, quantization):
            return [card]
    return []


def _computes_work(
    device: Accelerator,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> bool:
    """Whether the runtime uses a GPU that shares the RAM for weights of the type."""
    vendor = device.vendor.lower()
    is_used_by_any = vendor in pace_tables().shared_gpu.any_program
    if runtime is None:
        return is_used_by_any
    if runtime.gpus.unused or not may_compute_on(runtime, device):
        return False
    rule = runtime.rule_of(quantization)
    if rule is not None and rule.vendors and vendor not in rule.vendors:
        return False
    return is_used_by_any or computes_on_shared(runtime, device)
