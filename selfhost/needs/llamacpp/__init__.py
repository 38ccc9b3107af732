"""What llama.cpp allocates: an exact replay of its allocator, with one module a kind of graph."""
