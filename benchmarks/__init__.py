"""Ratios against peers measured in the same run, never bare seconds: `make bench`."""
