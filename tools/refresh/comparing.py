"""Statements against the catalogue: which model each is about, where they agree, where not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from selfhost import needs as need
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.names import id_of_whole_name
from selfhost.catalogue.spec import License, ModelSpec
from selfhost.core.records import Record
from selfhost.core.spelling import canonical
from selfhost.modelfiles.specfiles import PARAMETERS_SHARE
from selfhost.needs.records import SizedWeights

from .ollama import Tag
from .statements import Statement, facts_of

# publishers leave some tensors in another type: the files of one quantization differ by so much
TAG_SHARE = 0.08
_USUAL = "Q4_K_M"
# bytes of an element of a type in which a checkpoint has no scales beside it
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


class Difference(Record):
    """A fact on which the catalogue and a source differ. `ours` is None where the spec does not
    state it. `settled` is the sentence that says why the spec keeps its value.
    """

    key: str
    ours: Any
    theirs: Any
    statement: Statement
    settled: str | None = None


class Compared(Record):
    """One spec beside all that was said of it. `agreeing` are keys by the statements that say the
    same.
    """

    spec: ModelSpec
    statements: tuple[Statement, ...]
    agreeing: Mapping[str, tuple[Statement, ...]]
    differences: tuple[Difference, ...]

    @property
    def open(self) -> tuple[Difference, ...]:
        """Differences that nobody has settled."""
        return tuple(difference for difference in self.differences if not difference.settled)


# where a spec says why it does not follow a tag of Ollama's
_WORDS = {
    "tag.context": ("architecture.context_tokens", "aliases"),
    "tag.size": ("parameters.total", "aliases"),
}


def settled(spec: ModelSpec, key: str, says: Any) -> str | None:
    """Why a spec does not follow a source: what its own source of that very key says, where it
    quotes the value. None where nobody has looked at it.
    """
    quoted = f"{says:,}" if type(says) is int else str(says).partition(" ")[0]
    for place in _WORDS.get(key, (key,)):
        source = spec.sources.get(place, "")
        if any(
            re.search(rf"(?<![\w.,]){re.escape(text)}(?!\w)", source)
            for text in (quoted, str(says))
        ):
            return source
    return None


class Known:
    """What the catalogue has, in the ways that a collected file asks for it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        # under every name that an account has or had
        names = catalogue.names()[-1]
        self._repositories, self._aliases = names["repositories"], names["aliases"]
        self.architectures = catalogue.common("architectures")
        self._loaded: Mapping[str, Any] = catalogue.common("families").get("tag", {})
        # of models that have the same license or the same owner, the first by id
        self.licenses: dict[str, License] = {}
        self.developers: dict[str, str] = {}
        for spec in catalogue.specs():
            if spec.repository and spec.developer:
                self.developers.setdefault(spec.repository.partition("/")[0], spec.developer)
            if spec.license and spec.license.id:
                self.licenses.setdefault(spec.license.id, spec.license)

    def id_of(self, statement: Statement) -> str | None:
        """The model that a statement is about: by its repository, where that is known, else by
        its name.
        """
        if statement.tag is not None:
            # what Ollama loads by a tag may be another model than the one people mean by it
            loaded = self._loaded.get(statement.name, {}).get("loads")
            return self._open(loaded or self._aliases.get(canonical(statement.name)))
        if statement.repository is not None:
            spec_id = self._repositories.get(canonical(statement.repository))
            return self._open(spec_id)
        for name in (statement.name, statement.file.rpartition("/")[2]):
            stem = re.sub(r"\.(gguf|json)$", "", name, flags=re.IGNORECASE)
            spec_id = self._open(id_of_whole_name(stem, self.catalogue))
            if spec_id is not None:
                return spec_id
        return None

    def _open(self, spec_id: str | None) -> str | None:
        """The id, None where no model or several have the name, or nobody has the weights."""
        if spec_id is None:
            return None
        if spec_id not in self.catalogue or self.catalogue.is_closed(spec_id):
            return None
        return spec_id


def compare(
    spec: ModelSpec, statements: tuple[Statement, ...], architectures: Mapping[str, Any]
) -> Compared:
    """Every key that a statement has, against the spec. `architectures` is the parsed
    `specs/common/architectures.toml`.
    """
    ours = facts_of(spec)
    agreeing: dict[str, list[Statement]] = {}
    differences: list[Difference] = []
    for statement in statements:
        theirs = facts_of(statement.spec)
        for key in _keys(statement, spec):
            same: bool | None
            if statement.tag is not None:
                own, said, same = of_tag(key, spec, statement.tag, architectures)
            else:
                own, said = _pair(key, spec, statement, ours, theirs)
                same = None if said is None else _same(key, own, said, spec)
            if same is None:
                continue
            if same:
                agreeing.setdefault(key, []).append(statement)
            else:
                differences.append(
                    Difference(
                        key=key,
                        ours=own,
                        theirs=said,
                        statement=statement,
                        settled=settled(spec, key, said),
                    )
                )
    return Compared(
        spec=spec,
        statements=statements,
        agreeing={key: tuple(agreed) for key, agreed in agreeing.items()},
        differences=tuple(differences),
    )


def _keys(statement: Statement, spec: ModelSpec) -> list[str]:
    """The keys of a statement that bear on this spec."""
    keys = []
    name = (statement.repository or "").lower()
    converted = any((files.repository or "").lower() == name for files in spec.files if name)
    for key in statement.keys:
        if converted and key != "files" and name != (spec.repository or "").lower():
            # license, login and formats of a conversion are its own
            continue
        if key.startswith("architecture.") and spec.architecture is None:
            # its class has no row, or its spec states what it takes instead
            continue
        if key == "released" and spec.released is not None:
            # a repository may be older or younger than the announcement
            continue
        if key.startswith("parameters.") and _other_tables(spec, statement.spec):
            continue
        if key == "files":
            keys += [f"files.{name}" for files in statement.spec.files for name in files.bytes]
            continue
        if key == "tuned_from" and (spec.tuned_from or "license" in key):
            continue
        keys.append(key)
    return keys


def _other_tables(spec: ModelSpec, said: ModelSpec) -> bool:
    """Whether the spec leaves an output matrix out that no config.json denies, or states parts
    that the file does not describe.
    """
    if said.architecture is None:
        return False
    own = spec.architecture
    headless = own is not None and not own.output_matrix and said.architecture.output_matrix
    more = spec.parameters.encoders is not None and said.parameters.encoders is None
    return headless or more


def _pair(
    key: str,
    spec: ModelSpec,
    statement: Statement,
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
) -> tuple[Any, Any]:
    """What the spec and a statement say under a key."""
    if key == "weight_bytes":
        return expected_bytes(spec), statement.weight_bytes
    if key.startswith("files."):
        name = key.partition(".")[2]
        return _published_bytes(spec, statement, name), statement.spec.files[0].bytes[name]
    if key == "architecture.audio":
        return _inner(ours, key), _inner(theirs, key)
    return ours.get(key), theirs.get(key)


def of_tag(
    key: str, spec: ModelSpec, tag: Tag, architectures: Mapping[str, Any]
) -> tuple[Any, Any, bool | None]:
    """What the spec and a tag of Ollama's say, and whether that is the same; None where it cannot
    be compared.
    """
    architecture = spec.architecture
    if key == "tag.context":
        told = tag.context
        own = architecture.context_tokens if architecture is not None else None
        if told is None or architecture is None or own is None:
            return own, None, None
        longest = architecture.scaled_context_tokens or own
        return own, told.text, any(told.low <= each <= told.high for each in (own, longest))
    # where no tag names it, a size that fits Ollama's usual one confirms it, and no other size
    # says anything
    quantization = tag.quantization or _USUAL
    if tag.size is None or architecture is None:
        return None, None, None
    sized = need.weights_bytes(spec.replace(files=()), "gguf", quantization, architectures)
    if not isinstance(sized, SizedWeights):
        return None, None, None
    beside = spec.parameters.projector_bytes or 4 * (spec.parameters.encoders or 0)
    # some files hold a tied matrix twice
    twice = (spec.parameters.extra_in_files or 0) / (spec.parameters.total or 1)
    low = sized.low_bytes * (1 - TAG_SHARE)
    high = sized.high_bytes * (1 + TAG_SHARE) * (1 + twice) + beside
    same = low <= tag.size.high and tag.size.low <= high
    if not same and tag.quantization is None:
        return None, None, None
    return sized.bytes, f"{tag.size.text} in {quantization} ({tag.name})", same


def _inner(facts: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    return {name: value for name, value in facts.items() if name.startswith(f"{key}.")} or None


def _published_bytes(spec: ModelSpec, statement: Statement, quantization: str) -> int | None:
    """The size that the spec has of a quantization in that repository."""
    for files in spec.files:
        same = (files.repository or "").lower() == (statement.repository or "").lower()
        if files.format == "gguf" and same and quantization in files.bytes:
            return files.bytes[quantization]
    return None


def expected_bytes(spec: ModelSpec) -> int | None:
    """All tensors of the published checkpoint by the spec's counts; None where they do not follow:
    packed matrices, several types.
    """
    architecture, counts = spec.architecture, spec.parameters
    size = _BYTES.get(architecture.dtype or "") if architecture is not None else None
    if architecture is None or size is None or counts.total is None:
        return None
    if architecture.matrix_dtype or architecture.expert_dtype:
        return None
    return (counts.total + (counts.mtp or 0) + (counts.extra_in_files or 0)) * size


def _same(key: str, ours: Any, theirs: Any, spec: ModelSpec) -> bool:
    if ours is None:
        return key == "weight_bytes" or (key == "gated" and theirs is None)
    if key in ("parameters.total", "parameters.active", "weight_bytes"):
        # masks, rounding, a tied matrix twice: what `spec check` allows too
        tied = _tied_bytes(spec) if key == "weight_bytes" else 0
        return any(abs(theirs - own) <= own * PARAMETERS_SHARE for own in (ours, ours + tied))
    if key == "safety.formats":
        # pickles beside safetensors are no danger to who takes the latter
        return ("safetensors" in ours and "safetensors" in theirs) or set(ours) == set(theirs)
    if key == "license.id":
        return canonical(str(ours)) == canonical(str(theirs))
    return bool(ours == theirs)


def _tied_bytes(spec: ModelSpec) -> int:
    architecture = spec.architecture
    if architecture is None or not architecture.tied_embeddings:
        return 0
    rows, width = architecture.vocabulary or 0, architecture.embedding_length or 0
    return rows * width * _BYTES.get(architecture.dtype or "", 0)
