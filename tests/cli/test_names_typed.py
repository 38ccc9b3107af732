"""Which words of a command line are one name of a model, and which are several."""

from __future__ import annotations

import pytest

from selfhost.cli.models import names_in, one_name_in
from selfhost.cli.parser import Options
from selfhost.core.errors import UsageError

OPTIONS = Options()
OPTIONS.specs = []


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        pytest.param("mistral-7b", ["mistral-7b"], id="a word"),
        pytest.param("gpt oss 20b", ["gpt oss 20b"], id="a name in three words"),
        pytest.param("nothing 7b", ["nothing 7b"], id="an unknown name with its size"),
        pytest.param("mixtral 8x7b", ["mixtral 8x7b"], id="a size of experts"),
        pytest.param(
            "ollama run llama3.2", ["ollama run llama3.2"], id="a line to run a model"
        ),
        pytest.param("gpt2 phi-4", ["gpt2", "phi-4"], id="two names"),
        pytest.param("google deepmind", ["google deepmind"], id="a maker"),
        pytest.param("openai gym", ["openai gym"], id="a library"),
        pytest.param("meta ai gpt2", ["meta ai", "gpt2"], id="a maker and a name"),
        pytest.param(
            "no-such phi-4", ["no-such", "phi-4"], id="a name that is unknown"
        ),
        pytest.param(
            "mistral 7b phi 4 gpt2", ["mistral 7b", "phi 4", "gpt2"], id="sizes"
        ),
        pytest.param(
            "gpt2 gpt oss 20b",
            ["gpt2", "gpt oss 20b"],
            id="a name in three words, last",
        ),
        pytest.param(
            "gpt2 nothing 7b",
            ["gpt2", "nothing 7b"],
            id="an unknown name with its size, last",
        ),
        pytest.param("mistral nemo", ["mistral", "nemo"], id="each word is a name"),
        pytest.param(
            "qwen 3 coder 30b a3b", ["qwen 3 coder 30b a3b"], id="a name in five words"
        ),
    ],
)
def test_words_that_make_a_name_are_one(typed: str, names: list[str]) -> None:
    assert names_in(OPTIONS, typed.split()) == names


def test_a_command_for_one_model_refuses_a_second() -> None:
    with pytest.raises(UsageError, match="unexpected phi-4 bge-m3"):
        one_name_in(OPTIONS, ["gpt2", "phi-4", "bge-m3"])
    assert one_name_in(OPTIONS, ["gpt", "oss", "20b"]) == "gpt oss 20b"
