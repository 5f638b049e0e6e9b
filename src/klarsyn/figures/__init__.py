"""Plain values in, a Vega-Lite specification out; no trial and no drug is known here."""
