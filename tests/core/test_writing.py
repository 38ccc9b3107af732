"""Numbers as people type and read them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.cases import case_id
from selfhost.core import units
from selfhost.core.units import (
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_tokens,
    parse_wait,
    parse_whole,
)
from selfhost.core.workload import Workload


@given(st.integers(min_value=0, max_value=2**60))
@example(1023)
@example(2**40 - 1)
@example(999_999_999)
def test_a_printed_size_parses_back(size: int) -> None:
    """What is printed can be typed again, and means the same within the three digits that were
    shown.
    """
    for printed in (units.binary(size), units.decimal(size)):
        assert abs(parse_size(printed) - size) <= max(1, size * 0.0051), printed
    assert parse_size(units.binary(size, up=True)) >= size
    assert parse_size(units.decimal(size, up=True)) >= size


@pytest.mark.parametrize(
    ("parse", "typed", "number"),
    [
        # GB is 10**9, GiB and a bare G are 2**30
        (parse_size, "16GiB", 17_179_869_184),
        (parse_size, "16 GB", 16_000_000_000),
        (parse_size, "512M", 536_870_912),
        (parse_size, "1,024.5 KiB", 1_049_088),
        (parse_number, "1,000.5", 1000.5),
        (parse_number, "-1", -1),
        (parse_whole, "007", 7),
        # a k of tokens is 1,024, as in the names of contexts
        (parse_tokens, "8k", 8192),
        (parse_tokens, "0.5m", 524_288),
        (parse_count, "1.5M", 1_500_000),
        # a bare number is in seconds; an m is a minute
        (parse_seconds, "1.5h", 5400),
        (parse_wait, "0.5 s", 0.5),
        (parse_wait, "1.5m", 90),
        # a small b is a bit and a capital B a byte; M is 10**6, Mi 2**20
        (parse_rate, "100Mbit/s", 12_500_000),
        (parse_rate, "1Gbps", 125_000_000),
        (parse_rate, "10 MiB/s", 10_485_760),
        (parse_rate, "12500000B/s", 12_500_000),
    ],
    ids=case_id,
)
def test_quantities_as_people_type_them(
    parse: Callable[[str], float], typed: str, number: float
) -> None:
    assert parse(typed) == number


@pytest.mark.parametrize(
    ("parse", "typed"),
    [
        *(
            (parse_size, typed)
            for typed in ("GB", "-1GB", "16 apples", "1.2.3GB", "9" * 30)
        ),
        *(
            (parse_tokens, typed)
            for typed in ("k", "-1", "8.3k", "8.5", "8kk", "1" * 25)
        ),
        *(
            (parse_seconds, typed)
            for typed in ("s", "-1s", "3d", "1.0001s", "4:05", "1h30m")
        ),
        # nothing is guessed: bits or bytes
        *(
            (parse_rate, typed)
            for typed in ("100", "100MB", "100mb/s", "50mbps", "0MB/s", "MB/s")
        ),
    ],
    ids=case_id,
)
def test_what_is_no_quantity_is_refused(
    parse: Callable[[str], float], typed: str
) -> None:
    """Nothing is guessed, and the message quotes what was typed."""
    with pytest.raises(ValueError, match=re.escape(repr(typed))):
        parse(typed)


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("8", id="whole"),
        pytest.param("7.5", id="decimals"),
        pytest.param("0.4", id="less than one"),
        pytest.param("1,024", id="marks of thousands"),
    ],
)
def test_a_size_of_a_few_bytes_lacks_its_unit(typed: str) -> None:
    """Nobody reserves eight bytes: 8 and 7.5 are of GiB or GB, and which is not guessed."""
    with pytest.raises(ValueError, match="the unit is missing"):
        parse_size(typed)


READERS: tuple[tuple[Callable[[str], float], str], ...] = (
    (parse_size, "GiB"), (parse_rate, "MB/s"), (parse_tokens, "k"), (parse_count, "M"),
    (parse_seconds, "s"), (parse_wait, "s"), (parse_number, ""), (parse_whole, ""),
)  # fmt: skip
# digits of other scripts, letters and spaces that Python takes for ASCII ones, marks in odd places,
# and what float() and int() also read
ODD_NUMBERS = (
    "\u0663", "8\u0663", "\uff18", "\u00b2", "8\u00a0", "\u30008", "8\x1c", "1\u066b5", "\u22128",
    "8_", "_8", "1__000", "1_0", "1,000_000", "nan", "-inf", "1e3", "0x8", "+8", "--8", "8-", "8.",
    ".5", "1.5.2", "8 8", "", " ", "\ud800", "8\0", "8\n", "8\u212a",
)  # fmt: skip


@pytest.mark.parametrize(
    ("parse", "unit"), READERS, ids=[parse.__name__ for parse, _ in READERS]
)
@pytest.mark.parametrize("typed", ODD_NUMBERS, ids=case_id)
def test_a_number_is_typed_in_ascii_digits_alone(
    parse: Callable[[str], float], unit: str, typed: str
) -> None:
    """One grammar for every number that a person types: digits 0 to 9, a point, marks of thousands
    between groups of three.
    """
    with pytest.raises(ValueError, match=r"."):
        parse(typed + unit)


@pytest.mark.parametrize(("parse", "unit"), READERS[:4], ids=case_id)
@pytest.mark.parametrize(
    "typed", ["16,5", "1,0000", "1000,000", "1,2,3", ",5", "1.5,000", "1,"], ids=case_id
)
def test_a_decimal_comma_is_no_mark_of_thousands(
    parse: Callable[[str], int], unit: str, typed: str
) -> None:
    """Half of Europe writes 16,5 for sixteen and a half: taken as 165 it would be ten times too
    much.
    """
    with pytest.raises(ValueError, match="is not a number") as refused:
        parse(typed + unit)
    if re.fullmatch(r"\d+,\d+", typed):
        assert f"a decimal point, {typed.replace(',', '.')}{unit}" in str(refused.value)


@given(st.floats(min_value=0, max_value=999_999_999))
@example(1_000_000.0)
@example(3.6929809268972227e-06)
def test_a_number_is_printed_as_it_can_be_typed_again(number: float) -> None:
    """A proposed command asks for the same: no exponent, which no number here has, and no digit
    less.
    """
    text = (
        Workload(min_tokens_per_second=number).options().removeprefix(" --min-speed ")
    )
    assert set(text) <= set("0123456789.")
    # below that nobody types a speed or a price
    assert abs(float(text) - number) <= 1e-24
    if number == 0 or number >= 1e-6:
        assert parse_number(text) == number


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (units.binary(5_264_870_912), "4.90 GiB"),
        (units.decimal(5_264_870_912), "5.26 GB"),
        (units.binary(-(2**30)), "-1.00 GiB"),
        (units.pace(8.0, 12.4), "8.0-12"),
        (units.pace(0.001, 0.2), "<0.01-0.2"),
        (units.dollars(0.0999), "$0.0999"),
        (Workload(reserve_bytes=20 * 2**30).options(), " --reserve 20GiB"),
        (units.dollars(0.000021), "$0.000021"),
        (units.count(7_248_023_552), "7.25 B"),
        (units.cores(0.5), "0.5 cores"),
        (units.duration(350), "6 minutes"),
        (units.duration(7800), "2.2 hours"),
        (units.duration(180_000), "2 days"),
        (units.duration(0.09), "0.09 seconds"),
        (units.duration(1.0), "1 second"),
    ],
    ids=case_id,
)
def test_figures_read_well(printed: str, text: str) -> None:
    """Three digits at most, and the unit says which base."""
    assert printed == text
