"""Parts of the data path of the event log: events to rows, the fold at an offset, snapshots."""
