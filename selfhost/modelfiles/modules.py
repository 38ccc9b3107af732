"""Which modules of a model a quantizer left out, or made of another type: names and patterns of a config.json beside the tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ..facts import Record
from ..spec import TensorGroup
from .keys import short

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .stored import Stored


# what is never quantized, is no matrix of a block, or lies outside the language model
_NEVER = re.compile(
    r"vision|visual|image|audio|multi_modal|projector|embed|lm_head|output_layer|proj_out|norm|router|indexer|mtp|merger|conv"
    r"|shared_expert_gate|bias|(?:^|[.*])gate(?:$|[.*])|in_proj_[ab]|[eh]norm|correction|score"
)
# beside the language model, whose layers may have the same names
_ELSEWHERE = re.compile(r"vision|visual|image|audio|multi_modal|projector|merger|mtp|talker|code2wav|(?:^|\.)vit\.")
# wrappers before the layers, and one with each under which patterns look for names
_WRAPPERS = frozenset({"model", "language_model", "text_model", "transformer", "backbone", "decoder", "base_model"})
_BEFORE = ("model.layers.", "model.language_model.layers.", "language_model.model.layers.", "backbone.layers.", "transformer.h.")
_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d{1,5}|\*)(?:\.|$)")
# what a pattern may have so that its time is bounded: no repeated groups, no look-around, few repeats
_ITEM = r"(?:\\[.\-_/dw]|[\w\-/]|\.|\[[\w\-^\\]+\])(?:[*+?]|\{\d\})?"
_PATTERN = re.compile(rf"\^?(?:{_ITEM}|\((?:\?:)?(?:{_ITEM})+(?:\|(?:{_ITEM})+)*\))*\$?")
_MAX_REPEATS = 4


class Rule(Record):
    """What quantization_config says of some modules: `type` is theirs, None where they stay as they were. `key` is where it stands.

    `text` is a name or part of one, with `*` for anything, or a regular expression from the beginning of the name on.
    """

    key: str
    text: str
    pattern: bool = False
    type: str | None = None


def settled(stored: Stored, groups: Sequence[TensorGroup], plain: str) -> Stored:
    """`stored` with the types of single tensors, as its rules say of a model of these tensors; with `why` where one is not understood.

    `plain`: the type of what is not quantized.
    """
    if not stored.rules or stored.format == "mlx":
        return stored
    from ..needs.modules import modules_of
    from ..needs.packed import is_linear

    layers: dict[str, frozenset[int]] = {}
    for group in groups:
        if is_linear(group):
            layers[group.name] = layers.get(group.name, frozenset()) | frozenset(group.layers)
    head = next((group.name for group in groups if group.name == "output.weight"), None)
    paths = {name: tuple(tuple(path.split(".")) for path in modules_of(name)) for name in layers}
    count = 1 + max((layer for found in layers.values() for layer in found), default=-1)
    types: dict[tuple[str, int | None], str | None] = {}
    for rule in stored.rules:
        if _ELSEWHERE.search(rule.text) and not rule.pattern:
            continue
        named = _named_by_pattern(rule.text, layers, paths) if rule.pattern else _named(rule.text, layers, paths, count)
        if named is None:
            return stored.unclear(f"{rule.key}: {short(rule.text)} is not understood")
        if not named and not _NEVER.search(rule.text):
            return stored.unclear(f"{rule.key}: {short(rule.text)} names no module of the model")
        if head is not None and _names_the_head(rule):
            types.setdefault((head, None), rule.type)
        for place in named:
            types.setdefault(place, rule.type)
    each: dict[str, dict[int | None, str]] = {}
    for name, found in layers.items():
        usual = None if stored.chosen else (stored.experts if "_exps." in name else None) or stored.matrices
        each[name] = {layer: types.get((name, layer), usual) or plain for layer in sorted(found)}
    experts = {type for name, of_layers in each.items() if "_exps." in name for type in of_layers.values()}
    left = [type for name, of_layers in each.items() if "_exps." not in name for type in of_layers.values()]
    if experts == {stored.name} and 2 * left.count(plain) > len(left):
        # the experts are quantized, and little else
        stored = stored.replace(matrices=None, experts=stored.name)
    if head is not None:
        each[head] = {None: types.get((head, None)) or plain}
    apart: list[tuple[str, str]] = []
    for name, of_layers in each.items():
        usual = (plain if name == head else (stored.experts if "_exps." in name else None) or stored.matrices) or plain
        odd = {layer: type for layer, type in of_layers.items() if type != usual}
        if len(odd) == len(of_layers) and len(set(odd.values())) == 1:
            apart.append((name, next(iter(odd.values()))))
        else:
            apart += ((name.replace("*", str(layer)), type) for layer, type in odd.items())
    return stored.replace(apart=tuple(apart), rules=())


_Named = set[tuple[str, "int | None"]]
_Paths = Mapping[str, tuple[tuple[str, ...], ...]]


def _named(text: str, layers: Mapping[str, frozenset[int]], paths: _Paths, count: int) -> _Named | None:
    """Tensors, each with its layer, that a name means, or the part of one that all of them have; None where it means single experts."""
    text = text.removesuffix(".weight").removesuffix(".*").removeprefix("*.").strip(".")
    found = _LAYER.search(text)
    if found is None:
        inner = text.split(".")
        while inner and inner[0] in _WRAPPERS:
            inner = inner[1:]
        return _with_segments(inner, None, layers, paths, anywhere=True)
    number = None if found[1] == "*" else int(found[1])
    if number is not None and number >= count:
        # a block that predicts more tokens
        return {("", number)}
    rest = text[found.end() :]
    return _with_segments(rest.split(".") if rest else [], number, layers, paths, anywhere=False)


def _with_segments(
    inner: Sequence[str],
    number: int | None,
    layers: Mapping[str, frozenset[int]],
    paths: _Paths,
    *,
    anywhere: bool,
) -> _Named | None:
    """Tensors one of whose modules has `inner` among the parts of its name, at the beginning unless `anywhere`."""
    found: _Named = set()
    for name, fit in _fits(tuple(inner), tuple(paths.items()), anywhere):
        if fit == "all":
            found |= {(name, layer) for layer in (layers[name] if number is None else layers[name] & {number})}
        elif number is None or number in layers[name]:
            return None
    return found


# the same name stands there for each layer
@lru_cache(maxsize=1024)
def _fits(
    inner: tuple[str, ...], paths: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...], anywhere: bool
) -> tuple[tuple[str, str], ...]:
    """Tensors that fit, each with `all`, or `one` where single experts do."""
    made = []
    for name, modules in paths:
        fits = [_fit(inner, module, anywhere=anywhere) for module in modules] if inner else ["all"]
        if "all" in fits or "one" in fits:
            made.append((name, "all" if "all" in fits else "one"))
    return tuple(made)


def _fit(inner: Sequence[str], module: Sequence[str], *, anywhere: bool) -> str:
    """`all` where the parts of a name are those of a module, `one` where they are of one expert, else nothing."""
    from fnmatch import fnmatchcase

    for start in range(len(module) if anywhere else 1):
        pairs = list(zip(inner, module[start:], strict=False))
        if len(pairs) == len(inner) and all(fnmatchcase(own, part) or (own == "*" and part.isdecimal()) for part, own in pairs):
            return "one" if any(part.isdecimal() for part, _ in pairs) else "all"
    return ""


@lru_cache(maxsize=256)
def _matcher(text: str) -> Callable[[str], object] | None:
    """What tells whether a name begins as the regular expression has it; None of one that might take long, or is none."""
    if len(text) > 1000 or _PATTERN.fullmatch(text) is None or len(re.findall(r"(?<!\\)[*+]", text)) > _MAX_REPEATS:
        return None
    try:
        return re.compile(text).match
    except re.error:
        return None


def _named_by_pattern(text: str, layers: Mapping[str, frozenset[int]], paths: _Paths) -> _Named | None:
    """The same of a regular expression; None for one that is not followed, or means single experts."""
    fits = _matcher(text)
    if fits is None:
        return None
    found: _Named = set()
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
                found.add((name, layer))
    return found


def _names_the_head(rule: Rule) -> bool:
    if rule.pattern:
        fits = _matcher(rule.text)
        return fits is not None and any(fits(name) for name in ("lm_head", "model.lm_head"))
    return rule.text.strip("*").rpartition(".")[2] == "lm_head"
