"""Detectors: each reads some kinds of events and says what it sees, as evidence."""
