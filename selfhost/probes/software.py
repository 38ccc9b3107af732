"""Software: which runtimes are installed. Nothing is run and nothing imported: names of files and folders say it."""

from __future__ import annotations

import re

from ..machine import PresentRuntime
from .host import Found, Host

RUNTIMES = "runtimes"
# as `present` and `distributions` of specs/runtimes say, which are not read here: reading the machine needs no catalogue
COMMANDS = {
    "llama-server": "llama.cpp", "llama-cli": "llama.cpp", "ollama": "ollama", "vllm": "vllm", "mlx_lm.generate": "mlx",
    "whisper-cli": "whisper.cpp", "whisper-server": "whisper.cpp",
}  # fmt: skip
DISTRIBUTIONS = {"transformers": "transformers", "vllm": "vllm", "mlx-lm": "mlx", "diffusers": "diffusers",
    "llama-cpp-python": "llama-cpp-python",
}  # fmt: skip
# most folders have hundreds of names, and few of these
_DIST_INFO = "(?i)(?:" + "|".join(name.replace("-", "[-_.]+") for name in DISTRIBUTIONS) + r")-[^-]*\.dist-info$"
_USUAL = {
    "linux": ("/usr/local/bin", "/usr/bin", "/snap/bin", "/home/linuxbrew/.linuxbrew/bin", "~/.local/bin"),
    "macos": ("/opt/homebrew/bin", "/usr/local/bin", "/Applications/Ollama.app/Contents/Resources", "~/.local/bin"),
    "windows": ("$LOCALAPPDATA\\Programs\\Ollama", "$LOCALAPPDATA\\Microsoft\\WinGet\\Links"),
}


def folders(host: Host) -> list[str]:
    """Absolute folders of PATH, then the usual ones, each once."""
    home = host.home()
    listed = host.env.get("PATH", "").split(";" if host.system == "windows" else ":")
    for usual in _USUAL.get(host.system, ()):
        if usual.startswith("~"):
            listed.append(home + usual[1:] if home else "")
        elif usual.startswith("$"):
            name, _, rest = usual[1:].partition("\\")
            listed.append(f"{host.env[name]}\\{rest}" if host.env.get(name) else "")
        else:
            listed.append(usual)
    return [folder for folder in dict.fromkeys(listed) if host.paths.isabs(folder)]


def parse_distribution(folder: str) -> tuple[str, str] | None:
    """`mlx_lm-0.32.2.dist-info` -> (`mlx-lm`, `0.32.2`); None for another name."""
    if not folder.endswith(".dist-info"):
        return None
    name, dash, version = folder[: -len(".dist-info")].partition("-")
    return (re.sub(r"[-_.]+", "-", name).lower(), version) if dash and version else None


def brewed_version(path: str) -> str | None:
    """The version in Homebrew's `…/Cellar/NAME/VERSION/…`."""
    match = re.search(r"/Cellar/[^/]+/([^/]+)/", path)
    return match[1] if match else None


def _look(host: Host) -> dict[str, PresentRuntime]:
    found: dict[str, PresentRuntime] = {}
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders(host):
        for command, runtime in COMMANDS.items():
            path = host.paths.join(folder, command + suffix)
            if runtime not in found and host.runnable(path):
                version = brewed_version(host.resolve(path))
                found[runtime] = PresentRuntime(id=runtime, version=version, path=host.clean(path))
    for folder in host.python_path():
        for name in host.listdir(folder, _DIST_INFO) or ():
            known = parse_distribution(name)
            if known is None or known[0] not in DISTRIBUTIONS:
                continue
            runtime = DISTRIBUTIONS[known[0]]
            version = host.clean(known[1])
            if runtime not in found:
                found[runtime] = PresentRuntime(id=runtime, version=version, path=host.clean(host.paths.join(folder, name)))
            elif found[runtime].version is None:
                found[runtime] = found[runtime].replace(version=version)
    return found


def read_runtimes(host: Host, found: Found) -> None:
    """The runtimes that are here; () where none was seen."""
    present = host.within(lambda: _look(host))
    found.put(RUNTIMES, tuple(present[name] for name in sorted(present)), "commands in PATH and the usual folders; packages of this Python")
