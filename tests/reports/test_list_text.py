"""What `list` says: how many run, what stands in its rows, and what to type next."""

from __future__ import annotations

import re

import pytest

from helpers import report_samples as samples
from helpers.paths import RECORDS
from helpers.screens import drawn
from selfhost import Machine, Workload, check
from selfhost.advice.listing import Lister
from selfhost.catalogue.index import open_catalogue
from selfhost.cli.main import main
from selfhost.machine.changes import apply
from selfhost.machine.named import named
from selfhost.reports import words
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import Table, plain
from selfhost.reports.list_text import list_document

LAPTOP = "8gb windows laptop"
RECORD = str(RECORDS / "vm-24gib.json")
RANGES = "~ is the likely pace"


@pytest.mark.parametrize(
    ("words", "is_told"),
    [
        pytest.param(("list", "mistral", "7b"), True, id="some run"),
        pytest.param(("list", "llama", "70b"), False, id="none fits"),
        pytest.param(("compare", "gpt-oss-20b", "phi-4"), True, id="compared"),
        pytest.param(
            ("compare", "llama-3.3-70b", "gpt-4o"), False, id="compared, none fits"
        ),
    ],
)
def test_a_sign_is_explained_where_it_stands(
    words: tuple[str, ...], is_told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """`~ is the likely pace` stood under eleven rows with a dash."""
    main([*words, "--machine", RECORD])
    out = capsys.readouterr().out
    assert (RANGES in out) is is_told
    assert ("~" in out.replace(RANGES, "")) is is_told


@pytest.mark.parametrize(
    ("words", "is_shown"),
    [
        pytest.param(("list", "cogvideox"), False, id="list"),
        pytest.param(("check", "cogvideox-2b", "ltx-video"), False, id="check-several"),
        pytest.param(("plan", "cogvideox-2b"), True, id="plan"),
        pytest.param(("plan", "musicgen"), False, id="plan-without-paces"),
        pytest.param(("list", "mistral", "7b"), True, id="known-paces"),
    ],
)
def test_a_column_of_paces_without_a_pace_is_left_out(
    words: tuple[str, ...],
    is_shown: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No pace of video is known on processors: `tokens/s` stood above dashes only."""
    machine = () if words[0] == "plan" else ("--machine", RECORD)
    main([*words, *machine])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (titles,) = [row for row in rows if row[:1] in (["model"], ["machine"])]
    assert ("tokens/s" in titles or "pace" in titles) is is_shown


def test_a_list_in_which_nothing_runs_says_what_to_type_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reader was left with eleven crosses."""
    assert main(["list", "llama", "70b", "--machine", RECORD]) == 0
    out = capsys.readouterr().out
    rows = out.partition("model  ")[2].splitlines()
    first = rows[1].split()[1]
    assert f"selfhost plan {first}" in out


@pytest.mark.usefixtures("few_listed")
def test_a_list_and_a_check_tell_the_same_memory_of_a_card() -> None:
    """`list` told all of an H100, 79.6 GiB, and `check` 78.6 of it."""
    machine = named("h100 80gb, 126gb ram")[0]
    listing = Lister(open_catalogue(), Workload(), machine).first(1)
    in_list = plain(list_document(listing))
    verdict = check("gpt-oss-120b", Workload(), machine=machine)
    in_check = plain(check_document([verdict]))
    told = re.search(r"\(([\d.]+ GiB) of GPU memory", in_list)
    assert told is not None
    assert re.search(rf"GPU +[\d.]+ of {told[1]}", in_check) is not None


@pytest.mark.usefixtures("few_listed")
def test_a_list_of_a_small_machine_counts_what_it_shows() -> None:
    """About 0 of 1,351 models have room stood above seven that run."""
    small = named("4gb laptop")[0].replace(memory_limit_bytes=380 * 2**20)
    listing = Lister(open_catalogue(), Workload(), small).first(20)
    shown = [row for row in listing.models if row.can_run]
    assert shown
    assert listing.counts.running is not None
    assert len(shown) <= listing.counts.running
    assert f"About {listing.counts.running} of" in plain(list_document(listing))
    # of what a program loads, or of longer contexts, there is no estimate
    for asked in (Workload(runtime="llama.cpp"), Workload(context_tokens=131_072)):
        listing = Lister(open_catalogue(), asked, named("4x h100")[0]).first(1)
        text = plain(list_document(listing))
        assert text.startswith(f"{listing.counts.models:,} models, best first, on ")


def test_the_slow_models_are_among_those_that_run() -> None:
    """7 of 8 run, 1 likely slow, was read as the eighth, which fails by memory."""
    machine = named("rtx 3060 12gb 32gb")[0]
    lister = Lister(open_catalogue(), Workload(), machine)
    listing = lister.all(["flux.2-dev", "flux.1-kontext-dev"])
    assert listing.counts.running == 1
    assert listing.counts.slow == 1
    text = " ".join(plain(list_document(listing)).split())
    assert text.startswith("1 of 2 models runs")
    assert ", 1 of them likely slow." in text


@pytest.mark.parametrize("wide", [False, True], ids=["listed", "listed wide"])
def test_a_row_has_a_cell_for_each_column(*, wide: bool) -> None:
    """One cell too many would show every later figure under another title, or not at all."""
    listing = samples.listed(samples.every())
    blocks = list_document(listing, only_running=False, wide=wide)
    for block in blocks:
        if isinstance(block, Table):
            for row in block.rows:
                assert len(row) == len(block.columns)


def test_a_list_marks_what_is_open_in_part() -> None:
    """Of two that were asked to be auditable, one lacks a part of what that takes."""
    machine = named("rtx 3060 32gb")[0]
    lister = Lister(open_catalogue(), Workload(auditable=True), machine)
    listing = lister.all(["minicpm5-2b", "olmo-3-7b-instruct"])
    lines = plain(list_document(listing)).splitlines()
    signs = {line.split()[1]: line[0] for line in lines if line[:1] in ("✓", "!")}
    assert signs == {"olmo-3-7b-instruct": "✓", "minicpm5-2b": "!"}
    assert any("!: runs only partly as open as asked" in line for line in lines)


def test_a_table_has_likely_figures_and_says_where_the_range_is() -> None:
    """Some paces had a range and some not, and those without looked exact."""
    laptop = named(LAPTOP)[0]
    listing = Lister(open_catalogue(), Workload(), laptop).first(20)
    shown = plain(list_document(listing))
    assert not re.search(r"~[\d.]+ ?\(", shown)
    assert shown.endswith(f"{words.range_hint()}\n")
    alone = plain(check_document([listing.models[0]]))
    assert re.search(r"  speed +~[\d.]+ tokens/s +[\d.]+-[\d.]+", alone)


def test_a_speech_model_leaves_the_column_of_paces_narrow() -> None:
    """One made a column of `~3.5 tokens/s` and wrapped `~69 minutes for an hour / of audio`."""
    writer = check("qwen3.5-4b", machine=LAPTOP)
    listener = check("whisper-large-v3", machine=LAPTOP)
    shown = drawn(list_document(samples.listed([writer, listener])), 90)
    titles, text, speech = shown.splitlines()[2:5]
    assert "tokens/s" in titles
    assert re.search(r"~[\d.]+ +[\d.]+ GB", text)
    assert re.search(r"~[\d.]+ \w+ an hour ", speech)


@pytest.mark.parametrize(
    ("models", "width", "column", "judged_in"),
    [
        pytest.param(
            ("qwen3.5-4b", "gemma-3-4b-it"), 120, None, "llama.cpp", id="one program"
        ),
        pytest.param(
            ("qwen3.5-4b", "whisper-large-v3"),
            120,
            ["llama.cpp", "whisper.cpp"],
            "llama.cpp, whisper.cpp",
            id="two programs",
        ),
        pytest.param(
            ("qwen3.5-4b", "whisper-large-v3"),
            60,
            None,
            "llama.cpp, whisper.cpp",
            id="two, without room",
        ),
    ],
)
def test_a_list_says_in_which_program_each_model_is_judged(
    models: tuple[str, ...], width: int, column: list[str] | None, judged_in: str
) -> None:
    """A row of vLLM had other GiB than one of llama.cpp, and nothing told why."""
    rows = [check(name, machine=LAPTOP) for name in models]
    shown = drawn(list_document(samples.listed(rows)), width).splitlines()
    titles = next(text for text in shown if text.startswith("   model"))
    assert ("program" in titles) is (column is not None)
    if column is not None:
        at = titles.index("program")
        named = [text[at:].split()[0] for text in shown if text[:1] in ("✓", "!")]
        assert named == column
    assert f"judged in {judged_in}" in " ".join(shown)


def test_one_long_name_leaves_room_for_the_figures_of_all() -> None:
    """At 80 columns `list --all` had names and paces alone, at 50 only names."""
    # the longest name, and the usual widest pace
    long_name = "distilbert-base-uncased-finetuned-sst-2-english"
    names = (long_name, "qwen3.5-4b", "qwen3-embedding-0.6b")
    rows = [check(name, machine=LAPTOP) for name in names]
    shown = drawn(list_document(samples.listed(rows)), 80)
    titles = next(text for text in shown.splitlines() if text.startswith("   model"))
    assert titles.split() == ["model", "memory", "quant", "program", "tokens/s"]
    assert re.search(r"qwen3\.5-4b +[\d.]+ GiB", shown)


@pytest.mark.parametrize(
    ("sort", "words"),
    [
        pytest.param("speed", "fastest first. Base models, replaced", id="speed"),
        pytest.param("released", "newest first", id="released"),
        pytest.param("best", None, id="the usual order"),
    ],
)
def test_a_sorted_list_says_its_order(sort: str, words: str | None) -> None:
    """By speed, small base models are the fastest of all and stood last with no word why."""
    shown = plain(list_document(samples.listed(samples.every()), sort=sort))
    orders = [text for text in shown.splitlines() if text.startswith("Order: ")]
    if words is None:
        assert orders == []
    else:
        assert words in orders[0]


@pytest.mark.parametrize(
    ("model", "is_marked"),
    [
        # 24B in 16 bits is 48 GB to download; no file of four bits is known
        pytest.param("lfm2-24b-a2b", True, id="converted by the user"),
        # unsloth and others publish Q4_K_M and Q8_0
        pytest.param("gemma-3-12b-it", False, id="published as it is"),
    ],
)
def test_a_download_that_the_user_converts_is_marked(
    model: str, is_marked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A download of 63.2 GB stood beside 16.9 GiB of memory, and nothing told why."""
    main(["list", model, "--machine", "mac mini m4 16gb"])
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if f"  {model} " in line]
    assert ("GB*" in row) is is_marked
    assert ("*: the published weights, which you convert" in out) is is_marked


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(named("64gb").machine, id="described"),
        pytest.param(
            apply(Machine.from_file(RECORD), ["memory=64GiB"]), id="changed record"
        ),
    ],
)
def test_no_machine_of_the_users_own_is_said_to_be_in_the_catalogue(
    machine: Machine,
) -> None:
    """Both were "a machine from the catalogue"."""
    told = words.planned_words(machine)
    assert "catalogue" not in told
    assert "its memory counts as free" in told


def test_one_model_of_one_that_does_not_run_is_told_in_the_singular() -> None:
    """`list code 70b` said that 0 of 1 model run."""
    listing = samples.listed([check("codellama-70b-instruct", machine=LAPTOP)])
    assert "0 of 1 model runs" in plain(list_document(listing))
