"""What people read of a run: tables, pages, exports."""
