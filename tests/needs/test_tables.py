"""The accounts read their numbers from tables, and a slip in a table is told where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from selfhost.core import tables
from selfhost.core.errors import SpecError
from selfhost.core.records import Stated
from selfhost.core.stored import Store
from selfhost.needs.quantization import Mix, TypeRules


class Sizes(Stated):
    shard_bytes: int
    share: float = 0.5


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty table `memory` in place of the shipped one."""
    monkeypatch.setattr(tables, "answering_store", lambda: Store(str(tmp_path)))
    tables._shipped_record.cache_clear()
    path = tmp_path / "common" / "memory.toml"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        pytest.param('shard_bytes = "5"', 3, "torch.shard_bytes", id="text"),
        pytest.param("shard_byte = 5", 3, "torch.shard_byte", id="unknown key"),
        pytest.param("share = 0.1", 2, "torch.shard_bytes", id="missing key"),
    ],
)
def test_a_slip_in_a_section_is_told_with_its_line(
    table: Path, text: str, line: int, key: str
) -> None:
    table.write_text(f"\n[torch]\n{text}\n", encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_record(Sizes, "memory", "torch")
    told = [(problem.line, problem.key) for problem in raised.value.problems]
    assert (line, key) in told


def test_the_rows_of_a_section_are_records(table: Path) -> None:
    """By their keys, and those of a list by their places."""
    text = "[by_name]\nsmall = { shard_bytes = 5 }\n[[listed]]\nshard_bytes = 6\n"
    table.write_text(text, encoding="utf-8")
    rows = tables.shipped_rows(Sizes, "memory", "by_name")
    assert rows == {"small": Sizes(shard_bytes=5)}
    listed = tables.shipped_rows(Sizes, "memory", "listed")
    assert listed == {0: Sizes(shard_bytes=6)}


@pytest.mark.parametrize("name", ["mixes", "account"])
def test_each_share_of_a_mix_is_least_likely_and_most(name: str) -> None:
    def shares(values: object) -> Iterator[list[float]]:
        if not isinstance(values, Mapping):
            return
        for key, value in values.items():
            if key == "shares":
                yield from value.values()
            else:
                yield from shares(value)

    found = list(shares(tables.shipped_table("gguf_types")[name]))
    assert found
    for share in found:
        assert len(share) == 3
        assert share == sorted(share)


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        pytest.param('"more"', "values[1]", id="text"),
        pytest.param('{ facts = ["more"] }', "values[1].type", id="no type"),
        pytest.param("{ type = 6 }", "values[1].type", id="number as type"),
        pytest.param(
            '{ facts = 6, type = "Q6_K" }', "values[1].facts", id="number as facts"
        ),
        pytest.param(
            '{ facts = ["matrix", "moer"], type = "Q6_K" }',
            "values[1].facts[1]",
            id="unknown fact",
        ),
        pytest.param('{ type = "Q6K" }', "values[1].type", id="unknown type"),
        pytest.param('{ more = 6, type = "Q6_K" }', "values[1].more", id="unknown key"),
    ],
)
def test_a_rule_that_is_not_facts_and_type_is_told_with_its_line(
    table: Path, rule: str, key: str
) -> None:
    """One fault, and none of the right rules around it."""
    right = '{ type = "Q5_K" }'
    values = f"[{right},\n{rule},\n{right}]"
    text = f'[rules.Q4_K_M]\nbase = "Q4_K"\nbits = 4.9\nvalues = {values}\n'
    table.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_rows(TypeRules, "memory", "rules")
    told = [
        (problem.file, problem.line, problem.key) for problem in raised.value.problems
    ]
    assert told == [(str(table), 5, f"rules.Q4_K_M.{key}")]


def test_rules_that_are_no_list_are_told_with_their_line(table: Path) -> None:
    text = '[rules.Q4_K_M]\nbase = "Q4_K"\nbits = 4.9\nvalues = 5\n'
    table.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_rows(TypeRules, "memory", "rules")
    told = [(problem.line, problem.key) for problem in raised.value.problems]
    assert told == [(4, "rules.Q4_K_M.values")]


@pytest.mark.parametrize(
    ("key", "typed", "meant"),
    [
        pytest.param("base", "Q4_KK", "Q4_K", id="base"),
        pytest.param("last", "Q6_J", "Q6_K", id="last"),
        pytest.param("table", "q4_k", "Q4_K", id="table"),
        pytest.param("queries", "Q4K", "Q4_K", id="queries"),
        pytest.param("earlier", "Q44_K", "Q4_K", id="earlier"),
    ],
)
def test_a_type_without_a_row_is_told_with_its_line(
    table: Path, key: str, typed: str, meant: str
) -> None:
    values = {"bits": "4.9", "base": '"Q4_K"', key: f'"{typed}"'}
    lines = [f"{name} = {value}" for name, value in values.items()]
    table.write_text("\n".join(["[rules.Q4_K_M]", *lines]), encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_rows(TypeRules, "memory", "rules")
    (problem,) = raised.value.problems
    assert problem.file == str(table)
    assert problem.line == list(values).index(key) + 2
    assert problem.key == f"rules.Q4_K_M.{key}"
    assert problem.remedy == f'did you mean "{meant}"?'


def test_a_quantization_without_base_is_told(table: Path) -> None:
    text = "[rules.Q4_K_M]\nbits = 4.9\n"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_rows(TypeRules, "memory", "rules")
    told = [(problem.line, problem.key) for problem in raised.value.problems]
    assert told == [(1, "rules.Q4_K_M.base")]


@pytest.mark.parametrize(
    ("row", "key", "remedy"),
    [
        pytest.param('recipe = "Q4_K_N"', "recipe", "Q4_K_S", id="recipe"),
        pytest.param(
            'recipe = "Q4_K_M", tables = "Q8_00"', "tables", "Q8_0", id="tables"
        ),
    ],
)
def test_a_mix_of_what_has_no_row_is_told_with_its_line(
    table: Path, row: str, key: str, remedy: str
) -> None:
    text = f"[mixes]\nL = {{ {row} }}\n"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        tables.shipped_rows(Mix, "memory", "mixes")
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (2, f"mixes.L.{key}")
    assert problem.remedy == f'did you mean "{remedy}"?'
