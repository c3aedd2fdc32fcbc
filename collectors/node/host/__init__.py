"""Facts of the host: /proc, disks, and what systemd says of the kubelet and the runtime."""
