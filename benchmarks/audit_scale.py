"""How long `selfhost audit` takes for a fleet, how much memory, and whether it gives the verdicts
that one machine after the other gets.

Makes the fleet itself: every recorded machine of tests/machines as a shape, and every profile of
specs/machines unless `--recorded`, some far more frequent than others; memory, free space, what
accelerators have free and bandwidths differ from machine to machine, and some shapes lack a fact.
Seeded: two runs make the same file. Run it with the interpreter of an environment that has selfhost
installed from a wheel, as people have it. `--compare` holds result and deciding findings of each
machine and model against judging one by one, with a policy of paces, classes, exceptions and models
side by side.

    python benchmarks/audit_scale.py --machines 100000 --models 3
    python benchmarks/audit_scale.py --machines 100000 --models all
    python benchmarks/audit_scale.py --machines 100000 --models all --recorded
    python benchmarks/audit_scale.py --machines 2000 --models 8 --compare
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from selfhost.audit import fleet_judge, run
from selfhost.audit.machines import Fleet, load_machines
from selfhost.audit.policy import Policy, read_policy
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.rows import Audit, AuditRow
from selfhost.catalogue.index import open_catalogue
from selfhost.core.tables import Document
from selfhost.machine import profiles, reader

ROOT = Path(__file__).resolve().parent.parent
TODAY = "2026-11-21"
LACKING = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "cpu_cores_usable",
    "accelerators",
    "runtimes",
)
MIB = 1 << 20
# rows that differ, of which each is printed
_SHOWN = 5


def shapes(rng: random.Random, *, recorded: bool) -> list[dict[str, Any]]:
    """The records that the fleet is made of, in an order by chance: the first are the frequent.
    `recorded`: machines that were read alone, no profiles.
    """
    names = () if recorded else profiles.names()
    known = [profiles.load(name).machine for name in names]
    for folder in sorted((ROOT / "tests" / "machines").glob("*/root")):
        known.append(reader.read(root=folder))
    records = [machine.to_json() for machine in known]
    for record in records:
        # machines that run, not ones that are planned
        record["planning"] = False
        if rng.random() < 0.15:
            record[rng.choice(LACKING)] = None
        record["measured"] = rng.random() < 0.6
    rng.shuffle(records)
    return records


def fleet(
    count: int,
    rng: random.Random,
    *,
    recorded: bool,
) -> Iterator[dict[str, Any]]:
    """So many records."""
    kinds = shapes(rng, recorded=recorded)
    weights = [1 / (place + 1) ** 0.7 for place in range(len(kinds))]
    for number, kind in enumerate(rng.choices(kinds, weights, k=count)):
        record = dict(kind)
        is_measured = record.pop("measured")
        record["name"] = f"host-{number:07d}"
        record["labels"] = {"site": f"s{rng.randrange(20)}"}
        second = rng.randrange(86_400)
        record["read_at"] = (
            f"2026-11-{rng.randrange(1, 21):02d}T"
            f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        )
        differ(record, rng, is_measured=is_measured)
        yield record


def differ(
    record: dict[str, Any],
    rng: random.Random,
    *,
    is_measured: bool,
) -> None:
    """Give a machine numbers of its own."""
    total = record["memory_total_bytes"]
    if total:
        if record["system"] != "macos":
            # what firmware and kernel keep differs from machine to machine
            total -= rng.randrange(0, 16 * MIB, 4096)
        limit = min(total, record["memory_limit_bytes"] or total)
        record["memory_total_bytes"] = total
        if record["memory_limit_bytes"] is not None:
            record["memory_limit_bytes"] = limit
        record["memory_available_bytes"] = int(limit * rng.uniform(0.2, 0.97))
    if record["disks"]:
        free = rng.uniform(0.02, 1)
        disks = []
        for disk in record["disks"]:
            total_bytes = disk["total_bytes"] or 500e9
            disks.append({**disk, "free_bytes": int(total_bytes * free)})
        record["disks"] = disks
    # most accelerators are idle; others hold any part of one
    used = rng.choice([4, 4, 4, 450, rng.randrange(4, 8000)]) * MIB
    if record["accelerators"]:
        record["accelerators"] = [
            with_used_memory(card, used) for card in record["accelerators"]
        ]
    if is_measured:
        usual = record["memory_bandwidth_bytes_per_second"] or 40 * 10**9
        record["memory_bandwidth_bytes_per_second"] = int(usual * rng.uniform(0.7, 1.3))
        if how := rng.choice(["measured", "measured-briefly", None]):
            record["memory_bandwidth_how"] = how


def with_used_memory(card: Mapping[str, Any], used_bytes: int) -> Mapping[str, Any]:
    """The card with so much of its own memory in use, where it has more than that."""
    total_bytes = card["memory_total_bytes"] or 0
    if card["unified"] or total_bytes <= used_bytes:
        return card
    return {**card, "memory_free_bytes": total_bytes - used_bytes}


# what may lay boundaries between machines: classes with facts, a basis of memory, exceptions, and
# models side by side
CONDITIONS = """
[[class]]
name = "east"
match = { label = { site = "s1*" } }
memory = "available"
[class.facts]
disk = "300GB"
bandwidth = "60GB/s"
[[class]]
name = "big"
match = { memory_total = ">=30GiB", architecture = "x86_64" }
[[together]]
models = ["mistral-7b", "bge-m3"]
[[together]]
models = ["flux.1-dev", "qwen3-8b"]
machines = ["class:big"]
[[exception]]
model = "mistral-7b + bge-m3"
rule = "memory"
reason = "larger machines come"
owner = "ops"
machines = ["label:site=s[2-4]"]
expires = 2027-01-01
"""


def policy_text(models: str, *, asks_more: bool) -> str:
    """A policy of so many models, spread over the catalogue; `all` takes each with open weights.
    Where it `asks_more`, a pace is asked of every third, and it has `CONDITIONS`.
    """
    catalogue = open_catalogue()
    names = [name for name in catalogue.ids() if not catalogue.spec(name).closed]
    if models != "all":
        names = names[:: max(1, len(names) // int(models))][: int(models)]
    parts = ["schema = 1\n"]
    for number, name in enumerate(names):
        parts.append(f'[[model]]\nname = "{name}"\n')
        if asks_more and number % 3 == 0:
            parts.append("min_tokens_per_second = 6\n")
        if asks_more and number % 5 == 1:
            parts.append('machines = ["class:big", "label:site=s1"]\n')
    if asks_more:
        parts.append(CONDITIONS)
        parts += exceptions_for(names[:8])
    return "".join(parts)


def exceptions_for(names: Sequence[str]) -> Iterator[str]:
    """Two exceptions for each model, for the machines of some sites and for one machine."""
    for number, name in enumerate(names):
        for rule in ("memory", "disk"):
            yield (
                f'[[exception]]\nmodel = "{name}"\nrule = "{rule}"\n'
                'reason = "kits come"\nowner = "ops"\n'
                f'machines = ["label:site=s1*", "host:host-000000{number % 10}"]\n'
                "expires = 2027-01-01\n"
            )


def timed(policy: Path, records: Path) -> None:
    """The command, as people start it."""
    load = os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    program = [sys.executable, "-m", "selfhost"]
    words = [*program, "audit", str(policy), "--machines", str(records)]
    # not from the checkout, which would go before what is installed
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=records.parent
    )
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(done.stdout.partition("\n\n")[0])
    print(
        f"exit code {done.returncode}; wall {wall:.1f} s, CPU {cpu:.1f} s, peak of the largest"
        f" process {after.ru_maxrss / 1024:.0f} MiB; load {load:.1f} on {os.cpu_count()} cores"
    )


class Judged(NamedTuple):
    """The result of an audit, and how long it took."""

    audit: Audit
    seconds: float


def judged(
    policy: Policy,
    machines: Fleet,
    judge: PolicyJudge,
    *,
    least_of_a_kind: int,
) -> Judged:
    """The audit of a fleet. Machines are judged by kind where so many are alike, else alone."""
    fleet_judge._FEW = least_of_a_kind
    begun = time.perf_counter()
    audit = run.run_audit(policy, machines, judge, today=TODAY)
    return Judged(audit, time.perf_counter() - begun)


def compared(policy: Path, records: Path) -> int:
    """How many rows differ, in the result or the findings that decide it, from those given one by
    one.
    """
    read = read_policy(Document.read(str(policy)))
    machines = load_machines(str(records))
    judge = PolicyJudge(open_catalogue(), TODAY)
    by_kind = judged(read, machines, judge, least_of_a_kind=0)
    alone = judged(read, machines, judge, least_of_a_kind=sys.maxsize)
    pairs = 0
    different = 0
    for row, row_alone in zip(by_kind.audit.rows, alone.audit.rows, strict=True):
        pairs += 1
        if key(row) != key(row_alone):
            different += 1
            if different <= _SHOWN:
                print(key(row), key(row_alone), sep="\n  alone: ")
    exceptions = "the same"
    if by_kind.audit.exceptions != alone.audit.exceptions:
        exceptions = "others"
        different += 1
    print(
        f"{pairs:,} pairs, {different} different; exceptions {exceptions};"
        f" {by_kind.seconds:.1f} s by kind, {alone.seconds:.1f} s one by one;"
        f" load {os.getloadavg()[0]:.1f}"
    )
    return different


def key(row: AuditRow) -> Sequence[object]:
    """All that a row says but its words."""
    parts: list[object] = [row.machine, row.wanted.label, row.result, row.exit_code]
    parts += [row.route, row.failed, row.undecided, row.excepted]
    if row.verdict is not None:
        workload = row.verdict.workload
        parts += [workload.runtime, workload.format, workload.quantization]
    return parts


def main() -> int:
    """Make the fleet and the policy, and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--models", default="3")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--recorded", action="store_true", help="no profiles among the shapes"
    )
    parser.add_argument("--compare", action="store_true", help="judge one by one too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder, "fleet.jsonl")
        policy = Path(folder, "audit.toml")
        rng = random.Random(options.seed)
        with records.open("w") as file:
            for record in fleet(options.machines, rng, recorded=options.recorded):
                file.write(json.dumps(record) + "\n")
        policy.write_text(policy_text(options.models, asks_more=options.compare))
        print(
            f"{options.machines:,} machines, {records.stat().st_size / 1e6:.0f} MB of records"
        )
        if options.compare:
            return 1 if compared(policy, records) else 0
        timed(policy, records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
