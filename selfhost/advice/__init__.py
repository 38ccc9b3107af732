"""Advice: what is to be done about what was judged."""
