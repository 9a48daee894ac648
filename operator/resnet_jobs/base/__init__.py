"""What every room uses: errors, files, archives, clocks, the pod's folders."""
