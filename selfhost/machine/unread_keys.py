"""The keys of a machine's record that this version does not read, because a later version added
them or because they are misspelt.

What goes in: the parsed JSON of a record. What comes out: `UnreadKey`s, of the record itself and of
the entries of its lists, and the note that tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ..core.records import shortened, shown_path
from ..core.units import listed, nearest
from .record import PARTS_OF_LISTS, Machine

# the keys that this version reads, or writes and needs not read: of a record under an empty name,
# of an entry of each list under the list's name
_KNOWN_KEYS: dict[str, Sequence[str]] = {"": (*Machine().to_json(), *Machine._fields)}
for _fact, _kind in PARTS_OF_LISTS.items():
    _KNOWN_KEYS[_fact] = _kind._fields
# the most unread keys that are kept: records may have any number of keys
MOST_UNREAD_KEYS = 100


class UnreadKey(NamedTuple):
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
    unique = dict.fromkeys(_every_unread_key(record, file))
    return tuple(islice(unique, MOST_UNREAD_KEYS))


def _every_unread_key(record: Mapping[str, object], file: str) -> Iterator[UnreadKey]:
    """Yield the keys of a record that are not read; a key of several entries each time."""
    for fact, known in _KNOWN_KEYS.items():
        entries = record.get(fact) if fact else [record]
        for entry in entries if isinstance(entries, list) else ():
            for key in entry if isinstance(entry, dict) else ():
                if key not in known:
                    yield UnreadKey(fact, key, file)


def note_on(keys: Iterable[UnreadKey]) -> str:
    """The note that tells the keys."""
    names = listed(map(str, keys))
    return f"keys of records that this selfhost does not read: {names}"
