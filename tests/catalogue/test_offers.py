"""The price snapshot: what is read of it, in which order, and what a damaged one gives."""

from __future__ import annotations

import json
import tomllib
from itertools import count
from pathlib import Path

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


# the keys and values of an offer or of a line
Keys = dict[str, object]


def offer(**changes: object) -> Keys:
    """An offer of text; a key whose value is None is left out."""
    keys: Keys = {
        "provider": "somebody",
        "provider_model": "m",
        "input_usd_per_million_tokens": 0.1,
        "output_usd_per_million_tokens": 0.2,
        "source": "price list of 2026-11-20",
    }
    keys.update(changes)
    return {key: value for key, value in keys.items() if value is not None}


_NUMBERS = count()


def write(folder: Path, *lines: object) -> str:
    """A file of these lines, and its path."""
    # what was read is kept by its path, and pytest 8.0 gives two tests one folder
    path = folder / f"offers-{next(_NUMBERS)}.jsonl"
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return str(path)


def row(model: str, *offers: object) -> Keys:
    """The line of a model."""
    return {"model": model, "offers": list(offers)}


def test_shipped_snapshot_is_sorted_and_whole() -> None:
    """One line a model, sorted, each a spec that exists; every offer says who, what, from where,
    and the price of what it sells.
    """
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    header, *rows = [json.loads(line) for line in lines]
    assert header["schema"] == 1
    models = [entry["model"] for entry in rows]
    assert models == sorted(set(models))
    assert set(models) <= SPEC_FILES.keys()
    for entry in rows:
        model = entry["model"]
        in_force = offers_of(str(SHIPPED), model, today=header["as_of"])
        assert len(in_force) == len(entry["offers"]), "holds offers that had ended"
        spec = tomllib.loads(SPEC_FILES[model].read_text("utf-8"))
        names = set()
        for item in entry["offers"]:
            names.add((item["provider"], item["provider_model"].lower()))
            assert item["source"] in header["sources"]
            prices = {key for key in item if "usd" in key}
            assert prices == PRICES[spec["modality"]], item
        assert len(names) == len(entry["offers"])


def test_prices_of_a_known_model() -> None:
    """GPT-4o: 2.50 and 10 dollars a million (litellm 1.109.1, genai-prices 0.2.3 and models.dev
    agree), until its announced end.
    """
    (found,) = offers_of(str(SHIPPED), "gpt-4o", today="2027-01-13")
    assert found.provider == "openai"
    assert found.input_usd_per_million_tokens == 2.5
    assert found.output_usd_per_million_tokens == 10.0
    assert found.context_tokens == 128_000
    assert found.as_of == "2026-11-20"
    assert found.ends == "2027-01-14"
    assert offers_of(str(SHIPPED), "gpt-4o", today="2027-01-14") == ()


def test_a_price_has_the_day_of_its_own_source() -> None:
    """An older source does not pass for today's: models.dev was read on 2026-07-02, the packages on
    2026-11-20.
    """
    found = offers_of(str(SHIPPED), "deepseek-r1", today=TODAY)
    days = {offer.source: offer.as_of for offer in found}
    assert days["models.dev@f3fc6922 (2026-07-02)"] == "2026-07-02"
    assert days["litellm 1.109.1"] == "2026-11-20"
    assert days["genai-prices 0.2.3"] == "2026-11-20"


def of_text(model: str, input_price: float | None, output_price: float | None) -> Keys:
    """An offer of text, by its dollars for a million tokens."""
    return offer(
        provider_model=model,
        input_usd_per_million_tokens=input_price,
        output_usd_per_million_tokens=output_price,
    )


def of_minutes(model: str, price: float) -> Keys:
    """An offer of speech, by its dollars for a minute."""
    return of_text(model, None, None) | {"usd_per_audio_minute": price}


def test_cheapest_first(tmp_path: Path) -> None:
    """Offers come by the price of three tokens in and one out, the blend of artificialanalysis.ai;
    the others follow, by the minute.
    """
    cheap = of_text("cheap", 0.1, 10.0)
    offers = [
        of_text("dear", 1.0, 9.0),
        of_text("unknown", None, None),
        of_minutes("minutes", 0.2),
        of_text("vectors", 3.9, None),
        cheap,
        of_minutes("minute", 0.1),
    ]
    path = write(tmp_path, HEADER, row("a", *offers))
    order = ["cheap", "vectors", "dear", "minute", "minutes", "unknown"]
    assert [offer.model for offer in offers_of(path, "a", today=TODAY)] == order


def test_of_nearly_equal_prices_the_provider_of_more_models_is_first(
    tmp_path: Path,
) -> None:
    """2.65 dollars of a provider of eight models stand before 2.58 of a provider of one."""
    known = of_text("known", 0.2, 10.0) | {"provider": "known"}
    of_others = [row(id, known) for id in "bcdefgh"]
    both = row("z", of_text("cheap", 0.1, 10.0), known)
    path = write(tmp_path, HEADER, *of_others, both)
    assert offers_of(path, "z", today=TODAY)[0].provider == "known"


@pytest.mark.parametrize(
    ("item", "key"),
    [
        pytest.param(offer(provider=None), "provider", id="missing"),
        pytest.param(
            offer(input_usd_per_million_tokens=-1),
            "input_usd_per_million_tokens",
            id="negative",
        ),
        pytest.param(
            offer(output_usd_per_million_tokens="free"),
            "output_usd_per_million_tokens",
            id="text",
        ),
        pytest.param(offer(usd_per_audio_minute=float("nan")), "", id="not a number"),
        pytest.param(offer(ends="soon"), "ends", id="no day"),
        pytest.param(["x"], "", id="an array"),
    ],
)
def test_damaged_offer_names_file_and_key(
    item: object, key: str, tmp_path: Path
) -> None:
    """A wrong value is never taken for a price: the error says which file and key, and what to do;
    another model keeps its own.
    """
    path = write(tmp_path, HEADER, row("a", offer()), row("b", offer(), item))
    assert len(offers_of(path, "a", today=TODAY)) == 1
    with pytest.raises(SpecError) as caught:
        offers_of(path, "b", today=TODAY)
    (problem,) = caught.value.problems
    assert problem.file == path
    assert problem.key is not None
    assert problem.key.startswith("b[1]")
    assert problem.key.endswith(key)
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
    """The file is JSON: its arrays and objects are not called lists and tables."""
    path = write(tmp_path, HEADER, row("b", offer(), item))
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
        assert problem.file == name
        assert problem.line is None
        assert caught.value.remedy
