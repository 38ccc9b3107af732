"""What people type, and which model it is."""

from __future__ import annotations

import os
import pickle
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.each import each
from helpers.paths import TESTS
from selfhost.api import check
from selfhost.catalogue import unknown_names
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.lookup import CONVERTERS
from selfhost.catalogue.names import complete, id_of, resolve
from selfhost.catalogue.paths import is_path
from selfhost.core.errors import NotAModelError, UnknownModelError, WorkloadError
from selfhost.core.spelling import canonical, canonical_of_each
from selfhost.core.workload import Workload

CATALOGUE = Catalogue.open()
SPELLINGS = CATALOGUE.spellings()
PUBLIC_NAMES = TESTS / "names" / "public_names.toml"

MISTRAL = "mistral-7b-instruct-v0.3"
LLAMA = "llama-3.1-8b-instruct"

# typed, id, quantization; who writes it so stands beside each group
KNOWN = [
    # the contract
    ("mistral-7b", MISTRAL, None),
    ("mistralai/Mistral-7B-Instruct-v0.3", MISTRAL, None),
    ("mistral:7b", MISTRAL, None),
    ("llama3.1:8b-instruct-q4_K_M", LLAMA, "Q4_K_M"),
    ("gpt-4o", "gpt-4o", None),
    ("gpt-3.5-turbo", "gpt-3.5-turbo", None),
    ("ChatGPT", "chatgpt", None),
    ("opt-13b", "opt-13b", None),
    ("opt-1.3b", "opt-1.3b", None),
    # prose and product names
    ("Mistral 7B Instruct v0.3", MISTRAL, None),
    ("  Mistral-7B\n", MISTRAL, None),
    ("mistral\N{NON-BREAKING HYPHEN}7b", MISTRAL, None),
    ("mistral\N{NO-BREAK SPACE}7b", MISTRAL, None),
    ("mistral\N{ZERO WIDTH SPACE}-7b", MISTRAL, None),
    ("ｍｉｓｔｒａｌ－７ｂ", MISTRAL, None),
    ("GPT 4o", "gpt-4o", None),
    ("GPT2", "gpt2", None),
    ("gptj", "gpt-j-6b", None),
    ("GPTNeoX", "gpt-neox-20b", None),
    # tags of the Ollama library: <name>:<size>-<variant>-<quantization>, `latest`, `library/` and the site's own addresses
    ("mistral:latest", MISTRAL, None),
    ("library/mistral:7b", MISTRAL, None),
    ("https://ollama.com/library/mistral:7b", MISTRAL, None),
    ("registry.ollama.ai/library/mistral:7b", MISTRAL, None),
    ("mistral:7b-instruct-v0.3-q8_0", MISTRAL, "Q8_0"),
    ("gemma2:9b-instruct-q4_0", "gemma-2-9b-it", "Q4_0"),
    ("gemma3:4b-it-q4_K_M", "gemma-3-4b-it", "Q4_K_M"),
    ("qwen2.5:7b-instruct-fp16", "qwen2.5-7b-instruct", "F16"),
    ("mixtral:8x7b-instruct-v0.1-q3_K_S", "mixtral-8x7b-instruct-v0.1", "Q3_K_S"),
    ("gpt-oss:20b", "gpt-oss-20b", None),
    # repositories of Hugging Face: any case, web addresses, renamed ones, the publisher's own GGUF
    ("MISTRALAI/mistral-7b-instruct-V0.3", MISTRAL, None),
    ("https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3/tree/main", MISTRAL, None),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct", LLAMA, None),
    ("meta-llama/Llama-2-7b-chat", "llama-2-7b-chat", None),
    ("CohereForAI/c4ai-command-r-v01", "command-r-v01", None),
    ("THUDM/glm-4-9b-chat", "glm-4-9b-chat", None),
    ("openai-community/gpt2", "gpt2", None),
    # the first GPT goes by its repository's name, which is no maker before a family
    ("openai-community/openai-gpt", "openai-gpt", None),
    ("openai-gpt", "openai-gpt", None),
    ("GPT-1", "openai-gpt", None),
    ("Qwen/Qwen3-8B-GGUF:Q8_0", "qwen3-8b", "Q8_0"),
    # GGUF conversions: `ollama run hf.co/<repository>:<quantization>`, llama.cpp's -hf, a link to one file of it, LM Studio's @
    ("bartowski/Mistral-7B-Instruct-v0.3-GGUF", MISTRAL, None),
    ("bartowski/Mistral-7B-Instruct-v0.3-GGUF:Q4_K_M", MISTRAL, "Q4_K_M"),
    ("hf.co/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q5_K_M", LLAMA, "Q5_K_M"),
    ("huggingface.co/bartowski/google_gemma-3-4b-it-GGUF", "gemma-3-4b-it", None),
    ("bartowski/mistralai_Mistral-7B-Instruct-v0.3-GGUF", MISTRAL, None),
    ("lmstudio-community/gpt-oss-20b-GGUF", "gpt-oss-20b", None),
    ("TheBloke/Llama-2-7B-Chat-GGUF", "llama-2-7b-chat", None),
    ("mradermacher/Mistral-7B-Instruct-v0.2-i1-GGUF:IQ4_XS", "mistral-7b-instruct-v0.2", "IQ4_XS"),
    ("unsloth/gpt-oss-20b-GGUF:UD-Q4_K_XL", "gpt-oss-20b", "UD-Q4_K_XL"),
    ("unsloth/Meta-Llama-3.1-8B-Instruct", LLAMA, None),
    (
        "https://huggingface.co/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF/blob/main/Meta-Llama-3.1-8B-Instruct-Q6_K.gguf?download=true",
        LLAMA,
        "Q6_K",
    ),
    ("mistral-7b@q8_0", MISTRAL, "Q8_0"),
    # LM Studio's own short names: an account and no variant, which no repository of Hugging Face has
    ("google/gemma-3-12b", "gemma-3-12b-it", None),
    ("mistralai/mistral-small-3.2", "mistral-small-3.2-24b-instruct-2506", None),
    ("qwen/qwen3-4b-2507", "qwen3-4b-instruct-2507", None),
    ("qwen/qwen3-coder-30b", "qwen3-coder-30b-a3b-instruct", None),
    ("openai/gpt-oss-20b", "gpt-oss-20b", None),
    # base models, under their own names: llama-2-7b alone means the chat model, as Ollama's llama2 does
    ("mistralai/Mistral-7B-v0.3", "mistral-7b-v0.3", None),
    ("TheBloke/Llama-2-7B-GGUF", "llama-2-7b-base", None),
    # tags of the Ollama library without a size, and of sizes that are no distilled model
    ("llama3:instruct", "llama-3-8b-instruct", None),
    ("llama2:chat", "llama-2-7b-chat", None),
    ("deepseek-r1:671b", "deepseek-r1-0528", None),
    ("qwen3-coder:30b", "qwen3-coder-30b-a3b-instruct", None),
    (
        "llava:7b",
        "llava-v1.6-mistral-7b",
        None,
    ),  # LLaVA 1.6, as bare llava; 1.5 has its number in every name
    ("llava:13b", "llava-v1.6-vicuna-13b", None),
    ("llava-1.5-13b", "llava-1.5-13b", None),
    ("phi4", "phi-4", None),
    ("mxbai-embed-large", "mxbai-embed-large-v1", None),
    # sizes and variants in Ollama's words
    ("llama3.2-vision:90b", "llama-3.2-90b-vision-instruct", None),
    ("llama4:128x17b", "llama-4-maverick-17b-128e-instruct", None),
    ("mistral-small:22b", "mistral-small-instruct-2409", None),
    ("mistral-small3.2:24b-instruct-2506-q4_K_M", "mistral-small-3.2-24b-instruct-2506", "Q4_K_M"),
    ("codestral:22b", "codestral-22b-v0.1", None),
    ("phi:2.7b", "phi-2", None),
    ("phi3:3.8b-mini-4k-instruct-q5_K_M", "phi-3-mini-4k-instruct", "Q5_K_M"),
    ("granite4:tiny-h", "granite-4.0-h-tiny", None),
    ("all-minilm:22m-l6-v2-fp16", "all-minilm-l6-v2", "F16"),
    ("all-minilm:33m", "all-minilm-l12-v2", None),
    ("qwen3:4b-instruct-2507-q4_K_M", "qwen3-4b-instruct-2507", "Q4_K_M"),
    ("qwen:110b", "qwen1.5-110b-chat", None),
    ("qwen:7b", "qwen1.5-7b-chat", None),
    # a line and a size, where that leaves one model or a newest
    ("llama 70b", "llama-3.3-70b-instruct", None),
    ("Gemini 2.5", "gemini-2.5-pro", None),
    ("gptoss", "gpt-oss-20b", None),
    # speech and images, as people call them
    ("ggml-base.en", "whisper-base.en", None),
    ("whisper turbo", "whisper-large-v3-turbo", None),
    ("SDXL", "sdxl-base-1.0", None),
    ("Stable Diffusion 1.5", "stable-diffusion-1.5", None),
    ("flux.1 schnell", "flux.1-schnell", None),
    # resellers of APIs: OpenRouter writes x-ai for xAI, anthropic, google, mistralai
    ("openai/gpt-4o", "gpt-4o", None),
    ("x-ai/grok-4", "grok-4", None),
    ("anthropic/claude-3.5-sonnet", "claude-3.5-sonnet", None),
    ("google/gemini-2.5-pro", "gemini-2.5-pro", None),
    # OpenRouter's word for who serves the same model and how; Google's API; Mistral's API
    ("openai/gpt-oss-20b:free", "gpt-oss-20b", None),
    ("anthropic/claude-3.5-sonnet:nitro", "claude-3.5-sonnet", None),
    ("models/gemini-1.5-pro", "gemini-1.5-pro", None),
    ("open-mistral-7b", MISTRAL, None),
    ("open-mixtral-8x7b", "mixtral-8x7b-instruct-v0.1", None),
    # prose with the maker's name in front, and what people call hosted models
    ("Meta Llama 3", "llama-3-8b-instruct", None),
    ("Meta Llama 3.1 8B", LLAMA, None),
    ("Google Gemma 3 4B", "gemma-3-4b-it", None),
    ("Mistral AI Mistral 7B", MISTRAL, None),
    ("OpenAI o1", "o1", None),
    ("gpt-35-turbo-16k", "gpt-3.5-turbo", None),
    ("gpt-o1", "o1", None),
    ("gpt-4v", "gpt-4-turbo", None),
    ("Claude 3", "claude-3-opus", None),
    # repositories that were removed, and xAI's two with weights
    ("runwayml/stable-diffusion-v1-5", "stable-diffusion-1.5", None),
    ("xai-org/grok-1", "grok-1", None),
    ("grok-2", "grok-2", None),
    # snapshots of closed models, as the providers' own lists of models write them
    ("claude-3-opus", "claude-3-opus", None),
    ("claude-3-opus-20240229", "claude-3-opus", None),
    ("claude-3-5-sonnet-latest", "claude-3.5-sonnet", None),
    ("claude-sonnet-4-20250514", "claude-sonnet-4", None),
    ("gpt-4o-2024-08-06", "gpt-4o", None),
    ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", None),
    ("gpt-4-0613", "gpt-4", None),
    ("gpt-4-1106-preview", "gpt-4-turbo", None),
    ("gpt-3.5-turbo-1106", "gpt-3.5-turbo", None),
    ("gpt-3.5-turbo-16k", "gpt-3.5-turbo", None),
    ("gemini-1.5-pro-002", "gemini-1.5-pro", None),
]


# what Ollama loads by a name that means another model elsewhere: `ollama list` of public pages gives both names one id (deepseek-r1:latest
# and :8b 6995872bfe4c, gemma:latest and :instruct a72c7f4d0a15, granite4:latest and :micro 4235724a127c), and the manifest of qwen is
# that of qwen:4b (josh/ollama-models-nix@511fbd5b)
IN_OLLAMA = [
    ("deepseek-r1", "deepseek-r1", "deepseek-r1-0528-qwen3-8b"),
    ("gemma", "gemma-4-e4b-it", "gemma-7b-it"),
    ("qwen", "qwen3.5-9b", "qwen1.5-4b-chat"),
    ("phi", "phi-4", "phi-2"),
    ("granite4", "granite-4.0-micro", "granite-4.0-micro"),
    ("mistral", MISTRAL, MISTRAL),
    ("codestral", "codestral-22b-v0.1", "codestral-22b-v0.1"),
    ("deepseek-coder", "deepseek-coder-v2-lite-instruct", "deepseek-coder-1.3b-instruct"),
    ("starcoder", "starcoder2-15b", "starcoderbase-3b"),
    ("r1-1776", "r1-1776", "r1-1776-distill-llama-70b"),
    ("aya", "aya-expanse-8b", "aya-23-8b"),
]


def answer_to(name: str) -> tuple[str, ...]:
    """What public_names.toml says of a name: id, quantization and runtime; the command; what it is; nothing."""
    try:
        resolution = resolve(name, CATALOGUE)
    except NotAModelError as error:
        return (error.kind,)
    except UnknownModelError as error:
        command = re.search(r"selfhost check (?!\./)[^N].*", (error.remedy or ""))
        return (command[0],) if command else ()
    return (resolution.spec_id, resolution.quantization or "", resolution.runtime or "")


@pytest.mark.parametrize(
    ("typed", "quantization"),
    [
        # in notes of people who run these lines; llama-server's router drops the prefix
        ("hf.co/unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF:Q4_K_XL", "UD-Q4_K_XL"),
        ("unsloth/Qwen3.6-35B-A3B-MTP-GGUF:Q4_K_XL", "UD-Q4_K_XL"),
        ("llama-server -hf unsloth/gemma-3-4b-it-GGUF:Q4_K_XL", "UD-Q4_K_XL"),
        # types that the account's listings have with the prefix alone
        ("unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:q3_k_xl", "UD-Q3_K_XL"),
        ("unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:IQ2_M", "UD-IQ2_M"),
        ("unsloth/DeepSeek-V3.1-GGUF:TQ1_0", "UD-TQ1_0"),
        ("unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL", "UD-Q4_K_XL"),
        # and those that it has without
        ("unsloth/Qwen3-8B-GGUF:Q4_K_M", "Q4_K_M"),
        ("unsloth/Qwen3-8B-GGUF:Q2_K_L", "Q2_K_L"),
        # bartowski's mix of that name is another, and nobody's prefix
        ("bartowski/Qwen_Qwen3-8B-GGUF:Q3_K_XL", "Q3_K_XL"),
        ("bartowski/Qwen_Qwen3-8B-GGUF:IQ2_M", "IQ2_M"),
    ],
)
def test_a_type_is_the_file_that_the_account_has_of_it(typed: str, quantization: str) -> None:
    """Hugging Face's and llama.cpp's programs load the file whose name holds the tag."""
    assert resolve(typed, CATALOGUE).quantization == quantization


@pytest.mark.parametrize(
    ("typed", "latin"),
    [
        ("通义千问", "qwen"),
        ("千问3", "qwen3"),
        ("通义千问2.5-7b", "qwen2.5-7b"),
        ("лама 3.1 8b", "llama 3.1 8b"),
        # the last letter is Latin; a Cyrillic one in a Latin word
        ("лам\N{LATIN SMALL LETTER A}", "llama"),
        ("ll\N{CYRILLIC SMALL LETTER A}ma-3.2-1b", "llama-3.2-1b"),
        ("딥시크 r1", "deepseek r1"),
        ("ジェマ 3", "gemma 3"),
        ("ديب سيك", "deepseek"),
    ],
)
def test_a_name_in_another_script_is_that_in_latin_letters(typed: str, latin: str) -> None:
    """The answer says how it was read."""
    resolution, same = resolve(typed, CATALOGUE), resolve(latin, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (same.spec_id, same.quantization)
    assert f"is read as {latin}." in resolution.notes[0]


@pytest.mark.parametrize("typed", ["什么", "мама", "千问什么"])
def test_words_in_another_script_that_hold_more_than_a_name_mean_none(typed: str) -> None:
    """Only a whole name is read in Latin letters."""
    with pytest.raises(UnknownModelError):
        resolve(typed, CATALOGUE)


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        # their model cards: tuned from these
        ("swallow", "qwen3-8b"),
        ("elyza", "llama-3-8b-instruct"),
        ("sea-lion", "gemma-3-4b-it"),
        ("pllum", "mistral-nemo-instruct-2407"),
        ("t-pro", "qwen3-32b"),
        ("sauerkrautlm", "mistral-nemo-instruct-2407"),
        ("lunaris", "llama-3-8b-instruct"),
        # an account
        ("cyberagent", "mistral-nemo-instruct-2407"),
    ],
)
def test_the_name_of_a_line_leads_to_what_its_tunes_are_made_from(typed: str, model: str) -> None:
    """A line is tuned from several models, so nothing is judged: the answer names those whose layers listed ones have."""
    with pytest.raises(UnknownModelError, match="has the layers of") as caught:
        resolve(typed, CATALOGUE)
    assert model in caught.value.nearest


@pytest.mark.parametrize("typed", ["instruct", "chat", "the", "mini it"])
def test_a_word_of_many_names_leads_to_none(typed: str) -> None:
    """It says nothing of which model is meant."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert not caught.value.nearest


@pytest.mark.parametrize(
    "group", ["reports", "kinds", "strangers", "asked", "fresh", "listed", "regions"]
)
def test_public_names_are_answered_as_judged_by_eye(group: str) -> None:
    """The names of public reports, and well-known names of models that write no text, with the answer that is right for each."""
    names = tomllib.loads(PUBLIC_NAMES.read_text(encoding="utf-8"))[group]
    right: dict[str, tuple[str, ...]] = {}
    for kind in ("resolves", "leads", "things"):
        for part in names.get(kind, ()):
            assert part["why"]
            right |= {name: tuple(answer) for name, *answer in part["names"]}
    for part in names.get("unknown", ()):
        right |= dict.fromkeys(part["names"], ())
    misses = [
        f"{name}: {' '.join(answer) or 'unknown'}, not {' '.join(right[name]) or 'unknown'}"
        for name in right
        if (answer := answer_to(name)) != right[name]
    ]
    assert not misses, "\n".join(misses)


def test_four_of_five_names_in_public_reports_are_models() -> None:
    """What people report is what they type: few of it leads nowhere."""
    names = tomllib.loads(PUBLIC_NAMES.read_text(encoding="utf-8"))["reports"]
    counts = {kind: sum(len(part["names"]) for part in names[kind]) for kind in names}
    total = sum(counts.values())
    assert counts["resolves"] >= 0.8 * total
    assert counts["unknown"] <= 0.05 * total


@pytest.mark.parametrize(("name", "meant", "loaded"), IN_OLLAMA)
def test_a_name_that_means_another_model_in_ollama_says_so(
    name: str, meant: str, loaded: str
) -> None:
    """The contract: ambiguity is told. Written as only Ollama writes it the name is what Ollama loads, and the other one is told."""
    plain = resolve(name, CATALOGUE)
    assert plain.spec_id == meant
    assert any(loaded in note for note in plain.notes if note.startswith("Ollama")) is (
        loaded != meant
    )
    for typed in (
        f"{name}:latest",
        f"library/{name}",
        f"https://ollama.com/library/{name}",
        f"registry.ollama.ai/library/{name}:latest",
    ):
        found = resolve(typed, CATALOGUE)
        assert found.spec_id == loaded
        assert any(f"elsewhere the name means {meant}" in note for note in found.notes) is (
            loaded != meant
        )


@pytest.mark.parametrize("name", ["nuextract", "stable-code"])
def test_what_ollama_loads_by_a_name_may_be_no_model_that_is_known(name: str) -> None:
    """nuextract:latest is the 3.8B of Phi-3.5: it is not taken for the model that the name means here."""
    assert "not in the catalogue" in " ".join(resolve(name, CATALOGUE).notes)
    with pytest.raises(UnknownModelError, match="which is not in the catalogue") as caught:
        resolve(f"{name}:latest", CATALOGUE)
    assert resolve(name, CATALOGUE).spec_id in caught.value.nearest
    if name == "nuextract":
        assert "phi-3.5-mini-instruct" in caught.value.nearest
        assert "as much as phi-3.5-mini-instruct" in " ".join(resolve(name, CATALOGUE).notes)


# what the tags of 2026-08-21 load, by their digests (auditomatic/ollama-models-registry@31464bb)
TAGS = {
    "magistral:24b": "magistral-small-2506",
    "mistral-large:123b": "mistral-large-instruct-2411",
    "deepseek-v2:16b": "deepseek-v2-lite-chat",
    "deepseek-v3:671b": "deepseek-v3",
    "phi4-mini:3.8b": "phi-4-mini-instruct",
    "command-r:35b": "command-r-08-2024",
    "mixtral:v0.1": "mixtral-8x22b-instruct-v0.1",
    "granite4:32b-a9b-h": "granite-4.0-h-small",
    "yi:9b": "yi-1.5-9b-chat",
}


@pytest.mark.parametrize(("tag", "spec_id"), TAGS.items())
def test_a_tag_of_ollamas_library_leads_to_what_it_loads(tag: str, spec_id: str) -> None:
    """A tag that Ollama lists is the model of the same digest."""
    assert resolve(tag, CATALOGUE).spec_id == spec_id


@pytest.mark.parametrize(
    ("typed", "spec_id", "words"),
    [
        # 4,096 and 131,072 tokens of context, weights of one size: phi3:3.8b-mini-128k-instruct-q4_0 has its digest
        (
            "phi3:mini",
            "phi-3-mini-128k-instruct",
            "elsewhere the name means phi-3-mini-4k-instruct",
        ),
        ("qwen3:4b", "qwen3-4b-thinking-2507", "elsewhere the name means qwen3-4b"),
        ("qwen3-4b", "qwen3-4b", "loads another model: qwen3-4b-thinking-2507"),
        ("yi:6b", "yi-1.5-6b-chat", "elsewhere the name means yi-6b-chat"),
        ("qwen-7b", "qwen1.5-7b-chat", "Qwen/Qwen-7B, is another model"),
        ("codex", "gpt-5.3-codex", "OpenAI's program"),
        ("text-davinci-003", "gpt-3.5-turbo-instruct", "a hosted GPT-3.5, no GPT-3"),
        ("llama-7b", "llama-7b", "first LLaMA, of February 2023"),
        ("starcoder", "starcoder2-15b", "starcoderbase-3b"),
    ],
)
def test_a_name_that_others_use_for_another_model_says_so(
    typed: str, spec_id: str, words: str
) -> None:
    """Who means the other model reads that this is not it."""
    answer = resolve(typed, CATALOGUE)
    assert answer.spec_id == spec_id
    assert words in " ".join(answer.notes)


@pytest.mark.parametrize(
    ("family", "spec_id"),
    [
        ("falcon", "falcon-h1-7b-instruct"),
        ("smollm", "smollm3-3b"),
        ("deepseek", "deepseek-v4-flash-0731"),
        ("granite", "granite-4.2-8b"),
        # no row of specs/common/families.toml names these: their specs do
        ("ui-mate", "ui-mate-9b"),
        ("fara", "fara1.5-9b"),
        ("macaron", "macaron-v1-venti"),
        ("vibethinker", "vibethinker-3b"),
        ("granite-4.0", "granite-4.0-h-tiny"),
        ("internvl2", "internvl2-8b"),
    ],
)
def test_a_bare_family_is_its_current_generation(family: str, spec_id: str) -> None:
    """The newest generation that the publisher has, at a size that is judged in full."""
    assert resolve(family, CATALOGUE).spec_id == spec_id


def test_a_tag_means_what_ollama_loads_by_it() -> None:
    """`ollama run qwen3:30b` starts the thinking model: no other model answers to the tag or
    prints it.
    """
    tags = CATALOGUE.common_tables("families", "tag")
    loaded_by_tag = {tag: facts["loads"] for tag, facts in tags.values()}
    assert {"qwen3:30b", "qwen3-vl:8b", "yi:34b", "phi3:mini"} <= set(loaded_by_tag)
    for tag, loaded in loaded_by_tag.items():
        if loaded in CATALOGUE:
            assert resolve(tag, CATALOGUE).spec_id == loaded, tag
            assert resolve(f"library/{tag}", CATALOGUE).spec_id == loaded, tag
    disowned = {
        (outline.id, alias)
        for outline in CATALOGUE.outlines()
        for alias in CATALOGUE.spec(outline.id).aliases
        if loaded_by_tag.get(alias, outline.id) != outline.id
    }
    assert not disowned


@pytest.mark.parametrize("tag", ["mistral:text", "mistral:7b-text-v0.2", "library/mistral:text"])
def test_a_base_model_without_a_spec_is_not_the_tuned_one_of_another_version(tag: str) -> None:
    """mistral:text is the base of v0.2 (its digest and 16K, not v0.3): Instruct v0.3 is no answer."""
    with pytest.raises(UnknownModelError, match=r"is mistral-7b-v0\.2, which is not in") as caught:
        resolve(tag, CATALOGUE)
    assert caught.value.nearest[0] == "mistral-7b-instruct-v0.2"


def test_every_tag_with_a_quantization_of_its_own_is_a_model() -> None:
    """What Ollama's runtime file says of a tag can be asked about by that tag."""
    tags = CATALOGUE.runtime("ollama").tags
    assert tags
    for tag in tags:
        assert resolve(tag if ":" in tag else f"{tag}:latest", CATALOGUE).spec_id in CATALOGUE


@each(("typed", "spec_id", "quantization"), KNOWN)
def test_the_names_that_others_print_are_understood(
    typed: str, spec_id: str, quantization: str | None
) -> None:
    """A name copied from a web page, a model hub, a tool's documentation or the contract leads to that model."""
    found = resolve(typed, CATALOGUE)
    assert (found.spec_id, found.quantization) == (spec_id, quantization)


@each(
    "typed",
    [
        "opt-1.4b",
        "opt-130b",
        "opt-131b",
        "llama-3.1-9b",
        "llama-27b",  # two digits with a unit behind are a size
        "qwen34b",
        "gemma-27",  # no family has that version
        "llama-3.9-8b",
        "mistral-7b-instruct-v0.4",
        "mistral-77b",
        "mistrall-7b",
        "gpt-oss-21b",
        "qwen3-80b",
        "gpt-4o-2024-13-45",  # no date
        "someone/gpt-4o",  # weights of that name are somebody's own
        "mistral-7b-0613",  # of open models another date is other weights
        "deepseek-v3-2024-12-26",
        "someone/mistral-7b-instruct-v0.3",  # a fine-tune may go by this name
        "someone/mistral-7b-instruct-v0.3:free",
        "models/llama-3.1-8b",  # Google's API serves Google's
        "Google Llama 3.1 8B",  # not its maker
        "Meta 3",
        "someone/Mistral-7B-Instruct-v0.3-GGUF",
        "bartowski/Mistral-7B-Instruct-v0.3-abliterated-GGUF",
        "TheBloke/Mistral-7B-Instruct-v0.2-EXL2",
        "mistral-7b:banana",
        "",
        "   ",
        "---",
        "a",
        "\x00",
        "mistral\x007b",
        "\x1b[31mmistral-7b",
        "🦙",
        "なにか",
        "..",
        "/",
        ":latest",
        ":q4_0",
        "x" * 10_240,
        "opt-" * 2_500,
        "q4_0" * 2_500,
        "/" * 10_240,
    ],
)
def test_what_is_not_known_stays_unknown(typed: str) -> None:
    """A slip, another size, somebody's fine-tune and rubbish are errors with a remedy, short and printable: nothing is corrected."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert caught.value.remedy


def test_a_family_of_that_name_is_meant_and_none_that_has_it_later() -> None:
    """StepFun's Step3 writes text: ACE-Step, which makes music, is not near to it."""
    with pytest.raises(UnknownModelError, match="Did you mean: step") as caught:
        resolve("step3", CATALOGUE)
    near = [resolve(name, CATALOGUE).spec_id for name in caught.value.nearest]
    assert near == ["step-3.7-flash", "step-3.5-flash"]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("mistrall-7b", MISTRAL),
        ("lama-3.1-8b", LLAMA),
        ("opt-1.4b", "opt-1.3b"),
        ("gemna-2-9b", "gemma-2-9b-it"),
        ("whisper-larg-v3", "whisper-large-v3"),
    ],
)
def test_the_error_lists_the_nearest_names(typed: str, wanted: str) -> None:
    """A slip in a word or a wrong size shows the model that was meant, first ones first, five at most, each a name that works."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    nearest = caught.value.nearest
    assert wanted in [resolve(name, CATALOGUE).spec_id for name in nearest]
    assert len(nearest) <= 5


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        # two letters swapped
        ("gtp2", "gpt2"),
        ("gtp-4o", "gpt-4o"),
        ("GTP-3.5 Turbo", "gpt-3.5-turbo"),
        ("chatpgt", "chatgpt"),
        ("otp-1.3b", "opt-1.3b"),
        ("llmaa", LLAMA),
        ("whisepr", "whisper-large-v3-turbo"),
        # a letter too many, too few, doubled in the wrong place, or another
        ("lamma3", "llama-3-8b-instruct"),
        ("gema", "gemma-4-e4b-it"),
        ("falcn", "falcon-h1-7b-instruct"),
        ("claud", "claude"),
        ("quen3", "qwen3-8b"),
        ("gpt-2-xll", "gpt2-xl"),
    ],
)
def test_a_slip_of_one_name_alone_is_not_lost_among_lookalikes(typed: str, wanted: str) -> None:
    """Where the numbers are right and a word is a slip, that name is the only suggestion; the answer stays exit 2, nothing is corrected."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert [resolve(name, CATALOGUE).spec_id for name in caught.value.nearest] == [wanted]


@pytest.mark.parametrize("typed", ["gpt-9-xl", "opt-14b", "gpt-image-7"])
def test_another_number_is_another_model(typed: str) -> None:
    """A number that no model has is no slip: nothing is suggested as if it were sure, only the family's nearest, several of them."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert len(caught.value.nearest) > 1


@pytest.mark.parametrize(
    ("typed", "tuned"),
    [
        ("meta-llama/Meta-Llama-3-8B", "llama-3-8b-instruct"),
        ("meta-llama/Llama-3.1-8B", LLAMA),
        ("meta-llama/Meta-Llama-3-70B", "llama-3-70b-instruct"),
        ("Qwen/Qwen2.5-7B", "qwen2.5-7b-instruct"),
        ("google/gemma-2-2b", "gemma-2-2b-it"),
        ("google/gemma-4-12B", "gemma-4-12b-it"),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b-instruct-v0.1"),
        ("tiiuae/falcon-7b", "falcon-7b-instruct"),
        ("Qwen/Qwen3-8B-Base", "qwen3-8b"),
        ("bartowski/Llama-3.2-1B-GGUF", "llama-3.2-1b-instruct"),
        ("Qwen3.5-0.8B-Base-Q4_0.gguf", "qwen3.5-0.8b"),
        # Ollama's word for it
        ("llama3:8b-text", "llama-3-8b-instruct"),
        ("qwen2.5-coder:7b-base", "qwen2.5-coder-7b-instruct"),
    ],
)
def test_a_base_model_is_answered_by_what_was_tuned_from_it(typed: str, tuned: str) -> None:
    """It is another model of the same needs, and the answer says so."""
    resolution = resolve(typed, CATALOGUE)
    assert resolution.spec_id == tuned
    assert f"{typed} is the base model that {tuned} was tuned from" in " ".join(resolution.notes)


@pytest.mark.parametrize("typed", ["Qwen/Qwen2.5-7B", "llama3:8b-text", "Qwen3-8B-Base"])
def test_a_base_model_on_a_disk_is_not_the_tuned_one(typed: str) -> None:
    """Whoever has the base model has not the one that follows instructions."""
    assert id_of(typed, CATALOGUE) is None


def test_a_larger_model_that_one_was_pruned_from_is_no_base_of_its_size() -> None:
    """Nemotron Nano 9B v2 was cut from the 12B: its needs are not those of the 12B."""
    larger = resolve("nvidia/NVIDIA-Nemotron-Nano-12B-v2", CATALOGUE).spec_id
    assert larger == "nemotron-nano-12b-v2"


@pytest.mark.parametrize(
    "typed",
    [
        "opus-tts-en-fr",
        "OS-Copilot_OS-Sheepdog-9B-Q4_K_M.gguf",
    ],
)
def test_a_hint_is_of_the_same_kind_or_absent(typed: str) -> None:
    """A voice of that name is no Claude Opus, and an account no family."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.nearest == ()


@pytest.mark.parametrize(
    "typed",
    [
        "no-such",
        "xyzzy",
        "banana-7b",
        "veo-turbo-preview",
        "🦙",
    ],
)
def test_no_unrelated_model_is_offered(typed: str) -> None:
    """A size, a word of every second name or a chance likeness in common is no reason to name a model."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.nearest == ()


@pytest.mark.parametrize(
    ("typed", "model", "format"),
    [
        ("TheBloke/Mistral-7B-Instruct-v0.2-EXL2", "mistral-7b-instruct-v0.2", "EXL2"),
        ("turboderp/gemma-3-12b-it-4.0bpw-exl3", "gemma-3-12b-it", "4.0bpw-exl3"),
    ],
)
def test_another_format_of_a_known_model_is_named_as_such(
    typed: str, model: str, format: str
) -> None:
    """A repository of another format is no unknown model: the error says which model, which format, and that not all is known of it."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert f"holds {model} in another format ({format}), " in str(caught.value)
    assert caught.value.nearest == (model,)


@pytest.mark.parametrize(
    ("typed", "model", "options"),
    [
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b-instruct", "--runtime vllm --quant awq"),
        (
            "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4",
            "qwen2.5-7b-instruct",
            "--runtime vllm --quant gptq",
        ),
        (
            "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8",
            "qwen2.5-7b-instruct",
            "--runtime vllm --quant gptq-8bit",
        ),
        ("Qwen/Qwen3-8B-FP8", "qwen3-8b", "--runtime vllm --quant fp8"),
        (
            "TheBloke/Mistral-7B-Instruct-v0.2-GPTQ",
            "mistral-7b-instruct-v0.2",
            "--runtime vllm --quant gptq",
        ),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", LLAMA, "--runtime vllm --quant awq"),
        # AutoRound packs 4 bits as GPTQ does
        # a card of Hugging Face that writes the bits so
        (
            "ISTA-DASLab/gemma-3-27b-it-GPTQ-4b-128g",
            "gemma-3-27b-it",
            "--runtime vllm --quant gptq",
        ),
        ("Lorbus/Qwen3.6-27B-int4-AutoRound", "qwen3.6-27b", "--runtime vllm --quant gptq"),
        (
            "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
            LLAMA,
            "--runtime transformers --quant nf4",
        ),
        (
            "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8",
            LLAMA,
            "--runtime vllm --quant w8a8",
        ),
        ("nvidia/Llama-3.1-8B-Instruct-NVFP4", LLAMA, "--runtime vllm --quant nvfp4"),
        ("nvidia/Llama-3.1-8B-Instruct-FP4", LLAMA, "--runtime vllm --quant nvfp4"),
    ],
)
def test_a_quantized_repository_leads_to_its_quantization(
    typed: str, model: str, options: str
) -> None:
    """What people download under such a name is judged in that form."""
    resolution = resolve(typed, CATALOGUE)
    assert resolution.spec_id == model
    assert f"--runtime {resolution.runtime} --quant {resolution.quantization}" == options


@pytest.mark.parametrize(
    ("typed", "model", "quantization", "runtime", "word"),
    [
        # Google's weights trained further for 4 bits, which it publishes as Q4_0
        ("gemma3:12b-it-qat", "gemma-3-12b-it", "QAT-Q4_0", None, "QAT"),
        ("google/gemma-3-12b-it-qat-q4_0-gguf", "gemma-3-12b-it", "QAT-Q4_0", None, "QAT"),
        ("unsloth/gemma-3-12b-it-qat-GGUF", "gemma-3-12b-it", "Q4_0", None, "QAT"),
        ("gemma-4-E2B-it-QAT-Q4_0.gguf", "gemma-4-e2b-it", "Q4_0", None, "QAT"),
        # one digest: auditomatic/ollama-models-registry@31464bb lists gemma4:12b-mlx and :12b-nvfp4 as 117d0d84cf2a
        ("gemma4:12b-mlx", "gemma-4-12b-it", "nvfp4", "mlx", "nvfp4"),
        ("qwen3.6:27b-mtp-q4_K_M", "qwen3.6-27b", "Q4_K_M", None, "multi-token"),
        (
            "unsloth/Qwen3.6-27B-MTP-GGUF:UD-Q4_K_XL",
            "qwen3.6-27b",
            "UD-Q4_K_XL",
            None,
            "multi-token",
        ),
        ("unsloth/Qwen3.6-27B-UD-MLX-4bit", "qwen3.6-27b", "4bit", "mlx", "more bits"),
        ("gpt-oss:20b-cloud", "gpt-oss-20b", None, None, "Ollama's servers"),
    ],
)
def test_what_else_was_done_to_the_files_is_told(
    typed: str, model: str, quantization: str | None, runtime: str | None, word: str
) -> None:
    """The form is judged, and a note says where the files differ from plain ones."""
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization, resolution.runtime) == (
        model,
        quantization,
        runtime,
    )
    assert word in " ".join(resolution.notes)


@pytest.mark.parametrize(
    "tag", ["gemma4:12b-mlx", "gemma4:12b-nvfp4", "qwen3.5:9b-mxfp8", "gpt-oss:20b-mlx"]
)
def test_ollama_runs_its_own_tags_of_mlx(tag: str) -> None:
    """`--runtime ollama` beside one was an error; on macOS Ollama has MLX in it (ollama/ollama@fb307609, docs/development.md), elsewhere its other files are judged."""
    asked = Workload(runtime="ollama")
    there = check(tag, asked, machine="macbook pro m4 max 64gb")
    assert there.workload.quantization == ("mxfp8" if tag.endswith("mxfp8") else "nvfp4")
    assert there.commands[-1].endswith(f"ollama run {tag}")
    assert any(f"Ollama runs {tag} with the code of MLX LM" in note for note in there.understood_as)
    elsewhere = check(tag, asked, machine="rtx 3090 64gb")
    assert elsewhere.workload.runtime == "ollama"
    assert elsewhere.workload.format == "gguf"
    assert any("not judged for linux" in note for note in elsewhere.understood_as)


@pytest.mark.parametrize("runtime", ["transformers", "llama.cpp"])
def test_a_program_without_files_of_mlx_names_the_one_that_has_them(runtime: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        check("gemma4:12b-mlx", Workload(runtime=runtime), machine="macbook pro m4 max 64gb")
    assert "use --runtime vllm or mlx; with" in (caught.value.problems[0].remedy or "")


@pytest.mark.parametrize(
    ("typed", "repository"),
    [
        ("unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL", "unsloth/Qwen3-8B-GGUF"),
        (
            "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q6_K_L",
            "bartowski/Llama-3.2-3B-Instruct-GGUF",
        ),
        ("google/gemma-3-4b-it-qat-q4_0-gguf", "google/gemma-3-4b-it-qat-q4_0-gguf"),
        ("Qwen3-8B-GGUF", None),
        ("Qwen/Qwen3-8B", None),
    ],
)
def test_the_repository_that_was_typed_is_kept(typed: str, repository: str | None) -> None:
    """Whoever names the files wants a line that fetches those."""
    assert resolve(typed, CATALOGUE).repository == repository


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("DJLougen/Ornstein3.6-35B-A3B-GGUF", "selfhost check qwen3.6-35b-a3b"),
        (
            "Ornstein-Hermes-3.6-27b-MLX-8bit",
            "selfhost check qwen3.6-27b --runtime mlx --quant 8bit",
        ),
        ("Tess-4-35B-A3B-Q4_K_M.gguf", "selfhost check qwen3.6-35b-a3b --quant Q4_K_M"),
    ],
)
def test_a_size_that_one_architecture_has_leads_to_it(typed: str, command: str) -> None:
    """Version and size, or size and active size, are those of open models that need alike: a guess, told as one."""
    with pytest.raises(UnknownModelError, match="it may be made from") as caught:
        resolve(typed, CATALOGUE)
    assert (caught.value.remedy or "") == f"if so, it needs as much: {command}"


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("Altworld_Astrea-R8-Chat-9B-Q4_K_M.gguf", "selfhost check qwen3.5-9b --quant Q4_K_M"),
        ("Altworld/Astrea-R8-Chat-9B", "selfhost check qwen3.5-9b"),
        ("Astrea-R8-Chat-9B-MLX-4bit", "selfhost check qwen3.5-9b --runtime mlx --quant 4bit"),
    ],
)
def test_a_model_with_the_layers_of_a_catalogued_one_leads_to_it(typed: str, command: str) -> None:
    """Its name does not say what it is made from; its config.json, as somebody listed it, does (specs/common/alike.toml)."""
    with pytest.raises(UnknownModelError, match=r"it has the layers of qwen3\.5-9b") as caught:
        resolve(typed, CATALOGUE)
    assert (caught.value.remedy or "") == command


def test_what_is_listed_as_alike_leads_to_models_that_exist() -> None:
    """Each base is an open model, and no name is under two of them."""
    listed = CATALOGUE.common("alike")["alike"]
    assert all(model in CATALOGUE and not CATALOGUE.is_closed(model) for model in listed)
    names = [canonical(name) for repositories in listed.values() for name in repositories]
    assert len(set(names)) == len(names)
    assert all(
        re.fullmatch(r"(?:[\w.-]+/)?[\w.-]+|[\w.-]+:[\w.-]+", name)
        for part in listed.values()
        for name in part
    )


@pytest.mark.parametrize("typed", ["Llama-4.1-8B", "mistral-3.6-27b", "gemma-5-35B-A3B"])
def test_another_version_of_a_family_is_no_model_of_another_family(typed: str) -> None:
    """Granite 4.1 has 8B, Qwen3.6 27B: a Llama or a Mistral of that number is none of them."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert "may be made from" not in str(caught.value)


@pytest.mark.parametrize("typed", ["Darwin-30B-A3B", "Foo-9B", "Foo-2-9B"])
def test_a_size_that_differing_models_have_leads_nowhere(typed: str) -> None:
    """Qwen3 and Nemotron 3 both have 30B with 3B active, and need unlike; many have 9B."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert "may be made from" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "bits"),
    [
        ("mlx-community/Mistral-7B-Instruct-v0.3-4bit", "4bit"),
        ("Mistral-7B-Instruct-v0.3-4bit", "4bit"),
        ("mlx-community/Mistral-7B-Instruct-v0.3-MLX-8bit", "8bit"),
    ],
)
def test_a_repository_of_mlx_leads_to_the_runtime(typed: str, bits: str) -> None:
    """MLX names its conversions by their bits."""
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.runtime) == (MISTRAL, "mlx")
    assert resolution.quantization == bits


@pytest.mark.parametrize(
    ("typed", "model", "quantization"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "llama-3.2-1b-instruct", "Q4_K_M"),
        ("gemma-2-2b-it-Q4_K_M.gguf", "gemma-2-2b-it", "Q4_K_M"),
        ("HuggingFaceTB_SmolLM3-3B-Q4_K_M.gguf", "smollm3-3b", "Q4_K_M"),
        ("TinyLlama-1.1B-Chat-v1.0.i1-Q4_K_M.gguf", "tinyllama-1.1b-chat-v1.0", "Q4_K_M"),
        ("NVIDIA-Nemotron-3-Super-120B-A12B-Q4_K_M.gguf", "nemotron-3-super-120b-a12b", "Q4_K_M"),
        ("bartowski_gemma-2-2b-it-IQ4_XS.gguf", "gemma-2-2b-it", "IQ4_XS"),
        ("Mistral-7B-Instruct-v0.3.Q8_0.gguf", MISTRAL, "Q8_0"),
        ("Qwen3-30B-A3B-UD-Q4_K_XL.gguf", "qwen3-30b-a3b", "UD-Q4_K_XL"),
        ("Mistral-7B-Instruct-v0.3-Q4_K_M-00001-of-00002.gguf", MISTRAL, "Q4_K_M"),
        # the matrices beside the layers in 16 bits
        ("gemma-2-9b-it-Q4_K_M-fp16.gguf", "gemma-2-9b-it", "Q4_K_M"),
    ],
)
def test_the_name_of_a_published_file_is_a_model_and_a_quantization(
    typed: str, model: str, quantization: str
) -> None:
    """People paste names of files; no such file lies here."""
    assert not is_path(typed)
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (model, quantization)


def test_a_file_that_lies_here_stays_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name means the file where there is one, and where a folder is named."""
    monkeypatch.chdir(tmp_path)
    assert not is_path("gemma-2-2b-it-Q4_K_M.gguf")
    (tmp_path / "gemma-2-2b-it-Q4_K_M.gguf").touch()
    assert is_path("gemma-2-2b-it-Q4_K_M.gguf")
    assert is_path("./other-Q4_K_M.gguf")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("Qwen3.6-35B-A3B-uncensored", "selfhost check qwen3.6-35b-a3b"),
        ("Qwen3.6-35B-A3B-uncensored.Q3_K_M.gguf", "selfhost check qwen3.6-35b-a3b --quant Q3_K_M"),
        ("someone/Qwen3.5-9B-Claude-Distilled-GGUF", "selfhost check qwen3.5-9b"),
        ("ConicCat_Qwen3.5-27B-Writer-Q4_K_M.gguf", "selfhost check qwen3.5-27b --quant Q4_K_M"),
    ],
)
def test_a_fine_tune_leads_to_what_it_is_made_from(typed: str, command: str) -> None:
    """Its name holds a model and its size: it is refused, and the command that judges it is
    given.
    """
    with pytest.raises(
        UnknownModelError, match=r"if it is made from .*, as its name says"
    ) as caught:
        resolve(typed, CATALOGUE)
    assert (caught.value.remedy or "") == command


def test_a_line_that_runs_a_model_means_the_model() -> None:
    """As people paste it from a page; a flag behind it changes nothing."""
    for line, spec_id, quantization in (
        ("ollama run llama3.2", "llama-3.2-3b-instruct", None),
        ("ollama pull  qwen3:8b", "qwen3-8b", None),
        (
            "llama-server -c 4096 -hf bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M --port 80",
            "llama-3.2-3b-instruct",
            "Q4_K_M",
        ),
        ("vllm serve Qwen/Qwen3-8B --max-model-len 4096", "qwen3-8b", None),
        ("hf download Qwen/Qwen3-8B", "qwen3-8b", None),
    ):
        answer = resolve(line, CATALOGUE)
        assert (answer.spec_id, answer.quantization) == (spec_id, quantization), line


def test_a_tune_of_an_image_model_leads_to_its_base() -> None:
    """The makers of these say that they are tunes of SDXL."""
    for typed in ("pony", "Lykon/dreamshaper-xl-1-0"):
        with pytest.raises(UnknownModelError) as caught:
            resolve(typed, CATALOGUE)
        assert (caught.value.remedy or "") == "selfhost check sdxl-base-1.0", typed


def test_a_name_of_common_words_leads_to_those_that_begin_with_it() -> None:
    """e5-small was followed by e5-small-v2, which has its layers."""
    resolution = resolve("e5-small", CATALOGUE)
    assert resolution.spec_id == "e5-small-v2"
    assert "begins a longer name" in resolution.notes[0]


@pytest.mark.parametrize(
    ("typed", "spec_id", "others"),
    [
        ("kimi linear", "kimi-linear-48b-a3b-instruct", "the only one"),
        ("llama-3.3-nemotron-super-49b", "llama-3.3-nemotron-super-49b-v1", "the only one"),
        # two of one size, of 2024-08 and 2025-03 by AI21's announcements
        ("jamba mini", "jamba-mini-1.6", "also jamba-mini-1.5"),
    ],
)
def test_a_name_without_its_end_is_the_newest_of_one_size(
    typed: str, spec_id: str, others: str
) -> None:
    resolution = resolve(f"{typed} Q4_K_M", CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (spec_id, "Q4_K_M")
    assert spec_id in resolution.notes[0]
    assert others in resolution.notes[0]


# each is how several ids here begin, and none of the families was called so; Ollama's and Mistral's
# Nemo led to a tune of it "without its size"
@pytest.mark.parametrize(
    ("typed", "spec_id"),
    [
        ("internvl3", "internvl3-8b"),
        ("devstral-small", "devstral-small-2-24b-instruct-2512"),
        ("bge-small", "bge-small-en-v1.5"),
        ("deepseek-r1-distill-llama", "deepseek-r1-distill-llama-8b"),
        ("mxbai-rerank-large", "mxbai-rerank-large-v2"),
        ("nemo", "mistral-nemo-instruct-2407"),
    ],
)
def test_a_line_within_a_family_is_answered_for_its_newest(typed: str, spec_id: str) -> None:
    resolution = resolve(typed, CATALOGUE)
    assert resolution.spec_id == spec_id
    assert "selfhost list" in " ".join(resolution.notes)


@pytest.mark.parametrize("typed", ["opus-mt-en", "wan2.1-i2v-14b", "llama-nemotron"])
def test_models_for_different_things_have_no_usual_one(typed: str) -> None:
    """A language, a resolution and a kind of work are for the reader to choose."""
    with pytest.raises(UnknownModelError):
        resolve(typed, CATALOGUE)


def test_a_tune_leads_to_the_model_that_people_know() -> None:
    """Tunes of Llama 3 8B led to OpenBioLLM, another tune of it with the same layers."""
    for typed in ("Meditron3-8B", "llama-nemotron", "EPFLiGHT/Meditron3-8B"):
        with pytest.raises(UnknownModelError) as caught:
            resolve(typed, CATALOGUE)
        assert "selfhost check llama-3-8b-instruct" in (caught.value.remedy or ""), typed


@pytest.mark.parametrize("typed", ["qwythos-9", "ui-mate-27"])
def test_a_size_is_known_without_its_unit(typed: str) -> None:
    assert resolve(typed, CATALOGUE).spec_id == f"{typed}b"


def test_a_family_with_other_models_is_not_said_to_have_one() -> None:
    """Of each row that says “the only”: no other id begins with its name."""
    families = CATALOGUE.common("families")["family"]
    ids = {canonical(outline.id): outline.id for outline in CATALOGUE.outlines()}
    for name, family in families.items():
        if re.match(r"the only (one|size)\b(?! that)", family.get("why", "")):
            begun = [id for key, id in ids.items() if key.startswith(f"{canonical(name)}-")]
            tunes = ("nemotron", "arabic")
            others = [id for id in begun if not any(word in id for word in tunes)]
            assert set(others) <= {family["model"]}, name


# a Voyage 4 is no Voyage 4 nano, and Meta's Llama 3.1 comes in three sizes
@pytest.mark.parametrize("typed", ["voyage-4", "mimo v2", "qwen3-vl-instruct", "sd"])
def test_a_name_that_may_be_another_model_is_not_filled_up(typed: str) -> None:
    with pytest.raises(UnknownModelError):
        resolve(typed, CATALOGUE)


@pytest.mark.parametrize(
    ("typed", "spec_id"),
    [
        ("granite 4 h tiny", "granite-4.0-h-tiny"),
        ("exaone 4 32b", "exaone-4.0-32b"),
        ("llama 2.0 7b chat", "llama-2-7b-chat"),
        ("gemini 2 flash", "gemini-2.0-flash"),
    ],
)
def test_a_version_is_known_with_and_without_point_zero(typed: str, spec_id: str) -> None:
    assert resolve(typed, CATALOGUE).spec_id == spec_id


@pytest.mark.parametrize(
    ("typed", "maker"),
    [
        ("gpt-5.1-codex", "OpenAI"),
        ("openai/gpt-4o-mini-tts", "OpenAI"),
        ("gemini-embedding-001", "Google"),
        ("qwen3-max", "Alibaba"),
    ],
)
def test_a_name_of_a_hosted_line_is_said_to_have_no_weights(typed: str, maker: str) -> None:
    with pytest.raises(UnknownModelError, match=f"a line of {maker} .* without weights"):
        resolve(typed, CATALOGUE)


@pytest.mark.parametrize("typed", ["gpt4-alpaca-13b", "gpt4-x-alpaca", "someone/claude-x"])
def test_a_tune_named_for_a_hosted_model_is_none_of_its_line(typed: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert "without weights" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "spec_id", "quantization"),
    [
        # tags of Ollama's library and repositories of Hugging Face, their words joined otherwise
        ("gptoss:20b", "gpt-oss-20b", None),
        ("gptoss-120b", "gpt-oss-120b", None),
        ("library/gptoss:20b", "gpt-oss-20b", None),
        ("openai/gptoss-20b", "gpt-oss-20b", None),
        ("unsloth/gptoss-20b-GGUF:Q4_K_M", "gpt-oss-20b", "Q4_K_M"),
        ("deepseekr1:14b", "deepseek-r1-distill-qwen-14b", None),
        ("qwen3vl:8b", "qwen3-vl-8b-thinking", None),
        ("embedding gemma 300m", "embeddinggemma-300m", None),
        ("juggernautxl", "juggernaut-xl-v9", None),
    ],
    ids=str,
)
def test_a_name_with_its_words_joined_otherwise_is_the_same_model(
    typed: str, spec_id: str, quantization: str | None
) -> None:
    """It differs in no letter and no digit from a name that is known; a command names no
    repository of that spelling.
    """
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (spec_id, quantization)
    assert resolution.repository is None


def test_a_name_in_another_account_is_no_spelling_of_a_model() -> None:
    """An account of its own may hold other weights."""
    with pytest.raises(UnknownModelError):
        resolve("somebody/gptoss-20b", CATALOGUE)


@pytest.mark.parametrize(
    ("typed", "spec_id"),
    [
        ("qwen25-7b", "qwen2.5-7b-instruct"),
        ("llama31-8b", LLAMA),
        ("llama-31-8b", LLAMA),
        ("qwen25-coder-7b", "qwen2.5-coder-7b-instruct"),
        ("deepseek-v31", "deepseek-v3.1"),
        ("glm45-air", "glm-4.5-air"),
    ],
)
def test_a_version_without_its_point_is_read_and_said(typed: str, spec_id: str) -> None:
    """Names of functions and folders take no point. No model has version 31."""
    resolution = resolve(typed, CATALOGUE)
    assert resolution.spec_id == spec_id
    assert resolution.notes[0].startswith(f"{typed} is read as ")


@pytest.mark.parametrize(
    ("typed", "id", "quantization"),
    [
        ("qwen3-8b-instruct", "qwen3-8b", None),
        ("Qwen 3 8B Instruct", "qwen3-8b", None),
        ("gpt-oss-20b-instruct", "gpt-oss-20b", None),
        ("gemma-3-27b-instruct", "gemma-3-27b-it", None),
        ("llama-3.1-8b-chat-Q5_K_M", "llama-3.1-8b-instruct", "Q5_K_M"),
    ],
)
def test_the_word_for_a_tuned_model_may_stand_where_its_name_has_none(
    typed: str, id: str, quantization: str | None
) -> None:
    """Publishers stopped writing it: Qwen3 8B follows instructions, and no other model is called Qwen3 8B Instruct."""
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (id, quantization)
    assert "follows instructions" in resolution.notes[0]


@pytest.mark.parametrize("typed", ["acme/qwen3-8b-instruct", "bge-m3-instruct"])
def test_a_tune_of_somebody_and_what_follows_no_instructions_are_not_read_so(typed: str) -> None:
    with pytest.raises(UnknownModelError):
        resolve(typed, CATALOGUE)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("oss-20b", "gpt-oss-20b"),
        # the end of a name, of which a whole other one (Qwen 14B) is a part
        ("r1 distill qwen 14b", "deepseek-r1-distill-qwen-14b"),
        ("r1-distill-llama-70b", "deepseek-r1-distill-llama-70b"),
        ("r1 distill 32b", "deepseek-r1-distill-qwen-32b"),
        # one letter left out, before a tune of that name without its size
        ("qwn3:8b", "qwen3-8b"),
        ("lama3", "llama-3-8b-instruct"),
        ("wan 2.1 i2v 14b", "wan2.1-i2v-14b-480p"),
    ],
)
def test_a_hint_has_the_end_of_the_name_and_makes_the_same(typed: str, near: str) -> None:
    """What begins with another word may end alike; what starts from a picture is no text-to-video."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    nearest = [resolve(name, CATALOGUE).spec_id for name in caught.value.nearest]
    assert near in nearest
    assert not any("t2v" in name for name in nearest)


def test_a_slip_of_a_family_is_no_tune_of_that_name() -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve("lama3", CATALOGUE)
    assert list(caught.value.nearest) == ["llama-3"]
    assert "Eksi" not in str(caught.value)


@pytest.mark.parametrize(
    "typed", ["flux1-dev-fp8.safetensors", "flux1-dev-fp8-e4m3fn.safetensors", "FLUX.1-dev-fp8"]
)
def test_a_file_in_fp8_is_judged_in_the_type_of_gguf_that_is_as_large(typed: str) -> None:
    """flux1-dev-fp8.safetensors has 11.9 GB at Kijai/flux-fp8, flux1-dev-Q8_0.gguf 12.7 GB."""
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == ("flux.1-dev", "Q8_0")
    sizes = [float(size) for note in resolution.notes for size in re.findall(r"([\d.]+) GB", note)]
    assert sizes == [pytest.approx(11.9, rel=0.01)]


def test_a_file_in_fp8_that_nothing_loads_has_the_sizes_that_comfyui_files_have() -> None:
    """Lightricks/LTX-2: 18.9 billion parameters make the clip, a byte each."""
    with pytest.raises(UnknownModelError) as caught:
        resolve("ltx-2-19b-dev-fp8.safetensors", CATALOGUE)
    alone, _ = map(float, re.findall(r"([\d.]+) GB", str(caught.value)))
    assert alone == pytest.approx(18.9, rel=0.02)
    assert "vllm" not in str(caught.value.remedy)


@pytest.mark.parametrize(
    "typed", ["t5xxl_fp8_e4m3fn.safetensors", "clip_l.safetensors", "ae.safetensors"]
)
def test_a_part_that_comfyui_loads_beside_a_model_is_told_as_one(typed: str) -> None:
    with pytest.raises(NotAModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.kind == "part"


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        ("v1-5-pruned-emaonly-fp16.safetensors", "stable-diffusion-1.5"),
        ("playground-v2.5-1024px-aesthetic.fp16.safetensors", "playground-v2.5"),
    ],
)
def test_sixteen_bits_of_a_safetensors_file_are_no_type_of_a_gguf_file(
    typed: str, model: str
) -> None:
    resolution = resolve(typed, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (model, None)
    assert check(typed, machine="desktop-rtx4090-24gb").can_run


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        ("huihui qwen3 abliterated 14b", "qwen3-14b"),
        ("gemma3-uncensored-27b", "gemma-3-27b-it"),
    ],
)
def test_words_of_a_tune_between_family_and_size_hide_neither(typed: str, base: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert list(caught.value.nearest) == [base]


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        # config.json of inflatebot/MN-12B-Mag-Mell-R1 and Steelskull/L3.3-MS-Nevoria-70b
        ("mag mell 12b", "mistral-nemo-instruct-2407"),
        ("nevoria 70b", "llama-3.3-70b-instruct"),
    ],
)
def test_a_tune_is_known_by_its_own_words_and_its_size(typed: str, base: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.nearest == (base,)


def test_a_size_is_told_where_the_family_has_no_model_of_it() -> None:
    """anthracite-org/magnum-v3-34b: its card says 34B, Magnum v4 72B is more than twice as large."""
    with pytest.raises(UnknownModelError, match="34 billion parameters"):
        resolve("magnum-v3-34b", CATALOGUE)
    with pytest.raises(UnknownModelError) as caught:
        resolve("llama-3.9-8b", CATALOGUE)
    assert "billion" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        # a trillion in its name
        ("Ling-1T", "2,000 GB in 16 bits"),
        # the family has a 7B, of which it may be no tune
        ("DeepSeek-Prover-V2-7B", "14 GB in 16 bits"),
        # eyes and ears are not quantized with the rest
        ("step3-vl-10b", "about 20 GB of weights in 16 bits"),
        # fewer bits stand in front
        ("svdq-int4-flux.1-dev", "takes less"),
        # the maker writes OuteTTS as one word
        ("oute tts 1.0", "outetts-1.0-1b"),
        # nothing is near, but its kind is said
        ("contextual-rerank-v2", "list --use reranking"),
    ],
)
def test_a_name_alone_leads_on(typed: str, told: str) -> None:
    """Size, format, spelling and kind are read off a name whose model nobody knows."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert told in f"{caught.value} {caught.value.remedy}"


def test_bits_behind_qat_are_mlxs_with_and_without_the_account() -> None:
    """mlx-community publishes gemma-3-12b-it-qat-4bit; people leave its account off."""
    for typed in ("gemma-3-12b-it-qat-4bit", "mlx-community/gemma-3-12b-it-qat-4bit"):
        resolution = resolve(typed, CATALOGUE)
        assert resolution.spec_id == "gemma-3-12b-it"
        assert (resolution.runtime, resolution.quantization) == ("mlx", "4bit")


def test_the_latest_of_a_name_leads_to_the_newest_weights() -> None:
    """Mistral's API serves its newest model of a line under such a name."""
    with pytest.raises(UnknownModelError, match="an API serves its newest") as caught:
        resolve("mistral-small-latest", CATALOGUE)
    assert (caught.value.remedy or "").endswith("selfhost check mistral-small-4-119b-2603")


def test_the_type_of_a_projector_is_not_that_of_its_model() -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve("Qwen2.5-VL-7B-Instruct-mmproj-f16.gguf", CATALOGUE)
    assert (caught.value.remedy or "") == "selfhost check qwen2.5-vl-7b-instruct"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        # 6,979,588,096 weights of layers at 4 bits, 525,336,576 of the head at 6 and as many of the
        # table at 16: Llama 3.1 8B's shapes, and ExLlamaV2's doc/convert.md
        (
            "turboderp/Llama-3.1-8B-Instruct-exl2",
            "about 4.93 GB at 4 bits a weight or 6.68 GB at 6",
        ),
        ("someone/Llama-3.1-8B-Instruct-4.0bpw-h8-exl2", "about 5.07 GB at 4 bits a weight;"),
        ("someone/Llama-3.1-8B-Instruct-exl3-4.0bpw", "about 4.93 GB at 4 bits a weight;"),
    ],
)
def test_exl2_and_exl3_have_a_size_by_their_bits(typed: str, words: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert words in str(caught.value)
    assert "its memory is not known" in str(caught.value)


@pytest.mark.parametrize("typed", ["Qwen/Qwen2.5-7B-AWQ", "unsloth/llama-3-8b-bnb-4bit"])
def test_another_format_of_a_base_model_is_not_the_chat_model(typed: str) -> None:
    """A repository of weights that no spec describes is not said to hold those of their sibling."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert "holds" not in str(caught.value)


def test_another_publishers_copy_is_told_apart_but_named() -> None:
    """A repository of an unknown account is refused with the reason, and the model of that name is at hand."""
    with pytest.raises(UnknownModelError, match=r"someone.*may hold other weights") as caught:
        resolve("someone/Mistral-7B-Instruct-v0.3", CATALOGUE)
    assert caught.value.nearest == (MISTRAL,)


@pytest.mark.parametrize("typed", ["mistrl-7b", "tiktoken", "llama-7b-foo", "no-such-thing-at-all"])
def test_the_text_of_the_error_has_the_near_names(typed: str) -> None:
    """Whoever prints or logs the exception sees what was perhaps meant, as with Python's own; `message` is what is wrong alone."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    error = caught.value
    assert str(error).startswith(error.message)
    assert all(name in str(error) for name in error.nearest)
    assert ("Did you mean" in str(error)) is any(
        name not in error.message for name in error.nearest
    )


@pytest.mark.parametrize("typed", ["mistrl-7b", "tiktoken"])
def test_an_error_survives_a_process_pool(typed: str) -> None:
    """Pools pickle what a worker raised: it arrives whole, near names, kind and remedy included."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.args) == (
        type(caught.value),
        str(caught.value),
        caught.value.args,
    )
    assert (again.nearest, again.remedy) == (caught.value.nearest, caught.value.remedy)
    assert getattr(again, "kind", None) == getattr(caught.value, "kind", None)


def test_what_stands_around_a_name_does_not_hide_it() -> None:
    """Prefixes of LiteLLM (its documentation), Amazon Bedrock's ids, the effort that leaderboards add, a llamafile, brackets and the `v` of a version."""
    expected = {
        "ollama/qwen2.5-coder:14b": ("qwen2.5-coder-14b-instruct", None),
        "ollama/hermes3:8b-llama3.1-fp16": ("hermes-3-llama-3.1-8b", "F16"),
        "openrouter/qwen/qwen3-32b": ("qwen3-32b", None),
        "fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct": (
            "llama-3.1-70b-instruct",
            None,
        ),
        "bedrock/us.amazon.nova-pro-v1:0": ("amazon-nova-pro", None),
        "mistral.mistral-7b-instruct-v0:2": ("mistral-7b-instruct-v0.2", None),
        "gpt-oss-120b (high)": ("gpt-oss-120b", None),
        "DeepSeek R1 (0528)": ("deepseek-r1-0528", None),
        "Phi-3-mini-4k-instruct.F16.llamafile": ("phi-3-mini-4k-instruct", "F16"),
        "llama-v2-7b-chat": ("llama-2-7b-chat", None),
    }
    resolved = {name: resolve(name, CATALOGUE) for name in expected}
    assert {
        name: (answer.spec_id, answer.quantization) for name, answer in resolved.items()
    } == expected


def test_a_part_and_another_kind_need_not_as_much_as_the_model_in_their_name() -> None:
    """A draft or an adapter is loaded beside the model; speech and pictures add parts; a lone size says what its weights weigh."""
    said = {}
    for name in (
        "Qwen3-8B-speculator.eagle3",
        "Qwen3 8B Speech",
        "Skyfall 36B",
        "tiny.en",
        "llama-3.1-8b-uncensored",
    ):
        with pytest.raises(UnknownModelError) as caught:
            resolve(name, CATALOGUE)
        said[name] = f"{caught.value.message} {caught.value.remedy}"
    assert "loaded beside qwen3-8b" in said["Qwen3-8B-speculator.eagle3"]
    assert "with parts for speech" in said["Qwen3 8B Speech"]
    assert "72 GB in 16 bits" in said["Skyfall 36B"]
    assert "selfhost check whisper-tiny.en" in said["tiny.en"]
    assert "needs as much" in said["llama-3.1-8b-uncensored"]


def test_near_names_are_looked_for_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search compares the whole catalogue: a name that is only counted costs none, one that is shown twice costs one."""
    calls: list[str] = []
    search = unknown_names._nearest

    def counted(key: str, catalogue: Catalogue) -> tuple[str, ...]:
        calls.append(key)
        return search(key, catalogue)

    monkeypatch.setattr(unknown_names, "_nearest", counted)
    with pytest.raises(UnknownModelError) as caught:
        resolve("mistrl-7b", CATALOGUE)
    assert not calls
    assert caught.value.nearest
    assert str(caught.value)
    assert calls == ["mistrl-7-b"]


@pytest.mark.parametrize(
    "typed", ["tiktoken", "OpenAI API", "openai-api", "Whisper API", "ollama", "llama.cpp", "vLLM"]
)
def test_a_tool_or_service_is_answered_for_what_it_is(typed: str) -> None:
    """The contract's tools and services are no unknown models: the error says what each is and names models that exist."""
    with pytest.raises(NotAModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.kind
    assert caught.value.nearest
    assert set(caught.value.nearest) <= set(CATALOGUE.ids())


@pytest.mark.parametrize("typed", ["sora", "veo-3"])
def test_a_service_that_makes_video_leads_to_open_models_that_do(typed: str) -> None:
    """Weights that were never published have no config.json: the answer is a model that has."""
    with pytest.raises(NotAModelError) as caught:
        resolve(typed, CATALOGUE)
    nearest = [CATALOGUE.spec(spec_id) for spec_id in caught.value.nearest]
    assert nearest
    assert all(spec.modality == "video" and not spec.closed for spec in nearest)
    assert "config.json" not in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "typed", ["llama", "mistral", "gemma", "qwen", "whisper", "mistral:latest", "mistral:q4_0"]
)
def test_a_bare_family_says_what_was_taken(typed: str) -> None:
    """The notes name the model that a bare family became, and every other model they name exists."""
    found = resolve(typed, CATALOGUE)
    told = " ".join(found.notes)
    assert found.spec_id in told
    others = re.search(r"Its family also has (.+?)(?: and \d+ more)?: selfhost list (\S+)", told)
    assert others
    assert set(others[1].split(", ")) <= set(CATALOGUE.ids()) - {found.spec_id}
    assert others[2] in found.spec_id


def test_a_full_name_needs_no_explanation() -> None:
    """Notes are for choices that were made for the person; an id is none."""
    assert resolve(MISTRAL, CATALOGUE).notes == ()


@given(st.sampled_from(SPELLINGS), st.data())
def test_case_and_separators_never_change_the_result(name: str, data: st.DataObject) -> None:
    """Any separator may stand for any other, in any case, and may be missing between a letter and a digit."""
    varied = ""
    for index, letter in enumerate(name):
        if letter in "-_.:/ ":
            around = (name[index - 1 : index], name[index + 1 : index + 2])
            border = (
                sum(side.isdigit() for side in around) == 1
                and sum(side.isalpha() for side in around) == 1
            )
            letter = data.draw(st.sampled_from(["-", "_", ".", ":", "/", " "] + [""] * border))
        elif data.draw(st.booleans()):
            letter = letter.upper()
        varied += letter
    assert canonical(varied) == canonical(name)
    # a slash also parts an account from a repository, and `:latest` is Ollama's: its codestral:latest is not Mistral's codestral-latest
    if "/" in varied or varied.lower().endswith(":latest"):
        return
    meant = resolve(name, CATALOGUE)
    # with a colon it is Ollama's tag, which means another model of that name
    if ":" in varied and any("Ollama's tag" in note for note in meant.notes):
        return
    assert resolve(varied, CATALOGUE).spec_id == meant.spec_id


@given(st.lists(st.integers(0, 999), min_size=2, max_size=4), st.sampled_from("-_.:/ "))
def test_digits_never_merge(numbers: list[int], separator: str) -> None:
    """A separator between two digits is kept: 13 is not 1.3."""
    parted = separator.join(map(str, numbers))
    assert canonical(parted) != canonical("".join(map(str, numbers)))
    assert canonical(parted).split("-") == [str(number) for number in numbers]


@given(st.text(max_size=60))
def test_the_compared_form_is_stable(text: str) -> None:
    """Whatever is typed, the compared form holds no separators in a row, none at its ends, and is its own compared form."""
    form = canonical(text)
    assert canonical(form) == form
    assert not form.startswith("-")
    assert not form.endswith("-")
    assert "--" not in form
    # beside others, an empty one and one with the sign that parts them
    several = [text, "", "Llama3.1:8B", f"{text}\0"]
    assert canonical_of_each(several[:3]) == [form, "", "llama-3-1-8-b"]
    assert canonical_of_each(several) == [canonical(each) for each in several]


@given(st.text(max_size=500))
def test_any_text_is_resolved_or_refused(text: str) -> None:
    """No text makes any other error, and what is found is in the catalogue."""
    try:
        answer = resolve(text, CATALOGUE).spec_id
    except UnknownModelError as error:
        answer = str(error)
    assert answer in CATALOGUE or answer.isprintable()


def test_every_id_and_alias_means_its_own_model() -> None:
    """A shipped id or alias, typed as written, leads to the spec that states it."""
    for spec in CATALOGUE.specs():
        for name in (spec.id, *spec.aliases, *([spec.repository] if spec.repository else [])):
            assert resolve(name, CATALOGUE).spec_id == spec.id, name


@pytest.mark.parametrize("converter", CONVERTERS)
def test_a_conversion_by_a_known_account_is_the_original(converter: str) -> None:
    """Every account of the list stands for the original's weights, in any case; the quantization comes from the tag."""
    found = resolve(f"{converter.upper()}/Mistral-7B-Instruct-v0.3-GGUF:Q6_K", CATALOGUE)
    assert (found.spec_id, found.quantization) == (MISTRAL, "Q6_K")


def test_a_folder_of_a_models_name_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract: a string is a path only by a separator that leads to something, or by its ending."""
    (tmp_path / "mistral-7b").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    assert not is_path("mistral-7b")
    assert is_path("./mistral-7b")
    assert is_path(str(tmp_path / "models"))
    assert not is_path("mistralai/Mistral-7B-Instruct-v0.3")
    assert not is_path("./dead")
    assert resolve("mistral-7b", CATALOGUE).spec_id == MISTRAL


@pytest.mark.parametrize(
    "typed", ["./model.gguf", "config.json", "CONFIG.JSON", "no/such/model.safetensors"]
)
def test_an_ending_makes_a_path(typed: str) -> None:
    """A file's ending says that a file is meant, there or not."""
    assert is_path(typed)


@pytest.mark.parametrize("typed", ["model.gguf", "model-00001-of-00004.safetensors"])
def test_the_bare_name_of_weights_is_a_path_only_where_they_lie(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most models have a file of such a name: without it, the answer says what to give instead."""
    monkeypatch.chdir(tmp_path)
    assert not is_path(typed)
    with pytest.raises(UnknownModelError, match="most models have one of that name") as caught:
        resolve(typed, CATALOGUE)
    assert "OWNER/NAME" in (caught.value.remedy or "")
    (tmp_path / typed).touch()
    assert is_path(typed)


def test_a_missing_file_of_weights_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in the name of one's own file is told apart from an unknown model."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError, match="does not exist here"):
        resolve("my-own-weights.gguf", CATALOGUE)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "mistral:7b",
        "gguf",
        "x\x00/y",
        "a/" * 60_000,
        "https://huggingface.co/a/b/blob/main/c.gguf",
        "hf.co/a/b/blob/main/c.gguf",
    ],
)
def test_other_strings_are_no_paths(typed: str) -> None:
    """Tags, addresses, null characters and endless strings are no paths, and asking costs no error."""
    assert not is_path(typed)


def test_completion_offers_only_what_fits() -> None:
    """Completions begin with what was typed, separators and case aside, and each is a name that resolves."""
    found = complete("Mistral-7", CATALOGUE)
    assert {MISTRAL, "mistral:7b"} <= set(found)
    assert all(canonical(name).startswith("mistral-7") for name in found)
    assert complete("", CATALOGUE) == SPELLINGS
    assert complete("zzz", CATALOGUE) == ()
    assert all(resolve(name, CATALOGUE).spec_id in CATALOGUE for name in SPELLINGS)


def test_separators_of_the_system_are_honoured() -> None:
    """The root of the file system is a path on every system."""
    assert is_path(os.path.abspath(os.sep))


@pytest.mark.parametrize("name", ["airoboros", "synthia", "fastapply"])
def test_a_tune_of_several_sizes_is_asked_for_its_size(name: str) -> None:
    """Airoboros and Synthia were made from 7B to 70B (their cards): no size is the one meant."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(name, CATALOGUE)
    assert "without its size" in str(caught.value)
    assert "it has the layers" not in str(caught.value)


def test_a_kind_that_is_not_covered_is_named() -> None:
    """YOLO finds objects; Chronos-Hermes is a language model of another maker."""
    with pytest.raises(UnknownModelError, match="object detection: this catalogue covers no such"):
        resolve("yolov8", CATALOGUE)
    with pytest.raises(UnknownModelError) as caught:
        resolve("chronos-hermes-13b", CATALOGUE)
    assert "time series" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        # error loading model: unknown model architecture: 'mllama' (ollama/ollama#16490, 0.30.4)
        (
            "llama3.2-vision:11b-instruct-q4_K_M",
            "Ollama loaded the architecture mllama up to 0.24.0",
        ),
        ("llama3.2-vision:11b", "Ollama loaded the architecture mllama up to 0.24.0"),
        ("cpatonn/GLM-4.5-Air-AWQ-4bit", "AutoAWQ"),
    ],
)
def test_a_form_that_is_not_judged_leaves_the_model_judged(typed: str, word: str) -> None:
    """The person typed a name, no --quant: an error on that option answers nothing."""
    verdict = check(typed, machine="desktop-rtx4090-24gb")
    assert verdict.needs is not None
    assert any(word in note and "other files" in note for note in verdict.understood_as)


@pytest.mark.parametrize(
    ("typed", "families"),
    [("Solar-Open2-250B", {"solar"}), ("LongCat-2.0", {"longcat"}), ("SmolLM4-3B", {"smollm"})],
)
def test_a_family_that_is_written_right_is_the_one_that_is_meant(
    typed: str, families: set[str]
) -> None:
    """Upstage's Solar is no Sonar of Perplexity, Meituan's LongCat no LongChat of LMSYS."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    first_words = {re.split(r"[^a-z]", name)[0] for name in caught.value.nearest}
    assert first_words == families


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("glm-4.7-flahs", "glm-4.7-flash"),
        ("qwen2.5-codr-7b", "qwen2.5-coder:7b"),
        ("deepseek-r1-distil-qwen-7b", "deepseek-r1-distill-qwen-7b"),
    ],
)
def test_a_slip_of_a_whole_name_is_not_taken_for_a_tune_of_a_part(typed: str, meant: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert caught.value.nearest == (meant,)
    assert "made from" not in str(caught.value)
