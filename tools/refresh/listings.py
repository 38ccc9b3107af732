"""JSON and model cards about a repository -> what they state of its model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from selfhost.catalogue.quantization_names import QUANTIZATIONS, canonical_packed
from selfhost.catalogue.spec import ModelSpec, Parameters, PublishedFiles, Safety
from selfhost.modelfiles.source import clean, license_of

# what the files of a repository are, by their endings
_FORMATS = ((".safetensors", "safetensors"), (".gguf", "gguf"), (".bin", "pickle"), (".pt", "pickle"),
            (".pth", "pickle"), (".ckpt", "pickle"))  # fmt: skip
# a quantization in the name of a GGUF file: -Q4_K_M.gguf, .IQ4_XS-00001-of-00002.gguf
_IN_NAME = re.compile(r"[-._]([A-Za-z]+[A-Za-z0-9_-]*?)(?:-\d{5}-of-\d{5})?\.gguf$")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
# files beside a pickle or safetensors checkpoint that are none of its weights
_NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "rng_state")
_DAY = re.compile(r"(20\d\d-\d\d-\d\d)")
# words of a repository's name that say so beside the names of schemes
_PACKED_WORDS = ("gguf", "mlx", "onnx", "4bit", "8bit", "int4", "int8", "nvfp4", "mxfp4")
_TYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def front_matter(text: str) -> dict[str, Any]:
    """Keys and values of the YAML at the head of a model card, the plain ones: text, and lists of
    it. What is nested deeper is passed over.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    values: dict[str, Any] = {}
    key = ""
    for line in lines[1:2000]:
        if line.strip() in ("---", "..."):
            return values
        item = re.match(r"\s*-\s+(.+)$", line)
        if item and key and isinstance(values.get(key), list):
            values[key].append(_plain(item[1]))
        pair = re.match(r"([A-Za-z_][\w-]*):(?:\s+(.*))?$", line)
        if pair:
            key, value = pair[1], (pair[2] or "").strip()
            values[key] = (
                [_plain(part) for part in value.strip("[]").split(",") if part.strip()]
                if value.startswith("[")
                else _plain(value)
                if value
                else []
            )
    return {}


def _plain(text: str) -> str:
    text = text.strip()
    quoted = re.fullmatch(r"""(["'])(.*)\1""", text)
    return quoted[2] if quoted else text.split(" #")[0].strip()


def first_text(value: Any) -> str | None:
    """The text, or the first of a list of texts."""
    if isinstance(value, list) and value:
        value = value[0]
    return clean(value) or None


def of_card(values: Mapping[str, Any], name: str) -> ModelSpec:
    """What a card says of its model."""
    unknown: dict[str, str] = {}
    tag = first_text(values.get("license"))
    if tag == "other":
        tag = first_text(values.get("license_name"))
    terms = license_of(tag, first_text(values.get("license_link")), unknown) if tag else None
    if terms is not None and terms.id and terms.id.startswith("LicenseRef-") and not terms.url:
        # a tag alone, such as llama3.1, is no license that a spec can state
        terms = None
    relation = first_text(values.get("base_model_relation"))
    base = first_text(values.get("base_model"))
    own = isinstance(base, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", base, re.ASCII) is not None
    prompt = any(key.startswith("extra_gated") for key in values)
    return ModelSpec(
        id="card",
        name=name,
        license=terms,
        tuned_from=base if own and relation not in ("quantized", "adapter", "merge") else None,
        gated=True if prompt else None,
        unknown=unknown,
    )


def is_listing(values: Any) -> bool:
    """Whether JSON is what Hugging Face says of a repository, or its tree of files."""
    if isinstance(values, dict):
        return isinstance(values.get("siblings"), list) and isinstance(repository_of(values), str)
    return isinstance(values, list) and any(
        isinstance(entry, dict) and entry.get("type") == "file" and "path" in entry
        for entry in values[:50]
    )


def repository_of(values: Mapping[str, Any]) -> str | None:
    """The repository that a listing is of."""
    for key in ("id", "modelId"):
        name = values.get(key)
        if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
            return name
    return None


def of_listing(values: Any, name: str, source: str) -> ModelSpec:
    """What a repository's listing says of its model."""
    about = values if isinstance(values, dict) else {}
    files = list(_files(about.get("siblings") if about else values))
    card = about.get("cardData")
    spec = of_card(card if isinstance(card, dict) else _tagged(about.get("tags")), name)
    gated = about.get("gated")
    created = _DAY.match(str(about.get("createdAt", "")))
    formats = tuple(dict.fromkeys(format for path, _ in files if (format := _format(path))))
    sizes = dict(gguf_sizes(files))
    return spec.replace(
        gated=gated is not False if gated in (False, True, "auto", "manual") else spec.gated,
        released=created[1] if created else None,
        parameters=Parameters(total=_count(about)),
        safety=Safety(formats=formats),
        files=(PublishedFiles(format="gguf", source=source, bytes=sizes),) if sizes else (),
    )


def _tagged(tags: Any) -> dict[str, str]:
    """License and base model as the tags of a listing say them."""
    found: dict[str, str] = {}
    for tag in tags if isinstance(tags, list) else ():
        key, _, value = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        if key in ("license", "base_model") and value:
            relation, _, base = value.rpartition(":")
            found[key] = base
            if relation:
                found["base_model_relation"] = relation
    return found


def _files(entries: Any) -> Iterator[tuple[str, int | None]]:
    """Path and size of each file, None where the listing has no sizes."""
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        path = entry.get("rfilename", entry.get("path"))
        size = entry.get("size")
        if isinstance(path, str) and entry.get("type", "file") == "file":
            yield path, size if type(size) is int and size > 0 else None


def _format(path: str) -> str | None:
    base = path.rpartition("/")[2].lower()
    if base.startswith(_NO_WEIGHTS):
        return None
    return next((format for ending, format in _FORMATS if base.endswith(ending)), None)


def gguf_sizes(files: list[tuple[str, int | None]]) -> Iterator[tuple[str, int]]:
    """Each quantization that is there whole and once, with the bytes of its files."""
    parts: dict[str, list[int]] = {}
    wanted: dict[str, int] = {}
    for path, size in files:
        named = _IN_NAME.search(path)
        base = path.rpartition("/")[2].lower()
        quantization = _quantization(named[1]) if named else None
        if quantization is None or size is None or base.startswith(("mmproj", "imatrix")):
            continue
        part = _PART.search(path)
        parts.setdefault(quantization, []).append(size)
        wanted[quantization] = int(part[2]) if part else 1
    for quantization, sizes in parts.items():
        if len(sizes) == wanted[quantization]:
            yield quantization, sum(sizes)


def _quantization(text: str) -> str | None:
    """The last words of a name that are a quantization of GGUF files."""
    names = {name.lower(): name for name in QUANTIZATIONS["gguf"]}
    words = re.split(r"[-.]", text)
    for start in range(len(words)):
        candidate = names.get("-".join(words[start:]).lower())
        if candidate is not None:
            return candidate
    return None


def _count(about: Mapping[str, Any]) -> int | None:
    """Parameters by the headers of the safetensors files, where all are in plain types."""
    part = about.get("safetensors")
    by_type = part.get("parameters") if isinstance(part, dict) else None
    if not isinstance(by_type, dict) or not by_type or set(by_type) - set(_TYPES):
        return None
    counts = list(by_type.values())
    return sum(counts) if all(type(count) is int and count > 0 for count in counts) else None


def is_packed(name: str) -> bool:
    """Whether the name of a repository says that it holds a quantized copy."""
    words = re.split(r"[-_]", name.lower())
    return any(canonical_packed(word) is not None or word in _PACKED_WORDS for word in words)
