//! How long things took, as histograms.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The upper bounds of the buckets, in milliseconds.
pub(super) const BOUNDS: [u64; 14] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000];

/// Counts by how long something took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// So many milliseconds; what did not happen (less than 0) is not counted.
    pub(crate) fn add(&self, millis: i32) {
        let Ok(millis) = u64::try_from(millis) else { return };
        let at = BOUNDS.iter().position(|bound| millis <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[at].fetch_add(1, Relaxed);
        self.sum.fetch_add(millis, Relaxed);
    }

    /// The counts up to each bound, all of them last, and the sum in milliseconds.
    pub(super) fn read(&self) -> ([u64; BOUNDS.len() + 1], u64) {
        let mut counts = [0; BOUNDS.len() + 1];
        let mut all = 0;
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            all += bucket.load(Relaxed);
            *count = all;
        }
        (counts, self.sum.load(Relaxed))
    }
}

/// The times of a backend's sessions that ended.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// In queues.
    pub(crate) queue: Histogram,
    /// Connecting.
    pub(crate) connect: Histogram,
    /// In all: of a session, or of a request and its answer.
    pub(crate) session: Histogram,
}
