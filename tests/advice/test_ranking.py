"""The order in which models are proposed: laws of the rule, and what an experienced self-hoster expects of it on known machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.machines import USUAL
from helpers.paths import RECORDS
from selfhost import Machine, ModelSpec, Workload, check, rank
from selfhost.advice.listing import Lister, Listing
from selfhost.advice.ranking import Standings, share_on
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.units import GIB
from selfhost.core.workload import READING_TOKENS_PER_SECOND
from selfhost.judge.checks import Finding
from selfhost.judge.checks.speed import is_too_slow
from selfhost.judge.pace.prompt_copies import copied_per_second, copies_of
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.judge.record import Judged, Outcome, Question
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load

QUESTION = Question(spec=ModelSpec(id="m", name="M"), workload=Workload())


def judged(likely: float | None) -> Judged:
    pace = None if likely is None else PaceRange(low=likely / 2, likely=likely, high=likely * 2)
    speed = None if pace is None else Speed(decode=pace, prompt=None, how="made up")
    return Judged(question=QUESTION, findings=(), speed=speed)


def test_a_picture_in_seconds_comes_before_one_in_many_minutes() -> None:
    """SDXL-Turbo, of a quarter of the size, before FLUX.1 at half an hour a picture."""

    def drawn(seconds: float) -> Judged:
        work = PaceRange(low=seconds / 2, likely=seconds, high=seconds * 2)
        speed = Speed(work=work, unit="seconds_per_image", how="made up")
        return Judged(question=QUESTION, findings=(), speed=speed)

    assert share_on(drawn(30)) > 4 * share_on(drawn(1800))
    assert share_on(drawn(4)) < 1.1 * share_on(drawn(10))


def test_a_slower_link_to_the_gpu_counts_against_what_lies_beside_it() -> None:
    """As many weights in RAM cross for a prompt to an RX 6500 XT over 4 lanes of PCIe 4.0, to an RTX 3060 over 16, and with nothing in RAM none do."""
    needs = check("qwen3.6-35b-a3b", machine="rtx 3060 12gb 32gb").needs
    assert needs is not None
    assert needs.placement == "split"
    whole = judged(20).replace(needs=needs)
    assert whole.speed is not None
    shares = [share_on(whole)]
    pace = PaceRange(low=1e3, likely=1e3, high=1e3)
    for card in ("NVIDIA GeForce RTX 3060", "AMD Radeon RX 6500 XT"):
        copies = copies_of(pace, 10**10, 0.0, copied_per_second([card]))
        shares.append(share_on(whole.replace(speed=whole.speed.replace(prompt_copies=copies))))
    assert shares == sorted(shares, reverse=True)
    assert shares[2] < 0.8 * shares[1]


@pytest.mark.parametrize(
    ("mixture", "dense"),
    [("qwen3-30b-a3b", "qwen3-14b"), ("qwen3-235b-a22b", "llama-3.3-70b-instruct")],
)
def test_a_mixture_counts_as_a_dense_model_of_about_five_times_its_active_parameters(
    mixture: str, dense: str
) -> None:
    """Qwen3's report sets 30B-A3B and 235B-A22B beside dense models of five times what they compute with (arXiv:2505.09388, 3.3): some 16 and 110 B."""
    standings = Standings(open_catalogue())
    sparse, whole = standings.of(mixture), standings.of(dense)
    assert sparse is not None
    assert whole is not None
    assert sparse.size > whole.size


# what self-hosters run on these machines (llama.cpp's discussion 15396 of gpt-oss; guides of 2026 by
# specpicks.com for the RTX 3060 and 24 GB, runaihome.com, agledger.ai and damenknight.com for the
# Strix Halo): mixtures, where the card is small with their experts in RAM, on 24 GB what it holds
# whole, on much shared memory the large mixtures; how far down they may stand is a guess
WELL_LIKED = {
    "rtx 3060 12gb 32gb": {"qwen3.6-35b-a3b": 5, "gemma-4-26b-a4b-it": 5, "gpt-oss-20b": 12},
    "ryzen ai max 395 128gb": {"gpt-oss-120b": 5, "qwen3.5-122b-a10b": 5, "qwen3.6-35b-a3b": 8},
    "rtx 4090 64gb": {
        "gpt-oss-120b": 10, "qwen3.8-27b": 2, "gemma-4-31b-it": 3, "qwen3.6-35b-a3b": 6,
    },
    # what the card holds whole, before mixtures of which more than half lies in RAM
    "a100 80gb": {"qwen3.5-122b-a10b": 2, "qwen3.8-27b": 3, "gpt-oss-120b": 7},
    "macbook air m2 16gb": {"gpt-oss-20b": 5},
    "raspberry pi 5 8gb": {"gemma-4-e2b-it": 3, "qwen3.5-2b": 5},
}  # fmt: skip


@pytest.mark.parametrize("machine", WELL_LIKED)
def test_what_people_buy_a_machine_for_stands_near_the_top(machine: str, packed: Path) -> None:
    """On two of them, too: dense 70B models at 3 tokens/s stood before gpt-oss-120b at 50."""
    catalogue = Catalogue.open(shipped=str(packed))
    places = WELL_LIKED[machine]
    is_slow_for_large = machine in ("rtx 3060 12gb 32gb", "ryzen ai max 395 128gb")
    rows = 60 if is_slow_for_large else max(places.values())
    listing = Lister(catalogue, Workload(), machine_named(machine)).first(rows)
    ids = [answer.model.id for answer in listing.answers]
    assert {model for model, place in places.items() if model not in ids[:place]} == set()
    if is_slow_for_large:
        _nothing_below_reading_speed_stands_before_its_equal_above_it(listing, catalogue)


def _nothing_below_reading_speed_stands_before_its_equal_above_it(
    listing: Listing, catalogue: Catalogue
) -> None:
    standings = Standings(catalogue)
    slow_worths: list[float] = []
    for answer in listing.answers:
        standing_of_it = standings.of(answer.model.id)
        pace = answer.speed.decode if answer.speed is not None else None
        if standing_of_it is None or pace is None or standing_of_it.section != 0:
            continue
        if pace.likely < READING_TOKENS_PER_SECOND:
            slow_worths.append(standing_of_it.worth)
        elif not any(finding.code.endswith(("tight", "not-known")) for finding in answer.findings):
            assert all(worth > standing_of_it.worth for worth in slow_worths), answer.model.id


@pytest.mark.parametrize(
    ("likely", "wanted", "slow"),
    [(1.9, None, True), (2.1, None, False), (8, 9, True), (None, 9, False), (0.1, 0, False)],
)
def test_the_likely_pace_decides_what_is_too_slow(
    likely: float | None, wanted: float | None, slow: bool
) -> None:
    """2 tokens/s where no minimum is stated, as the contract has it; an unknown pace is not slow."""
    assert is_too_slow(judged(likely), wanted) is slow


@pytest.mark.parametrize("code", ["memory-tight", "accelerator-tight", "memory-not-now"])
def test_what_leaves_little_room_counts_for_less(code: str) -> None:
    roomy = judged(9)
    finding = Finding(
        check=code.partition("-")[0], outcome=Outcome.PASS, code=code, reason="Little is left."
    )
    crowded = roomy.replace(findings=(finding,))
    assert share_on(crowded) < share_on(roomy)


def test_no_model_that_leaves_nothing_free_is_proposed_first(packed: Path) -> None:
    """On 24 GiB with 22 free a model of 21.7 GiB stood first, as if nothing else ever ran."""
    machine = Machine.from_file(RECORDS / "vm-24gib.json").replace(
        memory_available_bytes=int(22.2 * GIB)
    )
    first, *others = check("gpt-4o", machine=machine).alternatives
    assert first.memory_high_bytes is not None
    assert first.memory_high_bytes <= 21 * GIB
    assert others
    (best,) = Lister(Catalogue.open(shipped=str(packed)), Workload(), machine).first(1).answers
    assert best.needs is not None
    assert best.needs.memory is not None
    assert best.needs.memory.high_bytes <= 21 * GIB


@pytest.mark.parametrize("profile", USUAL)
def test_the_first_models_of_the_list_are_worth_an_evening(profile: str, packed: Path) -> None:
    """The first five answer a chat, are not superseded, were made in the last two years, and are as fast as the least that is useful."""
    catalogue = Catalogue.open(shipped=str(packed))
    machine = load(profile).machine
    listing = Lister(catalogue, Workload(), machine).first(5)
    standings = Standings(catalogue)
    assert len(listing.answers) == 5
    for answer in listing.answers:
        outline = catalogue.outline(answer.model.id)
        assert outline is not None
        assert answer.can_run
        assert standings.answers(outline.uses)
        assert outline.superseded_by is None
        assert (outline.released or "") >= "2024-11"
        assert not is_too_slow(answer, None)
        assert listing.why[answer.model.id]


def test_who_asks_for_a_use_gets_what_is_made_for_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """`list --use code` put general chat tunes that also write code before Qwen3-Coder and Devstral."""
    coders = ("qwen3-coder-30b-a3b-instruct", "devstral-small-2507")
    general = ("dolphin3.0-llama3.1-8b", "openchat-3.5-0106")
    monkeypatch.setattr(Catalogue, "ids", lambda _: tuple(sorted((*coders, *general))))
    ranking = rank(use="code", machine="desktop-rtx4090-24gb")
    paces = {each.model.id: each.decode_tokens_per_second for each in ranking.models}
    # what is too slow to read comes last, whatever it is made for
    ids = [name for name, pace in paces.items() if pace is not None and pace.likely >= 5]
    assert max(map(ids.index, coders)) < min(map(ids.index, general))


def test_gpt_4o_on_a_large_gpu_is_answered_with_models_at_reading_speed() -> None:
    """A 70B at 1 to 3 tokens/s must not come before what runs on the GPU at a pace that people read."""
    verdict = check("gpt-4o", machine=load("desktop-rtx4090-24gb").machine)
    assert verdict.alternatives
    for other in verdict.alternatives:
        assert other.decode_tokens_per_second is not None
        assert other.decode_tokens_per_second.likely >= 5


def test_an_auditable_model_in_place_of_gpt_4_follows_instructions() -> None:
    """Pythia is open in every respect, and a base model of 2023: nobody who asks for GPT-4 is served with it."""
    verdict = check("gpt-4", Workload(auditable=True), machine=load("desktop-rtx4090-24gb").machine)
    standings = Standings(open_catalogue())
    assert verdict.alternatives
    for other in verdict.alternatives:
        standing_of_it = standings.of(other.id)
        assert standing_of_it is not None
        assert standings.answers(standing_of_it.uses)
