//! What the stream carries. Each message is an event of the name that its type here says, with this as its
//! data.

use link::Item;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    runs::{RunBody, TimelineBody},
    sessions::SessionBody,
    system::SystemBody,
};

/// Any message of the stream of events, by the name of its event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "each is made and sent at once")]
pub(crate) enum EventMessage {
    /// `hello`: the first one.
    Hello(HelloEvent),
    /// `session`: a session changed.
    Session(SessionEvent),
    /// `reset`: too much changed to be told; load the list anew.
    Reset(ResetEvent),
    /// `run`: something happened to a run.
    Run(RunEvent),
    /// `output`: the agent put something out.
    Output(OutputEvent),
    /// `output-end`: nothing more will come.
    OutputEnd(OutputEndEvent),
    /// `changes`: a run's diff changed.
    Changes(ChangesEvent),
    /// `system`: how the installation's parts are, at once and at each change.
    System(SystemEvent),
    /// `gone`: there is no such run; the other topics go on.
    Gone(GoneEvent),
}

impl EventMessage {
    /// The event's name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Session(_) => "session",
            Self::Reset(_) => "reset",
            Self::Run(_) => "run",
            Self::Output(_) => "output",
            Self::OutputEnd(_) => "output-end",
            Self::Changes(_) => "changes",
            Self::System(_) => "system",
            Self::Gone(_) => "gone",
        }
    }
}

/// The first message of a stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct HelloEvent {
    /// The server's version.
    pub(super) server: String,
    /// The log's epoch: places of another one mean nothing. Null while the database is away.
    pub(super) epoch: Option<String>,
}

/// A session changed, or is gone: one of `session` and `removed` is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionEvent {
    /// `sessions`
    pub(super) topic: String,
    /// Where to go on.
    pub(super) at: String,
    /// The session as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) session: Option<SessionBody>,
    /// The session that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) removed: Option<Uuid>,
}

/// Too much changed to be told.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResetEvent {
    pub(super) topic: String,
    /// Where it goes on: what came before is not told.
    pub(super) at: String,
}

/// Something happened to a run.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunEvent {
    /// `run:<id>`
    pub(super) topic: String,
    /// Where to go on.
    pub(super) at: String,
    /// The run as it is now.
    pub(super) run: RunBody,
    /// What happened since the last message, in order.
    pub(super) events: Vec<TimelineBody>,
}

/// The agent put something out.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutputEvent {
    /// `output:<id>`
    pub(super) topic: String,
    /// Where to go on: the number of the last item.
    pub(super) at: String,
    /// At most 256, in order.
    pub(super) items: Vec<OutputItem>,
}

/// Nothing more will come of a run's output.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutputEndEvent {
    /// `output:<id>`
    pub(super) topic: String,
    pub(super) at: String,
}

/// A run's diff changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangesEvent {
    /// `changes:<id>`
    pub(super) topic: String,
}

/// How the installation's parts are.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemEvent {
    /// `system`
    pub(super) topic: String,
    pub(super) system: SystemBody,
}

/// There is no such run.
#[derive(Serialize, ToSchema)]
pub(crate) struct GoneEvent {
    pub(super) topic: String,
}

/// One item of output, by its number.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutputItem {
    pub(super) seq: u64,
    #[serde(flatten)]
    item: ItemBody,
}

/// What an item says. Hostile: show it as text.
#[derive(Serialize, ToSchema)]
#[serde(tag = "item", rename_all = "snake_case")]
enum ItemBody {
    /// A message began or its information changed: the newest counts.
    Message {
        id: String,
        /// The agent's own JSON of it.
        #[schema(value_type = Object)]
        info: Value,
    },
    /// A part began or changed: the newest counts. Its texts come as items of their own.
    Part {
        message: String,
        id: String,
        /// The agent's own JSON of it, without those texts.
        #[schema(value_type = Object)]
        part: Value,
    },
    /// More of a part's text.
    Text {
        part: String,
        /// Where it belongs: a JSON pointer into the part.
        field: String,
        /// How many bytes of UTF-8 came before; 0 begins it anew. A piece that does not fit is a repeat.
        offset: u64,
        text: String,
    },
    /// The agent took a part or a message back.
    Removed { id: String },
    /// Something was left out.
    Gap { reason: String },
}

impl OutputItem {
    pub(super) fn of(seq: u64, item: Item) -> Self {
        let item = match item {
            Item::Message { id, info } => ItemBody::Message { id, info },
            Item::Part { message, id, part } => ItemBody::Part { message, id, part },
            Item::Text { part, field, offset, text } => {
                ItemBody::Text { part, field, offset, text }
            }
            Item::Removed { id } => ItemBody::Removed { id },
            Item::Gap { reason } => ItemBody::Gap { reason },
        };
        Self { seq, item }
    }
}
