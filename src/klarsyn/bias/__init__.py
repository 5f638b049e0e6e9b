"""How wrong a pooled estimate could be."""
