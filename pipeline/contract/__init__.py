"""Every word that two processes must agree on. A leaf: imports the standard library only."""
