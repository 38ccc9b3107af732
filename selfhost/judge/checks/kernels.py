"""Does a program run on these accelerators at all, whatever they hold?"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.runtime import RuntimeSpec
from ...core.workload import FLAGS
from ...machine.gpus import capability_by_name
from ...machine.record import Accelerator
from ..placement.devices import amd_gpus, is_built_for, reaches
from . import Finding, Outcome, finding, phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import KernelRule


def without_kernels(
    runtime: RuntimeSpec | None, rules: Sequence[KernelRule], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on a device, or has no kernel for it by one of the rules, or
    that it cannot be told; None where each will do.
    """
    if runtime is None:
        return None
    for device in devices:
        refusal = not_built_for(runtime, device)
        for rule in rules:
            refusal = refusal or _without_kernel(runtime, rule, device)
        if refusal is not None:
            return refusal
    return None


def not_built_for(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    """That its builds are not made for this GPU, or that it cannot be told; None where they are."""
    least = runtime.least_of(shares_ram=device.unified is True)
    # what can do without a GPU asks for so little that a name which nobody has listed has it
    if least is not None and (runtime.gpu_only or reaches(device, least) is not None):
        fact = "compute_capability"
        if least != runtime.compute_capability:
            fact = "shared_compute_capability"
        below = _against_least(runtime, device, least, _other_gpu(runtime, fact))
        if below is not None:
            return below
    patterns = amd_gpus(runtime)
    is_built = is_built_for(device, patterns)
    if device.vendor != "amd" or not patterns or is_built:
        return None
    if is_built is False:
        return finding(
            Outcome.FAIL,
            "accelerator-unsuitable",
            "build",
            remedy=_other_gpu(runtime, "amd_gpus"),
            program=runtime.name,
            device=device.name,
        )
    if not runtime.gpu_only:
        return None
    source = runtime.sources.get("amd_gpus", "")
    return finding(
        Outcome.UNKNOWN, "accelerator-unread", "amd", program=runtime.name, source=source
    )


def _other_gpu(runtime: RuntimeSpec, fact: str) -> str:
    source = runtime.sources.get(fact, "")
    return phrase("other-gpu", other_runtime=runtime.gpu_only, source=source)


def _without_kernel(runtime: RuntimeSpec, rule: KernelRule, device: Accelerator) -> Finding | None:
    flag, default = FLAGS[rule.asked_by], rule.has_plain_default
    if rule.vendors and device.vendor not in rule.vendors:
        is_known = device.vendor != "unknown"
        return finding(
            Outcome.FAIL if is_known else Outcome.UNKNOWN,
            "accelerator-unsuitable" if is_known else "accelerator-unread",
            "maker",
            program=runtime.name,
            rule=rule.subject,
            makers=rule.vendors,
            device=device.name,
            flag=flag,
            default=default,
            source=rule.source,
        )
    if rule.compute_capability is None:
        return None
    remedy = phrase("other-rule", flag=flag, default=default, source=rule.source)
    return _against_least(runtime, device, rule.compute_capability, remedy, rule.subject)


def _against_least(
    runtime: RuntimeSpec, device: Accelerator, least: str, remedy: str, rule: str | None = None
) -> Finding | None:
    """That the device lacks that compute capability, or that it cannot be told; None where it has
    it, or is not NVIDIA's. `rule`: what the capability is needed for.
    """
    is_reached = reaches(device, least)
    if is_reached:
        return None
    is_known = is_reached is not None
    return finding(
        Outcome.FAIL if is_known else Outcome.UNKNOWN,
        "accelerator-unsuitable" if is_known else "accelerator-unread",
        "capability",
        remedy=remedy if is_known else None,
        program=runtime.name,
        least=least,
        rule=rule,
        device=device.name,
        capability=device.compute_capability or capability_by_name(device.name),
    )
