"""What the programs of llama.cpp really take on a CPU with small models: figures for `tests/truth/llamacpp_programs.json`. Linux only.

    pip install gguf numpy
    python benchmarks/measure_llamacpp.py --out FILE --programs BUILD/bin --tree LLAMA_CPP [--only TEXT]

Models have the names, shapes and metadata of models of the catalogue and no data; vocabularies and chat templates are real ones, of
`models/` in the tree of llama.cpp, cut or filled up to the number of tokens. Each run is a fresh process that reads a prompt of more
than a micro-batch and writes four tokens, or embeds a text as long as the context.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from rig import about

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import Architecture
from selfhost.needs.quantization import Stored, row_bytes, stored
from selfhost.needs.tensors import ArchitectureRow, gguf_tensors, row_of

# model, file of its vocabulary, chat template
TEXTS = (
    ("smollm2-135m-instruct", "starcoder", "HuggingFaceTB-SmolLM3-3B"),
    ("pythia-160m", "gpt-neox", ""),
    ("gpt2", "gpt-2", ""),
    ("gemma-3-270m-it", "gemma-4", "google-gemma-2-2b-it"),
    ("lfm2-350m", "llama-bpe", "LFM2.5-Instruct"),
    ("granite-4.0-350m", "llama-bpe", "ibm-granite-granite-4.0"),
    ("qwen2.5-0.5b-instruct", "qwen2", "Qwen-Qwen2.5-7B-Instruct"),
    ("qwen3-0.6b", "qwen2", "Qwen-Qwen3-0.6B"),
    ("tinyllama-1.1b-chat-v1.0", "llama-spm", ""),
    ("llama-3.2-1b-instruct", "llama-bpe", "meta-llama-Llama-3.2-3B-Instruct"),
    ("falcon-h1-0.5b-instruct", "falcon", "HuggingFaceTB-SmolLM3-3B"),
)
# model, file of its vocabulary, how it pools (llama.cpp: 1 mean, 2 first token, 3 last token)
EMBEDDINGS = (
    ("bge-small-en-v1.5", "bert-bge", 2),
    ("bge-base-en-v1.5", "bert-bge", 2),
    ("bge-large-en-v1.5", "bert-bge", 2),
    ("nomic-embed-text-v1.5", "bert-bge", 1),
    ("multilingual-e5-base", "nomic-bert-moe", 1),
    ("bge-m3", "nomic-bert-moe", 2),
    ("embeddinggemma-300m", "gemma-4", 1),
    ("qwen3-embedding-0.6b", "qwen2", 3),
)
_VOCABULARIES = {model: file for model, file, _ in (*TEXTS, *EMBEDDINGS)}
# a pangram is nine tokens or more in every vocabulary
_SENTENCE = "The quick brown fox jumps over the lazy dog. "
_CONTROL = 3


def cases() -> list[dict[str, Any]]:
    """Programs and the options they differ by; Q4_K_M is what most people load, Q8_0 has no second layout."""
    found: list[dict[str, Any]] = []
    for model, _, _ in TEXTS:
        found.append(
            {
                "program": "llama-server",
                "model": model,
                "quant": "Q4_K_M",
                "n_ctx": 1024 if model == "gpt2" else 2048,
            }
        )
    for model, longest in (("gemma-3-270m-it", 3000), ("falcon-h1-0.5b-instruct", 1000)):
        whole = {"program": "llama-server", "model": model, "quant": "Q4_K_M", "n_ctx": 4096}
        found += [whole | {"prompt": 100}, whole | {"prompt": longest}]
    for model in ("smollm2-135m-instruct", "qwen3-0.6b"):
        for program in ("llama-cli", "llama-completion", "llama-cpp-python"):
            found.append({"program": program, "model": model, "quant": "Q4_K_M", "n_ctx": 2048})
    for model in ("gemma-3-270m-it", "lfm2-350m"):
        found.append(
            {"program": "llama-cpp-python", "model": model, "quant": "Q4_K_M", "n_ctx": 2048}
        )
    found += _in_python()
    one = {"program": "llama-server", "model": "smollm2-135m-instruct"}
    found += [one | {"quant": "Q8_0", "n_ctx": 2048}, one | {"quant": "Q4_K_M", "n_ctx": 8192}]
    found += [
        one | {"quant": "Q4_K_M", "n_ctx": 8192, "parallel": 4},
        one | {"quant": "Q4_K_M", "n_ctx": 2048, "threads": 8},
    ]
    found += [one | {"quant": "Q4_K_M", "n_ctx": 2048, "threads_http": 64}]
    # what is copied to go back to: of each of four sequences, and as one conversation goes on
    windowed = {
        "program": "llama-server",
        "model": "gemma-3-270m-it",
        "quant": "Q4_K_M",
        "n_ctx": 8192,
    }
    found += [
        windowed | {"parallel": 4},
        windowed | {"parallel": 4, "asked": 4},
        windowed | {"n_ctx": 12288, "turns": 12},
    ]
    found.append(
        {
            "program": "llama-server",
            "model": "lfm2-350m",
            "quant": "Q4_K_M",
            "n_ctx": 8192,
            "parallel": 4,
            "asked": 4,
        }
    )
    for model, _, _ in EMBEDDINGS:
        architecture = Catalogue.open().spec(model).architecture
        longest = min(1024, (architecture and architecture.context_tokens) or 512)
        found.append({"program": "llama-server", "model": model, "quant": "F16", "n_ctx": longest})
    found.append(
        {"program": "llama-embedding", "model": "bge-small-en-v1.5", "quant": "F16", "n_ctx": 512}
    )
    found.append(
        {"program": "llama-server", "model": "bge-small-en-v1.5", "quant": "Q8_0", "n_ctx": 512}
    )
    found.append({"program": "llama-server", "model": "bge-m3", "quant": "F16", "n_ctx": 4096})
    return found


def _in_python() -> list[dict[str, Any]]:
    """What llama-cpp-python touches of what it reserves, by how much of the context is used, and by its own options."""
    small: dict[str, Any] = {
        "program": "llama-cpp-python",
        "model": "smollm2-135m-instruct",
        "quant": "Q4_K_M",
    }
    found = [small | {"n_ctx": 8192, "prompt": tokens} for tokens in (1, 500, 2000)]
    found += [small | {"n_ctx": 512, "prompt": 500}, small | {"n_ctx": 2048, "prompt": 2000}]
    short = small | {"n_ctx": 2048, "prompt": 500}
    found += [
        short | option
        for option in (
            {"logits_all": True},
            {"flash_attn": True},
            {"mmap": False},
            {"threads": 4},
            {"turns": 3},
        )
    ]
    found += [short | {"quant": "Q8_0"}]
    for model in (
        "pythia-160m",
        "granite-4.0-350m",
        "llama-3.2-1b-instruct",
        "qwen2.5-0.5b-instruct",
        "tinyllama-1.1b-chat-v1.0",
    ):
        found.append(short | {"model": model, "prompt": 1000})
    found.append(small | {"model": "bge-small-en-v1.5", "quant": "F16", "n_ctx": 512})
    found.append(small | {"model": "qwen3-embedding-0.6b", "quant": "F16", "n_ctx": 512})
    found.append(small | {"model": "gemma-3-270m-it", "n_ctx": 4096, "prompt": 500})
    return found


def name_of(case: dict[str, Any]) -> str:
    """One line that tells a run from every other."""
    return " ".join(
        f"{value}" if key in ("program", "model", "quant") else f"{key}={value}"
        for key, value in case.items()
    )


# ------------------------------------------------------------------ files


def _vocabulary(writer: Any, gguf: Any, file: Path, architecture: Architecture) -> None:
    """The tokenizer's keys of a file that has nothing else, with as many tokens as the model has."""
    read, kinds = gguf.GGUFReader(file), gguf.GGUFValueType
    count = architecture.vocabulary_gguf or architecture.vocabulary or 0
    gemma = architecture.row.startswith("gemma")
    for key, field in read.fields.items():
        if not key.startswith("tokenizer.") or key == "tokenizer.chat_template":
            continue
        value, kind = field.contents(), field.types[0]
        if key == "tokenizer.ggml.merges":
            if gemma:
                continue
            value = value[: max(0, count - 256)]
        elif key == "tokenizer.ggml.model" and gemma:
            # Gemma 3 has the same tokens with scores instead of merges
            value = "llama"
        elif kind == kinds.ARRAY and key.rpartition(".")[2] in ("tokens", "scores", "token_type"):
            fill: dict[str, Any] = {"tokens": None, "scores": -1e6, "token_type": _CONTROL}
            value = value[:count]
            missing = range(count - len(value))
            value += [
                f"[PAD{number}]" if key.endswith(".tokens") else fill[key.rpartition(".")[2]]
                for number in missing
            ]
        elif key.endswith("_token_id") and value >= count:
            value = count - 1
        if kind == kinds.ARRAY:
            writer.add_array(key, bytes(value) if field.types[-1] == kinds.UINT8 else value)
        else:
            writer.add_key_value(key, value, kind)
    if gemma and "tokenizer.ggml.scores" not in read.fields:
        writer.add_token_scores([-float(number) for number in range(count)])


def _named_metadata(writer: Any, name: str) -> None:
    """What the loader of that architecture wants beside."""
    if name == "gptneox":
        writer.add_bool("gptneox.use_parallel_residual", True)
    if name in ("granite", "granitemoe"):
        writer.add_float32(f"{name}.logit_scale", 8.0)
    if name in ("bert", "nomic-bert"):
        writer.add_bool(f"{name}.attention.causal", False)


def _metadata(writer: Any, made: Architecture) -> None:
    name = made.row
    heads = made.attention[0]

    def number(key: str, value: int | list[int]) -> None:
        if isinstance(value, list):
            writer.add_array(f"{name}.{key}", value)
        else:
            writer.add_uint32(f"{name}.{key}", value)

    cached = [0] * made.layers
    for group in made.attention:
        for layer in group.layers:
            cached[layer] = group.kv_heads
    number("context_length", made.context_tokens or 2048)
    number("embedding_length", made.embedding_length)
    number("block_count", made.layers)
    number("feed_forward_length", made.feed_forward[0].length)
    number("attention.head_count", heads.heads)
    number("attention.head_count_kv", cached if len(set(cached)) > 1 else cached[0])
    number("attention.key_length", heads.key_length)
    number("attention.value_length", heads.value_length)
    number("rope.dimension_count", heads.key_length // 4 if name == "gptneox" else heads.key_length)
    for key in ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"):
        writer.add_float32(f"{name}.{key}", 1e-5)
    writer.add_float32(f"{name}.rope.freq_base", 1e4)
    windows = [group.window_tokens for group in made.attention if group.window_tokens]
    if windows:
        number("attention.sliding_window", windows[0])
    routed = next((group for group in made.feed_forward if group.experts), None)
    if routed is not None:
        number("expert_count", routed.experts or 0)
        number("expert_used_count", routed.used or 0)
        number("expert_feed_forward_length", routed.length)
    for state in made.recurrent:
        if state.kind == "mamba2":
            lengths = (
                state.convolution,
                state.inner_length,
                state.state_length,
                state.heads,
                state.groups,
            )
            for key, length in zip(
                ("conv_kernel", "inner_size", "state_size", "time_step_rank", "group_count"),
                lengths,
                strict=True,
            ):
                number(f"ssm.{key}", length or 0)
        else:
            number("shortconv.l_cache", state.convolution or 0)
    _named_metadata(writer, name)


def _in_order(
    made: Architecture, row: ArchitectureRow, quantization: str
) -> list[tuple[str, Stored]]:
    """Tensors as a converter writes them, layer by layer, the last norm and the output matrix at the end."""
    found: list[tuple[int, str, Stored]] = []
    typed = iter(stored(made, row, quantization, False))
    for group in gguf_tensors(made, row):
        places = [*group.layers] or [made.layers if group.name.startswith("output") else -1]
        while places:
            # the wider type comes first, and the last layers have it
            part = next(typed)
            found += [
                (layer, group.name.replace("*", str(layer)), part)
                for layer in places[-part.count :]
            ]
            places = places[: -part.count]
    return [(name, part) for _, name, part in sorted(found, key=lambda entry: entry[0])]


def write(
    path: Path, model: str, quantization: str, tree: Path, template: str, pooling: int
) -> None:
    """A GGUF file whose matrices are holes; norms are ones."""
    gguf, numpy = import_module("gguf"), import_module("numpy")
    shelf = Catalogue.open()
    made = shelf.spec(model).architecture
    assert made is not None
    row = row_of(made, shelf.common("architectures"))
    assert row is not None
    writer = gguf.GGUFWriter(path, made.row)
    writer.add_name(model)
    writer.add_file_type(
        gguf.LlamaFileType[("" if quantization == "F32" else "MOSTLY_") + quantization]
    )
    _metadata(writer, made)
    if pooling:
        writer.add_uint32(f"{made.row}.pooling_type", pooling)
    _vocabulary(writer, gguf, tree / "models" / f"ggml-vocab-{_VOCABULARIES[model]}.gguf", made)
    if template:
        writer.add_chat_template(
            (tree / "models" / "templates" / f"{template}.jinja").read_text(encoding="utf-8")
        )
    for tensor, part in _in_order(made, row, quantization):
        size = part.bytes // part.count
        if part.type in ("F32", "F16"):
            # one number a head, in two dimensions
            heads = tensor.endswith((".ssm_a", ".ssm_d"))
            tensor = (
                tensor.removesuffix(".weight")
                if made.row == "falcon-h1" and ".ffn_norm." in tensor
                else tensor
            )
            shape = (*part.shape, 1) if heads else part.shape[::-1]
            writer.add_tensor_info(
                tensor, shape, numpy.dtype("f4" if part.type == "F32" else "f2"), size
            )
        else:
            shape = (*part.shape[:0:-1], row_bytes(part.type, part.shape[0]))
            writer.add_tensor_info(
                tensor,
                shape,
                numpy.dtype("u1"),
                size,
                raw_dtype=gguf.GGMLQuantizationType[part.type],
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file, step = writer.fout[0], writer.data_alignment
    file.write(b"\0" * (-file.tell() % step))
    for name, part in _in_order(made, row, quantization):
        size = part.bytes // part.count
        end = file.tell() + size
        if name.endswith("norm.weight") or name.startswith("rope_freqs"):
            file.write(numpy.ones(size // 4, "f4").tobytes())
        file.seek(end + -end % step)
    file.truncate(file.tell())
    file.close()
    writer.fout = None


# ------------------------------------------------------------------ runs


def _status(process: int) -> dict[str, int]:
    found = {}
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key in ("VmHWM", "RssAnon", "RssFile"):
            found[key] = int(value.split()[0]) * 1024
    return found


def _prompt(tokens: int) -> str:
    return _SENTENCE * (tokens // 9)


def _asked(port: int, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    link.request(
        "GET" if body is None else "POST",
        path,
        None if body is None else json.dumps(body),
        {"Content-Type": "application/json"},
    )
    answer = link.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


def _serve(command: list[str], case: dict[str, Any], embeds: bool, port: int) -> dict[str, int]:
    """llama-server after one request; its high-water mark, and what was resident then."""
    with subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while process.poll() is None:
                try:
                    if _asked(port, "/health", None)[0] == 200:
                        break
                except OSError:
                    pass
                time.sleep(0.1)
            if embeds:
                # as many tokens as the context has, by their numbers: a text would be cut at other places in every vocabulary
                status, said = _asked(
                    port,
                    "/embeddings",
                    {"content": [1000 + number % 1000 for number in range(case["n_ctx"] - 8)]},
                )
            else:
                status, said = _talked(port, case)
            if status != 200:
                raise RuntimeError(f"{status}: {said}")
            return _status(process.pid) | {
                "tokens": said["usage"]["total_tokens"]
                if isinstance(said, dict)
                else case["n_ctx"] - 8
            }
        finally:
            process.terminate()
            time.sleep(0.2)
            process.kill()


def _talked(port: int, case: dict[str, Any]) -> tuple[int, Any]:
    """The last answer of `asked` sequences at once, which write until all have read, or of `turns` that go on one conversation."""
    together = case.get("asked", 1)

    def conversation(sequence: int) -> tuple[int, Any]:
        messages: list[dict[str, str]] = []
        for turn in range(case.get("turns", 1)):
            messages.append(
                {"role": "user", "content": f"{sequence}.{turn} {_prompt(case.get('prompt', 600))}"}
            )
            body = {
                "messages": messages,
                "max_tokens": 4 if together == 1 else 64,
                "ignore_eos": True,
                "id_slot": sequence,
            }
            status, said = _asked(port, "/v1/chat/completions", body)
            if status != 200:
                break
            messages.append(
                {"role": "assistant", "content": said["choices"][0]["message"]["content"] or ""}
            )
        return status, said

    with ThreadPoolExecutor(together) as sequences:
        return max(sequences.map(conversation, range(together)), key=lambda answer: answer[0])


# prints how many tokens were read and written last; texts are prompts of one conversation, each with all before it
_PYTHON = """
import json, sys
from llama_cpp import Llama
path, options, wanted, turns = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
model = Llama(path, verbose=False, **options)
sentence = "The quick brown fox jumps over the lazy dog. "
each = len(model.tokenize(sentence.encode(), add_bos=False))
for turn in range(1, turns + 1):
    text = sentence * (wanted * turn // turns // each) or "a"
    if options.get("embedding"):
        print(model.embed(text, return_count=True)[1])
    else:
        print(model(text, max_tokens=4)["usage"]["total_tokens"])
"""


def _in_python_options(case: dict[str, Any], embeds: bool) -> list[str]:
    options: dict[str, Any] = {"n_ctx": case["n_ctx"]}
    if embeds:
        options["embedding"] = True
    if _whole(case["model"]):
        options |= {"n_batch": case["n_ctx"], "n_ubatch": case["n_ctx"]}
    options |= {
        "use_mmap" if key == "mmap" else key: case[key]
        for key in ("logits_all", "flash_attn", "mmap")
        if key in case
    }
    if "threads" in case:
        options |= {"n_threads": case["threads"], "n_threads_batch": case["threads"]}
    wanted = case.get("prompt", case["n_ctx"] - 8 if embeds else 1200)
    return [
        json.dumps(options),
        str(min(wanted, 512) if embeds and not _whole(case["model"]) else wanted),
        str(case.get("turns", 1)),
    ]


def _run(command: list[str], text: str | None = None) -> dict[str, int]:
    """A program that ends by itself; its pages by kind are those of the last look."""
    seen: dict[str, int] = {}
    with tempfile.TemporaryFile() as given:
        given.write((text or "").encode())
        given.seek(0)
        process = subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        while process.poll() is None:
            try:
                found = _status(process.pid)
            except OSError:
                break
            if found.get("VmHWM", 0) >= seen.get("VmHWM", 0):
                seen = found
            time.sleep(0.005)
        said = process.communicate()[0].split()
        if process.returncode:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return seen | ({"tokens": int(said[-1])} if command[0] == sys.executable else {})


def _whole(model: str) -> bool:
    """True of an encoder, which reads a text in one batch."""
    shelf = Catalogue.open()
    made = shelf.spec(model).architecture
    row = row_of(made, shelf.common("architectures")) if made is not None else None
    return row is not None and row.encoder


def measure(case: dict[str, Any], path: Path, programs: Path, port: int) -> dict[str, Any]:
    """One run."""
    embeds = case["model"] in {model for model, _, _ in EMBEDDINGS}
    program, context = case["program"], str(case["n_ctx"])
    command = [str(programs / program), "-m", str(path), "-c", context]
    if "threads" in case:
        command += ["-t", str(case["threads"])]
    if program == "llama-server":
        command += ["-np", str(case.get("parallel", 1))]
        if "threads_http" in case:
            command += ["--threads-http", str(case["threads_http"])]
        if embeds:
            command.append("--embedding")
        if _whole(case["model"]):
            command += ["-b", context, "-ub", context]
        found = _serve(command, case, embeds, port)
    elif program == "llama-embedding":
        found = _run([*command, "-b", context, "-ub", context, "-p", _prompt(case["n_ctx"] // 2)])
    elif program == "llama-cpp-python":
        found = _run([sys.executable, "-c", _PYTHON, str(path), *_in_python_options(case, embeds)])
    else:
        found = _run(
            [
                *command,
                "-p",
                _prompt(600),
                "-n",
                "4",
                *(["-st"] if program == "llama-cli" else ["-no-cnv", "--ignore-eos"]),
            ]
        )
    made = {
        "peak_bytes": found["VmHWM"],
        "anonymous_bytes": found["RssAnon"],
        "file_bytes": found["RssFile"],
    }
    return {**case, **made, **({"tokens": found["tokens"]} if "tokens" in found else {})}


def main() -> None:
    """Measures what the file does not hold yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="the JSON file to write or to go on with"
    )
    parser.add_argument(
        "--programs", type=Path, required=True, help="where llama-server and the others were built"
    )
    parser.add_argument("--tree", type=Path, required=True, help="the source tree of llama.cpp")
    parser.add_argument("--only", default="", help="only runs whose name has this text")
    parser.add_argument("--port", type=int, default=18080)
    given = parser.parse_args()
    runs: list[dict[str, Any]] = (
        json.loads(given.out.read_text(encoding="utf-8"))["runs"] if given.out.exists() else []
    )
    made = about(
        "benchmarks/measure_llamacpp.py: llama.cpp 0c1e570, CPU backend, and llama-cpp-python 0.3.36",
        "peak_bytes: VmHWM of the process after a prompt and four tokens, or an embedded text; asked: so many sequences at once, 64 tokens "
        "each; turns: so many prompts of one conversation; prompt: about so many tokens; tokens: how many were in the context at the end; "
        "the others what was resident then",
        ("numpy",),
    )
    seen = {run["name"] for run in runs}
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases():
            name = name_of(case)
            if name in seen or given.only not in name:
                continue
            path = Path(temporary) / f"{case['model']}-{case['quant']}.gguf"
            if not path.exists():
                template = next(
                    (template for model, _, template in TEXTS if model == case["model"]), ""
                )
                pooling = next(
                    (pooling for model, _, pooling in EMBEDDINGS if model == case["model"]), 0
                )
                write(path, case["model"], case["quant"], given.tree, template, pooling)
            try:
                runs.append({"name": name, **measure(case, path, given.programs, given.port)})
            except (OSError, RuntimeError) as problem:
                print(f"{name}: {problem}", file=sys.stderr)
                continue
            print(name, runs[-1]["peak_bytes"] >> 20, flush=True)
            rows = ",\n".join(map(json.dumps, runs))
            given.out.write_text(
                f'{{"about":{json.dumps(made)},\n"runs":[\n{rows}\n]}}\n', encoding="utf-8"
            )


if __name__ == "__main__":
    main()
