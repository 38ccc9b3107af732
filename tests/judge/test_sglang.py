"""SGLang as people run it: when it is judged, what it leaves of a GPU, the lines to type."""

from __future__ import annotations

import pytest

from selfhost import Route, Workload, check, size

_ASKED = Workload(runtime="sglang")


@pytest.mark.parametrize(("gpu", "usual"), [("rtx 4090", "llama.cpp"), ("8x h100", "vllm")])
def test_it_is_judged_where_it_is_asked_for_alone(gpu: str, usual: str) -> None:
    """It takes the place of no other program."""
    assert check("llama-3.1-8b", machine=gpu).workload.runtime == usual
    verdict = check("llama-3.1-8b", _ASKED, machine=gpu)
    assert verdict.route is Route.LOCAL
    assert any(
        line.startswith("python3 -m sglang.launch_server --model-path") for line in verdict.commands
    )


@pytest.mark.parametrize(
    ("gpu", "tokens", "runs"),
    [
        # 24,564 MiB less 7,280 of the default, of which weights take 15.0 GiB: some 9,000 tokens are left
        ("rtx 4090", 4096, True),
        ("rtx 4090", 65_536, False),
        # 80 GB leave 67 GiB
        ("h100", 131_072, True),
        # compute capability 7.5 (its documentation: sm80 and above)
        ("rtx 2080 ti", 1024, False),
    ],
)
def test_what_it_leaves_free_bounds_the_context(gpu: str, tokens: int, runs: bool) -> None:
    """sglang 0.5.23, handle_gpu_memory_settings: what is left over follows from the size of the GPU."""
    verdict = check("llama-3.1-8b", _ASKED.replace(context_tokens=tokens), machine=gpu)
    assert (verdict.route is Route.LOCAL) is runs


def test_its_container_starts_it_by_name() -> None:
    """The image starts nothing by itself (SGLang documentation, quickstart: docker run … python3 -m sglang.launch_server)."""
    container = size("llama-3.1-8b", _ASKED, machine="rtx 4090")
    assert container.image == "lmsysorg/sglang:latest"
    assert container.image_arguments[:3] == ("python3", "-m", "sglang.launch_server")
