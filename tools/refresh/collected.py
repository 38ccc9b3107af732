"""A folder of files -> one statement for each file that says something of a model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SpecError
from selfhost.core.files import Unreadable, read_file, text_of
from selfhost.core.records import Record
from selfhost.modelfiles import LocalModel
from selfhost.modelfiles.gguf import read_gguf
from selfhost.modelfiles.local import read_lone_config
from selfhost.modelfiles.source import clean, fail, name_of, read_json, shown

from .listings import front_matter, is_listing, of_card, of_listing, repository_of
from .ollama import Tag, is_library, of_manifest, tags_of
from .statements import LIBRARY, Refused, Statement, facts_of

# names where each file of a folder was copied from
INDEX = "index.json"
MAX_FILES = 20_000
MAX_DEPTH = 12
# the listing of a repository with 1,000 files, and the index of a model's shards, have a few MB
MAX_JSON_BYTES = 1 << 26
MAX_CARD_BYTES = 1 << 20
_CARD, _CONFIG = "README.md", "config.json"
# files of a model that say nothing which a spec states; generation_config.json and
# hf_quant_config.json are read with the config.json beside them
_COMPANIONS = (
    "generation_config.json", "hf_quant_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json", "vocab.json",
    "processor_config.json", "chat_template.json", "video_preprocessor_config.json",
    "configuration.json", "modules.json", "config_sentence_transformers.json",
    "sentence_bert_config.json", "params.json", "quantize_config.json", "image_processor.json",
)  # fmt: skip
_OWNED = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_INDEX_ENDING = ".safetensors.index.json"
_ENDING = re.compile(r"(?:\.model)?\.safetensors\.index\.json$|\.(?:json|gguf|md)$")
_HEADER = "header of a GGUF file"
# keys of [architecture] by which configs of one model may differ, while the model does not
_CONFIG_KEYS = (
    "dtype", "matrix_dtype", "expert_dtype", "layers", "encoder_layers", "embedding_length",
    "heads", "vocabulary", "context_tokens", "tied_embeddings", "attention", "recurrent",
    "feed_forward", "cache_layers", "per_layer_embedding_length", "altup_inputs",
    "deepstack_layers", "mtp_layers", "token_types", "table_length", "stored_layers", "audio",
)  # fmt: skip
# a GGUF file has its own types and its own number of tokens
_HEADER_KEYS = (
    "layers", "embedding_length", "heads", "context_tokens", "attention", "recurrent",
    "feed_forward", "cache_layers", "per_layer_embedding_length",
)  # fmt: skip


class Noted(Record):
    """What the index of a folder notes of a file: the model, where the copy was kept, and keys of
    a spec in which the copy is known to differ from what was published.
    """

    model: str | None = None
    origin: str | None = None
    edited: tuple[str, ...] = ()


class Collection(Record):
    """What was found: statements and refused files, both in the order of their paths."""

    statements: tuple[Statement, ...]
    refused: tuple[Refused, ...]


def collect(paths: list[str], *, source: str | None) -> Collection:
    """What the files and folders say. `source` is the origin of those that no index names.

    Raises `SpecError` where a path cannot be read at all.
    """
    statements: list[Statement] = []
    refused: list[Refused] = []
    for root in paths:
        notes = _notes(root)
        for path in _files_of(root):
            place = os.path.relpath(path, root) if os.path.isdir(root) else os.path.basename(path)
            place = place.replace(os.sep, "/")
            noted = notes.get(place, Noted(origin=source))
            try:
                found = _read(path, place, noted)
            except SpecError as error:
                problem = error.problems[0]
                refused.append(Refused(file=shown(place), why=problem.message, faulty=True))
            except _OtherKind as error:
                refused.append(Refused(file=shown(place), why=str(error), faulty=False))
            else:
                statements += found
    return Collection(statements=tuple(statements), refused=tuple(refused))


class _OtherKind(Exception):
    """A whole file that is about no model."""


def _files_of(root: str) -> Iterator[str]:
    """The files below a folder by name, or the file itself; links to folders are not followed."""
    if not os.path.isdir(root):
        if not os.path.lexists(root):
            fail(root, "is not there", "name a folder or a file that exists")
        yield root
        return
    count = 0
    for folder, inner, names in os.walk(root):
        depth = os.path.relpath(folder, root).count(os.sep)
        inner[:] = sorted(inner) if depth < MAX_DEPTH else []
        for name in sorted(names):
            count += 1
            if count > MAX_FILES:
                fail(root, f"holds more than {MAX_FILES:,} files", "name a smaller folder")
            if not (folder == root and name == INDEX) or not _is_index(os.path.join(root, name)):
                yield os.path.join(folder, name)


def _is_index(path: str) -> bool:
    try:
        values = read_json(path, MAX_JSON_BYTES, what=INDEX)
    except SpecError:
        return False
    return isinstance(values, dict) and isinstance(values.get("files"), list)


def _notes(root: str) -> dict[str, Noted]:
    """What the index of a folder says, by the path of each file in it."""
    path = os.path.join(root, INDEX)
    if not os.path.isfile(path) or not _is_index(path):
        return {}
    notes = {}
    for entry in read_json(path, MAX_JSON_BYTES, what=INDEX)["files"]:
        if isinstance(entry, dict) and isinstance(entry.get("file"), str):
            model = entry.get("model")
            edited = entry.get("edited")
            notes[entry["file"]] = Noted(
                model=model if isinstance(model, str) and _OWNED.fullmatch(model) else None,
                origin=_origin(entry.get("source")),
                edited=tuple(key for key in edited if isinstance(key, str))
                if isinstance(edited, list)
                else (),
            )
    return notes


def _origin(source: Any) -> str | None:
    """`owner/name@commit: path`, or the text as it is."""
    if not isinstance(source, dict):
        return clean(source) or None
    repository, commit = clean(source.get("repository")), clean(source.get("commit"))[:8]
    path = clean(source.get("path"))
    where = repository + (f"@{commit}" if commit else "")
    return (f"{where}: {path}" if path and where else where) or None


def _read(path: str, place: str, noted: Noted) -> list[Statement]:
    """What one file states; nothing for a file that only stands beside others."""
    base = os.path.basename(path)
    if base in _COMPANIONS:
        return []
    if base == _CARD or base.endswith(".md"):
        return _of_card(path, place, noted)
    if base.lower().endswith(".gguf"):
        local = read_gguf(path, header_alone=True)
        return [_of_local(local, place, noted, _HEADER, _HEADER_KEYS)]
    if not base.endswith(".json") and "/library/" not in f"/{place}":
        raise _OtherKind("is neither JSON nor a GGUF file nor a model card")
    values = read_json(path, MAX_JSON_BYTES, what="JSON file", max_signs=1 << 24)
    if base.endswith(_INDEX_ENDING):
        return [_of_weight_index(values, place, noted)]
    if is_listing(values):
        return [_of_listing(values, place, noted)]
    if is_library(values):
        return [_of_tag(tag, place, noted) for tag in tags_of(values)]
    manifest = of_manifest(values, place)
    if manifest is not None:
        return [_of_tag(manifest, place, noted)]
    why = _no_config(values)
    if why is not None:
        raise _OtherKind(why)
    try:
        local = read_lone_config(path)
    except SpecError as error:
        raise _OtherKind(error.problems[0].message) from None
    return [_of_local(local, place, noted, "config.json", _CONFIG_KEYS)]


def _no_config(values: Any) -> str | None:
    """Why JSON is no config.json of a language model, by its keys."""
    if not isinstance(values, dict):
        return "is JSON, and no object"
    if values.get("mediaType") or values.get("schemaVersion"):
        return "is a manifest, and does not lie at library/NAME/TAG, which would name its model"
    if "_class_name" in values and "_diffusers_version" in values:
        return "is a part of a diffusers pipeline: its parameters do not follow from it"
    if "model_type" in values or "architectures" in values:
        return None
    nested = any(isinstance(values.get(key), dict) for key in ("text_config", "llm_config"))
    shaped = "hidden_size" in values or "n_layer" in values or "num_hidden_layers" in values
    return None if nested or shaped else "is JSON, and not of a kind that states facts of a model"


def _repository(place: str, noted: Noted) -> str | None:
    """The published repository that a file is of, by its index or its path."""
    if noted.model is not None:
        return noted.model
    folders = place.split("/")[:-1]
    for part in folders:
        cached = re.fullmatch(r"models--([\w.-]+?)--([\w.-]+)", part, re.ASCII)
        if cached:
            return f"{cached[1]}/{cached[2]}"
    base = place.rpartition("/")[2]
    for name in (_ENDING.sub("", base), folders[-1] if folders else ""):
        joined = re.fullmatch(r"([\w.-]+?)--([\w.-]+)", name, re.ASCII)
        if joined:
            return f"{joined[1]}/{joined[2]}"
    # the name of a file that each model has says nothing, and its folders do
    general = base in (_CONFIG, _CARD) or base.endswith((_INDEX_ENDING, ".gguf"))
    if general and len(folders) == 2 and _OWNED.fullmatch("/".join(folders)):
        return "/".join(folders)
    return None


def _name(place: str, repository: str | None) -> str:
    if repository is not None:
        return repository.partition("/")[2]
    folder, _, base = place.rpartition("/")
    return name_of(f"/{folder or base}" if base in (_CONFIG, _CARD) else f"/{base}")


def _stated(spec: Any, table: str, keys: tuple[str, ...]) -> list[str]:
    facts = facts_of(spec)
    return [
        f"{table}.{key}"
        for key in keys
        if f"{table}.{key}" in facts or any(name.startswith(f"{table}.{key}.") for name in facts)
    ]


def _of_local(
    local: LocalModel, place: str, noted: Noted, kind: str, names: tuple[str, ...]
) -> Statement:
    spec = local.spec
    repository = _repository(place, noted)
    keys = _stated(spec, "architecture", names) if spec.architecture is not None else []
    if spec.parameters.total is not None:
        keys += ["parameters.total", "parameters.active"]
    if spec.license is not None:
        keys.append("license.id")
    return Statement(
        file=shown(place),
        kind=kind,
        name=spec.name if kind == _HEADER and not repository else _name(place, repository),
        spec=spec,
        keys=tuple(key for key in keys if key not in noted.edited),
        repository=repository,
        origin=noted.origin,
    )


def _of_card(path: str, place: str, noted: Noted) -> list[Statement]:
    try:
        values = front_matter(text_of(read_file(path, MAX_CARD_BYTES)))
    except Unreadable as error:
        fail(place, error.reason, error.remedy)
    if not values:
        return []
    repository = _repository(place, noted)
    name = _name(place, repository)
    return [_about("model card", of_card(values, name), name, repository, place, noted)]


def _of_tag(tag: Tag, place: str, noted: Noted) -> Statement:
    keys = [key for key, value in (("size", tag.size), ("context", tag.context)) if value]
    return Statement(
        file=shown(place),
        kind=LIBRARY,
        name=tag.name,
        spec=ModelSpec(id="tag", name=tag.name),
        keys=tuple(f"tag.{key}" for key in keys),
        origin=noted.origin,
        tag=tag,
    )


def _of_listing(values: Any, place: str, noted: Noted) -> Statement:
    own = repository_of(values) if isinstance(values, dict) else None
    repository = noted.model or own or _repository(place, noted)
    name = _name(place, repository)
    source = f"listing of {repository or shown(place)}"
    spec = of_listing(values, name, source)
    return _about("listing", spec, name, repository, place, noted)


def _about(
    kind: str, spec: Any, name: str, repository: str | None, place: str, noted: Noted
) -> Statement:
    """The statement of a file about a repository."""
    facts = facts_of(spec)
    keys: list[str] = []
    keys += [key for key in ("license.id", "gated", "tuned_from", "released") if key in facts]
    keys += [key for key in ("parameters.total", "safety.formats") if key in facts]
    if spec.files:
        keys.append("files")
    return Statement(
        file=shown(place),
        kind=kind,
        name=name,
        spec=spec,
        keys=tuple(key for key in keys if key not in noted.edited),
        repository=repository,
        origin=noted.origin,
    )


def _of_weight_index(values: Any, place: str, noted: Noted) -> Statement:
    metadata = values.get("metadata") if isinstance(values, dict) else None
    size = metadata.get("total_size") if isinstance(metadata, dict) else None
    if type(size) is not int or not 0 < size < 1 << 60:
        raise _OtherKind("is the index of safetensors files without their total_size")
    repository = _repository(place, noted)
    name = _name(place, repository)
    return Statement(
        file=shown(place),
        kind="index of the safetensors files",
        name=name,
        spec=ModelSpec(id="index", name=name),
        keys=("weight_bytes",),
        repository=repository,
        origin=noted.origin,
        weight_bytes=size,
    )
