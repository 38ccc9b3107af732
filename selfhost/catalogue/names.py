"""What a person typed -> a model, with the quantization and the program that the name states.

Steps: take off what stands around the name (`pasted`), look it up as it is and without the words
for its form (`lookup`, `forms`), with its words joined otherwise, as a base model, a beginning or a
family (`readings`); else say what it is (`unknown_names`). Digits are never corrected, and what is
read as something else is said in a note.
"""

from __future__ import annotations

from ..core.errors import SelfhostError, UnexplainedNameError, UnknownModelError
from ..core.spelling import canonical
from .index import Catalogue
from .lookup import SEE_NAMES, Resolution, by_key, cut_short, look_up
from .pasted import LIBRARY, in_latin_letters, unrouted, unwrap

__all__ = ["Resolution", "complete", "id_of", "id_of_whole_name", "look_up", "resolve"]

# the longest repository id that Hugging Face allows has 96 + 1 + 96 characters; an address of a
# file in it adds a few dozen
MAX_NAME_LENGTH = 400


def resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    """The model that goes by this name.

    Raises `NotAModelError` for a tool or service, `UnknownModelError` for anything else, with the
    nearest names; without `explains` that only says that it is not in the catalogue.
    """
    if len(typed) > MAX_NAME_LENGTH:
        message = f"{cut_short(typed)} has {len(typed):,} characters, too many for a model's name"
        raise UnknownModelError(message, remedy=SEE_NAMES)
    if not canonical(typed):
        message = f"{cut_short(typed)} is not a model's name"
        raise UnknownModelError(
            message if typed.strip() else "no model was named", remedy=SEE_NAMES
        )
    resolution = look_up(typed, catalogue)
    if resolution is not None:
        return resolution
    # most names are understood as they are
    from .readings import read_otherwise

    resolution = read_otherwise(typed, catalogue)
    if resolution is not None:
        return resolution
    name = unrouted(unwrap(typed), catalogue)
    latin = in_latin_letters(name, catalogue)
    if latin is not None:
        resolution = resolve(latin, catalogue, explains=explains)
        return resolution.replace(notes=(f"{name} is read as {latin}.", *resolution.notes))
    if not explains:
        # what to say of it takes longer to find than that it is unknown
        message = f"{cut_short(typed)} is not in the catalogue"
        raise UnexplainedNameError(message, remedy=SEE_NAMES)
    from .unknown_names import unknown_name

    raise unknown_name(typed, name.removeprefix(LIBRARY), catalogue)


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
    key = canonical(name) if len(name) <= MAX_NAME_LENGTH else ""
    try:
        return by_key(key, ("ids", "repositories", "titles"), catalogue)
    except SelfhostError:
        return None


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start = canonical(prefix)
    if prefix and not start:
        return ()
    plain = prefix.lower()
    return tuple(
        name
        for name in catalogue.spellings()
        if name.lower().startswith(plain) or (start and canonical(name).startswith(start))
    )
