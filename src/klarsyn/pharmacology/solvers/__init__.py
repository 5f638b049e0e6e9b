"""Compartment systems in numbers: exact where they are linear, integrated where they are not."""
