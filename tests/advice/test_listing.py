"""The first rows of a list are those of judging every model: of none does the judge find a better place than its bound."""

from __future__ import annotations

from random import Random

import pytest

from selfhost import Machine, Workload
from selfhost.advice.listing import Lister
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Disk

GIB = 2**30
PROFILES = (
    "aws-c7g.4xlarge", "desktop-2x-rtx3090", "desktop-i3-8gb-no-gpu", "desktop-rtx4060-8gb", "jetson-nano-4gb",
    "macbook-air-m2-16gb", "raspberry-pi-5-8gb", "server-epyc-9654-768gb", "snapdragon-x-elite-32gb", "aws-p5.48xlarge",
)  # fmt: skip
ASKED = (
    Workload(),
    Workload(min_tokens_per_second=20.0),
    Workload(parallel=8, min_tokens_per_second=5.0),
    Workload(quantization="Q2_K"),
    Workload(runtime="vllm"),
    Workload(context_tokens=32_768, kv_cache_type="q8_0"),
    Workload(task="finetune"),
    Workload(prompt_tokens=3_000, memory_basis="available"),
)


DISK = Disk(purpose="llama.cpp", path="/models", free_bytes=500 * GIB, total_bytes=900 * GIB, writable=True)  # fmt: skip


def _machine_of_chance(chance: Random) -> Machine:
    """Any size of RAM, any number of any GPU, any bandwidth; each may be unread."""
    ram = chance.choice([2, 8, 16, 32, 64, 256, 1024]) * GIB
    cards = [
        ("nvidia", "NVIDIA GeForce RTX 3060", 12, "8.6"), ("nvidia", "NVIDIA H100 80GB HBM3", 80, "9.0"),
        ("amd", "AMD Radeon RX 7900 XTX", 24, None), ("nvidia", "unlisted", 16, None),
    ]  # fmt: skip
    vendor, name, gib, capability = chance.choice(cards)
    card = Accelerator(
        vendor=vendor,
        name=name,
        unified=False,
        memory_total_bytes=gib * GIB,
        memory_free_bytes=int(gib * GIB * chance.uniform(0.5, 1)),
        compute_capability=capability,
    )
    cores = chance.choice([1, 4, 16, 64])
    return Machine(
        name="by chance",
        system="linux",
        architecture="x86_64",
        memory_total_bytes=ram,
        memory_limit_bytes=ram,
        memory_available_bytes=chance.choice([None, int(ram * chance.uniform(0.3, 0.95))]),
        cpu_cores_usable=cores,
        cpu_cores_physical=chance.choice([None, cores]),
        cpu_model=chance.choice([None, "AMD Ryzen 7 7800X3D 8-Core Processor"]),
        memory_bandwidth_bytes_per_second=chance.choice([None, int(chance.uniform(5, 900) * 1e9)]),
        accelerators=chance.choice([None, (), (card,), (card,) * 2, (card,) * 8]),
        disks=chance.choice([None, (DISK,)]),
        models_present=(),
    )


@pytest.mark.parametrize("number", range(0, len(PROFILES) + 10, 5))
def test_no_model_gets_a_better_place_than_its_best_case(number: int) -> None:
    """On profiles and on machines of chance, of 80 models of chance each: then the rows are those of judging all."""
    chance, catalogue = Random(number), open_catalogue()
    profile = PROFILES[number] if number < len(PROFILES) else None
    machine = load(profile).machine if profile is not None else _machine_of_chance(chance)
    # the usual question on every other machine
    workload = Workload() if number % 2 else ASKED[number // 2 % len(ASKED)]
    ids = chance.sample(catalogue.ids(), 80)
    lister = Lister(catalogue, workload, machine)
    try:
        whole = lister.all(ids)
    except WorkloadError:
        assert workload != Workload()
        return
    assert lister.first(20, ids).answers == tuple(row for row in whole.answers if row.can_run)[:20]
    for answer in whole.answers:
        outline = catalogue.outline(answer.model.id)
        assert outline is not None
        assert lister.best_key(outline) <= lister.key(answer), answer.model.id
