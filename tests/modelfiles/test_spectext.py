"""A spec that is written from a file on this disk reads back as the same model."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.each import each
from helpers.ggufs import ROWS, make, measured
from helpers.local_models import again, config
from selfhost import Machine, Workload, check
from selfhost.catalogue.index import Catalogue
from selfhost.modelfiles import read_local, spec_text
from selfhost.needs import counted_parameters


@each("name", measured())
def test_a_spec_made_of_a_gguf_file_reads_back(name: str, tmp_path: Path) -> None:
    """`spec new` writes a valid spec file that says the same, but for the types of the very file's tensors. It states the parameters that
    its architecture has, as `spec check` counts them."""
    spec = read_local(make(tmp_path, name), ROWS).spec
    assert again(spec) == spec.replace(tensors=())
    assert counted_parameters(again(spec), ROWS) == (spec.parameters.total, spec.parameters.active)


@pytest.mark.parametrize(
    ("stored", "runtime", "quantization"),
    [
        ({"quantization": {"bits": 8, "group_size": 64}}, "mlx", "8bit"),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mlx", "mxfp4"),
        (
            {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64}},
            "transformers",
            "awq-64g",
        ),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 128}},
            "transformers",
            "gptq-8bit",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            "transformers",
            "nf4",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
            "transformers",
            "int8",
        ),
        (
            {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}},
            "vllm",
            "nvfp4",
        ),
    ],
)
def test_a_spec_of_quantized_weights_is_judged_as_they_are_stored(
    stored: dict[str, object], runtime: str, quantization: str, tmp_path: Path
) -> None:
    """By path, by id and as the config.json itself: the same runtime, type and size; asked for, a GGUF file is told all the same."""
    file = config(tmp_path, **stored)
    made = tmp_path / "specs" / "made.toml"
    made.parent.mkdir()
    made.write_text(spec_text(read_local(file, ROWS).spec.replace(id="made")), encoding="utf-8")
    mac = Machine(planning=True, system="darwin", architecture="aarch64")
    answers = [
        check(str(file), machine=mac),
        check(str(made), machine=mac),
        check("made", machine=mac, specs=[made.parent]),
    ]
    for answer in answers:
        assert (answer.workload.runtime, answer.workload.quantization) == (runtime, quantization)
        assert answer.needs is not None
        assert answer.needs.download_bytes
    assert len({answer.needs.download_bytes for answer in answers if answer.needs is not None}) == 1
    assert all(
        any(f"stored as {quantization}; a GGUF file" in note for note in answer.understood_as)
        for answer in answers[:2]
    )
    assert (
        check(str(made), Workload(runtime="llama.cpp"), machine=mac).workload.quantization
        == "Q4_K_M"
    )


def test_a_number_that_is_not_whole_is_written_as_it_is() -> None:
    """VibeVoice makes 7.5 frames a second (arXiv:2508.19205)."""
    text = spec_text(Catalogue.open().spec("vibevoice-1.5b"))
    assert "tokens_per_second = 7.5" in text
