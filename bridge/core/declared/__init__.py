"""Connectors without a program: a source system that is declared in its mapping file, below `source:`."""

from bridge.core.declared.connector import DeclaredConnector, declare
from bridge.core.declared.model import Declaration
from bridge.core.declared.reading import declared_in, read_declared

__all__ = ["Declaration", "DeclaredConnector", "declare", "declared_in", "read_declared"]
