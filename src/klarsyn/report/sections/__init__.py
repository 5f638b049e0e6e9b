"""One file a question of the page."""
