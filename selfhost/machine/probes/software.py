"""Software: which runtimes are installed, in which version. Nothing is run and nothing
imported: names of files and folders say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..record import FILL_IN, LM_STUDIO, PresentRuntime
from .facts import Facts
from .host import Host

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


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing could be
    searched.
    """
    own, folders = host.ask("python_path"), _command_folders(host)
    runtimes = host.within(lambda: _search(host, folders, own or ()))
    if not runtimes and own is None and not any(map(host.exists, folders)):
        # what a recorded tree does not hold is not known to be missing on its machine
        reason = "the recorded tree has none of the folders where runtimes are installed"
        facts.miss("runtimes", reason, FILL_IN)
        return
    where = "commands in PATH and the usual folders; packages of this and of other environments"
    facts.put("runtimes", tuple(runtimes[name] for name in sorted(runtimes)), where)


def _search(host: Host, folders: list[str], own: tuple[str, ...]) -> dict[str, PresentRuntime]:
    """The runtimes in the folders of commands and of Python's packages, by their id."""
    runtimes: dict[str, PresentRuntime] = {}
    # of the commands that are here, first: the version of one lies beside it
    prefixes: list[str] = []
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders:
        for command, name in COMMANDS.items():
            path = host.join(folder, f"{command}{suffix}")
            if name not in runtimes and host.is_command(path):
                runtimes[name] = PresentRuntime(id=name, path=path)
                prefixes.append(host.paths.dirname(host.paths.dirname(host.resolve(path))))
    prefixes += _environments(host)
    packages = (folder for prefix in prefixes for folder in _packages_of(host, prefix))
    for folder in (*packages, *own):
        for runtime in _installed(host, folder):
            earlier = runtimes.setdefault(runtime.id, runtime)
            if earlier.version is None:
                runtimes[runtime.id] = earlier.replace(version=runtime.version)
    for path in _at_home(host, _LM_STUDIO.get(host.system, ())):
        if host.exists(path):
            runtimes[LM_STUDIO] = PresentRuntime(id=LM_STUDIO, path=path)
    return runtimes


def _installed(host: Host, folder: str) -> Iterator[PresentRuntime]:
    """Runtimes in a folder of Python packages, each as `mlx_lm-0.32.2.dist-info`."""
    for entry in host.listdir(folder):
        name, dash, version = entry.removesuffix(".dist-info").partition("-")
        runtime = DISTRIBUTIONS.get(re.sub(r"[-_.]+", "-", name).lower())
        if runtime and dash and entry.endswith(".dist-info"):
            yield PresentRuntime(id=runtime, version=version, path=host.join(folder, entry))


def _at_home(host: Host, paths: tuple[str, ...]) -> list[str]:
    """`paths` with the home folder for `~`; without those where none is set."""
    home = host.home() or ""
    return [path.replace("~", home, 1) for path in paths if home or not path.startswith("~")]


def _command_folders(host: Host) -> list[str]:
    """Absolute folders of PATH, then the usual ones, each once."""
    listed = host.env.get("PATH", "").split(";" if host.system == "windows" else ":")
    every = dict.fromkeys((*listed, *_at_home(host, _USUAL.get(host.system, ()))))
    return [folder for folder in every if host.paths.isabs(folder)]


def _packages_of(host: Host, prefix: str) -> list[str]:
    """The folders that a Python environment imports packages from."""
    if host.system == "windows":
        return [host.join(prefix, "Lib", "site-packages")]
    library = host.join(prefix, "lib")
    names = (name for name in host.listdir(library) if name.startswith("python3"))
    return [host.join(library, name, "site-packages") for name in names]


def _environments(host: Host) -> Iterator[str]:
    """Other Python environments than this one: active, beside the work, and those of tools."""
    active = (host.env.get(name, "") for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    yield from filter(host.paths.isabs, active)
    yield host.join(host.cwd(), ".venv")
    for folder in _at_home(host, _TOOLS):
        yield from (host.join(folder, name) for name in host.listdir(folder))
