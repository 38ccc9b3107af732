"""What no type of a key tells of a spec: which keys need or exclude another, which sizes go
together. The shipped specs were held against these rules before, so that a check does without.

What goes in: the document of a spec file and what could be read of it. What comes out: a fault for
each rule that the file breaks, with its place and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.errors import KeyPath
from ..core.records import Record, Stated, shortened
from ..core.tables import Document, Remedy, shipped_table, unchecked_record
from ..core.units import is_slip
from .architecture import LAYERS, Architecture, Attention, LayerPart, Sized
from .spec import ModelSpec, PublishedFiles, Quantized, stated_spec
from .spec_values import QUANTIZATIONS

# a key, what is wrong with it as a clause that begins with a verb, and what to write instead
Misfit = tuple[str, str, str]
_Fault = tuple[KeyPath, str, Remedy]

# what the ranks of RWKV are of; without a gate the last is 0
_RANKS = ("decay", "rate", "first values", "gate")


class _Relation(Record):
    """What a size must be to another one."""

    # whether a size and the other break it
    is_broken: Callable[[int, int], bool]
    words: str
    remedy: str


_RELATIONS: Mapping[str, _Relation] = {
    "at_most": _Relation(
        is_broken=lambda size, other: size > other,
        words="more than",
        remedy="write at most",
    ),
    "above": _Relation(
        is_broken=lambda size, other: size <= other,
        words="not more than",
        remedy="write more than",
    ),
    "below": _Relation(
        is_broken=lambda size, other: size >= other,
        words="not less than",
        remedy="write less than",
    ),
    "divides": _Relation(
        is_broken=lambda size, other: other % size != 0,
        words="which does not divide",
        remedy="write a divisor of",
    ),
}


def read_model_spec(document: Document, origin: str) -> ModelSpec | None:
    """As `stated_spec`; each rule that it breaks, as far as it could be read, is a fault too."""
    spec = stated_spec(document, origin)
    if spec is None:
        return None
    # all at once: a fault that is added changes what the rules see
    for path, message, remedy in list(_faults(document, spec)):
        document.add(path, message, remedy)
    return spec


def _faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    yield from _key_faults(document, spec)
    yield from _fact_faults(document, spec)
    for path, record in document.records:
        yield from _record_faults(document, spec, path, record)


# keys that need or exclude another


class SpecRule(Stated):
    """One of `[[spec_rules]]` (specs/common/model_files.toml), whose header explains each key.

    It is for specs of models that are `closed` or not (None: for both), and with `whole` for files
    alone in which no key is misspelt.
    """

    at: tuple[str, ...]
    message: str
    remedy: str
    closed: bool | None = None
    whole: bool = False
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def is_for(self, document: Document, spec: ModelSpec) -> bool:
        """Whether the rule is for such a file."""
        if self.closed not in (None, spec.closed):
            return False
        if not self.whole:
            return True
        # a key that was merely misspelt is not missing
        known = {key.name or field for field, key in ModelSpec._keys.items()}
        return document.values.keys() <= known | {"schema"}

    def is_broken_at(self, document: Document, place: str) -> bool:
        """Whether the keys that stand in a file break the rule there."""
        for key in self.has:
            # an empty key is the place itself
            if not _stands(document, key or place):
                return False
        return _lacks(document, self.lacks)


def _key_faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    """Each rule that the keys of the file break."""
    for row in shipped_table("model_files")["spec_rules"]:
        rule = unchecked_record(SpecRule, row)
        if not rule.is_for(document, spec):
            continue
        for place in rule.at:
            if rule.is_broken_at(document, place):
                path = tuple(part for part in place.split(".") if part)
                yield path, rule.message, rule.remedy
    for key in spec.unknown:
        if _stands(document, key):
            message = "is also stated in this file"
            yield ("unknown", key), message, "remove the one that is wrong"


def _stands(document: Document, key: str) -> bool:
    """Whether the file states the key; behind `=` what its value begins with."""
    path, _, beginning = key.partition("=")
    value = value_at(document.values, tuple(path.split(".")))
    if value is None or not beginning:
        return value is not None
    return str(value).startswith(beginning)


def _lacks(document: Document, keys: Iterable[str]) -> bool:
    """Whether none of the keys is stated, nor said to be unknown."""
    for key in keys:
        is_unknown = value_at(document.values, ("unknown", key))
        if is_unknown or _stands(document, key):
            return False
    return True


def value_at(value: Any, path: KeyPath) -> Any:
    """What stands at the path in the values of a file; None where nothing does."""
    for part in path:
        is_key = isinstance(value, dict) and part in value
        is_place = isinstance(value, list) and part in range(len(value))
        if not (is_key or is_place):
            return None
        value = value[part]
    return value


# the tables `sources` and `unknown`, in which the file chooses the names


def _fact_faults(document: Document, spec: ModelSpec) -> Iterator[_Fault]:
    known = (*_facts(ModelSpec), *_READ_APART)
    for table, facts in (("sources", spec.sources), ("unknown", spec.unknown)):
        for fact in facts:
            if fact in known or fact.startswith(("components.", "files.")):
                continue
            otherwise = 'write as "architecture.dtype"'
            remedy = document.did_you_mean(fact, known, otherwise, '"{name}"')
            yield (table, fact), "is not a table or key of a spec", remedy


def _facts(kind: type[Record], before: str = "") -> Iterator[str]:
    """What may have a source, or be unknown: the tables and keys of a spec, those inside dotted."""
    for field, key in kind._keys.items():
        name = f"{before}{key.name or field}"
        yield name
        inner = key.limits.get("kind")
        if inner is not None:
            yield from _facts(inner, f"{name}.")


def _layer_facts() -> Iterator[str]:
    for name, part in LAYERS.items():
        yield f"architecture.{name}"
        yield from _facts(part, f"architecture.{name}.")


# read by functions of their own, so that no record has these keys
_READ_APART = (
    "embedding.length",
    "needs.memory_bytes",
    "architecture.gguf",
    "architecture.transformers",
    *_layer_facts(),
)


# one record of the file


def _record_faults(
    document: Document, spec: ModelSpec, path: KeyPath, record: Record
) -> Iterator[_Fault]:
    model = spec.architecture
    if isinstance(record, PublishedFiles):
        yield from _file_faults(document, path, record)
    elif isinstance(record, Quantized):
        place = (*path, "quantization")
        yield from _name_faults(document, place, record.quantization, record.format)
    elif isinstance(record, Architecture):
        # of a model whose weights are said not to follow the architecture it may well be unknown
        if "parameters.total" not in spec.unknown:
            yield from _row_faults(record)
    elif isinstance(record, LayerPart) and model is not None:
        yield from _layer_faults(document, path, record, model)
    if not isinstance(record, Sized):
        return
    is_model = record is model
    if is_model and not document.ok:
        # of a model that cannot be read whole the sizes say nothing
        return
    width = None if model is None or is_model else model.embedding_length
    for key, message, remedy in misfits(record, width):
        # what was taken from another key is a fault of that
        if value_at(document.values, (*path, key)) is not None:
            yield (*path, key), message, remedy


def _file_faults(
    document: Document, path: KeyPath, files: PublishedFiles
) -> Iterator[_Fault]:
    sizes = value_at(document.values, (*path, "bytes"))
    if not files.unsized and sizes in (None, {}):
        message = "is missing" if sizes is None else "is empty"
        remedy = "write for example bytes = { Q4_K_M = 4_372_812_000 }"
        yield (*path, "bytes"), message, remedy
    if files.unsized and value_at(document.values, (*path, "repository")) is None:
        message = "names files without a repository"
        yield (*path, "unsized"), message, "write repository, or bytes with their sizes"
    for name in sizes if isinstance(sizes, dict) else ():
        yield from _name_faults(document, (*path, "bytes", name), name, files.format)
    for number, name in enumerate(files.unsized):
        yield from _name_faults(
            document, (*path, "unsized", number), name, files.format
        )


def _name_faults(
    document: Document, path: KeyPath, quantization: str | None, format: str | None
) -> Iterator[_Fault]:
    choices = QUANTIZATIONS.get(format or "", ())
    if not quantization or not choices or quantization in choices:
        return
    # without the groups and bits, which are variants
    plain = [choice for choice in choices if "-" not in choice]
    otherwise = f"known: {', '.join(plain or choices)}"
    remedy = document.did_you_mean(quantization, choices, otherwise)
    message = f'"{shortened(quantization)}" is not a quantization of {format}'
    yield path, message, remedy


def _row_faults(model: Architecture) -> Iterator[_Fault]:
    """A slip in the name of an architecture. A number more or less is another version, which may
    be new.
    """
    rows = shipped_table("architectures")["architecture"]
    if model.row in rows:
        return
    key = "gguf" if model.runs_in_gguf else "transformers"
    digits = re.sub(r"\D", "", model.row)
    for row in rows:
        if is_slip(model.row, row) and re.sub(r"\D", "", row) == digits:
            message = (
                f'"{shortened(model.row)}" is not an architecture that selfhost knows'
            )
            yield ("architecture", key), message, f'did you mean "{row}"?'
            return


class KindRule(Stated):
    """The keys that a kind of layer must have, and those that it may have."""

    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def _layer_faults(
    document: Document, path: KeyPath, part: LayerPart, model: Architecture
) -> Iterator[_Fault]:
    """What the kind of a layer must state and its line has not, and what says nothing with it."""
    rules = shipped_table("model_files")["layer_keys"]
    line = value_at(document.values, path)
    keys = type(part)._keys
    default_kind = keys["kind"].default if "kind" in keys else None
    kind = str(line.get("kind", default_kind))
    row = rules.get(type(part).__name__, {}).get(kind)
    rule = KindRule() if row is None else unchecked_record(KindRule, row)
    needed_beside = [other for key, other in rules["beside"].items() if key in line]
    for key in dict.fromkeys([*rule.required, *needed_beside]):
        if key in keys and key not in line:
            yield (*path, key), "is missing", None
    if isinstance(part, Attention) and "heads" not in line and model.heads is None:
        yield (*path, "heads"), "is missing, here and in [architecture]", None
    if row is None:
        return
    of_kind = (*rule.required, *rule.allowed)
    for key in line:
        is_known = key in of_kind or key in rules["of_all_kinds"]
        if key in keys and not is_known:
            remedy = f"{kind} has {', '.join(of_kind)}"
            yield (*path, key), f'means nothing with kind = "{kind}"', remedy


# sizes that go together


def misfits(record: Any, width: int | None = None) -> Iterator[Misfit]:
    """Every size that cannot be beside the others of a part, in a model of that width."""
    yield from _implausible_sizes(record)
    yield from _broken_relations(record, width)
    if getattr(record, "kind", None) == "rwkv7":
        ranks = list(record.ranks)
        if len(ranks) != len(_RANKS) or 0 in ranks[:3]:
            names = ", ".join(_RANKS)
            remedy = f"write {len(_RANKS)} numbers, those of {names}, the last or 0"
            yield "ranks", f"is {ranks}", remedy
    if not isinstance(record, Architecture) or not record.mtp_layers:
        return
    if not (record.attention and record.feed_forward):
        message = (
            f"is {record.mtp_layers:,}, but such a block needs attention and a "
            "feed-forward part, and the model lacks one of them"
        )
        yield "mtp_layers", message, "write attention and feed_forward"


def _implausible_sizes(record: Any) -> Iterator[Misfit]:
    for key, stated in type(record)._keys.items():
        size = getattr(record, key)
        least = stated.limits.get("minimum", 1)
        most = stated.limits.get("maximum", 10**18)
        if type(size) is int and not least <= size <= most:
            remedy = f"write a number from {least:,} to {most:,}"
            yield key, f"is {size:,}, which is not a plausible size", remedy


def _broken_relations(record: Any, width: int | None) -> Iterator[Misfit]:
    """The rules of `related` that the record breaks. A size that the record does not have, such as
    `embedding_length` of a layer, is the model's `width`.
    """
    for rule in record.related.split(","):
        # `kv_heads divides heads`, then the kinds of layer it is for; empty where no rule is stated
        key, name, other, *kinds = rule.split() or ("", "", "")
        if not key or (kinds and record.kind not in kinds):
            continue
        size = getattr(record, key)
        bound = getattr(record, other, width)
        relation = _RELATIONS[name]
        if size and bound and relation.is_broken(size, bound):
            message = f"is {size:,}, {relation.words} {other}, {bound:,}"
            yield key, message, f"{relation.remedy} {bound:,}"
