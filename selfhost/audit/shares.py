"""How programs share a model out over machines: arithmetic on sizes, without machines or models."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.records import Record


class Sizes(Record):
    """What a model takes, by how it can be shared out, in bytes.

    `layers` of `layer_bytes` each, weights and cache together, as if all were alike. `device_bytes`
    lie on every device whatever it holds, `program_bytes` in the RAM of every machine.
    `output_bytes` lie on the first machine's devices and `table_bytes` in its RAM.
    """

    layers: int
    layer_bytes: int
    device_bytes: int = 0
    program_bytes: int = 0
    output_bytes: int = 0
    table_bytes: int = 0


class Room(Record):
    """What one machine can give, in bytes. Each of `devices` is memory of its own; `in_ram`: its
    one device is the RAM. `ram_bytes` None: not read.
    """

    name: str
    devices: tuple[int, ...]
    in_ram: bool
    ram_bytes: int | None = None

    @property
    def bytes(self) -> int:
        """Of all its devices."""
        return sum(self.devices)


class Share(Record):
    """What one machine would hold: `held_bytes` of `room_bytes` on its `devices`, and `ram_bytes`
    more in its RAM.
    """

    machine: str
    layers: int
    held_bytes: int
    room_bytes: int
    devices: int
    ram_bytes: int = 0


def whole_layers(sizes: Sizes, rooms: Sequence[Room]) -> tuple[Share, ...] | None:
    """Whole layers on each device, as many as it holds and in proportion to its memory; None where
    they do not all find a place. The first room is the first machine's.
    """
    most = [_layers_held(sizes, room, first=not index) for index, room in enumerate(rooms)]
    if None in most:
        return None
    limits = [limit or 0 for limit in most]
    # a machine that holds no layer helps nobody; without it the others are tried by themselves
    if sum(limits) < sizes.layers or 0 in limits[1:]:
        return None
    counts = _in_proportion(sizes.layers, [room.bytes for room in rooms], limits)
    return tuple(
        _share(sizes, room, count, first=not index)
        for index, (room, count) in enumerate(zip(rooms, counts, strict=True))
    )


def _layers_held(sizes: Sizes, room: Room, *, first: bool) -> int | None:
    """The most layers that a machine holds; None where it does not hold what comes with any."""
    beside = sizes.program_bytes + (sizes.table_bytes if first else 0)
    if not room.in_ram and room.ram_bytes is not None and beside > room.ram_bytes:
        return None
    devices = sorted((size - sizes.device_bytes for size in room.devices), reverse=True)
    if room.in_ram:
        devices[0] -= beside
    if first:
        devices[0] -= sizes.output_bytes
        if devices[0] < 0:
            return None
    return sum(max(0, size) // sizes.layer_bytes for size in devices)


def _share(sizes: Sizes, room: Room, layers: int, *, first: bool) -> Share:
    beside = sizes.program_bytes + (sizes.table_bytes if first else 0)
    least = sizes.device_bytes + sizes.layer_bytes
    used = max(1, sum(size >= least for size in room.devices))
    held = layers * sizes.layer_bytes + used * sizes.device_bytes
    held += sizes.output_bytes if first else 0
    return Share(
        machine=room.name,
        layers=layers,
        held_bytes=held + beside if room.in_ram else held,
        room_bytes=room.bytes,
        devices=len(room.devices),
        ram_bytes=0 if room.in_ram else beside,
    )


def _in_proportion(total: int, weights: Sequence[int], limits: Sequence[int]) -> list[int]:
    """`total` things by largest remainder, none above its limit. The limits add up to enough."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [min(int(share), limit) for share, limit in zip(exact, limits, strict=True)]
    order = sorted(range(len(counts)), key=lambda i: exact[i] - int(exact[i]), reverse=True)
    while (left := total - sum(counts)) > 0:
        open_places = [index for index in order if counts[index] < limits[index]]
        for index in open_places[:left]:
            counts[index] += 1
    return counts


def rounded_layers(sizes: Sizes, rooms: Sequence[Room]) -> tuple[Share, ...] | None:
    """Layers in proportion to memory, rounded by largest remainder, one at least; None where a
    machine does not hold what it is given (exo's rule).
    """
    if len(rooms) > sizes.layers or not all(room.bytes for room in rooms):
        return None
    counts = _in_proportion(
        sizes.layers, [room.bytes for room in rooms], [sizes.layers] * len(rooms)
    )
    for index, count in enumerate(counts):
        if not count:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    shares = tuple(
        _share(sizes, room, count, first=not index)
        for index, (room, count) in enumerate(zip(rooms, counts, strict=True))
    )
    return shares if all(share.held_bytes <= share.room_bytes for share in shares) else None


def equal_stages(sizes: Sizes, rooms: Sequence[Room]) -> tuple[Share, ...] | None:
    """Stages of layers as even as they come, each cut over the devices of its machine; None where
    a device does not hold its part. Sizes are those of one device of a machine.

    The table lies on the first stage and the output on the last; both are counted on each, for
    which machine is which is the program's choice.
    """
    counts = [
        sizes.layers // len(rooms) + (index < sizes.layers % len(rooms))
        for index in range(len(rooms))
    ]
    ends = (
        sizes.table_bytes + sizes.output_bytes
        if len(rooms) == 1
        else max(sizes.table_bytes, sizes.output_bytes)
    )
    shares = []
    for room, count in zip(rooms, counts, strict=True):
        held = count * sizes.layer_bytes + sizes.device_bytes + ends
        short_of_ram = room.ram_bytes is not None and sizes.program_bytes > room.ram_bytes
        if held > min(room.devices) or short_of_ram:
            return None
        shares.append(
            Share(
                machine=room.name,
                layers=count,
                held_bytes=held * len(room.devices),
                room_bytes=room.bytes,
                devices=len(room.devices),
                ram_bytes=sizes.program_bytes,
            )
        )
    return tuple(shares)
