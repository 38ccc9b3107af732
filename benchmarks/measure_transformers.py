"""What PyTorch and transformers really take on a CPU: figures for `tests/truth/transformers.json`. Not part of the checks.

    pip install torch transformers safetensors accelerate numpy peft
    python benchmarks/measure_transformers.py --out FILE [--only TEXT] [--work DIR] [--list]

Models are made from config classes with random weights (nothing is downloaded), saved, and measured each in a fresh
process on Linux: resident memory by stage from `/proc/self/status`, whose high-water mark is reset between stages, and the exact
bytes that PyTorch's allocator held, from its profiler. Runs already in FILE are kept, so that a broken run can go on.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from rig import Allocations, Rig, Stages, main, stored_bytes

_LLAMA = {
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "intermediate_size": 2816,
    "vocab_size": 32000,
}
_EIGHT = {"num_local_experts": 8, "num_experts_per_tok": 2}
# class of the config, its arguments, and how the files are saved where not as bfloat16 safetensors; layers and vocabularies are cut short
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "llama-1024": ("LlamaConfig", {"hidden_size": 1024, "num_hidden_layers": 12, **_LLAMA}, {}),
    "llama-1024-f32": ("LlamaConfig", {"hidden_size": 1024, "num_hidden_layers": 12, **_LLAMA}, {"dtype": "float32"}),
    "llama-2048": (
        "LlamaConfig",
        {"hidden_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192,
         "vocab_size": 128256, "tie_word_embeddings": True},
        {},
    ),
    "llama-4096": (
        "LlamaConfig",
        {"hidden_size": 4096, "num_hidden_layers": 3, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
         "vocab_size": 32000, "tie_word_embeddings": True},
        {},
    ),
    "llama-deep": (
        "LlamaConfig",
        {"hidden_size": 512, "num_hidden_layers": 40, "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 2048,
         "vocab_size": 32000},
        {},
    ),
    "mistral-window": ("MistralConfig", {"hidden_size": 1024, "num_hidden_layers": 8, "sliding_window": 512, **_LLAMA}, {}),
    "qwen2": (
        "Qwen2Config",
        {"hidden_size": 896, "num_hidden_layers": 8, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
         "vocab_size": 151936, "tie_word_embeddings": True},
        {},
    ),
    "qwen3": (
        "Qwen3Config",
        {"hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 3072, "vocab_size": 151936, "tie_word_embeddings": True},
        {},
    ),
    "gemma2": (
        "Gemma2Config",
        {"hidden_size": 2304, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
         "intermediate_size": 9216, "vocab_size": 64000, "sliding_window": 512},
        {},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        {"hidden_size": 1152, "num_hidden_layers": 12, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
         "intermediate_size": 6912, "vocab_size": 64000, "sliding_window": 512},
        {},
    ),
    "gpt2": ("GPT2Config", {"n_embd": 1024, "n_layer": 12, "n_head": 16, "n_positions": 8192}, {"dtype": "float32"}),
    "opt-bin": (
        "OPTConfig",
        {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "ffn_dim": 4096, "word_embed_proj_dim": 1024,
         "do_layer_norm_before": True},
        {"format": "bin", "dtype": "float16"},
    ),
    "phi3": (
        "Phi3Config",
        {"hidden_size": 2048, "num_hidden_layers": 6, "num_attention_heads": 32, "num_key_value_heads": 32, "intermediate_size": 8192,
         "vocab_size": 32064, "sliding_window": None, "pad_token_id": 0},
        {},
    ),
    "mixtral": ("MixtralConfig", {"hidden_size": 1024, "num_hidden_layers": 6, **_LLAMA, "intermediate_size": 1792, **_EIGHT}, {}),
    "qwen3-moe": (
        "Qwen3MoeConfig",
        {"hidden_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128,
         "moe_intermediate_size": 384, "num_experts": 32, "num_experts_per_tok": 4, "vocab_size": 32000},
        {},
    ),
    "qwen3-moe-wide": (
        "Qwen3MoeConfig",
        {"hidden_size": 2048, "num_hidden_layers": 3, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 64,
         "moe_intermediate_size": 768, "num_experts": 64, "num_experts_per_tok": 8, "vocab_size": 32000},
        {},
    ),
    "qwen3-moe-fp8": (
        "Qwen3MoeConfig",
        {"hidden_size": 2048, "num_hidden_layers": 3, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 64,
         "moe_intermediate_size": 768, "num_experts": 64, "num_experts_per_tok": 8, "vocab_size": 32000},
        {"format": "fp8"},
    ),
    "deepseek": (
        "DeepseekV3Config",
        {"hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 4096,
         "moe_intermediate_size": 512, "n_routed_experts": 16, "num_experts_per_tok": 4, "n_group": 1, "topk_group": 1,
         "kv_lora_rank": 512, "q_lora_rank": 768, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
         "first_k_dense_replace": 1, "vocab_size": 32000},
        {},
    ),
    "gpt-oss": (
        "GptOssConfig",
        {"hidden_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64,
         "intermediate_size": 1024, "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000, "sliding_window": 128},
        {},
    ),
    "bert": ("BertConfig", {"vocab_size": 30522, "max_position_embeddings": 2048}, {"dtype": "float32"}),
    "xlm-roberta": (
        "XLMRobertaConfig",
        {"hidden_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 16, "intermediate_size": 4096, "vocab_size": 100000,
         "max_position_embeddings": 8194, "type_vocab_size": 1},
        {"dtype": "float32"},
    ),
    "nomic-bert": ("NomicBertConfig", {"num_hidden_layers": 12, "max_position_embeddings": 2048}, {"dtype": "float32"}),
    "embeddinggemma": (
        "Gemma3TextConfig",
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 256,
         "intermediate_size": 1152, "vocab_size": 100000, "sliding_window": 512, "use_bidirectional_attention": True},
        {},
    ),
    "qwen3-embedding": (
        "Qwen3Config",
        {"hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 3072, "vocab_size": 100000, "tie_word_embeddings": True},
        {},
    ),
    "llama-train": ("LlamaConfig", {"hidden_size": 768, "num_hidden_layers": 8, "num_attention_heads": 12, "num_key_value_heads": 4,
                                    "intermediate_size": 2048, "vocab_size": 32000}, {}),
}  # fmt: skip

_HYBRID = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "intermediate_size": 2816,
    "vocab_size": 32000,
}
_DELTA = {
    "head_dim": 64,
    "linear_num_key_heads": 8,
    "linear_num_value_heads": 16,
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
}
_MAMBA2 = {"mamba_n_heads": 32, "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_d_state": 128}
# models that keep a state
MODELS |= {
    "mamba": ("MambaConfig", {"hidden_size": 1024, "num_hidden_layers": 12, "vocab_size": 32000}, {"dtype": "float32"}),
    "falcon-h1": ("FalconH1Config", {**_HYBRID, "num_hidden_layers": 8, "mamba_d_ssm": 2048, "mamba_chunk_size": 128, **_MAMBA2}, {}),
    "granite-h": (
        "GraniteMoeHybridConfig",
        {**_HYBRID, "num_hidden_layers": 8, "layer_types": ["mamba", "mamba", "mamba", "attention"] * 2, "mamba_expand": 2,
         "num_local_experts": 0, "num_experts_per_tok": 0, "shared_intermediate_size": 2816, **_MAMBA2},
        {},
    ),
    "lfm2": (
        "Lfm2Config",
        {**_HYBRID, "num_hidden_layers": 9, "layer_types": ["conv", "conv", "full_attention"] * 3, "block_auto_adjust_ff_dim": False},
        {},
    ),
    "qwen3.5": (
        "Qwen3_5TextConfig",
        {**_HYBRID, "num_hidden_layers": 8, "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 2, **_DELTA},
        {},
    ),
}  # fmt: skip
# shapes as published, of models of the catalogue and of some that are not: whole, with random weights
_BERT_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_XLM = {"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1}
MODELS |= {
    "pythia-410m": (
        "GPTNeoXConfig",
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096, "vocab_size": 50304,
         "rotary_pct": 0.25},
        {"dtype": "float16"},
    ),
    "gemma-3-270m": (
        "Gemma3TextConfig",
        {"hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
         "intermediate_size": 2048, "vocab_size": 262144, "sliding_window": 512},
        {},
    ),
    "smollm2-135m": (
        "LlamaConfig",
        {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
         "vocab_size": 49152, "tie_word_embeddings": True},
        {},
    ),
    "qwen3-0.6b": (
        "Qwen3Config",
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 3072, "vocab_size": 151936, "tie_word_embeddings": True},
        {},
    ),
    "llama-3.2-1b": (
        "LlamaConfig",
        {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192,
         "vocab_size": 128256, "tie_word_embeddings": True},
        {},
    ),
    "mistral-4096": (
        "MistralConfig",
        {"hidden_size": 4096, "num_hidden_layers": 6, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
         "vocab_size": 32768, "sliding_window": None},
        {},
    ),
    "granite-1b-moe": (
        "GraniteMoeConfig",
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 512,
         "num_local_experts": 32, "num_experts_per_tok": 8, "vocab_size": 49155, "tie_word_embeddings": True},
        {},
    ),
    "phi-1.5": (
        "PhiConfig",
        {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "intermediate_size": 8192, "vocab_size": 51200,
         "partial_rotary_factor": 0.5},
        {"dtype": "float16"},
    ),
    "gpt2-medium": ("GPT2Config", {"n_embd": 1024, "n_layer": 24, "n_head": 16}, {"dtype": "float32"}),
    "qwen2.5-0.5b": (
        "Qwen2Config",
        {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
         "vocab_size": 151936, "tie_word_embeddings": True},
        {},
    ),
    "lfm2-350m": (
        "Lfm2Config",
        {"hidden_size": 1024, "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 4608,
         "vocab_size": 65536, "block_auto_adjust_ff_dim": False, "tie_word_embeddings": True,
         "layer_types": ["full_attention" if layer in (2, 5, 8, 10, 12, 14) else "conv" for layer in range(16)]},
        {},
    ),
    "falcon-h1-0.5b": (
        "FalconH1Config",
        {"hidden_size": 1024, "num_hidden_layers": 36, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
         "intermediate_size": 2048, "vocab_size": 32784, "mamba_d_ssm": 1536, "mamba_n_heads": 24, "mamba_d_head": 64,
         "mamba_n_groups": 1, "mamba_d_state": 128, "mamba_chunk_size": 128},
        {},
    ),
    "olmo2-1b": (
        "Olmo2Config",
        {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 8192,
         "vocab_size": 100352},
        {},
    ),
    "opt-125m": (
        "OPTConfig",
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "ffn_dim": 3072, "word_embed_proj_dim": 768,
         "max_position_embeddings": 2048, "do_layer_norm_before": True},
        {"dtype": "float16"},
    ),
    "e5-large": ("XLMRobertaConfig", {**_BERT_LARGE, **_XLM}, {"dtype": "float32"}),
    "bge-m3": ("XLMRobertaConfig", {**_BERT_LARGE, **_XLM, "max_position_embeddings": 8194}, {"dtype": "float32"}),
    "e5-base": ("XLMRobertaConfig", {"num_hidden_layers": 12, **_XLM}, {"dtype": "float32"}),
    "bge-small": (
        "BertConfig",
        {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536},
        {"dtype": "float32"},
    ),
    "bert-large": ("BertConfig", _BERT_LARGE, {"dtype": "float32"}),
    "nomic-embed": (
        "NomicBertConfig",
        {"num_hidden_layers": 12, "max_position_embeddings": 2048, "vocab_size": 30528},
        {"dtype": "float32"},
    ),
    "embeddinggemma-300m": (
        "Gemma3TextConfig",
        {"hidden_size": 768, "num_hidden_layers": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 256,
         "intermediate_size": 1152, "vocab_size": 262144, "sliding_window": 512, "use_bidirectional_attention": True},
        {},
    ),
    "qwen3-embedding-0.6b": (
        "Qwen3Config",
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 3072, "vocab_size": 151669, "tie_word_embeddings": True},
        {},
    ),
}  # fmt: skip
# models that see: small, but for the patches of a picture
_TEXT = {"hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 2816,
         "vocab_size": 32064, "max_position_embeddings": 8192}  # fmt: skip
_EYE = {
    "hidden_size": 640,
    "intermediate_size": 2560,
    "num_hidden_layers": 8,
    "num_attention_heads": 10,
}
MODELS |= {
    "qwen3-vl": (
        "Qwen3VLConfig",
        {"text_config": {**_TEXT, "head_dim": 64}, "image_token_id": 32001, "video_token_id": 32002, "vision_start_token_id": 32003,
         "vision_config": {"depth": 8, "hidden_size": 640, "intermediate_size": 2560, "num_heads": 10, "out_hidden_size": 1024,
                           "deepstack_visual_indexes": [1, 3, 5]}},
        {},
    ),
    "qwen2.5-vl": (
        "Qwen2_5_VLConfig",
        {"text_config": _TEXT, "image_token_id": 32001, "video_token_id": 32002, "vision_start_token_id": 32003,
         "vision_config": {"depth": 8, "hidden_size": 640, "intermediate_size": 1720, "num_heads": 10, "out_hidden_size": 1024,
                           "fullatt_block_indexes": [3, 7]}},
        {},
    ),
    "gemma3-vision": (
        "Gemma3Config",
        {"text_config": {**_TEXT, "head_dim": 64, "sliding_window": 512}, "image_token_index": 32001,
         "vision_config": {**_EYE, "image_size": 896, "patch_size": 14}},
        {},
    ),
    "llava": (
        "LlavaConfig",
        {"text_config": {"model_type": "llama", **_TEXT}, "image_token_index": 32000,
         "vision_config": {"model_type": "clip_vision_model", **_EYE, "image_size": 336, "patch_size": 14}},
        {},
    ),
    "mistral3": (
        "Mistral3Config",
        {"text_config": {"model_type": "mistral", **_TEXT, "sliding_window": None}, "image_token_index": 10,
         "vision_config": {"model_type": "pixtral", **_EYE, "head_dim": 64, "image_size": 1540, "patch_size": 14}},
        {},
    ),
}  # fmt: skip
# the shapes of OpenAI's models: width, layers of the encoder and of the decoder, heads, mel bins, tokens
_WHISPER = {
    "tiny": (384, 4, 4, 6, 80, 51865), "base": (512, 6, 6, 8, 80, 51865), "small": (768, 12, 12, 12, 80, 51865),
    "turbo": (1280, 32, 4, 20, 128, 51866),
}  # fmt: skip
for _size, (_wide, _above, _below, _heads, _mels, _tokens) in _WHISPER.items():
    MODELS[f"whisper-{_size}"] = (
        "WhisperConfig",
        {"d_model": _wide, "encoder_layers": _above, "decoder_layers": _below, "encoder_attention_heads": _heads,
         "decoder_attention_heads": _heads, "encoder_ffn_dim": 4 * _wide, "decoder_ffn_dim": 4 * _wide, "num_mel_bins": _mels,
         "vocab_size": _tokens, "pad_token_id": 50257},
        {"dtype": "float16" if _size == "turbo" else "float32"},
    )  # fmt: skip
# an encoder that reads and a decoder that writes: fewer layers than the published models whose shapes they have
_BART = {"decoder_layers": 3, "encoder_attention_heads": 16, "decoder_attention_heads": 16, "encoder_ffn_dim": 4096,
         "decoder_ffn_dim": 4096, "d_model": 1024, "encoder_layers": 6}  # fmt: skip
MODELS |= {
    "t5": (
        "T5Config",
        {"d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 6, "num_decoder_layers": 6, "num_heads": 16, "vocab_size": 32128,
         "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {},
    ),
    "t5-small": ("T5Config", {"vocab_size": 32128}, {"dtype": "float32"}),
    "bart": ("BartConfig", {**_BART, "vocab_size": 50265, "max_position_embeddings": 4096}, {"dtype": "float32"}),
    "mbart": ("MBartConfig", {**_BART, "vocab_size": 50265, "max_position_embeddings": 4096}, {"dtype": "float32"}),
    "nllb": ("M2M100Config", {**_BART, "decoder_layers": 6, "vocab_size": 64000, "max_position_embeddings": 4096}, {"dtype": "float32"}),
    "marian": ("MarianConfig", {**_BART, "vocab_size": 58101, "max_position_embeddings": 4096, "d_model": 512, "encoder_attention_heads": 8,
                                "decoder_attention_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048}, {"dtype": "float32"}),
    "pegasus": ("PegasusConfig", {**_BART, "vocab_size": 96103, "max_position_embeddings": 4096}, {"dtype": "float32"}),
}  # fmt: skip
_READERS = ("t5", "t5-small", "bart", "mbart", "nllb", "marian", "pegasus")
# one small model of every other class: only what PyTorch's allocator counts is taken of them
_SMALL = {"hidden_size": 768, "num_hidden_layers": 3, "num_attention_heads": 12, "num_key_value_heads": 4, "intermediate_size": 2048,
          "vocab_size": 8192, "max_position_embeddings": 16384}  # fmt: skip
_HEADS_ALIKE = {**_SMALL, "num_key_value_heads": 12}
_GEMMA = {**_SMALL, "head_dim": 128, "num_attention_heads": 6, "num_key_value_heads": 1}
_FEW = {"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 512}
_LATENT = {**_SMALL, "num_attention_heads": 8, "num_key_value_heads": 8, "moe_intermediate_size": 512, "n_routed_experts": 8,
           "num_experts_per_tok": 2, "kv_lora_rank": 256, "q_lora_rank": 384, "qk_rope_head_dim": 32, "qk_nope_head_dim": 64,
           "v_head_dim": 64, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "n_shared_experts": 1}  # fmt: skip
_OLD = {"hidden_size": 768, "vocab_size": 8192}
_SCAN = {"mamba_n_heads": 24, "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_d_state": 64}
_KEYS = {
    "head_dim": 64,
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
}
_FOUR = {**_SMALL, "num_hidden_layers": 4}
PASSES: dict[str, dict[str, Any]] = {
    "granite": _SMALL,
    "granitemoe": {**_SMALL, **_FEW},
    "gpt_neox": {**{key: value for key, value in _SMALL.items() if key != "num_key_value_heads"}, "intermediate_size": 3072},
    "phi": {**_HEADS_ALIKE, "intermediate_size": 3072},
    "cohere2": {**_FOUR, "sliding_window": 512},
    "gemma": _GEMMA,
    "glm4": {**_SMALL, "head_dim": 64, "pad_token_id": 0},
    "glm4_moe": {**_SMALL, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512, "n_shared_experts": 1,
                 "first_k_dense_replace": 1, "head_dim": 64, "n_group": 1, "topk_group": 1},
    "stablelm": _HEADS_ALIKE,
    "gpt_bigcode": {"n_embd": 768, "n_layer": 3, "n_head": 12, "n_inner": 3072, "vocab_size": 8192, "n_positions": 16384},
    "starcoder2": {**_SMALL, "sliding_window": None, "intermediate_size": 3072},
    "smollm3": {**_SMALL, "pad_token_id": 0},
    "seed_oss": {**_SMALL, "head_dim": 64},
    "olmo2": _HEADS_ALIKE,
    "olmoe": {**_HEADS_ALIKE, "num_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 512},
    "nemotron": {**_SMALL, "head_dim": 64},
    "apertus": _SMALL,
    "arcee": _SMALL,
    "ernie4_5": {**_SMALL, "head_dim": 64},
    "minimax_m2": {**_SMALL, **_FEW, "head_dim": 64},
    "phimoe": {**_SMALL, **_FEW, "sliding_window": None},
    "ministral3": {**_SMALL, "head_dim": 64},
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "bloom": {**_OLD, "n_layer": 3, "n_head": 12},
    "gpt_neo": {**_OLD, "num_layers": 4, "num_heads": 12, "attention_types": [[["global", "local"], 2]], "max_position_embeddings": 4096},
    "gptj": {"n_embd": 768, "n_layer": 3, "n_head": 12, "vocab_size": 8192, "n_positions": 4096, "rotary_dim": 64},
    "mpt": {"d_model": 768, "n_layers": 3, "n_heads": 12, "vocab_size": 8192, "max_seq_len": 4096},
    "falcon": {**_OLD, "num_hidden_layers": 3, "num_attention_heads": 12, "multi_query": True, "parallel_attn": True, "bias": False},
    "mamba": {**_OLD, "num_hidden_layers": 3, "state_size": 16, "expand": 2},
    "falcon_mamba": {**_OLD, "num_hidden_layers": 3, "state_size": 16, "expand": 2, "intermediate_size": 1536},
    "falcon_h1": {**_SMALL, "head_dim": 64, "mamba_d_ssm": 1536, "mamba_chunk_size": 128, **_SCAN},
    "granitemoehybrid": {**_FOUR, "layer_types": ["mamba", "mamba", "attention", "mamba"], "mamba_expand": 2, **_FEW,
                         "shared_intermediate_size": 1024, **_SCAN},
    "jamba": {**_FOUR, "attn_layer_period": 4, "attn_layer_offset": 2, "expert_layer_period": 2, "expert_layer_offset": 1,
              "num_experts": 4, "num_experts_per_tok": 2, "mamba_d_state": 16, "mamba_expand": 2, "use_mamba_kernels": False},
    "nemotron_h": {**_FOUR, "hybrid_override_pattern": "M-M*", "head_dim": 64, "ssm_state_size": 64, "mamba_num_heads": 24,
                   "mamba_head_dim": 64, "n_groups": 2},
    "qwen3_5_text": {**_FOUR, **_KEYS},
    "qwen3_next": {**_FOUR, **_KEYS, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512,
                   "shared_expert_intermediate_size": 512},
    "lfm2_moe": {**_FOUR, "layer_types": ["conv", "conv", "full_attention", "conv"], "num_experts": 8, "num_experts_per_tok": 2,
                 "moe_intermediate_size": 512, "num_dense_layers": 1},
    "olmo_hybrid": {**_FOUR, "pad_token_id": 0, "eos_token_id": 2},
    "recurrent_gemma": {**_FOUR, "num_key_value_heads": 1, "lru_width": 1024, "num_attention_heads": 8, "intermediate_size": 4096,
                        "tie_word_embeddings": True},
    "zamba": {**_FOUR, "num_hidden_layers": 8, "attn_layer_period": 3, "attn_layer_offset": 1, "num_key_value_heads": 12,
              "n_mamba_heads": 2, "mamba_dt_rank": 48, "tie_word_embeddings": True},
    "zamba2": {**_FOUR, "num_hidden_layers": 6, "layers_block_type": ["mamba", "mamba", "hybrid", "mamba", "hybrid", "hybrid"],
               "num_key_value_heads": 12, "n_mamba_heads": 24, "num_mem_blocks": 2, "tie_word_embeddings": True},
}  # fmt: skip
# published in 32 bits too
_IN_BOTH = ("bloom", "gpt_neo", "gptj", "mpt", "falcon", "mamba", "falcon_h1", "qwen3_5_text")


def _generate(model: str, prompt: int, dtype: str = "bfloat16", **more: Any) -> dict[str, Any]:
    return {
        "kind": "generate",
        "model": model,
        "dtype": dtype,
        "batch": 1,
        "prompt_tokens": prompt,
        "new_tokens": 8,
        **more,
    }


def _train(method: str, tokens: int, **more: Any) -> dict[str, Any]:
    case = {
        "kind": "train",
        "model": "llama-train",
        "method": method,
        "dtype": "float32",
        "batch": 1,
        "tokens": tokens,
    }
    return {**case, "checkpointing": False, **more}


_ENCODERS = (
    "bert", "xlm-roberta", "nomic-bert", "embeddinggemma", "qwen3-embedding", "e5-large", "bge-m3", "e5-base", "bge-small", "bert-large",
    "nomic-embed", "embeddinggemma-300m", "qwen3-embedding-0.6b",
)  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Every run; a run is named by its own values."""
    made = [_generate("llama-1024", tokens) for tokens in (128, 512, 2048, 4096)]
    made += [_generate("llama-1024", tokens, "float32") for tokens in (128, 1024, 2048)]
    made += [
        _generate("llama-1024", 1024, "float16"),
        _generate("llama-1024", 512, batch=4),
        _generate("llama-1024", 512, batch=4, padded=True),
        _generate("llama-1024", 512, "float32", batch=2),
        _generate("llama-1024", 1024, attention="eager"),
        _generate("llama-1024", 1024, "float32", attention="eager"),
        _generate("llama-1024", 16, new_tokens=400),
        _generate("llama-1024", 16, "float32", new_tokens=400),
        _generate("llama-1024", 1024, threads=2),
        _generate("llama-1024", 1024, chunk=256),
        _generate("llama-1024-f32", 512, "float32"),
        _generate("llama-1024-f32", 512, "bfloat16"),
        _generate("llama-2048", 1024),
        _generate("llama-2048", 1024, "float32"),
        _generate("llama-2048", 256, batch=2),
        _generate("llama-4096", 1024),
        _generate("llama-4096", 512, "float32"),
        _generate("llama-deep", 1024),
        _generate("llama-deep", 1024, "float32"),
        _generate("llama-deep", 2048, "float32"),
        _generate("llama-deep", 3072),
        _generate("mistral-window", 256),
        _generate("mistral-window", 2048),
        _generate("mistral-window", 1024, "float32"),
        _generate("mistral-window", 500, new_tokens=24),
        _generate("qwen2", 2048),
        _generate("qwen2", 8000),
        _generate("llama-1024", 8000),
        _generate("qwen2", 1024, "float32"),
        _generate("qwen3", 2048),
        _generate("qwen3", 1024, "float32"),
        _generate("gemma2", 256),
        _generate("gemma2", 1024),
        _generate("gemma3", 1024),
        _generate("gemma3", 2048),
        _generate("gpt2", 1024, "float32"),
        _generate("gpt2", 1024),
        _generate("opt-bin", 1024, "float16"),
        _generate("opt-bin", 512, "float32"),
        _generate("phi3", 1024),
        _generate("mixtral", 1024),
        _generate("mixtral", 128),
        _generate("mixtral", 512, "float32"),
        _generate("qwen3-moe", 1024),
        _generate("qwen3-moe", 512, "float32"),
        _generate("qwen3-moe-wide", 256),
        _generate("qwen3-moe-wide", 1024),
        _generate("deepseek", 1024),
        _generate("deepseek", 512, "float32"),
        _generate("gpt-oss", 1024),
        *(
            _generate(model, tokens)
            for model in ("falcon-h1", "granite-h", "lfm2", "qwen3.5")
            for tokens in (256, 1000)
        ),
        *(
            _generate("mamba", tokens, dtype)
            for tokens, dtype in ((200, "float32"), (600, "float32"), (600, "bfloat16"))
        ),
        _generate("lfm2", 2048, "float32"),
        _generate("qwen3.5", 2048),
        _generate("qwen3.5", 600, "float32"),
        _generate("granite-h", 600, "float32"),
    ]
    # the same with a fixed threshold from which glibc maps a block on its own
    fixed: dict[str, Any] = {"mmap_threshold": 262144}
    made += [
        _generate("llama-1024", 4096, **fixed),
        _generate("llama-1024", 1024, "float32", **fixed),
        _generate("llama-1024", 1024, "float32", attention="eager", **fixed),
        _generate("mixtral", 1024, **fixed),
        _generate("mixtral", 512, "float32", **fixed),
        _generate("deepseek", 1024, **fixed),
        _generate("gpt-oss", 1024, **fixed),
    ]
    made += [
        {"kind": "encode", "model": "bert", "dtype": dtype, "batch": batch, "tokens": tokens, "padded": padded}
        for dtype, batch, tokens, padded in (
            ("float32", 1, 128, False), ("float32", 8, 128, False), ("float32", 32, 128, False), ("float32", 32, 128, True),
            ("float32", 8, 512, False), ("float32", 8, 512, True), ("float32", 1, 2048, False), ("bfloat16", 8, 512, False),
        )
    ]  # fmt: skip
    made += [
        {"kind": "encode", "model": model, "dtype": dtype, "batch": batch, "tokens": tokens, "padded": False}
        for model, dtype in (
            ("xlm-roberta", "float32"), ("nomic-bert", "float32"), ("embeddinggemma", "bfloat16"), ("qwen3-embedding", "bfloat16"),
        )
        for batch, tokens in ((1, 512), (1, 2048), (4, 512))
    ]  # fmt: skip
    # of whole models
    made += [
        _generate("pythia-410m", 1500, "float16"),
        _generate("gemma-3-270m", 4096),
        _generate("smollm2-135m", 8000),
        _generate("qwen3-0.6b", 3000),
        _generate("llama-3.2-1b", 2048),
        _generate("mistral-4096", 2048),
        _generate("granite-1b-moe", 600),
        _generate("phi-1.5", 1024, "float16"),
        _generate("gpt2-medium", 700, "float32"),
        _generate("qwen2.5-0.5b", 1500, batch=2),
        _generate("lfm2-350m", 1500),
        _generate("falcon-h1-0.5b", 800),
        _generate("olmo2-1b", 1024),
        _generate("opt-125m", 1200, "float16"),
        _generate("smollm2-135m", 1000),
        _generate("qwen3-0.6b", 200),
    ]
    # texts of tokens from the whole vocabulary, or from its first thousand
    made += [
        {"kind": "encode", "model": model, "dtype": dtype, "batch": batch, "tokens": tokens, "padded": False, **more}
        for model, dtype, batch, tokens, more in (
            ("e5-large", "float32", 1, 512, {}), ("e5-large", "float32", 1, 512, {"every_token": True}),
            ("bge-m3", "float32", 1, 4096, {"every_token": True}), ("e5-base", "float32", 4, 300, {"every_token": True}),
            ("bge-small", "float32", 1, 512, {"every_token": True}), ("bge-small", "float32", 4, 256, {}),
            ("bert-large", "float32", 1, 512, {"every_token": True}), ("bert-large", "float32", 8, 400, {}),
            ("nomic-embed", "float32", 1, 2048, {"every_token": True}), ("embeddinggemma-300m", "bfloat16", 1, 2048, {"every_token": True}),
            ("embeddinggemma-300m", "bfloat16", 1, 300, {}), ("qwen3-embedding-0.6b", "bfloat16", 1, 1500, {"every_token": True}),
            ("qwen3-embedding-0.6b", "bfloat16", 1, 4000, {}),
        )
    ]  # fmt: skip
    made.append({"kind": "limited", "model": "e5-base", "dtype": "float32", "batch": 1, "tokens": 512, "padded": False,
                 "every_token": True, "limit_bytes": 650_000_000})  # fmt: skip
    made += [
        _train("full", 512),
        _train("full", 1024),
        _train("full", 512, batch=2),
        _train("full", 1024, checkpointing=True),
        _train("full", 512, mmap_threshold=262144),
        _train("full", 512, dtype="bfloat16"),
        _train("full", 1024, dtype="bfloat16", checkpointing=True),
        _train("full", 512, dtype="bfloat16", batch=4, checkpointing=True),
        _train("full", 512, attention="eager"),
        _train("full", 1024, autocast=True),
        _train("lora", 512, dtype="bfloat16"),
        _train("lora", 1024, dtype="bfloat16"),
        _train("lora", 1024, dtype="bfloat16", checkpointing=True),
        _train("lora", 1024, dtype="bfloat16", checkpointing=True, targets="all-linear", rank=64),
    ]
    made.append({**_generate("qwen3-moe-fp8", 256), "kind": "narrow"})
    made += [
        {"kind": "transcribe", "model": f"whisper-{size}", "dtype": dtype, "batch": batch, "beams": beams, "new_tokens": tokens}
        for size, dtype, batch, beams, tokens in (
            ("tiny", "float32", 1, 1, 64), ("tiny", "float32", 1, 5, 64), ("tiny", "float32", 1, 5, 256), ("tiny", "float16", 1, 1, 64),
            ("tiny", "bfloat16", 1, 5, 64), ("tiny", "float32", 4, 1, 64), ("base", "float32", 1, 1, 64), ("base", "float32", 1, 5, 64),
            ("base", "bfloat16", 1, 1, 64), ("small", "float32", 1, 1, 64), ("small", "bfloat16", 1, 5, 64),
            ("turbo", "float16", 1, 1, 32), ("turbo", "float16", 1, 5, 32),
        )
    ]  # fmt: skip
    made += [
        {**_generate(model, tokens, dtype), "kind": "rewrite", **more}
        for model, tokens, dtype, more in (
            ("t5", 512, "bfloat16", {}), ("t5", 2048, "bfloat16", {}), ("t5", 1024, "float32", {}), ("t5", 2048, "float32", {}),
            ("t5", 16, "bfloat16", {"new_tokens": 200}), ("t5", 512, "float32", {"batch": 4, "padded": True}),
            ("t5-small", 512, "float32", {}),
            ("t5-small", 2048, "float32", {}), ("bart", 1024, "float32", {}), ("bart", 4000, "float32", {}), ("bart", 2048, "bfloat16", {}),
            ("bart", 16, "float32", {"new_tokens": 200}), ("bart", 512, "float32", {"batch": 4, "padded": True}),
            ("bart", 1024, "float32", {"beams": 4}), ("mbart", 1024, "float32", {}), ("nllb", 512, "float32", {}),
            ("nllb", 2048, "float32", {}),
            ("nllb", 1024, "bfloat16", {}), ("marian", 512, "float32", {}), ("marian", 2048, "float32", {}),
            ("pegasus", 1024, "float32", {}), ("pegasus", 2048, "bfloat16", {}),
        )
    ]  # fmt: skip
    made += [
        {**_generate(model, tokens, dtype), "kind": "see", "pixels": pixels}
        for model, pixels, tokens, dtype in (
            ("qwen3-vl", 0, 1024, "bfloat16"), ("qwen3-vl", 512, 1024, "bfloat16"), ("qwen3-vl", 1536, 3072, "bfloat16"),
            ("qwen2.5-vl", 0, 1024, "bfloat16"), ("qwen2.5-vl", 560, 1024, "bfloat16"), ("qwen2.5-vl", 1120, 3072, "bfloat16"),
            ("gemma3-vision", 0, 1024, "bfloat16"), ("gemma3-vision", 896, 1024, "bfloat16"), ("gemma3-vision", 896, 3072, "bfloat16"),
            ("llava", 0, 1024, "bfloat16"), ("llava", 336, 1024, "bfloat16"), ("llava", 336, 3072, "float32"),
            ("mistral3", 0, 1024, "bfloat16"), ("mistral3", 560, 1024, "bfloat16"), ("mistral3", 1540, 4096, "bfloat16"),
        )
    ]  # fmt: skip
    made += [
        {"kind": "pass", "model": f"small {name}", "dtype": dtype, "batch": 1, "tokens": [500, 1100]}
        for name in PASSES
        for dtype in ("bfloat16", "float32") if dtype == "bfloat16" or name in _IN_BOTH
    ]  # fmt: skip
    return made


# ------------------------------------------------------------------ inside the measured process


def measure_generate(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One answer: load, prompt, decode."""
    auto = "AutoModelForImageTextToText" if case["kind"] == "see" else "AutoModelForCausalLM"
    torch, transformers = libraries(case, stages, auto, "StoppingCriteria", "DynamicCache")
    more = {"attn_implementation": case["attention"]} if "attention" in case else {}
    model = getattr(transformers, auto).from_pretrained(
        folder, dtype=getattr(torch, case["dtype"]), **more
    )
    stages.note("loaded")
    caches: dict[str, dict[str, Any]] = {}
    steps = {1: "first_token", 2: "second_token", case["new_tokens"]: "last_token"}

    criterion: Any = transformers.StoppingCriteria

    class Watch(criterion):  # type: ignore[misc]
        count = 0

        def __call__(self, ids: Any, _scores: Any, **_: Any) -> Any:
            Watch.count += 1
            if Watch.count in steps:
                stages.note(steps[Watch.count])
                caches[steps[Watch.count]] = _cache(torch, cache)
            return torch.zeros(ids.shape[0], dtype=torch.bool)

    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    ids = torch.randint(5, 1000, (case["batch"], case["prompt_tokens"]))
    mask = torch.ones_like(ids)
    if case.get("padded"):
        mask[0, : case["prompt_tokens"] // 4] = 0
    options: dict[str, Any] = {"attention_mask": mask, "do_sample": False}
    if case.get("pixels"):
        options |= picture(torch, model, ids, case["pixels"])
    if "chunk" in case:
        options["prefill_chunk_size"] = case["chunk"]
    # files are mapped, not read: a few tokens bring in all but the unused rows of the token table
    model.generate(
        ids[:, :32], attention_mask=torch.ones_like(ids[:, :32]), max_new_tokens=2, do_sample=False
    )
    stages.note("warm")
    kept = "cache_params" if model.config.model_type == "mamba" else "past_key_values"
    cache = transformers.DynamicCache(config=model.config)
    model.generate(
        ids,
        max_new_tokens=case["new_tokens"],
        stopping_criteria=[Watch()],
        **options,
        **{kept: cache},
    )
    cache = transformers.DynamicCache(config=model.config)
    with Allocations(torch) as held:
        model.generate(ids, max_new_tokens=1, **options, **{kept: cache})
    weights, _ = stored_bytes({id(item): item for item in model.parameters()}.values())
    return {
        "attention_used": model.config._attn_implementation,
        "parameters": sum(item.numel() for item in model.parameters()),
        "weights_bytes": weights,
        "token_table_bytes": stored_bytes([model.get_input_embeddings().weight])[0],
        "largest_tensor_bytes": max(stored_bytes([item])[0] for item in model.parameters()),
        "cache": caches,
        "prompt_allocated_peak_bytes": held.peak_bytes,
        "prompt_allocated_left_bytes": held.left_bytes,
    }


def picture(torch: Any, model: Any, ids: Any, side: int) -> dict[str, Any]:
    """One square picture of random pixels as its processor hands it over; its tokens are written into `ids`."""
    config = model.config
    eye, type = config.vision_config, model.dtype
    patches = side // eye.patch_size
    if hasattr(eye, "temporal_patch_size"):
        numbers = 3 * eye.temporal_patch_size * eye.patch_size**2
        made = {
            "pixel_values": torch.rand(patches**2, numbers),
            "image_grid_thw": torch.tensor([[1, patches, patches]]),
        }
        tokens = patches**2 // eye.spatial_merge_size**2
    else:
        made = {"pixel_values": torch.rand(1, 3, side, side).to(type)}
        tokens = patches**2
    if config.model_type == "mistral3":
        made["image_sizes"] = torch.tensor([[side, side]])
        tokens = patches**2 // config.spatial_merge_size**2
    elif config.model_type == "gemma3":
        tokens = config.mm_tokens_per_image
    ids[:, 4 : 4 + tokens] = config.image_token_id
    kinds = torch.zeros_like(ids)
    kinds[:, 4 : 4 + tokens] = 1
    if "grid_thw" in "".join(made):
        made["mm_token_type_ids"] = kinds
    elif config.model_type == "gemma3":
        made["token_type_ids"] = kinds
    return made


def _cache(torch: Any, cache: Any) -> dict[str, Any]:
    """Keys and values, and by themselves the states of layers that keep one."""
    found: dict[str, Any] = {}
    pairs = [
        (layer.keys, layer.values)
        for layer in cache.layers
        if torch.is_tensor(getattr(layer, "keys", None))
    ]
    if pairs:
        used, held = stored_bytes(item for pair in pairs for item in pair)
        shapes = [[list(keys.shape), list(values.shape)] for keys, values in pairs]
        kept = [shape for number, shape in enumerate(shapes) if shape not in shapes[:number]]
        found = {
            "used_bytes": used,
            "held_bytes": held,
            "shapes": kept,
            "type": str(pairs[0][0].dtype).removeprefix("torch."),
        }
    for name in ("conv_states", "recurrent_states"):
        states = [
            item
            for layer in cache.layers
            for item in getattr(layer, name, {}).values()
            if torch.is_tensor(item)
        ]
        if states:
            kinds = sorted(
                {(*item.shape, str(item.dtype).removeprefix("torch.")) for item in states}
            )
            found[name] = {
                "bytes": stored_bytes(states)[1],
                "shapes": [list(kind) for kind in kinds],
            }
    return found


def measure_encode(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One batch through an encoder."""
    torch, transformers = libraries(case, stages)
    model = transformers.AutoModel.from_pretrained(folder, dtype=getattr(torch, case["dtype"]))
    stages.note("loaded")
    ids = torch.randint(
        5,
        model.config.vocab_size if case.get("every_token") else 1000,
        (case["batch"], case["tokens"]),
    )
    mask = torch.ones_like(ids)
    if case["padded"]:
        mask[0, case["tokens"] // 2 :] = 0
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask)
        stages.note("encoded")
        with Allocations(torch) as held:
            model(input_ids=ids, attention_mask=mask)
    return {
        "attention_used": model.config._attn_implementation,
        "weights_bytes": stored_bytes(model.parameters())[0],
        "token_table_bytes": stored_bytes([model.get_input_embeddings().weight])[0],
        "mapped_bytes": mapped_bytes(folder),
        "allocated_peak_bytes": held.peak_bytes,
    }


def measure_limited(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """The same three times, in a control group (v1) that may have no more than `limit_bytes`; its files are not cached before.

    Pages of libraries that others have mapped count for those, not for the group.
    """
    for path in Path(folder).iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    group = Path(f"/sys/fs/cgroup/memory/limited-{os.getpid()}")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(case["limit_bytes"]), encoding="ascii")
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        for _ in range(3):
            found = measure_encode(case, folder, stages)
        return {
            **found,
            "group_peak_bytes": int(
                (group / "memory.max_usage_in_bytes").read_text(encoding="ascii")
            ),
        }
    finally:
        (group.parent / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        group.rmdir()


def mapped_bytes(folder: str) -> int:
    """Resident pages of the weight files that the process maps, from `/proc/self/smaps`."""
    found, inside = 0, False
    with open("/proc/self/smaps", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(" ")
            if not key.endswith(":"):
                inside = folder in value
            elif inside and key == "Rss:":
                found += int(value.split()[0]) * 1024
    return found


def measure_train(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Three steps of AdamW on random tokens."""
    torch, transformers = libraries(case, stages)
    more = {"attn_implementation": case["attention"]} if "attention" in case else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, case["dtype"]), **more
    )
    model.config.use_cache = False
    if case["method"] == "lora":
        peft = import_module("peft")
        targets = case.get("targets", ["q_proj", "v_proj"])
        model = peft.get_peft_model(
            model,
            peft.LoraConfig(r=case.get("rank", 16), target_modules=targets, task_type="CAUSAL_LM"),
        )
    if case["checkpointing"]:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if case["method"] == "lora":
            model.enable_input_require_grads()
    model.train()
    trained = [item for item in model.parameters() if item.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    ids = torch.randint(5, 1000, (case["batch"], case["tokens"]))
    stages.note("loaded")
    figures: dict[str, Any] = {}

    def forward() -> Any:
        if case.get("autocast"):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return model(input_ids=ids, labels=ids).loss
        return model(input_ids=ids, labels=ids).loss

    for name in ("first_step", "second_step"):
        forward().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        stages.note(name)
    # a third step for the allocator's own figures: the profiler itself takes memory
    with Allocations(torch) as ahead:
        loss = forward()
    with Allocations(torch) as back:
        loss.backward()
    figures["gradient_bytes"] = stored_bytes([item.grad for item in trained])[0]
    with Allocations(torch) as update:
        optimizer.step()
    states = [
        item
        for state in optimizer.state.values()
        for item in state.values()
        if torch.is_tensor(item)
    ]
    return {
        **figures,
        "weights_bytes": stored_bytes({id(item): item for item in model.parameters()}.values())[0],
        "trained_parameters": sum(item.numel() for item in trained),
        "trained_type": str(trained[0].dtype).removeprefix("torch."),
        "gradient_type": str(trained[0].grad.dtype).removeprefix("torch."),
        "optimizer_bytes": stored_bytes(states)[0],
        "optimizer_types": {
            key: str(value.dtype).removeprefix("torch.")
            for key, value in next(iter(optimizer.state.values())).items()
            if torch.is_tensor(value)
        },
        "forward_peak_bytes": ahead.peak_bytes,
        "kept_for_backward_bytes": ahead.left_bytes,
        "backward_peak_bytes": ahead.left_bytes + back.peak_bytes,
        "update_peak_bytes": update.peak_bytes,
    }


def measure_transcribe(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Half a minute of random features, written down."""
    torch, transformers = libraries(case, stages, "AutoModelForSpeechSeq2Seq")
    type = getattr(torch, case["dtype"])
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, dtype=type)
    stages.note("loaded")
    features = torch.randn(case["batch"], model.config.num_mel_bins, 3000).to(type)
    model.generation_config.eos_token_id = None
    asked = {"num_beams": case["beams"], "do_sample": False}
    model.generate(features, max_new_tokens=2, **asked)
    stages.note("warm")
    model.generate(features, max_new_tokens=case["new_tokens"], **asked)
    stages.note("last_token")
    with Allocations(torch) as heard, torch.inference_mode():
        model.get_encoder()(features)
    with Allocations(torch) as held:
        model.generate(features, max_new_tokens=case["new_tokens"], **asked)
    return {
        "attention_used": model.config._attn_implementation,
        "parameters": sum(item.numel() for item in model.parameters()),
        "weights_bytes": stored_bytes({id(item): item for item in model.parameters()}.values())[0],
        "encoder_allocated_peak_bytes": heard.peak_bytes,
        "allocated_peak_bytes": held.peak_bytes,
    }


def measure_rewrite(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """A text read by the encoder, and an answer written."""
    torch, transformers = libraries(
        case, stages, "AutoModelForSeq2SeqLM", "EncoderDecoderCache", "DynamicCache"
    )
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        folder, dtype=getattr(torch, case["dtype"])
    )
    stages.note("loaded")
    config = model.generation_config
    config.eos_token_id = config.forced_eos_token_id = config.forced_bos_token_id = None
    config.pad_token_id, config.decoder_start_token_id, config.max_length = 0, 2, None
    ids = torch.randint(5, 1000, (case["batch"], case["prompt_tokens"]))
    mask = torch.ones_like(ids)
    if case.get("padded"):
        mask[0, case["prompt_tokens"] // 2 :] = 0
    asked = {"num_beams": case.get("beams", 1), "do_sample": False}
    model.generate(ids[:, :32], attention_mask=mask[:, :32], max_new_tokens=2, **asked)
    stages.note("warm")
    made = model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=case["new_tokens"],
        return_dict_in_generate=True,
        **asked,
    )
    stages.note("last_token")
    kept = made.past_key_values
    caches = {
        "own": _cache(torch, kept.self_attention_cache),
        "read": _cache(torch, kept.cross_attention_cache),
    }
    del made, kept
    with Allocations(torch) as heard, torch.inference_mode():
        model.get_encoder()(ids, attention_mask=mask)
    with Allocations(torch) as held:
        model.generate(ids, attention_mask=mask, max_new_tokens=case["new_tokens"], **asked)
    return {
        "attention_used": model.config._attn_implementation,
        "parameters": sum(item.numel() for item in model.parameters()),
        "weights_bytes": stored_bytes({id(item): item for item in model.parameters()}.values())[0],
        "token_table_bytes": stored_bytes([model.get_input_embeddings().weight])[0],
        "cache": caches,
        "encoder_allocated_peak_bytes": heard.peak_bytes,
        "allocated_peak_bytes": held.peak_bytes,
    }


def measure_pass(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Prompts through a model that was never saved."""
    torch, transformers = libraries(case, stages)
    made = transformers.AutoModelForCausalLM
    model = made.from_config(
        transformers.AutoConfig.from_pretrained(folder), dtype=getattr(torch, case["dtype"])
    ).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    peaks = []
    for tokens in case["tokens"]:
        ids = torch.randint(5, 1000, (1, tokens))
        asked = {"max_new_tokens": 1, "do_sample": False}
        model.generate(ids[:, :32], attention_mask=torch.ones_like(ids[:, :32]), **asked)
        with Allocations(torch) as held:
            model.generate(ids, attention_mask=torch.ones_like(ids), **asked)
        peaks.append(held.peak_bytes)
    return {"attention_used": model.config._attn_implementation, "allocated_peak_bytes": peaks}


def libraries(case: dict[str, Any], stages: Stages, *classes: str) -> tuple[Any, Any]:
    """PyTorch and transformers, imported one after the other."""
    torch = import_module("torch")
    torch.set_num_threads(case.get("threads", 1))
    torch.manual_seed(1)
    stages.note("torch")
    transformers = import_module("transformers")
    # the classes load on first use
    for name in classes or (
        "AutoModelForCausalLM",
        "AutoModel",
        "StoppingCriteria",
        "DynamicCache",
    ):
        getattr(transformers, name)
    stages.note("transformers")
    return torch, transformers


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Runs one case in this process."""
    measures = {
        "encode": measure_encode,
        "limited": measure_limited,
        "train": measure_train,
        "transcribe": measure_transcribe,
        "rewrite": measure_rewrite,
        "pass": measure_pass,
    }
    return measures.get(case["kind"], measure_generate)(case, folder, stages)


def make(model: str, folder: str) -> None:
    """Saves a model with random weights."""
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.manual_seed(1)
    if model.removeprefix("small ") in PASSES:
        config = transformers.AutoConfig.for_model(
            model.removeprefix("small "), **PASSES[model.removeprefix("small ")]
        )
        config.architectures = ["SmallForCausalLM"]
        config.save_pretrained(folder)
        return
    kind, values, saved = MODELS[model]
    own = (
        "MambaConfig",
        "GPT2Config",
        "BertConfig",
        "XLMRobertaConfig",
        "NomicBertConfig",
        "WhisperConfig",
        "T5Config",
    )
    defaults = {} if kind in own or "vision_config" in values else {"max_position_embeddings": 8192}
    config = getattr(transformers, kind)(**{**defaults, **values})
    auto = transformers.AutoModelForCausalLM
    if model in _ENCODERS or kind == "BertConfig":
        auto = transformers.AutoModel
    elif model in _READERS:
        auto = transformers.AutoModelForSeq2SeqLM
    elif model.startswith("whisper"):
        auto = transformers.AutoModelForSpeechSeq2Seq
    elif "vision_config" in values:
        auto = transformers.AutoModelForImageTextToText
    made = auto.from_config(config, dtype=getattr(torch, saved.get("dtype", "bfloat16")))
    if saved.get("format") == "bin":
        # the name of the class, which save_pretrained would have added
        made.config.architectures = [type(made).__name__]
        made.config.save_pretrained(folder)
        torch.save(made.state_dict(), Path(folder) / "pytorch_model.bin")
    else:
        made.save_pretrained(folder)
    if saved.get("format") == "fp8":
        _narrow(torch, Path(folder))


def _narrow(torch: Any, folder: Path) -> None:
    """Linear layers of the blocks in FP8 with a scale per 128 × 128, as DeepSeek and Qwen publish them."""
    files = import_module("safetensors.torch")
    found: dict[str, Any] = {}
    for path in folder.glob("*.safetensors"):
        for name, item in files.load_file(path).items():
            if item.ndim == 2 and "layers" in name and "mlp.gate.weight" not in name:
                scales = torch.ones(-(-item.shape[0] // 128), -(-item.shape[1] // 128))
                found |= {name: item.to(torch.float8_e4m3fn), f"{name}_scale_inv": scales}
            else:
                found[name] = item
        path.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    files.save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "activation_scheme": "dynamic",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def config_of(_: str, folder: str) -> dict[str, Any]:
    """The config.json that a model was saved with."""
    found: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    return found


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_transformers.py: models with random weights, each run in a fresh process on one CPU thread",
    conditions="resident memory from /proc/self/status, its peak since the stage before; *_allocated_* from PyTorch's profiler, "
    "above what was held before; `warm` is after a first answer of 2 tokens to 32; mmap_threshold is glibc's, else it moves by itself",
    packages=("torch", "transformers", "safetensors", "accelerate", "numpy", "peft"),
    groups={
        "generate": "generate",
        "encode": "encode",
        "limited": "limited",
        "transcribe": "transcribe",
        "rewrite": "rewrite",
        "see": "see",
        "narrow": "narrow",
        "pass": "pass",
        "train": "train",
    },
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
