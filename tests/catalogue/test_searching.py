"""A name that no model goes by: what is said of it at once, and what only when it is shown."""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Sized
from pathlib import Path

import pytest

from helpers.paths import GOOD_SPECS
from selfhost.catalogue import names, searching
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.makers import maker_called
from selfhost.catalogue.names import id_of
from selfhost.catalogue.searching import resolve
from selfhost.core import units
from selfhost.core.errors import NotAModelError, UnknownModelError


def unknown(name: str) -> UnknownModelError:
    with pytest.raises(UnknownModelError) as caught:
        resolve(name, open_catalogue())
    return caught.value


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words for which alike names were looked for, which takes longer than all else."""
    words: list[str] = []
    find = difflib.get_close_matches

    def counted(word: str, *args: object, **options: object) -> list[str]:
        words.append(word)
        return find(word, *args, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    return words


def test_near_names_are_looked_for_when_they_are_first_read(
    compared: list[str],
) -> None:
    error = unknown("mistrl-7b")
    assert "not in the catalogue" in error.message
    assert compared == []
    assert "mistral:7b" in error.nearest
    assert error.nearest == error.nearest
    assert compared == ["mistrl-7-b"]


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        # not the Qwen 1.5 that Ollama calls qwen:32b
        pytest.param("qwen-coder 32b", "qwen2.5-coder-32b-instruct", id="a version"),
        pytest.param("exaone 4 32b", "exaone-4.0-32b", id="a zero"),
        pytest.param("r1 distill 14b", "deepseek-r1-distill-qwen-14b", id="a maker"),
    ],
)
def test_a_name_that_leaves_out_words_is_told_the_one_with_them(
    typed: str, model: str
) -> None:
    error = unknown(typed)
    assert f"{model} alone has these words" in error.message
    assert list(error.nearest) == [model]


@pytest.mark.parametrize(
    ("typed", "other"),
    [
        pytest.param("qwen3 17b", "qwen3.5-397b-a17b", id="active parameters"),
        pytest.param("qwen3.8-2b", "qwen3.8-2.4t-a95b", id="digits of two sizes"),
    ],
)
def test_a_name_of_another_size_is_not_told_the_one_with_its_digits(
    typed: str, other: str
) -> None:
    assert other not in unknown(typed).nearest


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        # as the cards of Anubis-70B-v1.1, Fimbulvetr-11B-v2 and Llama-3-ELYZA-JP-8B say
        pytest.param("anubis", "llama-3.3-70b-instruct", id="a line"),
        pytest.param("Fimbulvetr", "solar-10.7b-instruct-v1.0", id="in capitals"),
        pytest.param("elyza", "llama-3-8b-instruct", id="not the first word"),
    ],
)
def test_the_word_of_a_line_of_tunes_leads_to_its_model(typed: str, model: str) -> None:
    assert list(unknown(typed).nearest) == [model]


@pytest.mark.parametrize(
    "typed",
    ["minutes", "filter", "eval", "mxfp4", "prime", "moon", "translator"],
)
def test_a_common_word_in_a_long_name_of_a_tune_leads_to_no_model(typed: str) -> None:
    """Such a word is one of many in the name of a repository, which it does not mean."""
    assert "has the layers of" not in unknown(typed).message


@pytest.mark.parametrize(
    ("typed", "is_hinted"),
    [
        pytest.param("qwen3-abliterated-8b", True, id="the size apart"),
        pytest.param("qwen3-4b-abliterated-8b", False, id="two sizes"),
    ],
)
def test_a_tune_of_two_sizes_stands_for_no_model(typed: str, is_hinted: bool) -> None:
    assert ("made from qwen3-8b" in unknown(typed).message) is is_hinted


def test_an_error_of_another_process_still_finds_near_names() -> None:
    """A process of an audit sends its errors pickled."""
    error = unknown("mistrl-7b")
    sent = pickle.loads(pickle.dumps(error))
    assert (sent.message, sent.nearest) == (error.message, error.nearest)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("mistrl-7b", "mistral:7b", id="a letter left out"),
        pytest.param("gemma-33-27b", "gemma-3-27b-it", id="a digit too many"),
        pytest.param(
            "qwen2.5-coedr-7b-instruct", "qwen2.5-coder-7b-instruct", id="two swapped"
        ),
        pytest.param(
            "xistral-7b-instruct-v0.3",
            "mistral-7b-instruct-v0.3",
            id="the first letter",
        ),
        pytest.param(
            "mistral-7b-instruct-v0.4", "mistral-7b-instruct-v0.3", id="another release"
        ),
        pytest.param("llama3.1:9b", "llama3.1:8b", id="another size"),
    ],
)
def test_the_name_that_was_meant_is_among_the_nearest(typed: str, meant: str) -> None:
    near = unknown(typed).nearest
    ids = {resolve(name, open_catalogue()).spec_id for name in near}
    assert resolve(meant, open_catalogue()).spec_id in ids


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("qwen3-8c", "qwen3-8b", id="another letter behind a size"),
        pytest.param("qwen3-8v", "qwen3-8b", id="the key beside it"),
    ],
)
def test_a_name_of_as_many_words_is_nearest(typed: str, meant: str) -> None:
    """The nearest name was qwen3.8, of another family, which is one letter shorter."""
    nearest = unknown(typed).nearest[0]
    assert resolve(nearest, open_catalogue()).spec_id == meant


@pytest.mark.parametrize("name", ["ft", "mistral-7b-ft"])
def test_a_folder_of_that_name_is_told_how_to_judge(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name without `./` is none of a path, and the error did not say that a folder lies here.
    Whose names may not be paths is told nothing of the files.
    """
    monkeypatch.chdir(tmp_path)
    told = f"a folder of that name lies here:          selfhost check ./{name}\n"
    assert told not in (unknown(name).remedy or "")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert (unknown(name).remedy or "").startswith(told)
    assert told not in (unknown(names.NameOnly(name)).remedy or "")


def test_of_a_model_with_thousands_of_aliases_few_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (GOOD_SPECS / "closed-model.toml").read_text(encoding="utf-8")
    aliases = ", ".join(f'"al-iasof{number}"' for number in range(10_000))
    text = text.replace("[openness]", f"aliases = [{aliases}]\n\n[openness]", 1)
    (tmp_path / "closed-model.toml").write_text(text, encoding="utf-8")
    catalogue = open_catalogue([tmp_path])
    choices: list[int] = []

    def counted(_word: str, possibilities: Sized, **_: object) -> list[str]:
        choices.append(len(possibilities))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    with pytest.raises(UnknownModelError) as caught:
        resolve("al-iasofx1", catalogue)
    assert "al-iasof1" in caught.value.nearest
    (compared,) = choices
    assert compared < 10_000
    assert resolve("al-iasof9999", catalogue).spec_id == "closed-model"


@pytest.mark.parametrize("typed", ["mistrl", "gpt-oss-30b", "lama3"])
def test_each_near_name_leads_to_another_model(typed: str) -> None:
    """`gpt-oss:20b` and `gpt-oss-20b` are one model, which takes one place of few."""
    catalogue = open_catalogue()
    names = unknown(typed).nearest
    ids = [id_of(name, catalogue) or name for name in names]
    assert len(set(ids)) == len(names) > 1


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("nosuchmodel-{}x7", id="numbers-of-no-model"),
        pytest.param("nosuchmodel-{}-7b", id="a-usual-size"),
        pytest.param("acme/nosuchmodel-{}b-instruct", id="a-repository"),
        pytest.param("no such model {}", id="words"),
    ],
)
def test_an_unknown_name_is_compared_with_few_known_ones(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy may have thousands of them: what is known is prepared once, and then looked up."""
    unknown(form.format(0))
    compared = 0
    letters_of = names._letters_of
    is_slip = units.is_slip

    def counted_letters(name: str | None) -> str:
        nonlocal compared
        compared += 1
        return letters_of(name)

    def counted_slip(word: str, choice: str) -> bool:
        nonlocal compared
        compared += 1
        return is_slip(word, choice)

    monkeypatch.setattr(names, "_letters_of", counted_letters)
    monkeypatch.setattr(searching, "is_slip", counted_slip)
    for number in range(1, 101):
        unknown(form.format(number))
    known = len(open_catalogue().spellings())
    assert compared < 100 * known / 20


@pytest.mark.parametrize(
    ("typed", "family"),
    [
        pytest.param("meta", "llama", id="a developer"),
        pytest.param("Meta AI", "llama", id="with a word more"),
        pytest.param("facebook", "llama", id="its other name"),
        pytest.param("meta's models", "llama", id="what it published"),
        pytest.param("google deepmind", "gemma", id="a part of it"),
        pytest.param("stability", "stable-diffusion", id="a word less"),
        pytest.param("ibm", "granite", id="letters"),
        pytest.param("zai-org", "glm", id="an account"),
        pytest.param("xiaomi", "mimo", id="also in names of tunes"),
    ],
)
def test_a_maker_is_no_model(typed: str, family: str) -> None:
    """The answer names at most five models by the maker, which are open."""
    error = unknown(typed)
    assert isinstance(error, NotAModelError)
    assert error.kind == "maker"
    assert 1 <= len(error.nearest) <= 5
    catalogue = open_catalogue()
    assert not any(catalogue.outlines[id].closed for id in error.nearest)
    assert f"selfhost check {error.nearest[0]}" in (error.remedy or "")
    # the maker is the one that published that family
    maker = maker_called(error.maker or "", catalogue)
    assert maker is not None
    assert any(id.startswith(family) for id in maker.open_ids)


@pytest.mark.parametrize("typed", ["anthropic", "Anthropic's models"])
def test_a_maker_of_closed_models_has_none_to_run(typed: str) -> None:
    error = unknown(typed)
    assert isinstance(error, NotAModelError)
    assert error.nearest == ()
    assert "none by Anthropic" in error.message
    assert error.remedy == "selfhost list anthropic"


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("black", id="the first word of Black Forest Labs"),
        pytest.param("ai", id="a word that makers share"),
        pytest.param("meta/no-such", id="a repository"),
    ],
)
def test_other_names_are_no_maker(typed: str) -> None:
    assert getattr(unknown(typed), "kind", None) != "maker"


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        pytest.param("Meta's LLaMA", "meta llama", id="Meta"),
        pytest.param("Google’s Gemma", "google gemma", id="a typographic apostrophe"),
        pytest.param("OpenAI's gpt-oss-20b", "gpt-oss-20b", id="a model's id"),
    ],
)
def test_a_maker_in_the_possessive_stands_before_its_model(
    typed: str, model: str
) -> None:
    catalogue = open_catalogue()
    assert resolve(typed, catalogue).spec_id == resolve(model, catalogue).spec_id


@pytest.mark.parametrize("typed", ["openai gym", "gym", "openai/baselines", "sb3"])
def test_a_library_without_models_leaves_nothing_to_run(typed: str) -> None:
    error = unknown(typed)
    assert isinstance(error, NotAModelError)
    assert error.kind == "library"
    assert "nothing to run here" in error.message


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("r1 7b", "deepseek-r1-distill-qwen-7b", id="a size"),
        pytest.param("R1-8B", "deepseek-r1-0528-qwen3-8b", id="what Ollama has"),
        pytest.param("r1", "deepseek-r1", id="bare"),
        pytest.param("r1-1776", "r1-1776", id="another model"),
    ],
)
def test_r1_is_deepseeks(typed: str, meant: str) -> None:
    assert resolve(typed, open_catalogue()).spec_id == meant
