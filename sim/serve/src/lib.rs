//! A vfio-user server over the simulated card.
