"""What people type, and which model it is."""

from __future__ import annotations

import re
import tomllib
from itertools import chain, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.paths import DATA
from helpers.written import Golden
from selfhost import Verdict, Workload, check
from selfhost.advice.filters import holds_words, words_in_names, words_typed
from selfhost.advice.understood import understand_name
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.name_table import NameTable
from selfhost.catalogue.names import complete, is_path, typed_library_tag
from selfhost.catalogue.searching import resolve
from selfhost.core.errors import NotAModelError, UnknownModelError
from selfhost.core.tables import Document, shipped_table
from selfhost.core.units import canonical
from selfhost.judge.table import FileRow
from selfhost.needs import why_not_loaded
from selfhost.needs.quantization import BASE_TYPES, KEPT_QUANTIZATIONS

CATALOGUE = Catalogue.open()
SPELLINGS = CATALOGUE.spellings()
PUBLIC_NAMES = DATA / "public_names.toml"

MISTRAL = "mistral-7b-instruct-v0.3"
LLAMA = "llama-3.1-8b-instruct"


# what Ollama loads by a name that means another model elsewhere: `ollama list` of public pages
# gives both names one id (deepseek-r1:latest and :8b 6995872bfe4c, gemma:latest and :instruct
# a72c7f4d0a15, granite4:latest and :micro
# 4235724a127c), and the manifest of qwen is that of qwen:4b (josh/ollama-models-nix@511fbd5b)
IN_OLLAMA = [
    ("deepseek-r1", "deepseek-r1", "deepseek-r1-0528-qwen3-8b"),
    ("gemma", "gemma-4-e4b-it", "gemma-7b-it"),
    ("granite4", "granite-4.0-micro", "granite-4.0-micro"),
    ("mistral", MISTRAL, MISTRAL),
    ("starcoder", "starcoder2-15b", "starcoderbase-3b"),
]


def answer_to(name: str) -> tuple[str, ...]:
    """What public_names.toml says of a name: id, quantization and runtime; the command; what it is;
    nothing.
    """
    try:
        resolution = resolve(name, CATALOGUE)
    except NotAModelError as error:
        return (error.kind,)
    except UnknownModelError as error:
        command = re.search(r"selfhost check (?!\./)[^N].*", error.remedy or "")
        return (command[0],) if command else ()
    return (resolution.spec_id, resolution.quantization or "", resolution.runtime or "")


def test_public_names_are_answered_as_judged_by_eye(golden: Golden) -> None:
    """The names of public reports, of lists and of people who had not seen the catalogue. The few
    that are answered otherwise stand in a file: the answer, and what was judged.
    """
    otherwise = []
    for group in tomllib.loads(PUBLIC_NAMES.read_text(encoding="utf-8")).values():
        for part in chain.from_iterable(group.values()):
            assert part["why"]
            for entry in part["names"]:
                name, *judged = [entry] if isinstance(entry, str) else entry
                answer = list(answer_to(name))
                otherwise += (
                    [f"{name}: {answer}, not {judged}\n"] if answer != judged else []
                )
    golden("public_names.txt", "".join(otherwise))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        (
            "gemma3:4b-it-qat",
            ("ollama run gemma3:4b-it-qat", "library/gemma3:4b-it-qat"),
        ),
        ("gemma3", ("docker model run ai/gemma3", "ai/gemma3", "docker.io/ai/gemma3")),
        (
            "mistral:7b",
            ("ollama pull mistral:7b", '"mistral:7b"', "library/mistral:7b"),
        ),
        # RamaLama's transports, and LM Studio's id of an embedding model
        ("Qwen/Qwen3-4B", ("hf:Qwen/Qwen3-4B", "huggingface://Qwen/Qwen3-4B")),
        ("bge-m3", ("text-embedding-bge-m3",)),
        ("deepseek-v3", ("accounts/fireworks/models/deepseek-v3",)),
    ],
)
def test_a_command_asks_what_the_name_in_it_does(
    name: str, same: tuple[str, ...]
) -> None:
    """What a line runs is one question with one answer, in the same type."""
    plain = understand_name(CATALOGUE, name, Workload())
    for typed in same:
        understood = understand_name(CATALOGUE, typed, Workload())
        assert understood.spec.id == plain.spec.id
        assert understood.workload == plain.workload
        assert understood.files.is_tag is plain.files.is_tag


@pytest.mark.parametrize(
    ("typed", "quantization"),
    [
        # in notes of people who run these lines; llama-server's router drops the prefix
        ("hf.co/unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF:Q4_K_XL", "UD-Q4_K_XL"),
        ("unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("Unsloth/Qwen3-8B-GGUF:Q4_K_XL", "UD-Q4_K_XL"),
        # types that the account's listings have with the prefix alone, and those that it has
        # without
        ("unsloth/DeepSeek-V3.1-GGUF:TQ1_0", "UD-TQ1_0"),
        ("unsloth/Qwen3-8B-GGUF:Q4_K_M", "Q4_K_M"),
        # bartowski's mix of that name is another, and nobody's prefix
        ("bartowski/Qwen_Qwen3-8B-GGUF:Q3_K_XL", "Q3_K_XL"),
        # `ollama list` says 4.0 GB: the token table lies there in 16 bits
        ("ollama run gemma3:4b-it-qat", "QAT-Q4_0"),
    ],
)
def test_a_type_is_the_file_that_the_account_has_of_it(
    typed: str, quantization: str
) -> None:
    """Hugging Face's and llama.cpp's programs load the file whose name holds the tag."""
    assert resolve(typed, CATALOGUE).quantization == quantization


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        pytest.param("stable diffusion 3.5", "sd3.5-medium", id="spelled out"),
        pytest.param("internvl3", "internvl3-8b", id="of several sizes"),
        pytest.param("ollama://qwen3:8b", "qwen3-8b", id="transport of RamaLama"),
        pytest.param("qwen3-4b-2507", "qwen3-4b-instruct-2507", id="LM Studio's"),
        pytest.param("kimi linear", "kimi-linear-48b-a3b-instruct", id="of one size"),
        pytest.param("internlm3", "internlm3-8b-instruct", id="of one version"),
        pytest.param("apriel", "apriel-1.6-15b-thinker", id="of several versions"),
    ],
)
def test_a_family_is_named_without_a_size(typed: str, model: str) -> None:
    """These names were unknown, with their own models as the nearest."""
    assert resolve(typed, CATALOGUE).spec_id == model


@pytest.mark.parametrize(
    ("typed", "latin"),
    [
        ("通义千问2.5-7b", "qwen2.5-7b"),
        ("лама 3.1 8b", "llama 3.1 8b"),
        ("딥시크 r1", "deepseek r1"),
        ("ديب سيك", "deepseek"),
        ("tiny llama", "tinyllama"),
        ("smol lm 135m", "smollm:135m"),
        # a version without its dot, a name without its hyphen
        ("qwen25-coder-7b", "qwen2.5-coder:7b"),
        ("llama 31 8b", "llama-3.1-8b"),
        ("gptoss 20b", "gpt-oss-20b"),
        # the beginning of a name, with its size
        ("internlm3 8b", "internlm3-8b-instruct"),
        ("ministral 3 14b reasoning", "ministral-3-14b-reasoning-2512"),
    ],
)
def test_a_name_in_another_script_or_in_more_words_is_read(
    typed: str, latin: str
) -> None:
    """The answer says how it was read."""
    resolution = resolve(typed, CATALOGUE)
    same = resolve(latin, CATALOGUE)
    assert (resolution.spec_id, resolution.quantization) == (
        same.spec_id,
        same.quantization,
    )
    assert f"is read as {latin}." in resolution.notes[0]


@pytest.mark.parametrize(("name", "meant", "loaded"), IN_OLLAMA)
def test_a_name_that_means_another_model_in_ollama_says_so(
    name: str, meant: str, loaded: str
) -> None:
    """The contract: ambiguity is told. Written as only Ollama writes it the name is what Ollama
    loads, and the other one is told.
    """
    plain = resolve(name, CATALOGUE)
    assert plain.spec_id == meant
    assert any(loaded in note for note in plain.notes if note.startswith("Ollama")) is (
        loaded != meant
    )
    for typed in (f"{name}:latest", f"https://ollama.com/library/{name}"):
        found = resolve(typed, CATALOGUE)
        other = f"elsewhere the name means {meant}"
        assert found.spec_id == loaded
        assert any(other in note for note in found.notes) is (loaded != meant)


@pytest.mark.parametrize(
    "typed",
    [
        "opt-1.4b",
        "opt-130b",
        "opt-131b",
        "llama-3.1-9b",
        "qwen34b",
        "llama-3.9-8b",
        "mistral-7b-instruct-v0.4",
        "mistral-77b",
        "mistrall-7b",
        "gpt-oss-21b",
        "qwen3-80b",
        "deepseek-v3-2024-12-26",
        "llama-27b",  # two digits with a unit behind are a size
        "gemma-27",  # no family has that version
        "gpt-4o-2024-13-45",  # no date
        "mistral-7b-0613",  # of open models another date is other weights
        # weights of that name are somebody's own, and a fine-tune may go by this name
        "someone/gpt-4o",
        "gpt-4o-Q4_K_M.gguf",  # nobody has files of a closed model
        "someone/mistral-7b-instruct-v0.3",
        "someone/mistral-7b-instruct-v0.3:free",
        "someone/Mistral-7B-Instruct-v0.3-GGUF",
        "bartowski/Mistral-7B-Instruct-v0.3-abliterated-GGUF",
        "models/llama-3.1-8b",  # Google's API serves Google's
        "Google Llama 3.1 8B",  # not its maker
        "Meta 3",
        "TheBloke/Mistral-7B-Instruct-v0.2-EXL2",
        "mistral-7b:banana",
        "smollm2 17b",  # not 1.7b
        "cydonia 24b v4",  # not v4.1
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
    ids=case_id,
)
def test_what_is_not_known_stays_unknown(typed: str) -> None:
    """A slip, another size, somebody's fine-tune and rubbish are errors with a remedy, short and
    printable: nothing is corrected.
    """
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("typed", "likely"),
    [
        ("lama3.1", ["llama-3.1"]),
        ("lama3", ["llama-3"]),
        ("lama3.1:8b", ["llama3.1:8b"]),
        ("meta-llama/Llama-3.1-8B-Instrct", [LLAMA]),
        ("llama-3.1-8b-instruct-q9_K_M", [LLAMA]),
        ("Llama-3.1-8B-Instruct-Q4_K_N.gguf", [LLAMA]),
        # a size that the family lacks
        ("gemma3:7b", ["gemma3:4b", "gemma3:12b"]),
        ("gemma-3-7b-it", ["gemma-3-4b-it", "gemma-3-12b-it"]),
    ],
    ids=case_id,
)
def test_a_slip_is_answered_by_the_known_name(typed: str, likely: list[str]) -> None:
    """No claim on a tune where one letter, a type or a size explains the name."""
    with pytest.raises(UnknownModelError) as caught:
        resolve(typed, CATALOGUE)
    assert set(likely) <= set(caught.value.unsaid[:3])
    assert "layers" not in caught.value.message
    assert "made from" not in caught.value.message


@pytest.mark.parametrize(
    ("typed", "tuned"),
    [
        ("meta-llama/Meta-Llama-3-8B", "llama-3-8b-instruct"),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b-instruct-v0.1"),
        ("bartowski/Llama-3.2-1B-GGUF", "llama-3.2-1b-instruct"),
        ("Qwen3.5-0.8B-Base-Q4_0.gguf", "qwen3.5-0.8b"),
    ],
)
def test_a_base_model_is_answered_by_what_was_tuned_from_it(
    typed: str, tuned: str
) -> None:
    """It is another model of the same needs, and the answer says so."""
    resolution = resolve(typed, CATALOGUE)
    assert resolution.spec_id == tuned
    assert f" is the base model that {tuned} was tuned from" in resolution.notes[0]


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
        # of a base model, and not of the model that answers
        ("bartowski/Llama-3.2-1B-GGUF", None),
        # a branch for each average of bits: README.md of turboderp-org/exllamav3
        ("turboderp/Qwen3-32B-exl3:6.0bpw", "turboderp/Qwen3-32B-exl3"),
        ("turboderp/Qwen3-32B-exl3@4.0bpw", "turboderp/Qwen3-32B-exl3"),
        # quotes within what is pasted belong to no name
        ("docker model run 'ai/qwen3'", None),
    ],
)
def test_the_repository_that_was_typed_is_kept(
    typed: str, repository: str | None
) -> None:
    """Whoever names the files wants a line that fetches those."""
    assert resolve(typed, CATALOGUE).repository == repository


@given(st.sampled_from(SPELLINGS), st.data())
def test_case_and_separators_never_change_the_result(
    name: str, data: st.DataObject
) -> None:
    """Any separator may stand for any other, in any case, and may be missing between a letter and a
    digit.
    """
    varied = ""
    for index, letter in enumerate(name):
        if letter in "-_.:/ ":
            around = (name[index - 1 : index], name[index + 1 : index + 2])
            border = (
                sum(side.isdigit() for side in around) == 1
                and sum(side.isalpha() for side in around) == 1
            )
            separators = ["-", "_", ".", ":", "/", " "]
            if border:
                separators.append("")
            varied += data.draw(st.sampled_from(separators))
        elif data.draw(st.booleans()):
            varied += letter.upper()
        else:
            varied += letter
    assert canonical(varied) == canonical(name)
    # a slash also parts an account from a repository, and `:latest` is Ollama's: its
    # codestral:latest is not Mistral's codestral-latest
    if "/" in varied or varied.lower().endswith(":latest"):
        return
    meant = resolve(name, CATALOGUE)
    found = resolve(varied, CATALOGUE)
    # with a colon it is Ollama's tag, which means another model of that name, as one of them says
    notes = " ".join((*meant.notes, *found.notes))
    if ":" in varied and (
        "Ollama's tag" in notes or "elsewhere the name means" in notes
    ):
        return
    assert found.spec_id == meant.spec_id


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
        for name in (
            spec.id,
            *spec.aliases,
            *([spec.repository] if spec.repository else []),
        ):
            assert resolve(name, CATALOGUE).spec_id == spec.id, name


def test_only_a_tag_of_the_library_is_written_as_one() -> None:
    """Ollama's library has no music: `ace-step` is no tag, however the name is typed."""
    spec = CATALOGUE.spec(resolve("ace:step", CATALOGUE).spec_id)
    assert typed_library_tag("ace:step", spec, CATALOGUE) is None


@pytest.mark.parametrize("typed", ["config.json", "CONFIG.JSON"])
def test_the_name_of_a_file_is_a_path_in_any_case(typed: str) -> None:
    assert is_path(typed)


def test_completion_offers_only_what_fits() -> None:
    """Completions begin with what was typed, separators and case aside, and each is a name that
    resolves.
    """
    found = complete("Mistral-7", CATALOGUE)
    assert {MISTRAL, "mistral:7b"} <= set(found)
    assert all(canonical(name).startswith("mistral-7") for name in found)
    assert complete("", CATALOGUE) == SPELLINGS
    assert complete("zzz", CATALOGUE) == ()


@pytest.mark.parametrize(
    ("typed", "model_id", "holds"),
    [
        # a size is whole: 8B is no end of 0.8B or 28B, nor is an active or an expert's size a
        # model's
        ("qwen 8b", "qwen3-8b", True),
        ("qwen 8b", "qwen3-vl-8b-instruct", True),
        ("qwen 0.8b", "qwen3.5-0.8b", True),
        ("wan 14b", "wan2.2-t2v-a14b", True),
        ("qwen 8b", "qwen3.5-0.8b", False),
        ("qwen 3b", "qwen3-30b-a3b", False),
        # the makers' own names in Chinese and Korean, letters that only look Latin
        ("通义千问", "qwen3-8b", True),
        ("千问 14b", "qwen3-14b", True),
        ("智谱 flash", "glm-4.7-flash", True),
        ("라마 70b", "llama-3.3-70b-instruct", True),
        # the maker is no part of its models' names; a part of a maker's word is no maker
        ("google 12b", "gemma-3-12b-it", True),
        ("meta llama 8b", "llama-3.1-8b-instruct", True),
        ("gpt oss", "gpt-sovits-v2", False),
        # the plural and the everyday word find what the catalogue's own word finds
        ("embeddings", "bge-m3", True),
        ("rerankers", "bge-reranker-v2-m3", True),
        ("images", "flux.1-dev", True),
        ("coding 7b", "qwen2.5-coder-7b-instruct", True),
        ("tts", "kokoro-82m", True),
        ("embeddings", "whisper-base", False),
        # tasks of Hugging Face in words or with dashes; what no model here does finds none
        ("text to speech", "kokoro-82m", True),
        ("text to speech", "whisper-base", False),
        ("speech-to-text", "whisper-base", True),
        ("text to image flux", "flux.1-dev", True),
        ("object detection", "qwen2.5-vl-7b-instruct", False),
    ],
    ids=case_id,
)
def test_words_find_a_model(typed: str, model_id: str, holds: bool) -> None:
    words = words_typed(typed.split(), CATALOGUE)
    assert holds_words(CATALOGUE.spec(model_id), words) is holds
    assert words_in_names(("mistral", "7b", "q4_k_m"), CATALOGUE) == ("mistral", "7b")


LLAMA_CPP = CATALOGUE.runtime("llama.cpp")
# of several hundred models each fourth, each in another type
MODELS = [
    spec
    for spec in map(CATALOGUE.spec, CATALOGUE.ids()[::4])
    if spec.repository and spec.architecture and spec.modality == "text"
    if why_not_loaded(spec, LLAMA_CPP) is None
]


def test_file_repository_and_tag_of_a_model_mean_the_same_published_file() -> None:
    """`NAME-Q4_0.gguf`, `ACCOUNT/NAME-GGUF:Q4_0` and `TAG-q4_0`: none of them is to be made
    first.
    """
    contradictions = []
    # nobody makes a file in a type that is only kept of published weights
    made = [name for name in BASE_TYPES if name not in KEPT_QUANTIZATIONS]
    for spec, quantization in zip(MODELS, cycle(made), strict=False):
        own = (spec.repository or "").rpartition("/")[2]
        tags = [alias for alias in spec.aliases if ":" in alias and "/" not in alias][
            :1
        ]
        names = [f"{own}-{quantization}.gguf", f"bartowski/{own}-GGUF:{quantization}"]
        names += [f"{tag}-{quantization.lower()}" for tag in tags]
        for name in names:
            meant = understand_name(CATALOGUE, name, Workload(format="gguf"))
            judged = meant.spec.id, meant.workload.quantization
            row = FileRow(
                spec=meant.spec,
                runtime=LLAMA_CPP,
                format=meant.workload.format,
                quantization=meant.workload.quantization,
            )
            if judged != (spec.id, quantization) or not row.is_published:
                contradictions.append(f"{name}: {judged}")
    assert len(MODELS) > 100
    assert not contradictions, "\n".join(contradictions)


def checked(name: str) -> Verdict:
    return check(name, machine="aws-g6.2xlarge")


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # Ollama's library and the repositories of Qwen, bartowski and Google list these sizes; the
        # last is with the 0.86 GB of the file for pictures
        ("llama3.1:8b-instruct-q4_0", 4.7),
        ("qwen2.5-7b-instruct-q4_0.gguf", 4.43),
        ("Llama-3.2-3B-Instruct-Q4_0.gguf", 1.92),
        ("Phi-3-mini-4k-instruct-q4.gguf", 2.39),
        ("gemma-3-27b-it-q4_0.gguf", 17.2 + 0.86),
    ],
)
def test_the_download_is_the_typed_file(name: str, gigabytes: float) -> None:
    verdict = checked(name)
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(gigabytes * 1e9, rel=0.015)
    assert not any("convert" in line for line in verdict.setup)


def test_the_line_loads_the_typed_file_and_says_where_it_may_be() -> None:
    """Qwen publishes Q5_0 itself; no repository of GGUF files in the spec holds Q5_1."""
    verdict = checked("Qwen2.5-7B-Instruct-Q5_1.gguf")
    assert verdict.commands[0].startswith(
        "llama-server -m Qwen2.5-7B-Instruct-Q5_1.gguf "
    )
    assert any("huggingface.co/models" in line for line in verdict.setup)
    published = checked("Qwen2.5-7B-Instruct-Q5_0.gguf")
    assert "-hf Qwen/Qwen2.5-7B-Instruct-GGUF:Q5_0 " in published.commands[0]
    assert not any("not verified" in line for line in published.setup)


def test_only_the_spelling_of_its_maker_is_the_file_that_was_trained_for_four_bits() -> (
    None
):
    """Google writes `q4_0`; unsloth's and bartowski's conversions are called `Q4_0`."""
    own = checked("gemma-3-27b-it-q4_0.gguf")
    conversion = checked("gemma-3-27b-it-Q4_0.gguf")
    page = "https://huggingface.co/google/gemma-3-27b-it-qat-q4_0-gguf/blob/main/"
    assert own.workload.quantization == "QAT-Q4_0"
    assert any(
        "google/gemma-3-27b-it-qat-q4_0-gguf:Q4_0" in line for line in own.commands
    )
    assert checked(f"{page}gemma-3-27b-it-q4_0.gguf").needs == own.needs
    assert conversion.workload.quantization == "Q4_0"


def test_the_branch_of_an_address_tells_the_bits_of_the_files() -> None:
    """Each branch of such a repository has another average of bits; the usual one was judged."""
    page = "https://huggingface.co/turboderp/Qwen3-32B-exl3/tree/6.0bpw"
    assert resolve(page, CATALOGUE).quantization == "exl3-6bpw"


@pytest.mark.parametrize(
    ("typed", "loaded"),
    [
        # stduhpf's cards link to Google's repositories of Gemma 3, public lists name one of Gemma 4
        pytest.param(
            "gemma-3-27b-it-qat",
            "google/gemma-3-27b-it-qat-q4_0-gguf:Q4_0",
            id="the maker's files",
        ),
        pytest.param(
            "gemma-4-12b-it-qat",
            "google/gemma-4-12B-it-qat-q4_0-gguf:Q4_0",
            id="the maker's files of Gemma 4",
        ),
        pytest.param(
            "unsloth/gemma-3-27b-it-qat",
            "unsloth/gemma-3-27b-it-qat-GGUF:Q4_0",
            id="another account",
        ),
        pytest.param(
            "gemma3:27b-it-qat", "ollama run gemma3:27b-it-qat", id="Ollama's tag"
        ),
    ],
)
def test_a_name_of_weights_trained_for_four_bits_loads_such_files(
    typed: str, loaded: str
) -> None:
    """The lines named a file that nobody has, or files that were not trained so."""
    assert any(loaded in line for line in checked(typed).commands)


def test_files_trained_for_four_bits_that_nobody_is_known_to_publish_are_told() -> None:
    notes = " ".join(resolve("qwen3-8b-qat", CATALOGUE).notes)
    assert "No such files of this model are known" in notes
    assert "Gemma" not in notes


def test_each_value_of_the_table_of_names_is_what_its_field_says() -> None:
    # `unchecked_record` holds none against its annotation
    document = Document("names.toml", shipped_table("names"))
    document.root.as_record(NameTable)
    # a replacement may be blank, and what to type next has several lines
    allowed = ("is empty", "has a line break or a control character")
    wrong = [
        fault for fault in document.problems if not fault.message.endswith(allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "named"),
    [
        pytest.param(
            "unsloth/Qwen3-30B-A3B-GGUF/Qwen3-32B-Q4_K_M.gguf",
            "qwen3-32b",
            id="path",
        ),
        pytest.param(
            "https://huggingface.co/unsloth/Qwen3-30B-A3B-GGUF/blob/main/Llama-3.1-8B-Q4_K_M.gguf",
            "llama-3.1-8b-instruct",
            id="address",
        ),
    ],
)
def test_a_file_named_after_another_model_is_noted(name: str, named: str) -> None:
    """The file was answered as its repository's model, without a word."""
    resolution = resolve(name, CATALOGUE)
    assert resolution.spec_id == "qwen3-30b-a3b"
    assert named in resolution.notes[0]


def test_a_file_named_after_its_repository_has_no_note() -> None:
    name = "unsloth/Qwen3-30B-A3B-GGUF/Qwen3-30B-A3B-Q4_K_M.gguf"
    assert resolve(name, CATALOGUE).notes == ()


@pytest.mark.parametrize(
    ("name", "type"),
    [
        pytest.param("llama 3.1 8b q4_k_m q8_0", "Q4_K_M", id="words"),
        pytest.param("mistral-7b-Q8_0.Q4_0.gguf", "Q8_0", id="file"),
    ],
)
def test_of_two_quantizations_in_a_name_one_is_told(name: str, type: str) -> None:
    """The first was taken without a word, and the second may have been meant."""
    meant = understand_name(CATALOGUE, name, Workload())
    assert meant.workload.quantization == type
    assert any("names several quantizations" in note for note in meant.notes)
