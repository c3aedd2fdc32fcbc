"""Numbers that settings and code share. Imports nothing."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# A line longer than this is split. It is also the most that one chunk can hold, so that the
# worst case of zstd (a little more than its input) stays far below the 900 KiB of the contract.
MAX_CHUNK_RAW = 512 * KIB
