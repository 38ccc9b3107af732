"""The record of what an account may store on a volume."""

from __future__ import annotations

from ...core.records import Record

# the kind of a quota that may hold or not
PERHAPS = "quota group"


class Quota(Record):
    """What an account may store on a volume at most, and what it has there.

    `kind` is `user` or `group`; on btrfs `subvolume`, or PERHAPS for one that may hold for that
    subvolume or not.
    """

    kind: str
    limit_bytes: int
    used_bytes: int

    @property
    def left_bytes(self) -> int:
        """What it may still store."""
        return max(0, self.limit_bytes - self.used_bytes)
