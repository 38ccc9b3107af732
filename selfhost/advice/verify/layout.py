"""How a run laid its model out over one GPU and the RAM, where that is otherwise than is predicted:
its pace is held against one for that layout.
"""

from __future__ import annotations

from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import Record
from ...verdict.experts import share_beside_experts
from ...verdict.record import Verdict
from ...verdict.speed import shares_of
from .run import Run

# of the weights, what a log's own tables on the host may be: no layers left there
_NEARLY_ALL = 0.9


class Layout(Record):
    """`share` of the weights lies on the first accelerator, the rest in RAM: experts alone where
    `experts_apart`, else whole layers. `words` say so of the run.
    """

    share: float
    experts_apart: bool
    words: str

    @property
    def note(self) -> str:
        return f"The pace is predicted with {self.words} in RAM, as the run had them."


def layout_of(run: Run, verdict: Verdict) -> Layout | None:
    """That of a run which tells it; None where all lay on a GPU or none, as far as it tells, or
    where another number of GPUs is predicted.
    """
    needs, spec = verdict.needs, verdict.model
    if needs is None or run.on_processor or list(shares_of(needs)) != [0]:
        return None
    return _as_asked(run, spec) or _as_logged(run, spec)


def _as_asked(run: Run, spec: ModelSpec) -> Layout | None:
    layers = spec.architecture.layers if spec.architecture is not None else 0
    on_card, asked = run.gpu_layers, run.experts_in_ram
    if on_card is not None and 0 <= on_card < layers:
        # experts of layers that lie in RAM as a whole are there already: which, the run tells not
        if asked or not on_card:
            return None
        in_ram = f"{layers - on_card} of {layers} layers"
        # the output matrix is one more
        return Layout(share=on_card / (layers + 1), experts_apart=False, words=in_ram)
    share = share_beside_experts(spec, asked) if asked else None
    if share is None:
        return None
    return Layout(
        share=share,
        experts_apart=True,
        words=f"the experts of {min(asked or 0, layers)} of {layers} layers",
    )


def _as_logged(run: Run, spec: ModelSpec) -> Layout | None:
    """By the buffers of weights that a log tells; of a mixture of which every layer was to lie on
    the GPU, experts are what does not.
    """
    weights = [each for each in run.memory if each.term == "weights"]
    total = sum(each.bytes for each in weights)
    on_card = sum(each.bytes for each in weights if each.where != "host")
    if not on_card or on_card >= _NEARLY_ALL * total:
        return None
    layers = spec.architecture.layers if spec.architecture is not None else 0
    is_apart = (run.gpu_layers or 0) >= layers and share_beside_experts(spec, 1) is not None
    held = units.binary(total - on_card)
    return Layout(
        share=on_card / total,
        experts_apart=is_apart,
        words=f"{held} of {'experts' if is_apart else 'the weights'}",
    )
