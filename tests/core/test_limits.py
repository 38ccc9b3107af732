"""Numbers that a file states within limits, those of its published schema, and of a machine those
that stand here: at a limit it is read, one beyond is refused with file, line and key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.paths import SCHEMAS
from selfhost.audit.policy import read_policy
from selfhost.catalogue.spec_rules import read_model_spec
from selfhost.core.errors import MachineFileError, PolicyError
from selfhost.core.tables import Document, key_name
from selfhost.core.toml_lines import _SIGN
from selfhost.machine.record import SCHEMA, Machine

Way = tuple[str | int, ...]
# sizes that layers of one kind have
KINDS = {"window_tokens": "sliding"} | dict.fromkeys(
    ("indexer_rows", "compression", "output_groups", "output_latent_length"),
    "compressed",
)
# of records, whose schema is that of what is printed
MEMORY = ("limit_bytes", "available_bytes", "total_bytes", "bandwidth_bytes_per_second")
CARDS = tuple(("accelerators", f"memory_{key}") for key in ("free_bytes", *MEMORY[2:]))
DISKS = (
    *(("disks", key) for key in ("free_bytes", "total_bytes")),
    ("models_present", "size_bytes"),
)
MACHINE: dict[Way, tuple[float, float]] = {
    **{(key,): (0, 2**52) for key in ("address_space_bytes", "swap_free_bytes")},
    **{(f"memory_{key}",): (n // 2, 2**52) for n, key in enumerate(MEMORY)},
    **{(key, 0, part): (n > 0, 2**52) for n, (key, part) in enumerate(CARDS)},
    **{(key, 0, part): (0, 2**64) for key, part in DISKS},
    **{(f"cpu_cores_{key}",): (1, 10**6) for key in ("physical", "performance")},
    ("cpu_cores_usable",): (0.001, 10**6),
}


def limits(kind: str) -> Iterator[tuple[str, Way, float, float]]:
    """The way to each number of a schema, a limit of it, and what lies beyond."""
    whole = json.loads((SCHEMAS / f"{kind}-1.json").read_text(encoding="utf-8"))

    def below(schema: Any, way: Way) -> Iterator[tuple[str, Way, float, float]]:
        while "$ref" in schema:
            schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
        step = 1 if schema.get("type") == "integer" else 0.0001
        for word, beyond in (("minimum", -step), ("maximum", step)):
            # places among layers are slices
            if word in schema and "at" not in way:
                yield kind, way, schema[word], schema[word] + beyond
        inner = schema.get("properties", {}) | {0: schema.get("items")}
        for key, part in {**inner, "any": schema.get("additionalProperties")}.items():
            yield from below(part, (*way, key)) if part else ()
        for part in schema.get("anyOf", ()):
            yield from below(part, way)

    return below(whole, ())


@pytest.mark.parametrize(
    ("kind", "way", "limit", "beyond"),
    [*limits("spec"), *limits("policy")],
    ids=case_id,
)
def test_a_number_of_a_file_has_limits(
    kind: str, way: Way, limit: float, beyond: float
) -> None:
    """What an editor takes by the schema is read, and what it marks is refused in its line."""

    def fault(value: float) -> str:
        text = str(value)
        for part in reversed(way[1:]):
            beside = f'kind = "{KINDS[str(part)]}", ' if part in KINDS else ""
            text = f"[{text}]" if part == 0 else f"{{ {beside}{part} = {text} }}"
        document = Document.read("x.toml", f"schema = 1\n{way[0]} = {text}\n".encode())
        with suppress(PolicyError):
            read_policy(document) if kind == "policy" else read_model_spec(
                document, "x.toml"
            )
        places = {
            (each.file, each.line, each.key): each.message for each in document.problems
        }
        return places.get(("x.toml", 2, key_name(way)), "")

    assert "must be " not in fault(limit), fault(limit)
    assert "must be " in fault(beyond), fault(beyond)


@pytest.mark.parametrize("way", MACHINE, ids=case_id)
def test_a_number_of_a_record_has_limits(way: Way) -> None:
    """Also of a part of an entry."""
    for limit, step in zip(
        MACHINE[way], (-0.0001 if "usable" in str(way) else -1, 1), strict=True
    ):
        for value in (limit, limit + step):
            data: Any = value
            for part in reversed(way):
                data = [data] if part == 0 else {part: data}
            with pytest.raises(MachineFileError) as caught:
                Machine.from_json({"schema": SCHEMA, "labels": 1, **data}, "m.json")
            found = {each.key: each.message for each in caught.value.problems}
            assert ("must be at" in found.get(key_name(way), "")) == (value != limit), (
                found
            )


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
    with pytest.raises(
        MachineFileError, match="lists 10,001 values; at most 10,000 are read"
    ):
        Machine.from_json(record)


def test_a_list_of_tables_has_no_such_limit() -> None:
    """A policy may have 30,000 entries."""
    text = "schema = 1\n" + '[[model]]\nname = "gpt2"\n' * 10_001
    assert len(read_policy(Document.read("p.toml", text.encode())).models) == 10_001


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
    with pytest.raises(
        MachineFileError, match="cpu_model: is longer than 10,000 characters"
    ):
        Machine.from_json(record)


def test_models_that_share_a_machine_have_limits() -> None:
    """1,000 programs at the same time: the names of 100,000 took more than 40 seconds."""

    def policy(count: int) -> Document:
        names = ", ".join(['"gpt2"'] * count)
        text = f"schema = 1\n[[together]]\nmodels = [{names}]\n"
        return Document.read("p.toml", text.encode())

    assert len(read_policy(policy(1_000)).models[0].members) == 1_000
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
