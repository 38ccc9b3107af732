"""How many documents are turned into vectors in a second: a prompt's work, bound by arithmetic."""

from __future__ import annotations

from ...catalogue.spec import Architecture, ModelSpec
from ...machine.gpus import basis_of_share, share_of
from ...machine.record import Machine
from ..ranges import Range, added, inverse, product
from .compute import FLOAT32_LONGER, SAME, Power, shares_on_cores, unpaced
from .graphics import pace_of_device
from .speed import MEASURED, PaceRange, Speed
from .step import launched_layers

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

UNIT, UNIT_OF_PICTURES = "documents_per_second", "pictures_per_second"
DOCUMENT_TOKENS = 512
# of what a GPU of its class reaches on prompts of 7B in llama.cpp (`prompt`), what encoders reach
# there, whose matrices are smaller: Llama 1.1B 0.99 on an M5 (ggml-org/llama.cpp#16634); the slow
# end is a guess for large cards
_OF_PROMPTS = (0.4, 0.8, 1.0)
# and of what it reaches on pictures in PyTorch (`picture`), which such programs do of documents:
# bge-large with 449 tokens on an L4 0.26 in sentence-transformers, 0.87 in
# text-embeddings-inference; 1.05 on an MI210, in no fit (tests/truth/speed_documents.json). The
# ends are a little beyond
_OF_PICTURES = (0.25, 0.75, 1.1)
# documents that sentence-transformers computes at once (encode, batch_size), for which operations
# are launched once; others wait for as many requests or more
_BATCH = 32
# of the parameters those that a token meets, where the table of words is not told from the rest:
# least, likely, most. Of the catalogue 0.34 (multilingual E5 base) to 1 (7B and more); and below so
# many a model may be a table alone
_NOT_IN_TABLES, _PERCENT_MET, _LEAST_PARAMETERS = (0.35, 0.75, 1.0), "35 to 100 %", 20_000_000


def _launched(power: Power, layers: Range | None) -> Range | None:
    """Seconds that launching these layers takes, fast end first; None on a processor."""
    if power.device is None or layers is None:
        return None
    slow, likely, fast = product(layers, pace_of_device(power.device).python_layer_seconds)
    return fast, likely, slow


def pace_of_documents(
    machine: Machine,
    power: Power | None,
    spec: ModelSpec,
    *,
    quantization: str,
    runtime: RuntimeSpec | None,
) -> Speed:
    """Documents of 512 tokens a second, one after the other; pictures of a model whose operations
    for one are known, and whose layers nobody wrote down.
    """
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", UNIT)
    architecture, parameters = spec.architecture, spec.parameters.active
    shares = shares_of_documents(machine, power, runtime, quantization)
    is_measured = runtime is not None and runtime.computes_with == MEASURED
    tokens, unit, met, launched = DOCUMENT_TOKENS, UNIT, SAME, (0.0, 0.0, 0.0)
    if architecture is not None and parameters is not None:
        tokens = min(tokens, architecture.context_tokens or tokens)
        operations = document_operations(architecture, parameters, tokens)
        what = (
            f"documents of {tokens} tokens, {operations / 1e9:,.0f} × 10^9 operations"
            " each; shorter ones go faster in proportion"
        )
        if power.device is not None:
            layer_seconds = pace_of_device(power.device).layer_seconds
            each = architecture.layers * layer_seconds / (1 if is_measured else _BATCH)
            launched = each, each, each
            what += f"; {_basis(power.device.name, is_measured)}"
    elif spec.picture_operations is not None:
        operations, unit = float(spec.picture_operations), UNIT_OF_PICTURES
        what = f"{operations / 1e9:,.0f} × 10^9 operations for one picture"
    elif parameters is not None and parameters >= _LEAST_PARAMETERS:
        operations, met = 2.0 * parameters * tokens, _NOT_IN_TABLES
        what = (
            f"{operations / 1e9:,.0f} × 10^9 operations for {tokens} tokens, of which each meets"
            f" {_PERCENT_MET} of the parameters"
        )
    else:
        return unpaced("the shape of the model is not known", UNIT)
    if architecture is None:
        layers = launched_layers(None, runtime, quantization, parameters)
        launched = _launched(power, layers) or launched
    work = documents_a_second(power, operations, product(shares, inverse(met)), launched)
    low, likely, high = (tokens * each for each in work.ends)
    prompt = PaceRange(low=low, likely=likely, high=high) if unit == UNIT else None
    return Speed(work=work, prompt=prompt, unit=unit, how=f"on {power.how}; {what}")


def _basis(name: str, is_measured: bool) -> str:
    """What the share of a GPU's peak rests on."""
    if is_measured:
        (low, _, high), basis = _OF_PROMPTS, basis_of_share("prompt", name, "prompts")
    else:
        (low, _, high), basis = _OF_PICTURES, basis_of_share("picture", name, "pictures")
    return f"{basis}, and documents at {100 * low:g} to {100 * high:g} % of that"


def shares_of_documents(
    machine: Machine, power: Power, runtime: RuntimeSpec | None, quantization: str
) -> Range:
    """Of what the machine computes, what a program reaches on documents."""
    if power.device is None:
        return shares_on_cores(machine, runtime, quantization)
    if runtime is not None and runtime.computes_with == MEASURED:
        return product(share_of("prompt", power.device.name), _OF_PROMPTS)
    shares = product(share_of("picture", power.device.name), _OF_PICTURES)
    return product(shares, inverse(FLOAT32_LONGER)) if quantization == "float32" else shares


def documents_a_second(
    power: Power, operations: float, shares: Range, launched: Range = (0.0, 0.0, 0.0)
) -> PaceRange:
    """Of documents that take so many operations each, launched in so many seconds."""
    low, likely, high = inverse(added(power.seconds(operations, shares), launched))
    return PaceRange(low=low, likely=likely, high=high)


def document_operations(architecture: Architecture, parameters: int, tokens: int) -> float:
    """Two for each parameter that a token meets, and attention of all tokens to all."""
    width = architecture.embedding_length
    tables = (architecture.vocabulary or 0) + (architecture.positions or 0)
    met = max(0, parameters - tables * width)
    attention = sum(
        2 * tokens * group.heads * (group.key_length + group.value_length) * len(group.layers)
        for group in architecture.attention
    )
    return float(tokens * (2 * met + attention))
