"""One step of decoding: the bytes that it reads, the layers that it launches, and what a token of a
prompt meets in the same model.

`step_of` takes the model, the program and the complete workload. `decoding` and `layout` turn the
step into seconds on a machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from ... import needs as need
from ...catalogue.architecture import Architecture, Attention
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...core.records import FrozenDict, Record
from ...core.workload import Workload
from ...machine.record import Accelerator
from ...needs.quantization import BLOCKS
from ...needs.tensors import has_delta_rule, state_of, window_of
from ...needs.weight_files import bits_in_mlx
from .ranges import Amount
from .tables import pace_tables

# types whose values are stored as they are computed with, or that GPUs convert in hardware
PLAIN_TYPES = frozenset((
    "F32", "F16", "BF16", "float32", "float16", "bfloat16", "fp8", "float8_e4m3",
    "float8_e4m3_128x128", "int8", "w8a8",
))  # fmt: skip
# the FP8 types among them, which GPUs with FP8 units multiply twice as fast as 16 bits
_FP8_TYPES = frozenset(("fp8", "float8_e4m3", "float8_e4m3_128x128"))
_SIXTEEN_BITS = frozenset({"F16", "BF16", "float16", "bfloat16"})
# types of safetensors files by their names in GGUF
_IN_GGUF = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
# matrices of an expert in most architectures: gate, up and down; and without a gate
_GATED_MATRICES = 3
_UNGATED_MATRICES = 2
# bytes of a parameter, by the type of the weights
_TYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# the fewest, usual and most hundredths of the layers that are launched for a token, where the rule
# of the type states none
_ALL_LAUNCHED = (100, 100, 100)
# of a parameter in the 16 bits to which experts are unpacked
_UNPACKED_BYTES = 2
# the program whose runs were measured: its rules hold for programs that compute with its code
MEASURED_PROGRAM = "llama.cpp"
# names of rows: a program that launches layer by layer from Python, and one that replays a step as
# one graph of its own kernels
PYTHON = "python"
GRAPH = "graph"
# the context at which people compare paces: a question and its answer
SHORT_CHAT_TOKENS = 256
# a step reads the state of a recurrent layer and writes it anew, in numbers of 32 bits
_READ_AND_WRITTEN = 2
_STATE_NUMBER_BYTES = 4
_AS_READ = Amount.of(1)


class ReadContext(Record):
    """The part of a step that reads the context: the bytes of the cache and of recurrent states,
    and the seconds in which one core attends to the cache.
    """

    cached_bytes: float
    core_seconds: float


class Step(Record):
    """A decoding step: the bytes that it reads and the work that it launches.

    - `read_bytes`: the bytes of weights that are read, by stored type. `parameters`: the number of
      these parameters.
    - `other_program`: the id of a runtime that does not compute with llama.cpp's code; None for a
      runtime that does. `replays`: the runtime replays a graph of its own kernels. `is_eager`: the
      runtime is started without graphs, so that Python launches these kernels one by one.
    - `by_recipe`: the bytes that the step may read, as shares of `read_bytes`, where nobody told by
      which recipe the files were packed.
    - `backend`: the library that computes on the GPU, such as "SYCL"; None where it is not told.
      `backend_on_intel`: the one that the runtime then uses on Intel's GPUs, if its builds agree.
    - `launched_layers`: where Python launches the operations, the number of layers of a dense model
      in 16 bits that take as long to launch; None elsewhere.
    - `depth_tokens`: the tokens in the context before the step. `prompt_tokens`: the part of them
      that is the prompt.
    - `unpacks_experts`: the step unpacks all experts of a mixture to 16 bits.

    Without an `architecture` neither layers nor context count.
    """

    architecture: Architecture | None
    unpacks_experts: bool = False
    read_bytes: Mapping[str, int]
    by_recipe: Amount = _AS_READ
    parameters: int | None = None
    expert_matrices: int = _GATED_MATRICES
    replays: bool = False
    is_eager: bool = False
    launched_layers: Amount | None = None
    depth_tokens: float = 0
    prompt_tokens: int = 0
    cached_number_bytes: int = 2
    other_program: str | None = None
    backend: str | None = None
    backend_on_intel: str | None = None

    @property
    def layers(self) -> int:
        """The number of the model's layers; 0 where it is not known."""
        if self.architecture is None:
            return 0
        return self.architecture.layers

    @property
    def has_experts(self) -> bool:
        """Whether each token chooses some of the experts."""
        if self.architecture is None:
            return False
        return self.architecture.has_experts

    def backend_on(self, device: Accelerator) -> str | None:
        """The library that computes on GPUs of the device's maker; None where it is not told."""
        if self.backend is None and device.vendor.lower() == "intel":
            return self.backend_on_intel
        return self.backend

    @property
    def program_of_rows(self) -> str:
        """The program as rows of `specs/common/pace.toml` name it: by how it launches the step
        (`PYTHON`, `GRAPH`), else the id of the runtime. "" for a runtime with llama.cpp's code.
        """
        if self.launched_layers is not None:
            return PYTHON
        if self.replays and self.layers:
            return GRAPH
        return self.other_program or ""

    @cached_property
    def weights_bytes(self) -> int:
        """The bytes of all weights that the step reads."""
        return sum(self.read_bytes.values())

    def with_weights(self, share: float) -> Step:
        """The step with that share of the bytes of weights."""
        read_bytes = {}
        for name, size in self.read_bytes.items():
            read_bytes[name] = int(size * share)
        return self.replace(read_bytes=read_bytes)

    @cached_property
    def packed_bytes_by_type(self) -> dict[str, int]:
        """The bytes of the weights that are unpacked before they are computed with, by type."""
        return {
            name: size
            for name, size in self.read_bytes.items()
            if name not in PLAIN_TYPES
        }

    @property
    def packed_bytes(self) -> int:
        """The bytes of all weights that are unpacked before they are computed with."""
        return sum(self.packed_bytes_by_type.values())

    @property
    def is_in_fp8(self) -> bool:
        """Whether all weights that the step reads are in FP8; True where it reads none."""
        return self.read_bytes.keys() <= _FP8_TYPES

    @property
    def is_in_fp4(self) -> bool:
        """Whether weights that the step reads are in NVFP4; those beside them have 8 or 16 bits."""
        return "nvfp4" in self.read_bytes

    @cached_property
    def experts(self) -> ExpertParameters:
        """The routed experts of the step's model."""
        return expert_parameters(self.architecture, self.expert_matrices)

    @cached_property
    def expert_bytes(self) -> float:
        """The bytes of the routed experts that the step reads; 0 for other models.

        Experts are no wider than the weights beside them: of files with types of 16 bits among
        others they have the others.
        """
        if not self.has_experts or not self.parameters or not self.experts.used:
            return 0.0
        in_16_bits = 0
        for name, size in self.read_bytes.items():
            if name in _SIXTEEN_BITS:
                in_16_bits += size
        size = self.weights_bytes - in_16_bits
        parameters = self.parameters - in_16_bits / 2
        if not size:
            return self.weights_bytes * min(1.0, self.experts.used / self.parameters)
        return size * min(1.0, self.experts.used / parameters)

    def layers_by_blocks(self) -> float:
        """The number of layers as a device launches them.

        A layer that only mixes tokens, or only has a feed-forward network, counts as half of a
        layer that does both (Nemotron-H, Mamba).
        """
        architecture = self.architecture
        if architecture is None or not self.layers:
            return self.layers
        groups = (
            *architecture.attention,
            *architecture.recurrent,
            *architecture.feed_forward,
        )
        blocks = sum(len(group.layers) for group in groups)
        return min(self.layers, blocks / 2)

    @cached_property
    def state_numbers(self) -> int:
        """The numbers of recurrent states that the step reads and writes anew, whatever stands in
        the context.

        llama.cpp copies a state twice more, but what it has just read lies in a cache.
        """
        architecture = self.architecture
        if architecture is None:
            return 0
        numbers = 0
        for group in architecture.recurrent:
            numbers += len(group.layers) * state_of(group, architecture).memory
        return numbers

    @property
    def has_streams(self) -> bool:
        """Whether each layer reads and writes several residual streams."""
        return self.architecture is not None and bool(self.architecture.altup_inputs)

    @property
    def layers_beside_experts(self) -> int:
        """The number of layers in which a network beside the experts computes every token."""
        if self.architecture is None:
            return 0
        layers = 0
        for group in self.architecture.feed_forward:
            if group.experts and (group.shared_length or group.beside_dense):
                layers += len(group.layers)
        return layers

    @property
    def _has_delta_rule(self) -> bool:
        """Whether some layers have a delta rule."""
        if self.architecture is None:
            return False
        return any(has_delta_rule(group) for group in self.architecture.recurrent)

    @cached_property
    def context(self) -> ReadContext:
        """The part of the context that the step reads, and the seconds in which one core attends to
        it.
        """
        if self.architecture is None:
            return ReadContext(cached_bytes=0.0, core_seconds=0.0)
        cached_bytes = float(
            _READ_AND_WRITTEN * _STATE_NUMBER_BYTES * self.state_numbers
        )
        core_seconds = 0.0
        # measured states without a delta rule (Mamba-2) take no time beside reading them
        if self._has_delta_rule:
            number_seconds = pace_tables().step.state_number_seconds
            core_seconds = self.state_numbers * number_seconds
        for group in self.architecture.attention:
            window = self._window_of(group)
            rows = min(self.depth_tokens, window or self.depth_tokens)
            rows *= len(group.layers)
            cached_bytes += self.cached_number_bytes * rows * _numbers_of_row(group)
            if group.kind != "cross":
                core_seconds += rows * group.heads * _row_seconds(group)
        return ReadContext(cached_bytes=cached_bytes, core_seconds=core_seconds)

    def _window_of(self, group: Attention) -> int | None:
        """The tokens to which these layers attend at most; None for all. llama.cpp ignores the
        window of some models: there each step reads every token that the cache keeps.
        """
        if self.architecture is None or self.other_program is not None:
            return group.window_tokens
        return window_of(self.architecture, group)

    # -------------------------------------------------------------- a prompt

    def parameters_met(self) -> dict[str, float]:
        """The number of parameters that multiply a token of a prompt, by the type in which they are
        multiplied.

        The output matrix is left out. {} where the numbers cannot be told.
        """
        architecture = self.architecture
        if architecture is None or architecture.vocabulary is None:
            return {}
        table = architecture.vocabulary * architecture.embedding_length
        looked_up = 0 if architecture.tied_embeddings else table
        met: dict[str, float] = {}
        for name, size in self._multiplied_bytes(looked_up).items():
            values, block_bytes = _block_of(name)
            if not block_bytes:
                return {}
            # norms, biases and routers stay in F32: too few to count
            if name != "F32":
                met[name] = values * size / block_bytes
        if met and architecture.output_matrix:
            holder = _holder_of_output(met, table)
            met[holder] = max(0.0, met[holder] - table)
        return met

    def _multiplied_bytes(self, looked_up: int) -> Mapping[str, int]:
        """The bytes of weights by the type in which they are multiplied.

        `looked_up` is the number of parameters in an embedding table that only gives a row for each
        token, and multiplies nothing.
        """
        read = {}
        for name, size in self.read_bytes.items():
            read[_IN_GGUF.get(name, name)] = size
        if not self.replays or self.parameters is None or read.keys() <= BLOCKS.keys():
            return read
        # programs such as vLLM unpack weights to 16 bits before they multiply (Marlin kernels)
        return {"BF16": 2 * (self.parameters - looked_up)}

    def batch_tokens(self, most: int) -> int:
        """Tokens of a prompt that are computed at once, by a program that computes no more than
        that: from Python all of them.
        """
        if not self.prompt_tokens:
            return most
        if self.program_of_rows == PYTHON:
            return self.prompt_tokens
        return min(most, self.prompt_tokens)

    def all_weights_bytes(self) -> float:
        """The bytes of the weights that a batch of a prompt reads: for a mixture those of every
        expert.
        """
        experts = self.experts
        if not self.expert_bytes:
            return self.weights_bytes
        unused = experts.all / experts.used - 1
        return self.weights_bytes + self.expert_bytes * unused

    def unpacking_bytes(self) -> float:
        """The bytes that are read and written where the step unpacks all experts to 16 bits; 0
        where it does not.
        """
        if not self.unpacks_experts or not self.expert_bytes:
            return 0.0
        packed = self.expert_bytes / self.experts.used
        return self.experts.all * (packed + _UNPACKED_BYTES)

    def attended(self) -> float:
        """The operations of attention for a token of the prompt. On average half of the prompt
        stands before the token.
        """
        if self.architecture is None:
            return 0.0
        tokens = self.prompt_tokens / 2
        # PyTorch computes the tokens outside a window too, and masks them (transformers 5.17,
        # masking_utils.py: the mask of `sdpa` is whole)
        masks_windows = self.program_of_rows == PYTHON
        operations = 0.0
        for group in self.architecture.attention:
            reached = tokens / (group.compression or 1)
            if group.indexer_rows:
                reached = min(reached, group.indexer_rows)
            window = self._window_of(group)
            if window and not (group.compression or masks_windows):
                reached = min(reached, window)
            operations += (
                2 * len(group.layers) * group.heads * width_of(group) * reached
            )
        return operations


# ------------------------------------------------------------------ the step of a question


def step_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
) -> Step | None:
    """Return one step of decoding behind the stated prompt, or in a short chat where that is
    longer.

    The step reads no bytes where the bytes are not known. None where a pace makes no sense.
    """
    if not spec.writes_text:
        return None
    if workload.task != "generate":
        return None
    prompt_tokens = workload.prompt_tokens or 0
    chat_tokens = min(SHORT_CHAT_TOKENS, (workload.context_tokens or 0) / 2)
    # a cache quantized in blocks counts as 16 bits: unpacking takes time too
    cached_number_bytes = 2
    if workload.kv_cache_type == "fp8":
        cached_number_bytes = 1
    step = Step(
        architecture=spec.architecture,
        read_bytes=FrozenDict(),
        parameters=spec.parameters.active,
        expert_matrices=_matrices_of_expert(spec.architecture),
        depth_tokens=max(chat_tokens, prompt_tokens),
        prompt_tokens=prompt_tokens,
        cached_number_bytes=cached_number_bytes,
    )
    if runtime is None:
        return step
    return _in_program(step, spec, runtime, workload)


def _in_program(
    step: Step, spec: ModelSpec, runtime: RuntimeSpec, workload: Workload
) -> Step:
    """The step as the program computes it."""
    format = workload.format or ""
    type = workload.quantization or ""
    rule = runtime.rule_of(type)
    read_bytes = need.decode_bytes_by_type(spec, runtime, format, type)
    shares = need.read_shares(spec, format, type)
    unpacks_experts = False
    launched_percent: Sequence[int] = _ALL_LAUNCHED
    if rule is not None:
        unpacks_experts = rule.unpacks_experts
        launched_percent = rule.launched_percent
    launched_layers: Amount | None = None
    if runtime.pace.launches_layers:
        launched_layers = _launched_layers(spec, launched_percent)
        read_bytes = read_bytes or _bytes_by_parameters(spec)
    other_program: str | None = runtime.id
    if runtime.library == MEASURED_PROGRAM:
        other_program = None
    backend: str | None = None
    devices = runtime.devices_under(workload.runtime_options)
    if devices:
        backend = devices[0].backend
    return step.replace(
        read_bytes=FrozenDict(read_bytes),
        by_recipe=Amount(shares.most, 1.0, shares.least),
        unpacks_experts=unpacks_experts,
        replays=runtime.pace.replays_graphs,
        other_program=other_program,
        launched_layers=launched_layers,
        backend=backend,
        backend_on_intel=runtime.pace.backend_on_intel,
    )


def _matrices_of_expert(model: Architecture | None) -> int:
    """The number of matrices of an expert."""
    if model is None:
        return _GATED_MATRICES
    if need.row_of(model).gate == "none":
        return _UNGATED_MATRICES
    return _GATED_MATRICES


def _launched_layers(spec: ModelSpec, launched_percent: Sequence[int]) -> Amount | None:
    """The layers that Python launches for one token: the slow end, the likely number, the fast.
    `launched_percent`: the fewest, usual and most hundredths of them.

    For a model whose layers are not known they are estimated from the number of parameters; None
    where that is not known either.
    """
    figures = pace_tables().step
    model = spec.architecture
    if model is None:
        parameters = spec.parameters.active
        if not parameters:
            return None
        layers = figures.layers_of_7b * (parameters / 7e9) ** figures.layers_grow
        launched: Amount = figures.layers_ends * layers
        return launched
    fewest, usual, most = launched_percent
    # slow end: the experts are launched one after the other
    experts = 0
    for part in model.feed_forward:
        if part.experts:
            experts += len(part.layers) * part.experts
    slow_layers = model.layers + figures.expert * experts
    return Amount(
        slow_layers * most / 100,
        model.layers * usual / 100,
        model.layers * fewest / 100,
    )


def _bytes_by_parameters(spec: ModelSpec) -> dict[str, int]:
    """The bytes that one token reads of a model whose layers are not known, by type, estimated from
    the number of parameters; {} for other models.
    """
    parameters = spec.parameters.active
    if spec.architecture is not None:
        return {}
    if not parameters:
        return {}
    type = "bfloat16"
    if spec.needs is not None and spec.needs.dtype:
        type = spec.needs.dtype
    return {type: parameters * _TYPE_BYTES.get(type, 2)}


# ------------------------------------------------------------------ what a step meets


def _block_of(name: str) -> tuple[int, float | None]:
    """The count of numbers of a type that are stored together, and their bytes; None for the bytes
    where they are not known.
    """
    if name in BLOCKS:
        return BLOCKS[name]
    # eight numbers of n bits take n bytes
    return 8, bits_in_mlx(name)


def _holder_of_output(met: Mapping[str, float], output_parameters: int) -> str:
    """The type of the output matrix: one of the types that llama-quantize gives it, else the main
    type.
    """
    for name in ("Q6_K", "Q8_0"):
        if met.get(name, 0.0) >= output_parameters:
            return name
    return max(met, key=lambda name: met[name])


def _numbers_of_row(group: Attention) -> int:
    """The count of numbers that a layer keeps of each token in its cache."""
    if group.kind == "latent":
        return (group.latent_length or 0) + (group.rope_length or 0)
    return group.kv_heads * (group.key_length + group.value_length)


def _row_seconds(group: Attention) -> float:
    """The seconds in which one core attends to a row of the cache, for each head."""
    attending = pace_tables().step.attending
    return attending.row_seconds + width_of(group) * attending.number_seconds


def width_of(group: Attention) -> float:
    """The count of numbers, of keys and values, that a head multiplies with each token to which it
    attends.
    """
    if group.kind == "latent" and group.latent_length:
        # llama.cpp attends to the compressed row itself, without unpacking it
        return 2 * group.latent_length + (group.rope_length or 0)
    return group.key_length + group.value_length


class ExpertParameters(Record):
    """The parameters of all routed experts, the parameters of the experts that a token uses, and
    the number of layers with experts.

    `chosen_share` is the share of the experts that a token uses, in the layers that have the most
    experts.
    """

    all: float
    used: float
    layers: int
    chosen_share: float = 1.0


def expert_parameters(
    architecture: Architecture | None, matrices: int
) -> ExpertParameters:
    """Count the parameters of the routed experts, each of `matrices` matrices."""
    if architecture is None:
        return ExpertParameters(all=0.0, used=0.0, layers=0)
    experts = used = 0.0
    layers = most = 0
    chosen_share = 1.0
    for group in architecture.feed_forward:
        if not group.experts:
            continue
        width = group.latent_length or architecture.embedding_length
        one_of_each_layer = matrices * width * group.length * len(group.layers)
        chosen = group.used or 1
        experts += group.experts * one_of_each_layer
        used += chosen * one_of_each_layer
        layers += len(group.layers)
        if group.experts > most:
            most = group.experts
            chosen_share = chosen / most
    return ExpertParameters(
        all=experts, used=used, layers=layers, chosen_share=chosen_share
    )
