"""What the model is: its weights, its openness, what its license allows, how much it reads.

None of these checks looks at the machine, except for files of the model that lie on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...catalogue.spec import HEARD_SECONDS, License, ModelSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.records import Record
from ...core.workload import Workload
from ..files import states_needs_alone, who_else_has_the_files
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

# by the answer of a source
_OPENNESS = {
    "yes": passing("openness-open"),
    "partly": warning("openness-partly"),
    "unknown": undecided("openness-not-known"),
    "no": failing("openness-closed"),
}
# by an answer that no source confirms
_ASSUMED_OPENNESS = {
    "yes": warning("openness-assumed"),
    "partly": warning("openness-partly"),
    "unknown": undecided("openness-not-known"),
    "no": undecided("openness-not-known"),
}
# rulings that rest on an unconfirmed source
_GUESSED_TERMS = ("license-unconfirmed", "license-assumed")
# file names that a reason lists; the others are counted
_NAMED_FILES = 5
# files of these formats hold no code, and need none of the repository
_WITHOUT_CODE = ("gguf", "ggml")
_NEVER_PICKLE = (*_WITHOUT_CODE, "mlx")
# uses whose work is a picture, not a text: the words beside it are a caption
_PICTURE_USES = ("image-encoder", "image-text-matching")


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
    """The license of a model, and what was asked of it."""

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
        """Is the license accepted, and does it allow the use?"""
        license = self.license
        accepted = self.workload.license
        ruling = self._ruling()
        wanted = []
        commercial_alone = False
        commercial_too = False
        if self.workload.commercial:
            wanted.append("commercial use")
            commercial_alone = accepted is None
            commercial_too = accepted is not None
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
            commercial_alone=commercial_alone,
            commercial_too=commercial_too,
            url=license.url,
            guess=self._is_guess(ruling),
            terms=terms,
        )

    def _is_guess(self, ruling: Ruling) -> bool:
        """Whether no source confirms what that rests on."""
        return ruling.code in _GUESSED_TERMS or self._use_is_guess

    @property
    def _use_is_guess(self) -> bool:
        """Whether no source confirms what the license says of a use that was asked for.

        One source tells which license it is, another what it allows.
        """
        from ...catalogue import openness

        if not self.workload.commercial:
            return False
        return openness.permission(self.spec, "commercial use").assumed

    @property
    def _name_is_guess(self) -> bool:
        """Whether no source confirms which license it is, where some are accepted alone."""
        from ...catalogue import openness

        if not self.workload.license:
            return False
        return openness.unconfirmed(self.spec.sources.get("license"))

    def _ruling(self) -> Ruling:
        """Whether its name is accepted, then whether it allows the use."""
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
        """That it is none of those accepted, or that nobody knows; None where it is one."""
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
        """That it forbids the use, or that nobody knows; None where it does not."""
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
    """Whether it says that a model is not known to be as open as was asked, whole."""
    return finding.check == "openness" and finding.outcome is not Outcome.PASS


def _openness_check(spec: ModelSpec, workload: Workload) -> Finding:
    """The worst of the answers that were asked for, with the reasons of all."""
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
    """`stated_in` is the table of a spec with the answer, `option` the one that lists models."""
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
    """Can the weights be had at all, and does loading them run code?"""
    spec = question.spec
    has_code = runs_code(question)
    return finding(
        _weights_ruling(question, runs_code=has_code),
        needs="published",
        has=spec.openness.weights,
        code=has_code,
    )


def runs_code(question: Question) -> bool | None:
    """Whether loading the files that are meant runs code of their repository; None where that is
    not known.
    """
    if question.workload.format in _WITHOUT_CODE:
        return False
    return question.spec.safety.remote_code


def _weights_ruling(question: Question, *, runs_code: bool | None) -> Ruling:
    """Where the weights are; first that they cannot be had, last what a download asks for."""
    spec = question.spec
    if spec.openness.weights == "closed":
        return _closed_weights(spec)
    if question.local_files:
        return passing("weights-here", path=None)
    if question.here is not None and question.here.missing_files:
        return _partly_here(question.here)
    if not _can_be_had(question):
        is_stated = spec.origin.endswith(".toml")
        origin = spec.origin if is_stated else "a spec of your own"
        return undecided("weights-not-known", spec=origin)
    here = _complete_copy(question)
    if runs_code or _is_pickle(question):
        return warning("weights-unsafe", where=_where(spec, here))
    if here is not None:
        return passing("weights-here", path=here.path)
    return _download_ruling(question)


def _complete_copy(question: Question) -> DownloadedFiles | None:
    """The files that lie on the machine; None where some of them are missing."""
    here = question.here
    if here is None:
        return None
    return here if here.missing_bytes == 0 else None


def _closed_weights(spec: ModelSpec) -> Ruling:
    """That nobody can have them, with where the model is offered."""
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
    """Whether the files, or what they need, are known; the spec need not say "open" then."""
    spec = question.spec
    if spec.openness.weights != "unknown":
        return True
    if question.missing_bytes == 0:
        return True
    if spec.files or spec.lone_config:
        return True
    return states_needs_alone(spec)


def _is_pickle(question: Question) -> bool:
    """Whether it is published as pickle alone, which runs code when it is read."""
    if question.workload.format in _NEVER_PICKLE:
        return False
    return question.spec.safety.formats == ("pickle",)


def _where(spec: ModelSpec, here: DownloadedFiles | None) -> str:
    if here is not None:
        return "here"
    return "yours to get" if spec.lone_config else "published"


def _download_ruling(question: Question) -> Ruling:
    """What a download asks for: a login, or that one finds the weights oneself."""
    spec = question.spec
    if spec.lone_config:
        return warning("weights-yours")
    if spec.gated:
        kept_by = who_else_has_the_files(spec, question.runtime, question.workload)
        if kept_by is None:
            return warning("weights-gated", remedy=gate_remedy(spec))
        return passing("weights-published", repository=kept_by, gate_unknown=False)
    if spec.openness.weights == "partial":
        return warning("weights-partial")
    if spec.openness.weights == "unknown":
        needs_alone = states_needs_alone(spec)
        if needs_alone or not _has_repository(spec):
            return passing("weights-stated", needs_alone=needs_alone)
    gate_unknown = spec.gated is None
    return passing("weights-published", repository=None, gate_unknown=gate_unknown)


def _has_repository(spec: ModelSpec) -> bool:
    """Whether a repository is known that has files of the model."""
    if spec.repository:
        return True
    return any(files.repository for files in spec.files)


def gate_remedy(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    page = f"https://huggingface.co/{spec.repository}" if spec.repository else None
    return phrase("pass-gate", page=page)


# ------------------------------------------------------------------ the context


def reads_context(spec: ModelSpec) -> bool:
    """Whether a context is asked of such a model: of texts, and of a text on a recording."""
    if spec.modality == "speech":
        # beside a recording a text is a prompt; what speaks only reads it aloud
        if spec.main_use == "speech-synthesis":
            return False
        return {"audio", "text"}.issubset(spec.inputs or ())
    if spec.modality == "embedding":
        return spec.main_use not in _PICTURE_USES
    return spec.modality in GENERATING


def context_check(question: Question) -> Finding | None:
    """Was it trained for that much? None where neither tokens nor seconds make sense."""
    wanted = question.workload.context_tokens
    if wanted is None:
        return _recording_check(question.spec, question.workload.audio_seconds)
    trained: int | None = None
    scaled: int | None = None
    if question.spec.architecture is not None:
        trained = question.spec.architecture.context_tokens
        scaled = question.spec.architecture.scaled_context_tokens
    if trained and question.row.rewrites:
        # an encoder with a decoder: the context is what is read and written together
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
    return finding(
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
    """Of tokens that are read and written in one context, `most` if scaled; 0: not known."""
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
    """Which remedy helps: the prompt leaves no room, as its purpose states it or somebody else, or
    only the context is too long.
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
    """Of an encoder with a decoder, each with a context of its own, `most` together."""
    if wanted <= most:
        return passing("context-trained", "both")
    # T5, where distances count, and M2M-100, which makes its table of positions longer, set no
    # bound, so nothing is short
    if question.row.relative_positions or question.row.sines:
        return warning("context-untrained", short=0)
    return failing("context-too-long", "both")


def _recording_check(spec: ModelSpec, seconds: int | None) -> Finding | None:
    """Does the model take a recording of that length, and was its memory measured so far?"""
    stated = spec.needs
    if seconds is None or stated is None:
        return None
    longest = stated.longest_seconds
    if longest is not None and seconds > longest:
        ruling = failing("context-recording-too-long", short=seconds - longest)
        return finding(ruling, needs=seconds, has=longest, unit="seconds")
    if stated.second_bytes or stated.squared_second_bytes:
        # what a longer one takes is known
        return None
    if spec.architecture is not None:
        return None
    heard = stated.heard_seconds or HEARD_SECONDS
    if seconds <= heard:
        return None
    ruling = warning("context-unmeasured", short=0)
    return finding(ruling, needs=seconds, has=heard, unit="seconds")
