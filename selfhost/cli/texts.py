"""What `--help` says: the commands, the exit codes and the examples."""

from __future__ import annotations

DESCRIPTION = (
    "Can this machine download and run that open-weight model, or is an API the practical route?"
)


COMMANDS = {
    "check": "can a model be downloaded and run here, or is an API the practical route",
    "list": "the catalogue, best fit for this machine first",
    "show": "what is known of a model: openness, license, sizes, needs, sources",
    "compare": "models side by side: route, memory, speed, price, license, openness",
    "plan": "the reverse: the least machine that runs a model, and which known ones do",
    "machine": "what was read of this machine, and from where",
    "audit": "for CI: judge this machine, or recorded ones, against a policy file",
    "spec": (
        "spec check FILE…: validate specs of your own; spec new FILE: make one from a model file"
    ),
    "completion": "print a completion script for bash, zsh or fish",
}


EXIT_CODES = """\
exit codes:
  0  check: every model runs here; plan: a known machine does it; audit: the policy holds; others: answered
  1  check: a model does not run here (use an API, or neither); plan: no known machine does it; audit: broken;
     spec check: a file is wrong
  2  no answer: bad usage, unknown model, bad spec, machine or policy file
  3  nothing is 1, but something that decides is unknown
"""  # noqa: E501


EXAMPLES = {
    "": (
        """\
examples:
  selfhost check mistral-7b                 can I run it here?
  selfhost check llama3.1:8b --context 32k  with a long context
  selfhost list --route local               what runs here, best first
  selfhost show gpt-oss-20b                 sizes, license, how open it is
  selfhost machine --format json > ci.json  record a machine, judge it elsewhere:
  selfhost check mixtral --machine ci.json
"""
    ),
    "check": (
        """\
examples:
  selfhost check mistral-7b
  selfhost check gpt2 opt-1.3b qwen3:8b
  selfhost check llama-3.1-8b --context 32k --quant Q5_K_M --kv-cache q8_0
  selfhost check gpt-4o --private           nothing may leave this machine
  selfhost check mistral-7b --machine macbook-pro-m4-max-48gb
  selfhost check mixtral --set memory=64GiB --set gpu=24GiB
  selfhost check llama-3.1-8b --tokens-per-day 2M:500k
                                            a month by API beside a month here
  selfhost check mistral-7b --format json | jq .route

whose needs (docs/needs.md tells more):
  developer             --license 'Apache-2.0 OR MIT' --modify
  enterprise            --commercial --private
  researcher            --auditable --modify
  casual user           none of them
  security-minded user  --private, and `selfhost show` for the safety of the files
"""
    ),
    "list": (
        """\
examples:
  selfhost list --route local
  selfhost list --family qwen --machine ci.json
  selfhost list --license 'Apache-2.0 OR MIT' --modality text
  selfhost list --format html --output catalogue.html

order: what runs here comes first, then what cannot be told, then the rest; text before vision, speech, embedding and image.
Among those that run, a likely speed of 5 tokens/s or more (as fast as one reads) comes before 2 or more, that before less.
Then the models of the last three years before older ones, the larger before the smaller (more parameters, more able, as a
rule of thumb and no more), and of two as large the newer. How open a model is does not change the order: choose by it with
--license, --commercial, --modify, --auditable and --openness. But with --modify or --auditable what is open in all that was
asked comes, of its kind, before what is open in part. No benchmark score has a part in it.
"""  # noqa: E501
    ),
    "show": (
        """\
examples:
  selfhost show gpt-oss-20b
  selfhost show mistral-7b --context 16k --format json
"""
    ),
    "compare": (
        """\
examples:
  selfhost compare gpt-oss-20b mistral-7b gpt-4o
  selfhost compare llama3.1:8b qwen3:8b --context 32k --format json
"""
    ),
    "plan": (
        """\
examples:
  selfhost plan mistral-7b
  selfhost plan llama-3.3-70b --context 32k --min-speed 10
  selfhost plan gpt-oss-120b --format json | jq .least.memory_bytes
"""
    ),
    "machine": (
        """\
examples:
  selfhost machine
  selfhost machine --profiles                 machines to ask about with --machine NAME
  selfhost machine --format json --name build-07 --label site=berlin > build-07.json
  selfhost machine --record bundle            what was read, for a bug report
  selfhost machine --root bundle --format json | selfhost check mistral-7b --machine -
"""
    ),
    "audit": (
        """\
examples:
  selfhost audit --init                       write a policy to ./audit.toml
  selfhost audit                              judge this machine against it
  selfhost audit policy.toml --machines records/ --format junit=report.xml
"""
    ),
    "spec": (
        """\
examples:
  selfhost spec check my-model.toml
  selfhost spec new ./model.gguf --output my-specs/model.toml
  selfhost check my-model --specs ./my-specs
"""
    ),
    "completion": (
        """\
examples:
  eval "$(selfhost completion bash)"        in ~/.bashrc
  selfhost completion zsh > ~/.zfunc/_selfhost
  selfhost completion fish > ~/.config/fish/completions/selfhost.fish
"""
    ),
}
