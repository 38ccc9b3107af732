"""What MLX LM really takes on a CPU: figures for `tests/truth/mlx.json`. Not part of the checks.

    pip install "mlx[cpu]" mlx-lm
    python benchmarks/measure_mlx.py --out FILE [--only TEXT]

Models with random weights, quantized as `mlx_lm.convert -q` does it (4 bits, groups of 64), read a prompt and answer; the
peak is mlx.core.get_peak_memory, which counts every buffer that MLX holds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rig import Rig, Stages, main

_LLAMA = {"model_type": "llama", "rms_norm_eps": 1e-5, "rope_theta": 10000.0}
_SMALL = {"rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 64, "intermediate_size": 768, "vocab_size": 4000, "tie_word_embeddings": True}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "llama-512": {**_LLAMA, "hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2,
                  "intermediate_size": 1536, "vocab_size": 16000, "tie_word_embeddings": False},
    "llama-256": {**_SMALL, **_LLAMA, "num_hidden_layers": 6},
    "qwen3-256": {**_SMALL, "model_type": "qwen3", "num_hidden_layers": 4, "max_position_embeddings": 8192},
    "gemma3-256": {**_SMALL, "model_type": "gemma3_text", "num_hidden_layers": 6, "sliding_window": 128, "sliding_window_pattern": 6,
                   "query_pre_attn_scalar": 64},
    "qwen3moe-256": {**_SMALL, "model_type": "qwen3_moe", "num_hidden_layers": 4, "num_experts": 8, "num_experts_per_tok": 2,
                     "decoder_sparse_step": 1, "mlp_only_layers": [], "moe_intermediate_size": 192, "norm_topk_prob": True,
                     "max_position_embeddings": 8192},
    "mamba-512": {"model_type": "mamba", "vocab_size": 4000, "hidden_size": 512, "intermediate_size": 1024, "state_size": 16,
                  "num_hidden_layers": 4, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": 32,
                  "tie_word_embeddings": True},
    "mamba2-512": {"model_type": "mamba2", "vocab_size": 4000, "hidden_size": 512, "intermediate_size": 1024, "num_heads": 16,
                   "head_dim": 64, "state_size": 128, "ssm_state_size": 128, "num_hidden_layers": 4, "layer_norm_epsilon": 1e-5,
                   "conv_kernel": 4, "n_groups": 1, "use_bias": False, "use_conv_bias": True, "tie_word_embeddings": True,
                   "time_step_limit": [0.001, 100.0], "time_step_rank": "auto"},
}  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Every run. `bits` 16: not quantized. A CPU's kernels are slow, so models and prompts are small."""
    return [
        {"kind": "answer", "model": model, "bits": bits, "prompt_tokens": tokens, "new_tokens": 4}
        for model, bits, tokens in (
            ("llama-512", 4, 64), ("llama-512", 4, 500), ("llama-512", 16, 500), ("llama-256", 4, 255), ("llama-256", 4, 300),
            ("llama-256", 8, 300), ("llama-256", 16, 1024), ("llama-256", 16, 2300), ("qwen3-256", 4, 600), ("qwen3-256", 8, 600),
            ("qwen3-256", 16, 600), ("gemma3-256", 4, 100), ("gemma3-256", 4, 600), ("gemma3-256", 16, 600), ("gemma3-256", 16, 2300),
            ("qwen3moe-256", 4, 300), ("qwen3moe-256", 8, 300), ("qwen3moe-256", 16, 300),
        )
    ] + [
        {"kind": "scan", "model": model, "bits": 16, "prompt_tokens": tokens, "new_tokens": 2}
        for model in ("mamba-512", "mamba2-512") for tokens in (256, 1024, 2048)
    ]  # fmt: skip


def make(*_: str) -> None:
    """Models are made in the measured process."""


def config_of(model: str, _: str) -> dict[str, Any]:
    """The config that a model was made of."""
    return MODELS[model]


def measure(case: dict[str, Any], _: str, stages: Stages) -> dict[str, Any]:
    """One answer."""
    mx, nn, utils = import_module("mlx.core"), import_module("mlx.nn"), import_module("mlx.utils")
    generate = import_module("mlx_lm.generate")
    cache_of = import_module("mlx_lm.models.cache").make_prompt_cache
    module = import_module(f"mlx_lm.models.{MODELS[case['model']]['model_type']}")
    stages.note("imported")
    mx.random.seed(1)
    model = module.Model(module.ModelArgs.from_dict(MODELS[case["model"]]))
    model.set_dtype(mx.bfloat16)
    if case["bits"] < 16:
        nn.quantize(model, group_size=64, bits=case["bits"])
    mx.eval(model.parameters())
    mx.clear_cache()
    weights = sum(item.nbytes for _, item in utils.tree_flatten(model.parameters()))
    stages.note("loaded")
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    cache = cache_of(model)
    prompt = mx.random.randint(5, 1000, (case["prompt_tokens"],))
    for _token, _logits in generate.generate_step(prompt, model, max_tokens=case["new_tokens"], prompt_cache=cache):
        pass
    stages.note("done")
    if case["kind"] == "scan":
        return {"weights_bytes": weights, "active_before_bytes": before, "mlx_peak_bytes": mx.get_peak_memory()}
    return {
        "weights_bytes": weights,
        "active_before_bytes": before,
        "cache_bytes": sum(item.nbytes for layer in cache for item in layer.state if hasattr(item, "nbytes")),
        "held_cache_bytes": sum(item.nbytes for layer in cache for item in (layer.keys, layer.values)),
        "mlx_peak_bytes": mx.get_peak_memory(),
    }


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_mlx.py: models with random weights, each run in a fresh process on a CPU",
    conditions="mlx_peak_bytes: mlx.core.get_peak_memory once the model is loaded, weights included; stages from /proc/self/status",
    packages=("mlx", "mlx-lm"),
    groups={"answer": "runs", "scan": "scans"},
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
