"""The memory that llama.cpp allocates: weights, caches, states and buffers."""
