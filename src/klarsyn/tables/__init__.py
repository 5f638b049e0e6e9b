"""Strict reading of a table at the edge, and writing that appears whole or not at all."""

from klarsyn.tables.column import Column
from klarsyn.tables.decimals import has_decimal_comma
from klarsyn.tables.reading import read_table
from klarsyn.tables.table import Table, in_file, missing_column
from klarsyn.tables.workbook import sheet_names
from klarsyn.tables.writing import csv_text, whole_files, write_text

__all__ = [
    "Column",
    "Table",
    "csv_text",
    "has_decimal_comma",
    "in_file",
    "missing_column",
    "read_table",
    "sheet_names",
    "whole_files",
    "write_text",
]
