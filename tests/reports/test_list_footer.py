"""Under a list stands what its rows need, and what to type next."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from selfhost.cli.main import main

RECORD = str(RECORDS / "vm-24gib.json")
RANGES = "~ is the likely pace"


@pytest.mark.parametrize(
    ("words", "is_told"),
    [
        pytest.param(("list", "mistral", "7b"), True, id="some run"),
        pytest.param(("list", "llama", "70b"), False, id="none fits"),
        pytest.param(("compare", "gpt-oss-20b", "phi-4"), True, id="compared"),
        pytest.param(("compare", "llama-3.3-70b", "gpt-4o"), False, id="compared, none fits"),
    ],
)
def test_a_sign_is_explained_where_it_stands(
    words: tuple[str, ...], is_told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """`~ is the likely pace` stood under eleven rows with a dash."""
    main([*words, "--machine", RECORD])
    out = capsys.readouterr().out
    assert (RANGES in out) is is_told
    assert ("~" in out.replace(RANGES, "")) is is_told


def test_a_list_in_which_nothing_runs_says_what_to_type_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reader was left with eleven crosses."""
    assert main(["list", "llama", "70b", "--machine", RECORD]) == 0
    assert "selfhost plan llama-3.3-70b-instruct" in capsys.readouterr().out
