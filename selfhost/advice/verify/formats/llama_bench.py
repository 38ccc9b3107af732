"""llama-bench of llama.cpp, its default table and `-o json`, `jsonl` and `csv`; and
llama-batched-bench, its table and `--output-format jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import (
    COUNTS,
    MOST_VALUES,
    SIZES,
    amount,
    gpu_of,
    is_on,
    json_values,
    positive,
    quantization,
    whole,
)

MARKS = ("t/s", "avg_ts", '"speed_tg"')
# of a record, whichever output it is from
_KEYS = ("model_filename", "n_prompt", "n_gen", "avg_ts")
_BATCHED_KEYS = ("pp", "tg", "pl", "speed_pp", "speed_tg")
# what one run has of a record; another value is another test
_APART = ("model_filename", "model_type", "n_threads", "n_gpu_layers", "type_k", "backends", "rest")
_TESTED = ("n_prompt", "n_gen", "n_depth")
# what the tables call a key of a record
_COLUMNS = {
    "model": "model_type",
    "params": "model_n_params",
    "backend": "backends",
    "ngl": "n_gpu_layers",
    "threads": "n_threads",
    "fa": "flash_attn",
    "ncmoe": "n_cpu_moe",
    "PP": "pp",
    "TG": "tg",
    "B": "pl",
    "S_PP t/s": "speed_pp",
    "S_TG t/s": "speed_tg",
}
# pp512, tg128, pp512+tg128, each with @ d4096; builds of 2023 and 2024 write pp 512
_TEST = pattern(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?")
_BUILD = pattern(r"^build: ([0-9a-f]{4,40}) \(\d+\)", 8)
_COMMIT = pattern(r"[0-9a-f]{4,40}")
_THREADS = pattern(r"\bn_threads = (\d{1,5})")
# what stands for an architecture in `qwen2 1B Q4_K - Medium` where it is not known
_NOT_AN_ARCHITECTURE = ("", "?", "unknown")
_OTHER_TESTS = "Tests of another model, other options or another run are left out"
_OTHER_ROWS = "Rows of other numbers of sequences, or with longer prompts, are left out"
_Row = Mapping[str, str]


def read(text: str) -> Run | None:
    """Its tests of one model; of several models those of the first."""
    rows = [*(_records(text) or _of_csv(text) or _of_tables(text))][:MOST_VALUES]
    if batched := [row for row in rows if "speed_tg" in row and whole(row["pl"])]:
        return _of_batches(batched, text)
    tests = [row for row in rows if all(key in row for key in _KEYS[1:])]
    return _of_tests(tests, text) if tests else None


# ------------------------------------------------------------------ rows


def _records(text: str) -> list[_Row]:
    """The objects of JSON or JSON lines, their values as text. An array may stand behind what the
    backends print of their devices.
    """
    lines = text.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("[")), 0)
    last = next((number for number, line in enumerate(lines) if line == "]"), len(lines))
    return [
        {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in row.items()
        }
        for row in json_values("\n".join(lines[first : last + 1]), MARKS)
        if isinstance(row, dict) and (row.keys() >= {*_KEYS} or row.keys() >= {*_BATCHED_KEYS})
    ]


def _of_csv(text: str) -> list[_Row]:
    start = text.find("build_commit,")
    if start < 0 or (start and text[start - 1] != "\n"):
        return []
    import csv

    rows: list[_Row] = []
    try:
        for row in csv.DictReader(text[start:].splitlines()):
            if None not in row and all(row.get(key) for key in _KEYS):
                rows.append({key: value for key, value in row.items() if isinstance(value, str)})
    except csv.Error:
        return rows
    return rows


def _of_tables(text: str) -> Iterator[_Row]:
    """The rows of the default outputs, tables in Markdown, as records."""
    head: list[str] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            continue
        cells = [cell.strip() for cell in line[:2000].strip().strip("|").split("|")]
        if {"test", "t/s", "model"} <= set(cells) or {"PP", "B", "S_TG t/s"} <= set(cells):
            head = cells
        elif len(cells) == len(head) and (row := _row(head, cells)):
            yield row


def _row(head: list[str], cells: list[str]) -> dict[str, str]:
    """What a row of a table says, by the keys of a record; {} of no test."""
    record = {_COLUMNS.get(key, key): cell for key, cell in zip(head, cells, strict=True)}
    if "speed_tg" in record:
        return record
    test = _TEST.fullmatch(record.pop("test"))
    if test is None:
        return {}
    # `5.04 ± 0.26`, however the sign was decoded
    average, *deviation = record.pop("t/s").split() or [""]
    return {
        "type_k": "f16",
        "type_v": "f16",
        **record,
        "rest": "|".join(cell for key, cell in record.items() if key != "flash_attn"),
        "n_prompt": test[2] if test[1] == "pp" else "0",
        "n_gen": test[2] if test[1] == "tg" else "0",
        "n_depth": test[3] or "0",
        "avg_ts": average,
        "stddev_ts": deviation[-1] if deviation else "",
    }


# ------------------------------------------------------------------ tests of one sequence


def _of_tests(rows: Sequence[_Row], text: str) -> Run:
    same = _tests_of(rows)
    first = {key: value for key, value in same[0].items() if value}
    described, layers = first.get("model_type", ""), first.get("n_gpu_layers", "")
    parameters, architecture = first.get("model_n_params", ""), described.lower().partition(" ")[0]
    backends = [name.strip() for name in first.get("backends", "").split(",") if name.strip()]
    left_out = len(rows) - len(same)
    return Run(
        tool="llama-bench",
        version=_commit(first, text),
        file=first.get("model_filename"),
        architecture=None if architecture in _NOT_AN_ARCHITECTURE else architecture,
        quantization=quantization(described),
        parameters=whole(parameters) or amount(parameters, COUNTS),
        file_bytes=amount(first.get("size", ""), SIZES),
        kv_cache_type=first.get("type_k") if first.get("type_k") == first.get("type_v") else None,
        threads=whole(first.get("n_threads", "")) or None,
        on_processor=_on_processor(backends, layers),
        gpu_layers=whole(layers),
        experts_in_ram=whole(first.get("n_cpu_moe", "")) or None,
        batch_tokens=whole(first.get("n_ubatch", "")) or None,
        flash_attention=is_on(first.get("flash_attn", "")),
        gpu=first.get("gpu_info") or gpu_of(text),
        backends=tuple(backends),
        paces=tuple(pace for row in same for pace in _pace_of_test(row)),
        notes=(f"{_OTHER_TESTS}: {left_out:,}.",) if left_out else (),
    )


def _commit(row: _Row, text: str) -> str | None:
    build = _BUILD.search(text)
    commit = row.get("build_commit", build[1] if build else "")
    return commit if _COMMIT.fullmatch(commit) else None


def _on_processor(backends: Sequence[str], layers: str) -> bool | None:
    """True for a build without accelerators, or with no layer on one."""
    if layers == "0":
        return True
    return set(backends) <= {"CPU", "BLAS"} if backends else None


def _tests_of(rows: Sequence[_Row]) -> list[_Row]:
    """The tests of one model with the same options: those of the first row, but with flash
    attention where it was tried with and without (`-fa 0,1`), for predicted is with it.
    """
    alike = [row for row in rows if all(row.get(key) == rows[0].get(key) for key in _APART)]
    first = next((row for row in alike if is_on(row.get("flash_attn", ""))), rows[0])
    alike = [row for row in alike if row.get("flash_attn") == first.get("flash_attn")]
    # a test that stands there twice is of another run, as with another GPU
    tests = {tuple(map(row.get, _TESTED)): row for row in reversed(alike)}
    return list(tests.values())[::-1]


def _pace_of_test(row: _Row) -> Iterator[SeenPace]:
    """One of a prompt or of decoding; none of a test of both, which is neither pace."""
    prompt, written = whole(row["n_prompt"]) or 0, whole(row["n_gen"]) or 0
    mean, away = positive(row["avg_ts"]), positive(row.get("stddev_ts", ""))
    if bool(prompt) != bool(written):
        yield SeenPace(
            kind="prompt" if prompt else "decode",
            tokens_per_second=mean,
            tokens=prompt or written,
            depth_tokens=(whole(row.get("n_depth", "0")) or 0) + written // 2,
            deviation=None if mean is None or away is None else away / mean,
        )


# ------------------------------------------------------------------ batches


def _of_batches(rows: Sequence[_Row], text: str) -> Run:
    """Every row of one sequence alone, and of the most at once that with the shortest context, for
    which alone a total is predicted.
    """
    most = max(rows, key=lambda row: (whole(row["pl"]) or 0, -(whole(row["pp"]) or 0)))
    shown = [row for row in rows if whole(row["pl"]) == 1 or row is most]
    threads, left_out = _THREADS.search(text), len(rows) - len(shown)
    return Run(
        tool="llama-batched-bench",
        parallel=whole(most["pl"]),
        threads=whole(threads[1] if threads else most.get("n_threads", "")) or None,
        paces=tuple(pace for row in shown for pace in _paces_of_batch(row)),
        notes=(f"{_OTHER_ROWS}: {left_out:,}.",) if left_out else (),
    )


def _paces_of_batch(row: _Row) -> Iterator[SeenPace]:
    """Of decoding, and of a prompt where one was read alone."""
    sequences, prompt, written = whole(row["pl"]) or 1, whole(row["pp"]) or 0, whole(row["tg"]) or 0
    if sequences == 1 and prompt:
        rate = positive(row["speed_pp"])
        yield SeenPace(kind="prompt", tokens_per_second=rate, tokens=prompt, depth_tokens=0)
    if written:
        yield SeenPace(
            kind="decode",
            tokens_per_second=positive(row["speed_tg"]),
            tokens=written,
            depth_tokens=prompt + written // 2,
            sequences=sequences,
        )
