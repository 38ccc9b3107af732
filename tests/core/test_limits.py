"""Numbers that a file states within limits, those of its published schema, and of a machine those
that stand here: at a limit it is read, one beyond is refused with file, line and key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from helpers.cases import case_id
from helpers.paths import SCHEMAS
from selfhost.audit.policy import read_policy
from selfhost.catalogue.spec_rules import read_model_spec
from selfhost.core.errors import MachineFileError, PolicyError
from selfhost.core.tables import Document, key_name
from selfhost.core.toml_lines import _SIGN
from selfhost.machine.record import SCHEMA, Machine

# the keys and places that lead to a number; 0 is any entry of a list
Way = tuple[str | int, ...]
# the kind of layers that a size belongs to, without which it is refused
KINDS = {
    "window_tokens": "sliding",
    "indexer_rows": "compressed",
    "indexer_pool": "latent",
    "compression": "compressed",
    "output_groups": "compressed",
    "output_latent_length": "compressed",
}


class Bounds(NamedTuple):
    """The least and the most that a number of a record may be; `step` leads to the next below."""

    least: float
    most: float
    step: float = 1


# of records, whose schema is that of what is printed
MACHINE: dict[Way, Bounds] = {
    ("address_space_bytes",): Bounds(0, 2**52),
    ("swap_free_bytes",): Bounds(0, 2**52),
    ("memory_limit_bytes",): Bounds(0, 2**52),
    ("memory_available_bytes",): Bounds(0, 2**52),
    ("memory_total_bytes",): Bounds(1, 2**52),
    ("memory_bandwidth_bytes_per_second",): Bounds(1, 2**52),
    ("accelerators", 0, "memory_free_bytes"): Bounds(0, 2**52),
    ("accelerators", 0, "memory_total_bytes"): Bounds(1, 2**52),
    ("accelerators", 0, "memory_bandwidth_bytes_per_second"): Bounds(1, 2**52),
    ("disks", 0, "free_bytes"): Bounds(0, 2**64),
    ("disks", 0, "total_bytes"): Bounds(0, 2**64),
    ("models_present", 0, "size_bytes"): Bounds(0, 2**64),
    ("cpu_cores_physical",): Bounds(1, 10**6),
    ("cpu_cores_performance",): Bounds(1, 10**6),
    ("cpu_cores_usable",): Bounds(0.001, 10**6, step=0.0001),
}


class Limit(NamedTuple):
    """A limit of a number in a published schema, and the next value beyond it."""

    way: Way
    limit: float
    beyond: float


class PublishedSchema:
    """A schema that an editor holds a file to."""

    def __init__(self, kind: str) -> None:
        text = (SCHEMAS / f"{kind}-1.json").read_text(encoding="utf-8")
        self.whole = json.loads(text)

    def limits(self) -> Iterator[Limit]:
        """Every limit of every number."""
        return self._limits_below(self.whole, ())

    def _limits_below(self, schema: dict[str, Any], way: Way) -> Iterator[Limit]:
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self.whole["$defs"][name]
        # places among layers are slices
        if "at" not in way:
            step = 1 if schema.get("type") == "integer" else 0.0001
            if "minimum" in schema:
                least = schema["minimum"]
                yield Limit(way, least, least - step)
            if "maximum" in schema:
                most = schema["maximum"]
                yield Limit(way, most, most + step)
        parts = dict[str | int, Any](schema.get("properties", {}))
        parts[0] = schema.get("items")
        parts["any"] = schema.get("additionalProperties")
        for key, part in parts.items():
            if part:
                yield from self._limits_below(part, (*way, key))
        for part in schema.get("anyOf", ()):
            yield from self._limits_below(part, way)


def stated_limits(kind: str) -> Iterator[tuple[str, Way, float, float]]:
    """The limits of a schema, a case each."""
    for each in PublishedSchema(kind).limits():
        yield kind, each.way, each.limit, each.beyond


def as_toml(way: Way, value: float) -> str:
    """The line of a file in which the number at the end of this way has this value."""
    text = str(value)
    for part in reversed(way[1:]):
        if part == 0:
            text = f"[{text}]"
        elif part in KINDS:
            text = f'{{ kind = "{KINDS[str(part)]}", {part} = {text} }}'
        else:
            text = f"{{ {part} = {text} }}"
    return f"{way[0]} = {text}"


def fault_of_file(kind: str, way: Way, value: float) -> str:
    """What is told of the number in its line, the second of the file; "" where nothing is."""
    text = f"schema = 1\n{as_toml(way, value)}\n"
    document = Document.read("x.toml", text.encode())
    if kind == "policy":
        with suppress(PolicyError):
            read_policy(document)
    else:
        read_model_spec(document, "x.toml")
    for problem in reversed(document.problems):
        if (problem.file, problem.line, problem.key) == ("x.toml", 2, key_name(way)):
            return problem.message
    return ""


@pytest.mark.parametrize(
    ("kind", "way", "limit", "beyond"),
    [*stated_limits("spec"), *stated_limits("policy")],
    ids=case_id,
)
def test_a_number_of_a_file_has_limits(
    kind: str, way: Way, limit: float, beyond: float
) -> None:
    """What an editor takes by the schema is read, and what it marks is refused in its line."""
    at_the_limit = fault_of_file(kind, way, limit)
    assert "must be " not in at_the_limit, at_the_limit
    one_beyond = fault_of_file(kind, way, beyond)
    assert "must be " in one_beyond, one_beyond


def fault_of_record(way: Way, value: float) -> str:
    """What is told of the number of a record in which `labels` is wrong; "" where nothing is."""
    data: Any = value
    for part in reversed(way):
        data = [data] if part == 0 else {part: data}
    record = {"schema": SCHEMA, "labels": 1, **data}
    with pytest.raises(MachineFileError) as caught:
        Machine.from_json(record, "m.json")
    found = {problem.key: problem.message for problem in caught.value.problems}
    return found.get(key_name(way), "")


@pytest.mark.parametrize("way", MACHINE, ids=case_id)
def test_a_number_of_a_record_has_limits(way: Way) -> None:
    """Also of a part of an entry."""
    bounds = MACHINE[way]
    assert "must be at" not in fault_of_record(way, bounds.least)
    assert "must be at" in fault_of_record(way, bounds.least - bounds.step)
    assert "must be at" not in fault_of_record(way, bounds.most)
    assert "must be at" in fault_of_record(way, bounds.most + 1)


@pytest.mark.parametrize(
    ("count", "is_read"),
    [pytest.param(10_000, True, id="most"), pytest.param(10_001, False, id="more")],
)
def test_a_list_of_words_has_limits(count: int, *, is_read: bool) -> None:
    """Each judgement looks through the words of a machine: 200,000 took 16 seconds."""
    words = [f"set{number}" for number in range(count)]
    record = {"schema": SCHEMA, "instruction_sets": words}
    if is_read:
        assert len(Machine.from_json(record).instruction_sets or ()) == count
        return
    refusal = "lists 10,001 values; at most 10,000 are read"
    with pytest.raises(MachineFileError, match=refusal):
        Machine.from_json(record)


def test_a_list_of_tables_has_no_such_limit() -> None:
    """A policy may have 30,000 entries."""
    text = "schema = 1\n" + '[[model]]\nname = "gpt2"\n' * 10_001
    policy = read_policy(Document.read("p.toml", text.encode()))
    assert len(policy.models) == 10_001


@pytest.mark.parametrize(
    ("count", "is_read"),
    [pytest.param(10_000, True, id="most"), pytest.param(10_001, False, id="more")],
)
def test_a_text_of_a_record_has_limits(count: int, *, is_read: bool) -> None:
    """A report prints it whole: a processor of 3 MB filled the terminal."""
    record = {"schema": SCHEMA, "cpu_model": "x" * count}
    if is_read:
        assert Machine.from_json(record).cpu_model == "x" * count
        return
    refusal = "cpu_model: is longer than 10,000 characters"
    with pytest.raises(MachineFileError, match=refusal):
        Machine.from_json(record)


def test_models_that_share_a_machine_have_limits() -> None:
    """1,000 programs at the same time: the names of 100,000 took more than 40 seconds."""

    def policy(count: int) -> Document:
        names = ", ".join(['"gpt2"'] * count)
        text = f"schema = 1\n[[together]]\nmodels = [{names}]\n"
        return Document.read("p.toml", text.encode())

    most = read_policy(policy(1_000))
    assert len(most.models[0].members) == 1_000
    with pytest.raises(PolicyError, match="names 1,001 models; at most 1,000"):
        read_policy(policy(1_001))


@pytest.mark.parametrize("quote", ['"', "'", '"' * 3, "'" * 3])
def test_a_long_text_has_its_line_in_little_memory(quote: str) -> None:
    """Found by runs, not by characters, of which each took 80 bytes: 400 MB for a text of 5 MB."""
    text = f"schema = 1\nname = {quote}{'a' * 1_000_000}{quote}\nafter = 1\n"
    document = Document.read("p.toml", text.encode())
    assert document.line(("after",)) == 3
    # a repeated choice between characters and escapes keeps a place for each of them
    assert "(?:\\\\.|[^" not in _SIGN


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(r'"a\"[b"', id="quote in a string"),
        pytest.param(r'"a\\"', id="backslash at its end"),
        pytest.param('"""a\n"" [\n\\""" """"', id="quotes in a long string"),
        pytest.param('"""a\n"""""', id="two quotes at its end"),
        pytest.param("'a\\'", id="literal"),
        pytest.param("'''a\n'' [\n'''", id="long literal"),
    ],
)
def test_what_follows_a_text_has_its_line(value: str) -> None:
    text = f"name = {value}\nafter = 1\n"
    document = Document.read("p.toml", text.encode())
    assert document.ok
    assert document.line(("after",)) == text.count("\n")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("# comment", id="comment"),
        pytest.param("", id="nothing"),
        pytest.param("name = 1", id="key"),
        pytest.param("'name' = [1]", id="quoted key"),
    ],
)
def test_what_follows_a_line_of_many_blanks_has_its_line(end: str) -> None:
    """A search that gives back one blank after the other takes many minutes for so many."""
    text = "\n" + " " * 500_000 + f"{end}\nafter = 1\n"
    document = Document.read("p.toml", text.encode())
    assert document.ok
    assert document.line(("after",)) == 3
