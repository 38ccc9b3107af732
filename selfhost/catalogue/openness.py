"""How open a model is, row by row: what `show` and `compare` print, and what the findings `license`
and `openness` decide by.

Each row answers yes, partly, no or unknown, with why and where that is known from. The words follow
the Open Source AI Definition 1.0 of the Open Source Initiative
(https://opensource.org/ai/open-source-ai-definition) and the Model Openness Framework
(https://arxiv.org/abs/2403.13784).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.records import Record
from .spec import ModelSpec

ANSWERS = ("yes", "partly", "no", "unknown")
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
    "open source", "open access", "free to use", "self-hostable", "auditable", "hosted access",
    "safe files", "current",
)  # fmt: skip
PERMISSIONS = ("commercial use", "modification", "redistribution", "fine-tuning")
# file formats that hold numbers and no code; a pickle can run any
# (https://docs.python.org/3/library/pickle.html)
_WITHOUT_CODE = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2")
# of those, what a program loads that has no way to run code of the repository; transformers and
# mlx-lm have one (trust_remote_code)
_LOADED_WITHOUT = ("gguf", "ggml", "ctranslate2")
_FORMAT_NAMES = {"gguf": "GGUF", "mlx": "MLX"}
# what a spec says of a part or of a permission, in the words of ANSWERS
_ANSWERED = {
    "published": "yes", "partial": "partly", "closed": "no", "unknown": "unknown",
    "yes": "yes", "conditional": "partly", "no": "no", None: "unknown",
}  # fmt: skip
_PUBLISHED = {
    "yes": "published", "partly": "published in part", "no": "not published",
    "unknown": "not known",
}  # fmt: skip
# what stands in a source where nobody looked it up
_UNCONFIRMED = ("general knowledge", "our judgement")
# the sentences on a license, by its answer
_FREE_TO_USE = {
    "yes": "{name} allows any use, including commercial use",
    "partly": "{name} allows commercial use under conditions{conditions}",
    "no": "{name} forbids commercial use",
    "unknown": "whether {name} allows commercial use is not known",
}
_SELF_HOSTABLE = {
    "yes": "the weights are published, and {name} lets anybody run them",
    "partly": "the weights are published, and {name} lets you run them under its conditions",
    "no": "the weights are published, and {name} lets you run them non-commercially only",
    "unknown": "the weights are published; what {name} allows is not known",
}
_PERMITS = {
    "yes": "{name} allows it",
    "partly": "{name} allows it under conditions",
    "no": "{name} forbids it",
    "unknown": "whether {name} allows it is not known",
}
_METHODS = {
    "yes": "the training code is published",
    "partly": "part of the training code is published",
    "no": "neither training code nor paper",
    "unknown": "not known",
}


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


# an answer, why, and the rows that it rests on
_Answer = tuple[str, str, Sequence[Row]]


def rows(spec: ModelSpec) -> tuple[Row, ...]:
    """The table of `show`: open source, open access, free to use, self-hostable, auditable, for
    closed models hosted access and for open ones safe files; current.
    """
    last = ("hosted access", _hosted_access) if spec.closed else ("safe files", _safe_files)
    return (
        _row("open source", _open_source(spec), _parts(spec, *_CODE)),
        _row("open access", _open_access(spec)),
        _row("free to use", _free_to_use(spec)),
        _row("self-hostable", _self_hostable(spec)),
        auditable(spec),
        _row(last[0], last[1](spec)),
        _row("current", _current(spec)),
    )


def permissions(spec: ModelSpec) -> tuple[Row, ...]:
    """What the license says of each of PERMISSIONS. None where there are no weights."""
    return () if spec.closed else tuple(permission(spec, name) for name in PERMISSIONS)


def permission(spec: ModelSpec, name: str) -> Row:
    """What the license says of one of PERMISSIONS. Fine-tuning follows from modification: a
    tuned model is a modified one.
    """
    if spec.closed:
        return _row(name, ("no", "there are no weights to license", _parts(spec, "weights")))
    terms, source = spec.license, spec.sources.get("license")
    key = "modification" if name == "fine-tuning" else name.replace(" ", "_")
    answer = _ANSWERED[getattr(terms, key) if terms else None]
    why = _PERMITS[answer].format(name=_license_name(spec))
    if name == "fine-tuning" and answer != "unknown":
        why += ": a tuned model is a modified one"
    by_id = _source_by_id((terms.id if terms else None) or "", key, answer)
    # Where its id says what the license allows, that the model is under it takes a source of its
    # own; else the tag of a repository names the license, not what its text allows.
    assumed = unconfirmed(source) if by_id else _is_guessed(source)
    sources = tuple(each for each in (by_id, source) if each)
    is_assumed = assumed and answer != "unknown"
    return Row(name=name, answer=answer, why=why, sources=sources, assumed=is_assumed)


def _source_by_id(id: str, key: str, answer: str) -> str | None:
    """Who says what a license of that SPDX id allows, or that it is in its own name."""
    if id in OSI_APPROVED and answer == "yes":
        return f"the Open Source Initiative approved {id}: any use, change and sharing"
    is_said = key == "commercial_use" and answer == "no" and "-NC-" in id
    return f"{id}: NonCommercial" if is_said else None


def unconfirmed(source: str | None) -> bool:
    """No source, or one of which every part is general knowledge."""
    return source is None or all(_is_guessed(part) for part in source.split(";"))


def _is_guessed(source: str | None) -> bool:
    return source is None or any(word in source for word in _UNCONFIRMED)


# ------------------------------------------------------------------ what was published

_CODE = ("weights", "inference_code", "training_code")


def _open_source(spec: ModelSpec) -> _Answer:
    """By the Open Source AI Definition 1.0: all parts published, under terms that allow any use.

    `partly` are open weights under free terms with parts missing; weights under terms that restrict
    use are not open source.
    """
    parts = _parts(spec, *_CODE, "training_data")
    terms, name = permissions(spec), _license_name(spec)
    if parts[0].answer in ("no", "unknown"):
        return parts[0].answer, _weights_words(parts[0]), parts[:1]
    restricted = [term.name for term in terms if term.answer in ("no", "partly")]
    if restricted:
        why = f"open weights only: {name} restricts {_listed(restricted)}"
        return "no", why, (parts[0], terms[0])
    if any(term.answer == "unknown" for term in terms):
        return "unknown", f"whether {name} allows any use is not known", terms[:1]
    missing = [part.name for part in parts if part.answer == "no"]
    half = [part for part in parts if part.answer in ("partly", "unknown")]
    if not missing and not half:
        return "yes", f"weights, code and training data are published under {name}", parts
    lacks = [f"{_listed(missing)} not published"] if missing else []
    lacks += [f"{part.name} {_PUBLISHED[part.answer]}" for part in half]
    return "partly", f"open weights under {name}; {', '.join(lacks)}", parts


def auditable(spec: ModelSpec) -> Row:
    """Training data, methods and paper. The data decides: without it nobody can check what a
    model learned from.
    """
    code, data, paper = _parts(spec, "training_code", "training_data", "paper")
    # the training code says it all, a paper some of it
    methods: _Answer = (code.answer, _METHODS[code.answer], (code,))
    if code.answer == "no" and paper.answer in ("yes", "partly"):
        why = "a paper describes it, but the training code is not published"
        methods = ("partly", why, (code, paper))
    elif code.answer == "no":
        methods = (paper.answer, _METHODS[paper.answer], (code, paper))
    parts = (data, _row("methods", methods), paper)
    return _row("auditable", _audited(spec, parts), parts)


def _audited(spec: ModelSpec, parts: Sequence[Row]) -> _Answer:
    data, answers = parts[0], {part.answer for part in parts}
    if spec.closed:
        why = "the weights are not published, so only the publisher can audit it"
        return "no", why, _parts(spec, "weights")
    if data.answer == "no":
        why = "the training data is not published, so nobody can check what it learned from"
        return "no", why, (data,)
    if data.answer == "unknown":
        return "unknown", "whether the training data was published is not known", (data,)
    if answers == {"yes"}:
        return "yes", "training data, training code and paper are published", parts
    has = ", ".join(f"{part.name} {_PUBLISHED[part.answer]}" for part in parts)
    if "unknown" in answers and not answers & {"partly", "no"}:
        return "unknown", f"not known in full: {has}", parts
    return "partly", has, parts


def _parts(spec: ModelSpec, *names: str) -> tuple[Row, ...]:
    return tuple(_part(spec, name) for name in names)


def _part(spec: ModelSpec, name: str) -> Row:
    answer, words = _ANSWERED[getattr(spec.openness, name)], name.replace("_", " ")
    if answer == "unknown":
        return Row(name=words, answer=answer, why=spec.unknown.get(f"openness.{name}", "not known"))
    source = spec.sources.get(f"openness.{name}") or spec.sources.get("openness")
    if answer == "yes" and unconfirmed(source):
        source = next((text for text in _witnesses(spec, name) if not unconfirmed(text)), source)
    return _row(words, (answer, _PUBLISHED[answer], (_source(source),)))


def _witnesses(spec: ModelSpec, part: str) -> tuple[str | None, ...]:
    """What shows that a part is published better than a classification: a listing of its files, a
    repository that was read, an open program that runs it.
    """
    if part == "weights":
        read = spec.sources.get("gated") if spec.gated is False else None
        seen = spec.sources.get("safety") if spec.safety.formats else None
        return (spec.files[0].source if spec.files else None, read, seen)
    if part != "inference_code":
        return ()
    if spec.architecture is None:
        return (spec.sources.get("components"),)
    program = "llama.cpp" if spec.architecture.runs_in_gguf else "transformers"
    return (f"{program} has its architecture, {spec.architecture.row}",)


def _weights_words(weights: Row) -> str:
    if weights.answer == "unknown":
        return "whether the weights are published is not known"
    return f"the weights are {_PUBLISHED[weights.answer]}"


# ------------------------------------------------------------------ what one may do with it


def _open_access(spec: ModelSpec) -> _Answer:
    """Published weights that anybody can fetch without a login or a form."""
    weights, gate = _parts(spec, "weights"), _sourced(spec, "gated")
    where = f" ({spec.repository} on Hugging Face)" if spec.repository else ""
    if spec.closed or weights[0].answer == "unknown":
        served = f": only through {spec.availability.provider}" if spec.availability else ""
        return weights[0].answer, f"{_weights_words(weights[0])}{served}", weights
    if spec.gated is None:
        why = f"published{where}; whether the download needs a login or form is not known"
        return "unknown", why, weights
    if spec.gated:
        return "partly", f"the download needs a login or a form{where}", gate
    if weights[0].answer == "partly":
        why = f"part of the weights is published, without a login{where}"
        return "partly", why, (*weights, *gate)
    return "yes", f"published without a login or form{where}", gate


def _hosted_access(spec: ModelSpec) -> _Answer:
    """Of a closed model, whether anybody can use it where its provider runs it: that the weights
    are out of reach does not say so.
    """
    served, source = spec.availability, _sourced(spec, "availability")
    if served is None:
        return "unknown", "who serves it is not known", ()
    if served.retired is not None:
        return "no", f"{served.provider} serves it no more: retired on {served.retired}", source
    if not served.api:
        return "partly", f"{served.provider} serves it in its own products, to no program", source
    return "yes", f"{served.provider} serves it to account holders, under its terms", source


def _free_to_use(spec: ModelSpec) -> _Answer:
    """What the license says of commercial use; of a closed model, whether its provider gives
    any away.
    """
    served = spec.availability
    if spec.closed and served is not None and served.free_tier:
        source = _sourced(spec, "availability.free_tier")
        return "partly", f"free tier: {served.free_tier}", source
    if spec.closed:
        why = "the weights are not published: the provider's terms and prices decide"
        return "no", why, _parts(spec, "weights")
    commercial = permission(spec, "commercial use")
    conditions = "; ".join(spec.license.conditions) if spec.license else ""
    why = _FREE_TO_USE[commercial.answer].format(
        name=_license_name(spec), conditions=f": {conditions}" if conditions else ""
    )
    return "partly" if commercial.answer == "no" else commercial.answer, why, (commercial,)


def _self_hostable(spec: ModelSpec) -> _Answer:
    """Published weights, and a license that lets one run them."""
    (weights,) = _parts(spec, "weights")
    if weights.answer != "yes":
        return weights.answer, _weights_words(weights), (weights,)
    commercial = permission(spec, "commercial use")
    why = _SELF_HOSTABLE[commercial.answer].format(name=_license_name(spec))
    answer = {"partly": "yes", "no": "partly"}.get(commercial.answer, commercial.answer)
    return answer, why, (weights, commercial)


# ------------------------------------------------------------------ its files and its age


def _safe_files(spec: ModelSpec) -> _Answer:
    """Whether loading can run code: pickle files and code of the repository can, GGUF and
    safetensors hold numbers alone.

    Where it is not known whether the repository asks for code of its own, only files that are
    loaded without any are safe.
    """
    formats, remote_code = spec.safety.formats, spec.safety.remote_code
    source = _sourced(spec, "safety")
    if remote_code:
        return "no", "loading runs code from the repository (trust_remote_code)", source
    without_code = [format for format in formats if format in _WITHOUT_CODE]
    if formats and not without_code:
        return "no", "published only as pickle files, which can run code", source
    kinds = _WITHOUT_CODE if remote_code is False else _LOADED_WITHOUT
    safe = [format for format in without_code if format in kinds]
    if safe:
        beside = "; do not use the pickle files beside them" if "pickle" in formats else ""
        return "yes", f"{_format_names(safe)} hold no code{beside}", source
    files = next((files for files in spec.files if files.format in kinds), None)
    if files is not None:
        where = f" of {files.repository}" if files.repository else ""
        why = f"the {_format_names([files.format])} files{where} hold no code; whether the"
        return "yes", f"{why} publisher's own files run any is not known", (_source(files.source),)
    if without_code:
        why = "hold no code; whether transformers runs code from the repository is not known"
        return "unknown", f"{_format_names(without_code)} {why}", source
    why = "which files the publisher offers is not known: use safetensors or GGUF, not pickle"
    return "unknown", why, ()


def _current(spec: ModelSpec) -> _Answer:
    """Whether it is still the one to take: superseded, retired or about to be, or in service."""
    served, upkeep = spec.availability, spec.upkeep
    by_provider, by_upkeep = _sourced(spec, "availability"), _sourced(spec, "upkeep")
    if served is not None and served.retired:
        after = f"; {served.successor} replaces it" if served.successor else ""
        return "no", f"retired on {served.retired}{after}", by_provider
    if upkeep.superseded_by:
        note = f": {upkeep.note}" if upkeep.note else ""
        return "no", f"superseded by {upkeep.superseded_by}{note}", by_upkeep
    if upkeep.note:
        return "partly", upkeep.note, by_upkeep
    if served is not None:
        doubt = spec.unknown.get("availability.retired")
        if doubt:
            return "unknown", doubt, ()
        return "yes", f"{served.provider} serves it; no end date is known", by_provider
    if upkeep.current:
        why = "nothing newer of its publisher is known for the same work and about its size"
        return "yes", why, by_upkeep
    return "unknown", "no successor is known; whether it is maintained was not checked", ()


# ------------------------------------------------------------------ rows and their sources


def _row(name: str, answer: _Answer, parts: tuple[Row, ...] = ()) -> Row:
    """A row with the sources of those that it rests on; one that is assumed makes it so."""
    word, why, because = answer
    sources = dict.fromkeys(source for reason in because for source in reason.sources)
    assumed = word != "unknown" and any(reason.assumed for reason in because)
    return Row(
        name=name, answer=word, why=why, sources=tuple(sources), assumed=assumed, parts=parts
    )


def _sourced(spec: ModelSpec, key: str) -> tuple[Row, ...]:
    """What an answer rests on that the spec states."""
    return (_source(spec.sources.get(key) or spec.sources.get(key.partition(".")[0])),)


def _source(source: str | None) -> Row:
    sources = (source,) if source else ()
    return Row(name="", answer="unknown", why="", sources=sources, assumed=unconfirmed(source))


def _license_name(spec: ModelSpec) -> str:
    name = spec.license.id if spec.license else None
    return name.removeprefix("LicenseRef-") if name else "its license"


def _format_names(formats: Sequence[str]) -> str:
    return _listed([_FORMAT_NAMES.get(format, format) for format in formats])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
