"""The requests of a llama.cpp log: how long each took, how much stood in its context, and whether
others were answered at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.records import pattern
from .run import SeenPace, Timed, enough_tokens, pace_of

# slot      release: id  0 | task 65 | stop processing: n_tokens = 7007, truncated = 0
_SLOT = pattern(
    r"slot +(launch_slot_|release|print_timing): id +\d{1,6} \| task (\d{1,12}) \|(.{0,60})"
)
# builds of 2025 and before call the tokens n_past
_ENDED = pattern(r" stop processing: n_(?:tokens|past) = (\d{1,9})")
_TIMING = pattern(
    r"(prompt eval|[ :|]eval) time += +(\d{1,12}(?:\.\d{1,4})?) ms / +(\d{1,9}) (?:tokens|runs)"
    r"(?: +\( *\d{1,9}\.\d{2} ms per token, +(\d{1,9}\.\d{2}) tokens per second)?"
)


class _Request:
    """`timed`: kind -> tokens and the seconds that they took. `end_tokens` stood in the context
    when it ended. `shared`: others were answered at the same time.
    """

    __slots__ = ("end_tokens", "shared", "timed")

    def __init__(self) -> None:
        self.timed: dict[str, tuple[int, float]] = {}
        self.end_tokens: int | None = None
        self.shared = False

    def of_kind(self, kind: str) -> Timed:
        """With the tokens in the context before its prompt, or on average while it decoded."""
        tokens, seconds = self.timed[kind]
        prompt, written = (self.timed.get(each, (0, 0.0))[0] for each in ("prompt", "decode"))
        before_answer = prompt if self.end_tokens is None else self.end_tokens - written
        depth: int | None = max(0, before_answer - prompt)
        if kind == "decode":
            depth = before_answer + written // 2 if before_answer > 0 else None
        return Timed(kind=kind, tokens=tokens, seconds=seconds, depth_tokens=depth)


class Requests:
    """What a log tells of its requests, line by line."""

    def __init__(self) -> None:
        self._requests: list[_Request] = []
        # kind -> tokens that took 0.00 ms, which is no pace
        self._untimed: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        """Another model is loaded: what was under way has ended."""
        self._by_task: dict[str, _Request] = {}
        self._open: dict[str, _Request] = {}
        # whose timings follow; none in the log of a program that is no server
        self._current: _Request | None = None

    def take(self, line: str) -> None:
        slot = _SLOT.search(line) if "slot " in line else None
        if slot is not None:
            self._take_slot(slot[1], slot[2], slot[3])
        if " time " in line and (timing := _TIMING.search(line)) is not None:
            kind = "prompt" if timing[1] == "prompt eval" else "decode"
            self._take_time(kind, int(timing[3]), float(timing[2]) / 1000, float(timing[4] or 0))

    def _take_slot(self, event: str, task: str, rest: str) -> None:
        if event == "launch_slot_" and rest.startswith(" processing task"):
            self._open[task] = self._by_task[task] = self._new_request()
            if len(self._open) > 1:
                for other in self._open.values():
                    other.shared = True
        elif event == "release" and (ended := _ENDED.match(rest)) is not None:
            self._open.pop(task, None)
            if task in self._by_task:
                self._by_task[task].end_tokens = int(ended[1])
        elif event == "print_timing":
            if task not in self._by_task:
                self._by_task[task] = self._new_request()
            self._current = self._by_task[task]

    def _new_request(self) -> _Request:
        request = _Request()
        self._requests.append(request)
        return request

    def _take_time(self, kind: str, tokens: int, seconds: float, rate: float) -> None:
        if seconds <= 0 or not tokens:
            self._untimed |= {kind: tokens} if tokens else {}
            return
        if self._current is None or kind in self._current.timed:
            self._current = self._new_request()
        # builds of 2026 count the first token, and not its time: the rate that they print does not
        self._current.timed[kind] = tokens, tokens / rate if rate >= 1 else seconds

    def _timed(self) -> tuple[list[_Request], int]:
        """The requests that had the program alone, and how many others are left out; all where none
        had.
        """
        requests = [request for request in self._requests if request.timed]
        alone = [request for request in requests if not request.shared]
        return (alone, len(requests) - len(alone)) if alone else (requests, 0)

    def paces(self, *, drafted: bool) -> tuple[SeenPace, ...]:
        """Over all requests together; of a kind that no request tells, that there is no number."""
        paces, without = [], []
        for kind in ("decode", "prompt"):
            requests = [each for each in self._timed()[0] if kind in each.timed]
            timed = enough_tokens(kind, [each.of_kind(kind) for each in requests])
            if kind == "prompt":
                # not the end of a longer one in the cache
                timed = [each for each in timed if (each.depth_tokens or 0) <= each.tokens] or timed
            if timed:
                shared = all(request.shared for request in requests)
                paces.append(pace_of(kind, timed, drafted=drafted).replace(shared=shared))
            elif tokens := self._untimed.get(kind):
                without.append(SeenPace(kind=kind, tokens_per_second=None, tokens=tokens))
        return (*paces, *without)

    def notes(self) -> Iterator[str]:
        """A sentence on what is left out."""
        if left_out := self._timed()[1]:
            yield f"Requests that were answered beside others are left out: {left_out:,}."
