"""What runs inside the jail, beside a model's program: sent there as text, never imported here."""
