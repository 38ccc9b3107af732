"""Which model of the catalogue a board means by a name.

Strict: a name counts only where it can mean one model. `Names.repository` takes the names of
repositories alone. `Names.model` takes off what the name says of the setting (thinking, high, fp8,
16k), word by word from its end, until the rest is an id, a name, an alias or a repository of one
model. `names.toml` has what no rule finds, and what a rule would get wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from selfhost.catalogue.index import Catalogue

_TABLE = tomllib.loads(
    (Path(__file__).parent / "names.toml").read_text(encoding="utf-8")
)
_MAKERS = frozenset(_TABLE["makers"])
_REFUSED = frozenset(_TABLE["refused"])
_NAMED: dict[str, str] = _TABLE["named"]
_EFFORTS = tuple(_TABLE["efforts"])
# names in Ollama's library whose tags moved on to other weights
MOVED_TAGS = frozenset(_TABLE["moved_tags"])
# what a maker adds to the name of a model that follows instructions
_INSTRUCTED = ("", "instruct", "it", "chat")
_EFFORT = r"(?:x?high|medium|low|minimal|none|max)(?:[- ]?(?:effort|reasoning))?"
_SETTING = re.compile(
    r"[-_ (\[,@]+"
    r"(no[- ]?think(?:ing)?|nothinking|non[- ]?thinking|non[- ]?reasoning|no[- ]?reasoning"
    r"|thinking(?:[- ]?(?:auto|minimal|\d+k))?|\d+k[- ]?think(?:ing)?|think"
    r"|reasoning(?:[- ]?high)?|reasoner|instant"
    rf"|{_EFFORT}"
    r"|\d+k|base64|fp8|bf16|int4|awq|turbo|tee|maas|prompt|fc|free|exacto"
    r"|together|hyperbolic)[)\]]*$",
    re.IGNORECASE,
)


class Match(NamedTuple):
    """The id of a model, and the settings that its name states, as the board writes them."""

    model: str
    setting: str


class _Reading(NamedTuple):
    """A name with some settings taken off its end."""

    name: str
    settings: tuple[str, ...]


def norm(name: str) -> str:
    """The name without what makers write differently: case, spaces, dashes, dots."""
    return re.sub(r"""[-_.:/\s()'"]""", "", name.lower())


class Names:
    """The names of all models of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._repositories: dict[str, str] = {}
        self._tails: dict[str, set[str]] = {}
        self._all: dict[str, set[str]] = {}
        self._ids: dict[str, str] = {}
        for spec in catalogue.specs():
            self._ids[norm(spec.id)] = spec.id
            tail = ""
            if spec.repository:
                self._repositories[spec.repository.lower()] = spec.id
                tail = spec.repository.split("/")[-1]
                self._tails.setdefault(norm(tail), set()).add(spec.id)
            for name in (spec.id, spec.name, tail, *spec.aliases):
                if name:
                    self._all.setdefault(norm(name), set()).add(spec.id)

    def repository(self, name: str) -> str | None:
        """The id of the model whose repository has that name; None where no model has it."""
        return self._repositories.get(name.strip().lower())

    def model(self, name: str, *, lists_base_models: bool = False) -> Match | None:
        """The model that a name means, with its setting; None where none or several may be meant.

        `lists_base_models`: the board has models that follow no instructions, too, so that a name
        without `instruct` means one of those.
        """
        written = name.strip().strip("*").strip()
        id = self.repository(written)
        if id is not None:
            return Match(id, "")
        for reading in _readings(written.split("/")[-1]):
            key = norm(reading.name)
            if key in _REFUSED:
                return None
            id = _NAMED.get(key) or self._by_key(
                key, lists_base_models=lists_base_models
            )
            if id is None or id not in self._ids.values():
                continue
            if _has_foreign_effort(written, reading.settings):
                return None
            return Match(id, ", ".join(reading.settings))
        return None

    def _by_key(self, key: str, *, lists_base_models: bool) -> str | None:
        """The only model with that name."""
        if key in self._ids:
            return self._ids[key]
        if lists_base_models:
            return _only(self._tails.get(key))
        for ending in _INSTRUCTED:
            longer = f"{key}{ending}"
            id = self._ids.get(longer) or _only(self._all.get(longer))
            if id is not None:
                return id
        return None


def _only(ids: set[str] | None) -> str | None:
    """The one id of a set; None for none or several."""
    if ids is None or len(ids) != 1:
        return None
    return next(iter(ids))


def _readings(tail: str) -> Iterator[_Reading]:
    """The readings of a name: whole, then with ever more settings taken off; then each again without
    a maker before it.
    """
    readings = [_Reading(tail, ())]
    while True:
        name, settings = readings[-1]
        found = _SETTING.search(name)
        if found is None:
            break
        rest = name[: found.start()].strip(" -_(")
        readings.append(_Reading(rest, (found[1].lower(), *settings)))
    yield from readings
    for name, settings in readings:
        maker, _, rest = name.partition(" ")
        if rest and norm(maker) in _MAKERS:
            yield _Reading(rest, settings)


def _has_foreign_effort(name: str, settings: tuple[str, ...]) -> bool:
    """Whether a word such as `medium` was taken for an effort in a name of which it is a part."""
    if name.split("/")[-1].lower().startswith(_EFFORTS):
        return False
    return any(re.match(_EFFORT, setting) for setting in settings)
