"""The pace at which a GPU reads a prompt.

A prompt is computed in batches, in one of three ways:

- Most programs launch the layers of a batch one after the other, each with a fixed time
  (`_Batch.launched_by_program`).
- Python launches the layers while the GPU computes, so that only the longer time counts
  (`_Batch.launched_from_python`).
- Some GPUs were measured on mixtures as such. There all operations of a mixture take their
  measured rate, and batches do not count (`_mixture_at_its_rate`).

The rates are shares of a GPU's peak, which stand in the rows `share` of `specs/common/pace.toml`.
"""

from __future__ import annotations

from math import hypot

from ...core.records import Record
from ...machine import gpus
from ...machine.record import Accelerator
from ...needs.case import MICRO_BATCH_TOKENS
from .decode_step import Step
from .experts import experts_of_one_text, seen_evenness_of
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest
from .rates import Gpu, share_row
from .tables import ShareRow, pace_tables


def prompt_seconds(
    gpu: Gpu,
    step: Step,
    batch_tokens: int = MICRO_BATCH_TOKENS,
) -> Seconds | None:
    """Return the seconds of one token of a prompt that is read in batches of `batch_tokens`; None
    where nothing tells how fast the GPU computes.
    """
    rates = _rates_of(gpu.device, step)
    if rates is None or _parameters_met(step) <= 0:
        return None
    if rates.mixtures is not None and step.has_experts:
        return _mixture_at_its_rate(step, rates, rates.mixtures)
    batch = _Batch(
        gpu=gpu,
        step=step,
        rates=rates,
        tokens=step.batch_tokens(rates.batch_tokens or batch_tokens),
    )
    if step.launched_layers is not None:
        return batch.launched_from_python(step.launched_layers)
    return batch.launched_by_program()


def _parameters_met(step: Step) -> float:
    """The number of parameters that multiply a token of the prompt; 0 where it is not known."""
    met = step.parameters_met()
    return sum(met.values())


def _mixture_at_its_rate(
    step: Step,
    rates: _Rates,
    rate: Range,
) -> Seconds:
    """The seconds of a token of a mixture whose matrices are computed at `rate`."""
    computing = 2 * _parameters_met(step) / rate
    return computing + _attending(step, rates)


def _attending(step: Step, rates: _Rates) -> Seconds:
    """The seconds in which a token of the prompt attends to the tokens before it."""
    return step.attended() / rates.attention


# ------------------------------------------------------------------ a batch


class _Batch(Record):
    """A batch of so many tokens of a prompt on a GPU."""

    gpu: Gpu
    step: Step
    rates: _Rates
    tokens: int

    def launched_by_program(self) -> Seconds:
        """The seconds of a token, where each layer of the batch takes a fixed time beside its
        computing.
        """
        launching = self.rates.launched_seconds * self.step.layers
        return self._computing().plus_independent(launching / self.tokens)

    def launched_from_python(self, layers: Amount) -> Seconds:
        """The seconds of a token, where Python launches so many layers while the GPU computes."""
        launching = self.gpu.launching_from_python(layers)
        return longest(self._computing(), launching / self.tokens)

    def _computing(self) -> Seconds:
        """The seconds in which the GPU computes a token: its part of the batch's matrices, and
        attention.

        A batch takes the longer of multiplying its matrices and of reading all weights.
        """
        multiplying = 1 / self.rates.matrices * self._operations()
        reading = self.gpu.seconds_to_read(self.step.all_weights_bytes(), self.step)
        of_batch = longest(multiplying, reading)
        of_batch += self.gpu.unpacking_experts(self.step)
        of_token = of_batch / self.tokens
        return of_token.plus_independent(_attending(self.step, self.rates))

    def _operations(self) -> Amount:
        """The matrix operations of the batch, two for each parameter that a token meets.

        The matrices of an expert are computed in tiles: few tokens take as long as a whole tile,
        and many take as long as they are, with a smooth change between. They reach `expert_share`
        of the rate of other matrices. Experts that no token of the batch uses take no time.
        """
        parameters = _parameters_met(self.step)
        experts = self.step.experts
        if not self.step.has_experts:
            return Amount.of(2 * parameters * self.tokens)
        others = max(0.0, parameters - experts.used) * self.tokens
        # were all experts used, each had so many tokens
        tokens_of_expert = self.tokens * experts.chosen_share
        operations = []
        for used, tile_tokens, share_of_rate in zip(
            self._share_of_experts_used(),
            self.rates.expert_tile_tokens,
            self.rates.expert_share,
            strict=True,
        ):
            tokens = hypot(tokens_of_expert / used, tile_tokens)
            of_experts = used * experts.all * tokens / share_of_rate
            operations.append(2 * (others + of_experts))
        return Amount(*operations)

    def _share_of_experts_used(self) -> Amount:
        """The share of the experts that the batch uses: all, unless models of the architecture were
        seen to leave some out.
        """
        evenness = seen_evenness_of(self.step)
        if evenness is None:
            return Amount.of(1)
        return experts_of_one_text(self.step, self.tokens, evenness)


# ------------------------------------------------------------------ the rates of a GPU


class _Rates(Record):
    """The operations per second that a GPU computes of a prompt, for matrices and for attention.

    - `mixtures`: the rate for all matrices of a mixture, where it was measured as such. None: the
      tokens of each expert are counted in tiles of `expert_tile_tokens`, at the share
      `expert_share` of the rate of matrices.
    - `batch_tokens`: the tokens that the program computes at once; None: as its options say.
    - `launched_seconds`: the fixed time of a layer in each batch.
    """

    matrices: Range
    attention: Range
    expert_share: Range
    expert_tile_tokens: Amount
    batch_tokens: int | None
    mixtures: Range | None
    launched_seconds: Seconds


def _rates_of(device: Accelerator, step: Step) -> _Rates | None:
    """The rates at which the step's runtime computes a prompt on the device; None where nothing
    tells them.
    """
    row = share_row(device, "prompt", step.program_of_rows, step.backend_on(device))
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    packed = _rate_of_packed(device, row, peak)
    if packed is None:
        return None
    matrices = packed
    if peak is not None and row.plain is not None and not step.packed_bytes:
        matrices = row.plain * peak
    if step.is_in_fp8:
        matrices *= row.in_fp8
    if step.is_in_fp4:
        matrices *= row.in_fp4
    mixtures: Range | None = None
    if peak is not None and row.experts is not None:
        mixtures = row.experts * peak
    tables = pace_tables()
    attended = row.attended
    if attended is None:
        attended = tables.batch.attended_on_gpu
    expert_tile_tokens = row.expert_tile_tokens
    if expert_tile_tokens is None:
        expert_tile_tokens = tables.prompt.expert_tile_tokens
    return _Rates(
        matrices=matrices,
        attention=packed * attended,
        expert_share=row.expert_share,
        expert_tile_tokens=expert_tile_tokens,
        batch_tokens=row.batch_tokens,
        mixtures=mixtures,
        launched_seconds=_launched_seconds(row),
    )


def _rate_of_packed(
    device: Accelerator,
    row: ShareRow,
    peak: float | None,
) -> Range | None:
    """The operations per second on packed weights.

    The rate follows from the cycles of the GPU's multiprocessors, else from prompts measured on
    such GPUs in llama.cpp, else from the GPU's peak. None where nothing tells it.
    """
    cycles = gpus.cycles_per_second(device.name)
    if row.per_cycle is not None and cycles is not None:
        return row.per_cycle * cycles
    measured_tflops = gpus.facts_of(device.name).prompt_tflops
    if measured_tflops is not None and row.program is None:
        measured = measured_tflops * 1e12
        return pace_tables().general.measured_prompt * measured
    if peak is None:
        return None
    return row.share * peak


def _launched_seconds(row: ShareRow) -> Seconds:
    """The seconds to launch each layer of a batch, where the row's `share` does not include
    them.
    """
    if row.launched_seconds is not None:
        return row.launched_seconds
    if row.program is not None:
        return NO_SECONDS
    return pace_tables().prompt.launched_seconds
