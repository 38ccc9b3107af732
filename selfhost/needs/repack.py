"""The second layout in which llama.cpp holds some weights, by what the processor can do."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Record


class Buffer(Record):
    """A kind of buffer in which llama.cpp lays out weights anew.

    `rows`: the types that it takes, each with the multiple that its count of rows must have.
    `more_bytes`: what a block of a type takes more there than in the file. `stacks`: it takes the
    stacked matrices of experts, too. `source`: the file of llama.cpp that says so.
    """

    rows: Mapping[str, int]
    more_bytes: Mapping[str, int] = {}
    stacks: bool = True
    source: str = "ggml-cpu/repack.cpp"


_AVX2 = {"Q4_0": 8, "Q4_K": 8, "IQ4_NL": 8, "MXFP4": 8}
_AVX512 = Buffer(rows={**_AVX2, "Q2_K": 8})
# single matrices alone: supports_op asks for MUL_MAT, for twice TILE_N rows, and for these types;
# float16 is copied as it is; get_row_size has the bytes
_AMX = Buffer(
    rows=dict.fromkeys(("Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "F16"), 32),
    more_bytes={"Q8_0": 4, "Q4_K": 4, "Q5_K": 4, "IQ4_XS": 2},
    stacks=False,
    source="ggml-cpu/amx/amx.cpp, mmq.cpp",
)
LAYOUTS: Mapping[str, tuple[Buffer, ...]] = {
    "": (),
    "amx_int8": (_AMX, _AVX512),
    "avx512f": (_AVX512,),
    "avx2": (Buffer(rows=_AVX2),),
    "asimddp": (
        Buffer(
            rows={"Q4_0": 4, "Q4_K": 8, "Q5_K": 8, "Q6_K": 8, "Q8_0": 4, "IQ4_NL": 4, "MXFP4": 4}
        ),
    ),
}
"""By the instruction set that decides: the buffers in which llama.cpp lays out weights anew, the
first of which that takes a matrix has it (ggml-cpu.cpp, ggml_backend_cpu_get_extra_buffer_types).
"""


def layout_of(instruction_sets: tuple[str, ...] | None) -> str:
    """The key of LAYOUTS for a processor; "" where its instruction sets are not known."""
    available_sets = instruction_sets or ()
    return next(
        (name for name in LAYOUTS if name in available_sets),
        "asimddp" if "i8mm" in available_sets else "",
    )


# one example of instruction sets for each kind of processor that needs the same memory
KINDS: Mapping[str, tuple[str, ...] | None] = {
    "untold": None, "": (), "amx_int8": ("amx_int8", "avx512f"), "avx512f": ("avx512f",),
    "avx2": ("avx2",), "asimddp": ("asimddp",),
}  # fmt: skip


def kind_of(instruction_sets: tuple[str, ...] | None) -> str:
    """The key of KINDS for a processor."""
    return "untold" if instruction_sets is None else layout_of(instruction_sets)
