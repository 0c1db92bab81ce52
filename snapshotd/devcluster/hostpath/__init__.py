"""A CSI driver that keeps volumes and snapshots as real directories."""
