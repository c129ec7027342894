"""Short tests of memory: nothing may grow."""
