"""Hints: near in meaning, or absent."""

from __future__ import annotations

import pytest

from selfhost import UnknownModelError, check
from selfhost.catalogue.near_names import nearest_in_size, nearest_names
from selfhost.core.spelling import canonical

NAMES = (
    "gpt-6-astra", "gpt2", "gpt2-xl", "open-sora-2.0", "magistral", "magistral:24b", "qwen3-8b",
    "qwen3-reranker-4b", "whisper-large-v3", "claude-sonnet-5", "claude-opus-5", "granite-4.0-350m",
)  # fmt: skip


def near(typed: str) -> tuple[str, ...]:
    """Each name its own model."""
    return nearest_names(canonical(typed), NAMES, frozenset({"allenai"}), lambda name: name)


def test_a_likeness_in_the_middle_of_a_name_is_none() -> None:
    """A word that resembles no family's name leads nowhere: Astrea is no GPT, SERA no Sora, Magistry no Magistral."""
    for typed in ("Astrea-R8-Chat-9B", "allenai_SERA-8B", "Magistry-24B-v1.1"):
        assert near(typed) == ()


def test_a_family_is_near_though_its_size_is_not_there() -> None:
    """The same family, or one letter wrong in its name."""
    assert near("granite-4.0-h-350m") == ("granite-4.0-350m",)
    assert near("grannite-4.0-350m") == ("granite-4.0-350m",)
    assert near("magistral-7b")[0] in ("magistral", "magistral:24b")


def test_another_word_of_a_name_is_near_only_if_it_is_written_so() -> None:
    """Who types a part of a name is shown the whole."""
    assert near("sonnet-5") == ("claude-sonnet-5",)
    assert near("sonet-5") == ()


def test_a_slip_is_the_only_hint() -> None:
    """Every number the same and every word alike: no other of the family is meant."""
    assert near("gtp2") == ("gpt2",)
    assert near("qwen3-rerankr-4b") == ("qwen3-reranker-4b",)


def test_another_kind_is_no_hint() -> None:
    """Who asks for a reranker is not shown a chat model."""
    assert near("whisper-reranker") == ()


def test_a_stated_size_that_the_family_has_is_the_only_hint() -> None:
    """Who asks for Nemotron 49B is shown that one, not the 70B of the same maker."""
    names = ("nemotron:70b", "nemotron-mini-4b", "nemotron-super-49b")
    hints = nearest_names(canonical("nemotron 49b"), names, frozenset(), lambda name: name)
    assert hints == ("nemotron-super-49b",)


def test_a_left_out_point_of_a_version_is_the_only_hint() -> None:
    """It is no other number: `llama31` may not be answered by itself, but what it means is clear."""
    names = ("llama3.1:8b", "llama3:8b", "llama3.1:70b")
    hints = nearest_names(canonical("llama31-8b"), names, frozenset(), lambda name: name)
    assert hints == ("llama3.1:8b",)


def test_a_size_that_no_model_has_brings_those_of_the_version_and_the_kind() -> None:
    """`qwen3:9999b` brought qwen3.5:9b, which shares a figure and is another model; the plain ones come before a coder."""
    names = ("qwen3.5:9b", "qwen3:8b", "qwen3-vl-235b", "qwen3-coder:480b", "qwen3:235b")
    assert nearest_in_size("qwen3:9999b", names) == ["qwen3:235b", "qwen3:8b", "qwen3-coder:480b"]
    assert nearest_in_size("qwen3", names) == []


@pytest.mark.parametrize(
    ("typed", "hint", "to_type"),
    [
        ("mistral-7b@latest", "mistral-7b-instruct-v0.3", "selfhost check mistral-7b"),
        ("qwen3@8b", "qwen3-8b", "selfhost check qwen3:8b"),
    ],
)
def test_what_follows_an_at_sign_is_told_apart_from_the_name(
    typed: str, hint: str, to_type: str
) -> None:
    """The hints were an embedding and guards, whose names share letters with it."""
    with pytest.raises(UnknownModelError) as unknown:
        check(typed, machine="raspberry-pi-5-8gb")
    assert unknown.value.nearest == (hint,)
    assert (unknown.value.remedy or "").endswith(to_type)
