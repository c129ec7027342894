"""Tests of `bital run` and of what `import torch` means under it."""
