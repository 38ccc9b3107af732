"""How the shells of the systems take paths, environment variables and programs in turn."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from ..core.records import pattern

_PLAIN_ON_WINDOWS = pattern(r"[\w:./\\+=~-]+")


def in_shell(path: str, *, is_windows: bool) -> str:
    """A path as the system's shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path[len(home) :]
    if not is_windows:
        return home + quote(rest)
    # PowerShell: between single quotes nothing counts but a doubled one
    return path if _PLAIN_ON_WINDOWS.fullmatch(rest) else home + "'" + rest.replace("'", "''") + "'"


def with_variables(settings: Sequence[str], command: str, *, is_windows: bool) -> str:
    """The command with environment variables, as the system's shell takes them."""
    if not is_windows:
        return " ".join((*settings, command))
    pairs = [setting.partition("=") for text in settings for setting in text.split()]
    return " ".join((*(f"$env:{name}='{value}';" for name, _, value in pairs), command))


def in_powershell(line: str) -> str:
    """The line as the PowerShell that Windows comes with takes it, 5.1: `&&` is of 7 and newer
    (about_Pipeline_Chain_Operators), and `curl` stands for Invoke-WebRequest (about_Aliases);
    Windows has curl.exe since version 1803. `$?` tells in both whether the program before it
    ended well (about_Automatic_Variables).
    """
    if line.startswith("#"):
        return line
    # a comment would take the brackets behind it
    code, mark, comment = line.partition("  # ")
    programs = [
        f"curl.exe {program[5:]}" if program.startswith("curl ") else program
        for program in code.split(" && ")
    ]
    chained = "; if ($?) { ".join(programs) + " }" * (len(programs) - 1)
    return f"{chained}{mark}{comment}"
