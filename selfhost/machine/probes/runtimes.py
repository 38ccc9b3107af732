"""The installed runtimes, found by their programs and by the packages of Python environments.
Nothing is run and nothing imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from ...core.records import Record
from ..record import LM_STUDIO, PresentRuntime
from .host import Facts, Host
from .store_folders import PresentTable, present_table

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
    search = _Search(host=host, table=present_table())
    found = host.within(search.runtimes)
    if found or search.has_a_folder:
        facts.put("runtimes", tuple(found), _SOURCE)
    else:
        # a tree without any folder to search tells nothing about its machine
        facts.lack("runtimes", _UNSEARCHED)


class _Search(Record):
    """The search for the runtimes of a machine."""

    host: Host
    table: PresentTable

    @property
    def has_a_folder(self) -> bool:
        """Whether the machine has a folder in which runtimes are searched."""
        if self.host.ask("python_path") is not None:
            return True
        return any(map(self.host.exists, self.folders))

    @cached_property
    def folders(self) -> Sequence[str]:
        """The folders of PATH, then the usual ones of this system, each once."""
        host = self.host
        path = host.env.get("PATH", "")
        folders = path.split(host.paths.pathsep)
        for folder in self.table.folders.get(host.system, ()):
            folders.append(folder.replace("~", host.home))
        # a PATH may name one folder thousands of times
        distinct = dict.fromkeys(folders)
        return list(filter(host.is_absolute, distinct))

    def runtimes(self) -> list[PresentRuntime]:
        """Return the runtimes of programs and of Python packages, sorted by id.

        The first program of a runtime gives the path, else the first package. The first package
        gives the version, which no program states.
        """
        found: dict[str, PresentRuntime] = {}
        for path, id in self.programs.items():
            if id not in found:
                found[id] = PresentRuntime(id=id, path=path)
        for package in self._packages():
            runtime = found.get(package.id)
            if runtime is None:
                found[package.id] = package
            elif runtime.version is None:
                found[package.id] = runtime.replace(version=package.version)
        return [found[id] for id in sorted(found)]

    @cached_property
    def programs(self) -> dict[str, str]:
        """The ids of runtimes by the paths of their programs."""
        host = self.host
        suffix = ".exe" if host.system == "windows" else ""
        programs = {}
        for folder in self.folders:
            for command, id in self.table.commands.items():
                path = host.join(folder, command + suffix)
                if host.is_program(path):
                    programs[path] = id
        for program in self.table.lm_studio.get(host.system, ()):
            path = program.replace("~", host.home)
            if host.is_program(path):
                programs[path] = LM_STUDIO
        return programs

    def _packages(self) -> Iterator[PresentRuntime]:
        """Yield the packages of runtimes by names of folders such as `mlx_lm-0.32.2.dist-info`."""
        for folder in self._package_folders():
            for entry in self.host.names(folder, r".+-.+\.dist-info"):
                package = entry.removesuffix(".dist-info")
                name, _, version = package.partition("-")
                name = name.lower().replace("_", "-")
                id = self.table.distributions.get(name)
                if id is None:
                    continue
                path = self.host.join(folder, entry)
                yield PresentRuntime(id=id, version=version, path=path)

    def _package_folders(self) -> Iterator[str]:
        """Yield the folders of packages of every environment, then those of this Python."""
        host = self.host
        for environment in self._environments():
            library = host.join(environment, "lib")
            # on Windows no folder for the Python version lies between the two
            yield host.join(library, "site-packages")
            for version in host.names(library, "python3.*"):
                yield host.join(library, version, "site-packages")
        yield from host.ask("python_path") or ()

    def _environments(self) -> Iterator[str]:
        """Yield the Python environments of the programs, the active environment, and `.venv` in the
        working directory.
        """
        host = self.host
        for program in self.programs:
            # the program lies at ENVIRONMENT/bin/PROGRAM
            folder = host.parent(host.resolve(program))
            yield host.parent(folder)
        for variable in _ENVIRONMENTS:
            environment = host.env.get(variable, "")
            if host.is_absolute(environment):
                yield environment
        work = host.ask("cwd") or "/"
        yield host.join(work, ".venv")
