"""Records that other systems hold already: the JSON that Ansible, Kubernetes, Slurm and Prometheus
answer becomes `selfhost.machine/1` objects.

`specs/common/systems.toml` has a row for each system. An answer is recognized by its content, and
parsed at once, so it has a limit. Our own records pass through unchanged, so that a file or a
folder may mix systems.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from ...core.files import Unreadable, encoding_of, open_file, read_some
from ...core.json_text import Entry
from ...machine.record import FACTS
from .facts import Answers, table_of
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
# of one answer: some 5,000 nodes of Kubernetes with all they state. Python takes up to 125 bytes a
# value
MAX_VALUES = 4_000_000
# what a file's name may end in beside the name of its machine
EXTENSIONS = (".json", ".jsonl")


def text_of_start(start: bytes) -> str:
    """The text that a file begins with."""
    return start.decode(encoding_of(start), "ignore").lstrip("\ufeff \t\r\n")


def is_foreign(text: str) -> bool:
    """Whether a text that begins so may be an answer of a system: one that begins with a record of
    our own is none, though its other lines may.
    """
    marks = (mark for name in READERS for mark in table_of(name)["marks"])
    return '"selfhost.machine/' not in text and any(mark in text for mark in marks)


def is_read(path: str) -> bool:
    """Whether a file of a folder is read: `*.json`, `*.jsonl`, and any that begins as a JSON
    object. `ansible --tree` calls a file as its host, and one of a host that it did not reach holds
    no facts. A file that cannot be opened is read too, for its fault is then told.
    """
    if path.endswith(EXTENSIONS):
        return True
    try:
        stream, _ = open_file(path)
        with stream:
            text = text_of_start(read_some(stream, START_BYTES))
    except Unreadable:
        return os.path.isfile(path) or not os.path.exists(path)
    # a brace and a key, or the end: templates begin with other braces
    return text[:1] == "{" and text[1:].lstrip()[:1] in ("", '"', "}")


class Reader:
    """Reads the answers of one run, in the order they are given; `rest` gives what is left at the
    end.
    """

    def __init__(self) -> None:
        self._readers = [reader() for reader in READERS.values()]

    def machines(self, entry: Entry, file: str) -> Iterator[Entry]:
        """The machines that a JSON value tells of: a record of our own is one."""
        value = entry.value
        if not isinstance(value, Mapping) or "schema" in value:
            yield entry
            return
        answers = (reader.read(value, file) for reader in self._readers)
        machines = next((each for each in answers if each is not None), None)
        if machines is None:
            if not any(fact in value for fact in FACTS):
                reason = "is no machine record, and no answer of a system that is read"
                entry.fault = Unreadable(reason, what_is_read())
            yield entry
            return
        for each in machines:
            each.place = ".".join(filter(None, (entry.place, each.place))) or None
            each.line = entry.line if each.place is None else None
            yield each

    def awaits(self, file: str) -> bool:
        """Whether `rest` will give machines that this file tells of."""
        return any(reader.awaits(file) for reader in self._readers)

    def rest(self) -> Iterator[tuple[str, Entry]]:
        """Each machine that all files together tell of, with the file of its first answer."""
        for reader in self._readers:
            yield from reader.rest()


def what_is_read() -> str:
    """The commands whose output is read."""
    commands = ", ".join(f"`{table_of(name)['command']}`" for name in READERS)
    return f"read is the JSON of {commands} and `selfhost machine --format json`"
