"""What MLX LM really takes on a CPU: figures for `tests/truth/mlx.json`. Not part of the checks.

    pip install "mlx[cpu]" mlx-lm gguf
    VOCABULARIES=llama.cpp/models python benchmarks/measure_mlx.py --out FILE [--only TEXT]

Models with random weights, quantized as `mlx_lm.convert -q` does it (4 bits, groups of 64), read a prompt and answer; the
peak is mlx.core.get_peak_memory, which counts every buffer that MLX holds. Tokenizers are those of ggml-vocab-*.gguf in llama.cpp's
folder of models: tokens and merges of published ones; where a file has no merges they are all pairs, as transformers makes them.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
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

_MIXED = {**_SMALL, "num_hidden_layers": 8, "sliding_window": 128, "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 2,
          "max_position_embeddings": 8192, "tie_word_embeddings": False}  # fmt: skip
_ROPES = {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
                              "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}}  # fmt: skip
_EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 192,
    "norm_topk_prob": True,
    "n_group": 1,
    "topk_group": 1,
}
_LATENT = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 768,
           "kv_lora_rank": 128, "q_lora_rank": 64, "qk_rope_head_dim": 32, "qk_nope_head_dim": 64, "v_head_dim": 48, "vocab_size": 4000,
           "moe_intermediate_size": 192, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "n_group": 1,
           "topk_group": 1, "first_k_dense_replace": 1, "moe_layer_freq": 1, "routed_scaling_factor": 1.0, "norm_topk_prob": True,
           "topk_method": "noaux_tc", "scoring_func": "sigmoid", "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "attention_bias": False,
           "max_position_embeddings": 8192, "tie_word_embeddings": False}  # fmt: skip
# whose caches alone are looked at
KEEPING: dict[str, dict[str, Any]] = {
    "afmoe": {**_MIXED, **_EXPERTS, "num_dense_layers": 1, "num_shared_experts": 1, "num_expert_groups": 1, "num_limited_groups": 1,
              "global_attn_every_n_layers": 4, "rope_theta": 10000.0},
    "exaone_moe": {**_MIXED, **_EXPERTS, "num_shared_experts": 1, "first_k_dense_replace": 1, "is_moe_layer": [False] + [True] * 7,
                   "sliding_window_pattern": "LLLG", "routed_scaling_factor": 1.0},
    "laguna": {**_MIXED, **_EXPERTS, "num_attention_heads_per_layer": [4] * 8, "mlp_layer_types": ["dense"] + ["sparse"] * 7,
               "shared_expert_intermediate_size": 192, "gating": True, **_ROPES, "attention_bias": False},
    "mellum": {**_MIXED, **_EXPERTS, **_ROPES},
    "plamo3": {**_SMALL, "num_hidden_layers": 8, "window_size": 128, "sliding_window_pattern": 4, "rope_local_theta": 10000.0},
    "spark2_5": {**_MIXED, **_ROPES, "tie_word_embeddings": True},
    "recurrent_gemma": {**_SMALL, "num_key_value_heads": 1, "num_hidden_layers": 6, "attention_window_size": 128, "lru_width": 256,
                        "block_types": ["recurrent", "recurrent", "attention"], "conv1d_width": 4, "attention_bias": False,
                        "logits_soft_cap": 30.0, "embeddings_scale_by_sqrt_dim": True},
    "deepseek_v2": {**_LATENT, "topk_method": "greedy", "scoring_func": "softmax",
                    "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096, "beta_fast": 32,
                                     "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}},
    "deepseek_v3": _LATENT,
    "deepseek_v32": {**_LATENT, "index_head_dim": 64, "index_n_heads": 4, "index_topk": 64},
    "glm4_moe_lite": _LATENT,
    "lfm2_moe": {**_SMALL, **_EXPERTS, "num_hidden_layers": 6, "num_dense_layers": 2, "conv_L_cache": 3, "conv_bias": False,
                 "layer_types": ["conv", "conv", "full_attention"] * 2, "norm_eps": 1e-5, "use_expert_bias": True,
                 "max_position_embeddings": 8192},
}  # fmt: skip
KEEPING = {name: {**config, "model_type": name} for name, config in KEEPING.items()}
# and published ones, as large as they are: nothing is worked out, for MLX knows sizes before
PUBLISHED = Path(__file__).parents[1] / "tests" / "data" / "headers" / "configs"
AS_PUBLISHED = (
    "HuggingFaceTB--SmolLM-1.7B", "LGAI-EXAONE--EXAONE-4.0-32B", "LiquidAI--LFM2.5-Embedding-350M", "XiaomiMiMo--MiMo-V2-Flash",
    "allenai--Olmo-3.1-32B-Instruct", "deepseek-ai--DeepSeek-V2-Lite",
    "deepseek-ai--DeepSeek-V3.2", "google--gemma-4-26B-A4B", "meta-llama--Llama-4-Scout-17B-16E-Instruct", "mistralai--Mistral-7B-v0.1",
    "Qwen--Qwen3-Next-80B-A3B-Instruct", "nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "state-spaces--mamba-2.8b-hf",
    "moonshotai--Kimi-K2-Instruct", "openbmb--MiniCPM3-4B", "ibm-granite--granite-3.3-8b-instruct", "zai-org--GLM-5",
)  # fmt: skip
# what a module's make_cache gives to layers with a window
_ROTATING = ("RotatingKVCache(", "ChunkedKVCache(")

# of a matrix that is quantized by itself
_INPUTS, _OUTPUTS = 512, 256
TOKENIZERS = (
    "gpt-2",
    "starcoder",
    "falcon",
    "deepseek-llm",
    "qwen2",
    "command-r",
    "llama-spm",
    "llama-bpe",
    "gemma-4",
)


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
    ] + [
        {"kind": "cache", "model": model, "prompt_tokens": 5000, "new_tokens": 1} for model in (*KEEPING, *AS_PUBLISHED)
    ] + [{"kind": "windows", "model": "all"}] + [{"kind": "tokenizer", "model": name} for name in TOKENIZERS] + [
        {"kind": "quantized", "model": f"{_INPUTS} inputs, {_OUTPUTS} outputs", "mode": mode, "bits": bits, "group_size": group}
        for mode, bits, group in (
            *(("affine", bits, group) for bits in (1, 2, 3, 4, 5, 6, 8) for group in (32, 64, 128)),
            ("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16),
        )
    ]  # fmt: skip


def make(model: str, folder: str) -> None:
    """A tokenizer as transformers saves it; models are made in the measured process."""
    if model not in TOKENIZERS:
        return
    fields = (
        import_module("gguf")
        .GGUFReader(f"{os.environ['VOCABULARIES']}/ggml-vocab-{model}.gguf")
        .fields
    )

    def texts(key: str) -> list[str]:
        field = fields.get(f"tokenizer.ggml.{key}")
        return (
            [bytes(field.parts[at]).decode("utf-8", "replace") for at in field.data]
            if field
            else []
        )

    tokens, bytelevel = texts("tokens"), texts("model")[0] == "gpt2"
    # 3 and 4: what a user does not write, and what a user added (gguf.TokenType)
    types = [
        int(fields["tokenizer.ggml.token_type"].parts[at][0])
        for at in fields["tokenizer.ggml.token_type"].data
    ]
    own = {
        token: number
        for number, (token, type) in enumerate(zip(tokens, types, strict=True))
        if not bytelevel or type not in (3, 4)
    }
    merges = [pair.split(" ", 1) for pair in texts("merges")]
    merges = merges or [[token[:at], token[at:]] for token in own for at in range(1, len(token))]
    merges = [pair for pair in merges if len(pair) == 2 and {*pair, "".join(pair)} <= own.keys()]
    added = [
        {"id": number, "content": token, "special": type == 3, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for number, (token, type) in enumerate(zip(tokens, types, strict=True)) if type in (3, 4)
    ]  # fmt: skip
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    pieces = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
              {"type": "Strip", "content": " ", "start": 1, "stop": 0}]  # fmt: skip
    written = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "post_processor": None,
        "pre_tokenizer": level if bytelevel else None, "decoder": level if bytelevel else {"type": "Sequence", "decoders": pieces},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": not bytelevel, "vocab": own, "merges": merges},
    }  # fmt: skip
    Path(folder).mkdir()
    (Path(folder) / "tokenizer.json").write_text(
        json.dumps(written, ensure_ascii=False), encoding="utf-8"
    )
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": added[0]["content"]}
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def config_of(model: str, folder: str) -> dict[str, Any]:
    """The config that a model was made of, or what a tokenizer holds."""
    if model not in TOKENIZERS:
        return {**MODELS, **KEEPING}.get(model, {})
    found = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
    return {
        "tokens": len(found["model"]["vocab"]),
        "added": len(found["added_tokens"]),
        "merges": len(found["model"]["merges"]),
    }


def tokenizer(folder: str, stages: Stages) -> dict[str, Any]:
    """What mlx_lm.load takes of it, with what puts the answer together."""
    load = import_module("mlx_lm.utils").load_tokenizer
    stages.note("imported")
    made = load(Path(folder))
    detokenizer = made.detokenizer
    for token in made.encode("a few words"):
        detokenizer.add_token(token)
    detokenizer.finalize()
    stages.note("loaded")
    return {"file_bytes": (Path(folder) / "tokenizer.json").stat().st_size}


def caches_of(model: str, prompt_tokens: int) -> dict[str, Any]:
    """What the layers keep after the prompt and a token, and the weights in 4 bits, by the shapes of arrays: nothing is worked out."""
    mx, trees, utils, caches = (
        import_module(name)
        for name in ("mlx.core", "mlx.utils", "mlx_lm.utils", "mlx_lm.models.cache")
    )
    config = KEEPING.get(model) or json.loads(
        (PUBLISHED / f"{model}.json").read_text(encoding="utf-8")
    )
    config.pop("quantization_config", None)
    kind, arguments = utils._get_classes(config)
    made = kind(arguments.from_dict(config))
    made.set_dtype(getattr(mx, config.get("torch_dtype", "bfloat16")))
    kept = caches.make_prompt_cache(made)
    for start in range(0, prompt_tokens, 2048):
        made(mx.zeros((1, min(2048, prompt_tokens - start)), dtype=mx.int32), cache=kept)
    made(mx.zeros((1, 1), dtype=mx.int32), cache=kept)
    every = [one for layer in kept for one in getattr(layer, "caches", (layer,))]
    single = [one for one in every if hasattr(one, "keys")]
    states = sum(
        array.nbytes
        for one in every
        if not hasattr(one, "keys")
        for array in one.cache
        if array is not None
    )
    kinds = sorted({type(one).__name__ for one in single})
    kept_bytes = sum(one.keys.nbytes + one.values.nbytes for one in single)
    if config.get("tie_word_embeddings", True):
        # what sanitize does, or the class of MiniCPM3's default in its own repository
        made.pop("lm_head", None)
    packed, _ = utils.quantize_model(made, config, 64, 4)
    weights = sum(array.nbytes for _, array in trees.tree_flatten(packed.parameters()))
    return {
        "kinds": kinds,
        "cache_bytes": kept_bytes,
        "state_bytes": states,
        "four_bit_bytes": weights,
    }


def windows() -> dict[str, Any]:
    """Modules in which a layer with a window keeps no more than its tokens."""
    folder = Path(str(import_module("mlx_lm.models").__path__[0]))
    texts = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.py"))
        if path.stem != "cache"
    }
    return {
        "modules": [name for name, text in texts.items() if any(word in text for word in _ROTATING)]
    }


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One answer, a tokenizer alone, the caches of a model, or the arrays of a quantized matrix."""
    if case["kind"] == "tokenizer":
        return tokenizer(folder, stages)
    if case["kind"] == "cache":
        return caches_of(case["model"], case["prompt_tokens"])
    if case["kind"] == "windows":
        return windows()
    mx, nn, utils = import_module("mlx.core"), import_module("mlx.nn"), import_module("mlx.utils")
    if case["kind"] == "quantized":
        matrix = mx.zeros((_OUTPUTS, _INPUTS), dtype=mx.bfloat16)
        made = mx.quantize(
            matrix, mode=case["mode"], bits=case["bits"], group_size=case["group_size"]
        )
        return {"weights": matrix.size, "bytes": sum(array.nbytes for array in made)}
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
    for _token, _logits in generate.generate_step(
        prompt, model, max_tokens=case["new_tokens"], prompt_cache=cache
    ):
        pass
    stages.note("done")
    if case["kind"] == "scan":
        return {
            "weights_bytes": weights,
            "active_before_bytes": before,
            "mlx_peak_bytes": mx.get_peak_memory(),
        }
    return {
        "weights_bytes": weights,
        "active_before_bytes": before,
        "cache_bytes": sum(
            item.nbytes for layer in cache for item in layer.state if hasattr(item, "nbytes")
        ),
        "held_cache_bytes": sum(
            item.nbytes for layer in cache for item in (layer.keys, layer.values)
        ),
        "mlx_peak_bytes": mx.get_peak_memory(),
    }


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_mlx.py: models with random weights, each run in a fresh process on a CPU",
    conditions="mlx_peak_bytes: mlx.core.get_peak_memory once the model is loaded, weights included; stages from /proc/self/status",
    packages=("mlx", "mlx-lm"),
    groups={
        "answer": "runs",
        "scan": "scans",
        "cache": "caches",
        "windows": "windows",
        "tokenizer": "tokenizers",
        "quantized": "quantized",
    },
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
