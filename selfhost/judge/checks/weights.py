"""Can the weights be had at all, and does loading them run code?"""

from __future__ import annotations

from ...catalogue.spec import ModelSpec
from ..present import Here
from .record import Finding, Outcome, finding
from .words import phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # outcome, code, variant and figures of a finding
    Availability = tuple[Outcome, str, str, dict[str, Any]]

# file names that a reason lists; the others are counted
_NAMED_FILES = 5
# these hold no code, and call for none of the repository
_WITHOUT_CODE = ("gguf", "ggml")
_NEVER_PICKLE = (*_WITHOUT_CODE, "mlx")


def weights_check(
    spec: ModelSpec,
    *,
    format: str | None = None,
    quantization: str | None = None,
    local_files: bool = False,
    here: Here | None = None,
    kept_by: str | None = None,
) -> Finding:
    """Can the weights be had at all, and does loading them run code?

    `format` and `quantization` are the files' that would be loaded, where one was chosen: files
    that somebody else published are not behind the publisher's gate. `local_files`: the model was
    read from files on this machine; `here`: its files lie there. `kept_by`: who else has them,
    where that is known already.
    """
    outcome, code, variant, figures = (
        _here(spec, format, local_files=local_files, here=here)
        or _unsafe(spec, format, is_here=False)
        or _published(spec, kept_by or kept_elsewhere(spec, format, quantization))
    )
    return finding(outcome, code, variant, needs="published", has=spec.openness.weights, **figures)


def _here(
    spec: ModelSpec, format: str | None, *, local_files: bool, here: Here | None
) -> Availability | None:
    """Of weights that nobody can get, or that lie here; None of those to be downloaded."""
    if spec.openness.weights == "closed":
        available = " ".join(spec.availability.sentences) if spec.availability else None
        return Outcome.FAIL, "weights-closed", "", {"available": available}
    if local_files:
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
        unsafe = _unsafe(spec, format, is_here=True)
        return unsafe or (Outcome.PASS, "weights-here", "", {"path": here.path})
    is_stated = spec.files or _states_needs_alone(spec) or spec.is_lone_config
    if spec.openness.weights == "unknown" and not is_stated:
        own = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
        return Outcome.UNKNOWN, "weights-not-known", "", {"spec": own}
    return None


def _unsafe(spec: ModelSpec, format: str | None, *, is_here: bool) -> Availability | None:
    """That loading the weights may run code; None where it runs none."""
    runs_code = spec.safety.remote_code and format not in _WITHOUT_CODE
    is_pickle = spec.safety.formats == ("pickle",) and format not in _NEVER_PICKLE
    if not runs_code and not is_pickle:
        return None
    where = "yours to get" if spec.is_lone_config else "published"
    where = "here" if is_here else where
    return Outcome.WARN, "weights-unsafe", "", {"where": where, "code": runs_code}


def _states_needs_alone(spec: ModelSpec) -> bool:
    return spec.needs is not None and spec.architecture is None


def kept_elsewhere(spec: ModelSpec, format: str | None, quantization: str | None) -> str | None:
    """The repository of the files that would be loaded, where somebody else than the publisher
    keeps them; None where they are the publisher's, or not known.
    """
    repository = spec.repository_of(format or "", quantization or "")
    if (
        repository is None
        or repository.partition("/")[0] == (spec.repository or "").partition("/")[0]
    ):
        return None
    return repository


def _published(spec: ModelSpec, repository: str | None) -> Availability:
    """What stands before the download. `repository` is another's than the publisher's that has
    the files.
    """
    if spec.is_lone_config:
        return Outcome.WARN, "weights-yours", "", {}
    if spec.gated and repository is None:
        return Outcome.WARN, "weights-gated", "", {"page": _page(spec)}
    if spec.gated:
        figures = {"repository": repository, "gate_unknown": False}
        return Outcome.PASS, "weights-published", "", figures
    state, needs_alone = spec.openness.weights, _states_needs_alone(spec)
    if state == "partial":
        return Outcome.WARN, "weights-partial", "", {}
    has_repository = spec.repository or any(files.repository for files in spec.files)
    if state == "unknown" and (needs_alone or not has_repository):
        return Outcome.PASS, "weights-stated", "", {"needs_alone": needs_alone}
    figures = {"repository": None, "gate_unknown": spec.gated is not False}
    return Outcome.PASS, "weights-published", "", figures


def _page(spec: ModelSpec) -> str | None:
    return f"https://huggingface.co/{spec.repository}" if spec.repository else None


def to_pass_gate(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    return phrase("pass-gate", page=_page(spec))
