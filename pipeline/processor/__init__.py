"""The parts of the log processor; pipeline/logs.py puts them together."""
