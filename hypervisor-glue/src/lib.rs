//! A thin KVM hypervisor.
