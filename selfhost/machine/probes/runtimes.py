"""Which runtimes are here: by their programs, and by the packages of Python environments. Nothing
is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.records import Record
from ..record import LM_STUDIO, PresentRuntime
from .host import Facts, Host
from .store_folders import present_table


class _Program(Record):
    """Where a program of a runtime may be."""

    runtime: str
    path: str


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing was searched."""
    folders = _program_folders(host)
    programs = list(_programs(host, folders))
    runtimes = host.within(lambda: _search(host, programs))
    is_searched = bool(runtimes) or host.ask("python_path") is not None
    is_searched = is_searched or any(map(host.exists, folders))
    found = tuple([runtimes[name] for name in sorted(runtimes)])
    source = "commands in PATH and the usual folders; packages of this and of other environments"
    why = "the recorded tree has none of the folders where runtimes are installed"
    facts.put("runtimes", found if is_searched else None, source, why)


def _program_folders(host: Host) -> list[str]:
    """The folders of PATH, then the usual ones of this system."""
    folders = host.env.get("PATH", "").split(host.paths.pathsep)
    for folder in present_table().folders.get(host.system, ()):
        folders.append(folder.replace("~", host.home, 1))
    return [folder for folder in dict.fromkeys(folders) if host.paths.isabs(folder)]


def _programs(host: Host, folders: Sequence[str]) -> Iterator[_Program]:
    """All that is looked for, the first of a runtime before the others."""
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders:
        for command, runtime in present_table().commands.items():
            yield _Program(
                runtime=runtime, path=host.paths.join(folder, f"{command}{suffix}")
            )
    for path in present_table().lm_studio.get(host.system, ()):
        yield _Program(runtime=LM_STUDIO, path=path.replace("~", host.home, 1))


def _search(host: Host, programs: Sequence[_Program]) -> dict[str, PresentRuntime]:
    """By programs and by packages beside them, in the active environment and beside the work."""
    runtimes: dict[str, PresentRuntime] = {}
    environments: list[str] = []
    for program in programs:
        if host.is_program(program.path):
            runtime = PresentRuntime(id=program.runtime, path=program.path)
            runtimes.setdefault(program.runtime, runtime)
            folder = host.paths.dirname(host.resolve(program.path))
            environments.append(host.paths.dirname(folder))
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        environment = host.env.get(variable, "")
        if host.paths.isabs(environment):
            environments.append(environment)
    environments.append(host.paths.join(host.ask("cwd") or "/", ".venv"))
    folders: list[str] = []
    for environment in environments:
        folders += _package_folders(host, environment)
    for folder in (*folders, *(host.ask("python_path") or ())):
        for package in _packages_in(host, folder):
            first = runtimes.setdefault(package.id, package)
            if not first.version:
                runtimes[package.id] = first.replace(version=package.version)
    return runtimes


def _package_folders(host: Host, environment: str) -> list[str]:
    join = host.paths.join
    library = join(environment, "lib")
    # Windows has no folder of a version between the two
    folders = [join(library, "", "site-packages")]
    for name in host.listdir(library):
        if name.startswith("python3"):
            folders.append(join(library, name, "site-packages"))
    return folders


def _packages_in(host: Host, folder: str) -> Iterator[PresentRuntime]:
    """The runtimes of a folder of packages, by names such as `mlx_lm-0.32.2.dist-info`."""
    for entry in host.listdir(folder):
        if not entry.endswith(".dist-info"):
            continue
        name, _, version = entry.removesuffix(".dist-info").partition("-")
        name = name.lower().replace("_", "-").replace(".", "-")
        runtime = present_table().distributions.get(name)
        if runtime and version:
            path = host.paths.join(folder, entry)
            yield PresentRuntime(id=runtime, path=path, version=version)
