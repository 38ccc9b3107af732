"""Inputs of 1 to 100 MB and more that are costly to read, for `fuzz.py --large`: each writes its file and gives the command."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from fuzz_kinds import (
    REPOSITORY,
    gguf_models,
    gguf_text,
    gguf_value,
    machines,
    safetensors_models,
    sparse,
)

Build = Callable[[Path], tuple[str, ...]]
MIB = 1 << 20


def _file(name: str, content: Callable[[], bytes], *words: str) -> Build:
    """The command `words`, in which `{}` is the file that holds `content`."""

    def build(folder: Path) -> tuple[str, ...]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content())
        return tuple(word.replace("{}", name) for word in words)

    return build


def _spec(content: Callable[[], bytes]) -> Build:
    return _file("x.toml", content, "spec", "check", "{}")


def _full(start: str, piece: str, size: int = MIB - 100) -> Callable[[], bytes]:
    """A text of almost `size` bytes; `#` in `piece` counts."""

    def content() -> bytes:
        parts, length, number = [start.encode()], len(start), 0
        while length < size - len(piece) - 10:
            parts.append(piece.replace("#", str(number)).encode())
            length += len(parts[-1])
            number += 1
        return b"".join(parts)

    return content


def _object(start: str, piece: str, size: int, end: str = "}") -> Callable[[], bytes]:
    """The same as JSON."""
    return lambda: _full(start, piece, size)() + end.encode()


def _sparse_spec(folder: Path) -> tuple[str, ...]:
    sparse(folder / "x.toml", b"a = 1\n", 2**40)
    return ("spec", "check", "x.toml")


def _many_specs(folder: Path) -> tuple[str, ...]:
    text = (REPOSITORY / "examples" / "specs" / "my-model.toml").read_text(encoding="utf-8")
    (folder / "specs").mkdir()
    for number in range(3000):
        (folder / "specs" / f"my-model-{number}.toml").write_text(
            text.replace("my-model", f"my-model-{number}"), encoding="utf-8"
        )
    return ("list", "--specs", "specs", "--machine", machines()[0])


def _record(content: Callable[[], bytes]) -> Build:
    return _file("m.json", content, "check", "gpt2", "--machine", "{}")


def _fleet(content: Callable[[], bytes], *more: str) -> Build:
    return _file(
        "m.json",
        content,
        "audit",
        str(REPOSITORY / "examples" / "audit.toml"),
        "--machines",
        "{}",
        *more,
    )


def _lines(count: int) -> Callable[[], bytes]:
    values = json.loads(Path(machines()[0]).read_text(encoding="utf-8"))
    return lambda: b"\n".join(
        json.dumps(values | {"name": f"m{number}", "memory_total_bytes": 2**40 + number}).encode()
        for number in range(count)
    )


def _many_records(folder: Path) -> tuple[str, ...]:
    (folder / "records").mkdir()
    for number in range(20_000):
        (folder / "records" / f"m{number}.json").write_bytes(b"{}")
    return ("audit", str(REPOSITORY / "examples" / "audit.toml"), "--machines", "records")


def _policy(start: str, piece: str, *more: str) -> Build:
    return _file(
        "audit.toml", _full(start, piece), "audit", "{}", "--machines", machines()[0], *more
    )


def _config(content: Callable[[], bytes], name: str = "config.json") -> Build:
    return _file(name, content, "check", "./{}", "--machine", machines()[0])


def _stated(**values: object) -> Callable[[], bytes]:
    return lambda: json.dumps(safetensors_models()[0][0] | values).encode()


def _header(content: Callable[[], bytes], data: int = 0) -> Build:
    """A safetensors file with that header."""

    def build(folder: Path) -> tuple[str, ...]:
        header = content()
        sparse(
            folder / "model.safetensors",
            struct.pack("<Q", len(header)) + header,
            8 + len(header) + data,
        )
        return ("check", "./model.safetensors", "--machine", machines()[0])

    return build


def _tensors(count: int, width: int = 4) -> Callable[[], bytes]:
    def content() -> bytes:
        entries = (
            f'"model.layers.{number}.x{"y" * width}":{{"dtype":"F16","shape":[1],"data_offsets":[{2 * number},{2 * number + 2}]}}'
            for number in range(count)
        )
        return ("{" + ",".join(entries) + "}").encode()

    return content


def _index(content: Callable[[], bytes]) -> Build:
    def build(folder: Path) -> tuple[str, ...]:
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors.index.json").write_bytes(content())
        return ("check", "./model", "--machine", machines()[0])

    return build


def _shards(folder: Path) -> tuple[str, ...]:
    """2,000 files, each with a header of its own."""
    (folder / "model").mkdir()
    header = _tensors(200)()
    for number in range(1, 2001):
        path = folder / "model" / f"model-{number:05d}-of-02000.safetensors"
        sparse(path, struct.pack("<Q", len(header)) + header, 8 + len(header) + 400)
    return ("check", "./model", "--machine", machines()[0])


def _gguf(
    metadata: Callable[[], list[bytes]], tensors: Callable[[], list[bytes]] = list, size: int = 32
) -> Build:
    """A GGUF file of these entries, already encoded."""

    def build(folder: Path) -> tuple[str, ...]:
        keys, entries = metadata(), tensors() or _entries(1, 4)
        header = (
            b"GGUF"
            + struct.pack("<IQQ", 3, len(entries), len(keys))
            + b"".join(keys)
            + b"".join(entries)
        )
        header += b"\0" * (-len(header) % 32)
        sparse(folder / "model.gguf", header, len(header) + size)
        return ("check", "./model.gguf", "--machine", machines()[0])

    return build


def _key(name: str, value: object) -> bytes:
    return gguf_text(name) + gguf_value(value)


def _entries(count: int, width: int) -> list[bytes]:
    return [
        gguf_text(f"blk.{number}.{'x' * width}") + struct.pack("<IQIQ", 1, 8, 0, 32 * number)
        for number in range(count)
    ]


def _llama() -> list[bytes]:
    """The metadata of a measured Llama."""
    models = (
        model["metadata"]
        for model in gguf_models()
        if model["metadata"]["general.architecture"] == "llama"
    )
    return [
        _key(name, value) for name, value in next(models).items() if name != "tokenizer.ggml.tokens"
    ]


def _tree(name: str, content: Callable[[], bytes], size: int = 0, count: int = 1) -> Build:
    """A recorded tree in which one file, or `count` of them, is costly."""

    def build(folder: Path) -> tuple[str, ...]:
        root = folder / "tree"
        (root / "proc").mkdir(parents=True)
        (root / "facts.json").write_text("{}")
        written = content()
        for number in range(count):
            path = root / name.replace("#", str(number))
            path.parent.mkdir(parents=True, exist_ok=True)
            sparse(path, written, max(size, len(written)))
        return ("machine", "--root", "tree")

    return build


def _words(*words: str) -> Build:
    return lambda _folder: words


LARGE: Mapping[str, Mapping[str, Build]] = {
    "spec": {
        "100 MB of text": _spec(lambda: b"a = 1\n" * (100 * MIB // 6)),
        "a million dots": _spec(lambda: b"a" + b".a" * (MIB // 2 - 100) + b" = 1\n"),
        "keys of 60 dots": _spec(_full("", "a#" + ".a" * 60 + " = 1\n")),
        "unknown keys": _spec(_full("schema = 1\n", "k# = 1\n")),
        "unknown tables": _spec(_full("schema = 1\n", "[t#]\n")),
        "lists in lists": _spec(lambda: b"a = " + b"[" * (MIB // 2 - 100) + b"]" * (MIB // 2 - 100)),
        "tables in tables": _spec(lambda: b"a = " + b"{a = " * 150_000),
        "headers": _spec(_full("schema = 1\n", "[[sources]]\n")),
        "one long string": _spec(lambda: b'name = "' + b"x" * (MIB - 200) + b'"\n'),
        "one long line text": _spec(lambda: b'name = """' + b"\n" * (MIB - 200) + b'"""\n'),
        "a number of digits": _spec(lambda: b"schema = " + b"9" * (MIB - 200)),
        "a list over many lines": _spec(_full("aliases = [\n", "#,\n")),
        "wrong aliases": _spec(_full('schema = 1\nid = "x"\naliases = [', '"a#",')),
        "sparse 1 TB": _sparse_spec,
        "3,000 specs in a folder": _many_specs,
        "2,000 files to check": lambda _folder: ("spec", "check", *[str(REPOSITORY / "examples" / "specs" / "my-model.toml")] * 2000),
    },
    "record": {
        "one key 400,000 times": _record(lambda: b"{" + b'"a":1,' * 400_000 + b'"a":1}'),
        "unknown keys": _record(_object('{"schema": "selfhost.machine/1"', ',"k#":#', 4 * MIB - 100)),
        "deep nesting": _record(lambda: b"[" * (4 * MIB - 10)),
        "deep objects": _record(lambda: b'{"a":' * (MIB // 2)),
        "a number of digits": _record(lambda: b'{"memory_total_bytes": ' + b"9" * (4 * MIB - 100) + b"}"),
        "disks": _record(lambda: b'{"disks": [' + b"{}," * 1_300_000 + b"{}]}"),
        "empty lists": _record(lambda: b"[" + b"[]," * 1_300_000 + b"[]]"),
        "labels": _record(_object('{"labels": {"a":"b"', ',"k#":"v"', 4 * MIB - 100, "}}")),
        "NaN": _record(lambda: b"[" + b"NaN," * 1_000_000 + b"NaN]"),
        "100 MB": _record(lambda: b" " * (100 * MIB)),
        "fleet, 66 MB of empty lists": _fleet(lambda: b"[" + b"[]," * (22 * 10**6) + b"[]]"),
        "fleet, 66 MB of empty objects": _fleet(lambda: b"[" + b"{}," * (22 * 10**6) + b"{}]"),
        "fleet, 66 MB of numbers": _fleet(lambda: b"[" + b"1," * (33 * 10**6) + b"1]"),
        "fleet, 66 MB of keys": _fleet(_object('{"a":0', ',"#":0', 66 * 10**6)),
        "fleet, 66 MB of lines": _fleet(lambda: b"{}\n" * (22 * 10**6)),
        "fleet, 66 MB of wrong lines": _fleet(lambda: b"{}\n" + b"x\n" * (33 * 10**6 - 2)),
        "fleet, deep nesting": _fleet(lambda: b"[" * (66 * 10**6)),
        "fleet, 10,000 machines": _fleet(_lines(10_000)),
        "fleet, 10,000 machines, JUnit": _fleet(_lines(10_000), "--format", "junit"),
        "fleet, 10,000 machines, JSON": _fleet(_lines(10_000), "--format", "json"),
        "fleet, 10,000 nameless": _fleet(lambda: b"{}\n" * 10_000),
        "fleet, 10,000 wrong": _fleet(lambda: b'{"cpu_cores_usable": "x", "disks": 3}\n' * 10_000),
        "fleet, 20,000 files": _many_records,
    },
    "policy": {
        "30,000 unknown models": _policy("schema = 1\n", '[[model]]\nname = "model-#"\n'),
        "30,000 near models": _policy("schema = 1\n", '[[model]]\nname = "mistral-#b"\n'),
        "one model, many contexts": _policy("schema = 1\n", '[[model]]\nname = "gpt2"\ncontext_tokens = 1#\n'),
        "classes": _policy('schema = 1\n[[model]]\nname = "gpt2"\n', '[[class]]\nname = "c#"\nmatch = { architecture = "x86_64" }\n'),
        "unknown classes": _policy('schema = 1\n[[model]]\nname = "gpt2"\nmachines = [', '"class:c#",'),
        "patterns of stars": _file(
            "audit.toml",
            lambda: b'schema = 1\n[[model]]\nname = "gpt2"\nmachines = ["host:' + b"*a" * 200_000 + b'*b"]\n',
            "audit", "{}", "--machines", machines()[0],
        ),
        "exceptions": _policy(
            'schema = 1\n[[model]]\nname = "gpt2"\n',
            '[[exception]]\nmodel = "gpt2"\nrule = "memory"\nreason = "#"\nowner = "a"\nexpires = 2030-01-01\nmachines = ["host:#"]\n',
        ),
        "wrong exceptions": _policy('schema = 1\n[[model]]\nname = "gpt2"\n', '[[exception]]\nmodel = "g#"\n'),
        "a license of 1 MB": _file(
            "audit.toml",
            lambda: b'schema = 1\n[[model]]\nname = "gpt2"\n[needs]\nlicense = "MIT' + b" OR MIT" * 140_000 + b'"\n',
            "audit", "{}", "--machines", machines()[0],
        ),
    },
    "config": {
        "100 MB of blanks": _config(lambda: b"{" + b" " * (100 * MIB) + b"}"),
        "100 MB of empty lists": _config(lambda: b"[" + b"[]," * (33 * 10**6) + b"[]]"),
        "deep nesting": _config(lambda: b'{"a":' * 190_000),
        "1 MB of empty lists": _config(lambda: b'{"model_type": "llama", "a": [' + b"[]," * 330_000 + b"[]]}"),
        "one key many times": _config(lambda: json.dumps(safetensors_models()[0][0])[:-1].encode() + b',"a":1' * 160_000 + b"}"),
        "unknown keys": _config(lambda: _full(json.dumps(safetensors_models()[0][0])[:-1], ',"k#":1', 10**6)() + b"}"),
        "layer types": _config(
            _stated(num_hidden_layers=900, layer_types=["full_attention", "sliding_attention"] * 450, sliding_window=7)
        ),
        "too many layers": _config(_stated(num_hidden_layers=10**9)),
        "huge widths": _config(_stated(hidden_size=2**62, vocab_size=2**62, intermediate_size=2**62)),
        "quantized modules": _config(
            lambda: json.dumps(
                safetensors_models()[0][0]
                | {"quantization": {"bits": 4, "group_size": 64, **{f"model.layers.{n}.mlp.up_proj": {"bits": 8} for n in range(20_000)}}}
            ).encode()
        ),
    },
    "gguf": {
        "4 million texts": _gguf(
            lambda: [*_llama(), gguf_text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1 << 22) + struct.pack("<Q", 0) * (1 << 22)]
        ),
        "a text of 1 TB": _gguf(lambda: [*_llama(), gguf_text("a") + struct.pack("<IQ", 8, 2**40)], size=2**41),
        "texts of 4 KB": _gguf(lambda: [*_llama(), *(_key(f"k{number}", "x" * 4096) for number in range(9990))]),
        "keys of 12 KB": _gguf(lambda: [*_llama(), *(_key("k" * 12_000 + str(number), 1) for number in range(9990))]),
        "lists that are kept": _gguf(
            lambda: [*_llama(), *(gguf_text(f"k{n}") + struct.pack("<IIQ", 9, 0, 8000) + bytes(8000) for n in range(9990))]
        ),
        "100,000 tensors": _gguf(_llama, lambda: _entries(100_000, 4), 3_200_000),
        "100,000 tensors, long names": _gguf(_llama, lambda: _entries(100_000, 1200), 3_200_000),
        "1,900 tensors, names of 64 KB": _gguf(_llama, lambda: _entries(1900, 65_000), 60_800),
        "counts of 2**64": lambda folder: (
            (folder / "model.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**64 - 1, 2**64 - 1)),
            ("check", "./model.gguf", "--machine", machines()[0]),
        )[1],
        "a header of 200 MB": _gguf(
            lambda: [*_llama(), gguf_text("a") + struct.pack("<IIQ", 9, 8, 1 << 21) + (struct.pack("<Q", 90) + bytes(90)) * (1 << 21)]
        ),
    },
    "safetensors": {
        "99 MB of empty lists": _header(lambda: b'{"a":[' + b"[]," * 33_000_000 + b"[]]}"),
        "99 MB of empty objects": _header(lambda: b'{"a":[' + b"{}," * 33_000_000 + b"{}]}"),
        "99 MB of numbers": _header(lambda: b'{"a":[' + b"7," * 49_000_000 + b"7]}"),
        "99 MB of keys": _header(_object('{"a":0', ',"#":0', 99_000_000)),
        "99 MB of one text": _header(lambda: b'{"' + b"x" * 98_999_000 + b'":0}'),
        "99 MB of blanks": _header(lambda: b"{" + b" " * 98_999_000 + b"}"),
        "99 MB of metadata": _header(_object('{"__metadata__":{"a":""', ',"#":""', 98_000_000, "}}")),
        "deep nesting": _header(lambda: b'{"a":' + b"[" * 98_000_000),
        "900,000 tensors": _header(_tensors(900_000), 1_800_000),
        "long names": _header(_tensors(60_000, 1400), 120_000),
        "index of 63 MB": _index(
            lambda: b'{"weight_map":{"a":"b"' + b"".join(b',"%d":"a"' % number for number in range(4_600_000)) + b"}}"
        ),
        "index of empty lists": _index(lambda: b'{"weight_map":[' + b"[]," * 21_000_000 + b"[]]}"),
        "2,000 files": _shards,
    },
    "tree": {
        "facts of 4 MB of lists": _tree("facts.json", lambda: b'{"memory":[' + b"[]," * 1_300_000 + b"[]]}"),
        "facts nested": _tree("facts.json", lambda: b"[" * (4 * MIB - 10)),
        "facts of 1 TB": _tree("facts.json", lambda: b"{}", 2**40),
        "cpuinfo of 1 TB": _tree("proc/cpuinfo", lambda: b"processor : 0\n", 2**40),
        "cpuinfo of 60 MB": _tree("proc/cpuinfo", lambda: b"processor : 0\nflags : avx2\n\n" * (2 * MIB)),
        "mountinfo of 60 MB": _tree("proc/self/mountinfo", lambda: b"36 35 98:0 / /mnt rw,noatime - ext4 /dev/root rw\n" * MIB),
        "meminfo of 60 MB": _tree("proc/meminfo", lambda: b"MemTotal: 1000 kB\n" * (3 * MIB)),
        "sysctl of 4 MB": _tree("sysctl.txt", lambda: b"hw.memsize: 1\n" * 290_000),
        "30,000 processors": _tree("sys/devices/system/cpu/cpu#/topology/core_id", lambda: b"0\n", count=30_000),
        "20,000 cards": _tree("sys/class/drm/card#/device/vendor", lambda: b"0x1002\n", count=20_000),
    },
    "command": {
        "20,000 unknown names": _words("check", *(f"no-such-{number}" for number in range(20_000))),
        "5,000 models": _words("check", "--machine", machines()[0], *("gpt2" for _ in range(5000))),
        "a name of 120 KB": _words("check", "m" * 120_000),
        "a name of separators": _words("check", "a-" * 60_000),
        "a license of 120 KB": _words("check", "gpt2", "--license", "MIT OR " * 17_000 + "MIT"),
        "a license in brackets": _words("check", "gpt2", "--license", "(" * 50_000 + "MIT" + ")" * 50_000),
        "a context of digits": _words("check", "gpt2", "--context", "9" * 120_000),
        "10,000 changes": _words("check", "gpt2", "--machine", machines()[0], *["--set=memory=16GiB"] * 10_000),
        "10,000 folders of specs": _words("check", "gpt2", "--machine", machines()[0], *["--specs=."] * 10_000),
        "10,000 labels": _words(
            "machine", "--root", str(REPOSITORY / "tests/machines/linux-vm-2gib-parent/root"), *(f"--label=a{n}=b" for n in range(10_000))
        ),
        "an unknown command": _words("x" * 120_000),
        "an unknown option": _words("check", "gpt2", "--" + "x" * 120_000),
        "completion": _words("_complete", "check", "m" * 120_000),
    },
}  # fmt: skip
