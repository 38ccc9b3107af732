"""The table of sizes that `show` ends with, and the proposals of `check`, on a narrow terminal."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from helpers.screens import drawn
from selfhost import Machine, Workload, check
from selfhost.advice.several import describe
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.named import named
from selfhost.reports.check_text import check_document
from selfhost.reports.model_figures import figures_of
from selfhost.reports.show_text import show_document
from selfhost.reports.words import TOKENS

VM = Machine.from_file(RECORDS / "vm-24gib.json")
MARK = "  Its sizes in "


def table_of_sizes(model: str, machine: Machine, workload: Workload) -> list[str]:
    """The rows of the table on 80 columns, its titles first."""
    shown = describe(open_catalogue(), model, workload, machine)
    lines = drawn(show_document(shown), 80).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(MARK))
    rows = lines[start + 1 :]
    return rows[: next(at for at, line in enumerate(rows) if not line.strip())]


def test_sizes_say_which_of_them_the_gpu_holds() -> None:
    """All seven sizes ran on the machine, with no memory beside them: which fits the card?"""
    workload = Workload(context_tokens=32_768)
    rows = table_of_sizes("mistral-7b", named("desktop-rtx3060-12gb")[0], workload)
    assert rows[0].split()[:4] == ["quant", "download", "memory", "in"]
    assert "runs there" in rows[0]
    where = {row.split()[0]: row.split()[5] for row in rows[1:]}
    # bfloat16 is 14.5 GB and the card has 12 GiB; Q4_K_M is 4.4 GB and 4.3 of cache
    assert (where["BF16"], where["Q4_K_M"]) == ("GPU+RAM", "GPU")


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("rtx 3060 32gb", id="memory of its own"),
        pytest.param("macbook air m2 16gb", id="shared memory"),
        pytest.param("i5-8250U 16GB", id="no GPU"),
    ],
)
def test_sizes_tell_the_memory_that_a_list_tells(machine: str) -> None:
    """Llama 3.1 8B took 7.01 GiB in `show`, and 6.34 GiB in `check`, `list` and `compare`."""
    verdict = check("llama-3.1-8b", machine=machine)
    figures = figures_of(verdict, TOKENS)
    rows = table_of_sizes("llama-3.1-8b", named(machine)[0], Workload())
    (row,) = [row for row in rows if row.split()[0] == verdict.quantization]
    assert figures.memory in row
    if verdict.machine.accelerators:
        assert row.split()[5] == figures.place == "GPU"


def test_sizes_on_a_machine_without_a_gpu_have_no_place() -> None:
    """A column that says RAM in each row says nothing."""
    rows = table_of_sizes("mistral-7b", VM, Workload())
    assert " in " not in rows[0]
    assert "runs there" in rows[0]


def test_sizes_go_from_the_largest_to_the_smallest() -> None:
    """MXFP4, 25.7 GB, stood below Q3_K_M, 22.5 GB."""
    rows = table_of_sizes("mixtral", VM, Workload())
    downloads = [float(row.split()[1]) for row in rows[1:]]
    assert downloads == sorted(downloads, reverse=True)
    assert any(row.split()[0] == "MXFP4" for row in rows)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_proposal_is_one_line(width: int) -> None:
    """`from 2026-05, in Ollama's` and below it `library`, of each proposal."""
    lines = drawn(
        check_document([check("llama-3.3-70b", machine=VM)]), width
    ).splitlines()
    start = next(at for at, line in enumerate(lines) if line.endswith("instead"))
    rows = lines[start + 1 : lines.index("", start)]
    assert len(rows) == 4
    assert rows[-1].startswith("  selfhost check ")
    assert all("tokens/s" in row for row in rows[:-1])


def test_a_sentence_that_begins_with_the_programs_name_wraps() -> None:
    """`runtime: selfhost does not cover MLX LM on linux: …` was one line of 88 cells, as if
    it were a command to type.
    """
    verdict = check("qwen3-8b", Workload(runtime="mlx"), machine=VM)
    document = tuple(check_document([verdict]))
    for width in (40, 80):
        before_commands = drawn(document, width).partition("instead\n")[0]
        assert "selfhost does not cover MLX" in " ".join(before_commands.split())
        assert max(map(len, before_commands.splitlines())) <= width
