"""Activations of a training step: what the forward pass saves for the backward pass.

Korthikanti et al. (arXiv 2205.05198, section 4) count them; with full recomputation one input per
layer is saved. Their 34 × s × b × h holds for a GPT layer. Here each layer's own matrices are
counted in the same way, without a term for scores, which fused attention does not save. The count
equals the saved tensors of transformers 5.23.0. Sizes are in bytes; `width` is the bytes of one
number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ...catalogue.spec import Architecture, Attention, FeedForward
from ...core.records import Record
from ..parts import term, times
from ..records import How, Term
from ..tensors import ArchitectureRow, checkpoint_tensors
from .adapters import linear_sides
from .plan import Plan, Training
from .trainable import kept_packed

_SOURCE = (
    "count of the tensors saved for the backward pass (method of arXiv 2205.05198); equals"
    " transformers 5.23.0 with fused attention"
)
# bytes of each logit at the peak: the 16-bit one, its log-probability, and the gradients of both in
# float32; measured with torch 2.13.0
_LOGIT_BYTES, LOGIT_LOW_BYTES, _LOGIT_HIGH_BYTES = 14, 10, 20
# bytes saved per score where soft-capping or sinks keep attention from being fused: float32
# softmax, its 16-bit copy, tanh of the cap
_SCORE_BYTES, _SCORE_HIGH_BYTES = 10, 12


def activations(training: Training) -> Term:
    """The term of activations, the last norm and the logits included."""
    plan = training.plan
    saved = _saved_by(training)
    scored = _scored_words(training)
    likely = _per_token(training, saved.likely, _width(training), _LOGIT_BYTES * scored)
    least = _per_token(training, saved.low, _width(training), LOGIT_LOW_BYTES * scored)
    tenths = _most_in_tenths(saved, plan)
    widest = tuple(layer * tenths // 10 for layer in saved.high)
    most = _per_token(training, widest, 4, _LOGIT_HIGH_BYTES * scored)
    line, note = _words(training, saved, _LOGIT_BYTES * scored)
    beside = [*_widest_matrix(training), *_folded_experts(training)]
    high = plan.tokens * most + sum(part.high_bytes for part in beside)
    encoders, total = training.encoder_parameters, training.spec.parameters.total or 0
    if encoders and total:
        # encoders of images keep theirs too, by their share of the parameters
        high += high * encoders // total
    source = _SOURCE if saved.checked else f"{_SOURCE}; this architecture was not checked"
    if _keeps_scores(training.row):
        source += "; its attention keeps scores"
    return term(
        "activations",
        plan.tokens * likely + sum(part.bytes for part in beside),
        How.COMPUTED if saved.checked else How.ASSUMED,
        source,
        "".join([line, *(part.line for part in beside), note, *(part.note for part in beside)]),
        low=plan.tokens * least * 9 // 10,
        high=high,
    )


def _width(training: Training) -> int:
    return 4 if training.plan.method == "lora" and training.architecture.dtype == "float32" else 2


def _keeps_scores(row: ArchitectureRow) -> bool:
    return bool(row.attention_sinks) or row.torch_scores == "eager"


def _folded_parameters(training: Training) -> int:
    """Parameters of the experts of one layer that adapters stand on; 0 where none do."""
    return 0 if training.plan.trains_all else training.adapters.folded


def _scored_words(training: Training) -> int:
    """How many words each token has a logit for; 0 for an encoder, whose loss is taken from one
    vector.
    """
    embeds = training.row.encoder or training.spec.modality == "embedding"
    if embeds or not training.architecture.output_matrix:
        return 0
    return training.architecture.vocabulary or 0


def _last_norm_bytes(architecture: Architecture) -> int:
    return 8 * architecture.embedding_length


def _per_token(
    training: Training, sizes: tuple[int, ...], input_width: int, logit_bytes: int
) -> int:
    """Bytes that one token holds at the peak, of `sizes` by layer and the logits."""
    architecture = training.architecture
    final = _last_norm_bytes(architecture)
    if not training.plan.checkpointing:
        return sum(sizes) + logit_bytes + final
    inputs = architecture.layers * input_width * architecture.embedding_length
    # the logits are gone before the first layer is computed again
    return inputs + max((*sizes, logit_bytes)) + final


def _most_in_tenths(saved: _Saved, plan: Plan) -> int:
    """The high end of what layers keep, in tenths of the count.

    Measured where nothing is kept in 16 bits: up to 1.9 times as much, 1.5 times beside peft's own
    float32 copies. What was not checked may drop out as well.
    """
    if not saved.checked:
        return 25
    return 20 if plan.trains_all else 16


def _words(training: Training, saved: _Saved, logit_bytes: int) -> tuple[str, str]:
    """The line of the likely figure, and the note that explains it."""
    architecture, tokens = training.architecture, training.plan.tokens
    final = _last_norm_bytes(architecture)
    if not training.plan.checkpointing:
        line = f"{tokens:,} tokens × ({sum(saved.likely):,} + {logit_bytes:,} + {final:,})"
        return line, "; bytes of the layers, of the logits, of the last norm"
    widest = max(saved.likely, default=0)
    larger = "the logits" if logit_bytes >= widest else "one layer computed again"
    line = (
        f"{tokens:,} tokens × ({times(architecture.layers, 'layer')} ×"
        f" {architecture.embedding_length:,} × {_width(training)} bytes +"
        f" {max(widest, logit_bytes):,} + {final:,})"
    )
    return line, f"; bytes of one input per layer, of {larger}, of the last norm"


# ------------------------------------------------------------------ beside what tokens leave


class _Beside(Record):
    """What lies beside the activations of tokens, with its part of the line and of the note."""

    bytes: int
    high_bytes: int
    line: str
    note: str


def _widest_matrix(training: Training) -> Iterator[_Beside]:
    """The widest matrix of packed weights, which is made 16 bits wide for its turn."""
    if training.plan.method == "qlora" or kept_packed(training.architecture):
        elements = training.adapters.largest
        yield _Beside(
            bytes=2 * elements,
            high_bytes=2 * elements,
            line=f" + {elements:,} × 2 bytes",
            note=", and the widest matrix in 16 bits",
        )


def _folded_experts(training: Training) -> Iterator[_Beside]:
    """Copies of experts with their adapters added.

    Measured: all but the gradient of one tensor's copy. The high end has the gradients of all.
    """
    folded, width = _folded_parameters(training), _width(training)
    if folded:
        copies = _copies_of_experts(training.architecture, training.plan)
        yield _Beside(
            bytes=width * copies * folded + width * folded // 3,
            high_bytes=width * (copies + 1) * folded,
            line=f" + {copies} × {folded:,} × {width} bytes + {folded:,} × {width} / 3 bytes",
            note=(
                ", of experts with their adapters added, which peft makes anew for each layer"
                " (ParamWrapper), and of a gradient of theirs"
            ),
        )


def _copies_of_experts(architecture: Architecture, plan: Plan) -> int:
    """How many layers have a copy of their experts at once, with their adapters added."""
    if plan.checkpointing:
        return 1
    return sum(len(group.layers) for group in architecture.feed_forward if group.experts)


# ------------------------------------------------------------------ what a token leaves in a layer


class _Saved(Record):
    """Bytes that one token leaves in each layer for the backward pass. `checked`: the count was
    held against saved tensors.
    """

    likely: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    checked: bool


_Share = tuple[tuple[int, ...], int, int, int]
"""Layers, and the bytes that each of them keeps of one token: likely, least and most."""


def _saved_by(training: Training) -> _Saved:
    plan = training.plan
    return _saved(
        training.architecture,
        training.row,
        plan.trains_all,
        _width(training),
        plan.rank,
        plan.context_tokens if _keeps_scores(training.row) else 0,
        _folded_parameters(training) > 0,
    )


@lru_cache(maxsize=256)
def _saved(
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    rank: int,
    scores: int,
    folded: bool,
) -> _Saved:
    """What each layer keeps of one token.

    `scores` is the length of a sequence where attention is not fused, else 0. `folded`: adapters
    stand on experts, which then keep what trained experts do.
    """
    number = architecture.layers
    likely, low, high = [0] * number, [0] * number, [0] * number
    norm = _norm_bytes(row, trains_all, width)
    for layers, size, least, most in (
        *_saved_by_tensors(architecture, row, trains_all, rank, norm),
        *_saved_by_attention(architecture, row, trains_all, width, norm, scores),
        *_saved_by_states(architecture),
        *_saved_by_feed_forwards(architecture, row, trains_all, width, folded),
    ):
        for layer in layers:
            if layer < number:
                likely[layer] += size
                low[layer] += least
                high[layer] += most
    checked = not architecture.recurrent and row.gate != "none" and not row.altup and not scores
    return _Saved(likely=tuple(likely), low=tuple(low), high=tuple(high), checked=checked)


def _norm_bytes(row: ArchitectureRow, trains_all: bool, width: int) -> int:
    """Bytes that a norm keeps of each number: its input in float32.

    A trained norm keeps its normalized input as well; Gemma keeps that in float32.
    """
    if row.norm_bias:
        return width
    if not trains_all:
        return 4
    return 4 + (4 if row.torch_float_norm else width)


def _saved_by_tensors(
    architecture: Architecture, row: ArchitectureRow, trains_all: bool, rank: int, norm: int
) -> Iterator[_Share]:
    """Inputs of norms, and of matrices with an adapter."""
    hidden, number = architecture.embedding_length, architecture.layers
    for group in checkpoint_tensors(architecture, row):
        sides = linear_sides(group, row)
        # layers that run through the weights of an earlier one keep their own inputs
        layers = tuple(
            layer + again
            for again in range(0, number, architecture.stored_layers or number)
            for layer in group.layers
        )
        if group.shape == (hidden,) and "norm" in group.name and group.name.endswith(".weight"):
            yield layers, norm * hidden, norm * hidden, norm * hidden
        elif sides is not None and not trains_all:
            # peft casts the input of each adapted layer to float32 for itself; under autocast the
            # copy has 16 bits
            copied = (0 if "attn_v_b" in group.name else sides[0]) + rank
            yield layers, 4 * copied, 2 * copied, 4 * copied


def _saved_by_attention(
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    norm: int,
    scores: int,
) -> Iterator[_Share]:
    for group in architecture.attention:
        size = _attention(group, architecture, row, trains_all, width, norm)
        heads = group.heads * scores
        yield group.layers, size + _SCORE_BYTES * heads, size, size + _SCORE_HIGH_BYTES * heads


def _saved_by_states(architecture: Architecture) -> Iterator[_Share]:
    """A fused scan keeps inputs and outputs; the plain one of transformers keeps the state of
    every token.
    """
    for group in architecture.recurrent:
        inner = (
            group.inner_length
            or (group.heads or 0) * (group.value_length or group.key_length or 0)
            or architecture.embedding_length
        )
        state = group.state_length or group.key_length or 1
        yield group.layers, 16 * inner, 6 * inner, 16 * inner + 8 * inner * state


def _saved_by_feed_forwards(
    architecture: Architecture, row: ArchitectureRow, trains_all: bool, width: int, folded: bool
) -> Iterator[_Share]:
    for group in architecture.feed_forward:
        with_experts = trains_all or (folded and bool(group.experts))
        size, _ = _feed_forward(group, architecture, row, with_experts, width)
        _, least = _feed_forward(group, architecture, row, trains_all, width)
        yield group.layers, size, least, size


def _attention(
    group: Attention,
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    norm: int,
) -> int:
    """Queries, keys, values and the result, which is also the input of the next matrix."""
    heads, kv_heads = group.heads, group.heads if group.kind == "latent" else group.kv_heads
    key = group.key_length + (group.rope_length or 0 if group.kind == "latent" else 0)
    size = width * (heads * (key + group.value_length) + kv_heads * (key + group.value_length))
    if trains_all:
        size += width * (
            architecture.embedding_length
            + (group.query_latent_length or 0)
            + (group.latent_length or 0)
        )
    kind = group.query_key_norm or architecture.query_key_norm or row.query_key_norm
    if kind and kind != "none":
        size += norm * (heads + kv_heads) * key
    return size


def _feed_forward(
    group: FeedForward,
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
) -> tuple[int, int]:
    """Gate, up, the activated gate and, where its matrix is trained, their product; best and
    least.
    """
    hidden = architecture.embedding_length
    if row.gate == "none":
        # GELU written out in single steps (GPT-2, Phi-2) keeps five tensors, ReLU (OPT) one
        inside, least = 5, 1
    else:
        inside = least = 4 if trains_all else 3
    fixed = hidden if trains_all else 0
    if not group.experts:
        return width * (fixed + inside * group.length), width * (fixed + least * group.length)
    used, dense = group.used or 1, (group.shared_length or 0) + (group.beside_dense or 0)
    # a routed token is gathered and its result weighted
    moved = (2 if trains_all else 1) * hidden
    best = fixed + used * (moved + inside * group.length) + inside * dense
    return width * best, width * (fixed + used * (moved + least * group.length) + least * dense)
