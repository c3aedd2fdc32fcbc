"""Pod metadata on the node: from the kubelet or from files to versions on the pods topic."""
