//! Publisher and server over a bad network, on bad disks, killed at any step, in virtual time, from a seed.
//!
//! The state machines, the spool's log and the server's track logic are the shipped ones; the path, the disks and the
//! clock are emulated (see [`world`], [`network`], [`scenario`]). `LONGTAKE_SEED=n` runs one seed again,
//! `LONGTAKE_SEEDS=n` sets how many run.
#![allow(clippy::unwrap_used)]

mod checks;
mod deaths;
mod disk;
mod encoder;
mod fault;
mod network;
mod outcome;
mod publisher_side;
mod scenario;
mod timetable;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use fault::Fault;
use outcome::Outcome;
use world::World;

/// Seeds in an ordinary run.
const SEEDS: u64 = 20_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// After so many failures the rest is not run.
const MOST_FAILURES: usize = 20;

/// Runs seeds on all cores.
///
/// # Panics
/// When seeds failed, with their numbers and what each said.
fn run_seeds(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Outcome + Sync) -> Outcome {
    let next = AtomicU64::new(seeds.start);
    let (sum, failures) = (Mutex::new(Outcome::default()), Mutex::new(Vec::new()));
    let work = || {
        while failures.lock().unwrap().len() < MOST_FAILURES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(outcome) => sum.lock().unwrap().add(&outcome),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    eprintln!("seed {seed} failed; run it again with LONGTAKE_SEED={seed}");
                    failures.lock().unwrap().push(format!("LONGTAKE_SEED={seed}: {text}"));
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} seeds failed:\n{}", failures.len(), failures.join("\n"));
    sum.into_inner().unwrap()
}

#[test]
fn whatever_the_network_the_disks_and_the_two_sides_do_nothing_acknowledged_is_lost() {
    let seeds = match number("LONGTAKE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LONGTAKE_SEEDS").unwrap_or(SEEDS),
    };
    let is_alone = seeds.end - seeds.start == 1;
    let is_many = seeds.end - seeds.start >= SEEDS;
    let sum = run_seeds(seeds, |seed| {
        let world = World::new(seed, Fault::None);
        if is_alone {
            println!("{:#?}", world.scenario);
        }
        world.run()
    });
    println!("{sum:?}");
    // A simulation in which nothing goes wrong would prove nothing.
    if is_many {
        assert!(sum.reconnects > 5_000 && sum.superseded > 2_000, "{sum:?}");
        assert!(sum.server_crashes > 5_000 && sum.publisher_crashes > 5_000, "{sum:?}");
        assert!(sum.server_disk_errors > 1_000 && sum.lost_units > 1_000, "{sum:?}");
        assert!(sum.unwitnessed_units > 20 && sum.repeated_units > 50_000, "{sum:?}");
        assert!(sum.late_hellos > 100 && sum.late_messages > 2_000, "{sum:?}");
        assert!(sum.audio_checks > 1_000 && sum.live_checks > 50, "{sum:?}");
    }
}

/// Runs worlds with a fault until this check sees it.
fn is_noticed(fault: Fault, check: &str) {
    let noticed = (0..3_000).find(|&seed| {
        catch_unwind(AssertUnwindSafe(|| World::new(seed, fault).run()))
            .is_err_and(|panic| panic.downcast_ref::<String>().is_some_and(|text| text.contains(check)))
    });
    let seed = noticed.unwrap_or_else(|| panic!("no check said of {fault:?} that {check}"));
    println!("{fault:?} is noticed with seed {seed}");
}

#[test]
fn the_checks_notice_a_server_that_acknowledges_before_the_disk_has_it() {
    is_noticed(Fault::AcksEarly, "invariant: acknowledged unit");
}

#[test]
fn the_checks_notice_a_disk_that_forgets_a_part() {
    is_noticed(Fault::ForgetsParts, "invariant: acknowledged unit");
}

#[test]
fn the_checks_notice_a_disk_that_alters_a_payload() {
    is_noticed(Fault::AltersPayloads, "is stored as it was made");
}

#[test]
fn the_checks_notice_a_server_that_forgets_what_it_has_after_a_restart() {
    is_noticed(Fault::ForgetsRanges, "is stored twice");
}

#[test]
fn the_checks_notice_a_spool_that_a_kill_takes_units_from() {
    is_noticed(Fault::SpoolsInMemory, "invariant: all units are counted");
}

#[test]
fn the_checks_notice_a_device_that_does_not_sync() {
    is_noticed(Fault::SkipsSync, "invariant: all units are counted");
}

#[test]
fn the_checks_notice_a_spool_that_does_not_keep_digests() {
    is_noticed(Fault::DropsDigests, "invariant: what was acknowledged is vouched for");
}

#[test]
fn the_checks_notice_a_spool_without_a_bound() {
    is_noticed(Fault::OverfillsSpool, "invariant: the spool is bounded");
}

#[test]
fn the_checks_notice_a_publisher_that_writes_more_than_it_may() {
    is_noticed(Fault::OverfillsFlight, "invariant: what is in flight is bounded");
}

#[test]
fn the_checks_notice_a_server_whose_memory_fills() {
    is_noticed(Fault::OverfillsServer, "invariant: the server holds a bounded amount");
}

#[test]
fn the_checks_notice_sound_that_waits_behind_the_picture() {
    is_noticed(Fault::HidesQueues, "invariant: sound is not delayed");
}

#[test]
fn the_checks_notice_a_publisher_that_comes_back_late() {
    is_noticed(Fault::ConnectsRarely, "invariant: viewers see the present");
}

#[test]
fn the_checks_notice_a_session_that_never_ends() {
    is_noticed(Fault::SwallowsComplete, "invariant: it completes");
}
