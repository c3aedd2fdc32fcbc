"""What people use: commands, and the writer that feeds the demo and the tests."""
