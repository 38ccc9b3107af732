"""Accelerators: which are there and what memory they have, from files; NVIDIA's driver alone is
asked (`nvidia.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core.records import Record, pattern
from ...core.saying import FILL_IN, differently
from ..record import Accelerator
from .host import MAX_NAMES_BYTES, PCI, Found, Host, Read, is_wsl1
from .nvidia_files import WSL_DEVICE, driver_present, jetson_board

ACCELERATORS, MEMORY = "accelerators", "accelerators.memory_total_bytes"
DRM, KFD = "/sys/class/drm", "/sys/class/kfd/kfd/topology/nodes"
NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
UNIFIED = f"{ACCELERATORS}.unified"
# names of AMD's cards by device and revision, of libdrm
AMD_NAMES = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")
# where a container's programs reach a GPU: for Vulkan, SYCL and ROCm; for ROCm alone
RENDER_NODES, ROCM_NODE = "/dev/dri", "/dev/kfd"
_NOT_HANDED = "{} GPU is there, but not handed to this container: it has no {}"
_OF_WINDOWS = (
    f"WSL 2 hands on the GPU of Windows as {WSL_DEVICE}, which does not tell whose it is nor its"
    " memory"
)
_NAME_IT = "run selfhost in Windows, which can tell; or name the GPU: " + differently(
    "add `--gpu NAME` to `selfhost check`", "machine=NAME", "facts = { gpu = NAME } of a [[class]]"
)
_CARD, _TILE = pattern(r"card\d+"), pattern(r"tile\d+")
_SLOT = pattern(r"(?m)^PCI_SLOT_NAME=(\S+)$")
# the processor's own graphics
_ON_BUS_00 = pattern(r"[0-9a-f]{4}:?00:?[0-9a-f]{2}\.")
_MAX_BYTES = 2**50
_MIB = 2**20


def _display_devices(host: Host) -> tuple[list[tuple[str, str]], str | None]:
    """(slot, vendor) of PCI display adapters and accelerators, and why one could not be told,
    if so.
    """
    names = host.listdir(PCI)
    if names is None:
        # a board or small virtual machine without a PCI bus has /sys/bus all the same
        return [], None if host.listdir("/sys/bus") is not None else f"{PCI} cannot be listed"
    devices, why = [], None
    for slot in names:
        kind, vendor = host.read_word(f"{PCI}/{slot}/class"), host.read_word(f"{PCI}/{slot}/vendor")
        if kind is None and vendor in (None, NVIDIA, AMD):
            why = host.why(f"{PCI}/{slot}/class")
        elif kind is not None and kind.startswith(("0x03", "0x1200")):
            if vendor is None:
                why = host.why(f"{PCI}/{slot}/vendor")
            else:
                devices.append((slot, vendor))
    return devices, why


def read_accelerators(host: Host, facts: Found) -> None:
    """GPUs that a runtime could use; () where the files show none."""
    if host.system == "linux":
        _read_of_linux(host, facts)
    elif host.system == "windows":
        _read_of_windows(host, facts)
    elif host.system == "macos" and (host.sysctl("hw.optional.arm64") == "1"):
        _apple(host, facts)
    else:
        facts.miss(
            ACCELERATORS,
            f"GPUs are not looked for on this kind of {host.system} machine by this version",
            FILL_IN,
        )


def _read_of_linux(host: Host, facts: Found) -> None:
    devices, why = _display_devices(host)
    nvidia = _nvidia(host, [slot for slot, vendor in devices if vendor == NVIDIA])
    nodes = _render_nodes(host, facts)
    parts = [nvidia, _amd(host, facts, devices, nodes), _intel(host, devices, nodes)]
    if not any(parts) and is_wsl1(host):
        facts.put(ACCELERATORS, (), "kernel release: WSL 1, which hands on no GPU")
    elif not any(parts) and host.exists(WSL_DEVICE):
        facts.miss(ACCELERATORS, _OF_WINDOWS, _NAME_IT)
    else:
        _put(facts, parts, why, f"{PCI}: no GPU of NVIDIA, AMD or Intel")


def _read_of_windows(host: Host, facts: Found) -> None:
    nvidia = _nvidia(host, ()) if driver_present(host) else None
    nvidia_tells_memory = nvidia is not None and any(
        card.memory_total_bytes for card in nvidia.cards
    )
    others, why = _windows(
        host,
        with_nvidia=not nvidia_tells_memory and host.env.get("CUDA_VISIBLE_DEVICES") is None,
    )
    if others is not None and any(card.vendor == "nvidia" for card in others.cards):
        # the registry has the memory where the driver did not answer
        nvidia = None
    _put(facts, [nvidia, others], why, "the registry: no GPU of NVIDIA, AMD or Intel")


def _nvidia(host: Host, slots: Sequence[str]) -> Read | None:
    """NVIDIA's GPUs; None where no file shows one: most computers have none."""
    if not slots and not driver_present(host) and jetson_board(host) is None:
        return None
    from .nvidia import read_nvidia

    return read_nvidia(host, slots)


def _put(facts: Found, parts: Sequence[Read | None], why: str | None, none: str) -> None:
    read = [part for part in parts if part is not None]
    cards = tuple(card for part in read for card in part.cards)
    if why and not cards:
        facts.miss(ACCELERATORS, why, FILL_IN)
        return
    facts.put(ACCELERATORS, cards, "; ".join(part.source for part in read) or none)
    _miss_memory(facts, read)
    if any(card.unified is None for card in cards):
        facts.miss(
            UNIFIED,
            "whether the GPU shares the machine's RAM follows from its name or driver, and"
            " neither could be read",
            FILL_IN,
        )


def _render_nodes(host: Host, facts: Found) -> frozenset[str] | None:
    """The GPUs that this container was handed, as `renderD128`: its bus shows every one of the
    host. None outside of containers.
    """
    if facts.values.get("scope") != "container":
        return None
    names = host.listdir(RENDER_NODES) or ()
    return frozenset(name for name in names if name.startswith("renderD"))


def _is_handed(host: Host, folder: str, nodes: frozenset[str] | None) -> bool:
    """Whether programs here reach the card with that folder in sysfs."""
    if nodes is None:
        return True
    own = {name for name in host.listdir(f"{folder}/drm") or () if name.startswith("renderD")}
    return not nodes.isdisjoint(own) if own else bool(nodes)


def _miss_memory(facts: Found, read: Sequence[Read]) -> None:
    """Say why the memory of some cards is not known, for each part that has such a card."""
    blank = [
        part
        for part in read
        if part.reason and any(card.memory_total_bytes is None for card in part.cards)
    ]
    if blank:
        reasons = "; ".join(part.reason or "" for part in blank)
        remedies = dict.fromkeys(part.remedy for part in blank if part.remedy)
        facts.miss(MEMORY, reasons, "; ".join(remedies) or None)


def masked(
    cards: Sequence[Accelerator], mask: str | None, names: Sequence[str | None] = ()
) -> tuple[Accelerator, ...]:
    """What a mask of numbers or `names` leaves, in its order; all of them without one. The
    first word that names none ends the list.
    """
    if not mask:
        return tuple(cards)
    chosen: list[int] = []
    for word in (part.strip() for part in mask.split(",")):
        index = _index_of(word, names)
        if not 0 <= index < len(cards) or index in chosen:
            break
        chosen.append(index)
    return tuple(cards[index] for index in chosen)


def _index_of(word: str, names: Sequence[str | None]) -> int:
    """The index that a word of a mask means, a number or one of `names`; -1 for another word."""
    if word.isdecimal() and word.isascii() and len(word) < 6:
        return int(word)
    named = (index for index, name in enumerate(names) if name and name.lower() == word.lower())
    return next(named, -1)


# ------------------------------------------------------------------ AMD


def _size(host: Host, path: str) -> int | None:
    word = host.read_word(path)
    return (
        int(word)
        if word and word.isdecimal() and word.isascii() and 0 < int(word) <= _MAX_BYTES
        else None
    )


def parse_properties(text: str) -> dict[str, int]:
    """`name number` lines of a KFD node."""
    pairs = (line.split() for line in text.splitlines())
    return {
        pair[0]: int(pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[1].isdecimal() and len(pair[1]) < 25
    }


def parse_amd_names(text: str, device: str, revision: str) -> str | None:
    """amdgpu.ids of libdrm -> the name of a card by its PCI device and revision, both as
    `0x744c`.
    """
    wanted = device.removeprefix("0x").lower(), revision.removeprefix("0x").lower()
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",", 2)]
        if len(fields) == 3 and (fields[0].lower(), fields[1].lower()) == wanted:
            return fields[2] or None
    return None


def gfx_name(version: int) -> str | None:
    """KFD's gfx_target_version, decimal pairs -> the name compilers use: 110000 is gfx1100,
    90010 gfx90a.
    """
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None


def _kfd(host: Host) -> dict[str, tuple[int, dict[str, int]]]:
    """PCI slot -> (number, properties) of each GPU that ROCm could use."""
    gpu_of_slot = {}
    for name in host.listdir(KFD) or ():
        if not name.isdecimal():
            continue
        values = parse_properties(host.read_text(f"{KFD}/{name}/properties") or "")
        at = values.get("location_id", 0)
        if values.get("simd_count"):
            slot = (
                f"{values.get('domain', 0):04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}"
            )
            gpu_of_slot[slot] = int(name), values
    return gpu_of_slot


def _shares_ram(host: Host, folder: str) -> bool | None:
    """Whether it is a processor's own graphics: their metrics are of revision 2 or 3, those of
    cards 1 (Linux, kgd_pp_interface.h).
    """
    try:
        head = host.read_bytes(f"{folder}/gpu_metrics", 4)
    except (OSError, ValueError):
        return None
    return None if len(head) < 4 else {1: False, 2: True, 3: True}.get(head[2])


def _amd(
    host: Host, facts: Found, devices: list[tuple[str, str]], nodes: frozenset[str] | None
) -> Read | None:
    every = _amd_cards(host, facts.values.get("memory_total_bytes"), nodes)
    seen = [card for card in every if card.is_handed]
    count = sum(vendor == AMD for _, vendor in devices)
    if nodes is not None:
        if every and not seen:
            return _amd_of_the_host(host, every)
        # a driver has no card that another container was handed
        count = len(seen) if every else count
    visible = _unmasked_by_rocm(host, seen)
    source = (
        DRM
        if len(visible) == len(seen)
        else f"{DRM}, as ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES select"
    )
    visible += tuple(Accelerator(vendor="amd", name="AMD GPU") for _ in range(count - len(seen)))
    if not seen and not visible:
        return None
    reason = "an AMD GPU has no mem_info_vram_total: its driver amdgpu is not loaded"
    if seen and all(card.unified for card in visible if card.memory_total_bytes is None):
        reason = "the GPU shares the machine's RAM"
    return Read(cards=visible, source=source, reason=reason, remedy=FILL_IN)


def _amd_of_the_host(host: Host, every: Sequence[_AmdCard]) -> Read | None:
    """The cards of which this container was handed none: with ROCm's device alone some may do."""
    if host.exists(ROCM_NODE):
        lacks = f"{RENDER_NODES}/renderD*, only {ROCM_NODE}"
    else:
        lacks = f"{RENDER_NODES}/renderD* and no {ROCM_NODE}"
    return Read(
        cards=tuple(
            each.card.replace(memory_total_bytes=None, memory_free_bytes=None) for each in every
        ),
        source=DRM,
        reason=_NOT_HANDED.format("an AMD", lacks),
        remedy=f"start the container with `--device {ROCM_NODE} --device {RENDER_NODES}`",
    )


def _unmasked_by_rocm(host: Host, seen: Sequence[_AmdCard]) -> tuple[Accelerator, ...]:
    """The cards that ROCm's variables leave: its own hides first, then HIP's counts the rest."""
    cards = [each.card for each in seen]
    left = masked(cards, host.env.get("ROCR_VISIBLE_DEVICES"), [each.code for each in seen])
    return masked(left, host.env.get("HIP_VISIBLE_DEVICES"))


class _AmdCard(Record):
    """A card with a driver: its place in the order of ROCm, what masks call it, and whether
    programs here reach it.
    """

    number: int
    card: Accelerator
    code: str | None
    is_handed: bool


def _amd_cards(
    host: Host, ram_bytes: int | None, render_nodes: frozenset[str] | None
) -> list[_AmdCard]:
    """Each card with a driver, in the order of ROCm."""
    nodes = _kfd(host)
    seen: list[_AmdCard] = []
    for name in host.listdir(DRM) or ():
        folder = f"{DRM}/{name}/device"
        if not _CARD.fullmatch(name) or host.read_word(f"{folder}/vendor") != AMD:
            continue
        match = _SLOT.search(host.read_text(f"{folder}/uevent") or "")
        number, node = nodes.get(match[1].lower() if match else "", (len(nodes) + len(seen), {}))
        code = host.read_word(f"{folder}/unique_id")
        seen.append(
            _AmdCard(
                number=number,
                card=_amd_card(host, folder, node, ram_bytes),
                code=f"GPU-{code}" if code else None,
                is_handed=_is_handed(host, folder, render_nodes),
            )
        )
    return sorted(seen, key=lambda each: each.number)


def _amd_card(host: Host, folder: str, node: dict[str, int], ram_bytes: int | None) -> Accelerator:
    total, used = (
        _size(host, f"{folder}/mem_info_vram_total"),
        _size(host, f"{folder}/mem_info_vram_used"),
    )
    own: bool | None = None if total is None else False
    if _shares_ram(host, folder):
        # runtimes take one of two pools: what the firmware took out of the RAM for it, or what it
        # may borrow of the RAM, that can be stated larger than the RAM is (96 GiB and 105 GiB of
        # 128: GpuZelenograd/memtest_vulkan#66)
        borrowed = min(_size(host, f"{folder}/mem_info_gtt_total") or 0, ram_bytes or 2**60)
        own = (total or 0) <= borrowed
        if own:
            # what it may use of the RAM (ttm.pages_limit, half of it by default)
            total, used = borrowed or None, None
    free = max(0, total - used) if total is not None and used is not None else None
    return Accelerator(
        vendor="amd",
        name=host.clean(_amd_name(host, folder)),
        memory_total_bytes=total,
        memory_free_bytes=free,
        unified=own,
        compute_capability=gfx_name(node.get("gfx_target_version", 0)),
    )


def _amd_name(host: Host, folder: str) -> str:
    """As its driver gives it, else as libdrm's list has it, else by its number."""
    name = (host.read_text(f"{folder}/product_name", 256) or "").strip()
    device = host.read_word(f"{folder}/device") or ""
    revision = host.read_word(f"{folder}/revision") or ""
    for path in AMD_NAMES if not name and device else ():
        name = (
            parse_amd_names(host.read_text(path, MAX_NAMES_BYTES) or "", device, revision) or name
        )
    return name or f"AMD GPU {device}".strip()


# ------------------------------------------------------------------ Intel


def _intel(host: Host, devices: list[tuple[str, str]], nodes: frozenset[str] | None) -> Read | None:
    # bus 00 is the processor's own graphics, which shares RAM and speeds nothing up here; recorded
    # trees leave colons out
    slots = [slot for slot, vendor in devices if vendor == INTEL and not _ON_BUS_00.match(slot)]
    if not slots:
        return None
    # few machines have such a card
    from .pci_names import name_on_bus

    handed = [slot for slot in slots if _is_handed(host, f"{PCI}/{slot}", nodes)]
    cards = []
    for slot in handed or slots:
        name = name_on_bus(host, slot, INTEL)
        total = _intel_memory(host, f"{PCI}/{slot}") if handed else None
        cards.append(
            Accelerator(
                vendor="intel",
                name=host.clean(f"Intel {name or 'GPU'}"),
                memory_total_bytes=total,
                unified=False,
            )
        )
    if not handed:
        return Read(
            cards=tuple(cards),
            source=PCI,
            reason=_NOT_HANDED.format("an Intel", f"{RENDER_NODES}/renderD*"),
            remedy=f"start the container with `--device {RENDER_NODES}`",
        )
    whole = sum(vendor == INTEL for _, vendor in devices)
    mask = host.env.get("ZE_AFFINITY_MASK")
    if mask and whole == len(cards):
        # a part of a card counts as the card; beside a processor's own graphics the numbers do not
        # tell which is which
        chosen, source = (
            masked(cards, ",".join(word.partition(".")[0] for word in mask.split(","))),
            f"{PCI}, as ZE_AFFINITY_MASK selects",
        )
    else:
        chosen, source = tuple(cards), PCI
    return Read(
        cards=chosen,
        source=source,
        reason="an Intel GPU's driver does not tell its memory in files",
        remedy=FILL_IN,
    )


def _intel_memory(host: Host, folder: str) -> int | None:
    """xe tells of each tile, i915 of the card in some versions (AlexsJones/llmfit#733)."""
    tiles = [name for name in host.listdir(folder) or () if _TILE.fullmatch(name)]
    sizes = [_size_of(host, f"{folder}/{name}/physical_vram_size_bytes") for name in tiles]
    if sizes and None not in sizes:
        return sum(size for size in sizes if size)
    for name in host.listdir(f"{folder}/drm") or ():
        if _CARD.fullmatch(name):
            return _size_of(host, f"{folder}/drm/{name}/lmem_total_bytes")
    return None


def _size_of(host: Host, path: str) -> int | None:
    """A size in decimal or with 0x."""
    import re

    word = host.read_word(path)
    if word and re.fullmatch(r"0x[0-9a-f]{1,16}", word):
        number = int(word, 16)
        return number if 0 < number <= _MAX_BYTES else None
    return _size(host, path)


# ------------------------------------------------------------------ Apple


def _apple(host: Host, facts: Found) -> None:
    name = host.clean((host.sysctl("machdep.cpu.brand_string") or "").strip() or "Apple silicon")
    limit = host.sysctl("iogpu.wired_limit_mb") or ""
    own = int(limit) * _MIB if limit.isdecimal() and 0 < int(limit) * _MIB <= _MAX_BYTES else None
    facts.put(
        ACCELERATORS,
        (Accelerator(vendor="apple", name=name, unified=True, memory_total_bytes=own),),
        "sysctl hw.optional.arm64",
    )
    if own is None:
        facts.miss(
            MEMORY,
            "the GPU shares the machine's RAM, and only Metal tells how much of it the GPU may use:"
            " by default two thirds to five sixths",
            "`sudo sysctl iogpu.wired_limit_mb=N` sets it",
        )
    else:
        facts.note(MEMORY, "sysctl iogpu.wired_limit_mb")


# ------------------------------------------------------------------ Windows

# AMD's own cards; other names of its are graphics of a processor
_AMD_CARD = pattern(
    r"(?i)\bRX\b|\bPro\s+(W|V|VII|R\d)|\bVII\b|\bInstinct\b|\bVega (56|64|Frontier)\b|\bFirePro\b"
)
_INTEL_CARD = pattern(r"(?i)\bArc\b.*\b[AB]\d{2,3}M?\b|\bData Center GPU\b")
_WINDOWS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("ven_10de", "nvidia", lambda _name: True),
    ("ven_1002", "amd", lambda name: _AMD_CARD.search(name) is not None),
    ("ven_8086", "intel", lambda name: _INTEL_CARD.search(name) is not None),
)


def _windows(host: Host, *, with_nvidia: bool) -> tuple[Read | None, str | None]:
    """Cards by the registry. Graphics of processors share the RAM: AMD's are named, Intel's
    speed nothing up.
    """
    adapters = host.display_adapters()
    if adapters is None:
        return None, "the registry's list of display adapters could not be read"
    read = [_windows_card(host, adapter) for adapter in adapters]
    cards = [card for card in read if card and (with_nvidia or card.vendor != "nvidia")]
    if not cards:
        return None, None
    shared = all(card.unified for card in cards if card.memory_total_bytes is None)
    reason = (
        "the GPU shares the machine's RAM"
        if shared
        else "the registry does not state the memory of a GPU"
    )
    return (
        Read(
            cards=tuple(cards),
            source="the registry's display adapters",
            reason=reason,
            remedy=FILL_IN,
        ),
        None,
    )


def _windows_card(host: Host, adapter: Mapping[str, object]) -> Accelerator | None:
    """The card of one display adapter; None for graphics of Intel's processors and other makers."""
    code, name = str(adapter.get("id") or "").lower(), str(adapter.get("name") or "").strip()
    vendor, is_card = next(
        ((vendor, test(name)) for mark, vendor, test in _WINDOWS if mark in code), ("", False)
    )
    if not vendor or (vendor == "intel" and not is_card):
        return None
    size = adapter.get("memory")
    total = size if is_card and type(size) is int and 0 < size <= _MAX_BYTES else None
    return Accelerator(
        vendor=vendor,
        name=host.clean(name or f"{vendor} GPU"),
        memory_total_bytes=total,
        unified=not is_card,
    )
