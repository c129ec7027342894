"""Whole PyTorch programs of the kinds that courses, papers and teams write.

Each file is an ordinary program: nothing of bital in it, seeded, printing numbers. What it prints
under torch is kept in `tests/golden/programs`; under bital it must print the same.
"""
