"""From topics to tables: the bus, the pure stages, the store, and the data path of logs."""
