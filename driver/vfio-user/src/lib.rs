//! The vfio-user protocol.
