//! What is asked of a running Lazaret: `lazaret epoch bump`, `lazaret reload`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context as _;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;

use crate::config::Config;

/// The operators' side does nothing that takes long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than any answer of the operators' side.
const MAX_ANSWER: usize = 64 * 1024;

/// Asks the operators' side of the running process for `path`, and prints what it says.
pub(super) fn post(config: &Config, path: &str) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admin = reachable(config.admin.listen);
    let asked = runtime.block_on(async { timeout(TIMEOUT, send(admin, path)).await });
    let unreachable = || format!("Lazaret's operators' side at {admin} cannot be asked; is it running?");
    let (succeeded, text) = asked.map_err(anyhow::Error::from).flatten().with_context(unreachable)?;
    print!("{text}");
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An address to connect to, where the configuration may say "any".
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

async fn send(admin: SocketAddr, path: &str) -> anyhow::Result<(bool, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("http://{admin}{path}")).body(Empty::<Bytes>::new())?;
    let answer = client.request(request).await?;
    let succeeded = answer.status().is_success();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((succeeded, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
