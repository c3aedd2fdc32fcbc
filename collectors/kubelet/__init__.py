"""The way to this node's kubelet: address, token, certificate, and what its refusals mean."""
