"""Recorder: notes what the probes ask of a computer and writes a tree that answers the same,
free of names and addresses.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from ... import __version__
from ...core.errors import MachineFileError, Problem
from .host import (
    ADDRESSES,
    COMMON_NAMES,
    DEADLINE_SECONDS,
    ID,
    LXC_NAME,
    PEOPLES,
    SERVER,
    Host,
    Mount,
    Space,
    home_pattern,
    host_pattern,
    name_pattern,
    outside_kernel,
)
from .limit import Quota
from .recorded import ENV_FILE, FACTS_FILE, SYSCTL_FILE, file_name

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

# a whole record: a machine of 1,024 CPUs has about 2 MiB of /proc/cpuinfo and some 3,000 small
# files
MAX_BYTES = 8 * 2**20
MAX_FILES = 10_000

# where home folders usually lie; one elsewhere keeps its place, for that may be a volume of its own
_HOMES = {"windows": "C:\\Users", "macos": "/Users"}
# whom and which unit a file of the kernel may name that a probe could come to read
_NUMBERS_OF_UNITS = (
    "serial",
    "uuid",
    "unique_id",
    "address",
    "machine-id",
    "boot_id",
    "cmdline",
    "hostname",
)
# of the kernel's files only these hold names, and are looked through
_NAMING = re.compile(
    r"/proc/(?:self/(?:cgroup|mountinfo)|swaps)$|/sys/.*/loop/backing_file$|/(?!proc/|sys/)"
)
# names of folders that say nothing of whose they are; any other in the way to the current folder or
# to models may be a client's
_PLAIN_FOLDERS = {
    *COMMON_NAMES, "", ".", "..", "~", "tmp", "temp", "var", "opt", "srv", "mnt", "media", "run",
        "usr", "etc", "dev", "lib", "local",
    "share", "data", "disk", "ssd", "nvme", "scratch", "storage", "volumes", "cache", "caches",
    ".cache", "library", "appdata", "roaming",
    "programs", "documents", "desktop", "downloads", "models", "model", "hub", "huggingface",
    "llama.cpp", "ollama", ".ollama", "snap",
    "common", "project", "content", "github", "home", "lm-studio", ".lmstudio", "whisper", "work",
    "workspace", "workspaces", "projects",
    "src", "code", "repos", "git", "app", "build", "builds", "private", "folders", "system",
    "containers", "shm",
    "bin", "sbin", "lib64", "games", "site-packages", "dist-packages", "venv", ".venv", "env",
    "envs", ".local", "pipx", "venvs", "uv",
    "tools", "miniconda3", "anaconda3", "miniforge3", "mambaforge", "homebrew", ".linuxbrew",
    "cellar", "caskroom", "nix", "store",
    "current", "applications", "contents", "resources", "frameworks", "python.framework",
    "versions", "winget", "links", "microsoft",
}  # fmt: skip
# names that state a version: `python3.12`, `6641`, `llama-b6641`
_VERSIONS = re.compile(
    r"(?:python|llama-b?|whisper-v?|[a-z.-]*cpp-|ollama-|vllm-)?\d[\d.]*(?:-bin-.*)?|[0-9a-z]{32}-[a-z-]*(?:cpp|ollama|vllm)-\d.*"
)
_FOLDER_VARIABLES = (
    "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "LLAMA_CACHE",
    "OLLAMA_MODELS", "VIRTUAL_ENV", "CONDA_PREFIX",
    "XDG_DATA_HOME", "UV_TOOL_DIR", "PIPX_HOME",
)  # fmt: skip
# a layer that was not to be seen, and block devices that may be RAM, which the kernel names itself
_UNSEEN = "/not/to/be/seen"
_MEMORY_DEVICE = re.compile(r"/dev/(?:loop|zram|ram)\d+")
_CONTROL_GROUPS = ("cgroup", "cgroup2", "fuse.lxcfs")
# words that names of control groups are made of: systemd's own units, the makers of containers, and
# what stands for names in a record
_GROUP_WORDS = {
    "", "..", "service", "scope", "slice", "init", "user", "system", "machine", "app", "background",
    "session", "payload", "supervisor",
    "docker", "kubepods", "kubelet", "burstable", "besteffort", "guaranteed", "pod", "cri",
    "containerd", "libpod", "conmon",
    "crio", "lxc", "garden", "buildkit", "podman", "systemd", "nspawn", "ssh", "sshd", "cron",
    "ollama", "job", "parent", "child",
    "outer", "inner",
}  # fmt: skip
# words of files and folders of models that say nothing of which model it is, nor of whose
_MODEL_WORDS = {
    "", "adapter", "autoencoder", "bin", "blobs", "co", "config", "consolidated", "controlnet",
    "decoder", "diffusion", "encoder", "ggml",
    "generation", "gguf", "hf", "huggingface", "image", "incomplete", "index", "json", "latest",
    "library", "main", "manifests", "mmproj",
    "model", "models", "of", "ollama", "onnx", "optimizer", "partial", "preprocessor", "processor",
    "pt", "pth", "pytorch", "refs",
    "registry",    "ai", "safetensors", "scheduler", "sha256", "snapshots", "text", "tokenizer",
    "transformer", "unet", "vae", "weights",
}  # fmt: skip
_MODEL_WORD = re.compile(r"\d+|(?:MODEL|USER|ID|HOST|FOLDER)\d*|ADDRESS")
# what a model's file is read by besides its name: a projector's or Whisper's start, quantization,
# part, format
_MODEL_FILE = re.compile(
    r"((?:mmproj|ggml)-)?(.*?)((?:-GGUF)?(?:-\d{5}-of-\d{5})?(?:\.(?:gguf|safetensors|bin|pt|pth))?(?:\.index\.json|\.incomplete)?)",
    re.IGNORECASE | re.DOTALL,
)
_GROUP_WORD = re.compile(r"c?\d+|(?:GROUP|USER|ID|HOST|FOLDER)\d*|ADDRESS")


class NotedEnvironment(Mapping[str, str]):
    """Environment variables, and which of them the probes read."""

    def __init__(self, real: Mapping[str, str]) -> None:
        self.real = real
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.real[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.real)

    def __len__(self) -> int:
        return len(self.real)


class Recorder(Host):
    """`inner`, with every answer noted. `write(DIR)` makes a tree of what was asked so far, and
    of nothing else.
    """

    def __init__(self, inner: Host, is_public: Callable[[str], bool] | None = None) -> None:
        """`is_public`: whether a model's name may stand in the record as it is."""
        self.known = is_public or (lambda _name: False)
        self.noted_env = NotedEnvironment(inner.env)
        super().__init__(self.noted_env, inner.system)
        self.inner = inner
        self.live = inner.live
        self.facts: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.there: set[str] = set()
        self.folders: set[str] = set()
        self.asked_mounts: set[str] = set()
        self.kernel_values: dict[str, str] = {}
        self._pending: list[str] = []
        self._ids: dict[str, str] = {}
        self._people: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._layers: dict[str, str | None] = {}

    def _ask(self, path: str, work: Callable[[], T]) -> T:
        """`work()`; an error other than a missing file is noted, and a path that never answers
        stays pending.
        """
        self._pending.append(path)
        try:
            answer = work()
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._at("errors")[path] = errno.errorcode.get(error.errno or errno.EIO, "EIO")
            self._pending.remove(path)
            raise
        self._pending.remove(path)
        return answer

    def _at(self, kind: str) -> dict[str, Any]:
        notes: dict[str, Any] = self.facts.setdefault(kind, {})
        return notes

    def _put(self, kind: str, answer: T) -> T:
        if answer is not None:
            self.facts[kind] = answer
        return answer

    def within(self, work: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        try:
            return self.inner.within(work, seconds)
        except TimeoutError:
            for path in tuple(self._pending):
                self._at("errors")[path] = "ETIMEDOUT"
            raise

    def clean(self, text: str) -> str:
        return self.inner.clean(text)

    def hide(self, name: str) -> None:
        super().hide(name)
        self.inner.hide(name)

    def read_bytes(self, path: str, limit: int) -> bytes:
        raw = self._ask(path, lambda: self.inner.read_bytes(path, limit))
        if len(raw) >= len(self.files.get(path, b"")):
            self.files[path] = raw
        return raw

    def listdir(
        self, path: str, is_wanted: Callable[[str], bool] | None = None
    ) -> list[str] | None:
        names = self._ask(path, lambda: self.inner.listdir(path, is_wanted))
        if names is not None:
            self.folders.add(path)
            self.there.update(self.paths.join(path, name) for name in names)
        elif self.inner.exists(path):
            self._at("errors")[path] = "EACCES"
        return names

    def sizes(
        self, path: str, start: str = "", ends: tuple[str, ...] = ()
    ) -> dict[str, int | None]:
        noted = self._at("sizes")
        try:
            sizes = self._ask(path, lambda: self.inner.sizes(path, start, ends))
        except (FileNotFoundError, NotADirectoryError):
            noted[path] = None
            raise
        noted[path] = {**(noted.get(path) or {}), **sizes}
        return sizes

    def inside(self, place: str) -> bool:
        return self.inner.inside(place)

    def knows(self, path: str) -> bool:
        return self.inner.knows(path)

    def exists(self, path: str) -> bool:
        exists = self._ask(path, lambda: self.inner.exists(path))
        if exists:
            self.there.add(path)
        return exists

    def is_folder(self, path: str) -> bool:
        is_folder = self._ask(path, lambda: self.inner.is_folder(path))
        if is_folder:
            self.folders.add(path)
        return is_folder

    def runnable(self, path: str) -> bool:
        runnable = self.inner.runnable(path)
        if runnable:
            self.there.add(path)
            self.facts.setdefault("runnable", []).append(path)
        return runnable

    def resolve(self, path: str) -> str:
        whole = str(self.paths.normpath(self.paths.join(self.cwd(), path)))
        try:
            answer = self._ask(whole, lambda: self.inner.resolve(path))
        except OSError as error:
            if error.errno == errno.ENOLINK:
                self._at("links")[whole] = error.filename
            raise
        if answer != whole:
            self._at("links")[whole] = answer
        return answer

    def _read_mounts(self) -> tuple[Mount, ...]:
        return super()._read_mounts() if self.system == "linux" else self.inner.mounts()

    def mount_of(self, path: str) -> Mount | None:
        mount = super().mount_of(path)
        if mount is not None:
            self.asked_mounts.add(mount.point)
        return mount

    def space(self, path: str) -> Space | None:
        # asked twice, a volume that others write to would give two answers, of which a record holds
        # one
        noted = self._at("space").get(path)
        space = Space(**noted) if noted else self._ask(path, lambda: self.inner.space(path))
        if space is not None:
            noted = {name: getattr(space, name) for name in Space._fields}
            self._at("space")[path] = {
                name: value for name, value in noted.items() if value is not None
            }
            self.folders.add(path)
        return space

    def quotas(self, path: str) -> tuple[Quota, ...]:
        noted = self._at("quotas")
        try:
            quotas = self.inner.quotas(path)
        except OSError as error:
            noted[path] = errno.errorcode.get(error.errno or errno.EIO, "EIO")
            raise
        noted[path] = [{name: getattr(quota, name) for name in Quota._fields} for quota in quotas]
        return quotas

    def quotas_on(self, path: str) -> tuple[str, ...]:
        noted = self._at("quotas_on")
        try:
            kinds = self.inner.quotas_on(path)
        except OSError as error:
            noted[path] = errno.errorcode.get(error.errno or errno.EIO, "EIO")
            raise
        noted[path] = list(kinds)
        return kinds

    def layer(self, path: str) -> Mount | None:
        mount = self.inner.layer(path)
        self._layers[path] = mount.point if mount is not None else None
        if mount is not None:
            # what the layer is called may tell whose it is: in the record the mount stands for it
            self.asked_mounts.add(mount.point)
            self.folders.add(mount.point)
        return mount

    def can_write(self, path: str) -> bool | None:
        writable = self._ask(path, lambda: self.inner.can_write(path))
        if writable is not None:
            self._at("writable")[path] = writable
            self.folders.add(path)
        return writable

    def machine(self) -> str | None:
        return self._put("machine", self.inner.machine())

    def release(self) -> str:
        return self._put("release", self.inner.release())

    def pointer_bits(self) -> int | None:
        return self._put("pointer_bits", self.inner.pointer_bits())

    def page_bytes(self) -> int | None:
        return self._put("page_bytes", self.inner.page_bytes())

    def affinity(self) -> frozenset[int] | None:
        processors = self.inner.affinity()
        self._put("affinity", None if processors is None else sorted(processors))
        return processors

    def address_space_bytes(self) -> int | None:
        return self._put("address_space_bytes", self.inner.address_space_bytes())

    def cwd(self) -> str:
        return self._put("cwd", self.inner.cwd())

    def home(self) -> str | None:
        home = self.inner.home()
        if home is not None:
            self.noted_env.asked.add("USERPROFILE" if self.system == "windows" else "HOME")
        return home

    def python_path(self) -> list[str] | None:
        return self._put("python_path", self.inner.python_path())

    def read_at(self) -> str | None:
        return self._put("read_at", self.inner.read_at())

    def hostname(self) -> str | None:
        return self.inner.hostname()

    def other_memory(self) -> Mapping[str, int] | None:
        return self._put("memory", self.inner.other_memory())

    def other_swap_free(self) -> int | None:
        return self._put("swap_free", self.inner.other_swap_free())

    def other_cores(self) -> Mapping[str, int | None] | None:
        return self._put("cores", self.inner.other_cores())

    def sysctl(self, name: str) -> str | None:
        value = self.inner.sysctl(name)
        if value is not None:
            self.kernel_values[name] = value
        return value

    def registry(self, key: str, value: str) -> str | None:
        content = self.inner.registry(key, value)
        if content is not None:
            self._at("registry")[f"{key}\\{value}"] = content
        return content

    def display_adapters(self) -> list[Mapping[str, Any]] | None:
        return self._put("display_adapters", self.inner.display_adapters())

    def nvml(self) -> Mapping[str, Any] | None:
        return self._put("nvml", self.inner.nvml())

    def processor_feature(self, number: int) -> bool | None:
        present = self.inner.processor_feature(number)
        if present is not None:
            features = self.facts.setdefault("processor_features", [])
            if present and number not in features:
                features.append(number)
        return present

    def processor_information(self) -> bytes | None:
        raw = self.inner.processor_information()
        self._put("processor_information", None if raw is None else raw.hex())
        return raw

    def job_limits(self) -> bytes | None:
        raw = self.inner.job_limits()
        self._put("job_limits", None if raw is None else raw.hex())
        return raw

    # writing

    def write(self, folder: str) -> tuple[int, int]:
        """The tree, in a folder that is empty or not there yet: how many files and bytes it
        has. `MachineFileError` where that fails.
        """
        replace = self._replacements()

        def change(text: str) -> str:
            for pattern, stand_in in replace:
                text = pattern.sub(stand_in, text)
            return text

        renamed = self._named_models(change)
        # whole names alone, in a path or in the quotes of an index
        replace.append(
            (
                re.compile(r'(?<=[/\\"])[^/\\"]+(?=[/\\"]|$)'),
                lambda match: renamed.get(match[0], match[0]),
            )
        )

        def clean(text: str) -> str:
            return outside_kernel(text, change)

        contents = {clean(path): raw for path, raw in self._contents(clean).items()}
        listed = sorted({clean(path) for path in self.there} - contents.keys())[
            : max(0, MAX_FILES - len(contents))
        ]
        folders = {clean(path) for path in self.folders}
        for path in (*contents, *listed, *tuple(folders)):
            while self.paths.dirname(path) != path:
                path = self.paths.dirname(path)
                folders.add(path)
        out = {file_name(path): raw for path, raw in contents.items() if path not in folders}
        out |= {file_name(path): b"" for path in listed if path not in folders and file_name(path)}
        facts = self._facts_to_write(renamed)
        out[FACTS_FILE] = _json(
            {name: _cleaned(value, clean) for name, value in facts.items() if value != {}}
        )
        out[ENV_FILE] = _json({name: clean(value) for name, value in self._variables().items()})
        if self.kernel_values:
            lines = [f"{name}: {value}\n" for name, value in sorted(self.kernel_values.items())]
            out[SYSCTL_FILE] = clean("".join(lines)).encode()
        _write(folder, out, [file_name(path) for path in folders])
        return len(out), sum(map(len, out.values()))

    def _contents(self, clean: Callable[[str], str]) -> dict[str, bytes]:
        """What the files hold in the record; the others are noted as errors. The largest are left
        out, should it be too much.
        """
        errors = self._at("errors")
        contents: dict[str, bytes] = {}
        for path, raw in self.files.items():
            kept = self._content(path, raw, clean)
            if kept is None:
                errors[path] = "EACCES"
            else:
                contents[path] = kept
        order = sorted(contents, key=lambda path: len(contents[path]))
        total = 0
        for place, path in enumerate(order):
            total += len(contents[path])
            if total > MAX_BYTES or place >= MAX_FILES:
                errors[path] = "EFBIG"
                del contents[path]
        return contents

    def _facts_to_write(self, renamed: Mapping[str, str]) -> dict[str, Any]:
        """The facts that no file holds. `renamed`: names of models that stay private."""
        facts = {"selfhost_version": __version__, "system": self.system, **self.facts}
        if "sizes" in facts:
            sizes = facts["sizes"].items()
            facts["sizes"] = {
                path: held and {renamed.get(name, name): size for name, size in held.items()}
                for path, held in sizes
            }
        if "python_path" in facts:
            facts["python_path"] = self._holding(facts["python_path"])
        if self.system != "linux":
            facts["mounts"] = {
                mount.point: mount.filesystem
                for mount in self.mounts()
                if self._matters(mount.point, mount.filesystem)
            }
        return facts

    def _holding(self, folders: Iterable[str]) -> list[str]:
        """Those of the searched folders that hold something."""
        holding = {self.paths.dirname(path) for path in self.there}
        return [path for path in folders if path in holding]

    def _variables(self) -> dict[str, str]:
        variables = {
            name: self.inner.env[name]
            for name in sorted(self.noted_env.asked)
            if name in self.inner.env
        }
        home = self.inner.home()
        if home is not None:
            variables["USERPROFILE" if self.system == "windows" else "HOME"] = home
        if "PATH" in variables:
            sign, holding = (
                ";" if self.system == "windows" else ":",
                {self.paths.dirname(path) for path in self.facts.get("runnable", ())},
            )
            variables["PATH"] = sign.join(
                path for path in dict.fromkeys(variables["PATH"].split(sign)) if path in holding
            )
        return variables

    def _matters(self, point: str, filesystem: str) -> bool:
        """Whether a mount decided something; macOS' two volumes stand for each other."""
        return (
            point in self.asked_mounts
            or point in ("/", "/System/Volumes/Data", "/proc/meminfo")
            or filesystem in _CONTROL_GROUPS
        )

    def _replacements(self) -> list[tuple[re.Pattern[str], Any]]:
        """What `Host.clean` leaves out of what is shown, and addresses; an id keeps being told
        from another.
        """
        # before the rest, which would change the folders' own paths
        replacements = [*self._named_folders(), *self._named_groups()]
        home = self._usual_home()
        names = self.inner.names()
        if home is not None and self.paths.basename(home) not in COMMON_NAMES:
            stand_in = self.paths.join(self.paths.dirname(home), "user")
            replacements.append((home_pattern(home, self.system), lambda _: stand_in))
        for name in sorted(names, key=len, reverse=True):
            replacements.append((name_pattern(name, self.system), "USER"))
            # somebody's own repositories, as the stores of models write them
            replacements.append(
                (
                    re.compile(
                        r"(?:(?<=models--)"
                        + re.escape(name)
                        + r"(?=--)|(?:(?<=[/=])|^)"
                        + re.escape(name)
                        + r"(?=[_=]|$))"
                    ),
                    "USER",
                )
            )
        replacements += [(host_pattern(host), "HOST") for host in self.host_names()]
        replacements.append((re.compile(ID), self._id))
        replacements.append((re.compile(LXC_NAME), r"\1ID"))
        replacements.append((PEOPLES, self._person))
        replacements.append((SERVER, r"\1HOST"))
        replacements.extend((re.compile(pattern), "ADDRESS") for pattern in ADDRESSES)
        return replacements

    def _usual_home(self) -> str | None:
        """The home folder, if it lies in the usual place."""
        home = self.inner.home()
        return (
            home if home and self.paths.dirname(home) == _HOMES.get(self.system, "/home") else None
        )

    def _named_folders(self) -> Iterator[tuple[re.Pattern[str], Any]]:
        """The current folder, those of models and programs and all above them: what is no plain
        name becomes FOLDER1, FOLDER2, …
        """
        replaced = self._folder_names()
        # of several files beside a unit the last one wins: what they are called does not matter,
        # their order does
        drops = sorted(path for path in self.files if re.search(r"\.service\.d/[^/]+\.conf$", path))
        replaced |= {
            path: f"{self.paths.dirname(path)}/{number:02d}.conf"
            for number, path in enumerate(drops, 1)
        }
        for path in sorted(replaced, key=len, reverse=True):
            # mountinfo writes a space as \040
            for written in dict.fromkeys((path, path.replace(" ", "\\040"))):
                yield (
                    re.compile(r"(?<![\w.~-])" + re.escape(written) + r"(?![\w.-])"),
                    lambda _, after=replaced[path]: after,
                )

    def _given_folders(self) -> list[str]:
        """Every folder that a variable, a link, a program or a package names, as it was given."""
        from .stores import PLACES, lm_studio_models

        home, cwd = self.inner.home(), self.inner.cwd()
        stated = [
            self.inner.env[name]
            for name in _FOLDER_VARIABLES
            if name in self.noted_env.asked and self.inner.env.get(name)
        ]
        finders: tuple[Callable[[Host], Any], ...] = (*PLACES.values(), lm_studio_models)
        places = []
        for find in finders:
            try:
                place = self.inner.within(lambda find=find: find(self.inner))  # type: ignore[misc]
                places.append(getattr(place, "path", place) or "")
            except (OSError, ValueError):
                continue
        # a path may stand as it was given, from the current folder or from the home folder
        given = [
            cwd,
            *stated,
            *places,
            *(
                self.paths.join(cwd, path)
                for path in (*stated, *places)
                if not self.paths.isabs(path)
            ),
        ]
        given += [home + path[1:] for path in stated if home and path.startswith("~")]
        # where links lead, and where programs and packages were found
        programs = set(self.facts.get("runnable", ()))
        given += [
            self.paths.dirname(real) if path in programs else real
            for path, real in self._at("links").items()
        ]
        given += [
            *map(self.paths.dirname, programs),
            *self._holding(self.facts.get("python_path", ())),
        ]
        given += [point for point in self._layers.values() if point]
        return [home or "", *given]

    def _folder_names(self) -> dict[str, str]:
        """A folder -> the same with other words in place of people's own names."""
        people, replaced = self.inner.names(), dict[str, str]()
        usual = self._usual_home()
        for path in self._given_folders():
            before = after = usual if usual and path.startswith(usual) else ""
            above = ""
            for separator, name in re.findall(r"([/\\]*)([^/\\]*)", path[len(before) :]):
                before += separator + name
                plain = _is_plain(name) or name in people or above in ("home", "Users", "media")
                after += separator + (
                    name if plain else self._named.setdefault(name, f"FOLDER{len(self._named) + 1}")
                )
                above = name
                if before != after:
                    replaced[before] = after
        return replaced

    def _named_groups(self) -> Iterator[tuple[re.Pattern[str], Any]]:
        """The control groups that hold this process: what is no word of systemd or of a
        container's maker becomes GROUP1, GROUP2, …
        """
        from .cgroups import parse_cgroup

        mounts = [mount for mount in self.mounts() if mount.filesystem in ("cgroup", "cgroup2")]
        # where the groups lie below a mount; of the kernel's own folder only what follows is looked
        # through
        points = {"", *(mount.point.rstrip("/").removeprefix("/sys/fs/cgroup") for mount in mounts)}
        text = self.files.get("/proc/self/cgroup", b"").decode("utf-8", "replace")
        replaced: dict[str, str] = {}
        for path in (*parse_cgroup(text).values(), *(mount.root for mount in mounts)):
            before = after = above = ""
            for name in path.strip("/").split("/"):
                before += f"/{name}"
                after += f"/{self._group(name, above)}"
                above = name
                if before != after:
                    replaced |= {point + before: point + after for point in points}
        for path in sorted(replaced, key=len, reverse=True):
            for written in dict.fromkeys((path, path.replace("\\", "\\134").replace(" ", "\\040"))):
                yield (
                    re.compile(r"(?<![\w.~-])" + re.escape(written) + r"(?![\w.-])"),
                    lambda _, after=replaced[path]: after,
                )

    def _group(self, name: str, above: str) -> str:
        """What a group is called in the record: systemd's kind of unit and the container's
        maker, which tell the scope, stay.
        """
        from .cpu import CONTAINER

        left = re.split(r"[-_.@:\\]", re.sub(ID, "", name))
        if all(word in _GROUP_WORDS or _GROUP_WORD.fullmatch(word) for word in left) or re.search(
            LXC_NAME, f"/{above}/{name}"
        ):
            return name
        maker = next((f"{word}-" for word in CONTAINER if word in name), "")
        kind = re.search(r"\.(?:service|scope|slice)$", name)
        return (
            maker
            + self._groups.setdefault(name, f"GROUP{len(self._groups) + 1}")
            + (kind[0] if kind else "")
        )

    def _named_models(self, change: Callable[[str], str]) -> dict[str, str]:
        """What is called otherwise in the record of all that the stores of models hold; what the
        catalogue knows keeps its name.

        `change` takes out people's names, which it does from paths before these are looked up.
        """
        new_names: dict[str, str] = {}
        sizes = self._at("sizes")
        for folder, held in sizes.items():
            stated = _stated_repositories(held or ())
            for name in held or ():
                new = self._model_name(folder, name, stated)
                changed = change(name)
                if changed == "USER":
                    # somebody's folder, called so wherever it stands
                    new_names[name] = changed
                elif new != name:
                    new_names[name] = new_names[changed] = new
        return new_names

    def _model_name(self, folder: str, name: str, stated: Mapping[str, tuple[str, str]]) -> str:
        """The name of a file or folder of a store in the record."""
        if name.startswith("models--"):
            return "--".join(("models", *self._repository(*name[len("models--") :].split("--"))))
        if _is_manifest(name):
            _, publisher, model, tag = name.split("=")
            return "=".join(("manifest", *self._repository(publisher, model), tag))
        start = next((start for start in stated if name.startswith(start)), None)
        flat = re.match(r"([^_/]+)_(.+?-GGUF)_", name, re.IGNORECASE)
        if start is not None or flat is not None:
            own: tuple[str, ...] = flat.groups() if flat is not None else ()
            if start is not None:
                own = stated[start]
            file = name[sum(map(len, own)) + 2 :]
            return "_".join((*self._repository(*own), self._model(file, "")))
        below = self._at("sizes").get(str(self.paths.join(folder, name))) or ()
        if any(self.known(f"{name}/{model}") for model in below):
            return name
        return self._model(name, str(self.paths.basename(folder)))

    def _repository(self, *names: str) -> Iterable[str]:
        """The name of a repository: a publisher and its model, or a model alone."""
        return names if self.known("/".join(names)) else [self._model(name, "") for name in names]

    def _model(self, name: str, above: str) -> str:
        """A file or folder of a store, below the folder `above`: what it is read by besides its
        name stays.
        """
        from .present import quantization_in

        words = re.split(r"[-_.]", re.sub(ID, "", name))
        if all(word.lower() in _MODEL_WORDS or _MODEL_WORD.fullmatch(word) for word in words):
            return name
        split = _MODEL_FILE.fullmatch(name)
        start, stem, end = (split[1] or "", split[2], split[3]) if split else ("", name, "")
        kind = re.escape(quantization_in(f"{stem}.gguf") or "-").replace("F16", "FP?16")
        tail = re.search(rf"(?:^|[-_.]){kind}$", stem, re.IGNORECASE)
        if tail is not None:
            stem, end = stem[: tail.start()], tail[0] + end
        whole = "whisper-" + stem if start == "ggml-" else stem
        if not stem or any(map(self.known, (name, whole, f"{above}/{stem}", f"{above}:{name}"))):
            return name
        return start + self._models.setdefault(stem, f"MODEL{len(self._models) + 1}") + end

    def _id(self, match: re.Match[str]) -> str:
        # a run of decimal digits is a number
        if match[0].isdecimal():
            return match[0]
        if match[0] not in self._ids:
            self._ids[match[0]] = f"ID{len(self._ids) + 1}" if self._ids else "ID"
        return self._ids[match[0]]

    def _person(self, match: re.Match[str]) -> str:
        """A name for a person's folder, different for each person."""
        name = match[2]
        if name in COMMON_NAMES or name.startswith("USER"):
            return match[0]
        return match[1] + self._people.setdefault(name, f"USER{len(self._people) + 1}")

    def _content(self, path: str, raw: bytes, clean: Callable[[str], str]) -> bytes | None:
        """The part of a file that the record may keep; None where it keeps nothing."""
        if self.paths.basename(path).lower() in _NUMBERS_OF_UNITS:
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return self._binary(raw)
        for pattern, keep in _RULES:
            if re.fullmatch(pattern, path):
                text = keep(text)
        if path == "/proc/self/mountinfo":
            text = "".join(self._mount_lines(text))
        elif path.endswith("/loop/backing_file"):
            text = (self._layers.get(text.strip("\n")) or _UNSEEN) + "\n"
        elif path == "/etc/passwd":
            text = "".join(self._accounts(text))
        return (clean(text) if _NAMING.match(path) else text).encode()

    def _binary(self, raw: bytes) -> bytes:
        """Names overwritten in place: a model file's header keeps its offsets."""
        for name in (self.inner.home() or "", *self.inner.names(), self.hostname() or ""):
            if len(name) > 2 and self.paths.basename(name) not in COMMON_NAMES:
                raw = raw.replace(name.encode(), b"x" * len(name.encode()))
        return raw

    def _mount_lines(self, text: str) -> Iterator[str]:
        """The mounts that decided something, without what is mounted there: servers, disks and
        keys stand in those fields.
        """
        from .disk import has_quotas
        from .host import parse_mountinfo, unescape

        for line in text.splitlines():
            parsed = parse_mountinfo(line)
            if parsed and self._matters(parsed[0].point, parsed[0].filesystem):
                head, _, tail = line.partition(" - ")
                kind, _, options = (
                    tail.split(" ", 2) if tail.count(" ") > 1 else (tail.split(" ")[0], "", "rw")
                )
                grouped = kind in ("cgroup", "cgroup2")
                words = [word.partition("=")[0] for word in options.split(",")]
                layers = [
                    f"upperdir={self._layer(unescape(path))}"
                    for path in re.findall(r"(?:^|,)upperdir=([^,]*)", options)
                ]
                kept = (
                    options
                    if grouped
                    else ",".join(
                        [words[0], *(word for word in words[1:] if has_quotas(word)), *layers]
                    )
                )
                source = parsed[0].source if _MEMORY_DEVICE.fullmatch(parsed[0].source) else "none"
                fields = head.split(" ")[:6]
                # of what is bound from elsewhere the folder there decides nothing, but for control
                # groups
                fields[3] = fields[3] if grouped else "/"
                yield f"{' '.join(fields)} - {kind} {source} {kept}\n"

    def _layer(self, path: str) -> str:
        """What stands in the record for a file or folder in which a file system lies, as the
        mount table writes it.
        """
        from .medium import as_typed

        point = self._layers.get(path) or self._layers.get(as_typed(path)) or _UNSEEN
        return re.sub(r"[\s\\,=]", lambda match: f"\\{ord(match[0]):03o}", point)

    def _accounts(self, text: str) -> Iterator[str]:
        """The accounts that units name, without the names of people."""
        units = [
            raw.decode("utf-8", "replace") for path, raw in self.files.items() if ".service" in path
        ]
        wanted = {match for unit in units for match in re.findall(r"(?m)^\s*User=(\S+)", unit)}
        for line in text.splitlines():
            fields = line.split(":")
            if len(fields) >= 6 and fields[0] in wanted:
                name = fields[0] if fields[0] in COMMON_NAMES else "USER"
                yield ":".join((name, "x", "1", "1", "", fields[5])) + ":\n"


def _is_manifest(name: str) -> bool:
    return name.startswith("manifest=") and name.count("=") == 3


def _stated_repositories(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The beginnings of llama.cpp's older names, `ORG_NAME_FILE.gguf`, each with the publisher and
    the model that a manifest beside it states: `manifest=ORG=NAME=TAG.json`.
    """
    parts = [name.split("=") for name in names if _is_manifest(name)]
    return {f"{publisher}_{model}_": (publisher, model) for _, publisher, model, _ in parts}


def _lines(text: str, kept: Callable[[str], Any]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if kept(line))


def _swaps(text: str) -> str:
    """The swaps without their paths, which may hold a person's name."""
    return "".join(
        re.sub(r"^(?!/dev/zram)/\S+", f"/swap{number}", line) if number else line
        for number, line in enumerate(text.splitlines(keepends=True))
    )


def _policy(text: str) -> str:
    """The memory policy alone. The rest of the line is the path of the interpreter."""
    from .memory_nodes import POLICY

    policy = POLICY.match(text)
    return f"00000000 {policy['text']}\n" if policy else "unknown\n"


def _unit(text: str) -> str:
    """Of a systemd unit the account and the two variables that tell a folder; others may hold
    keys.
    """
    kept = []
    for line in text.splitlines():
        key, _, value = line.strip().partition("=")
        if line.strip().startswith("[") or key == "User":
            name = line.partition("=")[2].strip()
            kept.append(line if key != "User" or name in COMMON_NAMES else "User=USER")
        elif key == "Environment":
            words = re.findall(
                r'"(?:OLLAMA_MODELS|HOME)=(?:[^"\\]|\\.)*"|(?<!\S)(?:OLLAMA_MODELS|HOME)=[^\s"]+',
                value,
            )
            kept.extend(f"Environment={word}" for word in words)
    return "".join(line + "\n" for line in kept)


_STATUS = ("VmSize", "VmData", "VmPeak", "VmRSS", "Cpus_allowed", "Mems_allowed", "Threads")
_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    (r"/proc/self/status", lambda text: _lines(text, lambda line: line.startswith(_STATUS))),
    (r"/proc/cpuinfo", lambda text: _lines(text, lambda line: not line.startswith("Serial"))),
    (r"/proc/swaps", _swaps),
    (r"/proc/self/numa_maps", _policy),
    # the mainframe's serial number and the names of its partition and guest stand in the others
    (
        r"/proc/sysinfo",
        lambda text: _lines(
            text, lambda line: line.startswith(("Manufacturer:", "Type:", "VM00 Control Program:"))
        ),
    ),
    (
        r"/proc/driver/nvidia/gpus/.*",
        lambda text: _lines(text, lambda line: line.startswith(("Model:", "Node:", "Status:"))),
    ),
    # the line ends in who built it, and where
    (r"/proc/driver/nvidia/version", lambda text: re.sub(r"(?m)\s\(\S+@\S+\)|^GCC.*\n", "", text)),
    (r".*\.service(?:\.d/.*)?", _unit),
    # LM Studio's: what else it holds is nobody's business
    (
        r".*[/\\]settings\.json",
        lambda text: (
            "{"
            + (re.findall(r'"downloadsFolder"\s*:\s*"(?:[^"\\]|\\.)*"', text) or [""])[0]
            + "}\n"
        ),
    ),
)


_OWN_KEYS = (*Space._fields, *Quota._fields)


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        # of what a path leads to the keys are ours
        return {
            key if key in _OWN_KEYS else clean(key): _cleaned(item, clean)
            for key, item in value.items()
        }
    return [_cleaned(item, clean) for item in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> bytes:
    import json

    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


def empty_folder(folder: str) -> list[str]:
    """Makes `folder` where it is not there; the folders that were made, the deepest first.
    `MachineFileError` where it is no folder, holds something or cannot be made.
    """
    missing: list[str] = []
    place = os.path.abspath(folder)
    while not os.path.lexists(place):
        missing.append(place)
        place = os.path.dirname(place)
    try:
        os.makedirs(folder, exist_ok=True)
        held = os.listdir(folder)
    except OSError as error:
        reason = (
            "is there and is not a folder"
            if os.path.lexists(folder) and not os.path.isdir(folder)
            else f"cannot be used: {error.strerror}"
        )
        remove_folders(missing)
        raise _fault(folder, reason) from None
    except ValueError:
        raise _fault(folder, "is not a usable name") from None
    if held:
        raise _fault(folder, "is not empty, and nothing in it is overwritten")
    return missing


def remove_folders(folders: Iterable[str]) -> None:
    """Remove those of the folders that are empty."""
    for folder in folders:
        try:  # noqa: SIM105 - contextlib would be loaded for this alone
            os.rmdir(folder)
        except OSError:
            pass


def _fault(folder: str, message: str) -> MachineFileError:
    return MachineFileError(
        [
            Problem(
                file=folder, message=message, remedy="name a new or empty folder you may write to"
            )
        ]
    )


def _write(folder: str, files: Mapping[str, bytes], folders: Iterable[str]) -> None:
    """Write the whole tree, or nothing: a failure leaves the folder as empty as it was."""
    empty_folder(folder)
    written: list[str] = []
    whole = False
    try:
        for name in folders:
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        for name, raw in files.items():
            place = os.path.join(folder, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as stream:
                written.append(place)
                stream.write(raw)
        whole = True
    except OSError as error:
        raise _fault(folder, f"could not be written: {error.strerror}") from None
    finally:
        if not whole:
            _clear(folder, written)


def _clear(folder: str, files: Iterable[str]) -> None:
    """Remove these files, then the folders that are empty."""
    inside = [
        os.path.join(place, name)
        for place, names, _ in os.walk(folder, topdown=False)
        for name in names
    ]
    for remove, paths in ((os.unlink, files), (os.rmdir, inside)):
        for path in paths:
            try:  # noqa: SIM105 - contextlib would be loaded for this alone
                remove(path)
            except OSError:
                pass


def _is_plain(name: str) -> bool:
    """Whether a folder's name is that of many computers and tells of nobody."""
    return (
        len(name) <= 2
        or name.lower() in _PLAIN_FOLDERS
        or name.startswith(("models--", "$", "%"))
        or _VERSIONS.fullmatch(name) is not None
    )
