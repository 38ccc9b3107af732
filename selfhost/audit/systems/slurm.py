"""Slurm: `sinfo --json` and `scontrol show node`, as text or as JSON.

Memory is MiB, as the site configured it (slurm.conf(5), RealMemory), and so is TmpDisk. FreeMem is
what Linux calls MemFree, without the page cache, so it is never what is available: what Slurm has
not given to jobs is RealMemory less AllocMem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...core import units
from ._accelerators import by_word, number_of, put_accelerators
from ._facts import (
    Facts,
    count,
    entry,
    labels,
    machine_name,
    plain,
    whole,
)
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._system import Path

_RECORD = "record the nodes: `srun -N <n> --ntasks-per-node=1 selfhost machine --format json`"
_NODE: Path = ("nodes", "[]")
_GROUP: Path = ("sinfo", "[]")
# of scontrol's text -> of its JSON
_KEYS = {
    "NodeName": "name", "Arch": "architecture", "CoresPerSocket": "cores", "CPUTot": "cpus",
    "CPUEfctv": "effective_cpus", "CPUAlloc": "alloc_cpus", "RealMemory": "real_memory",
    "AllocMem": "alloc_memory", "MemSpecLimit": "specialized_memory", "Sockets": "sockets",
    "Boards": "boards", "State": "state", "Gres": "gres", "Partitions": "partitions",
    "AvailableFeatures": "features", "OS": "operating_system",
    "NodeHostName": "hostname", "SlurmdStartTime": "start", "AllocTRES": "allocated",
}  # fmt: skip
# which scontrol prints of every node: one that lacks them where another has them is cut off
_STATED = ("RealMemory",)
_ALWAYS = ("RealMemory", "State", "AllocMem", "Sockets", "SlurmdStartTime", "AllocTRES")
_FIELD = re.compile(r"(?:^|\s)([A-Z][A-Za-z_]*)=")


class SlurmAnswers(Answers):
    """Nodes, or since 23.02 sinfo's groups of nodes that are alike."""

    system = "slurm"
    title = "Slurm"
    # `sinfo --json` is read too, of groups of nodes
    command = "scontrol show node --json"
    marks = (
        '"real_memory"',
        '"sinfo"',
        "NodeName=",
    )
    opened = (("nodes",), ("sinfo",))

    def __init__(self) -> None:
        super().__init__()
        # of the node whose lines are read
        self._fields: dict[str, str] = {}
        self._line = 1
        # keys that every node of the text has
        self._common: tuple[str, ...] = _STATED
        self._file = ""
        self._groups: dict[str, tuple[str, dict[str, Any]]] = {}

    def claims(self, path: Path, value: Any) -> bool:
        if path == _NODE:
            return entry(value, "real_memory") is not None
        return path == _GROUP and entry(value, "nodes", "nodes") is not None

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return (
            entry(members, "meta", "Slurm") is not None
            or entry(members, "meta", "slurm") is not None
        )

    def part(self, path: Path, value: Any, file: str) -> Iterator[RecordOrFault]:
        if path in (_NODE, _GROUP) and not self.claims(path, value):
            yield self.broken(value)
        elif path == _NODE:
            yield self._judged(value)
        elif path == _GROUP:
            self._add_group(value, file)

    def forget(self, file: str) -> None:
        super().forget(file)
        self._fields = {}
        self._groups = {name: group for name, group in self._groups.items() if group[0] != file}

    def rest(self) -> Iterator[tuple[str, RecordOrFault]]:
        for file, node in self._groups.values():
            yield file, self._judged(node)
        self._groups = {}

    def claims_text(self, start: str) -> bool:
        return start.lstrip().startswith("NodeName=")

    def line(self, text: str, file: str, number: int) -> Iterator[RecordOrFault]:
        """Lines of one node follow each other; with `-o` there is one."""
        if file != self._file:
            self._file, self._common = file, _STATED
        if text.lstrip().startswith("NodeName=") or not text.strip():
            yield from self.text_end(file)
            self._line = number
        matches = list(_FIELD.finditer(text))
        ends = [match.start() for match in matches[1:]] + [len(text)]
        for match, end in zip(matches, ends, strict=False):
            if match[1] in _KEYS:
                self._fields[_KEYS[match[1]]] = text[match.end() : end].strip()

    def _judged(self, node: Mapping[str, Any], line: int | None = None) -> RecordOrFault:
        """The record; the fault of a node that is down or does not respond."""
        states = _states(node)
        if _DOWN & states:
            name, state = machine_name(node.get("name")), "+".join(sorted(states))
            return self.not_judged(name, f"Slurm calls it {state}", line)
        return RecordOrFault(_record(node), line=line)

    def text_end(self, file: str) -> Iterator[RecordOrFault]:
        fields, self._fields = self._fields, {}
        if "name" in fields:
            missing = [word for word in self._common if _KEYS[word] not in fields]
            if missing:
                name = plain(fields["name"], 60)
                fault = f"the node {name} is cut off: it has no {missing[0]}"
                remedy = f"ask again: `{self.command}`"
                yield RecordOrFault(fault=fault, remedy=remedy, line=self._line)
                return
            if self._common is _STATED:
                self._common = tuple(word for word in _ALWAYS if _KEYS[word] in fields)
            yield self._judged(fields, self._line)
        elif fields:
            yield RecordOrFault(fault="has fields of a node without its NodeName")

    def _add_group(self, group: Any, file: str) -> None:
        """Nodes of a group are alike where least and most are the same; else the least counts. A
        node of several partitions is in several groups.
        """
        names = entry(group, "nodes", "nodes")
        partition = plain(entry(group, "partition", "name"))
        for name in names if isinstance(names, list) else ():
            earlier = self._groups.get(name) if isinstance(name, str) else None
            if earlier is not None:
                if partition and partition not in earlier[1]["partitions"]:
                    earlier[1]["partitions"].append(partition)
            elif isinstance(name, str):
                self.files.add(file)
                self._groups[name] = (file, _of_group(name, group, partition))


READER = SlurmAnswers


def _of_group(name: str, group: Any, partition: str | None) -> dict[str, Any]:
    is_idle = entry(group, "cpus", "allocated") == 0
    allocated = entry(group, "memory", "allocated")
    is_alone = entry(group, "nodes", "total") == 1
    return {
        "name": name,
        "cpus": entry(group, "cpus", "minimum"),
        "sockets": entry(group, "sockets", "minimum"),
        "cores": entry(group, "cores", "minimum"),
        "real_memory": entry(group, "memory", "minimum"),
        "alloc_memory": allocated if is_alone or is_idle else None,
        "alloc_cpus": entry(group, "cpus", "allocated") if is_alone or is_idle else None,
        "gres": entry(group, "gres", "total"),
        "features": entry(group, "features", "total"),
        "state": entry(group, "node", "state"),
        "partitions": [partition] if partition else [],
    }


def _record(node: Mapping[str, Any]) -> dict[str, Any]:
    machine = Facts()
    words = (plain(node.get("operating_system")) or "").split()
    machine.put_platform(
        words[0] if words else None, node.get("architecture"), "slurm, operating_system"
    )
    _put_memory(machine, node)
    sockets, each = count(_number(node.get("sockets"))), count(_number(node.get("cores")))
    if sockets and each:
        machine.put(
            "cpu_cores_physical",
            sockets * each,
            "slurm, sockets times cores, which are one socket's",
        )
    machine.put_cores(_number(node.get("effective_cpus")), "slurm, effective_cpus: as configured")
    machine.put_cores(_number(node.get("cpus")), "slurm, cpus: as configured")
    _put_gres(machine, node.get("gres"))
    machine.lacks(
        "instruction_sets",
        "Slurm does not read it; features are free text of the site, kept as the label"
        " slurm.features",
        _RECORD,
    )
    machine.lacks(
        "disks", "Slurm states TmpDisk as configured, not what is free where models are stored",
        _RECORD,
    )  # fmt: skip
    machine.lacks(
        ("system", "architecture", "memory_total_bytes", "memory_limit_bytes", "accelerators",
         "cpu_cores_physical", "cpu_cores_usable"),
        "this answer does not state it",
        "use `scontrol show node`",
    )  # fmt: skip
    machine.lacks(
        ("scope", "cpu_model", "cpu_cores_performance", "memory_bandwidth_bytes_per_second",
         "swap_free_bytes", "models_present", "runtimes", "read_at"),
        "Slurm does not hold it",
        _RECORD,
    )  # fmt: skip
    return machine.record(machine_name(node.get("name")), _labels(node))


def _put_memory(machine: Facts, node: Mapping[str, Any]) -> None:
    stated = _number(node.get("real_memory"))
    source = "slurm, real_memory, MiB: as the site configured it"
    total = machine.put_size("memory_total_bytes", stated, source, units.MIB)
    if total is None:
        machine.put_size("memory_limit_bytes", stated, source, units.MIB)
        return
    kept = _number(node.get("specialized_memory"))
    less = " less specialized_memory" if kept else ""
    machine.put_budget(total, kept, f"slurm, real_memory{less}: a budget of all jobs", units.MIB)
    budget = machine.values.get("memory_limit_bytes")
    if budget is None:
        return
    allocated = whole(_number(node.get("alloc_memory")), units.MIB)
    running = whole(_number(node.get("alloc_cpus")))
    if allocated is None:
        machine.lacks("memory_available_bytes", "the answer does not say what jobs have", _RECORD)
    elif allocated == 0 and running != 0:
        machine.lacks(
            "memory_available_bytes",
            "jobs have processors and no memory of this node: the site does not count memory"
            " (SelectTypeParameters without Memory)",
            _RECORD,
        )
    else:
        machine.put_available(
            max(budget - allocated, 0),
            "slurm, real_memory less alloc_memory: a budget, what no job has. free_mem is not"
            " used, for it counts the page cache as used",
        )


def _number(value: Any) -> Any:
    """Since 23.02 a number may be `{"set": true, "infinite": false, "number": 1}`."""
    if isinstance(value, Mapping):
        is_known = value.get("set") is True and value.get("infinite") is not True
        return value.get("number") if is_known else None
    return value


_GPU = re.compile(r"gpu(?::([A-Za-z0-9_.+-]{1,60}))?:(\d{1,4})(?:\([^)]*\))?", re.ASCII)


def _put_gres(machine: Facts, gres: Any) -> None:
    """`gpu:a100:4(S:0-1)`: a site's own word and a count, without memory."""
    if not isinstance(gres, str):
        return
    text = gres.strip()[:4000]
    kinds = [by_word(match[1] or "", number_of(match[2])) for match in _GPU.finditer(text)]
    if kinds or text in ("", "(null)", "N/A"):
        put_accelerators(
            machine,
            [kind for kind in kinds if kind.number],
            "slurm, gres: a count and the site's word"
            if kinds
            else "slurm, gres is empty: jobs get no GPU",
            _RECORD,
        )


def _host(node: Mapping[str, Any]) -> str | None:
    """Of several nodes that one host runs (front ends, tests); None where the node is the host."""
    host = machine_name(node.get("hostname"))
    return None if host == machine_name(node.get("name")) else host


# of slurm.h; a cloud node that is powered down starts when it is asked for. UNKNOWN: the controller
# has just started and has not heard of the node (sinfo(1), "NODE STATE CODES")
_DOWN = frozenset(("DOWN", "ERROR", "FAIL", "NOT_RESPONDING", "UNKNOWN"))


def _states(node: Mapping[str, Any]) -> set[str]:
    """Words such as IDLE and DRAIN; in text a star means that the node does not respond."""
    state = node.get("state")
    if isinstance(state, list):
        return {text.upper()[:60] for text in state[:32] if isinstance(text, str)}
    words = (plain(state) or "").upper().split("+")
    stars = {"NOT_RESPONDING" for word in words if word.endswith("*")}
    return {word.rstrip("*~#!%$@^-") for word in words if word} | stars


def _labels(node: Mapping[str, Any]) -> dict[str, str]:
    state = node.get("state")
    features = node.get("features")
    return labels(
        "slurm",
        {
            "partitions": node.get("partitions"),
            "host": _host(node),
            "features": None if features in ("(null)", "") else features,
            "state": [text.lower() for text in state if isinstance(text, str)]
            if isinstance(state, list)
            else (plain(state) or "").lower(),
        },
    )
