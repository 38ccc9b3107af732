"""A page of HTML from a template beside this file: one file, which loads nothing from anywhere.

A template has one style and at most one script, and its content policy allows these two alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape

from .layout import clean


def fill(name: str, blanks: Mapping[str, str]) -> str:
    """The template of that name with each `{{blank}}` filled, in ASCII for any pipe. `policy` is
    added.
    """
    template = _template(name)
    style, script = (
        template.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0] for tag in ("style", "script")
    )
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri"
        " 'none'; form-action 'none'"
    )
    filled = {**blanks, "policy": policy}
    # in one go: what an input says is never a blank to fill
    page = re.sub(r"\{\{(\w+)\}\}", lambda blank: filled[blank[1]], template)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


# most of what stands in a cell stands in others as well
@lru_cache(maxsize=4096)
def text(words: str) -> str:
    """Safe as the content of an element and as an attribute between double quotes."""
    return escape(clean(words))


def _template(name: str) -> str:
    with open(
        os.path.join(os.path.dirname(os.path.abspath(__file__)), name), encoding="ascii"
    ) as file:
        return file.read()


def _hash(content: str) -> str:
    from base64 import b64encode
    from hashlib import sha256

    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
