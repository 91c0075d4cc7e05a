"""Turns "this learner completed this course" into a certificate, and closes the loop."""

from __future__ import annotations

__version__ = "0.1.0"
