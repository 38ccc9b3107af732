"""selfhost: can this machine download and run that open-weight model, or is an API the practical
route?

Names are resolved on first use, so that `import selfhost` costs next to nothing.
"""

from __future__ import annotations

# type checkers take this name as true; importing `typing` for it would double the cost of `import
# selfhost`
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .advice.listing import Ranking
    from .advice.plan import Plan
    from .advice.several import Comparison
    from .advice.sizes import ContainerSize
    from .api import can_run, check, compare, plan, rank, size
    from .catalogue.spec import ModelSpec
    from .core.errors import (
        MachineFileError,
        PolicyError,
        SelfhostError,
        SpecError,
        UnknownModelError,
        WorkloadError,
    )
    from .core.workload import Load, Workload
    from .judge.record import Finding, Outcome, Route, Verdict
    from .machine.record import Machine
    from .machine.words import UnknownMachineError

__version__ = "0.1.0"

# the module of each public name
_HOME = {
    name: module
    for module, names in {
        "api": "can_run check compare plan rank size",
        "advice.listing": "Ranking",
        "advice.plan": "Plan",
        "advice.several": "Comparison",
        "advice.sizes": "ContainerSize",
        "catalogue.spec": "ModelSpec",
        "core.errors": "MachineFileError PolicyError SelfhostError SpecError UnknownModelError"
        " WorkloadError",
        "core.workload": "Load Workload",
        "judge.record": "Finding Outcome Route Verdict",
        "machine.words": "UnknownMachineError",
        "machine.reader": "Machine",
    }.items()
    for name in names.split()
}

__all__ = [
    "Comparison", "ContainerSize", "Finding", "Load", "Machine", "MachineFileError",
    "ModelSpec", "Outcome", "Plan", "PolicyError", "Ranking", "Route", "SelfhostError",
    "SpecError", "UnknownMachineError", "UnknownModelError", "Verdict", "Workload",
    "WorkloadError", "__version__", "can_run", "check", "compare", "plan",
    "rank", "size",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'selfhost' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
