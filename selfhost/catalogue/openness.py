"""How open a model is, row by row, and whether a license is among those that were asked for.

The words follow the Open Source AI Definition, https://opensource.org/ai/open-source-ai-definition,
and the Model Openness Framework, https://arxiv.org/abs/2403.13784; licenses SPDX 3.0.1.
What is said for each code stands in specs/common/openness.toml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.tables import shipped_table
from ..core.templates import fill
from ..core.units import nearest, short_license
from .spec import Availability, ModelSpec

PERMISSIONS = ("commercial use", "modification", "redistribution", "fine-tuning")
_PARTS = ("weights", "inference_code", "training_code", "training_data", "paper")
# words of a source where nobody looked the fact up
_UNCONFIRMED = ("general knowledge", "our judgement")


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
    weights, served = spec.openness.weights, spec.availability
    use = permission(spec, "commercial use").answer
    hosting = f"host-{use}" if weights == "published" else f"weights-{weights}"
    if spec.closed:
        use = "free-tier" if served and served.free_tier else "closed"
    # files that nobody can download run no code
    files = () if spec.closed else (_safe_files(spec),)
    return (
        _open_source(spec),
        _row(spec, "open access", _access(spec), through=served is not None),
        _row(spec, "free to use", f"use-{use}"),
        _row(spec, "self-hostable", hosting),
        auditable(spec),
        *files,
        _row(spec, "current", f"current-{_state(spec)}"),
    )


def _access(spec: ModelSpec) -> str:
    """Whether anybody can fetch the weights without a login or a form; of a closed model also who
    serves it.
    """
    weights, served = spec.openness.weights, spec.availability
    if spec.closed and served is not None:
        if served.retired:
            return "access-retired"
        return "access-api" if served.api else "access-products"
    if weights in ("closed", "unknown"):
        return f"weights-{weights}"
    return {None: "access-unknown", True: "access-gated"}.get(
        spec.gated, f"access-{weights}"
    )


def permissions(spec: ModelSpec) -> tuple[Row, ...]:
    """What the license says of each of PERMISSIONS; () where there are no weights."""
    return () if spec.closed else tuple(permission(spec, name) for name in PERMISSIONS)


def permission(spec: ModelSpec, name: str) -> Row:
    """What the license says of one of PERMISSIONS; a tuned model is a modified one."""
    if spec.closed:
        return _row(spec, name, "permission-closed")
    terms, source = spec.license, spec.sources.get("license")
    is_tuning = name == "fine-tuning"
    key = "modification" if is_tuning else name.replace(" ", "_")
    row = _row(
        spec,
        name,
        f"permission-{getattr(terms, key, None) or 'unknown'}",
        tuned=is_tuning,
    )
    # Where its id says what the license allows, that the model is under it takes a source of its
    # own; else the tag of a repository names the license, not what its text allows.
    id, by_id = (terms.id if terms else None) or "", None
    if row.answer == "yes" and id in shipped_table("openness")["osi_approved"]:
        by_id = f"the Open Source Initiative approved {id}: any use, change and sharing"
    elif row.answer == "no" and key == "commercial_use" and "-NC-" in id:
        by_id = f"{id}: NonCommercial"
    is_guessed = source is None or any(word in source for word in _UNCONFIRMED)
    assumed = unconfirmed(source) if by_id else is_guessed
    sources = tuple(filter(None, (by_id, source)))
    return row.replace(sources=sources, assumed=assumed and row.answer != "unknown")


def unconfirmed(source: str | None) -> bool:
    """No source, or one of which every part is general knowledge."""
    parts = source.split(";") if source is not None else ()
    return all(any(word in part for word in _UNCONFIRMED) for part in parts)


def _open_source(spec: ModelSpec) -> Row:
    """By the Open Source AI Definition 1.0: all parts published, under terms that allow any use."""
    needed = [_part(spec, name) for name in _PARTS[:4]]
    terms = permissions(spec)
    restricted = _listed(
        [term.name for term in terms if term.answer in ("no", "partly")]
    )
    missing = _listed([part.name for part in needed if part.answer == "no"])
    lacks = [f"{missing} not published"] if missing else []
    lacks += [
        _with_state(part) for part in needed if part.answer in ("partly", "unknown")
    ]
    code = "source-lacking" if lacks else "source-open"
    if spec.openness.weights in ("closed", "unknown"):
        code = f"weights-{spec.openness.weights}"
    elif restricted:
        code = "source-restricted"
    elif any(term.answer == "unknown" for term in terms):
        code = "source-unknown"
    row = _row(spec, "open source", code, restricted=restricted, lacks=", ".join(lacks))
    return row.replace(parts=tuple(needed[:3]))


def auditable(spec: ModelSpec) -> Row:
    """Training data, methods and paper. Without the data nobody can check what a model learned."""
    code, data, paper = (
        _part(spec, key) for key in ("training_code", "training_data", "paper")
    )
    # the training code says it all, a paper some of it
    methods = code.answer
    if methods == "no":
        methods = "paper" if paper.answer in ("yes", "partly") else paper.answer
    parts = (data, _row(spec, "methods", f"methods-{methods}"), paper)
    answers = {part.answer for part in parts}
    answer = "unknown" if answers <= {"yes", "unknown"} else "partly"
    if spec.closed:
        answer = "closed"
    elif data.answer in ("no", "unknown"):
        answer = f"data-{data.answer}"
    elif answers == {"yes"}:
        answer = "all"
    has = ", ".join(_with_state(part) for part in parts)
    return _row(spec, "auditable", f"audit-{answer}", has=has).replace(parts=parts)


def _part(spec: ModelSpec, name: str) -> Row:
    state, stated, source = getattr(spec.openness, name), spec.sources.get, None
    if state != "unknown":
        source = stated(f"openness.{name}") or stated("openness")
    if state == "published" and unconfirmed(source):
        # what shows better than a classification that a part is published
        program = stated("components")
        if (model := spec.architecture) is not None:
            program = "llama.cpp" if model.runs_in_gguf else "transformers"
            program += f" has its architecture, {model.row}"
        files = spec.files[0].source if spec.files else None
        read = stated("gated") if spec.gated is False else None
        seen = stated("safety") if spec.safety.formats else None
        shown = {"weights": (files, read, seen), "inference_code": (program,)}.get(
            name, ()
        )
        source = next((text for text in shown if not unconfirmed(text)), source)
    why = spec.unknown.get(f"openness.{name}", "not known")
    return _row(spec, name.replace("_", " "), f"part-{state}", (source,), why=why)


def _with_state(part: Row) -> str:
    states = {"yes": "published", "partly": "published in part", "no": "not published"}
    return f"{part.name} {states.get(part.answer, 'not known')}"


def _safe_files(spec: ModelSpec) -> Row:
    """GGUF and safetensors hold numbers alone; where nobody knows of code, what loads without."""
    name, formats, remote_code = (
        "safe files",
        spec.safety.formats,
        spec.safety.remote_code,
    )
    facts = shipped_table("openness")
    without_code = [format for format in formats if format in facts["without_code"]]
    if remote_code or (formats and not without_code):
        return _row(spec, name, "files-run-code" if remote_code else "files-pickle")
    kinds = facts["without_code" if remote_code is False else "loaded_without_code"]
    if safe := [format for format in without_code if format in kinds]:
        return _row(
            spec, name, "files-safe", formats=_listed(safe), pickle="pickle" in formats
        )
    for files in (files for files in spec.files if files.format in kinds):
        figures = {"formats": _listed([files.format]), "of": files.repository}
        return _row(spec, name, "files-converted", (files.source,), **figures)
    code = "files-code-unknown" if without_code else "files-unknown"
    return _row(spec, name, code, formats=_listed(without_code))


def _state(spec: ModelSpec) -> str:
    served, upkeep = spec.availability, spec.upkeep
    if served is not None and served.retired:
        return "retired"
    if upkeep.superseded_by:
        return "superseded"
    if upkeep.note:
        return "ended" if upkeep.current is False else "noted"
    if served is not None:
        return "doubtful" if spec.unknown.get("availability.retired") else "served"
    return "newest" if upkeep.current else "unknown"


def _row(
    spec: ModelSpec,
    name: str,
    code: str,
    stated: tuple[str | None, ...] = (),
    **figures: object,
) -> Row:
    """The answer of that code with the sources of what it rests on; assumed where that is."""
    answer, template, *keys = shipped_table("openness")["row"][code]
    rows = [_part(spec, key) for key in keys if key in _PARTS]
    rows += [permission(spec, key) for key in keys if key in PERMISSIONS]
    others, read = set(keys).difference(_PARTS, PERMISSIONS), spec.sources.get
    stated += tuple(
        [read(key) or read(key.partition(".")[0]) for key in keys if key in others]
    )
    sources = [
        *(source for row in rows for source in row.sources),
        *filter(None, stated),
    ]
    terms, upkeep, served = spec.license, spec.upkeep, spec.availability
    values = {
        "license": short_license((terms and terms.id) or "its license"),
        "conditions": "; ".join(terms.conditions) if terms else "",
        "repository": spec.repository,
        "doubt": spec.unknown.get("availability.retired"),
        "by": upkeep.superseded_by,
        "note": upkeep.note,
        **{key: getattr(served, key, None) for key in Availability._fields},
    }
    return Row(
        name=name,
        answer=answer,
        why=fill(template, {**values, **figures}),
        sources=tuple(dict.fromkeys(sources)),
        assumed=answer != "unknown"
        and (any(row.assumed for row in rows) or any(map(unconfirmed, stated))),
    )


def _listed(names: Sequence[str]) -> str:
    names = [{"gguf": "GGUF", "mlx": "MLX"}.get(name, name) for name in names]
    return (
        ", ".join(names[:-1]) + f" and {names[-1]}"
        if len(names) > 1
        else "".join(names)
    )


def canonical_expression(text: str) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license."""
    from packaging.licenses import (
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    how = shipped_table("openness")["how_to_write"]
    if len(text) > 500 or "(" in text:
        what = (
            "is longer than any license expression"
            if len(text) > 500
            else "has parentheses"
        )
        raise WorkloadError.of("license", what, how)
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        guess = remedy_of_id(text)
        remedy = f"{guess} Otherwise {how}" if guess.endswith("?") else how
        raise WorkloadError.of("license", str(error), remedy) from None


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one
    wanted choice whole: `Apache-2.0` satisfies `Apache-2.0 OR MIT`; `MIT AND CC-BY-4.0` not `MIT`.
    """
    # `A OR B AND C` -> [{A}, {B, C}]; what SPDX writes for later versions is left out
    plain = (
        re.sub(r"\+|-or-later|-only", "", each.casefold())
        for each in (license_id, wanted)
    )
    own, want = (
        [
            frozenset(re.split(r"\s+and\s+", each))
            for each in re.split(r"\s+or\s+", text)
        ]
        for text in plain
    )
    acceptable = frozenset[str]().union(*want)
    return any(
        choice <= acceptable and any(whole <= choice for whole in want)
        for choice in own
    )


def remedy_of_id(text: str) -> str:
    """What to write in place of what is no SPDX expression: the id most likely meant, if any."""
    from packaging.licenses import LICENSES  # type: ignore[attr-defined]

    ids = [str(entry["id"]) for entry in LICENSES.values() if not entry["deprecated"]]
    # `GPLv3` and `Apache 2.0 license` as SPDX would write them
    plain = re.sub(r"\s+licen[cs]e$", "", text.strip().lower()[:100])
    plain = re.sub(r"(?<=[a-z])(?:[\s-]*v|[\s-]+|(?<!v))(?=\d)|\s+", "-", plain)
    begun = (
        [id for id in ids if id.lower().startswith(plain)]
        if re.search(r"\d", plain)
        else []
    )
    # `Llama-3.1-Community`, as reports show it
    own = {short_license(id).lower(): id for id in shipped_table("licenses")}
    guess = nearest(plain, [*ids, *own])
    meant = own.get(plain) or (
        min(begun, key=len) if begun else own.get(guess or "", guess)
    )
    if meant and not re.search(r"-(?:and|or|with)(?:-|$)", plain):
        return f"did you mean {meant}?"
    return "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"
