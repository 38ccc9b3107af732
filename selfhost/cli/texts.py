"""What `--help` says: the commands, the exit codes and the examples."""

from __future__ import annotations

DESCRIPTION = "Can this machine run that open-weight model, or is an API the practical route?"


_NO_ANSWER = "bad usage, or an unknown name"
_ANSWERED = ((0, "answered"), (2, _NO_ANSWER))
# what each command's exit code says; 70 is a bug, 130 an interrupt
_EXITS: dict[str, tuple[tuple[int, str], ...]] = {
    "check": (
        (0, "every model runs here"),
        (1, "a model does not run here: use an API, or there is no way"),
        (2, "no answer, or not for every name: bad usage, or an unknown name"),
        (3, "no failure, but a deciding fact could not be determined"),
    ),
    "plan": (
        (0, "a known machine runs it"),
        (1, "no known machine runs it"),
        (2, _NO_ANSWER),
        (3, "no known machine runs it for sure, but one may"),
    ),
    "audit": (
        (0, "the policy holds"),
        (1, "the policy is broken"),
        (2, "bad usage, or a bad policy, spec or machine file"),
        (3, "no failure, but a deciding fact could not be determined"),
    ),
    "verify": (
        (0, "every figure that can be compared is inside its range"),
        (1, "a figure is outside its range"),
        (2, "nothing to compare, bad usage, or an unknown name"),
    ),
    "spec": ((0, "every file is right"), (1, "a file is wrong"), (2, _NO_ANSWER)),
}


def exit_codes(command: str) -> str:
    """Return the exit codes of one command, a line each."""
    lines = (f"  {code}  {words}\n" for code, words in _EXITS.get(command, _ANSWERED))
    return "exit codes:\n" + "".join(lines)


EXIT_CODES = """\
exit codes: 0 yes, 1 no, 2 no answer, 3 cannot tell (COMMAND --help has details)
"""


EXAMPLES = {
    "": """\
examples:
  selfhost mistral-7b                       can I run it here? (short for check)
  selfhost check llama3.1:8b --context 32k  with a long context
  selfhost list                             what runs here, best first
  selfhost show gpt-oss-20b                 sizes, license, how open it is
  selfhost machine --format json > ci.json  record a machine, judge it elsewhere:
  selfhost check mixtral --machine ci.json
""",
    "check": """\
examples:
  selfhost check mistral-7b --context 32k --quant Q5_K_M
  selfhost check mistral-7b --machine macbook-pro-m4-max-48gb
  selfhost check llama-3.1-8b --tokens-per-day 2M:500k
  selfhost check mistral-7b --json | jq .route
  more, by what people need: docs/needs.md
""",
    "list": """\
examples:
  selfhost list qwen
  selfhost list --use code --license 'Apache-2.0 OR MIT'
  selfhost list --machine ci.json --top 5
  selfhost list --format html --output catalogue.html

Order: what runs comes first, then what cannot be told; text and vision before
the other kinds; likely 2 tokens/s (or --min-speed) before slower; general chat
models before specialised ones, base and superseded ones last. Then the larger
before the smaller; of a mixture the active parameters count, too. Size counts
for less with age, with a slower pace (half at 10 tokens/s, a fifth at 5), and
where no entry in Ollama's library or three API providers show that the model is
used; for more with each provider. No benchmark score counts.
""",
    "show": """\
examples:
  selfhost show gpt-oss-20b
  selfhost show mistral-7b --context 16k --format json
""",
    "compare": """\
examples:
  selfhost compare gpt-oss-20b mistral-7b gpt-4o
  selfhost compare llama3.1:8b qwen3:8b --context 32k --format json
""",
    "plan": """\
examples:
  selfhost plan mistral-7b
  selfhost plan llama-3.3-70b --context 32k --min-speed 10
  selfhost plan gpt-oss-120b --format json | jq .least.memory_bytes
""",
    "size": """\
examples:
  selfhost size mistral-7b
  selfhost size llama-3.1-8b --users 4 --context 8k --format kubernetes
  selfhost size mistral-7b bge-m3 --format compose --output compose.yaml
  selfhost size llama-3.3-70b --runtime vllm --gpu '4x H100' --format docker

The request is what cannot be reclaimed, and the page cache that the pace needs;
the limit adds what grows, each with the option that bounds it.
""",
    "verify": """\
examples:
  llama-bench -m model.gguf > bench.txt
  selfhost verify bench.txt --model ./model.gguf
  selfhost verify server.log                  llama-server -lv 4 logs its memory
  ollama run llama3.2 --verbose "Why?" 2>&1 | selfhost verify - --model llama3.2
  selfhost verify 12345                       a running process, by its id
  selfhost verify bench.txt --format json     to attach to a bug report
""",
    "machine": """\
examples:
  selfhost machine
  selfhost machine --profiles                 machines to ask about with --machine NAME
  selfhost machine --profiles mac 128gb       those of them that hold every word
  selfhost machine --format json --name build-07 --label site=berlin > build-07.json
  selfhost machine --machine "steam deck" --format json > records/deck.json
  selfhost machine --format json              what was read, for a bug report
  selfhost machine --root bundle --format json | selfhost check mistral-7b --machine -
""",
    "audit": """\
examples:
  selfhost audit --init                       write a policy to ./audit.toml
  selfhost audit                              judge this machine against it
  selfhost audit policy.toml --machines records/ --format junit=report.xml
""",
    "spec": """\
examples:
  selfhost spec check my-model.toml
  selfhost spec new ./model.gguf --output my-specs/model.toml
  selfhost check my-model --specs ./my-specs
""",
    "completion": """\
examples:
  eval "$(selfhost completion bash)"        in ~/.bashrc
  selfhost completion zsh > ~/.zfunc/_selfhost
  selfhost completion fish > ~/.config/fish/completions/selfhost.fish
""",
}
