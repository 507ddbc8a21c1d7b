//! Watching in a real browser against a real server and real publishers, where all of that can be started: on Linux.

mod linux;
