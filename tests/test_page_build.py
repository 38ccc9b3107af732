"""The page for browsers as its files state it, and the script that builds it. What a browser makes
of them is in `tests/integration/test_page.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import build_page
import compile_modules
from helpers.paths import EXAMPLES
from selfhost.cli import main as cli
from selfhost.cli.options import options_of
from selfhost.core.purposes import WORKLOAD_PURPOSES

PAGE = EXAMPLES / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
# elements that have no end
VOID = {"meta", "link", "input", "br", "img"}


class Elements(HTMLParser):
    """The elements of a page in their order, each with its attributes.

    `inline` has the texts of scripts and styles, `in_labels` what stands in a label.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self.in_labels: list[dict[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if "label" in self._open:
            self.in_labels.append(attributes)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style") and data.strip():
            self.inline.append(data)

    def attributes(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


INDEX = Elements((PAGE / "index.html").read_text(encoding="utf-8"))


def policy() -> dict[str, str]:
    """The directives of the page's Content-Security-Policy."""
    (content,) = (
        meta["content"]
        for meta in INDEX.attributes("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    directives = {}
    for directive in content.split(";"):
        name, _, sources = directive.strip().partition(" ")
        directives[name] = sources
    return directives


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    """Python as WebAssembly needs `wasm-unsafe-eval`; nothing needs text that becomes code."""
    directives = policy()
    assert directives.pop("default-src") == "'none'"
    assert directives.pop("script-src") == "'self' 'wasm-unsafe-eval'"
    assert directives.pop("img-src") == "data:"
    assert {directives.pop(name) for name in ("base-uri", "form-action")} == {"'none'"}
    assert set(directives.values()) == {"'self'"}


def test_the_page_has_no_script_or_style_in_it() -> None:
    assert INDEX.inline == []
    for tag, attributes in INDEX.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag


def test_every_field_has_a_label() -> None:
    """One that names it, or one around it."""
    named = {label.get("for") for label in INDEX.attributes("label")}
    for field in INDEX.attributes("input", "select"):
        if field.get("type") == "hidden":
            continue
        assert field.get("id") in named or field in INDEX.in_labels, field


def test_what_the_files_name_is_there() -> None:
    """Files that the page, its scripts and the worker load are copied or written by the build."""
    named = {link["href"] for link in INDEX.attributes("link")}
    named |= {script["src"] for script in INDEX.attributes("script")}
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        named |= set(re.findall(r'from "\./([^"]+)"', text))
        named |= set(
            re.findall(r'(?:fetch\w*|Worker|register|importScripts)\("([^"]+)"', text)
        )
    written = {"packaging.whl", "selfhost.whl", "names.json", build_page.FILE_LIST}
    copied = {f"pyodide/{name}" for name in build_page.PYODIDE_FILES}
    assert named - {"data:,"} <= {*build_page.OWN_FILES, *written, *copied}
    assert {path.name for path in SCRIPTS} <= set(build_page.OWN_FILES)
    assert [name for name in build_page.OWN_FILES if not (PAGE / name).is_file()] == []


def test_the_form_asks_the_question_that_is_prepared() -> None:
    fields = {
        field["name"]: field for field in INDEX.attributes("input") if "value" in field
    }
    (asked,) = (
        field["value"] for field in INDEX.attributes("input") if "checked" in field
    )
    question = (
        asked,
        fields["model"]["value"],
        "--machine",
        fields["machine"]["value"],
    )
    assert question == build_page.FIRST_QUESTION


def test_the_command_line_has_the_options_of_the_program() -> None:
    """Each option that the form writes is one of the commands that it asks."""
    text = (PAGE / "command.js").read_text(encoding="utf-8")
    written = set(re.findall(r'"(--?[a-z-]+)"', text))
    assert len(written) == 16
    of_list = {"--use", "--from"}
    of_check = {"--link", "--split"}
    for command, left_out in (
        ("check", of_list),
        ("list", of_check),
        ("compare", {*of_list, *of_check}),
        ("plan", {*of_list, *of_check, "--machine"}),
    ):
        known = {name for option in options_of(command) for name in option.names}
        assert written - left_out <= known, command


def test_the_purposes_are_those_of_the_program() -> None:
    values = [option["value"] for option in INDEX.attributes("option")]
    # the others are lengths of a context and of a wait, links and splits
    of_machines = {"layers", "tensor", "tb5", "usb4"}
    words = [value for value in values if value and not value[0].isdigit()]
    purposes = [word for word in words if word not in of_machines]
    assert purposes == list(WORKLOAD_PURPOSES)


@pytest.mark.parametrize(
    "typed", build_page.COMPLETED.values(), ids=build_page.COMPLETED
)
def test_the_program_completes_the_names_of_each_list(
    typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["_complete", *typed]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_pyodide_is_pinned_and_the_lock_names_no_registry() -> None:
    pinned = json.loads((PAGE / "package.json").read_text(encoding="utf-8"))
    version = pinned["dependencies"]["pyodide"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    text = (PAGE / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)
    assert lock["packages"]["node_modules/pyodide"]["version"] == version
    assert "resolved" not in text
    assert "://" not in text


# ---------------------------------------------------------------- the build


def older_page(folder: Path) -> None:
    (folder / "pyodide").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>", encoding="utf-8")
    (folder / "pyodide" / "pyodide.mjs").write_text("// python", encoding="utf-8")
    (folder / "offline.js").write_text("// offline", encoding="utf-8")
    build_page.write_file_list(folder)


def test_an_older_page_is_replaced(tmp_path: Path) -> None:
    older_page(tmp_path / "page")
    build_page.refuse_other_folder(tmp_path / "page")
    build_page.refuse_other_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    build_page.refuse_other_folder(tmp_path / "empty")


def add_a_file(folder: Path) -> None:
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")


def add_a_file_below(folder: Path) -> None:
    (folder / "pyodide" / "notes.txt").write_text("of mine", encoding="utf-8")


def add_a_link(folder: Path) -> None:
    (folder / "home").symlink_to(folder.parent)


def take_the_list(folder: Path) -> None:
    (folder / build_page.FILE_LIST).unlink()


def spoil_the_list(folder: Path) -> None:
    (folder / build_page.FILE_LIST).write_text("self.FILES = {", encoding="utf-8")


def list_the_files_in_an_array(folder: Path) -> None:
    (folder / build_page.FILE_LIST).write_text("self.FILES = [[1]]", encoding="utf-8")


def nest_the_list_deeply(folder: Path) -> None:
    text = "self.FILES = " + "[" * 100_000
    (folder / build_page.FILE_LIST).write_text(text, encoding="utf-8")


def add_a_named_pipe(folder: Path) -> None:
    os.mkfifo(folder / "queue")


def list_the_files_in_a_named_pipe(folder: Path) -> None:
    (folder / build_page.FILE_LIST).unlink()
    os.mkfifo(folder / build_page.FILE_LIST)


NO_NAMED_PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")


@pytest.mark.parametrize(
    "change",
    [
        add_a_file,
        add_a_file_below,
        add_a_link,
        take_the_list,
        spoil_the_list,
        list_the_files_in_an_array,
        nest_the_list_deeply,
        pytest.param(add_a_named_pipe, marks=NO_NAMED_PIPES),
        pytest.param(list_the_files_in_a_named_pipe, marks=NO_NAMED_PIPES),
    ],
    ids=lambda change: change.__name__,
)
def test_a_folder_with_anything_else_is_left_alone(
    change: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "page"
    older_page(folder)
    change(folder)
    before = sorted(folder.rglob("*"))
    assert build_page.main([str(folder)]) == 2
    assert "name a new folder" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_a_file_is_no_folder_to_write_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page").write_text("text", encoding="utf-8")
    assert build_page.main([str(tmp_path / "page")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_the_first_thing_that_is_not_of_a_page_is_enough(tmp_path: Path) -> None:
    """`/` has millions of files, and one of its first names tells that it is no page."""
    (tmp_path / "thesis.txt").touch()
    (tmp_path / "below").mkdir()
    for number in range(20):
        (tmp_path / "below" / str(number)).touch()
    assert next(build_page.paths_below(tmp_path)) == tmp_path / "below"
    with pytest.raises(build_page.CannotBuild, match=r"thesis\.txt"):
        build_page.refuse_other_folder(tmp_path)


def test_a_name_in_the_folder_does_not_reach_the_terminal_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[2J").touch()
    assert build_page.main([str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "something else" in told
    assert "\x1b" not in told


def build_nothing_but_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the parts that take long, and Pyodide, be left out."""
    monkeypatch.setattr(build_page, "PYODIDE_FILES", ())
    for part in (
        "copy_pyodide",
        "write_packaging",
        "build_wheel",
        "compile_modules",
        "add_answers",
    ):
        monkeypatch.setattr(build_page, part, lambda *_: None)


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
def test_the_folder_of_the_shell_takes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_nothing_but_the_folder(monkeypatch)
    (tmp_path / "page").mkdir()
    monkeypatch.chdir(tmp_path / "page")
    assert build_page.main(["."]) == 0
    assert (tmp_path / "page" / build_page.FILE_LIST).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build_nothing_but_the_folder(monkeypatch)
    (tmp_path / "file").touch()
    assert build_page.main([str(tmp_path / "file" / "page")]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_without_pyodide_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = build_page.main([str(tmp_path / "page"), "--pyodide", str(tmp_path)])
    assert code == 2
    assert "npm install" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_without_node_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build_page.CannotBuild, match=r"install Node\.js"):
        build_page.compile_modules(tmp_path)


def test_a_compiled_module_runs_and_says_where_its_source_is(tmp_path: Path) -> None:
    """Python reads no source beside it, and a traceback names the file in Pyodide's library."""
    path = "/lib/python314.zip/shelf.py"
    content = compile_modules.compiled(b"height = 6 * 7\n", path, tmp_path)
    module = tmp_path / "shelf.pyc"
    module.write_bytes(content)
    spec = importlib.util.spec_from_file_location("shelf", module)
    assert spec is not None
    assert spec.loader is not None
    shelf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shelf)
    assert shelf.height == 42
    code = spec.loader.get_code("shelf")  # type: ignore[attr-defined]
    assert code.co_filename == path


def test_the_list_of_files_has_the_hashes_that_a_browser_compares(
    tmp_path: Path,
) -> None:
    """The SHA-256 of an empty file is a published constant; the two files that the browser updates
    by itself have none.
    """
    older_page(tmp_path)
    (tmp_path / "empty").touch()
    build_page.write_file_list(tmp_path)
    text = (tmp_path / build_page.FILE_LIST).read_text(encoding="utf-8")
    hashes = json.loads(text.partition("=")[2].rstrip(";\n"))
    assert hashes["empty"] == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert sorted(hashes) == ["empty", "index.html", "pyodide/pyodide.mjs"]


def test_the_answer_takes_the_place_of_its_mark() -> None:
    index = f"<article>{build_page.ANSWER_MARK}</article>"
    answer = (
        "<!doctype html>\n<style>p {}</style>\n<body>\n<h1>yes</h1>\n</body>\n</html>"
    )
    assert build_page.with_answer(index, answer) == "<article><h1>yes</h1>\n</article>"
    with pytest.raises(build_page.CannotBuild):
        build_page.with_answer(index, "error")
    with pytest.raises(build_page.CannotBuild):
        build_page.with_answer("<article></article>", answer)


README_BEFORE = """# selfhost

Half a minute to a first answer, in a clone of this repository:

```sh
pip install . && selfhost check mistral-7b
```
"""
README_AFTER = """# selfhost

Half a minute to a first answer, with [pipx](https://pipx.pypa.io):

```sh
pipx install selfhost-check && selfhost check mistral-7b
```
"""


@pytest.mark.parametrize(
    ("readme", "urls", "links", "said"),
    [
        pytest.param(
            README_BEFORE,
            "",
            {},
            "no public address yet",
            id="before-a-release-no-address-is-made-up",
        ),
        pytest.param(
            README_AFTER,
            """
[project.urls]
Repository = "https://code.example/a/b"
Issues = "https://code.example/a/b/issues"
""",
            {
                "pipx": "https://pipx.pypa.io",
                "The project and its source": "https://code.example/a/b",
                "Report a fault": "https://code.example/a/b/issues",
            },
            "pipx install selfhost-check &amp;&amp; selfhost check mistral-7b",
            id="a-release-fills-in-addresses-and-the-install-line",
        ),
    ],
)
def test_the_page_says_how_to_get_the_program(
    readme: str, urls: str, links: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    project = f'[project]\nname = "selfhost-check"\n{urls}'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    text = build_page.project_html(tmp_path)
    found = re.findall(r'<a href="([^"]+)" rel="noreferrer">([^<]+)</a>', text)
    assert {name: address for address, name in found} == links
    assert said in text
    assert "selfhost check mistral-7b</code></pre><button" in text


def test_the_page_of_this_checkout_has_the_install_line_of_the_readme() -> None:
    """The mark is there once, and the README has a line for it."""
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    assert index.count(build_page.PROJECT_MARK) == 1
    assert "selfhost check mistral-7b" in build_page.project_html()


def test_packaging_is_packed_as_its_wheel_had_it(tmp_path: Path) -> None:
    """Twice the same bytes, so that a browser which has it does not load it again."""
    paths = [tmp_path / "one.whl", tmp_path / "two.whl"]
    for path in paths:
        build_page.write_packaging(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as wheel:
        names = wheel.namelist()
    assert "packaging/licenses/__init__.py" in names
    assert [name for name in names if name.endswith("/METADATA")]
    assert not [
        name for name in names if name.endswith((".pyc", "INSTALLER", "RECORD"))
    ]
