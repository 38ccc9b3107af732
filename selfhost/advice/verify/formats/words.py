"""How logs write quantizations, sizes and devices."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.files import Unreadable
from ....core.json_text import Decoder
from ....core.records import pattern

MIB = 1 << 20
# more answers or tests than anybody saves for one comparison
_MOST_VALUES = 10_000
_SCALES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_COUNTS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
# llama.cpp's file types: `Q4_K - Medium` (llama_model_ftype_name)
_SIZES = {"Small": "S", "Medium": "M", "Large": "L"}
# what llama.cpp calls medium and its files are called without
_PLAIN = {"Q2_K_M": "Q2_K"}
_TYPE = pattern(
    r"\b((?:I?Q|TQ|MXFP|NVFP|F|BF)\d+(?:_[A-Z0-9]+)*)(?: - (Small|Medium|Large))?(?![\w-])"
)
_SIZED = pattern(r"(\d{1,12}(?:\.\d{1,4})?) ?(B|KiB|MiB|GiB|TiB)\b")
_COUNTED = pattern(r"(\d{1,9}(?:\.\d{1,4})?) ?([KMBT])\b")
_NUMBER = pattern(r"\d{1,12}(?:\.\d{1,9})?(?:e[+-]?\d{1,2})?")
# what C prints for a pace of no time, which is no JSON
_NO_NUMBER = pattern(r"(\": ?)-?(?:nan|inf)(?=[,}\s])")


def quantization(text: str) -> str | None:
    """`Q4_K - Medium` -> `Q4_K_M`; None where there is none."""
    match = _TYPE.search(text)
    if match is None:
        return None
    name = match[1] + (f"_{_SIZES[match[2]]}" if match[2] else "")
    return _PLAIN.get(name, name)


def bytes_of(text: str) -> int | None:
    """`373.71 MiB` -> bytes; None for another shape."""
    match = _SIZED.search(text)
    return None if match is None else round(float(match[1]) * _SCALES[match[2]])


def count_of(text: str) -> int | None:
    """`494.03 M` -> 494,030,000; None for another shape."""
    match = _COUNTED.search(text)
    return None if match is None else round(float(match[1]) * _COUNTS[match[2]])


def positive(text: str) -> float | None:
    """A number above 0; None for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    value = float(match[0]) if match is not None else 0.0
    return value if 0 < value < 1e12 else None


def json_values(text: str, marks: Sequence[str]) -> list[object]:
    """The entries of one JSON array, the object of one text, or those of its lines that hold a
    mark; `data:` may stand before a line, and `nan` and `inf` are null.
    """
    decoder = Decoder()

    def parsed(part: str) -> object:
        try:
            return decoder.parse(_NO_NUMBER.sub(r"\1null", part))
        except Unreadable:
            return None

    value = parsed(text)
    if value is None:
        lines = (line.strip().removeprefix("data:").strip() for line in text.splitlines())
        marked = (line for line in lines if line[:1] == "{" and any(map(line.__contains__, marks)))
        value = [each for each in map(parsed, marked) if each is not None]
    return value[:_MOST_VALUES] if isinstance(value, list) else [value]


def whole(text: str) -> int | None:
    """A whole number of at most 12 digits, 0 allowed; None for anything else."""
    text = text.strip()
    is_whole = text.isdecimal() and text.isascii() and len(text) <= 12
    return int(text) if is_whole else None


def place_of(device: str) -> str:
    """Where a buffer of that name lies: `CPU_Mapped` and `CUDA_Host` in RAM, `CUDA1` on the second
    accelerator.
    """
    if device.startswith("CPU") or device.endswith("_Host") or device in ("Host", "BLAS", "AMX"):
        return "host"
    digits = ""
    for letter in device.partition("_")[0][::-1]:
        if not letter.isdecimal():
            break
        digits = letter + digits
    return f"accelerator:{int(digits[-3:] or 0)}"


# ggml_cuda_init names each device: `Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9`, and
# ggml_vulkan: `0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0`
_DEVICES = (
    pattern(r"^ *Device \d{1,2}: (.{1,80}?), (?:compute capability|gfx)", 8),
    pattern(r"^ggml_vulkan: \d{1,2} = (.{1,80}?)(?: \([^()|]{1,60}\)){1,2} \| uma: ", 8),
)


def gpu_of(text: str) -> str | None:
    """The GPU that a backend of CUDA, ROCm or Vulkan names; None for several kinds, or none."""
    names = {match[1] for device in _DEVICES for match in device.finditer(text[:100_000])}
    return names.pop() if len(names) == 1 else None


def attends_flash(value: str) -> bool | None:
    """Whether flash attention is on, of `flash_attn = disabled` or 0; None where the program chose
    it, or does not tell.
    """
    return {"0": False, "false": False, "disabled": False, "off": False,
            "1": True, "true": True, "enabled": True, "on": True}.get(value.strip())  # fmt: skip
