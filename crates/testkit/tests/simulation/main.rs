//! Publisher and server over a bad network, in virtual time, from a seed.
//!
//! The two state machines are the shipped ones; the network, the disk and the clock are emulated (see
//! [`world`]). `LONGTAKE_SEED=n` runs one seed again, `LONGTAKE_SEEDS=n` sets how many run.
#![allow(clippy::unwrap_used)]

mod disk;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use disk::Fault;
use world::{Outcome, World};

/// Seeds in an ordinary run.
const SEEDS: u64 = 3_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// Runs seeds on all cores and stops at the first that fails, with its number.
fn run_seeds(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Outcome + Sync) -> Outcome {
    let next = AtomicU64::new(seeds.start);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = Outcome::default();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return sum;
                        }
                        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                            Ok(outcome) => sum.add(&outcome),
                            Err(panic) => {
                                next.store(seeds.end, Ordering::Relaxed);
                                eprintln!("seed {seed} failed; run it again with LONGTAKE_SEED={seed}");
                                std::panic::resume_unwind(panic);
                            }
                        }
                    }
                })
            })
            .collect();
        let mut sum = Outcome::default();
        for worker in workers {
            match worker.join() {
                Ok(outcome) => sum.add(&outcome),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        sum
    })
}

#[test]
fn whatever_the_network_the_disk_and_the_server_do_nothing_acknowledged_is_lost() {
    let seeds = match number("LONGTAKE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LONGTAKE_SEEDS").unwrap_or(SEEDS),
    };
    let many = seeds.end - seeds.start >= SEEDS;
    let sum = run_seeds(seeds, |seed| World::new(seed, Fault::None).run());
    println!("{sum:?}");
    // A simulation in which nothing goes wrong would prove nothing.
    if many {
        assert!(sum.reconnects > 3_000, "{sum:?}");
        assert!(sum.server_crashes > 1_000, "{sum:?}");
        assert!(sum.disk_errors > 300, "{sum:?}");
        assert!(sum.superseded > 100, "{sum:?}");
        assert!(sum.repeated_units > 10_000, "{sum:?}");
        assert!(sum.lost_units > 1_000, "{sum:?}");
    }
}

/// Runs worlds with a fault that the checks must see.
fn is_noticed(fault: Fault) {
    let noticed = (0..200).any(|seed| {
        catch_unwind(AssertUnwindSafe(|| World::new(seed, fault).run()))
            .is_err_and(|panic| panic.downcast_ref::<String>().is_some_and(|text| text.contains("invariant")))
    });
    assert!(noticed, "no check saw {fault:?}");
}

#[test]
fn the_checks_notice_a_server_that_acknowledges_before_the_disk_has_it() {
    is_noticed(Fault::AcksEarly);
}

#[test]
fn the_checks_notice_a_disk_that_forgets_a_part() {
    is_noticed(Fault::ForgetsParts);
}

#[test]
fn the_checks_notice_a_disk_that_alters_a_payload() {
    is_noticed(Fault::AltersPayloads);
}

#[test]
fn the_checks_notice_a_server_that_forgets_what_it_has_after_a_restart() {
    is_noticed(Fault::ForgetsRanges);
}
