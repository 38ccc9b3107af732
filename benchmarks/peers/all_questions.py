"""Prints the questions with the facts of models and machines as one JSON object, for the drivers that are
written in JavaScript: `python benchmarks/peers/all_questions.py | node benchmarks/peers/ask_llmchecker.cjs …`
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import board
from configs import config_of


def main() -> None:
    models = board.models().values()
    speed = board.speed_questions()
    document = {
        "models": {model.model: asdict(model) for model in models},
        "configs": {model.model: config_of(model) for model in models if model.layers},
        "memory": [asdict(question) for question in board.memory_questions()],
        "speed": [asdict(question) for question in speed],
        "machines": {
            question.id: asdict(board.machine_of(question)) for question in speed
        },
    }
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
