"""The draft of speculative decoding: the model, or the block of the model, that proposes the next
tokens.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import Resolution, is_path
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.errors import UnknownModelError
from ..core.units import canonical
from .checks import fault
from .programs import programs_that


def _names_own_draft(spec: ModelSpec, typed: str) -> bool:
    """Whether the typed name means the draft that the model's publisher made for the model.

    The draft has the name of its repository, with or without the owner, or of its GGUF file, as
    `mtp-gemma-4-31B-it-Q8_0.gguf`.
    """
    if spec.draft is None or is_path(typed):
        return False
    name = canonical(_without_owner(typed))
    draft = canonical(spec.draft.name)
    model = _without_owner(spec.repository or spec.id)
    file = canonical(f"mtp-{model}")
    return name == draft or name.startswith((f"{draft}-", f"{draft}:", file))


def _without_owner(repository: str) -> str:
    return repository.rpartition("/")[2]


def companions_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    quantization: str | None,
    typed: str | None,
    catalogue: Catalogue,
) -> need.Companions | None:
    """Return the model's own prediction block, or the draft model that the user named with `typed`;
    None without a draft.

    Raises `WorkloadError` where the runtime has no such drafts, or the draft does not suit the
    model in the given quantization.
    """
    if not typed or runtime is None:
        return None
    is_own = typed == need.OWN_BLOCK or _names_own_draft(spec, typed)
    kind = "mtp" if is_own else "draft"
    if kind not in runtime.companions:
        others = programs_that(lambda at: kind in at.companions, spec, catalogue)
        raise fault(
            "draft", "draft-program", program=runtime.name, own=is_own, others=others
        )
    if not spec.writes_text:
        raise fault("draft", "draft-no-text", model=spec.name)
    if is_own:
        why = need.why_no_own_block(spec)
        if why is not None:
            raise fault("draft", "draft-own-block", model=spec.name, why=why)
        return need.Companions(own_block=True)
    named = _named_draft(typed, runtime, catalogue)
    _refuse_unsuited(named, spec, runtime, quantization)
    return named


def _named_draft(
    typed: str,
    runtime: RuntimeSpec,
    catalogue: Catalogue,
) -> need.Companions:
    """The draft of the typed name or file, in the runtime's usual type where the user named
    none.
    """
    if is_path(typed):
        from ..modelfiles import read_local

        local = read_local(typed)
        spec = local.spec
        quantization = local.quantization
        is_here = local.files_here
    else:
        named = _draft_called(typed, catalogue)
        spec = catalogue.spec(named.spec_id)
        quantization = named.quantization
        is_here = False
    if not quantization:
        _, quantization = need.default_format_and_quantization(spec, runtime)
    return need.Companions(
        draft=spec, draft_quantization=quantization or "", draft_is_here=is_here
    )


def _draft_called(typed: str, catalogue: Catalogue) -> Resolution:
    """The model of that name. Raises `WorkloadError` for an unknown name: the draft is at fault,
    and not the model.
    """
    from ..catalogue.searching import resolve

    try:
        return resolve(typed, catalogue)
    except UnknownModelError as error:
        guess = error.nearest[0] if error.nearest else None
        raise fault("draft", "draft-unknown", why=error.message, guess=guess) from None


def _refuse_unsuited(
    named: need.Companions,
    spec: ModelSpec,
    runtime: RuntimeSpec,
    quantization: str | None,
) -> None:
    """Raise `WorkloadError` where the draft cannot write ahead for the model."""
    drafting = named.draft
    assert drafting is not None
    if not drafting.writes_text:
        raise fault("draft", "draft-no-text", model=drafting.name)
    why = need.why_not_loaded(drafting, runtime)
    if drafting.closed:
        why = "its weights are not published"
    if why is not None:
        raise fault("draft", "draft-not-loaded", draft=drafting.name, why=why)
    names = {"draft": drafting.name, "model": spec.name}
    apart = need.vocabularies_differ(spec, drafting)
    if apart is not None:
        model_tokens, draft_tokens = apart
        raise fault(
            "draft",
            "draft-vocabulary",
            **names,
            own=draft_tokens,
            other=model_tokens,
        )
    is_itself = (drafting.id, drafting.origin) == (spec.id, spec.origin)
    if is_itself and named.draft_quantization == quantization:
        raise fault(
            "draft", "draft-itself", draft=drafting.name, quantization=quantization
        )
    size = drafting.parameters.total
    most = spec.parameters.total
    # the same model in a smaller quantization, and a model of unknown size, may draft
    if size is not None and most is not None and size > most:
        raise fault("draft", "draft-larger", **names, drafting=size, checking=most)
