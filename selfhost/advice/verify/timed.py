"""Answers that were timed one by one, and the pace that they come to together."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.records import Record
from .run import LEAST_TOKENS, SeenPace


class Timed(Record):
    """A prompt or an answer: `kind` is prompt or decode, `seconds` None where its time is no
    number. `depth_tokens` stood in the context before the prompt, or on average while it decoded;
    None where nothing tells.
    """

    kind: str
    tokens: int
    seconds: float | None
    depth_tokens: int | None = None


def paces_of(timed: Sequence[Timed], *, drafted: bool = False) -> tuple[SeenPace, ...]:
    """All tokens of each kind over all their time, of those with enough tokens where some have; and
    that there is no number, of those without a time.
    """
    paces = []
    for kind in ("prompt", "decode"):
        of_kind = [each for each in timed if each.kind == kind and each.tokens]
        with_time = [each for each in of_kind if each.seconds]
        enough = [each for each in with_time if each.tokens >= LEAST_TOKENS[kind]] or with_time
        if enough:
            paces.append(pace_of(kind, enough, drafted=drafted and kind == "decode"))
        if without := sum(each.tokens for each in of_kind if not each.seconds):
            paces.append(SeenPace(kind=kind, tokens_per_second=None, tokens=without))
    return tuple(paces)


def pace_of(kind: str, timed: Sequence[Timed], *, drafted: bool) -> SeenPace:
    """All tokens of one kind over all their time; the depth is that of the average token."""
    tokens = sum(each.tokens for each in timed)
    deep = [(each.depth_tokens, each.tokens) for each in timed if each.depth_tokens is not None]
    weight = sum(share for _, share in deep)
    return SeenPace(
        kind=kind,
        tokens_per_second=tokens / sum(each.seconds or 0 for each in timed),
        tokens=tokens // len(timed),
        depth_tokens=round(sum(depth * share for depth, share in deep) / weight) if deep else None,
        drafted=drafted,
    )
