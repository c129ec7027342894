"""Tests of bital/streams: Stream against numbers that PyTorch drew."""
