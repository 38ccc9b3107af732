"""llama-batched-bench of llama.cpp, its table and `--output-format jsonl`, and llama-sweep-bench of
ik_llama.cpp, whose table has the same columns for one sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....core.json_text import Decoder
from ....core.reading import Unreadable
from ....core.records import pattern
from ..run import Run, SeenPace
from .words import as_json, positive, whole

MARKS = ("S_TG t/s", '"speed_tg"')
_SWEEP_HEAD = ["PP", "TG", "N_KV", "T_PP s", "S_PP t/s", "T_TG s", "S_TG t/s"]
_HEAD = ["PP", "TG", "B", "N_KV", "T_PP s", "S_PP t/s", "T_TG s", "S_TG t/s", "T s", "S t/s"]
# of the table -> of a record
_NAMES = {"PP": "pp", "TG": "tg", "B": "pl", "S_PP t/s": "speed_pp", "S_TG t/s": "speed_tg"}
_THREADS = pattern(r"\bn_threads = (\d{1,5})")
# more rows than any benchmark has
_MOST_ROWS = 10_000
_Row = Mapping[str, str]


def read(text: str) -> Run | None:
    """Every row of one sequence alone, and of the most at once that with the shortest context, for
    which alone a total is predicted.
    """
    rows = [row for row in _of_table(text, _HEAD) or _records(text) if whole(row["pl"])]
    if not rows:
        return _sweep(text)
    at_once = max(whole(row["pl"]) or 0 for row in rows)
    together = [row for row in rows if whole(row["pl"]) == at_once]
    most = min(together, key=lambda row: whole(row["pp"]) or 0)
    shown = [row for row in rows if whole(row["pl"]) == 1 or row is most]
    threads = _THREADS.search(text)
    return Run(
        tool="llama-batched-bench",
        parallel=whole(most["pl"]),
        threads=whole(threads[1] if threads else most.get("n_threads", "")) or None,
        paces=tuple(pace for row in shown for pace in _paces(row)),
        notes=tuple(_left_out(rows, at_once, len(together) - 1)),
    )


def _left_out(rows: Sequence[_Row], at_once: int, longer: int) -> Iterable[str]:
    """Sentences on the rows that are not shown: `longer` are of the most at once."""
    others = sum(whole(row["pl"]) not in (1, at_once) for row in rows)
    if others:
        yield f"Rows of other numbers of sequences are left out: {others:,}."
    if at_once > 1 and longer:
        yield f"Rows of {at_once:,} sequences with longer prompts are left out: {longer:,}."


def _sweep(text: str) -> Run | None:
    """The first row and the last, whose prompt and answer stand behind `N_KV` tokens."""
    rows = _of_table(text, _SWEEP_HEAD)
    if not rows:
        return None
    shown = rows if len(rows) < 3 else [rows[0], rows[-1]]
    note = f"Rows between the first and the last are left out: {len(rows) - len(shown):,}."
    return Run(
        tool="llama-sweep-bench",
        paces=tuple([pace for row in shown for pace in _paces(row)]),
        notes=(note,) if len(rows) > len(shown) else (),
    )


def _of_table(text: str, head: list[str]) -> list[_Row]:
    rows: list[_Row] = []
    is_below = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line[:400].strip().strip("|").split("|")]
        if cells == head:
            is_below = True
        elif is_below and len(cells) == len(head) and whole(cells[0]) and len(rows) < _MOST_ROWS:
            named = dict(zip(head, cells, strict=True))
            row = {_NAMES[key]: value for key, value in named.items() if key in _NAMES}
            rows.append(row if "B" in head else row | {"pl": "1", "depth": named["N_KV"]})
    return rows


def _records(text: str) -> list[_Row]:
    rows: list[_Row] = []
    decoder = Decoder()
    for line in text.splitlines():
        if not line.startswith("{") or '"speed_tg"' not in line or len(rows) >= _MOST_ROWS:
            continue
        try:
            value = decoder.parse(as_json(line))
        except Unreadable:
            continue
        if isinstance(value, dict) and all(key in value for key in _NAMES.values()):
            rows.append({key: str(entry) for key, entry in value.items()})
    return rows


def _paces(row: _Row) -> Iterable[SeenPace]:
    """Of decoding, and of a prompt where one was read alone."""
    sequences = whole(row["pl"]) or 1
    read, written = whole(row["pp"]) or 0, whole(row["tg"]) or 0
    before = whole(row.get("depth", "0")) or 0
    if sequences == 1 and read:
        rate = positive(row["speed_pp"])
        yield SeenPace(kind="prompt", tokens_per_second=rate, tokens=read, depth_tokens=before)
    if written:
        yield SeenPace(
            kind="decode",
            tokens_per_second=positive(row["speed_tg"]),
            tokens=written,
            depth_tokens=before + read + written // 2,
            sequences=sequences,
        )
