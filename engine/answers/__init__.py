"""Reading of what a model said: its thoughts left out, its refusals told, its answer found."""
