"""A policy held against one machine or many."""
