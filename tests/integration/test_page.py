"""The page in a browser: it answers what the program answers, offline, by keyboard, on a phone.

CONTRIBUTING.md has the line that installs what these tests need. Playwright's `wait_for_function`
evaluates text, which the page's policy forbids: the tests wait for attributes of the body.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import build_page
from helpers.paths import EXAMPLES, RECORDS, TESTS
from selfhost.cli import main as cli

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright absent: pip install playwright"
)

pytestmark = pytest.mark.integration

PAGE = EXAMPLES / "page"
ANSWERS = TESTS / "answers"
QUESTIONS = 200
# a busy machine takes many times as long; no test is about time
PATIENCE_MS = 300_000
FIRST_LINE = 'selfhost check mistral-7b --machine "RTX 3060 32GB"'
FIRST = "RUNS Mistral 7B Instruct v0.3"


def chromium() -> str:
    """The browser of the system; Playwright's own is another download."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("chromium absent: apt-get install chromium")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of this checkout, built without a network."""
    if not (PAGE / "node_modules" / "pyodide").is_dir():
        pytest.skip("Pyodide absent: npm install --prefix examples/page")
    folder = tmp_path_factory.mktemp("site") / "page"
    # pip's name for the option `--no-build-isolation`
    environment = {**os.environ, "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [sys.executable, str(PAGE / "build_page.py"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Server:
    """A process that serves the page: the sockets of this one are walled off."""

    def __init__(self, site: Path) -> None:
        index = (site / "index.html").read_text(encoding="utf-8")
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', index)
        assert policy
        self.policy = policy[1]
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(TESTS / "helpers" / "page_server.py"),
                str(site),
                self.policy,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        port = self._process.stdout.readline().strip()
        self.address = f"http://127.0.0.1:{port}/"

    def stop(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[Server]:
    server = Server(site)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield started
        started.close()


@dataclass
class Visit:
    """The page in a tab that most tests share, as it takes seconds to load Python."""

    page: Any
    first_answer: list[str]
    # what the console said, and which requests were made
    complaints: list[str]
    requests: list[tuple[str, str]]
    resets: int = 0


@pytest.fixture(scope="session")
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    """Somebody who was never here opens the page, and has the first answer."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    visit = Visit(page, [], [], [])
    page.on("console", lambda message: visit.complaints.append(message.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    context.on(
        "request",
        lambda request: visit.requests.append((request.method, request.url)),
    )
    page.goto(server.address)
    wait_for_answer(page, FIRST_LINE)
    visit.first_answer = said(page)
    yield visit
    context.close()


@pytest.fixture
def page(visit: Visit) -> Iterator[Any]:
    """The page with the usual question. No error is on its console in the end."""
    page = visit.page
    visit.resets += 1
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.evaluate("document.getElementById('more').open = false")
    page.evaluate(f"location.hash = 'reset={visit.resets}'")
    wait_for_answer(page, FIRST_LINE)
    visit.complaints.clear()
    yield page
    assert visit.complaints == []


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Another visitor who was never here."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def wait_for_answer(page: Any, line: str) -> None:
    """Wait until the page shows the answer to that command line."""
    page.wait_for_selector(f"body[data-answered={json.dumps(line)}]")


def said(page: Any) -> list[str]:
    """The conclusion, figures and commands of the answer: its links and buttons need a script."""
    parts = page.locator("#answer").locator("h1, td, pre")
    texts: list[str] = parts.all_inner_texts()
    return texts


def heading(page: Any) -> str:
    """The conclusion of the answer."""
    return " ".join(page.inner_text("#answer h1").split())


# ---------------------------------------------------------------- the same answers


def words_to_ask() -> list[list[str]]:
    """Command lines of tests/answers about machines other than this one, evenly drawn; each third
    is answered as text, as JSON, as HTML.
    """
    lines = []
    for file in sorted(ANSWERS.glob("*.toml")):
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["question"]:
            words = shlex.split(table["command"])
            if "--machine" in words and "--format" not in words and can_travel(words):
                lines.append(words)
    assert len(lines) >= QUESTIONS
    drawn = [lines[at * len(lines) // QUESTIONS] for at in range(QUESTIONS)]
    formats: tuple[list[str], ...] = ([], ["--json"], ["--format", "html"])
    return [[*words, *formats[number % 3]] for number, words in enumerate(drawn)]


def can_travel(words: list[str]) -> bool:
    """Whether the page can be given each file that the words name: texts below the folder."""
    paths = [ANSWERS / word for word in words if (ANSWERS / word).exists()]
    return all(
        path.suffix == ".json" and ANSWERS in path.resolve().parents for path in paths
    )


def files_of(words: list[str]) -> dict[str, str]:
    """The texts of the files that the words name."""
    return {
        word: (ANSWERS / word).read_text(encoding="utf-8")
        for word in words
        if (ANSWERS / word).is_file()
    }


# reads command lines, one JSON list a line; writes what each of them gave. A browser starts no
# thread, so it never says that a command is still at work, as a busy computer does
NATIVELY = """
import json, sys
from run_command import run_command
from selfhost.cli import progress
progress.SECONDS_BEFORE_NOTE = 3600
for line in sys.stdin:
    print(json.dumps(run_command(json.loads(line))), flush=True)
"""

IN_THE_PAGE = """
async (questions) => {
  const { Program } = await import("./program.js");
  self.program ??= new Program();
  const answers = [];
  for (const [words, files] of questions) {
    const { output, errors, exitCode } = await self.program.ask(words, files);
    answers.push([output, errors, exitCode]);
  }
  return answers;
}
"""


def test_answers_are_those_of_the_native_program(page: Any, tmp_path: Path) -> None:
    """To the byte: standard output, standard error and exit code."""
    lines = words_to_ask()
    # the page has the same wheel, with the modules compiled that are loaded first
    build_page.build_wheel(tmp_path / "native.whl")
    with zipfile.ZipFile(tmp_path / "native.whl") as wheel:
        wheel.extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{PAGE}"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", NATIVELY],
        input="".join(f"{json.dumps(words)}\n" for words in lines),
        cwd=ANSWERS,
        env={**environment, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    native = [json.loads(line) for line in done.stdout.splitlines()]
    browsed: list[list[Any]] = []
    for start in range(0, len(lines), 20):
        questions = [[words, files_of(words)] for words in lines[start : start + 20]]
        browsed += page.evaluate(IN_THE_PAGE, questions)
    differing = []
    for words, one, other in zip(lines, native, browsed, strict=True):
        for stated, browsed_part in zip(one, other, strict=True):
            if stated != browsed_part:
                parts = difflib.ndiff(str(stated).split(), str(browsed_part).split())
                told = [part for part in parts if not part.startswith(" ")]
                differing.append((shlex.join(words), told[:6]))
    assert differing == []
    # as processes of their own, they say the same
    for words, answer in list(zip(lines, native, strict=True))[:: QUESTIONS // 5]:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "selfhost", *words],
            cwd=ANSWERS,
            env={**environment, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=False,
        )
        errors = re.sub("(?m)^note: still at work .*\n", "", process.stderr.decode())
        said = [process.stdout.decode(), errors, process.returncode]
        assert said == answer, shlex.join(words)


def test_the_prepared_answer_is_the_first_answer(
    browser: Any, server: Server, visit: Visit
) -> None:
    """Without JavaScript the page shows it, and a form that cannot be filled in."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.address)
    assert FIRST in heading(page)
    assert said(page) == visit.first_answer
    assert page.is_disabled("#model")
    assert "needs JavaScript" in page.inner_text("#status")
    context.close()
    assert visit.page.is_enabled("#model")


# ---------------------------------------------------------------- without a network, and broken


# resolves once a newer service worker has every file
NEWER_IS_KEPT = """
async () => {
  const registration = await navigator.serviceWorker.ready;
  await registration.update();
  const newer = registration.installing ?? registration.waiting;
  while (newer.state === "installing") {
    await new Promise((resume) => newer.addEventListener("statechange", resume));
  }
  return newer.state;
}
"""


def test_a_visitor_who_returns(context: Any, site: Path, tmp_path: Path) -> None:
    """A changed page is seen once the older one is closed. With the server gone a link with a
    question opens in a new tab and is answered.
    """
    folder = tmp_path / "page"
    shutil.copytree(site, folder)
    server = Server(folder)
    page = context.new_page()
    page.goto(server.address)
    page.wait_for_selector("body[data-offline]")
    index = folder / "index.html"
    text = index.read_text(encoding="utf-8")
    changed = text.replace('class="name">selfhost', 'class="name">changed')
    index.write_text(changed, encoding="utf-8")
    build_page.write_file_list(folder)
    assert page.evaluate(NEWER_IS_KEPT) == "installed"
    page.reload()
    assert page.inner_text(".name") == "selfhost"
    page.close()
    server.stop()
    page = context.new_page()
    # the newer worker takes over a moment after the last tab was closed
    for _ in range(30):
        page.goto(f"{server.address}#ask=check&model=phi-4&machine=RTX+4090+64GB")
        if page.inner_text(".name") == "changed":
            break
        page.goto("about:blank")
        page.wait_for_timeout(1_000)
    assert page.inner_text(".name") == "changed"
    wait_for_answer(page, 'selfhost check phi-4 --machine "RTX 4090 64GB"')
    assert "RUNS Phi-4" in heading(page)
    assert "rtx-4090" in heading(page)
    assert page.input_value("#model") == "phi-4"


def test_a_broken_worker_starts_anew(page: Any) -> None:
    """An error that nobody caught, as Pyodide's own are, ends the worker; the next question has
    another one.
    """
    broken = page.workers
    for worker in broken:
        worker.evaluate("setTimeout(() => { throw new Error('broken') })")
    page.fill("#model", "phi-4")
    wait_for_answer(page, 'selfhost check phi-4 --machine "RTX 3060 32GB"')
    assert "Phi-4" in heading(page)
    assert not set(broken) & set(page.workers)


def test_a_worker_that_falls_silent_is_replaced(context: Any, server: Server) -> None:
    """A question that it never answers is asked again; a minute is a moment in this test."""
    page = context.new_page()
    page.clock.install()
    page.goto(server.address)
    page.clock.resume()
    wait_for_answer(page, FIRST_LINE)
    (silent,) = page.workers
    silent.evaluate("self.close()")
    page.fill("#model", "phi-4")
    page.clock.run_for(1_000)
    page.clock.fast_forward(61_000)
    page.clock.resume()
    wait_for_answer(page, 'selfhost check phi-4 --machine "RTX 3060 32GB"')
    assert "Phi-4" in heading(page)
    assert silent not in page.workers


def test_without_python_it_says_what_to_do(context: Any, server: Server) -> None:
    """A worker that never starts is tried twice, and then given up."""
    page = context.new_page()
    page.route("**/worker.js", lambda route: route.fulfill(status=404))
    page.goto(server.address)
    page.wait_for_selector("body[data-exit-code='70']")
    assert heading(page) == "No answer"
    assert "reload the page" in page.inner_text("#answer .errors")


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        pytest.param("model", "mistrl-7b", "is not in the catalogue", id="model"),
        pytest.param("model", "zzqq", "“What runs best?”", id="model-like-no-other"),
        pytest.param("model", "", "Model", id="no-model"),
        pytest.param("machine", "my laptop", "State what is in it", id="machine"),
        pytest.param("context", "32kk", "Context, tokens: '32kk'", id="context"),
        pytest.param("runtime", "olama", "Did you mean ollama?", id="runtime"),
        pytest.param("quantization", "Q9_Z", "Quantization: ", id="quantization"),
        pytest.param("users", "many", "Users at once: ", id="users"),
        pytest.param("license", "mine", "License: ", id="license"),
    ],
)
def test_an_error_is_in_the_words_of_the_page(
    field: str, typed: str, said: str, page: Any
) -> None:
    """It names the field, and no option, command or Python that a visitor does not have."""
    page.evaluate(
        "([field, typed]) => { location.hash = new URLSearchParams({ [field]: typed }); }",
        [field, typed],
    )
    page.wait_for_selector("#answer .errors")
    assert heading(page) == "No answer"
    told = page.inner_text("#answer .errors")
    assert said in told
    assert not re.search(r"(?<!\w)--\w|selfhost \w|Error", told), told


def test_a_near_name_is_a_link(page: Any) -> None:
    page.fill("#model", "mistrl-7b")
    wait_for_answer(page, 'selfhost check mistrl-7b --machine "RTX 3060 32GB"')
    assert page.get_attribute("body", "data-exit-code") == "2"
    page.click("#answer .errors a >> nth=0")
    wait_for_answer(page, 'selfhost check mistral:7b --machine "RTX 3060 32GB"')
    assert FIRST in heading(page)
    assert page.input_value("#model") == "mistral:7b"


# ---------------------------------------------------------------- the answer


def ask(page: Any, fragment: str, line: str) -> None:
    """Ask the question of a fragment, which means that line."""
    page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
    wait_for_answer(page, line)


def test_a_name_in_an_answer_is_a_link(page: Any) -> None:
    """From the list to the answer for its first model, and on to one about alike."""
    ask(page, "ask=list", 'selfhost list --machine "RTX 3060 32GB"')
    first = page.inner_text("#answer td:nth-child(2) a >> nth=0")
    page.click("#answer td:nth-child(2) a >> nth=0")
    wait_for_answer(page, f'selfhost check {first} --machine "RTX 3060 32GB"')
    assert page.is_checked("[name=ask][value=check]")
    ask(page, "", FIRST_LINE)
    alike = page.locator("#answer p", has_text="about alike here").locator("a")
    other = alike.first.inner_text()
    alike.first.click()
    wait_for_answer(page, f'selfhost check {other} --machine "RTX 3060 32GB"')


def test_every_command_has_a_button_that_copies_it(page: Any) -> None:
    """Whole, where it has several lines, and without what only explains it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(
        page,
        "model=qwen3-235b",
        'selfhost check qwen3-235b --machine "RTX 3060 32GB"',
    )
    lines = page.locator("#answer .command")
    assert lines.count() == page.locator("#answer .command button").count()
    asks_api = lines.filter(has_text="curl")
    asks_api.get_by_role("button").click()
    page.get_by_text("Copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    # a shell takes it for one command: a backslash joins the next line
    words = shlex.split(copied.replace("\\\n", " "))
    assert words[0] == "curl"
    assert words[-2] == "-d"
    assert json.loads(words[-1])["model"] == "qwen/qwen3-235b-a22b"


@pytest.mark.parametrize(
    ("fragment", "line"),
    [
        pytest.param("", FIRST_LINE, id="check"),
        pytest.param(
            "model=qwen3-235b",
            'selfhost check qwen3-235b --machine "RTX 3060 32GB"',
            id="does-not-run",
        ),
        pytest.param("ask=list", 'selfhost list --machine "RTX 3060 32GB"', id="list"),
        pytest.param(
            "ask=list&words=qwenn",
            'selfhost list qwenn --machine "RTX 3060 32GB"',
            id="list-of-none",
        ),
        pytest.param(
            "ask=compare",
            'selfhost compare mistral-7b qwen3-8b --machine "RTX 3060 32GB"',
            id="compare",
        ),
        pytest.param("ask=plan", "selfhost plan mistral-7b", id="plan"),
    ],
)
def test_sentences_name_no_command_line(fragment: str, line: str, page: Any) -> None:
    """Commands stand where they can be copied; sentences tell of the page."""
    ask(page, fragment, line)
    sentences = page.evaluate(
        """() => {
          const copy = document.getElementById("answer").cloneNode(true);
          copy.querySelectorAll("pre").forEach((command) => command.remove());
          return copy.textContent;
        }"""
    )
    assert not re.findall(r"(?<![\w-])--?[a-z][a-z-]*|selfhost [a-z]+", sentences)


def test_every_row_of_the_list_is_reached(page: Any) -> None:
    """Page by page, forth and back; the last rows by their address."""
    ask(page, "ask=list&words=qwen3", 'selfhost list qwen3 --machine "RTX 3060 32GB"')
    names = page.locator("#answer td:nth-child(2)")
    first_rows = names.all_inner_texts()
    page.get_by_role("link", name="Rows from 21 on").click()
    wait_for_answer(page, 'selfhost list qwen3 --machine "RTX 3060 32GB" --from 21')
    assert not {*first_rows} & {*names.all_inner_texts()}
    page.get_by_role("link", name="Rows 1 to 20").click()
    wait_for_answer(page, 'selfhost list qwen3 --machine "RTX 3060 32GB"')
    assert names.all_inner_texts() == first_rows


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        pytest.param("use", "code", "--use code", id="use"),
        pytest.param("license", "MIT", "--license MIT", id="license"),
        pytest.param("users", "8", "--users 8", id="users"),
        pytest.param("speed", "30", "--min-speed 30", id="speed"),
        pytest.param("wait", "1s", "--max-wait 1s", id="wait"),
    ],
)
def test_the_list_is_filtered(field: str, value: str, option: str, page: Any) -> None:
    """Another condition, other rows; and the folded field is told while it is folded."""
    ask(page, "ask=list", 'selfhost list --machine "RTX 3060 32GB"')
    before = page.inner_text("#answer")
    page.evaluate("document.getElementById('more').open = true")
    page.fill(f"#{field}", value)
    page.wait_for_selector(f"body[data-answered*='{option}']")
    assert page.inner_text("#answer") != before
    label = page.inner_text(f"label[for={field}]")
    page.evaluate("document.getElementById('more').open = false")
    assert field == "use" or label in page.inner_text("#fold")


def test_models_are_compared(page: Any) -> None:
    page.check("[name=ask][value=compare]")
    page.fill("#others", "qwen3-8b, phi-4")
    wait_for_answer(
        page, 'selfhost compare mistral-7b qwen3-8b phi-4 --machine "RTX 3060 32GB"'
    )
    heads = page.locator("#answer th").all_inner_texts()
    assert heads[-2:] == ["qwen3-8b", "phi-4"]


def test_an_answer_leads_to_a_comparison_and_to_a_machine(page: Any) -> None:
    page.get_by_role("link", name="Compare with qwen3-8b").click()
    wait_for_answer(
        page, 'selfhost compare mistral-7b qwen3-8b --machine "RTX 3060 32GB"'
    )
    page.go_back()
    wait_for_answer(page, FIRST_LINE)
    page.get_by_role("link", name="The least machine for mistral-7b").click()
    wait_for_answer(page, "selfhost plan mistral-7b")


def test_a_dropped_record_survives_a_reload(context: Any, server: Server) -> None:
    """In its tab; in another one the page says that it must be dropped again."""
    page = context.new_page()
    page.goto(server.address)
    wait_for_answer(page, FIRST_LINE)
    text = (RECORDS / "container-2gib.json").read_text(encoding="utf-8")
    file = {
        "name": "mine.json",
        "mimeType": "application/json",
        "buffer": text.encode(),
    }
    page.set_input_files("#record", file)
    line = "selfhost check mistral-7b --machine mine.json"
    wait_for_answer(page, line)
    answer = page.inner_text("#answer")
    page.reload()
    wait_for_answer(page, line)
    assert page.inner_text("#answer") == answer
    other = context.new_page()
    other.goto(page.url)
    wait_for_answer(other, line)
    assert heading(other) == "No answer"
    assert "Drop it on the page again" in other.inner_text("#answer")


def test_on_a_phone_the_answer_is_above_the_fold(page: Any) -> None:
    """The conclusion and the pace, with nothing scrolled."""
    page.set_viewport_size({"width": 390, "height": 844})
    pace = page.locator("#answer h1 + p").bounding_box()
    assert pace["y"] + pace["height"] < 844


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("fragment", "line"),
    [
        pytest.param("", FIRST_LINE, id="check"),
        pytest.param("ask=list", 'selfhost list --machine "RTX 3060 32GB"', id="list"),
        pytest.param(
            "model=mistrl-7b",
            'selfhost check mistrl-7b --machine "RTX 3060 32GB"',
            id="error",
        ),
        pytest.param("ask=plan", "selfhost plan mistral-7b", id="plan"),
    ],
)
def test_axe_finds_no_barrier(
    fragment: str, line: str, scheme: str, width: int, page: Any
) -> None:
    """axe-core looks for what keeps people with a handicap from using a page."""
    axe = PAGE / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core absent: npm install --prefix examples/page")
    ask(page, fragment, line)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("document.getElementById('more').open = true")
    page.evaluate(f"{axe.read_text(encoding='utf-8')};0")
    found = page.evaluate(
        "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))"
    )
    assert found == []


# ---------------------------------------------------------------- the form


def test_the_fragment_holds_the_question(page: Any) -> None:
    """An address with it opens the same form, command line and answer."""
    page.click("#fold")
    page.check("[name=private]")
    page.select_option("#purpose", "documents")
    page.fill("#model", "qwen3-8b")
    page.fill("#machine", "macbook air m2 16gb")
    page.fill("#runtime", "llama.cpp")
    line = (
        'selfhost check qwen3-8b --machine "macbook air m2 16gb" '
        "--for documents --runtime llama.cpp --private"
    )
    wait_for_answer(page, line)
    answer = page.inner_text("#answer")
    fragment = urlsplit(page.url).fragment
    assert parse_qs(fragment) == {
        "model": ["qwen3-8b"],
        "machine": ["macbook air m2 16gb"],
        "purpose": ["documents"],
        "runtime": ["llama.cpp"],
        "private": ["on"],
    }
    page.evaluate("location.hash = ''")
    wait_for_answer(page, FIRST_LINE)
    assert not page.is_checked("[name=private]")
    page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
    wait_for_answer(page, line)
    assert page.inner_text("#answer") == answer
    assert page.is_checked("[name=private]")
    assert page.input_value("#purpose") == "documents"


def test_the_command_line_is_copied(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == FIRST_LINE


@pytest.mark.parametrize("how", ["drop", "choose"])
def test_a_record_of_a_machine_is_judged(how: str, page: Any) -> None:
    """It is dropped on the page, or chosen by keyboard."""
    text = (RECORDS / "container-2gib.json").read_text(encoding="utf-8")
    name = f"my {how}.json"
    if how == "choose":
        file = {"name": name, "mimeType": "application/json", "buffer": text.encode()}
        page.set_input_files("#record", file)
    else:
        page.evaluate(
            """([name, text]) => {
              const data = new DataTransfer();
              data.items.add(new File([text], name));
              document.dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
            }""",
            [name, text],
        )
    wait_for_answer(page, f"selfhost check mistral-7b --machine my_{how}.json")
    # a container of 2 GiB runs no model of 7 B
    assert page.get_attribute("body", "data-exit-code") == "1"
    assert FIRST not in heading(page)


def test_names_are_completed(page: Any) -> None:
    for list_id, name in (
        ("models", "gpt-oss-20b"),
        ("machines", "macbook-air-m2-16gb"),
        ("runtimes", "llama.cpp"),
        ("quantizations", "Q4_K_M"),
    ):
        page.wait_for_selector(f"#{list_id} option[value='{name}']", state="attached")


def test_it_is_used_by_keyboard_alone(page: Any) -> None:
    """Every control is reached by Tab, shows that it is, and does what it is for."""
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    page.focus("[name=ask]:checked")
    reached = []
    page.focus("#fold")
    page.keyboard.press("Enter")
    page.focus("[name=ask]:checked")
    while name := page.evaluate(
        "document.activeElement.name || document.activeElement.id"
    ):
        reached.append(name)
        shown = page.evaluate(
            """() => {
              const field = document.activeElement;
              const seen = field.type === "file" ? field.parentElement : field;
              return getComputedStyle(seen).outlineStyle;
            }"""
        )
        assert shown == "solid", name
        page.keyboard.press("Tab")
    assert reached == [
        *("ask", "model", "machine", "fold", "record", "copy-record"),
        *("purpose", "context", "users", "speed", "wait", "license"),
        *("runtime", "quantization", "link", "split"),
        *("private", "commercial", "verbose"),
    ]
    page.focus("[name=ask]:checked")
    page.keyboard.press("ArrowRight")
    wait_for_answer(page, 'selfhost list --machine "RTX 3060 32GB"')
    assert page.is_hidden("#model")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wait_for_answer(page, "selfhost plan mistral-7b")
    assert page.is_hidden("#machine")
    page.focus("[name=commercial]")
    page.keyboard.press("Space")
    wait_for_answer(page, "selfhost plan mistral-7b --commercial")


def test_a_screen_reader_finds_names_and_the_conclusion(page: Any) -> None:
    page.evaluate("document.getElementById('more').open = true")
    for role, name in (
        ("group", "Question"),
        ("radio", "Does it run?"),
        ("radio", "What runs best?"),
        ("radio", "Compare"),
        ("radio", "Least machine"),
        ("combobox", "Model"),
        ("combobox", "Machine"),
        ("combobox", "For"),
        ("combobox", "Context, tokens"),
        ("combobox", "Runtime"),
        ("combobox", "Quantization"),
        ("checkbox", "Private: no API"),
        ("checkbox", "Commercial use"),
        ("checkbox", "Every figure"),
        ("article", "Answer"),
    ):
        assert page.get_by_role(role, name=name, exact=True).count() == 1, name
    assert page.get_by_label("choose its file").count() == 1
    # the live region: the conclusion is said, the rest of the answer is not
    said = page.text_content("[role=status]")
    assert FIRST in said
    assert "To run it" not in said


def test_nothing_scrolls_sideways(page: Any) -> None:
    """With every figure, from phones on; light as dark."""
    page.evaluate("document.getElementById('more').open = true")
    page.check("[name=verbose]")
    for asked, line in (
        ("check", f"{FIRST_LINE} -v"),
        ("list", 'selfhost list --machine "RTX 3060 32GB" -v'),
        (
            "compare",
            'selfhost compare mistral-7b qwen3-8b --machine "RTX 3060 32GB" -v',
        ),
        ("plan", "selfhost plan mistral-7b -v"),
    ):
        page.check(f"[name=ask][value={asked}]")
        wait_for_answer(page, line)
        for width in (390, 768, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{asked} on {width} px"


@pytest.mark.parametrize(
    ("fragment", "line"),
    [
        pytest.param(
            "ask=plan&model=gemma-4-31b-it&purpose=agent",
            "selfhost plan gemma-4-31b-it --for agent",
            id="the-wait-of-a-plan",
        ),
        pytest.param(
            "model=gemma-4-31b-it&machine=RTX+4090&purpose=agent&verbose=on",
            'selfhost check gemma-4-31b-it --machine "RTX 4090" --for agent -v',
            id="long-names-of-providers",
        ),
    ],
)
def test_a_wide_table_fits_a_phone(fragment: str, line: str, page: Any) -> None:
    """These were 431 and 494 px wide on 390."""
    ask(page, fragment, line)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_is_light_or_dark_as_the_system_is(page: Any) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(
            page.evaluate(
                "getComputedStyle(document.querySelector('form')).backgroundColor"
            )
        )
    light, dark = (int(re.findall(r"\d+", colour)[0]) for colour in colours)
    assert dark < 64 < 192 < light


# as browsers write them, by their makers' and Mesa's documents and bug trackers
RENDERERS = {
    "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)": (
        "GeForce RTX 3060"
    ),
    "ANGLE (NVIDIA, NVIDIA GeForce RTX 4070 Laptop GPU Direct3D11 vs_5_0 ps_5_0, D3D11)": (
        "GeForce RTX 4070 laptop"
    ),
    "ANGLE (NVIDIA Corporation, NVIDIA GeForce RTX 3090/PCIe/SSE2, OpenGL 4.5.0)": (
        "GeForce RTX 3090"
    ),
    "ANGLE (AMD, AMD Radeon RX 6700 XT (radeonsi navi22 LLVM 15.0.7), OpenGL 4.6)": (
        "Radeon RX 6700 XT"
    ),
    "ANGLE (Apple, ANGLE Metal Renderer: Apple M2, Unspecified Version)": "Apple M2",
    "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)": (
        "Intel UHD Graphics 620"
    ),
    "NVIDIA GeForce GTX 980, or similar": "GeForce GTX 980",
    "Mesa Intel(R) Iris(R) Xe Graphics (TGL GT2)": "Intel Iris Xe Graphics",
    "Apple GPU": "",
    "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), SwiftShader driver)": "",
    "llvmpipe (LLVM 15.0.7, 256 bits)": "",
    "Adreno (TM) 740": "",
    "": "",
}


def test_the_browsers_gpu_gets_its_name(page: Any) -> None:
    """Without what a driver adds, so that the program knows it; what tells nothing has none. This
    browser draws in software: it offers none, and the machine is as it was.
    """
    names = page.evaluate(
        """async (renderers) => {
          const { gpuName } = await import("./visitor.js");
          return renderers.map(gpuName);
        }""",
        list(RENDERERS),
    )
    for renderer, name in zip(RENDERERS, names, strict=True):
        assert name == RENDERERS[renderer], renderer
    for name in filter(None, names):
        assert cli.main(["check", "gpt2", "--machine", name]) == 0, name
    assert page.is_hidden("#seen")
    assert page.input_value("#machine") == "RTX 3060 32GB"


@pytest.mark.parametrize(
    ("platform", "machine"),
    [
        pytest.param("Windows", "RTX 3060 32GB windows", id="Windows"),
        pytest.param("macOS", "macbook air m2 16gb", id="a Mac"),
        pytest.param("Android", "RTX 3060 32GB", id="a phone"),
    ],
)
def test_a_visitor_begins_with_their_own_system(
    context: Any, server: Server, platform: str, machine: str
) -> None:
    """A visitor with Windows got `curl … | sh` to type. A link says what it always said."""
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'userAgentData',"
        f" {{ get: () => ({{ platform: '{platform}' }}) }});"
    )
    page.goto(server.address)
    line = f'selfhost check mistral-7b --machine "{machine}"'
    page.get_by_text(line, exact=True).wait_for()
    assert page.input_value("#machine") == machine
    page.goto(f"{server.address}#model=gpt2")
    page.reload()
    linked = FIRST_LINE.replace("mistral-7b", "gpt2")
    page.get_by_text(linked, exact=True).wait_for()


def test_what_the_browser_shows_is_offered_and_not_taken(
    context: Any, server: Server
) -> None:
    page = context.new_page()
    page.add_init_script(
        """
        WebGLRenderingContext.prototype.getParameter =
          () => "NVIDIA GeForce GTX 1080/PCIe/SSE2";
        """
    )
    page.goto(server.address)
    wait_for_answer(page, FIRST_LINE)
    assert page.input_value("#machine") == "RTX 3060 32GB"
    page.get_by_role("button", name="Use it").click()
    wait_for_answer(page, 'selfhost check mistral-7b --machine "GeForce GTX 1080"')
    assert "gtx-1080" in heading(page)


def test_nothing_is_sent_anywhere(page: Any, visit: Visit, server: Server) -> None:
    """Every request asks for a file of the page, and none has a question in it."""
    page.fill("#machine", "RTX 4090 64GB")
    wait_for_answer(page, 'selfhost check mistral-7b --machine "RTX 4090 64GB"')
    assert len(visit.requests) > 10
    for method, address in visit.requests:
        assert method == "GET"
        assert address.startswith((server.address, "data:", "blob:"))
        assert "4090" not in address
    assert "'unsafe-eval'" not in server.policy
    assert "'unsafe-inline'" not in server.policy
