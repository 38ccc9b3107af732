"""The sizes of files whose mix of types is their publisher's own."""

from __future__ import annotations

import json

import pytest

from helpers.cases import case_id
from helpers.paths import TRUTH
from selfhost.catalogue.index import Catalogue
from selfhost.core.tables import shipped_table
from selfhost.needs import canonical_quantization, weights_files
from selfhost.needs.records import Term

CATALOGUE = Catalogue.open()

# files of mixes in bytes, and as listings state them, in GB
MEASURED = json.loads((TRUTH / "unsloth_mixes.json").read_text(encoding="utf-8"))


def size_of(id: str, mix: str) -> Term:
    """By the rule, whatever sizes are listed."""
    spec = CATALOGUE.spec(id).replace(files=())
    size = weights_files(spec, "gguf", mix)
    assert isinstance(size, Term)
    return size


@pytest.mark.parametrize(("id", "mix", "published"), MEASURED["published"], ids=case_id)
def test_a_published_file_lies_in_the_range(id: str, mix: str, published: int) -> None:
    """Who has setup for the upper end has setup for the file, and the middle is near it."""
    size = size_of(id, mix)
    assert size.low_bytes <= published <= size.high_bytes
    assert abs(size.bytes / published - 1) < 0.15


@pytest.mark.parametrize(("id", "sizes"), MEASURED["listed"], ids=case_id)
def test_a_listed_size_lies_in_the_range(id: str, sizes: dict[str, float]) -> None:
    """Of few bits, too, where files of two models differ most."""
    for mix, gigabytes in sizes.items():
        size = size_of(id, f"UD-{mix}")
        assert size.low_bytes <= gigabytes * 1e9 <= size.high_bytes, mix


# files of other rules than those of their time, or of types that their recipe does not fit
UNLIKE = {
    "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
    "unsloth/ERNIE-4.5-0.3B-PT-GGUF",
    "unsloth/DeepSeek-V3.2-GGUF",
    "unsloth/functiongemma-270m-it-GGUF",
}


def test_sizes_of_a_year_of_listings_lie_in_the_ranges() -> None:
    """Of 77 shapes; those that a few models break are named."""
    for listed in json.loads((TRUTH / "unsloth_sizes.json").read_text())["files"]:
        for mix, (gibibytes, half_digit) in listed["gib"].items():
            size = size_of(listed["model"], f"UD-{mix}")
            low = size.low_bytes / 2**30 - half_digit
            high = size.high_bytes / 2**30 + half_digit
            is_inside = low <= gibibytes <= high
            assert is_inside or listed["repository"] in UNLIKE, (listed["model"], mix)


@pytest.mark.parametrize(
    ("id", "mix", "gigabytes"),
    [
        # bartowski's card of Llama 3.1 Nemotron 70B, as ozeki.chat quotes it: Q8_0 for the token
        # table and the output
        ("llama-3.1-70b-instruct", "Q5_K_L", 50.60),
        ("llama-3.1-70b-instruct", "Q4_K_L", 43.30),
        ("llama-3.1-70b-instruct", "Q3_K_XL", 38.06),
        # the cards of stduhpf/google-gemma-3-*-it-qat-q4_0-gguf-small, of Google's files
        ("gemma-3-1b-it", "QAT-Q4_0", 1.00),
        ("gemma-3-4b-it", "QAT-Q4_0", 3.16),
        ("gemma-3-12b-it", "QAT-Q4_0", 8.07),
    ],
)
def test_a_mix_with_tables_of_another_type_is_computed(
    id: str, mix: str, gigabytes: float
) -> None:
    """To a hundredth of a gigabyte, as the cards have it."""
    size = size_of(id, mix)
    assert abs(size.bytes / 1e9 - gigabytes) < 0.01
    assert size.low_bytes <= size.bytes <= size.high_bytes


def test_a_mix_is_known_by_any_spelling_and_no_other_name_is_one() -> None:
    """Case and separators of a tag make no difference; a mix that nobody measured is no mix
    here.
    """
    assert canonical_quantization("ud-q4_k_xl") == "UD-Q4_K_XL"
    assert canonical_quantization("UD-Q4-K-XL") == "UD-Q4_K_XL"
    assert all(
        canonical_quantization(mix) == mix
        for mix in shipped_table("gguf_types")["mixes"]
    )
    assert canonical_quantization("UD-Q9_K_XL") is None
