"""The lines that make a file nobody published name the files they make."""

from __future__ import annotations

from selfhost import Workload
from selfhost.advice.conversion import recipe
from selfhost.catalogue.opened import open_catalogue


def test_a_type_that_the_converter_writes_takes_no_second_program() -> None:
    """convert_hf_to_gguf.py writes Q8_0 itself (--outtype q8_0), Q4_K_M is made by llama-quantize."""
    catalogue = open_catalogue()
    spec, runtime = catalogue.spec("bloom-7b1"), catalogue.runtime("llama.cpp")
    direct = recipe(spec, runtime, Workload(format="gguf", quantization="Q8_0"))
    assert direct is not None
    assert direct.lines[-1].endswith(" --outtype q8_0 --outfile bloom-7b1-Q8_0.gguf")
    quantized = recipe(spec, runtime, Workload(format="gguf", quantization="Q4_K_M"))
    assert quantized is not None
    assert quantized.lines[-1] == "llama-quantize bloom-7b1-BF16.gguf bloom-7b1-Q4_K_M.gguf Q4_K_M"
