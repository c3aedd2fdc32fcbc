"""Laid beside the driver's test modules, whose own helpers its sdist leaves out."""
