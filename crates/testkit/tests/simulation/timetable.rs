//! What is to happen, in the order of its time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things with times; those of one time come in the order in which they were put in.
pub(crate) struct Timetable<T> {
    queue: BinaryHeap<Reverse<Due<T>>>,
    next_order: u64,
}

struct Due<T> {
    at: Duration,
    order: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<T> Timetable<T> {
    pub(crate) const fn new() -> Self {
        Self { queue: BinaryHeap::new(), next_order: 0 }
    }

    pub(crate) fn put(&mut self, at: Duration, what: T) {
        self.queue.push(Reverse(Due { at, order: self.next_order, what }));
        self.next_order += 1;
    }

    pub(crate) fn next(&mut self) -> Option<(Duration, T)> {
        self.queue.pop().map(|Reverse(due)| (due.at, due.what))
    }
}
