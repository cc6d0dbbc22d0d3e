//! The demo's forge, against real git and the answers that GitHub's schemas require.
