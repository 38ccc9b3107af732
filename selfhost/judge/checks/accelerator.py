"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from ...core.records import Record
from .record import Finding, Outcome, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...catalogue.runtime import CacheRule, KernelRule
    from ...catalogue.spec import QuantizationRule, RuntimeSpec
    from ...machine.record import Machine
    from ...needs.records import Needs, Term


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

    @property
    def rules(self) -> tuple[KernelRule, ...]:
        """What it asks of accelerators, for this quantization and this cache."""
        return tuple(rule for rule in (self.rule, self.cache_rule) if rule is not None)


class Training(Record):
    """What else is known of a training.

    `alone`: why it is not shared out over several accelerators, and what would be. `when_tight`:
    what to lower where it takes the most, if one that holds the likely need alone counts.
    `when_close`: what takes the least, if one that holds that counts as open. `gathered`: what each
    of several accelerators holds whole where the rest is shared out.
    """

    alone: tuple[str, str] | None = None
    when_tight: str | None = None
    when_close: str | None = None
    gathered: Term | None = None


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
    training = training or Training()
    if needs.placement != "host":
        from .accelerator_share import held_check

        return held_check(needs, machine, program, training, now_only=now_only)
    # in RAM, accelerators that are not needed decide nothing
    if not program.needs_gpu and not machine.accelerators:
        return finding(Outcome.PASS, "accelerator-not-needed")
    from .accelerator_ram import missing, not_needed

    if program.needs_gpu:
        return missing(needs, machine, program)
    return not_needed(needs, machine, program.runtime, training)
