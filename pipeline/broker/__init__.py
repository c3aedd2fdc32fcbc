"""The bus: one protocol; Apache Kafka, SQLite and memory behind it."""
