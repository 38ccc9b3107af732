"""The keys of a machine's record that this version does not read, because a later version added
them or because they are misspelt.

What goes in: the parsed JSON of a record. What comes out: `UnreadKey`s, of the record itself and of
the entries of its lists, and the note that tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.records import Record, shortened, shown_path
from ..core.units import listed, nearest
from .record import PARTS_OF_LISTS, Machine

# the keys that this version reads, or writes and needs not read: of a record under an empty name,
# of an entry of each list under the list's name
_KNOWN_KEYS: dict[str, Sequence[str]] = {}
_KNOWN_KEYS[""] = (*Machine().to_json(), *Machine._fields)
for _fact, _kind in PARTS_OF_LISTS.items():
    _KNOWN_KEYS[_fact] = _kind._fields
# the most unread keys that are kept: records may have any number of keys
MOST_UNREAD_KEYS = 100


class UnreadKey(Record):
    """A key that this version does not read, with the file of the record.

    `fact` is the list that has the key in an entry, such as `disks`; empty for a key of the record
    itself.
    """

    fact: str
    key: str
    file: str

    def __str__(self) -> str:
        """The key and its file, and the key that was perhaps meant."""
        key = shortened(self.key)
        place = shown_path(self.file)
        meant = nearest(key, _KNOWN_KEYS[self.fact])
        if meant is not None:
            place += f"; did you mean {meant}?"
        if self.fact:
            key = f"{self.fact}[].{key}"
        return f"{key} ({place})"


def unread_keys(record: Mapping[str, object], file: str) -> tuple[UnreadKey, ...]:
    """The first keys of a record that are not read, each once. `file` is the record's file."""
    # a dict as an ordered set
    unread: dict[UnreadKey, None] = {}
    for fact, known in _KNOWN_KEYS.items():
        for entry in _entries_of(record, fact):
            for key in entry:
                if key not in known and len(unread) < MOST_UNREAD_KEYS:
                    unread_key = UnreadKey(fact=fact, key=key, file=file)
                    unread[unread_key] = None
    return tuple(unread)


def _entries_of(
    record: Mapping[str, object],
    fact: str,
) -> Sequence[Mapping[str, object]]:
    """The objects in a list of a record; the record itself for an empty name."""
    if not fact:
        return [record]
    entries = record.get(fact)
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def note_on(keys: Iterable[UnreadKey]) -> str:
    """The note that tells the keys."""
    names = listed(map(str, keys))
    return f"keys of records that this selfhost does not read: {names}"
