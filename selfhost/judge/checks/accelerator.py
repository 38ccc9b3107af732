"""Is an accelerator needed? Where one is, or is there, `accelerator_share` finds what it holds."""

from __future__ import annotations

from ...core.records import Record
from .record import Finding, Outcome, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...catalogue.runtime import CacheRule
    from ...catalogue.spec import QuantizationRule, RuntimeSpec
    from ...machine.record import Machine
    from ...needs.records import Needs
    from .accelerator_share import Training


class Program(Record):
    """What the accelerators are to run.

    `rule`: how the runtime takes the quantization, where it has kernels for some accelerators
    alone. `cache_rule`: on which GPUs it keeps the type of cache that was asked for.
    `smaller_caches`: types of cache that it has too, the best first, and their size as a share of
    what is judged. `has_other`: the runtime was named, and the one that is judged without a name
    needs no GPU.
    """

    runtime: RuntimeSpec | None
    rule: QuantizationRule | None = None
    cache_rule: CacheRule | None = None
    smaller_caches: Mapping[str, float] = {}
    has_other: bool = False

    @property
    def needs_gpu(self) -> bool:
        """Whether the program runs this quantization on accelerators alone."""
        runtime, rule = self.runtime, self.rule
        return runtime is not None and (runtime.gpu_only or (rule is not None and rule.gpu_only))


def accelerator_check(
    needs: Needs,
    machine: Machine,
    program: Program,
    training: Training | None = None,
    *,
    now_only: bool = False,
) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?

    `training`: what else is known of one, None of other work. `now_only`: what others hold of an
    accelerator does not count, even if they may leave it.
    """
    # in RAM, accelerators that are not needed decide nothing
    if needs.placement == "host" and not program.needs_gpu and not machine.accelerators:
        return finding(Outcome.PASS, "accelerator-not-needed")
    # many machines have none
    from .accelerator_share import held_check

    return held_check(needs, machine, program, training, now_only=now_only)
