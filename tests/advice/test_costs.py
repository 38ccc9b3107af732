"""The cost of a month: by API and here, with arithmetic that a calculator can check."""

from __future__ import annotations

import re
import tomllib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.paths import COMMON, RECORDS
from selfhost import Load, Machine, Workload, WorkloadError, check
from selfhost.advice.costs import monthly_cost, tokens_of
from selfhost.catalogue.offers import Offer
from selfhost.cli.declared import parse_years
from selfhost.judge.costs import MonthlyCost
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

RECORD = Machine.from_file(str(RECORDS / "vm-24gib.json"))
RATINGS = tomllib.loads((COMMON / "power.toml").read_text(encoding="utf-8"))
GPUS = tomllib.loads((COMMON / "gpus.toml").read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("text", ["9" * 20, "9" * 400, "1:1000000.5B", "1" * 15 + "M"])
def test_a_load_beyond_counting_is_refused(text: str) -> None:
    with pytest.raises(WorkloadError):
        Load.parse(text)
    assert Load.parse("1000000B:0").input_tokens_per_day == 10**15


@pytest.mark.parametrize(
    ("key", "value"),
    [("watts", 0), ("watts", -1), ("watts", float("nan")), ("electricity_per_kwh", -0.1)],
)
def test_impossible_power_and_prices_are_refused(key: str, value: float) -> None:
    """No computer runs on nothing, and a wrong price is none."""
    with pytest.raises(WorkloadError, match=key):
        Load(input_tokens_per_day=1, output_tokens_per_day=1, **{key: value})  # type: ignore[arg-type]


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


def test_a_load_never_changes_the_route() -> None:
    """The same route and findings with and without it; without it there is no cost."""
    for name in ("mistral-7b", "gpt-4o", "deepseek-v3", "whisper-small"):
        plain_answer, with_load = (
            check(name, Workload(load=load), machine=RECORD) for load in (None, Load.parse("5M"))
        )
        assert plain_answer.monthly_cost is None
        assert with_load.monthly_cost is not None
        assert (plain_answer.route, plain_answer.findings) == (with_load.route, with_load.findings)


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


def test_the_offers_of_a_load_come_cheapest_for_it_first() -> None:
    """What is cheap to read may be dear to write: the order is that of the bill, the same in both lists."""
    for text in ("1M:0", "0:1M", "1M:1M"):
        verdict = check("deepseek-v3", Workload(load=Load.parse(text)), machine=RECORD)
        assert verdict.monthly_cost is not None
        bills = [
            one.usd_per_month
            for one in verdict.monthly_cost.offers
            if one.usd_per_month is not None
        ]
        assert bills == sorted(bills)
        assert [one.model for one in verdict.monthly_cost.offers] == [
            one.model for one in verdict.api_offers
        ]


def test_what_does_not_keep_up_is_said() -> None:
    """More than 24 hours of work in a day is no plan: said plainly, and without an energy that could not be used."""
    answers = {}
    for text in ("1k", "50M:20M", "2M:500k"):
        verdict = check("mistral-7b", Workload(load=Load.parse(text, watts=90)), machine=RECORD)
        assert verdict.monthly_cost is not None
        here = verdict.monthly_cost.here
        assert here is not None
        assert here.hours_per_day_low is not None
        assert here.hours_per_day_high is not None
        assert here.hours_per_day_low <= here.hours_per_day_high
        answers[text] = here
    assert answers["1k"].keeps_up is True
    assert answers["50M:20M"].keeps_up is False
    assert answers["50M:20M"].kwh_per_month_high is None
    verdict = check("mistral-7b", Workload(load=Load.parse("50M:20M")), machine=RECORD)


def test_the_energy_of_an_end_that_does_not_keep_up_is_not_told() -> None:
    """Where only the fast end gets through the day, no month of the load is known at the slow end; running all day bounds it."""
    load = Load.parse("500k:200k", watts=90, electricity_per_kwh=0.3)
    verdict = check("mistral-7b", Workload(load=load), machine=RECORD)
    assert verdict.monthly_cost is not None
    here = verdict.monthly_cost.here
    assert here is not None
    assert here.hours_per_day_low is not None
    assert here.hours_per_day_high is not None
    assert here.hours_per_day_low < 24 < here.hours_per_day_high
    assert here.keeps_up is None
    assert here.kwh_per_month_low == pytest.approx(
        30 * here.hours_per_day_low * 90 / 1000, rel=1e-3
    )
    assert here.electricity_per_month_low == pytest.approx(
        30 * here.hours_per_day_low * 90 / 1000 * 0.3, rel=1e-3
    )
    assert (here.kwh_per_month_high, here.electricity_per_month_high) == (None, None)
    assert [entry.fact for entry in here.unknown] == ["kwh_per_month_high"]


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


def of_unknown_gpu() -> Machine:
    """A machine with a GPU that no table has."""
    from selfhost.machine.profiles import load as profile_of

    machine = profile_of("desktop-rtx5090-32gb").machine
    (card,) = machine.accelerators or ()
    unknown = card.replace(name="NVIDIA Nobody's GPU", memory_bandwidth_bytes_per_second=10**12)
    return machine.replace(accelerators=(unknown,))


def test_a_gpu_reads_prompts_faster_than_it_writes() -> None:
    """An RTX 3060 reads some two thousand tokens of a 7B model a second and writes some sixty
    (llama-bench, ggml-org/llama.cpp, discussion 15013): hours of reading are none of writing.
    """
    from selfhost.machine.named import machine_named

    costs = [
        check(
            "llama-3.1-8b", Workload(load=Load.parse(text)), machine=machine_named("RTX 3060 12GB")
        ).monthly_cost
        for text in ("1M:0", "0:1M")
    ]
    reading, writing = (cost.here if cost is not None else None for cost in costs)
    assert reading is not None
    assert writing is not None
    assert reading.hours_per_day_likely is not None
    assert writing.hours_per_day_likely is not None
    assert reading.hours_per_day_likely < writing.hours_per_day_likely / 5


def test_hours_are_bounds_where_how_fast_prompts_are_read_is_not_estimated() -> None:
    """Nothing tells the arithmetic of a GPU that nobody knows: between no time and that of writing as much."""
    verdict = check("llama-3.1-8b", Workload(load=Load.parse("10k:10k")), machine=of_unknown_gpu())
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.here is not None
    assert "reading in no time" in verdict.monthly_cost.here.arithmetic[1]
    assert verdict.monthly_cost.here.hours_are_bounds
    # nothing between the ends is likely: neither end stands for the answer by itself
    here = verdict.monthly_cost.here
    assert here.hours_per_day_low is not None
    assert here.hours_per_day_high is not None


def test_hours_are_no_bounds_where_both_speeds_are_estimated() -> None:
    """On a processor and on measured GPUs reading prompts is estimated as well; and what is only written needs no speed of reading."""
    from selfhost.machine.profiles import load as profile_of

    card, other = profile_of("desktop-rtx4090-24gb").machine, of_unknown_gpu()
    for machine, text, bounds in (
        (RECORD, "10k:10k", False),
        (card, "10k:10k", False),
        (other, "10k:10k", True),
        (other, "0:10k", False),
    ):
        cost = check("llama-3.1-8b", Workload(load=Load.parse(text)), machine=machine).monthly_cost
        assert cost is not None
        assert cost.here is not None
        assert cost.here.hours_are_bounds is bounds


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


def test_a_price_of_longer_prompts_that_no_list_has_is_not_known() -> None:
    """MiniMax M3 at Novita: genai-prices 0.2.3 has a step at 524,288 tokens, litellm 1.109.1 none, so no bill is made from either."""
    verdict = check(
        "minimax-m3", Workload(load=Load.parse("2M:500k"), context_tokens=600_000), machine=RECORD
    )
    offer = next(one for one in verdict.api_offers if one.provider == "novita")
    assert (
        offer.input_usd_per_million_tokens,
        offer.price_holds_to_tokens,
        offer.price_holds_above_tokens,
    ) == (None, 524_288, None)


def test_an_image_is_priced_for_what_the_list_says() -> None:
    """GPT Image 2 at fal.ai: $0.211, $0.053 and $0.006 for 1024 × 1024 in high, medium and low quality (litellm 1.109.1)."""
    verdict = check("gpt-image-2", machine=RECORD)
    (offer,) = verdict.api_offers
    assert (offer.usd_per_image, [other.usd_per_image for other in offer.other_prices]) == (
        0.211,
        [0.053, 0.006],
    )


def test_sources_that_disagree_are_told() -> None:
    """GPT-OSS 120B at OVHcloud: $0.09 and $0.47 in genai-prices 0.2.3, $0.08 and $0.40 in litellm 1.109.1; the dearer counts."""
    verdict = check("gpt-oss-120b", Workload(load=Load.parse("1M:0")), machine=RECORD)
    offer = next(one for one in verdict.api_offers if one.provider == "ovhcloud")
    assert (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens) == (0.09, 0.47)
    (other,) = offer.other_prices
    assert (
        other.input_usd_per_million_tokens,
        other.output_usd_per_million_tokens,
        other.when,
    ) == (0.08, 0.4, None)


def test_a_price_by_the_hour_of_the_day_is_told_with_its_hours() -> None:
    """DeepSeek V4 Pro at DeepSeek: $1.32 in busy hours, half of it in the others (litellm 1.109.1, off_peak_pricing)."""
    verdict = check("deepseek-v4-pro", machine=RECORD)
    offer = next(one for one in verdict.api_offers if one.provider == "deepseek")
    assert offer.input_usd_per_million_tokens == 1.32


@pytest.mark.parametrize(
    ("spelled", "watts"),
    [
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", 210),
        ("AMD Ryzen 9 7950X 16-Core Processor", 170),
        ("AMD EPYC 9654 96-Core Processor", 360),
        ("11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz", 28),
        ("AMD EPYC", None),
        ("Intel Xeon Processor (Skylake, IBRS)", None),
        ("Core i9", None),
    ],
)
def test_processors_are_found_as_the_system_spells_them(spelled: str, watts: float | None) -> None:
    """The name in /proc/cpuinfo, with its marks and clock; a name that is not one processor's has no rating."""
    verdict = check(
        "gpt2", Workload(load=Load.parse("10k:10k")), machine=DESKTOP.replace(cpu_model=spelled)
    )
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.here is not None
    assert verdict.monthly_cost.here.watts_high == watts
    assert bool(verdict.monthly_cost.here.unknown) == (watts is None)


def test_ratings_are_told_once() -> None:
    """One processor has one rating, every figure is one a processor may have, and both lists name their source."""
    names = [name.lower() for row in RATINGS["cpu"] for name in row["names"]]
    assert len(names) == len(set(names))
    assert all(3 < row["watts"] < 700 for row in RATINGS["cpu"])
    words = [row["words"] for row in GPUS["gpu"]]
    assert len(words) == len(set(words))
    boards = [row["watts"] for row in GPUS["gpu"] if "watts" in row]
    assert all(10 < low <= high <= 1400 for low, high in boards)
    assert GPUS["sources"]["watts"]
    assert RATINGS["cpu_source"]


@pytest.mark.parametrize(
    ("name", "unit"), [("whisper-small", "minute of audio"), ("sdxl-base-1.0", "image")]
)
def test_a_load_in_tokens_does_not_apply_to_sound_and_pictures(name: str, unit: str) -> None:
    """They are paid by the minute and by the image: no bill is made up, and the answer says why."""
    cost = check(name, Workload(load=Load.parse("1M")), machine=RECORD).monthly_cost
    assert cost is not None
    assert (cost.offers, cost.here, cost.input_tokens_per_day) == ((), None, None)
    assert unit in (cost.reason or "")


def test_a_load_in_tokens_does_not_apply_to_training() -> None:
    """Prices are of answers and hours of answering: a tuned model gives none while it is tuned."""
    cost = check(
        "gpt2", Workload(task="finetune", load=Load.parse("1M")), machine=RECORD
    ).monthly_cost
    assert cost is not None
    assert (cost.offers, cost.here, cost.input_tokens_per_day) == ((), None, None)
    assert "fine-tuning" in (cost.reason or "")


def test_a_provider_that_stopped_tuning_is_told() -> None:
    """OpenAI closed fine-tuning to new customers on 2026-05-07 and closes it on 2027-01-06 (its deprecations page)."""
    verdict = check("gpt-4o", Workload(task="finetune"), machine=RECORD)
    assert verdict.route == "neither"
    (note,) = [note for note in verdict.notes if "Fine-tuning at OpenAI" in note]
    assert "2026-05-07" in note
    assert "2027-01-06" in note
    assert not [note for note in check("gpt-4o", machine=RECORD).notes if "2026-05-07" in note]


def test_what_embeds_writes_nothing() -> None:
    """Of a load without a split an embedding model reads all; a stated output is not charged."""
    assert tokens_of(Load.parse("2M"), "embedding") == (2_000_000, 0)
    assert tokens_of(Load.parse("2M:500k"), "embedding") == (2_000_000, 0)
    cost = check("bge-m3", Workload(load=Load.parse("2M")), machine=RECORD).monthly_cost
    assert cost is not None
    assert not cost.assumed_split
    # $0.01 a million (Novita, litellm 1.109.1): 30 days of two million
    assert min(one.usd_per_month or 9 for one in cost.offers) == pytest.approx(0.60)


def test_an_unknown_price_is_no_bill_of_nothing() -> None:
    """Where the output has no known price, a load that writes has no known bill."""
    offer = Offer(
        provider="p",
        model="m",
        model_id="m",
        input_usd_per_million_tokens=1.0,
        as_of="2026-11-20",
        source="a list",
    )
    writes, reads = (
        monthly_cost(Load.parse(text), "text", (offer,), RECORD, None, None, RATINGS)
        for text in ("1M:1M", "1M:0")
    )
    assert writes.offers[0].usd_per_month is None
    assert reads.offers[0].usd_per_month == 30


def profile(name: str) -> Machine:
    from selfhost.machine.profiles import load as profile_of

    return profile_of(name).machine


CARD = profile("desktop-rtx4090-24gb")
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


@given(read=st.integers(1, 10**6), written=st.integers(1, 10**5), more=st.integers(2, 9))
def test_a_larger_load_costs_no_less_and_the_purchase_stays(
    read: int, written: int, more: int
) -> None:
    """Bill, hours and energy grow with the load; what was bought and where both meet do not, for the split is the same."""
    load = Load(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        watts=100,
        electricity_per_kwh=0.3,
        hardware_price=1000,
    )
    larger = load.replace(input_tokens_per_day=read * more, output_tokens_per_day=written * more)
    first, second = month_of(load), month_of(larger)
    assert first.here is not None
    assert second.here is not None
    assert (second.offers[0].usd_per_month or 0) > (first.offers[0].usd_per_month or 0)
    for end in ("low", "likely", "high"):
        hours = [getattr(cost.here, f"hours_per_day_{end}") for cost in (first, second)]
        assert hours[1] == pytest.approx(more * hours[0])
        spent = [getattr(cost.here, f"kwh_per_month_{end}") for cost in (first, second)]
        if None not in spent:
            assert spent[1] >= spent[0]
    # 1,000 over the assumed three years of 365 days, 30 days of it
    assert first.here.hardware_per_month == pytest.approx(1000 * 30 / 1095)
    assert second.here.hardware_per_month == first.here.hardware_per_month
    assert first.here.hardware_life_assumed
    meetings = [cost.offers[0].meets for cost in (first, second)]
    assert meetings[0] is not None
    assert meetings[1] is not None
    assert meetings[1].tokens_per_day_likely == pytest.approx(meetings[0].tokens_per_day_likely)


def test_what_runs_in_the_place_of_a_closed_model_is_costed_beside_it() -> None:
    """GPT-4o is $300 a month for this load; the first alternative has its own bill by API, its energy and hours here, and what may be worse in words."""
    load = Load.parse(
        "2M:500k", electricity_per_kwh=0.3, hardware_price=2000, hardware_life_years=4
    )
    # with 32 GB of RAM the first lies on the card whole, whose power is stated
    machine = CARD.replace(memory_total_bytes=32 * 2**30, memory_limit_bytes=32 * 2**30)
    verdict = check("gpt-4o", Workload(load=load), machine=machine)
    cost = verdict.monthly_cost
    assert cost is not None
    assert cost.here is None
    assert cost.instead is not None
    first = verdict.alternatives[0]
    assert (cost.instead.id, cost.instead.quantization) == (first.id, first.quantization)
    same = check(first.id, Workload(load=load, quantization=first.quantization), machine=machine)
    assert same.monthly_cost is not None
    assert same.monthly_cost.here == cost.instead.here
    assert same.monthly_cost.offers == cost.instead.offers
    # the same board, 450 W by its maker; 2,000 over four years of 365 days
    assert cost.instead.here.watts_high == 450
    assert cost.instead.here.hardware_per_month == pytest.approx(2000 * 30 / 1460)
    risks = " ".join(cost.instead.risks)
    assert "another model than GPT-4o" in risks
    assert "own prompts" in risks


def test_dollars_and_another_currency_are_never_set_side_by_side_in_silence() -> None:
    """Without the price of a dollar the answer says for whom it holds; with it the bill is told in both, and at 1 there is one currency."""
    load = Load.parse("2M:500k", electricity_per_kwh=0.3)
    texts = {}
    for rate in (None, 0.5, 1.0):
        verdict = check(
            "mistral-7b", Workload(load=load.replace(currency_per_usd=rate)), machine=CARD
        )
        texts[rate] = plain(check_document([verdict]))
    assert "if you pay in dollars" in texts[None]
    assert "--dollar-price" in texts[None]
    # $2.49 (OpenRouter, genai-prices 0.2.3) at 0.50 a dollar
    assert "1.25 in your currency" in texts[0.5]
    assert "if you pay in dollars" not in texts[0.5]
    assert "your currency" not in texts[1.0]


def test_what_is_missing_for_the_comparison_is_named_with_what_to_type() -> None:
    """Without a price of electricity, a power or a pace nothing is set side by side, and the answer says what tells it."""
    load = Load.parse("2M:500k")
    no_tariff = check("mistral-7b", Workload(load=load), machine=CARD).monthly_cost
    assert no_tariff is not None
    assert no_tariff.meets_unknown is not None
    assert "--electricity" in (no_tariff.meets_unknown.remedy or "")
    no_power = check("mistral-7b", Workload(load=load), machine=RECORD).monthly_cost
    assert no_power is not None
    assert no_power.meets_unknown is not None
    assert "--watts" in (no_power.meets_unknown.remedy or "")
    blind = RECORD.replace(
        memory_bandwidth_bytes_per_second=None,
        cpu_cores_usable=None,
        cpu_cores_physical=None,
        is_this_one=True,
    )
    verdict = check("mistral-7b", Workload(load=load), machine=blind)
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.here is not None
    assert verdict.monthly_cost.here.hours_per_day_high is None


@pytest.mark.parametrize(("text", "life"), [("3y", 3.0), ("2.5y", 2.5), ("18mo", 1.5), ("4", 4.0)])
def test_a_life_is_written_in_years_or_months(text: str, life: float) -> None:
    """As people say it; and the options that ask again state the same."""
    assert parse_years(text) == life
    load = Load.parse("1M:1M", hardware_price=10, hardware_life_years=parse_years(text))
    assert f"--hardware-life {life:g}y" in load.options()


def test_a_life_without_a_price_is_refused() -> None:
    """Nothing would be spread over it."""
    with pytest.raises(WorkloadError, match="hardware_life_years"):
        Load.parse("1M:1M", hardware_life_years=3)


@pytest.mark.parametrize("machine", ["ryzen 9 7950x 128gb rtx 4090", "i5-12400 2x16gb ddr4-3200"])
def test_a_load_that_is_only_read_takes_what_its_documents_take(machine: str) -> None:
    """`~257 documents/s` stood above hours that "cannot be told"."""
    load = Load.parse("10M:0")
    verdict = check("bge-m3", Workload(load=load), machine=machine)
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    assert verdict.monthly_cost is not None
    here = verdict.monthly_cost.here
    assert here is not None
    documents = 10_000_000 / 512
    for hours, pace in (
        (here.hours_per_day_low, verdict.speed.work.high),
        (here.hours_per_day_likely, verdict.speed.work.likely),
        (here.hours_per_day_high, verdict.speed.work.low),
    ):
        assert hours == pytest.approx(documents / pace / 3600, rel=0.01)
    assert not here.hours_are_bounds


def test_the_first_alternative_is_costed_where_the_model_does_not_run() -> None:
    asked = Workload(load=Load.parse("750k:250k"))
    cost = check("llama-3.1-405b", asked, machine=CARD)
    assert cost.monthly_cost is not None
    assert cost.monthly_cost.instead is not None
    assert cost.monthly_cost.instead.id == cost.alternatives[0].id
    own = check("mistral-7b", asked, machine=CARD).monthly_cost
    assert own is not None
    assert own.instead is None
    assert own.here is not None


def test_a_price_tells_its_age() -> None:
    """The day always, and from a quarter of a year on how old it is and whom to ask; without a day nothing is counted."""
    verdict = check("gpt-4o", machine=RECORD)
    offers = tuple(one.replace(ends=None) for one in verdict.api_offers)
    verdict = verdict.replace(api_offers=offers)
    fresh, old, undated = (
        plain(check_document([verdict], today=day)) for day in ("2026-12-20", "2027-06-22", None)
    )
    assert "listed 2026-11-20" in fresh
    assert "months old" not in fresh
    assert "(listed 2026-11-20, 7 months old: ask the provider)" in old
    assert "months old" not in undated


def test_a_price_of_nothing_is_called_free_and_an_unknown_one_is_not() -> None:
    """$0.00 would look like a price list's; None is no price."""
    verdict = check("gpt-4o", machine=RECORD)
    (one,) = verdict.api_offers
    nothing = one.replace(input_usd_per_million_tokens=0.0, output_usd_per_million_tokens=0.0)
    unknown = one.replace(input_usd_per_million_tokens=None, output_usd_per_million_tokens=None)
    free, none = (
        plain(check_document([verdict.replace(api_offers=(offer,))]))
        for offer in (nothing, unknown)
    )
    assert "free in, free out" in free
    assert "$0.00" not in free
    assert "at a price that is not known here" in none
    assert "free" not in none
