"""What watches a run: one file a callback."""
