"""Linux, by the files of its kernel: the processor, cores and memory with what control groups
(versions 1, 2 and both), `ulimit` and affinity leave of them; whether this is a container, a
virtual machine or the computer itself; and what one running process has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ...core.tables import shipped_table
from ...core.templates import fill
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES, Process
from .host import MAX_READ_BYTES, Facts, Host, Mount, firmware_scope, whole

TOTAL, LIMIT, AVAILABLE = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
)
USABLE, PERFORMANCE = "cpu_cores_usable", "cpu_cores_performance"
CPUINFO, CPUS, MEMINFO = "/proc/cpuinfo", "/sys/devices/system/cpu", "/proc/meminfo"
LIMITS, STATUS, CGROUP = "/proc/self/limits", "/proc/self/status", "/proc/self/cgroup"
_DMI, _TREE = "/sys/class/dmi/id", "/proc/device-tree"
_FIRMWARE = (
    f"{_DMI}/sys_vendor",
    f"{_DMI}/product_name",
    f"{_TREE}/compatible",
    f"{_TREE}/model",
)
# what a 32-bit Python runs on, by what its 64-bit kernel runs on
_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}
# by what programs are made for: a line of /proc/cpuinfo that another kind of processor has
_FOREIGN = {
    "x86_64": "\nCPU implementer",
    "i686": "\nCPU implementer",
    "aarch64": "\nflags",
}
# limits at or above this are version 1's way to say "none": 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60
# by version and controller: files of which a group under it has one, but the hierarchy's own top
# has none (CFTYPE_NOT_ON_ROOT in mm/memcontrol.c); version 1 limits memory in its top, too
_FILES: dict[tuple[int, str], set[str]] = {
    (1, "memory"): set(),
    (1, "cpu"): {"cpu.cfs_quota_us"},
    (2, "memory"): {"memory.max", "memory.high", "memory.current"},
    (2, "cpu"): {"cpu.max", "cpu.weight"},
}
# by version: files of a group's limits, that of its use, and what the kinds of use start with
_MEMORY_FILES = {
    1: (["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_"),
    2: (["memory.high", "memory.max"], "memory.current", ""),
}
_LIMITED = "limited by control group {group}: {file} {limit:binary}"
_UNREAD_USE = "what control group {group} uses could not be read"
# by the option of `ulimit`: the line of /proc/self/limits, and in /proc/self/status what is in use
_ULIMITS = {"v": ("Max address space", "VmSize"), "d": ("Max data size", "VmData")}


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...] | None]:
    """The processor's name, and what every CPU can do: None where nothing lists it (RISC-V)."""
    values: dict[str, dict[str, None]] = {}
    for line in dict.fromkeys(text.splitlines()):
        key, _, value = line.partition(":")
        if value.strip():
            values.setdefault(key.strip(), {})[value.strip()] = None
    keys = ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware")
    names = [next(iter(values[key])) for key in keys if key in values]
    model = _arm_parts(values) if "CPU part" in values else ""
    model = model or " ".join(names[0].split() if names else ())
    lists = [
        set(words.lower().split())
        for words in values.get("flags") or values.get("Features") or ()
    ]
    sets = sorted(set.intersection(*lists)) if lists else ()
    return model, tuple(sets) if lists and "".join(sets).isprintable() else None


def _arm_parts(values: Mapping[str, Iterable[str]]) -> str:
    """The names of the parts of which an Arm kernel gives the numbers, and the board; or empty."""
    table = shipped_table("firmware_names")["arm_parts"]
    makers = [
        table.get(maker.lower(), {}) for maker in values.get("CPU implementer", ())
    ]
    parts = [maker.get(part.lower()) for maker in makers for part in values["CPU part"]]
    name = " + ".join(filter(None, dict.fromkeys(parts)))
    board = "".join(f" ({board})" for board in values.get("Model", ()))
    return name and name + board


def parse_list(text: str) -> frozenset[int]:
    """`0-3,8` -> the numbers; none of another shape, or a line that was cut off."""
    numbers: set[int] = set()
    for part in text[:-1].split(",") if text.endswith("\n") else ():
        low, dash, high = part.partition("-")
        first, last = whole(low, 5), whole(high if dash else low, 5)
        if first is None or last is None:
            return frozenset()
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def parse_limit(text: str) -> int | None:
    """A number that ends its line; `max` and -1 give `NO_LIMIT`, anything else None."""
    word = text.rstrip() if text.endswith("\n") else ""
    return NO_LIMIT if word in ("max", "-1") else whole(word)


def parse_sizes(text: str) -> dict[str, int]:
    """Lines of a name and a number, of /proc/meminfo or memory.stat, in bytes."""
    sizes: dict[str, int] = {}
    for line in text.split("\n")[:-1]:
        name, number, *unit = [*line.replace(":", " ", 1).split(), "", ""]
        value = whole(number)
        if value is not None and unit in (["", ""], ["kB", "", ""]):
            sizes[name] = value * (1024 if unit[0] else 1)
    return sizes


def read_processor(host: Host, facts: Facts) -> None:
    """What programs here are made for, the processor's name, and its instruction sets."""
    text = host.read_text(CPUINFO)
    (model, sets), why, remedy = parse_cpuinfo(text), host.why[CPUINFO], ""
    kind, source = host.architecture, "uname"
    if host.ask("pointer_bits") == 32 and kind in _NARROW:
        kind, source = _NARROW[kind], f"uname, {kind}; this Python is a 32-bit one"
    facts.put(
        "architecture", kind, source, "the system did not say what processor it has"
    )
    facts.put("cpu_model", model or None, CPUINFO, why)
    if kind in _FOREIGN and _FOREIGN[kind] in f"\n{text}":
        # as in a container of another platform
        sets, why = (
            None,
            f"programs for {kind} are emulated here: {CPUINFO} is another processor's",
        )
        remedy = "use an image, or a Python, for the computer's own platform"
    facts.put(
        "instruction_sets",
        sets,
        f"{CPUINFO}, what all CPUs have in common",
        why,
        remedy,
    )


def read_scope(host: Host, facts: Facts) -> None:
    """`container`, `vm` or `host`: by the first sign."""
    group, root = host.read_text(CGROUP), host.mount_of("/")
    is_layered = root is not None and root.filesystem not in ("ext4", "xfs")
    flags = set(host.read_text(CPUINFO).split())
    table = shipped_table("platforms")
    signs = {
        "variable container": ("container", "container" in host.env),
        "variable KUBERNETES_SERVICE_HOST": (
            "container",
            "KUBERNETES_SERVICE_HOST" in host.env,
        ),
        # the file is still there after a virtual machine was made from a container's image
        "/.dockerenv": ("container", is_layered and host.exists("/.dockerenv")),
        "/run/.containerenv": ("container", host.exists("/run/.containerenv")),
        "/run/systemd/container": ("container", host.exists("/run/systemd/container")),
        CGROUP: ("container", any(word in group for word in table["container_groups"])),
        "kernel release": (
            "vm",
            any(word in host.release for word in table["virtual_kernels"]),
        ),
        f"{CPUINFO}, flag hypervisor": ("vm", "hypervisor" in flags),
        # x86 kernels always show the flag to a guest
        f"{CPUINFO}, no flag hypervisor": ("host", "sse2" in flags),
        f"{_TREE}/hypervisor": ("vm", host.exists(f"{_TREE}/hypervisor")),
    }
    for sign, (scope, shows) in signs.items():
        if shows:
            facts.put("scope", scope, sign)
            return
    firmware_scope(facts, {path: host.read_text(path).strip() for path in _FIRMWARE})


def read_cores(host: Host, facts: Facts) -> None:
    """Cores that this process may use, those of the fastest kind, and CPUs that it has at once."""
    cpus, source = frozenset[int](host.ask("affinity") or ()), "sched_getaffinity"
    online = parse_list(host.read_text(f"{CPUS}/online"))
    if not cpus:
        # the kernel's mask may name CPUs that are not there
        mask = (
            host.read_text(STATUS).partition("Cpus_allowed_list:")[2].partition("\n")[0]
        )
        cpus, source = (
            parse_list(f"{mask.strip()}\n") & online,
            f"{STATUS}, Cpus_allowed_list",
        )
    _read_usable(host, facts, cpus, source)
    cores, left = list[frozenset[int]](), set(cpus)
    while left:
        path = f"{CPUS}/cpu{min(left)}/topology/thread_siblings_list"
        cores.append(parse_list(host.read_text(path)))
        left = left - cores[-1] if min(left) in cores[-1] else set()
    if not cores or not cores[-1]:
        why = "the kernel does not say which threads share a core, or which may be used"
        facts.put("cpu_cores_physical", None, why=why)
        facts.put(PERFORMANCE, None, why=why)
        return
    source = (
        f"{CPUS}, distinct sets of sibling threads among CPUs that this process may use"
    )
    facts.put("cpu_cores_physical", len(cores), source)
    try:
        fastest, source = _fastest(host, cpus, cores)
        facts.put(
            PERFORMANCE, sum(bool(core & (fastest or cpus)) for core in cores), source
        )
    except ValueError as error:
        facts.put(PERFORMANCE, None, why=str(error))


def _read_usable(host: Host, facts: Facts, cpus: frozenset[int], source: str) -> None:
    if not cpus:
        why = host.why[f"{CPUS}/online" if host.read_text(STATUS) else STATUS]
        facts.put(USABLE, None, why=why)
        return
    least = float(len(cpus))
    try:
        version, levels = read_groups(host, "cpu")
        names = (
            ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
        )
        for folder, group in levels:
            text = "".join(host.read_text(f"{folder}/{name}") for name in names)
            words = text.split() if text.endswith("\n") else []
            quota, period = (*(parse_limit(f"{word}\n") for word in words), None, None)[
                :2
            ]
            if not quota or not period:
                raise ValueError(
                    host.why[f"{folder}/{names[-1] if quota else names[0]}"]
                )
            if quota / period < least:
                least = quota / period
                share = f"{least:g} of {len(cpus)} CPUs ({names[0]})"
                source = f"limited by control group {group}: {share}"
        facts.put(USABLE, least, source)
    except ValueError as error:
        facts.put(USABLE, None, why=f"a limit may exist unseen: {error}")


def _fastest(
    host: Host, cpus: frozenset[int], cores: Sequence[frozenset[int]]
) -> tuple[frozenset[int], str]:
    """The CPUs of the fastest kind and where that was read. `ValueError` where it is not known."""
    # Intel's two kinds: both files, or neither
    paths = [f"/sys/devices/cpu_{kind}/cpus" for kind in ("core", "atom")]
    if any(map(host.exists, paths)):
        large, small = (parse_list(host.read_text(path)) for path in paths)
        if not large or not small:
            raise ValueError(host.why[paths[1] if large else paths[0]])
        return large & cpus, paths[0]
    if (
        len(
            {
                line
                for line in host.read_text(CPUINFO).splitlines()
                if line[:8] == "CPU part"
            }
        )
        > 1
    ):
        # a capacity differs a little by clock within a kind (997 to 1024 and 718 to 731 on a DGX
        # Spark)
        texts = {cpu: host.read_text(f"{CPUS}/cpu{cpu}/cpu_capacity") for cpu in cpus}
        numbers = {cpu: parse_limit(text) or 0 for cpu, text in texts.items()}
        if not all(numbers.values()):
            raise ValueError(f"{CPUS}: not every CPU states its cpu_capacity")
        least = 0.9 * max(numbers.values())
        return frozenset(
            cpu for cpu in cpus if numbers[cpu] >= least
        ), f"{CPUS}, cpu_capacity"
    # a kernel that does not name the kinds shows them by their threads: Intel's small cores have
    # one where the large have two
    threads = max(map(len, cores))
    large = frozenset().union(*(core for core in cores if len(core) == threads))
    return large & cpus, f"{CPUS}, cores by their threads"


def _hierarchy(host: Host, controller: str) -> tuple[int, list[Mount], str]:
    """The version of the control groups, their mounts, and the path of this process in them."""
    text, paths = host.read_text(CGROUP), dict[str, str]()
    # half a path is that of another group
    for line in text.splitlines() if text.endswith("\n") else ():
        names, _, path = line.partition(":")[2].partition(":")
        paths |= dict.fromkeys(names.split(","), path)
    if not paths or not host.mounts:
        raise ValueError(host.why["/proc/self/mountinfo" if paths else CGROUP])
    # of two mounts on one point the later one is seen
    shown = {mount.point: mount for mount in host.mounts}.values()
    old = [
        m
        for m in shown
        if m.filesystem == "cgroup" and controller in m.options.split(",")
    ]
    # a controller of version 1 is none of version 2, whatever else is mounted
    if old or controller in paths:
        return 1, old, paths.get(controller, "")
    container = host.read_text("/run/systemd/container").strip()
    if "systemd-nspawn" in (host.env.get("container"), container):
        # its unit limits the group above the one it puts a container into
        raise ValueError(
            "systemd-nspawn sets its limits on a group that does not show here"
        )
    return (
        2,
        [mount for mount in shown if mount.filesystem == "cgroup2"],
        paths.get("", ""),
    )


def read_groups(host: Host, controller: str) -> tuple[int, list[tuple[str, str]]]:
    """The version of the control groups for one controller, `cpu` or `memory`, and folder and name
    of each that may limit this process, its own first. `ValueError` where a limit may exist unseen.
    """
    version, mounts, path = _hierarchy(host, controller)
    levels, needed = list[tuple[str, str]](), _FILES[version, controller]
    if (version, mounts, path) == (2, [], ""):
        # a kernel without control groups
        return version, levels
    showing = (
        m for m in mounts if path and f"{path}/".startswith(m.root.rstrip("/") + "/")
    )
    mount = next(showing, None)
    if mount is None or {".", ".."} & {*path.split("/")}:
        shown = [f"{each.point} shows the groups of {each.root}" for each in mounts]
        shown = shown or ["none are mounted here"]
        raise ValueError(f"{', '.join(shown)}; this process is in {path or 'none'}")
    root, point = mount.root.rstrip("/"), mount.point.rstrip("/")
    parts = path[len(root) :].rstrip("/").split("/")
    for count in range(len(parts), 0, -1):
        step = "/".join(parts[:count])
        folder, name = point + step, root + step or "/"
        files = set(host.listdir(folder))
        if not files:
            raise ValueError(f"control group {name} cannot be seen from here")
        levels += [(folder, name)] if files & (needed or files) else []
    return version, levels


class Bound(NamedTuple):
    """A bound of the memory of this process, in bytes.

    `most`: what it may have, by `why`. `left`: what of this is free, None where it was not read;
    `source` says where from, or why not.
    """

    most: int
    why: str
    left: int | None
    source: str


def read_memory(host: Host, facts: Facts) -> None:
    """Total, limit, available memory, what `ulimit -v` leaves, and free swap."""
    meminfo = parse_sizes(host.read_text(MEMINFO))
    total, why = meminfo.get("MemTotal", 0), host.why[MEMINFO]
    source = f"{MEMINFO}, MemTotal"
    if "microsoft" in host.release:
        source += ": what memory= in .wslconfig leaves WSL 2"
    facts.put(TOTAL, total or None, source, why)
    facts.put("swap_free_bytes", meminfo.get("SwapFree"), f"{MEMINFO}, SwapFree", why)
    bounds = list[Bound]()
    try:
        if total:
            # a group that may have all there is leaves what the machine leaves
            bounds = [bound for bound in _group_bounds(host) if bound.most < total]
            bounds += _ulimit_bounds(host, facts)
    except ValueError as error:
        total, why = 0, f"a limit may exist unseen: {error}"
    if not total:
        for fact in (LIMIT, AVAILABLE):
            facts.put(fact, None, why=why)
        return
    left = meminfo.get("MemAvailable")
    source = f"{MEMINFO}, MemAvailable"
    if left is None:
        source += " is missing (kernel before 3.14)"
    none = f"{MEMINFO}, MemTotal: no lower limit in any control group that shows here"
    bounds = [Bound(total, none, left and min(left, total), source), *bounds]
    least = min(bounds, key=lambda bound: bound.most)
    facts.put(LIMIT, least.most, least.why)
    # what could not be read of one may be less than what all others leave
    tightest = min(bounds, key=lambda bound: -1 if bound.left is None else bound.left)
    facts.put(AVAILABLE, tightest.left, tightest.source, tightest.source)


def _group_bounds(host: Host) -> list[Bound]:
    """Every limit of a control group, each with its own group's use. `ValueError` of a bad file."""
    version, levels = read_groups(host, "memory")
    files, usage, prefix = _MEMORY_FILES[version]
    bounds = list[Bound]()
    # the line of memory.stat that holds the least limit of a version 1 group and all above it,
    # also above what is mounted here
    inherited: int | None = None
    for folder, group in levels:
        stat = parse_sizes(host.read_text(f"{folder}/memory.stat"))
        inherited = inherited or stat.get("hierarchical_memory_limit")
        limits = [parse_limit(host.read_text(f"{folder}/{file}")) for file in files]
        if None in limits and inherited is None:
            raise ValueError(host.why[f"{folder}/{files[limits.index(None)]}"])
        most, file = min(
            zip([NO_LIMIT if n is None else n for n in limits], files, strict=True)
        )
        used = parse_limit(host.read_text(f"{folder}/{usage}"))
        cached = [stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active")]
        left, room = None, fill(_UNREAD_USE, {"group": group})
        if used is not None and None not in cached:
            # what the group could give up: file pages and free slab
            held = used - sum(filter(None, cached)) - stat.get("slab_reclaimable", 0)
            left = max(0, most - max(0, held))
            room = f"room in control group {group}: {file} less what is in use besides file cache"
        limited = fill(_LIMITED, {"group": group, "file": file, "limit": most})
        bounds.append(Bound(most, limited, left, room))
    if inherited is not None and inherited < min(bound.most for bound in bounds):
        # an ancestor that was read itself says more than the same limit seen from below
        group = f"above {levels[0][1]}"
        figures = {
            "group": group,
            "file": "hierarchical_memory_limit",
            "limit": inherited,
        }
        limited = fill(_LIMITED, figures)
        bounds.append(
            Bound(inherited, limited, None, fill(_UNREAD_USE, {"group": group}))
        )
    return bounds


def _ulimit_bounds(host: Host, facts: Facts) -> list[Bound]:
    """RLIMIT_AS, in which mapped model files count, and RLIMIT_DATA, in which they do not."""
    bounds = list[Bound]()
    for option, (line, field) in _ULIMITS.items():
        text = f"\n{host.read_text(LIMITS)}".partition(f"\n{line} ")[2]
        soft, hard, *unit = [*text.partition("\n")[0].split(), "", ""]
        most = NO_LIMIT if soft == "unlimited" else whole(soft)
        if most is None or unit == ["", ""]:
            raise ValueError(host.why[LIMITS])
        if most > MAX_MEMORY_BYTES:
            continue
        used = parse_sizes(host.read_text(STATUS)).get(field)
        if used is None:
            raise ValueError(
                f"{STATUS} does not say what of ulimit -{option} is in use"
            )
        lift = f"; `ulimit -{option} unlimited` lifts it" if hard != soft else ""
        left, source = (
            max(0, most - used),
            f"ulimit -{option} less what is in use{lift}",
        )
        if option == "v":
            facts.put("address_space_bytes", left, source)
        why = f"limited by ulimit -{option}: {binary(most)}{lift}"
        bounds.append(Bound(most, why, left, source))
    return bounds


# a process with thousands of libraries and threads has a few MB of them
_MOST_MAPS_BYTES = 64 << 20
# a mapping of a model file: Ollama's files are named by their content
_MAPPED = (
    r"(?im)^([0-9a-f]{1,16})-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+\s+"
    r"(\S.*?(?:\.gguf(?: \(deleted\))?|/sha256-.*))$(?:\n\w+:.*)*?\nRss: +(\d{1,15}) kB"
)


def read_process(number: str) -> Process | None:
    host = Host()
    status = parse_sizes(host.read_text(f"/proc/{number}/status"))
    maps = host.read_text(f"/proc/{number}/smaps", _MOST_MAPS_BYTES)
    command = host.read_bytes(f"/proc/{number}/cmdline", MAX_READ_BYTES)
    if not {"RssAnon", "RssFile"} <= status.keys() or not maps or not command:
        return None
    mapped: dict[str, int] = {}
    resident: dict[str, int] = {}
    for start, end, path, rss in re.findall(_MAPPED, maps):
        mapped[path] = mapped.get(path, 0) + int(end, 16) - int(start, 16)
        resident[path] = resident.get(path, 0) + int(rss) * 1024
    model_file = max(mapped, key=mapped.__getitem__, default=None)
    words = command.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return Process(
        words=tuple(words[:10_000]),
        memory_bytes=sum(
            status.get(k, 0) for k in ("RssAnon", "RssShmem", "RssFile", "VmSwap")
        ),
        model_file=model_file,
        model_bytes=resident.get(model_file or "", 0),
    )
