"""Models, runtimes and offers: records, readers, names, openness, licenses, prices."""
