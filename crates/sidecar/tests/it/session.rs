use std::time::Duration;

use anyhow::ensure;
use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::post,
};
use domain::ids::MessageId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::Server;

/// A model that says one thing.
async fn model() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let router = Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn complete(Json(_): Json<Value>) -> Response {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        format!(
            "data: {}\n\n",
            json!({ "id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted", "choices": [choice] })
        )
    };
    let text = [
        chunk(json!({ "role": "assistant", "content": "It is done." }), Value::Null),
        chunk(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ];
    ([("content-type", "text/event-stream")], text.concat()).into_response()
}

#[tokio::test]
async fn a_prompt_sent_twice_is_one_prompt_and_its_answer_names_it() -> anyhow::Result<()> {
    let server = Server::start(&model().await?).await?;
    let client = server.client();
    let session = client.create_session("A test").await?;
    let message = MessageId::new(chrono::Utc::now(), Uuid::from_u128(42));
    for _ in 0..2 {
        client.prompt(&session.id, &message, "Do it.").await?;
    }
    for _ in 0..300 {
        let messages = client.messages(&session.id).await?;
        let typed: Vec<_> = messages.iter().filter_map(sidecar::opencode::Listed::typed).collect();
        let answer = typed.iter().find(|info| info.role == "assistant");
        if let Some(answer) = answer.filter(|answer| answer.time.completed.is_some()) {
            ensure!(answer.parent_id.as_deref() == Some(&*message.0), "{answer:?}");
            ensure!(answer.finish.as_deref() == Some("stop"), "{answer:?}");
            let prompts = typed.iter().filter(|info| info.role == "user").count();
            ensure!(prompts == 1, "{prompts} prompts");
            let texts = messages[0].parts.iter().filter(|part| part["type"] == "text").count();
            ensure!(texts == 1, "the text is there {texts} times");
            ensure!(client.permissions().await?.is_empty());
            ensure!(client.questions().await?.is_empty());
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("no answer: {:?}", client.messages(&session.id).await?)
}
