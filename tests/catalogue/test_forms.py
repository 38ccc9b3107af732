"""What the end of a name says about the files."""

from __future__ import annotations

from selfhost.catalogue.forms import splits
from selfhost.catalogue.quantization_names import gguf_name

# name and account, what stands before the form, quantization, runtime; the names are of public repositories, files and tags
FORMS = [
    ("Mistral-7B-Instruct-v0.3-4bit", "", "Mistral-7B-Instruct-v0.3", "4bit", "mlx"),
    ("Qwen3-8B-4bit-DWQ", "mlx-community", "Qwen3-8B", "4bit", "mlx"),
    ("Meta-Llama-3.1-8B-Instruct-bf16", "mlx-community", "Meta-Llama-3.1-8B-Instruct", "bf16", "mlx"),
    ("gpt-oss-20b-MXFP4-Q8", "mlx-community", "gpt-oss-20b", "MXFP4-Q8", "mlx"),
    ("qwen3.6:27b-mxfp8", "", "qwen3.6:27b", "mxfp8", "mlx"),
    ("Qwen2.5-7B-Instruct-GPTQ-Int8", "Qwen", "Qwen2.5-7B-Instruct", "gptq-8bit", "vllm"),
    ("Qwen3-8B-unsloth-bnb-4bit", "unsloth", "Qwen3-8B", "nf4", "transformers"),
    ("Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "RedHatAI", "Meta-Llama-3.1-8B-Instruct", "w4a16", "vllm"),
    ("Qwen3-0.6B-Q4_K_M-GGUF", "someone", "Qwen3-0.6B", "Q4_K_M", None),
    ("Qwen3-30B-A3B-AWQ-4bit-Q4_K_M-GGUF", "someone", "Qwen3-30B-A3B", "Q4_K_M", None),
    ("Qwen3-0.6B-i1-GGUF", "mradermacher", "Qwen3-0.6B", None, None),
]  # fmt: skip


def test_the_end_of_a_name_states_the_form() -> None:
    """The words at the end are taken together, however many there are."""
    read = {}
    for name, account, base, _, _ in FORMS:
        form = dict(splits(name, account)).get(base)
        read[name] = (form.quantization, form.runtime) if form else None
    assert read == {name: (quantization, runtime) for name, _, _, quantization, runtime in FORMS}


def test_a_word_of_the_model_is_no_form() -> None:
    """A name that ends in its own words stays whole."""
    for name in ("Mistral-7B-Instruct-v0.3", "q4_0", "mlx", "deepseek-v4-flash"):
        assert not list(splits(name))


def test_types_have_one_spelling() -> None:
    """llama.cpp's, whatever case and separators a publisher uses; `Q4_K` alone is its medium mix."""
    assert [
        gguf_name(text) for text in ("q4-k", "ud-q4_k_xl", "fp16", "iq4.xs", "q4km", "iq2xxs")
    ] == [
        "Q4_K_M",
        "UD-Q4_K_XL",
        "F16",
        "IQ4_XS",
        "Q4_K_M",
        "IQ2_XXS",
    ]
