//! The scripted model by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use paddock_tests::{
    model::{Config, start},
    serving::Serving,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const KEY: &str = "model-key-4711";

struct OwnModel {
    dir: tempfile::TempDir,
    serving: Serving,
    http: reqwest::Client,
}

impl OwnModel {
    async fn start() -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir()?;
        let serving = start(Config {
            listen: ([127, 0, 0, 1], 0).into(),
            scenarios: None,
            log: dir.path().join("log"),
            key: Some(KEY.to_owned()),
        })
        .await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { dir, serving, http })
    }

    fn request(&self, body: &Value) -> RequestBuilder {
        let url = format!("{}/chat/completions", self.serving.url());
        self.http.post(url).bearer_auth(KEY).header("x-session-id", "ses_1").json(body)
    }

    async fn ask(&self, prompt: &str, stream: bool) -> anyhow::Result<Response> {
        let body = json!({
            "model": "scripted", "stream": stream, "stream_options": { "include_usage": stream },
            "messages": [{ "role": "user", "content": prompt }],
            "tools": [{ "type": "function", "function": { "name": "bash" } }],
        });
        Ok(self.request(&body).send().await?)
    }

    fn log(&self) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.dir.path().join("log"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// The chunks of a stream; it must end as OpenAI's do.
async fn chunks(answer: Response) -> anyhow::Result<Vec<Value>> {
    ensure!(answer.headers()["content-type"] == "text/event-stream", "{answer:?}");
    let text = answer.text().await?;
    let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    ensure!(data.pop() == Some("[DONE]"), "{text}");
    data.into_iter().map(|chunk| Ok(serde_json::from_str(chunk)?)).collect()
}

fn said(chunks: &[Value]) -> String {
    let pieces = chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str());
    pieces.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_without_the_key() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    let models = format!("{}/models", model.serving.url());
    let chat = format!("{}/chat/completions", model.serving.url());
    for key in [None, Some("other")] {
        for request in [model.http.get(&models), model.http.post(&chat).json(&json!({}))] {
            let request = match key {
                Some(key) => request.bearer_auth(key),
                None => request,
            };
            let answer = request.send().await?;
            ensure!(answer.status() == StatusCode::UNAUTHORIZED, "{answer:?}");
            let body: Value = answer.json().await?;
            ensure!(body["error"]["message"].is_string(), "{body}");
        }
    }
    ensure!(model.log()?.is_empty(), "they are on the log");
    let list: Value = model.http.get(&models).bearer_auth(KEY).send().await?.json().await?;
    ensure!(list["data"][0]["id"] == "scripted", "{list}");
    let broken = model.http.post(&chat).bearer_auth(KEY).body("{").send().await?;
    ensure!(broken.status() == StatusCode::BAD_REQUEST, "{broken:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_holds_what_the_whole_answer_holds() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    let prompt = "[scenario: ask-question] Go.";
    let whole: Value = model.ask(prompt, false).await?.json().await?;
    let call = &whole["choices"][0]["message"]["tool_calls"][0];
    ensure!(whole["choices"][0]["finish_reason"] == "tool_calls", "{whole}");
    let streamed = chunks(model.ask(prompt, true).await?).await?;
    let calls = streamed.iter().map(|it| &it["choices"][0]["delta"]["tool_calls"][0]);
    let calls: Vec<&Value> = calls.filter(|call| call.is_object()).collect();
    ensure!(calls[0]["id"] == call["id"], "the same request, another id");
    ensure!(calls[0]["function"]["name"] == "question", "{calls:?}");
    let arguments = calls.iter().filter_map(|call| call["function"]["arguments"].as_str());
    let arguments = arguments.collect::<String>();
    ensure!(call["function"]["arguments"] == arguments.as_str(), "{arguments}");
    let usage = &streamed.last().context("nothing came")?["usage"];
    ensure!(usage == &whole["usage"] && usage["total_tokens"].is_u64(), "{usage}");
    let finishes = streamed.iter().filter_map(|it| it["choices"][0]["finish_reason"].as_str());
    ensure!(finishes.collect::<Vec<_>>() == ["tool_calls"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_fails_for_ever_or_as_often_as_it_says() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    for _ in 0..3 {
        let down = model.ask("[scenario: fail-500] Go.", true).await?;
        ensure!(down.status() == StatusCode::INTERNAL_SERVER_ERROR);
        let body: Value = down.json().await?;
        ensure!(body["error"]["message"] == "the model is down for maintenance", "{body}");
    }
    let refused = model.ask("[scenario: fail-400] Go.", true).await?;
    ensure!(refused.status() == StatusCode::BAD_REQUEST);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(model.ask("[scenario: fail-twice] Go.", true).await?.status().as_u16());
    }
    ensure!(statuses == [503, 503, 200, 200], "{statuses:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hangs_breaks_off_and_talks_nonsense() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    let mut body = model.ask("[scenario: never-finish] Go.", true).await?.bytes_stream();
    let mut pieces = 0;
    while let Ok(Some(piece)) = tokio::time::timeout(Duration::from_millis(300), body.next()).await
    {
        piece?;
        pieces += 1;
    }
    ensure!(pieces > 0, "it says nothing before it hangs");
    ensure!(
        tokio::time::timeout(Duration::from_millis(300), body.next()).await.is_err(),
        "it ends"
    );

    let mut body = model.ask("[scenario: cut-off] Go.", true).await?.bytes_stream();
    let (mut text, mut broke) = (String::new(), false);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
            Err(_) => broke = true,
        }
    }
    ensure!(broke && text.contains("I was about to say"), "{text}");
    let again = chunks(model.ask("[scenario: cut-off] Go.", true).await?).await?;
    ensure!(said(&again) == "I was about to say something.", "{again:?}");

    let garbage = model.ask("[scenario: garbage] Go.", true).await?.text().await?;
    ensure!(garbage.contains("502 Bad Gateway"), "{garbage}");
    let again = chunks(model.ask("[scenario: garbage] Go.", true).await?).await?;
    ensure!(said(&again) == "I am sorry.", "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_lines_come_whole_and_slow_takes_its_time() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    let begin = Instant::now();
    let slow = async {
        let chunks = chunks(model.ask("[scenario: slow] Go.", true).await?).await?;
        anyhow::Ok((chunks.len(), begin.elapsed()))
    };
    let lines = async { chunks(model.ask("[scenario: numbered-lines] Go.", true).await?).await };
    let (slow, lines) = tokio::try_join!(slow, lines)?;
    let text = said(&lines);
    ensure!(text.lines().count() == 20_000);
    ensure!(text.lines().zip(1..).all(|(line, number)| line == format!("line {number}")));
    ensure!(slow.1 > Duration::from_secs(6) && slow.1 < Duration::from_secs(20), "{slow:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_the_conversation_and_no_key() -> anyhow::Result<()> {
    let model = OwnModel::start().await?;
    model.ask("[scenario: hostile-output] Go.", true).await?.text().await?;
    let text = std::fs::read_to_string(model.dir.path().join("log"))?;
    ensure!(!text.contains(KEY), "the key is on the log");
    let log = model.log()?;
    ensure!(log.len() == 1 && log[0]["session"] == "ses_1", "{log:?}");
    ensure!(log[0]["messages"][0]["content"] == "[scenario: hostile-output] Go.", "{log:?}");
    ensure!(log[0]["scenario"] == "hostile-output" && log[0]["step"] == 0, "{log:?}");
    let digest = hex::encode(Sha256::digest(format!("Bearer {KEY}")));
    ensure!(log[0]["authorization_sha256"] == digest.as_str(), "{log:?}");
    Ok(())
}
