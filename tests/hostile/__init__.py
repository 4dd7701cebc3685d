"""Servers that misbehave, one scenario a line; the real program must fail closed, say why, and end in time."""
