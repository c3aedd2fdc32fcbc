"""Where alerts go: one module each. A receiver turns a message into the far side's own form."""
