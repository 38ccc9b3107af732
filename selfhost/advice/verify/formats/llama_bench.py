"""llama-bench of llama.cpp: its default table, and `-o json`, `jsonl`, `csv` and `sql`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....core.json_text import Decoder
from ....core.reading import Unreadable
from ....core.records import pattern
from ..run import Run, SeenPace
from .words import (
    as_json,
    attends_flash,
    bytes_of,
    count_of,
    gpu_of,
    positive,
    quantization,
    whole,
)

MARKS = ("t/s", "avg_ts")
# of a record, whichever output it is from
_KEYS = ("model_filename", "n_prompt", "n_gen", "avg_ts")
# what one run has of a record; another value is another test
_APART = ("model_filename", "n_threads", "n_gpu_layers", "type_k", "backends")
# more rows than any benchmark has
_MOST_ROWS = 10_000
# pp512, tg128, pp512+tg128, each with @ d4096
# builds of 2023 and 2024 write pp 512
_TEST = pattern(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?")
_BUILD = pattern(r"^build: ([0-9a-f]{4,40}) \(\d+\)", 8)
# INSERT INTO llama_bench (build_commit, …) VALUES ('0c1e570', …); nothing in a value is escaped
_INSERTED = pattern(r"^INSERT INTO \w{1,80} \(([\w, ]{1,4000})\) VALUES \((.{1,40000})\);$")
_VALUE = pattern(r"'([^']*)'")
# what stands for an architecture in `qwen2 1B Q4_K - Medium` where it is not known
_NOT_AN_ARCHITECTURE = ("?", "unknown")
_Row = Mapping[str, str]


def read(text: str) -> Run | None:
    """Its tests of one model; of several models those of the first."""
    rows = _records(text) or _of_csv(text) or _of_sql(text)
    return _of_rows(rows) if rows else _of_table(text)


def _records(text: str) -> list[_Row]:
    """The objects of JSON or JSON lines, their values as text."""
    values = _array(text)
    if not values:
        decoder = Decoder()
        for line in text.splitlines():
            if line.startswith("{") and '"avg_ts"' in line and len(values) < _MOST_ROWS:
                try:
                    values.append(decoder.parse(as_json(line)))
                except Unreadable:
                    continue
    return [
        {key: _text(value) for key, value in row.items()}
        for row in values[:_MOST_ROWS]
        if isinstance(row, dict) and all(key in row for key in _KEYS)
    ]


def _array(text: str) -> list[object]:
    """The array of `-o json`, behind what its backends print of their devices; [] where there is
    none.
    """
    lines = text.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("[")), 0)
    last = next((number for number, line in enumerate(lines) if line == "]"), len(lines))
    try:
        parsed = Decoder().parse(as_json("\n".join(lines[first : last + 1])))
    except Unreadable:
        return []
    return parsed if isinstance(parsed, list) else []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_csv(text: str) -> list[_Row]:
    start = text.find("build_commit,")
    if start < 0 or (start and text[start - 1] != "\n"):
        return []
    import csv

    rows: list[_Row] = []
    try:
        for row in csv.DictReader(text[start:].splitlines()):
            is_whole = None not in row and all(row.get(key) for key in _KEYS)
            if is_whole and len(rows) < _MOST_ROWS:
                rows.append({key: value for key, value in row.items() if isinstance(value, str)})
    except csv.Error:
        return rows
    return rows


def _of_sql(text: str) -> list[_Row]:
    rows: list[_Row] = []
    for line in text.splitlines():
        match = _INSERTED.match(line) if line.startswith("INSERT INTO ") else None
        if match is None or len(rows) >= _MOST_ROWS:
            continue
        names, values = match[1].split(", "), _VALUE.findall(match[2])
        if len(names) == len(values):
            row = dict(zip(names, values, strict=True))
            rows += [row] if all(row.get(key) for key in _KEYS) else []
    return rows


def _of_rows(rows: Sequence[_Row]) -> Run | None:
    first = _with_flash(rows, "flash_attn", _APART)
    same = [
        row
        for row in rows
        if all(row.get(key) == first.get(key) for key in (*_APART, "flash_attn"))
    ]
    described = first.get("model_type", "")
    words = described.split()
    layers = first.get("n_gpu_layers", "")
    return Run(
        tool="llama-bench",
        version=_hexadecimal(first.get("build_commit", "")),
        file=first["model_filename"] or None,
        architecture=words[0] if words and words[0] not in _NOT_AN_ARCHITECTURE else None,
        quantization=quantization(described),
        parameters=whole(first.get("model_n_params", "")) or None,
        kv_cache_type=_cache_type(first),
        threads=whole(first.get("n_threads", "")) or None,
        on_processor=_on_processor(first.get("backends", ""), layers),
        gpu_layers=whole(layers),
        experts_in_ram=_experts_in_ram(first),
        batch_tokens=_batch_tokens(first),
        flash_attention=attends_flash(first.get("flash_attn", "")),
        processor=first.get("cpu_info") or None,
        gpu=first.get("gpu_info") or None,
        backends=_backends(first.get("backends", "")),
        paces=tuple(pace for row in same for pace in _paces(row)),
        notes=_left_out(len(rows) - len(same)),
    )


def _with_flash(rows: Sequence[_Row], flash: str, apart: Sequence[str]) -> _Row:
    """The first row, or the first that differs from it in flash attention alone, which is on: `-fa
    0,1` is a common test, and predicted is with it.
    """
    alike = [row for row in rows if all(row.get(key) == rows[0].get(key) for key in apart)]
    return next((row for row in alike if attends_flash(row.get(flash, ""))), rows[0])


def _left_out(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    tests = "1 test" if count == 1 else f"{count:,} tests"
    verb = "is" if count == 1 else "are"
    return (
        f"{tests} of another model, other options or another run {verb} left out: give them alone.",
    )


def _hexadecimal(text: str) -> str | None:
    is_commit = 4 <= len(text) <= 40 and all(letter in "0123456789abcdef" for letter in text)
    return text if is_commit else None


def _cache_type(row: _Row) -> str | None:
    """The type of keys and values; None where they differ."""
    key, value = row.get("type_k"), row.get("type_v")
    return key if key == value else None


def _backends(text: str) -> tuple[str, ...]:
    """`("Metal", "BLAS")` of `Metal,BLAS`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _on_processor(backends: str, layers: str) -> bool | None:
    """True for a build without accelerators, or with no layer on one."""
    names = _backends(backends)
    if layers.strip() == "0":
        return True
    return all(name in ("CPU", "BLAS") for name in names) if names else None


def _paces(row: _Row) -> Iterable[SeenPace]:
    """One of a prompt or of decoding; none of a test of both, which is neither pace."""
    prompt, written = whole(row["n_prompt"]) or 0, whole(row["n_gen"]) or 0
    if bool(prompt) == bool(written):
        return
    yield SeenPace(
        kind="prompt" if prompt else "decode",
        tokens_per_second=positive(row["avg_ts"]),
        tokens=prompt or written,
        depth_tokens=(whole(row.get("n_depth", "0")) or 0) + written // 2,
        deviation=_deviation(row["avg_ts"], row.get("stddev_ts", "")),
    )


def _deviation(average: str, deviation: str) -> float | None:
    """As a share of the average; None where either is no number."""
    mean, away = positive(average), positive(deviation)
    return None if mean is None or away is None else away / mean


def _of_table(text: str) -> Run | None:
    """The default output, a table in Markdown."""
    head: list[str] = []
    rows: list[dict[str, str]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            continue
        if "test" in cells and "t/s" in cells and "model" in cells:
            head = cells
        elif len(cells) >= len(head) > 0 and len(rows) < _MOST_ROWS:
            rows.append(_row(head, cells))
    tests = [row for row in rows if _TEST.fullmatch(row["test"])]
    if not tests:
        return None
    build = _BUILD.search(text)
    run = _of_tests(tests, None if build is None else build[1])
    return run.replace(gpu=gpu_of(text))


def _row(head: list[str], cells: list[str]) -> dict[str, str]:
    """The cells by their names. Of a row with more cells than the head has, as ik_llama.cpp wrote,
    those whose place is sure: which columns were left out is not known.
    """
    if len(cells) > len(head):
        sure = ("model", "size", "params", "backend", "ngl")
        named = {key: cell for key, cell in zip(head, cells, strict=False) if key in sure}
        return named | {"test": cells[-2], "t/s": cells[-1]}
    return dict(zip(head, cells, strict=True))


def _batch_tokens(row: _Row) -> int | None:
    """How many tokens of a prompt it computed at once; None where it prints no column of it, which
    is the default.
    """
    return whole(row.get("n_ubatch", "")) or None


def _experts_in_ram(row: _Row) -> int | None:
    """Of how many layers."""
    return whole(row.get("n_cpu_moe", row.get("ncmoe", ""))) or None


def _of_tests(tests: Sequence[_Row], version: str | None) -> Run:
    apart = [key for key in tests[0] if key not in ("test", "t/s")]
    first = _with_flash(tests, "fa", [key for key in apart if key != "fa"])
    alike = [row for row in tests if all(row.get(key) == first[key] for key in apart)]
    # a test that stands there twice is of another run, as with another GPU
    same = list({row["test"]: row for row in reversed(alike)}.values())[::-1]
    words = first["model"].lower().split()
    layers = first.get("ngl", first.get("n_gpu_layers", ""))
    cache_type = first.get("type_k", "f16")
    return Run(
        tool="llama-bench",
        version=version,
        architecture=words[0] if words and words[0] not in _NOT_AN_ARCHITECTURE else None,
        quantization=quantization(first["model"]),
        parameters=count_of(first.get("params", "")),
        file_bytes=bytes_of(first.get("size", "")),
        kv_cache_type=cache_type if cache_type == first.get("type_v", "f16") else None,
        threads=whole(first.get("threads", "")) or None,
        on_processor=_on_processor(first.get("backend", ""), layers),
        gpu_layers=whole(layers),
        experts_in_ram=_experts_in_ram(first),
        batch_tokens=_batch_tokens(first),
        flash_attention=attends_flash(first.get("fa", "")),
        backends=_backends(first.get("backend", "")),
        paces=tuple(pace for row in same for pace in _pace_of_test(row)),
        notes=_left_out(len(tests) - len(same)),
    )


def _pace_of_test(row: _Row) -> Iterable[SeenPace]:
    match = _TEST.fullmatch(row["test"])
    if match is None:
        return
    writes, tokens = match[1] == "tg", int(match[2])
    # `5.04 ± 0.26`, however the sign was decoded
    average, *beside = row["t/s"].split() or [""]
    deviation = beside[-1] if beside else ""
    yield SeenPace(
        kind="decode" if writes else "prompt",
        tokens_per_second=positive(average),
        deviation=_deviation(average, deviation),
        tokens=tokens,
        depth_tokens=int(match[3] or 0) + (tokens // 2 if writes else 0),
    )
