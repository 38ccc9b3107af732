"""What a person reads: laws over sample verdicts, not copies of the output."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from helpers import report_samples as samples
from helpers.paths import MACHINES, RECORDS
from helpers.screens import drawn
from selfhost import Workload, check
from selfhost.advice.plan import plan_with
from selfhost.advice.several import comparison, describe
from selfhost.api import size
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.offers import Offer
from selfhost.core import units
from selfhost.core.errors import Problem
from selfhost.core.records import Unread
from selfhost.judge.pace import Wait
from selfhost.judge.record import Alternative, DeferredAdvice, Room, Route, Verdict
from selfhost.machine.record import Machine
from selfhost.reports import (
    check_text,
    compare_text,
    list_text,
    machine_text,
    show_text,
)
from selfhost.reports.layout import (
    Block,
    Blocks,
    Column,
    Paragraph,
    Table,
    clean,
    plain,
    problems_text,
)
from selfhost.reports.plan_text import plan_document
from selfhost.reports.size_text import size_document
from selfhost.reports.words import first_way

WIDTHS = (80, 60, 40)


def _of_one(sample: str, *, verbose: bool) -> Blocks:
    return check_text.check_document([samples.SAMPLES[sample]()], verbose=verbose)


def _several(*, verbose: bool) -> Blocks:
    return check_text.check_document(samples.every(), verbose=verbose)


def _show(*, verbose: bool) -> Blocks:
    shown = samples.shown(samples.local(), samples.MISTRAL_SIZES)
    return show_text.show_document(shown, verbose=verbose)


def _show_closed(*, verbose: bool) -> Blocks:
    return show_text.show_document(samples.shown(samples.closed()), verbose=verbose)


def _compare(*, verbose: bool) -> Blocks:
    return compare_text.compare_document(comparison(samples.every()), verbose=verbose)


def _list(*, verbose: bool) -> Blocks:
    """A list has no `-v`."""
    assert not verbose
    return list_text.list_document(samples.listed(samples.every()))


def _machine(*, verbose: bool) -> Blocks:
    return machine_text.machine_document(samples.WORKSTATION, verbose=verbose)


def _machine_empty(*, verbose: bool) -> Blocks:
    return machine_text.machine_document(Machine(), verbose=verbose)


IN_SHORT = {
    **{name: partial(_of_one, name, verbose=False) for name in samples.SAMPLES},
    "several": partial(_several, verbose=False),
    "show": partial(_show, verbose=False),
    "show-closed": partial(_show_closed, verbose=False),
    "compare": partial(_compare, verbose=False),
    "list": partial(_list, verbose=False),
    "machine": partial(_machine, verbose=False),
    "machine-empty": partial(_machine_empty, verbose=False),
}
IN_FULL = {
    **{
        f"{name}-verbose": partial(_of_one, name, verbose=True)
        for name in samples.SAMPLES
    },
    "several-verbose": partial(_several, verbose=True),
    "show-verbose": partial(_show, verbose=True),
    "compare-verbose": partial(_compare, verbose=True),
    "machine-verbose": partial(_machine, verbose=True),
}
DOCUMENTS = IN_SHORT | IN_FULL


@cache
def _document(name: str) -> tuple[Block, ...]:
    """Made when the first test asks for it, so that to collect the tests judges nothing."""
    return tuple(DOCUMENTS[name]())


@pytest.fixture
def document(request: pytest.FixtureRequest) -> tuple[Block, ...]:
    return _document(request.param)


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Verdict:
    return samples.SAMPLES[request.param]()


each_document = pytest.mark.parametrize("document", DOCUMENTS, indirect=True)
each_verdict = pytest.mark.parametrize("verdict", samples.SAMPLES, indirect=True)


def _words(shown: str) -> str:
    return " ".join(shown.split())


def _shown(blocks: Blocks, width: int | None) -> str:
    """As a pipe has it without a width, else as a terminal of that width."""
    return plain(blocks) if width is None else drawn(blocks, width)


def _too_long(document: tuple[Block, ...], width: int, shown: str) -> list[str]:
    """Lines beyond the width that are neither a word, or an option with its value, of a command to
    copy nor a single word.
    """
    parts = (
        part
        for block in document
        if isinstance(block, Paragraph)
        for part in block.parts
    )
    commands = {part for part in parts if getattr(part, "style", "") == "command"}
    return [
        line
        for line in shown.splitlines()
        if cell_len(line) > width
        and not _is_of(line.strip().removesuffix(" \\"), commands)
        and " " in line.strip().removeprefix("# ")
        # a command in a sentence has a line of its own
        and not line.strip().lstrip("`(").startswith("selfhost ")
    ]


def _is_of(line: str, commands: Iterable[str]) -> bool:
    """Whether a line is a command that cannot be broken, or an option of one with its value, or a
    text in quotes.
    """
    if not any(line in command for command in commands):
        return False
    return line.count(" ") < 2 or "'" in line or '"' in line or line.startswith("#")


@each_document
@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_text_is_plain_and_fits_the_terminal(
    document: tuple[Block, ...], width: int | None
) -> None:
    """No escape codes, no trailing spaces, no run of empty lines, none at either end.

    Only a command to copy and a word that cannot be broken are longer than the width; no meaning
    is in the colour.
    """
    shown = _shown(document, width)
    assert all(letter == "\n" or letter.isprintable() for letter in shown)
    lines = shown.split("\n")
    assert lines.pop() == ""
    assert lines[0]
    assert lines[-1]
    assert "\n\n\n" not in shown
    assert [line for line in lines if line != line.rstrip()] == []
    if width is not None:
        assert _too_long(document, width, shown) == []
        coloured = drawn(document, width, color=True)
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown


@each_verdict
def test_the_first_line_is_the_answer(verdict: Verdict) -> None:
    """It starts with a sign and what to do, and names the model; a `no` has its cause there."""
    first = plain(check_text.check_document([verdict])).splitlines()[0]
    answer = {
        Route.LOCAL: "✓ RUNS HERE",
        Route.API: "✗ USE AN API",
        Route.NEITHER: "✗ CANNOT RUN HERE",
        Route.UNKNOWN: "? CANNOT TELL",
    }[verdict.route]
    assert first.startswith(f"{answer}  ")
    assert verdict.model.name in first
    assert verdict.can_run or re.search(r" (here|closed): \w", first)


@each_verdict
@pytest.mark.parametrize("width", [None, 80, 20])
def test_every_finding_is_explained_in_full(
    verdict: Verdict, width: int | None
) -> None:
    """Reason and remedy of each appear at any width under `-v`."""
    shown = _words(_shown(check_text.check_document([verdict], verbose=True), width))
    for finding in verdict.findings:
        assert _words(finding.reason) in shown
        assert _words(finding.remedy or "") in shown


@each_verdict
def test_what_to_type_next_is_there_and_whole(verdict: Verdict) -> None:
    """A command stands alone on its line, which goes on behind a backslash on a narrow terminal.

    One is that of the first proposal, and every proposal is named.
    """
    for width in (None, *WIDTHS):
        lines = [
            line.strip()
            for line in re.sub(
                r" \\\n +", " ", _shown(check_text.check_document([verdict]), width)
            ).splitlines()
        ]
        for command in (*verdict.setup, *verdict.commands):
            assert command in lines or command.startswith("#")
        others = verdict.alternatives if verdict.route is not Route.LOCAL else ()
        for other in others[:1]:
            assert other.command in lines
        for other in others:
            # a narrow terminal breaks a long name
            begin = other.id if width is None else other.id[: width // 4]
            assert any(begin in line for line in lines)


def test_how_a_name_was_understood_is_always_said() -> None:
    """Of one model and of several, where what is worth knowing beside the answer waits for `-v`."""
    several = plain(check_text.check_document(samples.every()))
    in_full = plain(check_text.check_document(samples.every(), verbose=True))
    assert any(verdict.understood_as for verdict in samples.every())
    for verdict in samples.every():
        alone = plain(check_text.check_document([verdict]))
        assert all(
            sentence in alone and sentence in several
            for sentence in verdict.understood_as
        )
        assert all(note in alone and note in in_full for note in verdict.notes)


@pytest.mark.parametrize(("wanted", "code"), [(20.0, 1), (1.0, 0), (None, 0), (0.0, 0)])
def test_a_minimum_is_that_of_each_sequence(wanted: float | None, code: int) -> None:
    """Exit 0 said that 64 sequences run at 20 tokens/s, where 33 is the pace of one alone.

    What is needed is needed by each who waits, stated or not.
    """
    workload = Workload(
        parallel=64,
        runtime="llama.cpp",
        quantization="Q4_K_M",
        kv_cache_type="f16",
        min_tokens_per_second=wanted,
    )
    verdict = check("mistral-7b", workload, machine="rtx 3090")
    assert (verdict.exit_code, verdict.workload.parallel) == (code, 64)
    assert verdict.speed is not None
    assert verdict.speed.decode is not None
    assert verdict.speed.parallel_total is not None
    finding = verdict.finding("speed")
    assert finding is not None
    assert "for each of 64 sequences at once" in finding.reason
    pace = verdict.speed.parallel_total.likely / 64
    assert finding.has == pytest.approx(pace)
    shown = " ".join(plain(check_text.check_document([verdict])).split())
    assert f"speed ~{units.speed(pace, pace)} each " in shown
    assert verdict.to_json()["speed"]["judged"]["likely"] == pytest.approx(
        pace, abs=0.001
    )
    if verdict.can_run:
        assert f"{units.speed(pace, pace)} each" in verdict.summary
    side_by_side = plain(compare_text.compare_document(comparison([verdict, verdict])))
    assert f"~{units.pace(pace, pace)}" in side_by_side
    assert " each" in side_by_side


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "\x1b[2J\x1b[31mred",
        "a\nlocal: yes",
        "\r\x1b]0;title\x07",
        "\u202egnp.exe",
        "\ud800",
        "\x9b31m",
        "a\tb\u2028c",
        "",
        "`" * 9,
        "x" * 300,
    ]
)


class Told(DeferredAdvice):
    """What is told beside an answer: that of a sample, with other offers, one command and note."""

    sample: Verdict
    offers: tuple[Offer, ...]
    note: str

    def setup(self) -> tuple[str, ...]:
        return self.sample.setup

    def commands(self) -> tuple[str, ...]:
        return (self.note,)

    def commands_class(self) -> str | None:
        return self.sample.commands_class

    def room(self) -> Room | None:
        return self.sample.room

    def waits(self) -> tuple[Wait, ...]:
        return self.sample.waits

    def faster(self) -> tuple[object, ...]:
        return self.sample.faster

    def alternatives(self) -> tuple[Alternative, ...]:
        return self.sample.alternatives

    def api_offers(self) -> tuple[Offer, ...]:
        return self.offers

    def monthly_cost(self) -> object:
        return self.sample.monthly_cost

    def notes(self) -> tuple[str, ...]:
        return (self.note,)


@settings(max_examples=25, deadline=None)
@given(HOSTILE, st.sampled_from([None, 1, 7, 20, 80]))
def test_hostile_names_cannot_touch_the_terminal(name: str, width: int | None) -> None:
    """Escape sequences, line breaks and marks of direction in names come out as visible text."""
    sample = samples.api()
    model = sample.model.replace(
        name=name, id=name, aliases=(name,), sources={name: name}
    )
    findings = tuple(finding.in_words(name, name) for finding in sample.findings)
    machine = sample.machine.replace(
        name=name, cpu_model=name, unread=(Unread(fact=name, reason=name, remedy=name),)
    )
    offers = tuple(
        offer.replace(provider=name, model=name) for offer in sample.api_offers
    )
    verdict = sample.replace(
        question=sample.question.replace(spec=model),
        findings=findings,
        machine=machine,
        further=Told(sample=sample, offers=offers, note=name),
    )
    for document in (
        check_text.check_document([verdict], verbose=True),
        check_text.check_document([verdict, verdict]),
        list_text.list_document(samples.listed([verdict])),
        show_text.show_document(
            samples.shown(
                verdict,
                [
                    samples.sized(
                        name, 1, name, fits=None, family=name, runtime=name, source=name
                    )
                ],
            )
        ),
        machine_text.machine_document(machine),
    ):
        shown = _shown(document, width)
        assert all(letter == "\n" or letter.isprintable() for letter in shown)
        assert [line for line in shown.split("\n") if line != line.rstrip()] == []
        shown.encode("utf-8")
    first = plain(check_text.check_document([verdict])).splitlines()[0]
    assert first.startswith("✗ USE AN API  ")


CELLS = st.text(alphabet="abc-/ ", max_size=30)


# a column of one letter got no cell at all
@example(
    rows=[("aaaaaaaaaaa", "a ", "aa a")],
    shape=[(False, False), (False, True), (False, True)],
    width=20,
)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3),
    st.integers(20, 100),
)
def test_tables_fit_and_lose_nothing(
    rows: list[tuple[str, str, str]], shape: list[tuple[bool, bool]], width: int
) -> None:
    """At any width every cell keeps its text."""
    columns = tuple(Column(right=right, wrap=wrap) for right, wrap in shape)
    shown = drawn([Table(columns=columns, rows=tuple(rows))], width)
    assert sorted(re.sub(r"[^abc]", "", shown)) == sorted(
        re.sub(r"[^abc]", "", "".join(cell for row in rows for cell in row))
    )
    # what fills the width exactly is left as it is
    exact = Table(
        columns=(Column(wrap=True), Column(right=True, drop=1)), rows=(("a b", "1"),)
    )
    wide = plain([exact])
    assert drawn([exact], max(20, len(wide) - 1)) == wide


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::add-mask::x: does not exist", "\\x3a:add-mask::x: does not exist"),
        ("none (::error::x of std::vector)", "none (\\x3a:error::x of std::vector)"),
        ("a \u00a0::Error title=x::y", "a  \\x3a:Error title=x::y"),
        ("a ##vso[task.complete]b", "a \\x23#vso[task.complete]b"),
        ("x##[group]", "x\\x23#[group]"),
        ("llama3::8b std::x ## a [b] ::", "llama3::8b std::x ## a [b] ::"),
    ],
)
def test_what_a_ci_service_obeys_is_shown(text: str, shown: str) -> None:
    """GitHub trims a line before it looks for `::`; `##[` and `##vso[` count anywhere."""
    assert clean(text) == shown
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("model", "runtime", "words"),
    [
        (
            "llama-3.1-8b",
            "transformers",
            "\n  llama-3.1-8b-instruct int8 ",
        ),
        ("whisper-large-v3", "llama.cpp", "rtx3060-12gb: llama.cpp does not load it"),
        ("whisper-large-v3", "llama.cpp", " same model with whisper.cpp"),
        ("bge-m3", None, "\n  memory "),
    ],
)
def test_another_way_is_named_where_it_helps(
    model: str, runtime: str | None, words: str
) -> None:
    """A type that the GPU would hold, the program that fails, the one that loads it, and much RAM
    beside a GPU.
    """
    verdict = check(model, Workload(runtime=runtime), machine="desktop-rtx3060-12gb")
    assert words in plain(check_text.check_document([verdict]))


LAPTOP = "8gb windows laptop"


@pytest.mark.parametrize(
    ("typed", "is_told"), [("llama3.1:8b", True), ("qwen3:4b", False)]
)
def test_a_tag_of_ollama_that_does_not_run_tells_its_type(
    typed: str, is_told: bool
) -> None:
    """The tag was refused in Q4_K_M and the id taken in IQ4_XS, and nothing said why."""
    verdict = check(typed, machine=LAPTOP)
    told = f"Ollama's tag {typed} loads Q4_K_M."
    assert (told in plain(check_text.check_document([verdict]))) is is_told
    if is_told:
        first = verdict.alternatives[0]
        assert (first.id, first.quantization) == ("llama-3.1-8b-instruct", "IQ4_XS")


def test_one_memory_has_one_figure() -> None:
    """3.60 GiB of the list were 3.80 in `show` and among the alternatives."""
    asked = check("llama3.1:8b", machine=LAPTOP)
    id = next(way.id for way in asked.alternatives if way.id != asked.model.id)
    verdict = check(id, machine=LAPTOP)
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    shown = describe(open_catalogue(), id, Workload(), verdict.machine)
    other = check_text.check_document([asked])
    for document in (show_text.show_document(shown), other):
        assert units.binary(verdict.needs.memory.total_bytes) in plain(document)


def shown(model: str, machine: str | Machine = LAPTOP, **fields: Any) -> str:
    return plain(check_text.check_document([check(model, machine=machine, **fields)]))


@pytest.mark.parametrize(
    ("model", "headline"),
    [
        # training data and methods published in part, the paper not known
        pytest.param("minicpm5-2b", "! RUNS, ONLY PARTLY OPEN", id="in part"),
        pytest.param("olmo-3-7b-instruct", "✓ RUNS ", id="whole"),
        pytest.param("mistral-7b", "✗ RULED OUT", id="closed data"),
    ],
)
def test_what_an_auditor_may_only_see_in_part_is_no_bare_yes(
    model: str, headline: str
) -> None:
    """`--help` said "must be open", and a model of which a part is was RUNS HERE."""
    assert shown(model, "rtx 3060 32gb", auditable=True).startswith(headline)


@pytest.mark.parametrize(
    ("model", "fields", "headline"),
    [
        # 27.2 GiB in Q4_K_M, 21.7 in Q3_K_M
        pytest.param("mixtral", {}, "✗ ONLY IN Q3_K_M OR SMALLER", id="smaller"),
        pytest.param("mixtral", {"quantization": "Q4_K_M"}, "✗ USE AN API", id="asked"),
        pytest.param("deepseek-v3", {}, "✗ USE AN API", id="in none"),
    ],
)
def test_a_headline_says_in_which_type_alone_a_model_runs(
    model: str, fields: dict[str, object], headline: str
) -> None:
    """`show mixtral` was ✗ above a table in which Q3_K_M runs."""
    machine = Machine.from_file(RECORDS / "vm-24gib.json")
    assert shown(model, machine, **fields).startswith(headline)


@pytest.mark.parametrize(
    ("model", "machine", "fields"),
    [
        pytest.param("gpt-oss-120b", "RTX 4090 64gb", {}, id="one GPU"),
        pytest.param(
            "gpt-oss-120b",
            "desktop-2x-rtx3090",
            {"context_tokens": 30_720},
            id="two GPUs",
        ),
    ],
)
def test_what_lies_on_a_gpu_is_one_figure(
    model: str, machine: str, fields: dict[str, object]
) -> None:
    """`GPU 6.79 of 7.00 GiB`, and below it `Only 6.82 GiB fits`."""
    text = shown(model, machine, **fields, kv_cache_type="f16")
    row = re.search(r"^  GPU +([0-9.]+) of [0-9.]+ GiB", text, re.MULTILINE)
    sentence = re.search(r"Only ([0-9.]+) GiB of it fits", text)
    assert row is not None
    assert sentence is not None
    assert sentence[1] == row[1]


def test_proposals_for_an_assumed_memory_say_so() -> None:
    """An M4 Max is sold with 36 to 128 GB, and 36 are assumed."""
    text = shown("llama-3.3-70b", "macbook pro m4 max")
    assert "instead, with the assumed 36.0 GiB of RAM" in text


def test_an_api_ends_with_a_line_to_type_or_a_page() -> None:
    """On Windows, whose shells quote otherwise, the address and the model."""
    linux = Machine.from_file(RECORDS / "vm-24gib.json")
    assert "\n  curl https://api.deepinfra.com/" in shown("llama-3.3-70b", linux)
    windows = linux.replace(system="windows")
    assert "base URL https://api.deepinfra.com/v1/openai, model " in shown(
        "llama-3.3-70b", windows
    )


@pytest.mark.parametrize(
    ("setup", "shown"),
    [
        pytest.param(
            [
                "# download it: https://x.org",
                "# or with Homebrew:",
                "# brew install x",
                "# answers",
            ],
            ["# download it: https://x.org", "# answers"],
            id="another-way-of-two-lines",
        ),
        pytest.param(
            [
                "# the installer:",
                "# curl x | sh",
                "# or download y: https://x.org",
                "# or in Docker:",
                "# docker run x",
                "# answers",
            ],
            ["# the installer:", "# curl x | sh", "# answers"],
            id="two-other-ways",
        ),
        pytest.param(
            ["winget install x", "# answers"],
            ["winget install x", "# answers"],
            id="one-way",
        ),
        pytest.param([], [], id="nothing-to-install"),
    ],
)
def test_one_way_to_install_is_shown(setup: list[str], shown: list[str]) -> None:
    """Eight of 38 lines were ways to install one program; `-v` has them all."""
    assert first_way(setup) == shown


def test_every_way_to_install_is_in_the_full_answer() -> None:
    """And the first screen says that there are more."""
    verdict = check("qwen3-coder", machine="desktop-rtx3060-12gb")
    first = plain(check_text.check_document([verdict]))
    full = plain(check_text.check_document([verdict], verbose=True))
    others = [text for text in verdict.setup if text not in first_way(verdict.setup)]
    assert others
    assert "other ways to install" in first
    for text in others:
        assert f"  {text}\n" in full
        assert f"  {text}\n" not in first


@pytest.mark.parametrize(
    ("machine", "has_row"),
    [
        pytest.param("desktop-rtx3060-12gb", False, id="space-assumed"),
        pytest.param(samples.LAPTOP, True, id="space-read"),
    ],
)
def test_the_download_is_told_once(machine: str | Machine, has_row: bool) -> None:
    """A row `disk 5.14 GB` beside `5.14 GB to download` compares with nothing."""
    shown = plain(check_text.check_document([check("mistral-7b", machine=machine)]))
    assert " GB to download" in shown
    assert ("\n  disk " in shown) is has_row


def test_a_training_whose_pace_is_not_known_says_why_it_is_slow() -> None:
    """RUNS SLOWLY stood there, and neither a row nor a sentence said anything of the pace."""
    verdict = check("llama-3.1-8b", Workload(task="finetune"), machine="i5-8250U 32GB")
    shown = plain(check_text.check_document([verdict]))
    assert shown.startswith("! RUNS SLOWLY")
    assert "How long training takes on a CPU is not known" in shown


@pytest.mark.parametrize(
    ("model", "gpu"),
    [
        pytest.param("ltx-video", "RTX 4070", id="parts-in-turn"),
        pytest.param("musicgen", "RTX 3060", id="whole-on-the-gpu"),
    ],
)
def test_the_headline_says_that_a_pace_is_not_known(model: str, gpu: str) -> None:
    """Of a video whose parts move to the GPU in turn it said RUNS alone."""
    verdict = check(model, machine=gpu)
    assert verdict.speed is not None
    assert verdict.speed.work is None
    shown = plain(check_text.check_document([verdict]))
    assert shown.startswith("! RUNS, PACE NOT KNOWN ")


def test_a_model_without_types_has_no_room_for_a_type() -> None:
    """MusicGen, of which memory is stated and no pace known, had room for bfloat16, "slower"."""
    verdict = check("musicgen", machine="RTX 3060")
    assert verdict.quantization is None
    shown = plain(check_text.check_document([verdict]))
    assert "also room for" not in shown


def test_room_names_the_options_that_keep_the_type() -> None:
    """Without the option as many users would be served in another type."""
    text = shown("mixtral", "macbook-pro-m4-max-48gb")
    assert "There is also room for one of: " in text
    assert "--quant Q5_K_M keeps the rest as it is." in text


def test_room_on_more_cards_is_not_said_to_be_slower() -> None:
    """One H100 holds Qwen3 32B for a user, and four of them for twelve, who each get more."""
    one = check("qwen3-32b", machine="4x h100")
    twelve = check("qwen3-32b", machine="4x h100", parallel=12)
    assert one.users_pace is not None
    assert twelve.users_pace is not None
    assert twelve.users_pace.likely > one.users_pace.likely
    assert "also room for" in shown("qwen3-32b", "4x h100")
    assert "slower" not in shown("qwen3-32b", "4x h100")
    # a program that splits by layers gains nothing by another card
    assert "slower" in shown("qwen3-8b", "2x rtx 3090", runtime="llama.cpp")


def test_room_for_many_users_needs_no_name_of_a_program() -> None:
    """`--users 372` alone was an error of llama.cpp, which serves 256 sequences."""
    text = shown("dolphin-2.5-mixtral-8x7b", "aws-p4d.24xlarge")
    assert "372 users at once. Each is slower" in text
    many = check("dolphin-2.5-mixtral-8x7b", parallel=372, machine="aws-p4d.24xlarge")
    assert many.can_run
    assert many.runtime == "vllm"


def test_options_beside_each_setting_are_told_once() -> None:
    text = shown("qwen3-4b-thinking-2507", "desktop-rtx4090-24gb")
    assert text.count("--quant Q8_0 keeps the rest as it is.") == 1


def test_a_container_that_is_too_small_is_told_what_limits_it() -> None:
    """499 MiB stood there, and no word said that a limit is set on a larger computer."""
    root = MACHINES / "linux-vm-cgroup-v2-slices" / "root"
    pod = Machine.read(root=root)
    limit_bytes = pod.memory_limit_bytes
    total_bytes = pod.memory_total_bytes
    assert limit_bytes is not None
    assert total_bytes is not None
    assert limit_bytes < total_bytes
    shown = plain(check_text.check_document([check("llama-3.3-70b", machine=pod)]))
    limits = [text for text in shown.splitlines() if "limited by control group" in text]
    assert len(limits) == 1
    assert units.binary(limit_bytes) in limits[0]
    assert limits[0].endswith(f"the hardware has {units.binary(total_bytes)}")
    small = plain(check_text.check_document([check("granite-4.0-350m", machine=pod)]))
    assert "the hardware has" not in small


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        pytest.param(
            Problem(file="command line", key="mistrl", message='"mistrl" is unknown'),
            'error: "mistrl" is unknown\n',
            id="the message names the key",
        ),
        pytest.param(
            Problem(file="a.toml", line=3, key="license", message="is missing"),
            "a.toml:3: license: is missing\n",
            id="a key of a file",
        ),
        pytest.param(
            Problem(file="a.toml", message="does not exist"),
            "error: a.toml: does not exist\n",
            id="a whole file",
        ),
    ],
)
def test_a_fault_names_its_place_once(problem: Problem, line: str) -> None:
    assert problems_text([problem]) == line


@pytest.mark.parametrize(
    ("option", "words"),
    [
        pytest.param("kv-unified", "shared by 8 sequences", id="one-for-all"),
        pytest.param("no-kv-unified", "for each of 8 sequences", id="one-for-each"),
    ],
)
def test_a_context_is_told_as_the_program_divides_it(option: str, words: str) -> None:
    """`-c` of llama.cpp counts the tokens of all sequences (tools/server/README.md)."""
    workload = Workload(
        runtime="llama.cpp",
        parallel=8,
        context_tokens=16_384,
        runtime_options={option: "yes"},
    )
    verdict = check("qwen3-8b", workload, machine="rtx 4090")
    shown = plain(check_text.check_document([verdict]))
    assert f"16,384 tokens of context {words}" in shown
    planned = plan_with(open_catalogue(), "qwen3-8b", workload, ())
    assert f"16,384 tokens of context {words}" in plain(plan_document(planned))
    sized = plain(size_document([size("qwen3-8b", workload)]))
    assert f"16,384 tokens of context {words}".replace("sequences", "users") in sized


@pytest.mark.parametrize(
    ("model", "headline"),
    [
        pytest.param("longcat-image", "! RUNS, TAKES HOURS", id="hours a picture"),
        pytest.param("sd-turbo", "✓ RUNS  ", id="seconds a picture"),
        pytest.param("sd1.5", "! RUNS SLOWLY", id="minutes a picture"),
    ],
)
def test_hours_for_a_picture_are_no_bare_check_mark(model: str, headline: str) -> None:
    assert shown(model, machine="laptop with 16gb").startswith(headline)


@pytest.mark.parametrize("quantization", ["awq", "gptq"])
def test_a_type_that_others_pack_names_the_page_of_such_files(
    quantization: str,
) -> None:
    """The maker's page has no such file: Hugging Face lists who packed its weights
    (`other=base_model:quantized:…`).
    """
    told = shown(
        "qwen3.6-27b",
        "2x RTX 3090 64GB ram",
        runtime="vllm",
        quantization=quantization,
    )
    page = "https://huggingface.co/models?other=base_model:quantized:Qwen/Qwen3.6-27B"
    assert page in told
