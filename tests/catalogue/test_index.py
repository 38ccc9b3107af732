"""Which specs exist, and from which folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import packed_specs
from helpers.paths import SPEC_FILES, all_models_but
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.searching import resolve
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.answering import answering_folder
from selfhost.core.errors import SpecError, UnknownModelError

RUNTIME = """schema = 1
id = "llama.cpp"
name = "llama.cpp"
formats = ["gguf"]
modalities = ["text"]
store = "llama.cpp"

[platforms]
systems = ["linux-x86_64"]
"""


def spec(spec_id: str, *lines: str, memory: str = "4_000_000_000") -> str:
    """The least a spec may state; `lines` go between the header and [needs]."""
    head = f'schema = 1\nid = "{spec_id}"\nname = "{spec_id.title()}"\nreleased = 2026-01-31\n'
    needs = f'[needs]\nmemory_bytes = {memory}\ndisk_bytes = 1_000_000_000\nsource = "measured"\n'
    return head + "\n".join([*lines, needs])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shipped folder of two models, one family and one runtime, without an index."""
    shipped = tmp_path / "shipped"
    for name in ("common", "models/maker", "runtimes", "machines"):
        (shipped / name).mkdir(parents=True)
    (shipped / "common" / "offers.jsonl").write_text(
        '{"as_of": "2026-01-31", "sources": {}}\n'
    )
    (shipped / "common" / "scores.jsonl").write_text('{"schema": 1}\n')
    (shipped / "models/maker/alpha-7b.toml").write_text(
        spec("alpha-7b", 'aliases = ["alpha"]', 'repository = "Maker/Alpha-7B"')
    )
    (shipped / "models/maker/beta-1.5b.toml").write_text(spec("beta-1.5b"))
    (shipped / "common" / "families.toml").write_text(
        'as_of = 2026-01-31\n[family.greek]\nmodel = "alpha-7b"\n'
    )
    (shipped / "common" / "programs.toml").write_text("[default]\n[program]\n")
    (shipped / "common" / "format.toml").write_text(
        'format = 1\nas_of = "2026-01-31"\n'
    )
    (shipped / "common" / "alike.toml").write_text("schema = 1\n\n[alike]\n")
    (shipped / "common" / "things.toml").write_text(
        '[thing.tool]\nkind = "tool"\nanswer = "it counts"\ntry_instead = ["alpha-7b"]\n'
    )
    (shipped / "runtimes" / "llama.cpp.toml").write_text(RUNTIME)
    return shipped


def packed(folder: Path) -> Path:
    """The folder as an installed package has it."""
    target = folder.with_name("packed")
    packed_specs.pack(str(folder), str(target))
    return target


def open_folder(folder: Path, *extra: Path) -> Catalogue:
    """The catalogue of a shipped folder and of a user's own."""
    return Catalogue.open(extra, shipped=str(folder))


def needs_of(catalogue: Catalogue, spec_id: str) -> int:
    """The memory that a spec states."""
    needs = catalogue.spec(spec_id).needs
    assert needs is not None
    assert needs.high_bytes is not None
    return needs.high_bytes


def test_a_package_answers_as_its_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sixth shipped model, every runtime and common file reads the same from a package, where
    no TOML is parsed; only the file that is named differs.
    """
    folder = tmp_path / "specs"
    taken = {*list(SPEC_FILES)[::6]}
    shutil.copytree(answering_folder(), folder, ignore=all_models_but(taken))
    checkout = contents_of(open_folder(folder))
    assert [spec.id for spec in checkout.specs] == list(checkout.ids)
    package = open_folder(packed(folder))
    monkeypatch.setattr("selfhost.core.tables.Document.read", None)
    assert contents_of(package) == checkout


NAME_KINDS = ("aliases", "whole", "makers")


class Contents(NamedTuple):
    """What a catalogue answers; the specs without the files that they are from."""

    ids: Sequence[str]
    specs: list[ModelSpec]
    runtimes: list[RuntimeSpec]
    common: list[object]
    names: list[object]
    spellings: object
    outlines: object


def contents_of(catalogue: Catalogue) -> Contents:
    """Everything that is asked of a catalogue."""
    tables = (
        ("architectures", "architecture"),
        ("families", "family"),
        ("things", "thing"),
    )
    return Contents(
        ids=catalogue.ids(),
        specs=[spec.replace(origin="") for spec in catalogue.specs()],
        runtimes=[catalogue.runtime(id) for id in catalogue.runtime_ids()],
        common=[catalogue.section(file, table) for file, table in tables],
        names=[catalogue._shipped.names(kind) for kind in NAME_KINDS],
        spellings=catalogue.spellings(),
        outlines=catalogue.outlines,
    )


def test_a_damaged_package_is_an_error(folder: Path) -> None:
    """What was cut short is told with its file and what to do."""
    package = packed(folder)
    for path in package.glob("*.json"):
        path.write_bytes(b"")
    with pytest.raises(SpecError, match="install selfhost-check again"):
        open_folder(package)


NO_KEY = spec("broken").replace("memory_bytes", "memory_byte")
NO_NAME = "schema = 1\nrepository = 7\nfiles = [{}]\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param("id = [\n", None, id="no TOML"),
        pytest.param(NO_KEY, 6, id="a misspelt key"),
        pytest.param(NO_NAME, 2, id="no name"),
        pytest.param("", None, id="an empty file"),
        pytest.param("\0\0\0", None, id="null bytes"),
    ],
)
def test_a_broken_shipped_spec_spoils_no_other(
    folder: Path, content: str, line: int | None
) -> None:
    """The others are listed, resolved and read; the broken one tells its faults, with its line,
    when it is asked for by its file's name.
    """
    (folder / "models/maker/broken.toml").write_text(content)
    catalogue = open_folder(folder)
    assert resolve("alpha", catalogue).spec_id == "alpha-7b"
    assert [known.id for known in catalogue.specs()] == ["alpha-7b", "beta-1.5b"]
    assert resolve("broken", catalogue).spec_id == "broken"
    with pytest.raises(SpecError) as caught:
        catalogue.spec("broken")
    path = str(folder / "models/maker/broken.toml")
    assert {problem.file for problem in caught.value.problems} == {path}
    if line is not None:
        assert line in [problem.line for problem in caught.value.problems]


def test_a_spec_is_named_after_its_id(folder: Path) -> None:
    """A file whose id is another's is refused, with the line of the id: it would answer for a model
    that it is not.
    """
    (folder / "models/maker/gamma-3b.toml").write_text(spec("alpha-7b"))
    catalogue = open_folder(folder)
    with pytest.raises(SpecError) as caught:
        catalogue.spec("gamma-3b")
    (problem,) = caught.value.problems
    assert problem.key == "id"
    assert problem.line == 2
    assert catalogue.spec("alpha-7b").repository == "Maker/Alpha-7B"


def test_a_users_spec_overrides_and_says_so(folder: Path, tmp_path: Path) -> None:
    """A user's id replaces the shipped one, the verdict can say which file; the shipped aliases
    then mean the user's model.
    """
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "alpha-7b.toml").write_text(spec("alpha-7b", memory="1_000_000_000"))
    (mine / "own-2b.toml").write_text(spec("own-2b", 'aliases = ["own"]'))
    (mine / "own-2b.sources.toml").write_text('name = "mine"')
    (mine / "notes.txt").write_text("no spec")
    catalogue = open_folder(folder, mine)
    alpha = catalogue.spec("alpha-7b")
    assert alpha.overrides == str(folder / "models/maker/alpha-7b.toml")
    assert alpha.origin == str(mine / "alpha-7b.toml")
    assert needs_of(catalogue, resolve("alpha", catalogue).spec_id) == 1_000_000_000
    assert catalogue.spec(resolve("own", catalogue).spec_id).overrides is None
    assert catalogue.ids() == ("alpha-7b", "beta-1.5b", "own-2b")
    assert catalogue.spec("own-2b").sources == {"name": "mine"}
    assert "own" in catalogue.spellings()


def test_a_users_alias_beats_a_shipped_one_but_no_id(
    folder: Path, tmp_path: Path
) -> None:
    """What a person named is taken first; an id is more exact than any alias."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own-2b.toml").write_text(
        spec("own-2b", 'aliases = ["alpha", "greek", "beta-1.5b"]')
    )
    catalogue = open_folder(folder, tmp_path / "mine")
    assert resolve("alpha", catalogue).spec_id == "own-2b"
    assert resolve("greek", catalogue).spec_id == "own-2b"
    assert resolve("beta-1.5b", catalogue).spec_id == "beta-1.5b"


def test_a_name_of_two_models_is_refused(folder: Path) -> None:
    """An alias that two specs claim is an error that names both, never the first of them."""
    (folder / "models/maker/beta-1.5b.toml").write_text(
        spec("beta-1.5b", 'aliases = ["Alpha"]')
    )
    with pytest.raises(UnknownModelError) as caught:
        resolve("alpha", open_folder(folder))
    assert caught.value.nearest == ("alpha-7b", "beta-1.5b")


def test_every_fault_of_a_users_folders_is_told(folder: Path, tmp_path: Path) -> None:
    """A user's broken specs spoil no other, as a broken shipped one does not; all of their faults
    are there to be told.
    """
    one = tmp_path / "one"
    two = tmp_path / "two"
    contents = {
        one / "bad.toml": "schema = 1\n",
        one / "worse.toml": "[\n",
        two / "bad.toml": "schema = 1\n",
    }
    for path, text in contents.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    catalogue = open_folder(folder, one, two)
    faulty = {problem.file for problem in catalogue.own_faults}
    assert faulty == {str(path) for path in contents}
    assert [known.id for known in catalogue.specs()] == ["alpha-7b", "beta-1.5b"]
    with pytest.raises(SpecError):
        catalogue.spec("bad")


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        pytest.param(1, "b0.toml", id="one"),
        pytest.param(9, "b4.toml and 4 more", id="nine"),
    ],
)
def test_an_unknown_name_counts_every_faulty_file(
    folder: Path, tmp_path: Path, faulty: int, told: str
) -> None:
    """Of nine faulty files five were named, as if there were no others."""
    own = tmp_path / "own"
    own.mkdir()
    for number in range(faulty):
        (own / f"b{number}.toml").write_text("schema = 1\n")
    with pytest.raises(UnknownModelError) as caught:
        resolve("nobody-knows-this", open_folder(folder, own))
    assert caught.value.message.endswith(told)
    assert f"selfhost spec check {own}" in (caught.value.remedy or "")


@pytest.mark.parametrize("path", ["missing", "shipped/alpha-7b.toml", "dead", "nul\0l"])
def test_a_folder_that_is_none_is_an_error(
    folder: Path, tmp_path: Path, path: str
) -> None:
    """A missing folder, a file, a dead link and an impossible path each get an error with a remedy,
    never an empty catalogue.
    """
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SpecError) as caught:
        open_folder(folder, tmp_path / path)
    (problem,) = caught.value.problems
    assert problem.remedy is not None
