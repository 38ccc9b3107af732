"""The weights of a GGUF file in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...catalogue.spec import SIZE_OF
from ..parts import Subject, term
from ..quantization import BITS_PER_WEIGHT, Stored, typed_earlier
from ..records import How, Offload, SizedWeights, Term
from ..repack import LAYOUTS, layout_of
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .files import (
    RECIPE,
    RECIPE_ERROR,
    as_published,
    by_type,
    computed_file,
    of_file,
    spread,
    usual,
)
from .load import Load

_OWN_MIX = 0.005
# whatever their type (ggml/src/ggml-cpu/repack.cpp)
_NEVER_REPACKED = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")


def weights_terms(
    subject: Subject,
    quantization: str,
    files: SizedWeights,
    instruction_sets: tuple[str, ...] | None,
) -> tuple[list[Term], int]:
    """Mapped weights, the second layout that the CPU wants, and the bytes of originals it
    replaced.
    """
    if (
        not subject.whole
        or subject.architecture is None
        or subject.row is None
        or quantization not in BITS_PER_WEIGHT
    ):
        line = f"{files.arithmetic}; the whole file"
        return [
            term(
                "weights",
                files.bytes,
                files.how,
                files.source,
                line,
                low=files.low_bytes,
                high=files.high_bytes,
            )
        ], 0
    architecture, row = subject.architecture, subject.row
    earlier = typed_earlier(subject.spec.released)
    computed = computed_file(
        architecture, as_published(row, subject.spec.released), quantization, earlier
    )
    real = of_file(subject.spec, quantization)
    whole = real or usual(architecture, row, quantization, earlier)
    source, how = RECIPE, How.COMPUTED
    if real:
        source, how = f"tensor table in the header of {subject.spec.origin}", How.EXACT
    elif files.how is How.STATED:
        if (
            not computed.low_bytes - files.bytes * _OWN_MIX
            <= files.bytes
            <= computed.high_bytes + files.bytes * _OWN_MIX
        ):
            line = f"{files.arithmetic}; the whole file, a mix of its publisher's own"
            low = files.bytes - int(files.bytes * _OWN_MIX)
            source = f"{files.source}; its tables and output matrix in proportion to {RECIPE}"
            weights = term("weights", files.bytes, How.STATED, source, line, low=low)
            return [
                weights.replace(
                    offload=_in_proportion(_offload(whole, _tied(whole, row)), whole, files.bytes)
                )
            ], 0
        source = f"{RECIPE}; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
    loaded = sum(tensor.bytes for tensor in whole)
    least, most = (loaded, loaded) if real else spread(architecture, row, quantization)
    less, more = loaded - least, most - loaded
    tensors = tuple(tensor for tensor in whole if not _passed_over(tensor, row))
    if not real and not row.mtp_in_gguf:
        # the file may lack them
        less += sum(tensor.bytes for tensor in tensors if tensor.extra)
    size = sum(tensor.bytes for tensor in tensors)
    tied = _tied(tensors, row)
    layout = LAYOUTS[layout_of(instruction_sets)]
    moved = tuple(tensor for tensor in tensors if _repacked(tensor, layout))
    copied = sum(tensor.bytes for tensor in moved)
    if not copied:
        weights = term(
            "weights", size, how, source, by_type(tensors), low=size - less, high=size + more
        )
        return [weights.replace(offload=_offload(tensors, tied))], 0
    rest = tuple(tensor for tensor in tensors if not _repacked(tensor, layout))
    kept = size - copied
    share = kept / size
    own = term(
        "weights",
        kept,
        how,
        source,
        by_type(rest),
        low=kept - int(less * share),
        high=kept + int(more * share),
    )
    return [
        own.replace(offload=_offload(rest, tied)),
        term(
            "repacked_weights",
            copied,
            how,
            f"{llamacpp.SOURCE}: ggml-cpu/repack.cpp; interleaved for this processor, the originals"
            " in the page cache may be dropped",
            by_type(moved),
            low=copied - (less - int(less * share)),
            high=copied + (more - int(more * share)),
        ).replace(offload=_offload(moved, tied)),
    ], copied


def _tied(tensors: Iterable[Stored], row: ArchitectureRow) -> bool:
    """True for a decoder without an output matrix of its own, whatever its checkpoint has."""
    return not row.embeds and all(tensor.name != "output.weight" for tensor in tensors)


def _passed_over(tensor: Stored, row: ArchitectureRow) -> bool:
    """Of a multi-token-prediction block, and left in the file unless it is to draft."""
    return tensor.extra and not tensor.name.startswith(
        tuple(f"blk.*.{part}" for part in row.mtp_loaded)
    )


def _offload(tensors: tuple[Stored, ...], tied: bool) -> Offload:
    """The input layer is never given to a device, and the output matrix goes with the last layer
    (src/llama-model.cpp, load_tensors).

    `tied`: the token table is the output matrix too, and a device has a copy of it
    (TENSOR_DUPLICATED).
    """
    output = sum(tensor.bytes for tensor in tensors if tensor.name.startswith("output."))
    tables = sum(tensor.bytes for tensor in tensors if tensor.is_table)
    again = sum(tensor.bytes for tensor in tensors if tied and tensor.name == "token_embd.weight")
    layers = sum(tensor.bytes for tensor in tensors) - output - tables
    return Offload(layer_bytes=layers, output_bytes=output + again, table_bytes=tables)


def _in_proportion(parts: Offload, tensors: tuple[Stored, ...], size: int) -> Offload:
    """The parts of a file of that size whose tensors have other types than these."""
    loaded = sum(tensor.bytes for tensor in tensors)
    again = parts.layer_bytes + parts.output_bytes + parts.table_bytes - loaded
    output, tables, twice = (
        size * part // loaded for part in (parts.output_bytes, parts.table_bytes, again)
    )
    return Offload(
        layer_bytes=size - output - tables + twice, output_bytes=output, table_bytes=tables
    )


def _repacked(tensor: Stored, layout: Mapping[str, int]) -> bool:
    multiple = layout.get(tensor.type)
    if (
        multiple is None
        or not tensor.name.endswith(".weight")
        or len(tensor.shape) < 2
        or tensor.shape[1] % multiple
    ):
        return False
    return not tensor.name.startswith(_NEVER_REPACKED) and not tensor.name.endswith(
        ("attn_k_b.weight", "attn_v_b.weight")
    )


def own_block_terms(load: Load, quantization: str, compute: Term) -> list[Term]:
    """What the model's own multi-token-prediction block takes. `compute` is the model's buffer."""
    whole: tuple[Stored, ...] = ()
    if quantization in BITS_PER_WEIGHT:
        earlier = typed_earlier(load.subject.spec.released)
        whole = usual(load.architecture, load.row, quantization, earlier)
    tensors = tuple(tensor for tensor in whole if _passed_over(tensor, load.row))
    size, line = sum(tensor.bytes for tensor in tensors), by_type(tensors)
    if not load.row.mtp_in_gguf:
        line += "; published files may lack the block: take one that was converted with it"
    from .companions import block_terms

    weights = size, int(size * RECIPE_ERROR), line
    return block_terms(load.architecture, load.row, load.room, weights, compute)
