"""The store as a process that takes a cancel for an end after a minute only, and lets statements
end for as long when it is stopped: a quick answer is one that comes before, and on a machine that
stands still for a second, or for ten, no answer would be quick."""

import sys

from pipeline.store.embedded import server, watch
from pipeline.store.embedded.__main__ import main

if __name__ == "__main__":
    watch._PATIENCE_S = 60.0
    server._GRACE_S = 60.0
    sys.exit(main())
