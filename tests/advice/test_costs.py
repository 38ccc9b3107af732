"""The cost of a month: by API and here, with arithmetic that a calculator can check."""

from __future__ import annotations

import re
import tomllib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.paths import COMMON, RECORDS
from selfhost import Load, Machine, Workload, check
from selfhost.advice.costs import monthly_cost
from selfhost.catalogue.offers import Offer
from selfhost.judge.costs import MonthlyCost
from selfhost.judge.pace.speed import PaceRange, Speed

RECORD = Machine.from_file(str(RECORDS / "vm-24gib.json"))
RATINGS = tomllib.loads((COMMON / "power.toml").read_text(encoding="utf-8"))
# a desktop whose processor and card are named
DESKTOP = RECORD.replace(
    name="desktop", scope="host", cpu_model="13th Gen Intel(R) Core(TM) i9-13900K"
)


def calculated(line: str) -> tuple[float, float, float]:
    """What a calculator makes of the left side of a line, what the line says, and half a step of its last digit."""
    left, _, right = line.split(", ×")[0].partition(" = ")
    left = re.sub(r"^(energy, |meets, )?(slow end|likely|fast end|hardware):", "", left)
    for word in (
        "days",
        "hours",
        "kWh",
        "W",
        "s",
        "$",
        ",",
    ):
        left = left.replace(word, "")
    said = re.search(r"[\d.]+", right.replace(",", ""))
    assert said
    assert re.fullmatch(r"[\d.()+*/ -]+", left.replace("×", "*")), left
    return (
        eval(left.replace("×", "*")),
        float(said[0]),
        0.5 * 10.0 ** -len(said[0].partition(".")[2]),
    )


@pytest.mark.parametrize(
    ("text", "read", "written", "assumed"),
    [
        ("2M:500k", 2_000_000, 500_000, False),
        ("200k", 150_000, 50_000, True),
        ("1.5M:0", 1_500_000, 0, False),
        ("0:12", 0, 12, False),
        ("5M", 3_750_000, 1_250_000, True),
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
    assert (
        one.arithmetic == "30 days × (2,000,000 × $2.50 + 500,000 × $10.00) / 1,000,000 = $300.00"
    )
    assert cost.here is None


@given(read=st.integers(0, 10**9), written=st.integers(0, 10**9))
def test_every_line_can_be_checked_with_a_calculator(read: int, written: int) -> None:
    """What a line says on its left is what it says on its right, to the last digit that is printed."""
    if not read + written:
        return
    load = Load(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        watts=90,
        electricity_per_kwh=0.3,
        hardware_price=1999.95,
        currency_per_usd=0.92,
    )
    cost = check("mistral-7b", Workload(load=load), machine=RECORD).monthly_cost
    assert cost is not None
    assert cost.here is not None
    lines = [*(one.arithmetic for one in cost.offers), *cost.here.arithmetic]
    lines += [one.meets.arithmetic for one in cost.offers if one.meets and one.meets.arithmetic]
    for line in lines:
        assert line is not None
        left, right, half = calculated(line)
        assert left == pytest.approx(right, abs=half * 1.001, rel=1e-9), line


def test_energy_is_counted_only_where_a_power_is_known() -> None:
    """A rating or the owner's figure; a virtual machine has neither, and the answer says what would tell."""
    load = Load.parse("10k:10k")
    unknown, rated, stated = (
        check("mistral-7b", Workload(load=one), machine=machine).monthly_cost
        for one, machine in ((load, RECORD), (load, DESKTOP), (load.replace(watts=40.0), RECORD))
    )
    assert unknown is not None
    assert unknown.here is not None
    assert unknown.here.kwh_per_month_high is None
    (entry,) = unknown.here.unknown
    assert entry.fact == "watts"
    assert "--watts" in (entry.remedy or "")
    assert rated is not None
    assert rated.here is not None
    # Processor Base Power of a Core i9-13900K: 125 W (Intel)
    assert (rated.here.watts_low, rated.here.watts_high) == (125, 125)
    assert "i9-13900K" in (rated.here.watts_source or "")
    assert rated.here.electricity_per_month_high is None, "a price of electricity is never made up"
    assert stated is not None
    assert stated.here is not None
    assert stated.here.watts_high == 40
    assert stated.here.kwh_per_month_high == pytest.approx(
        30 * (stated.here.hours_per_day_high or 0) * 40 / 1000, rel=1e-3
    )


@pytest.mark.parametrize(
    ("profile", "watts"),
    [
        # board power by the makers' own pages: GeForce RTX 4090 450 W, RTX 3060 170 W, RTX 5090 575 W, Radeon RX 7900 XTX 355 W
        ("desktop-rtx4090-24gb", 450),
        ("desktop-rtx3060-12gb", 170),
        ("desktop-rtx5090-32gb", 575),
        # the whole computer at the wall, by support.apple.com/102027
        ("mac-studio-m2-ultra-128gb", 295),
    ],
)
def test_a_card_has_the_rating_of_its_maker(profile: str, watts: float) -> None:
    """On an accelerator the board's power counts, not the processor's."""
    from selfhost.machine.profiles import load as profile_of

    verdict = check(
        "llama-3.1-8b", Workload(load=Load.parse("10k:10k")), machine=profile_of(profile).machine
    )
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.here is not None
    assert verdict.monthly_cost.here.watts_high == watts


def test_a_price_counts_for_the_prompts_that_it_is_for() -> None:
    """Gemini 3.1 Pro: $2 and $12 up to 200,000 tokens of prompt, $4 and $18 above (genai-prices 0.2.3, litellm 1.109.1)."""
    short, long = (
        check(
            "gemini-3.1-pro-preview",
            Workload(load=Load.parse("2M:500k"), context_tokens=context),
            machine=RECORD,
        )
        for context in (200_000, 200_001)
    )
    for verdict, prices, limits, bill in (
        (short, (2.0, 12.0), (200_000, None), 300.0),
        (long, (4.0, 18.0), (None, 200_000), 510.0),
    ):
        (offer,) = verdict.api_offers
        assert (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens) == prices
        assert (offer.price_holds_to_tokens, offer.price_holds_above_tokens) == limits
        assert verdict.monthly_cost is not None
        assert verdict.monthly_cost.offers[0].usd_per_month == bill
        assert verdict.route == "api"


@pytest.mark.parametrize(
    ("name", "unit"), [("whisper-small", "minute of audio"), ("sdxl-base-1.0", "image")]
)
def test_a_load_in_tokens_does_not_apply_to_sound_and_pictures(name: str, unit: str) -> None:
    """They are paid by the minute and by the image: no bill is made up, and the answer says why."""
    cost = check(name, Workload(load=Load.parse("1M")), machine=RECORD).monthly_cost
    assert cost is not None
    assert (cost.offers, cost.here, cost.input_tokens_per_day) == ((), None, None)
    assert unit in (cost.reason or "")


def profile(name: str) -> Machine:
    from selfhost.machine.profiles import load as profile_of

    return profile_of(name).machine


OFFER = Offer(
    provider="p",
    model="m",
    model_id="m",
    input_usd_per_million_tokens=2.5,
    output_usd_per_million_tokens=10.0,
    as_of="2026-11-20",
    source="a list",
)


def month_of(load: Load, pace: tuple[float, float, float] = (20.0, 40.0, 50.0)) -> MonthlyCost:
    """A month with OFFER and on a machine that writes at that pace and reads ten times as fast."""
    speed = Speed(
        decode=PaceRange(low=pace[0], likely=pace[1], high=pace[2]),
        prompt=PaceRange(low=10 * pace[0], likely=10 * pace[1], high=10 * pace[2]),
        how="stated",
    )
    return monthly_cost(load, "text", (OFFER,), RECORD, NEEDS, speed, RATINGS)


NEEDS = check("mistral-7b", machine=RECORD).needs
PRICES = st.floats(0.01, 10_000, allow_nan=False)


@given(
    read=st.integers(1, 10**8),
    written=st.integers(1, 10**8),
    watts=st.integers(5, 2000),
    tariff=st.floats(0.01, 1.0),
    price=PRICES,
    life=st.integers(1, 20),
    rate=st.floats(0.01, 200.0),
)
def test_where_they_meet_both_months_cost_the_same(
    read: int, written: int, watts: int, tariff: float, price: float, life: int, rate: float
) -> None:
    """At that load, in exact fractions, the API's bill in the user's currency is the energy and the month's share of the computer, at each end of the speed."""
    load = Load(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        watts=watts,
        electricity_per_kwh=tariff,
        hardware_price=price,
        hardware_life_years=life,
        currency_per_usd=rate,
    )
    cost = month_of(load)
    assert cost.here is not None
    meets = cost.offers[0].meets
    assert meets is not None
    assert meets.counts_hardware
    assert not meets.assumes_dollar
    both = read + written
    by_api = (Fraction(5, 2) * read + 10 * Fraction(written)) / 10**6 / both * Fraction(rate)
    for end, pace in (("low", 50), ("likely", 40), ("high", 20)):
        seconds = Fraction(read, 10 * pace) + Fraction(written, pace)
        energy = seconds / 3600 / both * watts / 1000 * Fraction(tariff)
        tokens = getattr(meets, f"tokens_per_day_{end}")
        # prices are taken as their lines show them, with twelve digits
        if abs(by_api - energy) < by_api / 10**6:
            continue
        if by_api <= energy:
            assert tokens is None
            continue
        api_month = 30 * Fraction(tokens) * by_api
        here_month = 30 * Fraction(tokens) * energy + 30 * Fraction(price) / (365 * life)
        assert float(api_month) == pytest.approx(float(here_month), rel=1e-4)
        fastest = {"low": "high", "high": "low"}.get(end, end)
        most = getattr(cost.here, f"most_tokens_per_day_{fastest}")
        assert most == pytest.approx(float(86_400 * both / seconds))
        assert getattr(meets, f"share_{end}") == pytest.approx(tokens / most)
