"""What runs inside the jail, under the system's Python: the standard library is all it may use."""
