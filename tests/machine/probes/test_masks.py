"""Addresses in the texts of a record: what is hidden, and that long words take no minutes."""

import pytest

from selfhost.machine.probes.host import Host
from selfhost.machine.probes.masks import masked, masks


def shown(text: str) -> str:
    hidden: str = masked(text, masks(Host(env={}, system="linux")))
    return hidden


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("at 10.0.0.7:8080", "at ADDRESS:8080", id="computer"),
        pytest.param("by me+ai@my.org, you", "by ADDRESS, you", id="mail"),
        pytest.param("1.2.3.4@10.0.0.7", "ADDRESS@ADDRESS", id="computers"),
        pytest.param("1.2.3.4+me@my.org", "ADDRESS", id="computer-mail"),
        pytest.param("me@a.b.you@c.d", "ADDRESS", id="mail-mail"),
        pytest.param("1.2.3.4@a.b@c.d", "ADDRESS", id="computer-at-mail"),
        pytest.param("me@a.b+1.2.3.4", "ADDRESS+ADDRESS", id="mail-computer"),
        pytest.param("v+1.2.3.4+x", "v+ADDRESS+x", id="computer-between-pluses"),
        pytest.param("version 1.2.3.4.5", "version 1.2.3.4.5", id="five-numbers"),
        pytest.param("gemma-1.2.3.4", "gemma-1.2.3.4", id="version-of-a-name"),
        pytest.param("me@localhost", "me@localhost", id="no-domain"),
    ],
)
def test_an_address_is_hidden(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 300_000, id="letters"),
        pytest.param("x" * 300_000 + "@", id="no-domain"),
        pytest.param("x" * 300_000 + "@" + "y" * 300_000, id="no-dot"),
        pytest.param("x+" * 150_000, id="pluses"),
        pytest.param("x." * 150_000, id="dots"),
    ],
)
def test_a_long_word_that_is_almost_an_address_is_shown(text: str) -> None:
    """A search that begins anew at each letter takes many minutes for so many."""
    assert shown(text) == text[:1000]


def test_a_long_row_of_addresses_is_hidden() -> None:
    text = "1.2.3.4+" * 40_000
    assert shown(text) == ("ADDRESS+" * 125)[:1000]
