"""Pages of results: a local web application, and the same pages as files."""
