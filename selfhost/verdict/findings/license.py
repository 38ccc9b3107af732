"""May the model be used as was asked?"""

from __future__ import annotations

from ...catalogue.spec import ModelSpec
from ...core.workload import Workload
from .record import Finding, Outcome

_SETTLE_LICENSE = (
    "look it up on the publisher's page, then state it under [license] in a spec of your own, with"
    " the page under [sources]"
)
_CHOOSE_ANOTHER = "choose a model under a license you accept: `selfhost list`"
_DOUBT = " (general knowledge, not confirmed)"


def license_check(
    spec: ModelSpec, workload: Workload, guessed: tuple[bool, bool] | None = None
) -> Finding | None:
    """May it be used as asked? None where nothing was asked and nothing is conditional.

    As with openness: of what no source confirms a yes is a `warn` and a no is `unknown`. `guessed`
    is what `license_guessed` gives, where that is known already.
    """
    conditional = spec.license is not None and spec.license.commercial_use == "conditional"
    if not workload.commercial and not workload.license and not conditional:
        return None
    if spec.closed:
        return _of_closed(spec, workload)
    # which license it is, and what it allows, take a source each
    name_is_guess, use_is_guess = False, False
    if workload.commercial or workload.license:
        name_is_guess, use_is_guess = guessed or license_guessed(spec)
    if workload.license:
        refused = _not_among_accepted(spec, workload, workload.license, name_is_guess=name_is_guess)
        if refused is not None:
            return refused
    return _of_use(spec, workload, name_is_guess=name_is_guess, use_is_guess=use_is_guess)


def license_guessed(spec: ModelSpec) -> tuple[bool, bool]:
    """Whether only general knowledge says which license it is, and whether only that says what
    it allows in commerce.
    """
    from ...catalogue import openness

    return (
        openness.unconfirmed(spec.sources.get("license")),
        openness.permission(spec, "commercial use").assumed,
    )


def _of_closed(spec: ModelSpec, workload: Workload) -> Finding:
    if workload.license:
        reason = "The weights are not published, so they have no license that you could accept."
        return _finding(
            spec, workload, Outcome.FAIL, "license-not-accepted", reason, _CHOOSE_ANOTHER
        )
    reason = "The provider's terms of service decide: the weights are not published."
    remedy = "read the provider's terms"
    return _finding(spec, workload, Outcome.WARN, "license-conditional", reason, remedy)


def _not_among_accepted(
    spec: ModelSpec, workload: Workload, accepted: str, *, name_is_guess: bool
) -> Finding | None:
    """The license against the expression of those that were asked for; None where it is among
    them.
    """
    name = _name(spec)
    if name is None:
        reason = f"The license of the weights is not known. You accept {accepted}."
        return _finding(
            spec, workload, Outcome.UNKNOWN, "license-not-known", reason, _where_to_read(spec)
        )
    from ...catalogue.licenses import satisfies

    if satisfies(name, accepted):
        return None
    doubt = _DOUBT if name_is_guess else ""
    reason = f"The license is {name}{doubt}; you accept {accepted}."
    if name_is_guess:
        return _finding(
            spec, workload, Outcome.UNKNOWN, "license-unconfirmed", reason, _SETTLE_LICENSE
        )
    return _finding(spec, workload, Outcome.FAIL, "license-not-accepted", reason, _CHOOSE_ANOTHER)


def _of_use(
    spec: ModelSpec, workload: Workload, *, name_is_guess: bool, use_is_guess: bool
) -> Finding:
    """What the license allows in commerce."""
    label = _name(spec) or "no license known"
    doubt = _DOUBT if workload.commercial and use_is_guess else ""
    if workload.commercial:
        refused = _not_commercial(spec, workload, label, doubt)
        if refused is not None:
            return refused
    if spec.license is not None and spec.license.commercial_use == "conditional":
        terms = "; ".join(spec.license.conditions) or "conditions that the spec does not list"
        reason = f"{label} allows commercial use under conditions{doubt}: {terms}."
        remedy = _where_to_read(spec)
        return _finding(spec, workload, Outcome.WARN, "license-conditional", reason, remedy)
    clauses = ["you accept"] if workload.license else []
    if workload.commercial:
        clauses.append("allows commercial use")
    allowed = f"The license is {label}"
    if clauses:
        allowed += f", which {' and which '.join(clauses)}"
    if doubt or (workload.license and name_is_guess):
        reason = f"{allowed}{_DOUBT}."
        return _finding(spec, workload, Outcome.WARN, "license-assumed", reason, _SETTLE_LICENSE)
    return _finding(spec, workload, Outcome.PASS, "license-allows", f"{allowed}.")


def _not_commercial(spec: ModelSpec, workload: Workload, label: str, doubt: str) -> Finding | None:
    """That the license forbids commercial use, or that this is not known; None where it allows
    it.
    """
    commercial_use = spec.license.commercial_use if spec.license else None
    remedy = _where_to_read(spec)
    if commercial_use is None:
        reason = f"Whether {label} allows commercial use is not known."
        return _finding(spec, workload, Outcome.UNKNOWN, "license-not-known", reason, remedy)
    if commercial_use != "no":
        return None
    reason = f"{label} forbids commercial use{doubt}."
    if doubt:
        return _finding(
            spec, workload, Outcome.UNKNOWN, "license-unconfirmed", reason, _SETTLE_LICENSE
        )
    return _finding(spec, workload, Outcome.FAIL, "license-forbids", reason, remedy)


def _name(spec: ModelSpec) -> str | None:
    return spec.license.id if spec.license and spec.license.id else None


def _where_to_read(spec: ModelSpec) -> str:
    if spec.license and spec.license.url:
        return f"read it: {spec.license.url}"
    return "read the license before you rely on it"


def _finding(
    spec: ModelSpec,
    workload: Workload,
    outcome: Outcome,
    code: str,
    reason: str,
    remedy: str | None = None,
) -> Finding:
    wanted = ["commercial use"] if workload.commercial else []
    if workload.license:
        wanted.append(workload.license)
    return Finding(
        check="license",
        outcome=outcome,
        code=code,
        needs=", ".join(wanted) or None,
        has=_name(spec),
        reason=reason,
        remedy=remedy,
    )
