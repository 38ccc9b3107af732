"""ModelSpec -> the TOML of its spec file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..catalogue.spec import (
    QUANTIZATIONS,
    SCHEMA,
    Architecture,
    Attention,
    FeedForward,
    ModelSpec,
    PublishedFiles,
    Quantized,
    Recurrent,
)
from ..core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}
_Group = Attention | Recurrent | FeedForward
# of attention: left out where None
_SOMETIMES = (
    "latent_length", "query_latent_length", "rope_length", "indexer_heads", "indexer_length",
    "indexer_rows", "compression", "output_groups", "output_latent_length",
)  # fmt: skip


# keys of the top table, in the order of a spec file
_HEAD = (
    "id", "name", "family", "developer", "released", "modality", "uses", "inputs",
    "tuned_from", "runtimes", "aliases", "repository", "gated", "components_dtype", "native_pixels",
    "frames_per_second",
    "picture_operations",
)  # fmt: skip
# keys of [architecture], without its groups of layers
_ARCHITECTURE = (
    "dtype", "matrix_dtype", "expert_dtype", "cache_dtype", "quantizer", "layers",
    "encoder_layers", "embedding_length", "heads", "beams", "vocabulary", "vocabulary_gguf",
    "context_tokens", "rope_positions", "tied_embeddings", "output_matrix", "attention_bias",
    "query_key_norm", "parallel_norms", "rope_factors", "gate", "table_length", "also", "lacks",
    "positions", "token_types", "cache_layers", "stored_layers", "per_layer_embedding_length",
    "altup_inputs", "deepstack_layers", "mtp_layers", "layer_pattern",
)  # fmt: skip


def spec_text(model: ModelSpec) -> str:
    """The text of a spec file; `read_model_spec` makes the same spec of it, but for `origin`
    and `overrides`.
    """
    length = model.embedding_length
    lines = [
        f"schema = {SCHEMA}",
        *_head(model),
        *_table("license", model.license),
        *_table("openness", model.openness, defaults=True),
        *_table("parameters", model.parameters, defaults=True),
        *_section("components", model.components.items()),
        *_table("denoising", model.denoising, defaults=True),
        *_table("sound", model.sound),
        *_section("embedding", () if length is None else (("length", length),)),
        *(() if model.architecture is None else _architecture(model.architecture)),
        *_table("needs", model.needs),
        *_table("upkeep", model.upkeep, defaults=True),
        *_table("safety", model.safety, defaults=True),
        *_table("availability", model.availability),
        *(() if model.quantized is None else _quantized(model.quantized)),
        *_section("sources", model.sources.items()),
        *_section("unknown", model.unknown.items()),
        *(line for files in model.files for line in _files(files)),
    ]
    return "\n".join(lines) + "\n"


def _head(model: ModelSpec) -> list[str]:
    lines = []
    for key in _HEAD:
        value = getattr(model, key)
        if key == "released" and isinstance(value, str) and _DATE.fullmatch(value):
            lines.append(f"released = {value}")
        elif value is not None and value != ():
            lines.append(f"{key} = {_value(value)}")
    if model.tokenizer is False:
        lines.append("tokenizer = false")
    return lines


def _quantized(quantized: Quantized) -> list[str]:
    return [
        *_table("quantized", quantized.replace(apart=())),
        *_section("quantized.apart", quantized.apart),
    ]


def _files(files: PublishedFiles) -> list[str]:
    """The lines of an entry of `[[files]]`, and a comment for each size that no spec can name."""
    names = QUANTIZATIONS.get(files.format, ())
    sizes = {name: size for name, size in files.bytes.items() if name in names}
    lines: list[str] = []
    if sizes:
        lines += ["", "[[files]]", f"format = {_value(files.format)}"]
        if files.repository is not None:
            lines.append(f"repository = {_value(files.repository)}")
        lines.append(f"source = {_value(files.source)}")
        lines += [f"bytes.{_key(name)} = {_value(size)}" for name, size in sizes.items()]
    for name, size in files.bytes.items():
        if name not in sizes:
            what = "bytes in a type that has no name in spec files"
            lines += ["", f"# {size:_} {what}: {_comment(name)}"]
    return lines


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) and key.isascii() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if value >= 1_000_000 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return '"' + "".join(_letter(letter) for letter in value) + '"'
    return "[" + ", ".join(_value(each) for each in value) + "]"


def _letter(letter: str) -> str:
    escape = _ESCAPES.get(letter)
    if escape is not None:
        return escape
    if ord(letter) < 0x20 or ord(letter) == 0x7F:
        return f"\\u{ord(letter):04X}"
    # names of files may hold half of a surrogate pair, which TOML cannot
    return "?" if 0xD800 <= ord(letter) <= 0xDFFF else letter


def _section(name: str, pairs: Iterable[tuple[str, Any]]) -> list[str]:
    """The lines of a table with free keys; none where it has no entry."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in pairs]
    return ["", f"[{name}]", *lines] if lines else []


def _table(name: str, record: Record | None, *, defaults: bool = False) -> list[str]:
    """The lines of a table. With `defaults`, what the record has by default is left out, and the
    whole table where it has nothing else.
    """
    if record is None or (defaults and record == type(record)()):
        return []
    lines = ["", f"[{name}]"]
    for key in type(record)._fields:
        value = getattr(record, key)
        if (
            value is not None
            and value != ()
            and not (defaults and value == type(record)._defaults.get(key))
        ):
            lines.append(f"{key} = {_value(value)}")
    return lines


def _inline(pairs: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in pairs.items()) + " }"


def _architecture(model: Architecture) -> list[str]:
    lines = [
        "",
        "[architecture]",
        f"{'gguf' if model.runs_in_gguf else 'transformers'} = {_value(model.row)}",
    ]
    for key in _ARCHITECTURE:
        value = getattr(model, key)
        if value not in (None, ()) and not (key == "output_matrix" and value):
            lines.append(f"{key} = {_value(value)}")
    for key, groups in _layers(model).items():
        if groups:
            lines += [f"{key} = [", *(f"  {_inline(group)}," for group in groups), "]"]
    if model.audio is not None:
        audio = {key: getattr(model.audio, key) for key in type(model.audio)._fields}
        lines.append(f"audio = {_inline(audio)}")
    return [*lines, *_section("architecture.apart", model.apart), *_tensors(model)]


def _layers(model: Architecture) -> dict[str, list[dict[str, Any]]]:
    """The lines of each list of layers."""
    # Lines of the first two lists share the layers that none of them names, so one line of both may
    # leave out its own.
    remembering = _placed((*model.attention, *model.recurrent), model)
    attending = len(model.attention)
    feeding = _placed(model.feed_forward, model)
    return {
        "attention": [
            _attention(group, at, model)
            for group, at in zip(model.attention, remembering[:attending], strict=True)
        ],
        "recurrent": [
            _recurrent(group, at)
            for group, at in zip(model.recurrent, remembering[attending:], strict=True)
        ],
        "feed_forward": [
            _feed_forward(group, at) for group, at in zip(model.feed_forward, feeding, strict=True)
        ],
    }


def _tensors(model: Architecture) -> list[str]:
    shapes: dict[str, list[str]] = {}
    for tensor in model.tensors:
        at = {"at": _at(tensor.layers, model)} if tensor.layers else {}
        shapes.setdefault(tensor.name, []).append(_inline({**at, "shape": tensor.shape}))
    lines = [f"{_key(name)} = [{', '.join(places)}]" for name, places in shapes.items()]
    return ["", "[architecture.tensors]", *lines] if lines else []


def _at(layers: Sequence[int], model: Architecture) -> str | tuple[int, ...]:
    """`at` of a line: a slice where the layers make one, else their list."""
    if len(layers) > 1:
        step = layers[1] - layers[0]
        if tuple(layers) == tuple(range(layers[0], layers[-1] + 1, step)):
            if layers[-1] + step >= model.layers > layers[-1]:
                return f"{layers[0] or ''}:" + (f":{step}" if step > 1 else "")
            return f"{layers[0] or ''}:{layers[-1] + 1}" + (f":{step}" if step > 1 else "")
    return tuple(layers)


def _placed(groups: Sequence[_Group], model: Architecture) -> list[dict[str, Any]]:
    """`at` of each line. A line without it takes the layers that no line names."""
    every = set(range(model.layers))
    if all(set(group.layers) == every for group in groups):
        return [{} for _ in groups]
    lines: list[dict[str, Any]] = [{"at": _at(group.layers, model)} for group in groups]
    for index, group in enumerate(groups):
        named = {layer for other in groups if other is not group for layer in other.layers}
        if (
            isinstance(lines[index]["at"], tuple)
            and len(group.layers) > 1
            and every - named == set(group.layers)
        ):
            # a list of many layers reads worse than "the rest"
            lines[index] = {}
            break
    return lines


def _attention(group: Attention, at: dict[str, Any], model: Architecture) -> dict[str, Any]:
    line = dict(at)
    if group.kind != "full":
        line["kind"] = group.kind
    if group.heads != model.heads:
        line["heads"] = group.heads
    if group.kind != "latent" or group.kv_heads != group.heads:
        line["kv_heads"] = group.kv_heads
    line["key_length"] = group.key_length
    if group.value_length != group.key_length:
        line["value_length"] = group.value_length
    for key in ("window_tokens", *_SOMETIMES, "query_key_norm"):
        if getattr(group, key) is not None:
            line[key] = getattr(group, key)
    if group.values_from_keys:
        line["values_from_keys"] = True
    return line


def _recurrent(group: Recurrent, at: dict[str, Any]) -> dict[str, Any]:
    line = {**at, "kind": group.kind}
    for key in type(group)._fields:
        if key not in ("kind", "layers") and getattr(group, key) is not None:
            line[key] = getattr(group, key)
    return line


def _feed_forward(group: FeedForward, at: dict[str, Any]) -> dict[str, Any]:
    line = dict(at)
    for key in type(group)._fields:
        value = getattr(group, key)
        if key != "layers" and value not in (None, False):
            line[key] = value
    return line
