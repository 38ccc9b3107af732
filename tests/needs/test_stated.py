"""The memory that specs state, held against the runs that were measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.needs_of import catalogue
from helpers.paths import TRUTH
from selfhost.api import check
from selfhost.core.workload import Workload

KINDS: dict[str, Any] = json.loads((TRUTH / "kinds.json").read_text(encoding="utf-8"))


def test_the_peak_of_every_run_is_at_most_what_the_spec_states() -> None:
    """Whole models of the catalogue, by their number of parameters; shorter requests take less."""
    stated = {spec.parameters.total: spec.needs for spec in catalogue().specs() if spec.needs}
    seen = 0
    for run in KINDS["runs"]:
        model = KINDS["models"][run["model"]]
        needs = stated.get(run["parameters"])
        if needs is None or needs.high_bytes is None or model["cut"]:
            continue
        peak = max(stage["peak_bytes"] for stage in run["stages"].values())
        usual = needs.heard_seconds or 30
        more = max(0, run.get("seconds", 0) - usual) * (needs.second_bytes or 0) * 3 // 2
        assert peak <= needs.high_bytes + more, run["name"]
        seen += 1
    assert seen > 30


def test_rerankers_take_what_their_tensors_say() -> None:
    """The same runs of encoders whose tensors are described, in the types and lengths measured.

    The runs pass token numbers, of any row of the table: no tokenizer, and mapped rows that may go.
    """
    twins = {"reranker-minilm": "ms-marco-minilm-l6-v2", "gte-large": "gte-large-en-v1.5"}
    runs = [run for run in KINDS["runs"] if run["kind"] == "score" and run["model"] in twins]
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


# bytes on one GPU with all of it there, as publishers state them: README.md of CogVideo, HunyuanVideo
# and Wan 2.2, the card of Allegro, arXiv:2503.20314 with the text encoder of 11.36 GB added
PUBLISHED = {
    "cogvideox-2b": 18_000_000_000,
    "cogvideox-5b": 26_000_000_000,
    "hunyuanvideo": 60_000_000_000,
    "allegro": 27_500_000_000,
    "wan2.1-t2v-1.3b": 19_550_000_000,
    "wan2.2-ti2v-5b": 35_360_000_000,
    "wan2.2-t2v-a14b": 80_000_000_000,
}
# what holds most while the printed command makes a video, and its run in tests/truth/diffusers.json
HELD_MOST = {
    "cogvideox-2b": "decode cogvideox bfloat16 frames=49 height=480 width=720 tiling=True",
    "cogvideox-5b": "decode cogvideox bfloat16 frames=49 height=480 width=720 tiling=True",
    "mochi-1-preview": "decode mochi bfloat16 frames=19 height=480 width=848 tiling=True",
    "allegro": "denoise allegro bfloat16",
    "hunyuanvideo": "denoise hunyuanvideo bfloat16",
    "ltx-video-2b": "decode ltx-video bfloat16 frames=161 height=512 width=704 tiling=True",
    "stable-video-diffusion-xt": "denoise stable-video-diffusion bfloat16",
    "wan2.1-t2v-1.3b": "denoise wan2.1-1.3b bfloat16",
    "wan2.1-t2v-14b": "denoise wan-14b bfloat16",
    "wan2.2-t2v-a14b": "denoise wan-14b bfloat16",
    "wan2.2-ti2v-5b": "denoise wan2.2-5b bfloat16",
}


def test_what_publishers_state_lies_in_the_range() -> None:
    for name, size in PUBLISHED.items():
        needs = catalogue().spec(name).needs
        assert needs is not None
        assert (needs.low_bytes or 0) <= size <= (needs.high_bytes or 0), name


def test_the_least_is_the_weights_and_what_a_pass_holds() -> None:
    """Counted with tensors of full size, of classes with as many parameters as the spec says."""
    runs = json.loads((TRUTH / "diffusers.json").read_text(encoding="utf-8"))["counted"]
    counted = {run["name"]: run for run in runs}
    for name, run in HELD_MOST.items():
        spec = catalogue().spec(name)
        assert counted[run]["parameters"] in spec.components.values(), name
        held = 2 * sum(spec.components.values()) + counted[run]["counted_bytes"]
        assert spec.needs is not None
        assert (spec.needs.low_bytes or 0) == pytest.approx(held + 492_830_720, rel=0.002), name
