"""Effects of trials become pooled estimates."""
