"""Sources of one table each: Vectara, AlpacaEval, Arena-Hard, ZeroEval, EvalPlus, Open ASR, MMMU."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

from .copies import Copy
from .names import Names
from .scores import Found

_VECTARA = re.compile(r"\|([^|]+)\|([\d.]+) %\|[\d.]+ %\|[\d.]+ %\|")
_ZEROEVAL = {
    "GSM8K": "zeroeval-gsm8k",
    "MMLU<br/>-Redux": "zeroeval-mmlu-redux",
    "ZebraLogic": "zeroeval-zebralogic",
    "CRUX": "zeroeval-crux",
    "MATH<br/>-L5": "zeroeval-math-l5",
}
_EVALPLUS = {"humaneval+": "evalplus-humaneval-plus", "mbpp+": "evalplus-mbpp-plus"}
_HUB = "https://huggingface.co/"
# file -> board, and the columns of the model and of its mean
_ASR = {
    "en_shortform.csv": ("open-asr-en-short", "model", "Avg. WER"),
    "en_longform.csv": ("open-asr-en-long", "model_id", "Average"),
    "multilingual.csv": ("open-asr-multilingual", "model", "Avg"),
}
_MMMU = {"validation": "mmmu-val", "pro": "mmmu-pro"}


def read_vectara(copy: Copy, names: Names) -> Iterator[Found]:
    """The share of summaries with a hallucination, of the table of the page."""
    for written, share in _VECTARA.findall(copy.text(copy.source.path)):
        found = names.model(written)
        if found is not None:
            yield Found(
                found.model,
                "vectara-hallucination",
                float(share),
                written,
                found.setting,
            )


def read_alpaca(copy: Copy, names: Names) -> Iterator[Found]:
    """The length-controlled win rate. Only what the authors verified is independent."""
    for row in csv.DictReader(copy.text(copy.source.path).splitlines()):
        written = row[""]
        found = names.model(written)
        if found is None:
            continue
        is_of_authors = row["mode"] in ("minimal", "verified")
        yield Found(
            found.model,
            "alpaca-eval-2",
            float(row["length_controlled_winrate"]),
            written,
            found.setting,
            independent=None if is_of_authors else False,
        )


def read_arena_hard(copy: Copy, names: Names) -> Iterator[Found]:
    """The win rate against GPT-4."""
    for row in csv.DictReader(copy.text(copy.source.path).splitlines()):
        found = names.model(row["model"])
        if found is not None:
            score = float(row["score"])
            yield Found(
                found.model, "arena-hard-v0.1", score, row["model"], found.setting
            )


def read_zeroeval(copy: Copy, names: Names) -> Iterator[Found]:
    """The accuracy on each of five tests."""
    rows = []
    for line in copy.text(copy.source.path).splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    # the second line draws a rule
    columns, _, *models = rows
    for cells in models:
        row = dict(zip(columns, cells, strict=True))
        # behind the @ stands who sells it
        found = names.model(row["Model"].partition("@")[0])
        if found is None:
            continue
        for column, board in _ZEROEVAL.items():
            if row[column] not in ("nan", ""):
                yield Found(
                    found.model, board, float(row[column]), row["Model"], found.setting
                )


def read_evalplus(copy: Copy, names: Names) -> Iterator[Found]:
    """The share of functions that pass, of the extended tests. Its links name repositories."""
    for written, row in json.loads(copy.text(copy.source.path)).items():
        link = row["link"].removeprefix(_HUB).strip("/")
        id = names.repository(link)
        name = link
        setting = ""
        if id is None:
            found = names.model(written, lists_base_models=True)
            if found is None:
                continue
            id = found.model
            name = written
            setting = found.setting
        if not row["prompted"]:
            setting = "completes code, not asked in words"
        for test, board in _EVALPLUS.items():
            if row["pass@1"].get(test) is not None:
                yield Found(id, board, float(row["pass@1"][test]), name, setting)


def read_asr(copy: Copy, names: Names) -> Iterator[Found]:
    """The mean share of wrong words, of three tables."""
    for file, (board, of_model, of_mean) in _ASR.items():
        for row in csv.DictReader(copy.text(f"{copy.source.path}/{file}").splitlines()):
            id = names.repository(row[of_model])
            if id is not None and row[of_mean]:
                yield Found(id, board, float(row[of_mean]), row[of_model])


def read_mmmu(copy: Copy, names: Names) -> Iterator[Found]:
    """The accuracy on both tests, by whoever measured it."""
    for row in json.loads(copy.text(copy.source.path))["leaderboardData"]:
        info = row["info"]
        found = names.model(info["name"])
        if found is None:
            continue
        for part, board in _MMMU.items():
            score = _number(row.get(part, {}).get("overall"))
            if score is not None:
                yield Found(
                    found.model,
                    board,
                    score,
                    info["name"],
                    found.setting,
                    date=info["date"],
                )


def _number(value: Any) -> float | None:
    """The number that a cell holds; None where it holds none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
