"""Entries of journald and of the kernel: from a child process or /dev/kmsg to the broker."""
