"""What the model is: its weights, its openness, what its license allows, how much it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.workload import Workload
from ..programs import states_needs_alone
from ..record import Question
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Finding, Outcome, finding, first_branch, phrase

# of an answer, and of one that no source confirms
_BY_ANSWER = {
    "yes": ((PASS, "openness-open"), (WARN, "openness-assumed")),
    "partly": ((WARN, "openness-partly"),) * 2,
    "unknown": ((UNKNOWN, "openness-not-known"),) * 2,
    "no": ((FAIL, "openness-closed"), (UNKNOWN, "openness-not-known")),
}
# the same of commercial use
_BY_USE = {
    None: ((UNKNOWN, "license-not-known"),) * 2,
    "no": ((FAIL, "license-forbids"), (UNKNOWN, "license-unconfirmed")),
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
    license, accepted, commercial = spec.license or License(), workload.license, workload.commercial
    if not (commercial or accepted or license.commercial_use == "conditional"):
        return
    from ...catalogue import openness

    # one source tells which license it is, another what it allows
    use_is_guess = commercial and openness.permission(spec, "commercial use").assumed
    outcome, code, variant = _license_cell(spec, license, workload, is_guess=use_is_guess)
    wanted = ("commercial use" * commercial, accepted)
    yield finding(
        outcome,
        code,
        variant,
        needs=", ".join(filter(None, wanted)) or None,
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
    for is_audit in (False, True):
        if not (workload.auditable if is_audit else workload.modify):
            continue
        row = openness.auditable(spec) if is_audit else openness.permission(spec, "modification")
        purpose = "audit" if is_audit else "modification"
        answer = finding(
            *_BY_ANSWER[row.answer][row.assumed],
            needs=purpose,
            has=", ".join(f"{part.name} {part.answer}" for part in row.parts or (row,)),
            purpose=purpose.capitalize(),
            why=row.why,
            guess=row.assumed,
            stated_in="openness" if is_audit else "license",
            option="--auditable" if is_audit else "--modify",
        )
        findings.append(answer)
    worst = max(findings, key=lambda each: each.severity)
    return worst.replace(
        needs=", ".join(str(each.needs) for each in findings),
        has="; ".join(str(each.has) for each in findings),
        reason=" ".join(each.reason for each in findings),
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
    is_named_by_guess = bool(accepted) and openness.unconfirmed(spec.sources.get("license"))
    if accepted and not license.id:
        return UNKNOWN, "license-not-known", "name"
    if accepted and license.id and not openness.satisfies(license.id, accepted):
        name = (UNKNOWN, "license-unconfirmed", "name"), (FAIL, "license-not-accepted", "")
        return name[not is_named_by_guess]
    if workload.commercial and allowed in _BY_USE:
        return *_BY_USE[allowed][is_guess], ""
    if allowed == "conditional":
        return WARN, "license-conditional", ""
    is_sure = not (is_guess or is_named_by_guess)
    return (PASS, "license-allows", "") if is_sure else (WARN, "license-assumed", "")


def weights_check(question: Question) -> Finding:
    """Can the weights be had at all, and does loading them run code?"""
    spec, format, here = question.spec, question.workload.format, question.here
    is_local, weights = question.local_files, spec.openness.weights
    runs_code = spec.safety.remote_code and format not in _WITHOUT_CODE
    is_pickle = spec.safety.formats == ("pickle",) and format not in _NEVER_PICKLE
    is_whole = getattr(here, "missing_bytes", None) == 0
    missing = getattr(here, "missing_files", ())
    path = getattr(here, "path", None)
    is_stated = spec.files or states_needs_alone(spec) or spec.lone_config
    is_had = is_stated or is_local or question.missing_bytes == 0
    own = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
    where = "here" if is_whole else "published"
    if spec.lone_config and not is_whole:
        where = "yours to get"
    files = {"files": missing[:_NAMED_FILES], "more": max(0, len(missing) - _NAMED_FILES)}
    closed = {"available": " ".join(getattr(spec.availability, "sentences", ())) or None}
    cell = first_branch(
        (weights == "closed", (FAIL, "weights-closed", "", closed)),
        (
            missing and not is_local,
            (UNKNOWN, "weights-not-known", "in-part", {"path": path, **files}),
        ),
        (weights == "unknown" and not is_had, (UNKNOWN, "weights-not-known", "", {"spec": own})),
        (is_local, (PASS, "weights-here", "", {"path": None})),
        (runs_code or is_pickle, (WARN, "weights-unsafe", "", {"where": where})),
        (is_whole, (PASS, "weights-here", "", {"path": path})),
        (True, _available_cell(question)),
    )
    return finding(*cell, needs="published", has=weights, code=runs_code)


def _available_cell(question: Question) -> Cell:
    spec, kept_by, state = question.spec, question.kept_by, question.spec.openness.weights
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
    figures = {"repository": kept_by if spec.gated else None, "gate_unknown": spec.gated is None}
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
        return first != "speech-synthesis" and {"audio", "text"} <= {*(spec.inputs or ())}
    if spec.modality == "embedding":
        return first not in _PICTURE_USES
    return spec.modality in GENERATING


def context_check(question: Question) -> Finding | None:
    """Was it trained for that much? None where neither tokens nor seconds make sense."""
    spec, workload, row = question.spec, question.workload, question.row
    architecture, wanted = spec.architecture, workload.context_tokens
    if wanted is None:
        return _recording_check(spec, workload.audio_seconds)
    trained = getattr(architecture, "context_tokens", None)
    scaled = getattr(architecture, "scaled_context_tokens", None)
    most, reach, both = max(filter(None, (trained, scaled)), default=0), trained or 0, ""
    if row.rewrites and trained is not None:
        # an encoder with a decoder, whose context is what is read and written together
        most = reach = 2 * trained
        both = "both"
    is_prompt = (workload.prompt_tokens or 0) >= most
    cell = first_branch(
        (not most and question.context_asked, (UNKNOWN, "context-not-known", "", {})),
        (not most, (PASS, "context-trained", both or "default", {})),
        (wanted <= reach, (PASS, "context-trained", both, {})),
        (wanted <= most, (WARN, "context-scaled", "", {})),
        # T5, where distances count, and M2M-100, which makes its table of positions longer, set no
        # bound, so nothing is short
        (
            both and (row.relative_positions or row.sines),
            (WARN, "context-untrained", "", {"short": 0}),
        ),
        (True, (FAIL, "context-too-long", both or "prompt" * is_prompt, {})),
    )
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
    figures: dict[str, Any] = {"needs": seconds, "unit": "seconds"}
    if longest is not None and seconds > longest:
        figures.update(has=longest, short=seconds - longest)
        return finding(FAIL, "context-recording-too-long", "", figures)
    grows = stated.second_bytes or stated.squared_second_bytes
    if grows or spec.architecture is not None or seconds <= heard:
        return None
    return finding(WARN, "context-unmeasured", "", figures, has=heard, short=0)
