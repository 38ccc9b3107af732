"""The tools of `selfhost mcp`, without the protocol: each takes the arguments of a public function
and answers with a short text and a few keys, or with the JSON of that function.

What goes in: the name of a tool, and arguments as an agent gave them. What comes out: the answer,
or a `SelfhostError`, of which `sentence` says what to write instead and repeats no long text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import api
from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Comparison
from ..advice.sizes import ContainerSize
from ..core import links
from ..core.errors import (
    Problem,
    SelfhostError,
    UnknownModelError,
    UsageError,
    WorkloadError,
    one_line,
)
from ..core.records import JSON, FileLimits, Record, ShownRecord, Stated, shortened
from ..core.tables import Document, TomlRow, program_record
from ..core.workload import Workload, field_meant, in_python
from ..judge.record import Verdict
from ..machine.record import Machine
from ..reports.json import Object
from .mcp_files import model_allowed

# an agent reads a whole answer and pays for its length
_LISTED = 10


class _Texts(Stated):
    """`specs/common/mcp.toml`: the instructions for agents, and the JSON schema of each argument
    and of each key of an answer.

    Arguments of a Workload have the names of its fields.
    """

    instructions: str
    argument: Mapping[str, TomlRow]
    answer: Mapping[str, TomlRow]


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
# the keys of a schema that say what kind of value an argument has
_KIND = ("type", "enum", "items")
_WORKLOAD = tuple([name for name in ARGUMENTS if name in Workload._keys])


class Tool(Record):
    """A tool for agents: the function that answers, the names of its arguments, and the keys that
    its answers have. The function's docstring tells agents what the tool is for.
    """

    answer: Callable[..., ShownRecord]
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The docstring in one line; empty under `python -OO`."""
        return " ".join((self.answer.__doc__ or "").split())

    @property
    def output_schema(self) -> Object:
        """The JSON schema of the answers, the short and the full one; both may have other keys."""
        return {
            "type": "object",
            "properties": {key: _TEXTS.answer[key] for key in self.keys},
        }


class Reply(Record):
    """What an agent is told: the text, and the object with the same figures."""

    text: str
    content: Object


def check(model: str, **fields: Any) -> Verdict:
    """Can this machine download and run the model, or is an API the practical route? Ask before a
    download: the answer has the size, the memory, the speed and the commands to type.
    """
    return api.check(model, **fields)


def list_models(*, top: int = _LISTED, **fields: Any) -> Ranking:
    """The models that suit this machine, best first: each with its route, memory, download and
    speed.
    """
    # a word of Python's own, which no parameter can have as its name
    first_row = fields.pop("from", 1)
    ranking = api.rank(top=first_row - 1 + top, **fields)
    rows = ranking.models[first_row - 1 :]
    if first_row > 1 and not rows:
        message = f"list: from: no model has row {first_row:,}"
        raise UsageError(message, remedy=f"the last is row {len(ranking.models):,}")
    return ranking.replace(models=rows)


def plan(model: str, **fields: Any) -> Plan:
    """The least machine that runs the model (`least`), and the first known machines that do, the
    smallest first. `machines_not_listed` counts the other known machines.
    """
    return api.plan(model, **fields)


def compare(models: Sequence[str], **fields: Any) -> Comparison:
    """Two models or more side by side on one machine: the answer of `check` for each, with license
    and openness.
    """
    return api.compare(models, **fields)


def size(model: str, **fields: Any) -> ContainerSize:
    """The memory request and limit, the disk and the GPUs of a container that serves the model to
    `parallel` users, with its image and arguments. `machine` is the node, not this machine.
    """
    return api.size(model, **fields)


def machine(machine: str | None = None, gpu: str | None = None) -> Machine:
    """Read the facts of this machine: memory, processor, GPUs, disks and installed runtimes. With
    `machine`: the facts of the machine that the words describe.
    """
    return api.machine_found(machine, gpu).machine


_ON_A_MACHINE = ("machine", "gpu", *_WORKLOAD, "verbose")
TOOLS: Mapping[str, Tool] = {
    "check": Tool(
        answer=check,
        arguments=("model", *_ON_A_MACHINE, "link", "split"),
        required=("model",),
        keys=(
            "route",
            "summary",
            "model",
            "waits",
            "setup",
            "commands",
            "alternatives",
            "api_offers",
            "findings",
        ),
    ),
    "list": Tool(
        answer=list_models,
        arguments=("top", "from", "use", "modality", *_ON_A_MACHINE),
        keys=("models",),
    ),
    "plan": Tool(
        answer=plan,
        arguments=("model", *_WORKLOAD, "verbose"),
        required=("model",),
        keys=("model", "least", "machines", "machines_not_listed"),
    ),
    "compare": Tool(
        answer=compare,
        arguments=("models", *_ON_A_MACHINE),
        required=("models",),
        keys=("models",),
    ),
    "size": Tool(
        answer=size,
        arguments=("model", *_ON_A_MACHINE),
        required=("model",),
    ),
    "machine": Tool(answer=machine, arguments=("machine", "gpu", "verbose")),
}


def input_schemas() -> Mapping[str, Object]:
    """The JSON schema of the arguments of each tool, by its name.

    The first tool that takes an argument describes it. The others have its kind and choices alone,
    since an agent pays for the schemas of all tools in each session.
    """
    schemas = {}
    described: set[str] = set()
    for name, tool in TOOLS.items():
        properties = {}
        for argument in tool.arguments:
            schema = ARGUMENTS[argument]
            if argument in described:
                schema = {key: schema[key] for key in _KIND if key in schema}
            properties[argument] = schema
        described.update(tool.arguments)
        schemas[name] = {
            "type": "object",
            "properties": properties,
            "required": list(tool.required),
            "additionalProperties": False,
        }
    return schemas


def answer_of(
    name: str,
    arguments: Mapping[str, object],
    folders: Sequence[str] = (),
) -> Reply:
    """Return the answer of a tool, as the JSON of the contract where it is verbose. Models are read
    from files in these folders alone.

    Raises `SelfhostError`, also as `arguments_of` does.
    """
    # imported here: the server, which works out nothing, needs no reports
    from ..reports import brief

    stated = arguments_of(name, arguments)
    is_full = stated.pop("verbose", False)
    if "model" in stated:
        stated["model"] = model_allowed(stated["model"], folders)
    if "models" in stated:
        stated["models"] = [model_allowed(typed, folders) for typed in stated["models"]]
    with links.kept_in(folders):
        answer = TOOLS[name].answer(**stated)
        if not is_full:
            return Reply(text=brief.text(answer), content=brief.members(answer))
        content = _full(answer)
    # without spaces, since the agent pays for each token
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Reply(text=text, content=content)


def _full(answer: Any) -> Object:
    """The JSON of the contract; of a plan with the first machines, since all are 100 KB."""
    found: Object = answer.to_json()
    if isinstance(answer, Plan):
        machines = found["machines"]
        found["machines"] = machines[:_LISTED]
        found["machines_not_listed"] = len(machines[_LISTED:])
    return found


def arguments_of(name: str, arguments: Mapping[str, object]) -> Object:
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
            message = f"`{name}` takes no argument {shortened(key)!r}"
            meant = field_meant(key)
            if meant in tool.arguments:
                raise UsageError(message, remedy=f"did you mean {meant!r}?")
            names = ", ".join(tool.arguments)
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
        annotation = _ANNOTATIONS[ARGUMENTS[key]["type"]]
        document.root.get(key, annotation, **_limits_of(key))
    if not document.ok:
        raise WorkloadError(document.problems)


def _limits_of(argument: str) -> FileLimits:
    """The limits of an argument: those of the field of a `Workload`, or else of its schema."""
    if argument in Workload._keys:
        return Workload._keys[argument].limits
    schema = ARGUMENTS[argument]
    limits: FileLimits = {}
    if "minimum" in schema:
        limits["minimum"] = schema["minimum"]
    if "maximum" in schema:
        limits["maximum"] = schema["maximum"]
    return limits


# ------------------------------------------------------------------ errors

# what an agent cannot type, once options are written as arguments: a command, an option of another
# program, Python, a path; and what stands before such a line
_NOT_FOR_AGENTS = re.compile(r"\bselfhost [a-z]|(?<!\S)--[a-z]|\bMachine\.|\./|:$")
# what stands in place of a file's name in the problems of arguments
_OF_NO_FILE = ("workload", "rank")
_CLAUSE_END = re.compile(r"(; |\n|, or )")


def sentence(error: SelfhostError, tool: str = "") -> str:
    """Return what is wrong and what to write instead, in the arguments of tools: a line for each
    problem. `tool` names the tool that was called.
    """
    problems: Sequence[Problem] = getattr(error, "problems", ())
    lines = []
    for problem in problems:
        in_arguments = problem.replace(
            file=tool if problem.file in _OF_NO_FILE else problem.file,
            message=in_python(problem.message),
            remedy=_for_agents(problem.remedy),
        )
        lines.append(str(in_arguments))
    if lines:
        return "\n".join(lines)
    told = error.message
    if isinstance(error, UnknownModelError):
        # with the names that were perhaps meant
        told = str(error)
        if not error.nearest:
            told += "; `list` names models that run here"
    told = in_python(told)
    remedy = _for_agents(error.remedy)
    return f"{told} ({remedy})" if remedy else told


def _for_agents(remedy: str | None) -> str:
    """The clauses of a remedy that an agent can follow, in one line, with arguments in place of
    options: `pass machine="x"` for `pass --machine x`.
    """
    # a clause, what stands behind it, and so on
    parts = _CLAUSE_END.split(in_python(remedy or ""))
    told = ""
    for place in range(0, len(parts), 2):
        if _NOT_FOR_AGENTS.search(parts[place]):
            continue
        if told:
            told += parts[place - 1]
        told += parts[place]
    return one_line(told)
