"""Copies of public repositories: git folders that are read at one commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from selfhost.catalogue.scores import Source

HOST = "https://github.com"


class Copy:
    """A copy of a source's repository, at a commit."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.source = source
        self.commit = source.commit
        self._repository = source.repository
        self._folder = folder / source.repository.replace("/", "+")

    def update(self) -> None:
        """Clone the repository, or fetch its newest commits, and take the newest one."""
        if self._folder.exists():
            self._git("fetch", "--quiet", "origin", "HEAD")
            self.commit = self._git("rev-parse", "FETCH_HEAD").strip()
            return
        address = f"{HOST}/{self._repository}"
        clone = ["git", "clone", "--quiet", "--bare", "--filter=blob:none", address]
        subprocess.run([*clone, str(self._folder)], check=True)
        self.commit = self._git("rev-parse", "HEAD").strip()

    def clone_if_missing(self) -> None:
        """Clone the repository where there is no copy yet; the commit stays."""
        stated = self.commit
        if not self._folder.exists():
            self.update()
        self.commit = stated

    @property
    def day(self) -> str:
        """The day of the last change of what is read, `YYYY-MM-DD`."""
        path, _, _ = self.source.path.partition("/{")
        return self._git("log", "-1", "--format=%cs", self.commit, "--", path).strip()

    def text(self, path: str) -> str:
        """The content of a file."""
        return self._git("show", f"{self.commit}:{path}")

    def files(self, folder: str, ending: str = "") -> list[str]:
        """The paths of all files below a folder with that ending, sorted."""
        listed = self._git("ls-tree", "-r", "--name-only", self.commit, f"{folder}/")
        return [path for path in listed.splitlines() if path.endswith(ending)]

    def texts(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each path with the content of its file, read by one process."""
        wanted = list(paths)
        lines = "".join(f"{self.commit}:{path}\n" for path in wanted)
        command = ["git", "-C", str(self._folder), "cat-file", "--batch"]
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, check=True
        )
        rest = done.stdout
        for path in wanted:
            head, _, rest = rest.partition(b"\n")
            size = int(head.split()[-1])
            yield path, rest[:size].decode()
            # a line break follows the content
            rest = rest[size + 1 :]

    def _git(self, *words: str) -> str:
        command = ["git", "-C", str(self._folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout
