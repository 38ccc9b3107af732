"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.tables import shipped_table
from . import COMMANDS
from .output import write
from .parser import arguments, parse

if TYPE_CHECKING:
    from ..catalogue.index import Catalogue


def run(words: list[str]) -> int:
    """Print the script."""
    write(shipped_table("completion")[parse("completion", words).shell])
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what may stand for the last of `words`; nothing where the shell's files may."""
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import complete

    typed, catalogue = words[-1] if words else "", open_catalogue()
    if len(words) < 2:
        return _beginning(typed, COMMANDS) or list(complete(typed, catalogue))
    # a bare name of a model is a check
    settings_of = arguments(words[0] if words[0] in COMMANDS else "check")
    options = {name: settings for names, settings in settings_of.items() for name in names.split()}
    values = _values(options, words[-2], typed, catalogue)
    if values is not None:
        return values
    if typed.startswith("-"):
        names = (name for name in options if name[0] == "-" and name != "--json")
        return _beginning(typed, names)
    if options.keys() & {"model", "models"}:
        return list(complete(typed, catalogue))
    positional = (each for name, each in options.items() if name[0] != "-")
    return _beginning(typed, [word for each in positional for word in each.get("choices", ())])


def _values(
    options: Mapping[str, Mapping[str, Any]], before: str, typed: str, catalogue: Catalogue
) -> list[str] | None:
    """Return the values of `--option VALUE` or `--option=VALUE`, None where none stands there."""
    flag, sign, value = typed.partition("=")
    if not sign or flag not in options:
        flag, sign, value = before, "", typed
    settings = options.get(flag, {"nargs": 0})
    if settings.get("action", "append") != "append" or settings.get("nargs") == 0:
        return None
    from ..machine.changes import SETTINGS
    from ..machine.profiles import names
    from ..reports.audit_formats import FORMATS

    listed: dict[str, Iterable[str]] = {
        "--family": sorted({row.family for row in catalogue.outlines.values() if row.family}),
        "--set": [f"{key}=" for key in SETTINGS],
        "--format": FORMATS,
        "--gpu": [row["words"] for row in catalogue.common("gpus")["gpu"]],
        "--runtime": catalogue.runtime_ids(),
        "--quant": catalogue.common("quantizations")["quantization"],
        "--license": catalogue.common("licenses"),
        "--draft": catalogue.ids(),
    }
    choices = settings.get("choices") or listed.get(flag, ())
    if flag == "--machine":
        choices = names()
    return [f"{flag}{sign}{word}" if sign else word for word in _beginning(value, choices)]


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    start = typed.lower().replace(" ", "-")
    return [name for name in names if name.lower().replace(" ", "-").startswith(start)]
