"""Whether what was typed names a file or a model: all that is asked of a name before the catalogue
is opened.
"""

from __future__ import annotations

import os

from ..core.records import pattern

# where models are listed under the names of their repositories or of Ollama's library, in front of
# a name
HOST = pattern(
    r"(?i)(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com"
    r"|modelscope\.(?:cn|ai)(?:/models)?"
    r"|ollama\.com/library|ollama\.com|registry\.ollama\.ai/library)|(?:hf|modelscope):/)/(.*)"
)
_WEIGHTS_ENDINGS = (".gguf", ".safetensors")
_PATH_ENDINGS = (*_WEIGHTS_ENDINGS, ".json", ".toml")


def is_path(typed: str) -> bool:
    """True if the string names a file or folder rather than a model: by a separator that leads
    to something, or by its ending.

    The bare name of a file of weights is a model's where no such file lies here.
    """
    separators = [separator for separator in ("/", os.sep, os.altsep) if separator]
    if (
        any(separator in typed for separator in separators)
        and len(typed) < 10_000
        and os.path.exists(typed)
    ):
        return True
    if not typed.lower().endswith(_PATH_ENDINGS):
        return False
    if is_bare_weights(typed):
        return os.path.exists(typed)
    return "://" not in typed and not HOST.fullmatch(typed.strip())


def is_bare_weights(name: str) -> bool:
    """True for the name of a file of weights without a folder in front."""
    return name.lower().endswith(_WEIGHTS_ENDINGS) and not any(sign in name for sign in "/\\")
