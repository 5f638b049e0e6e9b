"""From molecule and dose to exposure, receptor and response."""
