"""An audit without the names of its machines: each is replaced by a keyed hash, wherever it stands.

The key is made anew for each run and kept nowhere. So nobody can look a name up by hashing
candidates, one run calls one machine the same throughout, and two runs do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.errors import Problem
from ..core.records import Record
from ..machine.record import Machine
from ..verdict.record import Verdict
from .record import Audit, Row
from .systems import NOT_JUDGED

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Kind = TypeVar("Kind", bound=Record)

# of the key; and of a pseudonym in letters, of which 100,000 collide once in 10^5 runs
_KEY_BYTES = 32
_LETTERS = 12
_PSEUDONYM = re.compile(rf"machine-[0-9a-f]{{{_LETTERS}}}")
# what may be or hold a name: a word between blanks, brackets and quotes, and its parts
_WORD = re.compile(r"[^\s\"'`()\[\]{}<>,;]+")
_PART = re.compile(r"[\w.-]+")
# a name that sentences and commands may hold as a word of theirs: `memory`, `GiB`, `llama.cpp`, `8`
_IS_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)?|\d+|[\w.]*_[\w.]*")
# where reasons name a machine: in quotes; `; NAME (limited to`, `; NAME can give`; `found on NAME.`
_NAMED = re.compile(
    r"""(?<=")[^"]+(?=")|(?<=host:)[^\s"',]+|(?<=; )\S+(?= (?:\(|can give|has ))"""
    r"""|(?<= that )\S+(?= (?:\(limited|has[;.]))|(?<= found on )\S+(?=\.(?:\s|$))"""
)


def is_pseudonym(name: str) -> bool:
    """Whether a name has the form of those that `Pseudonyms` gives to machines."""
    return _PSEUDONYM.fullmatch(name) is not None


class Pseudonyms:
    """Hashes of names under one key, which is random where none is given."""

    def __init__(self, names: Iterable[str], key: bytes | None = None) -> None:
        self._key = os.urandom(_KEY_BYTES) if key is None else key
        self._of = {name: self._hash("machine", name) for name in names}
        # replaced only where a machine is named: elsewhere the word is the sentence's own
        self._words = {name for name in self._of if _IS_WORD.fullmatch(name)}
        # those that `_WORD` does not find as one
        loose = [name for name in self._of if not _WORD.fullmatch(name)]
        alternatives = "|".join(re.escape(name) for name in sorted(loose, key=len, reverse=True))
        self._loose = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)") if loose else None

    def _hash(self, kind: str, name: str) -> str:
        from hashlib import blake2b

        digest = blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16)
        return f"{kind}-{digest.hexdigest()[:_LETTERS]}"

    def of(self, name: str) -> str:
        """The pseudonym of a machine's name."""
        return self._of.get(name) or self._hash("machine", name)

    def in_text(self, text: str, *named: str) -> str:
        """The text with every name in it replaced, also within a path or behind a colon, and with
        the files of the folders that were `named`.
        """
        if text in self._of:
            return self._of[text]
        folders = [folder for folder in _folders(named) if f"{folder}/" in text]
        if folders:
            # a name of a file may hold blanks: it ends where its line's number or the text does
            inside = rf"(?:{'|'.join(map(re.escape, folders))})/.*?(?=:\d+\b|$)"
            return "".join(
                self.in_file(piece, *named) if number % 2 else self.in_text(piece)
                for number, piece in enumerate(re.split(f"({inside})", text))
            )
        if self._words:
            text = _NAMED.sub(self._in_place, text)
        if self._loose is not None:
            text = self._loose.sub(lambda match: self._of[match[0]], text)
        return _WORD.sub(lambda match: self._in_word(match[0]), text)

    def in_file(self, path: str, *named: str) -> str:
        """A file's path: what lies in a folder that was `named` may be called as its host."""
        holding = (folder for folder in _folders(named) if path.startswith(f"{folder}/"))
        folder = next(holding, None)
        if folder is None:
            return self.in_text(path)
        return f"{folder}/{self._hash('file', path[len(folder) + 1 :])}"

    def _in_place(self, match: re.Match[str]) -> str:
        return self._of[match[0]] if match[0] in self._words else match[0]

    def _is_name(self, word: str) -> bool:
        return word in self._of and word not in self._words

    def _in_word(self, word: str) -> str:
        bare = word.rstrip(".:!?")
        if self._is_name(bare):
            return self._of[bare] + word[len(bare) :]
        return _PART.sub(self._in_part, word)

    def _in_part(self, match: re.Match[str]) -> str:
        bare = match[0].rstrip(".-")
        return self._of[bare] + match[0][len(bare) :] if self._is_name(bare) else match[0]


def _folders(named: Iterable[str]) -> list[str]:
    """The folders, a folder before what holds it."""
    folders = {folder for name in named if (folder := name.rstrip("/"))}
    return sorted(folders, key=len, reverse=True)


def anonymous(record: Kind, pseudonyms: Pseudonyms, *named: str) -> Kind:
    """The record with all names replaced in all its texts; `named` are the folders of the machines'
    records, whose files' names are replaced, too.
    """
    replaced: Kind = _replaced(record, pseudonyms, named)
    return replaced


# fields that hold sentences, or names of machines. Others hold words that programs compare, which a
# machine may be called as
_TEXTS = frozenset((
    "advice", "commands", "file", "fine_print", "labels", "machine", "message", "names", "notes",
    "pattern", "reason", "remedy", "setup", "sources", "text",
))  # fmt: skip


def _replaced(
    value: Any, pseudonyms: Pseudonyms, named: Sequence[str], *, is_text: bool = False
) -> Any:
    if isinstance(value, str):
        return pseudonyms.in_text(value, *named) if is_text else value
    if isinstance(value, tuple):
        return tuple(_replaced(inner, pseudonyms, named, is_text=is_text) for inner in value)
    if isinstance(value, Mapping):
        return {
            key: _replaced(inner, pseudonyms, named, is_text=is_text)
            for key, inner in value.items()
        }
    if isinstance(value, Record):
        return _replaced_record(value, pseudonyms, named)
    return value


class _Rows:
    """The rows of a large audit, each with its names replaced when it is come to. What of a row is
    judged only when somebody reads it stays so.
    """

    def __init__(self, rows: Iterable[Row], pseudonyms: Pseudonyms, named: Sequence[str]) -> None:
        self._rows, self._pseudonyms, self._named = rows, pseudonyms, named

    def __iter__(self) -> Iterator[Row]:
        entries: dict[int, Any] = {}
        for row in self._rows:
            index = row.wanted.index
            if index not in entries:
                entries[index] = self._replaced(row.wanted)
            yield self._row(row, entries[index])

    def _row(self, row: Row, wanted: Any) -> Row:
        fields: dict[str, Any] = {
            name: getattr(row, name)
            for name in ("result", "exit_code", "failed", "undecided", "change")
        }
        fields["machine"] = self._pseudonyms.of(row.machine)
        fields["wanted"] = wanted
        fields["excepted"] = self._replaced(row.excepted)
        given = row.verdict
        fields["verdict"] = None
        if given is not None:
            kept = {"model": given.model, "route": given.route, "workload": given.workload}
            fields["verdict"] = Verdict.partly(kept, lambda: self._replaced(given))
        return Row.partly(fields, lambda: self._replaced(row))

    def _replaced(self, value: Any) -> Any:
        return _replaced(value, self._pseudonyms, self._named)


def _replaced_record(record: Record, pseudonyms: Pseudonyms, named: Sequence[str]) -> Record:
    changes: dict[str, Any] = {}
    for field in type(record)._fields:
        before: Any = getattr(record, field)
        after: Any
        if isinstance(record, Problem) and field == "file":
            after = pseudonyms.in_file(before, *named)
        elif isinstance(record, Problem) and field == "message" and NOT_JUDGED in before:
            # it is of no machine of the audit, so that nothing else knows its name
            name, _, why = before.partition(NOT_JUDGED)
            after = f"{pseudonyms.of(name)}{NOT_JUDGED}{pseudonyms.in_text(why, *named)}"
        elif isinstance(record, Audit) and field == "rows" and not isinstance(before, tuple):
            after = _Rows(before, pseudonyms, named)
        else:
            is_text = field in _TEXTS or (field == "name" and isinstance(record, Machine))
            after = _replaced(before, pseudonyms, named, is_text=is_text)
        if after != before:
            changes[field] = after
    return record.replace(**changes) if changes else record
