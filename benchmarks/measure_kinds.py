"""What models beside chat models take on a CPU: figures for `tests/truth/kinds.json`. Not part of the checks.

    pip install torch transformers safetensors accelerate numpy sentence-transformers
    python benchmarks/measure_kinds.py --out FILE [--only TEXT] [--work DIR] [--list]

Voices, music, speech recognition, readers of pages, rerankers, encoders of images and texts: models made from configuration classes
with random weights (nothing is downloaded), saved, and each measured in a fresh process as in `measure_transformers.py`. Models that
would take more than some 6 GB have fewer layers of one kind (`CUT`): what lies beside the weights is measured of them, and
`whole_parameters` is the count of the class with all layers.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from measure_transformers import libraries
from rig import Rig, Stages, main, stored_bytes

_LARGE_SPEECH = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
}  # fmt: skip
_STABLE_SPEECH = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
_CLIP_LARGE = {
    "text_config": {
        "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
    },
    "vision_config": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
        "num_hidden_layers": 24, "patch_size": 14,
    },
    "projection_dim": 768,
}  # fmt: skip
_SIGLIP_400M = {
    "text_config": {
        "hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27,
    },
    "vision_config": {
        "hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16,
        "num_hidden_layers": 27, "patch_size": 14, "image_size": 384,
    },
}  # fmt: skip
_XLM_LARGE = {
    "vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "type_vocab_size": 1, "num_labels": 1,
}  # fmt: skip
_MINILM = {
    "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
    "num_labels": 1,
}  # fmt: skip
_DEBERTA = {
    "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "pooler_hidden_size": 768, "relative_attention": True, "position_buckets": 256,
    "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p",
    "position_biased_input": False, "type_vocab_size": 0, "num_labels": 1,
}  # fmt: skip
_FLAN = {
    "d_model": 768, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip
# name -> class of the model, class of its configuration, and what departs from its defaults
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "speecht5": ("SpeechT5ForTextToSpeech", "SpeechT5Config", {"vocab_size": 81}),
    "vits": ("VitsModel", "VitsConfig", {"vocab_size": 38}),
    "wav2vec2-base": ("Wav2Vec2ForCTC", "Wav2Vec2Config", {}),
    "wav2vec2-large": ("Wav2Vec2ForCTC", "Wav2Vec2Config", {**_LARGE_SPEECH, **_STABLE_SPEECH}),
    "hubert-base": ("HubertModel", "HubertConfig", {}),
    "wavlm-base": ("WavLMModel", "WavLMConfig", {}),
    "wavlm-large": ("WavLMModel", "WavLMConfig", {**_LARGE_SPEECH, **_STABLE_SPEECH, "conv_bias": False}),
    "moonshine-base": (
        "MoonshineForConditionalGeneration", "MoonshineConfig",
        {"hidden_size": 416, "intermediate_size": 1664, "encoder_num_hidden_layers": 8, "decoder_num_hidden_layers": 8},
    ),
    "parakeet-ctc-1.1b": (
        "ParakeetForCTC", "ParakeetCTCConfig",
        {"encoder_config": {"num_hidden_layers": 42}},
    ),
    "clip-base": ("CLIPModel", "CLIPConfig", {}),
    "clip-large": ("CLIPModel", "CLIPConfig", _CLIP_LARGE),
    "siglip-base": ("SiglipModel", "SiglipConfig", {}),
    "siglip-400m": ("SiglipModel", "SiglipConfig", _SIGLIP_400M),
    "dinov2-base": ("Dinov2Model", "Dinov2Config", {"patch_size": 14, "image_size": 518}),
    "blip-base": ("BlipForConditionalGeneration", "BlipConfig", {}),
    "reranker-xlmr-large": (
        "XLMRobertaForSequenceClassification", "XLMRobertaConfig", {**_XLM_LARGE, "max_position_embeddings": 8194},
    ),
    "reranker-minilm": ("BertForSequenceClassification", "BertConfig", _MINILM),
    "reranker-deberta-base": ("DebertaV2ForSequenceClassification", "DebertaV2Config", _DEBERTA),
    "flan-t5-base": ("T5ForConditionalGeneration", "T5Config", _FLAN),
}  # fmt: skip

_SWIN = {
    "model_type": "donut-swin", "patch_size": 4, "embed_dim": 128, "depths": [2, 2, 14, 2], "num_heads": [4, 8, 16, 32],
    "mlp_ratio": 4.0,
}  # fmt: skip
_PAGE_WRITER = {
    "model_type": "mbart", "d_model": 1024, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096, "add_final_layer_norm": True,
    "scale_embedding": True, "is_decoder": True, "add_cross_attention": True, "encoder_layers": 0,
}  # fmt: skip
_LINE_WRITER = {
    "model_type": "trocr", "d_model": 1024, "decoder_layers": 12, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096,
    "vocab_size": 50265, "max_position_embeddings": 512, "is_decoder": True, "add_cross_attention": True,
}  # fmt: skip
_VIT = {"model_type": "vit", "image_size": 384, "qkv_bias": False}
_VIT_LARGE = {
    **_VIT, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
}  # fmt: skip
_T5_BASE = {"model_type": "t5", "d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
_ENCODEC_32K = {
    "model_type": "encodec", "sampling_rate": 32000, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 2048, "num_filters": 64,
    "codebook_dim": 128, "hidden_size": 128, "audio_channels": 1, "normalize": False, "use_causal_conv": False,
    "target_bandwidths": [2.2],
}  # fmt: skip


def _bark(width: int, layers: int, heads: int) -> dict[str, Any]:
    """The three stages of Bark; its codec has the defaults."""
    vocabularies = {
        "semantic_config": (129600, 10048),
        "coarse_acoustics_config": (12096, 12096),
        "fine_acoustics_config": (1056, 1056),
    }
    return {
        stage: {
            "hidden_size": width, "num_layers": layers, "num_heads": heads, "input_vocab_size": read, "output_vocab_size": written,
        }
        for stage, (read, written) in vocabularies.items()
    }  # fmt: skip


def _musicgen(width: int, layers: int, heads: int) -> dict[str, Any]:
    decoder = {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "ffn_dim": 4 * width,
        "pad_token_id": 0, "bos_token_id": 0,
    }  # fmt: skip
    return {"text_encoder": _T5_BASE, "audio_encoder": _ENCODEC_32K, "decoder": decoder}


def _bart_text(width: int, layers: int) -> dict[str, Any]:
    return {
        "model_type": "bart", "d_model": width, "encoder_layers": layers, "decoder_layers": layers,
        "encoder_attention_heads": width // 64, "decoder_attention_heads": width // 64, "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width, "vocab_size": 51289, "max_position_embeddings": 4096,
    }  # fmt: skip


_READER = "VisionEncoderDecoderModel", "VisionEncoderDecoderConfig"
MODELS |= {
    "dinov2-small": ("Dinov2Model", "Dinov2Config", {
        "patch_size": 14, "image_size": 518, "hidden_size": 384, "num_attention_heads": 6,
    }),
    "dinov2-large": ("Dinov2Model", "Dinov2Config", {
        "patch_size": 14, "image_size": 518, "hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24,
    }),
    "moonshine-tiny": ("MoonshineForConditionalGeneration", "MoonshineConfig", {}),
    "parakeet-tdt-0.6b": ("ParakeetForTDT", "ParakeetTDTConfig", {}),
    "canary-1b": ("CanaryForConditionalGeneration", "CanaryConfig", {}),
    "bark-small": ("BarkModel", "BarkConfig", _bark(768, 12, 12)),
    "bark": ("BarkModel", "BarkConfig", _bark(1024, 24, 16)),
    "dia": ("DiaForConditionalGeneration", "DiaConfig", {}),
    "musicgen-small": ("MusicgenForConditionalGeneration", "MusicgenConfig", _musicgen(1024, 24, 16)),
    "musicgen-medium": ("MusicgenForConditionalGeneration", "MusicgenConfig", _musicgen(1536, 48, 24)),
    "musicgen-large": ("MusicgenForConditionalGeneration", "MusicgenConfig", _musicgen(2048, 48, 32)),
    "kyutai-stt-2.6b": ("KyutaiSpeechToTextForConditionalGeneration", "KyutaiSpeechToTextConfig", {}),
    "voxtral-mini-3b": ("VoxtralForConditionalGeneration", "VoxtralConfig", {"audio_token_id": 24, "text_config": {
        "model_type": "llama", "hidden_size": 3072, "num_hidden_layers": 30, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "intermediate_size": 8192, "vocab_size": 131072,
    }}),
    "granite-speech-2b": ("GraniteSpeechForConditionalGeneration", "GraniteSpeechConfig", {
        "has_lora_adapter": False,
        "text_config": {
            "model_type": "granite", "hidden_size": 2048, "num_hidden_layers": 40, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 49160,
        },
        "encoder_config": {"model_type": "granite_speech_encoder"},
        "projector_config": {
            "model_type": "blip_2_qformer", "hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 16,
            "intermediate_size": 4096, "encoder_hidden_size": 1024, "cross_attention_frequency": 1,
        },
    }),
    "donut-base": (*_READER, {
        "encoder": {**_SWIN, "image_size": [2560, 1920], "window_size": 10},
        "decoder": {**_PAGE_WRITER, "decoder_layers": 4, "vocab_size": 57525, "max_position_embeddings": 128},
    }),
    "nougat-base": (*_READER, {
        "encoder": {**_SWIN, "image_size": [896, 672], "window_size": 7},
        "decoder": {**_PAGE_WRITER, "decoder_layers": 10, "vocab_size": 50000, "max_position_embeddings": 4096,
                    "tie_word_embeddings": False},
    }),
    "trocr-base": (*_READER, {
        "encoder": _VIT, "decoder": {**_LINE_WRITER, "cross_attention_hidden_size": 768},
    }),
    "trocr-large": (*_READER, {
        "encoder": _VIT_LARGE, "decoder": {**_LINE_WRITER, "cross_attention_hidden_size": 1024},
    }),
    "florence-2-base": ("Florence2ForConditionalGeneration", "Florence2Config", {
        "image_token_id": 51288, "text_config": _bart_text(768, 6), "vision_config": {"projection_dim": 768},
    }),
    "florence-2-large": ("Florence2ForConditionalGeneration", "Florence2Config", {
        "image_token_id": 51288,
        "text_config": _bart_text(1024, 12),
        "vision_config": {"projection_dim": 1024, "embed_dim": [256, 512, 1024, 2048], "num_heads": [8, 16, 32, 64],
                          "num_groups": [8, 16, 32, 64]},
    }),
    "got-ocr-2": ("GotOcr2ForConditionalGeneration", "GotOcr2Config", {
        "image_token_index": 151859,
        "text_config": {
            "model_type": "qwen2", "vocab_size": 151860, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24,
            "num_attention_heads": 16, "num_key_value_heads": 16, "tie_word_embeddings": True,
        },
    }),
    "blip2-opt-2.7b": ("Blip2ForConditionalGeneration", "Blip2Config", {
        "image_token_index": 50300,
        "text_config": {
            "model_type": "opt", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32, "ffn_dim": 10240,
            "vocab_size": 50304, "word_embed_proj_dim": 2560,
        },
    }),
    "ovis2-8b": ("Ovis2ForConditionalGeneration", "Ovis2Config", {"text_config": {
        "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "intermediate_size": 18944, "vocab_size": 152064,
    }}),
    "llama-guard-4": ("Llama4ForConditionalGeneration", "Llama4Config", {"text_config": {
        "hidden_size": 5120, "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8, "intermediate_size": 8192,
        "intermediate_size_mlp": 8192, "vocab_size": 202048, "moe_layers": [], "interleave_moe_layer_step": 0,
    }}),
    "led-base": ("LEDForConditionalGeneration", "LEDConfig", {
        "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12, "decoder_attention_heads": 12,
        "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "attention_window": 1024,
    }),
    "jina-v3": ("JinaEmbeddingsV3Model", "JinaEmbeddingsV3Config", {}),
    "gte-large": ("GteModel", "GteConfig", {
        "vocab_size": 30528, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "max_position_embeddings": 8192,
    }),
}  # fmt: skip
_QWEN3_SMALL = {
    "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip
_QWEN3_ASR_EAR = {
    "d_model": 896, "encoder_layers": 18, "encoder_attention_heads": 14, "encoder_ffn_dim": 3584, "output_dim": 1024,
}  # fmt: skip
_HIERA_LARGE = {"backbone_config": {
    "model_type": "sam2_hiera_det_model", "hidden_size": 144, "num_attention_heads": 2, "blocks_per_stage": [2, 6, 36, 4],
    "embed_dim_per_stage": [144, 288, 576, 1152], "num_attention_heads_per_stage": [2, 4, 8, 16],
    "global_attention_blocks": [23, 33, 43], "window_size_per_stage": [8, 4, 16, 8],
    "window_positional_embedding_background_size": [7, 7],
}, "backbone_channel_list": [1152, 576, 288, 144]}  # fmt: skip
MODELS |= {
    "vit-base": ("ViTForImageClassification", "ViTConfig", {"num_labels": 1000}),
    "dinov3-small": ("DINOv3ViTModel", "DINOv3ViTConfig", {"num_register_tokens": 4}),
    "sam2.1-hiera-large": ("Sam2Model", "Sam2Config", {"vision_config": _HIERA_LARGE}),
    "reranker-modernbert-base": ("ModernBertForSequenceClassification", "ModernBertConfig", {"num_labels": 1}),
    "qwen3-asr-0.6b": ("Qwen3ASRForConditionalGeneration", "Qwen3ASRConfig", {
        "text_config": _QWEN3_SMALL, "audio_config": _QWEN3_ASR_EAR,
    }),
    "qwen3-asr-1.7b": ("Qwen3ASRForConditionalGeneration", "Qwen3ASRConfig", {
        "text_config": {**_QWEN3_SMALL, "hidden_size": 2048, "intermediate_size": 6144}, "audio_config": {"output_dim": 2048},
    }),
    "glm-asr-nano": ("GlmAsrForConditionalGeneration", "GlmAsrConfig", {}),
    "cohere-transcribe": ("CohereAsrForConditionalGeneration", "CohereAsrConfig", {}),
    "qwen2-audio-7b": ("Qwen2AudioForConditionalGeneration", "Qwen2AudioConfig", {
        "text_config": {"model_type": "qwen2", "intermediate_size": 11008, "vocab_size": 156032, "max_position_embeddings": 8192},
    }),
    "voxtral-small-24b": ("VoxtralForConditionalGeneration", "VoxtralConfig", {"audio_token_id": 24, "text_config": {
        "model_type": "llama", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "intermediate_size": 32768, "vocab_size": 131072,
    }}),
    "csm-1b": ("CsmForConditionalGeneration", "CsmConfig", {}),
    "seamless-m4t-v2": ("SeamlessM4Tv2Model", "SeamlessM4Tv2Config", {}),
    "glm-ocr": ("GlmOcrForConditionalGeneration", "GlmOcrConfig", {
        "text_config": {
            "model_type": "glm_ocr_text", "hidden_size": 1536, "intermediate_size": 4608, "num_hidden_layers": 16,
            "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 59392,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {"hidden_size": 1024, "depth": 24, "num_heads": 16, "intermediate_size": 4096, "out_hidden_size": 1536},
    }),
}  # fmt: skip
# layers that are left of the models whose weights are too many for the runs, by the place of the number
CUT: dict[str, dict[tuple[str, ...], int]] = {
    "dia": {("decoder_config", "num_hidden_layers"): 3},
    "kyutai-stt-2.6b": {("num_hidden_layers",): 8},
    "voxtral-mini-3b": {("text_config", "num_hidden_layers"): 4},
    "granite-speech-2b": {("text_config", "num_hidden_layers"): 6},
    "blip2-opt-2.7b": {("text_config", "num_hidden_layers"): 4},
    "ovis2-8b": {("text_config", "num_hidden_layers"): 2},
    "llama-guard-4": {("text_config", "num_hidden_layers"): 2},
    "musicgen-medium": {("decoder", "num_hidden_layers"): 24},
    "musicgen-large": {("decoder", "num_hidden_layers"): 8},
    "qwen3-asr-1.7b": {("text_config", "num_hidden_layers"): 4},
    "glm-asr-nano": {("text_config", "num_hidden_layers"): 4},
    "cohere-transcribe": {("encoder_config", "num_hidden_layers"): 8},
    "qwen2-audio-7b": {("text_config", "num_hidden_layers"): 2},
    "voxtral-small-24b": {("text_config", "num_hidden_layers"): 1},
    "csm-1b": {("num_hidden_layers",): 4},
    "seamless-m4t-v2": {
        ("encoder_layers",): 4, ("decoder_layers",): 4, ("speech_encoder_layers",): 4, ("t2u_encoder_layers",): 2,
        ("t2u_decoder_layers",): 2,
    },
}  # fmt: skip
# models that write, and were measured a second time
TWICE = ("speecht5", "moonshine-base", "moonshine-tiny", "blip-base", "flan-t5-base")
# the type that a model is published in, where that is not 32 bits
STORED = dict.fromkeys(
    ("got-ocr-2", "kyutai-stt-2.6b", "voxtral-mini-3b", "granite-speech-2b", "ovis2-8b", "llama-guard-4", "jina-v3", "qwen3-asr-0.6b",
     "qwen3-asr-1.7b", "glm-asr-nano", "cohere-transcribe", "qwen2-audio-7b", "voxtral-small-24b", "glm-ocr"), "bfloat16"
)  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Every run. `seconds` of audio, heard or made; `pairs` of `tokens` each in one batch."""

    def speak(model: str, seconds: int) -> dict[str, Any]:
        return {"kind": "speak", "model": model, "seconds": seconds}

    def hear(model: str, seconds: int) -> dict[str, Any]:
        return {"kind": "hear", "model": model, "seconds": seconds}

    def match(model: str, texts: int) -> dict[str, Any]:
        return {"kind": "match", "model": model, "texts": texts}

    def score(model: str, pairs: int, tokens: int) -> dict[str, Any]:
        return {"kind": "score", "model": model, "pairs": pairs, "tokens": tokens}

    return [
        speak("speecht5", 5),
        speak("speecht5", 20),
        speak("vits", 5),
        speak("vits", 20),
        hear("wav2vec2-base", 10),
        hear("wav2vec2-base", 30),
        hear("wav2vec2-large", 10),
        hear("wav2vec2-large", 30),
        hear("hubert-base", 10),
        hear("hubert-base", 30),
        hear("wavlm-base", 10),
        hear("wavlm-base", 30),
        hear("wavlm-large", 30),
        hear("moonshine-base", 10),
        hear("moonshine-base", 30),
        hear("parakeet-ctc-1.1b", 30),
        hear("parakeet-ctc-1.1b", 90),
        match("clip-base", 2),
        match("clip-base", 16),
        match("clip-large", 2),
        match("siglip-base", 2),
        match("siglip-400m", 2),
        match("dinov2-base", 0),
        match("blip-base", 1),
        score("reranker-xlmr-large", 1, 512),
        score("reranker-xlmr-large", 8, 512),
        score("reranker-minilm", 1, 512),
        score("reranker-minilm", 8, 512),
        score("reranker-deberta-base", 1, 512),
        score("reranker-deberta-base", 8, 512),
        {"kind": "rewrite", "model": "flan-t5-base", "tokens": 512, "new_tokens": 64},
        {"kind": "import", "model": "reranker-minilm"},
        *_more_cases(),
    ]


def _more_cases() -> list[dict[str, Any]]:
    """What makes sound or reads pages; `seconds`, `tokens` and `new_tokens` are the request."""
    made = [
        {"kind": "speak", "model": model, "seconds": seconds}
        for model, lengths in {
            "bark-small": (2,), "bark": (1,), "dia": (2,), "musicgen-small": (2, 5), "musicgen-medium": (1,), "musicgen-large": (1,), "csm-1b": (2,),
        }.items()
        for seconds in lengths
    ]  # fmt: skip
    heard = [
        {"kind": "hear", "model": model, "seconds": seconds}
        for model, lengths in {
            "moonshine-tiny": (10, 30), "parakeet-tdt-0.6b": (30, 90), "canary-1b": (30,), "kyutai-stt-2.6b": (5,),
            "voxtral-mini-3b": (30, 90), "granite-speech-2b": (10, 30), "qwen3-asr-0.6b": (30, 90), "qwen3-asr-1.7b": (30,),
            "glm-asr-nano": (30, 90), "cohere-transcribe": (10, 30), "qwen2-audio-7b": (30,), "voxtral-small-24b": (30,),
            "seamless-m4t-v2": (10, 30),
        }.items()
        for seconds in lengths
    ]  # fmt: skip
    pages = [
        {"kind": "page", "model": model, "new_tokens": 16}
        for model in (
            "donut-base", "nougat-base", "trocr-base", "trocr-large", "florence-2-base", "florence-2-large", "got-ocr-2",
            "blip2-opt-2.7b", "ovis2-8b", "llama-guard-4", "glm-ocr",
        )
    ]  # fmt: skip
    images = [
        {"kind": "match", "model": model, "texts": 0}
        for model in (
            "dinov2-small",
            "dinov2-large",
            "vit-base",
            "dinov3-small",
            "sam2.1-hiera-large",
        )
    ]
    texts = [
        {"kind": "score", "model": model, "pairs": pairs, "tokens": tokens}
        for model, pairs, tokens in (
            ("jina-v3", 1, 512), ("jina-v3", 1, 8192), ("jina-v3", 32, 512), ("gte-large", 1, 512), ("gte-large", 1, 8192),
            ("gte-large", 32, 512), ("reranker-minilm", 32, 512), ("reranker-modernbert-base", 1, 512), ("reranker-modernbert-base", 8, 512),
            ("reranker-modernbert-base", 1, 4096),
        )
    ]  # fmt: skip
    written = [
        {"kind": "rewrite", "model": "led-base", "tokens": tokens, "new_tokens": 64}
        for tokens in (1024, 4096, 16384)
    ]
    return [*made, *heard, *pages, *images, *texts, *written]


def _with_fewer_layers(values: dict[str, Any], cut: dict[tuple[str, ...], int]) -> dict[str, Any]:
    fewer: dict[str, Any] = json.loads(json.dumps(values))
    for path, layers in cut.items():
        place = fewer
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = layers
    return fewer


def make(model: str, folder: str) -> None:
    """Saves a model with random weights, and how many parameters its class has with all layers."""
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.manual_seed(1)
    kind, configuration, values = MODELS[model]
    create, settings = getattr(transformers, kind), getattr(transformers, configuration)
    with torch.device("meta"):
        whole = sum(item.numel() for item in create._from_config(settings(**values)).parameters())
    torch.set_default_dtype(getattr(torch, STORED.get(model, "float32")))
    made = create(settings(**_with_fewer_layers(values, CUT.get(model, {}))))
    made.save_pretrained(folder)
    (Path(folder) / "whole.json").write_text(
        json.dumps({"whole_parameters": whole}), encoding="utf-8"
    )


def config_of(model: str, folder: str) -> dict[str, Any]:
    """The class, what departs from its defaults, and its parameters with all layers."""
    kind, _, values = MODELS[model]
    whole: dict[str, Any] = json.loads((Path(folder) / "whole.json").read_text(encoding="utf-8"))
    cut = {".".join(path): layers for path, layers in CUT.get(model, {}).items()}
    # two models in one are told apart by what they are
    parts = [
        values[part]["model_type"]
        for part in ("encoder", "decoder")
        if part in values and "model_type" in values[part]
    ]
    height = values["encoder"]["image_size"] if "encoder" in values else None
    kind = " ".join([kind, *parts, *([str(height[0])] if isinstance(height, list) else [])])
    return {
        "class": kind,
        "dtype": STORED.get(model, "float32"),
        "values": values,
        "cut": cut,
        **whole,
    }


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Loads the model, and runs it twice."""
    kind = MODELS[case["model"]][0]
    torch, transformers = libraries(case, stages, kind)
    if case["kind"] == "import":
        import_module("sentence_transformers")
        stages.note("sentence_transformers")
    model = getattr(transformers, kind).from_pretrained(folder, dtype="auto").eval()
    stages.note("loaded")
    run = {
        "speak": _speak,
        "hear": _hear,
        "match": _match,
        "page": _page,
        "score": _score,
        "rewrite": _rewrite,
        "import": _read,
    }[case["kind"]]
    with torch.inference_mode():
        found = run(torch, transformers, model, case)
        stages.note("first")
        # what writes step by step takes its most again at each step, and long
        if not model.can_generate() or case["model"] in TWICE:
            run(torch, transformers, model, case)
            stages.note("second")
    return {
        "parameters": sum(item.numel() for item in model.parameters()),
        "weights_bytes": stored_bytes({id(item): item for item in model.parameters()}.values())[0],
        **found,
    }


def _speak(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """A text of 15 signs a second, read aloud or played."""
    name, seconds = case["model"], case["seconds"]
    ids = torch.randint(5, 30, (1, 15 * seconds))
    if name == "speecht5":
        voice = transformers.SpeechT5HifiGan(transformers.SpeechT5HifiGanConfig())
        # frames of 16 ms, two a step
        share = seconds / 0.032 / ids.shape[1]
        wave = model.generate_speech(
            ids, torch.zeros(1, 512), vocoder=voice, threshold=2.0, minlenratio=share, maxlenratio=share
        )  # fmt: skip
    elif name.startswith("bark"):
        # 49.9 semantic tokens a second; none of them ends the text
        module = import_module("transformers.models.bark.generation_configuration_bark")
        tokens = 50 * seconds
        lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        settings = module.BarkGenerationConfig(semantic_config=lengths).to_dict()
        model.generation_config = transformers.GenerationConfig(**settings)
        wave = model.generate(torch.randint(5, 10000, (1, 256)), semantic_min_eos_p=2.0)
    elif name.startswith("musicgen"):
        text = torch.randint(5, 1000, (1, 20))
        settings = transformers.GenerationConfig(
            do_sample=True, guidance_scale=3.0, max_new_tokens=50 * seconds, decoder_start_token_id=2048,
            pad_token_id=2048, bos_token_id=2048,
        )  # fmt: skip
        wave = model.generate(
            input_ids=text, attention_mask=torch.ones_like(text), generation_config=settings
        )
    elif name == "dia":
        wave = _dialogue(torch, transformers, model, ids, seconds)
    elif name == "csm-1b":
        # 12.5 frames a second, which its codec makes sound of
        frames = int(12.5 * seconds)
        wave = model.generate(
            ids, attention_mask=torch.ones_like(ids), output_audio=True, max_new_tokens=frames
        )[0]
    else:
        wave = model(ids).waveform
    rate = {"bark": 24000, "musicgen": 32000, "dia": 44100, "csm": 24000}.get(
        name.partition("-")[0], 16000
    )
    return {"seconds_made": round(wave.shape[-1] / rate, 1)}


def _dialogue(torch: Any, transformers: Any, model: Any, ids: Any, seconds: int) -> Any:
    """86 frames a second, which the codec of the processor makes sound of."""
    codec = transformers.DacModel(transformers.DacConfig(sampling_rate=44100)).eval()
    model.generation_config.eos_token_id = None
    frames = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=86 * seconds, guidance_scale=3.0
    )
    codes = frames[:, : 86 * seconds].transpose(1, 2).clamp(0, 1023)
    return codec.decode(audio_codes=codes).audio_values


def _hear(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Random sound, written down."""
    name, seconds = case["model"], case["seconds"]
    sound = torch.randn(1, 16000 * seconds, dtype=model.dtype)
    frames = torch.randn(1, 100 * seconds, 128, dtype=model.dtype)
    if name.startswith("parakeet-ctc"):
        model(
            input_features=torch.randn(1, 100 * seconds, model.config.encoder_config.num_mel_bins)
        )
    elif name.startswith("parakeet"):
        model.generation_config.decoder_start_token_id = model.config.blank_token_id
        model.generate(
            frames[:, :, : model.config.encoder_config.num_mel_bins], max_new_tokens=5 * seconds
        )
    elif name.startswith("canary"):
        model.generation_config.eos_token_id = None
        ids = torch.full((1, 4), 5)
        model.generate(
            input_features=frames[:, :, : model.config.encoder_config.num_mel_bins],
            attention_mask=torch.ones(1, 100 * seconds, dtype=torch.long),
            decoder_input_ids=ids, max_new_tokens=20, do_sample=False,
        )  # fmt: skip
    elif name.startswith("moonshine"):
        model.generation_config.eos_token_id = None
        model.generate(sound, max_new_tokens=6 * seconds, do_sample=False)
    elif name.startswith("kyutai"):
        model.generation_config.eos_token_id = None
        model.generate(
            input_values=torch.randn(1, 1, 24000 * seconds),
            max_new_tokens=int(12.5 * seconds),
        )
    elif name.startswith("voxtral"):
        pieces = -(-seconds // 30)
        ids = torch.full((1, 375 * pieces + 10), model.config.audio_token_id)
        ids[:, -10:] = 7
        features = torch.randn(pieces, 128, 3000, dtype=model.dtype)
        model.generation_config.eos_token_id = None
        model.generate(input_ids=ids, input_features=features, max_new_tokens=20, do_sample=False)
    elif name.startswith(("qwen3-asr", "glm-asr", "qwen2-audio")):
        _ear_and_writer(torch, model, name, seconds)
    elif name.startswith("cohere"):
        model.generation_config.eos_token_id = None
        model.generate(
            input_features=frames, attention_mask=torch.ones(1, 100 * seconds, dtype=torch.long),
            decoder_input_ids=torch.full((1, 4), 5), max_new_tokens=20, do_sample=False,
        )  # fmt: skip
    elif name.startswith("seamless"):
        # what its generation_config.json adds: the token that names a language
        model.generation_config.text_decoder_lang_to_code_id = {"eng": 5}
        model.generate(
            input_features=torch.randn(1, 50 * seconds, 160), tgt_lang="eng", generate_speech=False,
            max_new_tokens=20,
        )  # fmt: skip
    elif name.startswith("granite"):
        # two frames are read together, and 15 of those become 3 tokens
        features = torch.randn(1, 50 * seconds, 160, dtype=model.dtype)
        ids = torch.full((1, -(-50 * seconds // 15) * 3 + 20), model.config.audio_token_id)
        ids[:, -20:] = 7
        model.generation_config.eos_token_id = None
        model.generate(
            input_ids=ids, input_features=features, attention_mask=torch.ones_like(ids),
            input_features_mask=torch.ones(1, -(-50 * seconds // 15) * 3, dtype=torch.bool),
            max_new_tokens=20, do_sample=False,
        )  # fmt: skip
    else:
        model(sound)
    return {}


def _ear_and_writer(torch: Any, model: Any, name: str, seconds: int) -> None:
    """A text model that writes down what its encoder of sound heard, half minutes at a time where it reads those."""
    if name.startswith("qwen3"):
        features = torch.randn(1, 128, 100 * seconds, dtype=model.dtype)
    else:
        features = torch.randn(-(-seconds // 30), 128, 3000, dtype=model.dtype)
    there = torch.ones(features.shape[0], features.shape[2], dtype=torch.long)
    config = model.config
    mark = next(
        getattr(config, key)
        for key in ("audio_token_id", "audio_token_index")
        if getattr(config, key, None) is not None
    )
    more: dict[str, Any] = {"input_features_mask": there}
    if name.startswith("qwen2"):
        marks, more = 750 * features.shape[0], {"feature_attention_mask": there}
    else:
        heard = model.get_audio_features(features, there).pooler_output
        marks = sum(map(len, heard)) if isinstance(heard, (list, tuple)) else heard.shape[0]
    ids = torch.full((1, marks + 20), mark)
    ids[:, -20:] = 7
    model.generation_config.eos_token_id = None
    model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), input_features=features, max_new_tokens=20, do_sample=False, **more
    )  # fmt: skip


def _page(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """A page or a picture, and text written about it."""
    name, config = case["model"], model.config
    model.generation_config.eos_token_id = None
    more: dict[str, Any] = {"max_new_tokens": case["new_tokens"], "do_sample": False}
    encoder = getattr(config, "encoder", None)
    if encoder is not None:
        model.generation_config.decoder_start_token_id = model.generation_config.pad_token_id = 1
        height, width = (
            encoder.image_size
            if isinstance(encoder.image_size, (list, tuple))
            else (encoder.image_size,) * 2
        )
        model.generate(torch.randn(1, 3, height, width), **more)
        return {}
    if name == "glm-ocr":
        # a page of 1,008 x 1,344 pixels in patches of 14, four of which become a token
        down, across = 96, 72
        ids = torch.full((1, down * across // 4 + 30), 7)
        ids[:, : down * across // 4] = config.image_token_id
        marked = (ids == config.image_token_id).to(torch.int)
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=marked,
            pixel_values=torch.randn(down * across, 3 * 2 * 14 * 14, dtype=model.dtype),
            image_grid_thw=torch.tensor([[1, down, across]]), **more,
        )  # fmt: skip
        return {}
    side, marks = {
        "florence-2-base": (768, 577), "florence-2-large": (768, 577), "got-ocr-2": (1024, 256), "blip2-opt-2.7b": (224, 32),
        "ovis2-8b": (448, 256), "llama-guard-4": (448, 256),
    }[name]  # fmt: skip
    mark = next(
        getattr(config, key)
        for key in ("image_token_id", "image_token_index")
        if getattr(config, key, None) is not None
    )
    ids = torch.full((1, marks + 30), 7)
    ids[:, :marks] = mark
    more |= {"pad_token_id": 0} if name.startswith(("llama", "ovis")) else {}
    model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=torch.randn(1, 3, side, side, dtype=model.dtype),
        **more,
    )
    return {}


def _match(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """One image, and texts of the longest length beside it."""
    vision = getattr(model.config, "vision_config", model.config)
    side = 224 if case["model"].startswith("dino") else getattr(vision, "image_size", 1024)
    if case["model"].startswith("sam2"):
        point = torch.full((1, 1, 1, 2), 500.0)
        model(pixel_values=torch.randn(1, 3, 1024, 1024), input_points=point)
        return {}
    image = torch.randn(1, 3, side, side)
    if not case["texts"]:
        model(pixel_values=image)
    elif case["model"].startswith("blip"):
        model.generate(pixel_values=image, max_new_tokens=20)
    else:
        text = model.config.text_config
        ids = torch.randint(5, 1000, (case["texts"], text.max_position_embeddings))
        model(input_ids=ids, pixel_values=image)
    return {}


def _score(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Pairs of a query and a text, scored in one batch."""
    ids = torch.randint(5, model.config.vocab_size, (case["pairs"], case["tokens"]))
    model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return {}


def _rewrite(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """A text read, and another one written."""
    model.generation_config.eos_token_id = None
    model.generation_config.decoder_start_token_id = 0
    ids = torch.randint(5, 1000, (1, case["tokens"]))
    model.generate(ids, max_new_tokens=case["new_tokens"], do_sample=False)
    return {}


def _read(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """One short text."""
    model(input_ids=torch.randint(5, 1000, (1, 32)))
    return {}


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_kinds.py: models with random weights, each run in a fresh process on one CPU thread",
    conditions="resident memory from /proc/self/status, its peak since the stage before; `first` is the first answer, `second` the same again",
    packages=(
        "torch",
        "transformers",
        "safetensors",
        "accelerate",
        "numpy",
        "sentence-transformers",
    ),
    groups=dict.fromkeys(("speak", "hear", "match", "page", "score", "rewrite", "import"), "runs"),
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
