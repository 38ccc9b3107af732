"""What several tables of spec files have in common: the schema, ids, repositories."""

from __future__ import annotations

import re

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


def is_id(text: str) -> bool:
    """True for what may be the id of a spec."""
    return re.fullmatch(ID[0], text) is not None
