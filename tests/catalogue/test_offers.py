"""The price snapshot: what is read of it, in which order, and what a damaged one gives."""

from __future__ import annotations

import json
import tomllib
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import COMMON, SPEC_FILES
from selfhost.catalogue.offers import offers_of
from selfhost.core.errors import SpecError

SHIPPED = COMMON / "offers.jsonl"
HEADER = {
    "schema": 1,
    "as_of": "2026-11-20",
    "sources": {"an older list": {"as_of": "2026-07-02"}},
}
TODAY = "2026-11-20"
# what is sold by modality: text in and out, text in alone (an embedding is no text), minutes,
# images
PRICES = {
    "text": {"input_usd_per_million_tokens", "output_usd_per_million_tokens"},
    "vision": {"input_usd_per_million_tokens", "output_usd_per_million_tokens"},
    "embedding": {"input_usd_per_million_tokens"},
    "speech": {"usd_per_audio_minute"},
    "image": {"usd_per_image"},
}


def offer(**changes: Any) -> dict[str, Any]:
    known = {
        "provider": "somebody",
        "provider_model": "m",
        "input_usd_per_million_tokens": 0.1,
        "output_usd_per_million_tokens": 0.2,
        "source": "price list of 2026-11-20",
    }
    return {key: value for key, value in (known | changes).items() if value is not None}


_NUMBERS = count()


def write(folder: Path, *lines: object) -> str:
    # what was read is kept by its path, and pytest 8.0 gives two tests one folder
    path = folder / f"offers-{next(_NUMBERS)}.jsonl"
    text = (
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        + "\n"
    )
    path.write_text(text, encoding="utf-8")
    return str(path)


def row(model: str, *offers: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "offers": list(offers)}


def shipped() -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines()
    ]


def test_shipped_snapshot_is_sorted_and_whole() -> None:
    """One line a model, sorted, each a spec that exists; every offer says who, what, from where,
    and the price of what it sells.
    """
    header, *rows = shipped()
    assert header["schema"] == 1
    models = [entry["model"] for entry in rows]
    assert models == sorted(set(models))
    assert set(models) <= SPEC_FILES.keys()
    for entry in rows:
        assert len(
            offers_of(str(SHIPPED), entry["model"], today=header["as_of"])
        ) == len(entry["offers"]), "holds offers that had ended"
        names = [
            (item["provider"], item["provider_model"].lower())
            for item in entry["offers"]
        ]
        assert len(names) == len(set(names))
        for item in entry["offers"]:
            assert item["source"] in header["sources"]
            modality = tomllib.loads(SPEC_FILES[entry["model"]].read_text("utf-8"))[
                "modality"
            ]
            assert {key for key in item if "usd" in key} == PRICES[modality], item


def test_prices_of_a_known_model() -> None:
    """GPT-4o: 2.50 and 10 dollars a million (litellm 1.109.1, genai-prices 0.2.3 and models.dev
    agree), until its announced end.
    """
    (found,) = offers_of(str(SHIPPED), "gpt-4o", today="2027-01-13")
    price = found.input_usd_per_million_tokens, found.output_usd_per_million_tokens
    assert (found.provider, *price) == ("openai", 2.5, 10.0)
    assert found.context_tokens == 128_000
    assert (found.as_of, found.ends) == ("2026-11-20", "2027-01-14")
    assert offers_of(str(SHIPPED), "gpt-4o", today="2027-01-14") == ()


def test_a_price_has_the_day_of_its_own_source() -> None:
    """An older source does not pass for today's: models.dev was read on 2026-07-02, the packages on
    2026-11-20.
    """
    days = {
        one.source: one.as_of
        for one in offers_of(str(SHIPPED), "deepseek-r1", today=TODAY)
    }
    assert days["models.dev@f3fc6922 (2026-07-02)"] == "2026-07-02"
    assert days["litellm 1.109.1"] == days["genai-prices 0.2.3"] == "2026-11-20"


def test_cheapest_first(tmp_path: Path) -> None:
    """Offers come by the price of three tokens in and one out, the blend of artificialanalysis.ai;
    the others follow, by the minute.
    """
    tokens = "_usd_per_million_tokens"
    names = {f"input{tokens}": 0, f"output{tokens}": 1, "usd_per_audio_minute": 2}
    prices = {
        "dear": (1.0, 9.0, None),
        "unknown": (None, None, None),
        "minutes": (None, None, 0.2),
        "vectors": (3.9, None, None),
        "cheap": (0.1, 10.0, None),
        "minute": (None, None, 0.1),
    }  # fmt: skip
    items = [
        offer(
            provider_model=model, **{key: price[place] for key, place in names.items()}
        )
        for model, price in prices.items()
    ]
    known = offer(provider="known", **{f"input{tokens}": 0.2, f"output{tokens}": 10.0})
    rows = [row(id, known) for id in "bcdefgh"] + [row("z", items[4], known)]
    path = write(tmp_path, HEADER, row("a", *items), *rows)
    order = ["cheap", "vectors", "dear", "minute", "minutes", "unknown"]
    assert [one.model for one in offers_of(path, "a", today=TODAY)] == order
    assert offers_of(path, "z", today=TODAY)[0].provider == "known"


@pytest.mark.parametrize(
    ("item", "key"),
    [
        (offer(provider=None), "provider"),
        (offer(input_usd_per_million_tokens=-1), "input_usd_per_million_tokens"),
        (offer(output_usd_per_million_tokens="free"), "output_usd_per_million_tokens"),
        (offer(usd_per_audio_minute=float("nan")), None),
        (offer(ends="soon"), "ends"),
        (["x"], None),
    ],
)
def test_damaged_offer_names_file_and_key(
    item: object, key: str | None, tmp_path: Path
) -> None:
    """A wrong value is never taken for a price: the error says which file and key, and what to do;
    another model keeps its own.
    """
    path = write(tmp_path, HEADER, row("a", offer()), row("b", offer(), item))  # type: ignore[arg-type]
    assert len(offers_of(path, "a", today=TODAY)) == 1
    with pytest.raises(SpecError) as caught:
        offers_of(path, "b", today=TODAY)
    (problem,) = caught.value.problems
    assert problem.file == path
    assert (problem.key or "").startswith("b[1]")
    assert (problem.key or "").endswith(key or "")
    assert problem.remedy


@pytest.mark.parametrize(
    ("item", "told"),
    [
        pytest.param(["x"], "must be an object, not an array", id="an array"),
        pytest.param(
            {**offer(), "provider": None}, "must be a string, not null", id="null"
        ),
        pytest.param(offer(ends={}), "must be a string, not an object", id="an object"),
    ],
)
def test_a_damaged_offer_is_told_in_the_words_of_json(
    item: object, told: str, tmp_path: Path
) -> None:
    path = write(tmp_path, HEADER, row("b", offer(), item))  # type: ignore[arg-type]
    with pytest.raises(SpecError) as caught:
        offers_of(path, "b", today=TODAY)
    (problem,) = caught.value.problems
    assert problem.message == told


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    """Without a readable header nothing of the file is believed; missing, a folder, a name no file
    can have, or far too large.
    """
    day = b'{"schema": 1, "as_of": "2026-11-20", "sources": {"a": {}}}\n'
    paths = [str(tmp_path / "none.jsonl"), str(tmp_path), "a\0b"]
    for content in (
        b"",
        b"\x00\xff\xfe" * 1000,
        b"{}\n",
        day,
        b"[" * 100_000,
        bytes(17 << 20),
    ):
        path = tmp_path / f"{len(paths)}.jsonl"
        path.write_bytes(content)
        paths.append(str(path))
    for name in paths:
        with pytest.raises(SpecError) as caught:
            offers_of(name, "a", today=TODAY)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (name, None)
        assert caught.value.remedy
