"""Which models of a catalogue are meant: by filters, and by words as people type them.

`ids_passing` returns the ids of the models that pass every filter. The functions of words tell
which kind of work the words mean, and what to search for where they find nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.name_table import NAME_TABLE
from ..catalogue.names import latin_spelling
from ..catalogue.searching import resolve
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, MODALITIES, USES
from ..catalogue.uses import kind_meant, uses_table
from ..core.errors import UnknownModelError
from ..core.purposes import purposes_table
from ..core.records import Record
from ..core.templates import fill
from ..core.units import canonical
from .ranking import Standings

# words to search for
Words = tuple[str, ...]
# names that take the place of words which find nothing
_MOST_NAMED = 3


def ids_passing(
    catalogue: Catalogue,
    *,
    words: Sequence[str] = (),
    families: Collection[str | None] = (),
    modality: str | None = None,
    use: str | None = None,
    openness: str | None = None,
    purpose: str | None = None,
) -> list[str]:
    """The ids of the models that pass every filter; a faulty spec has no words and no openness. A
    purpose is one of models that write text. If it needs a use, such as function calling, a model
    of which nobody says whether it has the use passes, unless it answers nobody.
    """
    ids = []
    standings = Standings.load(catalogue, None)
    needs_answers = False
    if purpose is not None:
        needs_answers = bool(purposes_table().purpose[purpose].use)
    for id in catalogue.ids():
        outline = catalogue.outlines[id]
        if families and outline.family not in families:
            continue
        if modality not in (None, outline.modality):
            continue
        if purpose is not None and outline.modality not in GENERATING:
            continue
        if needs_answers and not standings.traits(outline.uses).answers:
            continue
        if use is None or standings.does(outline, use):
            ids.append(id)
    if openness is None and not words:
        return ids
    passing = []
    for spec in catalogue.specs(ids):
        if openness not in (None, spec.openness.weights):
            continue
        if not words or holds_words(spec, words):
            passing.append(spec.id)
    return passing


def words_typed(words: Iterable[str], catalogue: Catalogue) -> Words:
    """The words as they are compared, each once: in lower case and Latin letters, and the name of a
    use for a phrase that means it (`text to speech`).
    """
    latin = []
    for word in words:
        spelled = latin_spelling(word, catalogue) or word
        latin += spelled.lower().split()
    if not latin:
        return ()
    text = " ".join(latin)
    for phrase, use in uses_table().kinds.items():
        if " " in phrase:
            # it may be spelled with hyphens
            spelled = phrase.replace(" ", "[ -]")
            text = re.sub(rf"(?<!\S){spelled}(?!\S)", use, text)
    return tuple(dict.fromkeys(text.split()))


class KindsMeant(Record):
    """The use and the modality that words name, None where they name none or several."""

    use: str | None
    modality: str | None


def kinds_in(words: Sequence[str]) -> KindsMeant:
    """The use and the modality that the words name; a use may take two words (`function
    calling`).
    """
    kinds = {kind_meant(word) for word in words}
    parts = set()
    for kind in kinds:
        parts.update(kind.split("-"))
    uses = []
    for use in USES:
        if parts.issuperset(use.split("-")):
            uses.append(use)
    modalities = kinds.intersection(MODALITIES)
    return KindsMeant(use=_only(uses), modality=_only(modalities))


def _only(names: Collection[str]) -> str | None:
    """The only one of the names; None where there are none or several."""
    if len(names) != 1:
        return None
    return next(iter(names))


def holds_words(model: ModelSpec, words: Sequence[str]) -> bool:
    """Whether every word stands in the model's names, in its maker's or in that of its kind."""
    names = [model.id, model.name, *model.aliases]
    if model.family is not None:
        names.append(model.family)
    maker = f"-{canonical(model.developer or '')}"
    kinds = {model.modality}
    for use in model.uses or ():
        kinds.update(use.split("-"))
    for word in words:
        kind = kind_meant(word)
        if kinds.issuperset(kind.split("-")):
            continue
        if f"-{canonical(word)}" in maker:
            continue
        if not _is_part_of_names(word, names):
            return False
    # words of signs alone find nothing
    return any(canonical(word) for word in words)


def named_by_words(words: Sequence[str], catalogue: Catalogue) -> frozenset[str]:
    """The ids that hold all of the words, if one of the words means a kind of work; else none.

    `coder` means `code`, which many models do, but a user who types it wants a model with `coder`
    in its id first.
    """
    synonyms = uses_table().kinds
    if synonyms.keys().isdisjoint(words):
        return frozenset()
    ids = set(catalogue.outlines)
    for word in words:
        ids = {id for id in ids if _is_part_of_names(word, [id])}
    return frozenset(ids)


def _is_part_of_names(word: str, names: Iterable[str]) -> bool:
    """Whether a name holds the word; a size (`7b`) has to stand there whole."""
    rules = NAME_TABLE.searched
    if re.fullmatch(rules.size, word) is None:
        letters = canonical(word)
        return any(letters in canonical(name) for name in names)
    size = {"size": re.escape(word)}
    expression = fill(rules.whole_size, size)
    for name in names:
        spelled = name.lower().replace(" ", "-")
        if re.search(expression, spelled):
            return True
    return False


def words_in_names(words: Sequence[str], catalogue: Catalogue) -> Words:
    """The words to search for where all words together match no model: each word that is part of a
    model's name, else the nearest names.
    """
    names = []
    for outline in catalogue.outlines.values():
        names += [outline.id, outline.family or ""]
    most = NAME_TABLE.searched.most_searched
    found = []
    for word in dict.fromkeys(words[:most]):
        if _is_part_of_names(word, names):
            found.append(word)
    if found:
        return tuple(found)
    try:
        resolve(" ".join(words), catalogue)
    except UnknownModelError as error:
        return error.nearest[:_MOST_NAMED]
    return ()
