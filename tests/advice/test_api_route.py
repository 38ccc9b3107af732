"""The API route cell by cell: which offers count, what stands in where none of the model's own
does, and what a month costs, by API and here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from helpers.paths import DATA, RECORDS
from selfhost import Load, Machine, Workload, check
from selfhost.advice import api_route
from selfhost.advice.api_route import offers_for, shutdown_of
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.offers import Offer, offers_of, request_lines, snapshot
from selfhost.cli.main import main
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.named import named
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

TODAY = "2026-11-20"
CONFIGS = DATA / "configs"
SMALL = Machine(
    name="small",
    memory_total_bytes=2**30,
    memory_limit_bytes=2**30,
    memory_available_bytes=2**30,
    cpu_cores_usable=2.0,
    accelerators=(),
    system="linux",
)
LARGE = SMALL.replace(
    memory_total_bytes=2**40, memory_limit_bytes=2**40, memory_available_bytes=2**40
)


def offer(model_id: str, context_tokens: int | None = 131_072) -> Offer:
    return Offer(
        provider="p",
        model=model_id,
        model_id=model_id,
        context_tokens=context_tokens,
        input_usd_per_million_tokens=1.0,
        output_usd_per_million_tokens=1.0,
        as_of=TODAY,
        source="a list",
    )


def served(
    asked: str,
    *offers: Offer,
    machine: Machine = SMALL,
    ended: Sequence[str] = (),
    **needs: Any,
) -> list[tuple[str, bool]]:
    """(model, stands in) of the usable offers for a model, where these are all that there are."""
    shelf = open_catalogue()
    question = ask(shelf.spec(asked), Workload(**needs), shelf, machine)
    there = {one.model_id: one for one in offers}

    def offers_of(_path: str, model_id: str, *, today: str) -> Sequence[Offer]:
        if not today and model_id in ended:
            return (offer(model_id),)
        return (there[model_id],) if model_id in there else ()

    listed = dict.fromkeys([*there, *ended], ())
    prices = snapshot(shelf.offers_path).replace(rows=listed)
    api_route._sold_by_size.cache_clear()
    with (
        mock.patch.object(api_route, "offers_of", offers_of),
        mock.patch.object(api_route, "snapshot", return_value=prices),
    ):
        found = offers_for(shelf, judge(question, machine), TODAY)
    api_route._sold_by_size.cache_clear()
    return [(one.model_id, one.stands_in) for one in found]


def test_an_open_model_without_an_offer_gets_a_named_stand_in() -> None:
    """The next larger of its family before a larger stranger; never a smaller one, never one for
    another kind of work.
    """
    assert served(
        "opt-13b", offer("opt-30b"), offer("llama-2-13b-chat"), offer("opt-1.3b")
    ) == [("opt-30b", True)]
    assert served("opt-13b", offer("opt-1.3b"), offer("llama-3.1-70b-instruct")) == [
        ("llama-3.1-70b-instruct", True)
    ]
    assert served("opt-13b", offer("opt-1.3b"), offer("gpt2")) == []
    assert served("whisper-large-v3", offer("llama-3.1-70b-instruct")) == []


@pytest.mark.parametrize(
    ("model", "needs", "words"),
    [
        pytest.param(
            "opt-13b",
            {},
            "No API is known that offers opt-13b. The",
            id="nobody has it",
        ),
        pytest.param(
            "mistral-7b",
            {"auditable": True},
            "offers mistral-7b-instruct-v0.3 under these conditions. The",
            id="not open enough",
        ),
    ],
)
def test_conditions_are_named_only_where_they_rule_offers_out(
    model: str, needs: dict[str, Any], words: str
) -> None:
    """`under these conditions` was told to people who had stated none."""
    verdict = check(model, Workload(**needs), machine=SMALL)
    assert words in (verdict.api_offers[0].why_instead or "")


def test_files_are_no_model_of_the_catalogue_whatever_their_folder_is_called(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gpt-oss-120b" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_bytes((CONFIGS / "Qwen--Qwen3-14B.json").read_bytes())
    verdict = check(path, machine=SMALL)
    assert verdict.route == "api"
    assert all(one.stands_in for one in verdict.api_offers)


@pytest.mark.parametrize(
    ("own_context", "expected"),
    [
        (131_072, ("llama-3.1-8b-instruct", False)),
        (8_192, ("llama-3.1-70b-instruct", True)),
        (None, ("llama-3.1-70b-instruct", True)),
    ],
)
def test_a_context_that_is_too_small_or_not_stated_does_not_count(
    own_context: int | None, expected: tuple[str, bool]
) -> None:
    """32k asked: an offer of 8k, or one that states none, is passed over for a stand-in that serves
    as much.
    """
    offers = (
        offer("llama-3.1-8b-instruct", own_context),
        offer("llama-3.1-70b-instruct"),
    )
    assert served("llama-3.1-8b-instruct", *offers, context_tokens=32_768) == [expected]


def test_a_license_is_asked_of_the_model_that_is_served() -> None:
    """Under `--license MIT` neither Llama's own offer nor a stand-in under another license counts;
    one under MIT does.
    """
    names = ("llama-3.1-8b-instruct", "mixtral-8x7b-instruct-v0.1", "deepseek-r1")
    own, apache, mit = map(offer, names)
    assert served("llama-3.1-8b-instruct", own, apache, license="MIT") == []
    assert served("llama-3.1-8b-instruct", own, apache, mit, license="MIT") == [
        ("deepseek-r1", True)
    ]
    assert served(
        "llama-3.1-8b-instruct", own, apache, mit, license="Apache-2.0 OR MIT"
    ) == [("mixtral-8x7b-instruct-v0.1", True)]


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        ("gpt-4o", {"auditable": True}),
        ("chatgpt", {"auditable": True}),
        ("gpt-4o", {"license": "CC-BY-4.0 OR Apache-2.0"}),
    ],
)
def test_whatever_meets_the_needs_stands_in_for_a_closed_model(
    asked: str, needs: dict[str, Any]
) -> None:
    """The contract: `neither` only where no offer of a named stand-in meets what was asked, whether
    or not the spec names it.
    """
    names = (asked, "olmo-3-7b-instruct", "olmo-3.1-32b-instruct", "whisper-large-v3")
    offers = tuple(map(offer, names))
    assert served(asked, *offers[:2], offers[3], **needs) == [
        ("olmo-3-7b-instruct", True)
    ]
    assert served(asked, *offers, **needs) == [("olmo-3.1-32b-instruct", True)]
    assert served(asked, *offers) == [(asked, False)]


@pytest.mark.parametrize(
    "asked",
    ["gpt-4o", "gpt-3.5-turbo", "opt-13b", "llama-3.1-8b-instruct", "whisper-large-v3"],
)
def test_private_rules_out_every_offer(asked: str) -> None:
    """Nothing may leave the machine: neither the model's own offer nor a stand-in's."""
    offers = [
        offer(name) for name in (asked, "opt-30b", "gpt-5.6-terra", "gpt-oss-120b")
    ]
    assert served(asked, *offers, private=True) == []


@pytest.mark.parametrize(
    ("product", "maker"),
    [
        pytest.param("claude", "anthropic", id="Claude"),
        pytest.param("gemini", "google", id="Gemini"),
        pytest.param("grok", "xai", id="Grok"),
    ],
)
def test_a_product_without_a_price_has_the_models_of_its_line(
    product: str, maker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It said: at a price that is not known here. Each is the maker's own, with a price."""
    offers = check(product, machine="m6a.xlarge").api_offers
    assert len(offers) == 3
    for offer in offers:
        assert offer.provider == maker
        assert offer.stands_in
        assert offer.model_id.startswith(f"{product}-")
        assert offer.input_usd_per_million_tokens
    assert main(["check", product, "--machine", "m6a.xlarge"]) == 1
    shown = capsys.readouterr().out
    for offer in offers:
        assert f"\n  {offer.model_id} " in shown
    assert f'"model": "{offers[0].model}"' in shown


@pytest.mark.parametrize(
    ("product", "named"),
    [
        # openai.com/open-models: what OpenAI itself publishes
        pytest.param("chatgpt", "gpt-oss-20b", id="ChatGPT"),
        # ai.google.dev/gemma: "built from the same research and technology" as Gemini
        pytest.param("gemini", "gemma-4-", id="Gemini"),
    ],
)
def test_beside_a_product_stands_what_people_name_with_it(
    product: str, named: str
) -> None:
    others = check(product, machine="macbook pro m4 max 48gb").alternatives
    assert any(other.id.startswith(named) for other in others)


def test_a_retired_model_is_replaced_by_the_last_that_its_publisher_names() -> None:
    """OpenAI's deprecations page: before a sibling, the open ones, and what replaced GPT-3 and goes
    itself for another.
    """
    for asked, *others, last in (
        ("gpt-3.5-turbo", "gpt-4o", "gpt-oss-20b", "gpt-5.6-terra"),
        ("gpt-3", "gpt-3.5-turbo-instruct", "gpt-4.1-mini", "gpt-6-luna"),
    ):
        assert served(asked, *map(offer, (*others, last))) == [(last, True)]


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
    """k and M are thousands and millions, as in a price per million tokens; one figure is split
    three to one, and is said to be.
    """
    load = Load.parse(text)
    tokens = load.input_tokens_per_day, load.output_tokens_per_day
    assert (*tokens, load.assumed_split) == (read, written, assumed)
    assert Load.parse(Workload(load=load).options().split()[1]) == load


@pytest.mark.parametrize(
    "text",
    ["", ":", "2M:", ":5", "0", "0:0", "-5", "1:2:3", "many", "1.5", "1e6", "k", "½"],
)
def test_what_is_no_load_is_refused(text: str) -> None:
    """Half a token, nothing at all, or words: refused, with what to write."""
    with pytest.raises(ValueError, match=r"number|at least one token"):
        Load.parse(text)


def test_a_month_by_api_is_thirty_times_the_day() -> None:
    """GPT-4o at $2.50 and $10 a million: 2M in and 500k out a day are $10 a day, $300 in 30
    days.
    """
    cost = check(
        "gpt-4o", Workload(load=Load.parse("2M:500k")), machine=RECORD
    ).monthly_cost
    assert (cost.days_per_month, cost.here) == (30, None)
    assert [one.usd_per_month for one in cost.offers] == [300]


def test_hours_of_a_load_are_those_of_all_sequences() -> None:
    """Of 64 at once the total writes 5M tokens a day, and prompts are read at their own pace."""
    asked = Workload(parallel=64, load=Load.parse("20M:5M"))
    verdict = check("llama-3.3-70b", asked, machine="4x H100, 1TB RAM")
    speed: Any = verdict.speed
    seconds = 20e6 / speed.prompt.likely + 5e6 / speed.parallel_total.likely
    assert verdict.monthly_cost.here.hours_per_day.likely == pytest.approx(
        seconds / 3600, rel=0.01
    )


def test_energy_is_that_of_the_hours_at_the_power_that_was_stated() -> None:
    """At most all hours of a day; without a power no energy and no price is made up."""
    load = Load.parse("10k:10k")
    owned = load.replace(watts=40.0, electricity_per_kwh=0.5)
    endless = Load.parse("900M:900M").replace(watts=100.0)
    unknown = check("mistral-7b", Workload(load=load), machine=RECORD).monthly_cost.here
    stated = check("mistral-7b", Workload(load=owned), machine=RECORD).monthly_cost.here
    late = check("mistral-7b", Workload(load=endless), machine=RECORD).monthly_cost.here
    assert (unknown.kwh_per_month, unknown.electricity_per_month) == (None, None)
    assert (stated.keeps_up, late.keeps_up, stated.watts) == (True, False, 40)
    for end in ("low", "likely", "high"):
        hours = getattr(stated.hours_per_day, end)
        kwh = getattr(stated.kwh_per_month, end)
        assert kwh == pytest.approx(30 * hours * 40 / 1000)
        assert getattr(stated.electricity_per_month, end) == pytest.approx(kwh / 2)
    assert late.kwh_per_month.low == late.kwh_per_month.high == 30 * 24 * 100 / 1000


def test_a_load_whose_hours_lie_across_a_day_may_or_may_not_be_kept_up_with() -> None:
    """The pace is a range: where only its fast end does the load in 24 hours, nobody knows."""
    speed: Any = check("mistral-7b", machine=RECORD).speed
    load = Load.parse(f"0:{round(24 * 3600 * speed.decode.likely)}")
    here: Any = check(
        "mistral-7b", Workload(load=load), machine=RECORD
    ).monthly_cost.here
    assert here.hours_per_day.low < 24 < here.hours_per_day.high
    assert here.keeps_up is None


def test_what_writes_nothing_reads_a_load_of_one_figure_whole() -> None:
    """Of the 1M tokens a day that documents have, an embedder reads each."""
    cost: Any = check(
        "bge-m3", Workload(load=Load.parse("1M")), machine=RECORD
    ).monthly_cost
    assert (cost.input_tokens_per_day, cost.output_tokens_per_day) == (1_000_000, 0)
    assert not cost.assumed_split


@pytest.mark.parametrize("name", ["whisper-small", "sdxl-base-1.0"])
def test_a_load_in_tokens_does_not_apply_to_sound_and_pictures(name: str) -> None:
    """They are paid by the minute and by the image: no bill is made up, and the answer says why."""
    cost = check(name, Workload(load=Load.parse("1M")), machine=RECORD).monthly_cost
    assert (cost.offers, cost.here, cost.input_tokens_per_day) == ((), None, None)
    assert "does not apply" in (cost.reason or "")


def real_offers(model_id: str, today: str = TODAY) -> Sequence[Offer]:
    return offers_of(open_catalogue().offers_path, model_id, today=today)


@pytest.mark.parametrize(
    ("model", "provider", "base_url"),
    [
        # docs.deepinfra.com/chat/overview, platform.openai.com/docs/api-reference,
        # platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk
        pytest.param(
            "llama-3.3-70b-instruct",
            "deepinfra",
            "https://api.deepinfra.com/v1/openai",
            id="open",
        ),
        pytest.param("gpt-5.6-sol", "openai", "https://api.openai.com/v1", id="OpenAI"),
        pytest.param(
            "claude-sonnet-4.6",
            "anthropic",
            "https://api.anthropic.com/v1",
            id="Claude",
        ),
        # developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility
        pytest.param(
            "gpt-oss-20b",
            "cloudflare",
            "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1",
            id="with an account",
        ),
        # the address has a region in it
        pytest.param("amazon-nova-lite", "bedrock", None, id="of a region"),
    ],
)
def test_an_offer_says_where_it_is_asked(
    model: str, provider: str, base_url: str | None
) -> None:
    """`USE AN API` named a price, and neither an address nor a key."""
    one = next(offer for offer in real_offers(model) if offer.provider == provider)
    assert one.base_url == base_url
    assert one.page is not None
    assert (one.key_variable is None) is (base_url is None)


def test_a_gateway_is_told_whose_offer_it_is() -> None:
    """Hugging Face's router takes the provider behind the model, with a colon (its changelog,
    2025-07-18).
    """
    through = [
        o for o in real_offers("deepseek-v3") if o.provider == "huggingface_together"
    ]
    assert through
    assert all(one.model.endswith(":together") for one in through)


@pytest.mark.parametrize(
    "model",
    ["gpt-oss-20b", "deepseek-v3", "qwen3-8b", "llama-3.1-8b-instruct", "glm-5.2"],
)
def test_the_first_offer_is_the_cheapest_of_those_that_people_know(model: str) -> None:
    """darkbloom and Hyperbolic, which nobody knows, were named for a tenth less."""
    first, *others = real_offers(model)
    assert first.well_known
    assert first.base_url

    def price(offer: Offer) -> float:
        read = offer.input_usd_per_million_tokens or 0
        written = offer.output_usd_per_million_tokens or 0
        return 3 * read + written

    assert all(price(first) <= price(o) for o in others if o.well_known and o.base_url)
    assert [price(other) for other in others] == sorted(
        price(other) for other in others
    )


def test_what_is_typed_to_ask_an_api_is_curl_with_the_key_in_a_variable() -> None:
    """The line is one command of a shell, its body is JSON, and it names the model."""
    lines = request_lines(real_offers("llama-3.3-70b-instruct")[0], "text")
    words = shlex.split(" ".join(line.removesuffix("\\") for line in lines))
    assert words[:2] == ["curl", "https://api.deepinfra.com/v1/openai/chat/completions"]
    assert "Authorization: Bearer $DEEPINFRA_API_KEY" in words
    body = json.loads(words[-1])
    assert body["model"].startswith("meta-llama/Llama-3.3-70B-Instruct")
    assert body["messages"][0]["role"] == "user"
    embeds = request_lines(real_offers("bge-m3")[0], "embedding")
    assert embeds[0].endswith("/embeddings \\")
    # how a picture is asked for differs from provider to provider
    assert request_lines(real_offers("flux.1-dev")[0], "image") == ()
    hostile = real_offers("bge-m3")[0].replace(model="x'; rm -rf ~ #")
    assert request_lines(hostile, "embedding") == ()


def test_an_auditors_stand_in_is_open_whole() -> None:
    """Nemotron, whose data are published in part, is larger than Phi-4 and nearer to it than Olmo
    3.1 32B.
    """
    names = ("nemotron-3.5-lightning-30b-a3b", "olmo-3.1-32b-instruct")
    assert served("phi-4", *map(offer, names), auditable=True) == [(names[1], True)]
    assert served("phi-4", offer(names[0]), auditable=True) == [(names[0], True)]


@pytest.mark.parametrize(
    ("model", "today", "ending"),
    [
        # OpenAI's deprecations page, notice of 2026-10-14
        pytest.param(
            "gpt-4o", "2026-11-27", ("2027-01-14", "gpt-6-luna", False), id="named"
        ),
        pytest.param("gpt-4o", "2026-11-01", None, id="not yet"),
        pytest.param(
            "claude-sonnet-4.5",
            "2026-11-27",
            ("2026-11-30", "claude-sonnet-4.6", True),
            id="chosen",
        ),
        pytest.param("claude-sonnet-4.6", "2026-11-27", None, id="stays"),
        # whose weights nobody can take away
        pytest.param("llama-3.3-70b-instruct", "2027-01-20", None, id="open"),
    ],
)
def test_the_end_of_a_closed_model_is_told_two_months_before(
    model: str, today: str, ending: tuple[str, str, bool] | None
) -> None:
    catalogue = open_catalogue()
    told = shutdown_of(
        catalogue.spec(model), real_offers(model, today), catalogue, today
    )
    assert (told and (told.day, told.successor, told.successor_is_judged)) == ending


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        # quicksilverpro asks $0.0284 for a million tokens in (genai-prices 0.2.3), Baseten $0.15
        pytest.param("glm-5.3-flash", True, id="an unknown one asks less"),
        pytest.param("claude-opus-4.8", False, id="its maker is the cheapest"),
    ],
)
def test_why_the_first_offer_is_not_the_cheapest_is_told(
    model: str, is_told: bool
) -> None:
    """The line named Baseten, while `-v` listed a fifth of its price."""
    shown = plain(check_document([check(model, machine=named("RTX 4090")[0])]))
    (told,) = re.findall(r"^(?:Or by|By) API: .*", shown, re.M)
    assert ("a well-known provider, others ask less" in told) is is_told
