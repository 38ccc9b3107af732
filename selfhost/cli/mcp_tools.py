"""The tools of `selfhost mcp`, without the protocol: each takes the arguments of a public function
and answers with the JSON of that function.

What goes in: the name of a tool, and arguments as an agent gave them. What comes out: the answer,
or a `SelfhostError` that says what to write instead and repeats no long text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import api
from ..core import links
from ..core.errors import SelfhostError, UsageError, WorkloadError, one_line
from ..core.records import JSON, Record, Stated, shortened
from ..core.tables import Document, Limits, TomlRow, program_record
from ..core.workload import Workload
from ..machine.named import named
from ..machine.record import Machine
from ..reports.json import Object
from .mcp_files import model_allowed

# an agent reads a whole answer and pays for its length
_LISTED_MODELS = 10
_LISTED_MACHINES = 10


class _Texts(Stated):
    """`specs/common/mcp.toml`: the instructions for agents, and the JSON schema of each argument.

    Arguments of a Workload have the names of its fields.
    """

    instructions: str
    argument: Mapping[str, TomlRow]


_TEXTS = program_record(_Texts, "mcp")
INSTRUCTIONS = _TEXTS.instructions
ARGUMENTS = _TEXTS.argument
# the annotations of JSON's kinds, as `TomlTable.get` takes them; every array is of strings
_ANNOTATIONS: Mapping[str, str] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "tuple[str, ...]",
}
_WORKLOAD = tuple([name for name in ARGUMENTS if name in Workload._keys])


class Tool(Record):
    """A tool for agents: the function that answers, and the names of its arguments. The function's
    docstring tells agents what the tool is for.
    """

    answer: Callable[..., Object]
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The docstring in one line; empty under `python -OO`."""
        return " ".join((self.answer.__doc__ or "").split())

    @property
    def input_schema(self) -> Object:
        """The JSON schema of the arguments."""
        return {
            "type": "object",
            "properties": {name: ARGUMENTS[name] for name in self.arguments},
            "required": list(self.required),
            "additionalProperties": False,
        }


def check(model: str, **fields: Any) -> Object:
    """Can this machine download and run the model, or is an API the practical route? Ask before a
    download: the answer has the size, the memory, the speed and the commands to type.
    """
    return api.check(model, **fields).to_json()


def list_models(*, top: int = _LISTED_MODELS, **fields: Any) -> Object:
    """The models that suit this machine, best first: each with its route, memory, download and
    speed.
    """
    return api.rank(top=top, **fields).to_json()


def plan(model: str, **fields: Any) -> Object:
    """The least machine that runs the model (`least`), and the first known machines that do, the
    smallest first. `machines_not_listed` counts the other known machines.
    """
    answer = api.plan(model, **fields).to_json()
    machines = answer["machines"]
    answer["machines"] = machines[:_LISTED_MACHINES]
    answer["machines_not_listed"] = len(machines[_LISTED_MACHINES:])
    return answer


def compare(models: Sequence[str], **fields: Any) -> Object:
    """Two models or more side by side on one machine: the answer of `check` for each, with license
    and openness.
    """
    return api.compare(models, **fields).to_json()


def machine(machine: str | None = None) -> Object:
    """Read the facts of this machine, each with its source: memory, processor, accelerators, disks
    and installed runtimes. With `machine`: the facts of the machine that the words describe.
    """
    if machine is None:
        return Machine.read().to_json()
    described, _ = named(machine)
    return described.to_json()


TOOLS: Mapping[str, Tool] = {
    "check": Tool(
        answer=check, arguments=("model", "machine", *_WORKLOAD), required=("model",)
    ),
    "list": Tool(
        answer=list_models,
        arguments=("top", "use", "modality", "machine", *_WORKLOAD),
    ),
    "plan": Tool(answer=plan, arguments=("model", *_WORKLOAD), required=("model",)),
    "compare": Tool(
        answer=compare,
        arguments=("models", "machine", *_WORKLOAD),
        required=("models",),
    ),
    "machine": Tool(answer=machine, arguments=("machine",)),
}


def answer_of(
    name: str,
    arguments: Mapping[str, Any],
    folders: Sequence[str] = (),
) -> Object:
    """Return the JSON answer of a tool. Models are read from files in these folders alone.

    Raises `SelfhostError`, also as `arguments_of` does.
    """
    stated = arguments_of(name, arguments)
    if "model" in stated:
        stated["model"] = model_allowed(stated["model"], folders)
    if "models" in stated:
        stated["models"] = [model_allowed(typed, folders) for typed in stated["models"]]
    with links.kept_in(folders):
        return TOOLS[name].answer(**stated)


def arguments_of(name: str, arguments: Mapping[str, Any]) -> Object:
    """Return the arguments that are stated, of the kinds and lengths that their schemas have. An
    argument that is null states nothing.

    Raises `SelfhostError`, also for a tool or an argument that does not exist.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise UsageError(
            f"there is no tool {shortened(name)!r}",
            remedy=f"call one of {', '.join(TOOLS)}",
        )
    stated: Object = {}
    for key, value in arguments.items():
        if key not in tool.arguments:
            # an argument that was silently ignored would seem to be judged
            names = ", ".join(tool.arguments)
            message = f"`{name}` takes no argument {shortened(key)!r}"
            raise UsageError(message, remedy=f"its arguments are {names}")
        if value is not None:
            stated[key] = value
    _refuse_empty_texts(name, stated)
    for key in tool.required:
        if key not in stated:
            description = ARGUMENTS[key]["description"]
            message = f"`{name}` needs the argument {key!r}"
            raise UsageError(message, remedy=description)
    for key, value in stated.items():
        _refuse_long_value(f"{name}: {key}", value, ARGUMENTS[key])
    _refuse_wrong_values(name, stated)
    return stated


def _refuse_empty_texts(name: str, stated: Object) -> None:
    """Raise `UsageError` for an argument of a tool that is an empty text."""
    for key, value in stated.items():
        if not isinstance(value, str) or value.strip():
            continue
        remedy = ARGUMENTS[key]["description"]
        if key not in TOOLS[name].required:
            remedy = f"leave it out, or state it: {remedy}"
        raise UsageError(f"{name}: {key}: is empty", remedy=remedy)


def _refuse_long_value(
    place: str,
    value: object,
    schema: TomlRow,
) -> None:
    """Raise `UsageError` for a text or an array that is longer than its schema allows. Its place
    says which, since a message that repeats the value would be as long.
    """
    if isinstance(value, str) and "maxLength" in schema:
        most = schema["maxLength"]
        if len(value) > most:
            letters = f"{len(value):,} letters long; at most {most:,} are read"
            raise UsageError(f"{place}: is {letters}", remedy=schema["description"])
    if isinstance(value, list) and "maxItems" in schema:
        most = schema["maxItems"]
        if len(value) > most:
            values = f"{len(value):,} values; at most {most:,} are read"
            raise UsageError(f"{place}: has {values}", remedy="ask in several calls")
        for index, item in enumerate(value):
            _refuse_long_value(f"{place}[{index}]", item, schema["items"])


def _refuse_wrong_values(tool: str, stated: Object) -> None:
    """Raise `WorkloadError` for arguments whose kinds or bounds do not match their schemas, in the
    words of JSON. The functions that answer would use those of Python.
    """
    document = Document(tool, stated, notation=JSON)
    for key in stated:
        schema = ARGUMENTS[key]
        limits: Limits = {}
        if key in Workload._keys:
            limits = Workload._keys[key].limits
        elif "minimum" in schema:
            limits = {"minimum": schema["minimum"]}
        document.root.get(key, _ANNOTATIONS[schema["type"]], **limits)
    if not document.ok:
        raise WorkloadError(document.problems)


def sentence(error: SelfhostError) -> str:
    """Return the message of an error, with the remedy where the message does not hold it yet."""
    text = str(error)
    remedy = one_line(error.remedy or "")
    if remedy not in text:
        text = f"{text} ({remedy})"
    return text
