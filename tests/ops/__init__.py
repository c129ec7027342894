"""Tests of the operators that need no PyTorch."""
