"""Codegen: kernels as LLVM IR text, and that as machine code.

Room: codegen. `native` is a compiled plan and shows the way: a writer for every kind of group
(`loops`, `gemm` with `epilogue`, `special`, `moves`), all in the words of `scalar`; `module` puts
the kernels of a plan together, `jit` makes object code of the text, `runner` the function that runs
it, `threads` the threads it runs on.
"""
