"""Where each runtime stores its models: by its own variables, its service's unit files and the
folders it takes by default.
"""

from __future__ import annotations

from ...core.records import Record
from .host import Host

UNITS = tuple(
    f"{folder}/systemd/system" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
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


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py), which expands `~` and `$NAME`;
    transformers, vLLM, diffusers and MLX use it.
    """
    hub, home = _hub(host), host.home()
    if hub is None:
        return None
    import re

    path = hub.path
    if home and (path == "~" or path.startswith(("~/", "~\\"))):
        path = home + path[1:]
    path = re.sub(r"\$(\w+|\{\w+\})", lambda name: host.env.get(name[1].strip("{}"), name[0]), path)
    return hub.replace(path=path)


def llama_cpp(host: Host) -> Place | None:
    """Order of llama.cpp's common/hf-cache.cpp (`-hf`), which expands neither `~` nor variables."""
    own = host.env.get("LLAMA_CACHE")
    return Place(path=own, why="LLAMA_CACHE") if own else _hub(host)


def _hub(host: Host) -> Place | None:
    below = {
        "HF_HUB_CACHE": (),
        "HUGGINGFACE_HUB_CACHE": (),
        "HF_HOME": ("hub",),
        "XDG_CACHE_HOME": ("huggingface", "hub"),
    }
    for name, parts in below.items():
        if host.env.get(name):
            return Place(path=_join(host, host.env[name], *parts), why=name)
    home = host.home()
    path = _join(host, home, ".cache", "huggingface", "hub") if home else None
    return Place(path=path, why="default") if path else None


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


def ollama(host: Host) -> Place | None:
    """The server's folder: as a service it has its own account and variables, which this shell
    does not see (ollama/ollama#2676).
    """
    if host.system == "linux":
        for folder in UNITS:
            text = host.read_text(f"{folder}/ollama.service")
            if text is not None:
                return _of_service(host, folder, text)
        if host.exists("/snap/ollama/current"):
            why = "the snap's own folder, unless `snap get ollama models` says another"
            return Place(path="/var/snap/ollama/common/models", why=why, account="root")
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    own = host.home()
    return Place(path=_join(host, own, ".ollama", "models"), why="default") if own else None


def _of_service(host: Host, folder: str, text: str) -> Place | None:
    for name in host.listdir(f"{folder}/ollama.service.d"):
        if name.endswith(".conf"):
            text += "\n" + (host.read_text(f"{folder}/ollama.service.d/{name}") or "")
    unit = parse_unit(text)
    account = unit.get("User", "root")
    host.accounts.add(account)
    if path := unit.get("$OLLAMA_MODELS"):
        why = f"OLLAMA_MODELS in {folder}/ollama.service"
        return Place(path=path, why=why, account=account)
    accounts = (line.split(":") for line in (host.read_text("/etc/passwd") or "").splitlines())
    homes = (fields[5] for fields in accounts if len(fields) >= 6 and fields[0] == account)
    home = unit.get("$HOME") or next(homes, "")
    if not home.startswith("/"):
        return None
    why = f"home of {folder}/ollama.service"
    return Place(path=_join(host, home, ".ollama", "models"), why=why, account=account)


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
    older, newer = _join(host, home, ".cache", "lm-studio"), _join(host, home, ".lmstudio")
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
