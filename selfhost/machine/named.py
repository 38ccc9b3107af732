"""Machines by the names that people type: a profile's words (`macbook air m2`), or a GPU's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ..core import units
from ..core.saying import differently, option
from ..core.spelling import canonical, is_slip, words_of
from ..core.tables import shipped_table
from . import cpus, gpus
from .changes import planned
from .chips import apple_chips, soldered_chip
from .cpu_names import (
    Described,
    machine_with,
    names_a_class_alone,
    names_nothing_but_a_class,
    rented,
    stated_guest,
)
from .gpu_names import (
    NamedCards,
    PartOfMachineError,
    TooManyGpusError,
    UnknownGpuError,
    cards_named,
    is_listed,
    several_of_a_chip,
    shown,
    spelled,
    written_out,
)
from .macs import (
    REMEDY,
    as_sold,
    has_its_chip,
    is_a_mac,
    mac_with,
    names_a_chip_alone,
    several_chips,
    size_never_sold,
    sizes_sold,
    with_chip_of_its_year,
    with_its_size,
)
from .products import (
    guest_with_cards,
    is_a_line_alone,
    lead_to_its_parts,
    names_a_card,
    of_unnamed_gpu,
    plain_computer,
    product_named,
    with_whole_words,
    without_unused,
)
from .profiles import (
    KINDS,
    NamedProfile,
    Profile,
    UnknownMachineError,
    all_profiles,
    called,
    load,
    names,
    needed_words,
    size_of,
    unknown,
)
from .ram import BOTH_FILLED, StatedRam, may_have_one_stick, stated_ram, with_ram, without_kind
from .record import Machine
from .typed import (
    memory_gib,
    ram_words,
    size_below_one,
    sizes_alike,
    tells_ram,
    typed,
    without_sizes,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_CANDIDATES = 8
# four digits: an R9 390 is a GPU
_SHORT_RYZEN = re.compile(r"(?<![\w.-])r([3579])[ -]?(?=(?:pro )?\d{4})", re.IGNORECASE)
_SHORT_ULTRA = re.compile(
    r"(?<!core )(?<![\w-])ultra(?=[ -]?[579](?:[ -]?\d{3}\w|\s|$))", re.IGNORECASE
)
# `7 5700x 32gb`
_BARE_RYZEN = re.compile(r"^(?=[3579] \d{4}(?:x|x3d|xt|ge?)\b)", re.IGNORECASE)
# `surface laptop 7 x elite`, `ai max+ 395`, `hx 370`
_SHORT_SNAPDRAGON = re.compile(r"(?<!snapdragon )(?<![\w-])(?=x (?:elite|plus)\b)", re.IGNORECASE)
_SHORT_RYZEN_AI = re.compile(
    r"(?<![\w-])(?:ryzen )?(?:ai )?(?P<tier>[579] )?(?P<line>hx|max\+?)[ -]?(?=3\d\d\b)",
    re.IGNORECASE,
)
# `tesla p100 16gb 2x`
_COUNT_AT_END = re.compile(r"^(.*\S)\s+(\d{1,2}x)$", re.IGNORECASE)
# `4c8g`: cores and GiB of what clouds rent
_CORES_AND_GIB = re.compile(r"(?<![\w.])(\d{1,3})c(\d{1,4})g(?!\w)", re.IGNORECASE)
# options of `docker run`, `--cpus 4 --memory=8g`
_OPTION_OF_CORES = re.compile(r"(?<!\S)--cpus?[ =](\d{1,3})(?!\S)")
_OPTION_OF_MEMORY = re.compile(r"(?<!\S)(?:--memory|-m)[ =](?=\d)")
_DASH_BETWEEN = re.compile(r"\s+-+\s+")
# `16gb+512gb`
_PLUS_BEHIND_SIZE = re.compile(r"(?<=\d[gt]b)\s*\+\s*(?=\d)", re.IGNORECASE)
# a Xeon's number without its line, `xeon 2680 v4`, `xeon 2 2680 v4`: the first digits tell it, and
# of two E5 without the version, too, for the first of them has none
_XEON_WITHOUT_LINE = re.compile(
    r"(?<![\w.-])(?P<before>xeon (?:[2-8] ?x? )?)(?P<number>"
    r"(?:(?P<e3>12)|(?P<e7>[248]8)|14|[1246]6|24)\d\d[lw]?(?=[ -]?v[1-6]\b)"
    r"|(?:16[2568]|26[0-9]|46[0-5])\d[lw]?(?![\w.-]))",
    re.IGNORECASE,
)
# a Xeon Scalable without its metal, `xeon 8370c`: the first digit tells it
_XEON_WITHOUT_METAL = re.compile(
    r"(?<![\w.-])xeon (?P<number>(?:(?P<platinum>8)|(?P<gold>[56])|(?P<silver>4)|3)[1-5]\d\d"
    r"[a-z]{0,2}\+?)(?![\w.-])",
    re.IGNORECASE,
)
# `t7820 2x gold 6148`, but not `pentium gold 4415u`
_METAL_WITHOUT_XEON = re.compile(
    r"(?<![\w.-])(?=(?:gold|silver|platinum|bronze)[ -][3-8][1-5]\d\d(?!\d))", re.IGNORECASE
)
_HAS_ITS_LINE = re.compile(r"xeon|pentium", re.IGNORECASE)
# `xeon 2 e5-2680 v4`: no line of Xeons has a number before its letter
_XEON_COUNTED_BEHIND = re.compile(r"(?<![\w.-])xeon ([2-8]) ?x? (?=e[357])", re.IGNORECASE)
# the version of a Xeon, typed without the space: `E5-2680v4`
_SHORT_XEON = re.compile(r"(?<![\w.-])(e[357][ -]?\d{4}[lw]?)(?=v[2-6]\b)", re.IGNORECASE)
# `i5 gen 8`, `i7 10 gen`
_NUMBERED_GENERATION = re.compile(
    r"(?<![\w.-])(i[3579])[ -](?:gen(?:eration)? ?(\d{1,2})|(\d{1,2}) ?gen(?:eration)?)\b",
    re.IGNORECASE,
)
_ENDING_OF_NTH = {1: "st", 2: "nd", 3: "rd"}
# kinds whose profiles are one of many such machines each
_EXAMPLES = frozenset(("laptop", "desktop", "mini-pc", "server"))
# a shorter word may be anything
_LEAST_LETTERS_OF_A_SLIP = 5
# less is looked for in names alone
_LEAST_LETTERS = 3


class NotOneMachineError(UnknownMachineError):
    """The name is known, but it is that of several machines, or of none with that memory."""


def machine_named(text: str) -> Machine:
    """The machine of `profile_named`; its note stands in `machine.sources`."""
    return noted_machine(profile_named(text))


def noted_machine(named: NamedProfile) -> Machine:
    """The profile's machine, with the note in its sources."""
    machine = named.profile.machine
    if named.note is None:
        return machine
    sources = {**machine.sources, "memory_total_bytes": _with(machine, named.note)}
    return machine.replace(sources=sources)


def profile_named(text: str) -> NamedProfile:
    """The machine that `text` means: a profile by its name or words of it; a desktop with the GPUs
    that it names; a machine around the processor that it names or of the type that a cloud rents;
    else a profile by words of a title, a processor or accelerators, every one of which is there.

    A GPU's name does not tell the rest of the machine. A profile of a desktop that has just these
    GPUs stands for it, the one with the least memory, else that of a server; where there is none, a
    Linux machine of which all but the GPUs is marked as assumed. Of several that
    differ only in memory the smallest is taken. Raises `UnknownMachineError` where none is left or
    several are, and `MachineFileError` for a profile's faulty file.
    """
    if any(len(word) > _MOST_LETTERS_OF_A_WORD for word in text.split()):
        raise UnknownMachineError(f"{shown(text)!r} is no name of a machine", remedy=REMEDY)
    below_one = size_below_one(text)
    if below_one is not None:
        raise UnknownMachineError(
            f"{text.strip()!r}: {below_one!r} is no size of a memory",
            remedy=f"state more than zero: {option('machine', 'i5-8250U 16GB')}",
        )
    try:
        return _as_typed(text)
    except NotOneMachineError:
        raise
    except UnknownMachineError:
        whole = _without_slips(text)
        if whole == text:
            raise
        try:
            return _read_as(whole, text.strip())
        except UnknownMachineError:
            pass
        raise


def _without_slips(text: str) -> str:
    """The text with words of names for those that are slips of them: `getforce`, `treadripper`."""
    words = shipped_table("products")["slips"]
    meant = {
        word: next((each for each in words if is_slip(word.lower(), each)), word)
        for word in text.split()
        if len(word) >= _LEAST_LETTERS_OF_A_SLIP and word.lower() not in words
    }
    return " ".join(meant.get(word, word) for word in text.split())


def _as_typed(text: str) -> NamedProfile:
    """As `profile_named`, of words as they are spelled."""
    named = called(text)
    if named is not None:
        return named
    from . import pasted
    from .inside import inside_windows
    from .spoken import in_english

    cards = pasted.each_of_a_chip(text, is_listed)
    if len(cards) > 1:
        remedy = f"name yours: {option('machine', *cards)}"
        raise NotOneMachineError(several_of_a_chip(text, cards), nearest=cards, remedy=remedy)
    of_one_card = cards[0] if cards else text
    plain = " ".join(as_sold(in_english(pasted.as_typed(of_one_card))).split())
    if plain and plain != " ".join(text.split()):
        return _read_as(plain, text.strip())
    plain, unused = without_unused(text)
    if unused and plain:
        named = profile_named(plain)
        left = (
            f"No program that is judged here computes on {' and '.join(unused)}: it is left aside."
        )
        return named.replace(note=" ".join(filter(None, (named.note, left))))
    ram = stated_ram(_with_spaces(text))
    ram = ram.replace(text=_PLUS_BEHIND_SIZE.sub(" ", ram.text))
    named = called(without_kind(ram.text)) or _by_its_parts(ram, text)
    machine, of_memory = with_ram(named.profile.machine, ram)
    machine, of_share = inside_windows(machine, text)
    # the commands in it are those of what was typed
    of_name = named.note and named.note.replace(ram.text, text.strip())
    if of_name and may_have_one_stick(machine, ram):
        of_memory = " ".join(filter(None, (of_memory, BOTH_FILLED)))
    return NamedProfile(
        profile=named.profile.replace(machine=machine),
        note=" ".join(filter(None, (of_name, of_memory, of_share))) or None,
    )


def _read_as(plain: str, text: str) -> NamedProfile:
    """The machine that `plain` means; its note and its errors say that `text` is read so, but for
    capitals and spaces.
    """
    is_alike = plain.lower().replace(" ", "") == text.lower().replace(" ", "")
    reading = "" if is_alike else f'"{shown(text, _MOST_LETTERS_QUOTED)}" is read as "{plain}"'
    try:
        named = profile_named(plain)
    except UnknownMachineError as error:
        message = f"{reading}: {error}" if reading else str(error)
        raise type(error)(message, nearest=error.nearest, remedy=error.remedy) from None
    if not reading or named.note is None:
        return named
    return named.replace(note=f"{reading}. {named.note}")


# no name, and no line that a program prints of a machine, has a longer one
_MOST_LETTERS_OF_A_WORD = 400
# of a text that a program printed, what tells its reader which it is
_MOST_LETTERS_QUOTED = 100


def _with_spaces(text: str) -> str:
    """The text with spaces for underscores, but for a cloud's name, which has them itself; and with
    the whole names of processors, `r5 5600x`, `ultra 7 265k`, `e5-2680v4`.
    """
    from .counts import with_counted_processors

    plain = text.replace("_", " ") if "_" in text and rented(text) is None else text
    plain = _CORES_AND_GIB.sub(r"\1 vcpu \2gb", plain)
    plain = _OPTION_OF_MEMORY.sub("", _OPTION_OF_CORES.sub(r"\1 cpus", plain))
    plain = _DASH_BETWEEN.sub(" ", plain)
    plain = _NUMBERED_GENERATION.sub(_nth_generation, plain)
    plain = _XEON_WITHOUT_LINE.sub(_xeon_with_line, plain)
    plain = _XEON_WITHOUT_METAL.sub(_xeon_with_metal, plain)
    plain = plain if _HAS_ITS_LINE.search(plain) else _METAL_WITHOUT_XEON.sub("xeon ", plain)
    plain = _XEON_COUNTED_BEHIND.sub(r"\1x xeon ", plain)
    plain = _COUNT_AT_END.sub(_count_first, with_counted_processors(plain))
    plain = _BARE_RYZEN.sub("ryzen ", plain)
    plain = _SHORT_XEON.sub(r"\1 ", _SHORT_RYZEN.sub(r"ryzen \1 ", plain))
    plain = _SHORT_SNAPDRAGON.sub("snapdragon ", plain)
    plain = _SHORT_RYZEN_AI.sub(_whole_ryzen_ai, plain)
    return _SHORT_ULTRA.sub("core ultra", plain)


def _count_first(match: re.Match[str]) -> str:
    """`2x tesla p100 16gb`; what is no part stays as it is, `yoga slim 7x`."""
    is_a_part = _cards(match[1]) is not None or cpus.processor_of(match[1]) is not None
    return f"{match[2]} {match[1]}" if is_a_part else match[0]


def _nth_generation(match: re.Match[str]) -> str:
    """`i5 8th gen` for `i5 gen 8`."""
    number = int(match[2] or match[3])
    return f"{match[1]} {number}{_ENDING_OF_NTH.get(number, 'th')} gen"


def _xeon_with_line(match: re.Match[str]) -> str:
    """`xeon e5-2680` for `xeon 2680`."""
    line = next((line for line in ("e3", "e7") if match[line]), "e5")
    return f"{match['before']}{line}-{match['number']}"


def _xeon_with_metal(match: re.Match[str]) -> str:
    """`xeon platinum 8370c` for `xeon 8370c`; as it is where that is a whole name, `xeon 6517p`."""
    if cpus.processor_of(match[0]) is not None:
        return match[0]
    metal = next((metal for metal in ("platinum", "gold", "silver") if match[metal]), "bronze")
    return f"xeon {metal} {match['number']}"


def _whole_ryzen_ai(match: re.Match[str]) -> str:
    """`ryzen ai 9 hx ` for `hx `; a Max has no tier in its name."""
    tier = match["tier"] or ("9 " if match["line"].lower() == "hx" else "")
    return f"ryzen ai {tier}{match['line']} "


def _by_its_parts(ram: StatedRam, typed_whole: str) -> NamedProfile:
    """What is no profile's whole name. `typed_whole`: with what was said of the RAM."""
    text = ram.text
    described = _by_sure_parts(text)
    if described is not None:
        return _as_profile(described)
    whole = with_its_size(with_whole_words(text))
    if whole != text:
        return profile_named(whole)
    of_its_year = with_chip_of_its_year(text)
    if of_its_year != text:
        return _read_as(of_its_year, text)
    if len(several_chips(text)) > 1:
        raise _several_macs(text, several_chips(text))
    matches = (
        _by_names(text)
        or _by_names(without_kind(text))
        or _by_kind_and_name(text)
        or _by_name_and_system(text)
        or _described_or_by_texts(ram, typed_whole)
    )
    if isinstance(matches, Described):
        return _as_profile(matches)
    is_several = len({_without_sizes(profile.name) for profile in matches}) > 1
    instead = _instead_of(text, matches, is_several=is_several)
    if instead is not None:
        return _as_profile(instead)
    if is_several:
        raise _several(text, [profile.name for profile in matches])
    return _smallest_of(text, matches)


def _by_name_and_system(text: str) -> list[Profile]:
    """As `_by_names`, of a text that tells a system, a clock or the RAM beside the name: the
    profiles that have that system and that RAM.
    """
    stated, between = typed(text), shipped_table("products")["counted"]["joined"]
    name = " ".join(word for word in stated.names.split() if word.lower() not in between)
    if not without_sizes(name).strip():
        return []
    size = f" {stated.ram_gib:g}gb" if stated.ram_gib else ""
    whole = called(f"{name}{size}")
    profiles = [whole.profile] if whole is not None else _by_names(f"{name}{size}")
    if not profiles and size:
        # a name that one size alone has
        alone = called(name)
        has_size = alone is not None and _has_gib(alone.profile.machine, stated.ram_gib)
        profiles = [alone.profile] if alone is not None and has_size else []
    return [each for each in profiles if stated.system in (None, each.machine.system)]


def _has_gib(machine: Machine, gib: float | None) -> bool:
    """It has that RAM, and no card that could be put into another computer."""
    has_card = any(not card.unified for card in machine.accelerators or ())
    return machine.memory_total_bytes == (gib or 0) * units.GIB and not has_card


def _instead_of(text: str, matches: Sequence[Profile], *, is_several: bool) -> Described | None:
    """What the text means before these profiles: any machine with the kind of processor that it
    names alone, `intel laptop`, or a Mac that is told by its chip. None for any other text.
    """
    are_examples = is_several and {profile.kind for profile in matches} <= _EXAMPLES
    if are_examples and names_nothing_but_a_class(text):
        return _by_class(text, None)
    if names_a_chip_alone(text) and (is_several or _is_sold_smaller(text, matches)):
        return mac_with(text)
    return None


def _is_sold_smaller(text: str, profiles: Sequence[Profile]) -> bool:
    """Whether what the text names is sold with less RAM than each of these profiles has."""
    least_gib = min(size_of(profile.machine)[0] for profile in profiles) / units.GIB
    return any(gib < least_gib for gib in sizes_sold(text))


def _smallest_of(text: str, matches: Sequence[Profile]) -> NamedProfile:
    """The smallest of the profiles, which differ in their sizes alone, and a note on the others."""
    first, *others = sorted(matches, key=lambda profile: size_of(profile.machine))
    of_class = _of_class_alone(text, first)
    if of_class is not None:
        return _as_profile(of_class)
    return NamedProfile(
        profile=first.replace(machine=_of_several_sizes(first, others, sizes_sold(text))),
        note=" ".join(_notes_on(text, first, others)) or None,
    )


def _by_sure_parts(text: str) -> Described | None:
    """The machine by a GPU, by what a cloud rents, or by its RAM alone; None where the text tells
    none of these. Raises `UnknownMachineError` where it tells a GPU and not which.
    """
    guest = stated_guest(text)
    if guest is not None:
        return guest
    cards = _cards(text)
    if _is_of_sizes_alone(text) and (question := lead_to_its_parts(text)):
        raise question
    if (cards is None or tells_ram(text)) and (question := of_unnamed_gpu(text)):
        raise question
    return _around(text, cards) or rented(text) or _guest_or_computer(text)


def _guest_or_computer(text: str) -> Described | None:
    return plain_computer(text) or guest_with_cards(text) or _container_on(text)


def _container_on(text: str) -> Described | None:
    """A container on a machine that is named beside it; None for any other text."""
    from .inside import around_container, container_on

    host = around_container(text)
    try:
        named = None if host is None else _as_typed(host)
    except UnknownMachineError:
        return None
    if named is None or named.profile.machine.scope != "host":
        return None
    machine, note = container_on(named.profile.machine, text.strip())
    title = f"a container on {named.profile.title}"
    return Described(machine=machine, title=title, note=" ".join(filter(None, (note, named.note))))


def _is_of_sizes_alone(text: str) -> bool:
    """Whether it tells two sizes and nothing else: `64gb 32gb` may be in a profile's name."""
    stated = typed(text)
    return bool(sizes_alike(stated)) and not without_sizes(stated.names)


def _of_class_alone(text: str, profile: Profile) -> Described | None:
    """A machine of the kind of processor that was named alone: one profile of the many machines
    with such a processor would look sure of itself. None for any other text.
    """
    if profile.kind not in _EXAMPLES or not names_a_class_alone(text):
        return None
    return machine_with(text, class_is_enough=True)


def _of_several_sizes(
    first: Profile, others: Sequence[Profile], sizes_gib: Sequence[int]
) -> Machine:
    """The first profile's machine; its RAM is assumed where others of its name have more, or it is
    sold with more, as `sizes_gib` say.
    """
    machine = first.machine
    own = machine.memory_total_bytes or 0
    sizes = [each.machine.memory_total_bytes or 0 for each in others]
    most = max((*sizes, *(gib * units.GIB for gib in sizes_gib)), default=own)
    if most <= own:
        return machine
    assumed = (*machine.assumed, "memory_total_bytes")
    return machine.replace(assumed=assumed, memory_most_bytes=most)


def _notes_on(text: str, first: Profile, others: Sequence[Profile]) -> Iterator[str]:
    """What else than the first the text can mean."""
    if others:
        other_names = " or ".join(profile.name for profile in others)
        yield (
            f'"{text}" can be machines of several sizes. Judged as {first.name}, the smallest;'
            f" otherwise name {other_names}."
        )
    other_sizes = [
        f"{gib} GB"
        for gib in sizes_sold(text)
        if gib * units.GIB != first.machine.memory_total_bytes
    ]
    if other_sizes and not others:
        yield (
            f'The RAM of {first.name} is assumed: "{text}" does not tell it. Otherwise name it:'
            f" {', '.join(other_sizes)}."
        )


def _described_or_by_texts(ram: StatedRam, typed_whole: str) -> list[Profile] | Described:
    """What no profile's name has: a machine by its parts, else the profiles that have the words in
    their texts, else a Mac by its chip. Raises `UnknownMachineError`.
    """
    text = ram.text
    described = _rented_or_product(text)
    lead = None if described is not None else lead_to_its_parts(text)
    if described is None and lead is None and not is_a_mac(text):
        # of a text with a GPU this would leave the GPU out
        described = _with_processor(text, class_is_enough=_tells_kind_of_ram(ram))
    # what its maker's name tells the class of
    described = described or _around(text, _cards(text, listed_only=False))
    if described is not None and soldered_chip(words_of(text)) is None:
        return described
    matches = _by_texts(text) or described or mac_with(text) or _by_class(text, lead)
    if not matches:
        raise _of_its_chip(text, lead or _near(text) or unknown(typed_whole))
    return matches


def _rented_or_product(text: str) -> Described | None:
    return rented(text) or _guest_on(text) or product_named(text)


def _guest_on(text: str) -> Described | None:
    """The virtual machine that a profile or a cloud's type is, on the host whose processor follows,
    `github actions epyc 7763`; without that host where it is not listed, or has another
    architecture. None for any other text.
    """
    words = text.split()
    for cut in range(len(words) - 1, 0, -1):
        host, name = " ".join(words[cut:]), " ".join(words[:cut])
        series, around = cpus.processor_of(host), cpus.class_of(host)
        # whoever tells the RAM, or a laptop's processor, means the machine itself and its system
        if around is None or tells_ram(host) or (series or around).kind != "server":
            continue
        guest = _rented_or_hosted(name)
        if guest is None:
            continue
        # the parts of a guest are sure: whatever its host is, it is no whole server
        why = _why_no_host(guest, host)
        if why:
            note = f'"{text}" is judged as {guest.name}: {why}.'
            return Described(machine=guest, title=guest.name or name, note=note)
        title = f"{guest.name} on {host}"
        machine = guest.replace(
            cpu_model=host, name=title, sources={**guest.sources, "cpu_model": f'"{text}"'}
        )
        return Described(machine=machine, title=title, note=f'"{text}" is judged as {title}.')
    return None


def _why_no_host(guest: Machine, host: str) -> str:
    """Why the guest does not run on that host; empty where it may."""
    series, around = cpus.processor_of(host), cpus.class_of(host)
    if series is None or around is None:
        return f'no processor is listed as "{host}"'
    if guest.architecture != (series.architecture or around.architecture):
        return f"its processors are {guest.architecture}, and {host} is not"
    own = guest.cpu_model or ""
    makers = cpus.maker_of(own), cpus.maker_of(host)
    if guest.assumes("cpu_model") or None in makers or makers[0] == makers[1]:
        return ""
    return f"it is rented on {own}, and {host} is by {makers[1]}"


def _rented_or_hosted(name: str) -> Machine | None:
    """The virtual machine of a cloud or of a pipeline that goes by that name."""
    try:
        profile = _as_typed(name).profile
    except UnknownMachineError:
        return None
    is_guest = profile.kind in ("cloud", "ci") and profile.machine.scope == "vm"
    return profile.machine if is_guest else None


def _tells_kind_of_ram(ram: StatedRam) -> bool:
    return bool(ram.mts or ram.channels)


def _by_class(text: str, lead: UnknownMachineError | None) -> Described | None:
    """The machine of a kind of processor and a size of RAM, or of that kind and nothing else; None
    for a Mac, for a text with a GPU, and for one that a question is to be asked of.
    """
    if lead is not None or is_a_mac(text) or names_a_card(text):
        return None
    if not (tells_ram(text) or names_nothing_but_a_class(text)):
        return None
    return _with_processor(text, class_is_enough=True)


def _with_processor(text: str, *, class_is_enough: bool) -> Described | None:
    """As `machine_with`. Raises `UnknownMachineError` where the text tells a GPU and not which."""
    described = machine_with(text, class_is_enough=class_is_enough)
    if described is not None and (question := of_unnamed_gpu(text, is_processor_named=True)):
        raise question
    return described


def _as_profile(described: Described) -> NamedProfile:
    """What was described by a part of it, as if somebody had sold it."""
    machine = described.machine
    profile = Profile(
        name=machine.name or described.title,
        title=described.title,
        kind=_kind_of(machine),
        source=described.note,
        note=described.note,
        machine=machine,
    )
    return NamedProfile(profile=profile, note=described.note)


def _kind_of(machine: Machine) -> str:
    if machine.scope != "host":
        return "cloud"
    return "mac" if machine.system == "macos" else "desktop"


def _of_its_chip(text: str, error: UnknownMachineError) -> UnknownMachineError:
    """The error; of a Mac it names none with another chip, nor how to name other processors."""
    if not is_a_mac(text):
        return error
    macs = several_chips(text)
    if macs:
        return _several_macs(text, macs)
    never_sold = size_never_sold(text)
    if never_sold is not None:
        return NotOneMachineError(never_sold[0], remedy=never_sold[1])
    near = [name for name in error.nearest if has_its_chip(name, text)]
    remedy = f"did you mean {', '.join(near)}? Else {REMEDY}" if near else REMEDY
    return UnknownMachineError(str(error), nearest=near, remedy=remedy)


def _several_macs(text: str, macs: Sequence[str]) -> NotOneMachineError:
    remedy = f"name one: {option('machine', *macs)}"
    return NotOneMachineError(f"{text!r} can be {len(macs)} Macs", nearest=macs, remedy=remedy)


def _cards(text: str, *, listed_only: bool = True) -> NamedCards | None:
    """The GPUs that the text names; None where it names none, or one that is part of a machine.
    Not `listed_only`: those that its maker's name tells the class of, too.

    `laptop rtx 4060` is a laptop; `rtx 4060 laptop` is the GPU of one.
    """
    first, *_ = canonical(text).split("-")
    if first in KINDS or text.strip().lower() == "none" or is_a_line_alone(text):
        return None
    try:
        return cards_named(text, listed_only=listed_only, explains=False)
    except TooManyGpusError as error:
        raise NotOneMachineError(str(error), remedy=error.remedy) from None
    except (PartOfMachineError, UnknownGpuError):
        return None


def _by_names(text: str) -> list[Profile]:
    """Every profile that has all words of the text in its name; of several those whose every word
    was typed, but for the memory.
    """
    words = _typed_words(text)
    pieces = {piece for word in words for piece in word}
    matches = [name for name in names() if words and _has_all(words, [name], _variants())]
    whole = [name for name in matches if set(_pieces(_without_sizes(name))) <= pieces]
    return _unless_another([load(name) for name in whole or matches], pieces)


def _by_kind_and_name(text: str) -> list[Profile]:
    """The profiles by their names where the other words tell what kind of machine they are:
    `n100 mini pc 16gb`.
    """
    kind_words = {word for kind in KINDS for word in kind.split("-")}
    words = text.lower().split()
    said = kind_words.intersection(words)
    rest = " ".join(word for word in words if word not in said)
    if not said or not rest:
        return []
    return [each for each in _by_names(rest) if said <= set(each.kind.split("-"))]


def _unless_another(matches: list[Profile], pieces: set[str]) -> list[Profile]:
    """The profiles; none where all are one machine, of whose name a word was left out that tells
    it from another: a Jetson NX need be no Orin.
    """
    for profile in matches:
        own = set(_pieces(profile.name))
        if own.isdisjoint(pieces) or needed_words() & own <= pieces:
            return matches
    return matches if len({_without_sizes(profile.name) for profile in matches}) > 1 else []


def _by_texts(text: str) -> list[Profile]:
    """Every profile that has all words of the text: in its title, processor or accelerators too."""
    words = _typed_words(text)
    if not words or len(text.strip()) < _LEAST_LETTERS:
        return []
    pieces = {piece for word in words for piece in word}
    matches = [profile for profile in _profiles() if _has_all(words, _texts(profile), _variants())]
    return _unless_another(matches, pieces)


def _near(text: str) -> UnknownMachineError | None:
    """Names that have the words, though they mean another chip there; None where none has."""
    words = _typed_words(text)
    near = [name for name in names() if words and _has_all(words, [name], frozenset())]
    if not near:
        return None
    return UnknownMachineError(
        f"no machine is called {text!r}",
        nearest=near[:_CANDIDATES],
        remedy=f"did you mean {', '.join(near[:_CANDIDATES])}?",
    )


@lru_cache(1)
def _variants() -> frozenset[str]:
    """Words that follow a chip's name and make it another chip: `pro`, `max`, `ti`."""
    return gpus.variants() | {variant for _, variant in apple_chips()}


@lru_cache(1)
def _profiles() -> tuple[Profile, ...]:
    return all_profiles()


def _texts(profile: Profile) -> list[str]:
    machine = profile.machine
    cards = [card.name for card in machine.accelerators or ()]
    return [profile.name, profile.title, machine.cpu_model or "", *cards]


# one word that was typed, in the pieces that `canonical` makes of it: m2 -> (m, 2)
_Pieces = tuple[str, ...]


def _typed_words(text: str) -> list[_Pieces]:
    return [pieces for word in _whole_sizes(text).split() if (pieces := tuple(_pieces(word)))]


@lru_cache(maxsize=4096)
def _pieces(text: str) -> Sequence[str]:
    """The pieces of a text in order; a size such as `16gb` is one of them."""
    return re.sub(r"\b(\d+)-(gb|tb)\b", r"\1\2", canonical(_whole_sizes(text))).split("-")


def _whole_sizes(text: str) -> str:
    """`16 GiB` and `16 GB` as `16gb`; names of GPUs as their drivers write them."""
    plain = re.sub(r"(\d+)\s*(g|t)i?b\b", r"\1\2b", text.lower(), flags=re.ASCII)
    return written_out(spelled(plain))


def _has_all(words: Sequence[_Pieces], texts: Iterable[str], variants: frozenset[str]) -> bool:
    """Whether each word stands in one of the texts, and means the same there: `m2` is not in
    `M2 Pro`, unless `pro` was typed after it.
    """
    pieces_of_texts = [_pieces(text) for text in texts]
    after = [*words[1:], ()]
    return all(
        any(_has(pieces, word, following, variants) for pieces in pieces_of_texts)
        for word, following in zip(words, after, strict=True)
    )


def _has(
    pieces: Sequence[str], word: _Pieces, following: _Pieces, variants: frozenset[str]
) -> bool:
    """Whether the word stands in the pieces without a variant behind it that was not typed."""
    for start in range(len(pieces) - len(word) + 1):
        end = start + len(word)
        if tuple(pieces[start:end]) == word:
            variant = variants.intersection(pieces[end : end + 1])
            if not word[-1].isdecimal() or variant <= set(following[:1]):
                return True
    return False


def _without_sizes(name: str) -> str:
    return "-".join(piece for piece in _pieces(name) if not re.fullmatch(r"\d+[gt]b", piece))


def _with(machine: Machine, note: str) -> str:
    return f"{machine.sources.get('memory_total_bytes', machine.name)} ({note})"


def _several(text: str, candidates: Sequence[str]) -> NotOneMachineError:
    shown = sorted(candidates)[:_CANDIDATES]
    more = len(candidates) - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more else "")
    return NotOneMachineError(
        f"{text!r} can be {len(candidates)} machines", nearest=shown, remedy=f"name one: {listed}"
    )


# ------------------------------------------------------------------ a machine around GPUs


def _around(text: str, cards: NamedCards | None) -> Described | None:
    """A machine with the GPUs that the text names; None where it names none."""
    if cards is None:
        return None
    profile = _profile_with(cards)
    shares_ram = all(each.unified for each in cards.accelerators)
    # beside a GPU without memory of its own a size is that of the RAM
    stated_gib = memory_gib(typed(text), is_server=False) if shares_ram else None
    ram = ram_words(stated_gib or cards.usual_ram_gib)
    what = (
        f"a machine with it and {ram}{', assumed' if stated_gib is None else ''}"
        if profile is None
        else f"{profile.name}, which has it"
    )
    card = text.strip()
    note = f'"{card}" is a GPU: judged as {what}.' + differently(
        f" --gpu '{card}' puts it into this machine.", ""
    )
    return Described(
        machine=_assumed_around(cards, stated_gib) if profile is None else profile.machine,
        title=f"a machine with {cards.label}" if profile is None else profile.title,
        note=" ".join([note, *cards.notes]),
    )


def _profile_with(cards: NamedCards) -> Profile | None:
    """The desktop that has just these GPUs, the one with the least memory, else the server."""
    wanted = [(card.name, card.memory_total_bytes) for card in cards.accelerators]
    for profile in _profiles():
        own = [(card.name, card.memory_total_bytes) for card in profile.machine.accelerators or ()]
        if wanted and profile.kind in ("desktop", "server") and own == wanted:
            return profile
    return None


def _assumed_around(cards: NamedCards, stated_gib: float | None) -> Machine:
    """A Linux machine around the GPUs, of which at most the RAM is known."""
    memory_bytes = round((stated_gib or cards.usual_ram_gib) * units.GIB)
    ram = dict.fromkeys(("memory_total_bytes", "memory_limit_bytes"), memory_bytes)
    assumed: dict[str, Any] = {"system": "linux", "architecture": "x86_64"}
    assumed |= ram if stated_gib is None else {}
    why = "assumed, as most machines with such GPUs have it: the GPU's name does not tell it"
    machine = Machine(
        **(assumed | ram),
        name=f"a machine with {cards.label}",
        scope="host",
        accelerators=cards.accelerators,
        confidence="low",
        assumed=(*assumed, "memory_bandwidth_bytes_per_second"),
        sources={
            **dict.fromkeys(ram, "the size that was typed"),
            **dict.fromkeys(assumed, why),
            "accelerators": "; ".join([cards.source, *cards.notes]),
        },
    )
    return planned(machine)
