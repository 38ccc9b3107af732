"""Where each runtime stores its models: by its own variables, its service's unit files and the
folders it takes by default.
"""

from __future__ import annotations

import re

from ...core.records import Record
from .host import Host

_UNITS = tuple(
    f"{folder}/systemd/system/ollama.service"
    for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)


class Place(Record):
    """Where models of one purpose go, and what decided it. `account` stores them, where it is
    not the one asking.
    """

    path: str
    why: str
    account: str | None = None


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py), which expands `~` and `$NAME`;
    transformers, vLLM, diffusers and MLX use it.
    """
    hub, home = _hub(host), host.home()
    if hub is None:
        return None
    path = re.sub(r"^~(?=$|[/\\])", lambda _: home or "~", hub.path)
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
            return Place(path=host.join(host.env[name], *parts), why=name)
    return _default(host, ".cache", "huggingface", "hub")


def _default(host: Host, *parts: str) -> Place | None:
    home = host.home()
    return Place(path=host.join(home, *parts), why="default") if home else None


def parse_unit(text: str) -> dict[str, str]:
    """`User` and, with a `$`, the variables of a systemd unit, the last one given winning."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key == "User":
            settings["User"] = value.strip()
        elif equals and key == "Environment":
            for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', value):
                name, _, setting = (quoted or bare).partition("=")
                settings["$" + name] = setting
    return settings


def ollama(host: Host) -> Place | None:
    """The server's folder: as a service it has its own account and variables, which this shell
    does not see (ollama/ollama#2676).
    """
    for file in _UNITS if host.system == "linux" else ():
        if (text := host.read_text(file)) is not None:
            return _service_place(host, file, text)
    if host.system == "linux" and host.exists("/snap/ollama/current"):
        why = "the snap's own folder, unless `snap get ollama models` says another"
        return Place(path="/var/snap/ollama/common/models", why=why, account="root")
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    return _default(host, ".ollama", "models")


def _service_place(host: Host, file: str, text: str) -> Place | None:
    for name in host.listdir(f"{file}.d"):
        if name.endswith(".conf"):
            text += "\n" + (host.read_text(f"{file}.d/{name}") or "")
    unit = parse_unit(text)
    account = unit.get("User", "root")
    host.accounts.add(account)
    if path := unit.get("$OLLAMA_MODELS"):
        return Place(path=path, why=f"OLLAMA_MODELS in {file}", account=account)
    accounts = (line.split(":") for line in (host.read_text("/etc/passwd") or "").splitlines())
    homes = (fields[5] for fields in accounts if len(fields) >= 6 and fields[0] == account)
    home = unit.get("$HOME") or next(homes, "")
    if not home.startswith("/"):
        return None
    path = host.join(home, ".ollama", "models")
    return Place(path=path, why=f"home of {file}", account=account)


def whisper_cpp(host: Host) -> Place | None:
    """It has no place of its own: models go where the download script is told to put them."""
    return Place(path=".", why="whisper.cpp has no folder of its own: the current one is judged")


def lm_studio(host: Host) -> Place | None:
    """LM Studio's folder of models; None where it was never started here, for then it has none.

    Its home is named by a pointer file, else it is the older folder if that is there, else the
    newer one; `downloadsFolder` of its settings may move the models
    (lmstudio-ai/lmstudio-bug-tracker#1601).
    """
    if (home := host.home()) is None:
        return None
    pointer = (host.read_text(host.join(home, ".lmstudio-home-pointer"), 4096) or "").strip()
    older, newer = host.join(home, ".cache", "lm-studio"), host.join(home, ".lmstudio")
    folder = older if host.exists(older) else newer
    folder = pointer if host.paths.isabs(pointer) else folder
    if not host.exists(folder):
        return None
    settings = host.read_text(host.join(folder, "settings.json")) or ""
    moved = re.search(r'"downloadsFolder"\s*:\s*"([^"\\]+)"', settings)
    if moved and host.paths.isabs(moved[1]):
        return Place(path=moved[1], why="downloadsFolder of its settings")
    return Place(path=host.join(folder, "models"), why="its default")


# by the names that `store` has in specs/runtimes
PLACES = {
    "huggingface": huggingface,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
    "whisper.cpp": whisper_cpp,
}
