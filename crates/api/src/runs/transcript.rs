use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use projections::{Cursor, NotACursor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    output::{Assembled, Before, Cut, Page, Whole},
    problem::{Answer, Problem},
    request::{Id, Params, Segments, id},
    state::AppState,
};

/// The most characters of a single string of a message.
const MOST: usize = 2_000;

/// Which part of the transcript.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TranscriptQuery {
    /// The `next` of the page after: the parts before those. The newest parts unless told otherwise.
    before: Option<String>,
    /// How many parts, 1 to 200; 100 unless told otherwise. A page of very long parts has fewer.
    limit: Option<u32>,
}

/// A page of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TranscriptBody {
    /// In the order of time.
    items: Vec<TranscriptPart>,
    /// What to send as `before` for the parts before these; null at the transcript's beginning.
    next: Option<String>,
    /// The newest item of the output that this includes: the topic `output:<run>@<seq>` goes on from there.
    seq: u64,
}

/// A part of what the agent put out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TranscriptPart {
    /// The agent's id of it.
    id: String,
    /// The agent's id of its message.
    message_id: String,
    /// Whose message it is, `user` or `assistant`; null where the agent did not say.
    role: Option<String>,
    /// The agent's own JSON of it, by its `type`; of type `gap` where something was left out, with a `reason`.
    /// Hostile: show it as text.
    #[schema(value_type = Object)]
    part: Value,
    /// What is known of its message.
    message: MessageBody,
    /// The strings that are cut here: their beginning and end are kept.
    cut: Vec<CutBody>,
}

/// What is known of a message.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct MessageBody {
    created: Option<DateTime<Utc>>,
    completed: Option<DateTime<Utc>>,
    /// As provider/model.
    model: Option<String>,
    /// In US dollars, by the agent's own count.
    cost: Option<f64>,
    tokens: Option<MessageTokens>,
    /// Why it failed, in the agent's or model's own words. Hostile: show it as text.
    error: Option<String>,
}

/// What a message used, by the agent's own count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageTokens {
    input: u64,
    output: u64,
    reasoning: u64,
    cached: u64,
}

/// A string that is cut.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CutBody {
    /// Where it is: a JSON pointer into the part.
    field: String,
    /// How long it is, in bytes.
    bytes: u64,
}

impl From<Cut> for CutBody {
    fn from(cut: Cut) -> Self {
        Self { field: cut.field, bytes: cut.bytes }
    }
}

impl TranscriptPart {
    fn of(assembled: Assembled, info: Option<&Value>) -> Self {
        let text = |value: &Value| value.as_str().map(bounded);
        Self {
            id: assembled.id,
            message_id: assembled.message,
            role: info.and_then(|info| text(&info["role"])),
            message: info.map(MessageBody::of).unwrap_or_default(),
            part: assembled.part,
            cut: assembled.cut.into_iter().map(Into::into).collect(),
        }
    }
}

impl MessageBody {
    /// Looks into the agent's own JSON of a message, hostile as it is.
    fn of(info: &Value) -> Self {
        let time = |name: &str| {
            info["time"][name].as_f64().and_then(|ms| {
                #[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
                DateTime::from_timestamp_millis(ms as i64)
            })
        };
        let named = |provider: &Value, model: &Value| {
            let (provider, model) = (provider.as_str()?, model.as_str()?);
            Some(bounded(&format!("{provider}/{model}")))
        };
        let model = named(&info["providerID"], &info["modelID"])
            .or_else(|| named(&info["model"]["providerID"], &info["model"]["modelID"]));
        let error = &info["error"];
        let words = [&error["data"]["message"], &error["message"], &error["name"], error];
        let tokens = &info["tokens"];
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        Self {
            created: time("created"),
            completed: time("completed"),
            model,
            cost: info["cost"].as_f64(),
            tokens: tokens.is_object().then(|| MessageTokens {
                input: count(&tokens["input"]),
                output: count(&tokens["output"]),
                reasoning: count(&tokens["reasoning"]),
                cached: count(&tokens["cache"]["read"]),
            }),
            error: words.into_iter().find_map(|words| words.as_str().map(bounded)),
        }
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MOST)].to_owned()
}

/// Shows a run's transcript, a page at a time and backwards: the newest parts first of all.
#[utoipa::path(get, path = "/api/v1/runs/{id}/transcript", operation_id = "getRunTranscript", tag = "runs",
    params(("id" = Uuid, Path), TranscriptQuery),
    responses((status = 200, description = "Some parts, in the order of time", body = TranscriptBody)))]
pub(crate) async fn get_run_transcript(
    State(state): State<AppState>,
    _caller: Caller,
    Id(run): Id<RunId>,
    Params(query): Params<TranscriptQuery>,
) -> Answer<Json<TranscriptBody>> {
    let limit @ 1..=200 = query.limit.unwrap_or(100) else {
        return Err(Problem::malformed("limit", "must be from 1 to 200"));
    };
    let list = format!("transcript {run}");
    let before = query.before.as_deref().map(|cursor| before(&list, cursor)).transpose();
    let before = before.map_err(|error| Problem::malformed("before", error))?;
    state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let Page { parts, next, seq } = state.outputs.page(run, before, limit).await?;
    let items = parts.into_iter().map(|(part, info)| TranscriptPart::of(part, info.as_ref()));
    let next = next.map(|next| {
        let key = format!("{} {}", packed(&next.message), packed(&next.part));
        Cursor::after(&list, key).encode()
    });
    Ok(Json(TranscriptBody { items: items.collect(), next, seq }))
}

fn packed(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn before(list: &str, cursor: &str) -> Result<Before, NotACursor> {
    let key: String = Cursor::key(list, cursor)?;
    let (message, part) = key.split_once(' ').ok_or(NotACursor)?;
    let unpacked = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| NotACursor);
    Ok(Before { message: unpacked(message)?, part: unpacked(part)? })
}

/// A part, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholePart {
    /// The agent's own JSON of it. Hostile: show it as text.
    #[schema(value_type = Object)]
    part: Value,
}

/// Shows one part of a run's transcript with nothing cut.
#[utoipa::path(get, path = "/api/v1/runs/{id}/parts/{part}", operation_id = "getRunPart", tag = "runs",
    params(("id" = Uuid, Path), ("part" = String, Path)),
    responses((status = 200, description = "The part", body = WholePart)))]
pub(crate) async fn get_run_part(
    State(state): State<AppState>,
    _caller: Caller,
    Segments((run, part)): Segments<(String, String)>,
) -> Answer<Json<WholePart>> {
    let run: RunId = id("id", &run)?;
    state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    match state.outputs.part(run, &part).await? {
        Whole::Part(part) => Ok(Json(WholePart { part })),
        Whole::Missing => Err(Problem::not_found("part")),
        Whole::TooLarge(bytes) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "part-too-large",
            "The part is too large to be shown whole",
        )
        .detail(format!("it has {bytes} bytes; the run's output holds it piece by piece"))),
    }
}
