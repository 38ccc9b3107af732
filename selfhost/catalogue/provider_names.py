"""What people call the companies that sell models by API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from ..core.shipped import shipped_folder
from ..core.tomlfile import Document


def provider_name(id: str) -> str:
    """The name of the provider that price lists call so; the id where no name is known, which says
    more than a guess.
    """
    return _names().get(id, id)


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    document = Document.read(os.path.join(shipped_folder(), "common", "providers.toml"))
    # a name is a comfort: without the file the ids stand
    names: Mapping[str, str] = document.values.get("names", {})
    return names
