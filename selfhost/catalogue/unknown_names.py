"""What to say of a name that no model goes by: what it is instead, what it is made from, or which
names are near.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from shlex import quote

from ..core.errors import NotAModelError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import MAX_GUESSED_LETTERS, canonical, canonical_of_each, is_slip
from .forms import Form, splits
from .index import Catalogue
from .lookup import (
    MOST_NAMED,
    SEE_NAMES,
    alike_by_name,
    by_key,
    cut_short,
    is_thing,
    known_form,
    named_directly,
    serves,
    sizes_in,
    texts_in,
)
from .paths import is_bare_weights

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def unknown_name(typed: str, name: str, catalogue: Catalogue) -> UnknownModelError:
    """The error for a name that no model goes by."""
    return _Unknown(typed, name, catalogue).error()


# what transformers, diffusers, peft and Mistral call their files, whatever the model
_ANY_MODELS_FILE = pattern(
    r"(?i)(?:(?:diffusion_)?(?:pytorch_)?model|consolidated|adapter_model)"
    r"(?:[-_.](?:fp16|bf16|\d+(?:-of-\d+)?))*\.(?:gguf|safetensors|bin|pth)"
)
# words for files that a program loads beside a model, whose needs are not those of the model
_PARTS = frozenset((
    "adapter", "controlnet", "dflash", "draft", "drafter", "eagle", "lora", "loras", "mmproj",
    "projector", "sae", "speculator", "tokenizer", "vae",
))  # fmt: skip
# a number of parameters as a name states it: `70b`, not the active ones of `30B-A3B`
_BILLIONS = pattern(r"(?i)(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])")
# gigabytes of weights a billion parameters: the least and the most of nine in ten of the published
# Q4_K_M files of models of 2 billion and more (`files` of the specs)
_Q4_K_M_GB = 0.60, 0.66
# near names share this much of their letters, as difflib counts it
_NEAR = 0.72
_MOST_HINTS = 5
# of a user's own specs that are wrong
_FILES_NAMED = 5
# words for tunes on what a hosted model wrote, such as GPT4-x-Alpaca
_OF_TUNES = frozenset(("alpaca", "distill", "distilled", "llama", "qwen", "vicuna"))
# of each table of `things.toml` the message, and what is in front of the command for another model
_SENTENCES = {
    "uncovered": ("{typed} is a model for {name}: {answer}", "one of that kind"),
    "hosted": (
        "{typed} is not in the catalogue: by its name it is of a line of {name} that is offered"
        " through an API alone, without weights",
        "",
    ),
    "line": (
        "{typed} is not in the catalogue: by its name it is one of {about}",
        "one that writes {writes}",
    ),
}


class _Unknown:
    """One name, and what may be said of it."""

    def __init__(self, typed: str, name: str, catalogue: Catalogue) -> None:
        self.typed, self.catalogue = typed, catalogue
        self.name = name.removesuffix(":latest")
        self.owner, _, self.rest = self.name.rpartition("/")
        self.base, self.form = self.rest, Form(written="")
        for base, form in splits(self.rest, self.owner):
            if form.quantization is not None or form.is_container or not form.is_sized:
                self.base, self.form = base, form
        self.key = canonical(self.base)
        missing = "does not exist here and " if is_bare_weights(name) else ""
        self.message = f"{cut_short(typed)} {missing}is not in the catalogue{self._faulty_files()}"

    def error(self) -> UnknownModelError:
        steps: tuple[Callable[[], UnknownModelError | None], ...] = (
            self._thing,
            partial(self._begins_as, "uncovered"),
            partial(self._begins_as, "hosted"),
            self._any_models_file,
            self._in_other_form,
            self._alike,
            self._slip,
            self._made_of,
            self._of_family_and_size,
            self._alike_in_part,
            self._of_whisper,
            partial(self._begins_as, "line"),
        )
        for step in steps:
            error = step()
            if error is not None:
                return error
        return UnknownModelError(
            f"{self.message}{self._size()}", nearest=self._nearest, remedy=SEE_NAMES
        )

    def _check(self, id: str) -> str:
        """The command that judges a model in the form that the name states."""
        options = ""
        if self.form.quantization is not None and serves(self.form, id, self.catalogue):
            options = f" --runtime {self.form.runtime}" if self.form.runtime else ""
            options += f" --quant {self.form.quantization}"
        return f"selfhost check {quote(id)}{options}"

    def _leads(self, words: str, id: str, remedy: str | None = None) -> UnknownModelError:
        return UnknownModelError(
            f"{self.message}{words}", nearest=(id,), remedy=remedy or self._check(id)
        )

    def _table(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        return self.catalogue.common("things").get(name) or {}

    def _instead(self, facts: Mapping[str, Any]) -> list[str]:
        return [id for id in texts_in(facts.get("try_instead")) if id in self.catalogue]

    def _thing(self) -> UnknownModelError | None:
        things = self.catalogue.common_tables("things", "thing")
        name = next((each for each in (self.name, self.base) if is_thing(each, self.catalogue)), "")
        if not name:
            return None
        key = canonical(name) if canonical(name) in things else canonical(name.rpartition("/")[2])
        facts = things[key][1]
        kind, instead = str(facts.get("kind") or "thing"), self._instead(facts)
        return NotAModelError(
            f"{cut_short(self.typed)} is not a model but a {kind}: {facts.get('answer', '')}",
            kind=kind,
            nearest=instead,
            remedy=f"selfhost check {quote(instead[0])}" if instead else SEE_NAMES,
        )

    def _begins_as(self, table: str) -> UnknownModelError | None:
        """A name that begins as those of an entry of `things.toml`: a kind that the catalogue does
        not judge, a line that an API alone serves, a line whose layers are not known.
        """
        key, words = canonical(self.rest), _SENTENCES[table]
        # a tune that is named for a hosted model states its size
        if table == "hosted" and (sizes_in(key) or _OF_TUNES & set(key.split("-"))):
            return None
        for name, facts in (self.catalogue.common("things").get(table) or {}).items():
            is_whole = key in map(canonical, texts_in(facts.get("whole")))
            if not is_whole and not _begins(key, facts):
                continue
            instead = self._instead(facts)
            command = f"{words[1]}: selfhost check {quote(instead[0])}\n" if instead else ""
            values = {"typed": cut_short(self.typed), "name": name, **facts}
            return UnknownModelError(
                words[0].format_map(values),
                nearest=self._nearest if table == "hosted" else (),
                remedy=f"{command.format_map(values)}{SEE_NAMES}",
            )
        return None

    def _any_models_file(self) -> UnknownModelError | None:
        if not _ANY_MODELS_FILE.fullmatch(self.name):
            return None
        return UnknownModelError(
            f"{cut_short(self.typed)} is no file here, and most models have one of that name",
            remedy=f"the model by its repository: selfhost check OWNER/NAME\n{SEE_NAMES}",
        )

    def _in_other_form(self) -> UnknownModelError | None:
        """A known model in files whose size is not known, or in an account that may hold others."""
        named = known_form(self.name, self.catalogue)
        if named is not None and named[1] is not None:
            id, form = named[0][0], named[1]
            return self._leads(
                f": its name says that it holds {id} in another format ({form.written}), whose size"
                " is not known",
                id,
                f"for the known formats: selfhost check {quote(id)}",
            )
        named = known_form(self.rest, self.catalogue) if self.owner else None
        if named is None:
            return None
        id = named[0][0]
        if "github.com" in self.owner.lower():
            words = f": GitHub keeps the code, not the weights; by that name {id} is meant here"
        else:
            words = f": this repository of {cut_short(self.owner)} may hold other weights than {id}"
        return self._leads(words, id, f"if it holds the same weights: {self._check(id)}")

    def _alike(self) -> UnknownModelError | None:
        """A model whose config.json or file was read: it has the layers of a catalogued one."""
        key = self.key.removesuffix("-gguf").removesuffix("-i-1")
        by_name = alike_by_name(self.catalogue)
        id = by_name.get(key) or by_name.get(canonical(self.base.partition("_")[2]))
        if id is None:
            return None
        return self._leads(f": it has the layers of {id}, so it needs as much", id)

    def _alike_in_part(self) -> UnknownModelError | None:
        """The name of a line of tunes, which stands in the names of listed models."""
        words = set(self.key.split("-"))
        if not any(len(word) > 3 and word not in _words_of_ids(self.catalogue) for word in words):
            return None
        listed = alike_by_name(self.catalogue).items()
        ids = sorted({id for name, id in listed if words <= set(name.split("-"))})
        if len(ids) < 2:
            return (
                self._leads(f": a tune of that name has the layers of {ids[0]}", ids[0])
                if ids
                else None
            )
        return UnknownModelError(
            f"{self.message}: tunes of that name have the layers of {', '.join(ids[:MOST_NAMED])}",
            nearest=ids[:MOST_NAMED],
            remedy="type the name of one of them, with its size",
        )

    def _slip(self) -> UnknownModelError | None:
        """A slip of a whole name, before a part of it is taken for what it was made from."""
        if not self._slips():
            return None
        return UnknownModelError(self.message, nearest=self._nearest, remedy=SEE_NAMES)

    def _slips(self) -> list[str]:
        """The names of which this one is a slip, the numbers in it left as they are."""
        same = _keys_by_numbers(self.catalogue).get(_numbers(self.key), ())
        return [key for key in same if is_slip(self.key, key)]

    def _made_of(self) -> UnknownModelError | None:
        """A name that holds that of a catalogued model, size and all, as those of tunes do."""
        words = self.key.removesuffix("-gguf").split("-")[:40]
        for count in range(len(words) - 1, 2, -1):
            for start in range(len(words) - count + 1):
                run = "-".join(words[start : start + count])
                beside = ["-".join(words[:start]), "-".join(words[start + count :])]
                id = self._open(run)
                if id is None or any(map(sizes_in, beside)):
                    continue
                part = next((word for word in words if word in _PARTS), None)
                if part is not None:
                    return self._leads(
                        f": by its name it is loaded beside {id} ({part}), and needs memory of its"
                        " own beyond what that model needs",
                        id,
                        f"selfhost check {quote(id)}",
                    )
                return self._leads(_if_made_from(id), id)
        return None

    def _open(self, key: str) -> str | None:
        # an alias or a short id may be the name of a family
        kinds = ("ids", "repositories", "titles", "aliases") if sizes_in(key) else ("ids",)
        try:
            id = by_key(key, kinds, self.catalogue)
        except UnknownModelError:
            return None
        return None if id is None or self.catalogue.is_closed(id) else id

    def _of_family_and_size(self) -> UnknownModelError | None:
        """A tune whose words stand between the name of a family, or its short name, and the size:
        `huihui_ai/qwen3-abliterated:8b`, `L3.3-Nevoria-R1-70b`.
        """
        words = re.split(r"[-_: ]", self.base.lower())
        sizes = _BILLIONS.findall(self.base)
        if len(sizes) != 1:
            return None
        short: Mapping[str, str] = self.catalogue.common("families").get("short") or {}
        families = [short[word] for word in words[:2] if word in short]
        place = next((at for at, word in enumerate(words) if _BILLIONS.fullmatch(word)), 0)
        for end in range(place - 1, 0, -1):
            if all(word.isalpha() for word in words[end:place]):
                families += ["-".join(words[start:end]) for start in range(end)]
        for family in families:
            for sign in (":", "-"):
                try:
                    match = named_directly(f"{family}{sign}{sizes[0]}b", self.catalogue)
                except UnknownModelError:
                    match = None
                if match is not None and not self.catalogue.is_closed(match[0]):
                    return self._leads(_if_made_from(match[0]), match[0])
        return None

    def _of_whisper(self) -> UnknownModelError | None:
        """What programs for speech recognition call a Whisper: `large-v3`, `turbo`."""
        for prefix in ("whisper-", "whisper-large-v3-"):
            match = named_directly(f"{prefix}{self.name}", self.catalogue)
            if match is not None:
                words = f"; programs for speech recognition call {match[0]} so"
                return self._leads(words, match[0])
        return None

    def _nearest(self) -> tuple[str, ...]:
        """The names that this one is a slip of; else one a model those with all of its words, then
        those with its numbers, then others that are much like it.
        """
        near = self._slips() or [*self._with_its_words(), *self._much_alike()]
        ids = dict.fromkeys(id for key in near if (id := self._id_of(key)) is not None)
        return tuple(ids)[:_MOST_HINTS]

    def _with_its_words(self) -> list[str]:
        words = self.key.split("-")
        if len(words) < 3:
            return []
        ids = canonical_of_each(outline.id for outline in self.catalogue.outlines())
        return [key for key in ids if _in_order(words, key.split("-"))]

    def _much_alike(self) -> list[str]:
        from difflib import get_close_matches

        if len(self.key) > MAX_GUESSED_LETTERS:
            return []
        numbers, first = _numbers(self.key), self.key.partition("-")[0]
        keys = [key for same in _keys_by_numbers(self.catalogue).values() for key in same]
        near = get_close_matches(self.key, keys, n=4 * _MOST_HINTS, cutoff=_NEAR)
        near = [key for key in near if get_close_matches(first, [key.partition("-")[0]])]
        return sorted(near, key=lambda key: _numbers(key) != numbers)

    def _id_of(self, key: str) -> str | None:
        try:
            match = named_directly(key, self.catalogue)
        except UnknownModelError:
            return None
        return match[0] if match else None

    def _size(self) -> str:
        """A clause on what the number of parameters in a name means for its weights."""
        sizes = _BILLIONS.findall(self.base)
        if len(sizes) != 1 or _PARTS & set(self.key.split("-")):
            return ""
        billions = float(sizes[0])
        low, high = (round(billions * share, 1 if billions < 16 else None) for share in _Q4_K_M_GB)
        return (
            f": {billions:,g} billion parameters, as its name says, are about {low:,g} to {high:,g}"
            f" GB of weights in Q4_K_M and {2 * billions:,g} GB in 16 bits, cache and buffers not"
            " counted"
        )

    def _faulty_files(self) -> str:
        """A clause on the person's own files that are wrong: the model may be in one of them."""
        wrong = list(self.catalogue.own_faults_by_file)
        if not wrong:
            return ""
        more = f" and {len(wrong) - _FILES_NAMED:,} more" if len(wrong) > _FILES_NAMED else ""
        files = (
            "files of yours with faults were"
            if len(wrong) > 1
            else "a file of yours with faults was"
        )
        return f"; {files} ignored: {', '.join(wrong[:_FILES_NAMED])}{more}"


def _words_of_ids(catalogue: Catalogue) -> frozenset[str]:
    """The words of all ids, which say nothing of whose tune a model is."""
    words: frozenset[str] | None = catalogue.derived.get("words of ids")
    if words is None:
        ids = canonical_of_each(outline.id for outline in catalogue.outlines())
        words = catalogue.derived["words of ids"] = frozenset("-".join(ids).split("-"))
    return words


def _numbers(key: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", key))


def _keys_by_numbers(catalogue: Catalogue) -> Mapping[tuple[str, ...], Sequence[str]]:
    """The ids, aliases and families, as `canonical` writes them, by the numbers in them."""
    by_numbers: dict[tuple[str, ...], list[str]] | None = catalogue.derived.get("by numbers")
    if by_numbers is None:
        by_numbers = catalogue.derived["by numbers"] = {}
        families = catalogue.common_tables("families", "family").values()
        names = (*catalogue.spellings(), *(name for name, _ in families))
        for key in dict.fromkeys(canonical_of_each(names)):
            by_numbers.setdefault(_numbers(key), []).append(key)
    return by_numbers


def _in_order(words: Sequence[str], longer: Sequence[str]) -> bool:
    rest = iter(longer)
    return all(word in rest for word in words)


def _if_made_from(id: str) -> str:
    return f": if it is made from {id}, as its name says, it needs as much"


def _begins(key: str, facts: Mapping[str, Any]) -> bool:
    """Whether a name as `canonical` writes it begins with one of the `names` of an entry; a version
    follows with or without a sign between: yolov8, YOLO11n.
    """
    for start in texts_in(facts.get("names")):
        parts = [re.escape(canonical(part)) for part in start.split("*")]
        if key.startswith(parts[0][:1]) and re.match(rf"{'.+'.join(parts)}(?![a-z])", key):
            return True
    return False
