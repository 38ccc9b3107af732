"""A prediction held against a run: what a log or a process shows, beside what was predicted."""
