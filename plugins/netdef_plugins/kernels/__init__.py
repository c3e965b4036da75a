"""Compiled loops: arrays in, arrays out, no layer knowledge; import the module you need, when you need it."""
