"""The cost of a month: by API and here."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from selfhost import Load, Machine, Workload, check

RECORD = Machine.from_file(str(RECORDS / "vm-24gib.json"))


@pytest.mark.parametrize(
    ("text", "read", "written", "assumed"),
    [
        ("2M:500k", 2_000_000, 500_000, False),
        ("200k", 150_000, 50_000, True),
        ("0:12", 0, 12, False),
        ("1,000", 750, 250, True),
        ("1", 1, 0, True),
    ],
)
def test_a_load_is_counted_as_price_lists_count(
    text: str, read: int, written: int, assumed: bool
) -> None:
    """k and M are thousands and millions, as in a price per million tokens; one figure is split three to one, and is said to be."""
    load = Load.parse(text)
    assert (load.input_tokens_per_day, load.output_tokens_per_day, load.assumed_split) == (
        read,
        written,
        assumed,
    )
    assert Load.parse(load.options().split()[1]) == load


@pytest.mark.parametrize(
    "text", ["", ":", "2M:", ":5", "0", "0:0", "-5", "1:2:3", "many", "1.5", "1e6", "k", "½"]
)
def test_what_is_no_load_is_refused(text: str) -> None:
    """Half a token, nothing at all, or words: refused, with what to write."""
    with pytest.raises(ValueError, match=r"number|more than no tokens"):
        Load.parse(text)


def test_a_month_by_api_is_thirty_times_the_day() -> None:
    """GPT-4o at $2.50 and $10 a million: 2M in and 500k out a day are $10 a day, $300 in 30 days."""
    cost = check("gpt-4o", Workload(load=Load.parse("2M:500k")), machine=RECORD).monthly_cost
    assert cost is not None
    assert cost.days_per_month == 30
    (one,) = cost.offers
    assert one.usd_per_month == 300
    assert cost.here is None


def test_energy_is_that_of_the_hours_at_the_power_that_was_stated() -> None:
    """At most all hours of a day; without a power the answer says what would tell, and no price is made up."""
    load = Load.parse("10k:10k")
    owned = load.replace(watts=40.0, electricity_per_kwh=0.5)
    endless = Load.parse("900M:900M").replace(watts=100.0)
    unknown, stated, late = (
        check("mistral-7b", Workload(load=one), machine=RECORD).monthly_cost.here
        for one in (load, owned, endless)
    )
    assert unknown is not None
    assert (unknown.kwh_per_month, unknown.electricity_per_month) == (None, None)
    (entry,) = unknown.unknown
    assert (entry.fact, "--watts" in (entry.remedy or "")) == ("watts", True)
    assert stated is not None
    assert (stated.keeps_up, stated.watts) == (True, 40)
    for end in ("low", "likely", "high"):
        hours, kwh = getattr(stated.hours_per_day, end), getattr(stated.kwh_per_month, end)
        assert kwh == pytest.approx(30 * hours * 40 / 1000)
        assert getattr(stated.electricity_per_month, end) == pytest.approx(kwh / 2)
    assert late is not None
    assert late.keeps_up is False
    assert late.kwh_per_month is not None
    assert late.kwh_per_month.low == late.kwh_per_month.high == 30 * 24 * 100 / 1000


@pytest.mark.parametrize(
    ("profile", "watts"),
    [
        # board power by the maker's own page
        ("desktop-rtx4090-24gb", 450),
        # the whole computer at the wall, by support.apple.com/102027
        ("mac-studio-m2-ultra-128gb", 295),
    ],
)
def test_a_card_has_the_rating_of_its_maker(profile: str, watts: float) -> None:
    """On an accelerator the board's power counts, not the processor's."""
    verdict = check("llama-3.1-8b", Workload(load=Load.parse("10k:10k")), machine=profile)
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.here is not None
    assert verdict.monthly_cost.here.watts == watts


@pytest.mark.parametrize(
    ("name", "unit"), [("whisper-small", "minute of audio"), ("sdxl-base-1.0", "image")]
)
def test_a_load_in_tokens_does_not_apply_to_sound_and_pictures(name: str, unit: str) -> None:
    """They are paid by the minute and by the image: no bill is made up, and the answer says why."""
    cost = check(name, Workload(load=Load.parse("1M")), machine=RECORD).monthly_cost
    assert cost is not None
    assert (cost.offers, cost.here, cost.input_tokens_per_day) == ((), None, None)
    assert unit in (cost.reason or "")


def test_the_hours_are_those_of_all_sequences_together() -> None:
    """Of 64 users at once the total pace writes; reading takes as long as before."""
    load = Load.parse("20M:5M")
    alone, together = (
        check(
            "llama-3.1-8b",
            Workload(load=load, parallel=parallel, runtime="llama.cpp", quantization="Q4_K_M"),
            machine="server-8x-h100",
        )
        for parallel in (1, 64)
    )
    assert alone.speed is not None
    assert together.speed is not None
    reading, total = alone.speed.prompt, together.speed.parallel_total
    assert reading is not None
    assert total is not None
    hours = (20e6 / reading.likely + 5e6 / total.likely) / 3600
    assert together.monthly_cost.here.hours_per_day.likely == pytest.approx(hours)
    assert alone.monthly_cost.here.hours_per_day.likely > 2 * hours
