"""The draft model and the adapter that were named beside a model."""

from __future__ import annotations

from collections.abc import Mapping

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core.workload import Workload
from ..needs.records import SizedWeights
from .refused import fault, that_load

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# of an adapter, where the model's width is not known
_MAX_RANK = 65_536
_RANK_DIGITS = 6


def companions_of(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload, catalogue: Catalogue
) -> need.Companions:
    """The draft model and the adapter that were named. `WorkloadError` for what that runtime or
    that model cannot take.
    """
    if runtime is None:
        option = "draft" if workload.draft else "adapter"
        raise fault(option, "no-runtime", model=spec.name)
    companions = need.Companions()
    if workload.draft:
        companions = _draft(spec, runtime, workload.draft, workload.quantization, catalogue)
    if workload.adapter:
        companions = companions.replace(**_adapter(spec, runtime, workload.adapter, catalogue))
    return companions


def _draft(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    typed: str,
    in_quantization: str | None,
    catalogue: Catalogue,
) -> need.Companions:
    """The model's own prediction block, or the model that was named."""
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
    if (draft.id, draft.origin, quantization) == (spec.id, spec.origin, in_quantization):
        raise fault("draft", "draft-itself", draft=draft.name, quantization=quantization)
    drafting, checking = draft.parameters.total, spec.parameters.total
    # the same model in fewer bits, and what is of unknown size, may draft
    if drafting is not None and checking is not None and drafting > checking:
        names = {"draft": draft.name, "model": spec.name}
        raise fault("draft", "draft-larger", **names, drafting=drafting, checking=checking)
    return need.Companions(draft=draft, draft_quantization=quantization, draft_is_here=is_here)


def _named_draft(typed: str, catalogue: Catalogue) -> tuple[ModelSpec, str | None, bool]:
    """The model, its quantization where that is said, and whether its files are here."""
    from ..catalogue.names import resolve
    from ..catalogue.pasted import is_path

    if not is_path(typed):
        named = resolve(typed, catalogue)
        return catalogue.spec(named.spec_id), named.quantization, False
    from ..modelfiles import read_local

    local = read_local(typed, catalogue.common("architectures"))
    return local.spec, local.quantization, local.files_here


def _refuse_without_text(model: ModelSpec) -> None:
    if model.modality not in GENERATING:
        raise fault("draft", "draft-no-text", model=model.name)


def _adapter(
    spec: ModelSpec, runtime: RuntimeSpec, typed: str, catalogue: Catalogue
) -> Mapping[str, Any]:
    """What `Companions` holds of an adapter: one of a rank, or that of a file."""
    if "adapter" not in runtime.companions:
        others = that_load(spec, catalogue, lambda other: "adapter" in other.companions)
        raise fault("adapter", "adapter-program", program=runtime.name, others=others)
    stated, is_ranked, rank = typed.partition("rank=")
    if stated or not is_ranked:
        return _adapter_file(spec, runtime, typed, catalogue)
    widest = spec.architecture.embedding_length if spec.architecture is not None else _MAX_RANK
    is_number = rank.isascii() and rank.isdecimal() and len(rank) <= _RANK_DIGITS
    if not is_number or not 1 <= int(rank) <= widest:
        raise fault("adapter", "adapter-rank", typed=typed[:40], widest=widest)
    sized = need.adapter_of_rank(spec, catalogue.common("architectures"), int(rank))
    if not isinstance(sized, SizedWeights):
        raise fault("adapter", "adapter-not-sized", why=sized.reason, remedy=sized.remedy)
    return {"adapter": sized, "adapter_rank": int(rank)}


def _adapter_file(
    spec: ModelSpec, runtime: RuntimeSpec, path: str, catalogue: Catalogue
) -> Mapping[str, Any]:
    from ..modelfiles import read_adapter

    adapter = read_adapter(path)
    if adapter.format not in runtime.formats:
        raise fault(
            "adapter",
            "adapter-format",
            program=runtime.name,
            format=runtime.formats[0],
            own=adapter.format,
            gguf="gguf" in runtime.formats,
        )
    return {"adapter": adapter.size, "adapter_rank": adapter.rank, "adapter_is_here": True}
