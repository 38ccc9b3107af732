"""The words of the findings: for each reason code the templates of its reason and its remedy, as
`core.templates` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.templates import filled

_DOUBT = (
    "[[confidence? The profile's figures are of {confidence} confidence: check your"
    " configuration.]]"
)
_GUESS = "[[guess? (general knowledge, not confirmed)]]"
_SETTLE_LICENSE = (
    "look it up on the publisher's page, then state it under [license], with the page under"
    " [sources], in a spec of your own"
)
_CHOOSE_LICENSE = "choose a model under a license you accept: `selfhost list`"
_ALLOWED = (
    "The license is {name}[[accepted?, which you accept]]"
    "[[commercial_alone?, which allows commercial use]]"
    "[[commercial_too? and which allows commercial use]]"
)
_LIST_OPEN = (
    "[[guess?look it up on the publisher's page, then state it under [{stated_in}], with the page"
    " under [sources], in a spec of your own]]"
    "[[!guess?list models that are open enough: `selfhost list {option}`]]"
)
_READ_LICENSE = "[[url?read it: {url}]][[!url?read the license before you rely on it]]"

_PASS_GATE = (
    "[[page?accept the terms at {page}, then run `hf auth login`]]"
    "[[!page?accept the publisher's terms first]]"
)

_WEIGHTS = {
    "weights-closed": (
        "[[available?{available}]][[!available?The publisher does not release the weights.]]",
        "",
    ),
    "weights-here": (
        "[[path?The files are already there: {path}.]]"
        "[[!path?The files are already on this machine.]]",
        "",
    ),
    "weights-not-known": (
        "Whether the weights were published is not known.",
        "look it up on the publisher's page, then set openness.weights in {spec}",
    ),
    "weights-not-known/in-part": (
        "Part of the weights is missing in {path}: {files:list}[[more? and {more} more]]. No source"
        " says where to download them.",
        "put the missing files into {path}",
    ),
    "weights-unsafe": (
        "The weights are {where}, but [[code?loading them runs code from the repository]]"
        "[[!code?they come only as pickle files, which can run code]].",
        "load them only in a sandbox and from a publisher you trust",
    ),
    "weights-yours": (
        "Only a config.json was given: you must have or get the weights yourself.",
        "name the folder that holds the weights, or the model",
    ),
    "weights-published": (
        "The weights are published[[repository?; {repository} has them without a login]]."
        "[[gate_unknown? Whether a login is needed is not known.]]",
        "",
    ),
    "weights-gated": ("The download needs a login or an accepted form.", _PASS_GATE),
    "weights-partial": (
        "Only part of the weights is published.",
        "check that the part you need is there",
    ),
    "weights-stated": (
        "The spec states [[needs_alone?the model's needs]][[!needs_alone?the size of the weights]],"
        " but not where to get [[needs_alone?the weights]][[!needs_alone?them]].",
        "",
    ),
}

_LICENSE = {
    "license-not-accepted": ("The license is {name}; you accept {accepted}.", _CHOOSE_LICENSE),
    "license-not-accepted/closed": (
        "The weights are not published, so they have no license that you could accept.",
        _CHOOSE_LICENSE,
    ),
    "license-conditional": (
        f"{{name}} allows commercial use under conditions{_GUESS}: {{terms}}.",
        _READ_LICENSE,
    ),
    "license-conditional/closed": (
        "The provider's terms of service decide: the weights are not published.",
        "read the provider's terms",
    ),
    "license-not-known": ("Whether {name} allows commercial use is not known.", _READ_LICENSE),
    "license-not-known/name": (
        "The license of the weights is not known. You accept {accepted}.",
        _READ_LICENSE,
    ),
    "license-unconfirmed": (f"{{name}} forbids commercial use{_GUESS}.", _SETTLE_LICENSE),
    "license-unconfirmed/name": (
        f"The license is {{name}}{_GUESS}; you accept {{accepted}}.",
        _SETTLE_LICENSE,
    ),
    "license-forbids": ("{name} forbids commercial use.", _READ_LICENSE),
    "license-allows": (f"{_ALLOWED}.", ""),
    "license-assumed": (f"{_ALLOWED}{_GUESS}.", _SETTLE_LICENSE),
}

_OPENNESS = {
    "openness-open": ("{purpose}: {why}.", ""),
    "openness-partly": (f"{{purpose}}: {{why}}{_GUESS}.", _LIST_OPEN),
    "openness-not-known": (f"{{purpose}}: {{why}}{_GUESS}.", _LIST_OPEN),
    "openness-closed": ("{purpose}: {why}.", _LIST_OPEN),
}
_OPENNESS["openness-assumed"] = _OPENNESS["openness-not-known"]

_CONTEXT = {
    "context-trained": ("{needs:tokens} is within the {trained:tokens} it was trained for.", ""),
    "context-trained/default": (
        "Checked with the default of {needs:tokens}; its trained context is not known.",
        "",
    ),
    "context-trained/both": (
        "{needs:tokens} (input and output together) is within the {has:tokens} it was trained for:"
        " {each:tokens} of input and as many of output.",
        "",
    ),
    "context-scaled": (
        "{needs:tokens} [[trained?exceeds the {trained:tokens} it was trained for, but ]]is within"
        " the {scaled:tokens} that its publisher documents with scaling"
        "[[!trained?; what it was trained for is not known]].",
        "turn on the scaling that its model card documents; answers may get worse",
    ),
    "context-untrained": (
        "{needs:tokens} (input and output together) exceeds the {has:tokens} it was trained for:"
        " {each:tokens} of input and as many of output. The model itself sets no limit.",
        "use --context {has} or less: beyond its training, answers may get worse",
    ),
    "context-too-long": (
        "{needs:tokens} exceeds the {has:tokens} the model can use.",
        "--context {has}[[called?, which it calls {called}: k is 1,024 tokens here]]",
    ),
    "context-too-long/prompt": (
        "{needs:tokens} exceeds the {has:tokens} the model can use.",
        "shorten the prompt to less than {has:tokens}, or choose another model",
    ),
    "context-too-long/both": (
        "{needs:tokens} (input and output together) exceeds the {has:tokens} the model can use:"
        " {each:tokens} of input and as many of output.",
        "--context {has}",
    ),
    "context-not-known": (
        "Whether the model can use {needs:tokens} is not known: no source states the context it was"
        " trained for.",
        "leave out --context, or state context_tokens in a spec of the model",
    ),
    "context-recording-too-long": (
        "{needs:duration} of audio exceeds the {has:duration} that the model hears at once.",
        "split the recording into pieces of {has:duration} or less: --audio {has}s",
    ),
    "context-unmeasured": (
        "The memory is known for recordings of at most {has:duration}. What {needs:duration} takes"
        " is not known: it may be much more.",
        "split the recording, or watch the memory with a part of it first",
    ),
}

_HAS_NO = "[[perhaps?may have no]][[!perhaps?has no]]"
_CPU = {
    "cpu-suits": ("[[processor?{processor}]][[!processor?The processor]] suits {builder}.", ""),
    "cpu-no-build": ("{builder} has no build for {processor}.", ""),
    "cpu-no-build/elsewhere": (
        "selfhost covers {builder} only on {covered:and}; this processor is {processor}.",
        "choose another --runtime",
    ),
    "cpu-lacks-instructions": (
        f"{{builder}}'s build would crash: this processor {_HAS_NO} {{missing:list}}.",
        "build it from source for this processor",
    ),
    "cpu-unread": ("The processor could not be read: {why}.", ""),
    "cpu-unread/sets": ("The processor's instruction sets could not be read: {why}.", ""),
    "cpu-unread/set": ("Whether the processor has {sets:list} could not be read: {why}.", ""),
    "cpu-crashes": ("{builder} may crash at the first prompt: this processor has {sets:and}.", ""),
    "cpu-slow": (
        f"It runs, [[perhaps?perhaps]][[!perhaps?but]] slowly: this processor {_HAS_NO}"
        " {missing:list}.",
        "choose a smaller model",
    ),
    "cpu-assumed": (
        "{stated} The processor's {facts:and} [[plural?are]][[!plural?is]] assumed.",
        "check the {facts:and} of your processor",
    ),
}

_NO_PACKAGE = "[[unpublished? No build is published for {unpublished}.]]"
_MUST_BE = "[[required? It must be installed already.]]"
_RUNTIME = {
    "runtime-any": ("The spec names no runtime: use any that loads the files.", ""),
    "runtime-any/required": (
        "A runtime must be installed already; the spec names none, so any may be meant.",
        "state the runtime",
    ),
    "runtime-cannot-load": ("{why}", "leave out --runtime to use one that loads it"),
    "runtime-no-build": ("{needs} has no build for {where}.", ""),
    "runtime-no-build/elsewhere": ("selfhost does not cover {needs} on {where}: {why}.", ""),
    "runtime-other-byte-order": (
        "{needs} on {processor} loads only big-endian GGUF files; published files are"
        " little-endian.",
        "convert the file there with llama.cpp's gguf_convert_endian.py (docs/build-s390x.md; it"
        " converts Q4_0, Q8_0, Q4_K, Q6_K, MXFP4 and unquantized weights); check the model by its"
        " name, because selfhost does not read the converted file",
    ),
    "runtime-unfamiliar": (
        "{needs} may refuse the file: whether it supports the architecture {architecture} is not"
        " known.",
        "look for {architecture} in {needs}'s list of supported models",
    ),
    "runtime-unfamiliar/build": (
        "{has} [[version?may be too old]][[!version?is installed in an unknown build]]: build"
        " {first} supports the architecture {architecture}; earlier builds were not checked.",
        "",
    ),
    "runtime-too-old": (
        "{has} is too old for this model: the architecture {architecture} needs {first} or later.",
        "",
    ),
    "runtime-too-old/command": (
        "{has} is too old: the command that loads this model correctly needs {first} or later.",
        "",
    ),
    "runtime-present": ("{has} is installed.", ""),
    "runtime-not-searched": (
        f"Whether {{needs}} is installed is not known.{_NO_PACKAGE}{_MUST_BE}",
        "",
    ),
    "runtime-not-installed": (
        f"{{needs}} was not found on {{machine}}.{_NO_PACKAGE}{_MUST_BE}",
        "[[required?install {needs} there]]",
    ),
}

_FREE = "{place} has {has:decimal} free"
_MAY_BE_HERE = "[[unseen? It may be there already: {unseen}.]]"
_NEEDS_DISK = "{what} needs {size:decimal}"
_MOVE = "[[variable?set {variable} to]][[!variable?download to]] a folder"
_LARGER_DISK = f"{_MOVE} on a larger disk"
_DISK = {
    "disk-nothing-missing": ("Nothing to download[[path?: the files are at {path}]].", ""),
    "disk-not-writable": (
        f"{{place_first}} is not writable.{_MAY_BE_HERE}",
        f"{_MOVE} that you may write to",
    ),
    "disk-not-writable/inodes": (
        "No file can be created in {place}: its file system has no free inodes, even if space is"
        f" left.{_MAY_BE_HERE}",
        f"delete files there (`df -i` counts them), or {_LARGER_DISK}",
    ),
    "disk-file-too-large": (
        "One file is {file:decimal}; {filesystem} on {place} allows at most {most:decimal}.",
        f"{_MOVE} on another file system",
    ),
    "disk-file-too-large/shell": (
        "One file is {file:decimal}; `ulimit -f` lets this shell write at most {most:decimal}.",
        "run `ulimit -f unlimited`, or ask your administrator to raise the limit",
    ),
    "disk-too-small": (
        f"{_NEEDS_DISK}; {_FREE}: [[is_range?at least ]]{{short:decimal}} short.{_MAY_BE_HERE}",
        f"free {{short:decimal}}, or {_LARGER_DISK}",
    ),
    "disk-too-small/in-all": (
        f"{_NEEDS_DISK}; {{place}} has only {{has:decimal}} in total.{_MAY_BE_HERE}",
        _LARGER_DISK,
    ),
    "disk-unread": ("The free space could not be read: {why}.", ""),
    "disk-size-not-known": ("The size of the download is not known: {why}.", ""),
    "disk-slow-or-volatile/ram": (
        "{place_first} is {filesystem}[[backing? over {backing}]]: files there use RAM and are lost"
        " at a restart.",
        f"{_MOVE} on a disk",
    ),
    "disk-slow-or-volatile/network": (
        "{place_first} is on a network volume ({filesystem}): loading is slow, and a quota would"
        " not show.",
        f"{_MOVE} on a local disk",
    ),
    "disk-slow-or-volatile/unread": (
        "Files in {place} may use RAM and be lost at a restart: {why}.",
        "",
    ),
    "disk-too-small-to-make": (
        f"The file fits, but making it yourself takes {{making:decimal}}: {_FREE}.",
        "take a published file, free {more:decimal}, or use a larger disk",
    ),
    "disk-tight/range": (
        f"{_NEEDS_DISK}, and may not fit: {_FREE}.",
        "free {more:decimal} more to be sure",
    ),
    "disk-tight": (
        "{what} fits, but leaves only {left:decimal} free in {place}.",
        "free {more:decimal} more to keep a safety margin",
    ),
    "disk-fits": (
        f"{_NEEDS_DISK} of the {{has:decimal}} free in {{place}}[[quota? under the {{quota}}'s"
        f" quota]].[[already? {{already:decimal}} are there already.]]{_DOUBT}",
        "",
    ),
    "disk-assumed/quota": (
        f"{_NEEDS_DISK}; {{place}} has {{has:decimal}} free, but a quota may leave you less:"
        " {why}.",
        "",
    ),
    "disk-assumed": (
        f"{_NEEDS_DISK}; the free space is assumed[[total?: {{place}} has {{total:decimal}} in"
        f" total, and how much of it is free is not stated]][[!total?: {{why}}]].{_DOUBT}",
        "check that {enough:decimal} are free there",
    ),
}

_NEED = (
    "It needs {need:binary} of memory[[files? (including {files:decimal} of files that {lie} in"
    " RAM)]]"
)
_ON_GPU = "[[on_gpu? beside {on_gpu:binary} on the GPU]]"
_MACHINE = "{machine}[[limit? (limited to {limit:binary} of {total:binary})]]"
_KEPT = "after a reserve of {reserve:binary}, {reserve_source}"
_KEPT_IF_ASKED = f"[[asked? {_KEPT}]]"
_GIVES = f"{_MACHINE} can give {{has:binary}}[[now_only? now]]{_KEPT_IF_ASKED}"
_MEMORY = {
    "memory-need-not-known": (
        f"How much memory the model needs is not known: {{why}}.{_DOUBT}",
        "",
    ),
    "memory-too-small/at-least": (
        f"It needs more than the {{has:binary}} that {_MACHINE} has; how much more is not known:"
        f" {{why}}.{_DOUBT}",
        "use a smaller quantization or a smaller model",
    ),
    "memory-too-small": (
        f"{_NEED}{_ON_GPU}; {_MACHINE} can give at most {{has:binary}}[[now_only? now]]"
        f"{_KEPT_IF_ASKED}.[[reserve_decides? It {{would}} fit without the reserve of"
        " {reserve:binary}, {reserve_source}: `--reserve SIZE` changes it.]]"
        f"{_DOUBT}",
        "[[on_gpu?{short:binary} more of RAM or of GPU memory would do; or ]]{smaller}",
    ),
    "memory-assumed": (
        f"{_NEED}{_ON_GPU}; {_MACHINE} can give {{has:binary}}, but its RAM is assumed:"
        f" {{total:binary}}, and it may have more.{_DOUBT}",
        "state the RAM that it has, such as `--set memory={enough_gib}GiB`",
    ),
    "memory-tight/now": (
        f"{_NEED}; {{has:binary}} are available now. It is tight: {{left:binary}} stay free for"
        f" anything else.{_DOUBT}",
        "close other programs, or {smaller}",
    ),
    "memory-fits/now": (f"{_NEED}; {{has:binary}} are available now{_KEPT_IF_ASKED}.{_DOUBT}", ""),
    "memory-unread": (f"The memory limit could not be read: {{why}}.{_DOUBT}", ""),
    "memory-unread/now": (f"The available memory could not be read: {{why}}.{_DOUBT}", ""),
    "memory-close": (f"{_NEED}; {_GIVES}: too close to call.{_DOUBT}", "to be safe, {smaller}"),
    "memory-not-now": (
        f"{_NEED}; {_MACHINE} can give {{has:binary}} ({_KEPT}), but [[!now_read?how much is free"
        f" now could not be read]][[now_read?only {{now:binary}} are free now]].{_DOUBT}",
        "close other programs first",
    ),
    "memory-tight": (
        f"{_NEED}; {_MACHINE} can give {{has:binary}} ({_KEPT}). It is tight: {{left:binary}} are"
        f" left to the system and all other programs.{_DOUBT}",
        "close other programs[[desktop? (a desktop with its programs takes {desktop:binary} or"
        " more)]], or {smaller}",
    ),
    "memory-fits": (f"{_NEED}; {_GIVES}.{_DOUBT}", ""),
}
for _code, _end in (("memory-too-small", "."), ("memory-close", ": too close to call.")):
    _MEMORY[f"{_code}/shell"] = (
        "It needs {need:binary} of [[mapped_counts?address space]][[!mapped_counts?private memory]]"
        "[[mapped? (including {mapped:binary} of mapped files)]]; [[option?`ulimit {option}`]]"
        f"[[!option?the kernel's CommitLimit]] leaves {{has:binary}}{_end}",
        "[[option?run `ulimit {option} unlimited`, or ask your administrator to raise the limit]]"
        "[[!option?run `sudo sysctl vm.overcommit_ratio=100` (or vm.overcommit_memory=0)]]"
        "[[no_repack?; or run it with --no-repack, which makes no second copy of the weights]]",
    )

# how a GPU is given by its full name
_GPU_NAMED = "give the GPU's full name (`--set gpu=24GiB:NAME`)"
_OTHER_RULE = (
    "[[default?leave out]][[!default?choose another]] {flag}, or choose another GPU ({source})"
)
_IN_RAM = "It would run in RAM"
_NO_GPU = (
    "[[device?is not known to compute on {device}, which shares the RAM]]"
    "[[!device?no GPU was detected]]"
)
_OTHER_RUNTIME = (
    "[[has_other?leave out --runtime to use one that runs on a CPU]]"
    "[[!has_other?use a machine with a GPU]]"
)
_WITH_OPTION = (
    "With `{option}`, which is slower, {program} needs {need:binary}, likely {likely:binary};"
    " {devices} has {has:binary} for it"
)
_WITHOUT = "without the option it may not fit"
_CAPABILITY = "{program} needs compute capability {least}[[rule? for {rule}]]"
_ACCELERATOR = {
    "accelerator-not-needed": ("No accelerator is needed: the model runs in RAM.", ""),
    "accelerator-not-needed/too-small": (
        f"{_IN_RAM}: {{device}} is too small for it, or not needed.",
        "",
    ),
    "accelerator-not-needed/alone": (
        f"{_IN_RAM}: {{device}} is too small for it, and {{why}}.",
        "",
    ),
    "accelerator-not-needed/training": (
        "It would train on the CPU: on {devices} it likely needs {likely:binary}, and"
        " [[together?together they have {room:binary}]][[!together?{room:binary} are there]].",
        "",
    ),
    "accelerator-not-needed/unused": (
        f"{_IN_RAM}, on the CPU: the builds of {{program}} for this system and an"
        " {processor} processor leave {device} unused.",
        "",
    ),
    "accelerator-not-needed/unsuited": (f"{_IN_RAM}: {{why}}", ""),
    "accelerator-missing": (f"The program {{program}} needs a GPU, and {_NO_GPU}.", _OTHER_RUNTIME),
    "accelerator-missing/on-cpu": (
        f"{{program}} is judged on GPUs only, and {_NO_GPU}. {{on_cpu}}",
        _OTHER_RUNTIME,
    ),
    "accelerator-missing/rule": (
        "{program} needs a GPU for {rule}, and no GPU was detected.",
        "leave out --quant to use a quantization that runs on a CPU",
    ),
    "accelerator-unread": (
        "Only an accelerator could hold the model or make it fast enough, and it could not be read:"
        " {why}.",
        "",
    ),
    "accelerator-unread/need": ("How much memory it needs on {device} is not known.", ""),
    "accelerator-unread/in-ram": (
        f"{_IN_RAM}: whether {{device}} would hold it could not be read ({{why}}).",
        "",
    ),
    "accelerator-unread/maker": (
        "{program} runs {rule} only on GPUs by {makers:and}, and the maker of {device} is not"
        " known.",
        f"{_GPU_NAMED}, or choose another {{flag}}",
    ),
    "accelerator-unread/amd": (
        "{program} is built for some AMD GPUs alone, and which one this is, is not known.",
        f"{_GPU_NAMED} ({{source}})",
    ),
    "accelerator-unread/capability": (
        f"{_CAPABILITY}; that of {{device}} is not known.",
        "look it up at https://developer.nvidia.com/cuda-gpus",
    ),
    "accelerator-unsuitable/maker": ("{program} does not run {rule} on {device}.", _OTHER_RULE),
    "accelerator-unsuitable/build": ("{program} is not built for {device}.", ""),
    "accelerator-unsuitable/capability": (f"{_CAPABILITY}; {{device}} has {{capability}}.", ""),
    "accelerator-unsuitable/drawing": (
        "{device} is a vGPU for drawing: its profile runs no CUDA.",
        "have the virtual machine given a profile that ends in Q or C",
    ),
    "accelerator-fits": (
        f"It fits completely on {{devices}}: {{needs:binary}} of {{has:binary}}.{_DOUBT}",
        "",
    ),
    "accelerator-fits/shared": (
        "{device} shares the RAM, [[limit?and may use {limit:binary} of it or more]]"
        "[[!limit?so only the RAM has to suffice]].",
        "",
    ),
    "accelerator-partly": ("{needs:binary} of it fits on {devices}; the rest stays in RAM.", ""),
    "accelerator-partly/in-turn": (
        "{devices} holds one part at a time, up to {needs:binary}; the others wait in RAM.",
        "",
    ),
    "accelerator-partly/limited": (
        "It needs up to {needs:binary}; {system} lets the GPU use [[about?about ]]{lent:binary} of"
        " the RAM[[default? by default]]. [[no_cpu?With less it does not start.]]"
        "[[!no_cpu?The rest {runs} on the CPU, more slowly.]]"
        "[[raisable? That is the slow end of the pace; the likely one is with the limit raised.]]",
        "",
    ),
    "accelerator-shared-out": (
        "No single accelerator holds it. Split across {cards} with FSDP or ZeRO-3, it needs up to"
        " {each:binary} on each.",
        "train with FSDP: https://huggingface.co/docs/transformers/fsdp",
    ),
    "accelerator-lean": (
        f"{_WITH_OPTION}, and {_WITHOUT}.{{left_out}}",
        "to run it without the option, faster, {smaller}",
    ),
    "accelerator-tight": (
        "It likely fits on {devices}, but it is tight: it needs {need:binary}, likely"
        " {likely:binary}, and {has:binary} are there.",
        "",
    ),
    "accelerator-tight/lean": (
        f"{_WITH_OPTION}: it likely fits, but it is tight, and {_WITHOUT}.{{left_out}}",
        "[[add?add `{add}`, or ]]{smaller}",
    ),
    "accelerator-close": (
        "Whether it fits on {devices} depends on the trainer: it needs {need:binary}, and"
        " {has:binary} are there.",
        "",
    ),
    "accelerator-close/lean": (
        f"{_WITH_OPTION}: too close to call.{{left_out}}",
        "try `{option}`[[add? and `{add}`]]; to be safe, {smaller}",
    ),
    "accelerator-not-now": (
        "{devices} has room for the {needs:binary} it needs there, but only {free:binary} are free"
        " now.",
        "close the other programs that use the GPU",
    ),
    "accelerator-too-small": (
        "{program} needs {needs:binary} on [[is_of_one?one of ]][[several?{several} GPUs]]"
        "[[!several?a GPU]]; {devices} has {has:binary} for it[[why?, and {why}]].{left_out}",
        "",
    ),
}
_GPUS = {
    "lend/macos": "let the GPU use more: `{line}`",
    "lend/linux": "let the GPU use more: `{line}`, then restart",
    "lend/left": (
        "; the {left:binary} left are enough for macOS alone: close all other programs first"
    ),
    "left-out": (
        " {program} is judged on {used} of the {cards} GPUs, as it divides this model into {parts}"
        " equal parts[[option?; `{option}`, which gives whole layers to each, is not judged]]."
    ),
    "whole/shorter": (
        "[[cache?`--kv-cache {cache}`, ]]a shorter --context or a smaller --quant may fit"
        " completely"
    ),
    "whole/model": "only a smaller model fits completely",
    "whole/weights": ("weights of up to {most:binary} fit completely; these are {weights:binary}"),
    "in-ram": "The RAM holds it[[pace?: the CPU would train at {pace}]].",
    "once-idle": (
        "[[pace? Once idle, it would reach {pace:speed}.]][[in_ram? Until then it runs in RAM.]]"
    ),
    "other-gpu": (
        "[[other_runtime?leave out --runtime to use one that runs on it, or ]]choose another GPU"
        " ({source})"
    ),
    "other-rule": _OTHER_RULE,
}

_INSTALL = {
    "install": "run `{line}`",
    "install/source": "build it from source: {page}",
    "install/again": "reinstall it: {line}",
    "install/update": "update it to {first} or later",
    "other-runtime": "choose another --runtime",
    "other-runtime/gguf": "use a GGUF file of the same model: --runtime llama.cpp",
    "other-runtime/wide": (
        "install a 64-bit system if the processor supports one ({wide} has a build), or choose"
        " another --runtime"
    ),
}

# what takes less memory
_SMALLER = {
    "smaller/training": "use a shorter --context, or train a smaller model",
    "smaller/model": "use a smaller quantization or a smaller model",
    "smaller/cache": (
        "use [[cache?--kv-cache {cache}, ]]a smaller quantization, a shorter context or a smaller"
        " model"
    ),
    "smaller/without-context": (
        "use a smaller quantization or model: without any context this one needs {rest:binary}"
    ),
    "smaller/files": "store the files on a disk, not in RAM; or {smaller}",
}

WORDS: Mapping[str, tuple[str, str]] = {
    **_WEIGHTS,
    **_LICENSE,
    **_OPENNESS,
    **_CONTEXT,
    **_DISK,
    **_MEMORY,
    **_CPU,
    **_ACCELERATOR,
    **_RUNTIME,
}
"""Reason and remedy by code, or by code and variant; "" is none."""

PHRASES: Mapping[str, str] = {
    **_INSTALL,
    **_GPUS,
    **_SMALLER,
    "pass-gate": _PASS_GATE,
    "doubt": _DOUBT,
}
"""What several sentences share, and what other modules say too."""


def phrase(key: str, **figures: Any) -> str:
    """One of PHRASES with its figures."""
    return filled(PHRASES[key], figures)
