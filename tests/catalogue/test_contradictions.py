"""What the sources of a spec say against each other: each test lists every spec that they disagree on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import Any

from helpers.paths import COMMON
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.needs.tensors import checkpoint_tensors, count, row_of

CATALOGUE = Catalogue.open()
SHIPPED = [CATALOGUE.spec(id) for id in CATALOGUE.ids()]
OPEN = [spec for spec in SHIPPED if not spec.closed]
ARCHITECTURES = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))


@cache
def offers() -> tuple[dict[str, str], dict[str, list[dict[str, Any]]]]:
    """The day of each list of prices, and the offers of each model."""
    header, *entries = map(
        json.loads, (COMMON / "offers.jsonl").read_text(encoding="utf-8").splitlines()
    )
    days = {name: source["as_of"] for name, source in header["sources"].items()}
    return days, {entry["model"]: entry["offers"] for entry in entries}


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


def test_every_mixture_of_experts_says_what_a_token_uses() -> None:
    """A model with experts and a full architecture has `parameters.active`, for speed follows it."""
    assert [
        spec.id
        for spec in OPEN
        if spec.architecture
        and any(part.experts for part in spec.architecture.feed_forward)
        and spec.parameters.active is None
    ] == []


def test_nothing_is_sold_before_it_is_released() -> None:
    """A list of prices has no model that came out after its day."""
    days, by_model = offers()
    assert [
        (spec.id, spec.released, offer["source"])
        for spec in SHIPPED
        for offer in by_model.get(spec.id, ())
        if spec.released and str(spec.released) > days[offer["source"]]
    ] == []


def test_no_tag_is_older_than_its_model() -> None:
    """A listing of tags of a day has no model that came out later."""
    wrong = []
    for spec in OPEN:
        for day in re.findall(r"\((20\d\d-\d\d-\d\d)\)", spec.sources.get("aliases", "")):
            if spec.released and str(spec.released) > day:
                wrong.append((spec.id, spec.released, day))
    assert wrong == []


def test_nothing_is_older_than_what_it_was_tuned_from() -> None:
    """The day a repository was made may be weeks before the weights were public: a tune of others'
    weights is no older than these. mteb dates all of a library by its paper. A publisher may keep
    its own base back: the source then says "published later".
    """
    wrong = []
    for spec in OPEN:
        base = spec.tuned_from
        started = CATALOGUE.spec(base).released if base and base in CATALOGUE else None
        if (
            started
            and spec.released
            and str(spec.released) < str(started)[: len(str(spec.released))]
            and "published later" not in spec.sources["tuned_from"]
        ):
            wrong.append((spec.id, spec.released, base, started))
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


def test_most_providers_do_not_serve_more_context_than_is_documented() -> None:
    """Where more than half of at least four offers have a longer context, the spec's is not the whole truth."""
    wrong = []
    for spec in OPEN:
        architecture = spec.architecture
        told = offers()[1].get(spec.id, [])
        contexts = [offer["context_tokens"] for offer in told if offer.get("context_tokens")]
        if architecture is None or not architecture.context_tokens or len(contexts) < 4:
            continue
        longest = max(architecture.context_tokens, architecture.scaled_context_tokens or 0)
        # 1,000,000 and 1,048,576 are both called a million
        longer = [tokens for tokens in contexts if tokens > longest * 1.05]
        if 2 * len(longer) > len(contexts):
            wrong.append((spec.id, longest, longer))
    assert wrong == []


def test_the_scaled_context_is_longer_than_the_trained_one() -> None:
    """Scaling stretches: the factor is more than one, and what is stretched no longer than the trained context."""
    wrong = []
    for spec in OPEN:
        architecture = spec.architecture
        scaled = architecture and architecture.scaled_context_tokens
        if not architecture or not scaled or not architecture.context_tokens:
            continue
        original = architecture.yarn_original_tokens
        if scaled <= architecture.context_tokens or (
            original and original > architecture.context_tokens
        ):
            wrong.append(spec.id)
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


def test_no_file_has_a_tensor_an_expert() -> None:
    """llama.cpp refuses a mixture converted before April 2024 (ggml-org/llama.cpp#10244); TheBloke published nothing since (February 2024)."""
    assert [
        (spec.id, files.repository)
        for spec in OPEN
        if spec.architecture and any(part.experts for part in spec.architecture.feed_forward)
        for files in spec.files
        if files.format == "gguf" and (files.repository or "").startswith("TheBloke/")
    ] == []


def test_components_are_the_whole() -> None:
    """What a pipeline is made of adds up to what is said of it: a part built without its options
    is too small.
    """
    assert [
        (spec.id, sum(spec.components.values()), spec.parameters.total)
        for spec in OPEN
        if spec.components
        and spec.parameters.total is not None
        and not 0.995 < sum(spec.components.values()) / spec.parameters.total < 1.005
    ] == []


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


# what names say of a model; a part of a name counts only between separators
_TUNED = re.compile(r"(?:^|[-_.])(?:instruct|chat|it)(?:$|[-_.])", re.IGNORECASE)


def test_a_name_that_says_chat_is_no_base_model() -> None:
    """Who is told to chat with a base model gets a text continued."""
    assert [
        spec.id
        for spec in OPEN
        if spec.uses and spec.uses[0] == "base" and _TUNED.search(spec.repository or spec.id)
    ] == []
