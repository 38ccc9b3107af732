"""The keywords of the library as a type checker sees them: each field of a `Workload`, with its
type, and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import typed_keywords
from helpers.paths import ROOT
from selfhost import Workload, WorkloadFields

HEAD = """\
from __future__ import annotations

from typing import Unpack

from selfhost import Load, WorkloadFields, can_run, check, compare, plan, rank, size


def handed_on(**fields: Unpack[WorkloadFields]) -> bool:
    return can_run("phi-4", **fields)


"""
RIGHT = [
    pytest.param('check("phi-4", context_tokens=8192, private=True)', id="check"),
    pytest.param('check("phi-4", context_tokens=None)', id="none-for-the-default"),
    pytest.param('check("phi-4", runtime_options={"ub": "1024"})', id="a-mapping"),
    pytest.param('can_run("phi-4", load=Load.parse("2M:500k"))', id="a-load"),
    pytest.param("rank(top=3, use='code', parallel=4)", id="rank"),
    pytest.param('plan("phi-4", min_tokens_per_second=5)', id="plan"),
    pytest.param('compare(["phi-4", "gpt2"], purpose="agent")', id="compare"),
    pytest.param('size("phi-4", parallel=4, prompt_cache_bytes=0)', id="size"),
    pytest.param("handed_on(context_tokens=8192)", id="handed-on"),
]
WRONG = [
    pytest.param('check("mistral-7b", context="32k")', "call-arg", id="an-option"),
    pytest.param('can_run("phi-4", contxt_tokens=8192)', "call-arg", id="a-slip"),
    pytest.param('check("phi-4", context_tokens="8k")', "arg-type", id="a-text"),
    pytest.param('can_run("phi-4", parallel=None)', "arg-type", id="none-for-users"),
    pytest.param("rank(users=4)", "call-arg", id="rank"),
    pytest.param('plan("phi-4", machine="m1")', "call-arg", id="plan-takes-no-machine"),
    pytest.param('compare(["a", "b"], privat=True)', "call-arg", id="compare"),
    pytest.param('size("phi-4", use="chat")', "call-arg", id="size"),
    pytest.param('handed_on(machine="m1")', "call-arg", id="handed-on"),
]
CALLS = [str(case.values[0]) for case in (*RIGHT, *WRONG)]


@cache
def faults(folder: Path) -> dict[str, str]:
    """The code of mypy's error for each of all the calls, each a line of one file."""
    path = folder / "calls.py"
    path.write_text(HEAD + "\n".join(CALLS) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found = {}
    error = r"calls\.py:(\d+): error: .*\[(\S+)\]$"
    for number, code in re.findall(error, done.stdout, re.M):
        found[CALLS[int(number) - HEAD.count("\n") - 1]] = code
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the file of all calls."""
    return tmp_path_factory.mktemp("calls")


@pytest.mark.parametrize("call", RIGHT)
def test_a_right_call_passes_mypy(call: str, folder: Path) -> None:
    """With --strict."""
    assert call not in faults(folder)


@pytest.mark.parametrize(("call", "code"), WRONG)
def test_a_wrong_call_is_an_error_of_mypy(call: str, code: str, folder: Path) -> None:
    """An unknown keyword, and a value of another type."""
    assert faults(folder).get(call) == code


def test_the_keywords_are_the_fields_of_a_workload() -> None:
    """After a change of `Workload`: `python tools/typed_keywords.py`."""
    written = typed_keywords.PATH.read_text(encoding="utf-8")
    assert written == typed_keywords.text_of_module(), "run tools/typed_keywords.py"
    assert list(WorkloadFields.__annotations__) == list(Workload._fields)
    assert not WorkloadFields.__required_keys__
