"""What people call the companies that sell models by API."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core.errors import SpecError
from ..core.tables import shipped_table


def provider_name(id: str) -> str:
    """The name of the provider that price lists call so; the id where no name is known, which says
    more than a guess.
    """
    return _names().get(id, id)


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    try:
        names: Mapping[str, str] = shipped_table("providers").get("names", {})
    except SpecError:
        # a name is a comfort: without the file the ids stand
        return {}
    return names
