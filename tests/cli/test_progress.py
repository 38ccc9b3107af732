"""How far a long answer is: on a terminal a line that is gone with the answer; elsewhere one line
of a command that takes longer than two seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.written import run
from selfhost.cli import progress as module
from selfhost.cli.output import write
from selfhost.cli.progress import SECONDS_BEFORE_NOTE, Lines, LongWork, Progress

pty = pytest.importorskip("pty")
SPECS = sorted((ROOT / "specs" / "models").glob("*/gpt2*.toml"))
# what rich writes to take a line away
ERASED = "\x1b[2K"


class Terminal:
    """A pseudo-terminal that is written to, and what came out of it."""

    def __init__(self) -> None:
        self._read, self.write_end = pty.openpty()

    def text(self) -> str:
        """All that was written; nothing can be written any more."""
        os.close(self.write_end)
        parts: list[bytes] = []
        try:
            while part := os.read(self._read, 65_536):
                parts.append(part)
        except OSError:
            # how Linux says that the other end is closed
            pass
        os.close(self._read)
        return b"".join(parts).decode()


def selfhost(
    environment: Mapping[str, str],
    words: Sequence[str],
    *,
    error: int,
    seconds_before: str = "0.0",
    term: str = "xterm",
) -> str:
    """What a command writes to standard output, with that file for its errors. The line is drawn at
    once instead of after a second, so that a fast machine draws one too.
    """
    code = (
        "import sys; from selfhost.cli import progress; "
        f"progress.SECONDS_BEFORE = {seconds_before}; "
        "from selfhost.cli.main import main; code = main(sys.argv[1:]); sys.stdout.flush(); "
        "print('rich' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=error,
        text=True,
        timeout=300,
        check=False,
        env={**environment, "TERM": term, "COLUMNS": "80"},
    )
    return done.stdout


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "audit.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    records = "".join(
        f'{{"name": "m{number}", "memory_total_bytes": 8000000000}}\n'
        for number in range(2_000)
    )
    (folder / "fleet.jsonl").write_text(records)
    return folder


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "server.log"
    path.write_text("a line of a server's log\n" * 500_000)
    return path


COMMANDS = [
    pytest.param("list llama --json --no-measure", "judging models", id="list"),
    pytest.param("check gpt2-xl phi-4 --no-measure", "judging models", id="check"),
    pytest.param("check gpt2-xl phi-4 --json", "judging models", id="check as JSON"),
    pytest.param("size gpt2-xl phi-4", "sizing containers", id="size"),
    pytest.param("spec check SPECS", "checking specs", id="spec check"),
    pytest.param("verify LOG --no-measure", "reading the log", id="verify"),
    pytest.param(
        "audit FLEET/audit.toml --machines FLEET/fleet.jsonl",
        "reading records",
        id="audit",
    ),
]


def with_paths(line: str, fleet: Path, log: Path) -> list[str]:
    """The words of the line, with the paths that its capitals stand for."""
    typed: list[str] = []
    for word in line.split():
        if word == "SPECS":
            typed += map(str, SPECS)
        else:
            typed.append(word.replace("FLEET", str(fleet)).replace("LOG", str(log)))
    return typed


@pytest.mark.parametrize(("line", "description"), COMMANDS)
def test_a_terminal_sees_how_far_it_is_and_then_only_the_answer(
    line: str,
    description: str,
    fleet: Path,
    log: Path,
    source_environment: dict[str, str],
) -> None:
    terminal = Terminal()
    typed = with_paths(line, fleet, log)
    answer = selfhost(source_environment, typed, error=terminal.write_end)
    drawn = terminal.text()
    assert description in drawn
    last = drawn.rindex(description)
    # the line is taken away, and the cursor is shown again
    assert ERASED in drawn[last:]
    assert drawn.rindex("\x1b[?25h") > last
    assert description not in answer
    assert answer.endswith("True\n")


@pytest.mark.parametrize(("line", "description"), COMMANDS[:2])
def test_a_pipe_sees_nothing_and_loads_no_rich(
    line: str,
    description: str,
    fleet: Path,
    log: Path,
    source_environment: dict[str, str],
) -> None:
    read_end, write_end = os.pipe()
    typed = with_paths(line, fleet, log)
    answer = selfhost(source_environment, typed, error=write_end)
    os.close(write_end)
    with open(read_end, encoding="utf-8") as errors:
        written = errors.read()
    assert description not in written
    assert "\x1b" not in written
    assert answer.endswith("False\n")


@pytest.mark.parametrize(
    ("seconds_before", "term"),
    [
        pytest.param("1000.0", "xterm", id="an answer that is there at once"),
        pytest.param("0.0", "dumb", id="a terminal that cannot take a line away"),
    ],
)
def test_no_line_is_drawn(
    seconds_before: str, term: str, source_environment: dict[str, str]
) -> None:
    terminal = Terminal()
    selfhost(
        source_environment,
        ["check", "gpt2", "phi-4", "--no-measure"],
        error=terminal.write_end,
        seconds_before=seconds_before,
        term=term,
    )
    assert "judging" not in terminal.text()


class Bar:
    """Stands for rich's bar, and notes what is drawn."""

    def __init__(self) -> None:
        self.task_ids = [0]
        self.shown: list[tuple[float, float | None]] = []
        self.is_stopped = False

    def update(
        self, _task: int, *, completed: float, total: float | None, refresh: bool
    ) -> None:
        assert refresh
        self.shown.append((completed, total))

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    made: list[Bar] = []

    def make(*_: object, **__: object) -> Bar:
        made.append(Bar())
        return made[-1]

    monkeypatch.setattr(module, "_started_bar", make)
    monkeypatch.setattr(module, "is_shown", lambda: True)
    return made


def seconds(*moments: float) -> Iterator[float]:
    return iter(moments)


def test_it_begins_after_a_second_and_draws_ten_times_a_second_at_most(
    bars: list[Bar],
) -> None:
    moments = seconds(0.0, 0.5, 0.99, 1.0, 1.05, 1.2)
    with Progress("judging", clock=lambda: next(moments)) as tell:
        for done in range(1, 6):
            tell(done, 10)
    (bar,) = bars
    assert bar.shown == [(3, 10), (5, 10)]
    assert bar.is_stopped


def test_it_is_taken_away_before_an_answer_and_drawn_anew(bars: list[Bar]) -> None:
    moments = count(0.0, 1.0)
    with Progress("judging", clock=lambda: next(moments)) as tell:
        tell(1, 3)
        tell.hide()
        assert bars[0].is_stopped
        tell(2, 3)
    assert [bar.shown for bar in bars] == [[(1, 3)], [(2, 3)]]
    assert bars[1].is_stopped


def test_it_is_taken_away_when_the_work_fails(bars: list[Bar]) -> None:
    moments = count(0.0, 1.0)

    def interrupted() -> None:
        with Progress("judging", clock=lambda: next(moments)) as tell:
            tell(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert bars[0].is_stopped


def test_a_log_of_a_job_has_a_line_every_two_seconds() -> None:
    lines: list[str] = []
    moments = seconds(0.0, 1.9, 2.0, 3.0, 4.5)
    tell = Lines(
        lines.append,
        "judged {done:number} of {total:number} verdicts",
        lambda: next(moments),
    )
    for done in (500, 1_000, 1_500, 2_000):
        tell(done, 2_000)
    assert lines == ["judged 1,000 of 2,000 verdicts", "judged 2,000 of 2,000 verdicts"]


class Waiting:
    """Stands for a timer: it calls when the test says that the seconds are over."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.daemon = False
        self.seconds = seconds
        self.call = call
        self.is_started = False
        self.is_cancelled = False

    def start(self) -> None:
        self.is_started = True

    def cancel(self) -> None:
        self.is_cancelled = True


class Work:
    """A command at work whose seconds a test counts, and what it wrote to standard error."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.waiting: Waiting | None = None
        self.long_work = LongWork(timer=self._timer, write=self.written.append)

    def _timer(self, seconds: float, call: Callable[[], None]) -> Waiting:
        self.waiting = Waiting(seconds, call)
        return self.waiting

    def pass_two_seconds(self) -> None:
        assert self.waiting is not None
        assert self.waiting.is_started
        assert self.waiting.seconds == module.SECONDS_BEFORE_NOTE
        assert self.waiting.daemon
        self.waiting.call()


def test_long_work_writes_one_line_where_no_terminal_is() -> None:
    assert SECONDS_BEFORE_NOTE == 2.0
    work = Work()
    with work.long_work:
        work.pass_two_seconds()
    assert work.written == ["note: still at work (working out the answer)\n"]
    assert work.waiting is not None
    assert work.waiting.is_cancelled


def test_long_work_tells_how_far_it_is_where_that_is_counted() -> None:
    work = Work()
    with work.long_work, Progress("judging models") as tell:
        tell(1_200, 2_738)
        work.pass_two_seconds()
    assert work.written == ["note: still at work (judging models: 1,200 of 2,738)\n"]


def test_short_work_says_nothing() -> None:
    work = Work()
    with work.long_work:
        pass
    # the timer went off at the same moment
    work.pass_two_seconds()
    assert work.written == []


def test_a_terminal_has_the_note_until_the_answer_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "is_shown", lambda: True)
    work = Work()
    with work.long_work:
        work.pass_two_seconds()
        assert work.written == ["note: still at work (working out the answer)"]
        write("the answer\n")
        assert work.written[1:] == ["\r\x1b[2K"]
    assert work.written[2:] == []
    assert capsys.readouterr().out == "the answer\n"


def test_a_terminal_with_a_bar_has_no_note_beside_it(bars: list[Bar]) -> None:
    moments = count(0.0, 1.0)
    work = Work()
    with work.long_work, Progress("judging", clock=lambda: next(moments)) as tell:
        tell(1, 3)
        assert bars
        work.pass_two_seconds()
    assert work.written == []


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        pytest.param("check gpt2 --no-measure", True, id="check"),
        pytest.param("list gpt2 --top 1 --no-measure", True, id="list"),
        pytest.param("plan gpt2", True, id="plan"),
        pytest.param("compare gpt2 phi-4 --no-measure", True, id="compare"),
        pytest.param("size gpt2", True, id="size"),
        pytest.param("check gpt2 --no-measure --json", False, id="JSON"),
        pytest.param("plan gpt2 --format json", False, id="the format of JSON"),
    ],
)
def test_a_command_that_takes_long_says_so_on_standard_error(
    line: str,
    is_told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Here each takes longer than its two seconds: they are over when they begin."""

    class AtOnce(Waiting):
        def start(self) -> None:
            self.call()

    monkeypatch.setattr(module, "LongWork", partial(LongWork, timer=AtOnce))
    _, out, err = run(capsys, *line.split())
    assert ("note: still at work" in err) == is_told
    assert "still at work" not in out
