"""Log configuration: what is wished for which container's logs, from whom, and who wins."""
