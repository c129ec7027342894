"""Plan: a recorded trace as a graph, and the graph as kernels.

Room: plan. In the order of a trace's way: `lower` calls every instruction's implementation with the
namespace of `symbolic`, which makes nodes of a `graph`; `fuse` gathers nodes into groups, with
`access` to say where in memory they lie; `memory` orders the groups and places what they store.
What becomes of a group is codegen's.
"""
