"""JSON that is no model's `config.json`: what it is, and which file to give instead."""

from __future__ import annotations

from collections.abc import Mapping

from .config_keys import NESTS, tables
from .naming import clean, listed
from .source import fail

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


_REMEDY = "give the model's config.json, its folder, or its GGUF file"
# other files of a model, and other JSON: keys of which one is enough, and what the file is
_OTHER: tuple[tuple[tuple[str, ...], str], ...] = (
    (("weight_map",), "is the index of a model's safetensors files: give the folder it is in"),
    (
        ("peft_type", "base_model_name_or_path"),
        "is the configuration of a LoRA adapter: give the model that it changes",
    ),
    (
        ("_diffusers_version",),
        (
            "is a part of a diffusers pipeline, an image model: only config.json files of language"
            " models are read"
        ),
    ),
    (
        ("added_tokens_decoder", "tokenizer_class", "chat_template", "added_tokens"),
        "is the configuration of a tokenizer",
    ),
    (
        ("image_processor_type", "feature_extractor_type", "image_mean", "processor_class"),
        "is the configuration of an image or audio processor",
    ),
    (
        ("mediaType", "schemaVersion"),
        "is an Ollama or OCI manifest: give the model's name, for example llama3.2:1b",
    ),
    (
        (
            "do_sample",
            "temperature",
            "top_p",
            "_from_model_config",
            "max_new_tokens",
            "eos_token_id",
        ),
        "is a generation_config.json",
    ),
    (("bos_token", "unk_token", "eos_token"), "is a special_tokens_map.json"),
    (
        ("n_heads", "norm_eps", "multiple_of", "ffn_dim_multiplier"),
        "is the params.json of a model's own format",
    ),
    (("dependencies", "devDependencies", "scripts"), "is a package.json"),
    (("__metadata__",), "is the header of a safetensors file"),
)
# image encoders by model type; of the second, some have the keys of a language model
_IMAGE_ENCODERS, _LAYERED_IMAGE_ENCODERS = ("siglip", "clip"), ("dinov2", "vit")


def refuse_what_is_no_config(path: str, values: Any) -> None:
    """Raise `SpecError` for JSON that is something else, and say what it seems to be."""
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a single value"
        fail(path, f"is not a model's config.json: it is {kind}, not an object", _REMEDY)
    _refuse_own_records(path, values)
    kind = clean(values.get("model_type"))
    nested = next((values[nest] for nest in NESTS if isinstance(values.get(nest), dict)), None)
    shaped = _has_layers(values if nested is None else nested)
    if nested is None and _is_image_encoder(kind, shaped=shaped):
        fail(path, f"describes an image encoder ({kind}), no language model", _REMEDY)
    if _is_of_a_model(values, kind, shaped=shaped, is_nested=nested is not None):
        return
    _refuse_known_files(path, values)
    if shaped:
        return
    seen = listed((clean(key) for key in values), 4)
    fail(
        path,
        "is not a model's config.json" + (f": it has the keys {seen}" if seen else ": it is empty"),
        _REMEDY,
    )


def _refuse_own_records(path: str, values: Mapping[str, Any]) -> None:
    schema = values.get("schema")
    if not isinstance(schema, str) or not schema.startswith("selfhost."):
        return
    if schema.startswith("selfhost.machine"):
        fail(
            path,
            "is a machine record of selfhost, not a model",
            "give it with --machine, and name a model",
        )
    fail(path, f"is an answer of selfhost ({clean(schema)}), not a model", _REMEDY)


def _refuse_known_files(path: str, values: Mapping[str, Any]) -> None:
    for keys, message in _OTHER:
        if any(key in values for key in keys):
            fail(path, message, None if ":" in message else _REMEDY)
    if "model" in values and "pre_tokenizer" in values:
        fail(path, "is a tokenizer.json", _REMEDY)


def _is_of_a_model(values: Mapping[str, Any], kind: str, *, shaped: bool, is_nested: bool) -> bool:
    """Whether the keys are those of a model: two of its layers, its type or nested configuration,
    and its class.
    """
    names_class = bool(values.get("architectures"))
    if shaped:
        return bool(kind) or names_class
    return bool(kind) and (is_nested or names_class)


def _has_layers(values: Mapping[str, Any]) -> bool:
    """Whether there are keys for how many layers a model has, and how wide they are."""
    layers = (*tables()["sizes"]["layers"], "hybrid_override_pattern", "layers_block_type")
    return any(key in values for key in layers) and any(
        key in values for key in tables()["sizes"]["width"]
    )


def _is_image_encoder(kind: str, *, shaped: bool) -> bool:
    return (
        kind.endswith(("vision_model", "_vision"))
        or kind in _IMAGE_ENCODERS
        or (shaped and kind in _LAYERED_IMAGE_ENCODERS)
    )
