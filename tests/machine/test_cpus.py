"""What memory a processor has, by its name (`specs/common/cpus.toml`)."""

from __future__ import annotations

import pytest

from helpers.each import each
from selfhost.machine import cpus

# as the systems give them; the peak is what makers' pages or reviews state for all channels
NAMED = [
    ("AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", 89.6),
    ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", 89.6),
    ("AMD Ryzen 5 5600", 51.2),
    ("AMD Ryzen 5 5500U with Radeon Graphics", 51.2),
    ("AMD Ryzen 9 7950X 16-Core Processor", 83.2),
    ("AMD Ryzen 7 9800X3D 8-Core Processor", 89.6),
    ("AMD Ryzen 3 7320U with Radeon Graphics", 44.0),
    ("AMD Ryzen Threadripper 3970X 32-Core Processor", 102.4),
    ("AMD Ryzen Threadripper PRO 7995WX 96-Cores", 332.8),
    # as people type them
    ("threadripper 7995wx", 332.8),
    ("AMD EPYC 9554 64-Core Processor", 460.8),
    ("AMD EPYC 7R13 Processor", 204.8),
    ("AMD EPYC 7551 32-Core Processor", 170.624),
    ("Intel(R) Core(TM) i7-2600 CPU @ 3.40GHz", 21.328),
    ("Intel(R) Core(TM) i7-4790K CPU @ 4.00GHz", 25.6),
    ("Intel(R) Core(TM) i7-3930K CPU @ 3.20GHz", 51.2),
    ("Intel(R) Core(TM) i9-10900X CPU @ 3.70GHz", 93.856),
    ("Intel(R) Core(TM) i5-9500 CPU @ 3.00GHz", 42.656),
    ("11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz", 51.2),
    ("12th Gen Intel(R) Core(TM) i7-12700K", 76.8),
    ("Intel(R) Core(TM) Ultra 7 155H", 89.6),
    ("Intel(R) Core(TM) Ultra 7 258V", 136.528),
    ("Intel(R) Core(TM) Ultra 9 285K", 102.4),
    ("Intel(R) N100", 25.6),
    ("Intel(R) Celeron(R) J4125 CPU @ 2.00GHz", 38.4),
    ("Intel(R) Xeon(R) CPU E3-1245 v5 @ 3.50GHz", 34.128),
    ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 51.2),
    ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", 76.8),
    ("Intel(R) Xeon(R) W-3245 CPU @ 3.20GHz", 140.784),
    ("Intel(R) Xeon(R) w9-3495X", 307.2),
    ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", 140.784),
    ("INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz", 358.4),
    ("Intel(R) Xeon(R) 6975P-C", 614.4),
    # a front-side bus of 8 bytes: 1,066 of the Q8400, 1,333 of the E5450, 800 of the Pentium 4 (Intel)
    ("Intel(R) Core(TM)2 Quad CPU Q8400 @ 2.66GHz", 8.528),
    ("Intel(R) Xeon(R) CPU E5450 @ 3.00GHz", 10.664),
    ("Intel(R) Pentium(R) 4 CPU 3.00GHz", 6.4),
    # one channel of DDR2-667, two of DDR3-1333, four of DDR3-1600, two of DDR2-800 (the makers)
    ("Intel(R) Atom(TM) CPU D510 @ 1.66GHz", 5.336),
    ("AMD Phenom(tm) II X6 1090T Processor", 21.328),
    ("AMD Opteron(tm) Processor 6276", 51.2),
    ("AMD Athlon(tm) 64 X2 Dual Core Processor 5600+", 12.8),
    ("AMD FX(tm)-8350 Eight-Core Processor", 29.856),
    ("Neoverse-N1", 204.8),
    ("Arm Neoverse-V2", 537.6),
    ("Ampere-1A", 332.8),
    ("Snapdragon(R) X Elite - X1E78100 - Qualcomm(R) Oryon(TM) CPU", 135.168),
    ("Qualcomm Snapdragon 888", 51.2),
    ("Rockchip RK3588", 33.792),
]


@each(("name", "peak"), NAMED, ids=[name for name, _ in NAMED])
def test_a_name_tells_the_peak_of_the_memory(name: str, peak: float) -> None:
    """Channels x bits x the usual rate, in GB/s."""
    found = cpus.processor_of(name)
    assert found is not None
    assert found.usual / 1e9 == pytest.approx(peak)
    assert found.least <= found.usual <= found.most


@each(
    "name",
    [
        "", "AMD EPYC", "AMD EPYC Processor", "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "Intel Xeon Processor (Skylake, IBRS)", "QEMU Virtual CPU version 2.5+", "Common KVM processor", "unknown",
        "AMD Ryzen 7 99999X", "AMD Sempron(tm) 2650 APU", "Apple M2 Pro", "Cortex-A73", "VirtualApple @ 2.50GHz",
        "7840HS", "Radeon 780M", "Intel(R) Core(TM) i7", "AMD Ryzen", "\x00 ryzen \u202e", "i7-\u0663\u0663\u0663\u0663",
    ],
)  # fmt: skip
def test_a_name_that_says_too_little_means_no_processor(name: str) -> None:
    """A virtual machine's name without a number, another maker's chip, a number alone: nothing is guessed from them."""
    assert cpus.processor_of(name) is None
