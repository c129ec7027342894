"""The operators: one declaration each, in the file of its family."""
