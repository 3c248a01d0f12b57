"""Errors with one clear sentence for the user."""


class RedQueenError(Exception):
    """A failure with one clear sentence for the user; the CLI prints it without a traceback."""


class ConfigError(RedQueenError):
    """Bad input from the user: names the key or file and the remedy."""


class InfrastructureError(RedQueenError):
    """An infrastructure error (sandbox down, disk full). Stops the run; never becomes a reward."""


class DamagedRowError(InfrastructureError):
    """A row of a run database that is not as the project writes it."""
