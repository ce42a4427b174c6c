//! Work that goes on behind an answer, counted so that a stop can wait for it.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Background tasks at once; more wait, which slows whoever starts them.
const TASKS_MAX: usize = 256;

/// A group of background tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    room: Arc<Semaphore>,
    running: Arc<watch::Sender<usize>>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks { room: Arc::new(Semaphore::new(TASKS_MAX)), running: Arc::new(watch::Sender::new(0)) }
    }
}

impl Tasks {
    /// Starts a task; waits while too many run.
    pub async fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        // The semaphore is never closed, so a permit always comes.
        let permit = self.room.clone().acquire_owned().await.ok();
        let running = Running::new(self.running.clone());
        tokio::spawn(async move {
            work.await;
            drop((running, permit));
        });
    }

    /// Returns when none is running.
    pub async fn finished(&self) {
        let mut watch = self.running.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = watch.wait_for(|running| *running == 0).await;
    }
}

/// Counts one task, also when it panics.
struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn new(count: Arc<watch::Sender<usize>>) -> Running {
        count.send_modify(|n| *n += 1);
        Running(count)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}
