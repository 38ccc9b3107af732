"""Can the weights be had at all, and does loading them run code?"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.spec import ModelSpec
from ..present import Here
from .record import Finding, Outcome

# file names that a reason lists; the others are counted
_NAMED_FILES = 5


def weights_check(
    spec: ModelSpec,
    *,
    format: str | None = None,
    quantization: str | None = None,
    local_files: bool = False,
    here: Here | None = None,
    kept_by: tuple[str | None] | None = None,
) -> Finding:
    """Can the weights be had at all, and does loading them run code?

    `format` and `quantization` are the files' that would be loaded, where one was chosen: GGUF and
    GGML hold no code and call for none of the repository, MLX is never pickle, and files that
    somebody else published are not behind the publisher's gate. `local_files`: the model was read
    from files on this machine; `here`: its files lie there. `kept_by` holds what `kept_elsewhere`
    gives, where that is known already.
    """
    if spec.openness.weights == "closed":
        return _closed(spec)
    if local_files:
        return _finding(
            spec, Outcome.PASS, "weights-here", "The files are already on this machine."
        )
    whole = None
    if here is not None:
        if here.missing_files:
            return _in_part_here(spec, here)
        whole = here if here.missing_bytes == 0 else None
    if whole is None and _is_unheard_of(spec):
        return _not_known(spec)
    if (danger := _danger(spec, format)) is not None:
        state = "yours to get" if spec.is_lone_config else "published"
        return _finding(
            spec,
            Outcome.WARN,
            "weights-unsafe",
            f"The weights are {state if whole is None else 'here'}, but {danger}.",
            "load them only in a sandbox and from a publisher you trust",
        )
    if whole is not None:
        return _finding(
            spec, Outcome.PASS, "weights-here", f"The files are already there: {whole.path}."
        )
    (keeper,) = kept_by or (kept_elsewhere(spec, format, quantization),)
    return _published(spec, keeper)


def _is_unheard_of(spec: ModelSpec) -> bool:
    """Nothing says whether the weights can be had."""
    return (
        spec.openness.weights == "unknown"
        and not spec.files
        and not _states_needs_alone(spec)
        and not spec.is_lone_config
    )


def _closed(spec: ModelSpec) -> Finding:
    available = spec.availability
    reason = "The publisher does not release the weights."
    if available is not None:
        reason = " ".join(available.sentences)
    return _finding(spec, Outcome.FAIL, "weights-closed", reason)


def _in_part_here(spec: ModelSpec, here: Here) -> Finding:
    """Somebody has some of the files, and nobody knows where the others are."""
    names = ", ".join(here.missing_files[:_NAMED_FILES])
    if len(here.missing_files) > _NAMED_FILES:
        names += f" and {len(here.missing_files) - _NAMED_FILES} more"
    reason = (
        f"Part of the weights is missing in {here.path}: {names}. No source says where to download"
        " them."
    )
    return _finding(
        spec,
        Outcome.UNKNOWN,
        "weights-not-known",
        reason,
        f"put the missing files into {here.path}",
    )


def _not_known(spec: ModelSpec) -> Finding:
    stated_in = spec.origin if spec.origin.endswith(".toml") else "a spec of your own"
    return _finding(
        spec,
        Outcome.UNKNOWN,
        "weights-not-known",
        "Whether the weights were published is not known.",
        f"look it up on the publisher's page, then set openness.weights in {stated_in}",
    )


def _states_needs_alone(spec: ModelSpec) -> bool:
    return spec.needs is not None and spec.architecture is None


def _danger(spec: ModelSpec, format: str | None) -> str | None:
    """How loading the weights may run code; None where it runs none."""
    if spec.safety.remote_code and format not in ("gguf", "ggml"):
        return "loading them runs code from the repository"
    if spec.safety.formats == ("pickle",) and format not in ("gguf", "ggml", "mlx"):
        return "they come only as pickle files, which can run code"
    return None


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


def _published(spec: ModelSpec, repository: str | None) -> Finding:
    """Of weights that are not here: what stands before the download. `repository` is another's
    than the publisher's that has the files.
    """
    state = spec.openness.weights
    if spec.is_lone_config:
        return _finding(
            spec,
            Outcome.WARN,
            "weights-yours",
            "Only a config.json was given: you must have or get the weights yourself.",
            "name the folder that holds the weights, or the model",
        )
    if spec.gated and repository is not None:
        reason = f"The weights are published; {repository} has them without a login."
        return _finding(spec, Outcome.PASS, "weights-published", reason)
    if spec.gated:
        reason = "The download needs a login or an accepted form."
        return _finding(spec, Outcome.WARN, "weights-gated", reason, to_pass_gate(spec))
    if state == "partial":
        return _finding(
            spec,
            Outcome.WARN,
            "weights-partial",
            "Only part of the weights is published.",
            "check that the part you need is there",
        )
    if state == "unknown" and _states_needs_alone(spec):
        return _finding(
            spec,
            Outcome.PASS,
            "weights-stated",
            "The spec states the model's needs, but not where to get the weights.",
        )
    if state == "unknown" and not (
        spec.repository or any(files.repository for files in spec.files)
    ):
        return _finding(
            spec,
            Outcome.PASS,
            "weights-stated",
            "The spec states the size of the weights, but not where to get them.",
        )
    gate = "" if spec.gated is False else " Whether a login is needed is not known."
    return _finding(spec, Outcome.PASS, "weights-published", f"The weights are published.{gate}")


def to_pass_gate(spec: ModelSpec) -> str:
    """What to do before a gated download."""
    if not spec.repository:
        return "accept the publisher's terms first"
    page = f"https://huggingface.co/{spec.repository}"
    return f"accept the terms at {page}, then run `hf auth login`"


def _finding(
    spec: ModelSpec, outcome: Outcome, code: str, reason: str, remedy: str | None = None
) -> Finding:
    return _shared_finding(outcome, code, spec.openness.weights, reason, remedy)


# most models have the same finding
@lru_cache(maxsize=256)
def _shared_finding(
    outcome: Outcome, code: str, state: str, reason: str, remedy: str | None
) -> Finding:
    return Finding(
        check="weights",
        outcome=outcome,
        code=code,
        needs="published",
        has=state,
        reason=reason,
        remedy=remedy,
    )
