"""Quantized weights: how they are stored, what they weigh, and who loads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.local_models import again, config, safetensors, small
from helpers.needs_of import needs_of
from helpers.paths import TRUTH
from selfhost import Machine, Workload, check
from selfhost.catalogue.index import Catalogue
from selfhost.modelfiles import read_local


@pytest.mark.parametrize(
    ("method", "runtime"),
    [("awq", "transformers"), ("superquant", "transformers"), ("fp8", "llama.cpp")],
)
def test_quantized_weights_are_judged_as_they_are_stored(
    method: str, runtime: str, tmp_path: Path
) -> None:
    """AutoAWQ's packed weights are no source of a GGUF file; the FP8 of DeepSeek is what
    convert_hf_to_gguf.py reads.
    """
    config(
        tmp_path,
        quantization_config={"quant_method": method, "weight_block_size": [128, 128]},
    )
    answer = check(str(tmp_path))
    assert answer.workload.runtime == runtime
    is_said = any("the original model" in note for note in answer.understood_as)
    assert is_said == (runtime == "transformers")


def test_an_mlx_model_is_judged_for_mlx(tmp_path: Path) -> None:
    """The keys of mlx-lm's own config.json name its runtime; without a Mac the answer says what to
    take.
    """
    config(tmp_path, quantization={"group_size": 64, "bits": 4})
    linux = Machine(planning=True, system="linux", architecture="x86_64")
    findings = check(str(tmp_path), machine=linux).findings
    (why,) = (finding for finding in findings if finding.check == "runtime")
    assert (why.outcome, why.code) == ("fail", "runtime-no-build")
    assert "mlx[cpu]" in why.reason
    assert "--runtime llama.cpp" in (why.remedy or "")


# what mlx.core.quantize makes of one matrix in each of its modes
_QUANTIZED = json.loads((TRUTH / "mlx.json").read_text(encoding="utf-8"))["quantized"]


@pytest.mark.parametrize("made", _QUANTIZED, ids=case_id)
def test_all_that_mlx_quantizes_to_is_counted(
    made: dict[str, Any], tmp_path: Path
) -> None:
    """Bits of a weight as mlx.core.quantize makes them of one matrix, scales and biases included;
    by path and as a spec.
    """
    file = config(
        tmp_path,
        quantization={key: made[key] for key in ("mode", "bits", "group_size")},
    )
    local = read_local(file)
    asked = Workload(quantization=local.quantization, context_tokens=4096)
    for spec in (local.spec, again(local.spec)):
        needs = needs_of(spec, Catalogue.open().runtime("mlx"), asked)
        assert needs.memory is not None
        line = next(
            term.arithmetic for term in needs.memory.terms if term.name == "weights"
        )
        # all weights of Mistral 7B v0.3 but its norms
        packed = round(7_247_757_312 * made["bytes"] / made["weights"])
        assert line.startswith(f"{packed:,} bytes of ")


def test_a_quantization_of_mlx_that_is_not_understood_is_named(tmp_path: Path) -> None:
    """It was taken for no quantization at all, and the model told in 16 bits."""
    # mlx.core.quantize refuses them, but for the one that lacks its group
    four = {"mode": "mxfp4", "bits": 4, "group_size": 64}
    others = {"bits": 4, "group_size": 16}
    listed = {"bits": 4, "group_size": 64, "mode": ["affine"]}
    for odd in ({"bits": 7, "group_size": 64}, {"bits": 4}, others, four, listed):
        local = read_local(config(tmp_path, quantization=odd))
        assert local.quantization is None
        assert "quantization {" in local.spec.unknown["architecture.matrix_dtype"]


def test_bits_of_a_layer_of_mlx_may_be_no_number(tmp_path: Path) -> None:
    """A list in their place ended in a TypeError; such a layer counts as one of other bits."""
    odd = {"bits": 4, "group_size": 64, "model.layers.0.mlp": {"bits": [4]}}
    local = read_local(config(tmp_path, quantization=odd))
    assert local.quantization == "4bit"
    assert any("other bit widths" in note for note in local.notes)


_BY_MLX = {"bits": 4, "group_size": 32, "mode": "mxfp4"}


@pytest.mark.parametrize(
    ("key", "stored", "quantization"),
    [
        # pruned to its text, in the class that sees (bryce-hoehn/Qwen3.5-18B-REAP-A3B-Coding)
        ("architectures", ["Qwen3_5MoeForConditionalGeneration"], "bfloat16"),
        (
            "quantization_config",
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
            "float8_e4m3_128x128",
        ),
        (
            "quantization_config",
            {"quant_method": "fp8", "weight_block_size": None},
            "float8_e4m3",
        ),
        ("quantization_config", {"quant_method": "mxfp4"}, "mxfp4"),
        (
            "quantization_config",
            {"quant_method": "modelopt", "quant_algo": "NVFP4"},
            "nvfp4",
        ),
        ("quantization_config", {"quant_method": "secret"}, None),
        # mlx-lm writes under a layer's name what it has instead (gpt-oss)
        (
            "quantization",
            {**_BY_MLX, "lm_head": {"bits": 8, "group_size": 64}},
            "MXFP4-Q8",
        ),
        ("quantization", {"bits": 4, "group_size": 64}, "4bit"),
        ("quantization", {"bits": 8, "group_size": 32, "mode": "affine"}, "8bit-32g"),
        ("quantization", _BY_MLX, "mxfp4"),
    ],
)
def test_how_published_weights_are_stored(
    key: str, stored: object, quantization: str | None, tmp_path: Path
) -> None:
    """The words of the spec schema; a method that is not known is named under unknown."""
    local = read_local(config(tmp_path, **{key: stored}))
    assert (local.quantization, local.spec.modality) == (quantization, "text")
    if quantization is None:
        assert "secret" in local.spec.unknown["architecture.matrix_dtype"]


def test_packed_weights_are_bytes_not_parameters(tmp_path: Path) -> None:
    """Eight 4-bit weights in an int32 must not be counted as one parameter."""
    folder = tmp_path / "awq"
    config(folder, quantization_config={"quant_method": "awq", "bits": 4})
    safetensors(
        folder / "model.safetensors", {"a": ("I32", [10, 20]), "b": ("F16", [5])}
    )
    local = read_local(folder)
    assert local.quantization == "awq"
    assert local.spec.files[0].bytes == {
        "awq": (folder / "model.safetensors").stat().st_size
    }
    # as config.json has it: Mistral 7B v0.3
    assert local.spec.parameters.total == 7_248_023_552


@pytest.mark.parametrize(
    ("packing", "bits", "name"),
    [
        # packing_format in config.json of Intel's repositories named int4-AutoRound
        pytest.param("auto_round:auto_gptq", 4, "gptq", id="as GPTQ"),
        pytest.param("auto_round:auto_awq", 4, "awq", id="as AWQ"),
        pytest.param("auto_round:auto_gptq", 8, "gptq-8bit", id="in 8 bits"),
        pytest.param("auto_round:llm_compressor", 4, None, id="of another kind"),
    ],
)
def test_autoround_packs_as_other_quantizers_do(
    packing: str, bits: int, name: str | None, tmp_path: Path
) -> None:
    stated = {"quant_method": "auto-round", "bits": bits, "group_size": 128}
    stated["packing_format"] = packing
    folder = small(tmp_path / "m", stored="I32", quantization_config=stated)
    assert read_local(folder).quantization == name


@pytest.mark.parametrize("named", ["", "config.json"])
def test_quantization_told_in_a_file_of_its_own(named: str, tmp_path: Path) -> None:
    """NVIDIA's exporter writes hf_quant_config.json and nothing into config.json; the folder and
    the file are read alike.
    """
    folder = small(tmp_path / "m", stored="F8_E4M3")
    for algorithm, quantization in (("FP8", "float8_e4m3"), ("superquant", None)):
        told = {"quantization": {"quant_algo": algorithm, "kv_cache_quant_algo": "FP8"}}
        (folder / "hf_quant_config.json").write_text(json.dumps(told), encoding="utf-8")
        local = read_local(folder / named)
        assert local.spec.architecture is not None
        kept = (local.quantization, local.spec.architecture.matrix_dtype)
        assert kept == (quantization, quantization)
    assert "superquant" in local.spec.unknown["architecture.matrix_dtype"]
    for odd in ("[]", "{}", '{"quantization": []}'):
        (folder / "hf_quant_config.json").write_text(odd, encoding="utf-8")
        unknown = read_local(folder / named).spec.unknown
        assert (
            "quant_algo = null is not understood"
            in unknown["architecture.matrix_dtype"]
        )


def test_plain_files_of_weights_said_to_be_quantized_are_of_no_known_model(
    tmp_path: Path,
) -> None:
    """Of the tensors that GPTQ or FP8 has, files of bfloat16 hold none; they were `local: yes`."""
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    fp8 = {"quant_method": "fp8"}
    cases = ("BF16", gptq, False), ("BF16", fp8, False), ("F8_E4M3", fp8, True)
    for held, quantization, known in cases:
        folder = small(tmp_path / held, stored=held, quantization_config=quantization)
        spec = read_local(folder).spec
        assert (spec.architecture is not None) == known
        assert known or "the files hold only BF16" in spec.unknown["architecture"]
