"""Where the tests' data and the checkout's own folders lie."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent

SPECS = ROOT / "specs"
COMMON = SPECS / "common"
# the specs of the catalogue by their ids
SPEC_FILES = {
    path.stem: path
    for path in sorted(SPECS.glob("models/*/*.toml"))
    if not path.name.endswith(".sources.toml")
}
SCHEMAS = ROOT / "selfhost" / "schemas"
EXAMPLES = ROOT / "examples"

DATA = TESTS / "data"
# machine records
RECORDS = DATA / "records"
# headers of GGUF files; published config.json files lie in `configs`
HEADERS = DATA / "headers"
CONFIGS = HEADERS / "configs"
# recorded machines
MACHINES = TESTS / "machines"
# measurements and published figures, each with its source
TRUTH = TESTS / "truth"
GOLDEN = TESTS / "golden"
GOOD_SPECS = TESTS / "good_specs"
BAD_SPECS = TESTS / "bad_specs"
BAD_POLICIES = TESTS / "bad_policies"


def all_models_but(ids: Collection[str]) -> Callable[[str, list[str]], list[str]]:
    """What `shutil.copytree` of the specs leaves out, to copy of the models these alone."""

    def ignored(folder: str, names: list[str]) -> list[str]:
        if Path(folder).parent.name != "models":
            return []
        return [
            name
            for name in names
            if name.removesuffix(".toml").removesuffix(".sources") not in ids
        ]

    return ignored
