"""Ratios measured in one run: `python -m benchmarks` (docs/performance.md has the figures)."""
