"""What `fuzz.py` feeds to selfhost, a function a kind: real examples of this repository, changed, and the commands that read them.

Each writes its files into an empty folder, which is the current one when the commands run. Names that begin with `out` may be
written there; all others are inputs, which no command may change.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import struct
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_mutate import (
    ODD_INTEGERS,
    ODD_TEXTS,
    change_bytes,
    change_text,
    change_value,
    content_of,
    encoded,
    json_text,
    toml_text,
)

REPOSITORY = Path(__file__).resolve().parent.parent
TESTS = REPOSITORY / "tests"
HEADERS = TESTS / "data" / "headers"
MODEL_NAMES = (
    "mistral-7b", "gpt2", "gpt-4o", "deepseek-v3", "whisper-large-v3", "sdxl", "bge-m3", "mamba-2.8b", "llama3.1:8b", "gpt-oss-120b",
    "openai/gpt-oss-20b", "qwen3-next-80b-a3b-instruct", "gemma-3-4b-it", "ollama", "no-such-model", "flux.1-dev", "jamba-v0.1",
)  # fmt: skip


class Case(NamedTuple):
    """Commands to run one after the other. `plain`: the second asks for nothing that the first, where it says 0, did not check."""

    commands: tuple[tuple[str, ...], ...]
    plain: bool = False


class Draw:
    """The chance of one case: of its shape, and a generator of its own for each change, so that a change can be left out."""

    def __init__(self, name: str, without: frozenset[int] = frozenset()) -> None:
        self.chance = random.Random(name)
        self._name, self._without = name, without
        self.changes = 0

    def steps(self, most: int = 4) -> list[random.Random]:
        """Generators of one to `most` changes, without those that are left out."""
        first, count = self.changes, self.chance.choice((1, 1, 1, 2, self.chance.randint(1, most)))
        self.changes += count
        return [
            random.Random(f"{self._name}/{number}")
            for number in range(first, first + count)
            if number not in self._without
        ]


# ------------------------------------------------------------------ what the commands are asked


@cache
def machines() -> tuple[str, ...]:
    """Records to judge on."""
    return tuple(str(path) for path in sorted((TESTS / "data" / "records").glob("*.json")))


def judged(chance: random.Random, name: str, *more: str) -> tuple[str, ...]:
    """A command that judges one model on a machine of the repository."""
    command = chance.choices(("check", "show", "compare", "plan"), (6, 2, 2, 1))[0]
    words = [command, name, *more]
    if command == "compare":
        words.insert(1, "mistral-7b")
    if command != "plan":
        words += ["--machine", chance.choice((*machines(), "macbook-pro-m4-max-48gb"))]
    return (*words, *workload(chance, command), *formatted(chance))


def formatted(chance: random.Random) -> list[str]:
    return ["--format", "json"] if chance.random() < 0.5 else []


def workload(chance: random.Random, command: str) -> list[str]:
    """Options that are right for some models and wrong for others."""
    words: list[str] = []
    for choices in (
        ("--context", "1", "8192", "131072", "10m"),
        ("--quant", "Q4_K_M", "Q8_0", "F16", "bfloat16", "awq", "mlx-4bit", "IQ2_XXS", "MXFP4", "float8"),
        ("--runtime", "llama.cpp", "ollama", "transformers", "vllm", "mlx", "whisper.cpp", "faster-whisper", "diffusers"),
        ("--kv-cache", "f16", "q8_0", "q4_0"),
        ("--parallel", "1", "4", "1000"),
        ("--min-speed", "0", "5", "1e9"),
        ("--draft", "mtp", "gpt2"),
        ("--adapter", "rank=16",),
        ("--license", "MIT", "Apache-2.0 OR MIT"),
        ("--private",),
        ("--auditable",),
        ("--modify",),
    ):  # fmt: skip
        if chance.random() < 0.15:
            words += [choices[0], *([chance.choice(choices[1:])] if len(choices) > 1 else [])]
    if chance.random() < 0.15:
        words += ["--task", "finetune", "--method", chance.choice(("full", "lora", "qlora"))]
        words += ["--no-checkpointing"] if chance.random() < 0.3 else []
    if command in ("check", "show", "compare") and chance.random() < 0.1:
        words += ["--tokens-per-day", chance.choice(("2M:500k", "200k", "1"))]
    if command in ("check", "show", "plan") and chance.random() < 0.2:
        words += ["--verbose"]
    return words


# ------------------------------------------------------------------ specs and policies


@cache
def toml_examples(*patterns: str) -> tuple[dict[str, Any], ...]:
    """The parsed files of these patterns, those of them that are TOML."""
    parsed = []
    for path in sorted(path for pattern in patterns for path in REPOSITORY.glob(pattern)):
        try:
            parsed.append(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        except ValueError:
            continue
    return tuple(parsed)


@cache
def texts(*patterns: str) -> tuple[bytes, ...]:
    return tuple(
        path.read_bytes()
        for path in sorted(path for pattern in patterns for path in REPOSITORY.glob(pattern))
    )


def _toml(
    draw: Draw, values: tuple[dict[str, Any], ...], raw: tuple[bytes, ...]
) -> tuple[str, bytes]:
    """The id of an example, and the example changed: as values written anew, or in the layout of its file."""
    if draw.chance.random() < 0.7:
        example = draw.chance.choice(values)
        return str(example.get("id", "x")), content_of(
            draw.chance, draw.steps(), example, toml_text, values
        )
    content = draw.chance.choice(raw)
    stated = re.search(rb'^id = "([a-z0-9.-]+)"$', content, re.MULTILINE)
    for step in draw.steps():
        content = change_text(step, content)
    return stated[1].decode() if stated else "x", content


def spec(draw: Draw, folder: Path) -> Case:
    """A spec of a model, checked and judged."""
    chance = draw.chance
    patterns = ("specs/*.toml", "tests/good_specs/*.toml", "examples/specs/*.toml")
    values = toml_examples(*patterns)
    open_ones = tuple(value for value in values if "architecture" in value or "component" in value)
    name, content = _toml(
        draw, chance.choice((values, open_ones)), texts(*patterns, "tests/bad_specs/*.toml")
    )
    path = f"specs/{name if '/' not in name else 'x'}.toml"
    (folder / "specs").mkdir()
    (folder / path).write_bytes(content)
    commands: list[tuple[str, ...]] = [("spec", "check", path, *formatted(chance))]
    commands.append(("check", path, "--machine", chance.choice(machines()), *formatted(chance)))
    commands.append(judged(chance, path))
    if chance.random() < 0.03:
        commands.append(
            (
                chance.choice(("list", "list", "check")),
                "--specs",
                "specs",
                "--machine",
                machines()[0],
                *formatted(chance),
            )
        )
        if commands[-1][0] == "check":
            commands[-1] = ("check", "gpt2", *commands[-1][1:])
    return Case(tuple(commands), plain=True)


def policy(draw: Draw, folder: Path) -> Case:
    """A policy, with machines of the repository or none."""
    chance = draw.chance
    from selfhost.audit.starter import starter_policy

    patterns = ("examples/audit.toml", "tests/bad_policies/*.toml")
    raw, values = texts(*patterns), toml_examples(*patterns)
    if chance.random() < 0.85:
        raw, values = (
            (starter_policy(("mistral-7b", "gpt2")).encode(), _POLICY.encode()),
            (tomllib.loads(_POLICY),),
        )
    (folder / "audit.toml").write_bytes(_toml(draw, values, raw)[1])
    words = ["audit", "--machines", chance.choice((*machines(), str(TESTS / "data" / "records")))]
    words += [] if chance.random() < 0.5 else ["audit.toml"]
    words += chance.choice(
        (
            [],
            ["--format", "json"],
            ["--format", "jsonl"],
            ["--format", "junit"],
            ["--format", "junit=out.xml"],
        )
    )
    words += chance.choice(([], [], ["--today", "2027-03-31"], ["--today", "2030-01-01"]))
    return Case((tuple(words),))


_POLICY = """\
schema = 1
fail_on = "error"
on_unknown = "unknown"

[needs]
private = true
license = "Apache-2.0 OR MIT"

[[model]]
name = "mistral-7b"
context_tokens = 8192
quantization = "Q4_K_M"
runtime = "llama.cpp"
min_tokens_per_second = 5
machines = ["class:edge", "host:vm-*", "label:site=berlin"]
severity = "error"

[[model]]
name = "gpt2"
parallel = 4
severity = "warning"

[[class]]
name = "edge"
match = { label = { site = "s*" }, memory_total = ">=15GiB", architecture = "x86_64" }
memory = "total"

[[exception]]
model = "mistral-7b"
machines = ["host:edge-01?"]
rule = "memory"
reason = "16 GiB kits arrive in Q1"
owner = "infra@example.com"
expires = 2027-03-31
"""


# ------------------------------------------------------------------ machines


@cache
def records() -> tuple[dict[str, Any], ...]:
    """Machine records: those of the repository, and what its recorded trees read as."""
    from selfhost import Machine

    values = [json.loads(Path(path).read_text(encoding="utf-8")) for path in machines()]
    values += [json.loads(json.dumps(Machine.read(root=str(tree)).to_json())) for tree in trees()]
    return tuple(values)


def record(draw: Draw, folder: Path) -> Case:
    """A machine record, alone, in a list, or one a line."""
    chance = draw.chance
    values = records()
    content = content_of(
        chance, draw.steps(), chance.choice(values), lambda value: json_text(chance, value), values
    )
    if chance.random() < 0.1:
        lines = [
            encoded(json.dumps(chance.choice(values) | {"name": f"m{number}"}))
            for number in range(3)
        ]
        content = (
            b"\n".join((*lines, content))
            if chance.random() < 0.5
            else b"[" + b",".join((*lines, content)) + b"]"
        )
    (folder / "m.json").write_bytes(content)
    model = chance.choice(MODEL_NAMES)
    commands: list[tuple[str, ...]] = [
        ("check", model, "--machine", "m.json", *workload(chance, "check"), *formatted(chance))
    ]
    other = chance.randrange(6)
    if other == 0:
        commands.append(
            (
                "audit",
                str(REPOSITORY / "examples" / "audit.toml"),
                "--machines",
                "m.json",
                *formatted(chance),
            )
        )
    elif other == 1:
        sets = chance.choice(
            (
                "memory=16GiB",
                "gpu=24GiB",
                "cores=3",
                "disk=1TB",
                "bandwidth=80GB/s",
                "gpu=2x24GiB:RTX 3090",
            )
        )
        commands.append(("check", model, "--machine", "m.json", "--set", sets, *formatted(chance)))
    elif other == 2:
        commands.append(
            (chance.choice(("show", "compare")), model, "--machine", "m.json", *formatted(chance))
        )
        if commands[-1][0] == "compare":
            commands[-1] = ("compare", "gpt2", *commands[-1][1:])
    elif other == 3 and chance.random() < 0.2:
        commands.append(("list", "--machine", "m.json", *formatted(chance)))
    return Case(tuple(commands))


@cache
def trees() -> tuple[Path, ...]:
    return tuple(sorted(path for path in (TESTS / "machines").glob("*/root")))


def tree(draw: Draw, folder: Path) -> Case:
    """A recorded machine in which files became something else."""
    chance = draw.chance
    root = folder / "tree"
    shutil.copytree(chance.choice(trees()), root, symlinks=True)
    for step in draw.steps(8):
        places = sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
        facts = [path for path in places if path.suffix == ".json" or path.parent == root]
        if places:
            _change_file(
                step, root, step.choice(facts if facts and step.random() < 0.4 else places)
            )
    commands: list[tuple[str, ...]] = [("machine", "--root", "tree", *formatted(chance))]
    if chance.random() < 0.05:
        commands.append(("machine", "--root", "tree", "--record", "out-tree"))
    return Case(tuple(commands))


def _change_file(chance: random.Random, root: Path, path: Path) -> None:
    what = chance.randrange(14)
    if path.is_symlink() or not path.is_file():
        what = 0
    if what < 8 and what != 7:
        readable = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20
        content = path.read_bytes() if readable else b""
        if path.suffix == ".json" and chance.random() < 0.8:
            try:
                content = encoded(json.dumps(change_value(chance, json.loads(content))))
            except ValueError:
                content = change_text(chance, content)
        else:
            content = chance.choice((change_text, change_text, change_bytes, _odd_content))(
                chance, content
            )
    path.unlink(missing_ok=True)
    if what < 7:
        path.write_bytes(content)
    elif what == 8:
        os.mkfifo(path)
    elif what == 9:
        path.mkdir()
    elif what == 10:
        target = chance.choice(
            (
                path.name,
                "/dev/zero",
                "/etc/passwd",
                "..",
                "/",
                "nowhere",
                str(root),
                "/proc/self/mem",
                "/dev/tty",
            )
        )
        path.symlink_to(target)
    elif what == 11:
        with path.open("wb") as stream:
            stream.truncate(chance.choice((2**20, 5 * 2**20, 2**33, 2**43)))
    elif what == 12:
        path.mkdir()
        for number in range(chance.choice((1, 300))):
            (path / f"x{number}").write_bytes(b"1\n")


def _odd_content(chance: random.Random, content: bytes) -> bytes:
    return encoded(str(chance.choice((*ODD_INTEGERS, *ODD_TEXTS)))) + chance.choice(
        (b"", b"\n", b" kB\n", b"\n" + content)
    )


# ------------------------------------------------------------------ files of models


@cache
def configs() -> tuple[dict[str, Any], ...]:
    paths = [*(HEADERS / "configs").glob("*.json"), *(TESTS / "data" / "configs").glob("*-*.json")]
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths))


def config(draw: Draw, folder: Path) -> Case:
    """A config.json, alone or in a folder."""
    chance = draw.chance
    values = configs()
    content = content_of(
        chance, draw.steps(), chance.choice(values), lambda value: json_text(chance, value), values
    )
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_bytes(content)
    name = chance.choice(("model/config.json", "model/config.json", "./model"))
    commands = [
        ("spec", "new", name),
        ("check", name, "--machine", chance.choice(machines()), *formatted(chance)),
        judged(chance, name),
    ]
    return Case(tuple(commands))


@cache
def gguf_models() -> tuple[dict[str, Any], ...]:
    """Metadata and tensors of measured models, of moderate size."""
    models = list(
        json.loads((HEADERS / "gguf_models.json").read_text(encoding="utf-8"))["models"].values()
    )
    models += [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(HEADERS.glob("gguf*/*.json"))
    ]
    return tuple(
        {
            "metadata": {
                "general.architecture": model["architecture"],
                "general.name": "A model",
                "general.license": "apache-2.0",
                "general.file_type": {"F16": 1, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18}.get(
                    model["quantization"], 15
                ),
                **{
                    key if key.startswith("tokenizer.") else f"{model['architecture']}.{key}": value
                    for key, value in model["metadata"].items()
                },
                "tokenizer.ggml.model": "none",
                "tokenizer.ggml.tokens": ["a", "", "ü" * 300] * 5,
            },
            "tensors": [
                [name if layer is None else name.replace("*", str(layer)), shape, kind]
                for name, lines in model["tensors"].items()
                for at, shape, kind in lines
                for layer in _layers(at)
            ],
        }
        for model in models
    )


def _layers(at: str | list[int] | None) -> list[int | None]:
    if at is None:
        return [None]
    if isinstance(at, list):
        return list(at)
    start, stop, step = map(int, at.split(":"))
    return list(range(start, stop, step))


# type -> id, elements and bytes of a block (ggml.h)
_GGUF_TYPES = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34),
    "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "I32": (26, 1, 4),
}  # fmt: skip


def gguf_text(text: object) -> bytes:
    content = encoded(str(text))
    return struct.pack("<Q", len(content)) + content


def gguf_value(value: object, chance: random.Random | None = None) -> bytes:
    """A metadata value with its type; what GGUF cannot say becomes a text. With `chance`, sometimes under another type of its width."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        if chance is not None and chance.random() < 0.1:
            return struct.pack("<Iq", 11, value) if value < 2**63 else struct.pack("<IQ", 10, value)
        if 0 <= value < 2**32:
            return struct.pack("<II", 4, value)
        return struct.pack("<Iq", 11, value) if value < 2**63 else struct.pack("<IQ", 10, value)
    if isinstance(value, float):
        return struct.pack("<Id", 12, value) if abs(value) > 3e38 else struct.pack("<If", 6, value)
    if isinstance(value, list) and value:
        if all(isinstance(item, bool) for item in value):
            return struct.pack(f"<IIQ{len(value)}?", 9, 7, len(value), *value)
        if all(isinstance(item, int) and -(2**31) <= item < 2**31 for item in value):
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
        if all(isinstance(item, float | int) and abs(item) < 3e38 for item in value):
            return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(gguf_text, value))
    return struct.pack("<I", 8) + gguf_text(value)


def gguf_bytes(
    metadata: Mapping[str, object], tensors: list[Any], chance: random.Random | None = None
) -> tuple[bytes, int]:
    """A header, and the size of the whole file; with `chance` some counts, types, shapes and offsets are wrong."""
    counts = [len(tensors), len(metadata)]
    if chance is not None and chance.random() < 0.2:
        counts[chance.randrange(2)] = chance.choice((0, 1, counts[0] + 1, 2**31, 2**63, 2**64 - 1))
    version = (
        chance.choice((3, 3, 3, 2, 1, 4, 3 << 16))
        if chance is not None and chance.random() < 0.1
        else 3
    )
    parts = [b"GGUF", struct.pack("<IQQ", version, *counts)]
    parts += [gguf_text(key) + gguf_value(item, chance) for key, item in metadata.items()]
    wrong = (
        chance.randrange(len(tensors))
        if chance is not None and tensors and chance.random() < 0.5
        else -1
    )
    offset = end = 0
    for number, tensor in enumerate(tensors):
        if not (isinstance(tensor, list) and len(tensor) == 3 and isinstance(tensor[1], list)):
            continue
        name, shape, kind = tensor
        sizes = [size % 2**64 if isinstance(size, int) else 1 for size in shape][:9]
        identity, elements, block = (
            _GGUF_TYPES.get(kind, (12, 256, 144)) if isinstance(kind, str) else (12, 256, 144)
        )
        place, dimensions = offset, len(sizes)
        if number == wrong and chance is not None:
            what = chance.randrange(5)
            identity = chance.choice((3, 4, 8, 31, 39, 99, 2**32 - 1)) if what == 0 else identity
            place = (
                chance.choice((place + 1, place + 32, 0, 2**63, 2**64 - 1)) if what == 1 else place
            )
            dimensions = chance.choice((0, 5, 2**31)) if what == 2 else dimensions
            if what == 3 and sizes:
                sizes[chance.randrange(len(sizes))] = chance.choice(
                    (0, 1, 31, 2**32, 2**63, 2**64 - 1)
                )
            name = chance.choice(ODD_TEXTS) if what == 4 else name
        parts.append(
            gguf_text(name)
            + struct.pack(f"<I{len(sizes)}QIQ", dimensions, *sizes, identity, place % 2**64)
        )
        end = offset + prod(sizes) // elements * block
        offset = -(-end // 32) * 32
    header = b"".join(parts)
    header += b"\0" * (-len(header) % 32)
    return header, len(header) + end


def sparse(path: Path, header: bytes, size: int) -> None:
    """A file of that size whose data are a hole."""
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(max(0, min(size, 2**43)))


def gguf(draw: Draw, folder: Path) -> Case:
    """A GGUF file whose metadata, tensors, header or bytes were changed."""
    chance = draw.chance
    models = gguf_models()
    model = chance.choice(models)
    metadata, tensors = model["metadata"], model["tensors"]
    written: random.Random | None = None
    cut: random.Random | None = None
    raw: list[random.Random] = []
    for step in draw.steps():
        what = step.choices(("metadata", "tensors", "header", "bytes", "cut"), (8, 3, 2, 2, 1))[0]
        if what == "metadata":
            changed = change_value(step, metadata, [step.choice(models)["metadata"]])
            metadata = changed if isinstance(changed, dict) else metadata
        elif what == "tensors":
            tensors = _change_tensors(step, tensors)
        elif what == "header":
            written = step
        elif what == "bytes":
            raw.append(step)
        else:
            cut = step
    header, size = gguf_bytes(metadata, tensors, written)
    for step in raw:
        header = change_bytes(step, header)
    if cut is not None:
        size = cut.choice(
            (0, 1, 4, 24, len(header) // 2, len(header), size - 1, size + 1, size // 2)
        )
        header = header[:size]
    sparse(folder / "model.gguf", header, size)
    name = "model.gguf"
    commands = [
        ("check", name, "--machine", chance.choice(machines()), *formatted(chance)),
        judged(chance, name),
    ]
    if chance.random() < 0.3:
        commands.append(("spec", "new", name))
    if chance.random() < 0.1:
        commands.append(
            (
                "check",
                "gpt2",
                chance.choice(("--adapter", "--draft")),
                name,
                "--machine",
                machines()[0],
            )
        )
    return Case(tuple(commands))


def _change_tensors(chance: random.Random, tensors: list[Any]) -> list[Any]:
    if (
        chance.random() < 0.5
        and tensors
        and all(isinstance(tensor, list) and len(tensor) == 3 for tensor in tensors)
    ):
        # the same tensor of every layer
        stem = str(chance.choice(tensors)[0]).rpartition(".")[0].rpartition(".")[2]
        alike = [tensor for tensor in tensors if stem in str(tensor[0])]
        if chance.random() < 0.4:
            return [tensor for tensor in tensors if tensor not in alike]
        at, factor = chance.randrange(4), chance.choice((0, 1, 2, 3, 256))
        return [_scaled(tensor, at, factor) if tensor in alike else tensor for tensor in tensors]
    changed = change_value(chance, tensors)
    return changed if isinstance(changed, list) else tensors


def _scaled(tensor: list[Any], at: int, factor: int) -> list[Any]:
    name, shape, kind = tensor
    return [
        name,
        [size * factor if place == at else size for place, size in enumerate(shape)]
        if isinstance(shape, list)
        else [],
        kind,
    ]


@cache
def safetensors_models() -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
    """Configs of small models with the header of their weights: a Llama, and the same in packed and 8-bit types."""
    models = []
    stored: tuple[tuple[str, str], ...] = (
        ("BF16", "BF16"),
        ("F32", "F32"),
        ("F8_E4M3", "F32"),
        ("I32", "F16"),
        ("U32", "BF16"),
    )
    for kinds in stored:
        shapes: dict[str, tuple[str, list[int]]] = {
            "model.embed_tokens.weight": (kinds[1], [100, 64]),
            "lm_head.weight": (kinds[1], [100, 64]),
            "model.norm.weight": (kinds[1], [64]),
        }
        for layer in range(2):
            for name, shape in (
                ("self_attn.q_proj", [64, 64]), ("self_attn.k_proj", [32, 64]), ("self_attn.v_proj", [32, 64]),
                ("self_attn.o_proj", [64, 64]),
                ("mlp.gate_proj", [128, 64]), ("mlp.up_proj", [128, 64]), ("mlp.down_proj", [64, 128]), ("input_layernorm", [64]),
            ):  # fmt: skip
                shapes[f"model.layers.{layer}.{name}.weight"] = (
                    kinds[0] if len(shape) > 1 else kinds[1],
                    shape,
                )
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, (dtype, shape) in shapes.items():
            size = (
                prod(shape)
                * {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "I32": 4, "U32": 4}[dtype]
            )
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
            end += size
        stated: dict[str, Any] = {
            "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 256,
        }  # fmt: skip
        if kinds[0] == "I32":
            stated["quantization_config"] = {
                "quant_method": "awq",
                "bits": 4,
                "group_size": 32,
                "version": "gemm",
            }
        if kinds[0] == "U32":
            stated["quantization"] = {"group_size": 32, "bits": 4}
        if kinds[0] == "F8_E4M3":
            stated["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
        models.append((stated, header))
    return tuple(models)


def safetensors(draw: Draw, folder: Path) -> Case:
    """A folder with config.json, weights and an index, or an adapter as peft writes it; one of them changed."""
    chance = draw.chance
    stated, header = chance.choice(safetensors_models())
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    adapter = chance.random() < 0.15
    if adapter:
        stated = {
            "peft_type": "LORA",
            "r": 8,
            "base_model_name_or_path": "gpt2",
            "target_modules": ["c_attn"],
            "lora_alpha": 16,
        }
        header = {
            "base_model.model.h.0.attn.c_attn.lora_A.weight": {
                "dtype": "F32",
                "shape": [8, 768],
                "data_offsets": [0, 24576],
            },
            "base_model.model.h.0.attn.c_attn.lora_B.weight": {
                "dtype": "F32",
                "shape": [2304, 8],
                "data_offsets": [24576, 98304],
            },
        }
        end = 98304
    index: Any = {
        "metadata": {"total_size": end},
        "weight_map": {name: "model.safetensors" for name in header if name[:2] != "__"},
    }
    chosen = chance.choices(("header", "config", "index"), (5, 2, 2))[0]
    steps = draw.steps()
    contents = {
        "header": encoded(json.dumps(header)),
        "config": encoded(json.dumps(stated)),
        "index": encoded(json.dumps(index)),
    }
    value = {"header": header, "config": stated, "index": index}[chosen]
    others = (
        configs()
        if chosen == "config"
        else [safetensors_models()[0][1]]
        if chosen == "header"
        else []
    )
    contents[chosen] = content_of(
        chance, steps, value, lambda item: json_text(chance, item), others
    )
    start = struct.pack(
        "<Q",
        len(contents["header"])
        if chance.random() < 0.95
        else chance.choice((0, 1, 2**27, 2**63, 2**64 - 1)),
    )
    size = 8 + len(contents["header"]) + end + chance.choice((0, 0, 0, 0, 0, 0, 1, -1, -end))
    here = folder / "model"
    here.mkdir()
    sparse(
        here / ("adapter_model.safetensors" if adapter else "model.safetensors"),
        start + contents["header"],
        size,
    )
    (here / ("adapter_config.json" if adapter else "config.json")).write_bytes(contents["config"])
    if adapter:
        words = (
            "check",
            "gpt2",
            "--adapter",
            "model",
            "--machine",
            chance.choice(machines()),
            *workload(chance, "check"),
        )
        return Case(((*words, *formatted(chance)),))
    if chosen == "index" or chance.random() < 0.3:
        (here / "model.safetensors.index.json").write_bytes(contents["index"])
    name = chance.choice(
        ("./model", "./model", "model/model.safetensors", "model/model.safetensors.index.json")
    )
    commands = [
        ("check", name, "--machine", chance.choice(machines()), *formatted(chance)),
        judged(chance, name),
        ("spec", "new", name),
    ]
    return Case(tuple(commands[: chance.choice((1, 2, 3))]))


# ------------------------------------------------------------------ command lines

_WORDS: Mapping[str, tuple[str, ...]] = {
    "FILE": (
        "out.txt",
        "out/out.txt",
        "m.json",
        "",
        "/dev/full",
        "/dev/null",
        "fifo",
        ".",
        "no/such/out",
    ),
    "DIR": ("out-dir", "specs", ".", "", "/proc", "no-such", "fifo", "m.json"),
    "FILE|DIR|PROFILE": (
        "m.json",
        ".",
        "specs",
        "fifo",
        "-",
        "macbook-pro-m4-max-48gb",
        "raspberry",
        "/dev/zero",
        "/proc/self/mem",
        "/",
    ),
    "FILE|DIR|-": ("m.json", ".", "records", "fifo", "-", "/dev/zero", "/"),
    "MODEL": (
        *MODEL_NAMES,
        "m.json",
        "audit.toml",
        "fifo",
        "/dev/zero",
        "x.gguf",
        "specs/my-model.toml",
        "gpt2:",
        ":",
        "/",
        "a/b/c",
    ),
    "POLICY": ("audit.toml", "m.json", "fifo", "", "/dev/zero", "no-such.toml"),
    "KEY=VALUE": (
        "memory=16GiB",
        "cores=1",
        "disk=0",
        "gpu=24GiB",
        "gpu=none",
        "gpu=0x1GiB",
        "bandwidth=1B/s",
        "memory=",
        "=",
        "site=a",
    ),
    "N": ("1", "8k", "0", "-1", "1e3", "٣", "1_000", " 7 ", "9" * 30, "nan"),
    "SIZE": ("16GiB", "0", "-1GB", "1e400GB", "٣GB", "GB", "infGB", "nanGiB"),
    "RATE": ("100Mbit/s", "0B/s", "1e-9B/s", "٣MB/s"),
    "TIME": ("30s", "0s", "1e9h", "٣s", "-1m"),
    "TOKENS_PER_SECOND": ("5", "0", "nan", "inf", "-1", "1e400", "٣"),
    "NAME[=FILE]": (
        "text",
        "json",
        "jsonl",
        "junit",
        "junit=out.xml",
        "json=out.json",
        "junit=audit.toml",
        "text=",
        "junit=fifo",
        "=",
        "x",
    ),
    "YYYY-MM-DD": ("2027-01-01", "", "2027-13-01", "٢٠٢٧-01-01", "9999-12-31", "0001-01-01"),
    "IN:OUT|N": ("2M:500k", "1", "0", "1:0", ":", "1e30:1"),
    "EXPR": ("MIT", "Apache-2.0 OR MIT", "(", "MIT AND", "", "(" * 300 + "MIT" + ")" * 300),
    "FILE|rank=N": ("rank=16", "rank=0", "rank=", "rank=" + "9" * 30, "fifo", "m.json"),
}


@cache
def _options(command: str) -> tuple[argparse.Action, ...]:
    from selfhost.cli.main import parser_of

    return tuple(parser_of(command)._actions)


def command_line(draw: Draw, folder: Path) -> Case:
    """Any command with options and words that suit, or do not."""
    chance = draw.chance
    from selfhost.cli import COMMANDS

    shutil.copy(machines()[0], folder / "m.json")
    shutil.copy(REPOSITORY / "examples" / "audit.toml", folder / "audit.toml")
    (folder / "specs").mkdir()
    (folder / "records").mkdir()
    for path in machines():
        shutil.copy(path, folder / "records")
    shutil.copy(REPOSITORY / "examples" / "specs" / "my-model.toml", folder / "specs")
    os.mkfifo(folder / "fifo")
    command = chance.choice((*COMMANDS, "check", "check", "audit", "show", "plan", "machine"))
    words: list[str] = [command]
    positional = [action for action in _options(command) if not action.option_strings]
    flags = [
        action for action in _options(command) if action.option_strings and action.dest != "help"
    ]
    for action in positional:
        words += [_word(chance, action)] if chance.random() < 0.95 else []
        if action.nargs == "+" and chance.random() < 0.3:
            words.append(_word(chance, action))
    if command in ("check", "list", "show", "compare") and chance.random() < 0.85:
        words += ["--machine", "m.json"]
    if command == "machine" and chance.random() < 0.5:
        words += ["--root", str(chance.choice(trees()))]
    for step in draw.steps(6):
        if flags:
            words += _option(step, step.choice(flags))
        if step.random() < 0.08:
            words.insert(
                step.randrange(len(words) + 1),
                step.choice(("--", "-", "", "-x", "--help", "@m.json", "--no", *ODD_TEXTS)),
            )
    return Case((tuple(words),))


def _word(chance: random.Random, action: argparse.Action) -> str:
    if action.choices is not None and chance.random() < 0.8:
        return str(chance.choice(tuple(action.choices)))
    pool = _WORDS.get(str(action.metavar), MODEL_NAMES)
    if chance.random() < 0.75:
        return chance.choice(pool)
    odd = chance.choice((*ODD_TEXTS, *map(str, ODD_INTEGERS)))
    # what is written stays in the folder
    return odd.replace("/", "_") if action.dest in ("output", "record", "format", "policy") else odd


def _option(chance: random.Random, action: argparse.Action) -> list[str]:
    flag = chance.choice(action.option_strings)
    if action.nargs == 0:
        return [flag if chance.random() < 0.95 else f"{flag}=x"]
    value = _word(chance, action)
    shape = chance.randrange(20)
    if shape == 0:
        return [flag]
    if shape == 1:
        return [f"{flag}=--"]
    if shape == 2:
        return [f"{flag}="]
    return [f"{flag}={value}"] if chance.random() < 0.4 else [flag, value]


KINDS: Mapping[str, Callable[[Draw, Path], Case]] = {
    "spec": spec,
    "record": record,
    "policy": policy,
    "config": config,
    "gguf": gguf,
    "safetensors": safetensors,
    "tree": tree,
    "command": command_line,
}
