"""Helpers of the driver's numpy tests."""
