"""What is said against a model that is proposed in the place of another: only what their specs and offers state."""

from __future__ import annotations

import pytest

from selfhost.advice.risks import is_older, risks
from selfhost.catalogue.offers import Offer
from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.quality import Quality

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


def said(of: str, other: str) -> str:
    return " ".join(risks(CATALOGUE.spec(of), CATALOGUE.spec(other), None, None, ()))


def test_another_model_is_called_another_whatever_else_is_known() -> None:
    """No benchmark stands for the reader's own task: to compare both on it is the advice, first of all."""
    first, *_ = risks(
        CATALOGUE.spec("gpt-4o"), CATALOGUE.spec("gpt-oss-20b"), None, None, [offer(None)]
    )
    assert "another model than GPT-4o" in first
    assert "your own prompts" in first


def test_the_same_model_is_no_risk() -> None:
    """Only what its quantization and its context cost is left to say."""
    assert said("gpt-oss-20b", "gpt-oss-20b") == ""


def test_fewer_parameters_are_told_where_both_are_stated() -> None:
    """gpt-oss by its model card: 20.9 and 116.8 billion (arXiv 2508.10925, table 1); GPT-4o's number was never published."""
    assert "20.9 of 116.8 billion parameters" in said("gpt-oss-120b", "gpt-oss-20b")
    assert "parameters" not in said("gpt-oss-20b", "gpt-oss-120b")
    assert "parameters" not in said("gpt-4o", "gpt-oss-20b")


def test_an_older_model_is_called_older() -> None:
    """Mistral 7B v0.3 came in May 2024, gpt-oss-20b in August 2025."""
    assert "It is older: released 2024-05" in said("gpt-oss-20b", "mistral-7b-instruct-v0.3")
    assert "older" not in said("mistral-7b-instruct-v0.3", "gpt-oss-20b")


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


def test_what_is_not_read_any_more_is_told() -> None:
    """GPT-4o sees images; a model whose inputs are stated as text alone does not. Inputs that nobody states are not denied."""
    spec, other = CATALOGUE.spec("gpt-4o"), CATALOGUE.spec("gpt-oss-20b")
    assert "image" in (spec.inputs or ())
    text_alone = " ".join(risks(spec, other.replace(inputs=("text",)), None, None, ()))
    assert "does not read images" in text_alone
    both = " ".join(risks(spec, other.replace(inputs=("text", "image")), None, None, ()))
    assert "does not read" not in both
    assert "does not read" not in " ".join(risks(spec, other.replace(inputs=None), None, None, ()))


def test_what_the_quantization_costs_is_told_with_its_name() -> None:
    spec = CATALOGUE.spec("gpt-oss-20b")
    quality = Quality(quantization="Q2_K", text="a large loss was measured")
    assert risks(spec, spec, quality, None, ()) == ("In Q2_K a large loss was measured.",)


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
