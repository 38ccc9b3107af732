"""Records, errors, units, the workload, and the safe reading and writing of files. It imports
no other package.
"""
