//! The accept loop of the public side: HTTP/1.1 and HTTP/2 with prior knowledge.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_io_timeout::TimeoutStream;

use super::{Context, activity::Activity, service};
use crate::lifecycle::Lifecycle;

/// Longest head of a request, in bytes; Synapse takes lines of 16 KiB.
const MAX_HEAD: u32 = 64 * 1024;

/// Bytes in flight on a stream of HTTP/2.
const H2_WINDOW: u32 = 128 * 1024;

/// Most headers of a request.
const MAX_HEADERS: usize = 128;

/// Pause after the kernel refused a connection, typically for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the listener is to be closed. Connections are tasks of `lifecycle` and may outlive this.
pub async fn serve(listener: TcpListener, context: Arc<Context>, lifecycle: Lifecycle) {
    let builder = Arc::new(builder(&context));
    let accepting = async {
        loop {
            let (stream, peer) = accept(&listener).await;
            let place = Arc::clone(&context.bounds.connections).acquire_owned().await.expect("never closed");
            let (context, builder, watched) = (Arc::clone(&context), Arc::clone(&builder), lifecycle.clone());
            lifecycle.tasks().spawn(async move {
                let _place = place;
                connection(stream, peer, &builder, &context, &watched).await;
            });
        }
    };
    lifecycle.closing().run_until_cancelled(accepting).await;
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
        .max_buf_size(MAX_HEAD as usize)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD)
        .max_concurrent_streams(64)
        // What a connection may have in flight in either direction is memory outside every budget, so it is little.
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(4 * H2_WINDOW)
        .max_send_buf_size(H2_WINDOW as usize)
        .keep_alive_interval(bounds.stall)
        .keep_alive_timeout(bounds.stall);
    builder
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    builder: &Builder<TokioExecutor>,
    context: &Arc<Context>,
    lifecycle: &Lifecycle,
) {
    let _best_effort = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    // A reader who takes nothing for this long must not keep a spool alive. Reading has limits of its own: for heads
    // and for bodies, but none while a client waits for an answer.
    stream.set_write_timeout(Some(context.bounds.stall));
    let activity = Activity::new();
    let service = service_fn(|request| service::answer(Arc::clone(context), peer.ip(), activity.begin(), request));
    let io = TokioIo::new(Box::pin(stream));
    let mut serving = std::pin::pin!(builder.serve_connection(io, service));
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
