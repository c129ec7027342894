"""Results of the real PyTorch, stored small, and the scripts that made them."""
