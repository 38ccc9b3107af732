"""The draft model and the adapter that were named beside a model."""

from __future__ import annotations

from collections.abc import Mapping

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import GENERATING, ModelSpec, RuntimeSpec
from ..core import units
from ..core.errors import WorkloadError
from ..core.workload import Workload
from ..needs.records import SizedWeights
from .refused import takes, that_take

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# of an adapter, where the model's width is not known
_MAX_RANK = 65_536
_RANK_DIGITS = 6
_OF_THE_FAMILY = "draft with a small model of the same family"


def companions_of(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload, catalogue: Catalogue
) -> need.Companions:
    """The draft model and the adapter that were named. `WorkloadError` for what that runtime or
    that model cannot take.
    """
    if runtime is None:
        option = "draft" if workload.draft else "adapter"
        raise WorkloadError.of(option, f"the spec of {spec.name} names no runtime", "leave it out")
    companions = need.Companions()
    if workload.draft:
        companions = _draft(spec, runtime, workload.draft, workload.quantization, catalogue)
    if workload.adapter:
        companions = companions.replace(**_adapter(spec, runtime, workload.adapter, catalogue))
    return companions


def _not_drafting(message: str, remedy: str | None = _OF_THE_FAMILY) -> WorkloadError:
    return WorkloadError.of("draft", message, remedy)


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
        what = "the model's own prediction block" if is_own else "a draft model"
        message = f"{runtime.name} cannot draft with {what}"
        raise _not_drafting(message, takes(spec, catalogue, kind))
    _refuse_without_text(spec)
    if is_own:
        why = need.why_no_own_block(spec, catalogue.common("architectures"))
        if why is not None:
            raise _not_drafting(f"{spec.name} {why}")
        return need.Companions(own_block=True)
    draft, quantization, is_here = _named_draft(typed, catalogue)
    _refuse_without_text(draft)
    why = "its weights are not published" if draft.closed else need.why_not_loaded(draft, runtime)
    if why is not None:
        raise _not_drafting(f"{draft.name} cannot draft: {why}", None)
    apart = need.vocabularies_differ(spec, draft)
    if apart is not None:
        raise _not_drafting(
            f"{draft.name} cannot draft for {spec.name}: their vocabularies differ ({apart[1]:,}"
            f" and {apart[0]:,} tokens)"
        )
    quantization = quantization or need.default_format_and_quantization(draft, runtime)[1]
    if (draft.id, draft.origin, quantization) == (spec.id, spec.origin, in_quantization):
        remedy = "draft with a smaller model of the same family"
        raise _not_drafting(f"{draft.name} in {quantization} is the model itself", remedy)
    drafting, checking = draft.parameters.total, spec.parameters.total
    # the same model in fewer bits, and what is of unknown size, may draft
    if drafting is not None and checking is not None and drafting > checking:
        raise _not_drafting(
            f"{draft.name} ({units.count(drafting)} parameters) cannot draft for {spec.name}"
            f" ({units.count(checking)}): a draft is the smaller model of the two",
            f"exchange the two, or {_OF_THE_FAMILY}",
        )
    return need.Companions(draft=draft, draft_quantization=quantization, draft_is_here=is_here)


def _named_draft(typed: str, catalogue: Catalogue) -> tuple[ModelSpec, str | None, bool]:
    """The model, its quantization where that is said, and whether its files are here."""
    from ..catalogue.names import resolve
    from ..catalogue.paths import is_path

    if not is_path(typed):
        named = resolve(typed, catalogue)
        return catalogue.spec(named.spec_id), named.quantization, False
    from ..modelfiles import read_local

    local = read_local(typed, catalogue.common("architectures"))
    return local.spec, local.quantization, local.files_here


def _refuse_without_text(model: ModelSpec) -> None:
    if model.modality not in GENERATING:
        message = f"{model.name} writes no text, so nothing can be drafted"
        raise _not_drafting(message, "leave --draft out")


def _adapter(
    spec: ModelSpec, runtime: RuntimeSpec, typed: str, catalogue: Catalogue
) -> Mapping[str, Any]:
    """What `Companions` holds of an adapter: one of a rank, or that of a file."""
    if "adapter" not in runtime.companions:
        message = f"the memory of adapters is not known in {runtime.name}"
        alone = "leave it out: the memory for the adapter comes on top"
        remedy = that_take(spec, catalogue, "adapter") or alone
        raise WorkloadError.of("adapter", message, remedy)
    stated, is_ranked, rank = typed.partition("rank=")
    if stated or not is_ranked:
        return _adapter_file(spec, runtime, typed, catalogue)
    widest = spec.architecture.embedding_length if spec.architecture is not None else _MAX_RANK
    is_number = rank.isascii() and rank.isdecimal() and len(rank) <= _RANK_DIGITS
    if not is_number or not 1 <= int(rank) <= widest:
        raise WorkloadError.of(
            "adapter",
            f'"{typed[:40]}" is not a rank',
            f"write a whole number from 1 to {widest:,}, for example rank=16",
        )
    sized = need.adapter_of_rank(spec, catalogue.common("architectures"), int(rank))
    if not isinstance(sized, SizedWeights):
        raise WorkloadError.of("adapter", sized.reason, sized.remedy)
    return {"adapter": sized, "adapter_rank": int(rank)}


def _adapter_file(
    spec: ModelSpec, runtime: RuntimeSpec, path: str, catalogue: Catalogue
) -> Mapping[str, Any]:
    from ..modelfiles import read_adapter

    adapter = read_adapter(path)
    if adapter.format not in runtime.formats:
        remedy = "give the adapter as peft saved it"
        if "gguf" in runtime.formats:
            remedy = "convert it with llama.cpp's convert_lora_to_gguf.py"
        message = f"{runtime.name} loads adapters as {runtime.formats[0]}; this one is"
        raise WorkloadError.of("adapter", f"{message} {adapter.format}", remedy)
    why = need.why_adapter_differs(spec, adapter.architecture)
    why = why or _other_base(spec, adapter.base_model, catalogue)
    if why is not None:
        message = f"{runtime.name} refuses this adapter: {why}"
        raise WorkloadError.of("adapter", message, "name the model that the adapter was trained on")
    rank = max((min(*first, *second) for first, second in adapter.pairs.values()), default=0)
    return {"adapter": adapter.size, "adapter_rank": rank, "adapter_is_here": True}


def _other_base(spec: ModelSpec, base: str | None, catalogue: Catalogue) -> str | None:
    """Why an adapter of that base is not for the model: the base is known, and of another
    architecture.
    """
    from ..catalogue.names import id_of

    # peft writes the folder where a model was trained from one
    trained_on = id_of(base, catalogue) if base is not None and base.count("/") == 1 else None
    if trained_on is None:
        return None
    trained = catalogue.spec(trained_on)
    other, own = trained.architecture, spec.architecture
    if other is None or own is None or other.row == own.row:
        return None
    return (
        f"it was trained on {trained.name} (architecture {other.row}), and the architecture of"
        f" {spec.name} is {own.row}"
    )
