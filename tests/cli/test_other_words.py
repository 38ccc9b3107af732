"""Words of other programs, typed at each door: the command line, Python, agents and policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfhost import SelfhostError, check
from selfhost.cli import main as cli
from selfhost.cli.mcp_tools import arguments_of
from selfhost.core.workload import FLAGS


@pytest.mark.parametrize(
    ("word", "field"),
    [
        pytest.param("for", "purpose", id="command line"),
        pytest.param("num_ctx", "context_tokens", id="Ollama"),
        pytest.param("max_model_len", "context_tokens", id="vLLM"),
        pytest.param("--cache-type-k", "kv_cache_type", id="llama.cpp"),
        pytest.param("concurrency", "parallel", id="users"),
        pytest.param("quantisation", "quantization", id="British"),
    ],
)
def test_another_programs_word_means_the_field_at_each_door(
    word: str, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python, the command line, policies and tools for agents look into one list."""
    plain = word.strip("-").replace("-", "_")
    with pytest.raises(SelfhostError, match=f"{field}|parallel=4"):
        check("gpt2", **{plain: "x"})  # type: ignore[arg-type]
    with pytest.raises(SelfhostError) as refused:
        arguments_of("check", {"model": "gpt2", plain: "x"})
    assert refused.value.remedy == f"did you mean {field!r}?"
    option = f"--{plain.replace('_', '-')}"
    flag = FLAGS[field]
    if option != flag:
        assert cli.main(["check", "gpt2", option, "x"]) == 2
        assert f"did you mean {flag}?" in capsys.readouterr().err
    policy = tmp_path / "audit.toml"
    policy.write_text(f'schema = 1\n[[model]]\nname = "gpt2"\n{plain} = "x"\n')
    assert cli.main(["audit", "--validate", str(policy)]) == 2
    assert f"did you mean {field}?" in capsys.readouterr().err
