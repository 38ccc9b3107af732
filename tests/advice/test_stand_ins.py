"""What stands in for a model: in which order, and who says so."""

from __future__ import annotations

import pytest

from selfhost.advice.stand_ins import stand_ins
from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.spec import ModelSpec


def line_after(spec: ModelSpec) -> list[str]:
    """The ids that the specs name one after another, at most four."""
    shelf, chain = open_catalogue(), [spec.id]
    while len(chain) < 5:
        last = shelf.spec(chain[-1])
        after = (
            last.availability.successor if last.availability else None
        ) or last.upkeep.superseded_by
        if after is None or after in chain:
            break
        chain.append(after)
    return chain[1:]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        # OpenAI's deprecations page: gpt-image-1 goes for gpt-image-1.5, and that for gpt-image-2.5-sunburst
        (
            "gpt-image-1",
            "the last of its successors, after gpt-image-1.5, as the publisher names them",
        ),
        (
            "gpt-3",
            "the last of its successors, after gpt-3.5-turbo-instruct (in service until 2026-09-28), then gpt-4.1-mini, "
            "as the publisher names them",
        ),
        ("gpt-4", "the successor its publisher names"),
        (
            "gemini-1.0-pro",
            "its successor in this catalogue's judgement, not by its publisher's word",
        ),
    ],
)
def test_the_way_to_a_successor_is_named(model: str, why: str) -> None:
    """The direct successor and those after it, with the end of what is gone; the one that nothing follows stands in first."""
    shelf = open_catalogue()
    assert next(iter(stand_ins(shelf.spec(model), shelf)))[1] == why


# the main use of a spec stands first (specs/README.md): these narrow a model down to one kind
# of work
_NARROW = ("code", "safety", "math", "medical", "legal")


def _narrow_use(spec: ModelSpec) -> str | None:
    first = next(iter(spec.uses or ()), None)
    return first if first in _NARROW else None


def test_the_order_of_stand_ins_is_the_rule_that_is_told() -> None:
    """Of every third open model, by what the specs say: after its successors, not superseded, its purpose, tuned or not as it is, its family, the nearest in size."""
    shelf = open_catalogue()
    by_id = {spec.id: spec for spec in shelf.specs()}
    for spec in [*by_id.values()][::3]:
        if spec.closed or spec.parameters.total is None:
            continue
        successors = line_after(spec)
        order = list(stand_ins(spec, shelf))
        assert {id for id, _ in order[: len(successors)]} == set(successors), spec.id
        candidates = [(by_id[id], why) for id, why in order[len(successors) :]]
        keys = [
            (
                candidate.upkeep.superseded_by is not None,
                _narrow_use(candidate) != _narrow_use(spec),
                ("base" in (candidate.uses or ())) != ("base" in (spec.uses or ())),
                candidate.family != spec.family,
                candidate.parameters.total,
            )
            for candidate, _ in candidates
        ]
        assert keys == sorted(keys), spec.id
        for (superseded, another, _, stranger, _), (_, why) in zip(keys, candidates, strict=True):
            assert ("superseded by" in why, "but not made for" in why) == (
                superseded,
                another and _narrow_use(spec) is not None,
            )
            assert ("of its family" in why) is not stranger
