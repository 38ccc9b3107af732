"""What is known of models, runtimes and offers: their records and readers, the index, names,
openness, licenses, prices.
"""
