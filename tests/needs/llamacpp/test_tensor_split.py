"""What each device holds under -sm tensor, against what llama.cpp's own code allocates there."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

import pytest

from helpers.needs_of import case_asked, catalogue, runtime
from helpers.paths import TRUTH
from selfhost import Workload, check, needs
from selfhost.needs.llamacpp.files import SIZES
from selfhost.needs.llamacpp.tensor_split import portions
from selfhost.needs.records import ACCELERATOR, Device

# a cache in 8 bits ends with room for a row of 512 numbers
CACHE_ERROR = 0.002


class Allocation(NamedTuple):
    """A row of the file of truth: what llama.cpp allocated of a model on equal devices.

    `weights` and `context` are the bytes on each device, `compute` those on every one of them;
    `parts` is the value of `--tensor-split`, empty where the devices share equally.
    """

    model: str
    quantization: str
    n_ctx: int
    n_seq_max: int
    n_ubatch: int
    kv_cache_type: str
    devices: int
    parts: str
    weights: list[int]
    context: list[int]
    compute: int

    @property
    def name(self) -> str:
        """What a failure names."""
        return f"{self.model} on {self.devices}, {self.parts or 'equal'}"

    def bytes_on(self, index: int) -> dict[str, int]:
        """The likely bytes of each term on the device of that number, as the program counts."""
        options = {"sm": "tensor", "ub": str(self.n_ubatch)}
        if self.parts:
            options["ts"] = self.parts
        case = case_asked(
            catalogue().spec(self.model),
            runtime("llama.cpp"),
            quantization=self.quantization,
            context_tokens=self.n_ctx // self.n_seq_max,
            parallel=self.n_seq_max,
            kv_cache_type=self.kv_cache_type,
            runtime_options=options,
        )
        device = Device(devices=self.devices, index=index)
        placed = needs.needs_on(needs.count(case), case, device)
        on_device = [term for term in placed.terms if term.where == ACCELERATOR]
        return {term.name: term.bytes for term in on_device}


@cache
def allocations() -> list[Allocation]:
    """The rows of the file of truth."""
    path = TRUTH / "llamacpp_tensor_split.json"
    file = json.loads(path.read_text(encoding="utf-8"))
    columns = file["columns"]
    return [Allocation(**dict(zip(columns, row, strict=True))) for row in file["rows"]]


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name) for row in allocations()]
)
def test_each_device_holds_what_llamacpp_allocates(row: Allocation) -> None:
    for index in range(row.devices):
        held = row.bytes_on(index)
        weights = pytest.approx(row.weights[index], rel=SIZES.tensor_split.error)
        assert held["weights"] == weights
        context = held.get("kv_cache", 0) + held.get("recurrent_state", 0)
        assert context == pytest.approx(row.context[index], rel=CACHE_ERROR)
        _, sums_bytes, _ = SIZES.tensor_split.sums_bytes
        compute = held["compute"] - sums_bytes
        assert compute == pytest.approx(row.compute, rel=0.15)


@pytest.mark.parametrize(
    ("numbers", "granule", "parts", "turn", "given"),
    [
        pytest.param(8, 1, (1, 1), 0, [4, 4], id="halves"),
        # ends at 2.67 and 5.33, rounded down
        pytest.param(8, 1, (1, 1, 1), 0, [2, 3, 3], id="thirds"),
        pytest.param(8, 1, (1, 1, 1), 1, [3, 2, 3], id="thirds, the next layer"),
        pytest.param(8, 1, (3, 1), 0, [6, 2], id="three to one"),
        # the first device counted is the second, with a quarter
        pytest.param(8, 1, (3, 1), 1, [6, 2], id="three to one, the next layer"),
        pytest.param(2, 1, (1, 1, 1, 1), 0, [0, 1, 0, 1], id="fewer than devices"),
        # ends at 1,440: 11 × 128 are 1,408
        pytest.param(2880, 128, (1, 1), 0, [1408, 1472], id="in steps of 128"),
    ],
)
def test_numbers_are_cut_at_multiples_and_devices_take_turns(
    numbers: int,
    granule: int,
    parts: tuple[float, ...],
    turn: int,
    given: list[int],
) -> None:
    """src/llama-model.cpp, llama_meta_device_get_split_state: `low`, `high` and `rotation`."""
    assert portions(numbers, granule, parts, turn) == given


def test_what_adding_up_takes_widens_the_buffer() -> None:
    """On two devices the buffer may take much more or less: NCCL's part is a guess."""
    case = case_asked(
        catalogue().spec(allocations()[0].model),
        runtime("llama.cpp"),
        runtime_options={"sm": "tensor"},
    )
    placed = needs.needs_on(needs.count(case), case, Device(devices=2))
    (compute,) = [
        term
        for term in placed.terms
        if term.name == "compute" and term.where == ACCELERATOR
    ]
    assert compute.high_bytes - compute.low_bytes > 600_000_000
    assert "what NCCL takes is a guess" in compute.source


def bytes_by_card(**changes: Any) -> list[int]:
    workload = Workload(
        runtime="llama.cpp",
        quantization="IQ3_S",
        kv_cache_type="q8_0",
        context_tokens=160_000,
        runtime_options={"sm": "tensor", "no-mmproj": "yes"},
    )
    verdict = check(
        "qwen3.8-27b", workload.replace(**changes), machine="2x RTX 3060 12GB, 64GB RAM"
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    places = verdict.needs.memory.places
    return [place.total_bytes for place in places if place.where != "host"]


def test_the_models_own_block_is_split_too() -> None:
    """A sweep of llama.cpp b11041 on two RTX 3060, 2026-09-22: 9,241 and 9,233 MiB without a draft,
    10,453 and 10,445 with eight tokens drafted by the block, which are five states more to go back
    to than the three that are told.
    """
    without = bytes_by_card()
    drafting = bytes_by_card(draft="mtp")
    five_states = 5 * 48 * (3 * 48 * 128 + 2 * 3 * 16 * 128 + 128 * 48 * 128) * 4 // 2
    for alone, both in zip(without, drafting, strict=True):
        assert both - alone + five_states == pytest.approx(1212 * 2**20, rel=0.03)
