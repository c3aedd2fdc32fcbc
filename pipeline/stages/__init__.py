"""Pure functions on columns: decode, parse, join, multiline, trim, assemble."""
