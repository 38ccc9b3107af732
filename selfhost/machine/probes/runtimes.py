"""Which runtimes are here: by their programs, and by the packages of Python environments. Nothing
is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..record import LM_STUDIO, PresentRuntime
from .host import Facts, Host
from .store_folders import present_table

_FACT = "runtimes"
_SOURCE = (
    "commands in PATH and the usual folders; packages of this and of other environments"
)
_UNSEARCHED = "the recorded tree has none of the folders where runtimes are installed"
# variables that name the environment which is in use
_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX")
_PACKAGES = "site-packages"


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing was searched."""
    folders = _program_folders(host)
    programs = list(_programs(host, folders))
    found = host.within(lambda: _search(host, programs))
    # a tree that holds none of these places says nothing of its machine
    has_packages = host.ask("python_path") is not None
    if found or has_packages or any(map(host.exists, folders)):
        facts.put(_FACT, tuple(found), _SOURCE)
    else:
        facts.lack(_FACT, _UNSEARCHED)


def _program_folders(host: Host) -> Sequence[str]:
    """The folders of PATH, then the usual ones of this system, each once."""
    folders: dict[str, None] = {}
    for folder in host.env.get("PATH", "").split(host.paths.pathsep):
        folders[folder] = None
    for folder in present_table().folders.get(host.system, ()):
        folders[_in_home(host, folder)] = None
    return list(filter(host.is_absolute, folders))


def _in_home(host: Host, path: str) -> str:
    """A path of the table with the home folder for `~`."""
    return path.replace("~", host.home, 1)


def _programs(host: Host, folders: Sequence[str]) -> Iterator[PresentRuntime]:
    """All that is looked for, the first of a runtime before the others."""
    suffix = ".exe" if host.system == "windows" else ""
    commands = present_table().commands
    for folder in folders:
        for command, runtime in commands.items():
            path = host.join(folder, command + suffix)
            yield PresentRuntime(id=runtime, path=path)
    for path in present_table().lm_studio.get(host.system, ()):
        yield PresentRuntime(id=LM_STUDIO, path=_in_home(host, path))


def _search(host: Host, programs: Sequence[PresentRuntime]) -> list[PresentRuntime]:
    """The runtimes of these programs, and of packages beside them, in the active environment and
    beside the work, sorted. A program counts before a package, which states its version.
    """
    runtimes: dict[str, PresentRuntime] = {}
    installed = [program for program in programs if host.is_program(program.path or "")]
    for program in installed:
        runtimes.setdefault(program.id, program)
    for folder in _package_folders(host, _environments(host, installed)):
        for package in _packages_in(host, folder):
            first = runtimes.setdefault(package.id, package)
            if not first.version:
                runtimes[package.id] = first.replace(version=package.version)
    return [runtimes[name] for name in sorted(runtimes)]


def _environments(host: Host, programs: Sequence[PresentRuntime]) -> list[str]:
    """The folders of environments: those that hold these programs, the active one, and the one
    beside the work.
    """
    environments: list[str] = []
    for program in programs:
        folder = host.parent(host.resolve(program.path or ""))
        environments.append(host.parent(folder))
    for variable in _ENVIRONMENTS:
        environment = host.env.get(variable, "")
        if host.is_absolute(environment):
            environments.append(environment)
    environments.append(host.join(host.ask("cwd") or "/", ".venv"))
    return environments


def _package_folders(host: Host, environments: Sequence[str]) -> Sequence[str]:
    """The folders of packages in these environments and in that of this Python."""
    folders: list[str] = []
    for environment in environments:
        library = host.join(environment, "lib")
        # Windows has no folder of a version between the two
        folders.append(host.join(library, _PACKAGES))
        for name in host.listdir(library):
            if name.startswith("python3"):
                folders.append(host.join(library, name, _PACKAGES))
    python_path: Sequence[str] = host.ask("python_path") or ()
    return [*folders, *python_path]


def _packages_in(host: Host, folder: str) -> Iterator[PresentRuntime]:
    """The runtimes of a folder of packages, by names such as `mlx_lm-0.32.2.dist-info`."""
    distributions = present_table().distributions
    for entry in host.listdir(folder):
        if not entry.endswith(".dist-info"):
            continue
        name, _, version = entry.removesuffix(".dist-info").partition("-")
        name = name.lower().replace("_", "-").replace(".", "-")
        runtime = distributions.get(name)
        if runtime and version:
            path = host.join(folder, entry)
            yield PresentRuntime(id=runtime, path=path, version=version)
