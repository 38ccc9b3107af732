"""JSON that is no model's `config.json`: what it is, and which file to give instead."""

from __future__ import annotations

from collections.abc import Mapping

from .config_keys import NESTS, tables
from .source import clean, fail, listed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_REMEDY = "give the model's config.json, its folder, or its GGUF file"
# other files of a model, and other JSON: keys of which one is enough, and what the file is
_OTHER: Mapping[str, str] = {
    "weight_map": "the index of a model's safetensors files: give the folder it is in",
    "peft_type base_model_name_or_path": (
        "the configuration of a LoRA adapter: give the model that it changes"
    ),
    "_diffusers_version": (
        "a part of a diffusers pipeline, an image model: only config.json files of language models"
        " are read"
    ),
    "added_tokens_decoder tokenizer_class chat_template added_tokens pre_tokenizer bos_token": (
        "the configuration of a tokenizer"
    ),
    "image_processor_type feature_extractor_type image_mean processor_class": (
        "the configuration of an image or audio processor"
    ),
    "mediaType schemaVersion": (
        "an Ollama or OCI manifest: give the model's name, for example llama3.2:1b"
    ),
    "do_sample temperature top_p _from_model_config max_new_tokens eos_token_id": (
        "a generation_config.json"
    ),
    "n_heads norm_eps multiple_of ffn_dim_multiplier": "the params.json of a model's own format",
}
_IMAGE_ENCODERS = ("siglip", "clip", "dinov2", "vit")


def refuse_what_is_no_config(path: str, values: Any) -> None:
    """Raise `SpecError` for JSON that is something else, and say what it seems to be."""
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a single value"
        fail(path, f"is not a model's config.json: it is {kind}, not an object", _REMEDY)
    schema, kind = clean(values.get("schema")), clean(values.get("model_type"))
    if schema.startswith("selfhost.machine"):
        remedy = "give it with --machine, and name a model"
        fail(path, "is a machine record of selfhost, not a model", remedy)
    if schema.startswith("selfhost."):
        fail(path, f"is an answer of selfhost ({schema}), not a model", _REMEDY)
    nested = next((values[nest] for nest in NESTS if isinstance(values.get(nest), dict)), None)
    is_encoder = kind in _IMAGE_ENCODERS or kind.endswith(("vision_model", "_vision"))
    if nested is None and is_encoder:
        fail(path, f"describes an image encoder ({kind}), no language model", _REMEDY)
    # two of the keys of its layers, its type or nested configuration, and its class
    shaped = _has_layers(values if nested is None else nested)
    has_class = bool(values.get("architectures"))
    if (kind and nested is not None) or bool(kind) + shaped + has_class >= 2:
        return
    _refuse_other_file(path, values, shaped=shaped)


def _refuse_other_file(path: str, values: Mapping[str, Any], *, shaped: bool) -> None:
    """Raise `SpecError` for JSON with a key that shows what other file it is, and for JSON without
    the shape of a model.
    """
    for keys, what in _OTHER.items():
        if not values.keys().isdisjoint(keys.split()):
            fail(path, f"is {what}", None if ":" in what else _REMEDY)
    if not shaped:
        seen = listed((clean(key) for key in values), 4)
        what = f"it has the keys {seen}" if seen else "it is empty"
        fail(path, f"is not a model's config.json: {what}", _REMEDY)


def _has_layers(values: Mapping[str, Any]) -> bool:
    """Whether there are keys for how many layers a model has, and how wide they are."""
    sizes = tables()["sizes"]
    layers = (*sizes["layers"], "hybrid_override_pattern", "layers_block_type")
    return not values.keys().isdisjoint(layers) and not values.keys().isdisjoint(sizes["width"])
