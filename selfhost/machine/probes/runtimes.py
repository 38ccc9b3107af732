"""Which runtimes are here: by their programs, and by the packages of Python environments. Nothing
is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    found = host.within(lambda: _search(host, folders))
    if found or _was_searched(host, folders):
        facts.put(_FACT, tuple(found), _SOURCE)
    else:
        facts.lack(_FACT, _UNSEARCHED)


def _was_searched(host: Host, folders: Sequence[str]) -> bool:
    """Whether any place was there to search: a tree without one says nothing of its machine."""
    if host.ask("python_path") is not None:
        return True
    return any(map(host.exists, folders))


def _program_folders(host: Host) -> Sequence[str]:
    """The folders of PATH, then the usual ones of this system, each once."""
    folders = host.env.get("PATH", "").split(host.paths.pathsep)
    for folder in present_table().folders.get(host.system, ()):
        folders.append(_in_home(host, folder))
    return list(filter(host.is_absolute, dict.fromkeys(folders)))


def _in_home(host: Host, path: str) -> str:
    """A path of the table with the home folder for `~`."""
    return path.replace("~", host.home, 1)


def _search(host: Host, folders: Sequence[str]) -> list[PresentRuntime]:
    """The runtimes of programs in these folders, and of Python packages, sorted. A program counts
    before a package, which states its version.
    """
    programs = _programs(host, folders)
    runtimes: dict[str, PresentRuntime] = {}
    for path, name in programs.items():
        if name not in runtimes:
            runtimes[name] = PresentRuntime(id=name, path=path)
    for folder in _package_folders(host, programs):
        for package in _packages_in(host, folder):
            first = runtimes.get(package.id)
            if first is None:
                runtimes[package.id] = package
            elif not first.version:
                runtimes[package.id] = first.replace(version=package.version)
    return [runtimes[name] for name in sorted(runtimes)]


def _programs(host: Host, folders: Sequence[str]) -> Mapping[str, str]:
    """By the paths of the programs that are there, the runtimes that they belong to."""
    table = present_table()
    suffix = ".exe" if host.system == "windows" else ""
    paths: dict[str, str] = {}
    for folder in folders:
        for command, runtime in table.commands.items():
            path = host.join(folder, command + suffix)
            paths[path] = runtime
    for program in table.lm_studio.get(host.system, ()):
        path = _in_home(host, program)
        paths[path] = LM_STUDIO
    return {path: runtime for path, runtime in paths.items() if host.is_program(path)}


def _package_folders(host: Host, programs: Iterable[str]) -> list[str]:
    """The folders of packages: of the environments that hold these programs, of the active one, of
    the one beside the work, and of this Python.
    """
    environments: list[str] = []
    for program in programs:
        folder = host.parent(host.resolve(program))
        environments.append(host.parent(folder))
    for variable in _ENVIRONMENTS:
        environment = host.env.get(variable, "")
        if host.is_absolute(environment):
            environments.append(environment)
    work = host.ask("cwd") or "/"
    environments.append(host.join(work, ".venv"))
    folders: list[str] = []
    for environment in environments:
        folders += _packages_of(host, environment)
    python_path = host.ask("python_path")
    if python_path:
        folders += python_path
    return folders


def _packages_of(host: Host, environment: str) -> Iterator[str]:
    """The folders of packages that an environment may have."""
    library = host.join(environment, "lib")
    # Windows has no folder of a version between the two
    yield host.join(library, _PACKAGES)
    for name in host.listdir(library):
        if name.startswith("python3"):
            yield host.join(library, name, _PACKAGES)


def _packages_in(host: Host, folder: str) -> Iterator[PresentRuntime]:
    """The runtimes of a folder of packages, by names such as `mlx_lm-0.32.2.dist-info`."""
    distributions = present_table().distributions
    for entry in host.listdir(folder):
        if not entry.endswith(".dist-info"):
            continue
        name, _, version = entry.removesuffix(".dist-info").partition("-")
        runtime = distributions.get(_normal_name(name))
        if runtime and version:
            path = host.join(folder, entry)
            yield PresentRuntime(id=runtime, path=path, version=version)


def _normal_name(name: str) -> str:
    """A package's name in small letters, with `-` for `_` and `.`."""
    return name.lower().replace("_", "-").replace(".", "-")
