"""The check of one machine or many against a policy."""
