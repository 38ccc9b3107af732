"""What a quantization cost one model: the rows are whole, and told with the model they are of."""

from __future__ import annotations

import pytest

from helpers.paths import SPEC_FILES
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.losses import DIVERGENCE, LossesTable, losses_of
from selfhost.core.tables import shipped_record
from selfhost.judge.quality import quality_of


def test_each_value_is_what_its_field_says() -> None:
    table = shipped_record(LossesTable, "quant_losses")
    for row in table.loss:
        assert row.model in SPEC_FILES
        assert row.source
        if row.measure == DIVERGENCE:
            assert row.before is None
            assert 0 < row.value < 1
        else:
            assert row.before is not None
            assert row.test
            assert 0 < row.value <= 100


def test_one_name_is_not_one_file() -> None:
    """Q4_K_M of Qwen3.5 9B by three publishers, 2026-03-12: 0.0087, 0.0222 and 0.0353."""
    found = {row.publisher: row.value for row in losses_of("qwen3.5-9b", "Q4_K_M")}
    assert found == {"bartowski": 0.0087, "unsloth": 0.0222, "lmstudio": 0.0353}


@pytest.mark.parametrize(
    ("model", "quantization", "words"),
    [
        pytest.param(
            "qwen3.5-9b",
            "Q4_K_M",
            "of qwen3.5-9b itself: a mean KL divergence of 0.0087 (bartowski's file)",
            id="a divergence with its publisher",
        ),
        pytest.param(
            "gemma-4-31b-it",
            "awq",
            "of gemma-4-31b-it itself: MMLU-Pro 85 % instead of 86 %",
            id="a score beside that of 16 bits",
        ),
        pytest.param(
            "nemotron-3-nano-30b-a3b",
            "nvfp4",
            "says NVIDIA, which made the file",
            id="what who made it says",
        ),
    ],
)
def test_a_loss_is_told_of_the_model_it_was_measured_on(
    model: str, quantization: str, words: str
) -> None:
    """It stands behind the figure of the type, by which types are compared."""
    spec = Catalogue.open().spec(model)
    quality = quality_of(quantization, spec)
    general = quality_of(quantization)
    assert quality.text.startswith(general.text)
    assert words in quality.text
    assert quality.replace(text="") == general.replace(text="")


def test_a_model_without_files_measured_has_the_figure_of_the_type() -> None:
    spec = Catalogue.open().spec("phi-4")
    assert losses_of("phi-4", "Q4_K_M") == ()
    assert quality_of("Q4_K_M", spec) == quality_of("Q4_K_M")
