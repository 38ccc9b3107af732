"""How open a model is, row by row: what `show` and `compare` print, and what the findings `license`
and `openness` decide by.

Each row answers yes, partly, no or unknown, with why and where that is known from. The words follow
the Open Source AI Definition
1.0 of the Open Source Initiative (https://opensource.org/ai/open-source-ai-definition) and the
  Model Openness Framework (https://arxiv.org/abs/2403.13784).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.records import Record
from .spec import ModelSpec, PublishedFiles

ANSWERS = ("yes", "partly", "no", "unknown")
DEFINITION = (
    "Open weights are the trained numbers alone. Open source, by the Open Source AI Definition 1.0,"
    " takes the code that trained and runs them and enough about the training data to build the"
    " like as well, under terms that let anybody use, study, change and share it all for any"
    " purpose; the Model Openness Framework ranks models by how many of these parts are out."
)
DEFINITION_SOURCES = (
    "https://opensource.org/ai/open-source-ai-definition",
    "https://arxiv.org/abs/2403.13784",
)
# of the ids that models come under, those that the Open Source Initiative approved (isOsiApproved
# of the SPDX License List 3.27): by the Open Source Definition they allow use in any field (6),
# modified works (3) and redistribution (1)
OSI_APPROVED = frozenset((
    "0BSD", "AFL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "Artistic-2.0",
    "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "ECL-2.0", "EPL-2.0", "EUPL-1.2", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only",
    "GPL-3.0-or-later", "ISC", "LGPL-2.1-only",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0",
    "MulanPSL-2.0", "NCSA", "OSL-3.0",
    "PostgreSQL", "UPL-1.0", "Unlicense", "Zlib",
))  # fmt: skip
ROWS = (
    "open source",
    "open access",
    "free to use",
    "self-hostable",
    "auditable",
    "hosted access",
    "safe files",
    "current",
)
PERMISSIONS = ("commercial use", "modification", "redistribution", "fine-tuning")
# file formats that hold numbers and no code; a pickle can run any
# (https://docs.python.org/3/library/pickle.html)
_WITHOUT_CODE = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2")
# of those, what a program loads that has no way to run code of the repository; transformers and
# mlx-lm have one (trust_remote_code)
_LOADED_WITHOUT = ("gguf", "ggml", "ctranslate2")
_PARTS = {"published": "yes", "partial": "partly", "closed": "no", "unknown": "unknown"}
_PARTS_WORDS = {
    "yes": "published",
    "partly": "published in part",
    "no": "not published",
    "unknown": "not known",
}
# what stands in a source where nobody looked it up
_UNCONFIRMED = ("general knowledge", "our judgement")


class Row(Record):
    """One question about a model and its answer, one of ANSWERS.

    `assumed`: the answer rests on general knowledge that no source confirmed, or on a spec that
    names no source. `parts` are the rows that it follows from.
    """

    name: str
    answer: str
    why: str
    sources: tuple[str, ...] = ()
    assumed: bool = False
    parts: tuple[Row, ...] = ()


def rows(spec: ModelSpec) -> tuple[Row, ...]:
    """The table of `show`: open source, open access, free to use, self-hostable, auditable, for
    closed models hosted access and for open ones safe files; current.
    """
    rows = [
        open_source(spec),
        open_access(spec),
        free_to_use(spec),
        self_hostable(spec),
        auditable(spec),
    ]
    rows.append(hosted_access(spec) if spec.closed else safe_files(spec))
    return (*rows, current(spec))


# ------------------------------------------------------------------ what was published


def open_source(spec: ModelSpec) -> Row:
    """By the Open Source AI Definition 1.0: all parts published, under terms that allow any use.

    `partly` are open weights under free terms with parts missing; weights under terms that restrict
    use are not open source.
    """
    parts = tuple(_part(spec, name) for name in ("weights", "inference_code", "training_code"))
    weights, with_data = parts[0], (*parts, _part(spec, "training_data"))
    terms = permissions(spec)
    license_name = _license_name(spec)
    basis: tuple[Row, ...]
    restricted = [term.name for term in terms if term.answer in ("no", "partly")]
    if weights.answer == "no":
        answer, basis = "no", (weights,)
        why = f"the weights are {_PARTS_WORDS['no']}"
    elif weights.answer == "unknown":
        answer, basis = "unknown", (weights,)
        why = "whether the weights are published is not known"
    elif restricted:
        answer, basis = "no", (weights, terms[0])
        why = f"open weights only: {license_name} restricts {_listed(restricted)}"
    elif any(term.answer == "unknown" for term in terms):
        answer, basis = "unknown", (terms[0],)
        why = f"whether {license_name} allows any use is not known"
    elif all(part.answer == "yes" for part in with_data):
        answer, basis = "yes", with_data
        why = f"weights, code and training data are published under {license_name}"
    else:
        answer, basis = "partly", with_data
        why = f"open weights under {license_name}; {_missing_parts(with_data)}"
    return _row("open source", answer, why, basis, parts)


def _missing_parts(parts: Iterable[Row]) -> str:
    """Which parts are not published, or not whole."""
    missing = [part.name for part in parts if part.answer == "no"]
    half = [
        f"{part.name} {_PARTS_WORDS[part.answer]}"
        for part in parts
        if part.answer in ("partly", "unknown")
    ]
    return ", ".join([f"{_listed(missing)} not published", *half] if missing else half)


def auditable(spec: ModelSpec) -> Row:
    """Training data, methods and paper. The data decides: without it nobody can check what a
    model learned from.
    """
    training_data, paper = _part(spec, "training_data"), _part(spec, "paper")
    parts = (training_data, _methods(spec, paper), paper)
    answers = {part.answer for part in parts}
    if spec.closed:
        return _row(
            "auditable",
            "no",
            "the weights are not published, so only the publisher can audit it",
            (_part(spec, "weights"),),
            parts,
        )
    if training_data.answer == "no":
        return _row(
            "auditable",
            "no",
            "the training data is not published, so nobody can check what it learned from",
            (training_data,),
            parts,
        )
    if training_data.answer == "unknown":
        return _row(
            "auditable",
            "unknown",
            "whether the training data was published is not known",
            (training_data,),
            parts,
        )
    if answers == {"yes"}:
        return _row(
            "auditable", "yes", "training data, training code and paper are published", parts, parts
        )
    has = ", ".join(f"{part.name} {_PARTS_WORDS[part.answer]}" for part in parts)
    if "unknown" in answers and not answers & {"partly", "no"}:
        return _row("auditable", "unknown", f"not known in full: {has}", parts, parts)
    return _row("auditable", "partly", has, parts, parts)


def _methods(spec: ModelSpec, paper: Row) -> Row:
    """How it was trained: the training code says it all, a paper some of it."""
    code = _part(spec, "training_code")
    if code.answer in ("yes", "unknown"):
        return _row(
            "methods",
            code.answer,
            "the training code is published" if code.answer == "yes" else "not known",
            (code,),
        )
    if code.answer == "partly":
        return _row("methods", "partly", "part of the training code is published", (code,))
    if paper.answer in ("yes", "partly"):
        return _row(
            "methods",
            "partly",
            "a paper describes it, but the training code is not published",
            (code, paper),
        )
    return _row(
        "methods",
        paper.answer,
        "neither training code nor paper" if paper.answer == "no" else "not known",
        (code, paper),
    )


def _part(spec: ModelSpec, name: str) -> Row:
    state = getattr(spec.openness, name)
    answer = _PARTS[state]
    source = spec.sources.get(f"openness.{name}") or spec.sources.get("openness")
    if name == "weights" and answer == "yes" and unconfirmed(source):
        # a listing of its files, or a repository that was read, says more than a classification
        listed = spec.files[0].source if spec.files else None
        read = spec.sources.get("gated") if spec.gated is False else None
        seen = spec.sources.get("safety") if spec.safety.formats else None
        source = next(
            (text for text in (listed, read, seen) if text and not unconfirmed(text)), source
        )
    if name == "inference_code" and answer == "yes" and unconfirmed(source):
        source = _runs_in(spec) or source
    words = name.replace("_", " ")
    if answer == "unknown":
        return Row(name=words, answer=answer, why=spec.unknown.get(f"openness.{name}", "not known"))
    return Row(
        name=words,
        answer=answer,
        why=_PARTS_WORDS[answer],
        sources=_known(source),
        assumed=unconfirmed(source),
    )


def _runs_in(spec: ModelSpec) -> str | None:
    """An open program that the spec says runs it."""
    architecture = spec.architecture
    if architecture is None:
        return spec.sources.get("components")
    program = "llama.cpp" if architecture.runs_in_gguf else "transformers"
    return f"{program} has its architecture, {architecture.row}"


# ------------------------------------------------------------------ what one may do with it


def open_access(spec: ModelSpec) -> Row:
    """Published weights that anybody can fetch without a login or a form."""
    weights = _part(spec, "weights")
    if weights.answer == "no":
        served = f": only through {spec.availability.provider}" if spec.availability else ""
        return _row("open access", "no", f"the weights are not published{served}", (weights,))
    if weights.answer == "unknown":
        return _row(
            "open access", "unknown", "whether the weights are published is not known", (weights,)
        )
    where = f" ({spec.repository} on Hugging Face)" if spec.repository else ""
    gate = _sourced("gate", spec, "gated")
    if spec.gated:
        return _row(
            "open access", "partly", f"the download needs a login or a form{where}", (gate,)
        )
    if spec.gated is None:
        return _row(
            "open access",
            "unknown",
            f"published{where}; whether the download needs a login or form is not known",
            (weights,),
        )
    if weights.answer == "partly":
        return _row(
            "open access",
            "partly",
            f"part of the weights is published, without a login{where}",
            (weights, gate),
        )
    return _row("open access", "yes", f"published without a login or form{where}", (gate,))


def hosted_access(spec: ModelSpec) -> Row:
    """Of a closed model, whether anybody can use it where its provider runs it: that the weights
    are out of reach does not say so.
    """
    served = spec.availability
    if served is None:
        return Row(name="hosted access", answer="unknown", why="who serves it is not known")
    source = _sourced("", spec, "availability")
    if served.retired is not None:
        why = f"{served.provider} serves it no more: retired on {served.retired}"
        return _row("hosted access", "no", why, (source,))
    if not served.api:
        why = f"{served.provider} serves it in its own products, to no program"
        return _row("hosted access", "partly", why, (source,))
    why = f"{served.provider} serves it to account holders, under its terms"
    return _row("hosted access", "yes", why, (source,))


def free_to_use(spec: ModelSpec) -> Row:
    """What the license says of commercial use; of a closed model, whether its provider gives
    any away.
    """
    if spec.closed:
        served = spec.availability
        if served is not None and served.free_tier:
            return _row(
                "free to use",
                "partly",
                f"free tier: {served.free_tier}",
                (_sourced("", spec, "availability.free_tier"),),
            )
        return _row(
            "free to use",
            "no",
            "the weights are not published: the provider's terms and prices decide",
            (_part(spec, "weights"),),
        )
    commercial, name = permission(spec, "commercial use"), _license_name(spec)
    conditions = "; ".join(spec.license.conditions) if spec.license else ""
    why = {
        "yes": f"{name} allows any use, including commercial use",
        "partly": (
            f"{name} allows commercial use under"
            f" conditions{f': {conditions}' if conditions else ''}"
        ),
        "no": f"{name} forbids commercial use",
        "unknown": f"whether {name} allows commercial use is not known",
    }[commercial.answer]
    return _row(
        "free to use",
        "partly" if commercial.answer == "no" else commercial.answer,
        why,
        (commercial,),
    )


def self_hostable(spec: ModelSpec) -> Row:
    """Published weights, and a license that lets one run them."""
    weights = _part(spec, "weights")
    if weights.answer != "yes":
        few = {"no": "there are no weights to run", "partly": "part of the weights is published"}
        return _row(
            "self-hostable",
            weights.answer,
            few.get(weights.answer, "whether the weights are published is not known"),
            (weights,),
        )
    commercial, name = permission(spec, "commercial use"), _license_name(spec)
    answer = {"yes": "yes", "partly": "yes", "no": "partly", "unknown": "unknown"}[
        commercial.answer
    ]
    why = {
        "yes": f"the weights are published, and {name} lets anybody run them",
        "partly": f"the weights are published, and {name} lets you run them under its conditions",
        "no": f"the weights are published, and {name} lets you run them non-commercially only",
        "unknown": f"the weights are published; what {name} allows is not known",
    }[commercial.answer]
    return _row("self-hostable", answer, why, (weights, commercial))


def permissions(spec: ModelSpec) -> tuple[Row, ...]:
    """What the license says of each of PERMISSIONS: yes, partly (under conditions), no, or
    unknown. None where there are no weights.
    """
    return () if spec.closed else tuple(permission(spec, name) for name in PERMISSIONS)


def permission(spec: ModelSpec, name: str) -> Row:
    """What the license says of one of PERMISSIONS. Fine-tuning follows from modification: a
    tuned model is a modified one.
    """
    terms, label = spec.license, _license_name(spec)
    if spec.closed:
        return Row(
            name=name,
            answer="no",
            why="there are no weights to license",
            sources=_part(spec, "weights").sources,
        )
    key = "modification" if name == "fine-tuning" else name.replace(" ", "_")
    stated = getattr(terms, key) if terms is not None else None
    answer = {"yes": "yes", "no": "no", "conditional": "partly"}.get(stated or "", "unknown")
    why = {
        "yes": f"{label} allows it",
        "partly": f"{label} allows it under conditions",
        "no": f"{label} forbids it",
        "unknown": f"whether {label} allows it is not known",
    }[answer]
    if name == "fine-tuning" and answer != "unknown":
        why += ": a tuned model is a modified one"
    source = spec.sources.get("license")
    known_by = _known_by_its_id((terms.id if terms is not None else None) or "", key, answer)
    if known_by:
        # what the license says is known; that the model is under it takes a source of its own
        return Row(
            name=name,
            answer=answer,
            why=why,
            sources=(known_by, *_known(source)),
            assumed=unconfirmed(source),
        )
    # the tag of a repository names the license, not what its text allows
    assumed = source is None or any(word in source for word in _UNCONFIRMED)
    return Row(
        name=name,
        answer=answer,
        why=why,
        sources=_known(source),
        assumed=assumed and answer != "unknown",
    )


def _known_by_its_id(license_id: str, key: str, answer: str) -> str:
    """Who says what a license of that SPDX id allows, or that it is in its own name; empty where
    the id tells nothing.
    """
    if license_id in OSI_APPROVED and answer == "yes":
        return f"the Open Source Initiative approved {license_id}: any use, change and sharing"
    if key == "commercial_use" and answer == "no" and "-NC-" in license_id:
        return f"{license_id}: NonCommercial"
    return ""


# ------------------------------------------------------------------ its files and its age


def safe_files(spec: ModelSpec) -> Row:
    """Whether loading can run code: pickle files and code of the repository can, GGUF and
    safetensors hold numbers alone.

    Where it is not known whether the repository asks for code of its own, only files that are
    loaded without any are safe.
    """
    formats, remote_code = spec.safety.formats, spec.safety.remote_code
    safety = _sourced("", spec, "safety")
    if remote_code:
        why = "loading runs code from the repository (trust_remote_code)"
        return _row("safe files", "no", why, (safety,))
    if formats and not set(formats) & set(_WITHOUT_CODE):
        return _row(
            "safe files", "no", "published only as pickle files, which can run code", (safety,)
        )
    without_code = [format for format in formats if format in _WITHOUT_CODE]
    without = _WITHOUT_CODE if remote_code is False else _LOADED_WITHOUT
    safe = [format for format in without_code if format in without]
    beside = "; do not use the pickle files beside them" if "pickle" in formats else ""
    not_known = "; whether transformers runs code from the repository is not known"
    if safe:
        rest = "" if safe == without_code else not_known
        why = f"{_format_names(safe)} hold no code{beside}{rest}"
        return _row("safe files", "yes", why, (safety,))
    files = next((files for files in spec.files if files.format in without), None)
    if files is not None:
        return _safe_conversion(files, publishes_safe_formats=bool(without_code))
    if without_code:
        why = f"{_format_names(without_code)} hold no code{beside}{not_known}"
        return _row("safe files", "unknown", why, (safety,))
    return Row(
        name="safe files",
        answer="unknown",
        why="which files the publisher offers is not known: use safetensors or GGUF, not pickle",
    )


def _safe_conversion(files: PublishedFiles, *, publishes_safe_formats: bool) -> Row:
    """Files that hold no code, listed with their sizes, where that of the publisher's own is not
    known.
    """
    where = f" of {files.repository}" if files.repository else ""
    own = "the publisher's own files are"
    if publishes_safe_formats:
        own = "whether the publisher's own files run code from the repository is"
    return Row(
        name="safe files",
        answer="yes",
        why=f"the {_format_name(files.format)} files{where} hold no code; {own} not known",
        sources=(files.source,),
        assumed=unconfirmed(files.source),
    )


def _format_names(formats: Iterable[str]) -> str:
    return _listed([_format_name(format) for format in formats])


def current(spec: ModelSpec) -> Row:
    """Whether it is still the one to take: superseded, retired or about to be, or in service."""
    served, note = spec.availability, spec.upkeep.note
    upkeep = _sourced("", spec, "upkeep")
    if served is not None and served.retired:
        after = f"; {served.successor} replaces it" if served.successor else ""
        return _row(
            "current",
            "no",
            f"retired on {served.retired}{after}",
            (_sourced("", spec, "availability"),),
        )
    if spec.upkeep.superseded_by:
        return _row(
            "current",
            "no",
            f"superseded by {spec.upkeep.superseded_by}{f': {note}' if note else ''}",
            (upkeep,),
        )
    if note:
        return _row("current", "partly", note, (upkeep,))
    if served is not None:
        doubt = spec.unknown.get("availability.retired")
        if doubt:
            return Row(name="current", answer="unknown", why=doubt)
        return _row(
            "current",
            "yes",
            f"{served.provider} serves it; no end date is known",
            (_sourced("", spec, "availability"),),
        )
    if spec.upkeep.current:
        why = "nothing newer of its publisher is known for the same work and about its size"
        return _row("current", "yes", why, (upkeep,))
    return Row(
        name="current",
        answer="unknown",
        why="no successor is known; whether it is maintained was not checked",
    )


# ------------------------------------------------------------------ words


def _row(
    name: str, answer: str, why: str, because: Sequence[Row], parts: tuple[Row, ...] = ()
) -> Row:
    """A row that follows from others: their sources are its own, and one that is assumed makes
    it so.
    """
    sources = dict.fromkeys(source for reason in because for source in reason.sources)
    assumed = answer != "unknown" and any(reason.assumed for reason in because)
    return Row(
        name=name, answer=answer, why=why, sources=tuple(sources), assumed=assumed, parts=parts
    )


def _sourced(name: str, spec: ModelSpec, key: str) -> Row:
    source = spec.sources.get(key) or spec.sources.get(key.partition(".")[0])
    return Row(
        name=name, answer="unknown", why="", sources=_known(source), assumed=unconfirmed(source)
    )


def _known(source: str | None) -> tuple[str, ...]:
    return (source,) if source else ()


def unconfirmed(source: str | None) -> bool:
    """No source, or one of which every part is general knowledge."""
    return source is None or all(
        any(word in part for word in _UNCONFIRMED) for part in source.split(";")
    )


def _license_name(spec: ModelSpec) -> str:
    name = spec.license.id if spec.license else None
    return name.removeprefix("LicenseRef-") if name else "its license"


def _format_name(name: str) -> str:
    return {"gguf": "GGUF", "mlx": "MLX"}.get(name, name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
