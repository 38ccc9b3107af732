"""Which modules of a model a quantizer left out, or stored in another type: the names and patterns
of a `config.json` are held against the tensors of the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """What quantization_config says of some modules. `type` is theirs, None where they stay as they
    were; `key` is where the rule stands.

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


class _Matrices:
    """What rules may name: the linear layers of a model.

    `layers` has the layers of each tensor, and `paths` the modules that it is made of, as the parts
    of their names. `count` is that of all layers; `head` is the output matrix where the model has
    one of its own.
    """

    def __init__(self, groups: Sequence[TensorGroup]) -> None:
        from ..needs.modules import modules_of
        from ..needs.packed import is_linear

        self.layers = layers_by_tensor(group for group in groups if is_linear(group))
        self.paths: _Paths = tuple(
            (name, tuple(tuple(path.split(".")) for path in modules_of(name)))
            for name in self.layers
        )
        numbers = (number for numbers in self.layers.values() for number in numbers)
        self.count = 1 + max(numbers, default=-1)
        names = (group.name for group in groups)
        self.head = "output.weight" if "output.weight" in names else None


_Named = set[tuple[str, "int | None"]]
_Paths = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def settled(stored: Stored, groups: Sequence[TensorGroup], plain: str) -> Stored:
    """`stored` with the type of each tensor that its rules name, in a model of these tensors; with
    `why` where a rule is not understood. `plain` is the type of what is not quantized.
    """
    if not stored.rules:
        return stored
    matrices = _Matrices(groups)
    types: dict[tuple[str, int | None], str | None] = {}
    for rule in stored.rules:
        if ELSEWHERE.search(rule.text) and rule.way != "regex":
            continue
        named = _meant(rule, matrices)
        why = _fault(rule, named, matrices)
        if named is None or why is not None:
            return stored.unclear(f"{rule.key}: {short(rule.text)} {why}")
        if matrices.head is not None and _names_the_head(rule):
            types.setdefault((matrices.head, None), rule.type)
        for place in named:
            types.setdefault(place, rule.type)
    return _with_types(stored, matrices, types, plain)


def _fault(rule: Rule, named: _Named | None, matrices: _Matrices) -> str | None:
    """What is wrong with a rule that means the tensors `named`; None where it is followed."""
    if named is None:
        return "is not understood"
    if named or _NEVER.search(rule.text):
        return None
    if rule.way not in ("boundary", "whole") or not _named(rule.text, matrices, way="part"):
        return "names no module of the model"
    if rule.way == "whole":
        return None
    return "names no whole module: transformers leaves nothing out for it, and other programs may"


def _with_types(
    stored: Stored,
    matrices: _Matrices,
    types: Mapping[tuple[str, int | None], str | None],
    plain: str,
) -> Stored:
    """`stored` with the tensors `apart` whose type, in `types`, is not that of their kind."""
    by_tensor: dict[str, dict[int | None, str]] = {}
    for name, numbers in matrices.layers.items():
        usual = None if stored.chosen else _usual_type(stored, name)
        by_tensor[name] = {
            layer: types.get((name, layer), usual) or plain for layer in sorted(numbers)
        }
    if _experts_alone(stored, by_tensor, plain):
        stored = stored.replace(matrices=None, experts=stored.name)
    apart: list[tuple[str, str]] = []
    for name, of_layers in by_tensor.items():
        usual = _usual_type(stored, name) or plain
        odd = {layer: type for layer, type in of_layers.items() if type != usual}
        apart += by_name(name, odd, len(of_layers))
    if matrices.head is not None:
        head_type = types.get((matrices.head, None)) or plain
        if head_type != plain:
            apart.append((matrices.head, head_type))
    return stored.replace(apart=tuple(apart), rules=())


def _usual_type(stored: Stored, name: str) -> str | None:
    return (stored.experts if "_exps." in name else None) or stored.matrices


def _experts_alone(
    stored: Stored, by_tensor: Mapping[str, Mapping[int | None, str]], plain: str
) -> bool:
    """Whether the experts are quantized, and little else."""
    experts = {
        type
        for name, of_layers in by_tensor.items()
        if "_exps." in name
        for type in of_layers.values()
    }
    others = [
        type
        for name, of_layers in by_tensor.items()
        if "_exps." not in name
        for type in of_layers.values()
    ]
    return experts == {stored.name} and 2 * others.count(plain) > len(others)


def layers_by_tensor(groups: Iterable[TensorGroup]) -> dict[str, frozenset[int]]:
    """The layers that have a tensor of each name."""
    layers: dict[str, frozenset[int]] = {}
    for group in groups:
        layers[group.name] = layers.get(group.name, frozenset()) | frozenset(group.layers)
    return layers


def by_name(name: str, types: Mapping[int | None, str], count: int) -> list[tuple[str, str]]:
    """The types that some layers of a tensor have, under its name: once where all `count` layers
    have the same, else for each layer.
    """
    if len(types) == count and len(set(types.values())) == 1:
        return [(name, next(iter(types.values())))]
    return [
        (name.replace("*", str(layer)), type)
        for layer, type in sorted(types.items(), key=lambda item: item[0] or 0)
    ]


def _meant(rule: Rule, matrices: _Matrices) -> _Named | None:
    """Tensors, each with its layer, that a rule means; None where that is not understood."""
    if rule.way == "regex":
        return _fitting(_matcher(rule.text), matrices)
    if rule.way == "glob" and "*" in rule.text:
        return _fitting(_globbed(rule.text), matrices)
    return _named(rule.text, matrices, way="boundary" if rule.way == "glob" else rule.way)


def _named(text: str, matrices: _Matrices, *, way: str) -> _Named | None:
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
        return _with_segments(inner, None, matrices, "end" if way == "boundary" else "anywhere")
    number = None if match[1] == "*" else int(match[1])
    if number is not None and number >= matrices.count:
        # a block that predicts more tokens
        return {("", number)}
    rest = text[match.end() :]
    where = "whole" if way == "whole" else "start"
    return _with_segments(rest.split(".") if rest else [], number, matrices, where)


def _with_segments(
    inner: Sequence[str], number: int | None, matrices: _Matrices, where: str
) -> _Named | None:
    """Tensors one of whose modules has `inner` for the parts of its name ("whole"), or for some of
    them: at the "start", at the "end" or "anywhere". `number` is the layer, None for all.
    """
    places: _Named = set()
    for name, fit in _fits(tuple(inner), matrices.paths, where):
        layers = matrices.layers[name]
        if fit == "all":
            places |= {(name, layer) for layer in (layers if number is None else layers & {number})}
        elif number is None or number in layers:
            return None
    return places


# a list names the same module once for each layer
@lru_cache(maxsize=1024)
def _fits(inner: tuple[str, ...], paths: _Paths, where: str) -> tuple[tuple[str, str], ...]:
    """Tensors that fit, each with `all`, or with `one` where only single experts fit."""
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
    """A test whether a name begins as the regular expression says; None where the expression is
    faulty or might take long.
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
    """The same for a name with `*` for anything, which stands for the modules below it, too."""
    if len(text) > 1000 or text.count("*") > _MAX_REPEATS:
        return None
    return re.compile(".*".join(re.escape(part) for part in text.split("*")) + r"(?:\..*)?$").match


def _fitting(fits: Callable[[str], object] | None, matrices: _Matrices) -> _Named | None:
    """Tensors with a module that `fits`; None where it is None, or fits only single experts."""
    if fits is None:
        return None
    places: _Named = set()
    for name, modules in matrices.paths:
        written = [".".join(module) for module in modules]
        for layer in matrices.layers[name]:
            per_module = [_fits_in_layer(fits, layer, module) for module in written]
            if {True, False} in per_module:
                return None
            if {True} in per_module:
                places.add((name, layer))
    return places


def _fits_in_layer(fits: Callable[[str], object], layer: int, module: str) -> set[bool]:
    """Whether a module of a layer fits under any wrapper; both answers where single experts do."""
    experts = ("0", "37") if "*" in module else ("",)
    names = (f"{layer}.{module.replace('*', expert)}" for expert in experts)
    return {any(fits(before + name) for before in _BEFORE) for name in names}


def _names_the_head(rule: Rule) -> bool:
    if rule.way == "regex" or (rule.way == "glob" and "*" in rule.text):
        fits = (_matcher if rule.way == "regex" else _globbed)(rule.text)
        return fits is not None and any(fits(name) for name in ("lm_head", "model.lm_head"))
    return rule.text.strip("*").rpartition(".")[2] == "lm_head"
