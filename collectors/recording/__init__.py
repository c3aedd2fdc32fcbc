"""Recordings of real nodes, played through the real collectors in virtual time."""
