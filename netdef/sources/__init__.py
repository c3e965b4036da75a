"""Readers: from a pass number to the arrays of that pass, with no knowledge of layers."""
