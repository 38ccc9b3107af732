"""`selfhost.size/1`: the containers of models, and what they take together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..advice.sizes import ContainerSize
from ..core.errors import SelfhostError
from .json import listed_errors, model_summary, record, titled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_SIZE_KEYS = (
    "asked workload request_bytes unreclaimable_bytes limit_bytes page_cache_bytes passing_bytes"
    " accelerator_host_bytes per_user_bytes per_user_accelerator_bytes disk_bytes disk_update_bytes"
    " shared_memory_bytes image arguments environment needs_login seconds_to_start notes"
)
_SUMMED = ("request_bytes", "unreclaimable_bytes", "limit_bytes", "page_cache_bytes", "disk_bytes",
           "disk_update_bytes")  # fmt: skip


def sizes_record(
    sizes: Sequence[ContainerSize], errors: Mapping[str, SelfhostError], code: int
) -> dict[str, Any]:
    """Return one object for any number of models; `errors` are of names that have no size."""
    total: dict[str, Any] = {"accelerators": sum(len(size.accelerators) for size in sizes)}
    for key in _SUMMED:
        values = [getattr(size, key) for size in sizes]
        # not known where one of them is not
        total[key] = None if None in values else sum(values)
    containers = [container(size) for size in sizes]
    return titled(
        "size/1", exit_code=code, containers=containers, total=total, **listed_errors(errors)
    )


def container(size: ContainerSize) -> dict[str, Any]:
    """Return one model's container."""
    growth_keys = "name bytes unbound_bytes why"
    return {
        **record(size, _SIZE_KEYS),
        "model": model_summary(size.model),
        "growths": [
            {**record(growth, growth_keys), "bound": growth.bound or None}
            for growth in size.growths
        ],
        "accelerators": [record(held, "vendor name memory_bytes") for held in size.accelerators],
        "fetch": size.fetch or None,
    }
