"""selfhost: can this machine download and run that open-weight model, or is an API the practical
route? Each public name is loaded on first use, so that `import selfhost` costs next to nothing.
"""

from __future__ import annotations

# type checkers take this name as true; to import `typing` for it would double what this costs
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .advice.listing import Ranking
    from .advice.plan import Plan
    from .advice.several import Comparison
    from .advice.sizes import ContainerSize
    from .api import can_run, check, compare, plan, rank, size
    from .catalogue.spec import ModelSpec
    from .core import __version__
    from .core.errors import (
        MachineFileError,
        PolicyError,
        SelfhostError,
        SpecError,
        UnknownModelError,
        WorkloadError,
    )
    from .core.workload import Load, Workload
    from .core.workload_fields import WorkloadFields
    from .judge.record import Finding, Outcome, Route, Verdict
    from .machine.record import Machine
    from .machine.words import UnknownMachineError

# the module of each public name
_MODULES = {
    "Comparison": "advice.several",
    "ContainerSize": "advice.sizes",
    "Finding": "judge.record",
    "Load": "core.workload",
    "Machine": "machine.record",
    "MachineFileError": "core.errors",
    "ModelSpec": "catalogue.spec",
    "Outcome": "judge.record",
    "Plan": "advice.plan",
    "PolicyError": "core.errors",
    "Ranking": "advice.listing",
    "Route": "judge.record",
    "SelfhostError": "core.errors",
    "SpecError": "core.errors",
    "UnknownMachineError": "machine.words",
    "UnknownModelError": "core.errors",
    "Verdict": "judge.record",
    "Workload": "core.workload",
    "WorkloadError": "core.errors",
    "WorkloadFields": "core.workload_fields",
    "__version__": "core",
    "can_run": "api",
    "check": "api",
    "compare": "api",
    "plan": "api",
    "rank": "api",
    "size": "api",
}

__all__ = [
    "Comparison", "ContainerSize", "Finding", "Load", "Machine", "MachineFileError",
    "ModelSpec", "Outcome", "Plan", "PolicyError", "Ranking", "Route", "SelfhostError",
    "SpecError", "UnknownMachineError", "UnknownModelError", "Verdict", "Workload",
    "WorkloadError", "WorkloadFields", "__version__", "can_run", "check", "compare",
    "plan", "rank", "size",
]  # fmt: skip


def load_reports() -> Any:
    """Load the module that shows records, for `core.records`."""
    from importlib import import_module

    return import_module(".reports.answers", __name__)


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> object:
    """Load a public name from its module, once."""
    if name not in _MODULES:
        raise AttributeError(f"module 'selfhost' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
