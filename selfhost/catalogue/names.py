"""What a person typed -> a model, with the quantization and the program that the name states.

A name is looked up as it is, then without the words for the form of its files at the end
(`forms`); then with its words joined otherwise, as a base model, and as the beginning of a longer
name. Digits are never corrected, and what is read as something else is said in a note.
"""

from __future__ import annotations

from ..core.errors import SelfhostError, UnexplainedNameError, UnknownModelError
from ..core.spelling import canonical
from .index import Catalogue
from .lookup import (
    AS_IT_IS,
    OTHERWISE,
    SEE_NAMES,
    Resolution,
    by_key,
    cut_short,
    library_tag,
    read,
)
from .pasted import LIBRARY, in_latin_letters, unrouted, unwrap

__all__ = [
    "Resolution",
    "complete",
    "id_of",
    "id_of_whole_name",
    "library_tag",
    "look_up",
    "resolve",
]

# the longest repository id that Hugging Face allows has 96 + 1 + 96 characters; an address of a
# file in it adds a few dozen
MAX_NAME_LENGTH = 400


def resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    """The model that goes by this name.

    Raises `NotAModelError` for a tool or service, `UnknownModelError` for anything else, with the
    nearest names; without `explains` that only says that it is not in the catalogue.
    """
    if len(typed) > MAX_NAME_LENGTH or not canonical(typed):
        why = f"has {len(typed):,} characters, too many for a model's name"
        why = "is not a model's name" if len(typed) <= MAX_NAME_LENGTH else why
        message = f"{cut_short(typed)} {why}" if typed.strip() else "no model was named"
        raise UnknownModelError(message, remedy=SEE_NAMES)
    for readings in (AS_IT_IS, OTHERWISE):
        resolution = read(typed, readings, catalogue)
        if resolution is not None:
            return resolution
    name = unrouted(unwrap(typed), catalogue)
    latin = in_latin_letters(name, catalogue)
    if latin is not None:
        resolution = resolve(latin, catalogue, explains=explains)
        return resolution.replace(notes=(f"{name} is read as {latin}.", *resolution.notes))
    if not explains:
        # what to say of it takes longer to find than that it is unknown
        raise UnexplainedNameError(f"{cut_short(typed)} is not in the catalogue", remedy=SEE_NAMES)
    from .unknown_names import unknown_name

    raise unknown_name(typed, name.removeprefix(LIBRARY), catalogue)


def look_up(typed: str, catalogue: Catalogue) -> Resolution | None:
    """The model of this very name, None for a name that takes more reading. Raises
    `UnknownModelError` where the name fits several models.
    """
    return read(typed, AS_IT_IS, catalogue)


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that goes by this name, None where no single one does."""
    if len(name) > MAX_NAME_LENGTH or not canonical(name):
        return None
    try:
        resolution = look_up(name, catalogue)
    except SelfhostError:
        return None
    return resolution.spec_id if resolution else None


def id_of_whole_name(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model whose id, repository or repository's own name this is; None for a
    family, an alias, and what several have.
    """
    if len(name) > MAX_NAME_LENGTH:
        return None
    try:
        return by_key(canonical(name), ("ids", "repositories", "titles"), catalogue)
    except SelfhostError:
        return None


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start, plain = canonical(prefix), prefix.lower()
    if prefix and not start:
        return ()
    return tuple(
        name
        for name in catalogue.spellings()
        if name.lower().startswith(plain) or (start and canonical(name).startswith(start))
    )
