"""The files that come with the program, `specs/`, and the templates of sentences in them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from . import units
from .errors import Problem, SelfhostError, SpecError
from .tomlfile import Document

UNITS: Mapping[str, Callable[[Any], str]] = {
    "binary": units.binary,
    # rounded up
    "most": partial(units.binary, up=True),
    "decimal": units.decimal,
    "tokens": units.tokens,
    "duration": units.duration,
    "count": units.count,
    "number": "{:,}".format,
    "and": " and ".join,
    "or": " or ".join,
    "list": ", ".join,
}
RANGES: Mapping[str, Callable[[Any, Any], str]] = {
    "binary": partial(units.between, units.binary),
    "decimal": partial(units.between, units.decimal),
    "speed": units.speed,
}


_OPTIONAL = re.compile(r"\[\[(!?)(\w+)\?(.*?)\]\]", re.DOTALL)
_FIGURE = re.compile(r"\{([^:}]*):?([^}]*)\}")


def filled(template: str, figures: Mapping[str, Any]) -> str:
    """The template with its figures, `{name:unit}`, and the words of each `[[name?words]]` whose
    figure is there, of `[[!name?words]]` whose is not. `KeyError` for a figure that is missing.
    """

    def figure(match: re.Match[str]) -> str:
        value, unit = figures[match[1]], match[2]
        if isinstance(value, tuple) and unit in RANGES:
            return RANGES[unit](*value)
        return UNITS[unit](value) if unit else str(value)

    said = _OPTIONAL.sub(
        lambda match: match[3] if bool(figures.get(match[2])) is not bool(match[1]) else "",
        template,
    )
    return _FIGURE.sub(figure, said)


# what the files of a package end in
STORED = ".marshal"


@cache
def shipped_folder() -> str:
    """The folder of the shipped specs. Raises `SpecError` where it is missing."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (os.path.join(package, "specs"), os.path.join(os.path.dirname(package), "specs")):
        if os.path.isdir(path):
            return path
    message, remedy = "the shipped specs are missing", "install selfhost-check again"
    if not os.path.isdir(package):
        message = "is inside an archive, from which selfhost cannot read its specs"
        remedy = "unpack the archive, or install selfhost-check"
    raise SpecError([Problem(file=package, message=message, remedy=remedy)])


@cache
def shipped_table(name: str, folder: str = "") -> Mapping[str, Any]:
    """The whole of `specs/common/<name>`. Raises `SpecError` where it is missing or no TOML."""
    if folder == shipped_folder():
        return shipped_table(name)
    document = table_at(os.path.join(folder or shipped_folder(), "common", name))
    if not document.ok:
        raise SpecError(document.problems)
    values = document.values
    return values if document.text is None else dict(with_text_dates(values))


@cache
def expression(name: str, key: str) -> re.Pattern[str]:
    """The regular expression of that key of a table."""
    return re.compile(shipped_table(name)["expressions"][key])


def sentences(
    name: str, section: str, holds: Mapping[str, object], **figures: Any
) -> tuple[str, ...]:
    """Those of that section of a table whose condition holds, filled with the figures."""
    templates = shipped_table(name)[section]
    return tuple([filled(templates[key], figures) for key, value in holds.items() if value])


def refusal(name: str, key: str, **figures: Any) -> SelfhostError:
    """The error of that key of a table's `refusal`, filled with the figures."""
    words = shipped_table(name)["refusal"][key]
    message, remedy = (filled(words[part], figures) for part in ("message", "remedy"))
    return SelfhostError(message, remedy=remedy or None)


def table_at(path: str) -> Document:
    """A shipped table, by its path without an ending. Raises `SpecError` for a damaged package."""
    package = path + STORED
    if os.path.exists(package):
        return Document(package, read_stored(package))
    return Document.read(f"{path}.toml")


def read_stored(path: str, start: int = 0, size: int | None = None) -> Any:
    """The value in a file that the build wrote, or in one place of it. Raises `SpecError`."""
    import zlib
    from marshal import loads

    try:
        with open(path, "rb") as file:
            file.seek(start)
            content = file.read(-1 if size is None else size)
        return loads(content if size is None else zlib.decompress(content))
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        remedy = "install selfhost-check again"
        problem = Problem(file=path, message="cannot be read", remedy=remedy)
        raise SpecError([problem]) from error


def to_stored(value: Any, *, is_packed: bool = False) -> bytes:
    """The value as `read_stored` reads it, on every version of Python; `is_packed`, for what is
    read one at a time, in a third of the space.
    """
    import zlib
    from marshal import dumps

    # later versions of the format write down which objects are shared, which differs between builds
    content = dumps(value, 2)
    return zlib.compress(content, 9) if is_packed else content


def with_text_dates(value: Any) -> Any:
    """The value with dates and times, which only TOML has, as text."""
    if isinstance(value, dict):
        return {key: with_text_dates(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_text_dates(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
