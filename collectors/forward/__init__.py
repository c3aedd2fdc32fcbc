"""Logs that clients hand over: the server side of the Fluent forward protocol."""
