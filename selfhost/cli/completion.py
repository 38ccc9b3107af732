"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..core.tables import shipped_table
from . import COMMANDS
from .declared import TAKEN, arguments
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.index import Catalogue


def run(words: list[str]) -> int:
    """Print the script."""
    from .parser import parse

    write(shipped_table("completion")[parse("completion", words).shell])
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what may stand in the place of the last of `words` (typed after `selfhost`); nothing
    where the shell's own names of files are the answer.
    """
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import complete

    typed, catalogue = words[-1] if words else "", open_catalogue()
    if len(words) < 2:
        return _beginning(typed, COMMANDS) or list(complete(typed, catalogue))
    # a bare name of a model is a check
    command = words[0] if words[0] in COMMANDS else "check"
    values = _values(command, words[-2], typed, catalogue)
    if values is not None:
        return values
    if typed.startswith("-"):
        return _beginning(typed, " ".join(TAKEN[command]).split())
    words_taken = {name: each for name, each in arguments(command).items() if name[0] != "-"}
    if words_taken.keys() & {"model", "models"}:
        return list(complete(typed, catalogue))
    choices = [word for each in words_taken.values() for word in each.get("choices", ())]
    return _beginning(typed, choices)


def _values(command: str, before: str, typed: str, catalogue: Catalogue) -> list[str] | None:
    """Return the values of an option, of `--option VALUE` or `--option=VALUE`; None where no value
    of one stands there.
    """
    from ..machine.changes import SETTINGS
    from ..machine.profiles import names
    from ..reports.audit_formats import FORMATS

    options = {
        flag: settings for names, settings in arguments(command).items() for flag in names.split()
    }
    flag, sign, value = typed.partition("=")
    if not sign or flag not in options:
        flag, sign, value = before, "", typed
    settings: dict[str, Any] = options.get(flag, {"nargs": 0})
    if settings.get("action", "append") != "append" or settings.get("nargs") == 0:
        return None
    listed: dict[str, Callable[[], Iterable[str]]] = {
        "--machine": names,
        "--set": lambda: [f"{key}=" for key in SETTINGS],
        "--format": lambda: FORMATS,
        "--gpu": lambda: [row["words"] for row in catalogue.common("gpus")["gpu"]],
        "--runtime": catalogue.runtime_ids,
        "--quant": lambda: catalogue.common("quantizations")["quantization"],
        "--license": lambda: catalogue.common("licenses"),
        "--draft": catalogue.ids,
        "--family": lambda: sorted({row.family for row in catalogue.outlines() if row.family}),
    }
    choices = settings.get("choices") or listed.get(flag, tuple)()
    prefix = f"{flag}=" if sign else ""
    return [prefix + word for word in _beginning(value, map(str, choices))]


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin so; in any case, and with `-` for a blank."""
    start = typed.lower().replace(" ", "-")
    return [name for name in names if name.lower().replace(" ", "-").startswith(start)]
