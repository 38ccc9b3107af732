"""Options as they are typed, for sentences that name one."""

from __future__ import annotations

from .workload import FLAGS, LOAD_FLAGS

_ALL = {
    **FLAGS,
    **LOAD_FLAGS,
    "model": "--model",
    "machine": "--machine",
    "specs": "--specs",
    "use": "--use",
    "modality": "--modality",
    "prices": "--prices",
    "gpu": "--gpu",
}
MEASURE = "--measure"
MEASURED_RECORD = "`selfhost machine --measure --format json`"


def option(key: str, *values: str | int | float | bool) -> str:
    """The option of an argument, with a value, or with several that would do."""
    flag = _ALL[key]
    if not values or values[0] in (True, False):
        return flag
    words = [
        f"'{value}'" if " " in str(value) or key in ("machine", "gpu") else str(value)
        for value in values
    ]
    return f"{flag} {' or '.join(words)}"


def differently(shell: str, *_: str | None) -> str:
    return shell


def command(name: str, *models: str, **arguments: str | int) -> str:
    """A line of the shell: `selfhost check` of these models with those options."""
    options = [option(key, value) for key, value in arguments.items()]
    return " ".join(("selfhost", name, *models, *options))
