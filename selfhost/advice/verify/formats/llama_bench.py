"""llama-bench of llama.cpp: its default table, and `-o json`, `jsonl` and `csv`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....core.json_text import Decoder
from ....core.reading import Unreadable
from ....core.records import pattern
from ..run import Run, SeenPace
from .words import as_json, attends_flash, bytes_of, count_of, gpu_of, positive, quantization, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re

MARKS = ("t/s", "avg_ts")
# of a record, whichever output it is from
_KEYS = ("model_filename", "n_prompt", "n_gen", "avg_ts")
# what one run has of a record; another value is another test
_APART = ("model_filename", "n_threads", "n_gpu_layers", "type_k", "backends", "columns")
_TESTED = ("n_prompt", "n_gen", "n_depth")
# what the table calls a key of a record
_COLUMNS = {
    "model": "model_type",
    "params": "model_n_params",
    "backend": "backends",
    "ngl": "n_gpu_layers",
    "threads": "n_threads",
    "fa": "flash_attn",
    "ncmoe": "n_cpu_moe",
}
# more rows than any benchmark has
_MOST_ROWS = 10_000
# pp512, tg128, pp512+tg128, each with @ d4096
# builds of 2023 and 2024 write pp 512
_TEST = pattern(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?")
_BUILD = pattern(r"^build: ([0-9a-f]{4,40}) \(\d+\)", 8)
# what stands for an architecture in `qwen2 1B Q4_K - Medium` where it is not known
_NOT_AN_ARCHITECTURE = ("?", "unknown")
_Row = Mapping[str, str]


def read(text: str) -> Run | None:
    """Its tests of one model; of several models those of the first."""
    rows = _records(text) or _of_csv(text) or _of_table(text)
    return _of_rows(rows, text) if rows else None


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


def _tests_of(rows: Sequence[_Row]) -> list[_Row]:
    """The tests of one model with the same options: those of the first row, but with flash
    attention where it was tried with and without (`-fa 0,1`), for predicted is with it.
    """
    alike = [row for row in rows if all(row.get(key) == rows[0].get(key) for key in _APART)]
    first = next((row for row in alike if attends_flash(row.get("flash_attn", ""))), rows[0])
    alike = [row for row in alike if row.get("flash_attn") == first.get("flash_attn")]
    # a test that stands there twice is of another run, as with another GPU
    tests = {tuple(map(row.get, _TESTED)): row for row in reversed(alike)}
    return list(tests.values())[::-1]


def _of_rows(rows: Sequence[_Row], text: str) -> Run:
    same = _tests_of(rows)
    first = same[0]
    described, layers = first.get("model_type", ""), first.get("n_gpu_layers", "")
    words, build = described.lower().split(), _BUILD.search(text)
    parameters = first.get("model_n_params", "")
    return Run(
        tool="llama-bench",
        version=_hexadecimal(first.get("build_commit", build[1] if build else "")),
        file=first.get("model_filename") or None,
        architecture=words[0] if words and words[0] not in _NOT_AN_ARCHITECTURE else None,
        quantization=quantization(described),
        parameters=whole(parameters) or count_of(parameters),
        file_bytes=bytes_of(first.get("size", "")),
        kv_cache_type=_cache_type(first),
        threads=whole(first.get("n_threads", "")) or None,
        on_processor=_on_processor(first.get("backends", ""), layers),
        gpu_layers=whole(layers),
        experts_in_ram=whole(first.get("n_cpu_moe", "")) or None,
        batch_tokens=whole(first.get("n_ubatch", "")) or None,
        flash_attention=attends_flash(first.get("flash_attn", "")),
        processor=first.get("cpu_info") or None,
        gpu=first.get("gpu_info") or gpu_of(text),
        backends=_backends(first.get("backends", "")),
        paces=tuple(pace for row in same for pace in _paces(row)),
        notes=_left_out(len(rows) - len(same)),
    )


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


def _of_table(text: str) -> list[_Row]:
    """The rows of the default output, a table in Markdown, as records."""
    head: list[str] = []
    rows: list[_Row] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            continue
        if "test" in cells and "t/s" in cells and "model" in cells:
            head = cells
        elif len(cells) >= len(head) > 0 and len(rows) < _MOST_ROWS:
            row = _row(head, cells)
            match = _TEST.fullmatch(row.pop("test"))
            rows += [] if match is None else [_as_record(row, match)]
    return rows


def _row(head: list[str], cells: list[str]) -> dict[str, str]:
    """The cells by their names. Of a row with more cells than the head has, as ik_llama.cpp wrote,
    those whose place is sure: which columns were left out is not known.
    """
    if len(cells) > len(head):
        sure = ("model", "size", "params", "backend", "ngl")
        named = {key: cell for key, cell in zip(head, cells, strict=False) if key in sure}
        return named | {"test": cells[-2], "t/s": cells[-1]}
    return dict(zip(head, cells, strict=True))


def _as_record(row: dict[str, str], test: re.Match[str]) -> _Row:
    """What a row of the table says, by the keys of a record."""
    # `5.04 ± 0.26`, however the sign was decoded
    average, *deviation = row.pop("t/s").split() or [""]
    record = {_COLUMNS.get(key, key): cell for key, cell in row.items()}
    columns = [cell for key, cell in record.items() if key != "flash_attn"]
    return {
        "type_k": "f16",
        "type_v": "f16",
        **record,
        "columns": "|".join(columns),
        "n_prompt": test[2] if test[1] == "pp" else "0",
        "n_gen": test[2] if test[1] == "tg" else "0",
        "n_depth": test[3] or "0",
        "avg_ts": average,
        "stddev_ts": deviation[-1] if deviation else "",
    }
