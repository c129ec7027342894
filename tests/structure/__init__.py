"""Tests of the source itself: rooms, sizes, what an import loads, docs that must be current."""
