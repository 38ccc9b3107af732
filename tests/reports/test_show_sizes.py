"""The table of sizes that `show` ends with, and the proposals of `check`, on a narrow terminal."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from helpers.paths import RECORDS
from helpers.screens import drawn
from selfhost import Machine, Workload, check
from selfhost.advice.several import describe
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.named import named
from selfhost.reports.check_text import check_document
from selfhost.reports.measured_words import score_blocks
from selfhost.reports.model_figures import figures_of
from selfhost.reports.show_text import show_document
from selfhost.reports.words import TOKENS

VM = Machine.from_file(RECORDS / "vm-24gib.json")
MARK = "  Its sizes in "


class SizeRow(NamedTuple):
    """A row of the table; on a machine with a GPU its sixth word is the place."""

    text: str
    words: list[str]

    @property
    def quantization(self) -> str:
        return self.words[0]

    @property
    def download_gb(self) -> float:
        return float(self.words[1])

    @property
    def place(self) -> str:
        return self.words[5]


class SizeTable(NamedTuple):
    """The table, and the row of its titles."""

    titles: str
    rows: list[SizeRow]

    def row(self, quantization: str) -> SizeRow:
        """The one row of this quantization."""
        (row,) = [row for row in self.rows if row.quantization == quantization]
        return row


def table_of_sizes(model: str, machine: Machine, workload: Workload) -> SizeTable:
    """What stands between the heading of the sizes and the next empty line, on 80 columns."""
    shown = describe(open_catalogue(), model, workload, machine)
    lines = iter(drawn(show_document(shown), 80).splitlines())
    for line in lines:
        if line.startswith(MARK):
            break
    titles = next(lines)
    rows = []
    for line in lines:
        if not line.strip():
            break
        rows.append(SizeRow(line, line.split()))
    return SizeTable(titles, rows)


def test_sizes_say_which_of_them_the_gpu_holds() -> None:
    """All seven sizes ran on the machine, with no memory beside them: which fits the card?"""
    machine = named("desktop-rtx3060-12gb")[0]
    workload = Workload(context_tokens=32_768)
    sizes = table_of_sizes("mistral-7b", machine, workload)
    assert sizes.titles.split()[:4] == ["quant", "download", "memory", "in"]
    assert "runs there" in sizes.titles
    # the card has 12 GiB, and bfloat16 is 14.5 GB
    assert sizes.row("BF16").place == "GPU+RAM"
    # 4.4 GB, and 4.3 of cache
    assert sizes.row("Q4_K_M").place == "GPU"


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
    sizes = table_of_sizes("llama-3.1-8b", named(machine)[0], Workload())
    assert verdict.quantization is not None
    row = sizes.row(verdict.quantization)
    assert figures.memory in row.text
    if verdict.machine.accelerators:
        assert figures.place == "GPU"
        assert row.place == "GPU"


def test_sizes_on_a_machine_without_a_gpu_have_no_place() -> None:
    """A column that says RAM in each row says nothing."""
    sizes = table_of_sizes("mistral-7b", VM, Workload())
    assert " in " not in sizes.titles
    assert "runs there" in sizes.titles


def test_sizes_go_from_the_largest_to_the_smallest() -> None:
    """MXFP4, 25.7 GB, stood below Q3_K_M, 22.5 GB."""
    sizes = table_of_sizes("mixtral", VM, Workload())
    downloads = [row.download_gb for row in sizes.rows]
    assert downloads == sorted(downloads, reverse=True)
    assert sizes.row("MXFP4")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_proposal_is_one_line(width: int) -> None:
    """`from 2026-05, in Ollama's` and below it `library`, of each proposal."""
    verdict = check("llama-3.3-70b", machine=VM)
    lines = drawn(check_document([verdict]), width).splitlines()
    headings = [at for at, line in enumerate(lines) if line.endswith("instead")]
    start = headings[0]
    end = lines.index("", start)
    *proposals, command = lines[start + 1 : end]
    assert len(proposals) == 3
    assert command.startswith("  selfhost check ")
    for proposal in proposals:
        assert "tokens/s" in proposal


def test_a_sentence_that_begins_with_the_programs_name_wraps() -> None:
    """`runtime: selfhost does not cover MLX LM on linux: …` was one line of 88 cells, as if
    it were a command to type.
    """
    verdict = check("qwen3-8b", Workload(runtime="mlx"), machine=VM)
    document = tuple(check_document([verdict]))
    for width in (40, 80):
        before_commands = drawn(document, width).partition("instead\n")[0]
        assert "selfhost does not cover MLX" in " ".join(before_commands.split())
        longest = max(before_commands.splitlines(), key=len)
        assert len(longest) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_scores_of_one_test_tell_how_they_were_asked(width: int) -> None:
    """At 80 columns gpt-oss-20b had twelve rows `llme` of one day, and at each width two of
    Codeforces: OpenAI states one without tools and one with them.
    """
    model = open_catalogue().spec("gpt-oss-20b")
    shown = drawn(score_blocks(model), width)
    told = " ".join(shown.split())
    for words in ("Q4_K_M t=2.0 mode=native", "(without tools)", "(with tools)"):
        assert words in told
