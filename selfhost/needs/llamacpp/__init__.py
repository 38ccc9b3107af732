"""The memory that llama.cpp allocates: an exact replay of its allocator, with one module for each
kind of graph.
"""
