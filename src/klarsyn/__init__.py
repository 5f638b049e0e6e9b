"""Klarsyn appraises the evidence for a psychoactive medicine and simulates how it could act."""

__version__ = "0.1.0"
