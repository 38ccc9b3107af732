"""Spec files: every key is read, documented and in the JSON Schema; layers go where `at` says;
nothing raises.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cases import case
from helpers.paths import GOOD_SPECS, SCHEMAS, SPEC_FILES, SPECS
from selfhost.catalogue.architecture import MAX_LAYERS
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.catalogue.spec_rules import read_model_spec
from selfhost.core.tables import Document

GOOD = sorted(GOOD_SPECS.glob("*.toml"))
SHIPPED = sorted(SPEC_FILES.values())
READ_AGAIN = {*GOOD, *SHIPPED[::12]}
# in which changes are made: in tables of many lines, and of one
SEEDS = [*GOOD, *SHIPPED[::150]]
SCHEMA: dict[str, Any] = json.loads(
    (SCHEMAS / "spec-1.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def _read(path: Path) -> ModelSpec:
    """The spec of a file without a fault."""
    document = Document.read(str(path))
    spec = read_model_spec(document, str(path))
    assert spec is not None, document.problems
    return spec


def _good(name: str) -> ModelSpec:
    """A spec of the good ones, by its name."""
    return _read(GOOD_SPECS / f"{name}.toml")


def _from_text(text: str) -> tuple[Document, ModelSpec | None]:
    """The document, and its spec where it has no fault."""
    document = Document.read("x.toml", text.encode())
    spec = read_model_spec(document, "x.toml")
    return document, spec if document.ok else None


def _as_json(values: Mapping[str, Any]) -> Any:
    """The values as they come out of JSON, with days as texts."""
    return json.loads(json.dumps(values, default=lambda date: date.isoformat()))


# the same files, seen by three readers


def test_a_good_spec_is_good_for_the_schema_and_for_the_index() -> None:
    """What the reader takes, the published JSON Schema takes; and values that went through JSON
    give the spec that the file gives. Of the shipped, all of which `test_speccheck.py` reads, every
    fourth and every twelfth.
    """
    for path in [*GOOD, *SHIPPED[::4]]:
        with case(path):
            document = Document.read(str(path))
            values = _as_json(document.values)
            spec = read_model_spec(document, str(path))
            assert document.problems == ()
            VALIDATOR.validate(values)
            if path in READ_AGAIN:
                assert read_model_spec(Document(str(path), values), str(path)) == spec


def _schema_keys(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every key of the schema, with the tables and lists that lead to it."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    if "items" in node:
        reference = node["items"].get("$ref", "").rpartition("/")[2]
        is_table = "properties" in SCHEMA["$defs"].get(reference, {})
        yield from _schema_keys(node["items"], f"{path}[]" if is_table else path)
        return
    for key, inner in node.get("properties", {}).items():
        dotted = f"{path}.{key}" if path else key
        yield dotted
        yield from _schema_keys(inner, dotted)
    if isinstance(node.get("additionalProperties"), dict):
        yield f"{path}.*"
        yield from _schema_keys(node["additionalProperties"], f"{path}.*")


def _described(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    """Every key of the schema that holds no other keys, and whether the schema describes it."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    if "items" in node:
        yield from _described(node["items"], path)
        return
    parts = dict(node.get("properties", {}))
    if isinstance(node.get("additionalProperties"), dict):
        parts["*"] = node["additionalProperties"]
    for key, inner in parts.items():
        dotted = f"{path}.{key}" if path else key
        below = list(_described(inner, dotted))
        yield from below or [(dotted, bool(inner.get("description")))]


def test_the_schema_explains_every_key_and_the_page_every_table() -> None:
    """Editors show the description beside the key. The page names each table, and the page on
    programs every key of a program.
    """
    assert [key for key, is_described in _described(SCHEMA) if not is_described] == []
    page = (SPECS / "README.md").read_text(encoding="utf-8")
    asked = set(_schema_keys(SCHEMA))
    tables = {key.partition(".")[0].partition("[")[0] for key in asked if "." in key}
    rows = "\n".join(re.findall(r"^\| (.*?) \|", page, flags=re.MULTILINE))
    assert {table for table in tables if table not in rows} == set()
    programs = (SPECS / "runtimes.md").read_text(encoding="utf-8")
    names = {key.name or field for field, key in RuntimeSpec._keys.items()}
    assert [name for name in names if f"`{name}" not in programs] == []


def test_the_short_spec_on_the_page_works() -> None:
    """The few lines that the page offers are a spec."""
    page = (SPECS / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(
        r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL
    )
    document, spec = _from_text(example)
    assert document.problems == ()
    assert spec is not None
    assert spec.needs is not None
    assert spec.needs.low_bytes == 6_000_000_000
    assert spec.needs.high_bytes == 6_000_000_000
    assert spec.needs.disk_bytes == 4_400_000_000


def test_layers_are_resolved_as_the_spec_says() -> None:
    """Gemma 4 E2B: every fifth layer is full, the rest slides; Jamba: attention in every eighth,
    experts in every second.
    """
    gemma = _good("gemma-4-e2b").architecture
    assert gemma is not None
    full, sliding = gemma.attention
    assert full.kind == "full"
    assert full.layers == (4, 9, 14, 19, 24, 29, 34)
    assert full.heads == 8
    assert full.value_length == 512
    assert sliding.kind == "sliding"
    assert sliding.window_tokens == 512
    assert len(sliding.layers) == 28
    assert set(full.layers) | set(sliding.layers) == set(range(35))
    narrow, wide = gemma.feed_forward
    assert narrow.length == 6144
    assert (narrow.layers[0], narrow.layers[-1]) == (0, 14)
    assert wide.length == 12288
    assert (wide.layers[0], wide.layers[-1]) == (15, 34)

    jamba = _good("jamba-large").architecture
    assert jamba is not None
    assert jamba.attention[0].layers == (4, 12, 20, 28, 36, 44, 52, 60, 68)
    others = [layer for layer in range(72) if layer % 8 != 4]
    assert list(jamba.recurrent[0].layers) == others
    assert jamba.feed_forward[1].layers == tuple(range(1, 72, 2))
    assert jamba.feed_forward[0].layers == tuple(range(0, 72, 2))


SHORT = """schema = 1
id = "x"
name = "X"
[needs]
memory_bytes = 6_000_000_000
disk_bytes = 4_400_000_000
"""
SAMPLE = """schema = 1
id = "x"
name = "X"
modality = "text"
[architecture]
gguf = "llama"
layers = {layers}
embedding_length = 64
heads = 8
attention = [{{ {at}, kv_heads = 8, key_length = 8 }}, {{ kv_heads = 4, key_length = 8 }}]
"""


@settings(max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(0, 45) | st.none(),
    st.integers(0, 45) | st.none(),
    st.integers(0, 9) | st.none(),
)
def test_a_slice_is_a_slice_of_python(
    layers: int, start: int | None, stop: int | None, step: int | None
) -> None:
    """`start:stop:step` names what Python's slice names, the line without `at` the rest; beyond the
    layers or empty is a fault.
    """
    words = ["" if start is None else str(start), "" if stop is None else str(stop)]
    if step is not None:
        words.append(str(step))
    at = ":".join(words)
    document, spec = _from_text(SAMPLE.format(layers=layers, at=f'at = "{at}"'))
    wanted: list[int] = []
    if step != 0:
        wanted = list(range(layers))[slice(start, stop, step)]
    is_inside = (start or 0) < layers and (stop is None or stop <= layers)
    leaves_a_rest = len(wanted) < layers
    if not (wanted and is_inside and leaves_a_rest):
        assert spec is None
        assert document.problems[0].line == 10
        return
    assert spec is not None, document.problems
    assert spec.architecture is not None
    first, rest = spec.architecture.attention
    assert list(first.layers) == wanted
    assert list(rest.layers) == [
        number for number in range(layers) if number not in wanted
    ]


@pytest.mark.parametrize("text", ["schema = 2\nnonsense = 1\n", "schema = 0\n"])
def test_another_schema_is_one_problem(text: str) -> None:
    """A file of another schema says so and nothing else: what its other keys mean is not known."""
    document, spec = _from_text(text)
    assert spec is None
    assert [problem.key for problem in document.problems] == ["schema"]


def test_what_a_file_asks_for_is_bounded() -> None:
    """A small file cannot ask for more layers or lines than any model has."""
    lines = ", ".join('{ at = ":", kv_heads = 8, key_length = 8 }' for _ in range(3000))
    text = SAMPLE.format(layers=MAX_LAYERS, at="kv_heads = 8").partition("attention")[0]
    document, spec = _from_text(f"{text}attention = [{lines}]\n")
    assert spec is None
    assert "is line 3,000 of a list for 1,000 layers" in document.problems[0].message


@given(st.text(alphabet="ab$`;|&<>()'\\\"*?!#~{}[]%^=,@", min_size=1, max_size=8))
def test_an_alias_never_means_something_to_a_shell(alias: str) -> None:
    """Names are handed to the shell's completion: no alias that is read has a character that it
    would act on.
    """
    _, spec = _from_text(f"aliases = [{json.dumps(alias)}]\n{SHORT}")
    assert (spec is not None) == (set(alias) <= {"a", "b"})


_VALUES = (
    "0", "-1", "1", "true", '""', '"x"', "[]", "{}", "[[]]", "[{}]", "2024-05-22", "1.5", "nan",
    '"::"', "[0]", '"🦙"', "10000000000000000000",
)  # fmt: skip


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A good spec, in which one to four lines are changed, left out or doubled."""
    lines = draw(st.sampled_from(SEEDS)).read_text(encoding="utf-8").splitlines()
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, max(0, len(lines) - 1)))
        change = draw(
            st.sampled_from(
                ("drop", "retype", "inner", "duplicate", "rename", "truncate")
            )
        )
        if not lines:
            break
        line = lines[index]
        if change == "drop":
            del lines[index]
        elif change == "duplicate":
            lines.insert(index, line)
        elif change == "retype" and "=" in line:
            lines[index] = (
                line.partition("=")[0] + "= " + draw(st.sampled_from(_VALUES))
            )
        elif change == "inner":
            value = draw(st.sampled_from(_VALUES))
            lines[index] = re.sub(
                r"= [^=,\]}]+", f"= {value}", line, count=draw(st.integers(1, 3))
            )
        elif change == "rename":
            lines[index] = re.sub(r"[a-z]([a-z_]+) =", r"\1 =", line, count=1)
        else:
            lines[index] = line[: draw(st.integers(0, len(line)))]
    return "\n".join(lines) + "\n"


@settings(max_examples=60)
@given(_mutated())
def test_a_changed_spec_is_read_or_refused_with_reasons(text: str) -> None:
    """None if and only if there are problems; what is read satisfies the schema; a line holds the
    key that it is given for.
    """
    document, spec = _from_text(text)
    assert (spec is None) == bool(document.problems)
    lines = text.splitlines()
    for problem in document.problems:
        if problem.line is None or problem.key is None:
            continue
        key = problem.key.rpartition(".")[2].strip('"')
        # an element of a list stands below its key, a missing key nowhere
        if not key.endswith("]") and not problem.message.startswith("is missing"):
            assert key in lines[problem.line - 1], (problem, text)
    if spec is not None:
        VALIDATOR.validate(_as_json(tomllib.loads(text)))
        compiled = Document("x.toml", _as_json(tomllib.loads(text)))
        assert read_model_spec(compiled, "x.toml") == spec
