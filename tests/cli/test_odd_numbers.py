"""Numbers that no machine, option or file means: without end, below zero, with an exponent, or in
digits of another script. Each is refused in a plain sentence, wherever a text becomes a number.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import RECORDS
from helpers.written import run
from selfhost.machine.named import named

RECORD = RECORDS / "vm-24gib.json"
MANY = "9" * 300
# Python itself refuses to read more than 4,300 digits
TOO_MANY = "9" * 5_000

NUMBERS = [
    pytest.param(MANY, id="300-digits"),
    pytest.param(TOO_MANY, id="5000-digits"),
    pytest.param("0" * 300 + "8", id="300-zeros"),
    pytest.param(f"1.{MANY}", id="300-decimals"),
    pytest.param(f"{MANY}.5", id="300-digits-and-a-half"),
    pytest.param("-1", id="below-zero"),
    pytest.param("-0", id="minus-zero"),
    pytest.param("nan", id="nan"),
    pytest.param("inf", id="inf"),
    pytest.param("1e400", id="exponent-beyond-floats"),
    pytest.param("1e5", id="exponent"),
    pytest.param("0x10", id="hexadecimal"),
    pytest.param("٣٢", id="arabic-digits"),
    pytest.param("²", id="superscript"),
    pytest.param("½", id="fraction"),
]
DESCRIPTIONS = [
    pytest.param("{}gb", id="memory"),
    pytest.param("i5-8400 {}gb ram", id="memory-of-a-processor"),
    pytest.param("RTX 4090 {} gb", id="memory-beside-a-gpu"),
    pytest.param("{}tb vram", id="memory-of-a-gpu"),
    pytest.param("16gb {}gb/s", id="bandwidth"),
    pytest.param("{}x RTX 4090", id="gpus"),
    pytest.param("16gb ram {} cores", id="cores"),
    pytest.param("{}x16gb ddr4", id="modules"),
    pytest.param("{} channels 16gb", id="channels"),
    pytest.param("xeon 16gb {}mhz", id="rate"),
]
OPTIONS = [
    pytest.param(("--context", "{}"), id="context"),
    pytest.param(("--context", "{}k"), id="context-in-k"),
    pytest.param(("--prompt", "{}"), id="prompt"),
    pytest.param(("--parallel", "{}"), id="users"),
    pytest.param(("--audio", "{}s"), id="seconds"),
    pytest.param(("--prompt", "2k", "--max-wait", "{}m"), id="wait"),
    pytest.param(("--reserve", "{}GiB"), id="size"),
    pytest.param(("--download-speed", "{}Mbit/s"), id="rate"),
    pytest.param(("--tokens-per-day", "{}M:2k"), id="load"),
    pytest.param(("--tokens-per-day", "2M", "--watts", "{}"), id="watts"),
    pytest.param(("--set", "memory={}GiB"), id="set-memory"),
    pytest.param(("--set", "cores={}"), id="set-cores"),
    pytest.param(("--set", "disk={}GB"), id="set-disk"),
    pytest.param(("--set", "bandwidth={}GB/s"), id="set-bandwidth"),
    pytest.param(("--set", "gpu={}GiB"), id="set-gpu"),
    pytest.param(("--set", "gpu={}x24GiB"), id="set-gpus"),
    pytest.param(("--set", "gpu=24GiB:X:{}GB/s"), id="set-gpu-rate"),
    pytest.param(("--gpu", "{}x RTX 4090"), id="gpus"),
    pytest.param(("--runtime-option", "ub={}"), id="runtime-option"),
    pytest.param(("--runtime-option", "ts={},1"), id="parts-of-gpus"),
]


def assert_refused(code: int, out: str, err: str) -> None:
    """Bad usage in a few words: no bug, and no number that was not typed."""
    assert code == 2, out + err
    assert out == ""
    assert err.startswith("error: ")
    assert "a bug in selfhost" not in err
    assert len(err) < 1_000


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_description_with_an_odd_number_is_refused(
    text: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """To leave the number out would judge another machine."""
    typed = text.replace("{}", number)
    # with `=`, as argparse takes a text that begins with a hyphen
    assert_refused(*run(capsys, "machine", f"--machine={typed}"))


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        pytest.param("16gb", 16, id="plain"),
        pytest.param("１６gb", 16, id="full-width"),
        pytest.param("ryzen 5 5600, + 32 gb", 32, id="plus-between-parts"),
        pytest.param("i9-10900X 32GB", 32, id="processor-of-five-digits"),
        pytest.param("MemTotal: 16384000 kB", 15.6, id="meminfo"),
    ],
)
def test_a_number_as_people_write_it_is_read(text: str, gib: float) -> None:
    """Beside which the refused ones stand."""
    machine, _ = named(text)
    assert machine.memory_total_bytes == pytest.approx(gib * 2**30, rel=0.01)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_an_option_with_an_odd_number_is_refused(
    options: tuple[str, ...], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the unit of the option."""
    typed = [option.replace("{}", number) for option in options]
    words = []
    for name, value in zip(typed[::2], typed[1::2], strict=True):
        words.append(f"{name}={value}")
    assert_refused(*run(capsys, "check", "gpt2", "--machine", str(RECORD), *words))


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(MANY, id="300-digits"),
        pytest.param(TOO_MANY, id="5000-digits"),
        pytest.param("-1", id="below-zero"),
        pytest.param("1e400", id="exponent-beyond-floats"),
    ],
)
def test_a_file_with_an_odd_number_is_refused(
    number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record of a machine, and a policy."""
    record = tmp_path / "record.json"
    record.write_text(f'{{"memory_total_bytes": {number}}}')
    assert_refused(*run(capsys, "check", "gpt2", "--machine", str(record)))
    policy = tmp_path / "audit.toml"
    policy.write_text(
        f'schema = 1\n[[model]]\nname = "gpt2"\ncontext_tokens = {number}\n'
    )
    assert_refused(*run(capsys, "audit", str(policy), "--machines", str(RECORD)))
    _, _, err = run(capsys, "audit", str(policy), "--machines", str(RECORD), "--json")
    assert json.loads(err)["exit_code"] == 2
