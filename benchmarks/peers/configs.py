"""The config.json of a model, as a hub would serve it, for programs that read one offline.

Published files lie in tests/data/headers/configs. For a model without one there it is made of the public
facts in models.jsonl, with the keys of its architecture and the text part alone.
"""

from __future__ import annotations

import json
from typing import Any

from board import HERE, Model

STORED = HERE.parents[1] / "tests" / "data" / "headers" / "configs"
CLASSES = {
    "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "mixtral": "MixtralForCausalLM",
    "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "qwen3moe": "Qwen3MoeForCausalLM",
    "qwen3next": "Qwen3NextForCausalLM", "gemma2": "Gemma2ForCausalLM", "gemma3": "Gemma3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM", "phi3": "Phi3ForCausalLM", "granite": "GraniteForCausalLM",
    "qwen3_5": "Qwen3_5ForConditionalGeneration", "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
    "gemma4": "Gemma4ForConditionalGeneration",
}  # fmt: skip
TYPES = {
    "qwen3moe": "qwen3_moe", "qwen3next": "qwen3_next", "gemma3": "gemma3_text", "gemma4": "gemma4_text",
    "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text",
}  # fmt: skip
# Gemma 4's layers that see the whole context keep fewer heads, of 512 elements
GEMMA4_HEADS = {"gemma-4-26b-a4b": 2}
# Qwen's linear layers: heads of values, by the width of the model
LINEAR_HEADS = {5120: 48, 1024: 16}


def config_of(model: Model) -> dict[str, Any]:
    """The published config.json, else one of the same facts."""
    repository = model.config_of or model.repository
    path = STORED / f"{repository.replace('/', '--')}.json"
    if path.exists():
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return config
    return {**_plain(model), **_layers(model), **_experts(model)}


def _plain(model: Model) -> dict[str, Any]:
    return {
        "architectures": [CLASSES.get(model.architecture, "X")],
        "model_type": TYPES.get(model.architecture, model.architecture),
        "hidden_size": model.hidden,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocabulary,
        "max_position_embeddings": model.context,
        "torch_dtype": "bfloat16",
        "intermediate_size": 4 * model.hidden,
    }


def _layers(model: Model) -> dict[str, Any]:
    """What the layers are, where not all attend to the whole context."""
    if model.architecture == "gemma3":
        # as published: no pattern stands in the file
        return {"sliding_window": model.window}
    if model.architecture == "gemma4":
        return {
            "sliding_window": model.window,
            "layer_types": _types(model, "sliding_attention", 6),
            "global_head_dim": 512,
            "num_global_key_value_heads": GEMMA4_HEADS.get(model.model, 1),
        }
    if model.architecture in ("qwen3_5", "qwen3_5_moe", "qwen3next"):
        return {
            "full_attention_interval": 4,
            "layer_types": _types(model, "linear_attention", 4),
            "linear_conv_kernel_dim": 4,
            "linear_key_head_dim": 128,
            "linear_value_head_dim": 128,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": LINEAR_HEADS.get(model.hidden, 32),
        }
    return {}


def _types(
    model: Model,
    usual: str,
    every: int,
) -> list[str]:
    """The kinds of the layers: the last one of `every` attends to the whole context."""
    kinds = [usual] * model.layers
    for place in range(every - 1, model.layers, every):
        kinds[place] = "full_attention"
    return kinds


def _experts(model: Model) -> dict[str, Any]:
    if model.experts is None:
        return {}
    return {
        "num_experts": model.experts,
        "num_experts_per_tok": model.experts_used,
        "moe_intermediate_size": model.expert_hidden,
    }
