//! The accept loop of the public side: HTTP/1.1 and HTTP/2 with prior knowledge.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::{
    Context,
    activity::Activity,
    dispatch::Peer,
    service,
    tls::{self, Tls},
    watch::{MAX_HEAD, Watched},
};
use crate::lifecycle::Lifecycle;

/// Bytes in flight on a stream of HTTP/2.
const H2_WINDOW: u32 = 128 * 1024;

/// Most headers of a request.
const MAX_HEADERS: usize = 128;

/// Pause after the kernel refused a connection, typically for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the listener is to be closed. Connections are tasks of `lifecycle` and may outlive this.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, context: Arc<Context>, lifecycle: Lifecycle) {
    let builder = Arc::new(builder(&context));
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let accepting = async {
        loop {
            let (stream, peer) = accept(&listener).await;
            let place = Arc::clone(&context.bounds.connections).acquire_owned().await.expect("never closed");
            let (context, builder, watched) = (Arc::clone(&context), Arc::clone(&builder), lifecycle.clone());
            let acceptor = acceptor.clone();
            lifecycle.tasks().spawn(async move {
                let _place = place;
                let _best_effort = stream.set_nodelay(true);
                let address = peer.ip();
                let Some(acceptor) = acceptor else {
                    return connection(stream, Peer { address, scheme: "http" }, &builder, &context, &watched).await;
                };
                if let Some(stream) = secured(&acceptor, stream, &context, &watched).await {
                    connection(stream, Peer { address, scheme: "https" }, &builder, &context, &watched).await;
                }
            });
        }
    };
    let reloading = async {
        match tls {
            Some(tls) => tls.watch().await,
            None => std::future::pending().await,
        }
    };
    lifecycle.closing().run_until_cancelled(async { tokio::join!(accepting, reloading) }).await;
}

/// The connection after its handshake, if that succeeded before the listener is to be closed.
async fn secured(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    context: &Context,
    lifecycle: &Lifecycle,
) -> Option<tls::Secured> {
    let handshake = tls::handshake(acceptor, stream, context.bounds.head);
    let outcome = lifecycle.closing().run_until_cancelled(handshake).await?;
    outcome.inspect_err(|error| tracing::debug!(%error, "TLS handshake failed")).ok()
}

/// The next connection. A failure to accept is not the listener's end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => (),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder(context: &Context) -> Builder<TokioExecutor> {
    let bounds = &context.bounds;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_concurrent_streams(64)
        // What a connection may have in flight in either direction is memory outside every budget, so it is little.
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(4 * H2_WINDOW)
        .max_send_buf_size(H2_WINDOW as usize)
        .keep_alive_interval(bounds.stall)
        .keep_alive_timeout(bounds.stall);
    builder
}

async fn connection<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    peer: Peer,
    builder: &Builder<TokioExecutor>,
    context: &Arc<Context>,
    lifecycle: &Lifecycle,
) {
    let mut stream = TimeoutStream::new(stream);
    // A reader who takes nothing for this long must not keep a spool alive. Reading has limits of its own: for heads
    // and for bodies, but none while a client waits for an answer.
    stream.set_write_timeout(Some(context.bounds.stall));
    let activity = Activity::new();
    let (stream, heads) = Watched::new(Box::pin(stream));
    let service = service_fn(|request: Request<Incoming>| {
        let head = heads.next();
        service::answer(Arc::clone(context), peer, activity.begin(), head, request)
    });
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = activity.idle_for(context.bounds.head) => return,
        () = lifecycle.closing().cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = serving => outcome,
                () = lifecycle.dropping().cancelled() => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}
