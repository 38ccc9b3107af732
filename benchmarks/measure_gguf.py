"""What llama.cpp allocates for one model, to the byte, without its weights: figures for `tests/data/headers/gguf/`. Linux only.

    pip install gguf numpy
    g++ -std=c++17 -O2 -w -o BUILD/bin/gguf-probe benchmarks/gguf_probe.cpp -I LLAMA_CPP/include -I LLAMA_CPP/src \\
        -I LLAMA_CPP/ggml/include -L BUILD/bin -lllama -lggml -lggml-base -Wl,-rpath,'$ORIGIN'
    python benchmarks/measure_gguf.py MODEL.json --programs BUILD/bin --version 0c1e570 [--quantization Q4_K_M] [--cases 12]

MODEL.json holds `source` (where shapes and metadata are from), `architecture`, `metadata` (keys without the architecture in front;
`tokenizer.…` as they are) and `tensors`: name with `*` for the layer, then lines of [layers, shape], the row length first; layers are
`start:stop:step`, a list, or null for a tensor outside the layers; "I32" stands behind the shape of indices. It may hold `config`: what
of the published config.json bears on them, or its name in tests/data/headers/configs/. llama-quantize --dry-run chooses the types,
llama.cpp's own no-allocation path measures; both are added to the file: a third entry in each line, and `quantization`,
`tensor_bytes`, `columns`, `cases`; with multi-token-prediction blocks `loaded_bytes`, for llama.cpp leaves most of them in the file.
Options are drawn by chance of those that llama.cpp takes, the same for the same name. An encoder (`attention.causal` false) makes
embeddings of all its tokens, as every program has it do.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

COLUMNS = (
    "n_ctx",
    "n_batch",
    "n_ubatch",
    "n_seq_max",
    "kv_unified",
    "flash_attn",
    "type_k",
    "type_v",
    "n_outputs_max",
)
_FLAGS = dict(
    zip(COLUMNS, ("-c", "-b", "-ub", "-np", "-kvu", "-fa", "-ctk", "-ctv", "-no"), strict=True)
)
_IN_32_BITS = re.compile(
    r"_norm\.weight|ffn_gate_inp(?:_shexp)?\.|^(?:position_embd|token_types)\.|ssm_conv1d|shortconv\.conv\.|altup_(?:correct|predict)_coef"
    r"|time_mix_(?:first|w[12]|decay_w[12]|lerp_fused)\.|indexer\.proj\."
)
_WHOLE = re.compile(r"(?:general|tokenizer|split)\.")
Placed = list[tuple[str, list[int]]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--programs", type=Path, required=True, help="folder with llama-quantize and gguf-probe"
    )
    parser.add_argument("--version", required=True, help="commit of llama.cpp")
    parser.add_argument("--quantization", default="Q4_K_M")
    parser.add_argument("--cases", type=int, default=12)
    asked = parser.parse_args()
    model = json.loads(asked.model.read_text(encoding="utf-8"))
    tensors = placed(model)
    with tempfile.TemporaryDirectory() as folder:
        plain, file = Path(folder) / "plain.gguf", Path(folder) / "model.gguf"
        types = {name: _converted(name, shape) for name, shape in tensors} | _indices(model)
        write(plain, model, tensors, types, "F16")
        types |= _chosen(asked.programs, plain, asked.quantization)
        write(file, model, tensors, types, asked.quantization)
        cases, sizes = [], set()
        for case in options(asked.model.stem, model, asked.cases):
            found = probe(asked.programs, file, case, encoder=_encodes(model))
            if found is None:
                continue
            sizes.add(found[:2])
            cases.append([*case.values(), *found[2:]])
    if len(sizes) != 1:
        print(
            "llama.cpp took none of the cases" if not sizes else f"tensor bytes differ: {sizes}",
            file=sys.stderr,
        )
        return 1
    model["tensors"] = _typed(model["tensors"], types)
    measured = f"measured with llama.cpp {asked.version} (CPU backend, no allocation); types by llama-quantize --dry-run"
    whole, loaded = sizes.pop()
    model |= {"measured": measured, "quantization": asked.quantization, "tensor_bytes": whole}
    if model["metadata"].get("nextn_predict_layers"):
        model["loaded_bytes"] = loaded
    model |= {"columns": [*COLUMNS, "context_bytes", "compute_bytes"], "cases": cases}
    asked.model.write_text(_text(model), encoding="utf-8")
    print(f"{asked.model.stem}: {len(cases)} cases")
    return 0


def _layers(at: str | list[int] | None) -> list[int | None]:
    if at is None:
        return [None]
    return list(at) if isinstance(at, list) else list(range(*map(int, at.split(":"))))


def placed(model: dict[str, Any]) -> Placed:
    """Every tensor of the file, in the order of a converter: what comes before the layers, layer by layer, the rest."""
    found = []
    for number, (name, lines) in enumerate(model["tensors"].items()):
        for line in lines:
            for layer in _layers(line[0]):
                whole = name if layer is None else name.replace("*", str(layer))
                last = name.startswith("output")
                found.append(
                    ((1 << 20) if last else -1 if layer is None else layer, number, whole, line[1])
                )
    return [(name, shape) for _, _, name, shape in sorted(found, key=lambda entry: entry[:2])]


def _converted(name: str, shape: list[int]) -> str:
    """The type that a converter writes (conversion/base.py of llama.cpp 0c1e570, prepare_tensors): these and vectors in 32 bits."""
    return (
        "F32"
        if len(shape) == 1
        or not name.endswith((".weight", ".lora_a", ".lora_b"))
        or _IN_32_BITS.search(name)
        else "F16"
    )


def _indices(model: dict[str, Any]) -> dict[str, str]:
    """Of the tensors that hold indices: I32 stands in their lines from the start."""
    found: dict[str, str] = {}
    for name, lines in model["tensors"].items():
        for at, _, *type in lines:
            if type == ["I32"]:
                found |= {name.replace("*", str(layer)): "I32" for layer in _layers(at)}
    return found


def _encodes(model: dict[str, Any]) -> bool:
    return model["metadata"].get("attention.causal") is False


def write(
    path: Path, model: dict[str, Any], tensors: Placed, types: dict[str, str], quantization: str
) -> None:
    """A GGUF file with a hole instead of data, and without a vocabulary."""
    gguf, numpy = import_module("gguf"), import_module("numpy")
    name = model["architecture"]
    writer = gguf.GGUFWriter(path, name)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{quantization}"])
    values = {"tokenizer.ggml.model": "no_vocab", **model["metadata"]}
    for key, value in values.items():
        whole = key if _WHOLE.match(key) else f"{name}.{key}"
        if isinstance(value, list):
            writer.add_array(whole, value)
        else:
            kinds = gguf.GGUFValueType
            kind = {bool: kinds.BOOL, int: kinds.UINT32, float: kinds.FLOAT32, str: kinds.STRING}[
                type(value)
            ]
            writer.add_key_value(whole, value, kind)
    sizes = []
    for tensor, shape in tensors:
        kind = gguf.GGMLQuantizationType[types[tensor]]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        sizes.append(prod(shape) // elements * size)
        if types[tensor] in ("F32", "F16"):
            writer.add_tensor_info(
                tensor,
                shape[::-1],
                numpy.dtype("f4" if types[tensor] == "F32" else "f2"),
                sizes[-1],
            )
        else:
            writer.add_tensor_info(
                tensor,
                (*shape[:0:-1], shape[0] // elements * size),
                numpy.dtype("u1"),
                sizes[-1],
                raw_dtype=kind,
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file, step = writer.fout[0], writer.data_alignment
    end = file.tell() + -file.tell() % step
    for size in sizes:
        end += size + -size % step
    file.truncate(end)
    file.close()
    writer.fout = None


def _chosen(programs: Path, file: Path, quantization: str) -> dict[str, str]:
    run = subprocess.run(
        [str(programs / "llama-quantize"), "--dry-run", str(file), quantization],
        capture_output=True,
        text=True,
    )
    pattern = r"^\[ *\d+/ *\d+\] +(\S+) +- \[.*?type = +(\w+), +size = .*?(?:\((\w+)\))?$"
    types = {
        found[1]: (found[3] or found[2]).upper()
        for found in re.finditer(pattern, run.stdout + run.stderr, re.MULTILINE)
    }
    if run.returncode or not types:
        raise SystemExit((run.stdout + run.stderr)[-3000:])
    return types


def options(name: str, model: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The plain case, then others by chance."""
    draw, longest = random.Random(name), model["metadata"].get("context_length", 4096)
    plain = dict(
        zip(COLUMNS, (min(4096, longest), 2048, 512, 1, 0, -1, "f16", "f16", 1), strict=True)
    )
    found = [plain]
    while len(found) < count:
        context = min(draw.choice((256, 512, 1000, 2048, 3000, 4096, 8192, 16384, 32768)), longest)
        sequences = draw.choice((1, 1, 1, 2, 4))
        flash = draw.choice((-1, -1, -1, 0))
        keys = draw.choice(("f16", "f16", "f32", "q8_0", "q4_0"))
        values = (
            draw.choice(("f16", "f16", "f32", "q8_0")) if flash else draw.choice(("f16", "f32"))
        )
        if (
            "attention.q_lora_rank" in model["metadata"]
            or "attention.kv_lora_rank" in model["metadata"]
        ):
            # keys and values are one row (src/llama-context.cpp: llama_init_from_model)
            values = keys
        batch, micro = draw.choice((2048, 2048, 512, 128)), draw.choice((512, 512, 128, 64, 1024))
        rows = draw.choice((sequences, sequences, 0))
        case = (
            context * sequences,
            batch,
            micro,
            sequences,
            draw.choice((0, 1)) if sequences > 1 else 0,
            flash,
            keys,
            values,
            rows,
        )
        found.append(dict(zip(COLUMNS, case, strict=True)))
    return [case | {"n_outputs_max": 0} for case in found] if _encodes(model) else found


def probe(
    programs: Path, file: Path, case: dict[str, Any], *, encoder: bool = False
) -> tuple[int, int, int, int] | None:
    """Bytes of the tensors, of those loaded, of cache and state, of the compute buffer; None, told on standard error, if refused."""
    command = [
        str(programs / "gguf-probe"),
        "-m",
        str(file),
        "-no-alloc",
        "1",
        "-emb",
        str(int(encoder)),
    ]
    run = subprocess.run(
        [*command, *(text for key, value in case.items() for text in (_FLAGS[key], str(value)))],
        capture_output=True,
        text=True,
    )
    if run.returncode:
        told = [
            line
            for line in run.stderr.splitlines()
            if re.search(r"error|failed|assert|missing|requires", line, re.IGNORECASE)
        ]
        print(f"not taken: {case}\n    " + "\n    ".join(told[-4:]), file=sys.stderr)
        return None
    found = json.loads(run.stdout)
    buffers = found["buffers"].values()
    return found["model_size"], *(
        sum(one[part] for one in buffers) for part in ("model", "context", "compute")
    )


def _typed(
    tensors: dict[str, list[list[Any]]], types: dict[str, str]
) -> dict[str, list[list[Any]]]:
    """Each line with its type, split where layers differ."""
    made: dict[str, list[list[Any]]] = {}
    for name, lines in tensors.items():
        made[name] = []
        for at, shape, *_ in lines:
            by_type: dict[str, list[int]] = {}
            for layer in _layers(at):
                if layer is None:
                    made[name].append([None, shape, types[name]])
                else:
                    by_type.setdefault(types[name.replace("*", str(layer))], []).append(layer)
            made[name] += [[_short(layers), shape, type] for type, layers in by_type.items()]
    return made


def _short(layers: list[int]) -> str | list[int]:
    step = layers[1] - layers[0] if len(layers) > 1 else 1
    whole = list(range(layers[0], layers[-1] + 1, step))
    return f"{layers[0]}:{layers[-1] + 1}:{step}" if whole == layers else layers


def _text(model: dict[str, Any]) -> str:
    """A line for each key, tensor and case."""
    lines = []
    for key, value in model.items():
        if key == "tensors":
            inner = [
                f"  {json.dumps(name)}: {json.dumps(entries)}" for name, entries in value.items()
            ]
            lines.append('"tensors": {\n' + ",\n".join(inner) + "\n }")
        elif key == "cases":
            lines.append(
                '"cases": [\n' + ",\n".join(f"  {json.dumps(case)}" for case in value) + "\n ]"
            )
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
