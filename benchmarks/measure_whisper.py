"""What whisper.cpp and faster-whisper really take on a CPU: figures for `tests/truth/whisper.json`. Not part of the checks.

    pip install ctranslate2 faster-whisper numpy
    python benchmarks/measure_whisper.py --out FILE [--program PATH/whisper-bench] [--cli PATH/whisper-cli] [--only TEXT]

Models have the shapes of Whisper and random weights. whisper.cpp is built from its source (`ninja whisper-bench whisper-cli`; that of
pywhispercpp 1.5.1) and prints its own buffers; without `--program` and `--cli` only faster-whisper is measured. Peak resident memory is
that of the child process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from typing import Any

from rig import Stages, about

# width, layers of the encoder, layers of the decoder, heads, mel bins, vocabulary
SIZES = {
    "tiny": (384, 4, 4, 6, 80, 51865),
    "base": (512, 6, 6, 8, 80, 51865),
    "small": (768, 12, 12, 12, 80, 51865),
    "medium": (1024, 24, 24, 16, 80, 51865),
    "large-v3": (1280, 32, 32, 20, 128, 51866),
    "large-v3-turbo": (1280, 32, 4, 20, 128, 51866),
}
# whose benchmark is run to its end; of the others the buffers are enough
_RUN = ("tiny", "base")
# runs of whisper-cli: seconds of audio, beams, tokens of text before the first half minute, threads
_CLI = {
    "tiny": (
        (11, 5, 0, 2),
        (11, 5, 223, 2),
        (11, 1, 223, 2),
        (600, 5, 223, 2),
        (11, 5, 223, 4),
        (11, 5, 223, 8),
    ),
    "base": ((11, 5, 0, 2), (11, 5, 223, 2), (11, 1, 223, 2), (600, 5, 223, 2), (600, 5, 223, 4)),
    "small": ((11, 5, 0, 2), (11, 5, 223, 2), (600, 5, 223, 4)),
    "medium": ((11, 5, 0, 2), (300, 5, 223, 4)),
    "large-v3-turbo": ((11, 5, 0, 2), (300, 5, 223, 4)),
}


def _tensors(size: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes as OpenAI's checkpoint has them."""
    width, above, below, _, mels, vocabulary = SIZES[size]
    yield "encoder.positional_embedding", (1500, width)
    yield "encoder.conv1.weight", (width, mels, 3)
    yield "encoder.conv1.bias", (width, 1)
    yield "encoder.conv2.weight", (width, width, 3)
    yield "encoder.conv2.bias", (width, 1)
    yield "decoder.positional_embedding", (448, width)
    yield "decoder.token_embedding.weight", (vocabulary, width)
    for part, layers, attentions in (
        ("encoder", above, ("attn",)),
        ("decoder", below, ("attn", "cross_attn")),
    ):
        for name in ("ln_post",) if part == "encoder" else ("ln",):
            yield f"{part}.{name}.weight", (width,)
            yield f"{part}.{name}.bias", (width,)
        for layer in range(layers):
            block = f"{part}.blocks.{layer}"
            for attention in attentions:
                for name in ("query", "key", "value", "out"):
                    yield f"{block}.{attention}.{name}.weight", (width, width)
                    if name != "key":
                        yield f"{block}.{attention}.{name}.bias", (width,)
                yield f"{block}.{attention}_ln.weight", (width,)
                yield f"{block}.{attention}_ln.bias", (width,)
            yield f"{block}.mlp.0.weight", (4 * width, width)
            yield f"{block}.mlp.0.bias", (4 * width,)
            yield f"{block}.mlp.2.weight", (width, 4 * width)
            yield f"{block}.mlp.2.bias", (width,)
            yield f"{block}.mlp_ln.weight", (width,)
            yield f"{block}.mlp_ln.bias", (width,)


def write_ggml(size: str, path: Path) -> None:
    """A file as models/convert-pt-to-ggml.py of whisper.cpp writes it: matrices and convolutions in 16 bits."""
    numpy = import_module("numpy")
    random = numpy.random.default_rng(1)
    width, above, below, heads, mels, vocabulary = SIZES[size]
    with path.open("wb") as file:
        file.write(
            struct.pack(
                "12i",
                0x67676D6C,
                vocabulary,
                1500,
                width,
                heads,
                above,
                448,
                width,
                heads,
                below,
                mels,
                1,
            )
        )
        file.write(struct.pack("2i", mels, 201))
        file.write(numpy.full(mels * 201, 0.01, "f4").tobytes())
        file.write(struct.pack("i", 50257))
        for number in range(50257):
            # the program looks for a blank, which no text may begin with
            word = b" " if number == 220 else f"w{number}".encode()
            file.write(struct.pack("i", len(word)) + word)
        for name, shape in _tensors(size):
            half = len(shape) > 1 and name.endswith(".weight")
            file.write(struct.pack("3i", len(shape), len(name), int(half)))
            file.write(struct.pack(f"{len(shape)}i", *shape[::-1]) + name.encode())
            values = (
                random.standard_normal(shape, "f4") * 0.02
                if size in _CLI
                else numpy.zeros(shape, "f4")
            )
            file.write(values.astype("f2" if half else "f4").tobytes())


# a small process in between: at exec a child takes over the high-water mark of its parent
_BETWEEN = (
    "import resource, subprocess, sys\n"
    "done = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
    "sys.exit(done.returncode)"
)


def _run(command: list[str], threads: int = 1) -> tuple[str, int]:
    """What the program says, and its peak resident memory. `threads` 0: as many as it takes by itself."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    done = subprocess.run(
        [sys.executable, "-S", "-c", _BETWEEN, *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    said, _, peak = done.stdout.rstrip().rpartition("\n")
    return said, int(peak)


def _until(command: list[str], text: str) -> str:
    """What the program says up to the line with that text."""
    said = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said += line
            if text in line:
                break
        process.kill()
    return said


def whisper_cpp(program: str, size: str, folder: Path, *, flash: bool) -> dict[str, Any]:
    """The buffers that whisper.cpp prints while it loads (MB are 10**6), and its peak after a benchmark run."""
    path = folder / f"{size}.bin"
    if not path.exists():
        write_ggml(size, path)
    command = [program, "-m", str(path), "-t", "1", *([] if flash else ["-nfa"])]
    said, peak = (
        _run(command) if size in _RUN else (_until(command, "compute buffer (decode)"), None)
    )
    buffers = {
        " ".join(name.split()): round(float(value) * 1e6)
        for name, value in re.findall(r"whisper_init_state: ([a-z() ]+?)\s*=\s*([\d.]+) MB", said)
    }
    weights = re.search(r"model size\s*=\s*([\d.]+) MB", said)
    assert weights is not None
    return {
        "size": size, "shape": SIZES[size], "flash_attention": flash, "file_bytes": path.stat().st_size,
        "model_bytes": round(float(weights[1]) * 1e6), "buffers": buffers, "peak_bytes": peak,
    }  # fmt: skip


def whisper_cli(
    program: str, size: str, folder: Path, seconds: int, beams: int, prompt: int, threads: int
) -> dict[str, Any]:
    """Peak of whisper-cli over one half minute. A prompt of blanks stands for the text that the half minutes before have left; the
    program takes 223 tokens of it at most and puts four or five of its own beside them."""
    numpy = import_module("numpy")
    path, sound = folder / f"{size}.bin", folder / f"{seconds}.wav"
    if not path.exists():
        write_ggml(size, path)
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(
            (numpy.random.default_rng(1).standard_normal(seconds * 16000) * 3000)
            .astype("<i2")
            .tobytes()
        )
    command = [
        program,
        "-m",
        str(path),
        "-f",
        str(sound),
        "-t",
        str(threads),
        "-bs",
        str(beams),
        "-nf",
        "-nt",
        "-d",
        "29000",
    ]
    peak = _run([*command, "--prompt", " " * prompt] if prompt else command, threads)[1]
    return {
        "size": size, "audio_seconds": seconds, "beams": beams, "prompt_tokens": prompt, "threads": threads,
        "file_bytes": path.stat().st_size, "peak_bytes": peak,
    }  # fmt: skip


def write_ctranslate2(size: str, folder: Path, quantization: str) -> None:
    """A folder as ct2-transformers-converter makes it."""
    numpy, spec = import_module("numpy"), import_module("ctranslate2.specs.whisper_spec")
    width, above, below, heads, mels, vocabulary = SIZES[size]
    made = spec.WhisperSpec(above, heads, below, heads)
    random = numpy.random.default_rng(1)

    def fill(*shape: int) -> Any:
        return random.standard_normal(shape, "f4") * 0.02

    def linear(part: Any, out: int, inner: int) -> None:
        part.weight, part.bias = fill(out, inner), fill(out)

    def norm(part: Any) -> None:
        part.gamma, part.beta = fill(width), fill(width)

    for part, positions in ((made.encoder, 1500), (made.decoder, 448)):
        part.position_encodings.encodings = fill(positions, width)
        norm(part.layer_norm)
        for layer in part.layer:
            linear(layer.self_attention.linear[0], 3 * width, width)
            linear(layer.self_attention.linear[1], width, width)
            norm(layer.self_attention.layer_norm)
            if part is made.decoder:
                linear(layer.attention.linear[0], width, width)
                linear(layer.attention.linear[1], 2 * width, width)
                linear(layer.attention.linear[2], width, width)
                norm(layer.attention.layer_norm)
            linear(layer.ffn.linear_0, 4 * width, width)
            linear(layer.ffn.linear_1, width, 4 * width)
            norm(layer.ffn.layer_norm)
    made.encoder.conv1.weight, made.encoder.conv1.bias = fill(width, mels, 3), fill(width)
    made.encoder.conv2.weight, made.encoder.conv2.bias = fill(width, width, 3), fill(width)
    made.decoder.embeddings.weight = fill(vocabulary, width)
    made.decoder.projection.weight = made.decoder.embeddings.weight
    made.decoder.scale_embeddings = False
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>"]
    rest = [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    # every byte, so that any text can be told
    letters = sorted(import_module("tokenizers.pre_tokenizers").ByteLevel.alphabet())
    tokens = (
        letters
        + [f"w{number}" for number in range(len(letters), 50257)]
        + special
        + [f"<|l{n}|>" for n in range(vocabulary - 50257 - 9 - 1501)]
        + rest
    )
    tokens += [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    made.register_vocabulary(tokens)
    made.config.suppress_ids, made.config.suppress_ids_begin, made.config.lang_ids = [], [], [50259]
    made.config.alignment_heads = [[below - 1, 0]]
    made.validate()
    made.optimize(quantization=quantization)
    made.save(str(folder))
    vocabulary_of = {token: number for number, token in enumerate(tokens)}
    added = [{"id": number, "content": token, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
             for token, number in vocabulary_of.items() if number >= 50257]  # fmt: skip
    words = {token: number for token, number in vocabulary_of.items() if number < 50257}
    decoder = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    model: dict[str, Any] = {
        "type": "BPE", "vocab": words, "merges": [], "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
        "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(
        json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                    "pre_tokenizer": decoder, "post_processor": None, "decoder": decoder, "model": model})
    )  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": mels}))


def transcribe(folder: str, compute: str, beams: int, seconds: int, threads: int) -> dict[str, Any]:
    """One answer of faster-whisper in this process. Of more than 30 seconds the first 30 are written down, with as much text before
    and after as the program allows; the spectrum is made of all.
    """
    numpy, faster = import_module("numpy"), import_module("faster_whisper")

    stages = Stages()
    stages.note("imported")
    model: Any = faster.WhisperModel(
        folder, device="cpu", compute_type=compute, cpu_threads=threads
    )
    stages.note("loaded")
    audio = numpy.random.default_rng(1).standard_normal(
        seconds * 16000, dtype="f4"
    ) * numpy.float32(0.1)
    short = {"max_new_tokens": 64, "without_timestamps": True}
    whole = {"clip_timestamps": "0,30", "initial_prompt": [100] * 300, "suppress_tokens": [50257]}
    asked = short if seconds <= 30 else whole
    segments, _ = model.transcribe(audio, language="en", beam_size=beams, temperature=0.0, **asked)
    stages.note("spectrum")
    list(segments)
    stages.note("done")
    return {"stages": stages.seen}


def _heard(size: str) -> Iterator[tuple[str, str, int, int, int]]:
    """Runs of faster-whisper: type of the file, type computed in, seconds of audio, beams, threads."""
    for stored, compute in (("float16", "int8"), ("float16", "float32"), ("int8", "int8")):
        for beams in (5, 1) if size in ("tiny", "small") else (5,):
            yield stored, compute, 30, beams, 1
    for compute in ("int8", "float32"):
        for threads in (1, 2, 4, 8):
            yield "float16", compute, 600, 5, threads


def main() -> None:
    """Measures what the file does not hold yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write or to go on with")
    parser.add_argument("--program", help="whisper-bench of whisper.cpp")
    parser.add_argument("--cli", help="whisper-cli of whisper.cpp")
    parser.add_argument("--only", default="", help="only runs whose name has this text")
    parser.add_argument("--transcribe", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.transcribe:
        folder, compute, beams, seconds, threads = given.transcribe
        print(json.dumps(transcribe(folder, compute, int(beams), int(seconds), int(threads))))
        return
    record = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    made = about(
        "benchmarks/measure_whisper.py: models with random weights, each run in a fresh process, on one CPU thread where `threads` does"
        " not say; whisper.cpp 1.8.5",
        "buffers as whisper.cpp prints them, to 10,000 bytes; peak_bytes: ru_maxrss, stages from /proc/self/status; noise",
        ("ctranslate2", "faster-whisper", "numpy"),
    )
    found = {
        "about": made,
        **{key: record.get(key, []) for key in ("whisper.cpp", "whisper-cli", "faster-whisper")},
    }
    # figures of others stay
    found |= {key: value for key, value in record.items() if key not in found}
    seen = {
        run["name"]
        for key in ("whisper.cpp", "whisper-cli", "faster-whisper")
        for run in found[key]
    }

    def keep(key: str, name: str, run: dict[str, Any]) -> None:
        found[key].append({"name": name, **run})
        print(name, flush=True)
        lines = []
        for part, value in found.items():
            text = (
                "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
                if isinstance(value, list)
                else json.dumps(value)
            )
            lines.append(f"{json.dumps(part)}:{text}")
        given.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    with tempfile.TemporaryDirectory() as temporary:
        room = Path(temporary)
        for size in SIZES:
            for flash in (True, False):
                name = f"whisper.cpp {size} flash={flash}"
                if given.program and given.only in name and name not in seen:
                    keep("whisper.cpp", name, whisper_cpp(given.program, size, room, flash=flash))
            for seconds, beams, prompt, threads in _CLI.get(size, ()):
                name = f"whisper-cli {size} audio={seconds} beams={beams} prompt={prompt} threads={threads}"
                if given.cli and given.only in name and name not in seen:
                    keep(
                        "whisper-cli",
                        name,
                        whisper_cli(given.cli, size, room, seconds, beams, prompt, threads),
                    )
            (room / f"{size}.bin").unlink(missing_ok=True)
            for stored, compute, seconds, beams, threads in _heard(size):
                name = f"faster-whisper {size} {stored} compute={compute} beams={beams}"
                name += (f" audio={seconds}" if seconds > 30 else "") + (
                    f" threads={threads}" if threads > 1 else ""
                )
                if given.only not in name or name in seen:
                    continue
                folder = room / f"{size}-{stored}"
                if not folder.exists():
                    folder.mkdir()
                    write_ctranslate2(size, folder, stored)
                asked = [str(folder), compute, str(beams), str(seconds), str(threads)]
                said, _ = _run([sys.executable, __file__, "--transcribe", *asked], threads)
                run: dict[str, Any] = {
                    "size": size,
                    "stored": stored,
                    "compute": compute,
                    "beams": beams,
                    "audio_seconds": seconds,
                }
                run |= {
                    "threads": threads,
                    "file_bytes": (folder / "model.bin").stat().st_size,
                    **json.loads(said.splitlines()[-1]),
                }
                keep("faster-whisper", name, run)
            for folder in room.glob(f"{size}-*"):
                rmtree(folder)


if __name__ == "__main__":
    main()
