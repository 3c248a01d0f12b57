"""A run checked from its database alone: prompts, verdicts, rewards, log-probabilities."""

from redqueen.verify.display import print_verification
from redqueen.verify.findings import CheckCount, Difference, VerifyReport
from redqueen.verify.verify import verify_run

__all__ = ["CheckCount", "Difference", "VerifyReport", "print_verification", "verify_run"]
