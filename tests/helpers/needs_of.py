"""Needs of shipped models, and the arithmetic that an answer prints, worked out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs.records import MemoryNeed, Needs, Term


@cache
def catalogue() -> Catalogue:
    return Catalogue.open()


@cache
def runtime(id: str) -> RuntimeSpec:
    return catalogue().runtime(id)


@cache
def specs() -> tuple[ModelSpec, ...]:
    return tuple(spec for spec in catalogue().specs() if not spec.closed)


@cache
def in_gguf() -> tuple[ModelSpec, ...]:
    return tuple(
        spec
        for spec in specs()
        if spec.architecture is not None
        and needs.why_not_loaded(spec, runtime("llama.cpp")) is None
    )


def needs_of(
    spec: ModelSpec, program: RuntimeSpec | None, workload: Workload, **others: Any
) -> Needs:
    """What a model takes in RAM. `others`: of `case_for`."""
    return needs.count(needs.case_for(spec, program, workload, **others))


def asked(spec: ModelSpec, program: RuntimeSpec, **changes: Any) -> Needs:
    """The answer for a workload with the defaults filled in."""
    return needs.count(case_asked(spec, program, **changes))


def case_asked(spec: ModelSpec, program: RuntimeSpec, **changes: Any) -> needs.Case:
    """What the answer of `asked` is counted from."""
    format, quantization = needs.default_format_and_quantization(spec, program)
    longest = (spec.architecture.context_tokens if spec.architecture else None) or 4096
    values = {
        "format": format,
        "quantization": quantization,
        "context_tokens": min(4096, longest),
        "kv_cache_type": "f16",
        **changes,
    }
    sets = values.pop("instruction_sets", None)
    return needs.case_for(
        spec, program, Workload(runtime=program.id, **values), instruction_sets=sets
    )


def memory(answer: Needs) -> MemoryNeed:
    assert answer.memory is not None, answer.unknown
    return answer.memory


def terms(answer: Needs) -> dict[str, Term]:
    return {term.name: term for term in memory(answer).terms}


def ends(terms: Iterable[Term]) -> tuple[int, int, int]:
    """Least, likely and most of several."""
    whole = MemoryNeed(terms=tuple(terms))
    return whole.low_bytes, whole.total_bytes, whole.high_bytes


def pairs() -> Iterator[tuple[ModelSpec, RuntimeSpec]]:
    for spec in specs():
        for id in catalogue().runtime_ids():
            if needs.why_not_loaded(spec, runtime(id)) is None:
                yield spec, runtime(id)


@cache
def paired() -> tuple[tuple[ModelSpec, RuntimeSpec], ...]:
    return tuple(pairs())


def model(**values: Any) -> ModelSpec:
    return ModelSpec(**{"id": "mine", "name": "Mine", **values})


@cache
def calculate(line: str) -> Fraction:
    """A line with its words left out; what follows a semicolon is remark."""
    line = line.split(";")[0].replace("×", "*").replace(",", "")
    kept = re.sub(r"[A-Za-z_]+[A-Za-z0-9_']*", "", line)
    assert re.fullmatch(r"[0-9.+*/()\s-]+", kept), line
    return Fraction(
        eval(
            re.sub(r"(\d+(?:\.\d+)?)", r"Fraction('\1')", kept),
            {"Fraction": Fraction, "__builtins__": {}},
        )
    )
