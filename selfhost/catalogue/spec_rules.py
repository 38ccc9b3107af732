"""The rules of a spec that the types of its keys cannot express: keys that need or exclude other
keys, and sizes that depend on each other. Shipped specs were checked before, so that `check` does
not apply these rules to them.

What goes in: the document of a spec file and the spec read from it. What comes out: a fault for
each broken rule, with its place and its remedy.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from ..core.errors import KeyPath
from ..core.files import value_at
from ..core.records import Record, Stated, read_by, shortened
from ..core.tables import (
    Document,
    TomlRow,
    file_fields,
    row_names,
    shipped_record,
    shipped_rows,
)
from ..core.units import is_slip
from .architecture import (
    LAYERS,
    Architecture,
    Attention,
    LayerPart,
    Recurrent,
    Sized,
)
from .spec import ModelSpec, PublishedFiles, Quantized, stated_spec
from .spec_values import QUANTIZATIONS

# the meanings of RWKV's ranks in order; without a gate the last is 0
_RANKS = ("decay", "rate", "first values", "gate")


class Misfit(Record):
    """A size that is impossible beside other sizes: its key, the fault as a clause that begins with
    a verb, and the remedy.
    """

    key: str
    fault: str
    remedy: str


class _Relation(Record):
    """A relation that one size must have to another."""

    # takes a size and the related size, returns whether they break the relation
    is_broken: Callable[[int, int], bool]
    words: str
    remedy: str


_RELATIONS: Mapping[str, _Relation] = {
    "at_most": _Relation(
        is_broken=operator.gt,
        words="more than",
        remedy="write at most",
    ),
    "above": _Relation(
        is_broken=operator.le,
        words="not more than",
        remedy="write more than",
    ),
    "below": _Relation(
        is_broken=operator.ge,
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
    """The spec that `stated_spec` reads from a document. A fault is added for each rule that the
    spec breaks, as far as it could be read.
    """
    spec = stated_spec(document, origin)
    if spec is not None:
        _SpecFile(document, spec).check()
    return spec


# keys that require or exclude another key


# the key that stands for the place of the rule itself
_THE_PLACE = "."


class SpecRule(Stated):
    """A rule for keys of a spec: one of `[[spec_rules]]` (specs/common/model_files.toml), whose
    header explains each key.

    `closed`: the rule is only for specs of closed models, or only for the others; None: for both.
    `whole`: the rule is only for files in which no key is misspelt.
    """

    # the places at which the rule applies; "." is the whole file
    at: tuple[str, ...]
    message: str
    remedy: str
    closed: bool | None = None
    whole: bool = False
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def is_for(self, document: Document, spec: ModelSpec) -> bool:
        """Whether the rule applies to the file at all."""
        if self.closed not in (None, spec.closed):
            return False
        if not self.whole:
            return True
        # a misspelt key must not count as missing
        return document.values.keys() <= document.root.known_keys

    def is_broken_at(self, values: TomlRow, place: str) -> bool:
        """Whether the keys that a file states break the rule at a place."""
        for key in self.has:
            stated = place if key == _THE_PLACE else key
            if not _stands(values, stated):
                return False
        for key in self.lacks:
            why_unknown = value_at(values, "unknown", key)
            if why_unknown or _stands(values, key):
                return False
        return True


@cache
def _spec_rules() -> Iterable[SpecRule]:
    return shipped_rows(SpecRule, "model_files", "spec_rules").values()


def _stands(values: TomlRow, key: str) -> bool:
    """Whether a file states the key. After `=` the key may have the beginning that its value must
    have.
    """
    name, _, beginning = key.partition("=")
    value = value_at(values, *name.split("."))
    if value is None:
        return False
    return not beginning or str(value).startswith(beginning)


# names of facts


# keys that other functions read, so that no record has them
_READ_APART = (
    "embedding.length",
    "needs.memory_bytes",
    "architecture.gguf",
    "architecture.transformers",
)


def _facts(kind: type[Record], before: str = "") -> Iterator[str]:
    """Yield the names of all facts that may have a source or be unknown: the tables and keys of a
    spec, with inner keys after a dot.
    """
    for key, field in file_fields(kind).items():
        name = f"{before}{key}"
        yield name
        if field.shape.kind is not None:
            yield from _facts(field.shape.kind, f"{name}.")


@cache
def _known_facts() -> Sequence[str]:
    """The facts of which a spec may say that they are not known."""
    facts = [*_facts(ModelSpec), *_READ_APART]
    for name, part in LAYERS.items():
        key = f"architecture.{name}"
        facts.append(key)
        facts += _facts(part, f"{key}.")
    return facts


# checking one file


class KindRule(Stated):
    """The keys that a kind of layer must have, and those that it may have."""

    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


class LayerKeys(Stated):
    """The keys that the lines of each kind of layer may state: `[layer_keys]` of
    specs/common/model_files.toml.

    `of_all_kinds`: keys that any line may have. `beside`: by key, another key that it requires.
    """

    of_all_kinds: tuple[str, ...]
    beside: Mapping[str, str]
    attention: Mapping[str, KindRule] = read_by(name="Attention")
    recurrent: Mapping[str, KindRule] = read_by(name="Recurrent")

    def rule_of(self, part: LayerPart, line: TomlRow) -> KindRule | None:
        """The rule for the kind that a line states; None for layers that have no kinds."""
        rules: Mapping[str, KindRule] = {}
        if isinstance(part, Attention):
            rules = self.attention
        elif isinstance(part, Recurrent):
            rules = self.recurrent
        return rules.get(_kind_in(line, part))

    def needed(self, line: TomlRow, rule: KindRule | None) -> list[str]:
        """The keys that the line needs for its kind, and beside its other keys."""
        needed: list[str] = []
        if rule is not None:
            needed += rule.required
        for key, other in self.beside.items():
            if key in line:
                needed.append(other)
        return list(dict.fromkeys(needed))


def _kind_in(line: TomlRow, part: LayerPart) -> str:
    """The kind of layer that a line states or, without one, has; "" for layers without kinds."""
    usual = type(part)._defaults.get("kind", "")
    return str(line.get("kind", usual))


class _SpecFile:
    """A spec file, as far as it could be read, to check against the rules."""

    def __init__(self, document: Document, spec: ModelSpec) -> None:
        self.document = document
        self.add = document.add
        self.values = document.values
        self.spec = spec
        self.model = spec.architecture
        # whether the file had no faults before the rules were checked
        self.is_read_whole = document.ok

    def check(self) -> None:
        """Add a fault for every rule that the file breaks."""
        self._check_keys()
        self._check_facts("sources", self.spec.sources)
        self._check_facts("unknown", self.spec.unknown)
        for path, record in self.document.records:
            self._check_record(path, record)

    def _check_keys(self) -> None:
        """Look for broken rules, and for facts that the file both states and calls unknown."""
        for rule in _spec_rules():
            if not rule.is_for(self.document, self.spec):
                continue
            for place in rule.at:
                if rule.is_broken_at(self.values, place):
                    keys = filter(None, place.split("."))
                    path = tuple(keys)
                    self.add(path, rule.message, rule.remedy)
        for key in self.spec.unknown:
            if _stands(self.values, key):
                self.add(
                    ("unknown", key),
                    "is also stated in this file",
                    "remove the one that is wrong",
                )

    def _check_facts(self, table: str, facts: Iterable[str]) -> None:
        """Look for names in `sources` or `unknown` that are no facts of a spec."""
        known = _known_facts()
        for fact in facts:
            if fact in known or fact.startswith(("components.", "files.")):
                continue
            remedy = self.document.did_you_mean(
                fact, known, 'write as "architecture.dtype"', '"{name}"'
            )
            self.add((table, fact), "is not a table or key of a spec", remedy)

    def _check_record(self, path: KeyPath, record: Record) -> None:
        """Check one record of the file against the rules for its kind."""
        if isinstance(record, PublishedFiles):
            self._check_files(path, record)
        elif isinstance(record, Quantized):
            place = (*path, "quantization")
            self._check_name(place, record.quantization, record.format)
        elif isinstance(record, Architecture):
            # a spec may state that the weights do not follow the architecture; then the row may be
            # unknown
            if "parameters.total" not in self.spec.unknown:
                self._check_row(record)
        elif isinstance(record, LayerPart) and self.model is not None:
            self._check_layer(path, record, self.model)
        if isinstance(record, Sized):
            self._check_sizes(path, record)

    def _check_sizes(self, path: KeyPath, record: Sized) -> None:
        """Look for sizes that the file states and that contradict other sizes of the record."""
        width = None
        if record is self.model:
            if not self.is_read_whole:
                # sizes of a model that could not be read whole prove nothing
                return
        elif self.model is not None:
            width = self.model.embedding_length
        for misfit in misfits(record, width):
            place = (*path, misfit.key)
            # a size that the file does not state was derived from another key, where the fault is
            # reported
            if value_at(self.values, *place) is not None:
                self.add(place, misfit.fault, misfit.remedy)

    def _check_files(self, path: KeyPath, files: PublishedFiles) -> None:
        """Look at the sizes and the names of published files."""
        of_bytes = (*path, "bytes")
        of_unsized = (*path, "unsized")
        sizes = value_at(self.values, *of_bytes)
        if not files.unsized:
            remedy = "write for example bytes = { Q4_K_M = 4_372_812_000 }"
            if sizes is None:
                self.add(of_bytes, "is missing", remedy)
            elif sizes == {}:
                self.add(of_bytes, "is empty", remedy)
        elif value_at(self.values, *path, "repository") is None:
            remedy = "write repository, or bytes with their sizes"
            self.add(of_unsized, "names files without a repository", remedy)
        if isinstance(sizes, dict):
            for name in sizes:
                self._check_name((*of_bytes, name), name, files.format)
        for number, name in enumerate(files.unsized):
            self._check_name((*of_unsized, number), name, files.format)

    def _check_name(
        self,
        path: KeyPath,
        name: str | None,
        format: str | None,
    ) -> None:
        """Look for a quantization that the format does not have."""
        choices = QUANTIZATIONS.get(format or "", ())
        if not name or not choices or name in choices:
            return
        # the names without variants for groups and bits
        plain = [choice for choice in choices if "-" not in choice]
        known = ", ".join(plain or choices)
        remedy = self.document.did_you_mean(name, choices, f"known: {known}")
        self.add(path, f'"{shortened(name)}" is not a quantization of {format}', remedy)

    def _check_layer(
        self,
        path: KeyPath,
        part: LayerPart,
        model: Architecture,
    ) -> None:
        """Look for keys that the kind of a layer requires and its line lacks, and for keys that
        mean nothing for that kind.
        """
        rules = shipped_record(LayerKeys, "model_files", "layer_keys")
        line: TomlRow = value_at(self.values, *path)
        rule = rules.rule_of(part, line)
        keys = type(part)._keys
        for key in rules.needed(line, rule):
            if key in keys and key not in line:
                self.add((*path, key), "is missing")
        has_heads = "heads" in line or model.heads is not None
        if isinstance(part, Attention) and not has_heads:
            message = "is missing, here and in [architecture]"
            self.add((*path, "heads"), message)
        if rule is None:
            return
        kind = _kind_in(line, part)
        of_kind = rule.required + rule.allowed
        listed = ", ".join(of_kind)
        unread = keys.keys() - set(of_kind + rules.of_all_kinds)
        for key in line:
            if key in unread:
                message = f'means nothing with kind = "{kind}"'
                self.add((*path, key), message, f"{kind} has {listed}")

    def _check_row(self, model: Architecture) -> None:
        """Look for a slip in the name of an architecture. A number more or less is another version,
        which may be new.
        """
        known = row_names("architectures", "architecture")
        if model.row in known:
            return
        key = "gguf" if model.runs_in_gguf else "transformers"
        digits = _digits_of(model.row)
        for name in known:
            if is_slip(model.row, name) and _digits_of(name) == digits:
                typed = shortened(model.row)
                self.add(
                    ("architecture", key),
                    f'"{typed}" is not an architecture that selfhost knows',
                    f'did you mean "{name}"?',
                )
                return


def _digits_of(name: str) -> str:
    """The digits of a name, which tell versions apart."""
    return re.sub(r"\D", "", name)


# sizes that depend on each other


def misfits(record: Sized, width: int | None = None) -> Iterator[Misfit]:
    """Yield each size of a record that is impossible beside its other sizes. `width`: the width of
    the model that the record is a part of.
    """
    yield from _implausible_sizes(record)
    yield from _broken_relations(record, width)
    if isinstance(record, Recurrent) and record.kind == "rwkv7":
        yield from _wrong_ranks(record)
    elif isinstance(record, Architecture) and record.mtp_layers:
        if record.attention and record.feed_forward:
            return
        yield Misfit(
            key="mtp_layers",
            fault=f"is {record.mtp_layers:,}, but such a block needs attention and a "
            "feed-forward part, and the model lacks one of them",
            remedy="write attention and feed_forward",
        )


def _wrong_ranks(part: Recurrent) -> Iterator[Misfit]:
    """Yield the ranks of RWKV, unless all are there. Only the last one may be 0."""
    ranks = list(part.ranks)
    are_all_there = len(ranks) == len(_RANKS)
    if are_all_there and 0 not in ranks[:-1]:
        return
    names = ", ".join(_RANKS)
    yield Misfit(
        key="ranks",
        fault=f"is {ranks}",
        remedy=f"write {len(_RANKS)} numbers, those of {names}, the last or 0",
    )


def _implausible_sizes(record: Sized) -> Iterator[Misfit]:
    """Yield each size outside the limits of its key."""
    for key, stated in type(record)._keys.items():
        size = getattr(record, key)
        if type(size) is not int:
            continue
        least = stated.limits.get("minimum", 1)
        most = stated.limits.get("maximum", 10**18)
        if not least <= size <= most:
            yield Misfit(
                key=key,
                fault=f"is {size:,}, which is not a plausible size",
                remedy=f"write a number from {least:,} to {most:,}",
            )


def _broken_relations(record: Sized, width: int | None) -> Iterator[Misfit]:
    """The rules of `related` that the record breaks. A rule is the relation that one size must have
    to another, and the kinds of layers that it binds (none: all). A size that the record does not
    have, such as `embedding_length` of a layer, is the model's `width`.
    """
    for rule in filter(None, record.related.split(",")):
        key, name, other, *kinds = rule.split()
        relation = _RELATIONS[name]
        if kinds and getattr(record, "kind", None) not in kinds:
            continue
        size = getattr(record, key)
        bound = getattr(record, other, width)
        if size and bound and relation.is_broken(size, bound):
            yield Misfit(
                key=key,
                fault=f"is {size:,}, {relation.words} {other}, {bound:,}",
                remedy=f"{relation.remedy} {bound:,}",
            )
