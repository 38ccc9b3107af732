"""The installed runtimes, found by their programs and by the packages of Python environments.
Nothing is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..record import LM_STUDIO, PresentRuntime
from .host import Facts, Host
from .store_folders import present_table

_SOURCE = (
    "commands in PATH and the usual folders; packages of this and of other environments"
)
_UNSEARCHED = "the recorded tree has none of the folders where runtimes are installed"
# environment variables that name the active Python environment
_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX")


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
    # a PATH may name one folder thousands of times
    folders = dict.fromkeys(path.split(host.paths.pathsep))
    for folder in present_table().folders.get(host.system, ()):
        folders[folder.replace("~", host.home)] = None
    return list(filter(host.is_absolute, folders))


def _search(host: Host, folders: Sequence[str]) -> list[PresentRuntime]:
    """The runtimes of the programs in these folders, and of Python packages, sorted by id.

    The first program of a runtime gives the path, else the first package. The first package gives
    the version, which no program states.
    """
    programs = dict(_programs_in(host, folders))
    runtimes: dict[str, PresentRuntime] = {}
    for path, id in programs.items():
        runtimes.setdefault(id, PresentRuntime(id=id, path=path))
    for package in _packages(host, programs):
        runtime = runtimes.setdefault(package.id, package)
        if runtime.version is None:
            runtimes[package.id] = runtime.replace(version=package.version)
    return [runtimes[id] for id in sorted(runtimes)]


def _programs_in(host: Host, folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the path of each program in these folders, and of LM Studio's own, with the id of its
    runtime.
    """
    table = present_table()
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders:
        for command, id in table.commands.items():
            path = host.join(folder, command + suffix)
            if host.is_program(path):
                yield path, id
    for program in table.lm_studio.get(host.system, ()):
        path = program.replace("~", host.home)
        if host.is_program(path):
            yield path, LM_STUDIO


def _packages(host: Host, programs: Iterable[str]) -> Iterator[PresentRuntime]:
    """Yield the packages of runtimes by names of folders such as `mlx_lm-0.32.2.dist-info`."""
    distributions = present_table().distributions
    for folder in _package_folders(host, programs):
        for entry in host.names(folder, r".+-.+\.dist-info"):
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            id = distributions.get(name.lower().replace("_", "-"))
            if id is not None:
                path = host.join(folder, entry)
                yield PresentRuntime(id=id, version=version, path=path)


def _package_folders(host: Host, programs: Iterable[str]) -> Iterator[str]:
    """Yield the folders of packages of every environment, then those of this Python."""
    for environment in _environments(host, programs):
        library = host.join(environment, "lib")
        # on Windows no folder for the Python version lies between the two
        for version in ("", *host.names(library, "python3.*")):
            yield host.join(library, version, "site-packages")
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
