"""Slurm: the nodes of `scontrol show node`, as text or as JSON.

Memory is MiB, as the site configured it (slurm.conf(5), RealMemory). FreeMem is what Linux calls
MemFree, without the page cache, so it is never what is available: what Slurm has not given to jobs
is RealMemory less AllocMem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...core import units
from ...core.files import Unreadable
from ...core.json_text import Entry
from .facts import (
    Answers,
    Facts,
    entry,
    labels,
    machine_name,
    named_by_word,
    not_judged,
    number_of,
    plain,
    product,
    put_accelerators,
    table_of,
    whole,
)

# which scontrol prints of every node: one that lacks them where the first has them is cut off
_ALWAYS = ("real_memory", "state", "alloc_memory", "sockets", "start", "allocated")
_NODE = re.compile(r"(?m)^[ \t]*(?=NodeName=)|\n[ \t]*\n")
_FIELD = re.compile(r"(?:^|(?<=\s))([A-Z][A-Za-z_]*)=((?:(?!\s[A-Z][A-Za-z_]*=).)*)", re.MULTILINE)
_GPU = re.compile(r"gpu(?::([A-Za-z0-9_.+-]{1,60}))?:(\d{1,4})(?:\([^)]*\))?", re.ASCII)
# of slurm.h; a cloud node that is powered down starts when it is asked for. UNKNOWN: the controller
# has just started and has not heard of the node (sinfo(1), "NODE STATE CODES")
_DOWN = frozenset(("DOWN", "ERROR", "FAIL", "NOT_RESPONDING", "UNKNOWN"))


class SlurmAnswers(Answers):
    """Nodes. The groups of nodes that `sinfo --json` gives since 23.02 are faults."""

    system = "slurm"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        meta = document.get("meta")
        is_named = entry(meta, "Slurm") is not None or entry(meta, "slurm") is not None
        for key in ("nodes", "sinfo"):
            items = document.get(key)
            items = items if isinstance(items, list) else []
            are_nodes = [entry(item, "real_memory") is not None for item in items]
            if any(are_nodes) or (items and is_named):
                return [
                    _judged(item, place=f"{key}[{number}]")
                    if is_node
                    else self.broken(item, f"{key}[{number}]")
                    for number, (item, is_node) in enumerate(zip(items, are_nodes, strict=True))
                ]
        return [] if is_named else None

    def read_text(self, text: str, file: str) -> list[Entry] | None:
        """Lines of one node follow each other; with `-o` there is one."""
        return list(_nodes(text)) if text.lstrip().startswith("NodeName=") else None


READER = SlurmAnswers


def _nodes(text: str) -> Iterator[Entry]:
    table = table_of("slurm")
    keys, command = table["keys"], table["command"]
    starts = [match.end() for match in _NODE.finditer(text)]
    expected: list[str] = []
    line, counted = 1, 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        line, counted = line + text.count("\n", counted, start), start
        # by the keys of its JSON
        pairs = _FIELD.findall(text[start:end])
        fields = {keys[key]: value.strip() for key, value in pairs if key in keys}
        missing = [key for key in expected or ("real_memory",) if key not in fields]
        if fields and "name" not in fields:
            yield Entry(fault=Unreadable("has fields of a node without its NodeName"), line=line)
        elif fields and missing:
            word = next(word for word, key in keys.items() if key == missing[0])
            reason = f"the node {plain(fields['name'], 60)} is cut off: it has no {word}"
            yield Entry(fault=Unreadable(reason, f"ask again: `{command}`"), line=line)
        elif fields:
            expected = expected or [key for key in _ALWAYS if key in fields]
            yield _judged(fields, line=line)


def _judged(
    fields: Mapping[str, Any], *, line: int | None = None, place: str | None = None
) -> Entry:
    """The record; the fault of a node that is down or does not respond."""
    # since 23.02 a number may be `{"set": true, "infinite": false, "number": 1}`
    node = {key: _number(value) for key, value in fields.items()}
    name, state = machine_name(node.get("name")), node.get("state")
    states = state if isinstance(state, list) else [state]
    words = {*_upper(states)}
    if _DOWN & words:
        why = f"Slurm calls it {'+'.join(sorted(words))}"
        return not_judged(name, why, line=line, place=place)
    machine = Facts("slurm")
    system = (plain(node.get("operating_system")) or "").partition(" ")[0]
    machine.read_rows(node | {"operating_system": system or None})
    _put_memory(machine, node)
    cores = product(node.get("sockets"), node.get("cores"))
    machine.put("cpu_cores_physical", cores, "slurm, sockets times cores, which are one socket's")
    _put_gres(machine, node.get("gres"))
    host, features = machine_name(node.get("hostname")), node.get("features")
    kept = {
        "partitions": node.get("partitions"),
        # of several nodes that one host runs (front ends, tests)
        "host": None if host == name else host,
        "features": None if features in ("(null)", "") else features,
        "state": [word.lower() for word in states if isinstance(word, str)],
    }
    return Entry(machine.record(name, labels("slurm", kept)), line=line, place=place)


def _number(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    is_known = value.get("set") is True and value.get("infinite") is not True
    return value.get("number") if is_known else None


def _upper(states: list[Any]) -> Iterator[str]:
    """Words such as IDLE and DRAIN; in text a star means that the node does not respond."""
    words = [word for state in states[:32] for word in (plain(state) or "").upper().split("+")]
    for word in filter(None, words):
        yield word.rstrip("*~#!%$@^-")[:60]
        if word.endswith("*"):
            yield "NOT_RESPONDING"


def _put_memory(machine: Facts, node: Mapping[str, Any]) -> None:
    total = machine.values.get("memory_total_bytes")
    kept = whole(node.get("specialized_memory") or 0, units.MIB)
    if total is None or kept is None:
        return
    less = " less specialized_memory" if kept else ""
    budget, fact = max(total - kept, 0), "memory_available_bytes"
    machine.put("memory_limit_bytes", budget, f"slurm, real_memory{less}: a budget of all jobs")
    allocated = whole(node.get("alloc_memory"), units.MIB)
    if allocated is None:
        machine.lacks(fact, "the answer does not say what jobs have")
    elif allocated == 0 and whole(node.get("alloc_cpus")) != 0:
        machine.lacks(
            fact,
            "jobs have processors and no memory of this node: the site does not count memory"
            " (SelectTypeParameters without Memory)",
        )
    else:
        source = (
            "slurm, real_memory less alloc_memory: a budget, what no job has. free_mem is not used,"
            " for it counts the page cache as used"
        )
        machine.put(fact, max(budget - allocated, 0), source)


def _put_gres(machine: Facts, gres: Any) -> None:
    """`gpu:a100:4(S:0-1)`: a site's own word and a count, without memory."""
    text = gres.strip()[:4000] if isinstance(gres, str) else None
    kinds = [named_by_word(word, number_of(number)) for word, number in _GPU.findall(text or "")]
    if kinds:
        put_accelerators(machine, kinds, "slurm, gres: a count and the site's word")
    elif text in ("", "(null)", "N/A"):
        put_accelerators(machine, [], "slurm, gres is empty: jobs get no GPU")
