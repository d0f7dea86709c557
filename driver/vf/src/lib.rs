//! The life of a virtual function: made, bound to vfio-pci, listed, released.
