"""Substances and models as data: one TOML file each, every number with its source."""
