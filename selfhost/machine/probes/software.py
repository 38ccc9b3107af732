"""Software: which runtimes are installed, in which version. Nothing is run and nothing
imported: names of files and folders say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...core.records import pattern
from ..record import FILL_IN, LM_STUDIO, PresentRuntime
from .facts import Facts
from .host import Host

RUNTIMES = "runtimes"
# as `present` and `distributions` of specs/runtimes say, which are not read here: reading the
# machine needs no catalogue
COMMANDS = {
    "llama-server": "llama.cpp", "llama-cli": "llama.cpp", "llama": "llama.cpp",
    "ollama": "ollama", "vllm": "vllm", "sglang": "sglang", "mlx_lm.generate": "mlx",
    "sd-cli": "stable-diffusion.cpp", "whisper-cli": "whisper.cpp", "whisper-server": "whisper.cpp",
}  # fmt: skip
# by the name of the Python package, where that is not the runtime's own
_RENAMED = {
    "indextts": "index-tts", "mlx-lm": "mlx", "chatterbox-tts": "chatterbox",
    "nemo-toolkit": "nemo", "piper-tts": "piper",
}  # fmt: skip
_ALIKE = (
    "ace-step chattts coqui-tts dia2 diffusers f5-tts faster-whisper funasr heartlib kittentts"
    " kokoro llama-cpp-python melotts moshi neutts omnivoice orpheus-speech outetts parler-tts"
    " pocket-tts pyannote-audio qwen-asr qwen-tts sentence-transformers sglang supertonic"
    " transformers vibevoice vllm voxcpm zonos"
)
DISTRIBUTIONS = {name: name for name in _ALIKE.split()} | _RENAMED
# folders of commands that PATH may lack, and where LM Studio's own program lies
_USUAL = {
    "linux": ("/usr/local/bin", "/usr/bin", "/snap/bin", "~/.local/bin"),
    "macos": (
        "/opt/homebrew/bin",
        "/usr/local/bin",
        "/Applications/Ollama.app/Contents/Resources",
        "~/.local/bin",
    ),
    "windows": (r"~\AppData\Local\Programs\Ollama", r"~\AppData\Local\Microsoft\WinGet\Links"),
}
_LM_STUDIO = {
    "linux": ("~/.lmstudio/bin/lms",),
    "macos": ("/Applications/LM Studio.app",),
    "windows": (r"~\.lmstudio\bin\lms.exe", r"~\AppData\Local\Programs\LM Studio\LM Studio.exe"),
}
# folders of environments that pipx and uv made for one tool each
_TOOLS = ("~/.local/share/uv/tools", "~/.local/share/pipx/venvs", "~/.local/pipx/venvs")
# the version in the path that a command's link leads to: Homebrew's, and llama.cpp's own archives
_VERSION_IN_PATH = pattern(
    r"/(?:Cellar|Caskroom)/[^/]+/([^/]+)/"
    r"|[/\\](?:llama|whisper)-b?(\d[\d.]*)(?:-bin-[^/\\]+)?[/\\]"
)


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing could be
    searched.
    """
    runtimes: dict[str, PresentRuntime] = {}
    is_searched = host.within(lambda: _search(host, runtimes))
    if not runtimes and not is_searched:
        # what a recorded tree does not hold is not known to be missing on its machine
        reason = "the recorded tree has none of the folders where runtimes are installed"
        facts.miss(RUNTIMES, reason, FILL_IN)
        return
    where = "commands in PATH and the usual folders; packages of this and of other environments"
    facts.put(RUNTIMES, tuple(runtimes[name] for name in sorted(runtimes)), where)


def _search(host: Host, runtimes: dict[str, PresentRuntime]) -> bool:
    """Puts what is here into `runtimes`; whether there was anything to search."""
    suffix = ".exe" if host.system == "windows" else ""
    # of the commands that are here, first: the version of one lies beside it
    prefixes: list[str] = []
    folders = command_folders(host)
    for folder in folders:
        for command, runtime in COMMANDS.items():
            path = str(host.paths.join(folder, f"{command}{suffix}"))
            if runtime not in runtimes and host.runnable(path):
                real = host.resolve(path)
                version = version_in_path(real) or version_in_path(path)
                runtimes[runtime] = PresentRuntime(id=runtime, version=version, path=path)
                prefixes.append(host.paths.dirname(host.paths.dirname(real)))
    own = host.ask("python_path")
    prefixes += _environments(host)
    others = [folder for prefix in prefixes for folder in _packages_of(host, prefix)]
    _search_packages(host, (*others, *(own or ())), runtimes)
    for place in _LM_STUDIO.get(host.system, ()):
        path = _at_home(host, place)
        if path and host.exists(path):
            runtimes[LM_STUDIO] = PresentRuntime(id=LM_STUDIO, path=path)
    return own is not None or any(map(host.exists, folders))


def _search_packages(
    host: Host, folders: Iterable[str], runtimes: dict[str, PresentRuntime]
) -> None:
    for folder in folders:
        for runtime, version, path in _distributions(host, folder):
            if runtime not in runtimes:
                runtimes[runtime] = PresentRuntime(id=runtime, version=version, path=path)
            elif runtimes[runtime].version is None:
                runtimes[runtime] = runtimes[runtime].replace(version=version)


def _at_home(host: Host, path: str) -> str:
    """`path` with the home folder for `~`; empty where none is set."""
    home = host.home()
    if not path.startswith("~"):
        return path
    return home + path[1:] if home else ""


def command_folders(host: Host) -> list[str]:
    """Absolute folders of PATH, then the usual ones, each once."""
    listed = host.env.get("PATH", "").split(";" if host.system == "windows" else ":")
    usual = (_at_home(host, folder) for folder in _USUAL.get(host.system, ()))
    return [folder for folder in dict.fromkeys((*listed, *usual)) if host.paths.isabs(folder)]


def version_in_path(path: str) -> str | None:
    """The version in `…/Cellar/NAME/VERSION/…`, or in the folder of llama.cpp's archive."""
    match = _VERSION_IN_PATH.search(path)
    return (match[1] or match[2]) if match else None


def _distributions(host: Host, folder: str) -> Iterator[tuple[str, str, str]]:
    """Runtime, version and path of each that is installed in a folder of packages, as
    `mlx_lm-0.32.2.dist-info`.
    """
    for entry in host.listdir(folder):
        name, dash, version = entry.removesuffix(".dist-info").partition("-")
        runtime = DISTRIBUTIONS.get(re.sub(r"[-_.]+", "-", name).lower())
        if entry.endswith(".dist-info") and dash and version and runtime:
            yield runtime, version, str(host.paths.join(folder, entry))


def _packages_of(host: Host, prefix: str) -> list[str]:
    """The folders that a Python environment imports packages from."""
    if host.system == "windows":
        return [str(host.paths.join(prefix, "Lib", "site-packages"))]
    library = str(host.paths.join(prefix, "lib"))
    names = (name for name in host.listdir(library) if name.startswith("python3"))
    return [str(host.paths.join(library, name, "site-packages")) for name in names]


def _environments(host: Host) -> Iterator[str]:
    """Other Python environments than this one: active, beside the work, and those of tools."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if host.paths.isabs(host.env.get(name, "")):
            yield host.env[name]
    yield str(host.paths.join(host.cwd(), ".venv"))
    for folder in filter(None, (_at_home(host, place) for place in _TOOLS)):
        for name in host.listdir(folder):
            yield str(host.paths.join(folder, name))
