"""Rewards, samples, advantages, the loss, and one fused update of every member."""
