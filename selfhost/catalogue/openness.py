"""How open a model is, row by row, and whether a license is among those that were asked for.

What goes in: a model's spec. What comes out: a `Row` for each question, with the answer, the reason
and the sources that both rest on.

The words follow the Open Source AI Definition, https://opensource.org/ai/open-source-ai-definition,
and the Model Openness Framework, https://arxiv.org/abs/2403.13784; licenses SPDX 3.0.1.
What is said for each code stands in specs/common/openness.toml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.errors import WorkloadError
from ..core.records import Record, Stated
from ..core.tables import shipped_record
from ..core.templates import fill
from ..core.units import nearest, short_license
from .spec import Availability, ModelSpec
from .spec_values import row_names

PERMISSIONS = ("commercial use", "modification", "redistribution", "fine-tuning")
_PARTS = ("weights", "inference_code", "training_code", "training_data", "paper")
# words of a source where nobody looked the fact up
_UNCONFIRMED = ("general knowledge", "our judgement")
# what formats are called in sentences
_FORMAT_NAMES = {"gguf": "GGUF", "mlx": "MLX"}
_STATES = {"yes": "published", "partly": "published in part", "no": "not published"}
_LONGEST_EXPRESSION = 500


class _OpennessTable(Stated):
    """`specs/common/openness.toml`. `row`: by code the answer, the reason, and the parts,
    permissions and keys of a spec that both rest on.
    """

    osi_approved: tuple[str, ...]
    how_to_write: str
    without_code: tuple[str, ...]
    loaded_without_code: tuple[str, ...]
    row: Mapping[str, tuple[str, ...]]


def _table() -> _OpennessTable:
    return shipped_record(_OpennessTable, "openness")


class Row(Record):
    """One question about a model and its answer: yes, partly, no or unknown. `assumed`: no source
    confirmed it. `parts` are the rows that it follows from.
    """

    name: str
    answer: str
    why: str
    sources: tuple[str, ...] = ()
    assumed: bool = False
    parts: tuple[Row, ...] = ()


def rows(spec: ModelSpec) -> tuple[Row, ...]:
    """The table of `show`, one row for each question."""
    is_served = spec.availability is not None
    table = [
        _open_source(spec),
        _row(spec, "open access", _access(spec), through=is_served),
        _row(spec, "free to use", _free_use(spec)),
        _row(spec, "self-hostable", _hosting(spec)),
        auditable(spec),
    ]
    # files that nobody can download run no code
    if not spec.closed:
        table.append(_safe_files(spec))
    table.append(_row(spec, "current", f"current-{_state(spec)}"))
    return tuple(table)


def _access(spec: ModelSpec) -> str:
    """Whether anybody can fetch the weights without a login or a form; of a closed model also who
    serves it.
    """
    weights = spec.openness.weights
    served = spec.availability
    if spec.closed and served is not None:
        if served.retired:
            return "access-retired"
        return "access-api" if served.api else "access-products"
    if weights in ("closed", "unknown"):
        return f"weights-{weights}"
    if spec.gated is None:
        return "access-unknown"
    if spec.gated:
        return "access-gated"
    return f"access-{weights}"


def _free_use(spec: ModelSpec) -> str:
    if not spec.closed:
        use = permission(spec, "commercial use").answer
        return f"use-{use}"
    served = spec.availability
    if served is not None and served.free_tier:
        return "use-free-tier"
    return "use-closed"


def _hosting(spec: ModelSpec) -> str:
    weights = spec.openness.weights
    if weights != "published":
        return f"weights-{weights}"
    use = permission(spec, "commercial use").answer
    return f"host-{use}"


def _state(spec: ModelSpec) -> str:
    """Whether the model is still the one to take."""
    served = spec.availability
    upkeep = spec.upkeep
    if served is not None and served.retired:
        return "retired"
    if upkeep.superseded_by:
        return "superseded"
    if upkeep.note:
        return "ended" if upkeep.current is False else "noted"
    if served is not None:
        return "doubtful" if spec.unknown.get("availability.retired") else "served"
    return "newest" if upkeep.current else "unknown"


# what the license allows


def permissions(spec: ModelSpec) -> tuple[Row, ...]:
    """What the license says of each of PERMISSIONS; () where there are no weights."""
    if spec.closed:
        return ()
    return tuple([permission(spec, name) for name in PERMISSIONS])


def permission(spec: ModelSpec, name: str) -> Row:
    """What the license says of one of PERMISSIONS; a tuned model is a modified one."""
    if spec.closed:
        return _row(spec, name, "permission-closed")
    is_tuning = name == "fine-tuning"
    key = "modification" if is_tuning else name.replace(" ", "_")
    stated = None if spec.license is None else getattr(spec.license, key)
    row = _row(spec, name, f"permission-{stated or 'unknown'}", tuned=is_tuning)
    source = spec.sources.get("license")
    by_id = _known_by_id(spec, key, row.answer)
    if by_id is not None:
        # that the model is under the license takes a source of its own
        assumed = unconfirmed(source)
    else:
        # the tag of a repository names the license, not what its text allows
        assumed = source is None or _is_unconfirmed(source)
    sources: list[str] = []
    for text in (by_id, source):
        if text:
            sources.append(text)
    is_assumed = assumed and row.answer != "unknown"
    return row.replace(sources=tuple(sources), assumed=is_assumed)


def _known_by_id(spec: ModelSpec, key: str, answer: str) -> str | None:
    """Why the id of a license alone tells that answer; None where it does not."""
    id = _license_id(spec)
    if id is None:
        return None
    if answer == "yes" and id in _table().osi_approved:
        return f"the Open Source Initiative approved {id}: any use, change and sharing"
    if answer == "no" and key == "commercial_use" and "-NC-" in id:
        return f"{id}: NonCommercial"
    return None


def _license_id(spec: ModelSpec) -> str | None:
    return None if spec.license is None else spec.license.id


def unconfirmed(source: str | None) -> bool:
    """No source, or one of which every part is general knowledge."""
    return source is None or all(map(_is_unconfirmed, source.split(";")))


def _is_unconfirmed(part: str) -> bool:
    """Whether a part of a source says that nobody looked it up."""
    return any(word in part for word in _UNCONFIRMED)


# what was published


def _open_source(spec: ModelSpec) -> Row:
    """By the Open Source AI Definition 1.0: all parts published, under terms that allow any use."""
    needed = [_part(spec, name) for name in _PARTS[:4]]
    forbidden: list[str] = []
    are_terms_unknown = False
    for term in permissions(spec):
        if term.answer in ("no", "partly"):
            forbidden.append(term.name)
        elif term.answer == "unknown":
            are_terms_unknown = True
    lacks = _lacking(needed)
    if spec.openness.weights in ("closed", "unknown"):
        code = f"weights-{spec.openness.weights}"
    elif forbidden:
        code = "source-restricted"
    elif are_terms_unknown:
        code = "source-unknown"
    elif lacks:
        code = "source-lacking"
    else:
        code = "source-open"
    restricted = _listed(forbidden)
    row = _row(spec, "open source", code, restricted=restricted, lacks=lacks)
    return row.replace(parts=tuple(needed[:3]))


def _lacking(parts: Sequence[Row]) -> str:
    """What of these parts is not published, or not known to be; empty where all of them are."""
    missing: list[str] = []
    doubtful: list[str] = []
    for part in parts:
        if part.answer == "no":
            missing.append(part.name)
        elif part.answer in ("partly", "unknown"):
            doubtful.append(_with_state(part))
    if missing:
        doubtful.insert(0, f"{_listed(missing)} not published")
    return ", ".join(doubtful)


def auditable(spec: ModelSpec) -> Row:
    """Training data, methods and paper. Without the data nobody can check what a model learned."""
    code = _part(spec, "training_code")
    data = _part(spec, "training_data")
    paper = _part(spec, "paper")
    # the training code says it all, a paper some of it
    methods = code.answer
    if methods == "no":
        methods = "paper" if paper.answer in ("yes", "partly") else paper.answer
    parts = (data, _row(spec, "methods", f"methods-{methods}"), paper)
    if spec.closed:
        answer = "closed"
    elif data.answer in ("no", "unknown"):
        answer = f"data-{data.answer}"
    else:
        answer = _answer_of_all(parts)
    has = ", ".join(map(_with_state, parts))
    return _row(spec, "auditable", f"audit-{answer}", has=has).replace(parts=parts)


def _answer_of_all(parts: Sequence[Row]) -> str:
    """Whether all parts were published; `unknown` where some may be, and the others were."""
    answers = {part.answer for part in parts}
    if answers == {"yes"}:
        return "all"
    if answers == {"yes", "unknown"}:
        return "unknown"
    return "partly"


def _part(spec: ModelSpec, name: str) -> Row:
    """Whether one of _PARTS was published."""
    state = getattr(spec.openness, name)
    source = None
    if state != "unknown":
        stated = spec.sources.get(f"openness.{name}")
        source = stated or spec.sources.get("openness")
    if state == "published" and unconfirmed(source):
        for evidence in _evidence(spec, name):
            if not unconfirmed(evidence):
                source = evidence
                break
    why = spec.unknown.get(f"openness.{name}", "not known")
    return _row(spec, name.replace("_", " "), f"part-{state}", (source,), why=why)


def _evidence(spec: ModelSpec, name: str) -> Sequence[str | None]:
    """What shows better than a classification that a part is published."""
    if name == "weights":
        files = spec.files[0].source if spec.files else None
        read = spec.sources.get("gated") if spec.gated is False else None
        seen = spec.sources.get("safety") if spec.safety.formats else None
        return (files, read, seen)
    if name == "inference_code":
        if spec.architecture is None:
            return (spec.sources.get("components"),)
        program = "llama.cpp" if spec.architecture.runs_in_gguf else "transformers"
        return (f"{program} has its architecture, {spec.architecture.row}",)
    return ()


def _with_state(part: Row) -> str:
    return f"{part.name} {_STATES.get(part.answer, 'not known')}"


def _safe_files(spec: ModelSpec) -> Row:
    """GGUF and safetensors hold numbers alone; where nobody knows of code, what loads without."""
    name = "safe files"
    table = _table()
    formats = spec.safety.formats
    remote_code = spec.safety.remote_code
    without_code = [format for format in formats if format in table.without_code]
    if remote_code:
        return _row(spec, name, "files-run-code")
    if formats and not without_code:
        return _row(spec, name, "files-pickle")
    kinds = table.loaded_without_code
    if remote_code is False:
        kinds = table.without_code
    safe = [format for format in without_code if format in kinds]
    if safe:
        has_pickle = "pickle" in formats
        return _row(spec, name, "files-safe", formats=_listed(safe), pickle=has_pickle)
    for files in spec.files:
        if files.format in kinds:
            stated = (files.source,)
            figures = {"formats": _listed([files.format]), "of": files.repository}
            return _row(spec, name, "files-converted", stated, **figures)
    code = "files-code-unknown" if without_code else "files-unknown"
    return _row(spec, name, code, formats=_listed(without_code))


def _row(
    spec: ModelSpec,
    name: str,
    code: str,
    stated: tuple[str | None, ...] = (),
    **figures: object,
) -> Row:
    """The answer of that code with the sources of what it rests on; assumed where that is.

    `stated`: sources beside those of the keys that the code names. `figures` fill the reason.
    """
    answer, template, *keys = _table().row[code]
    sources: list[str] = []
    is_assumed = False
    stated_of_keys: list[str | None] = []
    for key in keys:
        other = _row_called(spec, key)
        if other is not None:
            sources += other.sources
            is_assumed = is_assumed or other.assumed
        else:
            table = key.partition(".")[0]
            stated_of_keys.append(spec.sources.get(key) or spec.sources.get(table))
    for source in (*stated, *stated_of_keys):
        is_assumed = is_assumed or unconfirmed(source)
        if source:
            sources.append(source)
    return Row(
        name=name,
        answer=answer,
        why=fill(template, {**_figures(spec), **figures}),
        sources=tuple(dict.fromkeys(sources)),
        assumed=is_assumed and answer != "unknown",
    )


def _row_called(spec: ModelSpec, key: str) -> Row | None:
    """The answer of one of _PARTS or PERMISSIONS; None for any other key."""
    if key in _PARTS:
        return _part(spec, key)
    if key in PERMISSIONS:
        return permission(spec, key)
    return None


def _figures(spec: ModelSpec) -> dict[str, object]:
    """What the reasons of all codes may tell of a model."""
    conditions = () if spec.license is None else spec.license.conditions
    figures: dict[str, object] = {
        "license": short_license(_license_id(spec) or "its license"),
        "conditions": "; ".join(conditions),
        "repository": spec.repository,
        "doubt": spec.unknown.get("availability.retired"),
        "by": spec.upkeep.superseded_by,
        "note": spec.upkeep.note,
    }
    for field in Availability._fields:
        figures[field] = getattr(spec.availability, field, None)
    return figures


def _listed(names: Sequence[str]) -> str:
    """Formats and parts as a sentence lists them."""
    words = [_FORMAT_NAMES.get(name, name) for name in names]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


# license expressions


def canonical_expression(text: str) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license."""
    from packaging.licenses import (  # 8 ms, where a license is asked for
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    how = _table().how_to_write
    if len(text) > _LONGEST_EXPRESSION:
        raise WorkloadError.of("license", "is longer than any license expression", how)
    if "(" in text:
        raise WorkloadError.of("license", "has parentheses", how)
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        remedy = how
        guess = remedy_of_id(text)
        if guess.endswith("?"):
            remedy = f"{guess} Otherwise {how}"
        raise WorkloadError.of("license", str(error), remedy) from None


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one
    wanted choice whole.

    `Apache-2.0` satisfies `Apache-2.0 OR MIT`; `MIT AND CC-BY-4.0` does not satisfy `MIT`.
    """
    wanted_choices = _choices(wanted)
    acceptable = frozenset[str]().union(*wanted_choices)
    for choice in _choices(license_id):
        if choice <= acceptable and any(map(choice.issuperset, wanted_choices)):
            return True
    return False


def _choices(expression: str) -> list[frozenset[str]]:
    """The licenses of each choice: `A OR B AND C` is [{a}, {b, c}]. What SPDX writes for later
    versions is left out.
    """
    plain = re.sub(r"\+|-or-later|-only", "", expression.casefold())
    choices = re.split(r"\s+or\s+", plain)
    return [frozenset(re.split(r"\s+and\s+", choice)) for choice in choices]


def remedy_of_id(text: str) -> str:
    """What to write in place of what is no SPDX expression: the id most likely meant, if any."""
    from packaging.licenses import LICENSES  # type: ignore[attr-defined]

    ids = [str(entry["id"]) for entry in LICENSES.values() if not entry["deprecated"]]
    # `GPLv3` and `Apache 2.0 license` as SPDX would write them
    plain = re.sub(r"\s+licen[cs]e$", "", text.strip().lower()[:100])
    plain = re.sub(r"(?<=[a-z])(?:[\s-]*v|[\s-]+|(?<!v))(?=\d)|\s+", "-", plain)
    # `Llama-3.1-Community`, as reports show it
    shown = {short_license(id).lower(): id for id in row_names("licenses")}
    meant = shown.get(plain)
    if meant is None and re.search(r"\d", plain):
        begun = [id for id in ids if id.lower().startswith(plain)]
        meant = min(begun, key=len, default=None)
    if meant is None:
        guess = nearest(plain, [*ids, *shown])
        meant = shown.get(guess or "", guess)
    if meant and not re.search(r"-(?:and|or|with)(?:-|$)", plain):
        return f"did you mean {meant}?"
    return "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"
