"""Which model a run was of."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfhost.advice.verify.model import identify
from selfhost.advice.verify.run import Run, SeenPace
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import SelfhostError, UnknownModelError


@pytest.mark.parametrize(
    ("run", "by", "model"),
    [
        (
            Run(tool="x", file="/nowhere/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"),
            "file-name",
            "mistral-7b-instruct-v0.3",
        ),
        (
            Run(tool="x", file="C:\\models\\Llama-3.3-70B-Instruct-Q4_K_M-00001-of-00002.gguf"),
            "file-name",
            "llama-3.3-70b-instruct",
        ),
        (
            Run(tool="x", file="sha256-0011", name="Qwen3-0.6B"),
            "name",
            "qwen3-0.6b",
        ),
    ],
)
def test_a_name_that_the_run_tells(run: Run, by: str, model: str) -> None:
    """The file's name goes before the one inside it; either may be of any path."""
    from selfhost.catalogue.names import id_of

    catalogue = open_catalogue()
    identity = identify(run, catalogue, None)
    assert (identity.by, id_of(identity.model, catalogue)) == (by, model)


def test_what_was_typed_goes_first() -> None:
    """A log may name a file of no meaning."""
    run = Run(tool="x", file="Mistral-7B-Instruct-v0.3-Q4_K_M.gguf")
    assert identify(run, open_catalogue(), "gpt2").model == "gpt2"


def test_a_run_of_another_size_than_the_typed_model_is_refused() -> None:
    """llama-bench prints 7.25 B of Mistral 7B v0.3 and 8.03 B of Llama 3.1 8B: no figure of the one is one of the other."""
    run = Run(tool="x", architecture="llama", parameters=8_030_000_000)
    catalogue = open_catalogue()
    assert identify(run, catalogue, "llama3.1:8b").note is None
    assert identify(run.replace(parameters=None), catalogue, "llama3.1:8b").note is None
    with pytest.raises(SelfhostError, match=r"it had 7\.25 B") as caught:
        identify(run.replace(parameters=7_250_000_000), catalogue, "llama3.1:8b")
    assert "NAME" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        # with the shared table of words twice, and with layers that predict further tokens
        ("qwen2.5-0.5b-instruct", 630_170_000),
        ("qwen3-0.6b", 751_630_000),
    ],
)
def test_a_file_that_holds_more_is_the_same_model(model: str, parameters: int) -> None:
    """llama-bench prints 630.17 M of Qwen's own file of the first; the second is 596 and 156 million of its table once more."""
    run = Run(tool="x", architecture="qwen2", parameters=parameters)
    assert identify(run, open_catalogue(), model).model == model


def test_a_file_that_is_here_is_read(tmp_path: Path) -> None:
    """The file itself knows better than any name."""
    path = tmp_path / "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    identity = identify(Run(tool="x", file=str(path)), open_catalogue(), None)
    assert (identity.by, identity.is_path) == ("file", True)


def test_a_shape_stands_for_a_name() -> None:
    """llama-bench's table tells 7.25 B parameters of a llama: that is Mistral 7B v0.3's shape."""
    run = Run(tool="x", architecture="llama", parameters=7_250_000_000)
    identity = identify(run, open_catalogue(), None)
    assert identity.by == "shape"
    spec = open_catalogue().spec(identity.model)
    assert spec.parameters.total == pytest.approx(7_248_023_552, rel=0.003)
    assert "--model" in (identity.note or "")


@pytest.mark.parametrize(
    ("architecture", "parameters", "model"),
    [
        # what llama-bench prints of them, and whose tunes have the same shape: DeepSeek-R1-0528,
        # DeepHermes 3, Code Llama, BioMistral
        ("qwen3", 8_190_000_000, "qwen3-8b"),
        ("llama", 8_030_000_000, "llama-3.1-8b-instruct"),
        ("llama", 6_740_000_000, "llama-2-7b-chat"),
        ("llama", 7_250_000_000, "mistral-7b-instruct-v0.3"),
    ],
)
def test_of_one_shape_the_best_known_stands(architecture: str, parameters: int, model: str) -> None:
    """A tune of somebody else's is an odd name for what its publisher started from."""
    run = Run(tool="x", architecture=architecture, parameters=parameters)
    assert identify(run, open_catalogue(), None).model == model


@pytest.mark.parametrize(
    ("architecture", "parameters", "name"),
    # what llama-bench prints of them; an embedding model has the first shape, too, and the second
    # has its encoder of images in another file
    [("qwen3", 596_050_000, "qwen3-0.6b"), ("qwen3vl", 1_720_000_000, "qwen3-vl-2b")],
)
def test_what_decodes_is_no_embedding_model_and_may_see(
    architecture: str, parameters: int, name: str
) -> None:
    decoding = SeenPace(kind="decode", tokens_per_second=21.0, tokens=128)
    run = Run(tool="x", architecture=architecture, parameters=parameters, paces=(decoding,))
    assert identify(run, open_catalogue(), None).model.startswith(name)


@pytest.mark.parametrize(
    "run",
    [
        Run(tool="x"),
        Run(tool="x", architecture="llama", parameters=123_456),
        Run(tool="x", architecture="no-such", parameters=7_250_000_000),
        Run(tool="x", file="a\0b.gguf"),
    ],
)
def test_a_run_that_tells_nothing_asks_for_a_name(run: Run) -> None:
    """The remedy is the option."""
    with pytest.raises(UnknownModelError) as caught:
        identify(run, open_catalogue(), None)
    assert "--model" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("typed", "name", "told"),
    [
        ("mistral-7b", "Meta Llama 3.1 8B Instruct", "--model llama-3.1-8b-instruct"),
        ("mistral-7b", "Mistral 7B Instruct v0.3", None),
        # a name of the user's own tells nothing
        ("mistral-7b", "my notes", None),
    ],
)
def test_a_run_that_names_another_model_than_the_typed_one_is_said(
    typed: str, name: str, told: str | None
) -> None:
    """A comparison with the wrong model says nothing of the prediction, however well it holds."""
    note = identify(Run(tool="x", name=name), open_catalogue(), typed).note
    assert (note is None) == (told is None)
    assert told is None or told in (note or "")


@pytest.mark.parametrize(
    ("run", "is_told"),
    [
        (Run(tool="x", file="/m/Qwen3.6-35B-A3B-UD-Q4_K_M.gguf", quantization="Q4_K_M"), True),
        (Run(tool="x", name="Qwen3.6-35B-A3B", quantization="Q4_K_M"), False),
        # ikawrakow/ik_llama.cpp#259: general.name of a file of Q2_K
        (Run(tool="x", name="DeepSeek R1 BF16", quantization="Q2_K"), False),
    ],
)
def test_a_name_may_tell_the_quantization(run: Run, is_told: bool) -> None:
    """llama.cpp calls both files `Q4_K - Medium`, and they differ by 0.9 GiB."""
    assert identify(run, open_catalogue(), None).tells_quantization is is_told


def test_a_typed_file_tells_its_quantization_itself() -> None:
    """What a log calls IQ2_K_R4 may be given as the file, whatever that holds."""
    run = Run(tool="x", quantization="IQ2_K_R4")
    assert identify(run, open_catalogue(), "./own.gguf").tells_quantization
    assert not identify(run, open_catalogue(), "mistral-7b").tells_quantization


def test_a_folder_of_a_download_names_its_model() -> None:
    """As vLLM and SGLang write it (sgl-project's runs on Ascend)."""
    run = Run(tool="x", name="/root/.cache/modelscope/hub/models/Qwen/Qwen2.5-0.5B-Instruct")
    assert identify(run, open_catalogue(), None).model == "Qwen2.5-0.5B-Instruct"


def test_a_file_of_another_size_than_its_name_says_so() -> None:
    """Qwen2.5 1.5B published with its table stored twice: 1.78 B parameters under the name of 1.54 B
    (a published log of llama-server, DanhVuxT's).
    """
    run = Run(tool="x", file="qwen2.5-1.5b-instruct-q4_k_m.gguf", parameters=1_780_000_000)
    assert "1.78" in (identify(run, open_catalogue(), None).note or "")
    same = identify(run.replace(parameters=1_540_000_000), open_catalogue(), None)
    assert same.note is None
