"""What the model is: can its weights be had, is it as open as is wanted, what does its license
allow, does it read so much text?
"""

from __future__ import annotations

from typing import Any

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...core.workload import Workload
from ..files import states_needs_alone
from . import Cell, Finding, Outcome, finding, phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..record import Question


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


# ------------------------------------------------------------------ openness


def openness_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """Open in the respects that were asked for? None where nothing was asked. The worst of the
    respects decides. Of what no source confirms a yes is a `warn` and a no is `unknown`.
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


# ------------------------------------------------------------------ license


def license_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """May it be used as asked? None where nothing was asked and nothing is conditional.

    As with openness: of what no source confirms a yes is a `warn` and a no is `unknown`.
    """
    license, accepted = spec.license or License(), workload.license
    if not (workload.commercial or accepted or license.commercial_use == "conditional"):
        return None
    outcome, code, variant = _of_license(spec, workload, license)
    is_guess = code in ("license-unconfirmed", "license-assumed")
    wanted = ["commercial use"] if workload.commercial else []
    return finding(
        outcome,
        code,
        variant,
        needs=", ".join([*wanted, accepted] if accepted else wanted) or None,
        has=license.id or None,
        name=license.id or "no license known",
        accepted=accepted,
        commercial_alone=workload.commercial and not accepted,
        commercial_too=workload.commercial and bool(accepted),
        url=license.url,
        guess=is_guess or (workload.commercial and license_guessed(spec)[1]),
        terms="; ".join(license.conditions) or "conditions that the spec does not list",
    )


def _not_accepted(
    name: str | None, accepted: str, *, is_guess: bool
) -> tuple[Outcome, str, str] | None:
    """That the license is none of those that were asked for, or not known to be; None where it is
    one.
    """
    from ...catalogue.openness import satisfies

    if not name:
        return Outcome.UNKNOWN, "license-not-known", "name"
    if satisfies(name, accepted):
        return None
    if is_guess:
        return Outcome.UNKNOWN, "license-unconfirmed", "name"
    return Outcome.FAIL, "license-not-accepted", ""


def license_guessed(spec: ModelSpec) -> tuple[bool, bool]:
    """Whether only general knowledge says which license it is, and whether only that says what
    it allows in commerce.
    """
    from ...catalogue import openness

    return (
        openness.unconfirmed(spec.sources.get("license")),
        openness.permission(spec, "commercial use").assumed,
    )


def _of_license(spec: ModelSpec, workload: Workload, license: License) -> tuple[Outcome, str, str]:
    """What is found of the license, the first that holds. Which license it is, and what it allows,
    take a source each.
    """
    accepted, commercial_use = workload.license, license.commercial_use
    if spec.closed:
        if accepted:
            return Outcome.FAIL, "license-not-accepted", "closed"
        return Outcome.WARN, "license-conditional", "closed"
    name_is_guess, use_is_guess = license_guessed(spec)
    use_is_guess &= workload.commercial
    refused = _not_accepted(license.id, accepted, is_guess=name_is_guess) if accepted else None
    if refused is not None:
        return refused
    if workload.commercial and commercial_use is None:
        return Outcome.UNKNOWN, "license-not-known", ""
    if workload.commercial and commercial_use == "no":
        if use_is_guess:
            return Outcome.UNKNOWN, "license-unconfirmed", ""
        return Outcome.FAIL, "license-forbids", ""
    if commercial_use == "conditional":
        return Outcome.WARN, "license-conditional", ""
    if use_is_guess or (accepted and name_is_guess):
        return Outcome.WARN, "license-assumed", ""
    return Outcome.PASS, "license-allows", ""


# ------------------------------------------------------------------ weights


def weights_check(question: Question) -> Finding:
    """Can the weights be had at all, and does loading them run code? Files that somebody else
    published are not behind the publisher's gate.
    """
    outcome, code, variant, figures = (
        _closed_or_here(question) or _unsafe(question, "published") or _published(question)
    )
    has = question.spec.openness.weights
    return finding(outcome, code, variant, needs="published", has=has, **figures)


def _closed_or_here(question: Question) -> Cell | None:
    """Of weights that nobody can get, or that lie here; None of those to be downloaded."""
    spec, here = question.spec, question.here
    if spec.openness.weights == "closed":
        available = " ".join(spec.availability.sentences) if spec.availability else None
        return Outcome.FAIL, "weights-closed", "", {"available": available}
    if question.local_files:
        return Outcome.PASS, "weights-here", "", {"path": None}
    if here is not None and here.missing_files:
        files = here.missing_files
        figures = {
            "path": here.path,
            "files": files[:_NAMED_FILES],
            "more": max(0, len(files) - _NAMED_FILES),
        }
        return Outcome.UNKNOWN, "weights-not-known", "in-part", figures
    if here is not None and here.missing_bytes == 0:
        return _unsafe(question, "here") or (Outcome.PASS, "weights-here", "", {"path": here.path})
    is_stated = spec.files or states_needs_alone(spec) or spec.lone_config
    if spec.openness.weights == "unknown" and not is_stated:
        own = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
        return Outcome.UNKNOWN, "weights-not-known", "", {"spec": own}
    return None


def _unsafe(question: Question, where: str) -> Cell | None:
    """That loading the weights may run code; None where it runs none."""
    spec, format = question.spec, question.workload.format
    runs_code = spec.safety.remote_code and format not in _WITHOUT_CODE
    is_pickle = spec.safety.formats == ("pickle",) and format not in _NEVER_PICKLE
    if not runs_code and not is_pickle:
        return None
    if spec.lone_config and where == "published":
        where = "yours to get"
    return Outcome.WARN, "weights-unsafe", "", {"where": where, "code": runs_code}


def _published(question: Question) -> Cell:
    """What stands before the download."""
    spec, repository = question.spec, question.kept_by
    if spec.lone_config:
        return Outcome.WARN, "weights-yours", "", {}
    if spec.gated and repository is None:
        return Outcome.WARN, "weights-gated", "", {"remedy": to_pass_gate(spec)}
    if spec.gated:
        figures = {"repository": repository, "gate_unknown": False}
        return Outcome.PASS, "weights-published", "", figures
    state, needs_alone = spec.openness.weights, states_needs_alone(spec)
    if state == "partial":
        return Outcome.WARN, "weights-partial", "", {}
    has_repository = spec.repository or any(files.repository for files in spec.files)
    if state == "unknown" and (needs_alone or not has_repository):
        return Outcome.PASS, "weights-stated", "", {"needs_alone": needs_alone}
    figures = {"repository": None, "gate_unknown": spec.gated is not False}
    return Outcome.PASS, "weights-published", "", figures


def to_pass_gate(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    page = f"https://huggingface.co/{spec.repository}" if spec.repository else None
    return phrase("pass-gate", page=page)


# ------------------------------------------------------------------ context


def reads_context(spec: ModelSpec) -> bool:
    """Whether a context of tokens is asked of such a model: of what writes or embeds texts, and of
    what answers a text on a recording. Sound, pictures and clips have none that a user sets.
    """
    first = next(iter(spec.uses or ()), None)
    if spec.modality == "speech":
        # beside a recording a text is a prompt; what speaks only reads it aloud
        return first != "speech-synthesis" and {"audio", "text"} <= {*(spec.inputs or ())}
    if spec.modality == "embedding":
        return first not in _OF_PICTURES
    return spec.modality in ("text", "vision")


def context_check(question: Question) -> Finding | None:
    """Was it trained for that much? None where tokens make no sense."""
    spec, workload, row = question.spec, question.workload, question.rewriting
    architecture, wanted = spec.architecture, workload.context_tokens
    if wanted is None:
        return _of_recording(spec, workload.audio_seconds)
    trained = getattr(architecture, "context_tokens", None)
    if row is not None and trained is not None:
        return _of_rewriter(wanted, trained, bounded=row.bounds_texts)
    scaled = getattr(architecture, "scaled_context_tokens", None)
    most = max(filter(None, (trained, scaled)), default=None)
    if most is None:
        if question.context_asked:
            return _of_context(Outcome.UNKNOWN, "context-not-known", "", wanted, None)
        return _of_context(Outcome.PASS, "context-trained", "default", wanted, None)
    if trained is not None and wanted <= trained:
        return _of_context(Outcome.PASS, "context-trained", "", wanted, most, trained=trained)
    if scaled is not None and wanted <= scaled:
        figures = {"trained": trained, "scaled": scaled}
        return _of_context(Outcome.WARN, "context-scaled", "", wanted, most, **figures)
    variant = "prompt" if (workload.prompt_tokens or 0) >= most else ""
    return _of_context(Outcome.FAIL, "context-too-long", variant, wanted, most)


def _of_recording(spec: ModelSpec, seconds: int | None) -> Finding | None:
    """Does it hear so much at once, and is the memory known of so much? None where nothing was
    asked or nothing speaks against it.
    """
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


def _of_rewriter(wanted: int, each: int, *, bounded: bool) -> Finding:
    """Of an encoder with a decoder, whose context is what is read and written together. `each`:
    tokens that the encoder reads at most, or was trained to where nothing bounds it, and the
    decoder writes.
    """
    most = 2 * each
    if wanted <= most:
        return _of_context(Outcome.PASS, "context-trained", "both", wanted, most, each=each)
    if bounded:
        return _of_context(Outcome.FAIL, "context-too-long", "both", wanted, most, each=each)
    untrained = _of_context(Outcome.WARN, "context-untrained", "", wanted, most, each=each)
    # nothing is short of what sets no bound
    return untrained.replace(short=0)


def _of_context(
    outcome: Outcome, code: str, variant: str, wanted: int, most: int | None, **figures: Any
) -> Finding:
    """`most`: tokens that the model can use; None is not known."""
    short = None if most is None else max(0, wanted - most)
    return finding(
        outcome, code, variant, needs=wanted, has=most, short=short, unit="tokens", **figures
    )
