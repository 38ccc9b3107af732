"""What the model is: can its weights be had, is it as open as is wanted, what does its license
allow, does it read so much text?
"""

from __future__ import annotations

from typing import Any

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...core.workload import Workload
from ..files import states_needs_alone
from ..record import Question
from . import Cell, Finding, Outcome, finding, phrase

_BY_ANSWER = {
    "yes": (Outcome.PASS, "openness-open"),
    "partly": (Outcome.WARN, "openness-partly"),
    "unknown": (Outcome.UNKNOWN, "openness-not-known"),
    "no": (Outcome.FAIL, "openness-closed"),
}
# where no source confirms the answer
_BY_ASSUMED_ANSWER = {
    **_BY_ANSWER,
    "yes": (Outcome.WARN, "openness-assumed"),
    "no": (Outcome.UNKNOWN, "openness-not-known"),
}
# file names that a reason lists; the others are counted
_NAMED_FILES = 5
# these hold no code, and call for none of the repository
_WITHOUT_CODE = ("gguf", "ggml")
_NEVER_PICKLE = (*_WITHOUT_CODE, "mlx")
# uses whose work is a picture, not a text: the words beside it are a caption
_OF_PICTURES = ("image-encoder", "image-text-matching")


def openness_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """Open in the respects that were asked for? Of what no source confirms a yes is a `warn` and
    a no is `unknown`.
    """
    purposes = {"modification": workload.modify, "audit": workload.auditable}
    findings = [_open_for(spec, name) for name, is_wanted in purposes.items() if is_wanted]
    if len(findings) < 2:
        return findings[0] if findings else None
    worst = max(findings, key=lambda finding: finding.severity)
    return worst.replace(
        needs=", ".join(str(finding.needs) for finding in findings),
        has="; ".join(str(finding.has) for finding in findings),
        reason=" ".join(finding.reason for finding in findings),
    )


def _open_for(spec: ModelSpec, purpose: str) -> Finding:
    from ...catalogue import openness

    is_audit = purpose == "audit"
    row = openness.auditable(spec) if is_audit else openness.permission(spec, "modification")
    outcome, code = (_BY_ASSUMED_ANSWER if row.assumed else _BY_ANSWER)[row.answer]
    return finding(
        outcome,
        code,
        needs=purpose,
        has=", ".join(f"{part.name} {part.answer}" for part in row.parts or (row,)),
        purpose=purpose.capitalize(),
        why=row.why,
        guess=row.assumed,
        stated_in="openness" if is_audit else "license",
        option="--auditable" if is_audit else "--modify",
    )


def license_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """May it be used as asked? None where nothing was asked and nothing is conditional."""
    license, accepted, commercial = spec.license, workload.license, workload.commercial
    license = license or License()
    if not (commercial or accepted or license.commercial_use == "conditional"):
        return None
    from ...catalogue import openness

    # which license it is, and what it allows, take a source each
    name_is_guess = bool(accepted) and openness.unconfirmed(spec.sources.get("license"))
    use_is_guess = commercial and openness.permission(spec, "commercial use").assumed
    outcome, code, variant = _of_license(
        spec, workload, name_is_guess=name_is_guess, use_is_guess=use_is_guess
    )
    wanted = ("commercial use" * commercial, accepted)
    return finding(
        outcome,
        code,
        variant,
        needs=", ".join(filter(None, wanted)) or None,
        has=license.id or None,
        name=license.id or "no license known",
        accepted=accepted,
        commercial_alone=commercial and not accepted,
        commercial_too=commercial and bool(accepted),
        url=license.url,
        guess=use_is_guess or code in ("license-unconfirmed", "license-assumed"),
        terms="; ".join(license.conditions) or "conditions that the spec does not list",
    )


def _of_license(
    spec: ModelSpec, workload: Workload, *, name_is_guess: bool, use_is_guess: bool
) -> tuple[Outcome, str, str]:
    license, accepted = spec.license or License(), workload.license
    if spec.closed and accepted:
        return Outcome.FAIL, "license-not-accepted", "closed"
    if spec.closed:
        return Outcome.WARN, "license-conditional", "closed"
    refused = _not_accepted(license.id, accepted, is_guess=name_is_guess) if accepted else None
    if refused is not None:
        return refused
    if workload.commercial and license.commercial_use is None:
        return Outcome.UNKNOWN, "license-not-known", ""
    if workload.commercial and license.commercial_use == "no":
        if use_is_guess:
            return Outcome.UNKNOWN, "license-unconfirmed", ""
        return Outcome.FAIL, "license-forbids", ""
    if license.commercial_use == "conditional":
        return Outcome.WARN, "license-conditional", ""
    if use_is_guess or name_is_guess:
        return Outcome.WARN, "license-assumed", ""
    return Outcome.PASS, "license-allows", ""


def _not_accepted(
    name: str | None, accepted: str, *, is_guess: bool
) -> tuple[Outcome, str, str] | None:
    from ...catalogue.openness import satisfies

    if not name:
        return Outcome.UNKNOWN, "license-not-known", "name"
    if satisfies(name, accepted):
        return None
    if is_guess:
        return Outcome.UNKNOWN, "license-unconfirmed", "name"
    return Outcome.FAIL, "license-not-accepted", ""


def weights_check(question: Question) -> Finding:
    """Can the weights be had at all, and does loading them run code?"""
    outcome, code, variant, figures = (
        _not_to_be_had(question) or _here(question) or _unsafe(question) or _published(question)
    )
    has = question.spec.openness.weights
    return finding(outcome, code, variant, needs="published", has=has, **figures)


def _not_to_be_had(question: Question) -> Cell | None:
    spec, here, weights = question.spec, question.here, question.spec.openness.weights
    if weights == "closed":
        available = " ".join(spec.availability.sentences) if spec.availability else None
        return Outcome.FAIL, "weights-closed", "", {"available": available}
    if here is not None and here.missing_files and not question.local_files:
        files = here.missing_files[:_NAMED_FILES]
        more = len(here.missing_files) - len(files)
        figures = {"path": here.path, "files": files, "more": more}
        return Outcome.UNKNOWN, "weights-not-known", "in-part", figures
    is_stated = spec.files or states_needs_alone(spec) or spec.lone_config
    if weights == "unknown" and not (is_stated or question.is_here):
        own = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
        return Outcome.UNKNOWN, "weights-not-known", "", {"spec": own}
    return None


def _here(question: Question) -> Cell | None:
    here = question.here
    if question.local_files:
        return Outcome.PASS, "weights-here", "", {"path": None}
    if here is None or here.missing_bytes != 0:
        return None
    return _unsafe(question) or (Outcome.PASS, "weights-here", "", {"path": here.path})


def _unsafe(question: Question) -> Cell | None:
    spec, format, here = question.spec, question.workload.format, question.here
    runs_code = spec.safety.remote_code and format not in _WITHOUT_CODE
    is_pickle = spec.safety.formats == ("pickle",) and format not in _NEVER_PICKLE
    if not runs_code and not is_pickle:
        return None
    where = "yours to get" if spec.lone_config else "published"
    where = "here" if here is not None and here.missing_bytes == 0 else where
    return Outcome.WARN, "weights-unsafe", "", {"where": where, "code": runs_code}


def _published(question: Question) -> Cell:
    spec, kept_by, state = question.spec, question.kept_by, question.spec.openness.weights
    if spec.lone_config:
        return Outcome.WARN, "weights-yours", "", {}
    if spec.gated and kept_by is None:
        return Outcome.WARN, "weights-gated", "", {"remedy": to_pass_gate(spec)}
    if not spec.gated and state == "partial":
        return Outcome.WARN, "weights-partial", "", {}
    has_repository = spec.repository or any(files.repository for files in spec.files)
    needs_alone = states_needs_alone(spec)
    if not spec.gated and state == "unknown" and (needs_alone or not has_repository):
        return Outcome.PASS, "weights-stated", "", {"needs_alone": needs_alone}
    figures = {"repository": kept_by if spec.gated else None, "gate_unknown": spec.gated is None}
    return Outcome.PASS, "weights-published", "", figures


def to_pass_gate(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    page = f"https://huggingface.co/{spec.repository}" if spec.repository else None
    return phrase("pass-gate", page=page)


def reads_context(spec: ModelSpec) -> bool:
    """Whether a context is asked of such a model: of texts, and of a text on a recording."""
    first = next(iter(spec.uses or ()), None)
    if spec.modality == "speech":
        # beside a recording a text is a prompt; what speaks only reads it aloud
        return first != "speech-synthesis" and {"audio", "text"} <= {*(spec.inputs or ())}
    if spec.modality == "embedding":
        return first not in _OF_PICTURES
    return spec.modality in ("text", "vision")


def context_check(question: Question) -> Finding | None:
    """Was it trained for that much? None where tokens make no sense."""
    spec, workload, row = question.spec, question.workload, question.row
    architecture, wanted = spec.architecture, workload.context_tokens
    if wanted is None:
        return _of_recording(spec, workload.audio_seconds)
    trained = getattr(architecture, "context_tokens", None)
    scaled = getattr(architecture, "scaled_context_tokens", None)
    most = max(filter(None, (trained, scaled)), default=None)
    figures: dict[str, Any] = {"trained": trained, "scaled": scaled}
    outcome, code, variant = Outcome.FAIL, "context-too-long", ""
    if row is not None and row.rewrites and trained is not None:
        most, figures = 2 * trained, {"each": trained}
        outcome, code, variant = _of_rewriter(wanted, most, bounded=row.bounds_texts)
    elif most is None and question.context_asked:
        outcome, code = Outcome.UNKNOWN, "context-not-known"
    elif most is None or (trained is not None and wanted <= trained):
        outcome, code, variant = Outcome.PASS, "context-trained", "default" * (most is None)
    elif wanted <= most:
        outcome, code = Outcome.WARN, "context-scaled"
    elif (workload.prompt_tokens or 0) >= most:
        variant = "prompt"
    # nothing is short of what sets no bound
    is_bound = code != "context-untrained"
    short = None if most is None else max(0, wanted - most) * is_bound
    return finding(
        outcome, code, variant, needs=wanted, has=most, short=short, unit="tokens", **figures
    )


def _of_recording(spec: ModelSpec, seconds: int | None) -> Finding | None:
    stated = spec.needs
    if seconds is None or stated is None:
        return None
    longest = stated.longest_seconds
    if longest is not None and seconds > longest:
        code, short = "context-recording-too-long", seconds - longest
        return finding(Outcome.FAIL, code, needs=seconds, has=longest, short=short, unit="seconds")
    heard = stated.heard_seconds or HEARD_SECONDS
    grows = stated.second_bytes or stated.squared_second_bytes
    if grows or spec.architecture is not None or seconds <= heard:
        return None
    return finding(
        Outcome.WARN, "context-unmeasured", needs=seconds, has=heard, short=0, unit="seconds"
    )


def _of_rewriter(wanted: int, most: int, *, bounded: bool) -> tuple[Outcome, str, str]:
    """Of an encoder with a decoder, whose context is what is read and written together."""
    if wanted <= most:
        return Outcome.PASS, "context-trained", "both"
    return (
        (Outcome.FAIL, "context-too-long", "both")
        if bounded
        else (Outcome.WARN, "context-untrained", "")
    )
