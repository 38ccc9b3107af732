"""What of a model a run left in RAM beside its GPUs: its pace is held against one for that layout,
where one can be predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import Record
from ...judge.pace.speed import shares_of
from ...judge.placement.experts import layers_with_experts, share_beside_experts
from ...judge.record import Verdict
from ...needs.tensors import row_of
from .run import Run, SeenMemory

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_WHOLE_LAYERS, _EXPERTS = "with -ngl 999", "without --n-cpu-moe, --cpu-moe and -ot"
# by how much of what is predicted on the accelerators the weights there may differ: rounding, and
# tables that a program keeps beside (assumed)
_UNLIKE_SHARE = 0.1


class Layout(Record):
    """`words` say what lay in RAM. `share` of the weights lay on the only accelerator, and the rest
    were experts where `experts_apart`, else whole layers; None where no pace can be predicted for
    it, `why`. `is_unlike`: the memory on each side is predicted otherwise, but of a run `with_them`
    there (its options).
    """

    words: str
    with_them: str
    share: float | None
    experts_apart: bool
    is_unlike: bool
    why: str = ""

    @property
    def reason(self) -> str:
        """Why a figure of the run is not compared, as a clause."""
        why = self.why or "they are predicted on the GPU"
        return f"the run had {self.words} in RAM, and {why}: compare a run {self.with_them}"

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
    needs, spec = verdict.needs, verdict.model
    if needs is None or run.on_processor or spec.architecture is None:
        return None
    layers = spec.architecture.layers
    on_card = run.gpu_layers
    has_layers = on_card is not None and 0 <= on_card < layers
    experts = _layers_asked(run, spec)
    if has_layers and experts:
        words = f"{layers - (on_card or 0)} layers and experts of others"
        return _unpaced(words, _WHOLE_LAYERS, "which weights those are is not told")
    if has_layers:
        assert on_card is not None
        words = f"{layers - on_card} of {layers} layers"
        # the output matrix is one more
        share = on_card / (layers + 1) if on_card else None
        return _paced(verdict, words, share, experts_apart=False)
    if experts:
        row = row_of(spec.architecture, rows)
        matrices = 0 if row is None else row.expert_matrices
        share = share_beside_experts(spec, matrices, experts)
        words = f"the experts of {experts} of {layers} layers"
        return _paced(verdict, words, share, experts_apart=True)
    return _as_logged(run, verdict, [each for each in seen if each.term == "weights"])


def experts_in_ram(run: Run, spec: ModelSpec) -> int | None:
    """Of how many layers the experts lay in RAM, as the run was asked; None where it does not
    tell.
    """
    return _layers_asked(run, spec) or None


def _layers_asked(run: Run, spec: ModelSpec) -> int:
    """Of the first layers that were named those that have experts."""
    if not run.experts_in_ram and not run.all_experts_in_ram:
        return 0
    with_experts = layers_with_experts(spec.architecture)
    if run.all_experts_in_ram:
        return len(with_experts)
    return sum(number < (run.experts_in_ram or 0) for number in with_experts)


def _paced(verdict: Verdict, words: str, share: float | None, *, experts_apart: bool) -> Layout:
    """With a pace where one accelerator with memory of its own holds the rest."""
    with_them = _EXPERTS if experts_apart else _WHOLE_LAYERS
    predicted = {} if verdict.needs is None else shares_of(verdict.needs)
    if not predicted:
        return _unpaced(words, with_them, "a GPU that shares it is predicted to compute all")
    if list(predicted) != [0]:
        why = "how it shared the rest out to several GPUs is not told"
        return _unpaced(words, with_them, why)
    if share is None:
        return _unpaced(words, with_them, "a GPU is predicted to compute them")
    return Layout(
        words=words,
        with_them=with_them,
        share=share,
        experts_apart=experts_apart,
        is_unlike=abs(share / predicted[0] - 1) > _UNLIKE_SHARE,
    )


def _unpaced(words: str, with_them: str, why: str) -> Layout:
    return Layout(
        words=words, with_them=with_them, share=None, experts_apart=False, is_unlike=True, why=why
    )


def _as_logged(run: Run, verdict: Verdict, weights: Sequence[SeenMemory]) -> Layout | None:
    """By the buffers of weights that a log tells, where less of them lies on GPUs than is predicted
    there; tables of words lie in RAM in any case. Of a mixture of which every layer was to lie on
    the GPU, experts are what does not.
    """
    terms = verdict.needs.memory.terms if verdict.needs and verdict.needs.memory else ()
    predicted = sum(
        term.low_bytes for term in terms if term.name == "weights" and term.where != "host"
    )
    on_card = sum(each.bytes for each in weights if each.where != "host")
    is_told = len(weights) > 1
    if not on_card or not is_told or predicted - on_card <= _UNLIKE_SHARE * predicted:
        return None
    spec = verdict.model
    layers = spec.architecture.layers if spec.architecture is not None else 0
    is_apart = (run.gpu_layers or 0) >= layers and bool(layers_with_experts(spec.architecture))
    held = units.binary(predicted - on_card)
    all_shares = 0.0 if verdict.needs is None else sum(shares_of(verdict.needs).values())
    words = f"{held} of its {'experts' if is_apart else 'layers'}"
    return _paced(verdict, words, all_shares * on_card / predicted, experts_apart=is_apart)
