"""The installed runtimes, found by their programs and by the packages of Python environments.
Nothing is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..record import LM_STUDIO, PresentRuntime
from .host import Facts, Host
from .store_folders import present_table

_SOURCE = (
    "commands in PATH and the usual folders; packages of this and of other environments"
)
_UNSEARCHED = "the recorded tree has none of the folders where runtimes are installed"
# environment variables that name the active Python environment
_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX")
_PACKAGES = "site-packages"
_PACKAGE_SUFFIX = ".dist-info"


def read_runtimes(host: Host, facts: Facts) -> None:
    """Read the runtimes that are installed; () where none was seen, unread where nothing was
    searched.
    """
    folders = _program_folders(host)
    found = host.within(lambda: _search(host, folders))
    has_python = host.ask("python_path") is not None
    # a tree without any folder to search tells nothing about its machine
    if found or has_python or any(map(host.exists, folders)):
        facts.put("runtimes", tuple(found), _SOURCE)
    else:
        facts.lack("runtimes", _UNSEARCHED)


def _program_folders(host: Host) -> list[str]:
    """The folders of PATH, then the usual ones of this system, each once."""
    path = host.env.get("PATH", "")
    folders = path.split(host.paths.pathsep)
    for folder in present_table().folders.get(host.system, ()):
        folders.append(folder.replace("~", host.home))
    # a PATH may name one folder thousands of times
    once = dict.fromkeys(folders)
    return list(filter(host.is_absolute, once))


def _search(host: Host, folders: Sequence[str]) -> list[PresentRuntime]:
    """The runtimes of the programs in these folders, and of Python packages, sorted by id.

    The first program of a runtime gives the path, else the first package. The first package gives
    the version, which no program states.
    """
    programs: list[str] = []
    runtimes: dict[str, PresentRuntime] = {}
    for path, runtime in _program_paths(host, folders).items():
        if host.is_program(path):
            programs.append(path)
            runtimes.setdefault(runtime, PresentRuntime(id=runtime, path=path))
    for folder in _package_folders(host, programs):
        for package in _packages_in(host, folder):
            first = runtimes.setdefault(package.id, package)
            if not first.version:
                runtimes[package.id] = first.replace(version=package.version)
    return [runtimes[runtime] for runtime in sorted(runtimes)]


def _program_paths(host: Host, folders: Iterable[str]) -> Mapping[str, str]:
    """The paths where programs may lie, each with the runtime that the program belongs to."""
    table = present_table()
    suffix = ".exe" if host.system == "windows" else ""
    runtimes: dict[str, str] = {}
    for folder in folders:
        for command, runtime in table.commands.items():
            runtimes[host.join(folder, command + suffix)] = runtime
    for program in table.lm_studio.get(host.system, ()):
        runtimes[program.replace("~", host.home)] = LM_STUDIO
    return runtimes


def _package_folders(host: Host, programs: Iterable[str]) -> Iterator[str]:
    """Yield the folders of packages of every environment, and of this Python."""
    for environment in _environments(host, programs):
        library = host.join(environment, "lib")
        # on Windows no folder for the Python version lies between the two
        yield host.join(library, _PACKAGES)
        for name in host.names(library, "python3.*"):
            yield host.join(library, name, _PACKAGES)
    yield from host.ask("python_path") or ()


def _environments(host: Host, programs: Iterable[str]) -> Iterator[str]:
    """Yield the Python environments of these programs, the active environment, and `.venv` in the
    working directory.
    """
    for program in programs:
        # the program lies at ENVIRONMENT/bin/PROGRAM
        folder = host.parent(host.resolve(program))
        yield host.parent(folder)
    for variable in _ENVIRONMENTS:
        environment = host.env.get(variable, "")
        if host.is_absolute(environment):
            yield environment
    work = host.ask("cwd") or "/"
    yield host.join(work, ".venv")


def _packages_in(host: Host, folder: str) -> Iterator[PresentRuntime]:
    """Yield the runtimes in a folder of packages, by names such as `mlx_lm-0.32.2.dist-info`."""
    distributions = present_table().distributions
    for entry in host.listdir(folder):
        if not entry.endswith(_PACKAGE_SUFFIX):
            continue
        stem = entry.removesuffix(_PACKAGE_SUFFIX)
        name, _, version = stem.partition("-")
        runtime = distributions.get(name.lower().replace("_", "-"))
        if runtime and version:
            yield PresentRuntime(
                id=runtime,
                version=version,
                path=host.join(folder, entry),
            )
