"""How logs write quantizations, sizes, numbers and devices."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.files import Unreadable
from ....core.json_text import Decoder
from ....core.records import pattern

MIB = 1 << 20
# more answers, tests or rows than anybody saves for one comparison
MOST_VALUES = 10_000
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
COUNTS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
# llama.cpp's file types: `Q4_K - Medium` (llama_model_ftype_name)
_LEVELS = {"Small": "_S", "Medium": "_M", "Large": "_L"}
_TYPE = pattern(
    r"\b((?:I?Q|TQ|MXFP|NVFP|F|BF)\d+(?:_[A-Z0-9]+)*)(?: - (Small|Medium|Large))?(?![\w-])"
)
_AMOUNT = pattern(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])\b")
_NUMBER = pattern(r"\d{1,12}(?:\.\d{1,9})?(?:e[+-]?\d{1,2})?")
# what C prints for a pace of no time, which is no JSON
_NO_NUMBER = pattern(r"(\": ?)-?(?:nan|inf)(?=[,}\s])")
_DEVICE_NUMBER = pattern(r"[A-Za-z]+(\d{1,3})")
# ggml_cuda_init names each device: `Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9`, and
# ggml_vulkan: `0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0`
_DEVICE_NAME = pattern(
    r"^ *Device \d{1,2}: (.{1,80}?), (?:compute capability|gfx)"
    r"|^ggml_vulkan: \d{1,2} = (.{1,80}?)(?: \([^()|]{1,60}\)){1,2} \| uma: ",
    8,
)
_SWITCHES = {
    **dict.fromkeys(("0", "false", "disabled", "off"), False),
    **dict.fromkeys(("1", "true", "enabled", "on"), True),
}


def quantization(text: str) -> str | None:
    """`Q4_K - Medium` -> `Q4_K_M`; None where there is none."""
    match = _TYPE.search(text)
    if match is None:
        return None
    name = match[1] + _LEVELS.get(match[2], "")
    # what llama.cpp calls medium and its files are called without
    return "Q2_K" if name == "Q2_K_M" else name


def amount(text: str, scales: dict[str, int]) -> int | None:
    """`373.71 MiB` by `SIZES` -> bytes, `494.03 M` by `COUNTS` -> 494,030,000; None for another
    shape.
    """
    match = _AMOUNT.search(text)
    if match is None or match[2] not in scales:
        return None
    return round(float(match[1]) * scales[match[2]])


def positive(text: str) -> float | None:
    """A number above 0; None for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    value = float(match[0]) if match is not None else 0.0
    return value if 0 < value < 1e12 else None


def whole(text: str) -> int | None:
    """A whole number of at most 12 digits, 0 allowed; None for anything else."""
    text = text.strip()
    is_whole = text.isdecimal() and text.isascii() and len(text) <= 12
    return int(text) if is_whole else None


def json_values(text: str, marks: Sequence[str]) -> list[object]:
    """The entries of one JSON array, the object of one text, or those of its lines that hold a
    mark; `data:` may stand before a line, and `nan` and `inf` are null.
    """
    value = _parsed(text)
    if value is None:
        lines = (line.strip().removeprefix("data:").strip() for line in text.splitlines())
        marked = (line for line in lines if line[:1] == "{" and any(map(line.__contains__, marks)))
        value = [each for each in map(_parsed, marked) if each is not None]
    return value[:MOST_VALUES] if isinstance(value, list) else [value]


def _parsed(text: str) -> object:
    try:
        return Decoder().parse(_NO_NUMBER.sub(r"\1null", text))
    except Unreadable:
        return None


def place_of(device: str) -> str:
    """Where a buffer of that name lies: `CPU_Mapped` and `CUDA_Host` in RAM, `CUDA1` on the second
    accelerator.
    """
    if device.startswith("CPU") or device.endswith("_Host") or device in ("Host", "BLAS", "AMX"):
        return "host"
    number = _DEVICE_NUMBER.match(device)
    return f"accelerator:{int(number[1]) if number is not None else 0}"


def gpu_of(text: str) -> str | None:
    """The GPU that a backend of CUDA, ROCm or Vulkan names; None for several kinds, or none."""
    names = {match[1] or match[2] for match in _DEVICE_NAME.finditer(text[:100_000])}
    return names.pop() if len(names) == 1 else None


def is_on(value: str) -> bool | None:
    """Whether an option is on, of `disabled` or 0; None where the program chose."""
    return _SWITCHES.get(value.strip())
