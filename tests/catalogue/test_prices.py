"""Fresher prices from genai-prices: which offers they are taken for, their day, and that nothing is fetched."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import types
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import COMMON, RECORDS
from selfhost import SelfhostError, check
from selfhost.catalogue.offers import Offer, offers_of, snapshot
from selfhost.catalogue.prices import refreshed
from selfhost.machine.record import Machine

SHIPPED = str(COMMON / "offers.jsonl")
TODAY = "2027-06-20"
RECORD = Machine.from_file(str(RECORDS / "vm-24gib.json"))


class Prices:
    def __init__(self, input_mtok: object = None, output_mtok: object = None) -> None:
        self.input_mtok, self.output_mtok = input_mtok, output_mtok


class Model:
    """As genai-prices 0.2: one price, or rows of which the last that has begun counts."""

    def __init__(self, id: str, prices: object) -> None:
        self.id, self.prices = id, prices

    def get_prices(self, moment: Any) -> object:
        if isinstance(self.prices, Prices):
            return self.prices
        rows: Any = self.prices
        return [
            row.prices
            for row in rows
            if row.constraint is None or row.constraint.start_date <= moment.date()
        ][-1]


def conditional(prices: Prices, **constraint: object) -> object:
    return types.SimpleNamespace(
        prices=prices, constraint=types.SimpleNamespace(**constraint) if constraint else None
    )


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of the known shape; returns what installs it in a version with some models of one provider."""

    def install(version: str, provider: str = "openai", *models: Model) -> None:
        snapshot = types.SimpleNamespace(
            providers=[types.SimpleNamespace(id=provider, models=list(models))]
        )
        package = types.ModuleType("genai_prices")
        data = types.ModuleType("genai_prices.data_snapshot")
        data.get_snapshot = lambda: snapshot  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "genai_prices", package)
        monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", data)
        known = importlib.metadata.version
        monkeypatch.setattr(
            importlib.metadata,
            "version",
            lambda name: version if name == "genai-prices" else known(name),
        )

    return install


def offer(**changes: object) -> Offer:
    given: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o",
        "model_id": "gpt-4o",
        "input_usd_per_million_tokens": 2.5,
        "output_usd_per_million_tokens": 10.0,
        "as_of": "2026-11-20",
        "source": "litellm 1.109.1",
    }
    return Offer(**given | changes)


def test_a_newer_package_changes_the_price_its_day_and_its_source(package: Any) -> None:
    """The last change that the package dates is the day on which its data was at least alive; one to come does not count yet."""
    rows = [
        conditional(Prices(9, 9)),
        conditional(Prices(2, 8), start_date=date(2027, 3, 1)),
        conditional(Prices(1, 4), start_date=date(2027, 9, 1)),
    ]
    package("0.9.0", "openai", Model("gpt-4o", rows))
    (found,) = refreshed([offer()], SHIPPED, today=TODAY).offers
    assert (found.input_usd_per_million_tokens, found.output_usd_per_million_tokens) == (2.0, 8.0)
    assert found.as_of == "2027-03-01"
    assert "genai-prices 0.9.0" in found.source


def test_a_package_without_dates_is_as_new_as_the_snapshot(package: Any) -> None:
    """A later version than the one the snapshot was made from is no older than it."""
    package("0.9.0", "openai", Model("gpt-4o", Prices(2, 8)))
    (found,) = refreshed([offer()], SHIPPED, today=TODAY).offers
    assert found.as_of == snapshot(SHIPPED).days["genai-prices 0.2.3"]


@pytest.mark.parametrize("version", ["0.2.3", "0.2.2", "0.1.13"])
def test_a_package_that_is_not_newer_changes_nothing(version: str, package: Any) -> None:
    """Older figures do not replace newer ones; the answer says so."""
    package(version, "openai", Model("gpt-4o", Prices(99, 99)))
    found = refreshed([offer()], SHIPPED, today=TODAY)
    assert found.offers == (offer(),)
    assert "nothing newer" in found.note


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("azure", Model("gpt-4o", Prices(1, 1))),
        ("openai", Model("gpt-4o-mini", Prices(1, 1))),
        ("openai", Model("gpt-4", Prices(1, 1))),
        ("openai", Model("gpt-4o", Prices(None, None))),
        ("openai", Model("gpt-4o", Prices(1, None))),
        ("openai", Model("gpt-4o", Prices(0, 0))),
        (
            "openai",
            Model(
                "gpt-4o",
                [conditional(Prices(1, 1), start_time="16:30", start_date=date(2026, 1, 1))],
            ),
        ),
    ],
)
def test_what_is_not_surely_the_same_offer_stays_on_the_snapshot(
    provider: str, model: Model, package: Any
) -> None:
    """Another provider, a name that is only alike, no price, a trial's price of nothing, or one for some hours of the day."""
    package("0.9.0", provider, model)
    found = refreshed([offer()], SHIPPED, today=TODAY)
    assert found.offers == (offer(),)
    assert found.note.startswith("0 of 1")


def test_another_shape_of_the_package_is_an_error_with_a_way_out(package: Any) -> None:
    """A later version may be built otherwise: no half-read price, no traceback."""
    package("9.0", "openai", types.SimpleNamespace(id="gpt-4o"))
    with pytest.raises(SelfhostError, match=r"9\.0") as caught:
        refreshed([offer()], SHIPPED, today=TODAY)
    assert "--prices" in (caught.value.remedy or "")


def test_not_installed_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra by its name."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(SelfhostError, match="not installed") as caught:
        check("gpt-4o", machine=RECORD, prices="genai-prices")
    assert "selfhost-check[prices]" in (caught.value.remedy or "")


def test_the_route_stays_and_the_order_follows(package: Any) -> None:
    """Only figures change: the same offers, the route as it was, the cheapest first again, and a sentence says what was taken."""
    before = check("gpt-oss-120b", machine=RECORD)
    dear = before.api_offers[0]
    package("0.9.0", dear.provider, Model(dear.model, Prices(500, 500)))
    after = check("gpt-oss-120b", machine=RECORD, prices="genai-prices")
    assert after.route == before.route
    assert {(one.provider, one.model) for one in after.api_offers} == {
        (one.provider, one.model) for one in before.api_offers
    }
    assert after.api_offers[-1].model == dear.model
    assert any("genai-prices 0.9.0" in note for note in (*after.notes, *after.fine_print))


def test_the_real_package_agrees_with_the_snapshot_made_from_it(tmp_path: Path) -> None:
    """Read as if it were newer, the package gives every offer that the snapshot has from the same version the same price."""
    pytest.importorskip("genai_prices")
    version = importlib.metadata.version("genai-prices")
    known = f"genai-prices {version}"
    lines = Path(SHIPPED).read_text(encoding="utf-8").splitlines()
    if known not in snapshot(SHIPPED).days:
        pytest.skip("the snapshot was made from another version")
    header = json.loads(lines[0])
    header["sources"]["genai-prices 0.0.1"] = header["sources"].pop(known)
    older = tmp_path / "offers.jsonl"
    older.write_text(json.dumps(header) + "\n", encoding="utf-8")
    compared = 0
    for line in lines[1:]:
        model = json.loads(line)["model"]
        mine = [one for one in offers_of(SHIPPED, model, today="2026-11-20") if one.source == known]
        for one, other in zip(
            mine, refreshed(mine, str(older), today="2026-11-20").offers, strict=True
        ):
            if other.source != one.source:
                compared += 1
                assert other.input_usd_per_million_tokens == pytest.approx(
                    one.input_usd_per_million_tokens
                ), one
                assert other.output_usd_per_million_tokens == pytest.approx(
                    one.output_usd_per_million_tokens
                ), one
                assert other.price_holds_to_tokens == one.price_holds_to_tokens, one
                if one.long_input_usd_per_million_tokens is not None:
                    assert other.long_input_usd_per_million_tokens == pytest.approx(
                        one.long_input_usd_per_million_tokens
                    ), one
    assert compared > 100


def test_the_real_package_opens_no_socket_and_starts_no_thread(
    source_environment: dict[str, str],
) -> None:
    """Its own updates over the network stay off: nothing is connected, and no thread is left running."""
    pytest.importorskip("genai_prices")
    code = (
        "import sys, threading\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(event) if event.startswith('socket.') else None)\n"
        "from selfhost.catalogue.offers import Offer\n"
        "from selfhost.catalogue.prices import _prices\n"
        "one = Offer(provider='openai', model='gpt-4o', model_id='gpt-4o', input_usd_per_million_tokens=1.0,\n"
        "            output_usd_per_million_tokens=1.0, as_of='2026-11-20', source='s')\n"
        "found, newest = _prices([one], '2026-11-20')\n"
        "assert found == [(2.5, 10.0, None, None, None)], found\n"
        "assert not opened, opened\n"
        "assert threading.active_count() == 1\n"
    )
    environment = {
        key: value for key, value in source_environment.items() if key != "PYTHONWARNINGS"
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_without_being_asked_the_package_is_not_loaded(source_environment: dict[str, str]) -> None:
    """Installed beside selfhost by another program it costs nothing and changes nothing."""
    code = (
        "import sys\nfrom selfhost.cli.main import main\nmain(['check', 'gpt-4o', '--tokens-per-day', '1M'])\n"
        "assert 'genai_prices' not in sys.modules and 'selfhost.catalogue.prices' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=source_environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
