"""The second layout that llama.cpp's CPU backend gives some weights, by what the processor can do."""

from __future__ import annotations

from collections.abc import Mapping

_AVX2 = {"Q4_0": 8, "Q4_K": 8, "IQ4_NL": 8, "MXFP4": 8}
LAYOUTS: Mapping[str, Mapping[str, int]] = {
    "": {},
    "avx512f": {**_AVX2, "Q2_K": 8},
    "avx2": _AVX2,
    "asimddp": {"Q4_0": 4, "Q4_K": 8, "Q5_K": 8, "Q6_K": 8, "Q8_0": 4, "IQ4_NL": 4, "MXFP4": 4},
}
"""Types that are copied, with the multiple their rows must have (ggml/src/ggml-cpu/repack.cpp), by the instruction set that decides."""


def layout_of(instruction_sets: tuple[str, ...] | None) -> str:
    """The key of LAYOUTS for a processor; "" where its instruction sets are not known."""
    known = instruction_sets or ()
    return next((name for name in LAYOUTS if name in known), "asimddp" if "i8mm" in known else "")
