"""What `-v` adds is readable: rows with labels and units in words, not JSON with commas."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from helpers import report_samples as samples
from helpers.screens import drawn
from selfhost import Workload, check, size
from selfhost.advice.several import describe
from selfhost.catalogue.index import open_catalogue
from selfhost.core.workload import Load
from selfhost.machine.named import named
from selfhost.reports import check_text, machine_text, show_text, size_text
from selfhost.reports.details import sections, value_words
from selfhost.reports.layout import Blocks, plain

MAC = "macbook-air-m2-16gb"
CARD = "desktop-rtx3060-12gb"


def _blocks(kind: str) -> Blocks:
    if kind == "text":
        return check_text.check_document(
            [check("mistral-7b", machine=MAC)], verbose=True
        )
    if kind == "speech":
        return check_text.check_document(
            [check("whisper-large-v3", machine=CARD)], verbose=True
        )
    if kind == "picture":
        return check_text.check_document([check("sdxl", machine=CARD)], verbose=True)
    if kind == "closed":
        return check_text.check_document([check("gpt-4o", machine=MAC)], verbose=True)
    if kind == "month":
        load = Workload(load=Load.parse("1M:100k"))
        return check_text.check_document(
            [check("phi-4", load, machine=MAC)], verbose=True
        )
    if kind == "show":
        shown = describe(open_catalogue(), "mistral-7b", Workload(), named(MAC)[0])
        return show_text.show_document(shown, verbose=True)
    if kind == "size":
        return size_text.size_document([size("mistral-7b")], verbose=True)
    return machine_text.machine_document(samples.WORKSTATION, verbose=True)


@cache
def shown(kind: str) -> str:
    """The full answer as a pipe has it."""
    return plain(_blocks(kind))


KINDS = ["text", "speech", "picture", "closed", "month", "show", "size", "machine"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_a_key_with_its_value(kind: str) -> None:
    """`evictable 3.13 GiB`, `worth having yes`, `unit tokens_per_second`, `download how stated`."""
    text = shown(kind)
    told = re.findall(
        r"evictable|worth.having|tokens_per_second|download how|: path ", text
    )
    assert not told
    # a key of the JSON, such as kv_cache; names of files and facts in sources are no keys
    rows = [line for line in text.splitlines() if re.match(r"  \S", line)]
    assert not [line for line in rows if re.match(r"  [a-z]+_[a-z_]+(  |:)", line)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_full_answer_fits_the_terminal(kind: str, width: int) -> None:
    """No row is longer than the terminal but an address, and what a command cannot be broken in: a
    word, an option with its value, a text in quotes.
    """
    lines = drawn(_blocks(kind), width).splitlines()
    long = [line for line in lines if len(line) > width]
    allowed = (
        r"\s*(# )?\S+$|  (llama-|ollama |selfhost |pip |python |curl "
        r"|MALLOC_)|    -[Hd] |\s*`"
        r"|    \s*(\S+( \S+)? \\$|[\"'])"
    )
    assert not [line for line in long if not re.match(allowed, line)]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(
            "text",
            "weights: 5.54 GiB (5.53 GiB to 5.55 GiB) in RAM, computed",
            id="term",
        ),
        pytest.param("text", "reading the prompt", id="speed"),
        pytest.param("text", "OpenRouter", id="provider"),
        pytest.param("text", "provider model there 1M in 1M out", id="prices"),
        pytest.param("speech", "a minute of audio", id="unit-of-speech"),
        pytest.param("speech", "on GPU 0", id="place"),
        pytest.param("picture", "a picture", id="unit-of-pictures"),
        pytest.param(
            "show", "quant program download known by memory at most runs", id="types"
        ),
        pytest.param("show", "open source: partly", id="openness"),
        pytest.param("size", "prompt cache: earlier prompts", id="growth"),
        pytest.param("machine", "for path free of", id="disks"),
    ],
)
def test_a_figure_has_its_label(kind: str, words: str) -> None:
    """In words, with its unit."""
    assert words in " ".join(shown(kind).split())


def test_the_terms_add_up_to_the_memory() -> None:
    """Each term of the need is shown, with its arithmetic and its source."""
    verdict = check("mistral-7b", machine=MAC)
    assert verdict.memory is not None
    for term in verdict.memory.terms:
        assert f"  {term.name.replace('_', ' ')}: " in shown("text")
        assert term.source in shown("text")
        assert (term.arithmetic or "") in shown("text")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        pytest.param("context_tokens", 4096, "4,096 tokens", id="tokens"),
        pytest.param("download_bytes", 4_372_812_000, "4.37 GB", id="on-a-disk"),
        pytest.param("memory_bytes", 2**30, "1.00 GiB", id="in-memory"),
        pytest.param("gated", False, "", id="no-is-not-said"),
        pytest.param("fits", False, "no", id="no-is-the-answer"),
        pytest.param("uses", ["chat", "code"], "chat, code", id="texts"),
        pytest.param("layers", list(range(32)), "32", id="numbers-are-counted"),
        pytest.param(
            "decode_tokens_per_second",
            {"low": 2.0, "likely": 3.0, "high": 4.0},
            "3.0 tokens/s (2.0 tokens/s to 4.0 tokens/s)",
            id="range",
        ),
        pytest.param("kind", None, "", id="nothing"),
    ],
)
def test_a_value_is_in_words(key: str, value: Any, words: str) -> None:
    """By the end of its key."""
    assert value_words(key, value) == words


def test_records_of_one_kind_are_a_table() -> None:
    """One record is rows, and what lies within has its own."""
    document = {
        "cards": [
            {"name": "A", "memory_bytes": 2**30},
            {"name": "B", "memory_bytes": 2**31},
        ],
        "program": {"id": "x", "parts": {"first_tokens": 1, "second_tokens": 2}},
    }
    text = plain(sections(document, {"cards": "Cards", "program": "Program"}))
    assert text == (
        "Cards\n  name  memory\n  A     1.00 GiB\n  B     2.00 GiB\n\n"
        "Program\n  name  x\n  parts\n    first   1 token\n    second  2 tokens\n"
    )


def test_needs_that_a_spec_states_are_shown_in_the_full_answer() -> None:
    """`show bark-small -v` ended with a bug: the spec's own needs have other keys than those that
    are counted.
    """
    shown = describe(
        open_catalogue(), "bark-small", Workload(), named("laptop-ddr4-16gb")[0]
    )
    text = plain(show_text.show_document(shown, verbose=True))
    # bark-small: 1.68 GB as published on its model card
    assert re.search(r"Needs, as stated\n(.*\n)*  disk +1\.68 GB\n", text)
