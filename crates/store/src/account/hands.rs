//! The threads on which accounts wait for the disk: heads that are not in memory, records that are folded, messages
//! to be removed. Neither the threads of callers nor the engine's may wait for such reads.
//!
//! What must hold: a job that was taken is run, in a store that closes too; it fails there by itself.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Threads at most; begun when there is work for them.
const THREADS_MAX: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    closing: bool,
    threads: Vec<JoinHandle<()>>,
}

/// See above.
#[derive(Default)]
pub(super) struct Hands {
    shared: Arc<(Mutex<Queue>, Condvar)>,
}

impl Hands {
    /// Runs `job` soon, on a thread that may wait.
    pub(super) fn run(&self, job: Job) {
        let mut queue = lock(&self.shared.0);
        // There is at most one job for an account: the queue is no longer than there are warm accounts.
        if queue.idle <= queue.jobs.len() && queue.threads.len() < THREADS_MAX && !queue.closing {
            let shared = self.shared.clone();
            let name = "store-read".to_owned();
            match std::thread::Builder::new().name(name).spawn(move || work(&shared)) {
                Ok(thread) => queue.threads.push(thread),
                Err(error) => tracing::warn!(%error, "no further thread for reading"),
            }
        }
        if queue.closing || queue.threads.is_empty() {
            drop(queue);
            return job();
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.1.notify_one();
    }

    /// Waits for all jobs. Later ones are run by those who bring them.
    pub(super) fn close(&self) {
        let mut queue = lock(&self.shared.0);
        queue.closing = true;
        let threads = std::mem::take(&mut queue.threads);
        drop(queue);
        self.shared.1.notify_all();
        for thread in threads {
            // The last handle of a store may be dropped by a job, which cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread for reading panicked");
            }
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(shared: &(Mutex<Queue>, Condvar)) {
    let mut queue = lock(&shared.0);
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            drop(queue);
            if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job of an account panicked");
            }
            queue = lock(&shared.0);
        } else if queue.closing {
            return;
        } else {
            queue.idle += 1;
            queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

/// Nothing is left half done by a panic in any critical section here.
fn lock(mutex: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn jobs_run_beside_each_other_and_elsewhere() {
        let hands = Hands::default();
        let (tell, told) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        hands.run(Box::new(move || gate.recv().unwrap()));
        for n in 0..20 {
            let tell = tell.clone();
            hands.run(Box::new(move || tell.send((n, std::thread::current().id())).unwrap()));
        }
        for _ in 0..20 {
            // The first job waits all the while.
            let (_, thread) = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_ne!(thread, std::thread::current().id());
        }
        go.send(()).unwrap();
        hands.run(Box::new(|| panic!("this one is bad")));
        let last = tell.clone();
        hands.run(Box::new(move || last.send((20, std::thread::current().id())).unwrap()));
        hands.close();
        assert_eq!(told.try_recv().unwrap().0, 20);
        hands.run(Box::new(move || tell.send((21, std::thread::current().id())).unwrap()));
        assert_eq!(told.try_recv().unwrap(), (21, std::thread::current().id()));
    }
}
