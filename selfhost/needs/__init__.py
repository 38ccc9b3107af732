"""What a model takes, itemised: spec x runtime x workload -> Needs. Pure arithmetic, nothing of the
machine is read.

Names are resolved on first use: the records are wanted by rooms that compute nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .estimate import (
        at_context,
        batch_tokens,
        canonical_quantization,
        counted_parameters,
        decode_bytes_by_type,
        default_format_and_quantization,
        every_quantization,
        freed_outputs,
        largest_picture,
        more_in_conversation,
        more_in_slots,
        needs_of,
        quantizations_of,
        takes_text_alone,
        tensor_names,
        weights_bytes,
        why_cache_type_refused,
        why_not_loaded,
    )
    from .file_formats import trained_in_mxfp4
    from .llamacpp.companions import (
        OWN_BLOCK,
        adapter_of_rank,
        reserved_rank,
        vocabularies_differ,
        why_adapter_differs,
        why_no_own_block,
    )
    from .llamacpp.files import files_of_maker, least_bytes
    from .loaded import loaded_bits
    from .parts import (
        Companions,
        from_sixteen_bits,
        is_cast,
        loads_sixteen_bits,
        parts_of,
        published,
    )
    from .tensors import ArchitectureRow, lacking, row_of, trained_tokens

__all__ = [
    "ArchitectureRow",
    "Companions",
    "OWN_BLOCK",
    "adapter_of_rank",
    "at_context",
    "batch_tokens",
    "canonical_quantization",
    "counted_parameters",
    "tensor_names",
    "decode_bytes_by_type",
    "default_format_and_quantization",
    "every_quantization",
    "files_of_maker",
    "freed_outputs",
    "from_sixteen_bits",
    "is_cast",
    "lacking",
    "largest_picture",
    "least_bytes",
    "loaded_bits",
    "loads_sixteen_bits",
    "more_in_conversation",
    "more_in_slots",
    "needs_of",
    "parts_of",
    "published",
    "quantizations_of",
    "reserved_rank",
    "row_of",
    "takes_text_alone",
    "trained_in_mxfp4",
    "trained_tokens",
    "vocabularies_differ",
    "weights_bytes",
    "why_adapter_differs",
    "why_no_own_block",
    "why_cache_type_refused",
    "why_not_loaded",
]

_HOME = {
    "at_context": "estimate", "canonical_quantization": "estimate",
    "every_quantization": "estimate", "decode_bytes_by_type": "estimate",
    "batch_tokens": "estimate", "counted_parameters": "estimate",
    "default_format_and_quantization": "estimate", "needs_of": "estimate",
    "freed_outputs": "estimate",
    "largest_picture": "estimate", "more_in_conversation": "estimate", "more_in_slots": "estimate",
    "quantizations_of": "estimate", "takes_text_alone": "estimate",
    "weights_bytes": "estimate", "tensor_names": "estimate", "why_cache_type_refused": "estimate",
    "trained_in_mxfp4": "file_formats",
    "why_not_loaded": "estimate", "from_sixteen_bits": "parts", "loads_sixteen_bits": "parts",
    "is_cast": "parts", "loaded_bits": "loaded",
    "published": "parts", "parts_of": "parts",
    "Companions": "parts",
    "OWN_BLOCK": "llamacpp.companions", "adapter_of_rank": "llamacpp.companions",
    "reserved_rank": "llamacpp.companions",
    "vocabularies_differ": "llamacpp.companions",
    "why_no_own_block": "llamacpp.companions",
    "why_adapter_differs": "llamacpp.companions", "ArchitectureRow": "tensors", "row_of": "tensors",
    "least_bytes": "llamacpp.files",
    "files_of_maker": "llamacpp.files", "lacking": "tensors", "trained_tokens": "tensors",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'selfhost.needs' has no attribute {name!r}")
    # by `importlib`, which loads `warnings`, it takes half a millisecond longer
    value = getattr(__import__(f"{__name__}.{_HOME[name]}", fromlist=(name,)), name)
    globals()[name] = value
    return value
