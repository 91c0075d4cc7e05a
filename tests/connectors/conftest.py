"""Failed assertions of the contract explain themselves like those of a test."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contract", "scripted_api", "moodle_captures", "salesforce_samples")
