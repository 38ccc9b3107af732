"""Words of other languages in descriptions of machines."""

import pytest

from selfhost.core.tables import shipped_table
from selfhost.machine.spoken import in_english

ROWS = shipped_table("products")["spoken"]


def test_each_word_is_read_and_none_stands_twice() -> None:
    """In capitals, too; what stands in two rows would mean what the later one says."""
    words = [word for row in ROWS for word in row["words"]]
    assert len(words) == len(set(words))
    for row in ROWS:
        for word in row["words"]:
            assert in_english(word.upper()) == row["means"], word


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("16ГБ", "16 gb"),
        ("16 Go", "16gb"),
        ("1 To", "1tb"),
        ("2张3090", "2x 3090"),
        ("10\u2011core", "10-core"),
        ("i5 der 8. Generation", "i5 der 8th gen"),
        # words that hold such a word, and names in English
        ("mitte", "mitte"),
        ("Legion Go", "Legion Go"),
        ("GoPro", "GoPro"),
        ("i5-8250U 16GB", "i5-8250U 16GB"),
    ],
)
def test_texts_in_english(text: str, english: str) -> None:
    assert in_english(text).lower().split() == english.lower().split()
