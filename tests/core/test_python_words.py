"""Keywords of Python in place of options of the command line, where Python shows a sentence."""

from __future__ import annotations

import pytest

from selfhost.core.workload import FLAGS, in_python


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        pytest.param("add --prompt 2000", "add prompt_tokens=2000", id="number"),
        pytest.param(
            "use --context 8k or less", "use context_tokens=8192 or less", id="tokens"
        ),
        pytest.param(
            "state --max-wait 30s.", "state max_wait_seconds=30.", id="seconds"
        ),
        pytest.param("use --for agent,", 'use purpose="agent",', id="choice"),
        pytest.param(
            "use --runtime llama.cpp", 'use runtime="llama.cpp"', id="dot in a name"
        ),
        pytest.param(
            "use --runtime transformers or vllm or mlx",
            'use runtime="transformers" or "vllm" or "mlx"',
            id="one of three",
        ),
        pytest.param(
            "leave it out, or use --runtime llama.cpp or mlx.",
            'leave it out, or use runtime="llama.cpp" or "mlx".',
            id="one of two at the end",
        ),
        pytest.param(
            "use --quant 4bit or --quant 8bit",
            'use quantization="4bit" or quantization="8bit"',
            id="an option twice",
        ),
        pytest.param(
            "leave out --runtime to use another",
            "leave out runtime to use another",
            id="no value",
        ),
        pytest.param(
            "assumed: --link states another; --split takes all",
            "assumed: link states another; split takes all",
            id="options of several machines",
        ),
        pytest.param(
            "leave out --split tensor, or take 2 machines",
            'leave out split="tensor", or take 2 machines',
            id="a way to divide",
        ),
        pytest.param(
            "use a shorter --context, a smaller --quant or",
            "use a shorter context_tokens, a smaller quantization or",
            id="in a list",
        ),
        pytest.param(
            "`--runtime vllm --quant Q8_0` judges it",
            '`runtime="vllm", quantization="Q8_0"` judges it',
            id="two in backquotes",
        ),
        pytest.param(
            "leave out --runtime-option sm=row",
            'leave out runtime_options={"sm": "row"}',
            id="option of a runtime",
        ),
        pytest.param(
            "name it (--machine 'i5-8250U 16GB')",
            'name it (machine="i5-8250U 16GB")',
            id="in quotes",
        ),
        pytest.param(
            'write --gpu "RTX 4090" or --machine "steam deck"',
            'write gpu="RTX 4090" or machine="steam deck"',
            id="in double quotes",
        ),
        pytest.param("add --set memory=SIZE or --gpu.", "add gpu.", id="one of two"),
        pytest.param(
            "too slow (--min-speed)", "too slow (min_tokens_per_second)", id="alone"
        ),
    ],
)
def test_an_option_is_told_as_its_keyword(typed: str, told: str) -> None:
    """`add --prompt 2000` is no Python."""
    assert in_python(typed) == told


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("`selfhost check --reserve SIZE` changes it", id="in backquotes"),
        pytest.param("choose one: selfhost list --for agent; or not", id="in a line"),
        pytest.param("`llama-server --parallel 4` serves it", id="of another program"),
        pytest.param("state it: --set memory=16GiB", id="without a keyword"),
        pytest.param("a dash -- and another", id="no option"),
        pytest.param('"--prompt 2000" is not a runtime', id="typed as a value"),
    ],
)
def test_a_command_stays_as_it_is_typed(text: str) -> None:
    assert in_python(text) == text


def test_every_field_of_a_workload_has_its_keyword() -> None:
    """Whatever option a remedy names."""
    for field, flag in FLAGS.items():
        if flag and field not in (
            "checkpointing",
            "input_tokens_per_day",
            "output_tokens_per_day",
        ):
            assert in_python(f"leave out {flag}") == f"leave out {field}"
    assert in_python("use --no-checkpointing") == "use checkpointing=False"
