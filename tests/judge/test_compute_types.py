"""The compute types of CTranslate2: what was asked is judged and printed."""

from __future__ import annotations

import pytest

from selfhost import Verdict, Workload, check

TURING = "ryzen 5600 32gb rtx 2080"
ADA = "ryzen 5600 32gb rtx 4090"
PROCESSOR = "ryzen 5600 32gb"


def on(machine: str, quantization: str) -> Verdict:
    workload = Workload(runtime="faster-whisper", quantization=quantization)
    return check("whisper-large-v3", workload, machine=machine)


# OpenNMT/CTranslate2@0d8bcd36, docs/quantization.md, the values of `compute_type`
@pytest.mark.parametrize(
    ("typed", "written"),
    [
        pytest.param("int8", "int8", id="int8"),
        pytest.param("int8_float32", "int8_float32", id="int8_float32"),
        pytest.param("int8_float16", "int8_float16", id="int8_float16"),
        pytest.param("int8-bfloat16", "int8_bfloat16", id="typed with a hyphen"),
        pytest.param("bfloat16", "bfloat16", id="bfloat16"),
        pytest.param("bf16", "bfloat16", id="typed shorter"),
        pytest.param("float16", "float16", id="float16"),
        pytest.param("float32", "float32", id="float32"),
    ],
)
def test_the_command_has_the_compute_type_that_was_judged(
    typed: str, written: str
) -> None:
    verdict = on(ADA, typed)
    assert verdict.workload.quantization == written
    assert f"compute_type='{written}'" in verdict.commands[-1]


# the same: Supported types, and resolve_compute_type of src/types.cc, which raises where a
# requested type has no fast kernel. An RTX 2080 has the compute capability 7.5, an RTX 4090 8.9
@pytest.mark.parametrize(
    ("machine", "quantization", "can_run"),
    [
        pytest.param(PROCESSOR, "int8_float32", True, id="processor, int8_float32"),
        pytest.param(PROCESSOR, "int8_float16", False, id="processor, int8_float16"),
        pytest.param(PROCESSOR, "int8_bfloat16", False, id="processor, int8_bfloat16"),
        pytest.param(PROCESSOR, "bfloat16", False, id="processor, bfloat16"),
        pytest.param(TURING, "int8_float16", True, id="Turing, int8_float16"),
        pytest.param(TURING, "int8_bfloat16", False, id="Turing, int8_bfloat16"),
        pytest.param(TURING, "bfloat16", False, id="Turing, bfloat16"),
        pytest.param(ADA, "int8_bfloat16", True, id="Ada, int8_bfloat16"),
        pytest.param(ADA, "bfloat16", True, id="Ada, bfloat16"),
    ],
)
def test_a_compute_type_runs_where_ctranslate2_has_kernels(
    machine: str, quantization: str, can_run: bool
) -> None:
    assert on(machine, quantization).can_run is can_run


def test_numbers_that_are_no_matrices_have_the_second_type() -> None:
    """docs/quantization.md: a base Transformer takes 100 MB in int8_float32, 95 in int8_float16 and
    int8_bfloat16.
    """
    sizes = {}
    for quantization in ("int8_float32", "int8_float16", "int8_bfloat16"):
        needs = on(ADA, quantization).needs
        assert needs is not None
        weights = [term.bytes for term in needs.terms if term.name == "weights"]
        sizes[quantization] = sum(weights)
    assert sizes["int8_float16"] == sizes["int8_bfloat16"] < sizes["int8_float32"]
