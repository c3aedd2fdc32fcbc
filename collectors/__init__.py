"""On every node: bytes on disk become records on a topic."""
