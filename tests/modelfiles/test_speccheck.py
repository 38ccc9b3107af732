"""`selfhost spec check`: the corpus of bad specs with exact messages, and what only the whole
catalogue can tell.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from helpers.paths import BAD_SPECS, GOOD_SPECS, SPEC_FILES
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import MAX_PROBLEMS, SpecError
from selfhost.modelfiles.specfiles import check_spec_files, checked_spec

BAD = sorted(BAD_SPECS.glob("*.toml"))
GOOD = sorted(GOOD_SPECS.glob("*.toml"))
SHIPPED = sorted(SPEC_FILES.values())

NEEDS = (
    '[needs]\nmemory_bytes = 1_000_000\ndisk_bytes = 1_000_000\nsource = "made up"\n'
)


def _messages(paths: list[str], catalogue: tuple[ModelSpec, ...] = ()) -> list[str]:
    return [str(problem) for problem in check_spec_files(paths, catalogue)[0]]


def _write(folder: Path, name: str, text: str = "", needs: str = NEEDS) -> str:
    path = folder / f"{name}.toml"
    path.write_text(
        f'schema = 1\nid = "{name}"\nname = "X"\n{text}{needs}', encoding="utf-8"
    )
    return str(path)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_spec_has_exactly_these_problems(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fault of the file in one run, each with its line, key and what to write instead, as
    <fault>.txt has it.
    """
    monkeypatch.chdir(path.parent)
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert _messages([path.name]) == expected
    assert check_spec_files([path.name], ())[1] == ()


def test_of_many_faults_of_a_file_the_first_are_listed(tmp_path: Path) -> None:
    """Contract: of many problems of one input the first are listed, and the rest is counted; so in
    each of several files.
    """
    many = "".join(f"k{number} = 1\n" for number in range(1_000))
    paths = [_write(tmp_path, "x", many), _write(tmp_path, "y", many)]
    problems = check_spec_files(paths, ())[0]
    assert len(problems) == 2 * (MAX_PROBLEMS + 1)
    for path in paths:
        listed = [problem for problem in problems if problem.file == path]
        first = [f"k{number}" for number in range(MAX_PROBLEMS)]
        assert [problem.key for problem in listed] == [*first, None]
        assert listed[-1].message == "has 980 more faults, not listed"
        assert listed[-1].faults == 1_000 - MAX_PROBLEMS


def test_good_specs_have_no_problem() -> None:
    """Specs that point at each other are checked together and given back, in the order named."""
    problems, specs = check_spec_files([str(path) for path in GOOD], ())
    assert problems == ()
    assert [spec.id for spec in specs] == [path.stem for path in GOOD]


def test_shipped_specs_have_no_problem() -> None:
    """The catalogue is clean: unique names, SPDX ids, alternatives that exist, a source for every
    table.
    """
    problems, specs = check_spec_files([str(path) for path in SHIPPED], ())
    assert [str(problem) for problem in problems] == []
    assert len(specs) == len(SHIPPED) >= 30


def test_sources_may_stand_beside(tmp_path: Path) -> None:
    """`<id>.sources.toml` has the sources of `<id>.toml`, whichever of the two is named; what is
    wrong there is told of that file, with its lines.
    """
    path = Path(_write(tmp_path, "x", 'openness = { paper = "published" }\n'))
    beside = tmp_path / "x.sources.toml"
    assert _messages([str(path)]) == [
        f"{path}: sources.openness: is missing (say where the facts in [openness] come from: "
        'openness = "…" in [sources], or in the file that ends in .sources.toml)'
    ]
    beside.write_text('id = "its card"\nopenness = "arXiv"\n', encoding="utf-8")
    for named in ([str(path)], [str(beside)], [str(path), str(beside)]):
        problems, (spec,) = check_spec_files(named, ())
        assert problems == ()
        assert (spec.id, dict(spec.sources)) == (
            "x",
            {"id": "its card", "openness": "arXiv"},
        )
    wrong = {
        'id = "card"\nname = 1\n"needs.dtype" = [\n  "y",\n]\n': [
            f"{beside}: openness: is missing "
            '(say where the facts in [openness] come from: openness = "…" in [sources], '
            "or in the file that ends in .sources.toml)",
            f'{beside}:2: name: must be a string, not the number 1 (write it in quotes: "…")',
            f'{beside}:3: "needs.dtype": must be a string, not an array (write it in quotes: "…")',
        ],
        "id = [\n": [
            f"{beside}:1: not valid TOML: the value that begins here does not end "
            "(close it with the bracket or quote it began with)"
        ],
    }
    for text, messages in wrong.items():
        beside.write_text(text, encoding="utf-8")
        assert _messages([str(path)]) == messages
    path.write_text(
        path.read_text("utf-8") + '[sources]\nopenness = "arXiv"\n', encoding="utf-8"
    )
    assert _messages([str(path)]) == [
        f"{path}:9: sources: is stated here and in {beside} (keep one of them)"
    ]


def test_a_name_means_one_model(tmp_path: Path) -> None:
    """An id, alias or repository that another spec answers to is a fault of the later file,
    whatever its case and separators.
    """
    stated = 'aliases = ["herd"]\nrepository = "someone/llama-three"\n'
    _, (known,) = check_spec_files([_write(tmp_path, "llama-3", stated)], ())
    text = 'aliases = [\n  "fine",\n  "LLAMA3",\n  "Herd",\n]\nrepository = "Someone/LLaMA_three"\n'
    other = _write(tmp_path, "other", text)
    meant = (
        "already means llama-3 (use another name: names that differ only in case or separators"
        " are the same)"
    )
    assert _messages([other], (known,)) == [
        f'{other}:6: aliases[1]: "LLAMA3" {meant}',
        f'{other}:7: aliases[2]: "Herd" {meant}',
        f'{other}:9: repository: "Someone/LLaMA_three" {meant}',
    ]


def test_given_files_are_checked_against_each_other(tmp_path: Path) -> None:
    """Two of the files named claim one alias, or one id; the same file named twice is one file."""
    first = _write(tmp_path, "first", 'aliases = ["same"]\n')
    second = _write(tmp_path, "second", 'aliases = ["same"]\n')
    assert _messages([first, second, first]) == [
        f'{second}:4: aliases[0]: "same" already means first '
        "(use another name: names that differ only in case or separators are the same)"
    ]
    folder = tmp_path / "folder"
    folder.mkdir()
    again = _write(folder, "first")
    assert _messages([first, again]) == [
        f'{again}:2: id: "first" is also the id of another of these files '
        "(give each model an id of its own)"
    ]


# as published, as the publisher rounds it, "7B", and 0.5 % beside
RIGHT = (7_248_023_552, 7_250_000_000, 7_200_000_000, 7_000_000_000, 7_284_023_552)
# no digit of ten thousand million is as coarse as the last
WRONG = (7_285_023_552, 7_100_000_000, 6_000_000_000, 10_000_000_000)


@pytest.mark.parametrize(
    ("total", "right"),
    [*((each, True) for each in RIGHT), *((each, False) for each in WRONG)],
)
def test_a_total_may_be_rounded_and_no_more(
    total: int, right: bool, tmp_path: Path
) -> None:
    """A count lies within 0.5 % of the architecture's, or is what that rounds to at the digits it
    is written with (Mistral 7B v0.3).
    """
    text = (BAD_SPECS / "total-of-another-model.toml").read_text(encoding="utf-8")
    path = tmp_path / "total-of-another-model.toml"
    path.write_text(text.replace("942_243_060", str(total)), encoding="utf-8")
    assert (_messages([str(path)]) == []) == right
    # `check` takes what `spec check` takes
    with (
        nullcontext()
        if right
        else pytest.raises(SpecError, match=r":\d+: parameters.total: is ")
    ):
        checked_spec(str(path))


def test_pointers_lead_somewhere(tmp_path: Path) -> None:
    """A successor or alternative is the id of a spec, here or in the catalogue; a slip is told from
    a stranger.
    """
    _, catalogue = check_spec_files(
        [_write(tmp_path, "llama-3.1-8b"), _write(tmp_path, "phi-4")], ()
    )
    path = _write(
        tmp_path,
        "closed",
        'openness.weights = "closed"\n'
        '[availability]\nwhy = "x"\nprovider = "y"\nsuccessor = "phi-5"\n'
        'open_alternatives = ["phi-4", "llama-3.1-8"]\n'
        '[sources]\nopenness = "x"\navailability = "x"\n',
        needs="",
    )
    assert _messages([path], catalogue) == [
        f'{path}:8: availability.successor: no spec has the id "phi-5" (did you mean "phi-4"?)',
        f'{path}:9: availability.open_alternatives[1]: no spec has the id "llama-3.1-8" '
        '(did you mean "llama-3.1-8b"?)',
    ]


STRANGE = [
    "mit",
    "GPL-2.0 with Classpath",
    "Apache",
    "((((",
    "MIT AND",
    "(" * 5_000,
    "Llama 2",
]


@pytest.mark.parametrize("license", [*STRANGE, "MIT OR " * 400 + "MIT"])
def test_other_licenses_are_a_problem(license: str, tmp_path: Path) -> None:
    """What SPDX does not know, or spells otherwise, is one problem on its line; no length hangs or
    raises.
    """
    path = _write(
        tmp_path, "x", f'license.id = "{license}"\nsources.license = "card"\n'
    )
    (message,) = _messages([path])
    assert message.startswith(f"{path}:4: license.id: ")
    assert len(message) < 400 + len(path)


def test_near_names_are_looked_for_in_the_first_faults_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def counted(word: str, _choices: object) -> str:
        compared.append(word)
        return "near"

    monkeypatch.setattr("selfhost.core.tables.nearest", counted)
    others = ", ".join(f'"nosuch-{number}"' for number in range(14))
    for id in ("one", "two", "three", "four"):
        text = (
            f'schema = 1\nid = "{id}"\n[availability]\nopen_alternatives = [{others}]\n'
        )
        (tmp_path / f"{id}.toml").write_text(text, encoding="utf-8")
    problems, _ = check_spec_files([str(tmp_path)], ())
    unknown = [
        problem for problem in problems if "no spec has the id" in problem.message
    ]
    assert len(unknown) == 56
    assert unknown[0].remedy == 'did you mean "near"?'
    assert unknown[-1].remedy is None
    assert len(compared) == 50
