"""Which modules of a model a quantizer left out, or made of another type: names and patterns of
a config.json beside the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ..catalogue.spec import TensorGroup
from ..core.records import Record
from .keys import short

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .stored import Stored


# what is never quantized, is no matrix of a block, or lies outside the language model
_NEVER = re.compile(
    r"vision|visual|image|audio|multi_modal|projector|embed|lm_head|output_layer|proj_out|norm|router|indexer|mtp|merger|conv"
    r"|shared_expert_gate|bias|(?:^|[.*])gate(?:$|[.*$])|in_proj_[ab]|[eh]norm|correction|score"
)
# beside the language model, whose layers may have the same names
ELSEWHERE = re.compile(
    r"vision|visual|image|audio|multi_modal|projector|merger|mtp|talker|code2wav|(?:^|\.)(?:vit\.|mm_)"
)
# wrappers before the layers, and one with each under which patterns look for names
_WRAPPERS = frozenset(
    {"model", "language_model", "text_model", "transformer", "backbone", "decoder", "base_model"}
)
_BEFORE = (
    "model.layers.",
    "model.language_model.layers.",
    "language_model.model.layers.",
    "backbone.layers.",
    "transformer.h.",
)
_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d{1,5}|\*)(?:\.|$)")
# what a pattern may have so that its time is bounded: no repeated groups, no look-around, few
# repeats
_ITEM = r"(?:\\[.\-_/dw]|[\w\-/]|\.|\[[\w\-^\\]+\])(?:[*+?]|\{\d\})?"
_PATTERN = re.compile(rf"\^?(?:{_ITEM}|\((?:\?:)?(?:{_ITEM})+(?:\|(?:{_ITEM})+)*\))*\$?")
_MAX_REPEATS = 4


class Rule(Record):
    """What quantization_config says of some modules: `type` is theirs, None where they stay as they
    were. `key` is where it stands.

    `way`, how the library that made the files compares `text` with a module's name: "part"
    (AutoAWQ: anywhere in it), "boundary" (transformers, should_convert_module of
    quantizers_utils.py: from the start up to the end of a part, or its end), "whole"
    (compressed-tensors, match_name of utils/match.py), "glob" (ModelOpt: `*` for anything), or
    "regex", from the start.
    """

    key: str
    text: str
    way: str = "part"
    type: str | None = None


def settled(stored: Stored, groups: Sequence[TensorGroup], plain: str) -> Stored:
    """`stored` with the types of single tensors, as its rules say of a model of these tensors; with
    `why` where one is not understood.

    `plain`: the type of what is not quantized.
    """
    if not stored.rules:
        return stored
    from ..needs.modules import modules_of
    from ..needs.packed import is_linear

    layers: dict[str, frozenset[int]] = {}
    for group in groups:
        if is_linear(group):
            layers[group.name] = layers.get(group.name, frozenset()) | frozenset(group.layers)
    head = next((group.name for group in groups if group.name == "output.weight"), None)
    paths = {name: tuple(tuple(path.split(".")) for path in modules_of(name)) for name in layers}
    count = 1 + max((layer for numbers in layers.values() for layer in numbers), default=-1)
    types: dict[tuple[str, int | None], str | None] = {}
    for rule in stored.rules:
        if ELSEWHERE.search(rule.text) and rule.way != "regex":
            continue
        named = _meant(rule, layers, paths, count)
        if named is None:
            return stored.unclear(f"{rule.key}: {short(rule.text)} is not understood")
        if not named and not _NEVER.search(rule.text):
            partly = rule.way in ("boundary", "whole") and _named(
                rule.text, layers, paths, count, way="part"
            )
            if not partly:
                return stored.unclear(
                    f"{rule.key}: {short(rule.text)} names no module of the model"
                )
            if rule.way == "boundary":
                why = (
                    "names no whole module: transformers leaves nothing out for it, and other"
                    " programs may"
                )
                return stored.unclear(f"{rule.key}: {short(rule.text)} {why}")
        if head is not None and _names_the_head(rule):
            types.setdefault((head, None), rule.type)
        for place in named:
            types.setdefault(place, rule.type)
    each: dict[str, dict[int | None, str]] = {}
    for name, numbers in layers.items():
        usual = (
            None
            if stored.chosen
            else (stored.experts if "_exps." in name else None) or stored.matrices
        )
        each[name] = {layer: types.get((name, layer), usual) or plain for layer in sorted(numbers)}
    experts = {
        type for name, of_layers in each.items() if "_exps." in name for type in of_layers.values()
    }
    left = [
        type
        for name, of_layers in each.items()
        if "_exps." not in name
        for type in of_layers.values()
    ]
    if experts == {stored.name} and 2 * left.count(plain) > len(left):
        # the experts are quantized, and little else
        stored = stored.replace(matrices=None, experts=stored.name)
    if head is not None:
        each[head] = {None: types.get((head, None)) or plain}
    apart: list[tuple[str, str]] = []
    for name, of_layers in each.items():
        usual = (
            plain
            if name == head
            else (stored.experts if "_exps." in name else None) or stored.matrices
        ) or plain
        odd = {layer: type for layer, type in of_layers.items() if type != usual}
        if len(odd) == len(of_layers) and len(set(odd.values())) == 1:
            apart.append((name, next(iter(odd.values()))))
        else:
            apart += ((name.replace("*", str(layer)), type) for layer, type in odd.items())
    return stored.replace(apart=tuple(apart), rules=())


_Named = set[tuple[str, "int | None"]]
_Paths = Mapping[str, tuple[tuple[str, ...], ...]]


def _meant(
    rule: Rule, layers: Mapping[str, frozenset[int]], paths: _Paths, count: int
) -> _Named | None:
    """Tensors, each with its layer, that a rule means; None where that is not followed."""
    if rule.way == "regex":
        return _fitting(_matcher(rule.text), layers, paths)
    if rule.way == "glob" and "*" in rule.text:
        return _fitting(_globbed(rule.text), layers, paths)
    return _named(
        rule.text, layers, paths, count, way="boundary" if rule.way == "glob" else rule.way
    )


def _named(
    text: str, layers: Mapping[str, frozenset[int]], paths: _Paths, count: int, *, way: str
) -> _Named | None:
    """The same of a name, or part of one; None where it means single experts."""
    text = text.removesuffix(".weight").removesuffix(".*").removeprefix("*.").strip(".")
    match = _LAYER.search(text)
    if match is None:
        inner = text.split(".")
        while inner and inner[0] in _WRAPPERS:
            inner = inner[1:]
        if way == "whole":
            # no layer is called so
            return set()
        return _with_segments(
            inner, None, layers, paths, "end" if way == "boundary" else "anywhere"
        )
    number = None if match[1] == "*" else int(match[1])
    if number is not None and number >= count:
        # a block that predicts more tokens
        return {("", number)}
    rest = text[match.end() :]
    return _with_segments(
        rest.split(".") if rest else [],
        number,
        layers,
        paths,
        "whole" if way == "whole" else "start",
    )


def _with_segments(
    inner: Sequence[str],
    number: int | None,
    layers: Mapping[str, frozenset[int]],
    paths: _Paths,
    where: str,
) -> _Named | None:
    """Tensors one of whose modules has `inner` for the parts of its name ("whole"), or for some of
    them: at the "start", at the "end" or "anywhere".
    """
    places: _Named = set()
    for name, fit in _fits(tuple(inner), tuple(paths.items()), where):
        if fit == "all":
            places |= {
                (name, layer)
                for layer in (layers[name] if number is None else layers[name] & {number})
            }
        elif number is None or number in layers[name]:
            return None
    return places


# the same name stands there for each layer
@lru_cache(maxsize=1024)
def _fits(
    inner: tuple[str, ...], paths: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...], where: str
) -> tuple[tuple[str, str], ...]:
    """Tensors that fit, each with `all`, or `one` where single experts do."""
    fitting = []
    for name, modules in paths:
        if inner:
            fits = [_fit(inner, module, where) for module in modules]
        else:
            fits = ["all"] if where != "whole" else []
        if "all" in fits or "one" in fits:
            fitting.append((name, "all" if "all" in fits else "one"))
    return tuple(fitting)


def _fit(inner: Sequence[str], module: Sequence[str], where: str) -> str:
    """`all` where the parts of a name are those of a module, `one` where they are of one
    expert, else nothing.
    """
    from fnmatch import fnmatchcase

    last = len(module) - len(inner)
    if last < 0 or (where == "whole" and last):
        return ""
    for start in {"anywhere": range(last + 1), "end": (last,)}.get(where, (0,)):
        pairs = list(zip(inner, module[start:], strict=False))
        if where == "end" and module[start].endswith(inner[0]):
            # the end of a name is one of its last part, too: "proj"
            pairs[0] = (inner[0], inner[0])
        if len(pairs) == len(inner) and all(
            fnmatchcase(own, part) or (own == "*" and part.isdecimal()) for part, own in pairs
        ):
            return "one" if any(part.isdecimal() for part, _ in pairs) else "all"
    return ""


@lru_cache(maxsize=256)
def _matcher(text: str) -> Callable[[str], object] | None:
    """What tells whether a name begins as the regular expression has it; None of one that might
    take long, or is none.
    """
    if (
        len(text) > 1000
        or _PATTERN.fullmatch(text) is None
        or len(re.findall(r"(?<!\\)[*+]", text)) > _MAX_REPEATS
    ):
        return None
    try:
        return re.compile(text).match
    except re.error:
        return None


@lru_cache(maxsize=1024)
def _globbed(text: str) -> Callable[[str], object] | None:
    """The same of a name with `*` for anything, which stands for what lies below it, too."""
    if len(text) > 1000 or text.count("*") > _MAX_REPEATS:
        return None
    return re.compile(".*".join(re.escape(part) for part in text.split("*")) + r"(?:\..*)?$").match


def _fitting(
    fits: Callable[[str], object] | None, layers: Mapping[str, frozenset[int]], paths: _Paths
) -> _Named | None:
    """Tensors with a module that fits; None where nothing tells, or single experts alone do."""
    if fits is None:
        return None
    places: _Named = set()
    for name, modules in paths.items():
        written = [".".join(module) for module in modules]
        for layer in layers[name]:
            seen = set()
            for module in written:
                for expert in ("0", "37") if "*" in module else ("",):
                    full = module.replace("*", expert)
                    seen.add((module, any(fits(f"{before}{layer}.{full}") for before in _BEFORE)))
            if any((module, True) in seen and (module, False) in seen for module in written):
                return None
            if any(fit for _, fit in seen):
                places.add((name, layer))
    return places


def _names_the_head(rule: Rule) -> bool:
    if rule.way == "regex" or (rule.way == "glob" and "*" in rule.text):
        fits = (_matcher if rule.way == "regex" else _globbed)(rule.text)
        return fits is not None and any(fits(name) for name in ("lm_head", "model.lm_head"))
    return rule.text.strip("*").rpartition(".")[2] == "lm_head"
