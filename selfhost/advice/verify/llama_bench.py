"""The tests of llama-bench, its default table and `-o json` or `jsonl`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...core.tables import shipped_table
from .llama_log import SWITCHES, amount, facts_of, note, run_with
from .run import Run, SeenPace

# pp512, tg128, each with @ d4096; builds of 2023 and 2024 write pp 512
_TEST = re.compile(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?")
_RATE = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_TESTED = ("n_prompt", "n_gen", "n_depth")
# what one run has of a row; another value is another test
_APART = ("file", "type", "parameters", "threads", "gpu_layers", "keys", "backend", "experts")


def read_bench(text: str) -> Run | None:
    """Its tests of one model with the same options; None where it has none with a number."""
    rows = [row for row in (*_records(text), *_table(text)) if _pace(row)]
    if not rows:
        return None
    same = _tests_of_one_run(rows)
    facts = {**facts_of("llama-bench", text), **{k: v for k, v in same[0].items() if v}}
    backends = tuple(name for name in re.split(r"[, ]+", facts.get("backend", "")) if name)
    architecture = facts.get("type", "").lower().partition(" ")[0]
    is_on_card = set(backends) - {"CPU", "BLAS"} and facts.get("gpu_layers") != "0"
    left_out = len(rows) - len(same)
    return run_with(facts).replace(
        tool="llama-bench",
        architecture=None if architecture in ("", "?", "unknown") else architecture,
        on_processor=not is_on_card if backends else None,
        experts_in_ram=amount(facts.get("experts", "")) or None,
        backends=backends,
        paces=tuple(pace for row in same if (pace := _pace(row))),
        notes=(note("other-tests", number=left_out),) if left_out else (),
    )


def _tests_of_one_run(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Those with the options of the first row, but with flash attention where it was tried with and
    without (`-fa 0,1`), for predicted is with it. A test that stands there twice is of another run,
    as with another GPU.
    """
    alike = [row for row in rows if all(row.get(key) == rows[0].get(key) for key in _APART)]
    wanted = rows[0].get("flash_attention")
    for row in alike:
        if SWITCHES.get(row.get("flash_attention", "")):
            wanted = row["flash_attention"]
    alike = [row for row in alike if row.get("flash_attention") == wanted]
    tests = {tuple(map(row.get, _TESTED)): row for row in reversed(alike)}
    return list(tests.values())[::-1]


def _records(text: str) -> Iterator[dict[str, str]]:
    """The objects of `-o json` and `-o jsonl`, none of which holds another."""
    import json

    names = shipped_table("runs")["bench"]
    for part in re.findall(r"\{[^{}]{1,20000}\}", text):
        try:
            record = json.loads(part)
        except ValueError:
            continue
        if {"model_filename", "n_prompt", "n_gen", "avg_ts"} <= record.keys():
            switches = {True: "on", False: "off"}
            yield {
                names.get(key, key): switches[value] if isinstance(value, bool) else str(value)
                for key, value in record.items()
            }


def _table(text: str) -> Iterator[dict[str, str]]:
    """The rows of the default output, a table in Markdown, as records."""
    names = shipped_table("runs")["bench"]
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line[:2000].strip().strip("|").split("|")]
        if {"test", "t/s", "model"} <= set(cells):
            head = [names.get(cell, cell) for cell in cells]
        elif len(cells) == len(head):
            row = dict(zip(head, cells, strict=True))
            if test := _TEST.fullmatch(row["test"]):
                kind = "n_prompt" if test[1] == "pp" else "n_gen"
                # `5.04 ± 0.26`, however the sign was decoded
                rate = row["t/s"].partition(" ")[0]
                numbers = {kind: test[2], "n_depth": test[3] or "0", "avg_ts": rate}
                yield {"keys": "f16", "values": "f16", **row, **numbers}


def _pace(row: dict[str, str]) -> SeenPace | None:
    """None of a test of a prompt and an answer, which is neither pace, or without a number."""
    prompt, written = amount(row.get("n_prompt", "0")), amount(row.get("n_gen", "0"))
    depth, rate = amount(row.get("n_depth", "0")), row["avg_ts"]
    if bool(prompt) == bool(written) or not _RATE.fullmatch(rate) or not float(rate):
        return None
    return SeenPace(
        kind="prompt" if prompt else "decode",
        tokens_per_second=float(rate),
        tokens=prompt or written,
        depth_tokens=(depth or 0) + (written or 0) // 2,
    )
