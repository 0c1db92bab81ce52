"""Generated from `snapshotd/csi/proto/csi.proto` by `just proto`: never edited."""
