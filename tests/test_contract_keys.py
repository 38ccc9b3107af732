"""The lists of keys in docs/contract.md are those of the schemas that ship."""

from __future__ import annotations

import pytest

import contract_keys


def test_the_page_has_the_keys_of_today() -> None:
    """A key that was added or renamed is on the page: if not, run tools/contract_keys.py."""
    page = contract_keys.PAGE.read_text(encoding="utf-8")
    assert contract_keys.written(page) == page


@pytest.mark.parametrize(
    "schema",
    [pytest.param(one, id=one["title"]) for one in contract_keys.schemas()],
)
def test_every_key_of_a_document_is_on_the_page(schema: contract_keys.Schema) -> None:
    """Whoever reads an answer finds each key, also those of the objects inside."""
    page = contract_keys.PAGE.read_text(encoding="utf-8")
    kinds = [schema, *schema.get("$defs", {}).values()]
    if schema["title"] == "selfhost.model/1":
        # the keys of a spec have a page of their own
        kinds = [schema]
    for kind in kinds:
        for key in kind.get("properties", {}):
            assert f"`{key}`" in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        contract_keys.written("# The contract\n")
