"""From stored rows to numbers: columns, summaries, statistics, comparisons, gates."""
