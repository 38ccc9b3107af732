"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..core.tables import shipped_table
from . import COMMANDS
from .declared import TAKEN, arguments
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
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
    taken = arguments(command)
    values = _values(taken, words[-2], typed, catalogue)
    if values is not None:
        return values
    if typed.startswith("-"):
        return _beginning(typed, " ".join(TAKEN[command]).split())
    if taken.keys() & {"model", "models"}:
        return list(complete(typed, catalogue))
    positional = (each for name, each in taken.items() if name[0] != "-")
    return _beginning(typed, [word for each in positional for word in each.get("choices", ())])


def _values(
    taken: Mapping[str, Mapping[str, Any]], before: str, typed: str, catalogue: Catalogue
) -> list[str] | None:
    """Return the values of an option, of `--option VALUE` or `--option=VALUE`; None where no value
    of one stands there.
    """
    options = {name: each for names, each in taken.items() for name in names.split()}
    flag, sign, value = typed.partition("=")
    if not sign or flag not in options:
        flag, sign, value = before, "", typed
    settings = options.get(flag, {"nargs": 0})
    if settings.get("action", "append") != "append" or settings.get("nargs") == 0:
        return None
    choices = settings.get("choices") or _listed(flag, catalogue)
    return [f"{flag}{sign}{word}" if sign else word for word in _beginning(value, choices)]


def _listed(flag: str, catalogue: Catalogue) -> Iterable[str]:
    """Return the values of an option that are not declared with it."""
    from ..machine.changes import SETTINGS
    from ..machine.profiles import names
    from ..reports.audit_formats import FORMATS

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
    return listed.get(flag, tuple)()


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin so; in any case, and with `-` for a blank."""
    start = typed.lower().replace(" ", "-")
    return [name for name in names if name.lower().replace(" ", "-").startswith(start)]
