"""Run a model here where that works, else call an API: a branch for each of the four answers, and none that hides `unknown`.

python examples/fall_back_to_api.py [MODEL]
"""

from __future__ import annotations

import sys

from selfhost import Route, check


def decide(model: str) -> str:
    """What a program would do next, in one line."""
    verdict = check(model)
    match verdict.route:
        case Route.LOCAL:
            return f"local: {verdict.commands[0] if verdict.commands else 'start your own runtime'}"
        case Route.API:
            offer = verdict.api_offers[0]
            # for OpenAI's client: OpenAI(base_url=…, api_key=os.environ[offer.key_variable])
            return f"api: {offer.model} at {offer.base_url or offer.page or offer.provider}"
        case Route.NEITHER:
            return "neither: " + "; ".join(
                finding.reason
                for finding in verdict.findings
                if finding.outcome == "fail"
            )
        case Route.UNKNOWN:
            return "unknown: " + "; ".join(
                finding.reason
                for finding in verdict.findings
                if finding.outcome == "unknown"
            )


if __name__ == "__main__":
    print(decide(sys.argv[1] if len(sys.argv) > 1 else "mistral-7b"))
