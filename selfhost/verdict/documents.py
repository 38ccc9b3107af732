"""How many documents are turned into vectors in a second: a prompt's work, bound by arithmetic."""

from __future__ import annotations

from ..catalogue.spec import Architecture
from ..machine.gpus import basis_of_share, picture_share, prompt_share
from ..machine.record import Machine
from .compute import FLOAT32_LONGER, Power, shares_on_cores
from .graphics import pace_of_device
from .ranges import Range, added, inverse, product
from .speed import MEASURED, PaceRange, Speed
from .step import launched_layers

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec

UNIT, UNIT_OF_PICTURES = "documents_per_second", "pictures_per_second"
DOCUMENT_TOKENS = 512
# of what a GPU of its class reaches on prompts of 7B in llama.cpp (`gpus.prompt_share`), what
# encoders reach there, whose matrices are smaller: Llama 1.1B 0.99 on an M5 (ggml-org/llama.cpp
# #16634); the slow end is a guess for large cards
_OF_PROMPTS = (0.4, 0.8, 1.0)
# and of what it reaches on pictures in PyTorch (`gpus.picture_share`), which such programs do of
# documents: bge-large with 449 tokens on an L4 0.26 in sentence-transformers, 0.87 in
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
_SAME = (1.0, 1.0, 1.0)


def pace_of_documents(
    machine: Machine,
    power: Power | None,
    architecture: Architecture | None,
    parameters: int | None,
    *,
    quantization: str,
    runtime: RuntimeSpec | None,
    picture_operations: int | None = None,
) -> Speed:
    """Documents of 512 tokens a second, one after the other; pictures of a model whose operations
    for one are known.
    """
    if power is None:
        return _unpaced("nothing tells how fast what it runs on computes")
    if architecture is None or parameters is None:
        return _of_unknown_shape(
            machine,
            power,
            parameters,
            picture_operations,
            quantization=quantization,
            runtime=runtime,
        )
    tokens, operations = tokens_and_operations(architecture, parameters)
    shares = shares_of_documents(machine, power, runtime, quantization)
    launched = _launched_seconds(machine, power, architecture)
    if runtime is not None and runtime.computes_with != MEASURED:
        launched /= _BATCH
    how = (
        f"on {power.how}; documents of {tokens} tokens, {operations / 1e9:,.0f} × 10^9 operations"
        " each; shorter ones go faster in proportion"
    )
    if power.device is not None:
        how += f"; {_basis(power.device.name, runtime)}"
    work = documents_a_second(power, operations, shares, launched)
    return Speed(work=work, prompt=_read_in(work, tokens), unit=UNIT, how=how)


def _read_in(documents: PaceRange, tokens: int) -> PaceRange:
    """Tokens read a second, of documents of so many."""
    low, likely, high = (tokens * each for each in documents.ends)
    return PaceRange(low=low, likely=likely, high=high)


def _basis(name: str, runtime: RuntimeSpec | None) -> str:
    """What the share of a GPU's peak rests on."""
    if runtime is not None and runtime.computes_with == MEASURED:
        (low, _, high), basis = _OF_PROMPTS, basis_of_share("prompt", name, "prompts")
    else:
        (low, _, high), basis = _OF_PICTURES, basis_of_share("picture", name, "pictures")
    return f"{basis}, and documents at {100 * low:g} to {100 * high:g} % of that"


def _of_unknown_shape(
    machine: Machine,
    power: Power,
    parameters: int | None,
    picture_operations: int | None,
    *,
    quantization: str,
    runtime: RuntimeSpec | None,
) -> Speed:
    """Of a model whose layers nobody wrote down: pictures by their operations, documents by the
    parameters.
    """
    operations, share, what, unit = picture_operations, _SAME, "one picture", UNIT_OF_PICTURES
    if operations is None:
        if parameters is None or parameters < _LEAST_PARAMETERS:
            return _unpaced("the shape of the model is not known")
        operations, share, unit = 2 * parameters * DOCUMENT_TOKENS, _NOT_IN_TABLES, UNIT
        what = f"{DOCUMENT_TOKENS} tokens, of which each meets {_PERCENT_MET} of the parameters"
    rates = product(shares_of_documents(machine, power, runtime, quantization), inverse(share))
    seconds = power.seconds(operations, rates)
    layers = launched_layers(None, runtime, quantization, parameters)
    if power.device is not None and layers is not None:
        pace = pace_of_device(power.device)
        slow, likely, fast = product(layers, pace.python_layer_seconds)
        seconds = added(seconds, (fast, likely, slow))
    low, likely, high = inverse(seconds)
    work = PaceRange(low=low, likely=likely, high=high)
    return Speed(
        work=work,
        prompt=_read_in(work, DOCUMENT_TOKENS) if unit == UNIT else None,
        unit=unit,
        how=f"on {power.how}; {operations / 1e9:,.0f} × 10^9 operations for {what}",
    )


def shares_of_documents(
    machine: Machine, power: Power, runtime: RuntimeSpec | None, quantization: str
) -> Range:
    """Of what the machine computes, what a program reaches on documents."""
    if power.device is None:
        return shares_on_cores(machine, runtime, quantization)
    if runtime is not None and runtime.computes_with == MEASURED:
        return product(prompt_share(power.device.name), _OF_PROMPTS)
    shares = product(picture_share(power.device.name), _OF_PICTURES)
    if quantization == "float32":
        return product(shares, inverse(FLOAT32_LONGER))
    return shares


def documents_a_second(
    power: Power, operations: float, shares: Range, launched_seconds: float = 0
) -> PaceRange:
    """Of documents that take so many operations each, launched in so many seconds."""
    launched = (launched_seconds, launched_seconds, launched_seconds)
    low, likely, high = inverse(added(power.seconds(operations, shares), launched))
    return PaceRange(low=low, likely=likely, high=high)


def tokens_and_operations(architecture: Architecture, parameters: int) -> tuple[int, float]:
    """How long a document is, and what it takes."""
    tokens = min(DOCUMENT_TOKENS, architecture.context_tokens or DOCUMENT_TOKENS)
    return tokens, document_operations(architecture, parameters, tokens)


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


def _launched_seconds(machine: Machine, power: Power, architecture: Architecture) -> float:
    """What launching the operations of all layers takes on a GPU; 0 on a processor."""
    if power.device is None:
        return 0.0
    pace = pace_of_device(power.device)
    return architecture.layers * pace.layer_seconds


def _unpaced(why: str) -> Speed:
    return Speed(unit=UNIT, how=why)
