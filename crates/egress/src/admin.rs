//! `/healthz` and `/readyz`, for whoever looks after the gateway.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Body, full, line},
    decision::DecisionLog,
    policy::Policies,
};

pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

pub(crate) async fn serve(
    listener: TcpListener,
    log: DecisionLog,
    policies: watch::Receiver<Option<Policies>>,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (log, policies, shutdown) = (log.clone(), policies.clone(), shutdown.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, &log, &policies);
                async { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            shutdown.run_until_cancelled(connection).await;
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    log: &DecisionLog,
    policies: &watch::Receiver<Option<Policies>>,
) -> Response<Body> {
    let runs = policies.borrow().as_ref().map(|policies| policies.runs.len());
    let status = match request.uri().path() {
        "/healthz" => StatusCode::OK,
        // Without policies it refuses whatever is asked of it.
        "/readyz" if runs.is_some() => StatusCode::OK,
        "/readyz" => StatusCode::SERVICE_UNAVAILABLE,
        _ => return line(StatusCode::NOT_FOUND, "only /healthz and /readyz"),
    };
    let (unsent, dropped) = log.figures();
    let figures = serde_json::json!({
        "runs": runs,
        "decisions_unsent": unsent,
        "decisions_dropped": dropped,
    });
    let mut response = Response::new(full(figures.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
