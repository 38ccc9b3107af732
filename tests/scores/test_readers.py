"""The readers of public tables of scores: what each form of file says, and which model is meant.

Each table here is written in the form of its source, with names and figures that the source has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import pytest

from boards import read_arena, read_euroeval, read_reports, read_runs, read_tables
from boards.copies import Copy
from boards.names import Match, Names
from boards.scores import Found, newest
from measured import READERS
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.scores import boards


@cache
def names() -> Names:
    return Names(Catalogue.open())


class Files(Copy):
    """A copy with these files."""

    def __init__(self, source: str, **files: str) -> None:
        self.source = boards().source[source]
        self._files = {path.replace("__", "/"): text for path, text in files.items()}

    def text(self, path: str) -> str:
        return self._files[path]

    def files(self, folder: str, ending: str = "") -> list[str]:
        below = [path for path in self._files if path.startswith(f"{folder}/")]
        return sorted(path for path in below if path.endswith(ending))

    def texts(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        for path in paths:
            yield path, self._files[path]


def one_file(source: str, text: str, file: str = "") -> Files:
    """A copy with the one file that the source is read in."""
    copy = Files(source)
    path = copy.source.path
    copy._files = {f"{path}/{file}" if file else path: text}
    return copy


def facts(found: Iterable[Found]) -> list[tuple[Any, ...]]:
    """What a test asks of each score."""
    return [(row.model, row.board, row.score, row.setting) for row in found]


def test_each_source_has_a_reader() -> None:
    assert READERS.keys() == boards().source.keys()


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Qwen/Qwen3-8B", Match("qwen3-8b", ""), id="a repository"),
        pytest.param(
            "gpt-oss-120b (high)",
            Match("gpt-oss-120b", "high"),
            id="an effort in brackets",
        ),
        pytest.param(
            "Llama-3.3-70B-Instruct-Turbo",
            Match("llama-3.3-70b-instruct", "turbo"),
            id="a provider's variant",
        ),
        pytest.param(
            "gemma-4-31b", Match("gemma-4-31b-it", ""), id="without its ending"
        ),
        pytest.param(
            "Qwen3-Coder-480B",
            Match("qwen3-coder-480b-a35b-instruct", ""),
            id="a tag of Ollama's",
        ),
        pytest.param(
            "mistral-small-2506",
            Match("mistral-small-3.2-24b-instruct-2506", ""),
            id="by its month, of the list",
        ),
        pytest.param("Mistral Medium", None, id="an effort that is part of the name"),
        pytest.param("openchat-3.5", None, id="refused: another version"),
        pytest.param("mistral-7b-instruct", None, id="refused: three versions"),
        pytest.param("claude", None, id="refused: a product without a version"),
        pytest.param("no-such-model-9000b", None, id="nobody's"),
    ],
)
def test_a_name_means_one_model_or_none(name: str, expected: Match | None) -> None:
    assert names().model(name) == expected


def test_a_board_with_base_models_means_these_by_the_bare_name() -> None:
    """`Qwen2.5-7B` there is the base model, not the one that chats."""
    found = names().model("Qwen2.5-7B", lists_base_models=True)
    assert found is None or found.model != "qwen2.5-7b-instruct"


# ------------------------------------------------------------------ one table each


def test_euroeval_takes_the_first_figure_of_a_cell_and_only_repositories() -> None:
    text = (
        "group,,\n"
        "Model,<a href='x'>sst5</a>,sst5_version\n"
        "<a href='https://hf.co/google/gemma-4-31B-it'>google/gemma-4-31B-it (val)</a>,"
        "68.88 ± 1.31 / 70.00 ± 1.64@@68.88,17.1.0.dev0@@170100\n"
        "<a href='https://hf.co/somebody/gemma-4-31B-it'>somebody/gemma-4-31B-it</a>,"
        "10.00 ± 1.31 / 70.00 ± 1.64@@10.00,17.1.0.dev0@@170100\n"
    )
    found = list(read_euroeval.read(one_file("euroeval", text), names()))
    assert facts(found) == [("gemma-4-31b-it", "euroeval-en-sst5", 68.88, "val")]
    assert found[0].ci95 == 1.31
    assert found[0].version == "EuroEval 17.1.0.dev0"


def test_arena_of_2025_is_a_table() -> None:
    text = (
        "rank,rank_stylectrl,model,arena_score,95_pct_ci,votes\n"
        "3,2,GLM-4.5,1434,+9/-8,4112\n"
    )
    (row,) = read_arena.read_2025(one_file("lmarena-2025", text), names())
    assert (row.model, row.score, row.items, row.ci95) == ("glm-4.5", 1434, 4112, 9)


def test_arena_takes_the_newest_day_of_each_model() -> None:
    def day(score: int, model: str) -> str:
        row = {"model": model, "score": score, "ci": 5, "votes": 9}
        return json.dumps({"models": [row]})

    copy = Files("lmarena")
    copy._files = {
        "data/2026-04-18/text.json": day(1430, "gemma-4-31b"),
        "data/2026-04-19/text.json": day(1451, "gemma-4-31b"),
        "data/2026-03-31/text.json": day(1400, "glm-4.7"),
        "data/2026-04-19/search.json": day(1, "glm-4.7"),
        "data/latest.json": day(2, "glm-4.7"),
    }
    found = list(read_arena.read(copy, names()))
    assert sorted((row.model, row.score, row.date) for row in found) == [
        ("gemma-4-31b-it", 1451, "2026-04-19"),
        ("glm-4.7", 1400, "2026-03-31"),
    ]


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        pytest.param(
            "vectara",
            "|Model|Hallucination Rate|\n|----|----:|\n"
            "|meta-llama/Llama-3.3-70B-Instruct-Turbo|4.1 %|95.9 %|99.5 %|64.6|\n",
            [("llama-3.3-70b-instruct", "vectara-hallucination", 4.1, "turbo")],
            id="vectara",
        ),
        pytest.param(
            "arena-hard",
            "model,score,date\nllama-3-70b-instruct,46.57,2024-07-31\n",
            [("llama-3-70b-instruct", "arena-hard-v0.1", 46.57, "")],
            id="arena-hard",
        ),
        pytest.param(
            "zeroeval",
            "| Model | GSM8K | MMLU<br/>-Redux | ZebraLogic | CRUX | MATH<br/>-L5 |\n"
            "|:--|--:|--:|--:|--:|--:|\n"
            "| Llama-3.1-405B-Inst@hyperbolic | 95.98 | nan | nan | 73.50 | nan |\n",
            [
                ("llama-3.1-405b-instruct", "zeroeval-gsm8k", 95.98, ""),
                ("llama-3.1-405b-instruct", "zeroeval-crux", 73.5, ""),
            ],
            id="zeroeval",
        ),
        pytest.param(
            "evalplus",
            json.dumps(
                {
                    "OpenCoder-8B-Instruct": {
                        "link": "https://huggingface.co/infly/OpenCoder-8B-Instruct",
                        "pass@1": {
                            "humaneval": 81.7,
                            "humaneval+": 77.4,
                            "mbpp+": None,
                        },
                        "prompted": True,
                    }
                }
            ),
            [("opencoder-8b-instruct", "evalplus-humaneval-plus", 77.4, "")],
            id="evalplus",
        ),
        pytest.param(
            "mmmu",
            json.dumps(
                {
                    "leaderboardData": [
                        {
                            "info": {"name": "Gemma 4 31B", "date": "2026-04-02"},
                            "validation": {"overall": "-"},
                            "pro": {"overall": "76.9"},
                        }
                    ]
                }
            ),
            [("gemma-4-31b-it", "mmmu-pro", 76.9, "")],
            id="mmmu",
        ),
        pytest.param(
            "llme",
            "| 🟡 [unsloth/gpt-oss-20b-GGUF]:F16 mode=native | 38 (72%) | 1 (2%) | 53 |\n"
            "| 🟠 [gpt-oss]:latest mode=native | 28 (53%) | 1 (2%) | 53 |\n"
            "| 🟠 [qwen3]:32b mode=native | 23 (43%) | 1 (2%) | 53 |\n"
            "| 🔴 [gemma3]:12b mode=markdown | 8 (15%) | 0 | 53 |\n",
            [
                ("gpt-oss-20b", "llme", 100 * 38 / 53, "F16 mode=native"),
                (
                    "gemma-3-12b-it",
                    "llme",
                    100 * 8 / 53,
                    "Ollama default mode=markdown",
                ),
            ],
            id="llme",
        ),
    ],
)
def test_a_table_says(source: str, text: str, expected: list[tuple[Any, ...]]) -> None:
    assert facts(READERS[source](one_file(source, text), names())) == expected


def test_alpaca_tells_what_others_sent_in_from_what_its_authors_ran() -> None:
    text = (
        ",mode,length_controlled_winrate\n"
        "gpt-4o-2024-05-13,verified,57.46\n"
        "gemma-2-9b-it-SimPO,community,72.35\n"
        "Qwen2-72B-Instruct,community,38.07\n"
    )
    found = list(read_tables.read_alpaca(one_file("alpaca-eval", text), names()))
    independent = {row.model: row.independent for row in found}
    assert independent["gpt-4o-2024-05-13"] is None
    assert independent["qwen2-72b-instruct"] is False


def test_asr_takes_the_mean_of_each_table() -> None:
    copy = Files("open-asr")
    copy._files = {
        "scripts/data/en_shortform.csv": "model,Avg. WER\nopenai/whisper-large-v3,7.44\n",
        "scripts/data/en_longform.csv": (
            "model_id,Average,coraal_avg\nopenai/whisper-large-v3,11.2275,18.89\n"
        ),
        "scripts/data/multilingual.csv": "model,Avg\nopenai/whisper-large-v3,4.81\n",
    }
    scores = [row.score for row in read_tables.read_asr(copy, names())]
    assert scores == [7.44, 11.2275, 4.81]


# ------------------------------------------------------------------ runs and reports


def test_aider_states_format_day_and_number_of_exercises() -> None:
    def table(key: str) -> str:
        return (
            "- model: Qwen2.5-Coder-32B-Instruct\n  edit_format: whole\n  test_cases: 225\n"
            f"  {key}: 16.4\n  date: 2024-12-26\n"
        )

    copy = Files("aider")
    for file in ("edit_leaderboard.yml", "polyglot_leaderboard.yml"):
        copy._files[f"aider/website/_data/{file}"] = table("pass_rate_2")
    copy._files["aider/website/_data/refactor_leaderboard.yml"] = table("pass_rate_1")
    found = list(read_runs.read_aider(copy, names()))
    assert {row.board for row in found} == {
        "aider-edit",
        "aider-polyglot",
        "aider-refactor",
    }
    for row in found:
        assert (row.score, row.setting) == (16.4, "edit format whole")
        assert (row.date, row.items) == ("2024-12-26", 225)


def test_openhands_names_the_model_by_its_folder() -> None:
    row = {
        "benchmark": "swe-bench",
        "score": 71.6,
        "agent_version": "v1.8.3",
        "submission_time": "2026-01-27T08:00:00+00:00",
    }
    copy = Files(
        "openhands", **{"results/DeepSeek-V3.2-Reasoner/scores.json": json.dumps([row])}
    )
    (found,) = read_runs.read_openhands(copy, names())
    assert facts([found]) == [
        ("deepseek-v3.2", "openhands-swe-bench", 71.6, "reasoner")
    ]
    assert found.date == "2026-01-27"


@pytest.mark.parametrize(
    ("submitter", "independent"),
    [
        pytest.param("Sierra", None, id="of the board's own"),
        pytest.param("Zhipu AI", False, id="of the maker"),
    ],
)
def test_tau2_tells_makers_runs_from_its_own(
    submitter: str, independent: bool | None
) -> None:
    row = {
        "model_name": "GLM-5",
        "model_organization": "Zhipu AI",
        "submitting_organization": submitter,
        "submission_date": "2026-03-02",
        "results": {"airline": {"pass_1": 82.5}, "retail": None},
    }
    path = "web/leaderboard/public/submissions/glm-5/submission.json"
    (found,) = read_runs.read_tau2(Files("tau2", **{path: json.dumps(row)}), names())
    assert (found.model, found.board, found.score) == ("glm-5", "tau2-airline", 82.5)
    assert found.independent is independent


def test_llm_stats_gives_shares_as_percent_with_the_page() -> None:
    """Points, a score of 0, and a placeholder in place of a page are no statements of a maker."""

    def row(score: float, page: str = "https://huggingface.co/x") -> dict[str, object]:
        return {
            "benchmark_name": "ARC-C",
            "score": score,
            "analysis_method": "-",
            "updated_at": "2025-07-19T19:56:11",
            "self_reported_source_link": page,
        }

    path = "data/organizations/google/models/gemma-3-12b-it/benchmarks.json"
    rows = [
        row(0.93),
        row(2134),
        row(0),
        row(0.5, "https://example.com/benchmark-image"),
    ]
    copy = Files("llm-stats", **{path: json.dumps(rows)})
    (found,) = read_reports.read_llm_stats(copy, names())
    assert (found.model, found.score, found.test) == ("gemma-3-12b-it", 93, "ARC-C")
    assert found.cites == "https://huggingface.co/x"


def test_mteb_prefers_a_run_to_the_card() -> None:
    def result(score: float) -> str:
        row = {"main_score": score, "hf_subset": "default"}
        return json.dumps({"mteb_version": "1.18.0", "scores": {"test": [row]}})

    folder = "results/thenlper__gte-base"
    copy = Files("mteb")
    copy._files = {
        f"{folder}/c078288308d8dee004ab72c6191778064285ec0c/NFCorpus.json": result(
            0.37
        ),
        f"{folder}/external/NFCorpus.json": result(0.99),
        f"{folder}/external/SciFact.json": result(0.76),
        f"{folder}/external/NoSuchTask.json": result(0.5),
    }
    found = {
        row.test: (row.score, row.setting)
        for row in read_reports.read_mteb(copy, names())
    }
    assert found == {"NFCorpus": (37.0, ""), "SciFact": (76.0, "model card")}


# ------------------------------------------------------------------ what is kept


def test_of_two_runs_the_newer_counts_and_of_one_day_both() -> None:
    older = Found("gpt-oss-20b", "llme", 60, "gpt-oss-20b", date="2025-01-01")
    newer = older._replace(score=70, date="2025-06-01")
    again = newer._replace(score=72)
    assert newest([older, newer]) == [newer]
    assert newest([newer, older]) == [newer]
    assert newest([newer, again]) == [newer, again]
