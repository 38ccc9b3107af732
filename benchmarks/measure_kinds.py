"""What models that write no text token by token take on a CPU: figures for `tests/truth/kinds.json`. Not part of the checks.

    pip install torch transformers safetensors accelerate numpy sentence-transformers
    python benchmarks/measure_kinds.py --out FILE [--only TEXT] [--work DIR] [--list]

Voices, speech recognition without tokens, rerankers, encoders of images and texts: models made from configuration classes with
random weights (nothing is downloaded), saved, and each measured in a fresh process as in `measure_transformers.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from measure_transformers import config_of, libraries
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
    ]


def make(model: str, folder: str) -> None:
    """Saves a model with random weights."""
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.manual_seed(1)
    kind, configuration, values = MODELS[model]
    made = getattr(transformers, kind)(getattr(transformers, configuration)(**values))
    made.save_pretrained(folder)


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Loads the model, and runs it twice."""
    kind = MODELS[case["model"]][0]
    torch, transformers = libraries(case, stages, kind)
    if case["kind"] == "import":
        import_module("sentence_transformers")
        stages.note("sentence_transformers")
    model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32).eval()
    stages.note("loaded")
    run = {
        "speak": _speak,
        "hear": _hear,
        "match": _match,
        "score": _score,
        "rewrite": _rewrite,
        "import": _read,
    }[case["kind"]]
    with torch.inference_mode():
        found = run(torch, transformers, model, case)
        stages.note("first")
        run(torch, transformers, model, case)
        stages.note("second")
    return {
        "parameters": sum(item.numel() for item in model.parameters()),
        "weights_bytes": stored_bytes({id(item): item for item in model.parameters()}.values())[0],
        **found,
    }


def _speak(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """A text of 15 signs a second, read aloud."""
    ids = torch.randint(5, 30, (1, 15 * case["seconds"]))
    if case["model"] == "speecht5":
        voice = transformers.SpeechT5HifiGan(transformers.SpeechT5HifiGanConfig())
        # frames of 16 ms, two a step
        share = case["seconds"] / 0.032 / ids.shape[1]
        wave = model.generate_speech(
            ids, torch.zeros(1, 512), vocoder=voice, threshold=2.0, minlenratio=share, maxlenratio=share
        )  # fmt: skip
        return {"seconds_made": round(wave.shape[-1] / 16000, 1)}
    wave = model(ids).waveform
    return {"seconds_made": round(wave.shape[-1] / 16000, 1)}


def _hear(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Random sound, written down."""
    if case["model"].startswith("parakeet"):
        bins = model.config.encoder_config.num_mel_bins
        model(input_features=torch.randn(1, 100 * case["seconds"], bins))
        return {}
    sound = torch.randn(1, 16000 * case["seconds"])
    if case["model"].startswith("moonshine"):
        model.generation_config.eos_token_id = None
        model.generate(sound, max_new_tokens=6 * case["seconds"], do_sample=False)
        return {}
    model(sound)
    return {}


def _match(torch: Any, transformers: Any, model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """One image, and texts of the longest length beside it."""
    vision = getattr(model.config, "vision_config", model.config)
    side = 224 if case["model"].startswith("dinov2") else vision.image_size
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
    groups=dict.fromkeys(("speak", "hear", "match", "score", "rewrite", "import"), "runs"),
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
