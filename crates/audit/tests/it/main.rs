//! What the audit finds, and what agrees with it.

mod log;
mod oracle;
mod tamper;
mod vectors;
