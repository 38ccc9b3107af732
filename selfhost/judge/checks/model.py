"""The checks of the model itself: its weights, its openness, the permissions of its license, and
the context that it reads.

None of these checks looks at the machine, except for the model's files on it. What is known of
openness is imported only where the workload asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...core import units
from ...core.records import Record
from ...core.workload import Workload
from ..record import DownloadedFiles, Question
from . import (
    Finding,
    Outcome,
    Ruling,
    failing,
    finding,
    passing,
    phrase,
    undecided,
    warning,
)

if TYPE_CHECKING:
    from ...catalogue.openness import OpennessRow

# rulings by the answer that a source gives
_OPENNESS = {
    "yes": passing("openness-open"),
    "partly": warning("openness-partly"),
    "unknown": undecided("openness-not-known"),
    "no": failing("openness-closed"),
}
# rulings by an answer that no source confirms
_ASSUMED_OPENNESS = {
    "yes": warning("openness-assumed"),
    "partly": warning("openness-partly"),
    "unknown": undecided("openness-not-known"),
    "no": undecided("openness-not-known"),
}
# rulings that rest on an unconfirmed source
_GUESSED_TERMS = ("license-unconfirmed", "license-assumed")
# how many file names a reason lists; the others are counted
_NAMED_FILES = 5
# files of these formats hold no code, and need no code of the repository
_WITHOUT_CODE = ("gguf", "ggml")
_NEVER_PICKLE = (*_WITHOUT_CODE, "mlx")


def model_checks(question: Question) -> Iterator[Finding]:
    """Yield the findings on the model: its weights, the context where its needs are known, and the
    openness and license that were asked for.
    """
    yield weights_check(question)
    if question.needs is not None:
        yield from _context_checks(question)
    yield from terms_checks(question.spec, question.workload)


# ------------------------------------------------------------------ license and openness


def terms_checks(spec: ModelSpec, workload: Workload) -> Iterator[Finding]:
    """The findings of openness and license that were asked for.

    A license that sets conditions has a finding always.
    """
    if workload.modify or workload.auditable:
        yield _openness_check(spec, workload)
    terms = _Terms(spec=spec, license=spec.license or License(), workload=workload)
    if terms.are_asked or terms.are_conditional:
        yield terms.license_check()


class _Terms(Record):
    """The license of a model, and the workload that is checked against it."""

    spec: ModelSpec
    license: License
    workload: Workload

    @property
    def are_asked(self) -> bool:
        """Whether a use or a license was asked for."""
        return self.workload.commercial or self.workload.license is not None

    @property
    def are_conditional(self) -> bool:
        """Whether the license sets conditions for a commercial use."""
        return self.license.commercial_use == "conditional"

    def license_check(self) -> Finding:
        """The finding whether the license is accepted, and whether it allows the use."""
        license = self.license
        accepted = self.workload.license
        ruling = self._ruling()
        wanted = []
        if self.workload.commercial:
            wanted.append("commercial use")
        if accepted is not None:
            wanted.append(accepted)
        terms = "conditions that the spec does not list"
        if license.conditions:
            terms = "; ".join(license.conditions)
        return finding(
            ruling,
            needs=", ".join(wanted) or None,
            has=license.id,
            name=units.short_license(license.id or "no license known"),
            accepted=accepted,
            commercial=self.workload.commercial,
            url=license.url,
            # whether no source confirms the facts on which the ruling rests
            guess=ruling.code in _GUESSED_TERMS or self._use_is_guess,
            terms=terms,
        )

    @property
    def _use_is_guess(self) -> bool:
        """Whether no source confirms what the license says of the requested use.

        One source tells which license the model has, another what the license allows.
        """
        from ...catalogue import openness

        if not self.workload.commercial:
            return False
        return openness.permission(self.spec, "commercial use").assumed

    @property
    def _name_is_guess(self) -> bool:
        """Whether no source confirms which license the model has, where only some licenses are
        accepted.
        """
        from ...catalogue import openness

        if not self.workload.license:
            return False
        return openness.unconfirmed(self.spec.sources.get("license"))

    def _ruling(self) -> Ruling:
        """The ruling whether the license is accepted, then whether it allows the use."""
        if self.spec.closed:
            if self.workload.license is not None:
                return failing("license-not-accepted", "closed")
            return warning("license-conditional", "closed")
        for refused in (self._name_refused(), self._use_refused()):
            if refused is not None:
                return refused
        if self.are_conditional:
            return warning("license-conditional")
        if self._use_is_guess or self._name_is_guess:
            return warning("license-assumed")
        return passing("license-allows")

    def _name_refused(self) -> Ruling | None:
        """The ruling that the license is none of the accepted ones, or that nobody knows; None
        where it is one of them.
        """
        from ...catalogue import openness

        accepted = self.workload.license
        if not accepted:
            return None
        if not self.license.id:
            return undecided("license-not-known", "name")
        if openness.satisfies(self.license.id, accepted):
            return None
        if self._name_is_guess:
            return undecided("license-unconfirmed", "name")
        return failing("license-not-accepted")

    def _use_refused(self) -> Ruling | None:
        """The ruling that the license forbids the use, or that nobody knows; None where it does not
        forbid the use.
        """
        if not self.workload.commercial:
            return None
        if self.license.commercial_use is None:
            return undecided("license-not-known")
        if self.license.commercial_use != "no":
            return None
        if self._use_is_guess:
            return undecided("license-unconfirmed")
        return failing("license-forbids")


def is_partly_open(finding: Finding) -> bool:
    """Whether the finding says that the model is not known to be wholly as open as the user
    asked.
    """
    return finding.check == "openness" and finding.outcome is not Outcome.PASS


def _openness_check(spec: ModelSpec, workload: Workload) -> Finding:
    """The worst finding of the requested openness checks, with the reasons of all."""
    from ...catalogue import openness

    findings = []
    if workload.modify:
        row = openness.permission(spec, "modification")
        findings.append(_openness_finding(row, "modification", "license", "--modify"))
    if workload.auditable:
        row = openness.auditable(spec)
        findings.append(_openness_finding(row, "audit", "openness", "--auditable"))
    worst = max(findings, key=lambda found: found.severity)
    reasons = " ".join(found.reason for found in findings)
    return worst.in_words(reasons, worst.remedy).replace(
        needs=", ".join(str(found.needs) for found in findings),
        has="; ".join(str(found.has) for found in findings),
    )


def _openness_finding(
    answer: OpennessRow,
    purpose: str,
    stated_in: str,
    option: str,
) -> Finding:
    """The finding of one openness question. `stated_in` is the spec table with the answer, `option`
    the option that lists models.
    """
    rulings = _ASSUMED_OPENNESS if answer.assumed else _OPENNESS
    parts = answer.parts or (answer,)
    return finding(
        rulings[answer.answer],
        needs=purpose,
        has=", ".join(f"{part.name} {part.answer}" for part in parts),
        purpose=purpose.capitalize(),
        why=answer.why,
        guess=answer.assumed,
        stated_in=stated_in,
        option=option,
    )


# ------------------------------------------------------------------ the weights


def weights_check(question: Question) -> Finding:
    """Return the finding whether the weights can be had at all, and whether loading them runs
    code.
    """
    spec = question.spec
    has_code = runs_code(question)
    return finding(
        _weights_ruling(question, runs_code=has_code),
        needs="published",
        has=spec.openness.weights,
        code=has_code,
    )


def runs_code(question: Question) -> bool | None:
    """Return whether loading the wanted files runs code of their repository; None where that is not
    known.
    """
    if question.workload.format in _WITHOUT_CODE:
        return False
    return question.spec.safety.remote_code


def _weights_ruling(question: Question, *, runs_code: bool | None) -> Ruling:
    """The ruling on where the weights are. Weights that cannot be had come first, the demands of a
    download last.
    """
    spec = question.spec
    if spec.openness.weights == "closed":
        return _closed_weights(spec)
    if question.loads_named_files:
        return passing("weights-here", path=None)
    if question.here is not None and question.here.missing_files:
        return _partly_here(question.here)
    if not _can_be_had(question):
        is_stated = spec.origin.endswith(".toml")
        origin = spec.origin if is_stated else "a spec of your own"
        return undecided("weights-not-known", spec=origin)
    here = _complete_copy(question)
    if runs_code or _is_pickle(question):
        return warning("weights-unsafe")
    if here is not None:
        return passing("weights-here", path=here.path)
    return _download_ruling(question)


def _complete_copy(question: Question) -> DownloadedFiles | None:
    """The files on the machine; None where some of them are missing."""
    here = question.here
    if here is None:
        return None
    return here if here.missing_bytes == 0 else None


def _closed_weights(spec: ModelSpec) -> Ruling:
    """The ruling that nobody can have the weights, with the places where the model is offered."""
    available: str | None = None
    if spec.availability is not None:
        available = " ".join(spec.availability.sentences)
    return failing("weights-closed", available=available)


def _partly_here(here: DownloadedFiles) -> Ruling:
    names = here.missing_files[:_NAMED_FILES]
    others = len(here.missing_files) - len(names)
    return undecided(
        "weights-not-known", "in-part", path=here.path, files=names, more=others
    )


def _can_be_had(question: Question) -> bool:
    """Whether the files, or their needs, are known. The spec need not state open weights then."""
    spec = question.spec
    if spec.openness.weights != "unknown":
        return True
    if question.missing_bytes == 0:
        return True
    if spec.files or spec.lone_config:
        return True
    return spec.states_needs_only


def _is_pickle(question: Question) -> bool:
    """Whether the model is published as pickle files only, which run code when they are read."""
    if question.workload.format in _NEVER_PICKLE:
        return False
    return question.spec.safety.formats == ("pickle",)


def _download_ruling(question: Question) -> Ruling:
    """The ruling on the demands of a download: a login, or that the user already has the
    weights.
    """
    spec = question.spec
    if spec.lone_config:
        return warning("weights-yours")
    if spec.gated:
        row = question.type_row
        kept_by = None if row is None else row.holder
        if kept_by is None:
            return warning("weights-gated", remedy=gate_remedy(spec))
        return passing("weights-published", repository=kept_by, gate_unknown=False)
    if spec.openness.weights == "partial":
        return warning("weights-partial")
    if spec.openness.weights == "unknown":
        needs_only = spec.states_needs_only
        if needs_only or not spec.has_repository:
            return passing("weights-stated", needs_alone=needs_only)
    gate_unknown = spec.gated is None
    return passing("weights-published", repository=None, gate_unknown=gate_unknown)


def gate_remedy(spec: ModelSpec) -> str:
    """The remedy before a gated download: accept the publisher's terms, and log in where the model
    has a page.
    """
    page = f"https://huggingface.co/{spec.repository}" if spec.repository else None
    return phrase("pass-gate", page=page)


# ------------------------------------------------------------------ the context


def _context_checks(question: Question) -> Iterator[Finding]:
    """Yield the finding whether the model was trained for the context; nothing where neither tokens
    nor seconds make sense.
    """
    wanted = question.workload.context_tokens
    if wanted is None:
        yield from _recording_checks(question.spec, question.workload.audio_seconds)
        return
    trained: int | None = None
    scaled: int | None = None
    if question.spec.architecture is not None:
        trained = question.spec.architecture.context_tokens
        scaled = question.spec.architecture.scaled_context_tokens
    if trained and question.row.rewrites:
        # an encoder with a decoder: the context counts the tokens read and written together
        most = 2 * trained
        ruling = _context_of_both(question, wanted, most)
    else:
        most = max(trained or 0, scaled or 0)
        ruling = _context_ruling(question, wanted, trained or 0, most)
    has: int | None = None
    short: int | None = None
    if most:
        has = most
        short = max(0, wanted - most)
    yield finding(
        ruling,
        needs=wanted,
        has=has,
        short=short,
        unit="tokens",
        each=trained,
        trained=trained,
        scaled=scaled,
        purpose=question.stated.purpose,
    )


def _context_ruling(
    question: Question,
    wanted: int,
    trained: int,
    most: int,
) -> Ruling:
    """The ruling on tokens that are read and written in one context.

    `trained` is the trained context. `most` is the longest context with scaling; 0 where it is not
    known.
    """
    if not most:
        if question.context_asked:
            return undecided("context-not-known")
        return passing("context-trained", "default")
    if wanted <= trained:
        return passing("context-trained")
    if wanted <= most:
        return warning("context-scaled")
    return failing("context-too-long", _variant_of_long_context(question, most))


def _variant_of_long_context(question: Question, most: int) -> str:
    """The variant of the finding of a too long context, by the remedy that helps.

    "prompt" or "purpose" where the prompt leaves no room, as the user or the purpose states it; ""
    where only the context is too long.
    """
    prompt_tokens = question.workload.prompt_tokens
    if prompt_tokens is None or prompt_tokens < most:
        return ""
    for field in ("prompt_tokens", "context_tokens"):
        if question.stated.states(field):
            return "prompt"
    return "purpose"


def _context_of_both(
    question: Question,
    wanted: int,
    most: int,
) -> Ruling:
    """The ruling on an encoder with a decoder, each with a context of its own. `most` is the sum of
    both contexts.
    """
    if wanted <= most:
        return passing("context-trained", "both")
    # no bound: T5 uses distances between positions, and M2M-100 extends its table of positions
    if question.row.relative_positions or question.row.sines:
        return warning("context-untrained", short=0)
    return failing("context-too-long", "both")


def _recording_checks(spec: ModelSpec, seconds: int | None) -> Iterator[Finding]:
    """Yield the finding that the model takes no recording of the given length, or that its memory
    was not measured for that length; nothing where nothing speaks against it.
    """
    stated = spec.needs
    if seconds is None or stated is None:
        return
    longest = stated.longest_seconds
    heard = stated.heard_seconds or HEARD_SECONDS
    if longest is not None and seconds > longest:
        ruling = failing("context-recording-too-long", short=seconds - longest)
        yield finding(ruling, needs=seconds, has=longest, unit="seconds")
    elif stated.second_bytes or stated.squared_second_bytes:
        # the memory for a longer recording is known
        return
    elif spec.architecture is not None:
        return
    elif seconds > heard:
        ruling = warning("context-unmeasured", short=0)
        yield finding(ruling, needs=seconds, has=heard, unit="seconds")
