"""Codegen: kernels as LLVM IR text, and that as machine code."""
