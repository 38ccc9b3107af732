"""Records that other systems hold already: the answers of Ansible, Kubernetes, Slurm and
Prometheus become `selfhost.machine/1` objects.

`specs/common/systems.toml` has a row for each system. An answer is recognized by its content, or
named before the file: `slurm:nodes.json`, `slurm:-`. A text is parsed at once, so it has a limit.
Our own records pass through unchanged, so that a file or a folder may mix systems.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ...core.errors import InputError
from ...core.files import Unreadable, encoding_of, open_file, read_some, text_of, too_large
from ...core.json_text import Decoder, Entry, signs_in, too_many
from ...core.spelling import nearest
from ...machine.record import FACTS
from .facts import Answers, kind_of, table_of
from .hosts import AnsibleAnswers, PrometheusAnswers
from .nodes import KubernetesAnswers, SlurmAnswers

READERS: Mapping[str, type[Answers]] = {
    "ansible": AnsibleAnswers,
    "kubernetes": KubernetesAnswers,
    "prometheus": PrometheusAnswers,
    "slurm": SlurmAnswers,
}
# by which an answer is recognized
START_BYTES = 1 << 16
_OWN_SIGN = '"selfhost.machine/'
# of one text and its values: some 5,000 nodes of Kubernetes with all they state. Python takes up to
# 125 bytes a value
MAX_TEXT_BYTES = 128 << 20
MAX_VALUES = 4_000_000
_BLANKS = " \t\r\n"
_OTHER_THINGS = "is a list of other things than machines"
_NO_ANSWER = "is no machine record, and no answer of a system that is read"
_NEITHER = "is neither JSON nor a text of a system that is read"
_READ_ALWAYS = (".json", ".jsonl", ".prom")
# what a file's name may end in beside the name of its machine
EXTENSIONS = (*_READ_ALWAYS, ".txt")


class UnknownSystemError(InputError, LookupError):
    """What stands before the colon is no system whose answers are read."""


def named(path: str) -> tuple[str | None, str]:
    """`kubernetes:-` -> the system and the path; None where the path names no system.

    A file or folder that has the whole as its name is that file. Raises `UnknownSystemError` for
    another word before the colon, unless it is one letter, which is a drive on Windows.
    """
    word, colon, rest = path.partition(":")
    if not colon or not word.isidentifier() or len(word) == 1 or os.path.lexists(path):
        return None, path
    if word in READERS and rest:
        return word, rest
    guess = nearest(word, tuple(READERS))
    raise UnknownSystemError(
        f"no system is called {word!r}",
        remedy=f"did you mean {guess}:{rest or '-'}?" if guess else f"one of {', '.join(READERS)}",
        nearest=(guess,) if guess else (),
    )


def _as_text(start: bytes) -> str:
    return start.decode(encoding_of(start), "ignore").lstrip("\ufeff" + _BLANKS)


def is_foreign(start: bytes) -> bool:
    """Whether a file that begins so holds an answer of a system that is read.

    One that begins with a record of our own does not, though its other lines may.
    """
    text = _as_text(start)
    marks = (mark for name in READERS for mark in table_of(name)["marks"])
    return _OWN_SIGN not in text and any(mark in text for mark in marks)


def may_be_json(start: bytes) -> bool:
    """Whether a file that begins so may hold JSON: a table or YAML does not."""
    text = _as_text(start)
    return text[:1] in '{["-0123456789' or text.startswith(("null", "true", "false", "NaN", "Inf"))


def not_read(*, is_list: bool) -> Unreadable:
    """Why a list of which no item is an object is not read, or a text that no system writes."""
    reason = _OTHER_THINGS if is_list else _NEITHER
    return Unreadable(reason, _name_one(), line=None if is_list else 1)


def is_read(path: str) -> bool:
    """Whether a file of a folder is read: those of `*.json`, `*.jsonl` and `*.prom`, an answer in a
    `*.txt`, and any that begins as a JSON object. `ansible --tree` calls a file as its host, and
    one of a host that it did not reach holds no facts. A file that cannot be opened is read too,
    for its fault is then told.
    """
    if path.endswith(_READ_ALWAYS):
        return True
    try:
        stream, _ = open_file(path)
        with stream:
            start = read_some(stream, START_BYTES)
    except Unreadable:
        return os.path.isfile(path) or not os.path.exists(path)
    text = _as_text(start)
    # a brace and a key, or the end: templates begin with other braces
    is_object = text[:1] == "{" and text[1:].lstrip()[:1] in ("", '"', "}")
    return is_object or (path.endswith(".txt") and is_foreign(start))


class Reader:
    """Reads the answers of one run, in the order they are given; `rest` gives what is left at the
    end. `system` is the one that was named, None to recognize each document.
    """

    def __init__(self, system: str | None = None) -> None:
        self.system = system
        self._readers = [READERS[name]() for name in ([system] if system else READERS)]

    def of_value(self, value: Any, line: int | None, file: str) -> Iterator[Entry] | None:
        """The machines of a document that was parsed; None for one of our own records."""
        if not isinstance(value, Mapping) or "schema" in value or any(map(value.get, FACTS)):
            return None
        return self._document(value, file, line, "")

    def entries(self, content: bytes, file: str) -> Iterator[Entry]:
        """The machines of one file. Raises `Unreadable` for the whole, before any entry."""
        text = _text_of(content)
        if text.lstrip(_BLANKS)[:1] not in ("[", "{"):
            text = text.replace("\r\n", "\n")
            answers = (reader.read_text(text, file) for reader in self._readers)
            entries = next((each for each in answers if each is not None), None)
            if entries is None:
                raise Unreadable(self._not_read(_NEITHER), _name_one())
            yield from entries
            return
        if (values := signs_in(text)) > MAX_VALUES:
            raise too_many(values, MAX_VALUES)
        documents = _documents(text)
        for value, line in documents:
            if isinstance(value, list):
                for index, item in enumerate(value):
                    yield from self._document(item, file, None, f"[{index}]")
            else:
                own_line = line if len(documents) > 1 else None
                yield from self._document(value, file, own_line, "")

    def awaits(self, file: str) -> bool:
        """Whether `rest` will give machines that this file tells of."""
        return any(reader.awaits(file) for reader in self._readers)

    def rest(self) -> Iterator[tuple[str, Entry]]:
        """Each machine that all files together tell of, with the file of its first answer."""
        for reader in self._readers:
            yield from reader.rest()

    def _document(self, document: Any, file: str, line: int | None, place: str) -> Iterator[Entry]:
        """The machines of one JSON document, which stands at that place of a list."""
        if not isinstance(document, Mapping):
            fault = Unreadable(f"holds {kind_of(document)}, not an object", _name_one())
            yield Entry(fault=fault, line=line, place=place or None)
            return
        answers = (reader.read(document, file) for reader in self._readers)
        entries = next((each for each in answers if each is not None), None)
        for entry in entries or ():
            entry.line = line if entry.place is None else None
            entry.place = ".".join(filter(None, (place, entry.place))) or None
            yield entry
        if entries is None:
            why = self._fault(document)
            yield Entry(document, line=line, place=place or None, fault=why)

    def _fault(self, document: Mapping[str, Any]) -> Unreadable | None:
        """Why an object that no system answers is no machine; None for a record of our own."""
        if "schema" in document or any(fact in document for fact in FACTS):
            return None
        is_list = any(isinstance(value, list) and value for value in document.values())
        return Unreadable(self._not_read(_OTHER_THINGS if is_list else _NO_ANSWER), _name_one())

    def _not_read(self, reason: str) -> str:
        """Why nobody reads it: it is not of the system that was named, or of none."""
        if self.system is None:
            return reason
        table = table_of(self.system)
        return f"is no answer of {table['title']}: `{table['command']}` gives one"


def _documents(text: str) -> list[tuple[Any, int]]:
    """Each JSON value of a text and its line."""
    documents = []
    decoder, line, counted = Decoder(keys_once=True), 1, 0
    start = len(text) - len(text.lstrip(_BLANKS))
    while start < len(text):
        line, counted = line + text.count("\n", counted, start), start
        value, start = decoder.parse_at(text, start)
        documents.append((value, line))
        while text[start : start + 1] in _BLANKS and start < len(text):
            start += 1
    return documents


def _text_of(content: bytes) -> str:
    if len(content) > MAX_TEXT_BYTES:
        error = too_large(MAX_TEXT_BYTES)
        error.remedy = "give it in parts, such as one file for each pool of machines"
        raise error
    try:
        return text_of(content)
    except Unreadable as error:
        if error.reason == "is not text":
            error.remedy = "unpack it if it is compressed, and write it as UTF-8"
        raise


def _name_one() -> str:
    return f"read are {', '.join(READERS)}, and records of `selfhost machine --format json`"
