//! HTTP over our own listeners: connections, TLS with the service's certificates, limits. What is answered
//! is the [`Handler`]'s business. [`client`] asks other servers.
//!
//! A connection takes its place in the gate and shakes hands as the mail listeners' do, so that
//! clients that are too old are recognised here too; then hyper speaks HTTP/2 (by ALPN) or HTTP/1.1.
//!
//! What must hold: the time of a connection is bounded in every state ([`pulse`]); a body is
//! whole and within its limit before the handler sees it; a panic ends at most its
//! own connection; after the stop no new request is taken and [`serve`] returns when the last answer is sent.

pub mod client;
mod pipe;
mod pulse;

use crate::drive::Ends;
use crate::listen::{self, Bound, Full, Means};
use crate::stream::Stream;
use crate::tls::{self, Failure, accept};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{StatusCode, Version};
use http_body_util::{BodyExt, Full as Whole, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pipe::Pipe;
use proto::hello::{Alert, alert};
use proto::proof::{How, Security};
use proto::service::{Listener, Protection};
use pulse::Pulse;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A body to send: whole or in pieces.
pub type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// An answer.
pub type Response = http::Response<Body>;

/// Octets of an answer that one HTTP/2 stream holds ready beyond what its client takes.
const STREAM_SEND_BYTES_MAX: usize = 64 << 10;
/// Octets that a client may send on one HTTP/2 connection before we take them.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// HTTP/2 streams that a client opens and resets at once ("rapid reset"), before it is cut off.
const RESETS_MAX: usize = 20;
/// Fields in a request's header.
const HEADER_FIELDS_MAX: usize = 100;

/// Said to a client that speaks HTTP where HTTPS is spoken.
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 65\r\n\
    connection: close\r\n\r\nThis port speaks HTTPS: write https:// instead of http:// before\n";
/// Said in clear to a client that is turned away because a limit is reached.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\ncontent-length: 0\r\n\
    connection: close\r\n\r\n";

/// Every limit of an HTTP connection, with its default in `Default`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of a request's header (default 16 KiB).
    pub header_bytes_max: usize,
    /// Octets of a request's body (default 64 KiB).
    pub body_bytes_max: usize,
    /// From the first octet of a request to the end of its header (default 10).
    pub header_seconds_max: u32,
    /// From the end of a request's header to the end of its body (default 20).
    pub body_seconds_max: u32,
    /// From the end of a request to the beginning of its answer (default 60).
    pub answer_seconds_max: u32,
    /// Silence between requests (default 30).
    pub idle_seconds_max: u32,
    /// Requests at a time on one HTTP/2 connection (default 32).
    pub streams_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes_max: 16 << 10,
            body_bytes_max: 64 << 10,
            header_seconds_max: 10,
            body_seconds_max: 20,
            answer_seconds_max: 60,
            idle_seconds_max: 30,
            streams_max: 32,
        }
    }
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Addresses.
    pub ends: Ends,
    /// The row of the service model.
    pub listener: Arc<Listener>,
    /// How the connection is protected.
    pub security: Security,
}

/// Answers requests. The body of a request is whole and within the limit.
pub trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn handle(&self, peer: Peer, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>>;

    /// A client asked by ALPN for a protocol that is not the web's ([`crate::tls::Shared::acceptor_with_mail`]), and got
    /// it: carries that conversation to its end.
    fn other(
        &self,
        asked: &[u8],
        stream: Stream,
        security: Security,
        ends: Ends,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let _ = (asked, security, ends);
        Box::pin(async { drop(stream) })
    }

    /// A handshake failed.
    fn handshake_failed(&self, ends: Ends, failure: &Failure) {
        let _ = (ends, failure);
    }

    /// A connection was turned away because a limit is reached.
    fn turned_away(&self, ends: Ends, limit: Full) {
        let _ = (ends, limit);
    }
}

/// A body that is there already.
#[must_use]
pub fn whole(octets: impl Into<Bytes>) -> Body {
    Whole::new(octets.into()).boxed()
}

/// A body that comes in pieces, as they are put into the channel; it ends with the channel's senders. When the client
/// goes away the channel closes, and whoever fills it should stop ([`mpsc::Sender::closed`]).
#[must_use]
pub fn in_pieces(pieces: mpsc::Receiver<Bytes>) -> Body {
    Pieces(pieces).boxed()
}

struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|octets| Ok(Frame::data(octets))))
    }
}

/// Serves a web listener (implicit TLS or clear) until the service stops, then waits for the answers
/// that are under way, at most `stop_seconds_max`.
pub async fn serve(bound: Bound, handler: Arc<dyn Handler>, means: Means, limits: Limits) {
    // Every task holds a sender; the receiver wakes when all are gone.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let listener = Arc::new(bound.row());
    let name = listener.name.clone();
    let shutdown = means.shutdown.clone();
    let lane = Arc::new(Lane { listener, handler, means, limits });
    for socket in bound.into_sockets() {
        let (lane, alive) = (lane.clone(), alive.clone());
        let (name, shutdown) = (name.clone(), shutdown.clone());
        tokio::spawn(async move {
            listen::accept_all(socket, &name, shutdown, |tcp, peer| lane.admit(tcp, peer, &alive)).await;
        });
    }
    drop(alive);
    // Nothing is ever sent: this is the end of the last sender.
    let _ = all_gone.recv().await;
}

/// What the connections of a listener share.
struct Lane {
    listener: Arc<Listener>,
    handler: Arc<dyn Handler>,
    means: Means,
    limits: Limits,
}

impl Lane {
    fn encrypted(&self) -> bool {
        self.listener.protection != Protection::Clear
    }

    fn admit(self: &Arc<Lane>, tcp: TcpStream, peer: SocketAddr, alive: &mpsc::Sender<()>) {
        let Ok(local) = tcp.local_addr() else { return };
        let ends = Ends { peer: listen::canonical(peer), local: listen::canonical(local) };
        // An answer leaves when it is complete; Nagle would only hold it back.
        let _ = tcp.set_nodelay(true);
        match self.means.gate.enter(ends.peer.ip()) {
            Ok(place) => {
                let (lane, alive) = (self.clone(), alive.clone());
                tokio::spawn(async move {
                    lane.converse(tcp, ends).await;
                    drop((place, alive));
                });
            }
            Err(limit) => {
                let alert = alert(None, Alert::InternalError);
                // On a fresh connection there is room for it; if not, the close says it.
                let _ = tcp.try_write(if self.encrypted() { &alert } else { BUSY });
                self.handler.turned_away(ends, limit);
            }
        }
    }

    async fn converse(self: Arc<Lane>, tcp: TcpStream, ends: Ends) {
        let (stream, security) = if self.encrypted() {
            match Box::pin(self.handshake(tcp, ends)).await {
                Some(done) => done,
                None => return,
            }
        } else {
            (Stream::clear(tcp), Security::clear())
        };
        if let Some(name) = stream.alpn().filter(|name| !tls::WEB.contains(name)) {
            let name = name.to_vec();
            return self.handler.other(&name, stream, security, ends).await;
        }
        let version_2 = stream.alpn() == Some(b"h2");
        let peer = Peer { ends, listener: self.listener.clone(), security };
        let pulse = Arc::new(Pulse::new(self.limits, self.means.limits.stall_seconds_max, !version_2));
        let pipe = TokioIo::new(Pipe::new(stream, pulse.clone(), self.means.limits));
        let requests = {
            let (lane, pulse) = (self.clone(), pulse.clone());
            service_fn(move |request| {
                let (lane, peer) = (lane.clone(), peer.clone());
                let running = pulse.begin();
                async move {
                    let answer = lane.answer(peer, request).await;
                    running.moved();
                    Ok::<_, Infallible>(answer.map(|body| running.until_sent(body)))
                }
            })
        };
        let conversation = if version_2 {
            let speaker = self.speaker_2();
            let connection = speaker.serve_connection(pipe, requests);
            self.carry(pin!(connection), http2::Connection::graceful_shutdown, &pulse).await
        } else {
            let speaker = self.speaker_1();
            let connection = speaker.serve_connection(pipe, requests);
            self.carry(pin!(connection), http1::Connection::graceful_shutdown, &pulse).await
        };
        if let Err(error) = conversation {
            tracing::debug!(peer = %ends.peer, %error, "a web connection broke");
        }
    }

    fn speaker_1(&self) -> http1::Builder {
        let mut speaker = http1::Builder::new();
        speaker
            .timer(TokioTimer::new())
            // The pulse has the time.
            .header_read_timeout(None)
            .max_header_size(self.limits.header_bytes_max)
            .max_headers(HEADER_FIELDS_MAX)
            .max_buf_size(self.limits.header_bytes_max.max(8 << 10) * 2)
            .half_close(true);
        speaker
    }

    fn speaker_2(&self) -> http2::Builder<TokioExecutor> {
        let octets = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut speaker = http2::Builder::new(TokioExecutor::new());
        speaker
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_max)
            .max_header_list_size(octets(self.limits.header_bytes_max))
            .initial_stream_window_size(octets(self.limits.body_bytes_max))
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_send_buf_size(STREAM_SEND_BYTES_MAX);
        speaker
    }

    /// Lets hyper speak until the connection is over, its time is, or the service stops.
    async fn carry<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<&mut C>,
        shut: impl Fn(Pin<&mut C>),
        pulse: &Pulse,
    ) -> Result<(), String> {
        let mut shutdown = self.means.shutdown.clone();
        let grace = tokio::select! {
            biased;
            done = connection.as_mut() => return done.map_err(|error| error.to_string()),
            overdue = pulse.overdue() => match overdue {
                // It has nothing to say: it is told that we go, and has a moment to hear it.
                pulse::Overdue::Idle => self.means.limits.linger_seconds_max,
                pulse::Overdue::Header => return Err("the request's header takes too long".to_owned()),
                pulse::Overdue::Stalled => return Err("the peer takes nothing".to_owned()),
            },
            _ = shutdown.wait_for(|stop| *stop) => self.means.limits.stop_seconds_max,
        };
        shut(connection.as_mut());
        match tokio::time::timeout(Duration::from_secs(u64::from(grace)), connection).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err("the peer does not go".to_owned()),
        }
    }

    async fn handshake(&self, tcp: TcpStream, ends: Ends) -> Option<(Stream, Security)> {
        let Some(tls) = &self.means.tls else {
            tracing::error!("a web listener has no certificate: the operator must configure one");
            return None;
        };
        let mut shutdown = self.means.shutdown.clone();
        let accepted = tokio::select! {
            accepted = accept(tcp, How::Implicit, tls) => accepted,
            // A handshake that was not finished owes nobody an answer.
            _ = shutdown.wait_for(|stop| *stop) => return None,
        };
        let refused = match accepted {
            Ok(done) => return Some(done),
            // An authority has seen what it asked for.
            Err(refused) if refused.failure == Failure::Proven => return None,
            Err(refused) => refused,
        };
        self.handler.handshake_failed(ends, &refused.failure);
        if let Some(tcp) = refused.clear {
            // The line is short and the connection fresh.
            let _ = tcp.try_write(SPEAKS_HTTPS);
            let mut stream = Stream::clear(tcp);
            stream.close();
            let limit = Duration::from_secs(u64::from(self.means.limits.linger_seconds_max));
            stream.linger(limit, self.means.limits.linger_bytes_max).await;
        }
        None
    }

    /// Takes the body in, then asks the handler.
    async fn answer(&self, peer: Peer, request: http::Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let limits = self.limits;
        // Asked before a first octet is taken, so that `100 Continue` is not said to what will be refused.
        if body.size_hint().lower() > limits.body_bytes_max as u64 {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, head.version);
        }
        let taken = Limited::new(body, limits.body_bytes_max).collect();
        let body = match tokio::time::timeout(seconds(limits.body_seconds_max), taken).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return refusal(StatusCode::PAYLOAD_TOO_LARGE, head.version);
            }
            Ok(Err(_)) => return refusal(StatusCode::BAD_REQUEST, head.version),
            Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, head.version),
        };
        let version = head.version;
        let answer = self.handler.handle(peer, Request::from_parts(head, body));
        match tokio::time::timeout(seconds(limits.answer_seconds_max), answer).await {
            Ok(answer) => answer,
            Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE, version),
        }
    }
}

/// An answer that this room gives by itself; in HTTP/1.1 the connection ends with it, since the body
/// that follows would be taken for the next request.
fn refusal(status: StatusCode, version: Version) -> Response {
    let text = status.canonical_reason().unwrap_or("refused");
    let mut answer = Response::new(whole(format!("{} {text}\n", status.as_u16())));
    *answer.status_mut() = status;
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if version <= Version::HTTP_11 {
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_clear_http_has_the_length_that_it_says() {
        let text = std::str::from_utf8(SPEAKS_HTTPS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
