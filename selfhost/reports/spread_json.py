"""`selfhost.spread/1`: one model over several machines, for programs."""

from __future__ import annotations

from .. import __version__
from ..audit.spread import Spread
from .json import model_summary, workload

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def render(spread: Spread) -> dict[str, Any]:
    """The answer with every share. Sizes are whole bytes."""
    engine = spread.engine
    return {
        "schema": "selfhost.spread/1",
        "selfhost_version": __version__,
        "asked": spread.asked,
        "model": model_summary(spread.model),
        "workload": workload(spread.workload),
        "engine": {
            "name": engine.name,
            "title": engine.title,
            "how": engine.how,
            "warnings": list(engine.warnings),
            "sources": list(engine.sources),
        },
        "route": spread.route.value,
        "reason": spread.reason,
        "remedy": spread.remedy,
        "exit_code": spread.exit_code,
        "machines": spread.machines,
        "needs_bytes": spread.needs_bytes,
        "free_bytes": spread.free_bytes,
        "shares": [
            {
                "machine": share.machine,
                "layers": share.layers,
                "held_bytes": share.held_bytes,
                "room_bytes": share.room_bytes,
                "devices": share.devices,
                "ram_bytes": share.ram_bytes,
            }
            for share in spread.shares
        ],
        "left_out": [
            {"machine": each.machine, "reason": each.reason, "unread": each.unread}
            for each in spread.left_out
        ],
        "notes": list(spread.notes),
    }
