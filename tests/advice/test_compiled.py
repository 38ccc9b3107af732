"""What was worked out when the package was built says the same as the specs, or is left aside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import MACHINES as RECORDED
from helpers.paths import RECORDS
from selfhost import Route, Workload
from selfhost.advice import compiled as questions
from selfhost.advice import listing
from selfhost.advice.compiled import QUESTIONS_FILE, Questions
from selfhost.advice.compiling import compile_questions
from selfhost.advice.listing import Listing, first_rows, judge_all
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SelfhostError
from selfhost.core.parts import shipped_folder
from selfhost.core.workload import Load
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.profiles import all_profiles, load
from selfhost.machine.record import Disk, Machine, PresentModel, PresentRuntime
from selfhost.needs.repack import KINDS, kind_of
from selfhost.reports import json as json_report
from selfhost.reports.html import catalogue_page
from selfhost.reports.layout import plain
from selfhost.reports.list_text import list_document
from selfhost.verdict.bracket import FAILS, OPEN, RUNS, may_bracket, outlook
from selfhost.verdict.defaults import ask_for_machine, judge_for_machine
from selfhost.verdict.findings.speed import is_too_slow
from selfhost.verdict.judging import judge
from selfhost.verdict.question import ask
from selfhost.verdict.record import Question

DAY = "2026-06-01"
GIB = 2**30
# every layout of the weights, every place they may lie, and one of which next to nothing is known
PROFILES = (
    "desktop-i3-8gb-no-gpu",
    "desktop-rtx4060-8gb",
    "desktop-2x-rtx3090",
    "macbook-air-m2-8gb",
    "snapdragon-x-elite-32gb",
)
MACHINES = {
    **{name: load(name).machine for name in PROFILES},
    "unread": Machine(name="unread"),
    "small server": Machine(
        name="small server", system="linux", architecture="x86_64", memory_total_bytes=24 * GIB, memory_limit_bytes=24 * GIB,
        memory_available_bytes=20 * GIB, cpu_cores_usable=2, instruction_sets=("f16c", "fma", "avx2", "avx512f", "avx512_bf16"),
        memory_bandwidth_bytes_per_second=40 * 10**9, scope="vm", accelerators=(),
        # a whole file, a part of one, and a program too old for some architectures
        disks=(Disk(purpose="llama.cpp", path="~/.cache/huggingface/hub", free_bytes=50 * GIB, total_bytes=99 * GIB, writable=True),),
        models_present=(
            PresentModel(
                path="~/.cache/huggingface/hub/models--bartowski--Mistral-7B-Instruct-v0.3-GGUF", size_bytes=4_372_812_000, complete=True,
                repository="bartowski/Mistral-7B-Instruct-v0.3-GGUF", file="Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", store="llama.cpp",
                quantization="Q4_K_M",
            ),
            PresentModel(
                path="~/.cache/huggingface/hub/models--Qwen--Qwen3-8B-GGUF", size_bytes=10**9, complete=False, total_bytes=5_027_783_488,
                repository="Qwen/Qwen3-8B-GGUF", file="Qwen3-8B-Q4_K_M.gguf", store="llama.cpp", quantization="Q4_K_M",
            ),
            # in a type that its publisher does not have: it would be judged in Q8_0
            PresentModel(
                path="~/.cache/llama.cpp/Youtu-LLM-2B-Q4_K_M.gguf", size_bytes=1_236_067_114, complete=True,
                repository="tencent/Youtu-LLM-2B-GGUF", file="Youtu-LLM-2B-Q4_K_M.gguf", store="llama.cpp", quantization="Q4_K_M",
            ),
        ),
        runtimes=(PresentRuntime(id="transformers", version="4.30.0"), PresentRuntime(id="llama.cpp", version="b3000")),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def specs() -> Catalogue:
    """The shipped specs themselves: what every answer is held against."""
    return Catalogue.open(shipped=shipped_folder())


@pytest.fixture
def folder(packed: Path, tmp_path: Path) -> Path:
    """A copy to change; few models, so that the full way is short."""
    for sub in ("common", "runtimes"):
        shutil.copytree(packed / sub, tmp_path / "few" / sub)
    for name in ("gpt-4o", "gpt-oss-20b", "mistral-7b-instruct-v0.3", "opt-125m", "whisper-base"):
        shutil.copy(packed / f"{name}.toml", tmp_path / "few")
    few = tmp_path / "few"
    (few / QUESTIONS_FILE).write_bytes(compile_questions(str(few)))
    return few


def used(folder: Path, workload: Workload | None = None) -> bool:
    return (
        Questions.open(Catalogue.open(shipped=str(folder)), workload or Workload(), Machine())
        is not None
    )


def test_a_load_leaves_the_needs_as_they_are(folder: Path) -> None:
    """What a day brings has a price and changes no need."""
    assert used(
        folder, Workload(load=Load(input_tokens_per_day=1_000_000, output_tokens_per_day=200_000))
    )


def _printed(listing: Listing, machine: Machine) -> str:
    return plain(list_document(listing.answers, machine, top=None, wide=True, only_running=False))


# every machine, every kind of wish and every day on which offers end, each with some of the others
ASKED = [
    ("desktop-rtx4060-8gb", Workload(), DAY),
    ("macbook-air-m2-8gb", Workload(), "2026-10-22"),
    ("small server", Workload(), "2026-10-23"),
    ("unread", Workload(), "2030-01-01"),
    ("desktop-2x-rtx3090", Workload(private=True), DAY),
    ("desktop-i3-8gb-no-gpu", Workload(commercial=True, license="apache-2.0 or MIT"), DAY),
    ("snapdragon-x-elite-32gb", Workload(modify=True, auditable=True), DAY),
    ("small server", Workload(min_tokens_per_second=30.0, memory_basis="total", reserve_bytes=GIB), DAY),
    ("desktop-i3-8gb-no-gpu", Workload(load=Load(input_tokens_per_day=1_000_000, output_tokens_per_day=200_000)), "2026-10-22"),
    ("desktop-rtx4060-8gb", Workload(context_tokens=32_768), "2026-10-23"),
    ("small server", Workload(context_tokens=300, private=True), DAY),
]  # fmt: skip


# of which files lie on the small server
PRESENT = {"mistral-7b-instruct-v0.3", "qwen3-8b", "youtu-llm-2b"}
# judged in Q8_0 or Q5_K_M where there is room, which they have not on the small machines
IN_TURN = ("deepseek-ocr", "nous-hermes-2-mixtral-8x7b-dpo", "qianfan-ocr")
# where one of these decides, the offer of any other model may stand in
WISHES = ("commercial", "license", "modify", "auditable")


def _list_but(monkeypatch: pytest.MonkeyPatch, share: int, number: int) -> None:
    """Every so manyth model is listed, from another one for each number, those on the small server and those of several types."""
    ids = Catalogue.ids

    def few(catalogue: Catalogue) -> tuple[str, ...]:
        return tuple(sorted({*ids(catalogue)[number % share :: share], *PRESENT, *IN_TURN}))

    monkeypatch.setattr(Catalogue, "ids", few)


def _name(machine: str, workload: Workload, day: str) -> str:
    return f"{machine}{workload.options()} {day}"


@pytest.mark.parametrize("number", range(len(ASKED)), ids=lambda number: _name(*ASKED[number]))
def test_both_ways_give_the_same_list(
    packed: Path, specs: Catalogue, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Route, order, every finding and every printed cell are those of the specs themselves; the route follows the day on which an offer ends.

    Where a wish decides all models are listed. Else every eleventh is, in the next case those after them.
    """
    machine, workload, today = ASKED[number]
    if not any(getattr(workload, wish) for wish in WISHES):
        _list_but(monkeypatch, 11, number)
    ready, here = Catalogue.open(shipped=str(packed)), MACHINES[machine]
    assert Questions.open(ready, workload, here) is not None
    fast = judge_all(ready, workload, here, today=today)
    slow = judge_all(specs, workload, here, today=today)
    assert [answer.model.id for answer in fast.answers] == [
        answer.model.id for answer in slow.answers
    ]
    for one, other in zip(fast.answers, slow.answers, strict=True):
        assert (one.route, one.findings, one.speed, one.workload) == (
            other.route,
            other.findings,
            other.speed,
            other.workload,
        )
    assert _printed(fast, here) == _printed(slow, here)
    first = first_rows(ready, workload, here, 20)
    document = list_document(first.answers, here, counts=first.counts, ruled_out=first.ruled_out)
    assert plain(document) == plain(list_document(slow.answers, here, ruled_out=slow.ruled_out))
    assert json_report.listing(fast.answers, here, fast) == json_report.listing(
        slow.answers, here, slow
    )
    assert sum(answer.here is not None for answer in fast.answers) == len(here.models_present or ())


def test_a_file_made_for_a_longer_text_counts_on_the_disk(packed: Path, specs: Catalogue) -> None:
    """Ollama's library has the file of this encoder, but Ollama takes no batch that holds a text of 2,048 tokens: then the file is converted, of weights twice its size."""
    ready, here = Catalogue.open(shipped=str(packed)), MACHINES["desktop-rtx4060-8gb"]
    for tokens in (None, 2_048):
        workload, ids = Workload(context_tokens=tokens), ("snowflake-arctic-embed-m",)
        (fast,), (slow,) = (
            judge_all(each, workload, here, today=DAY, ids=ids).answers for each in (ready, specs)
        )
        assert fast.findings == slow.findings


def _without_accelerators() -> list[Machine]:
    """Every machine of the repository that has none: recorded, written down, known."""
    machines = [profile.machine for profile in all_profiles()]
    machines += [
        read_machine(RecordedHost(str(folder))) for folder in sorted(RECORDED.glob("*/root"))
    ]
    machines += [Machine.from_file(path) for path in sorted(RECORDS.glob("*.json"))]
    return [machine for machine in machines if may_bracket(machine, Workload())]


def test_models_are_counted_as_if_each_were_judged(shipped: Catalogue) -> None:
    """On every such machine, of every 112th model another each time: what runs, what is not known and what is too slow."""
    machines = _without_accelerators()
    assert len(machines) > 50
    workloads = (Workload(), Workload(min_tokens_per_second=20.0), Workload(memory_basis="available"))  # fmt: skip
    for number, machine in enumerate(machines):
        workload = workloads[number % len(workloads)]
        ready = Questions.open(shipped, workload, machine)
        assert ready is not None
        left = outlook(ready.sketches, ready.program, machine, is_too_slow)
        assert len(left) > 0.9 * len(shipped.ids())
        for id in [*left][number * 3 % 112 :: 112]:
            question = ready.question(id, workload)
            if question is None or question.here is not None:
                continue
            judged = judge(question, machine)
            expected = FAILS if judged.failed else OPEN if judged.unknown else RUNS
            slow = is_too_slow(judged, question.workload.min_tokens_per_second)
            assert left[id] == (expected, slow and not judged.failed), (machine.name, id)


@pytest.mark.parametrize(
    ("machine", "share"),
    [("desktop-i3-8gb-no-gpu", 2), ("small server", 8), ("macbook-air-m2-8gb", 8)],
)
def test_the_list_counts_what_check_finds(
    shipped: Catalogue, machine: str, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every other model on one machine, of every eighth on others: those in float32 that are cast, pictures whose own type is too large while
    another type or program fits, and what takes long of every kind."""
    _list_but(monkeypatch, share, 1)
    here = MACHINES[machine]
    verdicts = []
    for id in shipped.ids():
        question = ask_for_machine(shipped.spec(id), Workload(), shipped, here)
        verdicts.append((question.spec.modality, judge(question, here)))
    running = [(kind, v) for kind, v in verdicts if v.route(offered=False) is Route.LOCAL]
    slow = [kind for kind, v in running if is_too_slow(v, None)]
    counts = first_rows(shipped, Workload(), here, 5).counts
    assert (counts.running, counts.slow) == (len(running), len(slow))
    if machine == "desktop-i3-8gb-no-gpu":
        assert {"image", "embedding"} & {*slow}


def test_the_pace_counted_is_that_of_the_program_that_is_taken(
    shipped: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LTX-2.3 is too large for its usual program in 64 GiB, and takes under an hour in the files that another one loads."""
    monkeypatch.setattr(Catalogue, "ids", lambda _: ("ltx-2.3",))
    here = load("desktop-i9-13900k-64gb").machine
    question = ask_for_machine(shipped.spec("ltx-2.3"), Workload(), shipped, here)
    assert question.chosen is not None
    assert not is_too_slow(judge(question, here), None)
    counts = first_rows(shipped, Workload(), here, 5).counts
    assert (counts.running, counts.slow) == (1, 0)


def test_few_models_are_judged_to_list_the_first(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand some dozens, and no spec is read: `list` asks of all others no more than decides whether they run."""
    catalogue = Catalogue.open(shipped=str(packed))
    judged = []

    def counted(question: Question, *rest: Any) -> Any:
        judged.append(question.spec.id)
        return judge_for_machine(question, *rest)

    def read(catalogue: Catalogue, id: str) -> Any:
        raise AssertionError(f"the spec of {id} is read")

    monkeypatch.setattr(listing, "judge_for_machine", counted)
    monkeypatch.setattr(Catalogue, "spec", read)
    assert (
        len(first_rows(catalogue, Workload(), MACHINES["desktop-i3-8gb-no-gpu"], 20).answers) == 20
    )
    assert len(judged) < 60


@pytest.fixture(scope="module")
def shipped(packed: Path) -> Catalogue:
    """The packed specs as one process reads them: each once, for the tests that change none."""
    return Catalogue.open(shipped=str(packed))


@pytest.fixture(scope="module")
def pictures(shipped: Catalogue) -> frozenset[str]:
    """The models of pictures and videos."""
    return frozenset(spec.id for spec in shipped.specs() if spec.modality in ("image", "video"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_whole(shipped: Catalogue, kind: str) -> None:
    """What `list` does not print is there as well: terms with their sources, the whole spec, as `ask` gives them.

    Every model is asked for of one kind, and of each kind some two hundred.
    """
    machine = Machine(instruction_sets=KINDS[kind])
    assert kind_of(machine.instruction_sets) == kind
    ready = Questions.open(shipped, Workload(), machine)
    assert ready is not None
    for id in shipped.ids()[[*KINDS].index(kind) :: len(KINDS)]:
        spec = shipped.spec(id)
        assert ready.question(id, Workload()) == ask(spec, Workload(), shipped, machine)


def test_a_question_of_a_program_on_gpus_alone_is_whole(packed: Path, tmp_path: Path) -> None:
    """vLLM's terms lie otherwise in RAM, on large cards and on several: a model that it alone loads fitted two RTX 3090 and was not listed."""
    specs = tmp_path / "specs"
    for sub in ("common", "runtimes"):
        (specs / sub).parent.mkdir(exist_ok=True)
        (specs / sub).symlink_to(packed / sub)
    text = (packed / "granite-vision-4.1-4b.toml").read_text()
    line = 'runtimes = ["vllm"]'
    spec_text = text.replace('runtimes = ["transformers", "vllm"]', line)
    assert line in spec_text
    (specs / "granite-vision-4.1-4b.toml").write_text(spec_text)
    (specs / QUESTIONS_FILE).write_bytes(compile_questions(str(specs)))
    catalogue = Catalogue.open(shipped=str(specs))
    for name, sets in KINDS.items():
        machine = Machine(instruction_sets=sets)
        ready = Questions.open(catalogue, Workload(), machine)
        assert ready is not None
        spec = catalogue.spec("granite-vision-4.1-4b")
        asked = ask(spec, Workload(), catalogue, machine)
        assert ready.question(spec.id, Workload()) == asked, name


@pytest.mark.parametrize(
    "workload",
    [
        Workload(),
        Workload(private=True),
        Workload(commercial=True, license="MIT"),
        Workload(modify=True, auditable=True),
        Workload(memory_basis="available", min_tokens_per_second=9.0),
    ],
    ids=Workload.options,
)
def test_a_list_reads_no_spec(
    packed: Path,
    pictures: frozenset[str],
    monkeypatch: pytest.MonkeyPatch,
    workload: Workload,
) -> None:
    """Without accelerators all that judging, sorting and printing read is in the file: reading hundreds of specs is what would be slow.

    Where nothing is wished all models are listed on one machine; else every eighth.

    What follows accelerators is asked of the whole spec, and pictures that their own type keeps from running in another one.
    """
    whole = Catalogue.spec

    def read(catalogue: Catalogue, id: str) -> ModelSpec:
        assert id in pictures, f"the spec of {id} was read"
        return whole(catalogue, id)

    monkeypatch.setattr(Catalogue, "spec", read)
    if workload != Workload():
        _list_but(monkeypatch, 8, 1)
    # a wish asks the same of every machine
    names = ("small server", "desktop-i3-8gb-no-gpu")
    for name in names if workload == Workload() else names[:1]:
        if name != "small server":
            _list_but(monkeypatch, 8, 2)
        # but for models that may be those on the machine, by their size
        machine = MACHINES[name].replace(models_present=None)
        listing = judge_all(Catalogue.open(shipped=str(packed)), workload, machine, today=DAY)
        assert _printed(listing, machine)
        assert json_report.dumps(json_report.listing(listing.answers, machine, listing))
        assert catalogue_page(listing.answers, machine, {})


def test_a_list_words_no_reason(packed: Path) -> None:
    """Hundreds of reasons that nobody reads would be a third of the work: they are there, and not yet words."""
    machine = MACHINES["small server"]
    listing = judge_all(Catalogue.open(shipped=str(packed)), Workload(), machine, today=DAY)
    assert _printed(listing, machine)
    held = [
        finding
        for answer in listing.answers
        for finding in answer.findings
        # of a picture one constant sentence says it
        if finding.check in ("memory", "speed")
        and finding.code not in ("speed-picture", "speed-hours")
    ]
    assert held
    assert not any("reason" in vars(finding) for finding in held)
    assert all(finding.reason for finding in held)


@pytest.mark.parametrize("change", ["parallel", "kv_cache_type", "quantization", "runtime", "task"])
def test_it_answers_only_what_it_was_made_for(folder: Path, change: str) -> None:
    """A workload that changes the needs takes the full way."""
    value = {
        "parallel": 2,
        "kv_cache_type": "q8_0",
        "quantization": "Q8_0",
        "runtime": "ollama",
        "task": "finetune",
    }
    assert used(folder)
    assert not used(folder, Workload().replace(**{change: value[change]}))


@pytest.mark.parametrize(
    "relative",
    [
        "opt-125m.toml",
        "runtimes/llama.cpp.toml",
        "common/architectures.toml",
        "common/offers.jsonl",
    ],
)
def test_a_changed_file_counts_at_once(folder: Path, relative: str) -> None:
    """Whichever file changes, though neither its size nor its time does, what was made of it is left aside."""
    assert used(folder)
    path = folder / relative
    content = path.read_bytes()
    path.write_bytes(content.replace(b"a", b"b", 1))
    assert not used(folder)
    path.write_bytes(content)
    assert used(folder)
    path.unlink()
    assert not used(folder)


def test_an_added_spec_counts_at_once(folder: Path) -> None:
    """A file put beside the others is listed."""
    (folder / "own-1b.toml").write_text(
        'schema = 1\nid = "own-1b"\nname = "Own"\n[needs]\nmemory_bytes = 1\ndisk_bytes = 1\nsource = "x"\n'
    )
    assert not used(folder)
    listed = judge_all(Catalogue.open(shipped=str(folder)), Workload(), Machine(), today=DAY)
    assert "own-1b" in [answer.model.id for answer in listed.answers]


def test_a_changed_program_counts_at_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another version of the program worked out is left aside."""
    package = tmp_path / "selfhost"
    shutil.copytree(Path(questions.__file__).parents[1], package)
    monkeypatch.setattr(questions, "PACKAGE_FOLDER", str(package))
    assert used(folder)
    module = package / "needs" / "llamacpp" / "buffers.py"
    module.write_bytes(module.read_bytes() + b"#")
    assert not used(folder)


def test_an_own_spec_goes_before_the_shipped_one(folder: Path, tmp_path: Path) -> None:
    """In a user's folder a spec of the same id is the one judged; the others are still known."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "opt-125m.toml").write_text(
        'schema = 1\nid = "opt-125m"\nname = "Mine"\n[needs]\nmemory_bytes = 1\ndisk_bytes = 1\nsource = "x"\n'
    )
    listed = judge_all(Catalogue.open([own], shipped=str(folder)), Workload(), Machine(), today=DAY)
    assert {answer.model.id: answer.model.name for answer in listed.answers}["opt-125m"] == "Mine"
    assert len(listed.answers) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda _content: b"",
        lambda content: content[:3],
        lambda content: content.replace(b"opt", b"pot", 1),
        lambda content: b"\xff" * 8 + content[8:],
        lambda _content: b"\n\n\n\n",
    ],
)
def test_a_damaged_file_is_left_aside(folder: Path, damage: object) -> None:
    """Cut short, emptied or garbled, it changes no answer."""
    path = folder / QUESTIONS_FILE
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    listed = judge_all(
        Catalogue.open(shipped=str(folder)), Workload(), MACHINES["unread"], today=DAY
    )
    path.unlink()
    assert listed == judge_all(
        Catalogue.open(shipped=str(folder)), Workload(), MACHINES["unread"], today=DAY
    )


def test_a_part_that_is_damaged_is_met_when_it_is_read(folder: Path) -> None:
    """What is read late is checked as well, and the error says what to do."""
    path = folder / QUESTIONS_FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b"weights", b"Weights"))
    ready = Questions.open(Catalogue.open(shipped=str(folder)), Workload(), Machine())
    if ready is not None:
        question = ready.question("opt-125m", Workload())
        assert question is not None
        with pytest.raises(SelfhostError, match="damaged"):
            assert question.needs == 0
