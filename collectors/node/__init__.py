"""What this node is like: kubelet endpoints, host facts, growth of logs, paths, the black box."""
