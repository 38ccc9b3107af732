"""selfhost: can this machine download and run that open-weight model, or is an API the practical
route? Names are resolved on first use, so that `import selfhost` costs next to nothing.
"""

from __future__ import annotations

# type checkers take this name as true; to import `typing` for it would double what this costs
TYPE_CHECKING = False

if TYPE_CHECKING:
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
    from .judge.record import Finding, Outcome, Route, Verdict
    from .machine.record import Machine
    from .machine.words import UnknownMachineError

# where the public names stand, what others load first
_MODULES = (
    "core", "core.errors", "core.workload", "machine.reader", "machine.words", "catalogue.spec",
    "judge.record", "api", "advice.listing", "advice.plan", "advice.several", "advice.sizes",
)  # fmt: skip

__all__ = [
    "Comparison", "ContainerSize", "Finding", "Load", "Machine", "MachineFileError",
    "ModelSpec", "Outcome", "Plan", "PolicyError", "Ranking", "Route", "SelfhostError",
    "SpecError", "UnknownMachineError", "UnknownModelError", "Verdict", "Workload",
    "WorkloadError", "__version__", "can_run", "check", "compare", "plan",
    "rank", "size",
]  # fmt: skip
__dir__ = __all__.copy


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module in _MODULES if name in __all__ else ():
        value = getattr(import_module(f".{module}", __name__), name, None)
        if value is not None:
            globals()[name] = value
            return value
    raise AttributeError(f"module 'selfhost' has no attribute {name!r}")
