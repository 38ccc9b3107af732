"""A model that decodes with a draft."""

import pytest

from helpers.desktops import machine_with
from selfhost import Machine, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.core import units
from selfhost.judge.judging import judge
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.judge.question import ask
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

RTX_4090 = machine_with("NVIDIA GeForce RTX 4090")


def speed_of(
    model: str,
    draft: str | None = None,
    machine: Machine = RTX_4090,
    quantization: str = "Q4_K_M",
) -> Speed:
    asked = Workload(runtime="llama.cpp", quantization=quantization, draft=draft)
    catalogue = open_catalogue()
    speed = judge(ask(catalogue.spec(model), asked, catalogue, machine), machine).speed
    assert speed is not None
    return speed


def pace(
    model: str,
    draft: str | None = None,
    machine: Machine = RTX_4090,
    quantization: str = "Q4_K_M",
) -> PaceRange:
    decode = speed_of(model, draft, machine, quantization).decode
    assert decode is not None
    return decode


def test_a_small_draft_makes_a_large_dense_model_faster() -> None:
    """No faster than four tokens for each time that its weights are read."""
    alone, drafted = pace("qwen3-32b"), pace("qwen3-32b", "qwen3-0.6b")
    assert alone.likely < drafted.likely
    assert alone.low / 4 < drafted.low < alone.likely
    assert drafted.high < 4 * alone.high


def test_tokens_of_a_mixture_choose_experts_of_their_own() -> None:
    """So that checking four reads several times what one reads, and the draft gains less or nothing."""
    gains = [
        pace(model, "qwen3-0.6b").likely / pace(model).likely
        for model in ("qwen3-32b", "qwen3-30b-a3b")
    ]
    assert gains[1] < gains[0]


@pytest.mark.parametrize(("machine", "is_slower"), [("m4 max 128gb", True), ("2x rtx 3090", False)])
def test_a_draft_is_told_beside_the_pace_without_it(machine: str, is_slower: bool) -> None:
    """A chip that computes little beside its bandwidth checks four tokens in twice the time of one."""
    drafted, alone = (
        check("llama-3.3-70b-instruct", Workload(draft=draft), machine=machine)
        for draft in ("llama-3.2-1b-instruct", None)
    )
    assert drafted.speed is not None
    assert alone.speed is not None
    assert alone.speed.decode is not None
    likely = drafted.speed.undrafted_tokens_per_second
    assert likely is not None
    # beside the draft the model may be shared out otherwise
    assert likely == pytest.approx(alone.speed.decode.likely, rel=0.03)
    words = " ".join(plain(check_document([drafted])).split())
    assert f"about {units.speed(likely, likely)} without the draft" in words
    assert ("the draft likely makes it slower" in words) is is_slower


def test_a_draft_leaves_the_first_token_where_it_is() -> None:
    """llama-server drafts what follows the first token; of the rest it says why it is not told."""
    asked = Workload(runtime="llama.cpp", prompt_tokens=2048, parallel=4)
    alone, drafted = (
        check("qwen3-14b", asked.replace(draft=draft), machine="desktop-rtx4090-24gb")
        for draft in (None, "qwen3-0.6b")
    )
    assert alone.speed is not None
    assert drafted.speed is not None
    assert drafted.speed.first_token_seconds == alone.speed.first_token_seconds is not None
    assert drafted.speed.parallel_total is None
    assert "the total of 4 sequences at once with a draft is not known" in drafted.speed.how
    text = plain(check_document([drafted]))
    assert "the pace of 4 sequences at once is not known (see -v)" in text
