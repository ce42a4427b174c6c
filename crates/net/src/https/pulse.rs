//! The clock of one HTTP connection: which of its times is running, and when it is over.
//!
//! While no request is under way silence is bounded, and from the first octet of a request the end of
//! its header; while one is, an answer that the peer does not take. (How long a body and an answer may
//! take is bounded where they are made.) HTTP/2 connections carry octets that belong to no request
//! (pings, windows): there the header's time is the silence's.

use super::{Body, Limits};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What was waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing is asked.
    Idle,
    /// A request has begun and its header does not end.
    Header,
    /// The peer does not take what it asked for.
    Stalled,
}

pub(super) struct Pulse {
    idle: Duration,
    header: Duration,
    stall: Duration,
    /// Octets outside of requests begin one.
    octets_are_requests: bool,
    state: Mutex<State>,
    /// The deadline came nearer.
    nearer: Notify,
}

struct State {
    /// Requests whose answer is not handed out wholly.
    running: u32,
    /// Since when nothing is asked and nothing is sent.
    quiet_since: Instant,
    /// The first octet of a request whose header has not ended.
    header_since: Option<Instant>,
    /// The last time that anything went ahead with a running request.
    moved: Instant,
}

/// A request from the end of its header until its answer is handed out.
pub(super) struct Running(Arc<Pulse>);

impl Pulse {
    pub(super) fn new(limits: Limits, stall_seconds_max: u32, octets_are_requests: bool) -> Pulse {
        let now = Instant::now();
        Pulse {
            idle: super::seconds(limits.idle_seconds_max),
            header: super::seconds(limits.header_seconds_max),
            // A body and an answer that take too long have words of their own, which must come first.
            stall: super::seconds(
                stall_seconds_max.max(limits.body_seconds_max + 1).max(limits.answer_seconds_max + 1),
            ),
            octets_are_requests,
            state: Mutex::new(State { running: 0, quiet_since: now, header_since: None, moved: now }),
            nearer: Notify::new(),
        }
    }

    /// Octets came.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if self.octets_are_requests && state.running == 0 && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
            drop(state);
            self.nearer.notify_one();
        }
    }

    /// The peer took octets.
    pub(super) fn sent(&self) {
        let now = Instant::now();
        let mut state = self.state();
        (state.moved, state.quiet_since) = (now, now);
    }

    /// A request's header is whole.
    pub(super) fn begin(self: &Arc<Pulse>) -> Running {
        let mut state = self.state();
        state.running += 1;
        state.header_since = None;
        state.moved = Instant::now();
        drop(state);
        Running(self.clone())
    }

    /// Returns when a time is over, and which.
    pub(super) async fn overdue(&self) -> Overdue {
        loop {
            let (at, what) = self.deadline();
            if Instant::now() >= at {
                return what;
            }
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.nearer.notified() => {}
            }
        }
    }

    fn deadline(&self) -> (Instant, Overdue) {
        let state = self.state();
        match (state.running, state.header_since) {
            (0, Some(since)) => (since + self.header, Overdue::Header),
            (0, None) => (state.quiet_since + self.idle, Overdue::Idle),
            _ => (state.moved + self.stall, Overdue::Stalled),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// The handler has answered.
    pub(super) fn moved(&self) {
        self.0.state().moved = Instant::now();
    }

    /// The same body; the request ends when it is handed out or dropped.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Watched { body, _running: self }.boxed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        state.quiet_since = Instant::now();
        drop(state);
        // Silence may end sooner than the stall would have.
        self.0.nearer.notify_one();
    }
}

struct Watched {
    body: Body,
    _running: Running,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(octets_are_requests: bool) -> Arc<Pulse> {
        let limits = Limits {
            header_seconds_max: 10,
            idle_seconds_max: 30,
            body_seconds_max: 1,
            answer_seconds_max: 1,
            ..Limits::default()
        };
        Arc::new(Pulse::new(limits, 60, octets_are_requests))
    }

    fn in_seconds(pulse: &Pulse) -> (u64, Overdue) {
        let (at, what) = pulse.deadline();
        // Rounded up: a moment has passed since the pulse was made.
        ((at - Instant::now()).as_millis().div_ceil(1000) as u64, what)
    }

    #[test]
    fn each_state_has_its_time() {
        let clear = pulse(true);
        assert_eq!(in_seconds(&clear), (30, Overdue::Idle));
        clear.received();
        assert_eq!(in_seconds(&clear), (10, Overdue::Header));
        let request = clear.begin();
        assert_eq!(in_seconds(&clear), (60, Overdue::Stalled));
        clear.received();
        assert_eq!(in_seconds(&clear), (60, Overdue::Stalled));
        drop(request);
        assert_eq!(in_seconds(&clear), (30, Overdue::Idle));
    }

    #[test]
    fn frames_that_ask_nothing_keep_no_connection() {
        let framed = pulse(false);
        framed.received();
        assert_eq!(in_seconds(&framed), (30, Overdue::Idle));
        let (first, second) = (framed.begin(), framed.begin());
        drop(first);
        assert_eq!(in_seconds(&framed), (60, Overdue::Stalled));
        drop(second);
        assert_eq!(in_seconds(&framed), (30, Overdue::Idle));
    }
}
