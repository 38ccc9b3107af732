"""What no type of a key tells of a spec: which keys need or exclude another, which sizes go
together. The shipped specs were held against these rules before, so that a check does without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from operator import ge, gt, le
from typing import Any

from ..core.errors import KeyPath
from ..core.records import Record, shortened
from ..core.tables import Document, Remedy, shipped_table
from ..core.units import is_slip
from .architecture import LAYERS, Architecture, Attention, LayerPart, Sized
from .spec import ModelSpec, PublishedFiles, Quantized, stated_spec
from .spec_values import QUANTIZATIONS

# a key, what is wrong with it as a clause that begins with a verb, and what to write instead
Misfit = tuple[str, str, str]
_Fault = tuple[KeyPath, str, Remedy]

# what the ranks of RWKV are of; without a gate the last is 0
_RANKS = ("decay", "rate", "first values", "gate")
# what two sizes of a part may not be to each other: the words for it, and what to write instead
_RELATIONS: Mapping[str, tuple[Any, str, str]] = {
    "at_most": (gt, "more than", "write at most"),
    "above": (le, "not more than", "write more than"),
    "below": (ge, "not less than", "write less than"),
    "divides": (
        lambda part, whole: whole % part,
        "which does not divide",
        "write a divisor of",
    ),
}


def read_model_spec(document: Document, origin: str) -> ModelSpec | None:
    """As `stated_spec`; each rule that it breaks, as far as it could be read, is a fault too."""
    spec = stated_spec(document, origin)
    for path, message, remedy in (
        list(_faults(document, spec)) if spec is not None else ()
    ):
        document.add(path, message, remedy)
    return spec


def misfits(record: Any, width: int | None = None) -> Iterator[Misfit]:
    """Every size that cannot be beside the others of a part, in a model of that width."""
    for key, stated in type(record)._keys.items():
        least, most = (
            stated.limits.get("minimum", 1),
            stated.limits.get("maximum", 10**18),
        )
        size = getattr(record, key)
        if type(size) is int and not least <= size <= most:
            remedy = f"write a number from {least:,} to {most:,}"
            yield key, f"is {size:,}, which is not a plausible size", remedy
    for rule in filter(None, record.related.split(", ")):
        key, relation, other, *kinds = rule.split()
        (is_wrong, words, remedy), bound = (
            _RELATIONS[relation],
            getattr(record, other, width),
        )
        is_meant = not kinds or record.kind in kinds
        if (
            is_meant
            and (size := getattr(record, key))
            and bound
            and is_wrong(size, bound)
        ):
            yield key, f"is {size:,}, {words} {other}, {bound:,}", f"{remedy} {bound:,}"
    is_ranked = getattr(record, "kind", None) == "rwkv7"
    if is_ranked and (len(record.ranks), all(record.ranks[:3])) != (len(_RANKS), True):
        remedy = (
            f"write {len(_RANKS)} numbers, those of {', '.join(_RANKS)}, the last or 0"
        )
        yield "ranks", f"is {list(record.ranks)}", remedy
    if getattr(record, "mtp_layers", None) and not all(
        (record.attention, record.feed_forward)
    ):
        message = (
            f"is {record.mtp_layers:,}, but such a block needs attention "
            f"and a feed-forward part"
        )
        remedy = "write attention and feed_forward"
        yield "mtp_layers", f"{message}, and the model lacks one of them", remedy


def _faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    yield from _key_faults(document, spec)
    facts = (*_facts(ModelSpec), *_READ_APART)
    for key in ("sources", "unknown"):
        for fact in getattr(spec, key):
            # in these tables the file chooses the names
            if fact not in facts and not fact.startswith(("components.", "files.")):
                remedy = document.did_you_mean(
                    fact, facts, 'write as "architecture.dtype"', '"{name}"'
                )
                yield (key, fact), "is not a table or key of a spec", remedy
    yield from _record_faults(document, spec)


def _record_faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    model = spec.architecture
    for path, record in document.records:
        if isinstance(record, PublishedFiles):
            yield from _file_faults(document, path, record)
        elif isinstance(record, Quantized):
            name, own = record.quantization, (*path, "quantization")
            yield from _name_faults(document, own, name, record.format)
        elif isinstance(record, Architecture):
            # of a model whose weights are said not to follow the architecture may well be unknown
            if "parameters.total" not in spec.unknown:
                yield from _row_faults(record)
        elif model is not None and isinstance(record, LayerPart):
            yield from _layer_faults(document, path, record, model)
        # of a model that cannot be read whole the sizes say nothing
        is_sized = isinstance(record, Sized) and (document.ok or record is not model)
        width = (
            model.embedding_length
            if model is not None and record is not model
            else None
        )
        for key, message, remedy in misfits(record, width) if is_sized else ():
            # what was taken from another key is a fault of that
            if value_at(document.values, (*path, key)) is not None:
                yield (*path, key), message, remedy


def _facts(kind: type[Record], before: str = "") -> Iterator[str]:
    """What may have a source, or be unknown: the tables and keys of a spec, those inside dotted."""
    for field, key in kind._keys.items():
        name = f"{before}{key.name or field}"
        yield name
        if inner := key.limits.get("kind"):
            yield from _facts(inner, f"{name}.")


_READ_APART = (
    "embedding.length", "needs.memory_bytes", "architecture.gguf", "architecture.transformers",
    *(f"architecture.{name}" for name in LAYERS),
    *(path for name, part in LAYERS.items() for path in _facts(part, f"architecture.{name}.")),
)  # fmt: skip


def _file_faults(
    document: Document, path: KeyPath, files: PublishedFiles
) -> Iterator[_Fault]:
    sizes = value_at(document.values, (*path, "bytes"))
    if not files.unsized and sizes in (None, {}):
        missing = "is missing" if sizes is None else "is empty"
        yield (
            (*path, "bytes"),
            missing,
            "write for example bytes = { Q4_K_M = 4_372_812_000 }",
        )
    if files.unsized and value_at(document.values, (*path, "repository")) is None:
        message = "names files without a repository"
        yield (*path, "unsized"), message, "write repository, or bytes with their sizes"
    named = [
        (("bytes", name), name) for name in (sizes if isinstance(sizes, dict) else ())
    ]
    named += [(("unsized", at), name) for at, name in enumerate(files.unsized)]
    for inside, name in named:
        yield from _name_faults(document, (*path, *inside), name, files.format)


def _name_faults(
    document: Document, path: KeyPath, quantization: str | None, format: str | None
) -> Iterator[_Fault]:
    choices = QUANTIZATIONS.get(format or "", ())
    if quantization and choices and quantization not in choices:
        # without the groups and bits, which are variants
        plain = [choice for choice in choices if "-" not in choice] or choices
        remedy = document.did_you_mean(
            quantization, choices, f"known: {', '.join(plain)}"
        )
        yield (
            path,
            f'"{shortened(quantization)}" is not a quantization of {format}',
            remedy,
        )


def _row_faults(model: Architecture) -> Iterator[_Fault]:
    rows = shipped_table("architectures")["architecture"]
    # a number more or less is another version, which may be new
    digits = re.sub(r"\D", "", model.row)
    near = [
        row
        for row in rows
        if is_slip(model.row, row) and re.sub(r"\D", "", row) == digits
    ]
    if model.row not in rows and near:
        key = "gguf" if model.runs_in_gguf else "transformers"
        message = f'"{shortened(model.row)}" is not an architecture that selfhost knows'
        yield ("architecture", key), message, f'did you mean "{near[0]}"?'


def _layer_faults(
    document: Document, path: KeyPath, part: LayerPart, model: Architecture
) -> Iterator[_Fault]:
    """What the kind of a layer must state and its line has not, and what says nothing with it."""
    rules, line = (
        shipped_table("model_files")["layer_keys"],
        value_at(document.values, path),
    )
    keys = type(part)._keys
    kind = str(line.get("kind", keys["kind"].default if "kind" in keys else None))
    stated = rules.get(type(part).__name__, {}).get(kind, {})
    required, allowed = stated.get("required", []), stated.get("allowed", [])
    beside = [other for key, other in rules["beside"].items() if key in line]
    for key in dict.fromkeys([*required, *beside]):
        if key in keys and key not in line:
            yield (*path, key), "is missing", None
    if isinstance(part, Attention) and "heads" not in line and model.heads is None:
        yield (*path, "heads"), "is missing, here and in [architecture]", None
    known = (*required, *allowed, *rules["of_all_kinds"])
    for key in line if stated else ():
        if key in keys and key not in known:
            remedy = f"{kind} has {', '.join((*required, *allowed))}"
            yield (*path, key), f'means nothing with kind = "{kind}"', remedy


def _key_faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    """Each of `[[spec_rules]]` (specs/common/model_files.toml) that the keys of the file break."""
    keys = {"schema", *(key.name or field for field, key in ModelSpec._keys.items())}
    for rule in shipped_table("model_files")["spec_rules"]:
        # a key that was merely misspelt is not missing
        if rule.get("closed", spec.closed) == spec.closed and (
            "whole" not in rule or document.values.keys() <= keys
        ):
            for at in rule["at"]:
                stated = (_stands(document, key or at) for key in rule.get("has", ()))
                if all(stated) and _lacks(document, *rule.get("lacks", ())):
                    yield (
                        tuple(filter(None, at.split("."))),
                        rule["message"],
                        rule["remedy"],
                    )
    for key in spec.unknown:
        if _stands(document, key):
            yield (
                ("unknown", key),
                "is also stated in this file",
                "remove the one that is wrong",
            )


def value_at(value: Any, path: KeyPath) -> Any:
    """What stands at the path in the values of a file; None where nothing does."""
    for part in path:
        places = range(len(value)) if isinstance(value, list) else ()
        value = (
            value[part]
            if part in (value if isinstance(value, dict) else places)
            else None
        )
    return value


def _stands(document: Document, key: str) -> bool:
    """Whether the file states the key; behind `=` what its value begins with."""
    path, _, begin = key.partition("=")
    value = value_at(document.values, tuple(path.split(".")))
    return value is not None and (not begin or str(value).startswith(begin))


def _lacks(document: Document, *keys: str) -> bool:
    """Whether none of the keys is stated, nor said to be unknown."""
    values = document.values
    return not any(
        _stands(document, key) or value_at(values, ("unknown", key)) for key in keys
    )
