//! The wire of the link: one outbound WebSocket from a run's sidecar to the control plane.
//!
//! Every message is one JSON text frame. The sidecar dials `GET /link` with `Authorization: Bearer
//! <run identity>` and says [`Up::Hello`] first. The server takes the link by a new epoch in the
//! database and answers [`Down::Welcome`]. From then on:
//!
//! - what the sidecar says is a numbered [`Up::Frame`], from 1 without gaps over the life of one
//!   generation; the server stores its effect and the new high-water mark in one transaction and then
//!   says [`Down::Ack`]. After a reconnect the sidecar sends again all that is not acknowledged; what
//!   is at or below the high-water mark is acknowledged and not applied again;
//! - what the server says derives from the run's stream: an [`Instruction`] carries the version of the
//!   event it comes from, and the sidecar says in `Hello` up to which version it has carried them out.
//!   Instructions are idempotent;
//! - an [`Up::Answer`] answers a [`Down::Ask`] and is not kept: whoever asks again gets a new answer.

mod frame;
mod instruction;
mod output;

pub use frame::{Answered, Ask, Body, Canary, Door, Down, Fact, Job, SnapshotUpload, Up};
pub use instruction::{Instruct, Instruction};
pub use output::{Fold, Item, Message, Part};

/// The most bytes of one message as it is on the wire: a text of 1 MiB may take six times as many once
/// it is escaped.
pub const MAX_MESSAGE_BYTES: usize = 6 * 1024 * 1024 + 64 * 1024;

/// The most bytes of one numbered frame, and of a text before it is escaped with its envelope. What the
/// sidecar makes of the agent's output is cut to [`MAX_OUTPUT_BYTES`].
pub const MAX_FRAME_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// The most bytes of output in one frame.
pub const MAX_OUTPUT_BYTES: usize = 16 * 1024;
