"""The layer families that ship with netdef, each a plugin like any other."""
