"""What recurrent layers keep of a sequence, as tensors.toml says of each kind."""

from __future__ import annotations

import pytest

from selfhost.catalogue.index import Catalogue
from selfhost.needs.tensors import has_delta_rule, tensor_split_of


@pytest.mark.parametrize(
    ("model", "corrects"),
    [
        # gated delta networks (arXiv:2412.06464), and Kimi's with a gate for each channel
        # (arXiv:2510.26692)
        pytest.param("qwen3.5-0.8b", True, id="delta"),
        pytest.param("kimi-k3", True, id="kda"),
        # sums that decay (arXiv:2405.21060 and 2501.08313), and a window of inputs
        # (arXiv:2511.23404)
        pytest.param("mamba-codestral-7b-v0.1", False, id="mamba2"),
        pytest.param("minimax-text-01", False, id="lightning"),
        pytest.param("lfm2-1.2b-extract", False, id="convolution"),
    ],
)
def test_the_table_says_which_memories_each_token_corrects(
    model: str, *, corrects: bool
) -> None:
    architecture = Catalogue.open().spec(model).architecture
    assert architecture is not None
    assert {has_delta_rule(group) for group in architecture.recurrent} == {corrects}


@pytest.mark.parametrize(
    ("model", "split"),
    [
        # llama_meta_device_get_split_state of llama.cpp 0c1e570, src/llama-model.cpp
        pytest.param("qwen3.5-0.8b", "cut", id="delta"),
        pytest.param("lfm2-1.2b-extract", "whole", id="convolution"),
        # -sm tensor is refused for its models (llm_arch_supports_sm_tensor)
        pytest.param("kimi-k3", "", id="kda"),
    ],
)
def test_the_table_says_how_states_are_split_over_gpus(model: str, split: str) -> None:
    architecture = Catalogue.open().spec(model).architecture
    assert architecture is not None
    assert {tensor_split_of(group) for group in architecture.recurrent} == {split}
