"""Software: which runtimes are installed, in which version. Nothing is run and nothing
imported: names of files and folders say it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.saying import FILL_IN
from ..record import LM_STUDIO, PresentRuntime
from .host import Found, Host

RUNTIMES = "runtimes"
# as `present` and `distributions` of specs/runtimes say, which are not read here: reading the
# machine needs no catalogue
COMMANDS = {
    "llama-server": "llama.cpp", "llama-cli": "llama.cpp", "llama": "llama.cpp",
    "ollama": "ollama", "vllm": "vllm", "sglang": "sglang", "mlx_lm.generate": "mlx",
    "sd-cli": "stable-diffusion.cpp", "whisper-cli": "whisper.cpp", "whisper-server": "whisper.cpp",
}  # fmt: skip
DISTRIBUTIONS = {
    "ace-step": "ace-step", "indextts": "index-tts",
    "transformers": "transformers", "vllm": "vllm", "sglang": "sglang", "mlx-lm": "mlx",
    "diffusers": "diffusers",
    "faster-whisper": "faster-whisper",
    "llama-cpp-python": "llama-cpp-python", "sentence-transformers": "sentence-transformers",
    "chatterbox-tts": "chatterbox", "chattts": "chattts", "dia2": "dia2",
    "heartlib": "heartlib", "melotts": "melotts",
    "coqui-tts": "coqui-tts", "f5-tts": "f5-tts",
    "funasr": "funasr", "kittentts": "kittentts", "kokoro": "kokoro", "moshi": "moshi",
    "nemo-toolkit": "nemo", "neutts": "neutts", "omnivoice": "omnivoice",
    "orpheus-speech": "orpheus-speech", "outetts": "outetts", "parler-tts": "parler-tts",
    "piper-tts": "piper", "pocket-tts": "pocket-tts", "pyannote-audio": "pyannote-audio",
    "qwen-asr": "qwen-asr", "qwen-tts": "qwen-tts", "supertonic": "supertonic",
    "vibevoice": "vibevoice", "voxcpm": "voxcpm", "zonos": "zonos",
}  # fmt: skip
_USUAL = {
    "linux": (
        "/usr/local/bin",
        "/usr/bin",
        "/snap/bin",
        "/home/linuxbrew/.linuxbrew/bin",
        "~/.local/bin",
    ),
    "macos": (
        "/opt/homebrew/bin",
        "/usr/local/bin",
        "/Applications/Ollama.app/Contents/Resources",
        "~/.local/bin",
    ),
    "windows": (
        "$LOCALAPPDATA\\Programs\\Ollama",
        "$LOCALAPPDATA\\Microsoft\\WinGet\\Links",
        "$LOCALAPPDATA\\llama-app",
    ),
}
# the version in the path that a command's link leads to: Homebrew's Cellar and Caskroom, a Nix
# store, llama.cpp's own archives
_VERSION_IN_PATH = (
    r"/(?:Cellar|Caskroom)/[^/]+/([^/]+)/",
    r"/nix/store/[0-9a-z]{32}-[a-z-]*?(?:cpp|ollama|vllm)-([0-9][^/]*)/",
    r"[/\\](?:llama|whisper)-b?(\d[\d.]*)(?:-bin-[^/\\]+)?[/\\]",
)
# what distributions call the packages
_PACKAGES = {
    "llama.cpp": ("llama.cpp", "llama-cpp"),
    "ollama": ("ollama",),
    "whisper.cpp": ("whisper.cpp", "whisper-cpp"),
}
_PACMAN = tuple(f"{name}-" for names in _PACKAGES.values() for name in names)
# dpkg's list of packages has 1 to 5 MB
_MAX_STATUS_BYTES = 2**24


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


# the ending of a folder that describes an installed package
_INSTALLED = ".dist-info"


def parse_distribution(folder: str) -> tuple[str, str] | None:
    """`mlx_lm-0.32.2.dist-info` -> (`mlx-lm`, `0.32.2`); None for another name."""
    if not folder.endswith(_INSTALLED):
        return None
    name, dash, version = folder[: -len(_INSTALLED)].partition("-")
    if not (dash and version):
        return None
    # each run of marks counts as one
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    inner = [word for word in words[1:-1] if word]
    return "-".join([words[0], *inner, *words[1:][-1:]]), version


def _is_known(folder: str) -> bool:
    # most are modules, which need no further look
    distribution = parse_distribution(folder) if folder.endswith(_INSTALLED) else None
    return distribution is not None and distribution[0] in DISTRIBUTIONS


def version_in_path(path: str) -> str | None:
    """The version in `…/Cellar/NAME/VERSION/…`, a Nix store's folder or that of llama.cpp's
    archive.
    """
    import re

    for pattern in _VERSION_IN_PATH:
        match = re.search(pattern, path)
        if match:
            return match[1]
    return None


def parse_status(text: str, packages: tuple[str, ...]) -> str | None:
    """The version that dpkg's status states of an installed package, without Debian's own part:
    `0.0.6641-1` -> `0.0.6641`.
    """
    import re

    for name in packages:
        start = f"\n{text}".find(f"\nPackage: {name}\n")
        if start < 0:
            continue
        entry = text[start:].partition("\n\n")[0]
        version = re.search(r"^Version: (?:\d+:)?(\S+)$", entry, re.MULTILINE)
        if version and re.search(r"^Status: .* installed$", entry, re.MULTILINE):
            return re.split(r"[+~]", version[1].rpartition("-")[0] or version[1])[0]
    return None


def _packaged(host: Host, runtime: str, path: str) -> str | None:
    """The version of a command that the system's own packages put there: dpkg, pacman, snap."""
    import re

    names = _PACKAGES.get(runtime, ())
    if path.startswith("/snap/"):
        version_line = re.search(
            r"^version:\s*['\"]?([\w.+~-]+)",
            host.read_text(f"/snap/{runtime}/current/meta/snap.yaml") or "",
            re.MULTILINE,
        )
        return version_line[1] if version_line else None
    if not path.startswith("/usr/bin/"):
        return None
    for folder in host.listdir("/var/lib/pacman/local", _of_pacman) or ():
        name, _, rest = folder.rpartition("-")
        name, _, version = name.rpartition("-")
        if name in names and rest:
            return version
    try:
        text = (
            host.read_bytes("/var/lib/dpkg/status", _MAX_STATUS_BYTES).decode("utf-8", "replace")
            if names
            else ""
        )
    except (OSError, ValueError):
        return None
    return parse_status(text, names)


def _bundle_version(host: Host, app: str) -> str | None:
    """`CFBundleShortVersionString` of a macOS application; a binary property list says nothing
    here.
    """
    import re

    text = host.read_text(f"{app}/Contents/Info.plist") or ""
    version_entry = re.search(
        r"<key>CFBundleShortVersionString</key>\s*<string>([\w.+-]+)</string>", text
    )
    return version_entry[1] if version_entry else None


def _is_python(name: str) -> bool:
    return name.startswith("python3")


def _packages_of(host: Host, prefix: str) -> list[str]:
    """The folders that a Python environment imports packages from."""
    if host.system == "windows":
        return [str(host.paths.join(prefix, "Lib", "site-packages"))]
    library = str(host.paths.join(prefix, "lib"))
    versions = host.listdir(library, _is_python) or ()
    return [str(host.paths.join(library, name, "site-packages")) for name in versions]


def _environments(host: Host) -> Iterator[str]:
    """Other Python environments than this one: active, beside the work, and those that pipx and
    uv made for one tool.
    """
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if host.paths.isabs(host.env.get(name, "")):
            yield host.env[name]
    yield str(host.paths.join(host.cwd(), ".venv"))
    home = host.home()
    data_folder = host.env.get("XDG_DATA_HOME") or (
        host.paths.join(home, ".local", "share") if home else None
    )
    tools = [
        host.env.get("UV_TOOL_DIR"),
        host.paths.join(data_folder, "uv", "tools") if data_folder else None,
    ]
    own = host.env.get("PIPX_HOME")
    for pipx in (
        own,
        *(
            ()
            if own or not home
            else (host.paths.join(data_folder, "pipx"), host.paths.join(home, ".local", "pipx"))
        ),
    ):
        tools.append(host.paths.join(pipx, "venvs") if pipx else None)
    for folder in tools:
        for tool in DISTRIBUTIONS if folder and host.exists(folder) else ():
            yield str(host.paths.join(folder, tool))


def _distributions(host: Host, folder: str) -> Iterator[tuple[str, str, str]]:
    """Runtime, version and path of each that is installed in a folder of packages."""
    # most folders have hundreds of names, and few of these
    for name in host.listdir(folder, _is_known) or ():
        distribution = parse_distribution(name)
        if distribution is not None:
            yield (
                DISTRIBUTIONS[distribution[0]],
                host.clean(distribution[1]),
                host.clean(host.paths.join(folder, name)),
            )


def _of_pacman(folder: str) -> bool:
    return folder.startswith(_PACMAN)


def _version_of(host: Host, runtime: str, path: str) -> str | None:
    """What files say of a command's version, whoever installed it."""
    real = host.resolve(path)
    stated_version = version_in_path(real) or version_in_path(path)
    if stated_version is None and runtime in DISTRIBUTIONS.values():
        # the command of an environment lies beside the packages of that environment
        prefix = host.paths.dirname(host.paths.dirname(real))
        every = (
            entry for folder in _packages_of(host, prefix) for entry in _distributions(host, folder)
        )
        stated_version = next((version for id, version, _ in every if id == runtime), None)
    if stated_version is None and ".app/Contents/" in real:
        stated_version = _bundle_version(host, real.partition("/Contents/")[0])
    return stated_version or _packaged(host, runtime, path)


def _look(host: Host) -> dict[str, PresentRuntime]:
    runtimes: dict[str, PresentRuntime] = {}
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders(host):
        start = host.paths.join(folder, "")
        for command, runtime in COMMANDS.items():
            path = f"{start}{command}{suffix}"
            if runtime not in runtimes and host.runnable(path):
                version = _version_of(host, runtime, path)
                runtimes[runtime] = PresentRuntime(
                    id=runtime,
                    version=host.clean(version) if version else None,
                    path=host.clean(path),
                )
    for folder in host.python_path() or ():
        _put(runtimes, _distributions(host, folder))
    for prefix in _environments(host):
        for folder in _packages_of(host, prefix):
            _put(runtimes, _distributions(host, folder))
    studio = _lm_studio(host)
    if studio is not None:
        runtimes[LM_STUDIO] = studio
    return runtimes


def _put(runtimes: dict[str, PresentRuntime], every: Iterator[tuple[str, str, str]]) -> None:
    """What was found first stays; only its version may still be missing."""
    for runtime, version, path in every:
        if runtime not in runtimes:
            runtimes[runtime] = PresentRuntime(id=runtime, version=version, path=path)
        elif runtimes[runtime].version is None:
            runtimes[runtime] = runtimes[runtime].replace(version=version)


def _lm_studio(host: Host) -> PresentRuntime | None:
    home, local = host.home(), host.env.get("LOCALAPPDATA")
    app = "/Applications/LM Studio.app"
    if host.system == "macos" and host.exists(app):
        return PresentRuntime(id=LM_STUDIO, version=_bundle_version(host, app), path=app)
    if host.system == "windows":
        places = [
            f"{home}\\.lmstudio\\bin\\lms.exe" if home else "",
            f"{local}\\Programs\\LM Studio\\LM Studio.exe" if local else "",
        ]
    else:
        places = [f"{home}/.lmstudio/bin/lms" if home else ""]
    path = next((place for place in places if place and host.exists(place)), None)
    return None if path is None else PresentRuntime(id=LM_STUDIO, path=host.clean(path))


def read_runtimes(host: Host, facts: Found) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing could be
    searched.
    """
    present = host.within(lambda: _look(host))
    if (
        not present
        and host.python_path() is None
        and not host.within(lambda: any(map(host.exists, folders(host))))
    ):
        # what a recorded tree does not hold is not known to be missing on its machine
        facts.miss(
            RUNTIMES,
            "the recorded tree has none of the folders where runtimes are installed",
            FILL_IN,
        )
        return
    where = (
        "commands in PATH and the usual folders; packages of this Python, of the active"
        " environment, pipx and uv"
    )
    facts.put(RUNTIMES, tuple(present[name] for name in sorted(present)), where)
