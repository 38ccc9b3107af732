"""May the model be used as was asked?"""

from __future__ import annotations

from ...catalogue.spec import ModelSpec
from ...core.workload import Workload
from .record import Finding, Outcome, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def license_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """May it be used as asked? None where nothing was asked and nothing is conditional.

    As with openness: of what no source confirms a yes is a `warn` and a no is `unknown`.
    """
    conditional = spec.license is not None and spec.license.commercial_use == "conditional"
    if not workload.commercial and not workload.license and not conditional:
        return None
    if spec.closed:
        if workload.license:
            return _finding(spec, workload, Outcome.FAIL, "license-not-accepted", "closed")
        return _finding(spec, workload, Outcome.WARN, "license-conditional", "closed")
    # which license it is, and what it allows, take a source each
    name_is_guess, use_is_guess = False, False
    if workload.commercial or workload.license:
        name_is_guess, use_is_guess = license_guessed(spec)
    return _not_accepted(spec, workload, name_is_guess=name_is_guess) or _of_use(
        spec, workload, name_is_guess=name_is_guess, use_is_guess=use_is_guess
    )


def license_guessed(spec: ModelSpec) -> tuple[bool, bool]:
    """Whether only general knowledge says which license it is, and whether only that says what
    it allows in commerce.
    """
    from ...catalogue import openness

    return (
        openness.unconfirmed(spec.sources.get("license")),
        openness.permission(spec, "commercial use").assumed,
    )


def _not_accepted(spec: ModelSpec, workload: Workload, *, name_is_guess: bool) -> Finding | None:
    """That the license is none of those that were asked for, or not known to be; None where it is
    one, or none was asked for.
    """
    name, accepted = _name(spec), workload.license
    if not accepted:
        return None
    if name is None:
        return _finding(spec, workload, Outcome.UNKNOWN, "license-not-known", "name")
    from ...catalogue.licenses import satisfies

    if satisfies(name, accepted):
        return None
    if name_is_guess:
        return _finding(spec, workload, Outcome.UNKNOWN, "license-unconfirmed", "name", guess=True)
    return _finding(spec, workload, Outcome.FAIL, "license-not-accepted")


def _of_use(
    spec: ModelSpec, workload: Workload, *, name_is_guess: bool, use_is_guess: bool
) -> Finding:
    """What the license allows in commerce."""
    commercial_use = spec.license.commercial_use if spec.license else None
    guess = workload.commercial and use_is_guess
    if workload.commercial and commercial_use is None:
        return _finding(spec, workload, Outcome.UNKNOWN, "license-not-known")
    if workload.commercial and commercial_use == "no":
        if guess:
            return _finding(spec, workload, Outcome.UNKNOWN, "license-unconfirmed", guess=True)
        return _finding(spec, workload, Outcome.FAIL, "license-forbids")
    if spec.license is not None and commercial_use == "conditional":
        terms = "; ".join(spec.license.conditions) or "conditions that the spec does not list"
        return _finding(
            spec, workload, Outcome.WARN, "license-conditional", guess=guess, terms=terms
        )
    if guess or (workload.license and name_is_guess):
        return _finding(spec, workload, Outcome.WARN, "license-assumed", guess=True)
    return _finding(spec, workload, Outcome.PASS, "license-allows")


def _name(spec: ModelSpec) -> str | None:
    return spec.license.id if spec.license and spec.license.id else None


def _finding(
    spec: ModelSpec,
    workload: Workload,
    outcome: Outcome,
    code: str,
    variant: str = "",
    **figures: Any,
) -> Finding:
    wanted = ["commercial use"] if workload.commercial else []
    if workload.license:
        wanted.append(workload.license)
    return finding(
        outcome,
        code,
        variant,
        needs=", ".join(wanted) or None,
        has=_name(spec),
        name=_name(spec) or "no license known",
        accepted=workload.license,
        commercial_alone=workload.commercial and not workload.license,
        commercial_too=workload.commercial and bool(workload.license),
        url=spec.license.url if spec.license else None,
        **figures,
    )
