"""Records, errors, units, the workload, and files; it imports no other package."""
