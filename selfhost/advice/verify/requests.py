"""The requests of a llama.cpp log: how long each took, how much stood in its context, and whether
others were answered at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.records import pattern
from .formats.words import positive
from .run import LEAST_TOKENS, SeenPace
from .timed import Timed, pace_of

# slot      release: id  0 | task 65 | stop processing: n_tokens = 7007, truncated = 0
_SLOT = pattern(
    r"slot +(launch_slot_|release|print_timing): id +\d{1,6} \| task (\d{1,12}) \|(.{0,60})"
)
# builds of 2025 and before call the tokens n_past
_ENDED = pattern(r" stop processing: n_(?:tokens|past) = (\d{1,9})")
_BEGINS = " processing task"
_TIMING = pattern(
    r"(prompt eval|[ :|]eval) time += +(\d{1,12}(?:\.\d{1,4})?) ms / +(\d{1,9}) (?:tokens|runs)"
    r"(?: +\( *\d{1,9}\.\d{2} ms per token, +(\d{1,9}\.\d{2}) tokens per second)?"
)
# llama-server tells how far it is every few seconds
_SO_FAR = pattern(
    r"print_timing: .{1,60} \| n_(?:decoded|gen) = +(\d{1,9}), tg = +(\d{1,9}\.\d{2}) t/s"
)
_READ_SO_FAR = pattern(
    r"prompt processing, n_tokens = +(\d{1,9}), .{1,60} / +(\d{1,9}\.\d{2}) tokens per second"
)


class _Request:
    """`timed`: kind -> milliseconds, the tokens that took them, and all tokens. `end_tokens` stood
    in the context when it ended. `shared`: others were answered at the same time.
    """

    __slots__ = ("end_tokens", "shared", "timed")

    def __init__(self) -> None:
        self.timed: dict[str, tuple[float, int, int]] = {}
        self.end_tokens: int | None = None
        self.shared = False

    def tokens(self, kind: str) -> int:
        return self.timed[kind][2] if kind in self.timed else 0

    def depth(self, kind: str) -> int | None:
        """Tokens in the context before its prompt, or on average while it decoded."""
        if self.end_tokens is not None:
            before_answer = self.end_tokens - self.tokens("decode")
            before = max(0, before_answer - self.tokens("prompt"))
        else:
            before_answer, before = self.tokens("prompt"), 0
        if kind == "prompt":
            return before
        return before_answer + self.tokens("decode") // 2 if before_answer > 0 else None


class Requests:
    """What a log tells of its requests, line by line."""

    def __init__(self) -> None:
        self._requests: list[_Request] = []
        self._by_task: dict[str, _Request] = {}
        self._open: dict[str, _Request] = {}
        self._current: _Request | None = None
        # whose timings follow; none in the log of a program that is no server
        self._task: str | None = None
        # kind -> tokens that took 0.00 ms, which is no pace
        self._untimed: dict[str, int] = {}
        # kind -> of the request that is under way, tokens per second and tokens
        self._so_far: dict[str, tuple[float | None, int]] = {}
        self._last_task = ""
        self._seen_tasks: set[str] = set()
        self._is_interleaved = False

    def restart(self) -> None:
        """Another model is loaded: what was under way has ended."""
        self._by_task, self._open, self._current, self._task = {}, {}, None, None

    def take(self, line: str) -> None:
        """A line that holds ` = ` or `slot `."""
        slot = _SLOT.search(line) if "slot " in line else None
        if slot is not None:
            self._take_slot(slot[1], slot[2], slot[3])
        if " time " in line and (timing := _TIMING.search(line)) is not None:
            kind = "prompt" if timing[1] == "prompt eval" else "decode"
            self._take_time(kind, float(timing[2]), int(timing[3]), float(timing[4] or 0))
        elif ", tg = " in line and (written := _SO_FAR.search(line)) is not None:
            self._so_far["decode"] = positive(written[2]), int(written[1])
            self._take_task_under_way("" if slot is None else slot[2])
        elif "prompt processing" in line and (read := _READ_SO_FAR.search(line)) is not None:
            self._so_far["prompt"] = positive(read[2]), int(read[1])

    def _take_slot(self, event: str, task: str, rest: str) -> None:
        if event == "launch_slot_" and rest.startswith(_BEGINS):
            request = self._by_task[task] = _Request()
            self._requests.append(request)
            self._open[task] = request
            if len(self._open) > 1:
                for other in self._open.values():
                    other.shared = True
        elif event == "release" and (ended := _ENDED.match(rest)) is not None:
            self._open.pop(task, None)
            if task in self._by_task:
                self._by_task[task].end_tokens = int(ended[1])
        elif event == "print_timing":
            self._current = self._by_task.get(task)
            self._task = task

    def _take_task_under_way(self, task: str) -> None:
        """Two tasks that tell how far they are in turns run at once."""
        if task != self._last_task and task in self._seen_tasks:
            self._is_interleaved = True
        self._seen_tasks.add(task)
        self._last_task = task

    def _take_time(self, kind: str, milliseconds: float, tokens: int, rate: float) -> None:
        if milliseconds <= 0 or not tokens:
            self._untimed |= {kind: tokens} if tokens else {}
            return
        # builds of 2026 count the first token, and not its time
        printed = rate * milliseconds / 1000
        is_first_left_out = printed and abs(printed - (tokens - 1)) < abs(printed - tokens)
        if self._current is None or kind in self._current.timed:
            self._current = _Request()
            self._requests.append(self._current)
            if self._task is not None:
                self._by_task[self._task] = self._current
        timed = tokens - 1 if is_first_left_out else tokens
        self._current.timed[kind] = milliseconds, timed, tokens

    def _timed(self) -> tuple[list[_Request], int]:
        """The requests that had the program alone, and how many others are left out; all where none
        had.
        """
        requests = [request for request in self._requests if request.timed]
        alone = [request for request in requests if not request.shared]
        return (alone, len(requests) - len(alone)) if alone else (requests, 0)

    def paces(self, *, drafted: bool) -> tuple[SeenPace, ...]:
        """Over all requests together; of a kind that no request tells, that there is no number."""
        requests, _ = self._timed()
        kinds = sorted({kind for request in requests for kind in request.timed})
        paces = [_pace(kind, requests, drafted=drafted) for kind in kinds]
        if not requests:
            kinds = list(self._so_far)
            paces = [
                SeenPace(
                    kind=kind,
                    tokens_per_second=rate,
                    tokens=tokens,
                    drafted=drafted,
                    shared=self._is_interleaved or len(self._open) > 1,
                )
                for kind, (rate, tokens) in self._so_far.items()
            ]
        paces += [
            SeenPace(kind=kind, tokens_per_second=None, tokens=tokens)
            for kind, tokens in sorted(self._untimed.items())
            if kind not in kinds
        ]
        return tuple(paces)

    def notes(self) -> Iterator[str]:
        """Sentences on what is left out, and on an answer that the log cuts off."""
        requests, left_out = self._timed()
        if left_out:
            yield f"Requests that were answered beside others are left out: {left_out:,}."
        if not requests and self._so_far:
            yield "The log ends before the answer does: its pace is the one until then."


def _comparable(kind: str, requests: Sequence[_Request]) -> Sequence[_Request]:
    """Those with enough tokens, and of prompts those that are not the end of a longer one in the
    cache; all where none is such.
    """
    long = [each for each in requests if each.tokens(kind) >= LEAST_TOKENS[kind]] or requests
    if kind != "prompt":
        return long
    return [each for each in long if (each.depth(kind) or 0) <= each.tokens(kind)] or long


def _pace(kind: str, requests: Sequence[_Request], *, drafted: bool) -> SeenPace:
    """All tokens over all their time."""
    compared = _comparable(kind, [each for each in requests if kind in each.timed])
    timed = []
    for request in compared:
        milliseconds, counted, tokens = request.timed[kind]
        # as if all tokens had taken as long as those that were timed
        seconds = milliseconds / 1000 * tokens / max(counted, 1)
        depth = request.depth(kind)
        timed.append(Timed(kind=kind, tokens=tokens, seconds=seconds, depth_tokens=depth))
    shared = all(request.shared for request in compared)
    return pace_of(kind, timed, drafted=drafted).replace(shared=shared)
