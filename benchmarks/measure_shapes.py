"""Shapes that no rule was made from, on a processor of another kind: figures for `tests/truth/transformers_avx512.json`.

    pip install torch transformers safetensors accelerate
    python benchmarks/measure_shapes.py --out FILE [--only TEXT]

As measure_transformers.py, whose rules came from a processor with bfloat16 of its own (AVX512_BF16). Not part of the checks.
"""

from __future__ import annotations

from typing import Any

import measure_transformers as base
from rig import Rig, main


def _shape(
    width: int, layers: int, heads: int, kv_heads: int, length: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    return {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "intermediate_size": length, "vocab_size": vocabulary, **more,
    }  # fmt: skip


_NEOX = {
    "hidden_size": 1280,
    "num_hidden_layers": 10,
    "num_attention_heads": 16,
    "intermediate_size": 5120,
    "vocab_size": 50304,
}
_BERT = {"hidden_size": 640, "num_hidden_layers": 10, "num_attention_heads": 10, "intermediate_size": 2560, "vocab_size": 30522,
         "max_position_embeddings": 1024}  # fmt: skip
_EXPERTS = {
    "num_experts": 32,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 384,
    "head_dim": 64,
}
_MANY = {"num_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 256, "head_dim": 64}
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "b-llama": ("LlamaConfig", _shape(1536, 10, 12, 4, 4096, 48000), {}),
    "b-mistral": ("MistralConfig", _shape(1280, 14, 20, 5, 4480, 32768, sliding_window=1024), {}),
    "b-qwen3": (
        "Qwen3Config",
        _shape(1536, 6, 12, 4, 5120, 100000, head_dim=128, tie_word_embeddings=True),
        {},
    ),
    "b-gemma3": (
        "Gemma3TextConfig",
        _shape(1536, 8, 8, 2, 6144, 120000, head_dim=256, sliding_window=512),
        {},
    ),
    "b-olmo2": ("Olmo2Config", _shape(1280, 12, 16, 16, 5120, 50304), {}),
    "b-phi3": ("Phi3Config", _shape(1792, 8, 14, 14, 4864, 32064, pad_token_id=0), {}),
    "b-neox": ("GPTNeoXConfig", _NEOX, {"dtype": "float16"}),
    "b-qwen2f": (
        "Qwen2Config",
        _shape(768, 10, 12, 2, 3072, 60000, tie_word_embeddings=True),
        {"dtype": "float32"},
    ),
    "b-granite": (
        "GraniteConfig",
        _shape(1536, 9, 24, 8, 4096, 49155, tie_word_embeddings=True),
        {},
    ),
    "b-stable": ("StableLmConfig", _shape(1024, 16, 16, 16, 2816, 50304), {}),
    "b-cohere2": ("Cohere2Config", _shape(1536, 8, 12, 4, 4096, 64000, sliding_window=1024), {}),
    "b-starcoder2": ("Starcoder2Config", _shape(1536, 10, 12, 2, 6144, 49152), {}),
    "b-qwenmoe": ("Qwen3MoeConfig", _shape(768, 8, 12, 4, 2048, 50000, **_EXPERTS), {}),
    "c-qwenmoe": ("Qwen3MoeConfig", _shape(1024, 6, 16, 4, 2048, 40000, **_MANY), {}),
    "c-olmoe": (
        "OlmoeConfig",
        _shape(1024, 8, 16, 16, 512, 50304, num_experts=16, num_experts_per_tok=4, pad_token_id=1),
        {},
    ),
    "c-mixtral": (
        "MixtralConfig",
        _shape(896, 8, 14, 2, 2048, 32000, num_local_experts=8, num_experts_per_tok=2),
        {},
    ),
    "b-bert": ("BertConfig", _BERT, {"dtype": "float32"}),
}
_PROMPTS = {
    "b-llama": (700, 2600), "b-qwen2f": (800, 1600), "b-qwen3": (300, 900), "b-gemma3": (900,), "b-olmo2": (700,), "b-phi3": (800,),
    "b-qwenmoe": (800,), "b-stable": (900,), "b-cohere2": (1100,), "b-granite": (800,), "b-starcoder2": (700,), "b-mistral": (1100,),
    "b-neox": (600,), "c-qwenmoe": (500, 2000), "c-olmoe": (800,), "c-mixtral": (300, 1500),
}  # fmt: skip
base.MODELS.update(MODELS)


def cases() -> list[dict[str, Any]]:
    """Every run; a run is named by its own values."""
    encoded = ((4, 400, False), (1, 1000, True))
    made = [
        base._generate(model, tokens, _dtype(model))
        for model, prompts in _PROMPTS.items()
        for tokens in prompts
    ]
    return made + [
        {
            "kind": "encode",
            "model": "b-bert",
            "dtype": "float32",
            "batch": batch,
            "tokens": tokens,
            "padded": False,
            "every_token": every,
        }
        for batch, tokens, every in encoded
    ]


def _dtype(model: str) -> str:
    return MODELS[model][2].get("dtype", "bfloat16")


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_shapes.py: models with random weights, each run in a fresh process on one CPU thread",
    conditions=base.RIG.conditions,
    packages=("torch", "transformers", "safetensors"),
    groups={"generate": "generate", "encode": "encode"},
    cases=cases,
    make=base.make,
    measure=base.measure,
    config_of=base.config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
