"""How the shells of the systems take a path and environment variables."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.records import pattern

_PLAIN_ON_WINDOWS = pattern(r"[\w:./\\+=~-]+")


def in_shell(path: str, *, is_windows: bool) -> str:
    """A path as the system's shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path[len(home) :]
    if not is_windows:
        from shlex import quote

        return home + quote(rest)
    # PowerShell: between single quotes nothing counts but a doubled one
    return path if _PLAIN_ON_WINDOWS.fullmatch(rest) else home + "'" + rest.replace("'", "''") + "'"


def with_environment(settings: Sequence[str], command: str, *, is_windows: bool) -> str:
    """The command with environment variables, as the system's shell takes them."""
    if not is_windows:
        return " ".join((*settings, command))
    pairs = [setting.partition("=") for text in settings for setting in text.split()]
    return " ".join((*(f"$env:{name}='{value}';" for name, _, value in pairs), command))
