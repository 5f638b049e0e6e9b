"""Strict reading of a table at the edge, and writing that appears whole or not at all."""

from klarsyn.tables.reading import Column, Table, read_table
from klarsyn.tables.writing import whole_files, write_text

__all__ = ["Column", "Table", "read_table", "whole_files", "write_text"]
