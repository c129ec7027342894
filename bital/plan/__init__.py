"""Plan: a recorded trace as a graph, and the graph as kernels."""
