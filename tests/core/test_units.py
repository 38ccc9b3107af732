"""Numbers as people type and read them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.each import each
from selfhost.core import quantities, units

SIZES = st.integers(min_value=0, max_value=2**60)


@given(SIZES)
@example(1023)
@example(1024)
@example(2**40 - 1)
@example(999_999_999)
def test_a_printed_size_parses_back(size: int) -> None:
    """What is printed can be typed again, and means the same within the three digits that were shown."""
    for printed in (units.binary(size), units.decimal(size)):
        assert abs(quantities.parse_bytes(printed) - size) <= max(1, size * 0.0051), printed


@given(SIZES, SIZES)
def test_printing_keeps_order(first: int, second: int) -> None:
    """A larger size never prints as a smaller one."""
    low, high = sorted((first, second))
    for show in (units.binary, units.decimal):
        assert quantities.parse_bytes(show(low)) <= quantities.parse_bytes(show(high))


@pytest.mark.parametrize(
    ("typed", "size"),
    [
        ("16GiB", 17_179_869_184),
        ("16 GB", 16_000_000_000),
        ("16g", 17_179_869_184),
        ("512M", 536_870_912),
        ("1.5GB", 1_500_000_000),
        ("1,000", 1000),
        ("1,024.5 KiB", 1_049_088),
        ("0", 0),
        (" 1 byte ", 1),
    ],
)
def test_sizes_as_people_type_them(typed: str, size: int) -> None:
    """GB is 10**9, GiB and a bare G are 2**30."""
    assert quantities.parse_bytes(typed) == size


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "GB",
        "-1GB",
        "1e9",
        "16 apples",
        "1.GB",
        "1.2.3GB",
        "१६GB",
        "9" * 30,
        "0x10",
        "nan",
        "inf",
    ],
)
def test_what_is_no_size_is_refused(typed: str) -> None:
    """A size is never guessed: the error quotes what was typed."""
    with pytest.raises(ValueError, match=r"GB|larger"):
        quantities.parse_bytes(typed)


@each(
    "typed",
    ["16,5", "1,5", "16,50", "1,0000", "1000,000", "1,2,3", ",5", "1,000,00", "1.5,000", "1,"],
)
@each(
    ("parse", "unit"),
    [
        (quantities.parse_bytes, "GiB"),
        (quantities.parse_rate, "MB/s"),
        (quantities.parse_tokens, "k"),
        (quantities.parse_count, "M"),
    ],
)
def test_a_decimal_comma_is_no_mark_of_thousands(
    parse: Callable[[str], int], unit: str, typed: str
) -> None:
    """Half of Europe writes 16,5 for sixteen and a half: taken as 165 it would be ten times too much.

    One comma between digits is answered with the same number and a point, unit and all; what can be no number is refused.
    """
    with pytest.raises(ValueError, match="is not a number") as refused:
        parse(typed + unit)
    assert repr(typed + unit) in str(refused.value)
    if re.fullmatch(r"\d+,\d+", typed):
        said = str(refused.value).split("write ")[1]
        assert said == f"a decimal point, {typed.replace(',', '.')}{unit}"
    else:
        assert "write one number" in str(refused.value)


READERS: tuple[tuple[Callable[[str], float], str], ...] = (
    (quantities.parse_bytes, "GiB"),
    (quantities.parse_rate, "MB/s"),
    (quantities.parse_tokens, ""),
    (quantities.parse_tokens, "k"),
    (quantities.parse_count, "M"),
    (quantities.parse_seconds, "s"),
    (quantities.parse_number, ""),
    (quantities.parse_whole, ""),
)
# digits of other scripts, letters and spaces that Python takes for ASCII ones, marks in odd places, and what float() and int() also read
ODD_NUMBERS = (
    "\u0663", "8\u0663", "\uff18", "\u00b2", "\U0001d7d6", "8\u00a0", "\u30008", "8\u2009", "8\x1c", "8\x85", "1\u066b5", "\u22128",
    "8_", "_8", "1__000", "1_0", "10_00", "1,000_000", "1_000,000", "nan", "inf", "-inf", "infinity", "1e3", "1E3", "0x8", "0b1", "0o7",
    "+8", "--8", "8-", "8.", ".5", "8..5", "1.5.2", "8 8", "", " ", "-", "\ud800", "8\0", "8\n", "8\x1b[0m",
)  # fmt: skip


@each(("parse", "unit"), READERS)
@each("typed", ODD_NUMBERS)
def test_a_number_is_typed_in_ascii_digits_alone(
    parse: Callable[[str], float], unit: str, typed: str
) -> None:
    """One grammar for every number that a person types: digits 0 to 9, a point, marks of thousands between groups of three."""
    with pytest.raises(ValueError, match=r"."):
        parse(typed + unit)


@pytest.mark.parametrize("unit", ["8\u212aiB", "8\u212a", "8\u212aB/s", "1\u017f"])
def test_a_unit_is_typed_in_ascii_too(unit: str) -> None:
    """The Kelvin sign is a k in lower case to Python, and no unit of anything that is asked for here."""
    for parse, _ in READERS:
        with pytest.raises(ValueError, match=r"0 to 9"):
            parse(unit)


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("1,000.5", 1000.5),
        ("1_000", 1000.0),
        (" 7 ", 7.0),
        ("-1", -1.0),
        ("007", 7.0),
    ],
)
def test_numbers_as_people_type_them(typed: str, number: float) -> None:
    """A minus is read, for whoever knows what the least is to say so."""
    assert quantities.parse_number(typed) == number
    if number == int(number):
        assert quantities.parse_whole(typed.removesuffix(".0")) == number
    assert str(quantities.parse_number("-0")) == "0.0"


@given(st.floats(min_value=0, max_value=1e9) | st.integers(min_value=0, max_value=10**9))
@example(1_000_000.0)
@example(0.00001)
@example(12.3456789)
def test_a_number_is_printed_as_it_can_be_typed_again(number: float) -> None:
    """A proposed command asks for the same: no exponent, which no number here has, and no digit less."""
    text = units.plain(number)
    assert set(text) <= set("0123456789.")
    # below that nobody types a speed, watts or a price
    assert abs(float(text) - number) <= 1e-24
    if number == 0 or number >= 1e-6:
        assert quantities.parse_number(text) == number


@given(st.integers(min_value=0, max_value=10**11))
def test_tokens_parse_back(number: int) -> None:
    """A printed number of tokens is exact."""
    assert quantities.parse_tokens(units.tokens(number).split()[0]) == number


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("8192", 8192),
        ("8k", 8192),
        ("2.5k", 2560),
        ("128K", 131_072),
        ("8_192", 8192),
        ("1m", 1_048_576),
        ("0.5m", 524_288),
    ],
)
def test_tokens_as_people_type_them(typed: str, number: int) -> None:
    """A k of tokens is 1,024, as in the names of contexts."""
    assert quantities.parse_tokens(typed) == number


@pytest.mark.parametrize(
    "typed", ["", "k", "-1", "8.3k", "8.5", "8.k", ".5k", "eight", "8kk", "1" * 25]
)
def test_what_is_no_number_of_tokens_is_refused(typed: str) -> None:
    """Tokens are whole and not negative."""
    with pytest.raises(ValueError, match="tokens"):
        quantities.parse_tokens(typed)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("90", 90),
        ("30s", 30),
        ("10 min", 600),
        ("10m", 600),
        ("1.5h", 5400),
        ("1,200", 1200),
        ("1h30m", 5400),
        ("2 hours", 7200),
        # as players show them
        ("1:30:00", 5400),
        ("4:05", 245),
        ("90:00", 5400),
    ],
)
def test_lengths_of_time_as_people_type_them(typed: str, seconds: int) -> None:
    """A bare number is in seconds; an m is a minute."""
    assert quantities.parse_seconds(typed) == seconds


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "s",
        "-1s",
        "1.s",
        "ten minutes",
        "3d",
        "1.0001s",
        "9" * 25,
        "1:75",
        "1:2",
        "12:61:00",
        ":30",
    ],
)
def test_what_is_no_length_of_time_is_refused(typed: str) -> None:
    """Seconds are whole and not negative, and have no more digits than any quantity."""
    with pytest.raises(ValueError, match=r"time|seconds|recording"):
        quantities.parse_seconds(typed)


@pytest.mark.parametrize(
    ("size", "binary", "decimal"),
    [
        (1, "1 byte", "1 byte"),
        (5_741 * 2**20, "5.61 GiB", "6.02 GB"),
        (4_602_000_001, "4.29 GiB", "4.61 GB"),
        (2**30, "1.00 GiB", "1.08 GB"),
    ],
)
def test_what_is_enough_is_rounded_up(size: int, binary: str, decimal: str) -> None:
    """The figure that is printed, read again, is never less than what it stands for."""
    printed = units.binary_at_least(size), units.decimal_at_least(size)
    assert printed == (binary, decimal)
    assert size == 1 or all(quantities.parse_bytes(text) >= size for text in printed)


@pytest.mark.parametrize(
    ("size", "binary", "decimal"),
    [
        (0, "0 bytes", "0 bytes"),
        (1, "1 byte", "1 byte"),
        (5_264_870_912, "4.90 GiB", "5.26 GB"),
        (25_257_185_280, "23.5 GiB", "25.3 GB"),
        (2**40, "1.00 TiB", "1.10 TB"),
        (-(2**30), "-1.00 GiB", "-1.07 GB"),
        (999_999_999, "954 MiB", "1.00 GB"),
    ],
)
def test_three_digits_and_the_unit(size: int, binary: str, decimal: str) -> None:
    """Three significant digits, and the unit says which base."""
    assert (units.binary(size), units.decimal(size)) == (binary, decimal)


@given(st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_a_speed_has_no_exponent_and_is_never_zero_unless_it_is(one: float, other: float) -> None:
    """The slow end of a range never reads as 0 when it is not, and nobody is shown 1e-05."""
    low, high = sorted((one, other))
    text = units.pace(low, high)
    assert "e" not in text
    assert (float(text.split("-")[0].lstrip("<").replace(",", "")) == 0) == (low == 0)
    assert units.speed(low, high) == f"{text} tokens/s"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (8.0, 12.4, "8.0-12"),
        (0.066, 1.6, "0.07-1.6"),
        (9.96, 9.97, "10"),
        (0.001, 0.2, "<0.01-0.2"),
        (100, 250, "100-250"),
    ],
)
def test_speeds_read_well(low: float, high: float, text: str) -> None:
    """One decimal below ten, none above, one figure where both ends print alike."""
    assert units.pace(low, high) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.25, "$0.25"),
        (2.5, "$2.50"),
        (10, "$10.00"),
        (0.293, "$0.293"),
        (0.0999, "$0.0999"),
        (0.1, "$0.10"),
        (0.028, "$0.028"),
        (0.000021, "$0.000021"),
        (1234.5, "$1,234.50"),
    ],
)
def test_prices_read_well(amount: float, text: str) -> None:
    """Cents at least, more digits where they matter, never an exponent."""
    assert units.dollars(amount) == text


@given(st.floats(min_value=1e-9, max_value=1e5))
def test_a_price_parses_back(amount: float) -> None:
    """What is shown is the price, within a cent or one in two hundred of it."""
    shown = float(units.dollars(amount).lstrip("$").replace(",", ""))
    assert shown > 0
    assert abs(shown - amount) <= max(0.0051 if amount >= 1 else 0, amount * 0.0051)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7_248_023_552, "7.25 B"),
        (124_439_808, "124 M"),
        (671_026_419_200, "671 B"),
        (10**12, "1.00 T"),
        (512, "512"),
    ],
)
def test_parameters_as_people_say_them(number: int, text: str) -> None:
    """7B models print near 7 B."""
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1 core"), (2.0, "2 cores"), (0.5, "0.5 cores"), (16, "16 cores")]
)
def test_cores(number: float, text: str) -> None:
    """A quota may give part of a core."""
    assert units.cores(number) == text


def test_absurd_numbers_print() -> None:
    """A hostile file cannot make a printed number raise or fill the screen."""
    for huge in (10**400, -(10**400), 10**5000):
        assert len(units.binary(huge)) < 50
        assert len(units.decimal(huge)) < 50
    assert len(units.count(10**5000)) < 50


@pytest.mark.parametrize(
    ("typed", "rate"),
    [
        ("100Mbit/s", 12_500_000),
        ("100 Mb/s", 12_500_000),
        ("1Gbps", 125_000_000),
        ("100Mibit/s", 13_107_200),
        ("12MB/s", 12_000_000),
        ("10 MiB/s", 10_485_760),
        ("1.5 GB/s", 1_500_000_000),
        ("12500000B/s", 12_500_000),
        ("512 kbit/s", 64_000),
    ],
)
def test_speeds_of_connections_as_people_type_them(typed: str, rate: int) -> None:
    """A small b is a bit and a capital B a byte; 8 bits are a byte, and M is 10**6, Mi 2**20."""
    assert quantities.parse_rate(typed) == rate


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "100",
        "100M",
        "100MB",
        "100mb/s",
        "50mbps",
        "100MBPS",
        "100 apples/s",
        "-3MB/s",
        "1e3MB/s",
        "0MB/s",
        "MB/s",
        "nanMB/s",
    ],
)
def test_a_speed_that_could_be_bits_or_bytes_is_refused(typed: str) -> None:
    """Nothing is guessed, and the message says what to write."""
    with pytest.raises(ValueError, match="100Mbit/s"):
        quantities.parse_rate(typed)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (45, "45 seconds"),
        (119.4, "119 seconds"),
        (350, "6 minutes"),
        (7170, "2 hours"),
        (7800, "2 hours 10 minutes"),
        (36_000, "10 hours"),
        (180_000, "2 days"),
    ],
)
def test_waits_read_well(seconds: float, text: str) -> None:
    """Two or three figures, in the units people wait in."""
    assert units.duration(seconds) == text


def test_the_ends_of_a_short_wait_are_told_apart() -> None:
    """Two figures that differ by half are no range where both print alike."""
    shown = [units.wait(seconds) for seconds in (0.0, 0.09, 0.14, 0.994, 1.0, 9.94, 9.96)]
    assert len(set(shown)) == len(shown)
    assert shown[1:5] == ["0.09 seconds", "0.14 seconds", "0.99 seconds", "1.0 seconds"]
