"""What the sources of a spec say against each other: each test lists every spec that they disagree on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from fractions import Fraction

from helpers.paths import COMMON
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.needs.tensors import checkpoint_tensors, count, row_of

CATALOGUE = Catalogue.open()
SHIPPED = [CATALOGUE.spec(id) for id in CATALOGUE.ids()]
OPEN = [spec for spec in SHIPPED if not spec.closed]
ARCHITECTURES = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))


def parameters_of(spec: ModelSpec) -> tuple[int, Fraction] | None:
    """All parameters of the text model by its architecture, and those that one token uses."""
    architecture = spec.architecture
    row = architecture and row_of(architecture, ARCHITECTURES)
    if architecture is None or row is None:
        return None
    shares = {
        part.used / Fraction(part.experts)
        for part in architecture.feed_forward
        if part.experts and part.used
    }
    if len(shares) > 1:
        return None
    groups = checkpoint_tensors(architecture, row)
    experts = count(group for group in groups if re.search(r"_exps\b", group.name))
    total = count(groups)
    used = shares.pop() if shares else Fraction(1)
    return total, Fraction(total) - experts * (1 - used)


def test_active_parameters_are_those_of_the_experts_that_a_token_uses() -> None:
    """`parameters.active` is the total less the experts that are not used, within what publishers round to."""
    wrong = []
    for spec in OPEN:
        active = spec.parameters.active
        counted = parameters_of(spec)
        if active is None or counted is None:
            continue
        expected = counted[1] + (spec.parameters.encoders or 0)
        if not 0.97 < active / expected < 1.03:
            wrong.append((spec.id, active, int(expected)))
    assert wrong == []


def test_what_comes_after_a_model_is_later() -> None:
    """A model is superseded by a later one, and retired after its release."""
    wrong = []
    for spec in SHIPPED:
        after = spec.upkeep.superseded_by
        if after and spec.released:
            released = CATALOGUE.spec(after).released
            # a date may be a month or a year alone
            if released and str(released) < str(spec.released)[: len(str(released))]:
                wrong.append((spec.id, spec.released, after, released))
        retired = spec.availability.retired if spec.availability else None
        if retired and spec.released and str(retired) < str(spec.released):
            wrong.append((spec.id, spec.released, "retired", retired))
    assert wrong == []


# a number of parameters (`8x7b`, `450m`) and a version (`2.5`) as names of repositories state them
SIZE = re.compile(r"(?<![\w.])(?:\d+x)?\d+(?:\.\d+)?[bm](?![a-z0-9])", re.IGNORECASE)
VERSION = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.bm])", re.IGNORECASE)


def stated_in(names: Iterable[str], shape: re.Pattern[str]) -> set[str]:
    """What the names state in that shape, in lower case."""
    return {match[0].lower() for name in names for match in shape.finditer(name)}


def test_files_are_those_of_the_model() -> None:
    """A repository of files states no other size and no other version than the model's names: LFM2-VL
    450M had the repository of LFM2.5-VL 1.6B.
    """
    wrong = []
    for spec in OPEN:
        own = {spec.id, spec.name, spec.repository or "", *spec.aliases}
        for files in spec.files:
            named = [(files.repository or "").rpartition("/")[2], *files.names.values()]
            sizes, versions = stated_in(named, SIZE), stated_in(named, VERSION)
            if (sizes and stated_in(own, SIZE) and not sizes & stated_in(own, SIZE)) or (
                versions - stated_in(own, VERSION)
            ):
                wrong.append((spec.id, named))
    assert wrong == []


BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


def test_the_type_is_that_of_the_published_bytes() -> None:
    """Files in a plain type are as large as so many parameters of the stated type."""
    wrong = []
    for spec in OPEN:
        stated = spec.architecture.dtype if spec.architecture else None
        for files in spec.files:
            size = files.bytes.get(stated or "") if files.format == "safetensors" else None
            if size and spec.parameters.total and stated in BYTES:
                parameters = spec.parameters.total + (spec.parameters.mtp or 0)
                # masks that some files hold are no parameters
                if not 0.9 < size / (parameters * BYTES[stated]) < 1.1:
                    wrong.append((spec.id, stated, size, parameters))
    assert wrong == []
