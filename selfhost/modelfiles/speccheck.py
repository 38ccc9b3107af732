"""`selfhost spec check`: every fault of spec files in one run, alone and beside the catalogue.

Off the path of `check`: a spec that names a successor nobody has is still a spec, and its verdict
is right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from .. import needs as need
from ..catalogue.index import misnamed
from ..catalogue.licenses import remedy_of_id
from ..catalogue.spec import SCHEMA, ModelSpec, is_id, is_license_expression, read_as_far_as_right
from ..catalogue.spec_values import SCRATCH
from ..core.errors import Problem
from ..core.spelling import canonical, nearest
from ..core.tables import PACKAGE_FOLDER
from ..core.tomlfile import Document, Path
from ..core.tomlfile import shortened as _short
from ..needs.checkpoints import DTYPES
from ..needs.records import SizedWeights

# Tables whose facts have their source in [sources]. [needs] and [[files]] carry their own, and
# [upkeep] is a pointer.
SOURCED = (
    "license",
    "openness",
    "parameters",
    "architecture",
    "components",
    "embedding",
    "safety",
    "availability",
)
# the time of packaging's parser grows faster than the text
MAX_EXPRESSION = 1000
# a stated count of parameters lies that near to the sum over the architecture
PARAMETERS_SHARE = 0.005
# a figure of one digit ("7_000_000_000") may be that far from what it rounds
ROUNDED_SHARE = 0.1
# bytes and parameters: who writes fewer means billions
LEAST = 1000
# Files of one quantization differ by up to 8 %, as publishers leave some tensors in another type.
# Those of another model differ by far more.
FILES_SHARE = 0.25
# letters that a slip leaves alike: `faclon` is falcon, `gpt-sovits` is no gpt-oss
_ALIKE = 0.85

# how a spec answers to a name (id, alias, repository), the name as written, and the spec's id
_Owner = tuple[str, str, str]


def check_spec_files(
    paths: Sequence[str],
    catalogue_specs: Iterable[ModelSpec],
    architectures: Mapping[str, Any],
    runtime_ids: Sequence[str] | None = None,
    family_names: Iterable[str] = (),
) -> tuple[tuple[Problem, ...], tuple[ModelSpec, ...], tuple[Problem, ...]]:
    """Every fault of the files, in their order, the specs of those without one, and what may be a
    slip in a name that anybody may choose.

    `architectures` is the parsed `specs/common/architectures.toml`, from which stated counts and
    sizes are counted again. A file replaces the spec of the same id in the catalogue, so that a
    shipped file can be checked against the rest. `runtime_ids` are the programs that a spec may
    name; None where they are not known. `family_names` are known beside the families of the specs:
    no other spec knows a family of one model. The same file named twice is read once. Raises
    nothing.
    """
    files = _read_once(paths)
    # faulty files are held against the catalogue too: all faults in one run
    stated = [document for document, _ in files if document.values.get("schema", SCHEMA) == SCHEMA]
    replaced = {
        _text(document, "id") or os.path.basename(document.file).removesuffix(".toml")
        for document in stated
    }
    others = [spec for spec in catalogue_specs if spec.id not in replaced]
    ids = sorted({spec.id for spec in others} | replaced)
    owners = _owners(others)
    for document in stated:
        _check_names(document, owners)
        _check_references(document, ids, runtime_ids)
        _check_license(document)
        _check_units(document)
        _check_sources(document)
    families = sorted({*family_names, *(spec.family for spec in others if spec.family)})
    doubts: list[Problem] = []
    for document, spec in files:
        if spec is not None:
            _check_what_is_counted(document, spec, architectures)
        doubts += _doubts(document, architectures, families)
    return (
        tuple(problem for document, _ in files for problem in document.problems),
        tuple(spec for document, spec in files if spec is not None and document.ok),
        tuple(doubts),
    )


def _read_once(paths: Sequence[str]) -> list[tuple[Document, ModelSpec | None]]:
    """Each file with what is right in its spec, None where that is nothing; the same file named
    twice is read once.
    """
    files: dict[str, tuple[Document, ModelSpec | None]] = {}
    for path in paths:
        # a null byte or a loop of links: Document.read says so
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):
            real = path
        if real not in files:
            document = Document.read(path)
            files[real] = document, read_as_far_as_right(document, path)
    return list(files.values())


def _at(document: Document, path: Path) -> Any:
    """The value at a path; None where there is none."""
    value: Any = document.values
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(document: Document, *path: str) -> str | None:
    """The text at a path; None where there is none. The reader has noted what is no text."""
    value = _at(document, path)
    return value if isinstance(value, str) and value.strip() else None


def _texts(document: Document, *path: str) -> list[tuple[Path, str]]:
    """The texts in the list at a path, each with its own path."""
    value = _at(document, path)
    return [
        ((*path, index), text)
        for index, text in enumerate(value if isinstance(value, list) else ())
        if isinstance(text, str) and text.strip()
    ]


def _meant(guess: str | None) -> str | None:
    return f'did you mean "{guess}"?' if guess else None


# ------------------------------------------------------------------------- names and pointers


def _names(
    id: str, aliases: Iterable[tuple[int, str]], repository: str | None
) -> Iterator[tuple[str, Path, str]]:
    """The kind of each name that a spec answers to, where it stands, and the name."""
    yield "id", ("id",), id
    for index, alias in aliases:
        yield "alias", ("aliases", index), alias
    if repository:
        yield "repository", ("repository",), repository


def _owners(specs: Iterable[ModelSpec]) -> dict[str, _Owner]:
    """By each name in its canonical spelling, the first spec that answers to it."""
    owners: dict[str, _Owner] = {}
    for spec in specs:
        for kind, _, name in _names(spec.id, enumerate(spec.aliases), spec.repository):
            owners.setdefault(canonical(name), (kind, name, spec.id))
    return owners


def _check_names(document: Document, owners: dict[str, _Owner]) -> None:
    """The file's name, and that no other spec answers to a name of this one. Adds its names to
    `owners`.
    """
    spec_id = _text(document, "id")
    if spec_id is None:
        return
    file = os.path.basename(document.file)
    if is_id(spec_id) and file != f"{spec_id}.toml":
        document.add(("id",), *misnamed(spec_id, file))
    if owners.get(canonical(spec_id), ("", "", ""))[::2] == ("id", spec_id):
        message = f'"{_short(spec_id)}" is the id of another of these files too'
        document.add(("id",), message, "give each model an id of its own")
        return
    own: dict[str, _Owner] = {}
    aliases = [(int(path[-1]), alias) for path, alias in _texts(document, "aliases")]
    for kind, path, name in _names(spec_id, aliases, _text(document, "repository")):
        key = canonical(name)
        if not key:
            document.add(path, f'"{_short(name)}" has no letter and no digit')
        elif key in owners:
            other_kind, other_name, other_id = owners[key]
            said = "an alias of it" if other_kind == "alias" else f"its {other_kind}"
            if other_name != name:
                said += f', "{other_name}" (case and separators make no difference)'
            message = f'"{_short(name)}" already means {other_id}: {said}'
            document.add(path, message, "a name means one model")
        else:
            own.setdefault(key, (kind, name, spec_id))
    owners.update(own)


def _check_references(
    document: Document, ids: Sequence[str], runtime_ids: Sequence[str] | None
) -> None:
    """Every spec that this one points at exists, and every program that it is run with has a file
    under `specs/runtimes`.
    """
    named: list[tuple[Path, str]] = _texts(document, "availability", "open_alternatives")
    for path in (("upkeep", "superseded_by"), ("availability", "successor"), ("tuned_from",)):
        text = _text(document, *path)
        # a model may be tuned from one that no spec describes
        if text is not None and text != SCRATCH and "/" not in text:
            named.append((path, text))
    for place, text in named:
        if text == _text(document, "id"):
            document.add(place, f'"{_short(text)}" is this model itself')
        elif text not in ids:
            guess = document.guess(text, ids)
            document.add(place, f'no spec has the id "{_short(text)}"', _meant(guess))
    for place, text in _texts(document, "runtimes") if runtime_ids is not None else ():
        if text not in (runtime_ids or ()):
            guess = document.guess(text, runtime_ids or ())
            remedy = _meant(guess) or f"one of {', '.join(runtime_ids or ())}"
            document.add(place, f'no runtime has the id "{_short(text)}"', remedy)


def _doubts(
    document: Document, architectures: Mapping[str, Any], families: Sequence[str]
) -> Iterable[Problem]:
    """Names that nobody knows and that a slip of the fingers may have made of a known one: a new
    architecture and a new family are right too.
    """
    from difflib import SequenceMatcher

    rows = list(architectures.get("architecture", {}))
    for path, names, what in (
        (("architecture", "gguf"), rows, "architecture"),
        (("architecture", "transformers"), rows, "architecture"),
        (("family",), families, "family"),
    ):
        text = _text(document, *path)
        guess = nearest(text, names) if text is not None and text not in names else None
        if text is None or guess is None:
            continue
        alike = SequenceMatcher(None, text.lower(), guess.lower()).ratio()
        # a new number is a new generation
        if alike >= _ALIKE and re.findall(r"\d+", text) == re.findall(r"\d+", guess):
            yield Problem(
                file=document.file,
                line=document.line(path),
                key=".".join(path),
                message=f'no {what} "{_short(text)}" is known',
                remedy=_meant(guess),
            )


# ------------------------------------------------------------------------- counts and sizes


def _check_units(document: Document) -> None:
    """That sizes and counts are not so small that GB or billions were meant."""
    for table in ("needs", "parameters"):
        values = _at(document, (table,))
        for key, value in values.items() if isinstance(values, dict) else ():
            is_size = table == "parameters" or key.endswith("_bytes")
            if is_size and type(value) is int and 0 < value < LEAST:
                unit = ", in bytes" if table == "needs" else ""
                remedy = f"write {key} = {value * 10**9:_}{unit}"
                document.add((table, key), f"is {value:,}: no model is so small", remedy)


def _check_what_is_counted(
    document: Document, spec: ModelSpec, architectures: Mapping[str, Any]
) -> None:
    """Counts and sizes; where a list of layers is wrong, nothing can be counted over it."""
    if not document.has_faults("architecture", "quantized"):
        key = spec.architecture and need.lacking(spec.architecture, architectures)
        if spec.architecture is not None and key:
            message = f"is missing, and every {spec.architecture.row} model has it"
            remedy = f"write {key} = [{{ … }}], or another architecture"
            document.add(("architecture", key), message, remedy, absent=True)
        if not document.has_faults("parameters"):
            _check_counts(document, spec, architectures)
        _check_files(document, spec, architectures)
        _check_apart(document, spec, architectures)
    total, counted = spec.parameters.total, sum((spec.components or {}).values())
    if not document.has_faults("components", "parameters") and total is not None and counted:
        what = "the sum over [components]"
        _compare(document, "total", (total, counted), what, "correct [components]")


def _check_counts(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That the stated parameters are those of the architecture; nothing where it does not tell
    them all.
    """
    parameters = spec.parameters
    counted = need.counted_parameters(spec, architectures)
    if counted is None or parameters.total is None:
        return
    total, active = counted
    beside = parameters.encoders or 0
    if parameters.encoders is None and "parameters.encoders" in spec.unknown:
        # the encoders are inside `total`, which is therefore no less than the rest
        beside = max(0, parameters.total - total)
    what = "the sum over [architecture]" + (" with the encoders" if parameters.encoders else "")
    correct = "correct [architecture]: one of the two is of another model"
    if _compare(document, "total", (parameters.total, total + beside), what, correct):
        return
    if parameters.active is not None:
        what = "what [architecture] uses for a token"
        correct = "correct experts and used of feed_forward"
        apart = abs(total + beside - parameters.total)
        counts = parameters.active, active + beside
        _compare(document, "active", counts, what, correct, more_allowed=apart)


def _compare(
    document: Document,
    key: str,
    counts: tuple[int, int],
    what: str,
    correct: str,
    more_allowed: int = 0,
) -> bool:
    """Note where a stated count is not the true one; both are in `counts`. True where it is not.

    It may be a share of it apart, or half of its last digit where it was rounded.
    """
    stated, true = counts
    zeros = len(str(stated)) - len(str(stated).rstrip("0"))
    rounded = min(10**zeros // 2, int(stated * ROUNDED_SHARE))
    apart = true - stated
    if abs(apart) <= max(int(stated * PARAMETERS_SHARE), rounded) + more_allowed:
        return False
    share = f"{abs(apart) / stated:.{0 if abs(apart) * 10 > stated else 1}%}".replace("%", " %")
    message = f"is {stated:,}, and {what} is {true:,}: {share} {'more' if apart > 0 else 'less'}"
    document.add(("parameters", key), message, f"write {key} = {true:_}, or {correct}")
    return True


def _check_files(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That files whose size is stated can be this model's in that quantization; nothing where
    no size can be computed.
    """
    alone = spec.replace(files=())
    # a listing may include the projector, which is a file of its own in 16 bits
    beside = 3 * (spec.parameters.encoders or 0)
    if "parameters.encoders" in spec.unknown and not beside:
        return
    stated = (
        (at, files.format, *pair)
        for at, files in enumerate(spec.files)
        for pair in files.bytes.items()
    )
    for index, format, name, size in stated:
        sized = need.weights_bytes(alone, format, name, architectures)
        if not isinstance(sized, SizedWeights):
            continue
        # some pipelines are published in 32 bits and loaded in 16 (Lumina-Image 2.0, Z-Image)
        widening = 32 / DTYPES[name] if spec.components and name in DTYPES else 1
        most = sized.high_bytes * widening * (1 + FILES_SHARE) + beside
        if not sized.low_bytes * (1 - FILES_SHARE) <= size <= most:
            document.add(
                ("files", index, "bytes", name),
                f"is {size:,}, and this model's files in {name} have {sized.bytes:,}"
                f" ({sized.arithmetic})",
                "look the size up again, of all parts together, or correct [architecture] and"
                " [parameters]",
            )


def _check_apart(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That tensors with a type of their own are tensors of the model."""
    named = [
        (table, name)
        for table, part in (("architecture", spec.architecture), ("quantized", spec.quantized))
        for name, _ in (part.apart if part is not None else ())
    ]
    names = need.tensor_names(spec, architectures) if named else ()
    for table, name in named if names else ():
        if name not in names:
            guess = document.guess(name, names)
            remedy = f"did you mean {guess}?" if guess else None
            document.add((table, "apart", name), "is no tensor of this architecture", remedy)


# ------------------------------------------------------------------------- license, sources


def _check_license(document: Document) -> None:
    """That the license is a known expression, that a browser may open its address, and that
    something is conditional where there are conditions.
    """
    terms = document.values.get("license")
    if not isinstance(terms, dict):
        return
    answers = [terms.get(key) for key in ("commercial_use", "modification", "redistribution")]
    # Reports say of a "yes" that any use is allowed. A "no" may have conditions: what is left.
    if terms.get("conditions") and "conditional" not in answers and "no" not in answers:
        remedy = (
            'say which: commercial_use = "conditional"; what a user must do is one of the duties'
        )
        document.add(("license", "conditions"), "is stated, though nothing is conditional", remedy)
    address, text = _text(document, "license", "url"), _text(document, "license", "id")
    if address is not None and not re.match(r"https?://[^\s/]", address, re.IGNORECASE):
        message = f'"{_short(address)}" is not the address of a web page'
        document.add(("license", "url"), message, "it begins with https://")
    # the reader has noted what is no expression at all
    if text is None or not is_license_expression(text):
        return
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        right = str(canonicalize_license_expression(text)) if len(text) <= MAX_EXPRESSION else None
    except (InvalidLicenseExpression, RecursionError):
        right = None
    if right is None:
        remedy = remedy_of_id(text)
        document.add(("license", "id"), f'"{_short(text)}" is no SPDX license expression', remedy)
    elif right != text:
        document.add(("license", "id"), f'"{text}" is not as SPDX writes it', f'write "{right}"')


def _check_sources(document: Document) -> None:
    """Every table of facts has its source, and [sources] and [unknown] speak of keys that exist."""
    sources, unknown = document.values.get("sources", {}), document.values.get("unknown", {})
    if not isinstance(sources, dict) or not isinstance(unknown, dict):
        return
    having = {key.partition(".")[0] for key in sources}
    for table in SOURCED:
        if table in document.values and table not in having:
            remedy = f'say where the facts in [{table}] come from: [sources] {table} = "…"'
            document.add(("sources", table), "is missing", remedy, absent=True)
    for section, keys in (("sources", sources), ("unknown", unknown)):
        for key in keys:
            _check_key(document, section, key)


def _check_key(document: Document, section: str, key: str) -> None:
    """That an entry of [sources] or [unknown] has the name of a key."""
    node: Any = _schema()
    parts = key.split(".")
    for place, part in enumerate(parts):
        name = part.partition("[")[0]
        keys = _inside(node).get("properties")
        if keys is None:
            # a table with free keys, such as [components]
            return
        if name in keys:
            node = keys[name]
            continue
        guess = document.guess(name, list(keys))
        homes = [table for table in keys if name in _inside(keys[table]).get("properties", {})]
        if not place and len(homes) == 1:
            guess = f"{homes[0]}.{part}"
        meant = ".".join([*parts[:place], guess, *parts[place + 1 :]]) if guess else None
        document.add((section, key), "is not the name of a key of a spec", _meant(meant))
        return


def _inside(node: Any) -> Any:
    """The node that a schema's node refers to or lists."""
    while "$ref" in node or "items" in node:
        name = node.get("$ref", "").rpartition("/")[2]
        node = _schema()["$defs"][name] if name else node["items"]
    return node


@cache
def _schema() -> Any:
    """The published JSON Schema of a spec file."""
    import json

    with open(os.path.join(PACKAGE_FOLDER, "schemas", "spec-1.json"), encoding="utf-8") as stream:
        return json.load(stream)
