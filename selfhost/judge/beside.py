"""The draft model that was named beside a model."""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core.workload import Workload
from .refused import fault, that_load


def companions_of(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload, catalogue: Catalogue
) -> need.Companions:
    """The model's own prediction block, or the draft model that was named. `WorkloadError` for what
    that runtime or that model cannot take.
    """
    if runtime is None:
        raise fault("draft", "no-runtime", model=spec.name)
    typed = workload.draft or ""
    is_own = typed == need.OWN_BLOCK
    kind = "mtp" if is_own else "draft"
    if kind not in runtime.companions:
        others = that_load(spec, catalogue, lambda other: kind in other.companions)
        raise fault("draft", "draft-program", program=runtime.name, own=is_own, others=others)
    _refuse_without_text(spec)
    if is_own:
        why = need.why_no_own_block(spec, catalogue.common("architectures"))
        if why is not None:
            raise fault("draft", "draft-own-block", model=spec.name, why=why)
        return need.Companions(own_block=True)
    draft, quantization, is_here = _named_draft(typed, catalogue)
    _refuse_without_text(draft)
    why = "its weights are not published" if draft.closed else need.why_not_loaded(draft, runtime)
    if why is not None:
        raise fault("draft", "draft-not-loaded", draft=draft.name, why=why)
    apart = need.vocabularies_differ(spec, draft)
    if apart is not None:
        names = {"draft": draft.name, "model": spec.name}
        raise fault("draft", "draft-vocabulary", **names, own=apart[1], other=apart[0])
    quantization = quantization or need.default_format_and_quantization(draft, runtime)[1]
    if (draft.id, draft.origin, quantization) == (spec.id, spec.origin, workload.quantization):
        raise fault("draft", "draft-itself", draft=draft.name, quantization=quantization)
    drafting, checking = draft.parameters.total, spec.parameters.total
    # the same model in fewer bits, and what is of unknown size, may draft
    if drafting is not None and checking is not None and drafting > checking:
        names = {"draft": draft.name, "model": spec.name}
        raise fault("draft", "draft-larger", **names, drafting=drafting, checking=checking)
    return need.Companions(draft=draft, draft_quantization=quantization, draft_is_here=is_here)


def _named_draft(typed: str, catalogue: Catalogue) -> tuple[ModelSpec, str | None, bool]:
    """The model, its quantization where that is said, and whether its files are here."""
    from ..catalogue.pasted import is_path
    from ..catalogue.searching import resolve

    if not is_path(typed):
        named = resolve(typed, catalogue)
        return catalogue.spec(named.spec_id), named.quantization, False
    from ..modelfiles import read_local

    local = read_local(typed, catalogue.common("architectures"))
    return local.spec, local.quantization, local.files_here


def _refuse_without_text(model: ModelSpec) -> None:
    if model.modality not in GENERATING:
        raise fault("draft", "draft-no-text", model=model.name)
