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


def companions_of(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload, catalogue: Catalogue
) -> need.Companions:
    """The draft model and the adapter that were named. `WorkloadError` for what that runtime or
    that model cannot take.
    """
    companions = need.Companions()
    if runtime is None:
        raise WorkloadError.of(
            "draft" if workload.draft else "adapter",
            f"the spec of {spec.name} names no runtime",
            "leave it out",
        )
    if workload.draft:
        kind = "mtp" if workload.draft == need.OWN_BLOCK else "draft"
        what = "the model's own prediction block" if kind == "mtp" else "a draft model"
        if kind not in runtime.companions:
            raise WorkloadError.of(
                "draft", f"{runtime.name} cannot draft with {what}", takes(spec, catalogue, kind)
            )
        _refuse_without_text(spec)
        if kind == "draft":
            companions = _draft(spec, runtime, workload.draft, workload.quantization, catalogue)
        elif (why := need.why_no_own_block(spec, catalogue.common("architectures"))) is not None:
            message = f"{spec.name} {why}"
            raise WorkloadError.of("draft", message, "draft with a small model of the same family")
        else:
            companions = companions.replace(own_block=True)
    if workload.adapter:
        if "adapter" not in runtime.companions:
            raise WorkloadError.of(
                "adapter",
                f"the memory of adapters is not known in {runtime.name}",
                that_take(spec, catalogue, "adapter")
                or "leave it out: the memory for the adapter comes on top",
            )
        companions = companions.replace(**_adapter(spec, runtime, workload.adapter, catalogue))
    return companions


def _draft(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    typed: str,
    in_quantization: str | None,
    catalogue: Catalogue,
) -> need.Companions:
    from ..catalogue.names import resolve
    from ..catalogue.paths import is_path

    if is_path(typed):
        from ..modelfiles import read_local

        local = read_local(typed, catalogue.common("architectures"))
        draft, quantization, here = local.spec, local.quantization, local.files_here
    else:
        named = resolve(typed, catalogue)
        draft, quantization, here = catalogue.spec(named.spec_id), named.quantization, False
    _refuse_without_text(draft)
    if draft.closed or (why := need.why_not_loaded(draft, runtime)) is not None:
        raise WorkloadError.of(
            "draft",
            f"{draft.name} cannot draft:"
            f" {why if not draft.closed else 'its weights are not published'}",
            None,
        )
    apart = need.vocabularies_differ(spec, draft)
    if apart is not None:
        message = (
            f"{draft.name} cannot draft for {spec.name}: their vocabularies differ ({apart[1]:,}"
            f" and {apart[0]:,} tokens)"
        )
        raise WorkloadError.of("draft", message, "draft with a small model of the same family")
    quantization = quantization or need.default_format_and_quantization(draft, runtime)[1]
    if (draft.id, draft.origin, quantization) == (spec.id, spec.origin, in_quantization):
        raise WorkloadError.of(
            "draft",
            f"{draft.name} in {quantization} is the model itself",
            "draft with a smaller model of the same family",
        )
    _refuse_larger(draft, spec)
    return need.Companions(
        draft=draft,
        draft_quantization=quantization,
        draft_is_here=here,
    )


def _refuse_larger(draft: ModelSpec, model: ModelSpec) -> None:
    """A draft of more parameters than the model that checks it. The same model in fewer bits, and
    what is of unknown size, may draft.
    """
    drafting, checking = draft.parameters.total, model.parameters.total
    if drafting is None or checking is None or drafting <= checking:
        return
    message = (
        f"{draft.name} ({units.count(drafting)} parameters) cannot draft for {model.name}"
        f" ({units.count(checking)}): a draft is the smaller model of the two"
    )
    remedy = "exchange the two, or draft with a small model of the same family"
    raise WorkloadError.of("draft", message, remedy)


def _refuse_without_text(model: ModelSpec) -> None:
    if model.modality not in GENERATING:
        message = f"{model.name} writes no text, so nothing can be drafted"
        raise WorkloadError.of("draft", message, "leave --draft out")


def _adapter(
    spec: ModelSpec, runtime: RuntimeSpec, typed: str, catalogue: Catalogue
) -> Mapping[str, Any]:
    import re

    ranked = re.fullmatch(r"rank=(.*)", typed, re.DOTALL)
    if ranked is None:
        from ..modelfiles import read_adapter

        adapter = read_adapter(typed)
        if adapter.format not in runtime.formats:
            fix = (
                "convert it with llama.cpp's convert_lora_to_gguf.py"
                if "gguf" in runtime.formats
                else "give the adapter as peft saved it"
            )
            raise WorkloadError.of(
                "adapter",
                f"{runtime.name} loads adapters as {runtime.formats[0]}; this one is"
                f" {adapter.format}",
                fix,
            )
        why = need.why_adapter_differs(spec, adapter.architecture) or _other_base(
            spec, adapter.base_model, catalogue
        )
        if why is not None:
            raise WorkloadError.of(
                "adapter",
                f"{runtime.name} refuses this adapter: {why}",
                "name the model that the adapter was trained on",
            )
        return {"adapter": adapter.size, "adapter_rank": adapter.rank, "adapter_is_here": True}
    widest = spec.architecture.embedding_length if spec.architecture is not None else _MAX_RANK
    if not re.fullmatch(r"[0-9]{1,6}", ranked[1], re.ASCII) or not 1 <= int(ranked[1]) <= widest:
        raise WorkloadError.of(
            "adapter",
            f'"{typed[:40]}" is not a rank',
            f"write a whole number from 1 to {widest:,}, for example rank=16",
        )
    sized = need.adapter_of_rank(spec, catalogue.common("architectures"), int(ranked[1]))
    if not isinstance(sized, SizedWeights):
        raise WorkloadError.of("adapter", sized.reason, sized.remedy)
    return {"adapter": sized, "adapter_rank": int(ranked[1])}


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
