"""The arithmetic that an answer prints, worked out."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache


@cache
def calculate(line: str) -> Fraction:
    """A line with its words left out; what follows a semicolon is remark."""
    line = line.split(";")[0].replace("×", "*").replace(",", "")
    kept = re.sub(r"[A-Za-z_]+[A-Za-z0-9_']*", "", line)
    assert re.fullmatch(r"[0-9.+*/()\s-]+", kept), line
    return Fraction(
        eval(
            re.sub(r"(\d+(?:\.\d+)?)", r"Fraction('\1')", kept),
            {"Fraction": Fraction, "__builtins__": {}},
        )
    )
