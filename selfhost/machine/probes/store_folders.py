"""The folders in which runtimes store their models, found by variables, the home folder and service
units; and the table of things to look for on a machine, `specs/common/present.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core.records import Record, Stated
from ...core.tables import shipped_record
from .host import Host

_SNAP = "/snap/ollama/current"
_SNAP_MODELS = "/var/snap/ollama/common/models"


class StoreRow(Stated):
    """A folder of models, for the stores in `of`. `below` is the path below the folder that the
    variable holds, or below the home folder.
    """

    of: tuple[str, ...]
    below: tuple[str, ...]
    variable: str | None = None


class ModelFileNames(Stated):
    """Expressions for names of files: the quantization of a GGUF file, and weights, the best kind
    first.

    `others` are beginnings of names of files that are no weights of the model.
    """

    quantization: str
    others: tuple[str, ...]
    weights: tuple[str, ...]


class PresentTable(Stated):
    """The table of what is looked for on a machine.

    `commands` and `distributions` name runtimes. The `folders` of commands and the programs of
    `lm_studio` are by system.
    """

    store: tuple[StoreRow, ...]
    ollama_units: tuple[str, ...]
    model_files: ModelFileNames
    commands: Mapping[str, str]
    distributions: Mapping[str, str]
    folders: Mapping[str, tuple[str, ...]]
    lm_studio: Mapping[str, tuple[str, ...]]


def present_table() -> PresentTable:
    """The table, read once."""
    return shipped_record(PresentTable, "present")


class StoreFolder(Record):
    """A folder where models go."""

    # empty if not known
    path: str
    # what decided the path, or why the path is not known
    why: str
    # the account that stores the models; None: the account that runs this program
    account: str | None = None


NO_HOME = StoreFolder(path="", why="no home folder of its account is known")


def places(host: Host) -> dict[str, StoreFolder]:
    """Return the folders of the stores of models, by store: the purposes of disks, and LM Studio.

    A folder below a home that is not set is left out.
    """
    # whisper.cpp's models lie where the download script was told to put them
    folders = {
        "whisper.cpp": StoreFolder(path=".", why="whisper.cpp has no folder of its own")
    }
    for row in present_table().store:
        above = host.home
        if row.variable:
            above = host.env.get(row.variable, "")
        if not above:
            continue
        path = host.join(above, *row.below)
        folder = StoreFolder(path=path, why=row.variable or "default")
        for store in row.of:
            folders.setdefault(store, folder)
    hub = folders.get("huggingface")
    if hub is not None:
        folders["huggingface"] = hub.replace(path=_expanded(host, hub.path))
    if host.system == "linux":
        ollama = _ollama_place(host)
        if ollama is not None:
            folders["ollama"] = ollama
    return folders


def _expanded(host: Host, path: str) -> str:
    """The path with the home folder for `~` and with its variables replaced. huggingface_hub
    expands them, and llama.cpp does not.
    """
    if host.home and re.match(r"~($|[/\\])", path):
        path = host.home + path[1:]
    if "$" in path:
        # imported only for a path with variables
        from string import Template

        path = Template(path).safe_substitute(host.env)
    return path


def _ollama_place(host: Host) -> StoreFolder | None:
    """The folder of Ollama's service, or of its snap; None where there is neither."""
    for unit in present_table().ollama_units:
        if host.read_text(unit):
            return _service_place(host, unit)
    if host.exists(_SNAP):
        return StoreFolder(
            path=_SNAP_MODELS,
            why="the snap's own folder, unless `snap get ollama models` says another",
            account="root",
        )
    return None


def _service_place(host: Host, unit: str) -> StoreFolder:
    """The folder of Ollama's service, which has an account and variables of its own
    (ollama/ollama#2676).

    A file that adds to the service's unit and cannot be read may set another place: then the path
    is empty.
    """
    folder = f"{unit}.d"
    names = host.names(folder, r".*\.conf")
    if folder in host.why and host.exists(folder):
        return StoreFolder(path="", why=host.why[folder])
    texts = [host.read_text(unit)]
    for name in names:
        file = f"{folder}/{name}"
        text = host.read_text(file)
        if not text and "is empty" not in host.why[file]:
            return StoreFolder(path="", why=host.why[file])
        texts.append(text)
    return _stated_place(host, unit, "\n".join(texts))


def _stated_place(
    host: Host,
    unit: str,
    text: str,
) -> StoreFolder:
    """The folder that a unit of Ollama states, else the folder of the unit's account. The last
    setting counts.
    """
    users = re.findall(r"(?m)^User=\s*(\S+)", text)
    account = users[-1] if users else "root"
    paths = re.findall(
        r'(?m)^Environment=.*?\bOLLAMA_MODELS=([^"\n]*?)(?:"|\s|$)', text
    )
    if paths:
        return StoreFolder(
            path=paths[-1],
            why=f"OLLAMA_MODELS in {unit}",
            account=account,
        )
    home = ""
    for line in host.read_text("/etc/passwd").splitlines():
        fields = line.split(":")
        if fields[0] == account and len(fields) > 5:
            home = fields[5]
            break
    if not home.startswith("/"):
        return NO_HOME
    return StoreFolder(
        path=f"{home}/.ollama/models",
        why=f"home of {unit}",
        account=account,
    )
