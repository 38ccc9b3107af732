"""A machine as facts: the record and its file, known machines, changes to one, and the probes
that read the real one.
"""
