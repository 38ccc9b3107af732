"""How a runtime serves from a container or a service: its image, where it listens, and which of its
options bound what grows. `[service]` of a file in `specs/runtimes/`.
"""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Table
from .spec_values import texts

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping


class Service(Record):
    """`image` is the one that the runtime's publisher offers, and `images` those by vendor of an
    accelerator; `vendor` is whose accelerators it takes where none is named, "" where it takes
    none unless told. `program` are the words of the runtime's command that the image starts by
    itself, `model_option` what it wants before the model's name, and `listen` what makes it
    reachable. `starts_nothing`: the image starts no program by itself, so that its arguments begin
    with `program`. `fetch` is the line that downloads `{name}` once it runs, "" where the command
    does.

    `port` and `health`: where it answers 200 once the model can be asked; `port_setting` moves it
    to `{port}`, as an option or as `NAME=value` of the environment. `store`: the folder of its
    downloads. `maps_files`: it maps the weights of its files instead of reading them.
    `mapped_program_bytes`: how much of its overhead are mapped files of the program itself.
    `prompt_cache_bytes`: how much of earlier prompts it keeps in RAM unless told; 0 for none.
    `shared_memory_bytes`: what several accelerators take of `/dev/shm`. `accelerator_host_bytes`:
    what libraries of an accelerator take of the RAM, where the overhead has it not. `environment`
    is set always. `bounds`: what bounds each growth, by its name, with `{mib}`, `{parallel}` or
    `{context_checkpoints}` to fill in; `NAME=value` is an environment variable, all else an option.
    """

    image: str = read_by(Table.string, required=True)
    images: Mapping[str, str] = read_by(texts, default={})
    vendor: str = read_by(Table.string, default="")
    program: str = read_by(Table.string, required=True)
    model_option: str = read_by(Table.string, default="")
    listen: str = read_by(Table.string, default="")
    starts_nothing: bool = read_by(Table.boolean, default=False)
    fetch: str = read_by(Table.string, default="")
    port: int = read_by(Table.integer, minimum=1, required=True)
    port_setting: str = read_by(Table.string, default="")
    health: str = read_by(Table.string, required=True)
    store: str = read_by(Table.string, required=True)
    maps_files: bool = read_by(Table.boolean, default=False)
    mapped_program_bytes: int = read_by(Table.integer, default=0)
    prompt_cache_bytes: int = read_by(Table.integer, default=0)
    shared_memory_bytes: int = read_by(Table.integer, default=0)
    accelerator_host_bytes: int = read_by(Table.integer, default=0)
    environment: Mapping[str, str] = read_by(texts, default={})
    bounds: Mapping[str, str] = read_by(texts, default={})
    source: str = read_by(Table.text, required=True)
