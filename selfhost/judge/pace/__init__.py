"""How fast a model goes: bytes over bandwidth, operations over throughput, a fixed cost."""
