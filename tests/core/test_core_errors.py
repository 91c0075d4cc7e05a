"""The drawing of the error tree shows every error."""

from __future__ import annotations

import inspect

from bridge.core import errors


def test_every_error_class_is_in_the_drawing() -> None:
    drawing = errors.__doc__ or ""
    classes = [
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.BridgeError) and kind.__module__ == errors.__name__
    ]
    assert classes
    assert [name for name in classes if name not in drawing] == []


def test_a_config_error_shows_one_line_for_each_problem() -> None:
    problems = [errors.Problem(errors.Mark("a.yaml", 3, 5), "Wrong."), errors.Problem(None, "Missing.")]
    assert str(errors.ConfigError(problems)) == "a.yaml:3:5 Wrong.\nMissing."
