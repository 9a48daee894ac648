"""What the cluster holds, listed, watched and indexed."""
