"""Benchmarks against general tools: `python -m benchmarks`, or `make bench`. Not installed with the package."""
