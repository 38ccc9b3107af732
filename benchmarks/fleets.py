"""A fleet of machines that is made up, for timing audits, and a policy for it.

Every recorded machine of tests/machines is a shape, and every profile of specs/machines, some far more
frequent than others; memory, free space, what accelerators have free and bandwidths differ from
machine to machine, and some shapes lack a fact. Seeded: two runs make the same files.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfhost.catalogue.index import open_catalogue
from selfhost.machine import profiles, reader

ROOT = Path(__file__).resolve().parent.parent
LACKING = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "cpu_cores_usable",
    "accelerators",
    "runtimes",
)
MIB = 1 << 20
_SEED = 7


def shapes(rng: random.Random) -> list[dict[str, Any]]:
    """The records that the fleet is made of, in an order by chance: the first are the frequent."""
    known = [profiles.load(name).machine for name in profiles.names()]
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


def fleet(count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """So many records."""
    kinds = shapes(rng)
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


def policy_text(models: int) -> str:
    """A policy of so many models with open weights, spread over the catalogue."""
    catalogue = open_catalogue()
    names = [name for name in catalogue.ids() if not catalogue.spec(name).closed]
    parts = ["schema = 1\n"]
    for name in names[:: max(1, len(names) // models)][:models]:
        parts.append(f'[[model]]\nname = "{name}"\n')
    return "".join(parts)


def write(folder: Path, machines: int, models: int) -> tuple[Path, Path]:
    """Write the policy and the records, and return their paths."""
    policy = folder / "audit.toml"
    policy.write_text(policy_text(models), encoding="utf-8")
    records = folder / "fleet.jsonl"
    with records.open("w", encoding="utf-8") as file:
        for record in fleet(machines, random.Random(_SEED)):
            file.write(json.dumps(record) + "\n")
    return policy, records
