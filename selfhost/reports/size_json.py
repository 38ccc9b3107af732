"""`selfhost.size/1`: the containers of models, and what they take together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .. import __version__
from ..advice.sizes import ContainerSize, Growth
from ..core.errors import MAX_PROBLEMS, SelfhostError
from .json import _error as error_record
from .json import model_summary, workload

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def sizes_record(
    sizes: Sequence[ContainerSize], errors: Mapping[str, SelfhostError], code: int
) -> dict[str, Any]:
    """One object for any number of models; `errors` are those of names that have no size."""
    listed = list(errors.items())[:MAX_PROBLEMS]
    return {
        "schema": "selfhost.size/1",
        "selfhost_version": __version__,
        "exit_code": code,
        "containers": [container(size) for size in sizes],
        "total": {
            "request_bytes": sum(size.request_bytes for size in sizes),
            "unreclaimable_bytes": sum(size.unreclaimable_bytes for size in sizes),
            "limit_bytes": sum(size.limit_bytes for size in sizes),
            "page_cache_bytes": sum(size.page_cache_bytes for size in sizes),
            "disk_bytes": _sum(size.disk_bytes for size in sizes),
            "disk_update_bytes": _sum(size.disk_update_bytes for size in sizes),
            "accelerators": sum(len(size.accelerators) for size in sizes),
        },
        "errors": [{"asked": name, **error_record(error)} for name, error in listed],
        "errors_not_listed": len(errors) - len(listed),
    }


def _sum(sizes: Any) -> int | None:
    """The sum; None where one of them is not known."""
    all_sizes = list(sizes)
    return None if None in all_sizes else sum(all_sizes)


def container(size: ContainerSize) -> dict[str, Any]:
    """One model's container."""
    return {
        "asked": size.asked,
        "model": model_summary(size.model),
        "workload": workload(size.workload),
        "request_bytes": size.request_bytes,
        "unreclaimable_bytes": size.unreclaimable_bytes,
        "limit_bytes": size.limit_bytes,
        "page_cache_bytes": size.page_cache_bytes,
        "passing_bytes": size.passing_bytes,
        "accelerator_host_bytes": size.accelerator_host_bytes,
        "per_user_bytes": size.per_user_bytes,
        "per_user_accelerator_bytes": size.per_user_accelerator_bytes,
        "growths": [_growth(growth) for growth in size.growths],
        "disk_bytes": size.disk_bytes,
        "disk_update_bytes": size.disk_update_bytes,
        "accelerators": [
            {"vendor": held.vendor, "name": held.name, "memory_bytes": held.memory_bytes}
            for held in size.accelerators
        ],
        "shared_memory_bytes": size.shared_memory_bytes,
        "image": size.image,
        "arguments": list(size.arguments),
        "environment": dict(size.environment),
        "fetch": size.fetch or None,
        "needs_login": size.needs_login,
        "seconds_to_start": size.seconds_to_start,
        "notes": list(size.notes),
    }


def _growth(growth: Growth) -> dict[str, Any]:
    return {
        "name": growth.name,
        "bytes": growth.bytes,
        "bound": growth.bound or None,
        "unbound_bytes": growth.unbound_bytes,
        "why": growth.why,
        "arithmetic": growth.arithmetic,
    }
