"""Writes the page as a folder of static files: `python examples/page/build_page.py FOLDER`

First `npm install` in this folder, which brings Pyodide (Python for the browser) as `package.json`
pins it. The environment needs `pip` and `packaging`; selfhost itself is built from this checkout.
Any web server can serve FOLDER; README.md beside this file says more.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from html import escape
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from run_command import run_command

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
# what the wheel is built from
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "selfhost",
    "specs",
    "tools",
)
# the files of this folder that the page has as they are
OWN_FILES = (
    "index.html",
    "style.css",
    "page.js",
    "form.js",
    "command.js",
    "answer.js",
    "errors.js",
    "elements.js",
    "records.js",
    "program.js",
    "visitor.js",
    "worker.js",
    "run_command.py",
    "offline.js",
)
PYODIDE_FILES = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
# the question that the form asks before anybody typed; a test holds the two together
FIRST_QUESTION = ("check", "mistral-7b", "--machine", "RTX 3060 32GB")
ANSWER_MARK = "<!-- the prepared answer -->"
PROJECT_MARK = "<!-- the project -->"
# what the page calls the addresses that pyproject.toml names
ADDRESSES = {
    "Repository": "The project and its source",
    "Issues": "Report a fault",
    "Changelog": "What changed",
}
# the list of all files, from which a later build knows a folder that it may replace
FILE_LIST = "files.js"
# by the id of a list in index.html: after which words selfhost completes its names
COMPLETED = {
    "models": ("check", ""),
    "machines": ("check", "--machine", ""),
    "uses": ("list", "--use", ""),
    "licenses": ("list", "--license", ""),
    "runtimes": ("check", "--runtime", ""),
    "quantizations": ("check", "--quant", ""),
}


class CannotBuild(Exception):
    """Why there is no page, and what to do about it."""


def main(words: list[str] | None = None) -> int:
    """Build the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="new, empty, or an older page"
    )
    parser.add_argument(
        "--pyodide",
        type=Path,
        metavar="FOLDER",
        default=HERE / "node_modules" / "pyodide",
        help="where npm put Pyodide (default: node_modules here)",
    )
    given = parser.parse_args(words)
    try:
        refuse_other_folder(given.folder)
        # `.` has no folder beside it by that name
        folder = given.folder.resolve()
        build(folder, given.pyodide)
    except (CannotBuild, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    print(summary(folder))
    return 0


def build(folder: Path, pyodide: Path) -> None:
    """Write the page into a new folder, which then takes the place of an older one."""
    absent = [name for name in PYODIDE_FILES if not (pyodide / name).is_file()]
    if absent:
        raise CannotBuild(f"{pyodide} has no {absent[0]}: run `npm install` in {HERE}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # beside it, so that it can take its place by a new name
    with tempfile.TemporaryDirectory(dir=folder.parent) as workplace:
        page = Path(workplace) / "page"
        page.mkdir(mode=0o755)
        for name in OWN_FILES:
            shutil.copyfile(HERE / name, page / name)
        copy_pyodide(pyodide, page / "pyodide")
        write_packaging(page / "packaging.whl")
        build_wheel(page / "selfhost.whl")
        # a native Python reads the wheel as it was built
        add_answers(page, Path(workplace) / "unpacked")
        compile_modules(page)
        write_file_list(page)
        if folder.exists():
            folder.rename(Path(workplace) / "older")
        page.rename(folder)


def refuse_other_folder(folder: Path) -> None:
    """Raise CannotBuild where the folder has anything but an older page."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CannotBuild(f"{folder} is no folder")
    known = set(read_file_list(folder))
    for path in paths_below(folder):
        name = path.relative_to(folder).as_posix()
        is_folder = path.is_dir() and not path.is_symlink()
        is_of_page = path.is_file() and not path.is_symlink() and name in known
        if not is_folder and not is_of_page:
            # a name of a stranger's file may hold what moves the cursor
            what = f"something else, {name!r}"
            raise CannotBuild(f"{folder} has {what}: name a new folder")


def paths_below(folder: Path) -> Iterator[Path]:
    """All files and folders in a folder, one folder read after another: the first of them may
    already be one too many, and `/` has millions. Raises OSError for one that cannot be read.
    """
    if not folder.exists():
        return
    for parent, folders, files in os.walk(folder, onerror=refuse_unreadable):
        for name in sorted([*folders, *files]):
            yield Path(parent) / name


def refuse_unreadable(error: OSError) -> None:
    """Raise what `os.walk` would leave out."""
    raise error


# ---------------------------------------------------------------- what the page is made of


def build_wheel(target: Path) -> None:
    """Build the wheel of this checkout, in a copy that leaves no traces in the checkout."""
    with tempfile.TemporaryDirectory() as workplace:
        copy = Path(workplace) / "checkout"
        copy.mkdir()
        for name in SOURCES:
            source = CHECKOUT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copyfile(source, copy / name)
        wheels = Path(workplace) / "wheels"
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*command, "--wheel-dir", str(wheels), str(copy)], check=False
        )
        if done.returncode != 0:
            raise CannotBuild("pip could not build the wheel of selfhost, see above")
        (wheel,) = wheels.glob("*.whl")
        shutil.copyfile(wheel, target)


def write_packaging(target: Path) -> None:
    """Pack the installed `packaging` as a wheel. Of what selfhost depends on it is all that a page
    needs: rich draws on terminals alone, and a browser hides the machine that psutil would read.
    """
    try:
        installed = distribution("packaging")
    except PackageNotFoundError:
        raise CannotBuild("packaging is not installed: pip install packaging") from None
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for file in installed.files or ():
            path = Path(str(installed.locate_file(file)))
            if is_of_wheel(file.as_posix()):
                # a date of its own would give each build another hash
                entry = zipfile.ZipInfo(file.as_posix())
                wheel.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def is_of_wheel(name: str) -> bool:
    """Whether an installed file came with the wheel, and was not made by the installation."""
    made_here = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
    return not name.endswith((".pyc", *made_here)) and not name.startswith("..")


def copy_pyodide(source: Path, target: Path) -> None:
    """Copy Python for the browser. Of the packages that it could load a page needs none."""
    target.mkdir()
    for name in PYODIDE_FILES:
        shutil.copyfile(source / name, target / name)
    lock_path = target / "pyodide-lock.json"
    lock = json.loads(lock_path.read_text(encoding="utf-8"))
    lock["packages"] = {}
    lock_path.write_text(json.dumps(lock), encoding="utf-8")


def compile_modules(page: Path) -> None:
    """Let the page's own Python compile those modules that the first answer loads: of its library
    and of the wheels.
    """
    script = HERE / "compile_modules.mjs"
    try:
        done = subprocess.run(
            ["node", str(script), str(page), *FIRST_QUESTION], check=False
        )
    except FileNotFoundError:
        raise CannotBuild("there is no `node`: install Node.js with npm") from None
    if done.returncode != 0:
        raise CannotBuild("the modules could not be compiled, see above")


def add_answers(page: Path, unpacked: Path) -> None:
    """Let the wheel of the page answer the first question, and tell the names to complete."""
    with zipfile.ZipFile(page / "selfhost.whl") as wheel:
        wheel.extractall(unpacked)
    # before any other selfhost: the program of the page is the one to ask
    sys.path.insert(0, str(unpacked))

    output, errors, exit_code = run_command([*FIRST_QUESTION, "--format", "html"])
    # a slow computer is told that the command is still at work
    if exit_code != 0:
        raise CannotBuild(f"selfhost could not answer the first question: {errors}")
    index = page / "index.html"
    text = with_answer(index.read_text(encoding="utf-8"), output)
    text = text.replace(PROJECT_MARK, project_html())
    index.write_text(text, encoding="utf-8")
    names: dict[str, list[str]] = {}
    for list_id, typed in COMPLETED.items():
        output, _, _ = run_command(["_complete", *typed])
        names[list_id] = output.splitlines()
    (page / "names.json").write_text(json.dumps(names), encoding="utf-8")


def with_answer(index: str, answer: str) -> str:
    """The page with the body of an answer, which is a page of its own."""
    body = answer.partition("<body>\n")[2].partition("</body>")[0]
    if not body or index.count(ANSWER_MARK) != 1:
        raise CannotBuild("index.html has no place for the answer, or there is none")
    return index.replace(ANSWER_MARK, body)


def project_html(checkout: Path = CHECKOUT) -> str:
    """How to install the program, and where its project lives.

    README.md and pyproject.toml say so, and a release fills both in by `tools/release.py`: until then
    there is no address, and none is made up.
    """
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    first_lines = re.search(r"\n([^\n]+:)\n\n```sh\n(.*?)```", readme, re.DOTALL)
    if first_lines is None:
        raise CannotBuild("README.md has no line that installs selfhost")
    introduction, lines = first_lines.groups()
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    addresses = project["project"].get("urls", {})
    parts = ["<h2>Install it</h2>", f"<p>{with_links(introduction)}</p>"]
    for line in lines.splitlines():
        command = f"<pre><code>{escape(line)}</code></pre>"
        button = '<button type="button" data-copy disabled>Copy</button>'
        parts.append(f'<div class="command">{command}{button}</div>')
    links = []
    for name, address in addresses.items():
        links.append(link_html(ADDRESSES.get(name, name), address))
    if not links:
        links = ["The project has no public address yet."]
    parts.append(f"<p>{' · '.join(links)}</p>")
    return "\n".join(parts)


def with_links(markdown: str) -> str:
    """A sentence of a Markdown page as HTML: its links are links, all else is text."""
    parts = []
    for part in re.split(r"(\[[^]]+\]\([^)]+\))", markdown):
        link = re.fullmatch(r"\[([^]]+)\]\(([^)]+)\)", part)
        parts.append(link_html(link[1], link[2]) if link else escape(part))
    return "".join(parts)


def link_html(text: str, address: str) -> str:
    """A link to another page, which learns nothing of this one."""
    return f'<a href="{escape(address)}" rel="noreferrer">{escape(text)}</a>'


# ---------------------------------------------------------------- the list of files


def write_file_list(page: Path) -> None:
    """Write all files with their hashes, for the service worker and for the next build."""
    hashes: dict[str, str] = {}
    for name in files_of(page):
        # a browser asks for these two itself, and compares them with those that it has
        if name not in ("offline.js", FILE_LIST):
            hashes[name] = integrity(page / name)
    text = (
        f"// written by build_page.py\nself.FILES = {json.dumps(hashes, indent=1)};\n"
    )
    (page / FILE_LIST).write_text(text, encoding="utf-8")


def read_file_list(page: Path) -> Iterable[str]:
    """The names of an older page's files; none where the folder is no page."""
    path = page / FILE_LIST
    # a named pipe would be waited for without end
    if not path.is_file():
        return ()
    try:
        text = path.read_text(encoding="utf-8")
        hashes = json.loads(text.partition("self.FILES = ")[2].rstrip(";\n"))
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(hashes, dict):
        return ()
    return (*hashes, "offline.js", FILE_LIST)


def files_of(folder: Path) -> list[str]:
    """The files below a folder by their paths from it."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )


def integrity(path: Path) -> str:
    """The SHA-256 of a file as `fetch` takes it for `integrity`."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def summary(page: Path) -> str:
    """How large the page is, on the disk and on the way, and how to look at it."""
    names = files_of(page)
    size = 0
    transfer = 0
    for name in names:
        content = (page / name).read_bytes()
        size += len(content)
        transfer += len(gzip.compress(content, 9))
    return (
        f"{len(names)} files, {size / 1e6:.1f} MB, {transfer / 1e6:.2f} MB gzipped\n"
        f"to look at it: {os.path.basename(sys.executable)} -m http.server --bind 127.0.0.1 --directory {page}"
    )


if __name__ == "__main__":
    sys.exit(main())
