"""License expressions, held against the SPDX specification (3.0.1, annex "SPDX license expressions") and spdx.dev/ids."""

from __future__ import annotations

import pytest

from helpers.each import each
from selfhost.catalogue.openness import canonical_expression, satisfies
from selfhost.core.errors import WorkloadError

# of the model, asked for, met
CASES = [
    # OR leaves the choice to whoever gets it, AND binds to both, and AND goes before OR
    ("Apache-2.0", "Apache-2.0 OR MIT", True),
    ("MIT", "Apache-2.0 OR MIT", True),
    ("CC-BY-4.0", "Apache-2.0 OR MIT", False),
    ("Apache-2.0 OR CC-BY-NC-4.0", "Apache-2.0", True),
    ("Apache-2.0 AND CC-BY-NC-4.0", "Apache-2.0", False),
    ("Apache-2.0 AND CC-BY-NC-4.0", "Apache-2.0 AND CC-BY-NC-4.0", True),
    ("MIT AND CC-BY-4.0", "MIT OR Apache-2.0", False),
    ("MIT", "MIT OR Apache-2.0 AND CC-BY-4.0", True),
    ("Apache-2.0", "MIT OR Apache-2.0 AND CC-BY-4.0", False),
    ("Apache-2.0 AND CC-BY-4.0", "(MIT OR Apache-2.0) AND CC-BY-4.0", True),
    ("Apache-2.0 AND (MIT OR GPL-2.0-only)", "Apache-2.0 AND MIT", True),
    ("Apache-2.0 AND (MIT OR GPL-2.0-only)", "Apache-2.0", False),
    # ids are compared whatever their case
    ("Apache-2.0", "apache-2.0", True),
    ("LicenseRef-Gemma", "LicenseRef-gemma", True),
    # a version stands for itself, with or without what SPDX writes for later ones
    ("Apache-2.0", "Apache-2.0+", True),
    ("EPL-2.0", "EPL-1.0+", False),
    ("EPL-2.0+", "EPL-1.0", False),
    ("GPL-2.0-only", "GPL-2.0-or-later", True),
    ("GPL-3.0-only", "GPL-2.0-or-later", False),
    ("MPL-2.0-no-copyleft-exception", "MPL-2.0", False),
    ("BSD-3-Clause", "BSD-2-Clause", False),
    # WITH makes a license of its own, and binds closer than AND
    ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", False),
    (
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        True,
    ),
    ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception AND MIT", False),
]


@each(("own", "wanted", "met"), CASES)
def test_expressions(own: str, wanted: str, met: bool) -> None:
    """An expression means what the specification says, in canonical spelling too."""
    assert satisfies(own, wanted) is met
    assert satisfies(canonical_expression(own), canonical_expression(wanted)) is met


@pytest.mark.parametrize(
    "wrong",
    [
        "Apache 2",
        "MIT OR",
        "(MIT",
        "MIT WITH",
        "LicenseRef-x+",
        "no-such-license",
        "",
        "MIT, Apache-2.0",
    ],
)
def test_what_is_no_expression_is_refused(wrong: str) -> None:
    """A slip is an error that shows how to write one."""
    with pytest.raises(WorkloadError, match="SPDX ids joined by AND, OR"):
        canonical_expression(wrong)


def test_a_usual_license_is_proposed() -> None:
    with pytest.raises(WorkloadError) as caught:
        canonical_expression("apache")
    assert "did you mean Apache-2.0?" in str(caught.value)
