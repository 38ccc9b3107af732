"""Much of one kind, or one of great length: what is printed stays short, and says how much there
is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.paths import RECORDS
from helpers.written import run

RECORD = RECORDS / "vm-24gib.json"
LONG = "x" * 120_000
# of several sentences
MOST_CHARACTERS = 3_000


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((LONG,), id="bare word"),
        pytest.param((f"--{LONG}",), id="option"),
        pytest.param(("check", f"./{LONG}.gguf"), id="path"),
        pytest.param(("check", "gpt2", f"--{LONG}"), id="option of check"),
        pytest.param(("check", "gpt2", *("--k",) * 3_000), id="many options"),
        pytest.param(("check", "gpt2", "--quant", LONG), id="quant"),
        pytest.param(
            ("check", "gpt2", "--quant", "word " * 24_000), id="quant of many words"
        ),
        pytest.param(("check", "gpt2", "--context", LONG), id="context"),
        pytest.param(("check", "gpt2", "--runtime", LONG), id="runtime"),
        pytest.param(("check", "gpt2", "--parallel", "9" * 100_000), id="number"),
        pytest.param(("check", "gpt2", "--set", f"memory={LONG}"), id="set"),
        pytest.param(("check", "gpt2", "--output", f"no/{LONG}"), id="output"),
        pytest.param(("check", "gpt2", "--specs", LONG), id="specs"),
        pytest.param(("list", "--family", LONG), id="family"),
        pytest.param(("machine", "--name", LONG), id="name"),
        pytest.param(("machine", "--label", f"site={LONG}"), id="label"),
        pytest.param(("machine", LONG), id="word of machine"),
        pytest.param(("audit", LONG), id="policy"),
        pytest.param(("audit", "--format", LONG), id="format"),
        pytest.param(("spec", "new", LONG), id="model file"),
        pytest.param(("verify", LONG), id="log"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_what_was_typed_is_repeated_in_short(
    words: Sequence[str], form: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its beginning and its end tell which it was."""
    code, out, err = run(capsys, *words, *form)
    assert code == 2
    assert out == ""
    assert len(err) < MOST_CHARACTERS


def test_the_first_faults_of_an_option_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The rest is counted, in text and in JSON."""
    words = []
    for number in range(1_000):
        words += ["--set", f"key{number}=1"]
    code, out, err = run(capsys, "check", "gpt2", *words)
    assert code == 2
    assert out == ""
    assert err.count("cannot be set") == 20
    assert "980 more faults" in err
    _, _, document = run(capsys, "check", "gpt2", *words, "--json")
    *listed, last = json.loads(document)["problems"]
    assert len(listed) == 20
    assert "980 more faults" in last["message"]


def test_a_name_of_a_machine_has_a_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report that repeated it would fill the terminal."""
    record = json.loads(RECORD.read_text())
    record["name"] = "n" * 3_000_000
    path = tmp_path / "m.json"
    path.write_text(json.dumps(record))
    for words in (("machine", "--machine"), ("check", "gpt2", "--machine")):
        code, out, err = run(capsys, *words, str(path))
        assert code == 2
        assert out == ""
        assert "longer than 1,000 characters" in err
        assert len(err) < MOST_CHARACTERS


def test_unused_exceptions_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands a report for people lists the first; JSON keeps all."""
    monkeypatch.chdir(tmp_path)
    count = 2_000
    lines = ["schema = 1", "[[model]]", 'name = "gpt2"']
    for number in range(count):
        lines += [
            "[[exception]]",
            'model = "gpt2"',
            'rule = "memory"',
            f'machines = ["host:edge-{number}"]',
            'reason = "r"',
            'owner = "o"',
            "expires = 2999-01-01",
        ]
    (tmp_path / "p.toml").write_text("\n".join(lines))
    words = ("audit", "p.toml", "--machines", str(RECORD))
    _, out, _ = run(capsys, *words)
    assert len(out.splitlines()) < 40
    assert f"{count - 12:,} more" in out
    _, out, _ = run(capsys, *words, "-v")
    assert f"{count - 100:,} more" in out
    _, out, _ = run(capsys, *words, "--json")
    assert len(json.loads(out)["exceptions"]["unused"]) == count
