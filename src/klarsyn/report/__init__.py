"""Results become figures, tables, sentences and one page."""
