"""Tests of bital; a folder per room, and `parity/` against the real PyTorch."""
