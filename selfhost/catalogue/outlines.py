"""What a spec tells of its model before it is read as a whole: the names that the model answers to,
and its outline. A package has both at hand for all models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..core.records import Record, pattern
from ..core.spelling import canonical

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# what a name may be, from the most to the least certain
KINDS = ("ids", "aliases", "titles", "repositories")

# accounts of Hugging Face that were renamed; the old names still lead there
_OLD_ACCOUNTS = {"coherelabs": "CohereForAI", "zai-org": "THUDM"}

_REPOSITORY = pattern(r"(?a)[\w.-]+/[\w.-]+")


class Outline(Record):
    """As much of a model as one must know to decide whether its spec is worth reading. None is
    not known.
    """

    id: str
    family: str | None
    modality: str
    # names of specs/common/uses.toml, the main one first
    uses: tuple[str, ...] | None
    closed: bool
    parameters_total: int | None
    # None of a dense model, whose are all used for every token
    parameters_active: int | None
    released: str | None
    superseded_by: str | None
    # an entry of Ollama's library carries it: one of its aliases is a tag
    is_in_ollama: bool
    # of a model that is served, what comes after it, and the day from which it is no longer served
    successor: str | None
    retired: str | None
    # the publisher does not say what comes after it: its spec does, by its own judgement
    next_is_judged: bool
    # a repository or a spec's id; `scratch` where it was trained from random weights
    tuned_from: str | None

    @property
    def next(self) -> str | None:
        """The id of what comes after it: a served model's successor, else what supersedes it."""
        return self.successor or self.superseded_by

    @property
    def purpose(self) -> str:
        """What its maker made it for: `code`, `moderation`, `mathematics`, `medicine`, `law`, or
        `general`, also where its spec does not say.
        """
        return _PURPOSES.get(self.uses[0], "general") if self.uses else "general"


# the word for each use that narrows a model down to one kind of work
_PURPOSES = {
    "code": "code",
    "safety": "moderation",
    "math": "mathematics",
    "medical": "medicine",
    "legal": "law",
}


def name_map(models: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, str]]:
    """All names of some specs by KINDS, as `canonical` writes them, each with the ids of its specs
    joined by `/`. Takes values of any type: the specs may be faulty.
    """
    names: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for spec_id, values in models:
        for kind, name in _names_of(spec_id, values):
            key = canonical(name) if isinstance(name, str) else ""
            if not key:
                continue
            ids = names[kind].get(key)
            if ids is None:
                names[kind][key] = spec_id
            elif spec_id not in ids.split("/"):
                names[kind][key] = f"{ids}/{spec_id}"
    return names


def aliases_of(values: Mapping[str, Any]) -> list[str]:
    """The aliases of a spec that may be faulty."""
    return [alias for alias in _items(values.get("aliases")) if isinstance(alias, str)]


def _names_of(spec_id: str, values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The names of one spec, each with its kind."""
    yield "ids", spec_id
    for alias in aliases_of(values):
        yield "aliases", alias
    yield "titles", values.get("name")
    for repository in _repository_names(values.get("repository")):
        yield "repositories", repository
        yield "titles", repository.partition("/")[2]
    for table in _items(values.get("files")):
        if isinstance(table, dict) and table.get("format") == "gguf":
            yield "repositories", table.get("repository")
    availability = _typed(values.get("availability"), dict, {})
    if isinstance(availability.get("provider"), str):
        # as resellers of APIs write it: openai/gpt-4o
        yield "repositories", f"{availability['provider']}/{spec_id}"


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# how the sources of a spec say that what comes after a model is told by dates or by us, and by no
# publisher
_JUDGED = ("release dates", "our judgement")


def outline_of(spec_id: str, values: Mapping[str, Any]) -> Outline:
    """Takes values of any type: the spec may be faulty, and what is not as it should be is not
    known.
    """

    def inner(table: str, key: str, kind: type = object) -> Any:
        return _typed(_typed(values.get(table), dict, {}).get(key), kind)

    released, retired = values.get("released"), inner("availability", "retired")
    successor = inner("availability", "successor", str)
    source = inner("sources", "upkeep" if successor is None else "availability", str)
    return Outline(
        id=spec_id,
        family=_typed(values.get("family"), str),
        modality=_typed(values.get("modality"), str, "text"),
        uses=tuple(use for use in _items(values.get("uses")) if isinstance(use, str)) or None,
        closed=inner("openness", "weights", str) == "closed",
        parameters_total=inner("parameters", "total", int),
        parameters_active=inner("parameters", "active", int),
        released=None if released is None else str(released),
        superseded_by=inner("upkeep", "superseded_by", str),
        is_in_ollama=any(":" in alias for alias in aliases_of(values)),
        successor=successor,
        retired=None if retired is None else str(retired),
        next_is_judged=not source or any(words in source for words in _JUDGED),
        tuned_from=_typed(values.get("tuned_from"), str),
    )


def _typed(value: Any, kind: type, otherwise: Any = None) -> Any:
    """The value where it is of that kind; True and False are of none."""
    return value if isinstance(value, kind) and not isinstance(value, bool) else otherwise


def _repository_names(repository: object) -> list[str]:
    """A repository under every name that Hugging Face had or has for the same weights.

    `-hf` marks a conversion to transformers, beside which the publisher's own files lie under the
    name without it; Meta's Llama 3 and 3.1 repositories were renamed from `Meta-Llama-…`, some
    accounts as well, and the old names still lead there.
    """
    if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository):
        return []
    names = [repository]
    if repository.lower().endswith("-hf"):
        names.append(repository[:-3])
    owner, _, name = repository.partition("/")
    if owner.lower() == "meta-llama" and name.lower().startswith("llama-3"):
        names.append(f"{owner}/Meta-{name}")
    if owner.lower() in _OLD_ACCOUNTS:
        names += [f"{_OLD_ACCOUNTS[owner.lower()]}/{listed.partition('/')[2]}" for listed in names]
    return names
