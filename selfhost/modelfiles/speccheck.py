"""`selfhost spec check`: every fault of spec files in one run, alone and beside the catalogue.

Off the path of `check`: a spec that names a successor nobody has is still a spec, and its verdict
is right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
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
from ..needs.packed import DTYPES
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
    owners = _owners_of(others)
    for document in stated:
        _check_names(document, owners)
        _check_references(document, ids)
        if runtime_ids is not None:
            _check_runtimes(document, runtime_ids)
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


def _check_what_is_counted(
    document: Document, spec: ModelSpec, architectures: Mapping[str, Any]
) -> None:
    """Counts and sizes; where a list of layers is wrong, nothing can be counted over it."""
    if not document.has_faults("architecture", "quantized"):
        _check_parts(document, spec, architectures)
        if not document.has_faults("parameters"):
            _check_counts(document, spec, architectures)
        _check_files(document, spec, architectures)
        _check_apart(document, spec, architectures)
    if not document.has_faults("components", "parameters"):
        _check_components(document, spec)


def _doubts(
    document: Document, architectures: Mapping[str, Any], families: Sequence[str]
) -> Iterable[Problem]:
    """Names that nobody knows and that a slip of the fingers may have made of a known one: a new
    architecture and a new family are right too.
    """
    rows = list(architectures.get("architecture", {}))
    for path, names, what in (
        (("architecture", "gguf"), rows, "architecture"),
        (("architecture", "transformers"), rows, "architecture"),
        (("family",), families, "family"),
    ):
        text = _text(document, *path)
        guess = nearest(text, names) if text is not None and text not in names else None
        if text is not None and guess is not None and _is_slip(text, guess):
            yield Problem(
                file=document.file,
                line=document.line(path),
                key=".".join(path),
                message=f'no {what} "{_short(text)}" is known',
                remedy=f'did you mean "{guess}"?',
            )


# letters that a slip leaves alike: `faclon` is falcon, `gpt-sovits` is no gpt-oss
_ALIKE = 0.85


def _is_slip(text: str, guess: str) -> bool:
    """Whether a name is another one but for a letter or two; a new number is a new generation."""
    from difflib import SequenceMatcher

    numbers = [re.findall(r"\d+", word) for word in (text, guess)]
    alike = SequenceMatcher(None, text.lower(), guess.lower()).ratio()
    return numbers[0] == numbers[1] and alike >= _ALIKE


def _read_once(paths: Sequence[str]) -> list[tuple[Document, ModelSpec | None]]:
    """Each file with what is right in its spec, None where that is nothing; the same file named
    twice is read once.
    """
    files: list[tuple[Document, ModelSpec | None]] = []
    seen: set[str] = set()
    for path in paths:
        # a null byte or a loop of links: Document.read says so
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):
            real = path
        if real not in seen:
            seen.add(real)
            document = Document.read(path)
            files.append((document, read_as_far_as_right(document, path)))
    return files


def _owners_of(specs: Iterable[ModelSpec]) -> dict[str, _Owner]:
    """Who answers to each name, by the name as it is compared."""
    owners: dict[str, _Owner] = {}
    for spec in specs:
        names = [("id", spec.id), *(("alias", alias) for alias in spec.aliases)]
        if spec.repository:
            names.append(("repository", spec.repository))
        for kind, name in names:
            owners.setdefault(canonical(name), (kind, name, spec.id))
    return owners


def _text(document: Document, *keys: str) -> str | None:
    """The text at a path; None where there is none. The reader has noted what is no text."""
    value: Any = document.values
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def _texts(document: Document, *keys: str) -> list[tuple[Path, str]]:
    """The texts in the list at a path, each with its own path."""
    value: Any = document.values
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    texts = enumerate(value if isinstance(value, list) else ())
    return [
        ((*keys, index), text) for index, text in texts if isinstance(text, str) and text.strip()
    ]


def _check_names(document: Document, owners: dict[str, _Owner]) -> None:
    """The file's name, and that no other spec answers to a name of this one. Adds its names to
    `owners`.
    """
    spec_id, repository = _text(document, "id"), _text(document, "repository")
    if spec_id is None:
        return
    file = os.path.basename(document.file)
    if is_id(spec_id) and file != f"{spec_id}.toml":
        document.add(("id",), *misnamed(spec_id, file))
    if owners.get(canonical(spec_id), ("", "", ""))[::2] == ("id", spec_id):
        document.add(
            ("id",),
            f'"{_short(spec_id)}" is the id of another of these files too',
            "give each model an id of its own",
        )
        return
    own: dict[str, _Owner] = {}
    named: list[tuple[str, Path, str]] = [("id", ("id",), spec_id)]
    named += [("alias", path, alias) for path, alias in _texts(document, "aliases")]
    named += [("repository", ("repository",), repository)] if repository else []
    for kind, path, name in named:
        key = canonical(name)
        owner = owners.get(key)
        if not key:
            document.add(path, f'"{_short(name)}" has no letter and no digit')
        elif owner is not None:
            other_kind, other_name, other_id = owner
            said = "an alias of it" if other_kind == "alias" else f"its {other_kind}"
            if other_name != name:
                said += f', "{other_name}" (case and separators make no difference)'
            document.add(
                path, f'"{_short(name)}" already means {other_id}: {said}', "a name means one model"
            )
        else:
            own.setdefault(key, (kind, name, spec_id))
    owners.update(own)


def _check_references(document: Document, ids: Sequence[str]) -> None:
    """Every spec that this one points at exists."""
    pointers = [
        (path, _text(document, *path))
        for path in (("upkeep", "superseded_by"), ("availability", "successor"), ("tuned_from",))
    ]
    named: list[tuple[Path, str]] = [
        (path, text)
        for path, text in pointers
        # a model may be tuned from one that no spec describes
        if text is not None and text != SCRATCH and "/" not in text
    ]
    for path, text in named + _texts(document, "availability", "open_alternatives"):
        if text == _text(document, "id"):
            document.add(path, f'"{_short(text)}" is this model itself')
        elif text not in ids:
            guess = document.guess(text, ids)
            document.add(
                path,
                f'no spec has the id "{_short(text)}"',
                f'did you mean "{guess}"?' if guess else None,
            )


def _check_runtimes(document: Document, runtime_ids: Sequence[str]) -> None:
    """Every program that it is run with has a file under `specs/runtimes`."""
    for path, text in _texts(document, "runtimes"):
        if text not in runtime_ids:
            guess = document.guess(text, runtime_ids)
            document.add(
                path,
                f'no runtime has the id "{_short(text)}"',
                f'did you mean "{guess}"?' if guess else f"one of {', '.join(runtime_ids)}",
            )


def _check_units(document: Document) -> None:
    """That sizes and counts are not so small that GB or billions were meant."""
    needs, parameters = (document.values.get(table) for table in ("needs", "parameters"))
    stated = [(("needs", key), value) for key, value in _numbers(needs) if key.endswith("_bytes")]
    stated += [(("parameters", key), value) for key, value in _numbers(parameters)]
    for path, value in stated:
        if 0 < value < LEAST:
            document.add(
                path,
                f"is {value:,}: no model is so small",
                f"write {path[-1]} = {value * 10**9:_}"
                + (", in bytes" if path[0] == "needs" else ""),
            )


def _numbers(table: Any) -> list[tuple[str, int]]:
    items = table.items() if isinstance(table, dict) else ()
    return [(key, value) for key, value in items if type(value) is int]


def _check_parts(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That a model has the parts which every model of its architecture has."""
    architecture = spec.architecture
    key = None if architecture is None else need.lacking(architecture, architectures)
    if architecture is not None and key is not None:
        remedy = f"write {key} = [{{ … }}], or another architecture"
        document.add(
            ("architecture", key),
            f"is missing, and every {architecture.row} model has it",
            remedy,
            absent=True,
        )


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
    apart = total + beside - parameters.total
    what = "the sum over [architecture]" + (" with the encoders" if parameters.encoders else "")
    if abs(apart) > _allowed(parameters.total):
        remedy = (
            f"write total = {total + beside:_}, or correct [architecture]: one of the two is of"
            " another model"
        )
        message = (
            f"is {parameters.total:,}, and {what} is {total + beside:,}:"
            f" {_share(apart, parameters.total)}"
        )
        document.add(("parameters", "total"), message, remedy)
    elif parameters.active is not None:
        used = active + beside
        if abs(used - parameters.active) > _allowed(parameters.active) + abs(apart):
            remedy = f"write active = {used:_}, or correct experts and used of feed_forward"
            message = (
                f"is {parameters.active:,}, and what [architecture] uses for a token is {used:,}: "
            )
            document.add(
                ("parameters", "active"),
                message + _share(used - parameters.active, parameters.active),
                remedy,
            )


def _check_components(document: Document, spec: ModelSpec) -> None:
    """That the stated parameters are those of the components together."""
    total, counted = spec.parameters.total, sum((spec.components or {}).values())
    if total is not None and counted and abs(counted - total) > _allowed(total):
        message = f"is {total:,}, and the sum over [components] is {counted:,}: "
        document.add(
            ("parameters", "total"),
            message + _share(counted - total, total),
            f"write total = {counted:_}, or correct [components]",
        )


def _allowed(stated: int) -> int:
    """How far the true count may be from a stated one: a share of it, or half of its last digit
    where it was rounded.
    """
    digits = str(stated)
    rounded = int("1" + "0" * (len(digits) - len(digits.rstrip("0")))) // 2
    return max(int(stated * PARAMETERS_SHARE), min(rounded, int(stated * ROUNDED_SHARE)))


def _share(apart: int, stated: int) -> str:
    """How the computed figure differs from the stated one: `87 % less`."""
    return (
        f"{abs(apart) / stated:.{0 if abs(apart) * 10 > stated else 1}%}"
        f" {'more' if apart > 0 else 'less'}".replace("%", " %")
    )


def _check_files(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That files whose size is stated can be this model's in that quantization; nothing where
    no size can be computed.
    """
    alone = spec.replace(files=())
    # a listing may include the projector, which is a file of its own in 16 bits
    beside = 3 * (spec.parameters.encoders or 0)
    if "parameters.encoders" in spec.unknown and not beside:
        return
    for index, files in enumerate(spec.files):
        for name, size in files.bytes.items():
            sized = need.weights_bytes(alone, files.format, name, architectures)
            if not isinstance(sized, SizedWeights):
                continue
            # some pipelines are published in 32 bits and loaded in 16 (Lumina-Image 2.0, Z-Image)
            widening = 32 / DTYPES[name] if spec.components and name in DTYPES else 1
            if (
                not sized.low_bytes * (1 - FILES_SHARE)
                <= size
                <= sized.high_bytes * widening * (1 + FILES_SHARE) + beside
            ):
                message = (
                    f"is {size:,}, and this model's files in {name} have {sized.bytes:,}"
                    f" ({sized.arithmetic})"
                )
                remedy = (
                    "look the size up again, of all parts together, or correct [architecture] and"
                    " [parameters]"
                )
                document.add(("files", index, "bytes", name), message, remedy)


def _check_apart(document: Document, spec: ModelSpec, architectures: Mapping[str, Any]) -> None:
    """That tensors with a type of their own are tensors of the model."""
    named = [
        ("architecture", name)
        for name, _ in (spec.architecture.apart if spec.architecture is not None else ())
    ]
    named += [
        ("quantized", name)
        for name, _ in (spec.quantized.apart if spec.quantized is not None else ())
    ]
    names = need.tensor_names(spec, architectures) if named else ()
    for table, name in named if names else ():
        if name not in names:
            guess = document.guess(name, names)
            document.add(
                (table, "apart", name),
                "is no tensor of this architecture",
                f"did you mean {guess}?" if guess else None,
            )


def _check_license(document: Document) -> None:
    """That the license is a known expression, that a browser may open its address, and that
    something is conditional where there are conditions.
    """
    terms = document.values.get("license")
    answers = (
        [terms.get(key) for key in ("commercial_use", "modification", "redistribution")]
        if isinstance(terms, dict)
        else []
    )
    # Reports say of a "yes" that any use is allowed. A "no" may have conditions: what is left.
    if (
        isinstance(terms, dict)
        and terms.get("conditions")
        and "conditional" not in answers
        and "no" not in answers
    ):
        remedy = (
            'say which: commercial_use = "conditional"; what a user must do is one of the duties'
        )
        document.add(("license", "conditions"), "is stated, though nothing is conditional", remedy)
    address = _text(document, "license", "url")
    if address is not None and not re.match(r"https?://[^\s/]", address, re.IGNORECASE):
        document.add(
            ("license", "url"),
            f'"{_short(address)}" is not the address of a web page',
            "it begins with https://",
        )
    text = _text(document, "license", "id")
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
    for table in SOURCED:
        if table in document.values and not any(
            key == table or key.startswith(f"{table}.") for key in sources
        ):
            document.add(
                ("sources", table),
                "is missing",
                f'say where the facts in [{table}] come from: [sources] {table} = "…"',
                absent=True,
            )
    for section, keys in (("sources", sources), ("unknown", unknown)):
        for key in keys:
            _check_key(document, section, key)


def _check_key(document: Document, section: str, key: str) -> None:
    """That an entry of [sources] or [unknown] has the name of a key."""
    node: Any = _schema()
    parts = key.split(".")
    for place, part in enumerate(parts):
        name = part.partition("[")[0]
        node = _inside(node)
        if "properties" not in node:
            # a table with free keys, such as [components]
            return
        if name not in node["properties"]:
            guess = document.guess(name, list(node["properties"]))
            homes = [
                table
                for table in node["properties"]
                if name in _inside(node["properties"][table]).get("properties", {})
            ]
            if not place and len(homes) == 1:
                guess = f"{homes[0]}.{part}"
            meant = ".".join([*parts[:place], guess, *parts[place + 1 :]]) if guess else None
            document.add(
                (section, key),
                "is not the name of a key of a spec",
                f'did you mean "{meant}"?' if meant else None,
            )
            return
        node = node["properties"][name]


def _inside(node: Any) -> Any:
    """The node that a schema's node refers to or lists."""
    while "$ref" in node or "items" in node:
        node = (
            _schema()["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node["items"]
        )
    return node


@cache
def _schema() -> Any:
    """The published JSON Schema of a spec file."""
    import json

    with open(os.path.join(PACKAGE_FOLDER, "schemas", "spec-1.json"), encoding="utf-8") as stream:
        return json.load(stream)
