"""PyTorch's own databases of operators, modules and optimizers, run under PyTorch and bital.

A database is a module here with `entries()`: its entries by name, each an `entry.Entry`. The
command `python -m tests.parity.databases` runs them; what is known to fail stands in `gaps/`.
"""
