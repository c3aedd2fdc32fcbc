"""The store: the door to ClickHouse, its migrations, and the embedded engine."""
