"""Systems that need no weights: ceiling, floor, no-op, classical, replay, injected faults."""
