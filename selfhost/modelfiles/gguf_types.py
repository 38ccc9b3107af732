"""The types of a GGUF file's tensors, and the quantization that they make together.

Names and ids are those of llama.cpp's ggml.h, ggml-common.h and include/llama.h (2026).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from math import prod

from ..catalogue.spec import QUANTIZATIONS
from .naming import clean, listed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .gguf_header import Tensor


# type id -> name, and elements and bytes of a block (ggml.h, ggml-common.h): a tensor is stored as
# rows of blocks
TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
# id of a type that ggml.h has retired -> its name, and what replaces it
RETIRED: Mapping[int, tuple[str, str]] = {
    4: ("Q4_2", "Q4_0"), 5: ("Q4_3", "Q4_1"), 31: ("Q4_0_4_4", "Q4_0"), 32: ("Q4_0_4_8", "Q4_0"),
    33: ("Q4_0_8_8", "Q4_0"), 36: ("IQ4_NL_4_4", "IQ4_NL"), 37: ("IQ4_NL_4_8", "IQ4_NL"),
    38: ("IQ4_NL_8_8", "IQ4_NL"),
}  # fmt: skip
# those of the retired types that are layouts, which llama.cpp now makes while it loads
RETIRED_LAYOUTS = frozenset({31, 32, 33, 36, 37, 38})
# general.file_type -> name of the quantization, and the type that most of its tensors have
_FILE_TYPES: Mapping[int, tuple[str, str]] = {
    0: ("F32", "F32"), 1: ("F16", "F16"), 2: ("Q4_0", "Q4_0"), 3: ("Q4_1", "Q4_1"),
    7: ("Q8_0", "Q8_0"), 8: ("Q5_0", "Q5_0"), 9: ("Q5_1", "Q5_1"), 10: ("Q2_K", "Q2_K"),
    11: ("Q3_K_S", "Q3_K"), 12: ("Q3_K_M", "Q3_K"), 13: ("Q3_K_L", "Q3_K"),
    14: ("Q4_K_S", "Q4_K"), 15: ("Q4_K_M", "Q4_K"), 16: ("Q5_K_S", "Q5_K"),
    17: ("Q5_K_M", "Q5_K"), 18: ("Q6_K", "Q6_K"), 19: ("IQ2_XXS", "IQ2_XXS"),
    20: ("IQ2_XS", "IQ2_XS"), 21: ("Q2_K_S", "Q2_K"), 22: ("IQ3_XS", "IQ3_S"),
    23: ("IQ3_XXS", "IQ3_XXS"), 24: ("IQ1_S", "IQ1_S"), 25: ("IQ4_NL", "IQ4_NL"),
    26: ("IQ3_S", "IQ3_S"), 27: ("IQ3_M", "IQ3_S"), 28: ("IQ2_S", "IQ2_XS"),
    29: ("IQ2_M", "IQ2_S"), 30: ("IQ4_XS", "IQ4_XS"), 31: ("IQ1_M", "IQ1_M"),
    32: ("BF16", "BF16"), 36: ("TQ1_0", "TQ1_0"), 37: ("TQ2_0", "TQ2_0"),
    38: ("MXFP4_MOE", "MXFP4"), 39: ("NVFP4", "NVFP4"), 40: ("Q1_0", "Q1_0"),
    41: ("Q2_0", "Q2_0"),
}  # fmt: skip
# a bit of general.file_type: the converter guessed it (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
# what llama-quantize writes instead of a type whose blocks of 256 do not divide the rows
_FALLBACKS: Mapping[str, str] = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL", "IQ3_S": "IQ4_NL", "IQ3_XXS": "IQ4_NL", "IQ2_S": "IQ4_NL",
    "IQ2_XS": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL",
}  # fmt: skip


def quantization_of(path: str, stated: object, tensors: Iterable[Tensor]) -> tuple[str, str | None]:
    """The quantization of a file, and a sentence for the user about it or None.

    `stated` is `general.file_type` of its header, None where the header has none. Tensors of a
    type that the statement does not allow outweigh it.
    """
    tensors = tuple(tensors)
    by_type: dict[str, int] = {}
    for tensor in tensors:
        if len(tensor.shape) > 1:
            by_type[tensor.type] = by_type.get(tensor.type, 0) + prod(tensor.shape)
    most = max(by_type, key=lambda type: by_type[type], default="F32")
    number = isinstance(stated, int) and not isinstance(stated, bool)
    file_type = _FILE_TYPES.get(stated & ~_GUESSED) if number else None  # type: ignore[operator]
    if file_type is None:
        note = (
            f"general.file_type is {stated!r:.40}, which this selfhost does not know; named by its"
            " tensors"
        )
        return _mix_of(most, tensors), None if stated is None else note
    name, base = file_type
    if base in by_type or _FALLBACKS.get(base) in by_type:
        return name, _own_mix(path, name)
    held = listed(sorted(by_type, key=lambda type: -by_type[type]), 3)
    actual = _mix_of(most, tensors)
    return actual, (
        f"its header says {name}, and none of its tensors is {base}: they are {held}; taken for"
        f" {actual}"
    )


def _own_mix(path: str, name: str) -> str | None:
    """The sentence about a publisher's own mix, which only the file's name tells."""
    match = re.search(r"(?i)[-._](UD-(?:I?Q\d\w*))", os.path.basename(path))
    if match is None:
        return None
    return f"its name says {clean(match[1]).upper()}, its publisher's own mix; its header {name}"


def _mix_of(most: str, tensors: Iterable[Tensor]) -> str:
    """The quantization of a file that has mostly this type.

    Mixes of one K type differ in the types of `attn_v` and `ffn_down`.
    """
    if most not in ("Q3_K", "Q4_K", "Q5_K"):
        name = next((name for name, base in _FILE_TYPES.values() if base == most), most)
        return name if name in QUANTIZATIONS["gguf"] else most
    sensitive = ("ffn_down", "attn_v.weight", "attn_qkv.weight")
    types = {tensor.type for tensor in tensors if any(part in tensor.name for part in sensitive)}
    if most != "Q3_K":
        ending = "M" if "Q6_K" in types else "S"
    elif types <= {"Q3_K", "F32"}:
        ending = "S"
    else:
        ending = "M" if "Q4_K" in types else "L"
    return f"{most}_{ending}"
