"""What a class takes beside its weights, held against the runs that were measured."""

from __future__ import annotations

import json
from typing import Any

from helpers.needs_of import catalogue, rows, runtime
from helpers.paths import TRUTH
from selfhost.api import check
from selfhost.catalogue.spec import StatedNeeds
from selfhost.core.workload import Workload
from selfhost.needs import model_classes
from selfhost.needs.parts import Asked
from selfhost.needs.records import Term

_ASKED = Asked(
    quantization="float32", context_tokens=0, parallel=1, key_type="f16", value_type="f16"
)
_PROGRAMS = {
    "kokoro": "kokoro",
    "piper-tts": "piper",
    "chatterbox-tts": "chatterbox",
    "coqui-tts": "coqui-tts",
    "f5-tts": "f5-tts",
    "funasr": "funasr",
    "parler_tts": "parler-tts",
    "parler-tts": "parler-tts",
}


def _runs() -> list[tuple[dict[str, Any], str, str, str]]:
    """Each run with the name of its class, the type of its weights and its program."""
    runs = []
    kinds = json.loads((TRUTH / "kinds.json").read_text(encoding="utf-8"))
    for run in kinds["runs"]:
        model = kinds["models"][run["model"]]
        runs.append((run, model["class"], model["dtype"], "transformers"))
    voices = json.loads((TRUTH / "voices.json").read_text(encoding="utf-8"))
    for run in voices["runs"]:
        runs.append((run, run["model"], "float32", _PROGRAMS[run["library"].split()[0]]))
    return runs


def _predicted(run: dict[str, Any], row: Any, dtype: str, program: str) -> tuple[Term, ...]:
    """The terms for a model of as many parameters, and for the run's own request."""
    model_class = model_classes.class_of(row["name"], rows())
    assert model_class is not None
    seconds = run.get("seconds_made", run.get("seconds"))
    if seconds is not None and model_class.unit:
        model_class = model_class.replace(units=max(1, round(seconds)))
    spec = catalogue().spec("clip-vit-base-patch32")
    spec = spec.replace(
        needs=StatedNeeds(model_class=row["name"], dtype=dtype),
        parameters=spec.parameters.replace(total=run["parameters"]),
    )
    terms = model_classes.terms(spec, model_class, runtime(program), _ASKED)
    assert isinstance(terms, tuple)
    return terms


def test_the_peak_of_every_run_lies_inside_what_its_class_takes() -> None:
    """Runs of tests/truth/kinds.json and voices.json; rows say which of them they were found with."""
    by_class = {name: row for row in rows()["model_class"] for name in row["classes"]}
    outside, seen = [], set()
    for run, name, dtype, program in _runs():
        row = by_class.get(name)
        if row is None:
            continue
        terms = _predicted(run, row, dtype, program)
        peak = max(stage["peak_bytes"] for stage in run["stages"].values())
        low, high = (
            sum(getattr(term, end) for term in terms) for end in ("low_bytes", "high_bytes")
        )
        seen.add(row["name"])
        if not low <= peak <= high:
            outside.append(f"{run['name']}: {peak:,} is not in {low:,} to {high:,}")
    assert outside == []
    assert seen == {row["name"] for row in rows()["model_class"]}


def test_rerankers_take_what_their_tensors_say() -> None:
    """The same runs of encoders whose tensors are described, in the types and lengths measured.

    The runs pass token numbers, of any row of the table: no tokenizer, and mapped rows that may go.
    """
    twins = {"reranker-minilm": "ms-marco-minilm-l6-v2", "gte-large": "gte-large-en-v1.5"}
    kinds = json.loads((TRUTH / "kinds.json").read_text(encoding="utf-8"))
    runs = [run for run in kinds["runs"] if run["kind"] == "score" and run["model"] in twins]
    assert len(runs) >= 3
    for run in runs:
        asked = Workload(context_tokens=run["tokens"], parallel=run["pairs"])
        needs = check(twins[run["model"]], asked, machine="desktop-ryzen-5600-16gb").needs
        assert needs is not None
        assert needs.memory is not None
        # no tokenizer was read, and the library beside transformers not imported
        tokenizer = 30_522 * 180
        low = needs.memory.low_bytes - 91_492_352 - tokenizer
        high = needs.memory.high_bytes + needs.memory.evictable_bytes
        peak = max(stage["peak_bytes"] for stage in run["stages"].values())
        assert low <= peak <= high, (run["name"], low, peak, high)


def test_every_spec_of_a_class_is_judged_term_by_term() -> None:
    """The weights are apart from what the request takes, so that a GPU can be judged too."""
    named = [spec for spec in catalogue().specs() if spec.needs and spec.needs.model_class]
    assert len(named) > 15
    for spec in named:
        needs = check(spec.id, Workload(), machine="desktop-rtx4090-24gb").needs
        assert needs is not None
        assert needs.memory is not None, (spec.id, needs.unknown)
        names = [term.name for term in needs.memory.terms]
        assert names == ["weights", "activations", "runtime"], spec.id
