"""Log files: discover, identify, tail, positions, gaps."""
