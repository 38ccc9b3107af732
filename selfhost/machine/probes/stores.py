"""Where each runtime stores its models: by its own variables, its service's unit files and the
folders it takes by default.
"""

from __future__ import annotations

from ...core.records import Record
from .host import Host

TYPE_CHECKING = False

UNITS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
SNAP_MODELS = "/var/snap/ollama/common/models"
# LM Studio's settings have a few kB
MAX_SETTINGS_BYTES = 2**18


class Place(Record):
    """Where models of one purpose go, and what decided it. `account` stores them, where it is
    not the one asking.
    """

    path: str
    why: str
    account: str | None = None


def _join(host: Host, *parts: str) -> str:
    return str(host.paths.join(*parts))


def _expand(host: Host, text: str) -> str:
    """`~` and `$NAME`, as huggingface_hub expands them."""
    home = host.home()
    if home and (text == "~" or text.startswith(("~/", "~\\"))):
        text = home + text[1:]
    if "$" not in text:
        return text
    import re

    return re.sub(
        r"\$(\w+|\{\w+\})", lambda match: host.env.get(match[1].strip("{}"), match[0]), text
    )


def _cache(host: Host) -> Place | None:
    """The user's cache folder, as huggingface_hub and llama.cpp find it on every system."""
    if host.env.get("XDG_CACHE_HOME"):
        return Place(path=host.env["XDG_CACHE_HOME"], why="XDG_CACHE_HOME")
    home = host.home()
    return Place(path=_join(host, home, ".cache"), why="default") if home else None


def _hub(host: Host, expand: bool) -> Place | None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if host.env.get(name):
            return Place(path=_expand(host, host.env[name]) if expand else host.env[name], why=name)
    if host.env.get("HF_HOME"):
        home = host.env["HF_HOME"]
        return Place(
            path=_join(host, _expand(host, home) if expand else home, "hub"), why="HF_HOME"
        )
    cache = _cache(host)
    if cache is None:
        return None
    return Place(
        path=_join(host, _expand(host, cache.path) if expand else cache.path, "huggingface", "hub"),
        why=cache.why,
    )


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py); transformers, vLLM, diffusers and MLX
    use it.
    """
    return _hub(host, True)


def llama_cpp(host: Host) -> Place | None:
    """Order of llama.cpp's common/hf-cache.cpp (`-hf`), which expands neither `~` nor variables."""
    if host.env.get("LLAMA_CACHE"):
        return Place(path=host.env["LLAMA_CACHE"], why="LLAMA_CACHE")
    return _hub(host, False)


def parse_unit(text: str) -> dict[str, str]:
    """`User` and the variables of a systemd unit's [Service], the last one given winning."""
    import re

    settings: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key == "User":
            settings["User"] = value.strip()
        elif equals and key == "Environment":
            for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', value):
                name, sign, setting = (quoted or bare).partition("=")
                if sign:
                    settings["$" + name] = setting
    return settings


def _home_of(host: Host, account: str) -> str | None:
    for line in (host.read_text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[0] == account and fields[5].startswith("/"):
            return fields[5]
    return None


def _is_drop_in(name: str) -> bool:
    return name.endswith(".conf")


def ollama(host: Host) -> Place | None:
    """The server's folder: as a service it has its own account and variables, which this shell
    does not see (ollama/ollama#2676).
    """
    if host.system == "linux":
        for folder in UNITS:
            text = host.read_text(f"{folder}/ollama.service")
            if text is None:
                continue
            for drop in host.listdir(f"{folder}/ollama.service.d", _is_drop_in) or ():
                text += "\n" + (host.read_text(f"{folder}/ollama.service.d/{drop}") or "")
            unit = parse_unit(text)
            account = unit.get("User", "root")
            host.hide(account)
            if unit.get("$OLLAMA_MODELS"):
                return Place(
                    path=unit["$OLLAMA_MODELS"],
                    why=f"OLLAMA_MODELS in {folder}/ollama.service",
                    account=account,
                )
            home = unit.get("$HOME") or _home_of(host, account)
            if home:
                return Place(
                    path=_join(host, home, ".ollama", "models"),
                    why=f"home of {folder}/ollama.service's account",
                    account=account,
                )
            return None
        if host.exists("/snap/ollama/current"):
            # the snap's service makes it when it is installed (ollama/ollama#2432:
            # snap/hooks/install)
            return Place(
                path=SNAP_MODELS,
                why="the snap's own folder, unless `snap get ollama models` says another",
                account="root",
            )
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    home = host.home()
    return Place(path=_join(host, home, ".ollama", "models"), why="default") if home else None


def whisper_cpp(host: Host) -> Place | None:
    """It has no place of its own: models go where the download script is told to put them."""
    return Place(path=".", why="whisper.cpp has no folder of its own: the current one is judged")


def lm_studio(host: Host) -> Place | None:
    """LM Studio's folder of models; None where it was never started here, for then it has none."""
    home = lm_studio_home(host)
    folder = lm_studio_models(host) if home and host.exists(home) else None
    return Place(path=folder, why="its settings, or its default") if folder else None


# by the names that `store` has in specs/runtimes
PLACES = {
    "huggingface": huggingface,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
    "whisper.cpp": whisper_cpp,
}


def lm_studio_home(host: Host) -> str | None:
    """As the public SDK of LM Studio finds it: a pointer file, the older folder if it is there,
    the newer one.
    """
    home = host.home()
    if home is None:
        return None
    pointer = (host.read_text(host.paths.join(home, ".lmstudio-home-pointer"), 4096) or "").strip()
    older = str(host.paths.join(home, ".cache", "lm-studio"))
    if host.paths.isabs(pointer):
        return pointer
    return older if host.exists(older) else str(host.paths.join(home, ".lmstudio"))


def lm_studio_models(host: Host) -> str | None:
    """LM Studio's folder of models; None where no home folder is set."""
    home = lm_studio_home(host)
    return models_of_lm_studio(host, home)[0] if home else None


def models_of_lm_studio(host: Host, home: str) -> tuple[str, str]:
    """Its folder of models, and why there may be another one; empty where that is known.

    The folder may be moved: `downloadsFolder` in settings.json
    (lmstudio-ai/lmstudio-bug-tracker#1601, v1ckxy/LMSPLS#2).
    """
    own, settings = (
        str(host.paths.join(home, "models")),
        str(host.paths.join(home, "settings.json")),
    )
    text = host.read_text(settings, MAX_SETTINGS_BYTES)
    if text is None:
        return own, "" if host.missing(settings) else host.why(settings)
    import re

    named = re.search(r'"downloadsFolder"\s*:\s*("(?:[^"\\]|\\.)*")', text)
    if named is None:
        return own, ""
    import json

    try:
        moved = json.loads(named[1])
    except ValueError:
        moved = ""
    return (moved, "") if host.paths.isabs(moved) else (own, f"{settings} names no folder")
