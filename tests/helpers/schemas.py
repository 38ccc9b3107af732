"""The JSON schemas of what the program writes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from helpers.paths import SCHEMAS


def validate(value: object, name: str) -> None:
    """`ValidationError` where the value is none of that schema, `verdict-1`. `jsonschema.validate` holds the schema itself against that of schemas too, each time for 80 ms; `reports/test_schemas.py` does so once."""
    _validator(name).validate(value)


@cache
def _validator(name: str) -> Any:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))
