"""Calls of the library for the type checker alone, which `test_packaging.py` runs; nothing imports
this module.

A right call that mypy refuses is an error; so is a wrong one that mypy takes, since it reports an
ignore without use.
"""

from __future__ import annotations

from typing import Unpack

from selfhost import Load, WorkloadFields, can_run, check, compare, plan, rank, size


def handed_on(**fields: Unpack[WorkloadFields]) -> bool:
    """A function of a user that hands the keywords on."""
    return can_run("phi-4", **fields)


def right() -> None:
    """Each field of a `Workload` is a keyword, with its type."""
    check("phi-4", context_tokens=8192, private=True)
    check("phi-4", context_tokens=None)
    check("phi-4", runtime_options={"ub": "1024"})
    can_run("phi-4", load=Load.parse("2M:500k"))
    rank(top=3, use="code", parallel=4)
    plan("phi-4", min_tokens_per_second=5)
    compare(["phi-4", "gpt2"], purpose="agent")
    size("phi-4", parallel=4, prompt_cache_bytes=0)
    handed_on(context_tokens=8192)


def unknown_keywords() -> None:
    """An option of the command line, a slip, and what the function does not take."""
    check("mistral-7b", context="32k")  # type: ignore[call-arg]
    can_run("phi-4", contxt_tokens=8192)  # type: ignore[call-arg]
    rank(users=4)  # type: ignore[call-arg]
    plan("phi-4", machine="m1")  # type: ignore[call-arg]
    compare(["a", "b"], privat=True)  # type: ignore[call-arg]
    size("phi-4", use="chat")  # type: ignore[call-arg]
    handed_on(machine="m1")  # type: ignore[call-arg]


def values_of_another_type() -> None:
    """A text for a number, and None where there is no default."""
    check("phi-4", context_tokens="8k")  # type: ignore[arg-type]
    can_run("phi-4", parallel=None)  # type: ignore[arg-type]
