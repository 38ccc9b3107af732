"""The order in which models are proposed: laws of the rule, and what an experienced self-hoster
expects of it on known machines; the first rows of a list are those of judging every model.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from helpers.machines import USUAL
from helpers.paths import TESTS
from judge.small import GIB, MACHINE, SPEC, work
from selfhost import Machine, Verdict, Workload
from selfhost.advice.listing import Lister, Ranking, chosen, kinds_in, named_by_words
from selfhost.advice.ranking import Standings, best_case, share_on
from selfhost.catalogue.index import Catalogue, open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import READING_TOKENS_PER_SECOND
from selfhost.judge.checks.speed import is_too_slow
from selfhost.judge.judging import judge
from selfhost.machine.named import named
from selfhost.machine.profiles import load


@pytest.mark.parametrize(
    ("mixture", "dense"),
    [
        pytest.param("qwen3-30b-a3b", "qwen3-14b", id="3B active"),
        pytest.param("qwen3-235b-a22b", "llama-3.3-70b-instruct", id="22B active"),
    ],
)
def test_a_mixture_counts_as_a_dense_model_of_about_five_times_its_active_parameters(
    mixture: str, dense: str
) -> None:
    """Qwen3's report sets 30B-A3B and 235B-A22B beside dense models of five times what they compute
    with (arXiv:2505.09388, 3.3): some 16 and 110 B.
    """
    standings = Standings(open_catalogue())
    assert standings.by_id[mixture].size > standings.by_id[dense].size


# what self-hosters run on these machines (llama.cpp's discussion 15396 of gpt-oss; guides of 2026
# by specpicks.com for the RTX 3060 and 24 GB, runaihome.com, agledger.ai and damenknight.com for
# the Strix Halo): mixtures, where the card is small with their experts in RAM, on 24 GB what it
# holds whole, on much shared memory the large mixtures; how far down they may stand is a guess.
# Nemotron 3 Super 120B, a newer mixture of that size, may stand before gpt-oss-120b on 64 GB
WELL_LIKED = {
    "rtx 3060 12gb 32gb": {
        "qwen3.6-35b-a3b": 5,
        "gemma-4-26b-a4b-it": 5,
        "gpt-oss-20b": 12,
    },
    "ryzen ai max 395 128gb": {
        "gpt-oss-120b": 5,
        "qwen3.5-122b-a10b": 5,
        "qwen3.6-35b-a3b": 8,
    },
    "rtx 4090 64gb": {
        "gpt-oss-120b": 13,
        "qwen3.8-27b": 2,
        "gemma-4-31b-it": 3,
        "qwen3.6-35b-a3b": 6,
    },
    # what the card holds whole, before mixtures of which more than half lies in RAM
    "a100 80gb": {
        "qwen3.5-122b-a10b": 3,
        "qwen3.8-27b": 3,
        "gpt-oss-120b": 7,
    },
    # its GPU holds it only once the limit of macOS is raised
    "macbook air m2 16gb": {"gpt-oss-20b": 8},
    "raspberry pi 5 8gb": {"gemma-4-e2b-it": 3, "qwen3.5-2b": 5},
}


@pytest.mark.parametrize("machine", WELL_LIKED)
def test_what_people_buy_a_machine_for_stands_near_the_top(
    machine: str, packed: Path
) -> None:
    """On two of them, too: dense 70B models at 3 tokens/s stood before gpt-oss-120b at 50."""
    catalogue = Catalogue.open(shipped=str(packed))
    places = WELL_LIKED[machine]
    is_slow_for_large = machine in ("rtx 3060 12gb 32gb", "ryzen ai max 395 128gb")
    rows = 60 if is_slow_for_large else max(places.values())
    listing = Lister(catalogue, Workload(), named(machine)[0]).first(rows)
    ids = [answer.model.id for answer in listing.models]
    too_low = [model for model, place in places.items() if model not in ids[:place]]
    assert too_low == []
    if is_slow_for_large:
        _assert_slow_models_stand_before_worse_ones_alone(listing, catalogue)


def _assert_slow_models_stand_before_worse_ones_alone(
    listing: Ranking, catalogue: Catalogue
) -> None:
    """Nothing below the pace of reading stands before its equal above it."""
    standings = Standings(catalogue)
    slow_worths: list[float] = []
    for answer in listing.models:
        standing = standings.by_id.get(answer.model.id)
        pace = answer.speed.decode if answer.speed is not None else None
        if standing is None or pace is None or standing.section != 0:
            continue
        if pace.likely < READING_TOKENS_PER_SECOND:
            slow_worths.append(standing.worth)
            continue
        codes = [finding.code for finding in answer.findings]
        if any(code.endswith(("tight", "not-known")) for code in codes):
            continue
        for worth in slow_worths:
            assert worth > standing.worth, answer.model.id


@pytest.mark.parametrize("profile", USUAL)
def test_the_first_models_of_the_list_are_worth_an_evening(
    profile: str, packed: Path
) -> None:
    """The first five answer a chat, are not superseded, were made in the last two years, and are as
    fast as the least that is useful.
    """
    catalogue = Catalogue.open(shipped=str(packed))
    machine = load(profile).machine
    listing = Lister(catalogue, Workload(), machine).first(5)
    standings = Standings(catalogue)
    assert len(listing.models) == 5
    for answer in listing.models:
        outline = catalogue.outlines.get(answer.model.id)
        assert outline is not None
        assert answer.can_run
        assert standings.traits(outline.uses)[1]
        assert outline.superseded_by is None
        assert (outline.released or "") >= "2024-11"
        assert not is_too_slow(answer)
        assert answer.why


def test_a_license_that_nobody_knows_halves_what_a_model_counts_for() -> None:
    """Where commercial use is asked for."""
    licensed = work(commercial=True)
    unlicensed = licensed.replace(spec=SPEC.replace(license=None))
    share = share_on(judge(licensed, MACHINE))
    assert share_on(judge(unlicensed, MACHINE)) == pytest.approx(share / 2)


def test_two_kinds_of_work_at_once_name_none() -> None:
    """Neither is what the list is for."""
    assert kinds_in(["code", "math"]) == (None, None)


def test_files_in_memory_are_free_for_the_model_whose_own_they_are() -> None:
    """So that a model that lies here already may have all of the memory."""
    stored = Machine.from_file(TESTS / "answers" / "files" / "stored.json")
    busy = stored.replace(memory_available_bytes=GIB, accelerators=())
    empty = busy.replace(models_present=())
    assert best_case(empty, BY_WHAT_IS_FREE).room_bytes == GIB
    assert best_case(busy, BY_WHAT_IS_FREE).room_bytes == busy.memory_limit_bytes


PROFILES = (
    "aws-c7g.4xlarge",
    "desktop-2x-rtx3090",
    "desktop-i3-8gb-no-gpu",
    "desktop-rtx4060-8gb",
    "jetson-nano-4gb",
    "macbook-air-m2-16gb",
    "raspberry-pi-5-8gb",
    "server-epyc-9654-768gb",
    "snapdragon-x-elite-32gb",
    "aws-p5.48xlarge",
)
BY_WHAT_IS_FREE = Workload(prompt_tokens=3_000, memory_basis="available")
ASKED = (
    Workload(),
    Workload(min_tokens_per_second=20.0),
    Workload(parallel=8, min_tokens_per_second=5.0),
    Workload(quantization="Q2_K"),
    Workload(runtime="vllm"),
    Workload(context_tokens=32_768, kv_cache_type="q8_0"),
    Workload(task="finetune"),
    BY_WHAT_IS_FREE,
)


@pytest.mark.parametrize("number", range(0, len(PROFILES), 2))
def test_no_model_gets_a_better_place_than_its_best_case(number: int) -> None:
    """On profiles, of 80 models of chance each: then the rows are those of judging all."""
    catalogue = open_catalogue()
    machine = load(PROFILES[number]).machine
    workload = ASKED[number % len(ASKED)]
    ids = Random(number).sample(catalogue.ids(), 80)
    lister = Lister(catalogue, workload, machine)
    try:
        whole = lister.all(ids)
    except WorkloadError:
        assert workload != Workload()
        return
    running = [row for row in whole.models if row.can_run]
    assert list(lister.first(20, ids).models) == running[:20]
    for answer in whole.models:
        outline = catalogue.outlines.get(answer.model.id)
        assert outline is not None
        assert lister.best_key(outline) <= lister.key(answer), answer.model.id


@pytest.mark.parametrize(
    "machine", ["rtx 4070", "desktop-ryzen-7700-32gb", "macbook-air-m2-16gb"]
)
def test_who_builds_an_agent_is_shown_general_models_first(machine: str) -> None:
    """A model of 2025-04 that clicks on screenshots (UI-TARS) and Jan Nano's 4 B stood above
    Qwen3.6.
    """
    catalogue = open_catalogue()
    lister = Lister(catalogue, Workload(), named(machine)[0], use="function-calling")
    first = lister.first(5, chosen(catalogue, use="function-calling")).models
    assert len(first) == 5
    for row in first:
        assert not row.model.uses or row.model.uses[0] != "function-calling"


@pytest.mark.parametrize(
    "use", [pytest.param("code", id="code"), pytest.param("medical", id="medicine")]
)
def test_what_was_made_for_a_kind_of_work_is_shown_first(use: str) -> None:
    """Before general models, which are better at all else."""
    catalogue = open_catalogue()
    lister = Lister(catalogue, Workload(), named("rtx 4070")[0], use=use)
    first = lister.first(3, chosen(catalogue, use=use)).models
    assert len(first) == 3
    for row in first:
        assert row.model.uses
        assert row.model.uses[0] == use


@pytest.mark.parametrize(
    ("typed", "in_names"),
    [
        pytest.param("coder", True, id="part of names"),
        # the kind itself is meant, which Codestral is too
        pytest.param("code", False, id="the kind"),
    ],
)
def test_a_word_that_names_have_puts_those_first(typed: str, in_names: bool) -> None:
    """`list coder` began with ornith and laguna, whose names do not show why."""
    catalogue = open_catalogue()
    ids = chosen(catalogue, words=[typed])
    held = named_by_words([typed], catalogue)
    assert bool(held) is in_names
    lister = Lister(catalogue, Workload(), named("rtx 4070")[0], use="code", named=held)
    first = lister.first(5, ids).models
    assert all(typed in row.model.id for row in first) is in_names


def likely_pace(verdict: Verdict) -> float:
    """The tokens that a model likely writes in a second."""
    assert verdict.speed is not None
    assert verdict.speed.decode is not None
    return verdict.speed.decode.likely


def test_the_fastest_useful_models_are_shown_before_toys() -> None:
    """`list --sort speed` began with pythia-70m, distilgpt2 and t5-small."""
    catalogue = open_catalogue()
    lister = Lister(catalogue, Workload(), named("rtx 4070")[0])
    ids = [
        "pythia-70m",
        "distilgpt2",
        "qwen3.5-9b",
        "smollm2-135m-instruct",
        "qwen3.6-35b-a3b",
    ]
    rows = sorted(lister.all(ids).models, key=likely_pace, reverse=True)
    assert rows[0].model.id in ("pythia-70m", "distilgpt2", "smollm2-135m-instruct")
    first = [row.model.id for row in lister.useful_first(rows)][:2]
    assert {*first} == {"qwen3.5-9b", "qwen3.6-35b-a3b"}
