"""The openness of a model, row by row, and the check whether a license is one of the accepted
licenses.

What goes in: a model's spec. What comes out: an `OpennessRow` for each question, with the answer,
the reason and the sources that both rest on.

The words follow the Open Source AI Definition, https://opensource.org/ai/open-source-ai-definition,
and the Model Openness Framework, https://arxiv.org/abs/2403.13784; licenses SPDX 3.0.1. The
sentences for each code stand in specs/common/openness.toml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.errors import WorkloadError
from ..core.records import Record, Stated
from ..core.tables import row_names, shipped_record
from ..core.templates import fill
from ..core.units import canonical, nearest, says_any, short_license
from .spec import Availability, License, ModelSpec

PERMISSIONS = ("commercial use", "modification", "redistribution", "fine-tuning")
_PARTS = ("weights", "inference_code", "training_code", "training_data", "paper")
# words in the source of a fact that nobody looked up
_UNCONFIRMED = ("general knowledge", "our judgement")
# the names of formats in sentences
_FORMAT_NAMES = {"gguf": "GGUF", "mlx": "MLX"}
_STATES = {"yes": "published", "partly": "published in part", "no": "not published"}
_LONGEST_EXPRESSION = 500


class _OpennessTable(Stated):
    """`specs/common/openness.toml`. `row`: by code, the answer, the reason, and the parts,
    permissions and keys of a spec on which both rest.
    """

    osi_approved: tuple[str, ...]
    how_to_write: str
    without_code: tuple[str, ...]
    loaded_without_code: tuple[str, ...]
    row: Mapping[str, tuple[str, ...]]


def _table() -> _OpennessTable:
    return shipped_record(_OpennessTable, "openness")


class OpennessRow(Record):
    """A question about a model, and the answer: yes, partly, no or unknown.

    `assumed`: no source confirms the answer. `parts` are the rows from which the answer follows.
    """

    name: str
    answer: str
    why: str
    sources: tuple[str, ...] = ()
    assumed: bool = False
    parts: tuple[OpennessRow, ...] = ()


def rows(spec: ModelSpec) -> tuple[OpennessRow, ...]:
    """The table of `show`, one row for each question."""
    return _Openness(spec).rows()


def permissions(spec: ModelSpec) -> tuple[OpennessRow, ...]:
    """The answers of the license about all PERMISSIONS; () for a model whose weights are closed."""
    return _Openness(spec).permissions()


def permission(spec: ModelSpec, name: str) -> OpennessRow:
    """The answer of the license about one of PERMISSIONS. Fine-tuning is answered as
    modification.
    """
    return _Openness(spec).permission(name)


def auditable(spec: ModelSpec) -> OpennessRow:
    """The answer whether the model can be audited: its training data, methods and paper. Without
    the data nobody can check what a model learned.
    """
    return _Openness(spec).auditable()


def unconfirmed(source: str | None) -> bool:
    """Whether there is no source, or every part of the source is general knowledge."""
    if source is None:
        return True
    parts = source.split(";")
    return all(map(_is_unconfirmed, parts))


def _is_unconfirmed(part: str) -> bool:
    """Whether a part of a source says that nobody looked it up."""
    return says_any(part, _UNCONFIRMED)


class _Openness:
    """The questions about the openness of one model, with their answers."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.served = spec.availability
        self.weights = spec.openness.weights
        self.license = spec.license or License()

    def rows(self) -> tuple[OpennessRow, ...]:
        """The rows of the table, one for each question."""
        is_served = self.served is not None
        table = [
            self._open_source(),
            self._row("open access", self._access(), through=is_served),
            self._row("free to use", self._free_use()),
            self._row("self-hostable", self._hosting()),
            self.auditable(),
        ]
        if self.spec.closed:
            # of an open model the license tells who may change it
            table.append(self._row("open to change", "change-closed"))
        else:
            # a closed model has no files that could run code
            table.append(self._safe_files())
        superseded = self._row("superseded", self._state())
        return (*table, superseded)

    # the codes of answers: a code names a row of the table of answers

    def _access(self) -> str:
        """The code of the answer whether anybody can fetch the weights without a login or a form;
        for a closed model, how it is served.
        """
        if self.spec.closed and self.served is not None:
            if self.served.retired:
                return "access-retired"
            if self.served.api:
                return "access-api"
            return "access-products"
        if self.weights in ("closed", "unknown"):
            return f"weights-{self.weights}"
        if self.spec.gated is None:
            return "access-unknown"
        if self.spec.gated:
            return "access-gated"
        return f"access-{self.weights}"

    def _free_use(self) -> str:
        """The code of the answer whether anybody may use the model without paying."""
        if not self.spec.closed:
            use = self.permission("commercial use")
            return f"use-{use.answer}"
        if self.served is not None and self.served.free_tier:
            return "use-free-tier"
        return "use-closed"

    def _hosting(self) -> str:
        """The code of the answer whether anybody can run the model on an own computer."""
        if self.weights != "published":
            return f"weights-{self.weights}"
        use = self.permission("commercial use")
        return f"host-{use.answer}"

    def _state(self) -> str:
        """The code of the answer whether another model or an end has overtaken the model."""
        served = self.served
        upkeep = self.spec.upkeep
        if served is not None and served.retired:
            return "superseded-retired"
        if upkeep.superseded_by:
            return "superseded-by"
        if upkeep.note and upkeep.current is False:
            return "superseded-ended"
        if upkeep.note:
            return "superseded-noted"
        if served is None and upkeep.current:
            return "superseded-newest"
        if served is None:
            return "superseded-unknown"
        if "availability.retired" in self.spec.unknown:
            return "superseded-doubtful"
        return "superseded-served"

    # the permissions of a license

    def permissions(self) -> tuple[OpennessRow, ...]:
        """The answers of the license about all PERMISSIONS; () for a model whose weights are
        closed.
        """
        if self.spec.closed:
            return ()
        return tuple(map(self.permission, PERMISSIONS))

    def permission(self, name: str) -> OpennessRow:
        """The answer of the license about one of PERMISSIONS."""
        if self.spec.closed:
            return self._row(name, "permission-closed")
        key = name.replace(" ", "_")
        is_tuning = name == "fine-tuning"
        if is_tuning:
            key = "modification"
        stated = getattr(self.license, key) or "unknown"
        row = self._row(name, f"permission-{stated}", tuned=is_tuning)
        source = self.spec.sources.get("license")
        by_id = self._known_by_id(key, row.answer)
        if by_id is not None:
            # the id tells the terms: a source need only show that the model is under this license
            assumed = unconfirmed(source)
        else:
            # every part of the source must show that the text of the license allows this: the tag
            # of a repository only names the license
            assumed = source is None or _is_unconfirmed(source)
        sources = filter(None, (by_id, source))
        return row.replace(
            sources=tuple(sources),
            assumed=assumed and row.answer != "unknown",
        )

    def _known_by_id(self, key: str, answer: str) -> str | None:
        """The reason why the id of a license alone tells that answer; None where it does not."""
        id = self.license.id or ""
        if answer == "yes" and id in _table().osi_approved:
            return (
                f"the Open Source Initiative approved {id}: any use, change and sharing"
            )
        if answer == "no" and key == "commercial_use" and "-NC-" in id:
            return f"{id}: NonCommercial"
        return None

    # the published parts

    def _open_source(self) -> OpennessRow:
        """The answer by the Open Source AI Definition 1.0: open source means all parts published,
        under terms that allow any use.
        """
        needed = tuple(map(self._part, _PARTS[:4]))
        terms = self.permissions()
        restricted = []
        for term in terms:
            if term.answer in ("no", "partly"):
                restricted.append(term.name)
        are_terms_unknown = any(term.answer == "unknown" for term in terms)
        lacks = _lacking(needed)
        if self.weights in ("closed", "unknown"):
            code = f"weights-{self.weights}"
        elif restricted:
            code = "source-restricted"
        elif are_terms_unknown:
            code = "source-unknown"
        elif lacks:
            code = "source-lacking"
        else:
            code = "source-open"
        figures = {"restricted": _listed(restricted), "lacks": lacks}
        row = self._row("open source", code, **figures)
        return row.replace(parts=needed[:3])

    def auditable(self) -> OpennessRow:
        """The answer whether the model can be audited, from training data, methods and paper."""
        code = self._part("training_code")
        data = self._part("training_data")
        paper = self._part("paper")
        # training code shows all methods, a paper some of them
        how = code.answer
        if how == "no":
            how = paper.answer
            if how in ("yes", "partly"):
                how = "paper"
        methods = self._row("methods", f"methods-{how}")
        parts = (data, methods, paper)
        if self.spec.closed:
            answer = "closed"
        elif data.answer in ("no", "unknown"):
            answer = f"data-{data.answer}"
        else:
            # `unknown` where some may be published, and the others were
            answers = {part.answer for part in parts}
            answer = "partly"
            if answers == {"yes"}:
                answer = "all"
            elif answers == {"yes", "unknown"}:
                answer = "unknown"
        has = list(map(_with_state, parts))
        row = self._row("auditable", f"audit-{answer}", has=has)
        return row.replace(parts=parts)

    def _part(self, name: str) -> OpennessRow:
        """The answer whether one of _PARTS was published."""
        state: str = getattr(self.spec.openness, name)
        key = f"openness.{name}"
        source = None
        if state != "unknown":
            source = self._source_of(key)
        if name == "weights" and self.spec.files and unconfirmed(source):
            # a list of downloadable files proves publication better than an assumed classification
            source = self.spec.files[0].source
        why = self.spec.unknown.get(key, "not known")
        words = name.replace("_", " ")
        return self._row(words, f"part-{state}", source, why=why)

    def _safe_files(self) -> OpennessRow:
        """The answer whether the files are safe to load. GGUF and safetensors hold only numbers;
        where it is not known whether loading runs code, only formats that load without code count.
        """
        name = "safe files"
        table = _table()
        formats = self.spec.safety.formats
        remote_code = self.spec.safety.remote_code
        without_code = [format for format in formats if format in table.without_code]
        if remote_code:
            return self._row(name, "files-run-code")
        if formats and not without_code:
            return self._row(name, "files-pickle")
        kinds = table.loaded_without_code
        if remote_code is False:
            kinds = table.without_code
        safe = [format for format in without_code if format in kinds]
        if safe:
            has_pickle = "pickle" in formats
            listed = _listed(safe)
            return self._row(name, "files-safe", formats=listed, pickle=has_pickle)
        for files in self.spec.files:
            if files.format in kinds:
                listed = _listed([files.format])
                figures = {"formats": listed, "of": files.repository}
                return self._row(name, "files-converted", files.source, **figures)
        code = "files-code-unknown" if without_code else "files-unknown"
        return self._row(name, code, formats=_listed(without_code))

    # making the row of a code

    def _row(
        self,
        name: str,
        code: str,
        *stated: str | None,
        **figures: object,
    ) -> OpennessRow:
        """The row for a code, with the sources of the facts on which the answer rests. The answer
        is assumed where one of these facts is.

        `stated`: further sources, beside those of the keys that the code names. `figures` fill the
        reason.
        """
        answer, template, *keys = _table().row[code]
        sources: list[str] = []
        is_assumed = False
        stated_sources = list(stated)
        for key in keys:
            if key in _PARTS:
                part = self._part(key)
            elif key in PERMISSIONS:
                part = self.permission(key)
            else:
                stated_sources.append(self._source_of(key))
                continue
            sources += part.sources
            if part.assumed:
                is_assumed = True
        for source in stated_sources:
            if unconfirmed(source):
                is_assumed = True
            if source:
                sources.append(source)
        return OpennessRow(
            name=name,
            answer=answer,
            why=fill(template, self._figures() | figures),
            sources=tuple(dict.fromkeys(sources)),
            assumed=is_assumed and answer != "unknown",
        )

    def _source_of(self, key: str) -> str | None:
        """The source of a key, or of its table."""
        sources = self.spec.sources
        table = key.partition(".")[0]
        return sources.get(key) or sources.get(table)

    def _figures(self) -> dict[str, object]:
        """The values of a model that the reasons of all codes may be filled with."""
        spec = self.spec
        license = self.license.id or "its license"
        figures: dict[str, object] = {
            "license": short_license(license),
            "conditions": "; ".join(self.license.conditions),
            "repository": spec.repository,
            "doubt": spec.unknown.get("availability.retired"),
            "by": spec.upkeep.superseded_by,
            "note": spec.upkeep.note,
        }
        for field in Availability._fields:
            figures[field] = getattr(self.served, field, None)
        return figures


def _lacking(parts: Sequence[OpennessRow]) -> str:
    """The parts that are not published, or not known to be, as a clause; empty where all parts are
    published.
    """
    missing = []
    doubtful = []
    for part in parts:
        if part.answer == "no":
            missing.append(part.name)
        elif part.answer in ("partly", "unknown"):
            doubtful.append(_with_state(part))
    if missing:
        doubtful.insert(0, f"{_listed(missing)} not published")
    return ", ".join(doubtful)


def _with_state(part: OpennessRow) -> str:
    """The name of a part, and whether it is published."""
    state = _STATES.get(part.answer, "not known")
    return f"{part.name} {state}"


def _listed(names: Sequence[str]) -> str:
    """Formats and parts as a sentence lists them."""
    words = [_FORMAT_NAMES.get(name, name) for name in names]
    if len(words) < 2:
        return "".join(words)
    *others, last = words
    return f"{', '.join(others)} and {last}"


# license expressions


def canonical_expression(text: str) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license."""
    from packaging.licenses import (  # 8 ms, where a license is asked for
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    how = _table().how_to_write
    if len(text) > _LONGEST_EXPRESSION:
        raise WorkloadError.of("license", "is longer than any license expression", how)
    if "(" in text:
        raise WorkloadError.of("license", "has parentheses", how)
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        remedy = how
        guess = remedy_of_id(text)
        if guess.endswith("?"):
            remedy = f"{guess} Otherwise {how}"
        raise WorkloadError.of("license", str(error), remedy) from None


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one
    wanted choice whole.

    `Apache-2.0` satisfies `Apache-2.0 OR MIT`; `MIT AND CC-BY-4.0` does not satisfy `MIT`.
    """
    wanted_choices = _choices(wanted)
    acceptable = frozenset[str]().union(*wanted_choices)
    for choice in _choices(license_id):
        meets_one_whole = any(map(choice.issuperset, wanted_choices))
        if meets_one_whole and choice <= acceptable:
            return True
    return False


def _choices(expression: str) -> list[frozenset[str]]:
    """The sets of licenses of each choice in an expression: `A OR B AND C` is [{a}, {b, c}]. SPDX's
    marks for later versions are left out.
    """
    plain = re.sub(r"\+|-or-later|-only", "", expression.casefold())
    choices = []
    for choice in re.split(r"\s+or\s+", plain):
        licenses = re.split(r"\s+and\s+", choice)
        choices.append(frozenset(licenses))
    return choices


def remedy_of_id(text: str) -> str:
    """The remedy for a text that is not an SPDX expression: the id most likely meant, if one is
    found.
    """
    # rewrites `GPLv3` and `Apache 2.0 license` as SPDX ids
    typed = text.strip().lower()
    plain = re.sub(r"\s+licen[cs]e$", "", typed[:100])
    plain = re.sub(r"(?<=[a-z])(?:[\s-]*v|[\s-]+|(?<!v))(?=\d)|\s+", "-", plain)
    meant = _license_meant(plain)
    are_several = re.search(r"-(?:and|or|with)(?:-|$)", plain)
    if meant and not are_several:
        return f"did you mean {meant}?"
    return "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"


def _license_meant(plain: str) -> str | None:
    """The id of the license that has this name or begins with it, or the last version of the
    license of this name, or the id that is spelt nearly so; None where there is none.
    """
    from packaging.licenses import LICENSES  # type: ignore[attr-defined]

    ids = []
    for entry in LICENSES.values():
        if not entry["deprecated"]:
            ids.append(entry["id"])
    # reports show short names such as `Llama-3.1-Community`
    shown = {short_license(id).lower(): id for id in row_names("licenses")}
    begun = []
    versions = []
    for id in ids:
        if id.lower().startswith(plain):
            begun.append(id)
        name = re.sub(r"-\d+\.\d+(-only)?$", "", id.lower())
        if name != id.lower() and canonical(name) == canonical(plain):
            versions.append(id)
    if begun and re.search(r"\d", plain):
        return min(begun, key=len)
    if versions:
        return max(versions)
    guess = nearest(plain, [*ids, *shown])
    return shown.get(guess or "", guess)
