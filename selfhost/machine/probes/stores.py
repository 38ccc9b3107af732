"""Where each runtime stores its models: by its own variables, its service's unit files and the
folders it takes by default.
"""

from __future__ import annotations

from ...core.records import Record
from .host import Host

UNITS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


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
    import re

    home = host.home()
    if home and (text == "~" or text.startswith(("~/", "~\\"))):
        text = home + text[1:]
    return re.sub(
        r"\$(\w+|\{\w+\})", lambda match: host.env.get(match[1].strip("{}"), match[0]), text
    )


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py); transformers, vLLM, diffusers and MLX
    use it.
    """
    hub = _hub(host)
    return hub.replace(path=_expand(host, hub.path)) if hub else None


def llama_cpp(host: Host) -> Place | None:
    """Order of llama.cpp's common/hf-cache.cpp (`-hf`), which expands neither `~` nor variables."""
    own = host.env.get("LLAMA_CACHE")
    return Place(path=own, why="LLAMA_CACHE") if own else _hub(host)


def _hub(host: Host) -> Place | None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if host.env.get(name):
            return Place(path=host.env[name], why=name)
    if host.env.get("HF_HOME"):
        return Place(path=_join(host, host.env["HF_HOME"], "hub"), why="HF_HOME")
    cache, why, home = host.env.get("XDG_CACHE_HOME"), "XDG_CACHE_HOME", host.home()
    if not cache and home:
        cache, why = _join(host, home, ".cache"), "default"
    return Place(path=_join(host, cache, "huggingface", "hub"), why=why) if cache else None


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


def ollama(host: Host) -> Place | None:
    """The server's folder: as a service it has its own account and variables, which this shell
    does not see (ollama/ollama#2676).
    """
    for folder in UNITS if host.system == "linux" else ():
        text = host.read_text(f"{folder}/ollama.service")
        if text is not None:
            return _of_service(host, folder, text)
    if host.system == "linux" and host.exists("/snap/ollama/current"):
        why = "the snap's own folder, unless `snap get ollama models` says another"
        return Place(path="/var/snap/ollama/common/models", why=why, account="root")
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    own = host.home()
    return Place(path=_join(host, own, ".ollama", "models"), why="default") if own else None


def _of_service(host: Host, folder: str, text: str) -> Place | None:
    for name in host.listdir(f"{folder}/ollama.service.d") or ():
        if name.endswith(".conf"):
            text += "\n" + (host.read_text(f"{folder}/ollama.service.d/{name}") or "")
    unit = parse_unit(text)
    account = unit.get("User", "root")
    host.accounts.add(account)
    path, why = unit.get("$OLLAMA_MODELS"), f"OLLAMA_MODELS in {folder}/ollama.service"
    home = unit.get("$HOME") or _home_of(host, account)
    if not path and home:
        path, why = _join(host, home, ".ollama", "models"), f"home of {folder}/ollama.service"
    return Place(path=path, why=why, account=account) if path else None


def whisper_cpp(host: Host) -> Place | None:
    """It has no place of its own: models go where the download script is told to put them."""
    return Place(path=".", why="whisper.cpp has no folder of its own: the current one is judged")


def lm_studio(host: Host) -> Place | None:
    """LM Studio's folder of models; None where it was never started here, for then it has none.

    Its home is named by a pointer file, else it is the older folder if that is there, else the
    newer one; `downloadsFolder` of its settings may move the models
    (lmstudio-ai/lmstudio-bug-tracker#1601).
    """
    home = host.home()
    if home is None:
        return None
    pointer = (host.read_text(_join(host, home, ".lmstudio-home-pointer"), 4096) or "").strip()
    older = _join(host, home, ".cache", "lm-studio")
    newer = _join(host, home, ".lmstudio")
    folder = older if host.exists(older) else newer
    if host.paths.isabs(pointer):
        folder = pointer
    if not host.exists(folder):
        return None
    import re

    settings = host.read_text(_join(host, folder, "settings.json")) or ""
    moved = re.search(r'"downloadsFolder"\s*:\s*"([^"\\]+)"', settings)
    if moved and host.paths.isabs(moved[1]):
        return Place(path=moved[1], why="downloadsFolder of its settings")
    return Place(path=_join(host, folder, "models"), why="its default")


# by the names that `store` has in specs/runtimes
PLACES = {
    "huggingface": huggingface,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
    "whisper.cpp": whisper_cpp,
}
