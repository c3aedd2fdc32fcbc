"""The embedded endpoint: the real ClickHouse engine behind a small server of its own."""
