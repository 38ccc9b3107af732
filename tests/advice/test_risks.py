"""What is said against a model that is proposed in the place of another: only what their specs and offers state."""

from __future__ import annotations

import pytest

from selfhost.advice.risks import is_older, risks
from selfhost.catalogue.offers import Offer
from selfhost.catalogue.opened import open_catalogue

CATALOGUE = open_catalogue()


def offer(context_tokens: int | None) -> Offer:
    return Offer(
        provider="acme",
        model="m",
        model_id="m",
        context_tokens=context_tokens,
        as_of="2026-11-20",
        source="its list of prices",
    )


def test_another_model_is_called_another_whatever_else_is_known() -> None:
    """No benchmark stands for the reader's own task: to compare both on it is the advice, first of all."""
    first, *_ = risks(
        CATALOGUE.spec("gpt-4o"), CATALOGUE.spec("gpt-oss-20b"), None, None, [offer(None)]
    )
    assert "another model than GPT-4o" in first
    assert "your own prompts" in first


@pytest.mark.parametrize(
    ("day", "than", "older"),
    [
        ("2024-05-22", "2025-08-05", True),
        ("2025-08-05", "2024-05-22", False),
        ("2024", "2024-05-22", False),
        ("2024-05", "2024-05-22", False),
        ("2024-04", "2024-05-22", True),
        ("2023", "2024-05-22", True),
        (None, "2024-05-22", False),
        ("2024-05-22", None, False),
    ],
)
def test_a_day_is_earlier_only_if_it_surely_is(
    day: str | None, than: str | None, older: bool
) -> None:
    """A year holds days before and after one in May of it."""
    assert is_older(day, than) is older


def test_a_shorter_context_than_an_offer_takes_is_told_with_the_option() -> None:
    """The bill here is for what was judged, and the API's for more: the longest of the offers counts."""
    spec = CATALOGUE.spec("gpt-oss-20b")
    offers = [offer(32_768), offer(131_072), offer(None)]
    (sentence,) = risks(spec, spec, None, 4096, offers)
    assert "4,096" in sentence
    assert "131,072" in sentence
    assert "--context" in sentence
    assert risks(spec, spec, None, 131_072, offers) == ()
    assert risks(spec, spec, None, None, offers) == ()
    assert risks(spec, spec, None, 4096, [offer(None)]) == ()
