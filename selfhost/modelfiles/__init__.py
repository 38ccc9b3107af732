"""A model that lies on this disk -> ModelSpec. `local` says what lies at a path; `gguf` reads GGUF
files, `safetensors` headers and `config` a config.json. `specfiles` writes and checks spec files.
"""

from __future__ import annotations

from .local import read_local, stored_notes
from .source import LocalModel
from .specfiles import spec_text

__all__ = ["LocalModel", "read_local", "spec_text", "stored_notes"]
