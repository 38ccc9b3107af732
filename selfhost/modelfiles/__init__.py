"""A model that lies on this disk -> ModelSpec, from headers alone: a file of 40 GB takes no longer
than a small one.

One file a format: `gguf`, `safetensors`, `config` (Hugging Face's config.json); `spectext` writes a
spec file of what was read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ..catalogue.spec import MAX_BEAMS, ModelSpec
from ..core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.spec import Architecture, Quantized
    from ..needs.records import SizedWeights
    from .gguf_header import Header
    from .safetensors import Weights
    from .stored import Stored

__all__ = ["LocalModel", "AdapterFile", "read_adapter", "read_local", "spec_text", "stored_notes"]

# more entries than any model's folder has
_MAX_ENTRIES = 20_000
_CONFIG = "config.json"
_ADAPTER = "adapter_model.safetensors"
_MAX_ADAPTER_CONFIG_BYTES = 1 << 20
_INDEX_ENDING = ".safetensors.index.json"
_UNFINISHED = (".incomplete", ".part", ".crdownload", ".aria2")
# any of which transformers makes a tokenizer of (AutoTokenizer; VOCAB_FILES_NAMES of its classes)
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    "spiece.model", "sentencepiece.bpe.model",
    "tekken.json", "tiktoken.model",
)  # fmt: skip
# what lies beside a model's weights and is none of them
_NOT_THE_MODEL = ("adapter_model", "consolidated", "training_args", "optimizer", "mmproj")


class LocalModel(Record):
    """What was found. `format`: `gguf`, `safetensors` or `mlx`; `quantization` in the words of
    QUANTIZATIONS, None where not known.

    `files_here`: all weights lie on this machine, whole. Of weights that are here in part `missing`
    names the files that are not, and `size_bytes` of `total_bytes` are (None: not known). `notes`
    are sentences for the user about what is odd. `in_memory`: the files lie on a volume that is
    RAM; None where that is not told.
    """

    spec: ModelSpec
    format: str
    quantization: str | None
    files_here: bool
    missing: tuple[str, ...] = ()
    size_bytes: int = 0
    total_bytes: int | None = None
    in_memory: bool | None = False
    notes: tuple[str, ...] = ()


def read_local(path: str | os.PathLike[str], architectures: Mapping[str, Any]) -> LocalModel:
    """The model at a path: a GGUF file (of a split one any part), a safetensors file, a
    config.json, or a folder with one of them.

    `architectures` is the parsed `specs/common/architectures.toml`. Raises `SpecError` that says
    what the path is instead and what to give. Reads headers only; waits for no pipe; time and
    memory are bounded whatever the file holds.
    """
    import stat

    from ..machine.reader import in_memory
    from .source import fail, status_of

    named = os.fsdecode(os.fspath(path))
    if not named:
        fail("''", "is no path", "name a file or a folder")
    read = _folder if stat.S_ISDIR(status_of(named).st_mode) else _file
    model = read(named, architectures)
    return model.replace(in_memory=in_memory(named)) if model.files_here else model


class AdapterFile(Record):
    """A LoRA adapter, and by the tensor that they change (in a GGUF file) or the module (in what
    peft wrote) the shapes of both matrices, the row length first.

    `architecture` is the one that a GGUF file was made for, `base_model` the repository or folder
    that peft trained on.
    """

    size: SizedWeights
    format: str
    architecture: str | None = None
    base_model: str | None = None
    pairs: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}


def read_adapter(path: str) -> AdapterFile:
    """A LoRA adapter in a GGUF file, or in what peft wrote (a file or its folder), from its header.

    Raises `SpecError` for a file that is no adapter, and for one that llama.cpp refuses whatever
    the model (src/llama-adapter.cpp).
    """
    import stat

    from ..needs.records import How, SizedWeights
    from .source import fail, open_file, read_some, shown, status_of

    name: str | None = None
    base: str | None = None
    pairs: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    if stat.S_ISDIR(status_of(path).st_mode):
        path = os.path.join(path, _ADAPTER)
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
    if start.startswith(b"GGUF"):
        from .gguf_header import read_header
        from .naming import clean

        header, format = read_header(path), "gguf"
        if header.values.get("general.type") != "adapter":
            fail(path, "is a model or part of one, not a LoRA adapter", "give the adapter's file")
        unsized = next((tensor for tensor in header.tensors if tensor.bytes is None), None)
        if unsized is not None:
            fail(
                path,
                f"stores a tensor as {unsized.type}, whose size is not known",
                "convert the adapter again with a plain type",
            )
        stored = sum(tensor.bytes or 0 for tensor in header.tensors)
        name, pairs = clean(header.values.get("general.architecture")), _pairs(path, header)
    else:
        from .safetensors import read_weights

        if (
            not os.path.basename(path).startswith("adapter_model")
            and _beside(path, "adapter_config.json") is None
        ):
            fail(
                path,
                "is no LoRA adapter",
                f"give the {_ADAPTER} that peft wrote, or a GGUF file made of it",
            )
        stored, format = read_weights(path, (path,)).data_bytes, "safetensors"
        base, pairs = _of_peft(path)
    line = f"{stored:,} bytes of tensors"
    sized = SizedWeights(
        bytes=stored,
        low_bytes=stored,
        high_bytes=stored,
        how=How.EXACT,
        source=f"header of {shown(path)}",
        arithmetic=line,
    )
    return AdapterFile(size=sized, format=format, architecture=name, base_model=base, pairs=pairs)


def _of_peft(path: str) -> tuple[str | None, Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]]:
    """What peft trained on, as its config beside the file says, and the pairs of matrices by
    module.

    peft, tuners/lora/layer.py: `lora_A` is rank × inputs, `lora_B` outputs × rank, under the
    module's name in `base_model.model`.
    """
    from .naming import clean
    from .safetensors import read_shapes
    from .source import fail, read_json

    beside = _beside(path, "adapter_config.json")
    stated = (
        read_json(beside, _MAX_ADAPTER_CONFIG_BYTES, what="adapter_config.json")
        if beside is not None
        else None
    )
    config = stated if isinstance(stated, dict) else {}
    kind, base, rank = (config.get(key) for key in ("peft_type", "base_model_name_or_path", "r"))
    if isinstance(kind, str) and kind != "LORA":
        fail(path, f"is an adapter of the type {clean(kind)}, not LoRA", "give a LoRA adapter")
    matrices: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in read_shapes(path).items():
        module, _, matrix = (
            name.removesuffix(".weight").removeprefix("base_model.model.").rpartition(".")
        )
        if matrix in ("lora_A", "lora_B") and module and len(shape) == 2:
            matrices.setdefault(module, {})[matrix] = (shape[1], shape[0])
    pairs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for module, both in matrices.items():
        if len(both) < 2:
            fail(
                path,
                f'has {next(iter(both))} of "{module}" and not the other matrix',
                "the file is damaged: download it again",
            )
        pairs[module] = both["lora_A"], both["lora_B"]
    ranks = sorted({first[1] for module, (first, _) in pairs.items() if ".experts" not in module})
    if isinstance(rank, int) and not config.get("rank_pattern") and ranks and ranks != [rank]:
        other = next(trained for trained in ranks if trained != rank)
        fail(
            path,
            f"has matrices of rank {other:,}, and its adapter_config.json says r = {rank:,}",
            "take both from the same place",
        )
    return clean(base) if isinstance(base, str) else None, pairs


def _pairs(path: str, header: Header) -> Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    from .naming import clean
    from .source import fail

    again = "convert the adapter again with llama.cpp's convert_lora_to_gguf.py"
    if header.values.get("adapter.type") != "lora":
        fail(path, "does not say that it is a LoRA adapter (adapter.type)", again)
    matrices: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in header.tensors:
        changed, _, matrix = tensor.name.rpartition(".")
        if matrix in ("lora_a", "lora_b"):
            matrices.setdefault(changed, {})[matrix] = tensor.shape
        elif not tensor.name.endswith("_norm.weight"):
            fail(
                path,
                f'has the tensor "{clean(tensor.name)}", which is neither lora_a nor lora_b',
                again,
            )
    if not matrices:
        fail(path, "is an adapter without a tensor", again)
    lone = next((changed for changed, both in matrices.items() if len(both) < 2), None)
    if lone is not None:
        fail(
            path,
            f'has {next(iter(matrices[lone]))} of "{clean(lone)}" and not the other matrix',
            "the file is damaged: download it again",
        )
    return {clean(changed): (both["lora_a"], both["lora_b"]) for changed, both in matrices.items()}


def spec_text(model: ModelSpec) -> str:
    """The TOML of a spec file that `read_model_spec` reads back as the same spec, but for its
    origin and the tensors of its file.
    """
    from .spectext import spec_text as written

    return written(model)


def _file(path: str, architectures: Mapping[str, Any]) -> LocalModel:
    from .source import begins_safetensors, fail, open_file, read_some, refuse_other_kinds

    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
    # a big-endian file may begin with its letters turned round
    if start.startswith((b"GGUF", b"FUGG")):
        return _gguf(path, architectures)
    refuse_other_kinds(path, start, size)
    if path.lower().endswith(".toml"):
        fail(
            path,
            "is a spec, which states a model and holds none",
            "give the model's file, or judge the spec itself: `selfhost check FILE`",
        )
    # first by its name: the length of a header may begin with the byte of a bracket
    weights = path.lower().endswith(".safetensors") or begins_safetensors(start)
    if not weights and start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        if path.lower().endswith(_INDEX_ENDING):
            from .safetensors import shards_in

            return _weights(path, shards_in(path), _beside(path, _CONFIG), architectures)
        return _lone_config(path, architectures)
    if weights:
        from .safetensors import shards_of

        return _weights(path, shards_of(path), _beside(path, _CONFIG), architectures)
    if path.lower().endswith(".gguf"):
        fail(
            path,
            "is not a GGUF file: it does not begin with the letters GGUF",
            "download it again, as it was published",
        )
    if path.lower().endswith(".json"):
        fail(path, "is not JSON", "give the model's config.json as it was published")
    return fail(
        path,
        "is no model file: neither GGUF nor safetensors nor a config.json",
        "give a GGUF file, a config.json, the model's folder, or a spec of it that ends in .toml",
    )


def _beside(path: str, name: str) -> str | None:
    """The file of that name in the same folder, None where there is none."""
    file = path[: len(path) - len(os.path.basename(path))] + name
    return file if os.path.lexists(file) else None


def _gguf(path: str, architectures: Mapping[str, Any], notes: tuple[str, ...] = ()) -> LocalModel:
    from .gguf import read_gguf

    model = read_gguf(path, architectures)
    return LocalModel(
        spec=model.spec,
        format="gguf",
        quantization=model.quantization,
        files_here=True,
        notes=notes + model.notes,
    )


def _lone_config(
    path: str, architectures: Mapping[str, Any], notes: tuple[str, ...] = ()
) -> LocalModel:
    from .config import read_config

    model = read_config(path, architectures)
    spec, stored = _as_told_beside(
        _searching(model.spec, path, architectures), model.stored, path, architectures
    )
    spec = spec.replace(quantized=_quantized(stored))
    return LocalModel(
        spec=spec,
        format=stored.format,
        quantization=stored.name,
        files_here=False,
        notes=(*notes, *stored_notes(spec), *model.notes),
    )


def _quantized(stored: Stored) -> Quantized | None:
    """What a spec says of weights that others than their publisher stored so, None for those of
    the publisher's own type.
    """
    from ..catalogue.spec import QUANTIZATIONS, Quantized

    if not stored.requantized:
        return None
    name = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    return Quantized(
        format=stored.format,
        quantization=name,
        apart=stored.apart if stored.format == "mlx" else (),
    )


def stored_notes(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where weights are stored in another type than llama.cpp's files of the model
    would be made of, or are judged in.
    """
    own, architecture = spec.quantized, spec.architecture
    if own is not None:
        how = (
            f"as {own.quantization}"
            if own.quantization
            else "in a quantization that is not understood"
        )
        return (
            (
                f"its weights are stored {how}; a GGUF file would be made of the model that they"
                " were quantized from"
            ),
        )
    narrow = architecture.matrix_dtype if architecture is not None else None
    if narrow is None or not narrow.startswith("float8"):
        return ()
    return (
        (
            f"its weights are stored as {narrow}: --runtime vllm is judged with them as they are,"
            " llama.cpp with a GGUF file made of them"
        ),
    )


# ------------------------------------------------------------------ a folder


def _folder(path: str, architectures: Mapping[str, Any]) -> LocalModel:
    from .source import fail, shown

    names = _names(path)
    if not names:
        fail(path, "is an empty folder", "give the folder that holds the model's files")
    unfinished = [name for name in names if name.lower().endswith(_UNFINISHED)]
    notes: tuple[str, ...] = (
        (f"{shown(unfinished[0])} is there: a download that did not finish",) if unfinished else ()
    )
    ggufs = [name for name in names if name.lower().endswith(".gguf")]
    if ggufs:
        return _one_gguf(path, ggufs, architectures, notes)
    index = [
        name
        for name in names
        if name.lower().endswith(_INDEX_ENDING) and not name.startswith(_NOT_THE_MODEL)
    ]
    shards = [
        name
        for name in names
        if name.lower().endswith(".safetensors") and not name.startswith(_NOT_THE_MODEL)
    ]
    config = os.path.join(path, _CONFIG) if _CONFIG in names else None
    if index or shards:
        return _weights(path, _one_set(path, index, shards), config, architectures, notes)
    if config is not None:
        pickles = [
            name
            for name in names
            if name.lower().endswith((".bin", ".pt", ".pth"))
            and not name.startswith(_NOT_THE_MODEL)
        ]
        if pickles:
            notes += (
                (
                    f"its weights are there only as pickle files ({shown(pickles[0])}), which can"
                    " run any code when they are loaded"
                ),
            )
        else:
            notes += ("the folder holds a config.json and no weights",)
        return _lone_config(config, architectures, notes)
    return _no_model(path, names, unfinished)


def _names(path: str) -> list[str]:
    from .source import fail

    try:
        with os.scandir(path) as entries:
            names = []
            for entry in entries:
                names.append(entry.name)
                if len(names) > _MAX_ENTRIES:
                    fail(
                        path,
                        f"has more than {_MAX_ENTRIES:,} entries, which no model's folder has",
                        "give the model's own folder",
                    )
    except PermissionError:
        fail(path, "may not be read by this account", "change the folder's permissions")
    except OSError as error:
        fail(path, f"cannot be read: {error.strerror}")
    return sorted(names)


def _one_gguf(
    path: str, names: list[str], architectures: Mapping[str, Any], notes: tuple[str, ...]
) -> LocalModel:
    from .gguf import parts_of
    from .naming import listed
    from .source import fail, shown

    beside = [name for name in names if "mmproj" in name.lower()]
    if beside and len(beside) < len(names):
        names = [name for name in names if name not in beside]
        size = sum(_size(os.path.join(path, name)) for name in beside)
        notes += (
            (
                f"{shown(beside[0])} beside it, the projector for pictures or sound, has {size:,}"
                " bytes more and is not counted"
            ),
        )
    sets = sorted({parts_of(os.path.join(path, name))[0] for name in names})
    if len(sets) > 1:
        files = listed((shown(os.path.basename(file)) for file in sets), 12)
        fail(path, f"holds {len(sets):,} GGUF models: {files}", "name one of these files")
    # of a split file any part that is there
    part = next(name for name in names if parts_of(os.path.join(path, name))[0] == sets[0])
    return _gguf(os.path.join(path, part), architectures, notes)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _one_set(path: str, index: list[str], shards: list[str]) -> tuple[str, ...]:
    """The files of the folder's one set of weights."""
    from .naming import listed
    from .safetensors import shards_in, shards_of
    from .source import fail, shown

    if len(index) > 1:
        fail(
            path,
            f"holds {len(index):,} sets of weights: {listed(map(shown, index))}",
            "name one of these files",
        )
    if index:
        return shards_in(os.path.join(path, index[0]))
    sets = sorted({shards_of(os.path.join(path, name)) for name in shards})
    if len(sets) > 1:
        names = listed((shown(os.path.basename(files[0])) for files in sets), 12)
        fail(path, f"holds {len(sets):,} sets of weights: {names}", "name one of these files")
    return sets[0]


def _no_model(path: str, names: list[str], unfinished: list[str]) -> LocalModel:
    from .naming import listed
    from .source import fail, shown

    if unfinished:
        fail(
            path,
            f"holds a download that did not finish: {shown(unfinished[0])}",
            "start the download again",
        )
    if "adapter_config.json" in names:
        fail(
            path,
            "holds a LoRA adapter, not a model",
            "give the folder of the model that it changes",
        )
    if "model_index.json" in names:
        fail(
            path,
            "holds a diffusers pipeline, an image model",
            "only language models are read from a folder",
        )
    if "snapshots" in names:
        inside = sorted(name for name in _names(os.path.join(path, "snapshots")))
        remedy = (
            f"give the folder {os.path.join(shown(path), 'snapshots', shown(inside[-1]))}"
            if inside
            else "download the model again"
        )
        fail(path, "is a folder of Hugging Face's cache", remedy)
    return fail(
        path,
            f"holds no model: no GGUF file, no safetensors file and no config.json ({listed(map(shown, names), 4)})",  # noqa: E501
        "give the folder that holds the model's files",
    )  # fmt: skip


# ------------------------------------------------------------------ safetensors and what stands
# beside them


def _weights(
    path: str,
    files: Iterable[str],
    config: str | None,
    architectures: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> LocalModel:
    from ..catalogue.spec import QUANTIZATIONS, SIZE_OF, Parameters, PublishedFiles, Safety
    from .config import read_config
    from .naming import identifier, name_of
    from .safetensors import read_weights
    from .source import shown
    from .stored import Stored

    files = tuple(files)
    if config is not None and (
        missing := tuple(file for file in files if not os.path.exists(file))
    ):
        return _part_of(path, files, missing, config, architectures, notes)
    weights = read_weights(path, files)
    where = f"headers of the safetensors files of {shown(path)}"
    if config is None:
        name = name_of(path)
        unknown = {
            "architecture": "no config.json lies beside the weights",
            "license.id": "the files do not say",
        }
        if weights.total is None:
            unknown["parameters.total"] = (
                "the weights are packed, so their number does not follow from the files"
            )
        parameters = Parameters(total=weights.total)
        spec = ModelSpec(
            id=identifier(name), name=name, parameters=parameters, unknown=unknown, origin=path
        )
        stored = Stored(name=weights.dtype, quantized=False)
    else:
        model = read_config(config, architectures)
        spec, stored, notes = (
            _searching(model.spec, config, architectures).replace(origin=path),
            model.stored,
            notes + model.notes,
        )
        spec, stored = _as_told_beside(spec, stored, config, architectures)
        if not weights.predict_more:
            # transformers leaves the blocks out that its classes do not have, so a copy that it
            # saved lacks them
            spec = spec.replace(parameters=spec.parameters.replace(mtp=None))
        spec, more = _counted(spec, model.language_parameters, weights.total, weights.files)
        notes += more
        why = (
            _contradiction(spec.architecture, weights.layers)
            if spec.architecture is not None
            else None
        )
        if why is None and spec.architecture is not None:
            why = _other_vocabulary(spec.architecture, architectures, weights)
        if why is None and stored.quantized and stored.name is not None and weights.plain:
            held = ", ".join(sorted(weights.elements))
            why = (
                f"the weights are said to be stored as {stored.name}, and the files hold {held}"
                " alone"
            )
        narrow = not stored.quantized and weights.dtype == "float8_e4m3"
        if narrow and why is None:
            why = _why_no_float8(spec.architecture, weights)
        if why is not None:
            unread = {
                key: text
                for key, text in spec.unknown.items()
                if not key.startswith("architecture.")
            }
            spec = spec.replace(architecture=None, unknown={**unread, "architecture": why})
        if not stored.quantized and weights.dtype is None:
            held = ", ".join(sorted(weights.elements))
            why = f"most of the weights are packed ({held}), and config.json does not say how"
            stored = Stored(name=None)
            spec = spec.replace(unknown={**spec.unknown, "architecture.matrix_dtype": why})
        elif not stored.quantized and stored.name != weights.dtype:
            if stored.name is not None:
                said = (
                    f"config.json says {stored.name}, and most of the weights are {weights.dtype}"
                )
                notes += (f"{said}: transformers loads them as {stored.name}",)
            stored = Stored(name=weights.dtype, quantized=False)
        if spec.architecture is not None:
            made_into = (
                weights.plain_dtypes[0] if narrow and weights.plain_dtypes else weights.dtype
            )
            dtype = spec.architecture.dtype or (made_into if not stored.quantized else None)
            spec = spec.replace(
                architecture=spec.architecture.replace(
                    dtype=dtype,
                    matrix_dtype=stored.matrices,
                    expert_dtype=stored.experts,
                    apart=stored.apart if stored.format == "safetensors" else (),
                )
            )
            if dtype is not None:
                spec = spec.replace(
                    unknown={
                        key: why for key, why in spec.unknown.items() if key != "architecture.dtype"
                    }
                )
    quantization = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    unknown = {key: why for key, why in spec.unknown.items() if key not in ("files", "tokenizer")}
    files_known: tuple[PublishedFiles, ...] = ()
    if quantization is None:
        unknown["files"] = f"{weights.size:,} bytes, of a type that has no name here: " + ", ".join(
            sorted(weights.elements)
        )
    else:
        files_known = (
            PublishedFiles(
                format=stored.format,
                source=SIZE_OF + shown(path),
                bytes={quantization: weights.size},
            ),
        )
    folder = os.path.dirname(files[0])
    spec = spec.replace(
        files=files_known,
        quantized=_quantized(stored),
        unknown=unknown,
        tokenizer=any(os.path.exists(os.path.join(folder, name)) for name in _TOKENIZERS),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={**spec.sources, "parameters": where, "safety": "format of the files"},
    )
    return LocalModel(
        spec=spec, format=stored.format, quantization=quantization, files_here=True, notes=notes
    )


def _part_of(
    path: str,
    files: tuple[str, ...],
    missing: tuple[str, ...],
    config: str,
    architectures: Mapping[str, Any],
    notes: tuple[str, ...],
) -> LocalModel:
    """Sharded weights of which some are not there: the model is known from its config.json, and
    how much of it is here.
    """
    from .safetensors import read_file, total_in
    from .source import shown

    half = _lone_config(config, architectures, notes)
    folder = os.path.dirname(config) or os.curdir
    index = next(
        (
            name
            for name in _names(folder)
            if name.lower().endswith(_INDEX_ENDING) and not name.startswith(_NOT_THE_MODEL)
        ),
        None,
    )
    return half.replace(
        spec=half.spec.replace(origin=path),
        missing=tuple(shown(os.path.basename(file)) for file in missing),
        # each is read as far as its header, so that one that was cut counts for none
        size_bytes=sum(read_file(file)[0] for file in files if file not in missing),
        total_bytes=total_in(os.path.join(folder, index)) if index else None,
    )


def _counted(
    spec: ModelSpec, language: int | None, total: int | None, files: tuple[str, ...]
) -> tuple[ModelSpec, tuple[str, ...]]:
    """With the parameters that the files really hold. `language`: what follows from config.json
    for the language model alone.
    """
    if total is None:
        return spec, ()
    unknown = {key: why for key, why in spec.unknown.items() if key != "parameters.total"}
    parameters = spec.parameters
    total -= parameters.mtp or 0
    if parameters.total is None and language is not None and total > language:
        # a vision model: what is more than the language model are its encoders
        unknown.pop("parameters.encoders", None)
        return (
            spec.replace(
                parameters=parameters.replace(total=total, encoders=total - language),
                unknown=unknown,
            ),
            (),
        )
    if parameters.total is None:
        return spec.replace(parameters=parameters.replace(total=total), unknown=unknown), ()
    gap = total - parameters.total
    if gap == 0:
        return spec.replace(unknown=unknown), ()
    if 0 < gap <= total // 200:
        return spec.replace(parameters=parameters.replace(extra_in_files=gap), unknown=unknown), ()
    total += parameters.mtp or 0
    why = (
        f"the files hold {total:,} parameters, and config.json describes"
        f" {parameters.total + (parameters.mtp or 0):,}"
    )
    return spec.replace(
        parameters=parameters.replace(total=total, active=None, mtp=None, difference=why),
        unknown=unknown,
    ), (why,)


def _contradiction(
    architecture: Architecture, stored: Mapping[int, Mapping[str, tuple[int, ...]]]
) -> str | None:
    """Where the files are not of the model that config.json describes; None where nothing says so.

    transformers refuses a shape that differs; of layers it drops those beyond the config's, and
    makes up those that are not there.
    """
    from .naming import listed

    if not stored:
        return None
    groups = (
        [part.layers for part in architecture.attention]
        + [part.layers for part in architecture.recurrent]
        + [part.layers for part in architecture.feed_forward]
    )
    busy = {
        layer
        for layers in groups
        for layer in layers
        if layer < (architecture.stored_layers or architecture.layers)
    }
    missing = sorted(busy - stored.keys())
    if missing:
        return (
            f"the files have no tensor of layer {listed(map(str, missing))}, and config.json says"
            f" {architecture.layers:,} layers"
        )
    last = max(
        layer
        for layer, shapes in stored.items()
        if layer in busy or not any(name.endswith("eh_proj.weight") for name in shapes)
    )
    if last >= architecture.layers + (architecture.mtp_layers or 0):
        return (
            f"the files have a layer {last:,}, and config.json says {architecture.layers:,} layers,"
            " counted from 0"
        )
    wide = architecture.embedding_length
    for attention in architecture.attention:
        keys, values = (
            attention.kv_heads * attention.key_length,
            attention.kv_heads * attention.value_length,
        )
        shapes = {
            "k_proj.weight": (keys, wide),
            "v_proj.weight": (values, wide),
            "qkv_proj.weight": (attention.heads * attention.key_length + keys + values, wide),
            "query_key_value.weight": (
                attention.heads * attention.key_length + keys + values,
                wide,
            ),
        }
        if attention.latent_length:
            shapes = {
                "kv_a_proj_with_mqa.weight": (
                    attention.latent_length + (attention.rope_length or 0),
                    wide,
                )
            }
        for layer in busy.intersection(attention.layers):
            if why := _odd(stored[layer], shapes):
                return why
    for part in architecture.feed_forward:
        if not part.experts:
            for layer in busy.intersection(part.layers):
                if why := _odd(
                    stored[layer],
                    {
                        "up_proj.weight": (part.length, wide),
                        "down_proj.weight": (wide, part.length),
                    },
                ):
                    return why
    return None


def _other_vocabulary(
    architecture: Architecture, architectures: Mapping[str, Any], weights: Weights
) -> str | None:
    """Where the table of tokens or the matrix of the output has other rows than config.json gives
    it: from_pretrained refuses it, as any other shape, and an output matrix beside a table that
    config.json says is shared too.
    """
    from ..needs.tensors import checkpoint_tensors, row_of

    row = row_of(architecture, architectures)
    shapes = (
        {}
        if row is None
        else {group.name: group.shape for group in checkpoint_tensors(architecture, row)}
    )
    table = shapes.get("token_embd.weight")
    for held, shape in (
        (weights.tokens, table),
        (
            weights.output if architecture.output_matrix else None,
            shapes.get("output.weight", table),
        ),
    ):
        if held is not None and shape is not None and held[1] != shape[1]:
            return (
                f"{held[0]} has {held[1]:,} rows, and config.json makes it {shape[1]:,}"
                " (vocab_size)"
            )
    return None


def _why_no_float8(architecture: Architecture | None, weights: Weights) -> str | None:
    """Why FP8 files whose config.json does not say that they are quantized are of no known size in
    memory; None where they are.

    transformers makes the config's type of them and leaves scales aside; it has no type where
    neither config nor files state a wider one.
    """
    if weights.scale is not None:
        return (
            f"the files hold {weights.scale}, a scale of weights in FP8, and config.json has no"
            " quantization_config to apply it by"
        )
    if architecture is not None and architecture.dtype is None and len(weights.plain_dtypes) != 1:
        return (
            "most of the weights are in FP8, and config.json does not say which type they are made"
            " into"
        )
    return None


def _odd(
    stored: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, int]]
) -> str | None:
    """What a tensor of one layer is and should be, of the first whose shape is not the expected
    one.
    """
    for name, shape in stored.items():
        wanted = next(
            (wanted for ending, wanted in expected.items() if name.endswith("." + ending)), shape
        )
        if shape != wanted:
            return (
                f"{name} is {' × '.join(f'{size:,}' for size in shape)}, and config.json makes it"
                f" {wanted[0]:,} × {wanted[1]:,}"
            )
    return None


def _searching(spec: ModelSpec, config: str, architectures: Mapping[str, Any]) -> ModelSpec:
    """With the beams that generation_config.json beside a config.json asks for, of a model that
    reads with an encoder.
    """
    from ..needs.tensors import checkpoint_tensors, row_of
    from .keys import MAX_CONFIG_BYTES, short
    from .source import read_json

    path, model = _beside(config, "generation_config.json"), spec.architecture
    row = row_of(model, architectures) if model is not None else None
    if path is None or model is None or row is None or not row.rewrites:
        return spec
    values = read_json(path, MAX_CONFIG_BYTES, what="generation_config.json")
    beams = values.get("num_beams", 1) if isinstance(values, dict) else None
    if type(beams) is int and 1 <= beams <= MAX_BEAMS:
        return spec.replace(architecture=model.replace(beams=beams))
    why = "generation_config.json " + (
        f"says num_beams = {short(beams)}" if isinstance(values, dict) else "is no object"
    )
    model = model.replace(tensors=checkpoint_tensors(model, row), attention=(), recurrent=())
    unclear = f"{why}, so what is kept of each beam is not known"
    return spec.replace(
        architecture=model, unknown={**spec.unknown, "architecture.attention": unclear}
    )


def _quantized_beside(config: str) -> Mapping[str, Any] | None:
    """`quantization_config` as hf_quant_config.json beside a config.json says, as NVIDIA's
    exporter writes it; None where there is none.
    """
    from .keys import MAX_CONFIG_BYTES
    from .source import read_json

    path = _beside(config, "hf_quant_config.json")
    if path is None:
        return None
    values = read_json(path, MAX_CONFIG_BYTES, what="hf_quant_config.json")
    part = values.get("quantization") if isinstance(values, dict) else None
    return {"quant_method": "modelopt", **(part if isinstance(part, dict) else {})}


def _as_told_beside(
    spec: ModelSpec, stored: Stored, config: str, architectures: Mapping[str, Any]
) -> tuple[ModelSpec, Stored]:
    """With what hf_quant_config.json says of the weights and the cache, where config.json says
    nothing of a quantization.
    """
    from ..needs.tensors import checkpoint_tensors, row_of
    from .mixing import kept_in, quantizer_of
    from .modules import settled
    from .stored import stored_by

    quantization = None if stored.quantized else _quantized_beside(config)
    if quantization is None:
        return spec, stored
    stored, architecture = stored_by(quantization), spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if architecture is None or row is None:
        stored = stored.replace(rules=())
    else:
        stored = settled(
            stored, checkpoint_tensors(architecture, row), architecture.dtype or "bfloat16"
        )
    if stored.why is not None:
        unclear = f"hf_quant_config.json: {stored.why}, so the size of the weights is not known"
        spec = spec.replace(unknown={**spec.unknown, "architecture.matrix_dtype": unclear})
    if architecture is not None:
        architecture = architecture.replace(
            matrix_dtype=stored.matrices,
            expert_dtype=stored.experts,
            apart=stored.apart,
            cache_dtype=kept_in(
                quantization, latent=any(group.kind == "latent" for group in architecture.attention)
            ),
            quantizer=quantizer_of(quantization) if stored.name is not None else None,
        )
    return spec.replace(architecture=architecture), stored
