"""Random programs under bital and PyTorch."""
