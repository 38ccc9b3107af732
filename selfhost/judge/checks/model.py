"""What the model is: its weights, its openness, what its license allows, how much it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.workload import Workload
from ..files import states_needs_alone, who_else_has_the_files
from ..record import Question
from . import (
    FAIL,
    PASS,
    UNKNOWN,
    WARN,
    Cell,
    Figures,
    Finding,
    Outcome,
    finding,
    phrase,
)

if TYPE_CHECKING:
    from ...catalogue.openness import Row

# of an answer that a source confirms
_OPENNESS = {
    "yes": (PASS, "openness-open"),
    "partly": (WARN, "openness-partly"),
    "unknown": (UNKNOWN, "openness-not-known"),
    "no": (FAIL, "openness-closed"),
}
# of one that no source confirms
_ASSUMED_OPENNESS = {
    "yes": (WARN, "openness-assumed"),
    "partly": (WARN, "openness-partly"),
    "unknown": (UNKNOWN, "openness-not-known"),
    "no": (UNKNOWN, "openness-not-known"),
}
# file names that a reason lists; the others are counted
_NAMED_FILES = 5
# these hold no code, and call for none of the repository
_WITHOUT_CODE = ("gguf", "ggml")
_NEVER_PICKLE = (*_WITHOUT_CODE, "mlx")
# uses whose work is a picture, not a text: the words beside it are a caption
_PICTURE_USES = ("image-encoder", "image-text-matching")


def terms_checks(spec: ModelSpec, workload: Workload) -> Iterator[Finding]:
    """How open it is where that was asked; its license where asked, or where it sets conditions."""
    if workload.modify or workload.auditable:
        yield _openness_check(spec, workload)
    license, accepted, commercial = (
        spec.license or License(),
        workload.license,
        workload.commercial,
    )
    if not (commercial or accepted or license.commercial_use == "conditional"):
        return
    from ...catalogue import openness

    # one source tells which license it is, another what it allows
    use_is_guess = commercial and openness.permission(spec, "commercial use").assumed
    outcome, code, variant = _license_cell(
        spec, license, workload, is_guess=use_is_guess
    )
    wanted = []
    if commercial:
        wanted.append("commercial use")
    if accepted:
        wanted.append(accepted)
    yield finding(
        outcome,
        code,
        variant,
        needs=", ".join(wanted) or None,
        has=license.id or None,
        name=units.short_license(license.id or "no license known"),
        accepted=accepted,
        commercial_alone=commercial and not accepted,
        commercial_too=commercial and bool(accepted),
        url=license.url,
        guess=use_is_guess or code in ("license-unconfirmed", "license-assumed"),
        terms="; ".join(license.conditions) or "conditions that the spec does not list",
    )


def is_partly_open(finding: Finding) -> bool:
    """Whether it says that a model is not known to be as open as was asked, whole."""
    return finding.check == "openness" and finding.outcome is not Outcome.PASS


def _openness_check(spec: ModelSpec, workload: Workload) -> Finding:
    from ...catalogue import openness

    findings: list[Finding] = []
    if workload.modify:
        answer = openness.permission(spec, "modification")
        words = {"stated_in": "license", "option": "--modify"}
        findings.append(_openness_finding(answer, "modification", words))
    if workload.auditable:
        words = {"stated_in": "openness", "option": "--auditable"}
        findings.append(_openness_finding(openness.auditable(spec), "audit", words))
    worst = max(findings, key=lambda found: found.severity)
    return worst.replace(
        needs=", ".join(str(found.needs) for found in findings),
        has="; ".join(str(found.has) for found in findings),
        reason=" ".join(found.reason for found in findings),
    )


def _openness_finding(answer: Row, purpose: str, words: Mapping[str, str]) -> Finding:
    cells = _ASSUMED_OPENNESS if answer.assumed else _OPENNESS
    return finding(
        *cells[answer.answer],
        needs=purpose,
        has=", ".join(
            f"{part.name} {part.answer}" for part in answer.parts or (answer,)
        ),
        purpose=purpose.capitalize(),
        why=answer.why,
        guess=answer.assumed,
        **words,
    )


def _license_cell(
    spec: ModelSpec, license: License, workload: Workload, *, is_guess: bool
) -> tuple[Outcome, str, str]:
    """Whether its name is accepted, then whether it allows the use."""
    from ...catalogue import openness

    accepted, allowed = workload.license, license.commercial_use
    if spec.closed and accepted:
        return FAIL, "license-not-accepted", "closed"
    if spec.closed:
        return WARN, "license-conditional", "closed"
    is_named_by_guess = bool(accepted) and openness.unconfirmed(
        spec.sources.get("license")
    )
    if accepted and not license.id:
        return UNKNOWN, "license-not-known", "name"
    if accepted and license.id and not openness.satisfies(license.id, accepted):
        if is_named_by_guess:
            return UNKNOWN, "license-unconfirmed", "name"
        return FAIL, "license-not-accepted", ""
    if workload.commercial and allowed is None:
        return UNKNOWN, "license-not-known", ""
    if workload.commercial and allowed == "no":
        if is_guess:
            return UNKNOWN, "license-unconfirmed", ""
        return FAIL, "license-forbids", ""
    if allowed == "conditional":
        return WARN, "license-conditional", ""
    if is_guess or is_named_by_guess:
        return WARN, "license-assumed", ""
    return PASS, "license-allows", ""


def weights_check(question: Question) -> Finding:
    """Can the weights be had at all, and does loading them run code?"""
    spec, format = question.spec, question.workload.format
    runs_code = spec.safety.remote_code and format not in _WITHOUT_CODE
    is_pickle = spec.safety.formats == ("pickle",) and format not in _NEVER_PICKLE
    cell = _weights_cell(question, is_unsafe=runs_code or is_pickle)
    return finding(*cell, needs="published", has=spec.openness.weights, code=runs_code)


def _weights_cell(question: Question, *, is_unsafe: bool) -> Cell:
    spec, here = question.spec, question.here
    if spec.openness.weights == "closed":
        sentences = spec.availability.sentences if spec.availability is not None else ()
        return FAIL, "weights-closed", "", {"available": " ".join(sentences) or None}
    is_local = question.local_files
    if here is not None and here.missing_files and not is_local:
        names = here.missing_files[:_NAMED_FILES]
        more = len(here.missing_files) - len(names)
        return (
            UNKNOWN,
            "weights-not-known",
            "in-part",
            {
                "path": here.path,
                "files": names,
                "more": more,
            },
        )
    is_stated = spec.files or states_needs_alone(spec) or spec.lone_config
    is_had = is_stated or is_local or question.missing_bytes == 0
    if spec.openness.weights == "unknown" and not is_had:
        own = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
        return UNKNOWN, "weights-not-known", "", {"spec": own}
    if is_local:
        return PASS, "weights-here", "", {"path": None}
    is_whole = here is not None and here.missing_bytes == 0
    if is_unsafe:
        where = "here" if is_whole else "published"
        if spec.lone_config and not is_whole:
            where = "yours to get"
        return WARN, "weights-unsafe", "", {"where": where}
    if here is not None and is_whole:
        return PASS, "weights-here", "", {"path": here.path}
    return _available_cell(question)


def _available_cell(question: Question) -> Cell:
    spec, state = question.spec, question.spec.openness.weights
    kept_by = None
    if spec.gated:
        kept_by = who_else_has_the_files(spec, question.runtime, question.workload)
    if spec.lone_config:
        return WARN, "weights-yours", "", {}
    if spec.gated and kept_by is None:
        return WARN, "weights-gated", "", {"remedy": gate_remedy(spec)}
    if not spec.gated and state == "partial":
        return WARN, "weights-partial", "", {}
    needs_alone = states_needs_alone(spec)
    has_repository = spec.repository or any(files.repository for files in spec.files)
    if not spec.gated and state == "unknown" and (needs_alone or not has_repository):
        return PASS, "weights-stated", "", {"needs_alone": needs_alone}
    figures = {"repository": kept_by, "gate_unknown": spec.gated is None}
    return PASS, "weights-published", "", figures


def gate_remedy(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    page = f"https://huggingface.co/{spec.repository}" if spec.repository else None
    return phrase("pass-gate", page=page)


def reads_context(spec: ModelSpec) -> bool:
    """Whether a context is asked of such a model: of texts, and of a text on a recording."""
    first = next(iter(spec.uses or ()), None)
    if spec.modality == "speech":
        # beside a recording a text is a prompt; what speaks only reads it aloud
        return first != "speech-synthesis" and {"audio", "text"} <= {
            *(spec.inputs or ())
        }
    if spec.modality == "embedding":
        return first not in _PICTURE_USES
    return spec.modality in GENERATING


def _context_cell(question: Question, wanted: int, trained: int, most: int) -> Cell:
    """Of tokens that are read and written in one context; 0 for what is not known."""
    if not most:
        if question.context_asked:
            return UNKNOWN, "context-not-known", "", {}
        return PASS, "context-trained", "default", {}
    if wanted <= trained:
        return PASS, "context-trained", "", {}
    if wanted <= most:
        return WARN, "context-scaled", "", {}
    prompt_tokens = question.workload.prompt_tokens or 0
    return FAIL, "context-too-long", "prompt" if prompt_tokens >= most else "", {}


def _context_cell_of_both(question: Question, wanted: int, most: int) -> Cell:
    """Of an encoder with a decoder, each with a context of its own, `most` together."""
    if wanted <= most:
        return PASS, "context-trained", "both", {}
    # T5, where distances count, and M2M-100, which makes its table of positions longer, set no
    # bound, so nothing is short
    if question.row.relative_positions or question.row.sines:
        return WARN, "context-untrained", "", {"short": 0}
    return FAIL, "context-too-long", "both", {}


def context_check(question: Question) -> Finding | None:
    """Was it trained for that much? None where neither tokens nor seconds make sense."""
    architecture, wanted = question.spec.architecture, question.workload.context_tokens
    if wanted is None:
        return _recording_check(question.spec, question.workload.audio_seconds)
    trained = getattr(architecture, "context_tokens", None)
    scaled = getattr(architecture, "scaled_context_tokens", None)
    most = max(filter(None, (trained, scaled)), default=0)
    if question.row.rewrites and trained:
        # an encoder with a decoder, whose context is what is read and written together
        most = 2 * trained
        cell = _context_cell_of_both(question, wanted, most)
    else:
        cell = _context_cell(question, wanted, trained or 0, most)
    return finding(
        *cell,
        needs=wanted,
        has=most or None,
        short=max(0, wanted - most) if most else None,
        unit="tokens",
        each=trained,
        trained=trained,
        scaled=scaled,
    )


def _recording_check(spec: ModelSpec, seconds: int | None) -> Finding | None:
    stated = spec.needs
    if seconds is None or stated is None:
        return None
    longest, heard = stated.longest_seconds, stated.heard_seconds or HEARD_SECONDS
    figures: Figures = {"needs": seconds, "unit": "seconds"}
    if longest is not None and seconds > longest:
        figures.update(has=longest, short=seconds - longest)
        return finding(FAIL, "context-recording-too-long", "", figures)
    grows = stated.second_bytes or stated.squared_second_bytes
    if grows or spec.architecture is not None or seconds <= heard:
        return None
    return finding(WARN, "context-unmeasured", "", figures, has=heard, short=0)
