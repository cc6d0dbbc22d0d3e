//! Policies, with and without a control plane.
