"""What PyTorch does, as tables of cases, and the harness that runs them under any namespace."""
