"""Whether what was typed names a file or a model; and a name without what stands around it where
people paste it: quotes, a command, a web address, a folder of a cache, the prefix of a gateway.
"""

from __future__ import annotations

import os

from ..core.records import pattern
from .quantization_names import splits

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .index import Catalogue

_WEIGHTS_ENDINGS = (".gguf", ".safetensors")
_PATH_ENDINGS = (*_WEIGHTS_ENDINGS, ".json", ".toml")
# in front of a name of Ollama's library, where some names mean other models than elsewhere
LIBRARY = "library/"
_QUOTES = " \t\n\"'`,;"
# where models are listed under the names of their repositories or of Ollama's library
HOST = pattern(
    r"(?i)(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com"
    r"|modelscope\.(?:cn|ai)(?:/models)?|lmstudio\.ai/models?|openrouter\.ai(?:/models)?"
    r"|(?P<ollama>ollama\.com/library|ollama\.com|registry\.ollama\.ai/library))"
    r"|(?:hf|modelscope|lmstudio):/)/(?P<rest>.*)"
)
# the model in a line that runs or downloads one: `ollama run llama3.2`, `llama-server -hf REPO`
_COMMAND = pattern(
    r"(?:(?P<ollama>ollama)\s+(?:run|pull|show)|(?:vllm|transformers)\s+serve"
    r"|(?:hf|huggingface-cli)\s+download|git\s+clone|docker\s+model\s+(?:run|pull)"
    r"|lms\s+(?:get|load)|ramalama\s+(?:run|pull|serve)"
    r"|llama-(?:server|cli)\s(?:.*\s)?(?:-hf|-hfr|--hf-repo))\s+(?P<name>[^\s-]\S*)(?:\s.*)?"
)
# Docker's account of everybody's models
_DOCKER = pattern(r"^(?:docker\.io/)?ai/(?=[^/]+$)")
_IN_REPOSITORY = pattern(r"(?i)([^/]+/[^/]+)/(?:tree|blob|resolve|raw)/[^/]+(?:/.*?([^/]*))?")
# pages beside the files of a repository, and of a name in Ollama's library
_PAGE = pattern(
    r"(?i)/(?:discussions|commits?|community|summary|files?|feedback|tags|blobs)(?:/.*)?$"
)
# a repository as the cache of Hugging Face keeps it
_CACHED_FOLDER = pattern(r"models--([^/\\]+?)--([^/\\]+)")
# OpenRouter's words for who serves a model and how; how hard a hosted model is asked to think
_SERVED = pattern(
    r"(?::(?:free|nitro|floor|exacto)"
    r"|\s*\((?:(?:x?high|medium|low|minimal|max|default)(?: (?:effort|think(?:ing)?|reasoning))?"
    r"|(?:no|non)[ -]think(?:ing)?)\))$"
)


def named_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    words = typed.split()
    # a program, what it is to do, and a name
    match = _COMMAND.fullmatch(" ".join(words)) if len(words) > 2 else None
    if match is None:
        return None
    is_in_library = match["ollama"] and "/" not in match["name"]
    return f"{LIBRARY}{match['name']}" if is_in_library else match["name"]


def bare_name(typed: str) -> str:
    """The name in a command line or in quotes; a name of Ollama's library as it stands there."""
    name = typed.strip(_QUOTES)
    return (named_in_command(name) or name).removeprefix(LIBRARY)


def unwrap(typed: str) -> str:
    """A name without quotes, command, address and folder of a cache. A name of Ollama's library has
    `library/` in front, a file in a repository is that with its quantization: `OWNER/NAME:Q4_K_M`.
    """
    name = typed.strip(_QUOTES)
    name = _DOCKER.sub("", (named_in_command(name) or name).strip(_QUOTES))
    if folder := _CACHED_FOLDER.fullmatch(name):
        return f"{folder[1]}/{folder[2]}"
    # a host's name has a point in it
    is_host = "://" in name or "." in name.partition("/")[0]
    match = HOST.fullmatch(name) if is_host else None
    if match is None:
        return name
    rest = _PAGE.sub("", match["rest"].partition("?")[0].partition("#")[0].rstrip("/"))
    if inside := _IN_REPOSITORY.fullmatch(rest):
        repository, file = inside[1], inside[2] or ""
        # of the projector beside a model the type is another
        forms = [] if file.lower().startswith("mmproj") else [form for _, form in splits(file)]
        types = [form.quantization for form in forms if form.quantization and not form.runtime]
        is_draft = file.lower().startswith("mtp-")
        return file if is_draft else ":".join([repository, *types[:1]])
    return f"{LIBRARY}{rest}" if match["ollama"] and "/" not in rest else rest


def unrouted(name: str, catalogue: Catalogue) -> str:
    """A name without the prefix by which a gateway reaches it, and without what it says of how the
    model is served.
    """
    name = _SERVED.sub("", name)
    prefix, slash, rest = name.partition("/")
    if slash and prefix in catalogue.common("providers")["prefixes"]["names"]:
        if prefix.startswith("ollama") and "/" not in rest:
            return f"{LIBRARY}{rest}"
        name = rest.rpartition("/")[2] if prefix == "fireworks_ai" else rest
    return name


def latin_spelling(typed: str, catalogue: Catalogue) -> str | None:
    """A name with each family's name in Latin letters: `千问3` is `qwen3`.

    None for a name in ASCII, and where letters of another script are left.
    """
    if typed.isascii():
        return None
    from unicodedata import normalize

    text = normalize("NFKC", typed).lower()
    spelled = catalogue.common("families").get("spelled") or {}
    pairs = [(other, latin) for latin, others in spelled.items() for other in others]
    # the longest first: 通义千问 holds 千问
    for other, latin in sorted(pairs, key=lambda pair: (-len(pair[0]), pair)):
        text = text.replace(other, latin)
    return text if text.isascii() else None


def is_path(typed: str) -> bool:
    """True if the string names a file or folder rather than a model: by a separator that leads
    to something, or by its ending.

    The bare name of a file of weights is a model's where no such file lies here.
    """
    has_separator = any(sign in typed for sign in ("/", os.sep, os.altsep) if sign)
    if has_separator and len(typed) < 10_000 and os.path.exists(typed):
        return True
    if not typed.lower().endswith(_PATH_ENDINGS):
        return False
    if is_bare_weights(typed):
        return os.path.exists(typed)
    return "://" not in typed and not HOST.fullmatch(typed.strip())


def is_bare_weights(name: str) -> bool:
    """True for the name of a file of weights without a folder in front."""
    return name.lower().endswith(_WEIGHTS_ENDINGS) and not any(sign in name for sign in "/\\")
