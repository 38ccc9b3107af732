"""ModelSpec -> the TOML of its spec file, by the keys that the records of a spec declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..catalogue.architecture import Architecture
from ..catalogue.layers import Attention, FeedForward, Recurrent
from ..catalogue.published import PublishedFiles
from ..catalogue.quantization_names import QUANTIZATIONS
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SCHEMA
from ..core.records import Record, pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_BARE = pattern(r"[A-Za-z0-9_-]+")
_DATE = pattern(r"\d{4}-\d{2}-\d{2}")
_SURROGATE = pattern(r"[\ud800-\udfff]")
_DATED = ("released", "retired")
# tables with tensors of a type of their own, which follow the table that has them
_APART = "apart"
_Group = Attention | Recurrent | FeedForward


def spec_text(model: ModelSpec) -> str:
    """The text of a spec file; `read_model_spec` makes the same spec of it, but for `origin`
    and `overrides`.
    """
    head = {"id": model.id, "name": model.name, "modality": model.modality}
    stated = head | dict(_stated(model))
    for key in ("embedding", "architecture", "files", "tokenizer"):
        stated.pop(key, None)
    tables = {key: value for key, value in stated.items() if isinstance(value, Record | Mapping)}
    scalars = ((key, value) for key, value in stated.items() if key not in tables)
    lines = [f"schema = {SCHEMA}", *_lines(scalars)]
    if model.tokenizer is False:
        lines.append("tokenizer = false")
    if model.embedding_length is not None:
        lines += ["", "[embedding]", f"length = {model.embedding_length}"]
    if model.architecture is not None:
        lines += _architecture(model.architecture)
    for name, value in tables.items():
        pairs = dict(_stated(value) if isinstance(value, Record) else value.items())
        apart = pairs.pop(_APART, ()) if name == "quantized" else ()
        lines += ["", f"[{name}]", *_lines(pairs.items()), *_section(f"{name}.{_APART}", apart)]
    for files in model.files:
        lines += _files(files)
    return "\n".join(lines) + "\n"


def _stated(record: Record) -> Iterator[tuple[str, Any]]:
    """What a record has otherwise than by default, by the keys of a spec file."""
    for field, key in type(record)._keys.items():
        value = getattr(record, field)
        if value is not None and value not in (key.default, ()):
            yield key.name or field, value


def _files(files: PublishedFiles) -> list[str]:
    """The lines of an entry of `[[files]]`; none where no spec can name the type of a size."""
    names = QUANTIZATIONS.get(files.format, ())
    sizes = {f"bytes.{_key(name)}": size for name, size in files.bytes.items() if name in names}
    if not sizes and not files.unsized:
        return []
    stated = ((key, value) for key, value in _stated(files) if key != "bytes")
    lines = [f"{key} = {_value(size)}" for key, size in sizes.items()]
    return ["", "[[files]]", *_lines(stated), *lines]


# ------------------------------------------------------------------------------------- values


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
        import json

        # TOML has the escapes of JSON; a half of a surrogate pair, as names of files hold, is none
        text = json.dumps(_SURROGATE.sub("?", value), ensure_ascii=False)
        return text.replace("\x7f", "\\u007F")
    if isinstance(value, Record):
        value = dict(_stated(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value.items())) + " }"
    return "[" + ", ".join(map(_value, value)) + "]"


def _lines(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for key, value in pairs:
        is_date = key in _DATED and _DATE.fullmatch(value)
        yield f"{_key(key)} = {value if is_date else _value(value)}"


def _section(name: str, pairs: Iterable[tuple[str, Any]]) -> list[str]:
    """The lines of a table with free keys; none where it has no entry."""
    lines = list(_lines(pairs))
    return ["", f"[{name}]", *lines] if lines else []


# ------------------------------------------------------------------------------- architecture


def _architecture(model: Architecture) -> list[str]:
    stated = dict(_stated(model))
    apart = stated.pop(_APART, ())
    row = "gguf" if model.runs_in_gguf else "transformers"
    lines = ["", "[architecture]", *_lines([(row, model.row), *stated.items()])]
    # a line without `at` takes the layers that no line of the two lists names
    are_everywhere = _are_everywhere((*model.attention, *model.recurrent), model)
    feeding = _are_everywhere(model.feed_forward, model)
    for key, groups, has_no_at in (
        ("attention", model.attention, are_everywhere),
        ("recurrent", model.recurrent, are_everywhere),
        ("feed_forward", model.feed_forward, feeding),
    ):
        if groups:
            places = [{} if has_no_at else {"at": _at(group.layers, model)} for group in groups]
            entries = zip(places, groups, strict=True)
            inline = [f"  {_value({**at, **_sizes(group, model)})}," for at, group in entries]
            lines += [f"{key} = [", *inline, "]"]
    shapes: dict[str, list[dict[str, Any]]] = {}
    for tensor in model.tensors:
        at = {"at": _at(tensor.layers, model)} if tensor.layers else {}
        shapes.setdefault(tensor.name, []).append({**at, "shape": tensor.shape})
    return [
        *lines,
        *_section(f"architecture.{_APART}", apart),
        *_section("architecture.tensors", shapes.items()),
    ]


def _are_everywhere(groups: Sequence[_Group], model: Architecture) -> bool:
    return all(len(group.layers) == model.layers for group in groups)


def _sizes(group: Record, model: Architecture) -> dict[str, Any]:
    """What a line states of its layers; what follows from elsewhere is left out."""
    stated = dict(_stated(group))
    if isinstance(group, Attention):
        followed = {"value_length": group.key_length, "heads": model.heads}
        if group.kind == "latent":
            followed["kv_heads"] = group.heads
        stated = {key: value for key, value in stated.items() if followed.get(key) != value}
    return stated


def _at(layers: Sequence[int], model: Architecture) -> str | tuple[int, ...]:
    """`at` of a line: a slice where the layers make one, else their list."""
    step = layers[1] - layers[0] if len(layers) > 1 else 1
    if len(layers) == 1 or tuple(layers) != tuple(range(layers[0], layers[-1] + 1, step)):
        return tuple(layers)
    is_to_end = layers[-1] + step >= model.layers > layers[-1]
    end = "" if is_to_end else layers[-1] + 1
    return f"{layers[0] or ''}:{end}" + (f":{step}" if step > 1 else "")
