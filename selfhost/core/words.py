"""Closed lists of words: what an answer may say of one thing.

`Word` stands in for `enum.StrEnum`, as `Record` does for `dataclasses`: that module and three of
its classes are 9 of the 270 million instructions of a `check` (callgrind, Python 3.11).
"""

from __future__ import annotations

# type checkers take this name as true; at run time `enum` is what is not to be loaded
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum as Word
    from typing import Any
else:

    class _WordType(type):
        """Turns the texts of a class body into its words."""

        _words: dict[str, Any]

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _WordType:
            texts = {key: text for key, text in body.items() if key[0] != "_"}
            kind = super().__new__(cls, name, bases, body)
            kind._words = {}
            for key, text in texts.items():
                word = str.__new__(kind, text)
                word.name, word.value = key, text
                kind._words[text] = word
                setattr(kind, key, word)
            return kind

        def __call__(cls, text: str) -> Any:
            """The word of that text; `ValueError` where there is none."""
            try:
                return cls._words[text]
            except KeyError:
                raise ValueError(f"{text!r} is not a valid {cls.__name__}") from None

        def __getitem__(cls, name: str) -> Any:
            """The word of that attribute's name; `KeyError` where there is none."""
            return cls.__members__[name]

        def __contains__(cls, text: object) -> bool:
            return isinstance(text, str) and text in cls._words

        @property
        def __members__(cls) -> dict[str, Any]:
            return {word.name: word for word in cls._words.values()}

        def __iter__(cls) -> Iterator[Any]:
            return iter(cls._words.values())

        def __len__(cls) -> int:
            return len(cls._words)

    class Word(str, metaclass=_WordType):
        """A text that is one of the words of its class: `Route.LOCAL`, `Route("local")`. Each word
        is there once. `name` is that of the attribute, `value` the text.
        """

        def __repr__(self) -> str:
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __reduce__(self) -> tuple[Any, ...]:
            return type(self), (self.value,)


__all__ = ["Word"]
