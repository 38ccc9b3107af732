"""Models of an encoder and a decoder from their config.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.ggufs import ROWS
from helpers.local_models import WITHOUT_GPU, again
from selfhost import Workload, check
from selfhost.modelfiles import read_local

# as published: what the class is called, layers of both stacks, width, heads, feed-forward, vocabulary and positions; and the parameters of
# that class of transformers 5.23.0
BARTS = {
    "bart": ("BartForConditionalGeneration", 12, 12, 1024, 16, 4096, 50264, 1024, 406290432),
    "bart 12-6": ("BartForConditionalGeneration", 12, 6, 1024, 16, 4096, 50264, 1024, 305510400),
    "mbart": ("MBartForConditionalGeneration", 12, 12, 1024, 16, 4096, 250054, 1024, 610879488),
    "m2m_100": ("M2M100ForConditionalGeneration", 12, 12, 1024, 16, 4096, 256206, 1024, 615073792),
    "marian": ("MarianMTModel", 6, 6, 512, 8, 2048, 58101, 512, 74410496),
    "pegasus": ("PegasusForConditionalGeneration", 16, 16, 1024, 16, 4096, 96103, 512, 569748480),
    "blenderbot": ("BlenderbotForConditionalGeneration", 2, 24, 2560, 32, 10240, 8008, 128, 2696268800),
    "plbart": ("PLBartForConditionalGeneration", 6, 6, 768, 12, 3072, 50005, 1024, 139220736),
}  # fmt: skip


def bart(kind: str, folder: Path, **more: object) -> Path:
    name, above, below, width, heads, inner, vocabulary, positions, _ = BARTS[kind]
    config = {
        "architectures": [name], "model_type": kind.partition(" ")[0], "is_encoder_decoder": True, "d_model": width,
        "num_hidden_layers": above, "vocab_size": vocabulary, "max_position_embeddings": positions, "torch_dtype": "float32",
        "encoder_layers": above, "decoder_layers": below, "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "encoder_ffn_dim": inner, "decoder_ffn_dim": inner,
    }  # fmt: skip
    file = folder / "config.json"
    file.write_text(json.dumps({**config, **more}), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", BARTS)
def test_an_encoder_and_a_decoder_have_the_parameters_of_their_class(
    kind: str, tmp_path: Path
) -> None:
    """Weights to the parameter; the decoder's layers keep what is read and what is written."""
    spec = read_local(bart(kind, tmp_path), ROWS).spec
    assert spec.architecture is not None
    assert spec.parameters.total == BARTS[kind][-1]
    assert (spec.modality, spec.architecture.layers) == ("text", BARTS[kind][2])
    assert again(spec).architecture == spec.architecture
    verdict = check(
        str(tmp_path / "config.json"),
        Workload(runtime="transformers", context_tokens=128, quantization="float32"),
        machine=WITHOUT_GPU,
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    (cache,) = (term for term in verdict.needs.memory.terms if term.name == "kv_cache")
    assert cache.bytes == 2 * BARTS[kind][2] * BARTS[kind][3] * 4 * 128


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"architectures": ["BartForSequenceClassification"]}, "BartForSequenceClassification"),
        ({"encoder_ffn_dim": 2048}, "encoder_ffn_dim is 2048"),
        ({"encoder_attention_heads": 8}, "encoder_attention_heads is 8"),
        ({"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings"),
        ({"decoder_layers": None}, "decoder_layers is missing"),
        ({"model_type": "led"}, "an encoder beside its decoder"),
    ],
)
def test_what_no_published_encoder_and_decoder_has_is_unknown(
    more: dict[str, object], why: str, tmp_path: Path
) -> None:
    """With the key named."""
    assert why in read_local(bart("bart", tmp_path, **more), ROWS).spec.unknown["architecture"]


def test_every_beam_keeps_what_was_read_and_written(tmp_path: Path) -> None:
    """num_beams of config.json, or of generation_config.json beside it: as many times the cache; other programs stay unknown."""

    def cache(**more: object) -> int:
        verdict = check(
            str(bart("bart", tmp_path, **more)),
            Workload(runtime="transformers"),
            machine=WITHOUT_GPU,
        )
        assert verdict.needs is not None
        assert verdict.needs.memory is not None
        return next(term.bytes for term in verdict.needs.memory.terms if term.name == "kv_cache")

    one = cache()
    assert cache(num_beams=4) == 4 * one
    (tmp_path / "generation_config.json").write_text('{"num_beams": 6}', encoding="utf-8")
    assert cache(num_beams=4) == 6 * one
    (tmp_path / "generation_config.json").write_text("{}", encoding="utf-8")
    assert cache(num_beams=4) == one
    # no number of beams that a search has: nothing is told of the cache, and the weights are as they were
    (tmp_path / "generation_config.json").write_text('{"num_beams": "6"}', encoding="utf-8")
    spec = read_local(tmp_path / "config.json", ROWS).spec
    assert "generation_config.json" in spec.unknown["architecture.attention"]
    assert again(spec) == spec
    (tmp_path / "generation_config.json").unlink()
    assert (
        "num_beams"
        in read_local(bart("bart", tmp_path, num_beams=10**9), ROWS).spec.unknown["architecture"]
    )
