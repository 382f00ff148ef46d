"""Messages to a chat model, the questions put to it, and quoted text."""
