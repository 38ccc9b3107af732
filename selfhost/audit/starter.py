"""The policy that `selfhost audit --init` writes: every setting, with what it means."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.tables import shipped_table
from ..judge.checks import CHECKS


def starter_policy(models: Sequence[str]) -> str:
    """The text of `specs/common/starter_policy.toml` for these models, else for mistral-7b: valid
    as it stands.
    """
    import json

    # a TOML basic string: JSON's escapes are TOML's too
    names = [json.dumps(name, ensure_ascii=False) for name in dict.fromkeys(models)]
    names = names or ['"mistral-7b"']
    text: str = shipped_table("starter_policy")["text"]
    entries = "\n".join(f"[[model]]\nname = {name}\n" for name in names)
    text = text.replace("@checks@", " | ".join(CHECKS)).replace("@first@", names[0])
    return text.replace("@entries@", entries)
