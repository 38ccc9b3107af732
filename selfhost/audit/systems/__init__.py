"""Records that other systems hold already: the JSON that Ansible, Kubernetes and Prometheus answer
becomes `selfhost.machine/1` objects.

`specs/common/systems.toml` has a row for each system. An answer is recognized by its content, and
parsed at once, so it has a limit. Our own records pass through unchanged, so that a file or a
folder may mix systems.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.files import Unreadable, encoding_of, open_file, read_some
from ...core.json_text import Entry
from ...machine.record import FACTS
from .facts import table_of
from .hosts import read_ansible, read_prometheus
from .kubernetes import read as read_kubernetes

# the machines of a JSON document of that file; None where it is no answer of the system
READERS: Mapping[str, Callable[[Mapping[str, Any], str], list[Entry] | None]] = {
    "ansible": read_ansible,
    "kubernetes": read_kubernetes,
    "prometheus": read_prometheus,
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


def machines(record: Entry, file: str) -> Iterator[Entry]:
    """The machines that a JSON value tells of: a record of our own is one."""
    value = record.value
    if not isinstance(value, Mapping) or "schema" in value:
        yield record
        return
    answers = (read(value, file) for read in READERS.values())
    entries = next((each for each in answers if each is not None), None)
    if entries is None:
        if not any(fact in value for fact in FACTS):
            reason = "is no machine record, and no answer of a system that is read"
            record.fault = Unreadable(reason, what_is_read())
        yield record
        return
    for each in entries:
        each.place = ".".join(filter(None, (record.place, each.place))) or None
        each.line = record.line if each.place is None else None
        yield each


def what_is_read() -> str:
    """The commands whose output is read."""
    commands = ", ".join(f"`{table_of(name)['command']}`" for name in READERS)
    return f"read is the JSON of {commands} and `selfhost machine --format json`"
