"""How logs write types, sizes and devices."""

from __future__ import annotations

import pytest

from selfhost.advice.verify.formats import words


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("qwen2 1B Q4_K - Medium", "Q4_K_M"),
        ("llama 7B Q5_K - Small", "Q5_K_S"),
        ("llama 7B Q2_K - Medium", "Q2_K"),
        ("llama 8B Q4_0", "Q4_0"),
        ("gpt-oss 20B MXFP4 MoE", "MXFP4"),
        ("llama 1B F16", "F16"),
        ("Q6_K", "Q6_K"),
        ("llama 8B IQ4_XS - 4.25 bpw", "IQ4_XS"),
        ("all F32 (guessed)", "F32"),
        ("something else", None),
    ],
)
def test_a_file_type_is_a_quantization(text: str, name: str | None) -> None:
    """As llama.cpp's llama_model_ftype_name writes them."""
    assert words.quantization(text) == name


@pytest.mark.parametrize(
    ("device", "place"),
    [
        ("CPU_Mapped", "host"),
        ("CPU_REPACK", "host"),
        ("AMX", "host"),
        ("CUDA_Host", "host"),
        ("CUDA1", "accelerator:1"),
        ("Vulkan0", "accelerator:0"),
        ("MTL0_Mapped", "accelerator:0"),
        ("Metal", "accelerator:0"),
    ],
)
def test_a_buffer_lies_where_its_name_says(device: str, place: str) -> None:
    """RAM, or the numbered accelerator."""
    assert words.place_of(device) == place


def test_sizes_and_counts() -> None:
    """MiB are 2**20 bytes, M are millions."""
    assert words.bytes_of("1.50 MiB") == 3 << 19
    assert words.count_of("7.25 B") == 7_250_000_000
    assert words.bytes_of("many") is None
    assert words.positive("1e400") is None
    assert words.positive("0.0") is None
