"""What a description of a machine names: products, processors, GPUs, memory, cores and a system.

The text becomes words once (`words.tokens`). Each step takes the longest runs of words that its
table knows; what no step takes is left aside, and named in a note. Nothing is guessed here: `named`
fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..core.records import shortened
from ..core.tables import TomlRow, shipped_table
from . import cpus, gpus, words
from .words import (
    BREAK,
    COUNT,
    NUMBERED,
    SIZE,
    bad_name,
    matches,
    named_card,
    role,
    shape,
)

MODULES = re.compile(r"(\d{1,2})x(\d+)gb", re.ASCII)
KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d[xl]?", re.ASCII)
# a number of GPUs that `words.COUNT` does not read, `100x`, `x 100`; of GPUs alone also `1000x`
_LARGE_COUNT = re.compile(r"\b(?:x ?(\d{3})|(\d{3}) ?x)\b", re.ASCII)
_ANY_COUNT = re.compile(r"\b(?:x ?(\d{3})|x(\d{3,9})|(\d{3,9}) ?x)\b", re.ASCII)
_MOST_WORDS, _MOST_LETTERS, _LONGEST_NAME = 80, 200, 9
# of sizes that nothing tells apart such a one is a disk's, beside a processor that takes no more
_LEAST_DISK_GIB, _MOST_GIB_OF_CLIENTS = 240, 256
# what a word says of a whole machine: the roles, of which the first that has it counts
_KINDS = (
    "systems",
    "containers",
    "guests",
    "laptops",
    "lines",
    "phones",
    "chips",
    "clusters",
)


class Description:
    """What a text tells of a machine; None and empty for what it does not.

    `free`: words that no step has taken, by their places. `is_of_gpus`: it names GPUs and nothing
    else. `is_line`: it names a line of computers with several processors. `product`: a row of
    products.toml, or of `chip` in chips.toml. `has_no_card`: it says that there is no GPU beside
    the processor, `has_no_gpu`: none at all. `cards_at`: GPUs by the places of their names;
    `vram_gib`: of a GPU of which no more is stated, but perhaps `gpu_maker`. `numbers`: cores,
    threads, vcpus, mts, channels and sticks, by these words.
    """

    def __init__(self, text: str, *, is_of_gpus: bool = False) -> None:
        # an instance of MIG, or a vGPU
        if part := shape("gpu_part").search(text):
            name = f"MIG {part[0]}" if part[1] else part[0]
            raise bad_name(
                "gpu_part", part[0], gib=int(part[1] or part[2]), name=shortened(name)
            )
        self.text, self.is_of_gpus = text, is_of_gpus
        self.words = words.tokens(text)
        self.free = dict(enumerate(self.words))
        self.system: str | None = None
        self.scope = "host"
        self.is_wsl = self.is_laptop = self.is_line = self.has_no_card = (
            self.has_no_gpu
        ) = False
        self.product: TomlRow = {}
        self.processor: str | None = None
        self.cards_at: dict[int, words.NamedCards] = {}
        self.vram_gib: float | None = None
        self.gpu_maker: str | None = None
        self.ram_gib: float | None = None
        self.ram_kind: str | None = None
        self.numbers: dict[str, int] = {}

    @property
    def has_chip(self) -> bool:
        """Whether it has one of Apple's chips, which no other processor or GPU stands beside."""
        return "mac" in self.product

    @property
    def cards(self) -> list[words.NamedCards]:
        return [cards for _, cards in sorted(self.cards_at.items())]

    @property
    def left(self) -> list[str]:
        """The words that mean nothing here and are no fillers."""
        idle = (
            role("idle") | role("gpu_idle") | role("computers") | {*cpus.MAKERS, BREAK}
        )
        free = (word for word in self.free.values() if word not in idle)
        return [word for word in free if not shape("nothing").fullmatch(word)]

    def word(self, at: int) -> str:
        """The word at that place, taken or not; empty where there is none."""
        return self.words[at] if 0 <= at < len(self.words) else ""

    def take(self, places: Iterable[int]) -> None:
        for at in places:
            self.free.pop(at, None)

    def free_gib(self, at: int) -> float:
        """The size at that place, which no step has taken; 0 where there is none."""
        match = SIZE.fullmatch(self.free.get(at, ""))
        return float(match[1]) if match and match[2] == "gb" else 0.0

    def free_runs(
        self, longest: int = _LONGEST_NAME
    ) -> Iterator[tuple[int, int, list[str]]]:
        """Runs of words that no step has taken, the longest first."""
        for length in range(min(longest, len(self.words)), 0, -1):
            for start in range(len(self.words) - length + 1):
                run = self.words[start : start + length]
                if BREAK not in run and all(
                    at in self.free for at in range(start, start + length)
                ):
                    yield start, start + length, run


def read_description(text: str) -> Description:
    """Raises `UnknownMachineError` where the text names two things, or one that is not known."""
    if wrong := shape("zero").search(text.lower()):
        raise bad_name("zero", text, size=repr(wrong[0].strip()))
    try:
        about = Description(text.strip())
        if not 0 < len(about.words) <= _MOST_WORDS:
            raise bad_name("long", text)
        for step in _STEPS:
            step(about)
    except words.UnknownGpuError as error:
        what, is_wrong = words.UnknownMachineError, f"{shortened(text)!r}: {error}"
        raise what(is_wrong, nearest=error.nearest, remedy=error.remedy) from None
    has_processor = about.product or about.processor
    if "arm" in about.words and not has_processor:
        raise bad_name("arm", text)
    # `2x dgx spark`; `32x` ends a processor's name
    for count in filter(None, map(COUNT.fullmatch, about.free.values())):
        if (has_processor or about.cards_at) and 1 < int(count[1] or count[2]) <= 16:
            raise bad_name("count", text, count=count[0])
    return about


def cards_named(text: str) -> words.NamedCards:
    """The GPUs that `text` names and nothing else, as in `read_description`; `none` is no GPU.

    A count stands before a name or after it: `2x RTX 3090`, `RTX 3090 x2`. Of several cards that a
    name can mean the smallest and slowest is taken, of sizes the usual. Raises `UnknownGpuError`.
    """
    if text.strip().lower() in ("none", "no gpu"):
        return words.NamedCards(accelerators=(), label="no GPU", source="--gpu none")
    about = Description(re.sub("[()]", " ", text[:_MOST_LETTERS]), is_of_gpus=True)
    _take_cards(about)
    _refuse_many_cards(about)
    idle = role("gpu_idle") | {BREAK, "and"}
    rest = [word for word in about.free.values() if word not in idle]
    names = [part.split() for part in " ".join(about.words).split(BREAK)]
    for word in rest:
        if not (SIZE.fullmatch(word) or COUNT.fullmatch(word)):
            raise words.unknown_gpu(next(name for name in names if word in name))
    if rest or not about.cards or len(text) > _MOST_LETTERS:
        raise bad_name("no_gpu_name", text)
    together = words.joined(about.cards)
    memory = shipped_table("gpus")["sources"]["memory"]
    origin = f'--gpu "{text.strip()}"; memory from {memory}'
    return together.replace(source=f"{origin}; {together.source}")


def _take_product(about: Description) -> None:
    """The row of a product of which the name holds the most words, `9` also as `gen 9`: in that
    order with nothing between them but fillers; of one with a year in any order.
    """
    texts, rows = [word.replace("gen", "") for word in about.words], list[TomlRow]()
    for row in shipped_table("products")["product"]:
        wanted = row["words"].split()
        if {*wanted} <= {*texts}:
            between = {*row.get("also", "").split(), "pro", "mini", ""} | role("idle")
            plain = " ".join(
                text for text in texts if text in wanted or text not in between
            )
            has_year = any(re.fullmatch(r"20\d\d", word) for word in wanted)
            rows += [row] if f" {row['words']} " in f" {plain} " or has_year else []
    if rows:
        about.product = row = max(rows, key=lambda row: len(row["words"].split()))
        if "refused" in row:
            raise bad_name(row["refused"], about.text)
        own = {*row["words"].split(), *row.get("also", "").split()}
        about.take(at for at, text in enumerate(texts) if text in own)


def _take_setting(about: Description) -> None:
    """The system, guests, containers, lines of computers, `legion`, and that there is no GPU."""
    table, others = words.word_table(), dict[str | None, str]()
    for at, word in [*about.free.items()]:
        kind, end = next((kind for kind in _KINDS if word in role(kind)), None), at + 1
        about.is_laptop |= kind == "laptops" or word in ("laptop", "netbook")
        if kind == "systems":
            about.system = table["systems"][word]
            about.is_wsl |= word.startswith("wsl")
        elif kind in ("containers", "guests"):
            is_container = kind == "containers" or about.scope == "container"
            about.scope = "container" if is_container else "vm"
        elif kind in ("laptops", "lines"):
            about.is_line = not about.product
            # models of these have four digits, as GPUs have: `vostro 3070`
            has_model = re.fullmatch(r"\d{4}", about.free.get(end, ""))
            if word in table["numbered"] and has_model is not None:
                end += 1
        elif word in ("nogpu", "nocard"):
            about.has_no_card, about.has_no_gpu = (
                True,
                about.has_no_gpu or word == "nogpu",
            )
        else:
            others[kind] = word
            continue
        about.take(range(at, end))
    # `galaxy book` is no phone
    refused = {"phones", "chips", "clusters"} & others.keys()
    if about.is_line or about.product:
        refused.discard("phones")
    for kind in sorted(refused):
        raise bad_name(kind, about.text, word=others[kind])


def _take_mac(about: Description) -> None:
    texts = [about.free.get(at, "") for at in range(len(about.words))]
    chips = (
        at
        for at, word in enumerate(texts)
        if shape("chip").fullmatch(word) and about.word(at - 1) not in role("not_apple")
    )
    start = next(chips, len(texts))
    end = start + 1
    if about.free.get(end) in ("pro", "max", "ultra"):
        end += 1
    chip, is_mac = texts[start:end], not role("macs").isdisjoint(texts)
    if about.product or not (is_mac or chip):
        return
    rows = [
        row for row in shipped_table("chips")["chip"] if _is_mac(row, chip, {*texts})
    ]
    if len(rows) > 1:
        near = [row["words"].removeprefix("apple ") for row in rows]
        raise bad_name("macs", about.text, near, count=len(rows), names=", ".join(near))
    if rows:
        about.product = rows[0]
        # no guest of another system has its GPU
        about.has_no_card = about.has_no_gpu = about.has_no_gpu or about.scope != "host"
        about.take(range(start, end))
        about.take(at for at, word in enumerate(texts) if shape("mac").fullmatch(word))
    elif is_mac or {"apple", "air"} & {*texts}:
        raise bad_name("mac", about.text)


def _is_mac(row: TomlRow, chip: Sequence[str], words: set[str]) -> bool:
    if chip or "mac" not in row:
        return bool(row["words"].split() == ["apple", *chip])
    return any({*name.split()} <= words for name in row["mac"]["sold_as"])


def _take_processor(about: Description) -> None:
    """By words of its kind and a number of a listed series: `ryzen 5 5600x`."""
    for start, end, name in about.free_runs():
        if not cpus.class_of(name[0]) or not all(map(_may_be_of_processor, name)):
            continue
        shorter, text, rest = name[:-1], " ".join(name), " ".join(name[:-1])
        series, without = cpus.processor_of(text), cpus.processor_of(rest)
        if series is None or not (shorter or any(map(str.isdecimal, name[-1]))):
            continue
        if (
            without
            and without.name == series.name
            and cpus.cores_of(text) == cpus.cores_of(rest)
        ):
            # a word that tells neither the series nor the cores is none of the name
            continue
        if about.processor is None:
            _put_processor(about, start, end, text)
        elif shorter:
            if name[-1] not in about.processor:
                raise bad_name(
                    "two_processors", about.text, first=about.processor, second=text
                )
            about.take(range(start, end))


def _may_be_of_processor(word: str) -> bool:
    count = COUNT.fullmatch(word)
    is_other = (
        SIZE.fullmatch(word) or MODULES.fullmatch(word) or NUMBERED.fullmatch(word)
    )
    is_of_gpu = word in role("cards") or word in role("graphics")
    return not (is_other or is_of_gpu or (count and count[1]))


def _put_processor(about: Description, start: int, end: int, name: str) -> None:
    about.take(range(start, end))
    series = cpus.processor_of(name)
    is_server = series is not None and series.kind == "server"
    count = _count_beside(about, start, end) if series is None or is_server else 1
    about.processor = f"{count}x {name}" if count > 1 else name
    if not is_server and any(map(shape("mobile").fullmatch, name.split())):
        about.is_laptop |= role("desktops").isdisjoint(about.words)


def _take_processor_number(about: Description) -> None:
    """One that no GPU has, `5800x3d`; behind a GPU also figures alone, `5600 32gb 4060 ti`."""
    beside_gpu = bool(about.cards_at)
    for start, end, name in (
        [] if about.processor or about.has_chip else about.free_runs(3)
    ):
        text = " ".join(name)
        if (beside_gpu or not matches(tuple(name))) and all(
            map(_may_be_of_processor, name)
        ):
            names = cpus.names_of_number(text, beside_gpu=beside_gpu)
            if len(names) > 1:
                raise _two_readings(about, text, names)
            if names:
                _put_processor(about, start, end, names[0])
                return


def _two_readings(about: Description, word: str, readings: Sequence[str]) -> Exception:
    texts = [about.text.lower().replace(word, each, 1) for each in readings]
    whole, both = (
        ", ".join(f"--machine '{text}'" for text in texts),
        " or ".join(readings),
    )
    return bad_name(
        "two_readings", about.text, readings, word=word, readings=both, whole=whole
    )


def _take_processor_kind(about: Description) -> None:
    """`ryzen 7`, `xeon`, `i5 8th gen`, `amd a10x9600p`: a kind with numbers of no series."""
    for start, first in (
        [] if about.processor or about.has_chip else [*about.free.items()]
    ):
        name, end = [first], start + 1
        if not cpus.class_of(first) or first in role("no_kind"):
            continue
        while (word := about.free.get(end, "")) and _may_be_of_processor(word):
            is_number = any(map(str.isdecimal, word)) and not matches((word,))
            if not (is_number or cpus.names_a_kind_alone({word})):
                break
            name.append(word)
            end += 1
        if {*name} <= {"core", *cpus.MAKERS}:
            continue
        for at in (end, start - 1):
            generation = NUMBERED.fullmatch(about.free.get(at, ""))
            if generation and generation[2] == "gen":
                about.take((at,))
                number = generation[1]
                name += [
                    {"1": "1st", "2": "2nd", "3": "3rd"}.get(number, f"{number}th"),
                    "gen",
                ]
                break
        _put_processor(about, start, end, " ".join(name))
        return


def _take_cards(about: Description) -> None:
    fillers = role("idle") - role("forms")
    for start, end, run in about.free_runs():
        if "and" in run or not (about.is_of_gpus or _is_gpu_name(run)):
            continue
        sizes = [float(size[1]) for word in run if (size := SIZE.fullmatch(word))]
        names = [
            word for word in run if not SIZE.fullmatch(word) and word not in fillers
        ]
        cards = matches(tuple(names), laptop=about.is_laptop)
        is_size = all(
            any(s in c.memory_gib or f"{s:g}gb" in c.named for c in cards)
            for s in sizes
        )
        if (
            cards
            and is_size
            and (about.is_of_gpus or not _is_other_number(about, run, cards))
        ):
            _take_card(about, start, end, names, next(iter(sizes), None))


def _is_gpu_name(run: Sequence[str]) -> bool:
    """Whether words have the form of a GPU's name: no filler or size at an end, and a number."""
    # the form of a GPU is no filler
    idle = (role("idle") - role("forms")) | role("gpu_idle")
    if list(run) in words.word_table()["gpus_inside"]:
        return True
    is_bounded = idle.isdisjoint((run[0], run[-1])) and not SIZE.fullmatch(run[-1])
    if not is_bounded or SIZE.fullmatch(run[0]) or re.fullmatch(r"\d\d?", run[0]):
        return False
    named = {word for word in run if not SIZE.fullmatch(word)} - idle - role("left_out")
    has_number = any(map(str.isdecimal, "".join(named)))
    return has_number or (len(run) > 1 and not role("numberless").isdisjoint(run))


def _is_other_number(
    about: Description, run: Sequence[str], cards: Sequence[words.Card]
) -> bool:
    word = run[0]
    if len(run) > 1 or not word.isdecimal() or about.processor or about.has_chip:
        return False
    processors = cpus.names_of_number(word, beside_gpu=True)
    if len(processors) > 1 or (processors and not about.cards_at):
        raise _two_readings(about, word, [*processors, cards[0].label.lower()])
    return bool(processors)


def _take_card(
    about: Description, start: int, end: int, names: Sequence[str], size: float | None
) -> None:
    """With the size and count beside it; `size` stands in its name."""
    line = about.product.get("line", "").split()
    names = [*line, *names] if matches((*line, *names)) else names
    about.take(range(start, end))
    # `rtx 6000 pro max-q 96gb`, where `q` is no end of a name
    _, end = _with_fillers(about, start, end)
    cards = matches(tuple(names), laptop=about.is_laptop)
    if all(card.unified for card in cards):
        # any but an integrated one is in the chip that was named
        if cards[0].integrated or not about.processor:
            inside = named_card(names, laptop=about.is_laptop)
            if all(inside.label != each.label for each in about.cards):
                about.cards_at[start] = inside
        return
    if all(size not in card.memory_gib for card in cards):
        size = _size_behind(about, end, cards)
        size = _size_before(about, start, cards) if size is None else size
    count = _count_beside(about, start, end)
    about.cards_at[start] = named_card(
        names, size or None, count, laptop=about.is_laptop
    )


def _size_behind(
    about: Description, end: int, cards: Sequence[words.Card]
) -> float | None:
    """The card's size behind its name; 0 where a size there is none of its own, None for none."""
    at = end + 1 if about.word(end) in (BREAK, "vram", "with") else end
    size, kind = about.free_gib(at), about.word(at).partition("b")[2]
    if not size:
        return None
    is_sold = kind == "vram" or any(size in card.memory_gib for card in cards)
    if kind == "ram" and not SIZE.fullmatch(about.word(at + 1)):
        return 0
    if is_sold or f"{size:g}gb" in cards[0].named - cards[0].words:
        about.take((at,))
        return size if is_sold else 0
    if about.is_of_gpus or (not kind and at == end and _is_no_ram(about, size)):
        raise words.not_sold_so(cards, size)
    return 0


def _size_before(
    about: Description, start: int, cards: Sequence[words.Card]
) -> float | None:
    """The card's size before its name, where another is the RAM's."""
    sold = {size for card in cards for size in card.memory_gib}
    modules, size = (
        MODULES.fullmatch(about.free.get(start - 1, "")),
        about.free_gib(start - 1),
    )
    if modules and float(modules[2]) in sold and about.processor is None:
        raise bad_name("modules", about.text, word=modules[0], card=cards[0].label)
    has_others = any(about.free_gib(at) for at in about.free if at != start - 1)
    if size not in sold or not (
        about.processor is None or has_others or about.is_of_gpus
    ):
        return None
    about.take((start - 1,))
    return size


def _is_no_ram(about: Description, gib: float) -> bool:
    """Whether a size is none of RAM, or another is said to be it, or of a card that was changed."""
    has_ram = any(word.endswith("bram") for word in about.words)
    return (
        (gib % 4 != 0 and gib > 6)
        or has_ram
        or not role("changed").isdisjoint(about.words)
    )


def _with_fillers(about: Description, start: int, end: int) -> tuple[int, int]:
    """A run with what stands between it and its size or count."""
    fillers = (role("gpu_idle") | {*cpus.MAKERS}) - {"with", "vram"}
    while about.word(start - 1) in fillers:
        start -= 1
    while about.free.get(end) in fillers:
        end += 1
    return start, end


def _count_beside(about: Description, start: int, end: int) -> int:
    """Take the `2x` or `x2` beside a run; 1 without one."""
    while end not in about.free and SIZE.fullmatch(about.word(end)):
        end += 1
    start, end = _with_fillers(about, start, end)
    for at in (start - 1, end, end + 1):
        count = COUNT.fullmatch(about.free.get(at, ""))
        # `epyc 7742 2x 3090` are two cards
        is_of_this = at < start or about.word(at + 1) in ("", BREAK)
        if count and (is_of_this if count[1] else at >= end):
            about.take((at,))
            return int(count[1] or count[2])
    return 1


def _choose_cards(about: Description) -> None:
    """Leave aside what is in the processor beside a card; refuse one of several."""
    for at, word in about.free.items():
        number = about.free.get(at + 1, "")
        is_line = role("cards").intersection(
            words.rewritten(word, "spelling").split()[:1]
        )
        if is_line and shape("card").fullmatch(number):
            named_card([word, number])
    discrete = {
        at: cards
        for at, cards in about.cards_at.items()
        if not all(card.unified for card in cards.accelerators)
    }
    about.cards_at = discrete or about.cards_at
    names = [cards.label for cards in about.cards]
    if about.has_no_gpu:
        names.append("no GPU")
    is_either = about.has_no_gpu or not role("either").isdisjoint(about.words)
    if len(names) > 1 and is_either:
        raise bad_name(
            "two_gpus", about.text, names, names=" or ".join(names), first=names[0]
        )


def _take_memory(about: Description) -> None:
    """Take the RAM: what is said to be it, else the one size that no disk has."""
    sizes = _take_sizes(about)
    about.vram_gib = max(sizes["vram"], default=None)
    is_large = (
        cpus.class_of(about.processor or "").get("most_gib", 0) > _MOST_GIB_OF_CLIENTS
    )
    plain, ram = sizes["plain"], max(sizes["ram"], default=None)
    small = {gib for gib in plain if is_large or gib < _LEAST_DISK_GIB}
    # `2x 16gb v100 64gb`: it does not tell whether these are modules
    is_unclear = "sticks" in about.numbers or "or" in about.words
    if ram is not None and not (is_unclear and small and ram not in small):
        about.ram_gib = ram
    elif ram is None and (about.has_chip or len(small) < 2):
        about.ram_gib = min(plain, default=None)
    else:
        all_sizes = sorted({*small, *sizes["ram"]})
        listed = " and ".join(f"{size:g} GB" for size in all_sizes)
        raise bad_name(
            "two_sizes", about.text, sizes=listed, largest=f"{all_sizes[-1]:g}"
        )


def _take_sizes(about: Description) -> dict[str, list[float]]:
    """Take cores and rates, too; the sizes in GiB by what they are of, `plain` if no word tells."""
    sizes: dict[str, list[float]] = {"ram": [], "vram": [], "disk": [], "plain": []}
    series = cpus.processor_of(about.processor or "")
    is_server = series is not None and series.kind == "server"
    for at, word in [*about.free.items()]:
        if KIND_OF_RAM.fullmatch(word):
            about.ram_kind = word
        elif modules := MODULES.fullmatch(word):
            about.numbers["sticks"] = int(modules[1])
            sizes["ram"].append(float(int(modules[1]) * int(modules[2])))
        elif size := SIZE.fullmatch(word):
            kind = size[3] or ("disk" if size[2] == "tb" and not is_server else "plain")
            sizes[kind].append(float(size[1]) * (1024 if size[2] == "tb" else 1))
        elif number := NUMBERED.fullmatch(word):
            about.numbers["cores" if number[2] == "cpus" else number[2]] = int(
                number[1]
            )
        elif word not in role("of_sizes"):
            continue
        about.take((at,))
    return sizes


def _take_rest(about: Description) -> None:
    """A GPU of which its memory and perhaps its maker are told: `8gb vram`, `amd gpu 16gb`."""
    says_gpu = False
    if "vcpus" in about.numbers and about.scope == "host":
        about.scope = "vm"
    for at, word in [*about.free.items()]:
        maker = gpus.vendor_of(word)
        if maker != gpus.UNKNOWN:
            about.gpu_maker = about.gpu_maker or maker
        elif word not in role("gpu_words"):
            continue
        says_gpu |= word in ("gpu", "vram", "dgpu")
        about.take((at,))
    if (
        about.cards_at
        or about.has_no_card
        or "shared" in about.product
        or about.has_chip
    ):
        about.vram_gib = None
    elif about.vram_gib is None and (says_gpu or about.gpu_maker == "nvidia"):
        raise bad_name("unnamed_gpu", about.text)


def _refuse_many_cards(about: Description) -> None:
    """Refuse a number of cards that is not judged, typed as `1000x` or as the sum of several."""
    if not about.cards_at:
        return
    # in a description four digits are a processor's: `5800 x`
    count_shape = _ANY_COUNT if about.is_of_gpus else _LARGE_COUNT
    typed = count_shape.search(" ".join(about.free.values()))
    if typed is not None:
        count = int(next(filter(None, typed.groups())))
    else:
        count = len(words.joined(about.cards).accelerators)
    if count > words.MOST_CARDS:
        raise bad_name(
            "many_gpus", about.text, count=f"{count:,}", most=words.MOST_CARDS
        )
    if not all(cards.accelerators for cards in about.cards):
        raise bad_name("zero_gpus", about.text)


_STEPS = (
    _take_product,
    _take_setting,
    _take_mac,
    _take_processor,
    _take_processor_number,
    _take_cards,
    _choose_cards,
    # anew, for what may be a number of either is a processor's behind a GPU
    _take_processor_number,
    _take_processor_kind,
    _take_memory,
    _take_rest,
    _refuse_many_cards,
)
