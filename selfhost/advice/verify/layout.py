"""What of a model a run left in RAM beside its GPUs, and the pace that is predicted for it: of a
run with another layout than was judged, for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ... import needs as need
from ...catalogue.spec import ModelSpec, RuntimeSpec
from ...core import units
from ...core.records import Record
from ...judge.pace.engine import WITH_A_GATE
from ...judge.pace.pacing import laid_out, predict
from ...judge.pace.speed import Speed, shares_of
from ...judge.placement.experts import layers_with_experts, share_beside_experts
from ...judge.record import Verdict
from ...needs.tensors import row_of
from .run import Run, SeenMemory

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# by how much of what is predicted on the accelerators the weights there may differ: rounding, and
# tables that a program keeps beside (assumed)
_UNLIKE_SHARE = 0.1
_NOT_TOLD = "which weights those are is not told"
_SHARES_RAM = "a GPU that shares it is predicted to compute all"
_SEVERAL = "how it shared the rest out to several GPUs is not told"
_ON_GPU = "they are predicted on the GPU"


class Layout(Record):
    """`words` say what lay in RAM. `share` of the weights lay on the only accelerator, and the rest
    were experts where `experts_apart`, else whole layers; None where no pace can be predicted for
    it, `why`. `is_unlike`: the memory on each side is predicted otherwise.
    """

    words: str
    share: float | None = None
    experts_apart: bool = False
    is_unlike: bool = True
    why: str = _ON_GPU

    @property
    def reason(self) -> str:
        """Why a figure of the run is not compared, as a clause."""
        options = (
            "without --n-cpu-moe, --cpu-moe and -ot" if self.experts_apart else "with -ngl 999"
        )
        return f"the run had {self.words} in RAM, and {self.why}: compare a run {options}"

    @property
    def note(self) -> str | None:
        """What the pace is predicted for; None where none is."""
        if self.share is None:
            return None
        return f"The pace is predicted with {self.words} in RAM, as the run had them."


def layout_of(
    run: Run, verdict: Verdict, rows: Mapping[str, Any], seen: Sequence[SeenMemory]
) -> Layout | None:
    """That of a run which tells it; None where all lay on a GPU, or none, as far as it tells.
    `rows`: those of `common/architectures.toml`; `seen`: the run's memory, in the places where it
    is predicted.
    """
    architecture, on_card = verdict.model.architecture, run.gpu_layers
    if verdict.needs is None or run.on_processor or architecture is None:
        return None
    layers, experts = architecture.layers, experts_in_ram(run, verdict.model)
    if on_card is not None and 0 <= on_card < layers:
        if experts:
            return Layout(words=f"{layers - on_card} layers and experts of others", why=_NOT_TOLD)
        # the output matrix is one more
        share = on_card / (layers + 1) if on_card else None
        return _paced(verdict, Layout(words=f"{layers - on_card} of {layers} layers", share=share))
    if experts:
        row = row_of(architecture, rows)
        matrices = 0 if row is None else row.expert_matrices
        share = share_beside_experts(verdict.model, matrices, experts)
        words = f"the experts of {experts} of {layers} layers"
        return _paced(verdict, Layout(words=words, share=share, experts_apart=True))
    return _as_logged(run, verdict, [each for each in seen if each.term == "weights"])


def experts_in_ram(run: Run, spec: ModelSpec) -> int | None:
    """Of how many layers the experts lay in RAM: of the first layers that were named, those that
    have experts; None where the run does not tell.
    """
    if not run.experts_in_ram and not run.all_experts_in_ram:
        return None
    with_experts = layers_with_experts(spec.architecture)
    if run.all_experts_in_ram:
        return len(with_experts) or None
    return sum(number < (run.experts_in_ram or 0) for number in with_experts) or None


def _paced(verdict: Verdict, layout: Layout) -> Layout:
    """The layout without its share where one accelerator with memory of its own does not hold the
    rest.
    """
    predicted = {} if verdict.needs is None else shares_of(verdict.needs)
    if list(predicted) != [0]:
        return layout.replace(share=None, why=_SEVERAL if predicted else _SHARES_RAM)
    if layout.share is None:
        return layout
    return layout.replace(is_unlike=abs(layout.share / predicted[0] - 1) > _UNLIKE_SHARE)


def _as_logged(run: Run, verdict: Verdict, weights: Sequence[SeenMemory]) -> Layout | None:
    """By the buffers of weights that a log tells, where less of them lies on GPUs than is predicted
    there; tables of words lie in RAM in any case. Of a mixture of which every layer was to lie on
    the GPU, experts are what does not.
    """
    needs, architecture = verdict.needs, verdict.model.architecture
    if needs is None or needs.memory is None or architecture is None:
        return None
    on_cards = [term for term in needs.memory.terms if term.where != "host"]
    predicted = sum(term.low_bytes for term in on_cards if term.name == "weights")
    on_card = sum(each.bytes for each in weights if each.where != "host")
    if not on_card or len(weights) < 2 or predicted - on_card <= _UNLIKE_SHARE * predicted:
        return None
    is_whole = (run.gpu_layers or 0) >= architecture.layers
    is_apart = is_whole and bool(layers_with_experts(architecture))
    words = f"{units.binary(predicted - on_card)} of its {'experts' if is_apart else 'layers'}"
    share = sum(shares_of(needs).values()) * on_card / predicted
    return _paced(verdict, Layout(words=words, share=share, experts_apart=is_apart))


def speed_at(
    verdict: Verdict,
    runtime: RuntimeSpec | None,
    rows: Mapping[str, Any],
    layout: Layout | None = None,
) -> Callable[[int | None], Speed | None]:
    """Tokens in the context -> the pace, laid out as judged, or so; None stands for a short chat.
    The function gives None where a pace makes no sense or the needs are not known.

    `rows`: those of `common/architectures.toml`.
    """
    needs, workload, spec = verdict.needs, verdict.workload, verdict.model
    if needs is None or runtime is None or verdict.speed is None or verdict.speed.decode is None:
        return lambda _depth_tokens: None
    architecture = spec.architecture
    row = row_of(architecture, rows) if architecture is not None else None
    read_bytes = need.decode_bytes_by_type(
        spec, runtime, workload.format or "", workload.quantization or "", rows
    )
    way = laid_out(needs, verdict.machine, runtime, architecture, workload)
    if layout is not None and layout.share is not None:
        terms = needs.memory.terms if needs.memory is not None else ()
        weights = sum(term.bytes for term in terms if term.name == "weights")
        way = way.replace(
            offloaded={0: layout.share},
            in_ram_bytes=(int(weights * (1 - layout.share)), 0.0),
            experts_apart=layout.experts_apart,
            filled=0.0,
        )
    matrices = WITH_A_GATE if row is None else row.expert_matrices
    return lambda depth_tokens: predict(
        verdict.machine,
        architecture,
        read_bytes,
        way,
        expert_matrices=matrices,
        depth_tokens=depth_tokens,
        runtime=runtime,
    )
