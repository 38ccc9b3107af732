"""`selfhost.spread/1`: one model over several machines, for programs."""

from __future__ import annotations

from ..audit.spread import Spread
from .json import model_summary, record, titled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def render(spread: Spread) -> dict[str, Any]:
    """Return the answer with every share, sizes in whole bytes."""
    keys = "asked workload route reason remedy exit_code machines needs_bytes free_bytes notes"
    share_keys = "machine layers held_bytes room_bytes devices ram_bytes"
    return titled(
        "spread/1",
        model=model_summary(spread.model),
        engine=record(spread.engine, "name title how warnings sources"),
        shares=[record(share, share_keys) for share in spread.shares],
        left_out=[record(each, "machine reason unread") for each in spread.left_out],
        **record(spread, keys),
    )
