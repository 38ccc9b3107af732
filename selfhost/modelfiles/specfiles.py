"""Spec files: the TOML of a ModelSpec, by the keys that its records declare, and `selfhost spec
check`, which finds every fault of files in one run, alone and beside the catalogue.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .. import needs as need
from ..catalogue.architecture import LAYERS, Architecture
from ..catalogue.index import misnamed, spec_files_in
from ..catalogue.openness import canonical_expression, remedy_of_id
from ..catalogue.spec import ModelSpec, read_spec_file
from ..catalogue.spec_rules import read_model_spec, value_at
from ..catalogue.spec_values import ID, QUANTIZATIONS, SCHEMA, SCRATCH, SOURCES_ENDING
from ..core.errors import KeyPath, Problem, SpecError, WorkloadError
from ..core.records import Record, shortened, shown
from ..core.tables import Document, shipped_table
from ..core.templates import fill
from ..core.units import canonical
from ..needs.checkpoints import DTYPES
from ..needs.records import Term
from .tables import model_files

_BARE = re.compile(r"(?a)[A-Za-z0-9_-]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# Tables whose facts have their source in [sources]. [needs] and [[files]] carry their own, and
# [upkeep] is a pointer.
_SOURCED = (
    "license", "openness", "parameters", "architecture", "components", "embedding", "safety",
    "availability",
)  # fmt: skip
# keys that name other files by their ids
_POINTERS = "availability.open_alternatives availability.successor upkeep.superseded_by tuned_from"
# a stated count of parameters lies that near to the true one
PARAMETERS_SHARE = 0.005
# a figure of one digit ("7_000_000_000") may be that far from what it rounds
_ROUNDED_SHARE = 0.1
# Files of one quantization differ by up to 8 %, as publishers leave some tensors in another type.
# Those of another model differ by far more.
_FILES_SHARE = 0.25


def spec_text(model: ModelSpec) -> str:
    """The TOML of a model that was read from its files: `read_model_spec` reads it back as the same
    spec, but for its origin and its tensors.
    """
    stated = {
        "id": model.id,
        "name": model.name,
        "modality": model.modality,
        **_stated(model),
    }
    listed = []
    for files in model.files:
        # no spec can name the type of another size
        names = QUANTIZATIONS.get(files.format, ())
        sizes = {name: size for name, size in files.bytes.items() if name in names}
        if sizes or files.unsized:
            listed.append(_stated(files.replace(bytes=sizes)))
    stated["files"] = listed
    if model.architecture is not None:
        stated["architecture"] = _architecture(model.architecture)
    lines: list[str] = []
    tables: list[str] = []
    for key, part in stated.items():
        value = _stated(part) if isinstance(part, Record) else part
        if isinstance(value, Mapping):
            tables += ["", f"[{key}]", *(_entry(*pair) for pair in value.items())]
        elif value != []:
            lines.append(_entry(key, value))
    return "\n".join([*lines, *tables]) + "\n"


def _stated(record: Record) -> dict[str, object]:
    """What a record has otherwise than by default, by the keys of a spec file."""
    keys = type(record)._keys.items()
    own = [(key.name or name, getattr(record, name), key.default) for name, key in keys]
    return {key: value for key, value, usual in own if value not in (None, usual, ())}


def _architecture(model: Architecture) -> dict[str, object]:
    stated = {
        "gguf" if model.runs_in_gguf else "transformers": model.row,
        **_stated(model),
    }
    for key in LAYERS:
        stated[key] = parts = []
        for part in getattr(model, key):
            # its layers as a slice or a list, where it has not all
            places, own = part.layers, _stated(part)
            step = places[1] - places[0] if len(places) > 1 else 1
            is_slice = places == tuple(range(places[0], places[-1] + 1, step))
            at = f"{places[0]}:{places[-1] + 1}:{step}" if is_slice else places
            parts.append(own if len(places) == model.layers else {"at": at, **own})
    return {key: value for key, value in stated.items() if value != []}


def _entry(key: str, value: object) -> str:
    """The line of a key; a list of tables has a line for each of them."""
    name = key if _BARE.fullmatch(key) else _value(key)
    if isinstance(value, list):
        return "\n".join([f"{name} = [", *(f"  {_value(row)}," for row in value), "]"])
    return f"{name} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if value >= 1_000_000 else str(value)
    if isinstance(value, str):
        import json

        # TOML has the escapes of JSON; a half of a surrogate pair, as names of files hold, is none
        text = json.dumps(_SURROGATE.sub("?", value), ensure_ascii=False)
        return text.replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_entry(*pair) for pair in value.items()) + " }"
    assert isinstance(value, list | tuple)
    return "[" + ", ".join(map(_value, value)) + "]"


# faults of all files for which the near name is looked for, each time in 20 to 30 ms
_MOST_GUESSES = 50


def check_spec_files(
    paths: Sequence[str],
    catalogue_specs: Iterable[ModelSpec],
    runtime_ids: Sequence[str] = (),
    *,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[tuple[Problem, ...], tuple[ModelSpec, ...]]:
    """Every fault of the files, in their order, and the specs of those without one.

    Of a folder every spec in it is checked, as `--specs` takes them. Stated counts and sizes are
    counted again. A file replaces the spec of the same id in the
    catalogue, so that a shipped file can be checked against the rest. `runtime_ids` are the
    programs that a spec may name, of which none are checked where there are none. The same file
    named twice is read once. `tell` hears how many files were read, and of how many. Raises
    nothing.
    """
    # a file of sources is part of the spec that it lies beside
    paths, folder_problems = _files_of(paths)
    paths = [re.sub(rf"{re.escape(SOURCES_ENDING)}$", ".toml", path) for path in paths]
    documents: list[Document] = []
    specs: list[ModelSpec | None] = []
    different = [*dict.fromkeys(paths)]
    for number, path in enumerate(different):
        if tell is not None:
            tell(number, len(different))
        documents.append(read_spec_file(path))
        specs.append(_checked_alone(documents[-1]))
    # faulty files are held against the catalogue too: all faults in one run
    stated = [file for file in documents if file.values.get("schema") in (None, SCHEMA)]
    replaced = {
        _id_of(each) or os.path.basename(each.file)[: -len(".toml")] for each in stated
    }
    others = [spec for spec in catalogue_specs if spec.id not in replaced]
    # of each name in its canonical spelling the first spec that answers to it
    owners: dict[str, str] = {}
    for spec in others:
        for name in filter(None, (spec.id, *spec.aliases, spec.repository)):
            owners.setdefault(canonical(name), spec.id)
    for document in stated:
        _check_names(document, owners)
        _check_references(
            document, sorted({each.id for each in others} | replaced), runtime_ids
        )
        _check_sources(document)
    problems: list[Problem] = []
    guesses = 0
    for document in documents:
        problems += document.all_problems(_MOST_GUESSES - guesses)
        guesses += document.count_of_guesses
    pairs = zip(documents, specs, strict=True)
    return (*folder_problems, *problems), tuple(
        [spec for file, spec in pairs if spec and file.ok]
    )


def _files_of(paths: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """The files, and those in the folders; and what is wrong with the folders."""
    files: list[str] = []
    problems: list[Problem] = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        try:
            found = spec_files_in(path)
        except SpecError as error:
            problems += error.problems
            continue
        if not found:
            remedy = "name a folder that holds <id>.toml files"
            problems.append(
                Problem(file=shown(path), message="holds no spec", remedy=remedy)
            )
        files += found
    return files, problems


def checked_spec(path: str) -> ModelSpec:
    """The spec in a file of whatever name. Raises `SpecError` with the faults that `spec check`
    finds in it, but for those of names, references and sources.
    """
    document = read_spec_file(path)
    spec = _checked_alone(document)
    if spec is None or not document.ok:
        raise SpecError(document.problems)
    return spec.replace(origin=path)


def _note(document: Document, place: KeyPath, fault: str, **values: object) -> None:
    """Note a fault as `[spec_faults]` of model_files.toml words it."""
    message, remedy = model_files().spec_faults[fault]
    document.add(place, fill(message, values), fill(remedy, values))


def _checked_alone(document: Document) -> ModelSpec | None:
    """What is right in a spec, held against itself; None where that is nothing."""
    spec = read_model_spec(document, document.file)
    if spec is None:
        return None
    for place, text in _texts(document, "license", "id"):
        try:
            right = canonical_expression(text)
        except WorkloadError:
            message = f'"{shortened(text)}" is no SPDX license expression'
            document.add(place, message, remedy_of_id(text))
            continue
        if right != text:
            _note(document, place, "license", text=text, right=right)
    # over a wrong list of layers nothing can be counted
    is_countable, model = (
        not document.has_faults("architecture", "quantized"),
        spec.architecture,
    )
    rows = shipped_table("architectures")["architecture"]
    if (
        is_countable
        and model
        and model.row in rows
        and need.row_of(model) is need.UNKNOWN_ROW
    ):
        key = "feed_forward" if model.attention else "attention"
        _note(document, ("architecture", key), "part", row=model.row, key=key)
        is_countable = False
    if spec.parameters.total is not None and not document.has_faults("parameters"):
        _check_counts(
            document, spec, need.counted_parameters(spec) if is_countable else None
        )
    if is_countable:
        _check_files(document, spec)
    return spec


def _id_of(document: Document) -> str | None:
    return next((text for _, text in _texts(document, "id")), None)


def _texts(document: Document, *path: str) -> list[tuple[KeyPath, str]]:
    """The text or the list of texts at a path, each with its own path."""
    value: Any = value_at(document.values, path)
    places: list[KeyPath] = [path]
    if isinstance(value, list):
        places = [(*path, index) for index in range(len(value))]
    texts = ((place, value_at(document.values, place)) for place in places)
    return [
        (place, text) for place, text in texts if isinstance(text, str) and text.strip()
    ]


def _check_names(document: Document, owners: dict[str, str]) -> None:
    spec_id, file = _id_of(document), os.path.basename(document.file)
    if spec_id is None:
        return
    if re.fullmatch(ID.pattern, spec_id) and file != f"{spec_id}.toml":
        document.add(("id",), *misnamed(spec_id, file))
    if owners.get(canonical(spec_id)) == spec_id:
        _note(document, ("id",), "twice", name=shortened(spec_id))
        return
    for key in ("id", "aliases", "repository"):
        for place, name in _texts(document, key):
            if (owner := owners.setdefault(canonical(name), spec_id)) != spec_id:
                _note(document, place, "taken", name=shortened(name), owner=owner)


def _check_references(
    document: Document, ids: Sequence[str], runtime_ids: Sequence[str]
) -> None:
    spec_id = _id_of(document)
    for key in [*_POINTERS.split(), *(["runtimes"] if runtime_ids else [])]:
        what, choices = ("runtime", runtime_ids) if key == "runtimes" else ("spec", ids)
        for place, text in _texts(document, *key.split(".")):
            if what == "spec" and text == spec_id:
                document.add(place, f'"{shortened(text)}" is this model itself')
            # a model may be tuned from one that no spec describes
            elif text not in choices and (
                key != "tuned_from" or "/" not in text != SCRATCH
            ):
                listed = f"one of {', '.join(choices)}" if what == "runtime" else None
                remedy = document.did_you_mean(text, choices, listed, '"{name}"')
                document.add(place, f'no {what} has the id "{shortened(text)}"', remedy)


def _check_counts(
    document: Document, spec: ModelSpec, counted: tuple[int, int] | None
) -> None:
    """That stated parameters are those counted, but for a share or half of the last digit."""
    counts, beside = spec.parameters, spec.parameters.encoders or 0
    stated, own = counts.total or 0, sum((spec.components or {}).values())
    # the key, what is stated and what is true, over what, and how far apart they may be, too
    is_own = own and not document.has_faults("components")
    rows = [("total", stated, own, "components", 0)] if is_own else []
    if counted is not None:
        total, active = counted
        if not beside and "parameters.encoders" in spec.unknown:
            # the encoders are inside what is stated, which is therefore no less than the rest
            beside = max(0, stated - total)
        basis, apart = (
            "encoders" if counts.encoders else "architecture",
            total + beside - stated,
        )
        rows.append(("total", stated, total + beside, basis, 0))
        if counts.active is not None:
            rows.append(
                ("active", counts.active, active + beside, "active", abs(apart))
            )
    for key, stated, true, basis, more in rows:
        zeros = len(str(stated)) - len(str(stated).rstrip("0"))
        rounded = min(10**zeros // 2, int(stated * _ROUNDED_SHARE))
        apart = abs(true - stated)
        if apart > max(int(stated * PARAMETERS_SHARE), rounded) + more:
            share = f"{apart / stated * 100:.{0 if apart * 10 > stated else 1}f} %"
            (what, correct), than = (
                model_files().spec_bases[basis],
                "more" if true > stated else "less",
            )
            figures = {
                "stated": stated,
                "true": true,
                "share": share,
                "than": than,
                "key": key,
            }
            figures["written"] = f"{true:_}"
            _note(
                document,
                ("parameters", key),
                "count",
                what=what,
                correct=correct,
                **figures,
            )


def _check_files(document: Document, spec: ModelSpec) -> None:
    """That stated sizes can be this model's in that quantization, where one can be computed."""
    # a listing may include the projector, which is a file of its own in 16 bits
    encoders = spec.parameters.encoders or 0
    if "parameters.encoders" in spec.unknown and not encoders:
        return
    for index, files in enumerate(spec.files):
        for name, size in files.bytes.items():
            sized = need.weights_files(spec.replace(files=()), files.format, name)
            if not isinstance(sized, Term):
                continue
            # some pipelines are published in 32 bits and loaded in 16 (Lumina-Image 2.0, Z-Image)
            widening = 32 / DTYPES[name] if spec.components and name in DTYPES else 1
            most = sized.high_bytes * widening * (1 + _FILES_SHARE) + 3 * encoders
            if not sized.low_bytes * (1 - _FILES_SHARE) <= size <= most:
                own = f"{sized.bytes:,} ({sized.arithmetic})"
                place = "files", index, "bytes", name
                _note(document, place, "size", size=size, name=name, own=own)


def _check_sources(document: Document) -> None:
    sources = document.values.get("sources") or {}
    having = (
        {key.partition(".")[0] for key in sources}
        if isinstance(sources, dict)
        else _SOURCED
    )
    for table in _SOURCED:
        if table in document.values and table not in having:
            place = "" if "sources" in document.parts else "[sources] "
            remedy = f'say where the facts in [{table}] come from: {place}{table} = "…"'
            if "sources" not in document.values:
                beside = document.file.removesuffix(".toml") + SOURCES_ENDING
                remedy += f', or {table} = "…" in {beside}'
            document.add(("sources", table), "is missing", remedy)
