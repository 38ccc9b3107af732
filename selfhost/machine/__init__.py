"""A machine as facts: the record and its file, known machines, changes to a machine, and the probes
that read the real machine.
"""
