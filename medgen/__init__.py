"""The one name outside the repository; in a clone its folders are links to the six beside it."""
