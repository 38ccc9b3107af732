"""The first rows of a list are those of judging every model: of none does the judge find a better place than its bound."""

from __future__ import annotations

from random import Random

import pytest

from selfhost import Workload
from selfhost.advice.listing import Lister
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.machine.profiles import load

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


@pytest.mark.parametrize("number", range(0, len(PROFILES), 2))
def test_no_model_gets_a_better_place_than_its_best_case(number: int) -> None:
    """On profiles, of 80 models of chance each: then the rows are those of judging all."""
    chance, catalogue = Random(number), open_catalogue()
    machine, workload = load(PROFILES[number]).machine, ASKED[number % len(ASKED)]
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
