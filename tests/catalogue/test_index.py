"""Which specs exist, from which folder, and whether the index may be trusted."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfhost import __version__
from selfhost.catalogue.index import INDEX_FILE, Catalogue, _Folder, compile_index
from selfhost.catalogue.names import resolve
from selfhost.core.errors import SpecError, UnknownModelError, WorkloadError
from selfhost.core.parts import shipped_folder

RUNTIME = """schema = 1
id = "llama.cpp"
name = "llama.cpp"
formats = ["gguf"]
systems = ["linux-x86_64"]
modalities = ["text"]
store = "llama.cpp"
"""


def spec(spec_id: str, *lines: str, memory: str = "4_000_000_000") -> str:
    """The least a spec may state; `lines` go between the header and [needs]."""
    head = [
        "schema = 1",
        f'id = "{spec_id}"',
        f'name = "{spec_id.title()}"',
        "released = 2026-01-31",
        *lines,
    ]
    return "\n".join(
        [
            *head,
            "[needs]",
            f"memory_bytes = {memory}",
            "disk_bytes = 1_000_000_000",
            'source = "measured"',
            "",
        ]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shipped folder of two models, one family and one runtime, without an index."""
    shipped = tmp_path / "shipped"
    (shipped / "common").mkdir(parents=True)
    (shipped / "runtimes").mkdir()
    (shipped / "alpha-7b.toml").write_text(
        spec("alpha-7b", 'aliases = ["alpha"]', 'repository = "Maker/Alpha-7B"')
    )
    (shipped / "beta-1.5b.toml").write_text(spec("beta-1.5b"))
    (shipped / "common" / "families.toml").write_text(
        'as_of = 2026-01-31\n[family.greek]\nmodel = "alpha-7b"\n'
    )
    (shipped / "common" / "alike.toml").write_text("schema = 1\n\n[alike]\n")
    (shipped / "common" / "things.toml").write_text(
        '[thing.tool]\nkind = "tool"\nanswer = "it counts"\ntry_instead = ["alpha-7b"]\n'
    )
    (shipped / "runtimes" / "llama.cpp.toml").write_text(RUNTIME)
    return shipped


def build_index(folder: Path) -> None:
    (folder / INDEX_FILE).write_bytes(compile_index(str(folder)))


def open_folder(folder: Path, *extra: Path) -> Catalogue:
    return Catalogue.open(extra, shipped=str(folder))


def needs_of(catalogue: Catalogue, spec_id: str) -> int:
    needs = catalogue.spec(spec_id).needs
    assert needs is not None
    assert needs.high_bytes is not None
    return needs.high_bytes


def test_the_index_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third shipped model, every runtime and common file reads the same with and without the index; with it, no TOML is parsed."""
    folder = tmp_path / "specs"
    shutil.copytree(shipped_folder(), folder)
    for number, path in enumerate(sorted(folder.glob("*.toml"))):
        if number % 3:
            path.unlink()
    plain = open_folder(folder)
    specs, runtimes = list(plain.specs()), [plain.runtime(name) for name in plain.runtime_ids()]
    assert [spec.id for spec in specs] == list(plain.ids())
    spellings, names = plain.spellings(), plain.names()
    common = [plain.common(name) for name in ("architectures", "families", "things")]
    build_index(folder)
    monkeypatch.setattr("selfhost.core.tomlfile.Document.parse", None)
    indexed = open_folder(folder)
    assert not indexed.refresh()
    assert indexed.ids() == plain.ids()
    assert (indexed.names(), indexed.spellings()) == (names, spellings)
    assert list(indexed.specs()) == specs
    assert [indexed.runtime(name) for name in indexed.runtime_ids()] == runtimes
    assert [indexed.common(name) for name in ("architectures", "families", "things")] == common


def test_the_same_files_make_the_same_index(folder: Path) -> None:
    """Two builds of one source are alike, byte for byte."""
    assert compile_index(str(folder)) == compile_index(str(folder))


def _installed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with its index, as an installer leaves it."""
    package = tmp_path / "site" / "selfhost"
    folder = shutil.copytree(folder, package / "specs")
    build_index(folder)
    for module in ("selfhost.catalogue.index", "selfhost.core.installed"):
        monkeypatch.setattr(f"{module}.PACKAGE_FOLDER", str(package))
    record = package.parent / f"selfhost_check-{__version__}.dist-info" / "RECORD"
    record.parent.mkdir()
    # a file system counts time in steps
    time.sleep(0.02)
    record.write_text("")
    time.sleep(0.02)
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="a file's last change is not told there")
def test_installed_specs_are_not_compared_until_one_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown name asks when the files changed last, and opens none of a thousand."""
    folder = _installed(folder, tmp_path, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("selfhost.catalogue.index._Folder._content", None)
        assert not open_folder(folder).refresh()
    path = folder / "alpha-7b.toml"
    path.write_text(path.read_text().replace("4_000_000_000", "5_000_000_000"))
    assert open_folder(folder).refresh()


@pytest.mark.parametrize("folder_of_more", ["", "common"])
def test_a_file_more_in_an_installed_folder_counts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_of_more: str
) -> None:
    """The index tells what an installed folder holds until a file comes or goes there."""
    folder = _installed(folder, tmp_path, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("selfhost.catalogue.index.os.listdir", None)
        ids = set(open_folder(folder).ids()) if sys.platform != "win32" else {"alpha-7b"}
    assert "alpha-7b" in ids
    more = folder / folder_of_more / "gamma-7b.toml"
    more.parent.mkdir(exist_ok=True)
    more.write_text((folder / "alpha-7b.toml").read_text().replace("alpha-7b", "gamma-7b"))
    assert ("gamma-7b" in open_folder(folder)) is (not folder_of_more)
    assert f"{folder_of_more}/gamma-7b.toml".lstrip("/") in open_folder(folder).shipped_files()


@pytest.mark.parametrize("new", ["5_000_000_000", "5_000_000_000_000"])
def test_an_edited_spec_is_read_anew(folder: Path, new: str) -> None:
    """The facts are those of the TOML file, even when an edit left its size unchanged."""
    build_index(folder)
    path = folder / "alpha-7b.toml"
    path.write_text(path.read_text().replace("4_000_000_000", new))
    assert needs_of(open_folder(folder), "alpha-7b") == int(new)


def test_an_edited_alias_is_found(folder: Path) -> None:
    """Names follow the files: a new alias resolves, a removed one does not."""
    path = folder / "alpha-7b.toml"
    path.write_text(spec("alpha-7b", 'aliases = ["psi"]'))
    build_index(folder)
    assert resolve("psi", open_folder(folder)).spec_id == "alpha-7b"
    path.write_text(spec("alpha-7b", 'aliases = ["omega"]'))
    assert resolve("omega", open_folder(folder)).spec_id == "alpha-7b"
    with pytest.raises(UnknownModelError):
        resolve("psi", open_folder(folder))


@pytest.mark.parametrize(
    "table",
    [
        "[sources]\nupkeep = [\n'one',\n'two',\n]\n",
        "  [parameters]\n  total = 7\n",
        "[ sources ] # where from\nupkeep = 'one'\n",
        '[description]\nlong = """\n[parameters]\n"""\n',
    ],
)
def test_a_name_is_known_however_the_file_is_laid_out(folder: Path, table: str) -> None:
    """Lists over lines, indented tables, comments behind a table and long texts hide no name."""
    content = spec("alpha-7b", 'aliases = ["omega"]')
    (folder / "alpha-7b.toml").write_text(content + table)
    assert resolve("omega", open_folder(folder)).spec_id == "alpha-7b"


def test_added_and_removed_specs_count(folder: Path) -> None:
    """A file put beside an index is a model, one taken away is none."""
    build_index(folder)
    (folder / "gamma-3b.toml").write_text(spec("gamma-3b"))
    (folder / "beta-1.5b.toml").unlink()
    catalogue = open_folder(folder)
    assert catalogue.ids() == ("alpha-7b", "gamma-3b")
    assert resolve("Gamma 3B", catalogue).spec_id == "gamma-3b"
    assert needs_of(catalogue, "gamma-3b") == 4_000_000_000
    with pytest.raises(UnknownModelError):
        resolve("beta-1.5b", catalogue)


def test_an_edited_common_file_is_read_anew(folder: Path) -> None:
    """Families follow their file, not the index."""
    build_index(folder)
    (folder / "common" / "families.toml").write_text(
        'as_of = 2026-01-31\n[family.greek]\nmodel = "beta-1.5b"\n'
    )
    assert resolve("greek", open_folder(folder)).spec_id == "beta-1.5b"


def test_dates_are_text_with_and_without_an_index(folder: Path) -> None:
    """A common file's dates are `YYYY-MM-DD` whichever way it was read."""
    assert open_folder(folder).common("families")["as_of"] == "2026-01-31"
    build_index(folder)
    assert open_folder(folder).common("families")["as_of"] == "2026-01-31"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_a_damaged_index_never_gives_a_wrong_answer(folder: Path, data: st.DataObject) -> None:
    """An index cut short, emptied or changed in one byte is left aside; the answers stay those of the TOML files."""
    content = bytearray(compile_index(str(folder)))
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    (folder / INDEX_FILE).write_bytes(content)
    catalogue = open_folder(folder)
    assert catalogue.ids() == ("alpha-7b", "beta-1.5b")
    assert needs_of(catalogue, resolve("alpha", catalogue).spec_id) == 4_000_000_000
    assert catalogue.spec("beta-1.5b").name == "Beta-1.5B"
    assert catalogue.runtime("llama.cpp").formats == ("gguf",)
    assert set(catalogue.spellings()) == {"alpha", "alpha-7b", "beta-1.5b"}


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("id = [\n", None),
        (spec("broken").replace("memory_bytes", "memory_byte"), 6),
        ("", None),
        ("\0\0\0", None),
    ],
)
def test_a_broken_shipped_spec_spoils_no_other(
    folder: Path, content: str, line: int | None, indexed: bool
) -> None:
    """The others are listed, resolved and read; the broken one tells its faults, with its line, when it is asked for by its file's name."""
    (folder / "broken.toml").write_text(content)
    if indexed:
        build_index(folder)
    catalogue = open_folder(folder)
    assert resolve("alpha", catalogue).spec_id == "alpha-7b"
    assert [known.id for known in catalogue.specs()] == ["alpha-7b", "beta-1.5b"]
    assert resolve("broken", catalogue).spec_id == "broken"
    with pytest.raises(SpecError) as caught:
        catalogue.spec("broken")
    assert all(problem.file == str(folder / "broken.toml") for problem in caught.value.problems)
    if line is not None:
        assert line in [problem.line for problem in caught.value.problems]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_spec_is_named_after_its_id(folder: Path, indexed: bool) -> None:
    """A file whose id is another's is refused, with the line of the id: it would answer for a model that it is not."""
    (folder / "gamma-3b.toml").write_text(spec("alpha-7b"))
    if indexed:
        build_index(folder)
    catalogue = open_folder(folder)
    with pytest.raises(SpecError) as caught:
        catalogue.spec("gamma-3b")
    assert [(problem.key, problem.line) for problem in caught.value.problems] == [("id", 2)]
    assert catalogue.spec("alpha-7b").repository == "Maker/Alpha-7B"


def test_a_users_spec_overrides_and_says_so(folder: Path, tmp_path: Path) -> None:
    """A user's id replaces the shipped one, the verdict can say which file; the shipped aliases then mean the user's model."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "alpha-7b.toml").write_text(spec("alpha-7b", memory="1_000_000_000"))
    (mine / "own-2b.toml").write_text(spec("own-2b", 'aliases = ["own"]'))
    (mine / "notes.txt").write_text("no spec")
    build_index(folder)
    catalogue = open_folder(folder, mine)
    assert catalogue.spec("alpha-7b").overrides == str(folder / "alpha-7b.toml")
    assert catalogue.spec("alpha-7b").origin == str(mine / "alpha-7b.toml")
    assert needs_of(catalogue, resolve("alpha", catalogue).spec_id) == 1_000_000_000
    assert catalogue.spec(resolve("own", catalogue).spec_id).overrides is None
    assert catalogue.ids() == ("alpha-7b", "beta-1.5b", "own-2b")
    assert "own" in catalogue.spellings()


def test_the_last_folder_wins(folder: Path, tmp_path: Path) -> None:
    """Of two user folders with the same id the later one counts, as with repeated options elsewhere."""
    for name, memory in (("first", "1_000_000_000"), ("second", "2_000_000_000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own-2b.toml").write_text(spec("own-2b", memory=memory))
    catalogue = open_folder(folder, tmp_path / "first", tmp_path / "second")
    assert needs_of(catalogue, "own-2b") == 2_000_000_000
    assert catalogue.spec("own-2b").overrides == str(tmp_path / "first" / "own-2b.toml")


def test_a_users_alias_beats_a_shipped_one_but_no_id(folder: Path, tmp_path: Path) -> None:
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
    (folder / "beta-1.5b.toml").write_text(spec("beta-1.5b", 'aliases = ["Alpha"]'))
    with pytest.raises(UnknownModelError) as caught:
        resolve("alpha", open_folder(folder))
    assert caught.value.nearest == ("alpha-7b", "beta-1.5b")


def test_every_fault_of_a_users_folders_is_told(folder: Path, tmp_path: Path) -> None:
    """A user's broken specs spoil no other, as a broken shipped one does not; all of their faults are there to be told."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bad.toml").write_text("schema = 1\n")
    (tmp_path / "one" / "worse.toml").write_text("[\n")
    catalogue = open_folder(folder, tmp_path / "one", tmp_path / "two")
    files = {problem.file for problem in catalogue.own_faults}
    assert files == {
        str(tmp_path / "one" / "bad.toml"),
        str(tmp_path / "one" / "worse.toml"),
        str(tmp_path / "two" / "bad.toml"),
    }
    assert [known.id for known in catalogue.specs()] == ["alpha-7b", "beta-1.5b"]
    with pytest.raises(SpecError):
        catalogue.spec("bad")


def test_of_many_wrong_files_a_few_are_named_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    """Each unknown name says which specs were left aside; of a hundred it names a few and counts the rest."""
    (tmp_path / "mine").mkdir()
    for number in range(100):
        (tmp_path / "mine" / f"bad-{number}.toml").write_text("schema = 1\n")
    with pytest.raises(UnknownModelError, match="and 95 more") as caught:
        resolve("gamma", open_folder(folder, tmp_path / "mine"))
    assert caught.value.message.count(".toml") == 5


def test_thousands_of_unknown_names_compare_the_index_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not known may be in a spec that changed since the index was made: the files are read again for the first alone."""
    build_index(folder)
    catalogue = open_folder(folder)
    read: list[str] = []
    content = _Folder._content

    def counted(own: _Folder, relative: str) -> bytes:
        read.append(relative)
        return content(own, relative)

    monkeypatch.setattr(_Folder, "_content", counted)
    for number in range(50):
        with pytest.raises(UnknownModelError):
            resolve(f"gamma-{number}", catalogue)
        if not number:
            assert set(read) >= {"alpha-7b.toml", "beta-1.5b.toml"}
            read.clear()
    assert not read


def test_a_broken_spec_of_the_users_does_not_give_way_to_the_shipped_one(
    folder: Path, tmp_path: Path
) -> None:
    """Whoever overrides a model asks for his own figures: a fault in them is an error, by the id and by an alias it states."""
    (tmp_path / "alpha-7b.toml").write_text('schema = 1\nid = "alpha-7b"\naliases = ["mine"]\n')
    catalogue = open_folder(folder, tmp_path)
    for typed in ("alpha-7b", "mine"):
        with pytest.raises(SpecError):
            catalogue.spec(resolve(typed, catalogue).spec_id)
    assert catalogue.spec("beta-1.5b").id == "beta-1.5b"
    with pytest.raises(
        UnknownModelError, match=r"of yours with faults was ignored: .*alpha-7b\.toml"
    ):
        resolve("gamma", catalogue)


@pytest.mark.parametrize("path", ["missing", "shipped/alpha-7b.toml", "dead", "nul\0l"])
def test_a_folder_that_is_none_is_an_error(folder: Path, tmp_path: Path, path: str) -> None:
    """A missing folder, a file, a dead link and an impossible path each get an error with a remedy, never an empty catalogue."""
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SpecError) as caught:
        open_folder(folder, tmp_path / path)
    assert [problem.remedy is not None for problem in caught.value.problems] == [True]


def test_what_is_no_regular_file_is_left_alone(folder: Path, tmp_path: Path) -> None:
    """A folder, an editor's hidden copy and a pipe that ends in .toml are no specs, and none of them blocks."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "folder.toml").mkdir()
    (tmp_path / "mine" / ".#own.toml").write_text("half written")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "mine" / "pipe.toml")
    assert open_folder(folder, tmp_path / "mine").ids() == ("alpha-7b", "beta-1.5b")


def test_a_huge_file_is_refused_in_bounded_memory(folder: Path, tmp_path: Path) -> None:
    """A file of a gibibyte that is called a spec is read no further than the limit."""
    (tmp_path / "mine").mkdir()
    with open(tmp_path / "mine" / "huge.toml", "wb") as file:
        file.truncate(1 << 30)
    (fault,) = open_folder(folder, tmp_path / "mine").own_faults
    assert "larger than" in fault.message


def test_unknown_ids_and_runtimes_are_errors_with_a_remedy(folder: Path) -> None:
    """What does not exist is named as such, with what does."""
    catalogue = open_folder(folder)
    with pytest.raises(UnknownModelError):
        catalogue.spec("alpha")
    with pytest.raises(WorkloadError, match=r"llama\.cpp"):
        catalogue.runtime("../runtimes/llama.cpp")
    with pytest.raises(SpecError, match="offers"):
        catalogue.common("offers")


def test_the_shipped_folder_of_a_checkout_is_found() -> None:
    """Whatever the working directory, the specs beside the package are the ones in use, prices included."""
    catalogue = Catalogue.open()
    assert "mistral-7b-instruct-v0.3" in catalogue.ids()
    assert os.path.isfile(catalogue.offers_path)
    assert "llama.cpp" in catalogue.runtime_ids()
