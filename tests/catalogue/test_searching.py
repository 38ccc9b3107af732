"""What `list` finds by words, and what it proposes where they find nothing."""

from __future__ import annotations

from functools import cache

from helpers.paths import SPECS
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.searching import holds_words, meant, words_typed


@cache
def catalogue() -> Catalogue:
    return Catalogue.open(shipped=str(SPECS))


def found(typed: str, model_id: str) -> bool:
    words = words_typed(typed.split(), catalogue())
    return holds_words(catalogue().spec(model_id), words)


def test_a_size_is_whole() -> None:
    """8B is no end of 0.8B or 28B, nor is an active or an expert's size a model's."""
    assert found("qwen 8b", "qwen3-8b")
    assert found("qwen 8b", "qwen3-vl-8b-instruct")
    assert found("qwen 0.8b", "qwen3.5-0.8b")
    assert found("wan 14b", "wan2.2-t2v-a14b")
    assert not found("qwen 8b", "qwen3.5-0.8b")
    assert not found("qwen 3b", "qwen3-30b-a3b")
    assert not found("mixtral 7b", "mixtral-8x7b-instruct-v0.1")
    assert not found("1b", "bielik-11b-v3.0-instruct")


def test_words_are_read_in_other_scripts() -> None:
    """The makers' own names in Chinese and Korean, letters that only look Latin."""
    assert found("通义千问", "qwen3-8b")
    assert found("千问 14b", "qwen3-14b")
    assert found("智谱 flash", "glm-4.7-flash")
    assert found("라마 70b", "llama-3.3-70b-instruct")


def test_makers_and_kinds_are_found_by_their_words() -> None:
    """The maker is no part of its models' names; a part of a maker's word is no maker."""
    assert found("google 12b", "gemma-3-12b-it")
    assert found("meta llama 8b", "llama-3.1-8b-instruct")
    assert found("video wan", "wan2.2-t2v-a14b")
    assert found("translation", "translategemma-12b-it")
    assert not found("gpt oss", "gpt-sovits-v2")


def test_kinds_are_found_by_what_people_call_them() -> None:
    """The plural and the everyday word find what the catalogue's own word finds, none of it less."""
    assert found("embeddings", "bge-m3")
    assert found("rerankers", "bge-reranker-v2-m3")
    assert found("images", "flux.1-dev")
    assert found("coding 7b", "qwen2.5-coder-7b-instruct")
    assert found("agents", "qwen3-8b") == found("function calling", "qwen3-8b")
    assert found("tts", "kokoro-82m")
    assert not found("embeddings", "whisper-base")


def test_a_phrase_means_the_use_that_it_says() -> None:
    """Tasks of Hugging Face in words or with dashes; what no model here does finds none."""
    assert found("text to speech", "kokoro-82m")
    assert not found("text to speech", "whisper-base")
    assert found("speech-to-text", "whisper-base")
    assert found("text to image flux", "flux.1-dev")
    assert found("Text To Video", "wan2.2-t2v-a14b")
    assert found("image captioning", "qwen2.5-vl-7b-instruct")
    assert found("vector search", "bge-m3")
    assert found("question answering", "qwen3-8b")
    assert meant(words_typed(["object detection"], catalogue()), catalogue()) == ()


def test_a_slip_is_mended_in_the_whole_line() -> None:
    """Nothing is dropped from what was typed but the slip; without one each word stands alone."""
    assert meant(("lamma", "8b"), catalogue()) == ("llama 8b",)
    assert meant(("gema3", "4b"), catalogue()) == ("gemma3 4b",)
    assert meant(("wan", "whisper"), catalogue()) == ("wan", "whisper")
    assert meant(("mistral", "7b", "q4_k_m"), catalogue()) == ("mistral", "7b")
    assert meant(("llama", "3.1", "9b"), catalogue()) == ("llama", "3.1", "9b")
    assert meant(("xqzvw",), catalogue()) == ()
    assert meant(("foobarbaz",), catalogue()) == ()
