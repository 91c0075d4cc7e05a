"""One YAML file per kind of source: how its data becomes our words."""
