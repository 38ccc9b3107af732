"""Reads public tables of scores into `specs/common/scores.jsonl`, and fits
`specs/common/abilities.toml` to them.

- `copies`: a copy of a source's repository, read at the commit that `boards.toml` names
- `names`: which model of the catalogue a source means
- `read_…`: one module for each source: its files become `Found` scores
- `scores`: what was found becomes the file of scores
- `fit`, `abilities`: the scores become abilities, and their file
"""
