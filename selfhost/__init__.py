"""selfhost: can this machine download and run that open-weight model, or is an API the practical
route?

Names are resolved on first use, so that `import selfhost` costs next to nothing.
"""

from __future__ import annotations

# type checkers take this name as true; importing `typing` for it would double the cost of `import
# selfhost`
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .advice.listing import Ranking as Ranking
    from .advice.plan import Plan as Plan
    from .advice.several import Comparison as Comparison
    from .advice.sizes import ContainerSize as ContainerSize
    from .api import (
        can_run as can_run,
    )
    from .api import (
        check as check,
    )
    from .api import (
        check_together as check_together,
    )
    from .api import (
        compare as compare,
    )
    from .api import (
        plan as plan,
    )
    from .api import (
        rank as rank,
    )
    from .api import (
        size as size,
    )
    from .catalogue.spec import ModelSpec as ModelSpec
    from .core.errors import (
        MachineFileError as MachineFileError,
    )
    from .core.errors import (
        PolicyError as PolicyError,
    )
    from .core.errors import (
        SelfhostError as SelfhostError,
    )
    from .core.errors import (
        SpecError as SpecError,
    )
    from .core.errors import (
        UnknownModelError as UnknownModelError,
    )
    from .core.errors import (
        WorkloadError as WorkloadError,
    )
    from .core.workload import (
        Load as Load,
    )
    from .core.workload import (
        Workload as Workload,
    )
    from .judge.record import (
        Finding as Finding,
    )
    from .judge.record import (
        Outcome as Outcome,
    )
    from .judge.record import (
        Route as Route,
    )
    from .judge.record import (
        Verdict as Verdict,
    )
    from .machine.profiles import UnknownMachineError as UnknownMachineError
    from .machine.record import Machine as Machine

__version__ = "0.1.0"

_HOME = {
    "can_run": "api", "check": "api", "check_together": "api", "compare": "api", "plan": "api",
    "rank": "api", "size": "api", "ContainerSize": "advice.sizes",
    "Comparison": "advice.several", "Plan": "advice.plan", "Ranking": "advice.listing",
    "UnknownMachineError": "machine.profiles",
    "Machine": "machine.reader", "ModelSpec": "catalogue.spec", "Workload": "core.workload",
    "Load": "core.workload",
    "Verdict": "judge.record", "Finding": "judge.record", "Route": "judge.record",
    "Outcome": "judge.record",
    "SelfhostError": "core.errors", "UnknownModelError": "core.errors", "SpecError": "core.errors",
    "MachineFileError": "core.errors", "PolicyError": "core.errors", "WorkloadError": "core.errors",
}  # fmt: skip

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'selfhost' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
