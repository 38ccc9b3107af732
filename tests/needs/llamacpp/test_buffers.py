"""The compute buffers that a package holds: those that would be replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.cases import case_id
from packed_specs import PackedStore, usual_cases
from selfhost.catalogue.index import Catalogue
from selfhost.core.stored import Store
from selfhost.core.workload import Workload
from selfhost.judge.choice import best_way
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.profiles import load
from selfhost.needs import Case, count, needs_on
from selfhost.needs.case import Batch, ContextSetup
from selfhost.needs.llamacpp import buffers, compute, graph
from selfhost.needs.llamacpp.graph import exact_compute_bytes
from selfhost.needs.records import Device

# a replay takes milliseconds, and a package holds 2,800
_EVERY = 10


@pytest.fixture
def stored(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The buffers of a package in place of a checkout's, which holds none."""
    _forget()
    monkeypatch.setattr(buffers, "shipped_store", lambda: Store(str(packed)))
    yield
    _forget()


def _forget() -> None:
    buffers._stored_by_fingerprint.cache_clear()
    buffers._stored_buffers.cache_clear()


def asked_of(case: Case) -> list[Batch]:
    """The batches whose buffers the account of a case reads."""
    last = case.batch
    # a device reserves the whole buffer, so the first batch matters in RAM alone
    first = last.replace(setup=case.setup_of_first_batch)
    return [last, last.replace(on_device=True), first]


@pytest.mark.usefixtures("stored")
def test_what_is_stored_is_what_a_replay_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of every usual question about a tenth of the models, and nothing is replayed for them."""
    cases = [case for case in usual_cases(Catalogue.open()) if case.row.graph]
    for case in cases[::_EVERY]:
        for batch in asked_of(case):
            replayed = exact_compute_bytes(batch)
            with monkeypatch.context() as patch:
                patch.setattr(graph, "exact_compute_bytes", refuse)
                found = buffers.compute_bytes(batch)
            assert found == replayed, case.spec.id


@pytest.mark.parametrize("model", ["gemma-3-4b-it", "qwen3-30b-a3b"], ids=case_id)
def test_each_stored_buffer_is_one_that_an_account_reads(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other buffer makes a package larger, or longer to build."""
    cases = [case for case in usual_cases(Catalogue.open()) if case.spec.id == model]
    read = _Recorder()
    with monkeypatch.context() as patch:
        patch.setattr(compute, "compute_bytes", read)
        for case in cases:
            needs_on(count(case), case, Device(maker="nvidia"))
    replayed = _Recorder()
    monkeypatch.setattr(graph, "exact_compute_bytes", replayed)
    store = PackedStore(str(tmp_path), str(tmp_path / "target"))
    buffers.keep_buffers(store, cases)
    assert replayed.asked == read.asked


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("id", "cache_type"),
    [
        pytest.param("aya-23-8b", "q8_0", id="a smaller cache is taken"),
        pytest.param("falcon-h1r-7b", "f16", id="a smaller cache is tried"),
        pytest.param("gemma-3n-e2b-it", "f16", id="the encoder is left out"),
    ],
)
def test_a_choice_on_a_small_machine_replays_nothing(
    id: str, cache_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list judges the ways of each model, so that the buffers of all that it tries are stored."""
    monkeypatch.setattr(graph, "exact_compute_bytes", refuse)
    catalogue = Catalogue.open()
    machine = load("laptop-ddr4-8gb").machine
    question = ask(catalogue.spec(id), Workload(), catalogue, machine)
    best = best_way(judge(question, machine), catalogue, machine)
    assert best.fits
    assert best.workload.kv_cache_type == cache_type


class _Recorder:
    """Notes the cells, the rows of logits and the place of each buffer that is asked for."""

    def __init__(self) -> None:
        self.asked: set[tuple[object, ...]] = set()

    def __call__(self, batch: Batch) -> int:
        self.asked.add((batch.setup, batch.logits_rows, batch.on_device))
        return 1


def refuse(batch: Batch) -> None:
    raise AssertionError(f"replayed: {batch}")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(ContextSetup(tokens=5120), id="another context"),
        pytest.param(
            ContextSetup(tokens=4096, sequences=2, streams=2), id="two sequences"
        ),
        pytest.param(ContextSetup(tokens=4096, flash=False), id="no flash attention"),
        pytest.param(
            ContextSetup(tokens=4096, key_type="q8_0"), id="another type of cache"
        ),
        pytest.param(ContextSetup(tokens=4096, whole_windows=True), id="whole windows"),
    ],
    ids=case_id,
)
def test_another_question_is_replayed(setup: ContextSetup) -> None:
    model = Catalogue.open().spec("gemma-3-4b-it").architecture
    assert model is not None
    batch = Batch(model=model, setup=setup, logits_rows=1)
    assert buffers.compute_bytes(batch) == exact_compute_bytes(batch)


@pytest.mark.usefixtures("stored")
def test_a_model_that_differs_in_one_number_is_replayed() -> None:
    """A user's spec may have the id of a shipped one."""
    shipped = Catalogue.open().spec("mistral-7b-instruct-v0.3").architecture
    assert shipped is not None
    model = shipped.replace(embedding_length=shipped.embedding_length + 256)
    batch = Batch(model=model, setup=ContextSetup(tokens=4096), logits_rows=1)
    assert buffers.compute_bytes(batch) == exact_compute_bytes(batch)
    assert buffers.compute_bytes(batch) != exact_compute_bytes(
        batch.replace(model=shipped)
    )
