"""Tests of bital/codegen: machine code, its cache and its threads."""
