"""Is an accelerator needed? Where one is, or is there, `accelerator_share` finds what it holds."""

from __future__ import annotations

from .record import Finding, Outcome

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...catalogue.runtime import CacheRule
    from ...catalogue.spec import QuantizationRule, RuntimeSpec
    from ...machine.record import Machine
    from ...needs.records import Needs, Term

_NONE_NEEDED = Finding(
    check="accelerator",
    outcome=Outcome.PASS,
    code="accelerator-not-needed",
    reason="No accelerator is needed: the model runs in RAM.",
)


def accelerator_check(
    needs: Needs,
    machine: Machine,
    runtime: RuntimeSpec | None,
    rule: QuantizationRule | None = None,
    *,
    now_only: bool = False,
    alone: tuple[str, str] | None = None,
    when_tight: str | None = None,
    when_close: str | None = None,
    has_other_runtime: bool = False,
    smaller_caches: Mapping[str, float] | None = None,
    cache_rule: CacheRule | None = None,
    gathered: Term | None = None,
    deciding: bool = False,
) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?

    `rule`: how the runtime takes the quantization, where it has kernels for some accelerators
    alone. `now_only`: what others hold of an accelerator does not count, even if they may leave it.
    `alone`: why it is not shared out over several, and what would be. `when_tight`: what to lower
    where it takes the most, if one that holds the likely need alone counts. `when_close`: what
    takes the least, if one that holds that counts as open. `has_other_runtime`: the runtime was
    named, and the one that is judged without a name needs no GPU. `smaller_caches`: types of cache
    that the program has too, the best first, and their size as a share of what is judged.
    `cache_rule`: on which GPUs the program keeps the type of cache that was asked for.
    `gathered`: what each of several accelerators holds whole where training shares the rest out.
    `deciding`: a finding that decides nothing may be another that decides nothing.
    """
    needs_gpu = runtime is not None and (runtime.gpu_only or (rule is not None and rule.gpu_only))
    # in RAM, accelerators that are not needed decide nothing
    if needs.placement == "host" and not needs_gpu and (deciding or not machine.accelerators):
        return _NONE_NEEDED
    # many machines have none
    from .accelerator_share import held_check

    return held_check(
        needs,
        machine,
        runtime,
        rule,
        now_only=now_only,
        alone=alone,
        when_tight=when_tight,
        when_close=when_close,
        has_other_runtime=has_other_runtime,
        smaller_caches=smaller_caches or {},
        cache_rule=cache_rule,
        gathered=gathered,
    )
