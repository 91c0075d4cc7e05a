"""The configuration: read once, checked whole, frozen; each module gets its own small part of it."""

from bridge.config.declared import mappings_to_extend, shipped_folder, shipped_mapping
from bridge.config.discovery import discover_connectors, installed_mapping
from bridge.config.example import example
from bridge.config.loading import load
from bridge.config.machine import Limits, Log, Server
from bridge.config.models import Config, Issuer, Keys, Mail, Smtp, SourceConfig
from bridge.config.refusals import live_refusals
from bridge.config.schema import schemas
from bridge.config.starter import starter, write_starter

__all__ = [
    "Config",
    "Issuer",
    "Keys",
    "Limits",
    "Log",
    "Mail",
    "Server",
    "Smtp",
    "SourceConfig",
    "discover_connectors",
    "example",
    "installed_mapping",
    "live_refusals",
    "load",
    "mappings_to_extend",
    "schemas",
    "shipped_folder",
    "shipped_mapping",
    "starter",
    "write_starter",
]
