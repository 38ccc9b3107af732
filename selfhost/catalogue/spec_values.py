"""What several tables of spec files have in common: the schema, ids, repositories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from operator import ge, gt, le
from typing import Any

from ..core.records import Record
from ..core.tables import Table, shipped_table

SCHEMA = 1
# of the file beside `<id>.toml` that says where its facts come from
SOURCES_ENDING = ".sources.toml"
MODALITIES = ("text", "vision", "speech", "embedding", "image", "video", "music")
# those whose work is counted in tokens one after another
GENERATING = ("text", "vision")
# those whose parts come one after the other, each a model of its own
PICTURES = ("image", "video")
# those that make one thing after another; a server of vectors, or of what it hears, answers several
ONE_AT_A_TIME = ("image", "video", "music")
# the use of a model that continues text and follows no instructions
BASE = "base"
# what a model may be for
USES = tuple(shipped_table("uses")["use"])
# of the weights, the code or the data, what was published
OPENNESS = ("published", "partial", "closed", "unknown")
INPUTS = ("text", "image", "audio", "video", "document")
# the word of `tuned_from` for a model whose training began with random weights
SCRATCH = "scratch"
_FORMS = shipped_table("names")["form"]
# what an id, a repository, either of these, an address and an alias must look like
ID, REPOSITORY, ORIGIN, ADDRESS, ALIAS = (
    (_FORMS[name][0], _FORMS[name][1], (_FORMS[name][2:] or [None])[0])
    for name in ("id", "repository", "origin", "address", "alias")
)


def schema_is_read(root: Table) -> bool:
    """False where the file is of another schema: its keys then mean what is not known here."""
    if (number := root.get("schema", "int")) in (None, SCHEMA):
        return True
    message = f"is {number:,}, and this selfhost reads schema {SCHEMA} only"
    root.problem("schema", message, "update selfhost, or write the file by schema 1")
    return False


def is_stated(values: Any, path: Sequence[str | int]) -> bool:
    """Whether the values of a file have something at the path."""
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values is not None


def is_id(text: str) -> bool:
    """True for what may be the id of a spec."""
    return re.fullmatch(ID[0], text) is not None


# what arithmetic cannot take: the key, what is wrong with it as a clause that begins with a verb,
# and what to write instead
Misfit = tuple[str, str, str]
# what two sizes of a part may not be to each other: the words for it, and what to write instead
_RELATIONS: Mapping[str, tuple[Any, str, str]] = {
    "at_most": (gt, "more than", "write at most"),
    "above": (le, "not more than", "write more than"),
    "below": (ge, "not less than", "write less than"),
    "divides": (lambda part, whole: whole % part, "which does not divide", "write a divisor of"),
}


class Sized(Record):
    """What a model states in sizes. `related` has the rules that bind them, as
    `kv_heads divides heads`: two keys, a relation of _RELATIONS between them, and behind that the
    kinds of layer that the rule is for, if not for all.
    """

    related = ""

    def misfits(self, width: int | None = None) -> Iterator[Misfit]:
        """Every size that cannot be beside the others, in a model of that width."""
        for key, stated in type(self)._keys.items():
            least, most = stated.limits.get("minimum", 1), stated.limits.get("maximum", 10**18)
            size = getattr(self, key)
            if type(size) is int and not least <= size <= most:
                remedy = f"write a number from {least:,} to {most:,}"
                yield key, f"is {size:,}, which is no size of a model", remedy
        for rule in filter(None, self.related.split(", ")):
            key, relation, other, *kinds = rule.split()
            (is_wrong, words, remedy), bound = _RELATIONS[relation], getattr(self, other, width)
            is_meant = not kinds or getattr(self, "kind", None) in kinds
            if is_meant and (size := getattr(self, key)) and bound and is_wrong(size, bound):
                yield key, f"is {size:,}, {words} {other}, {bound:,}", f"{remedy} {bound:,}"
